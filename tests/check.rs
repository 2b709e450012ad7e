//! `tests/check/NAME.yaml` is checked, and what comes out must be `tests/check/NAME.txt`, in both languages.
//! `UPDATE_EXPECT=1` writes the expectations anew.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

#[path = "check/demos.rs"]
mod demos;

use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use vethscope::base::Severity;
use vethscope::base::words::Lang;
use vethscope::manifest::{Parsed, Sources, TEXT_LIMIT, check_json, check_text, parse, parse_bytes};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let mut paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths
}

fn render(name: &str, bytes: &[u8]) -> String {
    let parsed = std::str::from_utf8(bytes).map_or_else(|_| parse_bytes(bytes), vethscope::lab::parse);
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::new();
    for lang in [Lang::En, Lang::Ko] {
        out.push_str(&check_text(&Sources::new([(name, &*text)]), &parsed, lang));
        out.push('\n');
    }
    for located in &parsed.objects {
        let object = &located.object;
        writeln!(out, "object: {} {}", object.kind(), object.metadata().namespaced_name()).unwrap();
    }
    out
}

#[test]
fn every_case_gives_its_diagnostics() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut failures = String::new();
    for path in cases() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let got = render(&name, &std::fs::read(&path).unwrap());
        let expectation = path.with_extension("txt");
        if update {
            std::fs::write(&expectation, &got).unwrap();
        }
        let want = std::fs::read_to_string(&expectation).unwrap_or_default();
        if got != want {
            writeln!(failures, "{name}\n--- wanted\n{want}--- got\n{got}").unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Every diagnostic says what to do, in words that exist, and stands inside the text.
fn assert_well_formed(text: &str, parsed: &Parsed) {
    for diagnostic in &parsed.diagnostics {
        for lang in [Lang::En, Lang::Ko] {
            let hint = diagnostic.hint_in(lang).unwrap_or_else(|| panic!("no remedy: {diagnostic:?}"));
            for words in [diagnostic.message_in(lang), hint] {
                assert!(!words.starts_with('[') && !words.is_empty(), "not in the catalogue: {words}");
            }
        }
        if let Some(span) = diagnostic.span {
            assert!(span.start <= span.end && span.end <= text.len(), "outside the text: {diagnostic:?}");
        }
    }
    assert_eq!(check_json(&Sources::new([("f", text)]), parsed, Lang::En).len(), parsed.diagnostics.len());
}

#[test]
fn every_diagnostic_of_the_cases_has_a_remedy_and_a_place() {
    for path in cases() {
        if let Ok(text) = std::fs::read_to_string(&path) {
            assert_well_formed(&text, &parse(&text));
        }
    }
}

#[test]
fn a_fix_mends_what_it_is_offered_for() {
    let mut count = 0;
    for path in cases() {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for diagnostic in parse(&text).diagnostics {
            let Some(fix) = &diagnostic.fix else { continue };
            let mended = fix.applied(&text).expect("a place in the text");
            let after = parse(&mended).diagnostics;
            let same = |one: &&vethscope::base::Diagnostic| {
                (&one.message, &one.object, &one.path)
                    == (&diagnostic.message, &diagnostic.object, &diagnostic.path)
            };
            assert!(!after.iter().any(|one| same(&one)), "{fix:?} leaves {diagnostic:?}:\n{mended}");
            assert!(!fix.title_in(Lang::Ko).starts_with('['), "{fix:?}");
            count += 1;
        }
    }
    assert!(count >= 12, "only {count} fixes");
}

#[test]
fn json_has_the_shape_of_the_contract() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - {name: a, image: i}\n  \
                - name: b\n    image: i\n    ports:\n    - containerPort: 70000\n";
    let found = check_json(&Sources::new([("web.yaml", text)]), &parse(text), Lang::En);
    let want = serde_json::json!([{
        "severity": "error",
        "file": "web.yaml",
        "line": 10,
        "column": 22,
        "object": "Pod/default/web",
        "path": "spec.containers[1].ports[0].containerPort",
        "message": "Invalid value: 70000: must be between 1 and 65535, inclusive",
        "hint": "Port numbers have 16 bits: choose another number.",
    }]);
    assert_eq!(serde_json::Value::from(found), want);
}

