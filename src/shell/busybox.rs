//! The applets of busybox 1.35, where they print otherwise than the tools they stand for.

use super::nettools::{self, Edition};
use super::out::{answer, refuse};
use super::{Command, Context, files, ip, ping};

/// First line of every usage text.
pub(super) const BANNER: &str = "BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.\n";

/// Whether an image has busybox in place of the full tools: its name or tag says so.
pub(super) fn is_busybox(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    let named = last.split('@').next().unwrap_or(last);
    ["busybox", "alpine"].iter().any(|word| named.contains(word))
}

/// Whether there is an applet of this name.
pub(super) fn has(applet: &str) -> bool {
    const APPLETS: [&str; 10] =
        ["arp", "cat", "echo", "false", "hostname", "ifconfig", "ip", "ping", "route", "sleep"];
    APPLETS.contains(&applet) || applet == "true"
}

/// Runs the applet that the first word names.
pub(super) fn run(context: &mut Context<'_>, words: &[String]) -> Command {
    let Some((applet, words)) = words.split_first() else { return answer(BANNER) };
    match applet.as_str() {
        "arp" => nettools::arp(context, words, Edition::Busybox),
        "ifconfig" => nettools::ifconfig(context, words, Edition::Busybox),
        "ip" if prints_its_own(words) => nettools::busybox_ip(context, words),
        "ip" => ip::ip(context, words),
        "route" => nettools::route(context, words),
        "cat" => files::cat(context, words),
        "echo" => files::echo(words),
        "false" => refuse("", 1),
        "hostname" => files::hostname(context, words),
        "ping" => ping::busybox_ping(words),
        "sleep" => files::sleep(words),
        "true" => answer(""),
        _ => refuse(format!("{applet}: applet not found\n"), 127),
    }
}

/// Whether `ip` is asked for what busybox prints in its own way: links and addresses.
fn prints_its_own(words: &[String]) -> bool {
    let mut plain = words.iter().filter(|word| *word != "-4" && *word != "-o");
    let object = plain.next().map_or("", String::as_str);
    let changes = ["set", "add", "del", "change", "replace", "flush"];
    let command = plain.next().map_or("show", String::as_str);
    !object.is_empty()
        && ("address".starts_with(object) || "link".starts_with(object))
        && !changes.iter().any(|name| command.len() > 1 && name.starts_with(command))
}

#[cfg(test)]
mod tests {
    use super::is_busybox;

    #[test]
    fn an_image_says_whether_it_has_busybox() {
        for image in [
            "busybox",
            "docker.io/library/busybox:1.36",
            "alpine:3",
            "nginx:1.27-alpine",
            "r:5000/my-alpine@sha256:0",
        ] {
            assert!(is_busybox(image), "{image}");
        }
        for image in ["debian:12", "curlimages/curl", "alpine/git", "alpine.example:5000/debian"] {
            assert!(!is_busybox(image), "{image}");
        }
    }
}
