//! A shell at its prompt, and clients that show one.

use super::{Os, Process, Wake};

/// A client that waits until what it watches has something to show.
#[derive(Clone, Copy, Debug)]
pub struct Watching;

impl Process for Watching {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Input => os.exit(0),
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Start | Wake::Timer(_) | Wake::Readable(_) | Wake::Writable(_) => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(*self)
    }
}

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
