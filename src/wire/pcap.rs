//! Files of captured packets as libpcap writes them, version 2.4, little-endian.

/// Link types (`LINKTYPE_*`).
pub const LINK_ETHERNET: u32 = 1;
/// Packets without a link header.
pub const LINK_RAW: u32 = 101;
/// Cooked headers, version 2.
pub const LINK_SLL2: u32 = 276;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const HEADER_LEN: usize = 24;
const RECORD_LEN: usize = 16;

/// The head of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether fractions of a second are counted in nanoseconds.
    pub nanoseconds: bool,
    /// How many bytes of a packet were taken at most.
    pub snaplen: u32,
    /// Kind of link header.
    pub link: u32,
}

/// A packet of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Seconds since 1970.
    pub secs: u32,
    /// Nanoseconds.
    pub nanos: u32,
    /// Length on the wire.
    pub length: u32,
    /// What was taken of it.
    pub bytes: Vec<u8>,
}

impl Header {
    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let magic = if self.nanoseconds { NANOSECONDS } else { MICROSECONDS };
        let words = [magic, 2 | 4 << 16, 0, 0, self.snaplen, self.link];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Appends a packet.
    pub fn append(&self, out: &mut Vec<u8>, record: &Record) {
        let fraction = if self.nanoseconds { record.nanos } else { record.nanos / 1000 };
        for word in [record.secs, fraction, record.bytes.len() as u32, record.length] {
            out.extend(word.to_le_bytes());
        }
        out.extend(&record.bytes);
    }

    /// Reads the head of a file; otherwise what libpcap says.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let cut = |wanted: usize, got: usize| {
            format!("truncated dump file; tried to read {wanted} file header bytes, only got {got}")
        };
        let word = |at: usize| word(bytes, at);
        let magic = word(0).ok_or_else(|| cut(4, bytes.len()))?;
        if magic != MICROSECONDS && magic != NANOSECONDS {
            return Err("unknown file format".to_owned());
        }
        let rest = || cut(HEADER_LEN, bytes.len() - 4);
        let (snaplen, link) = word(16).zip(word(20)).ok_or_else(rest)?;
        Ok(Self { nanoseconds: magic == NANOSECONDS, snaplen, link })
    }

    /// The packets of a file, and what libpcap says where it ends too early.
    pub fn records(&self, file: &[u8]) -> (Vec<Record>, Option<String>) {
        let mut rest = file.get(HEADER_LEN..).unwrap_or_default();
        let mut records = Vec::new();
        while !rest.is_empty() {
            let Some([secs, fraction, taken, length]) = record_head(rest) else {
                let text = format!("tried to read {RECORD_LEN} header bytes, only got {}", rest.len());
                return (records, Some(format!("truncated dump file; {text}")));
            };
            rest = &rest[RECORD_LEN..];
            let Some(bytes) = rest.get(..taken as usize) else {
                let text = format!("tried to read {taken} captured bytes, only got {}", rest.len());
                return (records, Some(format!("truncated dump file; {text}")));
            };
            let nanos = if self.nanoseconds { fraction } else { fraction.saturating_mul(1000) };
            records.push(Record { secs, nanos, length, bytes: bytes.to_vec() });
            rest = &rest[bytes.len()..];
        }
        (records, None)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

fn record_head(bytes: &[u8]) -> Option<[u32; 4]> {
    Some([word(bytes, 0)?, word(bytes, 4)?, word(bytes, 8)?, word(bytes, 12)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for nanoseconds in [false, true] {
            let header = Header { nanoseconds, snaplen: 262_144, link: LINK_ETHERNET };
            let record = Record { secs: 1, nanos: 2000, length: 60, bytes: vec![1, 2, 3] };
            let mut file = header.emit();
            header.append(&mut file, &record);
            assert_eq!(Header::parse(&file), Ok(header));
            assert_eq!(header.records(&file), (vec![record], None));
            let cut = "truncated dump file; tried to read 3 captured bytes, only got 2";
            assert_eq!(header.records(&file[..file.len() - 1]), (vec![], Some(cut.to_owned())));
        }
    }

    #[test]
    fn what_is_no_file_is_refused_as_libpcap_does() {
        let cut = |text: &str| Err(format!("truncated dump file; tried to read {text}"));
        assert_eq!(Header::parse(b""), cut("4 file header bytes, only got 0"));
        assert_eq!(Header::parse(b"hello"), Err("unknown file format".to_owned()));
        let header = Header { nanoseconds: false, snaplen: 1, link: 1 };
        assert_eq!(Header::parse(&header.emit()[..10]), cut("24 file header bytes, only got 6"));
    }
}
