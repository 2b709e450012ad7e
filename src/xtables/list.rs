//! Matches and targets as `iptables -L` prints them behind the columns.

use super::header_fields::{tos_match_words, tos_target_words};
use super::matches::{Addrtype, Icmp, Match, Multiport, Not, PortRange, Recent, RecentMode, Tcp, ctstate};
use super::matches_save::{TCP_FLAGS, bit_names, limit_text, mark_text, statistic_text, type_names};
use super::{ConnmarkOp, Log, NatFlags, Target, Tcpmss, ports};
use crate::base::Ipv4Addr;
use std::fmt::Write as _;

/// Whether numbers are printed as they are (`-n`) or by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// As they are.
    Numeric,
    /// Services and types of ICMP by name.
    Symbolic,
}

impl Names {
    fn port(self, port: u16, protocol: u8) -> String {
        match self {
            Self::Numeric => port.to_string(),
            Self::Symbolic => ports::service_name(port, protocol),
        }
    }

    fn range(self, range: PortRange, protocol: u8) -> String {
        if range.0 == range.1 {
            return self.port(range.0, protocol);
        }
        format!("{}:{}", self.port(range.0, protocol), self.port(range.1, protocol))
    }
}

/// What is printed behind the columns for a match, with a blank before it.
pub fn list_words(each: &Match, names: Names, protocol: u8) -> String {
    match each {
        Match::Tcp(tcp) => tcp_words(tcp, names),
        Match::Udp(udp) => {
            let sport = port_words("spt", udp.sport.as_ref(), names, 17);
            format!(" udp{sport}{}", port_words("dpt", udp.dport.as_ref(), names, 17))
        }
        Match::Sctp(sctp) => {
            let sport = port_words("spt", sctp.sport.as_ref(), names, 132);
            format!(" sctp{sport}{}", port_words("dpt", sctp.dport.as_ref(), names, 132))
        }
        Match::Icmp(icmp) => icmp_words(*icmp, names),
        Match::Comment(text) => format!(" /* {text} */"),
        Match::Conntrack(ct) => ct.words(""),
        Match::State(state) => {
            format!(" {}state {}", state.bang(), bit_names(state.is, &ctstate::NAMES, ""))
        }
        Match::Mark(mark) => format!(" mark match {}{}", mark.bang(), mark_text(mark.is)),
        Match::Connmark(mark) => format!(" connmark match  {}{}", mark.bang(), mark_text(mark.is)),
        Match::Statistic(statistic) => format!(" statistic{}", statistic_text(statistic, "")),
        Match::Recent(recent) => recent_words(recent),
        Match::Addrtype(addrtype) => addrtype_words(addrtype),
        Match::Multiport(multiport) => multiport_words(multiport, names, protocol),
        Match::Set(set) => {
            let sides: Vec<&str> =
                set.is.source.iter().map(|source| if *source { "src" } else { "dst" }).collect();
            format!(" {}match-set {} {}", set.bang(), set.is.name, sides.join(","))
        }
        Match::Physdev(physdev) => format!(" PHYSDEV match{}", physdev.text()),
        Match::Limit { period, burst } => format!(" limit: avg {} burst {burst}", limit_text(*period)),
        Match::Rpfilter(_) => format!(" rpfilter{}", each.rpfilter_words(" ")),
        Match::Owner(owner) => owner
            .words(["owner socket exists", "owner UID match", "owner GID match"], names == Names::Numeric),
        Match::Ttl(test) => test.list(),
        Match::Tos(tos) => tos_match_words(*tos, names),
        Match::Packet(packet) => packet.list(),
        Match::Counting(counting) => counting.list(),
        Match::Dscp(dscp) => format!(" DSCP match {}0x{:02x}", dscp.mark(), dscp.is),
        Match::Tcpmss(mss) => format!(" tcpmss match {}{}", mss.mark(), mss.is.text(':')),
    }
}

fn port_words(name: &str, of: Option<&Not<PortRange>>, names: Names, protocol: u8) -> String {
    let Some(of) = of else { return String::new() };
    let several = if of.is.0 == of.is.1 { "" } else { "s" };
    format!(" {name}{several}:{}{}", of.mark(), names.range(of.is, protocol))
}

