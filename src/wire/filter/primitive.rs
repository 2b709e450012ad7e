//! What each primitive of the language tests (`gencode.c` of libpcap).

use super::code::{Arith, Base, Compare, Operator, Place, Test};
use super::{Link, Setting};
use crate::base::MacAddr;
use crate::wire::names;
use std::net::Ipv6Addr;

/// Tests joined.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    Test(Test),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

/// Direction of an address or port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dir {
    Default,
    Src,
    Dst,
    Or,
    And,
}

/// What kind of thing a number or name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing was said, so a bare name or number means nothing.
    Undefined,
    Default,
    Host,
    Net,
    Port,
    PortRange,
    Gateway,
    Proto,
    Protochain,
}

/// Qualifiers in front of a name or number; those of the one before hold where none are given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Qualifiers {
    pub(super) proto: Option<&'static str>,
    pub(super) dir: Dir,
    pub(super) kind: Kind,
}

impl Qualifiers {
    pub(super) const NONE: Self = Self { proto: None, dir: Dir::Default, kind: Kind::Undefined };
}

const IP: u32 = 0x0800;
const IP6: u32 = 0x86dd;
const TCP: u32 = 6;
const UDP: u32 = 17;
const SCTP: u32 = 132;

/// Generates tests for one link type. `vlan` primitives move the network header for all that follows.
pub(super) struct Primitives<'a> {
    pub(super) setting: &'a Setting<'a>,
    /// VLAN tags inside the bytes that the expression has stepped over.
    tags: usize,
    /// Whether the tag that the kernel keeps beside the frame has been asked for.
    beside: bool,
}

fn bytes(base: Base, offset: u32, size: u8, value: u32) -> Expr {
    let mask = u32::MAX >> (32 - 8 * u32::from(size));
    Expr::Test(Test::Bytes(Place { base, offset, size }, mask, Compare::Equal, value))
}

fn masked(base: Base, offset: u32, size: u8, mask: u32, compare: Compare, value: u32) -> Expr {
    if mask == 0 {
        // Nothing is asked, so nothing is loaded, not even from a frame too short for it.
        let number = |value| vec![Arith::Number(value)];
        return Expr::Test(Test::Relation(number(0), compare, number(value)));
    }
    Expr::Test(Test::Bytes(Place { base, offset, size }, mask, compare, value))
}

/// The inverse of a test.
pub(super) fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

/// Tests of the source and of the destination, joined as the direction says.
fn directed(dir: Dir, test: impl Fn(bool) -> Expr) -> Expr {
    match dir {
        Dir::Src => test(true),
        Dir::Dst => test(false),
        Dir::And => Expr::And(vec![test(true), test(false)]),
        Dir::Or | Dir::Default => Expr::Or(vec![test(true), test(false)]),
    }
}

/// Name of what an address stands for, in messages.
fn kind_word(kind: Kind) -> &'static str {
    if kind == Kind::Net { "net" } else { "host" }
}

/// `__pcap_atoin`: two to four decimal numbers joined by points, and how many bits they fill.
fn dotted(text: &str) -> Result<(u32, u32), String> {
    let mut value = 0;
    let mut bits = 0;
    for part in text.split('.') {
        let part: u8 = part
            .bytes()
            .all(|digit| digit.is_ascii_digit())
            .then(|| part.parse().ok())
            .flatten()
            .ok_or_else(|| format!("invalid IPv4 address '{text}'"))?;
        value = value << 8 | u32::from(part);
        bits += 8;
    }
    Ok((value, bits))
}

/// `bits` filled from the left.
fn prefix_mask(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0)
}

impl<'a> Primitives<'a> {
    pub(super) fn new(setting: &'a Setting<'a>) -> Self {
        Self { setting, tags: 0, beside: false }
    }

    /// The network header.
    fn network(&self) -> Base {
        Base::Network(match self.setting.link {
            Link::Ethernet => 14 + 4 * self.tags,
            Link::Cooked => 20,
        })
    }

    fn transport(&self) -> Base {
        match self.network() {
            Base::Network(at) | Base::Transport(at) => Base::Transport(at),
            Base::Link => Base::Link,
        }
    }

    /// `gen_linktype`.
    fn ethertype(&self, value: u32) -> Expr {
        let offset = match self.setting.link {
            Link::Ethernet => 12 + 4 * self.tags as u32,
            Link::Cooked => 0,
        };
        bytes(Base::Link, offset, 2, value)
    }

