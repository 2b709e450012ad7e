//! The plain part of YAML, in which nearly all manifests are written: block collections, flow collections on one line,
//! scalars on one line without escapes, comments. It is read in one pass and without a token for each scalar, several
//! times as fast as the parser for all of YAML reads it. Whatever lies beyond it, mistakes included, is left to that
//! parser, which reads the document from its beginning; where both can read a document, both give the same tree.

use super::tree::{Builder, NodeValue};
use crate::base::Span;
use saphyr_parser::ScalarStyle;
use std::ops::Range;

/// The longest key that both parsers take for one.
const KEY_LIMIT: usize = 512;

/// Reads a document, which begins at `start` of the whole, into `builder`. `None` where it is beyond the plain part; what the
/// builder holds is of no use then.
pub(super) fn read(start: usize, text: &str, builder: &mut Builder) -> Option<()> {
    if !text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)) {
        return None;
    }
    let mut reader = Reader { start, text, at: 0, line: 0, indent: None, builder };
    reader.document()
}

struct Reader<'t, 'b> {
    start: usize,
    text: &'t str,
    /// The next byte of the text.
    at: usize,
    /// Where its line begins.
    line: usize,
    /// How far the line at hand is indented; `None` where the text is over.
    indent: Option<usize>,
    builder: &'b mut Builder,
}

/// Nothing where the text is beyond the plain part of YAML.
type Plain = Option<()>;

