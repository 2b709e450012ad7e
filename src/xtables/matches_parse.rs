//! Matches from their options.

use super::list::ICMP_NAMES;
use super::matches::{
    Addrtype, Conntrack, Icmp, Match, Multiport, Not, Owner, Physdev, PortRange, PortSide, Recent,
    RecentMode, Rpfilter, SetMatch, Statistic, Tcp, Udp, ctstate,
};
use super::matches_save::{CT_ADDRS, CT_PORTS, CT_STATUS, LIMIT_UNITS, TCP_FLAGS};
use super::options::{Given, find};
use super::parse::{Problem, address, interface, mark, number, port_range};
use super::ports;
use super::{Family, extensions, header_fields};
use crate::base::Ipv4Addr;

/// The match `name` with the options given.
pub(super) fn build(
    name: &str,
    given: &[Given],
    protocol: Option<Not<u8>>,
    sets: &[String],
) -> Result<Match, Problem> {
    let plain = protocol.filter(|protocol| !protocol.negated).map(|protocol| protocol.is);
    match name {
        "tcp" | "udp" | "sctp" | "icmp" => of_protocol(name, given, plain),
        "comment" => {
            let text = required(given, name, "--comment")?.text();
            Ok(Match::Comment(text.into()))
        }
        "conntrack" => conntrack(given).map(|ct| Match::Conntrack(Box::new(ct))),
        "state" => {
            let option = required(given, name, "--state")?;
            let bits = states(option.text(), "Bad state", &ctstate::NAMES[..5])?;
            Ok(Match::State(Not { negated: option.negated, is: bits }))
        }
        "mark" | "connmark" => {
            let option = required(given, name, "--mark")?;
            let is = mark(option.text()).ok_or_else(|| bad_integer(name, "--mark"))?;
            let mark = Not { negated: option.negated, is };
            Ok(if name == "mark" { Match::Mark(mark) } else { Match::Connmark(mark) })
        }
        "owner" => owner(given),
        "ttl" => header_fields::ttl_match(given),
        "tos" => header_fields::tos_match(given),
        "dscp" => header_fields::dscp_match(given),
        "statistic" => statistic(given),
        "recent" => recent(given),
        "addrtype" => addrtype(given),
        "multiport" => multiport(given, plain),
        "set" => set(given, sets),
        "physdev" => physdev(given),
        "limit" => limit(given),
        "rpfilter" => Ok(Match::Rpfilter(Rpfilter {
            loose: find(given, "--loose").is_some(),
            validmark: find(given, "--validmark").is_some(),
            accept_local: find(given, "--accept-local").is_some(),
            invert: find(given, "--invert").is_some(),
        })),
        "tcpmss" => {
            let option = required(given, name, "--mss")?;
            let bad = || {
                Problem::new(format!(
                    "tcpmss: bad value for option \"--mss\" near \"{}\", or out of range (0-65535).\n",
                    option.text()
                ))
            };
            let (first, last) = option.text().split_once(':').unwrap_or((option.text(), option.text()));
            let one = |text: &str| text.parse::<u16>().map_err(|_| bad());
            Ok(Match::Tcpmss(Not { negated: option.negated, is: PortRange(one(first)?, one(last)?) }))
        }
        _ => extensions::build(name, given),
    }
}

/// `-m owner`: a number, a range of numbers, or the one name that every system has.
fn owner(given: &[Given]) -> Result<Match, Problem> {
    let range = |option: &'static str| -> Result<Option<Not<(u32, u32)>>, Problem> {
        let Some(found) = find(given, option) else { return Ok(None) };
        let text = found.text();
        let bad = || Problem::new(format!("owner: Bad value for \"{option}\" option: \"{text}\""));
        let one = |text: &str| number(text).and_then(|number| u32::try_from(number).ok()).ok_or_else(bad);
        let is = match text.split_once('-') {
            _ if text == "root" => (0, 0),
            Some((first, last)) => (one(first)?, one(last)?),
            None => (one(text)?, one(text)?),
        };
        Ok(Some(Not { negated: found.negated, is }))
    };
    let owner = Owner {
        exists: find(given, "--socket-exists").map(|found| Not { negated: found.negated, is: () }),
        uid: range("--uid-owner")?,
        gid: range("--gid-owner")?,
    };
    if owner == Owner::default() {
        return Err(Problem::new(
            "owner: At least one of --uid-owner, --gid-owner or --socket-exists is required".to_owned(),
        ));
    }
    Ok(Match::Owner(owner))
}