    /// A frame with an IEEE 802.2 header to this service access point.
    fn service_point(&self, sap: u32) -> Expr {
        let at = 14 + 4 * self.tags as u32;
        match self.setting.link {
            Link::Ethernet => Expr::And(vec![
                masked(Base::Link, at - 2, 2, 0xffff, Compare::LessOrEqual, 1500),
                bytes(Base::Link, at, 1, sap),
            ]),
            Link::Cooked => Expr::And(vec![self.ethertype(4), bytes(self.network(), 0, 1, sap)]),
        }
    }

    fn not_fragment(&self) -> Expr {
        masked(self.network(), 6, 2, 0x1fff, Compare::Equal, 0)
    }

    /// `gen_proto_abbrev`: a protocol's name alone.
    pub(super) fn protocol(&self, name: &str) -> Result<Expr, String> {
        let number = |number: u32| self.ip_proto(number, None);
        Ok(match name {
            "ip" => self.ethertype(IP),
            "ip6" => self.ethertype(IP6),
            "arp" => self.ethertype(0x0806),
            "rarp" => self.ethertype(0x8035),
            "decnet" => self.ethertype(0x6003),
            "lat" => self.ethertype(0x6004),
            "sca" => self.ethertype(0x6007),
            "moprc" => self.ethertype(0x6002),
            "mopdl" => self.ethertype(0x6001),
            "stp" => self.service_point(0x42),
            "icmp" => self.ip_proto(1, Some("ip")),
            "igmp" => self.ip_proto(2, Some("ip")),
            "igrp" => self.ip_proto(9, Some("ip")),
            "vrrp" | "carp" => self.ip_proto(112, Some("ip")),
            "icmp6" => self.ip_proto(58, Some("ip6")),
            "tcp" => number(TCP),
            "udp" => number(UDP),
            "sctp" => number(SCTP),
            "pim" => number(103),
            "esp" => number(50),
            "ah" => number(51),
            "link" => return Err("link layer applied in wrong context".to_owned()),
            "radio" => return Err("'radio' is not a valid protocol type".to_owned()),
            other => return Err(format!("'{other}' is not simulated in a filter")),
        })
    }

    /// The protocol number in an IPv4 header, an IPv6 header or either.
    fn ip_proto(&self, number: u32, version: Option<&str>) -> Expr {
        let v4 = || Expr::And(vec![self.ethertype(IP), bytes(self.network(), 9, 1, number)]);
        let behind_fragment =
            || Expr::And(vec![bytes(self.network(), 6, 1, 44), bytes(self.network(), 40, 1, number)]);
        let v6 = || {
            let next = bytes(self.network(), 6, 1, number);
            Expr::And(vec![self.ethertype(IP6), Expr::Or(vec![behind_fragment(), next])])
        };
        match version {
            Some("ip") => v4(),
            Some(_) => v6(),
            None => Expr::Or(vec![v4(), v6()]),
        }
    }

    /// `gen_proto`: `proto` with a number.
    fn proto_number(&self, number: u32, q: Qualifiers) -> Result<Expr, String> {
        match q.proto {
            _ if q.dir != Dir::Default => Err("direction applied to 'proto'".to_owned()),
            None => Ok(self.ip_proto(number, None)),
            Some("ip") => Ok(self.ip_proto(number, Some("ip"))),
            Some("ip6") => Ok(self.ip_proto(number, Some("ip6"))),
            Some("link") if number <= 1500 => Ok(self.service_point(number)),
            Some("link") => Ok(self.ethertype(number)),
            Some(name @ ("arp" | "rarp" | "decnet" | "lat" | "sca" | "moprc" | "mopdl" | "atalk")) => {
                Err(format!("{name} does not encapsulate another protocol"))
            }
            Some(name) => Err(format!("'{name} proto' is bogus")),
        }
    }

