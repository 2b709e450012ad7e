//! The reader of capture files finds what is wrong, and only that.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![cfg(not(target_arch = "wasm32"))]

mod common;
#[path = "common/tshark.rs"]
mod tshark;

use etherparse::PacketBuilder;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use vethscope::base::SimTime;
use vethscope::base::dns::{RData, Record};
use vethscope::lab::{Lab, Target};
use vethscope::trace::{Event, EventKind, pcapng_of};
use vethscope::wire::dns::{Message, QR};
use vethscope::wire::{Body, Ipv4, UdpPayload};

/// An echo request from Pod to Pod.
fn echo() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([0x0a, 0x58, 10, 244, 1, 10], [0x0a, 0x58, 10, 244, 2, 10])
        .ipv4([10, 244, 1, 10], [10, 244, 2, 10], 63)
        .icmpv4_echo_request(7, 1)
        .write_to_vec(&mut frame, b"payload of a ping")
        .unwrap();
    frame
}

/// The same inside VXLAN number 1, without an outer UDP checksum, as Linux sends it.
fn tunnelled(port: u16, inner: &[u8]) -> Vec<u8> {
    let mut payload = vec![0x08, 0, 0, 0, 0, 0, 1, 0];
    payload.extend_from_slice(inner);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([192, 168, 1, 10], [192, 168, 1, 11], 64)
        .udp(50_000, port)
        .write_to_vec(&mut frame, &payload)
        .unwrap();
    frame[14 + 20 + 6..14 + 20 + 8].fill(0);
    frame
}

/// Writes a pcapng file with one Ethernet interface (draft-ietf-opsawg-pcapng: section header, interface, packets).
fn capture(name: &str, frames: &[Vec<u8>]) -> PathBuf {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let length = u32::try_from(padded + 12).unwrap();
        file.extend(kind.to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend(body);
        file.extend(vec![0; padded - body.len()]);
        file.extend(length.to_le_bytes());
    };
    let unknown_length = [0xff; 8];
    block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &unknown_length].concat());
    block(1, &[1, 0, 0, 0, 0, 0, 0, 0]);
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        block(6, &[&[0; 12][..], &length, &length, frame].concat());
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, file).unwrap();
    path
}

#[test]
fn a_tunnelled_ping_is_read_down_to_its_data_on_both_ports() {
    let path = capture("good.pcapng", &[echo(), tunnelled(8472, &echo()), tunnelled(4789, &echo())]);
    let frames = tshark::assert_well_formed(&path);
    let read: Vec<_> =
        frames.iter().map(|frame| (frame.number, frame.protocols.as_str(), frame.vnis.clone())).collect();
    let inner = "eth:ethertype:ip:icmp:data";
    let outer = format!("eth:ethertype:ip:udp:vxlan:{inner}");
    assert_eq!(read, [(1, inner, vec![]), (2, &outer, vec![1]), (3, &outer, vec![1])]);
}

#[test]
fn a_wrong_checksum_is_found_inside_a_tunnel_too() {
    for (place, field) in [(14 + 10, "ip.checksum.status"), (14 + 20 + 2, "icmp.checksum.status")] {
        let mut broken = echo();
        broken[place] ^= 0x55;
        for frame in [broken.clone(), tunnelled(8472, &broken)] {
            let found = tshark::dissect(&capture(&format!("checksum-{place}.pcapng"), &[frame])).unwrap_err();
            assert!(found.contains(field), "{found}");
        }
    }
}

#[test]
fn a_wrong_udp_checksum_is_found() {
    let mut frame = tunnelled(8472, &echo());
    frame[14 + 20 + 6..14 + 20 + 8].copy_from_slice(&[0x12, 0x34]);
    let found = tshark::dissect(&capture("udp.pcapng", &[frame])).unwrap_err();
    assert!(found.contains("udp.checksum.status"), "{found}");
}

