//! What people read of a frame: the line, the layers and the fields.

use crate::recorded::{
    ARP_REPLY, ARP_REQUEST, PORT_UNREACHABLE, TCP_GET, TCP_SYN, TIME_EXCEEDED, UDP_HELLO, VXLAN_FRAGMENT,
    VXLAN_PING, bytes_from_hex,
};
use crate::strategies::frame;
use proptest::prelude::*;
use vethscope::wire::{Frame, Layer, fields};

fn read(hex: &str) -> Frame {
    Frame::parse(&bytes_from_hex(hex)).unwrap()
}

#[test]
fn a_frame_is_one_line_as_tcpdump_prints_it() {
    for (hex, line) in [
        (ARP_REQUEST, "ARP, Request who-has 10.244.1.11 tell 10.244.1.10, length 28"),
        (ARP_REPLY, "ARP, Reply 10.244.1.11 is-at 0a:58:0a:f4:01:0b, length 28"),
        (UDP_HELLO, "IP 10.244.1.10.55362 > 10.244.2.10.5353: UDP, length 5"),
        (
            PORT_UNREACHABLE,
            "IP 10.244.2.10 > 10.244.1.10: ICMP 10.244.2.10 udp port 5353 unreachable, length 41",
        ),
        (TIME_EXCEEDED, "IP 10.244.1.1 > 10.244.1.10: ICMP time exceeded in-transit, length 92"),
        (
            VXLAN_PING,
            "IP 192.168.1.10.37858 > 192.168.1.11.8472: VXLAN, flags [I] (0x08), vni 1 \
             > IP 10.244.1.10 > 10.244.2.10: ICMP echo request, id 696, seq 1, length 64",
        ),
        (
            VXLAN_FRAGMENT,
            "IP 192.168.1.10.37858 > 192.168.1.11.8472: VXLAN, flags [I] (0x08), vni 1 \
             > IP 10.244.1.10 > 10.244.2.10: ip-proto-1",
        ),
        (
            TCP_SYN,
            "IP 192.168.1.10.37040 > 192.168.1.11.8472: VXLAN, flags [I] (0x08), vni 1 \
             > IP 10.244.1.10.36376 > 10.244.2.10.80: Flags [S], seq 1112868, win 64860, \
             options [mss 1410,sackOK,TS val 550622869 ecr 0,nop,wscale 10], length 0",
        ),
        (
            TCP_GET,
            "IP 10.244.1.10.36376 > 10.244.2.10.80: Flags [P.], seq 1112869:1112896, ack 4281639697, win 64, \
             options [nop,nop,TS val 550622869 ecr 3450970080], length 27: HTTP: GET / HTTP/1.1",
        ),
    ] {
        assert_eq!(read(hex).to_string(), line);
    }
}

fn names(layers: &[Layer]) -> Vec<String> {
    let quoted = |layer: &Layer| if layer.quoted { "quoted " } else { "" };
    layers.iter().map(|layer| format!("{}{}:{}", quoted(layer), layer.name, layer.depth)).collect()
}

#[test]
fn layers_come_outermost_first_with_their_tunnel_depth() {
    let expected = ["Ethernet:0", "IPv4:0", "UDP:0", "VXLAN:0", "Ethernet:1", "IPv4:1", "ICMP:1", "Data:1"];
    assert_eq!(names(&fields(&read(VXLAN_PING))), expected);
    let expected = ["Ethernet:0", "IPv4:0", "ICMP:0", "quoted IPv4:0", "quoted UDP:0", "quoted Data:0"];
    assert_eq!(names(&fields(&read(PORT_UNREACHABLE))), expected);
    assert_eq!(names(&fields(&read(TCP_GET))), ["Ethernet:0", "IPv4:0", "TCP:0", "Data:0"]);
    assert_eq!(names(&fields(&read(ARP_REQUEST))), ["Ethernet:0", "ARP:0"]);
}

#[test]
fn a_field_says_its_value_its_bytes_and_its_bits() {
    let layers = fields(&read(VXLAN_PING));
    let find =
        |layer: usize, name: &str| layers[layer].fields.iter().find(|field| field.name == name).unwrap();
    let vni = find(3, "VXLAN network identifier (VNI)");
    assert_eq!((vni.value.as_str(), vni.range.clone(), vni.bits.clone()), ("1", 46..49, None));
    let ttl = find(5, "Time to live");
    assert_eq!((ttl.value.as_str(), ttl.range.clone()), ("63", 72..73));
    let df = find(5, "Don't fragment");
    assert_eq!((df.value.as_str(), df.range.clone(), df.bits.clone()), ("1 (set)", 70..72, Some(1..2)));
    let header_len = find(5, "Header length");
    assert_eq!((header_len.value.as_str(), header_len.bits.clone()), ("20 bytes", Some(4..8)));
    let checksum = find(6, "Checksum");
    assert_eq!((checksum.value.as_str(), checksum.range.clone()), ("0xa620", 86..88));
}

#[test]
fn tcp_flags_and_options_are_fields_with_their_bits_and_bytes() {
    let layers = fields(&read(TCP_SYN));
    let tcp = layers.iter().find(|layer| layer.name == "TCP").unwrap();
    let find = |name: &str| tcp.fields.iter().find(|field| field.name == name).unwrap();
    let at = tcp.range.start;
    let syn = find("Flag SYN");
    assert_eq!(
        (syn.value.as_str(), syn.range.clone(), syn.bits.clone()),
        ("1 (set)", at + 12..at + 14, Some(14..15))
    );
    let mss = find("Option: maximum segment size");
    assert_eq!((mss.value.as_str(), mss.range.clone()), ("mss 1410", at + 20..at + 24));
    let scale = find("Option: window scale");
    assert_eq!((scale.value.as_str(), scale.range.clone()), ("wscale 10", at + 37..at + 40));
}

/// Every bit of the frame lies in exactly one field, in order.
pub(crate) fn check_tiling(frame: &Frame) -> Result<(), TestCaseError> {
    let mut at_bit = 0;
    for layer in fields(frame) {
        prop_assert_eq!(layer.range.start * 8, at_bit);
        for field in layer.fields {
            let first = field.range.start * 8;
            let bits = match field.bits {
                Some(bits) => first + usize::from(bits.start)..first + usize::from(bits.end),
                None => first..field.range.end * 8,
            };
            prop_assert_eq!(bits.start, at_bit, "{}", field.name);
            prop_assert!(bits.end <= field.range.end * 8);
            at_bit = bits.end;
        }
        prop_assert_eq!(layer.range.end * 8, at_bit);
    }
    prop_assert_eq!(at_bit, frame.wire_len() * 8);
    Ok(())
}

#[test]
fn the_fields_of_recorded_frames_cover_them_exactly() {
    for hex in crate::recorded::RECORDED {
        check_tiling(&read(hex)).unwrap();
    }
}

proptest! {
    #[test]
    fn the_fields_of_any_frame_cover_it_exactly_and_it_has_one_line(frame in frame()) {
        check_tiling(&frame)?;
        let line = frame.to_string();
        prop_assert!(!line.is_empty() && !line.contains('\n'));
    }
}
