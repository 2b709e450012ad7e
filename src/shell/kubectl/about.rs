//! Verbs that tell of the cluster and the client: `events`, `api-resources`, `version`.

use super::age::since;
use super::flags::{read, switch, value};
use super::json::{number, text};
use super::resources::{RESOURCES, is_kept, named};
use super::table::layout;
use super::view;
use crate::shell::Command;
use crate::shell::out::{Out, answer, refuse};
use crate::trace::Inventory;
use serde_json::Value;

/// `kubectl events`.
pub(super) fn events(inventory: &Inventory, namespace: &str, words: &[String]) -> Command {
    let known =
        [switch("all-namespaces", 'A'), value("for", ' '), value("types", ' '), switch("no-headers", ' ')];
    let words = match read("events", &known, &["watch", "output", "chunk-size"], words) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    let everywhere = words.is_set("all-namespaces");
    let own = words.namespace(namespace);
    let of = words.value("for").and_then(|text| text.split_once('/'));
    let of = of.map(|(kind, name)| (named(kind).first().map_or("", |one| one.kind), name));
    let types = words.values("types");
    let mut found: Vec<Value> = view::events(inventory);
    found.retain(|event| {
        (everywhere || text(event, "metadata.namespace") == own)
            && of.is_none_or(|(kind, name)| {
                text(event, "involvedObject.kind") == kind && text(event, "involvedObject.name") == name
            })
            && (types.is_empty() || types.contains(&text(event, "type")))
    });
    if found.is_empty() {
        let text = if everywhere {
            "No events found.\n".to_owned()
        } else {
            format!("No events found in {own} namespace.\n")
        };
        let mut out = Out::default();
        out.err(text);
        return out.done(0);
    }
    found.sort_by_key(|event| text(event, "lastTimestamp").to_owned());
    let mut rows: Vec<Vec<String>> = Vec::new();
    let with_namespace = |mut row: Vec<String>, namespace: &str| {
        if everywhere {
            row.insert(0, namespace.to_owned());
        }
        row
    };
    if !words.is_set("no-headers") {
        let head = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"].map(str::to_owned).to_vec();
        rows.push(with_namespace(head, "NAMESPACE"));
    }
    for event in &found {
        let (first, last) = (text(event, "firstTimestamp"), text(event, "lastTimestamp"));
        let seen = match number(event, "count") {
            count if count > 1 => {
                format!("{} (x{count} over {})", since(inventory.now, last), since(inventory.now, first))
            }
            _ => since(inventory.now, first),
        };
        let object = format!("{}/{}", text(event, "involvedObject.kind"), text(event, "involvedObject.name"));
        let row = vec![
            seen,
            text(event, "type").to_owned(),
            text(event, "reason").to_owned(),
            object,
            text(event, "message").trim().to_owned(),
        ];
        rows.push(with_namespace(row, text(event, "metadata.namespace")));
    }
    answer(layout(&rows))
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
    match read("version", &[switch("client", ' ')], &["output"], words) {
        Err(text) => refuse(text, 1),
        Ok(words) => {
            let client = format!("Client Version: {}\nKustomize Version: v5.7.1\n", view::VERSION);
            let server = format!("Server Version: {}\n", view::VERSION);
            answer(if words.is_set("client") { client } else { client + &server })
        }
    }
}
