//! IP addresses and prefixes in objects, with what the API server refuses of them.

use super::cursor::Cursor;
use super::names;
use crate::manifest::report::Report;
use std::net::IpAddr;

/// An address; `None`, with an error, for what is none.
pub(super) fn ip(field: &Cursor<'_>, report: &mut Report<'_>) -> Option<IpAddr> {
    if !names::is_ip(field.text()) {
        field.fault(report, "invalid.ip", "invalid.ip.hint", &[]);
        return None;
    }
    field.text().parse().ok()
}

/// An address that traffic can go to (`ValidateNonSpecialIP`).
pub(super) fn reachable_ip(field: &Cursor<'_>, report: &mut Report<'_>) {
    let Some(address) = ip(field, report) else { return };
    let (link_local, link_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    let special = [
        (address.is_unspecified(), "invalid.ip-unspecified"),
        (address.is_loopback(), "invalid.ip-loopback"),
        (link_local, "invalid.ip-link-local"),
        (link_multicast, "invalid.ip-link-multicast"),
    ];
    for (_, message) in special.into_iter().filter(|(is, _)| *is) {
        field.fault(report, message, "invalid.ip-special.hint", &[field.text()]);
    }
}

/// A prefix: its network and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    bits: u128,
    /// Length of the prefix counted in 128 bits, so that both families compare alike.
    length: u8,
    v4: bool,
}

impl Prefix {
    /// The prefix written here; `None` for what is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !names::is_cidr(text) {
            return None;
        }
        let (address, length) = text.split_once('/')?;
        let length: u8 = length.parse().ok()?;
        match address.parse().ok()? {
            IpAddr::V4(v4) => Some(Self::masked(u128::from(u32::from(v4)), length + 96, true)),
            IpAddr::V6(v6) => Some(Self::masked(u128::from(v6), length, false)),
        }
    }

    fn masked(bits: u128, length: u8, v4: bool) -> Self {
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        Self { bits: bits & mask, length, v4 }
    }

    /// Whether `other` is a part of this prefix and smaller.
    pub(super) fn strictly_contains(self, other: Self) -> bool {
        self.v4 == other.v4
            && self.length < other.length
            && Self::masked(other.bits, self.length, self.v4).bits == self.bits
    }
}

/// A prefix; `None`, with an error, for what is none.
pub(super) fn cidr(field: &Cursor<'_>, report: &mut Report<'_>) -> Option<Prefix> {
    let prefix = Prefix::parse(field.text());
    if prefix.is_none() {
        field.fault(report, "invalid.cidr", "invalid.cidr.hint", &[]);
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::Prefix;

    #[test]
    fn a_prefix_strictly_contains_smaller_parts_of_itself() {
        let contains = |a, b| Prefix::parse(a).unwrap().strictly_contains(Prefix::parse(b).unwrap());
        assert!(contains("10.0.0.0/8", "10.1.0.0/16"));
        assert!(contains("0.0.0.0/0", "192.168.1.1/32"));
        assert!(contains("::/0", "fd00::/8"));
        assert!(!contains("10.0.0.0/8", "10.0.0.0/8"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0/16"));
        assert!(!contains("10.1.0.0/16", "10.0.0.0/8"));
        assert!(!contains("0.0.0.0/0", "fd00::/8"));
    }
}
