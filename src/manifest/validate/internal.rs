//! Values as the API server shows them in an error when they are whole structs: as JSON of its internal types, whose
//! fields have the names that they have in Go (`field.Error.ErrorBody`).

use super::cursor::{Cursor, quoted};
use serde_json::{Map, Value};

/// An object of the internal types: the fields in order, each with its name there and here. A field that is not there
/// shows what it is when nothing is written.
fn object(value: &Cursor<'_>, fields: &[(&str, &'static str, &str)]) -> String {
    let one = |(name, field, nothing): &(&str, &'static str, &str)| {
        let found = value.get(field);
        let shown = if found.is_set() { renamed(found.value).to_string() } else { (*nothing).to_owned() };
        format!("{}:{shown}", quoted(name))
    };
    format!("{{{}}}", fields.iter().map(one).collect::<Vec<_>>().join(","))
}

/// What is within: names of fields begin with a capital letter.
fn renamed(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let capital = |name: &str| {
                let mut letters = name.chars();
                letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
            };
            let fields = fields.iter().map(|(name, value)| (capital(name), renamed(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(renamed).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// `core.Toleration`.
pub(super) fn toleration(value: &Cursor<'_>) -> String {
    let fields = [
        ("Key", "key", "\"\""),
        ("Operator", "operator", "\"\""),
        ("Value", "value", "\"\""),
        ("Effect", "effect", "\"\""),
        ("TolerationSeconds", "tolerationSeconds", "null"),
    ];
    object(value, &fields)
}

/// `core.Taint`.
pub(super) fn taint(value: &Cursor<'_>) -> String {
    let fields = [
        ("Key", "key", "\"\""),
        ("Value", "value", "\"\""),
        ("Effect", "effect", "\"\""),
        ("TimeAdded", "timeAdded", "null"),
    ];
    object(value, &fields)
}

/// `core.SeccompProfile`.
pub(super) fn seccomp_profile(value: &Cursor<'_>) -> String {
    let fields = [("Type", "type", "\"\""), ("LocalhostProfile", "localhostProfile", "null")];
    object(value, &fields)
}

/// `core.SecurityContext`.
pub(super) fn security_context(value: &Cursor<'_>) -> String {
    let fields = [
        ("Capabilities", "capabilities", "null"),
        ("Privileged", "privileged", "null"),
        ("SELinuxOptions", "seLinuxOptions", "null"),
        ("WindowsOptions", "windowsOptions", "null"),
        ("RunAsUser", "runAsUser", "null"),
        ("RunAsGroup", "runAsGroup", "null"),
        ("RunAsNonRoot", "runAsNonRoot", "null"),
        ("ReadOnlyRootFilesystem", "readOnlyRootFilesystem", "null"),
        ("AllowPrivilegeEscalation", "allowPrivilegeEscalation", "null"),
        ("ProcMount", "procMount", "null"),
        ("SeccompProfile", "seccompProfile", "null"),
        ("AppArmorProfile", "appArmorProfile", "null"),
    ];
    object(value, &fields)
}

/// A strategy of a controller: its type and how it rolls.
pub(super) fn strategy(value: &Cursor<'_>) -> String {
    object(value, &[("Type", "type", "\"\""), ("RollingUpdate", "rollingUpdate", "null")])
}

/// `rbac.RoleRef`.
pub(super) fn role_ref(value: &Cursor<'_>) -> String {
    let group = "\"rbac.authorization.k8s.io\"";
    let fields = [("APIGroup", "apiGroup", group), ("Kind", "kind", "\"\""), ("Name", "name", "\"\"")];
    object(value, &fields)
}

/// The key by which the ports of a Service are compared: a `core.ServicePort` with protocol and number alone.
pub(super) fn service_port(protocol: &str, number: i64) -> String {
    format!(
        "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}",
        quoted(protocol)
    )
}
