//! The command line of `dig` of BIND 9.18 (`bin/dig/dig.c`, `parse_args`).

use super::Command;
use super::out::{Out, answer, not_simulated, refuse};
use crate::app::bind::class;
use crate::app::bind::dig::{Asked, Dig, EdnsOption, Overrides, Part, reverse};
use crate::base::dns::{Question, Type};
use crate::wire::dns::{AA, AD, CD, RA, RD, TC, Z};
use std::net::IpAddr;

const DIG_USAGE: &str = "Usage:  dig [@global-server] [domain] [q-type] [q-class] {q-opt}\n            {global-d-opt} host [@local-server] {local-d-opt}\n            [ host [@local-server] {local-d-opt} [...]]\n\nUse \"dig -h\" (or \"dig -h | more\") for complete list of options\n";
/// Largest payload that is asked for where no number says so.
const UDP_SIZE: u16 = 1232;
/// EDNS options: name server identifier, client subnet, expiry, keepalive, padding.
const NSID: u16 = 3;
const SUBNET: u16 = 8;
const EXPIRE: u16 = 9;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;

/// A lookup under way: options before the first name are about all of them, later ones about the last name alone.
#[derive(Clone)]
struct Lookup {
    asked: Asked,
    has_kind: bool,
    has_class: bool,
    /// Serial number of an incremental transfer.
    is_transfer: bool,
}

/// What `dig` has read so far.
struct DigLine {
    /// What every lookup begins with.
    common: Lookup,
    lookups: Vec<Lookup>,
    /// Whether words may still be types and classes: not after `-t` and `-c`.
    open: bool,
    /// Whether the command itself is printed, and whether only data is: for all lookups.
    command: bool,
    short: bool,
    families: [bool; 2],
    /// What the command's line said of the server when the first name came.
    greets: Option<(bool, bool)>,
    /// What is said before anything is asked.
    said: Out,
}

/// `dig`.
pub(super) fn dig(words: &[String]) -> Command {
    let parts = Part::ALL.into_iter().chain([Part::Ttl, Part::Class]).collect();
    let question = Question { name: ".".to_owned(), kind: Type::A };
    let asked = Asked { question, class: crate::wire::dns::CLASS_IN, overrides: Overrides::default(), parts };
    let mut line = DigLine {
        common: Lookup { asked, has_kind: false, has_class: false, is_transfer: false },
        lookups: Vec::new(),
        open: true,
        command: true,
        short: false,
        families: [false; 2],
        greets: None,
        said: Out::default(),
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let read = if let Some(server) = word.strip_prefix('@') {
            line.last().asked.overrides.server = Some(server.to_owned());
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
    line.finish(words)
}

fn bad_option(option: &str) -> Command {
    refuse(format!("Invalid option: {option}\n{DIG_USAGE}"), 1)
}

/// A number as `parse_uint` reads it; what is none ends the program.
fn number(text: &str, most: u32, what: &str) -> Result<u32, Command> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |hex| (hex, 16));
    let is_number = !digits.is_empty() && digits.chars().all(|at| at.is_digit(radix));
    let found = u32::from_str_radix(digits, radix).ok().filter(|value| is_number && *value <= most);
    found.ok_or_else(|| {
        let why = if is_number { "out of range" } else { "not a valid number" };
        refuse(format!("invalid {what} '{text}': {why}\ndig: Couldn't parse {what}\n"), 10)
    })
}

impl DigLine {
    /// The lookup that options are about.
    fn last(&mut self) -> &mut Lookup {
        self.lookups.last_mut().unwrap_or(&mut self.common)
    }

    fn finish(mut self, words: &[String]) -> Command {
        if self.lookups.is_empty() {
            let mut root = self.common.clone();
            if !root.has_kind {
                root.asked.question.kind = Type::Ns;
            }
            self.note_greeting();
            self.lookups.push(root);
        }
        let lookups = self.lookups.into_iter().map(|mut lookup| {
            let parts = &mut lookup.asked.parts;
            for (part, on) in [(Part::Command, self.command), (Part::Short, self.short)] {
                let _ = if on { parts.insert(part) } else { parts.remove(&part) };
            }
            if lookup.is_transfer {
                parts.remove(&Part::Question);
                parts.remove(&Part::Comments);
            }
            lookup.asked
        });
        let greets = self.greets.unwrap_or_default();
        Command::process(Dig::new(words, lookups.collect(), greets), self.said)
    }

    /// The first name settles what the command's line says beside the words.
    fn note_greeting(&mut self) {
        let now = (self.common.asked.overrides.server.is_some(), self.short);
        self.greets.get_or_insert(now);
    }

    /// A name, a type or a class.
    fn operand(&mut self, word: &str) {
        if self.open {
            if let Some(kind) = self.kind_of(word, true) {
                return self.set_kind(kind);
            }
            if let Some(class) = class::of_name(word) {
                return self.set_class(class);
            }
        }
        self.ask(word);
    }

