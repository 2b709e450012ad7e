//! `nslookup` of BIND 9.18 (`bin/dig/nslookup.c`), with its question on the command line.

use super::{Asking, Exchange, Outcome, Reply, Server, System};
use crate::app::{Os, Process, Wake, dial};
use crate::base::dns::{Question, RData, Rcode, Record, Type, labels, name_of};
use crate::trace::Stream;
use crate::wire::dns::{AA, Message, RA, RD};
use std::collections::VecDeque;
use std::fmt::Write as _;

/// What the command line says.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option under its own name")]
pub struct NslookupOptions {
    /// The name.
    pub name: String,
    /// The type, `-type=`; addresses of both families where there is none.
    pub kind: Option<Type>,
    /// The server.
    pub server: Option<String>,
    /// Its port, `-port=`.
    pub port: Option<u16>,
    /// Seconds for each try, `-timeout=`.
    pub timeout_secs: Option<u64>,
    /// Tries, `-retry=`.
    pub tries: Option<u32>,
    /// Over TCP, `-vc`.
    pub tcp: bool,
    /// Every message is shown, `-debug`.
    pub debug: bool,
    /// Another class, `-class=`.
    pub class: Option<u16>,
    /// Another search list, `-domain=`.
    pub domain: Option<String>,
    /// Another number of dots, `-ndots=`.
    pub ndots: Option<usize>,
    /// The name as it is, `-nosearch`.
    pub no_search: bool,
    /// Without recursion, `-norecurse`.
    pub no_recursion: bool,
}

/// A running `nslookup`.
#[derive(Clone, Debug)]
pub struct Nslookup {
    options: NslookupOptions,
    asking: Option<Asking>,
    names: VecDeque<String>,
    kinds: VecDeque<Type>,
    exchange: Option<Exchange>,
    /// Whether the server has been named, and whether its answers have been called not authoritative.
    headed: bool,
    disclaimed: bool,
    /// Whether there was any answer.
    answered: bool,
}

impl Nslookup {
    /// An `nslookup` that has not begun yet.
    pub fn new(options: NslookupOptions) -> Self {
        let kinds = options.kind.map_or(vec![Type::A, Type::Aaaa], |kind| vec![kind]);
        Self {
            options,
            asking: None,
            names: VecDeque::new(),
            kinds: kinds.into(),
            exchange: None,
            headed: false,
            disclaimed: false,
            answered: false,
        }
    }

    fn begin(&mut self, os: &mut dyn Os) {
        let mut system = System::read(os);
        system.change(self.options.domain.as_deref(), self.options.ndots);
        let mut asking = Asking::plain(&system);
        asking.port = self.options.port.unwrap_or(asking.port);
        asking.tries = self.options.tries.unwrap_or(asking.tries).max(1);
        asking.tcp = self.options.tcp || self.options.kind == Some(Type::AXFR);
        asking.class = self.options.class.unwrap_or(asking.class);
        asking.set(RD, !self.options.no_recursion);
        if let Some(secs) = self.options.timeout_secs {
            asking.timeout = crate::base::Duration::from_secs(secs);
        }
        if let Some(name) = &self.options.server {
            let Some(address) = dial::address_of(os, name) else {
                os.write(
                    Stream::Stderr,
                    &format!("nslookup: couldn't get address for '{name}': not found\n"),
                );
                return os.exit(1);
            };
            asking.servers = vec![Server { name: name.clone(), address }];
        }
        self.asking = Some(asking);
        let address = self.options.name.parse().ok();
        let names = if let Some(address) = address {
            self.kinds = vec![Type::Ptr].into();
            // Of a name that follows from an address the server is not told, unless a type was given.
            self.headed = self.options.kind.is_none();
            vec![crate::base::dns::reverse_name(address)]
        } else {
            let converts = os.is_terminal();
            let Some(name) = super::converted(os, "nslookup", &self.options.name, converts) else {
                return;
            };
            self.options.name = name;
            if self.options.no_search {
                vec![super::system::absolute(&self.options.name)]
            } else {
                system.names(&self.options.name)
            }
        };
        let Some(names) =
            super::legal_names(os, "nslookup", (&self.options.name, !self.options.no_search), names)
        else {
            return;
        };
        self.names = names;
        self.ask(os);
    }

