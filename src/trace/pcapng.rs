//! The trace as a capture file that Wireshark reads (IETF draft-ietf-opsawg-pcapng), little-endian.
//!
//! One interface block per device that saw a frame, named `NETNS/IFNAME`. Frames stand in the order in which Linux
//! taps see them, which is the order of the trace, with their direction and nanoseconds. Simulated time is counted
//! from a fixed moment.

use super::{EventKind, PacketType, Surroundings, TableChange, TlsEvent, Trace, explain};
use crate::base::words::Lang;
use crate::base::{EPOCH_SECS, EventId, IfIndex, NetnsId};
use crate::wire::Ipv4;
use indexmap::IndexSet;
use std::ops::Range;
use std::sync::Arc;

/// The moment that simulated time begins at, in nanoseconds since 1970.
const EPOCH_NS: u64 = EPOCH_SECS * 1_000_000_000;

/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
/// `LINKTYPE_RAW`: IPv4 without anything in front, as on ipip and gre devices.
const RAW: u32 = 101;

/// Type of the block of secrets, and of secrets that are an NSS key log of TLS.
const DECRYPTION_SECRETS: u32 = 10;
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// Option codes.
const COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const EPB_FLAGS: u16 = 2;
const IF_TSRESOL: u16 = 9;
const SHB_USERAPPL: u16 = 4;

/// The frames of the events in `range`, as the bytes of a pcapng file.
pub fn pcapng(trace: &Trace, range: Range<usize>) -> Vec<u8> {
    pcapng_of(trace, range, |_| true)
}

/// The same with only those events that `keep` lets through.
pub fn pcapng_of(trace: &Trace, range: Range<usize>, keep: impl Fn(EventId) -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    section_header(&mut out);
    secrets(&mut out, trace);
    let mut surroundings = Surroundings::default();
    let mut taps: IndexSet<(NetnsId, IfIndex, Arc<str>)> = IndexSet::new();
    for index in range.start..range.end.min(trace.len()) {
        let event = &trace.events[index];
        let Some(flags) = direction(event.kind).filter(|_| keep(EventId(index as u32))) else { continue };
        let Some(frame) = trace.frame_of(event) else { continue };
        surroundings.advance(trace, index + 1);
        let name = surroundings.place(event.netns, event.ifindex).into();
        let (interface, is_new) = taps.insert_full((event.netns, event.ifindex, name));
        // What has no Ethernet header is stored without one.
        let bare = surroundings.link(event.netns, event.ifindex).is_some_and(|link| link.kind.is_raw_ip());
        let packet = frame.ipv4().filter(|_| bare);
        if is_new {
            interface_description(&mut out, &taps[interface].2, if bare { RAW } else { ETHERNET });
        }
        let comment = explain::why_in(trace, &surroundings, EventId(index as u32), Lang::En);
        block(&mut out, 6, |out| {
            let time = EPOCH_NS + event.at.0;
            let len = packet.map_or_else(|| frame.wire_len(), Ipv4::wire_len) as u32;
            for word in [interface as u32, (time >> 32) as u32, time as u32, len, len] {
                out.extend_from_slice(&word.to_le_bytes());
            }
            match packet {
                Some(packet) => packet.emit_into(out),
                None => frame.emit_into(out),
            }
            pad(out);
            option(out, EPB_FLAGS, &flags.to_le_bytes());
            option(out, COMMENT, comment.as_bytes());
            option(out, 0, &[]);
        });
    }
    out
}

/// Bits 0 and 1 of `epb_flags` are the direction, bits 2 to 4 how a received frame was addressed.
fn direction(kind: EventKind) -> Option<u32> {
    const IN: u32 = 1;
    const OUT: u32 = 2;
    match kind {
        EventKind::Transmitted => Some(OUT),
        EventKind::Received(PacketType::Host) => Some(IN | 1 << 2),
        EventKind::Received(PacketType::Multicast) => Some(IN | 2 << 2),
        EventKind::Received(PacketType::Broadcast) => Some(IN | 3 << 2),
        EventKind::Received(PacketType::OtherHost) => Some(IN | 4 << 2),
        EventKind::Originated
        | EventKind::Passed(_)
        | EventKind::Decided(..)
        | EventKind::Changed(_)
        | EventKind::Queued
        | EventKind::Encapsulated
        | EventKind::Decapsulated
        | EventKind::Ended(_)
        | EventKind::Wrote(_)
        | EventKind::Started(_)
        | EventKind::Exited(..) => None,
    }
}

fn section_header(out: &mut Vec<u8>) {
    block(out, 0x0a0d_0d0a, |out| {
        out.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
        out.extend_from_slice(&[1, 0, 0, 0]);
        // The section's length is not given.
        out.extend_from_slice(&u64::MAX.to_le_bytes());
        option(out, SHB_USERAPPL, b"vethscope");
        option(out, 0, &[]);
    });
}

/// Keys of TLS connections (Decryption Secrets Block), so that Wireshark shows what is encrypted. They stand before the
/// frames, for a key has to be known before what it decrypts.
fn secrets(out: &mut Vec<u8>, trace: &Trace) {
    let lines = trace.changes.iter().filter_map(|change| {
        let TableChange::Tls(row) = change else { return None };
        let TlsEvent::Key(line) = &row.what else { return None };
        Some(format!("{line}\n"))
    });
    let log: String = lines.collect();
    if log.is_empty() {
        return;
    }
    block(out, DECRYPTION_SECRETS, |out| {
        out.extend_from_slice(&TLS_KEY_LOG.to_le_bytes());
        out.extend_from_slice(&(log.len() as u32).to_le_bytes());
        out.extend_from_slice(log.as_bytes());
        pad(out);
    });
}

fn interface_description(out: &mut Vec<u8>, name: &str, link_type: u32) {
    block(out, 1, |out| {
        out.extend_from_slice(&link_type.to_le_bytes());
        // No limit to the length of a frame.
        out.extend_from_slice(&0_u32.to_le_bytes());
        option(out, IF_NAME, name.as_bytes());
        option(out, IF_TSRESOL, &[9]);
        option(out, 0, &[]);
    });
}

/// A block: its type, its length before and after, and between them what `body` writes.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = (out.len() - start + 4) as u32;
    out.extend_from_slice(&len.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    pad(out);
}

/// All blocks begin at a multiple of four bytes, so the file's length tells how much is missing.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}
