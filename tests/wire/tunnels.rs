//! VLAN tags, tunnels and spanning tree packets: bytes written by hand from the standards, and recorded ones.

use crate::recorded::bytes_from_hex;
use vethscope::wire::{
    Body, Bpdu, Esp, EspCipher, EspContent, Frame, Gre, GrePayload, Ipv4, Payload, VlanProtocol, fields,
};

/// An echo request from 10.0.0.1 to 10.0.0.2 with 8 bytes of data.
const PING: &str = "45000024000700004001 66d0 0a000001 0a000002 0800 6668 0001 0001 6162636465666768";

fn bytes(hex: &str) -> Vec<u8> {
    bytes_from_hex(&hex.replace(' ', ""))
}

/// An Ethernet frame that carries `body` from 192.168.1.10 to 192.168.1.11 under this protocol number.
fn outer(protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut header = bytes("4500 0000 0007 0000 40 00 0000 c0a8010a c0a8010b");
    header[2..4].copy_from_slice(&u16::try_from(20 + body.len()).unwrap().to_be_bytes());
    header[9] = protocol;
    let sum: u32 = header.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [bytes("020000000002 020000000001 0800"), header, body.to_vec()].concat()
}

fn check(frame: &[u8], line: &str) -> Frame {
    let read = Frame::parse(frame).unwrap();
    assert_eq!(read.emit(), frame, "{line}");
    assert_eq!(read.to_string(), line);
    // The fields of all layers cover the frame.
    let layers = fields(&read);
    assert_eq!(layers.first().unwrap().range.start, 0);
    assert_eq!(layers.last().unwrap().range.end, frame.len(), "{layers:#?}");
    read
}

const PING_LINE: &str = "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 16";
const OUTER: &str = "IP 192.168.1.10 > 192.168.1.11: ";

#[test]
fn a_packet_in_a_packet_is_protocol_4() {
    let frame = check(&outer(4, &bytes(PING)), &format!("{OUTER}{PING_LINE}"));
    assert!(matches!(&*frame.ipv4().unwrap().body, Body::Ipip(inner) if inner.ttl == 64));
}

#[test]
fn gre_has_its_options_in_the_order_of_the_standard() {
    let ping = bytes(PING);
    let plain = [bytes("0000 0800"), ping.clone()].concat();
    check(&outer(47, &plain), &format!("{OUTER}GREv0, length 40: {PING_LINE}"));
    let options = [bytes("3000 0800 00000005 00000009"), ping.clone()].concat();
    let frame = check(&outer(47, &options), &format!("{OUTER}GREv0, key=0x5, seq 9, length 48: {PING_LINE}"));
    let Body::Gre(Gre { checksum: false, key: Some(5), sequence: Some(9), .. }) =
        &*frame.ipv4().unwrap().body
    else {
        panic!("{frame:?}");
    };
    // A checksum covers header and payload: 0x8000 and 0x0800 besides a packet whose own sums come to 0xffff each.
    let inner = Ipv4::parse(&ping).unwrap();
    let summed = Gre { checksum: true, key: None, sequence: None, payload: GrePayload::Ipv4(inner.into()) };
    let body = Body::Gre(summed);
    let emitted = body.emit([192, 168, 1, 10].into(), [192, 168, 1, 11].into());
    assert_eq!(emitted[4..6], (!(0x8000_u16 + 0x0800)).to_be_bytes());
    check(&outer(47, &emitted), &format!("{OUTER}GREv0, off 0x0, length 44: {PING_LINE}"));
    let mut broken = outer(47, &emitted);
    broken[14 + 20 + 4] ^= 1;
    let error = Frame::parse(&broken).unwrap_err();
    assert_eq!((error.layer, error.offset), ("GRE", 38));
}

#[test]
fn gretap_carries_a_whole_frame() {
    let inner = [bytes("0a580af40102 0a580af40101 0800"), bytes(PING)].concat();
    let body = [bytes("0000 6558"), inner].concat();
    let frame = check(&outer(47, &body), &format!("{OUTER}GREv0, length 54: {PING_LINE}"));
    assert_eq!(frame.wire_len() - 14 - 36, 38, "14 + 20 + 4 bytes in front of the packet");
}

#[test]
fn flags_and_versions_of_gre_that_linux_does_not_take_are_refused() {
    for (head, offset) in [("0001 0800", 34), ("4000 0800", 34), ("0008 0800", 34), ("2000 0800 0000", 40)] {
        let error = Frame::parse(&outer(47, &bytes(head))).unwrap_err();
        assert_eq!((error.layer, error.offset), ("GRE", offset), "{head}");
    }
}

#[test]
fn tags_stack_and_come_off_from_the_outside() {
    let inner = bytes(PING);
    let head = bytes("020000000002 020000000001 88a8 0064 8100 2005 0800");
    let frame = check(&[head, inner].concat(), &format!("vlan 100, p 0, vlan 5, p 1, {PING_LINE}"));
    assert_eq!(frame.vlan_id(VlanProtocol::Dot1ad), Some(100));
    assert_eq!(frame.vlan_id(VlanProtocol::Dot1q), None);
    let once = frame.clone().untagged();
    assert_eq!(once.vlan_id(VlanProtocol::Dot1q), Some(5));
    let bare = once.clone().untagged();
    assert_eq!(bare.to_string(), PING_LINE);
    assert_eq!((frame.wire_len(), once.wire_len(), bare.wire_len()), (58, 54, 50));
    assert_eq!(bare.tagged(VlanProtocol::Dot1q, 7).to_string(), format!("vlan 7, p 0, {PING_LINE}"));
}

