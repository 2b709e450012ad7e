//! `dig +trace`: from the root down, each zone's servers are asked in turn (`followup_lookup` of `dighost.c`). The names of
//! servers are looked up as every program looks names up; addresses beside them in a message are not used.

use super::dig::Dig;
use super::{Os, Server};
use crate::app::Wake;
use crate::base::Duration;
use crate::base::dns::{Question, RData, Record, Type};
use crate::cluster::dns::is_subdomain;
use crate::trace::Stream;
use crate::wire::dns::{Message, RD};

/// Timer of the moment when the names of servers are looked up.
const TIMER_FOLLOW: u32 = 1;
/// Most questions of one trace (`LOOKUP_LIMIT`).
const LIMIT: u32 = 64;

/// How far the trace has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    /// The zone whose servers are asked; nobody's yet where empty.
    zone: String,
    /// Names of the servers to be asked next.
    names: Vec<String>,
    /// What is said of the answer that named them, once they are known.
    received: String,
    count: u32,
}

/// What comes after an answer.
enum Next {
    /// These servers of this zone.
    Servers(String, Vec<String>),
    /// Nothing: the answer is there, or nobody leads on.
    End,
}

/// The servers that records name for a zone on the way to the name.
fn servers(records: &[Record], name: &str) -> Next {
    let mut zone = String::new();
    let mut names = Vec::new();
    for record in records.iter().filter(|record| is_subdomain(&record.owner, name)) {
        if let RData::Ns(host) = &record.data
            && (zone.is_empty() || zone.eq_ignore_ascii_case(&record.owner))
        {
            zone.clone_from(&record.owner);
            names.push(host.clone());
        }
    }
    if names.is_empty() { Next::End } else { Next::Servers(zone, names) }
}

impl Dig {
    /// The first question of a trace: who serves the root.
    pub(super) fn begin_trace(&mut self) -> Question {
        self.trace =
            Some(Trace { zone: String::new(), names: Vec::new(), received: String::new(), count: 0 });
        Question { name: ".".to_owned(), kind: Type::Ns }
    }

    /// Goes on after an answer that was printed; whether there is somebody to be asked next.
    pub(super) fn follow(&mut self, os: &mut dyn Os, message: &Message, received: &str) -> bool {
        let Some(name) = self.traced_name() else { return false };
        let Some(trace) = &mut self.trace else { return false };
        let is_root = trace.zone.is_empty();
        let next = match (is_root, message.answer.is_empty()) {
            (true, _) => servers(&message.answer, &name),
            (false, true) => servers(&message.authority, &name),
            (false, false) => Next::End,
        };
        let Next::Servers(zone, names) = next else { return false };
        if !is_root && zone.eq_ignore_ascii_case(&trace.zone) {
            os.write(Stream::Stdout, ";; BAD (HORIZONTAL) REFERRAL\n");
        } else if !is_root && !is_subdomain(&trace.zone, &zone) {
            os.write(Stream::Stdout, ";; BAD REFERRAL\n");
            return false;
        }
        trace.count += 1;
        if trace.count >= LIMIT {
            return false;
        }
        (trace.zone, trace.names) = (zone, names);
        received.clone_into(&mut trace.received);
        // A wake-up of its own: it may be undone until the names are known.
        os.set_timer(TIMER_FOLLOW, Duration::ZERO);
        true
    }

    /// Looks the servers' names up, and asks them.
    fn ask_followed(&mut self, os: &mut dyn Os) {
        let Some(Trace { names, received, .. }) = self.trace.clone() else { return };
        let mut servers = Vec::new();
        for name in &names {
            let bare = name.trim_end_matches('.');
            if let Some(address) = os.resolve(name) {
                servers.push(Server { name: bare.to_owned(), address });
            } else {
                let text = format!("couldn't get address for '{bare}': not found\n");
                os.write(Stream::Stdout, &text);
            }
        }
        if servers.is_empty() {
            let last = names.last().map_or("", |name| name.trim_end_matches('.'));
            os.write(Stream::Stderr, &format!("dig: couldn't get address for '{last}': no more\n"));
            return os.exit(1);
        }
        os.write(Stream::Stdout, &received);
        for place in 0..servers.len() - 1 {
            let other = place + os.random() as usize % (servers.len() - place);
            servers.swap(place, other);
        }
        self.ask_servers(os, servers);
    }

    fn ask_servers(&mut self, os: &mut dyn Os, servers: Vec<Server>) {
        let Some(mut asking) = self.asking_of_trace() else { return };
        asking.servers = servers;
        asking.set(RD, false);
        let Some(name) = self.traced_name() else { return };
        self.start(os, &asking, name);
    }

    /// What belongs to a trace of the wake-ups of the process.
    pub(super) fn wakes_trace(&mut self, os: &mut dyn Os, wake: &Wake) -> bool {
        let follows = *wake == Wake::Timer(TIMER_FOLLOW) && self.trace.is_some();
        if follows {
            self.ask_followed(os);
        }
        follows
    }
}
