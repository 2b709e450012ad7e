//! The filters of `ss`: states, and expressions over addresses and ports (`ssfilter.y`).

use super::CONNECTED;
use crate::app::Transport;
use crate::app::services::service_port;
use crate::base::Ipv4Net;
use crate::trace::{SocketRow, SocketState};
use std::cmp::Ordering;
use std::net::SocketAddrV4;

/// Which sockets are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    All,
    Not(Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    /// Whether the far end is meant, the order wanted (`None` for unequal), and the port.
    Port(bool, Compare, u16),
    /// Whether the far end is meant, the addresses, and the port.
    Host(bool, Ipv4Net, Option<u16>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Unequal,
    AtLeast,
    AtMost,
    Greater,
    Less,
}

impl Filter {
    /// Whether a socket is wanted.
    pub(super) fn fits(&self, row: &SocketRow) -> bool {
        let end = |far: bool| -> SocketAddrV4 { if far { row.remote } else { row.local } };
        match self {
            Self::All => true,
            Self::Not(inner) => !inner.fits(row),
            Self::And(a, b) => a.fits(row) && b.fits(row),
            Self::Or(a, b) => a.fits(row) || b.fits(row),
            Self::Port(far, compare, port) => {
                let order = end(*far).port().cmp(port);
                match compare {
                    Compare::Equal => order == Ordering::Equal,
                    Compare::Unequal => order != Ordering::Equal,
                    Compare::AtLeast => order != Ordering::Less,
                    Compare::AtMost => order != Ordering::Greater,
                    Compare::Greater => order == Ordering::Greater,
                    Compare::Less => order == Ordering::Less,
                }
            }
            Self::Host(far, net, port) => {
                let addr = end(*far);
                net.contains(addr.ip()) && port.is_none_or(|port| addr.port() == port)
            }
        }
    }
}

/// Why a filter cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The grammar does not allow it: the usage follows.
    Syntax,
    /// A state of no such name.
    State(String),
    /// An address, a port, or something missing.
    Text(String),
}

fn wrong_address(word: &str) -> Wrong {
    let addr = word.rsplit_once(':').map_or(word, |(addr, _)| addr);
    Wrong::Text(format!(
        "Error: an inet prefix is expected rather than \"{addr}\".\nCannot parse dst/src address.\n"
    ))
}

/// Reads the words after the options. States change what is listed at all.
pub(super) fn read(words: &[String], states: &mut Vec<SocketState>) -> Result<Filter, Wrong> {
    if matches!(words, [only] if only == "state" || only == "exclude") {
        return Err(Wrong::State("Command line is not complete. Try option \"help\"\n".to_owned()));
    }
    let mut rest = words;
    let mut is_first = true;
    while let [keyword @ ("state" | "exclude"), name, tail @ ..] =
        rest.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
    {
        let named = states_of(name).ok_or_else(|| Wrong::State(format!("ss: wrong state name: {name}\n")))?;
        if *keyword == "state" {
            if std::mem::take(&mut is_first) {
                states.clear();
            }
            let known = states.clone();
            states.extend(named.into_iter().filter(|state| !known.contains(state)));
        } else {
            if std::mem::take(&mut is_first) {
                *states = ALL.to_vec();
            }
            states.retain(|state| !named.contains(state));
        }
        rest = &rest[rest.len() - tail.len()..];
    }
    let tokens = tokens(&rest.join(" "));
    if tokens.is_empty() {
        return Ok(Filter::All);
    }
    let mut parser = Parser { tokens, at: 0 };
    let filter = parser.either()?;
    if parser.at < parser.tokens.len() {
        return Err(Wrong::Syntax);
    }
    Ok(filter)
}

pub(super) const ALL: [SocketState; 11] = [
    SocketState::Established,
    SocketState::SynSent,
    SocketState::SynRecv,
    SocketState::FinWait1,
    SocketState::FinWait2,
    SocketState::TimeWait,
    SocketState::Close,
    SocketState::CloseWait,
    SocketState::LastAck,
    SocketState::Listen,
    SocketState::Closing,
];

fn states_of(name: &str) -> Option<Vec<SocketState>> {
    Some(match name {
        "established" | "estab" => vec![SocketState::Established],
        "syn-sent" => vec![SocketState::SynSent],
        "syn-recv" => vec![SocketState::SynRecv],
        "fin-wait-1" => vec![SocketState::FinWait1],
        "fin-wait-2" => vec![SocketState::FinWait2],
        "time-wait" => vec![SocketState::TimeWait],
        "closed" | "close" | "unconnected" => vec![SocketState::Close],
        "close-wait" => vec![SocketState::CloseWait],
        "last-ack" => vec![SocketState::LastAck],
        "listening" | "listen" => vec![SocketState::Listen],
        "closing" => vec![SocketState::Closing],
        "all" => ALL.to_vec(),
        "connected" => ALL
            .iter()
            .copied()
            .filter(|state| !matches!(state, SocketState::Close | SocketState::Listen))
            .collect(),
        "synchronized" => CONNECTED.iter().copied().filter(|state| *state != SocketState::SynSent).collect(),
        "bucket" => vec![SocketState::SynRecv, SocketState::TimeWait],
        "big" => ALL
            .iter()
            .copied()
            .filter(|state| !matches!(state, SocketState::SynRecv | SocketState::TimeWait))
            .collect(),
        _ => return None,
    })
}

