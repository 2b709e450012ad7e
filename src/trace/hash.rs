//! One number for a whole trace, the same on every platform: two runs are equal if it is.

use super::Trace;
use std::fmt::{self, Write};

/// FNV-1a with 64 bits.
struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// A row is hashed as its derived `Debug` text: it names every field, and holds neither floats nor addresses.
    fn text(&mut self, value: &dyn fmt::Debug) {
        write!(self, "{value:?}").expect("hashing does not fail");
        self.bytes(b"\n");
    }
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

impl Trace {
    /// A hash of all events, packets' bytes, rows, outputs and journeys.
    pub fn hash(&self) -> u64 {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        for event in &self.events {
            hash.number(event.at.0);
            for id in [event.netns.0, event.ifindex.0, event.packet.0, event.journey.0, event.cause.0] {
                hash.number(u64::from(id));
            }
            hash.text(&event.kind);
        }
        let mut bytes = Vec::new();
        for packet in &self.packets {
            bytes.clear();
            packet.emit_into(&mut bytes);
            hash.number(bytes.len() as u64);
            hash.bytes(&bytes);
        }
        self.changes.iter().for_each(|change| hash.text(change));
        self.outputs.iter().for_each(|output| hash.text(output));
        self.journeys.iter().for_each(|journey| hash.text(journey));
        hash.0
    }
}