#[test]
fn a_frame_that_is_cut_is_found() {
    let mut frame = tunnelled(8472, &echo());
    frame.truncate(14 + 20 + 8 + 8 + 14 + 12);
    let found = tshark::dissect(&capture("cut.pcapng", &[frame])).unwrap_err();
    assert!(found.contains("malformed") || found.contains("exceeds"), "{found}");
}

#[test]
fn a_file_that_is_no_capture_is_refused() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("none.pcapng");
    fs::write(&path, "no capture at all").unwrap();
    assert!(tshark::dissect(&path).unwrap_err().contains("refuses"));
}

/// What is asked, so that messages of many kinds are on the wires.
const LOOKUPS: [&str; 24] = [
    "getent ahosts web",
    "getent hosts www.example.com",
    "dig web.default.svc.cluster.local",
    "dig +noedns web.default.svc.cluster.local AAAA",
    "dig +tcp web.default.svc.cluster.local ANY",
    "dig many.default.svc.cluster.local",
    "dig +noedns many.default.svc.cluster.local",
    "dig +noedns +ignore many.default.svc.cluster.local",
    "dig _http._tcp.many.default.svc.cluster.local SRV",
    "dig alias.default.svc.cluster.local",
    "dig outside.default.svc.cluster.local",
    "dig -x 10.96.0.80",
    "dig nosuch.default.svc.cluster.local",
    "dig dns-version.cluster.local TXT",
    "dig cluster.local SOA",
    "dig cluster.local NS",
    "dig example.com MX",
    "dig +dnssec +bufsize=4096 example.com",
    "dig WEB.Default.svc.cluster.local",
    "dig .",
    "host -a web.default.svc.cluster.local",
    "host 10.96.0.80",
    "nslookup web",
    "curl -s -o /dev/null http://web/",
];

/// A cluster with Services of every kind, its DNS up.
fn with_names() -> Lab {
    let mut text = fs::read_to_string("tests/dns/race.yaml").unwrap();
    text = text.replace("  network: {conntrackRace: true}\n", "  external:\n  - {name: gw, address: 192.168.1.1, router: true}\n  - {name: example.com, address: 203.0.113.10, behind: gw}\n");
    text += "---\napiVersion: v1\nkind: Service\nmetadata: {name: alias}\nspec: {type: ExternalName, externalName: web.default.svc.cluster.local}\n";
    text += "---\napiVersion: v1\nkind: Service\nmetadata: {name: outside}\nspec: {type: ExternalName, externalName: example.com}\n";
    text += "---\napiVersion: v1\nkind: Service\nmetadata: {name: many}\nspec: {clusterIP: None, ports: [{name: http, port: 80}]}\n";
    text += "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: many-1, labels: {kubernetes.io/service-name: many}}\naddressType: IPv4\nports: [{name: http, port: 80}]\nendpoints:\n";
    for at in 1..=40 {
        writeln!(text, "- {{addresses: [10.244.9.{at}]}}").unwrap();
    }
    let mut lab = Lab::new(1);
    lab.apply(&text);
    lab.settle(SimTime(60_000_000_000));
    lab.need_names(&Target::parse("gnu", "default", None), &["dig".to_owned()]);
    lab
}

