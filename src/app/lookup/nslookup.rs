//! `nslookup` of BIND 9.18 and of busybox, without their interactive forms.

use super::{Ask, Outcome, Transfer, conf};
use crate::app::resolver::Libc;
use crate::app::{Os, Process, Wake};
use crate::base::Ipv4Addr;
use crate::base::dns::{Question, RData, Rcode, Record, Type, reverse_name};
use crate::trace::Stream;
use crate::wire::dns::{self, Message};
use std::fmt::Write as _;
use std::net::SocketAddrV4;

/// Whose program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// BIND's.
    Bind,
    /// busybox's, which tries every name of the search list with both families and prints every failure.
    Busybox,
}

/// A running `nslookup`.
#[derive(Clone, Debug)]
pub struct Nslookup {
    edition: Edition,
    name: String,
    kind: Option<Type>,
    server: Option<Ipv4Addr>,
    /// Seconds and tries.
    patience: (u64, u32),
    /// Questions still to be asked.
    questions: Vec<Question>,
    ask: Option<Ask>,
    greeted: bool,
    failed: bool,
    /// The name that was found, whose other family is asked for as well.
    found: Option<String>,
}

impl Nslookup {
    /// A program that has not begun yet.
    pub fn new(
        edition: Edition,
        name: String,
        kind: Option<Type>,
        server: Option<Ipv4Addr>,
        patience: (u64, u32),
    ) -> Self {
        Self {
            edition,
            name,
            kind,
            server,
            patience,
            questions: Vec::new(),
            ask: None,
            greeted: false,
            failed: false,
            found: None,
        }
    }

    fn plan(&mut self, os: &dyn Os) {
        if let Ok(ip) = self.name.parse::<Ipv4Addr>() {
            self.questions = vec![Question { name: reverse_name(ip.into()), kind: Type::Ptr }];
            return;
        }
        let conf = conf(os);
        let names = match self.edition {
            Edition::Bind => conf.candidates(&self.name, Libc::Glibc),
            // Only a name without a dot goes through the search list.
            Edition::Busybox if !self.name.contains('.') && !conf.search.is_empty() => {
                conf.search.iter().map(|domain| format!("{}.{domain}.", self.name)).collect()
            }
            Edition::Busybox => vec![format!("{}.", self.name.trim_end_matches('.'))],
        };
        let kinds: Vec<Type> = match (self.kind, self.edition) {
            (Some(kind), _) => vec![kind],
            (None, Edition::Bind) => vec![Type::A],
            (None, Edition::Busybox) => vec![Type::A, Type::Aaaa],
        };
        for kind in kinds {
            self.questions.extend(names.iter().map(|name| Question { name: name.clone(), kind }));
        }
    }

    fn send(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        if self.questions.is_empty() {
            if self.edition == Edition::Bind {
                os.write(Stream::Stdout, "\n");
            }
            os.exit(u8::from(self.failed));
            return None;
        }
        let question = self.questions.remove(0);
        let servers = self.server.map_or_else(|| conf(os).servers, |server| vec![server]);
        let servers = servers.into_iter().map(|ip| SocketAddrV4::new(ip, 53)).collect();
        let mut ask = Ask::new(Message::query(os.random() as u16, question), servers, self.patience, false);
        let outcome = ask.start(os);
        self.ask = Some(ask);
        outcome
    }

    fn decide(&mut self, os: &mut dyn Os, outcome: Outcome) {
        let mut next = Some(outcome);
        while let Some(outcome) = next.take() {
            let Outcome::Answer(transfer) = outcome else { return self.no_server(os) };
            let goes_on = match self.edition {
                Edition::Bind => self.bind(os, &transfer),
                Edition::Busybox => {
                    self.busybox(os, &transfer);
                    true
                }
            };
            if goes_on {
                next = self.send(os);
            }
        }
    }

    fn no_server(&mut self, os: &mut dyn Os) {
        let errors = self.ask.as_ref().map(|ask| ask.errors.clone()).unwrap_or_default();
        let text = match self.edition {
            Edition::Bind => {
                let lines: Vec<String> = errors.iter().map(|error| format!(";; {error}\n")).collect();
                format!("{};; no servers could be reached\n\n", lines.concat())
            }
            Edition::Busybox => ";; connection timed out; no servers could be reached\n\n".to_owned(),
        };
        os.write(Stream::Stdout, &text);
        os.exit(1);
    }

    fn greet(&mut self, transfer: &Transfer) -> String {
        if std::mem::replace(&mut self.greeted, true) {
            return String::new();
        }
        let (ip, port) = (transfer.server.ip(), transfer.server.port());
        let sign = if self.edition == Edition::Bind { '#' } else { ':' };
        format!("Server:\t\t{ip}\nAddress:\t{ip}{sign}{port}\n\n")
    }

