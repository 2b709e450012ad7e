//! The filter language against tcpdump: what each expression makes of each frame stands recorded in
//! `tests/filter/table.txt`, and where tcpdump is installed the recording is made anew and compared.
#![cfg(not(target_arch = "wasm32"))]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use vethscope::wire::filter::{Filter, Link, Seen, Setting};

const FRAMES: &str = include_str!("filter/frames.txt");
const EXPRESSIONS: &str = include_str!("filter/expressions.txt");
const TABLE: &str = include_str!("filter/table.txt");

fn frames() -> Vec<Vec<u8>> {
    let lines = FRAMES.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| unhex(line.split_once(": ").expect("a name and bytes").1)).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex")).collect()
}

/// A file as `tcpdump -r` gives it to the filter: no direction, tags in the bytes.
fn setting() -> Setting<'static> {
    Setting { link: Link::Ethernet, live: false, netmask: Some([0; 4].into()), resolve: &|_| None }
}

/// What an expression makes of the frames: the numbers of those that pass, or the error.
fn ours(expression: &str, frames: &[Vec<u8>]) -> String {
    match Filter::compile(expression, &setting()) {
        Err(error) => {
            assert!(error.at <= expression.chars().count(), "{expression}: the column lies in the text");
            format!("error: {error}")
        }
        Ok(filter) => {
            let passes =
                |bytes: &[u8]| filter.matches(&Seen { bytes, outbound: false, ifindex: 1, vlan: None });
            let passing = frames.iter().enumerate().filter(|(_, bytes)| passes(bytes));
            passing.map(|(index, _)| (index + 1).to_string()).collect::<Vec<_>>().join(" ")
        }
    }
}

/// A capture file in which frame N has the time N.
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

/// What tcpdump makes of the file; `None` where it is not installed.
fn tcpdumps(expression: &str, file: &Path) -> Option<String> {
    tcpdump_with(&[], expression, file)
}

