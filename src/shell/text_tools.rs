//! Small programs of coreutils that work on lines: `sort`, `uniq`, `cut`, `tr`; and those that say who and where one
//! is: `whoami`, `id`, `uname`, `which`.

use super::filters::texts;
use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context, programs};
use crate::trace::KERNEL_RELEASE;
use std::cmp::Ordering;

/// What a program says of files that are not there.
fn missing(program: &str, paths: &[String]) -> String {
    format!("{program}: {}: No such file or directory\n", paths.join(" "))
}

/// The leading number of a text in units of 10⁻⁹, as `sort -n` reads it: blanks, a minus, digits and decimals.
fn leading_number(text: &str) -> i128 {
    const DECIMALS: usize = 9;
    let text = text.trim_start();
    let (text, sign) = text.strip_prefix('-').map_or((text, 1), |rest| (rest, -1));
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    let whole = digits(text);
    let decimals = text[whole.len()..].strip_prefix('.').map_or(String::new(), digits);
    let decimals = format!("{decimals:0<DECIMALS$}");
    sign * format!("{whole}{}", &decimals[..DECIMALS]).parse().unwrap_or(i128::MAX)
}

/// The key of `-k N`: from the N-th field to the end of the line. Without `-t`, blanks before a field belong to it.
fn key(line: &str, field: usize, separator: Option<char>) -> &str {
    let mut rest = line;
    for _ in 1..field {
        let skipped = if let Some(separator) = separator {
            rest.find(separator).map(|at| at + separator.len_utf8())
        } else {
            let blanks = rest.len() - rest.trim_start().len();
            rest[blanks..].find(char::is_whitespace).map(|at| at + blanks)
        };
        match skipped {
            Some(at) => rest = &rest[at..],
            None => return "",
        }
    }
    rest
}

/// `sort`, in the order of bytes as in the C locale.
pub(super) fn sort(context: &Context<'_>, words: &[String]) -> Command {
    let parsed = match getopt("nrufk:t:", words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("sort: {text}\nTry 'sort --help' for more information.\n"), 2),
    };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    let argument = |letter| parsed.options.iter().find(|(option, _)| *option == letter).map(|(_, text)| text);
    let separator = argument('t').and_then(|text| text.chars().next());
    let (mut numeric, mut reverse, mut field) = (has('n'), has('r'), 1);
    if let Some(text) = argument('k') {
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        (numeric, reverse) = (numeric || text.ends_with('n'), reverse || text.ends_with('r'));
        match digits
            .split(',')
            .next()
            .and_then(|digits| digits.parse::<usize>().ok())
            .filter(|field| *field > 0)
        {
            Some(number) => field = number,
            None if digits == "0" => {
                return refuse(
                    format!(
                        "sort: field number is zero: invalid field specification '{text}'
"
                    ),
                    2,
                );
            }
            None => {
                let wrong = "invalid number at field start: invalid count at start of";
                return refuse(
                    format!(
                        "sort: {wrong} '{text}'
"
                    ),
                    2,
                );
            }
        }
    }
    let Ok(text) = texts(context, "sort", &parsed.operands) else {
        let path = parsed.operands.join(" ");
        return refuse(format!("sort: cannot read: {path}: No such file or directory\n"), 2);
    };
    let fold = |text: &str| if has('f') { text.to_uppercase() } else { text.to_owned() };
    let by_key = |a: &&str, b: &&str| {
        let (a, b) = (key(a, field, separator), key(b, field, separator));
        if numeric { leading_number(a).cmp(&leading_number(b)) } else { fold(a).cmp(&fold(b)) }
    };
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_by(|a, b| {
        // Equal keys leave the order to the whole line, but for `-u`, which keeps the first of them.
        let last = if has('u') { Ordering::Equal } else { a.cmp(b) };
        let order = by_key(a, b).then(last);
        if reverse { order.reverse() } else { order }
    });
    if has('u') {
        lines.dedup_by(|a, b| by_key(a, b).is_eq());
    }
    let end = if lines.is_empty() { "" } else { "\n" };
    answer(lines.join("\n") + end)
}

/// `uniq`: lines that repeat the one before stand once; `-c` counts them, `-d` shows only those, `-u` only others.
pub(super) fn uniq(context: &Context<'_>, words: &[String]) -> Command {
    let parsed = match getopt("cdui", words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("uniq: {text}\nTry 'uniq --help' for more information.\n"), 1),
    };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    let Ok(text) = texts(context, "uniq", &parsed.operands) else {
        return refuse(missing("uniq", &parsed.operands), 1);
    };
    let same = |a: &str, b: &str| if has('i') { a.eq_ignore_ascii_case(b) } else { a == b };
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for line in text.lines() {
        match groups.last_mut().filter(|(first, _)| same(first, line)) {
            Some((_, count)) => *count += 1,
            None => groups.push((line, 1)),
        }
    }
    let shown = groups.into_iter().filter(|(_, count)| if *count > 1 { !has('u') } else { !has('d') });
    answer(
        shown
            .map(|(line, count)| if has('c') { format!("{count:7} {line}\n") } else { format!("{line}\n") })
            .collect::<String>(),
    )
}

