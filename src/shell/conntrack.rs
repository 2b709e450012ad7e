//! `conntrack` 1.4.7: the connections that a namespace tracks.

mod events;
mod forms;

use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context, KernelChange};
use crate::base::{Ipv4Addr, SimTime};
use crate::kernel::NetfilterOp;
use crate::trace::{Connection, ConntrackRow, ConntrackStats};
use crate::xtables::{Masked, Table};
use std::fmt::Write as _;

const VERSION: &str = "conntrack v1.4.7 (conntrack-tools)";
const USAGE: &str = include_str!("usage/conntrack.txt");

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    List,
    Get,
    Delete,
    Flush,
    Count,
    Statistics,
    Events,
}

/// Which connections are meant: those that fit all that is given.
#[derive(Clone, Debug, Default)]
struct Filter {
    protocol: Option<u8>,
    /// Source and destination of the first direction, then of the replies.
    addrs: [Option<Masked>; 4],
    /// The same of the ports; of ICMP type and code stand for them.
    ports: [Option<u16>; 4],
    icmp: [Option<u16>; 3],
    state: Option<String>,
    mark: Option<(u32, u32)>,
    status: Option<Vec<String>>,
    /// `--src-nat`, `--dst-nat`, `--any-nat`, with an address or without.
    nat: Vec<(char, Option<Ipv4Addr>)>,
    ipv6: bool,
}

/// How connections are printed.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
#[derive(Clone, Copy, Debug, Default)]
struct Form {
    extended: bool,
    id: bool,
    xml: bool,
    save: bool,
    timestamp: bool,
}

#[derive(Clone, Debug, Default)]
struct Order {
    verb: Option<Verb>,
    filter: Filter,
    form: Form,
    /// Long names of the options given.
    given: Vec<&'static str>,
    expectations: bool,
    /// `-e`: new, updated and destroyed ones.
    mask: Option<[bool; 3]>,
}

/// The program's own message with its hint.
struct Usage(String);

impl Usage {
    fn command(self) -> Command {
        let hint = "Try `conntrack -h' or 'conntrack --help' for more information.";
        refuse(format!("{VERSION}: {}\n{hint}\n", self.0), 2)
    }
}

enum Stop {
    Usage(Usage),
    NotSimulated(String),
    Says(String),
}

impl From<Usage> for Stop {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}

fn usage<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Usage(Usage(text.into())))
}

/// Runs `conntrack`.
pub(super) fn conntrack(context: &Context<'_>, words: &[String]) -> Command {
    let order = match parse(words) {
        Ok(order) => order,
        Err(Stop::Usage(usage)) => return usage.command(),
        Err(Stop::NotSimulated(word)) => {
            let (text, status) = not_simulated("conntrack", &word);
            return refuse(text, status);
        }
        Err(Stop::Says(text)) => return answer(text),
    };
    let Some(verb) = order.verb else { return answer(USAGE) };
    let [src, dst, ..] = &order.filter.addrs;
    let lacks = match (order.filter.protocol, src.is_some() && dst.is_some()) {
        (None, _) => Some("You need to supply the `--protonum' option for this command"),
        (Some(_), false) => Some("you have to specify `--src' and `--dst'"),
        (Some(_), true) => None,
    };
    if let Some(text) = lacks.filter(|_| verb == Verb::Get) {
        return Usage(text.to_owned()).command();
    }
    if order.expectations && verb == Verb::Flush {
        return refuse(format!("{VERSION}: expectation table has been emptied.\n"), 0);
    }
    if order.expectations {
        // No helper that expects connections is simulated.
        let mut out = Out::default();
        out.err(format!("{VERSION}: 0 expectations have been shown.\n"));
        return out.done(0);
    }
    let now = context.inventory.now;
    let Some(state) = context.inventory.netns.get(&context.netns) else { return answer("") };
    let all = state.netfilter.conntrack.values().filter(|of| of.left(now).0 > 0);
    // Without a table of translations no connection was asked about there.
    let translates = state.netfilter.chains.keys().any(|(table, _)| *table == Table::Nat);
    let passes = |of: &&Connection| order.filter.fits(&of.row) && (translates || order.filter.nat.is_empty());
    let fitting: Vec<&Connection> = all.clone().filter(passes).collect();
    match verb {
        Verb::Events => events::watch(&order, all),
        Verb::List => list(&fitting, order.form, now, "shown"),
        Verb::Get => get(&fitting, order.form, now),
        Verb::Delete => delete(&fitting, order.form, now),
        Verb::Flush => {
            let changes = all.map(|of| KernelChange::Netfilter(Box::new(NetfilterOp::Forget(of.row.id))));
            let mut out = Out::default();
            out.err(format!("{VERSION}: connection tracking table has been emptied.\n"));
            Command::Change { changes: changes.collect(), output: out.into_pieces(), status: 0 }
        }
        Verb::Count => answer(format!("{}\n", all.count())),
        Verb::Statistics => {
            // Two processors; a packet that comes too late is the second one's. Nothing else is counted.
            let line = |cpu, stats: ConntrackStats| {
                let ConntrackStats { insert_failed, drop, clash_resolve } = stats;
                format!(
                    "cpu={cpu}   \tfound=0 invalid=0 insert=0 insert_failed={insert_failed} drop={drop} early_drop=0 \
                     error=0 search_restart=0 clash_resolve={clash_resolve} chaintoolong=0 \n"
                )
            };
            answer(line(0, ConntrackStats::default()) + &line(1, state.netfilter.stats))
        }
    }
}

