//! `sleep` of the GNU core utilities, and programs that only wait.

use super::{Os, Process, Wake};
use crate::base::Duration;

/// A running `sleep`.
#[derive(Clone, Debug)]
pub struct Sleep {
    /// How long it sleeps.
    pub duration: Duration,
}

impl Process for Sleep {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => os.set_timer(0, self.duration),
            Wake::Timer(_) => os.exit(0),
            // A process that SIGINT ends is reported by its shell as 128 plus the signal's number.
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

/// A program that waits for ever: `sleep infinity`, `tail -f`, `pause`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forever {
    /// Whether it ends well when it is told to.
    pub handles_termination: bool,
}

impl Process for Forever {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(if self.handles_termination { 0 } else { 143 }),
            Wake::Start | Wake::Timer(_) | Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(*self)
    }

    fn handles_termination(&self) -> bool {
        self.handles_termination
    }
}
