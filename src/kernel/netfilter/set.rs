//! Sets of `ipset` and lists of `-m recent`, as rules ask them.

use crate::base::{Ipv4Addr, SimTime};
use crate::trace::SetMember;
use crate::xtables::{Recent, RecentMode, net_mask};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// Time stamps that `-m recent` keeps for an address (`ip_pkt_list_tot`).
const RECENT_STAMPS: usize = 20;
/// Addresses that a list of `-m recent` keeps (`ip_list_tot`).
const RECENT_ENTRIES: usize = 100;

/// A set.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) kind: Arc<str>,
    pub(super) timeout: Option<u32>,
    pub(super) members: Vec<SetMember>,
}

/// All sets and lists of a namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    pub(super) sets: BTreeMap<Arc<str>, Set>,
    recent: BTreeMap<Arc<str>, Vec<(Ipv4Addr, VecDeque<SimTime>)>>,
}

fn within(addr: IpAddr, net: IpAddr, len: u8) -> bool {
    match (addr, net) {
        (IpAddr::V4(addr), IpAddr::V4(net)) => {
            let mask = net_mask(u32::from(len));
            u32::from(addr) & mask == u32::from(net) & mask
        }
        (IpAddr::V6(addr), IpAddr::V6(net)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(len.min(128))).unwrap_or(0);
            u128::from(addr) & mask == u128::from(net) & mask
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

impl Sets {
    /// Whether a packet's addresses and ports, on the sides asked for, are a member.
    pub(super) fn contains(
        &self,
        name: &str,
        source: &[bool],
        (src, dst): (IpAddr, IpAddr),
        (protocol, sport, dport): (u8, u16, u16),
    ) -> bool {
        let Some(set) = self.sets.get(name) else { return false };
        // A bitmap knows ports of TCP and UDP alike.
        let bitmap = set.kind.starts_with("bitmap:");
        let parts = set.kind.split_once(':').map_or("", |(_, parts)| parts).split(',');
        let is_source = |at: usize| source.get(at).or(source.last()).copied().unwrap_or(true);
        let parts: Vec<(&str, bool)> = parts.enumerate().map(|(at, part)| (part, is_source(at))).collect();
        set.members.iter().any(|member| {
            let mut second = false;
            parts.iter().all(|(part, source)| {
                if *part == "port" {
                    // With ICMP the port stands for type and code.
                    return (bitmap || member.protocol == protocol)
                        && member.port == if *source { sport } else { dport };
                }
                let addr = if *source { src } else { dst };
                let (net, len) =
                    if second { (member.other, member.other_len) } else { (member.addr, member.len) };
                second = true;
                within(addr, net, len)
            })
        })
    }

    /// `recent_mt`.
    pub(super) fn recent(&mut self, now: SimTime, asked: &Recent, addr: Ipv4Addr) -> bool {
        let addr = Ipv4Addr::from(u32::from(addr) & asked.mask);
        let list = self.recent.entry(asked.name.clone()).or_default();
        let found = list.iter().position(|(known, _)| *known == addr);
        let Some(at) = found else {
            if asked.mode == RecentMode::Set {
                if list.len() == RECENT_ENTRIES {
                    list.remove(0);
                }
                list.push((addr, VecDeque::from([now])));
                return true;
            }
            return false;
        };
        if asked.mode == RecentMode::Set {
            stamp(&mut list[at].1, now);
            return true;
        }
        if asked.mode == RecentMode::Remove {
            list.remove(at);
            return true;
        }
        let young =
            |then: &&SimTime| asked.seconds == 0 || now.since(**then).as_secs() < u64::from(asked.seconds);
        let hits = list[at].1.iter().filter(young).count();
        let fits = hits >= asked.hitcount.max(1) as usize;
        if asked.reap && asked.seconds != 0 && hits == 0 {
            list.remove(at);
            return false;
        }
        if fits && asked.mode == RecentMode::Update {
            stamp(&mut list[at].1, now);
        }
        fits
    }
}

fn stamp(stamps: &mut VecDeque<SimTime>, now: SimTime) {
    if stamps.len() == RECENT_STAMPS {
        stamps.pop_front();
    }
    stamps.push_back(now);
}
