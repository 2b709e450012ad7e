//! The annotation `vethscope.dev/processes` of a Pod: what its containers do in place of their images' programs.
//!
//! Its value is JSON: container to list of listeners, such as
//! `{"web": [{"listen": "tcp://0.0.0.0:8080", "serve": "http", "body": "hello\n"}]}`.

use crate::base::Ipv4Addr;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;

/// Name of the annotation.
pub const ANNOTATION: &str = "vethscope.dev/processes";

/// What is said on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An HTTP server that answers everything with `body`, or with its host's name.
    Http,
    /// The same with TLS and a certificate that it signed itself.
    Https,
    /// gRPC's health protocol: every service is `SERVING`, or in the state that `body` names.
    Grpc,
    /// It sends back what it gets.
    Echo,
    /// It takes everything and says nothing.
    Silent,
    /// It says `body` and closes.
    Say,
    /// Redis.
    Redis,
    /// `PostgreSQL`'s first answers.
    Postgres,
    /// memcached.
    Memcached,
}

const KINDS: [(&str, Kind); 9] = [
    ("http", Kind::Http),
    ("https", Kind::Https),
    ("grpc", Kind::Grpc),
    ("echo", Kind::Echo),
    ("silent", Kind::Silent),
    ("say", Kind::Say),
    ("redis", Kind::Redis),
    ("postgres", Kind::Postgres),
    ("memcached", Kind::Memcached),
];

/// States of gRPC's health protocol.
const STATES: [&str; 3] = ["SERVING", "NOT_SERVING", "UNKNOWN"];

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Whether it is UDP.
    pub is_udp: bool,
    /// Address and port.
    pub local: SocketAddrV4,
    /// What is said.
    pub serve: Kind,
    /// Text that belongs to it.
    pub body: Option<String>,
}

/// What is wrong in the annotation: a key of the catalogue and its arguments.
pub type Problem = (&'static str, Vec<String>);

/// What the annotation asks of a container; `None` where it says nothing, or nothing valid.
pub fn of_container(annotations: &BTreeMap<String, String>, container: &str) -> Option<Vec<Listen>> {
    let all = parse(annotations.get(ANNOTATION)?).ok()?;
    all.into_iter().find(|(name, _)| name == container).map(|(_, listens)| listens)
}

/// Reads the annotation.
pub fn parse(text: &str) -> Result<Vec<(String, Vec<Listen>)>, Problem> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| ("processes.json", vec![error.to_string()]))?;
    let Value::Object(containers) = value else {
        return Err(("processes.shape", Vec::new()));
    };
    let mut out = Vec::new();
    for (container, listens) in containers {
        let Value::Array(listens) = listens else {
            return Err(("processes.list", vec![container]));
        };
        let listens = listens.iter().map(|listen| read(&container, listen)).collect::<Result<_, _>>()?;
        out.push((container, listens));
    }
    Ok(out)
}

fn read(container: &str, value: &Value) -> Result<Listen, Problem> {
    let Value::Object(fields) = value else {
        return Err(("processes.shape", Vec::new()));
    };
    if let Some(field) = fields.keys().find(|key| !["listen", "serve", "body"].contains(&key.as_str())) {
        return Err(("processes.field", vec![container.to_owned(), field.clone()]));
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let listen = text("listen").unwrap_or("");
    let (is_udp, rest) = match listen.split_once("://") {
        Some(("tcp", rest)) => (false, rest),
        Some(("udp", rest)) => (true, rest),
        _ => return Err(("processes.listen", vec![container.to_owned(), listen.to_owned()])),
    };
    // A port alone listens on all addresses.
    let local = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().map(|port| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)),
        None => rest.parse().ok(),
    };
    let Some(local) = local.filter(|local: &SocketAddrV4| local.port() != 0) else {
        return Err(("processes.listen", vec![container.to_owned(), listen.to_owned()]));
    };
    let default = if is_udp { "echo" } else { "http" };
    let serve = text("serve").unwrap_or(default);
    let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == serve) else {
        let known = KINDS.map(|(name, _)| name).join(", ");
        return Err(("processes.serve", vec![container.to_owned(), serve.to_owned(), known]));
    };
    if is_udp && !matches!(kind, Kind::Echo | Kind::Silent | Kind::Say) {
        return Err(("processes.udp", vec![container.to_owned(), serve.to_owned()]));
    }
    if let Some(state) = text("body").filter(|state| *kind == Kind::Grpc && !STATES.contains(state)) {
        return Err(("processes.state", vec![container.to_owned(), state.to_owned(), STATES.join(", ")]));
    }
    Ok(Listen { is_udp, local, serve: *kind, body: text("body").map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_is_read() {
        let text =
            r#"{"web": [{"listen": "tcp://127.0.0.1:80"}, {"listen": "udp://:53", "serve": "silent"}]}"#;
        let all = parse(text).unwrap();
        assert_eq!(all[0].0, "web");
        assert_eq!(all[0].1[0].local, "127.0.0.1:80".parse().unwrap());
        assert_eq!(
            (all[0].1[0].serve, all[0].1[1].serve, all[0].1[1].is_udp),
            (Kind::Http, Kind::Silent, true)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, problem) in [
            ("[]", "processes.shape"),
            ("{", "processes.json"),
            (r#"{"a": 1}"#, "processes.list"),
            (r#"{"a": [{"listen": "tcp://x"}]}"#, "processes.listen"),
            (r#"{"a": [{"listen": "tcp://:0"}]}"#, "processes.listen"),
            (r#"{"a": [{"listen": "tcp://:1", "serve": "ftp"}]}"#, "processes.serve"),
            (r#"{"a": [{"listen": "tcp://:1", "port": 1}]}"#, "processes.field"),
            (r#"{"a": [{"listen": "udp://:1", "serve": "https"}]}"#, "processes.udp"),
            (r#"{"a": [{"listen": "tcp://:1", "serve": "grpc", "body": "well"}]}"#, "processes.state"),
        ] {
            assert_eq!(parse(text).unwrap_err().0, problem, "{text}");
        }
    }
}
