//! YAML text as a tree in which every key and value knows its place.
//!
//! Documents are split first, as the API server's reader does it (a line that begins with `---`), and each is parsed
//! apart: one that cannot be read does not take the others with it.

use super::characters::Characters;
use super::plain;
use super::scalar::{self, Scalar};
use crate::base::{Diagnostic, Severity, Span};
use indexmap::IndexMap;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use serde_json::Value;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// How deep collections may nest. The deepest field of any kind lies far above that.
const DEPTH_LIMIT: usize = 64;
/// How many nodes all aliases of a document may add together.
const ALIAS_LIMIT: usize = 20_000;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Where it stands.
    pub(super) span: Span,
    /// What it is.
    pub(super) value: NodeValue,
    /// How a scalar that is no string was written, such as `0777` for 511, and a text that others read as no text.
    pub(super) source: Option<Box<str>>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NodeValue {
    /// A scalar, with its meaning.
    Scalar(Scalar),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping, in the order of the text.
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key stands.
    pub(super) key_span: Span,
    /// The value.
    pub(super) value: Node,
    /// Whether it came in through a merge key (`<<`), which an explicit key overrides.
    merged: bool,
}

impl Node {
    /// A value without a text: whatever is said about it has no place.
    pub(super) fn nowhere() -> Self {
        Self { span: Span::default(), value: NodeValue::Mapping(Vec::new()), source: None }
    }

    /// The value of `key` in a mapping; with a key given twice, the last, as the API server's parser has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of `key` in a mapping.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            NodeValue::Mapping(entries) => entries.iter().rev().find(|entry| entry.key == key),
            NodeValue::Scalar(_) | NodeValue::Sequence(_) => None,
        }
    }

    /// The value of the last key that `wanted` names, without the rest; the whole node where there is none.
    pub(super) fn take(mut self, wanted: impl Fn(&str) -> bool) -> Result<NodeValue, Self> {
        let entry = match &mut self.value {
            NodeValue::Mapping(entries) => {
                entries.iter().rposition(|entry| wanted(&entry.key)).map(|at| entries.swap_remove(at))
            }
            NodeValue::Scalar(_) | NodeValue::Sequence(_) => None,
        };
        entry.map(|entry| entry.value.value).ok_or(self)
    }

    /// The elements of a sequence; none for anything else.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            NodeValue::Sequence(items) => items,
            NodeValue::Scalar(_) | NodeValue::Mapping(_) => &[],
        }
    }

    /// The text of a string scalar.
    pub(super) fn as_str(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Scalar(value) => value.as_str(),
            NodeValue::Sequence(_) | NodeValue::Mapping(_) => None,
        }
    }

    /// Whether nothing stands here.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, NodeValue::Scalar(Scalar::Null))
    }

    /// The tree as JSON, without places.
    pub(super) fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Scalar(value) => value.to_json(),
            NodeValue::Sequence(items) => items.iter().map(Self::to_json).collect(),
            NodeValue::Mapping(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
            }
        }
    }

    /// The node that a path such as `spec.containers[1].name` leads to; the deepest one that exists.
    pub(super) fn at(&self, path: &str) -> Span {
        self.walk(path).0
    }

    /// The value at `path`, if there is one.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        self.walk(path).1
    }

    /// The span of the deepest part of `path` that is there, and the value where it is all of it.
    fn walk(&self, path: &str) -> (Span, Option<&Self>) {
        let mut node = self;
        let mut span = node.span;
        for step in steps(path) {
            let next = match &node.value {
                NodeValue::Mapping(_) => node.entry(step).map(|entry| (&entry.value, entry.key_span)),
                NodeValue::Sequence(items) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|item| (item, item.span)),
                NodeValue::Scalar(_) => None,
            };
            let Some((next, key_span)) = next else { return (span, None) };
            node = next;
            span = match node.value {
                NodeValue::Scalar(Scalar::Null) | NodeValue::Sequence(_) | NodeValue::Mapping(_) => key_span,
                NodeValue::Scalar(_) => node.span,
            };
        }
        (span, Some(node))
    }
}

/// The steps of a path: names and what stands in brackets.
fn steps(path: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            found.push(&inner[..end]);
            rest = inner.get(end + 1..).unwrap_or("");
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            found.push(&rest[..end]);
            rest = &rest[end..];
        }
    }
    found
}

/// Reads every document of `text`, which begins at `start` of the whole.
pub(super) fn read(start: usize, text: &str) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut nodes = Vec::new();
    let mut diagnostics = Vec::new();
    for document in documents(text) {
        match read_document(start + document.start, &text[document]) {
            Ok(mut roots) => nodes.append(&mut roots),
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    (nodes, diagnostics)
}

/// Where the documents of a text stand. A separator line opens the document that follows it.
pub(super) fn documents(text: &str) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    let mut only_directives = true;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") && line[3..].chars().next().is_none_or(char::is_whitespace) {
            if !only_directives {
                starts.push(at);
            }
            only_directives = false;
        } else if !line.trim().is_empty() && !line.starts_with(['#', '%']) {
            only_directives = false;
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]).collect::<Vec<_>>();
    starts.iter().zip(ends).map(|(&start, end)| start..end).collect()
}

