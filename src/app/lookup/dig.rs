//! `dig` of BIND 9.18.

use super::{Ask, Outcome, Transfer, conf};
use crate::app::{Os, Process, Wake};
use crate::base::Ipv4Addr;
use crate::base::SimTime;
use crate::base::dns::{Question, Record, Type};
use crate::trace::Stream;
use crate::wire::dns::{self, Edns, Message};
use std::fmt::Write as _;
use std::net::SocketAddrV4;

/// The version that the recordings are of.
const VERSION: &str = "9.18.49-1~deb12u3-Debian";
/// Size that dig announces, in bytes.
const EDNS_SIZE: u16 = 1232;
/// Code of the option COOKIE (RFC 7873).
const COOKIE: u16 = 10;

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the program under its own name")]
pub struct DigOptions {
    /// The words as they were typed, for the first line.
    pub typed: String,
    /// Server and port.
    pub server: Option<Ipv4Addr>,
    /// Port.
    pub port: u16,
    /// Name and type.
    pub name: String,
    /// Type.
    pub kind: Type,
    /// `+short`.
    pub short: bool,
    /// `+search`.
    pub search: bool,
    /// `+tcp`.
    pub tcp: bool,
    /// `+time`, in seconds.
    pub time: u64,
    /// `+tries`.
    pub tries: u32,
    /// `+recurse`.
    pub recurse: bool,
    /// `+edns`.
    pub edns: bool,
    /// `+cookie`.
    pub cookie: bool,
    /// `+dnssec`.
    pub dnssec: bool,
    /// `+bufsize`.
    pub bufsize: u16,
    /// `+cmd`.
    pub cmd: bool,
    /// `+comments`.
    pub comments: bool,
    /// `+question`.
    pub question: bool,
    /// `+answer`.
    pub answer: bool,
    /// `+authority`.
    pub authority: bool,
    /// `+additional`.
    pub additional: bool,
    /// `+stats`.
    pub stats: bool,
}

impl Default for DigOptions {
    fn default() -> Self {
        Self {
            typed: String::new(),
            server: None,
            port: 53,
            name: ".".to_owned(),
            kind: Type::Ns,
            short: false,
            search: false,
            tcp: false,
            time: 5,
            tries: 3,
            recurse: true,
            edns: true,
            cookie: true,
            dnssec: false,
            bufsize: EDNS_SIZE,
            cmd: true,
            comments: true,
            question: true,
            answer: true,
            authority: true,
            additional: true,
            stats: true,
        }
    }
}

impl DigOptions {
    /// `+all` and `+noall`.
    pub fn all(&mut self, value: bool) {
        (self.cmd, self.comments, self.question) = (value, value, value);
        (self.answer, self.authority, self.additional, self.stats) = (value, value, value, value);
    }
}

/// A running `dig`.
#[derive(Clone, Debug)]
pub struct Dig {
    options: DigOptions,
    names: Vec<String>,
    ask: Option<Ask>,
}

impl Dig {
    /// A program that has not begun yet.
    pub fn new(options: DigOptions) -> Self {
        Self { options, names: Vec::new(), ask: None }
    }

    fn servers(&self, os: &dyn Os) -> Vec<SocketAddrV4> {
        let servers = self.options.server.map_or_else(|| conf(os).servers, |server| vec![server]);
        servers.into_iter().map(|ip| SocketAddrV4::new(ip, self.options.port)).collect()
    }

    fn next(&mut self, os: &mut dyn Os) -> Option<Outcome> {
        let name = if self.names.is_empty() { return Some(Outcome::NoServer) } else { self.names.remove(0) };
        let options = &self.options;
        let mut message = Message::query(os.random() as u16, Question { name, kind: options.kind });
        message.set(dns::RD, options.recurse);
        message.set(dns::AD, true);
        if options.edns {
            let cookie = u64::from(os.random()) << 32 | u64::from(os.random());
            let list =
                if options.cookie { vec![(COOKIE, cookie.to_be_bytes().to_vec())] } else { Vec::new() };
            message.edns = Some(Edns {
                udp_size: options.bufsize,
                version: 0,
                dnssec_ok: options.dnssec,
                options: list,
            });
        }
        let mut ask = Ask::new(message, self.servers(os), (options.time, options.tries), options.tcp);
        let outcome = ask.start(os);
        self.ask = Some(ask);
        outcome
    }

    fn decide(&mut self, os: &mut dyn Os, outcome: &Outcome) {
        match outcome {
            Outcome::Answer(transfer) => {
                let empty = transfer.message.answer.is_empty();
                if empty && !self.names.is_empty() {
                    if let Some(outcome) = self.next(os) {
                        self.decide(os, &outcome);
                    }
                    return;
                }
                let text = self.text(transfer, os.now());
                os.write(Stream::Stdout, &text);
                os.exit(0);
            }
            Outcome::NoServer => {
                let mut text = String::new();
                let errors = self.ask.as_ref().map(|ask| ask.errors.clone()).unwrap_or_default();
                let setup = errors.iter().any(|error| error.contains("setup with"));
                for error in errors {
                    let _ = writeln!(text, ";; {error}");
                }
                if !setup && self.options.cmd && !self.options.short {
                    text += &self.banner();
                }
                text += ";; no servers could be reached\n";
                os.write(Stream::Stdout, &text);
                os.exit(9);
            }
        }
    }

    fn banner(&self) -> String {
        let found = if self.options.server.is_some() { "; (1 server found)\n" } else { "" };
        let typed = &self.options.typed;
        format!("\n; <<>> DiG {VERSION} <<>> {typed}\n{found};; global options: +cmd\n")
    }

