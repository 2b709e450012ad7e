//! Go templates of `-o go-template` (`text/template`), as far as they are used on objects: fields, `range`, `if`, `with`,
//! variables, pipelines and the usual functions. A function that is not here is refused as one that is not defined.

use serde_json::{Value, json};

/// A piece of a template.
#[derive(Clone, Debug)]
enum Node {
    Text(String),
    /// A pipeline whose value is printed.
    Print(Pipe),
    /// `$name := PIPE` or `$name = PIPE`.
    Set(String, Pipe),
    /// `if` and `else`.
    If(Pipe, Vec<Node>, Vec<Node>),
    /// `with` and `else`.
    With(Pipe, Vec<Node>, Vec<Node>),
    /// `range`, with the variables for key and element, and `else`.
    Range(Vec<String>, Pipe, Vec<Node>, Vec<Node>),
}

/// Commands, each of which has the value of the one before as its last argument.
type Pipe = Vec<Vec<Term>>;

#[derive(Clone, Debug)]
enum Term {
    Constant(Value),
    /// A function.
    Word(String),
    /// A variable, or the dot where it has no name, and fields of it.
    Place(Option<String>, Vec<String>),
    /// A pipeline in brackets, and fields of its value.
    Inner(Pipe, Vec<String>),
}

/// A template.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Node>);

/// What stands between two braces, or between actions.
enum Piece {
    Text(String),
    Action(String),
}

/// Reads a template; the error says what is wrong with it.
pub(super) fn template(text: &str) -> Result<Template, String> {
    let pieces = pieces(text)?;
    let mut at = 0;
    let (nodes, end) = nodes(&pieces, &mut at)?;
    match end {
        None => Ok(Template(nodes)),
        Some(end) => Err(format!("template: output:1: unexpected {{{{{end}}}}}")),
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut trims = false;
    while let Some(open) = rest.find("{{") {
        let close = closing(&rest[open..]).ok_or("template: output:1: unclosed action")? + open;
        let (mut before, mut inside) = (&rest[..open], &rest[open + 2..close]);
        if trims {
            before = before.trim_start();
        }
        if let Some(cut) = inside.strip_prefix("- ") {
            before = before.trim_end();
            inside = cut;
        }
        trims = inside.ends_with(" -");
        let inside = inside.strip_suffix(" -").unwrap_or(inside).trim();
        found.push(Piece::Text(before.to_owned()));
        if !inside.starts_with("/*") {
            found.push(Piece::Action(inside.to_owned()));
        }
        rest = &rest[close + 2..];
    }
    found.push(Piece::Text(if trims { rest.trim_start() } else { rest }.to_owned()));
    Ok(found)
}

/// Where the action that `text` begins with is closed; quotes hide braces.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (None, '"' | '`') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (None, '}') if text[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    None
}

/// The nodes up to an `end` or `else`, which is given back.
fn nodes(pieces: &[Piece], at: &mut usize) -> Result<(Vec<Node>, Option<String>), String> {
    let mut found = Vec::new();
    while let Some(piece) = pieces.get(*at) {
        *at += 1;
        let action = match piece {
            Piece::Text(text) => {
                found.push(Node::Text(text.clone()));
                continue;
            }
            Piece::Action(action) => action.as_str(),
        };
        let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
        match word {
            "end" | "else" => return Ok((found, Some(action.to_owned()))),
            "if" | "with" | "range" => found.push(block(word, rest, pieces, at)?),
            _ => match assignment(action) {
                Some((name, pipe)) => found.push(Node::Set(name, pipeline(pipe)?)),
                None => found.push(Node::Print(pipeline(action)?)),
            },
        }
    }
    Ok((found, None))
}

fn block(word: &str, head: &str, pieces: &[Piece], at: &mut usize) -> Result<Node, String> {
    let (body, end) = nodes(pieces, at)?;
    let otherwise = match end.as_deref() {
        None => return Err("template: output:1: unexpected EOF".to_owned()),
        Some("end") => Vec::new(),
        Some(more) => match more.strip_prefix("else").map(str::trim) {
            Some("") | None => {
                let (otherwise, end) = nodes(pieces, at)?;
                if end.as_deref() != Some("end") {
                    return Err("template: output:1: unexpected EOF".to_owned());
                }
                otherwise
            }
            Some(more) => {
                let (word, rest) = more.split_once(char::is_whitespace).unwrap_or((more, ""));
                vec![block(word, rest, pieces, at)?]
            }
        },
    };
    Ok(match word {
        "if" => Node::If(pipeline(head)?, body, otherwise),
        "with" => Node::With(pipeline(head)?, body, otherwise),
        _ => {
            let (names, pipe) = match head.split_once(":=") {
                Some((names, pipe)) => (
                    names.split(',').map(|name| name.trim().trim_start_matches('$').to_owned()).collect(),
                    pipe,
                ),
                None => (Vec::new(), head),
            };
            Node::Range(names, pipeline(pipe)?, body, otherwise)
        }
    })
}

