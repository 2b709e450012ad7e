//! `netstat` of net-tools 2.10 and of busybox 1.35: sockets and interfaces.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use super::busybox::BANNER;
use super::getopt::getopt;
use super::netstat_statistics::{self as statistics, Wanted};
use super::nettools::{self, Edition};
use super::out::{answer, not_simulated, refuse};
use super::{Command, Context, route};
use crate::app::services::service_name;
use crate::base::SimTime;
use crate::cluster::images::{self, Tools};
use crate::trace::{NetnsState, SocketRow, SocketState, SocketTimerKind, Transport};
use std::net::SocketAddrV4;

const COUNTERS: &str = "    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n";
const VERSION: &str = include_str!("usage/netstat-version.txt");
const NO_MASQUERADE: &str = "netstat: no support for `ip_masquerade' on this system.\n";
const USAGE: &str = include_str!("usage/netstat.txt");
const BUSYBOX_USAGE: &str = include_str!("usage/busybox-netstat.txt");

/// Long options by their letters; busybox has none.
const LONG: [(&str, &str); 17] = [
    ("--all", "-a"),
    ("--extend", "-e"),
    ("--groups", "-g"),
    ("--interfaces", "-i"),
    ("--listening", "-l"),
    ("--masquerade", "-M"),
    ("--numeric", "-n"),
    ("--programs", "-p"),
    ("--raw", "-w"),
    ("--route", "-r"),
    ("--statistics", "-s"),
    ("--tcp", "-t"),
    ("--timers", "-o"),
    ("--udp", "-u"),
    ("--unix", "-x"),
    ("--version", "-V"),
    ("--wide", "-W"),
];

fn short(word: &str, edition: Edition) -> String {
    let found = LONG.iter().find(|(long, _)| *long == word && edition == Edition::NetTools);
    found.map_or(word, |(_, short)| short).to_owned()
}

/// `netstat -s`: the protocols' counters in words.
fn summary(context: &Context<'_>, has: &dyn Fn(char) -> bool) -> Command {
    let any = "tuw".chars().any(has);
    let wanted = Wanted { raw: !any || has('w'), tcp: !any || has('t'), udp: !any || has('u') };
    let own = context.inventory.snmp.as_ref().filter(|(netns, _)| *netns == context.netns);
    answer(own.map_or_else(String::new, |(_, snmp)| statistics::text(&snmp.tables(), wanted)))
}

/// `netstat`.
pub(super) fn netstat(context: &Context<'_>, words: &[String], edition: Edition) -> Command {
    // Debian's busybox is built without `-W` and `-p`; the one of the image `busybox` has both.
    let own_image = context.image.is_some_and(|image| images::tools(image) == Tools::Busybox);
    let spec = if edition == Edition::Busybox && own_image {
        "ralutwxenWp"
    } else if edition == Edition::Busybox {
        "ralutwxen"
    } else {
        "MCFA:acdegphinNorstuUv46VWx:wlZ"
    };
    let words: Vec<String> = words.iter().map(|word| short(word, edition)).collect();
    let parsed = match getopt(spec, &words) {
        Ok(parsed) => parsed,
        Err(text) if edition == Edition::Busybox => {
            return refuse(format!("netstat: {text}\n{BANNER}{BUSYBOX_USAGE}"), 1);
        }
        Err(text) => return refuse(format!("netstat: {text}\n{USAGE}"), 3),
    };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    let net_tools = edition == Edition::NetTools;
    if has('V') {
        return answer(VERSION);
    }
    if has('r') {
        return route::netstat(context, !has('n'), has('e') && net_tools, edition);
    }
    if has('i') {
        return if has('e') { nettools::ifconfig(context, &[], edition) } else { interfaces(context) };
    }
    if has('s') && net_tools {
        return summary(context, &has);
    }
    if has('g') && net_tools {
        return groups(context);
    }
    if has('M') && net_tools {
        return refuse(NO_MASQUERADE, 1);
    }
    if let Some((letter, _)) = parsed.options.iter().find(|(letter, _)| "gZ".contains(*letter)) {
        let (text, status) = not_simulated("netstat", &format!("-{letter}"));
        return refuse(text, status);
    }
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 1) };
    let which = which(has('a'), has('l'));
    // Without a word on families, all of them are shown.
    let any = "tuUSwx".chars().any(has);
    let mut text = String::new();
    if !any || "tuUSw".chars().any(has) {
        text += &format!("Active Internet connections ({which})\n");
        text += "Proto Recv-Q Send-Q Local Address           Foreign Address         State      ";
        text += match (net_tools, has('p')) {
            (true, false) => "",
            (_, true) => " PID/Program name    ",
            (false, false) => " ",
        };
        // The columns of `-e` stand before the program's name.
        if net_tools && has('e') {
            text = text.replace("State      ", "State       User       Inode     ");
        }
        text += if net_tools && has('o') { " Timer\n" } else { "\n" };
        let shown = Shown {
            numeric: has('n'),
            programs: has('p'),
            extended: has('e') && net_tools,
            timers: has('o') && net_tools,
            net_tools,
        };
        text +=
            &connections(context, state, [has('t') || !any, has('u') || !any], (&shown, has('a'), has('l')));
    }
    if !any || has('x') {
        text += &unix_sockets(context, has('p'), (which, net_tools));
    }
    answer(text)
}

