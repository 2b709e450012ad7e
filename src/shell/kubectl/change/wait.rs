//! `kubectl wait`.

use super::{Next, POLL, client, fail, key, list, read, say, shown};
use crate::app::Os;
use crate::base::SimTime;
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
            let (path, value) = match path.rsplit_once("}=") {
                Some((path, value)) => (format!("{path}}}"), Some(value.to_owned())),
                None => (path.to_owned(), None),
            };
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
                items(object, "status.conditions").iter().any(|one| {
                    text(one, "type").eq_ignore_ascii_case(kind)
                        && text(one, "status").eq_ignore_ascii_case(status)
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
    let limit = manifest::duration(limit)
        .ok_or_else(|| format!("error: invalid argument {limit:?} for \"--timeout\" flag\n"))?;
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
        let until = os.now() + limit;
        turn(os, &all, &what, until, true)
    }))
}

type Objects = [(&'static Resource, String, String)];

fn turn(os: &mut dyn Os, all: &Objects, what: &For, until: SimTime, is_first: bool) -> Next {
    let mut left = Vec::new();
    for (resource, namespace, name) in all {
        let object = read(os, &key(resource, namespace, name)).ok();
        if what.holds(object.as_ref()) {
            // One that was gone before the first look is passed over in silence; the words are the same for every end.
            if object.is_some() || !is_first {
                say(os, &format!("{} condition met\n", shown(resource, name)));
            }
        } else if object.is_none() && is_first && !matches!(what, For::Create) {
            return Next::Done(fail(os, &not_found(resource, name)));
        } else {
            left.push((*resource, namespace.clone(), name.clone()));
        }
    }
    if left.is_empty() {
        return Next::Done(0);
    }
    if os.now() >= until && matches!(what, For::Create) {
        return Next::Done(fail(os, "error: timed out waiting for the condition\n"));
    }
    if os.now() >= until {
        // With a limit of nothing it looks once.
        let what = if is_first { "condition not met for" } else { "timed out waiting for the condition on" };
        for (resource, _, name) in &left {
            fail(os, &format!("error: {what} {}/{name}\n", resource.plural));
        }
        return Next::Done(1);
    }
    let what = what.clone();
    Next::Later(POLL, Rc::new(move |os: &mut dyn Os| turn(os, &left, &what, until, false)))
}
