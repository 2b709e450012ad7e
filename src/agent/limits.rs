//! Limit ranges at work: new Pods are filled in and refused as [`crate::manifest::limits`] decides.

use super::control::ControlPlane;
use crate::api::ApiError;
use crate::manifest::limits::{complete, objections};
use crate::trace::ObjectRow;
use serde_json::Value;
use std::sync::Arc;

impl ControlPlane {
    /// The limit ranges of a namespace.
    fn ranges_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Value> {
        let here = move |row: &&Arc<ObjectRow>| *row.key.namespace == *namespace;
        self.objects_of("LimitRange").filter(here).map(|row| &*row.value)
    }

    /// A Pod filled in as it is admitted: its sidecar, and what the limit ranges of its namespace say; nothing where
    /// there is neither.
    pub(super) fn completed_pod(&self, namespace: &str, pod: &Value) -> Option<Value> {
        let mut pod = pod.clone();
        let injected = self.inject_sidecar(namespace, &mut pod);
        // A class that is not there is refused where the API server is asked.
        let prioritized = self.prioritize(&mut pod).unwrap_or(false);
        let mut ranges = self.ranges_in(namespace).peekable();
        if !injected && !prioritized {
            ranges.peek()?;
        }
        for range in ranges {
            complete(&mut pod, range);
        }
        Some(pod)
    }

    /// Fills a new Pod in as it is admitted, and refuses it where it goes beyond its namespace's limit ranges.
    pub(super) fn limit_pod(&self, namespace: &str, pod: &mut Value) -> Result<(), ApiError> {
        self.inject_sidecar(namespace, pod);
        for range in self.ranges_in(namespace) {
            complete(pod, range);
            let why: Vec<String> = objections(pod, range).into_iter().map(|(_, why)| why).collect();
            let why = match &why[..] {
                [] => continue,
                [only] => only.clone(),
                several => format!("[{}]", several.join(", ")),
            };
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            return Err(ApiError::forbidden("pods", name, &why));
        }
        self.prioritize(pod).map(|_| ()).map_err(|why| {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            ApiError::forbidden("pods", name, &why)
        })
    }

    /// Gives a Pod the priority of its class, or of the class for those that name none (`plugin/pkg/admission/priority`);
    /// whether there is one.
    fn prioritize(&self, pod: &mut Value) -> Result<bool, String> {
        let class = pod["spec"]["priorityClassName"].as_str().filter(|class| !class.is_empty());
        let found = if let Some(name) = class {
            let class = self.object("PriorityClass", "", name);
            Some(class.ok_or_else(|| format!("no PriorityClass with name {name} was found"))?)
        } else {
            let is_default =
                |class: &&Arc<ObjectRow>| class.at(&["globalDefault"]) == Some(&Value::Bool(true));
            self.objects_of("PriorityClass").find(is_default)
        };
        let Some(class) = found else { return Ok(false) };
        let policy = class.text(&["preemptionPolicy"]).unwrap_or("PreemptLowerPriority");
        let spec = &mut pod["spec"];
        spec["priority"] = class.at(&["value"]).cloned().unwrap_or_default();
        spec["priorityClassName"] = class.key.name.to_string().into();
        if spec["preemptionPolicy"].is_null() {
            spec["preemptionPolicy"] = policy.into();
        }
        Ok(true)
    }
}
