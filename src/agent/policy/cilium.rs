//! Cilium's agents: each endpoint's policy map, the identities of ranges in the ipcache, and a Pod's identity where its
//! labels have changed.

use crate::agent::cni::cilium::{self, Relabelled};
use crate::agent::control::ControlPlane;
use crate::agent::store::PodKey;
use crate::agent::world::{World, with};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, NetnsId};
use crate::cluster::policy::Blocks;
use crate::cluster::policy::cilium::{FIRST_RANGE, Identities, Key, policy_map, ranges};
use crate::trace::{BpfMap, PolicyKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What Cilium's agents remember.
#[derive(Clone, Debug, Default)]
pub(super) struct Agents {
    /// The identity under which each Pod is known.
    published: BTreeMap<PodKey, u32>,
    /// Identities of ranges.
    ranges: BTreeMap<Ipv4Net, u32>,
    next: u32,
    /// Ranges that were entered into a node's ipcache.
    entered: BTreeMap<Arc<str>, BTreeMap<Ipv4Net, u32>>,
}

impl Agents {
    /// A node is gone.
    pub(super) fn forget(&mut self, node: &str) {
        self.entered.remove(node);
    }
}

/// An endpoint with its policy map.
type Wanted = (Ipv4Addr, BTreeMap<PolicyKey, Arc<str>>);

impl ControlPlane {
    /// The agents of every node write.
    pub(super) fn sync_cilium(&mut self, world: &mut dyn World) {
        let pods = self.identities_of_pods(world);
        let wanted_ranges = ranges(&self.scope(Blocks::Outside).0);
        let agents = &mut self.policies.agents;
        agents.ranges.retain(|range, _| wanted_ranges.contains(range));
        for range in wanted_ranges {
            if !agents.ranges.contains_key(&range) {
                agents.ranges.insert(range, FIRST_RANGE + agents.next);
                agents.next += 1;
            }
        }
        let identities = Identities { pods, ranges: agents.ranges.clone() };
        let nodes: Vec<(Arc<str>, NetnsId)> = self
            .store
            .nodes
            .iter()
            .filter(|(name, node)| node.connected && !self.outages.has(name))
            .map(|(name, node)| (name.clone(), node.netns))
            .collect();
        for (name, netns) in nodes {
            self.enter_ranges(world, (&name, netns), &identities.ranges);
            let wanted = self.wanted_on(&name, &identities);
            with(world, netns, |netns, ctx| {
                let endpoints: BTreeMap<Ipv4Addr, IfIndex> = netns
                    .bpf_rows()
                    .filter(|row| row.map == BpfMap::Endpoints)
                    .map(|row| (row.key.addr(), row.ifindex))
                    .collect();
                for (ip, map) in &wanted {
                    if let Some(endpoint) = endpoints.get(ip) {
                        netns.bpf_set_policy(ctx, *endpoint, map);
                    }
                }
            });
        }
    }

    /// The identity of each Pod of the scope; where it is another one than before, all nodes hear of it.
    fn identities_of_pods(&mut self, world: &mut dyn World) -> Vec<u32> {
        let keys: Vec<PodKey> = self.scope(Blocks::Outside).1.into_iter().cloned().collect();
        let mut found = Vec::new();
        for key in &keys {
            let Some(entry) = self.store.pods.get(key) else { continue };
            let labels = entry.pod.metadata.labels.clone();
            let (ip, home, own) = (entry.address(), entry.node.clone(), !entry.pod.spec.host_network);
            let identity = self.identities.of(&key.namespace, &labels);
            found.push(identity);
            let before = self.policies.agents.published.insert(key.clone(), identity);
            let home = home.and_then(|home| self.store.nodes.get(&home)).map(|node| node.netns);
            if let (Some(ip), Some(home), true) = (ip, home, own)
                && before.is_some_and(|before| before != identity)
            {
                cilium::relabel(world, home, Relabelled { addr: ip, identity });
                self.publish(world, key);
            }
        }
        self.policies.agents.published.retain(|key, _| keys.contains(key));
        found
    }

    /// Enters the ranges into a node's ipcache, and takes out those that no policy names any more.
    fn enter_ranges(
        &mut self,
        world: &mut dyn World,
        (name, netns): (&Arc<str>, NetnsId),
        wanted: &BTreeMap<Ipv4Net, u32>,
    ) {
        let entered = self.policies.agents.entered.entry(name.clone()).or_default();
        if entered == wanted {
            return;
        }
        let before = std::mem::replace(entered, wanted.clone());
        let gone = before.keys().filter(|range| !wanted.contains_key(*range));
        let new = wanted.iter().filter(|(range, id)| before.get(*range) != Some(*id));
        cilium::enter_ranges(world, netns, gone.copied(), new.map(|(range, id)| (*range, *id)));
    }

    /// The policy maps of a node's endpoints.
    fn wanted_on(&self, name: &str, identities: &Identities) -> Vec<Wanted> {
        let (scope, _) = self.scope(Blocks::Outside);
        let key = |key: Key| PolicyKey {
            egress: key.egress,
            identity: key.identity,
            protocol: key.protocol,
            port: key.port,
            port_len: key.port_len,
        };
        let map = |at: usize| {
            let map = policy_map(&scope, at, identities);
            map.into_iter().map(|(entry, origin)| (key(entry), origin.as_str().into())).collect()
        };
        let local = |at: &usize| scope.pods[*at].node == name && scope.pods[*at].is_selectable();
        (0..scope.pods.len()).filter(local).map(|at| (scope.pods[at].ip, map(at))).collect()
    }
}
