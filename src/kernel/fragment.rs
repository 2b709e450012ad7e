//! Fragmentation and reassembly (RFC 791 section 3.2; `ip_fragment.c`, `ip_do_fragment`). Reassembled packets
//! remember their largest fragment and are cut to that size again on the way out, as netfilter's defragmentation has
//! it.

use super::icmp::IcmpError;
use super::ip_options::for_later;
use super::{Ctx, Kind, Link, Netns, Skb, Timer, Urgency, Work};
use crate::base::{Duration, IfIndex, Ipv4Addr};
use crate::trace::{Disposition, DropReason, Mib, Relation};
use crate::wire::{Body, Frame, Ipv4, Payload};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long fragments wait for the rest (`net.ipv4.ipfrag_time`).
const IPFRAG_TIME: Duration = Duration::from_secs(30);

/// What fragments of one packet have in common (RFC 791, "identification").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentKey {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    id: u16,
    protocol: u8,
}

/// Fragments that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Reassembly {
    queues: BTreeMap<FragmentKey, Vec<(IfIndex, Skb)>>,
}

/// What a packet leaves as. Hardly any is cut, so that one takes no list.
pub(super) enum Pieces {
    Whole(Skb),
    Cut(Vec<Skb>),
}

impl Pieces {
    /// Hands over each piece, in order.
    pub(super) fn each(self, mut hand_over: impl FnMut(Skb)) {
        match self {
            Self::Whole(skb) => hand_over(skb),
            Self::Cut(pieces) => pieces.into_iter().for_each(hand_over),
        }
    }
}

impl Netns {
    /// Takes in a packet: a whole one comes back at once, a fragment when it was the last one missing
    /// (`ip_defrag`).
    pub(super) fn defragment(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, skb: Skb) -> Option<Skb> {
        let Some(packet) = skb.frame.ipv4().filter(|packet| packet.is_fragment()) else { return Some(skb) };
        let key =
            FragmentKey { src: packet.src, dst: packet.dst, id: packet.id, protocol: packet.protocol() };
        self.mib.inc(Mib::IpReasmReqds);
        let queue = self.reassembly.queues.entry(key).or_default();
        if queue.is_empty() {
            ctx.later(IPFRAG_TIME, Urgency::Background, Work::Timer(Timer::Reassembly(key)));
        }
        queue.push((ifindex, skb));
        queue.sort_by_key(|(_, skb)| skb.frame.ipv4().map_or(0, |packet| packet.fragment_offset));
        let whole = assemble(queue)?;
        let queue = self.reassembly.queues.remove(&key)?;
        self.mib.inc(Mib::IpReasmOks);
        Some(self.finish(ctx, queue, whole))
    }

    /// The fragments' journeys end; that of the first begins anew as the whole packet's.
    fn finish(&mut self, ctx: &mut Ctx<'_>, queue: Vec<(IfIndex, Skb)>, whole: Ipv4) -> Skb {
        let frag_max =
            queue.iter().filter_map(|(_, skb)| skb.frame.ipv4()).map(Ipv4::wire_len).max().unwrap_or(0);
        let first = &queue[0].1;
        let frame = Frame { dst: first.frame.dst, src: first.frame.src, payload: Payload::Ipv4(whole) };
        let mut skb = ctx.child(first, Relation::Fragment, Arc::new(frame));
        skb.frag_max = frag_max as u16;
        skb.frag_list = skb.frag_max;
        (skb.hash, skb.sec) = (first.hash, first.sec);
        for (ifindex, fragment) in queue {
            skb.cause = ctx.end((self.id, ifindex), fragment, Disposition::Reassembled);
        }
        skb
    }

    /// The rest never came (`ip_expire`). Only the receiver itself says so, and only if it has the first fragment.
    pub(super) fn ip_expire(&mut self, ctx: &mut Ctx<'_>, key: FragmentKey) {
        let Some(queue) = self.reassembly.queues.remove(&key) else { return };
        self.mib.inc(Mib::IpReasmFails);
        self.mib.inc(Mib::IpReasmTimeout);
        for (index, (ifindex, skb)) in queue.into_iter().enumerate() {
            let is_first = index == 0 && skb.frame.ipv4().is_some_and(|packet| packet.fragment_offset == 0);
            if is_first && self.has_addr(key.dst) {
                self.icmp_send(ctx, ifindex, &skb, IcmpError::REASSEMBLY_EXCEEDED);
            }
            ctx.drop((self.id, ifindex), skb, DropReason::FragReasmTimeout);
        }
    }

