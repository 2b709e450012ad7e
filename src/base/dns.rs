//! What DNS messages speak of (RFC 1035): questions, records and their data. Names are text in the form of zone files,
//! each with its last dot; a dot or backslash inside a label is escaped with a backslash (RFC 1035 section 5.1).

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest label in bytes (RFC 1035 section 2.3.4).
pub const LABEL_MAX: usize = 63;
/// Longest name on the wire in bytes, its length bytes included (RFC 1035 section 2.3.4).
pub const NAME_MAX: usize = 255;

/// Type of a question or record (RFC 1035 section 3.2.2, RFC 2782, RFC 3596).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Another name of the same.
    Cname,
    /// Name of an address.
    Ptr,
    /// Place of a service.
    Srv,
    /// Text.
    Txt,
    /// Start of a zone.
    Soa,
    /// Name server of a zone.
    Ns,
    /// Mail exchange.
    Mx,
    /// Any other type, by number.
    Other(u16),
}

/// Types with their numbers and names. Those that are not in [`Type`] by name are known by number only.
const TYPES: [(Type, u16, &str); 30] = [
    (Type::A, 1, "A"),
    (Type::Ns, 2, "NS"),
    (Type::Cname, 5, "CNAME"),
    (Type::Soa, 6, "SOA"),
    (Type::Ptr, 12, "PTR"),
    (Type::Other(13), 13, "HINFO"),
    (Type::Mx, 15, "MX"),
    (Type::Txt, 16, "TXT"),
    (Type::Other(17), 17, "RP"),
    (Type::Aaaa, 28, "AAAA"),
    (Type::Other(29), 29, "LOC"),
    (Type::Srv, 33, "SRV"),
    (Type::Other(35), 35, "NAPTR"),
    (Type::Other(39), 39, "DNAME"),
    (Type::Other(41), 41, "OPT"),
    (Type::Other(43), 43, "DS"),
    (Type::Other(44), 44, "SSHFP"),
    (Type::Other(46), 46, "RRSIG"),
    (Type::Other(47), 47, "NSEC"),
    (Type::Other(48), 48, "DNSKEY"),
    (Type::Other(50), 50, "NSEC3"),
    (Type::Other(52), 52, "TLSA"),
    (Type::Other(64), 64, "SVCB"),
    (Type::Other(65), 65, "HTTPS"),
    (Type::Other(99), 99, "SPF"),
    (Type::Other(251), 251, "IXFR"),
    (Type::Other(252), 252, "AXFR"),
    (Type::Other(255), 255, "ANY"),
    (Type::Other(256), 256, "URI"),
    (Type::Other(257), 257, "CAA"),
];

impl Type {
    /// Transfer of a whole zone (RFC 5936).
    pub const AXFR: Self = Self::Other(252);
    /// Transfer of what changed in a zone (RFC 1995).
    pub const IXFR: Self = Self::Other(251);
    /// All that there is (RFC 8482).
    pub const ANY: Self = Self::Other(255);
    /// Names of a whole subtree (RFC 6672).
    pub const DNAME: Self = Self::Other(39);
    /// Keys of a zone, told by the one above it (RFC 4034).
    pub const DS: Self = Self::Other(43);
    /// Host information, which the plugin `loop` asks for.
    pub const HINFO: Self = Self::Other(13);

    /// Its number on the wire.
    pub fn number(self) -> u16 {
        match self {
            Self::Other(number) => number,
            Self::A
            | Self::Aaaa
            | Self::Cname
            | Self::Ptr
            | Self::Srv
            | Self::Txt
            | Self::Soa
            | Self::Ns
            | Self::Mx => TYPES.iter().find(|(kind, _, _)| *kind == self).map_or(0, |(_, number, _)| *number),
        }
    }

    /// The type of a number.
    pub fn of_number(number: u16) -> Self {
        let known = TYPES.iter().find(|(_, known, _)| *known == number);
        known.map_or(Self::Other(number), |(kind, _, _)| *kind)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TYPES.iter().find(|(kind, _, _)| kind == self) {
            Some((_, _, name)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.number()),
        }
    }
}

