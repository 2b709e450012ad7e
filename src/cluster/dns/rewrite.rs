//! The plugin `rewrite`: changes a question on its way in, and the answer on its way out.

use super::chain::{Flow, Inside, Reply, Walk};
use super::corefile::{CorefileError, Directive, error, unsimulated};
use super::{Answer, Pending, Question, RData, Rcode, Record, Type, Upstream};
use regex_lite::Regex;

/// How a name is told.
#[derive(Clone, Debug)]
enum Match {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Substring(String),
    Regex(Regex),
}

/// How a name of the answer is replaced (`stringRewriter`).
#[derive(Clone, Debug)]
enum Replace {
    /// A name that matches becomes this text with its groups filled in.
    Pattern(Regex, String),
    /// This name becomes that one, also at the end of a longer name.
    Remap(String, String),
    /// The suffix becomes another one.
    Suffix(String, String),
}

impl Replace {
    fn name(&self, name: &str) -> Option<String> {
        match self {
            Self::Pattern(pattern, to) => filled(pattern, to, name),
            Self::Remap(from, to) => {
                let lower = name.to_ascii_lowercase();
                let rest = lower.strip_suffix(from.as_str())?;
                (rest.is_empty() || rest.ends_with('.')).then(|| format!("{}{to}", &name[..rest.len()]))
            }
            Self::Suffix(from, to) => {
                name.to_ascii_lowercase().strip_suffix(from.as_str()).map(|rest| format!("{rest}{to}"))
            }
        }
    }
}

/// What is done to the records of an answer (`ResponseRule`).
#[derive(Clone, Debug)]
enum Revert {
    /// Owners are replaced.
    Name(Replace),
    /// Names that records lead to are replaced.
    Value(Replace),
    /// All records live so long.
    Ttl(u32, u32),
    /// The response code is replaced.
    Rcode(Rcode, Rcode),
}

#[derive(Clone, Debug)]
enum Field {
    Name(Match, String),
    Kind(Type, Type),
    Ttl(Match, u32, u32),
    Rcode(Match, Rcode, Rcode),
    /// Targets of aliases in the answer.
    Cname(Match, String),
}

/// A rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// Whether the rules after it are tried as well.
    goes_on: bool,
    field: Field,
    /// Rules for the answer that are written.
    answers: Vec<Revert>,
    auto: bool,
}

/// A question after all rules, and what is to be done to its answer.
#[derive(Clone, Debug)]
struct Rewritten {
    question: Question,
    reverts: Vec<Revert>,
    /// Aliases of the answer whose targets are replaced.
    aliases: Vec<(Match, String)>,
}

fn with_dot(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.').to_ascii_lowercase())
}

fn regex(line: usize, text: &str) -> Result<Regex, CorefileError> {
    Regex::new(text).map_err(|_| error(line, format!("invalid regex matching pattern: {text}")))
}

/// A pattern with its replacement, which may use as many groups as it has (`isValidRegexPattern`).
fn pattern(line: usize, from: &str, to: &str) -> Result<Regex, CorefileError> {
    let pattern = regex(line, from)?;
    let used = (0..=100).filter(|group| to.contains(&format!("{{{group}}}"))).count();
    if used > pattern.captures_len() - 1 {
        let what = "uses more subexpressions than its corresponding matching regex pattern";
        return Err(error(line, format!("the rewrite regex pattern ({to}) {what} ({from})")));
    }
    Ok(pattern)
}

/// Fills `{0}`, `{1}`… in a replacement.
fn filled(pattern: &Regex, replacement: &str, name: &str) -> Option<String> {
    let groups = pattern.captures(name)?;
    let mut out = replacement.to_owned();
    for (index, group) in groups.iter().enumerate() {
        out = out.replace(&format!("{{{index}}}"), group.map_or("", |group| group.as_str()));
    }
    Some(out)
}

impl Match {
    fn parse(line: usize, kind: &str, text: &str) -> Result<Self, CorefileError> {
        Ok(match kind {
            "exact" => Self::Exact(with_dot(text)),
            "prefix" => Self::Prefix(text.to_ascii_lowercase()),
            "suffix" => Self::Suffix(with_dot(text)),
            "substring" => Self::Substring(text.to_ascii_lowercase()),
            "regex" => Self::Regex(regex(line, text)?),
            other => {
                let known = "exact, prefix, suffix, substring, and regex";
                return Err(error(
                    line,
                    format!("name rule supports only {known} name matching, received: {other}"),
                ));
            }
        })
    }

