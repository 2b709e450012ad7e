//! What rules ask about a packet.

use super::packet_match::iprange_fits;
use super::{CtInfo, HookState, header};
use crate::base::{IfIndex, SimTime};
use crate::kernel::{Netns, Sender, Skb};
use crate::trace::{RouteKind, Tuple};
use crate::wire::{Body, Icmp, Ipv4, TcpOption};
use crate::xtables::{
    self, Addrtype, Iface, Match, Not, PacketMatch, Physdev, PortSide, Rpfilter, Rule, Statistic, Table,
    ctstate,
};
use std::net::IpAddr;

/// Where a rule stands: table, number of the chain, place in the chain.
pub(super) type Place = (Table, usize, usize);

/// What rules look at, read once for each chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) protocol: u8,
    /// Whether this is a second or further fragment, which has no header of its own.
    pub(super) later_fragment: bool,
    pub(super) sport: u16,
    pub(super) dport: u16,
    /// The lower eight flags of TCP.
    pub(super) tcp_flags: u8,
    pub(super) mss: Option<u16>,
    pub(super) icmp: Option<(u8, u8)>,
}

impl Seen {
    /// Of a packet, if it is IPv4.
    pub(super) fn of(skb: &Skb) -> Option<Self> {
        let packet: &Ipv4 = skb.frame.ipv4()?;
        let (sport, dport) = header::ports(&packet.body);
        let (mut tcp_flags, mut mss, mut icmp) = (0, None, None);
        match &*packet.body {
            Body::Tcp(tcp) => {
                tcp_flags = tcp.flags.bits() as u8;
                let size = |option: &TcpOption| {
                    if let TcpOption::MaxSegmentSize(size) = option { Some(*size) } else { None }
                };
                mss = tcp.options.iter().flat_map(|options| options.iter()).find_map(size);
            }
            Body::Icmp(message) => icmp = Some(Icmp::kind_and_code(message)),
            Body::Udp(_) | Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => {
            }
        }
        Some(Self {
            src: IpAddr::V4(packet.src),
            dst: IpAddr::V4(packet.dst),
            protocol: packet.protocol(),
            later_fragment: packet.fragment_offset != 0,
            sport,
            dport,
            tcp_flags,
            mss,
            icmp,
        })
    }
}

/// Whether asking this match changes something.
pub(super) fn is_stateful(each: &Match) -> bool {
    matches!(each, Match::Statistic(_) | Match::Recent(_) | Match::Limit { .. } | Match::Counting(_))
}

/// Turns a condition round where `!` stood before it.
pub(super) fn fits<T>(condition: &Not<T>, is: impl FnOnce(&T) -> bool) -> bool {
    is(&condition.is) != condition.negated
}

pub(super) fn fits_if<T>(condition: Option<&Not<T>>, is: impl FnOnce(&T) -> bool) -> bool {
    condition.is_none_or(|condition| fits(condition, is))
}

impl Netns {
    fn nf_iface(&self, condition: Option<&Not<Iface>>, ifindex: IfIndex) -> bool {
        fits_if(condition, |iface| self.link(ifindex).is_some_and(|link| iface.fits(&link.name)))
    }

    /// Whether a rule fits, as far as that can be said without changing anything: up to the first match that changes
    /// something.
    pub(super) fn nf_fits(
        &self,
        rule: &Rule,
        (seen, state): (&Seen, HookState),
        asked: (&Skb, SimTime),
    ) -> bool {
        self.nf_head_fits(rule, seen, state)
            && rule
                .matches
                .iter()
                .take_while(|each| !is_stateful(each))
                .all(|each| self.nf_match(each, (seen, state), asked))
    }

    /// Whether a match that changes nothing fits.
    fn nf_match(&self, each: &Match, (seen, state): (&Seen, HookState), (skb, now): (&Skb, SimTime)) -> bool {
        if let Match::Packet(packet) = each {
            return self.nf_packet_fits(packet, (seen, state), (skb, now));
        }
        self.nf_header_match(each, seen, state) && self.nf_packet_match(each, skb)
    }

