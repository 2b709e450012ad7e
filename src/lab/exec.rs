//! Commands in containers: `kubectl exec` moves its own process into the container, and back when the command is over.

use super::script::{Script, Step, literal};
use super::{Lab, Target};
use crate::agent::{Environment, not_found};
use crate::base::{NetnsId, ProcessId};
use crate::shell::{self, is_shell};
use crate::trace::Stream;
use std::collections::BTreeMap;

/// Whether a command in a container begins: its program is there.
fn runs(environment: &Environment, program: &str) -> bool {
    is_shell(program)
        || matches!(program, "timeout" | "test" | "[")
        || shell::has_program(environment.image.as_deref(), program)
}

impl Lab {
    /// Has a process run a command line in a container of a Pod, with its standard input or with an empty one. The
    /// status of the preparations.
    pub(super) fn exec(
        &mut self,
        process: ProcessId,
        (namespace, name): (String, String),
        container: Option<String>,
        (argv, reads): (&[String], bool),
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
        let Some(script) = self.scripts.get_mut(&process) else { return 1 };
        let fresh = Script::new(environment.clone(), String::new());
        if !reads {
            script.steps.push(Step::Restore(script.io.clone(), None, String::new()));
            (script.io.stdin, script.io.is_piped) = (Some(Vec::new()), false);
        }
        let own = std::mem::replace(&mut script.environment, environment.clone());
        let variables = std::mem::replace(&mut script.variables, fresh.variables);
        script.steps.push(Step::Return(before, Box::new((own, variables))));
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

    pub(super) fn returned(
        &mut self,
        process: ProcessId,
        netns: NetnsId,
        (environment, variables): (Environment, BTreeMap<String, String>),
        status: u8,
    ) {
        self.sim.enter(process, netns, &environment);
        if let Some(script) = self.scripts.get_mut(&process) {
            script.environment = environment;
            script.variables = variables;
        }
        if status != 0 {
            let text = format!("command terminated with exit code {status}\n");
            self.sim.write(process, Stream::Stderr, &text);
        }
    }
}
