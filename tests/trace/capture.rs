//! The capture file, read back block by block.

use crate::sample::sample;
use vethscope::trace::{EventKind, pcapng};
use vethscope::wire::Frame;

/// What a reader of the file sees.
#[derive(Default)]
struct Capture {
    interfaces: Vec<String>,
    resolutions: Vec<u8>,
    packets: Vec<Packet>,
}

struct Packet {
    interface: usize,
    time_ns: u64,
    bytes: Vec<u8>,
    original_len: usize,
    flags: u32,
    comment: String,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    loop {
        let code = u16::from_le_bytes([bytes[0], bytes[1]]);
        let len = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        if code == 0 {
            assert_eq!((len, bytes.len()), (0, 4), "nothing follows the end of the options");
            return found;
        }
        found.push((code, bytes[4..4 + len].to_vec()));
        bytes = &bytes[4 + len.next_multiple_of(4)..];
    }
}

fn option(options: &[(u16, Vec<u8>)], code: u16) -> &[u8] {
    &options.iter().find(|(other, _)| *other == code).unwrap().1
}

fn read(mut file: &[u8]) -> Capture {
    let mut capture = Capture::default();
    assert_eq!((word(file, 0), word(file, 8)), (0x0a0d_0d0a, 0x1a2b_3c4d));
    assert_eq!(word(file, 12), 1, "version 1.0");
    while !file.is_empty() {
        let len = word(file, 4) as usize;
        assert_eq!((len % 4, word(file, len - 4) as usize), (0, len));
        let body = &file[8..len - 4];
        match word(file, 0) {
            0x0a0d_0d0a => assert_eq!(body[8..16], [0xff; 8]),
            1 => {
                assert_eq!(word(body, 0), 1, "Ethernet");
                let options = options(&body[8..]);
                capture.interfaces.push(String::from_utf8(option(&options, 2).to_vec()).unwrap());
                capture.resolutions.push(option(&options, 9)[0]);
            }
            6 => {
                let captured = word(body, 12) as usize;
                let options = options(&body[20 + captured.next_multiple_of(4)..]);
                capture.packets.push(Packet {
                    interface: word(body, 0) as usize,
                    time_ns: u64::from(word(body, 4)) << 32 | u64::from(word(body, 8)),
                    bytes: body[20..20 + captured].to_vec(),
                    original_len: word(body, 16) as usize,
                    flags: word(option(&options, 2), 0),
                    comment: String::from_utf8(option(&options, 1).to_vec()).unwrap(),
                });
                assert!(capture.packets.last().unwrap().interface < capture.interfaces.len());
            }
            other => panic!("block {other:#x}"),
        }
        file = &file[len..];
    }
    capture
}

#[test]
fn every_tapped_frame_is_in_the_file_with_its_place_time_and_direction() {
    let (trace, start) = sample();
    let file = pcapng(&trace, start..trace.len());
    if let Some(path) = std::env::var_os("VETHSCOPE_KEEP_CAPTURE") {
        std::fs::write(path, &file).unwrap();
    }
    let capture = read(&file);
    let expected =
        ["default/a/eth0", "node1/veth1234", "node1/cni0", "node1/flannel.1", "node1/eth0", "node2/eth0"];
    assert_eq!(capture.interfaces, expected);
    assert!(capture.resolutions.iter().all(|resolution| *resolution == 9));
    let taps = trace
        .events
        .since(start)
        .filter(|event| matches!(event.kind, EventKind::Transmitted | EventKind::Received(_)))
        .collect::<Vec<_>>();
    assert_eq!(capture.packets.len(), taps.len());
    for (packet, event) in capture.packets.iter().zip(taps) {
        assert_eq!(packet.time_ns, 1_767_225_600_000_000_000 + event.at.0);
        let frame = Frame::parse(&packet.bytes).unwrap();
        assert_eq!(&frame, &**trace.frame_of(event).unwrap());
        assert_eq!(packet.original_len, packet.bytes.len());
        let direction = if event.kind == EventKind::Transmitted { 2 } else { 1 };
        assert_eq!(packet.flags & 3, direction);
        assert!(packet.comment.ends_with('.'), "{}", packet.comment);
    }
}

#[test]
fn names_are_those_of_the_moment_even_if_the_links_came_long_before() {
    let (trace, _) = sample();
    let from = trace.len() - 6;
    let capture = read(&pcapng(&trace, from..trace.len()));
    assert_eq!(capture.interfaces, ["node1/eth0", "node2/eth0"]);
}
