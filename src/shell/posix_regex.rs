//! Regular expressions as POSIX and GNU write them, basic and extended, in the words of `regex_lite`.

use regex_lite::Regex;
use std::iter::Peekable;
use std::str::Chars;

/// Why an expression cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// What GNU's tools say of it.
    Wrong(&'static str),
    /// It asks for what is not simulated.
    Unsimulated(&'static str),
}

/// What an expression says, as `regex_lite` writes it.
pub(super) fn translated(pattern: &str, extended: bool) -> Result<String, Unusable> {
    let mut reader = Reader { rest: pattern.chars().peekable(), out: String::new(), extended, open: 0 };
    reader.read()?;
    Ok(reader.out)
}

/// The expression to search with.
pub(super) fn compiled(text: &str) -> Result<Regex, Unusable> {
    Regex::new(text).map_err(|_| Unusable::Wrong("Invalid regular expression"))
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    extended: bool,
    /// Groups that are open.
    open: u32,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), Unusable> {
        // Whether nothing stands before that could be repeated.
        let mut starts = true;
        while let Some(letter) = self.rest.next() {
            let was_start = std::mem::replace(&mut starts, false);
            match letter {
                '\\' => starts = self.escaped(was_start)?,
                '[' => self.bracket()?,
                '.' => self.out.push('.'),
                '^' if self.extended || was_start => {
                    self.out.push('^');
                    starts = true;
                }
                '$' if self.extended || self.ends() => self.out.push('$'),
                '*' if was_start => starts = self.leading_star(),
                '*' => self.repeat("*"),
                '(' | ')' | '|' | '{' | '}' | '+' | '?' if self.extended => {
                    starts = self.operator(letter, was_start)?;
                }
                letter => self.literal(letter),
            }
        }
        match self.open {
            0 => Ok(()),
            _ => Err(Unusable::Wrong("Unmatched ( or \\(")),
        }
    }

    /// A star with nothing before it stands for itself, in an extended expression for nothing.
    fn leading_star(&mut self) -> bool {
        if !self.extended {
            self.literal('*');
        }
        self.extended
    }

    /// One of the characters that are operators alone in an extended expression, behind `\` in a basic one; whether
    /// what follows stands at a beginning.
    fn operator(&mut self, letter: char, starts: bool) -> Result<bool, Unusable> {
        match letter {
            '(' => {
                self.open += 1;
                self.out.push('(');
            }
            ')' if self.open == 0 && self.extended => self.literal(')'),
            ')' if self.open == 0 => return Err(Unusable::Wrong("Unmatched ) or \\)")),
            ')' => {
                self.open -= 1;
                self.out.push(')');
            }
            '|' => self.out.push('|'),
            '{' => self.interval(starts)?,
            '}' => self.literal('}'),
            '+' | '?' if starts => {}
            letter => self.repeat(&letter.to_string()),
        }
        Ok(matches!(letter, '(' | '|') || starts && matches!(letter, '+' | '?'))
    }

    /// Several repetitions of one thing are as good as the last one around all.
    fn repeat(&mut self, operator: &str) {
        if self.out.ends_with(['*', '+', '?'])
            && !self.out.ends_with("\\*")
            && !self.out.ends_with("\\+")
            && !self.out.ends_with("\\?")
        {
            self.out.pop();
            self.out.push('*');
        } else {
            self.out.push_str(operator);
        }
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`; anything else is text in an extended expression.
    fn interval(&mut self, starts: bool) -> Result<(), Unusable> {
        let end = if self.extended { "}" } else { "\\}" };
        let rest: String = self.rest.clone().collect();
        let inside = rest.find(end).map(|at| &rest[..at]);
        let is_number = |text: &str| text.len() < 6 && text.chars().all(|letter| letter.is_ascii_digit());
        let fits = |inside: &&str| match inside.split_once(',') {
            Some((least, most)) => is_number(least) && is_number(most),
            None => !inside.is_empty() && is_number(inside),
        };
        match inside.filter(fits) {
            Some(inside) if !starts => {
                let least = if inside.starts_with(',') { "0" } else { "" };
                self.out.extend(["{", least, inside, "}"]);
                self.rest.by_ref().take(inside.len() + end.len()).for_each(drop);
                Ok(())
            }
            _ if self.extended => {
                self.literal('{');
                Ok(())
            }
            _ if inside.is_none() => Err(Unusable::Wrong("Unmatched { or \\{")),
            _ => Err(Unusable::Wrong("Invalid content of \\{\\}")),
        }
    }

    fn escaped(&mut self, starts: bool) -> Result<bool, Unusable> {
        let Some(letter) = self.rest.next() else { return Err(Unusable::Wrong("Trailing backslash")) };
        match letter {
            '(' | ')' | '|' | '{' | '+' | '?' if !self.extended => return self.operator(letter, starts),
            'w' | 'W' | 's' | 'S' | 'b' | 'B' => self.out.extend(['\\', letter]),
            '<' => self.out.push_str("\\b{start}"),
            '>' => self.out.push_str("\\b{end}"),
            '`' => self.out.push_str("\\A"),
            '\'' => self.out.push_str("\\z"),
            '1'..='9' => return Err(Unusable::Unsimulated("back-references")),
            letter => self.literal(letter),
        }
        Ok(false)
    }

    /// Whether a basic expression, or a part of it, ends here.
    fn ends(&self) -> bool {
        let mut rest = self.rest.clone();
        match rest.next() {
            None => true,
            Some('\\') => matches!(rest.next(), Some(')' | '|')),
            Some(_) => false,
        }
    }

    fn literal(&mut self, letter: char) {
        if letter.is_ascii_punctuation() {
            self.out.push('\\');
        }
        self.out.push(letter);
    }

    /// `[...]`: a backslash in it is a character as any other.
    fn bracket(&mut self) -> Result<(), Unusable> {
        const UNMATCHED: Unusable = Unusable::Wrong("Unmatched [, [^, [:, [., or [=");
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            match self.rest.next().ok_or(UNMATCHED)? {
                ']' if !is_first => break,
                '[' if self.rest.peek() == Some(&':') => {
                    self.rest.next();
                    let name: String = self.rest.by_ref().take_while(|letter| *letter != ':').collect();
                    self.rest.next_if_eq(&']').ok_or(UNMATCHED)?;
                    self.out.push_str(class(&name).ok_or(Unusable::Wrong("Invalid character class name"))?);
                }
                '[' if matches!(self.rest.peek(), Some('.' | '=')) => {
                    return Err(Unusable::Unsimulated("collating elements"));
                }
                '-' if is_first || self.rest.peek() == Some(&']') => self.out.push_str("\\-"),
                '-' => self.out.push('-'),
                letter => self.literal(letter),
            }
            is_first = false;
        }
        self.out.push(']');
        Ok(())
    }
}

