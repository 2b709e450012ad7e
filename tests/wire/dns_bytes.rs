//! The bytes of DNS messages stand recorded in `dns_bytes.txt`, in full and compressed. `UPDATE_EXPECT=1` writes them anew.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use vethscope::base::dns::{Question, RData, Rcode, Record, Type};
use vethscope::wire::dns::{self, Edns, Message};

const RECORDED: &str = include_str!("dns_bytes.txt");

fn query(name: &str, kind: Type) -> Message {
    Message::query(0x1234, Question { name: name.to_owned(), kind })
}

fn record(owner: &str, data: RData) -> Record {
    Record { owner: owner.to_owned(), ttl: 30, data }
}

/// A response with one record of each kind and what is unusual in it.
fn every_kind() -> Message {
    let mut message = query("www.Example.com.", Type::ANY).reply();
    let soa = ("NS1.example.com.", "admin\\.of.example.com.", [1, 2, 3, u32::MAX, 5]);
    message.answer = vec![
        Record::address("www.Example.com.", u32::MAX, "10.0.0.1".parse().unwrap()),
        Record::address("www.example.com.", 0, "fd00::1".parse().unwrap()),
        record("www.Example.com.", RData::Cname("web.Example.com.".into())),
        record("1.0.0.10.in-addr.arpa.", RData::Ptr("web.Example.com.".into())),
        record("Example.com.", RData::Mx(10, "Mail.Example.com.".into())),
        record("_http._tcp.Example.com.", RData::Srv(1, 2, 80, "Target.web.Example.com.".into())),
        record("Example.com.", RData::Txt(vec![b"v=1".to_vec(), Vec::new(), vec![0xff; 255]])),
        // More than one string takes becomes two.
        record("Example.com.", RData::Txt(vec![vec![b'x'; 256]])),
        record("Example.com.", RData::Txt(Vec::new())),
    ];
    message.authority = vec![
        record("Example.com.", RData::Ns("ns1.Example.com.".into())),
        record("example.com.", RData::Soa(soa.0.into(), soa.1.into(), soa.2)),
        record(".", RData::Ns(".".into())),
    ];
    message.additional = vec![
        // The target of the service was not compressed, and yet names may point to it.
        Record::address("Target.web.Example.com.", 30, "10.0.0.2".parse().unwrap()),
        record("x.", RData::Other(13, b"\x03ARM\x05Linux".to_vec())),
        record("x.", RData::Other(65_280, Vec::new())),
        record("x.", RData::Other(39, b"\x07example\x03com\0".to_vec())),
    ];
    message
}

/// A query with all bits set, in a class of its own, and an answer that carries a long response code.
fn headers() -> [Message; 3] {
    let mut all = query("version.bind.", Type::Txt);
    for flag in [dns::QR, dns::AA, dns::TC, dns::RD, dns::RA, dns::Z, dns::AD, dns::CD] {
        all.set(flag, true);
    }
    (all.opcode, all.class, all.rcode) = (15, 3, Rcode::Other(15));
    let mut code = query("a.", Type::Other(0)).reply();
    code.rcode = Rcode::Other(23);
    code.edns = Some(Edns { udp_size: 100, version: 1, dnssec_ok: true, options: Vec::new() });
    let mut empty = query("a.", Type::A);
    empty.questions.clear();
    let options =
        vec![(3, Vec::new()), (8, vec![0, 1, 24, 0, 10, 0, 0]), (10, vec![7; 8]), (65_001, vec![0])];
    empty.edns = Some(Edns { udp_size: 1232, version: 0, dnssec_ok: false, options });
    [all, code, empty]
}

/// An answer with more names than an encoder's table may hold.
fn many(owners: usize, records: u8) -> Message {
    let mut message = query("many.default.svc.cluster.local.", Type::A).reply();
    for owner in 0..owners {
        for number in 0..records {
            let name = format!("host-{owner}.many.default.svc.cluster.local.");
            message.answer.push(Record::address(&name, 5, [10, 0, owner as u8, number].into()));
        }
    }
    message
}

/// Messages drawn by chance from a few labels, so that their names often end alike.
fn drawn(random: &mut fastrand::Rng) -> Message {
    const LABELS: [&str; 8] = ["a", "B", "b", "svc", "cluster", "local", "\\000\\.x", "_tcp"];
    let mut name = || -> String {
        let count = random.usize(..6);
        let labels: Vec<&str> = (0..count).map(|_| LABELS[random.usize(..LABELS.len())]).collect();
        labels.join(".") + "."
    };
    let mut message = query(&name(), Type::Srv);
    for at in 0..12 {
        let data = match at % 6 {
            0 => RData::Srv(at, 1, 2, name()),
            1 => RData::Soa(name(), name(), [1, 2, 3, 4, 5]),
            2 => RData::Mx(at, name()),
            3 => RData::Ns(name()),
            4 => RData::Cname(name()),
            _ => RData::Ptr(name()),
        };
        let sections = [&mut message.answer, &mut message.authority, &mut message.additional];
        sections[usize::from(at % 3)].push(record(&name(), data));
    }
    message
}

/// Length and hash of the bytes of messages that are too long to be looked at.
fn digest(messages: &[Message], compress: bool) -> String {
    let bytes: Vec<u8> = messages.iter().flat_map(|message| message.to_bytes(compress).unwrap()).collect();
    format!("{} bytes, SHA-256 {}", bytes.len(), HEXLOWER.encode(&Sha256::digest(&bytes)))
}

#[test]
fn messages_have_the_recorded_bytes() {
    let odd = query("WwW.a\\.b\\000\\255.ExAmPlE.", Type::Aaaa);
    let [all, code, empty] = headers();
    let messages = [
        ("a query", query("web.default.svc.cluster.local.", Type::A)),
        ("a query for the root", query(".", Type::Ns)),
        ("a query with odd labels", odd),
        ("all bits", all),
        ("a long response code", code),
        ("options without a question", empty),
        ("every kind of record", every_kind()),
        ("two names of three addresses", many(2, 3)),
    ];
    let mut text = String::new();
    for (title, message) in &messages {
        let (full, short) = (message.to_bytes(false).unwrap(), message.to_bytes(true).unwrap());
        // A message of one name comes out the same.
        let short = if full == short { "the same".to_owned() } else { HEXLOWER.encode(&short) };
        writeln!(text, "{title}\nfull: {}\ncompressed: {short}\n", HEXLOWER.encode(&full)).unwrap();
    }
    let mut random = fastrand::Rng::with_seed(5);
    let long = [
        ("250 addresses of one name", vec![many(1, 250)]),
        ("300 names of two addresses", vec![many(300, 2)]),
        ("1500 names, beyond the reach of pointers", vec![many(250, 6), many(1500, 1)]),
        ("5000 records, beyond the length of a message", vec![many(100, 50)]),
        ("1000 messages by chance", std::iter::repeat_with(|| drawn(&mut random)).take(1000).collect()),
    ];
    for (title, messages) in &long {
        let (full, short) = (digest(messages, false), digest(messages, true));
        writeln!(text, "{title}\nfull: {full}\ncompressed: {short}\n").unwrap();
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/dns_bytes.txt");
        return std::fs::write(path, text).unwrap();
    }
    assert_eq!(text, RECORDED);
}
