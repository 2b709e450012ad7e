//! Forms of names, with the API server's words (k8s.io/apimachinery `util/validation`). Each check returns the keys of
//! what is wrong, with the arguments of each.

use crate::base::Ipv4Addr;
use std::net::{IpAddr, Ipv6Addr};

/// What is wrong with a value: key of the message and its arguments behind the value itself.
pub(super) type Fault = (&'static str, Vec<String>);

fn lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether `text` begins and ends with what `outer` takes, and has only that and `inner` between.
fn shaped(text: &str, outer: fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    outer(first) && outer(last) && bytes.iter().all(|&byte| outer(byte) || inner.contains(&byte))
}

fn too_long(text: &str, limit: usize) -> Option<Fault> {
    (text.len() > limit).then(|| ("invalid.long", vec![limit.to_string()]))
}

/// `IsDNS1123Label`.
pub(super) fn dns_label(text: &str) -> Vec<Fault> {
    let form = (!shaped(text, lower_alphanumeric, b"-")).then(|| {
        let dotted = text.split('.').all(|part| shaped(part, lower_alphanumeric, b"-"));
        (if dotted { "invalid.label-dots" } else { "invalid.label" }, Vec::new())
    });
    too_long(text, 63).into_iter().chain(form).collect()
}

/// `IsDNS1123Subdomain`.
pub(super) fn dns_subdomain(text: &str) -> Vec<Fault> {
    let form = !text.split('.').all(|part| shaped(part, lower_alphanumeric, b"-"));
    too_long(text, 253).into_iter().chain(form.then(|| ("invalid.subdomain", Vec::new()))).collect()
}

/// `IsWildcardDNS1123Subdomain`.
pub(super) fn wildcard_subdomain(text: &str) -> Vec<Fault> {
    let below = text.strip_prefix("*.").unwrap_or("");
    let form = !below.split('.').all(|part| shaped(part, lower_alphanumeric, b"-"));
    too_long(text, 253).into_iter().chain(form.then(|| ("invalid.wildcard", Vec::new()))).collect()
}

/// `IsDNS1035Label`.
pub(super) fn dns1035_label(text: &str) -> Vec<Fault> {
    let form = !shaped(text, lower_alphanumeric, b"-") || text.starts_with(|c: char| c.is_ascii_digit());
    too_long(text, 63).into_iter().chain(form.then(|| ("invalid.dns1035", Vec::new()))).collect()
}

/// A search domain: a subdomain in which `_` may stand, with an optional dot at its end, or the root alone.
pub(super) fn search_domain(text: &str) -> Vec<Fault> {
    if text == "." {
        return Vec::new();
    }
    let body = text.strip_suffix('.').unwrap_or(text);
    let label = |part: &str| shaped(part.strip_prefix('_').unwrap_or(part), lower_alphanumeric, b"-_");
    let form = !body.split('.').all(label);
    too_long(body, 253).into_iter().chain(form.then(|| ("invalid.search", Vec::new()))).collect()
}

/// `IsValidPortName`: an IANA service name (RFC 6335).
pub(super) fn port_name(text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if text.len() > 15 {
        faults.push(("invalid.long", vec!["15".to_owned()]));
    }
    if text.is_empty() || !text.bytes().all(|byte| lower_alphanumeric(byte) || byte == b'-') {
        faults.push(("invalid.port-chars", Vec::new()));
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        faults.push(("invalid.port-letter", Vec::new()));
    }
    if text.contains("--") {
        faults.push(("invalid.port-hyphens", Vec::new()));
    }
    if text.starts_with('-') || text.ends_with('-') {
        faults.push(("invalid.port-edge", Vec::new()));
    }
    faults
}

/// `IsQualifiedName`: a label's key.
pub(super) fn qualified_name(text: &str) -> Vec<Fault> {
    let mut parts = text.split('/');
    let (prefix, name) = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => (None, name),
        (Some(prefix), Some(name), None) => (Some(prefix), name),
        _ => return vec![("invalid.qualified-slashes", Vec::new())],
    };
    let mut faults = Vec::new();
    match prefix {
        Some("") => faults.push(("invalid.qualified-no-prefix", Vec::new())),
        Some(prefix) => {
            if prefix.len() > 253 {
                faults.push(("invalid.qualified-prefix-long", Vec::new()));
            }
            if !prefix.split('.').all(|part| shaped(part, lower_alphanumeric, b"-")) {
                faults.push(("invalid.qualified-prefix", Vec::new()));
            }
        }
        None => {}
    }
    if name.is_empty() {
        faults.push(("invalid.qualified-empty", Vec::new()));
    } else if name.len() > 63 {
        faults.push(("invalid.qualified-long", Vec::new()));
    }
    if !shaped(name, |byte| byte.is_ascii_alphanumeric(), b"-_.") {
        faults.push(("invalid.qualified", Vec::new()));
    }
    faults
}

/// `IsValidLabelValue`.
pub(super) fn label_value(text: &str) -> Vec<Fault> {
    let form = !text.is_empty() && !shaped(text, |byte| byte.is_ascii_alphanumeric(), b"-_.");
    too_long(text, 63).into_iter().chain(form.then(|| ("invalid.label-value", Vec::new()))).collect()
}

/// `IsEnvVarName` in its relaxed form: printable ASCII without `=`.
pub(super) fn env_name(text: &str) -> Vec<Fault> {
    let form = text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=');
    (!form).then(|| ("invalid.env", Vec::new())).into_iter().collect()
}

/// `IsHTTPHeaderName`.
pub(super) fn http_header(text: &str) -> Vec<Fault> {
    let form = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (!form).then(|| ("invalid.http-header", Vec::new())).into_iter().collect()
}

/// `IsValidSysctlName`.
pub(super) fn is_sysctl(text: &str) -> bool {
    let outer = lower_alphanumeric;
    text.len() <= 253 && text.split(['.', '/']).all(|part| shaped(part, outer, b"-_"))
}

/// `IsValidPathSegmentName`: what may be a part of a URL's path.
pub(super) fn path_segment(text: &str) -> Vec<Fault> {
    if text == "." || text == ".." {
        return vec![("invalid.path-is", vec![text.to_owned()])];
    }
    let inside = ["/", "%"].into_iter().filter(|part| text.contains(part));
    inside.map(|part| ("invalid.path-contains", vec![part.to_owned()])).collect()
}

/// `IsConfigMapKey`.
pub(super) fn config_key(text: &str) -> Vec<Fault> {
    let form = text.is_empty()
        || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let dots = match text {
        "." => Some("invalid.config-dot"),
        ".." => Some("invalid.config-parent"),
        _ if text.starts_with("..") => Some("invalid.config-dots"),
        _ => None,
    };
    let form = form.then(|| ("invalid.config-key", Vec::new()));
    too_long(text, 253).into_iter().chain(form).chain(dots.map(|key| (key, Vec::new()))).collect()
}

/// What may stand in the path of a URL (`httpPathFmt`, RFC 3986).
pub(super) fn is_http_path(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte))
}

/// `IsValidPortNum`.
pub(super) fn port_number(number: i64) -> bool {
    (1..=65535).contains(&number)
}

/// Whether the API server takes the text for an IP address.
pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok()
}

/// Whether the API server takes the text for a CIDR.
pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let limit = if address.is_ipv4() { 32 } else { 128 };
    !length.is_empty()
        && length.bytes().all(|byte| byte.is_ascii_digit())
        && length.parse::<u8>().is_ok_and(|length| length <= limit)
}
