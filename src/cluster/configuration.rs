//! What containers are told: environment variables from Services, `ConfigMaps`, Secrets and the Pod itself
//! (`pkg/kubelet/envvars`, `makeEnvironmentVariables`), and the files of volumes that are made of them.

use crate::api::{Container, Pod, Protocol, Service};
use crate::base::quantity;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the API server knows of the objects that a Pod names.
pub trait Sources {
    /// Keys and values of a `ConfigMap`'s `data`, the only ones that become variables.
    fn config_map(&self, name: &str) -> Option<BTreeMap<String, String>>;
    /// Keys and values of a `ConfigMap`, those of `binaryData` too, which become files.
    fn config_files(&self, name: &str) -> Option<BTreeMap<String, String>>;
    /// Keys and values of a Secret of the Pod's namespace.
    fn secret(&self, name: &str) -> Option<BTreeMap<String, String>>;
    /// A field of the Pod, as `status.podIP`.
    fn field(&self, path: &str) -> Option<String>;
}

/// Takes the code as Go does, whose last letter may carry bits that stand for nothing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Text of what is encoded in base 64 (RFC 4648); `None` for what is no such text.
pub fn base64(text: &str) -> Option<String> {
    let letters: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let bytes = LENIENT.decode(letters.trim_end_matches('=')).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Variables that tell of the Services of a namespace (`envvars.FromServices`).
pub fn service_variables<'a>(services: impl Iterator<Item = &'a Service>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let upper = |name: &str| name.to_uppercase().replace('-', "_");
    for service in services {
        let ip = &service.spec.cluster_ip;
        let Some(first) = service.spec.ports.first().filter(|_| !ip.is_empty() && ip != "None") else {
            continue;
        };
        let name = upper(&service.metadata.name);
        out.push((format!("{name}_SERVICE_HOST"), ip.clone()));
        out.push((format!("{name}_SERVICE_PORT"), first.port.to_string()));
        for port in service.spec.ports.iter().filter(|port| !port.name.is_empty()) {
            out.push((format!("{name}_SERVICE_PORT_{}", upper(&port.name)), port.port.to_string()));
        }
        for (index, port) in service.spec.ports.iter().enumerate() {
            let protocol = match port.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
                Protocol::Sctp => "sctp",
            };
            let url = format!("{protocol}://{ip}:{}", port.port);
            if index == 0 {
                out.push((format!("{name}_PORT"), url.clone()));
            }
            let prefix = format!("{name}_PORT_{}_{}", port.port, protocol.to_uppercase());
            out.push((prefix.clone(), url));
            out.push((format!("{prefix}_PROTO"), protocol.to_owned()));
            out.push((format!("{prefix}_PORT"), port.port.to_string()));
            out.push((format!("{prefix}_ADDR"), ip.clone()));
        }
    }
    out
}

/// `$(NAME)` in a value (`expansion.Expand`): `$$` stands for one `$`, and what is not known stays as it is.
pub fn expanded(word: &str, known: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('$') {
            out.push('$');
            rest = tail;
            continue;
        }
        let name = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        match name {
            Some((name, tail)) => {
                out.push_str(&known(name).unwrap_or_else(|| format!("$({name})")));
                rest = tail;
            }
            None => out.push('$'),
        }
    }
    out + rest
}

fn is_optional(reference: &Value) -> bool {
    reference["optional"].as_bool() == Some(true)
}

/// The variables of a container; the error is what the Event says.
pub fn variables(
    namespace: &str,
    container: &Container,
    services: &[(String, String)],
    sources: &dyn Sources,
) -> Result<Vec<(String, String)>, String> {
    let mut out = from_objects(container, sources)?;
    for variable in &container.env {
        let value = match &variable.value_from {
            None => {
                let known = |name: &str| {
                    let own = out.iter().find(|(known, _)| known == name);
                    own.or_else(|| services.iter().find(|(known, _)| known == name))
                        .map(|(_, value)| value.clone())
                };
                Some(expanded(variable.value.as_deref().unwrap_or(""), &known))
            }
            Some(from) => value_from(namespace, container, from, sources)?,
        };
        let Some(value) = value else { continue };
        match out.iter_mut().find(|(known, _)| *known == variable.name) {
            Some((_, old)) => *old = value,
            None => out.push((variable.name.clone(), value)),
        }
    }
    for (name, value) in services {
        if !out.iter().any(|(known, _)| known == name) {
            out.push((name.clone(), value.clone()));
        }
    }
    Ok(out)
}

/// The variables that `envFrom` brings; of one name the last one.
fn from_objects(container: &Container, sources: &dyn Sources) -> Result<Vec<(String, String)>, String> {
    let mut out: Vec<(String, String)> = Vec::new();
    for from in &container.env_from {
        let prefix = from["prefix"].as_str().unwrap_or("");
        for (field, word) in [("configMapRef", "configmap"), ("secretRef", "secret")] {
            let reference = &from[field];
            let Some(name) = reference["name"].as_str() else { continue };
            let found = if word == "secret" { sources.secret(name) } else { sources.config_map(name) };
            let entries = match found {
                Some(entries) => entries,
                None if is_optional(reference) => BTreeMap::new(),
                None => return Err(format!("{word} \"{name}\" not found")),
            };
            for (key, value) in entries {
                let name = format!("{prefix}{key}");
                out.retain(|(known, _)| *known != name);
                out.push((name, value));
            }
        }
    }
    Ok(out)
}

