//! The command lines of `host` and `nslookup`, of BIND and of busybox, and of `getent`.

use super::Command;
use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use crate::app::bind::class;
use crate::app::bind::host::{Host, HostOptions};
use crate::app::bind::nslookup::{Nslookup, NslookupOptions};
use crate::app::busybox_nslookup::{BusyboxNslookup, BusyboxNslookupOptions};
use crate::app::getent::{Database, Getent, Services};
use crate::base::dns::Type;

const HOST_USAGE: &str = "Usage: host [-aCdilrTvVw] [-c class] [-N ndots] [-t type] [-W time]
            [-R number] [-m flag] [-p port] hostname [server]
       -a is equivalent to -v -t ANY
       -A is like -a but omits RRSIG, NSEC, NSEC3
       -c specifies query class for non-IN data
       -C compares SOA records on authoritative nameservers
       -d is equivalent to -v
       -l lists all hosts in a domain, using AXFR
       -m set memory debugging flag (trace|record|usage)
       -N changes the number of dots allowed before root lookup is done
       -p specifies the port on the server to query
       -r disables recursive processing
       -R specifies number of retries for UDP packets
       -s a SERVFAIL response should stop query
       -t specifies the query type
       -T enables TCP/IP mode
       -U enables UDP mode
       -v enables verbose output
       -V print version number and exit
       -w specifies to wait forever for a reply
       -W specifies how long to wait for a reply
       -4 use IPv4 query transport only
       -6 use IPv6 query transport only
";

/// `host`.
pub(super) fn host(words: &[String]) -> Command {
    let parsed = match getopt("aCdilrTUvVwsc:N:t:W:R:m:p:46A", words) {
        Ok(parsed) => parsed,
        Err(text) => {
            // The program brings a `getopt` of its own (`isc_commandline_parse`).
            let text = text.replace("invalid option -- '", "illegal option -- ");
            let text = text.replace("option requires an argument -- '", "option requires an argument -- ");
            return refuse(format!("host: {}\n{HOST_USAGE}", text.trim_end_matches('\'')), 1);
        }
    };
    let mut options = HostOptions::default();
    let mut families = [false; 2];
    for (letter, argument) in &parsed.options {
        // `atoi`: what is no number counts as zero.
        let digits: String = argument.chars().take_while(char::is_ascii_digit).collect();
        let number: u32 = digits.parse().unwrap_or(0);
        match letter {
            't' => match argument.split_once('=') {
                Some((name, _)) if name.eq_ignore_ascii_case("ixfr") => options.kind = Some(Type::IXFR),
                _ => match argument.parse() {
                    Ok(kind) => options.kind = Some(kind),
                    Err(()) => return refuse(format!("host: invalid type: {argument}\n\n"), 2),
                },
            },
            'c' => match class::of_name(argument) {
                Some(class) => options.class = Some(class),
                None => return refuse(format!("host: invalid class: {argument}\n\n"), 2),
            },
            'W' => options.timeout_secs = Some(u64::from(number.max(1))),
            'w' => options.timeout_secs = Some(u64::from(u16::MAX)),
            'R' => options.tries = Some(number.saturating_add(1).max(2)),
            'N' => options.ndots = Some(number as usize),
            'p' => options.port = Some(number as u16),
            'T' => options.tcp = true,
            'v' | 'd' => options.verbose = true,
            'a' | 'A' => (options.verbose, options.kind) = (true, Some(Type::ANY)),
            'l' => options.lists = true,
            'r' => options.no_recursion = true,
            '4' | '6' => families[usize::from(*letter == '6')] = true,
            'U' | 's' | 'i' | 'm' => {}
            'V' => return answer("host 9.18.49-1~deb12u3-Debian\n"),
            other => {
                let (text, status) = not_simulated("host", &format!("-{other}"));
                return refuse(text, status);
            }
        }
    }
    if families == [true; 2] {
        return refuse("host: only one of -4 and -6 allowed\n", 1);
    }
    if families[1] {
        let (text, status) = not_simulated("host", "-6");
        return refuse(text, status);
    }
    let mut operands = parsed.operands.into_iter();
    let Some(name) = operands.next() else { return refuse(HOST_USAGE, 1) };
    options.name = name;
    options.server = operands.next();
    Command::process(Host::new(options), Out::default())
}

