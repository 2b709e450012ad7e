//! The CNI plug-in host-local (containernetworking/plugins, `plugins/ipam/host-local`): round robin through sets of
//! ranges from the address after the last one reserved, which is why a freed address is not given again at once. What
//! the plug-in keeps in a network's directory (one file an address, and `last_reserved_ip.N` for each set) is kept here.
//! Every error is the plug-in's own text; `tests/cni/host-local.txt` holds them beside it.

use ipnet::IpNet;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One range of addresses in a subnet (`Range`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    subnet: IpNet,
    start: u128,
    end: u128,
    gateway: IpAddr,
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
    /// address is left out (`Range.Canonicalize`).
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
        let gateway = address(&subnet, base + 1);
        Ok(Self { subnet, start: base + 1, end, gateway, excluded: Vec::new() })
    }

    /// The range with its own first and last address and gateway, where they are given.
    pub fn within(
        mut self,
        start: Option<IpAddr>,
        end: Option<IpAddr>,
        gateway: Option<IpAddr>,
    ) -> Result<Self, String> {
        let outside = |addr: &IpAddr| !self.subnet.contains(addr);
        // The first is held against the last, too, as soon as there is one (`Range.Contains`).
        let behind = |addr: &IpAddr| end.is_some_and(|end| number(end) < number(*addr));
        if let Some(addr) = start.filter(|addr| outside(addr) || behind(addr)) {
            return Err(format!("RangeStart {addr} not in network {}", self.subnet));
        }
        self.start = start.map_or(self.start, number);
        if let Some(addr) = end.filter(|addr| outside(addr) || number(*addr) < self.start) {
            return Err(format!("RangeEnd {addr} not in network {}", self.subnet));
        }
        self.end = end.map_or(self.end, number);
        self.gateway = gateway.unwrap_or(self.gateway);
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
        self.gateway
    }

    /// The subnet.
    pub fn subnet(&self) -> IpNet {
        self.subnet
    }

    /// Whether an address is one of the range (`Range.Contains`).
    fn contains(&self, addr: IpAddr) -> bool {
        self.subnet.contains(&addr)
            && (self.start..=self.end).contains(&number(addr))
            && !self.excluded.iter().any(|net| net.contains(&addr))
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.start())
            || self.contains(other.end())
            || other.contains(self.start())
            || other.contains(self.end())
    }

    fn text(&self) -> String {
        format!("{}-{}", self.start(), self.end())
    }
}

/// Who holds an address: a container by one of its interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Id of the sandbox.
    pub container: &'a str,
    /// Name of the interface in it.
    pub ifname: &'a str,
}

/// A network's directory (`disk.Store`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// Files of addresses, which name the container and its interface.
    reserved: BTreeMap<IpAddr, (String, String)>,
    /// Files `last_reserved_ip.N`.
    last_reserved: BTreeMap<usize, IpAddr>,
}

impl Store {
    /// The content of `last_reserved_ip.N`.
    pub fn last_reserved(&self, set: usize) -> Option<IpAddr> {
        self.last_reserved.get(&set).copied()
    }

    /// Frees what a container held by one of its interfaces (`ReleaseByID`), or by all of them. `last_reserved_ip.N` stays
    /// as it is.
    pub fn release(&mut self, container: &str, ifname: Option<&str>) -> Option<IpAddr> {
        let is_owner = |(of, by): &(String, String)| of == container && ifname.is_none_or(|name| by == name);
        let freed = self.reserved.extract_if(.., |_, owner| is_owner(owner));
        freed.map(|(addr, _)| addr).last()
    }

    fn held_by(&self, owner: Owner<'_>) -> impl Iterator<Item = IpAddr> {
        let is_own = move |(of, by): &(String, String)| of == owner.container && by == owner.ifname;
        self.reserved.iter().filter(move |(_, of)| is_own(of)).map(|(addr, _)| *addr)
    }

    fn reserve(&mut self, set: usize, addr: IpAddr, owner: Owner<'_>) {
        self.reserved.insert(addr, (owner.container.to_owned(), owner.ifname.to_owned()));
        self.last_reserved.insert(set, addr);
    }
}

