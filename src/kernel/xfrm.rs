//! `IPsec` (`net/xfrm`, `net/ipv4/esp4.c`): policies that say what has to be encrypted, and the security associations that
//! do it. *Simulated*: ESP in tunnel mode with AES-GCM (RFC 4303, RFC 4106) between addresses, selectors of addresses
//! alone. *Not modelled*: transport mode, AH, `IPComp`, selectors of ports, lifetimes, IKE, which would agree on the keys.

use super::ip_tunnel::ecn_encapsulate;
use super::{Ctx, Netns, Skb};
use crate::base::{ChangeId, EventId, IfIndex, Ipv4Addr};
use crate::trace::{
    DropReason, EventKind, PacketType, Table, TableChange, XfrmChange, XfrmDirection, XfrmPolicyRow,
    XfrmStateRow, XfrmTemplate,
};
use crate::wire::{Body, Esp, EspCipher, EspContent, Frame, Ipv4, Payload};
use std::sync::Arc;

/// IP protocol number of what is inside in tunnel mode.
const IPIP: u8 = 4;

/// The associations and policies of a namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Xfrm {
    states: Vec<State>,
    policies: Vec<(XfrmPolicyRow, ChangeId)>,
}

/// An association at work.
#[derive(Clone, Debug)]
struct State {
    row: XfrmStateRow,
    change: ChangeId,
    cipher: EspCipher,
    /// Number of the last packet sent.
    oseq: u32,
    /// Highest number received, and which of the 32 below it were.
    seq: u32,
    bitmap: u32,
    /// Mixed with the sequence number it makes the initialization vectors (`seqiv`).
    salt: u64,
}

/// What a policy wants of a packet that leaves.
enum Wanted {
    Nothing,
    Drop(DropReason),
    /// Encryption by the association at this place.
    Seal(usize),
}

impl State {
    /// Whether a sequence number is new enough and was not seen (`xfrm_replay_check`).
    fn accepts(&self, seq: u32) -> bool {
        let window = u32::from(self.row.replay_window.min(32));
        if seq == 0 {
            return false;
        }
        let Some(behind) = self.seq.checked_sub(seq) else { return true };
        window == 0 || (behind < window && self.bitmap >> behind & 1 == 0)
    }

    /// Remembers a sequence number (`xfrm_replay_advance`).
    fn advance(&mut self, seq: u32) {
        match seq.checked_sub(self.seq) {
            Some(ahead @ 1..) => {
                self.bitmap = self.bitmap.checked_shl(ahead).unwrap_or(0) | 1;
                self.seq = seq;
            }
            _ => self.bitmap |= 1u32.checked_shl(self.seq - seq).unwrap_or(0),
        }
    }
}

/// Bytes of an IPv4 packet that fit into an outer packet of `mtu` bytes (`esp_get_mtu`).
fn room(mtu: u32) -> u32 {
    let taken = (Ipv4::HEADER_LEN + Esp::HEADER_LEN + Esp::IV_LEN + Esp::ICV_LEN) as u32;
    // Pad length and next header are encrypted too, and all of that fills a multiple of four bytes.
    (mtu.saturating_sub(taken) & !(Esp::ALIGN as u32 - 1)).saturating_sub(2)
}

impl Netns {
    /// Adds a security association (`ip xfrm state add`). `false` where the key is of no length that AES takes.
    pub fn add_xfrm_state(&mut self, ctx: &mut Ctx<'_>, row: XfrmStateRow) -> bool {
        let Some(cipher) = EspCipher::new(&row.key) else { return false };
        self.del_xfrm_state(ctx, row.dst, row.spi);
        let change = self.record_xfrm(ctx, XfrmChange::State(row.clone()));
        let salt = self.rng.u64(..);
        self.xfrm.states.push(State { row, change, cipher, oseq: 0, seq: 0, bitmap: 0, salt });
        true
    }