    fn text(&self, transfer: &Transfer, now: SimTime) -> String {
        let options = &self.options;
        let message = &transfer.message;
        if options.short {
            let lines: Vec<String> =
                message.answer.iter().map(|record| format!("{}\n", record.data)).collect();
            return lines.concat();
        }
        let mut out = String::new();
        for error in self.ask.iter().flat_map(|ask| &ask.errors) {
            let _ = writeln!(out, ";; {error}");
        }
        if options.cmd {
            out += &self.banner();
        }
        if options.comments {
            out += &head(message);
        }
        if options.question {
            if options.comments {
                out += ";; QUESTION SECTION:\n";
            }
            for at in &message.questions {
                let mut line = Columns::default();
                line.word(0, &at.name);
                line.word(32, "IN");
                line.word(40, &at.kind.to_string());
                let _ = writeln!(out, ";{}", line.text);
            }
            out.push('\n');
        }
        let sections = [
            (options.answer, "ANSWER", &message.answer),
            (options.authority, "AUTHORITY", &message.authority),
            (options.additional, "ADDITIONAL", &message.additional),
        ];
        for (wanted, name, records) in sections {
            if !wanted || records.is_empty() {
                continue;
            }
            if options.comments {
                let _ = writeln!(out, ";; {name} SECTION:");
            }
            for record in records {
                out += &record_line(record);
            }
            if options.comments || options.stats {
                out.push('\n');
            }
        }
        if options.stats {
            let (ip, port) = (transfer.server.ip(), transfer.server.port());
            let way = if transfer.is_tcp { "TCP" } else { "UDP" };
            let ms = transfer.took.0 / 1_000_000;
            let _ = writeln!(out, ";; Query time: {ms} msec\n;; SERVER: {ip}#{port}({ip}) ({way})");
            let _ = writeln!(out, ";; WHEN: {}\n;; MSG SIZE  rcvd: {}\n", date(now), transfer.size);
        }
        out
    }
}

/// From `Got answer` to the pseudo-section.
fn head(message: &Message) -> String {
    let mut out = String::from(";; Got answer:\n");
    let local = message.questions.first().is_some_and(|at| at.name.to_ascii_lowercase().ends_with(".local."));
    if local {
        out += ";; WARNING: .local is reserved for Multicast DNS\n";
        out += ";; You are currently testing what happens when an mDNS query is leaked to DNS\n";
    }
    let _ = writeln!(out, ";; ->>HEADER<<- opcode: QUERY, status: {}, id: {}", message.rcode, message.id);
    let flags = [
        (dns::QR, " qr"),
        (dns::AA, " aa"),
        (dns::TC, " tc"),
        (dns::RD, " rd"),
        (dns::RA, " ra"),
        (dns::AD, " ad"),
        (dns::CD, " cd"),
    ];
    let flags: String = flags.iter().filter(|(flag, _)| message.has(*flag)).map(|(_, name)| *name).collect();
    let extra = message.additional.len() + usize::from(message.edns.is_some());
    let _ = writeln!(
        out,
        ";; flags:{flags}; QUERY: {}, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {extra}",
        message.questions.len(),
        message.answer.len(),
        message.authority.len()
    );
    if message.has(dns::RD) && !message.has(dns::RA) {
        out += ";; WARNING: recursion requested but not available\n";
    }
    out.push('\n');
    if let Some(edns) = &message.edns {
        let flags = if edns.dnssec_ok { " do" } else { "" };
        let _ = writeln!(
            out,
            ";; OPT PSEUDOSECTION:\n; EDNS: version: {}, flags:{flags}; udp: {}",
            edns.version, edns.udp_size
        );
        for (code, data) in &edns.options {
            if *code == COOKIE {
                let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
                let how = if data.len() == 8 { "(echoed)" } else { "(good)" };
                let _ = writeln!(out, "; COOKIE: {hex} {how}");
            }
        }
    }
    out
}

/// A line whose words stand in columns, with tabs as far as they go (`indent` of `masterdump.c`).
#[derive(Default)]
struct Columns {
    text: String,
    at: usize,
}

impl Columns {
    fn word(&mut self, column: usize, word: &str) {
        if self.at > 0 {
            let to = column.max(self.at + 1);
            let tabs = to / 8 - self.at / 8;
            if tabs > 0 {
                self.text.extend(std::iter::repeat_n('\t', tabs));
                self.text.extend(std::iter::repeat_n(' ', to % 8));
            } else {
                self.text.extend(std::iter::repeat_n(' ', to - self.at));
            }
            self.at = to;
        }
        self.text += word;
        self.at += word.len();
    }
}

fn record_line(record: &Record) -> String {
    let mut line = Columns::default();
    line.word(0, &record.owner);
    line.word(24, &record.ttl.to_string());
    line.word(32, "IN");
    line.word(40, &record.kind().to_string());
    line.word(48, &record.data.to_string());
    line.text + "\n"
}

fn date(now: SimTime) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let c = now.calendar();
    let (day, month) = (DAYS[c.weekday], crate::app::http::MONTHS[c.month - 1]);
    format!("{day} {month} {:02} {:02}:{:02}:{:02} UTC {}", c.day, c.hour, c.minute, c.second, c.year)
}

impl Process for Dig {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        let outcome = match wake {
            Wake::Start => {
                let name = self.options.name.clone();
                self.names = if self.options.search {
                    conf(os).candidates(&name, crate::app::resolver::Libc::Glibc)
                } else {
                    vec![format!("{}.", name.trim_end_matches('.'))]
                };
                self.next(os)
            }
            Wake::Interrupt => return os.exit(130),
            Wake::Terminate => return os.exit(143),
            Wake::Timer(_) | Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {
                self.ask.as_mut().and_then(|ask| ask.wake(os, &wake))
            }
        };
        if let Some(outcome) = outcome {
            self.decide(os, &outcome);
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