    /// `gen_host`: an IPv4 address under a mask.
    fn host(&self, addr: u32, mask: u32, q: Qualifiers) -> Result<Expr, String> {
        let at = |ethertype: u32, src: u32, dst: u32| {
            let test = |is_src: bool| {
                masked(self.network(), if is_src { src } else { dst }, 4, mask, Compare::Equal, addr)
            };
            Expr::And(vec![self.ethertype(ethertype), directed(q.dir, test)])
        };
        Ok(match q.proto {
            None => Expr::Or(vec![at(IP, 12, 16), at(0x0806, 14, 24), at(0x8035, 14, 24)]),
            Some("ip") => at(IP, 12, 16),
            Some("arp") => at(0x0806, 14, 24),
            Some("rarp") => at(0x8035, 14, 24),
            Some("link") => return Err("illegal link layer address".to_owned()),
            Some("ip6") => return Err("'ip6' modifier applied to ip host".to_owned()),
            Some(name) => return Err(format!("'{name}' modifier applied to {}", kind_word(q.kind))),
        })
    }

    /// `gen_mcode6` and `gen_host6`.
    pub(super) fn v6(
        &self,
        (addr, text): (Ipv6Addr, &str),
        bits: u32,
        q: Qualifiers,
    ) -> Result<Expr, String> {
        if bits > 128 {
            return Err("mask length must be <= 128".to_owned());
        }
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        if addr.to_bits() & !mask != 0 {
            return Err(format!("non-network bits set in \"{text}/{bits}\""));
        }
        match (q.kind, q.proto) {
            (Kind::Default | Kind::Host, _) if bits != 128 => {
                return Err("Mask syntax for networks only".to_owned());
            }
            (Kind::Default | Kind::Host | Kind::Net, None | Some("ip6")) => {}
            (Kind::Default | Kind::Host | Kind::Net, Some("link")) => {
                return Err(format!("link-layer modifier applied to ip6 {}", kind_word(q.kind)));
            }
            (Kind::Default | Kind::Host | Kind::Net, Some(name)) => {
                return Err(format!("'{name}' modifier applied to ip6 {}", kind_word(q.kind)));
            }
            (Kind::Undefined, _) => return Err(super::SYNTAX_ERROR.to_owned()),
            (Kind::Port | Kind::PortRange | Kind::Gateway | Kind::Proto | Kind::Protochain, _) => {
                return Err("invalid qualifier against IPv6 address".to_owned());
            }
        }
        let word = |value: u128, at: u32| (value >> (96 - 32 * at)) as u32;
        let test = |is_src: bool| {
            let start = if is_src { 8 } else { 24 };
            let words = (0..4).filter(|at| word(mask, *at) != 0);
            let one = |at: u32| {
                let (mask, value) = (word(mask, at), word(addr.to_bits(), at));
                masked(self.network(), start + 4 * at, 4, mask, Compare::Equal, value)
            };
            Expr::And(words.map(one).collect())
        };
        Ok(Expr::And(vec![self.ethertype(IP6), directed(q.dir, test)]))
    }

    /// `gen_port` and `gen_portrange`: of these transport protocols, any where `None`.
    fn ports(&self, low: u32, high: u32, protocol: Option<u32>, dir: Dir) -> Expr {
        let (low, high) = (low.min(high), low.max(high));
        let between = |base: Base, start: u32| {
            directed(dir, |is_src| {
                let offset = if is_src { start } else { start + 2 };
                let compare = |compare, value| masked(base, offset, 2, 0xffff, compare, value);
                if low == high {
                    compare(Compare::Equal, low)
                } else {
                    let least = compare(Compare::GreaterOrEqual, low);
                    Expr::And(vec![least, compare(Compare::LessOrEqual, high)])
                }
            })
        };
        let is_one = |offset: u32| match protocol {
            Some(number) => bytes(self.network(), offset, 1, number),
            None => Expr::Or([TCP, UDP, SCTP].map(|number| bytes(self.network(), offset, 1, number)).into()),
        };
        let v4 = vec![self.ethertype(IP), is_one(9), self.not_fragment(), between(self.transport(), 0)];
        let v6 = vec![self.ethertype(IP6), is_one(6), between(self.network(), 40)];
        Expr::Or(vec![Expr::And(v4), Expr::And(v6)])
    }

    /// The transport protocol that the qualifiers name; `Err` where ports mean nothing to it.
    fn transport_of(q: Qualifiers) -> Result<Option<u32>, String> {
        match q.proto {
            None => Ok(None),
            Some("tcp") => Ok(Some(TCP)),
            Some("udp") => Ok(Some(UDP)),
            Some("sctp") => Ok(Some(SCTP)),
            Some(_) if q.kind == Kind::PortRange => Err("illegal qualifier of 'portrange'".to_owned()),
            Some(_) => Err("illegal qualifier of 'port'".to_owned()),
        }
    }

