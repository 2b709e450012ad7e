//! YAML text → API objects and diagnostics with their places. Nothing here fails: what is wrong in the text becomes a
//! [`Diagnostic`], and what is right is there all the same.

mod assist;
mod characters;
pub mod conversion;
mod decode;
pub mod families;
mod kube_proxy;
pub mod limits;
mod objects;
mod output;
mod path;
mod plain;
pub mod pod_amounts;
mod prune;
pub mod quotas;
mod reading;
mod report;
mod resolve;
mod scalar;
mod schema;
mod tree;
mod validate;
mod values;

pub use assist::{Explained, Help, Offer, Offers, explain, field_help, help, offers};
pub use output::{Sources, check_json, check_text};
pub use reading::Reading;

use crate::api::{Cluster, EndpointSlice, NetworkPolicy, Node, Object, Pod, Service};
use crate::base::words::Lang;
use crate::base::{Diagnostic, Duration, Severity, Span};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The longest text that is read, in bytes. The largest cluster that the benches know (30,000 Pods) is built
/// otherwise; etcd takes objects of 1.5 MiB.
pub const TEXT_LIMIT: usize = 4 << 20;

/// How many diagnostics are kept.
const DIAGNOSTIC_LIMIT: usize = 200;

/// An object with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Where the object stands: the whole document, or the element of a list.
    pub span: Span,
    /// The whole object as JSON, just as it was written.
    pub raw: Arc<Value>,
    /// The object, with the namespace filled in.
    pub object: Object,
}

/// What a text turned out to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The objects without errors, in the order of the text.
    pub objects: Vec<Located>,
    /// What was found, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether anything is wrong, so that the text cannot be applied.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The Pods in the order of the text.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.objects
            .iter()
            .filter_map(|located| if let Object::Pod(pod) = &located.object { Some(&**pod) } else { None })
    }

    /// The Nodes in the order of the text.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.objects
            .iter()
            .filter_map(|located| if let Object::Node(node) = &located.object { Some(&**node) } else { None })
    }

    /// The Services in the order of the text.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.objects.iter().filter_map(|located| {
            if let Object::Service(service) = &located.object { Some(&**service) } else { None }
        })
    }

    /// The `EndpointSlices` in the order of the text, and those that stand for Endpoints in their older form.
    pub fn slices(&self) -> impl Iterator<Item = EndpointSlice> {
        self.objects.iter().flat_map(|located| match &located.object {
            Object::EndpointSlice(slice) => vec![(**slice).clone()],
            Object::Endpoints(endpoints) => endpoints.mirrored().collect(),
            Object::Pod(_)
            | Object::Node(_)
            | Object::Cluster(_)
            | Object::Service(_)
            | Object::NetworkPolicy(_)
            | Object::AdminNetworkPolicy(_)
            | Object::Other(_) => Vec::new(),
        })
    }

    /// The network policies in the order of the text.
    pub fn policies(&self) -> impl Iterator<Item = &NetworkPolicy> {
        self.objects.iter().filter_map(|located| {
            if let Object::NetworkPolicy(policy) = &located.object { Some(&**policy) } else { None }
        })
    }

    /// The cluster document, if there is one.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.objects.iter().find_map(|located| {
            if let Object::Cluster(cluster) = &located.object { Some(&**cluster) } else { None }
        })
    }
}

/// Reads a text. With bytes that are no text at all, the only diagnostic says so.
pub fn parse_bytes(bytes: &[u8]) -> Parsed {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text),
        Err(error) => {
            whole_text(Severity::Error, "text.binary", "text.binary.hint", &error.valid_up_to().to_string())
        }
    }
}

/// Reads a text.
pub fn parse(text: &str) -> Parsed {
    let mut reading = Reading::new(text.into());
    while reading.advance() {}
    reading.finish()
}

/// Where a path of an object stands in the text that it was read from; the nearest field above it where that field is
/// not written.
pub fn span_of(text: &str, located: &Located, path: &str) -> Option<Span> {
    fn find(node: &tree::Node, span: Span) -> Option<&tree::Node> {
        if node.span == span {
            return Some(node);
        }
        node.get("items")?.items().iter().find_map(|item| find(item, span))
    }
    let (start, body) = text.strip_prefix('\u{feff}').map_or((0, text), |body| (3, body));
    let (roots, _) = tree::read(start, body);
    let node = roots.iter().find_map(|root| find(root, located.span))?;
    Some(node.at(path))
}

/// Where line `line`, from 1, of the text at `path` stands: the line itself where the text is a literal block (`|`), the
/// whole value where it is written in another way.
pub fn line_of(text: &str, located: &Located, path: &str, line: usize) -> Option<Span> {
    let whole = span_of(text, located, path)?;
    let Some(mut start) = literal(text, whole.start) else { return Some(whole) };
    for _ in 1..line {
        let Some(end) = text[start..].find('\n') else { return Some(whole) };
        start += end + 1;
    }
    let line = text[start..].lines().next().unwrap_or("");
    let indent = line.len() - line.trim_start().len();
    Some(Span { start: start + indent, end: start + line.trim_end().len().max(indent) })
}

