//! Faults as actions of the log: brought about by clicking on the stage, mended by clicking again, and replayed like
//! everything else.
//!
//! ```no_run
//! # use vethscope::lab::Lab;
//! # use vethscope::trace::{Fault, Netem, Place};
//! # let mut lab = Lab::new(1);
//! let at = Place { namespace: "node1".into(), interface: "eth0".into() };
//! // A tenth of what node1 sends is lost; probabilities are in millionths.
//! let number = lab.inject(&Fault::Impair { at, netem: Netem { loss: 100_000, ..Netem::default() } })?;
//! // `lab.live().faults` (an `Inventory`, so at any moment of the trace) holds the faults that stand, by number.
//! lab.mend(number)?;
//! # Ok::<(), vethscope::lab::fault::FaultError>(())
//! ```
//! In the log they are `Action::Fault` and `Action::Mend`, so taking back the last action of the log undoes a fault as
//! it undoes an edit. As JSON: `{"fault": {"cutCable": {"namespace": "node1", "interface": "eth0"}}}`, `{"mend": 0}`.

use super::{Action, Lab};
use crate::agent::{Power, Wakeup};
use crate::base::words::{self, Lang};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, MacAddr, NetnsId};
use crate::trace::{Fault, FaultRow, NeighRow, Netem, NetnsRole, Nud, Place, Scope, TableChange};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The Ethernet address that a stale neighbour entry gets where nobody says another: locally administered, and no
/// machine's here.
const NOBODY: MacAddr = MacAddr([0x02, 0xde, 0xad, 0, 0, 1]);

/// Why a fault cannot be brought about or mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// There is no such namespace, interface or node.
    NoSuchPlace(String),
    /// The interface has no cable.
    NoCable(String),
    /// The setting is out of its range.
    OutOfRange(String),
    /// There is no such fault, or it is mended already.
    NoSuchFault(u32),
    /// The address is on that interface already, so nothing would be broken.
    OwnAddress(String),
}

impl FaultError {
    /// Key of the sentence that tells a person, with its arguments.
    pub fn words(&self) -> (&'static str, Vec<String>) {
        match self {
            Self::NoSuchPlace(place) => ("fault.no_such_place", vec![place.clone()]),
            Self::NoCable(place) => ("fault.no_cable", vec![place.clone()]),
            Self::OutOfRange(what) => ("fault.out_of_range", vec![what.clone()]),
            Self::NoSuchFault(number) => ("fault.no_such_fault", vec![number.to_string()]),
            Self::OwnAddress(address) => ("fault.own_address", vec![address.clone()]),
        }
    }
}

impl std::fmt::Display for FaultError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (key, args) = self.words();
        f.write_str(&words::text(Lang::En, key, &args))
    }
}

/// What is needed to mend a fault.
#[derive(Clone, Debug)]
enum Remedy {
    Mend,
    Up,
    Qdisc(Option<Netem>),
    Mtu(u32),
    DelAddr(Ipv4Net),
    DelNeigh(Ipv4Addr),
    Resume(Vec<NetnsId>, Arc<str>),
    /// Nothing to do: the fault was there already before it was brought about.
    Nothing,
}

/// The faults of a lab: those that stand with their remedies, and how many there were.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    standing: BTreeMap<u32, (NetnsId, IfIndex, Remedy)>,
    next: u32,
}

impl Lab {
    /// Brings about a fault now. Its number is what [`Self::mend`] takes; an error changes nothing and logs nothing.
    pub fn inject(&mut self, fault: &Fault) -> Result<u32, FaultError> {
        self.catch_up();
        let trace = self.sim.trace();
        self.live.advance(trace, trace.len());
        check(fault)?;
        let (netns, ifindex) = self.place_of(fault)?;
        let remedy = self.break_it(fault, netns, ifindex)?;
        self.log.actions.push((self.sim.now(), Action::Fault(fault.clone())));
        let number = self.faults.next;
        self.faults.next += 1;
        let row = FaultRow { number, fault: Arc::new(fault.clone()) };
        self.sim.record_fault(netns, ifindex, TableChange::Fault(row));
        self.faults.standing.insert(number, (netns, ifindex, remedy));
        Ok(number)
    }

