//! `kubectl create TYPE`, `kubectl expose`: objects made from a command line.

use super::{
    Next, client, create_data, create_job, create_token, dry_run, fail, generate, key, one, read, refusal,
    report, shown, shown_only, type_of,
};
use crate::api::ApiRequest;
use crate::app::Os;
use crate::manifest;
use crate::shell::kubectl::flags::{self, Flag, Words, optional, switch, value};
use crate::shell::kubectl::json::{at, list, number, text};
use crate::shell::out::refuse;
use crate::shell::{Command, Context};
use serde_json::{Value, json};

const FLAGS: [Flag; 15] = [
    value("from", ' '),
    value("image", ' '),
    value("replicas", 'r'),
    value("port", ' '),
    value("tcp", ' '),
    value("clusterip", ' '),
    value("node-port", ' '),
    value("external-name", ' '),
    value("schedule", ' '),
    value("restart", ' '),
    value("output", 'o'),
    optional("dry-run", "unchanged"),
    switch("save-config", ' '),
    value("field-manager", ' '),
    optional("validate", "strict"),
];
const OTHERS: [&str; 4] = ["from-env-file", "append-hash", "edit", "filename"];

/// `kubectl create` with these words after it, where no file is named.
pub(in crate::shell::kubectl) fn create(context: &Context<'_>, words: &[String]) -> Command {
    let Some((what, rest)) = words.split_first() else {
        return refuse("error: must specify one of -f and -k\n", 1);
    };
    match made(context, what, rest) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

/// The name of a command that has aliases.
fn full_name(what: &str) -> &str {
    match what {
        "deploy" => "deployment",
        "ns" => "namespace",
        "sa" => "serviceaccount",
        "cm" => "configmap",
        "cj" => "cronjob",
        "svc" => "service",
        "ing" => "ingress",
        "pdb" => "poddisruptionbudget",
        "pc" => "priorityclass",
        "resourcequota" => "quota",
        other => other,
    }
}

fn made(context: &Context<'_>, what: &str, words: &[String]) -> Result<Command, String> {
    let what = full_name(what);
    if what == "token" {
        return create_token::command(context, words);
    }
    let namespace = context.kube_namespace;
    let known = [&FLAGS[..], &generate::FLAGS, &create_data::FLAGS].concat();
    let words = flags::read(&format!("create {what}"), &known, &OTHERS, words)?;
    let mut names = words.operands.iter();
    let mut next = || names.next().cloned();
    let mut kind = what.to_owned();
    if matches!(what, "secret" | "service") {
        kind = format!("{what} {}", next().unwrap_or_default());
    }
    let name = next().ok_or_else(|| {
        let command = kind.trim_end();
        format!("error: exactly one NAME is required, got 0\nSee 'kubectl create {command} -h' for help and examples\n")
    })?;
    let name = name.as_str();
    if kind == "job" && words.value("from").is_some() {
        return create_job::of_cron_job(name, namespace, &words, names.next().is_some());
    }
    let (object, failure) = match kind.as_str() {
        "deployment" => (deployment(name, &words)?, "failed to create deployment: "),
        "namespace" => {
            (json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }), "")
        }
        "serviceaccount" => (
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } }),
            "failed to create serviceaccount: ",
        ),
        "configmap" => {
            (create_data::config_map(context, name, &words)?, "failed to create configmap: ")
        }
        "secret generic" => (create_data::generic(context, name, &words)?, "failed to create secret: "),
        "secret tls" => (create_data::tls(context, name, &words)?, "failed to create secret: "),
        // The colon is left out there.
        "secret docker-registry" => {
            (create_data::docker(context, name, &words)?, "failed to create secret ")
        }
        "job" => (job(name, &words, names.as_slice())?, "failed to create job: "),
        "cronjob" => (cron_job(name, &words)?, "failed to create cronjob: "),
        service if service.starts_with("service ") => {
            create_service(service.rsplit(' ').next().unwrap_or(""), name, &words)?
        }
        other => generate::object(other, name, &words)?.ok_or_else(|| {
            let all = words.operands.iter().map(String::as_str);
            let line = std::iter::once(what).chain(all).collect::<Vec<_>>().join(" ");
            format!(
                "Error: must specify one of -f and -k\n\nerror: unknown command \"{line}\"\nSee 'kubectl create -h' for \
                 help and examples\n"
            )
        })?,
    };
    sent(object, namespace, &words, (failure, generate::warnings(what, &words)))
}

