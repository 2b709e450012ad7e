//! Values of awk: numbers, text, and text that came in and may be either (POSIX.1-2024, `awk`, "Expressions in awk").

use std::cmp::Ordering;

/// A value.
#[derive(Clone, Debug, Default)]
pub(super) enum Value {
    /// Of a variable that nothing was assigned to: 0 and the empty text.
    #[default]
    Unset,
    Number(f64),
    Text(String),
    /// A field, or another piece of what came in, that looks like a number.
    Both(String, f64),
}

/// Numbers beyond this are never written as whole ones (mawk's `Max_Int`).
const WHOLE_MAX: f64 = 2_147_483_647.0;
const FORMAT: &str = "%.6g";

impl Value {
    /// What came in: a number too where it looks like one.
    pub(super) fn of_input(text: &str) -> Self {
        let trimmed = text.trim_matches(|letter: char| letter.is_ascii_whitespace());
        let (number, len) = leading_number(trimmed);
        if len > 0 && len == trimmed.len() {
            Self::Both(text.to_owned(), number)
        } else {
            Self::Text(text.to_owned())
        }
    }

    pub(super) fn truth(of: bool) -> Self {
        Self::Number(f64::from(u8::from(of)))
    }

    pub(super) fn number(&self) -> f64 {
        match self {
            Self::Unset => 0.0,
            Self::Number(number) | Self::Both(_, number) => *number,
            Self::Text(text) => leading_number(text.trim_start()).0,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Unset => String::new(),
            Self::Number(number) => number_text(*number),
            Self::Text(text) | Self::Both(text, _) => text.clone(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Unset => false,
            Self::Number(number) | Self::Both(_, number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
        }
    }

    /// As numbers where neither is text, else as texts.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        if matches!(self, Self::Text(_)) || matches!(other, Self::Text(_)) {
            return Some(self.text().cmp(&other.text()));
        }
        self.number().partial_cmp(&other.number())
    }
}

/// A number as `print` writes it: whole, or by `OFMT`.
fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < WHOLE_MAX {
        let whole = if number == 0.0 { 0.0 } else { number };
        return format!("{whole:.0}");
    }
    super::format::one(FORMAT, &Value::Number(number))
}

/// The number that a text begins with, and how many bytes it takes; 0 where there is none.
fn leading_number(text: &str) -> (f64, usize) {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let mut end = digits(sign);
    let mut any = end > sign;
    if bytes.get(end) == Some(&b'.') {
        let after = digits(end + 1);
        any |= after > end + 1;
        end = if any { after } else { end };
    }
    if !any {
        return (0.0, 0);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let after = digits(end + 1 + sign);
        if after > end + 1 + sign {
            end = after;
        }
    }
    (text[..end].parse().unwrap_or(0.0), end)
}
