//! What a new Pod names and the API server must find (the admission plug-ins `ServiceAccount`, Priority and `RuntimeClass`).

use super::control::ControlPlane;
use crate::api::ApiError;
use crate::base::ObjectKey;
use serde_json::Value;

impl ControlPlane {
    /// Refuses a Pod whose account, priority or runtime is not there.
    pub(super) fn check_references(&self, key: &ObjectKey, pod: &Value) -> Result<(), ApiError> {
        let named = |field: &str| pod["spec"][field].as_str().filter(|name| !name.is_empty());
        let refused = |why: String| Err(ApiError::forbidden("pods", &key.name, &why));
        let namespace = &*key.namespace;
        // Every namespace has the account that a Pod has by default, again as soon as it is deleted.
        if let Some(name) = named("serviceAccountName").filter(|name| *name != "default")
            && self.object("ServiceAccount", namespace, name).is_none()
        {
            return refused(format!(
                "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
            ));
        }
        if let Some(name) = named("priorityClassName")
            && self.object("PriorityClass", "", name).is_none()
        {
            return refused(format!("no PriorityClass with name {name} was found"));
        }
        if let Some(name) = named("runtimeClassName")
            && self.object("RuntimeClass", "", name).is_none()
        {
            return refused(format!("pod rejected: RuntimeClass {name:?} not found"));
        }
        Ok(())
    }
}
