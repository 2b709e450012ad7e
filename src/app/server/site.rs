//! What HTTP servers answer, each in its own words and order of header fields.

use super::pages::{NGINX_INDEX, apache_reason, python_listing, python_page, python_reason};
use super::ranges::{self, Part};
use super::{Serving, health, netexec};
use crate::app::Os;
use crate::app::http::{self, Head, Url};
use crate::base::{Duration, EPOCH_SECS, SimTime};
use crate::trace::Stream;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// Whose answers they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// nginx of this version, with the settings of its image.
    Nginx(Arc<str>),
    /// Apache's httpd of this version.
    Apache(Arc<str>),
    /// `http.server` of Python 3.11.
    Python,
    /// `httpd` of busybox 1.35.
    Busybox,
    /// `agnhost netexec`.
    Netexec,
    /// `agnhost serve-hostname`, and programs in Go of which nothing else is known.
    Hostname,
    /// kube-proxy about the endpoints of a Service; the answer stands in the file that is its root.
    Health,
    /// `agnhost grpc-health-checking` over HTTP, started at this time.
    GrpcHealth(SimTime),
}

/// A site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Whose answers they are.
    pub flavor: Flavor,
    /// Directory of the files.
    pub root: String,
    /// What `/` shows instead of a file.
    pub index: Option<String>,
}

/// An answer to a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) head: String,
    pub(super) body: String,
    /// Whether head and body are written one by one.
    pub(super) in_two: bool,
    /// Whether the connection is closed after it.
    pub(super) closes: bool,
    /// Whether the program ends after it, and how.
    pub(super) exits: Option<u8>,
    /// What the program says of itself over gRPC from now on.
    pub(super) tells: Option<Serving>,
}

/// What was asked.
pub(super) struct Asked<'a> {
    pub(super) peer: SocketAddrV4,
    line: &'a str,
    method: &'a str,
    pub(super) target: &'a str,
    pub(super) head: &'a Head,
    closes: bool,
}

/// What is found for a request, before it is put into a program's words.
pub(super) struct Found {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) body: String,
    /// Whether it is a file, with the fields that belong to one.
    pub(super) is_file: bool,
    /// Value of `Location`.
    pub(super) location: Option<String>,
    /// Value of `Content-Range`, of a part of a file or where there is no such part.
    pub(super) range: Option<String>,
    /// Bytes of the whole file, where it is one.
    pub(super) whole: usize,
}

impl Found {
    /// As Go's `net/http` sends text.
    pub(super) fn text(status: u16, body: String) -> Self {
        Self { kind: "text/plain; charset=utf-8", ..Self::page(status, body) }
    }

    fn page(status: u16, body: String) -> Self {
        Self { status, kind: "text/html", body, is_file: false, location: None, range: None, whole: 0 }
    }
}

/// When the files of an image were made: a month before simulated time begins.
const IMAGE_MADE_SECS: u64 = EPOCH_SECS - 30 * 86_400;

impl Flavor {
    /// How long a connection may be idle.
    pub(super) fn idle_limit(&self) -> Option<Duration> {
        match self {
            Self::Nginx(_) => Some(Duration::from_secs(75)),
            Self::Apache(_) => Some(Duration::from_secs(5)),
            Self::Python
            | Self::Busybox
            | Self::Netexec
            | Self::Hostname
            | Self::Health
            | Self::GrpcHealth(_) => None,
        }
    }

    /// The program starts.
    pub(super) fn starts(&mut self, now: SimTime) {
        if let Self::GrpcHealth(since) = self {
            *since = now;
        }
    }
}

/// The host's name as programs see it.
pub(super) fn hostname(os: &dyn Os) -> String {
    os.read_file("/etc/hostname").map_or_else(|| "localhost".to_owned(), |text| text.trim_end().to_owned())
}

impl Site {
    /// Whether what has come cannot become a request: its first line as the program's log has it, then.
    pub(super) fn refuses_line(&self, input: &[u8]) -> Option<String> {
        let is_nginx = matches!(self.flavor, Flavor::Nginx(_));
        let end = input.iter().position(|byte| *byte == b'\n');
        if is_nginx && let Some(line) = nginx_refuses(input) {
            return Some(line);
        }
        let line = String::from_utf8_lossy(&input[..end?]).trim_end().to_owned();
        let method = line.split(' ').next().unwrap_or("");
        let is_request = line.is_empty()
            || (line.contains(' ')
                && !method.is_empty()
                && method.bytes().all(|byte| byte.is_ascii_uppercase()));
        (!is_request).then_some(line)
    }

