//! Containers that are put into a running Pod (`validateEphemeralContainers`).

use super::container::{self, Around};
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use std::collections::BTreeSet;

/// Fields of a container that these have not.
const NOT_HERE: [&str; 8] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];
const WHY: &str = "cannot be set for an Ephemeral Container";

/// `names` are those of the Pod's other containers.
pub(super) fn validate(
    spec: &Cursor<'_>,
    around: &Around<'_>,
    names: &BTreeSet<&str>,
    report: &mut Report<'_>,
) {
    let mut seen = names.clone();
    for one in spec.get("ephemeralContainers").items() {
        container::validate(&one, around, report);
        container::image(&one, report);
        let name = one.get("name");
        if !name.text().is_empty() && !seen.insert(name.text()) {
            name.duplicate(report);
        }
        let target = one.get("targetContainerName");
        if !target.text().is_empty() && !names.contains(target.text()) {
            target.not_found(report, "invalid.no-container.hint");
        }
        for field in NOT_HERE.iter().map(|field| one.get(field)) {
            let is_empty = field.value.as_object().is_some_and(serde_json::Map::is_empty);
            if field.is_set() && !(is_empty && field.name() == "resources") {
                field.forbidden(report, WHY);
            }
        }
        for mount in one.get("volumeMounts").items() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.get(field).text().is_empty() {
                    mount.get(field).forbidden(report, WHY);
                }
            }
        }
    }
}
