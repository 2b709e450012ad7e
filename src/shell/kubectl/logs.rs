//! `kubectl logs`.

use super::flags::{Flag, Words, read, switch, value};
use super::json::{entries, text};
use super::labels::{self, Labels};
use super::resources::{named, of_kind};
use super::view;
use crate::shell::out::{Out, refuse};
use crate::shell::{Command, Context, Follow, Followed};
use crate::trace::{ContainerRow, ContainerState, PodPhase, PodRow};

const FLAGS: [Flag; 8] = [
    value("container", 'c'),
    switch("previous", 'p'),
    switch("all-containers", ' '),
    switch("all-pods", ' '),
    value("tail", ' '),
    switch("follow", 'f'),
    value("selector", 'l'),
    switch("prefix", ' '),
];
const OTHERS: [&str; 9] = [
    "since",
    "since-time",
    "timestamps",
    "limit-bytes",
    "ignore-errors",
    "insecure-skip-tls-verify-backend",
    "max-log-requests",
    "pod-running-timeout",
    "filename",
];
const NO_POD: &str = "error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for \
    the logs command\nSee 'kubectl logs -h' for help and examples\n";

/// `kubectl logs` with these words after it.
pub(super) fn logs(context: &Context<'_>, words: &[String]) -> Command {
    match answer(context, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

fn answer(context: &Context<'_>, words: &[String]) -> Result<Command, String> {
    let words = read("logs", &FLAGS, &OTHERS, words)?;
    let namespace = words.namespace(context.kube_namespace).to_owned();
    let by_label = words.value("selector");
    let mut out = Out::default();
    let pods = match (by_label, words.operands.first()) {
        (Some(_), Some(_)) => return Err("error: only a selector (-l) or a POD name is allowed\n".to_owned()),
        (Some(selector), None) => {
            let labels =
                of_kind("Pod").map_or(Ok(Labels::default()), |pods| labels::of_list(pods, Some(selector)))?;
            let pods = rows(context, &namespace, |object| labels.selects(object));
            if pods.is_empty() {
                out.err(format!("No resources found in {namespace} namespace.\n"));
                return Ok(out.done(0));
            }
            pods
        }
        (None, Some(target)) => behind(context, &namespace, target, words.is_set("all-pods"), &mut out)?,
        (None, None) => return Err(NO_POD.to_owned()),
    };
    let mut all = Vec::new();
    for pod in pods {
        let chosen = match containers(pod, &words, &mut out) {
            Ok(chosen) => chosen,
            Err(text) => {
                out.err(text);
                return Ok(out.done(1));
            }
        };
        for container in chosen {
            match log_of(context, pod, container, words.is_set("previous")) {
                Ok(text) => {
                    out.out(shown(&text, (pod, container), &words));
                    all.push((pod, container, text.len()));
                }
                Err(text) => {
                    out.err(text);
                    return Ok(out.done(1));
                }
            }
        }
    }
    // *Simplified*: several logs are shown as they stand.
    if let [(pod, container, shown)] = all[..]
        && words.is_set("follow")
        && !words.is_set("previous")
        && matches!(container.state, ContainerState::Running(_))
        && !words.is_set("prefix")
    {
        let name = (pod.namespace.to_string(), pod.name.to_string(), container.name.to_string());
        let followed = Followed {
            container: name,
            life: container.restarts,
            shown,
            looked_at: 0,
            passes: false,
            is_once: false,
            after: None,
        };
        return Ok(Command::Follow(Box::new(Follow { output: out.into_pieces(), before: None, followed })));
    }
    Ok(out.done(0))
}

/// The last lines of a log, each behind the container it comes from where that is asked for.
fn shown(text: &str, (pod, container): (&PodRow, &ContainerRow), words: &Words) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // Of several Pods ten lines each are enough, unless more are asked for.
    let usual = words.value("selector").map(|_| 10);
    let tail = words.value("tail").map_or(usual, |count| count.parse::<usize>().ok());
    let from = tail.map_or(0, |count| lines.len().saturating_sub(count));
    if !words.is_set("prefix") {
        return lines[from..].concat();
    }
    let mark = format!("[pod/{}/{}] ", pod.name, container.name);
    lines[from..].iter().flat_map(|line| [mark.as_str(), *line]).collect()
}

/// Pods of a namespace that fit, in the order of their names.
fn rows<'p>(
    context: &'p Context<'_>,
    namespace: &str,
    fits: impl Fn(&serde_json::Value) -> bool,
) -> Vec<&'p PodRow> {
    let Some(pods) = of_kind("Pod") else { return Vec::new() };
    let objects = view::objects(context.inventory, pods);
    let found = objects.iter().filter(|one| text(one, "metadata.namespace") == namespace && fits(one));
    let row = |name: &str| context.inventory.pods.get(&(namespace.into(), name.into())).map(|row| &**row);
    found.filter_map(|one| row(text(one, "metadata.name"))).collect()
}

