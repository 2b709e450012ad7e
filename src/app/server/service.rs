//! What is said on a connection or in a datagram, for each kind of service.

use super::site::Answer;
use super::{Health, Serving, Site};
use crate::app::http::{Head, Length};
use crate::app::{Os, grpc};
use crate::base::{Duration, SimTime};
use crate::cluster::dns::outside::Outside;
use crate::wire::dns::{self, Edns, Message};
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// What a listener serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serve {
    /// HTTP.
    Http(Site),
    /// HTTP with TLS, with a certificate that the program signed itself.
    Https(Site),
    /// gRPC's health protocol.
    Grpc(Health),
    /// It sends back what it gets (RFC 862).
    Echo,
    /// It takes what comes and says nothing (RFC 863).
    Silent,
    /// It says this at once and closes.
    Say(String),
    /// `agnhost netexec` over UDP: `hostname`, `echo TEXT`, `clientip`.
    Netexec,
    /// The protocol of Redis: `PING`, `ECHO`, `SET`, `GET`, `DEL`, `EXISTS`, `INCR`, `DBSIZE`, `QUIT`; inline and RESP.
    Redis,
    /// The protocol of `PostgreSQL` as far as its first answers: no TLS, and a password is asked for.
    Postgres,
    /// Names of a server outside of the cluster.
    Dns(Arc<Outside>),
    /// The text protocol of memcached: `set`, `get`, `delete`, `version`, `quit`.
    Memcached,
}

/// Where a connection stands in its protocol.
#[derive(Clone, Debug)]
pub(super) enum Talk {
    Http(Box<Http>),
    Grpc(Box<grpc::Server>),
    Echo,
    Silent,
    Redis(BTreeMap<String, String>),
    Postgres,
    Dns,
    Memcached(BTreeMap<String, String>),
}

/// A connection that speaks HTTP.
#[derive(Clone, Debug)]
pub(super) struct Http {
    peer: SocketAddrV4,
    asked: Option<(Head, Length)>,
    /// Bytes after which the next piece is sent by itself.
    cuts: Vec<usize>,
    exits: Option<u8>,
    tells: Option<Serving>,
}

impl Serve {
    /// The program starts.
    pub(super) fn starts(&mut self, now: SimTime) {
        match self {
            Self::Grpc(health) => health.since = now,
            Self::Http(site) | Self::Https(site) => site.flavor.starts(now),
            Self::Echo
            | Self::Silent
            | Self::Say(_)
            | Self::Netexec
            | Self::Redis
            | Self::Postgres
            | Self::Dns(_)
            | Self::Memcached => {}
        }
    }

    /// What it serves over gRPC is told how it is.
    pub(super) fn becomes(&mut self, state: Serving) {
        if let Self::Grpc(health) = self {
            (health.state, health.fails_after) = (state, None);
        }
    }

    /// A connection begins: its state, and what the server says first.
    pub(super) fn greet(&self, _os: &mut dyn Os, peer: SocketAddrV4) -> (Talk, Vec<u8>) {
        let talk = match self {
            Self::Http(_) | Self::Https(_) => Talk::Http(Box::new(Http::new(peer))),
            Self::Grpc(_) => {
                let mut server = grpc::Server::new();
                let greeting = server.take_output();
                return (Talk::Grpc(Box::new(server)), greeting);
            }
            Self::Echo => Talk::Echo,
            Self::Silent | Self::Netexec | Self::Say(_) => Talk::Silent,
            Self::Redis => Talk::Redis(BTreeMap::new()),
            Self::Postgres => Talk::Postgres,
            Self::Dns(_) => Talk::Dns,
            Self::Memcached => Talk::Memcached(BTreeMap::new()),
        };
        let greeting = if let Self::Say(text) = self { text.clone().into_bytes() } else { Vec::new() };
        (talk, greeting)
    }

