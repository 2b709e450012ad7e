//! `ss` of iproute2 6.1 for TCP and UDP sockets (`misc/ss.c`). Sockets of other families are *not modelled*.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

mod columns;
mod filter;

use super::getopt::getopt;
use super::out::{answer, not_simulated, refuse};
use super::{Command, Context};
use crate::app::services::service_name;
use crate::base::{ProcessId, SimTime};
use crate::trace::{Inventory, SocketRow, SocketState, SocketTimer, SocketTimerKind, TcpInfo, Transport};
use columns::{ADDR, NETID, PEER, PEER_PORT, PORT, PROCESS, RECVQ, SENDQ, STATE, Table};
use filter::Filter;
use std::net::SocketAddrV4;

/// What the options ask for.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct Options {
    tcp: bool,
    udp: bool,
    numeric: bool,
    processes: bool,
    timers: bool,
    info: bool,
    details: bool,
    summary: bool,
    no_header: bool,
    one_line: bool,
}

/// All states that a connection may be in but TIME-WAIT and SYN-RECV (`SS_CONN`).
const CONNECTED: [SocketState; 7] = [
    SocketState::Established,
    SocketState::SynSent,
    SocketState::FinWait1,
    SocketState::FinWait2,
    SocketState::CloseWait,
    SocketState::LastAck,
    SocketState::Closing,
];

/// The name of a state.
fn state_name(state: SocketState) -> &'static str {
    match state {
        SocketState::Established => "ESTAB",
        SocketState::SynSent => "SYN-SENT",
        SocketState::SynRecv => "SYN-RECV",
        SocketState::FinWait1 => "FIN-WAIT-1",
        SocketState::FinWait2 => "FIN-WAIT-2",
        SocketState::TimeWait => "TIME-WAIT",
        SocketState::Close => "UNCONN",
        SocketState::CloseWait => "CLOSE-WAIT",
        SocketState::LastAck => "LAST-ACK",
        SocketState::Listen => "LISTEN",
        SocketState::Closing => "CLOSING",
    }
}

/// `ss`.
pub(super) fn ss(context: &Context<'_>, words: &[String]) -> Command {
    let words: Vec<String> = words.iter().map(|word| short(word)).collect();
    // The filter begins with the first word that is no option.
    let end = words.iter().position(|word| !word.starts_with('-')).unwrap_or(words.len());
    let parsed = match getopt("hVantleomipswruxdH460ObEZKf:A:D:F:N:M", &words[..end]) {
        Ok(parsed) => parsed,
        Err(text) => {
            return refuse(
                format!("ss: {text}\nUsage: ss [ OPTIONS ]\n       ss [ OPTIONS ] [ FILTER ]\n"),
                255,
            );
        }
    };
    let mut options = Options::default();
    let mut states: Vec<SocketState> = CONNECTED.to_vec();
    for (letter, _) in &parsed.options {
        match letter {
            't' => options.tcp = true,
            'u' => options.udp = true,
            'n' => options.numeric = true,
            'p' => options.processes = true,
            'o' => options.timers = true,
            'i' => options.info = true,
            'e' => (options.details, options.timers) = (true, true),
            's' => options.summary = true,
            'H' => options.no_header = true,
            'O' => options.one_line = true,
            'a' => states.extend([
                SocketState::Listen,
                SocketState::Close,
                SocketState::TimeWait,
                SocketState::SynRecv,
            ]),
            'l' => states = vec![SocketState::Listen, SocketState::Close],
            'V' => return answer("ss utility, iproute2-6.1.0\n"),
            '4' | 'r' | 'x' | 'w' | 'd' => {}
            other => {
                let (text, status) = not_simulated("ss", &format!("-{other}"));
                return refuse(text, status);
            }
        }
    }
    if !options.tcp && !options.udp {
        (options.tcp, options.udp) = (true, true);
    }
    let filter = match filter::read(&words[end..], &mut states) {
        Ok(filter) => filter,
        Err(text) => return refuse(text, 255),
    };
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 255) };
    let all: Vec<&SocketRow> = state.sockets.values().collect();
    if options.summary {
        return answer(summary(&all));
    }
    answer(table(context, &options, &states, (&filter, &all)))
}

/// Long options in the place of their letters.
fn short(word: &str) -> String {
    let letter = match word {
        "--tcp" => "-t",
        "--udp" => "-u",
        "--all" => "-a",
        "--listening" => "-l",
        "--numeric" => "-n",
        "--processes" => "-p",
        "--options" => "-o",
        "--extended" => "-e",
        "--info" => "-i",
        "--summary" => "-s",
        "--no-header" => "-H",
        "--oneline" => "-O",
        "--ipv4" => "-4",
        other => other,
    };
    letter.to_owned()
}

