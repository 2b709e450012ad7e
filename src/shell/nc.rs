//! The command lines of `nc` in its three editions, and of `telnet`.

use super::Command;
use super::busybox::BANNER;
use super::getopt::getopt;
use super::out::{Out, not_simulated, refuse};
use crate::app::Transport;
use crate::app::local::UnixNc;
use crate::app::nc::{Edition, Nc, NcOptions};
use crate::app::services::service_port;
use crate::app::telnet::Telnet;
use crate::base::Duration;

const HELP: &str = include_str!("usage/nc.txt");
const BUSYBOX_USAGE: &str = include_str!("usage/busybox-nc.txt");

/// `nc` of OpenBSD or the traditional one, by the name it was called by.
pub(super) fn nc(program: &str, words: &[String]) -> Command {
    let edition = if program == "nc.traditional" { Edition::Traditional } else { Edition::OpenBsd };
    let spec = match edition {
        Edition::Traditional => "46abchlnortuvzCe:g:G:i:o:p:q:s:T:w:",
        Edition::OpenBsd | Edition::Busybox => "46bCDdFhklNnrStUuvZzI:i:M:m:O:P:p:q:s:T:V:W:w:X:x:",
    };
    let parsed = match getopt(spec, words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("{program}: {text}\n{}", usage(program)), 1),
    };
    let mut options = NcOptions::new(edition, program);
    let mut port = None;
    let mut unix = false;
    for (letter, argument) in &parsed.options {
        let secs = argument.parse::<u64>();
        match letter {
            'l' => options.listen = true,
            'k' => options.keep = true,
            'u' => options.udp = true,
            'z' => options.scan = true,
            'v' => options.verbose = true,
            'n' => options.numeric = true,
            'N' => options.shuts_down = true,
            'd' => options.no_input = true,
            'b' if edition != Edition::Busybox => options.broadcast = true,
            'p' => port = ports(argument, &options).and_then(|ports| ports.first().copied()),
            's' => options.source = argument.parse().ok(),
            'q' => options.quit_after = argument.parse().ok(),
            'w' => match secs {
                Ok(secs) => options.timeout = Some(Duration::from_secs(secs)),
                Err(_) => return refuse(format!("{program}: timeout invalid: {argument}\n"), 1),
            },
            'U' => unix = true,
            'h' if edition == Edition::OpenBsd => {
                return refuse(HELP.replace("usage: nc ", &format!("usage: {program} ")), 0);
            }
            '6' if edition == Edition::OpenBsd && parsed.operands.len() > 1 && !options.listen => {
                let [host, port, ..] = parsed.operands.as_slice() else { return refuse(usage(program), 1) };
                let text = "Address family for hostname not supported";
                return refuse(
                    format!("{program}: getaddrinfo for host \"{host}\" port {port}: {text}\n"),
                    1,
                );
            }
            'i' if argument.parse::<u32>().is_err() && edition == Edition::OpenBsd => {
                return refuse(format!("{program}: interval invalid: {argument}\n"), 1);
            }
            '4' | 'r' | 'D' => {}
            other => {
                let (text, status) = not_simulated(program, &format!("-{other}"));
                return refuse(text, status);
            }
        }
    }
    if unix {
        let [path] = parsed.operands.as_slice() else { return refuse(usage(program), 1) };
        let flags = [options.listen, options.keep, options.verbose, options.shuts_down];
        return Command::process(UnixNc::new(program, path, flags), Out::default());
    }
    place(options, port, &parsed.operands, &usage(program))
}

fn usage(program: &str) -> String {
    if program == "nc.traditional" {
        return "no destination\n".to_owned();
    }
    format!(
        "usage: {program} [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-M ttl]\n\t  [-m minttl] [-O length] [-P proxy_username] \
         [-p source_port]\n\t  [-q seconds] [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit]\n\t  [-w timeout] [-X proxy_protocol] \
         [-x proxy_address[:port]]\n\t  [destination] [port]\n"
    )
}