    fn ask(&mut self, os: &mut dyn Os) {
        let (Some(asking), Some(name), Some(kind)) = (&self.asking, self.names.front(), self.kinds.front())
        else {
            os.write(Stream::Stdout, "\n");
            return os.exit(0);
        };
        let question = Question { name: name.clone(), kind: *kind };
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
                os.write(Stream::Stdout, ";; no servers could be reached\n\n");
                os.exit(1);
            }
        }
    }

    fn answered(&mut self, os: &mut dyn Os, reply: &Reply) {
        let message = &reply.message;
        // Of a server that the user named nothing is expected.
        if message.has(RD) && !message.has(RA) && self.options.server.is_none() {
            let Server { address, .. } = &reply.server;
            os.write(Stream::Stdout, &format!(";; Got recursion not available from {address}\n"));
        }
        let goes_on = message.rcode == Rcode::NxDomain && self.names.len() > 1;
        if goes_on && !self.options.debug {
            self.names.pop_front();
            return self.ask(os);
        }
        let mut text = String::new();
        if !std::mem::replace(&mut self.headed, true) {
            let Server { name, address } = &reply.server;
            let _ = writeln!(text, "Server:\t\t{name}\nAddress:\t{address}#{}\n", reply.port);
        }
        let asked = self.names.pop_front().unwrap_or_default();
        let name = name_of(labels(&asked).unwrap_or_default().iter().map(Vec::as_slice));
        let name = name.strip_suffix('.').filter(|bare| !bare.is_empty()).unwrap_or(&name);
        if self.options.debug {
            text += &debug(message);
        }
        if message.rcode != Rcode::NoError {
            let failed = if self.options.kind == Some(Type::AXFR) { "; Transfer failed.\n" } else { "" };
            let end = if goes_on { "" } else { "\n" };
            let _ = write!(text, "** server can't find {name}: {}\n{failed}{end}", message.rcode);
            os.write(Stream::Stdout, &text);
            if goes_on {
                // Each try is a lookup of its own.
                self.headed = false;
                return self.ask(os);
            }
            return os.exit(1);
        }
        if !message.has(AA) && !std::mem::replace(&mut self.disclaimed, true) {
            text += "Non-authoritative answer:\n";
        }
        message.answer.iter().for_each(|record| text += &line(record));
        self.answered |= !message.answer.is_empty();
        if !self.answered && self.kinds.len() == 1 {
            let _ = writeln!(text, "*** Can't find {}: No answer", self.options.name);
        }
        os.write(Stream::Stdout, &text);
        self.names = vec![asked].into();
        self.kinds.pop_front();
        self.ask(os);
    }
}

/// A message with all its records (`detailsection` of nslookup.c).
fn debug(message: &Message) -> String {
    const RULE: &str = "------------\n";
    let mut out = format!("{RULE}    QUESTIONS:\n");
    for question in &message.questions {
        let name = question.name.strip_suffix('.').unwrap_or(&question.name);
        let _ = writeln!(out, "\t{name}, type = {}, class = IN", question.kind);
    }
    let sections = [
        ("ANSWERS", &message.answer),
        ("AUTHORITY RECORDS", &message.authority),
        ("ADDITIONAL RECORDS", &message.additional),
    ];
    for (title, records) in sections {
        let _ = writeln!(out, "    {title}:");
        for record in records {
            let owner = record.owner.strip_suffix('.').filter(|bare| !bare.is_empty());
            let owner = owner.unwrap_or(&record.owner);
            let said = match &record.data {
                RData::A(address) => format!("internet address = {address}\n"),
                RData::Aaaa(address) => format!("has AAAA address {address}\n"),
                RData::Soa(..) => {
                    let told = line(record);
                    told.split_once("\n\t").map_or(told.clone(), |(_, rest)| rest.to_owned())
                }
                RData::Cname(_)
                | RData::Ptr(_)
                | RData::Ns(_)
                | RData::Mx(..)
                | RData::Txt(_)
                | RData::Srv(..)
                | RData::Other(..) => {
                    let told = line(record);
                    told.split_once('\t').map_or(told.clone(), |(_, rest)| rest.to_owned())
                }
            };
            let _ = write!(out, "    ->  {owner}\n\t{said}\tttl = {}\n", record.ttl);
        }
    }
    out + RULE
}

/// Types by number with what they are called (`rtypetext` of nslookup.c).
const KNOWN: [(u16, &str); 5] = [(13, "hinfo"), (17, "rp"), (29, "loc"), (35, "naptr"), (39, "dname")];

/// A record as BIND's and busybox's programs tell it, without the last dot of names that they look up further.
pub(in crate::app) fn line(record: &Record) -> String {
    let owner = record.owner.strip_suffix('.').unwrap_or(&record.owner);
    match &record.data {
        RData::A(address) => format!("Name:\t{owner}\nAddress: {address}\n"),
        RData::Aaaa(address) => format!("Name:\t{owner}\nAddress: {address}\n"),
        RData::Cname(name) => format!("{owner}\tcanonical name = {name}\n"),
        RData::Ptr(name) => format!("{owner}\tname = {name}\n"),
        RData::Ns(name) => format!("{owner}\tnameserver = {name}\n"),
        RData::Mx(..) => format!("{owner}\tmail exchanger = {}\n", record.data),
        RData::Txt(_) => format!("{owner}\ttext = {}\n", record.data),
        RData::Srv(..) => format!("{owner}\tservice = {}\n", record.data),
        RData::Soa(server, mailbox, [serial, refresh, retry, expire, minimum]) => {
            let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).to_owned();
            format!(
                "{owner}\n\torigin = {}\n\tmail addr = {}\n\tserial = {serial}\n\trefresh = {refresh}\n\
                 \tretry = {retry}\n\texpire = {expire}\n\tminimum = {minimum}\n",
                bare(server),
                bare(mailbox)
            )
        }
        RData::Other(number, _) => {
            let known = KNOWN.iter().find(|(known, _)| known == number);
            let what = known.map_or_else(|| format!("rdata_{number}"), |(_, what)| (*what).to_owned());
            format!("{owner}\t{what} = {}\n", super::layout::data_of(&record.data))
        }
    }
}

impl Process for Nslookup {
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
