//! Rewriting of headers (`nf_nat_proto.c`): addresses, ports and identifiers, also those of the packet that an ICMP
//! error quotes; the segment size that TCP announces; and the fields of the IP header that targets set.

use super::HookState;
use crate::base::Ipv4Addr;
use crate::kernel::{Ctx, Netns, Skb};
use crate::trace::Tuple;
use crate::wire::{Body, Bytes, Icmp, Ipv4, Payload, Quote, TcpFlags, TcpOption};
use crate::xtables::Tcpmss;
use std::sync::Arc;

/// The part of a tuple that is rewritten (`enum nf_nat_manip_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manip {
    Src,
    Dst,
}

impl Manip {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Src => Self::Dst,
            Self::Dst => Self::Src,
        }
    }
}

/// Gives a packet the source or destination of `target` (`nf_nat_ipv4_manip_pkt`).
pub(super) fn manip_packet(packet: &mut Ipv4, target: &Tuple, manip: Manip) {
    match manip {
        Manip::Src => packet.src = target.src,
        Manip::Dst => packet.dst = target.dst,
    }
    let has_ports = match &*packet.body {
        Body::Tcp(_) | Body::Udp(_) => true,
        Body::Icmp(icmp) => matches!(icmp.kind_and_code().0, 0 | 8 | 13 | 14 | 15 | 16 | 17 | 18),
        Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => false,
    };
    if !has_ports || packet.fragment_offset != 0 {
        return;
    }
    match Arc::make_mut(&mut packet.body) {
        Body::Tcp(tcp) => set_port((&mut tcp.src_port, &mut tcp.dst_port), target, manip),
        Body::Udp(udp) => set_port((&mut udp.src_port, &mut udp.dst_port), target, manip),
        Body::Icmp(Icmp::EchoRequest { id, .. } | Icmp::EchoReply { id, .. }) => *id = target.sport,
        Body::Icmp(Icmp::Other { rest, .. }) => {
            [rest[0], rest[1]] = target.sport.to_be_bytes();
        }
        Body::Icmp(Icmp::DestinationUnreachable { .. } | Icmp::TimeExceeded { .. })
        | Body::Igmp(_)
        | Body::Ipip(_)
        | Body::Gre(_)
        | Body::Esp(_)
        | Body::Raw { .. } => {}
    }
}

fn set_port((src, dst): (&mut u16, &mut u16), target: &Tuple, manip: Manip) {
    match manip {
        Manip::Src => *src = target.sport,
        Manip::Dst => *dst = target.dport,
    }
}

/// Rewrites the packet that an ICMP error quotes.
pub(super) fn manip_quoted(packet: &mut Ipv4, target: &Tuple, manip: Manip) {
    let Body::Icmp(icmp) = Arc::make_mut(&mut packet.body) else { return };
    let (Icmp::DestinationUnreachable { quote, .. }
    | Icmp::TimeExceeded { quote, .. }
    | Icmp::Other { data: quote, .. }) = icmp
    else {
        return;
    };
    if let Some(changed) = manip_bytes(quote, target, manip) {
        *quote = changed;
    }
}

/// Replaces a word and keeps the checksum right with it (RFC 1624, `inet_proto_csum_replace2`).
fn replace(bytes: &mut [u8], at: usize, word: u16, checksums: &[usize]) {
    let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    bytes[at..at + 2].copy_from_slice(&word.to_be_bytes());
    for &sum in checksums {
        let check = u16::from_be_bytes([bytes[sum], bytes[sum + 1]]);
        let mut new = u32::from(!check) + u32::from(!old) + u32::from(word);
        while new > 0xffff {
            new = (new & 0xffff) + (new >> 16);
        }
        bytes[sum..sum + 2].copy_from_slice(&(!(new as u16)).to_be_bytes());
    }
}