/// Which sockets a heading promises.
fn which(all: bool, listening: bool) -> &'static str {
    match (all, listening) {
        (true, _) => "servers and established",
        (false, true) => "only servers",
        (false, false) => "w/o servers",
    }
}

/// Which columns a line about a connection has.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
struct Shown {
    numeric: bool,
    programs: bool,
    extended: bool,
    timers: bool,
    net_tools: bool,
}

/// TCP, then UDP.
fn connections(
    context: &Context<'_>,
    state: &NetnsState,
    wanted: [bool; 2],
    (shown, all, listening_only): (&Shown, bool, bool),
) -> String {
    let mut text = String::new();
    let kernel = super::ss::kernel_sockets(state);
    let families = [(Transport::Tcp, wanted[0]), (Transport::Udp, wanted[1])];
    for (transport, _) in families.into_iter().filter(|(_, wanted)| *wanted) {
        for listening in [true, false] {
            let rows = state.sockets.values().chain(&kernel).filter(|row| {
                let serves = row.state == SocketState::Listen || row.state == SocketState::Close;
                row.transport == transport
                    && (row.state == SocketState::Listen) == listening
                    && row.local.port() != 0
                    && (all || serves == listening_only)
            });
            for row in rows {
                text += &line(context, row, shown);
            }
        }
    }
    text
}

/// The table of UNIX sockets, which has a heading even when it is empty.
fn unix_sockets(context: &Context<'_>, with_program: bool, (which, net_tools): (&str, bool)) -> String {
    let shown = |listens: bool| match which {
        "servers and established" => true,
        "only servers" => listens,
        _ => !listens,
    };
    let program = match (net_tools, with_program) {
        (true, true) => "   PID/Program name     ",
        (true, false) => "   ",
        (false, true) => " PID/Program name    ",
        (false, false) => " ",
    };
    let mut text = format!(
        "Active UNIX domain sockets ({which})\n\
         Proto RefCnt Flags       Type       State         I-Node{program}Path\n"
    );
    for row in super::ss::all_unix(context).filter(|row| shown(row.listens)) {
        let (flags, state, references) =
            if row.listens { ("[ ACC ]", "LISTENING", 2) } else { ("[ ]", "CONNECTED", 3) };
        text += &format!("unix  {references:<6} {flags:<11} STREAM     {state:<13} {:<8} ", row.inode);
        if with_program {
            let holder = context.inventory.processes.get(&row.holder.0);
            let program =
                holder.map_or("-".to_owned(), |holder| format!("{}/{}", holder.pid, holder.title()));
            text += &format!("{:<20} ", program.chars().take(19).collect::<String>());
        }
        text += &format!("{}\n", row.path.as_deref().unwrap_or(""));
    }
    text
}

/// `netstat -g`: every interface has joined the group of all hosts (RFC 1112, `ip_mc_init_dev`).
fn groups(context: &Context<'_>) -> Command {
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 1) };
    let mut text =
        "IPv6/IPv4 Group Memberships\nInterface       RefCnt Group\n--------------- ------ ---------------------\n"
            .to_owned();
    for link in state.links.values() {
        text += &format!("{:<15} 1      224.0.0.1\n", link.name);
    }
    for link in state.links.values() {
        for group in ["ff02::1", "ff01::1"] {
            text += &format!("{:<15} 1      {group}\n", link.name);
        }
    }
    answer(text)
}

