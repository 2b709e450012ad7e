//! Verbs that tell of the cluster and the client: `events`, `api-resources`, `version`.

use super::age::since;
use super::flags::{read, switch, value};
use super::json::text;
use super::resources::{RESOURCES, is_kept, named};
use super::table::{first_line, layout};
use super::{view, yaml};
use crate::shell::Command;
use crate::shell::out::{Out, answer, not_simulated, refuse};
use crate::trace::Inventory;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KUSTOMIZE: &str = "v5.7.1";
const MINOR: &str = "35";
/// The commit of the release, and when its client and its server were built.
const COMMIT: &str = "66452049f3d692768c39c797b21b793dce80314e";
const CLIENT_DATE: &str = "2025-12-17T12:41:05Z";
const SERVER_DATE: &str = "2025-12-17T12:32:07Z";
/// Groups and versions that an API server serves besides those of the kinds here.
const OTHER_VERSIONS: [&str; 11] = [
    "admissionregistration.k8s.io/v1",
    "apiextensions.k8s.io/v1",
    "apiregistration.k8s.io/v1",
    "authentication.k8s.io/v1",
    "authorization.k8s.io/v1",
    "autoscaling/v1",
    "certificates.k8s.io/v1",
    "events.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1",
    "node.k8s.io/v1",
    "resource.k8s.io/v1",
];