    /// The answer to what is no request.
    pub(super) fn bad_request(&self, os: &mut dyn Os, peer: SocketAddrV4, line: &str) -> Answer {
        let head = Head { start: line.to_owned(), fields: Vec::new() };
        let asked = Asked { peer, line, method: "", target: "", head: &head, closes: true };
        let found = Found::page(400, self.error_page(400, &asked));
        self.put_together(os, &asked, found)
    }

    /// The answer to a request.
    pub(super) fn answer(&self, os: &mut dyn Os, peer: SocketAddrV4, head: &Head) -> Answer {
        let mut words = head.start.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let is_bad = !target.starts_with('/') && !target.starts_with("http://")
            || !head.start.contains(" HTTP/1.")
            || climbs_out(target)
            || (head.start.ends_with("HTTP/1.1") && head.get("Host").is_none());
        if is_bad {
            return self.bad_request(os, peer, &head.start);
        }
        let target = if target.starts_with('/') {
            target.to_owned()
        } else {
            Url::parse(target).map_or_else(|| "/".to_owned(), |url| url.path)
        };
        let closes = !head.keeps_alive() || matches!(self.flavor, Flavor::Python | Flavor::Busybox);
        let asked = Asked { peer, line: &head.start, method, target: &target, head, closes };
        let (mut exits, mut tells) = (None, None);
        let found = match self.flavor {
            Flavor::Netexec => netexec::answer(self.index.as_ref(), os, &asked, &mut exits),
            Flavor::GrpcHealth(since) => health::answer(&asked, os.now().since(since), &mut tells),
            Flavor::Hostname => {
                let body = self.index.clone().unwrap_or_else(|| hostname(os));
                Found::text(200, body)
            }
            Flavor::Health => {
                let body = os.read_file(&self.root).unwrap_or_default();
                let status = if body.contains("\"localEndpoints\": 0,") { 503 } else { 200 };
                Found { kind: "application/json", ..Found::page(status, body) }
            }
            Flavor::Nginx(_) | Flavor::Apache(_) | Flavor::Python | Flavor::Busybox => self.file(os, &asked),
        };
        let answer = self.put_together(os, &asked, found);
        Answer { exits, tells, ..answer }
    }

    /// A file of the site, or the page that says why not.
    fn file(&self, os: &dyn Os, asked: &Asked<'_>) -> Found {
        let path = asked.target.split('?').next().unwrap_or("/");
        let refused = match (&self.flavor, asked.method) {
            (_, "GET" | "HEAD") => None,
            (Flavor::Python | Flavor::Busybox, _) => Some(501),
            _ => Some(405),
        };
        let is_index = path.ends_with('/');
        let name = if is_index { format!("{path}index.html") } else { path.to_owned() };
        let text = os.read_file(&format!("{}{name}", self.root.trim_end_matches('/')));
        let text = match (&self.index, path) {
            (Some(index), "/") => Some(index.clone()),
            (_, "/") => text.or_else(|| self.default_index(asked)),
            _ => text,
        };
        match (text, refused) {
            (None, None | Some(405)) => Found::page(404, self.error_page(404, asked)),
            (_, Some(status)) => Found::page(status, self.error_page(status, asked)),
            (Some(body), None) => self.part(asked, kind_of(&name), body),
        }
    }

    /// A file, or the part of it that is asked for.
    fn part(&self, asked: &Asked<'_>, kind: &'static str, body: String) -> Found {
        let whole = body.len();
        let is_same = |state: &str| state == etag(whole) || state == modified();
        let is_busybox = self.flavor == Flavor::Busybox;
        match ranges::asked(&self.flavor, asked.head, whole, is_same) {
            Part::Whole => Found { kind, is_file: true, whole, ..Found::page(200, body) },
            Part::Bytes(first, last) => Found {
                // busybox looks the type up for whole files only.
                kind: if is_busybox { "text/html" } else { kind },
                is_file: true,
                range: Some(format!("bytes {first}-{last}/{whole}")),
                whole,
                ..Found::page(206, String::from_utf8_lossy(&body.as_bytes()[first..=last]).into_owned())
            },
            Part::Nothing => {
                let page = Found::page(416, self.error_page(416, asked));
                Found { range: Some(format!("bytes */{whole}")), ..page }
            }
        }
    }

    /// What an image shows at `/` without files of its own.
    fn default_index(&self, asked: &Asked<'_>) -> Option<String> {
        match self.flavor {
            Flavor::Nginx(_) => Some(NGINX_INDEX.to_owned()),
            Flavor::Apache(_) => Some("<html><body><h1>It works!</h1></body></html>\n".to_owned()),
            Flavor::Python => Some(python_listing(asked.target)),
            Flavor::Busybox | Flavor::Netexec | Flavor::Hostname | Flavor::Health | Flavor::GrpcHealth(_) => {
                None
            }
        }
    }

