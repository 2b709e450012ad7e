//! What rules of roles allow, taken apart as the client shows them (`pkg/util/rbac`).

use super::json::list;
use serde_json::Value;

/// What a rule, or several for one resource, allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) groups: Vec<String>,
    pub(super) resources: Vec<String>,
    pub(super) names: Vec<String>,
    /// Paths that are no resources.
    pub(super) paths: Vec<String>,
    pub(super) verbs: Vec<String>,
}

/// A list as Go writes it.
pub(super) fn bracketed(items: &[String]) -> String {
    format!("[{}]", items.join(" "))
}

fn strings(value: &Value, path: &str) -> Vec<String> {
    list(value, path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Allowed {
    /// `deployments.apps`, `pods/log` (`CombineResourceGroup`).
    pub(super) fn resource(&self) -> String {
        let Some(resource) = self.resources.first() else { return String::new() };
        let (name, below) =
            resource.split_once('/').map_or((resource.as_str(), None), |(name, below)| (name, Some(below)));
        let group = self.groups.first().filter(|group| !group.is_empty());
        let group = group.map_or(String::new(), |group| format!(".{group}"));
        let below = below.map_or(String::new(), |below| format!("/{below}"));
        format!("{name}{group}{below}")
    }

    /// The four cells of a table: resource, paths, names and verbs.
    pub(super) fn cells(&self) -> [String; 4] {
        let [paths, names, verbs] = [&self.paths, &self.names, &self.verbs].map(|items| bracketed(items));
        [self.resource(), paths, names, verbs]
    }
}

/// The rules taken apart, those for one resource put together, in the order of their Go text (`BreakdownRule`,
/// `CompactRules`, `SortableRuleSlice`).
pub(super) fn compact<'r>(rules: impl IntoIterator<Item = &'r Value>) -> Vec<Allowed> {
    let mut found: Vec<Allowed> = Vec::new();
    for rule in rules {
        let of = |path: &str| strings(rule, path);
        let (names, verbs) = (of("resourceNames"), of("verbs"));
        let names: Vec<Vec<String>> = if names.is_empty() {
            vec![Vec::new()]
        } else {
            names.into_iter().map(|name| vec![name]).collect()
        };
        let groups = of("apiGroups");
        let places = groups
            .iter()
            .flat_map(|group| of("resources").into_iter().map(move |resource| (group, resource)));
        for (group, resource) in places {
            for names in &names {
                let (groups, resources) = (vec![group.clone()], vec![resource.clone()]);
                let same = |known: &&mut Allowed| {
                    known.groups == groups && known.resources == resources && known.names == *names
                };
                if let Some(known) = found.iter_mut().find(same) {
                    known.verbs.extend(verbs.iter().cloned());
                    continue;
                }
                let (names, verbs) = (names.clone(), verbs.clone());
                found.push(Allowed { groups, resources, names, paths: Vec::new(), verbs });
            }
        }
        for path in of("nonResourceURLs") {
            let of_path = |verb: &String| Allowed {
                paths: vec![path.clone()],
                verbs: vec![verb.clone()],
                ..Allowed::default()
            };
            found.extend(verbs.iter().map(of_path));
        }
    }
    found.sort_by_cached_key(|one| {
        let [verbs, groups, resources, names, paths] =
            [&one.verbs, &one.groups, &one.resources, &one.names, &one.paths].map(|items| bracketed(items));
        format!(
            "&PolicyRule{{Verbs:{verbs},APIGroups:{groups},Resources:{resources},ResourceNames:{names},NonResourceURLs:{paths},}}"
        )
    });
    found
}
