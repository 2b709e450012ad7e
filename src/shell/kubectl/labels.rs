//! Label selectors, read token by token as the API server does (`labels.Parse` of apimachinery), with its words for what
//! is wrong.

use super::json::{entries, plain};
use super::resources::Resource;
use serde_json::{Value, json};

/// A requirement on labels.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    More(String, i64),
    Less(String, i64),
}

/// A label selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(Vec<Requirement>);

impl Labels {
    /// Whether the labels of an object are selected.
    pub(super) fn selects(&self, object: &Value) -> bool {
        let labels = entries(object, "metadata.labels");
        let label = |key: &str| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| plain(value));
        let number = |key: &str| label(key)?.parse::<i64>().ok();
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => label(key).is_some_and(|value| values.contains(&value)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|value| !values.contains(&value)),
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
            Requirement::More(key, limit) => number(key).is_some_and(|value| value > *limit),
            Requirement::Less(key, limit) => number(key).is_some_and(|value| value < *limit),
        })
    }

    /// Whether it selects everything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What the client prints when the API server refuses the selectors of a list (`EnhanceListError`).
pub(super) fn refused(resource: &Resource, labels: &str, fields: &str, why: &str) -> String {
    let slash = if resource.api_version.contains('/') { "" } else { "/" };
    let what = format!("\"{slash}{}, Resource={}\"", resource.api_version, resource.plural);
    format!(
        "Error from server (BadRequest): Unable to find {what} that match label selector {labels:?}, field selector \
         {fields:?}: {why}\n"
    )
}

/// The label selector of a list of this type, or what the client prints.
pub(super) fn of_list(resource: &Resource, text: Option<&str>) -> Result<Labels, String> {
    let text = text.unwrap_or("").trim();
    labels(text).map_err(|why| refused(resource, text, "", &why))
}

/// A token: whether it is a word, and its text. The others are `=`, `==`, `!=`, `!`, `(`, `)`, `,`, `<`, `>`, and the
/// end, which is empty.
type Token<'t> = (bool, &'t str);

const END: Token<'static> = (false, "");

fn is_sign(letter: char) -> bool {
    matches!(letter, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

/// The tokens of a selector.
fn tokens(mut text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(first) = text.chars().next() else { return found };
        let length = if is_sign(first) {
            ["==", "!="].iter().find(|sign| text.starts_with(**sign)).map_or(1, |sign| sign.len())
        } else {
            text.find(|letter: char| is_sign(letter) || letter.is_ascii_whitespace()).unwrap_or(text.len())
        };
        let (token, rest) = text.split_at(length);
        found.push(if is_sign(first) { (false, token) } else { (true, token) });
        text = rest;
    }
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
}

impl<'t> Parser<'t> {
    fn next(&self) -> Token<'t> {
        self.tokens.get(self.at).copied().unwrap_or(END)
    }

    fn take(&mut self) -> Token<'t> {
        let token = self.next();
        self.at += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.next() == (false, "!");
        if absent {
            self.take();
        }
        let key = match self.take() {
            (true, key) => key.to_owned(),
            other => return Err(format!("found '{}', expected: identifier", other.1)),
        };
        if matches!(self.next(), END | (false, ",")) {
            return Ok(if absent { Requirement::Absent(key) } else { Requirement::Exists(key) });
        }
        if absent {
            return Ok(Requirement::Absent(key));
        }
        match self.take() {
            (false, "=" | "==") => Ok(Requirement::In(key, vec![self.exact()?])),
            (false, "!=") => Ok(Requirement::NotIn(key, vec![self.exact()?])),
            (false, sign @ (">" | "<")) => {
                let value = self.exact()?;
                let whole = |_| {
                    format!(
                        "values[0]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
                    )
                };
                let value = value.parse().map_err(whole)?;
                Ok(if sign == ">" { Requirement::More(key, value) } else { Requirement::Less(key, value) })
            }
            (true, "in") => Ok(Requirement::In(key, self.set()?)),
            (true, "notin") => Ok(Requirement::NotIn(key, self.set()?)),
            other => Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.1)),
        }
    }

    fn exact(&mut self) -> Result<String, String> {
        if matches!(self.next(), END | (false, ",")) {
            return Ok(String::new());
        }
        match self.take() {
            (true, value) => Ok(value.to_owned()),
            other => Err(format!("found '{}', expected: identifier", other.1)),
        }
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        let open = self.take();
        if open != (false, "(") {
            return Err(format!("found '{}' expected: '('", open.1));
        }
        let first = self.next();
        match first {
            (true, _) | (false, ",") => {}
            (false, ")") => {
                self.take();
                let why = "for 'in', 'notin' operators, values set can't be empty";
                return Err(format!("values: Invalid value: []: {why}"));
            }
            other => return Err(format!("found '{}', expected: ',', ')' or identifier", other.1)),
        }
        let values = self.values()?;
        if self.take() != (false, ")") {
            return Err(format!("found '{}', expected: ')'", first.1));
        }
        Ok(values)
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let mut found: Vec<String> = Vec::new();
        loop {
            match self.take() {
                (true, value) => {
                    found.push(value.to_owned());
                    match self.next() {
                        (false, ",") => {}
                        (false, ")") => return Ok(found),
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.1)),
                    }
                }
                (false, ",") => {
                    if found.is_empty() {
                        found.push(String::new());
                    }
                    match self.next() {
                        (false, ")") => {
                            found.push(String::new());
                            return Ok(found);
                        }
                        (false, ",") => {
                            self.take();
                            found.push(String::new());
                        }
                        _ => {}
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.1)),
            }
        }
    }
}

