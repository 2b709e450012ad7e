//! The plug-ins that make a Pod's further interfaces: macvlan, ipvlan, vlan, bridge and SR-IOV (containernetworking/plugins,
//! `plugins/main`). What they say of a wrong configuration is held against them (`tests/cni/attachments/`).

use super::{Made, Place};
use crate::agent::fabric::random_mac;
use crate::agent::host_device;
use crate::agent::world::{Wire, World, with};
use crate::base::{IfIndex, MacAddr};
use crate::kernel::{BridgeOption, Ctx, Hairpin, Kind, Netns, NewLink, VlanLink};
use crate::trace::{IpvlanMode, LinkKind, MacvlanMode, VlanRow};
use crate::wire::VlanProtocol;
use serde_json::Value;
use std::sync::Arc;

/// The device of a node that another one rides on, and the MTU that this gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lower {
    ifindex: IfIndex,
    mac: MacAddr,
    mtu: u32,
}

/// What the plug-in says of its configuration before it makes anything (`loadConf`), and the device that it rides on.
pub(super) fn check(world: &dyn World, place: &Place<'_>, config: &Value) -> Result<Option<Lower>, String> {
    let Some(node) = world.netns(place.node) else { return Ok(None) };
    let kind = config["type"].as_str().unwrap_or_default();
    let number = |key: &str| config[key].as_i64().unwrap_or_default();
    let id = 0..4095;
    match kind {
        "vlan" if config["master"].as_str().unwrap_or_default().is_empty() => {
            return Err(
                "\"master\" field is required. It specifies the host interface name to create the VLAN for."
                    .to_owned(),
            );
        }
        "vlan" if !id.contains(&number("vlanId")) => {
            return Err(format!(
                "invalid VLAN ID {} (must be between 0 and 4095 inclusive)",
                number("vlanId")
            ));
        }
        "bridge" if !id.contains(&number("vlan")) => {
            return Err(format!("invalid VLAN ID {} (must be between 0 and 4094)", number("vlan")));
        }
        "bridge" if config["hairpinMode"] == true && config["promiscMode"] == true => {
            return Err("cannot set hairpin mode and promiscuous mode at the same time.".to_owned());
        }
        "macvlan" | "ipvlan" | "vlan" | "sriov" => {}
        _ => return Ok(None),
    }
    let lower = lower(node, config, kind)?;
    let (mtu, mode) = (number("mtu"), config["mode"].as_str().unwrap_or_default());
    if kind == "macvlan" && !(0..=i64::from(lower.mtu)).contains(&mtu) {
        return Err(format!("invalid MTU {mtu}, must be [0, master MTU({})]", lower.mtu));
    }
    let modes: &[&str] = match kind {
        "macvlan" => &["", "bridge", "private", "vepa", "passthru"],
        "ipvlan" => &["", "l2", "l3"],
        _ => &[mode],
    };
    if !modes.contains(&mode) {
        let also = if kind == "ipvlan" && mode == "l3s" { "not simulated: " } else { "" };
        return Err(format!("{also}unknown {kind} mode: \"{mode}\""));
    }
    let own = u32::try_from(mtu).ok().filter(|mtu| *mtu > 0);
    Ok(Some(Lower { mtu: own.unwrap_or(lower.mtu), ..lower }))
}

/// The device that the configuration names, or that the default route leaves by.
fn lower(node: &Netns, config: &Value, kind: &str) -> Result<Lower, String> {
    let named = config["master"].as_str().filter(|name| !name.is_empty());
    let link = if let Some(name) = named {
        let found = node.links().find(|link| *link.name == *name);
        let unknown = match kind {
            "ipvlan" => format!("failed to lookup master \"{name}\": Link not found"),
            _ => "Link not found".to_owned(),
        };
        found.ok_or(unknown)?
    } else {
        // Ways of the table local have no length of nought: what is found is a default route.
        let default = node.routes().find(|route| route.dst.prefix_len() == 0);
        default.and_then(|route| node.link(route.oif?)).ok_or("no default route interface found")?
    };
    Ok(Lower { ifindex: link.ifindex, mac: link.mac, mtu: link.mtu })
}

