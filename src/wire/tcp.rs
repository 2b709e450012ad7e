//! TCP (RFC 9293), with the options of RFC 7323 (window scale, timestamps) and RFC 2018 (SACK).

use super::checksum::Pseudo;
use super::{Bytes, WireError};
use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A TCP segment. Data offset and checksum follow from the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tcp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number of the first byte of the data, or of SYN.
    pub seq: u32,
    /// Acknowledgment number; means something only with [`TcpFlags::ACK`].
    pub ack: u32,
    /// The flags, with the reserved bits before them.
    pub flags: TcpFlags,
    /// The window as it stands in the header, not scaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// The options in order; together they fill a multiple of 4 bytes, at most 40. `None` for none.
    pub options: Option<std::sync::Arc<[TcpOption]>>,
    /// The data.
    pub data: Bytes,
}

/// The twelve bits after the data offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(u16);

/// A TCP option.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TcpOption {
    /// Kind 0: the list ends here; what pads the header after it.
    End(Bytes),
    /// Kind 1: fills a byte.
    Nop,
    /// Kind 2: the largest segment the sender wants to receive.
    MaxSegmentSize(u16),
    /// Kind 3: the sender's windows count in units of two to this power.
    WindowScale(u8),
    /// Kind 4: the sender understands selective acknowledgments.
    SackPermitted,
    /// Kind 5: ranges received beyond the acknowledgment number, each from its first sequence number to the one after
    /// its last.
    Sack(Vec<(u32, u32)>),
    /// Kind 8.
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// The clock of the far end as it last came (`TSecr`).
        echo: u32,
    },
    /// Any other kind, also one of the above with a length that it does not provide for.
    Unknown {
        /// Kind.
        kind: u8,
        /// What follows its length.
        data: Bytes,
    },
}

impl TcpFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The sender has finished.
    pub const FIN: Self = Self(1);
    /// Synchronizes sequence numbers.
    pub const SYN: Self = Self(1 << 1);
    /// Resets the connection.
    pub const RST: Self = Self(1 << 2);
    /// Asks that the data be pushed to the application.
    pub const PSH: Self = Self(1 << 3);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(1 << 4);
    /// The urgent pointer counts.
    pub const URG: Self = Self(1 << 5);
    /// Echo of congestion experienced (RFC 3168).
    pub const ECE: Self = Self(1 << 6);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(1 << 7);

    /// The flags of the lower twelve bits of `bits`.
    pub fn from_bits(bits: u16) -> Self {
        Self(bits & 0x0fff)
    }

    /// The twelve bits.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Whether every flag of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether some flag of `other` is set.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for TcpFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Display for TcpFlags {
    /// As tcpdump writes them, `S.` for SYN and ACK.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.to_be_bytes()[1] == 0 {
            return f.write_str("none");
        }
        for (bit, letter) in ["F", "S", "R", "P", ".", "U", "E", "W"].into_iter().enumerate() {
            if self.0 & 1 << bit != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl TcpOption {
    /// Length in bytes.
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Nop => 1,
            Self::End(padding) => 1 + padding.len(),
            Self::SackPermitted => 2,
            Self::WindowScale(_) => 3,
            Self::MaxSegmentSize(_) => 4,
            Self::Timestamps { .. } => 10,
            Self::Sack(blocks) => 2 + 8 * blocks.len(),
            Self::Unknown { data, .. } => 2 + data.len(),
        }
    }

    fn emit_into(&self, out: &mut Vec<u8>) {
        let len = self.wire_len() as u8;
        match self {
            Self::End(padding) => {
                out.push(0);
                out.extend_from_slice(padding);
            }
            Self::Nop => out.push(1),
            Self::MaxSegmentSize(size) => {
                out.extend_from_slice(&[2, len]);
                out.extend_from_slice(&size.to_be_bytes());
            }
            Self::WindowScale(shift) => out.extend_from_slice(&[3, len, *shift]),
            Self::SackPermitted => out.extend_from_slice(&[4, len]),
            Self::Sack(blocks) => {
                out.extend_from_slice(&[5, len]);
                for (first, end) in blocks {
                    out.extend_from_slice(&first.to_be_bytes());
                    out.extend_from_slice(&end.to_be_bytes());
                }
            }
            Self::Timestamps { value, echo } => {
                out.extend_from_slice(&[8, len]);
                out.extend_from_slice(&value.to_be_bytes());
                out.extend_from_slice(&echo.to_be_bytes());
            }
            Self::Unknown { kind, data } => {
                out.extend_from_slice(&[*kind, len]);
                out.extend_from_slice(data);
            }
        }
    }

    /// The options in `bytes`, which lie at `base` in the frame.
    pub(super) fn parse_all(bytes: &[u8], base: usize) -> Result<Vec<Self>, WireError> {
        let error = |at, reason| Err(WireError::new("TCP", base + at, reason));
        let (mut options, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let len = match &bytes[at..] {
                [0, padding @ ..] => {
                    options.push(Self::End(padding.into()));
                    break;
                }
                [1, ..] => {
                    options.push(Self::Nop);
                    1
                }
                [kind, len, ..] if *len >= 2 => {
                    let Some(data) = bytes.get(at + 2..at + usize::from(*len)) else {
                        return error(at + 1, "option is longer than the header");
                    };
                    options.push(Self::of(*kind, data));
                    usize::from(*len)
                }
                [_, _, ..] => return error(at + 1, "option length is less than 2"),
                _ => return error(at, "option without length"),
            };
            at += len;
        }
        Ok(options)
    }

    fn of(kind: u8, data: &[u8]) -> Self {
        let word = |at: usize| u32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
        match (kind, data) {
            (2, [a, b]) => Self::MaxSegmentSize(u16::from_be_bytes([*a, *b])),
            (3, [shift]) => Self::WindowScale(*shift),
            (4, []) => Self::SackPermitted,
            (5, [_, ..]) if data.len().is_multiple_of(8) => {
                Self::Sack((0..data.len()).step_by(8).map(|at| (word(at), word(at + 4))).collect())
            }
            (8, data) if data.len() == 8 => Self::Timestamps { value: word(0), echo: word(4) },
            (kind, data) => Self::Unknown { kind, data: data.into() },
        }
    }
}