    /// Whether a packet fits what stands in a rule before its matches.
    pub(super) fn nf_head_fits(&self, rule: &Rule, seen: &Seen, state: HookState) -> bool {
        fits(&rule.src, |net| net.contains(seen.src))
            && fits(&rule.dst, |net| net.contains(seen.dst))
            && fits_if(rule.protocol.as_ref(), |protocol| *protocol == seen.protocol)
            && self.nf_iface(rule.iif.as_ref(), state.iif)
            && self.nf_iface(rule.oif.as_ref(), state.oif)
            && rule.fragment.is_none_or(|later| later == seen.later_fragment)
    }

    /// What a match asks of the headers, and of the tables of this namespace. One that asks for more is taken to fit.
    pub(super) fn nf_header_match(&self, each: &Match, seen: &Seen, state: HookState) -> bool {
        match each {
            Match::Comment(_)
            | Match::Statistic(_)
            | Match::Recent(_)
            | Match::Limit { .. }
            | Match::Mark(_)
            | Match::Connmark(_)
            | Match::State(_)
            | Match::Conntrack(_)
            | Match::Physdev(_)
            | Match::Owner(_)
            | Match::Ttl(_)
            | Match::Tos(_)
            | Match::Dscp(_)
            | Match::Counting(_)
            | Match::Packet(
                PacketMatch::Length(_)
                | PacketMatch::Mac(_)
                | PacketMatch::Pkttype(_)
                | PacketMatch::String(_)
                | PacketMatch::U32(_)
                | PacketMatch::Time(_)
                | PacketMatch::Ecn(_)
                | PacketMatch::Helper(_),
            ) => true,
            Match::Packet(PacketMatch::Iprange(range)) => iprange_fits(range, seen),
            Match::Tcp(tcp) => {
                !seen.later_fragment
                    && fits_if(tcp.sport.as_ref(), |range| range.contains(seen.sport))
                    && fits_if(tcp.dport.as_ref(), |range| range.contains(seen.dport))
                    && fits_if(tcp.flags.as_ref(), |(mask, set)| seen.tcp_flags & mask == *set)
            }
            Match::Udp(udp) | Match::Sctp(udp) => {
                !seen.later_fragment
                    && fits_if(udp.sport.as_ref(), |range| range.contains(seen.sport))
                    && fits_if(udp.dport.as_ref(), |range| range.contains(seen.dport))
            }
            Match::Icmp(icmp) => seen.icmp.is_some_and(|(kind, code)| {
                fits(icmp, |is| {
                    is.kind == 255 || (is.kind == kind && is.codes.0 <= code && code <= is.codes.1)
                })
            }),
            Match::Addrtype(addrtype) => self.nf_addrtype(addrtype, seen, state),
            Match::Multiport(multiport) => {
                !seen.later_fragment
                    && fits(multiport, |is| {
                        is.ranges.iter().any(|range| match is.side {
                            PortSide::Source => range.contains(seen.sport),
                            PortSide::Destination => range.contains(seen.dport),
                            PortSide::Either => range.contains(seen.sport) || range.contains(seen.dport),
                        })
                    })
            }
            Match::Set(set) => fits(set, |is| {
                let ports = (seen.protocol, seen.sport, seen.dport);
                self.netfilter.sets.contains(&is.name, &is.source, (seen.src, seen.dst), ports)
            }),
            Match::Rpfilter(filter) => self.nf_rpfilter(*filter, seen, state),
            Match::Tcpmss(mss) => {
                // A segment without the option does not fit, whichever way round (`tcpmss_mt`).
                seen.mss.is_some_and(|own| fits(mss, |range| range.contains(own)))
            }
        }
    }

