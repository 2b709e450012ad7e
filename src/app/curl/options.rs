//! What the options of `curl` ask for.

use crate::app::http::Url;
use crate::base::Duration;
use std::collections::VecDeque;

/// What the options of the command line ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct CurlOptions {
    /// The URL.
    pub url: Url,
    /// The URL as typed.
    pub typed: String,
    /// `-s`.
    pub silent: bool,
    /// `-S`.
    pub show_error: bool,
    /// `-v`.
    pub verbose: bool,
    /// `-i`.
    pub include: bool,
    /// `-k`.
    pub insecure: bool,
    /// `-#`.
    pub bar: bool,
    /// `-r`: the bytes that are wanted, as `0-99`.
    pub range: Option<String>,
    /// The transfers that follow: each one's URL, how it was typed, and where its content goes.
    pub more: VecDeque<(Url, String, Option<String>)>,
    /// `-I`.
    pub head: bool,
    /// `-f`.
    pub fail: bool,
    /// `-L`.
    pub follow: bool,
    /// `--max-redirs`.
    pub redirects_max: u32,
    /// `-o`, or what `-O` makes of the URL.
    pub output: Option<String>,
    /// `-w`.
    pub write_out: Option<String>,
    /// `-m`.
    pub max_time: Option<Duration>,
    /// `--connect-timeout`.
    pub connect_timeout: Option<Duration>,
    /// `-X`.
    pub method: Option<String>,
    /// `-d`, several joined with `&`.
    pub data: Option<String>,
    /// `-H`.
    pub headers: Vec<String>,
    /// `-A`.
    pub user_agent: Option<String>,
    /// `-e`.
    pub referer: Option<String>,
    /// `-u`.
    pub user: Option<String>,
    /// `--interface`.
    pub interface: Option<String>,
    /// `--local-port`: the first port and how many.
    pub local_port: Option<(u16, u16)>,
    /// `-0`.
    pub http10: bool,
    /// `--fail-with-body`.
    pub fail_with_body: bool,
    /// `-D`: a path, or `-`.
    pub dump_header: Option<String>,
    /// `-b`, several joined with `;`.
    pub cookie: Option<String>,
    /// `--resolve`: `HOST:PORT:ADDRESS` each.
    pub resolve: Vec<String>,
    /// `--retry` and what belongs to it.
    pub retry: Retry,
}

/// When a transfer is tried again (`retrycheck` of the tool).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// `--retry`: how often.
    pub count: u32,
    /// `--retry-delay`, in seconds; 0 for one second that doubles each time.
    pub delay_secs: u64,
    /// `--retry-max-time`, in seconds; 0 for no limit.
    pub time_max_secs: u64,
    /// `--retry-connrefused`.
    pub when_refused: bool,
    /// `--retry-all-errors`.
    pub always: bool,
}

impl Retry {
    /// Why a transfer that ended so is worth another try, in the tool's words.
    pub(super) fn reason(&self, status: u8, response: u16, refused: bool) -> Option<&'static str> {
        match status {
            6 | 28 => Some(": timeout"),
            7 if self.when_refused && refused => Some(": connection refused"),
            0 | 22 if matches!(response, 408 | 429 | 500 | 502 | 503 | 504) => Some(": HTTP error"),
            0 => None,
            _ => self.always.then_some("(retrying all errors)"),
        }
    }
}

impl CurlOptions {
    /// What `curl URL` alone means.
    pub fn new(url: Url, typed: &str) -> Self {
        Self {
            url,
            typed: typed.to_owned(),
            silent: false,
            show_error: false,
            verbose: false,
            include: false,
            insecure: false,
            bar: false,
            range: None,
            more: VecDeque::new(),
            head: false,
            fail: false,
            follow: false,
            redirects_max: 50,
            output: None,
            write_out: None,
            max_time: None,
            connect_timeout: None,
            method: None,
            data: None,
            headers: Vec::new(),
            user_agent: None,
            referer: None,
            user: None,
            interface: None,
            local_port: None,
            http10: false,
            fail_with_body: false,
            dump_header: None,
            cookie: None,
            resolve: Vec::new(),
            retry: Retry::default(),
        }
    }

    /// The method of the request.
    pub(super) fn method(&self) -> &str {
        match &self.method {
            Some(method) => method,
            None if self.head => "HEAD",
            None if self.data.is_some() => "POST",
            None => "GET",
        }
    }

    /// Whether a header of this name was given, so that curl's own is left out.
    fn replaces(&self, name: &str) -> bool {
        let is_it = |header: &String| {
            let given = header.split([':', ';']).next().unwrap_or("");
            given.trim().eq_ignore_ascii_case(name)
        };
        self.headers.iter().any(is_it)
    }

    /// The request's head and body, the head's lines without line ends (`Curl_http`).
    pub(super) fn request(&self, url: &Url, after_redirect: bool) -> (Vec<String>, String) {
        let data = self.data.as_ref().filter(|_| !after_redirect || self.method.is_some());
        let method =
            if after_redirect && self.method.is_none() && !self.head { "GET" } else { self.method() };
        let version = if self.http10 { "1.0" } else { "1.1" };
        let mut lines = vec![format!("{method} {} HTTP/{version}", url.path)];
        match self.headers.iter().find(|header| header.to_ascii_lowercase().starts_with("host:")) {
            Some(own) => lines.push(own.clone()),
            None => lines.push(format!("Host: {}", url.authority())),
        }
        if let Some(user) = &self.user {
            use base64::Engine as _;
            let coded = base64::engine::general_purpose::STANDARD.encode(user);
            lines.push(format!("Authorization: Basic {coded}"));
        }
        if let Some(range) = self.range.as_ref().filter(|_| !self.replaces("Range")) {
            lines.push(format!("Range: bytes={range}"));
        }
        if !self.replaces("User-Agent") {
            match self.user_agent.as_deref() {
                Some("") => {}
                agent => lines.push(format!("User-Agent: {}", agent.unwrap_or("curl/7.88.1"))),
            }
        }
        if !self.replaces("Accept") {
            lines.push("Accept: */*".to_owned());
        }
        if let Some(referer) = &self.referer {
            lines.push(format!("Referer: {referer}"));
        }
        if let Some(cookie) = &self.cookie {
            lines.push(format!("Cookie: {cookie}"));
        }
        // `Name:` alone takes a header out; `Name;` sends it empty.
        for header in self.headers.iter().filter(|header| !header.to_ascii_lowercase().starts_with("host:")) {
            match header.split_once(':') {
                Some((_, value)) if !value.trim().is_empty() => lines.push(header.clone()),
                None if header.ends_with(';') => lines.push(header.trim_end_matches(';').to_owned() + ":"),
                Some(_) | None => {}
            }
        }
        if let Some(data) = data {
            lines.push(format!("Content-Length: {}", data.len()));
            if !self.replaces("Content-Type") {
                lines.push("Content-Type: application/x-www-form-urlencoded".to_owned());
            }
        }
        (lines, data.cloned().unwrap_or_default())
    }
}
