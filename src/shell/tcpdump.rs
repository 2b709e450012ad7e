//! The command line of `tcpdump` 4.99.

use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context};
use crate::app::CaptureFilter;
use crate::app::tcpdump::{Direction, Dump, ReadFile, Stamp, Tcpdump, TcpdumpOptions};
use crate::base::Ipv4Addr;
use crate::trace::{LinkKind, LinkRow, NetnsState};
use crate::wire::filter::{Filter, Link, Setting};
use crate::wire::pcap::{self, Header};
use crate::wire::print::Style;
use std::fmt::Write as _;

const USAGE: &str = include_str!("usage/tcpdump.txt");
/// Lines of [`USAGE`] that `--version` prints.
const VERSION_LINES: usize = 3;
/// The largest and usual length of what is taken of a packet.
const SNAPLEN_MAX: usize = 262_144;

/// Devices that libpcap knows besides those of the kernel.
const PSEUDO_DEVICES: [&str; 5] = [
    "bluetooth-monitor (Bluetooth Linux Monitor) [Wireless]",
    "nflog (Linux netfilter log (NFLOG) interface) [none]",
    "nfqueue (Linux netfilter queue (NFQUEUE) interface) [none]",
    "dbus-system (D-Bus system bus) [none]",
    "dbus-session (D-Bus session bus) [none]",
];

/// Why it does not run.
enum Stop {
    /// A message after the program's name.
    Error(String),
    /// As it stands, with a status.
    Says(Command),
}

fn error<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Error(text.into()))
}

/// Runs `tcpdump`.
pub(super) fn tcpdump(context: &Context<'_>, words: &[String]) -> Command {
    match parse(context, words) {
        Ok((options, None)) => Command::process(Tcpdump::new(options), Out::default()),
        Ok((options, Some(source))) => {
            let Source { name, header, bytes, counts } = source;
            let program = ReadFile::new(Tcpdump::new(options), &name, header, &bytes, counts);
            Command::process(program, Out::default())
        }
        Err(Stop::Error(text)) => refuse(format!("tcpdump: {text}\n"), 1),
        Err(Stop::Says(command)) => command,
    }
}

/// A device as libpcap lists it.
struct Device<'a> {
    /// `None` is `any`.
    link: Option<&'a LinkRow>,
    /// The lower, the earlier (`get_figure_of_merit`).
    merit: u32,
}

fn merit(link: &LinkRow) -> u32 {
    let digits = link.name.find(|letter: char| letter.is_ascii_digit());
    let digits: String =
        digits.map_or("", |at| &link.name[at..]).chars().take_while(char::is_ascii_digit).collect();
    let mut merit = digits.parse::<u32>().map_or(0, |number| number.saturating_add(1) & 0x0fff_ffff);
    if !(link.up && link.carrier) {
        merit |= 0x8000_0000;
    }
    if !link.up {
        merit |= 0x4000_0000;
    }
    if link.kind == LinkKind::Loopback {
        merit |= 0x2000_0000;
    }
    merit
}

fn devices(state: &NetnsState) -> Vec<Device<'_>> {
    let own = state.links.values().map(|link| Device { link: Some(link), merit: merit(link) });
    let mut all: Vec<Device<'_>> = own.chain([Device { link: None, merit: 0x1fff_ffff }]).collect();
    all.sort_by_key(|device| device.merit);
    all
}

fn list(state: &NetnsState) -> String {
    let mut out = String::new();
    let all = devices(state);
    for (index, device) in all.iter().enumerate() {
        let text = match device.link {
            None => "any (Pseudo-device that captures on all interfaces) [Up, Running]".to_owned(),
            Some(link) => {
                let mut flags = Vec::new();
                flags.extend(link.up.then_some("Up"));
                flags.extend((link.up && link.carrier).then_some("Running"));
                if link.kind == LinkKind::Loopback {
                    flags.push("Loopback");
                } else {
                    flags.push(if link.up && link.carrier { "Connected" } else { "Disconnected" });
                }
                format!("{} [{}]", link.name, flags.join(", "))
            }
        };
        let _ = writeln!(out, "{}.{text}", index + 1);
    }
    for (index, text) in PSEUDO_DEVICES.iter().enumerate() {
        let _ = writeln!(out, "{}.{text}", all.len() + index + 1);
    }
    out
}

