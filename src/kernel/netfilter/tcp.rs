//! The tracker of TCP (`nf_conntrack_proto_tcp.c`): its table of states and timeouts. Windows are not checked: a
//! segment that the table allows is taken (`nf_conntrack_tcp_be_liberal`).

use crate::base::{Duration, EventId};
use crate::kernel::{Ctx, Netns, Skb};
use crate::trace::TcpTracking as State;
use crate::wire::{Tcp, TcpFlags};

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// It belongs to the connection.
    Accepted,
    /// It belongs to none.
    Invalid,
    /// The connection was over: look again.
    Repeat,
}

/// What is kept of a connection of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TcpConn {
    pub(super) state: State,
    /// Whether the end sent a FIN that closed the connection, by direction (`IP_CT_TCP_FLAG_CLOSE_INIT`).
    close_init: [bool; 2],
    /// End of what was sent, by direction (`td_end`), and whether some of it is not acknowledged
    /// (`IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED`).
    end: [u32; 2],
    unacknowledged: [bool; 2],
    last_index: Option<Index>,
    last_reply: bool,
    last_end: u32,
}

/// Kind of a segment (`enum tcp_bit_set`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
    None,
}

fn index(flags: TcpFlags) -> Index {
    if flags.contains(TcpFlags::RST) {
        Index::Rst
    } else if flags.contains(TcpFlags::SYN) {
        if flags.contains(TcpFlags::ACK) { Index::SynAck } else { Index::Syn }
    } else if flags.contains(TcpFlags::FIN) {
        Index::Fin
    } else if flags.contains(TcpFlags::ACK) {
        Index::Ack
    } else {
        Index::None
    }
}

/// An entry of the table of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    To(State),
    Invalid,
    Ignored,
}

const NO: Step = Step::Invalid;
const IG: Step = Step::Ignored;
const SS: Step = Step::To(State::SynSent);
const SR: Step = Step::To(State::SynRecv);
const ES: Step = Step::To(State::Established);
const FW: Step = Step::To(State::FinWait);
const CW: Step = Step::To(State::CloseWait);
const LA: Step = Step::To(State::LastAck);
const TW: Step = Step::To(State::TimeWait);
const CL: Step = Step::To(State::Close);
const S2: Step = Step::To(State::SynSent2);

