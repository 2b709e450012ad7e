//! Where findings about one object go.

use super::objects::label;
use super::tree::{Node, NodeValue};
use crate::base::{Demo, DemoPlace, Diagnostic, Fix, Severity, Span};

/// Collects the findings about one object.
pub(super) struct Report<'t> {
    root: &'t Node,
    about: About<'t>,
    found: Vec<Diagnostic>,
}

/// What object a report is about, by which its findings call it.
#[derive(Clone, Copy)]
pub(super) struct About<'t> {
    /// Its kind; empty where there is none.
    pub(super) kind: &'t str,
    /// Whether it lies in a namespace.
    pub(super) is_namespaced: bool,
}

impl<'t> Report<'t> {
    /// A report on the object whose text is `root`.
    pub(super) fn new(root: &'t Node, about: About<'t>) -> Self {
        Self { root, about, found: Vec::new() }
    }

    /// An error at the field `path`.
    pub(super) fn error(
        &mut self,
        path: &str,
        message: &'static str,
        hint: Option<&'static str>,
        args: &[&str],
    ) {
        let span = self.root.at(path);
        self.add(Severity::Error, span, path, message, hint, args);
    }

    /// `Required value` at the field `path`, whose name is `name`. Decoding and validation may both say so.
    pub(super) fn required(&mut self, path: &str, name: &str) {
        let known = |known: &Diagnostic| known.message == "invalid.required" && known.path == path;
        if !self.found.iter().any(known) {
            self.error(path, "invalid.required", Some("invalid.required.hint"), &[name]);
        }
    }

    /// An error at the field `path`, with its place told apart.
    pub(super) fn error_at(
        &mut self,
        span: Span,
        path: &str,
        message: &'static str,
        hint: Option<&'static str>,
        args: &[&str],
    ) {
        self.add(Severity::Error, span, path, message, hint, args);
    }

    /// An error that the API server reports at `path`, shown at the deeper `place`.
    pub(super) fn error_near(
        &mut self,
        (place, path): (&str, &str),
        message: &'static str,
        hint: &'static str,
        args: &[&str],
    ) {
        let span = self.root.at(place);
        self.add(Severity::Error, span, path, message, Some(hint), args);
    }

    /// A warning at the field `path`.
    pub(super) fn warning(
        &mut self,
        path: &str,
        message: &'static str,
        hint: Option<&'static str>,
        args: &[&str],
    ) {
        let span = self.root.at(path);
        self.add(Severity::Warning, span, path, message, hint, args);
    }

    /// The last finding is mended by this value at `path`.
    pub(super) fn fix_value(&mut self, path: &str, title: &'static str, value: &str) {
        let Some(node) = self.root.find(path).filter(|node| matches!(node.value, NodeValue::Scalar(_)))
        else {
            return;
        };
        let span = node.span;
        // A text that would read as something else needs quotes.
        let quoted = node.as_str().is_some() && super::scalar::meaning(value).is_some();
        let text = if quoted { format!("{value:?}") } else { value.to_owned() };
        self.mend(Fix { title, args: vec![value.to_owned()], span, text });
    }

    /// The last finding is mended by `new` in place of `old` in the text at `path`.
    pub(super) fn fix_text(&mut self, path: &str, title: &'static str, old: &str, new: &str) {
        let Some(node) = self.root.find(path) else { return };
        let Some((text, at)) = node.as_str().and_then(|text| Some((text, text.find(old)?))) else { return };
        // Quotes stand around it, or nothing; what is written in another way is left to the user.
        let quote = match (node.span.end - node.span.start).checked_sub(text.len()) {
            Some(0) => 0,
            Some(2) => 1,
            Some(_) | None => return,
        };
        let start = node.span.start + quote + at;
        let span = Span { start, end: start + old.len() };
        self.mend(Fix { title, args: vec![new.to_owned()], span, text: new.to_owned() });
    }

    /// The last finding is mended by a list item before the one at `path`, where the list is written line by line.
    pub(super) fn fix_insert(
        &mut self,
        (source, path): (&str, &str),
        title: &'static str,
        item: impl Fn(&str) -> String,
    ) {
        let Some(start) = self.root.find(path).map(|node| node.span.start) else { return };
        let line = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let before = &source[line..start];
        let indent = &before[..before.len() - before.trim_start().len()];
        if before.trim() == "-" {
            let at = line + indent.len();
            self.mend(Fix { title, args: Vec::new(), span: Span { start: at, end: at }, text: item(indent) });
        }
    }

    /// The last finding is mended by this, where there is something.
    pub(super) fn fix(&mut self, fix: Option<Fix>) {
        if let Some(fix) = fix {
            self.mend(fix);
        }
    }

    /// The last finding is shown by this command in the running cluster.
    pub(super) fn demo(&mut self, place: DemoPlace, command: String) {
        if let Some(last) = self.found.last_mut() {
            last.demo = Some(Box::new(Demo { place, command }));
        }
    }

    fn mend(&mut self, fix: Fix) {
        if let Some(last) = self.found.last_mut() {
            last.fix = Some(Box::new(fix));
        }
    }

    /// A remark at the field `path`.
    pub(super) fn info(
        &mut self,
        path: &str,
        message: &'static str,
        hint: Option<&'static str>,
        args: &[&str],
    ) {
        let span = if path.is_empty() { self.root.at("kind") } else { self.root.at(path) };
        self.add(Severity::Info, span, path, message, hint, args);
    }

    /// Whether an error was found.
    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The kind of the object.
    pub(super) fn kind(&self) -> &'t str {
        self.about.kind
    }

    /// How many findings there are so far.
    pub(super) fn n_found(&self) -> usize {
        self.found.len()
    }

    /// Whether the object cannot even be decoded. A missing value can.
    pub(super) fn is_undecodable(&self) -> bool {
        let wrong =
            |found: &Diagnostic| found.severity == Severity::Error && found.message != "invalid.required";
        self.found.iter().any(wrong)
    }

    /// What was found.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        self.found
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of a diagnostic")]
    fn add(
        &mut self,
        severity: Severity,
        span: Span,
        path: &str,
        message: &'static str,
        hint: Option<&'static str>,
        args: &[&str],
    ) {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let object = label(self.about.kind, self.about.is_namespaced, self.root.get("metadata"));
        let path = path.to_owned();
        self.found.push(Diagnostic {
            severity,
            span: Some(span),
            object,
            path,
            message,
            hint,
            args,
            fix: None,
            demo: None,
        });
    }
}
