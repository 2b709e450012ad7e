//! Settings of bridges and their ports (`ip link set type bridge`, `bridge link set`; `net/bridge/br_netlink.c`).

use super::link::FdbEntry;
use super::stp::{StpTimes, from_centis};
use super::{Ctx, Kind, Link, Netns};
use crate::base::{Duration, EventId, IfIndex, MacAddr};
use crate::trace::{PortState, TableChange};
use crate::wire::{BridgeId, VlanProtocol, port_id};

/// A setting of a bridge. Times are in hundredths of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeOption {
    /// `stp_state`.
    Stp(bool),
    /// `priority`.
    Priority(u16),
    /// `forward_delay`.
    ForwardDelay(u32),
    /// `hello_time`.
    HelloTime(u32),
    /// `max_age`.
    MaxAge(u32),
    /// `ageing_time`.
    Ageing(u32),
    /// `fdb_flush`: forgets what was learnt.
    FdbFlush,
    /// `vlan_filtering`.
    VlanFiltering(bool),
    /// `vlan_protocol`.
    VlanProtocol(VlanProtocol),
    /// `vlan_default_pvid`.
    DefaultPvid(u16),
}

/// A setting of a bridge port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortOption {
    /// `cost`.
    Cost(u32),
    /// `priority`.
    Priority(u8),
    /// `state`.
    State(PortState),
    /// `hairpin`.
    Hairpin(bool),
    /// `guard`.
    Guard(bool),
    /// `root_block`.
    RootBlock(bool),
    /// `learning`.
    Learning(bool),
    /// `flood`.
    Flood(bool),
    /// `mcast_flood`.
    McastFlood(bool),
    /// `bcast_flood`.
    BcastFlood(bool),
    /// `isolated`.
    Isolated(bool),
}

impl PortOption {
    /// Reads a setting in the words of `bridge link set`; `None` for one that is not known here.
    pub fn read(word: &str, value: &str) -> Option<Self> {
        let on = match value {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        Some(match word {
            "cost" => Self::Cost(value.parse().ok()?),
            "priority" => Self::Priority(value.parse().ok().filter(|priority| *priority < 64)?),
            "state" => Self::State(match value {
                "0" | "disabled" => PortState::Disabled,
                "1" | "listening" => PortState::Listening,
                "2" | "learning" => PortState::Learning,
                "3" | "forwarding" => PortState::Forwarding,
                "4" | "blocking" => PortState::Blocking,
                _ => return None,
            }),
            "hairpin" => Self::Hairpin(on?),
            "guard" => Self::Guard(on?),
            "root_block" => Self::RootBlock(on?),
            "learning" => Self::Learning(on?),
            "flood" => Self::Flood(on?),
            "mcast_flood" => Self::McastFlood(on?),
            "bcast_flood" => Self::BcastFlood(on?),
            "isolated" => Self::Isolated(on?),
            _ => return None,
        })
    }
}

impl super::Bridge {
    /// The times that the bridge would run by if it were the root.
    pub(super) fn own_times(&self) -> StpTimes {
        StpTimes {
            max_age: from_centis(self.row.max_age),
            hello_time: from_centis(self.row.hello_time),
            forward_delay: from_centis(self.row.forward_delay),
        }
    }

    /// How long what was learnt is kept: less while the topology changes.
    pub(super) fn ageing_in_force(&self) -> Duration {
        let short = Duration(self.stp.times.forward_delay.0 * 2);
        if self.row.topology_change && short < self.ageing { short } else { self.ageing }
    }
}

impl Netns {
    /// Changes a setting of a bridge.
    pub fn set_bridge(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, option: BridgeOption) {
        let is_root = self.bridge(bridge).is_some_and(|state| state.row.id == state.row.root);
        let Some(state) = self.bridge_mut(bridge) else { return };
        match option {
            BridgeOption::Stp(on) => self.br_stp_set_enabled(ctx, bridge, on),
            BridgeOption::Priority(priority) => {
                let id = BridgeId { priority, ..state.row.id };
                self.br_stp_change_bridge_id(ctx, bridge, id);
            }
            BridgeOption::ForwardDelay(centis) => state.row.forward_delay = centis,
            BridgeOption::HelloTime(centis) => state.row.hello_time = centis,
            BridgeOption::MaxAge(centis) => state.row.max_age = centis,
            BridgeOption::Ageing(centis) => {
                state.ageing = from_centis(centis);
                self.br_fdb_watch(ctx, bridge);
            }
            BridgeOption::FdbFlush => self.br_fdb_forget(ctx, bridge, |_| true),
            BridgeOption::VlanFiltering(on) => {
                state.row.vlan_filtering = on;
                if on {
                    self.init_vlans(ctx, bridge);
                }
            }
            BridgeOption::VlanProtocol(protocol) => state.row.vlan_protocol = protocol,
            BridgeOption::DefaultPvid(pvid) => self.set_default_pvid(ctx, bridge, pvid),
        }
        // The root's own times are in force at once.
        if is_root && let Some(state) = self.bridge_mut(bridge) {
            state.stp.times = state.own_times();
        }
        self.record_link(ctx, bridge);
    }

