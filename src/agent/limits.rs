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
        let mut ranges = self.ranges_in(namespace).peekable();
        if !injected {
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
        Ok(())
    }
}
