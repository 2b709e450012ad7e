//! Reading fields of objects.

use serde_json::Value;

const NULL: &Value = &Value::Null;

/// The value at a path of keys with dots between, as `status.phase`; null for what is not there.
pub(super) fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').try_fold(value, |value, key| value.get(key)).unwrap_or(NULL)
}

/// The text at a path; empty for what is not there.
pub(super) fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    at(value, path).as_str().unwrap_or("")
}

/// The number at a path; 0 for what is not there.
pub(super) fn number(value: &Value, path: &str) -> i64 {
    at(value, path).as_i64().unwrap_or(0)
}

/// The list at a path; empty for what is not there.
pub(super) fn list<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

/// The entries of the map at a path, in the order of their keys.
pub(super) fn entries<'v>(value: &'v Value, path: &str) -> Vec<(&'v str, &'v Value)> {
    let mut entries: Vec<(&str, &Value)> =
        at(value, path).as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value)).collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

/// A value as text: strings as they are, anything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `key=value,…` of the map at a path, or `<none>` (`labels.FormatLabels`).
pub(super) fn labels(value: &Value, path: &str) -> String {
    let pairs: Vec<String> =
        entries(value, path).into_iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// A label selector with `matchLabels` and `matchExpressions` as text, or `<none>` (`metav1.FormatLabelSelector`).
pub(super) fn selector(value: &Value, path: &str) -> String {
    let selector = at(value, path);
    let mut parts: Vec<(String, String)> = entries(selector, "matchLabels")
        .into_iter()
        .map(|(key, value)| (key.to_owned(), format!("{key}={}", plain(value))))
        .collect();
    for one in list(selector, "matchExpressions") {
        let key = text(one, "key");
        let mut values: Vec<String> = list(one, "values").iter().map(plain).collect();
        values.sort();
        let values = values.join(",");
        let part = match text(one, "operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        };
        parts.push((key.to_owned(), part));
    }
    parts.sort();
    if parts.is_empty() {
        return "<none>".to_owned();
    }
    parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(",")
}

/// The text, or `otherwise` for an empty one.
pub(super) fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}
