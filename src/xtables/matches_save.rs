//! Matches as `iptables -S` prints them, after `-m NAME`.

use super::matches::{
    Addrtype, Conntrack, Icmp, Match, Multiport, Not, Owner, Physdev, PortRange, PortSide, Recent,
    RecentMode, Statistic, Tcp, ctstate,
};
use super::save::quoted;
use crate::base::Ipv4Addr;
use std::fmt::Write as _;

/// TCP flags in the order in which the tools print them.
pub(super) const TCP_FLAGS: [(u8, &str); 6] =
    [(0x01, "FIN"), (0x02, "SYN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"), (0x20, "URG")];
/// Names of `--ctorigsrc` and its like, in the order of [`Conntrack::addrs`].
pub(super) const CT_ADDRS: [&str; 4] = ["ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"];
/// Names of `--ctorigsrcport` and its like, in the order of [`Conntrack::ports`].
pub(super) const CT_PORTS: [&str; 4] = ["ctorigsrcport", "ctorigdstport", "ctreplsrcport", "ctrepldstport"];
/// Bits of `--ctstatus`.
pub(super) const CT_STATUS: [(u16, &str); 4] =
    [(1, "EXPECTED"), (2, "SEEN_REPLY"), (4, "ASSURED"), (8, "CONFIRMED")];
/// Units of `-m limit`, shortest first, with their length in [`Match::LIMIT_SCALE`].
pub(super) const LIMIT_UNITS: [(&str, u64); 4] =
    [("day", 864_000_000), ("hour", 36_000_000), ("min", 600_000), ("sec", 10_000)];

