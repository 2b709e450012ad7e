//! `printf` as the shell's own does it (`dash`, after POSIX.1-2024 `printf`): formats with flags, width and precision,
//! used again while arguments are left.

use super::conversion::Spec;
use super::out::{Out, refuse};
use super::{Command, Context};
use std::iter::Peekable;
use std::str::Chars;

/// The widest field; more would fill the memory.
const WIDTH_MAX: i64 = 100_000;

/// `printf FORMAT [ARGUMENT…]`.
pub(super) fn printf(context: &Context<'_>, words: &[String]) -> Command {
    let says = |message: &str| context.dialect.complaint(&format!("printf: {message}"));
    let (words, has_options) = match words {
        [first, rest @ ..] if first == "--" => (rest, false),
        words => (words, true),
    };
    let Some((format, arguments)) = words.split_first() else {
        return refuse(says("usage: printf format [arg ...]"), 2);
    };
    let option = format.strip_prefix('-').filter(|_| has_options).and_then(|rest| rest.chars().next());
    if let Some(option) = option {
        return refuse(says(&format!("Illegal option -{option}")), 2);
    }
    let mut printer = Printer { arguments, says: &says, out: Out::default(), status: 0 };
    loop {
        let before = printer.arguments.len();
        match printer.once(format) {
            Ok(true) => {}
            Ok(false) => break,
            Err(message) => {
                printer.complain(&message);
                return printer.out.done(2);
            }
        }
        // A format that takes no arguments is not used again.
        if printer.arguments.is_empty() || printer.arguments.len() == before {
            break;
        }
    }
    printer.out.done(printer.status)
}

struct Printer<'a> {
    arguments: &'a [String],
    /// A complaint of the shell's.
    says: &'a dyn Fn(&str) -> String,
    out: Out,
    status: u8,
}

