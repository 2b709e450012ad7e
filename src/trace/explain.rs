//! One plain sentence for every event: what this hop did, and why.
//!
//! The sentences stand in the catalogues (`why.*`, `drop.*`, `step.*`); here they are chosen and filled in.

use super::netfilter::NetfilterChange;
use super::netfilter_words;
use super::nft::NftChange;
use super::rows_text::{self, FdbStyle, RouteStyle};
use super::{
    BpfMap, BpfRow, CiliumChange, Disposition, DropReason, Event, EventKind, FaultRow, FdbRow, Hook,
    KubeEventRow, Leg, LinkKind, LinkRow, NamesRow, NeighRow, Nud, PacketType, PortRow, PortState, Relation,
    RouteKind, RouteRow, ServiceChange, StepRow, Steps, Surroundings, Table, TableChange, Trace, XfrmChange,
};
use super::{ipc_rows, service_path};
use crate::base::words::{self, Lang};
use crate::base::{ChangeId, EventId, IfIndex, Ipv4Addr, MacAddr, NetnsId};
use crate::wire::{Body, Frame, Payload, UdpPayload};

/// The sentence for the event `id`.
pub fn why(trace: &Trace, id: EventId, lang: Lang) -> String {
    why_in(trace, &Surroundings::of(trace, id), id, lang)
}

/// The same, for whoever goes through a trace and carries the surroundings along; they must include the event.
pub fn why_in(trace: &Trace, around: &Surroundings, id: EventId, lang: Lang) -> String {
    let event = trace.event(id);
    Teller { trace, around, id, event, lang }.event()
}

/// The kernel's word for a drop (`SKB_DROP_REASON_*`), or ours where it has none.
pub fn drop_name(reason: DropReason) -> &'static str {
    reason.name()
}

/// The sentence of a step of a Pod's life.
pub fn step_text(row: &StepRow, lang: Lang) -> String {
    let list = match row.steps {
        Steps::Creation => "creation",
        Steps::Termination => "termination",
    };
    words::text(lang, &format!("step.{list}.{}", row.number), &row.args)
}

/// The catalogue's text for an event kept together with all that it is chosen by.
struct Teller<'a> {
    trace: &'a Trace,
    around: &'a Surroundings,
    id: EventId,
    event: &'a Event,
    lang: Lang,
}