    /// How long a connection may be idle.
    pub(super) fn idle_limit(&self) -> Option<Duration> {
        match self {
            Self::Http(site) | Self::Https(site) => site.flavor.idle_limit(),
            Self::Grpc(_)
            | Self::Echo
            | Self::Silent
            | Self::Say(_)
            | Self::Netexec
            | Self::Redis
            | Self::Postgres
            | Self::Dns(_)
            | Self::Memcached => None,
        }
    }

    /// The answer to a datagram.
    pub(super) fn datagram(&self, os: &mut dyn Os, from: SocketAddrV4, data: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Echo => Some(data.to_vec()),
            Self::Say(text) => Some(text.clone().into_bytes()),
            Self::Netexec => {
                let text = String::from_utf8_lossy(data);
                let (word, rest) = text.trim_end().split_once(' ').unwrap_or((text.trim_end(), ""));
                match word.to_ascii_lowercase().as_str() {
                    "hostname" => Some(super::site::hostname(os).into_bytes()),
                    "clientip" => Some(from.to_string().into_bytes()),
                    "echo" => Some(rest.as_bytes().to_vec()),
                    _ => None,
                }
            }
            Self::Dns(outside) => dns(outside, data, false),
            Self::Http(_)
            | Self::Https(_)
            | Self::Grpc(_)
            | Self::Silent
            | Self::Redis
            | Self::Postgres
            | Self::Memcached => None,
        }
    }
}

/// The answer to a DNS message, compressed as BIND and dnsmasq do it.
fn dns(outside: &Outside, bytes: &[u8], is_tcp: bool) -> Option<Vec<u8>> {
    let message = Message::parse(bytes).ok().filter(|message| !message.has(dns::QR))?;
    let answer = outside.answer(message.questions.first()?);
    let mut reply = message.reply();
    reply.rcode = answer.rcode;
    reply.set(dns::AA, answer.authoritative);
    reply.set(dns::RA, answer.recursion_available);
    (reply.answer, reply.authority, reply.additional) = (answer.answer, answer.authority, answer.additional);
    let size = message.edns.as_ref().map_or(512, |edns| edns.udp_size.max(512));
    reply.edns = message.edns.map(|_| Edns { udp_size: 1232, ..Edns::default() });
    reply.truncate(if is_tcp { usize::from(u16::MAX) } else { usize::from(size) }).ok()?;
    reply.to_bytes(true).ok()
}

impl Talk {
    /// Takes input and adds to the output; whether the connection is closed after it.
    pub(super) fn take(
        &mut self,
        os: &mut dyn Os,
        serve: &Serve,
        input: &mut Vec<u8>,
        output: &mut Vec<u8>,
    ) -> bool {
        match self {
            Self::Http(http) => {
                let (Serve::Http(site) | Serve::Https(site)) = serve else { return true };
                http.take(os, site, input, output)
            }
            Self::Grpc(server) => {
                let Serve::Grpc(health) = serve else { return true };
                health.take(os, server, input, output)
            }
            Self::Echo => {
                output.append(input);
                false
            }
            Self::Silent => {
                input.clear();
                matches!(serve, Serve::Say(_))
            }
            Self::Redis(store) => redis(store, input, output),
            Self::Postgres => postgres(input, output),
            Self::Dns => {
                let Serve::Dns(outside) = serve else { return true };
                while let [high, low, rest @ ..] = input.as_slice() {
                    let len = usize::from(u16::from_be_bytes([*high, *low]));
                    let Some(message) = rest.get(..len) else { break };
                    if let Some(answer) = dns(outside, message, true) {
                        output.extend_from_slice(&(answer.len() as u16).to_be_bytes());
                        output.extend_from_slice(&answer);
                    }
                    input.drain(..len + 2);
                }
                false
            }
            Self::Memcached(store) => memcached(store, input, output),
        }
    }

