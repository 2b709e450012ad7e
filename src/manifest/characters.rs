//! A text as the YAML parser takes it, character by character.

use saphyr_parser::Input;
use std::sync::Arc;

/// How far the scanner looks ahead at once. It makes so much room for each scalar from the first, and most are short: with
/// the 128 that the parser's own input for texts has, a tree of many small scalars takes ten times the memory.
const LOOKAHEAD: usize = 16;

/// A text that is held on to, and how far it has been read.
pub(super) struct Characters {
    text: Arc<str>,
    /// Byte offset of the next character.
    at: usize,
    /// How many characters the scanner has asked to be looked at; all of them are there.
    looked_at: usize,
}

impl Characters {
    /// The text from its beginning.
    pub(super) fn new(text: Arc<str>) -> Self {
        Self { text, at: 0, looked_at: 0 }
    }

    /// What is left.
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }
}

impl Input for Characters {
    fn lookahead(&mut self, count: usize) {
        self.looked_at = self.looked_at.max(count);
    }

    fn buflen(&self) -> usize {
        self.looked_at
    }

    fn bufmaxlen(&self) -> usize {
        LOOKAHEAD
    }

    fn raw_read_ch(&mut self) -> char {
        let next = self.peek_opt();
        self.skip();
        next.unwrap_or('\0')
    }

    fn raw_read_non_breakz_ch(&mut self) -> Option<char> {
        let next = self.peek_opt().filter(|next| !matches!(next, '\n' | '\r' | '\0' | '\u{feff}'))?;
        self.at += next.len_utf8();
        Some(next)
    }

    #[inline]
    fn skip(&mut self) {
        self.at += self.peek_opt().map_or(0, char::len_utf8);
    }

    fn skip_n(&mut self, count: usize) {
        for _ in 0..count {
            self.skip();
        }
    }

    #[inline]
    fn peek(&self) -> char {
        self.peek_opt().unwrap_or('\0')
    }

    #[inline]
    fn peek_nth(&self, n: usize) -> char {
        // What stands behind characters of a byte each is there without going through them.
        match self.text.as_bytes().get(self.at..=self.at + n) {
            Some(bytes) if bytes.is_ascii() => char::from(bytes[n]),
            Some(_) | None => self.rest().chars().nth(n).unwrap_or('\0'),
        }
    }

    #[inline]
    fn peek_opt(&self) -> Option<char> {
        match self.text.as_bytes().get(self.at) {
            Some(&byte) if byte.is_ascii() => Some(char::from(byte)),
            Some(_) | None => self.rest().chars().next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Characters;
    use saphyr_parser::{Event, Input, Parser};

    /// The events of a text with their places, up to its first error.
    fn events<T: Input>(mut parser: Parser<'_, T>) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(next) = parser.next_event() {
            let is_over = matches!(next, Err(_) | Ok((Event::StreamEnd, _)));
            found.push(format!("{next:?}"));
            if is_over {
                break;
            }
        }
        found
    }

    #[test]
    fn the_parser_reads_it_as_its_own_input() {
        let long = format!("a: {}\nb: '{0}'\n", "word ".repeat(100));
        let deep = format!("{}- |\n{}text\n", "- ".repeat(20), " ".repeat(60));
        let texts = [
            "",
            "a: 1",
            "a: {b: [c, 'd e', \"f\\u00e9\\n\"], ? g : h}\n",
            "a: ä ö # über\nб:\n  - 漢字\n  - \u{1f980} \u{1f980}\n",
            "%YAML 1.2\n---\n&a a: !!str 1\nb: *a\n...\n---\nc\n",
            "a: |+\n  one\n\n  two\n\nb: >-\n    one\n      two\n  three\n",
            "a: one\n  two\n\n  three\nb: \t c\n",
            "a: \"b\\\n   c\"\n",
            "a: [b\n",
            "\ta: b\n",
            "a: b: c\n",
            "a: 'b\n",
            "a\u{feff}b: c\n",
            "a:\r\n  b: c\r\n",
            "a: b#c\nd: e #f\n#g",
            long.as_str(),
            deep.as_str(),
        ];
        for text in texts {
            let own = events(Parser::new_from_str(text));
            assert_eq!(events(Parser::new(Characters::new(text.into()))), own, "{text}");
        }
    }
}
