//! Those who enforce network policies: Calico's Felix writes chains and sets into each node's netfilter, Cilium's agents
//! write the policy maps of each endpoint. The other plug-ins enforce nothing.

mod cilium;
mod felix;

use super::control::ControlPlane;
use super::store::{PodEntry, PodKey};
use super::world::{Patience, Wakeup, World};
use crate::api::{AdminNetworkPolicy, AdminTier, Cni, NamespacedName, NetworkPolicy};
use crate::base::Duration;
use crate::cluster::policy::felix::Wanted;
use crate::cluster::policy::{Blocks, Endpoint, Namespaces, Scope};
use crate::trace::{ObjectRow, PodPhase};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long after a change the agents write.
const AGENT: Duration = Duration::from_ms(20);

/// The policies, and what was written because of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    /// By namespace and name.
    objects: BTreeMap<NamespacedName, Arc<NetworkPolicy>>,
    /// Those of the administrators, in the order in which they are asked: by tier, priority and name.
    admin: Vec<Arc<AdminNetworkPolicy>>,
    /// Whether the agents are about to write.
    writing: bool,
    /// What Felix wrote, by node.
    felix: BTreeMap<Arc<str>, Wanted>,
    agents: cilium::Agents,
}

impl Policies {
    /// A policy came or changed.
    pub(super) fn keep(&mut self, policy: Arc<NetworkPolicy>) {
        self.objects.insert(policy.metadata.namespaced_name(), policy);
    }

    /// A policy went.
    pub(super) fn drop(&mut self, namespace: &str, name: &str) {
        let name = NamespacedName { namespace: namespace.to_owned(), name: name.to_owned() };
        self.objects.remove(&name);
    }

    /// A policy of the administrators came or changed.
    pub(super) fn keep_admin(&mut self, policy: Arc<AdminNetworkPolicy>) {
        self.drop_admin(policy.tier, &policy.metadata.name);
        self.admin.push(policy);
        self.admin.sort_by(|a, b| {
            let order = |one: &AdminNetworkPolicy| (one.tier, one.spec.priority);
            order(a).cmp(&order(b)).then_with(|| a.metadata.name.cmp(&b.metadata.name))
        });
    }

    /// A policy of the administrators went.
    pub(super) fn drop_admin(&mut self, tier: AdminTier, name: &str) {
        self.admin.retain(|policy| policy.tier != tier || policy.metadata.name != name);
    }

    /// The nodes are gone, with what was written there.
    pub(super) fn forget_nodes(&mut self) {
        self.felix.clear();
        self.agents = cilium::Agents::default();
    }

    /// A node is gone.
    pub(super) fn forget_node(&mut self, name: &str) {
        self.felix.remove(name);
        self.agents.forget(name);
    }
}

impl ControlPlane {
    /// Something changed that policies ask about; the agents will write.
    pub(super) fn policies_changed(&mut self, world: &mut dyn World) {
        let enforced = self.cluster.as_ref().is_some_and(|cluster| enforces(cluster.network.cni));
        if enforced && !std::mem::replace(&mut self.policies.writing, true) {
            world.wake_in(AGENT, Patience::Prompt, Wakeup::Policies);
        }
    }

    /// The agents of all nodes write.
    pub(super) fn sync_policies(&mut self, world: &mut dyn World) {
        self.policies.writing = false;
        let Some(cluster) = self.cluster.clone() else { return };
        match cluster.network.cni {
            Cni::Calico => self.sync_felix(world, &cluster),
            Cni::Cilium => self.sync_cilium(world),
            Cni::Bridge | Cni::Flannel => {}
        }
    }

    /// What policies are about, as the plug-in sees it now.
    pub fn policy_scope(&self) -> Scope<'_> {
        let cilium = self.is_cilium();
        self.scope(if cilium { Blocks::Outside } else { Blocks::All }).0
    }

    /// The name of the network plug-in, if it enforces no policies.
    pub fn unenforcing(&self) -> Option<&'static str> {
        let cni = self.cluster.as_ref()?.network.cni;
        let name = Cni::ALL.iter().find(|known| known.1 == cni).map(|known| known.0);
        name.filter(|_| !enforces(cni))
    }

    /// The name of the network plug-in, if it enforces no policies of administrators and there are some.
    pub fn unenforcing_admin(&self) -> Option<&'static str> {
        let cni = self.cluster.as_ref()?.network.cni;
        let name = Cni::ALL.iter().find(|known| known.1 == cni).map(|known| known.0);
        name.filter(|_| !enforces_admin(cni) && !self.policies.admin.is_empty())
    }

    /// What policies are about, as it is now, with the keys of the Pods in the same order.
    fn scope(&self, blocks: Blocks) -> (Scope<'_>, Vec<&PodKey>) {
        let live: Vec<(&PodKey, Endpoint<'_>)> =
            self.store.live().filter_map(|(key, entry)| Some((key, endpoint(entry)?))).collect();
        let scope = Scope {
            pods: live.iter().map(|(_, endpoint)| *endpoint).collect(),
            namespaces: self.namespace_labels(),
            policies: self.policies.objects.values().map(|policy| &**policy).collect(),
            admin: self.admin_policies(),
            blocks,
        };
        (scope, live.into_iter().map(|(key, _)| key).collect())
    }

    /// The policies of the administrators, as far as the plug-in knows such.
    fn admin_policies(&self) -> Vec<&AdminNetworkPolicy> {
        let known = self.cluster.as_ref().is_some_and(|cluster| enforces_admin(cluster.network.cni));
        self.policies.admin.iter().filter(|_| known).map(|policy| &**policy).collect()
    }

    fn namespace_labels(&self) -> Namespaces {
        let labels = |row: &Arc<ObjectRow>| {
            let labels = row.value["metadata"]["labels"].as_object().into_iter().flatten();
            let text = |(key, value): (&String, &serde_json::Value)| {
                (key.clone(), value.as_str().unwrap_or("").to_owned())
            };
            (row.key.name.to_string(), labels.map(text).collect())
        };
        self.objects_of("Namespace").map(labels).collect()
    }
}

/// Whether a plug-in enforces network policies.
fn enforces(cni: Cni) -> bool {
    match cni {
        Cni::Calico | Cni::Cilium => true,
        Cni::Bridge | Cni::Flannel => false,
    }
}

/// Whether a plug-in enforces policies of administrators. Calico does since 3.29, its baseline since 3.30; Cilium does not.
fn enforces_admin(cni: Cni) -> bool {
    match cni {
        Cni::Calico => true,
        Cni::Cilium | Cni::Bridge | Cni::Flannel => false,
    }
}

/// A Pod that has its address, until it has run to its end.
fn endpoint(entry: &PodEntry) -> Option<Endpoint<'_>> {
    let ended = matches!(entry.phase, PodPhase::Succeeded | PodPhase::Failed);
    let (ip, node) = (entry.ip.filter(|_| !ended)?, entry.node.as_deref()?);
    Some(Endpoint { pod: &entry.pod, ip, node })
}
