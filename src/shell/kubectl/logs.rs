//! `kubectl logs`.

use crate::shell::out::{Out, not_simulated, refuse};
use crate::shell::{Command, Context};
use crate::trace::{ContainerRow, ContainerState, PodRow};

/// What the words ask for.
#[derive(Default)]
struct Asked {
    namespace: Option<String>,
    names: Vec<String>,
    container: Option<String>,
    previous: bool,
    all: bool,
    tail: Option<usize>,
}

/// `kubectl logs` with these words after it.
pub(super) fn logs(context: &Context<'_>, words: &[String]) -> Command {
    let mut asked = match read(words) {
        Ok(asked) => asked,
        Err(command) => return command,
    };
    let namespace = asked.namespace.clone().unwrap_or_else(|| context.kube_namespace.to_owned());
    let Some(name) = asked.names.first().map(|name| name.trim_start_matches("pod/").to_owned()) else {
        let text = "error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\n";
        return refuse(
            format!(
                "{text}POD or TYPE/NAME is a required argument for the logs command\nSee 'kubectl logs -h' for help and examples\n"
            ),
            1,
        );
    };
    asked.container = asked.container.take().or_else(|| asked.names.get(1).cloned());
    let Some(pod) = context.inventory.pods.get(&(namespace.as_str().into(), name.as_str().into())) else {
        let text = format!(
            "error: error from server (NotFound): pods \"{name}\" not found in namespace \"{namespace}\"\n"
        );
        return refuse(text, 1);
    };
    let mut out = Out::default();
    let ordinary: Vec<&ContainerRow> = pod.containers.iter().filter(|container| !container.init).collect();
    let names = || {
        let inits = pod.containers.iter().filter(|container| container.init);
        let inits = inits.map(|container| format!("{} (init)", container.name));
        ordinary
            .iter()
            .map(|container| container.name.to_string())
            .chain(inits)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let chosen: Vec<&ContainerRow> = match &asked.container {
        _ if asked.all => pod.containers.iter().collect(),
        Some(wanted) => match pod.containers.iter().find(|container| *container.name == **wanted) {
            Some(found) => vec![found],
            None => {
                return refuse(
                    format!("error: container {wanted} is not valid for pod {name} out of: {}\n", names()),
                    1,
                );
            }
        },
        None => {
            if let Some(first) = ordinary.first().filter(|_| pod.containers.len() > 1) {
                out.err(format!("Defaulted container \"{}\" out of: {}\n", first.name, names()));
            }
            ordinary.into_iter().take(1).collect()
        }
    };
    for container in chosen {
        match log_of(context, pod, container, asked.previous) {
            Ok(text) => {
                let lines: Vec<&str> = text.split_inclusive('\n').collect();
                let from = asked.tail.map_or(0, |n| lines.len().saturating_sub(n));
                out.out(lines[from..].concat());
            }
            Err(text) => {
                out.err(text);
                return out.done(1);
            }
        }
    }
    out.done(0)
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

fn read(words: &[String]) -> Result<Asked, Command> {
    let mut asked = Asked::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut argument = || value.clone().or_else(|| words.next().cloned()).unwrap_or_default();
        match name {
            "-n" | "--namespace" => asked.namespace = Some(argument()),
            "-c" | "--container" => asked.container = Some(argument()),
            "-p" | "--previous" => asked.previous = true,
            "--all-containers" => asked.all = value.as_deref() != Some("false"),
            "--tail" => asked.tail = argument().parse().ok(),
            // There is nothing to wait for: the answer is the log as it stands.
            "-f" | "--follow" => {}
            option if option.starts_with('-') => {
                let (text, status) = not_simulated("kubectl logs", option);
                return Err(refuse(text, status));
            }
            _ => asked.names.push(word.clone()),
        }
    }
    Ok(asked)
}
