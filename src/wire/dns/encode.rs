//! DNS messages to bytes: hickory-proto writes the header, each question and each record, with names in full.
//!
//! Pointers are put in here. hickory-proto's own compression ends after 120 names of a message and looks for 64 of them
//! only, where the library that CoreDNS uses goes on to the end of a message, as a transferred zone shows.

use super::{AA, AD, CD, Edns, Message, QR, RA, RD, TC, Z};
use crate::base::dns::{NameError, RData, Record, labels};
use hickory_proto::ProtoError;
use hickory_proto::op::{Header, HeaderCounts, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, NULL, OPT, PTR, SOA, SRV, TXT, opt::EdnsOption};
use hickory_proto::rr::{self, DNSClass, Name, RecordData, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use std::collections::BTreeMap;
use std::fmt;

/// Where the header keeps the bit [`Z`], which hickory-proto leaves zero.
const Z_BYTE: usize = 3;
/// A compression pointer reaches so far (RFC 1035 section 4.1.4).
const POINTER_MAX: usize = 0x3fff;
/// Type, class, TTL and length of a record, in bytes.
const FIXED_LEN: usize = 10;
/// Longest string of a `TXT` record in bytes.
const STRING_MAX: usize = 255;

/// Why a message has no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A name is none.
    Name(NameError),
    /// A record has more than the 65535 bytes of a message over TCP (RFC 1035 section 4.2.2).
    LongRecord,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::LongRecord => f.write_str("record of more than 65535 bytes"),
        }
    }
}

impl From<NameError> for EncodeError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

/// The bytes of a message. Names are compressed (RFC 1035 section 4.1.4) where `compress` says so.
pub(super) fn message(message: &Message, compress: bool) -> Result<Vec<u8>, EncodeError> {
    let mut out =
        Writer { bytes: Vec::with_capacity(512), piece: Vec::new(), known: compress.then(BTreeMap::new) };
    out.write(&header(message))?;
    out.bytes.append(&mut out.piece);
    if message.has(Z) {
        out.bytes[Z_BYTE] |= Z.0 as u8;
    }
    for question in &message.questions {
        let mut query = Query::query(name(&question.name)?, question.kind.number().into());
        query.query_class = message.class.into();
        out.write(&query)?;
        out.append_question();
    }
    for record in message.answer.iter().chain(&message.authority).chain(&message.additional) {
        out.record(record)?;
    }
    if let Some(edns) = &message.edns {
        out.write(&pseudo_record(edns, message.rcode.number() >> 4))?;
        out.append_record((0, 0, false));
    }
    Ok(out.bytes)
}

fn header(message: &Message) -> Header {
    let kind = if message.has(QR) { MessageType::Response } else { MessageType::Query };
    let mut metadata = Metadata::new(message.id, kind, OpCode::from_u8(message.opcode & 0xf));
    metadata.authoritative = message.has(AA);
    metadata.truncation = message.has(TC);
    metadata.recursion_desired = message.has(RD);
    metadata.recursion_available = message.has(RA);
    metadata.authentic_data = message.has(AD);
    metadata.checking_disabled = message.has(CD);
    metadata.response_code = ResponseCode::from_low(message.rcode.number());
    let counts = HeaderCounts {
        queries: message.questions.len() as u16,
        answers: message.answer.len() as u16,
        authorities: message.authority.len() as u16,
        additionals: (message.additional.len() + usize::from(message.edns.is_some())) as u16,
    };
    Header { metadata, counts }
}

fn name(text: &str) -> Result<Name, EncodeError> {
    let root = Ok(Name::root());
    let name = labels(text)?.iter().fold(root, |name, label| name?.append_label(label.as_slice()));
    name.map_err(|_| EncodeError::Name(NameError::LongName))
}

/// A text as strings of at most 255 bytes each; an empty one is a string as well.
fn strings(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let empty = text.is_empty().then_some(text);
    empty.into_iter().chain(text.chunks(STRING_MAX))
}

/// Data of any other type, which stand for themselves (RFC 3597). hickory-proto's `RData` can hold them too, and brings
/// along what writes TSIG, with the tables of IDNA.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Opaque(RecordType, Vec<u8>);

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\\# {}", self.1.len())
    }
}

impl BinEncodable for Opaque {
    fn emit(&self, encoder: &mut BinEncoder<'_>) -> Result<(), ProtoError> {
        encoder.emit_vec(&self.1)
    }
}

impl RecordData for Opaque {
    fn try_borrow(_: &rr::RData) -> Option<&Self> {
        None
    }

    fn record_type(&self) -> RecordType {
        self.0
    }

    fn into_rdata(self) -> rr::RData {
        let mut rdata = NULL::new();
        rdata.anything = self.1;
        rr::RData::Unknown { code: self.0, rdata }
    }
}

