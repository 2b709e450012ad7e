//! What `ping` hears of requests that fail: by the socket's error queue, and by ICMP.

use super::text::{icmp_text, redirect_text};
use super::{Ping, PingMessage};
use crate::app::Os;
use crate::base::Ipv4Addr;
use crate::trace::Stream;

impl Ping {
    /// What the kernel put on the socket's error queue for a request it refused; `false` if nothing.
    pub(super) fn report_local_error(&mut self, os: &mut dyn Os) -> bool {
        let mut limit = None;
        while let Some(message) = os.receive(self.socket) {
            match message {
                PingMessage::Error { from: None, mtu, .. } => limit = Some(mtu),
                other @ (PingMessage::Reply { .. }
                | PingMessage::Redirect { .. }
                | PingMessage::Error { .. }) => {
                    self.pending.push_back(other);
                }
            }
        }
        if let Some(mtu) = limit {
            self.local_error(os, mtu);
        }
        limit.is_some()
    }

    /// A request that the kernel refused is told of only once an ICMP error about it has come: without one, `ping` takes
    /// its empty error queue for a local error that it need not tell (`receive_error_msg`, iputils 20221126).
    pub(super) fn report_refusal(&mut self, os: &mut dyn Os) {
        let Some(errno) = self.refused.take().filter(|_| !self.options.quiet) else { return };
        if self.options.flood {
            os.write(Stream::Stdout, "E");
        } else {
            os.write(Stream::Stderr, &format!("ping: sendmsg: {}\n", errno.text()));
        }
    }

    pub(super) fn local_error(&mut self, os: &mut dyn Os, mtu: u32) {
        self.figures.errors += 1;
        if self.options.quiet {
            return;
        }
        if self.options.flood {
            os.write(Stream::Stdout, "E");
        } else {
            let text = format!("ping: local error: message too long, mtu={mtu}\n");
            os.write(Stream::Stderr, &text);
        }
    }

    pub(super) fn remote_error(
        &mut self,
        os: &mut dyn Os,
        from: Ipv4Addr,
        kind: (u8, u8),
        mtu: u32,
        seq: u16,
    ) {
        self.acknowledge(seq);
        self.figures.errors += 1;
        if self.options.quiet {
            return;
        }
        if self.options.flood {
            os.write(Stream::Stdout, "\u{8}E");
            return;
        }
        let line = format!(
            "{}From {} icmp_seq={seq} {}\n",
            self.timestamp(os),
            self.address(os, from),
            icmp_text(kind.0, kind.1, mtu)
        );
        os.write(Stream::Stdout, &line);
    }

    /// A redirect is no error to `ping`: the request goes on to its destination.
    pub(super) fn redirected(
        &self,
        os: &mut dyn Os,
        from: Ipv4Addr,
        (code, gateway): (u8, Ipv4Addr),
        seq: u16,
    ) {
        if self.options.quiet || self.options.flood {
            return;
        }
        let (time, from, gateway) = (self.timestamp(os), self.address(os, from), self.address(os, gateway));
        let line =
            format!("{time}From {from}: icmp_seq={seq} {}(New nexthop: {gateway})\n", redirect_text(code));
        os.write(Stream::Stdout, &line);
    }
}
