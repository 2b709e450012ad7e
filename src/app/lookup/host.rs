//! `host` of BIND 9.18.

use super::{Ask, Outcome, conf};
use crate::app::resolver::Libc;
use crate::app::{Os, Process, Wake};
use crate::base::Ipv4Addr;
use crate::base::dns::{Question, RData, Rcode, Record, Type, reverse_name};
use crate::trace::Stream;
use crate::wire::dns::Message;
use std::net::SocketAddrV4;

/// A running `host`.
#[derive(Clone, Debug)]
pub struct Host {
    /// Name or address.
    pub name: String,
    /// The types that are asked for, where the command line names one.
    pub kind: Option<Type>,
    /// The server, where the command line names one.
    pub server: Option<Ipv4Addr>,
    /// Names of the search list that are still to be tried, and types still to be asked for.
    names: Vec<String>,
    kinds: Vec<Type>,
    ask: Option<Ask>,
}

impl Host {
    /// A program that has not begun yet.
    pub fn new(name: String, kind: Option<Type>, server: Option<Ipv4Addr>) -> Self {
        Self { name, kind, server, names: Vec::new(), kinds: Vec::new(), ask: None }
    }

    fn send(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        let conf = conf(os);
        let servers = self.server.map_or(conf.servers, |server| vec![server]);
        let servers = servers.into_iter().map(|ip| SocketAddrV4::new(ip, 53)).collect();
        let (Some(name), Some(&kind)) = (self.names.first().cloned(), self.kinds.first()) else {
            os.exit(0);
            return None;
        };
        let message = Message::query(os.random() as u16, Question { name, kind });
        let mut ask = Ask::new(message, servers, (5, 2), false);
        let outcome = ask.start(os);
        self.ask = Some(ask);
        outcome
    }

    fn decide(&mut self, os: &mut dyn Os, outcome: Outcome) {
        let mut next = Some(outcome);
        while let Some(outcome) = next.take() {
            let Outcome::Answer(transfer) = outcome else {
                let errors = self.ask.as_ref().map(|ask| ask.errors.clone()).unwrap_or_default();
                let text: String =
                    errors.iter().map(|error| format!(";; {error}\n")).collect::<Vec<_>>().concat();
                os.write(Stream::Stdout, &format!("{text};; no servers could be reached\n"));
                return os.exit(1);
            };
            let message = &transfer.message;
            if message.rcode != Rcode::NoError {
                // Another name of the search list may be there.
                if message.rcode == Rcode::NxDomain && self.names.len() > 1 {
                    self.names.remove(0);
                    next = self.send(os);
                    continue;
                }
                let (name, rcode) = (&self.name, message.rcode);
                let text = format!("Host {name} not found: {}({rcode})\n", rcode.number());
                os.write(Stream::Stdout, &text);
                return os.exit(1);
            }
            if message.answer.is_empty() && self.names.len() > 1 {
                self.names.remove(0);
                next = self.send(os);
                continue;
            }
            self.names.truncate(1);
            let text: String = message.answer.iter().map(line).collect();
            os.write(Stream::Stdout, &text);
            self.kinds.remove(0);
            next = self.send(os);
        }
    }
}

fn line(record: &Record) -> String {
    let owner = record.owner.trim_end_matches('.');
    let text = match &record.data {
        RData::A(ip) => format!("{owner} has address {ip}"),
        RData::Aaaa(ip) => format!("{owner} has IPv6 address {ip}"),
        RData::Cname(name) => format!("{owner} is an alias for {name}"),
        RData::Ptr(name) => format!("{owner} domain name pointer {name}"),
        RData::Ns(name) => format!("{owner} name server {name}"),
        RData::Mx(preference, host) => format!("{owner} mail is handled by {preference} {host}"),
        RData::Srv(..) => format!("{owner} has SRV record {}", record.data),
        RData::Txt(_) => format!("{owner} descriptive text {}", record.data),
        RData::Soa(..) => format!("{owner} has SOA record {}", record.data),
        RData::Other(..) => format!("{owner} has {} record {}", record.kind(), record.data),
    };
    text + "\n"
}

impl Process for Host {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        let outcome = match wake {
            Wake::Start => {
                if let Ok(ip) = self.name.parse::<Ipv4Addr>() {
                    self.names = vec![reverse_name(ip.into())];
                    self.kinds = vec![Type::Ptr];
                } else {
                    self.names = conf(os).candidates(&self.name, Libc::Glibc);
                    let all = || vec![Type::A, Type::Aaaa, Type::Mx];
                    self.kinds = self.kind.map_or_else(all, |kind| vec![kind]);
                }
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
