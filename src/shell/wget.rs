//! The command line of `wget`, GNU's and busybox's.

use super::Command;
use super::out::{Out, not_simulated, refuse};
use crate::app::http::Url;
use crate::app::wget::{BusyboxWget, Wget, WgetOptions};
use crate::base::Duration;

/// Options with their long names, and whether an argument follows.
const OPTIONS: [(&str, &str, bool); 14] = [
    ("q", "quiet", false),
    ("nv", "no-verbose", false),
    ("S", "server-response", false),
    ("O", "output-document", true),
    ("T", "timeout", true),
    ("t", "tries", true),
    ("c", "continue", false),
    ("4", "inet4-only", false),
    ("", "spider", false),
    ("", "header", true),
    ("", "post-data", true),
    ("", "no-check-certificate", false),
    ("", "no-proxy", false),
    ("", "connect-timeout", true),
];

/// `wget` of GNU.
pub(super) fn wget(words: &[String]) -> Command {
    let usage =
        "wget: missing URL\nUsage: wget [OPTION]... [URL]...\n\nTry `wget --help' for more options.\n";
    match read(words) {
        Ok(Some(options)) => Command::process(Wget::new(options), Out::default()),
        Ok(None) => refuse(usage, 1),
        Err(Wrong::Option(word)) => {
            let text = match word.strip_prefix("--") {
                Some(_) => format!("wget: unrecognized option '{word}'\n"),
                None => format!("wget: invalid option -- '{}'\n", word.trim_start_matches('-')),
            };
            refuse(
                format!("{text}Usage: wget [OPTION]... [URL]...\n\nTry `wget --help' for more options.\n"),
                2,
            )
        }
        Err(Wrong::Url(url)) => refuse(format!("{url}: Invalid host name.\n"), 1),
        Err(Wrong::Other(command)) => command,
    }
}

/// `wget` of busybox.
pub(super) fn busybox(words: &[String]) -> Command {
    match read(words) {
        // Its TLS knows versions that nobody here speaks.
        Ok(Some(options)) if options.url.scheme != "http" => {
            let (text, status) = not_simulated("wget", &options.url.scheme);
            refuse(text, status)
        }
        Ok(Some(options)) => Command::process(BusyboxWget::new(options), Out::default()),
        Ok(None) => refuse("Usage: wget [-cqS] [--spider] [-O FILE] [-o LOGFILE] URL...\n", 1),
        Err(Wrong::Option(word)) => {
            refuse(format!("wget: unrecognized option: {}\n", word.trim_start_matches('-')), 1)
        }
        Err(Wrong::Url(url)) => refuse(format!("wget: not an http or ftp url: {url}\n"), 1),
        Err(Wrong::Other(command)) => command,
    }
}

enum Wrong {
    Option(String),
    Url(String),
    Other(Command),
}

fn refused(what: &str) -> Wrong {
    let (text, status) = not_simulated("wget", what);
    Wrong::Other(refuse(text, status))
}

fn read(words: &[String]) -> Result<Option<WgetOptions>, Wrong> {
    let mut given: Vec<(&str, String)> = Vec::new();
    let mut urls = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let found = OPTIONS.iter().find(|(_, known, _)| *known == name);
            let Some((_, name, takes)) = found else { return Err(Wrong::Option(word.clone())) };
            let value = match (takes, value) {
                (true, None) => words.next().cloned().ok_or_else(|| Wrong::Option(word.clone()))?,
                (_, value) => value.unwrap_or("").to_owned(),
            };
            given.push((name, value));
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            urls.push(word.clone());
            continue;
        };
        if letters == "nv" {
            given.push(("no-verbose", String::new()));
            continue;
        }
        for (at, letter) in letters.char_indices() {
            let found = OPTIONS.iter().find(|(short, ..)| short.chars().eq([letter]));
            let Some((_, name, takes)) = found else { return Err(Wrong::Option(format!("-{letter}"))) };
            if !takes {
                given.push((name, String::new()));
                continue;
            }
            let rest = &letters[at + letter.len_utf8()..];
            let value = if rest.is_empty() { words.next().cloned() } else { Some(rest.to_owned()) };
            given.push((name, value.ok_or_else(|| Wrong::Option(word.clone()))?));
            break;
        }
    }
    let typed = match urls.as_slice() {
        [] => return Ok(None),
        [url] if url.contains("://") => url.clone(),
        [url] => format!("http://{url}"),
        [_, second, ..] => return Err(refused(&format!("a second URL, {second}"))),
    };
    let url = Url::parse(&typed).ok_or_else(|| Wrong::Url(typed.clone()))?;
    if !matches!(url.scheme.as_str(), "http" | "https") {
        return Err(refused(&url.scheme));
    }
    let typed = if typed.ends_with(&url.authority()) { typed + "/" } else { typed };
    let mut options = WgetOptions::new(url, &typed);
    for (name, value) in given {
        let secs =
            |text: &str| text.parse().map(Duration::from_secs).map_err(|_| Wrong::Option(format!("-{name}")));
        match name {
            "quiet" => options.quiet = true,
            "no-verbose" => options.terse = true,
            "server-response" => options.server_response = true,
            "output-document" => options.output = Some(value),
            "timeout" | "connect-timeout" => options.timeout = Some(secs(&value)?),
            "tries" => options.tries = value.parse().map_err(|_| Wrong::Option("-t".to_owned()))?,
            "spider" => options.spider = true,
            "header" => options.headers.push(value),
            "post-data" => options.post = Some(value),
            "no-check-certificate" => options.insecure = true,
            // What is left changes nothing here.
            _ => {}
        }
    }
    Ok(Some(options))
}
