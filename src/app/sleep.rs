//! `sleep` of the GNU core utilities.

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
            Wake::Readable(_) | Wake::Writable(_) => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
