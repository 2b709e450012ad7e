//! VLAN tags (IEEE 802.1Q clause 9.6, and the service tags that provider bridges stack on top).

use super::{Frame, Payload, WireError};

/// A tag between the Ethernet addresses and the EtherType, and what it stands in front of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vlan {
    /// Which tag this is.
    pub protocol: VlanProtocol,
    /// Priority code point, 3 bits.
    pub priority: u8,
    /// Drop eligible indicator.
    pub drop_eligible: bool,
    /// VLAN identifier, 12 bits; 0 for a tag that carries a priority only.
    pub id: u16,
    /// What follows, with an EtherType of its own.
    pub inner: Box<Payload>,
}

/// The tag protocol identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VlanProtocol {
    /// 0x8100, a customer tag.
    Dot1q,
    /// 0x88a8, a service tag (802.1ad).
    Dot1ad,
}

impl VlanProtocol {
    /// The EtherType that announces the tag.
    pub fn ethertype(self) -> u16 {
        match self {
            Self::Dot1q => 0x8100,
            Self::Dot1ad => 0x88a8,
        }
    }

    /// The tag that this EtherType announces.
    pub fn from_ethertype(ethertype: u16) -> Option<Self> {
        match ethertype {
            0x8100 => Some(Self::Dot1q),
            0x88a8 => Some(Self::Dot1ad),
            _ => None,
        }
    }

    /// Its name in the words of iproute2.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dot1q => "802.1Q",
            Self::Dot1ad => "802.1ad",
        }
    }
}

impl Vlan {
    /// Length of a tag, in bytes: what it adds to a frame.
    pub const LEN: usize = 4;

    /// Most tags that are read in one frame.
    const MAX_TAGS: usize = 8;

    pub(super) fn emit_into(&self, out: &mut Vec<u8>) {
        assert!(self.id < 1 << 12 && self.priority < 8, "a VLAN identifier has 12 bits and a priority 3");
        let control = u16::from(self.priority) << 13 | u16::from(self.drop_eligible) << 12 | self.id;
        out.extend_from_slice(&control.to_be_bytes());
        out.extend_from_slice(&self.inner.ethertype().to_be_bytes());
        self.inner.emit_into(out);
    }

    /// `tags` are the tags in front of this one.
    pub(super) fn parse_at(
        protocol: VlanProtocol,
        bytes: &[u8],
        base: usize,
        (depth, tags): (usize, usize),
    ) -> Result<Self, WireError> {
        let Some(([c0, c1, t0, t1], rest)) = bytes.split_first_chunk::<{ Self::LEN }>() else {
            return Err(WireError::truncated("VLAN", base + bytes.len()));
        };
        if tags == Self::MAX_TAGS {
            return Err(WireError::new("VLAN", base, "too many tags"));
        }
        let control = u16::from_be_bytes([*c0, *c1]);
        let ethertype = u16::from_be_bytes([*t0, *t1]);
        let inner = Payload::parse_at(ethertype, rest, base + Self::LEN, (depth, tags + 1))?;
        Ok(Self {
            protocol,
            priority: (control >> 13) as u8,
            drop_eligible: control & 0x1000 != 0,
            id: control & 0x0fff,
            inner: Box::new(inner),
        })
    }

    /// Length of the tag and what follows, in bytes.
    pub fn wire_len(&self) -> usize {
        Self::LEN + self.inner.wire_len()
    }
}

impl Frame {
    /// The VLAN identifier of the outermost tag of this kind, if the frame begins with one.
    pub fn vlan_id(&self, protocol: VlanProtocol) -> Option<u16> {
        match &self.payload {
            Payload::Vlan(vlan) if vlan.protocol == protocol => Some(vlan.id),
            Payload::Vlan(_)
            | Payload::Arp(_)
            | Payload::Ipv4(_)
            | Payload::Bpdu(_)
            | Payload::Other { .. } => None,
        }
    }

    /// The frame with a tag put in front (`__vlan_hwaccel_put_tag`).
    #[must_use]
    pub fn tagged(self, protocol: VlanProtocol, id: u16) -> Self {
        let vlan = Vlan { protocol, priority: 0, drop_eligible: false, id, inner: Box::new(self.payload) };
        Self { payload: Payload::Vlan(vlan), ..self }
    }

    /// The frame without its outermost tag; the frame itself where it has none (`__vlan_hwaccel_clear_tag`).
    #[must_use]
    pub fn untagged(self) -> Self {
        match self.payload {
            Payload::Vlan(vlan) => Self { payload: *vlan.inner, ..self },
            payload @ (Payload::Arp(_) | Payload::Ipv4(_) | Payload::Bpdu(_) | Payload::Other { .. }) => {
                Self { payload, ..self }
            }
        }
    }
}
