//! The command lines of `dig`, `host` and `nslookup`, of BIND and of busybox, and of `getent`.

use super::Command;
use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use crate::app::bind::dig::{Dig, EdnsOption, Overrides, Part, reverse};
use crate::app::bind::host::{Host, HostOptions};
use crate::app::bind::nslookup::{Nslookup, NslookupOptions};
use crate::app::busybox_nslookup::{BusyboxNslookup, BusyboxNslookupOptions};
use crate::app::getent::{Database, Getent};
use crate::base::dns::{Question, Type};
use crate::wire::dns::AD;
use std::collections::BTreeSet;

const DIG_USAGE: &str = "Usage:  dig [@global-server] [domain] [q-type] [q-class] {q-opt}\n            {global-d-opt} host [@local-server] {local-d-opt}\n            [ host [@local-server] {local-d-opt} [...]]\n\nUse \"dig -h\" (or \"dig -h | more\") for complete list of options\n";

/// What `dig` has read so far.
struct DigLine {
    overrides: Overrides,
    parts: BTreeSet<Part>,
    questions: Vec<Question>,
    kind: Option<Type>,
    /// What is said before anything is asked.
    said: Out,
}

/// `dig`.
pub(super) fn dig(words: &[String]) -> Command {
    let parts = Part::ALL.into_iter().chain([Part::Ttl, Part::Class]).collect();
    let mut line = DigLine {
        overrides: Overrides::default(),
        parts,
        questions: Vec::new(),
        kind: None,
        said: Out::default(),
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let read = if let Some(server) = word.strip_prefix('@') {
            line.overrides.server = Some(server.to_owned());
            Ok(())
        } else if let Some(option) = word.strip_prefix('+') {
            line.plus(option)
        } else if let Some(option) = word.strip_prefix('-').filter(|option| !option.is_empty()) {
            line.minus(option, &mut rest)
        } else {
            line.operand(word);
            Ok(())
        };
        if let Err(refused) = read {
            return refused;
        }
    }
    if line.questions.is_empty() {
        let root = Question { name: ".".to_owned(), kind: line.kind.unwrap_or(Type::Ns) };
        line.questions.push(root);
    }
    Command::process(Dig::new(words, line.overrides, line.parts, line.questions), line.said)
}

fn bad_option(option: &str) -> Command {
    refuse(format!("Invalid option: {option}\n{DIG_USAGE}"), 1)
}

impl DigLine {
    /// A name, a type or a class.
    fn operand(&mut self, word: &str) {
        if matches!(word.to_ascii_uppercase().as_str(), "IN" | "CH" | "HS") {
            return;
        }
        match word.parse::<Type>() {
            Ok(kind) => self.set_kind(kind),
            Err(()) => self.ask(word),
        }
    }

    fn set_kind(&mut self, kind: Type) {
        match self.questions.last_mut() {
            Some(question) => question.kind = kind,
            None => self.kind = Some(kind),
        }
    }

    fn ask(&mut self, name: &str) {
        let kind = self.kind.take().unwrap_or(Type::A);
        self.questions.push(Question { name: name.to_owned(), kind });
    }

    /// An option with a dash. Its argument may follow at once or as the next word.
    fn minus(&mut self, option: &str, rest: &mut std::slice::Iter<'_, String>) -> Result<(), Command> {
        let (letter, attached) = option.split_at(option.chars().next().map_or(0, char::len_utf8));
        match letter {
            "4" | "u" | "m" | "r" => return Ok(()),
            "v" => return Err(refuse("DiG 9.18.49-1~deb12u3-Debian\n", 0)),
            "h" => return Err(answer(DIG_USAGE)),
            _ => {}
        }
        let given = if attached.is_empty() { rest.next().cloned() } else { Some(attached.to_owned()) };
        let Some(given) = given else { return Err(bad_option(&format!("-{option}"))) };
        match letter {
            "x" => self.questions.push(reverse(&given)),
            "t" => match given.parse() {
                Ok(kind) => self.set_kind(kind),
                Err(()) => self.said.err(format!(";; Warning, ignoring invalid type {given}\n")),
            },
            "q" => self.ask(&given),
            "c" if given.eq_ignore_ascii_case("IN") => {}
            "c" => {
                let (text, status) = not_simulated("dig", &format!("-c {given}"));
                return Err(refuse(text, status));
            }
            "p" => {
                let Ok(port) = given.parse() else {
                    let is_number = given.bytes().all(|at| at.is_ascii_digit());
                    let why = if is_number { "out of range" } else { "not a valid number" };
                    return Err(refuse(
                        format!("invalid port number '{given}': {why}\ndig: Couldn't parse port number\n"),
                        1,
                    ));
                };
                self.overrides.port = Some(port);
            }
            "6" | "b" | "f" | "k" | "y" => {
                let (text, status) = not_simulated("dig", &format!("-{letter}"));
                return Err(refuse(text, status));
            }
            _ => return Err(bad_option(&format!("-{option}"))),
        }
        Ok(())
    }