impl Teller<'_> {
    fn event(&self) -> String {
        match self.event.kind {
            EventKind::Originated => self.originated(),
            EventKind::Transmitted => self.transmitted(),
            EventKind::Received(packet_type) => self.received(packet_type),
            EventKind::Passed(hook) => self.say("why.passed", &[self.netns(), hook_name(hook).to_string()]),
            EventKind::Decided(table, row) => self.decided(table, row),
            EventKind::Changed(change) => self.changed(&self.trace.changes[change.index()]),
            EventKind::Queued => {
                let next_hop = self.next_hop().map_or_else(String::new, |addr| addr.to_string());
                self.say("why.queued", &[self.place(), next_hop])
            }
            EventKind::Encapsulated => self.encapsulated(),
            EventKind::Decapsulated => self.say("why.decapsulated", &[self.place(), self.line()]),
            EventKind::Ended(disposition) => self.ended(disposition),
            EventKind::Wrote(output) => {
                // A sentence holds a line; the whole is at the terminal.
                let mut lines = self.trace.outputs[output.index()].text.trim().lines();
                let mut line = lines.next().unwrap_or_default().to_string();
                if lines.next().is_some() {
                    line.push_str(" …");
                }
                self.say("why.wrote", &[self.netns(), line])
            }
            EventKind::Started(_) => self.say("why.started", &[self.netns()]),
            EventKind::Exited(_, status) => self.say("why.exited", &[self.netns(), status.to_string()]),
        }
    }

    fn say(&self, key: &str, args: &[String]) -> String {
        words::text(self.lang, key, args)
    }

    fn netns(&self) -> String {
        self.around.netns(self.event.netns).to_string()
    }

    fn place(&self) -> String {
        self.around.place(self.event.netns, self.event.ifindex)
    }

    fn place_of(&self, netns: NetnsId, ifindex: IfIndex) -> String {
        self.around.place(netns, ifindex)
    }

    fn ifname(&self, netns: NetnsId, ifindex: IfIndex) -> String {
        self.around.ifname(netns, ifindex).to_string()
    }

    fn link(&self) -> Option<&LinkRow> {
        self.around.link(self.event.netns, self.event.ifindex)
    }

    fn frame(&self) -> Option<&Frame> {
        self.trace.frame_at(self.id).map(|frame| &**frame)
    }

    fn line(&self) -> String {
        self.frame().map_or_else(String::new, ToString::to_string)
    }

    /// The address that ARP is asked for: what the route before this decision led to.
    fn next_hop(&self) -> Option<Ipv4Addr> {
        let dst = self.frame().and_then(Frame::ipv4).map(|packet| packet.dst);
        let route = self.trace.before(self.id).find_map(|event| {
            let EventKind::Decided(Table::Fib, row) = event.kind else { return None };
            let change = row.is_some().then(|| &self.trace.changes[row.index()])?;
            let route = change.as_route()?;
            (event.netns == self.event.netns).then_some(*route)
        });
        route.and_then(|route| route.gateway).or(dst)
    }

    fn originated(&self) -> String {
        let journey = self.event.journey;
        let relation = journey.is_some().then(|| self.trace.journeys[journey.index()].relation);
        let key = match relation.unwrap_or(Relation::Unasked) {
            Relation::Sent => "why.originated.sent",
            Relation::Reply => "why.originated.reply",
            Relation::Resolution => return self.resolution(),
            Relation::Error => "why.originated.error",
            Relation::Copy => "why.originated.copy",
            Relation::Fragment => "why.originated.fragment",
            Relation::Unasked => "why.originated.unasked",
        };
        self.say(key, &[self.netns(), self.line()])
    }

    fn resolution(&self) -> String {
        let Some(Frame { dst, payload: Payload::Arp(arp), .. }) = self.frame() else {
            return self.say("why.originated.unasked", &[self.netns(), self.line()]);
        };
        let key = if dst.is_broadcast() { "why.originated.resolution" } else { "why.originated.probe" };
        let dev = self.ifname(self.event.netns, self.event.ifindex);
        self.say(key, &[self.netns(), arp.target_ip.to_string(), dev])
    }

    fn transmitted(&self) -> String {
        let (key, other) = match self.link().map(|link| &link.kind) {
            Some(LinkKind::Loopback) => ("why.transmitted.loopback", String::new()),
            Some(LinkKind::Veth { peer_netns, peer, .. }) => {
                ("why.transmitted.veth", self.place_of(*peer_netns, *peer))
            }
            Some(LinkKind::Bridge { .. }) => ("why.transmitted.bridge", String::new()),
            Some(LinkKind::Dummy) => ("why.transmitted.dummy", String::new()),
            Some(
                kind @ (LinkKind::Vlan { lower, .. }
                | LinkKind::Macvlan { lower, .. }
                | LinkKind::Ipvlan { lower, .. }),
            ) => {
                let lower = self.ifname(self.event.netns, *lower);
                return self.say(
                    "why.transmitted.stacked",
                    &[self.place(), kind.name().unwrap_or_default().to_owned(), lower],
                );
            }
            Some(kind @ (LinkKind::Ipip(_) | LinkKind::Gre(_) | LinkKind::Gretap(_))) => {
                ("why.transmitted.tunnel", kind.name().unwrap_or_default().to_owned())
            }
            Some(LinkKind::Vxlan { vni, .. }) => ("why.transmitted.vxlan", vni.to_string()),
            Some(LinkKind::Physical { peer_netns, peer }) => {
                ("why.transmitted.physical", self.place_of(*peer_netns, *peer))
            }
            None => ("why.transmitted.other", String::new()),
        };
        self.say(key, &[self.place(), other])
    }

    fn received(&self, packet_type: PacketType) -> String {
        let (port, kind) = self.link().map_or((None, None), |link| (link.port, Some(&link.kind)));
        let (key, master) = match (port, kind, packet_type) {
            (Some(PortRow { master, .. }), _, _) => {
                ("why.received.port", self.ifname(self.event.netns, master))
            }
            (None, Some(LinkKind::Bridge { .. }), PacketType::Host | PacketType::Broadcast) => {
                ("why.received.bridge", String::new())
            }
            (None, Some(LinkKind::Vxlan { .. }), _) => ("why.received.vxlan", String::new()),
            (None, Some(kind), _) if kind.tunnel().is_some() => {
                ("why.received.tunnel", kind.name().unwrap_or_default().to_owned())
            }
            (None, _, PacketType::Host) => ("why.received.host", String::new()),
            (None, _, PacketType::Broadcast) => ("why.received.broadcast", String::new()),
            (None, _, PacketType::Multicast) => ("why.received.multicast", String::new()),
            (None, _, PacketType::OtherHost) => ("why.received.other_host", String::new()),
        };
        self.say(key, &[self.place(), master])
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each table")]
    fn decided(&self, table: Table, change: ChangeId) -> String {
        let row = change.is_some().then(|| &self.trace.changes[change.index()]);
        match (table, row) {
            (Table::Fib, Some(TableChange::Route(row) | TableChange::RouteBefore(row))) => self.fib(row),
            (Table::Fib, Some(TableChange::FibRule(row))) => {
                self.say("why.fib.rule", &[self.netns(), row.to_string()])
            }
            (Table::Fib, _) => {
                let dst = self.frame().and_then(Frame::ipv4).map(|packet| packet.dst.to_string());
                self.say("why.fib.none", &[self.netns(), dst.unwrap_or_default()])
            }
            (Table::Neighbor, Some(TableChange::Neigh(row))) => {
                self.neighbor(row, self.trace.is_fresh(self.id, change))
            }
            (Table::Neighbor, _) => {
                let addr = self.next_hop().map_or_else(String::new, |addr| addr.to_string());
                self.say("why.neigh.none", &[addr, String::new(), self.place()])
            }
            (Table::BridgeFdb, Some(TableChange::Fdb(row))) => self.bridge_fdb(row),
            (Table::BridgeFdb, _) => {
                let Some(frame) = self.frame() else { return String::new() };
                let key =
                    if frame.dst.is_multicast() { "why.bridge_fdb.group" } else { "why.bridge_fdb.flood" };
                self.say(key, &[self.bridge(), frame.dst.to_string()])
            }
            (Table::Qdisc, Some(TableChange::Link(row))) if row.extra.qdisc.is_some() => {
                let netem =
                    row.extra.qdisc.as_ref().map_or_else(String::new, |qdisc| qdisc.netem.to_string());
                self.say("why.qdisc.netem", &[self.place(), netem])
            }
            (Table::Xfrm, Some(TableChange::Xfrm(XfrmChange::State(row)))) => {
                let (dst, spi) = (row.dst.to_string(), format!("0x{:08x}", row.spi));
                self.say("why.xfrm.state", &[self.netns(), row.src.to_string(), dst, spi])
            }
            (Table::Xfrm, Some(TableChange::Xfrm(change))) => {
                self.say("why.xfrm.policy", &[self.netns(), change.to_string()])
            }
            (Table::Bpf, Some(TableChange::Bpf(row))) => self.bpf_decision(row),
            (Table::Bpf, Some(TableChange::Cilium(change))) => self.cilium_decision(change),
            (Table::Bpf, _) => self.say("why.bpf.none", &[self.place()]),
            (Table::VxlanFdb, Some(TableChange::Fdb(row))) => {
                let asked = self.frame().map_or(row.mac, |frame| frame.dst);
                let key = match (row.mac == MacAddr::ZERO, row.permanent) {
                    (true, _) => "why.vxlan_fdb.default",
                    (false, true) => "why.vxlan_fdb.programmed",
                    (false, false) => "why.vxlan_fdb.learnt",
                };
                let remote = row.dst.map_or_else(String::new, |dst| dst.to_string());
                self.say(key, &[self.place_of(row.netns, row.ifindex), asked.to_string(), remote])
            }
            (Table::Netfilter, Some(TableChange::Netfilter(NetfilterChange::Rule(row)))) => {
                if let Some(fact) = service_path::fact(row) {
                    return service_path::sentence(&fact, &self.netns(), self.lang);
                }
                let key = netfilter_words::rule_key(&row.rule.target);
                let chain = format!("{} {}", row.table.name(), row.chain);
                self.say(key, &[self.netns(), chain, row.to_string(), row.rule.target.name().to_owned()])
            }
            (Table::Netfilter, Some(TableChange::Netfilter(NetfilterChange::Chain(row)))) => {
                let policy = row.policy.map_or("", |policy| policy.name()).to_owned();
                let chain = format!("{} {}", row.table.name(), row.name);
                self.say("why.netfilter.policy", &[self.netns(), chain, policy])
            }
            (Table::Netfilter, Some(TableChange::Netfilter(NetfilterChange::Nft(change)))) => {
                self.nft(change)
            }
            (Table::Netfilter, _) => self.say("why.netfilter.none", &[self.netns()]),
            (Table::Ipvs, Some(TableChange::Netfilter(NetfilterChange::Ipvs(change)))) => {
                match service_path::ipvs_fact(change) {
                    Some(fact) => service_path::sentence(&fact, &self.netns(), self.lang),
                    None => self.say("why.ipvs.known", &[self.netns(), change.line().unwrap_or_default()]),
                }
            }
            (Table::Conntrack, Some(TableChange::Netfilter(NetfilterChange::Conntrack(row)))) => {
                self.say("why.conntrack.known", &[self.netns(), row.to_string()])
            }
            (Table::Qdisc | Table::Xfrm | Table::Ipvs, _) => String::new(),
            (Table::Conntrack, _) => self.say("why.conntrack.invalid", &[self.netns()]),
            (Table::VxlanFdb, _) => {
                let mac = self.frame().map_or_else(String::new, |frame| frame.dst.to_string());
                self.say("why.vxlan_fdb.none", &[self.place(), mac])
            }
        }
    }

    fn nft(&self, change: &NftChange) -> String {
        let (key, args) = netfilter_words::nft_decision(change, &self.netns());
        self.say(key, &args)
    }

    fn fib(&self, row: &RouteRow) -> String {
        // A lookup for the outer packet of a tunnel may be recorded with the inner packet still.
        let dst = self.frame().and_then(Frame::ipv4).map(|packet| packet.dst);
        let dst = dst.filter(|dst| row.dst.contains(dst)).unwrap_or(row.dst.addr());
        let tos = self.frame().and_then(Frame::ipv4).map_or(row.tos, |packet| packet.tos);
        let rivals = self.around.fitting_routes(row.netns, dst, tos);
        let rivals: Vec<_> =
            rivals.iter().filter(|rival| rival.table == row.table && rival.is_head()).collect();
        let ties = rivals.iter().filter(|rival| rival.dst == row.dst).count();
        let key = match row.kind {
            RouteKind::Local => "why.fib.local",
            RouteKind::Broadcast => "why.fib.broadcast",
            RouteKind::Blackhole => "why.fib.blackhole",
            RouteKind::Unreachable => "why.fib.unreachable",
            RouteKind::Prohibit => "why.fib.prohibit",
            RouteKind::Throw => "why.fib.none",
            RouteKind::Unicast if ties > 1 => "why.fib.metric",
            RouteKind::Unicast if row.dst.prefix_len() == 0 => "why.fib.default",
            RouteKind::Unicast if rivals.len() > 1 => "why.fib.longest",
            RouteKind::Unicast => "why.fib.only",
        };
        let args = [
            self.netns(),
            dst.to_string(),
            self.route(row),
            rivals.len().to_string(),
            row.dst.prefix_len().to_string(),
        ];
        let mut text = self.say(key, &args);
        if let Some(leg) = row.leg {
            text += " ";
            text += &self.leg(row, leg);
        }
        if let (RouteKind::Unicast, Some(oif)) = (row.kind, row.oif) {
            let dev = self.ifname(row.netns, oif);
            text += " ";
            text += &match row.gateway {
                Some(gateway) => self.say("why.fib.via", &[gateway.to_string(), dev]),
                None => self.say("why.fib.direct", &[dev]),
            };
        }
        text
    }

    /// An entry that this very packet made or woke is spoken of as it was found.
    fn neighbor(&self, row: &NeighRow, is_fresh: bool) -> String {
        let link = self.around.link(row.netns, row.ifindex);
        let is_overlay = link.is_some_and(|link| matches!(link.kind, LinkKind::Vxlan { .. }));
        let key = match row.state {
            Nud::Incomplete if is_fresh => "why.neigh.none",
            Nud::Incomplete => "why.neigh.incomplete",
            Nud::Reachable => "why.neigh.reachable",
            Nud::Stale => "why.neigh.stale",
            Nud::Delay if is_fresh => "why.neigh.stale",
            Nud::Delay => "why.neigh.delay",
            Nud::Probe => "why.neigh.probe",
            Nud::Failed => "why.neigh.failed",
            Nud::Permanent if is_overlay => "why.neigh.programmed",
            Nud::Permanent => "why.neigh.permanent",
            Nud::NoArp => "why.neigh.noarp",
        };
        let mac = row.mac.map_or_else(String::new, |mac| mac.to_string());
        self.say(key, &[row.addr.to_string(), mac, self.place_of(row.netns, row.ifindex)])
    }

    /// The bridge that this event's interface is, or is a port of.
    fn bridge(&self) -> String {
        let master = self.link().and_then(|link| link.port).map(|port| port.master);
        self.ifname(self.event.netns, master.unwrap_or(self.event.ifindex))
    }

    fn bridge_fdb(&self, row: &FdbRow) -> String {
        let bridge = row.master.unwrap_or(row.ifindex);
        // The addresses of ports are the bridge's own too (`BR_FDB_LOCAL`).
        let key = if row.permanent { "why.bridge_fdb.local" } else { "why.bridge_fdb.hit" };
        let port = self.ifname(row.netns, row.ifindex);
        self.say(key, &[self.ifname(row.netns, bridge), row.mac.to_string(), port])
    }

    fn encapsulated(&self) -> String {
        let outer = self.frame().and_then(Frame::ipv4);
        let Some(outer) = outer else { return self.say("why.transmitted.other", &[self.place()]) };
        let Body::Udp(udp) = &*outer.body else {
            return self.say("why.transmitted.other", &[self.place()]);
        };
        let vni = match &udp.payload {
            UdpPayload::Vxlan(vxlan) => vxlan.vni.to_string(),
            UdpPayload::Data(_) => String::new(),
        };
        let args = [
            self.place(),
            outer.src.to_string(),
            outer.dst.to_string(),
            vni,
            udp.dst_port.to_string(),
            outer.wire_len().to_string(),
        ];
        self.say("why.encapsulated", &args)
    }

    fn ended(&self, disposition: Disposition) -> String {
        let key = match disposition {
            Disposition::Delivered(_) => "why.ended.delivered",
            Disposition::Consumed => "why.ended.consumed",
            Disposition::Dropped(reason) => {
                let remedy = words::word(self.lang, &format!("{}.remedy", reason.key()));
                let why = words::word(self.lang, reason.key());
                return self
                    .say("why.ended.dropped", &[self.place(), why, reason.name().to_string(), remedy]);
            }
            Disposition::Fragmented => "why.ended.fragmented",
            Disposition::Reassembled => "why.ended.reassembled",
            Disposition::Loop => "why.ended.loop",
        };
        self.say(key, &[self.netns()])
    }

    /// Which of several next hops was taken, and that the flow's hash chose it.
    fn leg(&self, row: &RouteRow, leg: Leg) -> String {
        let total = self.around.shares(row.netns, leg.route);
        let numbers = [u32::from(leg.at) + 1, leg.of.into(), leg.weight.into(), total];
        self.say("why.fib.leg", &numbers.map(|number| number.to_string()))
    }

    fn route(&self, row: &RouteRow) -> String {
        let style = RouteStyle { names_table: true, ..RouteStyle::default() };
        let name = |ifindex| self.around.ifname(row.netns, ifindex);
        rows_text::route(row, &name, style).trim_end().to_string()
    }

    fn bpf(&self, row: &BpfRow) -> String {
        rows_text::bpf(row, &self.around.ifname(row.netns, row.ifindex))
    }

    fn bpf_decision(&self, row: &BpfRow) -> String {
        let key = rows_text::destination(row.key);
        let (place, identity) = (self.place(), row.identity.to_string());
        match (row.map, row.tunnel) {
            (BpfMap::Endpoints, _) => {
                let veth = self.around.ifname(row.netns, row.ifindex).to_string();
                self.say("why.bpf.endpoint", &[place, key, veth])
            }
            (BpfMap::Ipcache, Some(node)) => {
                self.say("why.bpf.tunnel", &[place, key, identity, node.to_string()])
            }
            (BpfMap::Ipcache, None) => self.say("why.bpf.stack", &[place, key, identity]),
        }
    }

    fn cilium_changed(&self, change: &CiliumChange) -> (&'static str, Vec<String>) {
        let line = change.text(|ifindex| self.around.ifname(change.netns(), ifindex));
        let key = if change.is_gone() { "bpf_gone" } else { "bpf" };
        (key, vec![self.around.netns(change.netns()).to_string(), line])
    }

    fn cilium_decision(&self, change: &CiliumChange) -> String {
        let place = self.place();
        match change {
            CiliumChange::Policy(row) | CiliumChange::PolicyGone(row) => {
                let key = if row.origin.is_empty() { "why.bpf.open" } else { "why.bpf.policy" };
                let way = if row.key.egress { "egress" } else { "ingress" };
                let veth = self.around.ifname(row.netns, row.ifindex).to_string();
                self.say(key, &[place, veth, row.key.text(), row.origin.to_string(), way.to_owned()])
            }
            CiliumChange::Connection(row) | CiliumChange::ConnectionGone(row) => {
                self.say("why.bpf.connection", &[place, row.text()])
            }
        }
    }

    fn fdb(&self, row: &FdbRow) -> String {
        let name = |ifindex| self.around.ifname(row.netns, ifindex);
        rows_text::fdb(row, &name, FdbStyle::default()).trim_end().to_string()
    }

    fn fault(&self, row: &FaultRow) -> String {
        let (key, args) = row.fault.words();
        self.say(key, &args)
    }

    fn changed(&self, change: &TableChange) -> String {
        let of = |netns: NetnsId| self.around.netns(netns).to_string();
        let at = |netns, ifindex| self.place_of(netns, ifindex);
        let name = |netns| move |ifindex| self.ifname(netns, ifindex);
        let (key, args) = match change {
            TableChange::Netns(row) => ("netns", vec![row.name.to_string()]),
            TableChange::NetnsGone(netns) => ("netns_gone", vec![of(*netns)]),
            TableChange::Link(row) => ("link", vec![self.place_of(row.netns, row.ifindex), link_text(row)]),
            TableChange::LinkGone(netns, ifindex) => ("link_gone", vec![self.place_of(*netns, *ifindex)]),
            TableChange::Addr(row) => ("addr", vec![at(row.netns, row.ifindex), row.text()]),
            TableChange::AddrGone(row) => ("addr_gone", vec![at(row.netns, row.ifindex), row.text()]),
            TableChange::Route(row) => ("route", vec![of(row.netns), self.route(row)]),
            TableChange::RouteBefore(row) => ("route_before", vec![of(row.netns), self.route(row)]),
            TableChange::RouteLeg(row) if row.leg.is_some_and(|leg| leg.dead) => {
                ("route_leg_dead", vec![of(row.netns), self.route(row)])
            }
            TableChange::RouteLeg(row) => ("route_leg", vec![of(row.netns), self.route(row)]),
            TableChange::RouteGone(row) => ("route_gone", vec![of(row.netns), self.route(row)]),
            TableChange::FibRule(row) => ("fib_rule", vec![of(row.netns), row.to_string()]),
            TableChange::FibRuleGone(row) => ("fib_rule_gone", vec![of(row.netns), row.to_string()]),
            TableChange::Nexthop(hop) => ("nexthop", vec![of(hop.netns()), hop.text(name(hop.netns()))]),
            TableChange::Proxy(row) => ("proxy", vec![of(row.netns()), row.text(name(row.netns()))]),
            TableChange::Neigh(row) => {
                let name = |ifindex| self.around.ifname(row.netns, ifindex);
                let line = rows_text::neigh(row, &name, "").trim_end().to_string();
                ("neigh", vec![of(row.netns), line])
            }
            TableChange::NeighGone(netns, _, addr) => ("neigh_gone", vec![of(*netns), addr.to_string()]),
            TableChange::Fdb(row) => {
                (if row.permanent { "fdb" } else { "fdb_learnt" }, vec![of(row.netns), self.fdb(row)])
            }
            TableChange::FdbGone(row) => ("fdb_gone", vec![of(row.netns), self.fdb(row)]),
            TableChange::Vlan(row) => ("vlan", vec![at(row.netns, row.ifindex), rows_text::vlan(row)]),
            TableChange::VlanGone(netns, ifindex, vlan) => {
                ("vlan_gone", vec![self.place_of(*netns, *ifindex), vlan.to_string()])
            }
            TableChange::Exception(row) => ("exception", vec![of(row.netns), rows_text::exception(row)]),
            TableChange::Bpf(row) => ("bpf", vec![of(row.netns), self.bpf(row)]),
            TableChange::BpfGone(row) => ("bpf_gone", vec![of(row.netns), self.bpf(row)]),
            TableChange::Cilium(change) => self.cilium_changed(change),
            TableChange::Sysctl(row) => {
                ("sysctl", vec![of(row.netns), row.key.to_string(), row.value.to_string()])
            }
            TableChange::Socket(row) => ("socket", vec![of(row.netns), rows_text::socket(row)]),
            TableChange::Service(change) => service_args(change),
            TableChange::SocketGone(netns, socket) => ("socket_gone", vec![of(*netns), socket.0.to_string()]),
            TableChange::Netfilter(change) => netfilter_words::args(change, &of),
            TableChange::Object(row) => ("object", vec![row.key.to_string()]),
            TableChange::ObjectGone(key) => ("object_gone", vec![key.to_string()]),
            TableChange::Node(row) => ("node", vec![row.name.to_string()]),
            TableChange::NodeGone(name) => ("node_gone", vec![name.to_string()]),
            TableChange::Pod(row) => {
                ("pod", vec![format!("{}/{}", row.namespace, row.name), format!("{:?}", row.phase)])
            }
            TableChange::PodGone(namespace, name) => ("pod_gone", vec![format!("{namespace}/{name}")]),
            TableChange::KubeEvent(row) => ("kube_event", event_args(row)),
            TableChange::Step(row) => ("step", step_args(row, self.lang)),
            TableChange::Names(row) => ("names", self.names_args(row)),
            TableChange::Ipc(change) => ipc_rows::sentence(change, &of, self.lang),
            TableChange::Tls(row) => row.sentence(),
            TableChange::Process(row) => {
                ("process", vec![of(row.netns), row.pid.to_string(), row.args.to_string()])
            }
            TableChange::ProcessGone(_) => ("process_gone", Vec::new()),
            TableChange::Xfrm(change) => ("xfrm", vec![of(change.netns()), change.to_string()]),
            TableChange::Fault(row) => return self.fault(row),
            TableChange::FaultGone(number) => ("fault_gone", vec![(number + 1).to_string()]),
        };
        self.say(&format!("why.changed.{key}"), &args)
    }

    /// A plugin, what it did, and the question.
    fn names_args(&self, row: &NamesRow) -> Vec<String> {
        vec![row.plugin.to_owned(), self.say(row.did, &row.args), row.question.to_string()]
    }
}