fn table(
    context: &Context<'_>,
    options: &Options,
    states: &[SocketState],
    (filter, all): (&Filter, &[&SocketRow]),
) -> String {
    let mut table = Table::default();
    if !(options.tcp && options.udp) {
        table.disable(NETID);
    }
    if states.len() == 1 {
        table.disable(STATE);
    }
    if !options.no_header {
        table.header();
    }
    let families = [(Transport::Udp, options.udp), (Transport::Tcp, options.tcp)];
    for (transport, _) in families.into_iter().filter(|(_, wanted)| *wanted) {
        // The kernel lists its table of listeners first.
        for listening in [true, false] {
            let rows = all.iter().filter(|row| {
                row.transport == transport
                    && (row.state == SocketState::Listen) == listening
                    && states.contains(&row.state)
                    && (transport == Transport::Tcp || row.local.port() != 0)
                    && filter.fits(row)
            });
            for row in rows {
                add(&mut table, context, options, row);
            }
        }
    }
    table.render(context.columns)
}

fn add(table: &mut Table, context: &Context<'_>, options: &Options, row: &SocketRow) {
    table.set(NETID, if row.transport == Transport::Tcp { "tcp" } else { "udp" });
    table.set(STATE, state_name(row.state));
    table.set(RECVQ, &format!("{:<6}", row.recv_queue));
    table.set(SENDQ, &format!("{:<6}", row.send_queue));
    let device = row.device.and_then(|ifindex| {
        let state = context.inventory.netns.get(&context.netns)?;
        Some(format!("%{}", state.ifname(ifindex)))
    });
    let service = |addr: SocketAddrV4| match addr.port() {
        0 => "*".to_owned(),
        port if options.numeric => port.to_string(),
        port => service_name(port, row.transport).map_or_else(|| port.to_string(), str::to_owned),
    };
    table.set(ADDR, &format!("{}{}:", row.local.ip(), device.unwrap_or_default()));
    table.set(PORT, &service(row.local));
    table.set(PEER, &format!("{}:", row.remote.ip()));
    table.set(PEER_PORT, &service(row.remote));
    let mut more = String::new();
    if let Some((process, fd)) = row.holder.filter(|_| options.processes) {
        more += &users(context.inventory, process, fd);
    }
    if let Some(timer) = row.timer.filter(|_| options.timers) {
        more += &format!(" timer:({})", timer_text(&timer, context.inventory.now));
    }
    if options.details {
        if row.uid != 0 {
            more += &format!(" uid:{}", row.uid);
        }
        more += &format!(" ino:{} sk:{:x} <->", row.inode, row.socket.0 + 1);
    }
    if let Some(info) = row.tcp.filter(|_| options.info) {
        more += if options.one_line { " " } else { "\n\t" };
        more += &info_text(&info);
    }
    table.set(PROCESS, &more);
    table.next_row();
}

/// ` users:(("nginx",pid=7,fd=5))`, with the blank that the program prints before it.
fn users(inventory: &Inventory, process: ProcessId, fd: u32) -> String {
    match inventory.processes.get(&process) {
        Some(row) => format!(" users:((\"{}\",pid={},fd={fd}))", row.comm(), row.pid),
        None => String::new(),
    }
}

fn timer_text(timer: &SocketTimer, now: SimTime) -> String {
    let kind = match timer.kind {
        SocketTimerKind::Retransmit => "on",
        SocketTimerKind::KeepAlive => "keepalive",
        SocketTimerKind::TimeWait => "timewait",
        SocketTimerKind::Persist => "persist",
    };
    format!("{kind},{},{}", time_left(timer.expires.since(now).as_ms()), timer.retransmits)
}

/// A time in the largest units that fit (`print_ms_timer`).
fn time_left(ms: u64) -> String {
    let (mut msecs, mut secs, minutes) = (ms % 1000, ms / 1000 % 60, ms / 60_000);
    let mut out = String::new();
    if minutes > 0 {
        msecs = 0;
        out += &format!("{minutes}min");
        if minutes > 9 {
            secs = 0;
        }
    }
    if secs > 0 {
        if secs > 9 {
            msecs = 0;
        }
        out += &format!("{secs}{}", if msecs > 0 { "." } else { "sec" });
    }
    if msecs > 0 {
        out += &format!("{msecs:03}ms");
    }
    out
}