/// `nslookup` of BIND.
pub(super) fn nslookup(words: &[String]) -> Command {
    let mut options = NslookupOptions::default();
    let mut operands = Vec::new();
    // What is wrong is told, and the rest goes on.
    let mut said = Out::default();
    for word in words {
        match word.strip_prefix('-').filter(|option| !option.is_empty()) {
            None => operands.push(word.clone()),
            Some("version") => return answer("nslookup 9.18.49-1~deb12u3-Debian\n"),
            Some(option @ ("all" | "d2")) => {
                let (text, status) = not_simulated("nslookup", &format!("-{option}"));
                return refuse(text, status);
            }
            Some(option) => nslookup_option(&mut options, option, &mut said),
        }
    }
    if operands.len() > 2 {
        return refuse(NSLOOKUP_USAGE, 1);
    }
    let mut operands = operands.into_iter();
    let Some(name) = operands.next().filter(|name| name != "-") else {
        let (text, status) = not_simulated("nslookup", "its interactive mode");
        return refuse(text, status);
    };
    options.name = name;
    options.server = operands.next();
    Command::process(Nslookup::new(options), said)
}

const NSLOOKUP_USAGE: &str = "Usage:
   nslookup [-opt ...]             # interactive mode using default server
   nslookup [-opt ...] - server    # interactive mode using 'server'
   nslookup [-opt ...] host        # just look up 'host' using default server
   nslookup [-opt ...] host server # just look up 'host' using 'server'
";

/// An option of `nslookup` (`setoption` of nslookup.c), of whose name the beginning is enough.
fn nslookup_option(options: &mut NslookupOptions, option: &str, said: &mut Out) {
    let mut number = |value: &str, most: u32, what: &str| {
        let found = value.parse::<u32>().ok().filter(|found| *found <= most);
        if found.is_none() {
            let is_number = !value.is_empty() && value.bytes().all(|at| at.is_ascii_digit());
            let why = if is_number { "out of range" } else { "not a valid number" };
            said.out(format!("invalid {what} '{value}': {why}\n"));
        }
        found
    };
    match option.split_once('=') {
        Some(("type" | "ty" | "querytype" | "query" | "qu" | "q", value)) => match value.parse() {
            Ok(kind) => options.kind = Some(kind),
            Err(()) => said.out(format!("unknown query type: {value}\n")),
        },
        Some(("class" | "cl", value)) => match class::of_name(value) {
            Some(class) => options.class = Some(class),
            None => said.out(format!("unknown query class: {value}\n")),
        },
        Some(("timeout" | "t", value)) => {
            if let Some(secs) = number(value, u32::MAX, "timeout") {
                options.timeout_secs = Some(u64::from(secs.max(1)));
            }
        }
        Some(("retry" | "ret", value)) => {
            options.tries = number(value, i32::MAX as u32, "tries").or(options.tries);
        }
        Some(("port" | "po", value)) => {
            if let Some(port) = number(value, 0xffff, "port") {
                options.port = Some(port as u16);
            }
        }
        Some(("ndots", value)) => {
            if let Some(dots) = number(value, 128, "ndots") {
                options.ndots = Some(dots as usize);
            }
        }
        Some(("domain" | "do", value)) => options.domain = Some(value.to_owned()),
        None if begins("recurse", option, 3) => options.no_recursion = false,
        None if begins("norecurse", option, 5) => options.no_recursion = true,
        None if begins("search", option, 3) => options.no_search = false,
        None if begins("nosearch", option, 5) => options.no_search = true,
        None if begins("debug", option, 3) => options.debug = true,
        None if begins("nodebug", option, 5) => options.debug = false,
        None if option == "vc" || option == "novc" => options.tcp = option == "vc",
        None if ["nod2", "sil", "fail", "nofail"].contains(&option) => {}
        _ => said.out(format!("*** Invalid option: {option}\n")),
    }
}

/// Whether a word is the beginning of a name, at least so many letters of it.
fn begins(name: &str, word: &str, least: usize) -> bool {
    word.len() >= least && name.starts_with(word)
}

/// Types that busybox knows.
const BUSYBOX_KINDS: [&str; 10] = ["soa", "ns", "a", "aaaa", "cname", "mx", "txt", "ptr", "srv", "any"];

