//! What a YAML scalar means to the API server. Its parser (go-yaml v2, which follows YAML 1.1) reads unquoted words
//! such as `yes`, `0777` or `1_000` in its own way, and so must this one. A single `y` or `n` is left a text, with a
//! warning where a text is wanted: go-yaml reads it as a truth value, while most programs that write YAML do not quote it.

use serde_json::{Number, Value};
use std::fmt::{self, Display};

/// What a scalar means, in less room than a JSON value, which can be a map as well, takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
}

impl Scalar {
    /// The text of a text.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) => None,
        }
    }

    /// A whole number that 64 bits hold.
    pub(super) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            Self::Null | Self::Bool(_) | Self::Text(_) => None,
        }
    }

    /// The same as JSON.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
        }
    }
}

/// A text as it is, anything else as JSON has it.
impl Display for Scalar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(truth) => truth.fmt(formatter),
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

const TRUE: [&str; 9] = ["yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSE: [&str; 9] = ["no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];
const NULL: [&str; 5] = ["", "~", "null", "Null", "NULL"];

/// Whether an unquoted scalar is a single letter that go-yaml reads as a truth value.
pub(super) fn is_letter(text: &str) -> bool {
    matches!(text, "y" | "Y" | "n" | "N")
}

/// The first characters of the words that mean something else than themselves, and the length of the longest.
const FIRST: [char; 11] = ['~', 'n', 'N', 'y', 'Y', 't', 'T', 'o', 'O', 'f', 'F'];
const LONGEST: usize = 5;

/// What an unquoted scalar means that is no text.
pub(super) fn meaning(text: &str) -> Option<Scalar> {
    word(text).or_else(|| number(text).map(Scalar::Number))
}

fn word(text: &str) -> Option<Scalar> {
    let may_be = text.is_empty() || (text.len() <= LONGEST && text.starts_with(FIRST));
    if !may_be {
        return None;
    }
    if NULL.contains(&text) {
        return Some(Scalar::Null);
    }
    let truth = TRUE.contains(&text);
    (truth || FALSE.contains(&text)).then_some(Scalar::Bool(truth))
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain))
}

/// `strconv.ParseInt(text, 0, 64)`: the base follows from the prefix, and a leading zero means octal.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        0i64.checked_sub_unsigned(magnitude).map(Number::from)
    } else {
        Some(Number::from(magnitude))
    }
}

/// The decimal forms that go-yaml takes for a float: `1.5`, `.5`, `1e3`, but neither `1.2.3` nor `inf`.
fn float(text: &str) -> Option<Number> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && digits(text)
    });
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 || !exponent_fits {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    // A float without a fraction becomes an integer when the YAML is turned into JSON.
    if value.fract() == 0.0 && value.abs() < 9e15 {
        #[expect(clippy::cast_possible_truncation, reason = "whole and well inside the range of i64")]
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_are_told_from_texts_by_their_first_character_and_length() {
        for word in NULL.iter().chain(&TRUE).chain(&FALSE).filter(|word| !word.is_empty()) {
            assert!(word.starts_with(FIRST) && word.len() <= LONGEST, "{word}");
            assert!(meaning(word).is_some(), "{word}");
        }
    }

    #[test]
    fn unquoted_words_mean_what_go_yaml_makes_of_them() {
        for (text, value) in [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("n", json!("n")),
            ("~", json!(null)),
            ("", json!(null)),
            ("0777", json!(511)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("1_000", json!(1000)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("08", json!(8)),
            ("80.0", json!(80)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000)),
            (".5", json!(0.5)),
            ("1.2.3.4", json!("1.2.3.4")),
            ("10.244.0.0/16", json!("10.244.0.0/16")),
            ("-", json!("-")),
            ("--1", json!("--1")),
            ("1e", json!("1e")),
            ("2024-01-01", json!("2024-01-01")),
            ("12:30", json!("12:30")),
            ("yEs", json!("yEs")),
        ] {
            let meant = meaning(text).unwrap_or_else(|| Scalar::Text(text.to_owned()));
            assert_eq!(meant.to_json(), value, "{text}");
        }
    }
}
