//! Words of a filter expression, as libpcap's scanner cuts them: the longest word that fits a pattern wins.

use super::FilterError;
use crate::base::MacAddr;
use std::net::Ipv6Addr;

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or sign, by its first spelling: `and` for `&&`, `!` for `not`.
    Word(&'static str),
    /// A number.
    Number(u32),
    /// A name.
    Name(String),
    /// Two to four numbers joined by points.
    Dotted(String),
    /// An IPv6 address, with its text.
    V6(Ipv6Addr, String),
    /// An Ethernet address.
    Mac(MacAddr),
    /// An address of the network `ARCnet`.
    Arcnet,
    /// No word at all, and why where the scanner says it.
    Wrong(Option<String>),
}

/// A word and where it begins, counted in characters from 0.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

/// Keywords, each with the spelling that stands for all of its kind.
const KEYWORDS: [(&str, &str); 81] = [
    ("dst", "dst"),
    ("src", "src"),
    ("link", "link"),
    ("ether", "link"),
    ("ppp", "link"),
    ("slip", "link"),
    ("fddi", "link"),
    ("tr", "link"),
    ("wlan", "link"),
    ("arp", "arp"),
    ("rarp", "rarp"),
    ("ip", "ip"),
    ("sctp", "sctp"),
    ("tcp", "tcp"),
    ("udp", "udp"),
    ("icmp", "icmp"),
    ("igmp", "igmp"),
    ("igrp", "igrp"),
    ("pim", "pim"),
    ("vrrp", "vrrp"),
    ("carp", "carp"),
    ("radio", "radio"),
    ("ip6", "ip6"),
    ("icmp6", "icmp6"),
    ("ah", "ah"),
    ("esp", "esp"),
    ("atalk", "atalk"),
    ("aarp", "aarp"),
    ("decnet", "decnet"),
    ("lat", "lat"),
    ("sca", "sca"),
    ("moprc", "moprc"),
    ("mopdl", "mopdl"),
    ("iso", "iso"),
    ("esis", "esis"),
    ("es-is", "esis"),
    ("isis", "isis"),
    ("is-is", "isis"),
    ("clnp", "clnp"),
    ("stp", "stp"),
    ("ipx", "ipx"),
    ("netbeui", "netbeui"),
    ("host", "host"),
    ("net", "net"),
    ("mask", "mask"),
    ("port", "port"),
    ("portrange", "portrange"),
    ("proto", "proto"),
    ("protochain", "protochain"),
    ("gateway", "gateway"),
    ("type", "type"),
    ("subtype", "type"),
    ("direction", "type"),
    ("dir", "type"),
    ("less", "less"),
    ("greater", "greater"),
    ("byte", "byte"),
    ("broadcast", "broadcast"),
    ("multicast", "multicast"),
    ("and", "and"),
    ("or", "or"),
    ("not", "!"),
    ("len", "len"),
    ("length", "len"),
    ("inbound", "inbound"),
    ("outbound", "outbound"),
    ("ifindex", "ifindex"),
    ("vlan", "vlan"),
    ("mpls", "mpls"),
    ("pppoed", "pppoed"),
    ("pppoes", "pppoes"),
    ("geneve", "geneve"),
    ("llc", "llc"),
    ("on", "ifname"),
    ("ifname", "ifname"),
    ("rset", "ifname"),
    ("ruleset", "ifname"),
    ("rnr", "ifname"),
    ("reason", "ifname"),
    ("action", "ifname"),
    ("addr1", "type"),
];

/// Names of numbers (`pcap-filter(7)`).
const NUMBERS: [(&str, u32); 31] = [
    ("icmptype", 0),
    ("icmpcode", 1),
    ("icmp-echoreply", 0),
    ("icmp-unreach", 3),
    ("icmp-sourcequench", 4),
    ("icmp-redirect", 5),
    ("icmp-echo", 8),
    ("icmp-routeradvert", 9),
    ("icmp-routersolicit", 10),
    ("icmp-timxceed", 11),
    ("icmp-paramprob", 12),
    ("icmp-tstamp", 13),
    ("icmp-tstampreply", 14),
    ("icmp-ireq", 15),
    ("icmp-ireqreply", 16),
    ("icmp-maskreq", 17),
    ("icmp-maskreply", 18),
    ("icmp6type", 0),
    ("icmp6code", 1),
    ("icmp6-echo", 128),
    ("icmp6-echoreply", 129),
    ("icmp6-neighborsolicit", 135),
    ("tcpflags", 13),
    ("tcp-fin", 0x01),
    ("tcp-syn", 0x02),
    ("tcp-rst", 0x04),
    ("tcp-push", 0x08),
    ("tcp-ack", 0x10),
    ("tcp-urg", 0x20),
    ("tcp-ece", 0x40),
    ("tcp-cwr", 0x80),
];

