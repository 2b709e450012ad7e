//! The encapsulating security payload of `IPsec` (RFC 4303) with AES-GCM as RFC 4106 puts it in.
//!
//! What is on the wire is really encrypted, so whoever looks at it here sees as little as on a real one.
//! [`EspCipher`] closes and opens it.

use super::{Bytes, WireError};
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit, Nonce, Payload as Sealed};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};

/// An ESP packet as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Esp {
    /// Security parameters index, which names the security association to the receiver.
    pub spi: u32,
    /// Sequence number.
    pub seq: u32,
    /// What follows the header: initialization vector, encrypted payload and trailer, integrity check value.
    pub data: Bytes,
}

/// What was inside an ESP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspContent {
    /// What was encrypted, without padding and trailer.
    pub bytes: Vec<u8>,
    /// IP protocol number of it; 4 for a whole IPv4 packet in tunnel mode.
    pub next_header: u8,
}

/// A key of AES-GCM with its salt: `rfc4106(gcm(aes))` with an integrity check value of 128 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct EspCipher {
    key: Vec<u8>,
    salt: [u8; 4],
}

impl std::fmt::Debug for EspCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EspCipher({} bits)", self.key.len() * 8)
    }
}

impl Esp {
    /// Length of the header, in bytes.
    pub const HEADER_LEN: usize = 8;
    /// Length of the initialization vector that stands in front of the encrypted part, in bytes.
    pub const IV_LEN: usize = 8;
    /// Length of the integrity check value at the end, in bytes.
    pub const ICV_LEN: usize = 16;
    /// Payload and trailer fill a multiple of this (RFC 4303 section 2.4).
    pub const ALIGN: usize = 4;
    /// Pad length and next header.
    const TRAILER_LEN: usize = 2;

    pub(super) fn emit_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.spi.to_be_bytes());
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.data);
    }

    pub(super) fn parse_at(bytes: &[u8], base: usize) -> Result<Self, WireError> {
        let Some((header, data)) = bytes.split_first_chunk::<{ Self::HEADER_LEN }>() else {
            return Err(WireError::truncated("ESP", base + bytes.len()));
        };
        let [p0, p1, p2, p3, s0, s1, s2, s3] = *header;
        let spi = u32::from_be_bytes([p0, p1, p2, p3]);
        if spi == 0 {
            return Err(WireError::new("ESP", base, "the SPI 0 is not for packets on a wire"));
        }
        Ok(Self { spi, seq: u32::from_be_bytes([s0, s1, s2, s3]), data: data.into() })
    }

    /// Length of header and data, in bytes.
    pub fn wire_len(&self) -> usize {
        Self::HEADER_LEN + self.data.len()
    }

    /// Length of the packet that carries `len` bytes, in bytes.
    pub fn len_for(len: usize) -> usize {
        let sealed = (len + Self::TRAILER_LEN).next_multiple_of(Self::ALIGN);
        Self::HEADER_LEN + Self::IV_LEN + sealed + Self::ICV_LEN
    }
}

impl EspCipher {
    /// A cipher from key material as `ip xfrm state` takes it: 16, 24 or 32 bytes of key, then 4 of salt.
    pub fn new(material: &[u8]) -> Option<Self> {
        let (key, salt) = material.split_last_chunk::<4>()?;
        matches!(key.len(), 16 | 24 | 32).then(|| Self { key: key.to_vec(), salt: *salt })
    }

    /// Key and salt as they were given.
    pub fn material(&self) -> Vec<u8> {
        [&self.key[..], &self.salt].concat()
    }

    /// Encrypts `content` (RFC 4106 sections 3 to 5): padding counts up from 1, and SPI and sequence number are
    /// authenticated along.
    pub fn seal(&self, (spi, seq): (u32, u32), iv: [u8; Esp::IV_LEN], content: &EspContent) -> Esp {
        let mut plain = content.bytes.clone();
        let padded = (plain.len() + Esp::TRAILER_LEN).next_multiple_of(Esp::ALIGN);
        let padding = padded - plain.len() - Esp::TRAILER_LEN;
        plain.extend(1..=padding as u8);
        plain.extend_from_slice(&[padding as u8, content.next_header]);
        let sealed =
            self.run(iv, (spi, seq), &plain, Way::Seal).expect("a packet is not too long for AES-GCM");
        let mut data = iv.to_vec();
        data.extend_from_slice(&sealed);
        Esp { spi, seq, data: data.into() }
    }

    /// Decrypts a packet; `None` where the integrity check fails or the padding is not as it should be.
    pub fn open(&self, esp: &Esp) -> Option<EspContent> {
        let (iv, sealed) = esp.data.split_first_chunk::<{ Esp::IV_LEN }>()?;
        let mut bytes = self.run(*iv, (esp.spi, esp.seq), sealed, Way::Open)?;
        let next_header = bytes.pop()?;
        let padding = usize::from(bytes.pop()?);
        let rest = bytes.len().checked_sub(padding)?;
        bytes.truncate(rest);
        Some(EspContent { bytes, next_header })
    }

    fn run(&self, iv: [u8; 8], (spi, seq): (u32, u32), msg: &[u8], way: Way) -> Option<Vec<u8>> {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.salt);
        nonce[4..].copy_from_slice(&iv);
        let mut aad = [0; 8];
        aad[..4].copy_from_slice(&spi.to_be_bytes());
        aad[4..].copy_from_slice(&seq.to_be_bytes());
        match self.key.len() {
            16 => run_with::<Aes128Gcm>(&self.key, nonce, &aad, msg, way),
            24 => run_with::<AesGcm<Aes192, U12>>(&self.key, nonce, &aad, msg, way),
            _ => run_with::<Aes256Gcm>(&self.key, nonce, &aad, msg, way),
        }
    }
}

#[derive(Clone, Copy)]
enum Way {
    Seal,
    Open,
}

fn run_with<A>(key: &[u8], nonce: [u8; 12], aad: &[u8], msg: &[u8], way: Way) -> Option<Vec<u8>>
where
    A: KeyInit + Aead + aes_gcm::aead::AeadCore<NonceSize = U12>,
{
    let cipher = A::new_from_slice(key).ok()?;
    let nonce: Nonce<A> = nonce.into();
    let sealed = Sealed { msg, aad };
    match way {
        Way::Seal => cipher.encrypt(&nonce, sealed).ok(),
        Way::Open => cipher.decrypt(&nonce, sealed).ok(),
    }
}