    /// The type that a word names; `IXFR` comes with a serial number.
    fn kind_of(&mut self, word: &str, warns: bool) -> Option<Type> {
        let (name, serial) = word.split_once('=').map_or((word, None), |(name, serial)| (name, Some(serial)));
        if serial.is_some() {
            return name.eq_ignore_ascii_case("ixfr").then_some(Type::IXFR);
        }
        let kind = word.parse().ok()?;
        if kind != Type::IXFR {
            return Some(kind);
        }
        if warns {
            self.said.err(";; Warning, ixfr requires a serial number\n");
            return Some(Type::A);
        }
        None
    }

    fn set_kind(&mut self, kind: Type) {
        if self.last().has_kind {
            self.said.err(";; Warning, extra type option\n");
        }
        let last = self.last();
        (last.has_kind, last.asked.question.kind) = (true, kind);
        last.is_transfer = kind == Type::AXFR || kind == Type::IXFR;
    }

    fn set_class(&mut self, class: u16) {
        if self.last().has_class {
            self.said.err(";; Warning, extra class option\n");
        }
        let last = self.last();
        (last.has_class, last.asked.class) = (true, class);
    }

    fn ask(&mut self, name: &str) {
        self.note_greeting();
        let mut lookup = self.common.clone();
        name.clone_into(&mut lookup.asked.question.name);
        self.lookups.push(lookup);
    }

    /// An option with a dash. Letters without an argument may stand before the last one, whose argument may follow at once
    /// or as the next word.
    fn minus(&mut self, option: &str, rest: &mut std::slice::Iter<'_, String>) -> Result<(), Command> {
        let mut left = option;
        while let Some(first) = left.chars().next().filter(|at| "46imrudhv".contains(*at)) {
            left = &left[1..];
            match first {
                '4' | '6' => self.families[usize::from(first == '6')] = true,
                'u' => self.last().asked.overrides.micros = true,
                'v' if left.is_empty() => return Err(refuse("DiG 9.18.49-1~deb12u3-Debian\n", 0)),
                'h' => return Err(answer(DIG_USAGE)),
                'd' => return Err(unsimulated("-d")),
                _ => {}
            }
            if self.families == [true; 2] {
                return Err(refuse("dig: only one of -4 and -6 allowed\n", 1));
            }
        }
        if self.families[1] {
            return Err(unsimulated("-6"));
        }
        let Some(letter) = left.chars().next() else { return Ok(()) };
        if !"xtqcpbfky".contains(letter) {
            return Err(bad_option(&format!("-{left}")));
        }
        let attached = &left[1..];
        let given = if attached.is_empty() { rest.next().cloned() } else { Some(attached.to_owned()) };
        let Some(given) = given else { return Err(bad_option(&format!("-{left}"))) };
        self.valued_letter(letter, &given)
    }

    fn valued_letter(&mut self, letter: char, given: &str) -> Result<(), Command> {
        match letter {
            'x' => {
                let question = reverse(given);
                self.ask(&question.name);
                let last = self.last();
                if !last.has_kind {
                    last.asked.question.kind = Type::Ptr;
                }
            }
            't' => {
                self.open = false;
                match self.kind_of(given, false) {
                    Some(kind) => self.set_kind(kind),
                    None => self.said.err(format!(";; Warning, ignoring invalid type {given}\n")),
                }
            }
            'q' => self.ask(given),
            'c' => {
                self.open = false;
                match class::of_name(given) {
                    Some(class) => self.set_class(class),
                    None => self.said.err(format!(";; Warning, ignoring invalid class {given}\n")),
                }
            }
            'p' => {
                let Ok(port) = given.parse() else {
                    let is_number = given.bytes().all(|at| at.is_ascii_digit());
                    let why = if is_number { "out of range" } else { "not a valid number" };
                    return Err(refuse(
                        format!("invalid port number '{given}': {why}\ndig: Couldn't parse port number\n"),
                        1,
                    ));
                };
                self.last().asked.overrides.port = Some(port);
            }
            'b' if given.split('#').next().and_then(|ip| ip.parse::<IpAddr>().ok()).is_none() => {
                return Err(refuse(format!("dig: invalid address {given}\n"), 1));
            }
            other => return Err(unsimulated(&format!("-{other}"))),
        }
        Ok(())
    }

