//! `kubectl auth`: who asks here may do everything, as kubeadm's administrator may, unless in somebody else's name
//! (`pkg/cmd/auth`).

use super::flags::{Words, read, switch, value};
use super::rbac::{self, Who};
use super::resources::{Resource, named};
use super::rules;
use super::table::layout;
use crate::shell::out::{Out, answer, not_simulated, refuse};
use crate::shell::{Command, Context};

const VERBS: [&str; 12] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
    "bind",
    "impersonate",
    "*",
];
/// Verbs of paths that are no resources.
const PATH_VERBS: [&str; 8] = ["get", "put", "post", "head", "options", "delete", "patch", "*"];
/// Resources that only the verb `impersonate` goes with; the server does not tell of them.
const NOT_TOLD: [&str; 2] = ["users", "groups"];

/// `kubectl auth` with these words after it.
pub(super) fn auth(context: &Context<'_>, who: Option<&Who>, words: &[String]) -> Command {
    let Some((verb, rest)) = words.split_first() else {
        return refuse("error: required auth subcommand not specified, such as \"can-i\"\n", 1);
    };
    let known = [
        switch("quiet", 'q'),
        switch("all-namespaces", 'A'),
        switch("list", ' '),
        switch("no-headers", ' '),
        value("output", 'o'),
        value("subresource", ' '),
    ];
    let words = match read(&format!("auth {verb}"), &known, &["filename"], rest) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    let administrator = Who::administrator();
    let who = who.unwrap_or(&administrator);
    match (verb.as_str(), words.operands.as_slice()) {
        ("can-i", _) => can_i(context, who, &words).unwrap_or_else(|text| refuse(text, 1)),
        ("whoami", []) => {
            let row = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
            answer(layout(&[
                row("ATTRIBUTE", "VALUE"),
                row("Username", &who.user),
                row("Groups", &rules::bracketed(&who.groups)),
            ]))
        }
        (other, _) => {
            let (text, status) = not_simulated("kubectl auth", other);
            refuse(text, status)
        }
    }
}

fn can_i(context: &Context<'_>, who: &Who, words: &Words) -> Result<Command, String> {
    let subresource = words.value("subresource").unwrap_or("");
    let all = words.is_set("all-namespaces");
    let namespace = if all { "" } else { words.namespace(context.kube_namespace) };
    if words.is_set("list") {
        if !words.operands.is_empty() {
            return Err("error: list option must be specified with no arguments\n".to_owned());
        }
        if words.is_set("quiet") || all || !subresource.is_empty() {
            let why =
                "list option can't be specified with neither quiet, all-namespaces nor subresource options";
            return Err(format!("error: {why}\n"));
        }
        return Ok(answer(listed(context, who, (namespace, !words.is_set("no-headers")))));
    }
    let [verb, what] = &words.operands[..] else {
        let why = "you must specify two arguments: verb resource or verb resource/resourceName.";
        return Err(format!("error: {why}\nSee 'kubectl auth can-i -h' for help and examples.\n"));
    };
    let mut out = Out::default();
    let may = if what.starts_with('/') {
        if !subresource.is_empty() {
            return Err("error: --subresource can not be used with NonResourceURL\n".to_owned());
        }
        warn_of_verb(verb, &PATH_VERBS, &mut out);
        rbac::may_reach(context.inventory, who, (verb, what))
    } else {
        let resource = resource_of(what, &mut out);
        if let Some(resource) = resource.filter(|one| !one.namespaced && !all) {
            let group = resource.group();
            let group = if group.is_empty() { String::new() } else { format!(" in group '{group}'") };
            out.err(format!("Warning: resource '{}' is not namespace scoped{group}\n\n", resource.plural));
        }
        warn_of_verb(verb, &VERBS, &mut out);
        rbac::can_i(context.inventory, who, (verb, what), (namespace, subresource))
    };
    if words.is_set("no-headers") {
        out.err("error: --no-headers cannot be set without --list specified\n");
        return Ok(out.done(1));
    }
    if !words.is_set("quiet") {
        out.out(if may { "yes\n" } else { "no\n" });
    }
    Ok(out.done(u8::from(!may)))
}

fn warn_of_verb(verb: &str, known: &[&str], out: &mut Out) {
    if !known.contains(&verb) {
        out.err(format!("Warning: verb '{verb}' is not a known verb\n\n"));
    }
}

/// The type that `TYPE[.VERSION][.GROUP][/NAME]` is about, with a warning where the server knows none.
fn resource_of(what: &str, out: &mut Out) -> Option<&'static Resource> {
    let word = what.split('/').next().unwrap_or(what).to_lowercase();
    let (kind, group) = word.split_once('.').unwrap_or((&word, ""));
    let found = named(kind).first().copied();
    if found.is_none() && kind != "*" && !NOT_TOLD.contains(&&*word) {
        let group = if group.is_empty() { String::new() } else { format!(" in group '{group}'") };
        out.err(format!("Warning: the server doesn't have a resource type '{kind}'{group}\n\n"));
    }
    found
}

/// All that somebody may do in a namespace (`SelfSubjectRulesReview`).
fn listed(context: &Context<'_>, who: &Who, (namespace, headed): (&str, bool)) -> String {
    let title = ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"].map(str::to_owned);
    let mut rows: Vec<Vec<String>> = if headed { vec![title.into()] } else { Vec::new() };
    let all = rbac::rules_for(context.inventory, who, namespace);
    rows.extend(rules::compact(&all).iter().map(|rule| rule.cells().into()));
    layout(&rows)
}
