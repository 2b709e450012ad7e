//! HTTP/1.1 messages as both ends read and write them (RFC 9112), as far as the simulated programs need them.

use crate::base::SimTime;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/// Names of the months as protocols and logs write them.
pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Start line and header fields of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The start line.
    pub(super) start: String,
    /// Fields in order, as they were written.
    pub(super) fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head from the beginning of `bytes`: the head and its length, or `None` where its end has not come yet.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut lines = Vec::new();
        let mut at = 0;
        loop {
            let len = bytes[at..].iter().position(|byte| *byte == b'\n')?;
            let line = bytes[at..at + len].strip_suffix(b"\r").unwrap_or(&bytes[at..at + len]);
            at += len + 1;
            if line.is_empty() && !lines.is_empty() {
                break;
            }
            if !line.is_empty() {
                lines.push(String::from_utf8_lossy(line).into_owned());
            }
        }
        let mut lines = lines.into_iter();
        let start = lines.next()?;
        let field = |line: String| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        Some((Self { start, fields: lines.filter_map(field).collect() }, at))
    }

    /// The value of a field, whatever the case of its name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a field's list of words has this one.
    pub(super) fn has_word(&self, name: &str, word: &str) -> bool {
        let mut words = self.get(name).unwrap_or("").split(',');
        words.any(|found| found.trim().eq_ignore_ascii_case(word))
    }

    /// Status code of a response.
    pub(super) fn status(&self) -> Option<u16> {
        self.start.split(' ').nth(1)?.parse().ok()
    }

    /// Whether the connection stays open after this message (RFC 9112 section 9.3).
    pub(super) fn keeps_alive(&self) -> bool {
        if self.start.contains("HTTP/1.0") {
            self.has_word("Connection", "keep-alive")
        } else {
            self.start.contains("HTTP/1.1") && !self.has_word("Connection", "close")
        }
    }
}

/// How the end of a body is told (RFC 9112 section 6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes are still to come.
    Fixed(u64),
    /// It comes in chunks.
    Chunked(Chunks),
    /// It goes on until the connection is closed.
    UntilClose,
}

impl Length {
    /// The length of a response's body.
    pub(super) fn of_response(head: &Head, to_head_request: bool) -> Self {
        let status = head.status().unwrap_or(200);
        if to_head_request || status < 200 || status == 204 || status == 304 {
            return Self::Fixed(0);
        }
        if head.has_word("Transfer-Encoding", "chunked") {
            return Self::Chunked(Chunks::default());
        }
        head.get("Content-Length").and_then(|text| text.parse().ok()).map_or(Self::UntilClose, Self::Fixed)
    }

    /// The length of a request's body.
    pub(super) fn of_request(head: &Head) -> Self {
        if head.has_word("Transfer-Encoding", "chunked") {
            return Self::Chunked(Chunks::default());
        }
        Self::Fixed(head.get("Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Takes from `input` what belongs to the body and gives its data.
    pub(super) fn take(&mut self, input: &mut Vec<u8>) -> Vec<u8> {
        match self {
            Self::Fixed(left) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= n as u64;
                input.drain(..n).collect()
            }
            Self::Chunked(chunks) => chunks.take(input),
            Self::UntilClose => std::mem::take(input),
        }
    }

    /// Whether all of the body has come.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Fixed(left) => *left == 0,
            Self::Chunked(chunks) => chunks.over,
            Self::UntilClose => false,
        }
    }
}

/// Reader of a chunked body (RFC 9112 section 7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    /// Bytes of the present chunk that are still to come, with the line end after them.
    left: usize,
    in_trailer: bool,
    over: bool,
}

impl Chunks {
    fn take(&mut self, input: &mut Vec<u8>) -> Vec<u8> {
        let mut out = Vec::new();
        while !self.over && !input.is_empty() {
            if self.left > 0 {
                let n = self.left.min(input.len());
                let data = n.min(self.left.saturating_sub(2));
                let taken: Vec<u8> = input.drain(..n).collect();
                out.extend_from_slice(&taken[..data]);
                self.left -= n;
                continue;
            }
            let Some(end) = input.iter().position(|byte| *byte == b'\n') else { break };
            let line: Vec<u8> = input.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            if self.in_trailer {
                self.over = line.is_empty();
                continue;
            }
            let digits = line.split(';').next().unwrap_or("");
            match usize::from_str_radix(digits, 16) {
                Ok(size) if size > 0 => self.left = size + 2,
                Ok(_) => self.in_trailer = true,
                Err(_) => self.over = true,
            }
        }
        out
    }
}

