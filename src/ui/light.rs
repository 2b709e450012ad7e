//! The lines of the manifest that are responsible for what is shown: the Pod in which the event happens, or the one
//! that was chosen on the stage, is lit in the editor.

use super::stage::Show;
use super::state::{Page, Selection};
use crate::base::{EventId, Span};
use crate::trace::{EventKind, NetnsRole, TableChange};
use leptos::prelude::*;

/// Keeps the light on the object of the event or the place that is shown.
pub(super) fn follow(page: Page, show: Show) {
    let pod = Memo::new(move |_| match page.ui.selection.get() {
        Selection::Place(netns, _) => {
            show.tables.with(|tables| pod_of(&tables.netns_named(&netns)?.row.role))
        }
        Selection::Playhead | Selection::Event(_) => pod_at(show, show.inspected()?),
    });
    Effect::new(move || {
        page.ui.version.track();
        let span = pod.get().and_then(|(namespace, name)| span_of(page, &namespace, &name));
        if page.ui.highlight.get_untracked() != span {
            page.ui.highlight.set(span);
        }
    });
}

/// Namespace and name of the Pod that a network namespace belongs to.
fn pod_of(role: &NetnsRole) -> Option<(String, String)> {
    match role {
        NetnsRole::Pod { namespace, pod, .. } => Some((namespace.to_string(), pod.to_string())),
        NetnsRole::Node | NetnsRole::Switch | NetnsRole::Router | NetnsRole::Host => None,
    }
}

/// The Pod in which an event happens, or whose life it is a step of.
fn pod_at(show: Show, event: EventId) -> Option<(String, String)> {
    let (netns, step) = show.with_trace(|trace| {
        let seen = trace.events.get(event.index())?;
        let EventKind::Changed(change) = seen.kind else { return Some((seen.netns, None)) };
        let TableChange::Step(row) = &trace.changes[change.index()] else { return Some((seen.netns, None)) };
        Some((seen.netns, Some((row.namespace.to_string(), row.pod.to_string()))))
    })?;
    step.or_else(|| show.tables.with(|tables| pod_of(&tables.netns.get(&netns)?.row.role)))
}

/// Where the Pod stands in the editor's text, as long as that is the text that was applied.
fn span_of(page: Page, namespace: &str, name: &str) -> Option<Span> {
    if !super::lab_driver::is_applied(page) {
        return None;
    }
    page.ui.lab.with_value(|lab| lab.span_of_pod(namespace, name))
}
