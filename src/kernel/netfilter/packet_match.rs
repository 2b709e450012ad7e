//! Matches that fewer rules use: those that a packet alone, the time or its connection answers (`xt_length.c`, `xt_mac.c`,
//! `xt_pkttype.c`, `xt_string.c`, `xt_iprange.c`, `xt_u32.c`, `xt_time.c`, `xt_ecn.c`, `xt_helper.c`), and those that
//! count (`xt_connlimit.c` with `nf_conncount.c`, `xt_hashlimit.c`, `xt_quota.c`).

use super::HookState;
use super::matches::{Place, Seen, fits, fits_if};
use super::tables::Entry;
use crate::base::{Duration, IfIndex, SimTime};
use crate::kernel::netfilter::{header, tcp};
use crate::kernel::{Kind, Netns, Skb};
use crate::trace::{Hook, TcpTracking, Tuple};
use crate::wire::Ipv4;
use crate::xtables::{
    Connlimit, CountingMatch, Ecn, Hashlimit, Iprange, Match, PacketMatch, PktType, Rate, Rule, net_mask,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Ticks of the kernel's clock in a second (`HZ`).
const HZ: u64 = 250;
/// Nanoseconds of one.
const JIFFY: u64 = 1_000_000_000 / HZ;
/// What a rate of packets gains with each tick (`CREDITS_PER_JIFFY`): the power of two below what a day leaves of 64 bits.
const CREDITS_PER_JIFFY: u64 = 1 << 39;
/// The same of a rate of bytes (`CREDITS_PER_JIFFY_BYTES`), which has 32 bits for a second.
const CREDITS_PER_JIFFY_BYTES: u64 = 1 << 24;
/// Parts of a second in which a rate of packets is counted (`XT_HASHLIMIT_SCALE_v2`).
const SCALE: u64 = 1_000_000;
/// A flag of TCP that tells of congestion, and one that says that it was heard (RFC 3168).
const ECE: u8 = 0x40;
const CWR: u8 = 0x80;

/// Addresses and ports by which packets are told apart, zero where they do not matter.
type Group = (u32, u16, u32, u16);

/// The counts of `-m hashlimit` under one name (`struct xt_hashlimit_htable`).
#[derive(Clone, Debug)]
pub(super) struct HashTable {
    /// Rules that use it.
    pub(super) users: u32,
    /// The first of them, which says how packets are told apart.
    config: Hashlimit,
    created: SimTime,
    groups: BTreeMap<Group, Bucket>,
}

/// What is left of a rate (`struct dsthash_ent`).
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The tick up to which it was counted.
    prev: u64,
    credit: u64,
    /// How often a second's bytes may still be had.
    refills: u64,
    /// With `--hashlimit-rate-match`: what came in this interval, and whether too much came in the one before.
    current: u64,
    was_over: bool,
    expires: SimTime,
}

/// Connections that `-m connlimit` knows of, by the network they are counted for (`struct nf_conncount_data`).
pub(super) type Counted = BTreeMap<u32, Vec<Tuple>>;

impl HashTable {
    pub(super) fn new(config: &Hashlimit, now: SimTime) -> Self {
        Self { users: 0, config: config.clone(), created: now, groups: BTreeMap::new() }
    }

    fn group_of(&self, seen: &Seen) -> Group {
        let of = |addr: IpAddr, len: u8| match addr {
            IpAddr::V4(addr) => u32::from(addr) & net_mask(u32::from(len.min(32))),
            IpAddr::V6(_) => 0,
        };
        let (mode, masks) = (&self.config.mode, self.config.masks);
        // Types of ICMP are no ports (`proto_ports_offset`).
        let has_ports = matches!(seen.protocol, 6 | 17 | 33 | 50 | 51 | 132 | 136);
        let port = |wanted: bool, port: u16| if wanted && has_ports { port } else { 0 };
        (
            if mode.src_ip { of(seen.src, masks.0) } else { 0 },
            port(mode.src_port, seen.sport),
            if mode.dst_ip { of(seen.dst, masks.1) } else { 0 },
            port(mode.dst_port, seen.dport),
        )
    }

    /// Takes away the entries whose time was over when the collector came last (`htable_gc`).
    fn collect(&mut self, now: SimTime) {
        let interval = Duration::from_ms(u64::from(self.config.gc_interval_ms.max(1)));
        let rounds = now.since(self.created).0 / interval.0;
        let last = self.created + Duration(rounds * interval.0);
        self.groups.retain(|_, bucket| bucket.expires >= last);
    }

    /// Whether a packet is within the rate (`hashlimit_mt_common`); `None` where there is no room to count it.
    fn is_within(&mut self, now: SimTime, seen: &Seen, len: u64) -> Option<bool> {
        self.collect(now);
        let group = self.group_of(seen);
        let (config, tick) = (&self.config, now.0 / JIFFY);
        let count = self.groups.len();
        let known = self.groups.contains_key(&group);
        if !known && config.max > 0 && count >= config.max as usize {
            return None;
        }
        let bucket = self.groups.entry(group).or_insert_with(|| Bucket::full(config, tick));
        bucket.expires = now + Duration::from_ms(u64::from(config.expire_ms));
        if known {
            bucket.refill(config, tick);
        }
        Some(if config.rate_match { bucket.compare(config, len) } else { bucket.take(config, len) })
    }
}

