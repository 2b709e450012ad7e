//! Protocols of text lines (`txtproto_print`).

use super::Printer;

/// First words of requests.
pub(super) const HTTP: [&str; 10] =
    ["GET", "PUT", "COPY", "HEAD", "LOCK", "MOVE", "POST", "DELETE", "OPTIONS", "TRACE"];
pub(super) const FTP: [&str; 8] = ["USER", "PASS", "CWD", "QUIT", "PORT", "PASV", "RETR", "STOR"];
pub(super) const SMTP: [&str; 8] = ["HELO", "EHLO", "MAIL", "RCPT", "DATA", "QUIT", "RSET", "VRFY"];

impl Printer<'_> {
    /// The name of the protocol, and the first line where it is one of the protocol; with `-v` all lines.
    pub(super) fn text(&mut self, name: &str, words: &[&str], data: &[u8], length: usize) {
        let first = data.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        let is_status = match name {
            "HTTP" => first.starts_with(b"HTTP/"),
            _ => first.len() >= 3 && first[..3].iter().all(u8::is_ascii_digit),
        };
        let is_text = is_status || words.iter().any(|word| word.as_bytes() == first);
        self.put(name);
        if !is_text {
            return;
        }
        let verbose = self.is_verbose();
        if verbose {
            self.put(format!(", length: {length}"));
        }
        let sep = if verbose { "\n\t" } else { ": " };
        for line in data.split_inclusive(|byte| *byte == b'\n') {
            let whole = line.strip_suffix(b"\n");
            let line = whole.map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
            if line.iter().any(|byte| !(byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'))) {
                return;
            }
            self.put(sep);
            self.out.extend(line.iter().copied().map(char::from));
            if whole.is_none() {
                self.put(format!(" [|{}]", name.to_ascii_lowercase()));
            }
            if !verbose {
                return;
            }
        }
    }

    pub(super) fn ssh(&mut self, data: &[u8], _length: usize) {
        if data.starts_with(b"SSH-") {
            let line = data.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
            self.put(": SSH: ");
            self.out.extend(line.iter().map(|byte| escaped(*byte)));
        }
    }
}

/// A byte of a line; what is no text is a point.
fn escaped(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' || byte == b'\t' { char::from(byte) } else { '.' }
}
