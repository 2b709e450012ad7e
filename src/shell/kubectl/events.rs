//! Events as the API server holds them: what reporters said, counted together as client-go's recorders do.
//!
//! Controllers and kubelets use the older recorder (`tools/record/events_cache.go`): what is said again is counted, more
//! than ten ways to say the same within ten minutes are told as one, and who says too much is not heard for a while. The
//! scheduler uses the newer one (`tools/events`), whose Events have one time with microseconds and no source.

use super::json::{at, number, text};
use super::view::bare;
use crate::base::{Duration, ObjectKey, SimTime};
use crate::trace::{Inventory, KubeEventRow};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How long an Event is kept after it was last written (`--event-ttl` of the API server).
const KEPT: Duration = Duration::from_secs(3600);
/// How many Events about one object a reporter may send at once, and how soon it may send another (`defaultSpamBurst`,
/// `defaultSpamQPS`).
const BURST: u64 = 25;
const ANOTHER: Duration = Duration::from_secs(300);
/// So many messages of one kind are told apart, as long as they come within this time of each other
/// (`defaultAggregateMaxEvents`, `defaultAggregateIntervalInSeconds`).
const APART: usize = 10;
const TOGETHER: Duration = Duration::from_secs(600);

/// Who says something of whom: reporter, host, kind, namespace, name, and whether the object of that name is an earlier
/// one.
type Spam<'r> = (&'r str, &'r str, &'r str, &'r str, &'r str, bool);
/// What is said of it: type and reason.
type Sort<'r> = (Spam<'r>, bool, &'r str);
/// The Event itself: sort, part of the object, message.
type Own<'r> = (Sort<'r>, &'r str, String);

/// What the recorders remember.
#[derive(Default)]
struct Recorder<'r> {
    /// The place of an Event among those found, and how often it was observed.
    known: BTreeMap<Own<'r>, (Option<usize>, i64)>,
    /// Messages of a sort, and when the last came.
    sorts: BTreeMap<Sort<'r>, (BTreeSet<&'r str>, SimTime)>,
    /// Sendings left, and since when they have been filling up.
    spam: BTreeMap<Spam<'r>, (u64, SimTime)>,
}

impl<'r> Recorder<'r> {
    /// Whether an Event may be sent now.
    fn passes(&mut self, who: Spam<'r>, now: SimTime) -> bool {
        let (left, since) = self.spam.entry(who).or_insert((BURST, now));
        let more = now.since(*since).0 / ANOTHER.0;
        if more > 0 {
            *left = (*left + more).min(BURST);
            *since += Duration(ANOTHER.0 * more);
        }
        if *left == BURST {
            *since = now;
        }
        let passes = *left > 0;
        *left = left.saturating_sub(1);
        passes
    }

    /// The message under which an Event is sent, and whether it stands for similar ones.
    fn message(&mut self, sort: Sort<'r>, message: &'r str, now: SimTime) -> (String, bool) {
        let (messages, last) = self.sorts.entry(sort).or_insert_with(|| (BTreeSet::new(), now));
        if now.since(*last) > TOGETHER {
            messages.clear();
        }
        *last = now;
        messages.insert(message);
        if messages.len() < APART {
            return (message.to_owned(), false);
        }
        messages.pop_last();
        (format!("(combined from similar events): {message}"), true)
    }
}

/// All Events in the order of namespace and name, which is that of their times for each object.
pub(super) fn events(inventory: &Inventory) -> Vec<Value> {
    let first = ObjectKey::new("Event", "", "");
    let rows = inventory.objects.range(first..).take_while(|(key, _)| &*key.kind == "Event");
    let mut found: Vec<Value> = rows.map(|(_, row)| row.whole()).collect();
    let given = found.len();
    let mut recorder = Recorder::default();
    let mut names: BTreeSet<(&str, &str, u64)> = BTreeSet::new();
    let mut written: Vec<SimTime> = Vec::new();
    let registered = registrations(inventory);
    for (now, row) in registered.iter().chain(&inventory.kube_events) {
        let is_old = about(inventory, row).is_some_and(|(_, created)| *now < created);
        let who: Spam<'_> = (&row.component, &row.host, &row.kind, &row.namespace, &row.name, is_old);
        let sort = (who, row.warning, &*row.reason);
        let new_api = row.component.ends_with("scheduler");
        let (message, alike) =
            if new_api { (row.message.clone(), false) } else { recorder.message(sort, &row.message, *now) };
        let shown = if alike { String::new() } else { message.clone() };
        let passes = new_api || recorder.passes(who, *now);
        let (place, observed) = recorder.known.entry((sort, &row.field_path, shown)).or_insert((None, 0));
        *observed += 1;
        if !passes {
            continue;
        }
        if let Some(index) = *place {
            again(&mut found[index], *now, *observed, &message);
            written[index - given] = *now;
            continue;
        }
        *place = Some(found.len());
        // Two of one moment would have one name: the real ones never fall on the same nanosecond.
        let mut nanos = now.unix_nanos();
        while !names.insert((&row.namespace, &row.name, nanos)) {
            nanos += 1;
        }
        written.push(*now);
        found.push(event(inventory, row, (*now, nanos, is_old), (&message, *observed, new_api)));
    }
    let mut at = 0;
    found.retain(|_| {
        at += 1;
        at <= given || inventory.now.since(written[at - 1 - given]) < KEPT
    });
    let key = |event: &Value| {
        (text(event, "metadata.namespace").to_owned(), text(event, "metadata.name").to_owned())
    };
    found.sort_by_cached_key(key);
    found
}

