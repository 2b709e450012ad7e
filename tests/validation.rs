//! What the API server says of an object: `tests/validation/*.txt` hold one object per case below a line
//! `=== ID: valid` or `=== ID: ERROR PATH (REASON)`, transcribed from the tables of the API server's own tests. An
//! invalid object must be refused with that kind of error, and with nothing but errors at that path.
//!
//! Below `=== ID: says` stands an object, and in lines that begin with `> ` the very words in which `kubectl` tells why
//! it is refused, in the API server's order. Below `=== ID: changed` stand two objects with `---` between, the second of
//! which is to take the first one's place. The words are those of the API server's source, which each file names.

#![cfg(not(target_arch = "wasm32"))]

use std::fmt::Write as _;
use std::path::Path;
use vethscope::base::Severity;
use vethscope::base::words::Lang;
use vethscope::manifest::{api_errors, parse, parse_value};

/// The API server's words for a kind of error (`field.ErrorType`).
fn words_of(error: &str) -> &str {
    match error {
        "Required" => "Required value",
        "Invalid" => "Invalid value",
        "NotSupported" => "Unsupported value",
        "Duplicate" => "Duplicate value",
        "Forbidden" => "Forbidden",
        "TooMany" => "Too many",
        "NotFound" => "Not found",
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

/// The words in which `kubectl` tells of an object that the API server refuses (`MultilineError` of `cmdutil`).
fn refusal(object: &serde_json::Value, errors: &[String]) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    match errors {
        [] => String::new(),
        [only] => format!("The {kind} {name:?} is invalid: {only}"),
        several => format!("The {kind} {name:?} is invalid: \n* {}", several.join("\n* ")),
    }
}

/// A case that holds whole words.
fn compare(expected: &str, body: &str) -> Result<(), String> {
    let (words, yaml): (Vec<&str>, Vec<&str>) =
        body.lines().partition(|line| line.starts_with("> ") || *line == ">");
    let wanted: Vec<&str> = words.iter().map(|line| line.strip_prefix("> ").unwrap_or("")).collect();
    let (wanted, yaml) = (wanted.join("\n"), yaml.join("\n"));
    let value =
        |text: &str| vethscope::manifest::value_of(text).unwrap_or_else(|| panic!("no YAML:\n{text}"));
    let said = if expected == "changed" {
        let (old, new) = yaml.split_once("\n---\n").ok_or_else(|| format!("no two objects:\n{yaml}"))?;
        let (old, new) = (value(old), value(new));
        refusal(&new, &vethscope::manifest::update_errors(&old, &new))
    } else {
        let object = value(&yaml);
        refusal(&object, &api_errors(&parse_value(&object)))
    };
    if said == wanted { Ok(()) } else { Err(format!("wanted\n{wanted}\ngot\n{said}\n{yaml}\n")) }
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
            let result = match expected {
                "says" | "changed" => compare(expected, yaml),
                expected => judge(expected, yaml),
            };
            if let Err(failure) = result {
                writeln!(failures, "{id}: {failure}").unwrap();
            }
        }
    }
    assert!(count >= 400, "only {count} cases were found");
    assert!(failures.is_empty(), "{failures}");
}

/// An object, what takes its place, and what the API server says of it.
fn update(old: &str, new: &str) -> String {
    let value = |text: &str| {
        let parsed = parse(text);
        (*parsed.objects.first().unwrap_or_else(|| panic!("{:?}", parsed.diagnostics)).raw).clone()
    };
    vethscope::manifest::update_errors(&value(old), &value(new)).join("; ")
}

#[test]
fn what_may_not_change_is_refused() {
    let workload = |kind: &str, rest: &str, label: &str| {
        format!(
            "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: w}}\nspec:\n  {rest}\n  selector: {{matchLabels: \
             {{app: {label}}}}}\n  template: {{metadata: {{labels: {{app: {label}}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}\n"
        )
    };
    let (one, two) = (workload("Deployment", "replicas: 1", "a"), workload("Deployment", "replicas: 2", "a"));
    assert_eq!(update(&one, &two), "");
    assert_eq!(
        update(&one, &workload("Deployment", "replicas: 1", "b")),
        "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable"
    );
    let service = |ip: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: s}}, spec: {{clusterIP: {ip}, ports: [{{port: 80}}]}}}}"
        )
    };
    assert_eq!(
        update(&service("10.96.0.9"), &service("10.96.0.8")),
        "spec.clusterIPs[0]: Invalid value: [\"10.96.0.8\"]: may not change once set"
    );
    let pod = |image: &str, port: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {{containers: [{{name: c, image: {image}{port}}}]}}}}"
        )
    };
    assert_eq!(update(&pod("a", ""), &pod("b", "")), "");
    let refused = update(&pod("a", ""), &pod("a", ", ports: [{containerPort: 80}]"));
    assert!(
        refused.starts_with("spec: Forbidden: pod updates may not change fields other than"),
        "{refused}"
    );
    let set = workload("StatefulSet", "replicas: 1", "a");
    let refused = update(&set, &workload("StatefulSet", "serviceName: s", "a"));
    assert!(
        refused.starts_with("spec: Forbidden: updates to statefulset spec for fields other than"),
        "{refused}"
    );
    let map = |value: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: c}}, immutable: true, data: {{a: {value}}}}}"
        )
    };
    assert_eq!(update(&map("b"), &map("c")), "data: Forbidden: field is immutable when `immutable` is set");
}