impl Reader<'_, '_> {
    fn document(&mut self) -> Plain {
        self.next_content();
        if self.indent == Some(0) && self.text[self.at..].starts_with("---") {
            self.at += 3;
            self.end_line()?;
        }
        match self.byte()? {
            b'{' | b'[' => {
                self.flow()?;
                self.end_line()?;
            }
            _ => self.collection(self.indent?)?,
        }
        self.indent.is_none().then_some(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn byte_after(&self, n: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + n).copied()
    }

    fn spaces(&mut self) {
        while self.byte() == Some(b' ') {
            self.at += 1;
        }
    }

    /// Goes on to the next line that has more than a comment, from the beginning of a line.
    fn next_content(&mut self) {
        loop {
            self.line = self.at;
            self.spaces();
            match self.byte() {
                None => return self.indent = None,
                Some(b'#') => {
                    self.at = self.text[self.at..].find('\n').map_or(self.text.len(), |n| self.at + n);
                }
                Some(b'\n') => {}
                Some(_) => return self.indent = Some(self.at - self.line),
            }
            self.at = (self.at + 1).min(self.text.len());
        }
    }

    /// Whether nothing but a comment is left of the line, behind spaces.
    fn is_line_over(&self) -> bool {
        match self.byte() {
            None | Some(b'\n') => true,
            Some(b'#') => self.text.as_bytes()[..self.at].last() == Some(&b' '),
            Some(_) => false,
        }
    }

    /// Leaves a line on which nothing more may stand.
    fn end_line(&mut self) -> Plain {
        self.spaces();
        if !self.is_line_over() {
            return None;
        }
        self.at = self.text[self.at..].find('\n').map_or(self.text.len(), |n| self.at + n + 1);
        self.next_content();
        Some(())
    }

    /// Whether a block sequence's entry begins here.
    fn is_entry(&self) -> bool {
        self.byte() == Some(b'-') && self.byte_after(1) == Some(b' ')
    }

    /// A block collection whose entries stand at `column`.
    fn collection(&mut self, column: usize) -> Plain {
        if self.is_entry() { self.sequence(column, 0) } else { self.mapping(column) }
    }

    /// A block sequence whose entries stand at `column`, and which begins `offset` bytes from here.
    fn sequence(&mut self, column: usize, offset: usize) -> Plain {
        self.begin(offset..offset, false)?;
        while self.indent == Some(column) && self.is_entry() {
            self.at += 1;
            self.spaces();
            let inner = self.at - self.line;
            if self.is_entry() || self.key_end(Some(b" \n")).is_some() {
                // The line at hand is indented as far as its entry as soon as the entry is what is read.
                self.indent = Some(inner);
                self.collection(inner)?;
            } else {
                self.inline()?;
                self.end_line()?;
            }
            if self.indent.is_some_and(|indent| indent > column) {
                return None;
            }
        }
        self.end()
    }

    fn mapping(&mut self, column: usize) -> Plain {
        self.begin(0..0, true)?;
        while self.indent == Some(column) {
            self.key(Some(b" \n"))?;
            self.value(column)?;
            if self.indent.is_some_and(|indent| indent > column) {
                return None;
            }
        }
        self.end()
    }

    /// The value of a key that stands at `column`.
    fn value(&mut self, column: usize) -> Plain {
        let colon = self.at - 1;
        self.spaces();
        if !self.is_line_over() {
            self.inline()?;
            return self.end_line();
        }
        self.end_line()?;
        match self.indent {
            Some(indent) if indent > column => self.collection(indent),
            Some(indent) if indent == column && self.is_entry() => {
                // Such a sequence has no indentation of its own, and is taken to begin with what its first entry holds.
                let rest = &self.text.as_bytes()[self.at + 1..];
                self.sequence(indent, 1 + rest.iter().take_while(|byte| **byte == b' ').count())
            }
            Some(_) | None => self.put(colon..colon, colon..colon, ScalarStyle::Plain),
        }
    }

    /// A value that stands on one line, in a block collection.
    fn inline(&mut self) -> Plain {
        match self.byte()? {
            b'{' | b'[' => self.flow(),
            b'"' | b'\'' => self.quoted(),
            _ => self.scalar(b""),
        }
    }

    /// A flow collection.
    fn flow(&mut self) -> Plain {
        let is_mapping = self.byte() == Some(b'{');
        let close = if is_mapping { b'}' } else { b']' };
        self.begin(0..1, is_mapping)?;
        self.at += 1;
        self.spaces();
        while self.byte()? != close {
            if is_mapping {
                // As in JSON, a value may follow the colon of a quoted key at once.
                self.key(if matches!(self.byte()?, b'"' | b'\'') { None } else { Some(b" ") })?;
                self.spaces();
            }
            match self.byte()? {
                b'{' | b'[' => self.flow()?,
                b'"' | b'\'' => self.quoted()?,
                _ => self.scalar(b",]}")?,
            }
            self.spaces();
            if self.byte()? == b',' {
                self.at += 1;
                self.spaces();
                // The parser lets a collection end with its last comma.
                if self.byte()? == close {
                    return None;
                }
            } else if self.byte()? != close {
                return None;
            }
        }
        self.end()?;
        self.at += 1;
        Some(())
    }

    /// Where the key that begins here ends, if it has its colon, and behind that one of `next` or the end of the text; with
    /// `None` anything.
    fn key_end(&self, next: Option<&[u8]>) -> Option<usize> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = match rest.first()? {
            quote @ (b'"' | b'\'') => quoted_length(rest, *quote)?,
            byte if byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'/' => rest
                .iter()
                .position(|byte| !byte.is_ascii_alphanumeric() && !b"_-./".contains(byte))
                .unwrap_or(rest.len()),
            _ => return None,
        };
        let has_colon = rest.get(length) == Some(&b':');
        let is_apart = next.is_none_or(|next| rest.get(length + 1).is_none_or(|byte| next.contains(byte)));
        (has_colon && is_apart && length <= KEY_LIMIT).then_some(self.at + length)
    }

    /// A key with its colon.
    fn key(&mut self, next: Option<&[u8]>) -> Plain {
        let end = self.key_end(next)?;
        if matches!(self.byte(), Some(b'"' | b'\'')) {
            self.quoted()?;
        } else {
            self.take(end)?;
        }
        self.at = end + 1;
        Some(())
    }

