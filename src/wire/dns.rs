//! DNS messages (RFC 1035 section 4) with the EDNS pseudo-record (RFC 6891), to bytes and back.

mod encode;

pub use encode::EncodeError;

use super::WireError;
use crate::base::dns::{Question, RData, Rcode, Record, Type, name_of};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Length of the header in bytes.
const HEADER_LEN: usize = 12;
/// Class `IN`.
pub const CLASS_IN: u16 = 1;
/// Number of the pseudo-record's type.
const OPT: u16 = 41;
/// Most compression pointers that are followed in one name.
const POINTERS_MAX: usize = 126;

/// A bit of the header's second word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag(u16);

/// It is a response.
pub const QR: Flag = Flag(0x8000);
/// The server is the authority.
pub const AA: Flag = Flag(0x0400);
/// Something was left out for want of room.
pub const TC: Flag = Flag(0x0200);
/// Recursion is wanted.
pub const RD: Flag = Flag(0x0100);
/// Recursion can be had.
pub const RA: Flag = Flag(0x0080);
/// A bit that has no meaning.
pub const Z: Flag = Flag(0x0040);
/// The data is authentic (RFC 4035).
pub const AD: Flag = Flag(0x0020);
/// Checking is not wanted (RFC 4035).
pub const CD: Flag = Flag(0x0010);

/// The EDNS pseudo-record (RFC 6891).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edns {
    /// Largest UDP payload that the sender takes, in bytes.
    pub udp_size: u16,
    /// Version.
    pub version: u8,
    /// Whether DNSSEC records are wanted (DO, RFC 3225).
    pub dnssec_ok: bool,
    /// Options: code and data.
    pub options: Vec<(u16, Vec<u8>)>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Identifier, by which an answer is told.
    pub id: u16,
    /// Flags as bits of the header's second word, without opcode and response code.
    flags: u16,
    /// Kind of query; 0 for a standard one.
    pub opcode: u8,
    /// Response code.
    pub rcode: Rcode,
    /// Class of the questions.
    pub class: u16,
    /// Questions.
    pub questions: Vec<Question>,
    /// Answer section.
    pub answer: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section, without the pseudo-record.
    pub additional: Vec<Record>,
    /// The pseudo-record.
    pub edns: Option<Edns>,
}

impl Message {
    /// A query with recursion wanted.
    pub fn query(id: u16, question: Question) -> Self {
        Self {
            id,
            flags: RD.0,
            opcode: 0,
            rcode: Rcode::NoError,
            class: CLASS_IN,
            questions: vec![question],
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            edns: None,
        }
    }

    /// An empty response to this message: its identifier, question, opcode and the flags that are copied.
    #[must_use]
    pub fn reply(&self) -> Self {
        let flags = QR.0 | self.flags & (RD.0 | CD.0);
        let questions = self.questions.iter().take(1).cloned().collect();
        let empty = Vec::new;
        Self {
            flags,
            rcode: Rcode::NoError,
            questions,
            answer: empty(),
            authority: empty(),
            additional: empty(),
            edns: None,
            ..*self
        }
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags & flag.0 != 0
    }

    /// Sets a flag or clears it.
    pub fn set(&mut self, flag: Flag, value: bool) {
        if value {
            self.flags |= flag.0;
        } else {
            self.flags &= !flag.0;
        }
    }

    /// Its bytes. Names are compressed (RFC 1035 section 4.1.4) where `compress` says so.
    pub fn to_bytes(&self, compress: bool) -> Result<Vec<u8>, EncodeError> {
        encode::message(self, compress)
    }

