//! Domain names beyond ASCII (IDNA2008, RFC 5891): each label to Punycode (RFC 3492) and back, as libidn2 does it for programs.
//!
//! *Simplified*: of normalisation there is lower case, and Hangul letters that come one by one are put together; whether a
//! character may stand in a name is not judged. The tables for the rest would take more room than all other names here.

use std::fmt::Write as _;

/// Prefix of a label in Punycode.
const PREFIX: &str = "xn--";
/// Parameters of Punycode (RFC 3492 section 5).
const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 128;
/// Hangul syllables (Unicode, section 3.12): first letters, vowels and last letters, and their numbers.
const SYLLABLE: u32 = 0xac00;
const FIRST: u32 = 0x1100;
const VOWEL: u32 = 0x1161;
const LAST: u32 = 0x11a7;
const N_FIRST: u32 = 19;
const N_VOWEL: u32 = 21;
const N_LAST: u32 = 28;

/// A name as it is asked for: its labels beyond ASCII in Punycode.
pub fn to_ascii(name: &str) -> String {
    if name.is_ascii() {
        return name.to_owned();
    }
    let labels = name.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']);
    let labels: Vec<String> = labels
        .map(|label| {
            if label.is_ascii() {
                return label.to_ascii_lowercase();
            }
            let label: Vec<char> = composed(label.to_lowercase().chars());
            format!("{PREFIX}{}", encode(&label))
        })
        .collect();
    labels.join(".")
}

/// Names as they are shown: their labels of Punycode as what they stand for. What is none stays.
pub fn to_unicode(name: &str) -> String {
    let shown = name.split_inclusive(['.', ' ', '\t', ';']).map(|label| {
        let (label, end) = label.split_at(label.trim_end_matches(['.', ' ', '\t', ';']).len());
        let bare = label.get(..4).filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX)).and(label.get(4..));
        bare.and_then(decode).unwrap_or_else(|| label.to_owned()) + end
    });
    shown.collect()
}

/// Hangul letters that follow each other as syllables.
fn composed(text: impl Iterator<Item = char>) -> Vec<char> {
    let mut out: Vec<char> = Vec::new();
    for next in text {
        let (code, before) = (u32::from(next), out.last().map_or(0, |last| u32::from(*last)));
        let joined = if (FIRST..FIRST + N_FIRST).contains(&before) && (VOWEL..VOWEL + N_VOWEL).contains(&code)
        {
            char::from_u32(SYLLABLE + ((before - FIRST) * N_VOWEL + (code - VOWEL)) * N_LAST)
        } else if (SYLLABLE..SYLLABLE + N_FIRST * N_VOWEL * N_LAST).contains(&before)
            && (before - SYLLABLE).is_multiple_of(N_LAST)
            && (LAST + 1..LAST + N_LAST).contains(&code)
        {
            char::from_u32(before + (code - LAST))
        } else {
            None
        };
        match (joined, out.last_mut()) {
            (Some(joined), Some(last)) => *last = joined,
            _ => out.push(next),
        }
    }
    out
}

fn threshold(k: u32, bias: u32) -> u32 {
    k.saturating_sub(bias).clamp(T_MIN, T_MAX)
}

fn adapted(delta: u32, n_points: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / DAMP } else { delta / 2 };
    delta += delta / n_points;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

fn digit(value: u32) -> char {
    char::from_digit(value, BASE)
        .map_or('a', |_| char::from(if value < 26 { b'a' + value as u8 } else { b'0' + (value - 26) as u8 }))
}

/// RFC 3492 section 6.3. A label that long no name has is cut where its numbers would overflow.
fn encode(label: &[char]) -> String {
    let mut out: String = label.iter().filter(|at| at.is_ascii()).collect();
    let basic = out.len() as u32;
    if basic > 0 {
        out.push('-');
    }
    let (mut n, mut delta, mut bias, mut done) = (INITIAL_N, 0_u32, INITIAL_BIAS, basic);
    while let Some(next) = label.iter().map(|at| u32::from(*at)).filter(|code| *code >= n).min() {
        let Some(more) = (next - n).checked_mul(done + 1).and_then(|more| delta.checked_add(more)) else {
            break;
        };
        (delta, n) = (more, next);
        for code in label.iter().map(|at| u32::from(*at)) {
            delta += u32::from(code < n);
            if code != n {
                continue;
            }
            let (mut q, mut k) = (delta, BASE);
            loop {
                let t = threshold(k, bias);
                if q < t {
                    break;
                }
                let _ = write!(out, "{}", digit(t + (q - t) % (BASE - t)));
                q = (q - t) / (BASE - t);
                k += BASE;
            }
            out.push(digit(q));
            bias = adapted(delta, done + 1, done == basic);
            (delta, done) = (0, done + 1);
        }
        (delta, n) = (delta + 1, n + 1);
    }
    out
}

/// RFC 3492 section 6.2; `None` for what is no Punycode.
fn decode(text: &str) -> Option<String> {
    let (basic, rest) = text.rsplit_once('-').unwrap_or(("", text));
    let mut out: Vec<char> = basic.chars().collect();
    let (mut n, mut i, mut bias) = (INITIAL_N, 0_u32, INITIAL_BIAS);
    let mut digits = rest.bytes();
    let mut next = digits.next();
    while next.is_some() {
        let (before, mut weight, mut k) = (i, 1_u32, BASE);
        loop {
            let value = match next? {
                letter @ (b'a'..=b'z' | b'A'..=b'Z') => u32::from(letter.to_ascii_lowercase() - b'a'),
                number @ b'0'..=b'9' => u32::from(number - b'0') + 26,
                _ => return None,
            };
            i = i.checked_add(value.checked_mul(weight)?)?;
            let t = threshold(k, bias);
            next = digits.next();
            if value < t {
                break;
            }
            weight = weight.checked_mul(BASE - t)?;
            k += BASE;
        }
        let len = out.len() as u32 + 1;
        bias = adapted(i - before, len, before == 0);
        n = n.checked_add(i / len)?;
        i %= len;
        out.insert(i as usize, char::from_u32(n)?);
        i += 1;
    }
    Some(out.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `dig +idnin` and `+idnout` of Debian 12 print them.
    #[test]
    fn names_go_to_punycode_and_back() {
        for (shown, asked) in [
            ("bücher.example", "xn--bcher-kva.example"),
            ("한글.example", "xn--bj0bj06e.example"),
            ("faß.example", "xn--fa-hia.example"),
            ("☃.example", "xn--n3h.example"),
            ("他们为什么不说中文.x", "xn--ihqwcrb4cv8a8dqg056pqjye.x"),
            ("web.default.svc", "web.default.svc"),
        ] {
            assert_eq!(to_ascii(shown), asked);
            assert_eq!(to_unicode(asked), shown);
        }
        assert_eq!(to_ascii("BÜCHER.Example"), "xn--bcher-kva.example");
        // Letters one by one.
        assert_eq!(to_ascii("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"), to_ascii("한글"));
        for odd in ["xn--", "xn--*", "xn--99999999999", "xn--a-é"] {
            to_unicode(odd);
        }
    }
}
