//! What is wrong in the user's text, and where. A diagnostic never stops the page: the last good network stays.

use super::words::{self, Lang};
use serde::Serialize;

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The text cannot be applied.
    Error,
    /// The text is applied, but something in it will surprise.
    Warning,
    /// The text is applied; part of it is accepted and not simulated.
    Info,
}

/// A stretch of the text, as byte offsets: `start..end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

/// A line and a column, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line number, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Span {
    /// Where the span begins in `text`. A span past the end is placed at the end.
    pub fn place(self, text: &str) -> Place {
        let mut start = self.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// One finding about the user's text: a key of the catalogue with its arguments, so that it reads in any language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// Where in the text; `None` where there is no place, as for an empty text.
    pub span: Option<Span>,
    /// The object, as `Pod/default/web`; empty when the text did not get that far.
    pub object: String,
    /// The field, as `spec.containers[1].ports[0].containerPort`; empty for the whole object.
    pub path: String,
    /// Key of the message in the catalogue.
    pub message: &'static str,
    /// Key of the remedy in the catalogue, if there is one.
    pub hint: Option<&'static str>,
    /// What fills `{0}`, `{1}` … in the message and in the hint.
    pub args: Vec<String>,
    /// The edit that mends it, where one does.
    pub fix: Option<Box<Fix>>,
    /// A command that shows it in the running cluster, where one does.
    pub demo: Option<Box<Demo>>,
}

/// A command that shows what a diagnostic is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demo {
    /// Where it runs.
    pub place: DemoPlace,
    /// The command line. `{service NS/NAME}` stands for a Service's cluster IP, `{pod NS/NAME}` for the address of a Pod
    /// or of one that a controller made, `{far NS/NAME}` for that of a Pod on another node, `{veth NS/NAME}` for the end
    /// of a Pod's veth pair that is on its node.
    pub command: String,
}

/// Where a command that shows something runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DemoPlace {
    /// On a node.
    Node,
    /// On the node (`node`) or the host outside (`host`) of this name.
    Named(&'static str, String),
    /// In a Pod: namespace and name, of the Pod itself or of the controller that made it.
    Pod(String, String),
    /// In whatever Pod there is; on a node where there is none.
    AnyPod,
}

/// An edit that mends what a diagnostic is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Key of what it does, in the catalogue.
    pub title: &'static str,
    /// What fills the title.
    pub args: Vec<String>,
    /// What is replaced; empty where something is put in.
    pub span: Span,
    /// What stands there afterwards.
    pub text: String,
}

impl Fix {
    /// The text that it was offered for, mended; `None` where the text has changed so that its place is none any more.
    pub fn applied(&self, text: &str) -> Option<String> {
        let (before, after) = (text.get(..self.span.start)?, text.get(self.span.end..)?);
        Some([before, &self.text, after].concat())
    }

    /// What it does, in `lang`.
    pub fn title_in(&self, lang: Lang) -> String {
        words::text(lang, self.title, &self.args)
    }
}

impl Diagnostic {
    /// The message in `lang`, arguments filled in.
    pub fn message_in(&self, lang: Lang) -> String {
        words::text(lang, self.message, &self.args)
    }

    /// The remedy in `lang`, if there is one.
    pub fn hint_in(&self, lang: Lang) -> Option<String> {
        self.hint.map(|key| words::text(lang, key, &self.args))
    }
}
