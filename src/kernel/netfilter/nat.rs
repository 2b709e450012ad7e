//! Translation of addresses (`nf_nat_core.c`, `nf_nat_masquerade.c`, `nf_nat_redirect.c`): the first packet of a
//! connection chooses, all others follow.

use super::conntrack::Conn;
use super::mangle::{Manip, manip_packet, manip_quoted};
use super::{CtInfo, HookState, Verdict, header};
use crate::base::{IfIndex, Ipv4Addr, SocketId};
use crate::kernel::{Ctx, Errno, Netns, Skb};
use crate::trace::{Hook, Scope, Tuple};
use crate::wire::{Body, Payload};
use crate::xtables::{NatFlags, PortRange, Table, Target};
use std::net::{IpAddr, SocketAddrV4};

/// Ports tried one after the other before a new place is drawn (`NF_NAT_MAX_ATTEMPTS`).
const MAX_ATTEMPTS: u32 = 128;

/// What a connection may be translated to (`struct nf_nat_range2`).
#[derive(Clone, Copy, Debug, Default)]
struct Range {
    addrs: Option<(Ipv4Addr, Ipv4Addr)>,
    ports: Option<PortRange>,
    flags: NatFlags,
}

impl Range {
    /// `nf_in_range`, for the source of a tuple.
    fn has_source(&self, tuple: &Tuple) -> bool {
        let addr = self.addrs.is_none_or(|(first, last)| first <= tuple.src && tuple.src <= last);
        addr && self.ports.is_none_or(|ports| ports.contains(tuple.sport))
    }
}

fn manip_at(hook: Hook) -> Manip {
    match hook {
        Hook::Postrouting | Hook::Input => Manip::Src,
        Hook::Prerouting | Hook::Output | Hook::Forward => Manip::Dst,
    }
}

fn is_done(conn: &Conn, manip: Manip) -> bool {
    match manip {
        Manip::Src => conn.src_done,
        Manip::Dst => conn.dst_done,
    }
}

/// Whether a packet of this direction is to be rewritten at such a hook.
fn is_translated(conn: &Conn, manip: Manip, is_reply: bool) -> bool {
    match (manip, is_reply) {
        (Manip::Src, false) | (Manip::Dst, true) => conn.src_nat,
        (Manip::Dst, false) | (Manip::Src, true) => conn.dst_nat,
    }
}

/// What packets of a direction become: the mirrored tuple of the other direction.
fn target_of(conn: &Conn, is_reply: bool) -> Option<Tuple> {
    header::inverted(if is_reply { &conn.orig } else { &conn.reply })
}

impl Netns {
    /// The hook of the table nat (`nf_nat_ipv4_fn`, `nf_nat_inet_fn`).
    pub(super) fn nf_nat(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        state: HookState,
        skb: &mut Skb,
    ) -> Verdict {
        let (Some(id), info) = (skb.nf.ct, skb.nf.info) else { return Verdict::Accept };
        let manip = manip_at(state.hook);
        let is_icmp = matches!(skb.frame.ipv4().map(|packet| &*packet.body), Some(Body::Icmp(_)));
        if info.is_related() && is_icmp {
            return self.nf_nat_icmp(id, manip, skb);
        }
        let Some(conn) = self.netfilter.conntrack.get(id) else { return Verdict::Accept };
        let is_first = matches!(info, CtInfo::New | CtInfo::Related | CtInfo::RelatedReply);
        if is_first && !is_done(conn, manip) {
            if self.nf_chain(ctx, at, Table::Nat, state, skb) == Verdict::Drop {
                return Verdict::Drop;
            }
            let is_open =
                |netns: &Self| netns.netfilter.conntrack.get(id).is_some_and(|conn| !is_done(conn, manip));
            // Chains of both kinds stand behind one another, until one has chosen (`nf_nat_inet_fn`).
            if is_open(self) && self.nft_nat(ctx, at, state, skb) == Verdict::Drop {
                return Verdict::Drop;
            }
            let is_open = is_open(self);
            if is_open && !self.nf_nat_null_binding(id, manip) {
                return Verdict::Drop;
            }
        } else if conn.masquerade.is_some_and(|own| own != state.oif)
            && state.hook == Hook::Postrouting
            && !info.is_reply()
        {
            // The way out is another one now: what it was masqueraded to does not hold (`nf_nat_oif_changed`).
            self.kill_conntrack(ctx, id, skb.cause);
            return Verdict::Drop;
        }
        self.nf_nat_packet(id, manip, skb);
        Verdict::Accept
    }

