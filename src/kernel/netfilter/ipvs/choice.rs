//! How IPVS chooses the server for a new connection: its schedulers (`net/netfilter/ipvs/ip_vs_*.c`). Weights are 1, or 0
//! for what is to go, as kube-proxy writes them.

use super::{BUCKET_BITS, GOLDEN_RATIO, Ipvs, Server};
use crate::base::{IpvsScheduler, SimTime};
use crate::trace::{RealServer, ServerKey};
use std::net::{IpAddr, SocketAddr};

/// Size of the table of `mh` (`CONFIG_IP_VS_MH_TAB_INDEX` 12, a prime).
const MAGLEV_SIZE: u32 = 4_093;
/// Keys of its two hashes (`generate_hash_secret`), each taken for both halves.
const MAGLEV_KEYS: [u64; 2] = [2_654_435_761, 2_654_446_892];

/// Connections of a server: active ones, and others.
type Counts = (u64, u64);

impl Server {
    /// `ip_vs_rr_schedule`: the next one behind the last that has a weight. With weights of 1 that is
    /// `ip_vs_wrr_schedule` as well.
    fn next(&mut self) -> Option<SocketAddr> {
        let count = self.real.len();
        let first = self.last.map_or(0, |last| last + 1);
        let at = (0..count).map(|step| (first + step) % count).find(|at| self.real[*at].weight > 0)?;
        self.last = Some(at);
        Some(self.real[at].socket)
    }

    fn usable_ones(&self) -> impl Iterator<Item = &RealServer> {
        self.real.iter().filter(|real| real.weight > 0)
    }

    /// The first of those with the least load for their weight.
    fn least(&self, load: impl Fn(SocketAddr) -> u64) -> Option<SocketAddr> {
        least_of(self.usable_ones(), load)
    }

    /// The one in whose bucket an address falls; none where that one takes no connections (`ip_vs_sh_schedule`). The
    /// servers take buckets in turn, each as many as its weight says where `by_weight` (`ip_vs_sh_reassign`).
    fn hashed(&self, address: IpAddr, by_weight: bool) -> Option<SocketAddr> {
        let IpAddr::V4(address) = address else { return None };
        let bucket = u32::from(address).wrapping_mul(GOLDEN_RATIO) >> (32 - BUCKET_BITS);
        let shares = self.real.iter().cycle().flat_map(|real| {
            let share = if by_weight { real.weight.max(1) } else { 1 };
            std::iter::repeat_n(real, share as usize)
        });
        let real = shares.take(1 << BUCKET_BITS).nth(bucket as usize)?;
        (real.weight > 0).then_some(real.socket)
    }

    /// `ip_vs_fo_schedule`: the first of those with the largest weight.
    fn foremost(&self) -> Option<SocketAddr> {
        heaviest(self.usable_ones())
    }

    /// `ip_vs_ovf_schedule`: the first of those with the largest weight that has no more active connections than its
    /// weight; the others take what flows over.
    fn overflowing(&self, counts: impl Fn(SocketAddr) -> Counts) -> Option<SocketAddr> {
        heaviest(self.usable_ones().filter(|real| counts(real.socket).0 <= u64::from(real.weight)))
    }

    /// Whether a server has more active connections than its weight, while another has less than half of its own
    /// (`is_overloaded`).
    fn is_overloaded(&self, socket: SocketAddr, counts: &impl Fn(SocketAddr) -> Counts) -> bool {
        let weight = self.real.iter().find(|real| real.socket == socket).map_or(0, |real| real.weight);
        counts(socket).0 > u64::from(weight)
            && self.real.iter().any(|real| counts(real.socket).0 * 2 < u64::from(real.weight))
    }

    /// `ip_vs_lblc_schedule` and, where a destination may have several servers (`replicates`), `ip_vs_lblcr_schedule`: a
    /// destination keeps its server as long as that is not overloaded. Here the destination is the virtual server's own
    /// address, so there is one. *Simplified*: it is not forgotten after a day.
    fn local(&mut self, replicates: bool, counts: impl Fn(SocketAddr) -> Counts) -> Option<SocketAddr> {
        let load = |socket| overhead(counts(socket));
        let there = self.kept.iter().filter_map(|kept| self.real.iter().find(|real| real.socket == *kept));
        let kept = least_of(there.filter(|real| real.weight > 0), load);
        if let Some(kept) = kept.filter(|kept| !self.is_overloaded(*kept, &counts)) {
            return Some(kept);
        }
        let chosen = self.least(load)?;
        if !replicates {
            self.kept.clear();
        }
        if !self.kept.contains(&chosen) {
            self.kept.insert(0, chosen);
        }
        Some(chosen)
    }