fn tcpdump_with(options: &[&str], expression: &str, file: &Path) -> Option<String> {
    let output = Command::new("tcpdump")
        .args(options)
        .args(["-nn", "-tt", "-q", "-r"])
        .arg(file)
        .arg("--")
        .arg(expression)
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if let Some(error) = stderr.lines().find_map(|line| line.strip_prefix("tcpdump: ")) {
        return Some(format!("error: {error}"));
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let times = stdout.lines().filter_map(|line| line.split_once(".000000 ")?.0.parse::<u32>().ok());
    Some(times.map(|time| time.to_string()).collect::<Vec<_>>().join(" "))
}

#[test]
fn filters_pass_what_tcpdump_passes() {
    let frames = frames();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let file = pcap("filter-table.pcap", &frames);
        let line = |text| format!("{text} => {}\n", tcpdumps(text, &file).expect("tcpdump is installed"));
        let table: String = EXPRESSIONS.lines().map(line).collect();
        std::fs::write("tests/filter/table.txt", table).expect("the table can be written");
        return;
    }
    let mut wrong = Vec::new();
    assert_eq!(TABLE.lines().count(), EXPRESSIONS.lines().count(), "UPDATE_EXPECT=1 records what is new");
    for line in TABLE.lines() {
        let (expression, expected) = line.split_once(" => ").expect("an expression and what passes");
        let found = ours(expression, &frames);
        if found != expected {
            wrong.push(format!("{expression}\n  tcpdump: {expected}\n  ours:    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} expressions differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Expressions put together from the recorded ones.
fn composed(rng: &mut fastrand::Rng, parts: &[&str], depth: u8) -> String {
    if depth == 0 || rng.u8(..4) == 0 {
        return parts[rng.usize(..parts.len())].to_owned();
    }
    let one = composed(rng, parts, depth - 1);
    let other = composed(rng, parts, depth - 1);
    match rng.u8(..6) {
        0 => format!("not {one}"),
        1 => format!("({one}) and {other}"),
        2 => format!("{one} or ({other})"),
        3 => format!("{one} and not ({other})"),
        4 => format!("not ({one}) or {other}"),
        _ => format!("({one} or {other})"),
    }
}

#[test]
fn composed_filters_pass_what_tcpdump_passes() {
    let frames = frames();
    let file = pcap("filter-composed.pcap", &frames);
    if tcpdumps("arp", &file).is_none() {
        eprintln!("skipped: tcpdump is not installed");
        return;
    }
    let parts: Vec<&str> = TABLE
        .lines()
        .filter_map(|line| line.split_once(" => "))
        .filter(|(expression, found)| !found.starts_with("error") && !expression.contains("vlan"))
        // libpcap tests whatever it loaded last here.
        .filter(|(expression, _)| !expression.starts_with("byte 0 &"))
        .map(|(expression, _)| expression)
        .collect();
    let seed = 20_261_123;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut wrong = Vec::new();
    for _ in 0..150 {
        let expression = composed(&mut rng, &parts, 3);
        // The optimizer leaves out loads that decide nothing, and with them what a load behind the end does.
        let expected = tcpdump_with(&["-O"], &expression, &file);
        let found = ours(&expression, &frames);
        // Without it nobody notices that nothing can pass.
        let nothing = |text: &str| text.is_empty() || text == "error: expression rejects all packets";
        if expected.as_deref() != Some(&found)
            && !(nothing(&found) && expected.as_deref().is_some_and(nothing))
        {
            wrong.push(format!("{expression}\n  tcpdump: {expected:?}\n  ours:    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} expressions differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_error_says_where_it_is() {
    for (expression, at, message) in [
        ("port 80 and", 11, "can't parse filter expression: syntax error"),
        ("foo bar", 0, "can't parse filter expression: syntax error"),
        ("arp or host nobody", 12, "unknown host 'nobody'"),
        ("tcp port 70000", 9, "illegal port number 70000 > 65535"),
        ("icmp and tcp[13:3] = 1", 16, "data size must be 1, 2, or 4"),
        ("host 10.0.0.1 @", 14, "can't parse filter expression: syntax error"),
        ("ip[0] = 08", 8, "number 08 contains non-octal digit"),
        ("(arp or icmp", 12, "can't parse filter expression: syntax error"),
    ] {
        let error = Filter::compile(expression, &setting()).expect_err(expression);
        assert_eq!((error.at, error.message.as_str()), (at, message), "{expression}");
    }
}

#[test]
fn a_live_frame_has_its_tag_beside_it_and_a_direction() {
    let live = Setting { live: true, ..setting() };
    let passes = |expression: &str, bytes: &[u8], outbound, vlan| {
        let filter = Filter::compile(expression, &live).expect(expression);
        filter.matches(&Seen { bytes, outbound, ifindex: 3, vlan })
    };
    let echo = &frames()[2];
    assert!(passes("icmp", echo, true, Some(5)), "the tag is not in the way");
    assert!(passes("vlan 5 and icmp", echo, true, Some(5)) && !passes("vlan 6", echo, true, Some(5)));
    assert!(!passes("vlan", echo, true, None));
    assert!(passes("outbound", echo, true, None) && passes("inbound", echo, false, None));
    assert!(passes("ifindex 3", echo, true, None) && !passes("ifindex 4", echo, true, None));
}

#[test]
fn the_device_any_has_another_link_header() {
    let cooked = Setting { link: Link::Cooked, live: true, ..setting() };
    // Protocol, reserved, interface 2, Ethernet, outgoing, 6 bytes of address and 2 of padding, then the packet.
    let mut bytes = unhex("080000000000000200010406020000000001");
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&frames()[2][14..]);
    for (expression, wanted) in [
        ("icmp[icmptype] = icmp-echo and src host 10.244.1.10", true),
        ("outbound and ifindex 2", true),
        ("inbound", false),
        ("arp", false),
    ] {
        let filter = Filter::compile(expression, &cooked).expect(expression);
        let seen = Seen { bytes: &bytes, outbound: true, ifindex: 2, vlan: None };
        assert_eq!(filter.matches(&seen), wanted, "{expression}");
    }
    for (expression, message) in [
        ("broadcast", "not a broadcast link"),
        ("vlan", "no VLAN support for Linux cooked v2"),
        (
            "ether host 0a:58:0a:f4:01:0a",
            "ethernet addresses supported only on ethernet/FDDI/token ring/802.11/ATM LANE/Fibre Channel",
        ),
    ] {
        assert_eq!(Filter::compile(expression, &cooked).expect_err(expression).message, message);
    }
}
