//! Label selectors and field selectors of a command line.

use super::json::{at, entries, plain};
use super::resources::Resource;
use serde_json::Value;

/// A requirement on labels.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// A label selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(Vec<Requirement>);

impl Labels {
    /// Whether the labels of an object are selected.
    pub(super) fn selects(&self, object: &Value) -> bool {
        let labels = entries(object, "metadata.labels");
        let label = |key: &str| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| plain(value));
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => label(key).is_some_and(|value| values.contains(&value)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|value| !values.contains(&value)),
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
        })
    }

    /// Whether it selects everything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads a label selector: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, joined by commas.
pub(super) fn labels(text: &str) -> Result<Labels, String> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut depth = 0;
    for letter in text.chars() {
        match letter {
            ',' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += i32::from(letter == '(') - i32::from(letter == ')');
                if let Some(part) = parts.last_mut() {
                    part.push(letter);
                }
            }
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.map(requirement).collect::<Result<_, _>>().map(Labels)
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let wrong =
        || format!("error: unable to parse requirement: found '{part}', expected: a label requirement\n");
    let set = |values: &str| -> Option<Vec<String>> {
        let inside = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inside.split(',').map(|value| value.trim().to_owned()).collect())
    };
    let key = |key: &str| key.trim().to_owned();
    if let Some((name, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(key(name), vec![key(value)]));
    }
    if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(key(name), vec![key(value)]));
    }
    if let Some((name, values)) = part.split_once(" notin ") {
        return Ok(Requirement::NotIn(key(name), set(values).ok_or_else(wrong)?));
    }
    if let Some((name, values)) = part.split_once(" in ") {
        return Ok(Requirement::In(key(name), set(values).ok_or_else(wrong)?));
    }
    if part.contains([' ', '(', ')']) {
        return Err(wrong());
    }
    Ok(match part.strip_prefix('!') {
        Some(name) => Requirement::Absent(key(name)),
        None => Requirement::Exists(key(part)),
    })
}

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
        let api = if resource.api_version.contains('/') {
            resource.api_version.to_owned()
        } else {
            format!("/{}", resource.api_version)
        };
        let what = format!("\"{api}, Resource={}\"", resource.plural);
        let text = &self.text;
        Some(format!(
            "Error from server (BadRequest): Unable to find {what} that match label selector \"\", field selector \
             \"{text}\": {why}\n"
        ))
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
    fn labels_and_fields_select() {
        let pod = json!({ "metadata": { "name": "a", "labels": { "app": "web", "tier": "x" } }, "status": { "phase": "Running" } });
        for (selector, selected) in [
            ("app=web", true),
            ("app==web,tier!=y", true),
            ("app in (db, web)", true),
            ("app notin (db,web)", false),
            ("tier,!zone", true),
            ("zone", false),
            ("", true),
        ] {
            assert_eq!(labels(selector).unwrap().selects(&pod), selected, "{selector}");
        }
        assert!(labels("app in web").is_err());
        assert!(fields("status.phase=Running,metadata.name!=b").unwrap().selects(&pod));
        assert!(!fields("status.phase==Pending").unwrap().selects(&pod));
    }
}