/// `p17e`: what a Linux bridge sends every two seconds.
const RECORDED_BPDU: &str = "0180c2000000767fc1448e1000264242030000000000800002000000000100000000800002000000000180020000140002000f00";

#[test]
fn the_recorded_spanning_tree_packet_is_read_field_by_field() {
    let line = "STP 802.1d, Config, Flags [none], bridge-id 8000.02:00:00:00:00:01.8002, length 35";
    let frame = check(&bytes(RECORDED_BPDU), line);
    let Payload::Bpdu(Bpdu::Config(config)) = &frame.payload else { panic!("{frame:?}") };
    assert_eq!((config.root, config.root_path_cost), (config.bridge, 0));
    assert_eq!((config.max_age, config.hello_time, config.forward_delay), (20 * 256, 2 * 256, 15 * 256));
    let change = "0180c2000000767fc1448e10000742420300000080";
    check(&bytes(change), "STP 802.1d, Topology Change");
    let rapid =
        RECORDED_BPDU.replacen("0026", "0027", 1).replacen("4242030000000000", "424203000002023c", 1) + "00";
    let line =
        "STP 802.1w, Rapid STP, Flags [Learn, Forward], bridge-id 8000.02:00:00:00:00:01.8002, length 36";
    check(&bytes(&rapid), line);
    for (hex, layer, offset) in [
        ("0180c2000000767fc1448e10000742420300000081", "STP", 19),
        ("0180c2000000767fc1448e10000642420300000080", "STP", 20),
        ("0180c2000000767fc1448e10000842420300000080", "LLC", 21),
        ("0180c2000000767fc1448e1000074242030001 0080", "STP", 17),
    ] {
        let error = Frame::parse(&bytes(hex)).unwrap_err();
        assert_eq!((error.layer, error.offset), (layer, offset), "{hex}: {error}");
    }
}

#[test]
fn igmp_reports_are_read_and_told_as_tcpdump_tells_them() {
    let report = bytes("2200 e9fb 0000 0001 0400 0000 ef010101");
    let mut frame = outer(2, &report);
    let line = "IP 192.168.1.10 > 192.168.1.11: igmp v3 report, 1 group record(s)";
    check(&frame, line);
    frame[34 + 2] ^= 1;
    assert_eq!(Frame::parse(&frame).unwrap_err().offset, 36);
    let report = bytes("1600 f9fc ef010101");
    check(&outer(2, &report), "IP 192.168.1.10 > 192.168.1.11: igmp v2 report 239.1.1.1");
}

/// A vector of `draft-mcgrew-gcm-test-01`, which gathers those that RFC 4106 lacks: SPI 0xa5f8, sequence number 10.
const VECTOR_KEY: &str = "feffe9928665731c6d6a8f9467308308 cafebabe";
const VECTOR_PLAIN: &str = "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d0010000010000\
    000000000373697009637962657263697479 02646b0000010001";
const VECTOR_SEALED: &str = "facedbaddecaf888 deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d\
    114d2a5c3de81827c10e9a4f51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd1 83b70d3aa8bc6ee4c309e9d85a41ad4a";

#[test]
fn esp_with_aes_gcm_gives_the_published_vector() {
    let cipher = EspCipher::new(&bytes(VECTOR_KEY)).unwrap();
    let content = EspContent { bytes: bytes(&VECTOR_PLAIN.replace('\n', "")), next_header: 1 };
    let iv = bytes("facedbaddecaf888").try_into().unwrap();
    let esp = cipher.seal((0xa5f8, 10), iv, &content);
    assert_eq!(&*esp.data, bytes(&VECTOR_SEALED.replace('\n', "")));
    assert_eq!(cipher.open(&esp), Some(content));
}

#[test]
fn esp_opens_only_with_its_key_its_number_and_its_bytes() {
    for key_len in [16, 24, 32] {
        let material: Vec<u8> = (0..key_len + 4).collect();
        let cipher = EspCipher::new(&material).unwrap();
        for len in 0..9 {
            let content = EspContent { bytes: vec![7; len], next_header: 4 };
            let esp = cipher.seal((0x301, 5), [1; 8], &content);
            assert_eq!(esp.wire_len(), Esp::len_for(len));
            assert_eq!((esp.data.len() - Esp::IV_LEN - Esp::ICV_LEN) % 4, 0);
            assert_eq!(cipher.open(&esp).as_ref(), Some(&content));
            assert_eq!(cipher.open(&Esp { seq: 6, ..esp.clone() }), None);
            assert_eq!(cipher.open(&Esp { spi: 0x302, ..esp.clone() }), None);
            let mut other = material.clone();
            other[0] ^= 1;
            assert_eq!(EspCipher::new(&other).unwrap().open(&esp), None);
        }
    }
    assert!(EspCipher::new(&[0; 16]).is_none());
    let cut = Esp { spi: 1, seq: 1, data: vec![0; 5].into() };
    assert_eq!(EspCipher::new(&[0; 20]).unwrap().open(&cut), None);
}
