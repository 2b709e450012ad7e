//! The routing policy database (`net/core/fib_rules.c`, `net/ipv4/fib_rules.c`): rules, asked in the order of their
//! priorities, say which table is looked up for which packets.
//!
//! As long as nobody has changed a rule, the kernel keeps the tables local and main in one trie, where the longest prefix
//! decides whatever table it is of (`fib_trie_unmerge` takes them apart); only then the rules are asked one by one.

use super::icmp::Quoted;
use super::{Ctx, FibResult, Netns, Skb};
use crate::base::{ChangeId, EventId, IfIndex, Ipv4Addr, Ipv4Net};
use crate::trace::{
    FibRuleAction, FibRuleRow, FlowKeys, RouteKind, RouteProtocol, RouteRow, Scope, TableChange, Within,
};
use crate::wire::{Body, Gre, GrePayload, Ipv4};

/// The table of a route that stands for a rule's own refusal.
pub(super) const NO_TABLE: u32 = 0;

/// What is asked of the routing (`struct flowi4`).
#[derive(Clone, Copy, Debug)]
pub(super) struct FibKey {
    pub(super) dst: Ipv4Addr,
    /// Unspecified where it is not chosen yet.
    pub(super) src: Ipv4Addr,
    /// Where the packet came in; `lo` for this machine's own.
    pub(super) iif: IfIndex,
    pub(super) oif: Option<IfIndex>,
    pub(super) traits: Traits,
}

/// What rules may ask of a packet beside its ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traits {
    pub(super) mark: u32,
    pub(super) tos: u8,
    /// 0 where nobody says it.
    pub(super) protocol: u8,
    /// Source and destination port, 0 where there are none. Type and code of an ICMP message lie where the destination
    /// port does (`flowi_uli`).
    pub(super) ports: (u16, u16),
    /// The user of the sending socket; root, where there is none (`sock_net_uid`).
    pub(super) uid: u32,
    /// What the packet in hand says of its flow; without one the next hop is chosen by what is asked for.
    pub(super) hashed: Option<Hashed>,
}

/// A packet as far as it chooses among next hops (`fib_multipath_hash` with an `skb`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed {
    pub(super) flow: FlowKeys,
    /// The packet within it.
    pub(super) within: Option<Within>,
    /// The hash that the sending socket drew; 0 where none did.
    pub(super) txhash: u32,
}

impl Hashed {
    /// Of a packet. Fragments have no ports.
    fn of(packet: &Ipv4, txhash: u32) -> Self {
        let fragment = packet.more_fragments || packet.fragment_offset != 0;
        let ports = match &*packet.body {
            Body::Tcp(tcp) if !fragment => (tcp.src_port, tcp.dst_port),
            Body::Udp(udp) if !fragment => (udp.src_port, udp.dst_port),
            Body::Tcp(_)
            | Body::Udp(_)
            | Body::Icmp(_)
            | Body::Igmp(_)
            | Body::Ipip(_)
            | Body::Gre(_)
            | Body::Esp(_)
            | Body::Raw { .. } => (0, 0),
        };
        let flow = FlowKeys { ends: (packet.src, packet.dst), protocol: packet.protocol(), ports };
        Self { flow, within: Self::within(&packet.body).filter(|_| !fragment), txhash }
    }

    /// What tunnels carry, and what ICMP errors quote (`ip_multipath_l3_keys`).
    fn within(body: &Body) -> Option<Within> {
        match body {
            Body::Ipip(inner) => Some(Within::Carried(inner.src, inner.dst)),
            Body::Gre(Gre { payload: GrePayload::Ipv4(inner), .. }) => {
                Some(Within::Carried(inner.src, inner.dst))
            }
            Body::Icmp(error) if error.is_error() => {
                Quoted::read(error.data()).map(|quoted| Within::Quoted(quoted.src, quoted.dst))
            }
            Body::Icmp(_)
            | Body::Gre(_)
            | Body::Tcp(_)
            | Body::Udp(_)
            | Body::Igmp(_)
            | Body::Esp(_)
            | Body::Raw { .. } => None,
        }
    }
}