/// Sends an object that a command line made, after what there is to say of its words. `failure` begins a refusal.
pub(super) fn sent(
    mut object: Value,
    namespace: &str,
    words: &Words,
    (failure, warnings): (&'static str, String),
) -> Result<Command, String> {
    let (only, dry) = dry_run(words.value("dry-run"))?;
    let namespaced = type_of(&object).is_some_and(|one| one.namespaced);
    if namespaced {
        object["metadata"]["namespace"] = json!(words.namespace(namespace));
    }
    // A namespace that nobody named is not written into what is only shown (`EnforceNamespace`).
    let enforced = words.value("namespace").is_some();
    let output = words.value("output").map(str::to_owned);
    Ok(client(move |os: &mut dyn Os| {
        if !warnings.is_empty() {
            fail(os, &warnings);
        }
        make(os, &object, (only, dry, enforced), (failure, output.as_deref()))
    }))
}

/// Makes an object, or pretends to, and tells of it. `failure` begins a refusal.
pub(super) fn make(
    os: &mut dyn Os,
    object: &Value,
    (only, dry, enforced): (bool, &str, bool),
    (failure, output): (&str, Option<&str>),
) -> Next {
    let Some(resource) = type_of(object) else { return Next::Done(1) };
    let answer = if dry.contains("server") {
        os.api(&ApiRequest::Check(object.clone()))
    } else if only {
        Ok(shown_only(object, enforced))
    } else {
        os.api(&ApiRequest::Create(object.clone()))
    };
    match answer {
        Ok(made) => {
            let line = format!("{} created{dry}\n", shown(resource, text(&made, "metadata.name")));
            report(os, output, &made, &line);
            Next::Done(0)
        }
        Err(error) if failure.is_empty() => Next::Done(fail(os, &refusal(&error, ""))),
        Err(error) => Next::Done(fail(os, &format!("error: {failure}{}\n", error.message))),
    }
}

pub(super) fn required<'w>(words: &'w Words, flag: &str) -> Result<&'w str, String> {
    words.value(flag).ok_or_else(|| format!("error: required flag(s) \"{flag}\" not set\n"))
}

pub(super) fn integer(words: &Words, flag: &str) -> Result<Option<i64>, String> {
    let wrong = |text: &str| {
        format!(
            "error: invalid argument \"{text}\" for \"--{flag}\" flag: strconv.ParseInt: parsing \"{text}\": invalid syntax\n"
        )
    };
    words.value(flag).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

/// The name of a container that runs an image: its last part, without tag or digest.
fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let last = last.split([':', '@']).next().unwrap_or(last);
    last.replace(['.', '_'], "-")
}

fn deployment(name: &str, words: &Words) -> Result<Value, String> {
    required(words, "image")?;
    let port = integer(words, "port")?;
    let mut containers: Vec<Value> = Vec::new();
    for image in words.values("image") {
        let mut container = json!({ "name": container_name(image), "image": image, "resources": {} });
        if let Some(port) = port {
            container["ports"] = json!([{ "containerPort": port }]);
        }
        containers.push(container);
    }
    if let Some(command) = words.rest.as_ref().filter(|command| !command.is_empty()) {
        containers[0]["command"] = json!(command);
    }
    Ok(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "replicas": integer(words, "replicas")?.unwrap_or(1),
            "selector": { "matchLabels": { "app": name } },
            "strategy": {},
            "template": { "metadata": { "labels": { "app": name } }, "spec": { "containers": containers } },
        },
    }))
}

fn job(name: &str, words: &Words, command: &[String]) -> Result<Value, String> {
    let image = required(words, "image")?;
    let command = words.rest.clone().unwrap_or_else(|| command.to_vec());
    let mut container = json!({ "name": name, "image": image, "resources": {} });
    if !command.is_empty() {
        container["command"] = json!(command);
    }
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name },
        "spec": { "template": { "metadata": {}, "spec": { "containers": [container], "restartPolicy": "Never" } } },
    }))
}

