//! The scheduler binds Pods to nodes, and looks again at those that fit nowhere when something may have made room.

use super::control::ControlPlane;
use super::controllers::Kind;
use super::kubelet::{self, Stage};
use super::store::PodKey;
use super::world::{Patience, Wakeup, World};
use crate::api::{NodeSpec, Pod};
use crate::base::{Duration, ObjectKey, SimTime};
use crate::cluster::scheduler::{self, Candidate, Surroundings, Unfit};
use crate::trace::{ObjectRow, PodPhase, Steps, started_at};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long the scheduler waits before it looks again (`podInitialBackoff`).
const AGAIN: Duration = Duration::from_secs(1);

/// Pods that are looked at in one step of the simulation; further ones follow at the same moment.
const PODS_PER_STEP: usize = 64;
/// The scheduler that is simulated.
const OWN_NAME: &str = "default-scheduler";

/// Pods that fit nowhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Unscheduled {
    pods: BTreeSet<PodKey>,
    /// Those of them that it looks at just now.
    again: BTreeSet<PodKey>,
    /// Those of them for whose sake others go. They are asked for at every look at a node, and are few.
    nominated: BTreeSet<PodKey>,
    /// Whether the scheduler is about to look at them again.
    looking: bool,
}

impl Surroundings for ControlPlane {
    fn placed(&self, node: &str) -> Vec<&Pod> {
        let entries = self.store.pods_on(node).filter_map(|key| self.store.pods.get(key));
        let living = entries.filter(|entry| !matches!(entry.phase, PodPhase::Succeeded | PodPhase::Failed));
        living.map(|entry| &*entry.pod).collect()
    }

    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.object("Namespace", "", namespace).map(|row| row.labels()).unwrap_or_default()
    }

    fn has_anti_affinity(&self) -> bool {
        self.store.n_anti_affinity > 0
    }

    fn nominated(&self, node: &str) -> Vec<&Pod> {
        let entries = self.waiting.nominated.iter().filter_map(|key| self.store.pods.get(key));
        entries.filter(|entry| entry.nominated.as_deref() == Some(node)).map(|entry| &*entry.pod).collect()
    }

    fn start_secs(&self, pod: &Pod) -> Option<u64> {
        let key = self.store.pod_named(&pod.metadata.namespace, &pod.metadata.name)?;
        let entry = self.store.pods.get(key).filter(|entry| entry.stage != Stage::Unscheduled)?;
        started_at(&entry.conditions).map(SimTime::unix_secs)
    }

    fn claims(&self, pod: &Pod) -> Option<String> {
        self.claims_refuse(pod)
    }

    fn volumes(&self, pod: &Pod, node: &NodeSpec) -> Option<&'static str> {
        self.volumes_refuse(pod, node)
    }
}

impl ControlPlane {
    pub(super) fn schedule(&mut self, world: &mut dyn World, key: &PodKey) {
        let waits =
            |entry: &&super::store::PodEntry| entry.stage == Stage::Unscheduled && entry.node.is_none();
        let Some(entry) = self.store.pods.get(key).filter(waits) else { return };
        let spec = &entry.pod.spec;
        // A Pod that names its node passes the scheduler by; its kubelet takes it, if there is one.
        if let Some(node) = spec.node_name.clone() {
            return self.bind(world, key, &node);
        }
        // The scheduler does not watch Pods that have ended.
        let ended = entry.is_told_ended();
        let own = spec.scheduler_name.as_deref().is_none_or(|name| name == OWN_NAME || name.is_empty());
        if !own || ended || !spec.scheduling_gates.is_empty() {
            return;
        }
        let pod = entry.pod.clone();
        match self.choose_node(&pod) {
            Ok(node) => {
                self.provide_claims(world, &pod, &node);
                self.bind(world, key, &node);
            }
            Err(unfit) => {
                let reason = self.preempt(world, key, &pod, unfit);
                self.unschedulable(world, key, reason);
            }
        }
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        let nodes = self.store.nodes.values();
        nodes.map(|entry| Candidate { node: &entry.spec, pods: entry.pods }).collect()
    }

    fn choose_node(&self, pod: &Pod) -> Result<String, Unfit> {
        scheduler::schedule(pod, &self.candidates(), self)
    }

    /// All disruption budgets.
    fn budgets(&self) -> Vec<scheduler::Budget> {
        let budget = |row: &Arc<ObjectRow>| {
            let selector = row.at(&["spec", "selector"]).filter(|selector| !selector.is_null())?;
            Some(scheduler::Budget {
                namespace: row.key.namespace.to_string(),
                selector: serde_json::from_value(selector.clone()).ok()?,
                allowed: row.at(&["status", "disruptionsAllowed"]).and_then(Value::as_i64).unwrap_or(0),
            })
        };
        self.objects_of("PodDisruptionBudget").filter_map(budget).collect()
    }

