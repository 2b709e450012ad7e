//! A shell at its prompt.

use super::{Os, Process, Wake};

/// Waits until something is typed, and ends with the status of the command before it, so that `$?` stays what it is.
#[derive(Clone, Copy, Debug)]
pub struct Prompted {
    /// That status.
    pub status: u8,
}

impl Process for Prompted {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Input => os.exit(self.status),
            Wake::Interrupt => os.exit(130),
            // A shell at a terminal does not heed SIGTERM.
            Wake::Start | Wake::Terminate | Wake::Timer(_) | Wake::Readable(_) | Wake::Writable(_) => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(*self)
    }
}