    /// An option with a plus, with `no` before its name to switch it off.
    fn plus(&mut self, option: &str) -> Result<(), Command> {
        let (typed, value) =
            option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let name = typed.to_ascii_lowercase();
        let (name, on) = match name.strip_prefix("no") {
            Some(rest) => (rest, false),
            None => (name.as_str(), true),
        };
        let name = in_full(name);
        match name {
            "short" => self.short(on),
            "cmd" | "all" => self.command = on,
            "trace" => self.trace(on),
            "showsearch" => self.last().asked.overrides.search = on,
            "mapped" => self.said.err(";; +mapped option is deprecated"),
            _ => {}
        }
        if let Some(parts) = parts_of(name, on) {
            let own = &mut self.last().asked.parts;
            for part in parts {
                let _ = if on { own.insert(*part) } else { own.remove(part) };
            }
            return Ok(());
        }
        if ["short", "trace"].contains(&name) || WITHOUT_EFFECT.contains(&name) {
            return Ok(());
        }
        if UNSIMULATED.contains(&name) {
            return Err(unsimulated(&format!("+{name}")));
        }
        let over = &mut self.last().asked.overrides;
        if switched(over, name, on) {
            return Ok(());
        }
        if !on && name == "ednsopt" {
            over.edns.push(Some(EdnsOption::Clear));
            return Ok(());
        }
        match valued(over, name, value, on) {
            Ok(true) => Ok(()),
            Ok(false) => Err(bad_option(&format!("+{typed}"))),
            Err(refused) => Err(refused),
        }
    }

    /// `+trace` brings other parts of the output and DNSSEC with it.
    fn trace(&mut self, on: bool) {
        let asked = &mut self.last().asked;
        asked.overrides.trace = on;
        if on {
            for part in [Part::Comments, Part::Statistics, Part::Additional, Part::Question] {
                asked.parts.remove(&part);
            }
            asked.parts.extend([Part::Identify, Part::Authority]);
            asked.overrides.edns.push(Some(EdnsOption::Dnssec(true)));
        }
    }

    /// `+short` takes the other parts away for good.
    fn short(&mut self, on: bool) {
        self.short = on;
        if on {
            self.command = false;
            let parts = &mut self.last().asked.parts;
            for part in Part::ALL {
                parts.remove(&part);
            }
            parts.insert(Part::Answer);
        }
    }
}

fn unsimulated(option: &str) -> Command {
    let (text, status) = not_simulated("dig", option);
    refuse(text, status)
}

/// An option that is on or off; whether there is one of this name.
fn switched(over: &mut Overrides, name: &str, on: bool) -> bool {
    let option = |code: u16| Some(EdnsOption::Other(code, Vec::new(), on));
    match name {
        "tcp" | "vc" => over.tcp = Some(on),
        "idnin" => over.idn_in = Some(on),
        "idnout" => over.idn_out = Some(on),
        "ignore" => over.keep_cut = on,
        "search" | "defname" => over.search = on,
        "rec" | "recurse" | "rdflag" => over.flag(RD, on),
        "cd" | "cdflag" => over.flag(CD, on),
        "ad" | "adflag" => over.flag(AD, on),
        "aa" | "aaflag" | "aaonly" => over.flag(AA, on),
        "raflag" => over.flag(RA, on),
        "tcflag" => over.flag(TC, on),
        "zflag" => over.flag(Z, on),
        "header-only" => over.header_only = on,
        "ednsnegotiation" => over.keep_version = !on,
        "dnssec" | "do" => over.edns.push(Some(EdnsOption::Dnssec(on))),
        "nsid" => over.edns.push(option(NSID)),
        "expire" => over.edns.push(option(EXPIRE)),
        "keepalive" => over.edns.push(option(KEEPALIVE)),
        "edns" if !on => over.edns.push(None),
        "opcode" if !on => over.opcode = 0,
        "subnet" if !on => over.edns.push(Some(EdnsOption::Other(SUBNET, Vec::new(), false))),
        "cookie" if !on => over.edns.push(Some(EdnsOption::Cookie(false))),
        _ => return false,
    }
    true
}