const SIGNS: [(&str, &str); 29] = [
    ("&&", "and"),
    ("||", "or"),
    (">=", ">="),
    ("<=", "<="),
    ("!=", "!="),
    ("==", "="),
    ("<<", "<<"),
    (">>", ">>"),
    ("+", "+"),
    ("-", "-"),
    ("*", "*"),
    ("/", "/"),
    ("%", "%"),
    (":", ":"),
    ("[", "["),
    ("]", "]"),
    ("!", "!"),
    ("<", "<"),
    (">", ">"),
    ("(", "("),
    (")", ")"),
    ("&", "&"),
    ("|", "|"),
    ("^", "^"),
    ("=", "="),
    (" ", ""),
    ("\t", ""),
    ("\n", ""),
    ("\r", ""),
];

/// Cuts a text into words. A place where no word begins becomes [`Token::Wrong`], at which the parser stops.
pub(super) fn scan(text: &str) -> Vec<Placed> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (token, len) = next(&chars[at..]);
        if let Some(token) = token {
            tokens.push(Placed { token, at });
        }
        at += len;
    }
    tokens
}

/// The word that begins here, `None` for a blank, and its length.
fn next(rest: &[char]) -> (Option<Token>, usize) {
    let address = address(rest);
    let word = word_len(rest);
    if let Some((token, len)) = address
        && len >= word
    {
        return (Some(token), len);
    }
    if word > 0 {
        return (Some(word_token(rest[..word].iter().collect())), word);
    }
    if rest[0] == '\\' {
        let is_end = |letter: &char| " !()\n\t".contains(*letter);
        let len = rest[1..].iter().position(is_end).unwrap_or(rest.len() - 1);
        if len > 0 {
            return (Some(Token::Name(rest[1..=len].iter().collect())), len + 1);
        }
    }
    if rest[0] == '$' {
        let digits = rest[1..].iter().take(2).take_while(|letter| letter.is_ascii_hexdigit()).count();
        return if digits > 0 { (Some(Token::Arcnet), digits + 1) } else { (Some(Token::Wrong(None)), 1) };
    }
    for (sign, means) in SIGNS {
        if sign.chars().eq(rest.iter().copied().take(sign.len())) {
            return ((!means.is_empty()).then_some(Token::Word(means)), sign.len());
        }
    }
    (Some(Token::Wrong(None)), 1)
}

/// Length of the longest word of letters, digits, `-`, `_` and points, which ends in neither `-` nor `_`.
fn word_len(rest: &[char]) -> usize {
    if !rest[0].is_ascii_alphanumeric() {
        return 0;
    }
    let inside = |letter: &&char| letter.is_ascii_alphanumeric() || "-_.".contains(**letter);
    let run = &rest[..rest.iter().take_while(inside).count()];
    run.iter().rposition(|letter| letter.is_ascii_alphanumeric() || *letter == '.').map_or(0, |last| last + 1)
}

fn word_token(word: String) -> Token {
    if let Some((_, means)) = KEYWORDS.iter().find(|(spelling, _)| *spelling == word) {
        return Token::Word(means);
    }
    if let Some((_, value)) = NUMBERS.iter().find(|(name, _)| *name == word) {
        return Token::Number(*value);
    }
    Token::Name(word)
}

/// The longest number, dotted number, Ethernet or IPv6 address that begins here. Where two are equally long the order
/// is that of the scanner: Ethernet, number, dotted, IPv6.
fn address(rest: &[char]) -> Option<(Token, usize)> {
    let found = [mac(rest), number(rest), dotted(rest), v6(rest), bogus_mac(rest)];
    found.into_iter().flatten().reduce(|best, other| if other.1 > best.1 { other } else { best })
}

fn digits(rest: &[char], from: usize, most: usize) -> usize {
    rest.iter().skip(from).take(most).take_while(|letter| letter.is_ascii_hexdigit()).count()
}

