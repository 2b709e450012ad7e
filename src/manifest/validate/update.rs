//! What may not change when an object takes the place of another (`Validate…Update` of each kind).

use super::cursor::Cursor;
use super::{internal, storage};
use crate::base::quantity;
use crate::manifest::report::Report;
use crate::manifest::schema::Kind;
use serde_json::Value;
use std::collections::BTreeSet;

/// Fields of a `StatefulSet` that may change, as the API server lists them.
const STATEFUL: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
const STATEFUL_FIELDS: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];
/// Fields of a Pod that may change.
const POD: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const IMMUTABLE: &str = "field is immutable";
const ONCE_SET: &str = "may not change once set";

/// Validates that `new` may take the place of `old`; both are objects of this kind that are valid in themselves.
pub(in crate::manifest) fn update(kind: Kind, old: &Value, new: &Value, report: &mut Report<'_>) {
    let (old, new) = (Cursor::root(old), Cursor::root(new));
    let (old_meta, new_meta) = (old.get("metadata"), new.get("metadata"));
    for field in ["uid", "creationTimestamp"] {
        if new_meta.get(field).is_set() {
            same(&old_meta.get(field), &new_meta.get(field), report);
        }
    }
    let (before, after) = (old.get("spec"), new.get("spec"));
    match kind.name {
        "Deployment" | "ReplicaSet" | "DaemonSet" => {
            same(&before.get("selector"), &after.get("selector"), report);
        }
        "StatefulSet" => stateful_set(&before, &after, report),
        "Job" => job(&before, &after, report),
        "Service" => service(&before, &after, report),
        "Pod" => pod(&before, &after, report),
        "ConfigMap" | "Secret" => config(kind.name, &old, &new, report),
        "ControllerRevision" => same(&old.get("data"), &new.get("data"), report),
        "EndpointSlice" => same(&old.get("addressType"), &new.get("addressType"), report),
        "Node" => node(&before, &after, report),
        "PersistentVolumeClaim" => claim(&before, &after, report),
        "PersistentVolume" => volume(&before, &after, report),
        "StorageClass" => storage_class(&old, &new, report),
        "IngressClass" => same(&before.get("controller"), &after.get("controller"), report),
        "ResourceQuota" => scopes(&before.get("scopes"), &after.get("scopes"), report),
        "PriorityClass" => {
            if old.get("value").number() != new.get("value").number() {
                new.get("value").forbidden(report, "may not be changed in an update.");
            }
            same(&old.get("preemptionPolicy"), &new.get("preemptionPolicy"), report);
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            let (before, after) = (old.get("roleRef"), new.get("roleRef"));
            if !alike(before.value, after.value) {
                after.because_of(report, &internal::role_ref(&after), "cannot change roleRef");
            }
        }
        _ => {}
    }
}

/// `ValidateImmutableField`.
fn same(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    if !alike(old.value, new.value) {
        new.because(report, IMMUTABLE);
    }
}

/// Whether two values mean the same: what is not there is the same as what is empty.
fn alike(old: &Value, new: &Value) -> bool {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(_) => false,
    };
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut keys = old.keys().chain(new.keys());
            let at =
                |map: &serde_json::Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or_default();
            keys.all(|key| alike(&at(old, key), &at(new, key)))
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| alike(old, new))
        }
        (old, new) => old == new || (empty(old) && empty(new)),
    }
}

/// Whether two values are alike in all fields but these.
fn alike_but(old: &Cursor<'_>, new: &Cursor<'_>, fields: &[&str]) -> bool {
    let keep = |cursor: &Cursor<'_>| {
        let map = cursor.value.as_object().into_iter().flatten();
        let kept = map.filter(|(key, _)| !fields.contains(&key.as_str()));
        Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    alike(&keep(old), &keep(new))
}

fn stateful_set(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    if !alike_but(old, new, &STATEFUL_FIELDS) {
        new.forbidden(report, STATEFUL);
    }
}

