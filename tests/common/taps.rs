//! The notation of recorded hops: what stands in a line of `tests/oracle/*.txt`, and the same of a simulated run.

use super::probe::Probe;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use vethscope::base::MacAddr;
use vethscope::lab::Lab;
use vethscope::trace::{EventKind, Inventory};
use vethscope::wire::{ArpOp, Body, Frame, Icmp, Ipv4, Payload, Tcp, TcpOption, UdpPayload};

/// Ports that belong to a service; any other one is chance, and `-` stands for it.
const PORTS: [u16; 14] = [53, 80, 81, 82, 443, 4789, 5353, 8081, 8088, 8472, 9000, 30080, 30083, 30099];

fn packet(frame: &Frame, detail: bool) -> String {
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
        Payload::Ipv4(packet) => ipv4(packet, detail),
        Payload::Vlan(_) | Payload::Bpdu(_) => frame.to_string(),
        Payload::Other { ethertype, .. } => format!("other {ethertype:#06x}"),
    }
}

fn ipv4(packet: &Ipv4, detail: bool) -> String {
    let len = if says(packet) { "-".to_owned() } else { packet.wire_len().to_string() };
    let mut out = format!("ip {} {} ttl {} len {len}", packet.src, packet.dst, packet.ttl);
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
    out + &body(packet, detail)
}

fn body(packet: &Ipv4, detail: bool) -> String {
    match &*packet.body {
        Body::Icmp(icmp) => icmp_text(icmp),
        Body::Tcp(tcp) => {
            // What programs say to each other is theirs: only that they say something is compared.
            let says = if tcp.data.is_empty() { "" } else { " data" };
            let syn =
                if detail && tcp.flags.to_string().contains('S') { syn_text(tcp) } else { String::new() };
            format!(" tcp >{} [{}]{syn}{says}", port(tcp.dst_port), tcp.flags)
        }
        Body::Udp(udp) => match &udp.payload {
            UdpPayload::Vxlan(vxlan) => {
                format!(
                    " udp >{} vxlan vni {} [ {} ]",
                    udp.dst_port,
                    vxlan.vni,
                    self::packet(&vxlan.inner, detail)
                )
            }
            UdpPayload::Data(_) => format!(" udp >{}", port(udp.dst_port)),
        },
        // The first fragment still shows the ICMP header.
        Body::Raw { protocol: 1, bytes } if packet.fragment_offset == 0 => {
            format!(" icmp {}/{} seq {}", bytes[0], bytes[1], u16::from_be_bytes([bytes[6], bytes[7]]))
        }
        Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) => format!(" {packet}"),
        Body::Raw { .. } => String::new(),
    }
}

/// Window and options of a SYN.
fn syn_text(tcp: &Tcp) -> String {
    let options = tcp.options.iter().flat_map(|all| all.iter()).filter_map(|option| match option {
        TcpOption::MaxSegmentSize(mss) => Some(format!("mss={mss}")),
        TcpOption::SackPermitted => Some("sackOK".to_owned()),
        TcpOption::Timestamps { .. } => Some("ts".to_owned()),
        TcpOption::WindowScale(shift) => Some(format!("wscale={shift}")),
        TcpOption::Nop => None,
        TcpOption::End(_) | TcpOption::Sack(_) | TcpOption::Unknown { .. } => Some(format!("{option:?}")),
    });
    format!(" win {} <{}>", tcp.window, options.collect::<Vec<_>>().join(","))
}

fn port(number: u16) -> String {
    if PORTS.contains(&number) { number.to_string() } else { "-".to_owned() }
}

/// Whether a packet carries what a program says over TCP, in a tunnel or not.
fn says(packet: &Ipv4) -> bool {
    match &*packet.body {
        Body::Tcp(tcp) => !tcp.data.is_empty(),
        Body::Udp(udp) => match &udp.payload {
            UdpPayload::Vxlan(vxlan) => vxlan.inner.ipv4().is_some_and(says),
            UdpPayload::Data(_) => false,
        },
        Body::Icmp(_) | Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => {
            false
        }
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
fn taps(lab: &Lab, from: usize, detail: bool) -> BTreeMap<String, Vec<String>> {
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
        let line = format!("{way} {}", packet(frame, detail));
        out.entry(format!("{}/{role}", netns.row.name)).or_default().push(line);
    }
    out
}

pub(crate) fn differences(probe: &Probe<'_>, lab: &Lab, from: usize) -> String {
    let mut simulated = taps(lab, from, probe.detail);
    if probe.arp_only {
        for lines in simulated.values_mut() {
            lines.retain(|line| line.contains(" arp "));
        }
        simulated.retain(|_, lines| !lines.is_empty());
    }
    simulated.retain(|tap, _| tap.starts_with(probe.taps_of));
    let mut out = String::new();
    let empty = Vec::new();
    let names: std::collections::BTreeSet<&String> = probe.taps.keys().chain(simulated.keys()).collect();
    for tap in names {
        let (real, sim) = (probe.taps.get(tap).unwrap_or(&empty), simulated.get(tap).unwrap_or(&empty));
        let sorted = |lines: &Vec<String>| {
            let mut lines = lines.clone();
            lines.sort();
            lines
        };
        if real == sim || (probe.any_order && sorted(real) == sorted(sim)) {
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