/// Where the first line of the literal block begins whose first words stand at `at`; `None` where that is no such block.
fn literal(text: &str, at: usize) -> Option<usize> {
    let mut first = text[..at].rfind('\n')? + 1;
    loop {
        let before = text[..first - 1].rfind('\n').map_or(0, |end| end + 1);
        let line = text[before..first - 1].trim();
        if !line.is_empty() {
            let indicator = line.split(" #").next().unwrap_or("").trim_end();
            let bare = indicator.trim_end_matches(|at: char| at.is_ascii_digit() || "+-".contains(at));
            return bare.ends_with('|').then_some(first);
        }
        first = before.max(1);
        if before == 0 {
            return None;
        }
    }
}

/// Reads an object that is there as JSON, with the same checks; what is found is told in the order of the API server.
pub fn parse_value(value: &Value) -> Parsed {
    // JSON is YAML.
    let mut reading = Reading::new(value.to_string().into());
    while reading.advance() {}
    reading.finish_as_found()
}

/// The value of a text that holds one document, as it stands; `None` for what cannot be read.
pub fn value_of(text: &str) -> Option<Value> {
    let (roots, diagnostics) = tree::read(0, text);
    roots.first().filter(|_| diagnostics.is_empty()).map(tree::Node::to_json)
}

pub use prune::{lenient, prune, version_at};
pub use schema::nearest;

/// The length that a duration in Go's form means, as `1m30s`.
pub fn duration(text: &str) -> Option<Duration> {
    values::duration(text)
}

/// What is wrong with a key of data, in the API server's words (`IsConfigMapKey`).
pub fn is_config_key(key: &str) -> Vec<String> {
    validate::config_key(key)
}

/// Whether a text is a name of the DNS (`IsDNS1123Subdomain`).
pub fn is_subdomain(text: &str) -> bool {
    validate::is_subdomain(text)
}

/// The errors of a text in the API server's words, each with the path of its field, and none of them twice.
pub fn api_errors(parsed: &Parsed) -> Vec<String> {
    let errors = parsed.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let line = |diagnostic: &Diagnostic| {
        let message = diagnostic.message_in(Lang::En);
        if diagnostic.path.is_empty() { message } else { format!("{}: {message}", diagnostic.path) }
    };
    let mut seen = BTreeSet::new();
    errors.map(line).filter(|line| seen.insert(line.clone())).collect()
}

/// What forbids `new` to take the place of `old`, an object of the same kind and name: fields that may not change. In
/// the API server's words, each with the path of its field.
pub fn update_errors(old: &Value, new: &Value) -> Vec<String> {
    let text = |field: &str| new.get(field).and_then(Value::as_str).unwrap_or("");
    let Some(kind) = schema::schema().kind(text("apiVersion"), text("kind")) else { return Vec::new() };
    let root = tree::Node::nowhere();
    let mut report = report::Report::new(&root, report::About { kind: "", is_namespaced: false });
    validate::update(kind, old, new, &mut report);
    api_errors(&Parsed { objects: Vec::new(), diagnostics: report.finish() })
}

/// A type of object that the API server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Group and version, as `apps/v1`.
    pub api_version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// The type of a kind.
pub fn resource(kind: &str) -> Option<Resource> {
    let known = schema::schema().kinds.iter().find(|known| known.name == kind)?;
    Some(Resource { api_version: known.api_version, kind: known.name, namespaced: known.namespaced })
}

impl Resource {
    /// Its name in the plural, with the group, as messages have it: `deployments.apps`.
    pub fn plural(&self) -> String {
        let name = self.kind.to_lowercase();
        let name = match name.strip_suffix('y') {
            Some(stem) if name.ends_with("cy") => format!("{stem}ies"),
            _ if name.ends_with("ss") => format!("{name}es"),
            _ if name.ends_with('s') => name,
            _ => format!("{name}s"),
        };
        match self.api_version.split_once('/') {
            Some((group, _)) => format!("{name}.{group}"),
            None => name,
        }
    }
}

/// Keeps as many diagnostics as a person may read, errors before all others, and says how many more there are.
fn limit(diagnostics: &mut Vec<Diagnostic>) {
    if diagnostics.len() <= DIAGNOSTIC_LIMIT {
        return;
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.severity);
    let left = diagnostics.split_off(DIAGNOSTIC_LIMIT);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    let rest = whole_text(Severity::Info, "text.many", "text.many.hint", &left.len().to_string());
    diagnostics.extend(rest.diagnostics);
}

fn whole_text(severity: Severity, message: &'static str, hint: &'static str, arg: &str) -> Parsed {
    let diagnostic = Diagnostic {
        severity,
        span: None,
        object: String::new(),
        path: String::new(),
        message,
        hint: Some(hint),
        args: vec![arg.to_owned()],
        fix: None,
        demo: None,
    };
    Parsed { objects: Vec::new(), diagnostics: vec![diagnostic] }
}
