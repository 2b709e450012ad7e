//! The simulated side of a case: two hosts on a cable, the servers on one, the program on the other.

use super::zone::{Act, Servers, address};
use super::{Asked, Case, Library, Ran};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;
use vethscope::agent::{Actor, Wakeup, Wire, World};
use vethscope::api::{ApiError, ApiRequest};
use vethscope::app::{Os, Process, Transport, Wake};
use vethscope::base::{Duration, IfIndex, MacAddr, NetnsId, SimTime, SocketId};
use vethscope::kernel::{Kind, NewLink, Peer};
use vethscope::sim::Simulation;
use vethscope::trace::{NetnsRole, Scope};

/// How long a case may take in simulated time.
const LIMIT: SimTime = SimTime(600_000_000_000);
const PORT: u16 = 53;

/// Nobody: these hosts have no control plane.
#[derive(Clone)]
struct Nobody;

impl Actor for Nobody {
    fn serve(&mut self, _world: &mut dyn World, request: &ApiRequest) -> Result<Value, ApiError> {
        Err(ApiError::bad_request(format!("nobody serves {request:?}")))
    }

    fn wake(&mut self, _world: &mut dyn World, _wakeup: Wakeup) {}
}

/// Where an answer goes.
#[derive(Clone, Copy)]
enum Place {
    Datagram(SocketId, SocketAddrV4),
    Stream(SocketId),
}

/// All servers of a case in one process.
#[derive(Clone)]
struct Host {
    servers: Servers,
    asked: Rc<RefCell<Vec<Asked>>>,
    udp: BTreeMap<SocketId, usize>,
    tcp: BTreeMap<SocketId, usize>,
    streams: BTreeMap<SocketId, (usize, u16, Vec<u8>)>,
    waiting: BTreeMap<u32, (Place, Vec<u8>)>,
}

impl Host {
    fn start(&mut self, os: &mut dyn Os, servers: usize) {
        for server in 0..servers {
            let at = SocketAddrV4::new(address(server), PORT);
            if self.servers.listens(server, false) {
                let socket = os.socket(Transport::Udp).expect("a socket");
                os.bind(socket, at).expect("the port is free");
                self.udp.insert(socket, server);
            }
            if self.servers.listens(server, true) {
                let socket = os.socket(Transport::Tcp).expect("a socket");
                os.bind(socket, at).expect("the port is free");
                os.listen(socket, 8).expect("it is bound");
                self.tcp.insert(socket, server);
            }
        }
    }

    fn take(&mut self, os: &mut dyn Os, server: usize, place: Place, port: u16, bytes: &[u8]) {
        let tcp = matches!(place, Place::Stream(_));
        let at_ms = os.now().0 / 1_000_000;
        let (what, act) = self.servers.take(server, tcp, port, at_ms, bytes);
        self.asked.borrow_mut().push(Asked { at_ms, server, port, tcp, what });
        if let Act::Reply(wait_ms, reply) = act {
            let token = self.waiting.keys().next_back().map_or(0, |last| last + 1);
            self.waiting.insert(token, (place, reply));
            os.set_timer(token, Duration::from_ms(wait_ms));
        }
    }

    fn readable(&mut self, os: &mut dyn Os, socket: SocketId) {
        if let Some(server) = self.udp.get(&socket).copied() {
            while let Ok(datagram) = os.receive_from(socket) {
                let from = datagram.from;
                self.take(os, server, Place::Datagram(socket, from), from.port(), &datagram.data);
            }
        } else if let Some(server) = self.tcp.get(&socket).copied() {
            while let Ok((stream, from)) = os.accept(socket) {
                self.streams.insert(stream, (server, from.port(), Vec::new()));
                self.readable(os, stream);
            }
        } else if let Some((server, port, mut input)) = self.streams.remove(&socket) {
            loop {
                match os.receive_stream(socket, 65_536) {
                    Ok(data) if data.is_empty() => return os.close(socket),
                    Ok(data) => input.extend(data),
                    Err(_) => break,
                }
            }
            while let [high, low, rest @ ..] = input.as_slice() {
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                let Some(message) = rest.get(..len).map(<[u8]>::to_vec) else { break };
                input.drain(..len + 2);
                self.take(os, server, Place::Stream(socket), port, &message);
            }
            self.streams.insert(socket, (server, port, input));
        }
    }