    /// Mends a fault by its number: what it changed is set back, wherever that is still there.
    pub fn mend(&mut self, number: u32) -> Result<(), FaultError> {
        self.catch_up();
        let found = self.faults.standing.remove(&number);
        let (netns, ifindex, remedy) = found.ok_or(FaultError::NoSuchFault(number))?;
        self.log.actions.push((self.sim.now(), Action::Mend(number)));
        match remedy {
            Remedy::Mend => {
                self.sim.cut(netns, ifindex, false);
            }
            Remedy::Resume(namespaces, node) => {
                self.sim.resume(&namespaces);
                self.sim.tell(Wakeup::NodePower(node, Power::Running));
            }
            Remedy::Up => drop(self.sim.administer(netns, |state, ctx| state.set_up(ctx, ifindex))),
            Remedy::Qdisc(before) => {
                self.sim.administer(netns, |state, ctx| state.set_qdisc(ctx, ifindex, before));
            }
            Remedy::Mtu(before) => {
                self.sim.administer(netns, |state, ctx| state.set_mtu(ctx, ifindex, before));
            }
            Remedy::DelAddr(net) => {
                self.sim.administer(netns, |state, ctx| state.del_addr(ctx, ifindex, net));
            }
            Remedy::DelNeigh(addr) => {
                self.sim.administer(netns, |state, ctx| state.del_neighbor(ctx, ifindex, addr));
            }
            Remedy::Nothing => {}
        }
        self.sim.record_fault(netns, ifindex, TableChange::FaultGone(number));
        Ok(())
    }

    /// A fault that is replayed where its place is gone still counts, so that later actions find theirs.
    pub(super) fn replay_fault(&mut self, fault: &Fault) {
        if self.inject(fault).is_err() {
            self.faults.next += 1;
        }
    }

    fn place_of(&self, fault: &Fault) -> Result<(NetnsId, IfIndex), FaultError> {
        let Some(Place { namespace, interface }) = fault.place() else {
            let Fault::DeadNode(name) = fault else { return Err(FaultError::NoSuchPlace(String::new())) };
            let netns = self.sim.agent().and_then(|control| control.node_netns(name));
            return Ok((netns.ok_or_else(|| FaultError::NoSuchPlace(name.clone()))?, IfIndex::NONE));
        };
        let state = self.live.netns_named(namespace);
        let link = state.and_then(|state| state.link_named(interface));
        let missing = || FaultError::NoSuchPlace(format!("{namespace}/{interface}"));
        link.map(|link| (link.netns, link.ifindex)).ok_or_else(missing)
    }