impl std::str::FromStr for Type {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let upper = text.to_ascii_uppercase();
        if let Some((kind, _, _)) = TYPES.iter().find(|(_, _, name)| *name == upper) {
            return Ok(*kind);
        }
        let number = upper.strip_prefix("TYPE").and_then(|text| text.parse().ok());
        number.map(Self::of_number).ok_or(())
    }
}

/// Data of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RData {
    /// `A`.
    A(Ipv4Addr),
    /// `AAAA`.
    Aaaa(Ipv6Addr),
    /// `CNAME`.
    Cname(String),
    /// `PTR`.
    Ptr(String),
    /// `SRV`: priority, weight, port, target.
    Srv(u16, u16, u16, String),
    /// `TXT`: its strings, of at most 255 bytes each.
    Txt(Vec<Vec<u8>>),
    /// `NS`.
    Ns(String),
    /// `MX`: preference and host.
    Mx(u16, String),
    /// `SOA`: primary server, mailbox, serial, refresh, retry, expire, minimum.
    Soa(String, String, [u32; 5]),
    /// Any other type: its number and bytes (RFC 3597).
    Other(u16, Vec<u8>),
}

/// A record of class `IN`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Owner name, with its last dot.
    pub owner: String,
    /// Time to live, in seconds.
    pub ttl: u32,
    /// Data.
    pub data: RData,
}

impl Record {
    /// An address record of either family.
    pub fn address(owner: &str, ttl: u32, address: IpAddr) -> Self {
        let data = match address {
            IpAddr::V4(v4) => RData::A(v4),
            IpAddr::V6(v6) => RData::Aaaa(v6),
        };
        Self { owner: owner.to_owned(), ttl, data }
    }

    /// Type of the record.
    pub fn kind(&self) -> Type {
        match &self.data {
            RData::A(_) => Type::A,
            RData::Aaaa(_) => Type::Aaaa,
            RData::Cname(_) => Type::Cname,
            RData::Ptr(_) => Type::Ptr,
            RData::Srv(..) => Type::Srv,
            RData::Txt(_) => Type::Txt,
            RData::Ns(_) => Type::Ns,
            RData::Mx(..) => Type::Mx,
            RData::Soa(..) => Type::Soa,
            RData::Other(number, _) => Type::of_number(*number),
        }
    }

    /// The address of an address record.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.data {
            RData::A(v4) => Some(IpAddr::V4(v4)),
            RData::Aaaa(v6) => Some(IpAddr::V6(v6)),
            RData::Cname(_)
            | RData::Ptr(_)
            | RData::Srv(..)
            | RData::Txt(_)
            | RData::Ns(_)
            | RData::Mx(..)
            | RData::Soa(..)
            | RData::Other(..) => None,
        }
    }
}

impl fmt::Display for RData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => write!(f, "{address}"),
            Self::Aaaa(address) => write!(f, "{address}"),
            Self::Cname(name) | Self::Ptr(name) | Self::Ns(name) => f.write_str(name),
            Self::Srv(priority, weight, port, target) => write!(f, "{priority} {weight} {port} {target}"),
            Self::Mx(preference, host) => write!(f, "{preference} {host}"),
            Self::Txt(texts) => {
                for (index, text) in texts.iter().enumerate() {
                    let space = if index == 0 { "" } else { " " };
                    write!(f, "{space}{}", quoted(text))?;
                }
                Ok(())
            }
            Self::Soa(server, mailbox, [serial, refresh, retry, expire, minimum]) => {
                write!(f, "{server} {mailbox} {serial} {refresh} {retry} {expire} {minimum}")
            }
            Self::Other(number, bytes) => {
                if let Some(text) = super::rdata::text(Type::of_number(*number), bytes, None) {
                    return f.write_str(&text);
                }
                write!(f, "\\# {}", bytes.len())?;
                if !bytes.is_empty() {
                    f.write_str(" ")?;
                }
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
            }
        }
    }
}

