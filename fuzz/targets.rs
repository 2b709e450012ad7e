//! What is fuzzed: each target takes any bytes and asserts what has to hold for all of them. The fuzzer calls these
//! from `fuzz/src/bin`.

use std::collections::BTreeMap;
use vethscope::app::resolver::{Libc, Reader, ResolvConf};
use vethscope::base::{PidNsId, Rng, SimTime};
use vethscope::cluster::dns::server::{Server, State, Turn};
use vethscope::cluster::dns::zonefile::ZoneFile;
use vethscope::cluster::dns::{Question, Type, View};
use vethscope::lab::{Lab, Target};
use vethscope::manifest;
use vethscope::shell::{self, Context, Node};
use vethscope::trace::Inventory;
use vethscope::wire::dns::Message;
use vethscope::wire::filter::{Filter, Link, Seen, Setting};
use vethscope::wire::{self, Frame};

/// Names of the targets, which are those of their folders in `fuzz/corpus` too.
pub const TARGETS: [(&str, fn(&[u8])); 9] = [
    ("filter", filter),
    ("frame", frame),
    ("manifest", manifest),
    ("shell", shell),
    ("session", session),
    ("dns", dns),
    ("corefile", corefile),
    ("resolv", resolv),
    ("zonefile", zonefile),
];

/// Two nodes, three Pods: enough for every kind of device.
const CLUSTER: &str = include_str!("cluster.yaml");

/// Whatever can be read as a frame can be written again, read back as the same, taken apart without a gap, and
/// printed.
///
/// Without right checksums hardly any input would come past the first header, so they are put right first, unless the
/// first byte is odd.
pub fn frame(bytes: &[u8]) {
    let Some((&mode, bytes)) = bytes.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if mode % 2 == 0 {
        repair(&mut bytes, 0);
    }
    let Ok(frame) = Frame::parse(&bytes) else { return };
    let emitted = frame.emit();
    assert_eq!(emitted.len(), frame.wire_len(), "the length is known beforehand");
    assert_eq!(Frame::parse(&emitted).as_ref(), Ok(&frame), "what was written reads as what was meant");
    let mut end = 0;
    for layer in wire::fields(&frame) {
        assert_eq!(layer.range.start, end, "layers follow one another");
        end = layer.range.end;
        for field in &layer.fields {
            assert!(layer.range.start <= field.range.start && field.range.end <= layer.range.end);
        }
    }
    assert_eq!(end, emitted.len(), "layers cover the frame");
    assert!(!frame.to_string().is_empty());
}

/// The first line is an expression, which is compiled or refused with a place inside it; the rest is a frame, on which
/// it runs to an end.
pub fn filter(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let Ok(text) = std::str::from_utf8(&bytes[..end]) else { return };
    let frame = bytes.get(end + 1..).unwrap_or_default();
    let resolve = |name: &str| (name == "a").then_some([10, 244, 1, 2].into());
    for (link, live) in [(Link::Ethernet, false), (Link::Ethernet, true), (Link::Cooked, true)] {
        let setting = Setting { link, live, netmask: Some([255, 255, 255, 0].into()), resolve: &resolve };
        match Filter::compile(text, &setting) {
            Err(error) => assert!(error.at <= text.chars().count(), "{error:?}"),
            Ok(filter) => {
                for outbound in [false, true] {
                    filter.matches(&Seen { bytes: frame, outbound, ifindex: 2, vlan: outbound.then_some(5) });
                }
            }
        }
    }
}

/// Puts lengths and checksums of a frame right, from the inside out.
fn repair(frame: &mut [u8], depth: usize) {
    if depth < 4 && frame.len() >= 34 && frame[12..14] == [0x08, 0x00] {
        repair_ip(&mut frame[14..], depth);
    }
}

