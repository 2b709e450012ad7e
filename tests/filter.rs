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
            let passes = |bytes: &[u8]| {
                filter.matches(&Seen { bytes, outbound: false, ifindex: 1, vlan: None })
            };
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
    let output = Command::new("tcpdump")
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
