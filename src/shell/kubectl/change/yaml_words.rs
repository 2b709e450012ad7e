//! What the client says of YAML that cannot be read: the words of libyaml as go-yaml v2 passes them on (`scannerc.go`,
//! `parserc.go`, `decode.go`), for ours of `saphyr-parser`.

use crate::base::words::Lang;
use crate::base::{Diagnostic, Span};

/// Which part of libyaml finds the mistake: go-yaml counts the lines of the scanner from 1 and those of the parser from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finder {
    Scanner,
    Parser,
}

/// What our parser says, in part, and what libyaml says in its place.
const WORDS: [(&str, Finder, &str); 21] = [
    ("mapping values are not allowed", Finder::Scanner, "mapping values are not allowed in this context"),
    ("illegal placement of ':'", Finder::Scanner, "mapping values are not allowed in this context"),
    ("mapping keys are not allowed", Finder::Scanner, "mapping keys are not allowed in this context"),
    (
        "block sequence entries are not allowed",
        Finder::Scanner,
        "block sequence entries are not allowed in this context",
    ),
    ("simple key expect", Finder::Scanner, "could not find expected ':'"),
    ("found unexpected end of stream", Finder::Scanner, "found unexpected end of stream"),
    // libyaml asks for no indentation within quotations: one that is not closed goes on to the end.
    ("invalid indentation in quoted scalar", Finder::Scanner, "found unexpected end of stream"),
    ("found unexpected document indicator", Finder::Scanner, "found unexpected document indicator"),
    ("found unknown escape character", Finder::Scanner, "found unknown escape character"),
    (
        "did not find expected alphabetic or numeric character",
        Finder::Scanner,
        "did not find expected alphabetic or numeric character",
    ),
    (
        "did not find expected comment or line break",
        Finder::Scanner,
        "did not find expected comment or line break",
    ),
    ("did not find expected hexadecimal number", Finder::Scanner, "did not find expected hexdecimal number"),
    ("unexpected character", Finder::Scanner, "found character that cannot start any token"),
    ("tab", Finder::Scanner, "found character that cannot start any token"),
    ("did not find expected ',' or '}'", Finder::Parser, "did not find expected ',' or '}'"),
    ("did not find expected ',' or ']'", Finder::Parser, "did not find expected ',' or ']'"),
    ("did not find expected '-' indicator", Finder::Parser, "did not find expected '-' indicator"),
    ("did not find expected key", Finder::Parser, "did not find expected key"),
    ("invalid trailing content", Finder::Parser, "did not find expected key"),
    ("did not find expected node content", Finder::Parser, "did not find expected node content"),
    ("did not find expected <document start>", Finder::Parser, "did not find expected <document start>"),
];

/// The client's words for a mistake in a text: `yaml: line 3: did not find expected key`.
pub(super) fn of(found: &Diagnostic, text: &str) -> String {
    let span = found.span.unwrap_or_default();
    let (why, at) = match (found.message, found.args.first()) {
        ("yaml.tab", _) => ("tab", span.start),
        ("yaml.syntax", Some(why)) => (why.as_str(), span.start),
        _ => return format!("yaml: line {}: {}", span.place(text).line, found.message_in(Lang::En)),
    };
    if why.contains("unknown anchor") {
        return format!("yaml: unknown anchor '{}' referenced", anchor(text, at));
    }
    let document = document(text, at);
    let known = WORDS.iter().find(|(part, ..)| why.contains(part));
    let (finder, said) = known.map_or((Finder::Scanner, why), |(_, finder, said)| (*finder, *said));
    // The scanner sees that a quotation does not end only where the text does.
    let at = if said == "found unexpected end of stream" { document.end } else { at };
    let before = text[document.start..at.max(document.start)].matches('\n').count();
    // A mistake in the first line is told without its number, for 0 stands for none.
    match (before, finder) {
        (0, _) => format!("yaml: {said}"),
        (line, Finder::Scanner) => format!("yaml: line {}: {said}", line + 1),
        (line, Finder::Parser) => format!("yaml: line {line}: {said}"),
    }
}

/// The document that holds a place, as the client cuts them: at lines of `---`, of which the first belongs to its
/// document where nothing stands before it (`YAMLReader`).
fn document(text: &str, at: usize) -> Span {
    let (mut start, mut from) = (0, 0);
    for line in text.split_inclusive('\n') {
        let end = from + line.len();
        if line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty()) && from > start {
            // What is missed at the end of a document is missed where the next one begins.
            if from >= at {
                return Span { start, end: from };
            }
            start = end;
        }
        from = end;
    }
    Span { start, end: text.len() }
}

fn anchor(text: &str, at: usize) -> &str {
    let rest = text[at..].trim_start_matches('*');
    rest.split(|char: char| !char.is_alphanumeric() && !matches!(char, '-' | '_')).next().unwrap_or("")
}
