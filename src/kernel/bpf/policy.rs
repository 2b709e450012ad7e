//! Policy at an endpoint (`bpf/lib/policy.h`): a packet that begins a connection needs an entry of the endpoint's policy
//! map for its direction, the far end's identity, its protocol and port; what belongs to a connection that was let
//! pass needs none (`bpf/lib/conntrack.h`). An endpoint that has no policy map yet lets everything pass.

use crate::base::{ChangeId, Duration, EventId, IfIndex, Ipv4Addr, SimTime};
use crate::kernel::netfilter::{inverted, quoted_tuple, tuple};
use crate::kernel::{Ctx, Netns, Skb};
use crate::trace::{
    BpfMap, CiliumChange, CtRow, DropReason, EventKind, PolicyKey, PolicyRow, Table, TableChange, Tuple,
};
use crate::wire::{Body, Ipv4, Quote, TcpFlags};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Identity of an address that the ipcache does not know (`WORLD_ID`).
const WORLD: u32 = 2;
/// How long a connection is remembered (`CT_CONNECTION_LIFETIME_TCP` and `_NONTCP`, `CT_SYN_TIMEOUT`,
/// `CT_CLOSE_TIMEOUT`).
const TCP: Duration = Duration::from_secs(8_000);
const OTHER: Duration = Duration::from_secs(60);
const SYN: Duration = Duration::from_secs(60);
const CLOSING: Duration = Duration::from_secs(10);

/// The policy map of an endpoint.
type PolicyMap = BTreeMap<PolicyKey, (Arc<str>, ChangeId)>;

/// Policy maps, connections, and the ports of packets that came in fragments.
#[derive(Clone, Debug, Default)]
pub(in crate::kernel) struct Policies {
    maps: BTreeMap<IfIndex, PolicyMap>,
    connections: BTreeMap<(bool, Tuple), (SimTime, ChangeId)>,
    /// By source, destination, protocol and identification (`cilium_ipv4_frag_datagrams`).
    fragments: BTreeMap<(Ipv4Addr, Ipv4Addr, u8, u16), (u16, u16)>,
}

/// What a packet is to the connections.
enum Known {
    /// It belongs to one, whose row this is.
    Member((bool, Tuple), ChangeId),
    /// It would begin one.
    New(Tuple),
    /// It is a later fragment of a packet whose beginning was not seen.
    Stray,
}

impl Netns {
    /// The policy maps' entries of an endpoint, in order.
    pub fn bpf_policy(&self, endpoint: IfIndex) -> impl Iterator<Item = (PolicyKey, &Arc<str>)> {
        let map = self.bpf.policies.maps.get(&endpoint);
        map.into_iter().flatten().map(|(key, (origin, _))| (*key, origin))
    }

    /// Gives an endpoint's policy map these entries, each with what it was made from.
    pub fn bpf_set_policy(
        &mut self,
        ctx: &mut Ctx<'_>,
        endpoint: IfIndex,
        wanted: &BTreeMap<PolicyKey, Arc<str>>,
    ) {
        let netns = self.id;
        let map = self.bpf.policies.maps.entry(endpoint).or_default();
        let mut record = |change| ctx.change(netns, endpoint, EventId::NONE, TableChange::Cilium(change));
        let row = |key: &PolicyKey, origin: &Arc<str>| PolicyRow {
            netns,
            ifindex: endpoint,
            key: *key,
            origin: origin.clone(),
        };
        let gone: Vec<PolicyKey> = map.keys().filter(|key| !wanted.contains_key(*key)).copied().collect();
        for key in gone {
            if let Some((origin, _)) = map.remove(&key) {
                record(CiliumChange::PolicyGone(row(&key, &origin)));
            }
        }
        for (key, origin) in wanted {
            if map.get(key).is_none_or(|(old, _)| old != origin) {
                let change = record(CiliumChange::Policy(row(key, origin)));
                map.insert(*key, (origin.clone(), change));
            }
        }
    }

    /// An endpoint is gone, with its policy map.
    pub fn bpf_forget_policy(&mut self, ctx: &mut Ctx<'_>, endpoint: IfIndex) {
        self.bpf_set_policy(ctx, endpoint, &BTreeMap::new());
        self.bpf.policies.maps.remove(&endpoint);
    }