    /// Reads a whole message.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader { bytes, at: 0 };
        let id = reader.word()?;
        let bits = reader.word()?;
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = reader.word()?;
        }
        let (mut questions, mut class) = (Vec::new(), CLASS_IN);
        for _ in 0..counts[0] {
            let name = reader.name()?;
            let kind = Type::of_number(reader.word()?);
            class = reader.word()?;
            questions.push(Question { name, kind });
        }
        let mut message = Self {
            id,
            flags: bits & 0x87f0,
            opcode: (bits >> 11) as u8 & 0xf,
            rcode: Rcode::of_number(bits as u8 & 0xf),
            class,
            questions,
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            edns: None,
        };
        for (section, count) in counts.iter().enumerate().skip(1) {
            for _ in 0..*count {
                reader.record(&mut message, section)?;
            }
        }
        Ok(message)
    }

    /// Cuts a response to `most` bytes as `dns.Msg.Truncate` of the library that CoreDNS uses does: whole if it fits
    /// uncompressed, else compressed and, record by record, what fits. Whether it is to be compressed.
    pub fn truncate(&mut self, most: usize) -> Result<bool, EncodeError> {
        let most = most.max(512);
        if self.to_bytes(false)?.len() <= most {
            return Ok(false);
        }
        if self.to_bytes(true)?.len() <= most {
            return Ok(true);
        }
        self.set(TC, true);
        for section in [3, 2, 1] {
            loop {
                let records = match section {
                    1 => &mut self.answer,
                    2 => &mut self.authority,
                    _ => &mut self.additional,
                };
                if records.pop().is_none() {
                    break;
                }
                if self.to_bytes(true)?.len() <= most {
                    return Ok(true);
                }
            }
        }
        Ok(true)
    }
}

/// A message being read.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn wrong(&self, reason: &'static str) -> WireError {
        WireError::new("DNS", self.at, reason)
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], WireError> {
        let end = self.at + len;
        let taken = self.bytes.get(self.at..end);
        let taken = taken.ok_or_else(|| WireError::truncated("DNS", self.bytes.len()))?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        Ok(self.take(1)?[0])
    }

    fn word(&mut self) -> Result<u16, WireError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn long(&mut self) -> Result<u32, WireError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A name. Pointers lead backwards only, so that reading ends.
    fn name(&mut self) -> Result<String, WireError> {
        let mut found: Vec<&[u8]> = Vec::new();
        let mut after = None;
        let (mut len, mut pointers) = (1, 0);
        loop {
            let start = self.at;
            let first = self.byte()?;
            match first {
                0 => break,
                1..=63 => {
                    let label = self.take(usize::from(first))?;
                    len += label.len() + 1;
                    if len > crate::base::dns::NAME_MAX {
                        return Err(self.wrong("name of more than 255 bytes"));
                    }
                    found.push(label);
                }
                0xc0.. => {
                    let place = usize::from(first & 0x3f) << 8 | usize::from(self.byte()?);
                    after = after.or(Some(self.at));
                    pointers += 1;
                    if place >= start || pointers > POINTERS_MAX {
                        return Err(self.wrong("compression pointer that does not lead back"));
                    }
                    self.at = place;
                }
                _ => return Err(self.wrong("label of an unknown kind")),
            }
        }
        if let Some(after) = after {
            self.at = after;
        }
        Ok(name_of(found))
    }

    /// A record into section 1 to 3 of the message; the pseudo-record goes to its own place.
    fn record(&mut self, message: &mut Message, section: usize) -> Result<(), WireError> {
        let owner = self.name()?;
        let number = self.word()?;
        let class = self.word()?;
        let ttl = self.long()?;
        let length = usize::from(self.word()?);
        let end = self.at + length;
        if end > self.bytes.len() {
            return Err(WireError::truncated("DNS", self.bytes.len()));
        }
        if number == OPT {
            if section != 3 || message.edns.is_some() || owner != "." {
                return Err(self.wrong("pseudo-record at the wrong place"));
            }
            message.edns = Some(self.edns(class, ttl, end)?);
            let upper = (ttl >> 24) as u8;
            // Twelve bits do not fit the type; codes above 255 are not in use.
            message.rcode = Rcode::of_number(message.rcode.number() | upper << 4);
            return Ok(());
        }
        if class != CLASS_IN {
            return Err(self.wrong("record of a class other than IN"));
        }
        let data = self.data(number, end)?;
        if self.at != end {
            return Err(self.wrong("record data of the wrong length"));
        }
        let records = match section {
            1 => &mut message.answer,
            2 => &mut message.authority,
            _ => &mut message.additional,
        };
        records.push(Record { owner, ttl, data });
        Ok(())
    }

    fn data(&mut self, number: u16, end: usize) -> Result<RData, WireError> {
        Ok(match Type::of_number(number) {
            Type::A => {
                let bytes = self.take(4)?;
                RData::A(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
            }
            Type::Aaaa => {
                let mut octets = [0; 16];
                octets.copy_from_slice(self.take(16)?);
                RData::Aaaa(Ipv6Addr::from(octets))
            }
            Type::Cname => RData::Cname(self.name()?),
            Type::Ptr => RData::Ptr(self.name()?),
            Type::Ns => RData::Ns(self.name()?),
            Type::Mx => RData::Mx(self.word()?, self.name()?),
            Type::Srv => RData::Srv(self.word()?, self.word()?, self.word()?, self.name()?),
            Type::Soa => {
                let (server, mailbox) = (self.name()?, self.name()?);
                let mut numbers = [0; 5];
                for number in &mut numbers {
                    *number = self.long()?;
                }
                RData::Soa(server, mailbox, numbers)
            }
            Type::Txt => {
                let mut texts = Vec::new();
                while self.at < end {
                    let len = usize::from(self.byte()?);
                    texts.push(self.take(len)?.to_vec());
                }
                RData::Txt(texts)
            }
            Type::Other(number) => RData::Other(number, self.take(end - self.at)?.to_vec()),
        })
    }

    fn edns(&mut self, class: u16, ttl: u32, end: usize) -> Result<Edns, WireError> {
        let mut options = Vec::new();
        while self.at < end {
            let code = self.word()?;
            let len = usize::from(self.word()?);
            options.push((code, self.take(len)?.to_vec()));
        }
        if self.at != end {
            return Err(self.wrong("option that runs over its record"));
        }
        Ok(Edns { udp_size: class, version: (ttl >> 16) as u8, dnssec_ok: ttl & 0x8000 != 0, options })
    }
}