/// A moment as HTTP writes it (RFC 9110 section 5.6.7).
pub(super) fn date(at: SimTime) -> String {
    let c = at.calendar();
    format!(
        "{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
        DAYS[c.weekday],
        c.day,
        MONTHS[c.month - 1],
        c.year,
        c.hour,
        c.minute,
        c.second
    )
}

/// A moment as the logs of HTTP servers write it.
pub(super) fn log_date(at: SimTime) -> String {
    let c = at.calendar();
    let month = MONTHS[c.month - 1];
    format!("{:02}/{month}/{}:{:02}:{:02}:{:02} +0000", c.day, c.year, c.hour, c.minute, c.second)
}

/// The name of a status code (RFC 9110 section 15).
pub(super) fn status_name(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        416 => "Requested Range Not Satisfiable",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

/// A URL's parts, as far as HTTP clients need them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Scheme in lower case; `http` where none is written.
    pub scheme: String,
    /// Host.
    pub host: String,
    /// Port, where one is written.
    pub port: Option<u16>,
    /// Path with its query, beginning with `/`.
    pub path: String,
}

impl Url {
    /// Reads a URL. `None` where there is no host or the port is no number.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        let (host, port) = match authority.split_once(':') {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (authority, None),
        };
        let path = path.split('#').next().unwrap_or("");
        let slash = if path.starts_with('/') { "" } else { "/" };
        (!host.is_empty()).then(|| Self {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_owned(),
            port,
            path: format!("{slash}{path}"),
        })
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.scheme == "https" { 443 } else { 80 })
    }

    /// Host and port as the `Host` field has them.
    pub fn authority(&self) -> String {
        match self.port.filter(|port| *port != 80) {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The last part of the path, under which downloaders save what they get.
    pub fn file_name(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or("");
        path.rsplit('/').next().unwrap_or("")
    }

    /// Where a `Location` field of an answer leads.
    pub fn join(&self, location: &str) -> Option<Self> {
        if location.contains("://") {
            return Self::parse(location);
        }
        let path = if location.starts_with('/') {
            location.to_owned()
        } else {
            let base = self.path.rsplit_once('/').map_or("", |(base, _)| base);
            format!("{base}/{location}")
        };
        Some(Self { path, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_in_whatever_pieces_it_comes() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive, Close\r\n\r\nhello";
        for cut in 0..text.len() - 5 {
            assert_eq!(Head::read(&text[..cut]), None, "{cut}");
        }
        let (head, len) = Head::read(text).unwrap();
        assert_eq!((head.status(), &text[len..]), (Some(200), &b"hello"[..]));
        assert_eq!(head.get("content-length"), Some("5"));
        assert!(!head.keeps_alive());
        let mut length = Length::of_response(&head, false);
        let mut input = text[len..].to_vec();
        assert_eq!((length.take(&mut input), length.is_over()), (b"hello".to_vec(), true));
    }

    #[test]
    fn chunks_are_put_together() {
        let text = b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n";
        for step in 1..text.len() {
            let (mut chunks, mut input, mut out) = (Chunks::default(), Vec::new(), Vec::new());
            for piece in text.chunks(step) {
                input.extend_from_slice(piece);
                out.extend(chunks.take(&mut input));
            }
            assert_eq!(
                (String::from_utf8(out).unwrap().as_str(), chunks.over),
                ("hello, world", true),
                "{step}"
            );
        }
    }

    #[test]
    fn urls_have_their_parts() {
        let url = Url::parse("http://web:8080/a/b?c=d#e").unwrap();
        assert_eq!((url.host.as_str(), url.port(), url.path.as_str()), ("web", 8080, "/a/b?c=d"));
        assert_eq!((url.authority().as_str(), url.file_name()), ("web:8080", "b"));
        assert_eq!(url.join("../x").unwrap().path, "/a/../x");
        assert_eq!(url.join("http://b/").unwrap().host, "b");
        let plain = Url::parse("10.0.0.1").unwrap();
        assert_eq!((plain.port(), plain.path.as_str(), plain.authority().as_str()), (80, "/", "10.0.0.1"));
        assert_eq!(Url::parse("http://"), None);
        assert_eq!(Url::parse("a:b/"), None);
    }

    #[test]
    fn dates_are_those_of_the_protocol() {
        assert_eq!(date(SimTime::ZERO), "Thu, 01 Jan 2026 00:00:00 GMT");
        assert_eq!(log_date(SimTime(61_000_000_000)), "01/Jan/2026:00:01:01 +0000");
    }
}
