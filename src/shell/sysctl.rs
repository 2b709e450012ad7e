//! `sysctl` of procps 4.0.2: reads and changes the kernel settings that are simulated.

use super::kernel_files::{Entry, find};
use super::out::{Out, not_simulated, refuse};
use super::{Command, Context, KernelChange};
use crate::base::NetnsId;
use crate::kernel;
use crate::trace::{Inventory, NetnsRole, NetnsState};

/// Runs `sysctl`.
pub(super) fn sysctl(context: &Context<'_>, words: &[String]) -> Command {
    let Some(state) = context.inventory.netns.get(&context.netns) else {
        return refuse("sysctl: no network namespace\n", 1);
    };
    let (asked, operands) = match read(words) {
        Ok(read) => read,
        Err(command) => return command,
    };
    if asked.all {
        let wanted = |key: &String| asked.pattern.as_ref().is_none_or(|part| key.contains(part.as_str()));
        let keys = known(state).into_iter().filter(wanted);
        let lines = keys.filter_map(|key| value_of(state, context.hostname, &key).ok());
        return super::out::answer(lines.map(|(key, value)| asked.line(&key, &value)).collect::<String>());
    }
    if operands.is_empty() {
        return refuse("sysctl: no variables specified\nTry `sysctl --help' for more information.\n", 1);
    }
    let mut out = Out::default();
    let mut changes = Vec::new();
    let mut failed = false;
    for operand in operands {
        let done = match operand.split_once('=') {
            Some((key, value)) => set(state, context, (key.trim(), value.trim())).map(|change| {
                changes.push(change.0);
                if asked.quiet { String::new() } else { asked.line(&change.1, value.trim()) }
            }),
            None if asked.write => Err("sysctl: command line(0): invalid syntax, continuing...\n".to_owned()),
            None => read_operand(state, context, operand, &asked),
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

/// What the options ask for.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
struct Asked {
    write: bool,
    values_only: bool,
    names_only: bool,
    binary: bool,
    quiet: bool,
    ignore: bool,
    all: bool,
    pattern: Option<String>,
}

impl Asked {
    fn line(&self, key: &str, value: &str) -> String {
        match self {
            Self { names_only: true, .. } => format!("{key}\n"),
            Self { binary: true, .. } => value.to_owned(),
            Self { values_only: true, .. } => format!("{value}\n"),
            Self { .. } => format!("{key} = {value}\n"),
        }
    }
}

fn read(words: &[String]) -> Result<(Asked, Vec<&str>), Command> {
    let mut asked = Asked::default();
    let mut operands = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-w" | "--write" => asked.write = true,
            "-n" | "--values" => asked.values_only = true,
            "-N" | "--names" => asked.names_only = true,
            "-b" | "--binary" => asked.binary = true,
            "-q" | "--quiet" => asked.quiet = true,
            "-e" | "--ignore" => asked.ignore = true,
            "-a" | "-A" | "-X" | "--all" => asked.all = true,
            "-r" | "--pattern" => asked.pattern = words.next().cloned(),
            // They do nothing in the real program either.
            "-o" | "-x" => {}
            "-V" | "--version" => return Err(super::out::answer("sysctl from procps-ng 4.0.2\n")),
            option if option.starts_with('-') => {
                let (text, status) = not_simulated("sysctl", option);
                return Err(refuse(text, status));
            }
            operand => operands.push(operand),
        }
    }
    Ok((asked, operands))
}

/// The value of a setting, or all settings below a directory.
fn read_operand(
    state: &NetnsState,
    context: &Context<'_>,
    operand: &str,
    asked: &Asked,
) -> Result<String, String> {
    match value_of(state, context.hostname, operand) {
        Ok((key, value)) => Ok(asked.line(&key, &value)),
        Err(text) => {
            let below = dotted(operand) + ".";
            let keys = known(state).into_iter().filter(|key| key.starts_with(&below));
            let values = keys.filter_map(|key| value_of(state, context.hostname, &key).ok());
            let lines: String = values.map(|(key, value)| asked.line(&key, &value)).collect();
            if lines.is_empty() && !asked.ignore { Err(text) } else { Ok(lines) }
        }
    }
}

/// Settings with Linux's defaults that nothing here changes; a `*` stands for an interface or `default`.
const DEFAULTS: &str = include_str!("sysctl-defaults.txt");

fn defaults() -> impl Iterator<Item = (&'static str, &'static str)> {
    DEFAULTS
        .lines()
        .filter_map(|line| line.split_once(" ="))
        .map(|(key, value)| (key, value.trim_start_matches(' ')))
}

fn fixed(state: &NetnsState, key: &str) -> Option<String> {
    match key {
        "net.netfilter.nf_conntrack_count" => return Some(state.netfilter.conntrack.len().to_string()),
        "net.netfilter.nf_conntrack_max" => return Some("262144".to_owned()),
        "net.netfilter.nf_conntrack_tcp_loose" => return Some("1".to_owned()),
        _ => {}
    }
    let fits = |name: &str| match name.split_once('*') {
        None => name == key,
        Some((head, tail)) => {
            let ifname = key.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
            ifname.is_some_and(|_| interface_exists(state, key))
        }
    };
    defaults().find(|(name, _)| fits(name)).map(|(_, value)| value.to_owned())
}

/// Every setting that has a value here, in the order of the directories.
fn known(state: &NetnsState) -> Vec<String> {
    let own = [
        "net.ipv4.ip_forward",
        "net.ipv4.fib_multipath_hash_policy",
        "net.ipv4.fib_multipath_hash_fields",
        "net.ipv4.fib_multipath_use_neigh",
        "net.ipv4.ip_default_ttl",
        "net.ipv4.icmp_echo_ignore_all",
        "net.ipv4.icmp_echo_ignore_broadcasts",
        "net.ipv4.icmp_ratelimit",
        "net.bridge.bridge-nf-call-iptables",
        "net.netfilter.nf_conntrack_count",
        "net.netfilter.nf_conntrack_max",
        "net.netfilter.nf_conntrack_tcp_loose",
    ];
    let mut keys: Vec<String> = own.into_iter().map(str::to_owned).collect();
    let links = state.links.values().map(|link| link.name.replace('.', "/"));
    let names: Vec<String> = ["all".to_owned(), "default".to_owned()].into_iter().chain(links).collect();
    for (name, _) in defaults() {
        match name.split_once('*') {
            None => keys.push(name.to_owned()),
            Some((head, tail)) => {
                keys.extend(names.iter().skip(1).map(|name| format!("{head}{name}{tail}")));
            }
        }
    }
    for name in &names {
        keys.extend(kernel::CONF_NAMES.iter().map(|conf| format!("net.ipv4.conf.{name}.{conf}")));
    }
    keys.sort();
    keys.dedup();
    keys
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

fn value_of(state: &NetnsState, hostname: &str, key: &str) -> Result<(String, String), String> {
    let key = dotted(key);
    // A node's kubelet has it on before anything else happens.
    let is_node = matches!(state.row.role, NetnsRole::Node);
    let bridged = || (is_node && key == "net.bridge.bridge-nf-call-iptables").then(|| "1".to_owned());
    let hostname = || (key == "kernel.hostname").then(|| hostname.to_owned());
    let of_default = || kernel::default_setting(&key).filter(|_| interface_exists(state, &key));
    let forwarding = || {
        let own = key.starts_with("net.ipv4.conf.") && key.ends_with(".forwarding");
        own.then(|| state.sysctls.get("net.ipv4.ip_forward")).flatten().map(ToString::to_string)
    };
    let set = state.sysctls.get(key.as_str()).map(ToString::to_string);
    let value = set
        .or_else(forwarding)
        .or_else(bridged)
        .or_else(hostname)
        .or_else(of_default)
        .or_else(|| fixed(state, &key));
    value.map(|value| (key.clone(), value)).ok_or_else(|| unknown(&key))
}

/// What a file of `/proc/sys` says; its path begins with `net/`.
pub(super) fn read_file(state: &NetnsState, path: &str) -> Option<String> {
    value_of(state, "", path).ok().map(|(_, value)| value)
}

/// What writing a text into a file under `/proc` or `/sys` does; the error is what `dash` says and its status.
pub fn write_file(
    inventory: &Inventory,
    netns: NetnsId,
    (path, text): (&str, &str),
    is_container: bool,
) -> Result<KernelChange, (String, u8)> {
    let cannot = |why: &str| (format!("cannot create {path}: {why}"), 2);
    let nowhere = || cannot("Directory nonexistent");
    let state = inventory.netns.get(&netns).ok_or_else(nowhere)?;
    let Some(key) = path.strip_prefix("/proc/sys/").filter(|key| key.starts_with("net/")) else {
        return Err(match find(inventory, netns, path) {
            Some(Entry::File(_) | Entry::Refused(_) | Entry::Unknown) => cannot("Permission denied"),
            Some(Entry::Directory(_)) => cannot("Is a directory"),
            Some(Entry::Missing(_)) | None => nowhere(),
        });
    };
    if is_directory(state, key) {
        return Err(cannot("Is a directory"));
    }
    let (key, _) = value_of(state, "", key).map_err(|_| nowhere())?;
    if is_container {
        return Err(cannot("Read-only file system"));
    }
    if is_obeyed_by_none(&key) {
        return Err((format!("{path}: not simulated"), 1));
    }
    let value = text.trim();
    if !fits(&key, value) {
        return Err(("echo: echo: I/O error".to_owned(), 1));
    }
    Ok(KernelChange::SetSysctl(key, value.to_owned()))
}

/// What nothing in this model would obey is not pretended to change.
fn is_obeyed_by_none(key: &str) -> bool {
    defaults().any(|(name, _)| name == key) || key.contains(".neigh.") && !key.ends_with(".proxy_delay")
}

fn fits(key: &str, value: &str) -> bool {
    let number = value.parse::<u64>().ok();
    let range = match key {
        "net.ipv4.ip_default_ttl" => 1..=255,
        "net.ipv4.fib_multipath_hash_policy" => 0..=3,
        "net.ipv4.fib_multipath_hash_fields" => 1..=4095,
        "net.ipv4.fib_multipath_use_neigh" => 0..=1,
        _ => 0..=u64::MAX,
    };
    number.is_some_and(|number| range.contains(&number))
}

/// Whether some settings lie below a directory of `/proc/sys`.
pub(super) fn is_directory(state: &NetnsState, path: &str) -> bool {
    let below = dotted(path) + ".";
    known(state).iter().any(|key| key.starts_with(&below))
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
    let (key, _) = value_of(state, context.hostname, key)?;
    // A container sees `/proc/sys` read-only unless it is privileged.
    if context.image.is_some() {
        return Err(format!("sysctl: permission denied on key \"{key}\"\n"));
    }
    if is_obeyed_by_none(&key) {
        return Err(not_simulated("sysctl", &format!("-w {key}")).0);
    }
    if !fits(&key, value) {
        return Err(format!("sysctl: setting key \"{key}\": Invalid argument\n"));
    }
    Ok((KernelChange::SetSysctl(key.clone(), value.to_owned()), key))
}