    /// Cuts output into the pieces that the program writes one by one.
    pub(super) fn pieces(&mut self, output: &mut Vec<u8>) -> Vec<Vec<u8>> {
        let mut rest = std::mem::take(output);
        let mut pieces = Vec::new();
        if let Self::Http(http) = self {
            let mut done = 0;
            for cut in std::mem::take(&mut http.cuts) {
                let at = cut.saturating_sub(done).min(rest.len());
                let tail = rest.split_off(at);
                pieces.push(std::mem::replace(&mut rest, tail));
                done = cut;
            }
        }
        pieces.push(rest);
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    /// The status that a request asked the program to end with.
    pub(super) fn exits(&self) -> Option<u8> {
        if let Self::Http(http) = self { http.exits } else { None }
    }

    /// What a request told the program to say of itself over gRPC.
    pub(super) fn tells(&mut self) -> Option<Serving> {
        if let Self::Http(http) = self { http.tells.take() } else { None }
    }
}

impl Http {
    fn new(peer: SocketAddrV4) -> Self {
        Self { peer, asked: None, cuts: Vec::new(), exits: None, tells: None }
    }

    fn take(&mut self, os: &mut dyn Os, site: &Site, input: &mut Vec<u8>, output: &mut Vec<u8>) -> bool {
        loop {
            if self.asked.is_none() {
                let Some((head, len)) = Head::read(input) else {
                    // A first line that is no request is refused without waiting for more.
                    let refused = site.refuses_line(input);
                    if let Some(line) = refused {
                        input.clear();
                        self.answer(output, &site.bad_request(os, self.peer, &line));
                        return true;
                    }
                    return false;
                };
                input.drain(..len);
                let length = Length::of_request(&head);
                self.asked = Some((head, length));
            }
            let Some((_, length)) = &mut self.asked else { return false };
            length.take(input);
            if !length.is_over() {
                return false;
            }
            let Some((head, _)) = self.asked.take() else { return false };
            let answer = site.answer(os, self.peer, &head);
            (self.exits, self.tells) = (answer.exits, answer.tells);
            let closes = answer.closes;
            self.answer(output, &answer);
            if closes || self.exits.is_some() {
                return true;
            }
        }
    }

    fn answer(&mut self, output: &mut Vec<u8>, answer: &Answer) {
        output.extend_from_slice(answer.head.as_bytes());
        if answer.in_two {
            self.cuts.push(output.len());
        }
        output.extend_from_slice(answer.body.as_bytes());
    }
}

/// Takes a line without its end.
fn line(input: &mut Vec<u8>) -> Option<String> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let line: Vec<u8> = input.drain(..=end).collect();
    Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
}

/// A Redis command: inline words, or an array of bulk strings. `None` where it has not all come.
fn redis_command(input: &mut Vec<u8>) -> Option<Vec<String>> {
    if input.first() != Some(&b'*') {
        return Some(line(input)?.split_whitespace().map(str::to_owned).collect());
    }
    let mut rest = input.clone();
    let count: usize = line(&mut rest)?.get(1..)?.parse().ok()?;
    let mut words = Vec::new();
    for _ in 0..count {
        let len: usize = line(&mut rest)?.get(1..)?.parse().ok()?;
        if rest.len() < len + 2 {
            return None;
        }
        words.push(String::from_utf8_lossy(&rest[..len]).into_owned());
        rest.drain(..len + 2);
    }
    *input = rest;
    Some(words)
}

