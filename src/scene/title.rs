//! A packet's short name for people, in their language.

use crate::base::words::{self, Lang};
use crate::wire::{ArpOp, Body, Bpdu, Frame, GrePayload, Icmp, Igmp, Ipv4, Payload, UdpPayload};

/// What a packet is in a few words, with what a tunnel wraps after a `›`.
pub fn packet_title(frame: &Frame, lang: Lang) -> String {
    payload_title(&frame.payload, lang)
}

/// The name of the outermost tunnel that a packet travels in.
pub fn tunnel_name(frame: &Frame) -> &'static str {
    match frame.ipv4().map(|packet| &*packet.body) {
        Some(Body::Udp(_)) => "VXLAN",
        Some(Body::Ipip(_)) => "IPIP",
        Some(Body::Gre(_)) => "GRE",
        Some(Body::Esp(_)) => "ESP",
        Some(Body::Icmp(_) | Body::Tcp(_) | Body::Igmp(_) | Body::Raw { .. }) | None => "",
    }
}

fn payload_title(payload: &Payload, lang: Lang) -> String {
    let say = |key: &str, args: &[String]| words::text(lang, &format!("packet.{key}"), args);
    match payload {
        Payload::Arp(arp) => {
            let key = match arp.op {
                ArpOp::Request => "arp.request",
                ArpOp::Reply => "arp.reply",
                ArpOp::Other(_) => "arp.other",
            };
            say(key, &[arp.target_ip.to_string(), arp.sender_ip.to_string()])
        }
        Payload::Ipv4(packet) => ipv4_title(packet, lang),
        Payload::Vlan(vlan) => format!("VLAN {} › {}", vlan.id, payload_title(&vlan.inner, lang)),
        Payload::Bpdu(Bpdu::TopologyChange) => say("stp.topology_change", &[]),
        Payload::Bpdu(Bpdu::Config(config) | Bpdu::Rapid(config)) => {
            say("stp.config", &[config.root.to_string(), config.root_path_cost.to_string()])
        }
        Payload::Other { ethertype, .. } => format!("EtherType 0x{ethertype:04x}"),
    }
}

fn ipv4_title(packet: &Ipv4, lang: Lang) -> String {
    let say = |key: &str, args: &[String]| words::text(lang, &format!("packet.{key}"), args);
    match &*packet.body {
        Body::Icmp(icmp) => icmp_title(icmp, lang),
        Body::Tcp(tcp) => format!("TCP {} → {} [{}]", tcp.src_port, tcp.dst_port, tcp.flags),
        Body::Udp(udp) => match &udp.payload {
            UdpPayload::Vxlan(vxlan) => format!("VXLAN › {}", packet_title(&vxlan.inner, lang)),
            UdpPayload::Data(_) => format!("UDP {} → {}", udp.src_port, udp.dst_port),
        },
        Body::Igmp(Igmp::V3Report(_)) => "IGMPv3".into(),
        Body::Igmp(Igmp::Plain { .. }) => "IGMP".into(),
        Body::Ipip(inner) => format!("IPIP › {}", ipv4_title(inner, lang)),
        Body::Gre(gre) => match &gre.payload {
            GrePayload::Ipv4(inner) => format!("GRE › {}", ipv4_title(inner, lang)),
            GrePayload::Ethernet(inner) => format!("GRE › {}", packet_title(inner, lang)),
            GrePayload::Other { ethertype, .. } => format!("GRE › 0x{ethertype:04x}"),
        },
        Body::Esp(esp) => say("esp", &[format!("0x{:08x}", esp.spi), esp.seq.to_string()]),
        Body::Raw { protocol, .. } if packet.is_fragment() => {
            say("fragment", &[protocol_name(*protocol), (u32::from(packet.fragment_offset) * 8).to_string()])
        }
        Body::Raw { protocol, .. } => protocol_name(*protocol),
    }
}

fn icmp_title(icmp: &Icmp, lang: Lang) -> String {
    let say = |key: &str, args: &[String]| words::text(lang, &format!("packet.icmp.{key}"), args);
    let (kind, code) = icmp.kind_and_code();
    match icmp {
        Icmp::EchoRequest { seq, .. } => say("echo_request", &[seq.to_string()]),
        Icmp::EchoReply { seq, .. } => say("echo_reply", &[seq.to_string()]),
        Icmp::DestinationUnreachable { .. } => {
            let key = match code {
                0 => "net_unreachable",
                1 => "host_unreachable",
                3 => "port_unreachable",
                4 => "fragmentation_needed",
                _ => "unreachable",
            };
            say(key, &[code.to_string()])
        }
        Icmp::TimeExceeded { .. } => say("time_exceeded", &[]),
        Icmp::Other { .. } => say("other", &[kind.to_string(), code.to_string()]),
    }
}

fn protocol_name(protocol: u8) -> String {
    match protocol {
        1 => "ICMP".into(),
        6 => "TCP".into(),
        17 => "UDP".into(),
        other => format!("IPv4, protocol {other}"),
    }
}
