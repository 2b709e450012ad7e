//! The DaemonSet controller (`pkg/controller/daemon`): a Pod on every node that takes it.

use super::pods::{Name, with_labels};
use super::statefulset::REVISION;
use super::{Kind, count, workload};
use crate::agent::control::ControlPlane;
use crate::agent::store::{PodEntry, PodKey};
use crate::agent::world::{Patience, World};
use crate::api::{Pod, Workload};
use crate::base::ObjectKey;
use crate::cluster::rollout::fenceposts;
use crate::cluster::scheduler;
use crate::trace::{ObjectRow, PodPhase};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const COMPONENT: &str = "daemonset-controller";

/// Taints that every Pod of a DaemonSet tolerates (`AddOrUpdateDaemonPodTolerations`); the last one only in the node's
/// network namespace.
const TOLERATED: [(&str, &str); 7] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ("node.kubernetes.io/network-unavailable", "NoSchedule"),
];

/// Pods by their nodes.
type ByNode = BTreeMap<Arc<str>, Vec<PodKey>>;

/// The template of a DaemonSet's Pod on one node.
fn template_for(set: &Workload, revision: &str, node: &str) -> Value {
    let mut template = with_labels(&set.spec.template, &BTreeMap::from([(REVISION, revision.to_owned())]));
    let spec = &mut template["spec"];
    let own = spec["hostNetwork"] == json!(true);
    let mut tolerations = spec["tolerations"].as_array().cloned().unwrap_or_default();
    for (key, effect) in TOLERATED.iter().take(if own { 7 } else { 6 }) {
        let toleration = json!({ "key": key, "operator": "Exists", "effect": effect });
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    spec["tolerations"] = Value::Array(tolerations);
    // The scheduler binds it; the name of the node stands in each of its terms.
    let field = json!({ "key": "metadata.name", "operator": "In", "values": [node] });
    let required = &mut spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let mut terms = required["nodeSelectorTerms"].as_array().cloned().unwrap_or_default();
    if terms.is_empty() {
        terms.push(json!({}));
    }
    for term in &mut terms {
        term["matchFields"] = json!([field]);
    }
    required["nodeSelectorTerms"] = Value::Array(terms);
    template
}

impl ControlPlane {
    pub(super) fn sync_daemon_set(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        let Some(set) = workload(&row) else { return };
        let claimed = self.claim_pods(world, &row, &set);
        let revision = self.revision(world, &row, &set);
        let revision = revision.rsplit('-').next().unwrap_or("").to_owned();
        let mut on: BTreeMap<Arc<str>, Vec<PodKey>> = BTreeMap::new();
        for pod in claimed {
            if let Some(node) = self.daemon_node(&pod) {
                on.entry(node).or_default().push(pod);
            }
        }
        let nodes: Vec<Arc<str>> = self.store.nodes.keys().cloned().collect();
        let mut wanted = Vec::new();
        for node in &nodes {
            let template = template_for(&set, &revision, node);
            let (runs, stays) = self.daemon_fits(&template, node);
            if runs {
                wanted.push(node.clone());
            }
            if row.deleted.is_none() {
                let pods = on.get(node).cloned().unwrap_or_default();
                self.keep_daemon(world, &row, (&template, (runs, stays)), &pods);
            }
        }
        let lost: Vec<PodKey> = on
            .iter()
            .filter(|(node, _)| !self.store.nodes.contains_key(*node))
            .flat_map(|(_, pods)| pods.clone())
            .collect();
        for pod in lost {
            if self.pod_entry(&pod).is_some_and(|entry| !entry.deleting) {
                self.drop_pod(world, key, &pod, COMPONENT);
            }
        }
        if row.deleted.is_none() {
            self.replace_daemons(world, (&row, &set), &revision, (&on, &wanted));
        }
        self.put_daemon_status(world, (&row, &set), &revision, &wanted);
    }

    /// The node that a DaemonSet's Pod runs on, or is meant for.
    fn daemon_node(&self, pod: &PodKey) -> Option<Arc<str>> {
        let entry = self.pod_entry(pod)?;
        if let Some(node) = &entry.node {
            return Some(node.clone());
        }
        let affinity = entry.pod.spec.affinity.as_ref()?;
        let required = &affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0].as_str().map(Into::into)
    }

    /// Whether a Pod of this template is to be on a node, and whether one that is there stays.
    fn daemon_fits(&self, template: &Value, node: &str) -> (bool, bool) {
        let Some(entry) = self.store.nodes.get(node) else { return (false, false) };
        let value = json!({ "metadata": template["metadata"], "spec": template["spec"] });
        let Ok(pod) = serde_json::from_value::<Pod>(value) else { return (false, false) };
        scheduler::daemon_fits(&pod, &entry.spec)
    }

    fn keep_daemon(
        &mut self,
        world: &mut dyn World,
        row: &ObjectRow,
        (template, (runs, stays)): (&Value, (bool, bool)),
        pods: &[PodKey],
    ) {
        if !runs && pods.is_empty() {
            return;
        }
        let mut living = 0;
        for pod in pods {
            let Some(entry) = self.pod_entry(pod).filter(|entry| !entry.deleting) else { continue };
            let failed = entry.phase == PodPhase::Failed;
            if failed {
                let text = format!(
                    "Found failed daemon pod {}/{} on node {}, will try to kill it",
                    pod.namespace,
                    pod.name,
                    entry.node.as_deref().unwrap_or("")
                );
                Self::event(world, &row.key, Kind::Warning, ("FailedDaemonPod", COMPONENT), text);
            }
            if failed || !stays || living > 0 {
                self.drop_pod(world, &row.key, pod, COMPONENT);
            } else {
                living += 1;
            }
        }
        // A Pod that is about to go makes room first.
        if runs && living == 0 && pods.iter().all(|pod| self.pod_entry(pod).is_none()) {
            let prefix = format!("{}-", row.key.name);
            match self.make_pod(world, row, template, Name::Generated(&prefix)) {
                Ok(name) => {
                    let text = format!("Created pod: {name}");
                    Self::event(world, &row.key, Kind::Normal, ("SuccessfulCreate", COMPONENT), text);
                }
                Err(error) => {
                    let text = format!("Error creating: {error}");
                    Self::event(world, &row.key, Kind::Warning, ("FailedCreate", COMPONENT), text);
                }
            }
        }
    }

    /// Pods of an old template go, as many at a time as may be missing.
    fn replace_daemons(
        &mut self,
        world: &mut dyn World,
        (row, set): (&ObjectRow, &Workload),
        revision: &str,
        (on, wanted): (&ByNode, &[Arc<str>]),
    ) {
        if set.spec.update_strategy.r#type == "OnDelete" {
            return;
        }
        let rolling = set.spec.update_strategy.rolling_update.as_ref();
        let one = json!(1);
        let most = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&one);
        let (_, most) = fenceposts(None, Some(most), wanted.len() as i64);
        let mut missing = 0;
        let mut old = Vec::new();
        for node in wanted {
            let pods = on.get(node).map_or(&[][..], Vec::as_slice);
            let ready = pods
                .iter()
                .any(|pod| self.pod_entry(pod).is_some_and(|entry| !entry.deleting && entry.is_ready()));
            missing += i64::from(!ready);
            old.extend(pods.iter().filter(|pod| {
                self.pod_entry(pod).is_some_and(|entry| {
                    !entry.deleting && entry.pod.metadata.labels.get(REVISION).is_none_or(|at| at != revision)
                })
            }));
        }
        // Those that are not ready anyway go first and count for nothing.
        old.sort_by_key(|pod| self.pod_entry(pod).is_some_and(PodEntry::is_ready));
        for pod in old.into_iter().cloned().collect::<Vec<_>>() {
            let ready = self.pod_entry(&pod).is_some_and(PodEntry::is_ready);
            if ready && missing >= most {
                return;
            }
            missing += i64::from(ready);
            self.drop_pod(world, &row.key, &pod, COMPONENT);
        }
    }

    fn put_daemon_status(
        &mut self,
        world: &mut dyn World,
        (row, set): (&ObjectRow, &Workload),
        revision: &str,
        wanted: &[Arc<str>],
    ) {
        let owned = self.objects.owned_by(&row.uid).filter(|key| &*key.kind == "Pod");
        let pods: Vec<PodKey> =
            owned.filter_map(|key| self.store.pod_named(&key.namespace, &key.name)).cloned().collect();
        let right: Vec<PodKey> = pods
            .iter()
            .filter(|pod| self.daemon_node(pod).is_some_and(|node| wanted.contains(&node)))
            .cloned()
            .collect();
        let (ready, available, next) = self.readiness(world, &right, set.spec.min_ready_seconds);
        if let Some(next) = next {
            self.enqueue_in(world, next, Patience::Patient, &row.key);
        }
        let updated = right
            .iter()
            .filter_map(|pod| self.pod_entry(pod))
            .filter(|entry| entry.pod.metadata.labels.get(REVISION).is_some_and(|at| at == revision));
        let updated = updated.count() as i64;
        let desired = wanted.len() as i64;
        let status = json!({
            "currentNumberScheduled": right.len(),
            "numberMisscheduled": pods.len() - right.len(),
            "desiredNumberScheduled": desired,
            "numberReady": ready,
            "observedGeneration": row.generation,
            "updatedNumberScheduled": count(updated),
            "numberAvailable": count(available),
            "numberUnavailable": count(desired - available),
        });
        self.put_status(world, &row.key, status);
    }
}
