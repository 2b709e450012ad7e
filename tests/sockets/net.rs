//! Two hosts, a script of system calls on each, and what happens as lines of text.

use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;
use vethscope::agent::{Actor, Wakeup, Wire, World};
use vethscope::api::{ApiError, ApiRequest};
use vethscope::app::{Errno, Os, PathMtuDiscovery, Process, Shutdown, SocketOption, Transport, Wake};
use vethscope::base::{Duration, IfIndex, MacAddr, NetnsId, SimTime, SocketId};
use vethscope::kernel::{Kind, NewLink, Peer};
use vethscope::sim::Simulation;
use vethscope::trace::{EventKind, NetnsRole, Scope, TableChange, Trace};
use vethscope::wire::{Body, Icmp, Ipv4, Tcp, TcpFlags, TcpOption};

/// Nobody: these hosts have no control plane.
#[derive(Clone)]
struct Nobody;

impl Actor for Nobody {
    fn serve(&mut self, _world: &mut dyn World, request: &ApiRequest) -> Result<Value, ApiError> {
        Err(ApiError::bad_request(format!("nobody serves {request:?}")))
    }

    fn wake(&mut self, _world: &mut dyn World, _wakeup: Wakeup) {}
}

/// A step of a script: when, where, what.
#[derive(Clone, Debug)]
struct Step {
    at_ms: u64,
    words: Vec<String>,
}

/// A process that makes the calls of a script, each at its time.
#[derive(Clone)]
struct Script {
    steps: Vec<Step>,
    next: usize,
    sockets: BTreeMap<String, SocketId>,
    log: Rc<RefCell<Vec<(u64, String)>>>,
    host: String,
}

impl Process for Script {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        if let Wake::Readable(_) | Wake::Writable(_) = wake {
            return;
        }
        while let Some(step) = self.steps.get(self.next).cloned() {
            let now = os.now().0 / 1_000_000;
            if step.at_ms > now {
                os.set_timer(0, Duration(step.at_ms * 1_000_000 - os.now().0));
                return;
            }
            self.next += 1;
            let answer = self.call(os, &step.words);
            let line = format!("{} {} = {answer}", self.host, step.words.join(" "));
            self.log.borrow_mut().push((step.at_ms, line));
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

fn addr(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

fn outcome<T>(result: Result<T, Errno>, show: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => show(value),
        Err(errno) => format!("{errno:?}").to_uppercase(),
    }
}

impl Script {
    fn call(&mut self, os: &mut dyn Os, words: &[String]) -> String {
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        let ok = |()| "ok".to_string();
        let name = word(1).to_string();
        let known = self.sockets.get(&name).copied();
        let socket = known.unwrap_or(SocketId::NONE);
        match word(0) {
            "socket" => {
                let transport = if word(2) == "udp" { Transport::Udp } else { Transport::Tcp };
                outcome(os.socket(transport), |socket| {
                    self.sockets.insert(name, socket);
                    "ok".to_string()
                })
            }
            "bind" => outcome(os.bind(socket, addr(word(2))), ok),
            "listen" => outcome(os.listen(socket, word(2).parse().unwrap()), ok),
            "connect" => outcome(os.connect(socket, addr(word(2))), ok),
            "accept" => outcome(os.accept(socket), |(child, _)| {
                self.sockets.insert(word(2).to_string(), child);
                "ok".to_string()
            }),
            "send" => {
                let data = vec![b'x'; word(2).parse().unwrap()];
                outcome(os.send(socket, &data), |sent| sent.to_string())
            }
            "sendto" => {
                let data = vec![b'x'; word(3).parse().unwrap()];
                outcome(os.send_to(socket, addr(word(2)), &data), |sent| sent.to_string())
            }
            "recv" => {
                let most = word(2).parse().unwrap();
                outcome(os.receive_stream(socket, most), |data| data.len().to_string())
            }
            "recvfrom" => outcome(os.receive_from(socket), |got| got.data.len().to_string()),
            "errqueue" => os.receive_error(socket).map_or("EAGAIN".to_string(), |error| {
                let (kind, code) = error.kind_and_code.unwrap_or((0, 0));
                format!("{} {kind}/{code} mtu {}", format!("{:?}", error.errno).to_uppercase(), error.mtu)
            }),
            "error" => {
                os.take_error(socket).map_or("none".into(), |error| format!("{error:?}").to_uppercase())
            }
            "shutdown" => {
                let how = match word(2) {
                    "rd" => Shutdown::Read,
                    "wr" => Shutdown::Write,
                    _ => Shutdown::Both,
                };
                outcome(os.shutdown(socket, how), ok)
            }
            "set" => outcome(os.set_option(socket, option(word(2), word(3))), ok),
            "close" => {
                os.close(socket);
                self.sockets.remove(&name);
                "ok".to_string()
            }
            other => panic!("no such call: {other}"),
        }
    }
}

fn option(name: &str, value: &str) -> SocketOption {
    let on = value != "0";
    match name {
        "reuseaddr" => SocketOption::ReuseAddress(on),
        "reuseport" => SocketOption::ReusePort(on),
        "nodelay" => SocketOption::NoDelay(on),
        "recverr" => SocketOption::ReceiveErrors(on),
        "ttl" => SocketOption::Ttl(value.parse().unwrap()),
        "broadcast" => SocketOption::Broadcast(on),
        "pmtudisc" => SocketOption::MtuDiscovery(match value {
            "0" => PathMtuDiscovery::Dont,
            "1" => PathMtuDiscovery::Want,
            "2" => PathMtuDiscovery::Do,
            _ => PathMtuDiscovery::Probe,
        }),
        other => panic!("no such option: {other}"),
    }
}

/// Address of a host: `a` has 10.0.0.1, `b` 10.0.0.2.
fn ip_of(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, host as u8 + 1)
}

fn mac_of(host: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, host as u8 + 1])
}

