//! What the tools print, held byte for byte against what real ones printed (`tests/commands/`, Debian 12) in the
//! same state: each file is a label, a command, its output in terminal order, and its status.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::collections::BTreeMap;
use vethscope::base::{
    ChangeId, Duration, IfIndex, Ipv4Addr, MacAddr, NetnsId, PidNsId, Rng, SimTime, SocketId,
};
use vethscope::lab::Target;
use vethscope::shell::{self, Command, Context, KernelChange};
use vethscope::trace::{
    AddrRow, Chain, ChainRow, Connection, ConntrackRow, Counters, Fdb, FdbRow, Inventory, LinkKind, LinkRow,
    NeighRow, Neighbor, Netfilter, NetnsRole, NetnsRow, NetnsState, Nud, PortRow, PortState, RouteKind,
    RouteProtocol, RouteRow, Scope, SocketRow, SocketState, TcpTracking, Transport, Tuple,
};
use vethscope::xtables::{Policy, Table};

const NODE: NetnsId = NetnsId(0);
const POD: NetnsId = NetnsId(1);
const NOW: SimTime = SimTime(749_000_000_000);

/// What a real system does not determine, and how it is made equal on both sides. This is the only place for it.
/// - Neighbours come in the order of the kernel's hash table, here by interface and address: lines (or the items of
///   the JSON list) are sorted.
/// - Ages after `used` and numbers of probes follow from how long the recording took.
/// - How long a connection is still tracked.
/// - A bridge's `gc_timer` counts down all the time.
fn normalized(command: &str, text: &str) -> String {
    let mut text = text.to_owned();
    for marker in [" used ", "probes ", "gc_timer "] {
        text = masked(&text, marker);
    }
    if command.starts_with("conntrack") {
        // How long an entry is kept yet: some seconds lay between the recordings.
        let line = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let is_time = |at: usize| {
                line.contains(" src=")
                    && words[at].parse::<u64>().is_ok()
                    && words[at - 1].parse::<u8>().is_ok()
            };
            let masked: Vec<&str> =
                (0..words.len()).map(|at| if at > 0 && is_time(at) { "N" } else { words[at] }).collect();
            masked.join(" ")
        };
        return text.lines().map(|each| line(each) + "\n").collect();
    }
    if command.contains("neigh") || command.contains("arp") {
        let separator = if command.contains("-j") { "},{" } else { "\n" };
        let (body, end) = text.split_once("}]\n").unwrap_or((&text, ""));
        let mut lines: Vec<&str> = body.trim_start_matches("[{").split(separator).collect();
        lines.sort_unstable();
        text = lines.join(separator) + end;
    }
    text
}

/// Replaces the figures of the word after each `marker`, and the blanks before it, by `N`.
fn masked(text: &str, marker: &str) -> String {
    let mut parts = text.split(marker);
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let part = part.trim_start_matches(' ');
        let end = part
            .find(|letter: char| !letter.is_ascii_digit() && !"./".contains(letter))
            .unwrap_or(part.len());
        out += marker;
        out += "N";
        out += &part[end..];
    }
    out
}

fn mac(text: &str) -> MacAddr {
    text.parse().unwrap()
}

fn link(netns: NetnsId, ifindex: u32, name: &str, kind: LinkKind, mac_text: &str, mtu: u32) -> LinkRow {
    LinkRow {
        netns,
        ifindex: IfIndex(ifindex),
        name: name.into(),
        kind,
        mac: mac(mac_text),
        mtu,
        up: true,
        carrier: true,
        txqlen: 1000,
        port: None,
        extra: vethscope::trace::LinkExtra::default(),
    }
}

fn veth(peer_netns: NetnsId, peer: u32, peer_nsid: u32) -> LinkKind {
    LinkKind::Veth { peer_netns, peer: IfIndex(peer), peer_nsid }
}

struct Builder {
    state: NetnsState,
}

