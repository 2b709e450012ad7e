//! The probes of a matrix, and what became of each as the trace tells it.

use super::{Cells, Journeys, Port};
use crate::api::Protocol;
use crate::base::{EventId, JourneyId, NetnsId, SimTime};
use crate::trace::{Disposition, DropReason, EventKind, Relation, Trace};
use crate::wire::{Body, Tcp, TcpFlags, TcpOption, Udp, UdpChecksum, UdpPayload, sctp};

/// The first source port; each probe takes the next one.
const FIRST_PORT: u16 = 20_000;

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It got in, and the answer came back.
    Allowed,
    /// It was lost, or the answer was.
    Lost(Loss),
}

/// How a probe was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its way ended with this event.
    Ended(EventId),
    /// Its answer's way ended with this event.
    AnswerEnded(EventId),
    /// There is no way out of the source's namespace.
    NoRoute,
    /// Nothing was heard of it in time.
    Silence,
}

impl Fate {
    /// Whether the probe got through.
    pub fn is_allowed(&self) -> bool {
        *self == Self::Allowed
    }
}

/// The body of the `count`-th probe to a port: a SYN, a datagram, or an INIT.
pub(super) fn body(port: Port, count: usize) -> Body {
    let src_port = FIRST_PORT + (count % usize::from(u16::MAX - FIRST_PORT)) as u16;
    match port.protocol {
        Protocol::Tcp => Body::Tcp(Tcp {
            src_port,
            dst_port: port.number,
            seq: 1_000 + count as u32,
            ack: 0,
            flags: TcpFlags::SYN,
            window: 64_240,
            urgent: 0,
            options: Some([TcpOption::MaxSegmentSize(1_380)].into()),
            data: [].into(),
        }),
        Protocol::Udp => Body::Udp(Udp {
            src_port,
            dst_port: port.number,
            checksum: UdpChecksum::Computed,
            payload: UdpPayload::of(port.number, b"probe\n".as_slice().into()),
        }),
        Protocol::Sctp => {
            let init = sctp::Init {
                src_port,
                dst_port: port.number,
                tag: 1 + count as u32,
                window: 106_496,
                outbound: 10,
                inbound: u16::MAX,
                tsn: 1_000 + count as u32,
            };
            Body::Raw { protocol: sctp::PROTOCOL, bytes: init.emit() }
        }
    }
}

/// A probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// The source's namespace.
    pub(super) from: NetnsId,
    /// The destination's namespace.
    pub(super) to: NetnsId,
    /// When nothing more is expected.
    pub(super) deadline: SimTime,
}

/// What is known of a probe.
#[derive(Clone, Copy, Debug)]
struct State {
    probe: Probe,
    /// Whether its own way is over and it got in.
    arrived: bool,
    /// Answers on their way.
    answers: u32,
    loss: Option<Loss>,
    /// Whether its own way is over.
    over: bool,
    /// Whether nothing more is expected of it.
    closed: bool,
}

/// All probes.
#[derive(Debug, Default)]
pub(super) struct Watch {
    states: Vec<State>,
    cells: Cells,
    journeys: Journeys,
    /// Answers, with the probe of each.
    answers: Journeys,
    /// Events and journeys that were looked at.
    seen: (usize, usize),
    open: usize,
    deadline: SimTime,
}

impl Watch {
    /// Looks at what comes from now on.
    pub(super) fn new(trace: &Trace) -> Self {
        Self { seen: (trace.len(), trace.journeys.len()), ..Self::default() }
    }

    /// A probe was sent, or could not be.
    pub(super) fn add(&mut self, cell: (usize, usize, usize), probe: Probe, sent: Option<JourneyId>) {
        let at = self.states.len();
        let loss = sent.is_none().then_some(Loss::NoRoute);
        self.states.push(State {
            probe,
            arrived: false,
            answers: 0,
            loss,
            over: loss.is_some(),
            closed: loss.is_some(),
        });
        self.cells.insert(cell, at);
        self.deadline = probe.deadline;
        if let Some(journey) = sent {
            self.journeys.insert(journey, at);
            self.open += 1;
        }
    }

    /// Whether all are over, or nothing more is expected.
    pub(super) fn is_over(&self, now: SimTime) -> bool {
        self.open == 0 || now > self.deadline
    }

    /// Looks at what happened since it last looked.
    pub(super) fn look(&mut self, trace: &Trace) {
        let (from_event, from_journey) = self.seen;
        if from_event == trace.len() {
            return;
        }
        for (index, info) in trace.journeys.iter().enumerate().skip(from_journey) {
            let answers = matches!(info.relation, Relation::Reply | Relation::Error);
            let parent = info.parent.filter(|_| answers);
            if let Some(&at) = parent.and_then(|parent| self.journeys.get(&parent)) {
                self.states[at].answers += 1;
                self.answers.insert(JourneyId(index as u32), at);
            }
        }
        for (index, event) in trace.events.iter().enumerate().skip(from_event) {
            if let EventKind::Ended(disposition) = event.kind {
                let id = EventId(index as u32);
                self.ended(event.journey, event.netns, (id, disposition));
            }
        }
        self.seen = (trace.len(), trace.journeys.len());
    }

    fn ended(&mut self, journey: JourneyId, netns: NetnsId, (id, end): (EventId, Disposition)) {
        let is_in = |wanted: NetnsId| netns == wanted && gets_in(end);
        let at = if let Some(&at) = self.journeys.get(&journey) {
            let state = &mut self.states[at];
            state.arrived = is_in(state.probe.to);
            if !state.arrived {
                state.loss.get_or_insert(Loss::Ended(id));
            }
            state.over = true;
            at
        } else if let Some(&at) = self.answers.get(&journey) {
            let state = &mut self.states[at];
            state.answers = state.answers.saturating_sub(1);
            // What rejects the probe on its way is no answer of the destination.
            if state.arrived && !is_in(state.probe.from) {
                state.loss.get_or_insert(Loss::AnswerEnded(id));
            }
            at
        } else {
            return;
        };
        let state = &mut self.states[at];
        if state.over && state.answers == 0 && !std::mem::replace(&mut state.closed, true) {
            self.open -= 1;
        }
    }

    /// What became of a probe.
    pub(super) fn fate(&self, cell: (usize, usize, usize)) -> Fate {
        let state = self.cells.get(&cell).map(|&at| &self.states[at]);
        match state {
            Some(State { loss: Some(loss), .. }) => Fate::Lost(*loss),
            Some(state) if state.arrived => Fate::Allowed,
            Some(_) | None => Fate::Lost(Loss::Silence),
        }
    }
}

/// Whether a packet that ended so in a namespace got into it: its transport took it or refused it.
fn gets_in(end: Disposition) -> bool {
    match end {
        Disposition::Delivered(_) | Disposition::Consumed => true,
        Disposition::Dropped(reason) => matches!(
            reason,
            DropReason::NoSocket
                | DropReason::SocketRcvbuff
                | DropReason::TcpListenOverflow
                | DropReason::TcpReset
                | DropReason::TcpClose
                | DropReason::TcpFlags
                | DropReason::TcpOldAck
                | DropReason::TcpInvalidAck
                | DropReason::TcpInvalidSequence
        ),
        Disposition::Fragmented | Disposition::Reassembled | Disposition::Loop => false,
    }
}