fn repair_ip(packet: &mut [u8], depth: usize) {
    let header = usize::from(packet[0] & 0x0f) * 4;
    let Ok(total) = u16::try_from(packet.len()) else { return };
    if header < 20 || packet.len() < header {
        return;
    }
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[10..12].copy_from_slice(&[0, 0]);
    let sum = sum(&packet[..header], 0);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let protocol = packet[9];
    let (head, body) = packet.split_at_mut(header);
    let pseudo = head[12..20].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum::<u32>()
        + u32::from(protocol)
        + body.len() as u32;
    let at = match protocol {
        1 if body.len() >= 8 => 2,
        6 if body.len() >= 20 => 16,
        17 if body.len() >= 8 => 6,
        _ => return,
    };
    if protocol == 17 {
        let len = body.len() as u16;
        body[4..6].copy_from_slice(&len.to_be_bytes());
        if matches!(body[2..4], [0x12, 0xb5] | [0x21, 0x18]) && body.len() > 16 {
            repair(&mut body[16..], depth + 1);
        }
    }
    body[at..at + 2].copy_from_slice(&[0, 0]);
    let sum = self::sum(body, if protocol == 1 { 0 } else { pseudo });
    body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The Internet checksum of `bytes` on top of a sum.
fn sum(bytes: &[u8], start: u32) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum = start + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Whatever can be read as a DNS message can be written again, with and without compression, reads as the same, and is
/// printed; a reply cut to any size stays a message.
pub fn dns(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    for compress in [false, true] {
        // Names that only compression could make fit are refused.
        let Ok(written) = message.to_bytes(compress) else { continue };
        if written.len() <= usize::from(u16::MAX) {
            assert_eq!(
                Message::parse(&written).as_ref(),
                Ok(&message),
                "what was written reads as what was meant"
            );
        }
    }
    let mut reply = message.reply();
    (reply.answer, reply.authority) = (message.answer.clone(), message.authority.clone());
    if reply.truncate(512).is_ok()
        && let Ok(written) = reply.to_bytes(true)
    {
        assert!(written.len() <= 512 || reply.answer.is_empty(), "a reply is cut to what fits");
        assert!(Message::parse(&written).is_ok());
    }
}

/// A Corefile is taken or refused with a line inside it.
pub fn corefile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let variable = |name: &str| (name == "A").then(|| "10.96.0.1".to_owned());
    let file = |path: &str| (path == "/etc/resolv.conf").then(|| "nameserver 192.168.1.1\n".to_owned());
    if let Err(error) = Server::with_variables(text, &file, &variable) {
        assert!((1..=text.lines().count().max(1) + 1).contains(&error.line), "{error:?}");
        assert!(!error.message.is_empty());
    }
}

/// A `resolv.conf` is read by every resolver, each within its limits.
pub fn resolv(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for reader in [Reader::Libc(Libc::Glibc), Reader::Libc(Libc::Musl), Reader::Bind] {
        let conf = ResolvConf::parse(text, reader);
        assert!(conf.servers.len() <= 8, "{conf:?}");
        for name in ["a", "a.b", "a.b."] {
            let candidates = conf.candidates(name, reader);
            assert!(!candidates.is_empty(), "a name is asked for");
            assert!(candidates.iter().all(|candidate| candidate.name.ends_with('.')), "{candidates:?}");
        }
    }
}

/// A zone is read or refused with a line inside it, and answers any question about its own names to an end.
pub fn zonefile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match ZoneFile::parse(text, "example.org.") {
        Err(error) => assert!((1..=text.lines().count().max(1) + 1).contains(&error.line), "{error:?}"),
        Ok(zone) => {
            let names: Vec<String> =
                zone.records().iter().map(|record| record.owner.clone()).take(20).collect();
            for name in names.iter().map(String::as_str).chain(["x.wild.example.org.", "example.org."]) {
                for kind in [Type::A, Type::ANY] {
                    zone.answer(&Question { name: name.to_owned(), kind }, "example.org.");
                }
            }
            // A line that begins with a dollar sign would be a directive.
            let lines = zone.records().iter().filter(|record| !record.owner.starts_with('$'));
            for record in lines.take(20) {
                let again = ZoneFile::parse(&record.to_string(), ".").expect("what is shown is read");
                assert_eq!(again.records(), std::slice::from_ref(record));
            }
            served(text, &names);
        }
    }
}

/// The plugin `file` answers from a zone, and hands it over, to an end.
fn served(text: &str, names: &[String]) {
    let corefile = "example.org {\n transfer {\n  to *\n }\n file z\n}\n";
    let Ok(server) = Server::new(corefile, &|_| Some(text.to_owned())) else { return };
    let view = View::default();
    for name in names.iter().map(String::as_str).chain(["x.y.example.org.", "example.org."]) {
        for kind in [Type::A, Type::Ns, Type::DS, Type::Cname, Type::AXFR] {
            let question = Question { name: name.to_owned(), kind };
            let turn = Turn {
                view: &view,
                now: SimTime(0),
                port: 53,
                question: &question,
                client: [10, 244, 1, 2].into(),
                dnssec: true,
                known: &[],
            };
            server.serve(&mut State::default(), &turn, &mut Rng::with_seed(1));
        }
    }
}

