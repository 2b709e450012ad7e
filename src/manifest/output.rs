//! What `vethscope check` prints.

use super::Parsed;
use crate::base::words::Lang;
use crate::base::{DemoPlace, Diagnostic, Place, Severity, Span};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One text made of several files, so that what objects of different files say of each other is checked as well.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    text: String,
    files: Vec<(String, Span)>,
}

impl Sources {
    /// Joins files, each with its name and its text; each begins a document of its own.
    pub fn new<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Self {
        let mut sources = Self::default();
        for (name, text) in files {
            if !sources.files.is_empty() {
                sources.text.push_str("\n---\n");
            }
            let start = sources.text.len();
            sources.text.push_str(if start == 0 { text } else { text.trim_start_matches('\u{feff}') });
            sources.files.push((name.to_owned(), Span { start, end: sources.text.len() }));
        }
        sources
    }

    /// Takes out what a later file says anew, as `kubectl apply -f A -f B` leaves of an object what B says. An object that
    /// stands twice in one file stays, for that is a mistake.
    #[must_use]
    pub fn latest(mut self) -> Self {
        if self.files.len() < 2 {
            return self;
        }
        let file_of = |span: Span| self.files.iter().rposition(|file| file.1.start <= span.start);
        let parsed = super::parse(&self.text);
        let key = |located: &super::Located| {
            let metadata = located.object.metadata();
            (located.object.kind().to_owned(), metadata.namespaced_name())
        };
        let mut last = BTreeMap::new();
        for located in &parsed.objects {
            last.insert(key(located), file_of(located.span));
        }
        let is_old = |located: &&super::Located| last.get(&key(located)) != Some(&file_of(located.span));
        let old: Vec<Span> = parsed.objects.iter().filter(is_old).map(|located| located.span).collect();
        for span in old {
            let blank: String = self.text[span.start..span.end]
                .bytes()
                .map(|at| if at == b'\n' { '\n' } else { ' ' })
                .collect();
            self.text.replace_range(span.start..span.end, &blank);
        }
        self
    }

    /// The whole text, to be parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file that holds a place, and the place in it. What has no place stands at the beginning of the first file.
    fn locate(&self, span: Option<Span>) -> (&str, Place) {
        let start = span.map_or(0, |span| span.start);
        let file = self.files.iter().rev().find(|file| file.1.start <= start);
        let Some((name, range)) = file else { return ("", Place { line: 1, column: 1 }) };
        let local = start.min(range.end) - range.start;
        (name, Span { start: local, end: local }.place(&self.text[range.start..range.end]))
    }
}

/// The diagnostics as JSON, one value for each.
pub fn check_json(sources: &Sources, parsed: &Parsed, lang: Lang) -> Vec<Value> {
    let one = |diagnostic: &Diagnostic| {
        let (file, place) = sources.locate(diagnostic.span);
        let mut found = json!({
            "severity": diagnostic.severity,
            "file": file,
            "line": place.line,
            "column": place.column,
            "object": diagnostic.object,
            "path": diagnostic.path,
            "message": diagnostic.message_in(lang),
            "hint": diagnostic.hint_in(lang).unwrap_or_default(),
        });
        if let Some(fix) = &diagnostic.fix {
            let (_, start) = sources.locate(Some(fix.span));
            let (_, end) = sources.locate(Some(Span { start: fix.span.end, end: fix.span.end }));
            found["fix"] = json!({
                "title": fix.title_in(lang),
                "line": start.line,
                "column": start.column,
                "endLine": end.line,
                "endColumn": end.column,
                "text": fix.text,
            });
        }
        if let Some(demo) = &diagnostic.demo {
            let place = match &demo.place {
                DemoPlace::Node => "node".to_owned(),
                DemoPlace::Named(kind, name) => format!("{kind}/{name}"),
                DemoPlace::Pod(namespace, name) => format!("{namespace}/{name}"),
                DemoPlace::AnyPod => "any".to_owned(),
            };
            found["demo"] = json!({ "place": place, "command": demo.command });
        }
        found
    };
    parsed.diagnostics.iter().map(one).collect()
}

/// The diagnostics as text: `FILE:LINE:COLUMN: SEVERITY: OBJECT: PATH: MESSAGE`, and the remedy below.
pub fn check_text(sources: &Sources, parsed: &Parsed, lang: Lang) -> String {
    let mut out = String::new();
    for diagnostic in &parsed.diagnostics {
        let (file, Place { line, column }) = sources.locate(diagnostic.span);
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        let mut head = format!("{file}:{line}:{column}: {severity}: ");
        for part in [&diagnostic.object, &diagnostic.path] {
            if !part.is_empty() {
                let _ = write!(head, "{part}: ");
            }
        }
        let _ = writeln!(out, "{head}{}", diagnostic.message_in(lang));
        if let Some(hint) = diagnostic.hint_in(lang) {
            let _ = writeln!(out, "    {hint}");
        }
    }
    out
}