fn cron_job(name: &str, words: &Words) -> Result<Value, String> {
    let schedule = required(words, "schedule")?.to_owned();
    let mut inner = job(name, words, &[])?;
    let restart = words.value("restart").unwrap_or("OnFailure");
    inner["spec"]["template"]["spec"]["restartPolicy"] = json!(restart);
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": { "name": name },
        "spec": { "schedule": schedule, "jobTemplate": { "metadata": { "name": name }, "spec": inner["spec"] } },
    }))
}

/// `PORT[:TARGET]` (`parsePorts`).
fn service_port(pair: &str) -> Result<(u16, Value), String> {
    let (port, target) = pair
        .split_once(':')
        .map_or((pair, None), |(port, rest)| (port, Some(rest.split(':').next().unwrap_or(rest))));
    let number: u16 = port.parse().map_err(|_| {
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let why = if is_number { "value out of range" } else { "invalid syntax" };
        format!("error: strconv.ParseUint: parsing \"{port}\": {why}\n")
    })?;
    let target = match target {
        None => json!(number),
        Some(text) => match text.parse::<i64>() {
            Ok(number @ 1..=65_535) => json!(number),
            Ok(_) => return Err("error: must be between 1 and 65535, inclusive\n".to_owned()),
            Err(_) => json!(text),
        },
    };
    Ok((number, target))
}

/// A Service, and what a refusal begins with (`ServiceOptions`).
fn create_service(kind: &str, name: &str, words: &Words) -> Result<(Value, &'static str), String> {
    let (type_name, failure) = match kind {
        "clusterip" => ("ClusterIP", "failed to create ClusterIP service: "),
        "nodeport" => ("NodePort", "failed to create NodePort service: "),
        "loadbalancer" => ("LoadBalancer", "failed to create LoadBalancer service: "),
        "externalname" => ("ExternalName", "failed to create ExternalName service: "),
        other => return Err(format!("error: unknown command \"{other} {name}\"\n")),
    };
    let mut spec = json!({ "type": type_name, "selector": { "app": name } });
    if type_name == "ExternalName" {
        let external = required(words, "external-name")?;
        if !manifest::is_subdomain(external) {
            return Err(format!("error: invalid service external name {external}\n"));
        }
        spec["externalName"] = json!(external);
    } else if words.values("tcp").is_empty() && words.value("clusterip") != Some("None") {
        return Err("error: at least one tcp port specifier must be provided\n".to_owned());
    }
    let mut ports: Vec<Value> = Vec::new();
    for pair in words.values("tcp") {
        let (port, target) = service_port(pair)?;
        let mut one =
            json!({ "name": pair.replace(':', "-"), "port": port, "protocol": "TCP", "targetPort": target });
        if let Some(node_port) = integer(words, "node-port")? {
            one["nodePort"] = json!(node_port);
        }
        ports.push(one);
    }
    if !ports.is_empty() {
        spec["ports"] = json!(ports);
    }
    if let Some(ip) = words.value("clusterip") {
        spec["clusterIP"] = json!(ip);
    }
    let metadata = json!({ "name": name, "labels": { "app": name } });
    Ok((json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec }), failure))
}

const EXPOSE: [Flag; 12] = [
    value("port", ' '),
    value("target-port", ' '),
    value("protocol", ' '),
    value("name", ' '),
    value("type", ' '),
    value("selector", ' '),
    value("labels", 'l'),
    value("external-ip", ' '),
    value("cluster-ip", ' '),
    value("session-affinity", ' '),
    value("output", 'o'),
    optional("dry-run", "unchanged"),
];

