//! `kubectl get --raw`: paths of the API server.

use super::change::{Next, client, fail, refusal, say};
use super::labels::{self, Labels};
use super::resources::{RESOURCES, Resource};
use super::scale;
use super::select::{self, Fields};
use super::view::VERSION;
use crate::api::{ApiError, ApiRequest};
use crate::app::Os;
use crate::base::ObjectKey;
use crate::shell::Command;
use serde_json::{Value, json};

/// What a path asks for.
struct Path {
    resource: &'static Resource,
    namespace: String,
    name: Option<String>,
    subresource: String,
}

/// What stands behind the question mark.
struct Choice {
    labels: Labels,
    fields: Fields,
    version: Option<u64>,
}

/// A client that asks for this path.
pub(super) fn raw(path: &str) -> Command {
    let path = path.to_owned();
    client(move |os| match answer(os, &path) {
        Ok(text) => {
            say(os, &text);
            Next::Done(0)
        }
        Err(error) => Next::Done(fail(os, &refusal(&error, ""))),
    })
}

fn not_found() -> ApiError {
    let message = "the server could not find the requested resource".to_owned();
    ApiError { code: 404, reason: "NotFound", message }
}

fn answer(os: &mut dyn Os, path: &str) -> Result<String, ApiError> {
    let (path, choice) = path.split_once('?').unwrap_or((path, ""));
    match path.trim_end_matches('/') {
        "/healthz" | "/livez" | "/readyz" => return Ok("ok".to_owned()),
        "/version" => {
            let mut numbers = VERSION.trim_start_matches('v').split('.');
            let mut number = || numbers.next().unwrap_or("0").to_owned();
            return Ok(json!({ "major": number(), "minor": number(), "gitVersion": VERSION }).to_string());
        }
        _ => {}
    }
    let Path { resource, namespace, name, subresource } = read(path).ok_or_else(not_found)?;
    let choice = choices(choice).map_err(|why| ApiError::bad_request(why.trim_end().to_owned()))?;
    let Some(name) = name else {
        let version = choice.version;
        let request =
            ApiRequest::Snapshot { kind: resource.kind.to_owned(), namespace, version, since: None };
        let mut list = os.api(&request)?;
        list.as_object_mut().map(|fields| fields.remove("turn"));
        if let Some(items) = list["items"].as_array_mut() {
            items.retain(|one| choice.labels.selects(one) && choice.fields.selects(one));
            // What stands in a list bears neither kind nor version.
            for fields in items.iter_mut().filter_map(Value::as_object_mut) {
                fields.remove("kind");
                fields.remove("apiVersion");
            }
        }
        return Ok(format!("{list}\n"));
    };
    let object = os.api(&ApiRequest::Get(ObjectKey::new(resource.kind, &namespace, &name)))?;
    match subresource.as_str() {
        "" | "status" => Ok(format!("{object}\n")),
        "scale" if scale::scales(resource.kind) => Ok(format!("{}\n", scale::scale(&object))),
        _ => Err(not_found()),
    }
}

/// `/api/v1/namespaces/NS/pods/NAME` and its like.
fn read(path: &str) -> Option<Path> {
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let version = match parts.first().copied()? {
        "api" if parts.len() > 1 => parts.drain(..2).nth(1)?.to_owned(),
        "apis" if parts.len() > 2 => {
            let head: Vec<&str> = parts.drain(..3).collect();
            format!("{}/{}", head[1], head[2])
        }
        _ => return None,
    };
    let of = |plural: &str| RESOURCES.iter().find(|one| one.plural == plural && one.api_version == version);
    let (namespace, rest) = match parts.as_slice() {
        ["namespaces", namespace, plural, rest @ ..] if of(plural).is_some() => {
            (*namespace, [&[*plural], rest].concat())
        }
        all => ("", all.to_vec()),
    };
    let resource = of(rest.first()?)?;
    Some(Path {
        resource,
        namespace: namespace.to_owned(),
        name: rest.get(1).map(|name| (*name).to_owned()),
        subresource: rest.get(2).map(|name| (*name).to_owned()).unwrap_or_default(),
    })
}

fn choices(text: &str) -> Result<Choice, String> {
    let pairs: Vec<(&str, String)> = text
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key, decoded(value)))
        .collect();
    let value =
        |name: &str| pairs.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.as_str());
    let exact = value("resourceVersionMatch") == "Exact";
    Ok(Choice {
        labels: labels::labels(value("labelSelector"))?,
        fields: select::fields(value("fieldSelector"))?,
        version: value("resourceVersion").parse().ok().filter(|_| exact),
    })
}

/// A text of a URL with its escapes undone.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let code = (byte == b'%').then(|| {
            let digits: Vec<u8> = rest.by_ref().take(2).collect();
            std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())
        });
        match code {
            Some(code) => bytes.extend(code),
            None => bytes.push(if byte == b'+' { b' ' } else { byte }),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