fn assignment(action: &str) -> Option<(String, &str)> {
    let (name, pipe) = action.strip_prefix('$')?.split_once('=')?;
    let name = name.trim_end().trim_end_matches(':').trim_end();
    let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    is_name.then(|| (name.to_owned(), pipe))
}

fn pipeline(text: &str) -> Result<Pipe, String> {
    let mut rest = text.trim();
    let pipe = commands(&mut rest)?;
    if rest.is_empty() {
        Ok(pipe)
    } else {
        Err(format!("template: output:1: unexpected \"{rest}\" in command"))
    }
}

fn commands(rest: &mut &str) -> Result<Pipe, String> {
    let mut pipe: Pipe = vec![Vec::new()];
    loop {
        *rest = rest.trim_start();
        match rest.chars().next() {
            None | Some(')') => break,
            Some('|') => {
                *rest = &rest[1..];
                pipe.push(Vec::new());
            }
            Some(_) => {
                let term = term(rest)?;
                if let Some(last) = pipe.last_mut() {
                    last.push(term);
                }
            }
        }
    }
    if pipe.iter().any(Vec::is_empty) {
        return Err("template: output:1: missing value for command".to_owned());
    }
    Ok(pipe)
}

/// The letters up to where a word ends.
fn word<'t>(rest: &mut &'t str) -> &'t str {
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '+');
    let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    word
}

fn fields(rest: &mut &str) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        let name = word(rest);
        if !name.is_empty() {
            found.push(name.to_owned());
        }
    }
    found
}

fn term(rest: &mut &str) -> Result<Term, String> {
    let first = rest.chars().next().unwrap_or(' ');
    match first {
        '"' | '`' => {
            let text = *rest;
            let mut escaped = false;
            let end = text.char_indices().skip(1).find(|(_, letter)| {
                let ends = *letter == first && !escaped;
                escaped = first == '"' && *letter == '\\' && !escaped;
                ends
            });
            let (end, _) = end.ok_or("template: output:1: unterminated quoted string")?;
            *rest = &text[end + 1..];
            let inside = &text[1..end];
            let value = if first == '`' {
                json!(inside)
            } else {
                serde_json::from_str(&text[..=end])
                    .map_err(|_| format!("template: output:1: invalid syntax: {inside}"))?
            };
            Ok(Term::Constant(value))
        }
        '(' => {
            *rest = &rest[1..];
            let pipe = commands(rest)?;
            *rest = rest.strip_prefix(')').ok_or("template: output:1: unclosed left paren")?;
            Ok(Term::Inner(pipe, fields(rest)))
        }
        '.' => Ok(Term::Place(None, fields(rest))),
        '$' => {
            *rest = &rest[1..];
            let name = word(rest).to_owned();
            Ok(Term::Place(Some(name), fields(rest)))
        }
        _ => {
            let word = word(rest);
            match word {
                "" => Err(format!("template: output:1: unexpected \"{first}\" in command")),
                "true" | "false" => Ok(Term::Constant(json!(word == "true"))),
                "nil" => Ok(Term::Constant(Value::Null)),
                word => match word.parse::<i64>() {
                    Ok(number) => Ok(Term::Constant(json!(number))),
                    Err(_) if FUNCTIONS.contains(&word) => Ok(Term::Word(word.to_owned())),
                    Err(_) => Err(format!("template: output:1: function \"{word}\" not defined")),
                },
            }
        }
    }
}

/// The functions that are there.
const FUNCTIONS: [&str; 18] = [
    "index",
    "len",
    "print",
    "println",
    "printf",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "and",
    "or",
    "not",
    "exists",
    "base64decode",
    "html",
    "js",
];

/// Variables in scope; the last of a name counts.
type Scope = Vec<(String, Value)>;

impl Template {
    /// What the template makes of a value.
    pub(super) fn fill(&self, value: &Value) -> Result<String, String> {
        let mut out = String::new();
        let mut scope = vec![(String::new(), value.clone())];
        run(&self.0, value, &mut scope, &mut out)?;
        Ok(out)
    }
}