    /// What a match asks of the packet beyond its headers: its mark, its connection, its way through a bridge.
    fn nf_packet_match(&self, each: &Match, skb: &Skb) -> bool {
        match each {
            Match::Tcp(tcp) => fits_if(tcp.option.as_ref(), |kind| has_tcp_option(skb, *kind)),
            Match::Mark(mark) => fits(mark, |(value, mask)| skb.nf.mark & mask == *value),
            Match::Connmark(mark) => {
                let own = skb.nf.ct.and_then(|id| self.netfilter.conntrack.mark(id));
                own.is_some_and(|own| fits(mark, |(value, mask)| own & mask == *value))
            }
            Match::State(states) => fits(states, |bits| bits & Self::nf_state_bits(skb) & 0x1f != 0),
            Match::Conntrack(ct) => self.nf_conntrack_fits(ct, skb),
            Match::Physdev(physdev) => self.nf_physdev(physdev, skb),
            Match::Owner(owner) => owner_fits(owner, skb.nf.sender),
            // A rule before this one may have changed these fields.
            Match::Ttl(test) => skb.frame.ipv4().is_some_and(|packet| test.fits(packet.ttl)),
            Match::Tos(tos) => {
                skb.frame.ipv4().is_some_and(|packet| fits(tos, |(value, mask)| packet.tos & mask == *value))
            }
            Match::Dscp(dscp) => {
                skb.frame.ipv4().is_some_and(|packet| fits(dscp, |value| packet.tos >> 2 == *value))
            }
            Match::Comment(_)
            | Match::Statistic(_)
            | Match::Recent(_)
            | Match::Limit { .. }
            | Match::Udp(_)
            | Match::Sctp(_)
            | Match::Icmp(_)
            | Match::Addrtype(_)
            | Match::Multiport(_)
            | Match::Set(_)
            | Match::Rpfilter(_)
            | Match::Packet(_)
            | Match::Counting(_)
            | Match::Tcpmss(_) => true,
        }
    }

    /// The states that a packet is in (`conntrack_mt`).
    fn nf_state_bits(skb: &Skb) -> u16 {
        match (skb.nf.info, skb.nf.ct) {
            (CtInfo::Untracked, _) => ctstate::UNTRACKED,
            (_, None) | (CtInfo::None, _) => ctstate::INVALID,
            (CtInfo::New, Some(_)) => ctstate::NEW,
            (CtInfo::Related | CtInfo::RelatedReply, Some(_)) => ctstate::RELATED,
            (CtInfo::Established | CtInfo::EstablishedReply, Some(_)) => ctstate::ESTABLISHED,
        }
    }

    fn nf_conntrack_fits(&self, asked: &xtables::Conntrack, skb: &Skb) -> bool {
        let conn = skb.nf.ct.and_then(|id| self.netfilter.conntrack.get(id));
        let mut bits = Self::nf_state_bits(skb);
        if let Some(conn) = conn {
            bits |= if conn.src_nat { ctstate::SNAT } else { 0 };
            bits |= if conn.dst_nat { ctstate::DNAT } else { 0 };
        }
        if !fits_if(asked.state.as_ref(), |states| states & bits != 0) {
            return false;
        }
        let Some(conn) = conn else {
            // Whatever else is asked, there is no connection to answer.
            return asked.reply.is_none()
                && asked.proto.is_none()
                && asked.status.is_none()
                && asked.expire.is_none()
                && asked.addrs.iter().all(Option::is_none)
                && asked.ports.iter().all(Option::is_none);
        };
        let (orig, reply): (&Tuple, &Tuple) = (&conn.orig, &conn.reply);
        let addrs = [orig.src, orig.dst, reply.src, reply.dst];
        let ports = [orig.sport, orig.dport, reply.sport, reply.dport];
        let status =
            u16::from(conn.seen_reply) << 1 | u16::from(conn.assured) << 2 | u16::from(conn.confirmed) << 3;
        let is_status = |bits: &u16| if *bits == 0 { status == 0 } else { status & bits != 0 };
        asked.reply.is_none_or(|reply| reply == skb.nf.info.is_reply())
            && fits_if(asked.proto.as_ref(), |protocol| *protocol == orig.protocol)
            && asked
                .addrs
                .iter()
                .zip(addrs)
                .all(|(is, addr)| fits_if(is.as_ref(), |net| net.contains(IpAddr::V4(addr))))
            && asked
                .ports
                .iter()
                .zip(ports)
                .all(|(is, port)| fits_if(is.as_ref(), |range| range.contains(port)))
            && fits_if(asked.status.as_ref(), is_status)
            && fits_if(asked.expire.as_ref(), |(first, last)| {
                let left = conn.timeout.as_secs();
                u64::from(*first) <= left && left <= u64::from(*last)
            })
    }