    /// Cuts a bridged packet that netfilter looked at to what fits the port, or to what it was cut to before
    /// (`br_nf_dev_queue_xmit`, `br_nf_ip_fragment`). One that may not be cut is lost without a word.
    pub(super) fn br_refragment(&mut self, ctx: &mut Ctx<'_>, to: IfIndex, skb: Skb) -> Pieces {
        let Some((link, packet)) = self.link(to).zip(skb.frame.ipv4()) else { return Pieces::Whole(skb) };
        let frag_max = usize::from(skb.frag_max);
        let limit = if frag_max > 0 { frag_max.min(link.mtu as usize) } else { link.mtu as usize };
        if packet.wire_len() <= limit {
            return Pieces::Whole(skb);
        }
        let mtu = match link.port.and_then(|port| self.link(port.master)) {
            Some(Link { kind: Kind::Bridge(bridge), .. }) => bridge.nf_mtu as usize,
            Some(_) | None => limit,
        };
        if (packet.dont_fragment && frag_max == 0) || frag_max > mtu {
            ctx.drop((self.id, to), skb, DropReason::PktTooBig);
            return Pieces::Cut(Vec::new());
        }
        let mtu = if frag_max > 0 { frag_max.min(mtu) } else { mtu };
        self.ip_do_fragment(ctx, to, mtu, skb)
    }

    /// Cuts what is too large for the way out, or what was cut before it came here (`ip_fragment`).
    pub(super) fn refragment(&mut self, ctx: &mut Ctx<'_>, oif: IfIndex, skb: Skb) -> Pieces {
        let device_mtu = self.dst_mtu(oif, &skb) as usize;
        let mtu = if skb.frag_max > 0 { device_mtu.min(usize::from(skb.frag_max)) } else { device_mtu };
        // What does not fit falls apart where it was put together, if those pieces fit (`ip_do_fragment`'s fast path).
        let pieces = usize::from(skb.frag_list);
        let too_long = skb.frame.ipv4().is_some_and(|packet| packet.wire_len() > mtu);
        let mtu = if too_long && (1..=mtu).contains(&pieces) { pieces } else { mtu };
        self.ip_do_fragment(ctx, oif, mtu, skb)
    }

    fn ip_do_fragment(&mut self, ctx: &mut Ctx<'_>, oif: IfIndex, mtu: usize, skb: Skb) -> Pieces {
        let Some(packet) = skb.frame.ipv4().filter(|packet| packet.wire_len() > mtu) else {
            return Pieces::Whole(skb);
        };
        let pieces = cut(packet, mtu);
        self.mib.inc(Mib::IpFragOks);
        self.mib.add(Mib::IpFragCreates, pieces.len() as u64);
        let out = pieces
            .into_iter()
            .map(|piece| {
                let frame = Frame { dst: skb.frame.dst, src: skb.frame.src, payload: Payload::Ipv4(piece) };
                let mut piece = ctx.child(&skb, Relation::Fragment, Arc::new(frame));
                piece.hash = skb.hash;
                piece
            })
            .collect();
        ctx.end((self.id, oif), skb, Disposition::Fragmented);
        Pieces::Cut(out)
    }
}

/// The whole packet, if no byte is missing. `queue` is sorted by offset.
fn assemble(queue: &[(IfIndex, Skb)]) -> Option<Ipv4> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut ended = false;
    for (_, skb) in queue {
        let packet = skb.frame.ipv4()?;
        let Body::Raw { bytes: part, .. } = &*packet.body else { return None };
        let offset = usize::from(packet.fragment_offset) * 8;
        if offset > bytes.len() {
            return None;
        }
        bytes.truncate(offset);
        bytes.extend_from_slice(part);
        ended |= !packet.more_fragments;
    }
    if !ended {
        return None;
    }
    let first = queue.first()?.1.frame.ipv4()?;
    let raw = Body::Raw { protocol: first.protocol(), bytes: bytes.into() };
    let whole = Ipv4 { more_fragments: false, fragment_offset: 0, body: Arc::new(raw), ..first.clone() };
    // A body that does not parse stays raw: the protocol above will refuse it.
    Some(Ipv4::parse(&whole.emit()).unwrap_or(whole))
}

/// Cuts a packet into fragments of at most `mtu` bytes, all but the last a multiple of 8 bytes long.
fn cut(packet: &Ipv4, mtu: usize) -> Vec<Ipv4> {
    let header_len = packet.header_len();
    let bytes = packet.emit();
    let data = &bytes[header_len..];
    let step = ((mtu.saturating_sub(header_len)) / 8 * 8).max(8);
    let count = data.len().div_ceil(step);
    data.chunks(step)
        .enumerate()
        .map(|(index, chunk)| Ipv4 {
            more_fragments: packet.more_fragments || index + 1 < count,
            fragment_offset: packet.fragment_offset + (index * step / 8) as u16,
            options: packet.options.as_ref().map(|own| if index == 0 { own.clone() } else { for_later(own) }),
            body: Arc::new(Body::Raw { protocol: packet.protocol(), bytes: chunk.into() }),
            ..packet.clone()
        })
        .collect()
}
