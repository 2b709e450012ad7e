//! What a packet carries inside another one.

use super::{Body, Frame, GrePayload, Ipv4, Payload, UdpPayload};

/// What is inside a tunnel's outer headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner<'a> {
    /// A whole frame: VXLAN, or GRE that carries Ethernet.
    Frame(&'a Frame),
    /// An IPv4 packet: IPIP or GRE.
    Ipv4(&'a Ipv4),
}

impl Inner<'_> {
    /// Length in bytes.
    pub fn wire_len(self) -> usize {
        match self {
            Self::Frame(frame) => frame.wire_len(),
            Self::Ipv4(packet) => packet.wire_len(),
        }
    }
}

impl Ipv4 {
    /// What this packet carries through a tunnel, if it does; what ESP carries cannot be seen.
    pub fn tunneled(&self) -> Option<Inner<'_>> {
        match &*self.body {
            Body::Udp(udp) => match &udp.payload {
                UdpPayload::Vxlan(vxlan) => Some(Inner::Frame(&vxlan.inner)),
                UdpPayload::Data(_) => None,
            },
            Body::Ipip(inner) => Some(Inner::Ipv4(inner)),
            Body::Gre(gre) => match &gre.payload {
                GrePayload::Ipv4(inner) => Some(Inner::Ipv4(inner)),
                GrePayload::Ethernet(inner) => Some(Inner::Frame(inner)),
                GrePayload::Other { .. } => None,
            },
            Body::Icmp(_) | Body::Tcp(_) | Body::Igmp(_) | Body::Esp(_) | Body::Raw { .. } => None,
        }
    }

    /// The packet inside all tunnels, this one where it is in none.
    pub fn innermost(&self) -> &Self {
        match self.tunneled() {
            Some(Inner::Ipv4(inner)) => inner.innermost(),
            Some(Inner::Frame(inner)) => inner.inner_ipv4().map_or(self, Self::innermost),
            None => self,
        }
    }
}

impl Frame {
    /// What the frame carries behind its VLAN tags.
    pub fn inner_payload(&self) -> &Payload {
        let mut payload = &self.payload;
        while let Payload::Vlan(vlan) = payload {
            payload = &vlan.inner;
        }
        payload
    }

    /// The IPv4 packet that the frame carries, behind VLAN tags too.
    pub fn inner_ipv4(&self) -> Option<&Ipv4> {
        match self.inner_payload() {
            Payload::Ipv4(packet) => Some(packet),
            Payload::Arp(_) | Payload::Vlan(_) | Payload::Bpdu(_) | Payload::Other { .. } => None,
        }
    }
}