fn run(nodes: &[Node], dot: &Value, scope: &mut Scope, out: &mut String) -> Result<(), String> {
    let depth = scope.len();
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(pipe) => out.push_str(&shown(&value_of(pipe, dot, scope)?)),
            Node::Set(name, pipe) => {
                let value = value_of(pipe, dot, scope)?;
                scope.push((name.clone(), value));
            }
            Node::If(pipe, body, otherwise) => {
                let holds = truth(&value_of(pipe, dot, scope)?);
                run(if holds { body } else { otherwise }, dot, scope, out)?;
            }
            Node::With(pipe, body, otherwise) => {
                let value = value_of(pipe, dot, scope)?;
                if truth(&value) {
                    run(body, &value, scope, out)?;
                } else {
                    run(otherwise, dot, scope, out)?;
                }
            }
            Node::Range(names, pipe, body, otherwise) => {
                let value = value_of(pipe, dot, scope)?;
                let items: Vec<(Value, Value)> = match value {
                    Value::Array(items) => {
                        items.into_iter().enumerate().map(|(at, item)| (json!(at), item)).collect()
                    }
                    Value::Object(fields) => {
                        fields.into_iter().map(|(key, item)| (json!(key), item)).collect()
                    }
                    Value::Null => Vec::new(),
                    other @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                        return Err(format!("range can't iterate over {}", shown(&other)));
                    }
                };
                if items.is_empty() {
                    run(otherwise, dot, scope, out)?;
                }
                for (key, item) in items {
                    let depth = scope.len();
                    match &names[..] {
                        [] => {}
                        [one] => scope.push((one.clone(), item.clone())),
                        [first, second, ..] => {
                            scope.push((first.clone(), key));
                            scope.push((second.clone(), item.clone()));
                        }
                    }
                    run(body, &item, scope, out)?;
                    scope.truncate(depth);
                }
            }
        }
    }
    // What a block sets is gone behind it, but for the whole template's own.
    if depth > 1 {
        scope.truncate(depth);
    }
    Ok(())
}

fn value_of(pipe: &Pipe, dot: &Value, scope: &mut Scope) -> Result<Value, String> {
    let mut last: Option<Value> = None;
    for command in pipe {
        let Some((first, rest)) = command.split_first() else { continue };
        let value = match first {
            Term::Word(name) => {
                let mut args =
                    rest.iter().map(|term| term_value(term, dot, scope)).collect::<Result<Vec<_>, _>>()?;
                args.extend(last.take());
                call(name, &args)?
            }
            Term::Constant(_) | Term::Place(..) | Term::Inner(..) => term_value(first, dot, scope)?,
        };
        last = Some(value);
    }
    Ok(last.unwrap_or(Value::Null))
}

fn within(value: &Value, fields: &[String]) -> Value {
    let mut value = value;
    for field in fields {
        match value.get(field) {
            Some(found) => value = found,
            None => return Value::Null,
        }
    }
    value.clone()
}

fn term_value(term: &Term, dot: &Value, scope: &mut Scope) -> Result<Value, String> {
    Ok(match term {
        Term::Constant(value) => value.clone(),
        Term::Word(name) => call(name, &[])?,
        Term::Place(None, fields) => within(dot, fields),
        Term::Place(Some(name), fields) => {
            let found = scope.iter().rev().find(|(known, _)| known == name);
            let (_, value) = found.ok_or_else(|| format!("undefined variable \"${name}\""))?;
            within(value, fields)
        }
        Term::Inner(pipe, fields) => within(&value_of(pipe, dot, scope)?, fields),
    })
}

/// Whether a value is neither empty nor zero (`template.IsTrue`).
fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_i64() != Some(0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// A value as Go prints it (`%v`).
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let pairs: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}:{}", shown(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