impl Builder {
    fn new(netns: NetnsId, name: &str, role: NetnsRole) -> Self {
        let state = NetnsState {
            vlans: BTreeMap::new(),
            bpf: Vec::new(),
            policy_maps: Vec::new(),
            bpf_connections: BTreeMap::new(),
            exceptions: BTreeMap::new(),
            sysctls: BTreeMap::new(),
            ipc: vethscope::trace::Ipc::default(),
            row: NetnsRow { netns, name: name.into(), role },
            links: BTreeMap::new(),
            counters: BTreeMap::new(),
            qdiscs: BTreeMap::new(),
            xfrm: vethscope::trace::Xfrm::default(),
            addrs: Vec::new(),
            routes: Vec::new(),
            tables: [254, 255].into(),
            rules: vethscope::trace::FibRuleRow::defaults(netns).map(|row| (ChangeId::NONE, row)).into(),
            has_custom_rules: false,
            nexthops: BTreeMap::new(),
            proxies: Vec::new(),
            neighbors: BTreeMap::new(),
            fdb: Vec::new(),
            sockets: BTreeMap::new(),
            netfilter: Netfilter::default(),
        };
        let mut builder = Self { state };
        builder.link(link(netns, 1, "lo", LinkKind::Loopback, "00:00:00:00:00:00", 65536), [0; 4]);
        builder.addr(1, "127.0.0.1/8", None);
        builder.local_routes(1, "127.0.0.1", Some("127.255.255.255"));
        builder.route_row(255, "127.0.0.0/8", RouteKind::Local, Some(1), Some("127.0.0.1"));
        builder
    }

    /// Adds a link with the counters bytes and packets received, bytes and packets sent.
    fn link(&mut self, row: LinkRow, [rx_bytes, rx_packets, tx_bytes, tx_packets]: [u64; 4]) {
        let counters = Counters { rx_bytes, rx_packets, tx_bytes, tx_packets, ..Counters::default() };
        self.state.counters.insert(row.ifindex, counters);
        self.state.links.insert(row.ifindex, row);
    }

    fn addr(&mut self, ifindex: u32, addr: &str, broadcast: Option<&str>) {
        let scope = if ifindex == 1 { Scope::Host } else { Scope::Global };
        let broadcast = broadcast.map(|text| text.parse().unwrap());
        let netns = self.state.row.netns;
        let addr = addr.parse().unwrap();
        let row = AddrRow { broadcast, scope, ..AddrRow::new(netns, IfIndex(ifindex), addr) };
        self.state.addrs.push(row);
    }

    fn local_routes(&mut self, ifindex: u32, addr: &str, broadcast: Option<&str>) {
        self.route_row(255, &format!("{addr}/32"), RouteKind::Local, Some(ifindex), Some(addr));
        if let Some(broadcast) = broadcast {
            self.route_row(255, &format!("{broadcast}/32"), RouteKind::Broadcast, Some(ifindex), Some(addr));
        }
    }

    fn route_row(&mut self, table: u32, dst: &str, kind: RouteKind, oif: Option<u32>, prefsrc: Option<&str>) {
        let scope = if kind == RouteKind::Local { Scope::Host } else { Scope::Link };
        let row = RouteRow {
            netns: self.state.row.netns,
            table,
            dst: dst.parse().unwrap(),
            kind,
            gateway: None,
            oif: oif.map(IfIndex),
            prefsrc: prefsrc.map(|text| text.parse().unwrap()),
            metric: 0,
            scope,
            protocol: RouteProtocol::Kernel,
            onlink: false,
            metrics: vethscope::trace::RouteMetrics::default(),
            tos: 0,
            nhid: 0,
            leg: None,
        };
        self.state.routes.push((ChangeId::default(), row));
    }

    fn via(&mut self, dst: &str, gateway: &str, oif: u32, onlink: bool) {
        self.route_row(254, dst, RouteKind::Unicast, Some(oif), None);
        let (_, row) = self.state.routes.last_mut().unwrap();
        row.gateway = Some(gateway.parse().unwrap());
        (row.scope, row.protocol, row.onlink) = (Scope::Global, RouteProtocol::Boot, onlink);
    }

    fn neigh(&mut self, ifindex: u32, addr: &str, mac_text: Option<&str>, state: Nud) {
        let (ifindex, addr): (_, Ipv4Addr) = (IfIndex(ifindex), addr.parse().unwrap());
        let netns = self.state.row.netns;
        let mac = mac_text.map(mac);
        let row = NeighRow { netns, ifindex, addr, mac, state, probes: 0, updated: NOW, confirmed: NOW };
        let entry = Neighbor { change: ChangeId::default(), row, used: NOW };
        self.state.neighbors.insert((ifindex, addr), entry);
    }

