//! Faults: what a user breaks on purpose, as it stands in the log of a lab and in the trace.
//!
//! A place is named as the stage and captures name it: a namespace (`node1`, `default/a`, `switch`, `gw`) and an
//! interface in it (`eth0`).

use super::QdiscRow;
use crate::base::{Ipv4Addr, MacAddr};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An interface, by the names that the stage shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Network namespace: `node1`, `default/a`, `switch`, `gw`.
    pub namespace: String,
    /// Interface: `eth0`.
    pub interface: String,
}

impl Place {
    /// Reads `NETNS/IFNAME`, where a Pod's namespace has a slash of its own.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, interface) = text.rsplit_once('/')?;
        Some(Self { namespace: namespace.to_owned(), interface: interface.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.interface)
    }
}

/// Something broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// The cable, or veth pair, at this interface is cut: both ends lose their carrier.
    CutCable(Place),
    /// The interface is taken down, as `ip link set down` does.
    LinkDown(Place),
    /// What this interface sends is lost, delayed, duplicated, reordered or held up in a short queue, as netem does.
    Impair {
        /// The sending interface. For both ways of a cable bring about the fault at both ends.
        at: Place,
        /// How.
        netem: Netem,
    },
    /// The interface's MTU is another one, in bytes.
    Mtu {
        /// The interface.
        at: Place,
        /// The MTU.
        mtu: u32,
    },
    /// The interface takes an address that somebody else has.
    DuplicateAddress {
        /// The interface that takes it.
        at: Place,
        /// The address that is taken.
        address: Ipv4Addr,
    },
    /// The neighbour table behind this interface has a wrong Ethernet address for a neighbour, as after its card was
    /// changed. The entry is stale, so the kernel finds out in time.
    StaleNeighbor {
        /// The interface whose table is wrong.
        at: Place,
        /// The neighbour.
        address: Ipv4Addr,
        /// What the table says; an address that nobody has where `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mac: Option<MacAddr>,
    },
    /// The node stands still with everything on it, and its cables lose their carrier.
    DeadNode(String),
}

impl Fault {
    /// The interface where it is; `None` for a whole node.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::CutCable(at)
            | Self::LinkDown(at)
            | Self::Impair { at, .. }
            | Self::Mtu { at, .. }
            | Self::DuplicateAddress { at, .. }
            | Self::StaleNeighbor { at, .. } => Some(at),
            Self::DeadNode(_) => None,
        }
    }

    /// Key of the sentence that tells what is broken, with its arguments.
    pub fn words(&self) -> (&'static str, Vec<String>) {
        match self {
            Self::CutCable(at) => ("fault.cut_cable", vec![at.to_string()]),
            Self::LinkDown(at) => ("fault.link_down", vec![at.to_string()]),
            Self::Impair { at, netem } => ("fault.impair", vec![at.to_string(), netem.to_string()]),
            Self::Mtu { at, mtu } => ("fault.mtu", vec![at.to_string(), mtu.to_string()]),
            Self::DuplicateAddress { at, address } => {
                ("fault.duplicate_address", vec![at.to_string(), address.to_string()])
            }
            Self::StaleNeighbor { at, address, .. } => {
                ("fault.stale_neighbor", vec![at.to_string(), address.to_string()])
            }
            Self::DeadNode(node) => ("fault.dead_node", vec![node.clone()]),
        }
    }
}

/// A fault that stands, as a row of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRow {
    /// Its number: the how-many-eth fault of the log it is, from 0. `Action::Mend` names it.
    pub number: u32,
    /// What is broken.
    pub fault: Arc<Fault>,
}

/// Settings of netem (`tc-netem(8)`). Probabilities and correlations are in millionths, times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Netem {
    /// Packets that may wait (`limit`); what comes when so many wait is dropped.
    pub limit: u32,
    /// How long a packet is held back.
    pub delay: u64,
    /// How far the delay varies, evenly to both sides.
    pub jitter: u64,
    /// How much a delay depends on the one before.
    pub delay_correlation: u32,
    /// How likely a packet is lost.
    pub loss: u32,
    /// How much a loss depends on the one before.
    pub loss_correlation: u32,
    /// How likely a packet is sent twice.
    pub duplicate: u32,
    /// How much that depends on the packet before.
    pub duplicate_correlation: u32,
    /// How likely a packet goes ahead of those that wait.
    pub reorder: u32,
    /// How much that depends on the packet before.
    pub reorder_correlation: u32,
    /// Only every so many-eth packet may go ahead (`gap`).
    pub gap: u32,
    /// Bits a second that leave; 0 for as many as come.
    pub rate: u64,
}

