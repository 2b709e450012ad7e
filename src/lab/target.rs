//! Where commands run.

use super::Lab;
use crate::agent::Environment;
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
    /// The Pod has no such container; the container, the Pod, the names it has as `kubectl` lists them.
    NoSuchContainer(String, String, Vec<String>),
    /// The Pod does not run: its name and state.
    NotRunning(String, String),
    /// The Pod runs, but this container of it has ended: its name.
    Ended(String),
    /// Its node stands still: what was asked for.
    Stopped(String),
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
            Self::Stopped(target) => write!(f, "error: {target} does not answer: its node stands still"),
            Self::NotRunning(pod, state) => {
                write!(f, "error: cannot exec into a container of pod {pod}: its state is {state}")
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod { namespace, name, .. } => write!(f, "{namespace}/{name}"),
            Self::Node(name) => write!(f, "node/{name}"),
            Self::Host(name) => write!(f, "host/{name}"),
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
    pub(super) fn find(&mut self, target: &Target) -> Result<(NetnsId, Environment), StartError> {
        let missing = |kind, name: &str| StartError::NoSuchTarget(kind, name.to_owned());
        let machine = match target {
            Target::Node(name) => {
                let netns = self.sim.agent().and_then(|control| control.node_netns(name));
                Some(netns.ok_or_else(|| missing("nodes", name))?)
            }
            Target::Host(name) => {
                let netns = self.sim.agent().and_then(|control| control.host_netns(name));
                Some(netns.ok_or_else(|| missing("hosts", name))?)
            }
            Target::Pod { .. } => None,
        };
        if let Some(netns) = machine {
            return Ok((netns, self.sim.machine(netns)));
        }
        let Some(control) = self.sim.agent() else { return Err(missing("pods", "")) };
        match target {
            Target::Node(name) | Target::Host(name) => Err(missing("nodes", name)),
            Target::Pod { namespace, name, container } => {
                let netns = control.pod_netns(namespace, name).ok_or_else(|| missing("pods", name))?;
                let netns = netns.map_err(|state| StartError::NotRunning(name.clone(), state))?;
                let pod = control.pod(namespace, name).ok_or_else(|| missing("pods", name))?;
                let index = match container {
                    None => pod.spec.init_containers.len(),
                    Some(wanted) => place_of(pod, wanted).ok_or_else(|| {
                        let inits = pod.spec.init_containers.iter().map(|at| format!("{} (init)", at.name));
                        let names = pod.spec.containers.iter().map(|at| at.name.clone()).chain(inits);
                        StartError::NoSuchContainer(wanted.clone(), name.clone(), names.collect())
                    })?,
                };
                let chosen = pod.spec.all_containers().nth(index);
                let chosen = chosen.map_or("", |container| container.name.as_str());
                let environment = control.environment(namespace, name, index);
                match environment.filter(|_| control.container_runs(namespace, name, index)) {
                    Some(environment) => Ok((netns, environment.clone())),
                    None => Err(StartError::Ended(chosen.to_owned())),
                }
            }
        }
    }
}

/// The place of a container among the init containers and the containers of a Pod.
fn place_of(pod: &crate::api::Pod, name: &str) -> Option<usize> {
    pod.spec.all_containers().position(|at| at.name == name)
}