pub(super) fn required<'a>(given: &'a [Given], extension: &str, option: &str) -> Result<&'a Given, Problem> {
    find(given, option)
        .ok_or_else(|| Problem::new(format!("{extension}: option \"{option}\" must be specified\n")))
}

pub(super) fn bad_integer(extension: &str, option: &str) -> Problem {
    Problem::new(format!("{extension}: bad integer value for option \"{option}\", or out of range.\n"))
}

fn of_protocol(name: &str, given: &[Given], protocol: Option<u8>) -> Result<Match, Problem> {
    let own = ports::protocol_number(name).unwrap_or(0);
    if protocol != Some(own) {
        let upper = name.to_ascii_uppercase();
        return Err(Problem::new(format!("{upper} match requires '-p {name}'")));
    }
    let port = |option: &str| match find(given, option) {
        Some(found) => {
            let range = port_range(found.text(), own)?;
            // The rule is kept as a comparison, which knows no beginning at zero turned round.
            Ok(Some(match range {
                PortRange(0, last) if found.negated && last < u16::MAX => {
                    Not::plain(PortRange(last + 1, u16::MAX))
                }
                range => Not { negated: found.negated, is: range },
            }))
        }
        None => Ok(None),
    };
    match name {
        "udp" => Ok(Match::Udp(Udp { sport: port("--sport")?, dport: port("--dport")? })),
        "sctp" => Ok(Match::Sctp(Udp { sport: port("--sport")?, dport: port("--dport")? })),
        "icmp" => icmp(given),
        _ => {
            let option = match find(given, "--tcp-option") {
                Some(found) => {
                    let number = found.text().parse().ok().filter(|number| *number != 0);
                    let number =
                        number.ok_or_else(|| Problem::new(format!("Bad TCP option `{}'", found.text())))?;
                    Some(Not { negated: found.negated, is: number })
                }
                None => None,
            };
            Ok(Match::Tcp(Tcp {
                sport: port("--sport")?,
                dport: port("--dport")?,
                flags: tcp_flags(given)?,
                option,
            }))
        }
    }
}

fn tcp_flags(given: &[Given]) -> Result<Option<Not<(u8, u8)>>, Problem> {
    if let Some(syn) = find(given, "--syn") {
        return Ok(Some(Not { negated: syn.negated, is: (0x17, 0x02) }));
    }
    let Some(flags) = find(given, "--tcp-flags") else { return Ok(None) };
    let bits = |text: &str| {
        let mut bits = 0;
        for name in text.split(',') {
            bits |= match name.to_ascii_uppercase().as_str() {
                "ALL" => 0x3f,
                "NONE" => 0,
                upper => {
                    let found = TCP_FLAGS.iter().find(|(_, known)| *known == upper);
                    found.ok_or_else(|| Problem::new(format!("Unknown TCP flag `{name}'")))?.0
                }
            };
        }
        Ok(bits)
    };
    Ok(Some(Not { negated: flags.negated, is: (bits(flags.text())?, bits(&flags.arguments[1])?) }))
}

