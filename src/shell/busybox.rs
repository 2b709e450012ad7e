//! The applets of busybox 1.35, where they print otherwise than the tools they stand for.

use super::nettools::{self, Edition};
use super::out::{answer, refuse};
use super::{Command, Context, files, filters, ip, lookup, nc, netstat, ping, servers, traceroute, wget};
use crate::cluster::images::{self, Tools};

/// First line of every usage text.
pub(super) const BANNER: &str = "BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.\n";

/// Whether there is an applet of this name.
pub(super) fn has(applet: &str) -> bool {
    const APPLETS: [&str; 28] = [
        "arp",
        "cat",
        "date",
        "echo",
        "env",
        "false",
        "grep",
        "head",
        "hostname",
        "httpd",
        "ifconfig",
        "ip",
        "nc",
        "netstat",
        "nslookup",
        "ping",
        "printenv",
        "printf",
        "ps",
        "route",
        "seq",
        "sleep",
        "tail",
        "telnet",
        "traceroute",
        "true",
        "wc",
        "wget",
    ];
    APPLETS.contains(&applet)
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
        "date" => filters::date(context, words),
        "env" | "printenv" => filters::env(context, words),
        "grep" => filters::grep(context, words),
        "head" => filters::head(context, words),
        "httpd" => servers::busybox_httpd(words),
        "printf" => filters::printf(words),
        "ps" => filters::busybox_ps(context),
        "seq" => filters::seq(words),
        "tail" => filters::tail(context, words),
        "nc" => nc::busybox(words, context.image.is_none_or(|image| images::tools(image) != Tools::Busybox)),
        "netstat" => netstat::netstat(context, words, Edition::Busybox),
        "nslookup" => lookup::nslookup(words, crate::app::lookup::nslookup::Edition::Busybox),
        "telnet" => nc::telnet(words),
        "traceroute" => traceroute::traceroute(words, true),
        "wc" => filters::wc(context, words),
        "wget" => wget::busybox(words),
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