fn summary(count: usize, what: &str) -> String {
    format!("{VERSION}: {count} flow entries have been {what}.\n")
}

fn list(fitting: &[&Connection], form: Form, now: SimTime, what: &str) -> Command {
    let mut out = Out::default();
    out.out(print(fitting, form, now));
    out.err(summary(fitting.len(), what));
    out.done(0)
}

fn get(fitting: &[&Connection], form: Form, now: SimTime) -> Command {
    match fitting {
        [] => refuse(format!("{VERSION}: Operation failed: such conntrack doesn't exist\n"), 1),
        [one, ..] => list(&[one], form, now, "shown"),
    }
}

fn delete(fitting: &[&Connection], form: Form, now: SimTime) -> Command {
    if fitting.is_empty() {
        return refuse(summary(0, "deleted"), 1);
    }
    let mut out = Out::default();
    out.out(print(fitting, form, now));
    out.err(summary(fitting.len(), "deleted"));
    let forget = |of: &&Connection| KernelChange::Netfilter(Box::new(NetfilterOp::Forget(of.row.id)));
    Command::Change { changes: fitting.iter().map(forget).collect(), output: out.into_pieces(), status: 0 }
}

fn print(fitting: &[&Connection], form: Form, now: SimTime) -> String {
    let lines: String = fitting.iter().map(|of| line(of, form, now)).collect();
    if form.xml && fitting.is_empty() {
        return String::new();
    }
    if form.xml {
        return format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n{lines}</conntrack>\n");
    }
    lines
}

/// A number that stands for the kernel's `id`, a hash of the connection.
fn id(row: &ConntrackRow) -> u32 {
    row.id.wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995
}

fn line(of: &Connection, form: Form, now: SimTime) -> String {
    let left = of.left(now).as_secs();
    if form.xml {
        return forms::xml(&of.row, left);
    }
    if form.save {
        return forms::save(&of.row, left);
    }
    let before = if form.extended { "ipv4     2 " } else { "" };
    let mut out = of.row.line(before, &format!("{left} "));
    if form.id {
        let _ = write!(out, " id={}", id(&of.row));
    }
    out + "\n"
}

fn protocol_name(protocol: u8) -> String {
    let name = crate::xtables::protocol_name(protocol);
    if name.parse::<u8>().is_ok() { "unknown".to_owned() } else { name }
}

