//! `kubectl create configmap` and `secret`: data of literals and of files (`create_configmap.go`, `create_secret.go`,
//! `create_secret_tls.go`, `create_secret_docker.go`).

use crate::manifest::is_config_key;
use crate::shell::Context;
use crate::shell::kubectl::flags::{Flag, Words, value};
use crate::tls::pair;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Flags of these types.
pub(super) const FLAGS: [Flag; 9] = [
    value("from-literal", ' '),
    value("from-file", ' '),
    value("type", ' '),
    value("cert", ' '),
    value("key", ' '),
    value("docker-server", ' '),
    value("docker-username", ' '),
    value("docker-password", ' '),
    value("docker-email", ' '),
];
/// The registry where none is named.
const SERVER: &str = "https://index.docker.io/v1/";
/// The key of what Docker's clients keep.
const DOCKER: &str = ".dockerconfigjson";

/// Data by their keys.
type Data = BTreeMap<String, Vec<u8>>;

/// Of which type the object is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of<'n> {
    ConfigMap(&'n str),
    Secret,
}

impl Of<'_> {
    /// Why a key cannot be added, where it cannot.
    fn objection(self, data: &Data, key: &str) -> Result<(), String> {
        let faults = is_config_key(key);
        match self {
            Self::ConfigMap(_) if !faults.is_empty() => {
                Err(format!("error: {key:?} is not a valid key name for a ConfigMap: {}\n", faults.join(",")))
            }
            Self::Secret if !faults.is_empty() => {
                Err(format!("error: {key:?} is not valid key name for a Secret {}\n", faults.join(";")))
            }
            Self::ConfigMap(name) if data.contains_key(key) => Err(format!(
                "error: cannot add key {key:?}, another key by that name already exists in Data for ConfigMap {name:?}\n"
            )),
            Self::Secret if data.contains_key(key) => {
                Err(format!("error: cannot add key {key}, another key by that name already exists\n"))
            }
            Self::ConfigMap(_) | Self::Secret => Ok(()),
        }
    }

    fn add(self, data: &mut Data, key: &str, bytes: Vec<u8>) -> Result<(), String> {
        self.objection(data, key)?;
        data.insert(key.to_owned(), bytes);
        Ok(())
    }
}

/// `KEY=VALUE` (`ParseLiteralSource`).
fn literals(of: Of<'_>, words: &Words, data: &mut Data) -> Result<(), String> {
    for pair in words.all("from-literal") {
        let wrong = || format!("error: invalid literal source {pair}, expected key=value\n");
        let (key, value) = pair.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(wrong)?;
        of.add(data, key, value.as_bytes().to_vec())?;
    }
    Ok(())
}

/// `[KEY=]PATH` (`ParseFileSource`).
fn source(text: &str) -> Result<(&str, &str), String> {
    match text.split('=').collect::<Vec<_>>()[..] {
        [path] => Ok((path.trim_end_matches('/').rsplit('/').next().unwrap_or(path), path)),
        ["", path] => Err(format!("error: key name for file path {path} missing\n")),
        [key, ""] => Err(format!("error: file path for key name {key} missing\n")),
        [key, path] => Ok((key, path)),
        _ => Err("error: key names or file paths cannot contain '='\n".to_owned()),
    }
}

/// Files, and those that lie in a directory.
fn files(of: Of<'_>, context: &Context<'_>, sources: &[String], data: &mut Data) -> Result<(), String> {
    for text in sources {
        let (key, path) = source(text)?;
        if let Some(bytes) = (context.bytes)(path) {
            of.add(data, key, bytes)?;
            continue;
        }
        let below = (context.below)(path);
        if below.is_empty() {
            return Err(format!("error: error reading {path}: no such file or directory\n"));
        }
        if text.contains('=') {
            return Err("error: cannot give a key name for a directory path\n".to_owned());
        }
        for name in below.iter().filter(|name| !name.contains('/')) {
            let bytes = (context.bytes)(&format!("{}/{name}", path.trim_end_matches('/')));
            of.add(data, name, bytes.unwrap_or_default())?;
        }
    }
    Ok(())
}

