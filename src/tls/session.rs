//! One end of a TLS connection: records in, records out, without a socket.

use super::authority::{Credentials, Identity};
use super::provider::provider;
use super::surroundings::{Around, Surroundings};
use super::verify::{ClientVerifier, ServerVerifier, spiffe_of};
use crate::base::SimTime;
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, IpAddr, Ipv4Addr, ServerName};
use rustls::server::{UnbufferedServerConnection, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::version::TLS13;
use rustls::{ClientConfig, ConfigBuilder, Error, RootCertStore, ServerConfig, WantsVerifier};
use std::sync::Arc;

/// The protocol that proxies of one mesh agree on (`istio`), by which a server's proxy knows them.
const ALPN: &[u8] = b"istio";
/// Most plain bytes of one record (RFC 8446 section 5.1).
const RECORD: usize = 16_384;
/// What a record takes besides them: header, content type, tag.
const OVERHEAD: usize = 5 + 1 + 16;

/// What clients of HTTP offer (Go's net/http, curl), and what servers here speak.
const ALPN_HTTP: [&[u8]; 2] = [b"h2", b"http/1.1"];
const ALPN_SERVER: &[u8] = b"http/1.1";

/// Which end of the connection this is, what it shows, and what it asks of the far end.
#[derive(Clone, Debug)]
pub enum Party {
    /// A proxy of a mesh that says `ClientHello`: both ends show certificates of the mesh.
    MeshClient(Arc<Credentials>),
    /// The proxy that answers it.
    MeshServer(Arc<Credentials>),
    /// A client of HTTP that shows no certificate and takes every one (`InsecureSkipVerify`).
    Trusting,
    /// A client of HTTP that shows no certificate and knows the public authorities alone.
    Public,
    /// A server of HTTP that asks its clients for no certificate.
    Server(Arc<Identity>),
}

impl Party {
    fn is_of_mesh(&self) -> bool {
        matches!(self, Self::MeshClient(_) | Self::MeshServer(_))
    }

    /// Whether this is the end that begins.
    fn is_client(&self) -> bool {
        match self {
            Self::MeshClient(_) | Self::Trusting | Self::Public => true,
            Self::MeshServer(_) | Self::Server(_) => false,
        }
    }
}

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The far end's certificate does not hold, in rustls' words.
    Certificate(String),
    /// The far end sent no certificate.
    NoCertificate,
    /// The far end ended it with this alert (RFC 8446 section 6.2).
    Alert(u8),
    /// What came is no record of TLS.
    NotTls,
    /// Anything else, in rustls' words.
    Other(String),
}

