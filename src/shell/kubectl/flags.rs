//! Flags and operands of a command line, as the client's library reads them (spf13/pflag).

use crate::shell::out::not_simulated;

/// A flag of a verb.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    /// Its long name.
    pub(super) long: &'static str,
    /// Its letter; a blank for none.
    pub(super) short: char,
    /// What follows it.
    pub(super) takes: Takes,
}

/// What follows a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing: it is there or not, or `=true`, `=false`.
    Nothing,
    /// A value.
    Value,
    /// A value after `=` only; this one where none is given.
    Optional(&'static str),
}

/// A flag with a value.
pub(super) const fn value(long: &'static str, short: char) -> Flag {
    Flag { long, short, takes: Takes::Value }
}

/// A flag that is there or not.
pub(super) const fn switch(long: &'static str, short: char) -> Flag {
    Flag { long, short, takes: Takes::Nothing }
}

/// A flag whose value may be left out.
pub(super) const fn optional(long: &'static str, bare: &'static str) -> Flag {
    Flag { long, short: ' ', takes: Takes::Optional(bare) }
}

/// What every verb knows.
const GLOBAL: [Flag; 2] = [value("namespace", 'n'), value("request-timeout", ' ')];
/// What every verb of the real client knows, while this one does not.
const GLOBAL_OTHERS: [&str; 12] = [
    "cache-dir",
    "certificate-authority",
    "client-certificate",
    "client-key",
    "cluster",
    "context",
    "insecure-skip-tls-verify",
    "kubeconfig",
    "server",
    "token",
    "user",
    "v",
];

/// A command line taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    flags: Vec<(&'static str, String)>,
    /// The words that are no flags.
    pub(super) operands: Vec<String>,
    /// The words after `--`.
    pub(super) rest: Option<Vec<String>>,
}

impl Words {
    /// The value of a flag; the last one counts.
    pub(super) fn value(&self, long: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// All values of a flag, taken apart at commas.
    pub(super) fn values(&self, long: &str) -> Vec<&str> {
        self.flags.iter().filter(|(name, _)| *name == long).flat_map(|(_, value)| value.split(',')).collect()
    }

    /// All values of a flag, whole.
    pub(super) fn all(&self, long: &str) -> impl Iterator<Item = &str> {
        self.flags.iter().filter(move |(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// Whether a flag without a value is set.
    pub(super) fn is_set(&self, long: &str) -> bool {
        self.value(long).is_some_and(|value| value != "false")
    }

    /// The namespace asked for, or `otherwise`.
    pub(super) fn namespace<'w>(&'w self, otherwise: &'w str) -> &'w str {
        self.value("namespace").unwrap_or(otherwise)
    }
}

/// Takes a command line apart. `others` are flags of the real client that are not simulated. The error is what goes to
/// standard error.
pub(super) fn read(verb: &str, known: &[Flag], others: &[&str], words: &[String]) -> Result<Words, String> {
    let mut found = Words::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            found.rest = Some(words.cloned().collect());
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, joined) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let flag = known.iter().chain(&GLOBAL).find(|flag| flag.long == name);
            let Some(flag) = flag else { return Err(unknown(verb, others, word, name)) };
            let value = match (flag.takes, joined) {
                (_, Some(value)) => value,
                (Takes::Nothing, None) => "true".to_owned(),
                (Takes::Optional(bare), None) => bare.to_owned(),
                (Takes::Value, None) => {
                    words.next().cloned().ok_or_else(|| missing(verb, &format!("--{name}")))?
                }
            };
            found.flags.push((flag.long, value));
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            letters_of(verb, known, letters, &mut words, &mut found)?;
        } else {
            found.operands.push(word.clone());
        }
    }
    Ok(found)
}

/// Single letters joined, as in `-it` or `-nkube-system`.
fn letters_of<'w>(
    verb: &str,
    known: &[Flag],
    letters: &str,
    words: &mut impl Iterator<Item = &'w String>,
    found: &mut Words,
) -> Result<(), String> {
    for (at, letter) in letters.char_indices() {
        let flag = known.iter().chain(&GLOBAL).find(|flag| flag.short == letter);
        let Some(flag) = flag else {
            return Err(format!("error: unknown shorthand flag: '{letter}' in -{letters}\n{}", usage(verb)));
        };
        let after = &letters[at + letter.len_utf8()..];
        match flag.takes {
            Takes::Nothing => found.flags.push((flag.long, "true".to_owned())),
            Takes::Optional(bare) => found.flags.push((flag.long, bare.to_owned())),
            Takes::Value => {
                let joined = after.strip_prefix('=').unwrap_or(after);
                let value = if joined.is_empty() {
                    words
                        .next()
                        .cloned()
                        .ok_or_else(|| missing(verb, &format!("'{letter}' in -{letters}")))?
                } else {
                    joined.to_owned()
                };
                found.flags.push((flag.long, value));
                return Ok(());
            }
        }
    }
    Ok(())
}

fn usage(verb: &str) -> String {
    format!("See 'kubectl {verb} --help' for usage.\n")
}

fn missing(verb: &str, flag: &str) -> String {
    format!("error: flag needs an argument: {flag}\n{}", usage(verb))
}

fn unknown(verb: &str, others: &[&str], word: &str, name: &str) -> String {
    if others.contains(&name) || GLOBAL_OTHERS.contains(&name) {
        return not_simulated(&format!("kubectl {verb}"), word).0;
    }
    format!("error: unknown flag: --{name}\n{}", usage(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_the_client_reads_them() {
        let known = [
            value("output", 'o'),
            switch("watch", 'w'),
            switch("all-namespaces", 'A'),
            optional("cascade", "background"),
        ];
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let read = |line: &str| read("get", &known, &["template"], &words(line));
        let found = read("pods -owide -Aw -n=x --cascade a --watch=false -- ls -l").unwrap();
        assert_eq!(found.operands, ["pods", "a"]);
        assert_eq!(found.value("output"), Some("wide"));
        assert_eq!(found.value("namespace"), Some("x"));
        assert_eq!(found.value("cascade"), Some("background"));
        assert!(found.is_set("all-namespaces") && !found.is_set("watch"));
        assert_eq!(found.rest, Some(words("ls -l")));
        assert_eq!(
            read("--nope"),
            Err("error: unknown flag: --nope\nSee 'kubectl get --help' for usage.\n".to_owned())
        );
        assert_eq!(
            read("-wz"),
            Err("error: unknown shorthand flag: 'z' in -wz\nSee 'kubectl get --help' for usage.\n".to_owned())
        );
        assert_eq!(
            read("-o"),
            Err("error: flag needs an argument: 'o' in -o\nSee 'kubectl get --help' for usage.\n".to_owned())
        );
        assert_eq!(read("--template=x"), Err("kubectl get: not simulated: --template=x\n".to_owned()));
    }
}
