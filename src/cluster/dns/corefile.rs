//! A Corefile (corefile(5)): server blocks with their zones, and the plugins of each.

use super::selector::LabelTest;
use super::{Kubernetes, PodMode};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// Port of a server that names none.
pub const PORT: u16 = 53;
/// How deep snippets may import one another.
const IMPORTS_MAX: usize = 16;
/// Most words of a Corefile, so that snippets that import each other several times end.
const WORDS_MAX: usize = 100_000;

/// A server block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerBlock {
    /// Zones it serves, each with its last dot.
    pub zones: Vec<String>,
    /// The port of each zone.
    pub ports: Vec<u16>,
    /// Its plugins in the order of the text.
    pub plugins: Vec<Directive>,
    /// Line it begins at, from 1.
    pub line: usize,
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
    /// Of which kind it is.
    pub kind: Wrong,
}

/// What kind of thing is wrong with a Corefile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wrong {
    /// CoreDNS refuses it.
    #[default]
    Refused,
    /// There is no plugin of this name.
    UnknownPlugin(String),
    /// CoreDNS takes it, and it is not simulated.
    Unsimulated,
    /// This file is not there.
    NoFile(String),
}

/// As CoreDNS says it, without the name of the file.
impl fmt::Display for CorefileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - Error during parsing: {}", self.line, self.message)
    }
}

/// A word of the text with its line.
#[derive(Clone, Debug)]
struct Token {
    line: usize,
    text: String,
    /// Whether it stood in quotes, so that a brace is only a character.
    quoted: bool,
}

impl Token {
    fn is(&self, brace: &str) -> bool {
        !self.quoted && self.text == brace
    }
}

pub(super) fn error(line: usize, message: impl Into<String>) -> CorefileError {
    CorefileError { line, message: message.into(), kind: Wrong::Refused }
}

/// An error about something that CoreDNS knows: `what` is not simulated.
pub(super) fn unsimulated(line: usize, what: &str) -> CorefileError {
    CorefileError { kind: Wrong::Unsimulated, ..error(line, format!("{what} is not simulated")) }
}

/// Words, in quotes or not, without comments (`caddyfile.lexer`). Quotes may run over lines.
fn tokens(text: &str) -> Result<Vec<Token>, CorefileError> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while let Some(at) = chars.next() {
        match at {
            '\n' => line += 1,
            '#' => while chars.next_if(|at| *at != '\n').is_some() {},
            '"' => {
                let start = line;
                let mut word = String::new();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') if chars.peek() == Some(&'"') => word.extend(chars.next()),
                        Some(other) => {
                            line += usize::from(other == '\n');
                            word.push(other);
                        }
                        None => return Err(error(start, "a quote is not closed")),
                    }
                }
                tokens.push(Token { line: start, text: word, quoted: true });
            }
            // A line that ends in a backslash goes on in the next one.
            '\\' if chars.peek() == Some(&'\n') => {
                chars.next();
            }
            blank if blank.is_whitespace() => {}
            first => {
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|at| !at.is_whitespace()) {
                    word.push(next);
                }
                tokens.push(Token { line, text: word, quoted: false });
            }
        }
    }
    Ok(tokens)
}

/// Reads a Corefile.
pub fn parse(text: &str) -> Result<Vec<ServerBlock>, CorefileError> {
    parse_with(text, &|_| None)
}

