//! The CNI plug-in host-local (containernetworking/plugins, `plugins/ipam/host-local`): round robin through a set of
//! ranges from the address after the last one reserved, which is why a freed address is not given again at once. What
//! the plug-in keeps on disk (one file an address, and `last_reserved_ip.0`) is kept here.

use super::blocks::Blocks;
use crate::base::{Ipv4Addr, Ipv4Net};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// One range of addresses in a subnet (`Range`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    subnet: IpNet,
    start: u128,
    end: u128,
    gateway: u128,
    /// Addresses that are given to nobody (whereabouts' `exclude`).
    excluded: Vec<IpNet>,
}

/// An address as a number, and back in the family of a subnet.
fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u128::from(u32::from(addr)),
        IpAddr::V6(addr) => u128::from(addr),
    }
}

fn address(subnet: &IpNet, number: u128) -> IpAddr {
    match subnet {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from(number as u32)),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

impl Range {
    /// The range of a subnet with the plug-in's defaults: `.1` is the gateway and where it begins, and an IPv4 broadcast
    /// address is left out (`Range.Canonicalize`). The error is the plug-in's own text.
    pub fn new(subnet: IpNet) -> Result<Self, String> {
        let bits = subnet.max_prefix_len() - subnet.prefix_len();
        if bits < 2 {
            return Err(format!("Network {subnet} too small to allocate from"));
        }
        if subnet != subnet.trunc() {
            let (length, network) = (subnet.prefix_len(), subnet.network());
            return Err(format!(
                "Network has host bits set. For a subnet mask of length {length} the network address is {network}"
            ));
        }
        let base = number(subnet.network());
        let last = number(subnet.broadcast());
        let end = if matches!(subnet, IpNet::V4(_)) { last - 1 } else { last };
        Ok(Self { subnet, start: base + 1, end, gateway: base + 1, excluded: Vec::new() })
    }

    /// The range with its own first and last address and gateway, where they are given.
    pub fn within(
        mut self,
        start: Option<IpAddr>,
        end: Option<IpAddr>,
        gateway: Option<IpAddr>,
    ) -> Result<Self, String> {
        for (name, addr) in [("RangeStart", start), ("RangeEnd", end)] {
            if let Some(addr) = addr.filter(|addr| !self.subnet.contains(addr)) {
                return Err(format!("{name} {addr} not in network {}", self.subnet));
            }
        }
        self.start = start.map_or(self.start, number);
        self.end = end.map_or(self.end, number);
        self.gateway = gateway.map_or(self.gateway, number);
        if self.end < self.start {
            return Err(format!("RangeStart {} not in network {}", self.start(), self.subnet));
        }
        Ok(self)
    }

    /// The range without some of its addresses.
    #[must_use]
    pub fn without(self, excluded: Vec<IpNet>) -> Self {
        Self { excluded, ..self }
    }

    /// The first address.
    pub fn start(&self) -> IpAddr {
        address(&self.subnet, self.start)
    }

    /// The last address.
    pub fn end(&self) -> IpAddr {
        address(&self.subnet, self.end)
    }

    /// The gateway, which is given to nobody.
    pub fn gateway(&self) -> IpAddr {
        address(&self.subnet, self.gateway)
    }

    /// The subnet.
    pub fn subnet(&self) -> IpNet {
        self.subnet
    }

    fn contains(&self, addr: IpAddr) -> bool {
        self.subnet.contains(&addr)
            && (self.start..=self.end).contains(&number(addr))
            && !self.excluded.iter().any(|net| net.contains(&addr))
    }
}

/// A set of ranges, from which an interface gets one address, with its store (`IPAllocator`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<Range>,
    /// Files of the store: address to container id.
    reserved: BTreeMap<IpAddr, String>,
    /// File `last_reserved_ip.N`.
    last_reserved: Option<IpAddr>,
}

impl RangeSet {
    /// A set with nothing reserved.
    pub fn new(ranges: Vec<Range>) -> Self {
        Self { ranges, reserved: BTreeMap::new(), last_reserved: None }
    }

    /// The content of `last_reserved_ip.N`.
    pub fn last_reserved(&self) -> Option<IpAddr> {
        self.last_reserved
    }

