//! `host` of BIND 9.18 (`bin/dig/host.c`).

use super::layout::{self, Columns};
use super::system::absolute;
use super::{Asking, Exchange, Outcome, Reply, Server, System};
use crate::app::{Os, Process, Wake, dial};
use crate::base::dns::{Question, RData, Rcode, Record, Type};
use crate::trace::Stream;
use crate::wire::dns::{Message, RD};
use std::collections::VecDeque;
use std::fmt::Write as _;

/// How often `host` asks each server.
const TRIES: u32 = 2;

/// What the command line says.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option under its own name")]
pub struct HostOptions {
    /// The name.
    pub name: String,
    /// The type, `-t`; addresses and mail exchanges where there is none.
    pub kind: Option<Type>,
    /// The server.
    pub server: Option<String>,
    /// Seconds for each try, `-W`.
    pub timeout_secs: Option<u64>,
    /// Tries, `-R`.
    pub tries: Option<u32>,
    /// Over TCP, `-T`.
    pub tcp: bool,
    /// Whole messages, `-v`.
    pub verbose: bool,
    /// Without recursion, `-r`.
    pub no_recursion: bool,
    /// Another number of dots, `-N`.
    pub ndots: Option<usize>,
    /// Another class, `-c`.
    pub class: Option<u16>,
    /// The server's port, `-p`.
    pub port: Option<u16>,
    /// All names of a zone, `-l`.
    pub lists: bool,
}

/// A running `host`.
#[derive(Clone, Debug)]
pub struct Host {
    options: HostOptions,
    asking: Option<Asking>,
    names: VecDeque<String>,
    kinds: VecDeque<Type>,
    exchange: Option<Exchange>,
    /// What is said of the server before its first answer.
    greeting: String,
}

impl Host {
    /// A `host` that has not begun yet.
    pub fn new(options: HostOptions) -> Self {
        let kind = if options.lists { Some(Type::AXFR) } else { options.kind };
        let kinds = kind.map_or(vec![Type::A, Type::Aaaa, Type::Mx], |kind| vec![kind]);
        Self {
            options,
            asking: None,
            names: VecDeque::new(),
            kinds: kinds.into(),
            exchange: None,
            greeting: String::new(),
        }
    }

    fn begin(&mut self, os: &mut dyn Os) {
        let mut system = System::read(os);
        system.change(None, self.options.ndots);
        let mut asking = Asking::plain(&system);
        asking.set(RD, !self.options.no_recursion);
        asking.tries = self.options.tries.unwrap_or(TRIES);
        asking.tcp = self.options.tcp || self.kinds.front() == Some(&Type::ANY) || self.transfers();
        asking.port = self.options.port.unwrap_or(asking.port);
        asking.class = self.options.class.unwrap_or(asking.class);
        if let Some(secs) = self.options.timeout_secs {
            asking.timeout = crate::base::Duration::from_secs(secs);
        }
        if let Some(name) = &self.options.server {
            let Some(address) = dial::address_of(os, name) else {
                os.write(Stream::Stderr, &format!("host: couldn't get address for '{name}': not found\n"));
                return os.exit(1);
            };
            self.greeting = format!(
                "Using domain server:\nName: {name}\nAddress: {address}#{}\nAliases: \n\n",
                asking.port
            );
            asking.servers = vec![Server { name: name.clone(), address }];
        }
        self.asking = Some(asking);
        let names = if let Ok(address) = self.options.name.parse() {
            self.kinds = vec![Type::Ptr].into();
            vec![crate::base::dns::reverse_name(address)]
        } else {
            let converts = os.is_terminal();
            let Some(name) = super::converted(os, "host", &self.options.name, converts) else { return };
            system.names(&name)
        };
        let Some(names) = super::legal_names(os, "host", (&self.options.name, true), names) else { return };
        self.names = names;
        self.ask(os);
    }

    /// Whether a zone is to be handed over.
    fn transfers(&self) -> bool {
        matches!(self.kinds.front(), Some(&Type::AXFR | &Type::IXFR))
    }

    /// Whether a record of a zone is listed (`-l`): addresses, name servers and names of addresses, or the type asked for.
    fn lists(&self, kind: Type) -> bool {
        match self.options.kind {
            Some(wanted) => wanted == kind || wanted == Type::ANY,
            None => matches!(kind, Type::A | Type::Aaaa | Type::Ns | Type::Ptr),
        }
    }

