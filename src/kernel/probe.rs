//! Packets that no socket stands behind, as a raw socket sends them (`raw(7)`, protocol `IPPROTO_RAW`): single probes of
//! whether somebody can be reached. Answers find no socket either, and are met as such.

use super::rule::Traits;
use super::{Ctx, Errno, Netns, User};
use crate::base::{IfIndex, Ipv4Addr, JourneyId, MacAddr, ProcessId, SimTime};
use crate::trace::{EventKind, Relation};
use crate::wire::{Body, Frame, Ipv4, Payload};
use std::sync::Arc;

impl Netns {
    /// The source address that a UDP socket would get by `connect(2)` to a port that nobody means, with which `ping` asks for the
    /// way (`ping4_run`).
    pub fn source_of(
        &self,
        now: SimTime,
        dst: Ipv4Addr,
        device: Option<IfIndex>,
        (broadcast, tos, user): (bool, u8, User),
    ) -> Result<Ipv4Addr, Errno> {
        const PROBE_PORT: u16 = 1025;
        let traits =
            Traits { mark: 0, tos, protocol: 17, ports: (0, PROBE_PORT), uid: user.uid, ..Traits::default() };
        let flow = self.ip_route_output_flow(now, dst, (None, device), traits)?;
        if (flow.broadcast || dst.is_broadcast()) && !broadcast && !dst.is_multicast() {
            return Err(Errno::Eacces);
        }
        Ok(flow.src)
    }

    /// The source address that a UDP socket gets by such a `connect(2)`, which counts where there is no route.
    pub fn source_towards(
        &mut self,
        now: SimTime,
        dst: Ipv4Addr,
        device: Option<IfIndex>,
        socket: (bool, u8, User),
    ) -> Result<Ipv4Addr, Errno> {
        let found = self.source_of(now, dst, device, socket);
        self.counted_route(found)
    }

    /// Sends a packet with this body; the kernel chooses route and source.
    pub fn raw_send(&mut self, ctx: &mut Ctx<'_>, dst: Ipv4Addr, body: Body) -> Result<JourneyId, Errno> {
        let flow = self.ip_route_output(ctx.now, dst, None, None)?;
        let packet = Ipv4 {
            tos: 0,
            id: self.next_ip_id(),
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: self.sysctl.ip_default_ttl,
            src: flow.src,
            dst,
            options: None,
            body: Arc::new(body),
        };
        let frame = Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(packet) };
        let mut skb = ctx.fresh(Relation::Sent, ProcessId::NONE, Arc::new(frame));
        let journey = skb.journey;
        ctx.note((self.id, flow.oif), &mut skb, EventKind::Originated);
        // What a rule drops on the way out is an end of the journey like any other.
        self.ip_local_out(ctx, &flow, ctx.delays.output, skb);
        Ok(journey)
    }
}
