//! Bridge protocol data units of the spanning tree (IEEE 802.1D-2004 clause 9) in their LLC frames.

use super::WireError;
use crate::base::MacAddr;

/// A bridge's priority and address; the smaller one wins the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeId {
    /// Priority, 32768 unless set.
    pub priority: u16,
    /// Address of the bridge.
    pub mac: MacAddr,
}

/// Priority and number of a port as BPDUs have them together (IEEE 802.1D-1998, 9.2.7; `br_make_port_id`).
pub fn port_id(priority: u8, number: u16) -> u16 {
    u16::from(priority) << 10 | number & 0x3ff
}

/// A BPDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bpdu {
    /// Version 0, type 0x00: a configuration message.
    Config(BpduConfig),
    /// Version 2, type 0x02: a rapid spanning tree message.
    Rapid(BpduConfig),
    /// Version 0, type 0x80: a topology change notification.
    TopologyChange,
}

/// What a configuration message says. Times are in units of 1/256 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BpduConfig {
    /// Flags: 0x01 topology change, 0x80 acknowledgment of one; others are the rapid protocol's.
    pub flags: u8,
    /// The bridge taken for the root.
    pub root: BridgeId,
    /// Cost of the path to the root.
    pub root_path_cost: u32,
    /// The sending bridge.
    pub bridge: BridgeId,
    /// The sending port: priority and number.
    pub port: u16,
    /// How old the root's information is.
    pub message_age: u16,
    /// How old it may become.
    pub max_age: u16,
    /// How often the root sends.
    pub hello_time: u16,
    /// How long a port listens, and then learns.
    pub forward_delay: u16,
}

impl std::fmt::Display for BridgeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04x}.{}", self.priority, self.mac)
    }
}

impl Bpdu {
    /// Address of the bridge group (802.1D table 7-10), to which BPDUs go and which no bridge forwards.
    pub const GROUP: MacAddr = MacAddr([0x01, 0x80, 0xc2, 0, 0, 0]);

    /// LLC header: spanning tree to spanning tree, unnumbered information.
    const LLC: [u8; 3] = [0x42, 0x42, 0x03];
    /// Length of a configuration message, in bytes.
    const CONFIG_LEN: usize = 35;

    /// Length with the LLC header, in bytes: what the length field of the frame says.
    pub fn wire_len(&self) -> usize {
        Self::LLC.len()
            + match self {
                Self::Config(_) => Self::CONFIG_LEN,
                Self::Rapid(_) => Self::CONFIG_LEN + 1,
                Self::TopologyChange => 4,
            }
    }

    pub(super) fn emit_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Self::LLC);
        out.extend_from_slice(&[0, 0]);
        match self {
            Self::TopologyChange => out.extend_from_slice(&[0, 0x80]),
            Self::Config(config) => {
                out.extend_from_slice(&[0, 0]);
                config.emit_into(out);
            }
            Self::Rapid(config) => {
                out.extend_from_slice(&[2, 2]);
                config.emit_into(out);
                // No information of version 1.
                out.push(0);
            }
        }
    }

    /// Whether these bytes begin as a BPDU does.
    pub(super) fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&Self::LLC)
    }

    pub(super) fn parse_at(bytes: &[u8], base: usize) -> Result<Self, WireError> {
        let truncated = || WireError::truncated("STP", base + bytes.len());
        let body = bytes.get(Self::LLC.len()..).ok_or_else(truncated)?;
        let ([p0, p1, version, kind], rest) = body.split_first_chunk::<4>().ok_or_else(truncated)?;
        let base = base + Self::LLC.len();
        if [*p0, *p1] != [0, 0] {
            return Err(WireError::new("STP", base, "protocol identifier is not 0"));
        }
        let config = || rest.first_chunk::<31>().map(BpduConfig::parse).ok_or_else(truncated);
        match (version, kind) {
            (0, 0) => Ok(Self::Config(config()?)),
            (2, 2) if rest.len() == 31 => Err(truncated()),
            (2, 2) if rest.get(31).is_some_and(|len| *len != 0) => {
                Err(WireError::new("STP", base + 35, "information of version 1 is there"))
            }
            (2, 2) => Ok(Self::Rapid(config()?)),
            (0, 0x80) => Ok(Self::TopologyChange),
            _ => Err(WireError::new("STP", base + 2, "unknown version or type")),
        }
    }

    /// What a configuration message says, of either version.
    pub fn config(&self) -> Option<&BpduConfig> {
        match self {
            Self::Config(config) | Self::Rapid(config) => Some(config),
            Self::TopologyChange => None,
        }
    }
}

impl BpduConfig {
    fn emit_into(&self, out: &mut Vec<u8>) {
        let bridge = |out: &mut Vec<u8>, id: BridgeId| {
            out.extend_from_slice(&id.priority.to_be_bytes());
            out.extend_from_slice(&id.mac.0);
        };
        out.push(self.flags);
        bridge(out, self.root);
        out.extend_from_slice(&self.root_path_cost.to_be_bytes());
        bridge(out, self.bridge);
        for word in [self.port, self.message_age, self.max_age, self.hello_time, self.forward_delay] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }

    fn parse(bytes: &[u8; 31]) -> Self {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let bridge = |at: usize| BridgeId {
            priority: word(at),
            mac: MacAddr(std::array::from_fn(|i| bytes[at + 2 + i])),
        };
        Self {
            flags: bytes[0],
            root: bridge(1),
            root_path_cost: u32::from_be_bytes([bytes[9], bytes[10], bytes[11], bytes[12]]),
            bridge: bridge(13),
            port: word(21),
            message_age: word(23),
            max_age: word(25),
            hello_time: word(27),
            forward_delay: word(29),
        }
    }
}