    /// An option with a plus, with `no` before its name to switch it off.
    fn plus(&mut self, option: &str) -> Result<(), Command> {
        let (name, value) =
            option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let name = name.to_ascii_lowercase();
        let (name, on) = match name.strip_prefix("no") {
            Some(rest) => (rest, false),
            None => (name.as_str(), true),
        };
        let name = in_full(name);
        if let Some(parts) = parts_of(name) {
            for part in parts {
                let _ = if on { self.parts.insert(*part) } else { self.parts.remove(part) };
            }
            return Ok(());
        }
        let number = || value.and_then(|value| value.parse::<u32>().ok());
        let over = &mut self.overrides;
        match name {
            "short" => self.short(on),
            "tcp" | "vc" => over.tcp = Some(on),
            name if WITHOUT_EFFECT.contains(&name) => {}
            "ignore" => over.keep_cut = on,
            "search" | "defname" => over.search = on,
            "rec" | "recurse" => over.recursion(on),
            "cd" | "cdflag" => over.unchecked(on),
            "ad" | "adflag" => over.flag(AD, on),
            "dnssec" | "do" => over.edns.push(Some(EdnsOption::Dnssec(on))),
            "cookie" => over.edns.push(Some(EdnsOption::Cookie(on))),
            "edns" if on => over.edns.push(Some(EdnsOption::Version(number().unwrap_or(0) as u8))),
            "edns" => over.edns.push(None),
            "showsearch" => {
                over.search = on;
                if on {
                    self.parts.insert(Part::Search);
                }
            }
            "trace" => self.trace(on),
            "nssearch" | "subnet" | "tls" | "https" | "nsid" | "yaml" | "expire" | "header-only"
            | "opcode" | "padding" => {
                let (text, status) = not_simulated("dig", &format!("+{name}"));
                return Err(refuse(text, status));
            }
            _ => return self.valued(name, value, on),
        }
        Ok(())
    }

    /// `+trace` brings other parts of the output and DNSSEC with it.
    fn trace(&mut self, on: bool) {
        self.overrides.trace = on;
        if on {
            for part in [Part::Comments, Part::Statistics, Part::Additional, Part::Question] {
                self.parts.remove(&part);
            }
            self.parts.extend([Part::Identify, Part::Authority]);
            self.overrides.edns.push(Some(EdnsOption::Dnssec(true)));
        }
    }

    fn short(&mut self, on: bool) {
        if on {
            self.parts.insert(Part::Short);
        } else {
            self.parts.remove(&Part::Short);
        }
    }

    /// An option with a value.
    fn valued(&mut self, name: &str, value: Option<&str>, on: bool) -> Result<(), Command> {
        let over = &mut self.overrides;
        let number = value.and_then(|value| value.parse::<u32>().ok());
        match (name, number, value) {
            ("time" | "timeout", Some(secs), _) => over.timeout_secs = Some(u64::from(secs.max(1))),
            ("tries", Some(tries), _) => over.tries = Some(tries.max(1)),
            ("retry" | "retries", Some(retries), _) => over.tries = Some(retries.saturating_add(1)),
            ("ndots", Some(dots), _) => over.ndots = Some(dots as usize),
            ("bufsize", Some(size), _) => {
                over.edns.push(Some(EdnsOption::Size(size.min(65_535) as u16)));
            }
            ("domain", _, Some(domain)) if on => over.domain = Some(domain.to_owned()),
            _ => return Err(bad_option(&format!("+{}{name}", if on { "" } else { "no" }))),
        }
        Ok(())
    }
}

/// Options that change nothing that is simulated.
const WITHOUT_EFFECT: [&str; 12] = [
    "badcookie",
    "besteffort",
    "crypto",
    "fail",
    "idnin",
    "idnout",
    "keepalive",
    "keepopen",
    "mapped",
    "onesoa",
    "rrcomments",
    "unknownformat",
];

/// Names of options that may be cut short.
const NAMES: [&str; 40] = [
    "additional",
    "adflag",
    "all",
    "answer",
    "authority",
    "badcookie",
    "besteffort",
    "bufsize",
    "cdflag",
    "class",
    "cmd",
    "comments",
    "cookie",
    "crypto",
    "defname",
    "dnssec",
    "domain",
    "edns",
    "expire",
    "fail",
    "identify",
    "ignore",
    "keepalive",
    "keepopen",
    "multiline",
    "ndots",
    "nsid",
    "question",
    "recurse",
    "retry",
    "rrcomments",
    "search",
    "short",
    "showsearch",
    "stats",
    "subnet",
    "tcp",
    "timeout",
    "trace",
    "tries",
];

