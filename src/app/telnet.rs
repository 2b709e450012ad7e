//! `telnet` of busybox 1.35, as far as it connects and carries text.

use super::dial::{self, Read};
use super::{Input, Os, Process, Wake};
use crate::base::{Ipv4Addr, SocketId};
use crate::trace::Stream;
use std::net::SocketAddrV4;

/// A running `telnet`.
#[derive(Clone, Debug)]
pub struct Telnet {
    host: String,
    port: u16,
    address: Ipv4Addr,
    socket: SocketId,
    is_connected: bool,
}

fn fail(os: &mut dyn Os, text: &str) {
    os.write(Stream::Stderr, &format!("telnet: {text}\n"));
    os.exit(1);
}

impl Telnet {
    /// A `telnet` that has not begun yet.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            address: Ipv4Addr::UNSPECIFIED,
            socket: SocketId::NONE,
            is_connected: false,
        }
    }

    fn refused(&self, os: &mut dyn Os, text: &str) {
        fail(os, &format!("can't connect to remote host ({}): {text}", self.address));
    }

    fn begin(&mut self, os: &mut dyn Os) {
        let Some(address) = dial::address_of(os, &self.host) else {
            return fail(os, &format!("bad address '{}'", self.host));
        };
        self.address = address;
        match dial::connect(os, SocketAddrV4::new(address, self.port)) {
            Ok(socket) => self.socket = socket,
            Err(errno) => self.refused(os, errno.text()),
        }
    }

    fn connected(&mut self, os: &mut dyn Os) {
        if let Some(errno) = os.take_error(self.socket) {
            return self.refused(os, errno.text());
        }
        self.is_connected = true;
        os.write(Stream::Stdout, &format!("Connected to {}\r\n", self.host));
        os.write(Stream::Stdout, "\nEntering character mode\nEscape character is '^]'.\n\n");
        self.send_input(os);
    }

    fn send_input(&mut self, os: &mut dyn Os) {
        if !self.is_connected {
            return;
        }
        loop {
            match os.read_input() {
                Input::Data(data) => {
                    let text = String::from_utf8_lossy(&data).replace('\n', "\r\n");
                    let mut data = text.into_bytes();
                    if dial::write(os, self.socket, &mut data).is_err() {
                        return os.exit(1);
                    }
                }
                Input::Pending | Input::End => return,
            }
        }
    }

    fn receive(&mut self, os: &mut dyn Os) {
        let mut data = Vec::new();
        let read = dial::read(os, self.socket, &mut data);
        os.write(Stream::Stdout, &String::from_utf8_lossy(&data));
        if read != Read::More {
            os.write(Stream::Stdout, "Connection closed by foreign host\r\n");
            os.close(self.socket);
            os.exit(1);
        }
    }
}

impl Process for Telnet {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Writable(_) if !self.is_connected => self.connected(os),
            Wake::Readable(_) if self.is_connected => self.receive(os),
            Wake::Input => self.send_input(os),
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Timer(_) | Wake::Readable(_) | Wake::Writable(_) => {}
        }
    }

    fn looks_up_names(&self) -> bool {
        true
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