/// The names of the bits that are set, with commas; `none` for no bit.
pub(super) fn bit_names<T>(bits: T, names: &[(T, &'static str)], none: &str) -> String
where
    T: Copy + std::ops::BitAnd<Output = T> + PartialEq + Default,
{
    let set: Vec<&str> =
        names.iter().filter(|(bit, _)| bits & *bit != T::default()).map(|(_, name)| *name).collect();
    if set.is_empty() { none.to_owned() } else { set.join(",") }
}

impl Match {
    /// Its options, each with a blank before it.
    pub(super) fn save(&self) -> String {
        match self {
            Self::Tcp(tcp) => tcp.save(),
            Self::Udp(udp) | Self::Sctp(udp) => {
                ports("sport", udp.sport.as_ref()) + &ports("dport", udp.dport.as_ref())
            }
            Self::Icmp(icmp) => icmp_save(*icmp),
            Self::Comment(text) => format!(" --comment {}", quoted(text)),
            Self::Conntrack(ct) => ct.words("--"),
            Self::State(state) => {
                format!(" {}--state {}", state.bang(), bit_names(state.is, &ctstate::NAMES, ""))
            }
            Self::Mark(mark) | Self::Connmark(mark) => {
                format!(" {}--mark {}", mark.bang(), mark_text(mark.is))
            }
            Self::Statistic(statistic) => statistic_text(statistic, "--"),
            Self::Recent(recent) => recent_save(recent),
            Self::Addrtype(addrtype) => addrtype_save(addrtype),
            Self::Multiport(multiport) => {
                format!(" {}--{} {}", multiport.bang(), multiport.is.side_name(), multiport.is.ports_text())
            }
            Self::Set(set) => {
                let sides: Vec<&str> =
                    set.is.source.iter().map(|source| if *source { "src" } else { "dst" }).collect();
                format!(" {}--match-set {} {}", set.bang(), set.is.name, sides.join(","))
            }
            Self::Physdev(physdev) => physdev.text(),
            Self::Limit { period, burst } => {
                let burst = if *burst == 5 { String::new() } else { format!(" --limit-burst {burst}") };
                format!(" --limit {}{burst}", limit_text(*period))
            }
            Self::Rpfilter(_) => self.rpfilter_words(" --"),
            Self::Tcpmss(mss) => format!(" {}--mss {}", mss.bang(), mss.is.text(':')),
            Self::Owner(owner) => owner.words(["--socket-exists", "--uid-owner", "--gid-owner"], true),
            Self::Ttl(test) => test.save(),
            Self::Tos(tos) => format!(" {}--tos 0x{:02x}/0x{:02x}", tos.bang(), tos.is.0, tos.is.1),
            Self::Dscp(dscp) => format!(" {}--dscp 0x{:02x}", dscp.bang(), dscp.is),
            Self::Packet(packet) => packet.save(),
            Self::Counting(counting) => counting.save(),
        }
    }

    /// The options of `-m rpfilter` that are set, each after `before`.
    pub(super) fn rpfilter_words(&self, before: &str) -> String {
        let Self::Rpfilter(filter) = self else { return String::new() };
        let named = [
            (filter.loose, "loose"),
            (filter.validmark, "validmark"),
            (filter.accept_local, "accept-local"),
            (filter.invert, "invert"),
        ];
        named.iter().filter(|(set, _)| *set).fold(String::new(), |out, (_, name)| out + before + name)
    }
}

impl Owner {
    /// What is asked, each under its name (`libxt_owner.c`, `owner_mt_print_item`).
    pub(super) fn words(&self, [exists, uid, gid]: [&str; 3], numeric: bool) -> String {
        let socket = self.exists.map_or_else(String::new, |is| format!(" {}{exists}", is.bang()));
        let number = |name: &str, of: Option<Not<(u32, u32)>>| {
            of.map_or_else(String::new, |of| {
                let (first, last) = of.is;
                let text = match of.is {
                    (0, 0) if !numeric => "root".to_owned(),
                    _ if first == last => first.to_string(),
                    _ => format!("{first}-{last}"),
                };
                format!(" {}{name} {text}", of.bang())
            })
        };
        socket + &number(uid, self.uid) + &number(gid, self.gid)
    }
}

fn ports(name: &str, of: Option<&Not<PortRange>>) -> String {
    of.map_or_else(String::new, |of| format!(" {}--{name} {}", of.bang(), of.is.text(':')))
}

impl Tcp {
    fn save(&self) -> String {
        let mut out = ports("sport", self.sport.as_ref()) + &ports("dport", self.dport.as_ref());
        if let Some(option) = &self.option {
            let _ = write!(out, " {}--tcp-option {}", option.bang(), option.is);
        }
        if let Some(flags) = &self.flags {
            let (mask, set) = flags.is;
            let name = |bits| bit_names(bits, &TCP_FLAGS, "NONE");
            let _ = write!(out, " {}--tcp-flags {} {}", flags.bang(), name(mask), name(set));
        }
        out
    }
}

fn icmp_save(icmp: Not<Icmp>) -> String {
    let Icmp { kind, codes } = icmp.is;
    let text = if kind == 255 {
        "any".to_owned()
    } else if codes == (0, 255) {
        kind.to_string()
    } else if codes.0 == codes.1 {
        format!("{kind}/{}", codes.0)
    } else {
        format!("{kind}/{}-{}", codes.0, codes.1)
    };
    format!(" {}--icmp-type {text}", icmp.bang())
}

/// A mark with its mask, where that is not all ones.
pub(super) fn mark_text((value, mask): (u32, u32)) -> String {
    if mask == u32::MAX { format!("{value:#x}") } else { format!("{value:#x}/{mask:#x}") }
}

impl Conntrack {
    /// The options as both forms print them: `dashes` stands before each name.
    pub(super) fn words(&self, dashes: &str) -> String {
        let mut out = String::new();
        let mut add = |negated: bool, name: &str, value: String| {
            let bang = if negated { "! " } else { "" };
            let _ = write!(out, " {bang}{dashes}{name} {value}");
        };
        if let Some(state) = self.state {
            add(state.negated, "ctstate", bit_names(state.is, &ctstate::NAMES, ""));
        }
        if let Some(proto) = self.proto {
            add(proto.negated, "ctproto", proto.is.to_string());
        }
        for (name, addr) in CT_ADDRS.iter().zip(self.addrs) {
            if let Some(addr) = addr {
                add(addr.negated, name, addr.is.short());
            }
        }
        for (name, port) in CT_PORTS.iter().zip(self.ports) {
            if let Some(port) = port {
                add(port.negated, name, port.is.text(':'));
            }
        }
        if let Some(status) = self.status {
            add(status.negated, "ctstatus", bit_names(status.is, &CT_STATUS, "NONE"));
        }
        if let Some(expire) = self.expire {
            let (first, last) = expire.is;
            let text = if first == last { first.to_string() } else { format!("{first}:{last}") };
            add(expire.negated, "ctexpire", text);
        }
        if let Some(reply) = self.reply {
            add(false, "ctdir", if reply { "REPLY" } else { "ORIGINAL" }.to_owned());
        }
        out
    }
}

/// `--mode …`; the listing prints the same without dashes.
pub(super) fn statistic_text(statistic: &Not<Statistic>, dashes: &str) -> String {
    let bang = statistic.bang();
    match statistic.is {
        Statistic::Random(probability) => {
            format!(" {dashes}mode random {bang}{dashes}probability {}", probability_text(probability))
        }
        Statistic::Nth { every, packet } => {
            let packet = if packet == 0 && dashes.is_empty() {
                String::new()
            } else {
                format!(" {dashes}packet {packet}")
            };
            format!(" {dashes}mode nth {bang}{dashes}every {every}{packet}")
        }
    }
}

/// A probability in units of 2^-31 with eleven decimals, rounded to the nearest, a half to the even one, as `printf`
/// does.
fn probability_text(probability: u32) -> String {
    const UNITS: u128 = 100_000_000_000;
    let scaled = u128::from(probability) * UNITS;
    let (whole, rest) = (scaled >> 31, scaled & 0x7fff_ffff);
    let up = rest > 0x4000_0000 || (rest == 0x4000_0000 && whole % 2 == 1);
    let digits = whole + u128::from(up);
    format!("{}.{:011}", digits / UNITS, digits % UNITS)
}

fn recent_save(recent: &Not<Box<Recent>>) -> String {
    let Recent { mode, seconds, reap, hitcount, rttl, name, mask, dest } = &*recent.is;
    let verb = match mode {
        RecentMode::Set => "set",
        RecentMode::Rcheck => "rcheck",
        RecentMode::Update => "update",
        RecentMode::Remove => "remove",
    };
    let mut out = format!(" {}--{verb}", recent.bang());
    if *seconds != 0 {
        let _ = write!(out, " --seconds {seconds}");
    }
    if *reap {
        out += " --reap";
    }
    if *hitcount != 0 {
        let _ = write!(out, " --hitcount {hitcount}");
    }
    if *rttl {
        out += " --rttl";
    }
    let side = if *dest { "--rdest" } else { "--rsource" };
    out + &format!(" --name {} --mask {} {side}", quoted(name), Ipv4Addr::from(*mask))
}

/// Names of the types whose bits are set.
pub(super) fn type_names(bits: u16) -> String {
    let set = Addrtype::NAMES.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

fn addrtype_save(addrtype: &Addrtype) -> String {
    let mut out = String::new();
    for (name, types) in [("src", addrtype.src), ("dst", addrtype.dst)] {
        if let Some(types) = types {
            let _ = write!(out, " {}--{name}-type {}", types.bang(), type_names(types.is));
        }
    }
    if addrtype.limit_in {
        out += " --limit-iface-in";
    }
    if addrtype.limit_out {
        out += " --limit-iface-out";
    }
    out
}

impl Multiport {
    /// `sports`, `dports` or `ports`.
    pub(super) fn side_name(&self) -> &'static str {
        match self.side {
            PortSide::Source => "sports",
            PortSide::Destination => "dports",
            PortSide::Either => "ports",
        }
    }

    /// The ranges with commas.
    pub(super) fn ports_text(&self) -> String {
        self.ranges.iter().map(|range| range.text(':')).collect::<Vec<_>>().join(",")
    }
}

impl Physdev {
    /// The options, the same in both forms.
    pub(super) fn text(&self) -> String {
        let flag = |name: &str, is: Option<bool>| {
            is.map_or_else(String::new, |yes| format!(" {}--physdev-is-{name}", if yes { "" } else { "! " }))
        };
        let iface = |name: &str, of: &Option<Not<super::Iface>>| {
            of.as_ref()
                .map_or_else(String::new, |of| format!(" {}--physdev-{name} {}", of.bang(), of.is.text()))
        };
        flag("in", self.is_in)
            + &iface("in", &self.iif)
            + &flag("out", self.is_out)
            + &iface("out", &self.oif)
            + &flag("bridged", self.is_bridged)
    }
}

/// A rate in the largest unit in which it is a whole number (`print_rate`).
pub(super) fn limit_text(period: u32) -> String {
    let period = u64::from(period);
    let mut best = LIMIT_UNITS[0];
    for unit in LIMIT_UNITS {
        if period > unit.1 || (unit.1 / period < unit.1 % period) {
            break;
        }
        best = unit;
    }
    format!("{}/{}", best.1 / period, best.0)
}
