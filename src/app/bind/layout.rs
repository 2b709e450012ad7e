//! How `dig` lays a message out (`lib/dns/masterdump.c`, `lib/dns/message.c`): columns at stops of tabs.

use super::{COOKIE, Reply, Server, class};
use crate::base::SimTime;
use crate::base::dns::{Question, RData, Record, Type};
use crate::wire::dns::{AA, AD, CD, Edns, Message, QR, RA, RD, TC, Z};
use std::fmt::Write as _;
use std::net::IpAddr;

/// Distance between two stops of tabs.
const TAB: usize = 8;
/// Length of a client's cookie in bytes (RFC 7873 section 4).
const CLIENT_COOKIE: usize = 8;
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

/// Which columns a record has, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option under its own name")]
pub(super) struct Columns {
    pub(super) ttl: bool,
    pub(super) class: bool,
    /// TTLs in days, hours, minutes and seconds.
    pub(super) units: bool,
    /// Long records over several lines, with comments.
    pub(super) multiline: bool,
    /// Addresses of IPv6 in full.
    pub(super) expanded: bool,
    /// Types, classes and data as if they were not known (RFC 3597).
    pub(super) unknown: bool,
}

impl Columns {
    /// All columns.
    pub(super) const FULL: Self =
        Self { ttl: true, class: true, units: false, multiline: false, expanded: false, unknown: false };

    /// Where class, type and data begin (`printmessage` of dig.c).
    fn stops(self) -> [usize; 3] {
        match (self.multiline, self.ttl, self.class) {
            (true, ..) | (_, false, false) => [24, 24, 32],
            (false, true, true) => [32, 40, 48],
            (false, ..) => [24, 32, 40],
        }
    }
}

/// A time as BIND writes it (`dns_ttl_totext`): `1d2h`, or in full words.
fn time_text(secs: u32, in_words: bool) -> String {
    let parts = [
        (secs / 604_800, "week"),
        (secs / 86_400 % 7, "day"),
        (secs / 3_600 % 24, "hour"),
        (secs / 60 % 60, "minute"),
        (secs % 60, "second"),
    ];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(count, unit)| *count > 0 || (secs == 0 && *unit == "second"))
        .map(|(count, unit)| match (in_words, *count) {
            (true, 1) => format!("1 {unit}"),
            (true, _) => format!("{count} {unit}s"),
            (false, _) => format!("{count}{}", &unit[..1]),
        })
        .collect();
    shown.join(if in_words { " " } else { "" })
}

/// The data of a record on one line.
pub(super) fn data_of(data: &RData) -> String {
    data_text(data, Columns::FULL)
}

/// The data of a record, a SOA over several lines where that is wanted.
fn data_text(data: &RData, columns: Columns) -> String {
    if columns.unknown {
        return bytes_text(data);
    }
    if let (RData::Aaaa(ip), true) = (data, columns.expanded) {
        return ip.segments().map(|part| format!("{part:04x}")).join(":");
    }
    if let RData::Other(number, bytes) = data {
        // Long runs of digits are cut.
        let text = crate::base::rdata::text(Type::of_number(*number), bytes, Some(56));
        return text.unwrap_or_else(|| data.to_string());
    }
    let RData::Soa(server, mailbox, numbers) = data else { return data.to_string() };
    if !columns.multiline {
        return data.to_string();
    }
    let mut out = format!("{server} {mailbox} (\n");
    for (at, (number, name)) in
        numbers.iter().zip(["serial", "refresh", "retry", "expire", "minimum"]).enumerate()
    {
        let time = if at == 0 { String::new() } else { format!(" ({})", time_text(*number, true)) };
        let _ = writeln!(out, "\t\t\t\t{number:<10} ; {name}{time}");
    }
    out + "\t\t\t\t)"
}

/// How long an answer took, from where and when it came, and how large it is (`received` of dig.c).
pub(super) fn statistics(reply: &Reply, now: SimTime, micros: bool) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let at = now.calendar();
    let Server { name, address } = &reply.server;
    let transport = if reply.tcp { "TCP" } else { "UDP" };
    let took = reply.took;
    let time = if micros { format!("{} usec", took.0 / 1000) } else { format!("{} msec", took.as_ms()) };
    let kind = reply.message.questions.first().map(|question| question.kind);
    let size = if kind == Some(Type::AXFR) || kind == Some(Type::IXFR) {
        let (records, count, bytes) = (reply.message.answer.len(), reply.messages, reply.length);
        format!(";; XFR size: {records} records (messages {count}, bytes {bytes})")
    } else {
        format!(";; MSG SIZE  rcvd: {}", reply.length)
    };
    format!(
        ";; Query time: {time}\n;; SERVER: {address}#{}({name}) ({transport})\n\
         ;; WHEN: {} {} {:02} {:02}:{:02}:{:02} UTC {}\n{size}\n\n",
        reply.port,
        DAYS[at.weekday],
        MONTHS[at.month - 1],
        at.day,
        at.hour,
        at.minute,
        at.second,
        at.year,
    )
}