/// The option whose name begins so, if only one does.
fn in_full(name: &str) -> &str {
    let mut fitting = NAMES.iter().filter(|known| known.starts_with(name));
    match (fitting.next(), fitting.next()) {
        (Some(known), None) if name.len() > 2 => known,
        _ => name,
    }
}

/// The parts of the output that an option switches.
fn parts_of(option: &str) -> Option<&'static [Part]> {
    Some(match option {
        "all" => &Part::ALL,
        "cmd" => &[Part::Command],
        "comments" => &[Part::Comments],
        "question" => &[Part::Question],
        "answer" => &[Part::Answer],
        "authority" => &[Part::Authority],
        "additional" => &[Part::Additional],
        "stats" => &[Part::Statistics],
        "identify" => &[Part::Identify],
        "ttlid" | "ttl" => &[Part::Ttl],
        "class" | "cl" => &[Part::Class],
        "qr" => &[Part::Query],
        "ttlunits" => &[Part::Units, Part::Ttl],
        "multiline" => &[Part::Multiline],
        _ => return None,
    })
}

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
    for (letter, argument) in &parsed.options {
        match (letter, argument.parse::<u32>()) {
            ('t', _) => match argument.parse() {
                Ok(kind) => options.kind = Some(kind),
                Err(()) => return refuse(format!("host: invalid type: {argument}\n\n"), 2),
            },
            ('W', Ok(secs)) => options.timeout_secs = Some(u64::from(secs.max(1))),
            ('R', Ok(tries)) => options.tries = Some(tries.max(1)),
            ('T', _) => options.tcp = true,
            ('v' | 'd', _) => options.verbose = true,
            ('a', _) => (options.verbose, options.kind) = (true, Some(Type::ANY)),
            ('r', _) => options.no_recursion = true,
            ('N', Ok(dots)) => options.ndots = Some(dots as usize),
            ('c', _) if argument.eq_ignore_ascii_case("IN") => {}
            ('4' | 'U' | 's', _) => {}
            ('V', _) => return answer("host 9.18.49-1~deb12u3-Debian\n"),
            (other, _) => {
                let (text, status) = not_simulated("host", &format!("-{other}"));
                return refuse(text, status);
            }
        }
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
        let Some(option) = word.strip_prefix('-').filter(|option| !option.is_empty()) else {
            operands.push(word.clone());
            continue;
        };
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match (name, value.parse::<u32>()) {
            ("type" | "querytype" | "query" | "q" | "ty" | "qu", _) => match value.parse() {
                Ok(kind) => options.kind = Some(kind),
                Err(()) => said.out(format!("unknown query type: {value}\n")),
            },
            ("timeout", Ok(secs)) => options.timeout_secs = Some(u64::from(secs.max(1))),
            ("retry", Ok(tries)) => options.tries = Some(tries),
            ("port", Ok(port @ 1..=65_535)) => options.port = Some(port as u16),
            ("vc", _) => options.tcp = true,
            ("debug", _) => options.debug = true,
            ("novc" | "recurse" | "nodebug" | "nod2" | "search", _) => {}
            ("version", _) => return answer("nslookup 9.18.49-1~deb12u3-Debian\n"),
            _ => said.out(format!("*** Invalid option: {option}\n")),
        }
    }
    let mut operands = operands.into_iter();
    let Some(name) = operands.next() else {
        let (text, status) = not_simulated("nslookup", "its interactive mode");
        return refuse(text, status);
    };
    options.name = name;
    options.server = operands.next();
    Command::process(Nslookup::new(options), said)
}

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
                Ok(kind) => options.kinds.push(kind),
                Err(()) => return refuse(format!("nslookup: invalid query type \"{value}\"\n"), 1),
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
    Command::process(BusyboxNslookup::new(options), Out::default())
}

/// Databases that the real one knows besides.
const OTHER_DATABASES: [&str; 15] = [
    "ahostsv6",
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
    "--help",
    "--usage",
];

/// `getent`.
pub(super) fn getent(words: &[String]) -> Command {
    let Some((database, keys)) = words.split_first() else {
        return refuse(
            "getent: wrong number of arguments\nTry `getent --help' or `getent --usage' for more information.\n",
            1,
        );
    };
    let database = match database.as_str() {
        "hosts" => Database::Hosts,
        "ahosts" | "ahostsv4" => Database::Ahosts,
        other if OTHER_DATABASES.contains(&other) => {
            let (text, status) = not_simulated("getent", other);
            return refuse(text, status);
        }
        other => {
            return refuse(
                format!(
                    "Unknown database: {other}\nTry `getent --help' or `getent --usage' for more information.\n"
                ),
                1,
            );
        }
    };
    if keys.is_empty() {
        let (text, status) = not_simulated("getent", "a database without keys");
        return refuse(text, status);
    }
    Command::process(Getent { database, keys: keys.to_vec() }, Out::default())
}
