//! The simulator against a real Linux kernel: every tap of the recorded probes, in order, with addresses, TTLs,
//! lengths, flags, ICMP types and VXLAN headers.
//!
//! A file of `tests/oracle/` holds what to do and the recorded hops, one a line: tap, direction, packet. Host ends of
//! veth pairs are called `veth`. What cannot agree by nature is left out of the notation, here and nowhere else: times,
//! random numbers (MAC addresses, IP and ICMP identifiers but 0, ephemeral and outer source ports), ICMP data.
//! Remaining differences are listed in `REMAINING`, each with its reason.

mod common;

use common::probe::{Probe, play, read};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use vethscope::base::MacAddr;
use vethscope::lab::Lab;
use vethscope::trace::{EventKind, Inventory, format};
use vethscope::wire::{ArpOp, Body, Frame, Icmp, Ipv4, Payload, UdpPayload};

/// Probes whose taps differ from the recording, and why.
const REMAINING: [(&str, &str); 1] = [(
    "hostgw_redirect",
    "the first redirect is lost in the NAT of the node, whose connection is not confirmed yet; there is no NAT here",
)];

fn packet(frame: &Frame) -> String {
    match &frame.payload {
        Payload::Arp(arp) => {
            let op = match arp.op {
                ArpOp::Request => "request".to_owned(),
                ArpOp::Reply => "reply".to_owned(),
                ArpOp::Other(code) => code.to_string(),
            };
            let broadcast = if frame.dst == MacAddr::BROADCAST { " broadcast" } else { "" };
            format!("arp {op} {} {}{broadcast}", arp.sender_ip, arp.target_ip)
        }
        Payload::Ipv4(packet) => ipv4(packet),
        Payload::Vlan(_) | Payload::Bpdu(_) => frame.to_string(),
        Payload::Other { ethertype, .. } => format!("other {ethertype:#06x}"),
    }
}

fn ipv4(packet: &Ipv4) -> String {
    let mut out = format!("ip {} {} ttl {} len {}", packet.src, packet.dst, packet.ttl, packet.wire_len());
    if packet.dont_fragment {
        out += " DF";
    }
    if packet.more_fragments {
        out += " MF";
    }
    if packet.tos != 0 {
        let _ = write!(out, " tos {:#04x}", packet.tos);
    }
    if packet.fragment_offset != 0 {
        let _ = write!(out, " offset {}", packet.fragment_offset * 8);
    }
    if packet.id == 0 {
        out += " id 0";
    }
    out + &body(packet)
}

fn body(packet: &Ipv4) -> String {
    match &*packet.body {
        Body::Icmp(icmp) => icmp_text(icmp),
        Body::Tcp(tcp) => format!(" tcp >{} [{}] len {}", tcp.dst_port, tcp.flags, tcp.data.len()),
        Body::Udp(udp) => match &udp.payload {
            UdpPayload::Vxlan(vxlan) => {
                format!(" udp >{} vxlan vni {} [ {} ]", udp.dst_port, vxlan.vni, self::packet(&vxlan.inner))
            }
            UdpPayload::Data(_) => format!(" udp >{}", udp.dst_port),
        },
        // The first fragment still shows the ICMP header.
        Body::Raw { protocol: 1, bytes } if packet.fragment_offset == 0 => {
            format!(" icmp {}/{} seq {}", bytes[0], bytes[1], u16::from_be_bytes([bytes[6], bytes[7]]))
        }
        Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) => format!(" {packet}"),
        Body::Raw { .. } => String::new(),
    }
}

fn icmp_text(icmp: &Icmp) -> String {
    let (kind, code) = icmp.kind_and_code();
    match icmp {
        Icmp::EchoRequest { seq, .. } | Icmp::EchoReply { seq, .. } => {
            format!(" icmp {kind}/{code} seq {seq}")
        }
        Icmp::DestinationUnreachable { mtu, .. } if *mtu != 0 => format!(" icmp {kind}/{code} mtu {mtu}"),
        Icmp::Other { kind: 5, rest, .. } => {
            format!(" icmp {kind}/{code} gateway {}", std::net::Ipv4Addr::from(*rest))
        }
        Icmp::DestinationUnreachable { .. } | Icmp::TimeExceeded { .. } | Icmp::Other { .. } => {
            format!(" icmp {kind}/{code}")
        }
    }
}

/// The taps from event `from` on: tap name to lines in order.
fn taps(lab: &Lab, from: usize) -> BTreeMap<String, Vec<String>> {
    let trace = lab.trace();
    let mut inventory = Inventory::at(trace, from);
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (index, event) in trace.events.iter().enumerate().skip(from) {
        let way = if event.kind == EventKind::Transmitted { "out" } else { "in" };
        if way == "in" && !matches!(event.kind, EventKind::Received(_)) {
            continue;
        }
        inventory.advance(trace, index);
        let netns = &inventory.netns[&event.netns];
        let name = netns.ifname(event.ifindex);
        let role = ["veth", "cali"].into_iter().find(|role| name.starts_with(role)).unwrap_or(&name);
        let frame = trace.frame_of(event).expect("a tap has a frame");
        let line = format!("{way} {}", packet(frame));
        out.entry(format!("{}/{role}", netns.row.name)).or_default().push(line);
    }
    out
}

fn differences(probe: &Probe<'_>, lab: &Lab, from: usize) -> String {
    let mut simulated = taps(lab, from);
    if probe.arp_only {
        for lines in simulated.values_mut() {
            lines.retain(|line| line.contains(" arp "));
        }
        simulated.retain(|_, lines| !lines.is_empty());
    }
    let mut out = String::new();
    let empty = Vec::new();
    let names: std::collections::BTreeSet<&String> = probe.taps.keys().chain(simulated.keys()).collect();
    for tap in names {
        let (real, sim) = (probe.taps.get(tap).unwrap_or(&empty), simulated.get(tap).unwrap_or(&empty));
        if real == sim {
            continue;
        }
        let _ = writeln!(out, "{tap}:");
        for line in real.iter().filter(|line| !sim.contains(line)) {
            let _ = writeln!(out, "  only real:      {line}");
        }
        for line in sim.iter().filter(|line| !real.contains(line)) {
            let _ = writeln!(out, "  only simulated: {line}");
        }
        let _ = writeln!(
            out,
            "  {} real, {} simulated, in order:\n    {}\n  against\n    {}",
            real.len(),
            sim.len(),
            real.join("\n    "),
            sim.join("\n    ")
        );
    }
    out
}

#[test]
fn every_tap_of_every_probe_agrees_with_the_recorded_kernel() {
    let mut failures = String::new();
    let mut count = 0;
    let mut files: Vec<_> = std::fs::read_dir("tests/oracle")
        .expect("the probes are there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|ext| ext == "txt")) {
        let text = std::fs::read_to_string(path).expect("a probe can be read");
        let name = path.file_stem().expect("a file has a name").to_string_lossy();
        let probe = read(&text);
        for seed in [1, 2, 3] {
            let (lab, from) = play(&probe, seed);
            let found = differences(&probe, &lab, from);
            let expected = REMAINING.iter().any(|(known, _)| *known == name);
            if found.is_empty() == expected {
                let journey = format::text(lab.trace(), from..lab.trace().len());
                let _ = writeln!(failures, "== {name}, seed {seed}\n{found}\n{journey}");
            }
        }
        count += 1;
    }
    assert!(count >= 17, "only {count} probes found");
    assert!(failures.is_empty(), "{failures}");
}
