//! All namespaces and wires, and the event queue keyed by time and sequence. Time exists only here: everything below
//! is told `now` and gives back deadlines.

mod abroad;
mod captures;
mod local;
mod names;
mod outage;
mod pipes;
mod processes;
mod queue;
mod sockets;
mod syscalls;
mod terminal;
mod worldly;

pub use processes::{Signal, Stderr, Stdin};
pub use terminal::Typed;

use crate::agent::{Actor, Environment, Launch, Wakeup};
use crate::api::{ApiError, ApiRequest};
use crate::app::Wake;
use crate::base::{DirId, EventId, IfIndex, JourneyId, NetnsId, PacketId, ProcessId, Rng, SimTime};
use crate::kernel::{Ctx, Delays, Effects, Netns, Urgency, Woken, Work};
use crate::tls::Credentials;
use crate::trace::{DropReason, Event, EventKind, Trace};
use processes::Slot;
use queue::Queue;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most events that a trace may hold before a run is stopped.
pub const EVENTS_MAX: usize = 8_000_000;

/// Something to be done at a time.
#[derive(Clone, Debug)]
enum Task {
    Net(NetnsId, Work),
    Process(ProcessId, Wake, u64),
    Agent(Box<Wakeup>),
}

/// The simulation.
pub struct Simulation<A> {
    now: SimTime,
    queue: Queue<Task>,
    netns: Vec<Option<Netns>>,
    trace: Trace,
    delays: Delays,
    rng: Rng,
    effects: Effects,
    agent: Option<A>,
    processes: Vec<Slot>,
    /// The numbers that PID namespaces give out next.
    next_pids: Vec<u32>,
    n_dirs: u32,
    /// PID namespaces of machines.
    machines: BTreeMap<NetnsId, Environment>,
    /// Main processes to be started.
    launches: Vec<(ProcessId, Launch)>,
    files: BTreeMap<(NetnsId, String), String>,
    /// Files of containers and volumes.
    trees: BTreeMap<(DirId, String), Vec<u8>>,
    next_timer: u64,
    /// Namespaces that stand still, each with what waits there.
    stopped: BTreeMap<NetnsId, Vec<Task>>,
    /// Processes that ended since they were last asked for.
    ended: Vec<(ProcessId, u8)>,
    captures: Vec<captures::Capture>,
    /// Programs that are told of tracked connections.
    watches: Vec<captures::Watch>,
    /// UNIX sockets, named pipes and locks.
    locals: local::Locals,
    /// Sockets in other namespaces than their process's.
    abroad: abroad::Sockets,
    /// Length of the trace up to which captures have seen it.
    n_tapped: usize,
}

impl<A: Actor> Simulation<A> {
    /// An empty world.
    pub fn new(seed: u64, agent: A) -> Self {
        Self {
            now: SimTime::ZERO,
            queue: Queue::default(),
            netns: Vec::new(),
            trace: Trace::default(),
            delays: Delays::default(),
            rng: Rng::with_seed(seed),
            effects: Effects::default(),
            agent: Some(agent),
            processes: Vec::new(),
            next_pids: Vec::new(),
            n_dirs: 0,
            machines: BTreeMap::new(),
            launches: Vec::new(),
            files: BTreeMap::new(),
            trees: BTreeMap::new(),
            next_timer: 0,
            stopped: BTreeMap::new(),
            ended: Vec::new(),
            captures: Vec::new(),
            watches: Vec::new(),
            locals: local::Locals::default(),
            abroad: abroad::Sockets::default(),
            n_tapped: 0,
        }
    }

    /// Simulated time.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Everything that happened.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The agent. It is away only while it acts.
    pub fn agent(&self) -> Option<&A> {
        self.agent.as_ref()
    }

    /// The source of chance.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// A namespace.
    pub fn netns(&self, netns: NetnsId) -> Option<&Netns> {
        self.netns.get(netns.index())?.as_ref()
    }

    /// A file as commands in that namespace read it.
    pub fn file(&self, netns: NetnsId, path: &str) -> Option<&String> {
        self.files.get(&(netns, path.to_owned()))
    }

    /// Whether nothing is under way: no packet, no change, no process. With `Urgency::Soon` no neighbour is being
    /// asked or about to be checked either.
    pub fn is_quiet(&self, upto: Urgency) -> bool {
        self.queue.is_quiet(upto)
    }