    fn fdb(&mut self, ifindex: u32, master: Option<u32>, mac_text: &str, permanent: bool, dst: Option<&str>) {
        let row = FdbRow {
            vlan: 0,
            netns: self.state.row.netns,
            ifindex: IfIndex(ifindex),
            master: master.map(IfIndex),
            mac: mac(mac_text),
            permanent,
            is_static: false,
            dst: dst.map(|text| text.parse().unwrap()),
            updated: SimTime::ZERO,
        };
        self.state.fdb.push(Fdb { change: ChangeId::default(), row, used: SimTime::ZERO });
    }
}

/// The namespace of node 1 as it was recorded.
fn node() -> NetnsState {
    let mut node = Builder::new(NODE, "node1", NetnsRole::Node);
    node.state.sysctls.insert("net.ipv4.ip_forward".into(), "1".into());
    let uplink = LinkKind::Physical { peer_netns: NetnsId(9), peer: IfIndex(3) };
    node.link(link(NODE, 2, "eth0", uplink, "02:00:c0:a8:01:0a", 1500), [2712, 17, 2822, 22]);
    let bridge = LinkKind::Bridge { ageing_secs: 300 };
    node.link(link(NODE, 3, "cni0", bridge, "5a:cc:9b:80:5c:2a", 1450), [1520, 24, 2058, 19]);
    for (ifindex, name, mac, counters) in [
        (4, "veth53fc90e0", "a2:53:0f:a6:bd:45", [5507, 61, 5809, 55]),
        (5, "veth1cf37a32", "42:0a:83:70:68:22", [1824, 18, 1850, 22]),
    ] {
        let mut port = link(NODE, ifindex, name, veth(NetnsId(ifindex), 2, ifindex - 3), mac, 1450);
        port.txqlen = 0;
        port.port = Some(PortRow {
            master: IfIndex(3),
            number: ifindex as u16 - 3,
            state: PortState::Forwarding,
            hairpin: true,
            learning: true,
            flood: true,
            extra: vethscope::trace::PortExtra::default(),
        });
        (port.extra.promisc, port.extra.allmulti) = (1, 1);
        node.link(port, counters);
        node.fdb(ifindex, Some(3), mac, true, None);
    }
    let local = Ipv4Addr::new(192, 168, 1, 10);
    let vxlan = LinkKind::Vxlan { vni: 1, local, dev: IfIndex(2), port: 8472, learning: false };
    node.link(link(NODE, 6, "flannel.1", vxlan, "02:f1:0a:f4:01:00", 1450), [1656, 15, 1436, 21]);
    node.fdb(3, Some(3), "5a:cc:9b:80:5c:2a", true, None);
    node.fdb(4, Some(3), "0a:58:0a:f4:01:0a", false, None);
    node.fdb(5, Some(3), "0a:58:0a:f4:01:0b", false, None);
    node.fdb(6, None, "02:f1:0a:f4:02:00", true, Some("192.168.1.11"));
    node.addr(2, "192.168.1.10/24", None);
    node.addr(3, "10.244.1.1/24", Some("10.244.1.255"));
    node.addr(6, "10.244.1.0/32", None);
    node.local_routes(2, "192.168.1.10", Some("192.168.1.255"));
    node.local_routes(3, "10.244.1.1", Some("10.244.1.255"));
    node.local_routes(6, "10.244.1.0", None);
    node.route_row(254, "192.168.1.0/24", RouteKind::Unicast, Some(2), Some("192.168.1.10"));
    node.route_row(254, "10.244.1.0/24", RouteKind::Unicast, Some(3), Some("10.244.1.1"));
    node.via("203.0.113.0/24", "192.168.1.1", 2, false);
    node.via("10.244.2.0/24", "10.244.2.0", 6, true);
    node.neigh(6, "10.244.2.0", Some("02:f1:0a:f4:02:00"), Nud::Permanent);
    node.neigh(2, "192.168.1.11", Some("02:00:c0:a8:01:0b"), Nud::Reachable);
    node.neigh(3, "10.244.1.10", Some("0a:58:0a:f4:01:0a"), Nud::Delay);
    node.neigh(3, "10.244.1.11", Some("0a:58:0a:f4:01:0b"), Nud::Reachable);
    node.state
}

