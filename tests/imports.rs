//! The table of rooms as a test: a room imports only from rooms below it, and the core knows no screen, no clock and
//! no chance in the order of its tables.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms with their levels. A room imports only from rooms of a lower level.
const LEVELS: [(&str, u8); 18] = [
    ("base", 0),
    ("tls", 1),
    ("wire", 1),
    ("xtables", 1),
    ("nftables", 1),
    ("api", 1),
    ("trace", 2),
    ("manifest", 2),
    ("kernel", 3),
    ("cluster", 3),
    ("scene", 3),
    ("app", 4),
    ("shell", 5),
    ("agent", 5),
    ("sim", 6),
    ("lab", 7),
    ("cli", 8),
    ("ui", 8),
];

/// Imports that the levels would allow and the design does not: the kernel knows no Kubernetes and the control plane
/// no Linux, so they meet only in `agent`; the picture is made from the trace alone.
const FORBIDDEN: [(&str, &[&str]); 5] = [
    ("wire", &["api"]),
    ("trace", &["api", "manifest"]),
    ("kernel", &["api", "manifest", "cluster"]),
    ("cluster", &["wire", "kernel", "trace"]),
    ("scene", &["api", "manifest", "kernel", "cluster"]),
];

/// The screens name only these. Besides the four that show a run: `manifest`, because diagnostics, completion and
/// `check` are about the text before anything runs; `wire`, because the inspector lays a frame open byte by byte.
const SCREENS: [&str; 2] = ["cli", "ui"];
const FOR_SCREENS: [&str; 6] = ["lab", "scene", "trace", "base", "manifest", "wire"];

/// Crates of the browser. Only `ui` and the page's `main` know them.
const WEB: [&str; 6] = ["web_sys", "js_sys", "wasm_bindgen", "wasm_bindgen_futures", "gloo", "leptos"];

/// Where floats may stand, and why.
const FLOATS: [(&str, &str); 12] = [
    (
        "src/scene/",
        "positions between two events, for drawing: nothing of them flows back into the simulation",
    ),
    (
        "src/manifest/scalar.rs",
        "asks whether a YAML scalar is a number, and which; the core computes nothing with it",
    ),
    (
        "src/shell/print.rs",
        "prints the seconds with hundredths that `ip -j` prints; the value was a whole number of ticks",
    ),
    ("src/shell/awk/expression.rs", "steps by one, in numbers of awk, which are doubles by its definition"),
    ("src/shell/awk/format.rs", "prints the numbers of awk, which are doubles by its definition"),
    ("src/shell/awk/lexer.rs", "reads the numbers of awk, which are doubles by its definition"),
    ("src/shell/awk/parse.rs", "holds the numbers of awk, which are doubles by its definition"),
    ("src/shell/awk/run.rs", "works with the numbers of awk, which are doubles by its definition"),
    ("src/shell/awk/texts.rs", "works with the numbers of awk, which are doubles by its definition"),
    ("src/shell/awk/value.rs", "the numbers of awk, which are doubles by its definition"),
    ("src/shell/printf.rs", "prints the decimal numbers of `printf %f`; nothing is worked out with them"),
    ("src/shell/kubectl/yaml.rs", "asks whether a string would read as a number and so needs quotes"),
];

const LINES_MAX: usize = 600;

struct Source {
    path: String,
    room: String,
    /// Lines without comments and text in quotes, up to the tests.
    lines: Vec<String>,
}

fn files(under: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(under)
        .expect("sources can be listed")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    files(Path::new("src"), &mut paths);
    assert!(paths.len() > 80, "only {} sources found", paths.len());
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("a source can be read");
            let room = path.iter().nth(1).expect("a source lies in src").to_string_lossy();
            Source {
                path: path.to_string_lossy().into_owned(),
                room: room.trim_end_matches(".rs").to_owned(),
                lines: without_tests(path, &text).iter().map(|line| bare(line)).collect(),
            }
        })
        .filter(|source| !matches!(source.room.as_str(), "lib" | "main"))
        .collect()
}

/// The lines of a source before its tests. Tests may stand in a file of their own.
fn without_tests<'a>(path: &Path, text: &'a str) -> Vec<&'a str> {
    if path.file_name().is_some_and(|name| name == "tests.rs") {
        return Vec::new();
    }
    text.lines().take_while(|line| *line != "#[cfg(test)]").collect()
}

/// A line without its comment and without what stands in quotes.
fn bare(line: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(at) = chars.next() {
        match at {
            '\\' if quoted => {
                chars.next();
            }
            '"' => quoted = !quoted,
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            _ if !quoted => out.push(at),
            _ => {}
        }
    }
    out
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|at: char| !(at.is_alphanumeric() || at == '_')).filter(|word| !word.is_empty())
}

/// The rooms that a line names after `crate::`.
fn rooms_named(line: &str) -> Vec<&str> {
    line.match_indices("crate::")
        .map(|(at, found)| {
            let rest = &line[at + found.len()..];
            let end = rest.find(|at: char| !(at.is_alphanumeric() || at == '_')).unwrap_or(rest.len());
            &rest[..end]
        })
        .collect()
}

fn level(room: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == room).map(|(_, level)| *level)
}