pub(super) fn make(
    world: &mut dyn World,
    place: &Place<'_>,
    (config, lower): (&Value, Option<Lower>),
    (name, mac): (&str, MacAddr),
) -> Result<Made, String> {
    let kind = config["type"].as_str().unwrap_or_default();
    let mode = config["mode"].as_str().unwrap_or_default();
    if let Some(Lower { ifindex: lower, mac: own, mtu }) = lower {
        let (kind, shown, mac) = match kind {
            "ipvlan" => {
                let mode = if mode == "l3" { IpvlanMode::L3 } else { IpvlanMode::L2 };
                (Kind::Ipvlan { lower, mode }, LinkKind::Ipvlan { lower, mode }, own)
            }
            "vlan" => {
                let id = config["vlanId"].as_u64().unwrap_or_default() as u16;
                let protocol = VlanProtocol::Dot1q;
                let kind = Kind::Vlan(VlanLink { lower, id, protocol });
                (kind, LinkKind::Vlan { lower, id, protocol }, own)
            }
            // The card's own switch joins its functions as a macvlan in mode bridge joins its devices.
            _ => {
                let mode = match mode {
                    "private" => MacvlanMode::Private,
                    "vepa" => MacvlanMode::Vepa,
                    "passthru" => MacvlanMode::Passthru,
                    _ => MacvlanMode::Bridge,
                };
                (Kind::Macvlan { lower, mode }, LinkKind::Macvlan { lower, mode }, mac)
            }
        };
        return Ok(moved(world, place, (kind, shown), (name, mac, mtu)));
    }
    match kind {
        "bridge" => bridged(world, place, config, (name, mac)),
        "host-device" => host_device::add(world, (place.node, place.sandbox), config, name),
        "" => Err("the configuration names no \"type\"".to_owned()),
        kind => Err(format!("not simulated: plug-in \"{kind}\"")),
    }
}

fn moved(
    world: &mut dyn World,
    place: &Place<'_>,
    (kind, shown): (Kind, LinkKind),
    (name, mac, mtu): (&str, MacAddr, u32),
) -> Made {
    let new = NewLink { name: name.into(), kind: Kind::Loopback, mac, mtu, txqlen: 1000 };
    let (ifindex, stub) = world.add_moved((place.node, kind), (place.sandbox, new), &shown);
    Made { ifindex, mac, stub: Some(stub), held: None }
}

/// A veth pair, one end of it a port of a bridge that is made if need be.
/// The bridge of that name, made if need be (`setupBridge`).
fn bridge(netns: &mut Netns, ctx: &mut Ctx<'_>, config: &Value, mac: MacAddr) -> IfIndex {
    let name = config["bridge"].as_str().unwrap_or("cni0");
    let there = netns.link_named(name).map(|link| link.ifindex);
    let bridge = there.unwrap_or_else(|| {
        let mtu = mtu(config);
        let made =
            netns.add_link(ctx, NewLink { name: name.into(), kind: Kind::bridge(), mac, mtu, txqlen: 1000 });
        if vlan(config).is_some() {
            netns.set_bridge(ctx, made, BridgeOption::VlanFiltering(true));
        }
        netns.set_up(ctx, made);
        made
    });
    if config["promiscMode"] == true {
        netns.set_promisc(ctx, bridge, true);
    }
    bridge
}

fn mtu(config: &Value) -> u32 {
    config["mtu"].as_u64().map_or(1500, |mtu| mtu as u32)
}

/// The VLAN that a port is given; none where it is 0.
fn vlan(config: &Value) -> Option<u16> {
    config["vlan"].as_u64().filter(|id| *id != 0).map(|id| id as u16)
}

/// A veth pair, one end of it a port of a bridge.
fn bridged(
    world: &mut dyn World,
    place: &Place<'_>,
    config: &Value,
    (name, mac): (&str, MacAddr),
) -> Result<Made, String> {
    let wanted = config["bridge"].as_str().unwrap_or("cni0");
    let there = world.netns(place.node).and_then(|netns| netns.link_named(wanted));
    if there.is_some_and(|link| !matches!(link.kind, Kind::Bridge(_))) {
        return Err(format!(
            "failed to create bridge \"{wanted}\": \"{wanted}\" already exists but is not a bridge"
        ));
    }
    let macs = (random_mac(world), random_mac(world));
    let end: Arc<str> = format!("veth{:08x}", world.rng().u32(..)).into();
    let mtu = mtu(config);
    let link = |name: Arc<str>, mac: MacAddr| NewLink { name, kind: Kind::Loopback, mac, mtu, txqlen: 0 };
    let ends = ((place.sandbox, link(name.into(), mac)), (place.node, link(end, macs.0)));
    let (ifindex, port) = world.add_wire(Wire::Veth, ends.0, ends.1);
    with(world, place.node, |netns, ctx| {
        let bridge = bridge(netns, ctx, config, macs.1);
        netns.set_up(ctx, port);
        let hairpin = if config["hairpinMode"] == true { Hairpin::On } else { Hairpin::Off };
        netns.set_master(ctx, port, bridge, hairpin);
        if let Some(id) = vlan(config) {
            let row = VlanRow { netns: netns.id, ifindex: port, id, pvid: true, untagged: true };
            netns.add_vlan(ctx, row);
        }
    });
    Ok(Made { ifindex, mac, stub: None, held: None })
}
