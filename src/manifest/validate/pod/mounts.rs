//! Where volumes are mounted (`ValidateVolumeMounts`, `ValidateVolumeDevices`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use std::collections::{BTreeMap, BTreeSet};

const READ_ONLY: [&str; 3] = ["Disabled", "Enabled", "IfPossible"];

/// `volumes` are those that are right in themselves, and whether each is a claim.
pub(super) fn validate(container: &Cursor<'_>, volumes: &BTreeMap<&str, bool>, report: &mut Report<'_>) {
    let (mounts, devices) = (container.get("volumeMounts"), container.get("volumeDevices"));
    let mut seen = BTreeSet::new();
    for mount in mounts.items() {
        let (name, path) = (mount.get("name"), mount.get("mountPath"));
        if name.text().is_empty() {
            name.required(report);
        }
        if !volumes.contains_key(name.text()) {
            name.not_found(report, "invalid.no-volume.hint");
        }
        if path.text().is_empty() {
            path.required(report);
        }
        if !seen.insert(path.text()) {
            path.fault(report, "invalid.mount-twice", "invalid.mount-twice.hint", &[]);
        }
        if has(&devices, "name", &name) {
            name.because(report, "must not already exist in volumeDevices");
        }
        if has(&devices, "devicePath", &path) {
            path.because(report, "must not already exist as a path in volumeDevices");
        }
        sub_paths(&mount, container, report);
        read_only(&mount, &mounts, report);
    }
    let mut seen = (BTreeSet::new(), BTreeSet::new());
    for one in devices.items() {
        device(&one, (volumes, &mounts), &mut seen, report);
    }
}

/// Whether an element of a list has this value in a field.
fn has(list: &Cursor<'_>, field: &str, value: &Cursor<'_>) -> bool {
    list.items().any(|one| one.value.get(field).is_some_and(|text| text == value.value))
}

fn device<'v>(
    device: &Cursor<'v>,
    (volumes, mounts): (&BTreeMap<&str, bool>, &Cursor<'_>),
    (names, paths): &mut (BTreeSet<&'v str>, BTreeSet<&'v str>),
    report: &mut Report<'_>,
) {
    let (name, path) = (device.get("name"), device.get("devicePath"));
    let known = volumes.get(name.text());
    if name.text().is_empty() {
        name.required(report);
    }
    if names.contains(name.text()) {
        name.because(report, "must be unique");
    }
    match known {
        Some(true) => {}
        Some(false) => {
            let why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
            name.because(report, why);
        }
        None => name.not_found(report, "invalid.no-volume.hint"),
    }
    if path.text().is_empty() {
        path.required(report);
    }
    if paths.contains(path.text()) {
        path.because(report, "must be unique");
    }
    if path.text().split('/').any(|part| part == "..") {
        path.because(report, "can not contain backsteps ('..')");
    } else {
        paths.insert(path.text());
    }
    if has(mounts, "name", &name) {
        name.because(report, "must not already exist in volumeMounts");
    }
    if has(mounts, "mountPath", &path) {
        path.because(report, "must not already exist as a path in volumeMounts");
    }
    if !name.text().is_empty() {
        names.insert(name.text());
    }
}

/// The API server names the list as the place of these, without an index.
fn sub_paths(mount: &Cursor<'_>, container: &Cursor<'_>, report: &mut Report<'_>) {
    let list = container.get("volumeMounts");
    let (path, expression) = (mount.get("subPath"), mount.get("subPathExpr"));
    descends(&path, &list, report);
    if !path.text().is_empty() && !expression.text().is_empty() {
        expression.because(report, "subPathExpr and subPath are mutually exclusive");
    }
    descends(&expression, &list, report);
    let propagation = mount.get("mountPropagation");
    if !propagation.is_set() {
        return;
    }
    let at = format!("{}.mountPropagation", list.path());
    let places = (&*propagation.path(), &*at);
    let known = ["Bidirectional", "HostToContainer", "None"];
    if !known.contains(&propagation.text()) {
        let list = known.map(|mode| format!("{mode:?}")).join(", ");
        let args = [&*propagation.shown(), &*list];
        report.error_near(places, "invalid.unsupported", "invalid.unsupported.hint", &args);
    }
    let is_privileged = container.get("securityContext").get("privileged").is_true();
    if propagation.text() == "Bidirectional" && !is_privileged {
        let why = "Bidirectional mount propagation is available only to privileged containers";
        let args = ["mountPropagation", why];
        report.error_near(places, "invalid.forbidden", "invalid.forbidden.hint", &args);
    }
}

/// `validateMountRecursiveReadOnly`.
fn read_only(mount: &Cursor<'_>, list: &Cursor<'_>, report: &mut Report<'_>) {
    let field = mount.get("recursiveReadOnly");
    if !field.is_set() || field.text() == "Disabled" {
        return;
    }
    let at = format!("{}.recursiveReadOnly", list.path());
    let places = (&*field.path(), &*at);
    if !READ_ONLY.contains(&field.text()) {
        let list = READ_ONLY.map(|mode| format!("{mode:?}")).join(", ");
        let args = [&*field.shown(), &*list];
        return report.error_near(places, "invalid.unsupported", "invalid.unsupported.hint", &args);
    }
    let mut forbidden = |why: &str| {
        let args = ["recursiveReadOnly", why];
        report.error_near(places, "invalid.forbidden", "invalid.forbidden.hint", &args);
    };
    if !mount.get("readOnly").is_true() {
        forbidden("may only be specified when readOnly is true");
    }
    if !matches!(mount.get("mountPropagation").text(), "" | "None") {
        forbidden("may only be specified when mountPropagation is None or not specified");
    }
}

/// `validateLocalDescendingPath`, at the field of the list, which is what the API server names.
fn descends(field: &Cursor<'_>, list: &Cursor<'_>, report: &mut Report<'_>) {
    for why in descending(field.text()) {
        let path = format!("{}.{}", list.path(), field.name());
        field.because_at(report, &path, (&field.shown(), why));
    }
}

/// `validateLocalDescendingPath`: what is wrong with a path that must lead down from where it begins.
pub(in crate::manifest::validate) fn descending(path: &str) -> Vec<&'static str> {
    let is_absolute = path.starts_with('/').then_some("must be a relative path");
    let leads_up = path.split('/').any(|part| part == "..").then_some("must not contain '..'");
    is_absolute.into_iter().chain(leads_up).collect()
}
