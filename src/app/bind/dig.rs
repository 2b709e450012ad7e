//! `dig` of BIND 9.18 (`bin/dig/dig.c`).

use super::layout::{self, Columns};
use super::system::absolute;
use super::trace::Trace;
use super::{Asking, Exchange, Outcome, Reply, Server, System};
use crate::app::resolver::has_utf8;
use crate::app::{Os, Process, Wake, dial};
use crate::base::SimTime;
use crate::base::dns::{Question, Rcode, Type};
use crate::base::idn::to_unicode;
use crate::trace::Stream;
use crate::wire::dns::{Edns, Flag, Message};
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// What the program calls itself.
const VERSION: &str = "9.18.49-1~deb12u3-Debian";

/// Kind of query of an update (RFC 2136).
const UPDATE: u8 = 5;

/// A part of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The line with the command itself, `+cmd`.
    Command,
    /// Comments: the header, and the titles of the sections.
    Comments,
    /// The question section.
    Question,
    /// The answer section.
    Answer,
    /// The authority section.
    Authority,
    /// The additional section.
    Additional,
    /// The statistics at the end.
    Statistics,
    /// Nothing but the data of the answers, `+short`.
    Short,
    /// The server that answered, with `+short`.
    Identify,
    /// The TTL of records.
    Ttl,
    /// The class of records.
    Class,
    /// The query, before it is sent.
    Query,
    /// TTLs in days, hours, minutes and seconds.
    Units,
    /// Long records over several lines.
    Multiline,
    /// Answers for names of the search list that do not exist, too.
    Search,
    /// Addresses of IPv6 in full.
    Expanded,
    /// Types, classes and data by number.
    Unknown,
}

impl Part {
    /// What `+all` and `+noall` switch.
    pub const ALL: [Self; 7] = [
        Self::Command,
        Self::Comments,
        Self::Question,
        Self::Answer,
        Self::Authority,
        Self::Additional,
        Self::Statistics,
    ];
}

/// What differs from the system's settings.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option under its own name")]
pub struct Overrides {
    /// The server, `@…`.
    pub server: Option<String>,
    /// Its port, `-p`.
    pub port: Option<u16>,
    /// Tries.
    pub tries: Option<u32>,
    /// Seconds for each try.
    pub timeout_secs: Option<u64>,
    /// Over TCP; unless said, a question for all types goes over it.
    pub tcp: Option<bool>,
    /// Take cut answers as they are, `+ignore`.
    pub keep_cut: bool,
    /// Flags set or cleared.
    pub flags: Vec<(Flag, bool)>,
    /// Times in microseconds, `-u`.
    pub micros: bool,
    /// No question at all, `+header-only`.
    pub header_only: bool,
    /// Another kind of query, `+opcode=`.
    pub opcode: u8,
    /// A given identifier, `+qid=`.
    pub qid: Option<u16>,
    /// Padding to a multiple, `+padding=`, in bytes.
    pub padding: usize,
    /// A server that does not know the version of EDNS is left alone, `+noednsnegotiation`.
    pub keep_version: bool,
    /// What is changed of the pseudo-record: `None` for no such record.
    pub edns: Vec<Option<EdnsOption>>,
    /// Whether the search list is used, `+search`.
    pub search: bool,
    /// Another search list, `+domain=`.
    pub domain: Option<String>,
    /// Another number of dots, `+ndots=`.
    pub ndots: Option<usize>,
    /// From the root down, `+trace`.
    pub trace: bool,
    /// Whether names beyond ASCII are converted, `+idnin`; at a terminal unless said.
    pub idn_in: Option<bool>,
    /// Whether names in Punycode are shown as what they stand for, `+idnout`.
    pub idn_out: Option<bool>,
}

/// A change to the pseudo-record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EdnsOption {
    /// Its version.
    Version(u8),
    /// Size of an answer over UDP in bytes.
    Size(u16),
    /// Whether DNSSEC records are wanted.
    Dnssec(bool),
    /// Whether there is a cookie.
    Cookie(bool),
    /// This cookie.
    Given(Vec<u8>),
    /// An option with its data, there or not.
    Other(u16, Vec<u8>, bool),
    /// No option that was given by its code.
    Clear,
}