fn tcp_words(tcp: &Tcp, names: Names) -> String {
    let mut out = String::from(" tcp");
    out += &port_words("spt", tcp.sport.as_ref(), names, 6);
    out += &port_words("dpt", tcp.dport.as_ref(), names, 6);
    if let Some(option) = &tcp.option {
        let _ = write!(out, " option={}{}", option.mark(), option.is);
    }
    if let Some(flags) = &tcp.flags {
        let (mask, set) = flags.is;
        let name = |bits| match names {
            Names::Numeric => format!("{bits:#04X}").replace('X', "x"),
            Names::Symbolic => bit_names(bits, &TCP_FLAGS, "NONE"),
        };
        let _ = write!(out, " flags:{}{}/{}", flags.mark(), name(mask), name(set));
    }
    out
}

/// Types of ICMP by name, the more special first.
pub(super) const ICMP_NAMES: [(&str, u8, u8, u8); 40] = [
    ("any", 255, 0, 255),
    ("echo-reply", 0, 0, 255),
    ("pong", 0, 0, 255),
    ("destination-unreachable", 3, 0, 255),
    ("network-unreachable", 3, 0, 0),
    ("host-unreachable", 3, 1, 1),
    ("protocol-unreachable", 3, 2, 2),
    ("port-unreachable", 3, 3, 3),
    ("fragmentation-needed", 3, 4, 4),
    ("source-route-failed", 3, 5, 5),
    ("network-unknown", 3, 6, 6),
    ("host-unknown", 3, 7, 7),
    ("network-prohibited", 3, 9, 9),
    ("host-prohibited", 3, 10, 10),
    ("TOS-network-unreachable", 3, 11, 11),
    ("TOS-host-unreachable", 3, 12, 12),
    ("communication-prohibited", 3, 13, 13),
    ("host-precedence-violation", 3, 14, 14),
    ("precedence-cutoff", 3, 15, 15),
    ("source-quench", 4, 0, 255),
    ("redirect", 5, 0, 255),
    ("network-redirect", 5, 0, 0),
    ("host-redirect", 5, 1, 1),
    ("TOS-network-redirect", 5, 2, 2),
    ("TOS-host-redirect", 5, 3, 3),
    ("echo-request", 8, 0, 255),
    ("ping", 8, 0, 255),
    ("router-advertisement", 9, 0, 255),
    ("router-solicitation", 10, 0, 255),
    ("time-exceeded", 11, 0, 255),
    ("ttl-exceeded", 11, 0, 255),
    ("ttl-zero-during-transit", 11, 0, 0),
    ("ttl-zero-during-reassembly", 11, 1, 1),
    ("parameter-problem", 12, 0, 255),
    ("ip-header-bad", 12, 0, 0),
    ("required-option-missing", 12, 1, 1),
    ("timestamp-request", 13, 0, 255),
    ("timestamp-reply", 14, 0, 255),
    ("address-mask-request", 17, 0, 255),
    ("address-mask-reply", 18, 0, 255),
];

fn icmp_words(icmp: Not<Icmp>, names: Names) -> String {
    let Icmp { kind, codes } = icmp.is;
    let found = ICMP_NAMES.iter().find(|entry| (entry.1, (entry.2, entry.3)) == (kind, codes));
    if let (Names::Symbolic, Some((name, ..))) = (names, found) {
        return format!(" icmp {}{name}", icmp.mark());
    }
    let start = if icmp.negated { " icmp !type ".to_owned() } else { " icmptype ".to_owned() };
    match codes {
        (0, 255) => format!("{start}{kind}"),
        (first, last) if first == last => format!("{start}{kind} code {first}"),
        (first, last) => format!("{start}{kind} codes {first}-{last}"),
    }
}

fn recent_words(recent: &Not<Box<Recent>>) -> String {
    let Recent { mode, seconds, reap, hitcount, rttl, name, mask, dest } = &*recent.is;
    let verb = match mode {
        RecentMode::Set => "SET",
        RecentMode::Rcheck => "CHECK",
        RecentMode::Update => "UPDATE",
        RecentMode::Remove => "REMOVE",
    };
    let mut out = format!(" {}recent: {verb}", recent.bang());
    if *seconds != 0 {
        let _ = write!(out, " seconds: {seconds}");
    }
    if *reap {
        out += " reap";
    }
    if *hitcount != 0 {
        let _ = write!(out, " hit_count: {hitcount}");
    }
    if *rttl {
        out += " TTL-Match";
    }
    let side = if *dest { "dest" } else { "source" };
    out + &format!(" name: {name} side: {side} mask: {}", Ipv4Addr::from(*mask))
}

fn addrtype_words(addrtype: &Addrtype) -> String {
    let mut out = String::from(" ADDRTYPE match");
    for (name, types) in [("src", addrtype.src), ("dst", addrtype.dst)] {
        if let Some(types) = types {
            let _ = write!(out, " {name}-type {}{}", types.mark(), type_names(types.is));
        }
    }
    if addrtype.limit_in {
        out += " limit-in";
    }
    if addrtype.limit_out {
        out += " limit-out";
    }
    out
}