/// A set of ranges, from which an interface gets one address (`RangeSet`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet(Vec<Range>);

impl RangeSet {
    /// A set of ranges of one family that do not overlap (`RangeSet.Canonicalize`).
    pub fn new(ranges: Vec<Range>) -> Result<Self, String> {
        let first = ranges.first().ok_or("empty range set")?;
        let is_v4 = |range: &Range| matches!(range.subnet, IpNet::V4(_));
        if ranges.iter().any(|range| is_v4(range) != is_v4(first)) {
            return Err("mixed address families".to_owned());
        }
        for (at, one) in ranges.iter().enumerate() {
            if let Some(other) = ranges[at + 1..].iter().find(|other| one.overlaps(other)) {
                return Err(format!("subnets {} and {} overlap", one.text(), other.text()));
            }
        }
        Ok(Self(ranges))
    }

    fn contains(&self, addr: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(addr))
    }

    /// Reserves an address in the store as that of set `set`: the one asked for, or the next one free
    /// (`IPAllocator.Get`).
    fn allocate(
        &self,
        store: &mut Store,
        set: usize,
        owner: Owner<'_>,
        requested: Option<IpAddr>,
    ) -> Result<IpAddr, String> {
        let addr = match requested {
            Some(addr) => self.requested(store, addr),
            None => self.next(store, set, owner),
        };
        let addr = addr.map_err(|error| format!("failed to allocate for range {set}: {error}"))?;
        store.reserve(set, addr, owner);
        Ok(addr)
    }

    fn requested(&self, store: &Store, addr: IpAddr) -> Result<IpAddr, String> {
        if self.0.iter().any(|range| range.gateway() == addr) {
            return Err(format!("requested ip {addr} is subnet's gateway"));
        }
        if store.reserved.contains_key(&addr) {
            return Err(format!("requested IP address {addr} is not available in range set {}", self.text()));
        }
        Ok(addr)
    }

    fn next(&self, store: &Store, set: usize, owner: Owner<'_>) -> Result<IpAddr, String> {
        if let Some(addr) = store.held_by(owner).find(|addr| self.contains(*addr)) {
            let container = owner.container;
            return Err(format!(
                "{addr} has been allocated to {container}, duplicate allocation is not allowed"
            ));
        }
        let mut candidates = self.candidates(store.last_reserved(set));
        let free = candidates.find(|addr| !store.reserved.contains_key(addr));
        free.ok_or_else(|| format!("no IP addresses available in range set: {}", self.text()))
    }

    /// The set as the plug-in prints it.
    fn text(&self) -> String {
        self.0.iter().map(Range::text).collect::<Vec<_>>().join(",")
    }

    /// The addresses in the order in which they are tried, once around (`RangeIter`).
    fn candidates(&self, last: Option<IpAddr>) -> impl Iterator<Item = IpAddr> + '_ {
        let holds_last = |range: &Range| last.is_some_and(|last| range.contains(last));
        let first = self.0.iter().position(holds_last);
        let after = first.and(last).map(|last| number(last) + 1);
        let (at, count) = (first.unwrap_or(0), self.0.len());
        // From behind the last one to the end of its range, the other ranges, and the beginning of the first again.
        let mut parts = Vec::new();
        for step in 0..count {
            let range = &self.0[(at + step) % count];
            let from = after.filter(|_| step == 0).unwrap_or(range.start);
            parts.push((range, from, range.end));
        }
        if let (Some(range), Some(after)) = (self.0.get(at), after) {
            parts.push((range, range.start, range.end.min(after - 1)));
        }
        let each = parts.into_iter().flat_map(|(range, from, to)| (from..=to).map(move |at| (range, at)));
        each.map(|(range, at)| (range, address(&range.subnet, at)))
            .filter(|(range, addr)| *addr != range.gateway)
            .filter(|(range, addr)| !range.excluded.iter().any(|net| net.contains(addr)))
            .map(|(_, addr)| addr)
    }
}