/// `nslookup` of busybox.
pub(super) fn busybox_nslookup(words: &[String]) -> Command {
    const USAGE: &str = "BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.\n\nUsage: nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]\n\nQuery DNS about HOST\n\nQUERY_TYPE: soa,ns,a,aaaa,cname,mx,txt,ptr,srv,any\n";
    let mut options = BusyboxNslookupOptions::default();
    let mut operands = Vec::new();
    for word in words {
        let Some(option) = word.strip_prefix('-').filter(|option| !option.is_empty()) else {
            operands.push(word.clone());
            continue;
        };
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "type" | "querytype" => match value.parse() {
                Ok(kind) if BUSYBOX_KINDS.contains(&value.to_ascii_lowercase().as_str()) => {
                    options.kinds.push(kind);
                }
                Ok(_) | Err(()) => return refuse(format!("nslookup: invalid query type \"{value}\"\n"), 1),
            },
            "port" => match value.parse() {
                Ok(port) => options.port = Some(port),
                Err(_) => return refuse(format!("nslookup: invalid number '{value}'\n"), 1),
            },
            "debug" => options.debug = true,
            _ => return refuse(USAGE, 1),
        }
    }
    let mut operands = operands.into_iter();
    let Some(name) = operands.next() else { return refuse(USAGE, 1) };
    options.name = name;
    options.server = operands.next();
    if operands.next().is_some() {
        return refuse(USAGE, 1);
    }
    Command::process(BusyboxNslookup::new(options), Out::default())
}

/// Databases that the real one knows besides.
const OTHER_DATABASES: [&str; 12] = [
    "aliases",
    "ethers",
    "group",
    "gshadow",
    "initgroups",
    "netgroup",
    "networks",
    "passwd",
    "protocols",
    "rpc",
    "services",
    "shadow",
];
const GETENT_HELP: &str = "Try `getent --help' or `getent --usage' for more information.\n";

/// `getent`.
pub(super) fn getent(words: &[String]) -> Command {
    let (mut services, mut idn) = (Services { files: true, dns: true }, true);
    let mut rest = words.iter();
    let mut operands: Vec<&String> = Vec::new();
    while let Some(word) = rest.next() {
        let config = match word.as_str() {
            "-A" | "--no-addrconfig" => continue,
            "-i" | "--no-idn" => {
                idn = false;
                continue;
            }
            "-s" | "--service" => rest.next().map(String::as_str),
            "--help" | "--usage" | "-?" | "-V" | "--version" => {
                let (text, status) = not_simulated("getent", word);
                return refuse(text, status);
            }
            other => match other.strip_prefix("--service=").or_else(|| other.strip_prefix("-s")) {
                Some(config) => Some(config),
                None if other.len() > 1 && other.starts_with('-') => {
                    let said = match other.strip_prefix("--") {
                        Some(_) => format!("unrecognized option '{other}'"),
                        None => format!("invalid option -- '{}'", &other[1..].chars().next().unwrap_or('-')),
                    };
                    return refuse(format!("getent: {said}\n{GETENT_HELP}"), 64);
                }
                None => {
                    operands.push(word);
                    continue;
                }
            },
        };
        let Some(config) = config else {
            return refuse(format!("getent: option requires an argument -- 's'\n{GETENT_HELP}"), 64);
        };
        // `DATABASE:SERVICES` is about one database.
        let (database, config) = config.split_once(':').unwrap_or(("hosts", config));
        if database == "hosts" {
            let has = |service: &str| config.split([' ', ',']).any(|known| known == service);
            services = Services { files: has("files"), dns: has("dns") };
        }
    }
    let Some((database, keys)) = operands.split_first() else {
        return refuse(format!("getent: wrong number of arguments\n{GETENT_HELP}"), 1);
    };
    let database = match database.as_str() {
        "hosts" => Database::Hosts,
        "ahosts" => Database::Ahosts,
        "ahostsv4" => Database::AhostsV4,
        "ahostsv6" => Database::AhostsV6,
        other if OTHER_DATABASES.contains(&other) => {
            let (text, status) = not_simulated("getent", other);
            return refuse(text, status);
        }
        other => return refuse(format!("Unknown database: {other}\n{GETENT_HELP}"), 1),
    };
    let keys = keys.iter().map(|key| (*key).clone()).collect();
    Command::process(Getent { database, keys, services, idn }, Out::default())
}
