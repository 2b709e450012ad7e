//! `kubectl wait`.

use super::manifests::complain;
use super::{Next, POLL, client, fail, key, list, read, say, shown};
use crate::app::Os;
use crate::base::{Duration, SimTime};
use crate::manifest;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, switch, value};
use crate::shell::kubectl::get::{not_found, wanted};
use crate::shell::kubectl::json::{list as items, plain, text};
use crate::shell::kubectl::resources::Resource;
use crate::shell::kubectl::{jsonpath, labels};
use crate::shell::out::refuse;
use serde_json::Value;
use std::rc::Rc;

const FLAGS: [Flag; 5] = [
    value("for", ' '),
    value("timeout", ' '),
    value("selector", 'l'),
    switch("all", ' '),
    switch("all-namespaces", 'A'),
];

/// What is waited for.
#[derive(Clone, Debug)]
enum For {
    /// A condition has this status.
    Condition(String, String),
    /// The object is there.
    Create,
    /// The object is gone.
    Delete,
    /// A path finds this value, or anything where there is none.
    Path(jsonpath::Template, Option<String>),
}

const JSONPATH_FORM: &str = "error: jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or \
    --for=jsonpath='{.status.readyReplicas}'\n";
const JSONPATH_VALUE: &str = "error: jsonpath wait has to have a value after equal sign, like \
    --for=jsonpath='{.status.readyReplicas}'=3\n";

/// A path and its value, with an equal sign between; two of them belong to the path (`splitJSONPathInput`).
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '=' && letters.next_if_eq(&'=').is_none() {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push_str(if letter == '=' { "==" } else { "" });
            part.extend(Some(letter).filter(|letter| *letter != '='));
        }
    }
    parts
}

/// Whether a condition is about the object as it is now (`observedGeneration`).
fn is_current(object: &Value, condition: &Value) -> bool {
    let seen = [condition.get("observedGeneration"), object["status"].get("observedGeneration")];
    let seen = seen.into_iter().flatten().find_map(Value::as_i64);
    let now = object["metadata"]["generation"].as_i64();
    seen.zip(now).is_none_or(|(seen, now)| seen >= now)
}

impl For {
    fn read(text: &str) -> Result<Self, String> {
        match text.to_lowercase().as_str() {
            "create" => return Ok(Self::Create),
            "delete" => return Ok(Self::Delete),
            _ => {}
        }
        if let Some(condition) = text.strip_prefix("condition=") {
            let (kind, status) = condition.split_once('=').unwrap_or((condition, "true"));
            return Ok(Self::Condition(kind.to_owned(), status.to_owned()));
        }
        if let Some(path) = text.strip_prefix("jsonpath=") {
            let (path, value) = match &parts(path)[..] {
                [path] => (path.clone(), None),
                [path, value] => (path.clone(), Some(value.trim_matches(['\'', '"']).to_owned())),
                _ => return Err(JSONPATH_FORM.to_owned()),
            };
            if value.as_deref() == Some("") {
                return Err(JSONPATH_VALUE.to_owned());
            }
            let path = jsonpath::path(&path).map_err(|why| format!("error: {why}\n"))?;
            return Ok(Self::Path(path, value));
        }
        Err(format!("error: unrecognized condition: {text:?}\n"))
    }

    /// Whether an object, or that it is gone, is what is waited for.
    fn holds(&self, object: Option<&Value>) -> bool {
        match (self, object) {
            (Self::Delete, None) | (Self::Create, Some(_)) => true,
            (Self::Delete, Some(_)) | (Self::Create | Self::Condition(..) | Self::Path(..), None) => false,
            (Self::Condition(kind, status), Some(object)) => {
                let conditions = items(object, "status.conditions");
                let found = conditions.iter().find(|one| text(one, "type").eq_ignore_ascii_case(kind));
                found.is_some_and(|one| {
                    is_current(object, one) && text(one, "status").eq_ignore_ascii_case(status)
                })
            }
            (Self::Path(path, value), Some(object)) => {
                let found = path.find(object);
                found.first().is_some_and(|found| value.as_ref().is_none_or(|value| plain(found) == *value))
            }
        }
    }
}

