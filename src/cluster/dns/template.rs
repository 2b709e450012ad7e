//! The plugin `template`: answers made from the question.
//!
//! *Simplified*: of Go's templates only what is put in is known: `.Name`, `.Zone`, `.Type`, `.Class`, `.Remote`,
//! `.Group.NAME` and `index .Match NUMBER`.

use super::corefile::{CorefileError, Directive, error, zones_of};
use super::plugin::{fallthrough, unknown, wrong_arguments};
use super::{Answer, Question, Rcode, Record, Type, is_subdomain};
use regex_lite::{Captures, Regex};
use std::net::IpAddr;

/// The plugin as it is configured.
#[derive(Clone, Debug)]
pub(super) struct Template {
    kind: Type,
    zones: Vec<String>,
    matches: Vec<Regex>,
    answer: Vec<String>,
    additional: Vec<String>,
    authority: Vec<String>,
    rcode: Rcode,
    pub(super) fallthrough: Option<Vec<String>>,
}

/// What became of a question.
pub(super) enum Made {
    /// An answer.
    Answer(Answer),
    /// The question is not one for this template.
    Next,
    /// The template made something that is no record.
    Failed(String),
}

impl Template {
    /// `template CLASS TYPE [ZONE...] { ... }`.
    pub(super) fn configured(directive: &Directive, zones: &[String]) -> Result<Self, CorefileError> {
        let [class, kind, own @ ..] = directive.args.as_slice() else {
            return Err(wrong_arguments(directive));
        };
        if !["IN", "ANY"].contains(&class.to_ascii_uppercase().as_str()) {
            return Err(error(directive.line, format!("invalid query class {class}")));
        }
        let kind = kind.parse().map_err(|()| error(directive.line, format!("invalid RR class {kind}")))?;
        let own: Vec<String> = own.iter().flat_map(|zone| zones_of(zone)).collect();
        let mut template = Self {
            kind,
            zones: if own.is_empty() { zones.to_vec() } else { own },
            matches: Vec::new(),
            answer: Vec::new(),
            additional: Vec::new(),
            authority: Vec::new(),
            rcode: Rcode::NoError,
            fallthrough: None,
        };
        for property in &directive.block {
            let wrong = || wrong_arguments(property);
            match property.name.as_str() {
                "match" => {
                    for text in &property.args {
                        let pattern = Regex::new(text);
                        let message = format!("could not parse regex: {text}");
                        template.matches.push(pattern.map_err(|_| error(property.line, message))?);
                    }
                }
                "answer" | "additional" | "authority" if property.args.is_empty() => return Err(wrong()),
                list @ ("answer" | "additional" | "authority") => {
                    for text in &property.args {
                        check(property.line, text)?;
                    }
                    let into = match list {
                        "answer" => &mut template.answer,
                        "additional" => &mut template.additional,
                        _ => &mut template.authority,
                    };
                    into.extend(property.args.iter().cloned());
                }
                "rcode" => {
                    let text = property.args.first().ok_or_else(wrong)?;
                    template.rcode =
                        text.parse().map_err(|()| error(property.line, format!("unknown rcode {text}")))?;
                }
                "fallthrough" => template.fallthrough = Some(fallthrough(property)),
                "upstream" => {}
                _ => return Err(unknown(property)),
            }
        }
        if template.matches.is_empty() {
            template
                .matches
                .push(Regex::new(".*").map_err(|_| error(directive.line, "could not parse regex: .*"))?);
        }
        Ok(template)
    }

    /// Makes an answer.
    pub(super) fn answer(&self, question: &Question, client: IpAddr) -> Made {
        let name = question.name.to_ascii_lowercase();
        let zone = self.zones.iter().filter(|zone| is_subdomain(zone, &name)).max_by_key(|zone| zone.len());
        let Some(zone) = zone.filter(|_| self.kind == Type::ANY || self.kind == question.kind) else {
            return Made::Next;
        };
        let Some(groups) = self.matches.iter().find_map(|pattern| pattern.captures(&name)) else {
            return Made::Next;
        };
        let fill = |text: &String| -> Result<Record, String> {
            let line = filled(text, &|action| value(action, question, zone, client, &groups))?;
            // Parentheses only join lines (RFC 1035 section 5.1), and a record is one.
            let bare = line.replace(['(', ')'], " ");
            let words: Vec<&str> = bare.split_whitespace().collect();
            let (owner, rest) = words.split_first().ok_or("an empty record")?;
            let owner = format!("{}.", owner.trim_end_matches('.'));
            crate::base::zone::record(&owner, rest, ".", 3600)
        };
        let all = |texts: &[String]| texts.iter().map(fill).collect::<Result<Vec<_>, _>>();
        match (all(&self.answer), all(&self.authority), all(&self.additional)) {
            (Ok(answer), Ok(authority), Ok(additional)) => Made::Answer(Answer {
                rcode: self.rcode,
                authoritative: true,
                answer,
                authority,
                additional,
                ..Answer::default()
            }),
            (Err(wrong), _, _) | (_, Err(wrong), _) | (_, _, Err(wrong)) => Made::Failed(wrong),
        }
    }
}

/// Fills what stands in double braces.
fn filled(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once("{{") {
        let (action, tail) = tail.split_once("}}").ok_or("unclosed action")?;
        out.push_str(head);
        let action = action.trim().trim_matches('-').trim();
        out.push_str(&value(action).ok_or_else(|| format!("not simulated in a template: {action}"))?);
        rest = tail;
    }
    Ok(out + rest)
}

fn value(
    action: &str,
    question: &Question,
    zone: &str,
    client: IpAddr,
    groups: &Captures<'_>,
) -> Option<String> {
    let index =
        |text: &str| text.trim().parse().ok().map(|at| groups.get(at).map_or("", |found| found.as_str()));
    match action {
        ".Name" => Some(question.name.clone()),
        ".Zone" => Some(zone.to_owned()),
        ".Type" => Some(question.kind.to_string()),
        ".Class" => Some("IN".to_owned()),
        ".Remote" => Some(client.to_string()),
        _ => match action.strip_prefix(".Group.") {
            Some(name) => Some(groups.name(name).map_or("", |found| found.as_str()).to_owned()),
            None => action.strip_prefix("index .Match ").and_then(index).map(str::to_owned),
        },
    }
}

/// Whether a template holds only what is known.
fn check(line: usize, text: &str) -> Result<(), CorefileError> {
    let known = |action: &str| {
        let fixed = [".Name", ".Zone", ".Type", ".Class", ".Remote"].contains(&action);
        let index = action.strip_prefix("index .Match ").is_some_and(|at| at.trim().parse::<usize>().is_ok());
        (fixed || index || action.starts_with(".Group.")).then(String::new)
    };
    filled(text, &known).map(|_| ()).map_err(|wrong| error(line, wrong))
}
