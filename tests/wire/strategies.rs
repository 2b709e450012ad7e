//! Any packet that can be built.

use proptest::collection::vec;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use std::sync::Arc;
use vethscope::base::MacAddr;
use vethscope::wire::{
    Arp, ArpOp, Body, Bpdu, BpduConfig, BridgeId, Esp, Frame, Gre, GrePayload, GroupRecord, Icmp, Igmp, Ipv4,
    Payload, Tcp, TcpFlags, TcpOption, Udp, UdpChecksum, UdpPayload, Vlan, VlanProtocol, Vxlan,
};

fn mac() -> BoxedStrategy<MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr).boxed()
}

fn data() -> BoxedStrategy<Arc<[u8]>> {
    vec(any::<u8>(), 0..90).prop_map(Arc::from).boxed()
}

fn arp() -> BoxedStrategy<Arp> {
    (any::<u16>(), mac(), any::<Ipv4Addr>(), mac(), any::<Ipv4Addr>())
        .prop_map(|(op, sender_mac, sender_ip, target_mac, target_ip)| Arp {
            op: ArpOp::from_code(op % 5),
            sender_mac,
            sender_ip,
            target_mac,
            target_ip,
        })
        .boxed()
}

pub(crate) fn icmp() -> BoxedStrategy<Icmp> {
    prop_oneof![
        (any::<u16>(), any::<u16>(), data()).prop_map(|(id, seq, data)| Icmp::EchoRequest { id, seq, data }),
        (any::<u16>(), any::<u16>(), data()).prop_map(|(id, seq, data)| Icmp::EchoReply { id, seq, data }),
        (0..16u8, any::<u16>(), data()).prop_map(|(code, mtu, quote)| Icmp::DestinationUnreachable {
            code,
            mtu: if code == 4 { mtu } else { 0 },
            quote,
        }),
        (0..2u8, data()).prop_map(|(code, quote)| Icmp::TimeExceeded { code, quote }),
        (12..40u8, any::<u8>(), any::<[u8; 4]>(), data()).prop_map(|(kind, code, rest, data)| Icmp::Other {
            kind,
            code,
            rest,
            data
        }),
    ]
    .boxed()
}

fn tcp_option() -> BoxedStrategy<TcpOption> {
    prop_oneof![
        Just(TcpOption::Nop),
        any::<u16>().prop_map(TcpOption::MaxSegmentSize),
        any::<u8>().prop_map(TcpOption::WindowScale),
        Just(TcpOption::SackPermitted),
        vec(any::<(u32, u32)>(), 1..4).prop_map(TcpOption::Sack),
        any::<(u32, u32)>().prop_map(|(value, echo)| TcpOption::Timestamps { value, echo }),
        (9..=u8::MAX, vec(any::<u8>(), 0..6))
            .prop_map(|(kind, data)| TcpOption::Unknown { kind, data: data.into() }),
    ]
    .boxed()
}

/// As many of the options as fit, and an end of the list that fills the last four bytes.
fn tcp_options() -> BoxedStrategy<Option<Arc<[TcpOption]>>> {
    vec(tcp_option(), 0..6)
        .prop_map(|options| {
            let (mut fitting, mut len) = (Vec::new(), 0);
            for option in options.into_iter().filter(|option| option.wire_len() < 40) {
                if len + option.wire_len() <= 40 {
                    len += option.wire_len();
                    fitting.push(option);
                }
            }
            if !len.is_multiple_of(4) {
                fitting.push(TcpOption::End(std::iter::repeat_n(7, 3 - len % 4).collect()));
            }
            (!fitting.is_empty()).then(|| fitting.into())
        })
        .boxed()
}

fn tcp() -> BoxedStrategy<Tcp> {
    let head = (any::<u16>(), any::<u16>(), any::<u32>(), any::<u32>());
    let flags = any::<u16>().prop_map(TcpFlags::from_bits);
    (head, flags, any::<u16>(), any::<u16>(), tcp_options(), data())
        .prop_map(|((src_port, dst_port, seq, ack), flags, window, urgent, options, data)| Tcp {
            src_port,
            dst_port,
            seq,
            ack,
            flags,
            window,
            urgent,
            options,
            data,
        })
        .boxed()
}

