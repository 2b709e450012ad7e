//! Writing a policy for a cell: one that admits the packet, or one that isolates its destination and admits everybody
//! else who reaches it now. Policies add up, so what another one admits stays admitted.

use super::{Asking, Matrix};
use crate::api::NamespacedName;
use crate::cluster::policy;
use crate::trace::PodRow;
use std::fmt::Write as _;

/// The policy for a cell as a YAML document, with the marker that begins it. The error is a Pod without labels, which no
/// selector could tell from the others of its namespace.
pub fn written(
    asking: &Asking,
    matrix: &Matrix,
    (from, to): (usize, usize),
    admits: bool,
) -> Result<String, NamespacedName> {
    let (source, target) = (&matrix.pods[from], &matrix.pods[to]);
    let sources: Vec<&NamespacedName> = if admits {
        vec![source]
    } else {
        let column = matrix.cells.iter().enumerate().filter(|(at, row)| *at != from && row[to].is_allowed());
        column.map(|(at, _)| &matrix.pods[at]).filter(|name| *name != target).collect()
    };
    let name = if admits {
        format!("admit-{}-to-{}", source.name, target.name)
    } else {
        format!("isolate-{}-from-{}", target.name, source.name)
    };
    let mut out = format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {}}}\nspec:\n  \
         podSelector: {{matchLabels: {}}}\n  policyTypes: [Ingress]\n",
        target.namespace,
        labels(asking, target)?
    );
    if sources.is_empty() {
        out += "  ingress: []\n";
        return Ok(out);
    }
    out += "  ingress:\n  - from:\n";
    for source in sources {
        let labels = labels(asking, source)?;
        if source.namespace == target.namespace {
            let _ = writeln!(out, "    - podSelector: {{matchLabels: {labels}}}");
        } else {
            let namespace = &source.namespace;
            let _ = writeln!(
                out,
                "    - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}\n      \
                 podSelector: {{matchLabels: {labels}}}"
            );
        }
    }
    let (protocol, number) = (policy::protocol_name(matrix.port.protocol), matrix.port.number);
    if admits {
        let _ = writeln!(out, "    ports:\n    - {{protocol: {protocol}, port: {number}}}");
    }
    Ok(out)
}

/// The labels of a Pod as a flow mapping of YAML.
fn labels(asking: &Asking, name: &NamespacedName) -> Result<String, NamespacedName> {
    let trace = asking.lab.sim.trace();
    let inventory = crate::trace::Inventory::at(trace, trace.len());
    let own = |row: &&PodRow| *row.namespace == *name.namespace && *row.name == *name.name;
    let labels = inventory.pods.values().find(own).map(|row| row.labels.clone()).unwrap_or_default();
    if labels.is_empty() {
        return Err(name.clone());
    }
    serde_json::to_string(&labels).map_err(|_| name.clone())
}