/// `kubectl events`.
pub(super) fn events(inventory: &Inventory, namespace: &str, words: &[String]) -> Command {
    match listed(inventory, namespace, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

fn listed(inventory: &Inventory, namespace: &str, words: &[String]) -> Result<Command, String> {
    let known = [
        switch("all-namespaces", 'A'),
        value("for", ' '),
        value("types", ' '),
        switch("no-headers", ' '),
        value("output", 'o'),
        value("chunk-size", ' '),
    ];
    let words = read("events", &known, &["watch", "template", "show-managed-fields"], words)?;
    let everywhere = words.is_set("all-namespaces");
    let own = words.namespace(namespace);
    let of = words.value("for").map(named_object).transpose()?;
    let types = words.values("types");
    let is = |one: &&str, word: &str| one.eq_ignore_ascii_case(word);
    if types.iter().any(|one| !is(one, "Normal") && !is(one, "Warning")) {
        return Err("error: valid --types are Normal or Warning\n".to_owned());
    }
    let mut found: Vec<Value> = super::events::events(inventory);
    found.retain(|event| {
        (everywhere || text(event, "metadata.namespace") == own)
            && of.is_none_or(|(kind, name)| {
                text(event, "involvedObject.kind") == kind && text(event, "involvedObject.name") == name
            })
            && (types.is_empty() || types.iter().any(|one| is(one, text(event, "type"))))
    });
    if found.is_empty() {
        let text = if everywhere {
            "No events found.\n".to_owned()
        } else {
            format!("No events found in {own} namespace.\n")
        };
        let mut out = Out::default();
        out.err(text);
        return Ok(out.done(0));
    }
    // Of one second, those come first that came first.
    found.sort_by_key(|event| text(event, "metadata.name").rsplit('.').next().unwrap_or("").to_owned());
    found.sort_by_key(|event| super::events::last(event).to_owned());
    let list =
        || yaml::sorted(&json!({ "apiVersion": "v1", "items": found, "kind": "EventList", "metadata": {} }));
    match words.value("output") {
        None | Some("") => Ok(answer(table(inventory, &found, (everywhere, words.is_set("no-headers"))))),
        Some("json") => Ok(answer(yaml::json(&list()))),
        Some("yaml") => Ok(answer(yaml::yaml(&list()))),
        Some("name") => {
            let line = |event| format!("event/{}\n", text(event, "metadata.name"));
            Ok(answer(found.iter().map(line).collect::<String>()))
        }
        Some(form) => Err(not_simulated("kubectl events", &format!("-o {form}")).0),
    }
}

/// Kind and name of the object that `--for` names.
fn named_object(text: &str) -> Result<(&'static str, &str), String> {
    let (resource, name) = text.split_once('/').ok_or("error: --for must be in resource/name form\n")?;
    if name.contains('/') {
        return Err("error: arguments in resource/name form may not have more than one slash\n".to_owned());
    }
    let unknown = || format!("error: the server doesn't have a resource type \"{resource}\"\n");
    named(resource).first().map(|one| (one.kind, name)).ok_or_else(unknown)
}

/// The table of `EventPrinter`.
fn table(inventory: &Inventory, found: &[Value], (everywhere, bare): (bool, bool)) -> String {
    let with_namespace = |mut row: Vec<String>, namespace: &str| {
        if everywhere {
            row.insert(0, namespace.to_owned());
        }
        row
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    if !bare {
        let head = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"].map(str::to_owned).to_vec();
        rows.push(with_namespace(head, "NAMESPACE"));
    }
    for event in found {
        let cell = |path: &str| first_line(text(event, path).trim());
        let row = vec![
            super::events::interval(event, |moment| since(inventory.now, moment)),
            cell("type"),
            cell("reason"),
            format!("{}/{}", cell("involvedObject.kind"), cell("involvedObject.name")),
            cell("message"),
        ];
        rows.push(with_namespace(row, text(event, "metadata.namespace")));
    }
    layout(&rows)
}

/// `kubectl api-resources`.
pub(super) fn api_resources(words: &[String]) -> Command {
    let known =
        [switch("no-headers", ' '), value("namespaced", ' '), value("api-group", ' '), value("output", 'o')];
    let words = match read("api-resources", &known, &["verbs", "sort-by", "categories", "cached"], words) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    let name_only = words.value("output") == Some("name");
    if !words.is_set("no-headers") && !name_only {
        rows.push(["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"].map(str::to_owned).to_vec());
    }
    for one in RESOURCES.iter().filter(|one| is_kept(one)) {
        let fits = words.value("namespaced").is_none_or(|wanted| (wanted == "true") == one.namespaced)
            && words.value("api-group").is_none_or(|group| group == one.group());
        if !fits {
            continue;
        }
        rows.push(if name_only {
            vec![one.plural_with_group()]
        } else {
            vec![
                one.plural.to_owned(),
                one.short.join(","),
                one.api_version.to_owned(),
                one.namespaced.to_string(),
                one.kind.to_owned(),
            ]
        });
    }
    answer(layout(&rows))
}

/// `kubectl version`.
pub(super) fn version(words: &[String]) -> Command {
    let words = match read("version", &[switch("client", ' '), value("output", 'o')], &[], words) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    if !words.operands.is_empty() {
        let given = words.operands.join(" ");
        return refuse(format!("error: extra arguments: [{given}]\n"), 1);
    }
    let is_client = words.is_set("client");
    let output = words.value("output").unwrap_or("");
    if output.is_empty() {
        let client = format!("Client Version: {}\nKustomize Version: {KUSTOMIZE}\n", view::VERSION);
        let server = format!("Server Version: {}\n", view::VERSION);
        return answer(if is_client { client } else { client + &server });
    }
    let mut shown = json!({ "clientVersion": build(CLIENT_DATE, &[]), "kustomizeVersion": KUSTOMIZE });
    if !is_client {
        let emulated = [("emulationMajor", "1"), ("emulationMinor", MINOR)];
        let least = [("minCompatibilityMajor", "1"), ("minCompatibilityMinor", "34")];
        shown["serverVersion"] = build(SERVER_DATE, &[emulated, least].concat());
    }
    match output {
        "yaml" => answer(yaml::yaml(&yaml::sorted(&shown))),
        // In the order of the fields, with an indent of two.
        "json" => answer(serde_json::to_string_pretty(&shown).unwrap_or_default() + "\n"),
        _ => refuse("error: --output must be 'yaml' or 'json'\n", 1),
    }
}

/// What a build says of itself (`version.Info`), with `more` that only a server says.
fn build(date: &str, more: &[(&str, &str)]) -> Value {
    let numbers = [("major", "1"), ("minor", MINOR)];
    let rest = [
        ("gitVersion", view::VERSION),
        ("gitCommit", COMMIT),
        ("gitTreeState", "clean"),
        ("buildDate", date),
        ("goVersion", "go1.25.5"),
        ("compiler", "gc"),
        ("platform", "linux/amd64"),
    ];
    let fields = numbers.iter().chain(more).chain(&rest);
    fields.map(|(field, text)| ((*field).to_owned(), json!(text))).collect::<serde_json::Map<_, _>>().into()
}

/// `kubectl get componentstatuses`, which the API server still answers.
pub(super) fn component_statuses(words: &[String]) -> Command {
    let known = [switch("no-headers", ' '), value("output", 'o')];
    let words = match read("get", &known, &["watch", "selector", "field-selector"], words) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    if let Some(form) = words.value("output").filter(|form| *form != "wide") {
        let (text, status) = not_simulated("kubectl get componentstatuses", &format!("-o {form}"));
        return refuse(text, status);
    }
    let mut out = Out::default();
    out.err("Warning: v1 ComponentStatus is deprecated in v1.19+\n");
    let mut rows = Vec::new();
    if !words.is_set("no-headers") {
        rows.push(["NAME", "STATUS", "MESSAGE", "ERROR"].map(str::to_owned).to_vec());
    }
    for name in ["scheduler", "controller-manager", "etcd-0"] {
        rows.push([name, "Healthy", "ok", ""].map(str::to_owned).to_vec());
    }
    out.out(layout(&rows));
    out.done(0)
}

/// `kubectl api-versions`.
pub(super) fn api_versions(words: &[String]) -> Command {
    match read("api-versions", &[], &["cached"], words) {
        Err(text) => refuse(text, 1),
        Ok(words) if !words.operands.is_empty() => refuse(
            format!(
                "error: unexpected arguments: [{}]\nSee 'kubectl api-versions -h' for help and examples\n",
                words.operands.join(" ")
            ),
            1,
        ),
        Ok(_) => {
            let kept = RESOURCES.iter().filter(|one| is_kept(one)).map(|one| one.api_version);
            let all: BTreeSet<&str> = kept.chain(OTHER_VERSIONS).collect();
            answer(all.into_iter().map(|version| format!("{version}\n")).collect::<Vec<_>>().concat())
        }
    }
}
