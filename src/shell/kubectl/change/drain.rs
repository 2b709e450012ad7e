//! `kubectl drain`: no more Pods for nodes, and those that are there go (`k8s.io/kubectl/pkg/drain`).

use super::node::{cordon_one, nodes};
use super::{Next, client, dry_run, fail, key, list, read, refusal, say};
use crate::api::ApiRequest;
use crate::app::Os;
use crate::base::{Duration, ObjectKey, SimTime};
use crate::manifest;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, Words, optional, switch, value};
use crate::shell::kubectl::json::{at, list as items, text};
use crate::shell::kubectl::labels;
use crate::shell::kubectl::resources::{Resource, of_kind};
use crate::shell::out::refuse;
use serde_json::Value;
use std::rc::Rc;

const FLAGS: [Flag; 10] = [
    switch("ignore-daemonsets", ' '),
    switch("force", ' '),
    switch("delete-emptydir-data", ' '),
    switch("disable-eviction", ' '),
    value("grace-period", ' '),
    value("timeout", ' '),
    value("selector", 'l'),
    value("pod-selector", ' '),
    value("chunk-size", ' '),
    optional("dry-run", "unchanged"),
];
const USAGE: &str = "error: USAGE: drain NODE [flags]\nSee 'kubectl drain -h' for help and examples\n";
const BOTH: &str = "error: error: cannot specify both a node name and a --selector option\nSee 'kubectl drain -h' for \
    help and examples\n";
/// How long a Pod that may not go yet is left alone.
const AGAIN: Duration = Duration::from_secs(5);
/// How often is asked whether a Pod is gone.
const LOOK: Duration = Duration::from_secs(1);

/// A Pod that is to go.
#[derive(Clone)]
struct Leaving {
    key: ObjectKey,
    uid: String,
    /// Whether it was asked to go.
    asked: bool,
    /// When it is turned to again.
    next: SimTime,
}

/// How far the draining of a node is.
#[derive(Clone)]
struct Drain {
    words: Rc<Words>,
    node: String,
    /// Nodes after this one.
    rest: Vec<String>,
    /// Nodes that could not be drained, with what stood against it.
    pending: Vec<(String, Vec<String>)>,
    pods: Vec<Leaving>,
    /// When to give up, with the time as it is shown.
    until: Option<(SimTime, String)>,
    failed: Vec<String>,
}

