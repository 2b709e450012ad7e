//! Streams from Pod a to Pod b of the lesson's cluster over VXLAN, datagrams and a transfer over TCP, straight and through
//! a Service whose rules every packet passes. The programs at both ends are the bench's own.

use super::{LESSON, counted};
use std::net::SocketAddrV4;
use std::sync::Arc;
use vethscope::agent::{ControlPlane, Desired, Wakeup, Written};
use vethscope::app::{Os, Process, Shutdown, SocketOption, Transport, Wake};
use vethscope::base::{Duration, Ipv4Addr, NetnsId, Severity, SocketId};
use vethscope::kernel::Urgency;
use vethscope::manifest;
use vethscope::sim::Simulation;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// What it is called in the results.
    pub(crate) name: &'static str,
    pub(crate) transport: Transport,
    /// Where it goes.
    pub(crate) to: SocketAddrV4,
    /// Whether Services are there, with kube-proxy's rules in the way.
    pub(crate) has_services: bool,
}

/// Data of a datagram that makes the inner frame 64 bytes long: Ethernet 14, IPv4 20, UDP 8.
pub(crate) const DATAGRAM: usize = 22;
/// Datagrams of one measurement.
pub(crate) const DATAGRAMS: usize = 20_000;
/// Bytes of one transfer.
pub(crate) const BYTES: usize = 20_000_000;

/// Ports of Pod b.
pub(crate) const UDP_PORT: u16 = 9000;
pub(crate) const TCP_PORT: u16 = 9001;

const POD_B: Ipv4Addr = Ipv4Addr::new(10, 244, 2, 10);
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 90);

pub(crate) const CASES: [Case; 3] = [
    Case {
        name: "UDP, 64-byte frames",
        transport: Transport::Udp,
        to: SocketAddrV4::new(POD_B, UDP_PORT),
        has_services: false,
    },
    Case {
        name: "UDP, 64-byte frames, through a Service",
        transport: Transport::Udp,
        to: SocketAddrV4::new(SERVICE, UDP_PORT),
        has_services: true,
    },
    Case {
        name: "TCP, through a Service",
        transport: Transport::Tcp,
        to: SocketAddrV4::new(SERVICE, TCP_PORT),
        has_services: true,
    },
];

/// The Service in front of Pod b, beside those of the recorded topology.
const SERVICES: &str = concat!(
    include_str!("../../tests/oracle/services.yaml"),
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: stream}\nspec:\n  clusterIP: 10.96.0.90\n  ports:\n  \
     - {name: udp, port: 9000, protocol: UDP}\n  - {name: tcp, port: 9001}\n\
     ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
     metadata: {name: stream-x, labels: {kubernetes.io/service-name: stream}}\naddressType: IPv4\n\
     endpoints: [{addresses: [10.244.2.10], nodeName: node2}]\n\
     ports: [{name: udp, port: 9000, protocol: UDP}, {name: tcp, port: 9001}]\n"
);

impl Case {
    /// The cluster it runs in.
    pub(crate) fn text(&self) -> String {
        if self.has_services { LESSON.to_owned() + SERVICES } else { LESSON.to_owned() }
    }
}

/// A running cluster without a lab around it, so that programs of the bench's own can run in it.
pub(crate) struct World {
    sim: Simulation<ControlPlane>,
    case: Case,
    a: NetnsId,
    b: NetnsId,
}

impl World {
    /// The cluster of a case, up, with every table filled that the stream needs.
    pub(crate) fn warm(case: Case) -> Self {
        let parsed = manifest::parse(&case.text());
        let wrong: Vec<_> =
            parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let objects = parsed.objects.iter().filter_map(Written::new).collect();
        let mut sim = Simulation::new(1, ControlPlane::default());
        sim.tell(Wakeup::Apply(Arc::new(Desired { cluster: parsed.resolve_cluster(), objects })));
        while !sim.is_quiet(Urgency::Now) {
            sim.step();
        }
        let inventory = vethscope::trace::Inventory::at(sim.trace(), sim.trace().len());
        let of = |name: &str| {
            let pod = &inventory.pods[&("default".into(), name.into())];
            pod.netns.expect("a Pod that is up has a namespace")
        };
        let (a, b) = (of("a"), of("b"));
        let mut world = Self { sim, case, a, b };
        world.stream(10, 10_000);
        world
    }

