//! Pods and their containers.

use super::{annotations, controller, labels, line, moment, volume_source};
use crate::shell::kubectl::json::{at, entries, list, number, or, plain, text};
use serde_json::Value;
use std::fmt::Write as _;

/// Go's zero moment, as its fields are printed where nothing is said.
const NEVER: &str = "Mon, 01 Jan 0001 00:00:00 +0000";

pub(super) fn pod(pod: &Value, out: &mut String) {
    let own = |path: &str| text(pod, path);
    line(out, &format!("Name:\t{}", own("metadata.name")));
    line(out, &format!("Namespace:\t{}", own("metadata.namespace")));
    line(out, &format!("Priority:\t{}", number(pod, "spec.priority")));
    if !own("spec.priorityClassName").is_empty() {
        line(out, &format!("Priority Class Name:\t{}", own("spec.priorityClassName")));
    }
    line(out, &format!("Service Account:\t{}", or(own("spec.serviceAccountName"), "default")));
    match own("spec.nodeName") {
        "" => line(out, "Node:\t<none>"),
        node => line(out, &format!("Node:\t{node}/{}", own("status.hostIP"))),
    }
    if !own("status.startTime").is_empty() {
        line(out, &format!("Start Time:\t{}", moment(own("status.startTime"))));
    }
    labels(pod, "Labels", "metadata.labels", out);
    annotations(pod, out);
    let deleting = own("metadata.deletionTimestamp");
    let ended = matches!(own("status.phase"), "Succeeded" | "Failed");
    if deleting.is_empty() || ended {
        line(out, &format!("Status:\t{}", own("status.phase")));
    } else {
        line(out, "Status:\tTerminating");
        let grace =
            [at(pod, "metadata.deletionGracePeriodSeconds"), at(pod, "spec.terminationGracePeriodSeconds")];
        let grace = grace.iter().find_map(|value| value.as_i64()).unwrap_or(30);
        line(out, &format!("Termination Grace Period:\t{grace}s"));
    }
    for (title, path) in [("Reason", "status.reason"), ("Message", "status.message")] {
        if !own(path).is_empty() {
            line(out, &format!("{title}:\t{}", own(path)));
        }
    }
    line(out, &format!("IP:\t{}", own("status.podIP")));
    let ips = list(pod, "status.podIPs");
    if ips.is_empty() {
        line(out, "IPs:\t<none>");
    } else {
        line(out, "IPs:");
        for ip in ips {
            line(out, &format!("  IP:\t{}", text(ip, "ip")));
        }
    }
    if let Some(controller) = controller(pod) {
        line(out, &format!("Controlled By:\t{controller}"));
    }
    if !list(pod, "spec.initContainers").is_empty() {
        containers(
            "Init Containers",
            list(pod, "spec.initContainers"),
            list(pod, "status.initContainerStatuses"),
            "",
            out,
        );
    }
    containers("Containers", list(pod, "spec.containers"), list(pod, "status.containerStatuses"), "", out);
    if !list(pod, "spec.ephemeralContainers").is_empty() {
        let statuses = list(pod, "status.ephemeralContainerStatuses");
        containers("Ephemeral Containers", list(pod, "spec.ephemeralContainers"), statuses, "", out);
    }
    conditions(pod, out);
    volumes(list(pod, "spec.volumes"), "", out);
    line(out, &format!("QoS Class:\t{}", own("status.qosClass")));
    labels(pod, "Node-Selectors", "spec.nodeSelector", out);
    tolerations(list(pod, "spec.tolerations"), "", out);
}

fn conditions(pod: &Value, out: &mut String) {
    let conditions = list(pod, "status.conditions");
    let gates = list(pod, "spec.readinessGates");
    if !gates.is_empty() {
        line(out, "Readiness Gates:\n  Type\tStatus");
        for gate in gates {
            let kind = text(gate, "conditionType");
            let status = conditions
                .iter()
                .find(|one| text(one, "type") == kind)
                .map_or("<none>", |one| text(one, "status"));
            line(out, &format!("  {kind} \t{status} "));
        }
    }
    if !conditions.is_empty() {
        line(out, "Conditions:\n  Type\tStatus");
        for one in conditions {
            line(out, &format!("  {} \t{} ", text(one, "type"), text(one, "status")));
        }
    }
}