/// Reads a Corefile; `variable` gives the values of environment variables, written `{$NAME}` or `{%NAME%}`.
pub fn parse_with(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<ServerBlock>, CorefileError> {
    let mut tokens = tokens(text)?;
    for token in &mut tokens {
        token.text = with_variables(&token.text, variable);
    }
    let mut snippets = BTreeMap::new();
    let mut blocks = Vec::new();
    let mut rest = tokens.as_slice();
    while let Some(first) = rest.first() {
        if let Some(name) = snippet_name(first) {
            let body = snippet(&mut rest)?;
            if snippets.insert(name.to_owned(), body).is_some() {
                return Err(error(
                    first.line,
                    format!("redeclaration of previously declared snippet {name}"),
                ));
            }
            continue;
        }
        if first.is("import") && rest.get(1).is_some_and(|next| next.line == first.line && is_glob(next)) {
            // Server blocks of files that nobody has put there.
            rest = &rest[rest.iter().take_while(|next| next.line == first.line).count()..];
            continue;
        }
        if first.is("import") {
            return Err(unsimulated(first.line, "import outside of a server block"));
        }
        blocks.push(server_block(&mut rest, &snippets)?);
    }
    Ok(blocks)
}

fn with_variables(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = text.to_owned();
    for (open, close) in [("{$", "}"), ("{%", "%}")] {
        while let Some(start) = out.find(open) {
            let Some(len) = out[start + 2..].find(close) else { break };
            let name = &out[start + 2..start + 2 + len];
            let value = variable(name).unwrap_or_default().replace(open, "");
            out.replace_range(start..start + 2 + len + close.len(), &value);
        }
    }
    out
}

type Snippets = BTreeMap<String, Vec<Token>>;

fn snippet_name(token: &Token) -> Option<&str> {
    token.text.strip_prefix('(')?.strip_suffix(')').filter(|_| !token.quoted)
}

/// The words in the braces of a snippet.
fn snippet(rest: &mut &[Token]) -> Result<Vec<Token>, CorefileError> {
    let line = rest[0].line;
    if !rest.get(1).is_some_and(|token| token.is("{")) {
        return Err(error(line, "a snippet has no block in braces"));
    }
    let mut depth = 0_usize;
    for (at, token) in rest.iter().enumerate().skip(1) {
        depth += usize::from(token.is("{"));
        depth -= usize::from(token.is("}"));
        if depth == 0 {
            let body = rest[2..at].to_vec();
            *rest = &rest[at + 1..];
            return Ok(body);
        }
    }
    Err(error(line, "Unexpected EOF: a brace is not closed"))
}

fn server_block(rest: &mut &[Token], snippets: &Snippets) -> Result<ServerBlock, CorefileError> {
    let first = &rest[0];
    let open = rest.iter().position(|token| token.is("{"));
    let open = open.ok_or_else(|| error(first.line, format!("{} has no block in braces", first.text)))?;
    if open == 0 {
        return Err(error(first.line, "a block has no zone in front of it"));
    }
    let mut block = ServerBlock { line: first.line, ..ServerBlock::default() };
    let addresses =
        rest[..open].iter().flat_map(|token| token.text.split(',').map(|text| (token.line, text)));
    for (line, text) in addresses.filter(|(_, text)| !text.is_empty()) {
        let port = port_of(line, text)?;
        for zone in zones_of(text) {
            if let Err(wrong) = crate::base::dns::labels(&zone) {
                return Err(error(line, format!("not a valid zone: {text}: {wrong}")));
            }
            block.zones.push(zone);
            block.ports.push(port);
        }
    }
    *rest = &rest[open + 1..];
    let end = end_of_block(rest).ok_or_else(|| error(first.line, "Unexpected EOF: a brace is not closed"))?;
    let mut body = Vec::new();
    imported(&rest[..end], snippets, 0, &mut body)?;
    *rest = &rest[end + 1..];
    let mut words = body.as_slice();
    block.plugins = directives(&mut words, first.line, true)?;
    Ok(block)
}

/// Where the brace stands that closes the block that is open.
fn end_of_block(rest: &[Token]) -> Option<usize> {
    let mut depth = 1_usize;
    rest.iter().position(|token| {
        depth += usize::from(token.is("{"));
        depth -= usize::from(token.is("}"));
        depth == 0
    })
}

/// Whether a name stands for all files that fit it. None do: only snippets are imported here, and CoreDNS takes that with
/// a warning.
fn is_glob(name: &Token) -> bool {
    name.text.contains(['*', '?', '['])
}

/// Puts snippets in the places of their imports.
fn imported(
    words: &[Token],
    snippets: &Snippets,
    depth: usize,
    out: &mut Vec<Token>,
) -> Result<(), CorefileError> {
    let mut at = 0;
    while let Some(token) = words.get(at) {
        let begins_line = at == 0 || words[at - 1].line != token.line || words[at - 1].is("{");
        if !(token.is("import") && begins_line) {
            out.push(token.clone());
            at += 1;
            continue;
        }
        let args = words[at + 1..].iter().take_while(|next| next.line == token.line).count();
        let Some(name) = words.get(at + 1).filter(|_| args > 0) else {
            return Err(error(token.line, "Wrong argument count or unexpected line ending after 'import'"));
        };
        if is_glob(name) && !snippets.contains_key(&name.text) {
            at += 1 + args;
            continue;
        }
        let Some(body) = snippets.get(&name.text) else {
            return Err(error(token.line, format!("File to import not found: {}", name.text)));
        };
        if depth >= IMPORTS_MAX || out.len() + body.len() > WORDS_MAX {
            return Err(error(token.line, format!("snippet {} imports itself", name.text)));
        }
        imported(body, snippets, depth + 1, out)?;
        at += 1 + args;
    }
    Ok(())
}

/// Reads up to the closing brace, or at the top to the end. Each line is a directive; its block opens at the end of
/// the line.
fn directives(rest: &mut &[Token], opened: usize, top: bool) -> Result<Vec<Directive>, CorefileError> {
    let mut found: Vec<Directive> = Vec::new();
    loop {
        let Some((token, after)) = rest.split_first() else {
            if top {
                return Ok(found);
            }
            return Err(error(opened, "Unexpected EOF: a brace is not closed"));
        };
        *rest = after;
        if token.is("}") {
            return Ok(found);
        }
        if token.is("{") {
            let owner = found.last_mut().ok_or_else(|| error(token.line, "Unexpected token '{'"))?;
            owner.block = directives(rest, token.line, false)?;
            continue;
        }
        let args = rest.iter().take_while(|next| next.line == token.line);
        let args: Vec<String> =
            args.take_while(|next| !next.is("{") && !next.is("}")).map(|next| next.text.clone()).collect();
        *rest = &rest[args.len()..];
        found.push(Directive { line: token.line, name: token.text.clone(), args, block: Vec::new() });
    }
}

/// The port of a server's address, or why it has none that is simulated.
fn port_of(line: usize, text: &str) -> Result<u16, CorefileError> {
    let bare = match text.split_once("://") {
        None => text,
        Some(("dns", rest)) => rest,
        Some((scheme, _)) => return Err(unsimulated(line, &format!("a server of {scheme}://"))),
    };
    match bare.rsplit_once(':') {
        // A prefix of addresses has colons of its own.
        Some((host, _)) if host.contains(':') => Ok(PORT),
        Some((_, port)) => port.parse().map_err(|_| error(line, format!("not a valid port: {port}"))),
        None => Ok(PORT),
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
            "noendpoints" if args.is_empty() => self.no_endpoints = true,
            "multicluster" if !args.is_empty() => {
                self.multicluster = args.iter().flat_map(|zone| zones_of(zone)).collect();
            }
            "labels" | "namespace_labels" if !args.is_empty() => {
                let text = args.join(" ");
                let tests = LabelTest::parse_all(&text).ok_or_else(|| {
                    error(property.line, format!("unable to parse label selector: '{text}'"))
                })?;
                if property.name == "labels" {
                    self.labels = tests;
                } else {
                    self.namespace_labels = tests;
                }
            }
            "endpoint" if args.is_empty() => return Err(super::plugin::wrong_arguments(property)),
            // Upstream servers are always asked through the server itself, and how the API server is reached is no matter
            // here.
            "upstream"
            | "endpoint"
            | "tls"
            | "kubeconfig"
            | "apiserver_qps"
            | "apiserver_burst"
            | "apiserver_max_inflight"
            | "startup_timeout" => {}
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
        assert_eq!(said(". {\n {\n }\n}\n").unwrap_err().0, 2);
        let blocks = parse("a b:53 { # two\n cache 30 {\n  success 100\n }\n log\n}\n").unwrap();
        assert_eq!(blocks[0].zones, ["a.", "b."]);
        assert_eq!(blocks[0].plugins[0].args, ["30"]);
        assert_eq!(blocks[0].plugins[0].block[0].name, "success");
        assert_eq!(blocks[0].plugins[1].name, "log");
    }
}
