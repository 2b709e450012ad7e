//! `kubectl port-forward`: ports of the machine that lead into a Pod (`client-go/tools/portforward`).
//!
//! *Simplified*: the stream between the client and the Pod's node is not packets; the runtime's end of it is a socket of
//! this process within the Pod.

use super::dial::{self, Read};
use super::{Errno, Os, Process, Shutdown, SocketOption, Transport, Wake};
use crate::base::{Ipv4Addr, ObjectKey, SocketId};
use crate::trace::Stream;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;

/// A port of the machine and the one of the Pod it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardedPort {
    /// At the machine; 0 has the kernel choose one.
    pub local: u16,
    /// In the Pod.
    pub remote: u16,
}

/// One end of a connection.
#[derive(Clone, Debug)]
struct End {
    /// The other one.
    peer: SocketId,
    /// What waits to be sent here.
    output: Vec<u8>,
    /// Whether a connection is still being made.
    connecting: bool,
    /// Whether nothing more comes from here.
    ended: bool,
    /// Whether the other end has said that nothing more comes for this one.
    shut: bool,
    /// The port in the Pod.
    port: ForwardedPort,
}

/// A running client.
#[derive(Clone, Debug)]
pub struct PortForward {
    pod: ObjectKey,
    /// The Pod's sandbox.
    sandbox: String,
    addresses: Vec<Ipv4Addr>,
    ports: Vec<ForwardedPort>,
    listeners: BTreeMap<SocketId, ForwardedPort>,
    ends: BTreeMap<SocketId, End>,
}

impl PortForward {
    /// Leads these ports into a Pod, from these addresses of the machine.
    pub fn new(pod: ObjectKey, sandbox: String, addresses: Vec<Ipv4Addr>, ports: Vec<ForwardedPort>) -> Self {
        Self { pod, sandbox, addresses, ports, listeners: BTreeMap::new(), ends: BTreeMap::new() }
    }

    fn start(&mut self, os: &mut dyn Os) {
        for port in self.ports.clone() {
            let mut failed = Vec::new();
            for address in self.addresses.clone() {
                match Self::listen(os, SocketAddrV4::new(address, port.local)) {
                    Ok(socket) => {
                        let local = os.local_addr(socket).map_or(port.local, |at| at.port());
                        os.write(
                            Stream::Stdout,
                            &format!("Forwarding from {address}:{local} -> {}\n", port.remote),
                        );
                        self.listeners.insert(socket, ForwardedPort { local, ..port });
                    }
                    Err(why) => {
                        let place = format!("{address}:{}", port.local);
                        let why = why.to_lowercase();
                        failed.push(format!(
                            "unable to create listener: Error listen tcp4 {place}: bind: {why}"
                        ));
                        // The name stands for both families, and there is no IPv6 at these machines.
                        if address == Ipv4Addr::LOCALHOST {
                            let place = format!("[::1]:{}", port.local);
                            let why = "cannot assign requested address";
                            failed.push(format!(
                                "unable to create listener: Error listen tcp6 {place}: bind: {why}"
                            ));
                        }
                    }
                }
            }
            if !failed.is_empty() {
                let text = format!(
                    "Unable to listen on port {}: Listeners failed to create with the following errors: [{}]\n",
                    port.local,
                    failed.join(" ")
                );
                os.write(Stream::Stderr, &text);
            }
        }
        if self.listeners.is_empty() {
            let ports: Vec<String> =
                self.ports.iter().map(|port| format!("{{{} {}}}", port.local, port.remote)).collect();
            let text =
                format!("error: unable to listen on any of the requested ports: [{}]\n", ports.join(" "));
            os.write(Stream::Stderr, &text);
            os.exit(1);
        }
    }