    /// The type of an address as routes see it (`inet_addr_type`, `inet_dev_addr_type`), as a bit.
    fn nf_addr_type(&self, addr: IpAddr, device: Option<IfIndex>) -> u16 {
        let addr = match addr {
            IpAddr::V4(addr) => addr,
            IpAddr::V6(addr) if addr.is_multicast() => return 1 << 5,
            IpAddr::V6(addr) => return if self.addrs6.contains(&addr) { 1 << 2 } else { 1 << 1 },
        };
        if addr.is_broadcast() || addr.octets()[0] == 0 {
            return 1 << 3;
        }
        if addr.is_multicast() {
            return 1 << 5;
        }
        let found =
            self.route_towards(addr).filter(|found| found.change.is_some() || found.route.table == 255);
        match found.map(|found| found.route) {
            Some(route) if route.table == 255 => match route.kind {
                _ if device.is_some_and(|device| route.oif != Some(device)) => 1 << 1,
                RouteKind::Local => 1 << 2,
                RouteKind::Broadcast => 1 << 3,
                RouteKind::Unicast
                | RouteKind::Blackhole
                | RouteKind::Unreachable
                | RouteKind::Prohibit
                | RouteKind::Throw => 1 << 1,
            },
            Some(_) | None => 1 << 1,
        }
    }

    fn nf_addrtype(&self, asked: &Addrtype, seen: &Seen, state: HookState) -> bool {
        let device = if asked.limit_in {
            Some(state.iif)
        } else if asked.limit_out {
            Some(state.oif)
        } else {
            None
        };
        fits_if(asked.src.as_ref(), |types| types & self.nf_addr_type(seen.src, device) != 0)
            && fits_if(asked.dst.as_ref(), |types| types & self.nf_addr_type(seen.dst, device) != 0)
    }

    /// `physdev_mt`. Without a bridge on the way there is nothing to ask about.
    fn nf_physdev(&self, asked: &Physdev, skb: &Skb) -> bool {
        let Some(bridged) = skb.nf.bridge else {
            return asked.is_in != Some(true)
                && asked.is_out != Some(true)
                && asked.is_bridged != Some(true)
                && asked.iif.as_ref().is_none_or(|iface| iface.negated)
                && asked.oif.as_ref().is_none_or(|iface| iface.negated);
        };
        let has_out = bridged.oif.is_some();
        asked.is_in.is_none_or(|is| is)
            && asked.is_out.is_none_or(|is| is == has_out)
            && asked.is_bridged.is_none_or(|is| is == has_out)
            && self.nf_iface(asked.iif.as_ref(), bridged.iif)
            && (asked.oif.is_none()
                || if has_out {
                    self.nf_iface(asked.oif.as_ref(), bridged.oif)
                } else {
                    asked.oif.as_ref().is_some_and(|iface| iface.negated)
                })
    }

    /// Whether answers would go back where the packet came in (`rpfilter_mt`).
    fn nf_rpfilter(&self, filter: Rpfilter, seen: &Seen, state: HookState) -> bool {
        let is_lo = state.iif == IfIndex(1);
        let src = match seen.src {
            IpAddr::V4(src) if !is_lo && !src.is_unspecified() => src,
            IpAddr::V4(_) | IpAddr::V6(_) => return !filter.invert,
        };
        let found = self.route_towards(src).map(|found| found.route);
        let good = match found {
            Some(route) if route.kind == RouteKind::Unicast => filter.loose || route.oif == Some(state.iif),
            Some(route) if route.kind == RouteKind::Local => filter.accept_local,
            Some(_) | None => false,
        };
        good != filter.invert
    }

