//! The commands a user types, and their output as the real tools print it.
//!
//! A command line is parsed here into [`Command`]: either it answers at once from the tables, or it becomes a process.

mod arithmetic;
mod arping;
mod awk;
mod brctl;
mod bridge;
mod busybox;
mod busybox_ip;
pub mod change;
mod conntrack;
mod conversion;
mod curl;
mod dialect;
mod dig;
mod encoding;
mod ethtool;
mod file_tests;
mod files;
mod filters;
mod getopt;
mod grep;
mod head_tail;
mod ip;
mod ipc;
mod ipset;
mod iptables;
mod ipvsadm;
mod kernel_files;
pub mod kubectl;
mod mausezahn;
mod mtr;
mod name_tools;
mod nc;
mod netstat;
mod netstat_statistics;
mod nettools;
mod nft;
mod nstat;
mod out;
mod ping;
mod pipes;
mod posix_regex;
mod print;
mod printf;
mod programs;
mod remote;
mod route;
mod script;
mod sed;
mod servers;
mod ss;
mod suricata;
mod sysctl;
mod tc;
mod tcpdump;
mod text_tools;
mod traceroute;
mod wget;

pub use arithmetic::arithmetic;
pub use change::KernelChange;
pub use dialect::{Dialect, Place};
pub use kernel_files::read as kernel_file;
pub use pipes::{runs_at_once, timed_pipe};
pub use programs::{has_executable, has_program, has_shell, is_shell};
pub use remote::{Copying, Follow, Followed, Program, Way};
pub use script::{Node, Pattern, Piece, Redirection, Simple, Word, parse};
pub use sysctl::write_file as write_kernel_file;
pub use text_tools::path_of;

use crate::app::Process;
use crate::base::{NetnsId, PidNsId, Rng};
use crate::cluster::images::{self, Tools};
use crate::trace::{Inventory, Stream};
use nettools::Edition;
use out::{Out, refuse};

/// What a command needs to know of its surroundings.
pub struct Context<'a> {
    /// All tables at the moment of the command.
    pub inventory: &'a Inventory,
    /// The namespace it runs in.
    pub netns: NetnsId,
    /// Files of the container or node that commands read, such as `/etc/hosts`.
    pub files: &'a dyn Fn(&str) -> Option<String>,
    /// Contents of files that need not be text.
    pub bytes: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The files below a directory, by their paths from there.
    pub below: &'a dyn Fn(&str) -> Vec<String>,
    /// Whether a path is a named pipe.
    pub is_fifo: &'a dyn Fn(&str) -> bool,
    /// Host name.
    pub hostname: &'a str,
    /// The image of the container, which tells busybox from the full tools; `None` on a node.
    pub image: Option<&'a str>,
    /// Namespace that `kubectl` uses by default.
    pub kube_namespace: &'a str,
    /// Columns of the terminal; `None` where output goes elsewhere.
    pub columns: Option<usize>,
    /// What comes in by a pipe or from a file; `None` at a terminal.
    pub input: Option<&'a str>,
    /// The PID namespace it runs in.
    pub pidns: PidNsId,
    /// Its number there.
    pub pid: u32,
    /// Environment variables.
    pub variables: &'a [(String, String)],
    /// The shell that the command was given to.
    pub dialect: &'a Dialect,
    /// What the main process of a container wrote, by namespace, Pod and container, and how often it was restarted
    /// before.
    pub logs: &'a Logs<'a>,
    /// Chance, for tools that draw numbers of their own.
    pub rng: &'a mut Rng,
}

/// Finds the log of a container in one of its lives.
pub type Logs<'a> = dyn Fn((&str, &str, &str), u32) -> String + 'a;

/// What became of a command line.
pub enum Command {
    /// It answered at once: pieces of output in order, and an exit status.
    Done {
        /// Output in order.
        output: Vec<(Stream, String)>,
        /// Exit status.
        status: u8,
    },
    /// It runs on as a process.
    Process {
        /// What it wrote before anything else.
        output: Vec<(Stream, String)>,
        /// The process.
        process: Box<dyn Process>,
    },
    /// It has another command line run in a container, and ends with its status (`kubectl exec`).
    Exec {
        /// Namespace and name of the Pod.
        pod: Box<(String, String)>,
        /// The container; the first one where `None`.
        container: Option<String>,
        /// The command line.
        argv: Vec<String>,
        /// Whether it reads what the client would read (`--stdin`).
        reads: bool,
        /// Whether it has a terminal (`--tty`).
        has_tty: bool,
        /// What it wrote before.
        output: Vec<(Stream, String)>,
    },
    /// It shows what a container writes until that ends.
    Follow(Box<Follow>),
    /// It copies a file from or to a container.
    Copy(Box<Copying>),
    /// It asks for changes to the kernel of its namespace, and ends with this output and status once they are made.
    Change {
        /// The changes in order.
        changes: Vec<KernelChange>,
        /// Output in order.
        output: Vec<(Stream, String)>,
        /// Exit status.
        status: u8,
    },
}

impl Command {
    fn process(process: impl Process + 'static, output: Out) -> Self {
        Self::Process { output: output.into_pieces(), process: Box::new(process) }
    }
}

