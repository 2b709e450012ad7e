//! The words of `kubectl get`.

use super::tables::Resource;
use super::unsimulated;
use crate::shell::out::not_simulated;
use std::collections::BTreeMap;

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

/// A requirement on labels.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    /// Resources with the names asked for; all of them where there are none.
    pub(super) wanted: Vec<(Resource, Vec<String>)>,
    /// Namespace; `None` for all.
    pub(super) namespace: Option<String>,
    pub(super) format: Format,
    pub(super) show_labels: bool,
    pub(super) no_headers: bool,
    selector: Vec<Requirement>,
}

impl Query {
    /// Whether these labels are selected.
    pub(super) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
        })
    }
}

const NO_TYPE: &str = "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete \
    list of supported resources.\n\nerror: Required resource not specified.\nUse \"kubectl explain <resource>\" \
    for a detailed description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and \
    examples\n";

/// Reads the words; the error is what goes to standard error.
pub(super) fn read(words: &[String], namespace: &str) -> Result<Query, String> {
    let mut query = Query { namespace: Some(namespace.to_owned()), ..Query::default() };
    let mut operands: Vec<&str> = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
            operands.push(word);
            continue;
        };
        let (name, joined) = flag_parts(flag);
        let mut value = || {
            let missing = || {
                let flag = if name.len() == 1 { format!("'{name}' in -{name}") } else { format!("--{name}") };
                let see = "See 'kubectl get --help' for usage.";
                format!("error: flag needs an argument: {flag}\n{see}\n")
            };
            joined.clone().or_else(|| words.next().cloned()).ok_or_else(missing)
        };
        match name.as_str() {
            "n" | "namespace" => query.namespace = Some(value()?),
            "A" | "all-namespaces" => query.namespace = None,
            "o" | "output" => query.format = format(&value()?)?,
            "l" | "selector" => query.selector = selector(&value()?)?,
            "show-labels" => query.show_labels = true,
            "no-headers" => query.no_headers = true,
            name => return Err(unknown_flag(word, name)),
        }
    }
    query.wanted = resources(&operands)?;
    let named = query.wanted.iter().any(|(_, names)| !names.is_empty());
    let namespaced = query.wanted.iter().any(|(resource, _)| resource.is_namespaced());
    if named && query.namespace.is_none() && namespaced {
        return Err("error: a resource cannot be retrieved by name across all namespaces\n".to_owned());
    }
    if named && !query.selector.is_empty() {
        return Err("error: name cannot be provided when a selector is specified\n".to_owned());
    }
    Ok(query)
}

/// A flag's name and the value joined to it: `--name=value`, `-nvalue`, `-n=value`.
fn flag_parts(flag: &str) -> (String, Option<String>) {
    if let Some(long) = flag.strip_prefix('-') {
        let (name, value) = long.split_once('=').unzip();
        return (name.unwrap_or(long).to_owned(), value.map(str::to_owned));
    }
    let letter: String = flag.chars().take(1).collect();
    let value = flag[letter.len()..].trim_start_matches('=').to_owned();
    (letter, Some(value).filter(|value| !value.is_empty()))
}

fn unknown_flag(word: &str, name: &str) -> String {
    let what = if word.starts_with("--") {
        format!("unknown flag: --{name}")
    } else {
        format!("unknown shorthand flag: '{name}' in {word}")
    };
    format!("error: {what}\nSee 'kubectl get --help' for usage.\n")
}

fn format(word: &str) -> Result<Format, String> {
    Ok(match word {
        "wide" => Format::Wide,
        "json" => Format::Json,
        "yaml" => Format::Yaml,
        "name" => Format::Name,
        _ => {
            return Err(format!(
                "error: unable to match a printer suitable for the output format \"{word}\", allowed formats are: \
                 json,name,wide,yaml\n"
            ));
        }
    })
}

fn resources(operands: &[&str]) -> Result<Vec<(Resource, Vec<String>)>, String> {
    let Some((first, rest)) = operands.split_first() else { return Err(NO_TYPE.to_owned()) };
    let unknown = |word: &str| match unsimulated::named(word) {
        Some(plural) => not_simulated("kubectl get", plural).0,
        None => format!("error: the server doesn't have a resource type \"{word}\"\n"),
    };
    if operands.iter().any(|operand| operand.contains('/')) {
        let mut wanted: Vec<(Resource, Vec<String>)> = Vec::new();
        for operand in operands {
            let Some((kind, name)) = operand.split_once('/') else {
                let text = "there is no need to specify a resource type as a separate argument when passing \
                    arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of \
                    'kubectl get resource resource/<resource_name>'";
                return Err(format!("error: {text}\n"));
            };
            let resource = Resource::named(kind).ok_or_else(|| unknown(kind))?;
            match wanted.iter_mut().find(|(other, _)| *other == resource) {
                Some((_, names)) => names.push(name.to_owned()),
                None => wanted.push((resource, vec![name.to_owned()])),
            }
        }
        return Ok(wanted);
    }
    let names: Vec<String> = rest.iter().map(|name| (*name).to_owned()).collect();
    first
        .split(',')
        .map(|kind| {
            Resource::named(kind).map(|resource| (resource, names.clone())).ok_or_else(|| unknown(kind))
        })
        .collect()
}

/// A label selector: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, joined by commas.
fn selector(text: &str) -> Result<Vec<Requirement>, String> {
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
    parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).map(requirement).collect()
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