/// A list of `cut`: `N`, `N-M`, `N-` and `-M`, with commas between them.
fn ranges(list: &str) -> Option<Vec<(usize, usize)>> {
    let end = |text: &str, open: usize| if text.is_empty() { Some(open) } else { text.parse().ok() };
    list.split(',')
        .map(|part| {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (end(first, 1)?, end(last, usize::MAX)?),
                None => (part.parse().ok()?, part.parse().ok()?),
            };
            (part != "-" && first > 0 && first <= last).then_some((first, last))
        })
        .collect()
}

/// `cut`.
pub(super) fn cut(context: &Context<'_>, words: &[String]) -> Command {
    const HINT: &str = "Try 'cut --help' for more information.\n";
    let parsed = match getopt("b:c:d:f:s", words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("cut: {text}\n{HINT}"), 1),
    };
    let argument = |letter| parsed.options.iter().find(|(option, _)| *option == letter).map(|(_, text)| text);
    let delimiter = match argument('d') {
        None => '\t',
        Some(text) if text.chars().count() > 1 => {
            return refuse(format!("cut: the delimiter must be a single character\n{HINT}"), 1);
        }
        Some(text) => text.chars().next().unwrap_or('\0'),
    };
    let fields = argument('f');
    let Some(list) = fields.or_else(|| argument('c')).or_else(|| argument('b')) else {
        return refuse(format!("cut: you must specify a list of bytes, characters, or fields\n{HINT}"), 1);
    };
    let Some(ranges) = ranges(list) else {
        let zero = list.split([',', '-']).any(|number| number == "0");
        let text = match fields {
            Some(_) if zero => "fields are numbered from 1".to_owned(),
            Some(_) => format!("invalid field value '{list}'"),
            None if zero => "byte/character positions are numbered from 1".to_owned(),
            None => format!("invalid byte/character position '{list}'"),
        };
        return refuse(format!("cut: {text}\n{HINT}"), 1);
    };
    let Ok(text) = texts(context, "cut", &parsed.operands) else {
        return refuse(missing("cut", &parsed.operands), 1);
    };
    let wanted = |index: usize| ranges.iter().any(|(first, last)| (*first..=*last).contains(&(index + 1)));
    let only_delimited = parsed.options.iter().any(|(option, _)| *option == 's');
    let mut out = String::new();
    for line in text.lines() {
        if fields.is_none() {
            out.extend(
                line.chars().enumerate().filter(|(index, _)| wanted(*index)).map(|(_, letter)| letter),
            );
        } else if line.contains(delimiter) {
            let parts = line.split(delimiter).enumerate().filter(|(index, _)| wanted(*index));
            out += &parts.map(|(_, part)| part).collect::<Vec<_>>().join(&delimiter.to_string());
        } else if only_delimited {
            continue;
        } else {
            out += line;
        }
        out.push('\n');
    }
    answer(out)
}

/// A set of `tr`: letters, ranges, classes and escapes.
fn set(text: &str) -> Vec<char> {
    let text = text
        .replace("[:lower:]", "a-z")
        .replace("[:upper:]", "A-Z")
        .replace("[:digit:]", "0-9")
        .replace("[:space:]", "\t\n\u{b}\u{c}\r ")
        .replace("[:blank:]", "\t ")
        .replace("\\n", "\n")
        .replace("\\t", "\t")
        .replace("\\r", "\r");
    let letters: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(first) = letters.get(at) {
        match (letters.get(at + 1), letters.get(at + 2)) {
            (Some('-'), Some(last)) if first <= last => {
                out.extend(*first..=*last);
                at += 3;
            }
            _ => {
                out.push(*first);
                at += 1;
            }
        }
    }
    out
}

