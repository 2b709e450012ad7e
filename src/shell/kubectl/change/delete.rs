//! `kubectl delete`.

use super::manifests::{Read, Validation, Wrong, complain, in_turn, with};
use super::{Next, POLL, Step, client, dry_run, fail, key, list, refusal, say, shown, type_of};
use crate::api::{ApiRequest, Propagation};
use crate::app::Os;
use crate::base::{Duration, ObjectKey, SimTime};
use crate::manifest;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, Words, optional, switch, value};
use crate::shell::kubectl::get::wanted;
use crate::shell::kubectl::json::text;
use crate::shell::kubectl::resources::Resource;
use crate::shell::kubectl::{labels, raw, select};
use crate::shell::out::refuse;
use serde_json::Value;
use std::rc::Rc;

const FLAGS: [Flag; 15] = [
    value("raw", ' '),
    value("filename", 'f'),
    value("output", 'o'),
    value("selector", 'l'),
    value("field-selector", ' '),
    switch("all", ' '),
    switch("all-namespaces", 'A'),
    value("grace-period", ' '),
    switch("now", ' '),
    switch("force", ' '),
    switch("ignore-not-found", ' '),
    optional("wait", "true"),
    optional("cascade", "background"),
    optional("dry-run", "unchanged"),
    value("timeout", ' '),
];
const OTHERS: [&str; 3] = ["kustomize", "recursive", "interactive"];
const NO_NAME: &str = "error: resource(s) were provided, but no name was specified\n";
const AT_ONCE: &str = "Warning: Immediate deletion does not wait for confirmation that the running resource has been \
    terminated. The resource may continue to run on the cluster indefinitely.\n";

const NOT_SCOPED: &str = "Warning: deleting cluster-scoped resources, not scoped to the provided namespace\n";

/// `kubectl delete` with these words after it.
pub(in crate::shell::kubectl) fn delete(namespace: &str, words: &[String]) -> Command {
    match prepared(namespace, words) {
        Ok(Prepared::Path(path, file)) => raw::raw_delete(&path, file.as_deref()),
        Ok(Prepared::Steps(step)) => client(move |os| step(os)),
        Err(text) => refuse(text, 1),
    }
}

/// What the words ask for.
enum Prepared {
    /// A path of the API server, and a file with the options.
    Path(String, Option<String>),
    Steps(Step),
}

/// The path that `--raw` names, and the file beside it (`DeleteOptions.Validate`).
fn path_of(words: &Words) -> Result<Option<Prepared>, String> {
    let Some(path) = words.value("raw") else { return Ok(None) };
    let files = words.values("filename");
    if !words.operands.is_empty() {
        return Err("error: arguments may not be passed when --raw is specified\n".to_owned());
    }
    if files.len() > 1 {
        return Err("error: --raw can only use a single local file or stdin\n".to_owned());
    }
    if files.first().is_some_and(|file| file.starts_with("http://") || file.starts_with("https://")) {
        return Err("error: --raw cannot read from a url\n".to_owned());
    }
    if words.value("output").is_some_and(|output| !output.is_empty()) {
        return Err("error: --raw and --output are mutually exclusive\n".to_owned());
    }
    Ok(Some(Prepared::Path(path.to_owned(), files.first().map(|file| (*file).to_owned()))))
}

fn prepared(namespace: &str, words: &[String]) -> Result<Prepared, String> {
    let words = flags::read("delete", &FLAGS, &OTHERS, words)?;
    if let Some(path) = path_of(&words)? {
        return Ok(path);
    }
    steps(namespace, words).map(Prepared::Steps)
}