/// Puts host and ports where they belong; `port` is that of `-p`.
fn place(mut options: NcOptions, port: Option<u16>, operands: &[String], usage: &str) -> Command {
    let list = |text: &String, options: &NcOptions| ports(text, options);
    let program = options.program.clone();
    let edition = options.edition;
    let too_large = |text: &str| text.parse::<u64>().is_ok_and(|port| port > 65_535);
    let bad_port = |text: &String| match edition {
        Edition::Traditional => refuse(format!("invalid port {text}\n"), 1),
        Edition::OpenBsd if too_large(text) => {
            refuse(format!("{program}: port number too large: {text}\n"), 1)
        }
        Edition::OpenBsd | Edition::Busybox => refuse(format!("{program}: port number invalid: {text}\n"), 1),
    };
    if edition == Edition::OpenBsd {
        if options.listen && options.scan {
            return refuse(format!("{program}: cannot use -z and -l\n"), 1);
        }
        let lacks_port = operands.len() == 1 && !options.listen || operands.is_empty() && options.listen;
        if lacks_port && port.is_none() {
            return refuse(format!("{program}: missing port number\n"), 1);
        }
    }
    if edition == Edition::Traditional && operands.len() == 1 && !options.listen {
        return refuse("no port[s] to connect to\n", 1);
    }
    if options.listen {
        match (operands, port) {
            ([], Some(port)) => options.ports = vec![port],
            ([only], None) => match list(only, &options) {
                Some(found) => options.ports = found,
                None => return bad_port(only),
            },
            ([host], Some(port)) => (options.host, options.ports) = (Some(host.clone()), vec![port]),
            ([host, only], _) => match list(only, &options) {
                Some(found) => (options.host, options.ports) = (Some(host.clone()), found),
                None => return bad_port(only),
            },
            _ => return refuse(usage, 1),
        }
        return Command::process(Nc::new(options), Out::default());
    }
    let [host, rest @ ..] = operands else { return refuse(usage, 1) };
    if rest.is_empty() {
        return refuse(usage, 1);
    }
    options.source_port = port.unwrap_or(0);
    options.host = Some(host.clone());
    for text in rest {
        match list(text, &options) {
            Some(found) => options.ports.extend(found),
            None => return bad_port(text),
        }
    }
    Command::process(Nc::new(options), Out::default())
}

/// A port, a range of ports, or a service.
fn ports(text: &str, options: &NcOptions) -> Option<Vec<u16>> {
    let transport = if options.udp { Transport::Udp } else { Transport::Tcp };
    if let Some((first, last)) = text.split_once('-')
        && let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>())
    {
        return Some((first.min(last)..=first.max(last)).collect());
    }
    let port = text.parse().ok().filter(|port| *port != 0);
    port.or_else(|| service_port(text, transport)).map(|port| vec![port])
}

/// `nc` of busybox: Debian's build is without `-z`, `-v` and `-u`, Alpine's and the busybox image's have them.
pub(super) fn busybox(words: &[String], is_debian: bool) -> Command {
    let spec = if is_debian { "lp:w:i:f:e:" } else { "lp:w:i:f:e:nuvzk46" };
    let parsed = match getopt(spec, words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("nc: {text}\n{BANNER}{BUSYBOX_USAGE}"), 1),
    };
    let mut options = NcOptions::new(Edition::Busybox, "nc");
    let mut port = None;
    for (letter, argument) in &parsed.options {
        match letter {
            'l' => options.listen = true,
            'k' => options.keep = true,
            'u' => options.udp = true,
            'z' => options.scan = true,
            'v' => options.verbose = true,
            'n' => options.numeric = true,
            'p' => port = argument.parse().ok(),
            'w' => match argument.parse() {
                Ok(secs) => options.timeout = Some(Duration::from_secs(secs)),
                Err(_) => return refuse(format!("nc: invalid number '{argument}'\n"), 1),
            },
            '4' => {}
            other => {
                let (text, status) = not_simulated("nc", &format!("-{other}"));
                return refuse(text, status);
            }
        }
    }
    place(options, port, &parsed.operands, &format!("{BANNER}{BUSYBOX_USAGE}"))
}

/// `telnet HOST [PORT]`.
pub(super) fn telnet(words: &[String]) -> Command {
    match words {
        [host] => Command::process(Telnet::new(host, 23), Out::default()),
        [host, port] => match port.parse().ok().or_else(|| service_port(port, Transport::Tcp)) {
            Some(port) => Command::process(Telnet::new(host, port), Out::default()),
            None => refuse(format!("telnet: bad port '{port}'\n"), 1),
        },
        _ => refuse(
            format!("{BANNER}\nUsage: telnet [-a] [-l USER] HOST [PORT]\n\nConnect to telnet server\n"),
            1,
        ),
    }
}
