//! Names of resources and their amounts (`validateResourceName` and what calls it, `ValidateResourceQuantityValue`,
//! `pkg/apis/core/helper`).

use super::cursor::{Cursor, quoted};
use super::names;
use crate::base::quantity;
use crate::manifest::report::Report;
use serde_json::Value;

/// One, in the thousandths in which amounts are counted.
pub(super) const ONE: i128 = 1_000;
/// Resources that are whole numbers (`integerResources`).
const WHOLE: [&str; 9] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
/// The others that a quota can name without a domain (`standardQuotaResources`).
const AMOUNTS: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

/// `IsStandardQuotaResourceName`.
pub(super) fn is_of_quota(name: &str) -> bool {
    WHOLE.contains(&name)
        || AMOUNTS.contains(&name)
        || is_huge(name)
        || name.starts_with("requests.hugepages-")
}

/// `IsHugePageResourceName`.
pub(super) fn is_huge(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn is_of_container(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_huge(name)
}

/// `IsNativeResource`: one of Kubernetes' own.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// `IsExtendedResourceName`: a resource of a device plug-in.
pub(super) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// `IsOvercommitAllowed`: whether more may be used than was asked for.
pub(super) fn may_be_exceeded(name: &str) -> bool {
    is_native(name) && !is_huge(name)
}

/// `validateResourceName`.
pub(super) fn named(amount: &Cursor<'_>, name: &str, report: &mut Report<'_>) {
    let faults = names::qualified_name(name);
    if !faults.is_empty() {
        return amount.faulty(report, &quoted(name), faults);
    }
    if !name.contains('/') && !is_of_quota(name) && name != "storage" {
        amount.because_of(report, &quoted(name), "must be a standard resource type or fully qualified");
    }
}

/// `validateContainerResourceName`.
pub(super) fn named_of_container(amount: &Cursor<'_>, name: &str, report: &mut Report<'_>) {
    named(amount, name, report);
    if !name.contains('/') && !is_of_container(name) {
        amount.because_of(report, &quoted(name), "must be a standard resource for containers");
    } else if !is_native(name) && !is_extended(name) {
        amount.because_of(report, &quoted(name), "doesn't follow extended resource name standard");
    }
}

/// `ValidateResourceQuotaResourceName`.
pub(super) fn named_of_quota(amount: &Cursor<'_>, name: &str, report: &mut Report<'_>) {
    named(amount, name, report);
    if !name.contains('/') && !is_of_quota(name) {
        amount.because_of(report, &quoted(name), "must be a standard resource for quota");
    }
}

/// `ValidateResourceQuantityValue`.
pub(super) fn amount(amount: &Cursor<'_>, name: &str, report: &mut Report<'_>) {
    let Some(value) = quantity::of_json(amount.value) else { return };
    let shown = shown(amount.value);
    if value < 0 {
        report.error(&amount.path(), "invalid.negative", Some("invalid.negative.hint"), &[&shown]);
    }
    if (WHOLE.contains(&name) || is_extended(name)) && value % ONE != 0 {
        amount.because_of(report, &shown, "must be an integer");
    }
}

/// An amount as the API server shows it in an error: as a text in its largest suffix.
pub(super) fn shown(amount: &Value) -> String {
    quoted(quantity::canonical(amount))
}