/// Long options that stand for letters; the others are told apart below.
const LONG: [(&str, &str); 9] = [
    ("--list-interfaces", "-D"),
    ("--interface", "-i"),
    ("--snapshot-length", "-s"),
    ("--direction", "-Q"),
    ("--no-promiscuous-mode", "-p"),
    ("--packet-buffered", "-U"),
    ("--dont-verify-checksums", "-K"),
    ("--absolute-tcp-sequence-numbers", "-S"),
    ("--number", "-#"),
];

#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
#[derive(Default)]
struct Given {
    device: Option<String>,
    style: Style,
    dump: Dump,
    dump_link: bool,
    count: Option<u64>,
    n_stamps: usize,
    nanoseconds: bool,
    numbered: bool,
    snaplen: Option<usize>,
    direction: Direction,
    write: Option<String>,
    read: Option<String>,
    prints: bool,
    counts: bool,
    unbuffered: bool,
    stays_selective: bool,
}

/// A file to be read.
struct Source {
    name: String,
    header: Header,
    bytes: Vec<u8>,
    counts: bool,
}

impl Source {
    fn open(context: &Context<'_>, name: &str, counts: bool) -> Result<Self, Stop> {
        let Some(bytes) = (context.bytes)(name) else {
            return error(format!("{name}: No such file or directory"));
        };
        let header = Header::parse(&bytes).or_else(error)?;
        Ok(Self { name: name.to_owned(), header, bytes, counts })
    }

    fn link(&self) -> Link {
        if self.header.link == pcap::LINK_SLL2 { Link::Cooked } else { Link::Ethernet }
    }
}

/// From where packets come: with `-r` from a file, otherwise from a device.
fn parse(context: &Context<'_>, words: &[String]) -> Result<(TcpdumpOptions, Option<Source>), Stop> {
    let Some(state) = context.inventory.netns.get(&context.netns) else {
        return error("no network namespace");
    };
    let mut given = Given::default();
    let words = long_options(words, &mut given)?;
    let parsed = getopt("AbB:c:C:dDeE:fF:G:hHi:IJj:KlLm:M:nNOpqQ:r:s:StT:uUvV:w:W:xXy:Yz:Z:#", &words)
        .map_err(|text| Stop::Says(refuse(format!("tcpdump: {text}\n{USAGE}"), 1)))?;
    for (letter, argument) in &parsed.options {
        set(&mut given, state, *letter, argument)?;
    }
    let source = given.read.as_deref().map(|name| Source::open(context, name, given.counts)).transpose()?;
    let (device, link) = match source {
        Some(_) => (String::new(), None),
        None => chosen(state, given.device.as_deref())?,
    };
    let header = match &source {
        Some(source) => source.link(),
        None if link.is_some() => Link::Ethernet,
        None => Link::Cooked,
    };
    let expression = parsed.operands.join(" ");
    let filter =
        compile(context, (state, link), (header, source.is_none()), &expression).map_err(|stop| {
            match (stop, &source) {
                (Stop::Error(text), Some(source)) => {
                    let head = ReadFile::head(&source.name, source.header);
                    Stop::Says(refuse(format!("{head}tcpdump: {text}\n"), 1))
                }
                (stop, _) => stop,
            }
        })?;
    let links = state.links.values().filter(|each| link.is_none_or(|only| only.ifindex == each.ifindex));
    let row = |link: &LinkRow| (link.ifindex, (link.name.clone(), link.kind == LinkKind::Loopback));
    let raw = match &source {
        Some(source) => source.header.link == pcap::LINK_RAW,
        None => link.is_some_and(|link| link.kind.is_raw_ip()),
    };
    given.style.dumped = given.dump != Dump::None;
    if raw {
        given.style.link = false;
    }
    let taken = source.as_ref().map(|source| source.header.snaplen as usize);
    let options = TcpdumpOptions {
        device,
        devices: links.map(row).collect(),
        raw,
        filter,
        promiscuous: !given.stays_selective,
        style: given.style,
        dump: given.dump,
        dump_link: given.dump_link,
        count: given.count,
        stamp: stamp(given.n_stamps)?,
        nanoseconds: given.nanoseconds,
        numbered: given.numbered,
        snaplen: given.snaplen.or(taken).unwrap_or(SNAPLEN_MAX),
        direction: given.direction,
        print: given.write.is_none() || given.prints,
        write: given.write,
        unbuffered: given.unbuffered,
    };
    Ok((options, source))
}

