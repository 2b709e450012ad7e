//! `touch` and `test`.

use super::kernel_files::{self, Entry};
use super::out::{Out, not_simulated, refuse};
use super::{Command, Context, KernelChange};

/// `touch PATH…`: makes empty files; of those that are there nothing changes, for no times are kept.
pub(super) fn touch(context: &Context<'_>, words: &[String], busybox: bool) -> Command {
    let mut out = Out::default();
    let paths: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    if paths.is_empty() {
        out.err(if busybox {
            "BusyBox: touch: missing operand\n".to_owned()
        } else {
            "touch: missing file operand\nTry 'touch --help' for more information.\n".to_owned()
        });
        return out.done(1);
    }
    let makes = !words.iter().any(|word| word == "-c");
    let changes = paths
        .into_iter()
        .filter(|path| makes && !is_there(context, path))
        .map(|path| KernelChange::Touch(path.clone()))
        .collect();
    Command::Change { changes, output: out.into_pieces(), status: 0 }
}

fn is_file(context: &Context<'_>, path: &str) -> bool {
    (context.files)(path).is_some()
        || matches!(kernel_files::find(context.inventory, context.netns, path), Some(Entry::File(_)))
}

fn is_directory(context: &Context<'_>, path: &str) -> bool {
    path == "/"
        || matches!(kernel_files::find(context.inventory, context.netns, path), Some(Entry::Directory(_)))
}

fn is_there(context: &Context<'_>, path: &str) -> bool {
    is_file(context, path) || (context.is_fifo)(path) || is_directory(context, path)
}

/// `test`: strings, numbers, and files as far as they are known.
pub(super) fn test(context: &Context<'_>, words: &[String]) -> Command {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match holds(context, &words) {
        Ok(true) => Out::default().done(0),
        Ok(false) => Out::default().done(1),
        Err(why) => refuse(why, 2),
    }
}

fn holds(context: &Context<'_>, words: &[&str]) -> Result<bool, String> {
    let number =
        |text: &str| text.parse::<i64>().map_err(|_| format!("test: {text}: integer expression expected\n"));
    Ok(match words {
        [] => false,
        [text] | ["-n", text] => !text.is_empty(),
        ["!", rest @ ..] => !holds(context, rest)?,
        ["-z", text] => text.is_empty(),
        ["-f", path] => is_file(context, path),
        ["-d", path] => is_directory(context, path),
        ["-p", path] => (context.is_fifo)(path),
        ["-e" | "-r" | "-w", path] => is_there(context, path),
        ["-s", path] => (context.files)(path).is_some_and(|text| !text.is_empty()),
        [one, "=" | "==", other] => one == other,
        [one, "!=", other] => one != other,
        [one, "-eq", other] => number(one)? == number(other)?,
        [one, "-ne", other] => number(one)? != number(other)?,
        [one, "-lt", other] => number(one)? < number(other)?,
        [one, "-le", other] => number(one)? <= number(other)?,
        [one, "-gt", other] => number(one)? > number(other)?,
        [one, "-ge", other] => number(one)? >= number(other)?,
        _ => {
            if let Some(at) = words.iter().position(|word| *word == "-o") {
                return Ok(holds(context, &words[..at])? || holds(context, &words[at + 1..])?);
            }
            if let Some(at) = words.iter().position(|word| *word == "-a") {
                return Ok(holds(context, &words[..at])? && holds(context, &words[at + 1..])?);
            }
            return Err(not_simulated("test", &words.join(" ")).0);
        }
    })
}
