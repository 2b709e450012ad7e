//! A matrix as text and as JSON.

use super::{Asking, Matrix, reason};
use crate::base::words::{self, Lang};
use serde_json::{Value, json as object};
use std::fmt::Write as _;

/// The matrix as a table: `.` for what gets through, `X` for what does not. With a language, why, cell by cell.
pub fn text(asking: &Asking, matrix: &Matrix, explain: Option<Lang>) -> String {
    let lang = explain.unwrap_or_default();
    let names: Vec<String> = matrix.pods.iter().map(ToString::to_string).collect();
    let port = matrix.port.to_string();
    let mut out = String::new();
    if names.is_empty() {
        out += &words::word(lang, "matrix.no-pods");
        out.push('\n');
    } else {
        let first = names.iter().map(String::len).chain([port.len()]).max().unwrap_or(0);
        let _ = write!(out, "{port:<first$}");
        for name in &names {
            let _ = write!(out, "  {name}");
        }
        out.push('\n');
        for (name, row) in names.iter().zip(matrix.allowed()) {
            let _ = write!(out, "{name:<first$}");
            for (allowed, column) in row.into_iter().zip(&names) {
                let _ = write!(out, "  {:^1$}", if allowed { "." } else { "X" }, column.len());
            }
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
        }
        let _ = writeln!(out, "\n{}", words::word(lang, "matrix.legend"));
    }
    if !matrix.absent.is_empty() {
        let absent: Vec<String> = matrix.absent.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "{}", words::text(lang, "matrix.absent", &[absent.join(", ")]));
    }
    if explain.is_some() {
        for (from, source) in names.iter().enumerate() {
            for (to, target) in names.iter().enumerate() {
                let sign = if matrix.cells[from][to].is_allowed() { "." } else { "X" };
                let _ = writeln!(out, "\n{sign} {source} -> {target}");
                let why = reason(asking, matrix, (from, to), lang);
                for sentence in why.sentences.iter().chain(&why.rule) {
                    let _ = writeln!(out, "    {sentence}");
                }
            }
        }
    }
    out
}

/// The matrix as JSON: the Pods, and row by row whether each reaches the others. With a language, why, cell by cell.
pub fn json(asking: &Asking, matrix: &Matrix, explain: Option<Lang>) -> Value {
    let names: Vec<String> = matrix.pods.iter().map(ToString::to_string).collect();
    let mut out = object!({ "pods": names, "allowed": matrix.allowed() });
    if let Some(lang) = explain {
        let count = matrix.pods.len();
        let row = |from| (0..count).map(|to| reason(asking, matrix, (from, to), lang)).collect::<Vec<_>>();
        out["explain"] = object!((0..count).map(row).collect::<Vec<_>>());
    }
    out
}
