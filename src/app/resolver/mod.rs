//! The resolver of the C library, which is part of every program: `getaddrinfo(3)` over real packets.
//!
//! glibc (`glibc`) asks one server after the other and both families at once from one socket; musl (`musl`) asks all
//! servers at once and takes the first answer. Both are held against the real libraries (`tests/live/resolver`).
//! *Simplified*: addresses of IPv6 are asked for, as on machines whose cards have link-local ones, and not used, as nothing
//! here speaks IPv6. Of musl this is 1.2.4 or later, which asks by TCP where an answer was cut.

mod conf;
mod glibc;
mod musl;
mod order;

pub use conf::{Candidate, Libc, Reader, ResolvConf};

use super::{Os, Wake};
use crate::base::dns::{RData, Record, Type};
use crate::base::{Ipv4Addr, SocketId};
use crate::wire::dns::Message;
use glibc::Glibc;
use musl::Musl;
pub use order::sort;
use std::net::IpAddr;

/// The timer of the resolver, apart from the program's own.
const TIMER: u32 = u32::MAX - 7;
const PORT: u16 = 53;

/// Why there is no address (`EAI_*` of `getaddrinfo(3)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gai {
    /// There is no such name.
    NoName,
    /// The name is there and has no address.
    NoData,
    /// The name servers could not be asked, or failed.
    Again,
}

/// Why a name was not found, by the library that looked it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// The reason.
    pub why: Gai,
    /// The library.
    pub libc: Libc,
}

impl NotFound {
    /// The library's text (`gai_strerror(3)`).
    pub fn text(self) -> &'static str {
        match (self.libc, self.why) {
            (Libc::Glibc, Gai::NoName) => "Name or service not known",
            (Libc::Glibc, Gai::NoData) => "No address associated with hostname",
            (Libc::Glibc, Gai::Again) => "Temporary failure in name resolution",
            (Libc::Musl, Gai::NoName) => "Name does not resolve",
            (Libc::Musl, Gai::NoData) => "Name has no usable address",
            (Libc::Musl, Gai::Again) => "Try again",
        }
    }
}

/// Why a name was not found, in the C library's words.
pub(super) fn why_not(os: &dyn Os, name: &str) -> &'static str {
    let failed = os.lookup(name).and_then(|outcome| outcome.as_ref().err());
    failed.map_or("Name or service not known", |why| why.text())
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Addresses of both families in the order in which they are to be tried (`getaddrinfo(3)`).
    #[default]
    Addresses,
    /// Those of IPv4, as they come (`gethostbyname2(3)` with `AF_INET`).
    V4,
    /// Those of IPv6, as they come.
    V6,
    /// The name of an address (`gethostbyaddr(3)`), by its name below `arpa.`.
    Name,
}

impl Wanted {
    fn kinds(self) -> &'static [Type] {
        match self {
            Self::Addresses => &[Type::A, Type::Aaaa],
            Self::V4 => &[Type::A],
            Self::V6 => &[Type::Aaaa],
            Self::Name => &[Type::Ptr],
        }
    }
}

/// What programs say of a name beyond ASCII that their locale cannot tell (`EAI_IDN_ENCODE`).
pub(super) const NOT_ENCODED: &str = "Parameter string not correctly encoded";

/// Whether the program's locale is one of UTF-8 (`setlocale(3)`). musl knows no other; a container that sets no variable is
/// in the locale `C`.
pub(super) fn has_utf8(os: &dyn Os) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| os.variable(name).filter(|text| !text.is_empty()));
    let set = set.unwrap_or_default().to_ascii_lowercase();
    let codeset = set.rsplit_once('.').map_or("", |(_, codeset)| codeset);
    os.libc() == Libc::Musl || matches!(codeset, "utf-8" | "utf8")
}

/// The name that a program asks for which has `AI_IDN` of glibc convert it; `None` where that cannot be done.
pub(super) fn with_idn(os: &dyn Os, name: &str) -> Option<String> {
    if name.is_ascii() || os.libc() == Libc::Musl {
        return Some(name.to_owned());
    }
    has_utf8(os).then(|| crate::base::idn::to_ascii(name))
}

/// Looks a name up that may be one beyond ASCII: the name that was asked for and its first address, or why there is none.
pub(super) fn resolve_with_idn(os: &mut dyn Os, name: &str) -> Result<(String, Ipv4Addr), &'static str> {
    let asked = with_idn(os, name).ok_or(NOT_ENCODED)?;
    let address = os.resolve(&asked);
    address.map(|address| (asked.clone(), address)).ok_or_else(|| why_not(os, &asked))
}

/// A name that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its addresses.
    pub all: Vec<IpAddr>,
    /// Those of IPv4; none where it has only such of IPv6.
    pub addresses: Vec<Ipv4Addr>,
    /// The name that they belong to, without its last dot.
    pub canonical: String,
    /// The names that led there.
    pub aliases: Vec<String>,
}

/// What a lookup came to.
pub type Outcome = Result<Found, NotFound>;

/// What glibc keeps from one lookup of a process to the next (`struct __res_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// It has seen a server that answers one of two questions only: the second one waits (`RES_SNGLKUP`).
    single_request: bool,
    /// And that did not help: each goes from a socket of its own (`RES_SNGLKUPREOP`).
    reopen: bool,
    /// The server that the next question begins with, where they rotate.
    next_server: Option<u32>,
}

/// A lookup under way.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The name that is looked up.
    pub name: String,
    /// What of it.
    pub wanted: Wanted,
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    Glibc(Box<Glibc>),
    Musl(Box<Musl>),
}

