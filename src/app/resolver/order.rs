//! The order of addresses (RFC 6724) as both C libraries keep it: `rfc3484_sort` of glibc (`getaddrinfo.c`), and the end of
//! `__lookup_name` of musl (`lookup_name.c`). Sources are those that the kernel chooses.
//!
//! *Simplified*: of IPv6 only `::1` is reached, and no setting (`gai.conf`) is read.

use super::{Libc, Os};
use crate::base::Ipv4Net;
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Scopes (RFC 4291 section 2.7).
const LINK: u8 = 2;
const SITE: u8 = 5;
const GLOBAL: u8 = 14;

/// A destination with what is known of the way there.
struct Destination {
    ip: IpAddr,
    is_reached: bool,
    source: Option<Ipv4Net>,
}

/// Sorts addresses so that the one to be tried first comes first.
pub fn sort(os: &dyn Os, libc: Libc, addresses: &mut Vec<IpAddr>) {
    let is_mixed = addresses.iter().any(IpAddr::is_ipv6);
    // musl leaves addresses of IPv4 alone as they came.
    if addresses.len() < 2 || (libc == Libc::Musl && !is_mixed) {
        return;
    }
    let mut all: Vec<Destination> = addresses
        .iter()
        .map(|&ip| {
            let source = if let IpAddr::V4(v4) = ip { os.source_network(v4) } else { None };
            Destination { ip, is_reached: source.is_some() || ip == IpAddr::V6(Ipv6Addr::LOCALHOST), source }
        })
        .collect();
    match libc {
        Libc::Glibc => all.sort_by_key(glibc_key),
        Libc::Musl => all.sort_by_key(musl_key),
    }
    *addresses = all.into_iter().map(|destination| destination.ip).collect();
}

/// Rules 1, 2, 6, 8 and 9; the others have nothing to decide here. Sorting keeps what is equal as it was (rule 10).
fn glibc_key(destination: &Destination) -> (bool, bool, Reverse<u8>, u8, Reverse<u32>) {
    let Destination { ip, is_reached, source } = destination;
    let scope = scope(*ip);
    let source_scope = source.map_or(scope, |source| self::scope(IpAddr::V4(source.addr())));
    // Outside of the source's own network common bits mean nothing.
    let common = match (ip, source) {
        (IpAddr::V4(ip), Some(source)) if source.contains(ip) => common_bits(*ip, source.addr()),
        _ => 0,
    };
    let precedence = match ip {
        IpAddr::V6(Ipv6Addr::LOCALHOST) => 50,
        IpAddr::V6(_) => 40,
        IpAddr::V4(_) => 10,
    };
    (!is_reached, scope != source_scope, Reverse(precedence), scope, Reverse(common))
}

/// musl compares common bits within and without networks, and knows scopes of IPv6 only.
fn musl_key(destination: &Destination) -> (bool, Reverse<u8>, u8, Reverse<u32>) {
    let Destination { ip, is_reached, source } = destination;
    let common = match (ip, source) {
        (IpAddr::V4(ip), Some(source)) => common_bits(*ip, source.addr()),
        _ => 0,
    };
    let (precedence, scope) = match ip {
        IpAddr::V4(_) => (35, GLOBAL),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => (50, LINK),
        IpAddr::V6(v6) if v6.octets()[0] & 0xfe == 0xfc => (3, GLOBAL),
        IpAddr::V6(_) => (40, scope(*ip)),
    };
    (!is_reached, Reverse(precedence), scope, Reverse(common))
}

fn scope(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_link_local() => LINK,
        IpAddr::V6(v6) if v6.is_loopback() || v6.segments()[0] & 0xffc0 == 0xfe80 => LINK,
        IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfec0 => SITE,
        IpAddr::V4(_) | IpAddr::V6(_) => GLOBAL,
    }
}

fn common_bits(one: Ipv4Addr, other: Ipv4Addr) -> u32 {
    (u32::from(one) ^ u32::from(other)).leading_zeros()
}
