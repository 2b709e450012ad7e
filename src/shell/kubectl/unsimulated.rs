//! Resource types whose objects are accepted and checked, while nothing of them is simulated.

/// Plural, singular and short name (empty where there is none) of each, as `kubectl api-resources` lists them.
const TYPES: [(&str, &str, &str); 25] = [
    ("configmaps", "configmap", "cm"),
    ("secrets", "secret", ""),
    ("serviceaccounts", "serviceaccount", "sa"),
    ("persistentvolumeclaims", "persistentvolumeclaim", "pvc"),
    ("persistentvolumes", "persistentvolume", "pv"),
    ("replicationcontrollers", "replicationcontroller", "rc"),
    ("resourcequotas", "resourcequota", "quota"),
    ("limitranges", "limitrange", "limits"),
    ("deployments", "deployment", "deploy"),
    ("replicasets", "replicaset", "rs"),
    ("statefulsets", "statefulset", "sts"),
    ("daemonsets", "daemonset", "ds"),
    ("jobs", "job", ""),
    ("cronjobs", "cronjob", "cj"),
    ("networkpolicies", "networkpolicy", "netpol"),
    ("ingresses", "ingress", "ing"),
    ("ingressclasses", "ingressclass", ""),
    ("priorityclasses", "priorityclass", "pc"),
    ("storageclasses", "storageclass", "sc"),
    ("roles", "role", ""),
    ("rolebindings", "rolebinding", ""),
    ("clusterroles", "clusterrole", ""),
    ("clusterrolebindings", "clusterrolebinding", ""),
    ("horizontalpodautoscalers", "horizontalpodautoscaler", "hpa"),
    ("poddisruptionbudgets", "poddisruptionbudget", "pdb"),
];

/// The plural name of the type that a word names. The group may follow, as in `deployments.apps`.
pub(super) fn named(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let word = word.split_once('.').map_or(word.as_str(), |(name, _)| name);
    let is = |names: &&(&str, &str, &str)| !word.is_empty() && [names.0, names.1, names.2].contains(&word);
    TYPES.iter().find(is).map(|(plural, _, _)| *plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_schema_is_known() {
        let schema = include_str!("../../manifest/schema/kubernetes.txt");
        let kinds =
            schema.lines().filter_map(|line| line.strip_prefix("kind ")).filter(|line| line.contains(' '));
        let mut seen = 0;
        for kind in kinds {
            let name = kind.split(' ').nth(1).unwrap();
            if !matches!(name, "Pod" | "Node" | "Namespace" | "Service" | "Endpoints" | "EndpointSlice") {
                assert!(named(name).is_some(), "{name}");
                seen += 1;
            }
        }
        assert_eq!(seen, TYPES.len());
    }

    #[test]
    fn names_may_be_short_and_carry_their_group() {
        assert_eq!(named("cm"), Some("configmaps"));
        assert_eq!(named("deployments.apps"), Some("deployments"));
        assert_eq!(named("widgets"), None);
        assert_eq!(named(""), None);
    }
}