/// A text is taken or refused with diagnostics that lie inside it.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parsed = manifest::parse(text);
    for found in &parsed.diagnostics {
        let Some(span) = found.span else { continue };
        assert!(span.start <= span.end && span.end <= text.len(), "{found:?} lies outside the text");
    }
    let _ = parsed.resolve_cluster();
}

fn settled() -> Lab {
    let mut lab = Lab::new(1);
    lab.apply(CLUSTER);
    lab.settle(SimTime(u64::MAX));
    lab
}

/// The first line says where, every other line is a command; each is answered or refused.
pub fn shell(bytes: &[u8]) {
    thread_local! {
        static INVENTORY: Inventory = {
            let mut lab = settled();
            lab.start(&target("a"), &words("ping -c1 10.244.2.2")).expect("a command starts");
            lab.settle(SimTime(u64::MAX));
            lab.live().clone()
        };
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.lines().take(8);
    let (place, image) = match lines.next() {
        Some("node") => ("node1", None),
        Some("busybox") => ("default/a", Some("busybox")),
        _ => ("default/a", Some("debian")),
    };
    let files: BTreeMap<&str, &str> = [
        ("/etc/hosts", "127.0.0.1 localhost\n10.244.1.2 a\n"),
        ("/etc/resolv.conf", "nameserver 10.96.0.10\n"),
    ]
    .into();
    INVENTORY.with(|inventory| {
        let netns =
            inventory.netns.values().find(|state| &*state.row.name == place).expect("the place is there");
        for line in lines {
            let Ok(node) = shell::parse(line) else { continue };
            let mut commands = Vec::new();
            commands_of(&node, &mut commands);
            for argv in commands.iter().filter(|argv| !argv.is_empty()) {
                let mut rng = Rng::with_seed(7);
                let mut context = Context {
                    inventory,
                    netns: netns.row.netns,
                    files: &|path| files.get(path).map(|text| (*text).to_owned()),
                    bytes: &|_| None,
                    hostname: "a",
                    image,
                    kube_namespace: "default",
                    columns: Some(80),
                    input: Some("a line\nanother\n"),
                    is_fifo: &|path| path == "/shared/pipe",
                    pidns: PidNsId(0),
                    pid: 2,
                    variables: &[],
                    dialect: &shell::Dialect::default(),
                    logs: &|_, _| String::new(),
                    rng: &mut rng,
                };
                let _ = shell::run(&mut context, argv);
            }
        }
    });
}

/// The words of every simple command in a script.
fn commands_of(node: &Node, out: &mut Vec<Vec<String>>) {
    let each = |nodes: &[std::sync::Arc<Node>], out: &mut Vec<Vec<String>>| {
        nodes.iter().for_each(|node| commands_of(node, out));
    };
    match node {
        Node::Simple(simple) => {
            out.push(simple.words.iter().flat_map(|word| word.expand(&|_| String::new())).collect());
        }
        Node::Pipe(nodes) => each(nodes, out),
        Node::Not(inner) | Node::For(_, _, inner) => commands_of(inner, out),
        Node::And(first, second) | Node::Or(first, second) => each(&[first.clone(), second.clone()], out),
        Node::List(nodes) => nodes.iter().for_each(|(node, _)| commands_of(node, out)),
        Node::Loop { condition, body, .. } => each(&[condition.clone(), body.clone()], out),
        Node::If(condition, then, otherwise) => {
            each(&[condition.clone(), then.clone()], out);
            each(otherwise.as_slice(), out);
        }
    }
}

/// Each line is a target and a command, as `node/node1 ip link set eth0 down`; the commands run one after the other
/// in one cluster, for three seconds or ten thousand events each, and the tables and the trace stay sound.
pub fn session(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lab = settled();
    for line in text.lines().take(6) {
        let Some((place, command)) = line.split_once(' ') else { continue };
        let argv = ["sh", "-c", command].map(str::to_owned);
        let Ok(process) = lab.start(&target(place), &argv) else { continue };
        let (limit, most) = (lab.now().0 + 3_000_000_000, lab.trace().len() + 10_000);
        while lab.status(process).is_none() && lab.now().0 < limit && lab.trace().len() < most {
            lab.advance(100);
        }
        lab.interrupt(process);
    }
    let trace = lab.trace();
    let folded = Inventory::at(trace, trace.len());
    assert_eq!(folded.netns.len(), lab.live().netns.len(), "the tables are the fold of the trace");
    assert!(!vethscope::trace::pcapng(lab.trace(), 0..lab.trace().len()).is_empty());
}

fn target(name: &str) -> Target {
    Target::parse(name, "default", None)
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}
