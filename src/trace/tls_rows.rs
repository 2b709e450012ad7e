//! What programs that speak TLS write down: how handshakes ended, and the keys of their connections.

use crate::base::NetnsId;
use std::fmt;
use std::net::SocketAddrV4;

/// Something about a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsRow {
    /// Where the program runs.
    pub netns: NetnsId,
    /// Its end of the connection, and the far one.
    pub ends: (SocketAddrV4, SocketAddrV4),
    /// What happened.
    pub what: TlsEvent,
}

/// What happened on a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsEvent {
    /// The handshake is over; the far end's name in its certificate, empty where nobody asked for one.
    Established(String),
    /// The connection failed, for this reason.
    Failed(String),
    /// A line of an NSS key log.
    Key(String),
}

impl TlsRow {
    /// Key of its sentence in the catalogue (`why.changed.…`), and the sentence's arguments.
    pub(super) fn sentence(&self) -> (&'static str, Vec<String>) {
        let far = self.ends.1.to_string();
        match &self.what {
            TlsEvent::Established(peer) if peer.is_empty() => ("tls_established_unasked", vec![far]),
            TlsEvent::Established(peer) => ("tls_established", vec![far, peer.clone()]),
            TlsEvent::Failed(why) => ("tls_failed", vec![far, why.clone()]),
            TlsEvent::Key(line) => ("tls_key", vec![line.split(' ').next().unwrap_or_default().to_owned()]),
        }
    }
}

impl fmt::Display for TlsRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (near, far) = self.ends;
        match &self.what {
            TlsEvent::Established(peer) => write!(f, "{near} {far} established peer {peer}"),
            TlsEvent::Failed(why) => write!(f, "{near} {far} failed: {why}"),
            TlsEvent::Key(line) => write!(f, "{near} {far} key {line}"),
        }
    }
}
