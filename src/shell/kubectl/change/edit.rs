//! `kubectl edit` with an editor that needs nobody at a terminal: `sed -i`, named by `KUBE_EDITOR` or `EDITOR`.

use super::{Next, client, fail, key, one, read, refusal, say, shown};
use crate::api::ApiRequest;
use crate::manifest;
use crate::shell::kubectl::flags::{self, value};
use crate::shell::kubectl::yaml;
use crate::shell::out::refuse;
use crate::shell::{Command, Context};
use regex_lite::Regex;

/// `kubectl edit` with these words after it.
pub(in crate::shell::kubectl) fn edit(context: &Context<'_>, words: &[String]) -> Command {
    match edited(context, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

fn edited(context: &Context<'_>, words: &[String]) -> Result<Command, String> {
    let known = [value("output", 'o'), value("field-manager", ' ')];
    let others =
        ["filename", "kustomize", "recursive", "output-patch", "windows-line-endings", "save-config"];
    let words = flags::read("edit", &known, &others, words)?;
    if words.operands.is_empty() {
        return Err("error: must specify one of -f and -k\n".to_owned());
    }
    let (resource, name) = one(&words.operands)?;
    let variable = |name: &str| {
        let found = context.variables.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let editor = variable("KUBE_EDITOR").or_else(|| variable("EDITOR")).unwrap_or("vi");
    let changes = substitutions(editor).ok_or_else(|| {
        format!(
            "kubectl edit: not simulated: the editor {editor}. KUBE_EDITOR=\"sed -i 's/OLD/NEW/'\" is; 'kubectl patch' and \
             'kubectl apply' change objects too, or the text on the page\n"
        )
    })?;
    let key = key(resource, words.namespace(context.kube_namespace), &name);
    Ok(client(move |os| {
        let live = match read(os, &key) {
            Ok(live) => live,
            Err(error) => return Next::Done(fail(os, &refusal(&error, ""))),
        };
        let before = yaml::yaml(&yaml::sorted(&live));
        let lines = before.lines().map(|line| {
            changes.iter().fold(line.to_owned(), |line, (from, to, all)| {
                from.replacen(&line, usize::from(!all), to.as_str()).into_owned()
            })
        });
        let after: String = lines.map(|line| line + "\n").collect();
        if after == before {
            fail(os, "Edit cancelled, no changes made.\n");
            return Next::Done(0);
        }
        let Some(mut object) = manifest::value_of(&after) else {
            return Next::Done(fail(
                os,
                "error: the edited file is no YAML; Edit cancelled, no valid changes were saved.\n",
            ));
        };
        for said in manifest::prune(&mut object) {
            fail(os, &format!("Warning: {said}\n"));
        }
        match os.api(&ApiRequest::Replace(object)) {
            Ok(_) => {
                say(os, &format!("{} edited\n", shown(resource, &name)));
                Next::Done(0)
            }
            Err(error) => {
                fail(os, &refusal(&error, ""));
                Next::Done(fail(os, "error: Edit cancelled, no valid changes were saved.\n"))
            }
        }
    }))
}

/// What `sed -i` with these words does to each line: expression, replacement, whether everywhere in the line. `None` for
/// any other editor or command.
fn substitutions(editor: &str) -> Option<Vec<(Regex, String, bool)>> {
    let words = split(editor);
    let (program, rest) = words.split_first()?;
    if program.rsplit('/').next() != Some("sed") {
        return None;
    }
    let extended = rest.iter().any(|word| matches!(word.as_str(), "-E" | "-r" | "-Ei" | "-ri"));
    let in_place = rest.iter().any(|word| word.starts_with('-') && word.contains('i'));
    let scripts = rest.iter().filter(|word| !word.starts_with('-'));
    let found: Option<Vec<_>> = scripts.map(|script| substitution(script, extended)).collect();
    found.filter(|found| in_place && !found.is_empty())
}

fn substitution(script: &str, extended: bool) -> Option<(Regex, String, bool)> {
    let rest = script.strip_prefix('s')?;
    let mark = rest.chars().next()?;
    let parts: Vec<&str> = rest.split(mark).collect();
    let [_, from, to, flags] = parts.as_slice() else { return None };
    let pattern = if extended { (*from).to_owned() } else { basic(from) };
    let to = to.replace('$', "$$").replace('&', "${0}");
    let to = (1..10).fold(to, |to, group| to.replace(&format!("\\{group}"), &format!("${{{group}}}")));
    let pattern = Regex::new(&pattern).ok()?;
    matches!(*flags, "" | "g").then(|| (pattern, to, *flags == "g"))
}

/// A basic regular expression in the form of an extended one: the backslash changes sides (POSIX, 9.3).
fn basic(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(next @ ('+' | '?' | '(' | ')' | '{' | '}' | '|')) => out.push(next),
                Some(next) => out.extend(['\\', next]),
                None => out.push_str("\\\\"),
            },
            '+' | '?' | '(' | ')' | '{' | '}' | '|' => out.extend(['\\', letter]),
            _ => out.push(letter),
        }
    }
    out
}

/// Words as a shell splits them, with quotes.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sed_substitutes() {
        let run = |editor: &str, line: &str| {
            substitutions(editor).map(|changes| {
                changes.iter().fold(line.to_owned(), |line, (from, to, all)| {
                    from.replacen(&line, usize::from(!all), to.as_str()).into_owned()
                })
            })
        };
        assert_eq!(
            run("sed -i 's/replicas: 2/replicas: 3/'", "  replicas: 2").as_deref(),
            Some("  replicas: 3")
        );
        assert_eq!(run("sed -i -e s/a/b/g -e 's|b\\(c\\)|<\\1&>|'", "aac").as_deref(), Some("b<cbc>"));
        assert_eq!(run("sed -Ei 's/[0-9]+/7/'", "x 12 13").as_deref(), Some("x 7 13"));
        assert!(substitutions("vi").is_none() && substitutions("sed s/a/b/").is_none());
    }
}
