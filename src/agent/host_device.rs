//! The CNI plug-in host-device (containernetworking/plugins, `plugins/main/host-device`): a device of the node is moved
//! into a Pod and comes back when the Pod goes. *Simulated*: devices at a wire, by `device` or `hwaddr`. *Simplified*: the
//! temporary name between the two namespaces is left out.

use super::multus::Made;
use super::world::{World, with};
use crate::base::{IfIndex, MacAddr, NetnsId};
use crate::kernel::Link;
use serde_json::Value;
use std::sync::Arc;

/// A device that a Pod holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) sandbox: NetnsId,
    node: NetnsId,
    /// Its name in the Pod; the one at the node is its alias.
    name: Arc<str>,
}

/// Moves a device (`cmdAdd`, `moveLinkIn`). The error is the plug-in's.
pub(super) fn add(
    world: &mut dyn World,
    (node, sandbox): (NetnsId, NetnsId),
    config: &Value,
    name: &str,
) -> Result<Made, String> {
    let (ifindex, mac, own_name) = find(world, node, config)?;
    let name: Arc<str> = name.into();
    let moved = world
        .move_end((node, ifindex), sandbox, name.clone())
        .ok_or_else(|| format!("not simulated: moving \"{own_name}\", which is at no wire, into a Pod"))?;
    with(world, sandbox, |netns, ctx| netns.set_alias(ctx, moved, &own_name));
    Ok(Made { ifindex: moved, mac, stub: None, held: Some(Held { sandbox, node, name }) })
}

/// The device that the configuration means (`getLink`).
fn find(world: &dyn World, node: NetnsId, config: &Value) -> Result<(IfIndex, MacAddr, Arc<str>), String> {
    let text = |key: &str| config[key].as_str().filter(|text| !text.is_empty());
    let links = || world.netns(node).into_iter().flat_map(crate::kernel::Netns::links);
    let known = |link: &Link| (link.ifindex, link.mac, link.name.clone());
    if let Some(device) = text("device") {
        let found = links().find(|link| *link.name == *device).map(known);
        return found.ok_or_else(|| "failed to find host device: Link not found".to_owned());
    }
    if let Some(wanted) = text("hwaddr") {
        let mac: MacAddr = wanted.parse().map_err(|_| {
            format!("failed to find host device: failed to parse MAC address {wanted:?}: address {wanted}: invalid MAC address")
        })?;
        let found = links().find(|link| link.mac == mac).map(known);
        return found
            .ok_or_else(|| "failed to find host device: failed to find physical interface".to_owned());
    }
    match ["kernelpath", "pciBusID"].into_iter().find(|key| text(key).is_some()) {
        Some(key) => Err(format!("not simulated: \"{key}\" of the plug-in host-device")),
        None => Err("specify either \"device\", \"hwaddr\", \"kernelpath\" or \"pciBusID\"".to_owned()),
    }
}

impl Held {
    /// Moves the device back to its node, where it stays down (`cmdDel`, `moveLinkOut`).
    pub(super) fn give_back(self, world: &mut dyn World) {
        let link = world.netns(self.sandbox).and_then(|netns| netns.link_named(&self.name));
        let Some(link) = link else { return };
        let (ifindex, name) = (link.ifindex, link.extra.alias.clone().unwrap_or(self.name));
        world.move_end((self.sandbox, ifindex), self.node, name);
    }
}
