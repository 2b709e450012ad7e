//! What is for the workload (`virtualInbound`): TLS is ended here, plain text let in or not.

use super::http::set;
use super::link::{Link, Stage};
use super::outbound::NoWay;
use crate::app::http::Head;
use crate::app::side::Side;
use crate::app::{Os, Transport};
use crate::base::Ipv4Addr;
use crate::cluster::mesh::{Asked, Facts, Mode};
use crate::tls::{Party, fingerprint};
use crate::wire::tls::{HANDSHAKE, records};
use std::net::SocketAddrV4;

/// The address that the workload sees its callers at (`InboundPassthroughBindIpv4`).
pub(super) const BIND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
/// What the proxies of a mesh agree to speak.
const ALPN: &str = "istio";

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sniffed {
    /// Not enough has come.
    More,
    /// TLS between proxies of the mesh.
    Mesh,
    /// Other TLS.
    Tls,
    /// No TLS.
    Plain,
}

fn look(bytes: &[u8]) -> Sniffed {
    if bytes.is_empty() {
        return Sniffed::More;
    }
    if bytes[0] != HANDSHAKE {
        return Sniffed::Plain;
    }
    let Some(record) = records(bytes).next() else {
        return if bytes.len() < 5 { Sniffed::More } else { Sniffed::Plain };
    };
    if record.body.len() < record.len {
        return Sniffed::More;
    }
    let hello = record.messages().next();
    let is_mesh = hello.is_some_and(|hello| hello.alpn().iter().any(|name| name == ALPN));
    if is_mesh { Sniffed::Mesh } else { Sniffed::Tls }
}

/// Looks at the first bytes, which stay where they are; whether the connection goes on.
pub(super) fn sniff(link: &mut Link, os: &mut dyn Os) -> bool {
    let bytes = os.peek_stream(link.down.socket);
    let secure = match (os.mesh_mode(link.to.port()), look(&bytes)) {
        (Mode::Disable, _) | (Mode::Permissive, Sniffed::Plain | Sniffed::Tls) => false,
        (Mode::Permissive | Mode::Strict, Sniffed::More) | (Mode::Strict, Sniffed::Plain) => return false,
        (Mode::Permissive | Mode::Strict, Sniffed::Mesh) | (Mode::Strict, Sniffed::Tls) => true,
    };
    if secure {
        link.down.secure(os, Party::MeshServer(link.credentials.clone()));
    }
    link.stage = Stage::Waiting;
    true
}

/// Whether what has come will not do: no filter chain takes it, or nothing will come any more. What was not read
/// makes the kernel reset the connection.
pub(super) fn is_refused(link: &Link, os: &mut dyn Os) -> bool {
    let bytes = os.peek_stream(link.down.socket);
    let strict = os.mesh_mode(link.to.port()) == Mode::Strict;
    if bytes.is_empty() {
        // Only the end of the stream or an error lets nothing be read without waiting.
        return os.receive_stream(link.down.socket, 1) != Err(crate::app::Errno::Eagain);
    }
    strict && look(&bytes) == Sniffed::Plain
}

/// Whether the policies of authorization let a request in, or a connection that speaks something else
/// (`envoy.filters.http.rbac`, `envoy.filters.network.rbac`).
pub(super) fn admits(link: &Link, os: &dyn Os, head: Option<&Head>) -> bool {
    let peer = link.down.peer();
    let source = os.remote_addr(link.down.socket);
    let asked = head.map(|head| {
        let mut words = head.start.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        Asked { method, path, host: head.get("Host").unwrap_or(""), fields: &head.fields }
    });
    os.mesh_policies().admit(&Facts {
        principal: peer.as_deref().map(|uri| uri.strip_prefix("spiffe://").unwrap_or(uri)),
        source: source.map_or(Ipv4Addr::UNSPECIFIED, |from| *from.ip()),
        destination: (*link.to.ip(), link.to.port()),
        asked,
    })
}

/// The connection to the workload itself.
pub(super) fn open(link: &Link, os: &mut dyn Os) -> Result<Side, NoWay> {
    let socket = os.socket(Transport::Tcp)?;
    let bound = os.bind(socket, SocketAddrV4::new(BIND, 0));
    let connected = bound.and_then(|()| super::outbound::dial(os, socket, link.to));
    if let Err(errno) = connected {
        os.close(socket);
        return Err(errno.into());
    }
    Ok(Side::plain(socket))
}

/// Tells the workload who calls (`x-forwarded-client-cert`, with `SANITIZE_SET`).
pub(super) fn mark_request(head: &mut Head, own: &str, peer: Option<&(String, Vec<u8>)>) {
    head.fields.retain(|(name, _)| name != "x-forwarded-client-cert");
    if let Some((uri, certificate)) = peer {
        let hash = fingerprint(certificate);
        set(head, "x-forwarded-client-cert", format!("By={own};Hash={hash};Subject=\"\";URI={uri}"));
    }
}