fn multiport_words(multiport: &Not<Multiport>, names: Names, protocol: u8) -> String {
    let ranges = multiport.is.ranges.iter().map(|range| names.range(*range, protocol));
    let bang = if multiport.negated { " !" } else { "" };
    format!(" multiport {} {bang}{}", multiport.is.side_name(), ranges.collect::<Vec<_>>().join(","))
}

/// What is printed behind the columns for a target, with a blank before it.
pub fn list_target(target: &Target, names: Names) -> String {
    match target {
        Target::None | Target::Accept | Target::Drop | Target::Return | Target::Jump(_) => String::new(),
        // The tool prints this at once behind the columns, and a blank after it.
        Target::Goto(_) => "[goto] ".to_owned(),
        Target::Reject(with) => format!(" reject-with {}", with.name()),
        Target::Dnat(range, flags) | Target::Snat(range, flags) => {
            format!(" to:{}{}", range.text(), flags.list())
        }
        Target::Masquerade(ports, flags) => ports_words(" masq ports: ", *ports, *flags),
        Target::Redirect(ports, flags) => ports_words(" redir ports ", *ports, *flags),
        Target::Mark(value, mask) => format!(" MARK {}", mark_words(*value, *mask)),
        Target::Connmark(op) => connmark_words(op),
        Target::Notrack(true) => " NOTRACK".to_owned(),
        Target::Notrack(false) => " CT notrack".to_owned(),
        Target::Log(log) => log_words(log, names),
        Target::Tcpmss(Tcpmss::Clamp) => " TCPMSS clamp to PMTU".to_owned(),
        Target::Tcpmss(Tcpmss::Set(mss)) => format!(" TCPMSS set {mss}"),
        Target::Ttl(op) => op.list(),
        Target::Tos(value, mask) => tos_target_words(*value, *mask, names),
        Target::Dscp(value) => format!(" DSCP set 0x{value:02x}"),
        Target::Netmap(network) => format!(" to:{network}"),
        Target::Side(side) => side.list(),
    }
}

fn ports_words(before: &str, ports: Option<PortRange>, flags: NatFlags) -> String {
    ports.map_or_else(String::new, |ports| format!("{before}{}", ports.text('-'))) + &flags.list()
}

/// What setting a mark comes to (`mark_tg_print`).
fn mark_words(value: u32, mask: u32) -> String {
    if mask == 0 {
        format!("xor {value:#x}")
    } else if mask == u32::MAX {
        format!("set {value:#x}")
    } else if value == 0 {
        format!("and {:#x}", !mask)
    } else if value == mask {
        format!("or {value:#x}")
    } else {
        format!("xset {value:#x}/{mask:#x}")
    }
}

fn connmark_words(op: &ConnmarkOp) -> String {
    let (verb, packet, conn) = match *op {
        ConnmarkOp::Set(value, mask) => {
            // Here "and" is asked for before "set".
            if value == 0 {
                return format!(" CONNMARK and {:#x}", !mask);
            }
            return format!(" CONNMARK {}", mark_words(value, mask));
        }
        ConnmarkOp::Save(packet, conn) => ("save", packet, conn),
        ConnmarkOp::Restore(packet, conn) => ("restore", packet, conn),
    };
    if (packet, conn) == (u32::MAX, u32::MAX) {
        format!(" CONNMARK {verb}")
    } else if packet == conn {
        format!(" CONNMARK {verb} mask {packet:#x}")
    } else if verb == "save" {
        format!(" CONNMARK save nfmask {packet:#x} ctmask ~{conn:#x}")
    } else {
        format!(" CONNMARK restore ctmask {conn:#x} nfmask ~{packet:#x}")
    }
}

/// Names of the log levels.
pub(super) const LOG_LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

fn log_words(log: &Log, names: Names) -> String {
    let mut out = match names {
        Names::Numeric => format!(" LOG flags {} level {}", log.flags, log.level),
        Names::Symbolic => {
            let level = LOG_LEVELS.get(usize::from(log.level)).copied().unwrap_or("");
            let flags = Log::FLAGS.iter().filter(|(bit, _)| log.flags & bit != 0);
            let flags: String = flags.fold(String::new(), |out, (_, name)| out + " " + name);
            format!(" LOG level {level}{flags}")
        }
    };
    if !log.prefix.is_empty() {
        let _ = write!(out, " prefix \"{}\"", log.prefix);
    }
    out
}