/// Reads a label selector. The error is the API server's.
pub(super) fn labels(text: &str) -> Result<Labels, String> {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    let mut found = Vec::new();
    loop {
        match parser.next() {
            (true, _) | (false, "!") => {}
            END => return Ok(Labels(found)),
            other => {
                return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.1));
            }
        }
        found.push(parser.requirement().map_err(|why| format!("unable to parse requirement: {why}"))?);
        match parser.take() {
            END => return Ok(Labels(found)),
            (false, ",") => {
                let next = parser.next();
                if !matches!(next, (true, _) | (false, "!")) {
                    return Err(format!("found '{}', expected: identifier after ','", next.1));
                }
            }
            other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.1)),
        }
    }
}

/// A selector as an object holds it (`ParseToLabelSelector`).
pub(super) fn of_object(text: &str) -> Result<Value, String> {
    let parsed =
        labels(text).map_err(|why| format!("couldn't parse the selector string \"{text}\": {why}"))?;
    if tokens(text).contains(&(false, "!=")) {
        return Err("\"!=\" is not a valid label selector operator".to_owned());
    }
    let (mut equal, mut others) = (serde_json::Map::new(), Vec::new());
    for requirement in &parsed.0 {
        let (key, operator, values) = match requirement {
            Requirement::In(key, values) if values.len() == 1 => {
                equal.insert(key.clone(), json!(values[0]));
                continue;
            }
            Requirement::In(key, values) => (key, "In", Some(values)),
            Requirement::NotIn(key, values) => (key, "NotIn", Some(values)),
            Requirement::Exists(key) => (key, "Exists", None),
            Requirement::Absent(key) => (key, "DoesNotExist", None),
            Requirement::More(..) => return Err("\"gt\" isn't supported in label selectors".to_owned()),
            Requirement::Less(..) => return Err("\"lt\" isn't supported in label selectors".to_owned()),
        };
        let mut one = json!({ "key": key, "operator": operator });
        if let Some(values) = values {
            let mut values = values.clone();
            values.sort();
            one["values"] = json!(values);
        }
        others.push(one);
    }
    let mut selector = json!({});
    if !equal.is_empty() {
        selector["matchLabels"] = equal.into();
    }
    if !others.is_empty() {
        selector["matchExpressions"] = json!(others);
    }
    Ok(selector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_select() {
        let pod = json!({ "metadata": { "labels": { "app": "web", "tier": "x", "n": "7" } } });
        for (selector, selected) in [
            ("app=web", true),
            ("app==web,tier!=y", true),
            ("app in (db, web)", true),
            ("app notin (db,web)", false),
            ("tier,!zone", true),
            ("zone", false),
            ("n>5,n<8", true),
            ("n>7", false),
            ("zone=", false),
            ("", true),
        ] {
            assert_eq!(labels(selector).unwrap().selects(&pod), selected, "{selector}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_the_server_says_it() {
        for (selector, why) in [
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
            ("app in web", "unable to parse requirement: found 'web' expected: '('"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a,", "found '', expected: identifier after ','"),
            ("=a", "found '=', expected: !, identifier, or 'end of string'"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a==(b)", "unable to parse requirement: found '(', expected: identifier"),
        ] {
            assert_eq!(labels(selector).unwrap_err(), why, "{selector}");
        }
    }
}