/// The data of a record as bytes, in pieces of 28.
fn bytes_text(data: &RData) -> String {
    const HEAD: usize = 12 + 1 + 10;
    let record = Record { owner: ".".to_owned(), ttl: 0, data: data.clone() };
    let question = Question { name: ".".to_owned(), kind: record.kind() };
    let mut message = Message::query(0, question);
    message.questions.clear();
    message.answer.push(record);
    let bytes = message.to_bytes(false).unwrap_or_default();
    let bytes = bytes.get(HEAD..).unwrap_or_default();
    let pieces = bytes.chunks(28).map(|piece| {
        piece.iter().fold(String::from(" "), |mut out, byte| {
            let _ = write!(out, "{byte:02X}");
            out
        })
    });
    format!("\\# {}{}", bytes.len(), pieces.collect::<String>())
}

/// A name as BIND writes it: a blank as its number, a dollar sign with a backslash.
fn name_text(name: &str) -> String {
    name.replace("\\ ", "\\032").replace("\\'", "'").replace('$', "\\$")
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
    let [class_at, kind_at, data_at] = columns.stops();
    let mut line = Line::new(&name_text(&record.owner));
    if columns.ttl {
        let ttl = if columns.units { time_text(record.ttl, false) } else { record.ttl.to_string() };
        line = line.at(24, &ttl);
    }
    if columns.class {
        line = line.at(class_at, if columns.unknown { "CLASS1" } else { "IN" });
    }
    let kind = record.kind();
    let kind = if columns.unknown { format!("TYPE{}", kind.number()) } else { kind.to_string() };
    line.at(kind_at, &kind).at(data_at, &data_text(&record.data, columns)).text
}

/// A question of this class as one line without its end.
pub(super) fn question(question: &Question, of_class: u16, columns: Columns) -> String {
    let [class_at, kind_at, _] = columns.stops();
    let (class, kind) = if columns.unknown {
        (format!("CLASS{of_class}"), format!("TYPE{}", question.kind.number()))
    } else {
        (class::name(of_class), question.kind.to_string())
    };
    format!(";{}", Line::new(&name_text(&question.name)).at(class_at, &class).at(kind_at, &kind).text)
}

/// The lines on a message's header.
pub(super) fn header(message: &Message) -> String {
    let names = [(QR, "qr"), (AA, "aa"), (TC, "tc"), (RD, "rd"), (RA, "ra"), (AD, "ad"), (CD, "cd")];
    let set = names.iter().filter(|(flag, _)| message.has(*flag)).map(|(_, name)| *name);
    let mbz = if message.has(Z) { " MBZ: 0x4;" } else { "" };
    let flags = [""].into_iter().chain(set).collect::<Vec<_>>().join(" ");
    let opcode = match message.opcode {
        0 => "QUERY".to_owned(),
        1 => "IQUERY".to_owned(),
        2 => "STATUS".to_owned(),
        4 => "NOTIFY".to_owned(),
        5 => "UPDATE".to_owned(),
        other => format!("RESERVED{other}"),
    };
    let mut out =
        format!(";; ->>HEADER<<- opcode: {opcode}, status: {}, id: {}\n", message.rcode, message.id);
    let _ = writeln!(
        out,
        ";; flags:{flags};{mbz} QUERY: {}, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}",
        message.questions.len(),
        message.answer.len(),
        message.authority.len(),
        message.additional.len() + usize::from(message.edns.is_some()),
    );
    out
}

/// The section of this name, with its title where there are comments.
pub(super) fn section(name: &str, lines: &[String], comments: bool) -> String {
    let mut out = if comments { format!(";; {name} SECTION:\n") } else { String::new() };
    for line in lines {
        out += line;
        out.push('\n');
    }
    if comments {
        out.push('\n');
    }
    out
}

/// What is said where a server does not look further.
pub(super) fn recursion_warning(message: &Message) -> &'static str {
    let warns = message.has(QR) && message.has(RD) && !message.has(RA);
    if warns { ";; WARNING: recursion requested but not available\n" } else { "" }
}