/// Why `room` may not import `named`.
fn objection(room: &str, named: &str) -> Option<String> {
    if room == named {
        return None;
    }
    let (Some(own), Some(other)) = (level(room), level(named)) else {
        return Some(format!("`{named}` is no room of the table; name each room in an import of its own"));
    };
    if other >= own {
        return Some(format!("`{named}` ({other}) does not lie below `{room}` ({own})"));
    }
    let forbidden = FORBIDDEN.iter().any(|(at, rooms)| *at == room && rooms.contains(&named));
    if forbidden || (SCREENS.contains(&room) && !FOR_SCREENS.contains(&named)) {
        return Some(format!("`{room}` has nothing to do with `{named}`"));
    }
    None
}

/// Fails with every line that `fault` finds fault with.
fn forbid(what: &str, fault: impl Fn(&Source, &str) -> Option<String>) {
    let mut found = Vec::new();
    for source in &sources() {
        for (index, line) in source.lines.iter().enumerate() {
            if let Some(why) = fault(source, line) {
                found.push(format!("{}:{}: {why}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

fn is_screen(room: &str) -> bool {
    SCREENS.contains(&room)
}

#[test]
fn a_room_imports_only_from_below() {
    forbid("imports that point up or sideways", |source, line| {
        rooms_named(line).into_iter().find_map(|named| objection(&source.room, named))
    });
}

#[test]
fn every_room_of_the_table_is_there_and_every_room_is_in_the_table() {
    let there: BTreeSet<String> = sources().into_iter().map(|source| source.room).collect();
    let table: BTreeSet<String> = LEVELS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(there, table);
}

#[test]
fn relative_paths_do_not_leave_their_room() {
    let depth = |path: &str| path.matches('/').count() + usize::from(!path.ends_with("mod.rs"));
    forbid("relative paths that may leave their room", |source, line| {
        let up = line.match_indices("super::super::").count();
        // `super` once from src/ROOM/FILE.rs is ROOM, twice is the crate.
        (up > 0 && depth(&source.path) <= 3 + up).then(|| "write it from `crate::` on".to_owned())
    });
}

#[test]
fn only_the_page_knows_the_browser() {
    forbid("crates of the browser outside ui", |source, line| {
        let named = words(line).find(|word| WEB.contains(word) && source.room != "ui")?;
        Some(format!("`{named}` belongs into ui"))
    });
}

#[test]
fn the_core_has_no_clock_no_threads_and_no_unordered_tables() {
    forbid("what would make two runs differ", |source, line| {
        let unordered = words(line).find(|word| ["HashMap", "HashSet", "RandomState"].contains(word));
        if let Some(word) = unordered {
            return Some(format!("`{word}` has an order by chance"));
        }
        let outside = ["std::time", "std::thread", "std::env", "std::process", "std::net::Tcp"];
        let named = outside.into_iter().find(|path| line.contains(path) && !is_screen(&source.room))?;
        Some(format!("`{named}` reaches outside the simulation"))
    });
}

#[test]
fn the_core_counts_in_whole_numbers() {
    forbid("floats in the core", |source, line| {
        let allowed = FLOATS.iter().any(|(place, _)| source.path.starts_with(place));
        let float = words(line).any(|word| word == "f32" || word == "f64" || word.ends_with("_f64"))
            || has_float_literal(line);
        (float && !allowed && !is_screen(&source.room)).then(|| "a float".to_owned())
    });
}

/// Whether digits stand on both sides of a point, as in `0.5`; `row.0.1` and `0..1` are none.
fn has_float_literal(line: &str) -> bool {
    let bytes = line.as_bytes();
    (1..bytes.len().saturating_sub(1)).any(|at| {
        let number_before = bytes[..at].iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'_');
        let starts_fresh = number_before.is_none_or(|before| {
            !bytes[before].is_ascii_alphanumeric() && bytes[before] != b'.' && bytes[before] != b')'
        });
        bytes[at] == b'.' && bytes[at - 1].is_ascii_digit() && bytes[at + 1].is_ascii_digit() && starts_fresh
    })
}

#[test]
fn no_file_is_longer_than_a_head_can_hold() {
    let long: BTreeMap<String, usize> = sources()
        .into_iter()
        .map(|source| (source.path, source.lines.len()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "more than {LINES_MAX} lines without tests: {long:?}");
}

#[test]
fn every_reason_for_a_float_is_still_needed() {
    for (place, reason) in FLOATS {
        assert!(!reason.is_empty() && Path::new(place).exists(), "{place} is gone");
    }
}

#[test]
fn the_checks_find_what_they_look_for() {
    assert!(objection("kernel", "api").is_some(), "the kernel knows no Kubernetes");
    assert!(objection("cluster", "kernel").is_some(), "the control plane knows no Linux");
    assert!(objection("wire", "trace").is_some(), "up");
    assert!(objection("app", "shell").is_some(), "up");
    assert!(objection("cli", "sim").is_some() && objection("ui", "kernel").is_some(), "screens");
    assert!(objection("agent", "kernel").is_none() && objection("lab", "sim").is_none());
    assert_eq!(rooms_named("use crate::base::Id; crate::wire::Frame"), ["base", "wire"]);
    assert_eq!(bare(r#"let a = "crate::x \" // y"; // crate::z"#), "let a = ; ");
    assert!(has_float_literal("let a = 0.5;") && has_float_literal("(1.25)"));
    assert!(!has_float_literal("self.0.1") && !has_float_literal("0..15") && !has_float_literal("row[0].1"));
}