impl Printer<'_> {
    fn complain(&mut self, message: &str) {
        self.status = 1;
        let line = (self.says)(message);
        self.out.err(line);
    }

    fn argument(&mut self) -> Option<String> {
        let (first, rest) = self.arguments.split_first()?;
        self.arguments = rest;
        Some(first.clone())
    }

    /// Goes through the format once; whether to go on after it.
    fn once(&mut self, format: &str) -> Result<bool, String> {
        let mut rest = format.chars().peekable();
        while let Some(letter) = rest.next() {
            match letter {
                '%' if rest.next_if_eq(&'%').is_some() => self.out.out("%"),
                '%' => {
                    if !self.conversion(&mut rest)? {
                        return Ok(false);
                    }
                }
                '\\' => {
                    let mut text = String::new();
                    escape(&mut rest, &mut text, false);
                    self.out.out(text);
                }
                other => self.out.out(other),
            }
        }
        Ok(true)
    }

    fn number_of(&mut self, rest: &mut Peekable<Chars<'_>>) -> Result<Option<i64>, String> {
        if rest.next_if_eq(&'*').is_some() {
            let text = self.argument().unwrap_or_default();
            return Ok(Some(self.integer(&text).clamp(-WIDTH_MAX, WIDTH_MAX)));
        }
        let mut digits = String::new();
        while let Some(digit) = rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        match digits.parse::<i64>() {
            Ok(number) if number <= WIDTH_MAX => Ok(Some(number)),
            Err(_) if digits.is_empty() => Ok(None),
            Ok(_) | Err(_) => Err(format!("not simulated: a width of more than {WIDTH_MAX}")),
        }
    }

    /// Flags, width and precision behind `%`.
    fn spec(&mut self, rest: &mut Peekable<Chars<'_>>) -> Result<Spec, String> {
        let mut spec = Spec::default();
        while let Some(flag) = rest.next_if(|letter| "#-+ 0".contains(*letter)) {
            spec.flags.push(flag);
        }
        if let Some(width) = self.number_of(rest)? {
            if width < 0 {
                spec.flags.push('-');
            }
            spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(0);
        }
        if rest.next_if_eq(&'.').is_some() {
            spec.precision = usize::try_from(self.number_of(rest)?.unwrap_or(0)).ok();
        }
        Ok(spec)
    }

    /// One conversion; whether to go on after it, which `\c` in an argument of `%b` ends.
    fn conversion(&mut self, rest: &mut Peekable<Chars<'_>>) -> Result<bool, String> {
        let spec = self.spec(rest)?;
        let letter = rest.next().ok_or("missing format character")?;
        let text = match letter {
            's' | 'b' | 'c' | 'd' | 'i' | 'o' | 'u' | 'x' | 'X' | 'f' | 'F' => self.argument(),
            'e' | 'E' | 'g' | 'G' | 'a' | 'A' => return Err(format!("not simulated: %{letter}")),
            other => return Err(format!("%{other}: invalid directive")),
        };
        let text = text.unwrap_or_default();
        let shown = match letter {
            's' => spec.text(&text),
            'b' => {
                let (text, goes_on) = unescaped(&text);
                self.out.out(spec.text(&text));
                return Ok(goes_on);
            }
            'c' => spec.padded("", &text.chars().take(1).collect::<String>(), false),
            'f' | 'F' => self.decimal(&spec, &text),
            'd' | 'i' => spec.signed(self.integer(&text)),
            unsigned => spec.unsigned(unsigned, self.integer(&text).cast_unsigned()),
        };
        self.out.out(shown);
        Ok(true)
    }

    fn decimal(&mut self, spec: &Spec, text: &str) -> String {
        let number: f64 = match text.parse() {
            Ok(number) => number,
            Err(_) if text.is_empty() => 0.0,
            Err(_) => {
                self.complain(&format!("{text}: expected numeric value"));
                0.0
            }
        };
        let digits = format!("{:.*}", spec.precision.unwrap_or(6), number.abs());
        spec.padded(spec.sign(number.is_sign_negative()), &digits, number.is_finite())
    }

    /// A whole number as C's `strtoimax` reads it; what is wrong with it is told, and the number goes on.
    fn integer(&mut self, text: &str) -> i64 {
        if let Some(letter) = text.strip_prefix(['\'', '"']).map(|rest| rest.chars().next()) {
            return letter.map_or(0, |letter| i64::from(u32::from(letter)));
        }
        let trimmed = text.trim_start();
        let (unsigned, negative) = match trimmed.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (trimmed.strip_prefix('+').unwrap_or(trimmed), false),
        };
        let hex = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
        let hex = hex.filter(|rest| rest.starts_with(|letter: char| letter.is_ascii_hexdigit()));
        let (digits, radix) = match hex {
            Some(rest) => (rest, 16),
            None if unsigned.starts_with('0') => (unsigned, 8),
            None => (unsigned, 10),
        };
        let end = digits.find(|letter: char| !letter.is_digit(radix)).unwrap_or(digits.len());
        if end == 0 {
            if !text.is_empty() {
                self.complain(&format!("{text}: expected numeric value"));
            }
            return 0;
        }
        let signed = format!("{}{}", if negative { "-" } else { "" }, &digits[..end]);
        let number = i64::from_str_radix(&signed, radix).unwrap_or_else(|_| {
            self.complain(&format!("{text}: Numerical result out of range"));
            if negative { i64::MIN } else { i64::MAX }
        });
        if end < digits.len() {
            self.complain(&format!("{text}: not completely converted"));
        }
        number
    }
}

/// What stands behind a backslash. Octal numbers have up to three digits, in an argument of `%b` after a zero.
fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String, in_argument: bool) {
    let octal = |rest: &mut Peekable<Chars<'_>>| {
        let most = if in_argument && rest.peek() == Some(&'0') { 4 } else { 3 };
        let mut value = 0;
        for _ in 0..most {
            let Some(digit) = rest.next_if(|letter| ('0'..='7').contains(letter)) else { break };
            value = value * 8 + digit.to_digit(8).unwrap_or(0);
        }
        char::from_u32(value & 0xff).unwrap_or('\0')
    };
    let plain = match rest.peek() {
        Some('0'..='7') => return out.push(octal(rest)),
        Some('a') => '\u{7}',
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('v') => '\u{b}',
        Some('\\') => '\\',
        _ => return out.push('\\'),
    };
    rest.next();
    out.push(plain);
}

/// An argument of `%b`, and whether anything is printed after it.
fn unescaped(text: &str) -> (String, bool) {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\\' if rest.peek() == Some(&'c') => return (out, false),
            '\\' => escape(&mut rest, &mut out, true),
            other => out.push(other),
        }
    }
    (out, true)
}
