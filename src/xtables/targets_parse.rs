//! Targets from their options.

use super::list::LOG_LEVELS;
use super::matches_parse::{bad_integer, required};
use super::options::{Given, exclusive, find};
use super::parse::{Problem, address, mark, number};
use super::{
    ConnmarkOp, Family, Log, Masked, NatFlags, NatRange, Not, PortRange, RejectWith, Target, Tcpmss,
};
use super::{extensions, header_fields};
use std::net::IpAddr;

/// The target `name` with the options given; any other name is a chain's.
pub(super) fn build(
    name: &str,
    given: &[Given],
    family: Family,
    protocol: Option<Not<u8>>,
) -> Result<Target, Problem> {
    let has_ports =
        protocol.is_some_and(|protocol| !protocol.negated && matches!(protocol.is, 6 | 17 | 33 | 132));
    let flags = NatFlags {
        random: find(given, "--random").is_some(),
        fully: find(given, "--random-fully").is_some(),
        persistent: find(given, "--persistent").is_some(),
    };
    Ok(match name {
        "ACCEPT" => Target::Accept,
        "DROP" => Target::Drop,
        "RETURN" => Target::Return,
        "REJECT" => {
            let with = find(given, "--reject-with").map_or("port-unreach", Given::text);
            let with = RejectWith::from_name_in(family, with);
            let text = || find(given, "--reject-with").map_or("", Given::text).to_owned();
            Target::Reject(with.ok_or_else(|| Problem::new(format!("unknown reject type \"{}\"", text())))?)
        }
        "DNAT" => Target::Dnat(nat_range(given, family, ("DNAT", "--to-destination"), has_ports)?, flags),
        "SNAT" => Target::Snat(nat_range(given, family, ("SNAT", "--to-source"), has_ports)?, flags),
        "MASQUERADE" => Target::Masquerade(to_ports(given, has_ports)?, flags),
        "REDIRECT" => Target::Redirect(to_ports(given, has_ports)?, flags),
        "MARK" => {
            let found = set_mark(given, "MARK")?;
            let text = "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required";
            let (value, mask) = found.ok_or_else(|| Problem::new(text))?;
            Target::Mark(value, mask)
        }
        "CONNMARK" => Target::Connmark(connmark(given)?),
        "NOTRACK" => Target::Notrack(true),
        "CT" if find(given, "--notrack").is_some() => Target::Notrack(false),
        "CT" => return Err(Problem::NotSimulated("-j CT without --notrack".to_owned())),
        "LOG" => log(given)?,
        "TCPMSS" => tcpmss(given)?,
        "TTL" if family == Family::V4 => header_fields::ttl_target(given)?,
        "TOS" => header_fields::tos_target(given)?,
        "DSCP" => header_fields::dscp_target(given)?,
        "NETMAP" => Target::Netmap(netmap(given, family)?),
        "CLASSIFY" | "CHECKSUM" | "TEE" | "NFLOG" | "AUDIT" => {
            Target::Side(Box::new(extensions::build_target(name, given, family)?))
        }
        chain => Target::Jump(chain.into()),
    })
}

fn port(text: &str) -> Result<u16, Problem> {
    let number = text.parse::<u16>().ok().filter(|port| *port != 0);
    number.ok_or_else(|| Problem::new(format!("Port `{text}' not valid")))
}

fn ports(text: &str) -> Result<PortRange, Problem> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = PortRange(port(first)?, port(last)?);
    if range.0 > range.1 {
        return Err(Problem::new(format!("Port range `{text}' funky")));
    }
    Ok(range)
}

fn need_ports(has_ports: bool) -> Result<(), Problem> {
    if has_ports {
        return Ok(());
    }
    Err(Problem::new("Need TCP, UDP, SCTP or DCCP with port specification"))
}

fn nat_range(
    given: &[Given],
    family: Family,
    (name, option): (&str, &str),
    has_ports: bool,
) -> Result<NatRange, Problem> {
    let text = find(given, option)
        .ok_or_else(|| Problem::new(format!("{name}: option \"{option}\" must be specified\n")))?
        .text();
    // Addresses of IPv6 stand in brackets where a port follows.
    let between = match family {
        Family::V4 => text.find(':'),
        Family::V6 => text.find(']').filter(|_| text.starts_with('[')).map(|at| at + 1),
    };
    let (addrs, range) = text.split_at(between.unwrap_or(text.len()));
    let range = match range.strip_prefix(':') {
        Some(range) => {
            need_ports(has_ports)?;
            Some(ports(range)?)
        }
        None => None,
    };
    let one = |text: &str| {
        let bare = if family == Family::V6 { text.trim_matches(['[', ']']) } else { text };
        let found = bare.parse::<IpAddr>().ok().filter(|ip| family.has(*ip));
        found.ok_or_else(|| Problem::new(format!("Bad IP address \"{text}\"")))
    };
    let (first, last) = addrs.split_once('-').unwrap_or((addrs, addrs));
    let addrs = if addrs.is_empty() { None } else { Some((one(first)?, one(last)?)) };
    Ok(NatRange { addrs, ports: range })
}