    fn quoted(&mut self) -> Plain {
        let rest = &self.text.as_bytes()[self.at..];
        let quote = *rest.first()?;
        let length = quoted_length(rest, quote)?;
        let style = if quote == b'"' { ScalarStyle::DoubleQuoted } else { ScalarStyle::SingleQuoted };
        let (from, to) = (self.at, self.at + length);
        self.at = to;
        self.put(from + 1..to - 1, from..to, style)
    }

    /// An unquoted scalar, which one of `ends` or the line ends.
    fn scalar(&mut self, ends: &[u8]) -> Plain {
        let rest = &self.text.as_bytes()[self.at..];
        let starts = |byte: u8| !b"-?:,[]{}#&*!|>'\"%@` \n".contains(&byte);
        match rest {
            [b'-', next, ..] if starts(*next) => {}
            [first, ..] if starts(*first) => {}
            _ => return None,
        }
        let mut end = 0;
        while let Some(&byte) = rest.get(end).filter(|&&byte| byte != b'\n' && !ends.contains(&byte)) {
            match byte {
                b':' if rest.get(end + 1).is_none_or(|next| b" \n".contains(next) || ends.contains(next)) => {
                    return None;
                }
                b'#' if rest[end - 1] == b' ' => break,
                b'{' | b'[' if !ends.is_empty() => return None,
                // The parser refuses this behind a space.
                b'-' if rest.get(end + 1).is_some_and(|next| ends.contains(next)) => return None,
                _ => end += 1,
            }
        }
        self.take(self.at + self.text[self.at..self.at + end].trim_end_matches(' ').len())
    }

    /// An unquoted scalar up to `end`.
    fn take(&mut self, end: usize) -> Plain {
        let place = self.at..end;
        self.at = end;
        self.put(place.clone(), place, ScalarStyle::Plain)
    }

    /// Puts a scalar whose text and whole place these are.
    fn put(&mut self, text: Range<usize>, place: Range<usize>, style: ScalarStyle) -> Plain {
        let span = Span { start: self.start + place.start, end: self.start + place.end };
        self.builder.scalar(self.text[text].into(), style, None, span, 0).ok()
    }

    /// Begins a collection whose mark stands at `offsets` from here.
    fn begin(&mut self, offsets: Range<usize>, is_mapping: bool) -> Plain {
        let here = self.start + self.at;
        let empty = if is_mapping { NodeValue::Mapping(Vec::new()) } else { NodeValue::Sequence(Vec::new()) };
        self.builder.begin(Span { start: here + offsets.start, end: here + offsets.end }, empty, 0).ok()
    }

    /// Ends the innermost collection here.
    fn end(&mut self) -> Plain {
        self.builder.end(self.start + self.at).ok()
    }
}

/// How long the quoted scalar is that `rest` begins with, if it stands on one line and has no escapes.
fn quoted_length(rest: &[u8], quote: u8) -> Option<usize> {
    let inner = rest[1..].iter().position(|byte| [quote, b'\\', b'\n'].contains(byte))?;
    let is_single = rest.get(inner + 2) != Some(&quote);
    // The parser counts the spaces and the comment behind such a scalar as part of it.
    let ends = !matches!(rest.get(inner + 2), Some(b' ' | b'#'));
    (rest[inner + 1] == quote && is_single && ends).then_some(inner + 2)
}

#[cfg(test)]
mod tests {
    use crate::manifest::tree::{documents, read_any, read_plain};
    use proptest::prelude::*;
    use proptest::sample::Index;

