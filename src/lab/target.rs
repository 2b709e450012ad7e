//! Where commands run.

use super::{Container, Lab};
use crate::base::NetnsId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a command runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// A container of a Pod.
    Pod {
        /// Namespace of the Pod.
        namespace: String,
        /// Name of the Pod.
        name: String,
        /// Name of the container; the first one where `None`.
        container: Option<String>,
    },
    /// A node, by name.
    Node(String),
    /// A host outside the cluster, by name.
    Host(String),
}

/// Why a command could not be started at all. It reads as `kubectl exec` would say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// There is no such Pod, node or host: its kind and name.
    NoSuchTarget(&'static str, String),
    /// The Pod has no such container; the container, the Pod, the names it has.
    NoSuchContainer(String, String, Vec<String>),
    /// The Pod does not run: its name and state.
    NotRunning(String, String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchTarget(kind, name) => {
                write!(f, "Error from server (NotFound): {kind} \"{name}\" not found")
            }
            Self::NoSuchContainer(container, pod, names) => {
                write!(
                    f,
                    "Error from server (BadRequest): container {container} is not valid for pod {pod}; it has: {}",
                    names.join(", ")
                )
            }
            Self::NotRunning(pod, state) => {
                write!(f, "error: cannot exec into a container of pod {pod}: its state is {state}")
            }
        }
    }
}

impl Target {
    /// Reads a target as the command line takes it: `POD`, `NAMESPACE/POD`, `pod/POD`, `node/NAME`, `host/NAME`.
    pub fn parse(text: &str, namespace: &str, container: Option<&str>) -> Self {
        let pod = |namespace: &str, name: &str| Self::Pod {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            container: container.map(str::to_owned),
        };
        match text.split_once('/') {
            Some(("node", name)) => Self::Node(name.to_owned()),
            Some(("host", name)) => Self::Host(name.to_owned()),
            Some(("pod" | "pods", name)) => pod(namespace, name),
            Some((namespace, name)) => pod(namespace, name),
            None => pod(namespace, text),
        }
    }
}

impl Lab {
    /// The namespace of a target and the container that commands run in.
    pub(super) fn find(&self, target: &Target) -> Result<(NetnsId, Container), StartError> {
        let missing = |kind, name: &str| StartError::NoSuchTarget(kind, name.to_owned());
        let Some(control) = self.sim.agent() else { return Err(missing("pods", "")) };
        let bare = Container { image: None, namespace: "default".to_owned() };
        match target {
            Target::Node(name) => Ok((control.node_netns(name).ok_or_else(|| missing("nodes", name))?, bare)),
            Target::Host(name) => Ok((control.host_netns(name).ok_or_else(|| missing("hosts", name))?, bare)),
            Target::Pod { namespace, name, container } => {
                let netns = control.pod_netns(namespace, name).ok_or_else(|| missing("pods", name))?;
                let netns = netns.map_err(|state| StartError::NotRunning(name.clone(), state))?;
                let pod = control.pod(namespace, name).ok_or_else(|| missing("pods", name))?;
                let containers = || pod.spec.containers.iter().chain(&pod.spec.init_containers);
                let chosen = match container {
                    None => containers().next(),
                    Some(wanted) => Some(containers().find(|at| at.name == *wanted).ok_or_else(|| {
                        let names = containers().map(|at| at.name.clone()).collect();
                        StartError::NoSuchContainer(wanted.clone(), name.clone(), names)
                    })?),
                };
                let image = chosen.map(|container| container.image.clone().unwrap_or_default());
                Ok((netns, Container { image, namespace: namespace.clone() }))
            }
        }
    }
}