    /// The page that a program shows for an error.
    fn error_page(&self, status: u16, asked: &Asked<'_>) -> String {
        let name = http::status_name(status);
        match &self.flavor {
            Flavor::Nginx(version) => format!(
                "<html>\r\n<head><title>{status} {name}</title></head>\r\n<body>\r\n\
                 <center><h1>{status} {name}</h1></center>\r\n<hr><center>nginx/{version}</center>\r\n</body>\r\n</html>\r\n"
            ),
            Flavor::Apache(_) => {
                let name = if status == 405 { "Method Not Allowed" } else { name };
                format!(
                    "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>{status} {name}</title>\n\
                     </head><body>\n<h1>{name}</h1>\n{}</body></html>\n",
                    apache_reason(status)
                )
            }
            Flavor::Python => python_page(status, &python_message(status, asked), python_reason(status)),
            Flavor::Busybox => {
                let (name, reason) = match status {
                    400 => ("Bad Request", "Unsupported method"),
                    404 => ("Not Found", "The requested URL was not found"),
                    _ => ("Not Implemented", "The requested method is not recognized"),
                };
                format!(
                    "<HTML><HEAD><TITLE>{status} {name}</TITLE></HEAD>\n<BODY><H1>{status} {name}</H1>\n{reason}\n</BODY></HTML>\n"
                )
            }
            Flavor::Netexec | Flavor::Hostname | Flavor::Health | Flavor::GrpcHealth(_) => {
                "400 Bad Request".to_owned()
            }
        }
    }

    /// Head and body in the order and with the fields of the program, and its line in the log.
    fn put_together(&self, os: &mut dyn Os, asked: &Asked<'_>, found: Found) -> Answer {
        let is_head = asked.method == "HEAD";
        let now = http::date(os.now());
        let mut closes = asked.closes;
        let mut in_two = false;
        let lines: Vec<String> = match &self.flavor {
            Flavor::Nginx(version) => nginx_head(version, &now, &found, closes),
            Flavor::Apache(version) => apache_head(version, &now, &found, closes),
            Flavor::Python => {
                in_two = true;
                python_head(&now, &found, asked)
            }
            Flavor::Busybox => {
                in_two = found.is_file;
                closes = true;
                busybox_head(&now, &found)
            }
            Flavor::Health if found.status != 400 => health_head(&now, &found, asked),
            Flavor::Netexec | Flavor::Hostname | Flavor::Health | Flavor::GrpcHealth(_) => {
                go_head(&now, &found, asked)
            }
        };
        self.log(os, asked, &found);
        let head = if lines.is_empty() { String::new() } else { lines.join("\r\n") + "\r\n\r\n" };
        // busybox sends the body even to HEAD.
        let bodiless = is_head && self.flavor != Flavor::Busybox;
        let body = match (&self.flavor, found.status) {
            _ if bodiless => String::new(),
            (Flavor::Apache(_), 416) if !closes => {
                format!("{:x}\r\n{}\r\n0\r\n\r\n", found.body.len(), found.body)
            }
            _ => found.body,
        };
        Answer { head, body, in_two, closes, exits: None, tells: None }
    }

    fn log(&self, os: &mut dyn Os, asked: &Asked<'_>, found: &Found) {
        let (ip, line, status) = (asked.peer.ip(), asked.line, found.status);
        let len = if asked.method == "HEAD" { 0 } else { found.body.len() };
        let field = |name: &str| asked.head.get(name).unwrap_or("-").to_owned();
        match &self.flavor {
            Flavor::Nginx(_) => {
                let (referer, agent, via) = (field("Referer"), field("User-Agent"), field("X-Forwarded-For"));
                let date = http::log_date(os.now());
                let text = format!(
                    "{ip} - - [{date}] \"{line}\" {status} {len} \"{referer}\" \"{agent}\" \"{via}\"\n"
                );
                os.write(Stream::Stdout, &text);
            }
            Flavor::Apache(_) => {
                let date = http::log_date(os.now());
                let len = if len == 0 { "-".to_owned() } else { len.to_string() };
                os.write(Stream::Stdout, &format!("{ip} - - [{date}] \"{line}\" {status} {len}\n"));
            }
            Flavor::Python => {
                let date = http::log_date(os.now());
                let date = date.trim_end_matches(" +0000").replacen(':', " ", 1);
                let mut text = String::new();
                if status >= 400 {
                    let message = python_message(status, asked);
                    text = format!("{ip} - - [{date}] code {status}, message {message}\n");
                }
                os.write(Stream::Stderr, &format!("{text}{ip} - - [{date}] \"{line}\" {status} -\n"));
            }
            Flavor::Netexec => {
                let path = asked.target.split('?').next().unwrap_or("");
                let text = format!("{} GET {path}\n", go_log_date(os.now()));
                os.write(Stream::Stderr, &text);
            }
            Flavor::Busybox | Flavor::Hostname | Flavor::Health | Flavor::GrpcHealth(_) => {}
        }
    }
}