    /// `ip_vs_mh_schedule`, by the client's address and port (`mh-port`, as kube-proxy has it): Maglev's table, in which
    /// each server takes places in its own order, in turn (`ip_vs_mh_populate`).
    fn maglev(&self, client: SocketAddr) -> Option<SocketAddr> {
        let step = |socket: SocketAddr, key: usize| maglev_hash(socket, MAGLEV_KEYS[key]);
        let mut orders = Vec::new();
        for real in &self.real {
            let skip = step(real.socket, 1)? % (MAGLEV_SIZE - 1) + 1;
            orders.push((step(real.socket, 0)? % MAGLEV_SIZE, skip, real));
        }
        let wanted = step(client, 0)? % MAGLEV_SIZE;
        let mut taken = vec![false; MAGLEV_SIZE as usize];
        for turn in 0..MAGLEV_SIZE as usize {
            let count = orders.len();
            let (place, skip, real) = orders.get_mut(turn % count.max(1))?;
            while taken[*place as usize] {
                *place = (*place + *skip) % MAGLEV_SIZE;
            }
            taken[*place as usize] = true;
            if *place == wanted {
                return (real.weight > 0).then_some(real.socket);
            }
        }
        None
    }
}

/// The first of those with the largest weight.
fn heaviest<'r>(servers: impl Iterator<Item = &'r RealServer>) -> Option<SocketAddr> {
    let first = servers.reduce(|best, next| if next.weight > best.weight { next } else { best });
    first.map(|real| real.socket)
}

/// The first of those with the least load for their weight.
fn least_of<'r>(
    servers: impl Iterator<Item = &'r RealServer>,
    load: impl Fn(SocketAddr) -> u64,
) -> Option<SocketAddr> {
    let loads = servers.map(|real| (real, load(real.socket)));
    let least = loads.reduce(|least, next| {
        let less = next.1 * u64::from(least.0.weight) < least.1 * u64::from(next.0.weight);
        if less { next } else { least }
    });
    least.map(|(real, _)| real.socket)
}

/// `ip_vs_dest_conn_overhead`.
fn overhead((active, inactive): Counts) -> u64 {
    (active << 8) + inactive
}

/// `ip_vs_mh_hashkey`; none of IPv6, which no packet bears yet.
fn maglev_hash(socket: SocketAddr, key: u64) -> Option<u32> {
    let IpAddr::V4(address) = socket.ip() else { return None };
    Some(hsiphash(u32::from(socket.port()).wrapping_add(u32::from(address)), key))
}

/// `hsiphash_1u32` of a machine of 64 bits: `SipHash` with one round for each word and three at the end, folded. Both
/// halves of the key are the same.
fn hsiphash(word: u32, key: u64) -> u32 {
    let mut v = [
        key ^ 0x736f_6d65_7073_6575,
        key ^ 0x646f_7261_6e64_6f6d,
        key ^ 0x6c79_6765_6e65_7261,
        key ^ 0x7465_6462_7974_6573,
    ];
    let block = (4 << 56) | u64::from(word);
    v[3] ^= block;
    sip_round(&mut v);
    v[0] ^= block;
    v[2] ^= 0xff;
    for _ in 0..3 {
        sip_round(&mut v);
    }
    let folded = v[0] ^ v[1] ^ v[2] ^ v[3];
    (folded & u64::from(u32::MAX)) as u32
}

fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