impl Default for Netem {
    fn default() -> Self {
        Self {
            limit: 1000,
            delay: 0,
            jitter: 0,
            delay_correlation: 0,
            loss: 0,
            loss_correlation: 0,
            duplicate: 0,
            duplicate_correlation: 0,
            reorder: 0,
            reorder_correlation: 0,
            gap: 0,
            rate: 0,
        }
    }
}

/// Millionths as percent, as `%g%%` prints them.
fn percent(ppm: u32) -> String {
    let (whole, rest) = (ppm / 10_000, ppm % 10_000);
    if rest == 0 {
        return format!("{whole}%");
    }
    format!("{whole}.{}%", format!("{rest:04}").trim_end_matches('0'))
}

fn correlation(ppm: u32) -> String {
    if ppm == 0 { String::new() } else { format!(" {}", percent(ppm)) }
}

/// A time as `print_time64` of iproute2 prints it: three significant digits of seconds or milliseconds, whole
/// microseconds, nanoseconds below.
fn time(ns: u64) -> String {
    let three = |unit: u64, name: &str| {
        // Thousandths of the unit, rounded to three significant digits.
        let thousandths = ns / (unit / 1000);
        let keep = if thousandths >= 100_000 {
            1000
        } else if thousandths >= 10_000 {
            100
        } else if thousandths >= 1000 {
            10
        } else {
            1
        };
        let rounded = (thousandths + keep / 2) / keep * keep;
        let (whole, rest) = (rounded / 1000, rounded % 1000);
        let text = if rest == 0 {
            whole.to_string()
        } else {
            format!("{whole}.{}", format!("{rest:03}").trim_end_matches('0'))
        };
        format!("{text}{name}")
    };
    match ns {
        1_000_000_000.. => three(1_000_000_000, "s"),
        1_000_000.. => three(1_000_000, "ms"),
        1_000.. => three(1_000, "us"),
        _ => format!("{ns}ns"),
    }
}

/// Bits a second as iproute2 prints a rate: whole thousands with their letter.
fn rate(bits: u64) -> String {
    let mut value = bits;
    let mut unit = 0;
    while value >= 1000 && value.is_multiple_of(1000) && unit < 4 {
        value /= 1000;
        unit += 1;
    }
    format!("{value}{}bit", ["", "K", "M", "G", "T"][unit])
}

/// The settings as `tc qdisc show` prints them behind `root refcnt 2`.
impl fmt::Display for Netem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit {}", self.limit)?;
        if self.delay > 0 {
            write!(f, " delay {}", time(self.delay))?;
            if self.jitter > 0 {
                write!(f, "  {}{}", time(self.jitter), correlation(self.delay_correlation))?;
            }
        }
        let chances = [
            ("loss", self.loss, self.loss_correlation),
            ("duplicate", self.duplicate, self.duplicate_correlation),
            ("reorder", self.reorder, self.reorder_correlation),
        ];
        for (name, chance, next) in chances {
            if chance > 0 {
                write!(f, " {name} {}{}", percent(chance), correlation(next))?;
            }
        }
        if self.rate > 0 {
            write!(f, " rate {}", rate(self.rate))?;
        }
        if self.gap > 0 {
            write!(f, " gap {}", self.gap)?;
        }
        Ok(())
    }
}

impl fmt::Display for QdiscRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "qdisc netem {:x}: root refcnt 2 {}", self.handle, self.netem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_as_tc_prints_them() {
        let netem = Netem {
            delay: 100_000_000,
            jitter: 10_000_000,
            delay_correlation: 250_000,
            loss: 1_000,
            reorder: 250_000,
            reorder_correlation: 500_000,
            gap: 1,
            rate: 1_000_000,
            ..Netem::default()
        };
        assert_eq!(
            netem.to_string(),
            "limit 1000 delay 100ms  10ms 25% loss 0.1% reorder 25% 50% rate 1Mbit gap 1"
        );
        for (ns, text) in
            [(1_500_000, "1.5ms"), (20_000, "20us"), (2_000_000_000, "2s"), (1_234_567, "1.23ms")]
        {
            assert_eq!(time(ns), text);
        }
    }

    #[test]
    fn a_place_of_a_pod_has_two_slashes() {
        let place = Place::parse("default/a/eth0").expect("it is a place");
        assert_eq!((&*place.namespace, &*place.interface), ("default/a", "eth0"));
        assert_eq!(place.to_string(), "default/a/eth0");
    }
}