    /// The name with its match replaced; `None` where it does not match.
    fn replace(&self, name: &str, to: &str) -> Option<String> {
        match self {
            Self::Exact(from) => (name == from).then(|| to.to_owned()),
            Self::Prefix(from) => name.strip_prefix(from.as_str()).map(|rest| format!("{to}{rest}")),
            Self::Suffix(from) => name.strip_suffix(from.as_str()).map(|rest| format!("{rest}{to}")),
            Self::Substring(from) => name.contains(from.as_str()).then(|| name.replace(from.as_str(), to)),
            Self::Regex(pattern) => filled(pattern, to, name),
        }
    }
}

impl Rule {
    /// `rewrite [continue|stop] FIELD ...`, or the same in braces with rules for the answer.
    pub(super) fn configured(directive: &Directive) -> Result<Self, CorefileError> {
        let line = directive.line;
        let mut words = directive.args.clone();
        let few = || error(line, "no rule type specified for rewrite");
        let mode = words.first().ok_or_else(few)?.clone();
        let goes_on = mode == "continue";
        if goes_on || mode == "stop" {
            words.remove(0);
        }
        for property in &directive.block {
            words.push(property.name.clone());
            words.extend(property.args.iter().cloned());
        }
        let (field, rest) = words.split_first().ok_or_else(few)?;
        let is_name = field == "name";
        let answer_at = rest.iter().position(|word| is_name && word == "answer");
        let (own, answers) = rest.split_at(answer_at.unwrap_or(rest.len()));
        let mut rule =
            Self { goes_on, field: Field::parse(line, field, own)?, answers: Vec::new(), auto: false };
        if !answers.is_empty() {
            let kind = if own.len() > 2 { own[0].to_ascii_lowercase() } else { "exact".to_owned() };
            rule.take_answers(line, &kind, answers)?;
        }
        Ok(rule)
    }

    /// `answer auto`, `answer name FROM TO` and `answer value FROM TO`, of which several may stand there
    /// (`parseAnswerRules`).
    fn take_answers(&mut self, line: usize, rule: &str, words: &[String]) -> Result<(), CorefileError> {
        let fail = |message: String| Err(error(line, message));
        if words.len() < 2 {
            return fail(format!("invalid arguments for {rule} rule"));
        }
        let mut rest = words;
        let mut has_names = false;
        while let [first, more @ ..] = rest {
            rest = if first == "answer" { more } else { rest };
            let Some((kind, more)) = rest.split_first() else {
                return fail(format!("type missing for answer rule for {rule} rule"));
            };
            rest = more;
            match kind.as_str() {
                "auto" => self.auto = true,
                "name" | "value" => {
                    let [from, to, more @ ..] = rest else {
                        return fail(format!("{kind} answer rule for {rule} rule: 2 arguments required"));
                    };
                    let found = pattern(line, from, to).map_err(|wrong| CorefileError {
                        message: format!("{kind} answer rule for {rule} rule: {}", wrong.message),
                        ..wrong
                    })?;
                    let replace = Replace::Pattern(found, with_dot(to));
                    has_names |= kind == "name";
                    self.answers.push(if kind == "name" {
                        Revert::Name(replace)
                    } else {
                        Revert::Value(replace)
                    });
                    rest = more;
                }
                other => return fail(format!("invalid type \"{other}\" for answer rule for {rule} rule")),
            }
        }
        if self.auto && has_names {
            return fail(
                "auto name answer rule cannot be combined with explicit name anwer rules".to_owned(),
            );
        }
        Ok(())
    }

    /// What to do to the answer of a question that this rule changed.
    fn reverts(&self, before: &str, after: &str, reverts: &mut Vec<Revert>) {
        let Field::Name(matching, to) = &self.field else { return };
        let replace = match matching {
            // An exact rule is undone of itself.
            Match::Exact(_) => Some(Replace::Remap(after.to_owned(), before.to_owned())),
            Match::Suffix(from) => self.auto.then(|| Replace::Suffix(to.clone(), from.clone())),
            Match::Prefix(_) | Match::Substring(_) | Match::Regex(_) => {
                self.auto.then(|| Replace::Remap(after.to_owned(), before.to_owned()))
            }
        };
        reverts.extend(replace.into_iter().flat_map(|one| [Revert::Name(one.clone()), Revert::Value(one)]));
        reverts.extend(self.answers.iter().cloned());
    }
}