/// Reads one document, which begins at `start` of the whole: what stands in it, or why it cannot be read.
pub(super) fn read_document(start: usize, text: &str) -> Result<Vec<Node>, Box<Diagnostic>> {
    let text: Arc<str> = text.into();
    match read_plain(start, &text) {
        Some(roots) => Ok(roots),
        None => read_any(start, text),
    }
}

/// Reads a document that is plain enough for the quicker reader.
pub(super) fn read_plain(start: usize, text: &Arc<str>) -> Option<Vec<Node>> {
    let mut builder = Builder::new(start, text.clone());
    plain::read(start, text, &mut builder)?;
    Some(builder.roots)
}

/// Reads a document in which any part of YAML may stand.
pub(super) fn read_any(start: usize, text: Arc<str>) -> Result<Vec<Node>, Box<Diagnostic>> {
    let mut parser = Parser::new(Characters::new(text.clone()));
    let mut builder = Builder::new(start, text);
    builder.go_on(&mut parser, usize::MAX)?;
    Ok(builder.roots)
}

/// A document that is being read in pieces.
pub(super) struct Unread {
    builder: Builder,
    parser: Parser<'static, Characters>,
}

impl Unread {
    /// A document that begins at `start` of the whole.
    pub(super) fn new(start: usize, text: &str) -> Self {
        let text: Arc<str> = text.into();
        let parser = Parser::new(Characters::new(text.clone()));
        Self { builder: Builder::new(start, text), parser }
    }

    /// Takes at most `n_events` of the parser's events: what stands in the document once all of it is read.
    pub(super) fn advance(&mut self, n_events: usize) -> Result<Option<Vec<Node>>, Box<Diagnostic>> {
        let is_read = self.builder.go_on(&mut self.parser, n_events)?;
        Ok(is_read.then(|| std::mem::take(&mut self.builder.roots)))
    }
}

/// A collection that is being read.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<(String, Span)>,
}

/// A tree that is being built from its scalars and from where its collections begin and end.
pub(super) struct Builder {
    start: usize,
    text: Arc<str>,
    /// Byte offset of each character; empty where the text is ASCII and both are the same.
    offsets: Vec<u32>,
    open: Vec<Open>,
    roots: Vec<Node>,
    anchors: IndexMap<usize, (Node, usize)>,
    alias_budget: usize,
}

type Step = Result<(), Box<Diagnostic>>;