    /// Rewrites a packet as its connection has it (`nf_nat_packet`).
    fn nf_nat_packet(&self, id: u32, manip: Manip, skb: &mut Skb) {
        let is_reply = skb.nf.info.is_reply();
        let Some(conn) = self.netfilter.conntrack.get(id) else { return };
        if !is_translated(conn, manip, is_reply) {
            return;
        }
        let Some(target) = target_of(conn, is_reply) else { return };
        if let Payload::Ipv4(packet) = &mut skb.frame_mut().payload {
            manip_packet(packet, &target, manip);
        }
    }

    /// Rewrites an ICMP error about a translated packet: what it quotes and its own addresses
    /// (`nf_nat_icmp_reply_translation`).
    fn nf_nat_icmp(&self, id: u32, manip: Manip, skb: &mut Skb) -> Verdict {
        const REDIRECT: u8 = 5;
        let is_reply = skb.nf.info.is_reply();
        let Some(conn) = self.netfilter.conntrack.get(id) else { return Verdict::Accept };
        let Some(Body::Icmp(icmp)) = skb.frame.ipv4().map(|packet| &*packet.body) else {
            return Verdict::Accept;
        };
        let is_settled = conn.src_done && conn.dst_done && !conn.src_nat && !conn.dst_nat;
        if icmp.kind_and_code().0 == REDIRECT && !is_settled {
            return Verdict::Drop;
        }
        if !is_translated(conn, manip, is_reply) {
            return Verdict::Accept;
        }
        let inner = if is_reply { conn.orig } else { conn.reply };
        let Some(target) = target_of(conn, is_reply) else { return Verdict::Accept };
        if let Payload::Ipv4(packet) = &mut skb.frame_mut().payload {
            manip_quoted(packet, &inner, manip.other());
            match manip {
                Manip::Src => packet.src = target.src,
                Manip::Dst => packet.dst = target.dst,
            }
        }
        Verdict::Accept
    }

    /// `SO_ORIGINAL_DST`: the destination of a TCP connection's first packet (`nf_conntrack_proto.c`, `getorigdst`).
    pub fn socket_original_dst(&self, socket: SocketId) -> Result<SocketAddrV4, Errno> {
        let sock = self.sock(socket)?;
        let remote = sock.remote.filter(|_| sock.tcp().is_some()).ok_or(Errno::Enoprotoopt)?;
        let tuple = Tuple {
            src: sock.source,
            dst: *remote.ip(),
            protocol: 6,
            sport: sock.local.port(),
            dport: remote.port(),
        };
        let (id, _) = self.netfilter.conntrack.find(&tuple).ok_or(Errno::Enoent)?;
        let conn = self.netfilter.conntrack.get(id).ok_or(Errno::Enoent)?;
        Ok(SocketAddrV4::new(conn.orig.dst, conn.orig.dport))
    }