/// What a packet costs of a rate of packets, in credits (`user2credits`).
fn packet_cost(period: u64) -> u64 {
    period.saturating_mul(HZ * CREDITS_PER_JIFFY / SCALE)
}

impl Bucket {
    /// `rateinfo_init`.
    fn full(config: &Hashlimit, tick: u64) -> Self {
        let credit = match config.rate {
            Rate::Packets(period) => packet_cost(period).saturating_mul(config.burst),
            Rate::Bytes(_) => CREDITS_PER_JIFFY_BYTES * HZ,
        };
        Self { prev: tick, credit, refills: config.burst, current: 0, was_over: false, expires: SimTime(0) }
    }

    /// `rateinfo_recalc`.
    fn refill(&mut self, config: &Hashlimit, tick: u64) {
        let ticks = tick - self.prev;
        if config.rate_match {
            let interval = u64::from(config.interval) * HZ;
            if ticks < interval.max(1) {
                return;
            }
            self.was_over = self.current.saturating_mul(interval) > ticks.saturating_mul(rate_of(config).0);
            (self.prev, self.current) = (tick, 0);
            return;
        }
        self.prev = tick;
        let (gain, cap) = match config.rate {
            Rate::Packets(period) => (CREDITS_PER_JIFFY, packet_cost(period).saturating_mul(config.burst)),
            Rate::Bytes(_) => (CREDITS_PER_JIFFY_BYTES, CREDITS_PER_JIFFY_BYTES * HZ),
        };
        self.credit = self.credit.saturating_add(ticks.saturating_mul(gain)).min(cap);
    }

    fn compare(&mut self, config: &Hashlimit, len: u64) -> bool {
        self.current += if matches!(config.rate, Rate::Bytes(_)) { len } else { 1 };
        !self.was_over && self.current <= rate_of(config).1
    }

    fn take(&mut self, config: &Hashlimit, len: u64) -> bool {
        let full = CREDITS_PER_JIFFY_BYTES * HZ;
        let cost = match config.rate {
            Rate::Packets(period) => packet_cost(period),
            Rate::Bytes(cost) => {
                // `hashlimit_byte_cost`, with the cost of a piece from `user2credits_byte`.
                let piece = (u64::from(cost) * HZ).saturating_mul(CREDITS_PER_JIFFY_BYTES) >> 32;
                let cost = ((len >> 4) + 1).saturating_mul(piece).min(full);
                if self.credit < cost && self.refills > 0 {
                    self.refills -= 1;
                    self.credit = full;
                }
                cost
            }
        };
        let enough = self.credit >= cost;
        if enough {
            self.credit -= cost;
        }
        enough
    }
}

/// The rate of a second that `--hashlimit-rate-match` compares with, and what may come at once.
fn rate_of(config: &Hashlimit) -> (u64, u64) {
    match config.rate {
        Rate::Packets(period) => {
            let rate = SCALE.checked_div(period).unwrap_or(0);
            (rate, rate + config.burst)
        }
        Rate::Bytes(cost) => {
            let pieces = u64::from(u32::MAX.checked_div(cost).unwrap_or(u32::MAX));
            let rate = pieces.saturating_sub(1) << 4;
            (rate, rate * config.burst.max(1))
        }
    }
}

impl Netns {
    /// Whether a packet is what a match asks for.
    pub(super) fn nf_packet_fits(
        &self,
        each: &PacketMatch,
        (seen, state): (&Seen, HookState),
        (skb, now): (&Skb, SimTime),
    ) -> bool {
        let Some(packet) = skb.frame.ipv4() else { return false };
        match each {
            PacketMatch::Length(length) => {
                let own = packet.wire_len();
                fits(length, |(first, last)| (usize::from(*first)..=usize::from(*last)).contains(&own))
            }
            PacketMatch::Mac(mac) => {
                let is_ethernet = |ifindex: IfIndex| {
                    self.link(ifindex)
                        .is_some_and(|link| !link.is_raw_ip() && !matches!(link.kind, Kind::Loopback))
                };
                is_ethernet(state.iif) && fits(mac, |mac| skb.frame.src == *mac)
            }
            PacketMatch::Pkttype(kind) => fits(kind, |kind| *kind == packet_type(state.hook, skb)),
            PacketMatch::String(string) => string.fits(&packet.emit()),
            PacketMatch::Iprange(range) => iprange_fits(range, seen),
            PacketMatch::U32(tests) => {
                let bytes = packet.emit();
                fits(tests, |tests| tests.iter().all(|test| test.fits(&bytes)))
            }
            PacketMatch::Time(time) => time.fits(now.unix_secs()),
            PacketMatch::Ecn(ecn) => ecn_fits(*ecn, seen, packet),
            // No connection here was expected by a helper.
            PacketMatch::Helper(name) => name.negated,
        }
    }

