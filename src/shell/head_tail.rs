//! `head` and `tail` of coreutils 9.1 and busybox: by lines and bytes, from either end.

use super::getopt::{Parsed, getopt};
use super::kernel_files::ZERO;
use super::out::{Out, not_simulated, refuse};
use super::{Command, Context};
use crate::app::sleep::Forever;

/// More zeros are not written out.
const ZEROS_MAX: usize = 16 << 20;

/// How much is shown.
#[derive(Clone, Copy)]
struct Amount {
    number: usize,
    bytes: bool,
    /// `head -n -N` leaves the last N out, `tail -n +N` begins with the N-th.
    from_other_end: bool,
}

impl Amount {
    /// Reads `N`, `-N` and `+N` with a suffix such as `K`.
    fn read(text: &str, bytes: bool, is_head: bool) -> Option<Self> {
        let other = if is_head { '-' } else { '+' };
        let (digits, from_other_end) = match text.strip_prefix(other) {
            Some(rest) => (rest, true),
            None => (text.strip_prefix(['-', '+']).unwrap_or(text), false),
        };
        let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
        let unit: usize = match &digits[end..] {
            "" => 1,
            "b" => 512,
            "kB" => 1000,
            "k" | "K" | "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "m" | "M" | "MiB" => 1 << 20,
            _ => return None,
        };
        let number = digits[..end].parse::<usize>().ok()?.saturating_mul(unit);
        Some(Self { number, bytes, from_other_end })
    }

    /// As much of a device that gives zeros without an end; none where there is no end to it, or it would fill the memory.
    fn zeros(self) -> Option<String> {
        (self.bytes && !self.from_other_end && self.number <= ZEROS_MAX).then(|| "\0".repeat(self.number))
    }

    /// The part of `text` that is shown. Bytes that cut a letter in two leave all of it out.
    fn part(self, text: &str, is_head: bool) -> &str {
        let starts: Vec<usize> = if self.bytes {
            (0..text.len()).collect()
        } else {
            let lines = text.split_inclusive('\n');
            lines.scan(0, |at, line| Some(std::mem::replace(at, *at + line.len()))).collect()
        };
        let index = match (is_head, self.from_other_end) {
            (true, false) => self.number,
            (false, true) => self.number.saturating_sub(1),
            (true, true) | (false, false) => starts.len().saturating_sub(self.number),
        };
        let mut at = starts.get(index).copied().unwrap_or(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        if is_head { &text[..at] } else { &text[at..] }
    }
}

/// `head`.
pub(super) fn head(context: &Context<'_>, words: &[String], busybox: bool) -> Command {
    match show(context, words, busybox, true) {
        Ok((out, status)) => out.done(status),
        Err(command) => command,
    }
}

/// `tail`; with `-f` it goes on for ever.
pub(super) fn tail(context: &Context<'_>, words: &[String], busybox: bool) -> Command {
    let is_follow = |word: &&String| ["-f", "-F", "--follow"].contains(&word.as_str());
    let follows = words.iter().any(|word| is_follow(&word));
    let others: Vec<String> =
        words.iter().filter(|word| !is_follow(word) && *word != "/dev/null").cloned().collect();
    match show(context, &others, busybox, false) {
        Ok((out, 0)) if follows => Command::process(Forever::default(), out),
        Ok((out, status)) => out.done(status),
        Err(command) => command,
    }
}

fn name(is_head: bool) -> &'static str {
    if is_head { "head" } else { "tail" }
}

/// How much is asked for, and whether each file gets a title.
fn asked(parsed: &Parsed, busybox: bool, is_head: bool) -> Result<(Amount, bool), Command> {
    let program = name(is_head);
    let mut amount = Amount { number: 10, bytes: false, from_other_end: false };
    let mut titles = parsed.operands.len() > 1;
    for (letter, text) in &parsed.options {
        match letter {
            'q' => titles = false,
            'v' => titles = true,
            letter => {
                amount = Amount::read(text, *letter == 'c', is_head).ok_or_else(|| {
                    let what = match (busybox, letter) {
                        (true, _) => "",
                        (false, 'c') => " of bytes:",
                        (false, _) => " of lines:",
                    };
                    refuse(format!("{program}: invalid number{what} '{text}'\n"), 1)
                })?;
            }
        }
    }
    Ok((amount, titles))
}

fn show(context: &Context<'_>, words: &[String], busybox: bool, is_head: bool) -> Result<(Out, u8), Command> {
    let program = name(is_head);
    // The old way to write the number of lines: `-N`.
    let is_old = |word: &String| word.len() > 1 && word[1..].bytes().all(|byte| byte.is_ascii_digit());
    let mut words = words.to_vec();
    if let Some(first) = words.first_mut().filter(|word| word.starts_with('-') && is_old(word)) {
        first.insert(1, 'n');
    }
    let parsed = getopt("n:c:qv", &words).map_err(|text| {
        refuse(format!("{program}: {text}\nTry '{program} --help' for more information.\n"), 1)
    })?;
    let (amount, titles) = asked(&parsed, busybox, is_head)?;
    let mut out = Out::default();
    let mut status = 0;
    let mut is_first = true;
    let own = ["-".to_owned()];
    let paths = if parsed.operands.is_empty() { &own[..] } else { &parsed.operands };
    for path in paths {
        let input = || (path == "-").then(|| context.input.unwrap_or("").to_owned());
        let zeros = if path == ZERO && is_head { amount.zeros() } else { None };
        if path == ZERO && zeros.is_none() {
            let (text, refused) = not_simulated(program, &format!("{ZERO} but for \"head -c\" up to 16 MiB"));
            (status, is_first) = (refused, false);
            out.err(text);
            continue;
        }
        let Some(text) = (context.files)(path).or_else(input).or(zeros) else {
            status = 1;
            out.err(match (busybox, is_head) {
                (true, true) => format!("head: {path}: No such file or directory\n"),
                (true, false) => format!("tail: can't open '{path}': No such file or directory\n"),
                (false, _) => {
                    format!("{program}: cannot open '{path}' for reading: No such file or directory\n")
                }
            });
            continue;
        };
        if titles {
            let name = if path == "-" { "standard input" } else { path };
            out.out(format!("{}==> {name} <==\n", if is_first { "" } else { "\n" }));
        }
        is_first = false;
        out.out(amount.part(&text, is_head));
    }
    if is_first && busybox && !is_head {
        out.err("tail: no files\n");
    }
    Ok((out, status))
}
