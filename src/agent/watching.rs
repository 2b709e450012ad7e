//! What happened to objects lately, for who watches them (the watch cache of the API server).

use super::control::ControlPlane;
use crate::base::{ObjectKey, SimTime};
use crate::trace::{ObjectRow, PodRow};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;

/// How many changes are kept.
const KEPT: usize = 1_024;

/// An object as it was after a change, or as it was last.
#[derive(Clone, Debug)]
struct Change {
    at: SimTime,
    row: Arc<ObjectRow>,
    /// What its kubelet had told of it, if it is a Pod.
    pod: Option<Arc<PodRow>>,
    is_gone: bool,
}

/// The latest changes in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Number of the first one that is kept.
    first: u64,
    kept: VecDeque<Change>,
}

impl Changes {
    /// The number that the next change will have.
    pub(super) fn next(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    fn push(&mut self, change: Change) {
        self.kept.push_back(change);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
            self.first += 1;
        }
    }
}

impl ControlPlane {
    /// What the API server knows of the status of a Pod.
    fn told_of(&self, key: &ObjectKey) -> Option<Arc<PodRow>> {
        let key = self.store.pod_named(&key.namespace, &key.name)?;
        self.store.pods.get(key)?.told.clone()
    }

    /// An object has changed. What is written of it at one moment is one change.
    pub(super) fn object_written(&mut self, row: &Arc<ObjectRow>, now: SimTime) {
        let pod = self.told_of(&row.key);
        if &*row.key.kind == "Pod" && pod.is_none() {
            // Its kubelet, or whoever stands for it, is about to tell of it.
            return;
        }
        let change = Change { at: now, row: row.clone(), pod, is_gone: false };
        let mut recent = self.changes.kept.iter_mut().rev().take_while(|change| change.at == now);
        match recent.find(|other| other.row.key == row.key).filter(|other| !other.is_gone) {
            Some(other) => *other = change,
            None => self.changes.push(change),
        }
    }

    /// A kubelet has told of a Pod.
    pub(super) fn pod_told(&mut self, key: &ObjectKey, now: SimTime) {
        if let Some(row) = self.objects.get(key).cloned() {
            self.object_written(&row, now);
        }
    }

    /// The deletion of a Pod is asked for without any more time, as its kubelet does at the end.
    pub(super) fn pod_lets_go(&mut self, key: &ObjectKey, pod: PodRow, now: SimTime) {
        let Some(row) = self.objects.get(key) else { return };
        let row = Arc::new(ObjectRow { deleted: row.deleted.or(Some(now)), ..(**row).clone() });
        let pod = PodRow { deleting: true, ..pod };
        self.changes.push(Change { at: now, row, pod: Some(Arc::new(pod)), is_gone: false });
    }

    /// An object is gone.
    pub(super) fn object_gone(&mut self, row: &Arc<ObjectRow>, now: SimTime) {
        // Of a Pod it is shown how it was shown last.
        let mut before = self.changes.kept.iter().rev().filter(|change| change.row.key == row.key);
        let last = before.next().filter(|_| &*row.key.kind == "Pod").cloned();
        let change = last.unwrap_or_else(|| Change { at: now, row: row.clone(), pod: None, is_gone: true });
        self.changes.push(Change { at: now, is_gone: true, ..change });
    }

    /// The changes of a kind from a number on; null where there are none.
    pub(super) fn changes_since(&self, (kind, namespace): (&str, &str), after: u64) -> Value {
        let next = self.changes.next();
        if after >= next {
            return Value::Null;
        }
        let skipped = usize::try_from(after.saturating_sub(self.changes.first)).unwrap_or(usize::MAX);
        let fits = |change: &&Change| {
            let key = &change.row.key;
            &*key.kind == kind && (namespace.is_empty() || &*key.namespace == namespace)
        };
        let shown = |change: &Change| {
            let mut object = self.whole(&change.row);
            if let Some(pod) = &change.pod {
                object = change.row.whole();
                pod.overlay(&mut object);
            }
            object
        };
        let objects: Vec<Value> = self.changes.kept.iter().skip(skipped).filter(fits).map(shown).collect();
        json!({ "objects": objects, "next": next })
    }
}
