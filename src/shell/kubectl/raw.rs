//! `kubectl get --raw` and `kubectl delete --raw`: paths of the API server.

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
    /// The list may not be older than this.
    at_least: Option<u64>,
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

/// A client that deletes what a path names, with the options in a file if one is given.
pub(super) fn raw_delete(path: &str, file: Option<&str>) -> Command {
    let (path, file) = (path.to_owned(), file.map(str::to_owned));
    client(move |os| {
        let text = match &file {
            None => Some(String::new()),
            Some(file) => os.read_file(file),
        };
        let Some(text) = text else {
            let file = file.as_deref().unwrap_or_default();
            return Next::Done(fail(os, &format!("error: open {file}: no such file or directory\n")));
        };
        match deleted(os, &path, &text) {
            Ok(text) => {
                say(os, &text);
                Next::Done(0)
            }
            Err(error) => Next::Done(fail(os, &refusal(&error, ""))),
        }
    })
}

fn deleted(os: &mut dyn Os, path: &str, text: &str) -> Result<String, ApiError> {
    let path = path.split('?').next().unwrap_or(path);
    let Path { resource, namespace, name, .. } = read(path).ok_or_else(not_found)?;
    let name = name.ok_or_else(not_found)?;
    let options = match text.trim() {
        "" => json!({}),
        text => serde_json::from_str(text).map_err(|why| {
            ApiError::bad_request(format!("couldn't get version/kind; json parse error: {why}"))
        })?,
    };
    let key = ObjectKey::new(resource.kind, &namespace, &name);
    let object = os.api(&ApiRequest::DeleteWith { key, options })?;
    Ok(format!("{object}\n"))
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
    let choice = choices(choice)?;
    let Some(name) = name else {
        let version = choice.version;
        let request = ApiRequest::Snapshot { kind: resource.kind.to_owned(), namespace, version };
        let mut list = os.api(&request)?;
        let current: u64 =
            list["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        if let Some(least) = choice.at_least.filter(|least| *least > current) {
            let why = format!("Timeout: Too large resource version: {least}, current: {current}");
            return Err(ApiError { code: 504, reason: "Timeout", message: why });
        }
        list.as_object_mut().map(|fields| fields.remove("next"));
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

fn choices(text: &str) -> Result<Choice, ApiError> {
    let pairs: Vec<(&str, String)> = text
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key, decoded(value)))
        .collect();
    let value =
        |name: &str| pairs.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.as_str());
    let (matching, version) = (value("resourceVersionMatch"), value("resourceVersion"));
    check_match(matching, version)?;
    let number = match version {
        "" => None,
        text => Some(text.parse::<u64>().map_err(|_| {
            let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
            ApiError::unknown(format!("resourceVersion: Invalid value: {text:?}: {why}"))
        })?),
    };
    let exact = matching == "Exact";
    let refused = |why: String| ApiError::bad_request(why.trim_end().to_owned());
    Ok(Choice {
        labels: labels::labels(value("labelSelector")).map_err(refused)?,
        fields: select::fields(value("fieldSelector")).map_err(refused)?,
        version: number.filter(|_| exact),
        at_least: number.filter(|_| !exact),
    })
}

/// `ValidateListOptions`, as far as versions go.
fn check_match(matching: &str, version: &str) -> Result<(), ApiError> {
    const FIELD: &str = "resourceVersionMatch";
    let mut errors = Vec::new();
    if !matching.is_empty() && version.is_empty() {
        errors.push(format!("{FIELD}: Forbidden: {FIELD} is forbidden unless resourceVersion is provided"));
    }
    if !matches!(matching, "" | "Exact" | "NotOlderThan") {
        let known = "\"Exact\", \"NotOlderThan\", \"\"";
        errors.push(format!("{FIELD}: Unsupported value: {matching:?}: supported values: {known}"));
    }
    if matching == "Exact" && version == "0" {
        errors.push(format!("{FIELD}: Forbidden: {FIELD} \"exact\" is forbidden for resourceVersion \"0\""));
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("ListOptions.meta.k8s.io", "", &errors)) }
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
