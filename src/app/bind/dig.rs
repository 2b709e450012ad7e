//! `dig` of BIND 9.18 (`bin/dig/dig.c`).

use super::layout::{self, Columns};
use super::system::absolute;
use super::trace::Trace;
use super::{Asking, Exchange, Outcome, Reply, Server, System};
use crate::app::{Os, Process, Wake, dial};
use crate::base::SimTime;
use crate::base::dns::{Question, Rcode, Type};
use crate::trace::Stream;
use crate::wire::dns::{CD, Edns, Flag, Message, RD};
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// What the program calls itself.
const VERSION: &str = "9.18.49-1~deb12u3-Debian";

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
}

/// A change to the pseudo-record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdnsOption {
    /// Its version.
    Version(u8),
    /// Size of an answer over UDP in bytes.
    Size(u16),
    /// Whether DNSSEC records are wanted.
    Dnssec(bool),
    /// Whether there is a cookie.
    Cookie(bool),
}

/// A running `dig`.
#[derive(Clone, Debug)]
pub struct Dig {
    /// Words of the command line.
    words: Vec<String>,
    overrides: Overrides,
    parts: BTreeSet<Part>,
    /// What is still to be asked, in order.
    questions: VecDeque<Question>,
    asking: Option<Asking>,
    /// Names to try for the current question if this one does not exist.
    names: VecDeque<String>,
    exchange: Option<Exchange>,
    greeting: String,
    status: u8,
    /// How far `+trace` has got.
    pub(super) trace: Option<Trace>,
}

impl Dig {
    /// A `dig` that has not begun yet.
    pub fn new(
        words: &[String],
        overrides: Overrides,
        parts: BTreeSet<Part>,
        questions: Vec<Question>,
    ) -> Self {
        Self {
            words: words.to_vec(),
            overrides,
            parts,
            questions: questions.into(),
            asking: None,
            names: VecDeque::new(),
            exchange: None,
            greeting: String::new(),
            status: 0,
            trace: None,
        }
    }