fn manip_bytes(quote: &Bytes, target: &Tuple, manip: Manip) -> Option<Bytes> {
    let read = Quote::read(quote)?;
    let (l4, protocol, first) = (read.header_len, read.protocol, read.fragment_offset == 0);
    let mut bytes = quote.to_vec();
    let room = bytes.len();
    // Where the checksum of the transport header is quoted, and is one.
    let l4_sum = match protocol {
        6 => Some(l4 + 16).filter(|at| at + 2 <= room && l4 + 20 <= room),
        17 => Some(l4 + 6).filter(|at| at + 2 <= room && bytes[*at..at + 2] != [0, 0]),
        _ => None,
    }
    .filter(|_| first);
    let (addr, at): (Ipv4Addr, usize) = match manip {
        Manip::Src => (target.src, 12),
        Manip::Dst => (target.dst, 16),
    };
    let [a, b, c, d] = addr.octets();
    let sums: Vec<usize> = std::iter::once(10).chain(l4_sum).collect();
    replace(&mut bytes, at, u16::from_be_bytes([a, b]), &sums);
    replace(&mut bytes, at + 2, u16::from_be_bytes([c, d]), &sums);
    let l4_sums: Vec<usize> = l4_sum.into_iter().collect();
    match protocol {
        6 | 17 if first && room >= l4 + 8 => {
            let (port, at) = match manip {
                Manip::Src => (target.sport, l4),
                Manip::Dst => (target.dport, l4 + 2),
            };
            replace(&mut bytes, at, port, &l4_sums);
        }
        1 if first && room >= l4 + 8 && matches!(bytes[l4], 0 | 8 | 13 | 14 | 15 | 16 | 17 | 18) => {
            replace(&mut bytes, l4 + 4, target.sport, &[l4 + 2]);
        }
        _ => {}
    }
    Some(bytes.into())
}

/// Changes the time to live and the type of service (`ttl_tg`, `tos_tg`, `dscp_tg`).
pub(super) fn set_header_fields(skb: &mut Skb, change: impl FnOnce(u8, u8) -> (u8, u8)) {
    let Some(packet) = skb.frame.ipv4() else { return };
    let before = (packet.ttl, packet.tos);
    let after = change(before.0, before.1);
    if after != before
        && let Payload::Ipv4(packet) = &mut skb.frame_mut().payload
    {
        (packet.ttl, packet.tos) = after;
    }
}

impl Netns {
    /// Lowers the segment size in a SYN (`tcpmss_mangle_packet`).
    pub(super) fn nf_tcpmss(&self, ctx: &Ctx<'_>, op: Tcpmss, state: HookState, skb: &mut Skb) {
        let Some(packet) = skb.frame.ipv4() else { return };
        let Body::Tcp(tcp) = &*packet.body else { return };
        if !tcp.flags.contains(TcpFlags::SYN) {
            return;
        }
        let mtu_of = |addr: Ipv4Addr| {
            let flow = self.ip_route_output(ctx.now, addr, None, None);
            flow.map_or(u32::from(u16::MAX), |flow| flow.mtu)
        };
        let new = match op {
            Tcpmss::Set(mss) => mss,
            Tcpmss::Clamp => {
                let out = self.link(state.oif).map_or_else(|| mtu_of(packet.dst), |link| link.mtu);
                let mtu = out.min(mtu_of(packet.src));
                u16::try_from(mtu.saturating_sub(40)).unwrap_or(u16::MAX)
            }
        };
        let larger = |option: &TcpOption| matches!(option, TcpOption::MaxSegmentSize(size) if *size > new);
        if !tcp.options.iter().flat_map(|options| options.iter()).any(larger) {
            return;
        }
        let Payload::Ipv4(packet) = &mut skb.frame_mut().payload else { return };
        let Body::Tcp(tcp) = Arc::make_mut(&mut packet.body) else { return };
        let lowered = tcp
            .options
            .iter()
            .flat_map(|options| options.iter())
            .map(|option| if larger(option) { TcpOption::MaxSegmentSize(new) } else { option.clone() });
        tcp.options = Some(lowered.collect());
    }
}