/// Turns long options into letters, and takes those that have none.
fn long_options(words: &[String], given: &mut Given) -> Result<Vec<String>, Stop> {
    let mut out = Vec::new();
    for word in words {
        if !word.starts_with("--") || word == "--" {
            out.push(word.clone());
            continue;
        }
        let (name, value) =
            word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        if let Some((_, short)) = LONG.iter().find(|(long, _)| *long == name) {
            out.push((*short).to_owned());
            out.extend(value.map(str::to_owned));
            continue;
        }
        match name {
            "--version" => {
                let lines = USAGE.lines().take(VERSION_LINES).map(|line| format!("{line}\n"));
                return Err(Stop::Says(answer(lines.collect::<String>())));
            }
            "--help" => return Err(Stop::Says(answer(USAGE))),
            "--nano" => given.nanoseconds = true,
            "--micro" => given.nanoseconds = false,
            // Frames are handed over soon enough, and are printed in any case.
            "--immediate-mode" => {}
            "--print" => given.prints = true,
            "--count" => given.counts = true,
            "--list-data-link-types" | "--monitor-mode" | "--time-stamp-precision" => {
                return unsimulated(name);
            }
            other => {
                let text = format!("tcpdump: unrecognized option '{other}'\n{USAGE}");
                return Err(Stop::Says(refuse(text, 1)));
            }
        }
    }
    Ok(out)
}

fn unsimulated<T>(option: &str) -> Result<T, Stop> {
    let (text, status) = not_simulated("tcpdump", option);
    Err(Stop::Says(refuse(text, status)))
}

