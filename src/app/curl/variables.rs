//! The variables of `curl -w`.

use super::{Curl, Url, text};
use crate::app::Os;
use crate::base::{Duration, SimTime};
use std::net::SocketAddrV4;

fn whole(url: &Url) -> String {
    format!("{}://{}{}", url.scheme, url.authority(), url.path)
}

impl Curl {
    /// A variable of `-w`.
    pub(super) fn variable(&self, os: &dyn Os, name: &str, (status, error): (u8, &str)) -> Option<String> {
        let since =
            |at: Option<SimTime>| text::seconds(at.map_or(Duration::ZERO, |at| at.since(self.moments.begun)));
        let took = self.took(os);
        let port = |addr: Option<SocketAddrV4>| addr.map_or(0, |addr| addr.port()).to_string();
        let is_connected = self.moments.connected.is_some();
        Some(match name {
            "http_code" | "response_code" => format!("{:03}", self.head.status().unwrap_or(0)),
            "http_version" => if self.head.start.contains("HTTP/1.0") { "1" } else { "1.1" }.to_owned(),
            "remote_ip" => {
                if is_connected {
                    self.address.to_string()
                } else {
                    String::new()
                }
            }
            "remote_port" => if is_connected { self.url.port() } else { 0 }.to_string(),
            "local_ip" => self.local.map_or(String::new(), |addr| addr.ip().to_string()),
            "local_port" => port(self.local),
            "time_total" => text::seconds(took),
            "time_connect" => since(self.moments.connected),
            "time_pretransfer" => since(self.moments.secured.or(self.moments.connected)),
            "time_appconnect" => since(self.moments.secured),
            // OpenSSL's number for a certificate that its holder signed (`X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT`).
            "ssl_verify_result" => {
                if self.url.scheme == "https" && is_connected { "18" } else { "0" }.to_owned()
            }
            "time_starttransfer" => since(self.moments.first_byte),
            "time_namelookup" | "time_redirect" => text::seconds(Duration::ZERO),
            "size_download" => self.figures.received.to_string(),
            "size_upload" => self.figures.sent.to_string(),
            "size_header" => self.header_bytes.to_string(),
            "speed_download" => (self.figures.received * 1_000_000 / took.as_us().max(1)).to_string(),
            "speed_upload" => (self.figures.sent * 1_000_000 / took.as_us().max(1)).to_string(),
            "num_connects" => self.n_connects.to_string(),
            "num_redirects" => self.redirects.to_string(),
            "num_headers" => self.head.fields.len().to_string(),
            "url" => self.options.typed.clone(),
            "url_effective" => whole(&self.url),
            "redirect_url" => self.redirect.as_ref().map_or(String::new(), whole),
            "content_type" => self.head.get("Content-Type").unwrap_or("").to_owned(),
            "method" => self.options.method().to_owned(),
            "scheme" => self.url.scheme.to_ascii_uppercase(),
            "exitcode" => status.to_string(),
            "errormsg" => error.to_owned(),
            _ => return None,
        })
    }
}