fn icmp(given: &[Given]) -> Result<Match, Problem> {
    let Some(option) = find(given, "--icmp-type") else { return Ok(Match::Icmp(Not::plain(Icmp::ANY))) };
    let text = option.text();
    let lower = text.to_ascii_lowercase();
    let named = || {
        let begins = |name: &str| name.to_ascii_lowercase().starts_with(&lower);
        let exact = ICMP_NAMES.iter().find(|entry| entry.0.eq_ignore_ascii_case(&lower));
        exact.or_else(|| ICMP_NAMES.iter().find(|entry| begins(entry.0)))
    };
    let is = if text.starts_with(|letter: char| letter.is_ascii_digit()) {
        let (kind, code) = text.split_once('/').map_or((text, None), |(kind, code)| (kind, Some(code)));
        let kind = kind.parse().map_err(|_| Problem::new(format!("Invalid ICMP type `{kind}'\n")))?;
        let codes = match code {
            None => (0, 255),
            Some(code) => {
                let code = code.parse().map_err(|_| Problem::new(format!("Invalid ICMP code `{code}'\n")))?;
                (code, code)
            }
        };
        Icmp { kind, codes }
    } else {
        let found = named().ok_or_else(|| Problem::new(format!("Unknown ICMP type `{text}'")))?;
        Icmp { kind: found.1, codes: (found.2, found.3) }
    };
    Ok(Match::Icmp(Not { negated: option.negated, is }))
}

fn states(text: &str, problem: &str, names: &[(u16, &str)]) -> Result<u16, Problem> {
    let mut bits = 0;
    for name in text.split(',') {
        let found = names.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
        bits |= found.ok_or_else(|| Problem::new(format!("{problem} \"{text}\"")))?.0;
    }
    Ok(bits)
}

fn conntrack(given: &[Given]) -> Result<Conntrack, Problem> {
    if given.is_empty() {
        return Err(Problem::new("conntrack: At least one option is required"));
    }
    let mut ct = Conntrack::default();
    for option in given {
        let (negated, text) = (option.negated, option.text());
        let bare = option.name.trim_start_matches('-');
        if let Some(at) = CT_ADDRS.iter().position(|name| *name == bare) {
            ct.addrs[at] = Some(Not { negated, is: address(Family::V4, text)? });
            continue;
        }
        if let Some(at) = CT_PORTS.iter().position(|name| *name == bare) {
            ct.ports[at] = Some(Not { negated, is: port_range(text, 6)? });
            continue;
        }
        match bare {
            "ctstate" => ct.state = Some(Not { negated, is: states(text, "Bad ctstate", &ctstate::NAMES)? }),
            "ctproto" => {
                let number = ports::protocol_number(text);
                let is = number.ok_or_else(|| {
                    Problem::new("conntrack: bad value for option \"--ctproto\", or out of range (0-255).\n")
                })?;
                ct.proto = Some(Not { negated, is });
            }
            "ctstatus" => {
                let names: Vec<_> = [(0, "NONE")].into_iter().chain(CT_STATUS).collect();
                ct.status = Some(Not { negated, is: states(text, "Bad ctstatus", &names)? });
            }
            "ctexpire" => {
                let (first, last) = text.split_once(':').unwrap_or((text, text));
                let one = |text: &str| {
                    number(text).and_then(|number| u32::try_from(number).ok()).ok_or_else(|| {
                        Problem::new(format!("conntrack: bad value for option \"--ctexpire\" near \"{text}\", or out of range (0-4294967295).\n"))
                    })
                };
                ct.expire = Some(Not { negated, is: (one(first)?, one(last)?) });
            }
            _ => {
                ct.reply = match text.to_ascii_uppercase().as_str() {
                    "ORIGINAL" => Some(false),
                    "REPLY" => Some(true),
                    _ => {
                        return Err(Problem::new(format!(
                            "conntrack: bad value for option \"--ctdir\": \"{text}\""
                        )));
                    }
                }
            }
        }
    }
    Ok(ct)
}

