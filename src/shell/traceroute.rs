//! The command lines of `traceroute` and `tracepath`.

use super::Command;
use super::getopt::{Parsed, getopt};
use super::out::{Out, answer, not_simulated, refuse};
use crate::app::tracepath::{Tracepath, TracepathOptions};
use crate::app::traceroute::{Method, Patience, Traceroute, TracerouteOptions};
use crate::base::Duration;

const USAGE: &str = include_str!("usage/traceroute.txt");

/// Options with an argument, and what the program calls it.
const ARGUMENTS: [(char, &str); 16] = [
    ('f', "first_ttl"),
    ('g', "gate,..."),
    ('i', "device"),
    ('m', "max_ttl"),
    ('N', "squeries"),
    ('p', "port"),
    ('t', "tos"),
    ('l', "flow_label"),
    ('w', "MAX,HERE,NEAR"),
    ('q', "nqueries"),
    ('s', "src_addr"),
    ('z', "sendwait"),
    ('M', "name"),
    ('O', "OPTS,..."),
    ('P', "prot"),
    (SPORT, "num"),
];

/// What stands for long options that have no letter.
const MTU: char = '\u{1}';
const BACK: char = '\u{2}';
const SPORT: char = '\u{3}';
const FWMARK: char = '\u{4}';

/// Long options, without the two hyphens.
const LONG: [(&str, char); 26] = [
    ("debug", 'd'),
    ("dont-fragment", 'F'),
    ("first", 'f'),
    ("gateway", 'g'),
    ("icmp", 'I'),
    ("tcp", 'T'),
    ("interface", 'i'),
    ("max-hops", 'm'),
    ("sim-queries", 'N'),
    ("port", 'p'),
    ("tos", 't'),
    ("flowlabel", 'l'),
    ("wait", 'w'),
    ("queries", 'q'),
    ("source", 's'),
    ("sendwait", 'z'),
    ("extensions", 'e'),
    ("as-path-lookups", 'A'),
    ("module", 'M'),
    ("options", 'O'),
    ("sport", SPORT),
    ("fwmark", FWMARK),
    ("udp", 'U'),
    ("mtu", MTU),
    ("back", BACK),
    ("version", 'V'),
];

/// `traceroute` of Debian, or busybox's.
pub(super) fn traceroute(words: &[String], busybox: bool) -> Command {
    if busybox {
        return of_busybox(words);
    }
    if words.is_empty() || words.iter().any(|word| word == "--help") {
        return refuse(USAGE, 0);
    }
    let parsed = match split(words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(text, 2),
    };
    let mut options = TracerouteOptions::new("");
    for (letter, argument) in &parsed.options {
        if *letter == 'V' {
            return answer(
                "Modern traceroute for Linux, version 2.1.2\n\
                 Copyright (c) 2016  Dmitry Butskoy,   License: GPL v2 or any later\n",
            );
        }
        match set(&mut options, *letter, argument) {
            Ok(()) => {}
            Err(Wrong::Said(text)) => return refuse(text + "\n", 2),
            Err(Wrong::NotSimulated(what)) => {
                let (text, status) = not_simulated("traceroute", &what);
                return refuse(text, status);
            }
            Err(Wrong::Argument) => return refuse(cannot_handle(words, *letter, argument), 2),
        }
    }
    let packet_len = match parsed.operands.as_slice() {
        [] => return refuse("Specify \"host\" missing argument.\n", 2),
        [_] => Ok(None),
        [_, length] => match length.parse::<u64>() {
            Ok(length) => {
                u16::try_from(length).map(Some).map_err(|_| format!("too big packetlen {length} specified\n"))
            }
            Err(_) => Err(format!(
                "Cannot handle \"packetlen\" cmdline arg `{length}' on position 2 (argc {})\n",
                place(words, |word| word == length)
            )),
        },
        [.., extra] => {
            let at = place(words, |word| word == extra);
            Err(format!("Extra arg `{extra}' (position 3, argc {at})\n"))
        }
    };
    match packet_len {
        Ok(length) => options.length = length,
        Err(text) => return refuse(text, 2),
    }
    if options.first_hop == 0 || options.first_hop > options.hops_max {
        return refuse("first hop out of range\n", 2);
    }
    options.target.clone_from(&parsed.operands[0]);
    Command::process(Traceroute::new(options), Out::default())
}

/// Why an option is not taken.
enum Wrong {
    /// The program's own words.
    Said(String),
    /// It exists and is not simulated.
    NotSimulated(String),
    /// Its argument is none.
    Argument,
}