    fn listen(os: &mut dyn Os, at: SocketAddrV4) -> Result<SocketId, &'static str> {
        let socket = os.socket(Transport::Tcp).map_err(Errno::text)?;
        let opened = os
            .set_option(socket, SocketOption::ReuseAddress(true))
            .and_then(|()| os.bind(socket, at))
            .and_then(|()| os.listen(socket, 4096));
        opened.map(|()| socket).map_err(|errno| {
            os.close(socket);
            errno.text()
        })
    }

    fn accept(&mut self, os: &mut dyn Os, listener: SocketId, port: ForwardedPort) {
        while let Ok((near, _)) = os.accept(listener) {
            os.write(Stream::Stdout, &format!("Handling connection for {}\n", port.local));
            let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.remote);
            let far = os.socket_within(&self.pod, Transport::Tcp);
            let far = far.and_then(|far| dial::start(os, far, to));
            let Ok(far) = far else {
                os.close(near);
                return self.lost(os, port, "network is unreachable");
            };
            let end = |peer, connecting| End {
                peer,
                output: Vec::new(),
                connecting,
                ended: false,
                shut: false,
                port,
            };
            self.ends.insert(near, end(far, false));
            self.ends.insert(far, end(near, true));
        }
    }

    /// What comes from one end goes to the other.
    fn carry(&mut self, os: &mut dyn Os, from: SocketId) {
        let Some(end) = self.ends.get_mut(&from) else { return };
        if end.connecting {
            return;
        }
        let peer = end.peer;
        let mut data = Vec::new();
        let read = dial::read(os, from, &mut data);
        end.ended |= read != Read::More;
        if let Some(other) = self.ends.get_mut(&peer) {
            other.output.extend(data);
        }
        if matches!(read, Read::Failed(_)) {
            self.end(os, from);
            return;
        }
        self.flush(os, peer);
    }

    fn flush(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(end) = self.ends.get_mut(&socket) else { return };
        let peer = end.peer;
        if end.connecting {
            return;
        }
        if dial::write(os, socket, &mut end.output).is_err() {
            return self.end(os, socket);
        }
        let done = end.output.is_empty();
        let is_over = self.ends.get(&peer).is_none_or(|peer| peer.ended);
        let Some(end) = self.ends.get_mut(&socket) else { return };
        if done && is_over && !end.shut {
            end.shut = true;
            let _ = os.shutdown(socket, Shutdown::Write);
        }
        if end.shut && end.ended {
            self.end(os, socket);
        }
    }

    /// Closes both ends of a connection.
    fn end(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(end) = self.ends.remove(&socket) else { return };
        os.close(socket);
        if self.ends.remove(&end.peer).is_some() {
            os.close(end.peer);
        }
    }

    fn connected(&mut self, os: &mut dyn Os, socket: SocketId) {
        let Some(end) = self.ends.get_mut(&socket) else { return };
        if !end.connecting {
            return self.flush(os, socket);
        }
        end.connecting = false;
        let port = end.port;
        if let Some(errno) = os.take_error(socket) {
            self.end(os, socket);
            return self.lost(os, port, errno.text());
        }
        self.flush(os, socket);
    }

    /// The runtime could not connect within the Pod, upon which the client gives up.
    fn lost(&mut self, os: &mut dyn Os, port: ForwardedPort, why: &str) {
        let at = os.now().rfc3339();
        let (month, day, time) = (&at[5..7], &at[8..10], &at[11..19]);
        let (sandbox, remote) = (&self.sandbox, port.remote);
        let netns = format!("/var/run/netns/cni-{}", sandbox.get(..32).unwrap_or(sandbox));
        let inside = format!(
            "failed to connect to localhost:{remote} inside namespace \\\"{sandbox}\\\", IPv4: dial tcp4 127.0.0.1:{remote}: connect: {} IPv6 dial tcp6: address localhost: no suitable address ",
            why.to_lowercase()
        );
        let text = format!(
            "E{month}{day} {time}.000000 {:>7} portforward.go:424] \"Unhandled Error\" err=\"an error occurred forwarding {} -> {remote}: error forwarding port {remote} to pod {sandbox}, uid : failed to execute portforward in network namespace \\\"{netns}\\\": {inside}\"\nerror: lost connection to pod\n",
            os.pid(),
            port.local
        );
        os.write(Stream::Stderr, &text);
        os.exit(1);
    }
}

impl Process for PortForward {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.start(os),
            Wake::Readable(socket) => match self.listeners.get(&socket).copied() {
                Some(port) => self.accept(os, socket, port),
                None => self.carry(os, socket),
            },
            Wake::Writable(socket) => self.connected(os, socket),
            Wake::Interrupt => os.exit(0),
            Wake::Terminate => os.exit(143),
            Wake::Timer(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