/// The namespace of Pod A as it was recorded, before or after pings to addresses where nobody is.
fn pod(after_failures: bool) -> NetnsState {
    let role = NetnsRole::Pod { namespace: "default".into(), pod: "a".into(), node: NODE };
    let mut pod = Builder::new(POD, "default/a", role);
    let mut eth0 = link(POD, 2, "eth0", veth(NODE, 4, 0), "0a:58:0a:f4:01:0a", 1450);
    eth0.txqlen = 0;
    pod.link(eth0, [5809, 55, 5507, 61]);
    pod.addr(2, "10.244.1.10/24", Some("10.244.1.255"));
    pod.local_routes(2, "10.244.1.10", Some("10.244.1.255"));
    pod.route_row(254, "10.244.1.0/24", RouteKind::Unicast, Some(2), Some("10.244.1.10"));
    pod.via("10.244.0.0/16", "10.244.1.1", 2, false);
    pod.via("0.0.0.0/0", "10.244.1.1", 2, false);
    pod.neigh(2, "10.244.1.1", Some("5a:cc:9b:80:5c:2a"), Nud::Reachable);
    let other = if after_failures { Nud::Stale } else { Nud::Delay };
    pod.neigh(2, "10.244.1.11", Some("0a:58:0a:f4:01:0b"), other);
    for host in [77, 95, 91, 92, 93, 94].into_iter().filter(|_| after_failures) {
        pod.neigh(2, &format!("10.244.1.{host}"), None, Nud::Failed);
    }
    pod.state
}

/// The connections that node 1 tracked as they were recorded, read back from what `conntrack -L` printed.
fn connections(node: &mut NetnsState) {
    let text = include_str!("commands/conntrack-L-node.txt");
    let row = ChainRow {
        netns: NODE,
        table: Table::Nat,
        name: "PREROUTING".into(),
        policy: Some(Policy::Accept),
        counters: None,
    };
    let chain = Chain { change: ChangeId::default(), row, rules: Vec::new(), counters: None };
    node.netfilter.chains.insert((Table::Nat, "PREROUTING".into()), chain);
    let lines = text.lines().filter(|line| line.contains(" src="));
    for (id, line) in lines.enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let field = |name: &str, nth: usize| {
            let found = words.iter().filter_map(|word| word.strip_prefix(&format!("{name}=")));
            found.clone().nth(nth)
        };
        let number = |name: &str, nth: usize| field(name, nth).map_or(0, |text| text.parse::<u16>().unwrap());
        let protocol = words[1].parse().unwrap();
        let tuple = |nth: usize| {
            let (sport, dport) = match protocol {
                1 => (number("id", nth), number("type", nth) << 8 | number("code", nth)),
                _ => (number("sport", nth), number("dport", nth)),
            };
            let addr = |name: &str| field(name, nth).unwrap().parse().unwrap();
            Tuple { src: addr("src"), sport, protocol, dst: addr("dst"), dport }
        };
        let states = [TcpTracking::SynSent, TcpTracking::Established, TcpTracking::TimeWait];
        let row = ConntrackRow {
            netns: NODE,
            id: id as u32,
            orig: tuple(0),
            reply: tuple(1),
            tcp: states.into_iter().find(|state| words[3] == state.name()),
            seen_reply: !line.contains("[UNREPLIED]"),
            assured: line.contains("[ASSURED]"),
            mark: 0,
            timeout: Duration::from_secs(words[2].parse().unwrap()),
        };
        let connection = Connection { change: ChangeId::default(), row, seen: NOW };
        node.netfilter.conntrack.insert(row.id, connection);
    }
}

