//! `kubectl port-forward`.

use super::exec::pod_behind;
use super::flags::{read, value};
use super::json::{list, number, text};
use super::resources::{named, of_kind};
use super::view;
use crate::app::forward::{ForwardedPort, PortForward};
use crate::base::{Ipv4Addr, ObjectKey};
use crate::shell::out::refuse;
use crate::shell::{Command, Context};
use serde_json::Value;

const USAGE: &str = "error: TYPE/NAME and list of ports are required for port-forward\nSee 'kubectl port-forward -h' for \
    help and examples\n";

/// `kubectl port-forward` with these words after it.
pub(super) fn forward(context: &Context<'_>, words: &[String]) -> Command {
    match prepared(context, words) {
        Ok(process) => Command::Process { output: Vec::new(), process: Box::new(process) },
        Err(text) => refuse(text, 1),
    }
}

fn prepared(context: &Context<'_>, words: &[String]) -> Result<PortForward, String> {
    let words =
        read("port-forward", &[value("address", ' '), value("pod-running-timeout", ' ')], &[], words)?;
    let [target, ports @ ..] = words.operands.as_slice() else { return Err(USAGE.to_owned()) };
    if ports.is_empty() {
        return Err(USAGE.to_owned());
    }
    let namespace = words.namespace(context.kube_namespace);
    let Some(resource) = of_kind("Pod") else { return Err(USAGE.to_owned()) };
    let all = view::objects(context.inventory, resource);
    let pod = pod_behind(context, target, namespace, &all)?;
    let phase = text(pod, "status.phase");
    let service = service_of(context, target, namespace);
    let ports =
        ports.iter().map(|port| port_of(port, pod, service.as_ref())).collect::<Result<Vec<_>, _>>()?;
    if phase != "Running" {
        return Err(format!(
            "error: unable to forward port because pod is not running. Current status={phase}\n"
        ));
    }
    let addresses = words.value("address").unwrap_or("localhost");
    let mut found = Vec::new();
    for address in addresses.split(',') {
        found.push(match address {
            "localhost" => Ipv4Addr::LOCALHOST,
            other => other.parse().map_err(|_| format!("error: {other} is not a valid IP\n"))?,
        });
    }
    let name = text(pod, "metadata.name");
    let sandbox = text(pod, "metadata.uid").replace('-', "").repeat(2);
    Ok(PortForward::new(ObjectKey::new("Pod", namespace, name), sandbox, found, ports))
}

/// The Service that a target names.
fn service_of(context: &Context<'_>, target: &str, namespace: &str) -> Option<Value> {
    let (kind, name) = target.split_once('/')?;
    let resource = named(kind).first().copied().filter(|resource| resource.kind == "Service")?;
    let all = view::objects(context.inventory, resource);
    all.into_iter()
        .find(|one| text(one, "metadata.namespace") == namespace && text(one, "metadata.name") == name)
}

/// A port as the command line gives it, in numbers: `[LOCAL:]REMOTE`, where a Service's port stands for its target.
fn port_of(word: &str, pod: &Value, service: Option<&Value>) -> Result<ForwardedPort, String> {
    let (local, remote) = word.split_once(':').unwrap_or((word, word));
    let remote_number = match service {
        Some(service) => target_of(remote, pod, service)?,
        None => number_of(remote, pod)?,
    };
    let local_number = match local {
        "" => 0,
        // A name has no number at this machine but that of the port it leads to.
        local if local == remote && local.parse::<u16>().is_err() => remote_number,
        local => local
            .parse()
            .map_err(|_| format!("error: error parsing local port '{local}': strconv.ParseUint: parsing {local:?}: invalid syntax\n"))?,
    };
    Ok(ForwardedPort { local: local_number, remote: remote_number })
}

fn containers_ports(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "spec.containers").iter().flat_map(|one| list(one, "ports"))
}

/// A port of a Pod by its number or name.
fn number_of(word: &str, pod: &Value) -> Result<u16, String> {
    let is_udp = |port: &&Value| text(port, "protocol") == "UDP";
    let number = if let Ok(number) = word.parse::<u16>() {
        number
    } else {
        let found = containers_ports(pod).find(|port| text(port, "name") == word);
        let name = text(pod, "metadata.name");
        let missing = || format!("error: Pod '{name}' does not have a named port '{word}'\n");
        u16::try_from(found.map(|port| number(port, "containerPort")).ok_or_else(missing)?).unwrap_or(0)
    };
    let of_number: Vec<&Value> = containers_ports(pod)
        .filter(|port| self::number(port, "containerPort") == i64::from(number))
        .collect();
    if !of_number.is_empty() && of_number.iter().all(is_udp) {
        return Err(format!("error: UDP protocol is not supported for {word}\n"));
    }
    Ok(number)
}

/// The port of a Pod behind a Service's port.
fn target_of(word: &str, pod: &Value, service: &Value) -> Result<u16, String> {
    let name = text(service, "metadata.name");
    let wanted = word.parse::<i64>().ok();
    let is_meant = |port: &&Value| match wanted {
        Some(wanted) => number(port, "port") == wanted,
        None => text(port, "name") == word,
    };
    let found: Vec<&Value> = list(service, "spec.ports").iter().filter(is_meant).collect();
    let Some(first) = found.first() else {
        return Err(match wanted {
            Some(_) => format!("error: Service {name} does not have a service port {word}\n"),
            None => format!("error: Service '{name}' does not have a named port '{word}'\n"),
        });
    };
    let port = found.iter().copied().find(|port| text(port, "protocol") != "UDP");
    let Some(port) = port else { return Err(format!("error: UDP protocol is not supported for {word}\n")) };
    if text(service, "spec.clusterIP") == "None" {
        return Ok(u16::try_from(number(first, "port")).unwrap_or(0));
    }
    let target = &port["targetPort"];
    if let Some(name) = target.as_str() {
        return number_of(name, pod);
    }
    let target = target.as_i64().filter(|target| *target > 0).unwrap_or_else(|| number(port, "port"));
    Ok(u16::try_from(target).unwrap_or(0))
}
