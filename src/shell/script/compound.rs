//! `if`, `for` and `case`, behind their first word.

use super::{DEPTH_MAX, Node, Parser, Pattern, Token, Word, too_deep, without_globs};
use std::sync::Arc;

impl Parser {
    pub(super) fn branches(&mut self) -> Result<Node, String> {
        let condition = self.body("then")?;
        let yes = Arc::new(self.list(&["else", "elif", "fi"])?);
        let no = if self.next_if_reserved("elif") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(too_deep());
            }
            let no = Arc::new(self.branches()?);
            self.depth -= 1;
            return Ok(Node::If(condition, yes, Some(no)));
        } else if self.next_if_reserved("else") {
            Some(self.body("fi")?)
        } else {
            self.expect("fi")?;
            None
        };
        Ok(Node::If(condition, yes, no))
    }

    pub(super) fn for_loop(&mut self) -> Result<Node, String> {
        let mut words = Vec::new();
        while let Some(Token::Word(word, _)) = self.peek() {
            words.push(word.clone());
            self.at += 1;
        }
        if !self.next_if_op(";") && !self.next_if_op("\n") {
            return Err(self.unexpected());
        }
        while self.next_if_op("\n") {}
        self.expect("do")?;
        let mut words = words.into_iter();
        let name = words.next().as_ref().and_then(Word::text).map(str::to_owned);
        let (Some(name), Some("in")) = (name, words.next().as_ref().and_then(Word::text)) else {
            return Err("Syntax error: Bad for loop variable".to_owned());
        };
        let words: Vec<Word> = words.collect();
        words.iter().try_for_each(without_globs)?;
        Ok(Node::For(name, words, self.body("done")?))
    }

    pub(super) fn case(&mut self) -> Result<Node, String> {
        let Some(Token::Word(subject, _)) = self.peek().cloned() else { return Err(self.unexpected()) };
        self.at += 1;
        while self.next_if_op("\n") {}
        let is_in = matches!(self.peek(), Some(Token::Word(word, false)) if word.text() == Some("in"));
        if !is_in {
            return Err(self.expecting("in"));
        }
        self.at += 1;
        let mut arms = Vec::new();
        loop {
            while self.next_if_op("\n") {}
            if self.next_if_reserved("esac") {
                break;
            }
            let patterns = self.patterns()?;
            arms.push((patterns, Arc::new(self.list(&["esac"])?)));
            if !self.next_if_op(";;") {
                self.expect("esac").map_err(|_| self.expecting(";;"))?;
                break;
            }
        }
        Ok(Node::Case(subject, arms))
    }

    /// `a|b)`, with or without a bracket before.
    fn patterns(&mut self) -> Result<Vec<Pattern>, String> {
        self.next_if_op("(");
        let mut patterns = Vec::new();
        loop {
            let Some(Token::Word(word, quoted)) = self.peek().cloned() else { return Err(self.unexpected()) };
            self.at += 1;
            patterns.push(Pattern(word, quoted));
            if self.next_if_op(")") {
                return Ok(patterns);
            }
            if !self.next_if_op("|") {
                return Err(self.unexpected());
            }
        }
    }

    /// What stands here in place of what has to (`synexpect`).
    fn expecting(&self, what: &str) -> String {
        let is_word = matches!(self.peek(), Some(Token::Word(..))) && self.reserved().is_none();
        let found = if is_word { "Syntax error: word unexpected".to_owned() } else { self.unexpected() };
        format!("{found} (expecting \"{what}\")")
    }
}
