//! ICMP (RFC 792, RFC 1191 for the next-hop MTU, RFC 1812 for the codes of routers).

use super::{Bytes, WireError, checksum};

/// An ICMP message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Icmp {
    /// Type 8.
    EchoRequest {
        /// Identifier; for Linux the ping socket's number.
        id: u16,
        /// Sequence number.
        seq: u16,
        /// Data to be echoed.
        data: Bytes,
    },
    /// Type 0.
    EchoReply {
        /// Identifier of the request.
        id: u16,
        /// Sequence number of the request.
        seq: u16,
        /// Data of the request.
        data: Bytes,
    },
    /// Type 3.
    DestinationUnreachable {
        /// 0 net, 1 host, 2 protocol, 3 port, 4 fragmentation needed, 13 administratively prohibited …
        code: u8,
        /// Next-hop MTU with code 4 (RFC 1191 section 4), else 0.
        mtu: u16,
        /// The packet that could not be delivered, from its IPv4 header on, cut to what was quoted.
        quote: Bytes,
    },
    /// Type 11.
    TimeExceeded {
        /// 0 in transit, 1 in reassembly.
        code: u8,
        /// The packet that ran out of time, from its IPv4 header on, cut to what was quoted.
        quote: Bytes,
    },
    /// Any other message, also one of the types above with a code or unused bytes that they do not provide for.
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The four bytes after the checksum.
        rest: [u8; 4],
        /// What follows the first 8 bytes.
        data: Bytes,
    },
}

impl Icmp {
    /// Length of the header, in bytes.
    pub const HEADER_LEN: usize = 8;

    /// The four bytes after the checksum.
    fn rest(&self) -> [u8; 4] {
        match self {
            Self::EchoRequest { id, seq, .. } | Self::EchoReply { id, seq, .. } => {
                let ([a, b], [c, d]) = (id.to_be_bytes(), seq.to_be_bytes());
                [a, b, c, d]
            }
            Self::DestinationUnreachable { mtu, .. } => {
                let [a, b] = mtu.to_be_bytes();
                [0, 0, a, b]
            }
            Self::TimeExceeded { .. } => [0; 4],
            Self::Other { rest, .. } => *rest,
        }
    }

    /// What follows the header: the data echoed, or the packet quoted.
    pub fn data(&self) -> &Bytes {
        match self {
            Self::EchoRequest { data, .. } | Self::EchoReply { data, .. } | Self::Other { data, .. } => data,
            Self::DestinationUnreachable { quote, .. } | Self::TimeExceeded { quote, .. } => quote,
        }
    }

    pub(super) fn emit_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let (kind, code) = self.kind_and_code();
        out.extend_from_slice(&[kind, code, 0, 0]);
        out.extend_from_slice(&self.rest());
        out.extend_from_slice(self.data());
        let sum = checksum::of(&out[start..]);
        out[start + 2..start + 4].copy_from_slice(&sum.to_be_bytes());
    }

    /// What an error quotes stays bytes: it is cut, and its checksums need not be right.
    pub(super) fn parse_at(bytes: &[u8], base: usize) -> Result<Self, WireError> {
        let Some((header, data)) = bytes.split_first_chunk::<{ Self::HEADER_LEN }>() else {
            return Err(WireError::truncated("ICMP", base + bytes.len()));
        };
        if checksum::of(bytes) != 0 {
            return Err(WireError::new("ICMP", base + 2, "bad checksum"));
        }
        let [kind, code, _, _, a, b, c, d] = *header;
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let data = Bytes::from(data);
        Ok(match (kind, code, high, low) {
            (8, 0, id, seq) => Self::EchoRequest { id, seq, data },
            (0, 0, id, seq) => Self::EchoReply { id, seq, data },
            (3, 4, 0, mtu) => Self::DestinationUnreachable { code, mtu, quote: data },
            (3, _, 0, 0) => Self::DestinationUnreachable { code, mtu: 0, quote: data },
            (11, _, 0, 0) => Self::TimeExceeded { code, quote: data },
            _ => Self::Other { kind, code, rest: [a, b, c, d], data },
        })
    }

    /// Length of the message in bytes.
    pub fn wire_len(&self) -> usize {
        Self::HEADER_LEN + self.data().len()
    }

    /// Type and code.
    pub fn kind_and_code(&self) -> (u8, u8) {
        match self {
            Self::EchoReply { .. } => (0, 0),
            Self::DestinationUnreachable { code, .. } => (3, *code),
            Self::EchoRequest { .. } => (8, 0),
            Self::TimeExceeded { code, .. } => (11, *code),
            Self::Other { kind, code, .. } => (*kind, *code),
        }
    }

    /// Whether this reports an error about another packet (`icmp_pointers[type].error`).
    pub fn is_error(&self) -> bool {
        matches!(self.kind_and_code().0, 3 | 4 | 5 | 11 | 12)
    }
}