fn to_ports(given: &[Given], has_ports: bool) -> Result<Option<PortRange>, Problem> {
    let Some(option) = find(given, "--to-ports") else { return Ok(None) };
    need_ports(has_ports)?;
    ports(option.text()).map(Some)
}

/// The network of `NETMAP --to` (`xtopt_parse_hostmask`). A mask that is longer than an address, or has holes, is one of a
/// single address; an address may stand without one.
fn netmap(given: &[Given], family: Family) -> Result<Masked, Problem> {
    let text = required(given, "NETMAP", "--to")?.text();
    let (host, mask) = text.split_once('/').map_or((text, None), |(host, mask)| (host, Some(mask)));
    let bits = if family == Family::V4 { 32 } else { 128 };
    let unknown = || Problem::new("getaddrinfo: Name or service not known\n");
    let length = |mask: &str| {
        let dotted = mask.parse::<IpAddr>().ok().filter(|mask| family.has(*mask));
        let length = dotted.and_then(|mask| match mask {
            IpAddr::V4(mask) => Masked::V4(0, u32::from(mask)).prefix_len(),
            IpAddr::V6(mask) => Masked::V6(0, u128::from(mask)).prefix_len(),
        });
        let number = number(mask).map(|number| u32::try_from(number).unwrap_or(bits));
        number.or(dotted.map(|_| length.unwrap_or(bits))).map(|length| length.min(bits)).ok_or_else(|| {
            Problem::new(format!(
                "NETMAP: bad value for option \"--to\", neither a valid network mask nor valid CIDR (0-{bits}).\n"
            ))
        })
    };
    let length = mask.map_or(Ok(bits), length)?;
    address(family, &format!("{host}/{length}")).map_err(|_| unknown())
}

/// Value and mask of `--set-mark` and its like (`MARK`, `CONNMARK`).
fn set_mark(given: &[Given], name: &str) -> Result<Option<(u32, u32)>, Problem> {
    let verbs = ["--set-mark", "--set-xmark", "--and-mark", "--or-mark", "--xor-mark"];
    let Some(option) = exclusive(given, name, &verbs)? else { return Ok(None) };
    let (value, mask) = mark(option.text()).ok_or_else(|| bad_integer(name, option.name))?;
    Ok(Some(match option.name {
        // The bits of the value are set whatever the mask says.
        "--set-mark" => (value, mask | value),
        "--and-mark" => (0, !value),
        "--or-mark" => (value, value),
        "--xor-mark" => (value, 0),
        _ => (value, mask),
    }))
}

fn connmark(given: &[Given]) -> Result<ConnmarkOp, Problem> {
    if let Some((value, mask)) = set_mark(given, "CONNMARK")? {
        return Ok(ConnmarkOp::Set(value, mask));
    }
    let mask = |option: &str| match find(given, option) {
        Some(found) => {
            let mask = number(found.text()).and_then(|mask| u32::try_from(mask).ok());
            mask.map(Some).ok_or_else(|| bad_integer("CONNMARK", option))
        }
        None => Ok(None),
    };
    let both = mask("--mask")?;
    let packet = mask("--nfmask")?.or(both).unwrap_or(u32::MAX);
    let conn = mask("--ctmask")?.or(both).unwrap_or(u32::MAX);
    if find(given, "--save-mark").is_some() {
        Ok(ConnmarkOp::Save(packet, conn))
    } else if find(given, "--restore-mark").is_some() {
        Ok(ConnmarkOp::Restore(packet, conn))
    } else {
        Err(Problem::new("CONNMARK target: No operation specified"))
    }
}

fn log(given: &[Given]) -> Result<Target, Problem> {
    let mut log = Log { level: 4, ..Log::default() };
    if let Some(option) = find(given, "--log-level") {
        let text = option.text();
        let name = match text.to_ascii_lowercase().as_str() {
            "error" => "err",
            "warning" => "warn",
            "panic" => "emerg",
            "err" | "warn" => "",
            other => LOG_LEVELS.iter().copied().find(|name| *name == other).unwrap_or(""),
        };
        let named = LOG_LEVELS.iter().position(|level| *level == name);
        let number = text.parse::<usize>().ok().filter(|level| *level < 8).or(named);
        log.level = number.ok_or_else(|| Problem::new(format!("log level \"{text}\" unknown\n")))? as u8;
    }
    if let Some(option) = find(given, "--log-prefix") {
        log.prefix = option.text().into();
    }
    for (bit, name) in Log::FLAGS {
        if given.iter().any(|option| option.name.strip_prefix("--log-") == Some(name)) {
            log.flags |= bit;
        }
    }
    Ok(Target::Log(log))
}

fn tcpmss(given: &[Given]) -> Result<Target, Problem> {
    if find(given, "--clamp-mss-to-pmtu").is_some() {
        return Ok(Target::Tcpmss(Tcpmss::Clamp));
    }
    let option = find(given, "--set-mss")
        .ok_or_else(|| Problem::new("TCPMSS target: At least one parameter is required"))?;
    let mss = option.text().parse().ok();
    let text = "TCPMSS: bad value for option \"--set-mss\", or out of range (0-65495).\n";
    Ok(Target::Tcpmss(Tcpmss::Set(mss.ok_or_else(|| Problem::new(text))?)))
}
