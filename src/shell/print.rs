//! One printer for text and JSON, in the manner of iproute2's `json_print.c`: each field is given once with its key,
//! its value and its text, and comes out in the form that was asked for.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use serde_json::{Map, Value};

/// Colours of iproute2 for a light background (`color.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    /// Interface names: cyan.
    Name,
    /// Ethernet addresses: yellow.
    Mac,
    /// IPv4 addresses: magenta.
    Inet,
    /// An interface that is up: green.
    Up,
    /// An interface that is down: red.
    Down,
    /// None.
    Plain,
}

/// Text or JSON under way.
#[derive(Debug)]
pub(super) struct Printer {
    /// Open containers of JSON output with the key of each in the one before; `None` for text output.
    stack: Option<Vec<(String, Value)>>,
    pretty: bool,
    color: bool,
    text: String,
}

impl Printer {
    /// A printer of text, with or without colours.
    pub(super) fn text(color: bool) -> Self {
        Self { stack: None, pretty: false, color, text: String::new() }
    }

    /// A printer of JSON; the output is a list.
    pub(super) fn json(pretty: bool) -> Self {
        let list = (String::new(), Value::Array(Vec::new()));
        Self { stack: Some(vec![list]), pretty, color: false, text: String::new() }
    }

    /// Whether the output is JSON.
    pub(super) fn is_json(&self) -> bool {
        self.stack.is_some()
    }

    /// A field in both forms.
    pub(super) fn any(&mut self, key: &str, value: impl Into<Value>, text: impl AsRef<str>) {
        self.colored(Color::Plain, key, value, text);
    }

    /// A field in both forms, its text coloured.
    pub(super) fn colored(
        &mut self,
        color: Color,
        key: &str,
        value: impl Into<Value>,
        text: impl AsRef<str>,
    ) {
        if self.is_json() {
            self.put(key, value.into());
        } else {
            self.paint(color, text.as_ref());
        }
    }

    /// Only in text output.
    pub(super) fn plain(&mut self, text: impl AsRef<str>) {
        if !self.is_json() {
            self.text += text.as_ref();
        }
    }

    /// Only in JSON output.
    pub(super) fn field(&mut self, key: &str, value: impl Into<Value>) {
        if self.is_json() {
            self.put(key, value.into());
        }
    }

    /// Begins an object: a value of `key` in an object, an item of a list with an empty key.
    pub(super) fn object(&mut self, key: &str) {
        if let Some(stack) = &mut self.stack {
            stack.push((key.to_owned(), Value::Object(Map::new())));
        }
    }

    /// Begins a list.
    pub(super) fn list(&mut self, key: &str) {
        if let Some(stack) = &mut self.stack {
            stack.push((key.to_owned(), Value::Array(Vec::new())));
        }
    }

    /// Ends the object or list begun last.
    pub(super) fn close(&mut self) {
        if let Some((key, value)) = self.stack.as_mut().and_then(Vec::pop) {
            self.put(&key, value);
        }
    }

    fn paint(&mut self, color: Color, text: &str) {
        let code = match color {
            Color::Plain => None,
            Color::Down => Some(31),
            Color::Up => Some(32),
            Color::Mac => Some(33),
            Color::Inet => Some(35),
            Color::Name => Some(36),
        };
        match code.filter(|_| self.color) {
            Some(code) => self.text += &format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            None => self.text += text,
        }
    }

    fn put(&mut self, key: &str, value: Value) {
        match self.stack.as_mut().and_then(|stack| stack.last_mut()) {
            Some((_, Value::Object(map))) => {
                map.insert(key.to_owned(), value);
            }
            Some((_, Value::Array(list))) => list.push(value),
            Some(_) | None => {}
        }
    }

    /// What was printed.
    pub(super) fn finish(mut self) -> String {
        let Some((_, value)) = self.stack.take().and_then(|stack| stack.into_iter().next()) else {
            return self.text;
        };
        let mut out = String::new();
        write_json(&mut out, &value, self.pretty.then_some(0));
        out.push('\n');
        out
    }
}

/// Writes JSON as iproute2's `json_writer.c` does: compact, or with four blanks an indent and lists kept on the line.
fn write_json(out: &mut String, value: &Value, depth: Option<usize>) {
    let deeper = depth.map(|depth| depth + 1);
    match value {
        Value::Array(items) => {
            out.push_str(if depth.is_some() { "[ " } else { "[" });
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(out, item, deeper);
            }
            out.push_str(if depth.is_some() && !items.is_empty() { " ]" } else { "]" });
        }
        Value::Object(fields) => {
            out.push('{');
            for (index, (key, field)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                new_line(out, deeper);
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(if depth.is_some() { ": " } else { ":" });
                write_json(out, field, deeper);
            }
            if !fields.is_empty() {
                new_line(out, depth);
            }
            out.push('}');
        }
        // Seconds with hundredths are the only fractions that these tools print.
        Value::Number(number) if number.is_f64() => {
            out.push_str(&format!("{:.2}", number.as_f64().unwrap_or(0.0)));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
    }
}

fn new_line(out: &mut String, depth: Option<usize>) {
    if let Some(depth) = depth {
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
    }
}