/// A message as both sides tell of it: identifier, whether it answers, its code, the question, counts, TTLs, addresses, names.
fn told(message: &Message) -> String {
    let sections = [&message.answer, &message.authority, &message.additional];
    let records: Vec<&Record> = sections.into_iter().flatten().collect();
    let join = |words: Vec<String>| words.join("|");
    let bare =
        |name: &str| if name == "." { "<Root>".to_owned() } else { name.trim_end_matches('.').to_owned() };
    let of = |wanted: &dyn Fn(&RData) -> Option<String>| {
        join(records.iter().filter_map(|record| wanted(&record.data)).collect())
    };
    let (answers, rcode) = (message.has(QR), message.rcode.number());
    let question = message.questions.first().unwrap();
    let counts = [
        message.answer.len(),
        message.authority.len(),
        message.additional.len() + usize::from(message.edns.is_some()),
    ];
    let fields = [
        format!("{:#06x}", message.id),
        if answers { "True" } else { "False" }.to_owned(),
        if answers { rcode.to_string() } else { String::new() },
        bare(&question.name),
        question.kind.number().to_string(),
        counts.map(|count| count.to_string()).join(" "),
        join(records.iter().map(|record| record.ttl.to_string()).collect()),
        of(&|data| if let RData::A(ip) = data { Some(ip.to_string()) } else { None }),
        of(&|data| if let RData::Cname(name) = data { Some(bare(name)) } else { None }),
        of(&|data| {
            if let RData::Srv(_, _, port, target) = data {
                Some(format!("{port} {}", bare(target)))
            } else {
                None
            }
        }),
    ];
    fields.join(" ; ")
}

/// The bytes of connections that are no whole message yet.
type Streams = BTreeMap<(Ipv4Addr, u16, Ipv4Addr, u16), Vec<u8>>;

/// The message that a packet carries, or completes over TCP.
fn message_in(packet: &Ipv4, streams: &mut Streams) -> Option<Message> {
    match &*packet.body {
        Body::Udp(udp) if udp.src_port == 53 || udp.dst_port == 53 => {
            let UdpPayload::Data(bytes) = &udp.payload else { return None };
            Message::parse(bytes).ok()
        }
        Body::Tcp(tcp) if tcp.src_port == 53 || tcp.dst_port == 53 => {
            let stream = streams.entry((packet.src, tcp.src_port, packet.dst, tcp.dst_port)).or_default();
            stream.extend_from_slice(&tcp.data);
            let [high, low, bytes @ ..] = &stream[..] else { return None };
            let whole = usize::from(u16::from_be_bytes([*high, *low])) == bytes.len();
            let message = Message::parse(bytes).ok().filter(|_| whole)?;
            stream.clear();
            Some(message)
        }
        Body::Tcp(_)
        | Body::Udp(_)
        | Body::Icmp(_)
        | Body::Igmp(_)
        | Body::Ipip(_)
        | Body::Gre(_)
        | Body::Esp(_)
        | Body::Raw { .. } => None,
    }
}

/// The same of every frame of a capture, as tshark tells it; nothing where it finds no DNS.
fn tshark_tells(capture: &Path) -> Vec<Option<String>> {
    let fields = [
        "dns.id",
        "dns.flags.response",
        "dns.flags.rcode",
        "dns.qry.name",
        "dns.qry.type",
        "dns.count.answers",
        "dns.count.auth_rr",
        "dns.count.add_rr",
        "dns.resp.ttl",
        "dns.a",
        "dns.cname",
        "dns.srv.port",
        "dns.srv.target",
    ];
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(capture).args([
        "-d",
        "udp.port==8472,vxlan",
        "-T",
        "fields",
        "-E",
        "occurrence=a",
        "-E",
        "aggregator=|",
    ]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [id, response, rcode, name, kind, answers, authority, additional, ttls, a, cname, port, target] =
            cells[..]
        else {
            panic!("{line}")
        };
        let response = match response {
            "1" | "True" => "True",
            "" => return None,
            _ => "False",
        };
        let srv: Vec<String> = port
            .split('|')
            .zip(target.split('|'))
            .filter(|(port, _)| !port.is_empty())
            .map(|(port, target)| format!("{port} {target}"))
            .collect();
        let counts = format!("{answers} {authority} {additional}");
        Some([id, response, rcode, name, kind, &counts, ttls, a, cname, &srv.join("|")].join(" ; "))
    };
    String::from_utf8_lossy(&output.stdout).lines().map(line).collect()
}

