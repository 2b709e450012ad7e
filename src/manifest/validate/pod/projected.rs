//! Files of `ConfigMaps`, Secrets, the Pod itself and its account, and all of them in one volume
//! (`validateProjectionSources`, `validateKeyToPath`, `validateDownwardAPIVolumeFile`).

use super::descending;
use super::environment;
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::{Cursor, quoted};
use crate::manifest::validate::selector;
use std::collections::BTreeSet;

/// What of a Pod a file can tell (`validVolumeDownwardAPIFieldPathExpressions`).
const FILES: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/// How long the token of an account may last at least and at most, in seconds.
const LEAST_TOKEN: i64 = 600;
const MOST_TOKEN: i64 = 1 << 32;

/// The bits of a file's mode.
pub(super) fn mode(mode: &Cursor<'_>, report: &mut Report<'_>) {
    if !(0..=0o777).contains(&mode.number()) {
        mode.because(report, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

/// `validateKeyToPath` and the mode of the files.
pub(super) fn files(source: &Cursor<'_>, report: &mut Report<'_>) {
    mode(&source.get("defaultMode"), report);
    for item in source.get("items").items() {
        if item.get("key").text().is_empty() {
            item.get("key").required(report);
        }
        let path = item.get("path");
        file_path(&path, &path.path(), report);
        mode(&item.get("mode"), report);
    }
}

/// `validateDownwardAPIVolumeFile`.
pub(super) fn downward(source: &Cursor<'_>, report: &mut Report<'_>) {
    for item in source.get("items").items() {
        // `validateDownwardAPIVolumeFile` is told no index.
        let item = source.in_place_of(&item);
        let path = item.get("path");
        file_path(&path, &path.path(), report);
        let (field, resource) = (item.get("fieldRef"), item.get("resourceFieldRef"));
        match (field.is_set(), resource.is_set()) {
            (true, both) => {
                environment::field_ref(&field, &FILES, report);
                if both {
                    let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                    source.because_of(report, "\"resource\"", why);
                }
            }
            (false, true) => environment::resource_ref(&resource, true, report),
            (false, false) => {
                source.required_because(report, "one of fieldRef and resourceFieldRef is required");
            }
        }
        mode(&item.get("mode"), report);
    }
}

/// `ValidateLocalNonReservedPath`, and that there is a path.
fn file_path(path: &Cursor<'_>, at: &str, report: &mut Report<'_>) {
    let text = path.text();
    if text.is_empty() {
        let name = at.rsplit('.').next().unwrap_or_default();
        return report.error_near((&path.path(), at), "invalid.required", "invalid.required.hint", &[name]);
    }
    for why in descending(text) {
        path.because_at(report, at, (&path.shown(), why));
    }
    if text.starts_with("..") && !text.starts_with("../") {
        path.because_at(report, at, (&path.shown(), "must not start with '..'"));
    }
}

/// Files of several sources in one volume. Of a path that two of them take the API server names the volume as the
/// place, and of a token's path as well.
pub(super) fn validate(volume: &Cursor<'_>, report: &mut Report<'_>) {
    mode(&volume.get("defaultMode"), report);
    let mut taken = BTreeSet::new();
    for one in volume.get("sources").items() {
        let kinds = ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"];
        let set: Vec<Cursor<'_>> = kinds.iter().map(|kind| one.get(kind)).filter(Cursor::is_set).collect();
        for source in &set {
            let name = source.get("name");
            match &*source.name() {
                "secret" | "configMap" => {
                    if name.text().is_empty() {
                        name.required(report);
                    }
                    files(source, report);
                }
                "downwardAPI" => downward(source, report),
                "serviceAccountToken" => token(source, volume, report),
                _ => trust_bundle(source, report),
            }
            let paths: Vec<&str> = match &*source.name() {
                "clusterTrustBundle" => vec![source.get("path").text()],
                "serviceAccountToken" => Vec::new(),
                _ => source.get("items").items().map(|item| item.get("path").text()).collect(),
            };
            for path in paths.into_iter().filter(|path| !path.is_empty()) {
                if !taken.insert(path) {
                    let is_named = matches!(&*source.name(), "secret" | "configMap");
                    let shown = quoted(if is_named { name.text() } else { path });
                    volume.because_of(report, &shown, "conflicting duplicate paths");
                }
            }
        }
        if set.len() > 1 {
            one.forbidden(report, "may not specify more than 1 volume type");
        }
    }
}

fn token(token: &Cursor<'_>, volume: &Cursor<'_>, report: &mut Report<'_>) {
    let seconds = token.get("expirationSeconds");
    if seconds.is_set() && seconds.number() < LEAST_TOKEN {
        seconds.because(report, "may not specify a duration less than 10 minutes");
    }
    if seconds.number() > MOST_TOKEN {
        seconds.because(report, "may not specify a duration larger than 2^32 seconds");
    }
    file_path(&token.get("path"), &format!("{}.path", volume.path()), report);
}

/// The API server calls the field `clusterTrustBundlePEM`.
fn trust_bundle(bundle: &Cursor<'_>, report: &mut Report<'_>) {
    let at = bundle.path().replace("clusterTrustBundle", "clusterTrustBundlePEM");
    let (name, signer) = (bundle.get("name"), bundle.get("signerName"));
    let mut required = |field: &Cursor<'_>, path: &str, why: &str| {
        let args = [&*field.name(), why];
        report.error_near((&field.path(), path), "invalid.required-because", "invalid.required.hint", &args);
    };
    match (name.is_set(), signer.is_set()) {
        (false, false) => required(bundle, &at, "either name or signerName must be specified"),
        (true, false) if name.text().is_empty() => {
            required(&name, &format!("{at}.name"), "must be a valid object name");
        }
        (false, true) if signer.text().is_empty() => {
            required(&signer, &format!("{at}.signerName"), "must be a valid signer name");
        }
        (true, true) => {
            bundle.because_at(report, &at, (&bundle.shown(), "only one of name and signerName may be used"));
        }
        (true, false) | (false, true) => {}
    }
    selector::validate(&bundle.get("labelSelector"), report);
    file_path(&bundle.get("path"), &format!("{at}.path"), report);
}