fn compare(name: &str, left: &Value, right: &Value) -> bool {
    let order = match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_str().zip(right.as_str()).map(|(left, right)| left.cmp(right)),
    };
    let same = left == right || order == Some(std::cmp::Ordering::Equal);
    match name {
        "eq" => same,
        "ne" => !same,
        "lt" => order.is_some_and(std::cmp::Ordering::is_lt),
        "le" => order.is_some_and(std::cmp::Ordering::is_le),
        "gt" => order.is_some_and(std::cmp::Ordering::is_gt),
        _ => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    let all = || args.iter().map(shown).collect::<Vec<_>>();
    let first = args.first().unwrap_or(&Value::Null);
    Ok(match name {
        "index" | "exists" => {
            let mut found = first;
            for key in &args[1.min(args.len())..] {
                let next = if key.is_number() {
                    key.as_u64().and_then(|at| found.get(usize::try_from(at).ok()?))
                } else {
                    found.get(shown(key))
                };
                match next {
                    Some(next) => found = next,
                    None if name == "exists" => return Ok(json!(false)),
                    None if found.is_array() => {
                        return Err(format!(
                            "error calling index: reflect: slice index out of range: {}",
                            shown(key)
                        ));
                    }
                    None => return Ok(Value::Null),
                }
            }
            if name == "exists" { json!(true) } else { found.clone() }
        }
        "len" => match first {
            Value::Array(items) => json!(items.len()),
            Value::Object(fields) => json!(fields.len()),
            Value::String(text) => json!(text.len()),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => {
                return Err(format!("error calling len: len of {}", shown(other)));
            }
        },
        "println" => json!(format!("{}\n", all().join(" "))),
        "printf" => json!(printf(first.as_str().unwrap_or_default(), &args[1.min(args.len())..])),
        "eq" => json!(args[1.min(args.len())..].iter().any(|one| compare("eq", first, one))),
        "ne" | "lt" | "le" | "gt" | "ge" => json!(compare(name, first, args.get(1).unwrap_or(&Value::Null))),
        "and" => args.iter().find(|one| !truth(one)).or(args.last()).cloned().unwrap_or(Value::Null),
        "or" => args.iter().find(|one| truth(one)).or(args.last()).cloned().unwrap_or(Value::Null),
        "not" => json!(!truth(first)),
        "base64decode" => {
            let bytes = data_encoding::BASE64.decode(first.as_str().unwrap_or_default().as_bytes());
            let bytes =
                bytes.map_err(|why| format!("error calling base64decode: base64 decode failed: {why}"))?;
            json!(String::from_utf8_lossy(&bytes))
        }
        _ => json!(all().concat()),
    })
}

/// `fmt.Sprintf` with the verbs for text and numbers, and widths.
fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut args = args.iter();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let mut width = String::new();
        let verb = loop {
            match letters.next() {
                Some(digit @ ('0'..='9' | '-' | '.')) => width.push(digit),
                other => break other,
            }
        };
        let text = match verb {
            Some('%') => "%".to_owned(),
            Some('q') => args.next().map_or_else(String::new, |arg| Value::from(shown(arg)).to_string()),
            Some(_) => args.next().map_or_else(|| "%!v(MISSING)".to_owned(), shown),
            None => "%!(NOVERB)".to_owned(),
        };
        let left = width.starts_with('-');
        let columns: usize =
            width.trim_start_matches('-').split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let blanks = " ".repeat(columns.saturating_sub(text.chars().count()));
        let (before, after) = if left { ("", blanks.as_str()) } else { (blanks.as_str(), "") };
        out.extend([before, &text, after]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::template;
    use serde_json::json;

    #[test]
    fn templates_are_filled_as_go_fills_them() {
        let value = json!({ "items": [{ "name": "a", "n": 1, "l": { "x/y": "z" } }, { "name": "b", "n": 2 }], "s": "YQ==" });
        for (text, wanted) in [
            ("{{range .items}}{{.name}} {{end}}", "a b "),
            ("{{range $i, $e := .items}}{{$i}}={{$e.name}};{{end}}", "0=a;1=b;"),
            ("{{ with index .items 0 }}{{ index .l \"x/y\" }}{{ end }}", "z"),
            ("{{if eq (len .items) 2}}two{{else}}other{{end}}", "two"),
            ("{{range .items}}{{if .l}}{{.l}}{{else if gt .n 1}}big{{end}}\n{{end}}", "map[x/y:z]\nbig\n"),
            ("{{.missing}}{{.s | base64decode}}", "<no value>a"),
            ("{{printf \"%-3s|%d\" (index .items 0).name 7}}", "a  |7"),
            ("a {{- /* none */ -}} b", "ab"),
            ("{{$x := .s}}{{$x}}{{or .missing \"none\"}}", "YQ==none"),
        ] {
            assert_eq!(template(text).and_then(|one| one.fill(&value)).as_deref(), Ok(wanted), "{text}");
        }
        assert_eq!(
            template("{{nope .x}}").map(|_| ()),
            Err("template: output:1: function \"nope\" not defined".to_owned())
        );
    }
}
