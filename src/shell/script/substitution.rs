//! `$(…)`, backquotes and `$((…))`: reading them, and filling a command with what they come to
//! (POSIX.1-2024, Shell Command Language, 2.6.3 and 2.6.4).

use super::{Lexer, Node, Piece, Redirection, Word, parse_within};

impl Lexer<'_> {
    /// What stands behind `$`, from its first bracket on.
    pub(super) fn bracketed(&mut self, quoted: bool) -> Result<Piece, String> {
        const MISSING: &str = "Syntax error: Missing '))'";
        self.rest.next();
        if self.rest.next_if_eq(&'(').is_none() {
            let mut text = String::new();
            self.enclosed(1, &mut text).ok_or("Syntax error: end of file unexpected (expecting \")\")")?;
            return Ok(Piece::Command(parse_within(&text, self.depth + 1)?, quoted));
        }
        let mut text = String::new();
        self.enclosed(2, &mut text).ok_or(MISSING)?;
        let text = text.strip_suffix(')').ok_or(MISSING)?.to_owned() + "\"";
        let mut inner = Lexer::new(&text, self.depth + 1);
        inner.check_depth()?;
        let (mut word, mut plain) = (Word::default(), None);
        inner.double(&mut word, &mut plain)?;
        word.0.extend(plain.map(Piece::Text));
        Ok(Piece::Arithmetic(word, quoted))
    }

    /// What stands between backquotes: in it `\` takes their meaning from `$`, `` ` `` and `\`, and within double
    /// quotes from `"`.
    pub(super) fn backquoted(&mut self, quoted: bool) -> Result<Piece, String> {
        let mut text = String::new();
        while let Some(letter) = self.rest.next() {
            match letter {
                '`' => return Ok(Piece::Command(parse_within(&text, self.depth + 1)?, quoted)),
                '\\' => {
                    let taken = self.rest.next_if(|next| "$`\\".contains(*next) || (quoted && *next == '"'));
                    text.push(taken.unwrap_or('\\'));
                }
                other => text.push(other),
            }
        }
        Err("Syntax error: EOF in backquote substitution".to_owned())
    }

    /// Reads up to the bracket that closes the last of those open, past brackets in quotes; `None` at the end.
    fn enclosed(&mut self, mut open: u32, text: &mut String) -> Option<()> {
        let mut quote = None;
        loop {
            let letter = self.rest.next()?;
            match (letter, quote) {
                ('\\', None | Some('"')) => {
                    text.push(letter);
                    text.push(self.rest.next()?);
                    continue;
                }
                ('\'' | '"', None) => quote = Some(letter),
                (letter, Some(end)) if letter == end => quote = None,
                // A substitution within quotes has quotes of its own.
                ('$', Some('"')) if self.rest.next_if_eq(&'(').is_some() => {
                    text.push_str("$(");
                    self.enclosed(1, text)?;
                    text.push(')');
                    continue;
                }
                ('(', None) => open += 1,
                (')', None) if open == 1 => return Some(()),
                (')', None) => open -= 1,
                _ => {}
            }
            text.push(letter);
        }
    }
}

impl Word {
    /// The first piece that has to be worked out before the word is known, one within another first.
    fn pending(&self) -> Option<&Piece> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Command(..) => Some(piece),
            Piece::Arithmetic(word, _) => Some(word.pending().unwrap_or(piece)),
            Piece::Text(_) | Piece::Glob(_) | Piece::Variable(..) | Piece::Output { .. } => None,
        })
    }

    /// Puts what it came to in that piece's place; whether there was one.
    fn fill(&mut self, text: &str, status: u8) -> bool {
        self.0.iter_mut().any(|piece| {
            let quoted = match piece {
                Piece::Command(_, quoted) => *quoted,
                Piece::Arithmetic(word, quoted) => {
                    if word.fill(text, status) {
                        return true;
                    }
                    *quoted
                }
                Piece::Text(_) | Piece::Glob(_) | Piece::Variable(..) | Piece::Output { .. } => return false,
            };
            *piece = Piece::Output { text: text.to_owned(), quoted, status };
            true
        })
    }
}

impl Node {
    /// Its words in the order in which a shell works them out.
    fn words(&self) -> Vec<&Word> {
        match self {
            Self::Simple(simple) => {
                let files = simple.redirections.iter().filter_map(|redirection| match redirection {
                    Redirection::In(file) | Redirection::Here(file) | Redirection::Out { file, .. } => {
                        Some(file)
                    }
                    Redirection::Same(..) => None,
                });
                let values = simple.assignments.iter().map(|(_, value)| value);
                simple.words.iter().chain(files).chain(values).collect()
            }
            Self::For(_, words, _) => words.iter().collect(),
            Self::Case(subject, arms) => {
                let patterns =
                    arms.iter().flat_map(|(patterns, _)| patterns.iter().map(|pattern| &pattern.0));
                std::iter::once(subject).chain(patterns).collect()
            }
            Self::Pipe(_)
            | Self::Not(_)
            | Self::And(..)
            | Self::Or(..)
            | Self::List(_)
            | Self::Loop { .. }
            | Self::If(..) => Vec::new(),
        }
    }

    /// The first substitution that has to be worked out before this command can run: a [`Piece::Command`], or a
    /// [`Piece::Arithmetic`] with nothing open in it.
    pub fn pending(&self) -> Option<&Piece> {
        self.words().into_iter().find_map(Word::pending)
    }

    /// This command with that substitution replaced by what it came to.
    #[must_use]
    pub fn filled(&self, text: &str, status: u8) -> Self {
        let mut filled = self.clone();
        match &mut filled {
            Self::Simple(simple) => {
                let files = simple.redirections.iter_mut().filter_map(|redirection| match redirection {
                    Redirection::In(file) | Redirection::Here(file) | Redirection::Out { file, .. } => {
                        Some(file)
                    }
                    Redirection::Same(..) => None,
                });
                let values = simple.assignments.iter_mut().map(|(_, value)| value);
                simple.words.iter_mut().chain(files).chain(values).any(|word| word.fill(text, status));
            }
            Self::For(_, words, _) => {
                words.iter_mut().any(|word| word.fill(text, status));
            }
            Self::Case(subject, arms) => {
                let patterns = arms.iter_mut().flat_map(|(patterns, _)| patterns.iter_mut());
                let words = std::iter::once(subject).chain(patterns.map(|pattern| &mut pattern.0));
                words.into_iter().any(|word| word.fill(text, status));
            }
            Self::Pipe(_)
            | Self::Not(_)
            | Self::And(..)
            | Self::Or(..)
            | Self::List(_)
            | Self::Loop { .. }
            | Self::If(..) => {}
        }
        filled
    }

    /// The status of the last command whose output is part of this one; 0 without any.
    pub fn output_status(&self) -> u8 {
        let pieces = self.words().into_iter().flat_map(|word| &word.0);
        let status =
            |piece: &Piece| if let Piece::Output { status, .. } = piece { Some(*status) } else { None };
        pieces.rev().find_map(status).unwrap_or(0)
    }
}
