//! The types of objects by their names, as `kubectl api-resources` lists them.

use crate::manifest;

/// A type of object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// Kind, as `Deployment`.
    pub(super) kind: &'static str,
    /// Plural, as `deployments`.
    pub(super) plural: &'static str,
    /// Short names.
    pub(super) short: &'static [&'static str],
    /// Group and version, as `apps/v1`.
    pub(super) api_version: &'static str,
    /// Whether its objects live in namespaces.
    pub(super) namespaced: bool,
    /// Whether `all` means it.
    pub(super) in_all: bool,
}

const fn of(
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    api_version: &'static str,
    namespaced: bool,
) -> Resource {
    Resource { kind, plural, short, api_version, namespaced, in_all: false }
}

const fn all(
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    api_version: &'static str,
) -> Resource {
    Resource { kind, plural, short, api_version, namespaced: true, in_all: true }
}

/// All of them, in the order of `kubectl api-resources`.
pub(super) const RESOURCES: [Resource; 40] = [
    of("ConfigMap", "configmaps", &["cm"], "v1", true),
    of("Endpoints", "endpoints", &["ep"], "v1", true),
    of("Event", "events", &["ev"], "v1", true),
    of("LimitRange", "limitranges", &["limits"], "v1", true),
    of("Namespace", "namespaces", &["ns"], "v1", false),
    of("Node", "nodes", &["no"], "v1", false),
    of("PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"], "v1", true),
    of("PersistentVolume", "persistentvolumes", &["pv"], "v1", false),
    all("Pod", "pods", &["po"], "v1"),
    all("ReplicationController", "replicationcontrollers", &["rc"], "v1"),
    of("ResourceQuota", "resourcequotas", &["quota"], "v1", true),
    of("Secret", "secrets", &[], "v1", true),
    of("ServiceAccount", "serviceaccounts", &["sa"], "v1", true),
    all("Service", "services", &["svc"], "v1"),
    of("ControllerRevision", "controllerrevisions", &[], "apps/v1", true),
    all("DaemonSet", "daemonsets", &["ds"], "apps/v1"),
    all("Deployment", "deployments", &["deploy"], "apps/v1"),
    all("ReplicaSet", "replicasets", &["rs"], "apps/v1"),
    all("StatefulSet", "statefulsets", &["sts"], "apps/v1"),
    all("HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], "autoscaling/v2"),
    all("CronJob", "cronjobs", &["cj"], "batch/v1"),
    all("Job", "jobs", &[], "batch/v1"),
    of("Lease", "leases", &[], "coordination.k8s.io/v1", true),
    of("EndpointSlice", "endpointslices", &[], "discovery.k8s.io/v1", true),
    of("IngressClass", "ingressclasses", &[], "networking.k8s.io/v1", false),
    of("Ingress", "ingresses", &["ing"], "networking.k8s.io/v1", true),
    of("IPAddress", "ipaddresses", &["ip"], "networking.k8s.io/v1", false),
    of("NetworkPolicy", "networkpolicies", &["netpol"], "networking.k8s.io/v1", true),
    of("ServiceCIDR", "servicecidrs", &[], "networking.k8s.io/v1", false),
    of("PodDisruptionBudget", "poddisruptionbudgets", &["pdb"], "policy/v1", true),
    of("AdminNetworkPolicy", "adminnetworkpolicies", &["anp"], "policy.networking.k8s.io/v1alpha1", false),
    of(
        "BaselineAdminNetworkPolicy",
        "baselineadminnetworkpolicies",
        &["banp"],
        "policy.networking.k8s.io/v1alpha1",
        false,
    ),
    of("ClusterRoleBinding", "clusterrolebindings", &[], "rbac.authorization.k8s.io/v1", false),
    of("ClusterRole", "clusterroles", &[], "rbac.authorization.k8s.io/v1", false),
    of("RoleBinding", "rolebindings", &[], "rbac.authorization.k8s.io/v1", true),
    of("Role", "roles", &[], "rbac.authorization.k8s.io/v1", true),
    of("AuthorizationPolicy", "authorizationpolicies", &["ap"], "security.istio.io/v1", true),
    of("PeerAuthentication", "peerauthentications", &["pa"], "security.istio.io/v1", true),
    of("PriorityClass", "priorityclasses", &["pc"], "scheduling.k8s.io/v1", false),
    of("StorageClass", "storageclasses", &["sc"], "storage.k8s.io/v1", false),
];