fn job(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    let (before, after) = (old.get("completions"), new.get("completions"));
    if new.get("completionMode").text() != "Indexed" {
        same(&before, &after, report);
    } else if after.is_set() && before.number() != after.number() {
        // An indexed Job is scaled by both together.
        if new.get("parallelism").is_set() && new.get("parallelism").number() != after.number() {
            after.because(report, "can only be modified in tandem with spec.parallelism");
        }
    }
    // The selector is the controller's own when it is not written.
    if new.get("selector").is_set() {
        same(&old.get("selector"), &new.get("selector"), report);
    }
    if !old.get("suspend").is_true() {
        same(&old.get("template"), &new.get("template"), report);
    }
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    {
        same(&old.get(field), &new.get(field), report);
    }
}

/// An address once given stays, unless the Service stops having one (`validateUpgradeDowngradeClusterIPs`); so do the
/// families of addresses, the class of a load balancer and the port of its checks.
fn service(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    let is = |spec: &Cursor<'_>, kind: &str| spec.get("type").text() == kind;
    if !is(old, "ExternalName") && !is(new, "ExternalName") {
        let (before, after) = (old.get("clusterIP"), new.get("clusterIP"));
        if !before.text().is_empty() && !after.text().is_empty() && before.text() != after.text() {
            let shown = Value::from(vec![after.text()]).to_string();
            after.because_at(report, "spec.clusterIPs[0]", (&shown, ONCE_SET));
        }
        families(old, new, report);
    }
    let (before, after) = (old.get("loadBalancerClass"), new.get("loadBalancerClass"));
    if is(old, "LoadBalancer") && is(new, "LoadBalancer") && before.value != after.value {
        after.because(report, ONCE_SET);
    }
    let is_checked =
        |spec: &Cursor<'_>| is(spec, "LoadBalancer") && spec.get("externalTrafficPolicy").text() == "Local";
    let (before, after) = (old.get("healthCheckNodePort"), new.get("healthCheckNodePort"));
    if is_checked(old) && is_checked(new) && after.is_set() && before.number() != after.number() {
        after.forbidden(report, IMMUTABLE);
    }
}

/// `validateUpgradeDowngradeIPFamilies`, of Services with an address.
fn families(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    let is_headless = |spec: &Cursor<'_>| spec.get("clusterIP").text() == "None";
    let (before, after) = (old.get("ipFamilies"), new.get("ipFamilies"));
    if is_headless(old) || is_headless(new) || before.len() == 0 || after.len() == 0 {
        return;
    }
    let first = format!("{}[0]", after.path());
    let same_length = before.len() == after.len();
    let n_compared = if same_length { before.len() } else { 1 };
    let mut pairs = before.items().zip(after.items()).take(n_compared);
    if pairs.any(|(before, after)| before.text() != after.text()) {
        after.because_at(report, &first, (&after.shown(), ONCE_SET));
    }
}

fn pod(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    for list in ["containers", "initContainers"] {
        if old.get(list).len() != new.get(list).len() {
            new.get(list).forbidden(report, "pod updates may not add or remove containers");
            return;
        }
    }
    let deadline = new.get("activeDeadlineSeconds");
    let before = old.get("activeDeadlineSeconds");
    if deadline.is_set() && before.is_set() && deadline.number() > before.number() {
        return deadline.because(report, "must be less than or equal to previous value");
    }
    if !deadline.is_set() && before.is_set() {
        let why = "must not update from a positive integer to nil value";
        deadline.because_of(report, "null", why);
    }
    let images = ["containers", "initContainers"].iter().all(|list| {
        old.get(list).items().zip(new.get(list).items()).all(|(old, new)| alike_but(&old, &new, &["image"]))
    });
    let tolerations: Vec<&Value> = new.get("tolerations").items().map(|one| one.value).collect();
    for kept in old.get("tolerations").items() {
        let same_but = |one: &&&Value| alike_but(&kept, &Cursor::root(one), &["tolerationSeconds"]);
        if !tolerations.iter().any(|one| same_but(&one)) {
            let why = "existing toleration can not be modified except its tolerationSeconds";
            return new.get("tolerations").forbidden(report, why);
        }
    }
    gates(&old.get("schedulingGates"), &new.get("schedulingGates"), report);
    let mut free =
        vec!["containers", "initContainers", "activeDeadlineSeconds", "tolerations", "schedulingGates"];
    let grace = (old.get("terminationGracePeriodSeconds"), new.get("terminationGracePeriodSeconds"));
    if grace.0.number() < 0 && grace.1.number() == 1 {
        free.push("terminationGracePeriodSeconds");
    }
    // What the API server and the scheduler fill in does not count as changed by whom leaves it out.
    for field in ["nodeName", "serviceAccountName", "serviceAccount"] {
        if !new.get(field).is_set() {
            free.push(field);
        }
    }
    if !images || !alike_but(old, new, &free) {
        new.forbidden(report, POD);
    }
}

