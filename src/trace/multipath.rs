//! Routes with several next hops (`net/ipv4/fib_semantics.c`, `CONFIG_IP_ROUTE_MULTIPATH`). Each next hop is a row of its
//! own, so that a decision names the very one that was taken; the rows of one route follow one another.

use super::{NetnsState, Nud, RouteRow};
use crate::base::Ipv4Addr;

/// Which of a route's several next hops a row is (`struct fib_nh`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg {
    /// The route that it belongs to: a number that no other route of the namespace has.
    pub route: u32,
    /// Its place, from 0.
    pub at: u16,
    /// How many the route has, 2 at least.
    pub of: u16,
    /// Its share of the flows, 1 to 256.
    pub weight: u16,
    /// Whether its device is down or without an address, so that nothing takes it (`RTNH_F_DEAD`).
    pub dead: bool,
    /// What the namespace's hash of flows begins with (`fib_multipath_hash_seed`, drawn where nobody chose it).
    pub key: u64,
}

/// What of a packet decides about its next hop (`struct flow_keys`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKeys {
    /// Source and destination address.
    pub ends: (Ipv4Addr, Ipv4Addr),
    /// IP protocol; 0 where it does not count.
    pub protocol: u8,
    /// Source and destination port; 0 where they do not count.
    pub ports: (u16, u16),
}

/// Source and destination of the packet within another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// Of the one that an ICMP error quotes.
    Quoted(Ipv4Addr, Ipv4Addr),
    /// Of the one that a tunnel carries.
    Carried(Ipv4Addr, Ipv4Addr),
}

/// What counts under policy 3, a bit for each field (`net.ipv4.fib_multipath_hash_fields`): 1 source, 2 destination, 4
/// protocol, 16 source port, 32 destination port. *Simplified*: those of a packet within a tunnel do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashFields(pub u16);

impl Default for HashFields {
    fn default() -> Self {
        Self(7)
    }
}

impl HashFields {
    /// A flow without what does not count (`fib_multipath_custom_hash_outer`).
    fn of(self, flow: FlowKeys) -> FlowKeys {
        let counts = |bit: u16| self.0 & bit != 0;
        let addr = |bit, addr| if counts(bit) { addr } else { Ipv4Addr::UNSPECIFIED };
        let port = |bit, port| if counts(bit) { port } else { 0 };
        FlowKeys {
            ends: (addr(1, flow.ends.0), addr(2, flow.ends.1)),
            protocol: if counts(4) { flow.protocol } else { 0 },
            ports: (port(16, flow.ports.0), port(32, flow.ports.1)),
        }
    }
}

impl FlowKeys {
    /// What counts under `net.ipv4.fib_multipath_hash_policy` (`fib_multipath_hash`): under 0 the addresses, those of the
    /// quoted packet for an ICMP error; under 1 protocol and ports as well; under 2 the addresses of a packet within a tunnel;
    /// under 3 what `fields` says.
    pub fn of_policy((policy, fields): (u8, HashFields), flow: Self, within: Option<Within>) -> Self {
        let addresses = Self { protocol: 0, ports: (0, 0), ..flow };
        match (policy, within) {
            (1, _) => flow,
            (3, _) => fields.of(flow),
            (0, Some(Within::Quoted(source, destination)))
            | (2, Some(Within::Carried(source, destination))) => {
                Self { ends: (source, destination), ..addresses }
            }
            _ => addresses,
        }
    }

    /// A hash of 31 bits, the same for both directions (`__flow_hash_consistentify`). The kernel's is siphash with a key
    /// drawn at start; ours is another one, with a key that each namespace draws.
    pub fn hash(&self, key: u64) -> u32 {
        let (source, destination) = (u32::from(self.ends.0), u32::from(self.ends.1));
        let addresses = u64::from(source.min(destination)) << 32 | u64::from(source.max(destination));
        let (low, high) = (self.ports.0.min(self.ports.1), self.ports.0.max(self.ports.1));
        let rest = u64::from(self.protocol) << 32 | u64::from(low) << 16 | u64::from(high);
        let mixed = [addresses, rest].into_iter().fold(key, |state, word| mix(state ^ word));
        (mixed >> 33) as u32
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood 2014), by which every bit of its input moves half of the output's.
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

/// A next hop, as far as the choice among several asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Its share of the flows.
    pub weight: u16,
    /// Whether it is dead: then it has no share.
    pub dead: bool,
    /// Whether its neighbour is known to be silent, where that counts (`fib_multipath_use_neigh`): then it is passed over, and its
    /// share goes to those behind it.
    pub silent: bool,
    /// The source address of packets that take it (`nh_saddr`).
    pub source: Option<Ipv4Addr>,
}