/// What the node controller says of each node when it first sees it (`node_lifecycle_controller.go`). It follows from the
/// node alone.
fn registrations(inventory: &Inventory) -> Vec<(SimTime, KubeEventRow)> {
    let said = |node: &crate::trace::NodeRow| {
        let name = &node.name;
        let row = KubeEventRow {
            kind: "Node".into(),
            namespace: "default".into(),
            name: name.clone(),
            warning: false,
            reason: "RegisteredNode".into(),
            message: format!("Node {name} event: Registered Node {name} in Controller"),
            component: "node-controller".into(),
            host: "".into(),
            field_path: "".into(),
        };
        (node.created, row)
    };
    inventory.nodes.values().map(said).collect()
}

/// The object that an Event is about, as it stands now: identity and age.
fn about<'i>(inventory: &'i Inventory, row: &KubeEventRow) -> Option<(&'i str, SimTime)> {
    let is_node = &*row.kind == "Node";
    let key = ObjectKey::new(&row.kind, if is_node { "" } else { &row.namespace }, &row.name);
    inventory.objects.get(&key).map(|object| (&*object.uid, object.created))
}

/// The machine on which the scheduler runs: a control plane's, or the first of all.
fn scheduler_host(inventory: &Inventory) -> Option<&str> {
    let control = |node: &&crate::trace::NodeRow| {
        node.labels.iter().any(|(key, _)| &**key == "node-role.kubernetes.io/control-plane")
    };
    let nodes = inventory.nodes.values();
    nodes.clone().find(control).or_else(|| nodes.clone().next()).map(|node| &*node.name)
}

/// An Event is written again.
fn again(event: &mut Value, now: SimTime, observed: i64, message: &str) {
    if at(event, "eventTime").is_null() {
        event["count"] = json!(observed);
        event["lastTimestamp"] = json!(now.rfc3339());
        event["message"] = json!(message);
    } else {
        event["series"] = json!({ "count": observed, "lastObservedTime": now.rfc3339_micro() });
    }
}

fn event(
    inventory: &Inventory,
    row: &KubeEventRow,
    (now, nanos, is_old): (SimTime, u64, bool),
    (message, observed, new_api): (&str, i64, bool),
) -> Value {
    let namespace = if row.namespace.is_empty() { "default" } else { &*row.namespace };
    let mut value = bare("v1", "Event", namespace, &format!("{}.{nanos:x}", row.name), now);
    let api_version = super::resources::of_kind(&row.kind).map_or("v1", |one| one.api_version);
    let mut involved = json!({ "apiVersion": api_version, "kind": &*row.kind, "name": &*row.name });
    if &*row.kind != "Node" {
        involved["namespace"] = json!(namespace);
    }
    match about(inventory, row).filter(|_| !is_old) {
        Some((uid, _)) if &*row.kind != "Node" => involved["uid"] = json!(uid),
        _ if &*row.kind == "Node" => involved["uid"] = json!(&*row.name),
        _ => {}
    }
    if !row.field_path.is_empty() {
        involved["fieldPath"] = json!(&*row.field_path);
    }
    value["involvedObject"] = involved;
    value["reason"] = json!(&*row.reason);
    value["message"] = json!(message);
    value["type"] = json!(if row.warning { "Warning" } else { "Normal" });
    value["reportingComponent"] = json!(&*row.component);
    if new_api {
        value["action"] = json!(if row.warning { "Scheduling" } else { "Binding" });
        value["eventTime"] = json!(now.rfc3339_micro());
        value["firstTimestamp"] = Value::Null;
        value["lastTimestamp"] = Value::Null;
        let host = scheduler_host(inventory).map_or_else(String::new, |host| format!("-{host}"));
        value["reportingInstance"] = json!(format!("{}{host}", row.component));
        value["source"] = json!({});
        return value;
    }
    value["eventTime"] = Value::Null;
    value["count"] = json!(observed);
    value["firstTimestamp"] = json!(now.rfc3339());
    value["lastTimestamp"] = json!(now.rfc3339());
    value["reportingInstance"] = json!(&*row.host);
    value["source"] = json!({ "component": &*row.component });
    if !row.host.is_empty() {
        value["source"]["host"] = json!(&*row.host);
    }
    value
}

/// When an Event last came, as moments are compared; empty for one that has no such time.
pub(super) fn last(event: &Value) -> &str {
    let series = text(event, "series.lastObservedTime");
    let moment = if series.is_empty() { text(event, "lastTimestamp") } else { series };
    let moment = if moment.is_empty() { text(event, "eventTime") } else { moment };
    moment.get(..19).unwrap_or(moment)
}

/// How long ago an Event came, and how often it came since when.
pub(super) fn interval(event: &Value, since: impl Fn(&str) -> String) -> String {
    let first = match text(event, "eventTime") {
        "" => since(text(event, "firstTimestamp")),
        moment => since(moment),
    };
    let series = number(event, "series.count");
    if at(event, "series").is_object() {
        return format!("{} (x{series} over {first})", since(text(event, "series.lastObservedTime")));
    }
    match number(event, "count") {
        count if count > 1 => format!("{} (x{count} over {first})", since(text(event, "lastTimestamp"))),
        _ => first,
    }
}
