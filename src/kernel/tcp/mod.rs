//! TCP (`net/ipv4/tcp*.c` of Linux 6.18, RFC 9293): connections, retransmission, windows, closing.
//!
//! Read `control` for what a connection keeps, `calls` for the system calls, `handshake` and `input` for segments that
//! come, `ack` for what they acknowledge, `output` for segments that go, `window` for the receive window and
//! `timer` for what happens by itself. Segments are as long as one packet: the lab and the recordings have offloads
//! off.
//!
//! Congestion control is Reno (RFC 5681, RFC 6582) with Linux's proportional rate reduction, RACK and loss probes;
//! Linux's default is CUBIC, which differs only once something was lost. *Not modelled*: undoing a reduction that was
//! not needed, F-RTO, SYN cookies, Fast Open, ECN, urgent data, tuning of the receive buffer.

mod ack;
mod calls;
mod control;
mod error;
mod handshake;
mod input;
mod output;
mod recovery;
mod segment;
mod states;
mod timer;
mod window;

pub(super) use control::Tcb;
pub use control::TcpTimer;

use super::sock::Sock;
use super::{Ctx, Netns};
use crate::base::{Duration, SocketId};

/// A tick of the kernel's clock (`CONFIG_HZ=250`).
const JIFFY: Duration = Duration::from_ms(4);
/// `TCP_RTO_MIN`.
const RTO_MIN_US: u64 = 200_000;
/// `TCP_TIMEOUT_MIN_US`.
const TIMEOUT_MIN_US: u64 = 2_000;
/// `TCP_TIMEOUT_INIT`.
const TIMEOUT_INIT: Duration = Duration::from_secs(1);
/// `TCP_RTO_MAX`.
const RTO_MAX: Duration = Duration::from_secs(120);
/// `TCP_ATO_MIN` and `TCP_DELACK_MIN`.
const DELACK_MIN: Duration = Duration::from_ms(40);
/// `TCP_DELACK_MAX`.
const DELACK_MAX: Duration = Duration::from_ms(200);
/// `TCP_TIMEWAIT_LEN`, and `net.ipv4.tcp_fin_timeout`.
const TIMEWAIT_LEN: Duration = Duration::from_secs(60);
/// `net.ipv4.tcp_syn_retries`.
const SYN_RETRIES: u8 = 6;
/// `net.ipv4.tcp_syn_linear_timeouts`.
const SYN_LINEAR_TIMEOUTS: u8 = 4;
/// `net.ipv4.tcp_synack_retries`.
const SYNACK_RETRIES: u8 = 5;
/// `net.ipv4.tcp_retries2`.
const RETRIES2: u8 = 15;
/// `TCP_INIT_CWND`.
const INIT_CWND: u32 = 10;
/// `TCP_MAX_QUICKACKS`.
const MAX_QUICKACKS: u32 = 16;
/// `TCP_MSS_DEFAULT`.
const MSS_DEFAULT: u32 = 536;
/// `net.ipv4.tcp_rmem`: default and largest.
const TCP_RMEM: (usize, usize) = (131_072, 33_554_432);
/// `net.ipv4.tcp_wmem`: default and largest.
const TCP_WMEM: (usize, usize) = (16_384, 4_194_304);
/// Space that the timestamps option takes, aligned (`TCPOLEN_TSTAMP_ALIGNED`).
const TSTAMP_ALIGNED: u32 = 12;
/// What TCP takes longer than ICMP from a segment's arrival to the answer; measured.
const TCP_INPUT: Duration = Duration::from_us(5);
/// `net.ipv4.tcp_keepalive_time`, `_intvl` and `_probes`.
const KEEPALIVE: (Duration, Duration, u8) = (Duration::from_secs(7200), Duration::from_secs(75), 9);

/// Whether sequence number `a` lies before `b` (`before`).
const fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Whether sequence number `a` lies after `b` (`after`).
const fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

impl Netns {
    /// Takes a socket out of the table, works on it, and puts it back, unless the work ended it.
    pub(super) fn with_tcp<T>(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        work: impl FnOnce(&mut Self, &mut Ctx<'_>, &mut Sock) -> T,
    ) -> Option<T> {
        let mut sock = self.socks.take(socket)?;
        let out = work(self, ctx, &mut sock);
        let ended = sock.tcp().is_some_and(|tcb| tcb.dead);
        self.socks.put_back(sock);
        if ended {
            self.remove_sock(ctx, socket);
        } else {
            self.record_sock(ctx, socket);
        }
        Some(out)
    }
}