    fn ask(&mut self, os: &mut dyn Os) {
        let (Some(asking), Some(name), Some(kind)) = (&self.asking, self.names.front(), self.kinds.front())
        else {
            return os.exit(0);
        };
        let question = Question { name: name.clone(), kind: *kind };
        if self.options.verbose || (*kind == Type::AXFR && !self.options.lists) {
            os.write(Stream::Stdout, &format!("Trying \"{}\"\n", name.trim_end_matches('.')));
        }
        let (exchange, outcome) = Exchange::start(os, asking, question);
        self.exchange = Some(exchange);
        if let Some(outcome) = outcome {
            self.ended(os, outcome);
        }
    }

    fn ended(&mut self, os: &mut dyn Os, outcome: Outcome) {
        match outcome {
            Outcome::Answered(reply) => self.answered(os, &reply),
            Outcome::NoServer | Outcome::NotSent => {
                os.write(Stream::Stdout, ";; no servers could be reached\n");
                os.exit(1);
            }
        }
    }

    fn answered(&mut self, os: &mut dyn Os, reply: &Reply) {
        let message = &reply.message;
        if message.rcode == Rcode::NxDomain && self.names.len() > 1 {
            self.names.pop_front();
            return self.ask(os);
        }
        let greeting = std::mem::take(&mut self.greeting);
        os.write(Stream::Stdout, &greeting);
        if message.rcode != Rcode::NoError {
            let rcode = message.rcode;
            let asked = self.names.front().cloned().unwrap_or_default();
            let is_reverse = self.kinds.front() == Some(&Type::Ptr) && self.options.kind.is_none();
            let denied = rcode == Rcode::NxDomain;
            let shown = if denied && is_reverse && asked.ends_with("in-addr.arpa.") {
                // The name of an address of IPv4 is formed with its last dot.
                asked
            } else if denied && !is_reverse {
                self.options.name.clone()
            } else {
                asked.trim_end_matches('.').to_owned()
            };
            os.write(Stream::Stdout, &format!("Host {shown} not found: {}({rcode})\n", rcode.number()));
            if self.transfers() {
                os.write(Stream::Stdout, "; Transfer failed.\n");
            } else if self.options.verbose && rcode == Rcode::NxDomain {
                os.write(Stream::Stdout, &received(reply));
            }
            return os.exit(1);
        }
        let mut text = if self.options.verbose {
            whole(message) + &received(reply)
        } else {
            let is_listed = |record: &&Record| !self.options.lists || self.lists(record.kind());
            message.answer.iter().filter(is_listed).map(line).collect()
        };
        let name = self.names.front().map_or("", |name| name.trim_end_matches('.'));
        if let Some(kind) = self.options.kind.filter(|_| message.answer.is_empty() && !self.options.verbose) {
            let _ = writeln!(text, "{name} has no {kind} record");
        }
        os.write(Stream::Stdout, &text);
        // The other types are asked of the name that exists, at the end of its aliases.
        let last = message.answer.iter().rev().find(|record| record.ip().is_some());
        let found = last.map_or_else(|| absolute(name), |record| record.owner.clone());
        self.names = vec![found].into();
        self.kinds.pop_front();
        self.ask(os);
    }
}

/// A whole message, as `-v` shows it.
fn whole(message: &Message) -> String {
    let mut out = layout::header(message) + "\n";
    let questions: Vec<String> = message
        .questions
        .iter()
        .map(|question| layout::question(question, message.class, Columns::FULL))
        .collect();
    out += &layout::section("QUESTION", &questions, true);
    let sections =
        [("ANSWER", &message.answer), ("AUTHORITY", &message.authority), ("ADDITIONAL", &message.additional)];
    for (name, records) in sections.into_iter().filter(|(_, records)| !records.is_empty()) {
        let lines: Vec<String> = records.iter().map(|record| layout::record(record, Columns::FULL)).collect();
        out += &layout::section(name, &lines, true);
    }
    out
}

fn received(reply: &Reply) -> String {
    let Reply { length, server, port, took, .. } = reply;
    format!("Received {length} bytes from {}#{port} in {} ms\n", server.address, took.as_ms())
}

/// A record as a sentence.
fn line(record: &Record) -> String {
    let owner = record.owner.strip_suffix('.').unwrap_or(&record.owner);
    let says = match &record.data {
        RData::A(_) => "has address",
        RData::Aaaa(_) => "has IPv6 address",
        RData::Cname(_) => "is an alias for",
        RData::Ptr(_) => "domain name pointer",
        RData::Mx(..) => "mail is handled by",
        RData::Ns(_) => "name server",
        RData::Txt(_) => "descriptive text",
        RData::Srv(..) => "has SRV record",
        RData::Soa(..) => "has SOA record",
        RData::Other(..) => {
            let shown = layout::data_of(&record.data);
            return format!("{owner} has {} record {shown}\n", record.kind());
        }
    };
    format!("{owner} {says} {}\n", record.data)
}

impl Process for Host {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
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
}
