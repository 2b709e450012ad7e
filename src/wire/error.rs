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

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.layer, self.offset, self.reason)
    }
}

impl std::error::Error for WireError {}
