//! Security associations and policies of `IPsec`, as `ip xfrm state` and `ip xfrm policy` show them.

use super::{TableChange, Trace};
use crate::base::{Ipv4Addr, Ipv4Net, NetnsId};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// A security association of ESP in tunnel mode with AES-GCM (`struct xfrm_state`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XfrmStateRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Source of the outer packets.
    pub src: Ipv4Addr,
    /// Destination of the outer packets; with the SPI it names the association to the receiver.
    pub dst: Ipv4Addr,
    /// Security parameters index.
    pub spi: u32,
    /// Number that ties it to the templates of policies.
    pub reqid: u32,
    /// Key and four bytes of salt, as `aead 'rfc4106(gcm(aes))' KEY` takes them.
    pub key: Arc<[u8]>,
    /// Sequence numbers that may come late, in packets; 0 where nothing is received by it.
    pub replay_window: u8,
}

impl XfrmStateRow {
    /// Key and salt in hexadecimal, as iproute2 writes them.
    pub fn key_hex(&self) -> String {
        self.key.iter().fold("0x".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Which packets a policy is about (`XFRM_POLICY_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum XfrmDirection {
    /// Those that leave.
    Out,
    /// Those for this machine.
    In,
    /// Those that it forwards.
    Forward,
}

impl XfrmDirection {
    /// Every direction, with its name in iproute2.
    pub const ALL: [(&'static str, Self); 3] = [("out", Self::Out), ("in", Self::In), ("fwd", Self::Forward)];

    /// Its name in iproute2.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|known| known.1 == self).map_or("", |known| known.0)
    }
}

/// A policy (`struct xfrm_policy`): packets that fit have to be encrypted as the template says, or are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct XfrmPolicyRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Sources that fit.
    pub src: Ipv4Net,
    /// Destinations that fit.
    pub dst: Ipv4Net,
    /// Direction.
    pub direction: XfrmDirection,
    /// Priority; the lower is asked first.
    pub priority: u32,
    /// What has to be done; `None` where the packet is dropped (`action block`).
    pub template: Option<XfrmTemplate>,
}

/// What a policy wants done (`struct xfrm_tmpl`): ESP in tunnel mode between these addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct XfrmTemplate {
    /// Source of the outer packets.
    pub src: Ipv4Addr,
    /// Destination of the outer packets.
    pub dst: Ipv4Addr,
    /// Number of the associations that serve it; 0 for any.
    pub reqid: u32,
}

/// A change of these tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XfrmChange {
    /// An association came.
    State(XfrmStateRow),
    /// An association went: its destination and SPI.
    StateGone(NetnsId, Ipv4Addr, u32),
    /// A policy came.
    Policy(XfrmPolicyRow),
    /// A policy went.
    PolicyGone(XfrmPolicyRow),
}

impl XfrmChange {
    /// The namespace whose table it is.
    pub fn netns(&self) -> NetnsId {
        match self {
            Self::State(row) => row.netns,
            Self::StateGone(netns, ..) => *netns,
            Self::Policy(row) | Self::PolicyGone(row) => row.netns,
        }
    }
}

impl fmt::Display for XfrmStateRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { src, dst, spi, reqid, .. } = self;
        write!(f, "xfrm state src {src} dst {dst} proto esp spi 0x{spi:08x} reqid {reqid} mode tunnel")
    }
}

impl fmt::Display for XfrmPolicyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { src, dst, direction, .. } = self;
        write!(f, "xfrm policy src {src} dst {dst} dir {}", direction.name())?;
        match &self.template {
            Some(XfrmTemplate { src, dst, reqid }) => {
                write!(f, " tmpl src {src} dst {dst} proto esp reqid {reqid} mode tunnel")
            }
            None => f.write_str(" action block"),
        }
    }
}

impl fmt::Display for XfrmChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(row) => row.fmt(f),
            Self::Policy(row) => row.fmt(f),
            Self::StateGone(_, dst, spi) => write!(f, "xfrm state gone dst {dst} spi 0x{spi:08x}"),
            Self::PolicyGone(row) => write!(f, "gone: {row}"),
        }
    }
}

/// The tables of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xfrm {
    /// Associations in the order in which they were added.
    pub states: Vec<XfrmStateSeen>,
    /// Policies in the order in which they were added.
    pub policies: Vec<XfrmPolicyRow>,
}

/// An association with the highest sequence number that went out or came in by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XfrmStateSeen {
    /// The association.
    pub row: XfrmStateRow,
    /// The highest sequence number.
    pub seq: u32,
}

impl Xfrm {
    pub(super) fn apply(&mut self, change: &XfrmChange) {
        match change {
            XfrmChange::State(row) => {
                self.states.retain(|old| (old.row.dst, old.row.spi) != (row.dst, row.spi));
                self.states.push(XfrmStateSeen { row: row.clone(), seq: 0 });
            }
            XfrmChange::StateGone(_, dst, spi) => {
                self.states.retain(|old| (old.row.dst, old.row.spi) != (*dst, *spi));
            }
            XfrmChange::Policy(row) => self.policies.push(*row),
            XfrmChange::PolicyGone(row) => self.policies.retain(|old| old != row),
        }
    }

    /// A packet with this number went by an association.
    pub(super) fn used(&mut self, (dst, spi): (Ipv4Addr, u32), seq: u32) {
        if let Some(state) = self.states.iter_mut().find(|old| (old.row.dst, old.row.spi) == (dst, spi)) {
            state.seq = state.seq.max(seq);
        }
    }
}

/// The security associations that there were in a trace, as Wireshark reads them from the file `esp_sa` of a profile, or
/// each line as `-o uat:esp_sa:LINE`: with them it decrypts what an exported capture holds.
pub fn esp_sa(trace: &Trace) -> String {
    let mut lines: Vec<String> = Vec::new();
    for change in &trace.changes {
        let TableChange::Xfrm(XfrmChange::State(row)) = change else { continue };
        let XfrmStateRow { src, dst, spi, .. } = row;
        let key = row.key_hex();
        let line = format!(
            "\"IPv4\",\"{src}\",\"{dst}\",\"0x{spi:08x}\",\"AES-GCM with 16 octet ICV [RFC4106]\",\"{key}\",\"NULL\",\"\"\n"
        );
        // Both ends know each.
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.concat()
}