/// `kubectl wait` with these words after it.
pub(in crate::shell::kubectl) fn wait(namespace: &str, words: &[String]) -> Command {
    match waits(namespace, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

fn waits(namespace: &str, words: &[String]) -> Result<Command, String> {
    let words =
        flags::read("wait", &FLAGS, &["filename", "field-selector", "output", "local", "recursive"], words)?;
    let what = For::read(words.value("for").unwrap_or(""))?;
    let limit = words.value("timeout").unwrap_or("30s");
    let limit = match limit.strip_prefix('-') {
        // For ever is a week.
        Some(rest) => manifest::duration(rest).map(|_| Duration::from_secs(168 * 3_600)),
        None => manifest::duration(limit),
    }
    .ok_or_else(|| {
        format!(
            "error: invalid argument {limit:?} for \"--timeout\" flag: time: invalid duration {limit:?}\n"
        )
    })?;
    let looks_once = limit == Duration::ZERO;
    let wanted = wanted(
        "wait",
        &words.operands,
        "error: you must specify at least one resource by name, selector or type\n",
    )?;
    let labels = labels::of_list(wanted[0].0, words.value("selector"))?;
    let namespace = words.namespace(namespace).to_owned();
    Ok(client(move |os| {
        let mut all: Vec<(&'static Resource, String, String)> = Vec::new();
        for (resource, names) in &wanted {
            for name in names {
                all.push((resource, namespace.clone(), name.clone()));
            }
            if names.is_empty() {
                let everywhere = words.is_set("all-namespaces");
                let found = list(os, resource, if everywhere { "" } else { &namespace });
                let found = found.iter().filter(|one| labels.selects(one));
                all.extend(found.map(|one| {
                    (
                        *resource,
                        text(one, "metadata.namespace").to_owned(),
                        text(one, "metadata.name").to_owned(),
                    )
                }));
            }
        }
        if all.is_empty() && !matches!(what, For::Delete | For::Create) {
            return Next::Done(fail(os, "error: no matching resources found\n"));
        }
        let waits = Rc::new(Waits { all, what: what.clone(), until: os.now() + limit, looks_once });
        turn(os, &waits, (0, true), &[])
    }))
}

/// What is waited for, one object after the other.
struct Waits {
    all: Vec<(&'static Resource, String, String)>,
    what: For,
    until: SimTime,
    /// Whether there is no time at all.
    looks_once: bool,
}

/// Goes on from the object at a place, which is looked at for the first time or not, with what went wrong before.
fn turn(
    os: &mut dyn Os,
    waits: &Rc<Waits>,
    (mut at, mut is_first): (usize, bool),
    errors: &[String],
) -> Next {
    let mut errors = errors.to_vec();
    let Waits { all, what, until, looks_once } = &**waits;
    while let Some((resource, namespace, name)) = all.get(at) {
        let object = read(os, &key(resource, namespace, name)).ok();
        let creates = matches!(what, For::Create);
        if what.holds(object.as_ref()) {
            // One that was gone before the first look is passed over in silence; the words are the same for every end.
            if object.is_some() || !is_first {
                say(os, &format!("{} condition met\n", shown(resource, name)));
            }
        } else if object.is_none() && is_first && !creates {
            errors.push(not_found(resource, name));
        } else if os.now() >= *until && creates {
            errors.push("error: timed out waiting for the condition\n".to_owned());
        } else if os.now() >= *until {
            let words =
                if *looks_once { "condition not met for" } else { "timed out waiting for the condition on" };
            errors.push(format!("error: {words} {}/{name}\n", resource.plural));
        } else {
            let waits = waits.clone();
            return Next::Later(POLL, Rc::new(move |os: &mut dyn Os| turn(os, &waits, (at, false), &errors)));
        }
        (at, is_first) = (at + 1, true);
    }
    Next::Done(complain(os, &errors))
}