fn statistic(given: &[Given]) -> Result<Match, Problem> {
    let mode = find(given, "--mode").map_or("random", Given::text);
    let out_of_range = |option: &str, range: &str| {
        Problem::new(format!("statistic: bad value for option \"{option}\", or out of range ({range}).\n"))
    };
    if mode == "random" {
        let option = find(given, "--probability")
            .ok_or_else(|| Problem::new("--probability must be specified when using random mode"))?;
        let is = probability(option.text()).ok_or_else(|| out_of_range("--probability", "0-1"))?;
        return Ok(Match::Statistic(Not { negated: option.negated, is: Statistic::Random(is) }));
    }
    if mode != "nth" {
        return Err(Problem::new(format!("Bad mode \"{mode}\"")));
    }
    let option = find(given, "--every")
        .ok_or_else(|| Problem::new("--every must be specified when using nth mode"))?;
    let every =
        number(option.text()).and_then(|number| u32::try_from(number).ok()).filter(|every| *every > 0);
    let every = every.ok_or_else(|| out_of_range("--every", "1-4294967295"))?;
    let packet = find(given, "--packet")
        .ok_or_else(|| Problem::new("statistic: option \"--every\" also requires \"--packet\".\n"))?;
    let packet = number(packet.text()).and_then(|number| u32::try_from(number).ok());
    let packet = packet.ok_or_else(|| out_of_range("--packet", "0-4294967294"))?;
    if packet >= every {
        return Err(Problem::new("the --packet p must be 0 <= p <= n-1"));
    }
    Ok(Match::Statistic(Not { negated: option.negated, is: Statistic::Nth { every, packet } }))
}

/// A probability between 0 and 1 in units of 2^-31, rounded to the nearest (`lround`).
fn probability(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = decimals.get(..18).unwrap_or(decimals);
    let scale = 10u128.pow(decimals.len() as u32);
    let digits: u128 = format!("{}{decimals}", if whole.is_empty() { "0" } else { whole }).parse().ok()?;
    (digits <= scale).then(|| ((digits << 32) / scale).div_ceil(2) as u32)
}

fn recent(given: &[Given]) -> Result<Match, Problem> {
    let modes = [
        ("--set", RecentMode::Set),
        ("--rcheck", RecentMode::Rcheck),
        ("--update", RecentMode::Update),
        ("--remove", RecentMode::Remove),
    ];
    let mut chosen = modes.iter().filter_map(|(name, mode)| Some((find(given, name)?, *mode)));
    let problem = "recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'";
    let (verb, mode) = chosen.next().ok_or_else(|| Problem::new(problem))?;
    if let Some((second, _)) = chosen.next() {
        let text =
            format!("recent: option \"{}\" cannot be used together with \"{}\".\n", verb.name, second.name);
        return Err(Problem::new(text));
    }
    let count = |option: &str| match find(given, option) {
        Some(found) => {
            let number = number(found.text()).and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| bad_integer("recent", option))
        }
        None => Ok(0),
    };
    let mask = match find(given, "--mask") {
        Some(found) => {
            let mask: Result<Ipv4Addr, _> = found.text().parse();
            u32::from(mask.map_err(|_| bad_integer("recent", "--mask"))?)
        }
        None => u32::MAX,
    };
    let is = Box::new(Recent {
        mode,
        seconds: count("--seconds")?,
        reap: find(given, "--reap").is_some(),
        hitcount: count("--hitcount")?,
        rttl: find(given, "--rttl").is_some(),
        name: find(given, "--name").map_or("DEFAULT", Given::text).into(),
        mask,
        dest: find(given, "--rdest").is_some(),
    });
    Ok(Match::Recent(Not { negated: verb.negated, is }))
}

fn addrtype(given: &[Given]) -> Result<Match, Problem> {
    let types = |option: &str| match find(given, option) {
        Some(found) => {
            let mut bits = 0;
            for name in found.text().split(',') {
                let at = Addrtype::NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
                bits |= 1 << at.ok_or_else(|| Problem::new(format!("addrtype: bad type \"{name}\"")))?;
            }
            Ok(Some(Not { negated: found.negated, is: bits }))
        }
        None => Ok(None),
    };
    let addrtype = Addrtype {
        src: types("--src-type")?,
        dst: types("--dst-type")?,
        limit_in: find(given, "--limit-iface-in").is_some(),
        limit_out: find(given, "--limit-iface-out").is_some(),
    };
    if addrtype.src.is_none() && addrtype.dst.is_none() {
        return Err(Problem::new("addrtype: you must specify --src-type or --dst-type"));
    }
    Ok(Match::Addrtype(addrtype))
}

