//! The roles that every cluster has (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy`).
//!
//! *Simplified*: of those that roles are bound to, only `cluster-admin`, `admin`, `edit` and `view` are known; and of those that
//! are bound from the start only what everybody may do.

use serde_json::{Value, json};

/// Resources of a group.
type Those = (&'static str, &'static [&'static str]);

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];
const READ_AND_WRITE: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// What `view` reads (`system:aggregate-to-view`).
const VIEWED: [Those; 8] = [
    (
        "",
        &[
            "bindings",
            "configmaps",
            "endpoints",
            "events",
            "limitranges",
            "namespaces",
            "namespaces/status",
            "persistentvolumeclaims",
            "persistentvolumeclaims/status",
            "pods",
            "pods/log",
            "pods/status",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "replicationcontrollers/status",
            "resourcequotas",
            "resourcequotas/status",
            "serviceaccounts",
            "services",
            "services/status",
        ],
    ),
    ("discovery.k8s.io", &["endpointslices"]),
    (
        "apps",
        &[
            "controllerrevisions",
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "statefulsets",
            "statefulsets/scale",
            "statefulsets/status",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
    ("batch", &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
    (
        "extensions",
        &[
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "ingresses",
            "ingresses/status",
            "networkpolicies",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "replicationcontrollers/scale",
        ],
    ),
    ("policy", &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
    ("networking.k8s.io", &["ingresses", "ingresses/status", "networkpolicies"]),
];

/// What `edit` reads besides (`system:aggregate-to-edit`).
const READ_BY_EDITORS: [Those; 1] =
    [("", &["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"])];

/// What `edit` writes.
const EDITED: [Those; 7] = [
    (
        "",
        &[
            "configmaps",
            "events",
            "persistentvolumeclaims",
            "pods",
            "pods/attach",
            "pods/exec",
            "pods/portforward",
            "pods/proxy",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "secrets",
            "serviceaccounts",
            "services",
            "services/proxy",
        ],
    ),
    (
        "apps",
        &[
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    (
        "extensions",
        &[
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "ingresses",
            "networkpolicies",
            "replicasets",
            "replicasets/scale",
            "replicationcontrollers/scale",
        ],
    ),
    ("policy", &["poddisruptionbudgets"]),
    ("networking.k8s.io", &["ingresses", "networkpolicies"]),
];

fn rule((group, resources): Those, verbs: &[&str]) -> Value {
    json!({ "apiGroups": [group], "resources": resources, "verbs": verbs })
}

fn rules_of(those: &[Those], verbs: &[&str]) -> Vec<Value> {
    those.iter().map(|those| rule(*those, verbs)).collect()
}

/// What may be done at paths that are no resources.
fn paths(paths: &[&str], verbs: &[&str]) -> Value {
    json!({ "nonResourceURLs": paths, "verbs": verbs })
}

/// The rules of a role that every cluster has; none where it is not known. The larger ones are put together of the smaller.
pub(super) fn rules(role: &str) -> Vec<Value> {
    match role {
        "cluster-admin" => vec![rule(("*", &["*"]), &["*"]), paths(&["*"], &["*"])],
        "admin" => {
            let own = [
                rule(("authorization.k8s.io", &["localsubjectaccessreviews"]), &["create"]),
                rule(("rbac.authorization.k8s.io", &["rolebindings", "roles"]), &READ_AND_WRITE),
            ];
            own.into_iter().chain(rules("edit")).collect()
        }
        "edit" => {
            let alone = [
                rule(("", &["serviceaccounts"]), &["impersonate"]),
                rule(("", &["pods/eviction"]), &["create"]),
                rule(("", &["serviceaccounts/token"]), &["create"]),
                rule(("coordination.k8s.io", &["leases"]), &READ_AND_WRITE),
            ];
            let own = rules_of(&READ_BY_EDITORS, &READ).into_iter();
            own.chain(alone).chain(rules_of(&EDITED, &WRITE)).chain(rules("view")).collect()
        }
        "view" => rules_of(&VIEWED, &READ),
        _ => Vec::new(),
    }
}

/// What the members of a group may do by the bindings that every cluster has.
pub(super) fn bound_to(group: &str) -> Vec<Value> {
    let known = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    match group {
        "system:masters" | "kubeadm:cluster-admins" => rules("cluster-admin"),
        // `system:public-info-viewer`.
        "system:unauthenticated" => vec![paths(&known, &["get"])],
        // That and `system:basic-user` and `system:discovery`.
        "system:authenticated" => {
            let served = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"];
            let reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
            vec![
                json!({ "apiGroups": ["authorization.k8s.io"], "resources": reviews, "verbs": ["create"] }),
                rule(("authentication.k8s.io", &["selfsubjectreviews"]), &["create"]),
                paths(&served, &["get"]),
                paths(&known, &["get"]),
                paths(&known, &["get"]),
            ]
        }
        // `system:service-account-issuer-discovery`.
        "system:serviceaccounts" => {
            let issuer = [
                "/.well-known/openid-configuration",
                "/.well-known/openid-configuration/",
                "/openid/v1/jwks",
                "/openid/v1/jwks/",
            ];
            vec![paths(&issuer, &["get"])]
        }
        _ => Vec::new(),
    }
}
