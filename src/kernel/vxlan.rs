//! VXLAN tunnel ends (RFC 7348; `drivers/net/vxlan/vxlan_core.c`). As Linux sends it: UDP checksum filled in, DF
//! clear, TOS 0 but for the congestion bits of the packet inside, TTL 64, source port chosen by the inner flow.

use super::ip_tunnel::{ecn_decapsulate, ecn_encapsulate};
use super::link::VxlanRemote;
use super::rule::Traits;
use super::{BpfProgram, Ctx, Kind, Link, Netns, Skb};
use crate::base::{ChangeId, EventId, IfIndex, Ipv4Addr, MacAddr};
use crate::trace::{DropReason, EventKind, Table, TableChange};
use crate::wire::{Body, Frame, Ipv4, Payload, Udp, UdpChecksum, UdpPayload, Vxlan};
use std::sync::Arc;

/// `net.ipv4.ip_local_port_range`, from which the source port is taken.
const LOCAL_PORTS: (u16, u16) = (32_768, 60_999);

/// The largest frame that fits into an IPv4 packet together with the outer headers.
const INNER_LEN_MAX: usize = u16::MAX as usize - 20 - Udp::HEADER_LEN - Vxlan::HEADER_LEN;

impl Netns {
    /// Whether a tunnel end of this namespace listens on this port (its socket exists while the link is up).
    pub(super) fn vxlan_listening(&self, port: u16) -> Option<u16> {
        let listens = |link: &Link| link.up && matches!(&link.kind, Kind::Vxlan(vxlan) if vxlan.port == port);
        self.links().any(listens).then_some(port)
    }

    /// A frame leaves by the tunnel device (`vxlan_xmit`).
    pub(super) fn vxlan_xmit(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mut skb: Skb) {
        let at = (self.id, ifindex);
        let Some(Link { kind: Kind::Vxlan(vxlan), .. }) = self.link(ifindex) else { return };
        let (dst, vni) = (skb.frame.dst, vxlan.vni);
        let remotes =
            vxlan.fdb.get(&dst).or_else(|| vxlan.fdb.get(&MacAddr::ZERO)).map_or(&[][..], Vec::as_slice);
        let row = remotes.first().map_or(ChangeId::NONE, |remote| remote.change);
        ctx.note(at, &mut skb, EventKind::Decided(Table::VxlanFdb, row));
        let Some((last, others)) = remotes.split_last() else {
            return ctx.drop(at, skb, DropReason::VxlanNoRemote);
        };
        // Hardly ever is there more than one.
        let (last, others) = (last.dst, others.iter().map(|remote| remote.dst).collect::<Vec<_>>());
        for remote in others {
            let copy = ctx.copy(&skb);
            self.vxlan_xmit_one(ctx, ifindex, (remote, vni), copy);
        }
        self.vxlan_xmit_one(ctx, ifindex, (last, vni), skb);
    }