/// The number of the first word of which something holds, counted from 1.
fn place(words: &[String], holds: impl Fn(&String) -> bool) -> usize {
    words.iter().position(holds).map_or(1, |at| at + 1)
}

/// An option as it was written: by its letter, or by its long name.
fn written(words: &[String], letter: char) -> String {
    let long = LONG.iter().find(|(_, known)| *known == letter).map_or("", |(name, _)| *name);
    let is_long = words
        .iter()
        .any(|word| word.strip_prefix("--").is_some_and(|rest| rest.split('=').next() == Some(long)));
    if is_long { format!("--{long}") } else { format!("-{letter}") }
}

fn cannot_handle(words: &[String], letter: char, argument: &str) -> String {
    let at = place(words, |word| word.ends_with(argument));
    format!("Cannot handle `{}' option with arg `{argument}' (argc {at})\n", written(words, letter))
}

/// Reads long options, then short ones; the error is what the program says.
fn split(words: &[String]) -> Result<Parsed, String> {
    let mut short: Vec<String> = Vec::new();
    let mut long: Vec<(char, String)> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) else {
            short.push(word.clone());
            continue;
        };
        let (name, argument) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
        let Some((_, letter)) = LONG.iter().find(|(known, _)| *known == name) else {
            return Err(format!("Bad option `--{name}' (argc {})\n", at + 1));
        };
        match (takes(*letter), argument) {
            (Some(what), None) => {
                return Err(format!(
                    "Option `--{name}' (argc {}) requires an argument: `--{name}={what}'\n",
                    at + 1
                ));
            }
            (None, Some(_)) => return Err(format!("Bad option `{word}' (argc {})\n", at + 1)),
            (Some(_), Some(argument)) => long.push((*letter, argument.to_owned())),
            (None, None) => long.push((*letter, String::new())),
        }
    }
    let mut parsed = getopt("46dFf:g:ITi:m:N:np:t:l:w:q:rs:z:eAM:O:UDP:V", &short).map_err(|text| {
        let letter = text.trim_end_matches('\'').chars().last().unwrap_or('-');
        let has = |word: &String| word.starts_with('-') && word.contains(letter);
        let at = place(words, has);
        match takes(letter).filter(|_| text.starts_with("option requires")) {
            Some(what) => {
                format!("Option `-{letter}' (argc {at}) requires an argument: `-{letter} {what}'\n")
            }
            None => format!("Bad option `-{letter}' (argc {at})\n"),
        }
    })?;
    parsed.options.extend(long);
    Ok(parsed)
}

/// What the program calls the argument of an option that takes one.
fn takes(letter: char) -> Option<&'static str> {
    ARGUMENTS.iter().find(|(known, _)| *known == letter).map(|(_, what)| *what)
}

/// Notes an option.
fn set(options: &mut TracerouteOptions, letter: char, argument: &str) -> Result<(), Wrong> {
    let number = || argument.parse::<u32>().map_err(|_| Wrong::Argument);
    match letter {
        'n' => options.numeric = true,
        'I' => options.method = Method::Icmp,
        'T' => options.method = Method::Tcp,
        'U' => options.method = Method::Udp,
        'F' => options.dont_fragment = true,
        MTU => (options.finds_mtu, options.dont_fragment, options.at_once) = (true, true, 1),
        BACK => options.back = true,
        '4' | 'e' | 'd' | 'l' => {}
        'm' => match number()? {
            hops @ 0..=255 => options.hops_max = hops as u8,
            _ => return Err(Wrong::Said("max hops cannot be more than 255".to_owned())),
        },
        'f' => options.first_hop = u8::try_from(number()?).unwrap_or(0),
        'q' => match number()? {
            probes @ 1..=10 => options.probes = probes as u8,
            _ => return Err(Wrong::Said("no more than 10 probes per hop".to_owned())),
        },
        'N' => options.at_once = u16::try_from(number()?).unwrap_or(u16::MAX),
        // The kernel looks at the lower half only.
        'p' => options.port = Some(number()? as u16),
        't' => options.tos = number()? as u8,
        SPORT => (options.source_port, options.at_once) = (number()? as u16, 1),
        'i' => options.device = Some(argument.to_owned()),
        's' => options.source = Some(argument.to_owned()),
        'w' => options.patience = patience(argument).ok_or(Wrong::Argument)?,
        'z' => options.send_wait = send_wait(argument)?,
        'M' => options.method = module(argument)?,
        'O' if argument == "info" => options.info = true,
        'O' => return Err(Wrong::NotSimulated(format!("-O {argument}"))),
        other => return Err(Wrong::NotSimulated(written(&[], other))),
    }
    Ok(())
}

