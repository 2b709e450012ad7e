//! VLAN tags, spanning tree packets and tunnels as JSON.

use super::{FrameJson, Ipv4Json, frame_json, ipv4_json};
use crate::base::Ipv4Addr;
use crate::wire::{Body, Frame, Gre, GrePayload, Igmp, Ipv4, Payload};
use serde::Serialize;

/// A VLAN tag.
#[derive(Clone, Debug, Serialize)]
pub struct VlanJson {
    /// `802.1Q` or `802.1ad`.
    pub protocol: &'static str,
    /// VLAN identifier.
    pub id: u16,
    /// Priority.
    pub priority: u8,
}

/// A spanning tree packet.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum StpJson {
    /// A configuration message.
    #[serde(rename_all = "camelCase")]
    Config {
        /// Whether it is one of the rapid protocol.
        rapid: bool,
        /// Flags.
        flags: u8,
        /// The root bridge.
        root: String,
        /// Cost of the path to it.
        root_path_cost: u32,
        /// The sending bridge.
        bridge: String,
        /// The sending port.
        port: u16,
        /// Age of the information, in units of 1/256 s.
        message_age: u16,
    },
    /// A topology change notification.
    TopologyChange,
}

/// What an IPv4 packet carries besides UDP and ICMP.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TunnelJson {
    /// The IPv4 packet inside.
    Ipip(Box<Ipv4Json>),
    /// The GRE packet.
    Gre(GreJson),
    /// The ESP packet.
    Esp(EspJson),
    /// The IGMP message.
    Igmp(IgmpJson),
}

/// A GRE packet.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GreJson {
    /// Whether there is a checksum.
    pub checksummed: bool,
    /// Key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<u32>,
    /// Sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// Protocol type.
    pub protocol_type: u16,
    /// The IPv4 packet inside, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Box<Ipv4Json>>,
    /// The frame inside, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<Box<FrameJson>>,
}

/// An ESP packet; what is inside is encrypted.
#[derive(Clone, Debug, Serialize)]
pub struct EspJson {
    /// Security parameters index.
    pub spi: u32,
    /// Sequence number.
    pub sequence: u32,
    /// Length in bytes, header included.
    pub length: usize,
}

/// An IGMP message.
#[derive(Clone, Debug, Serialize)]
pub struct IgmpJson {
    /// Type.
    #[serde(rename = "type")]
    pub kind: u8,
    /// Groups it speaks of.
    pub groups: Vec<Ipv4Addr>,
}

pub(super) fn vlans(frame: &Frame) -> Vec<VlanJson> {
    let mut tags = Vec::new();
    let mut payload = &frame.payload;
    while let Payload::Vlan(vlan) = payload {
        tags.push(VlanJson { protocol: vlan.protocol.name(), id: vlan.id, priority: vlan.priority });
        payload = &vlan.inner;
    }
    tags
}

pub(super) fn stp(frame: &Frame) -> Option<StpJson> {
    let Payload::Bpdu(bpdu) = frame.inner_payload() else { return None };
    Some(bpdu.config().map_or(StpJson::TopologyChange, |config| StpJson::Config {
        rapid: matches!(bpdu, crate::wire::Bpdu::Rapid(_)),
        flags: config.flags,
        root: config.root.to_string(),
        root_path_cost: config.root_path_cost,
        bridge: config.bridge.to_string(),
        port: config.port,
        message_age: config.message_age,
    }))
}

pub(super) fn tunnel(packet: &Ipv4) -> Option<TunnelJson> {
    match &*packet.body {
        Body::Ipip(inner) => Some(TunnelJson::Ipip(Box::new(ipv4_json(inner)))),
        Body::Gre(gre) => Some(TunnelJson::Gre(gre_json(gre))),
        Body::Esp(esp) => {
            Some(TunnelJson::Esp(EspJson { spi: esp.spi, sequence: esp.seq, length: esp.wire_len() }))
        }
        Body::Igmp(Igmp::V3Report(records)) => {
            let groups = records.iter().map(|record| record.group).collect();
            Some(TunnelJson::Igmp(IgmpJson { kind: 0x22, groups }))
        }
        Body::Igmp(Igmp::Plain { kind, group, .. }) => {
            Some(TunnelJson::Igmp(IgmpJson { kind: *kind, groups: vec![*group] }))
        }
        Body::Icmp(_) | Body::Tcp(_) | Body::Udp(_) | Body::Raw { .. } => None,
    }
}

fn gre_json(gre: &Gre) -> GreJson {
    let (ipv4, inner) = match &gre.payload {
        GrePayload::Ipv4(packet) => (Some(Box::new(ipv4_json(packet))), None),
        GrePayload::Ethernet(frame) => (None, Some(Box::new(frame_json(frame)))),
        GrePayload::Other { .. } => (None, None),
    };
    GreJson {
        checksummed: gre.checksum,
        key: gre.key,
        sequence: gre.sequence,
        protocol_type: gre.payload.ethertype(),
        ipv4,
        inner,
    }
}
