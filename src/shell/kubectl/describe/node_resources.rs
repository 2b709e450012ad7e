//! What the Pods of a Node ask of it (`describeNodeResource`).

use super::{Look, line};
use crate::base::quantity;
use crate::manifest::pod_amounts::{Amounts, Sources};
use crate::shell::kubectl::age::since;
use crate::shell::kubectl::json::{entries, text};
use crate::shell::kubectl::resources::of_kind;
use crate::shell::kubectl::view;
use serde_json::Value;
use std::collections::BTreeMap;

/// The resources that are always told of; others where the node has them.
const ALWAYS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// A Pod that has not ended, with what it asks for and what it may use.
struct Placed {
    pod: Value,
    requests: Amounts,
    limits: Amounts,
}

/// `Non-terminated Pods` and `Allocated resources`.
pub(super) fn resources(node: &Value, look: &Look<'_>, out: &mut String) {
    let field = if entries(node, "status.allocatable").is_empty() { "capacity" } else { "allocatable" };
    let has: Amounts = entries(node, &format!("status.{field}"))
        .into_iter()
        .filter_map(|(name, amount)| Some((name.to_string(), quantity::of_json(amount)?)))
        .collect();
    let pods = placed(text(node, "metadata.name"), look);
    line(out, &format!("Non-terminated Pods:\t({} in total)", pods.len()));
    line(out, "  Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
    line(out, "  ---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
    for Placed { pod, requests, limits } in &pods {
        let share = |amounts: &Amounts, name| share(amounts, name, &has);
        line(
            out,
            &format!(
                "  {}\t{}\t\t{}\t{}\t{}\t{}\t{}",
                text(pod, "metadata.namespace"),
                text(pod, "metadata.name"),
                share(requests, "cpu"),
                share(limits, "cpu"),
                share(requests, "memory"),
                share(limits, "memory"),
                since(look.now, text(pod, "metadata.creationTimestamp"))
            ),
        );
    }
    line(out, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)");
    line(out, "  Resource\tRequests\tLimits\n  --------\t--------\t------");
    let (requests, limits) = (sum(&pods, |one| &one.requests), sum(&pods, |one| &one.limits));
    let huge = has.keys().map(String::as_str).filter(|name| name.starts_with("hugepages-"));
    for name in ALWAYS.into_iter().chain(huge) {
        line(out, &format!("  {name}\t{}\t{}", share(&requests, name, &has), share(&limits, name, &has)));
    }
    let is_other = |name: &&String| {
        !ALWAYS.contains(&name.as_str()) && !name.starts_with("hugepages-") && *name != "pods"
    };
    for name in has.keys().filter(is_other) {
        line(out, &format!("  {name}\t{}\t{}", shown(&requests, name), shown(&limits, name)));
    }
}

fn placed(node: &str, look: &Look<'_>) -> Vec<Placed> {
    let pods = of_kind("Pod").map(|one| view::objects(look.inventory, one)).unwrap_or_default();
    let is_here = |pod: &Value| {
        text(pod, "spec.nodeName") == node && !matches!(text(pod, "status.phase"), "Succeeded" | "Failed")
    };
    let here = pods.into_iter().filter(is_here);
    here.map(|pod| {
        let sources = Sources::of(&pod["spec"]);
        let (requests, limits) = (sources.requests(), sources.limits());
        Placed { pod, requests, limits }
    })
    .collect()
}

fn sum(pods: &[Placed], of: impl Fn(&Placed) -> &Amounts) -> Amounts {
    let mut sum: Amounts = BTreeMap::new();
    for (name, amount) in pods.iter().flat_map(&of) {
        *sum.entry(name.clone()).or_default() += amount;
    }
    sum
}

/// An amount with its part of what the node has. kubectl divides by nothing where the node does not say what it has,
/// which gives a number without a meaning; here it is no part.
fn share(amounts: &Amounts, name: &str, has: &Amounts) -> String {
    let amount = amounts.get(name).copied().unwrap_or(0);
    let percent = has.get(name).filter(|has| **has > 0).map_or(0, |has| amount * 100 / has);
    format!("{} ({percent}%)", shown(amounts, name))
}

fn shown(amounts: &Amounts, name: &str) -> String {
    quantity::usual(name, amounts.get(name).copied().unwrap_or(0))
}
