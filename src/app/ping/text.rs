//! How `ping` words and rounds things.
#![expect(clippy::cast_possible_wrap, reason = "simulated times are far below 2^63 ns")]

use crate::base::{Ipv4Addr, SimTime};

/// Milliseconds between two moments as the program takes them: seconds and nanoseconds apart, each cut to whole
/// units.
pub(super) fn elapsed_ms(from: SimTime, to: SimTime) -> i64 {
    let parts = |time: SimTime| ((time.0 / 1_000_000_000) as i64, (time.0 % 1_000_000_000) as i64);
    let ((from_s, from_ns), (to_s, to_ns)) = (parts(from), parts(to));
    (to_s - from_s) * 1000 + (to_ns - from_ns) / 1_000_000
}

/// The moment that `-D` prints before a line.
pub(super) fn timestamp(now: SimTime) -> String {
    format!("[{}.{:06}] ", now.unix_secs(), now.0 % 1_000_000_000 / 1000)
}

/// Thousandths of a unit as the unit with three decimals.
pub(super) fn thousandths(value: i64) -> String {
    format!("{}.{:03}", value / 1000, value % 1000)
}

/// ` time=… ms` with 3, 2, 1 or no decimals, as the time grows.
pub(super) fn time_text(us: i64) -> String {
    match us {
        99_950.. => format!(" time={} ms", (us + 500) / 1000),
        9_995..99_950 => format!(" time={}.{} ms", (us + 50) / 1000, (us + 50) % 1000 / 100),
        1_000..9_995 => format!(" time={}.{:02} ms", (us + 5) / 1000, (us + 5) % 1000 / 10),
        _ => format!(" time={}.{:03} ms", us / 1000, us % 1000),
    }
}

/// `part` of `whole` in per cent as `%g` prints it: six significant digits, no zeros at the end.
pub(super) fn percent(part: u64, whole: u64) -> String {
    for decimals in (0..=9).rev() {
        let scale = 10_u128.pow(decimals);
        let value = (u128::from(part) * 100 * scale + u128::from(whole) / 2) / u128::from(whole);
        if value < 1_000_000 {
            let text = format!("{}.{:0width$}", value / scale, value % scale, width = decimals as usize);
            return text.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
    }
    "100".to_owned()
}

/// `pr_icmph`: an ICMP error in words.
pub(super) fn icmp_text(kind: u8, code: u8, mtu: u32) -> String {
    let text = match (kind, code) {
        (3, 0) => "Destination Net Unreachable",
        (3, 1) => "Destination Host Unreachable",
        (3, 2) => "Destination Protocol Unreachable",
        (3, 3) => "Destination Port Unreachable",
        (3, 4) => return format!("Frag needed and DF set (mtu = {mtu})"),
        (3, 5) => "Source Route Failed",
        (3, 6) => "Destination Net Unknown",
        (3, 7) => "Destination Host Unknown",
        (3, 8) => "Source Host Isolated",
        (3, 9) => "Destination Net Prohibited",
        (3, 10) => "Destination Host Prohibited",
        (3, 11) => "Destination Net Unreachable for Type of Service",
        (3, 12) => "Destination Host Unreachable for Type of Service",
        (3, 13) => "Packet filtered",
        (3, 14) => "Precedence Violation",
        (3, 15) => "Precedence Cutoff",
        (3, code) => return format!("Dest Unreachable, Bad Code: {code}"),
        (4, _) => "Source Quench",
        (11, 0) => "Time to live exceeded",
        (11, 1) => "Frag reassembly time exceeded",
        (11, code) => return format!("Time exceeded, Bad Code: {code}"),
        (12, _) => return format!("Parameter problem: pointer = {mtu}"),
        (kind, _) => return format!("Bad ICMP type: {kind}"),
    };
    text.to_owned()
}

/// What a redirect with this code is called.
pub(super) fn redirect_text(code: u8) -> &'static str {
    match code {
        0 => "Redirect Network",
        1 => "Redirect Host",
        2 => "Redirect Type of Service and Network",
        3 => "Redirect Type of Service and Host",
        _ => "Redirect, Bad Code",
    }
}

/// `inet_aton`: one to four parts, decimal, octal or hexadecimal, the last one filling what is left.
pub fn parse_address(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(parse_number).collect::<Option<_>>()?;
    let (last, head) = parts.split_last()?;
    if head.len() > 3 || head.iter().any(|part| *part > 255) {
        return None;
    }
    let room = 32 - 8 * head.len() as u32;
    if room < 32 && *last >= 1 << room {
        return None;
    }
    let high = head.iter().enumerate().fold(0, |high, (index, part)| high | part << (24 - 8 * index));
    Some(Ipv4Addr::from_bits(high | last))
}

fn parse_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}