/// A `ConfigMap`.
pub(super) fn config_map(context: &Context<'_>, name: &str, words: &Words) -> Result<Value, String> {
    let (of, mut data) = (Of::ConfigMap(name), Data::new());
    files(of, context, &paths(words), &mut data)?;
    literals(of, words, &mut data)?;
    let mut made = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
    for (key, bytes) in data {
        match String::from_utf8(bytes) {
            Ok(text) => made["data"][key] = json!(text),
            Err(error) => made["binaryData"][key] = json!(BASE64.encode(error.as_bytes())),
        }
    }
    Ok(made)
}

fn paths(words: &Words) -> Vec<String> {
    words.values("from-file").into_iter().map(str::to_owned).collect()
}

fn secret(name: &str, kind: Option<&str>, data: &Data) -> Value {
    let mut made = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } });
    if !data.is_empty() {
        let data: BTreeMap<&String, String> =
            data.iter().map(|(key, bytes)| (key, BASE64.encode(bytes))).collect();
        made["data"] = json!(data);
    }
    if let Some(kind) = kind {
        made["type"] = json!(kind);
    }
    made
}

/// A Secret of whatever is given.
pub(super) fn generic(context: &Context<'_>, name: &str, words: &Words) -> Result<Value, String> {
    let mut data = Data::new();
    literals(Of::Secret, words, &mut data)?;
    files(Of::Secret, context, &paths(words), &mut data)?;
    Ok(secret(name, words.value("type"), &data))
}

/// A certificate with its key.
pub(super) fn tls(context: &Context<'_>, name: &str, words: &Words) -> Result<Value, String> {
    let given = |flag: &str| words.value(flag).unwrap_or("").to_owned();
    let (certificate, key) = (given("cert"), given("key"));
    if certificate.is_empty() || key.is_empty() {
        return Err("error: key and cert must be specified\n".to_owned());
    }
    let read = |path: &str| {
        let missing = || format!("error: Cannot read file {path}, open {path}: no such file or directory\n");
        (context.bytes)(path).ok_or_else(missing)
    };
    let (certificate, key) = (read(&certificate)?, read(&key)?);
    pair(&String::from_utf8_lossy(&certificate), &String::from_utf8_lossy(&key))
        .map_err(|why| format!("error: {why}\n"))?;
    let data = [("tls.crt".to_owned(), certificate), ("tls.key".to_owned(), key)];
    Ok(secret(name, Some("kubernetes.io/tls"), &data.into()))
}

/// What a registry asks for.
pub(super) fn docker(context: &Context<'_>, name: &str, words: &Words) -> Result<Value, String> {
    let given = |flag: &str| words.value(flag).unwrap_or("");
    let (user, password, email) = (given("docker-username"), given("docker-password"), given("docker-email"));
    let server = words.value("docker-server").unwrap_or(SERVER);
    let sources = paths(words);
    if sources.is_empty() && (user.is_empty() || password.is_empty() || server.is_empty()) {
        let why = "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required";
        return Err(format!("error: {why}\n"));
    }
    let mut data = Data::new();
    if sources.is_empty() {
        let auth = BASE64.encode(format!("{user}:{password}").as_bytes());
        let fields = [("username", user), ("password", password), ("email", email), ("auth", &auth)];
        let fields: Vec<String> = fields
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(field, text)| format!("\"{field}\":{}", go_text(text)))
            .collect();
        let text = format!("{{\"auths\":{{{}:{{{}}}}}}}", go_text(server), fields.join(","));
        data.insert(DOCKER.to_owned(), text.into_bytes());
    } else {
        let keyed = |text: String| if text.contains('=') { text } else { format!("{DOCKER}={text}") };
        let sources: Vec<String> = sources.into_iter().map(keyed).collect();
        files(Of::Secret, context, &sources, &mut data)?;
    }
    Ok(secret(name, Some("kubernetes.io/dockerconfigjson"), &data))
}

/// A text as Go's `encoding/json` writes it, which leaves no markup in it.
fn go_text(text: &str) -> String {
    let text = json!(text).to_string();
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