/// The sockets of Pod A as they were recorded: nginx, connections to it that are over and one that is open, and a UDP
/// "connection".
fn sockets(pod: &mut NetnsState) {
    let tcp = Transport::Tcp;
    for (transport, state, local, remote, send_queue) in [
        (tcp, SocketState::Listen, "0.0.0.0:80", "0.0.0.0:0", 511),
        (tcp, SocketState::TimeWait, "10.244.1.10:37022", "10.96.0.82:80", 0),
        (tcp, SocketState::TimeWait, "10.244.1.10:60076", "10.96.0.80:80", 0),
        (tcp, SocketState::TimeWait, "10.244.1.10:60078", "10.96.0.80:80", 0),
        (tcp, SocketState::TimeWait, "10.244.1.10:60094", "10.96.0.80:80", 0),
        (tcp, SocketState::TimeWait, "10.244.1.10:59170", "10.244.2.10:80", 0),
        (tcp, SocketState::TimeWait, "10.244.1.10:59184", "10.244.2.10:80", 0),
        (tcp, SocketState::Established, "10.244.1.10:59194", "10.244.2.10:80", 0),
        (Transport::Udp, SocketState::Established, "10.244.1.10:58259", "10.244.2.10:9999", 0),
    ] {
        let socket = SocketId(pod.sockets.len() as u32);
        let row = SocketRow {
            netns: POD,
            socket,
            transport,
            state,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            device: None,
            holder: None,
            recv_queue: 0,
            send_queue,
            uid: 0,
            inode: 0,
            timer: None,
            tcp: None,
        };
        pod.sockets.insert(socket, row);
    }
}

fn command_of(netns: NetnsId, inventory: &Inventory, words: &[String]) -> Command {
    command_at(Some(120), netns, inventory, words)
}

fn command_at(columns: Option<usize>, netns: NetnsId, inventory: &Inventory, words: &[String]) -> Command {
    let mut context = Context {
        inventory,
        netns,
        files: &|_| None,
        bytes: &|_| None,
        below: &|_| Vec::new(),
        is_fifo: &|_| false,
        hostname: "a",
        image: None,
        kube_namespace: "default",
        columns,
        input: None,
        pidns: PidNsId(0),
        pid: 1,
        variables: &[],
        dialect: &shell::Dialect::default(),
        logs: &|_, _| String::new(),
        rng: &mut Rng::with_seed(1),
    };
    shell::run(&mut context, words)
}

fn run(netns: NetnsId, inventory: &Inventory, words: &[String]) -> (String, u8) {
    run_at(Some(120), netns, inventory, words)
}

fn run_at(columns: Option<usize>, netns: NetnsId, inventory: &Inventory, words: &[String]) -> (String, u8) {
    match command_at(columns, netns, inventory, words) {
        Command::Done { output, status } => (output.into_iter().map(|(_, text)| text).collect(), status),
        Command::Process { .. } | Command::Exec { .. } | Command::Follow(_) | Command::Copy(_) => {
            panic!("{words:?} became a process")
        }
        Command::Change { changes, .. } => panic!("{words:?} asks for {changes:?}"),
    }
}

#[test]
fn the_tools_print_what_the_real_ones_print() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commands")).unwrap();
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut wrong = Vec::new();
    for path in &paths {
        let recorded = std::fs::read_to_string(path).unwrap();
        let (head, expected) = recorded.split_once('\n').unwrap();
        let (label, command) = head.strip_prefix("$ [").unwrap().split_once("] ").unwrap();
        let (label, columns) = match label.split_once(" to ") {
            None => (label, Some(120)),
            Some((label, "a pipe")) => (label, None),
            Some((label, columns)) => (label, Some(columns.split(' ').next().unwrap().parse().unwrap())),
        };
        let (netns, state) = match label {
            "node" => {
                let mut state = node();
                connections(&mut state);
                (NODE, state)
            }
            "pod" => {
                let mut state = pod(false);
                sockets(&mut state);
                (POD, state)
            }
            "pod with failed neighbours" => (POD, pod(true)),
            other => panic!("{other} is no state"),
        };
        let inventory =
            Inventory { now: NOW, netns: BTreeMap::from([(netns, state.into())]), ..Inventory::default() };
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let (text, status) = run_at(columns, netns, &inventory, &words);
        let found = normalized(command, &format!("{text}rc={status}\n"));
        let expected = normalized(command, expected);
        if found != expected {
            wrong.push(format!("{command}\n{}", common::differing(&expected, &found)));
        }
    }
    assert!(!paths.is_empty());
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), paths.len(), wrong.join("\n"));
}

#[test]
fn a_missing_file_is_named() {
    let inventory = Inventory { netns: BTreeMap::from([(POD, pod(false).into())]), ..Inventory::default() };
    let words = ["cat", "/x"].map(str::to_owned);
    assert_eq!(run(POD, &inventory, &words), ("cat: /x: No such file or directory\n".to_owned(), 1));
}

