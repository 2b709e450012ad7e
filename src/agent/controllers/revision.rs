//! Revisions of templates.

use super::deployment::REVISION;
use crate::cluster::rollout::template_hash;
use crate::trace::{ObjectRow, api_defaults};
use serde_json::{Value, json};

/// The revision that a ReplicaSet bears; 0 for none.
pub(super) fn revision_of(row: &ObjectRow) -> i64 {
    row.annotations().get(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether two templates are equal but for the label with the hash (`EqualIgnoreHash`). What is empty counts as not
/// written.
pub(super) fn equal_templates(a: &Value, b: &Value, hash: &str) -> bool {
    let bare = |template: &Value| {
        let mut template = template.clone();
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove(hash);
        }
        api_defaults::template(&mut template);
        prune(&mut template);
        template
    };
    bare(a) == bare(b)
}

/// The hash of a template, the same whether what the API server fills in is written or not.
pub(super) fn hash_of(template: &Value, collisions: i64) -> String {
    let mut filled = template.clone();
    api_defaults::template(&mut filled);
    template_hash(&filled, collisions)
}

/// Takes away fields that say nothing.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, field| !field.is_null() && *field != json!({}) && *field != json!([]));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
