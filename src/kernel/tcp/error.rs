//! ICMP errors about segments (`tcp_v4_err`).

use super::{after, before};
use crate::base::{IfIndex, SocketId};
use crate::kernel::icmp::{IcmpErrno, icmp_err_convert};
use crate::kernel::sock::{Ends, IcmpReport, Sock, Woken};
use crate::kernel::{Ctx, Errno, Flow, Netns, PathMtuDiscovery};
use crate::trace::SocketState;
use crate::wire::Quote;
use std::net::SocketAddrV4;

impl Netns {
    /// Tells the connection that an error is about.
    pub(in crate::kernel) fn tcp_err(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        report: &IcmpReport,
        quote: &Quote<'_>,
    ) -> Option<SocketId> {
        let (sport, dport) = quote.ports()?;
        let seq = quote.tcp_seq()?;
        let ends = Ends {
            local: SocketAddrV4::new(quote.src, sport),
            remote: SocketAddrV4::new(quote.dst, dport),
            ifindex,
        };
        let socket = self.tcp_lookup(ends)?;
        self.with_tcp(ctx, socket, |netns, ctx, sock| netns.tcp_do_err(ctx, sock, report, seq));
        Some(socket)
    }

    fn tcp_do_err(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, report: &IcmpReport, seq: u32) {
        let receives_errors = sock.receives_errors();
        let Some(tcb) = sock.tcp_mut() else { return };
        if matches!(tcb.state, SocketState::Listen | SocketState::TimeWait | SocketState::Close) {
            return;
        }
        if tcb.parent.is_some() && tcb.state == SocketState::SynRecv {
            // `tcp_req_err`: what asks only for a smaller MTU or may pass changes nothing.
            let hard = matches!(report.kind_and_code, (3, code) if code != 4 && icmp_err_convert(code).fatal);
            tcb.dead |= hard && seq == tcb.snd_una;
            return;
        }
        // Not about something that is on its way.
        if before(seq, tcb.snd_una) || after(seq, tcb.snd_nxt) {
            return;
        }
        let errno = match report.kind_and_code {
            (3, 4) => return self.tcp_mtu_reduced(ctx, sock),
            (3, code) => {
                let IcmpErrno { errno, .. } = icmp_err_convert(code);
                errno
            }
            (12, _) => Errno::Eproto,
            (11, _) => Errno::Ehostunreach,
            _ => return,
        };
        if matches!(tcb.state, SocketState::SynSent | SocketState::SynRecv) {
            self.tcp_abort(ctx, sock, errno, false);
        } else if receives_errors {
            sock.error = Some(errno);
            sock.wake(ctx, Woken::Readable);
        } else {
            // It is only remembered: the segment may still come through.
            sock.soft_error = Some(errno);
        }
    }

    /// The routing has heard of the smaller path MTU already, if it believes it (`tcp_v4_mtu_reduced`).
    fn tcp_mtu_reduced(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(remote) = sock.remote.filter(|_| sock.options.discovery != PathMtuDiscovery::Dont) else {
            return;
        };
        let Ok(Flow { mtu, .. }) = self.sock_route(ctx, sock, remote) else { return };
        let Some(tcb) = sock.tcp_mut() else { return };
        if tcb.pmtu > mtu {
            tcb.sync_mss(mtu);
            self.tcp_simple_retransmit(ctx, sock);
        }
    }
}
