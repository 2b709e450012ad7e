//! The proxy of a sidecar: Envoy as Istio sets it up, as far as mutual TLS needs it. What its workload sends comes in at
//! one port, what is for the workload at another; the rules of the Pod see to that (`rules`), and the kernel still knows
//! where each connection was going.
//!
//! *Simplified*: one upstream connection for each downstream one, where Envoy keeps a pool; no telemetry, no probes of
//! the program's own, no policies but those of mutual TLS and authorization.

mod http;
mod inbound;
mod link;
mod outbound;
mod rules;
mod status;

pub use rules::{Interception, IstioIptables};

use super::{Errno, Os, Process, SocketOption, Transport, Wake};
use crate::base::{Duration, Ipv4Addr, SocketId};
use crate::tls::Credentials;
use crate::trace::Stream;
use link::{End, Fate, Link};
use status::Status;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// Where it takes what goes out and what comes in.
const OUTBOUND: u16 = 15001;
const INBOUND: u16 = 15006;
const BACKLOG: u16 = 4096;
/// Half of the time that a certificate holds: then another one is asked for (`SECRET_GRACE_PERIOD_RATIO`).
const RENEW: Duration = Duration::from_secs(12 * 3_600);
/// Timer for that. Those of connections are numbered from the next one on.
const TIMER_RENEW: u32 = 0;
const TIMER_LINK: u32 = 1;

/// The running proxy.
#[derive(Clone, Debug, Default)]
pub struct Sidecar {
    credentials: Option<Arc<Credentials>>,
    /// The listening sockets: outbound, inbound.
    listeners: Vec<SocketId>,
    status: Status,
    links: BTreeMap<u32, Link>,
    ends: BTreeMap<SocketId, (u32, End)>,
    next: u32,
}

impl Process for Sidecar {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.start(os),
            Wake::Timer(TIMER_RENEW) => self.renew(os),
            Wake::Timer(token) if token >= status::TIMER => self.status.late(os, token),
            Wake::Timer(token) => self.work(os, token - TIMER_LINK, Link::try_again),
            Wake::Readable(socket) if self.status.has(socket) => self.status.readable(os, socket),
            Wake::Writable(socket) if self.status.has(socket) => self.status.writable(os, socket),
            Wake::Readable(socket) if self.listeners.contains(&socket) => self.accept(os, socket),
            Wake::Readable(socket) => self.on_socket(os, socket, Link::readable),
            Wake::Writable(socket) => self.on_socket(os, socket, Link::writable),
            Wake::Terminate => os.exit(0),
            Wake::Interrupt => os.exit(130),
            Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }

    fn handles_termination(&self) -> bool {
        true
    }
}

impl Sidecar {
    fn start(&mut self, os: &mut dyn Os) {
        self.renew(os);
        if let Err((port, errno)) = self.listen(os) {
            let text = format!("error\tenvoy\tcannot bind '0.0.0.0:{port}': {}\n", errno.text());
            os.write(Stream::Stderr, &text);
            return os.exit(1);
        }
        os.write(Stream::Stdout, "info\tEnvoy proxy is ready\n");
    }

    /// Opens its ports; the one that it cannot have.
    fn listen(&mut self, os: &mut dyn Os) -> Result<(), (u16, Errno)> {
        for port in [OUTBOUND, INBOUND] {
            self.listeners.push(listen(os, port).map_err(|errno| (port, errno))?);
        }
        self.status.start(os)
    }

    /// Asks for a certificate.
    fn renew(&mut self, os: &mut dyn Os) {
        match os.mesh_credentials() {
            Ok(credentials) => {
                let text = format!("info\tca\tcertificate for {} signed\n", credentials.spiffe);
                os.write(Stream::Stdout, &text);
                self.credentials = Some(credentials);
            }
            Err(why) => os.write(Stream::Stderr, &format!("warn\tca\tca request failed: {why}\n")),
        }
        os.set_timer(TIMER_RENEW, RENEW);
    }

    fn accept(&mut self, os: &mut dyn Os, listener: SocketId) {
        let is_inbound = self.listeners.get(1) == Some(&listener);
        while let Ok((socket, _)) = os.accept(listener) {
            let to = os.original_dst(socket).ok().filter(|to| Some(*to) != os.local_addr(socket));
            let (Some(to), Some(credentials)) = (to, self.credentials.clone()) else {
                // Whoever calls the proxy's own port would be sent back to it without end.
                os.close(socket);
                continue;
            };
            let number = self.next;
            self.next += 1;
            let link = Link::new((number, is_inbound), socket, to, credentials);
            self.links.insert(number, link);
            self.ends.insert(socket, (number, End::Down));
            self.work(os, number, |link, os| link.readable(os, End::Down));
        }
    }

    fn on_socket(
        &mut self,
        os: &mut dyn Os,
        socket: SocketId,
        work: fn(&mut Link, &mut dyn Os, End) -> Fate,
    ) {
        let Some((number, end)) = self.ends.get(&socket).copied() else { return };
        self.work(os, number, |link, os| work(link, os, end));
    }

    /// Works on a connection, and sees to what becomes of it.
    fn work(&mut self, os: &mut dyn Os, number: u32, work: impl FnOnce(&mut Link, &mut dyn Os) -> Fate) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let fate = work(link, os);
        let sockets = link.sockets();
        self.ends.retain(|socket, (of, _)| *of != number || sockets.iter().any(|(known, _)| known == socket));
        self.ends.extend(sockets.iter().map(|(socket, end)| (*socket, (number, *end))));
        if fate == Fate::Over {
            for (socket, _) in sockets {
                self.ends.remove(&socket);
                os.close(socket);
            }
            os.cancel_timer(TIMER_LINK + number);
            self.links.remove(&number);
        }
    }
}

fn listen(os: &mut dyn Os, port: u16) -> Result<SocketId, Errno> {
    let socket = os.socket(Transport::Tcp)?;
    os.set_option(socket, SocketOption::ReuseAddress(true))?;
    os.bind(socket, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))?;
    os.listen(socket, BACKLOG)?;
    Ok(socket)
}