fn line(netns: NetnsId, line: &str) -> (String, u8) {
    let state = if netns == NODE { node() } else { pod(false) };
    let inventory =
        Inventory { now: NOW, netns: BTreeMap::from([(netns, state.into())]), ..Inventory::default() };
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    run(netns, &inventory, &words)
}

#[test]
fn words_that_are_not_simulated_are_not_called_mistakes() {
    for (command, who, word) in [
        ("ip link set eth0 group x", "ip link set", "group"),
        ("ip link set eth0 netns 1", "ip link set", "netns"),
        ("ip link add bond0 type bond", "ip link add type", "bond"),
        ("ip link add d0 type dummy numa 1", "ip link add type dummy", "numa"),
        ("ip addr add 10.0.0.1/8 dev eth0 autojoin", "ip address", "autojoin"),
        ("ip addr show group 5", "ip", "group"),
        ("ip neigh show router", "ip neigh", "router"),
        ("ip netns add x", "ip netns", "add"),
        ("ip tcp_metrics", "ip", "tcpmetrics"),
        ("bridge mdb show", "bridge", "mdb"),
        ("arp -D 10.244.1.9", "arp", "-D"),
    ] {
        assert_eq!(line(POD, command), (format!("{who}: not simulated: {word}\n"), 1), "{command}");
    }
}

#[test]
fn what_there_is_not_is_refused_as_the_tools_do() {
    for (netns, command, text, status) in [
        (POD, "ip route flush 10.9.0.0/16", "", 0),
        (POD, "ip -s route flush 10.9.0.0/16", "Nothing to flush.\n", 0),
        (
            POD,
            "ip link show master NOSUCH",
            "Error: argument \"NOSUCH\" is wrong: Device does not exist\n\n",
            255,
        ),
        (POD, "arp -d 10.244.1.99", "No ARP entry for 10.244.1.99\n", 255),
        (
            NODE,
            "bridge fdb add 02:f1:0a:f4:02:00 dev flannel.1 dst 192.168.1.12",
            "RTNETLINK answers: File exists\n",
            2,
        ),
        (
            NODE,
            "bridge fdb del 02:f1:0a:f4:09:00 dev flannel.1 dst 192.168.1.12",
            "RTNETLINK answers: No such file or directory\n",
            2,
        ),
    ] {
        assert_eq!(line(netns, command), (text.to_owned(), status), "{command}");
    }
}

#[test]
fn changes_to_tables_are_asked_for() {
    let flannel: IfIndex = IfIndex(6);
    let (known, new) = (mac("02:f1:0a:f4:02:00"), mac("02:f1:0a:f4:03:00"));
    let far = Ipv4Addr::new(192, 168, 1, 12);
    let add = |mac| KernelChange::AddVxlanFdb(flannel, mac, far);
    let broadcast = Some(Ipv4Addr::new(10, 244, 1, 255));
    let cni0 = AddrRow { broadcast, ..AddrRow::new(NODE, IfIndex(3), "10.244.1.1/24".parse().unwrap()) };
    let del = KernelChange::DelVxlanFdb(flannel, known);
    for (command, wanted) in [
        ("ip addr flush dev cni0", vec![KernelChange::DelAddr(Box::new(cni0))]),
        ("bridge fdb add 02:f1:0a:f4:03:00 dev flannel.1 dst 192.168.1.12", vec![add(new)]),
        ("bridge fdb append 02:f1:0a:f4:03:00 dev flannel.1 dst 192.168.1.12 self", vec![add(new)]),
        (
            "bridge fdb replace 02:f1:0a:f4:02:00 dev flannel.1 dst 192.168.1.12",
            vec![del.clone(), add(known)],
        ),
        ("bridge fdb del 02:f1:0a:f4:02:00 dev flannel.1 dst 192.168.1.11", vec![del.clone()]),
        ("arp -d 10.244.1.10", vec![KernelChange::DelNeigh(IfIndex(3), Ipv4Addr::new(10, 244, 1, 10))]),
    ] {
        let inventory =
            Inventory { now: NOW, netns: BTreeMap::from([(NODE, node().into())]), ..Inventory::default() };
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        match command_of(NODE, &inventory, &words) {
            Command::Change { changes, .. } => assert_eq!(changes, wanted, "{command}"),
            Command::Done { output, .. } => panic!("{command} says {output:?}"),
            Command::Process { .. } | Command::Exec { .. } | Command::Follow(_) | Command::Copy(_) => {
                panic!("{command} became a process")
            }
        }
    }
}

