//! TLS 1.3: with certificates of both sides (mTLS), as a mesh's proxies speak it, and with the server's alone, as the
//! kubelet's probes and other clients of HTTP do. The protocol is rustls; what it takes
//! from a machine comes from the simulation: chance, time and keys (`surroundings`), and the algorithms in plain Rust
//! (`provider`).

mod about;
mod authority;
mod pair;
mod provider;
mod session;
mod surroundings;
mod verify;

pub use about::About;
pub use authority::{Authority, Credentials, Identity};
pub use pair::pair;
pub use session::{Failure, Party, Session};

use sha2::{Digest, Sha256};

/// The suite of every connection, by its name (RFC 8446 appendix B.4).
pub const SUITE: &str = "TLS_AES_128_GCM_SHA256";

/// The SHA-256 hash of a certificate, by which people tell them apart.
pub fn fingerprint(certificate: &[u8]) -> String {
    hex(&Sha256::digest(certificate))
}

/// A lower-case hexadecimal string, as key logs have it.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
