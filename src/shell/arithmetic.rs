//! Arithmetic of a shell, `$((…))`: whole numbers of 64 bits and C's operators but those that assign
//! (POSIX.1-2024, Shell Command Language, 2.6.4), with the messages of `dash`.

/// How deep brackets and signs nest at most, so that no line exhausts the stack.
const DEPTH_MAX: u32 = 100;

/// Operators of two operands, by how tightly they bind.
const BINARY: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// What `text` comes to; `value` tells variables, of which unset ones count as 0. An error is a message of `dash`, or
/// names what is not simulated.
pub fn arithmetic(text: &str, value: &dyn Fn(&str) -> String) -> Result<i64, String> {
    let mut reader = Reader { text, rest: text, value, depth: 0 };
    let number = reader.choice(true)?;
    reader.blanks();
    if reader.rest.is_empty() { Ok(number) } else { Err(reader.wrong("expecting EOF")) }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    value: &'a dyn Fn(&str) -> String,
    depth: u32,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &str) -> String {
        format!("arithmetic expression: {what}: \"{}\"", self.text)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// The operator of a level that stands here, not the beginning of a longer one.
    fn operator(&mut self, level: &[&'static str]) -> Option<&'static str> {
        self.blanks();
        let longer = |op: &str| {
            let two = self.rest.get(..2).unwrap_or("");
            op.len() == 1 && ["||", "&&", "<<", ">>", "<=", ">=", "==", "!="].contains(&two)
        };
        let op = level.iter().copied().find(|op| self.rest.starts_with(op) && !longer(op))?;
        self.rest = &self.rest[op.len()..];
        Some(op)
    }

    /// `a ? b : c`. What is not `live` is read and not worked out.
    fn choice(&mut self, live: bool) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("not simulated: arithmetic nested more than {DEPTH_MAX} times"));
        }
        let condition = self.binary(0, live)?;
        let number = if self.operator(&["?"]).is_some() {
            let yes = self.choice(live && condition != 0)?;
            if self.operator(&[":"]).is_none() {
                return Err(self.wrong("expecting ':'"));
            }
            let no = self.choice(live && condition == 0)?;
            if condition == 0 { no } else { yes }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(number)
    }

    fn binary(&mut self, level: usize, live: bool) -> Result<i64, String> {
        let Some(operators) = BINARY.get(level) else { return self.unary(live) };
        let mut left = self.binary(level + 1, live)?;
        while let Some(op) = self.operator(operators) {
            if self.rest.starts_with('=') {
                return Err("not simulated: assignments in $((…))".to_owned());
            }
            let decided = (op == "||" && left != 0) || (op == "&&" && left == 0);
            let right = self.binary(level + 1, live && !decided)?;
            if live && matches!(op, "/" | "%") && right == 0 {
                return Err(self.wrong("division by zero"));
            }
            left = apply(op, left, right);
        }
        Ok(left)
    }

    fn unary(&mut self, live: bool) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("not simulated: arithmetic nested more than {DEPTH_MAX} times"));
        }
        let number = match self.operator(&["-", "+", "!", "~", "("]) {
            Some("-") => self.unary(live)?.wrapping_neg(),
            Some("+") => self.unary(live)?,
            Some("!") => i64::from(self.unary(live)? == 0),
            Some("~") => !self.unary(live)?,
            Some(_) => {
                let number = self.choice(live)?;
                if self.operator(&[")"]).is_none() {
                    return Err(self.wrong("expecting ')'"));
                }
                number
            }
            None => self.primary(live)?,
        };
        self.depth -= 1;
        Ok(number)
    }

    fn primary(&mut self, live: bool) -> Result<i64, String> {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let end = self.rest.find(|letter| !is_part(letter)).unwrap_or(self.rest.len());
        let (word, rest): (&'a str, &'a str) = self.rest.split_at(end);
        let after = rest.trim_start();
        if word.is_empty() {
            return Err(self.wrong("expecting primary"));
        }
        if word.starts_with(|letter: char| letter.is_ascii_digit()) {
            self.rest = rest;
            return number(word).ok_or_else(|| self.wrong("expecting EOF"));
        }
        if after.starts_with('=') && !after.starts_with("==") {
            return Err("not simulated: assignments in $((…))".to_owned());
        }
        self.rest = rest;
        let text = (self.value)(word);
        let text = text.trim();
        match text.strip_prefix('-').map_or_else(|| number(text), |text| number(text).map(i64::wrapping_neg))
        {
            Some(number) => Ok(number),
            None if text.is_empty() || !live => Ok(0),
            None => Err(format!("Illegal number: {text}")),
        }
    }
}

/// A number as C writes it: decimal, octal after `0`, hexadecimal after `0x`. What is too large is the largest.
fn number(text: &str) -> Option<i64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    let fits = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    fits.then(|| i64::from_str_radix(digits, radix).unwrap_or(i64::MAX))
}

fn apply(op: &str, left: i64, right: i64) -> i64 {
    // A shift takes the low six bits of its distance, as the processor does.
    let distance = u32::try_from(right & 63).unwrap_or(0);
    match op {
        "||" => i64::from(left != 0 || right != 0),
        "&&" => i64::from(left != 0 && right != 0),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "==" => i64::from(left == right),
        "!=" => i64::from(left != right),
        "<=" => i64::from(left <= right),
        ">=" => i64::from(left >= right),
        "<" => i64::from(left < right),
        ">" => i64::from(left > right),
        "<<" => left.wrapping_shl(distance),
        ">>" => left.wrapping_shr(distance),
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        "/" => left.checked_div(right).unwrap_or(left),
        _ => left.checked_rem(right).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_bounded() {
        for text in ["(".repeat(100_000), "-".repeat(100_000), "1?".repeat(100_000)] {
            let error = arithmetic(&text, &|_| String::new()).unwrap_err();
            assert_eq!(error, "not simulated: arithmetic nested more than 100 times");
        }
    }

    #[test]
    fn assignments_are_refused_by_name() {
        for text in ["x=1", "x += 1", "x<<=1"] {
            let error = arithmetic(text, &|_| String::new()).unwrap_err();
            assert_eq!(error, "not simulated: assignments in $((…))", "{text}");
        }
        assert_eq!(arithmetic("x==1", &|_| "1".to_owned()), Ok(1));
    }
}