    /// Puts a frame into a packet for this tunnel end, in this virtual network.
    pub(super) fn vxlan_xmit_one(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        (remote, vni): (Ipv4Addr, u32),
        mut skb: Skb,
    ) {
        let at = (self.id, ifindex);
        let Some(Link { kind: Kind::Vxlan(vxlan), .. }) = self.link(ifindex) else { return };
        let port = vxlan.port;
        let local = Some(vxlan.local).filter(|local| !local.is_unspecified());
        // To a group packets go by the device below, and no further than its link.
        let group = remote.is_multicast();
        let below = group.then_some(vxlan.dev);
        let tos = ecn_encapsulate(0, skb.frame.ipv4().map_or(0, |packet| packet.tos));
        let ports = (source_port(&skb), port);
        let traits = Traits { mark: skb.nf.mark, tos, protocol: 17, ports, ..Traits::default() };
        let flow = match self.ip_route_output_flow(ctx.now, remote, (local, below), traits) {
            Ok(flow) if flow.oif == ifindex => return ctx.drop(at, skb, DropReason::Recursion),
            Ok(flow) => flow,
            Err(_) => return ctx.drop(at, skb, DropReason::IpOutNoRoutes),
        };
        if skb.frame.wire_len() > INNER_LEN_MAX {
            return ctx.drop(at, skb, DropReason::PktTooBig);
        }
        let udp = Udp {
            src_port: ports.0,
            dst_port: ports.1,
            checksum: UdpChecksum::Computed,
            payload: UdpPayload::Vxlan(Vxlan { vni, inner: skb.frame.clone() }),
        };
        let outer = Ipv4 {
            tos,
            id: self.next_ip_id(),
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            ttl: if group { 1 } else { self.sysctl.ip_default_ttl },
            src: flow.src,
            dst: remote,
            options: None,
            body: Arc::new(Body::Udp(udp)),
        };
        let frame = Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(outer) };
        (skb.frame, skb.packet) = (Arc::new(frame), crate::base::PacketId::NONE);
        (skb.frag_max, skb.frag_list) = (0, 0);
        skb.nesting += 1;
        skb.nf = skb.nf.scrubbed(false);
        skb.sec = None;
        ctx.note(at, &mut skb, EventKind::Encapsulated);
        self.ip_local_out(ctx, &flow, ctx.delays.vxlan, skb);
    }

    /// A VXLAN packet arrived at its UDP port (`vxlan_rcv`): the frame inside comes in at the tunnel device.
    pub(super) fn vxlan_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        port: u16,
        (outer, vxlan): (&Ipv4, &Vxlan),
        mut skb: Skb,
    ) {
        let is_ours = |link: &&Link| {
            // A device with a program of its own takes in every virtual network, and tells the program which.
            let all = link.bpf == Some(BpfProgram::FromOverlay);
            link.up
                && matches!(&link.kind, Kind::Vxlan(own) if (all || own.vni == vxlan.vni) && own.port == port)
        };
        let Some(tunnel) = self.links().find(is_ours).map(|link| (link.ifindex, link.mac)) else {
            return ctx.drop((self.id, ifindex), skb, DropReason::VxlanVniNotFound);
        };
        let (tunnel, own_mac) = tunnel;
        if vxlan.inner.src == own_mac {
            // Our own frame came back by a loop (`vxlan_set_mac`).
            return ctx.drop((self.id, tunnel), skb, DropReason::Recursion);
        }
        skb.frame = vxlan.inner.clone();
        skb.packet = crate::base::PacketId::NONE;
        (skb.frag_max, skb.frag_list) = (0, 0);
        skb.nf = skb.nf.scrubbed(false);
        if !ecn_decapsulate(outer.tos, &mut skb) {
            return ctx.drop((self.id, tunnel), skb, DropReason::IpInHdr);
        }
        ctx.note((self.id, tunnel), &mut skb, EventKind::Decapsulated);
        self.vxlan_snoop(ctx, tunnel, outer.src, &skb);
        self.netif_receive(ctx, tunnel, skb);
    }

    /// Learns which tunnel end a source lives behind (`vxlan_snoop`).
    fn vxlan_snoop(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, from: Ipv4Addr, skb: &Skb) {
        let (now, mac) = (ctx.now, skb.frame.src);
        let Some(Link { kind: Kind::Vxlan(vxlan), .. }) = self.link_mut(ifindex) else { return };
        if !vxlan.learning || mac.is_multicast() {
            return;
        }
        if let Some(remote) = vxlan.fdb.get_mut(&mac).and_then(|remotes| remotes.first_mut()) {
            if remote.permanent {
                return;
            }
            if remote.dst == from {
                remote.updated = now;
                return;
            }
        }
        let row = self.vxlan_fdb_row(ifindex, mac, from, false, now);
        let change = ctx.change(self.id, ifindex, cause_of(skb), TableChange::Fdb(row));
        if let Some(Link { kind: Kind::Vxlan(vxlan), .. }) = self.link_mut(ifindex) {
            vxlan.fdb.insert(mac, vec![VxlanRemote { dst: from, permanent: false, updated: now, change }]);
        }
    }
}

fn cause_of(skb: &Skb) -> EventId {
    skb.cause
}

/// The outer source port: a hash of the inner flow within the local port range (`udp_flow_src_port`). Addresses and
/// ports go into it in order of size (`__flow_hash_consistentify`), so both ways have the same one where no socket drew one.
fn source_port(skb: &Skb) -> u16 {
    let (min, max) = LOCAL_PORTS;
    let inner = &skb.frame;
    if skb.hash != 0 {
        let hash = skb.hash ^ skb.hash << 16;
        return min + ((u64::from(hash) * u64::from(max - min)) >> 32) as u16;
    }
    let mut hash = Fnv::default();
    match inner.inner_payload() {
        Payload::Ipv4(packet) => {
            let (low, high) = (packet.src.min(packet.dst), packet.src.max(packet.dst));
            hash.add(&low.octets());
            hash.add(&high.octets());
            hash.add(&[packet.protocol()]);
            hash_ports(&mut hash, &packet.body);
        }
        Payload::Arp(_) | Payload::Vlan(_) | Payload::Bpdu(_) | Payload::Other { .. } => {
            hash.add(&inner.dst.0);
            hash.add(&inner.src.0);
        }
    }
    min + (hash.0 % (u64::from(max - min) + 1)) as u16
}

fn hash_ports(hash: &mut Fnv, body: &Body) {
    let ports = match body {
        Body::Udp(udp) => (udp.src_port, udp.dst_port),
        Body::Tcp(tcp) => (tcp.src_port, tcp.dst_port),
        Body::Icmp(_) | Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => {
            return;
        }
    };
    hash.add(&ports.0.max(ports.1).to_be_bytes());
    hash.add(&ports.0.min(ports.1).to_be_bytes());
}

/// FNV-1a, which serves where the kernel uses a keyed hash: only that equal flows get equal ports matters.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
