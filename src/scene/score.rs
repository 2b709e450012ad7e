//! Time as a score: one line for each place, one mark for each step, evenly spaced.

use super::layout::natural;
use super::look::{self, StepKind};
use crate::base::{EventId, JourneyId, NetnsId};
use crate::trace::{EventKind, Inventory, NetnsRole, TableChange, Trace};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A window of the score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Places from top to bottom: the order of a way from the first node's Pods to the last node's.
    pub lines: Vec<Line>,
    /// Marks in order.
    pub marks: Vec<ScoreMark>,
}

/// A line of the score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The namespace.
    pub netns: NetnsId,
    /// Its name.
    pub name: Arc<str>,
}

/// A mark on the score.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreMark {
    /// The step.
    pub step: usize,
    /// Its event.
    pub event: EventId,
    /// The line it stands on.
    pub line: usize,
    /// What it shows.
    pub kind: StepKind,
    /// The conversation it belongs to, or `NONE`.
    pub root: JourneyId,
}

/// The steps in `window` as a score.
pub fn score(trace: &Trace, inventory: &Inventory, steps: &[EventId], window: Range<usize>) -> Score {
    let window = window.start.min(steps.len())..window.end.min(steps.len());
    let marks: Vec<(usize, EventId, NetnsId, StepKind)> = window
        .filter_map(|step| {
            let event = trace.event(steps[step]);
            let kind = look::step_kind(trace, event)?;
            Some((step, steps[step], netns_of_step(trace, inventory, steps[step]), kind))
        })
        .collect();
    let mut places: Vec<NetnsId> = marks.iter().map(|mark| mark.2).collect();
    places.sort_unstable();
    places.dedup();
    places.sort_by_cached_key(|netns| order(inventory, *netns));
    let line_of: BTreeMap<NetnsId, usize> =
        places.iter().enumerate().map(|(at, netns)| (*netns, at)).collect();
    let marks = marks
        .into_iter()
        .map(|(step, event, netns, kind)| {
            let journey = trace.event(event).journey;
            let root = if journey.is_some() { trace.root_of(journey) } else { journey };
            ScoreMark { step, event, line: line_of[&netns], kind, root }
        })
        .collect();
    let name = |netns| {
        let known = inventory.netns.contains_key(&netns);
        // A namespace that is gone keeps the name that it had.
        let row = trace.changes.iter().rev().filter(|_| !known).find_map(|change| {
            let TableChange::Netns(row) = change else { return None };
            (row.netns == netns).then(|| row.name.clone())
        });
        row.unwrap_or_else(|| place_name(inventory, netns))
    };
    let full: Vec<Arc<str>> = places.iter().map(|netns| name(*netns)).collect();
    let lines =
        places.into_iter().zip(short_names(&full)).map(|(netns, name)| Line { netns, name }).collect();
    Score { lines, marks }
}

/// Names without their namespaces where that leaves them apart: there is little room in front of a line, and the Pod's
/// own name says more.
fn short_names(full: &[Arc<str>]) -> Vec<Arc<str>> {
    let own = |name: &Arc<str>| name.rsplit('/').next().map_or_else(|| name.clone(), Arc::from);
    let short: Vec<Arc<str>> = full.iter().map(own).collect();
    let is_alone = |name: &Arc<str>| short.iter().filter(|other| *other == name).count() == 1;
    full.iter().zip(&short).map(|(full, short)| if is_alone(short) { short } else { full }.clone()).collect()
}

/// The name of a namespace for people: a Pod's without `default/`.
pub fn place_name(inventory: &Inventory, netns: NetnsId) -> Arc<str> {
    let Some(state) = inventory.netns.get(&netns) else { return "·".into() };
    match &state.row.role {
        NetnsRole::Pod { namespace, pod, .. } if &**namespace == "default" => pod.clone(),
        NetnsRole::Node | NetnsRole::Pod { .. } | NetnsRole::Switch | NetnsRole::Router | NetnsRole::Host => {
            state.row.name.clone()
        }
    }
}