/// What `valueFrom` stands for; `None` for what is optional and not there.
fn value_from(
    namespace: &str,
    container: &Container,
    from: &Value,
    sources: &dyn Sources,
) -> Result<Option<String>, String> {
    for (field, word, kind) in
        [("configMapKeyRef", "configmap", "ConfigMap"), ("secretKeyRef", "secret", "Secret")]
    {
        let reference = &from[field];
        let Some(name) = reference["name"].as_str() else { continue };
        let key = reference["key"].as_str().unwrap_or("");
        let found = if word == "secret" { sources.secret(name) } else { sources.config_map(name) };
        return match found.as_ref().map(|entries| entries.get(key)) {
            Some(Some(value)) => Ok(Some(value.clone())),
            _ if is_optional(reference) => Ok(None),
            None => Err(format!("{word} \"{name}\" not found")),
            Some(None) => Err(format!("couldn't find key {key} in {kind} {namespace}/{name}")),
        };
    }
    if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
        return Ok(Some(sources.field(path).unwrap_or_default()));
    }
    Ok(Some(resource(container, &from["resourceFieldRef"]).unwrap_or_default()))
}

/// A container's own resource in the unit asked for, rounded up.
fn resource(container: &Container, reference: &Value) -> Option<String> {
    let (list, name) = reference["resource"].as_str()?.split_once('.')?;
    let amount = quantity::of_json(container.resources.as_ref()?.get(list)?.get(name)?)?;
    let unit = quantity::of_json(&reference["divisor"]).filter(|unit| *unit > 0).unwrap_or(1_000);
    Some(((amount + unit - 1) / unit).to_string())
}

/// The files of a volume, by their paths in it; the error is what the Event says. `None` for a volume that is empty at
/// first, as `emptyDir` is.
pub fn files(volume: &Value, sources: &dyn Sources) -> Option<Result<BTreeMap<String, String>, String>> {
    let one = |source: &Value| {
        let config_map = source["configMap"].is_object();
        let (field, key, word, kind) = if config_map {
            ("configMap", "name", "configmap", "ConfigMap")
        } else {
            (
                "secret",
                if source["secret"]["secretName"].is_string() { "secretName" } else { "name" },
                "secret",
                "Secret",
            )
        };
        let reference = &source[field];
        let name = reference[key].as_str()?;
        let found = if config_map { sources.config_files(name) } else { sources.secret(name) };
        Some(match found {
            Some(entries) => chosen(entries, reference, kind),
            None if is_optional(reference) => Ok(BTreeMap::new()),
            None => Err(format!("{word} \"{name}\" not found")),
        })
    };
    let of_pod = |source: &Value| {
        let items = source["downwardAPI"]["items"].as_array()?;
        let file = |item: &Value| {
            let path = item["path"].as_str()?.to_owned();
            Some((path, sources.field(item["fieldRef"]["fieldPath"].as_str()?).unwrap_or_default()))
        };
        Some(Ok(items.iter().filter_map(file).collect()))
    };
    if let Some(parts) = volume["projected"]["sources"].as_array() {
        let mut all = BTreeMap::new();
        for part in parts {
            match one(part).or_else(|| of_pod(part)) {
                Some(Ok(files)) => all.extend(files),
                Some(Err(error)) => return Some(Err(error)),
                None => {}
            }
        }
        return Some(Ok(all));
    }
    one(volume).or_else(|| of_pod(volume))
}

/// The entries that `items` choose, under the paths that they give; all of them where nothing is chosen.
fn chosen(
    entries: BTreeMap<String, String>,
    reference: &Value,
    kind: &str,
) -> Result<BTreeMap<String, String>, String> {
    let Some(items) = reference["items"].as_array().filter(|items| !items.is_empty()) else {
        return Ok(entries);
    };
    let mut out = BTreeMap::new();
    for item in items {
        let (key, path) = (item["key"].as_str().unwrap_or(""), item["path"].as_str().unwrap_or(""));
        match entries.get(key) {
            Some(value) => drop(out.insert(path.to_owned(), value.clone())),
            None if is_optional(reference) => {}
            None => {
                let of = if kind == "Secret" { "secret" } else { "config" };
                return Err(format!(
                    "{}references non-existent {of} key: {key}",
                    if of == "config" { "configmap " } else { "" }
                ));
            }
        }
    }
    Ok(out)
}

/// A field of a Pod that needs nothing but the object (`fieldpath.ExtractFieldPathAsString`).
pub fn field_of(pod: &Pod, path: &str) -> Option<String> {
    let listed = |map: &BTreeMap<String, String>| {
        let lines = map.iter().map(|(key, value)| format!("{key}={value:?}"));
        lines.collect::<Vec<_>>().join("\n")
    };
    if let Some((map, rest)) = path.split_once('[') {
        let key = rest.trim_end_matches(']').trim_matches(['\'', '"']);
        return match map {
            "metadata.labels" => pod.metadata.labels.get(key).cloned(),
            "metadata.annotations" => pod.metadata.annotations.get(key).cloned(),
            _ => None,
        };
    }
    match path {
        "metadata.name" => Some(pod.metadata.name.clone()),
        "metadata.namespace" => Some(pod.metadata.namespace.clone()),
        "metadata.labels" => Some(listed(&pod.metadata.labels)),
        "metadata.annotations" => Some(listed(&pod.metadata.annotations)),
        "spec.serviceAccountName" => {
            Some(pod.spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let known = |name: &str| (name == "A").then(|| "1".to_owned());
        assert_eq!(expanded("x$(A)y$(B)$(A", &known), "x1y$(B)$(A");
        assert_eq!(expanded("$$(A) $A", &known), "$(A) $A");
    }

    #[test]
    fn base_64_is_read() {
        assert_eq!(base64("aGVsbG8=").as_deref(), Some("hello"));
        assert_eq!(base64("aGVs\r\nbG8").as_deref(), Some("hello"));
        assert_eq!(base64("!"), None);
    }
}