/// Lets both hosts run a script. Lines: `MS HOST CALL ARGS…`; `MS a blackhole` has `a` send to nowhere from then on and
/// `MS a heal` ends that.
pub(crate) fn run(script: &str) -> Vec<(u64, String)> {
    let (sim, log) = simulate(script);
    let mut lines = log.borrow().clone();
    lines.extend(captured(sim.trace()));
    lines.sort_by_key(|(at, _)| *at);
    lines
}

type Log = Rc<RefCell<Vec<(u64, String)>>>;

fn simulate(script: &str) -> (Simulation<Nobody>, Log) {
    let mut sim = Simulation::new(7, Nobody);
    let hosts = ["a", "b"].map(|name| sim.new_netns(Arc::from(name), NetnsRole::Host));
    let link = |host: usize| NewLink {
        name: "eth0".into(),
        kind: Kind::Physical(Peer { netns: NetnsId::NONE, ifindex: IfIndex::NONE }),
        mac: mac_of(host),
        mtu: 1500,
        txqlen: 1000,
    };
    let ends = sim.add_wire(Wire::Cable, (hosts[0], link(0)), (hosts[1], link(1)));
    for (host, ifindex) in [(0, ends.0), (1, ends.1)] {
        sim.visit(hosts[host], &mut |netns, ctx| {
            let net = format!("{}/24", ip_of(host)).parse().unwrap();
            netns.add_addr(ctx, ifindex, net, Some(Ipv4Addr::new(10, 0, 0, 255)), Scope::Global);
            netns.set_up(ctx, ifindex);
            netns.set_permanent_neighbor(ctx, ifindex, ip_of(1 - host), mac_of(1 - host));
        });
    }
    let log = Rc::new(RefCell::new(Vec::new()));
    let mut faults = Vec::new();
    for (host, name) in ["a", "b"].into_iter().enumerate() {
        let mut steps = Vec::new();
        for line in script.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace().map(str::to_string);
            let at_ms = words.next().unwrap().parse().unwrap();
            if words.next().as_deref() != Some(name) {
                continue;
            }
            let words: Vec<String> = words.collect();
            match words[0].as_str() {
                "blackhole" | "heal" => faults.push((at_ms, host, words[0] == "heal")),
                _ => steps.push(Step { at_ms, words }),
            }
        }
        let machine = sim.machine(hosts[host]);
        let process = sim.begin(hosts[host], &machine);
        let (sockets, log, host) = (BTreeMap::new(), log.clone(), name.to_string());
        sim.run(process, Box::new(Script { steps, next: 0, sockets, log, host }), "script");
    }
    faults.sort_unstable();
    let last_ms = script.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).max();
    let end = SimTime((last_ms.unwrap() + 100) * 1_000_000);
    for (at_ms, host, heals) in faults {
        run_until(&mut sim, SimTime(at_ms * 1_000_000));
        let mac = if heals { mac_of(1 - host) } else { MacAddr([2, 0, 0, 0, 0, 0x99]) };
        sim.visit(hosts[host], &mut |netns, ctx| {
            netns.set_permanent_neighbor(ctx, ends.0, ip_of(1 - host), mac);
        });
    }
    run_until(&mut sim, end);
    (sim, log)
}

