//! Records of TLS as an observer sees them (RFC 8446 section 5): their headers, and of the handshake what is not
//! encrypted. Nothing is decrypted here.

/// `ContentType`: messages of the handshake.
pub const HANDSHAKE: u8 = 22;
/// `ContentType` of everything that is encrypted in TLS 1.3.
pub const APPLICATION_DATA: u8 = 23;
/// `HandshakeType`.
const CLIENT_HELLO: u8 = 1;
/// The extension that names application protocols (RFC 7301).
const ALPN: u16 = 16;
/// The extension that names a host (RFC 6066).
const SERVER_NAME: u16 = 0;
/// Most bytes of an encrypted record.
const RECORD_MAX: usize = 16_384 + 256;
const HEADER: usize = 5;

/// A record, of which the end may lie in another segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'d> {
    /// `ContentType`.
    pub kind: u8,
    /// `legacy_record_version`.
    pub version: u16,
    /// Bytes that the header tells.
    pub len: usize,
    /// Those of them that are here.
    pub body: &'d [u8],
}

/// A message of the handshake that is not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'d> {
    /// `HandshakeType`.
    pub kind: u8,
    /// Bytes that its header tells.
    pub len: usize,
    /// Those of them that are here.
    pub body: &'d [u8],
}

/// The records that begin one after the other at the beginning of `data`; none where it does not begin with one.
pub fn records(data: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (header, body) = rest.split_at_checked(HEADER)?;
        let (kind, version) = (header[0], u16::from_be_bytes([header[1], header[2]]));
        let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if !(20..=23).contains(&kind) || !(0x0301..=0x0304).contains(&version) || len > RECORD_MAX {
            return None;
        }
        let (body, after) = body.split_at(len.min(body.len()));
        rest = after;
        Some(Record { kind, version, len, body })
    })
}

impl<'d> Record<'d> {
    /// The name of its kind.
    pub fn name(&self) -> &'static str {
        match self.kind {
            20 => "ChangeCipherSpec",
            21 => "Alert",
            HANDSHAKE => "Handshake",
            _ => "Application Data",
        }
    }

    /// The messages in it, where it is of the handshake.
    pub fn messages(&self) -> impl Iterator<Item = Message<'d>> {
        let mut rest = if self.kind == HANDSHAKE { self.body } else { &[] };
        std::iter::from_fn(move || {
            let (header, body) = rest.split_at_checked(4)?;
            let len = usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]);
            let (body, after) = body.split_at(len.min(body.len()));
            rest = after;
            Some(Message { kind: header[0], len, body })
        })
    }

    /// The description of an alert that is not encrypted.
    pub fn alert(&self) -> Option<u8> {
        if self.kind == 21 && self.len == 2 { self.body.get(1).copied() } else { None }
    }

    /// What it is, for one who does not have the keys: `ClientHello`, `Application Data`.
    pub fn summary(&self) -> String {
        let names: Vec<&str> = self.messages().map(|message| message.name()).collect();
        match self.alert() {
            Some(number) => format!("Alert {}", alert_name(number)),
            None if names.is_empty() => self.name().to_owned(),
            None => names.join(", "),
        }
    }
}

impl Message<'_> {
    /// The name of its kind (RFC 8446 section 4).
    pub fn name(&self) -> &'static str {
        match self.kind {
            1 => "ClientHello",
            2 => "ServerHello",
            4 => "NewSessionTicket",
            8 => "EncryptedExtensions",
            11 => "Certificate",
            13 => "CertificateRequest",
            15 => "CertificateVerify",
            20 => "Finished",
            _ => "Handshake",
        }
    }

    /// The extension of this number in a `ClientHello`, if all of it is here.
    fn client_extension(&self, wanted: u16) -> Option<&[u8]> {
        if self.kind != CLIENT_HELLO {
            return None;
        }
        // legacy_version and random, then three vectors with lengths of one, two and one bytes.
        let mut rest = self.body.get(34..)?;
        for width in [1, 2, 1] {
            let (_, after) = vector(rest, width)?;
            rest = after;
        }
        let (mut extensions, _) = vector(rest, 2)?;
        while extensions.len() >= 4 {
            let kind = u16::from_be_bytes([extensions[0], extensions[1]]);
            let (body, after) = vector(&extensions[2..], 2)?;
            if kind == wanted {
                return Some(body);
            }
            extensions = after;
        }
        None
    }

    /// The application protocols that a `ClientHello` offers.
    pub fn alpn(&self) -> Vec<String> {
        let list = self.client_extension(ALPN).and_then(|body| vector(body, 2));
        let mut rest = list.map_or(&[][..], |(list, _)| list);
        let mut names = Vec::new();
        while let Some((name, after)) = vector(rest, 1) {
            names.push(String::from_utf8_lossy(name).into_owned());
            rest = after;
        }
        names
    }

    /// The host that a `ClientHello` names.
    pub fn server_name(&self) -> Option<String> {
        let (list, _) = vector(self.client_extension(SERVER_NAME)?, 2)?;
        let (name, _) = vector(list.get(1..)?, 2)?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

/// A vector with its length in `width` bytes in front, and what comes after it.
fn vector(bytes: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_at_checked(width)?;
    let len = len.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(len)
}

/// The name of an alert (RFC 8446 section 6).
pub fn alert_name(number: u8) -> &'static str {
    match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        80 => "internal_error",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "alert",
    }
}