fn udp(payload: impl Strategy<Value = UdpPayload> + 'static) -> BoxedStrategy<Udp> {
    (any::<u16>(), any::<u16>(), any::<bool>(), payload)
        .prop_map(|(src_port, port, summed, payload)| Udp {
            src_port,
            dst_port: match &payload {
                UdpPayload::Vxlan(_) => Vxlan::PORTS[usize::from(port % 2)],
                UdpPayload::Data(_) => port.max(9000),
            },
            checksum: if summed { UdpChecksum::Computed } else { UdpChecksum::Zero },
            payload,
        })
        .boxed()
}

fn raw() -> BoxedStrategy<Body> {
    (any::<u8>(), data())
        .prop_map(|(protocol, bytes)| Body::Raw {
            protocol: if matches!(protocol, 1 | 2 | 4 | 6 | 17 | 47 | 50) { 132 } else { protocol },
            bytes,
        })
        .boxed()
}

pub(crate) fn ipv4(body: impl Strategy<Value = Body> + 'static, fragment: bool) -> BoxedStrategy<Ipv4> {
    let options = proptest::option::of(vec(any::<[u8; 4]>(), 1..=10));
    let head = (any::<u8>(), any::<u16>(), any::<bool>(), any::<bool>(), 0..1u16 << 13, any::<u8>());
    (head, any::<Ipv4Addr>(), any::<Ipv4Addr>(), options, body)
        .prop_map(move |((tos, id, dont_fragment, more, offset, ttl), src, dst, options, body)| Ipv4 {
            tos,
            id,
            dont_fragment,
            more_fragments: fragment && (more || offset == 0),
            fragment_offset: if fragment { offset } else { 0 },
            ttl,
            src,
            dst,
            options: options.map(|words| words.concat().into()),
            body: Arc::new(body),
        })
        .boxed()
}

/// Frames of which every byte is accounted for by a length, so that cutting one is noticed.
fn closed_payload() -> BoxedStrategy<Payload> {
    let fragment = (any::<u8>(), data()).prop_map(|(protocol, bytes)| Body::Raw { protocol, bytes });
    let plain = prop_oneof![
        icmp().prop_map(Body::Icmp),
        tcp().prop_map(Body::Tcp),
        igmp().prop_map(Body::Igmp),
        udp(data().prop_map(UdpPayload::Data)).prop_map(Body::Udp),
        raw(),
    ];
    prop_oneof![
        arp().prop_map(Payload::Arp),
        ipv4(plain, false).prop_map(Payload::Ipv4),
        ipv4(fragment, true).prop_map(Payload::Ipv4),
    ]
    .boxed()
}

fn igmp() -> BoxedStrategy<Igmp> {
    let record = (any::<u8>(), any::<Ipv4Addr>(), vec(any::<Ipv4Addr>(), 0..3))
        .prop_map(|(kind, group, sources)| GroupRecord { kind, group, sources });
    prop_oneof![
        vec(record, 0..4).prop_map(Igmp::V3Report),
        (any::<u8>(), any::<u8>(), any::<Ipv4Addr>(), data()).prop_map(
            |(kind, max_response, group, rest)| Igmp::Plain {
                kind: if kind == 0x22 { 0x16 } else { kind },
                max_response,
                group,
                rest,
            }
        ),
    ]
    .boxed()
}

fn bpdu() -> BoxedStrategy<Bpdu> {
    let bridge = || (any::<u16>(), mac()).prop_map(|(priority, mac)| BridgeId { priority, mac });
    let config = (any::<u8>(), bridge(), any::<u32>(), bridge(), any::<[u16; 5]>()).prop_map(
        |(flags, root, root_path_cost, bridge, [port, message_age, max_age, hello_time, forward_delay])| {
            BpduConfig {
                flags,
                root,
                root_path_cost,
                bridge,
                port,
                message_age,
                max_age,
                hello_time,
                forward_delay,
            }
        },
    );
    let config = config.boxed();
    prop_oneof![
        config.clone().prop_map(Bpdu::Config),
        config.prop_map(Bpdu::Rapid),
        Just(Bpdu::TopologyChange)
    ]
    .boxed()
}

