//! What a command answers at once, collected in order.

use super::Command;
use crate::trace::Stream;

/// Output under way.
#[derive(Debug, Default)]
pub(super) struct Out {
    pieces: Vec<(Stream, String)>,
}

impl Out {
    /// Adds to standard output.
    pub(super) fn out(&mut self, text: impl Into<String>) {
        self.add(Stream::Stdout, text.into());
    }

    /// Adds to standard error.
    pub(super) fn err(&mut self, text: impl Into<String>) {
        self.add(Stream::Stderr, text.into());
    }

    fn add(&mut self, stream: Stream, text: String) {
        match self.pieces.last_mut() {
            Some((last, piece)) if *last == stream => piece.push_str(&text),
            _ if text.is_empty() => {}
            _ => self.pieces.push((stream, text)),
        }
    }

    /// Adds all of `other`.
    pub(super) fn append(&mut self, other: Self) {
        other.pieces.into_iter().for_each(|(stream, text)| self.add(stream, text));
    }

    /// The pieces in order.
    pub(super) fn into_pieces(self) -> Vec<(Stream, String)> {
        self.pieces
    }

    /// The command is over.
    pub(super) fn done(self, status: u8) -> Command {
        Command::Done { output: self.pieces, status }
    }
}

/// A command that says one thing on standard output and succeeds.
pub(super) fn answer(text: impl Into<String>) -> Command {
    let mut out = Out::default();
    out.out(text);
    out.done(0)
}

/// What is said of a word that the real program knows and this one does not: a message of our own, so that nobody
/// takes the word for a mistake. Text and status.
pub(super) fn not_simulated(program: &str, word: &str) -> (String, u8) {
    (format!("{program}: not simulated: {word}\n"), 1)
}

/// A command that says one thing on standard error and fails.
pub(super) fn refuse(text: impl Into<String>, status: u8) -> Command {
    let mut out = Out::default();
    out.err(text);
    out.done(status)
}