/// nginx looks at each byte as it comes (`ngx_http_parse_request_line`): what is no method is refused at once. Its log has
/// what is no text as `\\xHH` (`ngx_http_log_escape`).
fn nginx_refuses(input: &[u8]) -> Option<String> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let line = &input[input.iter().position(|byte| !is_end(byte))?..];
    let beyond = line.iter().find(|byte| !matches!(byte, b'A'..=b'Z' | b'_' | b'-'))?;
    if matches!(beyond, b' ' | b'\r' | b'\n') {
        return None;
    }
    let shown = |byte: u8| match byte {
        b'"' | b'\\' | 0..=0x1f | 0x7f.. => format!("\\x{byte:02X}"),
        text => char::from(text).to_string(),
    };
    Some(line.iter().take_while(|byte| !is_end(byte)).map(|byte| shown(*byte)).collect())
}

/// Whether a path leads above the root.
fn climbs_out(path: &str) -> bool {
    let mut depth = 0;
    path.split('/').any(|part| {
        match part {
            ".." => depth -= 1,
            "" | "." => {}
            _ => depth += 1,
        }
        depth < 0
    })
}

fn etag(len: usize) -> String {
    format!("\"{IMAGE_MADE_SECS:x}-{len:x}\"")
}

fn modified() -> String {
    // Before simulated time begins, which only a calendar of whole days can tell: the image is of midnight.
    let date = http::date(SimTime::ZERO);
    date.replacen("Thu, 01 Jan 2026", "Tue, 02 Dec 2025", 1)
}

fn nginx_head(version: &str, now: &str, found: &Found, closes: bool) -> Vec<String> {
    let mut lines = vec![
        format!("HTTP/1.1 {} {}", found.status, http::status_name(found.status)),
        format!("Server: nginx/{version}"),
        format!("Date: {now}"),
        format!("Content-Type: {}", found.kind),
        format!("Content-Length: {}", found.body.len()),
    ];
    if found.is_file {
        lines.push(format!("Last-Modified: {}", modified()));
    }
    lines.push(format!("Connection: {}", if closes { "close" } else { "keep-alive" }));
    if found.is_file {
        lines.push(format!("ETag: {}", etag(found.whole)));
    }
    match &found.range {
        Some(range) => lines.push(format!("Content-Range: {range}")),
        None if found.is_file => lines.push("Accept-Ranges: bytes".to_owned()),
        None => {}
    }
    lines
}

fn apache_head(version: &str, now: &str, found: &Found, closes: bool) -> Vec<String> {
    let name = if found.status == 405 { "Method Not Allowed" } else { http::status_name(found.status) };
    let mut lines = vec![
        format!("HTTP/1.1 {} {name}", found.status),
        format!("Date: {now}"),
        format!("Server: Apache/{version} (Unix)"),
    ];
    if found.is_file {
        lines.push(format!("Last-Modified: {}", modified()));
        lines.push(format!("ETag: {}", etag(found.whole)));
        lines.push("Accept-Ranges: bytes".to_owned());
    }
    // The page that takes a part's place is made when the head is out.
    match (found.status, closes) {
        (416, true) => {}
        (416, false) => lines.push("Transfer-Encoding: chunked".to_owned()),
        _ => lines.push(format!("Content-Length: {}", found.body.len())),
    }
    lines.extend(
        found.range.as_ref().filter(|_| found.is_file).map(|range| format!("Content-Range: {range}")),
    );
    if closes {
        lines.push("Connection: close".to_owned());
    }
    let charset = if found.is_file { "" } else { "; charset=iso-8859-1" };
    lines.push(format!("Content-Type: {}{charset}", found.kind));
    lines
}