/// The key of the only diagnostic of a text that was made to be too much, and how long it took to say so.
fn only_key(bytes: &[u8]) -> (&'static str, Duration) {
    #[expect(clippy::disallowed_methods, reason = "a test measures wall time")]
    let start = std::time::Instant::now();
    let parsed = parse_bytes(bytes);
    assert_eq!(parsed.diagnostics.len(), 1, "{:?}", parsed.diagnostics);
    assert_eq!(parsed.diagnostics[0].severity, Severity::Error);
    (parsed.diagnostics[0].message, start.elapsed())
}

#[test]
fn texts_made_to_be_too_much_are_refused_quickly() {
    let long = "a: 1\n".repeat(2 << 20).into_bytes();
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(9);
        writeln!(bomb, "a{level}: &a{level} [{before}*a{}]", level - 1).unwrap();
    }
    let deep = format!("a: {}1{}", "[".repeat(200), "]".repeat(200));
    let deeper = "[".repeat(1_000_000);
    for (text, key) in [
        (&long[..], "text.long"),
        (bomb.as_bytes(), "yaml.alias-bomb"),
        (deep.as_bytes(), "yaml.depth"),
        (deeper.as_bytes(), "yaml.depth"),
        (b"a: &a [*a]\n", "yaml.alias-cycle"),
        (b"\x7fELF\x02\x01\x01\0\0", "text.binary"),
        (b"\xff\xfe\x41", "text.binary"),
    ] {
        let (found, took) = only_key(text);
        assert_eq!(found, key);
        assert!(took < Duration::from_secs(2), "{key} took {took:?}");
    }
}

#[test]
fn a_long_text_is_read_in_bounded_time() {
    let pod =
        "---\napiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: c, image: i}]}\n";
    let count = TEXT_LIMIT / 8 / (pod.len() + 4);
    let text = (0..count).map(|index| pod.replace("NAME", &format!("p{index}"))).collect::<String>();
    #[expect(clippy::disallowed_methods, reason = "a test measures wall time")]
    let start = std::time::Instant::now();
    let parsed = parse(&text);
    let took = start.elapsed();
    assert_eq!((parsed.objects.len(), parsed.diagnostics.len()), (count, 0));
    assert!(took < Duration::from_mins(1), "{took:?}");
}

#[test]
fn files_are_checked_together_and_named_apart() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {nodeName: a, containers: [{name: c, image: i}]}";
    let cluster = "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec: {nodes: [{name: a}]}\n";
    let sources = Sources::new([("pod.yaml", pod), ("cluster.yaml", cluster), ("again.yaml", pod)]);
    let found = check_text(&sources, &parse(sources.text()), Lang::En);
    assert!(found.starts_with("again.yaml:3:18: error: Pod/default/web: metadata.name: "), "{found}");
    assert_eq!(found.lines().count(), 2, "{found}");
}

#[test]
fn a_flood_of_errors_is_cut_off() {
    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: A}\nspec: {containers: []}\n";
    let parsed = parse(&pod.repeat(1000));
    assert_eq!(parsed.diagnostics.len(), 201);
    assert_eq!(parsed.diagnostics[200].message_in(Lang::En), "There are 1800 more findings.");
    assert!(parsed.has_errors());
}

fn corpus() -> &'static [Vec<u8>] {
    static CORPUS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CORPUS.get_or_init(|| cases().iter().map(|path| std::fs::read(path).unwrap()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let parsed = parse_bytes(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        assert_well_formed(&text, &parsed);
        parsed.resolve_cluster();
    }

    #[test]
    fn no_yaml_like_text_makes_the_reader_fail(text in "[-:{}\\[\\]&*!|>'\"%@`#,? \n\ta-c0-9가]{0,80}") {
        assert_well_formed(&text, &parse(&text));
    }

    #[test]
    fn no_mutation_of_a_manifest_makes_the_reader_fail(
        pick in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..3, any::<u8>()), 1..8),
    ) {
        let corpus = corpus();
        let mut bytes = corpus[pick.index(corpus.len())].clone();
        for (at, what, byte) in edits {
            let index = at.index(bytes.len() + 1);
            match what {
                0 if index < bytes.len() => bytes[index] = byte,
                1 if index < bytes.len() => drop(bytes.remove(index)),
                _ => bytes.insert(index, byte),
            }
        }
        let parsed = parse_bytes(&bytes);
        assert_well_formed(&String::from_utf8_lossy(&bytes), &parsed);
        parsed.resolve_cluster();
    }
}