fn redis(store: &mut BTreeMap<String, String>, input: &mut Vec<u8>, output: &mut Vec<u8>) -> bool {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    while let Some(words) = redis_command(input) {
        let Some(name) = words.first() else { continue };
        let args: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let answer = match (name.to_ascii_uppercase().as_str(), args.as_slice()) {
            ("PING", []) => "+PONG\r\n".to_owned(),
            ("PING" | "ECHO", [text]) => bulk(text),
            ("SET", [key, value]) => {
                store.insert((*key).to_owned(), (*value).to_owned());
                "+OK\r\n".to_owned()
            }
            ("GET", [key]) => store.get(*key).map_or("$-1\r\n".to_owned(), |value| bulk(value)),
            ("DEL", keys) => {
                let n = keys.iter().filter(|key| store.remove(**key).is_some()).count();
                format!(":{n}\r\n")
            }
            ("EXISTS", keys) => {
                format!(":{}\r\n", keys.iter().filter(|key| store.contains_key(**key)).count())
            }
            ("INCR", [key]) => match store.get(*key).map_or(Ok(0), |value| value.parse::<i64>()) {
                Ok(value) => {
                    store.insert((*key).to_owned(), (value + 1).to_string());
                    format!(":{}\r\n", value + 1)
                }
                Err(_) => "-ERR value is not an integer or out of range\r\n".to_owned(),
            },
            ("DBSIZE", []) => format!(":{}\r\n", store.len()),
            ("COMMAND" | "CLIENT" | "CONFIG", _) => "*0\r\n".to_owned(),
            ("QUIT", _) => {
                output.extend_from_slice(b"+OK\r\n");
                return true;
            }
            ("PING" | "ECHO" | "SET" | "GET" | "INCR" | "DBSIZE", _) => {
                format!("-ERR wrong number of arguments for '{}' command\r\n", name.to_ascii_lowercase())
            }
            _ => format!("-ERR unknown command '{name}', with args beginning with: \r\n"),
        };
        output.extend_from_slice(answer.as_bytes());
    }
    false
}

/// Start-up messages: TLS is refused with `N`, then a password is asked for, which is never right.
fn postgres(input: &mut Vec<u8>, output: &mut Vec<u8>) -> bool {
    const TLS: [u8; 4] = [0x04, 0xd2, 0x16, 0x2f];
    while input.len() >= 8 {
        let typed = input[0] != 0;
        let at = usize::from(typed);
        let mut len = [0; 4];
        len.copy_from_slice(&input[at..at + 4]);
        let len = at + u32::from_be_bytes(len) as usize;
        if input.len() < len || len < 8 {
            return len < 8;
        }
        let message: Vec<u8> = input.drain(..len).collect();
        if typed {
            let text = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0";
            output.push(b'E');
            output.extend_from_slice(&(text.len() as u32 + 4).to_be_bytes());
            output.extend_from_slice(text);
            return true;
        }
        if message[4..8] == TLS {
            output.push(b'N');
        } else {
            // AuthenticationCleartextPassword.
            output.extend_from_slice(b"R\0\0\0\x08\0\0\0\x03");
        }
    }
    false
}

fn memcached(store: &mut BTreeMap<String, String>, input: &mut Vec<u8>, output: &mut Vec<u8>) -> bool {
    loop {
        let mut rest = input.clone();
        let Some(command) = line(&mut rest) else { return false };
        let words: Vec<&str> = command.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["set", key, flags, _expiry, len] => {
                let Ok(len) = len.parse::<usize>() else { return true };
                if rest.len() < len + 2 {
                    return false;
                }
                let value = String::from_utf8_lossy(&rest[..len]).into_owned();
                rest.drain(..len + 2);
                store.insert((*key).to_owned(), format!("{flags} {len}\r\n{value}"));
                "STORED\r\n".to_owned()
            }
            ["get", keys @ ..] => {
                let found = keys.iter().filter_map(|key| store.get(*key).map(|value| (key, value)));
                let values: Vec<String> =
                    found.map(|(key, value)| format!("VALUE {key} {value}\r\n")).collect();
                values.concat() + "END\r\n"
            }
            ["delete", key] => {
                if store.remove(*key).is_some() { "DELETED\r\n" } else { "NOT_FOUND\r\n" }.to_owned()
            }
            ["version"] => "VERSION 1.6.18\r\n".to_owned(),
            ["quit"] => return true,
            _ => "ERROR\r\n".to_owned(),
        };
        *input = rest;
        output.extend_from_slice(answer.as_bytes());
    }
}