/// `owner ttl type rdata`, as zone files write it (RFC 1035 section 5.1).
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.owner, self.ttl, self.kind(), self.data)
    }
}

/// Response code (RFC 1035 section 4.1.1, RFC 2136).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rcode {
    /// Fine, even if nothing was found.
    NoError,
    /// The message could not be read.
    FormErr,
    /// The server failed.
    ServFail,
    /// There is no such name.
    NxDomain,
    /// The server does not do this.
    NotImp,
    /// The server refuses.
    Refused,
    /// Any other, by number.
    Other(u8),
}

const RCODES: [(Rcode, u8, &str); 6] = [
    (Rcode::NoError, 0, "NOERROR"),
    (Rcode::FormErr, 1, "FORMERR"),
    (Rcode::ServFail, 2, "SERVFAIL"),
    (Rcode::NxDomain, 3, "NXDOMAIN"),
    (Rcode::NotImp, 4, "NOTIMP"),
    (Rcode::Refused, 5, "REFUSED"),
];

impl Rcode {
    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Self::Other(number) => number,
            Self::NoError
            | Self::FormErr
            | Self::ServFail
            | Self::NxDomain
            | Self::NotImp
            | Self::Refused => RCODES.iter().find(|(rcode, _, _)| *rcode == self).map_or(0, |found| found.1),
        }
    }

    /// The code of a number.
    pub fn of_number(number: u8) -> Self {
        RCODES.iter().find(|(_, known, _)| *known == number).map_or(Self::Other(number), |found| found.0)
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match RCODES.iter().find(|(rcode, _, _)| rcode == self) {
            Some((_, _, name)) => f.write_str(name),
            None => match OTHER_RCODES.iter().find(|(number, _)| *number == self.number()) {
                Some((_, name)) => f.write_str(name),
                None => write!(f, "RESERVED{}", self.number()),
            },
        }
    }
}

/// Codes that are known by number only (RFC 2136, RFC 6891, RFC 7873).
const OTHER_RCODES: [(u8, &str); 7] = [
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (16, "BADVERS"),
    (23, "BADCOOKIE"),
];

impl std::str::FromStr for Rcode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        RCODES.iter().find(|(_, _, name)| name.eq_ignore_ascii_case(text)).map(|found| found.0).ok_or(())
    }
}

/// A question of class `IN`: a name with its last dot, in the case in which it was asked, and a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Name.
    pub name: String,
    /// Type.
    pub kind: Type,
}

/// Why text is no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Two dots follow each other, or the first character is one.
    EmptyLabel,
    /// A label has more than 63 bytes.
    LongLabel,
    /// The name takes more than 255 bytes on the wire.
    LongName,
    /// An escape is cut short or is no byte.
    Escape,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyLabel => "empty label",
            Self::LongLabel => "label of more than 63 bytes",
            Self::LongName => "name of more than 255 bytes",
            Self::Escape => "bad escape",
        })
    }
}

/// The labels of a name as bytes, escapes undone; none for the root.
pub fn labels(name: &str) -> Result<Vec<Vec<u8>>, NameError> {
    let mut labels = Vec::new();
    let mut label = Vec::new();
    let mut bytes = name.bytes();
    if name == "." || name.is_empty() {
        return Ok(labels);
    }
    let mut open = true;
    while let Some(byte) = bytes.next() {
        open = true;
        match byte {
            b'.' => {
                close(&mut labels, std::mem::take(&mut label))?;
                open = false;
            }
            b'\\' => label.push(escape(&mut bytes)?),
            other => label.push(other),
        }
    }
    if open {
        close(&mut labels, label)?;
    }
    let len: usize = labels.iter().map(|label| label.len() + 1).sum();
    if len + 1 > NAME_MAX { Err(NameError::LongName) } else { Ok(labels) }
}