    /// Changes a setting of a bridge port.
    pub fn set_port(&mut self, ctx: &mut Ctx<'_>, at: IfIndex, option: PortOption) {
        let Some(port) = self.link_mut(at).and_then(|link| link.port.as_mut()) else { return };
        let bridge = port.master;
        match option {
            PortOption::Cost(cost) => port.extra.cost = cost,
            PortOption::Priority(priority) => {
                let old = port_id(port.extra.priority, port.number);
                port.extra.priority = priority;
                let new = port_id(priority, port.number);
                if let Some(designated) = &mut port.extra.designated
                    && designated.port == old
                {
                    designated.port = new;
                }
            }
            PortOption::State(state) => self.set_port_state(ctx, at, state),
            PortOption::Hairpin(on) => port.hairpin = on,
            PortOption::Guard(on) => port.extra.bpdu_guard = on,
            PortOption::RootBlock(on) => port.extra.root_block = on,
            PortOption::Learning(on) => port.learning = on,
            PortOption::Flood(on) => port.flood = on,
            PortOption::McastFlood(on) => port.extra.mcast_flood = on,
            PortOption::BcastFlood(on) => port.extra.bcast_flood = on,
            PortOption::Isolated(on) => port.extra.isolated = on,
        }
        if matches!(option, PortOption::Cost(_) | PortOption::Priority(_)) {
            self.br_configuration_update(bridge);
            self.br_port_state_selection(ctx, bridge);
        }
        self.record_link(ctx, at);
    }

    /// Gives a bridge another address of its own, and with it another identifier.
    pub(super) fn change_own_mac(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, mac: MacAddr) {
        let Some(link) = self.link_mut(bridge) else { return };
        link.mac = mac;
        self.record_link(ctx, bridge);
        self.forget_local(ctx, bridge, bridge);
        self.fdb_insert_local(ctx, bridge, bridge, mac);
        if let Some(state) = self.bridge(bridge) {
            let id = BridgeId { mac, ..state.row.id };
            self.br_stp_change_bridge_id(ctx, bridge, id);
        }
    }
}

impl Netns {
    /// Puts an address behind a port, as if a frame from it had come in there, or never to age.
    pub fn set_bridge_fdb(&mut self, ctx: &mut Ctx<'_>, port: IfIndex, mac: MacAddr, is_static: bool) {
        let Some(bridge) = self.link(port).and_then(|link| link.port).map(|port| port.master) else { return };
        let mut entry = FdbEntry { is_static, ..FdbEntry::at(port, ctx.now) };
        let row = self.bridge_fdb_row(bridge, (mac, 0), &entry);
        entry.change = ctx.change(self.id, port, EventId::NONE, TableChange::Fdb(row));
        if let Some(Link { kind: Kind::Bridge(bridge), .. }) = self.link_mut(bridge) {
            bridge.fdb.insert((mac, 0), entry);
        }
    }

    /// Takes an address out of the bridge's database.
    pub fn del_bridge_fdb(&mut self, ctx: &mut Ctx<'_>, port: IfIndex, mac: MacAddr) {
        let Some(master) = self.link(port).and_then(|link| link.port).map(|port| port.master) else { return };
        let Some(Link { kind: Kind::Bridge(bridge), .. }) = self.link_mut(master) else { return };
        let Some(entry) = bridge.fdb.remove(&(mac, 0)) else { return };
        let row = self.bridge_fdb_row(master, (mac, 0), &entry);
        ctx.change(self.id, port, EventId::NONE, TableChange::FdbGone(row));
    }
}