/// `describeContainers`; a template is indented by `space`.
pub(super) fn containers(title: &str, all: &[Value], statuses: &[Value], space: &str, out: &mut String) {
    if all.is_empty() {
        return line(out, &format!("{space}{title}: <none>"));
    }
    line(out, &format!("{space}{title}:"));
    let indent = if space.is_empty() { "" } else { " " };
    for container in all {
        let name = text(container, "name");
        let status = statuses.iter().find(|one| text(one, "name") == name);
        line(out, &format!("  {indent}{name}:"));
        if let Some(status) = status {
            line(out, &format!("    Container ID:\t{}", text(status, "containerID")));
        }
        line(out, &format!("    Image:\t{}", text(container, "image")));
        if let Some(status) = status {
            line(out, &format!("    Image ID:\t{}", text(status, "imageID")));
        }
        ports(container, out);
        for (title, field) in [("Command", "command"), ("Args", "args")] {
            let words = list(container, field);
            if !words.is_empty() {
                line(out, &format!("    {title}:"));
                for part in
                    words.iter().map(plain).collect::<Vec<_>>().iter().flat_map(|word| word.split('\n'))
                {
                    line(out, &format!("      {part}"));
                }
            }
        }
        if let Some(status) = status {
            state("State", at(status, "state"), out);
            if !at(status, "lastState.terminated").is_null() {
                state("Last State", at(status, "lastState"), out);
            }
            line(
                out,
                &format!("    Ready:\t{}", if *at(status, "ready") == true { "True" } else { "False" }),
            );
            line(out, &format!("    Restart Count:\t{}", number(status, "restartCount")));
        }
        for (title, field) in [("Limits", "resources.limits"), ("Requests", "resources.requests")] {
            let amounts = entries(container, field);
            if !amounts.is_empty() {
                line(out, &format!("    {title}:"));
                for (name, amount) in &amounts {
                    line(out, &format!("      {name}:\t{}", plain(amount)));
                }
            }
        }
        for (title, field) in
            [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")]
        {
            if !at(container, field).is_null() {
                line(out, &format!("    {title}:\t{}", probe(at(container, field))));
            }
        }
        environment(container, out);
        mounts(container, out);
    }
}

fn ports(container: &Value, out: &mut String) {
    let ports = list(container, "ports");
    let protocol = |port: &Value| or(text(port, "protocol"), "TCP");
    let one = |port: &Value| {
        let name = text(port, "name");
        let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
        format!("{}/{}{name}", number(port, "containerPort"), protocol(port))
    };
    let inside: Vec<String> = ports.iter().map(one).collect();
    let host: Vec<String> = ports
        .iter()
        .map(|port| {
            format!(
                "{}/{}{}",
                number(port, "hostPort"),
                protocol(port),
                match text(port, "name") {
                    "" => String::new(),
                    name => format!(" ({name})"),
                }
            )
        })
        .collect();
    for (title, all) in [("Port", inside), ("Host Port", host)] {
        let plural = if all.len() > 1 { "s" } else { "" };
        line(out, &format!("    {title}{plural}:\t{}", or(&all.join(", "), "<none>")));
    }
}

/// `describeStatus`.
fn state(title: &str, state: &Value, out: &mut String) {
    if let Some(running) = state.get("running") {
        line(out, &format!("    {title}:\tRunning"));
        line(out, &format!("      Started:\t{}", moment(text(running, "startedAt"))));
    } else if let Some(ended) = state.get("terminated") {
        line(out, &format!("    {title}:\tTerminated"));
        for (title, field) in [("Reason", "reason"), ("Message", "message")] {
            if !text(ended, field).is_empty() {
                line(out, &format!("      {title}:\t{}", text(ended, field)));
            }
        }
        line(out, &format!("      Exit Code:\t{}", number(ended, "exitCode")));
        if number(ended, "signal") > 0 {
            line(out, &format!("      Signal:\t{}", number(ended, "signal")));
        }
        for (title, field) in [("Started", "startedAt"), ("Finished", "finishedAt")] {
            let at = or(text(ended, field), NEVER);
            line(out, &format!("      {title}:\t{}", moment(&at)));
        }
    } else {
        line(out, &format!("    {title}:\tWaiting"));
        let reason = text(state, "waiting.reason");
        if !reason.is_empty() {
            line(out, &format!("      Reason:\t{reason}"));
        }
    }
}

/// `DescribeProbe`, with the defaults filled in.
fn probe(probe: &Value) -> String {
    let given = |field: &str, otherwise: i64| at(probe, field).as_i64().unwrap_or(otherwise);
    let times = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        given("initialDelaySeconds", 0),
        given("timeoutSeconds", 1),
        given("periodSeconds", 10),
        given("successThreshold", 1),
        given("failureThreshold", 3)
    );
    if let Some(exec) = probe.get("exec") {
        let words: Vec<String> = list(exec, "command").iter().map(plain).collect();
        return format!("exec [{}] {times}", words.join(" "));
    }
    if let Some(get) = probe.get("httpGet") {
        let scheme = or(text(get, "scheme"), "HTTP").to_lowercase();
        let path = or(text(get, "path"), "/");
        return format!("http-get {scheme}://{}:{}{path} {times}", text(get, "host"), plain(at(get, "port")));
    }
    if let Some(socket) = probe.get("tcpSocket") {
        return format!("tcp-socket {}:{} {times}", text(socket, "host"), plain(at(socket, "port")));
    }
    if let Some(grpc) = probe.get("grpc") {
        return format!("grpc <pod>:{} {} {times}", number(grpc, "port"), text(grpc, "service"));
    }
    format!("unknown {times}")
}