    /// `gen_ncode`: a number, or numbers joined by points.
    pub(super) fn number(&self, number: u32, text: Option<&str>, q: Qualifiers) -> Result<Expr, String> {
        let (value, bits) = text.map_or(Ok((number, 32)), dotted)?;
        let misplaced = |word: &str| Err(format!("'{word}' modifier applied to ip host"));
        match q.kind {
            Kind::Undefined => Err(super::SYNTAX_ERROR.to_owned()),
            Kind::Port if text.is_some() => misplaced("port"),
            Kind::PortRange if text.is_some() => misplaced("portrange"),
            Kind::Proto if text.is_some() => misplaced("proto"),
            Kind::Protochain if text.is_some() => misplaced("protochain"),
            Kind::Default | Kind::Host | Kind::Net if q.proto == Some("link") => {
                Err("illegal link layer address".to_owned())
            }
            Kind::Net if text.is_none() => {
                let shift = (value.leading_zeros() / 8 * 8) % 32;
                self.host(value << shift, u32::MAX << shift, q)
            }
            Kind::Default | Kind::Host | Kind::Net => {
                let shift = 32 - bits;
                self.host(value << shift, u32::MAX << shift, q)
            }
            Kind::Port | Kind::PortRange => {
                let protocol = Self::transport_of(q)?;
                if value > 65535 {
                    return Err(format!("illegal port number {value} > 65535"));
                }
                Ok(self.ports(value, value, protocol, q.dir))
            }
            Kind::Gateway => Err("'gateway' requires a name".to_owned()),
            Kind::Proto => self.proto_number(value, q),
            Kind::Protochain => Err("'protochain' is not simulated in a filter".to_owned()),
        }
    }

    /// `gen_mcode`: an IPv4 network with a prefix length or a mask.
    pub(super) fn network_of(
        &self,
        text: &str,
        mask: Result<&str, u32>,
        q: Qualifiers,
    ) -> Result<Expr, String> {
        let (value, bits) = dotted(text)?;
        let value = value << (32 - bits);
        let (mask, shown) = match mask {
            Ok(mask) => {
                let (value, bits) = dotted(mask)?;
                (value << (32 - bits), format!("{text} mask {mask}"))
            }
            Err(33..) => return Err("mask length must be <= 32".to_owned()),
            Err(length) => (prefix_mask(length), format!("{text}/{length}")),
        };
        if value & !mask != 0 {
            return Err(format!("non-network bits set in \"{shown}\""));
        }
        match q.kind {
            Kind::Net => self.host(value, mask, q),
            Kind::Undefined => Err(super::SYNTAX_ERROR.to_owned()),
            Kind::Default
            | Kind::Host
            | Kind::Port
            | Kind::PortRange
            | Kind::Gateway
            | Kind::Proto
            | Kind::Protochain => Err("Mask syntax for networks only".to_owned()),
        }
    }

    /// `gen_scode`: a name.
    pub(super) fn name(&self, name: &str, q: Qualifiers) -> Result<Expr, String> {
        match q.kind {
            Kind::Undefined => Err(super::SYNTAX_ERROR.to_owned()),
            Kind::Net => Err(format!("unknown network '{name}'")),
            Kind::Default | Kind::Host if q.proto == Some("link") => {
                Err(format!("unknown ether host '{name}'"))
            }
            Kind::Default | Kind::Host => {
                let addr = (self.setting.resolve)(name).ok_or_else(|| format!("unknown host '{name}'"))?;
                self.host(addr.to_bits(), u32::MAX, q)
            }
            Kind::Port => {
                let (port, of) = port_of(name).ok_or_else(|| format!("unknown port '{name}'"))?;
                let wanted = Self::transport_of(q)?;
                match (wanted, of) {
                    (Some(wanted), Some(of)) if wanted != of => {
                        let of = if of == TCP { "tcp" } else { "udp" };
                        Err(format!("port '{name}' is {of}"))
                    }
                    (wanted, of) => Ok(self.ports(port, port, wanted.or(of), q.dir)),
                }
            }
            Kind::PortRange => {
                let unknown = || format!("unknown port in range '{name}'");
                let (low, high) = name.split_once('-').unwrap_or((name, name));
                let end = |text: &str| match text.parse::<u32>() {
                    Ok(port @ 65536..) => Err(format!("illegal port number {port} > 65535")),
                    Ok(port) => Ok((port, None)),
                    Err(_) => port_of(text).ok_or_else(unknown),
                };
                let ((low, one), (high, other)) = (end(low)?, end(high)?);
                let of = if one == other { one } else { None };
                Ok(self.ports(low, high, Self::transport_of(q)?.or(of), q.dir))
            }
            Kind::Gateway => Err("'gateway' not supported in this configuration".to_owned()),
            Kind::Proto | Kind::Protochain => self.proto_name(name, q),
        }
    }