#[test]
fn every_dns_message_of_a_capture_is_what_the_simulator_says() {
    let mut lab = with_names();
    let from = lab.trace().len();
    for command in LOOKUPS {
        let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let process = lab.start(&Target::parse("gnu", "default", None), &argv).unwrap();
        lab.finish(process, SimTime(u64::MAX));
    }
    let trace = lab.trace();
    let is_tap = |event: &Event| matches!(event.kind, EventKind::Transmitted | EventKind::Received(_));
    let taps: Vec<_> = trace
        .events
        .since(from)
        .filter(|event| is_tap(event))
        .map(|event| (event.netns, event.ifindex))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    // As people capture: one interface at a time. In one file of all of them every segment of TCP would come many times.
    let counts = common::side_by_side(&taps, |tap| {
        let here = |event: &Event| is_tap(event) && (event.netns, event.ifindex) == *tap;
        let path =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("dns-{}-{}.pcapng", tap.0.0, tap.1.0));
        fs::write(&path, pcapng_of(trace, from..trace.len(), |id| here(trace.event(id)))).unwrap();
        tshark::assert_well_formed(&path);
        let mut streams = Streams::new();
        let events = trace.events.since(from).filter(|event| here(event));
        let ours: Vec<Option<String>> = events
            .map(|event| Some(told(&message_in(trace.frame_of(event)?.ipv4()?.innermost(), &mut streams)?)))
            .collect();
        let theirs = tshark_tells(&path);
        assert_eq!(ours.len(), theirs.len());
        let mut count = 0;
        for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(ours, theirs, "{} frame {}", path.display(), at + 1);
            count += usize::from(ours.is_some());
        }
        count
    });
    let count: usize = counts.iter().sum();
    assert!(count > 500, "only {count} frames with DNS");
}

/// The lab of the mesh's tests, with one request through two sidecars.
#[test]
fn tshark_reads_the_handshake_and_with_the_keys_the_request() {
    let mut lab = Lab::new(1);
    lab.apply(include_str!("mesh/lab.yaml"));
    lab.settle(SimTime(u64::MAX));
    let from = lab.trace().len();
    let argv = ["curl", "-s", "http://web.shop/clientip"].map(str::to_owned);
    let process = lab.start(&Target::parse("shop/client", "default", None), &argv).unwrap();
    lab.finish(process, SimTime(u64::MAX));
    let trace = lab.trace();
    let is_tap = |event: &Event| matches!(event.kind, EventKind::Transmitted | EventKind::Received(_));
    // One interface: the first one that a segment with TLS was seen on.
    let has_tls = |event: &&Event| {
        is_tap(event)
            && trace.frame_of(event).is_some_and(|frame| frame.to_string().contains("TLS ClientHello"))
    };
    let tap = trace.events.since(from).find(has_tls).map(|event| (event.netns, event.ifindex)).unwrap();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mtls.pcapng");
    let here = |event: &Event| is_tap(event) && (event.netns, event.ifindex) == tap;
    fs::write(&path, pcapng_of(trace, from..trace.len(), |id| here(trace.event(id)))).unwrap();
    tshark::assert_well_formed(&path);
    let tells = |filter: &str, field: &str| {
        let mut tshark = Command::new("tshark");
        // Port 80 says HTTP, and what is inside is told by no protocol that Wireshark knows.
        tshark.args(["-d", "tcp.port==80,tls", "-d", "tls.port==80,http"]);
        tshark.args(["-r", path.to_str().unwrap(), "-Y", filter, "-T", "fields", "-e", field]);
        let output = tshark.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(tells("tls.handshake.type == 1", "tls.handshake.extensions_alpn_str"), ["istio"]);
    // Certificates of both ends are encrypted in TLS 1.3: only the keys show them.
    let names = tells("tls.handshake.type == 11", "x509ce.uniformResourceIdentifier");
    assert_eq!(names, ["spiffe://cluster.local/ns/shop/sa/web", "spiffe://cluster.local/ns/shop/sa/default"]);
    assert_eq!(tells("tls && http.request", "http.request.uri"), ["/clientip"]);
    assert_eq!(tells("tls && http.response", "http.response.code"), ["200"]);
}
