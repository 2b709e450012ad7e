//! Every script with what a real kernel did with it.
//!
//! A file holds the script, a line of dashes, and the recording. Lines are compared host by host and direction by
//! direction, in order: how two directions interleave within a millisecond depends on the machine's speed. Times may
//! differ by 5 ms and a part in 25: kernel timers go off late, by up to an eighth, as the moment lies in their wheel.

use crate::net::run;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

type Lines = BTreeMap<String, Vec<(u64, String)>>;

/// Lines by host or direction.
fn by_stream(lines: impl IntoIterator<Item = (u64, String)>) -> Lines {
    let mut streams = Lines::new();
    for (at, line) in lines {
        let stream = line.split(' ').next().unwrap_or_default().to_string();
        streams.entry(stream).or_default().push((at, line));
    }
    streams
}

fn recorded(text: &str) -> Lines {
    by_stream(text.lines().filter_map(|line| {
        let (at, rest) = line.split_once(' ')?;
        Some((at.parse().ok()?, rest.to_string()))
    }))
}

fn is_near(ours: u64, theirs: u64) -> bool {
    ours.abs_diff(theirs) <= 5 + theirs / 25
}

fn show(lines: &[(u64, String)]) -> String {
    lines.iter().map(|(at, line)| format!("  {at} {line}")).collect::<Vec<_>>().join("\n")
}

fn check(path: &PathBuf) -> Result<(), String> {
    let text = fs::read_to_string(path).unwrap();
    let (script, recording) = text.split_once("\n----\n").unwrap();
    let last = script.lines().filter_map(|line| line.split(' ').next()?.parse::<u64>().ok()).max().unwrap();
    // The processes end 100 ms after the last step, which closes what they left open.
    let before_end = |lines: Lines| -> Lines {
        let keep = |lines: Vec<(u64, String)>| lines.into_iter().filter(|(at, _)| *at < last + 90).collect();
        lines.into_iter().map(|(stream, lines)| (stream, keep(lines))).collect()
    };
    let ours = before_end(by_stream(run(script)));
    let theirs = before_end(recorded(recording));
    let mut faults = Vec::new();
    for stream in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
        let empty = Vec::new();
        let (a, b) = (ours.get(stream).unwrap_or(&empty), theirs.get(stream).unwrap_or(&empty));
        let same = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.1 == b.1 && is_near(a.0, b.0));
        if !same {
            faults.push(format!("{stream} here:\n{}\n{stream} on Linux:\n{}", show(a), show(b)));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("{}:\n{}", path.display(), faults.join("\n"))) }
}

#[test]
fn scripts_of_system_calls_do_what_a_real_kernel_did() {
    let mut paths: Vec<PathBuf> =
        fs::read_dir("tests/sockets/recorded").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let faults: Vec<String> = paths.iter().filter_map(|path| check(path).err()).collect();
    assert!(paths.len() >= 10, "the recordings are there");
    assert!(faults.is_empty(), "{} of {} differ\n{}", faults.len(), paths.len(), faults.join("\n"));
}
