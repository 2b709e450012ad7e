//! Which part of a file a request asks for (RFC 9110 section 14), as each server reads `Range`.

use super::site::Flavor;
use crate::app::http::Head;

/// What a server answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The whole file: nothing else was asked for, or nothing that the server understands.
    Whole,
    /// The bytes from the first to the last.
    Bytes(usize, usize),
    /// Nothing, for there is none of what was asked for.
    Nothing,
}

/// The part of a file of so many bytes. `is_same` says whether a client that names a state of the file in `If-Range` has
/// that one.
pub(super) fn asked(flavor: &Flavor, head: &Head, len: usize, is_same: impl Fn(&str) -> bool) -> Part {
    let read: fn(&str, usize) -> Part = match flavor {
        Flavor::Nginx(_) => nginx,
        Flavor::Apache(_) => apache,
        Flavor::Busybox => busybox,
        Flavor::Python | Flavor::Netexec | Flavor::Hostname | Flavor::Health | Flavor::GrpcHealth(_) => {
            return Part::Whole;
        }
    };
    let is_stale = *flavor != Flavor::Busybox && head.get("If-Range").is_some_and(|state| !is_same(state));
    match head.get("Range").filter(|_| !is_stale) {
        Some(range) => read(range.trim(), len),
        None => Part::Whole,
    }
}

/// The one of several parts that can be had; of more than one the file as a whole.
fn single(parts: &[(usize, usize)]) -> Part {
    match parts {
        [] => Part::Nothing,
        [(first, last)] => Part::Bytes(*first, *last),
        _ => Part::Whole,
    }
}

/// What follows `bytes=`, in whatever case that is written.
fn of_bytes(range: &str) -> Option<&str> {
    let (unit, rest) = range.split_at_checked("bytes=".len())?;
    unit.eq_ignore_ascii_case("bytes=").then_some(rest)
}

fn number(digits: &str) -> Option<usize> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// `ngx_http_range_parse`: blanks may stand around numbers, and what cannot be read cannot be had.
fn nginx(range: &str, len: usize) -> Part {
    let Some(list) = of_bytes(range).filter(|list| !list.is_empty()) else { return Part::Whole };
    let mut parts = Vec::new();
    for item in list.split(',') {
        let Some((first, last)) = item.split_once('-') else { return Part::Nothing };
        let (first, last) = (first.trim_matches(' '), last.trim_end_matches(' '));
        let (start, end) = if first.is_empty() {
            let Some(suffix) = number(last) else { return Part::Nothing };
            (len.saturating_sub(suffix), len)
        } else {
            let last = last.trim_start_matches(' ');
            let Some(start) = number(first) else { return Part::Nothing };
            let end =
                if last.is_empty() { Some(len) } else { number(last).map(|last| last.saturating_add(1)) };
            let Some(end) = end else { return Part::Nothing };
            (start, end.min(len))
        };
        match (start < end, start) {
            (true, _) => parts.push((start, end - 1)),
            (false, 0) => return Part::Whole,
            (false, _) => {}
        }
    }
    single(&parts)
}

/// `ap_set_byterange`: what cannot be read is as if it had not been asked for.
fn apache(range: &str, len: usize) -> Part {
    let Some(list) = of_bytes(range) else { return Part::Whole };
    let mut parts = Vec::new();
    for item in list.split(',') {
        let read = item.split_once('-').and_then(|(first, last)| match (first, last) {
            ("", suffix) => {
                let suffix = number(suffix).filter(|suffix| *suffix > 0)?;
                Some((len.saturating_sub(suffix), len.checked_sub(1)?))
            }
            (first, "") => Some((number(first)?, len.saturating_sub(1))),
            (first, last) => Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last),
        });
        let Some((first, last)) = read else { return Part::Whole };
        if first < len {
            parts.push((first, last.min(len - 1)));
        }
    }
    let sum: usize = parts.iter().map(|(first, last)| last + 1 - first).sum();
    if sum > len { Part::Whole } else { single(&parts) }
}

/// busybox's httpd: from a byte on, perhaps up to another, where 0 stands for the end.
fn busybox(range: &str, len: usize) -> Part {
    let read = range.strip_prefix("bytes=").and_then(|range| {
        let (first, last) = range.split_once('-')?;
        let first = number(first).filter(|_| !first.is_empty())?;
        let last = if last.is_empty() { 0 } else { number(last).filter(|last| first <= *last)? };
        Some((first, last))
    });
    let end = len.saturating_sub(1);
    let part = read.map(|(first, last)| (first, if last == 0 { end } else { last.min(end) }));
    match part.filter(|(first, last)| first <= last && len > 0) {
        Some((first, last)) => Part::Bytes(first, last),
        None => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the real servers said of a file of 21 bytes: nginx 1.22, Apache 2.4, busybox 1.35.
    #[test]
    fn each_server_reads_ranges_in_its_own_way() {
        use Part::{Bytes, Nothing, Whole};
        let recorded = [
            ("bytes=0-4", Bytes(0, 4), Bytes(0, 4), Bytes(0, 4)),
            ("bytes=5-", Bytes(5, 20), Bytes(5, 20), Bytes(5, 20)),
            ("bytes=-3", Bytes(18, 20), Bytes(18, 20), Whole),
            ("bytes=0-100", Bytes(0, 20), Bytes(0, 20), Bytes(0, 20)),
            ("bytes=30-40", Nothing, Nothing, Whole),
            ("bytes=21-", Nothing, Nothing, Whole),
            ("bytes=20-", Bytes(20, 20), Bytes(20, 20), Bytes(20, 20)),
            ("bytes=-0", Nothing, Whole, Whole),
            ("bytes=-100", Bytes(0, 20), Bytes(0, 20), Whole),
            ("bytes=5-2", Nothing, Whole, Whole),
            ("bytes=abc", Nothing, Whole, Whole),
            ("bytes=", Whole, Whole, Whole),
            ("bytes=0-4x", Nothing, Whole, Whole),
            ("items=0-4", Whole, Whole, Whole),
            ("bytes=0-20", Bytes(0, 20), Bytes(0, 20), Bytes(0, 20)),
            ("bytes= 1 - 3 ", Bytes(1, 3), Whole, Whole),
            ("bytes=30-40,0-1", Bytes(0, 1), Bytes(0, 1), Whole),
            ("BYTES=0-1", Bytes(0, 1), Bytes(0, 1), Whole),
            ("bytes=0-", Bytes(0, 20), Bytes(0, 20), Bytes(0, 20)),
        ];
        for (range, by_nginx, by_apache, by_busybox) in recorded {
            let read = (nginx(range, 21), apache(range, 21), busybox(range, 21));
            assert_eq!(read, (by_nginx, by_apache, by_busybox), "{range}");
        }
    }
}