/// An address that an interface gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// The address with its subnet's length.
    pub net: IpNet,
    /// The subnet's gateway.
    pub gateway: IpAddr,
}

/// A range as a configuration writes it.
struct Written {
    subnet: Option<IpNet>,
    start: Option<IpAddr>,
    end: Option<IpAddr>,
    gateway: Option<IpAddr>,
}

impl Written {
    fn read(value: &Value) -> Result<Self, String> {
        let addr = |key: &str| match value[key].as_str() {
            Some(text) => text.parse().map(Some).map_err(|_| format!("invalid IP address: {text}")),
            None => Ok(None),
        };
        let subnet = value["subnet"].as_str();
        let subnet = subnet.map(|text| text.parse().map_err(|_| format!("invalid CIDR address: {text}")));
        let (start, end, gateway) = (addr("rangeStart")?, addr("rangeEnd")?, addr("gateway")?);
        Ok(Self { subnet: subnet.transpose()?, start, end, gateway })
    }

    fn range(&self) -> Result<Range, String> {
        let subnet = self.subnet.ok_or("IP <nil> not v4 nor v6")?;
        Range::new(subnet)?.within(self.start, self.end, self.gateway)
    }
}

/// The sets of a configuration's block `ipam` (`LoadIPAMConfig`). `ranges` beside `subnet` come after it.
pub fn read(ipam: &Value) -> Result<Vec<RangeSet>, String> {
    let mut written = Vec::new();
    if ipam["subnet"].is_string() {
        written.push(vec![Written::read(ipam)?]);
    }
    for set in ipam["ranges"].as_array().into_iter().flatten() {
        let ranges = set.as_array().ok_or(
            "json: cannot unmarshal object into Go struct field IPAMConfig.ipam.ranges of type allocator.RangeSet",
        )?;
        written.push(ranges.iter().map(Written::read).collect::<Result<Vec<_>, _>>()?);
    }
    if written.is_empty() {
        return Err("no IP ranges specified".to_owned());
    }
    let mut sets = Vec::new();
    for (index, ranges) in written.iter().enumerate() {
        let ranges = ranges.iter().map(Written::range).collect::<Result<Vec<_>, _>>();
        let set = ranges.and_then(RangeSet::new);
        sets.push(set.map_err(|error| format!("invalid range set {index}: {error}"))?);
    }
    for (at, one) in sets.iter().enumerate() {
        let overlaps = |other: &RangeSet| one.0.iter().any(|a| other.0.iter().any(|b| a.overlaps(b)));
        if let Some(other) = sets[at + 1..].iter().position(overlaps) {
            return Err(format!("range set {at} overlaps with {}", at + 1 + other));
        }
    }
    Ok(sets)
}

/// Reserves an address of each set, of those asked for the ones that lie in it (`cmdAdd`). Where one of them fails, the
/// others are freed again.
pub fn add(
    sets: &[RangeSet],
    store: &mut Store,
    owner: Owner<'_>,
    requested: &[IpAddr],
) -> Result<Vec<Given>, String> {
    let mut asked = requested.to_vec();
    let mut given = Vec::new();
    let mut give = || {
        for (index, set) in sets.iter().enumerate() {
            let own = asked.iter().position(|addr| set.contains(*addr)).map(|at| asked.remove(at));
            let addr = set.allocate(store, index, owner, own)?;
            let range = set.0.iter().find(|range| range.contains(addr));
            given.extend(range.and_then(|range| {
                let net = IpNet::new(addr, range.subnet.prefix_len()).ok()?;
                Some(Given { net, gateway: range.gateway })
            }));
        }
        let texts: Vec<String> = asked.iter().map(ToString::to_string).collect();
        let all = format!("failed to allocate all requested IPs: {}", texts.join(" "));
        if texts.is_empty() { Ok(()) } else { Err(all) }
    };
    match give() {
        Ok(()) => Ok(given),
        Err(error) => {
            for one in given {
                store.reserved.remove(&one.net.addr());
            }
            Err(error)
        }
    }
}
