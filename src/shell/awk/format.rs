//! `printf` of awk, by C's `printf(3)`.

use super::value::Value;
use crate::shell::conversion::Spec;
use std::iter::Peekable;
use std::str::Chars;

/// The widest field; more would fill the memory.
const WIDTH_MAX: usize = 10_000;

/// Why a format cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    TooFewArguments,
    Conversion,
}

/// One value by a format that takes one.
pub(super) fn one(format: &str, value: &Value) -> String {
    formatted(format, std::slice::from_ref(value)).unwrap_or_default()
}

/// `sprintf`.
pub(super) fn formatted(format: &str, values: &[Value]) -> Result<String, Wrong> {
    let mut values = values.iter();
    let mut out = String::new();
    let mut rest = format.chars().peekable();
    while let Some(letter) = rest.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = rest.next_if(|letter| "-+ #0".contains(*letter)) {
            spec.flags.push(flag);
        }
        if let Some(width) = figure(&mut rest, &mut values)? {
            if width < 0 {
                spec.flags.push('-');
            }
            spec.width = (width.unsigned_abs() as usize).min(WIDTH_MAX);
        }
        if rest.next_if_eq(&'.').is_some() {
            let precision = figure(&mut rest, &mut values)?.unwrap_or(0);
            spec.precision = usize::try_from(precision).ok().map(|most| most.min(WIDTH_MAX));
        }
        while rest.next_if(|letter| "hlL".contains(*letter)).is_some() {}
        let letter = rest.next().ok_or(Wrong::Conversion)?;
        if !"sdioxXucfFeEgG".contains(letter) {
            return Err(Wrong::Conversion);
        }
        out += &shown(&spec, letter, values.next().ok_or(Wrong::TooFewArguments)?);
    }
    Ok(out)
}

/// A width or a precision: digits, or `*` for the next value.
fn figure<'a>(
    rest: &mut Peekable<Chars<'_>>,
    values: &mut impl Iterator<Item = &'a Value>,
) -> Result<Option<i64>, Wrong> {
    if rest.next_if_eq(&'*').is_some() {
        return values.next().map(|value| Some(value.number() as i64)).ok_or(Wrong::TooFewArguments);
    }
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    Ok(digits.parse().ok())
}

fn shown(spec: &Spec, letter: char, value: &Value) -> String {
    match letter {
        's' => spec.text(&value.text()),
        'c' => spec.padded("", &character(value), false),
        'd' | 'i' => spec.signed(value.number() as i64),
        'o' | 'x' | 'X' | 'u' => spec.unsigned(letter, (value.number() as i64).cast_unsigned()),
        _ => real(spec, letter, value.number()),
    }
}

fn real(spec: &Spec, letter: char, number: f64) -> String {
    let sign = spec.sign(number.is_sign_negative());
    if !number.is_finite() {
        let text = if number.is_nan() { "nan" } else { "inf" };
        return spec.padded(sign, text, false);
    }
    let precision = spec.precision.unwrap_or(6);
    let digits = match letter.to_ascii_lowercase() {
        'f' => format!("{:.precision$}", number.abs()),
        'e' => scientific(number.abs(), precision),
        _ => general(number.abs(), precision.max(1), spec.has('#')),
    };
    let digits = if letter.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
    spec.padded(sign, &digits, true)
}

/// `%c`: the character of a number, or the first one of a text.
fn character(value: &Value) -> String {
    match value {
        Value::Number(number) | Value::Both(_, number) => {
            char::from((*number as i64).cast_unsigned() as u8).to_string()
        }
        Value::Unset | Value::Text(_) => value.text().chars().take(1).collect(),
    }
}

/// `%e`: one digit before the point and an exponent of at least two.
fn scientific(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// `%g`: the shorter of the two forms, without zeros at the end.
fn general(number: f64, precision: usize, keeps_zeros: bool) -> String {
    let text = scientific(number, precision - 1);
    let exponent: i32 = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let trimmed = |text: &str| {
        if keeps_zeros || !text.contains('.') {
            return text.to_owned();
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if exponent < -4 || exponent >= precision as i32 {
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{exponent}", trimmed(digits));
    }
    let decimals = usize::try_from(precision as i32 - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{number:.decimals$}"))
}