    /// Writes what the store holds, as an earlier life of it left it.
    pub fn restore(&mut self, used: impl IntoIterator<Item = IpAddr>, last_reserved: Option<IpAddr>) {
        self.reserved = used.into_iter().map(|addr| (addr, String::new())).collect();
        self.last_reserved = last_reserved;
    }

    /// Reserves an address for a container (`IPAllocator.Get`): the one asked for, or the next one free.
    pub fn allocate(&mut self, container: &str, requested: Option<IpAddr>) -> Result<IpAddr, String> {
        if let Some(addr) = requested {
            return self.allocate_requested(container, addr);
        }
        let free = self.candidates().find(|addr| !self.reserved.contains_key(addr));
        let Some(addr) = free else {
            return Err(format!(
                "failed to allocate for range 0: no IP addresses available in range set: {}",
                self.text()
            ));
        };
        self.reserve(addr, container);
        Ok(addr)
    }

    fn allocate_requested(&mut self, container: &str, addr: IpAddr) -> Result<IpAddr, String> {
        if self.ranges.iter().any(|range| range.gateway() == addr) {
            return Err(format!("failed to allocate for range 0: requested ip {addr} is subnet's gateway"));
        }
        if !self.ranges.iter().any(|range| range.contains(addr)) {
            return Err(format!("failed to allocate all requested IPs: {addr}"));
        }
        if self.reserved.contains_key(&addr) {
            return Err(format!(
                "failed to allocate for range 0: requested IP address {addr} is not available in range set {}",
                self.text()
            ));
        }
        self.reserve(addr, container);
        Ok(addr)
    }

    /// The set as the plug-in prints it.
    fn text(&self) -> String {
        let ranges = self.ranges.iter().map(|range| format!("{}-{}", range.start(), range.end()));
        ranges.collect::<Vec<_>>().join(",")
    }

    fn reserve(&mut self, addr: IpAddr, container: &str) {
        self.reserved.insert(addr, container.to_owned());
        self.last_reserved = Some(addr);
    }

    /// Frees what a container held (`ReleaseByID`). `last_reserved_ip.N` stays as it is.
    pub fn release(&mut self, container: &str) -> Option<IpAddr> {
        let addr = self.reserved.iter().find(|(_, owner)| *owner == container).map(|(addr, _)| *addr)?;
        self.reserved.remove(&addr);
        Some(addr)
    }

    /// The addresses in the order in which they are tried, once around (`RangeIter`).
    fn candidates(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let holds_last = |range: &Range| self.last_reserved.is_some_and(|last| range.contains(last));
        let first = self.ranges.iter().position(holds_last);
        let after = first.and(self.last_reserved).map(|last| number(last) + 1);
        let (at, count) = (first.unwrap_or(0), self.ranges.len());
        // From behind the last one to the end of its range, the other ranges, and the beginning of the first again.
        let mut parts = Vec::new();
        for step in 0..count {
            let range = &self.ranges[(at + step) % count];
            let from = after.filter(|_| step == 0).unwrap_or(range.start);
            parts.push((range, from, range.end));
        }
        if let (Some(range), Some(after)) = (self.ranges.get(at), after) {
            parts.push((range, range.start, range.end.min(after - 1)));
        }
        let each = parts.into_iter().flat_map(|(range, from, to)| (from..=to).map(move |at| (range, at)));
        each.filter(|(range, at)| *at != range.gateway)
            .map(|(range, at)| (range, address(&range.subnet, at)))
            .filter(|(range, addr)| !range.excluded.iter().any(|net| net.contains(addr)))
            .map(|(_, addr)| addr)
    }
}

/// A node's range of IPv4 addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLocal {
    subnet: Ipv4Net,
    gateway: Ipv4Addr,
    set: RangeSet,
}

