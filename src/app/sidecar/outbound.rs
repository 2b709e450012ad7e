//! What the workload sends (`virtualOutbound`): to an endpoint of the Service that it goes to, with mutual TLS where
//! that end has a proxy too.

use super::http::set;
use super::link::Link;
use crate::app::http::Head;
use crate::app::side::Side;
use crate::app::{Errno, Os, SocketOption, Transport};
use crate::base::{Duration, SocketId};
use crate::cluster::mesh::{Route, Spoken};
use crate::tls::Party;
use std::net::SocketAddrV4;

/// How often an upstream connection that could not be made is tried again (`retries.attempts`).
const RETRIES: u32 = 2;
/// The back-off's base (`base_interval`), in milliseconds.
const BACK_OFF_MS: u64 = 25;

/// Why there is no connection to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoWay {
    /// The Service has no endpoint that is ready.
    Nowhere,
    /// A system call failed.
    Errno(Errno),
}

impl From<Errno> for NoWay {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// Finds out what is known of where the connection goes.
pub(super) fn look_up(link: &mut Link, os: &mut dyn Os) {
    if let Route::Service(_, spoken) = os.mesh_route(link.to) {
        (link.is_known, link.spoken) = (true, spoken);
    } else {
        link.spoken = Spoken::Unknown;
    }
}

/// Begins to connect.
pub(super) fn dial(os: &mut dyn Os, socket: SocketId, to: SocketAddrV4) -> Result<(), Errno> {
    os.set_option(socket, SocketOption::NoDelay(true))?;
    match os.connect(socket, to) {
        Ok(()) | Err(Errno::Einprogress) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// The connection to one of the endpoints, or to where it was going.
pub(super) fn open(link: &Link, os: &mut dyn Os) -> Result<Side, NoWay> {
    let (to, secure) = match os.mesh_route(link.to) {
        Route::Passthrough => (link.to, false),
        Route::Service(ends, _) if ends.is_empty() => return Err(NoWay::Nowhere),
        Route::Service(ends, _) if ends.len() == 1 => ends[0],
        Route::Service(ends, _) => ends[os.random() as usize % ends.len()],
    };
    let socket = os.socket(Transport::Tcp)?;
    if let Err(errno) = dial(os, socket, to) {
        os.close(socket);
        return Err(errno.into());
    }
    if secure {
        return Ok(Side::secured(os, socket, Party::MeshClient(link.credentials.clone())));
    }
    Ok(Side::plain(socket))
}

/// Whether another attempt may follow: only Services have a policy for that.
pub(super) fn retries(link: &Link) -> bool {
    !link.is_inbound && link.is_known && link.attempts < RETRIES
}

/// How long after the attempt that failed the next one comes (`JitteredExponentialBackOffStrategy`).
pub(super) fn back_off(os: &mut dyn Os, attempt: u32) -> Duration {
    let window = BACK_OFF_MS * ((1 << attempt) - 1);
    Duration::from_ms(u64::from(os.random()) % window)
}

/// Fields that the first proxy adds.
pub(super) fn mark_request(head: &mut Head, os: &mut dyn Os) {
    set(head, "x-forwarded-proto", "http".to_owned());
    if head.get("x-request-id").is_none() {
        let word: Vec<u32> = (0..4).map(|_| os.random()).collect();
        let (a, b, c, d) = (word[0], word[1], word[2], word[3]);
        // Version 4 and variant 10 (RFC 9562 section 5.4).
        let id = format!(
            "{a:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{d:08x}",
            b >> 16,
            b & 0xfff,
            c >> 18 | 0x8000,
            c & 0xffff
        );
        set(head, "x-request-id", id);
    }
}
