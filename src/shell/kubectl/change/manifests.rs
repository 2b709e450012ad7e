//! What `-f` names: the objects of files, of folders' files one by one, and of standard input.

use super::{Next, Step, fail};
use crate::app::{Input, Os};
use crate::base::words::Lang;
use crate::base::{Diagnostic, Severity};
use crate::manifest;
use crate::shell::kubectl::resources::of_kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

/// An object of a manifest.
#[derive(Clone, Debug)]
pub(in crate::shell::kubectl) struct Read {
    /// Where it stands, as messages name it.
    pub(in crate::shell::kubectl) source: String,
    /// The object, with its namespace.
    pub(in crate::shell::kubectl) object: Result<Value, Wrong>,
}

/// What is wrong with a document, in the client's words.
#[derive(Clone, Debug)]
pub(in crate::shell::kubectl) enum Wrong {
    /// The client cannot make an object of it. Whoever goes through a stream hears of that at its end
    /// (`EagerVisitorList`).
    Unread(String),
    /// The client does not send it.
    Unsent(String),
    /// The server refuses it.
    Refused(String),
}

impl Wrong {
    /// The words, with what stands before an only one.
    pub(in crate::shell::kubectl) fn text(&self) -> &str {
        match self {
            Self::Unread(text) | Self::Unsent(text) | Self::Refused(text) => text,
        }
    }
}

/// Objects in the order in which they are worked on, those that could not be read last.
pub(in crate::shell::kubectl) fn in_turn(mut found: Vec<Read>) -> Vec<Read> {
    found.sort_by_key(|one| matches!(one.object, Err(Wrong::Unread(_))));
    found
}

/// Says what went wrong, when all is done (`cmdutil.CheckErr`): several messages stand without `error:`. The status.
pub(in crate::shell::kubectl) fn complain(os: &mut dyn Os, messages: &[String]) -> u8 {
    if let [only] = messages {
        return fail(os, only);
    }
    for message in messages {
        fail(os, message.strip_prefix("error: ").unwrap_or(message));
    }
    u8::from(!messages.is_empty())
}

/// The message for an object without a name.
const NAMELESS: &str = "invalid.no-name";

/// What is done about fields that nobody knows (`--validate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::kubectl) enum Validation {
    /// The object is refused.
    Strict,
    /// The server warns.
    Warn,
    /// Nothing.
    Ignore,
}