fn line(context: &Context<'_>, row: &SocketRow, shown: &Shown) -> String {
    let protocol = if row.transport == Transport::Tcp { "tcp" } else { "udp" };
    let state = match (row.transport, row.state) {
        (Transport::Udp, SocketState::Close) => "",
        (_, state) => state.name(),
    };
    // A listening socket's queues are shown as what waits and nothing.
    let send = if row.state == SocketState::Listen { 0 } else { row.send_queue };
    let mut text = format!(
        "{protocol:<5} {:6} {send:6} {:<23} {:<23} {state:<11}",
        row.recv_queue,
        address(row.local, row.transport, shown.numeric),
        address(row.remote, row.transport, shown.numeric)
    );
    if shown.extended {
        let user = if row.uid == 0 && !shown.numeric { "root".to_owned() } else { row.uid.to_string() };
        text += &format!(" {user:<10} {:<10}", row.inode);
    }
    if shown.programs {
        let holder = row.holder.and_then(|(process, _)| context.inventory.processes.get(&process));
        let program = holder.map_or("-".to_owned(), |holder| format!("{}/{}", holder.pid, holder.title()));
        let cut: String = program.chars().take(19).collect();
        text += &format!(" {cut:<20}");
    } else if !shown.net_tools {
        text.push(' ');
    }
    if shown.timers {
        text += &format!(" {}", timer(row, context.inventory.now));
    }
    text + "\n"
}

/// The timer of a connection, in seconds, with how often it ran and how many probes went unanswered (`-o`).
fn timer(row: &SocketRow, now: SimTime) -> String {
    let Some(timer) = row.timer else { return "off (0.00/0/0)".to_owned() };
    let kind = match timer.kind {
        SocketTimerKind::Retransmit => "on",
        SocketTimerKind::KeepAlive => "keepalive",
        SocketTimerKind::TimeWait => "timewait",
        SocketTimerKind::Persist => "probe",
    };
    let hundredths = timer.expires.since(now).as_ms() / 10;
    let seconds = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{kind} ({seconds}/{}/0)", timer.retransmits)
}

fn address(addr: SocketAddrV4, transport: Transport, numeric: bool) -> String {
    let port = match addr.port() {
        0 => "*".to_owned(),
        port if numeric => port.to_string(),
        port => service_name(port, transport).map_or_else(|| port.to_string(), str::to_owned),
    };
    let text = format!("{}:{port}", addr.ip());
    if text.len() <= 23 {
        text
    } else {
        format!("{}:{port}", &addr.ip().to_string()[..(22 - port.len()).min(addr.ip().to_string().len())])
    }
}

/// `netstat -i`.
fn interfaces(context: &Context<'_>) -> Command {
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 1) };
    let mut text = format!("Kernel Interface table\nIface             MTU{COUNTERS}");
    text += &interface_lines(state);
    answer(text)
}

/// `ifconfig -s`, whose heading never learnt of longer names.
pub(super) fn short_list(state: &NetnsState) -> String {
    format!("Iface      MTU{COUNTERS}{}", interface_lines(state))
}

fn interface_lines(state: &NetnsState) -> String {
    let mut text = String::new();
    let mut links: Vec<_> = state.links.values().filter(|link| link.up).collect();
    links.sort_by_key(|link| link.name.clone());
    for link in links {
        text += &interface_line(state, link);
    }
    text
}

fn interface_line(state: &NetnsState, link: &crate::trace::LinkRow) -> String {
    let counters = state.counters.get(&link.ifindex).copied().unwrap_or_default();
    let loopback = link.kind == crate::trace::LinkKind::Loopback;
    let flags = if loopback {
        "LRU"
    } else if link.carrier {
        "BMRU"
    } else {
        "BMU"
    };
    format!(
        "{:<15} {:5} {:8} {:6} {:6} {:<6} {:8} {:6} {:6} {:6} {flags}\n",
        link.name,
        link.mtu,
        counters.rx_packets,
        0,
        counters.rx_dropped,
        0,
        counters.tx_packets,
        0,
        counters.tx_dropped,
        0
    )
}