/// The lines on the pseudo-record. `cookie` is what the query carried; a query's own padding has no length yet.
pub(super) fn pseudo_section(edns: &Edns, cookie: Option<&[u8]>, is_query: bool) -> String {
    let dnssec = if edns.dnssec_ok { " do" } else { "" };
    let mut out = format!(
        ";; OPT PSEUDOSECTION:\n; EDNS: version: {}, flags:{dnssec}; udp: {}\n",
        edns.version, edns.udp_size
    );
    for (code, data) in &edns.options {
        let octets: Vec<String> = data.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = octets.concat();
        match (*code, cookie) {
            (COOKIE, Some(sent)) if data.len() == CLIENT_COOKIE && sent == &data[..] => {
                let _ = writeln!(out, "; COOKIE: {hex} (echoed)");
            }
            // A server's own cookie follows the client's.
            (COOKIE, Some(sent))
                if sent.len() >= CLIENT_COOKIE && data.starts_with(&sent[..CLIENT_COOKIE]) =>
            {
                let _ = writeln!(out, "; COOKIE: {hex} (good)");
            }
            (COOKIE, _) => {
                let _ = writeln!(out, "; COOKIE: {hex}");
            }
            (EXTENDED_ERROR, _) => {
                let _ = writeln!(out, "; EDE: {}", extended_error(data));
            }
            (8, _) if data.len() >= 4 => {
                let _ = writeln!(out, "; CLIENT-SUBNET: {}", subnet(data));
            }
            (12, _) if !is_query => {
                let _ = writeln!(out, "; PAD: ({} bytes)", data.len());
            }
            (3 | 9 | 11 | 12, _) if is_query || data.is_empty() => {
                let name = match code {
                    3 => "NSID",
                    9 => "EXPIRE",
                    11 => "TCP KEEPALIVE",
                    _ => "PAD",
                };
                let _ = writeln!(out, "; {name}:");
            }
            (other, _) => {
                let _ = writeln!(out, "; OPT={other}: {}", octets.join(" "));
            }
        }
    }
    out
}

/// A client's network (RFC 7871): address, and the lengths of both prefixes.
fn subnet(data: &[u8]) -> String {
    let mut octets = [0; 16];
    octets.iter_mut().zip(&data[4..]).for_each(|(to, from)| *to = *from);
    let ip = if data[1] == 1 {
        IpAddr::from([octets[0], octets[1], octets[2], octets[3]])
    } else {
        IpAddr::from(octets)
    };
    format!("{ip}/{}/{}", data[2], data[3])
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
    use crate::base::dns::Type;
    use crate::wire::dns::CLASS_IN;

    /// Lines that the real one printed.
    #[test]
    fn columns_stand_at_stops_until_a_name_is_too_long() {
        let line =
            |owner: &str, ttl, data| record(&Record { owner: owner.to_owned(), ttl, data }, Columns::FULL);
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
        let ask =
            |name: &str, kind| question(&Question { name: name.to_owned(), kind }, CLASS_IN, Columns::FULL);
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

    /// Lines that the real one printed with `+multiline`.
    #[test]
    fn long_records_stand_over_several_lines() {
        let columns = Columns { multiline: true, ..Columns::FULL };
        let soa = RData::Soa("ns.dns.a.".to_owned(), "hostmaster.a.".to_owned(), [1, 7200, 1800, 86400, 30]);
        let record = record(&Record { owner: "a.".to_owned(), ttl: 30, data: soa }, columns);
        assert_eq!(
            record,
            "a.\t\t\t30 IN SOA ns.dns.a. hostmaster.a. (\n\t\t\t\t1          ; serial\n\t\t\t\t7200       ; refresh (2 hours)\n\t\t\t\t1800       ; retry (30 minutes)\n\t\t\t\t86400      ; expire (1 day)\n\t\t\t\t30         ; minimum (30 seconds)\n\t\t\t\t)"
        );
        assert_eq!(
            (time_text(93_784, false), time_text(0, true)),
            ("1d2h3m4s".to_owned(), "0 seconds".to_owned())
        );
    }

    #[test]
    fn a_cookie_that_came_back_as_it_was_is_called_so() {
        let edns = Edns { udp_size: 1232, version: 0, dnssec_ok: false, options: vec![(COOKIE, vec![1; 8])] };
        let text = pseudo_section(&edns, Some(&[1; 8]), false);
        assert!(text.ends_with("flags:; udp: 1232\n; COOKIE: 0101010101010101 (echoed)\n"), "{text}");
        let error = Edns { options: vec![(EXTENDED_ERROR, vec![0, 14])], ..edns };
        assert!(pseudo_section(&error, None, false).ends_with("; EDE: 14 (Not Ready)\n"));
    }
}