/// Parses and, where possible, answers the command `argv`. The first word is the program's name.
#[expect(clippy::too_many_lines, reason = "one line for each program")]
pub fn run(context: &mut Context<'_>, argv: &[String]) -> Command {
    let Some((name, words)) = argv.split_first() else { return Out::default().done(0) };
    let name = name.rsplit('/').next().unwrap_or(name);
    if name == "busybox" {
        return busybox::run(context, words);
    }
    if programs::is_applet(context.image, name) {
        let own: Vec<String> = [name.to_owned()].into_iter().chain(words.iter().cloned()).collect();
        return busybox::run(context, &own);
    }
    if !has_program(context.image, name) {
        return missing(context, name);
    }
    match name {
        "ifconfig" => nettools::ifconfig(context, words, Edition::NetTools),
        "ip" => ip::ip(context, words),
        "ping" => ping::ping(words),
        "arping" => arping::arping(context, words),
        "awk" | "mawk" => awk::awk(context, name, words),
        "mausezahn" => mausezahn::mausezahn(context, words),
        "arp" => nettools::arp(context, words, Edition::NetTools),
        "brctl" => brctl::brctl(context, words),
        "bridge" => bridge::bridge(context, words),
        "base64" => encoding::base64(context, words, false),
        "cat" => files::cat(context, words, false),
        "ls" => files::ls(context, words, false),
        "conntrack" => conntrack::conntrack(context, words),
        "coredns" => servers::coredns(words),
        "pilot-agent" => servers::pilot_agent(words),
        "curl" => curl::curl(words),
        "ethtool" => ethtool::ethtool(context, words),
        "echo" => files::echo(words),
        "agnhost" => servers::agnhost(words),
        "date" => filters::date(context, words),
        "dig" => dig::dig(words),
        "getent" => name_tools::getent(words),
        "host" => name_tools::host(words),
        "nslookup" => name_tools::nslookup(words),
        "env" | "printenv" => filters::env(context, words),
        "false" => Out::default().done(1),
        "grep" => grep::grep(context, words),
        "head" => head_tail::head(context, words, false),
        "http-echo" => servers::http_echo(context, words),
        "httpd-foreground" => servers::apache(),
        "hostname" => files::hostname(context, words),
        "ipset" => ipset::ipset(context, words),
        "ipvsadm" => ipvsadm::ipvsadm(context, words),
        "ipcs" => ipc::ipcs(context, words),
        "ipcmk" => ipc::ipcmk(context, words),
        "ipcrm" => ipc::ipcrm(context, words),
        "mkfifo" => files::mkfifo(context, words, false),
        "rm" => files::rm(context, words),
        "test" => file_tests::test(context, words),
        "touch" => file_tests::touch(context, words, false),
        "iptables" | "iptables-nft" => iptables::iptables(context, words),
        "iptables-restore" | "iptables-nft-restore" => iptables::restore(context, words),
        "iptables-save" | "iptables-nft-save" => iptables::save(context, words),
        "kubectl" => kubectl::kubectl(context, words),
        "memcached" => servers::memcached(words),
        "mtr" => mtr::mtr(words),
        "nc" | "netcat" | "nc.openbsd" | "nc.traditional" => nc::nc(name, words),
        "nft" => nft::nft(context, words),
        "nginx" => servers::nginx(context, words),
        "node-cache" => servers::node_cache(words),
        "pause" => servers::pause(),
        "postgres" => servers::postgres(words),
        "printf" => printf::printf(context, words),
        "ps" => filters::ps(context, words),
        "python" | "python3" => servers::python(words),
        "redis-server" => servers::redis(words),
        "sed" => sed::sed(context, words),
        "seq" => filters::seq(words),
        "tail" => head_tail::tail(context, words, false),
        "tcpdump" => tcpdump::tcpdump(context, words),
        "telnet" => nc::telnet(words),
        "tracepath" => traceroute::tracepath(words),
        "traceroute" => traceroute::traceroute(words, false),
        "sort" => text_tools::sort(context, words),
        "uniq" => text_tools::uniq(context, words),
        "cut" => text_tools::cut(context, words),
        "tr" => text_tools::tr(context, words),
        "whoami" | "id" | "uname" => text_tools::identity(context, name, words),
        "which" => text_tools::which(context, words),
        "wc" => filters::wc(context, words),
        "wget" => wget::wget(words),
        "netstat" => netstat::netstat(context, words, Edition::NetTools),
        "nstat" => nstat::nstat(context, words),
        "ss" => ss::ss(context, words),
        "route" => route::route(context, words, Edition::NetTools),
        "sleep" => files::sleep(words),
        "suricata" => suricata::suricata(context, words),
        "sysctl" => sysctl::sysctl(context, words),
        "tc" => tc::tc(context, words),
        "true" | ":" => Out::default().done(0),
        _ => missing(context, name),
    }
}

/// There is no such program: the shell says so, or the runtime where there is no shell.
fn missing(context: &Context<'_>, name: &str) -> Command {
    if context.image.is_some_and(|image| images::tools(image) == Tools::Nothing) {
        let text = format!("exec: \"{name}\": executable file not found in $PATH: unknown");
        return refuse(
            format!("OCI runtime exec failed: exec failed: unable to start container process: {text}\n"),
            127,
        );
    }
    refuse(context.dialect.not_found(name), 127)
}