/// How many changes after a step are searched for its Pod.
const LOOK_AHEAD: usize = 2_000;

/// Where a step is: its namespace, or for a Pod's step the Pod's or its node's.
pub fn netns_of_step(trace: &Trace, inventory: &Inventory, event: EventId) -> NetnsId {
    let seen = trace.event(event);
    let EventKind::Changed(change) = seen.kind else { return seen.netns };
    let TableChange::Step(row) = &trace.changes[change.index()] else { return seen.netns };
    let known = inventory.pods.get(&(row.namespace.clone(), row.pod.clone())).map(|pod| &**pod);
    // A Pod that is yet to come is not in the tables of the playhead: the trace says soon after which node it is put on.
    let coming = || {
        let after = trace.changes.since(change.index()).take(LOOK_AHEAD);
        let rows =
            after.filter_map(|change| if let TableChange::Pod(pod) = change { Some(&**pod) } else { None });
        rows.filter(|pod| (&pod.namespace, &pod.name) == (&row.namespace, &row.pod))
            .find(|pod| pod.node.is_some())
    };
    let Some(pod) = known.or_else(coming) else { return seen.netns };
    let node = pod.node.as_ref().and_then(|name| inventory.nodes.get(name)).map(|node| node.netns);
    node.or(pod.netns).unwrap_or(seen.netns)
}

/// Order of the lines: nodes by name with their Pods outside, the switch in the middle of the first two.
fn order(inventory: &Inventory, netns: NetnsId) -> (usize, u8, String, u64) {
    let mut nodes: Vec<_> = inventory.nodes.values().collect();
    nodes.sort_by_cached_key(|node| natural(&node.name));
    let rank = |node: NetnsId| nodes.iter().position(|row| row.netns == node).unwrap_or(nodes.len());
    let Some(state) = inventory.netns.get(&netns) else { return (usize::MAX, 9, String::new(), 0) };
    let (head, number, _) = natural(&state.row.name);
    match &state.row.role {
        NetnsRole::Pod { node, .. } => {
            let rank = rank(*node);
            (2 * rank + usize::from(rank > 0), if rank == 0 { 0 } else { 2 }, head, number)
        }
        NetnsRole::Node => {
            let rank = rank(netns);
            (2 * rank + usize::from(rank > 0), 1, head, number)
        }
        NetnsRole::Switch => (1, 0, head, number),
        NetnsRole::Router => (1, 1, head, number),
        NetnsRole::Host => (1, 2, head, number),
    }
}

/// A name in so many letters at most. Its end stays: Pods of one controller have no other difference.
pub fn shortened(name: &str, letters: usize) -> String {
    let n_letters = name.chars().count();
    if n_letters <= letters {
        return name.to_string();
    }
    let end = (letters / 2).min(5);
    let begin = letters.saturating_sub(end + 1);
    name.chars().take(begin).chain(['…']).chain(name.chars().skip(n_letters - end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_names_of_one_controller_differ() {
        assert_eq!(shortened("api-55696b885-2w9nf", 13), "api-556…2w9nf");
        assert_eq!(shortened("api-55696b885-d42k4", 11), "api-5…d42k4");
        assert_eq!(shortened("example.com", 11), "example.com");
        assert_eq!(shortened("node-with-a-name", 1), "…");
    }

    #[test]
    fn names_keep_their_namespaces_where_they_would_be_the_same() {
        let names =
            |full: &[&str]| short_names(&full.iter().map(|name| Arc::from(*name)).collect::<Vec<_>>());
        assert_eq!(names(&["shop/web", "a", "node1"]), ["web", "a", "node1"].map(Arc::from));
        assert_eq!(names(&["mesh/web", "open/web", "c"]), ["mesh/web", "open/web", "c"].map(Arc::from));
    }
}
