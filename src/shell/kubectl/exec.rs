//! `kubectl exec`: a command in a container.

use super::attach::NO_TERMINAL;
use super::flags::{read, switch, value};
use super::json::{list, text};
use super::resources::{Resource, named, of_kind};
use super::{get, view};
use crate::shell::out::{Out, refuse};
use crate::shell::{Command, Context};
use serde_json::Value;

const NO_POD: &str = "error: pod, type/name or --filename must be specified\n";
const OLD_FORM: &str = "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee \
    'kubectl exec -h' for help and examples\n";

/// `kubectl exec` with these words after it.
pub(super) fn exec(context: &Context<'_>, words: &[String]) -> Command {
    match prepared(context, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

fn prepared(context: &Context<'_>, words: &[String]) -> Result<Command, String> {
    let known = [switch("stdin", 'i'), switch("tty", 't'), value("container", 'c'), switch("quiet", 'q')];
    let words = read("exec", &known, &["filename", "pod-running-timeout"], words)?;
    let Some(target) = words.operands.first() else { return Err(NO_POD.to_owned()) };
    let argv = match &words.rest {
        Some(argv) if !argv.is_empty() => argv.clone(),
        None if words.operands.len() > 1 => return Err(OLD_FORM.to_owned()),
        Some(_) | None => {
            return Err("error: you must specify at least one command for the container\n".to_owned());
        }
    };
    let namespace = words.namespace(context.kube_namespace);
    let mut out = Out::default();
    let (wanted, quiet) = (words.value("container"), words.is_set("quiet"));
    let has_tty = words.is_set("tty");
    let Some((name, container)) = place(context, (namespace, target), wanted, (quiet, has_tty), &mut out)?
    else {
        return Ok(out.done(1));
    };
    let pod = Box::new((namespace.to_owned(), name));
    let reads = words.is_set("stdin");
    Ok(Command::Exec { pod, container, argv, reads, has_tty, output: out.into_pieces() })
}

/// The Pod and container where a command is to run, or nothing where it cannot; the flags are whether what goes without
/// saying is left out, and whether a terminal is asked for.
pub(super) fn place(
    context: &Context<'_>,
    (namespace, target): (&str, &str),
    wanted: Option<&str>,
    (quiet, has_tty): (bool, bool),
    out: &mut Out,
) -> Result<Option<(String, Option<String>)>, String> {
    let Some(pods) = of_kind("Pod") else { return Err(NO_POD.to_owned()) };
    let all = view::objects(context.inventory, pods);
    let pod = pod_behind(context, target, namespace, &all)?;
    let name = text(pod, "metadata.name").to_owned();
    if let phase @ ("Succeeded" | "Failed") = text(pod, "status.phase") {
        return Err(format!(
            "error: cannot exec into a container in a completed pod; current phase is {phase}\n"
        ));
    }
    if text(pod, "spec.nodeName").is_empty() {
        return Err(format!("Error from server (BadRequest): pod {name} does not have a host assigned\n"));
    }
    if has_tty && context.input.is_some() && !quiet {
        out.err(NO_TERMINAL);
    }
    let names = containers(pod);
    let container = match wanted {
        Some(wanted)
            if !names
                .iter()
                .any(|known| known.trim_end_matches(" (init)").trim_end_matches(" (ephem)") == wanted) =>
        {
            return Err(format!(
                "error: container {wanted} is not valid for pod {name} out of: {}\n",
                names.join(", ")
            ));
        }
        Some(wanted) => Some(wanted.to_owned()),
        None => {
            if let Some(first) = names.first().filter(|_| names.len() > 1 && !quiet) {
                out.err(format!("Defaulted container \"{first}\" out of: {}\n", names.join(", ")));
            }
            None
        }
    };
    let chosen = container.clone().unwrap_or_else(|| {
        list(pod, "spec.containers").first().map_or_else(String::new, |one| text(one, "name").to_owned())
    });
    let runs = |path: &str| {
        let found = list(pod, path).iter().find(|one| text(one, "name") == chosen);
        found.is_some_and(|one| one["state"]["running"].is_object())
    };
    let lists =
        ["status.containerStatuses", "status.initContainerStatuses", "status.ephemeralContainerStatuses"];
    if !lists.into_iter().any(runs) {
        out.err(format!(
            "error: Internal error occurred: unable to upgrade connection: container not found (\"{chosen}\")\n"
        ));
        return Ok(None);
    }
    Ok(Some((name, container)))
}

/// Containers as messages list them: the Pod's own, then the others.
pub(super) fn containers(pod: &Value) -> Vec<String> {
    let own = list(pod, "spec.containers").iter().map(|one| text(one, "name").to_owned());
    let init = list(pod, "spec.initContainers").iter().map(|one| format!("{} (init)", text(one, "name")));
    let further = list(pod, "spec.ephemeralContainers").iter();
    let further = further.map(|one| format!("{} (ephem)", text(one, "name")));
    own.chain(further).chain(init).collect()
}

/// The Pod that a target means: itself, or the first one behind a controller or a Service.
pub(super) fn pod_behind<'p>(
    context: &Context<'_>,
    target: &str,
    namespace: &str,
    pods: &'p [Value],
) -> Result<&'p Value, String> {
    let (kind, name) = target.split_once('/').unwrap_or(("pod", target));
    let unknown = || format!("error: the server doesn't have a resource type \"{kind}\"\n");
    let resource: &Resource = named(kind).first().copied().ok_or_else(unknown)?;
    let here = |pod: &&Value| text(pod, "metadata.namespace") == namespace;
    if resource.kind == "Pod" {
        let found = pods.iter().find(|pod| here(pod) && text(pod, "metadata.name") == name);
        return found.ok_or_else(|| get::not_found(resource, name));
    }
    let objects = view::objects(context.inventory, resource);
    let object = objects
        .iter()
        .find(|one| text(one, "metadata.namespace") == namespace && text(one, "metadata.name") == name)
        .ok_or_else(|| get::not_found(resource, name))?;
    let path = match resource.kind {
        "Service" | "ReplicationController" => "spec.selector",
        _ => "spec.selector.matchLabels",
    };
    let labels = super::json::entries(object, path);
    if labels.is_empty() && resource.kind == "Service" {
        let kind = format!("*v1.{}", resource.kind);
        return Err(format!(
            "error: cannot attach to {kind}: invalid service '{name}': Service is defined without a selector\n"
        ));
    }
    let selected = |pod: &&Value| {
        let own = super::json::entries(pod, "metadata.labels");
        !labels.is_empty() && labels.iter().all(|pair| own.contains(pair))
    };
    let those = pods.iter().filter(here).filter(selected);
    those
        .min_by_key(|pod| activity(pod))
        .ok_or_else(|| "error: timed out waiting for the condition\n".to_owned())
}

/// Where a Pod stands among others: those that do most come first (`podutils.ActivePods`, turned round). Times are
/// texts that sort as they follow each other.
fn activity(pod: &Value) -> (bool, u8, bool, &str, i64, &str) {
    let phase = match text(pod, "status.phase") {
        "Running" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let is_ready = |one: &&Value| one["type"] == "Ready" && one["status"] == "True";
    let ready = list(pod, "status.conditions").iter().find(is_ready);
    let since = ready.map_or("", |one| text(one, "lastTransitionTime"));
    let statuses = list(pod, "status.containerStatuses").iter();
    let restarts = statuses.filter_map(|one| one["restartCount"].as_i64()).max().unwrap_or(0);
    let unassigned = text(pod, "spec.nodeName").is_empty();
    (unassigned, phase, ready.is_none(), since, restarts, text(pod, "metadata.creationTimestamp"))
}
