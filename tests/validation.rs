//! What the API server says of an object: `tests/validation/*.txt` hold one object per case below a line
//! `=== ID: valid` or `=== ID: ERROR PATH (REASON)`, transcribed from the tables of the API server's own tests. An
//! invalid object must be refused with that kind of error, and with nothing but errors at that path.

#![cfg(not(target_arch = "wasm32"))]

use std::fmt::Write as _;
use std::path::Path;
use vethscope::base::Severity;
use vethscope::base::words::Lang;
use vethscope::manifest::parse;

/// The API server's words for a kind of error (`field.ErrorType`).
fn words_of(error: &str) -> &str {
    match error {
        "Required" => "Required value",
        "Invalid" => "Invalid value",
        "NotSupported" => "Unsupported value",
        "Duplicate" => "Duplicate value",
        "Forbidden" => "Forbidden",
        other => panic!("{other} is no kind of error"),
    }
}

fn judge(expected: &str, yaml: &str) -> Result<(), String> {
    let parsed = parse(yaml);
    let errors = parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let errors: Vec<(&str, String)> =
        errors.map(|found| (&*found.path, found.message_in(Lang::En))).collect();
    let expected = expected.split(" (").next().unwrap_or(expected);
    let right = match expected.split_once(' ') {
        None => expected == "valid" && errors.is_empty(),
        Some((error, path)) => {
            !errors.is_empty()
                && errors.iter().all(|(at, text)| at.starts_with(path) && text.starts_with(words_of(error)))
        }
    };
    if right { Ok(()) } else { Err(format!("wanted {expected}, got {errors:?}\n{yaml}")) }
}

#[test]
fn objects_are_judged_as_by_the_api_server() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/validation");
    let (mut count, mut failures) = (0, String::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for case in text.split("=== ").skip(1) {
            let (head, yaml) = case.split_once('\n').unwrap();
            let (id, expected) = head.split_once(": ").unwrap();
            count += 1;
            if let Err(failure) = judge(expected, yaml) {
                writeln!(failures, "{id}: {failure}").unwrap();
            }
        }
    }
    assert!(count >= 142, "only {count} cases were found");
    assert!(failures.is_empty(), "{failures}");
}