    fn proto_name(&self, name: &str, q: Qualifiers) -> Result<Expr, String> {
        let number = match q.proto {
            None | Some("ip" | "ip6") => {
                let number = names::protocol_number(name).map(u32::from);
                number.ok_or_else(|| format!("unknown ip proto '{name}'"))?
            }
            Some("link") => match name {
                "ip" => IP,
                "ip6" => IP6,
                "arp" => 0x0806,
                "rarp" => 0x8035,
                "loopback" => 0x9000,
                "stp" => 0x42,
                "mopdl" | "moprc" | "decnet" | "lat" | "sca" => return self.protocol(name),
                _ => return Err(format!("unknown ether proto '{name}'")),
            },
            Some(_) => return Err(format!("unknown protocol: {name}")),
        };
        self.number(number, None, q)
    }

    /// `gen_ecode`: an Ethernet address.
    pub(super) fn mac(&self, mac: MacAddr, q: Qualifiers) -> Result<Expr, String> {
        if !matches!(q.kind, Kind::Host | Kind::Default) || q.proto != Some("link") {
            return Err("ethernet address used in non-ether expression".to_owned());
        }
        if self.setting.link != Link::Ethernet {
            let kinds = "ethernet/FDDI/token ring/802.11/ATM LANE/Fibre Channel";
            return Err(format!("ethernet addresses supported only on {kinds}"));
        }
        Ok(directed(q.dir, |is_src| Self::mac_at(if is_src { 6 } else { 0 }, mac)))
    }

    fn mac_at(offset: u32, mac: MacAddr) -> Expr {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let end = bytes(Base::Link, offset + 2, 4, number(&mac.0[2..]));
        Expr::And(vec![end, bytes(Base::Link, offset, 2, number(&mac.0[..2]))])
    }

    /// `gen_broadcast`.
    pub(super) fn broadcast(&self, proto: Option<&str>) -> Result<Expr, String> {
        match (proto, self.setting.link) {
            (None | Some("link"), Link::Ethernet) => Ok(Self::mac_at(0, MacAddr::BROADCAST)),
            (None | Some("link"), Link::Cooked) => Err("not a broadcast link".to_owned()),
            (Some("ip"), _) => {
                let Some(netmask) = self.setting.netmask else {
                    return Err("netmask not known, so 'ip broadcast' not supported".to_owned());
                };
                let hosts = !netmask.to_bits();
                let dst = |value| masked(self.network(), 16, 4, hosts, Compare::Equal, value);
                Ok(Expr::And(vec![self.ethertype(IP), Expr::Or(vec![dst(0), dst(hosts)])]))
            }
            (Some(_), _) => Err("only link-layer/IP broadcast filters supported".to_owned()),
        }
    }

    /// `gen_multicast`.
    pub(super) fn multicast(&self, proto: Option<&str>) -> Result<Expr, String> {
        let first = |offset, compare, value| masked(self.network(), offset, 1, 0xff, compare, value);
        match (proto, self.setting.link) {
            (None | Some("link"), Link::Ethernet) => Ok(masked(Base::Link, 0, 1, 1, Compare::NotEqual, 0)),
            (Some("ip"), _) => {
                Ok(Expr::And(vec![self.ethertype(IP), first(16, Compare::GreaterOrEqual, 224)]))
            }
            (Some("ip6"), _) => Ok(Expr::And(vec![self.ethertype(IP6), first(24, Compare::Equal, 255)])),
            _ => {
                let kinds = "ethernet/FDDI/token ring/ARCNET/802.11/ATM LANE/Fibre Channel";
                Err(format!("link-layer multicast filters supported only on {kinds}"))
            }
        }
    }