/// `validateOnlyDeletedSchedulingGates`.
fn gates(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    let known: BTreeSet<&str> = old.items().map(|gate| gate.get("name").text()).collect();
    for gate in new.items().filter(|gate| !known.contains(gate.get("name").text())) {
        let name = gate.get("name");
        let why = format!("only deletion is allowed, but found new scheduling gate '{}'", name.text());
        name.forbidden(report, &why);
    }
}

fn config(kind: &str, old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    if kind == "Secret" && new.get("type").is_set() {
        let before = old.get("type").text_or("Opaque");
        if before != new.get("type").text_or("Opaque") {
            new.get("type").because(report, IMMUTABLE);
        }
    }
    if !old.get("immutable").is_true() {
        return;
    }
    let why = "field is immutable when `immutable` is set";
    if !new.get("immutable").is_true() {
        new.get("immutable").forbidden(report, why);
    }
    for field in ["data", "binaryData", "stringData"] {
        if !alike(old.get(field).value, new.get(field).value) {
            new.get(field).forbidden(report, why);
        }
    }
}

fn node(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    let (before, after) = (old.get("podCIDR"), new.get("podCIDR"));
    if !before.text().is_empty() && !after.text().is_empty() && before.text() != after.text() {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        new.get("podCIDRs").forbidden(report, why);
    }
    let (before, after) = (old.get("providerID"), new.get("providerID"));
    if !before.text().is_empty() && before.text() != after.text() {
        after.forbidden(report, "node updates may not change providerID except from \"\" to valid");
    }
}

fn claim(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    if !alike_but(old, new, &["resources", "volumeName", "volumeAttributesClassName"]) {
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        new.forbidden(report, why);
    }
    let [before, after] = [old, new].map(|spec| spec.get("resources").get("requests").get("storage"));
    let amounts = quantity::of_json(before.value).zip(quantity::of_json(after.value));
    if amounts.is_some_and(|(before, after)| after < before) {
        after.forbidden(report, "field can not be less than status.capacity");
    }
}

/// `ValidatePersistentVolumeUpdate`: what a volume is and how it is given out stays.
fn volume(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    if storage::SOURCES.iter().any(|kind| !alike(old.get(kind).value, new.get(kind).value)) {
        let why = "spec.persistentvolumesource is immutable after creation";
        let path = "spec.persistentvolumesource";
        let args = ["persistentvolumesource", why];
        report.error_near(("spec", path), "invalid.forbidden", "invalid.forbidden.hint", &args);
    }
    let (before, after) = (old.get("volumeMode"), new.get("volumeMode"));
    if after.is_set() && before.text_or("Filesystem") != after.text_or("Filesystem") {
        after.because_at(report, "volumeMode", (&after.shown(), IMMUTABLE));
    }
}

/// `ValidateStorageClassUpdate`.
fn storage_class(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    for (field, default) in [("parameters", ""), ("provisioner", ""), ("reclaimPolicy", "Delete")] {
        let (before, after) = (old.get(field), new.get(field));
        let is_same = alike(before.value, after.value)
            || (!default.is_empty() && before.text_or(default) == after.text_or(default));
        if !is_same {
            after.forbidden(report, &format!("updates to {field} are forbidden."));
        }
    }
    let (before, after) = (old.get("volumeBindingMode"), new.get("volumeBindingMode"));
    if before.text_or("Immediate") != after.text_or("Immediate") {
        after.because(report, IMMUTABLE);
    }
}

/// The scopes of a quota, in whatever order.
fn scopes(old: &Cursor<'_>, new: &Cursor<'_>, report: &mut Report<'_>) {
    let set = |list: &Cursor<'_>| list.items().map(|one| one.text().to_owned()).collect::<BTreeSet<_>>();
    if set(old) != set(new) {
        new.because(report, IMMUTABLE);
    }
}