    fn shows(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    fn begin(&mut self, os: &mut dyn Os) {
        let system = System::read(os);
        let mut asking = Asking::full(&system);
        if let Some(name) = &self.overrides.server {
            let Some(address) = dial::address_of(os, name) else {
                os.write(Stream::Stderr, &format!("dig: couldn't get address for '{name}': not found\n"));
                return os.exit(1);
            };
            asking.servers = vec![Server { name: name.clone(), address }];
        }
        self.overrides.apply(&mut asking);
        self.greeting = self.greet(asking.servers.len());
        self.asking = Some(asking);
        self.next_question(os);
    }

    fn greet(&self, servers: usize) -> String {
        if !self.shows(Part::Command) {
            return String::new();
        }
        let mut out = format!("\n; <<>> DiG {VERSION} <<>>");
        for word in &self.words {
            let _ = write!(out, " {word}");
        }
        out.push('\n');
        if self.overrides.server.is_some() {
            let plural = if servers == 1 { "" } else { "s" };
            let _ = writeln!(out, "; ({servers} server{plural} found)");
        }
        out += ";; global options:";
        out += if self.shows(Part::Short) { " +short +cmd\n" } else { " +cmd\n" };
        out
    }

    fn next_question(&mut self, os: &mut dyn Os) {
        let Some(question) = self.questions.front() else { return os.exit(self.status) };
        let mut system = System::read(os);
        system.change(self.overrides.domain.as_deref(), self.overrides.ndots);
        let searched = !self.overrides.trace && (self.overrides.search || self.overrides.domain.is_some());
        let names = if searched { system.names(&question.name) } else { vec![absolute(&question.name)] };
        let Some(names) = super::legal_names(os, "dig", &question.name, names) else { return };
        self.names = names;
        self.ask(os);
    }

    fn ask(&mut self, os: &mut dyn Os) {
        let (Some(question), Some(asking)) = (self.questions.front(), &self.asking) else {
            return os.exit(self.status);
        };
        if self.overrides.trace && self.trace.is_none() {
            let asking = asking.clone();
            let root = self.begin_trace();
            return self.exchange_with(os, asking, root);
        }
        let Some(name) = self.names.pop_front() else { return self.done(os) };
        let (question, asking) = (Question { name, kind: question.kind }, asking.clone());
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
        let Some(kind) = self.questions.front().map(|question| question.kind) else { return };
        self.exchange_with(os, asking.clone(), Question { name, kind });
    }

    fn exchange_with(&mut self, os: &mut dyn Os, mut asking: Asking, question: Question) {
        asking.tcp = self.overrides.tcp.unwrap_or(question.kind == Type::ANY);
        let (exchange, outcome) = Exchange::start(os, &asking, question);
        if self.shows(Part::Query) {
            let greeting = std::mem::take(&mut self.greeting);
            let query = self.message(exchange.query(), "Sending:", None);
            let size = exchange.query_len();
            os.write(Stream::Stdout, &format!("{greeting}{query};; QUERY SIZE: {size}\n\n"));
        }
        self.exchange = Some(exchange);
        if let Some(outcome) = outcome {
            self.ended(os, outcome);
        }
    }

    fn done(&mut self, os: &mut dyn Os) {
        self.trace = None;
        self.questions.pop_front();
        self.next_question(os);
    }

    fn ended(&mut self, os: &mut dyn Os, outcome: Outcome) {
        match outcome {
            Outcome::Answered(reply) => {
                let is_denied = reply.message.rcode == Rcode::NxDomain;
                let goes_on = is_denied && !self.names.is_empty() && self.trace.is_none();
                if goes_on && !self.shows(Part::Search) {
                    return self.ask(os);
                }
                let greeting = std::mem::take(&mut self.greeting);
                let greeting = if self.shows(Part::Short) { String::new() } else { greeting };
                let text = greeting + &self.answer(&reply, os.now());
                os.write(Stream::Stdout, &text);
                if self.trace.is_some() {
                    let received = self.received(&reply);
                    if self.follow(os, &reply.message, &received) {
                        return;
                    }
                    os.write(Stream::Stdout, &received);
                }
                if goes_on && !self.overrides.trace {
                    return self.ask(os);
                }
            }
            Outcome::NoServer => {
                let greeting = std::mem::take(&mut self.greeting);
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
    fn answer(&self, reply: &Reply, now: SimTime) -> String {
        if self.shows(Part::Short) {
            return self.short(reply);
        }
        let mut out = self.message(&reply.message, "Got answer:", reply.cookie.as_deref());
        if self.shows(Part::Statistics) {
            out += &statistics(reply, now);
        }
        out
    }

    fn short(&self, reply: &Reply) -> String {
        let mut out = String::new();
        for record in &reply.message.answer {
            if self.overrides.trace {
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
            let is_local = |name: &str| name.to_ascii_lowercase().ends_with(".local.");
            if message.questions.iter().any(|question| is_local(&question.name)) {
                out += ";; WARNING: .local is reserved for Multicast DNS\n";
                out += ";; You are currently testing what happens when an mDNS query is leaked to DNS\n";
            }
            out += &layout::header(message);
            out += layout::recursion_warning(message);
            out.push('\n');
            out += &message
                .edns
                .as_ref()
                .map_or(String::new(), |edns: &Edns| layout::pseudo_section(edns, cookie));
        }
        let columns = Columns {
            ttl: self.shows(Part::Ttl),
            class: self.shows(Part::Class),
            units: self.shows(Part::Units),
            multiline: self.shows(Part::Multiline),
        };
        if self.shows(Part::Question) {
            let lines: Vec<String> =
                message.questions.iter().map(|question| layout::question(question, columns)).collect();
            out += &layout::section("QUESTION", &lines, comments);
        }
        let sections = [
            (Part::Answer, "ANSWER", &message.answer),
            (Part::Authority, "AUTHORITY", &message.authority),
            (Part::Additional, "ADDITIONAL", &message.additional),
        ];
        for (part, name, records) in sections {
            if self.shows(part) && !records.is_empty() {
                let lines: Vec<String> =
                    records.iter().map(|record| layout::record(record, columns)).collect();
                out += &layout::section(name, &lines, comments);
            }
        }
        out
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
        for change in &self.edns {
            let Some(change) = change else {
                asking.edns = None;
                continue;
            };
            let edns = asking.edns.get_or_insert_default();
            match *change {
                EdnsOption::Version(version) => edns.version = version,
                EdnsOption::Size(size) => edns.udp_size = size,
                EdnsOption::Dnssec(on) => edns.dnssec_ok = on,
                EdnsOption::Cookie(on) => asking.cookie = on,
            }
        }
    }

    /// Notes a flag.
    pub fn flag(&mut self, flag: Flag, on: bool) {
        self.flags.push((flag, on));
    }

    /// `+recurse` and `+cdflag`, by whether they are set.
    pub fn recursion(&mut self, on: bool) {
        self.flag(RD, on);
    }

    /// See [`Self::recursion`].
    pub fn unchecked(&mut self, on: bool) {
        self.flag(CD, on);
    }
}

fn statistics(reply: &Reply, now: SimTime) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let at = now.calendar();
    let Server { name, address } = &reply.server;
    let transport = if reply.tcp { "TCP" } else { "UDP" };
    format!(
        ";; Query time: {} msec\n;; SERVER: {address}#{}({name}) ({transport})\n\
         ;; WHEN: {} {} {:02} {:02}:{:02}:{:02} UTC {}\n;; MSG SIZE  rcvd: {}\n\n",
        reply.took.as_ms(),
        reply.port,
        DAYS[at.weekday],
        MONTHS[at.month - 1],
        at.day,
        at.hour,
        at.minute,
        at.second,
        at.year,
        reply.length,
    )
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