fn run_until(sim: &mut Simulation<Nobody>, end: SimTime) {
    while sim.next_at().is_some_and(|at| at < end) {
        sim.step();
    }
    sim.wait_until(end);
}

/// What passes the interface of `a`, in the words of the recordings.
fn captured(trace: &Trace) -> Vec<(u64, String)> {
    let mut first_seq: BTreeMap<(Ipv4Addr, u16, u16), u32> = BTreeMap::new();
    let mut out = Vec::new();
    for event in &trace.events {
        let outgoing = event.kind == EventKind::Transmitted;
        if !outgoing && !matches!(event.kind, EventKind::Received(_)) {
            continue;
        }
        let Some(packet) = trace.frame_of(event).and_then(|frame| frame.ipv4()) else { continue };
        if event.netns != NetnsId(0) || event.ifindex != IfIndex(2) {
            continue;
        }
        let way = if outgoing { "a>b" } else { "b>a" };
        out.push((event.at.0 / 1_000_000, format!("{way} {}", line(packet, &mut first_seq))));
    }
    out
}

fn line(packet: &Ipv4, first_seq: &mut BTreeMap<(Ipv4Addr, u16, u16), u32>) -> String {
    match &*packet.body {
        Body::Tcp(tcp) => {
            let (src, dst) =
                ((packet.src, tcp.src_port, tcp.dst_port), (packet.dst, tcp.dst_port, tcp.src_port));
            if tcp.flags.contains(TcpFlags::SYN) {
                first_seq.insert(src, tcp.seq);
            }
            let own = first_seq.get(&src).copied().unwrap_or(0);
            let far = first_seq.get(&dst).copied().unwrap_or(0);
            let zero_id = if packet.id == 0 { " id0" } else { "" };
            format!("{}{zero_id}", tcp_line(tcp, own, far))
        }
        Body::Icmp(Icmp::DestinationUnreachable { code, mtu, .. }) => format!("icmp 3/{code} mtu {mtu}"),
        Body::Icmp(icmp) => format!("icmp {}", icmp.kind_and_code().0),
        Body::Udp(udp) => {
            let df = if packet.dont_fragment { " DF" } else { "" };
            format!("udp len {}{df}", udp.wire_len() - 8)
        }
        Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) => "other".to_string(),
        Body::Raw { protocol, bytes } => {
            let more = if packet.more_fragments { "+" } else { "" };
            format!("frag {protocol} {}@{}{more}", bytes.len(), u32::from(packet.fragment_offset) * 8)
        }
    }
}

fn tcp_line(tcp: &Tcp, own: u32, far: u32) -> String {
    let mut out = format!("[{}] seq {}", tcp.flags, tcp.seq.wrapping_sub(own));
    if tcp.flags.contains(TcpFlags::ACK) {
        write!(out, " ack {}", tcp.ack.wrapping_sub(far)).unwrap();
    }
    write!(out, " win {} len {}", tcp.window, tcp.data.len()).unwrap();
    for option in tcp.options() {
        match option {
            TcpOption::Timestamps { .. } => out += " ts",
            TcpOption::Sack(blocks) => {
                let blocks: Vec<String> = blocks
                    .iter()
                    .map(|(a, b)| format!("{}:{}", a.wrapping_sub(far), b.wrapping_sub(far)))
                    .collect();
                write!(out, " sack {}", blocks.join(",")).unwrap();
            }
            TcpOption::Nop => {}
            TcpOption::MaxSegmentSize(_)
            | TcpOption::WindowScale(_)
            | TcpOption::SackPermitted
            | TcpOption::End(_)
            | TcpOption::Unknown { .. } => write!(out, " {option}").unwrap(),
        }
    }
    out
}

/// What the calls of a script answered, in order.
pub(crate) fn answers(script: &str) -> Vec<String> {
    let (_, log) = simulate(script);
    let log = log.borrow();
    log.iter().map(|(_, line)| line.rsplit(' ').next().unwrap().to_string()).collect()
}

/// The rows of sockets as they were written down, for tests about them.
pub(crate) fn socket_rows(script: &str) -> Vec<String> {
    let (sim, _) = simulate(script);
    let trace = sim.trace();
    let mut rows = Vec::new();
    for change in &trace.changes {
        if let TableChange::Socket(row) = change {
            rows.push(vethscope::trace::rows_text::socket(row));
        } else if let TableChange::SocketGone(_, socket) = change {
            rows.push(format!("#{} gone", socket.0));
        }
    }
    rows
}
