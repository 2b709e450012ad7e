//! `ValidateConfigMap` and `ValidateSecret`: the keys become file names.

use super::cursor::{Cursor, quoted};
use super::names;
use crate::manifest::kube_proxy;
use crate::manifest::report::Report;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// All values together, in bytes (`MaxSecretSize`).
const SIZE: usize = 1 << 20;
/// What names the account of a token.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

pub(super) fn validate(kind: &str, root: &Cursor<'_>, report: &mut Report<'_>) {
    let other = root.get("binaryData");
    let mut size = 0;
    for field in ["data", "binaryData", "stringData"] {
        let encoded = field == "binaryData" || (kind == "Secret" && field == "data");
        for (key, value) in root.get(field).entries() {
            size += if encoded { decoded_length(value.text()) } else { value.text().len() };
            // Plain texts of a Secret have become data before they are looked at.
            let path = if field == "stringData" { format!("data[{key}]") } else { value.path() };
            let shown = quoted(key);
            for (message, args) in names::config_key(key) {
                let args: Vec<&str> =
                    std::iter::once(&*shown).chain(args.iter().map(String::as_str)).collect();
                report.error_near((&value.path(), &path), message, "invalid.name.hint", &args);
            }
            if field == "data" && kind == "ConfigMap" && other.value.get(key).is_some() {
                report.error(&path, "invalid.key-twice", Some("invalid.duplicate.hint"), &[&shown]);
            }
        }
    }
    if let Some((key, faults)) = kube_proxy::faults(root.value) {
        for (message, hint, args) in faults {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let path = format!("data[{key}]");
            match message {
                "kube-proxy.scheduler" => report.info(&path, message, Some(hint), &args),
                _ => report.error(&path, message, Some(hint), &args),
            }
        }
    }
    if size > SIZE {
        let most = SIZE.to_string();
        // Of a ConfigMap the API server means the whole object by a path without a name.
        let path = if kind == "Secret" { "data" } else { "[]" };
        report.error_near(("data", path), "invalid.config-size", "invalid.config-size.hint", &[&most]);
    }
    if kind == "Secret" {
        typed(root, report);
    }
}

/// How many bytes a text in base64 stands for; it was decoded before.
fn decoded_length(text: &str) -> usize {
    let digits = text.bytes().filter(|byte| !matches!(byte, b'=' | b'\r' | b'\n')).count();
    digits * 6 / 8
}

/// What a Secret of a known type must hold.
fn typed(root: &Cursor<'_>, report: &mut Report<'_>) {
    let data = root.get("data");
    let has = |key: &str| data.value.get(key).is_some() || root.get("stringData").value.get(key).is_some();
    let needs = |key: &str, report: &mut Report<'_>| {
        if !has(key) {
            let path = format!("data[{key}]");
            report.error(&path, "invalid.required", Some("invalid.required.hint"), &[key]);
        }
    };
    match root.get("type").text() {
        "kubernetes.io/service-account-token" => {
            let annotations = root.get("metadata").get("annotations");
            if annotations.value.get(ACCOUNT).is_none_or(|name| name == "") {
                let path = format!("metadata.annotations[{ACCOUNT}]");
                report.error(&path, "invalid.required", Some("invalid.required.hint"), &[ACCOUNT]);
            }
        }
        "kubernetes.io/dockercfg" => {
            needs(".dockercfg", report);
            is_json(root, ".dockercfg", report);
        }
        "kubernetes.io/dockerconfigjson" => {
            needs(".dockerconfigjson", report);
            is_json(root, ".dockerconfigjson", report);
        }
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            needs("username", report);
            needs("password", report);
        }
        "kubernetes.io/ssh-auth" => needs("ssh-privatekey", report),
        "kubernetes.io/tls" => {
            needs("tls.crt", report);
            needs("tls.key", report);
        }
        _ => {}
    }
}

/// Whether what stands under a key is an object in JSON; what it is otherwise is told in Go's words and not shown.
fn is_json(root: &Cursor<'_>, key: &'static str, report: &mut Report<'_>) {
    let (data, plain) = (root.get("data").get(key), root.get("stringData").get(key));
    let bytes = match (plain.is_set(), data.is_set()) {
        (true, _) => plain.text().as_bytes().to_vec(),
        (false, true) => STANDARD.decode(data.text().replace(['\r', '\n'], "")).unwrap_or_default(),
        (false, false) => return,
    };
    let kind = match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(_) | Value::Null) => return,
        Ok(Value::Array(_)) => "array",
        Ok(Value::String(_)) => "string",
        Ok(Value::Number(_)) => "number",
        Ok(Value::Bool(_)) => "bool",
        Err(_) => "",
    };
    let first = String::from_utf8_lossy(&bytes).trim_start().chars().next();
    let why = match (kind, first) {
        ("", None) => "unexpected end of JSON input".to_owned(),
        ("", Some('{')) => go_fault(&bytes),
        ("", Some(first)) => format!("invalid character '{first}' looking for beginning of value"),
        (kind, _) => format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"),
    };
    let place = if plain.is_set() { plain } else { data };
    place.because_at(report, &format!("data[{key}]"), ("\"<secret contents redacted>\"", &why));
}

/// What is wrong with an object in JSON, as Go says it of the first two things that go wrong: an end too early, and a
/// letter where a key should begin.
fn go_fault(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Value>(bytes) {
        Err(error) if error.is_eof() => "unexpected end of JSON input".to_owned(),
        Ok(_) | Err(_) => {
            let text = String::from_utf8_lossy(bytes);
            let next = text.trim_start().trim_start_matches('{').trim_start().chars().next().unwrap_or('}');
            format!("invalid character '{next}' looking for beginning of object key string")
        }
    }
}