/// `tcp_conntracks`: by direction, kind of segment and state.
const STATES: [[[Step; 10]; 6]; 2] = [
    [
        [SS, SS, IG, IG, IG, IG, IG, SS, SS, S2],
        [NO, NO, SR, NO, NO, NO, NO, NO, NO, SR],
        [NO, NO, FW, FW, LA, LA, LA, TW, CL, NO],
        [ES, NO, ES, ES, CW, CW, TW, TW, CL, NO],
        [NO, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        [NO, NO, NO, NO, NO, NO, NO, NO, NO, NO],
    ],
    [
        [NO, S2, NO, NO, NO, NO, NO, SS, NO, S2],
        [NO, SR, IG, IG, IG, IG, IG, IG, IG, SR],
        [NO, NO, FW, FW, LA, LA, LA, TW, CL, NO],
        [NO, IG, SR, ES, CW, CW, TW, TW, CL, IG],
        [NO, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        [NO, NO, NO, NO, NO, NO, NO, NO, NO, NO],
    ],
];

/// `tcp_timeouts`, in seconds.
const TIMEOUTS: [u64; 10] = [120, 120, 60, 432_000, 120, 60, 30, 120, 10, 120];
/// `nf_conntrack_tcp_timeout_unacknowledged`.
const UNACKNOWLEDGED: u64 = 300;

impl TcpConn {
    /// A connection that this segment begins (`tcp_new`); `None` where it cannot.
    pub(super) fn begin(segment: &Tcp, loose: bool) -> Option<Self> {
        let Step::To(state) = STATES[0][index(segment.flags) as usize][State::None as usize] else {
            return None;
        };
        if state != State::SynSent && !loose {
            return None;
        }
        Some(Self {
            state: State::None,
            close_init: [false; 2],
            end: [end_of(segment), 0],
            unacknowledged: [false; 2],
            last_index: None,
            last_reply: false,
            last_end: 0,
        })
    }
}

/// The sequence number after the segment (`segment_seq_plus_len`).
fn end_of(segment: &Tcp) -> u32 {
    let flags = segment.flags;
    let bits = u32::from(flags.contains(TcpFlags::SYN)) + u32::from(flags.contains(TcpFlags::FIN));
    segment.seq.wrapping_add(segment.data.len() as u32).wrapping_add(bits)
}

fn is_after(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) < 0
}

impl Netns {
    /// `nf_conntrack_tcp_packet`.
    pub(super) fn nf_tcp_packet(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: u32,
        is_reply: bool,
        segment: &Tcp,
        cause: EventId,
    ) -> Handled {
        let Some(conn) = self.netfilter.conntrack.get(id) else { return Handled::Invalid };
        let (Some(tcp), seen_reply, assured) = (conn.tcp, conn.seen_reply, conn.assured) else {
            return Handled::Invalid;
        };
        let (kind, old) = (index(segment.flags), tcp.state);
        let (own, other) = (usize::from(is_reply), usize::from(!is_reply));
        let new = match STATES[own][kind as usize][old as usize] {
            Step::To(State::SynSent) if old >= State::TimeWait && old != State::SynSent2 => {
                let reset = tcp.last_reply == is_reply && tcp.last_index == Some(Index::Rst);
                if tcp.close_init[other] || reset {
                    self.kill_conntrack(ctx, id, cause);
                    return Handled::Repeat;
                }
                return Handled::Accepted;
            }
            Step::To(new) => new,
            Step::Invalid => return Handled::Invalid,
            Step::Ignored => {
                self.change_conntrack(ctx, id, cause, |conn| {
                    if let Some(tcp) = &mut conn.tcp {
                        tcp.last_index = Some(kind);
                        tcp.last_reply = is_reply;
                        tcp.last_end = end_of(segment);
                    }
                });
                return Handled::Accepted;
            }
        };
        let tcp = advanced(tcp, is_reply, segment, new);
        let unacknowledged = tcp.unacknowledged.iter().any(|open| *open);
        let mut seconds = TIMEOUTS[new as usize];
        if unacknowledged {
            seconds = seconds.min(UNACKNOWLEDGED);
        }
        // A reset as the only answer: nothing was connected, so nothing is remembered.
        if !seen_reply && kind == Index::Rst {
            self.change_conntrack(ctx, id, cause, |conn| conn.tcp = Some(tcp));
            self.kill_conntrack(ctx, id, cause);
            return Handled::Accepted;
        }
        // A connection picked up in its middle is not trusted for days before it answers.
        if !seen_reply && new == State::Established {
            seconds = seconds.min(UNACKNOWLEDGED);
        }
        let becomes_assured = seen_reply
            && !assured
            && matches!(old, State::SynRecv | State::Established)
            && new == State::Established;
        self.refresh_conntrack(ctx, id, Duration::from_secs(seconds), cause, |conn| {
            conn.tcp = Some(tcp);
            conn.assured |= becomes_assured;
        });
        Handled::Accepted
    }

    /// A rule resets a connection: the reset that follows is not seen as one of its segments, so its state is set
    /// (`nf_conntrack_tcp_set_closing`).
    pub(super) fn nf_ct_set_closing(&mut self, ctx: &mut Ctx<'_>, skb: &Skb) {
        let Some(id) = skb.nf.ct else { return };
        let known = self.netfilter.conntrack.get(id).filter(|conn| conn.confirmed);
        let Some(tcp) = known.and_then(|conn| conn.tcp) else { return };
        let closed = TcpConn { state: State::Close, ..tcp };
        let timeout = Duration::from_secs(TIMEOUTS[State::Close as usize]);
        self.refresh_conntrack(ctx, id, timeout, skb.cause, |conn| conn.tcp = Some(closed));
    }
}

/// What is known after a segment (`tcp_in_window`, without the windows).
fn advanced(mut tcp: TcpConn, is_reply: bool, segment: &Tcp, new: State) -> TcpConn {
    let (own, other) = (usize::from(is_reply), usize::from(!is_reply));
    let end = end_of(segment);
    let syn = segment.flags.contains(TcpFlags::SYN);
    if syn {
        tcp.end[own] = end;
    } else if is_after(end, tcp.end[own]) {
        tcp.end[own] = end;
        tcp.unacknowledged[own] = true;
    }
    if segment.flags.contains(TcpFlags::ACK) && segment.ack == tcp.end[other] {
        tcp.unacknowledged[other] = false;
    }
    if tcp.state != new && new == State::FinWait {
        tcp.close_init[own] = true;
    }
    tcp.state = new;
    tcp.last_index = Some(index(segment.flags));
    tcp.last_reply = is_reply;
    tcp.last_end = end;
    tcp
}