    /// `gen_inbound`.
    pub(super) fn outbound(&self) -> Result<Expr, String> {
        match self.setting.link {
            Link::Cooked => Ok(bytes(Base::Link, 10, 1, 4)),
            Link::Ethernet if self.setting.live => Ok(Expr::Test(Test::Outbound)),
            Link::Ethernet => {
                Err("inbound/outbound not supported on Ethernet when reading savefiles".to_owned())
            }
        }
    }

    /// `gen_ifindex`.
    pub(super) fn interface(&self, number: u32) -> Result<Expr, String> {
        match self.setting.link {
            Link::Cooked => Ok(bytes(Base::Link, 4, 4, number)),
            Link::Ethernet if self.setting.live => Ok(Expr::Test(Test::Interface(number))),
            Link::Ethernet => Err("ifindex not supported on Ethernet when reading savefiles".to_owned()),
        }
    }

    /// `gen_vlan`. The outermost tag of a live frame is kept beside it, an inner one and any in a file stands in the
    /// bytes, and what follows lies behind it.
    pub(super) fn vlan(&mut self, tag: Option<u32>) -> Result<Expr, String> {
        if self.setting.link == Link::Cooked {
            return Err("no VLAN support for Linux cooked v2".to_owned());
        }
        if let Some(tag @ 4096..) = tag {
            return Err(format!("VLAN tag {tag} greater than maximum 4095"));
        }
        if self.setting.live && !self.beside {
            self.beside = true;
            return Ok(Expr::Test(Test::VlanBeside(tag.map(|tag| tag as u16))));
        }
        let mut tests = vec![Expr::Or([0x8100, 0x88a8, 0x9100].map(|value| self.ethertype(value)).into())];
        if let Some(tag) = tag {
            tests.push(masked(self.network(), 0, 2, 0x0fff, Compare::Equal, tag));
        }
        self.tags += 1;
        Ok(Expr::And(tests))
    }

    /// `gen_load`: what has to hold before bytes of this protocol are loaded, and where its header begins.
    pub(super) fn header(&self, proto: &str) -> Result<(Option<Expr>, Base, u32), String> {
        match proto {
            "link" => Ok((None, Base::Link, 0)),
            "ip" | "ip6" | "arp" | "rarp" | "decnet" | "lat" | "sca" | "moprc" | "mopdl" => {
                Ok((Some(self.protocol(proto)?), self.network(), 0))
            }
            "tcp" | "udp" | "sctp" | "icmp" | "igmp" | "igrp" | "pim" | "vrrp" | "carp" => {
                let guards = vec![self.protocol(proto)?, self.ethertype(IP), self.not_fragment()];
                Ok((Some(Expr::And(guards)), self.transport(), 0))
            }
            "icmp6" => Ok((Some(self.protocol(proto)?), self.network(), 40)),
            _ => Err("unsupported index operation".to_owned()),
        }
    }

    /// `gen_len`, `gen_less` and `gen_greater`.
    pub(super) fn length(compare: Compare, value: u32) -> Expr {
        Expr::Test(Test::Relation(vec![Arith::Len], compare, vec![Arith::Number(value)]))
    }

    /// `gen_byteop`.
    pub(super) fn byte(offset: u32, operator: &str, value: u32) -> Option<Expr> {
        let test = |compare| masked(Base::Link, offset, 1, 0xff, compare, value);
        Some(match operator {
            "=" => test(Compare::Equal),
            "<" => test(Compare::Less),
            ">" => test(Compare::Greater),
            // libpcap forgets to load the byte, so the operator is applied to zero.
            "&" | "|" => {
                let apply = if operator == "&" { Operator::And } else { Operator::Or };
                let left = vec![Arith::Number(0), Arith::Number(value), Arith::Binary(apply)];
                Expr::Test(Test::Relation(left, Compare::NotEqual, vec![Arith::Number(0)]))
            }
            _ => return None,
        })
    }
}

/// Port and transport protocol of a service; no protocol where both have it.
fn port_of(name: &str) -> Option<(u32, Option<u32>)> {
    match (names::service_port(name, "tcp"), names::service_port(name, "udp")) {
        (Some(port), Some(_)) => Some((u32::from(port), None)),
        (Some(port), None) => Some((u32::from(port), Some(TCP))),
        (None, Some(port)) => Some((u32::from(port), Some(UDP))),
        (None, None) => None,
    }
}
