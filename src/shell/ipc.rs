//! `ipcs`, `ipcmk` and `ipcrm` of util-linux 2.38: the System V objects of the IPC namespace, which all containers of a
//! Pod share.

use super::getopt::getopt;
use super::out::{Out, not_simulated, refuse};
use super::{Command, Context, KernelChange};
use crate::trace::{Ipc, IpcChange, IpcKind, IpcRow};
use std::fmt::Write as _;

/// Kinds in the order in which `ipcs` lists them.
const KINDS: [(IpcKind, char); 3] = [(IpcKind::Msg, 'q'), (IpcKind::Shm, 'm'), (IpcKind::Sem, 's')];

fn objects<'a>(context: &Context<'a>) -> Option<&'a Ipc> {
    context.inventory.netns.get(&context.netns).map(|state| &state.ipc)
}

fn wrong(program: &str, text: &str) -> Command {
    refuse(format!("{program}: {text}\nTry '{program} --help' for more information.\n"), 1)
}

/// `ipcs`.
pub(super) fn ipcs(context: &Context<'_>, words: &[String]) -> Command {
    let parsed = match getopt("i:aqmstpculhVb", words) {
        Ok(parsed) => parsed,
        Err(text) => return wrong("ipcs", &text),
    };
    if let Some((letter, _)) = parsed.options.iter().find(|(letter, _)| "itpculhVb".contains(*letter)) {
        let (text, status) = not_simulated("ipcs", &format!("-{letter}"));
        return refuse(text, status);
    }
    let Some(ipc) = objects(context) else { return refuse("", 1) };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    let all = has('a') || !KINDS.iter().any(|(_, letter)| has(*letter));
    let mut text = "\n".to_owned();
    for (kind, _) in KINDS.into_iter().filter(|(_, letter)| all || has(*letter)) {
        let (title, id, tail) = match kind {
            IpcKind::Msg => ("Message Queues", "msqid", "used-bytes   messages    "),
            IpcKind::Shm => ("Shared Memory Segments", "shmid", "bytes      nattch     status      "),
            IpcKind::Sem => ("Semaphore Arrays", "semid", "nsems     "),
        };
        let _ = writeln!(text, "------ {title} --------\nkey        {id:<10} owner      perms      {tail}");
        for row in ipc.objects.values().filter(|row| row.kind == kind) {
            let _ = write!(text, "{:#010x} {:<10} {:<10} {:<10o} ", row.key, row.id, "root", row.mode);
            // Nobody here keeps a segment attached or leaves a message behind.
            let _ = match kind {
                IpcKind::Msg => writeln!(text, "{:<12} {:<12}", 0, 0),
                IpcKind::Shm => writeln!(text, "{:<10} {:<10} {:<6} {:<6}", row.size, 0, "", ""),
                IpcKind::Sem => writeln!(text, "{:<10}", row.size),
            };
        }
        text.push('\n');
    }
    super::out::answer(text)
}

/// `ipcmk`.
pub(super) fn ipcmk(context: &mut Context<'_>, words: &[String]) -> Command {
    let parsed = match getopt("M:S:Qp:hV", words) {
        Ok(parsed) => parsed,
        Err(text) => return wrong("ipcmk", &text),
    };
    let Some(ipc) = objects(context) else { return refuse("", 1) };
    let mut out = Out::default();
    let mut changes = Vec::new();
    let mut mode = 0o644;
    for (_, argument) in parsed.options.iter().filter(|(letter, _)| *letter == 'p') {
        match u16::from_str_radix(argument, 8) {
            Ok(found) => mode = found & 0o777,
            Err(_) => return wrong("ipcmk", "failed to parse mode"),
        }
    }
    for (letter, argument) in &parsed.options {
        let (kind, what) = match letter {
            'M' => (IpcKind::Shm, "Shared memory id"),
            'S' => (IpcKind::Sem, "Semaphore id"),
            'Q' => (IpcKind::Msg, "Message queue id"),
            'p' => continue,
            other => {
                let (text, status) = not_simulated("ipcmk", &format!("-{other}"));
                return refuse(text, status);
            }
        };
        let size = match (kind, argument.parse::<u32>()) {
            (IpcKind::Msg, _) => 0,
            (_, Ok(size)) if size > 0 => size,
            (IpcKind::Shm, _) => return wrong("ipcmk", "failed to parse size"),
            (IpcKind::Sem, _) => return wrong("ipcmk", "failed to parse elements"),
        };
        // The kernel gives numbers out in a circle, so one that was used lately does not come again.
        let already = changes
            .iter()
            .filter(|change| matches!(change, KernelChange::Ipc(change) if matches!(&**change, IpcChange::Object(row) if row.kind == kind)))
            .count() as u32;
        let id = ipc.made.get(&kind).copied().unwrap_or(0) + already;
        let key = context.rng.u32(1..);
        let row = IpcRow { netns: context.netns, kind, id, key, size, mode };
        out.out(format!("{what}: {id}\n"));
        changes.push(KernelChange::Ipc(Box::new(IpcChange::Object(row))));
    }
    if changes.is_empty() {
        return wrong("ipcmk", "bad usage");
    }
    Command::Change { changes, output: out.into_pieces(), status: 0 }
}

/// `ipcrm`.
pub(super) fn ipcrm(context: &Context<'_>, words: &[String]) -> Command {
    let parsed = match getopt("m:M:q:Q:s:S:ahvV", words) {
        Ok(parsed) => parsed,
        Err(text) => return wrong("ipcrm", &text),
    };
    let Some(ipc) = objects(context) else { return refuse("", 1) };
    let mut out = Out::default();
    let mut changes = Vec::new();
    let mut status = 0;
    for (letter, argument) in &parsed.options {
        let gone = |row: &IpcRow| {
            KernelChange::Ipc(Box::new(IpcChange::ObjectGone(context.netns, row.kind, row.id)))
        };
        let kind = match letter.to_ascii_lowercase() {
            'm' => IpcKind::Shm,
            's' => IpcKind::Sem,
            'q' => IpcKind::Msg,
            'a' => {
                changes.extend(ipc.objects.values().map(gone));
                continue;
            }
            'v' => continue,
            other => {
                let (text, status) = not_simulated("ipcrm", &format!("-{other}"));
                return refuse(text, status);
            }
        };
        let by_key = letter.is_ascii_uppercase();
        let number = match argument.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => argument.parse().ok(),
        };
        let found = ipc
            .objects
            .values()
            .find(|row| row.kind == kind && Some(if by_key { row.key } else { row.id }) == number);
        if let Some(row) = found {
            changes.push(gone(row));
        } else {
            let what = if by_key { "key" } else { "id" };
            out.err(format!("ipcrm: invalid {what} ({argument})\n"));
            status = 1;
        }
    }
    Command::Change { changes, output: out.into_pieces(), status }
}