/// `kubectl drain` with these words after it.
pub(in crate::shell::kubectl) fn drain(words: &[String]) -> Command {
    match prepared(words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

fn prepared(words: &[String]) -> Result<Command, String> {
    let words = flags::read("drain", &FLAGS, &["skip-wait-for-delete-timeout"], words)?;
    let selector = words.value("selector").map(str::to_owned);
    if words.operands.is_empty() && selector.is_none() {
        return Err(USAGE.to_owned());
    }
    if !words.operands.is_empty() && selector.is_some() {
        return Err(BOTH.to_owned());
    }
    dry_run(words.value("dry-run"))?;
    let chosen = labels::of_list(nodes(), selector.as_deref())?;
    if let Some(text) = words.value("timeout") {
        manifest::duration(text).ok_or_else(|| {
            format!(
                "error: invalid argument {text:?} for \"--timeout\" flag: time: invalid duration {text:?}\n"
            )
        })?;
    }
    let words = Rc::new(words);
    Ok(client(move |os| {
        let mut names: Vec<String> =
            words.operands.iter().map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect();
        if selector.is_some() {
            let all = list(os, nodes(), "");
            names = all
                .iter()
                .filter(|one| chosen.selects(one))
                .map(|one| text(one, "metadata.name").to_owned())
                .collect();
        }
        for name in &names {
            if let Err(error) = read(os, &key(nodes(), "", name)) {
                return Next::Done(fail(os, &refusal(&error, "")));
            }
        }
        let (only, mark) = dry_run(words.value("dry-run")).unwrap_or_default();
        for name in &names {
            cordon_one(os, name, true, (only, mark));
        }
        names.reverse();
        let words = words.clone();
        next_node(
            os,
            Drain {
                words,
                node: String::new(),
                rest: names,
                pending: Vec::new(),
                pods: Vec::new(),
                until: None,
                failed: Vec::new(),
            },
        )
    }))
}

/// Turns to the next node, or ends.
fn next_node(os: &mut dyn Os, mut drain: Drain) -> Next {
    let Some(node) = drain.rest.pop() else { return over(os, &drain.pending) };
    drain.node = node;
    let Some(pods) = of_kind("Pod") else { return Next::Done(1) };
    let here = match pods_of(os, &drain, pods) {
        Ok(here) => here,
        Err(why) => return given_up(os, drain, why),
    };
    let (only, mark) = dry_run(drain.words.value("dry-run")).unwrap_or_default();
    if only {
        for pod in &here {
            say(
                os,
                &format!(
                    "evicting pod {}/{}{mark}\n",
                    text(pod, "metadata.namespace"),
                    text(pod, "metadata.name")
                ),
            );
        }
        say(os, &format!("node/{} drained{mark}\n", drain.node));
        return next_node(os, drain);
    }
    let now = os.now();
    let leaving = |pod: &Value| Leaving {
        key: key(pods, text(pod, "metadata.namespace"), text(pod, "metadata.name")),
        uid: text(pod, "metadata.uid").to_owned(),
        asked: false,
        next: now,
    };
    drain.pods = here.iter().map(leaving).collect();
    let limit =
        drain.words.value("timeout").and_then(manifest::duration).filter(|limit| *limit > Duration::ZERO);
    drain.until = limit.map(|limit| (now + limit, limit.as_go()));
    drain.failed.clear();
    turn(os, drain)
}

/// The Pods of a node that are to go; the warnings about the others are said.
fn pods_of(os: &mut dyn Os, drain: &Drain, pods: &'static Resource) -> Result<Vec<Value>, Vec<String>> {
    let chosen = labels::of_list(pods, drain.words.value("pod-selector")).unwrap_or_default();
    let here: Vec<Value> = list(os, pods, "")
        .into_iter()
        .filter(|pod| text(pod, "spec.nodeName") == drain.node && chosen.selects(pod))
        .collect();
    let warnings = objections(&here, &drain.words)?;
    if !warnings.is_empty() {
        fail(os, &format!("Warning: {}\n", warnings.join("; ")));
    }
    Ok(here.into_iter().filter(|pod| owner(pod).as_deref() != Some("DaemonSet") || is_over(pod)).collect())
}

/// Asks each Pod to go whose turn it is, and looks which are gone.
fn turn(os: &mut dyn Os, mut drain: Drain) -> Next {
    let now = os.now();
    let mut left = Vec::new();
    for pod in std::mem::take(&mut drain.pods) {
        if pod.next > now {
            left.push(pod);
            continue;
        }
        let outcome = if pod.asked { waited(os, &drain, pod) } else { asked(os, &drain, pod) };
        match outcome {
            Ok(pod) => left.extend(pod),
            Err(why) => drain.failed.push(why),
        }
    }
    drain.pods = left;
    let Some(next) = drain.pods.iter().map(|pod| pod.next).min() else { return drained(os, drain) };
    Next::Later(next.since(now), Rc::new(move |os: &mut dyn Os| turn(os, drain.clone())))
}

fn late(os: &dyn Os, drain: &Drain) -> Option<String> {
    let (_, shown) = drain.until.as_ref().filter(|(until, _)| os.now() >= *until)?;
    Some(format!("global timeout reached: {shown}"))
}

/// Asks a Pod to go.
fn asked(os: &mut dyn Os, drain: &Drain, mut pod: Leaving) -> Result<Option<Leaving>, String> {
    let (namespace, name) = (pod.key.namespace.clone(), pod.key.name.clone());
    let evicts = !drain.words.is_set("disable-eviction");
    let grace_seconds = drain.words.value("grace-period").and_then(|text| text.parse().ok());
    let request = if evicts {
        say(os, &format!("evicting pod {namespace}/{name}\n"));
        ApiRequest::Evict { pod: pod.key.clone(), grace_seconds }
    } else {
        ApiRequest::Delete { key: pod.key.clone(), propagation: None, grace_seconds }
    };
    let head = format!("error when evicting pods/\"{name}\" -n \"{namespace}\"");
    if let Some(late) = late(os, drain) {
        return Err(format!("{head}: {late}"));
    }
    match os.api(&request) {
        Ok(_) => {
            pod.asked = true;
            Ok(Some(pod))
        }
        Err(error) if error.code == 404 => Ok(None),
        Err(error) if error.code == 429 => {
            fail(os, &format!("{head} (will retry after 5s): {}\n", error.message));
            pod.next = os.now() + AGAIN;
            Ok(Some(pod))
        }
        Err(error) => Err(format!("{head}: {}", error.message)),
    }
}

/// Looks whether a Pod is gone.
fn waited(os: &mut dyn Os, drain: &Drain, mut pod: Leaving) -> Result<Option<Leaving>, String> {
    let live = read(os, &pod.key).ok().filter(|live| text(live, "metadata.uid") == pod.uid);
    if live.is_none() {
        let verb = if drain.words.is_set("disable-eviction") { "deleted" } else { "evicted" };
        say(os, &format!("pod/{} {verb}\n", pod.key.name));
        return Ok(None);
    }
    if let Some(late) = late(os, drain) {
        let (name, namespace) = (&pod.key.name, &pod.key.namespace);
        return Err(format!(
            "error when waiting for pod \"{name}\" in namespace \"{namespace}\" to terminate: {late}"
        ));
    }
    pod.next = os.now() + LOOK;
    Ok(Some(pod))
}

/// No Pod of the node is waited for any more.
fn drained(os: &mut dyn Os, mut drain: Drain) -> Next {
    if drain.failed.is_empty() {
        say(os, &format!("node/{} drained\n", drain.node));
        return next_node(os, drain);
    }
    let failed = std::mem::take(&mut drain.failed);
    let still = of_kind("Pod").and_then(|pods| pods_of(os, &drain, pods).ok()).unwrap_or_default();
    if !still.is_empty() {
        let names: Vec<String> =
            still.iter().map(|pod| format!("pod/{}\n", text(pod, "metadata.name"))).collect();
        let head = format!(
            "There are pending pods in node \"{}\" when an error occurred: {}",
            drain.node,
            aggregate(&failed)
        );
        fail(os, &format!("{head}\n{}", names.concat()));
    }
    given_up(os, drain, failed)
}

fn given_up(os: &mut dyn Os, mut drain: Drain, why: Vec<String>) -> Next {
    let (node, shown) = (&drain.node, aggregate(&why));
    fail(
        os,
        &format!("error: unable to drain node \"{node}\" due to error: {shown}, continuing command...\n"),
    );
    drain.pending.push((drain.node.clone(), why));
    next_node(os, drain)
}

/// Several errors as one (`utilerrors.Aggregate`).
fn aggregate(errors: &[String]) -> String {
    match errors {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn over(os: &mut dyn Os, pending: &[(String, Vec<String>)]) -> Next {
    if pending.is_empty() {
        return Next::Done(0);
    }
    let nodes: Vec<String> = pending.iter().map(|(node, _)| format!(" {node}\n")).collect();
    let why: Vec<String> = pending.iter().flat_map(|(_, why)| why).map(|why| format!("{why}\n")).collect();
    Next::Done(fail(
        os,
        &format!("There are pending nodes to be drained:\n{}{}", nodes.concat(), why.concat()),
    ))
}

/// Whether a Pod has ended.
fn is_over(pod: &Value) -> bool {
    matches!(text(pod, "status.phase"), "Succeeded" | "Failed")
}

/// The kind of a Pod's controller.
fn owner(pod: &Value) -> Option<String> {
    let owners = items(pod, "metadata.ownerReferences");
    owners.iter().find(|one| *at(one, "controller") == true).map(|one| text(one, "kind").to_owned())
}

/// What stands against evicting these Pods, or what is to be said although nothing does.
fn objections(pods: &[Value], words: &Words) -> Result<Vec<String>, Vec<String>> {
    // Any Pod that has ended can go.
    let of = |is: &dyn Fn(&Value) -> bool| -> String {
        let those = pods.iter().filter(|pod| is(pod) && !is_over(pod));
        let names =
            those.map(|pod| format!("{}/{}", text(pod, "metadata.namespace"), text(pod, "metadata.name")));
        names.collect::<Vec<_>>().join(", ")
    };
    let daemons = of(&|pod| owner(pod).as_deref() == Some("DaemonSet"));
    let alone = of(&|pod| owner(pod).is_none());
    let storage = of(&|pod| {
        owner(pod).as_deref() != Some("DaemonSet")
            && items(pod, "spec.volumes").iter().any(|volume| volume.get("emptyDir").is_some())
    });
    let known = [
        (
            &daemons,
            "ignore-daemonsets",
            "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)",
        ),
        (
            &storage,
            "delete-emptydir-data",
            "cannot delete Pods with local storage (use --delete-emptydir-data to override)",
        ),
        (&alone, "force", "cannot delete Pods that declare no controller (use --force to override)"),
    ];
    let against: Vec<String> = known
        .iter()
        .filter(|(pods, flag, _)| !pods.is_empty() && !words.is_set(flag))
        .map(|(pods, _, why)| format!("{why}: {pods}"))
        .collect();
    if !against.is_empty() {
        return Err(against);
    }
    let said =
        [("ignoring DaemonSet-managed Pods", daemons), ("deleting Pods that declare no controller", alone)];
    Ok(said
        .into_iter()
        .filter(|(_, pods)| !pods.is_empty())
        .map(|(what, pods)| format!("{what}: {pods}"))
        .collect())
}
