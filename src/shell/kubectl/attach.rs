//! `kubectl attach`: what a container writes from now on.

use super::exec::pod_behind;
use super::flags::{read, switch, value};
use super::json::{list, text};
use super::resources::of_kind;
use super::view;
use crate::app::{Os, Process, Wake};
use crate::shell::out::{Out, refuse};
use crate::shell::{Command, Context, Follow, Followed, Program};
use crate::trace::Stream;
use serde_json::Value;

/// What a client says before it shows what a container writes.
pub(super) const RECORDED: &str = "All commands and output from this session will be recorded in container logs, including credentials and \
    sensitive information passed through the command prompt.\nIf you don't see a command prompt, try pressing enter.\n";

/// What a client says that is to use a terminal and has none (`SetupTTY`).
pub(super) const NO_TERMINAL: &str =
    "Unable to use a TTY - input is not a terminal or the right kind of file\n";

/// What is said when a session with an ephemeral container ends.
pub(super) fn reattach(pod: &str, container: &str) -> String {
    format!(
        "Session ended, the ephemeral container will not be restarted but may be reattached using 'kubectl attach {pod} -c \
         {container} -i -t' if it is still running\n"
    )
}

/// What a client says when the container has ended and is going to be started again.
pub(super) fn resume(pod: &str, container: &str) -> String {
    format!(
        "Session ended, resume using 'kubectl attach {pod} -c {container} -i -t' command when the pod is running\n"
    )
}

/// Says something, and ends.
#[derive(Clone)]
struct Says(String);

impl Process for Says {
    fn wake(&mut self, os: &mut dyn Os, _: Wake) {
        os.write(Stream::Stdout, &self.0);
        os.exit(0);
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

/// `kubectl attach` with these words after it.
pub(super) fn attach(context: &Context<'_>, words: &[String]) -> Command {
    match prepared(context, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

fn prepared(context: &Context<'_>, words: &[String]) -> Result<Command, String> {
    let known = [switch("stdin", 'i'), switch("tty", 't'), value("container", 'c'), switch("quiet", 'q')];
    let words = read("attach", &known, &["pod-running-timeout"], words)?;
    let target = match &words.operands[..] {
        [] => return Err("error: at least 1 argument is required for attach\n".to_owned()),
        [both] => both.clone(),
        [kind, name] => format!("{kind}/{name}"),
        more => {
            return Err(format!(
                "error: expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {}: [{}]\n",
                more.len(),
                more.join(" ")
            ));
        }
    };
    let namespace = words.namespace(context.kube_namespace).to_owned();
    let Some(pods) = of_kind("Pod") else { return Err(String::new()) };
    let all = view::objects(context.inventory, pods);
    let pod = pod_behind(context, &target, &namespace, &all)?;
    if let phase @ ("Succeeded" | "Failed") = text(pod, "status.phase") {
        return Err(format!(
            "error: cannot attach a container in a completed pod; current phase is {phase}\n"
        ));
    }
    let name = text(pod, "metadata.name").to_owned();
    let mut out = Out::default();
    let chosen = chosen(pod, words.value("container"), words.is_set("quiet"), &mut out)?;
    let container = text(chosen, "name").to_owned();
    let has_tty = chosen["tty"] == true;
    if words.is_set("tty") && !has_tty && !words.is_set("quiet") {
        out.err(format!("error: Unable to use a TTY - container {container} did not allocate one\n"));
    }
    if has_tty && words.is_set("stdin") && context.input.is_some() && !words.is_set("quiet") {
        out.err(NO_TERMINAL);
    }
    let is_raw = has_tty && words.is_set("stdin") && context.input.is_none();
    if !words.is_set("quiet") {
        out.err(RECORDED);
    }
    let key = (namespace.as_str().into(), name.as_str().into());
    let mut rows = context.inventory.pods.get(&key).into_iter().flat_map(|row| &row.containers);
    let statuses =
        ["containerStatuses", "initContainerStatuses"].map(|path| list(pod, &format!("status.{path}")));
    let mut statuses = statuses.into_iter().flatten();
    if !statuses.any(|one| text(one, "name") == container && one["state"]["running"].is_object()) {
        out.err(format!(
            "error: Internal error occurred: unable to upgrade connection: container {container} not found in pod {name}_{namespace}\n"
        ));
        return Ok(out.done(1));
    }
    let life = rows.find(|one| *one.name == *container).map_or(0, |one| one.restarts);
    let shown = (context.logs)((&namespace, &name, &container), life).len();
    let is_resumed = is_raw && !words.is_set("quiet") && text(pod, "spec.restartPolicy") == "Always";
    let after = is_resumed.then(|| Program(Box::new(Says(resume(&name, &container)))));
    let followed = Followed {
        container: (namespace, name, container),
        life,
        shown,
        looked_at: 0,
        passes: words.is_set("stdin"),
        is_once: chosen["stdinOnce"] == true,
        after,
    };
    Ok(Command::Follow(Box::new(Follow { output: out.into_pieces(), before: None, followed })))
}

/// The container that is meant (`FindOrDefaultContainerByName`).
fn chosen<'p>(pod: &'p Value, wanted: Option<&str>, quiet: bool, out: &mut Out) -> Result<&'p Value, String> {
    let own = || list(pod, "spec.containers").iter().chain(list(pod, "spec.initContainers"));
    let all = || own().chain(list(pod, "spec.ephemeralContainers"));
    let called = |name: &str| all().find(|one| text(one, "name") == name);
    let pod_name = text(pod, "metadata.name");
    if let Some(wanted) = wanted {
        return called(wanted).ok_or_else(|| {
            format!("error: cannot attach to the container: container {wanted} not found in pod {pod_name}\n")
        });
    }
    let annotations = &pod["metadata"]["annotations"];
    let usual = annotations["kubectl.kubernetes.io/default-container"].as_str().and_then(called);
    if let Some(usual) = usual {
        return Ok(usual);
    }
    let first = list(pod, "spec.containers").first().ok_or_else(String::new)?;
    let names = super::exec::containers(pod);
    if names.len() > 1 && !quiet {
        out.err(format!("Defaulted container \"{}\" out of: {}\n", text(first, "name"), names.join(", ")));
    }
    Ok(first)
}
