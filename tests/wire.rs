//! Packets to bytes and back: any packet, any bytes, and frames recorded on real Linux.

use proptest::collection::vec;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use std::sync::Arc;
use vethscope::base::MacAddr;
use vethscope::wire::{
    Arp, ArpOp, Body, Frame, Icmp, Ipv4, Payload, Udp, UdpChecksum, UdpPayload, Vxlan, WireError,
};

/// A ping over flannel's VXLAN as node1 put it on the LAN.
const VXLAN_PING: &str = "0200c0a8010b0200c0a8010a080045000086e859000040110ea8c0a8010ac0a8010b93e22118007296df\
    080000000000010002f10af4020002f10af40100080045000054ca8340003f01582a0af4010a0af4020a0800a62002b800010b46036b\
    000000007aa2070000000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637";
/// The second fragment of a ping inside VXLAN.
const VXLAN_FRAGMENT: &str = "0200c0a8010b0200c0a8010a08004500007e5cc4000040119a45c0a8010ac0a8010b93e22118006ab0ed\
    080000000000010002f10af4020002f10af4010008004500004c35a600b23f012c5e0af4010a0af4020a88898a8b8c8d8e8f90919293\
    9495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf";
const ARP_REQUEST: &str =
    "ffffffffffff0a580af4010a080600010800060400010a580af4010a0af4010a0000000000000af4010b";
const ARP_REPLY: &str =
    "0a580af4010a0a580af4010b080600010800060400020a580af4010b0af4010b0a580af4010a0af4010a";
const PORT_UNREACHABLE: &str = "42f0b61461760a580af4020a080045c0003dce730000400192910af4020a0af4010a0303161700000000\
    45000021deac40003e1145240af4010a0af4020ad84214e9000db5da68656c6c6f";
const TIME_EXCEEDED: &str = "0a580af4010a1615f1315b60080045c00070e0c60000400181140af401010af4010a0b00f4ff00000000\
    45000054ddcb4000010182e20af4010a0af4020a0800681906a200014246036b0000000078bf0c0000000000101112131415161718191a\
    1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637";
const UDP_HELLO: &str = "1615f1315b600a580af4010a080045000021deac4000401143240af4010a0af4020ad84214e9000db5da\
    68656c6c6f";
const RECORDED: [&str; 7] =
    [VXLAN_PING, VXLAN_FRAGMENT, ARP_REQUEST, ARP_REPLY, PORT_UNREACHABLE, TIME_EXCEEDED, UDP_HELLO];

fn bytes_from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn recorded_frames_are_read_and_emitted_unchanged() {
    for hex in RECORDED {
        let bytes = bytes_from_hex(hex);
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(frame.emit(), bytes);
        assert_eq!(frame.wire_len(), bytes.len());
    }
}

#[test]
fn the_recorded_vxlan_ping_is_read_field_by_field() {
    let frame = Frame::parse(&bytes_from_hex(VXLAN_PING)).unwrap();
    let outer = frame.ipv4().unwrap();
    assert_eq!((outer.src, outer.dst), (Ipv4Addr::new(192, 168, 1, 10), Ipv4Addr::new(192, 168, 1, 11)));
    assert_eq!((outer.id, outer.ttl, outer.dont_fragment), (0xe859, 64, false));
    let Body::Udp(udp) = &*outer.body else { panic!("{outer:?}") };
    assert_eq!((udp.src_port, udp.dst_port, udp.checksum), (37858, 8472, UdpChecksum::Computed));
    let UdpPayload::Vxlan(vxlan) = &udp.payload else { panic!("{udp:?}") };
    assert_eq!(vxlan.vni, 1);
    assert_eq!(vxlan.inner.src, "02:f1:0a:f4:01:00".parse().unwrap());
    let inner = vxlan.inner.ipv4().unwrap();
    assert_eq!((inner.ttl, inner.dont_fragment, inner.id), (63, true, 0xca83));
    let Body::Icmp(Icmp::EchoRequest { id, seq, data }) = &*inner.body else { panic!("{inner:?}") };
    assert_eq!((*id, *seq, data.len()), (0x2b8, 1, 56));
}

#[test]
fn padding_of_short_frames_is_left_out() {
    for hex in [ARP_REQUEST, UDP_HELLO] {
        let bytes = bytes_from_hex(hex);
        let mut padded = bytes.clone();
        padded.resize(60, 0);
        assert_eq!(Frame::parse(&padded).unwrap().emit(), bytes);
    }
}

#[test]
fn a_flipped_bit_of_anything_summed_is_an_error_at_its_checksum() {
    let bytes = bytes_from_hex(VXLAN_PING);
    for (at, layer, offset) in [(30, "IPv4", 24), (80, "UDP", 40)] {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        let error = Frame::parse(&bad).unwrap_err();
        assert_eq!((error.layer, error.offset), (layer, offset), "{error}");
    }
}

