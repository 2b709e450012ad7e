//! `kubectl apply`, `kubectl create -f`, `kubectl replace`.

use super::manifests::{Read, Validation, Wrong, complain, in_turn, with};
use super::{Next, client, dry_run, fail, key, read, refusal, replace, report, shown, type_of};
use crate::api::ApiRequest;
use crate::app::Os;
use crate::cluster::patch;
use crate::manifest;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, Words, optional, switch, value};
use crate::shell::kubectl::resources::Resource;
use crate::shell::out::refuse;
use crate::trace::api_defaults;
use serde_json::{Value, json};
use std::rc::Rc;

/// Annotation in which `apply` remembers what it applied.
pub(super) const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";

const FLAGS: [Flag; 7] = [
    value("filename", 'f'),
    value("output", 'o'),
    optional("dry-run", "unchanged"),
    optional("validate", "strict"),
    switch("save-config", ' '),
    value("field-manager", ' '),
    switch("force", ' '),
];
const OTHERS: [&str; 12] = [
    "kustomize",
    "recursive",
    "prune",
    "prune-allowlist",
    "selector",
    "all",
    "server-side",
    "force-conflicts",
    "overwrite",
    "cascade",
    "grace-period",
    "raw",
];

/// `apply`, `create -f` or `replace`.
pub(in crate::shell::kubectl) fn files(verb: &'static str, namespace: &str, words: &[String]) -> Command {
    let words = match flags::read(verb, &FLAGS, &OTHERS, words) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    let sources: Vec<String> = words.values("filename").into_iter().map(str::to_owned).collect();
    if sources.is_empty() {
        return refuse("error: must specify one of -f and -k\n", 1);
    }
    if let Err(text) = dry_run(words.value("dry-run")) {
        return refuse(text, 1);
    }
    let validation = match Validation::read(words.value("validate")) {
        Ok(validation) => validation,
        Err(text) => return refuse(text, 1),
    };
    let place = (words.namespace(namespace).to_owned(), words.value("namespace").is_some());
    let step = with(
        sources,
        place,
        (verb, validation),
        Rc::new(move |os: &mut dyn Os, found: Vec<Read>| {
            let mut found = in_turn(found);
            if verb == "apply" {
                // It goes through all of the stream before it sends anything.
                found.sort_by_key(|one| matches!(one.object, Ok(_) | Err(Wrong::Refused(_))));
            }
            let mut messages = Vec::new();
            if verb == "replace" && words.is_set("force") {
                return replace::forced(os, found, words.value("output").map(str::to_owned));
            }
            for one in found {
                let outcome = match &one.object {
                    Ok(object) => write(os, verb, object, (&one.source, &words)),
                    Err(wrong) => Err(wrong.text().to_owned()),
                };
                messages.extend(outcome.err());
            }
            Next::Done(complain(os, &messages))
        }),
    );
    client(move |os| step(os))
}

