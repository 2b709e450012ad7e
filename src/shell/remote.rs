//! Commands that reach into a container by way of the API server, and that have to be carried out outside the shell.

use crate::app::Process;
use crate::trace::Stream;
use std::fmt;

/// A program to be run, kept until it is its turn.
pub struct Program(pub Box<dyn Process>);

impl Clone for Program {
    fn clone(&self) -> Self {
        Self(self.0.boxed_clone())
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program")
    }
}

/// A container whose output is shown as it is written.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Namespace and name of the Pod, and the container.
    pub container: (String, String, String),
    /// How often it was restarted before.
    pub life: u32,
    /// Bytes of its log that were shown, or need not be.
    pub shown: usize,
    /// Pieces of output of all processes that were there at the last look.
    pub looked_at: usize,
    /// Whether what is typed at the client is passed on (`--stdin`).
    pub passes: bool,
    /// Whether the end of the client's input ends the container's (`stdinOnce`).
    pub is_once: bool,
    /// What runs when it has ended.
    pub after: Option<Program>,
}

/// A command that shows what a container writes until that ends (`kubectl logs -f`, `attach`, `run --attach`).
#[derive(Clone, Debug)]
pub struct Follow {
    /// Output before anything else.
    pub output: Vec<(Stream, String)>,
    /// What runs first. Where it fails, nothing else is done.
    pub before: Option<Program>,
    /// The container.
    pub followed: Followed,
}

/// Whereto files are copied.
#[derive(Clone, Debug)]
pub enum Way {
    /// To the container: each by its path below what is copied, which is empty where that is a file itself, with its content.
    Into(Vec<(String, Vec<u8>)>),
    /// From it.
    From,
}

/// A command that copies a file or a directory between the client's machine and a container (`kubectl cp`).
#[derive(Clone, Debug)]
pub struct Copying {
    /// Output before anything else, and whether it is standard output in any case.
    pub output: Vec<(Stream, String)>,
    /// Namespace and name of the Pod.
    pub pod: (String, String),
    /// The container; the first one where `None`.
    pub container: Option<String>,
    /// The way.
    pub way: Way,
    /// The path at the client.
    pub local: String,
    /// The path in the container.
    pub remote: String,
}