impl HostLocal {
    /// The range of `subnet` from host number `range_start` on: `.1` is the gateway, the broadcast address is left
    /// out (`Range.Canonicalize`). A range start outside the subnet leaves an empty range.
    pub fn new(subnet: Ipv4Net, range_start: u32) -> Self {
        let base = u128::from(u32::from(subnet.network()));
        let gateway = base + 1;
        // The plug-in's own default is the first host, the gateway, which it then skips.
        let start = if range_start <= 2 { gateway } else { base + u128::from(range_start) };
        let end = u128::from(u32::from(subnet.broadcast())).saturating_sub(1);
        let range = Range { subnet: subnet.into(), start, end, gateway, excluded: Vec::new() };
        Self { subnet, gateway: Ipv4Addr::from(gateway as u32), set: RangeSet::new(vec![range]) }
    }

    /// The gateway: the bridge's address.
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// The subnet.
    pub fn subnet(&self) -> Ipv4Net {
        self.subnet
    }

    /// The content of `last_reserved_ip.0`.
    pub fn last_reserved(&self) -> Option<Ipv4Addr> {
        self.set.last_reserved().and_then(v4)
    }

    /// Reserves an address for a container: the one asked for, or the next one free. The error is the plug-in's own
    /// text.
    pub fn allocate(&mut self, container: &str, requested: Option<Ipv4Addr>) -> Result<Ipv4Addr, String> {
        let addr = self.set.allocate(container, requested.map(IpAddr::V4))?;
        v4(addr).ok_or_else(|| format!("{addr} is no IPv4 address"))
    }

    /// Frees what a container held.
    pub fn release(&mut self, container: &str) -> Option<Ipv4Addr> {
        self.set.release(container).and_then(v4)
    }
}

fn v4(addr: IpAddr) -> Option<Ipv4Addr> {
    match addr {
        IpAddr::V4(addr) => Some(addr),
        IpAddr::V6(_) => None,
    }
}

/// The addresses of a node's Pods, managed in the plug-in's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ipam {
    /// host-local: bridge and flannel.
    HostLocal(HostLocal),
    /// Blocks: Calico, and Cilium with one block for the whole range.
    Blocks(Blocks),
}

impl Ipam {
    /// Reserves an address for a container: the one asked for, or the next one free. The error is the plug-in's own
    /// text.
    pub fn allocate(&mut self, container: &str, requested: Option<Ipv4Addr>) -> Result<Ipv4Addr, String> {
        match self {
            Self::HostLocal(range) => range.allocate(container, requested),
            Self::Blocks(blocks) => blocks.allocate(container, requested),
        }
    }

    /// Frees what a container held.
    pub fn release(&mut self, container: &str) -> Option<Ipv4Addr> {
        match self {
            Self::HostLocal(range) => range.release(container),
            Self::Blocks(blocks) => blocks.release(container),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(subnet: &str) -> HostLocal {
        HostLocal::new(subnet.parse().unwrap(), 2)
    }

    #[test]
    fn the_first_pod_gets_the_second_host() {
        let mut range = range("10.244.1.0/24");
        let got: Vec<String> =
            (0..3).map(|n| range.allocate(&n.to_string(), None).unwrap().to_string()).collect();
        assert_eq!(got, ["10.244.1.2", "10.244.1.3", "10.244.1.4"]);
    }

    #[test]
    fn a_freed_address_is_not_reused_at_once() {
        let mut range = range("10.0.0.0/29");
        assert_eq!(range.allocate("a", None), Ok("10.0.0.2".parse().unwrap()));
        range.release("a");
        assert_eq!(range.allocate("a", None), Ok("10.0.0.3".parse().unwrap()));
    }

    #[test]
    fn an_empty_pool_says_so_in_the_plugins_words() {
        let mut range = range("10.0.0.0/30");
        range.allocate("a", None).unwrap();
        assert_eq!(
            range.allocate("b", None),
            Err("failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.2"
                .to_owned())
        );
        range.release("a");
        assert_eq!(range.allocate("b", None), Ok("10.0.0.2".parse().unwrap()));
    }

    #[test]
    fn used_addresses_are_passed_over() {
        let mut range = range("10.0.0.0/29");
        for (owner, addr) in [("x", "10.0.0.4"), ("y", "10.0.0.5"), ("z", "10.0.0.3")] {
            range.allocate(owner, Some(addr.parse().unwrap())).unwrap();
        }
        assert_eq!(range.allocate("a", None), Ok("10.0.0.6".parse().unwrap()));
    }
}
