//! What the API server checks of a request beside the object in it: the options of a deletion, and whether an object is
//! the one that the path names (`meta/v1/validation`, `apiserver/pkg/endpoints/handlers`).

use crate::api::{ApiError, Propagation};
use crate::base::ObjectKey;
use serde_json::{Value, json};

/// `DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub(super) struct DeleteOptions {
    pub(super) propagation: Option<Propagation>,
    pub(super) grace_seconds: Option<u64>,
    /// What the object has to be, or it stays (`Preconditions`).
    pub(super) uid: Option<String>,
    pub(super) version: Option<String>,
}

impl DeleteOptions {
    /// Reads a body (`ValidateDeleteOptions`).
    pub(super) fn read(body: &Value) -> Result<Self, ApiError> {
        let policy = body["propagationPolicy"].as_str();
        let orphans = body["orphanDependents"].as_bool();
        let mut errors = Vec::new();
        if let (Some(policy), Some(_)) = (policy, orphans) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(format!("propagationPolicy: Invalid value: {}: {why}", json!(policy)));
        }
        let propagation = match policy {
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Background") => Some(Propagation::Background),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let known = "\"Foreground\", \"Background\", \"Orphan\", \"nil\"";
                let why = format!("Unsupported value: {}: supported values: {known}", json!(other));
                errors.push(format!("propagationPolicy: {why}"));
                None
            }
            None => {
                orphans.map(|orphans| if orphans { Propagation::Orphan } else { Propagation::Background })
            }
        };
        if !errors.is_empty() {
            return Err(ApiError::invalid("DeleteOptions.meta.k8s.io", "", &errors));
        }
        let text = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
        Ok(Self {
            propagation,
            grace_seconds: body["gracePeriodSeconds"].as_u64(),
            uid: text("uid"),
            version: text("resourceVersion"),
        })
    }

    /// Whether the object is still the one that was meant (`storage.Preconditions.Check`). The error names the kind.
    pub(super) fn check(&self, key: &ObjectKey, (uid, version): (&str, u64)) -> Result<(), ApiError> {
        let version = version.to_string();
        let checks = [
            ("UID", self.uid.as_deref(), uid, "deleted and then recreated"),
            ("ResourceVersion", self.version.as_deref(), version.as_str(), "modified"),
        ];
        for (what, wanted, is, been) in checks {
            let Some(wanted) = wanted.filter(|wanted| *wanted != is) else { continue };
            let message = format!(
                "Operation cannot be fulfilled on {} \"{}\": the {what} in the precondition ({wanted}) does not match the {what} in \
                 record ({is}). The object might have been {been}",
                key.kind, key.name
            );
            return Err(ApiError { code: 409, reason: "Conflict", message });
        }
        Ok(())
    }
}

/// An object has to bear the name and the namespace of its path (`checkName`).
pub(super) fn check_name(value: &Value, key: &ObjectKey) -> Result<(), ApiError> {
    let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default();
    let (name, namespace) = (text("name"), text("namespace"));
    let why = if *name != *key.name {
        format!("the name of the object ({name}) does not match the name on the URL ({})", key.name)
    } else if !namespace.is_empty() && !key.namespace.is_empty() && *namespace != *key.namespace {
        let own = &key.namespace;
        format!(
            "the namespace of the object ({namespace}) does not match the namespace on the request ({own})"
        )
    } else {
        return Ok(());
    };
    Err(ApiError::bad_request(why))
}