impl NextHop {
    /// The next hop of a row, by its neighbour's state where that counts, and with the source address of its packets; dead
    /// also where its device has no carrier and that counts (`fib_rebalance`). Of a group that stands by itself no member is
    /// dead, and the source of packets does not count (`nexthop_select_path_hthr`).
    pub fn of(row: &RouteRow, (neighbour, avoided): (Option<Nud>, bool), source: Option<Ipv4Addr>) -> Self {
        Self {
            weight: row.leg.map_or(1, |leg| leg.weight),
            dead: row.nhid == 0 && (avoided || row.leg.is_some_and(|leg| leg.dead)),
            silent: matches!(neighbour, Some(Nud::Incomplete | Nud::Failed)),
            source: source.filter(|_| row.nhid == 0),
        }
    }
}

/// The place of the next hop that a flow takes: the one in whose share of the hashes its hash lies, but rather one whose
/// source address is the flow's, where that is given (`fib_rebalance`, `fib_select_multipath`). `None` where no one can be
/// taken.
pub fn select(hops: &[NextHop], hash: u32, source: Option<Ipv4Addr>) -> Option<usize> {
    let alive = || hops.iter().enumerate().filter(|(_, hop)| !hop.dead);
    let total: u64 = alive().map(|(_, hop)| u64::from(hop.weight)).sum();
    let (mut upto, mut best) = (0_u64, None);
    for (at, hop) in alive() {
        upto += u64::from(hop.weight);
        if hop.silent {
            continue;
        }
        // `DIV_ROUND_CLOSEST`; the kernel's bound is one less and holds inclusively.
        let bound = ((upto << 31) + total / 2) / total;
        let is_near = source.is_some() && hop.source == source;
        let score = 2 * u8::from(is_near) + u8::from(u64::from(hash) < bound);
        if best.is_none_or(|(_, known)| known < score) {
            best = Some((at, score));
        }
        if score == 3 || source.is_none() && score == 1 {
            break;
        }
    }
    best.map(|(at, _)| at)
}

impl RouteRow {
    /// Whether it stands for its route: it has one next hop, or is the first of several.
    pub fn is_head(&self) -> bool {
        self.leg.is_none_or(|leg| leg.at == 0)
    }

    /// Whether another row is this one or another next hop of the same route.
    pub fn is_beside(&self, other: &Self) -> bool {
        match (self.leg, other.leg) {
            (Some(own), Some(theirs)) => own.route == theirs.route,
            _ => self == other,
        }
    }

    /// The same but for what becomes of a route only when it is there (`fib_find_info`, `RTNH_COMPARE_MASK`).
    fn as_wanted(&self) -> Self {
        Self { leg: self.leg.map(|leg| Leg { route: 0, dead: false, key: 0, ..leg }), ..*self }
    }

    /// Whether a list of rows begins with those of a route like this.
    pub fn begin(rows: &[Self], list: &[Self]) -> bool {
        let begins = list.iter().zip(rows).all(|(own, row)| own.as_wanted() == row.as_wanted());
        list.len() >= rows.len() && begins
    }

    /// Whether a route like this is somewhere in a list of rows.
    pub fn is_among(rows: &[Self], list: &[Self]) -> bool {
        (0..list.len()).any(|at| Self::begin(rows, &list[at..]))
    }
}

impl NetnsState {
    /// All next hops of the route that a row belongs to.
    pub fn legs<'a>(&'a self, row: &'a RouteRow) -> impl Iterator<Item = &'a RouteRow> {
        self.routes.iter().map(|(_, other)| other).filter(|other| row.is_beside(other))
    }

