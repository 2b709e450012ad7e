//! One side of a connection that goes through the proxy: a socket, with or without TLS on it.

use crate::app::dial::{self, Read};
use crate::app::{Errno, Os, Shutdown};
use crate::base::SocketId;
use crate::tls::{Failure, Session};
use crate::trace::{TableChange, TlsEvent, TlsRow};
use std::net::{Ipv4Addr, SocketAddrV4};

/// A socket and what goes through it.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) socket: SocketId,
    tls: Option<Box<Session>>,
    /// Bytes on their way to the socket.
    out: Vec<u8>,
    /// What has come, decrypted.
    pub(super) input: Vec<u8>,
    /// Whether no more comes.
    pub(super) ended: bool,
    /// Whether more is to be sent.
    sending: Sending,
    /// Whether it was written down how the handshake ended.
    told: bool,
}

/// Whether more is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// Yes.
    Open,
    /// No, once what there is has gone out.
    Closing,
    /// No, and the far end was told.
    Closed,
}

/// Why a side is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Its TLS connection failed.
    Tls(Failure),
    /// Its TCP connection failed.
    Tcp(Errno),
}

impl Side {
    pub(super) fn new(socket: SocketId, tls: Option<Session>) -> Self {
        Self {
            socket,
            tls: tls.map(Box::new),
            out: Vec::new(),
            input: Vec::new(),
            ended: false,
            sending: Sending::Open,
            told: false,
        }
    }

    /// Puts TLS on a side that nothing was received from.
    pub(super) fn secure(&mut self, session: Session) {
        self.tls = Some(Box::new(session));
    }

    /// The far end's name in its certificate.
    pub(super) fn peer(&self) -> Option<String> {
        self.tls.as_ref()?.peer()
    }

    /// The far end's certificate, in DER.
    pub(super) fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.tls.as_ref()?.peer_certificate()
    }

    /// Whether bytes can be sent: at once without TLS, else after its handshake.
    pub(super) fn is_ready(&self) -> bool {
        self.tls.as_ref().is_none_or(|session| session.is_established())
    }

    /// Reads what is there.
    pub(super) fn read(&mut self, os: &mut dyn Os) -> Result<(), Broken> {
        if self.ended {
            return Ok(());
        }
        let mut raw = Vec::new();
        let read = dial::read(os, self.socket, &mut raw);
        match &mut self.tls {
            None => self.input.append(&mut raw),
            Some(session) => {
                if !raw.is_empty() {
                    session.receive(os.now(), &raw);
                }
                self.input.append(&mut session.take_received());
                self.ended |= session.is_peer_closed();
            }
        }
        self.tell(os);
        if let Some(failure) = self.tls.as_ref().and_then(|session| session.failure()) {
            return Err(Broken::Tls(failure.clone()));
        }
        match read {
            Read::More => Ok(()),
            Read::End => {
                self.ended = true;
                Ok(())
            }
            Read::Failed(errno) => Err(Broken::Tcp(errno)),
        }
    }

    /// Writes down what became of TLS: keys as they are made, the end of the handshake, a failure.
    fn tell(&mut self, os: &mut dyn Os) {
        let Some(session) = &mut self.tls else { return };
        let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let end = |found: Option<SocketAddrV4>| found.unwrap_or(nowhere);
        let ends = (end(os.local_addr(self.socket)), end(os.remote_addr(self.socket)));
        let netns = os.netns();
        let mut row = |what| os.record(TableChange::Tls(Box::new(TlsRow { netns, ends, what })));
        // Both ends make the same keys; the client writes them down for both.
        let keys = session.take_keys();
        if session.is_client() {
            for line in keys {
                row(TlsEvent::Key(line));
            }
        }
        if self.told {
            return;
        }
        if let Some(failure) = session.failure() {
            self.told = true;
            row(TlsEvent::Failed(failure.text()));
        } else if session.is_established() {
            self.told = true;
            row(TlsEvent::Established(session.peer().unwrap_or_default()));
        }
    }

    /// Sends bytes, as soon as that is possible.
    pub(super) fn send(&mut self, os: &mut dyn Os, bytes: &[u8]) -> Result<(), Errno> {
        match &mut self.tls {
            _ if bytes.is_empty() => {}
            None => self.out.extend_from_slice(bytes),
            Some(session) => session.write(os.now(), bytes),
        }
        self.flush(os)
    }

    /// Sends no more after what was sent so far.
    pub(super) fn finish(&mut self, os: &mut dyn Os) -> Result<(), Errno> {
        if self.sending == Sending::Open {
            self.sending = Sending::Closing;
            if let Some(session) = &mut self.tls {
                session.close(os.now());
            }
        }
        self.flush(os)
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self, os: &mut dyn Os) -> Result<(), Errno> {
        if let Some(session) = &mut self.tls {
            self.out.append(&mut session.take_outgoing());
        }
        self.tell(os);
        dial::write(os, self.socket, &mut self.out)?;
        if self.sending == Sending::Closing && self.out.is_empty() {
            self.sending = Sending::Closed;
            return os.shutdown(self.socket, Shutdown::Write);
        }
        Ok(())
    }

    /// Whether both directions are over.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.sending == Sending::Closed
    }
}
