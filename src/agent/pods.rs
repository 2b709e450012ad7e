//! Pods in the API server: they come, change and go.

use super::containers;
use super::control::{ControlPlane, hex};
use super::controllers::finalizers;
use super::killing;
use super::kubelet::Stage;
use super::store::{PodEntry, PodKey, has_anti_affinity};
use super::teardown;
use super::world::{Patience, Wakeup, World};
use crate::api::{Container, Pod, Protocol, RestartPolicy};
use crate::base::{Duration, ObjectKey};
use crate::trace::{ContainerRow, ContainerState, ObjectRow, PodPhase, TableChange, api_defaults};
use serde_json::Value;
use std::sync::Arc;

/// How long the scheduler takes for a Pod.
const SCHEDULING: Duration = Duration::from_ms(5);

/// How often a kubelet reports the status of its Pods anew (`syncPeriod` of the status manager).
const STATUS_SYNC: Duration = Duration::from_secs(10);

impl PodKey {
    /// The key of its object.
    pub(super) fn object(&self) -> ObjectKey {
        ObjectKey { kind: "Pod".into(), namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

impl ControlPlane {
    /// A Pod of a text: it comes, or changes. Metadata change in place; any other change makes the Pod anew, as `kubectl
    /// replace --force` does.
    pub(super) fn apply_pod(&mut self, world: &mut dyn World, pod: &Arc<Pod>, value: &Arc<Value>) {
        let Some(key) = self.store.pod_named(&pod.metadata.namespace, &pod.metadata.name).cloned() else {
            return self.create_pod(world, (pod.clone(), value.clone()));
        };
        // What others have changed in it meanwhile stands in the merged object only.
        let merged = serde_json::from_value::<Pod>((**value).clone()).map(|mut merged| {
            merged.metadata.namespace.clone_from(&pod.metadata.namespace);
            Arc::new(merged)
        });
        let pod = &merged.unwrap_or_else(|_| pod.clone());
        let Some(entry) = self.store.pods.get_mut(&key) else { return };
        if entry.deleting {
            entry.successor = Some((pod.clone(), value.clone()));
            return;
        }
        let stored = self.objects.get(&key.object()).map(|row| spec_of(&row.value));
        let same = stored == Some(spec_of(value)) && entry.pod.status == pod.status;
        if !same {
            return self.delete_pod(world, &key, Some((pod.clone(), value.clone())));
        }
        self.write_pod(world, pod.clone(), value.clone());
    }

    /// Writes a Pod in the place of the one of the same name, or makes it.
    pub(super) fn write_pod(&mut self, world: &mut dyn World, pod: Arc<Pod>, value: Arc<Value>) {
        let Some(key) = self.store.pod_named(&pod.metadata.namespace, &pod.metadata.name).cloned() else {
            return self.create_pod(world, (pod, value));
        };
        // Services that selected it by its old labels are to look as well.
        self.pod_touched(world, &key);
        let Some(entry) = self.store.pods.get_mut(&key) else { return };
        if entry.pod != pod {
            let old = std::mem::replace(&mut entry.pod, pod.clone());
            self.store.relabel(&key, &old.metadata.labels, &pod.metadata.labels);
            // What is new may let a Pod be placed that nothing was done for, or that fitted nowhere.
            if old.spec != pod.spec {
                world.wake_in(SCHEDULING, Patience::Prompt, Wakeup::Schedule(key.clone()));
            }
            killing::redefined(self, world, &key, &old);
            self.record_pod(world, &key);
        }
        self.put(world, &key.object(), &"v1".into(), value);
    }

    pub(super) fn create_pod(&mut self, world: &mut dyn World, (pod, value): (Arc<Pod>, Arc<Value>)) {
        self.next_uid += 1;
        let key = PodKey {
            namespace: pod.metadata.namespace.as_str().into(),
            name: pod.metadata.name.as_str().into(),
            uid: self.next_uid,
        };
        let entry = PodEntry {
            node: None,
            netns: None,
            ip: None,
            phase: PodPhase::Pending,
            reason: None,
            message: None,
            containers: container_rows(&pod),
            created: world.now(),
            ready_since: None,
            unschedulable: None,
            nominated: None,
            preempted: false,
            collected: false,
            deleting: false,
            evict_at: None,
            stage: Stage::Unscheduled,
            turn: 0,
            sandbox: hex(world, 64),
            successor: None,
            attempts: 0,
            runtimes: Vec::new(),
            shared: containers::Shared::default(),
            begun: 0,
            conditions: Arc::new([]),
            ended: false,
            failure: None,
            reported: false,
            grace: None,
            overwritten: None,
            told: None,
            orphaned: false,
            unreachable: false,
            pod,
        };
        self.store.n_anti_affinity += usize::from(has_anti_affinity(&entry.pod));
        self.store.relabel(&key, &std::collections::BTreeMap::new(), &entry.pod.metadata.labels);
        self.store.pods.insert(key.clone(), entry);
        self.put(world, &key.object(), &"v1".into(), value);
        self.record_pod(world, &key);
        world.wake_in(SCHEDULING, Patience::Prompt, Wakeup::Schedule(key));
    }

    /// Begins to take a Pod down, with this many seconds for it instead of its own.
    pub(super) fn delete_pod_object(
        &mut self,
        world: &mut dyn World,
        key: &ObjectKey,
        grace_seconds: Option<u64>,
    ) {
        let Some(key) = self.store.pod_named(&key.namespace, &key.name).cloned() else { return };
        // Without a word the Pod's own time counts (`CheckGracefulDelete`).
        let own = self.store.pods.get(&key).and_then(|entry| entry.pod.spec.termination_grace_period_seconds);
        if grace_seconds == Some(0) || (grace_seconds.is_none() && own == Some(0)) {
            return self.delete_by_force(world, &key);
        }
        if let Some(entry) = self.store.pods.get_mut(&key) {
            entry.grace = grace_seconds;
        }
        self.delete_pod(world, &key, None);
    }

    /// The Pod's object goes at once, unless a finalizer holds it. Its kubelet takes it down all the same, with the time
    /// that its own specification gives it (`calculateEffectiveGracePeriod`).
    fn delete_by_force(&mut self, world: &mut dyn World, key: &PodKey) {
        let object = key.object();
        let held = self.objects.get(&object).is_some_and(|row| !finalizers(&row.value).is_empty());
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        let on_node = !matches!(entry.stage, Stage::Unscheduled | Stage::Ended | Stage::Held);
        if held || !on_node {
            return self.delete_pod(world, key, None);
        }
        let was_deleting = std::mem::replace(&mut entry.deleting, true);
        let successor = entry.successor.take();
        let now = world.now();
        self.mark_deleted(world, &object, now);
        self.record_pod(world, key);
        self.store.orphan(key);
        self.forget_waiting(key);
        self.remove(world, &object);
        world.record(TableChange::PodGone(key.namespace.clone(), key.name.clone()));
        self.room_made(world);
        if !was_deleting {
            teardown::terminate(self, world, key);
        }
        if let Some(next) = successor {
            self.create_pod(world, next);
        }
    }

    pub(super) fn delete_pod(
        &mut self,
        world: &mut dyn World,
        key: &PodKey,
        successor: Option<(Arc<Pod>, Arc<Value>)>,
    ) {
        let now = world.now();
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        entry.successor = successor;
        if entry.deleting {
            return;
        }
        entry.deleting = true;
        if matches!(entry.stage, Stage::Unscheduled | Stage::Ended) {
            return self.finish_pod(world, key);
        }
        self.mark_deleted(world, &key.object(), now);
        self.record_pod(world, key);
        teardown::terminate(self, world, key);
    }

    /// The Pod's object is removed; what takes its place comes.
    pub(super) fn finish_pod(&mut self, world: &mut dyn World, key: &PodKey) {
        let object = key.object();
        // What is not the kubelet's to let go of keeps the object.
        if self.objects.get(&object).is_some_and(|row| !finalizers(&row.value).is_empty()) {
            let now = world.now();
            self.mark_deleted(world, &object, now);
            if let Some(entry) = self.store.pods.get_mut(key) {
                entry.stage = Stage::Held;
            }
            return self.record_pod(world, key);
        }
        self.pod_touched(world, key);
        if let Some(entry) = self.store.pods.get(key) {
            let row = entry.row(key, self.host_ip(entry));
            self.pod_lets_go(&object, row, world.now());
        }
        let Some(entry) = self.store.remove_pod(key) else { return };
        self.forget_waiting(key);
        self.remove(world, &object);
        world.record(TableChange::PodGone(key.namespace.clone(), key.name.clone()));
        self.room_made(world);
        if let Some(next) = entry.successor {
            self.create_pod(world, next);
        }
    }

    /// The last finalizer of a Pod let go.
    pub(super) fn pod_released(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(key) = self.store.pod_named(&key.namespace, &key.name).cloned() else { return };
        if self.store.pods.get(&key).is_some_and(|entry| entry.stage == Stage::Held) {
            self.finish_pod(world, &key);
        }
    }

    /// A request writes the status of a Pod. Its kubelet puts it right again when it next looks
    /// (`status_manager.go`, `syncBatch`).
    pub(super) fn overwrite_pod_status(&mut self, world: &mut dyn World, row: &ObjectRow, status: Value) {
        let Some(key) = self.store.pod_named(&row.key.namespace, &row.key.name).cloned() else { return };
        let Some(entry) = self.store.pods.get_mut(&key) else { return };
        if entry.overwritten.is_none() {
            entry.overwritten = Some(super::store::Pasted(row.value.get("status").cloned()));
        }
        let mut value = (*row.value).clone();
        value["status"] = status;
        self.rewrite(world, row, value);
        world.wake_in(STATUS_SYNC, Patience::Patient, Wakeup::Requeue(row.key.clone()));
    }

    /// The kubelet reports the status of a Pod again that somebody else has written.
    pub(super) fn restore_pod_status(&mut self, world: &mut dyn World, object: &ObjectKey) {
        let Some(key) = self.store.pod_named(&object.namespace, &object.name).cloned() else { return };
        let Some(before) = self.store.pods.get_mut(&key).and_then(|entry| entry.overwritten.take()) else {
            return;
        };
        let Some(row) = self.objects.get(object).cloned() else { return };
        let mut value = (*row.value).clone();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("status");
            fields.extend(before.0.map(|status| ("status".to_owned(), status)));
        }
        self.rewrite(world, &row, value);
    }

    /// Whoever manages a Pod is to look at it.
    pub(super) fn owner_touched(&mut self, world: &mut dyn World, key: &PodKey) {
        self.budgets_touched(world, &key.namespace);
        let Some(entry) = self.store.pods.get(key) else { return };
        let mut owners = entry.pod.metadata.owner_references.iter();
        if let Some(owner) = owners.find(|owner| owner.controller == Some(true)) {
            let owner = ObjectKey::new(&owner.kind, &key.namespace, &owner.name);
            self.enqueue(world, owner);
        }
    }

    /// The Pod and its sandbox go at once, as when the machine under them is gone.
    pub(super) fn forget_pod(&mut self, world: &mut dyn World, key: &PodKey) {
        self.withdraw(world, key);
        containers::kill_all(self, world, key);
        self.pod_touched(world, key);
        let Some(entry) = self.store.remove_pod(key) else { return };
        if let Some(netns) = entry.netns.filter(|_| !entry.pod.spec.host_network) {
            world.del_netns(netns);
        }
        if entry.orphaned {
            return;
        }
        self.remove(world, &key.object());
        world.record(TableChange::PodGone(key.namespace.clone(), key.name.clone()));
    }
}

/// What a Pod is to be, with what the API server fills in, so that it says the same whether that is written or not.
fn spec_of(value: &Value) -> Value {
    let mut value = value.clone();
    api_defaults::fill(&mut value);
    value["spec"].take()
}

pub(super) fn container_rows(pod: &Pod) -> Vec<ContainerRow> {
    let row = |container: &Container, (init, ephemeral): (bool, bool)| ContainerRow {
        name: container.name.as_str().into(),
        image: container.image.as_deref().unwrap_or("").into(),
        ports: container
            .ports
            .iter()
            .map(|port| {
                let protocol = match port.protocol {
                    Protocol::Tcp => "TCP",
                    Protocol::Udp => "UDP",
                    Protocol::Sctp => "SCTP",
                };
                format!("{}/{protocol}", port.container_port).into()
            })
            .collect(),
        init,
        sidecar: init && container.restart_policy == Some(RestartPolicy::Always),
        ephemeral,
        state: ContainerState::Waiting("".into()),
        restarts: 0,
        last: None,
        before: None,
        made: None,
        ready: false,
        started: false,
        message: None,
    };
    // No status yet: the kubelet writes the first one when it takes the Pod up.
    let inits = pod.spec.init_containers.iter().map(|container| row(container, (true, false)));
    let mains = pod.spec.containers.iter().map(|container| row(container, (false, false)));
    let further = pod.spec.ephemeral_containers.iter().map(|container| row(container, (false, true)));
    inits.chain(mains).chain(further).collect()
}