impl Field {
    fn parse(line: usize, field: &str, words: &[String]) -> Result<Self, CorefileError> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let kind_of =
            |text: &str| text.parse::<Type>().map_err(|()| error(line, format!("invalid type {text}")));
        match (field, &words[..]) {
            ("name", [from, to]) => Ok(Self::Name(Match::parse(line, "exact", from)?, with_dot(to))),
            ("name", [kind, from, to]) => {
                let kind = kind.to_ascii_lowercase();
                let dotted = matches!(kind.as_str(), "exact" | "suffix" | "regex");
                if kind == "regex" {
                    pattern(line, from, to)?;
                }
                let to = if dotted { with_dot(to) } else { to.to_ascii_lowercase() };
                Ok(Self::Name(Match::parse(line, &kind, from)?, to))
            }
            ("type", [from, to]) => Ok(Self::Kind(kind_of(from)?, kind_of(to)?)),
            ("ttl", [rest @ .., ttl]) if (1..=2).contains(&rest.len()) => {
                let matching = match rest {
                    [kind, name] => Match::parse(line, kind, name)?,
                    _ => Match::parse(line, "exact", rest[0])?,
                };
                let (least, most) = ttl.split_once('-').unwrap_or((ttl, ttl));
                let bound = |text: &str, open| if text.is_empty() { Ok(open) } else { text.parse() };
                match (bound(least, 0), bound(most, u32::MAX)) {
                    (Ok(least), Ok(most)) if least <= most => Ok(Self::Ttl(matching, least, most)),
                    _ => Err(error(line, format!("invalid TTL '{ttl}' for ttl rule"))),
                }
            }
            ("rcode", [rest @ .., from, to]) if (1..=2).contains(&rest.len()) => {
                let matching = match rest {
                    [kind, name] => Match::parse(line, kind, name)?,
                    _ => Match::parse(line, "exact", rest[0])?,
                };
                let code = |text: &str| {
                    text.parse::<Rcode>()
                        .ok()
                        .or_else(|| text.parse().ok().map(Rcode::of_number))
                        .ok_or_else(|| error(line, format!("invalid rcode '{text}' for rcode rule")))
                };
                Ok(Self::Rcode(matching, code(from)?, code(to)?))
            }
            ("cname", [from, to]) => Ok(Self::Cname(Match::parse(line, "exact", from)?, with_dot(to))),
            ("cname", [kind, from, to]) => {
                let kind = kind.to_ascii_lowercase();
                let to = if kind == "exact" || kind == "suffix" { with_dot(to) } else { (*to).to_owned() };
                Ok(Self::Cname(Match::parse(line, &kind, from)?, to))
            }
            ("cname", _) => Err(error(line, format!("too few ({}) arguments for a cname rule", words.len()))),
            ("name" | "type" | "ttl" | "rcode", _) => {
                Err(error(line, format!("wrong number of arguments for a {field} rule")))
            }
            ("class" | "edns0", _) => Err(unsimulated(line, &format!("rewrite {field}"))),
            _ => Err(error(line, format!("invalid rule type \"{field}\""))),
        }
    }
}

/// Applies all rules to a question. A name that a rule makes and that cannot be one ends it there: its text.
fn apply(rules: &[Rule], question: &Question) -> Result<Rewritten, String> {
    let mut out = Rewritten { question: question.clone(), reverts: Vec::new(), aliases: Vec::new() };
    for rule in rules {
        let before = out.question.name.to_ascii_lowercase();
        let changed = match &rule.field {
            Field::Name(matching, to) => match matching.replace(&before, to) {
                Some(after) if crate::base::dns::labels(&after).is_ok() => {
                    rule.reverts(&before, &after, &mut out.reverts);
                    out.question.name = after;
                    true
                }
                Some(after) => return Err(after),
                None => false,
            },
            Field::Kind(from, to) => {
                let is_it = out.question.kind == *from;
                if is_it {
                    out.question.kind = *to;
                }
                is_it
            }
            Field::Ttl(matching, least, most) => {
                let is_it = matching.replace(&before, "").is_some();
                if is_it {
                    out.reverts.push(Revert::Ttl(*least, *most));
                }
                is_it
            }
            Field::Rcode(matching, from, to) => {
                let is_it = matching.replace(&before, "").is_some();
                if is_it {
                    out.reverts.push(Revert::Rcode(*from, *to));
                }
                is_it
            }
            Field::Cname(matching, to) => {
                out.aliases.push((matching.clone(), to.clone()));
                true
            }
        };
        if changed && !rule.goes_on {
            break;
        }
    }
    Ok(out)
}