/// The seconds that are asked for: without `--force` none is one (`DeleteOptions.Complete`).
fn grace_of(words: &Words) -> Result<Option<u64>, String> {
    let force = words.is_set("force");
    let given = words.value("grace-period").map(|text| {
        text.parse::<i64>().map_err(|_| {
            let why = format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
            format!(
                "error: invalid argument \"{text}\" for \"--grace-period\" flag: {why}\nSee 'kubectl delete --help' for usage.\n"
            )
        })
    });
    let given = given.transpose()?.filter(|secs| *secs != -1);
    if words.is_set("now") && given.is_some() {
        return Err("error: --now and --grace-period cannot be specified together\n".to_owned());
    }
    let given = if words.is_set("now") { Some(1) } else { given };
    let secs = given.map(|secs| if secs == 0 && !force { 1 } else { secs });
    match secs.and_then(|secs| u64::try_from(secs).ok()) {
        Some(1..) if force => {
            Err("error: --force and --grace-period greater than 0 cannot be specified together\n".to_owned())
        }
        None if force => Ok(Some(0)),
        secs => Ok(secs),
    }
}

/// What the client objects to before it asks (`DeleteOptions.Validate`).
fn objection(words: &Words) -> Result<(), String> {
    if let Some(output) = words.value("output").filter(|output| !matches!(*output, "" | "name")) {
        return Err(format!("error: unexpected -o output mode: {output}. We only support '-o name'\n"));
    }
    let all = words.is_set("all");
    for selector in ["selector", "field-selector"] {
        if all && words.value(selector).is_some_and(|text| !text.is_empty()) {
            return Err(format!("error: cannot set --all and --{selector} at the same time\n"));
        }
    }
    Ok(())
}

