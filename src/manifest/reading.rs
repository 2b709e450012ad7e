//! Reading a text in pieces, so that whoever shows a screen can do something else between two of them.

use super::tree::{self, Node, Unread};
use super::validate::Across;
use super::{Parsed, TEXT_LIMIT, limit, objects, whole_text};
use crate::base::{Severity, Span};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// A document of at most this many bytes is read in one piece.
const WHOLE: usize = 16 << 10;
/// The parser's events that are taken in one piece of a larger document.
const EVENTS: usize = 1_000;

/// A text being read. Each piece of work reads a document or a part of one, checks one object, or asks one question
/// about all objects together.
pub struct Reading {
    text: Arc<str>,
    documents: VecDeque<Range<usize>>,
    unread: Option<Box<Unread>>,
    /// Objects that are to be checked.
    waiting: VecDeque<Node>,
    /// Texts of the objects without errors.
    roots: Vec<Node>,
    parsed: Parsed,
    across: Across,
    n_checked: usize,
    n_bytes: usize,
    is_over: bool,
}

impl Reading {
    /// Begins to read a text.
    pub fn new(text: Arc<str>) -> Self {
        let refused = refusal(&text);
        let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let documents = if refused.is_some() { Vec::new() } else { tree::documents(&text[start..]) };
        let documents = documents.into_iter().map(|range| start + range.start..start + range.end);
        Self {
            documents: documents.collect(),
            text,
            unread: None,
            waiting: VecDeque::new(),
            roots: Vec::new(),
            is_over: refused.is_some(),
            parsed: refused.unwrap_or_default(),
            across: Across::default(),
            n_checked: 0,
            n_bytes: 0,
        }
    }

    /// Does a piece of work. Returns whether there is more.
    pub fn advance(&mut self) -> bool {
        if self.is_over {
            return false;
        }
        if let Some(root) = self.waiting.pop_front() {
            self.check(root);
        } else if let Some(mut unread) = self.unread.take() {
            match unread.advance(EVENTS) {
                Ok(None) => self.unread = Some(unread),
                Ok(Some(roots)) => self.found(roots),
                Err(diagnostic) => self.parsed.diagnostics.push(*diagnostic),
            }
        } else if let Some(document) = self.documents.pop_front() {
            self.open(document);
        } else if self.parsed.objects.is_empty() && self.parsed.diagnostics.is_empty() {
            self.parsed = whole_text(Severity::Info, "text.empty", "text.empty.hint", "");
            self.is_over = true;
        } else {
            self.is_over = !self.across.advance(&self.text, &self.parsed, &self.roots);
        }
        !self.is_over
    }

    fn open(&mut self, document: Range<usize>) {
        self.n_bytes = document.start;
        let text = &self.text[document.clone()];
        if document.len() > WHOLE {
            self.unread = Some(Box::new(Unread::new(document.start, text)));
            return;
        }
        match tree::read_document(document.start, text) {
            Ok(roots) => self.found(roots),
            Err(diagnostic) => self.parsed.diagnostics.push(*diagnostic),
        }
    }

    fn found(&mut self, roots: Vec<Node>) {
        for root in roots {
            objects::within(root, &mut self.waiting);
        }
    }

    fn check(&mut self, root: Node) {
        self.n_checked += 1;
        self.n_bytes = root.span.end;
        let (object, findings) = objects::read(&root);
        self.parsed.diagnostics.extend(findings);
        if let Some(located) = object {
            self.parsed.objects.push(located);
            self.roots.push(root);
        }
    }

    /// How many objects have been checked.
    pub fn n_checked(&self) -> usize {
        self.n_checked
    }

    /// How much of the text has been read and its objects checked, from 0 to 100.
    pub fn percent(&self) -> usize {
        self.n_bytes * 100 / self.text.len().max(1)
    }

    /// The text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// What the text turned out to hold, as far as it was read.
    pub fn finish(self) -> Parsed {
        let mut parsed = self.finish_as_found();
        parsed.diagnostics.sort_by_key(|diagnostic| diagnostic.span);
        limit(&mut parsed.diagnostics);
        parsed
    }

    /// The same, with the findings in the order in which they were made.
    pub(super) fn finish_as_found(self) -> Parsed {
        let mut parsed = self.parsed;
        parsed.diagnostics.extend(self.across.found());
        parsed
    }
}

/// Why a text is not read at all.
fn refusal(text: &str) -> Option<Parsed> {
    if text.len() > TEXT_LIMIT {
        let mebibytes = (TEXT_LIMIT >> 20).to_string();
        return Some(whole_text(Severity::Error, "text.long", "text.long.hint", &mebibytes));
    }
    // What YAML forbids in a text: control characters other than line ends and tabs.
    let control = |byte: &u8| *byte < b' ' && !matches!(*byte, b'\n' | b'\r' | b'\t');
    let at = text.bytes().position(|byte| control(&byte))?;
    let mut parsed = whole_text(Severity::Error, "text.binary", "text.binary.hint", &at.to_string());
    for diagnostic in &mut parsed.diagnostics {
        diagnostic.span = Some(Span { start: at, end: at + 1 });
    }
    Some(parsed)
}
