//! `ss` of iproute2 6.1 (`misc/ss.c`): TCP, UDP, and the netlink sockets that every namespace has.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

mod columns;
mod family;
mod filter;

use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context};
use crate::app::services::service_name;
use crate::base::{ProcessId, SimTime, SocketId};
use crate::trace::{
    Inventory, LinkKind, NetnsState, SocketRow, SocketState, SocketTimer, SocketTimerKind, TcpInfo,
    Transport, UnixRow,
};
use columns::{ADDR, NETID, PEER, PEER_PORT, PORT, PROCESS, RECVQ, SENDQ, STATE, Table};
use family::Db;
use filter::{Filter, Wrong};
use std::net::SocketAddrV4;

const USAGE: &str = include_str!("usage/ss.txt");

/// What the options ask for.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct Options {
    /// Tables asked for by name; all of them where none was.
    tables: Vec<Db>,
    /// No family but IPv6 is wanted.
    inet6: bool,
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

/// What all options came to.
#[derive(Debug, Default)]
struct Asked {
    options: Options,
    /// States asked for by `-a` and `-l`.
    states: Option<Vec<SocketState>>,
    /// Tables of the address families asked for.
    families: Vec<Db>,
    /// Whether a family was asked for by `-4` or `-6`, which leaves the tables to the default.
    by_number: bool,
}

/// `ss`.
pub(super) fn ss(context: &Context<'_>, words: &[String]) -> Command {
    let mut words: Vec<String> = words.iter().map(|word| short(word)).collect();
    // The filter begins with the first word that is no option.
    let mut end = words.iter().position(|word| !word.starts_with('-')).unwrap_or(words.len());
    if let Some(long) = words[..end].iter().find(|word| word.starts_with("--") && word.len() > 2) {
        return refuse(format!("ss: unrecognized option '{long}'\n{USAGE}"), 255);
    }
    // Options that take an argument may have it as their next word.
    while words[..end].last().is_some_and(|word| takes_argument(word)) && end < words.len() {
        let argument = words.remove(end);
        words[end - 1].push_str(&argument);
        while words.get(end).is_some_and(|word| word.starts_with('-')) {
            end += 1;
        }
    }
    let parsed = match getopt("hVantleomipswruxdH460ObETZzKMSf:A:D:F:N:", &words[..end]) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("ss: {text}\n{USAGE}"), 255),
    };
    let mut asked = Asked::default();
    for (letter, argument) in &parsed.options {
        if let Err(command) = asked.take(*letter, argument) {
            return command;
        }
    }
    let (options, mut states) = asked.settle();
    let filter = match filter::read(&words[end..], &mut states) {
        Ok(filter) => filter,
        Err(Wrong::Syntax) => {
            let text = "ss: bison bellows (while parsing filter): \"syntax error!\" Sorry.\n";
            return refuse(format!("{text}{USAGE}"), 255);
        }
        Err(Wrong::State(text)) => return refuse(text, 255),
        Err(Wrong::Text(text)) => return refuse(text, 1),
    };
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 255) };
    let kernel = kernel_sockets(state);
    let all: Vec<&SocketRow> = state.sockets.values().chain(&kernel).collect();
    if options.summary {
        return answer(summary(&all));
    }
    let mut out = Out::default();
    if options.tables.contains(&Db::Dccp) {
        // The kernel has had no DCCP since 6.16, and says so when asked.
        out.err("RTNETLINK answers: Invalid argument\n");
    }
    out.out(table(context, &options, &states, (&filter, &all)));
    out.done(0)
}

