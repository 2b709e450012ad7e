//! `JSONPath` templates of `-o jsonpath`, `-o custom-columns` and `--sort-by` (`k8s.io/client-go/util/jsonpath`).

use serde_json::Value;

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Text as it is.
    Text(String),
    /// What a path finds, with blanks between.
    Path(Vec<Step>),
    /// `{range PATH}…{end}`.
    Range(Vec<Step>, Vec<Piece>),
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The whole object again.
    Root,
    /// A field.
    Field(String),
    /// Every field of that name below.
    Deep(String),
    /// Everything inside.
    Every,
    /// Elements from, to and in steps of.
    Slice(Option<i64>, Option<i64>, i64),
    /// One element.
    Index(i64),
    /// The elements for which this holds: a path, how they compare, and a value; the path alone asks whether it is there.
    Filter(Vec<Step>, Option<(&'static str, Value)>),
    /// Several steps side by side.
    Union(Vec<Step>),
}

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

/// Reads a template; the error says what is wrong with it.
pub(super) fn template(text: &str) -> Result<Template, String> {
    let mut rest = text;
    let (pieces, ended) = pieces(&mut rest)?;
    if ended { Err("not in range, nothing to end".to_owned()) } else { Ok(Template(pieces)) }
}

/// Reads a single path, with or without braces and the leading dot (`RelaxedJSONPathExpression`).
pub(super) fn path(text: &str) -> Result<Template, String> {
    let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let inside = inside.strip_prefix('$').unwrap_or(inside);
    let dotted = if inside.starts_with(['.', '[']) { inside.to_owned() } else { format!(".{inside}") };
    Ok(Template(vec![Piece::Path(steps(&dotted)?)]))
}

fn pieces(rest: &mut &str) -> Result<(Vec<Piece>, bool), String> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let Some(open) = rest.find('{') else {
            found.push(Piece::Text((*rest).to_owned()));
            *rest = "";
            break;
        };
        if open > 0 {
            found.push(Piece::Text(rest[..open].to_owned()));
        }
        let close = closing(&rest[open..]).ok_or_else(|| "unclosed action".to_owned())? + open;
        let inside = rest[open + 1..close].trim();
        *rest = &rest[close + 1..];
        if inside == "end" {
            return Ok((found, true));
        }
        if let Some(path) = inside.strip_prefix("range ") {
            let steps = steps(path.trim())?;
            let (body, ended) = pieces(rest)?;
            if !ended {
                return Err("unexpected end of template, expected {end}".to_owned());
            }
            found.push(Piece::Range(steps, body));
        } else if let Some(text) = quoted(inside) {
            found.push(Piece::Text(text));
        } else {
            found.push(Piece::Path(steps(inside)?));
        }
    }
    Ok((found, false))
}

/// Where the brace that opens `text` is closed; quotes hide braces.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (None, '}') => return Some(at),
            _ => {}
        }
    }
    None
}

/// A text in quotes, with the usual escapes.
fn quoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
    let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut out = String::new();
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        out.push(match letter {
            '\\' => match letters.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            },
            other => other,
        });
    }
    Some(out)
}

fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '$' => {
                found.push(Step::Root);
                rest = &rest[1..];
            }
            '@' => rest = &rest[1..],
            '.' if rest.starts_with("..") => {
                let (name, after) = name(&rest[2..]);
                found.push(Step::Deep(name));
                rest = after;
            }
            '.' => {
                let (name, after) = name(&rest[1..]);
                match name.as_str() {
                    "" => {}
                    "*" => found.push(Step::Every),
                    _ => found.push(Step::Field(name)),
                }
                rest = after;
            }
            '[' => {
                let close = bracket(rest).ok_or_else(|| "unterminated array".to_owned())?;
                found.push(inside_brackets(&rest[1..close])?);
                rest = &rest[close + 1..];
            }
            _ => {
                let (name, after) = name(rest);
                if name.is_empty() {
                    return Err(format!(
                        "unrecognized character in action: U+{:04X} '{first}'",
                        u32::from(first)
                    ));
                }
                found.push(Step::Field(name));
                rest = after;
            }
        }
    }
    Ok(found)
}