impl Filter {
    fn fits(&self, row: &ConntrackRow) -> bool {
        let (orig, reply) = (&row.orig, &row.reply);
        let addrs = [orig.src, orig.dst, reply.src, reply.dst];
        let ports = [orig.sport, orig.dport, reply.sport, reply.dport];
        let icmp = [orig.dport >> 8, orig.dport & 0xff, orig.sport];
        let in_net = |(wanted, addr): (&Option<Masked>, &Ipv4Addr)| {
            wanted.is_none_or(|net| net.contains((*addr).into()))
        };
        let equal = |(wanted, port): (&Option<u16>, &u16)| wanted.is_none_or(|wanted| wanted == *port);
        !self.ipv6
            && self.protocol.is_none_or(|wanted| wanted == orig.protocol)
            && self.addrs.iter().zip(&addrs).all(in_net)
            && self.ports.iter().zip(&ports).all(equal)
            && self.icmp.iter().zip(&icmp).all(equal)
            && self.state.as_deref().is_none_or(|wanted| row.tcp.is_some_and(|tcp| tcp.name() == wanted))
            && self.mark.is_none_or(|(value, mask)| row.mark & mask == value)
            && self.status.as_ref().is_none_or(|wanted| wanted.iter().all(|each| has_status(row, each)))
            && (self.nat.is_empty() || self.nat.iter().any(|(kind, addr)| is_translated(row, *kind, *addr)))
    }
}

fn has_status(row: &ConntrackRow, status: &str) -> bool {
    match status {
        "ASSURED" => row.assured,
        "SEEN_REPLY" => row.seen_reply,
        "UNREPLIED" => !row.seen_reply,
        _ => false,
    }
}

/// Whether an end of the connection is translated, and to this address.
fn is_translated(row: &ConntrackRow, kind: char, addr: Option<Ipv4Addr>) -> bool {
    let (orig, reply) = (&row.orig, &row.reply);
    let fits = |to: Ipv4Addr| addr.is_none_or(|addr| addr == to);
    // The library takes an identifier of ICMP for the source port, type and code for the other, and finds that those
    // of the two directions differ, which they always do.
    let source = (orig.src, orig.sport) != (reply.dst, reply.dport);
    let destination = (orig.dst, orig.dport) != (reply.src, reply.sport);
    let (source, destination) = (source && fits(reply.dst), destination && fits(reply.src));
    match kind {
        'n' => source,
        'g' => destination,
        _ => source || destination,
    }
}

/// Options: letter, long names, whether an argument follows (`O`: only one that is no option).
const OPTIONS: [(char, &[&str], char); 21] = [
    ('s', &["orig-src", "src"], 'y'),
    ('d', &["orig-dst", "dst"], 'y'),
    ('r', &["reply-src"], 'y'),
    ('q', &["reply-dst"], 'y'),
    ('p', &["protonum"], 'y'),
    ('f', &["family"], 'y'),
    ('t', &["timeout"], 'y'),
    ('u', &["status"], 'y'),
    ('w', &["zone"], 'y'),
    ('e', &["event-mask"], 'y'),
    ('m', &["mark"], 'y'),
    ('n', &["src-nat"], 'O'),
    ('g', &["dst-nat"], 'O'),
    ('j', &["any-nat"], 'O'),
    ('o', &["output"], 'y'),
    ('z', &["zero"], 'n'),
    ('b', &["buffer-size"], 'y'),
    ('c', &["secmark"], 'y'),
    ('l', &["label"], 'y'),
    ('h', &["help"], 'n'),
    ('V', &["version"], 'n'),
];

const VERBS: [(char, &str); 10] = [
    ('L', "dump"),
    ('G', "get"),
    ('D', "delete"),
    ('F', "flush"),
    ('C', "count"),
    ('S', "stats"),
    ('E', "event"),
    ('I', "create"),
    ('U', "update"),
    ('A', "add"),
];

/// Options that a protocol brings along, with the place in [`Filter::ports`] or [`Filter::icmp`].
const PORTS: [(&str, usize); 8] = [
    ("--orig-port-src", 0),
    ("--sport", 0),
    ("--orig-port-dst", 1),
    ("--dport", 1),
    ("--reply-port-src", 2),
    ("--reply-sport", 2),
    ("--reply-port-dst", 3),
    ("--reply-dport", 3),
];
const ICMP: [(&str, usize); 3] = [("--icmp-type", 0), ("--icmp-code", 1), ("--icmp-id", 2)];

