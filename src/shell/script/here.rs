//! Here-documents (`<<WORD`): text that stands in the script itself, from the next line on (POSIX, 2.7.4).

use super::{Lexer, Piece, Token, Word};

/// A document whose text is still to come.
#[derive(Debug)]
pub(super) struct Pending {
    /// Its token, in whose place the text comes.
    at: usize,
    /// The line that ends it.
    end: String,
    /// Whether any of that word was quoted: nothing is put in place of variables then.
    quoted: bool,
    /// Whether tabs at the beginning of lines are left out (`<<-`).
    without_tabs: bool,
}

impl Lexer<'_> {
    /// Reads the word behind `<<`.
    pub(super) fn here(&mut self) -> Result<(), String> {
        let without_tabs = self.rest.next_if_eq(&'-').is_some();
        while self.rest.next_if(|letter| matches!(letter, ' ' | '\t')).is_some() {}
        self.tokens.push(Token::Op("<<"));
        let at = self.tokens.len();
        self.word()?;
        if let Some(Token::Word(word, quoted)) = self.tokens.get(at) {
            let end = word.join(&|name| format!("${name}"));
            self.pending.push(Pending { at, end, quoted: *quoted, without_tabs });
        }
        Ok(())
    }

    /// A line is over: the texts of the documents that it began follow.
    pub(super) fn documents(&mut self) -> Result<(), String> {
        for document in std::mem::take(&mut self.pending) {
            let text = self.document(&document)?;
            let word = if document.quoted { Word(vec![Piece::Text(text)]) } else { self.inner(&text)? };
            self.tokens[document.at] = Token::Word(word, true);
        }
        Ok(())
    }

    fn document(&mut self, document: &Pending) -> Result<String, String> {
        let mut text = String::new();
        while self.rest.peek().is_some() {
            let mut line = String::new();
            let mut is_whole = false;
            for letter in self.rest.by_ref() {
                if letter == '\n' {
                    is_whole = true;
                    break;
                }
                line.push(letter);
            }
            let shown = if document.without_tabs { line.trim_start_matches('\t') } else { &line };
            if shown == document.end {
                // The line's end belongs to the command.
                return Ok(text);
            }
            text += shown;
            text.extend(is_whole.then_some('\n'));
        }
        // A shell that asks for commands asks for more of it.
        Err("Syntax error: end of file unexpected".to_owned())
    }

    /// A text in which variables and commands are worked out as within quotes.
    fn inner(&self, text: &str) -> Result<Word, String> {
        let mut lexer = Lexer::new(text, self.depth);
        let (mut word, mut part) = (Word::default(), None);
        lexer.interpolated(&mut word, &mut part, None)?;
        word.0.extend(part.map(Piece::Text));
        Ok(word)
    }
}