impl Resolver {
    /// Begins to look a name up; the outcome where there is one at once.
    pub fn start(
        os: &mut dyn Os,
        (name, wanted): (&str, Wanted),
        libc: Libc,
        memory: Memory,
    ) -> (Self, Option<Outcome>) {
        let text = os.read_file("/etc/resolv.conf").unwrap_or_default();
        let conf = ResolvConf::parse(&text, Reader::Libc(libc));
        let (engine, outcome) = match libc {
            Libc::Glibc => {
                let (engine, outcome) = Glibc::start(os, (name, wanted), conf, memory);
                (Engine::Glibc(Box::new(engine)), outcome)
            }
            Libc::Musl => {
                let (engine, outcome) = Musl::start(os, (name, wanted), conf);
                (Engine::Musl(Box::new(engine)), outcome)
            }
        };
        let resolver = Self { name: name.to_owned(), wanted, engine };
        let outcome = resolver.ordered(os, outcome);
        (resolver, outcome)
    }

    /// What the next lookup of the process begins with.
    pub fn memory(&self) -> Memory {
        match &self.engine {
            Engine::Glibc(glibc) => glibc.memory(),
            Engine::Musl(_) => Memory::default(),
        }
    }

    /// Whether a wake-up is for the resolver.
    pub fn owns(&self, wake: &Wake) -> bool {
        match wake {
            Wake::Timer(token) => *token == TIMER,
            Wake::Readable(socket) | Wake::Writable(socket) => match &self.engine {
                Engine::Glibc(glibc) => glibc.owns(*socket),
                Engine::Musl(musl) => musl.owns(*socket),
            },
            Wake::Start | Wake::Terminate | Wake::Interrupt | Wake::Input => false,
        }
    }

    /// Gives up.
    pub fn close(&mut self, os: &mut dyn Os) {
        os.cancel_timer(TIMER);
        match &mut self.engine {
            Engine::Glibc(glibc) => glibc.close_all(os),
            Engine::Musl(musl) => musl.close_all(os),
        }
    }

    /// Puts addresses into the order in which programs try them, where that was asked for.
    fn ordered(&self, os: &dyn Os, mut outcome: Option<Outcome>) -> Option<Outcome> {
        if let (Some(Ok(found)), Wanted::Addresses) = (&mut outcome, self.wanted) {
            let libc = match &self.engine {
                Engine::Glibc(_) => Libc::Glibc,
                Engine::Musl(_) => Libc::Musl,
            };
            sort(os, libc, &mut found.all);
            found.addresses = v4(&found.all);
        }
        outcome
    }

    /// Goes on.
    pub fn wake(&mut self, os: &mut dyn Os, wake: &Wake) -> Option<Outcome> {
        let outcome = self.go_on(os, wake);
        self.ordered(os, outcome)
    }

    fn go_on(&mut self, os: &mut dyn Os, wake: &Wake) -> Option<Outcome> {
        match (&mut self.engine, wake) {
            (Engine::Glibc(glibc), Wake::Timer(_)) => glibc.timer(os),
            (Engine::Glibc(glibc), Wake::Readable(socket)) => glibc.readable(os, *socket),
            (Engine::Glibc(glibc), Wake::Writable(socket)) => glibc.writable(os, *socket),
            (Engine::Musl(musl), Wake::Timer(_)) => musl.timer(os),
            (Engine::Musl(musl), Wake::Readable(socket)) => musl.readable(os, *socket),
            (Engine::Musl(musl), Wake::Writable(socket)) => musl.writable(os, *socket),
            (_, Wake::Start | Wake::Terminate | Wake::Interrupt | Wake::Input) => None,
        }
    }
}

fn v4(addresses: &[IpAddr]) -> Vec<Ipv4Addr> {
    let v4 = addresses.iter().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None });
    v4.collect()
}

/// The addresses that the answers hold, or the name of one, in order and each once; nothing where there is none.
fn addresses(answers: &[&Message]) -> Option<Found> {
    let records: Vec<&Record> = answers.iter().flat_map(|message| &message.answer).collect();
    let mut found =
        Found { all: Vec::new(), addresses: Vec::new(), canonical: String::new(), aliases: Vec::new() };
    let mut owner = None;
    for record in records {
        match &record.data {
            RData::A(_) | RData::Aaaa(_) => {
                let ip = record.ip().filter(|ip| !found.all.contains(ip));
                found.all.extend(ip);
                owner.get_or_insert(&record.owner);
            }
            RData::Ptr(name) => {
                owner.get_or_insert(name);
            }
            RData::Cname(_) => {
                let alias = record.owner.trim_end_matches('.').to_owned();
                if !found.aliases.contains(&alias) {
                    found.aliases.push(alias);
                }
            }
            RData::Ns(_)
            | RData::Mx(..)
            | RData::Srv(..)
            | RData::Txt(_)
            | RData::Soa(..)
            | RData::Other(..) => {}
        }
    }
    owner?.trim_end_matches('.').clone_into(&mut found.canonical);
    found.addresses = v4(&found.all);
    Some(found)
}

/// A message as a connection carries it (RFC 1035 section 4.2.2).
fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut out = (bytes.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// Takes the whole messages from the front of what a connection brought.
pub(super) fn take_messages(input: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let [high, low, rest @ ..] = input.as_slice() {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(message) = rest.get(..len) else { break };
        messages.push(message.to_vec());
        input.drain(..len + 2);
    }
    messages
}

/// Closes a socket, if there is one.
fn close(os: &mut dyn Os, socket: &mut Option<SocketId>) {
    if let Some(socket) = socket.take() {
        os.close(socket);
    }
}