    /// Asks an endpoint's policy about a packet that it sends, or that is for it; `far` is the far end's identity where
    /// the packet carries it. What may not pass is dropped, and nothing comes back.
    pub(super) fn bpf_police(
        &mut self,
        ctx: &mut Ctx<'_>,
        (at, endpoint): (IfIndex, IfIndex),
        (egress, far): (bool, Option<u32>),
        mut skb: Skb,
    ) -> Option<Skb> {
        let Some(packet) = skb.frame.ipv4().cloned() else { return Some(skb) };
        let place = (self.id, at);
        if !self.bpf.policies.maps.contains_key(&endpoint) {
            return Some(skb);
        }
        let tuple = match self.bpf.policies.known(ctx.now, &packet, egress) {
            Known::Member(key, change) => {
                self.bpf.policies.refresh(ctx.now, key, &packet);
                ctx.note(place, &mut skb, EventKind::Decided(Table::Bpf, change));
                return Some(skb);
            }
            Known::Stray => {
                ctx.drop(place, skb, DropReason::PolicyDenied);
                return None;
            }
            Known::New(tuple) => tuple,
        };
        let other = if egress { packet.dst } else { packet.src };
        let far = far.unwrap_or_else(|| {
            self.bpf.lookup(BpfMap::Ipcache, other).map_or(WORLD, |(row, _)| row.identity)
        });
        let port = if tuple.protocol == 1 { 0 } else { tuple.dport };
        let Some(change) = self.bpf.policies.admits(endpoint, egress, (far, tuple.protocol, port)) else {
            ctx.drop(place, skb, DropReason::PolicyDenied);
            return None;
        };
        ctx.note(place, &mut skb, EventKind::Decided(Table::Bpf, change));
        let row = CtRow { netns: self.id, egress, tuple };
        let change = ctx.change(self.id, at, skb.cause, TableChange::Cilium(CiliumChange::Connection(row)));
        let expires = ctx.now + lifetime(&packet);
        self.bpf.policies.connections.insert((egress, tuple), (expires, change));
        Some(skb)
    }
}

impl Policies {
    /// The entry that admits a packet, the far end's own before those for any (`__policy_can_access`); among them the
    /// one with the longest port.
    fn admits(
        &self,
        endpoint: IfIndex,
        egress: bool,
        (identity, protocol, port): (u32, u8, u16),
    ) -> Option<ChangeId> {
        let map = self.maps.get(&endpoint)?;
        let best = |identity: u32| {
            let first = PolicyKey { egress, identity, protocol: 0, port: 0, port_len: 0 };
            map.range(first..)
                .take_while(move |(key, _)| (key.egress, key.identity) == (egress, identity))
                .filter(|(key, _)| key.is_about(protocol, port))
                .max_by_key(|(key, _)| (key.protocol != 0, key.port_len))
                .map(|(_, (_, change))| *change)
        };
        best(identity).or_else(|| best(0))
    }

    fn live(&self, now: SimTime, key: (bool, Tuple)) -> Option<ChangeId> {
        self.connections.get(&key).filter(|(expires, _)| *expires > now).map(|(_, change)| *change)
    }

    /// Which connection a packet belongs to, as its endpoint sees it: one that it continues, one that it answers, or
    /// for an ICMP error one whose packet it quotes.
    fn known(&mut self, now: SimTime, packet: &Ipv4, egress: bool) -> Known {
        let Some(tuple) = self.tuple_of(packet) else { return Known::Stray };
        let mut candidates = vec![(egress, tuple)];
        candidates.extend(inverted(&tuple).map(|reply| (!egress, reply)));
        if let Body::Icmp(icmp) = &*packet.body
            && icmp.is_error()
            && let Some(quoted) = Quote::read(icmp.data()).and_then(|quote| quoted_tuple(&quote))
        {
            candidates.push((!egress, quoted));
            candidates.extend(inverted(&quoted).map(|reply| (egress, reply)));
        }
        let found = candidates.into_iter().find_map(|key| Some((key, self.live(now, key)?)));
        found.map_or(Known::New(tuple), |(key, change)| Known::Member(key, change))
    }

    /// The tuple of a packet; that of a later fragment from the first one.
    fn tuple_of(&mut self, packet: &Ipv4) -> Option<Tuple> {
        let mut found = tuple(packet);
        if !packet.is_fragment() || !matches!(found.protocol, 6 | 17 | 132) {
            return Some(found);
        }
        let key = (packet.src, packet.dst, found.protocol, packet.id);
        if packet.fragment_offset == 0
            && let Body::Raw { bytes, .. } = &*packet.body
            && let [a, b, c, d, ..] = **bytes
        {
            self.fragments.insert(key, (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])));
        }
        (found.sport, found.dport) = *self.fragments.get(&key)?;
        Some(found)
    }

    fn refresh(&mut self, now: SimTime, key: (bool, Tuple), packet: &Ipv4) {
        if let Some((expires, _)) = self.connections.get_mut(&key) {
            *expires = now + lifetime(packet);
        }
    }
}

/// How long a connection is remembered after a packet.
fn lifetime(packet: &Ipv4) -> Duration {
    let Body::Tcp(tcp) = &*packet.body else { return OTHER };
    if tcp.flags.contains(TcpFlags::FIN) || tcp.flags.contains(TcpFlags::RST) {
        CLOSING
    } else if tcp.flags.contains(TcpFlags::SYN) {
        SYN
    } else {
        TCP
    }
}
