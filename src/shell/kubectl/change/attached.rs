//! `kubectl run --attach`, `-i`, `-it --rm`: a Pod is made, what it writes is shown, and it is taken away again.

use super::{Client, Next, Step, fail, key, read, refusal, say};
use crate::api::ApiRequest;
use crate::app::Os;
use crate::base::{Duration, ObjectKey, SimTime};
use crate::manifest;
use crate::shell::kubectl::attach::{NO_TERMINAL, RECORDED, reattach, resume};
use crate::shell::kubectl::flags::Words;
use crate::shell::kubectl::json::{list, text};
use crate::shell::kubectl::resources::of_kind;
use crate::shell::{Command, Context, Follow, Followed, Program};
use crate::trace::Stream;
use serde_json::{Value, json};
use std::rc::Rc;

/// How often a client that would watch looks.
const LOOKS: Duration = Duration::from_ms(50);

/// What is done with the Pod.
#[derive(Clone, Debug)]
struct Run {
    key: ObjectKey,
    container: String,
    restart: String,
    /// What is said before what the container writes.
    notice: String,
    flags: Vec<&'static str>,
}

impl Run {
    fn is_set(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    /// Takes the Pod away where that is asked for.
    fn remove(&self, os: &mut dyn Os) {
        if !self.is_set("rm") {
            return;
        }
        let request = ApiRequest::Delete { key: self.key.clone(), propagation: None, grace_seconds: None };
        match os.api(&request) {
            Ok(_) if self.is_set("quiet") => {}
            Ok(_) => {
                let ObjectKey { name, namespace, .. } = &self.key;
                say(os, &format!("pod \"{name}\" deleted from {namespace} namespace\n"));
            }
            Err(error) if error.code == 404 => {}
            Err(error) => drop(fail(os, &refusal(&error, ""))),
        }
    }
}

/// The command that makes this Pod and shows what it writes.
pub(super) fn command(context: &Context<'_>, pod: Value, words: &Words) -> Result<Command, String> {
    let first = list(&pod, "spec.containers").first();
    let container = first.map_or_else(String::new, |one| text(one, "name").to_owned());
    followed(context, (pod, None), (container, words), None)
}

/// The command that makes this Pod to look into something, or asks for a container in it, and attaches to this container
/// of it, after it has said something on standard output and warned (`kubectl debug`).
pub(in crate::shell::kubectl) fn debugged(
    context: &Context<'_>,
    pod: (Value, Option<ApiRequest>),
    (container, words): (&str, &Words),
    (said, warning): (String, &str),
) -> Result<Command, String> {
    let output = vec![(Stream::Stderr, warning.to_owned()), (Stream::Stdout, said)];
    followed(context, pod, (container.to_owned(), words), Some(output))
}

/// `output` is what is said first where the Pod is one to look into something.
fn followed(
    context: &Context<'_>,
    (mut pod, request): (Value, Option<ApiRequest>),
    (container, words): (String, &Words),
    output: Option<Vec<(Stream, String)>>,
) -> Result<Command, String> {
    let namespace = words.namespace(context.kube_namespace);
    let Some(pods) = of_kind("Pod") else { return Err(String::new()) };
    pod["metadata"]["namespace"] = json!(namespace);
    let name = text(&pod, "metadata.name").to_owned();
    let limit = words.value("pod-running-timeout").unwrap_or("1m0s");
    let limit = manifest::duration(limit)
        .ok_or_else(|| format!("error: invalid argument {limit:?} for \"--pod-running-timeout\" flag\n"))?;
    let mut flags: Vec<&'static str> =
        ["rm", "quiet", "tty"].into_iter().filter(|flag| words.is_set(flag)).collect();
    flags.extend(output.as_ref().map(|_| "debug"));
    flags.extend(request.as_ref().map(|_| "ephemeral"));
    let request = request.unwrap_or_else(|| ApiRequest::Create(pod.clone()));
    let restart = text(&pod, "spec.restartPolicy").to_owned();
    let key = key(pods, namespace, &name);
    let has_no_terminal = words.is_set("tty") && context.input.is_some();
    let notice = match (words.is_set("quiet"), has_no_terminal) {
        (true, _) => String::new(),
        (false, true) => format!("{NO_TERMINAL}{RECORDED}"),
        (false, false) => RECORDED.to_owned(),
    };
    let run = Rc::new(Run { key, container: container.clone(), restart, notice, flags });
    let then = run.clone();
    let before = program(move |os| match os.api(&request) {
        Ok(_) => {
            let until = os.now() + limit;
            begins(os, &then, until)
        }
        Err(error) => Next::Done(fail(os, &refusal(&error, ""))),
    });
    let after = Some(program(move |os| ends(os, &run)));
    let followed = Followed {
        container: (namespace.to_owned(), name, container),
        life: 0,
        shown: 0,
        looked_at: 0,
        passes: words.is_set("stdin"),
        is_once: output.is_none() && !words.is_set("leave-stdin-open"),
        after,
    };
    Ok(Command::Follow(Box::new(Follow {
        output: output.unwrap_or_default(),
        before: Some(before),
        followed,
    })))
}

fn program(step: impl Fn(&mut dyn Os) -> Next + 'static) -> Program {
    Program(Box::new(Client { step: Rc::new(step) }))
}

fn later(run: &Rc<Run>, step: impl Fn(&mut dyn Os, &Rc<Run>) -> Next + 'static) -> Next {
    let run = run.clone();
    let step: Step = Rc::new(move |os: &mut dyn Os| step(os, &run));
    Next::Later(LOOKS, step)
}

/// Waits until the Pod is ready or has ended. *Simplified*: one that is restarted is taken as it was the first time.
fn begins(os: &mut dyn Os, run: &Rc<Run>, until: SimTime) -> Next {
    let pod = match read(os, &run.key) {
        Ok(pod) => pod,
        Err(error) => return Next::Done(fail(os, &refusal(&error, ""))),
    };
    let ready = |one: &Value| one["type"] == "Ready" && one["status"] == "True";
    let ended = |one: &Value| {
        text(one, "name") == run.container
            && (one["state"]["terminated"].is_object() || one["lastState"]["terminated"].is_object())
    };
    let statuses = list(&pod, "status.containerStatuses").iter();
    let statuses: Vec<&Value> = statuses.chain(list(&pod, "status.ephemeralContainerStatuses")).collect();
    let runs = |one: &Value| text(one, "name") == run.container && one["state"]["running"].is_object();
    let has_ended = statuses.iter().any(|one| ended(one) || (run.is_set("debug") && runs(one)));
    let is_ready = || list(&pod, "status.conditions").iter().any(ready) && !run.is_set("ephemeral");
    match text(&pod, "status.phase") {
        "Succeeded" | "Failed" => Next::Done(0),
        "Running" if has_ended || is_ready() => {
            fail(os, &run.notice);
            Next::Done(0)
        }
        _ if os.now() >= until => {
            run.remove(os);
            Next::Done(fail(os, "error: timed out waiting for the condition\n"))
        }
        _ => later(run, move |os, run| begins(os, run, until)),
    }
}

/// Tells how the Pod ended.
fn ends(os: &mut dyn Os, run: &Rc<Run>) -> Next {
    if run.restart == "Always" || run.is_set("debug") {
        let says = run.is_set("tty") && !run.is_set("quiet");
        if says && run.is_set("ephemeral") {
            say(os, &reattach(&run.key.name, &run.container));
        } else if says && run.restart == "Always" {
            say(os, &resume(&run.key.name, &run.container));
        }
        run.remove(os);
        return Next::Done(0);
    }
    let pod = match read(os, &run.key) {
        Ok(pod) => pod,
        Err(error) => return Next::Done(fail(os, &refusal(&error, ""))),
    };
    match text(&pod, "status.phase") {
        "Succeeded" => {
            run.remove(os);
            Next::Done(0)
        }
        "Failed" if run.restart == "Never" => {
            run.remove(os);
            let ObjectKey { name, namespace, .. } = &run.key;
            let first = list(&pod, "status.containerStatuses").first();
            let ended = first.map(|one| &one["state"]["terminated"]);
            let code =
                ended.and_then(|ended| ended["exitCode"].as_u64()).and_then(|code| u8::try_from(code).ok());
            let Some((code, ended)) = code.filter(|code| *code != 0).zip(ended) else {
                let text = format!("error: pod {namespace}/{name} failed with unknown exit code\n");
                return Next::Done(fail(os, &text));
            };
            let why = format!("pod {namespace}/{name} terminated ({})\n", text(ended, "reason"));
            fail(os, &format!("{why}{}", text(ended, "message")));
            Next::Done(code)
        }
        _ => later(run, ends),
    }
}
