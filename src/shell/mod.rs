//! The commands a user types, and their output as the real tools print it.
//!
//! A command line is parsed here into [`Command`]: either it answers at once from the tables, or it becomes a process.

mod bridge;
mod busybox;
pub mod change;
mod files;
mod getopt;
mod ip;
pub mod kubectl;
mod line;
mod nettools;
mod out;
mod ping;
mod print;
mod sysctl;

pub use change::KernelChange;
pub use line::{Joiner, parse_line};

use crate::app::Process;
use crate::base::{NetnsId, Rng};
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
    /// Host name.
    pub hostname: &'a str,
    /// The image of the container, which tells busybox from the full tools; `None` on a node.
    pub image: Option<&'a str>,
    /// Namespace that `kubectl` uses by default.
    pub kube_namespace: &'a str,
    /// The API objects as `-o yaml` and `-o json` print them: kind, namespace and name to a JSON value.
    pub objects: &'a dyn Fn(&str, &str, &str) -> Option<serde_json::Value>,
    /// Chance, for tools that draw numbers of their own.
    pub rng: &'a mut Rng,
}

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
    /// It asks for changes to the kernel of its namespace, and succeeds with this output once they are made.
    Change {
        /// The changes in order.
        changes: Vec<KernelChange>,
        /// Output in order.
        output: Vec<(Stream, String)>,
    },
}

impl Command {
    fn process(process: impl Process + 'static, output: Out) -> Self {
        Self::Process { output: output.into_pieces(), process: Box::new(process) }
    }
}

/// Parses and, where possible, answers the command `argv`. The first word is the program's name.
pub fn run(context: &mut Context<'_>, argv: &[String]) -> Command {
    let Some((name, words)) = argv.split_first() else {
        return Command::Done { output: Vec::new(), status: 0 };
    };
    let name = name.rsplit('/').next().unwrap_or(name);
    if name == "busybox" {
        return busybox::run(context, words);
    }
    if context.image.is_some_and(busybox::is_busybox) && busybox::has(name) {
        return busybox::run(context, argv);
    }
    match name {
        "ifconfig" => nettools::ifconfig(context, words, Edition::NetTools),
        "ip" => ip::ip(context, words),
        "ping" => ping::ping(words),
        "arp" => nettools::arp(context, words, Edition::NetTools),
        "bridge" => bridge::bridge(context, words),
        "cat" => files::cat(context, words),
        "echo" => files::echo(words),
        "false" => Out::default().done(1),
        "hostname" => files::hostname(context, words),
        "kubectl" => kubectl::kubectl(context, words),
        "netstat" if words == ["-rn"] || words == ["-nr"] => nettools::netstat_routes(context),
        "route" => nettools::route(context, words),
        "sleep" => files::sleep(words),
        "sysctl" => sysctl::sysctl(context, words),
        "true" | ":" => Out::default().done(0),
        _ => refuse(format!("sh: 1: {name}: not found\n"), 127),
    }
}
