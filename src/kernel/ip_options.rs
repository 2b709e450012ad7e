//! Options of IPv4 that every host on the way fills in: the route it recorded and timestamps (RFC 791 section 3.1,
//! `net/ipv4/ip_options.c`). Source routes are left alone.

use super::{FibResult, Netns, Skb};
use crate::base::{IfIndex, Ipv4Addr, SimTime};
use crate::trace::{DropReason, Scope};
use crate::wire::{Bytes, Ipv4, Payload};
use std::ops::Range;

const END: u8 = 0;
const NOP: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
/// Timestamps alone, and with addresses (`IPOPT_TS_TSONLY`, `IPOPT_TS_TSANDADDR`).
const TS_ONLY: u8 = 0;
const TS_AND_ADDR: u8 = 1;

/// An option whose lengths contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The host that fills options in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) addr: Ipv4Addr,
    /// Milliseconds since midnight (`inet_current_timestamp`).
    pub(super) ms: u32,
    /// Whether one that finds no room is counted.
    pub(super) counts: bool,
}

/// Milliseconds since midnight, UTC.
pub(super) fn timestamp(now: SimTime) -> u32 {
    (now.unix_secs() % 86_400 * 1000 + now.0 / 1_000_000 % 1000) as u32
}

/// Where the options of a header lie, with their kinds.
fn each(options: &[u8]) -> Result<Vec<(u8, Range<usize>)>, Malformed> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(&kind) = options.get(at) {
        match kind {
            END => break,
            NOP => at += 1,
            _ => {
                let len = usize::from(*options.get(at + 1).ok_or(Malformed)?);
                if len < 2 || at + len > options.len() {
                    return Err(Malformed);
                }
                found.push((kind, at..at + len));
                at += len;
            }
        }
    }
    Ok(found)
}

/// Fills options in for a host that a packet passes (`ip_options_compile`); where its address stands in a recorded route.
pub(super) fn stamp(options: &mut [u8], host: Host) -> Result<Option<usize>, Malformed> {
    let mut slot = None;
    for (kind, range) in each(options)? {
        let start = range.start;
        match kind {
            RECORD_ROUTE => slot = record(&mut options[range], host)?.map(|at| start + at),
            TIMESTAMP => mark_time(&mut options[range], host)?,
            _ => {}
        }
    }
    Ok(slot)
}

/// Writes the address where the pointer, counted from 1, points to, and moves it on.
fn record(option: &mut [u8], host: Host) -> Result<Option<usize>, Malformed> {
    let pointer = usize::from(*option.get(2).ok_or(Malformed)?);
    if pointer < 4 {
        return Err(Malformed);
    }
    if pointer > option.len() {
        return Ok(None);
    }
    let room = option.get_mut(pointer - 1..pointer + 3).ok_or(Malformed)?;
    room.copy_from_slice(&host.addr.octets());
    option[2] += 4;
    Ok(Some(pointer - 1))
}

fn mark_time(option: &mut [u8], host: Host) -> Result<(), Malformed> {
    let (pointer, flags) = match option {
        [_, _, pointer, flags, ..] if *pointer > 4 => (usize::from(*pointer), *flags),
        _ => return Err(Malformed),
    };
    if pointer > option.len() {
        let overflow = flags >> 4;
        if host.counts && overflow == 15 {
            return Err(Malformed);
        }
        option[3] = if host.counts { flags & 0x0f | (overflow + 1) << 4 } else { flags };
        return Ok(());
    }
    let filled = match flags & 0x0f {
        TS_ONLY => host.ms.to_be_bytes().to_vec(),
        TS_AND_ADDR => [host.addr.octets(), host.ms.to_be_bytes()].concat(),
        // Hosts named beforehand are not simulated.
        _ => return Ok(()),
    };
    let room = option.get_mut(pointer - 1..pointer - 1 + filled.len()).ok_or(Malformed)?;
    room.copy_from_slice(&filled);
    option[2] += filled.len() as u8;
    Ok(())
}

/// The options of fragments after the first: those without the flag "copied" give way to nothing (`ip_options_fragment`).
pub(super) fn for_later(options: &Bytes) -> Bytes {
    const COPIED: u8 = 0x80;
    let mut later = options.to_vec();
    for (kind, range) in each(options).unwrap_or_default() {
        if kind & COPIED == 0 {
            later[range].fill(NOP);
        }
    }
    later.into()
}

/// The options of an answer to a packet with these (`__ip_options_echo`), filled in for who answers.
pub(super) fn echo(options: Option<&Bytes>, host: Host) -> Option<Bytes> {
    let options = options?;
    let found = each(options).ok()?;
    let of = |wanted: u8| found.iter().filter(move |(kind, _)| *kind == wanted);
    let mut answer: Vec<u8> = Vec::new();
    for (_, range) in of(RECORD_ROUTE).chain(of(TIMESTAMP)) {
        answer.extend_from_slice(&options[range.clone()]);
    }
    answer.resize(answer.len().next_multiple_of(4), END);
    stamp(&mut answer, Host { counts: false, ..host }).ok()?;
    (!answer.is_empty()).then(|| answer.into())
}

