//! `ValidateConfigMap` and `ValidateSecret`: the keys become file names.

use super::cursor::Cursor;
use super::names;
use crate::manifest::kube_proxy;
use crate::manifest::report::Report;

/// All values together, in bytes (`MaxSecretSize`).
const SIZE: usize = 1 << 20;
/// What names the account of a token.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

pub(super) fn validate(kind: &str, root: &Cursor<'_>, report: &mut Report<'_>) {
    let data = root.get("data");
    let mut size = 0;
    for field in ["data", "binaryData", "stringData"] {
        let encoded = field == "binaryData" || (kind == "Secret" && field == "data");
        for (key, value) in root.get(field).entries() {
            size += if encoded { decoded_length(value.text()) } else { value.text().len() };
            let shown = format!("{key:?}");
            for (message, args) in names::config_key(key) {
                let args: Vec<&str> =
                    std::iter::once(&*shown).chain(args.iter().map(String::as_str)).collect();
                report.error(&value.path(), message, Some("invalid.name.hint"), &args);
            }
            if field == "binaryData" && data.value.get(key).is_some() {
                report.error(&value.path(), "invalid.key-twice", Some("invalid.duplicate.hint"), &[&shown]);
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
        report.error("data", "invalid.config-size", Some("invalid.config-size.hint"), &[&most]);
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
        "kubernetes.io/dockercfg" => needs(".dockercfg", report),
        "kubernetes.io/dockerconfigjson" => needs(".dockerconfigjson", report),
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