    /// Removes a security association (`ip xfrm state delete`).
    pub fn del_xfrm_state(&mut self, ctx: &mut Ctx<'_>, dst: Ipv4Addr, spi: u32) {
        let before = self.xfrm.states.len();
        self.xfrm.states.retain(|state| (state.row.dst, state.row.spi) != (dst, spi));
        if self.xfrm.states.len() < before {
            self.record_xfrm(ctx, XfrmChange::StateGone(self.id, dst, spi));
        }
    }

    /// Adds a policy (`ip xfrm policy add`).
    pub fn add_xfrm_policy(&mut self, ctx: &mut Ctx<'_>, row: XfrmPolicyRow) {
        let change = self.record_xfrm(ctx, XfrmChange::Policy(row));
        self.xfrm.policies.push((row, change));
        self.xfrm.policies.sort_by_key(|(row, _)| row.priority);
    }

    /// Removes a policy (`ip xfrm policy delete`).
    pub fn del_xfrm_policy(&mut self, ctx: &mut Ctx<'_>, row: &XfrmPolicyRow) {
        let before = self.xfrm.policies.len();
        self.xfrm.policies.retain(|(old, _)| old != row);
        if self.xfrm.policies.len() < before {
            self.record_xfrm(ctx, XfrmChange::PolicyGone(*row));
        }
    }

    /// The policies, in the order in which they are asked.
    pub fn xfrm_policies(&self) -> impl Iterator<Item = &XfrmPolicyRow> {
        self.xfrm.policies.iter().map(|(row, _)| row)
    }

    /// The security associations.
    pub fn xfrm_states(&self) -> impl Iterator<Item = &XfrmStateRow> {
        self.xfrm.states.iter().map(|state| &state.row)
    }

    fn record_xfrm(&self, ctx: &mut Ctx<'_>, change: XfrmChange) -> ChangeId {
        ctx.change(self.id, IfIndex::NONE, EventId::NONE, TableChange::Xfrm(change))
    }

    /// The policy that fits a packet.
    fn policy(
        &self,
        direction: XfrmDirection,
        src: Ipv4Addr,
        dst: Ipv4Addr,
    ) -> Option<(XfrmPolicyRow, ChangeId)> {
        let fits = |row: &XfrmPolicyRow| {
            row.direction == direction && row.src.contains(&src) && row.dst.contains(&dst)
        };
        self.xfrm.policies.iter().find(|(row, _)| fits(row)).copied()
    }

    /// What has to be done with a packet that leaves (`xfrm_lookup`).
    fn wanted(&self, src: Ipv4Addr, dst: Ipv4Addr) -> (Wanted, ChangeId) {
        let Some((row, change)) = self.policy(XfrmDirection::Out, src, dst) else {
            return (Wanted::Nothing, ChangeId::NONE);
        };
        let Some(template) = row.template else { return (Wanted::Drop(DropReason::XfrmBlock), change) };
        let place = self.xfrm.states.iter().rposition(|state| serves(&state.row, &template));
        (place.map_or(Wanted::Drop(DropReason::XfrmOutNoStates), Wanted::Seal), change)
    }

    /// The MTU that is left for packets which a policy has encrypted on their way out of a device with this one.
    pub(super) fn xfrm_mtu(&self, src: Ipv4Addr, dst: Ipv4Addr, mtu: u32) -> u32 {
        if self.xfrm.policies.is_empty() {
            return mtu;
        }
        match self.wanted(src, dst).0 {
            Wanted::Seal(_) => room(mtu),
            Wanted::Nothing | Wanted::Drop(_) => mtu,
        }
    }

