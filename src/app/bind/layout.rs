//! How `dig` lays a message out (`lib/dns/masterdump.c`, `lib/dns/message.c`): columns at stops of tabs.

use super::COOKIE;
use crate::base::dns::{Question, Record};
use crate::wire::dns::{AA, AD, CD, Edns, Message, QR, RA, RD, TC};
use std::fmt::Write as _;

/// Distance between two stops of tabs.
const TAB: usize = 8;
/// EDNS option of an extended error (RFC 8914).
const EXTENDED_ERROR: u16 = 15;
/// What the codes of extended errors are called (RFC 8914 section 4).
const EXTENDED_ERRORS: [&str; 25] = [
    "Other",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDOMAIN Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
];

/// Which columns a record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) ttl: bool,
    pub(super) class: bool,
}

/// A line under way, with the column that it has reached.
struct Line {
    text: String,
    column: usize,
}

impl Line {
    fn new(first: &str) -> Self {
        Self { text: first.to_owned(), column: first.len() }
    }

    /// Goes on at column `to`, at least one blank away (`indent()` of masterdump.c).
    fn at(mut self, to: usize, word: &str) -> Self {
        let to = to.max(self.column + 1);
        let tabs = to / TAB - self.column / TAB;
        let from = if tabs > 0 { to / TAB * TAB } else { self.column };
        self.text.extend(std::iter::repeat_n('\t', tabs));
        self.text.extend(std::iter::repeat_n(' ', to - from));
        self.text += word;
        self.column = to + word.len();
        self
    }
}

/// A record as one line without its end.
pub(super) fn record(record: &Record, columns: Columns) -> String {
    let mut line = Line::new(&record.owner);
    let mut stop = 24;
    if columns.ttl {
        line = line.at(stop, &record.ttl.to_string());
        stop += TAB;
    }
    if columns.class {
        line = line.at(stop, "IN");
        stop += TAB;
    }
    line.at(stop, &record.kind().to_string()).at(stop + TAB, &record.data.to_string()).text
}

/// A question as one line without its end.
pub(super) fn question(question: &Question) -> String {
    format!(";{}", Line::new(&question.name).at(32, "IN").at(40, &question.kind.to_string()).text)
}

/// The lines on a message's header.
pub(super) fn header(message: &Message) -> String {
    let names = [(QR, "qr"), (AA, "aa"), (TC, "tc"), (RD, "rd"), (RA, "ra"), (AD, "ad"), (CD, "cd")];
    let set = names.iter().filter(|(flag, _)| message.has(*flag)).map(|(_, name)| *name);
    let flags = [""].into_iter().chain(set).collect::<Vec<_>>().join(" ");
    let opcode = match message.opcode {
        0 => "QUERY".to_owned(),
        4 => "NOTIFY".to_owned(),
        5 => "UPDATE".to_owned(),
        other => format!("RESERVED{other}"),
    };
    let mut out =
        format!(";; ->>HEADER<<- opcode: {opcode}, status: {}, id: {}\n", message.rcode, message.id);
    let _ = writeln!(
        out,
        ";; flags:{flags}; QUERY: {}, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}",
        message.questions.len(),
        message.answer.len(),
        message.authority.len(),
        message.additional.len() + usize::from(message.edns.is_some()),
    );
    if message.has(QR) && message.has(RD) && !message.has(RA) {
        out += ";; WARNING: recursion requested but not available\n";
    }
    out
}

/// The lines on the pseudo-record. `cookie` is what the query carried.
pub(super) fn pseudo_section(edns: &Edns, cookie: Option<&[u8]>) -> String {
    let dnssec = if edns.dnssec_ok { " do" } else { "" };
    let mut out = format!(
        ";; OPT PSEUDOSECTION:\n; EDNS: version: {}, flags:{dnssec}; udp: {}\n",
        edns.version, edns.udp_size
    );
    for (code, data) in &edns.options {
        let octets: Vec<String> = data.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = octets.concat();
        match (*code, cookie) {
            (COOKIE, Some(sent)) if sent == &data[..] => {
                let _ = writeln!(out, "; COOKIE: {hex} (echoed)");
            }
            (COOKIE, Some(sent)) if data.starts_with(sent) => {
                let _ = writeln!(out, "; COOKIE: {hex} (good)");
            }
            (COOKIE, _) => {
                let _ = writeln!(out, "; COOKIE: {hex}");
            }
            (EXTENDED_ERROR, _) => {
                let _ = writeln!(out, "; EDE: {}", extended_error(data));
            }
            (other, _) => {
                let _ = writeln!(out, "; OPT={other}: {}", octets.join(" "));
            }
        }
    }
    out
}

fn extended_error(data: &[u8]) -> String {
    let Some((head, text)) = data.split_first_chunk::<2>() else { return String::new() };
    let code = u16::from_be_bytes(*head);
    let name = EXTENDED_ERRORS.get(usize::from(code)).map_or(String::new(), |name| format!(" ({name})"));
    let text = String::from_utf8_lossy(text);
    let text = if text.is_empty() { String::new() } else { format!(": ({text})") };
    format!("{code}{name}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::dns::{RData, Type};

    /// Lines that the real one printed.
    #[test]
    fn columns_stand_at_stops_until_a_name_is_too_long() {
        let full = Columns { ttl: true, class: true };
        let line = |owner: &str, ttl, data| record(&Record { owner: owner.to_owned(), ttl, data }, full);
        let name = "web.default.svc.cluster.local.";
        assert_eq!(
            line(name, 30, RData::A([10, 96, 0, 80].into())),
            "web.default.svc.cluster.local. 30 IN\tA\t10.96.0.80"
        );
        assert_eq!(
            line("_http._tcp.web.default.svc.cluster.local.", 30, RData::Srv(0, 100, 80, name.to_owned())),
            "_http._tcp.web.default.svc.cluster.local. 30 IN\tSRV 0 100 80 web.default.svc.cluster.local."
        );
        assert_eq!(
            line("www.example.com.", 86400, RData::A([203, 0, 113, 10].into())),
            "www.example.com.\t86400\tIN\tA\t203.0.113.10"
        );
        let ask = |name: &str, kind| question(&Question { name: name.to_owned(), kind });
        assert_eq!(ask("nosuch.", Type::A), ";nosuch.\t\t\t\tIN\tA");
        assert_eq!(ask("www.example.com.", Type::A), ";www.example.com.\t\tIN\tA");
        assert_eq!(
            ask("nosuch.default.svc.cluster.local.", Type::A),
            ";nosuch.default.svc.cluster.local. IN\tA"
        );
        assert_eq!(
            ask("_http._tcp.web.default.svc.cluster.local.", Type::Srv),
            ";_http._tcp.web.default.svc.cluster.local. IN SRV"
        );
    }

    #[test]
    fn a_cookie_that_came_back_as_it_was_is_called_so() {
        let edns = Edns { udp_size: 1232, version: 0, dnssec_ok: false, options: vec![(COOKIE, vec![1; 8])] };
        let text = pseudo_section(&edns, Some(&[1; 8]));
        assert!(text.ends_with("flags:; udp: 1232\n; COOKIE: 0101010101010101 (echoed)\n"), "{text}");
        let error = Edns { options: vec![(EXTENDED_ERROR, vec![0, 14])], ..edns };
        assert!(pseudo_section(&error, None).ends_with("; EDE: 14 (Not Ready)\n"));
    }
}
