//! The addresses of a node's Pods: host-local's (see [`super::host_local`]) and those of blocks.

use super::blocks::Blocks;
use super::host_local::{self, Owner, Range, RangeSet, Store};
use crate::base::{Ipv4Addr, Ipv4Net};
use std::net::IpAddr;

/// The interface that a node's own network gives to a Pod.
const ETH0: &str = "eth0";

/// A node's range of IPv4 addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLocal {
    subnet: Ipv4Net,
    gateway: Ipv4Addr,
    /// The one set of the configuration, or what the plug-in says of it at each call.
    sets: Result<[RangeSet; 1], String>,
    store: Store,
}

impl HostLocal {
    /// The range of `subnet` from host number `range_start` on. The plug-in's own default is the first host, the gateway,
    /// which it then skips.
    pub fn new(subnet: Ipv4Net, range_start: u32) -> Self {
        let host = |number: u32| Ipv4Addr::from(u32::from(subnet.network()).saturating_add(number));
        let start = (range_start > 2).then(|| IpAddr::V4(host(range_start)));
        let range = Range::new(subnet.into()).and_then(|range| range.within(start, None, None));
        let set = range.and_then(|range| RangeSet::new(vec![range]));
        let sets = set.map(|set| [set]).map_err(|error| format!("invalid range set 0: {error}"));
        Self { subnet, gateway: host(1), sets, store: Store::default() }
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
        self.store.last_reserved(0).and_then(v4)
    }

    /// Reserves an address for a container: the one asked for, or the next one free. The error is the plug-in's own
    /// text.
    pub fn allocate(&mut self, container: &str, requested: Option<Ipv4Addr>) -> Result<Ipv4Addr, String> {
        let owner = Owner { container, ifname: ETH0 };
        let sets = self.sets.as_ref().map_err(Clone::clone)?;
        let requested: Vec<IpAddr> = requested.into_iter().map(IpAddr::V4).collect();
        let given = host_local::add(sets, &mut self.store, owner, &requested)?;
        given.first().and_then(|one| v4(one.net.addr())).ok_or_else(|| "no IPv4 address".to_owned())
    }

    /// Frees what a container held.
    pub fn release(&mut self, container: &str) -> Option<Ipv4Addr> {
        self.store.release(container, None).and_then(v4)
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