fn python_head(now: &str, found: &Found, asked: &Asked<'_>) -> Vec<String> {
    // A line that is no request gets a page without a head, as in HTTP/0.9.
    if asked.method.is_empty() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if found.is_file {
        lines.push("HTTP/1.0 200 OK".to_owned());
    } else {
        let message = python_message(found.status, asked);
        lines.push(format!("HTTP/1.0 {} {message}", found.status));
    }
    lines.push("Server: SimpleHTTP/0.6 Python/3.11.2".to_owned());
    lines.push(format!("Date: {now}"));
    let len = found.body.len();
    if !found.is_file {
        lines.push("Connection: close".to_owned());
        lines.push("Content-Type: text/html;charset=utf-8".to_owned());
        lines.push(format!("Content-Length: {len}"));
    } else if asked.target.ends_with('/')
        && found.body.starts_with("<!DOCTYPE HTML>\n<html lang=\"en\">\n<head>")
    {
        lines.push("Content-type: text/html; charset=utf-8".to_owned());
        lines.push(format!("Content-Length: {len}"));
    } else {
        lines.push(format!("Content-type: {}", found.kind));
        lines.push(format!("Content-Length: {len}"));
        lines.push(format!("Last-Modified: {}", modified()));
    }
    lines
}

fn busybox_head(now: &str, found: &Found) -> Vec<String> {
    let mut lines = vec![
        format!("HTTP/1.1 {} {}", found.status, http::status_name(found.status)),
        format!("Date: {now}"),
        "Connection: close".to_owned(),
        format!("Content-type: {}", found.kind),
    ];
    lines.extend(found.range.as_ref().map(|range| format!("Content-Range: {range}")));
    if found.is_file {
        lines.push("Accept-Ranges: bytes".to_owned());
        lines.push(format!("Last-Modified: {}", modified()));
        lines.push(format!("ETag: {}", etag(found.whole)));
        lines.push(format!("Content-Length: {}", found.body.len()));
    }
    lines
}

fn go_head(now: &str, found: &Found, asked: &Asked<'_>) -> Vec<String> {
    let name = http::status_name(found.status);
    if asked.target.is_empty() {
        let kind = "Content-Type: text/plain; charset=utf-8".to_owned();
        return vec![format!("HTTP/1.1 {} {name}", found.status), kind, "Connection: close".to_owned()];
    }
    let mut lines = vec![format!("HTTP/1.1 {} {name}", found.status)];
    lines.extend(found.location.as_ref().map(|location| format!("Location: {location}")));
    lines.push(format!("Date: {now}"));
    lines.push(format!("Content-Length: {}", found.body.len()));
    if !found.body.is_empty() {
        lines.push(format!("Content-Type: {}", found.kind));
    }
    if asked.closes {
        lines.push("Connection: close".to_owned());
    }
    lines
}

/// As `go_head`, with the fields that kube-proxy sets itself, which stand first.
fn health_head(now: &str, found: &Found, asked: &Asked<'_>) -> Vec<String> {
    let count = found.body.split("\"localEndpoints\": ").nth(1).and_then(|rest| rest.split(',').next());
    let mut lines = vec![format!("HTTP/1.1 {} {}", found.status, http::status_name(found.status))];
    lines.push(format!("Content-Type: {}", found.kind));
    lines.push("X-Content-Type-Options: nosniff".to_owned());
    lines.push(format!("X-Load-Balancing-Endpoint-Weight: {}", count.unwrap_or("0")));
    lines.push(format!("Date: {now}"));
    lines.push(format!("Content-Length: {}", found.body.len()));
    lines.extend(asked.closes.then(|| "Connection: close".to_owned()));
    lines
}

fn kind_of(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" | "htm" => "text/html",
        "txt" => "text/plain",
        "json" => "application/json",
        "css" => "text/css",
        "js" => "application/javascript",
        _ => "application/octet-stream",
    }
}

fn python_message(status: u16, asked: &Asked<'_>) -> String {
    match status {
        404 => "File not found".to_owned(),
        501 => format!("Unsupported method ('{}')", asked.method),
        _ => format!("Bad request syntax ('{}')", asked.line),
    }
}

/// A moment as Go's `time.Time` prints it.
pub(super) fn go_time(at: SimTime) -> String {
    let c = at.calendar();
    let (ns, secs) = (at.0 % 1_000_000_000, at.0 / 1_000_000_000);
    format!(
        "{}-{:02}-{:02} {:02}:{:02}:{:02}.{ns:09} +0000 UTC m=+{secs}.{ns:09}",
        c.year, c.month, c.day, c.hour, c.minute, c.second
    )
}

fn go_log_date(at: SimTime) -> String {
    let c = at.calendar();
    format!("{}/{:02}/{:02} {:02}:{:02}:{:02}", c.year, c.month, c.day, c.hour, c.minute, c.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_as_old_as_their_date_says() {
        assert_eq!(IMAGE_MADE_SECS, 1_764_633_600, "the date of modified()");
    }
}
