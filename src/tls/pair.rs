//! A certificate and its key as files have them (RFC 7468), and whether they belong together (Go's `crypto/tls`,
//! `X509KeyPair`).
//!
//! *Simplified*: whether an Ed25519 key, or one of a larger curve that leaves out its public half, belongs to a certificate is not
//! computed.

use super::about::{About, element};
use data_encoding::BASE64;
use p256::elliptic_curve::sec1::ToSec1Point as _;

/// A block of such a file.
struct Block {
    label: String,
    der: Vec<u8>,
}

/// The blocks of a file; what is not well formed is passed over.
fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let label = line.trim_end().strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        let Some(label) = label else { continue };
        let end = format!("-----END {label}-----");
        let mut body = String::new();
        let mut ended = false;
        for line in lines.by_ref() {
            if line.trim_end() == end {
                ended = true;
                break;
            }
            // Header lines of old forms have a colon.
            body.extend(Some(line.trim()).filter(|line| !line.contains(':')));
        }
        if let Some(der) = BASE64.decode(body.as_bytes()).ok().filter(|_| ended) {
            found.push(Block { label: label.to_owned(), der });
        }
    }
    found
}

/// Kinds of keys, by the object identifiers of their algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    Ec,
    Ed25519,
}

const KINDS: [(&[u8], Kind); 3] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], Kind::Rsa),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], Kind::Ec),
    (&[0x2b, 0x65, 0x70], Kind::Ed25519),
];
/// `prime256v1`.
const P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// A key: its kind, and its public half where that is known.
struct Key {
    kind: Kind,
    public: Option<Vec<u8>>,
}

/// An `AlgorithmIdentifier`: the kind, and what its parameters name.
fn algorithm(mut bytes: &[u8]) -> Option<(Kind, Vec<u8>)> {
    let oid = element(&mut bytes)?.1;
    let kind = KINDS.iter().find(|(known, _)| *known == oid)?.1;
    let curve = element(&mut bytes).map(|(_, content)| content.to_vec());
    Some((kind, curve.unwrap_or_default()))
}

/// The key that a certificate is for (`SubjectPublicKeyInfo`).
fn certified(mut der: &[u8]) -> Option<Key> {
    const VERSION: u8 = 0xa0;
    About::read(der)?;
    let mut certificate = element(&mut der)?.1;
    let mut fields = element(&mut certificate)?.1;
    let mut first = fields;
    if element(&mut first)?.0 == VERSION {
        fields = first;
    }
    // Serial number, signature, issuer, validity and subject come before it.
    for _ in 0..5 {
        element(&mut fields)?;
    }
    let mut info = element(&mut fields)?.1;
    let (kind, _) = algorithm(element(&mut info)?.1)?;
    // The first octet of a bit string counts the bits that are not used.
    let bits = element(&mut info)?.1.get(1..)?;
    Some(Key { kind, public: Some(bits.to_vec()) })
}

/// `RSAPrivateKey`, whose public half begins it after the version.
fn rsa(mut der: &[u8]) -> Option<Key> {
    let mut fields = element(&mut der)?.1;
    element(&mut fields).filter(|(tag, version)| *tag == 2 && *version == [0])?;
    let before = fields;
    element(&mut fields)?;
    element(&mut fields)?;
    let public = before.get(..before.len() - fields.len())?;
    element(&mut fields)?;
    // `RSAPublicKey` is a sequence of the same two numbers.
    let mut sequence = vec![0x30];
    match public.len() {
        len @ 0..=0x7f => sequence.push(len as u8),
        len @ 0x80..=0xff => sequence.extend([0x81, len as u8]),
        len => sequence.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    sequence.extend_from_slice(public);
    Some(Key { kind: Kind::Rsa, public: Some(sequence) })
}

/// `ECPrivateKey`; `curve` is what was said of it outside.
fn ec(mut der: &[u8], curve: &[u8]) -> Option<Key> {
    let mut fields = element(&mut der)?.1;
    element(&mut fields).filter(|(tag, version)| *tag == 2 && *version == [1])?;
    let secret = element(&mut fields).filter(|(tag, _)| *tag == 4)?.1;
    let (mut curve, mut public) = (curve.to_vec(), None);
    while let Some((tag, mut content)) = element(&mut fields) {
        match tag {
            0xa0 => curve = element(&mut content)?.1.to_vec(),
            0xa1 => public = element(&mut content)?.1.get(1..).map(<[u8]>::to_vec),
            _ => {}
        }
    }
    if curve == P256 {
        let own = p256::SecretKey::from_slice(secret).ok()?;
        public = Some(own.public_key().to_sec1_point(false).as_bytes().to_vec());
    }
    Some(Key { kind: Kind::Ec, public })
}

/// A private key in any of its three forms (`parsePrivateKey`).
fn private(der: &[u8]) -> Option<Key> {
    let wrapped = || {
        let mut der = der;
        let mut fields = element(&mut der)?.1;
        element(&mut fields).filter(|(tag, _)| *tag == 2)?;
        let (kind, curve) = algorithm(element(&mut fields).filter(|(tag, _)| *tag == 0x30)?.1)?;
        let inside = element(&mut fields)?.1;
        match kind {
            Kind::Rsa => rsa(inside),
            Kind::Ec => ec(inside, &curve),
            Kind::Ed25519 => Some(Key { kind, public: None }),
        }
    };
    rsa(der).or_else(wrapped).or_else(|| ec(der, &[]))
}

/// Whether the texts of a certificate and of a key are what they are to be and belong together; else why not, in Go's words.
pub fn pair(certificate: &str, key: &str) -> Result<(), String> {
    let listed = |blocks: &[Block]| {
        let labels: Vec<&str> = blocks.iter().map(|block| block.label.as_str()).collect();
        format!("[{}]", labels.join(" "))
    };
    let found = blocks(certificate);
    let Some(leaf) = found.iter().find(|block| block.label == "CERTIFICATE") else {
        return Err(match &found[..] {
            [] => "tls: failed to find any PEM data in certificate input".to_owned(),
            [only] if only.label.ends_with("PRIVATE KEY") => {
                "tls: failed to find certificate PEM data in certificate input, but \
                did find a private key; PEM inputs may have been switched"
                    .to_owned()
            }
            several => format!(
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following \
                 types: {}",
                listed(several)
            ),
        });
    };
    let found = blocks(key);
    let is_key = |block: &&Block| block.label == "PRIVATE KEY" || block.label.ends_with(" PRIVATE KEY");
    let Some(secret) = found.iter().find(is_key) else {
        return Err(match &found[..] {
            [] => "tls: failed to find any PEM data in key input".to_owned(),
            [only] if only.label == "CERTIFICATE" => {
                "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
            }
            several => format!(
                "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the \
                 following types: {}",
                listed(several)
            ),
        });
    };
    let certified = certified(&leaf.der).ok_or("x509: malformed certificate")?;
    let private = private(&secret.der).ok_or("tls: failed to parse private key")?;
    if certified.kind != private.kind {
        return Err("tls: private key type does not match public key type".to_owned());
    }
    if private.public.is_some() && certified.public != private.public {
        return Err("tls: private key does not match public key".to_owned());
    }
    Ok(())
}
