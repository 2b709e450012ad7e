//! One end of a connection as a program sees it: a socket, with or without TLS on it.

use super::dial::{self, Read};
use super::{Errno, Os, Shutdown};
use crate::base::SocketId;
use crate::tls::{Failure, Party, Session};
use crate::trace::{TableChange, TlsEvent, TlsRow};
use std::net::{Ipv4Addr, SocketAddrV4};

/// A socket and what goes through it.
#[derive(Clone, Debug)]
pub(in crate::app) struct Side {
    pub(in crate::app) socket: SocketId,
    tls: Option<Box<Session>>,
    /// Bytes on their way to the socket.
    out: Vec<u8>,
    /// What has come, decrypted.
    pub(in crate::app) input: Vec<u8>,
    /// Whether no more comes.
    pub(in crate::app) ended: bool,
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
pub(in crate::app) enum Broken {
    /// Its TLS connection failed.
    Tls(Failure),
    /// Its TCP connection failed.
    Tcp(Errno),
}

/// Chance for a session or a key.
pub(in crate::app) fn seed(os: &mut dyn Os) -> u64 {
    u64::from(os.random()) << 32 | u64::from(os.random())
}

impl Side {
    /// A socket without TLS.
    pub(in crate::app) fn plain(socket: SocketId) -> Self {
        Self {
            socket,
            tls: None,
            out: Vec::new(),
            input: Vec::new(),
            ended: false,
            sending: Sending::Open,
            told: false,
        }
    }

    /// A socket with TLS on it.
    pub(in crate::app) fn secured(os: &mut dyn Os, socket: SocketId, party: Party) -> Self {
        let mut side = Self::plain(socket);
        side.secure(os, party);
        side
    }

    /// Puts TLS on a side that nothing was received from.
    pub(in crate::app) fn secure(&mut self, os: &mut dyn Os, party: Party) {
        let seed = seed(os);
        self.tls = Some(Box::new(Session::new(party, seed, os.now())));
    }

    /// Whether the far end's first bytes were these, before anything was decrypted.
    pub(in crate::app) fn began_with(&self, bytes: &[u8]) -> bool {
        self.tls.as_ref().is_some_and(|session| session.began_with(bytes))
    }

    /// The far end's name in its certificate.
    pub(in crate::app) fn peer(&self) -> Option<String> {
        self.tls.as_ref()?.peer()
    }

    /// The far end's certificate, in DER.
    pub(in crate::app) fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.tls.as_ref()?.peer_certificate()
    }

    /// Whether bytes can be sent: at once without TLS, else after its handshake.
    pub(in crate::app) fn is_ready(&self) -> bool {
        self.tls.as_ref().is_none_or(|session| session.is_established())
    }

    /// Reads what is there.
    pub(in crate::app) fn read(&mut self, os: &mut dyn Os) -> Result<(), Broken> {
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
    pub(in crate::app) fn send(&mut self, os: &mut dyn Os, bytes: &[u8]) -> Result<(), Errno> {
        match &mut self.tls {
            _ if bytes.is_empty() => {}
            None => self.out.extend_from_slice(bytes),
            Some(session) => session.write(os.now(), bytes),
        }
        self.flush(os)
    }

    /// Has bytes sent as soon as the connection is there.
    pub(in crate::app) fn queue(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Says that no more will be sent where TLS has a word for that (`close_notify`); the socket stays as it is.
    pub(in crate::app) fn say_goodbye(&mut self, os: &mut dyn Os) -> Result<(), Errno> {
        if let Some(session) = &mut self.tls {
            session.close(os.now());
        }
        self.flush(os)
    }

    /// Sends no more after what was sent so far.
    pub(in crate::app) fn finish(&mut self, os: &mut dyn Os) -> Result<(), Errno> {
        if self.sending == Sending::Open {
            self.sending = Sending::Closing;
            return self.say_goodbye(os);
        }
        self.flush(os)
    }

    /// Sends what the socket takes.
    pub(in crate::app) fn flush(&mut self, os: &mut dyn Os) -> Result<(), Errno> {
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

    /// Whether everything has gone out.
    pub(in crate::app) fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// Whether both directions are over.
    pub(in crate::app) fn is_over(&self) -> bool {
        self.ended && self.sending == Sending::Closed
    }
}
