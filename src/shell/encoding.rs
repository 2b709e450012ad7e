//! `base64` of coreutils 9.1 and busybox: how the values of a Secret are read and written.

use super::filters::texts;
use super::getopt::getopt;
use super::out::{Out, answer, refuse};
use super::{Command, Context};
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Letters of a line unless `-w` says otherwise.
const WIDTH: usize = 76;

/// Takes what lacks its padding too, of which both programs write what it comes to.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// `base64`, and with `-d` the way back.
pub(super) fn base64(context: &Context<'_>, words: &[String], busybox: bool) -> Command {
    let short = words.iter().map(|word| match word.as_str() {
        "--decode" => "-d".to_owned(),
        "--ignore-garbage" => "-i".to_owned(),
        word => word.strip_prefix("--wrap=").map_or_else(|| word.to_owned(), |width| format!("-w{width}")),
    });
    let parsed = match getopt("diw:", &short.collect::<Vec<_>>()) {
        Ok(parsed) => parsed,
        Err(text) => {
            return refuse(format!("base64: {text}\nTry 'base64 --help' for more information.\n"), 1);
        }
    };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    let width = parsed.options.iter().find(|(option, _)| *option == 'w').map(|(_, text)| text);
    let width = match width.map(|text| text.parse::<usize>()) {
        None => WIDTH,
        Some(Ok(width)) => width,
        Some(Err(_)) => {
            let text = width.map_or("", String::as_str);
            return refuse(format!("base64: invalid wrap size: '{text}'\n"), 1);
        }
    };
    let Ok(text) = texts(context, "base64", &parsed.operands) else {
        let path = parsed.operands.join(" ");
        return refuse(
            if busybox {
                format!("base64: can't open '{path}': No such file or directory\n")
            } else {
                format!("base64: {path}: No such file or directory\n")
            },
            1,
        );
    };
    if has('d') { decode(&text, has('i'), busybox) } else { answer(wrapped(&LENIENT.encode(text), width)) }
}

fn wrapped(coded: &str, width: usize) -> String {
    if width == 0 {
        return coded.to_owned();
    }
    let lines: Vec<&str> =
        coded.as_bytes().chunks(width).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

/// What can be read is written; whatever is no code, or is not complete, is told of after that.
fn decode(text: &str, passes_over: bool, busybox: bool) -> Command {
    let is_code = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=');
    let letters: String =
        text.chars().filter(|letter| *letter != '\n' && (is_code(*letter) || !passes_over)).collect();
    let end = letters.find(|letter: char| !is_code(letter)).unwrap_or(letters.len());
    let (code, rest) = letters.split_at(end);
    // A lone letter at the end stands for less than a byte.
    let whole = &code[..code.len() - usize::from(code.len() % 4 == 1)];
    let decoded = LENIENT.decode(whole);
    let is_complete = rest.is_empty() && code.len() % 4 == 0 && decoded.is_ok();
    let mut out = Out::default();
    out.out(String::from_utf8_lossy(&decoded.unwrap_or_default()));
    if is_complete {
        return out.done(0);
    }
    out.err(if busybox { "base64: truncated input\n" } else { "base64: invalid input\n" });
    out.done(1)
}
