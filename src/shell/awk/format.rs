//! `printf` of awk, by C's `printf(3)`.

use super::value::Value;

/// The widest field; more would fill the memory.
const WIDTH_MAX: usize = 10_000;

/// A conversion, from the percent sign to its letter.
#[derive(Debug, Default)]
struct Conversion {
    flags: String,
    width: usize,
    precision: Option<usize>,
}

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
        let mut conversion = Conversion::default();
        while let Some(flag) = rest.next_if(|letter| "-+ #0".contains(*letter)) {
            conversion.flags.push(flag);
        }
        let mut figure = |stars: &mut dyn Iterator<Item = &Value>| -> Result<Option<i64>, Wrong> {
            if rest.next_if_eq(&'*').is_some() {
                return stars.next().map(|value| Some(value.number() as i64)).ok_or(Wrong::TooFewArguments);
            }
            let mut digits = String::new();
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            Ok(digits.parse().ok())
        };
        if let Some(width) = figure(&mut values)? {
            if width < 0 {
                conversion.flags.push('-');
            }
            conversion.width = (width.unsigned_abs() as usize).min(WIDTH_MAX);
        }
        if rest.next_if_eq(&'.').is_some() {
            let precision = {
                let mut digits = String::new();
                if rest.next_if_eq(&'*').is_some() {
                    values.next().map(|value| value.number() as i64).ok_or(Wrong::TooFewArguments)?
                } else {
                    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                        digits.push(digit);
                    }
                    digits.parse().unwrap_or(0)
                }
            };
            conversion.precision = usize::try_from(precision).ok().map(|most| most.min(WIDTH_MAX));
        }
        while rest.next_if(|letter| "hlL".contains(*letter)).is_some() {}
        let letter = rest.next().ok_or(Wrong::Conversion)?;
        if !"sdioxXucfFeEgG".contains(letter) {
            return Err(Wrong::Conversion);
        }
        out += &conversion.shown(letter, values.next().ok_or(Wrong::TooFewArguments)?);
    }
    Ok(out)
}

impl Conversion {
    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn shown(&self, letter: char, value: &Value) -> String {
        match letter {
            's' => {
                let most = self.precision.unwrap_or(usize::MAX);
                self.padded("", &value.text().chars().take(most).collect::<String>(), false)
            }
            'c' => self.padded("", &character(value), false),
            'd' | 'i' => {
                let number = value.number() as i64;
                self.whole(self.sign(number < 0), number.unsigned_abs().to_string())
            }
            'o' | 'x' | 'X' | 'u' => {
                let number = (value.number() as i64).cast_unsigned();
                let prefixed = self.has('#') && number != 0;
                match letter {
                    'o' => self.whole("", format!("{}{number:o}", if prefixed { "0" } else { "" })),
                    'x' => self.whole(if prefixed { "0x" } else { "" }, format!("{number:x}")),
                    'X' => self.whole(if prefixed { "0X" } else { "" }, format!("{number:X}")),
                    _ => self.whole("", number.to_string()),
                }
            }
            _ => self.real(letter, value.number()),
        }
    }

    fn real(&self, letter: char, number: f64) -> String {
        let sign = self.sign(number.is_sign_negative());
        if !number.is_finite() {
            let text = if number.is_nan() { "nan" } else { "inf" };
            return self.padded(sign, text, false);
        }
        let precision = self.precision.unwrap_or(6);
        let digits = match letter.to_ascii_lowercase() {
            'f' => format!("{:.precision$}", number.abs()),
            'e' => scientific(number.abs(), precision),
            _ => general(number.abs(), precision.max(1), self.has('#')),
        };
        let digits = if letter.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
        self.padded(sign, &digits, true)
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.has('+'), self.has(' ')) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    fn whole(&self, prefix: &str, digits: String) -> String {
        let least = self.precision.unwrap_or(1);
        let digits = if self.precision == Some(0) && digits == "0" { String::new() } else { digits };
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        self.padded(prefix, &(zeros + &digits), self.precision.is_none())
    }

    fn padded(&self, prefix: &str, digits: &str, zeros: bool) -> String {
        let missing = self.width.saturating_sub(prefix.chars().count() + digits.chars().count());
        if self.has('-') {
            format!("{prefix}{digits}{}", " ".repeat(missing))
        } else if zeros && self.has('0') {
            format!("{prefix}{}{digits}", "0".repeat(missing))
        } else {
            format!("{}{prefix}{digits}", " ".repeat(missing))
        }
    }
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
