//! What a proxy does to HTTP that goes through it (Envoy's connection manager): heads in lower case with fields of its
//! own, bodies as they are, and answers of its own when it gets none.

use crate::app::http::{Head, Length, date, status_name};
use crate::base::SimTime;
use std::fmt::Write as _;

/// Methods by whose first letters HTTP/1 is known (`http_inspector`).
const METHODS: [&str; 9] =
    ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH "];

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// Too few to tell.
    More,
    /// The beginning of an HTTP request.
    Http,
    /// Something else.
    Other,
}

impl First {
    /// Looks at them.
    pub(super) fn of(bytes: &[u8]) -> Self {
        if METHODS.iter().any(|method| bytes.starts_with(method.as_bytes())) {
            Self::Http
        } else if METHODS.iter().any(|method| method.as_bytes().starts_with(bytes)) {
            Self::More
        } else {
            Self::Other
        }
    }
}

/// One direction of a connection that speaks HTTP: message after message.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    body: Option<Length>,
}

impl Messages {
    /// Whether the next byte begins a message.
    pub(super) fn is_between(&self) -> bool {
        self.body.is_none()
    }

    /// Takes what has come of messages and gives what goes on; heads are changed by `change`, which says how long the
    /// body is, or that the message has to stay where it is.
    pub(super) fn pass(
        &mut self,
        input: &mut Vec<u8>,
        mut change: impl FnMut(&mut Head) -> Option<Length>,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            if let Some(body) = &mut self.body {
                let data = body.take(input);
                write_body(&mut out, body, &data);
                if !body.is_over() {
                    return out;
                }
                self.body = None;
            }
            let Some((mut head, len)) = Head::read(input) else { return out };
            for (name, _) in &mut head.fields {
                name.make_ascii_lowercase();
            }
            let Some(body) = change(&mut head) else { return out };
            input.drain(..len);
            write_head(&mut out, &head);
            self.body = Some(body);
        }
    }
}

/// Writes a piece of a body, with the last chunk where it ends.
fn write_body(out: &mut Vec<u8>, body: &Length, data: &[u8]) {
    let Length::Chunked(_) = body else { return out.extend_from_slice(data) };
    if !data.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
    if body.is_over() {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}

fn write_head(out: &mut Vec<u8>, head: &Head) {
    let mut text = format!("{}\r\n", head.start);
    for (name, value) in &head.fields {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    out.extend_from_slice((text + "\r\n").as_bytes());
}

/// Sets a field, in its place where it is there.
pub(super) fn set(head: &mut Head, name: &str, value: String) {
    match head.fields.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => head.fields.push((name.to_owned(), value)),
    }
}

/// An answer of the proxy's own (`sendLocalReply`).
pub(super) fn local_reply(status: u16, body: &str, now: SimTime, server: &str) -> Vec<u8> {
    let (len, name, date) = (body.len(), status_name(status), date(now));
    format!(
        "HTTP/1.1 {status} {name}\r\ncontent-length: {len}\r\ncontent-type: text/plain\r\ndate: {date}\r\nserver: \
         {server}\r\n\r\n{body}"
    )
    .into_bytes()
}
