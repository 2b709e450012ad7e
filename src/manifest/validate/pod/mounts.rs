//! Where volumes are mounted (`ValidateVolumeMounts`, `ValidateVolumeDevices`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use std::collections::BTreeSet;

pub(super) fn validate(container: &Cursor<'_>, volumes: &BTreeSet<&str>, report: &mut Report<'_>) {
    let devices = container.get("volumeDevices");
    let mut seen = BTreeSet::new();
    for mount in container.get("volumeMounts").items() {
        let (name, path) = (mount.get("name"), mount.get("mountPath"));
        if name.text().is_empty() {
            name.required(report);
        }
        if !volumes.contains(name.text()) {
            name.not_found(report, "invalid.no-volume.hint");
        }
        if path.text().is_empty() {
            path.required(report);
        }
        if !seen.insert(path.text()) {
            path.fault(report, "invalid.mount-twice", "invalid.mount-twice.hint", &[]);
        }
        if devices.items().any(|device| device.get("name").text() == name.text()) {
            name.because(report, "must not already exist in volumeDevices");
        }
        if devices.items().any(|device| device.get("devicePath").text() == path.text()) {
            path.because(report, "must not already exist as a path in volumeDevices");
        }
        sub_paths(&mount, container, report);
    }
    for device in devices.items() {
        for field in ["name", "devicePath"] {
            if device.get(field).text().is_empty() {
                device.get(field).required(report);
            }
        }
        let name = device.get("name");
        if !volumes.contains(name.text()) {
            name.not_found(report, "invalid.no-volume.hint");
        }
    }
}

/// The API server names the list as the place of these, without an index.
fn sub_paths(mount: &Cursor<'_>, container: &Cursor<'_>, report: &mut Report<'_>) {
    let list = container.get("volumeMounts");
    let (path, expression) = (mount.get("subPath"), mount.get("subPathExpr"));
    if !path.text().is_empty() && !expression.text().is_empty() {
        expression.because(report, "subPathExpr and subPath are mutually exclusive");
    }
    for field in [&path, &expression] {
        if let Some(why) = descending(field.text()) {
            let at = format!("{}.{}", list.path(), field.name());
            let args = [&*field.shown(), why];
            report.error_near((&field.path(), &at), "invalid.because", "invalid.because.hint", &args);
        }
    }
    let propagation = mount.get("mountPropagation");
    let at = format!("{}.mountPropagation", list.path());
    if propagation.text() == "Bidirectional" && !container.get("securityContext").get("privileged").is_true()
    {
        let why = "Bidirectional mount propagation is available only to privileged containers";
        report.error_near(
            (&propagation.path(), &at),
            "invalid.forbidden",
            "invalid.forbidden.hint",
            &["mountPropagation", why],
        );
    } else {
        propagation.one_of(report, &["Bidirectional", "HostToContainer", "None"]);
    }
}

/// `validateLocalDescendingPath`: what is wrong with a path that must lead down from where it begins.
pub(super) fn descending(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        Some("must be a relative path")
    } else if path.split('/').any(|part| part == "..") {
        Some("must not contain '..'")
    } else {
        None
    }
}
