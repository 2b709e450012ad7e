//! Calico's address management (projectcalico/calico, `libcalico-go/lib/ipam`): a node claims whole blocks and gives out
//! their addresses in order; a freed address goes to the end of the queue. *Simplified*: a node claims its blocks one
//! after the other from its own Pod range, where Calico begins at a place in the pool that it hashes from the node's
//! name; and no address is borrowed from another node's block.

use crate::base::{Ipv4Addr, Ipv4Net};
use std::collections::{BTreeMap, VecDeque};

/// A node's blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    range: Ipv4Net,
    block_len: u8,
    /// Number of the first host that is given to Pods.
    first_host: u32,
    claimed: Vec<Block>,
}

/// A claimed block (`allocationBlock`).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    cidr: Ipv4Net,
    unallocated: VecDeque<Ipv4Addr>,
    handles: BTreeMap<Ipv4Addr, String>,
}

impl Block {
    fn new(cidr: Ipv4Net, first_host: u32) -> Self {
        let (base, last) = (u32::from(cidr.network()), u32::from(cidr.broadcast()));
        let unallocated = (base..=last).skip(first_host as usize).map(Ipv4Addr::from).collect();
        Self { cidr, unallocated, handles: BTreeMap::new() }
    }
}

impl Blocks {
    /// No block yet; all will lie in `range` and have prefixes of `block_len`.
    pub fn new(range: Ipv4Net, block_len: u8, first_host: u32) -> Self {
        let block_len = block_len.clamp(range.prefix_len(), 32);
        Self { range, block_len, first_host, claimed: Vec::new() }
    }

    /// The blocks claimed so far.
    pub fn claimed(&self) -> impl Iterator<Item = Ipv4Net> + '_ {
        self.claimed.iter().map(|block| block.cidr)
    }

    /// The node's whole range.
    pub fn range(&self) -> Ipv4Net {
        self.range
    }

    /// Claims the next block; `false` where the range holds no more.
    fn claim(&mut self) -> bool {
        let taken = self.claimed.len();
        let next = self.range.subnets(self.block_len).ok().and_then(|mut blocks| blocks.nth(taken));
        let first_host = if taken == 0 { self.first_host } else { 0 };
        self.claimed.extend(next.map(|cidr| Block::new(cidr, first_host)));
        next.is_some()
    }

    /// The block that holds an address, claimed if need be.
    fn block_of(&mut self, addr: Ipv4Addr) -> Option<&mut Block> {
        if !self.range.contains(&addr) {
            return None;
        }
        while !self.claimed.iter().any(|block| block.cidr.contains(&addr)) {
            if !self.claim() {
                return None;
            }
        }
        self.claimed.iter_mut().find(|block| block.cidr.contains(&addr))
    }

    /// Gives an address to a handle: the one asked for, or the next one free. The error is the plug-in's own text.
    pub fn allocate(&mut self, handle: &str, requested: Option<Ipv4Addr>) -> Result<Ipv4Addr, String> {
        if let Some(addr) = requested {
            return self.assign(handle, addr);
        }
        let free = |block: &Block| !block.unallocated.is_empty();
        if !self.claimed.iter().any(free) && !self.claim() {
            return Err("failed to request IPv4 addresses: Assigned 0 out of 1 requested IPv4 addresses; No more free \
                        affine blocks and strict affinity enabled"
                .to_owned());
        }
        let Some(block) = self.claimed.iter_mut().find(|block| free(block)) else {
            return Err("failed to request IPv4 addresses: the block is empty".to_owned());
        };
        let addr = block.unallocated.pop_front().unwrap_or(Ipv4Addr::UNSPECIFIED);
        block.handles.insert(addr, handle.to_owned());
        Ok(addr)
    }

    /// Gives one certain address (`AssignIP`).
    fn assign(&mut self, handle: &str, addr: Ipv4Addr) -> Result<Ipv4Addr, String> {
        let outside = || format!("The provided IP address is not in a configured pool: {addr}");
        let block = self.block_of(addr).ok_or_else(outside)?;
        if block.handles.contains_key(&addr) {
            return Err("Address already assigned in block".to_owned());
        }
        block.unallocated.retain(|free| *free != addr);
        block.handles.insert(addr, handle.to_owned());
        Ok(addr)
    }

    /// Gives the node's tunnel device the first address of its first block (`EnsureTunnelAddress`).
    pub fn tunnel_address(&mut self) -> Option<Ipv4Addr> {
        let first = self.range.subnets(self.block_len).ok()?.next()?.network();
        match self.assign("tunnel", first) {
            Ok(addr) => Some(addr),
            Err(_) => Some(first).filter(|addr| self.handle_of(*addr) == Some("tunnel")),
        }
    }

    fn handle_of(&self, addr: Ipv4Addr) -> Option<&str> {
        self.claimed.iter().find_map(|block| block.handles.get(&addr)).map(String::as_str)
    }

    /// Frees what a handle held (`ReleaseByHandle`); it will be the last of its block to be given again.
    pub fn release(&mut self, handle: &str) -> Option<Ipv4Addr> {
        let held =
            |block: &Block| block.handles.iter().find(|(_, owner)| *owner == handle).map(|(addr, _)| *addr);
        let (block, addr) =
            self.claimed.iter_mut().find_map(|block| held(block).map(|addr| (block, addr)))?;
        block.handles.remove(&addr);
        block.unallocated.push_back(addr);
        Some(addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(first_host: u32) -> Blocks {
        Blocks::new("10.244.1.0/24".parse().unwrap(), 26, first_host)
    }

    #[test]
    fn a_block_is_claimed_with_the_first_address_and_the_next_when_it_is_full() {
        let mut blocks = blocks(0);
        assert_eq!(blocks.claimed().count(), 0);
        assert_eq!(blocks.tunnel_address(), Some("10.244.1.0".parse().unwrap()));
        assert_eq!(blocks.allocate("a", None), Ok("10.244.1.1".parse().unwrap()));
        for n in 0..63 {
            blocks.allocate(&format!("p{n}"), None).unwrap();
        }
        let claimed: Vec<String> = blocks.claimed().map(|cidr| cidr.to_string()).collect();
        assert_eq!(claimed, ["10.244.1.0/26", "10.244.1.64/26"]);
    }

    #[test]
    fn a_freed_address_is_the_last_to_be_given_again() {
        let mut blocks = blocks(10);
        assert_eq!(blocks.allocate("a", None), Ok("10.244.1.10".parse().unwrap()));
        blocks.release("a");
        assert_eq!(blocks.allocate("a", None), Ok("10.244.1.11".parse().unwrap()));
        let taken = "10.244.1.11".parse().unwrap();
        assert_eq!(blocks.allocate("b", Some(taken)), Err("Address already assigned in block".to_owned()));
        assert!(blocks.allocate("b", Some("10.9.0.1".parse().unwrap())).is_err());
    }
}
