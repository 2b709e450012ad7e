//! ICMP (RFC 792, RFC 1191 for the next-hop MTU, RFC 1812 for the codes of routers).

use super::Bytes;

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
    /// Any other type.
    Other {
        /// Type; none of the above.
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
    /// Length of the message in bytes.
    pub fn wire_len(&self) -> usize {
        8 + match self {
            Self::EchoRequest { data, .. } | Self::EchoReply { data, .. } | Self::Other { data, .. } => {
                data.len()
            }
            Self::DestinationUnreachable { quote, .. } | Self::TimeExceeded { quote, .. } => quote.len(),
        }
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