    /// Asks the matches of a rule from the first one on that changes something, in order; `None` drops the packet.
    pub(super) fn nf_fits_now(
        &mut self,
        now: SimTime,
        place: Place,
        rule: &Rule,
        (seen, state, skb): (&Seen, HookState, &Skb),
    ) -> Option<bool> {
        for (at, each) in rule.matches.iter().enumerate().skip_while(|(_, each)| !is_stateful(each)) {
            let fits = match each {
                Match::Statistic(Not { negated, is: Statistic::Random(probability) }) => {
                    (self.rng.u32(..) & 0x7fff_ffff < *probability) != *negated
                }
                Match::Statistic(Not { negated, is: Statistic::Nth { every, packet } }) => {
                    let last = u64::from(*every).saturating_sub(1);
                    // The counter starts so that packet number `--packet`, from 0, is the first to have it come round
                    // to zero (`statistic_mt`, and the check of its iptables extension).
                    let state = self.nf_entry_state(place, at, (last.saturating_sub(u64::from(*packet)), 0));
                    state.0 = if state.0 == last { 0 } else { state.0 + 1 };
                    let hit = state.0 == 0;
                    hit != *negated
                }
                Match::Limit { period, burst } => {
                    let cost = u64::from(*period) * 100_000;
                    let full = cost * u64::from(*burst);
                    let state = self.nf_entry_state(place, at, (full, now.0));
                    let tokens = (state.0 + (now.0 - state.1)).min(full);
                    let enough = tokens >= cost;
                    *state = (if enough { tokens - cost } else { tokens }, now.0);
                    enough
                }
                Match::Recent(recent) => {
                    let IpAddr::V4(addr) = (if recent.is.dest { seen.dst } else { seen.src }) else {
                        return Some(false);
                    };
                    self.netfilter.sets.recent(now, &recent.is, addr) != recent.negated
                }
                Match::Counting(counting) => self.nf_count(now, (place, at), counting, (seen, skb))?,
                Match::Tcp(_)
                | Match::Ttl(_)
                | Match::Tos(_)
                | Match::Dscp(_)
                | Match::Udp(_)
                | Match::Sctp(_)
                | Match::Icmp(_)
                | Match::Comment(_)
                | Match::Conntrack(_)
                | Match::State(_)
                | Match::Mark(_)
                | Match::Connmark(_)
                | Match::Addrtype(_)
                | Match::Multiport(_)
                | Match::Set(_)
                | Match::Physdev(_)
                | Match::Rpfilter(_)
                | Match::Owner(_)
                | Match::Packet(_)
                | Match::Tcpmss(_) => self.nf_match(each, (seen, state), (skb, now)),
            };
            if !fits {
                return Some(false);
            }
        }
        Some(true)
    }
}

/// Whose socket a packet comes from (`owner_mt`). Of a packet that nobody sent, only what is turned round fits.
fn owner_fits(asked: &xtables::Owner, sender: Sender) -> bool {
    let unasked = |of: Option<&Not<(u32, u32)>>| of.is_none_or(|is| is.negated);
    let within =
        |of: Option<&Not<(u32, u32)>>, id: u32| fits_if(of, |(first, last)| (*first..=*last).contains(&id));
    let (uid, gid) = (asked.uid.as_ref(), asked.gid.as_ref());
    let ids = match sender {
        Sender::Nobody | Sender::Kernel => unasked(uid) && unasked(gid),
        Sender::User(user) => within(uid, user.uid) && within(gid, user.gid),
    };
    ids && asked.exists.is_none_or(|is| is.negated == (sender == Sender::Nobody))
}

fn has_tcp_option(skb: &Skb, kind: u8) -> bool {
    let Some(Body::Tcp(tcp)) = skb.frame.ipv4().map(|packet| &*packet.body) else { return false };
    let kind_of = |option: &TcpOption| match option {
        TcpOption::End(_) => 0,
        TcpOption::Nop => 1,
        TcpOption::MaxSegmentSize(_) => 2,
        TcpOption::WindowScale(_) => 3,
        TcpOption::SackPermitted => 4,
        TcpOption::Sack(_) => 5,
        TcpOption::Timestamps { .. } => 8,
        TcpOption::Unknown { kind, .. } => *kind,
    };
    tcp.options.iter().flat_map(|options| options.iter()).any(|option| kind_of(option) == kind)
}