impl Ipvs {
    /// The server that a new connection of a client is given to (`ip_vs_schedule`).
    pub(super) fn choose(&mut self, now: SimTime, key: ServerKey, client: SocketAddr) -> Option<SocketAddr> {
        let Self { servers, conns, .. } = self;
        let server = servers.get_mut(&key)?;
        let counts = |real: SocketAddr| -> Counts {
            let own = conns.values().filter(|conn| conn.expires > now && conn.row.is_of(&key, real));
            own.fold((0, 0), |(active, inactive), conn| {
                if conn.row.is_active() { (active + 1, inactive) } else { (active, inactive + 1) }
            })
        };
        let active = |real: SocketAddr| counts(real).0 + 1;
        match server.scheduler {
            IpvsScheduler::Rr | IpvsScheduler::Wrr => server.next(),
            IpvsScheduler::Lc | IpvsScheduler::Wlc => server.least(|real| overhead(counts(real))),
            IpvsScheduler::Sed => server.least(active),
            IpvsScheduler::Nq => {
                let idle =
                    server.usable_ones().find(|real| counts(real.socket).0 == 0).map(|real| real.socket);
                idle.or_else(|| server.least(active))
            }
            IpvsScheduler::Sh => server.hashed(client.ip(), true),
            IpvsScheduler::Dh => server.hashed(key.socket.ip(), false),
            IpvsScheduler::Lblc => server.local(false, counts),
            IpvsScheduler::Lblcr => server.local(true, counts),
            IpvsScheduler::Fo => server.foremost(),
            IpvsScheduler::Ovf => server.overflowing(counts),
            IpvsScheduler::Mh => server.maglev(client),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ChangeId;

    /// A virtual server with servers at 10.0.0.1:80 and on, in the order of the kernel's list.
    fn server(weights: &[u32]) -> Server {
        let real = |(at, weight): (usize, &u32)| RealServer {
            socket: SocketAddr::from(([10, 0, 0, u8::try_from(at + 1).unwrap()], 80)),
            weight: *weight,
        };
        Server {
            scheduler: IpvsScheduler::Rr,
            persistent: None,
            service: "".into(),
            real: weights.iter().enumerate().map(real).collect(),
            last: None,
            kept: Vec::new(),
            change: ChangeId::NONE,
        }
    }

    fn last(socket: Option<SocketAddr>) -> u8 {
        match socket.map(|socket| socket.ip()) {
            Some(IpAddr::V4(address)) => address.octets()[3],
            Some(IpAddr::V6(_)) | None => 0,
        }
    }

    /// Active connections by the last byte of the address.
    fn active(counts: &'static [u64]) -> impl Fn(SocketAddr) -> Counts {
        move |socket| (counts[usize::from(last(Some(socket))) - 1], 0)
    }

    #[test]
    fn the_foremost_takes_all_and_what_flows_over_goes_on() {
        assert_eq!(last(server(&[1, 1, 1]).foremost()), 1);
        assert_eq!(last(server(&[0, 1, 2]).foremost()), 3);
        assert_eq!(last(server(&[0, 0]).foremost()), 0);
        assert_eq!(last(server(&[1, 1]).overflowing(active(&[1, 0]))), 1);
        assert_eq!(last(server(&[1, 1]).overflowing(active(&[2, 0]))), 2);
        assert_eq!(last(server(&[1, 1]).overflowing(active(&[2, 2]))), 0);
    }

    #[test]
    fn a_destination_keeps_its_server_until_that_is_overloaded() {
        let mut lblc = server(&[1, 1, 1]);
        assert_eq!(last(lblc.local(false, active(&[0, 0, 0]))), 1);
        assert_eq!(last(lblc.local(false, active(&[1, 0, 0]))), 1);
        assert_eq!(last(lblc.local(false, active(&[2, 1, 1]))), 1);
        assert_eq!(last(lblc.local(false, active(&[2, 1, 0]))), 3);
        assert_eq!(last(lblc.local(false, active(&[0, 1, 1]))), 3);
        let mut lblcr = server(&[1, 1, 1]);
        assert_eq!(last(lblcr.local(true, active(&[0, 0, 0]))), 1);
        assert_eq!(last(lblcr.local(true, active(&[2, 1, 0]))), 3);
        assert_eq!(last(lblcr.local(true, active(&[0, 0, 1]))), 1);
    }

    #[test]
    fn maglev_gives_each_server_its_share_and_a_client_the_same_one() {
        let server = server(&[1, 1, 1]);
        let mut shares = [0_u32; 4];
        for port in 1..=3_000 {
            let client = SocketAddr::from(([10, 244, 1, 7], port));
            let chosen = server.maglev(client);
            assert_eq!(chosen, server.maglev(client));
            shares[usize::from(last(chosen))] += 1;
        }
        assert_eq!(shares[0], 0);
        assert!(shares[1..].iter().all(|share| (800..1_200).contains(share)), "{shares:?}");
    }
}
