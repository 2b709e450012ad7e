//! The command line of `curl`.

use super::Command;
use super::out::{Out, answer, not_simulated, refuse};
use crate::app::curl::{Curl, CurlOptions};
use crate::app::http::Url;
use crate::base::Duration;
use std::collections::VecDeque;

const VERSION: &str = include_str!("usage/curl-version.txt");
const HINT: &str = "curl: try 'curl --help' or 'curl --manual' for more information\n";

/// Options: letter, long name, and whether an argument follows.
const OPTIONS: [(char, &str, bool); 47] = [
    ('#', "progress-bar", false),
    ('r', "range", true),
    ('V', "version", false),
    ('s', "silent", false),
    ('S', "show-error", false),
    ('v', "verbose", false),
    ('i', "include", false),
    ('I', "head", false),
    ('f', "fail", false),
    ('L', "location", false),
    ('g', "globoff", false),
    ('G', "get", false),
    ('4', "ipv4", false),
    ('N', "no-buffer", false),
    ('0', "http1.0", false),
    ('q', "disable", false),
    ('O', "remote-name", false),
    (' ', "http1.1", false),
    (' ', "no-progress-meter", false),
    ('k', "insecure", false),
    (' ', "fail-with-body", false),
    (' ', "retry-connrefused", false),
    (' ', "retry-all-errors", false),
    (' ', "path-as-is", false),
    ('D', "dump-header", true),
    ('b', "cookie", true),
    (' ', "resolve", true),
    (' ', "retry", true),
    (' ', "retry-delay", true),
    (' ', "retry-max-time", true),
    ('o', "output", true),
    ('w', "write-out", true),
    ('m', "max-time", true),
    ('X', "request", true),
    ('d', "data", true),
    ('H', "header", true),
    ('A', "user-agent", true),
    ('e', "referer", true),
    ('u', "user", true),
    (' ', "url", true),
    (' ', "connect-timeout", true),
    (' ', "interface", true),
    (' ', "local-port", true),
    (' ', "max-redirs", true),
    (' ', "data-raw", true),
    (' ', "data-ascii", true),
    (' ', "noproxy", true),
];

/// Options of the real program that say something about what is not simulated.
const NOT_SIMULATED: [&str; 14] = [
    "F",
    "form",
    "T",
    "upload-file",
    "x",
    "proxy",
    "6",
    "ipv6",
    "c",
    "cookie-jar",
    "C",
    "continue-at",
    "Z",
    "parallel",
];

/// A word of the command line that is an option: how it was written, its long name, its argument.
type Given = (String, &'static str, String);

/// `curl`.
pub(super) fn curl(words: &[String]) -> Command {
    let (given, operands) = match split(words) {
        Ok(found) => found,
        Err(command) => return command,
    };
    if given.iter().any(|(_, name, _)| *name == "version") {
        return answer(VERSION);
    }
    let mut urls = operands;
    urls.extend(given.iter().filter(|(_, name, _)| *name == "url").map(|(.., url)| url.clone()));
    if urls.is_empty() {
        return refuse(HINT, 2);
    }
    let is_get = given.iter().any(|(_, name, _)| *name == "get");
    let mut outputs = given.iter().filter(|(_, name, _)| ["output", "remote-name"].contains(name));
    let mut transfers = VecDeque::new();
    for typed in urls {
        let Some(url) = Url::parse(&typed) else {
            return refuse("curl: (3) URL using bad/illegal format or missing URL\n", 3);
        };
        // Each URL takes the next place that its content may go to.
        let output = match outputs.next() {
            Some((_, "output", path)) if path != "-" => Some(path.clone()),
            Some((_, "remote-name", _)) => Some(url.file_name().to_owned()),
            Some(_) | None => None,
        };
        transfers.push_back((url, typed, output));
    }
    let Some((url, typed, output)) = transfers.pop_front() else { return refuse(HINT, 2) };
    let mut options = CurlOptions::new(url, &typed);
    (options.output, options.more) = (output, transfers);
    for (word, name, argument) in &given {
        if let Err(text) = set(&mut options, name, argument) {
            return refuse(format!("curl: option {word}: {text}\n{HINT}"), 2);
        }
    }
    if is_get && let Some(data) = options.data.take() {
        let more = options.more.iter_mut().map(|(url, ..)| url);
        for url in std::iter::once(&mut options.url).chain(more) {
            url.path += if url.path.contains('?') { "&" } else { "?" };
            url.path += &data;
        }
    }
    if options.cookie.as_ref().is_some_and(|cookie| !cookie.contains('=')) {
        let (text, status) = not_simulated("curl", "-b with a file");
        return refuse(text, status);
    }
    Command::process(Curl::new(options), Out::default())
}

/// Sorts the words into options and URLs.
fn split(words: &[String]) -> Result<(Vec<Given>, Vec<String>), Command> {
    let (mut given, mut operands) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    let unknown = |word: &str| refuse(format!("curl: option {word}: is unknown\n{HINT}"), 2);
    let missing = |word: &str| refuse(format!("curl: option {word}: requires parameter\n{HINT}"), 2);
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--").filter(|long| !long.is_empty()) {
            let Some((_, name, takes)) = OPTIONS.iter().find(|(_, name, _)| *name == long) else {
                return Err(refused(long).unwrap_or_else(|| unknown(word)));
            };
            let argument =
                if *takes { words.next().ok_or_else(|| missing(word))?.clone() } else { String::new() };
            given.push((word.clone(), *name, argument));
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            operands.push(word.clone());
            continue;
        };
        for (at, letter) in letters.char_indices() {
            let Some((_, name, takes)) = OPTIONS.iter().find(|(known, ..)| *known == letter && letter != ' ')
            else {
                return Err(refused(&letter.to_string()).unwrap_or_else(|| unknown(&format!("-{letter}"))));
            };
            let written = format!("-{letter}");
            if !takes {
                given.push((written, *name, String::new()));
                continue;
            }
            let rest = &letters[at + letter.len_utf8()..];
            let argument = if rest.is_empty() { words.next().cloned() } else { Some(rest.to_owned()) };
            given.push((written.clone(), *name, argument.ok_or_else(|| missing(&written))?));
            break;
        }
    }
    Ok((given, operands))
}

