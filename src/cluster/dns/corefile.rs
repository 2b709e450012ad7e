//! A Corefile (corefile(5)): server blocks with their zones, and the plugins of each.

use super::{Kubernetes, PodMode};
use std::net::IpAddr;

/// A server block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerBlock {
    /// Zones it serves, each with its last dot.
    pub zones: Vec<String>,
    /// Its plugins in the order of the text.
    pub plugins: Vec<Directive>,
}

/// A plugin or one of its properties: a word, its arguments, and what stands in its braces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directive {
    /// Line in the Corefile, from 1.
    pub line: usize,
    /// Name.
    pub name: String,
    /// Arguments.
    pub args: Vec<String>,
    /// Properties.
    pub block: Vec<Directive>,
}

/// What is wrong with a Corefile, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorefileError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong, in CoreDNS's words where it has some.
    pub message: String,
}

/// A word of the text with its line.
#[derive(Clone, Debug)]
struct Token {
    line: usize,
    text: String,
}

fn error(line: usize, message: impl Into<String>) -> CorefileError {
    CorefileError { line, message: message.into() }
}

/// Words, in quotes or not, without comments.
fn tokens(text: &str) -> Result<Vec<Token>, CorefileError> {
    let mut tokens = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = if let Some(quoted) = rest.strip_prefix('"') {
                quoted.split_once('"').ok_or_else(|| error(index + 1, "a quote is not closed"))?
            } else {
                rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()))
            };
            tokens.push(Token { line: index + 1, text: word.to_owned() });
            rest = after.trim_start();
        }
    }
    Ok(tokens)
}

/// Reads a Corefile.
pub fn parse(text: &str) -> Result<Vec<ServerBlock>, CorefileError> {
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    let mut blocks = Vec::new();
    while let Some(first) = rest.first() {
        let open = rest.iter().position(|token| token.text == "{");
        let open = open.ok_or_else(|| error(first.line, format!("{} has no block in braces", first.text)))?;
        let zones =
            rest[..open].iter().flat_map(|token| token.text.split(',')).filter(|zone| !zone.is_empty());
        let zones = zones.flat_map(zones_of).collect();
        rest = &rest[open + 1..];
        let plugins = directives(&mut rest, first.line)?;
        blocks.push(ServerBlock { zones, plugins });
    }
    Ok(blocks)
}

/// Reads up to the closing brace. Each line is a directive; its block opens at the end of the line.
fn directives(rest: &mut &[Token], opened: usize) -> Result<Vec<Directive>, CorefileError> {
    let mut found: Vec<Directive> = Vec::new();
    loop {
        let Some((token, after)) = rest.split_first() else {
            return Err(error(opened, "Unexpected EOF: a brace is not closed"));
        };
        *rest = after;
        match token.text.as_str() {
            "}" => return Ok(found),
            "{" => {
                let owner = found.last_mut().ok_or_else(|| error(token.line, "Unexpected token '{'"))?;
                owner.block = directives(rest, token.line)?;
            }
            name => {
                let args = rest.iter().take_while(|next| next.line == token.line);
                let args: Vec<String> = args
                    .take_while(|next| next.text != "{" && next.text != "}")
                    .map(|next| next.text.clone())
                    .collect();
                *rest = &rest[args.len()..];
                found.push(Directive { line: token.line, name: name.to_owned(), args, block: Vec::new() });
            }
        }
    }
}

/// A zone as CoreDNS normalises it: without scheme and port, with its last dot; a prefix gives the reverse zones that
/// cover it.
pub fn zones_of(text: &str) -> Vec<String> {
    let text = text.strip_prefix("dns://").unwrap_or(text);
    if let Some(zones) = reverse_zones(text) {
        return zones;
    }
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => text,
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    vec![format!("{host}.")]
}

/// The reverse zones of a prefix, cut where labels end (`cidr.Split` and `cidr.Reverse` of CoreDNS).
fn reverse_zones(text: &str) -> Option<Vec<String>> {
    let (address, length) = text.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    let (bits, width, step) = match address.parse().ok()? {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32, 8),
        IpAddr::V6(v6) => (u128::from(v6), 128, 4),
    };
    if length > width {
        return None;
    }
    // At least one label, so that the zone is never a whole family.
    let labels = length.div_ceil(step).max(1);
    let whole = labels * step;
    let first = bits >> (width - whole);
    let count = 1_u128 << (whole - length);
    let base = first & !(count - 1);
    Some((base..base + count).map(|part| reverse_name(part, labels, step)).collect())
}