    fn answer(&mut self, os: &mut dyn Os, token: u32) {
        match self.waiting.remove(&token) {
            Some((Place::Datagram(socket, to), bytes)) => drop(os.send_to(socket, to, &bytes)),
            Some((Place::Stream(socket), bytes)) => {
                let mut whole = (bytes.len() as u16).to_be_bytes().to_vec();
                whole.extend(bytes);
                let _ = os.send(socket, &whole);
            }
            None => {}
        }
    }
}

impl Process for Host {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => {
                let servers = self.servers.count();
                self.start(os, servers);
            }
            Wake::Timer(token) => self.answer(os, token),
            Wake::Readable(socket) => self.readable(os, socket),
            Wake::Writable(_) | Wake::Terminate | Wake::Interrupt | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

/// The program: it looks names up one after the other.
#[derive(Clone)]
struct Client {
    names: Vec<String>,
    output: Rc<RefCell<Vec<String>>>,
}

impl Process for Client {
    fn wake(&mut self, os: &mut dyn Os, _wake: Wake) {
        let mut lines = Vec::new();
        for name in &self.names {
            os.resolve(name);
            lines.push(match os.lookup(name) {
                Some(Ok(found)) => {
                    let addresses = found.addresses.iter().map(|ip| format!(" {ip}"));
                    format!("{name}: found{}", addresses.collect::<String>())
                }
                Some(Err(why)) => format!("{name}: {}", why.text()),
                // The simulation runs this wake-up again when the name is known.
                None => return,
            });
        }
        *self.output.borrow_mut() = lines;
        os.exit(0);
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }

    fn looks_up_names(&self) -> bool {
        true
    }
}

fn mac(host: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, host as u8 + 1])
}

/// Runs a case.
pub(super) fn run(case: &Case, library: Library) -> Ran {
    let mut sim = Simulation::new(7, Nobody);
    let hosts = ["client", "servers"].map(|name| sim.new_netns(Arc::from(name), NetnsRole::Host));
    let link = |host: usize| NewLink {
        name: "eth0".into(),
        kind: Kind::Physical(Peer { netns: NetnsId::NONE, ifindex: IfIndex::NONE }),
        mac: mac(host),
        mtu: 1500,
        txqlen: 1000,
    };
    let ends = sim.add_wire(Wire::Cable, (hosts[0], link(0)), (hosts[1], link(1)));
    let client = Ipv4Addr::new(192, 0, 2, 100);
    let servers: Vec<Ipv4Addr> = (0..case.servers.len()).map(address).collect();
    for (host, ifindex, own, far) in
        [(0, ends.0, vec![client], servers.clone()), (1, ends.1, servers, vec![client])]
    {
        sim.visit(hosts[host], &mut |netns, ctx| {
            for ip in &own {
                let net = format!("{ip}/24").parse().expect("an address");
                netns.add_addr(ctx, ifindex, net, Some(Ipv4Addr::new(192, 0, 2, 255)), Scope::Global);
            }
            netns.set_up(ctx, ifindex);
            for ip in &far {
                netns.set_permanent_neighbor(ctx, ifindex, *ip, mac(1 - host));
            }
        });
    }
    let (asked, output) = (Rc::default(), Rc::default());
    let machine = sim.machine(hosts[1]);
    let process = sim.begin(hosts[1], &machine);
    let host = Host {
        servers: Servers::new(&case.servers),
        asked: Rc::clone(&asked),
        udp: BTreeMap::new(),
        tcp: BTreeMap::new(),
        streams: BTreeMap::new(),
        waiting: BTreeMap::new(),
    };
    sim.run(process, Box::new(host), "servers");
    let mut machine = sim.machine(hosts[0]);
    let written =
        sim.put_file(hosts[0], &machine.mounts, "/etc/resolv.conf", case.resolv_conf().into_bytes());
    written.expect("/etc is there");
    if library == Library::Musl {
        machine.image = Some("alpine".into());
    }
    let process = sim.begin(hosts[0], &machine);
    let program = Client { names: case.names.clone(), output: Rc::clone(&output) };
    sim.run(process, Box::new(program), "client");
    while sim.status(process).is_none() && sim.next_at().is_some_and(|at| at < LIMIT) {
        sim.step();
    }
    Ran { asked: asked.take(), output: output.take() }
}
