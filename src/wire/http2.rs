//! HTTP/2 on the wire (RFC 9113): frames, and the header blocks that HPACK compresses (RFC 7541).

use httlib_hpack::{Decoder, Encoder};

/// What a client says first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The frame's last of its stream, and header blocks without a continuation (RFC 9113 sections 6.1 and 6.2).
pub const END_STREAM: u8 = 0x1;
/// The header block is whole.
pub const END_HEADERS: u8 = 0x4;
/// Settings or a ping are confirmed.
pub const ACK: u8 = 0x1;
/// Length of a frame's head, in bytes.
const HEAD: usize = 9;
/// The longest frame where nothing else was agreed (`SETTINGS_MAX_FRAME_SIZE`).
pub const MAX_FRAME: usize = 16_384;
/// Size of the table of headers where nothing else was agreed (`SETTINGS_HEADER_TABLE_SIZE`).
const TABLE: u32 = 4096;
/// Fields are looked up in the tables, and go into the table.
const HOW: u8 = Encoder::WITH_INDEXING | Encoder::BEST_FORMAT;

/// Types of frames (RFC 9113 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// Part of a body.
    Data,
    /// A header block.
    Headers,
    /// A stream is given up.
    RstStream,
    /// How the sender wants to be spoken to.
    Settings,
    /// A question whether the far end is there.
    Ping,
    /// No stream is begun any more.
    Goaway,
    /// More may be sent.
    WindowUpdate,
    /// Any other.
    Other(u8),
}

const TYPES: [(u8, FrameType); 7] = [
    (0, FrameType::Data),
    (1, FrameType::Headers),
    (3, FrameType::RstStream),
    (4, FrameType::Settings),
    (6, FrameType::Ping),
    (7, FrameType::Goaway),
    (8, FrameType::WindowUpdate),
];

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameType,
    /// Its flags.
    pub flags: u8,
    /// Number of its stream, 0 for the connection.
    pub stream: u32,
    /// What is in it.
    pub payload: Vec<u8>,
}

/// What came is no frame that may come: longer than agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSizeError;

impl Frame {
    /// A frame.
    pub fn new(kind: FrameType, flags: u8, stream: u32, payload: Vec<u8>) -> Self {
        Self { kind, flags, stream, payload }
    }

    /// Takes a frame from the front of what has come; `None` where it has not all come.
    pub fn take(input: &mut Vec<u8>) -> Result<Option<Self>, FrameSizeError> {
        let &[l1, l2, l3, kind, flags, s1, s2, s3, s4, ..] = input.as_slice() else { return Ok(None) };
        let len = u32::from_be_bytes([0, l1, l2, l3]) as usize;
        if len > MAX_FRAME {
            return Err(FrameSizeError);
        }
        if input.len() < HEAD + len {
            return Ok(None);
        }
        let known = TYPES.iter().find(|(number, _)| *number == kind);
        let kind = known.map_or(FrameType::Other(kind), |(_, kind)| *kind);
        let stream = u32::from_be_bytes([s1 & 0x7f, s2, s3, s4]);
        let payload = input.drain(..HEAD + len).skip(HEAD).collect();
        Ok(Some(Self { kind, flags, stream, payload }))
    }