    /// The targets that translate.
    pub(super) fn nf_nat_target(
        &mut self,
        ctx: &mut Ctx<'_>,
        target: &Target,
        state: HookState,
        skb: &mut Skb,
    ) -> Verdict {
        let Some(id) = skb.nf.ct else { return Verdict::Accept };
        let Some(packet) = skb.frame.ipv4() else { return Verdict::Accept };
        let (src, dst) = (packet.src, packet.dst);
        let manip = manip_at(state.hook);
        let range = match target {
            Target::Dnat(range, flags) | Target::Snat(range, flags) => {
                Range { addrs: range.ipv4(), ports: range.ports, flags: *flags }
            }
            Target::Masquerade(ports, flags) => {
                // A packet without a source is the machine asking for an address: left alone.
                if src.is_unspecified() {
                    return Verdict::Accept;
                }
                let Some(addr) = self.masquerade_addr(state.oif, skb, dst) else { return Verdict::Drop };
                self.change_conntrack(ctx, id, skb.cause, |conn| conn.masquerade = Some(state.oif));
                Range { addrs: Some((addr, addr)), ports: *ports, flags: *flags }
            }
            Target::Redirect(ports, flags) => {
                let addr = if state.hook == Hook::Output {
                    Some(Ipv4Addr::LOCALHOST)
                } else {
                    self.addrs.iter().find(|row| row.ifindex == state.iif).map(|row| row.addr.addr())
                };
                let Some(addr) = addr else { return Verdict::Drop };
                Range { addrs: Some((addr, addr)), ports: *ports, flags: *flags }
            }
            Target::Netmap(network) => {
                let own = match manip {
                    Manip::Src => src,
                    Manip::Dst => dst,
                };
                let IpAddr::V4(addr) = network.map(IpAddr::V4(own)) else { return Verdict::Accept };
                Range { addrs: Some((addr, addr)), ..Range::default() }
            }
            Target::None
            | Target::Accept
            | Target::Drop
            | Target::Return
            | Target::Jump(_)
            | Target::Goto(_)
            | Target::Reject(_)
            | Target::Mark(..)
            | Target::Connmark(_)
            | Target::Notrack(_)
            | Target::Log(_)
            | Target::Tcpmss(_)
            | Target::Ttl(_)
            | Target::Tos(..)
            | Target::Dscp(_)
            | Target::Side(_) => return Verdict::Accept,
        };
        if self.nf_nat_setup(id, range, manip) { Verdict::Accept } else { Verdict::Drop }
    }

    /// The address of the way out that masquerading takes: the one that the packet's next hop calls for, where it has been
    /// routed (`rt_nexthop`, `inet_select_addr`).
    fn masquerade_addr(&self, oif: IfIndex, skb: &Skb, dst: Ipv4Addr) -> Option<Ipv4Addr> {
        let next_hop = skb.dst.next_hop.unwrap_or(dst);
        self.inet_select_addr(oif, Some(next_hop), Scope::Global)
    }

    /// Nothing asks for a translation: the addresses stay, unless another connection has them already
    /// (`nf_nat_alloc_null_binding`).
    fn nf_nat_null_binding(&mut self, id: u32, manip: Manip) -> bool {
        let Some(conn) = self.netfilter.conntrack.get(id) else { return false };
        let addr = match manip {
            Manip::Src => conn.reply.dst,
            Manip::Dst => conn.reply.src,
        };
        self.nf_nat_setup(id, Range { addrs: Some((addr, addr)), ..Range::default() }, manip)
    }

    /// Chooses what a connection becomes (`nf_nat_setup_info`).
    fn nf_nat_setup(&mut self, id: u32, range: Range, manip: Manip) -> bool {
        let Some(conn) = self.netfilter.conntrack.get(id) else { return false };
        if is_done(conn, manip) || conn.confirmed {
            return true;
        }
        let Some(current) = header::inverted(&conn.reply) else { return true };
        let new = self.unique_tuple(id, &current, &range, manip);
        let reply = header::inverted(&new);
        let Some(conn) = self.netfilter.conntrack.get_mut(id) else { return false };
        if new != current
            && let Some(reply) = reply
        {
            conn.reply = reply;
            match manip {
                Manip::Src => conn.src_nat = true,
                Manip::Dst => conn.dst_nat = true,
            }
        }
        match manip {
            Manip::Src => conn.src_done = true,
            Manip::Dst => conn.dst_done = true,
        }
        true
    }

    /// Whether another connection's replies look like this one's would (`nf_nat_used_tuple`).
    fn is_used(&self, id: u32, tuple: &Tuple) -> bool {
        let reply = header::inverted(tuple);
        let other = reply.and_then(|reply| self.netfilter.conntrack.find(&reply));
        other.is_some_and(|(other, _)| other != id)
    }

    /// `get_unique_tuple`.
    fn unique_tuple(&mut self, id: u32, orig: &Tuple, range: &Range, manip: Manip) -> Tuple {
        let draws = range.flags.random || range.flags.fully;
        if manip == Manip::Src && !draws {
            if range.has_source(orig) {
                if !self.is_used(id, orig) {
                    return *orig;
                }
            } else if let Some(near) = self.appropriate_source(orig, range)
                && !self.is_used(id, &near)
            {
                return near;
            }
        }
        let tuple = self.best_addr(orig, range, manip);
        if !draws {
            match range.ports {
                Some(ports) => {
                    let own = own_port(&tuple, manip);
                    let single = ports.0 == ports.1;
                    if ports.contains(own) && (single || !self.is_used(id, &tuple)) {
                        return tuple;
                    }
                }
                None if !self.is_used(id, &tuple) => return tuple,
                None => {}
            }
        }
        self.unique_port(id, tuple, range, manip)
    }