/// The name at byte `at` of a message, compression pointers followed.
pub fn name_at(message: &[u8], at: usize) -> Result<String, WireError> {
    Reader { bytes: message, at }.name()
}

/// Whether bytes begin with a DNS header that announces a question or a record, so that they may be one.
pub fn looks_like(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER_LEN && bytes[4..HEADER_LEN].iter().any(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: Type) -> Question {
        Question { name: name.to_owned(), kind }
    }

    #[test]
    fn a_query_has_the_bytes_of_the_standard() {
        let bytes = Message::query(0x1234, question("a.bc.", Type::Aaaa)).to_bytes(true).unwrap();
        assert_eq!(bytes, *b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01a\x02bc\0\0\x1c\0\x01");
    }

    #[test]
    fn names_that_come_again_are_compressed() {
        let mut message = Message::query(1, question("a.example.", Type::A)).reply();
        message.answer.push(Record::address("a.example.", 5, "10.0.0.1".parse().unwrap()));
        message.answer.push(Record {
            owner: "b.example.".to_owned(),
            ttl: 5,
            data: RData::Srv(0, 1, 80, "a.example.".to_owned()),
        });
        let (short, long) = (message.to_bytes(true).unwrap(), message.to_bytes(false).unwrap());
        // The owner becomes a pointer of two bytes, and of the second one only the last label is left out.
        assert_eq!(long.len() - short.len(), (11 - 2) + (9 - 2));
        assert_eq!(Message::parse(&short).unwrap(), message);
        assert_eq!(Message::parse(&long).unwrap(), message);
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_said_so() {
        let mut message = Message::query(1, question("many.example.", Type::A)).reply();
        for number in 0..40 {
            message.answer.push(Record::address("many.example.", 5, [10, 0, 0, number].into()));
        }
        let mut fits = message.clone();
        assert_eq!((fits.truncate(4096), fits.has(TC), fits.answer.len()), (Ok(false), false, 40));
        let mut cut = message.clone();
        assert_eq!((cut.truncate(512), cut.has(TC), cut.answer.len()), (Ok(true), true, 30));
        let mut compressed = message;
        assert_eq!((compressed.truncate(700), compressed.has(TC)), (Ok(true), false));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let good = Message::query(1, question("a.", Type::A)).to_bytes(false).unwrap();
        for len in 0..good.len() {
            assert!(Message::parse(&good[..len]).is_err(), "{len}");
        }
        // A pointer to itself.
        let mut bad = good[..12].to_vec();
        bad.extend_from_slice(b"\xc0\x0c\0\x01\0\x01");
        assert!(Message::parse(&bad).is_err());
    }
}