fn refused(name: &str) -> Option<Command> {
    let dashes = if name.len() == 1 { "-" } else { "--" };
    let (text, status) = not_simulated("curl", &format!("{dashes}{name}"));
    NOT_SIMULATED.contains(&name).then(|| refuse(text, status))
}

fn set(options: &mut CurlOptions, name: &str, argument: &str) -> Result<(), &'static str> {
    const NOT_A_NUMBER: &str = "expected a proper numerical parameter";
    match name {
        "silent" => options.silent = true,
        "show-error" => options.show_error = true,
        "no-progress-meter" => (options.silent, options.show_error) = (true, true),
        "verbose" => options.verbose = true,
        "include" => options.include = true,
        "insecure" => options.insecure = true,
        "head" => options.head = true,
        "fail" => options.fail = true,
        "fail-with-body" => options.fail_with_body = true,
        "dump-header" => options.dump_header = Some(argument.to_owned()),
        "cookie" => {
            let earlier = options.cookie.take().map_or(String::new(), |cookie| cookie + ";");
            options.cookie = Some(earlier + argument);
        }
        "resolve" => options.resolve.push(argument.to_owned()),
        "retry" => options.retry.count = argument.parse().map_err(|_| NOT_A_NUMBER)?,
        "retry-delay" => options.retry.delay_secs = argument.parse().map_err(|_| NOT_A_NUMBER)?,
        "retry-max-time" => options.retry.time_max_secs = argument.parse().map_err(|_| NOT_A_NUMBER)?,
        "retry-connrefused" => options.retry.when_refused = true,
        "retry-all-errors" => options.retry.always = true,
        "location" => options.follow = true,
        "http1.0" => options.http10 = true,
        "progress-bar" => options.bar = true,
        "range" => options.range = Some(argument.to_owned()),
        "write-out" => options.write_out = Some(argument.to_owned()),
        "max-time" => options.max_time = Some(seconds(argument).ok_or(NOT_A_NUMBER)?),
        "connect-timeout" => options.connect_timeout = Some(seconds(argument).ok_or(NOT_A_NUMBER)?),
        "max-redirs" => options.redirects_max = argument.parse().map_err(|_| NOT_A_NUMBER)?,
        "request" => options.method = Some(argument.to_owned()),
        "data" | "data-raw" | "data-ascii" => {
            let earlier = options.data.take().map_or(String::new(), |data| data + "&");
            options.data = Some(earlier + argument);
        }
        "header" => options.headers.push(argument.to_owned()),
        "user-agent" => options.user_agent = Some(argument.to_owned()),
        "referer" => options.referer = Some(argument.to_owned()),
        "user" => options.user = Some(argument.to_owned()),
        "interface" => options.interface = Some(argument.to_owned()),
        "local-port" => {
            let (first, last) = argument.split_once('-').unwrap_or((argument, argument));
            let (first, last): (u16, u16) =
                (first.parse().map_err(|_| NOT_A_NUMBER)?, last.parse().map_err(|_| NOT_A_NUMBER)?);
            options.local_port =
                Some((first, last.checked_sub(first).ok_or(NOT_A_NUMBER)?.saturating_add(1)));
        }
        // What is left changes nothing that a simulated transfer has.
        _ => {}
    }
    Ok(())
}

/// Seconds with decimals.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok()?;
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let ms: String = decimals.chars().chain("000".chars()).take(3).collect();
    Some(Duration::from_ms(whole.checked_mul(1000)?.checked_add(ms.parse().ok()?)?))
}
