//! Reading a text although it has fields that nobody knows (`fieldValidation: Warn` and `Ignore` of the API server).

use super::{objects, parse, tree};
use crate::base::words::Lang;
use serde_json::Value;
use std::collections::VecDeque;

/// Takes out of an object the fields that its kind does not have; what a server would say of each.
pub fn prune(value: &mut Value) -> Vec<String> {
    let parsed = parse(&value.to_string());
    let mut said = Vec::new();
    for found in parsed.diagnostics.iter().filter(|found| found.message == "decode.unknown") {
        remove(value, &found.path);
        said.push(found.message_in(Lang::En));
    }
    said
}

/// The version that the object at a place of a text says it has.
pub fn version_at(text: &str, at: usize) -> Option<String> {
    let mut found = VecDeque::new();
    tree::read(0, text).0.into_iter().for_each(|root| objects::within(root, &mut found));
    let object = found.iter().find(|object| (object.span.start..=object.span.end).contains(&at))?;
    object.get("apiVersion")?.as_str().map(str::to_owned)
}

/// A text without its unknown and doubled fields, as JSON documents, and what a server would say of each. `None` where it
/// cannot be read at all.
pub fn lenient(text: &str) -> Option<(String, Vec<String>)> {
    let (roots, diagnostics) = tree::read(0, text);
    if !diagnostics.is_empty() {
        return None;
    }
    let doubled = parse(text).diagnostics;
    let doubled = doubled.iter().filter(|found| found.message == "decode.duplicate");
    let mut said: Vec<String> = doubled.map(|found| found.message_in(Lang::En)).collect();
    let mut documents = Vec::new();
    for root in &roots {
        let mut value = root.to_json();
        said.extend(prune(&mut value));
        documents.push(value.to_string());
    }
    Some((documents.join("\n---\n"), said))
}

/// Removes the field at a path such as `spec.containers[0].imagee`.
fn remove(value: &mut Value, path: &str) {
    // A path is a JSON pointer with other signs between its steps (RFC 6901).
    let steps =
        path.replace('~', "~0").replace('/', "~1").replace('[', "/").replace(']', "").replace('.', "/");
    let pointer = format!("/{steps}");
    let Some((above, last)) = pointer.rsplit_once('/') else { return };
    if let Some(fields) = value.pointer_mut(above).and_then(Value::as_object_mut) {
        fields.remove(&last.replace("~1", "/").replace("~0", "~"));
    }
}