fn parse(words: &[String]) -> Result<Order, Stop> {
    let mut order = Order::default();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            // What is no option is passed over (`optind` moves on).
            continue;
        };
        if let Some(verb) = verb_of(word) {
            take_verb(&mut order, verb)?;
            let table = words.get(at).filter(|next| !next.starts_with('-'));
            if let Some(table) = table.filter(|_| !matches!(verb, 'S' | 'C')) {
                at += 1;
                match table.as_str() {
                    "conntrack" | "dying" | "unconfirmed" => {}
                    "expect" => order.expectations = true,
                    other => return usage(format!("unknown type `{other}'")),
                }
            }
            continue;
        }
        let (name, inline) = if letters.starts_with('-') {
            let split = word.split_once('=');
            split.map_or((word.as_str(), None), |(name, value)| (name, Some(value.to_owned())))
        } else {
            let first = letters.chars().next().map_or(1, char::len_utf8);
            let rest = &letters[first..];
            (&word[..=first], (!rest.is_empty()).then(|| rest.to_owned()))
        };
        let taken = take_option(&mut order, name, inline.as_deref(), words.get(at))?;
        at += taken;
    }
    check(&order)?;
    Ok(order)
}

fn verb_of(word: &str) -> Option<char> {
    let long = word.strip_prefix("--");
    let found = VERBS.iter().find(|(letter, name)| match long {
        Some(long) => *name == long,
        None => word.len() == 2 && word.ends_with(*letter),
    });
    found.map(|(letter, _)| *letter)
}

fn take_verb(order: &mut Order, letter: char) -> Result<(), Stop> {
    let verb = match letter {
        'L' => Verb::List,
        'G' => Verb::Get,
        'D' => Verb::Delete,
        'F' => Verb::Flush,
        'C' => Verb::Count,
        'S' => Verb::Statistics,
        'E' => Verb::Events,
        other => return Err(Stop::NotSimulated(format!("-{other}"))),
    };
    if order.verb.is_some() {
        return usage("Invalid commands combination");
    }
    order.verb = Some(verb);
    Ok(())
}

/// States of a TCP connection by the names that `--state` takes.
const STATES: [&str; 10] = [
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "LISTEN",
];

/// Takes an option; how many of the words behind it belong to it.
fn take_option(
    order: &mut Order,
    name: &str,
    inline: Option<&str>,
    next: Option<&String>,
) -> Result<usize, Stop> {
    let argument = |needs: bool| match (inline, next) {
        (Some(value), _) => Ok((Some(value.to_owned()), 0)),
        (None, Some(next)) if needs || !next.starts_with('-') => Ok((Some(next.clone()), 1)),
        (None, _) if needs => usage(format!("option `{name}' requires an argument")),
        (None, _) => Ok((None, 0)),
    };
    if let Some((_, place)) = PORTS.iter().find(|(own, _)| *own == name)
        && order.filter.protocol.is_some_and(|protocol| matches!(protocol, 6 | 17 | 33 | 132 | 136))
    {
        let (value, taken) = argument(true)?;
        // As in C, a number too large loses its higher bits.
        order.filter.ports[*place] = value.and_then(|text| text.parse::<u32>().ok()).map(|port| port as u16);
        return Ok(taken);
    }
    if let Some((_, place)) = ICMP.iter().find(|(own, _)| *own == name)
        && order.filter.protocol == Some(1)
    {
        let (value, taken) = argument(true)?;
        order.filter.icmp[*place] = value.and_then(|text| text.parse().ok());
        return Ok(taken);
    }
    if name == "--state" && order.filter.protocol == Some(6) {
        let (value, taken) = argument(true)?;
        if let Some(name) = value.as_deref().filter(|name| !STATES.contains(name)) {
            return usage(format!("unknown TCP state `{name}'"));
        }
        order.filter.state = value;
        return Ok(taken);
    }
    let found = OPTIONS.iter().find(|(letter, longs, _)| match name.strip_prefix("--") {
        Some(long) => longs.contains(&long),
        None => name.ends_with(*letter),
    });
    let Some((letter, longs, kind)) = found else { return usage(format!("unknown option `{name}'")) };
    let (value, taken) = if *kind == 'n' { (None, 0) } else { argument(*kind == 'y')? };
    order.given.push(longs[0]);
    set(order, *letter, value.as_deref().unwrap_or_default())?;
    Ok(taken)
}