fn close(labels: &mut Vec<Vec<u8>>, label: Vec<u8>) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if label.len() > LABEL_MAX {
        return Err(NameError::LongLabel);
    }
    labels.push(label);
    Ok(())
}

/// `\DDD` or `\X`, after the backslash.
fn escape(bytes: &mut std::str::Bytes<'_>) -> Result<u8, NameError> {
    let first = bytes.next().ok_or(NameError::Escape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(NameError::Escape)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::Escape)
}

/// A string of a record in quotes (RFC 1035 section 5.1).
pub fn quoted(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in text {
        // Writing to a string cannot fail.
        let _ = match byte {
            b'"' | b'\\' => write!(out, "\\{}", char::from(*byte)),
            b' '..=b'~' => write!(out, "{}", char::from(*byte)),
            _ => write!(out, "\\{byte:03}"),
        };
    }
    out + "\""
}

/// The bytes of a string of a zone file, a quote in front of it or not, escapes undone.
pub fn string_of(word: &str) -> Result<Vec<u8>, NameError> {
    let mut out = Vec::new();
    let mut bytes = word.strip_prefix('"').unwrap_or(word).bytes();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'\\' { escape(&mut bytes)? } else { byte });
    }
    Ok(out)
}

/// A name of these labels as text.
pub fn name_of<'l>(labels: impl IntoIterator<Item = &'l [u8]>) -> String {
    let mut name = String::new();
    for label in labels {
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b' ' | b'@' | b'\'' => {
                    name.push('\\');
                    name.push(char::from(byte));
                }
                _ if byte.is_ascii_graphic() => name.push(char::from(byte)),
                _ => {
                    let _ = write!(name, "\\{byte:03}");
                }
            }
        }
        name.push('.');
    }
    if name.is_empty() {
        name.push('.');
    }
    name
}

/// The name below `in-addr.arpa` or `ip6.arpa` that stands for an address (RFC 1035 section 3.5, RFC 3596 section 2.5).
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(v6) => {
            let digits = format!("{:032x}", u128::from(v6));
            let dotted: String = digits.chars().rev().flat_map(|digit| [digit, '.']).collect();
            dotted + "ip6.arpa."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_into_labels_and_put_together_again() {
        for (text, count) in [(".", 0), ("a.", 1), ("a.b.c.", 3), ("a\\.b.c.", 2), ("\\000\\255.x.", 2)] {
            let labels = labels(text).unwrap();
            assert_eq!(labels.len(), count, "{text}");
            assert_eq!(name_of(labels.iter().map(Vec::as_slice)), text);
        }
        assert_eq!(labels("a"), labels("a."));
        assert_eq!(labels("a..b."), Err(NameError::EmptyLabel));
        assert_eq!(labels(".a."), Err(NameError::EmptyLabel));
        assert_eq!(labels(&format!("{}.", "x".repeat(64))), Err(NameError::LongLabel));
        assert_eq!(labels(&"abcdefg.".repeat(32)), Err(NameError::LongName));
        assert_eq!(labels("\\25"), Err(NameError::Escape));
        assert_eq!(labels("\\256."), Err(NameError::Escape));
    }

    #[test]
    fn types_are_known_by_name_and_number() {
        for (kind, number, name) in TYPES {
            assert_eq!(name.parse(), Ok(kind));
            assert_eq!((kind.number(), Type::of_number(number)), (number, kind));
        }
        assert_eq!("type65280".parse(), Ok(Type::Other(65280)));
        assert_eq!(Type::Other(65280).to_string(), "TYPE65280");
        assert_eq!("TYPE1".parse(), Ok(Type::A));
        assert_eq!("x".parse::<Type>(), Err(()));
    }

    #[test]
    fn addresses_have_reverse_names() {
        assert_eq!(reverse_name("10.3.0.1".parse().unwrap()), "1.0.3.10.in-addr.arpa.");
        let six = reverse_name("1234:abcd::1".parse().unwrap());
        assert_eq!(six, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.c.b.a.4.3.2.1.ip6.arpa.");
    }
}