/// A payload behind one or two VLAN tags.
fn tagged(payload: BoxedStrategy<Payload>) -> BoxedStrategy<Payload> {
    let tag = || (any::<bool>(), 0..8_u8, any::<bool>(), 0..4096_u16);
    let put = |(ad, priority, drop_eligible, id): (bool, u8, bool, u16), inner: Payload| {
        let protocol = if ad { VlanProtocol::Dot1ad } else { VlanProtocol::Dot1q };
        Payload::Vlan(Vlan { protocol, priority, drop_eligible, id, inner: Box::new(inner) })
    };
    (tag(), proptest::option::of(tag()), payload)
        .prop_map(move |(outer, inner, payload)| {
            let payload = inner.into_iter().fold(payload, |payload, tag| put(tag, payload));
            put(outer, payload)
        })
        .boxed()
}

/// A GRE or IPIP packet around a packet, or an ESP packet.
fn routed_tunnel(inner: BoxedStrategy<Ipv4>) -> BoxedStrategy<Payload> {
    let framed = || (mac(), mac());
    let gre_head = (any::<bool>(), any::<Option<u32>>(), any::<Option<u32>>());
    let carried = prop_oneof![
        inner.clone().prop_map(|packet| GrePayload::Ipv4(Arc::new(packet))),
        (framed(), inner.clone()).prop_map(|((dst, src), packet)| {
            GrePayload::Ethernet(Arc::new(Frame { dst, src, payload: Payload::Ipv4(packet) }))
        }),
        data().prop_map(|bytes| GrePayload::Other { ethertype: 0x86dd, bytes }),
    ];
    let gre = (gre_head, carried)
        .prop_map(|((checksum, key, sequence), payload)| Body::Gre(Gre { checksum, key, sequence, payload }));
    let esp =
        (1..=u32::MAX, any::<u32>(), data()).prop_map(|(spi, seq, data)| Body::Esp(Esp { spi, seq, data }));
    let ipip = inner.prop_map(|packet| Body::Ipip(Arc::new(packet)));
    ipv4(prop_oneof![gre, esp, ipip], false).prop_map(Payload::Ipv4).boxed()
}

fn frame_of(payload: impl Strategy<Value = Payload> + 'static) -> BoxedStrategy<Frame> {
    (mac(), mac(), payload).prop_map(|(dst, src, payload)| Frame { dst, src, payload }).boxed()
}

fn tunnelled(inner: impl Strategy<Value = Frame> + 'static) -> BoxedStrategy<Frame> {
    let vxlan = (0..1u32 << 24, inner)
        .prop_map(|(vni, inner)| UdpPayload::Vxlan(Vxlan { vni, inner: Arc::new(inner) }));
    frame_of(ipv4(udp(vxlan).prop_map(Body::Udp), false).prop_map(Payload::Ipv4)).boxed()
}

pub(crate) fn closed_frame() -> BoxedStrategy<Frame> {
    prop_oneof![
        frame_of(closed_payload()),
        tunnelled(frame_of(closed_payload())),
        tunnelled(tunnelled(frame_of(closed_payload()))),
        frame_of(tagged(closed_payload())),
        frame_of(bpdu().prop_map(Payload::Bpdu)),
        frame_of(routed_tunnel(ipv4(icmp().prop_map(Body::Icmp), false))),
        tunnelled(frame_of(tagged(routed_tunnel(ipv4(raw(), false))))),
    ]
    .boxed()
}

pub(crate) fn frame() -> BoxedStrategy<Frame> {
    let other = (0x0600..=u16::MAX, data()).prop_map(|(ethertype, bytes)| Payload::Other {
        ethertype: if matches!(ethertype, 0x0800 | 0x0806 | 0x8100 | 0x88a8) { 0x86dd } else { ethertype },
        bytes,
    });
    let other = frame_of(other);
    prop_oneof![3 => closed_frame(), 1 => other].boxed()
}
