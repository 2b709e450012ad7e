//! Field selectors of a command line.

use super::json::{at, plain};
use super::resources::Resource;
use serde_json::Value;

/// A field selector: paths that must, or must not, have a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    text: String,
    terms: Vec<(String, bool, String)>,
}

/// Fields by which the API server selects objects of a kind, besides name and namespace.
fn selectable(kind: &str) -> &'static [&'static str] {
    match kind {
        "Pod" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "Event" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "Service" => &["spec.clusterIP", "spec.type"],
        "Secret" => &["type"],
        "Namespace" => &["status.phase"],
        "Node" => &["spec.unschedulable"],
        "ReplicaSet" | "ReplicationController" => &["status.replicas"],
        "Job" => &["status.successful"],
        _ => &[],
    }
}

/// Reads a field selector: `path=value`, `path==value`, `path!=value`, joined by commas.
pub(super) fn fields(text: &str) -> Result<Fields, String> {
    let term = |part: &str| {
        let wrong = || {
            format!("Error from server (BadRequest): invalid selector: '{part}'; can't understand '{part}'\n")
        };
        let (path, equal, value) = if let Some((path, value)) = part.split_once("!=") {
            (path, false, value)
        } else {
            let (path, value) = part.split_once('=').ok_or_else(wrong)?;
            (path, true, value.strip_prefix('=').unwrap_or(value))
        };
        Ok((path.trim().to_owned(), equal, value.trim().to_owned()))
    };
    let parts = text.split(',').filter(|part| !part.is_empty());
    Ok(Fields { text: text.to_owned(), terms: parts.map(term).collect::<Result<_, String>>()? })
}

impl Fields {
    /// The message of the API server for a field by which it does not select objects of this type.
    pub(super) fn objection(&self, resource: &Resource) -> Option<String> {
        let known = selectable(resource.kind);
        let usual = ["metadata.name", "metadata.namespace"];
        let (field, ..) =
            self.terms.iter().find(|(field, ..)| !known.contains(&&**field) && !usual.contains(&&**field))?;
        let why = if known.is_empty() {
            format!(
                "\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            )
        } else {
            format!("field label not supported: {field}")
        };
        Some(super::labels::refused(resource, "", &self.text, &why))
    }

    /// Whether an object is selected.
    pub(super) fn selects(&self, object: &Value) -> bool {
        self.terms.iter().all(|(path, equal, value)| {
            let path = match path.as_str() {
                "status.successful" => "status.succeeded",
                "source" => "source.component",
                other => other,
            };
            let found = at(object, path);
            let otherwise = match path {
                "spec.unschedulable" | "spec.hostNetwork" => "false",
                "spec.restartPolicy" => "Always",
                _ => "",
            };
            let found = if found.is_null() { otherwise.to_owned() } else { plain(found) };
            (found == *value) == *equal
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_select() {
        let pod = json!({ "metadata": { "name": "a", "labels": { "app": "web", "tier": "x" } }, "status": { "phase": "Running" } });
        assert!(fields("status.phase=Running,metadata.name!=b").unwrap().selects(&pod));
        assert!(!fields("status.phase==Pending").unwrap().selects(&pod));
    }
}
