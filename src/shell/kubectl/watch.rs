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
use std::collections::BTreeMap;
use std::rc::Rc;

/// How often the client looks whether something has happened.
const LOOK: Duration = Duration::from_ms(50);

/// Objects by their names, as they were last shown.
type Known = BTreeMap<(String, String), Value>;

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
        let (found, turn) = asked(os, &query, None).unwrap_or_default();
        let mut widths = Widths::default();
        let missing = query.wanted[0].1.iter().find(|name| !found.keys().any(|known| known.1 == **name));
        if let Some(name) = missing {
            let text = super::get::not_found(query.wanted[0].0, name);
            return Next::Done(super::change::fail(os, &text));
        }
        if !query.words.is_set("watch-only") && !found.is_empty() {
            let all: Vec<Value> = found.values().cloned().collect();
            show(os, &query, &all, (true, &mut widths));
        }
        let headed = !found.is_empty();
        later(&query, found, turn, (widths, headed))
    }))
}

fn later(query: &Rc<Query>, known: Known, turn: u64, (widths, headed): (Widths, bool)) -> Next {
    let query = query.clone();
    Next::Later(
        LOOK,
        Rc::new(move |os: &mut dyn Os| {
            let Some((found, turn)) = asked(os, &query, Some(turn)) else {
                return later(&query, known.clone(), turn, (widths.clone(), headed));
            };
            let mut changed: Vec<Value> = found
                .iter()
                .filter(|(name, value)| known.get(name) != Some(value))
                .map(|(_, v)| v.clone())
                .collect();
            // What is gone is shown once more as it was last.
            changed
                .extend(known.iter().filter(|(name, _)| !found.contains_key(name)).map(|(_, v)| v.clone()));
            let (mut widths, mut headed) = (widths.clone(), headed);
            for one in changed {
                show(os, &query, &[one], (!headed, &mut widths));
                headed = true;
            }
            later(&query, found, turn, (widths, headed))
        }),
    )
}

/// What the query finds, and the number of the answer; `None` where nothing has happened.
fn asked(os: &mut dyn Os, query: &Query, since: Option<u64>) -> Option<(Known, u64)> {
    let (resource, names) = &query.wanted[0];
    let namespace = query.namespace.clone().filter(|_| resource.namespaced).unwrap_or_default();
    let request = ApiRequest::Snapshot { kind: resource.kind.to_owned(), namespace, version: None, since };
    let list = os.api(&request).ok().filter(|list| !list.is_null())?;
    let name = |object: &Value| text(object, "metadata.name").to_owned();
    let items = list["items"].as_array().into_iter().flatten();
    let wanted = items.filter(|object| {
        (names.is_empty() || names.contains(&name(object)))
            && query.labels.selects(object)
            && query.fields.selects(object)
    });
    let found =
        wanted.map(|object| ((text(object, "metadata.namespace").to_owned(), name(object)), object.clone()));
    Some((found.collect(), list["turn"].as_u64().unwrap_or(0)))
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
