//! Verbs that change something: clients that send requests to the API server and print what came of them.

pub(super) mod apply;
mod attached;
pub(super) mod autoscale;
pub(super) mod create;
mod create_data;
mod create_job;
mod create_token;
pub(super) mod delete;
pub(super) mod diff;
pub(super) mod drain;
pub(super) mod edit;
pub(super) mod fields;
mod generate;
mod generate_ingress;
pub(super) mod manifests;
pub(super) mod node;
mod replace;
pub(super) mod rollout;
pub(super) mod run;
pub(super) mod set;
mod set_env;
mod set_subject;
pub(super) mod wait;
mod yaml_words;

pub(super) use attached::debugged;

use super::resources::{Resource, named, of_kind};
use super::{gotemplate, jsonpath, kyaml, yaml};
use crate::api::{ApiError, ApiRequest, PatchKind};
use crate::app::{Os, Process, Wake};
use crate::base::{Duration, ObjectKey};
use crate::shell::Command;
use crate::trace::Stream;
use serde_json::{Value, json};
use std::rc::Rc;

/// What a client does next.
pub(super) enum Next {
    /// Nothing: it ends with this status.
    Done(u8),
    /// This, after a while.
    Later(Duration, Step),
    /// This, as soon as more can be read from standard input.
    Input(Step),
}

/// A step of a client.
pub(super) type Step = Rc<dyn Fn(&mut dyn Os) -> Next>;

/// Said where no object is named.
const NO_RESOURCE: &str =
    "error: one or more resources must be specified as <resource> <name> or <resource>/<name>\n";

/// How often a client that waits asks again.
pub(super) const POLL: Duration = Duration::from_ms(500);

/// A client, step by step.
#[derive(Clone)]
struct Client {
    step: Step,
}

impl Process for Client {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start | Wake::Timer(_) | Wake::Input => match (self.step)(os) {
                Next::Done(status) => os.exit(status),
                Next::Later(after, step) => {
                    self.step = step;
                    os.set_timer(0, after);
                }
                Next::Input(step) => self.step = step,
            },
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Readable(_) | Wake::Writable(_) => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

/// A command that runs these steps.
pub(super) fn client(step: impl Fn(&mut dyn Os) -> Next + 'static) -> Command {
    Command::Process { output: Vec::new(), process: Box::new(Client { step: Rc::new(step) }) }
}

/// Prints on standard output.
pub(super) fn say(os: &mut dyn Os, text: &str) {
    os.write(Stream::Stdout, text);
}

/// Prints on standard error; the status of a client that fails.
pub(super) fn fail(os: &mut dyn Os, text: &str) -> u8 {
    os.write(Stream::Stderr, text);
    1
}

/// What the client says of a refusal; `doing` stands before the message where a file is named (`checkErr`).
pub(super) fn refusal(error: &ApiError, doing: &str) -> String {
    let ApiError { reason, message, .. } = error;
    if *reason == "Invalid" {
        let Some((head, causes)) = message.split_once(" is invalid: ") else {
            return format!("The request is invalid: {message}\n");
        };
        // The client names the kind without its group.
        let (kind, name) = head.split_once(' ').unwrap_or((head, ""));
        let kind = kind.split('.').next().unwrap_or(kind);
        return invalid(kind, name, &causes_of(causes));
    }
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    let doing = if doing.is_empty() { String::new() } else { format!("{doing}: ") };
    format!("Error from server{reason}: {doing}{message}\n")
}

/// Several causes stand in brackets, each beginning with the path of its field.
fn causes_of(text: &str) -> Vec<String> {
    let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        return vec![text.to_owned()];
    };
    let roots = [
        "resourceVersionMatch",
        "propagationPolicy",
        "spec",
        "metadata",
        "status",
        "data",
        "subsets",
        "webhooks",
        "rules",
        "roleRef",
        "subjects",
    ];
    let mut causes: Vec<String> = Vec::new();
    for part in inside.split(", ") {
        let begins = roots
            .iter()
            .any(|root| part.strip_prefix(root).is_some_and(|rest| rest.starts_with(['.', '[', ':'])));
        match causes.last_mut() {
            Some(last) if !begins => {
                last.push_str(", ");
                last.push_str(part);
            }
            _ => causes.push(part.to_owned()),
        }
    }
    causes
}

/// `The KIND "NAME" is invalid: …`; several causes stand below each other. `name` is in quotes.
pub(super) fn invalid(kind: &str, name: &str, causes: &[String]) -> String {
    match causes {
        [only] => format!("The {kind} {name} is invalid: {only}\n"),
        several => {
            let lines: Vec<String> = several.iter().map(|cause| format!("* {cause}\n")).collect();
            format!("The {kind} {name} is invalid: \n{}", lines.concat())
        }
    }
}