fn reverse_name(part: u128, labels: u32, step: u32) -> String {
    let label = |index: u32| part >> (index * step) & ((1 << step) - 1);
    let texts = (0..labels).map(label);
    let texts: Vec<String> =
        if step == 8 { texts.map(|value| value.to_string()).collect() } else { texts.map(hex).collect() };
    let family = if step == 8 { "in-addr.arpa." } else { "ip6.arpa." };
    format!("{}.{family}", texts.join("."))
}

fn hex(value: u128) -> String {
    format!("{value:x}")
}

impl Kubernetes {
    /// The plugin as `directive` configures it in a server block with these zones.
    pub fn configured(directive: &Directive, zones: &[String]) -> Result<Self, CorefileError> {
        let own: Vec<String> = directive.args.iter().flat_map(|arg| zones_of(arg)).collect();
        let mut plugin = Self::new(if own.is_empty() { zones.to_vec() } else { own });
        for property in &directive.block {
            plugin.set(property)?;
        }
        Ok(plugin)
    }

    fn set(&mut self, property: &Directive) -> Result<(), CorefileError> {
        let args = &property.args;
        let wrong = || {
            error(
                property.line,
                format!("Wrong argument count or unexpected line ending after '{}'", property.name),
            )
        };
        match property.name.as_str() {
            "namespaces" if !args.is_empty() => self.namespaces.clone_from(args),
            "pods" => {
                self.pods = match args.first().map(String::as_str) {
                    Some("disabled") => PodMode::Disabled,
                    Some("insecure") => PodMode::Insecure,
                    Some("verified") => PodMode::Verified,
                    Some(other) => {
                        return Err(error(property.line, format!("wrong value for pods: {other}")));
                    }
                    None => return Err(wrong()),
                }
            }
            "endpoint_pod_names" if args.is_empty() => self.endpoint_pod_names = true,
            "ignore" => match args.first().map(String::as_str) {
                Some("empty_service") => self.ignore_empty_service = true,
                Some(other) => {
                    return Err(error(property.line, format!("unable to parse ignore value: '{other}'")));
                }
                None => return Err(wrong()),
            },
            "ttl" => {
                let ttl = args.first().ok_or_else(wrong)?;
                let seconds = ttl.parse().ok().filter(|seconds| *seconds <= 3600);
                self.ttl = seconds
                    .ok_or_else(|| error(property.line, format!("ttl must be in range [0, 3600]: {ttl}")))?;
            }
            "fallthrough" => self.fallthrough = Some(args.iter().flat_map(|zone| zones_of(zone)).collect()),
            // Upstream servers are always asked through the server itself; the property means nothing any more.
            "upstream" => {}
            "noendpoints" if args.is_empty() => self.no_endpoints = true,
            known @ ("endpoint" | "tls" | "kubeconfig" | "labels" | "namespace_labels" | "multicluster") => {
                return Err(error(property.line, format!("property '{known}' is not simulated")));
            }
            other => return Err(error(property.line, format!("unknown property '{other}'"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_gives_the_reverse_zones_that_cover_it() {
        assert_eq!(zones_of("10.0.0.0/16"), ["0.10.in-addr.arpa."]);
        assert_eq!(zones_of("172.17.0.0/24"), ["0.17.172.in-addr.arpa."]);
        assert_eq!(zones_of("10.96.0.0/15"), ["96.10.in-addr.arpa.", "97.10.in-addr.arpa."]);
        assert_eq!(zones_of("1234:abcd::/64"), ["0.0.0.0.0.0.0.0.d.c.b.a.4.3.2.1.ip6.arpa."]);
        assert_eq!(zones_of("dns://Example.ORG:1053"), ["example.org."]);
        assert_eq!(zones_of("."), ["."]);
    }

    #[test]
    fn the_places_of_errors_are_told() {
        let said = |text: &str| parse(text).map_err(|error| (error.line, error.message));
        assert_eq!(said(".:53 {\n errors\n").unwrap_err().0, 1);
        assert_eq!(said(".:53\n").unwrap_err(), (1, ".:53 has no block in braces".to_owned()));
        assert_eq!(said(". {\n {\n}\n").unwrap_err().0, 2);
        let blocks = parse("a b:53 { # two\n cache 30 {\n  success 100\n }\n log\n}\n").unwrap();
        assert_eq!(blocks[0].zones, ["a.", "b."]);
        assert_eq!(blocks[0].plugins[0].args, ["30"]);
        assert_eq!(blocks[0].plugins[0].block[0].name, "success");
        assert_eq!(blocks[0].plugins[1].name, "log");
    }
}