/// `kubectl expose`: a Service in front of what is there.
pub(in crate::shell::kubectl) fn expose(namespace: &str, words: &[String]) -> Command {
    let words = match flags::read(
        "expose",
        &EXPOSE,
        &["filename", "load-balancer-ip", "overrides", "kustomize"],
        words,
    ) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    let (resource, name) = match one(&words.operands) {
        Ok(found) => found,
        Err(text) => return refuse(text, 1),
    };
    let key = key(resource, words.namespace(namespace), &name);
    let (only, dry) = match dry_run(words.value("dry-run")) {
        Ok(found) => found,
        Err(text) => return refuse(text, 1),
    };
    let enforced = words.value("namespace").is_some();
    client(move |os| {
        let live = match read(os, &key) {
            Ok(live) => live,
            Err(error) => return Next::Done(fail(os, &refusal(&error, ""))),
        };
        let service = match service_for(resource.kind, &live, &words) {
            Ok(service) => service,
            Err(text) => return Next::Done(fail(os, &text)),
        };
        let answer =
            if only { Ok(shown_only(&service, enforced)) } else { os.api(&ApiRequest::Create(service)) };
        match answer {
            Ok(made) => {
                let line = format!("service/{} exposed{dry}\n", text(&made, "metadata.name"));
                report(os, words.value("output"), &made, &line);
                Next::Done(0)
            }
            Err(error) => Next::Done(fail(os, &refusal(&error, ""))),
        }
    })
}

fn service_for(kind: &str, live: &Value, words: &Words) -> Result<Value, String> {
    let (selector, spec) = match kind {
        "Pod" => (at(live, "metadata.labels"), at(live, "spec")),
        "Service" => (at(live, "spec.selector"), at(live, "spec")),
        "ReplicationController" => (at(live, "spec.selector"), at(live, "spec.template.spec")),
        "Deployment" | "ReplicaSet" => {
            (at(live, "spec.selector.matchLabels"), at(live, "spec.template.spec"))
        }
        _ => return Err(format!("error: cannot expose a {kind}\n")),
    };
    let selector = chosen(selector, words)?;
    let found: Vec<(i64, String)> = if kind == "Service" {
        list(spec, "ports")
            .iter()
            .map(|port| {
                (number(port, "port"), crate::shell::kubectl::json::or(text(port, "protocol"), "TCP"))
            })
            .collect()
    } else {
        let containers = list(spec, "containers").iter().flat_map(|one| list(one, "ports"));
        containers
            .map(|port| {
                (
                    number(port, "containerPort"),
                    crate::shell::kubectl::json::or(text(port, "protocol"), "TCP"),
                )
            })
            .collect()
    };
    let protocol = words.value("protocol").unwrap_or("TCP").to_owned();
    let ports: Vec<(i64, String)> = match integer(words, "port")? {
        Some(port) => vec![(port, protocol)],
        None => found,
    };
    if ports.is_empty() {
        return Err("error: couldn't find port via --port flag or introspection\nSee 'kubectl expose -h' for help and examples\n".to_owned());
    }
    let ports = service_ports(&ports, words.value("target-port"));
    let mut spec = json!({ "ports": ports, "selector": selector });
    for (flag, field) in
        [("type", "type"), ("cluster-ip", "clusterIP"), ("session-affinity", "sessionAffinity")]
    {
        if let Some(text) = words.value(flag) {
            spec[field] = json!(text);
        }
    }
    if let Some(ip) = words.value("external-ip") {
        spec["externalIPs"] = json!([ip]);
    }
    let name = words.value("name").unwrap_or(text(live, "metadata.name"));
    let mut metadata = json!({ "name": name, "namespace": text(live, "metadata.namespace") });
    let labels = at(live, "metadata.labels");
    if !labels.is_null() {
        metadata["labels"] = labels.clone();
    }
    Ok(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec }))
}

/// The ports of a Service in front of these; several need names.
fn service_ports(ports: &[(i64, String)], target: Option<&str>) -> Vec<Value> {
    let several = ports.len() > 1;
    ports
        .iter()
        .enumerate()
        .map(|(index, (port, protocol))| {
            let target = target.map_or_else(
                || json!(port),
                |text| text.parse::<u16>().map_or_else(|_| json!(text), |number| json!(number)),
            );
            let mut one = json!({ "port": port, "protocol": protocol, "targetPort": target });
            if several {
                one["name"] = json!(format!("port-{}", index + 1));
            }
            one
        })
        .collect()
}

/// The selector that is asked for, or the one of what is exposed.
fn chosen(selector: &Value, words: &Words) -> Result<Value, String> {
    let mut selector = selector.clone();
    if let Some(text) = words.value("selector") {
        selector = text
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err("error: couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed\n".to_owned());
    }
    Ok(selector)
}
