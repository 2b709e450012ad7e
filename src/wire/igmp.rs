//! IGMP (RFC 2236, version 2; RFC 3376, version 3): hosts say which groups they want to hear.

use super::{Bytes, WireError, checksum};
use crate::base::Ipv4Addr;

/// An IGMP message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Igmp {
    /// Type 0x22: what a host of version 3 wants to hear.
    V3Report(Vec<GroupRecord>),
    /// Any other message, of which the first eight bytes mean the same in all versions: 0x11 query, 0x16 report of
    /// version 2, 0x17 leave.
    Plain {
        /// Type; not 0x22.
        kind: u8,
        /// Longest time until the answer, in tenths of a second.
        max_response: u8,
        /// The group.
        group: Ipv4Addr,
        /// What follows the first eight bytes: the rest of a query of version 3.
        rest: Bytes,
    },
}

/// What a host says about one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupRecord {
    /// 1 to 6; 2 is "mode is exclude", 3 "change to include", 4 "change to exclude".
    pub kind: u8,
    /// The group.
    pub group: Ipv4Addr,
    /// Sources to hear or not to hear.
    pub sources: Vec<Ipv4Addr>,
}

impl Igmp {
    /// Where reports of version 3 go.
    pub const V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);

    pub(super) fn emit_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            Self::Plain { kind, max_response, group, rest } => {
                assert_ne!(*kind, 0x22, "a report of version 3 has a form of its own");
                out.extend_from_slice(&[*kind, *max_response, 0, 0]);
                out.extend_from_slice(&group.octets());
                out.extend_from_slice(rest);
            }
            Self::V3Report(records) => {
                out.extend_from_slice(&[0x22, 0, 0, 0, 0, 0]);
                out.extend_from_slice(&(records.len() as u16).to_be_bytes());
                for record in records {
                    out.extend_from_slice(&[record.kind, 0]);
                    out.extend_from_slice(&(record.sources.len() as u16).to_be_bytes());
                    out.extend_from_slice(&record.group.octets());
                    record.sources.iter().for_each(|source| out.extend_from_slice(&source.octets()));
                }
            }
        }
        let sum = checksum::of(&out[start..]);
        out[start + 2..start + 4].copy_from_slice(&sum.to_be_bytes());
    }

    pub(super) fn parse_at(bytes: &[u8], base: usize) -> Result<Self, WireError> {
        let truncated = || WireError::truncated("IGMP", base + bytes.len());
        let ([kind, max_response, _, _, g0, g1, g2, g3], mut rest) =
            bytes.split_first_chunk::<8>().ok_or_else(truncated)?;
        if checksum::of(bytes) != 0 {
            return Err(WireError::new("IGMP", base + 2, "bad checksum"));
        }
        if *kind != 0x22 {
            let group = Ipv4Addr::new(*g0, *g1, *g2, *g3);
            return Ok(Self::Plain { kind: *kind, max_response: *max_response, group, rest: rest.into() });
        }
        if [*max_response, *g0, *g1] != [0; 3] {
            return Err(WireError::new("IGMP", base + 1, "reserved bits are set"));
        }
        let mut records = Vec::new();
        for _ in 0..u16::from_be_bytes([*g2, *g3]) {
            let at = base + bytes.len() - rest.len();
            let ([kind, aux, n0, n1, a, b, c, d], tail) =
                rest.split_first_chunk::<8>().ok_or_else(truncated)?;
            if *aux != 0 {
                return Err(WireError::new("IGMP", at + 1, "auxiliary data is there"));
            }
            let len = usize::from(u16::from_be_bytes([*n0, *n1])) * 4;
            let (sources, tail) = tail.split_at_checked(len).ok_or_else(truncated)?;
            let sources = sources.as_chunks::<4>().0.iter().map(|octets| (*octets).into()).collect();
            records.push(GroupRecord { kind: *kind, group: Ipv4Addr::new(*a, *b, *c, *d), sources });
            rest = tail;
        }
        if !rest.is_empty() {
            let at = base + bytes.len() - rest.len();
            return Err(WireError::new("IGMP", at, "more than the records' number says"));
        }
        Ok(Self::V3Report(records))
    }

    /// Length in bytes.
    pub fn wire_len(&self) -> usize {
        8 + match self {
            Self::Plain { rest, .. } => rest.len(),
            Self::V3Report(records) => {
                records.iter().map(|record| 8 + 4 * record.sources.len()).sum::<usize>()
            }
        }
    }
}
