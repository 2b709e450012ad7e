//! `ipvsadm` 1.31: listing of virtual servers and connections, as its source prints them (the machine that outputs are
//! recorded on has no IPVS).

use super::getopt::getopt;
use super::out::{answer, not_simulated, refuse};
use super::{Command, Context};
use crate::base::SimTime;
use crate::trace::{Ipvs, ServerKey, protocol_word};
use std::fmt::Write as _;

/// Runs `ipvsadm`.
pub(super) fn ipvsadm(context: &Context<'_>, words: &[String]) -> Command {
    let Some(state) = context.inventory.netns.get(&context.netns) else {
        return refuse("Can't initialize ipvs: Permission denied\n", 255);
    };
    let ipvs = &state.netfilter.ipvs;
    let (mut save, mut of_connections) = (false, false);
    let long: Vec<String> = words.iter().map(|word| short(word)).collect();
    let parsed = match getopt("LlSncAEDaedRCZhvt:u:f:s:p:r:m", &long) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("ipvsadm: {text}\n"), 2),
    };
    let mut only = None;
    for (letter, argument) in &parsed.options {
        match letter {
            // *Simplified*: addresses are not looked up without `-n`.
            'L' | 'l' | 'n' | 'p' => {}
            'S' => save = true,
            'c' => of_connections = true,
            't' | 'u' => match argument.parse() {
                Ok(socket) => {
                    only = Some(ServerKey { protocol: if *letter == 't' { 6 } else { 17 }, socket });
                }
                Err(_) => {
                    return refuse(
                        format!("illegal virtual server address[:port] specified: {argument}\n"),
                        2,
                    );
                }
            },
            'v' => return answer("ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n"),
            other => {
                let (text, status) = not_simulated("ipvsadm", &format!("-{other}"));
                return refuse(text, status);
            }
        }
    }
    if let Some(key) = only.filter(|key| !ipvs.servers.contains_key(key)) {
        return refuse(format!("No such service: {}\n", key.socket), 255);
    }
    answer(match (save, of_connections) {
        (true, _) => saved(ipvs),
        (false, true) => connections(ipvs, context.inventory.now),
        (false, false) => servers(ipvs, context.inventory.now, only),
    })
}

/// Long options by their letters.
fn short(word: &str) -> String {
    match word {
        "--list" => "-L",
        "--numeric" => "-n",
        "--connection" => "-c",
        "--save" => "-S",
        "--version" => "-v",
        "--help" => "-h",
        "--tcp-service" => "-t",
        "--udp-service" => "-u",
        "--clear" => "-C",
        other => other,
    }
    .to_owned()
}

const HEAD: &str = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> \
                    RemoteAddress:Port           Forward Weight ActiveConn InActConn\n";

/// `ipvsadm -L`: sorted by protocol, address and port. Names are not looked up, with or without `-n`.
fn servers(ipvs: &Ipvs, now: SimTime, only: Option<ServerKey>) -> String {
    let mut out = HEAD.to_owned();
    for (key, (_, row)) in ipvs.servers.iter().filter(|(key, _)| only.is_none_or(|only| only == **key)) {
        let _ = write!(out, "{}  {} {}", protocol_word(key.protocol), key.socket, row.scheduler.name());
        if !row.scheduler.flags().is_empty() {
            let _ = write!(out, " ({})", row.scheduler.flags());
        }
        if let Some(seconds) = row.persistent {
            let _ = write!(out, " persistent {seconds}");
        }
        out.push('\n');
        let mut real = row.real.clone();
        real.sort();
        for real in real {
            let (active, inactive) = ipvs.counts(key, real.socket, now);
            let _ = writeln!(
                out,
                "  -> {:<28} {:<7} {:<6} {active:<10} {inactive:<10}",
                real.socket.to_string(),
                "Masq",
                real.weight
            );
        }
    }
    out
}

/// `ipvsadm -Lc`.
fn connections(ipvs: &Ipvs, now: SimTime) -> String {
    let mut out =
        "IPVS connection entries\npro expire state       source             virtual            destination\n"
            .to_owned();
    for connection in ipvs.kept(now) {
        let _ = writeln!(out, "{}", connection.row.line(connection.left(now)));
    }
    out
}

/// `ipvsadm -S`: a command for each line.
fn saved(ipvs: &Ipvs) -> String {
    let mut out = String::new();
    for (key, (_, row)) in &ipvs.servers {
        let service = format!("-{} {}", if key.protocol == 17 { 'u' } else { 't' }, key.socket);
        let persistent = row.persistent.map_or_else(String::new, |seconds| format!(" -p {seconds}"));
        let flags = row.scheduler.flags();
        let flags = if flags.is_empty() { String::new() } else { format!(" -b {flags}") };
        let _ = writeln!(out, "-A {service} -s {}{persistent}{flags}", row.scheduler.name());
        for real in &row.real {
            let _ = writeln!(out, "-a {service} -r {} -m -w {}", real.socket, real.weight);
        }
    }
    out
}
