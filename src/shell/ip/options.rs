//! Options of `ip` that stand before the object.

use super::Stop;
use crate::shell::print::Printer;

/// Address family of `-4`, `-6` and `-0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Inet,
    Inet6,
    Link,
}

/// What the options ask for.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
pub(super) struct Options {
    pub(super) family: Option<Family>,
    pub(super) json: bool,
    pub(super) pretty: bool,
    pub(super) stats: u8,
    pub(super) details: bool,
    pub(super) brief: bool,
    pub(super) oneline: bool,
    pub(super) color: bool,
    pub(super) numeric: bool,
    pub(super) human: bool,
    pub(super) version: bool,
}

impl Options {
    pub(super) fn printer(&self) -> Printer {
        if self.json { Printer::json(self.pretty) } else { Printer::text(self.color) }
    }

    /// What stands between the lines of one entry: `\` with `-o`.
    pub(super) fn separator(&self) -> &'static str {
        if self.oneline { "\\" } else { "\n" }
    }
}

/// Reads the options; the words after them follow. Long and short forms, with one dash or two, may be cut short.
pub(super) fn read(words: &[String]) -> Result<(Options, &[String]), Stop> {
    let mut options = Options::default();
    let mut at = 0;
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
        at += 1;
        if word == "--" {
            break;
        }
        let option = if word.starts_with("--") { &word[1..] } else { word.as_str() };
        let is = |name: &str, least: usize| option.len() >= least && name.starts_with(option);
        match option {
            "-4" => options.family = Some(Family::Inet),
            "-6" => options.family = Some(Family::Inet6),
            "-0" => options.family = Some(Family::Link),
            _ if is("-family", 2) => {
                options.family = Some(family(words.get(at))?);
                at += 1;
            }
            _ if is("-stats", 2) || is("-statistics", 2) => options.stats += 1,
            _ if is("-details", 2) => options.details = true,
            _ if is("-oneline", 2) => options.oneline = true,
            _ if is("-json", 2) => options.json = true,
            _ if is("-pretty", 2) => options.pretty = true,
            _ if is("-brief", 3) => options.brief = true,
            _ if is("-Version", 2) => options.version = true,
            _ if is("-Numeric", 2) => options.numeric = true,
            // Names are never looked up here, and figures are too small to be shortened.
            _ if is("-resolve", 2) => {}
            _ if is("-color", 2) || option == "-color=always" || option == "-c=always" => {
                options.color = true;
            }
            "-c=never" | "-color=never" => options.color = false,
            "-c=auto" | "-color=auto" => options.color = true,
            _ if is("-human-readable", 2) => options.human = true,
            _ if is("-help", 3) => return Err((super::USAGE.to_owned(), 255)),
            _ => return Err((format!("Option \"{option}\" is unknown, try \"ip -help\".\n"), 255)),
        }
    }
    Ok((options, &words[at.min(words.len())..]))
}

fn family(word: Option<&String>) -> Result<Family, Stop> {
    match word.map(String::as_str) {
        Some("inet") => Ok(Family::Inet),
        Some("inet6") => Ok(Family::Inet6),
        Some("link") => Ok(Family::Link),
        Some(word) => Err((format!("Error: argument \"{word}\" is wrong: invalid protocol family\n\n"), 255)),
        None => Err(("Command line is not complete. Try option \"help\"\n".to_owned(), 255)),
    }
}