    /// Wire hops since event `from`.
    pub(crate) fn hops(&self, from: usize) -> usize {
        counted(self.sim.trace(), from, |netns| self.sim.netns(netns))
    }

    /// Sends so much and has it received, with everything recorded in the trace. Returns the event with which it began.
    pub(crate) fn stream(&mut self, datagrams: usize, bytes: usize) -> usize {
        let from = self.sim.trace().len();
        let Case { transport, to, .. } = self.case;
        let amount = if transport == Transport::Udp { datagrams } else { bytes };
        let sink = self.run(
            self.b,
            Box::new(Sink { transport, listener: SocketId::NONE, socket: SocketId::NONE, left: amount }),
        );
        self.run(self.a, Box::new(Source { transport, to, socket: SocketId::NONE, left: amount }));
        while self.sim.status(sink).is_none() {
            assert!(self.sim.step(), "the stream arrives");
            for (process, status) in self.sim.take_ended() {
                self.sim.end(process, status);
            }
        }
        assert_eq!(self.sim.status(sink), Some(0), "everything arrives");
        from
    }

    /// The wire hops of a stream.
    pub(crate) fn hops_of_stream(case: Case) -> usize {
        let mut world = Self::warm(case);
        let from = world.stream(DATAGRAMS, BYTES);
        world.hops(from)
    }

    fn run(&mut self, netns: NetnsId, program: Box<dyn Process>) -> vethscope::base::ProcessId {
        let environment = self.sim.machine(netns);
        let process = self.sim.begin(netns, &environment);
        self.sim.run(process, program, "stream");
        while !self.sim.is_quiet(Urgency::Now) && self.sim.next_at().is_some_and(|at| at <= self.sim.now()) {
            self.sim.step();
        }
        process
    }
}

/// How far apart datagrams leave.
const PACE: Duration = Duration::from_us(20);

#[derive(Clone)]
struct Source {
    transport: Transport,
    to: SocketAddrV4,
    socket: SocketId,
    left: usize,
}

impl Process for Source {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        if wake == Wake::Start {
            self.socket = os.socket(self.transport).expect("a socket");
            // A connection is not there at once.
            let _ = os.connect(self.socket, self.to);
        }
        match self.transport {
            Transport::Udp => self.send_datagram(os),
            Transport::Tcp => self.send_stream(os),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

impl Source {
    fn send_datagram(&mut self, os: &mut dyn Os) {
        os.send(self.socket, &[b'x'; DATAGRAM]).expect("a datagram is taken");
        self.left -= 1;
        if self.left == 0 {
            return os.exit(0);
        }
        os.set_timer(1, PACE);
    }

    fn send_stream(&mut self, os: &mut dyn Os) {
        let piece = vec![b'x'; 65_536];
        while self.left > 0 {
            let Ok(taken) = os.send(self.socket, &piece[..self.left.min(piece.len())]) else { return };
            self.left -= taken;
        }
        let _ = os.shutdown(self.socket, Shutdown::Write);
    }
}

#[derive(Clone)]
struct Sink {
    transport: Transport,
    listener: SocketId,
    socket: SocketId,
    left: usize,
}

impl Process for Sink {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match (self.transport, wake) {
            (transport, Wake::Start) => {
                self.listener = os.socket(transport).expect("a socket");
                os.set_option(self.listener, SocketOption::ReuseAddress(true)).expect("an option");
                let port = if transport == Transport::Udp { UDP_PORT } else { TCP_PORT };
                os.bind(self.listener, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)).expect("a free port");
                if transport == Transport::Tcp {
                    os.listen(self.listener, 1).expect("it listens");
                }
            }
            (Transport::Udp, _) => {
                while os.receive_from(self.listener).is_ok() {
                    self.left -= 1;
                }
            }
            (Transport::Tcp, _) => self.receive_stream(os),
        }
        if self.left == 0 {
            os.exit(0);
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

impl Sink {
    fn receive_stream(&mut self, os: &mut dyn Os) {
        if self.socket == SocketId::NONE {
            let Ok((socket, _)) = os.accept(self.listener) else { return };
            self.socket = socket;
        }
        while let Ok(data) = os.receive_stream(self.socket, 65_536) {
            if data.is_empty() {
                return;
            }
            self.left -= data.len();
        }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}