fn tokens(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '(' | ')' => {
                out.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                out.push(letter.to_string());
            }
            '=' | '!' | '<' | '>' | '&' | '|' => {
                out.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                let mut op = letter.to_string();
                op.extend(letters.next_if(|next| "=&|".contains(*next)));
                out.push(op);
            }
            ' ' => out.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            _ => word.push(letter),
        }
    }
    out.extend((!word.is_empty()).then_some(word));
    out
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().unwrap_or_default()
    }

    fn either(&mut self) -> Result<Filter, Wrong> {
        let mut left = self.both()?;
        while matches!(self.peek(), "or" | "|" | "||") {
            self.next();
            left = Filter::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Filter, Wrong> {
        let mut left = self.one()?;
        loop {
            match self.peek() {
                "and" | "&" | "&&" => {
                    self.next();
                }
                "" | ")" | "or" | "|" | "||" => return Ok(left),
                _ => {}
            }
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
    }

    fn one(&mut self) -> Result<Filter, Wrong> {
        match self.next().as_str() {
            "not" | "!" => Ok(Filter::Not(Box::new(self.one()?))),
            "(" => {
                let inner = self.either()?;
                if self.next() == ")" { Ok(inner) } else { Err(Wrong::Syntax) }
            }
            name @ ("sport" | "dport") => self.port(name == "dport"),
            name @ ("src" | "dst") => {
                if matches!(self.peek(), "=" | "==" | "eq") {
                    self.next();
                }
                let negative = matches!(self.peek(), "!=" | "ne");
                if negative {
                    self.next();
                }
                let host = self.host(name == "dst")?;
                Ok(if negative { Filter::Not(Box::new(host)) } else { host })
            }
            "" | ")" | "=" | "and" | "or" => Err(Wrong::Syntax),
            // Any other word is an address, of either end.
            word => Err(wrong_address(word)),
        }
    }

    fn host(&mut self, far: bool) -> Result<Filter, Wrong> {
        let word = self.next();
        if word.is_empty() {
            return Err(Wrong::Syntax);
        }
        host(&word, far).ok_or_else(|| wrong_address(&word))
    }

    fn number(&mut self) -> Result<u16, Wrong> {
        let word = self.next();
        let bare = word.trim_start_matches(':');
        let text =
            || format!("Error: \"{bare}\" does not look like a port.\nCannot parse dst/src address.\n");
        match word.as_str() {
            "" => Err(Wrong::Syntax),
            _ => port(&word).ok_or_else(|| Wrong::Text(text())),
        }
    }

    fn port(&mut self, far: bool) -> Result<Filter, Wrong> {
        let compare = match self.peek() {
            "=" | "==" | "eq" => Compare::Equal,
            "!=" | "ne" | "neq" => Compare::Unequal,
            ">=" | "ge" | "geq" => Compare::AtLeast,
            "<=" | "le" | "leq" => Compare::AtMost,
            ">" | "gt" => Compare::Greater,
            "<" | "lt" => Compare::Less,
            _ => return Ok(Filter::Port(far, Compare::Equal, self.number()?)),
        };
        self.next();
        Ok(Filter::Port(far, compare, self.number()?))
    }
}

fn port(text: &str) -> Option<u16> {
    let text = text.trim_start_matches(':');
    text.parse()
        .ok()
        .or_else(|| service_port(text, Transport::Tcp))
        .or_else(|| service_port(text, Transport::Udp))
}

fn host(text: &str, far: bool) -> Option<Filter> {
    let (addr, number) = match text.rsplit_once(':') {
        Some((addr, number)) => (addr, Some(port(number)?)),
        None => (text, None),
    };
    let net = match addr {
        "" | "*" => Ipv4Net::default(),
        _ => addr.parse().ok().or_else(|| format!("{addr}/32").parse().ok())?,
    };
    Some(Filter::Host(far, net.trunc(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut states = Vec::new();
        let found =
            read(&words, &mut states).map_or_else(|_| "wrong".to_owned(), |filter| format!("{filter:?}"));
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn filters_are_read() {
        check("sport = :80", "Port(false, Equal, 80)");
        check("sport = :http", "Port(false, Equal, 80)");
        check("( dport = :443 or dport >= 8000 )", "Or(Port(true, Equal, 443), Port(true, AtLeast, 8000))");
        check("not src 10.0.0.0/8", "Not(Host(false, 10.0.0.0/8, None))");
        check("dst 10.1.2.3:80", "Host(true, 10.1.2.3/32, Some(80))");
        check("sport = :80 and (", "wrong");
    }

    #[test]
    fn states_are_named() {
        let mut states = CONNECTED.to_vec();
        let words = ["state", "listening", "state", "time-wait"].map(str::to_owned);
        assert_eq!(read(&words, &mut states), Ok(Filter::All));
        assert_eq!(states, [SocketState::Listen, SocketState::TimeWait]);
    }
}
