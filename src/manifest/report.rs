//! Where findings about one object go.

use super::tree::Node;
use crate::base::{Diagnostic, Severity, Span};

/// Collects the findings about one object.
pub(super) struct Report<'t> {
    root: &'t Node,
    object: String,
    found: Vec<Diagnostic>,
}

impl<'t> Report<'t> {
    /// A report on the object named `object`, whose text is `root`.
    pub(super) fn new(root: &'t Node, object: String) -> Self {
        Self { root, object, found: Vec::new() }
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
        let (object, path) = (self.object.clone(), path.to_owned());
        self.found.push(Diagnostic { severity, span: Some(span), object, path, message, hint, args });
    }
}