impl Netns {
    /// The options of a packet of this machine's own (`ip_options_build`).
    pub(super) fn own_options(now: SimTime, options: Option<&Bytes>, addr: Ipv4Addr) -> Option<Bytes> {
        let mut filled = options?.to_vec();
        // A socket takes only options that are well formed.
        stamp(&mut filled, Host { addr, ms: timestamp(now), counts: false }).ok()?;
        Some(filled.into())
    }

    /// Fills options in that came (`ip_rcv_options`): with the address the packet is for, or where it is passed on with
    /// that by which its sender knows this machine (`fib_compute_spec_dst`).
    pub(super) fn ip_rcv_options(
        &self,
        now: SimTime,
        ifindex: IfIndex,
        (skb, is_local): (&mut Skb, bool),
    ) -> Result<Option<usize>, DropReason> {
        let Some(packet) = skb.frame.ipv4().filter(|packet| packet.options.is_some()) else {
            return Ok(None);
        };
        let towards = || {
            let flow = self.ip_route_output(now, packet.src, None, None).ok();
            flow.map(|flow| flow.src)
                .or_else(|| self.inet_select_addr(ifindex, Some(packet.src), Scope::Link))
        };
        let addr = if is_local && !self.is_for_many(packet.dst) { Some(packet.dst) } else { towards() };
        let host = Host { addr: addr.unwrap_or(Ipv4Addr::UNSPECIFIED), ms: timestamp(now), counts: true };
        let mut options = packet.options.as_deref().unwrap_or_default().to_vec();
        let slot = stamp(&mut options, host).map_err(|Malformed| DropReason::IpInHdr)?;
        if let Payload::Ipv4(packet) = &mut skb.frame_mut().payload {
            packet.options = Some(options.into());
        }
        Ok(slot)
    }

    /// A router that passes a packet on stands in a recorded route with the address of its way out
    /// (`ip_forward_options`).
    pub(super) fn ip_forward_options(&self, packet: &mut Ipv4, route: &FibResult, slot: Option<usize>) {
        let (Some(slot), Some(options)) = (slot, &packet.options) else { return };
        let Some(addr) = self.prefsrc(route, packet.dst) else { return };
        let mut options = options.to_vec();
        if let Some(room) = options.get_mut(slot..slot + 4) {
            room.copy_from_slice(&addr.octets());
        }
        packet.options = Some(options.into());
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Host, Malformed, echo, stamp};
    use crate::base::Ipv4Addr;

    fn host(addr: [u8; 4], ms: u32, counts: bool) -> Host {
        Host { addr: Ipv4Addr::from(addr), ms, counts }
    }

    #[test]
    fn a_route_is_recorded_on_both_ways() {
        let mut options = vec![1, 7, 39, 4];
        options.resize(40, 0);
        let own = host([10, 1, 0, 2], 0, false);
        assert_eq!(stamp(&mut options, own), Ok(Some(4)));
        assert_eq!(stamp(&mut options, host([10, 2, 0, 1], 0, true)), Ok(Some(8)));
        let there = host([10, 2, 0, 2], 0, true);
        assert_eq!(stamp(&mut options, there), Ok(Some(12)));
        let answer = echo(Some(&Bytes::from(options)), there).expect("it is well formed");
        // The answer has no NOP before, and its end behind.
        assert_eq!((&answer[..3], answer[39], answer.len()), (&[7, 39, 20][..], 0, 40));
        assert_eq!(&answer[7..19], [10, 2, 0, 1, 10, 2, 0, 2, 10, 2, 0, 2]);
    }

    #[test]
    fn hosts_without_room_for_a_timestamp_are_counted() {
        let mut options = vec![68, 36, 5, 1];
        options.resize(36, 0);
        for ms in 1..=6 {
            assert_eq!(stamp(&mut options, host([10, 0, 0, ms], u32::from(ms), true)), Ok(None));
        }
        assert_eq!((options[2], options[3]), (37, 0x21));
        assert_eq!(options[28..36], [10, 0, 0, 4, 0, 0, 0, 4]);
        let answer = echo(Some(&Bytes::from(options.clone())), host([10, 0, 0, 9], 9, true));
        assert_eq!(answer.as_deref(), Some(options.as_slice()));
    }

    #[test]
    fn lengths_that_contradict_each_other_are_refused() {
        for options in [
            &[7, 3][..],
            &[7, 3, 3, 0],
            &[7, 7, 6, 0, 0, 0, 0, 0],
            &[68, 4, 4, 0],
            &[68, 8, 8, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(stamp(&mut options.to_vec(), host([1; 4], 0, true)), Err(Malformed), "{options:?}");
        }
    }
}
