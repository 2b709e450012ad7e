//! Where commands run.

use super::{Container, Lab};
use crate::base::NetnsId;
use crate::trace::ContainerState;
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
    /// The Pod has no such container; the container, the Pod, the names it has as `kubectl` lists them.
    NoSuchContainer(String, String, Vec<String>),
    /// The Pod does not run: its name and state.
    NotRunning(String, String),
    /// The Pod runs, but this container of it has ended: its name.
    Ended(String),
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
                    "error: container {container} is not valid for pod {pod} out of: {}",
                    names.join(", ")
                )
            }
            // The kubelet looks only among what the runtime has running.
            Self::Ended(container) => {
                let what = format!("container not found (\"{container}\")");
                write!(f, "error: Internal error occurred: unable to upgrade connection: {what}")
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
                        let inits = pod.spec.init_containers.iter().map(|at| format!("{} (init)", at.name));
                        let names = pod.spec.containers.iter().map(|at| at.name.clone()).chain(inits);
                        StartError::NoSuchContainer(wanted.clone(), name.clone(), names.collect())
                    })?),
                };
                if let Some(chosen) = chosen.filter(|chosen| self.has_ended(namespace, name, &chosen.name)) {
                    return Err(StartError::Ended(chosen.name.clone()));
                }
                let image = chosen.map(|container| container.image.clone().unwrap_or_default());
                Ok((netns, Container { image, namespace: namespace.clone() }))
            }
        }
    }

    /// Whether a container of a Pod has ended, as an init container has where the Pod runs.
    fn has_ended(&self, namespace: &str, pod: &str, container: &str) -> bool {
        let row = self.live.pods.get(&(namespace.into(), pod.into()));
        let mut containers = row.iter().flat_map(|row| &row.containers);
        let found = containers.find(|at| &*at.name == container);
        found.is_some_and(|found| matches!(found.state, ContainerState::Terminated(..)))
    }
}