    /// Appends it as it stands on the wire.
    pub fn write(&self, out: &mut Vec<u8>) {
        let number = match self.kind {
            FrameType::Other(number) => number,
            FrameType::Data
            | FrameType::Headers
            | FrameType::RstStream
            | FrameType::Settings
            | FrameType::Ping
            | FrameType::Goaway
            | FrameType::WindowUpdate => {
                TYPES.iter().find(|(_, kind)| *kind == self.kind).map_or(0, |(number, _)| *number)
            }
        };
        out.extend_from_slice(&(self.payload.len() as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&[number, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&self.payload);
    }
}

/// Fields of a header block, names in lower case.
pub type Fields = Vec<(String, String)>;

/// Writes header blocks. The table that both ends fill cannot be copied, so a copy fills it anew.
#[derive(Clone, Debug, Default)]
pub struct HeaderWriter {
    written: Vec<Fields>,
}

impl HeaderWriter {
    /// The block of these fields.
    pub fn write(&mut self, fields: &[(&str, String)]) -> Vec<u8> {
        self.written.push(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect());
        let mut encoder = Encoder::with_dynamic_size(TABLE);
        let mut block = Vec::new();
        for fields in &self.written {
            block.clear();
            for (name, value) in fields {
                let name_how = if is_shorter(name) { Encoder::HUFFMAN_NAME } else { 0 };
                let value_how = if is_shorter(value) { Encoder::HUFFMAN_VALUE } else { 0 };
                let field =
                    (name.clone().into_bytes(), value.clone().into_bytes(), HOW | name_how | value_how);
                // Only an index that is not in the table is an error, and none is given.
                let _ = encoder.encode(field, &mut block);
            }
        }
        block
    }
}

/// Whether a text is shorter in Huffman's code, which alone lets Go's encoder take it (`appendHpackString`).
fn is_shorter(text: &str) -> bool {
    let len = |how| {
        let mut out = Vec::new();
        // A literal of a new name is never an error.
        let _ = Encoder::default().encode((Vec::new(), text.as_bytes().to_vec(), how), &mut out);
        out.len()
    };
    len(Encoder::HUFFMAN_VALUE) < len(0)
}

/// Reads header blocks. The table that both ends fill cannot be copied, so a copy fills it anew.
#[derive(Clone, Debug, Default)]
pub struct HeaderReader {
    read: Vec<Vec<u8>>,
}

impl HeaderReader {
    /// The fields of a block; `None` where it is none (`COMPRESSION_ERROR`).
    pub fn read(&mut self, block: &[u8]) -> Option<Fields> {
        let mut rest = block;
        while !rest.is_empty() {
            rest = after_field(rest)?;
        }
        self.read.push(block.to_vec());
        let mut decoder = Decoder::with_dynamic_size(TABLE);
        let mut fields = Vec::new();
        for block in &self.read {
            fields.clear();
            decoder.decode(&mut block.clone(), &mut fields).ok()?;
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        fields.into_iter().map(|(name, value, _)| Some((text(name)?, text(value)?))).collect()
    }
}

/// What comes after the first field of a block (RFC 7541 section 6). The crate reads on beyond the end of a block that was
/// cut off, so a block is gone through beforehand.
fn after_field(block: &[u8]) -> Option<&[u8]> {
    let (is_literal, prefix) = match block.first()? {
        0x80.. => (false, 7),
        0x40.. => (true, 6),
        0x20.. => (false, 5),
        _ => (true, 4),
    };
    let (index, rest) = integer(block, prefix)?;
    match (is_literal, index) {
        (false, _) => Some(rest),
        (true, 0) => after_string(after_string(rest)?),
        (true, _) => after_string(rest),
    }
}

fn after_string(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = integer(bytes, 7)?;
    rest.get(len..)
}

/// An integer of up to five octets with so many bits in the first (RFC 7541 section 5.1), and what comes after it.
fn integer(bytes: &[u8], prefix: u8) -> Option<(usize, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let most = (1_usize << prefix) - 1;
    let mut value = usize::from(*first) & most;
    if value < most {
        return Some((value, rest));
    }
    for shift in [0, 7, 14, 21] {
        let (octet, after) = rest.split_first()?;
        value += (usize::from(*octet) & 0x7f) << shift;
        rest = after;
        if octet & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written() {
        let frames = [
            Frame::new(FrameType::Settings, 0, 0, vec![0, 5, 0, 0, 0x40, 0]),
            Frame::new(FrameType::Data, END_STREAM, 1, b"x".to_vec()),
            Frame::new(FrameType::Other(9), 0, 7, Vec::new()),
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes);
        }
        assert_eq!(bytes[..9], [0, 0, 6, 4, 0, 0, 0, 0, 0]);
        let mut part = bytes[..14].to_vec();
        assert_eq!(Frame::take(&mut part), Ok(None));
        for frame in frames {
            assert_eq!(Frame::take(&mut bytes), Ok(Some(frame)));
        }
        assert!(bytes.is_empty());
        assert_eq!(Frame::take(&mut vec![0, 0x40, 1, 0, 0, 0, 0, 0, 0]), Err(FrameSizeError));
    }

    /// The requests of RFC 7541 appendix C.4: Huffman's code, and a table that the first request fills.
    #[test]
    fn header_blocks_are_those_of_the_rfc() {
        let first =
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];
        let own = |fields: &[(&'static str, &str)]| {
            fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
        };
        let second = [&first[..], &[("cache-control", "no-cache")]].concat();
        let expected: [&[u8]; 2] = [
            &[
                0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90,
                0xf4, 0xff,
            ],
            &[0x82, 0x86, 0x84, 0xbe, 0x58, 0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf],
        ];
        let (mut writer, mut reader) = (HeaderWriter::default(), HeaderReader::default());
        for (fields, block) in [own(&first), own(&second)].into_iter().zip(expected) {
            assert_eq!(writer.write(&fields), block);
            let read = reader.read(block).expect("a block");
            assert_eq!(read.iter().map(|(name, value)| (&**name, value.clone())).collect::<Vec<_>>(), fields);
        }
        let tail = writer.write(&own(&[("grpc-status", "0"), ("grpc-message", "")]));
        assert_eq!(tail.last(), Some(&0), "nothing is written as it is");
        assert!(
            tail.windows(2).any(|bytes| bytes == [1, b'0']),
            "a digit is no shorter in the code: {tail:02x?}"
        );
        assert_eq!(reader.read(&[0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn what_is_no_header_block_is_refused() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let block: Vec<u8> = (0..rng.usize(..24)).map(|_| rng.u8(..)).collect();
            let mut reader = HeaderReader::default();
            let _ = reader.read(&block);
        }
        for block in [&[0x00][..], &[0x40, 0x01], &[0x7f, 0x80], &[0x3f], &[0x41, 0x8c, 0xf1]] {
            assert_eq!(HeaderReader::default().read(block), None, "{block:02x?}");
        }
    }
}