/// `TYPE/NAME` as the client prints an object.
pub(super) fn shown(resource: &Resource, name: &str) -> String {
    format!("{}/{name}", resource.singular())
}

/// The key of an object of this type.
pub(super) fn key(resource: &Resource, namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new(resource.kind, if resource.namespaced { namespace } else { "" }, name)
}

/// Reads an object.
pub(super) fn read(os: &mut dyn Os, key: &ObjectKey) -> Result<Value, ApiError> {
    os.api(&ApiRequest::Get(key.clone()))
}

/// Objects of a type in a namespace, in the order of their names; an empty namespace stands for all.
pub(super) fn list(os: &mut dyn Os, resource: &Resource, namespace: &str) -> Vec<Value> {
    let namespace = if resource.namespaced { namespace.to_owned() } else { String::new() };
    let found = os.api(&ApiRequest::List { kind: resource.kind.to_owned(), namespace });
    found.ok().and_then(|value| value.as_array().cloned()).unwrap_or_default()
}

/// Merges a patch into an object.
pub(super) fn merge(os: &mut dyn Os, key: &ObjectKey, patch: Value) -> Result<Value, ApiError> {
    os.api(&ApiRequest::Patch { key: key.clone(), kind: PatchKind::Merge, patch })
}

/// The one type and name that `TYPE NAME` or `TYPE/NAME` mean.
pub(super) fn one(operands: &[String]) -> Result<(&'static Resource, String), String> {
    let (kind, name) = match operands {
        [both] => both
            .split_once('/')
            .ok_or_else(|| "error: resource(s) were provided, but no name was specified\n".to_owned())?,
        [kind, name, ..] => (kind.as_str(), name.as_str()),
        [] => return Err("error: resource(s) were provided, but no name was specified\n".to_owned()),
    };
    let unknown = || format!("error: the server doesn't have a resource type \"{kind}\"\n");
    named(kind).first().map(|resource| (*resource, name.to_owned())).ok_or_else(unknown)
}

/// The type of an object, by what it says itself.
pub(super) fn type_of(object: &Value) -> Option<&'static Resource> {
    of_kind(object["kind"].as_str().unwrap_or(""))
}

/// What stands behind the line of a verb that only pretends.
pub(super) fn dry_run(value: Option<&str>) -> Result<(bool, &'static str), String> {
    match value {
        None | Some("none") => Ok((false, "")),
        Some("unchanged") => {
            Err("error: --dry-run flag without a value was specified. A value must be set: \"none\", \
                                  \"server\", or \"client\".\n"
                .to_owned())
        }
        Some("client") => Ok((true, " (dry run)")),
        Some("server") => Ok((true, " (server dry run)")),
        Some(other) => Err(format!(
            "error: Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\".\n"
        )),
    }
}

/// Prints an object in the form of `-o`, or the line of the verb where there is none.
pub(super) fn report(os: &mut dyn Os, output: Option<&str>, object: &Value, line: &str) {
    let resource = type_of(object);
    let name = object["metadata"]["name"].as_str().unwrap_or("");
    let text = match output {
        Some("yaml") => yaml::yaml(&yaml::sorted(object)),
        Some("kyaml") => kyaml::kyaml(&yaml::sorted(object)),
        Some("json") => yaml::json(&yaml::sorted(object)),
        Some("name") => resource.map_or_else(String::new, |one| shown(one, name) + "\n"),
        Some(form) => filled(form, &yaml::sorted(object)).unwrap_or_else(|| line.to_owned()),
        None => line.to_owned(),
    };
    say(os, &text);
}

/// An object in the form of a template.
fn filled(form: &str, object: &Value) -> Option<String> {
    match form.split_once('=')? {
        ("jsonpath", text) => Some(jsonpath::template(text).ok()?.fill(object)),
        ("go-template" | "template", text) => gotemplate::template(text).ok()?.fill(object).ok(),
        _ => None,
    }
}

/// What a client's dry run shows: the object as Go writes the type, with the structs that are never left out.
pub(super) fn shown_only(object: &Value, with_namespace: bool) -> Value {
    let mut shown = object.clone();
    match object["kind"].as_str().unwrap_or("") {
        "Service" | "Ingress" => shown["status"] = json!({ "loadBalancer": {} }),
        "Deployment" | "Pod" | "Job" | "CronJob" | "ResourceQuota" => {
            shown["status"] = json!({});
        }
        "PodDisruptionBudget" => {
            shown["status"] = json!({ "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0 });
        }
        "Namespace" => {
            shown["spec"] = json!({});
            shown["status"] = json!({});
        }
        _ => {}
    }
    if let Some(metadata) = shown["metadata"].as_object_mut().filter(|_| !with_namespace) {
        metadata.remove("namespace");
    }
    shown
}