impl Resource {
    /// The group; empty for the core.
    pub(super) fn group(&self) -> &'static str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Plural with the group, as messages have it: `deployments.apps`.
    pub(super) fn plural_with_group(&self) -> String {
        with_group(self.plural.to_owned(), self.group())
    }

    /// Singular with the group, as `-o name` has it: `deployment.apps`.
    pub(super) fn singular(&self) -> String {
        with_group(self.kind.to_lowercase(), self.group())
    }
}

fn with_group(name: String, group: &str) -> String {
    if group.is_empty() { name } else { format!("{name}.{group}") }
}

/// The types that a word of a command names; several for `all`. The group and version may follow, as in
/// `deployments.v1.apps`.
pub(super) fn named(word: &str) -> Vec<&'static Resource> {
    let word = word.to_ascii_lowercase();
    if word == "all" {
        // The API server lists the core group first; its own order within a group is that of the names.
        let order = ["Pod", "ReplicationController", "Service"];
        let (core, others): (Vec<_>, Vec<_>) =
            RESOURCES.iter().filter(|one| one.in_all).partition(|one| order.contains(&one.kind));
        return core.into_iter().chain(others).collect();
    }
    let (name, group) = word.split_once('.').unwrap_or((&word, ""));
    let is_name = |one: &&Resource| {
        one.plural == name || one.kind.eq_ignore_ascii_case(name) || one.short.contains(&name)
    };
    let version = |one: &Resource| one.api_version.rsplit('/').next().unwrap_or("").to_owned();
    let in_group = |one: &&Resource| {
        group.is_empty()
            || group == one.group()
            || group == format!("{}.{}", version(one), one.group())
            || (one.group().is_empty() && group == version(one))
    };
    RESOURCES.iter().filter(is_name).find(in_group).into_iter().collect()
}

/// The type of a kind.
pub(super) fn of_kind(kind: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|one| one.kind == kind)
}

/// Whether objects of the kind can be there: the schema has it.
pub(super) fn is_kept(resource: &Resource) -> bool {
    manifest::resource(resource.kind).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_schema_has_its_names() {
        let schema = include_str!("../../manifest/schema/kubernetes.txt");
        let kinds =
            schema.lines().filter_map(|line| line.strip_prefix("kind ")).filter(|line| line.contains(' '));
        for kind in kinds {
            let words: Vec<&str> = kind.split(' ').collect();
            let known = of_kind(words[1]).unwrap_or_else(|| panic!("{}", words[1]));
            let kept = manifest::conversion::kept_as(words[0], words[1]).unwrap_or(words[0]);
            assert_eq!(known.api_version, kept, "{}", words[1]);
            assert_eq!(known.namespaced, words[2] == "Namespaced", "{}", words[1]);
            assert!(is_kept(known));
        }
    }

    #[test]
    fn names_may_be_short_and_carry_their_group() {
        let kind = |word| named(word).first().map(|one| one.kind);
        assert_eq!(kind("cm"), Some("ConfigMap"));
        assert_eq!(kind("deployments.apps"), Some("Deployment"));
        assert_eq!(kind("Deployment.v1.apps"), Some("Deployment"));
        assert_eq!(kind("pods.v1"), Some("Pod"));
        assert_eq!(kind("deployments.batch"), None);
        assert_eq!(kind("widgets"), None);
        assert_eq!(kind(""), None);
        assert_eq!(named("all")[0].kind, "Pod");
    }
}
