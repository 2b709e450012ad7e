//! What a finding of the linter is about, shown in the running lab: its command with the names and addresses that the
//! cluster has given by now.

use super::{Lab, Target};
use crate::base::{Demo, DemoPlace};
use crate::trace::{Inventory, PodRow};
use std::ops::Deref;

impl Lab {
    /// Where to run a demonstration, and its command line; `None` while what it needs is not there.
    pub fn demonstration(&mut self, demo: &Demo) -> Option<(Target, String)> {
        let live = self.live();
        let place = match &demo.place {
            DemoPlace::Node => node(live)?,
            DemoPlace::Named("host", name) => Target::Host(name.clone()),
            DemoPlace::Named(_, name) => Target::Node(name.clone()),
            DemoPlace::Pod(namespace, owner) => pod_target(pod_of(live, namespace, owner)?),
            DemoPlace::AnyPod => pods(live).next().map_or_else(|| node(live), |row| Some(pod_target(row)))?,
        };
        Some((place, filled(live, &demo.command)?))
    }
}

/// Pods that have their network.
fn pods(live: &Inventory) -> impl Iterator<Item = &PodRow> {
    live.pods
        .values()
        .map(Deref::deref)
        .filter(|row: &&PodRow| row.netns.is_some() && row.ip.is_some() && !row.deleting)
}

/// The Pod of this name, or the first one that a controller of this name made.
fn pod_of<'a>(live: &'a Inventory, namespace: &str, owner: &str) -> Option<&'a PodRow> {
    let made = |row: &&PodRow| row.name.strip_prefix(owner).is_some_and(|rest| rest.starts_with('-'));
    let here = || pods(live).filter(|row| &*row.namespace == namespace);
    here().find(|row| &*row.name == owner).or_else(|| here().find(made))
}

fn node(live: &Inventory) -> Option<Target> {
    live.nodes.keys().next().map(|name| Target::Node(name.to_string()))
}

fn pod_target(row: &PodRow) -> Target {
    Target::Pod { namespace: row.namespace.to_string(), name: row.name.to_string(), container: None }
}

/// The end of a Pod's veth pair that is on its node.
fn veth(live: &Inventory, pod: &PodRow) -> Option<String> {
    let eth0 = live.netns.get(&pod.netns?)?.link_named("eth0")?;
    let (netns, ifindex) = eth0.kind.wire()?;
    let link = live.netns.get(&netns)?.links.get(&ifindex)?;
    Some(link.name.to_string())
}

/// Fills in `{service NS/NAME}`, the cluster IP; `{pod NS/NAME}`, the address of a Pod or of one that a controller
/// made; and `{far NS/NAME}`, the address of a Pod on another node than that one's.
fn filled(live: &Inventory, command: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = command;
    while let Some((before, behind)) = rest.split_once('{') {
        let (asked, after) = behind.split_once('}')?;
        let (word, name) = asked.split_once(' ')?;
        let (namespace, name) = name.split_once('/')?;
        let value = match word {
            "service" => {
                let mut services = live.services.values();
                let row = services.find(|row| &*row.namespace == namespace && &*row.name == name)?;
                Some(row.cluster_ip.to_string()).filter(|ip| !matches!(ip.as_str(), "" | "None"))?
            }
            "pod" => pod_of(live, namespace, name)?.ip?.to_string(),
            "far" => {
                let own = pod_of(live, namespace, name)?;
                pods(live).find(|row| row.node != own.node)?.ip?.to_string()
            }
            "veth" => veth(live, pod_of(live, namespace, name)?)?,
            _ => return None,
        };
        out.push_str(before);
        out.push_str(&value);
        rest = after;
    }
    Some(out + rest)
}