/// A name up to the next dot or bracket; a backslash hides a dot.
fn name(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => out.extend(letters.next().map(|(_, letter)| letter)),
            '.' | '[' | ' ' => return (out, &text[at..]),
            other => out.push(other),
        }
    }
    (out, "")
}

/// Where the bracket that opens `text` is closed.
fn bracket(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (None, '[') => depth += 1,
            (None, ']') => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn inside_brackets(text: &str) -> Result<Step, String> {
    let text = text.trim();
    if let Some(filter) = text.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        return comparison(filter);
    }
    if text == "*" {
        return Ok(Step::Every);
    }
    if text.contains(',') {
        return text.split(',').map(inside_brackets).collect::<Result<_, _>>().map(Step::Union);
    }
    if let Some(name) = quoted(text) {
        return Ok(Step::Field(name));
    }
    let number = |text: &str| -> Result<Option<i64>, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| format!("invalid array index {text}"))
    };
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [one] => number(one)?.map(Step::Index).ok_or_else(|| "invalid array index".to_owned()),
        [from, to] => Ok(Step::Slice(number(from)?, number(to)?, 1)),
        [from, to, by] => Ok(Step::Slice(number(from)?, number(to)?, number(by)?.unwrap_or(1).max(1))),
        _ => Err(format!("invalid array index {text}")),
    }
}

fn comparison(text: &str) -> Result<Step, String> {
    for operator in ["==", "!=", "<=", ">=", "<", ">"] {
        let Some((left, right)) = text.split_once(operator) else { continue };
        let right = right.trim();
        let value = match quoted(right) {
            Some(text) => Value::String(text),
            None => serde_json::from_str(right).unwrap_or_else(|_| Value::String(right.to_owned())),
        };
        return Ok(Step::Filter(steps(left.trim())?, Some((operator, value))));
    }
    Ok(Step::Filter(steps(text.trim())?, None))
}

impl Template {
    /// What the template makes of a value. Missing fields leave nothing.
    pub(super) fn fill(&self, value: &Value) -> String {
        let mut out = String::new();
        write(&self.0, value, value, &mut out);
        out
    }

    /// What the template makes of a value where each path becomes a list in JSON.
    pub(super) fn fill_as_json(&self, value: &Value) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Path(steps) => {
                let found = follow(steps, value, value).into_iter().cloned().collect();
                super::yaml::json(&Value::Array(found))
            }
            Piece::Text(text) => text.clone(),
            Piece::Range(..) => {
                let mut out = String::new();
                write(std::slice::from_ref(piece), value, value, &mut out);
                out
            }
        };
        self.0.iter().map(piece).collect()
    }

    /// The values that the first path of the template finds.
    pub(super) fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match self.0.first() {
            Some(Piece::Path(steps)) => follow(steps, value, value),
            Some(Piece::Text(_) | Piece::Range(..)) | None => Vec::new(),
        }
    }
}

fn write(pieces: &[Piece], root: &Value, value: &Value, out: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Path(steps) => {
                let found: Vec<String> =
                    follow(steps, root, value).into_iter().map(super::json::plain).collect();
                out.push_str(&found.join(" "));
            }
            Piece::Range(steps, body) => {
                for one in follow(steps, root, value) {
                    // A list is gone through, as the real one does.
                    match one {
                        Value::Array(items) => items.iter().for_each(|item| write(body, root, item, out)),
                        other @ (Value::Null
                        | Value::Bool(_)
                        | Value::Number(_)
                        | Value::String(_)
                        | Value::Object(_)) => write(body, root, other, out),
                    }
                }
            }
        }
    }
}

fn follow<'v>(steps: &[Step], root: &'v Value, from: &'v Value) -> Vec<&'v Value> {
    let mut found = vec![from];
    for step in steps {
        found = found.into_iter().flat_map(|value| follow_one(step, root, value)).collect();
    }
    found
}