/// The pseudo-record with the upper bits of the response code. hickory-proto's own `Edns` would raise sizes below 512.
fn pseudo_record(edns: &Edns, upper: u8) -> rr::Record<OPT> {
    let option = |(code, data): &(u16, Vec<u8>)| ((*code).into(), EdnsOption::Unknown(*code, data.clone()));
    let options = OPT::new(edns.options.iter().map(option).collect());
    let ttl = u32::from_be_bytes([upper, edns.version, if edns.dnssec_ok { 0x80 } else { 0 }, 0]);
    let mut record = rr::Record::from_rdata(Name::root(), ttl, options);
    record.dns_class = DNSClass::from(edns.udp_size);
    record
}

/// Names within a record's data: bytes before them, their number, and whether they are compressed.
type Within = (usize, usize, bool);

/// A message being put together from pieces. `known` holds the names that stand in it, as wire bytes with their
/// places, where compression is wanted.
struct Writer {
    bytes: Vec<u8>,
    piece: Vec<u8>,
    known: Option<BTreeMap<Vec<u8>, usize>>,
}

impl Writer {
    /// Has hickory-proto write the next piece.
    fn write(&mut self, item: &impl BinEncodable) -> Result<(), EncodeError> {
        self.piece.clear();
        let mut encoder = BinEncoder::new(&mut self.piece);
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        item.emit(&mut encoder).map_err(|_| EncodeError::LongRecord)
    }

    fn record(&mut self, record: &Record) -> Result<(), EncodeError> {
        match &record.data {
            RData::A(address) => self.with_data(record, A(*address), (0, 0, false)),
            RData::Aaaa(address) => self.with_data(record, AAAA(*address), (0, 0, false)),
            RData::Cname(target) => self.with_data(record, CNAME(name(target)?), (0, 1, true)),
            RData::Ptr(target) => self.with_data(record, PTR(name(target)?), (0, 1, true)),
            RData::Ns(server) => self.with_data(record, NS(name(server)?), (0, 1, true)),
            RData::Mx(preference, host) => {
                self.with_data(record, MX::new(*preference, name(host)?), (2, 1, true))
            }
            // The target is never compressed (RFC 2782).
            RData::Srv(priority, weight, port, target) => {
                self.with_data(record, SRV::new(*priority, *weight, *port, name(target)?), (6, 1, false))
            }
            RData::Txt(texts) => {
                let strings = texts.iter().flat_map(|text| strings(text)).collect();
                self.with_data(record, TXT::from_bytes(strings), (0, 0, false))
            }
            RData::Soa(server, mailbox, [serial, refresh, retry, expire, minimum]) => {
                // The three times are signed there, and the same 32 bits.
                let [refresh, retry, expire] = [*refresh, *retry, *expire].map(u32::cast_signed);
                let names = (name(server)?, name(mailbox)?);
                let soa = SOA::new(names.0, names.1, *serial, refresh, retry, expire, *minimum);
                self.with_data(record, soa, (0, 2, true))
            }
            RData::Other(number, bytes) => {
                self.with_data(record, Opaque((*number).into(), bytes.clone()), (0, 0, false))
            }
        }
    }

    fn with_data(
        &mut self,
        record: &Record,
        data: impl RecordData,
        within: Within,
    ) -> Result<(), EncodeError> {
        self.write(&rr::Record::from_rdata(name(&record.owner)?, record.ttl, data))?;
        self.append_record(within);
        Ok(())
    }

    fn append_question(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        let rest = self.append_name(&piece, true);
        self.bytes.extend_from_slice(rest);
        self.piece = piece;
    }

    fn append_record(&mut self, (before, names, compress): Within) {
        let piece = std::mem::take(&mut self.piece);
        let rest = self.append_name(&piece, true);
        let (fixed, mut rest) = rest.split_at(FIXED_LEN + before);
        let start = self.bytes.len() + FIXED_LEN;
        self.bytes.extend_from_slice(fixed);
        for _ in 0..names {
            rest = self.append_name(rest, compress);
        }
        self.bytes.extend_from_slice(rest);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start - 2..start].copy_from_slice(&length.to_be_bytes());
        self.piece = piece;
    }

    /// Appends the name that a piece begins with, its end as a pointer where it is known and `compress` allows it;
    /// what comes after the name in the piece.
    fn append_name<'p>(&mut self, piece: &'p [u8], compress: bool) -> &'p [u8] {
        let (name, rest) = piece.split_at(name_len(piece));
        let start = self.bytes.len();
        let mut at = 0;
        while let Some(known) = self.known.as_mut().filter(|_| name[at] != 0) {
            let tail = &name[at..];
            if let Some(&place) = known.get(tail).filter(|_| compress) {
                self.bytes.extend_from_slice(&name[..at]);
                self.bytes.extend_from_slice(&(0xc000 | place as u16).to_be_bytes());
                return rest;
            }
            if start + at <= POINTER_MAX {
                known.entry(tail.to_vec()).or_insert(start + at);
            }
            at += usize::from(name[at]) + 1;
        }
        self.bytes.extend_from_slice(name);
        rest
    }
}

/// Length in bytes of the name that bytes begin with.
fn name_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while bytes[at] != 0 {
        at += usize::from(bytes[at]) + 1;
    }
    at + 1
}
