//! Values with a form of their own: durations, addresses with a prefix length.

use crate::base::{Duration, Ipv4Addr, Ipv4Net};

/// A Go duration (`time.ParseDuration`) that is not negative: `1us`, `1.5ms`, `1m30s`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total: u128 = 0;
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        total = total.checked_add(decimal(number, unit_ns(unit)?)?)?;
        rest = tail;
    }
    u64::try_from(total).ok().map(Duration::from_ns)
}

fn unit_ns(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A decimal number times `unit`, in integers.
fn decimal(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') || whole.len() > 19 {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(15)];
    let parse = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    parse(whole)?.checked_mul(unit)?.checked_add(parse(fraction)? * unit / scale)
}

/// An address with a prefix length, or a bare address with the length `otherwise`.
pub(super) fn net_of(text: &str, otherwise: u8) -> Option<Ipv4Net> {
    if text.contains('/') {
        return text.parse().ok();
    }
    Ipv4Net::new(text.parse::<Ipv4Addr>().ok()?, otherwise).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_go() {
        for (text, ns) in [
            ("1us", Some(1_000)),
            ("1µs", Some(1_000)),
            ("1.5ms", Some(1_500_000)),
            ("1m30s", Some(90_000_000_000)),
            (".5s", Some(500_000_000)),
            ("0", Some(0)),
            ("", None),
            ("1", None),
            ("-1s", None),
            ("1 s", None),
            ("s", None),
            (".s", None),
            ("99999999999h", None),
        ] {
            assert_eq!(duration(text).map(|duration| duration.0), ns, "{text}");
        }
    }
}
