//! `ValidateConfigMap` and `ValidateSecret`: the keys become file names.

use super::cursor::Cursor;
use super::names;
use crate::manifest::kube_proxy;
use crate::manifest::report::Report;

/// All values together, in bytes (`MaxSecretSize`).
const SIZE: usize = 1 << 20;

pub(super) fn validate(root: &Cursor<'_>, report: &mut Report<'_>) {
    let data = root.get("data");
    let mut size = 0;
    for field in ["data", "binaryData", "stringData"] {
        for (key, value) in root.get(field).entries() {
            size += value.text().len();
            let shown = format!("{key:?}");
            for (message, args) in names::config_key(key) {
                let args: Vec<&str> =
                    std::iter::once(&*shown).chain(args.iter().map(String::as_str)).collect();
                report.error(&value.path, message, Some("invalid.name.hint"), &args);
            }
            if field == "binaryData" && data.value.get(key).is_some() {
                report.error(&value.path, "invalid.key-twice", Some("invalid.duplicate.hint"), &[&shown]);
            }
        }
    }
    if let Some((key, faults)) = kube_proxy::faults(root.value) {
        for (message, hint, args) in faults {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            report.error(&format!("data[{key}]"), message, Some(hint), &args);
        }
    }
    if size > SIZE {
        let most = SIZE.to_string();
        report.error("", "invalid.config-size", Some("invalid.config-size.hint"), &[&most]);
    }
}
