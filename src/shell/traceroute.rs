//! The command lines of `traceroute` and `tracepath`.

use super::Command;
use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use crate::app::tracepath::{Tracepath, TracepathOptions};
use crate::app::traceroute::{Method, Traceroute, TracerouteOptions};

/// `traceroute` of Debian, or busybox's.
pub(super) fn traceroute(words: &[String], busybox: bool) -> Command {
    let spec =
        if busybox { "FIlnrdvxt:i:m:p:q:s:w:z:f:4" } else { "46dFf:g:I:Ti:m:N:np:t:w:q:rs:z:eAM:ODUuLP:V" };
    // `-I` takes no argument; the library reads it so only where it is told.
    let spec = spec.replace("I:", "I");
    let parsed = match getopt(&spec, words) {
        Ok(parsed) => parsed,
        Err(text) if busybox => return refuse(format!("traceroute: {text}\n"), 1),
        Err(text) => {
            let option = text.trim_start_matches("invalid option -- '").trim_end_matches('\'').to_owned();
            return refuse(format!("Bad option `-{option}' (argc 1)\n"), 2);
        }
    };
    let mut options = TracerouteOptions::new("");
    options.busybox = busybox;
    if busybox {
        options.at_once = 1;
    }
    for (letter, argument) in &parsed.options {
        let wrong = || {
            let text = format!("Cannot handle `-{letter}' option with arg `{argument}' (argc 1)\n");
            refuse(text, 2)
        };
        let number = argument.parse::<u16>().ok();
        match (letter, number) {
            ('n', _) => options.numeric = true,
            ('I', _) => options.method = Method::Icmp,
            ('U' | '4' | 'F' | 'e' | 'v' | 'l', _) => {}
            ('V', _) => return answer("Modern traceroute for Linux, version 2.1.2\n"),
            ('q', Some(11..)) if !busybox => return refuse("no more than 10 probes per hop\n", 2),
            ('m' | 'f', Some(0)) if !busybox => return refuse("first hop out of range\n", 2),
            ('m', Some(hops @ 1..=255)) => options.hops_max = hops as u8,
            ('f', Some(hop @ 1..=255)) => options.first_hop = hop as u8,
            ('q', Some(probes @ 1..=10)) => options.probes = probes as u8,
            ('N', Some(count)) if count > 0 => options.at_once = count,
            ('p', Some(port)) => options.port = port,
            ('w', _) => match seconds_ms(argument.split(',').next().unwrap_or("")) {
                Some(ms) => options.wait_ms = ms,
                None => return wrong(),
            },
            ('m' | 'f' | 'q' | 'N' | 'p', _) => return wrong(),
            (other, _) => {
                let (text, status) = not_simulated("traceroute", &format!("-{other}"));
                return refuse(text, status);
            }
        }
    }
    if options.first_hop > options.hops_max && !busybox {
        return refuse("first hop out of range\n", 2);
    }
    match parsed.operands.as_slice() {
        [] if busybox => refuse(
            "BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.\n\nUsage: traceroute HOST\n",
            1,
        ),
        [] => refuse("Specify \"host\" missing argument.\n", 2),
        [target, rest @ ..] => {
            options.target.clone_from(target);
            if let Some(length) = rest.first().and_then(|text| text.parse().ok()) {
                // No packet is shorter than its headers.
                options.length = if busybox { length } else { std::cmp::max(length, 28) };
            }
            Command::process(Traceroute::new(options), Out::default())
        }
    }
}

/// Seconds with decimals, in milliseconds.
fn seconds_ms(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals: String = decimals.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(decimals.parse().ok()?)
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
