//! What netfilter reads of a packet: the tuple of its addresses and ports.

use crate::trace::Tuple;
use crate::wire::{Body, Icmp, Ipv4, Quote};

/// Types of ICMP that ask, with the type of the answer (`invmap`).
const ANSWERS: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];

/// The type that answers, or is answered by, this one.
fn opposite(kind: u8) -> Option<u8> {
    let pair = |(asks, answers): &(u8, u8)| {
        if *asks == kind {
            Some(*answers)
        } else if *answers == kind {
            Some(*asks)
        } else {
            None
        }
    };
    ANSWERS.iter().find_map(pair)
}

/// Whether this type of ICMP may begin a connection (`icmp_pkt_to_tuple`, `valid_new`).
pub(super) fn asks(kind: u8) -> bool {
    ANSWERS.iter().any(|(asks, _)| *asks == kind)
}

/// Identifier, type and code of an ICMP message.
fn icmp_parts(icmp: &Icmp) -> (u16, u16) {
    let (kind, code) = icmp.kind_and_code();
    let id = match icmp {
        Icmp::EchoRequest { id, .. } | Icmp::EchoReply { id, .. } => *id,
        Icmp::Other { rest: [a, b, ..], .. } => u16::from_be_bytes([*a, *b]),
        Icmp::DestinationUnreachable { .. } | Icmp::TimeExceeded { .. } => 0,
    };
    (id, u16::from_be_bytes([kind, code]))
}

/// Ports of a packet, with those of ICMP as a tuple has them; zero where there are none.
pub(super) fn ports(body: &Body) -> (u16, u16) {
    match body {
        Body::Tcp(tcp) => (tcp.src_port, tcp.dst_port),
        Body::Udp(udp) => (udp.src_port, udp.dst_port),
        Body::Icmp(icmp) => icmp_parts(icmp),
        Body::Raw { protocol: 132 | 136 | 33, bytes } => match **bytes {
            [a, b, c, d, ..] => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            _ => (0, 0),
        },
        Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => (0, 0),
    }
}

/// The tuple of a packet (`nf_ct_get_tuple`).
pub(in crate::kernel) fn tuple(packet: &Ipv4) -> Tuple {
    let (sport, dport) = ports(&packet.body);
    Tuple { src: packet.src, sport, protocol: packet.protocol(), dst: packet.dst, dport }
}

/// The tuple of a packet that an ICMP error quotes.
pub(in crate::kernel) fn quoted_tuple(quote: &Quote<'_>) -> Option<Tuple> {
    let word = |at: usize| Some(u16::from_be_bytes([*quote.body.get(at)?, *quote.body.get(at + 1)?]));
    let (sport, dport) = match quote.protocol {
        1 => (word(4)?, word(0)?),
        6 | 17 | 33 | 132 | 136 => (word(0)?, word(2)?),
        _ => (0, 0),
    };
    Some(Tuple { src: quote.src, sport, protocol: quote.protocol, dst: quote.dst, dport })
}

/// The tuple of the other direction (`nf_ct_invert_tuple`); `None` for ICMP that nothing answers.
pub(in crate::kernel) fn inverted(tuple: &Tuple) -> Option<Tuple> {
    let (sport, dport) = if tuple.protocol == 1 {
        let [kind, code] = tuple.dport.to_be_bytes();
        (tuple.sport, u16::from_be_bytes([opposite(kind)?, code]))
    } else {
        (tuple.dport, tuple.sport)
    };
    Some(Tuple { src: tuple.dst, sport, protocol: tuple.protocol, dst: tuple.src, dport })
}