impl Asked {
    /// Takes an option in; the error is what the program says and does instead of its work.
    fn take(&mut self, letter: char, argument: &str) -> Result<(), Command> {
        let options = &mut self.options;
        match letter {
            't' => options.tables.push(Db::Tcp),
            'u' => options.tables.push(Db::Udp),
            'w' => options.tables.push(Db::Raw),
            'd' => options.tables.push(Db::Dccp),
            'M' => options.tables.push(Db::Mptcp),
            'S' => options.tables.push(Db::Sctp),
            'x' => options.tables.extend(family::named("unix").unwrap_or_default()),
            '0' => options.tables.extend(family::named("packet").unwrap_or_default()),
            'A' => {
                let Some(tables) = argument.split(',').map(family::named).collect::<Option<Vec<_>>>() else {
                    let text = format!("ss: \"{argument}\" is illegal socket table id\n{USAGE}");
                    return Err(refuse(text, 255));
                };
                options.tables.extend(tables.concat());
            }
            'f' => match family::of_family(argument) {
                Some(tables) => {
                    options.inet6 |= argument == "inet6";
                    self.families.extend(tables);
                }
                None => return Err(refuse(format!("ss: \"{argument}\" is invalid family\n{USAGE}"), 255)),
            },
            '4' | '6' => {
                options.inet6 |= letter == '6';
                self.by_number = true;
                self.families.extend(family::named("inet").unwrap_or_default());
            }
            'n' => options.numeric = true,
            'p' | 'T' => options.processes = true,
            'o' => options.timers = true,
            'i' => options.info = true,
            'e' => (options.details, options.timers) = (true, true),
            's' => options.summary = true,
            'H' => options.no_header = true,
            'O' => options.one_line = true,
            'a' => self.states = Some(filter::ALL.to_vec()),
            'l' => self.states = Some(vec![SocketState::Listen, SocketState::Close]),
            'V' => return Err(answer("ss utility, iproute2-6.1.0\n")),
            'h' => return Err(answer(USAGE)),
            'Z' | 'z' => return Err(refuse("ss: SELinux is not enabled.\n", 1)),
            'N' => {
                let text =
                    format!("Cannot open network namespace \"{argument}\": No such file or directory\n");
                return Err(refuse(text, 1));
            }
            'r' | 'b' => {}
            other => {
                let (text, status) = not_simulated("ss", &format!("-{other}"));
                return Err(refuse(text, status));
            }
        }
        Ok(())
    }

    /// Tables and states where nothing was said of them.
    fn settle(self) -> (Options, Vec<SocketState>) {
        let Self { mut options, states, families, by_number } = self;
        let by_default = options.tables.is_empty() && (families.is_empty() || by_number);
        if options.tables.is_empty() {
            options.tables = if families.is_empty() { family::everything() } else { families };
        } else if by_number && options.tables.contains(&Db::UnixStream) {
            options.tables.extend(families);
        }
        let own = || {
            if by_default {
                return CONNECTED.to_vec();
            }
            let mut states: Vec<SocketState> = Vec::new();
            for state in options.tables.iter().flat_map(|table| table.default_states()) {
                if !states.contains(&state) {
                    states.push(state);
                }
            }
            states
        };
        let states = states.unwrap_or_else(own);
        (options, states)
    }
}

/// Whether an option's argument is the next word.
fn takes_argument(word: &str) -> bool {
    let last = word.chars().next_back();
    !word.starts_with("--") && word.starts_with('-') && last.is_some_and(|last| "AfNDF".contains(last)) && {
        // A letter before it that takes an argument has it already.
        !word[1..word.len() - 1].contains(['A', 'f', 'N', 'D', 'F'])
    }
}

/// Sockets that the kernel opened for itself: a VXLAN device receives on one (`vxlan_sock_add`).
pub(super) fn kernel_sockets(state: &NetnsState) -> Vec<SocketRow> {
    let any = |port| SocketAddrV4::new(crate::base::Ipv4Addr::UNSPECIFIED, port);
    let mut rows: Vec<SocketRow> = Vec::new();
    for link in state.links.values().filter(|link| link.up) {
        let LinkKind::Vxlan { port, .. } = link.kind else { continue };
        if rows.iter().all(|row| row.local.port() != port) {
            rows.push(SocketRow {
                netns: state.row.netns,
                socket: SocketId(u32::MAX - u32::from(port)),
                transport: Transport::Udp,
                state: SocketState::Close,
                local: any(port),
                remote: any(0),
                device: None,
                holder: None,
                recv_queue: 0,
                send_queue: 0,
                uid: 0,
                inode: 0,
                timer: None,
                tcp: None,
            });
        }
    }
    rows
}