impl Traits {
    /// Of a packet that came in (`fib4_rules_early_flow_dissect`).
    pub(super) fn of_incoming(packet: &Ipv4, mark: u32, txhash: u32) -> Self {
        let hashed = Hashed::of(packet, txhash);
        let FlowKeys { protocol, ports, .. } = hashed.flow;
        Self { mark, tos: packet.tos, protocol, ports, uid: 0, hashed: Some(hashed) }
    }

    /// Of what answers a packet, as far as the way back is asked for (`__fib_validate_source`).
    pub(super) fn back(self) -> Self {
        Self { ports: (self.ports.1, self.ports.0), mark: 0, ..self }
    }

    /// Of an ICMP message of this machine's own.
    pub(super) fn icmp(tos: u8, (kind, code): (u8, u8)) -> Self {
        Self { tos, protocol: 1, ports: (0, u16::from_be_bytes([kind, code])), ..Self::default() }
    }

    /// Of an error about a packet, which takes the next hop that the packet itself would (`icmp_route_lookup`).
    pub(super) fn icmp_error(tos: u8, kind_and_code: (u8, u8), about: &Skb) -> Self {
        let hashed = about.frame.ipv4().map(|packet| Hashed::of(packet, about.hash));
        Self { hashed, ..Self::icmp(tos, kind_and_code) }
    }
}

impl FibKey {
    /// For a packet of this machine's own.
    pub(super) fn towards(dst: Ipv4Addr) -> Self {
        Self { dst, src: Ipv4Addr::UNSPECIFIED, iif: IfIndex(1), oif: None, traits: Traits::default() }
    }
}

/// The rules of a namespace.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    list: Vec<(ChangeId, FibRuleRow)>,
    /// Whether one was ever added or removed (`fib_has_custom_rules`).
    custom: bool,
}

impl Rules {
    pub(super) fn new(netns: crate::base::NetnsId) -> Self {
        let list = FibRuleRow::defaults(netns).map(|row| (ChangeId::NONE, row)).into();
        Self { list, custom: false }
    }
}

impl Netns {
    /// Whether a rule was ever added or removed.
    pub(super) fn has_custom_rules(&self) -> bool {
        self.rules.custom
    }

    /// The deciding route, or `None`, and of several next hops the one for the packet (`fib_lookup`, `fib_select_path`).
    pub(super) fn fib_lookup(&self, key: &FibKey) -> Option<FibResult> {
        self.fib_find(key).map(|found| self.fib_select_path(found, key))
    }

    /// The deciding route, or `None`, whichever of its next hops is taken (`fib_lookup`). Where a rule refuses by itself,
    /// the route is of no table and its row is the rule's.
    pub(super) fn fib_find(&self, key: &FibKey) -> Option<FibResult> {
        if self.rules.custom {
            return self.fib_rules_lookup(key);
        }
        let found = self.fib.lookup(key.dst)?;
        let counts = |route: &RouteRow| self.counts(route, key);
        if counts(&found.route) { Some(found) } else { self.fib.lookup_among(key.dst, counts) }
    }

    /// The deciding route for packets of this machine's own to `dst`.
    pub(super) fn route_towards(&self, dst: Ipv4Addr) -> Option<FibResult> {
        self.fib_lookup(&FibKey::towards(dst))
    }

    /// The route of a packet that came in.
    pub(super) fn route_of_incoming(
        &self,
        iif: IfIndex,
        (src, dst): (Ipv4Addr, Ipv4Addr),
        traits: Traits,
    ) -> Option<FibResult> {
        self.fib_lookup(&FibKey { src, iif, traits, ..FibKey::towards(dst) })
    }