/// Microseconds as milliseconds with up to three decimals (`%g`).
fn ms(us: u64) -> String {
    let text = format!("{}.{:03}", us / 1000, us % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The second line of `-i` (`tcp_stats_print`), with what the kernel's model has.
fn info_text(info: &TcpInfo) -> String {
    let mut out = String::new();
    for (name, is_on) in [(" ts", info.timestamps), (" sack", info.sack), (" cubic", true)] {
        if is_on {
            out += name;
        }
    }
    if let Some((theirs, ours)) = info.wscale {
        out += &format!(" wscale:{theirs},{ours}");
    }
    out += &format!(" rto:{}", ms(info.rto_us));
    out += &format!(" rtt:{}/{}", ms(u64::from(info.rtt_us.0)), ms(u64::from(info.rtt_us.1)));
    for (name, value) in [
        ("ato", info.ato_ms),
        ("mss", info.mss),
        ("pmtu", info.pmtu),
        ("rcvmss", info.rcv_mss),
        ("advmss", info.advmss),
        ("cwnd", info.cwnd),
        ("ssthresh", info.ssthresh.unwrap_or(0)),
    ] {
        if value > 0 {
            out += &format!(" {name}:{value}");
        }
    }
    for (name, value) in [
        ("bytes_sent", info.bytes_sent),
        ("bytes_retrans", info.bytes_retrans),
        ("bytes_acked", info.bytes_acked),
        ("bytes_received", info.bytes_received),
        ("segs_out", u64::from(info.segs_out)),
        ("segs_in", u64::from(info.segs_in)),
        ("data_segs_out", u64::from(info.data_segs_out)),
        ("data_segs_in", u64::from(info.data_segs_in)),
    ] {
        if value > 0 {
            out += &format!(" {name}:{value}");
        }
    }
    let rtt_us = u64::from(info.rtt_us.0);
    if rtt_us > 0 && info.mss > 0 {
        let rate = u64::from(info.cwnd) * u64::from(info.mss) * 8_000_000 / rtt_us;
        out += &format!(" send {rate}bps");
    }
    if info.unacked > 0 {
        out += &format!(" unacked:{}", info.unacked);
    }
    if info.retrans.1 > 0 {
        out += &format!(" retrans:{}/{}", info.retrans.0, info.retrans.1);
    }
    if info.rcv_ssthresh > 0 {
        out += &format!(" rcv_ssthresh:{}", info.rcv_ssthresh);
    }
    if info.snd_wnd > 0 {
        out += &format!(" snd_wnd:{}", info.snd_wnd);
    }
    out
}

/// `ss -s`.
fn summary(all: &[&SocketRow]) -> String {
    let of = |transport: Transport| all.iter().filter(move |row| row.transport == transport);
    let n_in = |state: SocketState| of(Transport::Tcp).filter(|row| row.state == state).count();
    let (time_wait, established) = (n_in(SocketState::TimeWait), n_in(SocketState::Established));
    let orphans =
        of(Transport::Tcp).filter(|row| row.holder.is_none() && row.state != SocketState::TimeWait).count();
    let tcp = of(Transport::Tcp).filter(|row| row.holder.is_some()).count();
    let udp = of(Transport::Udp).count();
    let total = of(Transport::Tcp).count();
    let closed = total - tcp;
    let row = |name: &str, count: usize| format!("{name}\t  {count:<9} {count:<9} {:<9}\n", 0);
    format!(
        "Total: {}\nTCP:   {total} (estab {established}, closed {closed}, orphaned {orphans}, timewait {time_wait})\n\n\
         Transport Total     IP        IPv6\n{}{}{}{}{}\n",
        tcp + udp,
        row("RAW", 0),
        row("UDP", udp),
        row("TCP", tcp),
        row("INET", tcp + udp),
        row("FRAG", 0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_largest_units() {
        for (ms, text) in [
            (200, "200ms"),
            (1_023, "1.023ms"),
            (12_345, "12sec"),
            (59_000, "59sec"),
            (60_000, "1min"),
            (75_500, "1min15sec"),
            (7_199_000, "119min"),
        ] {
            assert_eq!(time_left(ms), text, "{ms}");
        }
        assert_eq!(
            (ms(185), ms(200_000), ms(1_500)),
            ("0.185".to_owned(), "200".to_owned(), "1.5".to_owned())
        );
    }
}