/// What is asked, and how.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The name and the type.
    pub question: Question,
    /// The class.
    pub class: u16,
    /// What differs from the system's settings.
    pub overrides: Overrides,
    /// What is printed.
    pub parts: BTreeSet<Part>,
}

/// A running `dig`.
#[derive(Clone, Debug)]
pub struct Dig {
    /// Words of the command line.
    words: Vec<String>,
    /// What is still to be asked, in order, each with its servers once they are known.
    lookups: VecDeque<(Asked, Vec<Server>)>,
    /// Whether the greeting speaks of a server that was given, and of `+short`.
    greets: (bool, bool),
    asking: Option<Asking>,
    /// Names to try for the current question if this one does not exist.
    names: VecDeque<String>,
    exchange: Option<Exchange>,
    greeting: String,
    status: u8,
    shows_unicode: bool,
    /// How far `+trace` has got.
    pub(super) trace: Option<Trace>,
}

impl Dig {
    /// A `dig` that has not begun yet. `greets`: whether a server, and whether `+short` was given before the first name.
    pub fn new(words: &[String], lookups: Vec<Asked>, greets: (bool, bool)) -> Self {
        Self {
            words: words.to_vec(),
            lookups: lookups.into_iter().map(|asked| (asked, Vec::new())).collect(),
            greets,
            asking: None,
            names: VecDeque::new(),
            exchange: None,
            greeting: String::new(),
            status: 0,
            shows_unicode: false,
            trace: None,
        }
    }

    /// What is being asked.
    fn asked(&self) -> Option<&Asked> {
        self.lookups.front().map(|(asked, _)| asked)
    }

    fn shows(&self, part: Part) -> bool {
        self.asked().is_some_and(|asked| asked.parts.contains(&part))
    }

    fn traces(&self) -> bool {
        self.asked().is_some_and(|asked| asked.overrides.trace)
    }

    fn begin(&mut self, os: &mut dyn Os) {
        let system = System::read(os);
        for (asked, servers) in &mut self.lookups {
            let Some(name) = &asked.overrides.server else {
                servers.clone_from(&system.servers);
                continue;
            };
            let Some(address) = dial::address_of(os, name) else {
                os.write(Stream::Stderr, &format!("dig: couldn't get address for '{name}': not found\n"));
                return os.exit(1);
            };
            *servers = vec![Server { name: name.clone(), address }];
        }
        self.greeting = self.greet();
        self.next_question(os);
    }

    fn greet(&self) -> String {
        if !self.shows(Part::Command) {
            return String::new();
        }
        let mut out = format!("\n; <<>> DiG {VERSION} <<>>");
        for word in &self.words {
            let _ = write!(out, " {word}");
        }
        out.push('\n');
        if self.greets.0 {
            out += "; (1 server found)\n";
        }
        out += ";; global options:";
        out += if self.greets.1 { " +short +cmd\n" } else { " +cmd\n" };
        out
    }

    fn next_question(&mut self, os: &mut dyn Os) {
        let Some((asked, servers)) = self.lookups.front() else { return os.exit(self.status) };
        let over = &asked.overrides;
        let mut system = System::read(os);
        let mut asking = Asking::full(&system);
        (asking.servers, asking.class) = (servers.clone(), asked.class);
        over.apply(&mut asking);
        system.change(over.domain.as_deref(), over.ndots);
        let searched = !over.trace && (over.search || over.domain.is_some());
        let converts = over.idn_in.unwrap_or_else(|| os.is_terminal());
        self.shows_unicode = over.idn_out.unwrap_or_else(|| os.is_terminal()) && has_utf8(os);
        let typed = asked.question.name.clone();
        self.asking = Some(asking);
        let Some(name) = super::converted(os, "dig", &typed, converts) else { return };
        let names = if searched { system.names(&name) } else { vec![absolute(&name)] };
        let Some(names) = super::legal_names(os, "dig", (&name, searched), names) else { return };
        self.names = names;
        self.ask(os);
    }

