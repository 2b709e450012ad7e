//! DNS messages: what is written is read again, and hickory-proto, which writes them, reads them as we do.

use hickory_proto::op as hickory;
use hickory_proto::rr::rdata::{self, opt};
use hickory_proto::rr::{self, Name};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};
use proptest::prelude::*;
use std::str::FromStr;
use vethscope::base::MacAddr;
use vethscope::base::dns::{NameError, Question, RData, Rcode, Record, Type};
use vethscope::wire::dns::{self, Edns, EncodeError, Message};
use vethscope::wire::{Body, Frame, Ipv4, Payload, Tcp, TcpFlags, Udp, UdpChecksum, UdpPayload, fields};

fn label() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_][A-Za-z0-9_-]{0,12}"
}

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(label(), 0..5).prop_map(|labels| match labels.len() {
        0 => ".".to_owned(),
        _ => labels.join(".") + ".",
    })
}

fn data() -> impl Strategy<Value = RData> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| RData::A(octets.into())),
        any::<[u8; 16]>().prop_map(|octets| RData::Aaaa(octets.into())),
        name().prop_map(RData::Cname),
        name().prop_map(RData::Ptr),
        name().prop_map(RData::Ns),
        (any::<u16>(), name()).prop_map(|(preference, host)| RData::Mx(preference, host)),
        (any::<u16>(), any::<u16>(), any::<u16>(), name())
            .prop_map(|(priority, weight, port, target)| RData::Srv(priority, weight, port, target)),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..4).prop_map(RData::Txt),
        // They take the numbers as signed.
        (name(), name(), prop::array::uniform5(0..u32::MAX >> 1))
            .prop_map(|(server, mailbox, numbers)| RData::Soa(server, mailbox, numbers)),
    ]
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let record =
        (name(), 0..u32::MAX >> 1, data()).prop_map(|(owner, ttl, data)| Record { owner, ttl, data });
    prop::collection::vec(record, 0..5)
}

fn message() -> impl Strategy<Value = Message> {
    let flags = any::<[bool; 7]>();
    let edns = prop::option::of((512_u16.., any::<bool>()));
    let sections = (records(), records(), records());
    (any::<u16>(), flags, 0_u8..6, name(), edns, sections).prop_map(
        |(id, flags, rcode, name, edns, (answer, authority, additional))| {
            let mut message = Message::query(id, Question { name, kind: Type::Srv });
            let all = [dns::QR, dns::AA, dns::TC, dns::RD, dns::RA, dns::AD, dns::CD];
            all.iter().zip(flags).for_each(|(flag, value)| message.set(*flag, value));
            message.rcode = Rcode::of_number(rcode);
            let own = |(udp_size, dnssec_ok)| Edns { udp_size, dnssec_ok, ..Edns::default() };
            message.edns = edns.map(own);
            (message.answer, message.authority, message.additional) = (answer, authority, additional);
            message
        },
    )
}

/// How many labels the names of a message have.
fn labels_of(message: &Message) -> usize {
    let records = [&message.answer, &message.authority, &message.additional].into_iter().flatten();
    let within = |record: &Record| match &record.data {
        RData::Cname(name)
        | RData::Ptr(name)
        | RData::Ns(name)
        | RData::Mx(_, name)
        | RData::Srv(.., name) => name.clone(),
        RData::Soa(server, mailbox, _) => format!("{server}{mailbox}"),
        RData::A(_) | RData::Aaaa(_) | RData::Txt(_) | RData::Other(..) => String::new(),
    };
    let names = records.map(|record| record.owner.clone() + &within(record));
    let texts = names.chain(message.questions.iter().map(|question| question.name.clone()));
    texts.map(|text| text.matches('.').count()).sum()
}

/// What hickory read, in our words.
fn theirs(record: &rr::Record) -> String {
    // They quote nothing.
    let data = if let rr::RData::TXT(text) = &record.data {
        let texts = text.txt_data.iter().map(|bytes| bytes.to_vec());
        RData::Txt(texts.collect()).to_string()
    } else {
        record.data.to_string()
    };
    format!("{} {} {} {data}", record.name, record.ttl, record.record_type())
}

