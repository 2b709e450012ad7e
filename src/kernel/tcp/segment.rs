//! A segment as it came, with its options taken apart (`TCP_SKB_CB`, `tcp_parse_options`).

use crate::wire::{Bytes, Tcp, TcpFlags, TcpOption};

/// A received segment.
#[derive(Clone, Debug)]
pub(in crate::kernel) struct Segment {
    pub(super) seq: u32,
    pub(super) end_seq: u32,
    pub(super) ack: u32,
    pub(super) flags: TcpFlags,
    pub(super) window: u16,
    pub(super) data: Bytes,
    pub(super) mss: Option<u16>,
    pub(super) wscale: Option<u8>,
    pub(super) sack_permitted: bool,
    /// Value and echo of the timestamps.
    pub(super) timestamps: Option<(u32, u32)>,
    pub(super) sacks: Vec<(u32, u32)>,
}

impl Segment {
    pub(in crate::kernel) fn of(tcp: &Tcp) -> Self {
        let mut segment = Self {
            seq: tcp.seq,
            end_seq: tcp.seq.wrapping_add(tcp.seq_len()),
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            data: tcp.data.clone(),
            mss: None,
            wscale: None,
            sack_permitted: false,
            timestamps: None,
            sacks: Vec::new(),
        };
        for option in tcp.options() {
            match option {
                TcpOption::MaxSegmentSize(mss) => segment.mss = Some(*mss),
                // RFC 7323 section 2.3: more than 14 counts as 14.
                TcpOption::WindowScale(shift) => segment.wscale = Some((*shift).min(14)),
                TcpOption::SackPermitted => segment.sack_permitted = true,
                TcpOption::Timestamps { value, echo } => segment.timestamps = Some((*value, *echo)),
                TcpOption::Sack(blocks) => segment.sacks.clone_from(blocks),
                TcpOption::End(_) | TcpOption::Nop | TcpOption::Unknown { .. } => {}
            }
        }
        segment
    }

    pub(super) fn has(&self, flag: TcpFlags) -> bool {
        self.flags.contains(flag)
    }
}
