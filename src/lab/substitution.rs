//! Works out what `$(…)` and `$((…))` in a command of a script come to, before the command runs.

use super::Lab;
use super::script::{Io, Step};
use crate::base::ProcessId;
use crate::shell::{self, Node, Piece};
use crate::trace::Stream;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is put back when a substituted command is over.
#[derive(Clone, Debug)]
pub(super) struct Outer {
    /// The command that its output is part of.
    node: Arc<Node>,
    io: Io,
    /// What was kept before.
    kept: String,
    /// Variables: a substituted command has copies of its own.
    variables: BTreeMap<String, String>,
    status: u8,
}

impl Lab {
    /// Begins to work out the first substitution of a command. The status after it; `None` where there is none.
    pub(super) fn substitute(&mut self, process: ProcessId, node: &Arc<Node>) -> Option<u8> {
        let script = self.scripts.get_mut(&process)?;
        let status = script.status;
        match node.pending()? {
            Piece::Command(inner, _) => {
                let kept = self.sim.take_kept(process);
                let variables = script.variables.clone();
                let outer = Outer { node: node.clone(), io: script.io.clone(), kept, variables, status };
                script.io.keeps = true;
                script.steps.extend([Step::Substituted(Box::new(outer)), Step::Run(inner.clone())]);
                // A command without any words succeeds.
                Some(0)
            }
            Piece::Arithmetic(word, _) => {
                let value = |name: &str| self.variable(process, name);
                let result = shell::arithmetic(&word.join(&value), &value);
                let script = self.scripts.get_mut(&process)?;
                match result {
                    Ok(number) => {
                        script.steps.push(Step::Run(Arc::new(node.filled(&number.to_string(), 0))));
                        Some(status)
                    }
                    Err(message) => {
                        let text = self.dialect(process).complaint(&message);
                        self.sim.write(process, Stream::Stderr, &text);
                        self.leave(process);
                        Some(2)
                    }
                }
            }
            Piece::Text(_) | Piece::Glob(_) | Piece::Variable(..) | Piece::Output { .. } => None,
        }
    }

    /// A substituted command is over: what it wrote, without the newlines at the end, stands in its place.
    pub(super) fn substituted(&mut self, process: ProcessId, outer: Outer, status: u8) -> Option<u8> {
        let written = self.sim.take_kept(process);
        self.sim.keep(process, outer.kept);
        let script = self.scripts.get_mut(&process)?;
        (script.io, script.variables) = (outer.io, outer.variables);
        let filled = outer.node.filled(written.trim_end_matches('\n'), status);
        script.steps.push(Step::Run(Arc::new(filled)));
        Some(outer.status)
    }

    /// The shell ends: that of a substitution, of a container, or one within another, else the whole script.
    pub(super) fn leave(&mut self, process: ProcessId) {
        let Some(script) = self.scripts.get_mut(&process) else { return };
        let is_end = |step: &Step| matches!(step, Step::Return(..) | Step::Substituted(_) | Step::Within(_));
        let outer = script.steps.iter().rposition(is_end);
        let left = script.steps.split_off(outer.map_or(0, |at| at + 1));
        if left.iter().any(|step| matches!(step, Step::Shell(shell) if shell.is_interactive)) {
            let text = self.dialect(process).farewell(true);
            self.sim.write(process, Stream::Stdout, text);
        }
    }
}
