//! The mesh's certificate authority, and the certificates of workloads that it signs: X.509 with the workload's name as
//! a SPIFFE URI (SPIFFE X.509-SVID, sections 2 and 4), as istiod issues them. Servers outside of a mesh sign for
//! themselves.

use super::provider::Signing;
use super::surroundings::{Surroundings, draw_secret};
use crate::base::SimTime;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use time::OffsetDateTime;

/// How far before its making a certificate begins to hold, in seconds: istiod allows for clocks that differ
/// (`ClockSkewGracePeriod`).
const GRACE: i64 = 120;
/// How long istiod's own certificate holds, in seconds: ten years (`CITADEL_SELF_SIGNED_CA_CERT_TTL`).
const AUTHORITY_TTL: i64 = 10 * 365 * 86_400;

/// A certificate authority: a key, and the certificate that it signed itself.
#[derive(Clone, Debug)]
pub struct Authority {
    key: Signing,
    params: CertificateParams,
    certificate: CertificateDer<'static>,
    around: Surroundings,
}

/// What an end of a connection shows: a key, and the certificate that belongs to it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) key: Arc<Signing>,
    pub(super) chain: Vec<CertificateDer<'static>>,
}

/// What a workload shows and checks with: who it is, and the authority that it trusts.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name in the certificate: `spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT`.
    pub spiffe: String,
    pub(super) identity: Identity,
    pub(super) root: CertificateDer<'static>,
}

/// How long a certificate holds that a server signed for itself, in seconds: a year.
const SELF_SIGNED_TTL: i64 = 365 * 86_400;

impl Identity {
    /// Its own certificate, in DER.
    pub fn certificate(&self) -> &[u8] {
        self.chain.first().map_or(&[], |certificate| certificate)
    }

    /// A server of this name with a certificate that nobody but itself has signed, as programs make one where they are
    /// given none. The same seed makes the same key.
    pub fn self_signed(host: &str, seed: u64, since: SimTime) -> Result<Self, String> {
        let mut around = Surroundings::new(seed);
        let secret = around.within(draw_secret).map_err(|error| error.to_string())?;
        let key = Signing::new(&secret);
        let begin = since.unix_secs() as i64;
        let mut params = params(&key, around.rng.u64(..), (begin, begin + SELF_SIGNED_TTL))?;
        params.distinguished_name.push(DnType::CommonName, host);
        let name = host.try_into().map_err(|error: rcgen::Error| error.to_string())?;
        params.subject_alt_names = vec![SanType::DnsName(name)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.self_signed(&key).map_err(|error| error.to_string())?.der().clone();
        Ok(Self { key: Arc::new(key), chain: vec![certificate] })
    }
}

impl Authority {
    /// The authority of a trust domain (`cluster.local`) that came into being at `since`. The same seed makes the same
    /// key.
    pub fn new(trust_domain: &str, seed: u64, since: SimTime) -> Result<Self, String> {
        let mut around = Surroundings::new(seed);
        let secret = around.within(draw_secret).map_err(|error| error.to_string())?;
        let key = Signing::new(&secret);
        let begin = since.unix_secs() as i64;
        let mut params = params(&key, around.rng.u64(..), (begin, begin + AUTHORITY_TTL))?;
        params.distinguished_name.push(DnType::OrganizationName, trust_domain);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).map_err(|error| error.to_string())?.der().clone();
        Ok(Self { key, params, certificate, around })
    }

    /// A certificate for this SPIFFE name that holds for `ttl` seconds from `since`, which may be negative for one that
    /// has ended.
    pub fn issue(&mut self, spiffe: &str, since: SimTime, ttl: i64) -> Result<Credentials, String> {
        let secret = self.around.within(draw_secret).map_err(|error| error.to_string())?;
        let key = Signing::new(&secret);
        let now = since.unix_secs() as i64;
        let begin = now.min(now + ttl) - GRACE;
        let mut params = params(&key, self.around.rng.u64(..), (begin, now + ttl))?;
        let uri = spiffe.try_into().map_err(|error: rcgen::Error| error.to_string())?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).map_err(|error| error.to_string())?;
        Ok(Credentials {
            spiffe: spiffe.to_owned(),
            identity: Identity { key: Arc::new(key), chain: vec![certificate.der().clone()] },
            root: self.certificate.clone(),
        })
    }
}

impl Credentials {
    /// The workload's own certificate, in DER.
    pub fn certificate(&self) -> &[u8] {
        self.identity.certificate()
    }

    /// The same certificate with another root to trust, as of a mesh beside this one.
    #[must_use]
    pub fn trusting(mut self, authority: &Authority) -> Self {
        self.root = authority.certificate.clone();
        self
    }
}

/// What all certificates here have.
fn params(key: &Signing, serial: u64, (begin, end): (i64, i64)) -> Result<CertificateParams, String> {
    let moment = |secs: i64| OffsetDateTime::from_unix_timestamp(secs).map_err(|error| error.to_string());
    let mut params = CertificateParams::default();
    params.not_before = moment(begin)?;
    params.not_after = moment(end)?;
    // A serial number is positive (RFC 5280 section 4.1.2.2).
    params.serial_number = Some(SerialNumber::from(serial >> 1 | 1));
    params.distinguished_name = DistinguishedName::new();
    let id = Sha256::digest(rcgen::PublicKeyData::der_bytes(key));
    params.key_identifier_method = KeyIdMethod::PreSpecified(id[..20].to_vec());
    Ok(params)
}
