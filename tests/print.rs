//! Packets as text against tcpdump: what it prints of each frame stands recorded in `tests/print`, one file for each
//! set of options; where tcpdump is installed `UPDATE_EXPECT=1` records anew.
#![cfg(not(target_arch = "wasm32"))]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use vethscope::wire::print::{Conversations, Printer, Style, hex, hex_and_ascii, network_offset};

/// Sets of options, each with the name of its recording.
const SETS: [(&str, &[&str]); 12] = [
    ("plain", &["-n"]),
    ("names", &[]),
    ("link", &["-n", "-e"]),
    ("verbose", &["-n", "-v"]),
    ("more", &["-n", "-vv"]),
    ("most", &["-n", "-vvv", "-e"]),
    ("quiet", &["-n", "-q"]),
    ("quiet-link", &["-n", "-q", "-e"]),
    ("absolute", &["-n", "-S"]),
    ("hex", &["-n", "-x"]),
    ("hex-ascii", &["-n", "-X"]),
    ("hex-ascii-link", &["-n", "-XX"]),
];

fn frames() -> Vec<Vec<u8>> {
    let lines = [include_str!("filter/frames.txt"), include_str!("print/frames.txt")].concat();
    let lines = lines.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut frames: Vec<Vec<u8>> =
        lines.map(|line| unhex(line.split_once(": ").expect("a name and bytes").1)).collect();
    // What tcpdump knows and nothing here sends: IPv6, AH, PIM, SCTP, DHCP and NTP.
    frames.retain(|frame| {
        let is_ipv4 = frame[12..14] == [8, 0];
        let is_service = frame.get(36..38).is_some_and(|port| matches!(port, [0, 67 | 123]));
        frame[12..14] != [0x86, 0xdd] && !(is_ipv4 && (matches!(frame[23], 51 | 103 | 132) || is_service))
    });
    frames
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex")).collect()
}

fn style(options: &[&str]) -> Style {
    let has = |option: &str| options.contains(&option);
    Style {
        verbosity: match () {
            () if has("-vvv") => 3,
            () if has("-vv") => 2,
            () => u8::from(has("-v")),
        },
        link: has("-e"),
        quiet: has("-q"),
        absolute: has("-S"),
        numeric: has("-n"),
        dumped: has("-x") || has("-X") || has("-XX"),
        ..Style::default()
    }
}

fn ours(frames: &[Vec<u8>], options: &[&str]) -> String {
    let mut conversations = Conversations::default();
    let mut out = String::new();
    for frame in frames {
        let printer = Printer::new(style(options), &mut conversations, &|addr| {
            addr.is_loopback().then(|| "localhost".to_owned())
        });
        out += &printer.ethernet(frame, frame.len());
        if options.contains(&"-x") {
            out += &hex(&frame[network_offset(frame)..]);
        } else if options.contains(&"-X") {
            out += &hex_and_ascii(&frame[network_offset(frame)..]);
        } else if options.contains(&"-XX") {
            out += &hex_and_ascii(frame);
        }
        out.push('\n');
    }
    out
}

fn pcap(name: &str, frames: &[Vec<u8>]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut out = Vec::new();
    for word in [0xa1b2_c3d4_u32, 4 << 16 | 2, 0, 0, 262_144, 1] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    for (index, frame) in frames.iter().enumerate() {
        for word in [index as u32 + 1, 0, frame.len() as u32, frame.len() as u32] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(frame);
    }
    std::fs::File::create(&path).and_then(|mut file| file.write_all(&out)).expect("a file can be written");
    path
}

fn tcpdumps(file: &Path, options: &[&str]) -> String {
    let output = Command::new("tcpdump")
        .arg("-t")
        .args(options)
        .arg("-r")
        .arg(file)
        .env("LC_ALL", "C")
        .output()
        .expect("tcpdump is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn check(name: &str, expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let at = expected.lines().zip(found.lines()).filter(|(one, other)| one != other).take(6);
    let lines: Vec<String> =
        at.map(|(one, other)| format!("  tcpdump: {one:?}\n  ours:    {other:?}\n")).collect();
    let counts = (expected.lines().count(), found.lines().count());
    Some(format!("{name} (lines {counts:?}):\n{}", lines.concat()))
}

#[test]
fn frames_are_printed_as_tcpdump_prints_them() {
    let frames = frames();
    let mut wrong = Vec::new();
    for (name, options) in SETS {
        let path = format!("tests/print/{name}.txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let text = tcpdumps(&pcap("print.pcap", &frames), options);
            std::fs::write(&path, text).expect("the recording can be written");
        }
        let expected = std::fs::read_to_string(&path).expect("the recording can be read");
        wrong.extend(check(name, &expected, &ours(&frames, options)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Any capture file of Ethernet frames, named by `VETHSCOPE_PCAP`, for looking further than the recorded frames.
#[test]
fn another_capture_is_printed_as_tcpdump_prints_it() {
    let Some(path) = std::env::var_os("VETHSCOPE_PCAP") else { return };
    let bytes = std::fs::read(&path).expect("the capture can be read");
    let mut rest = &bytes[24..];
    let mut frames = Vec::new();
    while let Some(len) = rest.get(8..12) {
        let len = u32::from_le_bytes(len.try_into().expect("four bytes")) as usize;
        frames.push(rest[16..16 + len].to_vec());
        rest = &rest[16 + len..];
    }
    let file = pcap("print-other.pcap", &frames);
    let wrong: Vec<_> = SETS
        .iter()
        .filter_map(|(name, options)| check(name, &tcpdumps(&file, options), &ours(&frames, options)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
