//! Objects as `-o yaml` and `-o json` print them: keys in order, lists at the indent of their key.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use serde_json::{Map, Value};

/// The same value with the keys of every object sorted.
pub(super) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            Value::Object(keys.into_iter().map(|key| (key.clone(), sorted(&map[key]))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// JSON with an indent of four blanks.
pub(super) fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(&mut out, value, 0);
    out.push('\n');
    out
}

fn write_json(out: &mut String, value: &Value, depth: usize) {
    let (open, close, items): (_, _, Vec<(Option<&String>, &Value)>) = match value {
        Value::Array(items) if !items.is_empty() => {
            ('[', ']', items.iter().map(|item| (None, item)).collect())
        }
        Value::Object(map) if !map.is_empty() => {
            ('{', '}', map.iter().map(|(key, item)| (Some(key), item)).collect())
        }
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)) => {
            out.push_str(&other.to_string());
            return;
        }
    };
    out.push(open);
    for (index, (key, item)) in items.into_iter().enumerate() {
        out.push_str(if index > 0 { ",\n" } else { "\n" });
        out.push_str(&"    ".repeat(depth + 1));
        if let Some(key) = key {
            out.push_str(&format!("{}: ", Value::from(key.as_str())));
        }
        write_json(out, item, depth + 1);
    }
    out.push('\n');
    out.push_str(&"    ".repeat(depth));
    out.push(close);
}

/// YAML.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(&mut out, map, 0, false),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)) => {
            out.push_str(&scalar(other, 0));
            out.push('\n');
        }
    }
    out
}

fn write_map(out: &mut String, map: &Map<String, Value>, depth: usize, after_dash: bool) {
    for (index, (key, value)) in map.iter().enumerate() {
        if !(after_dash && index == 0) {
            out.push_str(&"  ".repeat(depth));
        }
        out.push_str(&scalar(&Value::from(key.as_str()), depth));
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                write_map(out, map, depth + 1, false);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                write_list(out, items, depth);
            }
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => out.push_str(&format!(" {}\n", scalar(other, depth + 1))),
        }
    }
}

fn write_list(out: &mut String, items: &[Value], depth: usize) {
    for item in items {
        out.push_str(&"  ".repeat(depth));
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => write_map(out, map, depth + 1, true),
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                write_list(out, items, depth + 1);
            }
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => out.push_str(&format!("{}\n", scalar(other, depth + 1))),
        }
    }
}

fn scalar(value: &Value, depth: usize) -> String {
    let Value::String(text) = value else {
        return match value {
            Value::Array(_) => "[]".to_owned(),
            Value::Object(_) => "{}".to_owned(),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other.to_string(),
        };
    };
    if text.contains('\n') {
        let tail = if text.ends_with('\n') { "" } else { "-" };
        let indent = "  ".repeat(depth);
        let lines = text.trim_end_matches('\n').split('\n').map(|line| format!("\n{indent}{line}"));
        return format!("|{tail}{}", lines.collect::<Vec<_>>().concat());
    }
    // What would be read as something else stands in double quotes, what only has letters that mean something in single
    // ones (`stringv` and `yaml_emitter_select_scalar_style` of go-yaml).
    if resolves(text) || text.bytes().any(|byte| byte < b' ') {
        Value::from(text.as_str()).to_string()
    } else if has_indicators(text) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        text.clone()
    }
}

/// Whether a text would be read as something other than text without quotes.
fn resolves(text: &str) -> bool {
    // A time stamp is read as one.
    let like_time = text.len() >= 10
        && text.as_bytes()[4] == b'-'
        && text.as_bytes()[7] == b'-'
        && text[..4].parse::<u32>().is_ok();
    like_time
        || text.is_empty()
        || matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "~" | "yes" | "no" | "on" | "off" | "y" | "n"
        )
        || text.parse::<f64>().is_ok()
}

/// Whether a text has letters that would mean something without quotes.
fn has_indicators(text: &str) -> bool {
    text.starts_with(|first: char| {
        "-?:,[]{}#&*!|>'\"%@` ".contains(first)
            && !(first == '-' && text.len() > 1 && !text.starts_with("- "))
    }) || text.ends_with([' ', ':'])
        || text.contains(": ")
        || text.contains(" #")
}