fn agree(message: &Message, bytes: &[u8]) -> Result<(), TestCaseError> {
    let read = hickory::Message::from_bytes(bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(read.id, message.id);
    prop_assert_eq!(read.authoritative, message.has(dns::AA));
    prop_assert_eq!(read.truncation, message.has(dns::TC));
    prop_assert_eq!(read.recursion_desired, message.has(dns::RD));
    prop_assert_eq!(read.recursion_available, message.has(dns::RA));
    prop_assert_eq!(u16::from(read.response_code), u16::from(message.rcode.number()));
    prop_assert_eq!(read.queries[0].name.to_string(), message.questions[0].name.clone());
    let sections = [
        (&read.answers, &message.answer),
        (&read.authorities, &message.authority),
        (&read.additionals, &message.additional),
    ];
    for (got, own) in sections {
        let got: Vec<String> = got.iter().map(theirs).collect();
        prop_assert_eq!(got, own.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    let edns = read.edns.as_ref().map(|edns| (edns.max_payload(), edns.flags().dnssec_ok));
    prop_assert_eq!(edns, message.edns.as_ref().map(|edns| (edns.udp_size, edns.dnssec_ok)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_again(message in message(), compress: bool) {
        let bytes = message.to_bytes(compress).unwrap();
        prop_assert_eq!(Message::parse(&bytes).unwrap(), message);
    }

    #[test]
    fn others_read_what_we_write(message in message(), compress: bool) {
        agree(&message, &message.to_bytes(compress).unwrap())?;
    }

    #[test]
    fn others_compress_alike_as_far_as_they_go(message in message()) {
        let bytes = message.to_bytes(true).unwrap();
        let theirs = hickory::Message::from_bytes(&bytes).unwrap().to_bytes().unwrap();
        prop_assert_eq!(&Message::parse(&theirs).unwrap(), &message);
        // They keep the places of 64 names, and each label begins one.
        if labels_of(&message) <= 64 {
            prop_assert_eq!(theirs, bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = Message::parse(&bytes) {
            // What was read can be written, and says the same then.
            if let Ok(again) = message.to_bytes(false) {
                prop_assert_eq!(Message::parse(&again).unwrap(), message);
            }
        }
    }
}

#[test]
fn an_option_of_the_pseudo_record_is_kept() {
    let mut message = hickory::Message::response(7, hickory::OpCode::Query);
    let mut edns = hickory::Edns::new();
    edns.set_max_payload(1232);
    edns.options_mut().insert(opt::EdnsOption::Unknown(10, vec![1, 2, 3, 4, 5, 6, 7, 8]));
    message.set_edns(edns);
    let owner = Name::from_str("a.example.").unwrap();
    message.add_answer(rr::Record::from_rdata(owner, 5, rr::RData::A(rdata::A::new(192, 0, 2, 1))));
    let read = Message::parse(&message.to_bytes().unwrap()).unwrap();
    assert_eq!(read.answer[0].to_string(), "a.example. 5 A 192.0.2.1");
    assert_eq!(read.edns.unwrap().options, [(10, vec![1, 2, 3, 4, 5, 6, 7, 8])]);
}

#[test]
fn what_fits_no_message_is_refused() {
    let mut message = Message::query(1, Question { name: "x.".to_owned(), kind: Type::Txt });
    let owner = || "x.".to_owned();
    // Four quarters of a kibibyte take 1024 bytes with their lengths.
    let texts = |kibibytes: usize| RData::Txt(vec![vec![b'x'; 255]; 4 * kibibytes]);
    message.answer = vec![Record { owner: owner(), ttl: 5, data: texts(63) }];
    assert_eq!(message.to_bytes(false).map(|bytes| bytes.len()), Ok(12 + 7 + 13 + 63 * 1024));
    message.answer.push(Record { owner: owner(), ttl: 5, data: texts(64) });
    assert_eq!(message.to_bytes(true), Err(EncodeError::LongRecord));
    message.answer[1].data = RData::Cname("a..b.".to_owned());
    assert_eq!(message.to_bytes(true), Err(EncodeError::Name(NameError::EmptyLabel)));
}

/// A frame from port 53 with these bytes.
fn frame(bytes: Vec<u8>, tcp: bool) -> Frame {
    let body = if tcp {
        let mut data = (bytes.len() as u16).to_be_bytes().to_vec();
        data.extend(bytes);
        let flags = TcpFlags::ACK | TcpFlags::PSH;
        let (src_port, dst_port) = (53, 40_000);
        let (seq, ack, window, urgent, options) = (1, 1, 502, 0, None);
        Body::Tcp(Tcp { src_port, dst_port, seq, ack, flags, window, urgent, options, data: data.into() })
    } else {
        let payload = UdpPayload::Data(bytes.into());
        Body::Udp(Udp { src_port: 53, dst_port: 40_000, checksum: UdpChecksum::Computed, payload })
    };
    let (src, dst) = ([10, 244, 1, 2].into(), [10, 244, 2, 2].into());
    let payload = Payload::Ipv4(Ipv4 {
        tos: 0,
        id: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        src,
        dst,
        options: None,
        body: body.into(),
    });
    Frame { dst: MacAddr([2, 0, 0, 0, 0, 1]), src: MacAddr([2, 0, 0, 0, 0, 2]), payload }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_message_is_taken_apart_to_its_last_bit(message in message(), compress: bool, tcp: bool) {
        let frame = frame(message.to_bytes(compress).unwrap(), tcp);
        crate::reading::check_tiling(&frame)?;
        let layers = fields(&frame);
        let count = |name: &str| layers.iter().filter(|layer| layer.name == name).count();
        prop_assert_eq!(count("DNS answer"), message.answer.len());
        prop_assert_eq!(count("DNS authority"), message.authority.len());
        prop_assert_eq!(count("DNS additional"), message.additional.len());
        prop_assert_eq!(count("DNS EDNS"), usize::from(message.edns.is_some()));
        prop_assert_eq!((count("DNS over TCP"), count("Data")), (usize::from(tcp), 0));
    }

    #[test]
    fn a_message_that_is_cut_stays_data(message in message(), cut in 1_usize..12) {
        let mut bytes = message.to_bytes(true).unwrap();
        bytes.truncate(bytes.len() - cut.min(bytes.len() - 1));
        let frame = frame(bytes, false);
        crate::reading::check_tiling(&frame)?;
        prop_assert!(fields(&frame).iter().all(|layer| !layer.name.starts_with("DNS")));
    }
}

#[test]
fn flags_and_pointers_are_shown_bit_by_bit() {
    let mut message = Message::query(0x1234, Question { name: "web.x.".to_owned(), kind: Type::A }).reply();
    message.set(dns::AA, true);
    message.rcode = Rcode::NxDomain;
    message.answer.push(Record::address("web.x.", 30, "10.96.0.80".parse().unwrap()));
    message.answer.push(Record { owner: "x.".into(), ttl: 5, data: RData::Cname("a.web.x.".into()) });
    let layers = fields(&frame(message.to_bytes(true).unwrap(), false));
    let texts = |at: usize| -> Vec<String> {
        layers[at].fields.iter().map(|field| format!("{}: {}", field.name, field.value)).collect()
    };
    // Ethernet, IPv4 and UDP come before it.
    assert_eq!(
        texts(3)[..12],
        [
            "Identifier: 0x1234",
            "QR: 1 (response)",
            "Opcode: 0 (QUERY)",
            "AA (authoritative answer): 1 (set)",
            "TC (truncated): 0 (not set)",
            "RD (recursion desired): 1 (set)",
            "RA (recursion available): 0 (not set)",
            "Z (reserved): 0",
            "AD (authentic data): 0 (not set)",
            "CD (checking disabled): 0 (not set)",
            "RCODE: 3 (NXDOMAIN)",
            "QDCOUNT (questions): 1",
        ]
    );
    assert_eq!(layers[3].fields[10].bits, Some(12..16));
    assert_eq!(texts(4), ["Name: web.x.", "Type: 1 (A)", "Class: 1 (IN)"]);
    assert_eq!(
        texts(5),
        [
            "Label type: 0b11 (compression pointer)",
            "Pointer to byte: 12 (web.x.)",
            "Type: 1 (A)",
            "Class: 1 (IN)",
            "TTL: 30 s",
            "RDLENGTH: 4",
            "Address: 10.96.0.80",
        ]
    );
    // A pointer may lead into the middle of another name, and stand behind labels.
    assert_eq!(texts(6)[1], "Pointer to byte: 16 (x.)");
    let data = [
        "Canonical name: a.web.x.",
        "Label type: 0b11 (compression pointer)",
        "Pointer to byte: 12 (web.x.)",
    ];
    assert_eq!(texts(6)[6..], data);
}

/// Found by the fuzzer: strings that are not UTF-8 were read with other bytes, and grew.
#[test]
fn strings_of_txt_records_are_bytes_and_shown_as_bind_shows_them() {
    let mut message = Message::query(7, Question { name: "x.".to_owned(), kind: Type::Txt });
    let texts = vec![vec![0xb7; 200], b"a\"b\\c".to_vec(), Vec::new(), "\u{fc}\n".as_bytes().to_vec()];
    message.answer = vec![Record { owner: "x.".to_owned(), ttl: 5, data: RData::Txt(texts) }];
    let bytes = message.to_bytes(true).unwrap();
    assert_eq!(Message::parse(&bytes), Ok(message.clone()));
    let shown = message.answer[0].data.to_string();
    assert!(shown.ends_with(r#"\183" "a\"b\\c" "" "\195\188\010""#), "{shown}");
}