impl Failure {
    /// It in words.
    pub fn text(&self) -> String {
        match self {
            Self::Certificate(why) => format!("the far end's certificate does not hold: {why}"),
            Self::NoCertificate => "the far end sent no certificate".to_owned(),
            Self::Alert(number) => format!("the far end sent alert {number}"),
            Self::NotTls => "what came is not TLS".to_owned(),
            Self::Other(why) => why.clone(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Error::InvalidCertificate(why) = &error {
            Self::Certificate(why.to_string())
        } else if let Error::AlertReceived(alert) = error {
            Self::Alert(alert.into())
        } else if matches!(error, Error::NoCertificatesPresented) {
            Self::NoCertificate
        } else if matches!(error, Error::InvalidMessage(_)) {
            Self::NotTls
        } else {
            Self::Other(error.to_string())
        }
    }
}

/// What was done to a session, so that a copy can be brought to the same place.
#[derive(Clone, Debug)]
enum Did {
    Receive(SimTime, Vec<u8>),
    Write(SimTime, Vec<u8>),
    Close(SimTime),
}

/// What goes through a session.
#[derive(Debug, Default)]
struct Flow {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    received: Vec<u8>,
    unsent: Vec<u8>,
    closing: bool,
    close_sent: bool,
    peer_closed: bool,
    failure: Option<Failure>,
}

enum Conn {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// One end of a connection that uses TLS 1.3.
pub struct Session {
    party: Party,
    seed: u64,
    around: Surroundings,
    flow: Flow,
    /// Nothing where the connection could not even be set up.
    conn: Option<Conn>,
    history: Vec<Did>,
}

impl Session {
    /// A session that has not said anything yet; all its chance comes from `seed`. A client's first words are there at
    /// once ([`Session::take_outgoing`]).
    pub fn new(party: Party, seed: u64, now: SimTime) -> Self {
        let mut around = Surroundings::new(seed);
        around.now = now;
        let mut flow = Flow::default();
        let conn = match around.within(|| Conn::new(&party)) {
            Ok(conn) => Some(conn),
            Err(error) => {
                flow.failure = Some(error.into());
                None
            }
        };
        let mut session = Self { party, seed, around, flow, conn, history: Vec::new() };
        session.advance(now);
        session
    }

    /// Takes bytes that came from the far end.
    pub fn receive(&mut self, now: SimTime, bytes: &[u8]) {
        if self.flow.failure.is_some() {
            return;
        }
        self.history.push(Did::Receive(now, bytes.to_vec()));
        self.flow.incoming.extend_from_slice(bytes);
        self.advance(now);
    }

    /// Sends bytes to the far end, as soon as the handshake is over.
    pub fn write(&mut self, now: SimTime, bytes: &[u8]) {
        self.history.push(Did::Write(now, bytes.to_vec()));
        self.flow.unsent.extend_from_slice(bytes);
        self.advance(now);
    }

    /// Says that no more will be sent (`close_notify`).
    pub fn close(&mut self, now: SimTime) {
        self.history.push(Did::Close(now));
        self.flow.closing = true;
        self.advance(now);
    }

    /// Takes what has to go to the far end.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.flow.outgoing)
    }

    /// Takes what the far end sent, decrypted.
    pub fn take_received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.flow.received)
    }

    /// Takes the lines of an NSS key log that have come since it was last asked.
    pub fn take_keys(&mut self) -> Vec<String> {
        std::mem::take(&mut self.around.keys)
    }

    /// Whether this is the end that began.
    pub fn is_client(&self) -> bool {
        self.party.is_client()
    }

    /// Whether the first bytes that came were these: of a far end that does not speak TLS.
    pub fn began_with(&self, bytes: &[u8]) -> bool {
        let received = self.history.iter().flat_map(|did| match did {
            Did::Receive(_, bytes) => bytes.as_slice(),
            Did::Write(..) | Did::Close(_) => &[],
        });
        received.take(bytes.len()).eq(bytes)
    }

    /// Why it failed, if it did. The alert that tells the far end is among the outgoing bytes.
    pub fn failure(&self) -> Option<&Failure> {
        self.flow.failure.as_ref()
    }

    /// Whether this end is through with the handshake.
    pub fn is_established(&self) -> bool {
        self.flow.failure.is_none()
            && match &self.conn {
                Some(Conn::Client(conn)) => !conn.is_handshaking(),
                Some(Conn::Server(conn)) => !conn.is_handshaking(),
                None => false,
            }
    }

    /// Whether the far end said that it sends no more.
    pub fn is_peer_closed(&self) -> bool {
        self.flow.peer_closed
    }

    /// The far end's name in its certificate, once that was checked.
    pub fn peer(&self) -> Option<String> {
        spiffe_of(self.peer_chain()?.first()?)
    }

    /// The far end's certificate, in DER, once that was checked.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.peer_chain()?.first().map(|certificate| certificate.to_vec())
    }

    fn peer_chain(&self) -> Option<&[CertificateDer<'static>]> {
        match self.conn.as_ref()? {
            Conn::Client(conn) => conn.peer_certificates(),
            Conn::Server(conn) => conn.peer_certificates(),
        }
    }

    /// Does what can be done with what is there.
    fn advance(&mut self, now: SimTime) {
        self.around.now = now;
        let (flow, conn) = (&mut self.flow, &mut self.conn);
        let Some(conn) = conn else { return };
        self.around.within(|| while conn.step(flow) {});
        // Go's crypto/tls has no alert for what is no record at all.
        if flow.failure == Some(Failure::NotTls) && !self.party.is_of_mesh() {
            flow.outgoing.clear();
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { party, flow, .. } = self;
        f.debug_struct("Session").field("party", party).field("flow", flow).finish_non_exhaustive()
    }
}

