//! `kubectl get` of about version 1.35: the tables that the API server sends, and its messages.

mod age;
mod args;
mod logs;
mod services;
mod status;
mod tables;
mod unsimulated;
mod yaml;

pub use yaml::yaml as to_yaml;

use super::out::{Out, refuse};
use super::{Command, Context};
use crate::trace::Inventory;
use args::{Format, Query};
use serde_json::{Value, json};
use tables::{Item, Resource};

/// Looks up an API object as `-o yaml` prints it: kind, namespace (empty for what has none) and name.
pub type Objects<'a> = dyn Fn(&str, &str, &str) -> Option<Value> + 'a;

/// Runs `kubectl` with these words after its name.
pub(super) fn kubectl(context: &Context<'_>, words: &[String]) -> Command {
    match words.split_first() {
        Some((verb, rest)) if verb == "get" => {
            get(context.inventory, context.objects, context.kube_namespace, rest)
        }
        Some((verb, rest)) if verb == "logs" => logs::logs(context, rest),
        Some((verb, _)) => refuse(format!("error: unknown command \"{verb}\" for \"kubectl\"\n"), 1),
        None => refuse("error: a command such as \"get\" is required\n", 1),
    }
}

/// `kubectl get` with these words after it; `namespace` is the one that it uses unless told otherwise.
pub fn get(inventory: &Inventory, objects: &Objects<'_>, namespace: &str, words: &[String]) -> Command {
    let query = match args::read(words, namespace) {
        Ok(query) => query,
        Err(text) => return refuse(text, 1),
    };
    let mut out = Out::default();
    let mut status = 0;
    let mut found: Vec<(Resource, Vec<Item>)> = Vec::new();
    for (resource, names) in &query.wanted {
        let mut items = tables::items(inventory, *resource, &query);
        if !names.is_empty() {
            let all = std::mem::take(&mut items);
            for name in names {
                let named: Vec<Item> = all.iter().filter(|item| item.name == *name).cloned().collect();
                if named.is_empty() {
                    let plural = resource.plural();
                    out.err(format!("Error from server (NotFound): {plural} \"{name}\" not found\n"));
                    status = 1;
                }
                items.extend(named);
            }
        }
        found.push((*resource, items));
    }
    let single = query.wanted.len() == 1 && query.wanted[0].1.len() == 1;
    let failed = status != 0 && found.iter().all(|(_, items)| items.is_empty());
    let mut text = Out::default();
    match query.format {
        Format::Table | Format::Wide if !failed => print_tables(&query, &found, &mut text),
        Format::Name => {
            for (resource, items) in &found {
                for item in items {
                    text.out(format!("{}/{}\n", resource.singular(), item.name));
                }
            }
        }
        Format::Json | Format::Yaml if !failed => {
            let values = found.iter().flat_map(|(resource, items)| {
                items.iter().filter_map(|item| objects(resource.kind(), &item.namespace, &item.name))
            });
            text.out(document(values.collect(), single, query.format));
        }
        Format::Table | Format::Wide | Format::Json | Format::Yaml => {}
    }
    // What was found comes first, what was not after it.
    text.append(out);
    text.done(status)
}

fn document(mut values: Vec<Value>, single: bool, format: Format) -> String {
    let value = match values.len() {
        1 if single => values.remove(0),
        _ => {
            json!({"apiVersion": "v1", "items": values, "kind": "List", "metadata": {"resourceVersion": ""}})
        }
    };
    let value = yaml::sorted(&value);
    if format == Format::Json { yaml::json(&value) } else { yaml::yaml(&value) }
}

fn print_tables(query: &Query, found: &[(Resource, Vec<Item>)], out: &mut Out) {
    let several = found.len() > 1;
    if found.iter().all(|(_, items)| items.is_empty()) {
        if query.wanted.iter().all(|(_, names)| names.is_empty()) {
            let namespaced = found.iter().any(|(resource, _)| resource.is_namespaced());
            out.err(match query.namespace.as_deref().filter(|_| namespaced) {
                Some(namespace) => format!("No resources found in {namespace} namespace.\n"),
                None => "No resources found\n".to_owned(),
            });
        }
        return;
    }
    let mut first = true;
    for (resource, items) in found.iter().filter(|(_, items)| !items.is_empty()) {
        if !first {
            out.out("\n");
        }
        first = false;
        let prefix = if several { format!("{}/", resource.singular()) } else { String::new() };
        out.out(tables::text(query, *resource, items, &prefix));
    }
}