fn event_args(row: &KubeEventRow) -> Vec<String> {
    vec![format!("{} {}", row.kind, row.name), format!("{} {}", row.reason, row.message)]
}

fn step_args(row: &StepRow, lang: Lang) -> Vec<String> {
    vec![format!("{}/{}", row.namespace, row.pod), step_text(row, lang), row.number.to_string()]
}

fn link_text(row: &LinkRow) -> String {
    let carrier = if row.carrier { "LOWER_UP" } else { "NO-CARRIER" };
    let port = row.port.map_or_else(String::new, |port| match port.state {
        PortState::Disabled | PortState::Forwarding => String::new(),
        state @ (PortState::Listening | PortState::Learning | PortState::Blocking) => {
            format!(", {}", rows_text::port_state(state))
        }
    });
    format!("{}, mtu {}, {}{port}", if row.up { carrier } else { "DOWN" }, row.mtu, row.mac)
}

/// Name of a netfilter hook, as iptables calls its built-in chains.
pub fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "PREROUTING",
        Hook::Input => "INPUT",
        Hook::Forward => "FORWARD",
        Hook::Output => "OUTPUT",
        Hook::Postrouting => "POSTROUTING",
    }
}

fn service_args(change: &ServiceChange) -> (&'static str, Vec<String>) {
    match change {
        ServiceChange::Service(row) => ("service", vec![row.to_string()]),
        ServiceChange::ServiceGone(namespace, name) => ("service_gone", vec![format!("{namespace}/{name}")]),
        ServiceChange::Slice(row) => ("slice", vec![row.to_string(), row.service.to_string()]),
        ServiceChange::SliceGone(namespace, name) => ("slice_gone", vec![format!("{namespace}/{name}")]),
        ServiceChange::Balanced(row) => (
            "balanced",
            vec![
                row.service.to_string(),
                row.to.to_string(),
                row.endpoint.to_string(),
                row.one_of.to_string(),
            ],
        ),
    }
}