impl Clone for Session {
    /// rustls' connections cannot be copied; the copy goes through the same again, with the same chance.
    fn clone(&self) -> Self {
        let begun = self.history.first().map_or(self.around.now, |did| match did {
            Did::Receive(at, _) | Did::Write(at, _) | Did::Close(at) => *at,
        });
        let mut copy = Self::new(self.party.clone(), self.seed, begun);
        for did in &self.history {
            match did {
                Did::Receive(at, bytes) => copy.receive(*at, bytes),
                Did::Write(at, bytes) => copy.write(*at, bytes),
                Did::Close(at) => copy.close(*at),
            }
        }
        copy.flow.outgoing.clone_from(&self.flow.outgoing);
        copy.flow.received.clone_from(&self.flow.received);
        copy.around.keys.clone_from(&self.around.keys);
        copy
    }
}

impl Conn {
    fn new(party: &Party) -> Result<Self, Error> {
        match party {
            Party::MeshClient(credentials) => {
                let roots = roots(credentials)?;
                let trust_domain = trust_domain(&credentials.spiffe);
                let verifier = ServerVerifier::Mesh { roots, trust_domain };
                let config = client()?
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
                    .with_client_cert_resolver(shown(&credentials.identity));
                Self::client(config, &[ALPN])
            }
            Party::Trusting => Self::client_of_http(ServerVerifier::Any),
            Party::Public => Self::client_of_http(ServerVerifier::Public),
            Party::MeshServer(credentials) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots(credentials)?, provider())
                    .build()
                    .map_err(|error| Error::General(error.to_string()))?;
                let config = server()?
                    .with_client_cert_verifier(Arc::new(ClientVerifier(verifier)))
                    .with_cert_resolver(shown(&credentials.identity));
                Self::server(config, ALPN)
            }
            Party::Server(identity) => {
                Self::server(server()?.with_no_client_auth().with_cert_resolver(shown(identity)), ALPN_SERVER)
            }
        }
    }

    fn client_of_http(verifier: ServerVerifier) -> Result<Self, Error> {
        let checks = client()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        Self::client(checks.with_no_client_auth(), &ALPN_HTTP)
    }

    fn client(mut config: ClientConfig, protocols: &[&[u8]]) -> Result<Self, Error> {
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config.key_log = Arc::new(Around);
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        // rustls wants a name to ask for; where an address was dialled, or names are not of hosts, none is told.
        let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])));
        Ok(Self::Client(UnbufferedClientConnection::new(Arc::new(config), nobody)?))
    }

    fn server(mut config: ServerConfig, protocol: &[u8]) -> Result<Self, Error> {
        config.alpn_protocols = vec![protocol.to_vec()];
        config.key_log = Arc::new(Around);
        config.send_tls13_tickets = 0;
        Ok(Self::Server(UnbufferedServerConnection::new(Arc::new(config))?))
    }

    /// One step; whether another may follow.
    fn step(&mut self, flow: &mut Flow) -> bool {
        let has_words = match self {
            Self::Client(conn) => conn.wants_write(),
            Self::Server(conn) => conn.wants_write(),
        };
        // After a failure rustls must not be asked for more than what it has to say about it.
        if flow.failure.is_some() && !has_words {
            return false;
        }
        let mut incoming = std::mem::take(&mut flow.incoming);
        let (discard, more) = match self {
            Self::Client(conn) => handle(conn.process_tls_records(&mut incoming), flow),
            Self::Server(conn) => handle(conn.process_tls_records(&mut incoming), flow),
        };
        incoming.drain(..discard.min(incoming.len()));
        flow.incoming = incoming;
        more
    }
}

fn client() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_details(provider(), Arc::new(Around)).with_protocol_versions(&[&TLS13])
}

fn server() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, Error> {
    ServerConfig::builder_with_details(provider(), Arc::new(Around)).with_protocol_versions(&[&TLS13])
}