    /// Documents that are plain.
    const PLAIN: [&str; 15] = [
        "a: b\n",
        "a: b",
        "---\na:\n  b: c\n  d:\n  - e\n  - f: g\n    h: i\n\n# over\nj: k # behind\n",
        "--- # begins\n- a\n- - b\n  - c\n- d:\n  e: f\n",
        "a:\n- b\n- c\nd:\n    e:\n    - {f: g, h: [i, j ], k: {}}\n",
        "a: 'b'\n\"c\": \"d e\"\ng: http://h:80/i#j\n",
        "{\"a\": 1, \"b\": [true, null, \"c\"], \"d\": {}}",
        "{\"a\":1,\"b\":[{'c':-2}],\"d\":\"e\",\"f\":null}",
        "a:\n",
        "a:   \n  # nothing\nb:\n",
        "a:\n  b:\n\n\n  # c\n",
        "0x10: 010\nyes: no\ny: n\n",
        "a: -1\nd: e, f [g] {h}\n",
        "  a: b\n  c: d\n",
        "a: {b: c}   \nd: [ e , f ]\n",
    ];
    /// Longer ones, to be changed at random.
    const MANIFESTS: [&str; 4] = [
        include_str!("../../tests/oracle/services.yaml"),
        include_str!("../lab/lessons/en/vxlan.yaml"),
        include_str!("../lab/lessons/templates/discovery-solved.yaml"),
        include_str!("../lab/lessons/templates/detector.yaml"),
    ];
    /// What is put into a text: everything that means something to YAML, and some that does not.
    const CHARACTERS: &[u8] = b" \n:-#'\"[]{},&*!|>?%@`ab0~.=<\\";

    /// Holds the quicker reader's tree of a document against the whole parser's. Returns whether the quicker one reads it.
    fn compare(text: &str) -> bool {
        let Some(plain) = read_plain(7, &text.into()) else { return false };
        match read_any(7, text.into()) {
            Ok(any) => assert_eq!(plain, any, "{text}"),
            Err(error) => panic!("{error:?}:\n{text}"),
        }
        true
    }

    #[test]
    fn what_is_plain_is_read_as_by_the_whole_parser() {
        for text in PLAIN {
            assert!(compare(text), "{text}");
        }
        for text in MANIFESTS {
            assert!(documents(text).into_iter().any(|document| compare(&text[document])), "{text}");
        }
    }

    #[test]
    fn what_lies_beyond_is_left_to_the_whole_parser() {
        for text in [
            "",
            "a: &b c\n",
            "a: *b\n",
            "a: !!str b\n",
            "a: |\n  b\n",
            "a: b\n  c\n",
            "a: [b,\n  c]\n",
            "a: [b, ]\n",
            "d: [ e -, f ]\n",
            "a: \"b\\n\"\n",
            "a: \"b\" # c\n",
            "a: b: c\n",
            "a: b\n c: d\n",
            "a:\tb\n",
            "? a\n",
            "a: é\n",
            "a: b\n...\n",
        ] {
            assert!(!compare(text), "{text}");
        }
    }

    /// A change of a text: a piece is taken out, and put in elsewhere or not at all, or a character is put in.
    fn change(text: &mut Vec<u8>, (kind, at, to, length, character): (u8, Index, Index, usize, Index)) {
        let at = at.index(text.len() + 1);
        let end = (at + length).min(text.len());
        match kind {
            0 => text.insert(at, CHARACTERS[character.index(CHARACTERS.len())]),
            1 => drop(text.drain(at..end)),
            _ => {
                let piece: Vec<u8> = text[at..end].to_vec();
                let to = to.index(text.len() + 1);
                text.splice(to..to, piece);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30_000))]
        #[test]
        fn whatever_is_read_is_read_as_by_the_whole_parser(
            text in prop::sample::select([PLAIN.as_slice(), &MANIFESTS].concat()),
            document in any::<Index>(),
            changes in prop::collection::vec((0u8..4, any::<Index>(), any::<Index>(), 1usize..24, any::<Index>()), 1..4),
        ) {
            let documents = documents(text);
            let mut text = text[documents[document.index(documents.len())].clone()].as_bytes().to_vec();
            for one in changes {
                change(&mut text, one);
            }
            if let Ok(text) = String::from_utf8(text) {
                compare(&text);
            }
        }
    }
}
