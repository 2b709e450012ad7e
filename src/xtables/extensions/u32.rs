//! `-m u32`: comparisons of four bytes somewhere in a packet (`libxt_u32.c`, `xt_u32.c`).

use crate::xtables::parse::Problem;
use std::fmt::Write as _;

/// As many steps, values or tests as this there may be (`XT_U32_MAXSIZE`).
const STEPS_MAX: usize = 10;

/// A step on the way to the number that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The four bytes at this place.
    Load(u32),
    /// `&`.
    And(u32),
    /// `<<`.
    Left(u32),
    /// `>>`.
    Right(u32),
    /// `@`: the number so far moves the beginning of the packet, and the four bytes at this place behind it are taken.
    At(u32),
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct U32Test {
    /// How to come to the number.
    pub steps: Vec<Step>,
    /// First and last of the values that fit.
    pub values: Vec<(u32, u32)>,
}

impl U32Test {
    /// Whether the bytes of an IP packet fit (`u32_match_it`).
    pub fn fits(&self, packet: &[u8]) -> bool {
        let load = |at: u32, place: u32| {
            let from = usize::try_from(at.checked_add(place)?).ok()?;
            let bytes = packet.get(from..from.checked_add(4)?)?;
            Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let (mut value, mut at) = (0u32, 0u32);
        for step in &self.steps {
            let next = match *step {
                Step::Load(place) => load(0, place),
                Step::And(mask) => Some(value & mask),
                // As the processor does it, the count modulo the width.
                Step::Left(by) => Some(value.wrapping_shl(by)),
                Step::Right(by) => Some(value.wrapping_shr(by)),
                Step::At(place) => match at.checked_add(value) {
                    Some(moved) => {
                        at = moved;
                        load(at, place)
                    }
                    None => None,
                },
            };
            let Some(next) = next else { return false };
            value = next;
        }
        self.values.iter().any(|(first, last)| (*first..=*last).contains(&value))
    }
}

/// The tests as they are printed.
pub(super) fn text(tests: &[U32Test]) -> String {
    let mut out = String::new();
    for (index, test) in tests.iter().enumerate() {
        if index > 0 {
            out += "&&";
        }
        for step in &test.steps {
            let (sign, number) = match *step {
                Step::Load(number) => ("", number),
                Step::And(number) => ("&", number),
                Step::Left(number) => ("<<", number),
                Step::Right(number) => (">>", number),
                Step::At(number) => ("@", number),
            };
            let _ = write!(out, "{sign}{number:#x}");
        }
        out += "=";
        for (index, (first, last)) in test.values.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(out, "{comma}{first:#x}");
            if first != last {
                let _ = write!(out, ":{last:#x}");
            }
        }
    }
    out
}

/// Reads the tests.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Reads tests as they stand after `--u32`.
pub(super) fn parse(text: &str) -> Result<Vec<U32Test>, Problem> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    let mut tests = Vec::new();
    loop {
        let steps = reader.steps()?;
        let (values, is_last) = reader.values()?;
        tests.push(U32Test { steps, values });
        if tests.len() > STEPS_MAX {
            return Err(reader.wrong("too many \"&&\"s"));
        }
        if is_last {
            return Ok(tests);
        }
    }
}

impl Reader<'_> {
    fn wrong(&self, text: &str) -> Problem {
        Problem::new(format!("u32: at char {}: {text}", self.at))
    }

    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    /// The second sign of one that is written twice.
    fn again(&mut self, sign: u8) -> Result<(), Problem> {
        self.at += 1;
        if self.bytes.get(self.at) != Some(&sign) {
            return Err(self.wrong(&format!("a second '{}' was expected", char::from(sign))));
        }
        Ok(())
    }

    fn steps(&mut self) -> Result<Vec<Step>, Problem> {
        let mut steps = Vec::new();
        loop {
            let sign = self
                .peek()
                .ok_or_else(|| Problem::new("u32: abrupt end of input after location specifier"))?;
            if sign == b'=' {
                if steps.is_empty() {
                    return Err(self.wrong("location spec missing"));
                }
                self.at += 1;
                return Ok(steps);
            }
            let step: fn(u32) -> Step = match sign {
                _ if steps.is_empty() => Step::Load,
                b'&' => Step::And,
                b'<' => {
                    self.again(sign)?;
                    Step::Left
                }
                b'>' => {
                    self.again(sign)?;
                    Step::Right
                }
                b'@' => Step::At,
                _ => return Err(self.wrong("operator expected")),
            };
            if !steps.is_empty() {
                self.at += 1;
            }
            steps.push(step(self.number()?));
            if steps.len() > STEPS_MAX {
                return Err(self.wrong("too many operators"));
            }
        }
    }

    /// The values, and whether nothing follows them.
    fn values(&mut self) -> Result<(Vec<(u32, u32)>, bool), Problem> {
        let mut values = Vec::new();
        loop {
            match self.peek() {
                None if values.is_empty() => {
                    return Err(Problem::new("u32: test ended with no value specified"));
                }
                None => return Ok((values, true)),
                Some(b'&') => {
                    self.again(b'&')?;
                    if values.is_empty() {
                        return Err(self.wrong("value spec missing"));
                    }
                    self.at += 1;
                    return Ok((values, false));
                }
                Some(sign) if !values.is_empty() => {
                    if sign != b',' {
                        return Err(self.wrong("expected \",\" or \"&&\""));
                    }
                    self.at += 1;
                }
                Some(_) => {}
            }
            let first = self.number()?;
            let last = if self.peek() == Some(b':') {
                self.at += 1;
                self.number()?
            } else {
                first
            };
            values.push((first, last));
            if values.len() > STEPS_MAX {
                return Err(self.wrong("too many \",\"s"));
            }
        }
    }

    /// A number, decimal, octal or hexadecimal as C reads them.
    fn number(&mut self) -> Result<u32, Problem> {
        let start = self.at;
        self.peek();
        let rest = &self.bytes[self.at..];
        let is_hex = matches!(rest, [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit());
        let (radix, skip) = if is_hex {
            (16, 2)
        } else if rest.first() == Some(&b'0') {
            (8, 0)
        } else {
            (10, 0)
        };
        let digits = rest[skip..].iter().take_while(|byte| char::from(**byte).is_digit(radix)).count();
        let text = std::str::from_utf8(&rest[skip..skip + digits]).unwrap_or_default();
        let Ok(number) = u32::from_str_radix(text, radix) else {
            self.at = start;
            return Err(self.wrong("not a number or out of range"));
        };
        self.at += skip + digits;
        Ok(number)
    }
}
