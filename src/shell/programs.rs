//! Which programs there are, in which kind of image.

use super::busybox;
use crate::cluster::images::{self, Tools};

/// Programs of a Linux distribution, and the servers of the images that are known.
const FULL: &[&str] = &[
    "coredns",
    "node-cache",
    "pilot-agent",
    "getent",
    "agnhost",
    "arp",
    "arping",
    "awk",
    "brctl",
    "bridge",
    "busybox",
    "cat",
    "ls",
    "conntrack",
    "curl",
    "date",
    "dig",
    "host",
    "nslookup",
    "echo",
    "env",
    "false",
    "base64",
    "grep",
    "head",
    "hostname",
    "http-echo",
    "httpd-foreground",
    "ifconfig",
    "ip",
    "flock",
    "ipcmk",
    "ipcrm",
    "ipcs",
    "ipset",
    "ipvsadm",
    "mkfifo",
    "rm",
    "test",
    "touch",
    "iptables",
    "iptables-nft",
    "iptables-nft-restore",
    "iptables-nft-save",
    "iptables-restore",
    "iptables-save",
    "kubectl",
    "mausezahn",
    "mawk",
    "memcached",
    "mtr",
    "nc",
    "nc.openbsd",
    "nc.traditional",
    "netcat",
    "netstat",
    "nstat",
    "nft",
    "nginx",
    "pause",
    "ping",
    "postgres",
    "printenv",
    "printf",
    "ps",
    "python",
    "python3",
    "redis-server",
    "route",
    "sed",
    "seq",
    "sleep",
    "tail",
    "tcpdump",
    "telnet",
    "tracepath",
    "traceroute",
    "true",
    "sort",
    "uniq",
    "cut",
    "tr",
    "whoami",
    "id",
    "uname",
    "which",
    "wc",
    "wget",
    "ss",
    "ethtool",
    "sysctl",
    "suricata",
    "tc",
];

/// Programs that come with an image whatever else is in it.
const OWN: [&str; 14] = [
    "coredns",
    "node-cache",
    "pilot-agent",
    "agnhost",
    "curl",
    "http-echo",
    "httpd-foreground",
    "memcached",
    "nginx",
    "pause",
    "postgres",
    "python",
    "python3",
    "redis-server",
];

/// Whether a word names a shell, by its name or path.
pub fn is_shell(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    matches!(name, "sh" | "bash" | "ash" | "dash" | "zsh")
}

/// Whether an image has this shell, by its name or path.
pub fn has_shell(image: Option<&str>, word: &str) -> bool {
    let (place, name) = word.rsplit_once('/').map_or((None, word), |(place, name)| (Some(place), name));
    let own_bash = image.is_some_and(|image| images::name_and_tag(image).0 == "bash");
    let is_musl = image.is_some_and(images::has_musl);
    let is_there = match image.map(images::tools) {
        Some(Tools::Nothing) => false,
        Some(Tools::Busybox) => matches!(name, "sh" | "ash") || (name == "bash" && own_bash),
        Some(Tools::Full) => match name {
            "sh" => true,
            "ash" => is_musl || own_bash,
            "zsh" => image.is_some_and(|image| images::name_and_tag(image).0 == "netshoot"),
            "dash" => !is_musl && !own_bash,
            _ => image.is_none_or(|image| images::name_and_tag(image).0 != "curl"),
        },
        None => matches!(name, "sh" | "bash" | "dash"),
    };
    let is_place = match place {
        None | Some("/bin" | "/usr/bin") => true,
        Some(place) => place == "/usr/local/bin" && own_bash,
    };
    is_there && is_place && is_shell(word)
}

/// Whether an image has what a word names, a shell or another program.
pub fn has_executable(image: Option<&str>, word: &str) -> bool {
    if is_shell(word) { has_shell(image, word) } else { has_program(image, word) }
}

/// Whether an image has a program, by its name or path; a machine (`None`) has all.
pub fn has_program(image: Option<&str>, program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    match image.map(images::tools) {
        Some(Tools::Nothing) => OWN.contains(&name),
        Some(Tools::Busybox) => OWN.contains(&name) || is_busybox_program(name),
        Some(Tools::Full) | None => FULL.contains(&name) || is_busybox_program(name),
    }
}

fn is_busybox_program(name: &str) -> bool {
    name == "busybox" || busybox::has(name)
}

/// Whether an image has busybox in place of the full tools, and this program is one of its applets.
pub(super) fn is_applet(image: Option<&str>, name: &str) -> bool {
    image.is_some_and(|image| images::tools(image) == Tools::Busybox) && busybox::has(name)
}
