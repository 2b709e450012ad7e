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
    let resolved = ports.iter().map(|port| resolved(port, pod, service.as_ref()));
    let ports = resolved.collect::<Result<Vec<_>, _>>()?;
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
    let ports = ports.iter().map(|(local, remote)| numbers(local, remote)).collect::<Result<Vec<_>, _>>()?;
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

/// A port as the command line gives it, `[LOCAL:]REMOTE`, with names and a Service's ports as the Pod's numbers.
fn resolved(word: &str, pod: &Value, service: Option<&Value>) -> Result<(String, String), String> {
    let (local, remote) = match word.split(':').collect::<Vec<_>>()[..] {
        [local, remote] => (local, remote),
        [first, ..] => (first, first),
        [] => (word, word),
    };
    let (known, found) = match service {
        Some(service) => of_service(remote, pod, service)?,
        None => (remote.to_owned(), of_pod(remote, pod)?),
    };
    // What is not named at this machine has the number of the port it leads to; of a Service, that of its port.
    let local = match (local == remote, service) {
        (true, Some(_)) => known,
        (true, None) => found.clone(),
        (false, _) => local.to_owned(),
    };
    Ok((local, found))
}

fn numbers(local: &str, remote: &str) -> Result<ForwardedPort, String> {
    let number = |which: &str, text: &str| {
        text.parse::<u16>().map_err(|_| {
            let large = !text.is_empty() && text.bytes().all(|one| one.is_ascii_digit());
            let why = if large { "value out of range" } else { "invalid syntax" };
            format!(
                "error: error parsing {which} port '{text}': strconv.ParseUint: parsing {text:?}: {why}\n"
            )
        })
    };
    let local = number("local", if local.is_empty() { "0" } else { local })?;
    let remote = number("remote", remote)?;
    if remote == 0 {
        return Err("error: remote port must be > 0\n".to_owned());
    }
    Ok(ForwardedPort { local, remote })
}

/// The number that a word is, as `strconv.Atoi` reads it.
fn as_number(word: &str) -> Option<i64> {
    word.parse().ok()
}

fn containers_ports(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "spec.containers").iter().flat_map(|one| list(one, "ports"))
}

/// The number of a Pod's port of this name.
fn by_name(word: &str, pod: &Value) -> Result<i64, String> {
    let init = list(pod, "spec.initContainers").iter().flat_map(|one| list(one, "ports"));
    let found = containers_ports(pod).chain(init).find(|port| text(port, "name") == word);
    let missing =
        || format!("error: Pod '{}' does not have a named port '{word}'\n", text(pod, "metadata.name"));
    found.map(|port| number(port, "containerPort")).ok_or_else(missing)
}

/// Whether UDP alone is spoken at a port, which is not led anywhere.
fn only_udp<'p>(ports: impl Iterator<Item = &'p Value>, field: &str, wanted: i64) -> bool {
    let those: Vec<&Value> = ports.filter(|port| number(port, field) == wanted).collect();
    let speaks = |what: &str| those.iter().any(|port| text(port, "protocol") == what);
    speaks("UDP") && !speaks("TCP")
}

fn no_udp(word: &str) -> String {
    format!("error: UDP protocol is not supported for {word}\n")
}

/// A port of a Pod by its number or name.
fn of_pod(word: &str, pod: &Value) -> Result<String, String> {
    if word.is_empty() && containers_ports(pod).any(|port| text(port, "name").is_empty()) {
        return Err("error: remote port cannot be empty\n".to_owned());
    }
    let number = as_number(word).map_or_else(|| by_name(word, pod), Ok)?;
    if only_udp(containers_ports(pod), "containerPort", number) {
        return Err(no_udp(word));
    }
    Ok(if as_number(word).is_some() { word.to_owned() } else { number.to_string() })
}

/// The port of a Service, and the one of the Pod behind it.
fn of_service(word: &str, pod: &Value, service: &Value) -> Result<(String, String), String> {
    let name = text(service, "metadata.name");
    let ports = || list(service, "spec.ports").iter();
    let missing = || format!("error: Service '{name}' does not have a named port '{word}'\n");
    let by_name = || ports().find(|port| text(port, "name") == word).map(|port| number(port, "port"));
    let wanted = as_number(word).map_or_else(|| by_name().ok_or_else(missing), Ok)?;
    if only_udp(ports(), "port", wanted) {
        return Err(no_udp(word));
    }
    let known = if as_number(word).is_some() { word.to_owned() } else { wanted.to_string() };
    // Without an address of its own a Service translates nothing.
    if text(service, "spec.clusterIP") == "None" {
        return Ok((known, wanted.to_string()));
    }
    let port = ports().find(|port| number(port, "port") == wanted);
    let missing = || format!("error: Service {name} does not have a service port {wanted}\n");
    let target = &port.ok_or_else(missing)?["targetPort"];
    let found = match target.as_str() {
        Some(name) => self::by_name(name, pod)?,
        None => target.as_i64().filter(|target| *target > 0).unwrap_or(wanted),
    };
    Ok((known, found.to_string()))
}