impl Validation {
    /// Reads the value of the flag (`GetValidationDirective`).
    pub(in crate::shell::kubectl) fn read(value: Option<&str>) -> Result<Self, String> {
        match value {
            None | Some("strict" | "true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(Self::Strict),
            Some("warn") => Ok(Self::Warn),
            Some("ignore" | "false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(Self::Ignore),
            Some(other) => Err(format!(
                "error: invalid - validate option {other:?}; must be one of: strict (or true), warn, ignore (or false)\n"
            )),
        }
    }
}

/// What the client does with a manifest that it could read.
pub(in crate::shell::kubectl) type Then = Rc<dyn Fn(&mut dyn Os, Vec<Read>) -> Next>;

/// Reads what `files` name and goes on with it. `namespace` is where objects go that name none; `given` whether the
/// command line named it.
pub(in crate::shell::kubectl) fn with(
    files: Vec<String>,
    namespace: (String, bool),
    (doing, validation): (&'static str, Validation),
    then: Then,
) -> Step {
    collect(
        files,
        Vec::new(),
        String::new(),
        Rc::new(move |os: &mut dyn Os, texts: Vec<(String, String)>| {
            let mut found = Vec::new();
            for (source, text) in &texts {
                let lenient = manifest::lenient(text).filter(|_| validation != Validation::Strict);
                let (text, said) = lenient.unwrap_or_else(|| (text.clone(), Vec::new()));
                if validation == Validation::Warn {
                    for said in &said {
                        fail(os, &format!("Warning: {said}\n"));
                    }
                }
                match objects(source, &text, &namespace, (doing, validation)) {
                    Ok(read) => found.extend(read),
                    Err(message) => return Next::Done(fail(os, &message)),
                }
            }
            if found.is_empty() {
                return Next::Done(fail(os, &format!("error: no objects passed to {doing}\n")));
            }
            then(os, found)
        }),
    )
}

type Texts = Rc<dyn Fn(&mut dyn Os, Vec<(String, String)>) -> Next>;

/// Reads one file after the other; standard input may take several steps.
fn collect(files: Vec<String>, texts: Vec<(String, String)>, piece: String, then: Texts) -> Step {
    Rc::new(move |os: &mut dyn Os| {
        let (mut texts, mut piece) = (texts.clone(), piece.clone());
        for (at, file) in files.iter().enumerate() {
            if file == "-" {
                loop {
                    match os.read_input() {
                        Input::Data(bytes) => piece.push_str(&String::from_utf8_lossy(&bytes)),
                        Input::End => break,
                        Input::Pending => {
                            return Next::Input(collect(files[at..].to_vec(), texts, piece, then.clone()));
                        }
                    }
                }
                texts.push(("STDIN".to_owned(), std::mem::take(&mut piece)));
            } else if file.contains("://") {
                return Next::Done(fail(os, &format!("kubectl: not simulated: {file}\n")));
            } else if let Some(text) = os.read_file(file) {
                texts.push((file.clone(), text));
            } else {
                return Next::Done(fail(os, &format!("error: the path \"{file}\" does not exist\n")));
            }
        }
        then(os, texts)
    })
}

/// What the client itself says of a document that it can make no object of, and whether it reads on after it
/// (`StreamVisitor.Visit`): it does not after what cannot be read and after what it finds invalid.
fn unread(
    found: &Diagnostic,
    (source, text): (&str, &str),
    validation: Validation,
) -> Option<(Result<Value, String>, bool)> {
    let span = found.span.unwrap_or_default();
    let document = || {
        let start = text.get(..span.start)?.rfind("\n---").map_or(0, |at| at + 1);
        let own = text.get(start..)?.split("\n---").next()?;
        manifest::value_of(own)
    };
    if found.message.starts_with("yaml.") || found.message.starts_with("text.") {
        let why = super::yaml_words::of(found, text);
        let text = format!("error: error parsing {source}: error converting YAML to JSON: {why}\n");
        return Some((Err(text), false));
    }
    if !found.message.starts_with("object.") {
        return None;
    }
    let value = document().unwrap_or_default();
    let version = value["apiVersion"].as_str();
    if let Some(why) = invalid(&value).filter(|_| validation != Validation::Ignore) {
        let text = format!(
            "error: error validating \"{source}\": error validating data: {why}; if you choose to ignore these errors, \
             turn validation off with --validate=false\n"
        );
        return Some((Err(text), false));
    }
    // Without a version those of the core are looked through.
    let core = value["kind"].as_str().filter(|_| version.is_none()).and_then(of_kind);
    if core.is_some_and(|resource| resource.api_version == "v1") {
        let mut value = value;
        value["apiVersion"] = json!("v1");
        return Some((Ok(value), true));
    }
    let text = match found.message {
        "object.no-match" | "object.no-version" => {
            let at = |field: &str| value["metadata"][field].as_str().unwrap_or("").to_owned();
            let (name, namespace, kind) = (at("name"), at("namespace"), value["kind"].as_str().unwrap_or(""));
            format!(
                "error: resource mapping not found for name: \"{name}\" namespace: \"{namespace}\" from \"{source}\": no \
                 matches for kind \"{kind}\" in version \"{}\"\nensure CRDs are installed first\n",
                version.unwrap_or("")
            )
        }
        _ => format!("error: unable to decode \"{source}\": {}\n", undecodable(found, &value)),
    };
    Some((Err(text), true))
}

/// What the client misses in a document before it asks anybody (`getObjectKind`).
fn invalid(value: &Value) -> Option<String> {
    let Some(fields) = value.as_object() else { return Some("invalid object to validate".to_owned()) };
    let missing = ["apiVersion", "kind"].into_iter().filter_map(|field| match fields.get(field) {
        None | Some(Value::Null) => Some(format!("{field} not set")),
        Some(Value::String(_)) => None,
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(format!("{field} isn't string type"))
        }
    });
    match &missing.collect::<Vec<_>>()[..] {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

/// The objects of a text in order. An error means that nothing of it can be used.
fn objects(
    source: &str,
    text: &str,
    place: &(String, bool),
    (doing, validation): (&str, Validation),
) -> Result<Vec<Read>, String> {
    let parsed = manifest::parse(text);
    let errors = || parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let mut found: Vec<(usize, Read)> = Vec::new();
    let mut add = |at: usize, object: Result<Value, Wrong>| {
        found.push((at, Read { source: source.to_owned(), object }));
    };
    let mut end = usize::MAX;
    let mut wrong: BTreeMap<&str, Vec<&Diagnostic>> = BTreeMap::new();
    // What objects are to each other is for the server to say, one after the other.
    let is_own =
        |found: &&Diagnostic| !["across.", "allocated."].iter().any(|begin| found.message.starts_with(begin));
    for diagnostic in errors().filter(is_own) {
        let at = diagnostic.span.map_or(0, |span| span.start);
        match unread(diagnostic, (source, text), validation) {
            Some((object, goes_on)) => {
                let object = object.map_err(Wrong::Unread);
                add(at, object.and_then(|object| placed(object, place)));
                if !goes_on {
                    end = end.min(at);
                }
            }
            None => wrong.entry(&diagnostic.object).or_default().push(diagnostic),
        }
    }
    for (label, list) in wrong {
        let at = list.iter().filter_map(|found| found.span).map(|span| span.start).min().unwrap_or(0);
        let nameless = list.iter().any(|found| found.message == NAMELESS);
        let kind = label.split('/').next().and_then(of_kind);
        let message = match kind {
            // The client needs a name to look for what is there, before the server sees the object.
            Some(resource) if doing == "apply" && nameless => {
                super::apply::nameless(resource, &place.0, source)
            }
            Some(_) | None => complaint((source, text), label, &list, doing),
        };
        add(at, Err(Wrong::Refused(message)));
    }
    for located in &parsed.objects {
        if located.object.kind() == "Cluster" {
            return Err(format!(
                "kubectl {doing}: not simulated: a Cluster document: edit the manifest instead\n"
            ));
        }
        add(located.span.start, placed((*located.raw).clone(), place));
    }
    found.retain(|(at, _)| *at <= end);
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, read)| read).collect())
}

/// An object in its namespace, which the command line may have named (`SetNamespace`, `RequireNamespace`).
fn placed(mut object: Value, (namespace, given): &(String, bool)) -> Result<Value, Wrong> {
    let kind = object["kind"].as_str().unwrap_or("");
    if manifest::resource(kind).is_some_and(|one| one.namespaced) {
        let own = object["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
        if own.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        } else if *given && own != *namespace {
            return Err(Wrong::Unsent(format!(
                "error: the namespace from the provided object \"{own}\" does not match the namespace \
                 \"{namespace}\". You must pass '--namespace={own}' to perform this operation.\n"
            )));
        }
    }
    Ok(object)
}

/// Why the client cannot tell which object a document is (`UnstructuredJSONScheme`).
fn undecodable(found: &Diagnostic, value: &Value) -> String {
    match (found.message, value) {
        ("object.no-kind", value) => {
            format!("Object 'Kind' is missing in '{}'", crate::shell::kubectl::yaml::sorted(value))
        }
        ("object.no-mapping", value) => {
            let form = match value {
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Bool(_) => "bool",
                Value::Array(_) => "array",
                Value::Null | Value::Object(_) => "object",
            };
            format!("json: cannot unmarshal {form} into Go value of type unstructured.detector")
        }
        _ => found.message_in(Lang::En),
    }
}

/// What the API server would say of an object, as the client prints it.
fn complaint((source, text): (&str, &str), label: &str, found: &[&Diagnostic], doing: &str) -> String {
    let mut parts = label.split('/');
    let kind = parts.next().unwrap_or("");
    let name = parts.next_back().unwrap_or("");
    let verb = if doing == "replace" { "replacing" } else { "creating" };
    let decoding: Vec<String> = found
        .iter()
        .filter(|one| one.message.starts_with("decode."))
        .map(|one| one.message_in(Lang::En))
        .collect();
    if !decoding.is_empty() {
        let at = found.iter().find_map(|one| one.span).map_or(0, |span| span.start);
        let version = manifest::version_at(text, at).unwrap_or_else(|| "v1".to_owned());
        let version = version.rsplit('/').next().unwrap_or(&version);
        let strict = found.iter().all(|one| {
            matches!(one.message, "decode.unknown" | "decode.duplicate")
                || !one.message.starts_with("decode.")
        });
        let strict = if strict { "strict decoding error: " } else { "" };
        let why = if strict.is_empty() { decoding[0].clone() } else { decoding.join(", ") };
        return format!(
            "Error from server (BadRequest): error when {verb} \"{source}\": {kind} in version \"{version}\" cannot be \
             handled as a {kind}: {strict}{why}\n"
        );
    }
    let causes: Vec<String> =
        found.iter().map(|one| format!("{}: {}", one.path, one.message_in(Lang::En))).collect();
    super::invalid(kind, &format!("\"{name}\""), &causes)
}