/// `tr`: translates, deletes (`-d`) and squeezes (`-s`) letters; `-c` takes the complement of the first set.
pub(super) fn tr(context: &Context<'_>, words: &[String]) -> Command {
    const HINT: &str = "Try 'tr --help' for more information.\n";
    let parsed = match getopt("cds", words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("tr: {text}\n{HINT}"), 1),
    };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    let (first, second) = match parsed.operands.as_slice() {
        [] => return refuse(format!("tr: missing operand\n{HINT}"), 1),
        [only] if has('d') || has('s') => (set(only), None),
        [only] => {
            let what = "Two strings must be given when translating.";
            return refuse(format!("tr: missing operand after '{only}'\n{what}\n{HINT}"), 1);
        }
        [first, second, ..] => (set(first), Some(set(second))),
    };
    let within = |letter: char| first.contains(&letter) != has('c');
    let squeezed = |letter: char| match &second {
        Some(second) => second.contains(&letter),
        None => within(letter),
    };
    let mut out = String::new();
    for letter in context.input.unwrap_or("").chars() {
        if has('d') && within(letter) {
            continue;
        }
        let index = first.iter().rposition(|known| *known == letter);
        let new = match &second {
            Some(second) if !has('d') && within(letter) => {
                let found = index.and_then(|index| second.get(index));
                found.or(second.last()).copied().unwrap_or(letter)
            }
            Some(_) | None => letter,
        };
        if !(has('s') && squeezed(new) && out.ends_with(new)) {
            out.push(new);
        }
    }
    answer(out)
}

/// What `uname -v` says of a kernel that was built once, on the day that simulated time begins at.
const KERNEL_VERSION: &str = "#1 SMP PREEMPT_DYNAMIC Thu Jan  1 00:00:00 UTC 2026";

/// `whoami`, `id` and `uname`: everybody is root on Linux.
pub(super) fn identity(context: &Context<'_>, program: &str, words: &[String]) -> Command {
    let word = words.first().map_or("", String::as_str);
    match (program, word) {
        ("id", "") => answer("uid=0(root) gid=0(root) groups=0(root)\n"),
        ("id", "-u" | "-g" | "-G") => answer("0\n"),
        ("whoami", "") | ("id", "-un" | "-gn") => answer("root\n"),
        ("uname", _) => uname(context, words),
        _ => {
            let (text, status) = not_simulated(program, word);
            refuse(text, status)
        }
    }
}

/// `uname` (GNU coreutils and busybox): what is asked for stands in the order of `-a`, which leaves out what is unknown.
fn uname(context: &Context<'_>, words: &[String]) -> Command {
    let mut asked = String::new();
    for word in words {
        asked += match word.as_str() {
            "--all" => "a",
            "--kernel-name" => "s",
            "--nodename" => "n",
            "--kernel-release" => "r",
            "--kernel-version" => "v",
            "--machine" => "m",
            "--operating-system" => "o",
            short if short.starts_with('-') && !short[1..].is_empty() => &short[1..],
            _ => "?",
        };
    }
    if let Some(other) = asked.chars().find(|letter| !"asnrvmpio".contains(*letter)) {
        let (text, status) =
            not_simulated("uname", words.iter().find(|word| word.contains(other)).unwrap_or(&words[0]));
        return refuse(text, status);
    }
    let all = asked.contains('a');
    let parts = [
        ('s', "Linux"),
        ('n', context.hostname),
        ('r', KERNEL_RELEASE),
        ('v', KERNEL_VERSION),
        ('m', "x86_64"),
        ('p', "unknown"),
        ('i', "unknown"),
        ('o', "GNU/Linux"),
    ];
    let is_shown = |letter: char| if all { !matches!(letter, 'p' | 'i') } else { asked.contains(letter) };
    let shown: Vec<&str> =
        parts.iter().filter(|(letter, _)| is_shown(*letter)).map(|(_, text)| *text).collect();
    answer(if shown.is_empty() { "Linux\n".to_owned() } else { shown.join(" ") + "\n" })
}

/// `which`: where programs lie; what is not there is passed over, and makes the status 1.
pub(super) fn which(context: &Context<'_>, words: &[String]) -> Command {
    let mut out = Out::default();
    let mut status = u8::from(words.is_empty());
    for word in words {
        match path_of(context.image, word) {
            Some(path) => out.out(path + "\n"),
            None => status = 1,
        }
    }
    out.done(status)
}

/// Where a program lies in an image.
pub fn path_of(image: Option<&str>, name: &str) -> Option<String> {
    const SYSTEM: [&str; 11] = [
        "arp",
        "bridge",
        "conntrack",
        "ethtool",
        "ifconfig",
        "ip",
        "iptables",
        "nft",
        "route",
        "sysctl",
        "tc",
    ];
    if programs::is_applet(image, name) {
        return Some(format!("/bin/{name}"));
    }
    let is_system = SYSTEM.iter().any(|known| name.starts_with(known)) && name != "ipcs";
    programs::has_program(image, name)
        .then(|| format!("/usr/{}/{name}", if is_system { "sbin" } else { "bin" }))
}
