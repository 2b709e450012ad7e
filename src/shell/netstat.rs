//! `netstat` of net-tools 2.10 and of busybox 1.35: sockets and interfaces.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use super::busybox::BANNER;
use super::getopt::getopt;
use super::nettools::{self, Edition};
use super::out::{answer, not_simulated, refuse};
use super::{Command, Context};
use crate::app::services::service_name;
use crate::trace::{NetnsState, SocketRow, SocketState, Transport};
use std::net::SocketAddrV4;

const BUSYBOX_USAGE: &str = include_str!("usage/busybox-netstat.txt");

/// `netstat`.
pub(super) fn netstat(context: &Context<'_>, words: &[String], edition: Edition) -> Command {
    let spec = if edition == Edition::Busybox { "ralutwxenW" } else { "MCFA:acdegphinNorstuUv46VWx:wlZ" };
    let parsed = match getopt(spec, words) {
        Ok(parsed) => parsed,
        Err(text) if edition == Edition::Busybox => {
            return refuse(format!("netstat: {text}\n{BANNER}{BUSYBOX_USAGE}"), 1);
        }
        Err(text) => return refuse(format!("netstat: {text}\nusage: netstat [-vWeenNcCF] [<Af>] -r\n"), 1),
    };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    if has('r') {
        return nettools::netstat_routes(context);
    }
    if has('i') {
        return interfaces(context);
    }
    if let Some((letter, _)) = parsed.options.iter().find(|(letter, _)| "sgMZ".contains(*letter)) {
        let (text, status) = not_simulated("netstat", &format!("-{letter}"));
        return refuse(text, status);
    }
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 1) };
    let which = match (has('a'), has('l')) {
        (true, _) => "servers and established",
        (false, true) => "only servers",
        (false, false) => "w/o servers",
    };
    let mut text = format!("Active Internet connections ({which})\n");
    text += "Proto Recv-Q Send-Q Local Address           Foreign Address         State      ";
    text += if has('p') { " PID/Program name    \n" } else { " \n" };
    let families = [(Transport::Tcp, has('t') || !has('u')), (Transport::Udp, has('u') || !has('t'))];
    for (transport, _) in families.into_iter().filter(|(_, wanted)| *wanted) {
        for listening in [true, false] {
            let rows = state.sockets.values().filter(|row| {
                let serves = row.state == SocketState::Listen || row.state == SocketState::Close;
                row.transport == transport
                    && (row.state == SocketState::Listen) == listening
                    && row.local.port() != 0
                    && (has('a') || serves == has('l'))
            });
            for row in rows {
                text += &line(context, row, has('n'), has('p'));
            }
        }
    }
    answer(text)
}

fn line(context: &Context<'_>, row: &SocketRow, numeric: bool, with_program: bool) -> String {
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
        address(row.local, row.transport, numeric),
        address(row.remote, row.transport, numeric)
    );
    if with_program {
        let holder = row.holder.and_then(|(process, _)| context.inventory.processes.get(&process));
        let program = holder.map_or("-".to_owned(), |holder| format!("{}/{}", holder.pid, holder.title()));
        let cut: String = program.chars().take(19).collect();
        text += &format!(" {cut:<20}");
    } else {
        text.push(' ');
    }
    text + "\n"
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
    let mut text = "Kernel Interface table\nIface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n".to_owned();
    let mut links: Vec<_> = state.links.values().filter(|link| link.up).collect();
    links.sort_by_key(|link| link.name.clone());
    for link in links {
        text += &interface_line(state, link);
    }
    answer(text)
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
        "{:<8} {:5} {:8} {:6} {:6} {:<6} {:8} {:6} {:6} {:6} {flags}\n",
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