fn multiport(given: &[Given], protocol: Option<u8>) -> Result<Match, Problem> {
    let Some(protocol @ (6 | 17 | 33 | 132 | 136)) = protocol else {
        let text = "multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'";
        return Err(Problem::new(text));
    };
    let option = given.first().ok_or_else(|| Problem::new("multiport expection an option"))?;
    let side = match option.name {
        "--sports" => PortSide::Source,
        "--dports" => PortSide::Destination,
        _ => PortSide::Either,
    };
    let ranges: Result<Vec<_>, _> =
        option.text().split(',').map(|range| port_range(range, protocol)).collect();
    let ranges = ranges?;
    let used: usize = ranges.iter().map(|range| if range.0 == range.1 { 1 } else { 2 }).sum();
    if used > 15 {
        return Err(Problem::new("too many ports specified"));
    }
    Ok(Match::Multiport(Not { negated: option.negated, is: Multiport { side, ranges } }))
}

fn set(given: &[Given], sets: &[String]) -> Result<Match, Problem> {
    let text = "You must specify `--match-set' with proper arguments";
    let option = find(given, "--match-set").ok_or_else(|| Problem::new(text))?;
    let name = option.text();
    if !sets.iter().any(|set| set == name) {
        return Err(Problem::new(format!("Set {name} doesn't exist.\n")));
    }
    let mut source = Vec::new();
    for side in option.arguments[1].split(',') {
        source.push(match side {
            "src" => true,
            "dst" => false,
            _ => {
                let text = "You must spececify (the comma separated list of) 'src' or 'dst'.";
                return Err(Problem::new(text));
            }
        });
    }
    Ok(Match::Set(Not { negated: option.negated, is: SetMatch { name: name.into(), source } }))
}

fn physdev(given: &[Given]) -> Result<Match, Problem> {
    if given.is_empty() {
        return Err(Problem::new("PHYSDEV: no physdev option specified"));
    }
    let iface = |option: &str| match find(given, option) {
        Some(found) => interface(found.text(), found.negated),
        None => Ok(None),
    };
    let flag = |option: &str| find(given, option).map(|found| !found.negated);
    Ok(Match::Physdev(Box::new(Physdev {
        iif: iface("--physdev-in")?,
        is_in: flag("--physdev-is-in"),
        oif: iface("--physdev-out")?,
        is_out: flag("--physdev-is-out"),
        is_bridged: flag("--physdev-is-bridged"),
    })))
}

fn limit(given: &[Given]) -> Result<Match, Problem> {
    let text = find(given, "--limit").map_or("3/hour", Given::text);
    let bad = || Problem::new(format!("bad rate \"{text}\"'"));
    let (count, unit) = text.split_once('/').unwrap_or((text, "sec"));
    let units = [("second", 3), ("minute", 2), ("hour", 1), ("day", 0)];
    let fits = |name: &str| !unit.is_empty() && name.starts_with(unit);
    let at = units.iter().find(|(name, _)| fits(name)).ok_or_else(bad)?.1;
    let count: u64 = count.parse().ok().filter(|count| *count > 0).ok_or_else(bad)?;
    let length = LIMIT_UNITS[at].1;
    if count / (length / u64::from(Match::LIMIT_SCALE)).max(1) > u64::from(Match::LIMIT_SCALE) {
        return Err(Problem::new(format!("Rate too fast \"{text}\"")));
    }
    let burst = match find(given, "--limit-burst") {
        Some(found) => {
            number(found.text()).and_then(|number| u32::try_from(number).ok()).ok_or_else(|| {
                Problem::new("limit: bad value for option \"--limit-burst\", or out of range (0-10000).\n")
            })?
        }
        None => 5,
    };
    Ok(Match::Limit { period: (length / count) as u32, burst })
}
