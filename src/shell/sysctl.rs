//! `sysctl` of procps 4.0.2: reads and changes the kernel settings that are simulated.

use super::out::{Out, not_simulated, refuse};
use super::{Command, Context, KernelChange};
use crate::kernel;
use crate::trace::NetnsState;

/// Runs `sysctl`.
pub(super) fn sysctl(context: &Context<'_>, words: &[String]) -> Command {
    let Some(state) = context.inventory.netns.get(&context.netns) else {
        return refuse("sysctl: no network namespace\n", 1);
    };
    let (mut write, mut values_only, mut quiet) = (false, false, false);
    let mut operands = Vec::new();
    for word in words {
        match word.as_str() {
            "-w" | "--write" => write = true,
            "-n" | "--values" => values_only = true,
            "-q" | "--quiet" => quiet = true,
            "-V" | "--version" => return super::out::answer("sysctl from procps-ng 4.0.2\n"),
            option if option.starts_with('-') => {
                let (text, status) = not_simulated("sysctl", option);
                return refuse(text, status);
            }
            operand => operands.push(operand),
        }
    }
    let mut out = Out::default();
    let mut changes = Vec::new();
    let mut failed = operands.is_empty();
    for operand in operands {
        let done = match operand.split_once('=') {
            Some((key, value)) => set(state, context, (key.trim(), value.trim())).map(|change| {
                changes.push(change.0);
                if quiet { String::new() } else { line(&change.1, value.trim(), values_only) }
            }),
            None if write => Err(format!("sysctl: \"{operand}\" must be of the form name=value\n")),
            None => value_of(state, operand).map(|(key, value)| line(&key, &value, values_only)),
        };
        match done {
            Ok(text) => out.out(text),
            Err(text) => {
                out.err(text);
                failed = true;
            }
        }
    }
    if failed || changes.is_empty() {
        return out.done(u8::from(failed));
    }
    Command::Change { changes, output: out.into_pieces(), status: 0 }
}

fn line(key: &str, value: &str, values_only: bool) -> String {
    if values_only { format!("{value}\n") } else { format!("{key} = {value}\n") }
}

/// Either separator may be used; with slashes, dots belong to interface names.
fn dotted(key: &str) -> String {
    let first = key.find(['.', '/']).and_then(|at| key[at..].chars().next());
    if first == Some('/') {
        key.chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect()
    } else {
        key.to_owned()
    }
}

fn unknown(key: &str) -> String {
    let path: String = key
        .chars()
        .map(|c| {
            if c == '.' {
                '/'
            } else if c == '/' {
                '.'
            } else {
                c
            }
        })
        .collect();
    format!("sysctl: cannot stat /proc/sys/{path}: No such file or directory\n")
}

fn value_of(state: &NetnsState, key: &str) -> Result<(String, String), String> {
    let key = dotted(key);
    let of_default = || kernel::default_setting(&key).filter(|_| interface_exists(state, &key));
    let forwarding = || {
        let own = key.starts_with("net.ipv4.conf.") && key.ends_with(".forwarding");
        own.then(|| state.sysctls.get("net.ipv4.ip_forward")).flatten().map(ToString::to_string)
    };
    let value =
        state.sysctls.get(key.as_str()).map(ToString::to_string).or_else(forwarding).or_else(of_default);
    value.map(|value| (key.clone(), value)).ok_or_else(|| unknown(&key))
}

fn interface_exists(state: &NetnsState, key: &str) -> bool {
    let named = key.strip_prefix("net.ipv4.conf.").or_else(|| key.strip_prefix("net.ipv4.neigh."));
    let Some((ifname, _)) = named.and_then(|rest| rest.rsplit_once('.')) else { return true };
    matches!(ifname, "all" | "default") || state.link_named(&ifname.replace('/', ".")).is_some()
}

fn set(
    state: &NetnsState,
    context: &Context<'_>,
    (key, value): (&str, &str),
) -> Result<(KernelChange, String), String> {
    let (key, _) = value_of(state, key)?;
    // A container sees `/proc/sys` read-only unless it is privileged.
    if context.image.is_some() {
        return Err(format!("sysctl: permission denied on key \"{key}\"\n"));
    }
    if value.parse::<u64>().is_err() {
        return Err(format!("sysctl: setting key \"{key}\": Invalid argument\n"));
    }
    Ok((KernelChange::SetSysctl(key.clone(), value.to_owned()), key))
}