    /// Whether a route can be the one. A socket bound to a device looks only at routes by that device, also towards this
    /// machine itself, whose addresses are routes by the devices that have them.
    fn counts(&self, route: &RouteRow, key: &FibKey) -> bool {
        let by_it = |oif| route.oif == Some(oif) && route.leg.is_none_or(|leg| !leg.dead);
        key.oif.is_none_or(by_it) && route.is_for_tos(key.traits.tos) && !self.avoids(route)
    }

    fn fib_rules_lookup(&self, key: &FibKey) -> Option<FibResult> {
        let mut at = 0;
        while let Some((change, rule)) = self.rules.list.get(at) {
            at += 1;
            if !self.rule_fits(rule, key) {
                continue;
            }
            let refusal = |kind| Some(FibResult { route: refusal(rule, kind), change: *change });
            let table = match rule.action {
                FibRuleAction::Lookup(table) => table,
                FibRuleAction::Blackhole => return refusal(RouteKind::Blackhole),
                FibRuleAction::Unreachable => return refusal(RouteKind::Unreachable),
                FibRuleAction::Prohibit => return refusal(RouteKind::Prohibit),
                // Never backwards: a target has a higher priority number.
                FibRuleAction::Goto(target) => {
                    at = FibRuleRow::jump(&self.rules.list, target).unwrap_or(at);
                    continue;
                }
                FibRuleAction::Nop => continue,
            };
            let found = self.fib.lookup_table(table, key.dst, |route| self.counts(route, key));
            let counts = |found: &FibResult| match found.route.kind {
                RouteKind::Throw => false,
                RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => true,
                RouteKind::Unicast | RouteKind::Local | RouteKind::Broadcast => {
                    rule.suppress.is_none_or(|len| found.route.dst.prefix_len() > len)
                }
            };
            if found.is_some_and(|found| counts(&found)) {
                return found;
            }
        }
        None
    }

    /// `fib_rule_match`, `fib4_rule_match`.
    fn rule_fits(&self, rule: &FibRuleRow, key: &FibKey) -> bool {
        let is = |name: &Option<std::sync::Arc<str>>, at: Option<IfIndex>| {
            name.as_ref()
                .is_none_or(|name| at.and_then(|at| self.link(at)).is_some_and(|link| link.name == *name))
        };
        let fits = rule.src.contains(&key.src)
            && rule.dst.contains(&key.dst)
            && (rule.mark ^ key.traits.mark) & rule.mask == 0
            && rule.fits_flow(key.traits.tos, key.traits.protocol, key.traits.ports, key.traits.uid)
            && is(&rule.iif, Some(key.iif))
            && is(&rule.oif, key.oif);
        fits != rule.negated
    }

    /// Adds a rule (`ip rule add`).
    pub fn add_rule(&mut self, ctx: &mut Ctx<'_>, row: FibRuleRow) {
        let change =
            ctx.change(self.id, IfIndex::NONE, EventId::NONE, TableChange::FibRule(Box::new(row.clone())));
        let at = row.place_among(self.rules.list.iter().map(|(_, row)| row));
        self.rules.list.insert(at, (change, row));
        self.rules.custom = true;
    }

    /// Removes a rule (`ip rule del`): the first one like this.
    pub fn del_rule(&mut self, ctx: &mut Ctx<'_>, row: &FibRuleRow) {
        let Some(at) = self.rules.list.iter().position(|(_, rule)| rule == row) else { return };
        let (_, row) = self.rules.list.remove(at);
        ctx.change(self.id, IfIndex::NONE, EventId::NONE, TableChange::FibRuleGone(Box::new(row)));
        self.rules.custom = true;
    }
}

fn refusal(rule: &FibRuleRow, kind: RouteKind) -> RouteRow {
    RouteRow {
        netns: rule.netns,
        table: NO_TABLE,
        dst: Ipv4Net::default(),
        kind,
        gateway: None,
        oif: None,
        prefsrc: None,
        metric: 0,
        scope: Scope::Global,
        protocol: RouteProtocol::Kernel,
        onlink: false,
        metrics: crate::trace::RouteMetrics::default(),
        tos: 0,
        nhid: 0,
        leg: None,
    }
}