    /// Whether the next question is asked.
    fn bind(&mut self, os: &mut dyn Os, transfer: &Transfer) -> bool {
        let message = &transfer.message;
        let is_reverse = message.questions.first().is_some_and(|at| at.kind == Type::Ptr);
        if self.found.is_some() {
            // The other family of a name that was found: what there is of it is told.
            os.write(Stream::Stdout, &message.answer.iter().map(bind_line).collect::<String>());
            return true;
        }
        let more = !self.questions.is_empty();
        if more && (message.rcode == Rcode::NxDomain || message.answer.is_empty()) {
            return true;
        }
        let mut text = if is_reverse { String::new() } else { self.greet(transfer) };
        if message.rcode != Rcode::NoError {
            let name = if is_reverse {
                message
                    .questions
                    .first()
                    .map_or_else(String::new, |at| at.name.trim_end_matches('.').to_owned())
            } else {
                self.name.clone()
            };
            let _ = write!(text, "** server can't find {name}: {}\n\n", message.rcode);
            os.write(Stream::Stdout, &text);
            os.exit(1);
            return false;
        }
        if message.answer.is_empty() {
            let _ = write!(text, "*** Can't find {}: No answer\n\n", self.name);
            os.write(Stream::Stdout, &text);
            os.exit(0);
            return false;
        }
        if !message.has(dns::AA) && !is_reverse {
            text += "Non-authoritative answer:\n";
        }
        text.extend(message.answer.iter().map(bind_line));
        os.write(Stream::Stdout, &text);
        self.questions.clear();
        let asked = message.questions.first();
        if self.kind.is_none()
            && let Some(question) = asked.filter(|at| at.kind == Type::A)
        {
            self.found = Some(question.name.clone());
            self.questions.push(Question { name: question.name.clone(), kind: Type::Aaaa });
        }
        true
    }

    fn busybox(&mut self, os: &mut dyn Os, transfer: &Transfer) {
        let mut text = self.greet(transfer);
        let message = &transfer.message;
        if message.rcode == Rcode::NoError {
            if !message.has(dns::AA) {
                text += "Non-authoritative answer:\n";
            }
            text.extend(message.answer.iter().map(busybox_line));
        } else {
            let name = message.questions.first().map_or("", |at| at.name.trim_end_matches('.'));
            let _ = writeln!(text, "** server can't find {name}: {}", message.rcode);
            self.failed = true;
        }
        text.push('\n');
        os.write(Stream::Stdout, &text);
    }
}

fn bind_line(record: &Record) -> String {
    let owner = record.owner.trim_end_matches('.');
    match &record.data {
        RData::A(ip) => format!("Name:\t{owner}\nAddress: {ip}\n"),
        RData::Aaaa(ip) => format!("Name:\t{owner}\nAddress: {ip}\n"),
        RData::Cname(name) => format!("{owner}\tcanonical name = {name}\n"),
        RData::Ptr(name) => format!("{owner}\tname = {name}\n"),
        RData::Ns(name) => format!("{owner}\tnameserver = {name}\n"),
        RData::Mx(preference, host) => format!("{owner}\tmail exchanger = {preference} {host}\n"),
        RData::Srv(..) => format!("{owner}\tservice = {}\n", record.data),
        RData::Txt(_) => format!("{owner}\ttext = {}\n", record.data),
        RData::Soa(server, mailbox, [serial, refresh, retry, expire, minimum]) => format!(
            "{owner}\n\torigin = {}\n\tmail addr = {}\n\tserial = {serial}\n\trefresh = {refresh}\n\tretry = {retry}\n\texpire = {expire}\n\tminimum = {minimum}\n",
            server.trim_end_matches('.'),
            mailbox.trim_end_matches('.')
        ),
        RData::Other(..) => format!("{owner}\trdata_{} = {}\n", record.kind().number(), record.data),
    }
}

fn busybox_line(record: &Record) -> String {
    let owner = record.owner.trim_end_matches('.');
    match &record.data {
        RData::A(_) | RData::Aaaa(_) => format!("Name:\t{owner}\nAddress: {}\n", record.data),
        RData::Cname(name) => format!("{owner}\tcanonical name = {}\n", name.trim_end_matches('.')),
        RData::Ptr(name) => format!("{owner}\tname = {}\n", name.trim_end_matches('.')),
        RData::Ns(name) => format!("{owner}\tnameserver = {}\n", name.trim_end_matches('.')),
        RData::Mx(..) => format!("{owner}\tmail exchanger = {}\n", record.data),
        RData::Srv(..) => format!("{owner}\tservice = {}\n", record.data),
        RData::Txt(_) => format!("{owner}\ttext = {}\n", record.data),
        RData::Soa(..) | RData::Other(..) => format!("{owner}\t{}\n", record.data),
    }
}

impl Process for Nslookup {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        let outcome = match wake {
            Wake::Start => {
                self.plan(os);
                self.send(os)
            }
            Wake::Interrupt => return os.exit(130),
            Wake::Terminate => return os.exit(143),
            Wake::Timer(_) | Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {
                self.ask.as_mut().and_then(|ask| ask.wake(os, &wake))
            }
        };
        if let Some(outcome) = outcome {
            self.decide(os, outcome);
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