/// `-M NAME`.
fn module(name: &str) -> Result<Method, Wrong> {
    match name {
        "default" => Ok(Method::Default),
        "udp" => Ok(Method::Udp),
        "icmp" => Ok(Method::Icmp),
        "tcp" => Ok(Method::Tcp),
        "tcpconn" | "udplite" | "dccp" | "raw" => Err(Wrong::NotSimulated(format!("-M {name}"))),
        other => Err(Wrong::Said(format!("Unknown traceroute module {other}"))),
    }
}

/// `-w MAX,HERE,NEAR`: what is left out behind the first sets no limit (`set_wait_specs`).
fn patience(text: &str) -> Option<Patience> {
    let mut parts = text.split(',').map(thousandths);
    let most = Duration::from_ms(parts.next()??);
    let here = parts.next().map_or(Some(0), |part| part)?;
    let near = parts.next().map_or(Some(0), |part| part)?;
    parts.next().is_none().then_some(Patience { most, here, near })
}

/// `-z`: seconds, or beyond 10 milliseconds.
fn send_wait(text: &str) -> Result<Duration, Wrong> {
    let negative = text.strip_prefix('-').and_then(thousandths).is_some();
    if negative {
        return Err(Wrong::Said(format!("bad sendtime `{text}' specified")));
    }
    let thousandths = thousandths(text).ok_or(Wrong::Argument)?;
    let is_ms = thousandths > 10_000;
    Ok(if is_ms { Duration::from_us(thousandths) } else { Duration::from_ms(thousandths) })
}

/// A number with decimals, in thousandths.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals: String = decimals.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(decimals.parse().ok()?)
}

/// busybox's, with fewer options.
fn of_busybox(words: &[String]) -> Command {
    let parsed = match getopt("FIlnrdvxt:i:m:p:q:s:w:z:f:4", words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("traceroute: {text}\n"), 1),
    };
    let mut options = TracerouteOptions::new("");
    (options.busybox, options.at_once) = (true, 1);
    for (letter, argument) in &parsed.options {
        match (letter, argument.parse::<u16>().ok()) {
            ('n', _) => options.numeric = true,
            ('I', _) => options.method = Method::Icmp,
            ('4' | 'v' | 'l', _) => {}
            ('F', _) => options.dont_fragment = true,
            ('m', Some(hops @ 1..=255)) => options.hops_max = hops as u8,
            ('f', Some(hop @ 1..=255)) => options.first_hop = hop as u8,
            ('q', Some(probes @ 1..=10)) => options.probes = probes as u8,
            ('p', Some(port)) => options.port = Some(port),
            ('w', Some(secs)) => options.patience.most = Duration::from_secs(secs.into()),
            ('m' | 'f' | 'q' | 'p' | 'w', _) => {
                return refuse(format!("traceroute: invalid number '{argument}'\n"), 1);
            }
            (other, _) => {
                let (text, status) = not_simulated("traceroute", &format!("-{other}"));
                return refuse(text, status);
            }
        }
    }
    match parsed.operands.as_slice() {
        [] => refuse(
            "BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.\n\nUsage: traceroute HOST\n",
            1,
        ),
        [target, rest @ ..] => {
            options.target.clone_from(target);
            options.length = rest.first().and_then(|text| text.parse().ok());
            Command::process(Traceroute::new(options), Out::default())
        }
    }
}

/// `tracepath`.
pub(super) fn tracepath(words: &[String]) -> Command {
    let parsed = match getopt("46nbhl:m:p:V", words) {
        Ok(parsed) => parsed,
        Err(text) => {
            return refuse(format!("tracepath: {text}\n\nUsage\n  tracepath [options] <destination>\n"), 255);
        }
    };
    let mut options = TracepathOptions::new("");
    for (letter, argument) in &parsed.options {
        match (letter, argument.parse::<u32>()) {
            ('n', _) => options.numeric = true,
            ('b', _) => options.both = true,
            ('m', Ok(hops @ 1..=255)) => options.hops_max = hops as u8,
            ('l', Ok(length @ 28..=65535)) => options.length = length,
            ('p', Ok(port @ 1..=65535)) => options.port = port as u16,
            ('V', _) => return answer("tracepath from iputils 20221126\n"),
            ('4', _) => {}
            (other, _) => {
                return refuse(format!("tracepath: invalid argument: '{argument}' (-{other})\n"), 1);
            }
        }
    }
    match parsed.operands.first() {
        None => refuse("tracepath: usage error: Destination required\n", 255),
        Some(target) => {
            options.target.clone_from(target);
            Command::process(Tracepath::new(options), Out::default())
        }
    }
}
