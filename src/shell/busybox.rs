//! The applets of busybox 1.35, where they print otherwise than the tools they stand for.

use super::nettools::{self, Edition};
use super::out::{answer, refuse};
use super::{
    Command, Context, awk, busybox_ip, encoding, file_tests, files, filters, grep, head_tail, name_tools, nc,
    netstat, ping, printf, route, sed, servers, text_tools, traceroute, wget,
};
use crate::cluster::images::{self, Tools};

/// First line of every usage text.
pub(super) const BANNER: &str = "BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.\n";

/// Whether there is an applet of this name.
pub(super) fn has(applet: &str) -> bool {
    const APPLETS: [&str; 44] = [
        "awk",
        "sed",
        "mkfifo",
        "rm",
        "test",
        "touch",
        "arp",
        "base64",
        "cat",
        "ls",
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
    ];
    APPLETS.contains(&applet)
}

/// Runs the applet that the first word names.
pub(super) fn run(context: &mut Context<'_>, words: &[String]) -> Command {
    let Some((applet, words)) = words.split_first() else { return answer(BANNER) };
    match applet.as_str() {
        "arp" => nettools::arp(context, words, Edition::Busybox),
        "ifconfig" => nettools::ifconfig(context, words, Edition::Busybox),
        "ip" => busybox_ip::run(context, words),
        "route" => route::route(context, words, Edition::Busybox),
        "base64" => encoding::base64(context, words, true),
        "cat" => files::cat(context, words, true),
        "ls" => files::ls(context, words, true),
        "mkfifo" => files::mkfifo(context, words, true),
        "rm" => files::rm(context, words),
        "test" => file_tests::test(context, words),
        "touch" => file_tests::touch(context, words, true),
        "echo" => files::echo(words),
        "false" => refuse("", 1),
        "hostname" => files::hostname(context, words),
        "ping" => ping::busybox_ping(words),
        "sleep" => files::sleep(words),
        "true" => answer(""),
        "date" => filters::date(context, words),
        "env" | "printenv" => filters::env(context, words),
        "grep" => grep::grep(context, words),
        "awk" => awk::awk(context, "awk", words),
        "sed" => sed::sed(context, words),
        "head" => head_tail::head(context, words, true),
        "httpd" => servers::busybox_httpd(context, words),
        "printf" => printf::printf(context, words),
        "ps" => filters::busybox_ps(context),
        "seq" => filters::seq(words),
        "tail" => head_tail::tail(context, words, true),
        "nc" => nc::busybox(words, context.image.is_none_or(|image| images::tools(image) != Tools::Busybox)),
        "netstat" => netstat::netstat(context, words, Edition::Busybox),
        "nslookup" => name_tools::busybox_nslookup(words),
        "telnet" => nc::telnet(words),
        "traceroute" => traceroute::traceroute(words, true),
        "sort" => text_tools::sort(context, words),
        "uniq" => text_tools::uniq(context, words),
        "cut" => text_tools::cut(context, words),
        "tr" => text_tools::tr(context, words),
        "whoami" | "id" | "uname" => text_tools::identity(context, applet, words),
        "which" => text_tools::which(context, words),
        "wc" => filters::wc(context, words),
        "wget" => wget::busybox(words),
        _ => refuse(format!("{applet}: applet not found\n"), 127),
    }
}