fn write(os: &mut dyn Os, verb: &str, object: &Value, (source, words): (&str, &Words)) -> Result<(), String> {
    let Some(resource) = type_of(object) else { return Ok(()) };
    let (only, mark) = dry_run(words.value("dry-run"))?;
    let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
    let key = key(resource, &namespace, &name);
    if verb == "apply" && name.is_empty() {
        let generated = object["metadata"]["generateName"].as_str().unwrap_or("");
        return Err(format!("error: from {generated}: cannot use generate name with apply\n"));
    }
    let mut own = object.clone();
    let output = words.value("output");
    if verb == "apply" || words.is_set("save-config") {
        own["metadata"]["annotations"][LAST] = json!(remembered(object));
    }
    let live = read(os, &key).ok().filter(|_| verb != "create");
    let (request, what) = match (verb, live) {
        ("replace", _) => (ApiRequest::Replace(own), "replaced"),
        ("apply", Some(mut live)) => {
            // The client reads and writes in the version of the file.
            manifest::conversion::show(&mut live, own["apiVersion"].as_str().unwrap_or_default());
            let before = live["metadata"]["annotations"][LAST].as_str();
            if before.is_none() {
                let warning = missing(&shown_plural(resource.plural, &name));
                fail(os, &warning);
            }
            let before = before.and_then(|text| serde_json::from_str::<Value>(text).ok());
            let mut merged = patch::three_way(before.as_ref(), &own, &live);
            if let Some(fields) = merged.as_object_mut() {
                fields.remove("status");
                fields.extend(live.get("status").map(|status| ("status".to_owned(), status.clone())));
            }
            // What the API server fills in anyway is no difference.
            let mut filled = merged.clone();
            api_defaults::fill(&mut filled);
            if yaml_equal(&filled, &live) {
                report(os, output, &live, &format!("{} unchanged{mark}\n", shown(resource, &name)));
                return Ok(());
            }
            (ApiRequest::Replace(merged), "configured")
        }
        _ => (ApiRequest::Create(own), "created"),
    };
    if mark.contains("server")
        && let ApiRequest::Create(made) = &request
    {
        let doing = format!("error when creating \"{source}\"");
        let made = os.api(&ApiRequest::Check(made.clone())).map_err(|error| refusal(&error, &doing))?;
        report(os, output, &made, &format!("{} {what}{mark}\n", shown(resource, &name)));
        return Ok(());
    }
    if only {
        let (ApiRequest::Create(made) | ApiRequest::Replace(made)) = &request else { return Ok(()) };
        report(os, output, made, &format!("{} {what}{mark}\n", shown(resource, &name)));
        return Ok(());
    }
    let doing = match what {
        "created" => format!("error when creating \"{source}\""),
        "replaced" => format!("error when replacing \"{source}\""),
        _ => format!(
            "error when applying patch:\n{{}}\nto:\n{}\nfor: \"{source}\": error when patching \"{source}\"",
            info(resource, (&name, &namespace))
        ),
    };
    let done = os.api(&request).map_err(|error| refusal(&error, &doing))?;
    let name = done["metadata"]["name"].as_str().unwrap_or(&name).to_owned();
    report(os, output, &done, &format!("{} {what}{mark}\n", shown(resource, &name)));
    Ok(())
}

/// An object with its type, as the client names both (`resource.Info`).
fn info(resource: &Resource, (name, namespace): (&str, &str)) -> String {
    let (group, version) = resource.api_version.split_once('/').unwrap_or(("", resource.api_version));
    format!(
        "Resource: \"{group}/{version}, Resource={}\", GroupVersionKind: \"{group}/{version}, Kind={}\"\nName: {name:?}, \
         Namespace: {namespace:?}",
        resource.plural, resource.kind
    )
}

/// What `apply` says of an object that has no name.
pub(super) fn nameless(resource: &Resource, namespace: &str, source: &str) -> String {
    let namespace = if resource.namespaced { namespace } else { "" };
    format!(
        "error: error when retrieving current configuration of:\n{}\nfrom server for: \"{source}\": resource name may not be \
         empty\n",
        info(resource, ("", namespace))
    )
}

/// `pods/web`.
fn shown_plural(plural: &str, name: &str) -> String {
    format!("{plural}/{name}")
}

/// Whether two objects say the same, in whatever order.
fn yaml_equal(one: &Value, other: &Value) -> bool {
    use crate::shell::kubectl::yaml::sorted;
    sorted(one) == sorted(other)
}

/// The object as `apply` compares it: with annotations, but not its own, and without a status (`GetModifiedConfiguration`).
pub(super) fn plain(object: &Value) -> Value {
    let mut plain = object.clone();
    if !plain["metadata"]["annotations"].is_object() {
        plain["metadata"]["annotations"] = json!({});
    }
    if let Some(fields) = plain["metadata"]["annotations"].as_object_mut() {
        fields.remove(LAST);
    }
    plain.as_object_mut().map(|fields| fields.remove("status"));
    plain
}

/// The object as `apply` writes it down, with a line end behind it.
fn remembered(object: &Value) -> String {
    format!("{}\n", crate::shell::kubectl::yaml::sorted(&plain(object)))
}

fn missing(object: &str) -> String {
    format!(
        "Warning: resource {object} is missing the {LAST} annotation which is required by kubectl apply. kubectl apply \
         should only be used on resources created declaratively by either kubectl create --save-config or kubectl \
         apply. The missing annotation will be patched automatically.\n"
    )
}
