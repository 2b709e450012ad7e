//! Domain names as text, each with its last dot. They are compared without regard to case (RFC 4343).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `name` is `zone` or lies below it.
pub fn is_subdomain(zone: &str, name: &str) -> bool {
    if zone == "." {
        return true;
    }
    let Some(at) = name.len().checked_sub(zone.len()) else { return false };
    let Some(end) = name.get(at..) else { return false };
    end.eq_ignore_ascii_case(zone) && (at == 0 || name.as_bytes()[at - 1] == b'.')
}

/// The labels of `name` in front of `zone`, in which it lies.
pub(super) fn labels_below<'n>(zone: &str, name: &'n str) -> Vec<&'n str> {
    let zone_len = if zone == "." { 1 } else { zone.len() };
    let head = name.get(..name.len().saturating_sub(zone_len)).unwrap_or("");
    head.split('.').filter(|label| !label.is_empty()).collect()
}

/// The zone of the list that is the longest one `name` lies in, written in the case of `name`.
pub(super) fn zone_of(zones: &[String], name: &str) -> Option<String> {
    let longest = zones.iter().filter(|zone| is_subdomain(zone, name)).max_by_key(|zone| zone.len())?;
    if longest == "." {
        return Some(longest.clone());
    }
    Some(name[name.len() - longest.len()..].to_owned())
}

/// Whether the zone is one of addresses (`in-addr.arpa`, `ip6.arpa`).
pub(super) fn is_reverse(name: &str) -> bool {
    is_subdomain("in-addr.arpa.", name) || is_subdomain("ip6.arpa.", name)
}

/// The address that a name below `in-addr.arpa` (RFC 1035 section 3.5) or `ip6.arpa` (RFC 3596 section 2.5) stands
/// for.
pub fn reverse_address(name: &str) -> Option<IpAddr> {
    let lower = name.to_ascii_lowercase();
    if let Some(head) = lower.strip_suffix(".in-addr.arpa.") {
        let octets: Vec<u8> = head.split('.').rev().map(str::parse).collect::<Result<_, _>>().ok()?;
        return Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)));
    }
    let head = lower.strip_suffix(".ip6.arpa.")?;
    let nibbles: Vec<&str> = head.split('.').rev().collect();
    if nibbles.len() != 32 || nibbles.iter().any(|nibble| nibble.len() != 1) {
        return None;
    }
    u128::from_str_radix(&nibbles.concat(), 16).ok().map(|bits| IpAddr::V6(Ipv6Addr::from(bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_names_give_their_addresses() {
        assert_eq!(reverse_address("1.0.3.10.in-addr.arpa."), "10.3.0.1".parse().ok());
        let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.c.b.a.4.3.2.1.IP6.arpa.";
        assert_eq!(reverse_address(six), "1234:abcd::1".parse().ok());
        for wrong in
            ["1.2.3.in-addr.arpa.", "300.1.2.3.in-addr.arpa.", "svc.0.10.in-addr.arpa.", "a.ip6.arpa."]
        {
            assert_eq!(reverse_address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_zone_keeps_the_case_of_the_question() {
        let zones = ["cluster.local.".to_owned(), "local.".to_owned()];
        assert_eq!(zone_of(&zones, "a.ClUsTeR.lOcAl.").as_deref(), Some("ClUsTeR.lOcAl."));
        assert_eq!(zone_of(&zones, "mycluster.local.").as_deref(), Some("local."));
        assert_eq!(zone_of(&zones, "example.org."), None);
    }
}