/// What a workload of a mesh trusts.
fn roots(credentials: &Credentials) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(credentials.root.clone())?;
    Ok(Arc::new(roots))
}

fn shown(identity: &Identity) -> Arc<SingleCertAndKey> {
    let own = CertifiedKey::new(identity.chain.clone(), identity.key.clone());
    Arc::new(SingleCertAndKey::from(own))
}

/// Does what rustls' state asks for: how many incoming bytes are done with, and whether to ask again.
fn handle<D>(status: UnbufferedStatus<'_, '_, D>, flow: &mut Flow) -> (usize, bool) {
    let mut discard = status.discard;
    let more = match status.state {
        // What comes after a failure is its alert; asked again, the same failure is told.
        Err(error) => flow.failure.replace(error.into()).is_none(),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        discard += record.discard;
                        flow.received.extend_from_slice(record.payload);
                    }
                    Err(error) => flow.failure = Some(error.into()),
                }
            }
            true
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            grow(&mut flow.outgoing, RECORD, |room| match data.encode(room) {
                Ok(len) => Ok(len),
                Err(EncodeError::InsufficientSize(size)) => Err(size.required_size),
                Err(EncodeError::AlreadyEncoded) => Ok(0),
            });
            true
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            true
        }
        Ok(ConnectionState::WriteTraffic(mut traffic)) => {
            let fits = flow.unsent.len().min(RECORD);
            if fits > 0 {
                let chunk: Vec<u8> = flow.unsent.drain(..fits).collect();
                grow(&mut flow.outgoing, fits + OVERHEAD, |room| sized(&traffic.encrypt(&chunk, room)));
            } else if flow.closing && !flow.close_sent {
                flow.close_sent = true;
                grow(&mut flow.outgoing, 2 + OVERHEAD, |room| sized(&traffic.queue_close_notify(room)));
            }
            fits > 0
        }
        Ok(ConnectionState::PeerClosed) => {
            flow.peer_closed = true;
            true
        }
        // Early data is not offered.
        Ok(_) => false,
    };
    (discard, more)
}

fn sized(done: &Result<usize, EncryptError>) -> Result<usize, usize> {
    match done {
        Ok(len) => Ok(*len),
        Err(EncryptError::InsufficientSize(size)) => Err(size.required_size),
        Err(EncryptError::EncryptExhausted) => Ok(0),
    }
}

/// Appends what `write` writes, given room for `len` bytes or, where it asks for more, for that many.
fn grow(out: &mut Vec<u8>, len: usize, mut write: impl FnMut(&mut [u8]) -> Result<usize, usize>) {
    let begin = out.len();
    let mut room = len;
    loop {
        out.resize(begin + room, 0);
        match write(&mut out[begin..]) {
            Ok(written) => return out.truncate(begin + written),
            Err(needed) => room = needed.max(room + 1),
        }
    }
}

