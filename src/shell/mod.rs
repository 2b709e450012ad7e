//! The commands a user types, and their output as the real tools print it.
//!
//! A command line is parsed here into [`Command`]: either it answers at once from the tables, or it becomes a process.

use crate::app::Process;
use crate::base::{NetnsId, Rng};
use crate::trace::{Inventory, Stream};

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
    Process(Box<dyn Process>),
}

/// Parses and, where possible, answers the command `argv`. The first word is the program's name.
pub fn run(_context: &mut Context<'_>, argv: &[String]) -> Command {
    let name = argv.first().map_or("", String::as_str);
    Command::Done { output: vec![(Stream::Stderr, format!("sh: 1: {name}: not found\n"))], status: 127 }
}
