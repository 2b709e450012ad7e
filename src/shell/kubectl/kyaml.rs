//! Objects as `-o kyaml` prints them (`sigs.k8s.io/yaml/kyaml`): YAML in braces, with every text in quotes.

use serde_json::Value;

/// A document.
pub(super) fn kyaml(value: &Value) -> String {
    let mut out = "---\n".to_owned();
    node(value, 0, &mut out);
    out.push('\n');
    out
}

fn indent(level: usize, out: &mut String) {
    out.push_str(&"  ".repeat(level));
}

fn node(value: &Value, level: usize, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
        Value::String(text) => string(text, level, out),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Array(items) => list(items, level, out),
        Value::Object(fields) if fields.is_empty() => out.push_str("{}"),
        Value::Object(fields) => {
            out.push_str("{\n");
            for (key, value) in fields {
                indent(level + 1, out);
                name(key, out);
                out.push_str(": ");
                node(value, level + 1, out);
                out.push_str(",\n");
            }
            indent(level, out);
            out.push('}');
        }
    }
}

/// A list; its brackets stand close to those of its elements where all have some.
fn list(items: &[Value], level: usize, out: &mut String) {
    if items.iter().all(|item| item.is_array() || item.is_object()) {
        out.push('[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            node(item, level, out);
        }
        out.push(']');
        return;
    }
    out.push_str("[\n");
    for item in items {
        indent(level + 1, out);
        node(item, level + 1, out);
        out.push_str(",\n");
    }
    indent(level, out);
    out.push(']');
}

/// A key, in quotes where YAML could take it for something else.
fn name(key: &str, out: &mut String) {
    let last = key.chars().count().saturating_sub(1);
    let plain = |(at, letter): (usize, char)| {
        letter.is_alphanumeric()
            || letter == '_'
            || (at > 0 && at < last && matches!(letter, '-' | '.' | '/'))
    };
    let lower = key.to_lowercase();
    let words = ["null", "true", "y", "yes", "on", "false", "n", "no", "off", "t", "f"];
    let guessed = key.is_empty()
        || words.contains(&lower.as_str())
        || key.starts_with(|letter: char| letter.is_ascii_digit() || matches!(letter, '+' | '-' | '.'))
            && key.chars().all(|letter| letter.is_ascii_hexdigit() || "_+-.xo".contains(letter));
    if guessed || !key.chars().enumerate().all(plain) {
        out.push_str(&Value::from(key).to_string());
    } else {
        out.push_str(key);
    }
}

/// A text in quotes; one of several lines begins a new one for each.
fn string(text: &str, level: usize, out: &mut String) {
    if !text.contains('\n') {
        out.push_str(&Value::from(text).to_string());
        return;
    }
    out.push_str("\"\\\n");
    for line in text.split_inclusive('\n') {
        indent(level, out);
        out.push(if line.starts_with([' ', '\t']) { '\\' } else { ' ' });
        let quoted = Value::from(line.trim_end_matches('\n')).to_string();
        out.push_str(&quoted[1..quoted.len() - 1]);
        if line.ends_with('\n') {
            out.push_str("\\n\\\n");
        }
    }
    if text.ends_with('\n') {
        indent(level, out);
    }
    out.push('"');
}
