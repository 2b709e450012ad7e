//! Dumps of bytes, as `-x`, `-X` and `-A` print them; each begins with a line break.

use std::fmt::Write as _;

const BYTES_PER_LINE: usize = 16;

/// Printable bytes as they are, a point for all others.
fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() { char::from(byte) } else { '.' }
}

fn groups(line: &[u8]) -> String {
    line.chunks(2).fold(String::new(), |mut out, pair| {
        out.push(' ');
        for byte in pair {
            let _ = write!(out, "{byte:02x}");
        }
        out
    })
}

/// `hex_print`.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (index, line) in bytes.chunks(BYTES_PER_LINE).enumerate() {
        let _ = write!(out, "\n\t0x{:04x}: {}", index * BYTES_PER_LINE, groups(line));
    }
    out
}

/// `hex_and_ascii_print`.
pub fn hex_and_ascii(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (index, line) in bytes.chunks(BYTES_PER_LINE).enumerate() {
        let text: String = line.iter().copied().map(printable).collect();
        let _ = write!(out, "\n\t0x{:04x}: {:<41} {text}", index * BYTES_PER_LINE, groups(line));
    }
    out
}

/// `ascii_print`.
pub fn ascii(bytes: &[u8]) -> String {
    let mut out = String::from("\n");
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            // A carriage return before a line feed is left out.
            b'\r' if rest.peek() == Some(&b'\n') => {}
            b'\n' => out.push('\n'),
            b'\t' | b' ' | b'\r' => out.push(if byte == b'\r' { '.' } else { char::from(byte) }),
            _ => out.push(printable(byte)),
        }
    }
    out
}