/// `spiffe://cluster.local/` of a name in it.
fn trust_domain(spiffe: &str) -> String {
    let host = spiffe.strip_prefix("spiffe://").unwrap_or(spiffe);
    format!("spiffe://{}/", host.split('/').next().unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Authority;

    const DAY: i64 = 86_400;

    /// Both ends after everything has gone to and fro, and what the client sent first.
    fn talk(client: Credentials, server: Credentials, seed: u64) -> (Session, Session, Vec<u8>) {
        let now = SimTime(1_000_000_000);
        let client = Party::MeshClient(Arc::new(client));
        converse(client, Party::MeshServer(Arc::new(server)), seed, now)
    }

    fn converse(client: Party, server: Party, seed: u64, now: SimTime) -> (Session, Session, Vec<u8>) {
        let mut client = Session::new(client, seed, now);
        let mut server = Session::new(server, seed + 1, now);
        client.write(now, b"GET / HTTP/1.1\r\n\r\n");
        let hello = client.take_outgoing();
        server.receive(now, &hello);
        for _ in 0..4 {
            client.receive(now, &server.take_outgoing());
            server.receive(now, &client.take_outgoing());
        }
        (client, server, hello)
    }

    fn authority(seed: u64) -> Authority {
        Authority::new("cluster.local", seed, SimTime::ZERO).expect("an authority")
    }

    fn name(account: &str) -> String {
        format!("spiffe://cluster.local/ns/shop/sa/{account}")
    }

    #[test]
    fn both_ends_prove_who_they_are() {
        let mut mesh = authority(1);
        let mut issue = |account: &str| mesh.issue(&name(account), SimTime::ZERO, DAY).expect("signed");
        let (mut client, mut server, hello) = talk(issue("web"), issue("db"), 7);
        assert_eq!(client.peer(), Some(name("db")));
        assert_eq!(server.peer(), Some(name("web")));
        assert_eq!(server.take_received(), b"GET / HTTP/1.1\r\n\r\n");
        let keys = client.take_keys();
        assert_eq!(keys, server.take_keys());
        assert!(keys[0].starts_with("CLIENT_HANDSHAKE_TRAFFIC_SECRET "), "{keys:?}");
        assert!(hello.windows(6).any(|bytes| bytes == b"\x05istio"), "the mesh's protocol is offered");
        client.close(SimTime(2_000_000_000));
        let now = SimTime(2_000_000_000);
        server.receive(now, &client.take_outgoing());
        assert!(server.is_peer_closed());
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_a_copy_goes_on_alike() {
        let run = || {
            let mut mesh = authority(3);
            let mut issue = |account: &str| mesh.issue(&name(account), SimTime::ZERO, DAY).expect("signed");
            talk(issue("a"), issue("b"), 5)
        };
        let (mut client, _, hello) = run();
        assert_eq!(hello, run().2);
        let mut copy = client.clone();
        let now = SimTime(3_000_000_000);
        client.write(now, b"more");
        copy.write(now, b"more");
        assert_eq!(client.take_outgoing(), copy.take_outgoing());
    }

    #[test]
    fn a_certificate_that_does_not_hold_ends_it_with_an_alert() {
        let (mut mesh, mut other) = (authority(1), authority(2));
        let good = mesh.issue(&name("web"), SimTime::ZERO, DAY).expect("signed");
        let late = mesh.issue(&name("web"), SimTime::ZERO, -3600).expect("signed");
        let foreign = other.issue(&name("web"), SimTime::ZERO, DAY).expect("signed").trusting(&mesh);
        for (bad, alert) in [(late, 45), (foreign, 48)] {
            let (client, server, _) = talk(bad.clone(), good.clone(), 9);
            assert!(matches!(server.failure(), Some(Failure::Certificate(_))), "{:?}", server.failure());
            assert_eq!(client.failure(), Some(&Failure::Alert(alert)));
            let (client, server, _) = talk(good.clone(), bad, 9);
            assert!(matches!(client.failure(), Some(Failure::Certificate(_))), "{:?}", client.failure());
            assert_eq!(server.failure(), Some(&Failure::Alert(alert)));
            assert_eq!(server.peer(), None);
        }
    }

    #[test]
    fn a_client_that_trusts_everybody_takes_a_self_signed_certificate() {
        let now = SimTime(1_000_000_000);
        let own = Arc::new(Identity::self_signed("web-0", 4, now).expect("signed"));
        let (client, mut server, hello) = converse(Party::Trusting, Party::Server(own), 7, now);
        assert!(client.is_established() && server.is_established(), "{client:?} {server:?}");
        assert!(client.peer_certificate().is_some() && server.peer_certificate().is_none());
        assert_eq!(server.take_received(), b"GET / HTTP/1.1\r\n\r\n");
        assert!(hello.windows(12).any(|bytes| bytes == b"\x02h2\x08http/1.1"), "both protocols are offered");
    }

    #[test]
    fn plain_text_is_no_tls() {
        let mut mesh = authority(1);
        let own = Arc::new(mesh.issue(&name("web"), SimTime::ZERO, DAY).expect("signed"));
        let mut server = Session::new(Party::MeshServer(own), 1, SimTime::ZERO);
        server.receive(SimTime::ZERO, b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(server.failure(), Some(&Failure::NotTls));
    }
}