/// Length of a number: decimal digits, or `0x` and hexadecimal ones.
fn number_len(rest: &[char], from: usize) -> usize {
    if rest.get(from) == Some(&'0') && matches!(rest.get(from + 1), Some('x' | 'X')) {
        let hex = digits(rest, from + 2, usize::MAX);
        if hex > 0 {
            return hex + 2;
        }
    }
    rest.iter().skip(from).take_while(|letter| letter.is_ascii_digit()).count()
}

fn number(rest: &[char]) -> Option<(Token, usize)> {
    let len = number_len(rest, 0);
    let text: String = rest[..len].iter().collect();
    (len > 0).then(|| (value(&text).map_or_else(|error| Token::Wrong(Some(error)), Token::Number), len))
}

/// The value of a number, by C's prefixes.
pub(super) fn value(text: &str) -> Result<u32, String> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if radix == 8 && digits.contains(['8', '9']) {
        return Err(format!("number {text} contains non-octal digit"));
    }
    u32::from_str_radix(digits, radix).map_err(|_| format!("number {text} overflows 32 bits"))
}

fn dotted(rest: &[char]) -> Option<(Token, usize)> {
    let mut len = number_len(rest, 0);
    let mut parts = usize::from(len > 0);
    while parts > 0 && parts < 4 && rest.get(len) == Some(&'.') {
        let more = number_len(rest, len + 1);
        if more == 0 {
            break;
        }
        len += 1 + more;
        parts += 1;
    }
    (parts > 1).then(|| (Token::Dotted(rest[..len].iter().collect()), len))
}

fn mac(rest: &[char]) -> Option<(Token, usize)> {
    let joined = |sign: char, count: usize, least: usize, most: usize| {
        let mut bytes = Vec::new();
        let mut len = 0;
        for part in 0..count {
            if part > 0 {
                (rest.get(len) == Some(&sign)).then_some(())?;
                len += 1;
            }
            let found = digits(rest, len, most);
            (found >= least).then_some(())?;
            let text: String = rest[len..len + found].iter().collect();
            bytes.push(u16::from_str_radix(&text, 16).ok()?);
            len += found;
        }
        Some((bytes, len))
    };
    let pairs = [':', '-', '.'].into_iter().find_map(|sign| joined(sign, 6, 1, 2));
    if let Some((bytes, len)) = pairs {
        return Some((Token::Mac(MacAddr(std::array::from_fn(|at| bytes[at] as u8))), len));
    }
    let words = joined('.', 3, 4, 4).or_else(|| {
        let found = digits(rest, 0, 12);
        let word = |at: usize| {
            let text: String = rest[at * 4..at * 4 + 4].iter().collect();
            u16::from_str_radix(&text, 16).unwrap_or_default()
        };
        (found == 12).then(|| (vec![word(0), word(1), word(2)], 12))
    });
    words.map(|(words, len)| {
        let byte = |at: usize| words[at / 2].to_be_bytes()[at % 2];
        (Token::Mac(MacAddr(std::array::from_fn(byte))), len)
    })
}

/// What looks like an Ethernet address and is none.
fn bogus_mac(rest: &[char]) -> Option<(Token, usize)> {
    let mut len = 0;
    let mut parts = 0;
    loop {
        let found = digits(rest, len, 2);
        let colons = rest.iter().skip(len + found).take_while(|letter| **letter == ':').count();
        if found == 0 || colons == 0 {
            break;
        }
        len += found + colons;
        parts += 1;
    }
    let text: String = rest[..len].iter().collect();
    (parts > 1).then(|| (Token::Wrong(Some(format!("bogus ethernet address {text}"))), len))
}

fn v6(rest: &[char]) -> Option<(Token, usize)> {
    let inside = |letter: &&char| letter.is_ascii_hexdigit() || ":.".contains(**letter);
    let run: String = rest.iter().take_while(inside).take(48).collect();
    if !run.contains(':') {
        return None;
    }
    (2..=run.len()).rev().find_map(|len| {
        let addr: Ipv6Addr = run[..len].parse().ok()?;
        Some((Token::V6(addr, run[..len].to_owned()), len))
    })
}

/// The error at a word that is none.
pub(super) fn wrong(placed: &Placed) -> FilterError {
    let reason = match &placed.token {
        Token::Wrong(Some(reason)) => reason.clone(),
        Token::Wrong(None)
        | Token::Word(_)
        | Token::Number(_)
        | Token::Name(_)
        | Token::Dotted(_)
        | Token::V6(..)
        | Token::Mac(_)
        | Token::Arcnet => super::SYNTAX_ERROR.to_owned(),
    };
    FilterError { at: placed.at, message: reason }
}
