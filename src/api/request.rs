//! Requests to the API server for a single object, and its answers (`meta/v1` Status).

use crate::base::ObjectKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What becomes of the dependents of an object that is deleted (`DeletionPropagation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// The object goes at once, the garbage collector takes its dependents after it.
    #[default]
    Background,
    /// The object waits until its dependents are gone.
    Foreground,
    /// The dependents lose their reference to it and stay.
    Orphan,
}

/// How a patch is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PatchKind {
    /// A JSON merge patch (RFC 7386).
    #[default]
    Merge,
    /// A merge in which lists of named things (containers, ports, volumes …) are merged by their key.
    Strategic,
    /// A list of operations (RFC 6902).
    Json,
}

/// What is asked of the API server. Each request names one object, or the objects of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ApiRequest {
    /// Reads an object with its status.
    Get(ObjectKey),
    /// Reads all objects of a kind, in one namespace or, with an empty one, in all.
    List {
        /// Kind.
        kind: String,
        /// Namespace.
        namespace: String,
    },
    /// Reads all objects of a kind as a list object, whose `metadata.resourceVersion` is the store's.
    Snapshot {
        /// Kind.
        kind: String,
        /// Namespace; empty for all.
        namespace: String,
        /// As they stood at this version of the store (`resourceVersionMatch: Exact`).
        version: Option<u64>,
    },
    /// Reads what happened to objects of a kind: each as it was after a change, or as it was last (`objects`), and the
    /// number of the first change to come (`next`). Null where nothing has happened.
    Watch {
        /// Kind.
        kind: String,
        /// Namespace; empty for all.
        namespace: String,
        /// Number of the first change that is asked for, as a list or an answer says it.
        after: u64,
    },
    /// Makes an object. `metadata.generateName` is completed; the namespace has to be there.
    Create(Value),
    /// Says what making an object would come to, and makes none (`dryRun: All`).
    Check(Value),
    /// Puts an object in the place of the one of the same name. With a `metadata.resourceVersion` it has to be the
    /// present one.
    Replace(Value),
    /// Changes fields of an object.
    Patch {
        /// Which object.
        key: ObjectKey,
        /// How to read `patch`.
        kind: PatchKind,
        /// The patch.
        patch: Value,
    },
    /// Changes the status of an object (`…/status`) and nothing else of it.
    PatchStatus {
        /// Which object.
        key: ObjectKey,
        /// How to read `patch`.
        kind: PatchKind,
        /// The patch.
        patch: Value,
    },
    /// Deletes an object.
    Delete {
        /// Which object.
        key: ObjectKey,
        /// What becomes of its dependents; where `None`, what its finalizers say.
        propagation: Option<Propagation>,
        /// Seconds that a Pod is given, instead of its own; 0 removes it at once.
        grace_seconds: Option<u64>,
    },
    /// Deletes an object as a body of `DeleteOptions` has it: with preconditions, and with a policy that may be none.
    DeleteWith {
        /// Which object.
        key: ObjectKey,
        /// The body.
        options: Value,
    },
    /// Binds a Pod to a node, as a scheduler does (`pods/NAME/binding`).
    Bind {
        /// The Pod.
        pod: ObjectKey,
        /// Name of the node.
        node: String,
    },
    /// Puts a container into a running Pod to look into it (`pods/NAME/ephemeralcontainers`).
    Debug {
        /// The Pod.
        pod: ObjectKey,
        /// The container (`v1.EphemeralContainer`).
        container: Value,
    },
    /// Makes a token for an account (`serviceaccounts/NAME/token`).
    Token {
        /// The account.
        account: ObjectKey,
        /// What is asked for (`authentication.k8s.io/v1` `TokenRequest`).
        request: Value,
    },
    /// Evicts a Pod (`pods/NAME/eviction`): deletes it, unless a budget says that it is needed.
    Evict {
        /// The Pod.
        pod: ObjectKey,
        /// Seconds that it is given, instead of its own.
        grace_seconds: Option<u64>,
    },
}

impl ApiRequest {
    /// Whether nothing changes by it.
    pub fn is_reading(&self) -> bool {
        matches!(
            self,
            Self::Get(_) | Self::List { .. } | Self::Snapshot { .. } | Self::Watch { .. } | Self::Check(_)
        )
    }
}

/// Why the API server refused (`Status` with `status: Failure`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// Reason in one word, as `NotFound`.
    pub reason: &'static str,
    /// Message.
    pub message: String,
}

impl ApiError {
    /// 404: the resource is the plural, with its group.
    pub fn not_found(resource: &str, name: &str) -> Self {
        Self { code: 404, reason: "NotFound", message: format!("{resource} \"{name}\" not found") }
    }

    /// 409 for an object that is there already.
    pub fn already_exists(resource: &str, name: &str) -> Self {
        Self { code: 409, reason: "AlreadyExists", message: format!("{resource} \"{name}\" already exists") }
    }

    /// 409 for a write that others overtook.
    pub fn conflict(resource: &str, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self { code: 409, reason: "Conflict", message }
    }

    /// 403.
    pub fn forbidden(resource: &str, name: &str, why: &str) -> Self {
        let message = format!("{resource} \"{name}\" is forbidden: {why}");
        Self { code: 403, reason: "Forbidden", message }
    }

    /// 422 for a request that cannot be carried out, as JSON Patch operations that do not fit; why is not told
    /// (`NewGenericServerResponse`).
    pub fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request".to_owned();
        Self { code: 422, reason: "Invalid", message }
    }

    /// 422 with the errors of the fields, as `spec.replicas: Invalid value: …`.
    pub fn invalid(kind: &str, name: &str, errors: &[String]) -> Self {
        let errors = match errors {
            [only] => only.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        Self { code: 422, reason: "Invalid", message: format!("{kind} \"{name}\" is invalid: {errors}") }
    }

    /// 500 for an error without a reason of its own.
    pub fn unknown(message: String) -> Self {
        Self { code: 500, reason: "", message }
    }

    /// 500 for what went wrong within the server.
    pub fn internal(why: &str) -> Self {
        Self { code: 500, reason: "InternalError", message: format!("Internal error occurred: {why}") }
    }

    /// 400.
    pub fn bad_request(message: String) -> Self {
        Self { code: 400, reason: "BadRequest", message }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