    fn ask(&mut self, os: &mut dyn Os) {
        let (Some(asked), Some(asking)) = (self.asked(), &self.asking) else {
            return os.exit(self.status);
        };
        if self.traces() && self.trace.is_none() {
            let asking = asking.clone();
            let root = self.begin_trace();
            return self.exchange_with(os, asking, root);
        }
        let (kind, asking) = (asked.question.kind, asking.clone());
        let Some(name) = self.names.pop_front() else { return self.done(os) };
        let question = Question { name, kind };
        self.exchange_with(os, asking, question);
    }

    /// The name that `+trace` is about.
    pub(super) fn traced_name(&self) -> Option<String> {
        self.names.front().cloned()
    }

    /// How a trace asks, but for the servers.
    pub(super) fn asking_of_trace(&self) -> Option<Asking> {
        self.asking.clone()
    }

    /// Puts the current question with this name to the servers of a trace.
    pub(super) fn start(&mut self, os: &mut dyn Os, asking: &Asking, name: String) {
        let Some(kind) = self.asked().map(|asked| asked.question.kind) else { return };
        self.exchange_with(os, asking.clone(), Question { name, kind });
    }

    fn exchange_with(&mut self, os: &mut dyn Os, mut asking: Asking, question: Question) {
        let large = [Type::ANY, Type::AXFR, Type::IXFR].contains(&question.kind);
        let wanted = self.asked().and_then(|asked| asked.overrides.tcp);
        asking.tcp = wanted.unwrap_or(large);
        let (exchange, outcome) = Exchange::start(os, &asking, question);
        if self.shows(Part::Query) {
            let greeting = self.take_greeting();
            let query = self.message(exchange.query(), "Sending:", None);
            // It goes with the statistics.
            let size = if self.shows(Part::Statistics) {
                format!(";; QUERY SIZE: {}\n\n", exchange.query_len())
            } else {
                String::new()
            };
            os.write(Stream::Stdout, &format!("{greeting}{query}{size}"));
        }
        self.exchange = Some(exchange);
        if let Some(outcome) = outcome {
            self.ended(os, outcome);
        }
    }

    fn done(&mut self, os: &mut dyn Os) {
        self.trace = None;
        self.lookups.pop_front();
        self.next_question(os);
    }

    fn take_greeting(&mut self) -> String {
        let greeting = std::mem::take(&mut self.greeting);
        if self.shows(Part::Short) { String::new() } else { greeting }
    }

    /// A zone, or why it is not handed over.
    fn transferred(&mut self, os: &mut dyn Os, reply: &Reply) {
        let greeting = self.take_greeting();
        let has_started = reply.message.answer.first().is_some_and(|record| record.kind() == Type::Soa);
        let text = if reply.message.rcode == Rcode::NoError && has_started {
            self.zone(reply, os.now())
        } else if self.shows(Part::Short) {
            "; Transfer failed.\n".to_owned()
        } else {
            self.answer(reply, os.now(), false) + "; Transfer failed.\n"
        };
        os.write(Stream::Stdout, &format!("{greeting}{text}"));
        self.done(os);
    }