    /// Takes Pods of lower priority away for one that fits nowhere, if that helps; what is said of it.
    fn preempt(&mut self, world: &mut dyn World, key: &PodKey, pod: &Pod, unfit: Unfit) -> String {
        let Some(entry) = self.store.pods.get_mut(key) else { return unfit.alone(None) };
        let policy = self.objects.get(&key.object()).and_then(|row| row.text(&["spec", "preemptionPolicy"]));
        if policy == Some("Never") {
            return unfit.alone(Some("not eligible due to preemptionPolicy=Never."));
        }
        if let Some(node) = entry.nominated.clone() {
            let leaving = |entry: &super::store::PodEntry| entry.deleting && entry.preempted;
            if self.store.pods_on(&node).filter_map(|key| self.store.pods.get(key)).any(leaving) {
                let why = "not eligible due to a terminating pod on the nominated node.";
                return unfit.alone(Some(why));
            }
        }
        let found = scheduler::preempt(pod, &self.candidates(), (self, &self.budgets()));
        if let Some(entry) = self.store.pods.get_mut(key) {
            entry.nominated = found.as_ref().map(|found| Arc::from(found.node.as_str()));
        }
        let Some(found) = found else {
            self.waiting.nominated.remove(key);
            return unfit.alone(None);
        };
        self.waiting.nominated.insert(key.clone());
        let uid = self.objects.get(&key.object()).map(|row| row.uid.to_string()).unwrap_or_default();
        for (namespace, name) in found.victims {
            let Some(victim) = self.store.pod_named(&namespace, &name).cloned() else { continue };
            let message = format!("Preempted by pod {uid} on node {}", found.node);
            Self::event(world, &victim.object(), Kind::Normal, ("Preempted", OWN_NAME), message);
            if let Some(entry) = self.store.pods.get_mut(&victim) {
                entry.preempted = true;
            }
            self.delete_pod(world, &victim, None);
        }
        unfit.after_preemption()
    }

    /// A Pod fits nowhere; what is said already is not said again.
    fn unschedulable(&mut self, world: &mut dyn World, key: &PodKey, reason: String) {
        self.waiting.pods.insert(key.clone());
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        if entry.unschedulable.as_ref() == Some(&reason) {
            return;
        }
        entry.unschedulable = Some(reason.clone());
        Self::event(world, &key.object(), Kind::Warning, ("FailedScheduling", OWN_NAME), reason);
        self.record_pod(world, key);
    }

    /// Something changed by which a Pod that fitted nowhere may fit now.
    pub(super) fn room_made(&mut self, world: &mut dyn World) {
        if !self.waiting.pods.is_empty() && !std::mem::replace(&mut self.waiting.looking, true) {
            world.wake_in(AGAIN, Patience::Prompt, Wakeup::ScheduleAgain);
        }
    }

    pub(super) fn schedule_again(&mut self, world: &mut dyn World) {
        if self.waiting.again.is_empty() {
            self.waiting.looking = false;
            self.waiting.again = std::mem::take(&mut self.waiting.pods);
        }
        for _ in 0..PODS_PER_STEP {
            let Some(key) = self.waiting.again.pop_first() else { return };
            self.schedule(world, &key);
        }
        if !self.waiting.again.is_empty() {
            world.wake_in(Duration::ZERO, Patience::Prompt, Wakeup::ScheduleAgain);
        }
    }

    pub(super) fn bind(&mut self, world: &mut dyn World, key: &PodKey, node: &str) {
        let exists = self.store.nodes.contains_key(node);
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        let by_scheduler = entry.pod.spec.node_name.is_none();
        (entry.unschedulable, entry.nominated) = (None, None);
        self.waiting.nominated.remove(key);
        let (pod, ended) = (entry.pod.clone(), entry.is_told_ended());
        // Bound without the scheduler: the kubelet looks for itself whether it can take the Pod.
        let refused = self
            .store
            .nodes
            .get(node)
            .filter(|_| !by_scheduler)
            .and_then(|node| scheduler::refused_by_kubelet(&pod, &node.spec, self));
        self.store.bind(key, node);
        self.record_pod(world, key);
        if !exists {
            return Self::quarantine(world, key);
        }
        if ended {
            return kubelet::leave_ended(self, world, key);
        }
        if by_scheduler {
            let message = format!("Successfully assigned {}/{} to {node}", key.namespace, key.name);
            Self::event(world, &key.object(), Kind::Normal, ("Scheduled", OWN_NAME), message);
        }
        if let Some((reason, message)) = refused {
            return kubelet::reject(self, world, key, (&reason, &message));
        }
        Self::step(world, key, (Steps::Creation, 1), vec![key.name.to_string(), node.to_owned()]);
        kubelet::admit(self, world, key);
    }

    /// What became of a Pod that is gone is forgotten.
    pub(super) fn forget_waiting(&mut self, key: &PodKey) {
        self.waiting.pods.remove(key);
        self.waiting.again.remove(key);
        self.waiting.nominated.remove(key);
    }

    /// The object of a Pod's node.
    pub(super) fn node_key(node: &str) -> ObjectKey {
        ObjectKey::new("Node", "", node)
    }
}