impl Rewritten {
    /// Whether any rule did something.
    fn is_changed(&self, original: &Question) -> bool {
        self.question != *original || !self.reverts.is_empty() || !self.aliases.is_empty()
    }

    /// Undoes in the answer what was done to the question.
    fn revert(&self, answer: &mut Answer) {
        // What was done last is undone first.
        for revert in self.reverts.iter().rev() {
            if let Revert::Rcode(from, to) = revert
                && answer.rcode == *from
            {
                answer.rcode = *to;
            }
            let records = answer.answer.iter_mut().chain(&mut answer.authority).chain(&mut answer.additional);
            records.for_each(|record| revert_record(revert, record));
        }
    }
}

impl Walk<'_> {
    /// Changes the question, has the plugins behind answer it, and changes their answer.
    pub(super) fn rewrite(&mut self, rules: &[Rule], block: usize, at: usize, question: &Question) -> Flow {
        let rewritten = match apply(rules, question) {
            Ok(rewritten) => rewritten,
            Err(name) => {
                let why = format!("invalid name after rewrite: {name}");
                return Ok(Reply::Failed(Rcode::ServFail, Some(why)));
            }
        };
        if !rewritten.is_changed(question) {
            return self.next(block, at + 1, question);
        }
        let (name, kind) = (rewritten.question.name.clone(), rewritten.question.kind.to_string());
        self.step("rewrite", "dns.rewrite.changed", &[&question.name, &name, &kind]);
        let mut reply = self.next(block, at + 1, &rewritten.question)?;
        if let Reply::Written(answer) = &mut reply {
            rewritten.revert(answer);
            for (matching, to) in &rewritten.aliases {
                self.rewrite_aliases(matching, to, &rewritten.question, answer)?;
            }
        }
        Ok(reply)
    }

    /// Aliases that lead to a name that matches lead elsewhere, with the records from there
    /// (`cnameTargetRuleWithReqState.RewriteResponse`).
    fn rewrite_aliases(
        &mut self,
        matching: &Match,
        to: &str,
        question: &Question,
        answer: &mut Answer,
    ) -> Result<(), Pending> {
        for record in answer.answer.clone() {
            let RData::Cname(target) = &record.data else { continue };
            let Some(new) = matching.replace(&target.to_ascii_lowercase(), to) else { continue };
            let found = Inside(self).lookup(&Question { name: new.clone(), kind: question.kind })?;
            let Some(found) = found else { continue };
            let mut aliases = std::mem::take(&mut answer.answer);
            aliases.retain(|record| record.kind() == Type::Cname);
            for alias in &mut aliases {
                alias.data = RData::Cname(new.clone());
            }
            answer.answer = aliases;
            answer.answer.extend(found.answer.into_iter().filter(|record| record.owner == new));
            answer.truncated = found.truncated;
        }
        Ok(())
    }
}

fn revert_record(revert: &Revert, record: &mut Record) {
    match revert {
        Revert::Name(replace) => {
            if let Some(name) = replace.name(&record.owner) {
                record.owner = name;
            }
        }
        Revert::Value(replace) => {
            let target = match &mut record.data {
                RData::Cname(name)
                | RData::Ns(name)
                | RData::Ptr(name)
                | RData::Srv(_, _, _, name)
                | RData::Mx(_, name)
                | RData::Soa(name, _, _) => name,
                RData::A(_) | RData::Aaaa(_) | RData::Txt(_) | RData::Other(..) => return,
            };
            if let Some(name) = replace.name(target) {
                *target = name;
            }
        }
        Revert::Ttl(least, most) => record.ttl = record.ttl.clamp(*least, *most),
        Revert::Rcode(..) => {}
    }
}