fn set(given: &mut Given, state: &NetnsState, letter: char, argument: &str) -> Result<(), Stop> {
    let twice = |dump: Dump| given.dump == dump;
    match letter {
        'A' | 'x' | 'X' => {
            let dump = match letter {
                'A' => Dump::Ascii,
                'x' => Dump::Hex,
                _ => Dump::HexAndAscii,
            };
            given.dump_link |= twice(dump);
            // Of several, the one that shows the most counts.
            given.dump = match (given.dump, dump) {
                (Dump::HexAndAscii, _) | (_, Dump::HexAndAscii) => Dump::HexAndAscii,
                (Dump::Hex, Dump::Ascii) | (_, Dump::Hex) => Dump::Hex,
                (_, other) => other,
            };
        }
        'c' => match argument.parse::<u64>() {
            Ok(count) if count > 0 => given.count = Some(count),
            _ => return error(format!("invalid packet count {argument}")),
        },
        's' => match argument.parse::<usize>() {
            Ok(0) => given.snaplen = Some(SNAPLEN_MAX),
            Ok(len) if len <= SNAPLEN_MAX => given.snaplen = Some(len),
            _ => {
                let text = format!("invalid snaplen {argument} (must be >= 0 and <= {SNAPLEN_MAX})");
                return error(text);
            }
        },
        'Q' => {
            given.direction = match argument.to_ascii_lowercase().as_str() {
                "in" => Direction::In,
                "out" => Direction::Out,
                "inout" => Direction::Both,
                _ => return error(format!("unknown capture direction `{argument}'")),
            };
        }
        'D' => return Err(Stop::Says(answer(list(state)))),
        'h' => return Err(Stop::Says(answer(USAGE))),
        'i' => given.device = Some(argument.to_owned()),
        'e' => given.style.link = true,
        'K' => given.style.unverified = true,
        'n' => given.style.numeric = true,
        'N' => given.style.short_names = true,
        'q' => given.style.quiet = true,
        'S' => given.style.absolute = true,
        't' => given.n_stamps += 1,
        'v' => given.style.verbosity = given.style.verbosity.saturating_add(1),
        '#' => given.numbered = true,
        // How output is buffered, the filter optimized; who runs it.
        'U' => given.unbuffered = true,
        'r' | 'w' if argument == "-" => return unsimulated(&format!("-{letter} -")),
        'r' => given.read = Some(argument.to_owned()),
        'w' => given.write = Some(argument.to_owned()),
        'p' => given.stays_selective = true,
        'l' | 'O' | 'f' | 'B' | 'Z' | 'b' => {}
        other => return unsimulated(&format!("-{other}")),
    }
    Ok(())
}

fn stamp(times: usize) -> Result<Stamp, Stop> {
    Ok(match times {
        0 => Stamp::Clock,
        1 => Stamp::None,
        2 => Stamp::Unix,
        3 => Stamp::SincePrevious,
        4 => Stamp::Date,
        5 => Stamp::SinceFirst,
        _ => return error("only -t, -tt, -ttt, -tttt and -ttttt are supported"),
    })
}

/// The device, by name, number, or the best there is; no row for `any`.
fn chosen<'a>(state: &'a NetnsState, given: Option<&str>) -> Result<(String, Option<&'a LinkRow>), Stop> {
    let all = devices(state);
    let named = |device: &Device<'a>| match device.link {
        Some(link) => (link.name.to_string(), Some(link)),
        None => ("any".to_owned(), None),
    };
    let Some(name) = given else {
        let first = all.first().map(named);
        return first.map_or_else(|| error("no suitable device found"), Ok);
    };
    if name == "any" {
        return Ok((name.to_owned(), None));
    }
    if let Some(link) = state.link_named(name) {
        if !link.up {
            return error(format!("{name}: That device is not up"));
        }
        return Ok((name.to_owned(), Some(link)));
    }
    match name.parse::<usize>() {
        Ok(number) if (1..=all.len()).contains(&number) => Ok(named(&all[number - 1])),
        Ok(_) => error("Invalid adapter index"),
        Err(_) => error(format!("{name}: No such device exists\n(No such device exists)")),
    }
}

fn compile(
    context: &Context<'_>,
    (state, link): (&NetnsState, Option<&LinkRow>),
    (header, live): (Link, bool),
    expression: &str,
) -> Result<CaptureFilter, Stop> {
    let of_link = state.addrs.iter().find(|row| link.is_some_and(|link| link.ifindex == row.ifindex));
    let netmask = of_link.map(|row| row.addr.netmask());
    let resolve = |name: &str| -> Option<Ipv4Addr> {
        let text = (context.files)("/etc/hosts")?;
        let mut lines = text.lines().map(|line| line.split('#').next().unwrap_or(""));
        lines.find_map(|line| {
            let mut words = line.split_whitespace();
            let addr = words.next()?.parse().ok()?;
            words.any(|word| word == name).then_some(addr)
        })
    };
    let setting = Setting { link: header, live, netmask, resolve: &resolve };
    match Filter::compile(expression, &setting) {
        Ok(filter) => Ok(CaptureFilter { filter, link: header }),
        Err(found) => error(found.message),
    }
}
