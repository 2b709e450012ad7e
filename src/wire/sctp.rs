//! SCTP (RFC 9260) as far as a probe needs it: the common header with its `CRC32c`, and an INIT chunk. There are no SCTP
//! sockets, so a packet stays bytes in the IPv4 body, which this builds and reads.

use super::Bytes;
use std::fmt;

/// IP protocol number.
pub const PROTOCOL: u8 = 132;
/// Length of the common header, in bytes.
const HEADER_LEN: usize = 12;
/// Length of an INIT chunk without parameters, in bytes.
const INIT_LEN: u16 = 20;

/// A packet that asks for an association: common header and INIT chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Init {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Initiate tag, which the far end puts into the packets that it sends; not 0.
    pub tag: u32,
    /// Advertised receiver window, in bytes.
    pub window: u32,
    /// Outbound streams.
    pub outbound: u16,
    /// Inbound streams.
    pub inbound: u16,
    /// Initial transmission sequence number.
    pub tsn: u32,
}

impl Init {
    /// The packet's bytes. The verification tag of an INIT is 0 (section 8.5.1).
    pub fn emit(&self) -> Bytes {
        let mut out = Vec::with_capacity(HEADER_LEN + usize::from(INIT_LEN));
        out.extend_from_slice(&self.src_port.to_be_bytes());
        out.extend_from_slice(&self.dst_port.to_be_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&[1, 0]);
        out.extend_from_slice(&INIT_LEN.to_be_bytes());
        out.extend_from_slice(&self.tag.to_be_bytes());
        out.extend_from_slice(&self.window.to_be_bytes());
        out.extend_from_slice(&self.outbound.to_be_bytes());
        out.extend_from_slice(&self.inbound.to_be_bytes());
        out.extend_from_slice(&self.tsn.to_be_bytes());
        let sum = crc32c(&out).to_le_bytes();
        out[8..12].copy_from_slice(&sum);
        out.into()
    }

    /// Reads a packet whose first chunk is an INIT; `None` for any other, and where the checksum is wrong.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let long = |at: usize| Some(u32::from(word(at)?) << 16 | u32::from(word(at + 2)?));
        let mut zeroed = bytes.to_vec();
        zeroed.get_mut(8..12)?.fill(0);
        let sum = crc32c(&zeroed).to_le_bytes();
        if bytes.get(8..12)? != sum || *bytes.get(HEADER_LEN)? != 1 {
            return None;
        }
        Some(Self {
            src_port: word(0)?,
            dst_port: word(2)?,
            tag: long(16)?,
            window: long(20)?,
            outbound: word(24)?,
            inbound: word(26)?,
            tsn: long(28)?,
        })
    }
}

impl fmt::Display for Init {
    /// As tcpdump prints it behind the addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, window, outbound, inbound, tsn, .. } = self;
        write!(
            f,
            "sctp (1) [INIT] [init tag: {tag}] [rwnd: {window}] [OS: {outbound}] [MIS: {inbound}] [init TSN: {tsn}]"
        )
    }
}

/// `CRC32c` (appendix A), bit by bit: probes are short.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn an_init_is_read_back() {
        let init = Init {
            src_port: 4000,
            dst_port: 80,
            tag: 7,
            window: 106_496,
            outbound: 10,
            inbound: 65_535,
            tsn: 9,
        };
        let bytes = init.emit();
        assert_eq!((bytes.len(), Init::read(&bytes)), (32, Some(init)));
        let mut broken = bytes.to_vec();
        broken[20] ^= 1;
        assert_eq!(Init::read(&broken), None);
        assert_eq!(
            init.to_string(),
            "sctp (1) [INIT] [init tag: 7] [rwnd: 106496] [OS: 10] [MIS: 65535] [init TSN: 9]"
        );
    }
}
