//! The reader of capture files finds what is wrong, and only that.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![cfg(not(target_arch = "wasm32"))]

#[path = "common/tshark.rs"]
mod tshark;

use etherparse::PacketBuilder;
use std::fs;
use std::path::PathBuf;

/// An echo request from Pod to Pod.
fn echo() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([0x0a, 0x58, 10, 244, 1, 10], [0x0a, 0x58, 10, 244, 2, 10])
        .ipv4([10, 244, 1, 10], [10, 244, 2, 10], 63)
        .icmpv4_echo_request(7, 1)
        .write_to_vec(&mut frame, b"payload of a ping")
        .unwrap();
    frame
}

/// The same inside VXLAN number 1, without an outer UDP checksum, as Linux sends it.
fn tunnelled(port: u16, inner: &[u8]) -> Vec<u8> {
    let mut payload = vec![0x08, 0, 0, 0, 0, 0, 1, 0];
    payload.extend_from_slice(inner);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([192, 168, 1, 10], [192, 168, 1, 11], 64)
        .udp(50_000, port)
        .write_to_vec(&mut frame, &payload)
        .unwrap();
    frame[14 + 20 + 6..14 + 20 + 8].fill(0);
    frame
}

/// Writes a pcapng file with one Ethernet interface (draft-ietf-opsawg-pcapng: section header, interface, packets).
fn capture(name: &str, frames: &[Vec<u8>]) -> PathBuf {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let length = u32::try_from(padded + 12).unwrap();
        file.extend(kind.to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend(body);
        file.extend(vec![0; padded - body.len()]);
        file.extend(length.to_le_bytes());
    };
    let unknown_length = [0xff; 8];
    block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &unknown_length].concat());
    block(1, &[1, 0, 0, 0, 0, 0, 0, 0]);
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        block(6, &[&[0; 12][..], &length, &length, frame].concat());
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, file).unwrap();
    path
}

#[test]
fn a_tunnelled_ping_is_read_down_to_its_data_on_both_ports() {
    let path = capture("good.pcapng", &[echo(), tunnelled(8472, &echo()), tunnelled(4789, &echo())]);
    let frames = tshark::assert_well_formed(&path);
    let read: Vec<_> =
        frames.iter().map(|frame| (frame.number, frame.protocols.as_str(), frame.vnis.clone())).collect();
    let inner = "eth:ethertype:ip:icmp:data";
    let outer = format!("eth:ethertype:ip:udp:vxlan:{inner}");
    assert_eq!(read, [(1, inner, vec![]), (2, &outer, vec![1]), (3, &outer, vec![1])]);
}

#[test]
fn a_wrong_checksum_is_found_inside_a_tunnel_too() {
    for (place, field) in [(14 + 10, "ip.checksum.status"), (14 + 20 + 2, "icmp.checksum.status")] {
        let mut broken = echo();
        broken[place] ^= 0x55;
        for frame in [broken.clone(), tunnelled(8472, &broken)] {
            let found = tshark::dissect(&capture(&format!("checksum-{place}.pcapng"), &[frame])).unwrap_err();
            assert!(found.contains(field), "{found}");
        }
    }
}

#[test]
fn a_wrong_udp_checksum_is_found() {
    let mut frame = tunnelled(8472, &echo());
    frame[14 + 20 + 6..14 + 20 + 8].copy_from_slice(&[0x12, 0x34]);
    let found = tshark::dissect(&capture("udp.pcapng", &[frame])).unwrap_err();
    assert!(found.contains("udp.checksum.status"), "{found}");
}

#[test]
fn a_frame_that_is_cut_is_found() {
    let mut frame = tunnelled(8472, &echo());
    frame.truncate(14 + 20 + 8 + 8 + 14 + 12);
    let found = tshark::dissect(&capture("cut.pcapng", &[frame])).unwrap_err();
    assert!(found.contains("malformed") || found.contains("exceeds"), "{found}");
}

#[test]
fn a_file_that_is_no_capture_is_refused() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("none.pcapng");
    fs::write(&path, "no capture at all").unwrap();
    assert!(tshark::dissect(&path).unwrap_err().contains("refuses"));
}
