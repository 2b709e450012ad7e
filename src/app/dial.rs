//! What programs with stream sockets have in common: connecting, and reading until nothing is there.

use super::{Errno, Os, Transport};
use crate::base::{Ipv4Addr, SocketId};
use std::net::SocketAddrV4;

/// How reading from a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// More may come.
    More,
    /// The far end closed its side.
    End,
    /// The connection failed.
    Failed(Errno),
}

/// Opens a TCP socket and begins to connect it. An error is one that `connect` gives at once.
pub(super) fn connect(os: &mut dyn Os, remote: SocketAddrV4) -> Result<SocketId, Errno> {
    let socket = os.socket(Transport::Tcp)?;
    start(os, socket, remote)
}

/// Opens a socket of either kind and begins to connect it.
pub(super) fn start_with(
    os: &mut dyn Os,
    transport: Transport,
    remote: SocketAddrV4,
) -> Result<SocketId, Errno> {
    let socket = os.socket(transport)?;
    start(os, socket, remote)
}

/// Begins to connect a socket; one that cannot is closed.
pub(super) fn start(os: &mut dyn Os, socket: SocketId, remote: SocketAddrV4) -> Result<SocketId, Errno> {
    match os.connect(socket, remote) {
        Ok(()) | Err(Errno::Einprogress) => Ok(socket),
        Err(errno) => {
            os.close(socket);
            Err(errno)
        }
    }
}

/// Reads all that is there.
pub(super) fn read(os: &mut dyn Os, socket: SocketId, into: &mut Vec<u8>) -> Read {
    loop {
        match os.receive_stream(socket, 65_536) {
            Ok(data) if data.is_empty() => return Read::End,
            Ok(data) => into.extend_from_slice(&data),
            Err(Errno::Eagain) => return Read::More,
            Err(errno) => return Read::Failed(errno),
        }
    }
}

/// Sends what the socket takes of `data`, and leaves the rest there.
pub(super) fn write(os: &mut dyn Os, socket: SocketId, data: &mut Vec<u8>) -> Result<(), Errno> {
    while !data.is_empty() {
        match os.send(socket, data) {
            Ok(taken) => {
                data.drain(..taken.min(data.len()));
            }
            Err(Errno::Eagain) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The address of a host given by address or name.
pub(super) fn address_of(os: &mut dyn Os, host: &str) -> Option<Ipv4Addr> {
    super::ping::parse_address(host).or_else(|| os.resolve(host))
}