/// An option with a value; whether there is one of this name.
fn valued(over: &mut Overrides, name: &str, value: Option<&str>, on: bool) -> Result<bool, Command> {
    match (name, value) {
        ("time" | "timeout", Some(text)) => {
            over.timeout_secs = Some(u64::from(number(text, 0xffff, "timeout")?.max(1)));
        }
        ("tries", Some(text)) => over.tries = Some(number(text, u32::MAX, "tries")?.max(1)),
        ("retry" | "retries", Some(text)) => {
            over.tries = Some(number(text, u32::MAX - 1, "retries")?.saturating_add(1));
        }
        ("ndots", Some(text)) => over.ndots = Some(number(text, 0xffff, "ndots")? as usize),
        ("split", Some(text)) => drop(number(text, 1023, "split")?),
        ("qid", Some(text)) => over.qid = Some(number(text, 0xffff, "qid")? as u16),
        ("opcode", Some(text)) => {
            over.opcode = match OPCODES.iter().find(|known| known.0.eq_ignore_ascii_case(text)) {
                Some((_, opcode)) => *opcode,
                None => number(text, 15, "opcode")? as u8,
            };
        }
        ("bufsize", text) if on => {
            let size = text.map_or(Ok(u32::from(UDP_SIZE)), |text| number(text, 0xffff, "buffer size"))?;
            over.edns.push(Some(EdnsOption::Size(size as u16)));
        }
        ("edns", text) => {
            let version = text.map_or(Ok(0), |text| number(text, 255, "edns"))?;
            over.edns.push(Some(EdnsOption::Version(version as u8)));
        }
        ("ednsflags", Some(text)) => {
            let flags = number(text, 0xffff, "ednsflags")?;
            if flags & 0x7fff != 0 {
                return Err(unsimulated("+ednsflags of no meaning"));
            }
            over.edns.push(Some(EdnsOption::Dnssec(flags != 0)));
        }
        ("ednsopt", Some(text)) if on => over.edns.push(Some(edns_option(text)?)),
        ("padding", Some(text)) if on => {
            let block = number(text, 512, "padding")?;
            over.padding = block as usize;
        }
        ("subnet", Some(text)) if on => over.edns.push(Some(subnet(text)?)),
        ("cookie", text) => over.edns.push(Some(match text {
            Some(text) => EdnsOption::Given(hex(text)?),
            None => EdnsOption::Cookie(true),
        })),
        ("domain", Some(domain)) if on => over.domain = Some(domain.to_owned()),
        _ => return Ok(false),
    }
    Ok(true)
}

fn hex(text: &str) -> Result<Vec<u8>, Command> {
    let wrong = || refuse("dig: isc_hex_decodestring: bad hex encoding\n", 1);
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| wrong())
}

/// `CODE[:HEX]`; a code may be a name.
fn edns_option(text: &str) -> Result<EdnsOption, Command> {
    const NAMES: [(&str, u16); 6] = [
        ("nsid", NSID),
        ("ecs", SUBNET),
        ("expire", EXPIRE),
        ("cookie", 10),
        ("keepalive", KEEPALIVE),
        ("padding", PADDING),
    ];
    let (code, data) = text.split_once(':').unwrap_or((text, ""));
    let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(code)).map(|(_, code)| *code);
    let code = named.or_else(|| code.parse().ok()).ok_or_else(|| {
        refuse(format!("invalid ednsopt '{code}': not a valid number\ndig: bad edns code point: {code}\n"), 1)
    })?;
    Ok(EdnsOption::Other(code, hex(data)?, true))
}

/// A client's network (RFC 7871): family, length of the prefix, and as many bytes of the address.
fn subnet(text: &str) -> Result<EdnsOption, Command> {
    let wrong = || refuse(format!("dig: invalid address '{text}'\n"), 1);
    let (address, length) =
        text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let (address, length) =
        if address == "0" { ("0.0.0.0", length.or(Some("0"))) } else { (address, length) };
    let (family, bytes) = match address.parse().map_err(|_| wrong())? {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let most = bytes.len() * 8;
    let length = length.map_or(Ok(most), str::parse).map_err(|_| wrong())?.min(most);
    let mut data = vec![0, family, length as u8, 0];
    data.extend(bytes.iter().take(length.div_ceil(8)).enumerate().map(|(at, byte)| {
        let kept = (length - at * 8).min(8);
        byte & (0xff_u16 << (8 - kept)) as u8
    }));
    Ok(EdnsOption::Other(SUBNET, data, true))
}

/// Operation codes by name.
const OPCODES: [(&str, u8); 5] = [("query", 0), ("iquery", 1), ("status", 2), ("notify", 4), ("update", 5)];

/// Options that are known and not simulated.
const UNSIMULATED: [&str; 8] =
    ["dns64prefix", "http-plain", "https", "https-get", "nssearch", "proxy", "tls", "yaml"];

/// Options that change nothing that is simulated.
const WITHOUT_EFFECT: [&str; 10] = [
    "badcookie",
    "coflag",
    "besteffort",
    "crypto",
    "fail",
    "keepopen",
    "mapped",
    "onesoa",
    "rrcomments",
    "showbadcookie",
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
    // Two letters that are names of their own.
    if ["aa", "ad", "cd", "do", "vc"].contains(&name) {
        return name;
    }
    let mut fitting = NAMES.iter().filter(|known| known.starts_with(name));
    match (fitting.next(), fitting.next()) {
        (Some(known), None) if name.len() > 1 => known,
        _ => name,
    }
}

/// The parts of the output that an option switches.
fn parts_of(option: &str, on: bool) -> Option<&'static [Part]> {
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
        "ttlunits" if on => &[Part::Units, Part::Ttl],
        "ttlunits" => &[Part::Units],
        "showsearch" => &[Part::Search],
        "expandaaaa" => &[Part::Expanded],
        "unknownformat" => &[Part::Unknown],
        "multiline" => &[Part::Multiline],
        _ => return None,
    })
}
