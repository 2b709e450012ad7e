//! What `vethscope check` prints.

use super::Parsed;
use crate::base::words::Lang;
use crate::base::{Diagnostic, Place, Severity};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The diagnostics of one file as JSON, one value for each.
pub fn check_json(text: &str, file: &str, parsed: &Parsed, lang: Lang) -> Vec<Value> {
    let one = |diagnostic: &Diagnostic| {
        let place = place(text, diagnostic);
        json!({
            "severity": diagnostic.severity,
            "file": file,
            "line": place.line,
            "column": place.column,
            "object": diagnostic.object,
            "path": diagnostic.path,
            "message": diagnostic.message_in(lang),
            "hint": diagnostic.hint_in(lang).unwrap_or_default(),
        })
    };
    parsed.diagnostics.iter().map(one).collect()
}

/// The diagnostics of one file as text: `FILE:LINE:COLUMN: SEVERITY: OBJECT: PATH: MESSAGE`, and the remedy below.
pub fn check_text(text: &str, file: &str, parsed: &Parsed, lang: Lang) -> String {
    let mut out = String::new();
    for diagnostic in &parsed.diagnostics {
        let Place { line, column } = place(text, diagnostic);
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

fn place(text: &str, diagnostic: &Diagnostic) -> Place {
    diagnostic.span.map_or(Place { line: 1, column: 1 }, |span| span.place(text))
}