fn steps(namespace: &str, words: Words) -> Result<Step, String> {
    dry_run(words.value("dry-run"))?;
    propagation(&words)?;
    grace_of(&words)?;
    objection(&words)?;
    let limit = words.value("timeout").map(|text| manifest::duration(text).ok_or_else(|| wrong_limit(text)));
    limit.transpose()?;
    let namespace = words.namespace(namespace).to_owned();
    let files: Vec<String> = words.values("filename").into_iter().map(str::to_owned).collect();
    if !files.is_empty() {
        let place = (namespace, words.value("namespace").is_some());
        return Ok(with(
            files,
            place,
            ("delete", Validation::Ignore),
            Rc::new(move |os: &mut dyn Os, found: Vec<Read>| {
                let mut keys = Vec::new();
                let mut messages = Vec::new();
                let source = found.first().map(|one| one.source.clone()).unwrap_or_default();
                for one in in_turn(found) {
                    let object = match &one.object {
                        Ok(object) => object,
                        Err(Wrong::Unread(text) | Wrong::Unsent(text)) => {
                            messages.push(text.clone());
                            continue;
                        }
                        // What the server would refuse to take is not there either.
                        Err(Wrong::Refused(_)) => continue,
                    };
                    let Some(resource) = type_of(object) else { continue };
                    let namespace = text(object, "metadata.namespace");
                    keys.push((resource, key(resource, namespace, text(object, "metadata.name"))));
                }
                carry_out(os, &words, &keys, (messages, &format!("error when deleting \"{source}\"")))
            }),
        ));
    }
    let none = "error: You must provide one or more resources by argument or filename.\nExample resource \
        specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'\n";
    let wanted = wanted("delete", &words.operands, none)?;
    let labels = labels::of_list(wanted[0].0, words.value("selector"))?;
    let fields = select::fields(words.value("field-selector").unwrap_or(""))?;
    let chosen = !labels.is_empty() || words.value("field-selector").is_some() || words.is_set("all");
    if !chosen && wanted.iter().any(|(_, names)| names.is_empty()) {
        return Err(NO_NAME.to_owned());
    }
    Ok(Rc::new(move |os: &mut dyn Os| {
        let mut keys: Vec<(&'static Resource, ObjectKey)> = Vec::new();
        let everywhere = words.is_set("all-namespaces");
        for (resource, names) in &wanted {
            if names.is_empty() {
                let objects = list(os, resource, if everywhere { "" } else { &namespace });
                let objects = objects.iter().filter(|one| labels.selects(one) && fields.selects(one));
                let of =
                    |one: &Value| key(resource, text(one, "metadata.namespace"), text(one, "metadata.name"));
                keys.extend(objects.map(|one| (*resource, of(one))));
            }
            keys.extend(names.iter().map(|name| (*resource, key(resource, &namespace, name))));
        }
        if keys.is_empty() {
            say(os, "No resources found\n");
            return Next::Done(0);
        }
        carry_out(os, &words, &keys, (Vec::new(), ""))
    }))
}

fn propagation(words: &Words) -> Result<Option<Propagation>, String> {
    Ok(match words.value("cascade") {
        None => None,
        Some("background" | "true") => Some(Propagation::Background),
        Some("foreground") => Some(Propagation::Foreground),
        Some("orphan" | "false") => Some(Propagation::Orphan),
        Some(other) => {
            return Err(format!(
                "error: invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\"\n"
            ));
        }
    })
}

pub(super) fn wrong_limit(text: &str) -> String {
    format!("error: invalid argument {text:?} for \"--timeout\" flag: time: invalid duration {text:?}\n")
}

/// Asks for each deletion, says so, and waits until all of it is gone. `messages` are said with those of refusals.
fn carry_out(
    os: &mut dyn Os,
    words: &Words,
    keys: &[(&'static Resource, ObjectKey)],
    (messages, doing): (Vec<String>, &str),
) -> Next {
    let grace = grace_of(words).ok().flatten();
    let (only, mark) = dry_run(words.value("dry-run")).unwrap_or_default();
    if grace == Some(0) {
        fail(os, AT_ONCE);
    }
    let mut warns = words.value("namespace").is_some() && !words.is_set("all-namespaces");
    let chosen = ["all", "selector", "field-selector"].iter().any(|flag| words.value(flag).is_some());
    let passes_over = words.value("ignore-not-found").map_or(chosen, |value| value != "false");
    let mut waits = Vec::new();
    let mut refusals = Vec::new();
    for (resource, key) in keys {
        if !resource.namespaced && std::mem::take(&mut warns) {
            fail(os, NOT_SCOPED);
        }
        let propagation = propagation(words).ok().flatten();
        let request = if only {
            ApiRequest::Get(key.clone())
        } else {
            ApiRequest::Delete { key: key.clone(), propagation, grace_seconds: grace }
        };
        match os.api(&request) {
            Ok(object) => {
                if words.value("output") == Some("name") {
                    say(os, &format!("{}\n", shown(resource, &key.name)));
                } else {
                    let verb = if grace == Some(0) { "force deleted" } else { "deleted" };
                    let place = if key.namespace.is_empty() {
                        String::new()
                    } else {
                        format!(" from {} namespace", key.namespace)
                    };
                    say(os, &format!("{} \"{}\" {verb}{place}{mark}\n", resource.singular(), key.name));
                }
                waits.push((*resource, key.clone(), uid_of(&object)));
            }
            Err(error) if error.code == 404 && passes_over => {}
            Err(error) => refusals.push(refusal(&error, doing)),
        }
    }
    refusals.extend(messages);
    let status = complain(os, &refusals);
    if only || status != 0 || words.value("wait").is_some_and(|wait| wait != "true") {
        return Next::Done(status);
    }
    let limit = words.value("timeout").and_then(manifest::duration).filter(|limit| *limit != Duration::ZERO);
    let until = limit.map(|limit| os.now() + limit);
    gone(os, waits, until)
}

fn uid_of(object: &Value) -> String {
    text(object, "metadata.uid").to_owned()
}

/// An object that is to go, by its identity: another one of its name may come.
type Going = (&'static Resource, ObjectKey, String);

/// Ends when none of the objects is there any more, one after the other (`RunWait`).
fn gone(os: &mut dyn Os, mut waits: Vec<Going>, until: Option<SimTime>) -> Next {
    let is_there = |os: &mut dyn Os, (_, key, uid): &Going| {
        super::read(os, key).is_ok_and(|object| uid_of(&object) == *uid)
    };
    while waits.first().is_some_and(|one| !is_there(os, one)) {
        waits.remove(0);
    }
    let Some((resource, key, _)) = waits.first() else { return Next::Done(0) };
    if until.is_some_and(|until| os.now() >= until) {
        let (plural, name) = (resource.plural, &key.name);
        let text = format!("error: timed out waiting for the condition on {plural}/{name}\n");
        return Next::Done(fail(os, &text));
    }
    Next::Later(POLL, Rc::new(move |os: &mut dyn Os| gone(os, waits.clone(), until)))
}
