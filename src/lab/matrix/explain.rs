//! Why a cell is as it is: what the policies say of the packet, and what the packet met.

use super::{Asking, Fate, Loss, Matrix};
use crate::api::NamespacedName;
use crate::base::words::{Lang, text};
use crate::base::{EventId, Span};
use crate::cluster::policy::{self, Answer, Applied, End, Packet, Scope, Verdict};
use crate::manifest;
use crate::trace::{EventKind, Table, Trace, explain};
use serde::Serialize;

/// Why a cell is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// What policies say of the source, and of the destination; then what became of the packet, where it was lost.
    pub sentences: Vec<String>,
    /// The policy that decided: the one that admits, or the first of those that isolate without admitting.
    pub policy: Option<String>,
    /// Path of the deciding rule in that policy, or of what selects the Pod.
    pub path: Option<String>,
    /// Where that stands in the text.
    #[serde(skip)]
    pub span: Option<Span>,
    /// What the packet was lost at: the rule or the entry, as its table prints it.
    pub rule: Option<String>,
}

/// Why the packet from the Pod at `from` to the one at `to` got through or not.
pub fn reason(asking: &Asking, matrix: &Matrix, (from, to): (usize, usize), lang: Lang) -> Reason {
    let mut out = Reason { sentences: Vec::new(), policy: None, path: None, span: None, rule: None };
    let fate = matrix.cells[from][to];
    if let Some(control) = asking.lab.sim.agent() {
        let scope = control.policy_scope();
        if let Some(packet) = packet(&scope, matrix, (from, to)) {
            let answer = policy::decide(&scope, &packet);
            out.sentences.extend(policy::sentences(&scope, &packet, &answer, lang));
            if let Some(rule) = decided_by(&answer) {
                out.span = span(asking, &rule);
                (out.policy, out.path) = (Some(rule.policy.to_string()), Some(rule.path));
            }
        }
        if let Some(name) = control.unenforcing().filter(|_| !scope.policies.is_empty()) {
            out.sentences.push(text(lang, "policy.unenforced", &[name.to_owned()]));
        } else if let Some(name) = control.unenforcing_admin() {
            out.sentences.push(text(lang, "policy.unenforced-admin", &[name.to_owned()]));
        }
    }
    let trace = asking.lab.trace();
    out.rule = lost_at(fate).and_then(|end| rule(trace, end, lang));
    out.sentences.extend(lost(trace, fate, matrix, (from, to), lang));
    out
}

/// The packet of a cell as policies see it.
pub(super) fn packet(scope: &Scope<'_>, matrix: &Matrix, (from, to): (usize, usize)) -> Option<Packet> {
    let find = |name: &NamespacedName| {
        scope.pods.iter().position(|endpoint| endpoint.pod.metadata.namespaced_name() == *name)
    };
    let (src, dst) = (find(&matrix.pods[from])?, find(&matrix.pods[to])?);
    let port = matrix.port;
    Some(Packet { src: End::Pod(src), dst: End::Pod(dst), protocol: port.protocol, port: port.number })
}

/// The rule that decided: what keeps a packet back first, then what lets it pass. Where a Pod is isolated and nothing
/// admits the packet, it is the selector of the first policy that isolates it.
fn decided_by(answer: &Answer) -> Option<Applied> {
    let kept = |verdict: &Verdict| match verdict {
        Verdict::NoneAdmits(policies) => policies.first().map(|name| Applied {
            kind: "NetworkPolicy",
            policy: name.clone(),
            path: "spec.podSelector".to_owned(),
        }),
        Verdict::Denies(rule) => Some(rule.clone()),
        Verdict::NotGoverned | Verdict::NotIsolated | Verdict::Admits(_) | Verdict::Allows(_) => None,
    };
    let passed = |verdict: &Verdict| match verdict {
        Verdict::Admits(rule) | Verdict::Allows(rule) => Some(rule.clone()),
        Verdict::NotGoverned | Verdict::NotIsolated | Verdict::NoneAdmits(_) | Verdict::Denies(_) => None,
    };
    kept(&answer.egress)
        .or_else(|| kept(&answer.ingress))
        .or_else(|| passed(&answer.ingress))
        .or_else(|| passed(&answer.egress))
}

/// Where a rule stands in the text that was applied.
fn span(asking: &Asking, rule: &Applied) -> Option<Span> {
    let located = asking.lab.parsed.objects.iter().find(|located| {
        located.object.kind() == rule.kind && located.object.metadata().namespaced_name() == rule.policy
    })?;
    manifest::span_of(&asking.text, located, &rule.path).or(Some(located.span))
}

fn lost_at(fate: Fate) -> Option<EventId> {
    match fate {
        Fate::Lost(Loss::Ended(end) | Loss::AnswerEnded(end)) => Some(end),
        Fate::Allowed | Fate::Lost(Loss::NoRoute | Loss::Silence) => None,
    }
}

/// What the packet was lost at: the last rule or entry that was asked about it.
fn rule(trace: &Trace, end: EventId, lang: Lang) -> Option<String> {
    let journey = trace.event(end).journey;
    let mut id = end;
    loop {
        let event = trace.event(id);
        if event.journey != journey {
            return None;
        }
        if let EventKind::Decided(Table::Netfilter | Table::Bpf, change) = event.kind
            && change.is_some()
        {
            return Some(explain::why(trace, id, lang));
        }
        id = event.cause.is_some().then_some(event.cause)?;
    }
}

fn lost(
    trace: &Trace,
    fate: Fate,
    matrix: &Matrix,
    (from, to): (usize, usize),
    lang: Lang,
) -> Option<String> {
    let (key, end) = match fate {
        Fate::Allowed => return None,
        Fate::Lost(Loss::Ended(end)) => ("matrix.lost", Some(end)),
        Fate::Lost(Loss::AnswerEnded(end)) => ("matrix.answer-lost", Some(end)),
        Fate::Lost(Loss::NoRoute) => ("matrix.no-route", None),
        Fate::Lost(Loss::Silence) => ("matrix.silence", None),
    };
    let mut args = vec![matrix.pods[from].to_string(), matrix.pods[to].to_string()];
    args.extend(end.map(|end| explain::why(trace, end, lang)));
    Some(text(lang, key, &args))
}