    /// Asks a match that counts; `None` drops the packet (`hotdrop`). `place` and `at` say which one it is.
    pub(super) fn nf_count(
        &mut self,
        now: SimTime,
        (place, at): (Place, usize),
        each: &CountingMatch,
        (seen, skb): (&Seen, &Skb),
    ) -> Option<bool> {
        let packet = skb.frame.ipv4()?;
        let len = packet.wire_len() as u64;
        match each {
            CountingMatch::Quota(quota) => {
                let state = self.nf_entry_state(place, at, (quota.is, 0));
                let enough = state.0 >= len;
                state.0 = if enough { state.0 - len } else { 0 };
                Some(enough != quota.negated)
            }
            CountingMatch::Hashlimit(limit) => {
                let table = self.netfilter.tables.hashlimit_mut(&limit.name)?;
                table.is_within(now, seen, len).map(|within| within != limit.above)
            }
            CountingMatch::Connlimit(limit) => self.nf_connlimit(place, *limit, (seen, skb), packet),
        }
    }

    /// Counts the connections of a packet's network (`nf_conncount_count`): those that are gone or closed no longer count.
    fn nf_connlimit(
        &mut self,
        place: Place,
        limit: Connlimit,
        (seen, skb): (&Seen, &Skb),
        packet: &Ipv4,
    ) -> Option<bool> {
        let table = &self.netfilter.conntrack;
        let own = match skb.nf.ct.and_then(|id| table.get(id)) {
            Some(conn) => conn.orig,
            None => header::tuple(packet),
        };
        let IpAddr::V4(addr) = (if limit.by_dst { seen.dst } else { seen.src }) else { return None };
        let entry = self.netfilter.tables.entry_mut(place)?;
        let counted: &mut Vec<Tuple> =
            entry.counted.get_or_insert_default().entry(limit.network(addr.into())).or_default();
        counted.retain(|tuple| {
            let found = table.find(tuple).and_then(|(id, _)| table.get(id));
            found.is_some_and(|conn| *tuple == own || !is_closed(conn.tcp.as_ref()))
        });
        if !counted.contains(&own) {
            counted.push(own);
        }
        let count = u32::try_from(counted.len()).unwrap_or(u32::MAX);
        Some((count > limit.limit) == limit.above)
    }

    /// What the match number `at` of a rule remembers, which begins with `fresh`.
    pub(super) fn nf_entry_state(&mut self, place: Place, at: usize, fresh: (u64, u64)) -> &mut (u64, u64) {
        let entry: Option<&mut Entry> = self.netfilter.tables.entry_mut(place);
        entry.expect("the rule being asked is there").state.entry(at).or_insert(fresh)
    }
}

/// `already_closed`.
fn is_closed(conn: Option<&tcp::TcpConn>) -> bool {
    conn.is_some_and(|conn| matches!(conn.state, TcpTracking::TimeWait | TcpTracking::Close))
}

/// To whom the frame of a packet was sent (`skb->pkt_type`). What this machine sends counts as sent to it; a bridge passes
/// frames on as they are.
fn packet_type(hook: Hook, skb: &Skb) -> PktType {
    let came_in = matches!(hook, Hook::Prerouting | Hook::Input | Hook::Forward) || skb.nf.bridge.is_some();
    match skb.frame.dst {
        mac if came_in && mac.is_broadcast() => PktType::Broadcast,
        mac if came_in && mac.is_multicast() => PktType::Multicast,
        _ => PktType::Unicast,
    }
}

pub(super) fn iprange_fits(range: &Iprange, seen: &Seen) -> bool {
    let within = |addr: IpAddr| {
        move |(first, last): &(std::net::Ipv4Addr, std::net::Ipv4Addr)| match addr {
            IpAddr::V4(addr) => (*first..=*last).contains(&addr),
            IpAddr::V6(_) => false,
        }
    };
    fits_if(range.src.as_ref(), within(seen.src)) && fits_if(range.dst.as_ref(), within(seen.dst))
}

fn ecn_fits(ecn: Ecn, seen: &Seen, packet: &Ipv4) -> bool {
    let flag = |bit: u8| move |(): &()| seen.tcp_flags & bit != 0;
    fits_if(ecn.ect.as_ref(), |ect| packet.tos & 3 == *ect)
        && fits_if(ecn.ece.as_ref(), flag(ECE))
        && fits_if(ecn.cwr.as_ref(), flag(CWR))
}

/// The names of the tables that a rule counts in.
pub(super) fn hashlimits(rule: &Rule) -> impl Iterator<Item = &Hashlimit> {
    rule.matches.iter().filter_map(|each| {
        if let Match::Counting(CountingMatch::Hashlimit(limit)) = each { Some(&**limit) } else { None }
    })
}

/// The tables of `-m hashlimit` by their names.
pub(super) type HashTables = BTreeMap<Arc<str>, HashTable>;