fn environment(container: &Value, out: &mut String) {
    let sources = list(container, "envFrom");
    if !sources.is_empty() {
        line(out, "    Environment Variables from:");
        for source in sources {
            for (field, kind) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")] {
                if let Some(reference) = source.get(field) {
                    let optional = *at(reference, "optional") == true;
                    line(out, &format!("      {}\t{kind}\tOptional: {optional}", text(reference, "name")));
                }
            }
        }
    }
    let variables = list(container, "env");
    line(out, if variables.is_empty() { "    Environment:\t<none>" } else { "    Environment:" });
    for variable in variables {
        let name = text(variable, "name");
        let from = at(variable, "valueFrom");
        if from.is_null() {
            let value = text(variable, "value");
            let mut parts = value.split('\n');
            line(out, &format!("      {name}:\t{}", parts.next().unwrap_or("")));
            parts.for_each(|part| line(out, &format!("      \t{part}")));
        } else if let Some(field) = from.get("fieldRef") {
            let version = or(text(field, "apiVersion"), "v1");
            line(out, &format!("      {name}:\t ({version}:{})", text(field, "fieldPath")));
        } else {
            let known = [("secretKeyRef", "in secret"), ("configMapKeyRef", "of config map")];
            for (field, what) in known {
                if let Some(reference) = from.get(field) {
                    let optional = *at(reference, "optional") == true;
                    let (key, source) = (text(reference, "key"), text(reference, "name"));
                    line(
                        out,
                        &format!(
                            "      {name}:\t<set to the key '{key}' {what} '{source}'>\tOptional: {optional}"
                        ),
                    );
                }
            }
        }
    }
}

fn mounts(container: &Value, out: &mut String) {
    let mounts = list(container, "volumeMounts");
    line(out, if mounts.is_empty() { "    Mounts:\t<none>" } else { "    Mounts:" });
    let mut sorted: Vec<&Value> = mounts.iter().collect();
    sorted.sort_by_key(|mount| text(mount, "mountPath"));
    for mount in sorted {
        let mut flags = if *at(mount, "readOnly") == true { "ro" } else { "rw" }.to_owned();
        if !text(mount, "subPath").is_empty() {
            let _ = write!(flags, ",path=\"{}\"", text(mount, "subPath"));
        }
        line(out, &format!("      {} from {} ({flags})", text(mount, "mountPath"), text(mount, "name")));
    }
}

/// `describeVolumes`.
pub(super) fn volumes(volumes: &[Value], space: &str, out: &mut String) {
    if volumes.is_empty() {
        return line(out, &format!("{space}Volumes:\t<none>"));
    }
    line(out, &format!("{space}Volumes:"));
    let indent = if space.is_empty() { "" } else { " " };
    for volume in volumes {
        line(out, &format!("  {indent}{}:", text(volume, "name")));
        volume_source::of_pod(volume, out);
    }
}

/// `printPodTolerationsMultiline`.
pub(super) fn tolerations(tolerations: &[Value], space: &str, out: &mut String) {
    if tolerations.is_empty() {
        return line(out, &format!("{space}Tolerations:\t<none>"));
    }
    let mut sorted: Vec<&Value> = tolerations.iter().collect();
    sorted.sort_by_key(|one| text(one, "key"));
    for (index, one) in sorted.into_iter().enumerate() {
        let mut shown = text(one, "key").to_owned();
        for (mark, field) in [("=", "value"), (":", "effect")] {
            if !text(one, field).is_empty() {
                shown.push_str(mark);
                shown.push_str(text(one, field));
            }
        }
        if text(one, "operator") == "Exists" && text(one, "value").is_empty() {
            shown.push_str(if shown.is_empty() { "op=Exists" } else { " op=Exists" });
        }
        if let Some(secs) = at(one, "tolerationSeconds").as_i64() {
            let _ = write!(shown, " for {secs}s");
        }
        let title = if index == 0 { "Tolerations:" } else { "" };
        line(out, &format!("{space}{title}\t{shown}"));
    }
}