    fn break_it(&mut self, fault: &Fault, netns: NetnsId, ifindex: IfIndex) -> Result<Remedy, FaultError> {
        let link = self.sim.netns(netns).and_then(|state| state.link(ifindex));
        Ok(match fault {
            Fault::CutCable(at) => {
                let was_cut = link.is_some_and(|link| link.extra.cut);
                if !self.sim.cut(netns, ifindex, true) {
                    return Err(FaultError::NoCable(at.to_string()));
                }
                if was_cut { Remedy::Nothing } else { Remedy::Mend }
            }
            Fault::LinkDown(_) => {
                let was_up = link.is_some_and(|link| link.up);
                self.sim.administer(netns, |state, ctx| state.set_down(ctx, ifindex));
                if was_up { Remedy::Up } else { Remedy::Nothing }
            }
            Fault::Impair { netem, .. } => {
                let before = link.and_then(|link| link.extra.qdisc).map(|qdisc| qdisc.netem);
                self.sim.administer(netns, |state, ctx| state.set_qdisc(ctx, ifindex, Some(*netem)));
                Remedy::Qdisc(before)
            }
            Fault::Mtu { mtu, .. } => {
                let before = link.map_or(1500, |link| link.mtu);
                self.sim.administer(netns, |state, ctx| state.set_mtu(ctx, ifindex, *mtu));
                Remedy::Mtu(before)
            }
            Fault::DuplicateAddress { address, .. } => {
                let prefix_len = self.prefix_of(netns, ifindex, *address)?;
                let net = Ipv4Net::new_assert(*address, prefix_len);
                self.sim.administer(netns, |state, ctx| {
                    state.add_addr(ctx, ifindex, net, Some(net.broadcast()), Scope::Global);
                });
                Remedy::DelAddr(net)
            }
            Fault::StaleNeighbor { address, mac, .. } => {
                let (addr, mac, now) = (*address, Some(mac.unwrap_or(NOBODY)), self.sim.now());
                let state = Nud::Stale;
                let row =
                    NeighRow { netns, ifindex, addr, mac, state, probes: 0, updated: now, confirmed: now };
                self.sim.administer(netns, |state, ctx| state.set_neighbor(ctx, row));
                Remedy::DelNeigh(addr)
            }
            Fault::DeadNode(name) => {
                if self.sim.is_stopped(netns) {
                    return Ok(Remedy::Nothing);
                }
                let namespaces = self.namespaces_of(netns);
                self.sim.stop(&namespaces);
                let node: Arc<str> = name.as_str().into();
                self.sim.tell(Wakeup::NodePower(node.clone(), Power::Stopped));
                Remedy::Resume(namespaces, node)
            }
        })
    }

    /// A node's namespace and those of its Pods.
    fn namespaces_of(&self, node: NetnsId) -> Vec<NetnsId> {
        let is_its = |role: &NetnsRole| matches!(role, NetnsRole::Pod { node: home, .. } if *home == node);
        let pods = self.live.netns.values().filter(|state| is_its(&state.row.role));
        [node].into_iter().chain(pods.map(|state| state.row.netns)).collect()
    }

    /// The prefix length that an address gets at an interface: that of the network it is in there.
    fn prefix_of(&self, netns: NetnsId, ifindex: IfIndex, addr: Ipv4Addr) -> Result<u8, FaultError> {
        let state = self.sim.netns(netns);
        let rows = state.map_or(&[][..], |state| state.addrs());
        if rows.iter().any(|row| row.addr.addr() == addr) {
            return Err(FaultError::OwnAddress(addr.to_string()));
        }
        let mut here = rows.iter().filter(|row| row.ifindex == ifindex && row.addr.contains(&addr));
        Ok(here.next().map_or(32, |row| row.addr.prefix_len()))
    }

    /// Whether the namespace of a target stands still with its node.
    pub(super) fn is_dead(&self, netns: NetnsId) -> bool {
        self.sim.is_stopped(netns)
    }
}

/// What is wrong with the numbers of a fault.
fn check(fault: &Fault) -> Result<(), FaultError> {
    const MILLION: u32 = 1_000_000;
    const HOUR_NS: u64 = 3_600_000_000_000;
    let wrong = |what: String| Err(FaultError::OutOfRange(what));
    match fault {
        Fault::Mtu { mtu, .. } if !(68..=65_535).contains(mtu) => wrong(format!("mtu {mtu}")),
        Fault::Impair { netem, .. } => {
            let parts = [
                netem.loss,
                netem.loss_correlation,
                netem.duplicate,
                netem.duplicate_correlation,
                netem.reorder,
                netem.reorder_correlation,
                netem.delay_correlation,
            ];
            match parts.iter().find(|part| MILLION < **part) {
                Some(part) => wrong(format!("{part}/1000000")),
                None if HOUR_NS < netem.delay.max(netem.jitter) => wrong("delay".to_owned()),
                None => Ok(()),
            }
        }
        Fault::CutCable(_)
        | Fault::LinkDown(_)
        | Fault::Mtu { .. }
        | Fault::DuplicateAddress { .. }
        | Fault::StaleNeighbor { .. }
        | Fault::DeadNode(_) => Ok(()),
    }
}
