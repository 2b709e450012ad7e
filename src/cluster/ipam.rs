//! The CNI plug-in host-local (containernetworking/plugins, `plugins/ipam/host-local`): round robin through a range
//! from the address after the last one reserved, which is why a freed address is not given again at once. What the
//! plug-in keeps on disk (one file an address, and `last_reserved_ip.0`) is kept here.

use crate::base::{Ipv4Addr, Ipv4Net};
use std::collections::BTreeMap;

/// A range of addresses with its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLocal {
    subnet: Ipv4Net,
    gateway: Ipv4Addr,
    start: Ipv4Addr,
    end: Ipv4Addr,
    /// Files of the store: address to container id.
    reserved: BTreeMap<Ipv4Addr, String>,
    /// File `last_reserved_ip.0`.
    last_reserved: Option<Ipv4Addr>,
}

impl HostLocal {
    /// The range of `subnet` from host number `range_start` on: `.1` is the gateway, the broadcast address is left
    /// out (`Range.Canonicalize`). A range start outside the subnet leaves an empty range.
    pub fn new(subnet: Ipv4Net, range_start: u32) -> Self {
        let base = u32::from(subnet.network());
        let start = Ipv4Addr::from(base.saturating_add(range_start.max(1)));
        let end = Ipv4Addr::from(u32::from(subnet.broadcast()).saturating_sub(1));
        Self {
            subnet,
            gateway: Ipv4Addr::from(base + 1),
            start,
            end,
            reserved: BTreeMap::new(),
            last_reserved: None,
        }
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
        self.last_reserved
    }

    /// Reserves an address for a container (`IPAllocator.Get`): the one asked for, or the next one free. The error is
    /// the plug-in's own text.
    pub fn allocate(&mut self, container: &str, requested: Option<Ipv4Addr>) -> Result<Ipv4Addr, String> {
        if let Some(addr) = requested {
            return self.allocate_requested(container, addr);
        }
        let free = self.candidates().find(|addr| !self.reserved.contains_key(addr));
        let Some(addr) = free else {
            let (start, end) = (self.first(), self.end);
            return Err(format!(
                "failed to allocate for range 0: no IP addresses available in range set: {start}-{end}"
            ));
        };
        self.reserve(addr, container);
        self.last_reserved = Some(addr);
        Ok(addr)
    }

    fn allocate_requested(&mut self, container: &str, addr: Ipv4Addr) -> Result<Ipv4Addr, String> {
        let subnet = self.subnet;
        if addr == self.gateway {
            return Err(format!("failed to allocate for range 0: requested ip {addr} is subnet's gateway"));
        }
        if !(self.first()..=self.end).contains(&addr) {
            return Err(format!("failed to allocate all requested IPs: {addr}"));
        }
        if self.reserved.contains_key(&addr) {
            return Err(format!(
                "failed to allocate for range 0: requested IP address {addr} is not available in range set {}-{}",
                self.first(),
                self.end
            ));
        }
        debug_assert!(subnet.contains(&addr), "the range lies in its subnet");
        self.reserve(addr, container);
        self.last_reserved = Some(addr);
        Ok(addr)
    }

    fn reserve(&mut self, addr: Ipv4Addr, container: &str) {
        self.reserved.insert(addr, container.to_owned());
    }

    /// Frees what a container held (`ReleaseByID`). `last_reserved_ip.0` stays as it is.
    pub fn release(&mut self, container: &str) -> Option<Ipv4Addr> {
        let addr = self.reserved.iter().find(|(_, owner)| *owner == container).map(|(addr, _)| *addr)?;
        self.reserved.remove(&addr);
        Some(addr)
    }

    /// Where the range begins, as the plug-in prints it. Its own default is the first host, the gateway, which it
    /// then skips.
    fn first(&self) -> Ipv4Addr {
        if u32::from(self.start) <= u32::from(self.gateway) + 1 { self.gateway } else { self.start }
    }

    /// The addresses in the order in which they are tried, once around (`RangeIter`).
    fn candidates(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let (first, end, gateway) = (u32::from(self.first()), u32::from(self.end), self.gateway);
        let count = (u64::from(end) + 1).saturating_sub(u64::from(first)) as u32;
        let after_last = self.last_reserved.map(u32::from).filter(|last| (first..=end).contains(last));
        let offset = after_last.map_or(0, |last| last - first + 1);
        (0..count)
            .map(move |step| {
                Ipv4Addr::from(first + ((u64::from(offset) + u64::from(step)) % u64::from(count)) as u32)
            })
            .filter(move |addr| *addr != gateway)
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
