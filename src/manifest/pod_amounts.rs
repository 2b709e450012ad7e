//! What a Pod as a whole asks for and may use (`k8s.io/component-helpers/resource`, `PodRequests` and `PodLimits`): what its
//! containers and sidecars say together, or what its start needs more, unless the Pod says so itself, and the overhead of
//! its runtime.

use crate::base::quantity;
use serde_json::Value;
use std::collections::BTreeMap;

/// Amounts of resources, in thousandths.
pub type Amounts = BTreeMap<String, i128>;

/// The parts of a Pod's specification from which its amounts follow.
#[derive(Clone, Debug)]
pub struct Sources<'s> {
    /// `resources` of each container.
    pub containers: Vec<&'s Value>,
    /// Those of each container of the start, and whether it stays as a sidecar.
    pub init_containers: Vec<(&'s Value, bool)>,
    /// Those of the Pod as a whole.
    pub whole: &'s Value,
    /// `overhead`.
    pub overhead: &'s Value,
}

/// Whether a Pod as a whole may name a resource (`IsSupportedPodLevelResource`).
pub fn is_of_whole(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

/// Amounts as they are written.
pub fn listed(amounts: &Value) -> Amounts {
    let entries = amounts.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), quantity::of_json(value)?))).collect()
}

/// What a container asks for: limits stand in for requests that are not written (`SetDefaults_Pod`).
fn asked(resources: &Value) -> Amounts {
    let mut amounts = listed(&resources["limits"]);
    amounts.extend(listed(&resources["requests"]));
    amounts
}

impl<'s> Sources<'s> {
    /// Those of a specification.
    pub fn of(spec: &'s Value) -> Self {
        let list = |name: &str| spec[name].as_array().into_iter().flatten();
        Self {
            containers: list("containers").map(|one| &one["resources"]).collect(),
            init_containers: list("initContainers")
                .map(|one| (&one["resources"], one["restartPolicy"] == "Always"))
                .collect(),
            whole: &spec["resources"],
            overhead: &spec["overhead"],
        }
    }

    /// Whether the Pod as a whole says anything (`IsPodLevelResourcesSet`).
    pub fn has_whole(&self) -> bool {
        let lists = ["requests", "limits"].into_iter();
        lists.flat_map(|list| listed(&self.whole[list])).any(|(name, _)| is_of_whole(&name))
    }

    /// What the Pod asks for.
    pub fn requests(&self) -> Amounts {
        let mut sum = self.requests_alone();
        for (name, amount) in listed(self.overhead) {
            *sum.entry(name).or_default() += amount;
        }
        sum
    }

    /// What the Pod may use at most, as far as it is written.
    pub fn limits(&self) -> Amounts {
        let mut sum = self.limits_alone();
        for (name, amount) in listed(self.overhead) {
            if let Some(limit) = sum.get_mut(&name) {
                *limit += amount;
            }
        }
        sum
    }

    /// What the Pod asks for without the overhead. A limit of the whole stands for a request of the whole where no container
    /// asks for anything of it (`defaultPodRequests`).
    pub fn requests_alone(&self) -> Amounts {
        let mut sum = self.together(asked);
        for (name, amount) in listed(&self.whole["limits"]).into_iter().filter(|(name, _)| is_of_whole(name))
        {
            sum.entry(name).or_insert(amount);
        }
        sum.extend(listed(&self.whole["requests"]).into_iter().filter(|(name, _)| is_of_whole(name)));
        sum
    }

    /// What the Pod may use at most without the overhead.
    pub fn limits_alone(&self) -> Amounts {
        let mut sum = self.together(|resources| listed(&resources["limits"]));
        sum.extend(listed(&self.whole["limits"]).into_iter().filter(|(name, _)| is_of_whole(name)));
        sum
    }

    /// What its containers ask for (`AggregateContainerRequests`).
    pub fn requests_of_containers(&self) -> Amounts {
        self.together(asked)
    }

    /// The containers and sidecars together, or the container of the start that needs most beside the sidecars before it.
    fn together(&self, of_container: impl Fn(&Value) -> Amounts) -> Amounts {
        let mut sum = Amounts::new();
        for (name, amount) in self.containers.iter().flat_map(|one| of_container(one)) {
            *sum.entry(name).or_default() += amount;
        }
        let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
        for (resources, stays) in &self.init_containers {
            for (name, amount) in of_container(resources) {
                let beside = sidecars.entry(name.clone()).or_default();
                let peak = most.entry(name.clone()).or_default();
                *peak = (*peak).max(*beside + amount);
                if *stays {
                    *beside += amount;
                    *sum.entry(name).or_default() += amount;
                }
            }
        }
        for (name, amount) in most {
            let wanted = sum.entry(name).or_default();
            *wanted = (*wanted).max(amount);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::Sources;
    use serde_json::{Value, json};

    fn check(spec: &Value, requests: &Value, limits: &Value) {
        let sources = Sources::of(spec);
        assert_eq!((json!(sources.requests()), json!(sources.limits())), (requests.clone(), limits.clone()));
    }

    fn cpu(request: i32) -> Value {
        json!({ "resources": { "requests": { "cpu": request } } })
    }

    #[test]
    fn the_start_counts_where_it_needs_more_than_what_runs() {
        let sidecar = json!({ "restartPolicy": "Always", "resources": { "requests": { "cpu": 1 } } });
        let spec = json!({ "initContainers": [cpu(5), sidecar, cpu(3)], "containers": [cpu(2), cpu(1)] });
        check(&spec, &json!({ "cpu": 5_000 }), &json!({}));
        let spec = json!({ "initContainers": [sidecar, cpu(3)], "containers": [cpu(2), cpu(2)] });
        check(&spec, &json!({ "cpu": 5_000 }), &json!({}));
    }

    #[test]
    fn overhead_comes_on_top_of_what_is_limited() {
        let spec = json!({
            "containers": [{ "resources": { "limits": { "cpu": 2 } } }],
            "overhead": { "cpu": "250m", "memory": "1" },
        });
        check(&spec, &json!({ "cpu": 2_250, "memory": 1_000 }), &json!({ "cpu": 2_250 }));
    }

    #[test]
    fn what_the_pod_says_itself_counts_before_its_containers() {
        let spec = json!({
            "containers": [cpu(1)],
            "resources": { "limits": { "cpu": 4, "memory": 8 } },
        });
        check(&spec, &json!({ "cpu": 1_000, "memory": 8_000 }), &json!({ "cpu": 4_000, "memory": 8_000 }));
        let spec = json!({ "containers": [cpu(1)], "resources": { "requests": { "cpu": 2, "gpu": 1 } } });
        check(&spec, &json!({ "cpu": 2_000 }), &json!({}));
    }
}