fn set(order: &mut Order, letter: char, value: &str) -> Result<(), Stop> {
    let filter = &mut order.filter;
    match letter {
        's' => filter.addrs[0] = Some(address(value)?),
        'd' => filter.addrs[1] = Some(address(value)?),
        'r' => filter.addrs[2] = Some(address(value)?),
        'q' => filter.addrs[3] = Some(address(value)?),
        'p' => {
            let number = crate::xtables::protocol_number(value).filter(|number| *number != 0);
            let known = number.filter(|number| matches!(number, 1 | 6 | 17 | 33 | 47 | 58 | 132 | 136));
            filter.protocol = match known.or_else(|| value.parse().ok()) {
                Some(number) => Some(number),
                None => return usage(format!("`{value}' unsupported protocol")),
            };
        }
        'f' => match value {
            "ipv4" => {}
            "ipv6" => filter.ipv6 = true,
            other => return usage(format!("`{other}' unsupported protocol")),
        },
        'u' => {
            let names: Vec<String> = value.split(',').map(str::to_owned).collect();
            let known =
                ["ASSURED", "SEEN_REPLY", "UNSET", "FIXED_TIMEOUT", "EXPECTED", "OFFLOAD", "UNREPLIED"];
            if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
                return usage(format!("Bad parameter `{other}'"));
            }
            filter.status = Some(names);
        }
        'm' => {
            let (mark, mask) = value.split_once('/').unwrap_or((value, "0xffffffff"));
            let number = |text: &str| {
                text.strip_prefix("0x")
                    .map_or_else(|| text.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
            };
            filter.mark = number(mark).zip(number(mask));
        }
        'n' | 'g' | 'j' => {
            let addr = if value.is_empty() {
                None
            } else {
                Some(value.parse().or_else(|_| usage(format!("Invalid IP address `{value}'")))?)
            };
            filter.nat.push((letter, addr));
        }
        'o' => output(&mut order.form, value)?,
        'h' => return Err(Stop::Says(USAGE.to_owned())),
        'V' => return Err(Stop::Says(format!("{VERSION}\n"))),
        'e' => order.mask = Some(events::mask(value)?),
        // There is one zone only, and nothing to be set back.
        'w' if value == "0" => {}
        't' => {}
        other => return Err(Stop::NotSimulated(format!("-{other}"))),
    }
    Ok(())
}

fn output(form: &mut Form, value: &str) -> Result<(), Stop> {
    for part in value.split(',') {
        match part {
            "extended" => form.extended = true,
            "id" => form.id = true,
            "xml" => form.xml = true,
            "save" => form.save = true,
            // Neither is kept unless the kernel is told to.
            "ktimestamp" => {}
            "timestamp" => form.timestamp = true,
            "labels" | "userspace" => return Err(Stop::NotSimulated(format!("-o {part}"))),
            other => return usage(format!("Bad parameter `{other}'")),
        }
    }
    Ok(())
}

fn address(text: &str) -> Result<Masked, Stop> {
    let (addr, len) = text.split_once('/').unwrap_or((text, "32"));
    match (addr.parse::<Ipv4Addr>(), len.parse::<u8>()) {
        (Ok(addr), Ok(len)) if len <= 32 => Ok(Masked::new(addr, len)),
        _ => usage(format!("Invalid IP address `{text}'")),
    }
}

/// Options that do not go with the command (`commands_v_options`).
fn check(order: &Order) -> Result<(), Stop> {
    let Some(verb) = order.verb else { return Ok(()) };
    let illegal = |name: &&&'static str| match verb {
        Verb::Count | Verb::Statistics | Verb::Flush => **name != "family",
        Verb::List | Verb::Get | Verb::Delete => {
            **name == "event-mask" || **name == "timeout" && verb != Verb::Delete
        }
        Verb::Events => **name == "timeout",
    };
    match order.given.iter().find(illegal) {
        Some(name) => usage(format!("Illegal option `--{name}' with this command")),
        None => Ok(()),
    }
}
