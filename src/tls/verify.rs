//! How ends check one another. Proxies of a mesh ask for a chain to the mesh's authority, and a name of the mesh's trust
//! domain; no name of a host is asked for, for workloads are named by SPIFFE URIs. The kubelet asks for nothing.

use super::provider::ALGORITHMS;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use std::sync::Arc;
use webpki::EndEntityCert;

/// What a client asks of a server's certificate. That the server holds its key, every one of them asks.
#[derive(Debug)]
pub(super) enum ServerVerifier {
    /// A chain to one of these authorities, and a name with this beginning: `spiffe://cluster.local/`.
    Mesh {
        /// The authorities.
        roots: Arc<RootCertStore>,
        /// The beginning.
        trust_domain: String,
    },
    /// Nothing: Go's `InsecureSkipVerify`.
    Any,
    /// An authority that nobody here was signed by: those that a system comes with.
    Public,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self {
            Self::Mesh { roots, trust_domain } => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, ALGORITHMS.all)
                    .map_err(issuer_unknown)?;
                if !spiffe_of(end_entity).is_some_and(|name| name.starts_with(trust_domain)) {
                    return Err(CertificateError::NotValidForName.into());
                }
            }
            Self::Any => {}
            Self::Public => return Err(CertificateError::UnknownIssuer.into()),
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}

fn only_tls13() -> Error {
    Error::General("only TLS 1.3 is spoken here".to_owned())
}

/// Checks a client's certificate, as rustls does, and says of one that another authority signed that its issuer is not
/// known: authorities of several meshes have the same name, and their key identifiers tell them apart
/// (`X509_check_issued`), where rustls takes the names alone.
#[derive(Debug)]
pub(super) struct ClientVerifier(pub(super) Arc<dyn ClientCertVerifier>);

fn issuer_unknown(error: Error) -> Error {
    if error == CertificateError::BadSignature.into() {
        CertificateError::UnknownIssuer.into()
    } else {
        error
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.verify_client_cert(end_entity, intermediates, now).map_err(issuer_unknown)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The first URI among a certificate's names.
pub(super) fn spiffe_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = EndEntityCert::try_from(certificate).ok()?;
    let mut names = parsed.valid_uri_names();
    names.next().map(str::to_owned)
}