    /// A packet leaves: what a policy wants encrypted goes out inside another packet (`xfrm4_output`). Any other comes
    /// back.
    pub(super) fn xfrm_output(&mut self, ctx: &mut Ctx<'_>, oif: IfIndex, mut skb: Skb) -> Option<Skb> {
        if self.xfrm.policies.is_empty() || skb.dst.transformed {
            return Some(skb);
        }
        let at = (self.id, oif);
        let Some((src, dst)) = skb.frame.ipv4().map(|packet| (packet.src, packet.dst)) else {
            return Some(skb);
        };
        let (wanted, change) = self.wanted(src, dst);
        let place = match wanted {
            Wanted::Nothing => return Some(skb),
            Wanted::Drop(reason) => {
                ctx.note(at, &mut skb, EventKind::Decided(Table::Xfrm, change));
                ctx.drop(at, skb, reason);
                return None;
            }
            Wanted::Seal(place) => place,
        };
        ctx.note(at, &mut skb, EventKind::Decided(Table::Xfrm, change));
        let mtu = self.dst_mtu(oif, &skb);
        let packet_len = skb.frame.ipv4().map_or(0, Ipv4::wire_len);
        let whole = skb.frame.ipv4().is_some_and(|packet| packet.dont_fragment) && skb.frag_max == 0;
        if whole && packet_len > mtu as usize {
            self.icmp_send(ctx, oif, &skb, super::icmp::IcmpError::frag_needed(mtu));
            ctx.drop(at, skb, DropReason::PktTooBig);
            return None;
        }
        self.refragment(ctx, oif, skb).each(|piece| self.seal(ctx, oif, place, piece));
        None
    }

    /// Puts one packet into ESP and sends that.
    fn seal(&mut self, ctx: &mut Ctx<'_>, oif: IfIndex, place: usize, mut skb: Skb) {
        let at = (self.id, oif);
        let Some(inner) = skb.frame.ipv4().cloned() else { return ctx.drop(at, skb, DropReason::IpInHdr) };
        let Some(state) = self.xfrm.states.get_mut(place) else {
            return ctx.drop(at, skb, DropReason::XfrmOutNoStates);
        };
        state.oseq += 1;
        let content = EspContent { bytes: inner.emit(), next_header: IPIP };
        let iv = (state.salt ^ u64::from(state.oseq)).to_be_bytes();
        let esp = state.cipher.seal((state.row.spi, state.oseq), iv, &content);
        let (src, dst, change) = (state.row.src, state.row.dst, state.change);
        let outer = Ipv4 {
            tos: ecn_encapsulate(inner.tos, inner.tos),
            id: self.next_ip_id(),
            dont_fragment: inner.dont_fragment,
            more_fragments: false,
            fragment_offset: 0,
            ttl: self.sysctl.ip_default_ttl,
            src,
            dst,
            options: None,
            body: Arc::new(Body::Esp(esp)),
        };
        let Ok(flow) = self.ip_route_output(ctx.now, dst, Some(src), None) else {
            return ctx.drop(at, skb, DropReason::IpOutNoRoutes);
        };
        let mac = crate::base::MacAddr::ZERO;
        *skb.frame_mut() = Frame { dst: mac, src: mac, payload: Payload::Ipv4(outer) };
        (skb.frag_max, skb.frag_list) = (0, 0);
        skb.nf = skb.nf.scrubbed(false);
        skb.sec = None;
        skb.dst = super::Dst { transformed: true, ..super::Dst::default() };
        ctx.note(at, &mut skb, EventKind::Encapsulated);
        ctx.note(at, &mut skb, EventKind::Decided(Table::Xfrm, change));
        self.ip_local_out(ctx, &flow, ctx.delays.tunnel, skb);
    }