    /// Lets time pass to `at`, before which nothing may be left to happen.
    pub fn wait_until(&mut self, at: SimTime) {
        debug_assert!(self.next_at().is_none_or(|next| at <= next), "nothing may be passed over");
        self.now = self.now.max(at);
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<SimTime> {
        self.queue.next_at()
    }

    /// Wakes the agent with this, now.
    pub fn tell(&mut self, wakeup: Wakeup) {
        self.queue.push(self.now, Urgency::Now, Task::Agent(Box::new(wakeup)));
    }

    /// Whoever acts within the cluster.
    pub fn actor(&self) -> Option<&A> {
        self.agent.as_ref()
    }

    /// Does the next thing. Returns whether there was one.
    pub fn step(&mut self) -> bool {
        let Some((at, task)) = self.queue.pop() else { return false };
        debug_assert!(self.now <= at, "time runs forward");
        self.now = at;
        let task = if self.stopped.is_empty() { Some(task) } else { self.hold(task) };
        let Some(task) = task else { return true };
        match task {
            Task::Net(netns, work) => self.work(netns, work),
            Task::Process(process, wake, timer) => self.wake(process, wake, timer),
            Task::Agent(wakeup) => self.wake_agent(*wakeup),
        }
        self.tap_new();
        true
    }

    fn work(&mut self, netns: NetnsId, work: Work) {
        let Some(Some(state)) = self.netns.get_mut(netns.index()) else {
            return self.lose(netns, work, DropReason::DevReady);
        };
        let mut ctx =
            Ctx { now: self.now, trace: &mut self.trace, effects: &mut self.effects, delays: &self.delays };
        state.work(&mut ctx, work);
        self.take_effects(netns);
    }

    /// A frame on its way to a namespace that is gone is lost with it.
    fn lose(&mut self, netns: NetnsId, work: Work, reason: DropReason) {
        let (Work::Receive(ifindex, skb)
        | Work::Transmit(ifindex, skb)
        | Work::Dequeue(ifindex, _, skb)
        | Work::ProxyArp(ifindex, skb)) = work
        else {
            return;
        };
        self.trace.push(Event {
            at: self.now,
            netns,
            ifindex,
            packet: skb.packet,
            journey: skb.journey,
            cause: skb.cause,
            kind: EventKind::Ended(crate::trace::Disposition::Dropped(reason)),
        });
    }

    /// Queues what a namespace wants done. Carriers change at once, for the wire has no delay for that.
    fn take_effects(&mut self, from: NetnsId) {
        let Self { now, queue, effects, abroad, .. } = self;
        for (after, urgency, work) in effects.later.drain(..) {
            queue.push(*now + after, urgency, Task::Net(from, work));
        }
        for (after, netns, ifindex, skb) in effects.wire.drain(..) {
            queue.push(*now + after, Urgency::Now, Task::Net(netns, Work::Receive(ifindex, skb)));
        }
        for (process, socket) in effects.readable.drain(..) {
            let socket = abroad.outer(process, from, socket);
            queue.push(*now, Urgency::Now, Task::Process(process, Wake::Readable(socket), 0));
        }
        for (after, process, socket, woken) in effects.wakes.drain(..) {
            let socket = abroad.outer(process, from, socket);
            let wake = match woken {
                Woken::Readable => Wake::Readable(socket),
                Woken::Writable => Wake::Writable(socket),
            };
            queue.push(*now + after, Urgency::Now, Task::Process(process, wake, 0));
        }
        let carriers = std::mem::take(&mut effects.carrier);
        for (netns, ifindex, carrier) in carriers {
            self.visit_netns(netns, &mut |netns, ctx| netns.set_carrier(ctx, ifindex, carrier));
        }
    }

    fn visit_netns(&mut self, netns: NetnsId, visitor: &mut dyn FnMut(&mut Netns, &mut Ctx<'_>)) {
        let Some(Some(state)) = self.netns.get_mut(netns.index()) else { return };
        let mut ctx =
            Ctx { now: self.now, trace: &mut self.trace, effects: &mut self.effects, delays: &self.delays };
        visitor(state, &mut ctx);
        self.take_effects(netns);
    }

    /// Works on a namespace as an administrator does, from the shell.
    pub fn administer<T>(
        &mut self,
        netns: NetnsId,
        work: impl FnOnce(&mut Netns, &mut Ctx<'_>) -> T,
    ) -> Option<T> {
        let mut work = Some(work);
        let mut out = None;
        self.visit_netns(netns, &mut |netns, ctx| {
            if let Some(work) = work.take() {
                out = Some(work(netns, ctx));
            }
        });
        out
    }

    /// Has the API server answer a request, now.
    pub fn ask(&mut self, request: &ApiRequest) -> Result<Value, ApiError> {
        let away = || ApiError { code: 503, reason: "ServiceUnavailable", message: "busy".to_owned() };
        let mut agent = self.agent.take().ok_or_else(away)?;
        let answer = agent.serve(self, request);
        self.agent = Some(agent);
        answer
    }

    /// Has the mesh's control plane sign a certificate, now.
    fn mesh_credentials(&mut self, netns: NetnsId) -> Result<Arc<Credentials>, String> {
        let mut agent = self.agent.take().ok_or("there is no control plane")?;
        let signed = agent.mesh_credentials(self, netns);
        self.agent = Some(agent);
        signed
    }

    fn wake_agent(&mut self, wakeup: Wakeup) {
        let Some(mut agent) = self.agent.take() else { return };
        agent.wake(self, wakeup);
        self.agent = Some(agent);
    }

    fn note(&mut self, netns: NetnsId, kind: EventKind) -> EventId {
        self.trace.push(Event {
            at: self.now,
            netns,
            ifindex: IfIndex::NONE,
            packet: PacketId::NONE,
            journey: JourneyId::NONE,
            cause: EventId::NONE,
            kind,
        })
    }
}
