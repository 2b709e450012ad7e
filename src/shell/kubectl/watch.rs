//! `kubectl get --watch`: the table, and then a line for each change, until somebody ends it.

use super::change::{Next, client, say};
use super::get::{Format, Query, rows};
use super::json::text;
use super::print::Look;
use super::table::{Widths, layout_with};
use super::{kyaml, yaml};
use crate::api::ApiRequest;
use crate::app::Os;
use crate::base::Duration;
use crate::shell::Command;
use serde_json::Value;
use std::rc::Rc;

/// How often the client looks whether something has happened.
const LOOK: Duration = Duration::from_ms(50);

/// A client that watches what a query asks for.
pub(super) fn watch(query: Query) -> Result<Command, String> {
    if query.wanted.len() != 1 {
        return Err("error: you may only specify a single resource type\n".to_owned());
    }
    if !matches!(query.format, Format::Table { .. } | Format::Name | Format::Json | Format::Yaml) {
        return Err(crate::shell::out::not_simulated("kubectl get", "--watch with this output").0);
    }
    let query = Rc::new(query);
    Ok(client(move |os| {
        let (found, next) = listed(os, &query);
        let mut widths = Widths::default();
        let is_there = |name: &&String| found.iter().any(|one| text(one, "metadata.name") == **name);
        let missing = query.wanted[0].1.iter().find(|name| !is_there(name));
        if let Some(name) = missing {
            let text = super::get::not_found(query.wanted[0].0, name);
            return Next::Done(super::change::fail(os, &text));
        }
        if !query.words.is_set("watch-only") && !found.is_empty() {
            show(os, &query, &found, (true, &mut widths));
        }
        let headed = !found.is_empty();
        later(&query, next, (widths, headed))
    }))
}

fn later(query: &Rc<Query>, after: u64, (widths, headed): (Widths, bool)) -> Next {
    let query = query.clone();
    Next::Later(
        LOOK,
        Rc::new(move |os: &mut dyn Os| {
            let (mut widths, mut headed) = (widths.clone(), headed);
            let (changed, next) = changes(os, &query, after);
            for one in changed {
                show(os, &query, &[one], (!headed, &mut widths));
                headed = true;
            }
            later(&query, next, (widths, headed))
        }),
    )
}

/// The objects of an answer that the query asks for.
fn wanted(query: &Query, answer: &Value, field: &str) -> Vec<Value> {
    let names = &query.wanted[0].1;
    let items = answer[field].as_array().into_iter().flatten();
    let fits = |object: &&Value| {
        (names.is_empty() || names.iter().any(|name| *name == text(object, "metadata.name")))
            && query.labels.selects(object)
            && query.fields.selects(object)
    };
    items.filter(fits).cloned().collect()
}

fn place(query: &Query) -> (String, String) {
    let resource = query.wanted[0].0;
    let namespace = query.namespace.clone().filter(|_| resource.namespaced).unwrap_or_default();
    (resource.kind.to_owned(), namespace)
}

/// What the query finds, and the number of the first change to come.
fn listed(os: &mut dyn Os, query: &Query) -> (Vec<Value>, u64) {
    let (kind, namespace) = place(query);
    let list = os.api(&ApiRequest::Snapshot { kind, namespace, version: None });
    let list = list.unwrap_or(Value::Null);
    let mut found = wanted(query, &list, "items");
    found.sort_by_key(|one| {
        (text(one, "metadata.namespace").to_owned(), text(one, "metadata.name").to_owned())
    });
    (found, list["next"].as_u64().unwrap_or(0))
}

/// What has changed since, and the number of the first change to come.
fn changes(os: &mut dyn Os, query: &Query, after: u64) -> (Vec<Value>, u64) {
    let (kind, namespace) = place(query);
    let answer = os.api(&ApiRequest::Watch { kind, namespace, after }).unwrap_or(Value::Null);
    (wanted(query, &answer, "objects"), answer["next"].as_u64().unwrap_or(after))
}

fn show(os: &mut dyn Os, query: &Query, objects: &[Value], (head, widths): (bool, &mut Widths)) {
    let resource = query.wanted[0].0;
    let text = match &query.format {
        Format::Table { wide } => {
            let look = Look { now: os.now(), wide: *wide };
            let mut lines = rows(query, resource, objects, (look, ""));
            if !head && !query.words.is_set("no-headers") {
                lines.remove(0);
            }
            layout_with(&lines, widths)
        }
        Format::Name => {
            let line = |one| format!("{}/{}\n", resource.singular(), text(one, "metadata.name"));
            objects.iter().map(line).collect::<Vec<_>>().concat()
        }
        Format::Yaml => {
            let document = |one| format!("---\n{}", yaml::yaml(&yaml::sorted(one)));
            objects.iter().map(document).collect::<Vec<_>>().concat()
        }
        Format::Kyaml => objects.iter().map(|one| kyaml::kyaml(&yaml::sorted(one))).collect(),
        Format::Json | Format::Path(_) | Format::PathAsJson(_) | Format::Go(_) | Format::Columns(_) => {
            objects.iter().map(|one| yaml::json(&yaml::sorted(one))).collect()
        }
    };
    say(os, &text);
}