#[test]
fn every_type_is_known_by_its_names_and_no_other() {
    let said = |word: &str| line(NODE, &format!("kubectl get {word}"));
    for word in ["deploy", "deployments", "Deployment", "deployments.apps"] {
        assert_eq!(said(word), ("No resources found in default namespace.\n".to_owned(), 0), "{word}");
    }
    let missing = "Error from server (NotFound): deployments.apps \"web\" not found\n";
    assert_eq!(said("deployment/web"), (missing.to_owned(), 1));
    let unknown = "error: the server doesn't have a resource type \"widgets\"\n";
    assert_eq!(said("widgets"), (unknown.to_owned(), 1));
}

const TWO_AND_INIT: &str = "apiVersion: v1
kind: Pod
metadata: {name: p1}
spec:
  initContainers:
  - {name: i, image: busybox}
  containers:
  - {name: c, image: debian, command: [sleep, infinity]}
  - {name: d, image: debian, command: [sleep, infinity]}
---
apiVersion: v1
kind: Pod
metadata: {name: p2}
spec:
  containers:
  - {name: c, image: debian, command: [sleep, infinity]}
";

#[test]
fn a_container_must_be_there_and_run() {
    let mut lab = common::lab(TWO_AND_INIT, 1);
    let mut refusal = |container: &str| {
        let target = Target::parse("p1", "default", Some(container));
        lab.start(&target, &["true".to_owned()]).map(|_| ()).map_err(|error| error.to_string())
    };
    let invalid = "error: container zzz is not valid for pod p1 out of: c, d, i (init)";
    assert_eq!(refusal("zzz"), Err(invalid.to_owned()));
    let ended = "error: Internal error occurred: unable to upgrade connection: container not found (\"i\")";
    assert_eq!(refusal("i"), Err(ended.to_owned()));
    assert_eq!(refusal("d"), Ok(()));
}

#[test]
fn pings_that_no_one_answers() {
    let mut lab = common::lab(TWO_AND_INIT, 1);
    let address = common::run(&mut lab, "p1 ip -4 -br addr show eth0").output;
    let own = address.split_whitespace().nth(2).unwrap().split('/').next().unwrap().to_owned();
    let (net, _) = own.rsplit_once('.').unwrap();
    let refusal = "ping: Do you want to ping broadcast? Then -b. If not, check your local firewall rules\n";
    for dst in [format!("{net}.255"), "255.255.255.255".to_owned()] {
        let ran = common::run(&mut lab, &format!("p1 ping -c1 {dst}"));
        assert_eq!((ran.output.as_str(), ran.status), (refusal, 2), "{dst}");
        let from = lab.trace().len();
        let ran = common::run(&mut lab, &format!("p1 ping -b -c1 -W1 {dst}"));
        let head =
            format!("WARNING: pinging broadcast address\nPING {dst} ({dst}) 56(84) bytes of data.\n\n");
        assert!(ran.output.starts_with(&head), "{}", ran.output);
        assert!(ran.output.contains("1 packets transmitted, 0 received, 100% packet loss"), "{}", ran.output);
        assert_eq!(ran.status, 1);
        let text = vethscope::trace::format::text(lab.trace(), from..lab.trace().len());
        // A frame to all reaches the bridge itself, which looks at the packet and does not answer.
        assert!(text.contains("node1/cni0             ← in"), "{text}");
        assert!(!text.contains("echo reply"), "{text}");
    }
    let ran = common::run(&mut lab, "p1 ping -c1 -W1 -I lo 10.244.9.9");
    let head = format!(
        "ping: Warning: source address might be selected on device other than: lo\n\
         PING 10.244.9.9 (10.244.9.9) from {own} lo: 56(84) bytes of data.\n"
    );
    assert!(ran.output.starts_with(&head), "{}", ran.output);
    let ran = common::run(&mut lab, "p1 ping -c1 -W1 -s 70000 10.244.9.9");
    assert!(ran.output.contains("data.\n\n---"), "{}", ran.output);
    let ran = common::run(&mut lab, "p1 ping -t 0 10.244.9.9");
    assert_eq!(ran.output, "ping: cannot set unicast time-to-live: Invalid argument\n");
}