    /// An ESP packet for this machine (`xfrm_input`, `esp_input`): what is inside comes in at the same device.
    pub(super) fn esp_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        kind: PacketType,
        (outer, esp): (&Ipv4, &Esp),
        mut skb: Skb,
    ) {
        let at = (self.id, ifindex);
        // Without any association the kernel has not loaded the protocol.
        if self.xfrm.states.is_empty() {
            let error = super::icmp::IcmpError::PROTOCOL_UNREACHABLE;
            return self.unclaimed(ctx, ifindex, kind, error, skb);
        }
        let found =
            self.xfrm.states.iter_mut().find(|state| (state.row.dst, state.row.spi) == (outer.dst, esp.spi));
        let Some(state) = found else { return ctx.drop(at, skb, DropReason::XfrmInNoStates) };
        if !state.accepts(esp.seq) {
            return ctx.drop(at, skb, DropReason::XfrmInStateSeqError);
        }
        let Some(content) = state.cipher.open(esp) else {
            return ctx.drop(at, skb, DropReason::XfrmInStateProtoError);
        };
        state.advance(esp.seq);
        let (change, sec) = (state.change, (state.row.dst, state.row.spi));
        let inner = (content.next_header == IPIP).then(|| Ipv4::parse(&content.bytes).ok()).flatten();
        let Some(inner) = inner else { return ctx.drop(at, skb, DropReason::XfrmInStateProtoError) };
        ctx.note(at, &mut skb, EventKind::Decided(Table::Xfrm, change));
        let (dst, src) = (skb.frame.dst, skb.frame.src);
        *skb.frame_mut() = Frame { dst, src, payload: Payload::Ipv4(inner) };
        (skb.frag_max, skb.frag_list) = (0, 0);
        skb.dst = super::Dst::default();
        skb.nf = skb.nf.scrubbed(false);
        skb.sec = Some(sec);
        ctx.note(at, &mut skb, EventKind::Decapsulated);
        self.netif_receive(ctx, ifindex, skb);
    }

    /// Whether a packet that came in arrived as a policy wants it (`xfrm4_policy_check`).
    pub(super) fn xfrm_check(&self, direction: XfrmDirection, skb: &Skb) -> Result<(), DropReason> {
        if self.xfrm.policies.is_empty() && skb.sec.is_none() {
            return Ok(());
        }
        let Some((src, dst)) = skb.frame.ipv4().map(|packet| (packet.src, packet.dst)) else { return Ok(()) };
        let Some((policy, _)) = self.policy(direction, src, dst) else {
            return if skb.sec.is_some() { Err(DropReason::XfrmInNoPols) } else { Ok(()) };
        };
        let Some(template) = policy.template else { return Err(DropReason::XfrmBlock) };
        let by = skb
            .sec
            .and_then(|sec| self.xfrm.states.iter().find(|state| (state.row.dst, state.row.spi) == sec));
        match by {
            Some(state) if serves(&state.row, &template) => Ok(()),
            Some(_) | None => Err(DropReason::XfrmInTmplMismatch),
        }
    }
}

/// Whether an association does what a template wants (`xfrm_state_ok`).
fn serves(row: &XfrmStateRow, template: &XfrmTemplate) -> bool {
    (row.src, row.dst) == (template.src, template.dst) && (template.reqid == 0 || template.reqid == row.reqid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::NetnsId;

    fn state(replay_window: u8) -> State {
        let key: Arc<[u8]> = Arc::from([7; 20]);
        let row = XfrmStateRow {
            netns: NetnsId(0),
            src: Ipv4Addr::new(192, 0, 2, 1),
            dst: Ipv4Addr::new(192, 0, 2, 2),
            spi: 1,
            reqid: 1,
            key: key.clone(),
            replay_window,
        };
        let cipher = EspCipher::new(&key).unwrap();
        State { row, change: ChangeId::NONE, cipher, oseq: 0, seq: 0, bitmap: 0, salt: 0 }
    }

    #[test]
    fn a_number_is_taken_once_and_not_too_late() {
        let mut state = state(32);
        for (seq, fine) in
            [(1, true), (1, false), (3, true), (2, true), (2, false), (40, true), (8, false), (9, true)]
        {
            assert_eq!(state.accepts(seq), fine, "{seq}");
            if fine {
                state.advance(seq);
            }
        }
        assert!(!state.accepts(0));
    }

    #[test]
    fn what_fits_leaves_no_room_for_one_byte_more() {
        for mtu in 576..1600u32 {
            let room = room(mtu);
            let outer = |len: u32| Ipv4::HEADER_LEN + Esp::len_for(len as usize);
            assert!(outer(room) <= mtu as usize, "{mtu}");
            assert!(outer(room + 1) > mtu as usize, "{mtu}");
        }
        assert_eq!(room(1500), 1446);
    }
}