    fn ended(&mut self, os: &mut dyn Os, outcome: Outcome) {
        match outcome {
            Outcome::Answered(reply) => {
                let is_denied = reply.message.rcode == Rcode::NxDomain;
                let goes_on = is_denied && !self.names.is_empty() && self.trace.is_none();
                if goes_on && !self.shows(Part::Search) {
                    return self.ask(os);
                }
                let kind = self.asked().map(|asked| asked.question.kind);
                if kind == Some(Type::AXFR) || kind == Some(Type::IXFR) {
                    return self.transferred(os, &reply);
                }
                let text = self.take_greeting() + &self.answer(&reply, os.now(), true);
                os.write(Stream::Stdout, &text);
                if self.trace.is_some() {
                    let received = self.received(&reply);
                    if self.follow(os, &reply.message, &received) {
                        return;
                    }
                    os.write(Stream::Stdout, &received);
                }
                if goes_on && !self.traces() {
                    return self.ask(os);
                }
            }
            Outcome::NoServer => {
                let greeting = self.take_greeting();
                os.write(Stream::Stdout, &format!("{greeting};; no servers could be reached\n"));
                self.status = 9;
            }
            Outcome::NotSent => {
                os.write(Stream::Stdout, ";; no servers could be reached\n");
                self.status = 9;
            }
        }
        self.done(os);
    }

    /// What stands behind each answer of a trace, unless there are statistics.
    fn received(&self, reply: &Reply) -> String {
        if self.shows(Part::Statistics) || self.shows(Part::Short) {
            return String::new();
        }
        let Server { name, address } = &reply.server;
        let (length, port, ms) = (reply.length, reply.port, reply.took.as_ms());
        format!(";; Received {length} bytes from {address}#{port}({name}) in {ms} ms\n\n")
    }

    /// All that is printed of an answer.
    fn answer(&self, reply: &Reply, now: SimTime, is_whole: bool) -> String {
        if self.shows(Part::Short) {
            return self.short(reply);
        }
        let mut out = self.message(&reply.message, "Got answer:", reply.cookie.as_deref());
        if self.shows(Part::Statistics) && is_whole {
            let micros = self.asked().is_some_and(|asked| asked.overrides.micros);
            out += &layout::statistics(reply, now, micros);
        }
        out
    }

    /// The records of a zone, without titles.
    fn zone(&self, reply: &Reply, now: SimTime) -> String {
        if self.shows(Part::Short) {
            return self.short(reply);
        }
        let mut out = String::new();
        if self.shows(Part::Answer) {
            let columns = self.columns();
            let records = reply.message.answer.iter();
            let lines = records.map(|record| self.shown(layout::record(record, columns)) + "\n");
            out.extend(lines);
        }
        if self.shows(Part::Statistics) {
            out += &layout::statistics(reply, now, self.asked().is_some_and(|asked| asked.overrides.micros));
        }
        out
    }

    fn short(&self, reply: &Reply) -> String {
        let mut out = String::new();
        for record in &reply.message.answer {
            if self.traces() {
                let _ = write!(out, "{} ", record.kind());
            }
            let _ = write!(out, "{}", record.data);
            if self.shows(Part::Identify) {
                let ms = reply.took.as_ms();
                let _ = write!(out, " from server {} in {ms} ms.", reply.server.address);
            }
            out.push('\n');
        }
        out
    }

    fn message(&self, message: &Message, title: &str, cookie: Option<&[u8]>) -> String {
        let comments = self.shows(Part::Comments);
        let mut out = String::new();
        if comments {
            let _ = writeln!(out, ";; {title}");
            let is_local = |name: &str| format!(".{}", name.to_ascii_lowercase()).ends_with(".local.");
            if message.questions.iter().any(|question| is_local(&question.name)) {
                out += ";; WARNING: .local is reserved for Multicast DNS\n";
                out += ";; You are currently testing what happens when an mDNS query is leaked to DNS\n";
            }
            out += &layout::header(message);
            out += layout::recursion_warning(message);
            out.push('\n');
            out += &message.edns.as_ref().map_or(String::new(), |edns: &Edns| {
                layout::pseudo_section(edns, cookie, title == "Sending:")
            });
        }
        let columns = self.columns();
        if self.shows(Part::Question) {
            let questions = message.questions.iter();
            let lines: Vec<String> = questions
                .map(|question| self.shown(layout::question(question, message.class, columns)))
                .collect();
            if !lines.is_empty() {
                let title = if message.opcode == UPDATE { "ZONE" } else { "QUESTION" };
                out += &layout::section(title, &lines, comments);
            }
        }
        let sections = [
            (Part::Answer, "ANSWER", &message.answer),
            (Part::Authority, "AUTHORITY", &message.authority),
            (Part::Additional, "ADDITIONAL", &message.additional),
        ];
        for (part, name, records) in sections {
            if self.shows(part) && !records.is_empty() {
                let lines: Vec<String> =
                    records.iter().map(|record| self.shown(layout::record(record, columns))).collect();
                out += &layout::section(name, &lines, comments);
            }
        }
        out
    }
}