/// The Pods that a target means: itself, or one behind a controller or a Service, the one that had best be looked at
/// (`podutils.ByLogging`).
fn behind<'p>(
    context: &'p Context<'_>,
    namespace: &str,
    target: &str,
    all: bool,
    out: &mut Out,
) -> Result<Vec<&'p PodRow>, String> {
    let (kind, name) = target.split_once('/').unwrap_or(("pod", target));
    let unknown = || format!("error: the server doesn't have a resource type \"{kind}\"\n");
    let resource = named(kind).first().copied().ok_or_else(unknown)?;
    let missing = |what: &str| {
        format!(
            "error: error from server (NotFound): {what} \"{name}\" not found in namespace \"{namespace}\"\n"
        )
    };
    if resource.kind == "Pod" {
        let pod = context.inventory.pods.get(&(namespace.into(), name.into()));
        return pod.map(|pod| vec![&**pod]).ok_or_else(|| missing("pods"));
    }
    let objects = view::objects(context.inventory, resource);
    let here = |one: &&serde_json::Value| {
        text(one, "metadata.namespace") == namespace && text(one, "metadata.name") == name
    };
    let object = objects.iter().find(here).ok_or_else(|| missing(&resource.plural_with_group()))?;
    let path = if resource.kind == "Service" { "spec.selector" } else { "spec.selector.matchLabels" };
    let labels = entries(object, path);
    let mut pods = rows(context, namespace, |pod| {
        let own = entries(pod, "metadata.labels");
        !labels.is_empty() && labels.iter().all(|pair| own.contains(pair))
    });
    if labels.is_empty() {
        return Err(format!(
            "error: cannot get the logs from {}: selector is empty\n",
            resource.plural_with_group()
        ));
    }
    let unready = |pod: &&PodRow| {
        let ready = pod.conditions.iter().any(|one| one.kind == "Ready" && one.holds);
        (pod.node.is_none(), pod.phase != PodPhase::Running, !ready, pod.created)
    };
    pods.sort_by_key(unready);
    let Some(first) = pods.first() else {
        return Err("error: timed out waiting for the condition\n".to_owned());
    };
    if all || pods.len() == 1 {
        return Ok(pods);
    }
    out.err(format!("Found {} pods, using pod/{}\n", pods.len(), first.name));
    Ok(vec![first])
}

/// The containers of a Pod that are asked for.
fn containers<'p>(pod: &'p PodRow, words: &Words, out: &mut Out) -> Result<Vec<&'p ContainerRow>, String> {
    let ordinary: Vec<&ContainerRow> = pod.containers.iter().filter(|one| !one.init).collect();
    let inits = || pod.containers.iter().filter(|one| one.init);
    if words.is_set("all-containers") {
        return Ok(inits().chain(ordinary).collect());
    }
    let names = || {
        let own = ordinary
            .iter()
            .map(|one| if one.ephemeral { format!("{} (ephem)", one.name) } else { one.name.to_string() });
        own.chain(inits().map(|one| format!("{} (init)", one.name))).collect::<Vec<_>>().join(", ")
    };
    let asked = words.value("container").or(words.operands.get(1).map(String::as_str));
    let Some(wanted) = asked else {
        if let Some(first) = ordinary.first().filter(|_| pod.containers.len() > 1) {
            out.err(format!("Defaulted container \"{}\" out of: {}\n", first.name, names()));
        }
        return Ok(ordinary.into_iter().take(1).collect());
    };
    match pod.containers.iter().find(|one| *one.name == *wanted) {
        Some(found) => Ok(vec![found]),
        None => Err(format!("error: container {wanted} is not valid for pod {}\n", pod.name)),
    }
}

fn log_of(
    context: &Context<'_>,
    pod: &PodRow,
    container: &ContainerRow,
    previous: bool,
) -> Result<String, String> {
    let (name, pod_name) = (&container.name, &pod.name);
    let life = match (&container.state, previous) {
        // A container that waits to be started again shows how it ended the last time.
        (ContainerState::Waiting(_), _) if container.last.is_some() => container.restarts,
        (ContainerState::Waiting(reason), _) => {
            let what = format!("container \"{name}\" in pod \"{pod_name}\" is waiting to start: {reason}");
            return Err(format!("Error from server (BadRequest): {what}\n"));
        }
        (_, false) => container.restarts,
        (_, true) if container.restarts == 0 => {
            let what = format!("previous terminated container \"{name}\" in pod \"{pod_name}\" not found");
            return Err(format!("Error from server (BadRequest): {what}\n"));
        }
        (_, true) => container.restarts - 1,
    };
    Ok((context.logs)((&pod.namespace, pod_name, name), life))
}