/// How the frame is damaged, and where that must be noticed.
#[test]
fn what_is_malformed_is_named_with_its_place() {
    let check = |hex: &str, damage: &[(usize, u8)], expected: &str| {
        let mut bytes = bytes_from_hex(hex);
        for (at, value) in damage {
            bytes[*at] = *value;
        }
        assert_eq!(Frame::parse(&bytes).unwrap_err().to_string(), expected);
    };
    check(ARP_REQUEST, &[(15, 6)], "ARP at byte 15: not ARP for IPv4 over Ethernet");
    check(UDP_HELLO, &[(14, 0x65)], "IPv4 at byte 14: version is not 4");
    check(UDP_HELLO, &[(14, 0x44)], "IPv4 at byte 14: header length is less than 20 bytes");
    check(UDP_HELLO, &[(17, 19)], "IPv4 at byte 16: total length is less than the header's");
    check(UDP_HELLO, &[(17, 34)], "IPv4 at byte 47: truncated");
    check(UDP_HELLO, &[(39, 7)], "UDP at byte 38: length is less than the header's");
    check(UDP_HELLO, &[(39, 12)], "UDP at byte 38: length is less than the IPv4 packet's");
    check(UDP_HELLO, &[(39, 14)], "UDP at byte 47: truncated");
    check(
        VXLAN_PING,
        &[(40, 0), (41, 0), (42, 0)],
        "VXLAN at byte 42: flag I is not set, or reserved bits are",
    );
    check(VXLAN_PING, &[(40, 0), (41, 0), (75, 2)], "IPv4 at byte 74: bad header checksum");
    check(VXLAN_PING, &[(40, 0), (41, 0), (86, 1)], "ICMP at byte 86: bad checksum");
}

#[test]
fn a_zero_udp_checksum_is_sent_as_all_ones() {
    // The sum over pseudo header, header and data is chosen to come out as zero.
    let sum_of = |data: u16| {
        let udp = Udp {
            src_port: 1000,
            dst_port: 2000,
            checksum: UdpChecksum::Computed,
            payload: UdpPayload::Data(data.to_be_bytes().as_slice().into()),
        };
        let bytes = Body::Udp(udp).emit(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        u16::from_be_bytes([bytes[6], bytes[7]])
    };
    let base = sum_of(0);
    assert_eq!(sum_of(base), 0xffff);
    assert!((0..=u16::MAX).step_by(251).all(|data| sum_of(data) != 0));
}

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

fn icmp() -> BoxedStrategy<Icmp> {
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
            protocol: if matches!(protocol, 1 | 17) { 132 } else { protocol },
            bytes,
        })
        .boxed()
}

fn ipv4(body: impl Strategy<Value = Body> + 'static, fragment: bool) -> BoxedStrategy<Ipv4> {
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

fn frame_of(payload: impl Strategy<Value = Payload> + 'static) -> BoxedStrategy<Frame> {
    (mac(), mac(), payload).prop_map(|(dst, src, payload)| Frame { dst, src, payload }).boxed()
}

fn tunnelled(inner: impl Strategy<Value = Frame> + 'static) -> BoxedStrategy<Frame> {
    let vxlan = (0..1u32 << 24, inner)
        .prop_map(|(vni, inner)| UdpPayload::Vxlan(Vxlan { vni, inner: Arc::new(inner) }));
    frame_of(ipv4(udp(vxlan).prop_map(Body::Udp), false).prop_map(Payload::Ipv4)).boxed()
}

fn closed_frame() -> BoxedStrategy<Frame> {
    prop_oneof![
        frame_of(closed_payload()),
        tunnelled(frame_of(closed_payload())),
        tunnelled(tunnelled(frame_of(closed_payload()))),
    ]
    .boxed()
}

fn frame() -> BoxedStrategy<Frame> {
    let other = (0x0600..=u16::MAX, data()).prop_map(|(ethertype, bytes)| Payload::Other {
        ethertype: if matches!(ethertype, 0x0800 | 0x0806) { 0x86dd } else { ethertype },
        bytes,
    });
    let other = frame_of(other);
    prop_oneof![3 => closed_frame(), 1 => other].boxed()
}

fn is_inside(error: &WireError, bytes: &[u8]) -> bool {
    error.offset <= bytes.len()
}

proptest! {
    #[test]
    fn what_is_emitted_is_read_back(frame in frame()) {
        let bytes = frame.emit();
        prop_assert_eq!(bytes.len(), frame.wire_len());
        prop_assert_eq!(Frame::parse(&bytes), Ok(frame));
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        match Frame::parse(&bytes) {
            Ok(frame) => prop_assert_eq!(Frame::parse(&frame.emit()), Ok(frame)),
            Err(error) => prop_assert!(is_inside(&error, &bytes), "{}", error),
        }
    }

    #[test]
    fn a_damaged_frame_is_a_frame_or_an_error(frame in frame(), at in any::<usize>(), value in any::<u8>()) {
        let mut bytes = frame.emit();
        let at = at % bytes.len();
        bytes[at] = value;
        match Frame::parse(&bytes) {
            Ok(frame) => prop_assert_eq!(Frame::parse(&frame.emit()), Ok(frame)),
            Err(error) => prop_assert!(is_inside(&error, &bytes), "{}", error),
        }
    }

    #[test]
    fn a_cut_frame_is_an_error_inside_what_is_left(frame in closed_frame()) {
        let bytes = frame.emit();
        for len in 0..bytes.len() {
            let cut = &bytes[..len];
            let error = Frame::parse(cut).expect_err("a cut frame");
            prop_assert!(is_inside(&error, cut), "{} of {}", error, len);
        }
    }

    #[test]
    fn packets_and_bodies_are_read_back_alone(packet in ipv4(icmp().prop_map(Body::Icmp), false)) {
        prop_assert_eq!(&Ipv4::parse(&packet.emit()), &Ok(packet.clone()));
        let body = packet.body.emit(packet.src, packet.dst);
        let parsed = Body::parse(&body, 1, packet.src, packet.dst);
        prop_assert_eq!(parsed.as_ref(), Ok(&*packet.body));
    }
}