impl Dig {
    fn columns(&self) -> Columns {
        Columns {
            ttl: self.shows(Part::Ttl),
            class: self.shows(Part::Class),
            units: self.shows(Part::Units),
            multiline: self.shows(Part::Multiline),
            expanded: self.shows(Part::Expanded),
            unknown: self.shows(Part::Unknown),
        }
    }

    /// A line with names in Punycode as what they stand for, where that is wanted and the locale has the characters.
    fn shown(&self, line: String) -> String {
        if self.shows_unicode && line.contains("xn--") { to_unicode(&line) } else { line }
    }
}

impl Overrides {
    fn apply(&self, asking: &mut Asking) {
        asking.port = self.port.unwrap_or(asking.port);
        asking.tries = self.tries.unwrap_or(asking.tries);
        if let Some(secs) = self.timeout_secs {
            asking.timeout = crate::base::Duration::from_secs(secs);
        }
        asking.keep_cut = self.keep_cut;
        for (flag, on) in &self.flags {
            asking.set(*flag, *on);
        }
        (asking.opcode, asking.qid, asking.header_only) = (self.opcode, self.qid, self.header_only);
        (asking.padding, asking.keep_version) = (self.padding, self.keep_version);
        let full = asking.edns.clone().unwrap_or_default();
        let mut is_needed = false;
        for change in &self.edns {
            // A size and DNSSEC need the pseudo-record whatever else is said.
            is_needed |= matches!(change, Some(EdnsOption::Size(_) | EdnsOption::Dnssec(true)));
            let Some(change) = change else {
                asking.edns = asking.edns.take().filter(|_| is_needed);
                continue;
            };
            let edns = asking.edns.get_or_insert_with(|| full.clone());
            match change {
                EdnsOption::Version(version) => edns.version = *version,
                EdnsOption::Size(size) => edns.udp_size = *size,
                EdnsOption::Dnssec(on) => edns.dnssec_ok = *on,
                EdnsOption::Cookie(on) => asking.cookie = *on,
                EdnsOption::Given(cookie) => {
                    (asking.cookie, asking.given_cookie) = (true, Some(cookie.clone()));
                }
                EdnsOption::Other(code, data, on) => {
                    edns.options.retain(|(known, _)| known != code);
                    if *on {
                        edns.options.push((*code, data.clone()));
                    }
                }
                EdnsOption::Clear => edns.options.clear(),
            }
        }
    }

    /// Notes a flag.
    pub fn flag(&mut self, flag: Flag, on: bool) {
        self.flags.push((flag, on));
    }
}

/// The question of a name given to `-x`: the name of an address, or of whatever has parts between dots.
pub fn reverse(address: &str) -> Question {
    let name = address.parse().map_or_else(
        |_| {
            let parts: Vec<&str> = address.trim_end_matches('.').rsplit('.').collect();
            format!("{}.in-addr.arpa.", parts.join("."))
        },
        crate::base::dns::reverse_name,
    );
    Question { name, kind: Type::Ptr }
}

impl Process for Dig {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        if self.wakes_trace(os, &wake) {
            return;
        }
        match wake {
            Wake::Start => self.begin(os),
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Timer(_) | Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {
                let outcome = self.exchange.as_mut().and_then(|exchange| exchange.wake(os, &wake));
                if let Some(outcome) = outcome {
                    self.ended(os, outcome);
                }
            }
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }

    fn looks_up_names(&self) -> bool {
        true
    }
}
