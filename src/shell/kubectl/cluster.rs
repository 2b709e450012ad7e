//! Verbs about the cluster as a whole and the client's own settings: `cluster-info`, `config`, `top`.

use super::flags::{read, switch, value};
use super::json::{entries, list, number, text};
use super::rbac::ADMINISTRATOR;
use super::resources::of_kind;
use super::table::layout;
use super::view;
use crate::shell::Command;
use crate::shell::out::{answer, not_simulated, refuse};
use crate::trace::Inventory;

/// Names as kubeadm's `admin.conf` has them.
const CLUSTER: &str = "kubernetes";
const USER: &str = ADMINISTRATOR;
const CONTEXT: &str = "kubernetes-admin@kubernetes";

/// Where the API server is reached.
fn server(inventory: &Inventory) -> String {
    let slices = of_kind("EndpointSlice").map(|kind| view::objects(inventory, kind)).unwrap_or_default();
    let own = slices.iter().find(|one| {
        (text(one, "metadata.namespace"), text(one, "metadata.name")) == ("default", "kubernetes")
    });
    let address = own.and_then(|own| list(own, "endpoints").first()?["addresses"][0].as_str());
    let port = own.and_then(|own| list(own, "ports").first().map(|port| number(port, "port")));
    format!("https://{}:{}", address.unwrap_or("localhost"), port.unwrap_or(6443))
}

/// `kubectl cluster-info`.
pub(super) fn info(inventory: &Inventory, words: &[String]) -> Command {
    let words = match read("cluster-info", &[], &[], words) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    if let Some(other) = words.operands.first() {
        let (text, status) = not_simulated("kubectl cluster-info", other);
        return refuse(text, status);
    }
    let server = server(inventory);
    let mut out = format!("Kubernetes control plane is running at {server}\n");
    for service in of_kind("Service").map(|kind| view::objects(inventory, kind)).unwrap_or_default() {
        let labels = entries(&service, "metadata.labels");
        let label = |wanted: &str| {
            labels.iter().find(|(key, _)| *key == wanted).and_then(|(_, value)| value.as_str())
        };
        let kept = label("kubernetes.io/cluster-service") == Some("true");
        if !kept || text(&service, "metadata.namespace") != "kube-system" {
            continue;
        }
        let name = text(&service, "metadata.name");
        let shown = label("kubernetes.io/name").unwrap_or(name);
        let port = list(&service, "spec.ports").first().map_or("", |port| text(port, "name"));
        let port = if port.is_empty() { String::new() } else { format!(":{port}") };
        out.push_str(shown);
        out.push_str(" is running at ");
        out.push_str(&server);
        out.push_str("/api/v1/namespaces/kube-system/services/");
        out.push_str(name);
        out.push_str(&port);
        out.push_str("/proxy\n");
    }
    answer(out + "\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n")
}

/// `kubectl config`, as far as it only reads.
pub(super) fn config(inventory: &Inventory, words: &[String]) -> Command {
    let Some((verb, rest)) = words.split_first() else {
        return refuse("error: required config subcommand not specified, such as \"view\"\n", 1);
    };
    let known = [switch("minify", ' '), switch("raw", ' '), switch("no-headers", ' '), value("output", 'o')];
    let words = match read(&format!("config {verb}"), &known, &["flatten", "merge", "current"], rest) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    let head = |name: &str| if words.is_set("no-headers") { String::new() } else { format!("{name}\n") };
    match verb.as_str() {
        "current-context" => answer(format!("{CONTEXT}\n")),
        "get-clusters" => answer(format!("NAME\n{CLUSTER}\n")),
        "get-users" => answer(format!("NAME\n{USER}\n")),
        "get-contexts" if words.value("output") == Some("name") => answer(format!("{CONTEXT}\n")),
        "get-contexts" => {
            let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
            let mut rows = vec![row(["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"])];
            rows.push(row(["*", CONTEXT, CLUSTER, USER, ""]));
            if head("").is_empty() {
                rows.remove(0);
            }
            answer(layout(&rows))
        }
        "use-context" | "use" => match words.operands.first().map(String::as_str) {
            Some(CONTEXT) => answer(format!("Switched to context \"{CONTEXT}\".\n")),
            Some(other) => refuse(format!("error: no context exists with the name: \"{other}\"\n"), 1),
            None => refuse("error: Unexpected args: []\n", 1),
        },
        "view" => match words.value("output") {
            None | Some("yaml") => answer(view_of(&server(inventory))),
            Some(other) => {
                let (text, status) = not_simulated("kubectl config view", &format!("-o {other}"));
                refuse(text, status)
            }
        },
        other => {
            let (text, status) = not_simulated("kubectl config", other);
            refuse(text, status)
        }
    }
}

fn view_of(server: &str) -> String {
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: DATA+OMITTED\n    server: {server}\n  name: {CLUSTER}\n\
         contexts:\n- context:\n    cluster: {CLUSTER}\n    user: {USER}\n  name: {CONTEXT}\ncurrent-context: {CONTEXT}\nkind: Config\n\
         users:\n- name: {USER}\n  user:\n    client-certificate-data: DATA+OMITTED\n    client-key-data: DATA+OMITTED\n"
    )
}

/// `kubectl top`: no cluster has metrics of itself.
pub(super) fn top(words: &[String]) -> Command {
    match words.first().map(String::as_str) {
        Some("node" | "nodes" | "no" | "pod" | "pods" | "po") => {
            refuse("error: Metrics API not available\n", 1)
        }
        Some(other) => refuse(format!("error: unknown command \"{other}\" for \"kubectl top\"\n"), 1),
        None => refuse("error: required top subcommand not specified, such as \"pod\"\n", 1),
    }
}
