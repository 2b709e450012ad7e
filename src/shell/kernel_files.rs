//! The files in which the kernel shows its tables, `/proc/sys`, `/proc/net` and `/sys/class/net`, and devices that every
//! container has: `/dev/null` and `/dev/zero`.

mod proc_net;
mod sysfs;

use super::sysctl;
use crate::base::NetnsId;
use crate::trace::{Inventory, NetnsState};

/// Directories of the kernel's own: nothing else lies below them.
const ROOTS: [&str; 3] = ["/proc/sys/net", "/proc/net", "/sys/class/net"];

/// A device that gives zeros without an end (`man 4 zero`).
pub(super) const ZERO: &str = "/dev/zero";

/// What a path in the kernel's directories leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file and what it says.
    File(String),
    /// A directory and what is in it, in order, where that is known as a whole.
    Directory(Option<Vec<String>>),
    /// A file that cannot be read as things stand: the reason.
    Refused(&'static str),
    /// A file whose content is not simulated.
    Unknown,
    /// Nothing.
    Missing(&'static str),
}

/// Nothing is there.
const NO_ENTRY: Entry = Entry::Missing("No such file or directory");

/// What the kernel shows under a path in a namespace; `None` outside its directories.
pub(super) fn find(inventory: &Inventory, netns: NetnsId, path: &str) -> Option<Entry> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let path = format!("/{}", parts.join("/"));
    match path.as_str() {
        "/dev/null" => return Some(Entry::File(String::new())),
        // It has no end.
        ZERO => return Some(Entry::Unknown),
        _ => {}
    }
    // `/proc/net` is a link to the one of the process that asks.
    let path = path.replacen("/proc/self/net", "/proc/net", 1);
    let root = ROOTS.into_iter().find(|root| is_below(&path, root))?;
    let state = inventory.netns.get(&netns)?;
    let rest: Vec<&str> = path[root.len()..].split('/').filter(|part| !part.is_empty()).collect();
    Some(match root {
        "/proc/net" => proc_net::find(inventory, state, &rest),
        "/sys/class/net" => sysfs::find(state, &rest),
        _ => setting(state, &rest),
    })
}

/// The content of a file of the kernel's.
pub fn read(inventory: &Inventory, netns: NetnsId, path: &str) -> Option<String> {
    match find(inventory, netns, path)? {
        Entry::File(text) => Some(text),
        Entry::Directory(_) | Entry::Refused(_) | Entry::Unknown | Entry::Missing(_) => None,
    }
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A file of `/proc/sys/net`, whose names are those of `sysctl`.
fn setting(state: &NetnsState, parts: &[&str]) -> Entry {
    let key = format!("net/{}", parts.join("/"));
    if let Some(value) = sysctl::read_file(state, &key) {
        return Entry::File(value + "\n");
    }
    if let ["ipv4", "conf" | "neigh"] = parts {
        let mut names: Vec<String> = state.links.values().map(|link| link.name.to_string()).collect();
        names.extend(["all".to_owned(), "default".to_owned()]);
        if parts[1] == "neigh" {
            names.retain(|name| name != "all");
        }
        names.sort();
        return Entry::Directory(Some(names));
    }
    if parts.is_empty() || sysctl::is_directory(state, &key) { Entry::Directory(None) } else { NO_ENTRY }
}
