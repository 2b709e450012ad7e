//! Why bytes could not be read as a packet.

use std::fmt;

/// A truncated or malformed packet: what was being read, at which byte of the frame, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// The header being read, as `IPv4`.
    pub layer: &'static str,
    /// Offset from the first byte of the outermost frame, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl WireError {
    pub(super) fn new(layer: &'static str, offset: usize, reason: &'static str) -> Self {
        Self { layer, offset, reason }
    }

    /// The bytes end at `offset` in the middle of `layer`.
    pub(super) fn truncated(layer: &'static str, offset: usize) -> Self {
        Self::new(layer, offset, "truncated")
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.layer, self.offset, self.reason)
    }
}

impl std::error::Error for WireError {}
