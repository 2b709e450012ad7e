//! Commands in containers: `kubectl exec` moves its own process into the container, and back when the command is over.

use super::script::{Io, Script, Step, literal};
use super::shells::Surroundings;
use super::{Lab, Target};
use crate::agent::{Environment, not_found};
use crate::base::{NetnsId, ProcessId};
use crate::shell;
use crate::sim::Stderr;
use crate::trace::Stream;

/// Whether a command in a container begins: its program is there.
fn runs(environment: &Environment, program: &str) -> bool {
    let image = environment.image.as_deref();
    matches!(program, "timeout" | "test" | "[") || shell::has_executable(image, program)
}

impl Lab {
    /// Has a process run a command line in a container of a Pod, with its standard input or with an empty one, and with a
    /// terminal where that is asked for and there is one. The status of the preparations.
    pub(super) fn exec(
        &mut self,
        process: ProcessId,
        (namespace, name): (String, String),
        container: Option<String>,
        (argv, reads, has_tty): (&[String], bool, bool),
    ) -> u8 {
        let target = Target::Pod { namespace, name, container };
        let (netns, environment) = match self.find(&target) {
            Ok(found) => found,
            Err(error) => {
                self.sim.write(process, Stream::Stderr, &format!("{error}\n"));
                return 1;
            }
        };
        if let Some(program) = argv.first().filter(|word| !runs(&environment, word)) {
            let text = self.refused_by_runtime(program);
            self.sim.write(process, Stream::Stderr, &text);
            return 1;
        }
        let before = self.sim.netns_of(process);
        let outer = self.surroundings(process);
        let at_terminal = self.reads_terminal(process);
        let Some(script) = self.scripts.get_mut(&process) else { return 1 };
        let io = script.io.clone();
        // A terminal there gives both streams as one; without one they come through pipes.
        if reads && has_tty && at_terminal {
            script.io.stderr = Stderr::WithOutput;
        } else {
            script.io.is_remote = true;
        }
        if !reads {
            (script.io.stdin, script.io.is_piped) = (Some(Vec::new()), false);
        }
        let fresh = Script::new(environment.clone(), String::new());
        let own = std::mem::replace(&mut script.environment, environment.clone());
        (script.variables, script.dialect) = (fresh.variables, fresh.dialect);
        script.steps.push(Step::Return(before, Box::new((own, io, outer))));
        script.steps.push(Step::Run(literal(argv)));
        self.sim.enter(process, netns, &environment);
        0
    }

    /// What the client prints where the runtime finds no such program: the kubelet's answer, which the API server
    /// passes on as an error of its own.
    pub(super) fn refused_by_runtime(&mut self, program: &str) -> String {
        let rng = self.sim.rng();
        let id: String = (0..64).map(|_| char::from_digit(rng.u32(..16), 16).unwrap_or('0')).collect();
        format!(
            "error: Internal error occurred: Internal error occurred: error executing command in container: failed to \
             exec in container: failed to start exec \"{id}\": OCI runtime exec failed: exec failed: unable to start \
             container process: {}: unknown\n",
            not_found(program)
        )
    }

    /// A command in a container is over, with this status.
    pub(super) fn returned(
        &mut self,
        process: ProcessId,
        netns: NetnsId,
        (environment, io, outer): (Environment, Io, Surroundings),
        status: u8,
    ) {
        self.sim.enter(process, netns, &environment);
        let Some(script) = self.scripts.get_mut(&process) else { return };
        script.environment = environment;
        script.io = io.clone();
        let is_interrupted = script.is_interrupted;
        self.left(process, outer);
        self.sim.redirect_output(process, io.keeps, io.stderr);
        // Without a terminal there, Ctrl-C ends the client, which says nothing then.
        if status != 0 && !is_interrupted {
            let text = format!("command terminated with exit code {status}\n");
            self.sim.write(process, Stream::Stderr, &text);
        }
    }
}
