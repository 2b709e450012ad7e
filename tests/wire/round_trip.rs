//! Packets to bytes and back: any packet, any bytes, and frames recorded on real Linux.

use crate::recorded::{ARP_REQUEST, RECORDED, TCP_GET, UDP_HELLO, VXLAN_PING, bytes_from_hex};
use crate::strategies::{closed_frame, frame, icmp, ipv4};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use vethscope::wire::{Body, Frame, Icmp, Ipv4, Udp, UdpChecksum, UdpPayload, WireError};

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
    check(TCP_GET, &[(46, 0x40)], "TCP at byte 46: header length is less than 20 bytes");
    check(TCP_GET, &[(46, 0xf0)], "TCP at byte 93: truncated");
    check(TCP_GET, &[(57, 1)], "TCP at byte 57: option length is less than 2");
    check(TCP_GET, &[(57, 11)], "TCP at byte 57: option is longer than the header");
    check(TCP_GET, &[(57, 9), (65, 8)], "TCP at byte 65: option without length");
    check(TCP_GET, &[(92, 0)], "TCP at byte 50: bad checksum");
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
