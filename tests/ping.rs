//! `ping` against a network that answers as told, held against recorded runs of the real program.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use vethscope::app::{Errno, Os, PingMessage, PingSocket, Process, Wake};
use vethscope::base::{Duration, Ipv4Addr, NetnsId, PidNsId, Rng, SimTime, SocketId};
use vethscope::shell::{self, Command, Context};
use vethscope::trace::{Inventory, Stream};

type Data = Arc<[u8]>;

/// What becomes of a request: an answer after so long, or a refusal at once.
type Fate = dyn Fn(SimTime, u16, &Data) -> Result<Vec<(SimTime, PingMessage)>, Errno>;

struct Network {
    now: SimTime,
    screen: String,
    status: Option<u8>,
    timers: BTreeMap<u32, SimTime>,
    coming: Vec<(SimTime, PingMessage)>,
    received: VecDeque<PingMessage>,
    fate: Box<Fate>,
    names: Vec<(&'static str, Ipv4Addr)>,
}

impl Os for Network {
    fn now(&self) -> SimTime {
        self.now
    }
    fn write(&mut self, _stream: Stream, text: &str) {
        self.screen += text;
    }
    fn exit(&mut self, status: u8) {
        self.status = Some(status);
    }
    fn set_timer(&mut self, token: u32, after: Duration) {
        self.timers.insert(token, self.now + after);
    }
    fn cancel_timer(&mut self, token: u32) {
        self.timers.remove(&token);
    }
    fn ping_socket(&mut self, options: PingSocket) -> Result<SocketId, Errno> {
        if options.ttl == Some(0) { Err(Errno::Einval) } else { Ok(SocketId(0)) }
    }
    fn send_echo(&mut self, _socket: SocketId, _dst: Ipv4Addr, seq: u16, data: Data) -> Result<(), Errno> {
        let outcome = (self.fate)(self.now, seq, &data);
        if outcome == Err(Errno::Emsgsize) && data.len() <= 65507 {
            let error = PingMessage::Error { from: None, ttl: 0, kind_and_code: None, mtu: 1450, seq };
            self.received.push_back(error);
        }
        let coming = outcome?;
        self.coming.extend(coming);
        Ok(())
    }
    fn receive(&mut self, _socket: SocketId) -> Option<PingMessage> {
        self.received.pop_front()
    }
    fn source_towards(
        &mut self,
        dst: Ipv4Addr,
        device: Option<&str>,
        (broadcast, _tos): (bool, u8),
    ) -> Result<Ipv4Addr, Errno> {
        match dst.octets() {
            _ if device.is_some_and(|name| name != "eth0" && name != "lo") => Err(Errno::Enodev),
            [8, 8, 8, 8] => Err(Errno::Enetunreach),
            [.., 255] if !broadcast => Err(Errno::Eacces),
            _ => Ok(Ipv4Addr::new(10, 244, 1, 10)),
        }
    }
    fn mtu_towards(&self, _dst: Ipv4Addr) -> Option<u32> {
        Some(1450)
    }
    fn resolve(&mut self, name: &str) -> Option<Ipv4Addr> {
        self.names.iter().find(|(known, _)| *known == name).map(|(_, address)| *address)
    }
    fn name_of(&self, addr: Ipv4Addr) -> Option<String> {
        self.names.iter().find(|(_, known)| *known == addr).map(|(name, _)| (*name).to_owned())
    }
    fn netns(&self) -> NetnsId {
        NetnsId(0)
    }
    fn device_addresses(&self, device: &str) -> Result<Vec<Ipv4Addr>, Errno> {
        match device {
            "eth0" => Ok(vec![Ipv4Addr::new(10, 244, 1, 10)]),
            "lo" => Ok(vec![Ipv4Addr::LOCALHOST]),
            _ => Err(Errno::Enodev),
        }
    }
    fn random(&mut self) -> u32 {
        4
    }
}

impl Network {
    fn run(&mut self, process: &mut dyn Process, interrupt: Option<SimTime>) {
        process.wake(self, Wake::Start);
        while self.status.is_none() {
            self.coming.sort_by_key(|(at, _)| *at);
            let message = self.coming.first().map(|(at, _)| *at);
            let timer = self.timers.iter().map(|(token, at)| (*at, *token)).min();
            let next = [message, timer.map(|(at, _)| at), interrupt].into_iter().flatten().min().unwrap();
            self.now = next;
            if Some(next) == message {
                let batch = self.coming.iter().take_while(|(at, _)| *at == next).count();
                self.received.extend(self.coming.drain(..batch).map(|(_, message)| message));
                process.wake(self, Wake::Readable(SocketId(0)));
            } else if Some(next) == interrupt {
                self.screen += "^C";
                process.wake(self, Wake::Interrupt);
            } else if let Some((_, token)) = timer {
                self.timers.remove(&token);
                process.wake(self, Wake::Timer(token));
            }
        }
    }
}

/// Runs a command line to its end; the screen, then `rc=` and its status.
fn run(line: &str, fate: Box<Fate>, interrupt: Option<SimTime>) -> String {
    let inventory = Inventory::default();
    let mut context = Context {
        inventory: &inventory,
        netns: NetnsId(0),
        files: &|_| None,
        bytes: &|_| None,
        below: &|_| Vec::new(),
        is_fifo: &|_| false,
        hostname: "a",
        image: None,
        kube_namespace: "default",
        columns: Some(120),
        input: None,
        pidns: PidNsId(0),
        pid: 1,
        variables: &[],
        dialect: &shell::Dialect::default(),
        logs: &|_, _| String::new(),
        rng: &mut Rng::with_seed(1),
    };
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let mut network = Network {
        now: SimTime(5_000_000_000),
        screen: String::new(),
        status: None,
        timers: BTreeMap::new(),
        coming: Vec::new(),
        received: VecDeque::new(),
        fate,
        names: vec![("pod-b", Ipv4Addr::new(10, 244, 2, 10))],
    };
    match shell::run(&mut context, &words) {
        Command::Process { output, mut process } => {
            network.screen.extend(output.into_iter().map(|(_, text)| text));
            network.run(&mut *process, interrupt);
        }
        Command::Done { output, status } => {
            network.screen.extend(output.into_iter().map(|(_, text)| text));
            network.status = Some(status);
        }
        Command::Change { .. } | Command::Exec { .. } | Command::Follow(_) | Command::Copy(_) => {
            panic!("ping changes nothing")
        }
    }
    format!("{}rc={}\n", network.screen, network.status.unwrap())
}

/// Replies that take the given microseconds, one after another.
fn replies(times_us: &'static [u64], ttl: u8) -> Box<Fate> {
    Box::new(move |now, seq, data| {
        let first = u16::from(data.first() != Some(&0) || data.len() >= 16);
        let us = times_us[usize::from(seq.saturating_sub(first)) % times_us.len()];
        let at = now + Duration::from_us(us);
        let from = Ipv4Addr::new(10, 244, 2, 10);
        Ok(vec![(at, PingMessage::Reply { from, ttl, seq, data: data.clone(), options: None, at })])
    })
}

fn error(now: SimTime, from: [u8; 4], kind_and_code: (u8, u8), mtu: u32, seq: u16) -> (SimTime, PingMessage) {
    (
        now,
        PingMessage::Error { from: Some(from.into()), ttl: 64, kind_and_code: Some(kind_and_code), mtu, seq },
    )
}

/// What only time decides is left out of the comparison: `time …ms` of the statistics.
fn normalized(text: &str) -> String {
    text.lines()
        .map(|line| match line.split_once(" packet loss, time ") {
            Some((head, _)) => format!("{head} packet loss, time Nms\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

fn check(line: &str, fate: Box<Fate>, interrupt: Option<SimTime>, expected: &str) {
    assert_eq!(normalized(&run(line, fate, interrupt)), normalized(expected), "{line}");
}

const SILENCE: fn() -> Box<Fate> = || Box::new(|_, _, _| Ok(Vec::new()));

#[test]
fn replies_and_their_statistics() {
    check("ping -c3 10.244.2.10", replies(&[177, 156, 131], 62), None, include_str!("ping/c3.txt"));
    check(
        "ping -c5 -i 0.2 10.244.2.10",
        replies(&[161, 147, 227, 169, 168], 62),
        None,
        include_str!("ping/i0.2.txt"),
    );
    check("ping -M do -s 1422 -c1 10.244.2.10", replies(&[164], 62), None, include_str!("ping/df-fits.txt"));
    check("ping -c2 pod-b", replies(&[97, 165], 62), None, include_str!("ping/name.txt"));
    let interrupt = Some(SimTime(7_500_000_000));
    check("ping 10.244.2.10", replies(&[60, 86, 174], 62), interrupt, include_str!("ping/ctrl-c.txt"));
}

#[test]
fn the_interval_is_a_second_and_a_tick() {
    let text = run("ping -c3 10.244.2.10", replies(&[177, 156, 131], 62), None);
    assert!(text.contains("0% packet loss, time 2002ms"), "{text}");
}

#[test]
fn errors_of_routers_hosts_and_the_own_kernel() {
    let ttl: Box<Fate> = Box::new(|now, seq, _| {
        Ok(vec![error(now + Duration::from_us(30), [10, 244, 1, 1], (11, 0), 0, seq)])
    });
    check("ping -c2 -t 1 10.244.2.10", ttl, None, include_str!("ping/t1.txt"));
    let unreachable: Box<Fate> =
        Box::new(|_, seq, _| Ok(vec![error(SimTime(8_060_000_000), [10, 244, 2, 0], (3, 1), 0, seq)]));
    check("ping -c4 10.244.2.77", unreachable, None, include_str!("ping/hostunreach.txt"));
    let too_big: Box<Fate> = Box::new(|_, _, _| Err(Errno::Emsgsize));
    check("ping -M do -s 1472 -c2 10.244.2.10", too_big, None, include_str!("ping/df-local.txt"));
    let limited: Box<Fate> = Box::new(|now, seq, _| {
        let first = error(now + Duration::from_us(40), [10, 244, 1, 1], (3, 0), 0, seq);
        Ok(if seq == 1 { vec![first] } else { Vec::new() })
    });
    check("ping -c2 203.0.113.9", limited, None, include_str!("ping/noroute-at-node.txt"));
}

#[test]
fn silence() {
    check("ping -c2 -W1 10.244.2.66", SILENCE(), None, include_str!("ping/silence.txt"));
    check("ping -O -c2 -W1 10.244.2.66", SILENCE(), None, include_str!("ping/outstanding.txt"));
}

#[test]
fn what_stops_it_at_once() {
    for (line, expected) in [
        ("ping -c1 nosuch", "ping: nosuch: Name or service not known\nrc=2\n"),
        ("ping 8.8.8.8", "ping: connect: Network is unreachable\nrc=2\n"),
        ("ping -c x 127.0.0.1", "ping: invalid argument: 'x'\nrc=1\n"),
        ("ping -t 300 127.0.0.1", "ping: invalid argument: '300': out of range: 0 <= value <= 255\nrc=1\n"),
        ("ping -M x 127.0.0.1", "ping: invalid -M argument: x\nrc=2\n"),
        ("ping -t 0 127.0.0.1", "ping: cannot set unicast time-to-live: Invalid argument\nrc=2\n"),
        ("ping -W -1 127.0.0.1", "ping: bad linger time: -1\nrc=2\n"),
        ("ping -W  127.0.0.1", "ping: bad linger time: : Invalid argument\nrc=2\n"),
        ("ping -i -1 127.0.0.1", "ping: bad timing interval: -1\nrc=2\n"),
        (
            "ping -c1 10.244.1.255",
            "ping: Do you want to ping broadcast? Then -b. If not, check your local firewall rules\nrc=2\n",
        ),
        ("ping -I eth9 127.0.0.1", "ping: SO_BINDTODEVICE eth9: No such device\nrc=2\n"),
        ("ping -p zz 127.0.0.1", "ping: patterns must be specified as hex digits: zz\nrc=2\n"),
    ] {
        assert_eq!(run(line, SILENCE(), None), expected, "{line}");
    }
}

#[test]
fn broadcast_is_warned_of_where_it_is_one() {
    let text = run("ping -b -c1 -W1 10.244.1.255", SILENCE(), None);
    let head = "WARNING: pinging broadcast address\nPING 10.244.1.255 (10.244.1.255) 56(84) bytes of data.\n";
    assert!(text.starts_with(head), "{text}");
    let text = run("ping -b -c1 10.244.2.10", replies(&[100], 62), None);
    assert!(text.starts_with("PING 10.244.2.10 (10.244.2.10) 56(84)"), "{text}");
}

#[test]
fn a_number_may_have_a_rest() {
    let text = run("ping -c1 -W 1x 10.244.2.10", replies(&[100], 62), None);
    let head =
        "ping: option argument contains garbage: x\nping: this will become fatal error in the future\nPING ";
    assert!(text.starts_with(head), "{text}");
}

#[test]
fn a_size_beyond_ip_is_no_error_of_the_path() {
    let too_big: Box<Fate> = Box::new(|_, _, _| Err(Errno::Emsgsize));
    let text = run("ping -c1 -W1 -s 70000 10.244.2.10", too_big, None);
    assert!(text.contains("70000(70028) bytes of data.\n\n---"), "{text}");
    assert!(text.contains("1 packets transmitted, 0 received, 100% packet loss"), "{text}");
}

#[test]
fn a_device_without_the_source_is_warned_of() {
    let text = run("ping -c1 -I lo 10.244.2.10", replies(&[100], 62), None);
    let head = "ping: Warning: source address might be selected on device other than: lo\n\
        PING 10.244.2.10 (10.244.2.10) from 10.244.1.10 lo: 56(84) bytes of data.\n";
    assert!(text.starts_with(head), "{text}");
}

#[test]
fn busybox() {
    for ttl in ["0", "300"] {
        let line = format!("busybox ping -c3 -t {ttl} 10.244.2.10");
        check(&line, replies(&[166], 62), None, include_str!("ping/busybox-c3.txt"));
    }
    let interrupt = Some(SimTime(60_000_000_000));
    let text = run("busybox ping -c1 -W0 10.244.2.10", SILENCE(), interrupt);
    assert!(text.contains("data bytes\n^C\n---"), "{text}");

    check("busybox ping -c3 10.244.2.10", replies(&[166], 62), None, include_str!("ping/busybox-c3.txt"));
    let unreachable: Box<Fate> = Box::new(|now, seq, _| {
        Ok(vec![error(now + Duration::from_secs(3), [10, 244, 1, 10], (3, 1), 0, seq)])
    });
    check("busybox ping -c4 10.244.1.79", unreachable, None, include_str!("ping/busybox-hostunreach.txt"));
    let no_route: Box<Fate> = Box::new(|_, _, _| Err(Errno::Enetunreach));
    check("busybox ping -c1 8.8.8.8", no_route, None, include_str!("ping/busybox-noroute.txt"));
    assert_eq!(run("busybox ping -c1 nosuch", SILENCE(), None), "ping: bad address 'nosuch'\nrc=1\n");
}