/// UNIX sockets that the processes of a namespace hold.
pub(super) fn all_unix<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a UnixRow> {
    context.inventory.netns.get(&context.netns).into_iter().flat_map(|state| state.ipc.unix.values())
}

fn unix_state(row: &UnixRow) -> SocketState {
    if row.listens { SocketState::Listen } else { SocketState::Established }
}

fn add_unix(table: &mut Table, context: &Context<'_>, options: &Options, row: &UnixRow) {
    table.set(NETID, "u_str");
    table.set(STATE, state_name(unix_state(row)));
    table.set(RECVQ, &format!("{:<6}", 0));
    table.set(SENDQ, &format!("{:<6}", if row.listens { 4096 } else { 0 }));
    table.set(ADDR, &format!("{} ", row.path.as_deref().unwrap_or("*")));
    table.set(PORT, &row.inode.to_string());
    table.set(PEER, "* ");
    table.set(PEER_PORT, &row.peer.to_string());
    let (process, fd) = row.holder;
    let users = if options.processes { users(context.inventory, process, fd) } else { String::new() };
    table.set(PROCESS, &users);
    table.next_row();
}

/// Netlink sockets of a namespace: the kernel's own, by protocol with its name, and the one that asks.
fn netlink(table: &mut Table, context: &Context<'_>, options: &Options) {
    const KERNEL: [(u8, &str); 8] = [
        (0, "rtnl"),
        (4, "tcpdiag"),
        (6, "xfrm"),
        (9, "audit"),
        (10, "fiblookup"),
        (12, "nft"),
        (15, "uevent"),
        (16, "genl"),
    ];
    for (number, name) in KERNEL {
        let protocol = if options.numeric { number.to_string() } else { name.to_owned() };
        let mut row = |queue: u32, holder: String| {
            table.set(NETID, "nl");
            table.set(STATE, state_name(SocketState::Close));
            table.set(RECVQ, &format!("{queue:<6}"));
            table.set(SENDQ, &format!("{:<6}", 0));
            table.set(ADDR, &format!("{protocol}:"));
            table.set(PORT, &holder);
            table.set(PEER, "*");
            table.set(PEER_PORT, "");
            table.set(PROCESS, "");
            table.next_row();
        };
        let kernel = if options.numeric { "0" } else { "kernel" };
        let asked = number == 4;
        row(if asked { 832 } else { 0 }, kernel.to_owned());
        if asked {
            let own = context.pid.to_string();
            row(4352, if options.numeric { own } else { format!("ss/{own}") });
        }
    }
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
        "--ipv6" => "-6",
        "--packet" => "-0",
        "--unix" => "-x",
        "--raw" => "-w",
        "--sctp" => "-S",
        "--mptcp" => "-M",
        "--dccp" => "-d",
        "--vsock" => "-fvsock",
        "--tipc" => "-ftipc",
        "--xdp" => "-fxdp",
        "--threads" => "-T",
        "--resolve" => "-r",
        "--memory" => "-m",
        "--kill" => "-K",
        "--events" => "-E",
        "--context" | "--contexts" => "-Z",
        "--help" => "-h",
        "--version" => "-V",
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
    let mut tables = options.tables.clone();
    tables.dedup();
    if tables.len() == 1 {
        table.disable(NETID);
    }
    if states.len() == 1 {
        table.disable(STATE);
    }
    if !options.no_header {
        table.header();
    }
    if options.tables.contains(&Db::Netlink) && states.contains(&SocketState::Close) {
        netlink(&mut table, context, options);
    }
    let unix = options.tables.contains(&Db::UnixStream);
    for row in all_unix(context).filter(|row| unix && states.contains(&unix_state(row))) {
        add_unix(&mut table, context, options, row);
    }
    let wants = |db: Db| !options.inet6 && options.tables.contains(&db);
    let families = [(Transport::Udp, wants(Db::Udp)), (Transport::Tcp, wants(Db::Tcp))];
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
        more += &info_text(&info, row.state == SocketState::Listen);
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
fn info_text(info: &TcpInfo, listens: bool) -> String {
    let mut out = String::new();
    if listens {
        return format!(" cubic cwnd:{}", info.cwnd);
    }
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
