//! What a word of a script becomes (POSIX.1-2024, Shell Command Language, 2.6).

use super::{Piece, Word};

impl Word {
    /// The words that it becomes.
    pub fn expand(&self, value: &dyn Fn(&str) -> String) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut open: Option<String> = None;
        for piece in &self.0 {
            match piece {
                Piece::Text(text) | Piece::Output { text, quoted: true, .. } => {
                    open.get_or_insert_default().push_str(text);
                }
                Piece::Glob(letter) => open.get_or_insert_default().push(*letter),
                Piece::Variable(name, true) => open.get_or_insert_default().push_str(&value(name)),
                Piece::Variable(name, false) => split(&value(name), &mut words, &mut open),
                Piece::Output { text, quoted: false, .. } => split(text, &mut words, &mut open),
                // They are worked out before.
                Piece::Command(..) | Piece::Arithmetic(..) => {}
            }
        }
        words.extend(open);
        words
    }

    /// The one word that it becomes in an assignment or a redirection.
    pub fn join(&self, value: &dyn Fn(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) | Piece::Output { text, .. } => text.clone(),
            Piece::Glob(letter) => letter.to_string(),
            Piece::Variable(name, _) => value(name),
            Piece::Command(..) | Piece::Arithmetic(..) => String::new(),
        };
        self.0.iter().map(piece).collect()
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// Splits what stands outside quotes into words at blanks; what touches `open` goes on with it.
fn split(text: &str, words: &mut Vec<String>, open: &mut Option<String>) {
    if text.starts_with(char::is_whitespace) {
        words.extend(open.take());
    }
    for (index, part) in text.split_whitespace().enumerate() {
        if index > 0 {
            words.extend(open.take());
        }
        open.get_or_insert_default().push_str(part);
    }
    if text.ends_with(char::is_whitespace) {
        words.extend(open.take());
    }
}
