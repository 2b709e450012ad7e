//! What awk's operators and functions do to numbers and texts.

use super::Wrong;
use super::parse::regex;
use super::value::Value;
use std::cmp::Ordering;

/// The whole part of a number, as an unsigned one.
pub(super) fn whole(number: f64) -> u64 {
    (number as i64).cast_unsigned()
}

/// Whether a word is the name of a variable.
pub(super) fn is_name(word: &str) -> bool {
    !word.is_empty()
        && !word.starts_with(|letter: char| letter.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The text that stands in for what was found: `&` is what was found itself.
pub(super) fn replaced(replacement: &str, found: &str) -> String {
    let mut out = String::new();
    let mut letters = replacement.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.next_if_eq(&'&').is_some() => out.push('&'),
            '\\' if letters.next_if_eq(&'\\').is_some() => out.push('\\'),
            '&' => out += found,
            letter => out.push(letter),
        }
    }
    out
}

/// The fields of a text by a separator: a blank for any blanks, one character for itself, more for an expression.
pub(super) fn split(text: &str, separator: &str) -> Result<Vec<String>, Wrong> {
    let owned = |pieces: &mut dyn Iterator<Item = &str>| pieces.map(str::to_owned).collect();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if separator == " " {
        return Ok(owned(&mut text.split([' ', '\t', '\n']).filter(|piece| !piece.is_empty())));
    }
    if separator.is_empty() {
        return Ok(text.chars().map(String::from).collect());
    }
    let mut letters = separator.chars();
    match (letters.next(), letters.next()) {
        (Some(mark), None) if mark != '\\' => Ok(owned(&mut text.split(mark))),
        _ => Ok(owned(&mut regex(separator)?.split(text))),
    }
}

/// `substr`, by whole positions. Where it begins before the text mawk counts from the first character and takes as many
/// more as it began before 0.
pub(super) fn substr(text: &str, values: &[Value]) -> String {
    let figure = |at: usize| values.get(at).map(|value| value.number().trunc());
    let (mut start, mut len) = (figure(1).unwrap_or(1.0), figure(2).unwrap_or(f64::INFINITY));
    if start < 1.0 {
        (start, len) = (1.0, len - start);
    }
    let inside = text.chars().enumerate().filter(|(at, _)| {
        let place = (at + 1) as f64;
        place >= start && place < start + len
    });
    inside.map(|(_, letter)| letter).collect()
}

pub(super) fn calculated(op: &str, left: f64, right: f64) -> Value {
    Value::Number(match op {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        "%" => left % right,
        _ => left.powf(right),
    })
}

pub(super) fn holds(op: &str, order: Option<Ordering>) -> bool {
    let Some(order) = order else { return op == "!=" };
    match op {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}