fn follow_one<'v>(step: &Step, root: &'v Value, value: &'v Value) -> Vec<&'v Value> {
    let items = || value.as_array().map_or(&[][..], Vec::as_slice);
    let count = items().len() as i64;
    let place = |at: i64| if at < 0 { at + count } else { at };
    match step {
        Step::Root => vec![root],
        Step::Field(name) => value.get(name).into_iter().collect(),
        Step::Deep(name) => deep(name, value),
        Step::Every => match value {
            Value::Object(fields) => fields.values().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                items().iter().collect()
            }
        },
        Step::Index(at) => {
            usize::try_from(place(*at)).ok().and_then(|at| items().get(at)).into_iter().collect()
        }
        Step::Slice(from, to, by) => {
            let (from, to) = (place(from.unwrap_or(0)).max(0), place(to.unwrap_or(count)).min(count));
            let chosen = (from..to).step_by(usize::try_from(*by).unwrap_or(1));
            chosen.filter_map(|at| items().get(usize::try_from(at).ok()?)).collect()
        }
        Step::Filter(path, test) => items()
            .iter()
            .filter(|item| {
                let found = follow(path, root, item);
                match test {
                    None => !found.is_empty(),
                    Some((operator, wanted)) => {
                        found.first().is_some_and(|found| compare(found, operator, wanted))
                    }
                }
            })
            .collect(),
        Step::Union(steps) => steps.iter().flat_map(|step| follow_one(step, root, value)).collect(),
    }
}

/// Every value of that name, at any depth.
fn deep<'v>(name: &str, value: &'v Value) -> Vec<&'v Value> {
    let inside: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let own = if name == "*" || name.is_empty() { None } else { value.get(name) };
    own.into_iter().chain(inside.into_iter().flat_map(|one| deep(name, one))).collect()
}

fn compare(found: &Value, operator: &str, wanted: &Value) -> bool {
    let order = match (found.as_i64(), wanted.as_i64()) {
        (Some(found), Some(wanted)) => found.cmp(&wanted),
        _ => super::json::plain(found).cmp(&super::json::plain(wanted)),
    };
    match operator {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_find_what_the_client_finds() {
        let list = json!({ "kind": "List", "items": [
            { "metadata": { "name": "a", "labels": { "x.y/z": "1" } }, "spec": { "ports": [80, 443] }, "status": { "ready": true } },
            { "metadata": { "name": "b" }, "spec": { "ports": [] }, "status": { "ready": false } },
        ] });
        for (text, filled) in [
            ("{.kind}", "List"),
            ("{$.kind}", "List"),
            ("kind is {.kind}", "kind is List"),
            ("{.items[*].metadata.name}", "a b"),
            ("{.items[0].spec.ports}", "[80,443]"),
            ("{.items[-1].metadata.name}", "b"),
            ("{.items[0].spec.ports[0:2]}", "80 443"),
            ("{.items[0].spec.ports[::2]}", "80"),
            ("{.items[0].metadata.labels.x\\.y/z}", "1"),
            ("{.items[0].metadata.labels['x.y/z']}", "1"),
            ("{.items[?(@.metadata.name==\"b\")].status.ready}", "false"),
            ("{.items[?(@.metadata.labels)].metadata.name}", "a"),
            ("{..name}", "a b"),
            (
                "{range .items[*]}{.metadata.name}{\"\\t\"}{.status.ready}{\"\\n\"}{end}",
                "a\ttrue\nb\tfalse\n",
            ),
            ("{.nothing}", ""),
            ("{.items[0]['metadata.name','kind']}", ""),
        ] {
            assert_eq!(template(text).unwrap().fill(&list), filled, "{text}");
        }
        assert!(template("{.a").is_err());
        assert!(template("{range .a}").is_err());
        assert_eq!(path("metadata.name").unwrap().find(&list["items"][0]), [&json!("a")]);
    }
}
