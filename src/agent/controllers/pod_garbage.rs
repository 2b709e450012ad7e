//! The garbage collector of Pods (`pkg/controller/podgc`): those that are bound to a node that is not there go.

use crate::agent::control::ControlPlane;
use crate::agent::store::PodKey;
use crate::agent::world::{Patience, Wakeup, World};
use crate::base::Duration;
use crate::trace::PodPhase;

/// How often it looks (`gcCheckPeriod`).
const PERIOD: Duration = Duration::from_secs(20);
/// How long a node may be unknown before it counts as gone (`quarantineTime`).
const QUARANTINE: Duration = Duration::from_secs(40);

impl ControlPlane {
    /// A Pod is bound to a node that is not there. The collector finds that when it looks next, and comes back when the
    /// quarantine of the node is over.
    pub(in crate::agent) fn quarantine(world: &mut dyn World, key: &PodKey) {
        let until_next = Duration(PERIOD.0 - world.now().0 % PERIOD.0);
        world.wake_in(until_next + QUARANTINE, Patience::Patient, Wakeup::CollectPod(key.clone()));
    }

    /// The quarantine of a Pod's node is over (`gcOrphaned`).
    pub(in crate::agent) fn collect_pod(&mut self, world: &mut dyn World, key: &PodKey) {
        let gone = |node: &str| !self.store.nodes.contains_key(node);
        let bound = self.store.pods.get(key).and_then(|entry| entry.node.as_deref());
        if !bound.is_some_and(gone) {
            return;
        }
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        if !matches!(entry.phase, PodPhase::Succeeded | PodPhase::Failed) {
            entry.phase = PodPhase::Failed;
            entry.collected = true;
            self.record_pod(world, key);
        }
        self.delete_pod_object(world, &key.object(), Some(0));
    }
}