    /// What another connection from the same source was given will do (`find_appropriate_src`).
    fn appropriate_source(&self, orig: &Tuple, range: &Range) -> Option<Tuple> {
        self.netfilter.conntrack.with_source(orig).filter(|conn| conn.src_done).find_map(|conn| {
            let given = header::inverted(&conn.reply)?;
            let tuple = Tuple { dst: orig.dst, dport: orig.dport, ..given };
            range.has_source(&tuple).then_some(tuple)
        })
    }

    /// One of the addresses allowed, always the same for the same ends (`find_best_ips_proto`).
    fn best_addr(&self, orig: &Tuple, range: &Range, manip: Manip) -> Tuple {
        let Some((first, last)) = range.addrs else { return *orig };
        let (low, high) = (u32::from(first), u32::from(last));
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(self.id.0);
        let dst = if range.flags.persistent { 0 } else { u32::from(orig.dst) ^ u32::from(orig.dport) };
        for byte in u32::from(orig.src).to_be_bytes().into_iter().chain(dst.to_be_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let span = u64::from(high.saturating_sub(low)) + 1;
        let addr = Ipv4Addr::from(low + ((hash >> 16) % span) as u32);
        match manip {
            Manip::Src => Tuple { src: addr, ..*orig },
            Manip::Dst => Tuple { dst: addr, ..*orig },
        }
    }

    /// A free port, or identifier of ICMP (`nf_nat_l4proto_unique_tuple`).
    fn unique_port(&mut self, id: u32, tuple: Tuple, range: &Range, manip: Manip) -> Tuple {
        let is_icmp = tuple.protocol == 1;
        let (min, size) = match range.ports {
            Some(ports) => (u32::from(ports.0), u32::from(ports.1 - ports.0) + 1),
            None if is_icmp => (0, 65_536),
            None if !matches!(tuple.protocol, 6 | 17 | 33 | 132 | 136) => return tuple,
            // A destination port is not changed without being told so.
            None if manip == Manip::Dst => return tuple,
            None => match own_port(&tuple, manip) {
                0..512 => (1, 511),
                512..1024 => (600, 424),
                _ => (1024, 64_512),
            },
        };
        let draws = range.flags.random || range.flags.fully || manip == Manip::Src;
        let mut offset = if draws { u32::from(self.rng.u16(..)) } else { 0 };
        let mut attempts = size.min(MAX_ATTEMPTS);
        let mut tried = tuple;
        loop {
            for _ in 0..attempts {
                let port = (min + offset % size) as u16;
                tried = with_port(&tuple, manip, port);
                if !self.is_used(id, &tried) {
                    return tried;
                }
                offset += 1;
            }
            if attempts >= size || attempts < 16 {
                return tried;
            }
            attempts /= 2;
            offset = u32::from(self.rng.u16(..));
        }
    }

    /// An interface went down or lost an address: what was masqueraded to it is forgotten
    /// (`masq_device_event`, `masq_inet_event`).
    pub(in crate::kernel) fn flush_masquerade(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        addr: Option<Ipv4Addr>,
    ) {
        let lost =
            |conn: &Conn| conn.masquerade == Some(ifindex) && addr.is_none_or(|addr| conn.reply.dst == addr);
        for id in self.netfilter.conntrack.picked(lost) {
            self.kill_conntrack(ctx, id, crate::base::EventId::NONE);
        }
    }
}

/// The port that is rewritten; of ICMP the identifier.
fn own_port(tuple: &Tuple, manip: Manip) -> u16 {
    if manip == Manip::Src || tuple.protocol == 1 { tuple.sport } else { tuple.dport }
}

fn with_port(tuple: &Tuple, manip: Manip, port: u16) -> Tuple {
    if manip == Manip::Src || tuple.protocol == 1 {
        Tuple { sport: port, ..*tuple }
    } else {
        Tuple { dport: port, ..*tuple }
    }
}