impl fmt::Display for TcpOption {
    /// As tcpdump writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End(_) => f.write_str("eol"),
            Self::Nop => f.write_str("nop"),
            Self::MaxSegmentSize(size) => write!(f, "mss {size}"),
            Self::WindowScale(shift) => write!(f, "wscale {shift}"),
            Self::SackPermitted => f.write_str("sackOK"),
            Self::Sack(blocks) => {
                write!(f, "sack {} ", blocks.len())?;
                blocks.iter().try_for_each(|(first, end)| write!(f, "{{{first}:{end}}}"))
            }
            Self::Timestamps { value, echo } => write!(f, "TS val {value} ecr {echo}"),
            Self::Unknown { kind, data } => {
                match *kind {
                    2 => f.write_str("mss")?,
                    3 => f.write_str("wscale")?,
                    4 => f.write_str("sackOK")?,
                    5 => f.write_str("sack")?,
                    8 => f.write_str("TS")?,
                    19 => f.write_str("md5")?,
                    28 => f.write_str("uto")?,
                    29 => f.write_str("tcp-ao")?,
                    30 => f.write_str("mptcp")?,
                    34 => f.write_str("tfo")?,
                    253 | 254 => f.write_str("exp")?,
                    kind => write!(f, "unknown-{kind}")?,
                }
                if !data.is_empty() {
                    f.write_str(" 0x")?;
                }
                data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl Tcp {
    /// Length of the header without options, in bytes.
    pub const HEADER_LEN: usize = 20;

    /// The options, none as an empty list.
    pub fn options(&self) -> &[TcpOption] {
        self.options.as_deref().unwrap_or_default()
    }

    /// Length of the header with its options, in bytes.
    pub fn header_len(&self) -> usize {
        Self::HEADER_LEN + self.options().iter().map(TcpOption::wire_len).sum::<usize>()
    }

    /// Length of the segment, in bytes.
    pub fn wire_len(&self) -> usize {
        self.header_len() + self.data.len()
    }

    /// How far the segment moves the sequence number: its data, and one each for SYN and FIN.
    pub fn seq_len(&self) -> u32 {
        self.data.len() as u32
            + u32::from(self.flags.contains(TcpFlags::SYN))
            + u32::from(self.flags.contains(TcpFlags::FIN))
    }

    /// The pseudo header is needed for the checksum.
    pub(super) fn emit_into(&self, pseudo: Pseudo, out: &mut Vec<u8>) {
        let start = out.len();
        let header_len = self.header_len();
        assert!(
            header_len <= 60 && header_len.is_multiple_of(4),
            "TCP options fill a multiple of 4 bytes, at most 40"
        );
        out.extend_from_slice(&self.src_port.to_be_bytes());
        out.extend_from_slice(&self.dst_port.to_be_bytes());
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.ack.to_be_bytes());
        out.extend_from_slice(&((header_len as u16 / 4) << 12 | self.flags.bits()).to_be_bytes());
        out.extend_from_slice(&self.window.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.urgent.to_be_bytes());
        for option in self.options() {
            option.emit_into(out);
        }
        out.extend_from_slice(&self.data);
        let sum = pseudo.checksum(&out[start..]);
        out[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
    }

    /// Reads a whole segment and checks its checksum.
    pub(super) fn parse_at(bytes: &[u8], base: usize, pseudo: Pseudo) -> Result<Self, WireError> {
        let tcp = Self::read(bytes, base)?;
        if pseudo.checksum(bytes) != 0 {
            return Err(WireError::new("TCP", base + 16, "bad checksum"));
        }
        Ok(tcp)
    }

    /// Reads a segment whose data may be cut, as in a first fragment: the checksum is not looked at.
    pub(super) fn read(bytes: &[u8], base: usize) -> Result<Self, WireError> {
        let Some((header, rest)) = bytes.split_first_chunk::<{ Self::HEADER_LEN }>() else {
            return Err(WireError::truncated("TCP", base + bytes.len()));
        };
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let long =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let header_len = usize::from(header[12] >> 4) * 4;
        if header_len < Self::HEADER_LEN {
            return Err(WireError::new("TCP", base + 12, "header length is less than 20 bytes"));
        }
        let Some((options, data)) = rest.split_at_checked(header_len - Self::HEADER_LEN) else {
            return Err(WireError::truncated("TCP", base + bytes.len()));
        };
        let options = TcpOption::parse_all(options, base + Self::HEADER_LEN)?;
        Ok(Self {
            src_port: word(0),
            dst_port: word(2),
            seq: long(4),
            ack: long(8),
            flags: TcpFlags::from_bits(word(12)),
            window: word(14),
            urgent: word(18),
            options: (!options.is_empty()).then(|| options.into()),
            data: data.into(),
        })
    }
}