/// The characters of a class in the C locale.
fn class(name: &str) -> Option<&'static str> {
    Some(match name {
        "alpha" => "a-zA-Z",
        "digit" => "0-9",
        "alnum" => "a-zA-Z0-9",
        "upper" => "A-Z",
        "lower" => "a-z",
        "space" => " \\t\\n\\r\\f\\v",
        "blank" => " \\t",
        "punct" => "!-/:-@\\[-`{-~",
        "xdigit" => "0-9A-Fa-f",
        "print" => " -~",
        "graph" => "!-~",
        "cntrl" => "\\x00-\\x1f\\x7f",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_translated() {
        let check = |pattern, extended, want: &str| {
            assert_eq!(translated(pattern, extended).as_deref(), Ok(want), "{pattern}");
            assert!(compiled(want).is_ok(), "{want}");
        };
        check("a.c*", false, "a.c*");
        check("a+b", false, r"a\+b");
        check("a+b", true, "a+b");
        check(r"a\+b\|c", false, "a+b|c");
        check(r"\(a\)*", false, "(a)*");
        check("*a", false, r"\*a");
        check("a^b$c", false, r"a\^b\$c");
        check("^a$", false, "^a$");
        check(r"a\{2,3\}", false, "a{2,3}");
        check("a{,3}", true, "a{0,3}");
        check("a{x", true, r"a\{x");
        check("[^[:digit:].-]", false, r"[^0-9\.\-]");
        check(r"[]\]", false, r"[\]\\]");
        check(r"10\.244", true, r"10\.244");
        check(r"\<eth0\>", false, r"\b{start}eth0\b{end}");
        check("a**", false, "a*");
    }

    #[test]
    fn wrong_expressions_are_named() {
        let check =
            |pattern, extended, want| assert_eq!(translated(pattern, extended), Err(want), "{pattern}");
        check("[a", false, Unusable::Wrong("Unmatched [, [^, [:, [., or [="));
        check("(a", true, Unusable::Wrong("Unmatched ( or \\("));
        check(r"\(a", false, Unusable::Wrong("Unmatched ( or \\("));
        check(r"a\)", false, Unusable::Wrong("Unmatched ) or \\)"));
        check("a\\", false, Unusable::Wrong("Trailing backslash"));
        check(r"\(a\)\1", false, Unusable::Unsimulated("back-references"));
        check("[[:nope:]]", false, Unusable::Wrong("Invalid character class name"));
    }
}