    /// A next hop died, or lives again. It stays the row that it was.
    pub(super) fn set_leg(&mut self, row: &RouteRow) {
        if let Some((_, old)) = self.routes.iter_mut().find(|(_, old)| old.is_leg(row)) {
            *old = *row;
        }
    }
}

impl RouteRow {
    /// Whether it is the same next hop of the same route, dead or alive.
    pub(super) fn is_leg(&self, other: &Self) -> bool {
        let place = |row: &Self| row.leg.map(|leg| (leg.route, leg.at));
        place(self).is_some() && place(self) == place(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(weight: u16, dead: bool, source: u8) -> NextHop {
        NextHop { weight, dead, silent: false, source: Some(Ipv4Addr::new(10, source, 0, 1)) }
    }

    fn flow(number: u16) -> FlowKeys {
        let ends = (Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(10, 8, (number >> 8) as u8, number as u8));
        FlowKeys { ends, protocol: 6, ports: (40_000 + number % 1000, 80) }
    }

    fn shares(hops: &[NextHop]) -> Vec<usize> {
        let mut taken = vec![0; hops.len()];
        for number in 0..4000 {
            taken[select(hops, flow(number).hash(7), None).expect("one is usable")] += 1;
        }
        taken
    }

    #[test]
    fn flows_are_shared_out_by_weight() {
        let taken = shares(&[hop(1, false, 0), hop(3, false, 1), hop(4, true, 2)]);
        assert!((900..1100).contains(&taken[0]) && taken[2] == 0, "{taken:?}");
        let silent = NextHop { silent: true, ..hop(1, false, 0) };
        assert_eq!(shares(&[silent, hop(1, false, 1)]), [0, 4000]);
    }

    #[test]
    fn both_directions_and_one_namespace_hash_alike() {
        let there = flow(5);
        let back =
            FlowKeys { ends: (there.ends.1, there.ends.0), ports: (there.ports.1, there.ports.0), ..there };
        assert_eq!(there.hash(1), back.hash(1));
        assert_ne!(there.hash(1), there.hash(2));
        assert!(there.hash(1) < 1 << 31);
    }

    #[test]
    fn each_policy_has_its_own_keys() {
        let (flow, other) = (flow(5), FlowKeys { ports: (1, 2), ..flow(5) });
        let of = |policy, flow, within| FlowKeys::of_policy((policy, HashFields::default()), flow, within);
        let by = |fields| FlowKeys::of_policy((3, HashFields(fields)), flow, None);
        assert_eq!((by(0x20).ports, by(0x20).protocol), ((0, flow.ports.1), 0));
        assert_eq!(by(2).ends, (Ipv4Addr::UNSPECIFIED, flow.ends.1));
        assert_eq!(of(0, flow, None), of(0, other, None));
        assert_ne!(of(1, flow, None), of(1, other, None));
        assert_eq!(of(3, flow, None), of(3, other, None));
        assert_ne!(of(3, flow, None), of(0, flow, None));
        let (quoted, carried) =
            (Within::Quoted(flow.ends.1, flow.ends.1), Within::Carried(flow.ends.0, flow.ends.0));
        assert_eq!(of(0, flow, Some(quoted)).ends, (flow.ends.1, flow.ends.1));
        assert_eq!(of(2, flow, Some(quoted)).ends, flow.ends);
        assert_eq!(of(2, flow, Some(carried)).ends, (flow.ends.0, flow.ends.0));
        assert_eq!(of(0, flow, Some(carried)).ends, flow.ends);
    }

    #[test]
    fn a_source_address_leads_to_its_own_next_hop() {
        let hops = [hop(1, false, 0), hop(255, false, 1), hop(1, true, 2)];
        for hash in [0, 1 << 30, (1 << 31) - 1] {
            assert_eq!(select(&hops, hash, hops[0].source), Some(0));
            assert_eq!(select(&hops, hash, hops[1].source), Some(1));
        }
        assert_eq!(select(&hops, 1 << 30, hops[2].source), Some(1));
        assert_eq!(select(&[hop(1, true, 0)], 0, None), None);
    }
}