impl Builder {
    fn new(start: usize, text: Arc<str>) -> Self {
        let offsets =
            if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at as u32).collect() };
        Self {
            start,
            text,
            offsets,
            open: Vec::new(),
            roots: Vec::new(),
            anchors: IndexMap::new(),
            alias_budget: ALIAS_LIMIT,
        }
    }

    /// Takes at most `n_events` events of the parser. Returns whether the document ended.
    fn go_on(
        &mut self,
        parser: &mut Parser<'_, Characters>,
        n_events: usize,
    ) -> Result<bool, Box<Diagnostic>> {
        for _ in 0..n_events {
            match parser.next_event() {
                None | Some(Ok((Event::StreamEnd, _))) => return Ok(true),
                Some(Ok((event, span))) => self.take(event, span)?,
                Some(Err(error)) => return Err(Box::new(self.syntax(&error))),
            }
        }
        Ok(false)
    }

    fn offset(&self, marker: &Marker) -> usize {
        let local = if self.offsets.is_empty() {
            marker.index()
        } else {
            self.offsets.get(marker.index()).map_or(self.text.len(), |&at| at as usize)
        };
        self.start + local.min(self.text.len())
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let (start, end) = (self.offset(&span.start), self.offset(&span.end));
        Span { start, end: end.max(start) }
    }

    fn take(&mut self, event: Event<'_>, span: saphyr_parser::Span) -> Step {
        let span = self.span(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, tag.as_deref(), span, anchor),
            Event::SequenceStart(anchor, _) => self.begin(span, NodeValue::Sequence(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(span, NodeValue::Mapping(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(span.start),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    /// A scalar as it was written.
    pub(super) fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
        anchor: usize,
    ) -> Step {
        let letter = style == ScalarStyle::Plain && scalar::is_letter(&text);
        let meant = meaning(&text, style, tag);
        let source = (meant.is_some() || letter).then(|| Box::from(&*text));
        let value = meant.unwrap_or_else(|| Scalar::Text(text.into_owned()));
        self.finish(Node { span, value: NodeValue::Scalar(value), source }, anchor)
    }

    /// The innermost collection ends where `at` stands.
    pub(super) fn end(&mut self, at: usize) -> Step {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        open.node.span.end = open.node.span.end.max(at);
        merge(&mut open.node);
        self.finish(open.node, open.anchor)
    }

    /// A collection begins; `value` is an empty one.
    pub(super) fn begin(&mut self, span: Span, value: NodeValue, anchor: usize) -> Step {
        if self.open.len() >= DEPTH_LIMIT {
            return Err(Box::new(problem(
                span,
                "yaml.depth",
                Some("yaml.depth.hint"),
                vec![DEPTH_LIMIT.to_string()],
            )));
        }
        self.open.push(Open { node: Node { span, value, source: None }, anchor, key: None });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Step {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(Box::new(problem(
                span,
                "yaml.alias-cycle",
                Some("yaml.alias-cycle.hint"),
                Vec::new(),
            )));
        };
        let Some(left) = self.alias_budget.checked_sub(*size) else {
            let limit = ALIAS_LIMIT.to_string();
            return Err(Box::new(problem(
                span,
                "yaml.alias-bomb",
                Some("yaml.alias-bomb.hint"),
                vec![limit],
            )));
        };
        self.alias_budget = left;
        let node = Node { span, ..node.clone() };
        self.finish(node, 0)
    }

    /// Puts a whole node where it belongs: into the collection being read, or to the roots.
    fn finish(&mut self, node: Node, anchor: usize) -> Step {
        if anchor != 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.roots.push(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (NodeValue::Sequence(items), _) => items.push(node),
            (NodeValue::Mapping(entries), Some((key, key_span))) => {
                entries.push(Entry { key, key_span, value: node, merged: false });
            }
            (NodeValue::Mapping(_), None) => {
                let key = match node.value {
                    NodeValue::Scalar(Scalar::Text(key)) => key,
                    NodeValue::Scalar(value) => value.to_string(),
                    NodeValue::Sequence(_) | NodeValue::Mapping(_) => {
                        let hint = Some("yaml.key.hint");
                        return Err(Box::new(problem(node.span, "yaml.key", hint, Vec::new())));
                    }
                };
                open.key = Some((key, node.span));
            }
            (NodeValue::Scalar(_), _) => {}
        }
        Ok(())
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let at = self.offset(error.marker());
        let end = self.text[at - self.start..].find('\n').map_or(self.start + self.text.len(), |n| at + n);
        if let Some(tab) = self.tab_before(at) {
            let span = Span { start: tab, end: tab + 1 };
            return problem(span, "yaml.tab", Some("yaml.tab.hint"), Vec::new());
        }
        // The scanner has a limit of its own, above ours, for brackets.
        if error.info().contains("recursion limit") {
            let args = vec![DEPTH_LIMIT.to_string()];
            return problem(Span { start: at, end }, "yaml.depth", Some("yaml.depth.hint"), args);
        }
        let hint =
            Some(if error.info().contains("anchor") { "yaml.anchor.hint" } else { "yaml.syntax.hint" });
        problem(Span { start: at, end }, "yaml.syntax", hint, vec![error.info().to_owned()])
    }

    /// The last tab in the indentation of the line at `at` or of the one before it.
    fn tab_before(&self, at: usize) -> Option<usize> {
        let local = at - self.start;
        let line_end = self.text[local..].find('\n').map_or(self.text.len(), |n| local + n);
        let mut line_start = line_end;
        for _ in 0..2 {
            let end = line_start;
            line_start = self.text[..end].trim_end_matches('\n').rfind('\n').map_or(0, |n| n + 1);
            let indent = self.text[line_start..end].bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
            if let Some(tab) = indent.enumerate().find(|&(_, byte)| byte == b'\t') {
                return Some(self.start + line_start + tab.0);
            }
        }
        None
    }
}

/// What a scalar means that is no text.
fn meaning(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Scalar> {
    let core = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    let plain = style == ScalarStyle::Plain && tag.is_none();
    match core {
        Some("int" | "float" | "bool" | "null") => scalar::meaning(text),
        _ if plain => scalar::meaning(text),
        _ => None,
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        NodeValue::Scalar(_) => 0,
        NodeValue::Sequence(items) => items.iter().map(size).sum(),
        NodeValue::Mapping(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
    }
}

/// Expands merge keys (`<<: *base`): what the mapping does not have itself comes from there.
fn merge(node: &mut Node) {
    let NodeValue::Mapping(entries) = &mut node.value else { return };
    while let Some(at) = entries.iter().position(|entry| entry.key == "<<" && !entry.merged) {
        let source = entries.remove(at).value;
        let sources = match source.value {
            NodeValue::Sequence(items) => items,
            NodeValue::Mapping(_) | NodeValue::Scalar(_) => vec![source],
        };
        for source in sources {
            let NodeValue::Mapping(inherited) = source.value else { continue };
            for entry in inherited {
                if !entries.iter().any(|own| own.key == entry.key) {
                    entries.push(Entry { merged: true, key_span: source.span, ..entry });
                }
            }
        }
    }
}

fn problem(span: Span, message: &'static str, hint: Option<&'static str>, args: Vec<String>) -> Diagnostic {
    let (object, path) = (String::new(), String::new());
    Diagnostic {
        severity: Severity::Error,
        span: Some(span),
        object,
        path,
        message,
        hint,
        args,
        fix: None,
        demo: None,
    }
}
