//! Corefiles in the user's text: each is read as CoreDNS reads it, and what is wrong stands at its line. The API server
//! takes any text in a `ConfigMap`, so that these are warnings: the lab shows what CoreDNS makes of it.

use super::names::FOLDER;
use crate::base::{Diagnostic, Severity};
use crate::cluster::dns::corefile::{CorefileError, Wrong};
use crate::cluster::dns::plugins;
use crate::cluster::dns::server::Server;
use crate::manifest::{self, Located, Parsed};
use serde_json::Value;

/// Where a Corefile stands in a `ConfigMap`.
const PATH: &str = "data.Corefile";
/// Words of a template whose place `node-cache` fills with an address.
const PILLAR: &str = "__PILLAR__";
/// What a server that is asked through `/etc/resolv.conf` could be, and an address in a template.
const SOME_SERVER: &str = "192.0.2.53";

/// What is wrong with the Corefiles of a text.
pub(super) fn findings(text: &str, parsed: &Parsed) -> Vec<Diagnostic> {
    let objects = parsed.objects.iter().filter(|located| located.object.kind() == "ConfigMap");
    objects.filter_map(|located| finding(text, located)).collect()
}

fn finding(text: &str, located: &Located) -> Option<Diagnostic> {
    let data = located.raw.get("data")?;
    let written = data.get("Corefile").and_then(Value::as_str)?;
    let file = |path: &str| match path {
        "/etc/resolv.conf" => Some(format!("nameserver {SOME_SERVER}\n")),
        _ => data.get(path.strip_prefix(FOLDER)?).and_then(Value::as_str).map(str::to_owned),
    };
    let wrong = Server::new(&filled(written), &file).err()?;
    let line = written.lines().nth(wrong.line.saturating_sub(1)).unwrap_or("");
    // What depends on the environment, or on files of other volumes, is known only where CoreDNS runs.
    let elsewhere = matches!(&wrong.kind, Wrong::NoFile(path) if !path.starts_with(FOLDER));
    if elsewhere || line.contains("{$") || line.contains("{%") {
        return None;
    }
    let (message, hint, args) = words(&wrong);
    let meta = located.object.metadata();
    Some(Diagnostic {
        severity: Severity::Warning,
        span: manifest::line_of(text, located, PATH, wrong.line),
        object: format!("ConfigMap/{}/{}", meta.namespace, meta.name),
        path: PATH.to_owned(),
        message,
        hint: Some(hint),
        args,
        fix: None,
        demo: None,
    })
}

/// A template with an address in each of its words.
fn filled(corefile: &str) -> String {
    let mut out = String::with_capacity(corefile.len());
    let mut rest = corefile;
    while let Some((before, after)) = rest.split_once(PILLAR) {
        out += before;
        out += SOME_SERVER;
        let word = |at: char| at.is_ascii_uppercase() || at == '_';
        rest = after.trim_start_matches(word);
    }
    out + rest
}

/// Keys of the catalogue for what is wrong and for the remedy, and their arguments: line, and what it is about.
fn words(wrong: &CorefileError) -> (&'static str, &'static str, Vec<String>) {
    let line = wrong.line.to_string();
    let name = match &wrong.kind {
        Wrong::UnknownPlugin(name) => name,
        Wrong::Unsimulated => {
            return ("corefile.unsimulated", "corefile.unsimulated.hint", vec![line, wrong.message.clone()]);
        }
        Wrong::Refused | Wrong::NoFile(_) => {
            return ("corefile.wrong", "corefile.wrong.hint", vec![line, wrong.message.clone()]);
        }
    };
    let known = plugins().filter(|(_, simulated)| *simulated).map(|(known, _)| known);
    match manifest::nearest(name, known) {
        Some(nearest) => {
            ("corefile.unknown", "corefile.unknown.near.hint", vec![line, name.clone(), nearest.to_owned()])
        }
        None => ("corefile.unknown", "corefile.unknown.hint", vec![line, name.clone()]),
    }
}
