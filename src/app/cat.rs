//! `cat` where it reads its standard input as it comes.

use super::{Input, Os, Process, Wake};
use crate::trace::Stream;
use std::collections::VecDeque;

/// A part of what `cat` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A file, or why there is none.
    Text(Stream, String),
    /// Standard input, up to its end.
    Input,
}

/// A running `cat`.
#[derive(Clone, Debug)]
pub struct Cat {
    parts: VecDeque<Part>,
    status: u8,
}

impl Cat {
    /// Writes these parts in order, and ends with this status.
    pub fn new(parts: impl IntoIterator<Item = Part>, status: u8) -> Self {
        Self { parts: parts.into_iter().collect(), status }
    }
}

impl Process for Cat {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Interrupt => return os.exit(130),
            Wake::Terminate => return os.exit(143),
            Wake::Start | Wake::Input | Wake::Readable(_) | Wake::Writable(_) | Wake::Timer(_) => {}
        }
        while let Some(part) = self.parts.front() {
            match part {
                Part::Text(stream, text) => os.write(*stream, text),
                Part::Input => match os.read_input() {
                    Input::Data(bytes) => {
                        os.write(Stream::Stdout, &String::from_utf8_lossy(&bytes));
                        continue;
                    }
                    Input::End => {}
                    Input::Pending => return,
                },
            }
            self.parts.pop_front();
        }
        os.exit(self.status);
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
