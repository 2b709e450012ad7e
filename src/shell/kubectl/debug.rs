//! `kubectl debug` of nodes, of Pods by a container that comes into them, and of copies of Pods (`pkg/cmd/debug`).

use super::change::{Next, client, debugged, fail, refusal, say};
use super::flags::{self, Flag, Words, switch, value};
use super::json::{list, text};
use super::resources::{named, of_kind};
use super::{get, view};
use crate::api::ApiRequest;
use crate::shell::out::{not_simulated, refuse};
use crate::shell::{Command, Context};
use serde_json::{Value, json};

const FLAGS: [Flag; 16] = [
    value("target", ' '),
    value("image", ' '),
    value("container", 'c'),
    value("copy-to", ' '),
    value("env", ' '),
    value("image-pull-policy", ' '),
    value("profile", ' '),
    value("set-image", ' '),
    switch("stdin", 'i'),
    switch("tty", 't'),
    switch("quiet", 'q'),
    switch("attach", ' '),
    switch("arguments-only", ' '),
    switch("same-node", ' '),
    switch("share-processes", ' '),
    switch("replace", ' '),
];
const OTHERS: [&str; 8] = [
    "custom",
    "filename",
    "keep-annotations",
    "keep-init-containers",
    "keep-labels",
    "keep-liveness",
    "keep-readiness",
    "keep-startup",
];
const LEGACY: &str = "--profile=legacy is deprecated and will be removed in the future. It is recommended to explicitly specify a \
    profile, for example \"--profile=general\".\n";

/// `kubectl debug` with these words after it.
pub(super) fn debug(context: &Context<'_>, words: &[String]) -> Command {
    match prepared(context, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

/// What the client objects to (`DebugOptions.Validate`).
fn objection(words: &Words) -> Result<(), &'static str> {
    let has = |flag: &str| words.value(flag).is_some_and(|value| !value.is_empty() && value != "false");
    let args = words.rest.as_ref().is_some_and(|rest| !rest.is_empty());
    if has("attach") && !has("image") && !has("container") {
        return Err(
            "you must specify --container or create a new container using --image in order to attach.",
        );
    }
    if has("copy-to") {
        if !has("image") && !has("set-image") && !args {
            return Err("you must specify --image, --set-image or command arguments.");
        }
        if args && !has("container") && !has("image") {
            return Err("you must specify an existing container or a new image when specifying args.");
        }
    } else if has("replace") {
        return Err("--replace may only be used with --copy-to.");
    } else if has("same-node") {
        return Err("--same-node may only be used with --copy-to.");
    } else if has("set-image") {
        return Err("--set-image may only be used with --copy-to.");
    } else if !has("image") {
        return Err("you must specify --image when not using --copy-to.");
    }
    if words.operands.is_empty() {
        return Err("NAME or filename is required for debug");
    }
    if has("target") && has("copy-to") {
        return Err("--target is incompatible with --copy-to. Use --share-processes instead.");
    }
    if has("tty") && !has("stdin") {
        return Err("-i/--stdin is required for containers with -t/--tty=true");
    }
    Ok(())
}

fn prepared(context: &Context<'_>, words: &[String]) -> Result<Command, String> {
    let words = flags::read("debug", &FLAGS, &OTHERS, words)?;
    objection(&words).map_err(|why| format!("error: {why}\n"))?;
    let profile = words.value("profile").unwrap_or("legacy").to_owned();
    let into = !words.operands[0].starts_with("node") && words.value("copy-to").is_none();
    let known = ["legacy", "general", "sysadmin", "baseline", "netadmin", "restricted"];
    if !known.contains(&profile.as_str()) || (!into && !known[..3].contains(&profile.as_str())) {
        return Err(not_simulated("kubectl debug", &format!("--profile={profile}")).0);
    }
    let warning = if profile == "legacy" { LEGACY } else { "" };
    let target = &words.operands[0];
    let (kind, name) = target.split_once('/').unwrap_or(("pods", target));
    let unknown = || format!("error: the server doesn't have a resource type \"{kind}\"\n");
    let resource = *named(kind).first().ok_or_else(unknown)?;
    let namespace = words.namespace(context.kube_namespace);
    let mut objects = view::objects(context.inventory, resource).into_iter();
    let found = objects.find(|one| {
        text(one, "metadata.name") == name
            && (!resource.namespaced || text(one, "metadata.namespace") == namespace)
    });
    let found = found.ok_or_else(|| get::not_found(resource, name))?;
    if resource.kind == "Pod" && words.value("copy-to").is_none() {
        return looked_into(context, &words, found, (&profile, warning));
    }
    let (said, mut pod, container) = match resource.kind {
        "Node" => of_node(context, &words, (name, &profile)),
        "Pod" => copied(context, &words, &found, &profile)?,
        other => {
            let version = resource.api_version;
            // The core group has no name.
            let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
            return Err(format!("error: \"{version}, Kind={other}\" not supported by debug\n"));
        }
    };
    pod["metadata"]["namespace"] = json!(namespace);
    let said = if words.is_set("quiet") { String::new() } else { said };
    if attaches(&words) && !container.is_empty() {
        return debugged(context, (pod, None), (&container, &words), (said, warning));
    }
    let replaced = words.is_set("replace").then(|| of_kind("Pod")).flatten();
    let replaced = replaced.map(|pods| super::change::key(pods, namespace, name));
    Ok(client(move |os| {
        fail(os, warning);
        say(os, &said);
        if let Err(error) = os.api(&ApiRequest::Create(pod.clone())) {
            return Next::Done(fail(os, &refusal(&error, "")));
        }
        if let Some(key) = replaced.clone() {
            let request = ApiRequest::Delete { key, propagation: None, grace_seconds: Some(0) };
            if let Err(error) = os.api(&request) {
                return Next::Done(fail(os, &refusal(&error, "")));
            }
        }
        Next::Done(0)
    }))
}

/// Whether the client attaches to the container: where nothing is said of that, it does if it passes on its input.
fn attaches(words: &Words) -> bool {
    words.is_set(if words.value("attach").is_some() { "attach" } else { "stdin" })
}

/// A container that comes into a running Pod (`debugByEphemeralContainer`).
fn looked_into(
    context: &Context<'_>,
    words: &Words,
    pod: Value,
    (profile, warning): (&str, &str),
) -> Result<Command, String> {
    let mut said = String::new();
    let mut name = words.value("container").unwrap_or("").to_owned();
    let mut container = json!({ "terminationMessagePolicy": "File", "resources": {} });
    if let Some(target) = words.value("target").filter(|target| !target.is_empty()) {
        container["targetContainerName"] = json!(target);
        said = format!(
            "Targeting container \"{target}\". If you don't see processes from this container it may be because the \
             container runtime doesn't support this feature.\n"
        );
    }
    if name.is_empty() {
        name = format!("debugger-{}", suffix(context, text(&pod, "metadata.name")));
        said = format!("{said}Defaulting debug container name to {name}.\n");
    }
    container["name"] = json!(name);
    adorn(&mut container, words);
    let context_of = match profile {
        "general" => json!({ "capabilities": { "add": ["SYS_PTRACE"] } }),
        "netadmin" => json!({ "capabilities": { "add": ["NET_ADMIN", "NET_RAW"] } }),
        "sysadmin" => json!({ "privileged": true }),
        "restricted" => json!({
            "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] }, "runAsNonRoot": true,
            "seccompProfile": { "type": "RuntimeDefault" },
        }),
        _ => Value::Null,
    };
    if context_of.is_object() {
        container["securityContext"] = context_of;
    }
    let key = super::change::key(
        of_kind("Pod").ok_or_else(String::new)?,
        text(&pod, "metadata.namespace"),
        text(&pod, "metadata.name"),
    );
    let request = ApiRequest::Debug { pod: key, container };
    let said = if words.is_set("quiet") { String::new() } else { said };
    if attaches(words) {
        return debugged(context, (pod, Some(request)), (&name, words), (said, warning));
    }
    let warning = warning.to_owned();
    Ok(client(move |os| {
        fail(os, &warning);
        say(os, &said);
        match os.api(&request) {
            Ok(_) => Next::Done(0),
            Err(error) => Next::Done(fail(os, &refusal(&error, ""))),
        }
    }))
}

/// Five letters and digits, as the client appends them to a name.
fn suffix(context: &Context<'_>, name: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let seed = name.bytes().fold(context.inventory.now.0 | 1, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let count = LETTERS.len() as u64;
    let letter = |at: u32| LETTERS.get(usize::try_from((seed >> (8 + at * 9)) % count).unwrap_or(0));
    (0..5).filter_map(letter).map(|byte| char::from(*byte)).collect()
}

/// What is asked for of the container.
fn adorn(container: &mut Value, words: &Words) {
    if let Some(rest) = words.rest.as_ref().filter(|rest| !rest.is_empty()) {
        let field = if words.is_set("arguments-only") { "args" } else { "command" };
        container[field] = json!(rest);
    }
    let env: Vec<Value> = words
        .values("env")
        .into_iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    if !env.is_empty() {
        container["env"] = json!(env);
    }
    for (flag, field) in [("image", "image"), ("image-pull-policy", "imagePullPolicy")] {
        if let Some(value) = words.value(flag) {
            container[field] = json!(value);
        }
    }
    for flag in ["stdin", "tty"] {
        if words.is_set(flag) {
            container[flag] = json!(true);
        }
    }
}

/// A Pod in the namespaces of a node (`generateNodeDebugPod`): what is said, the Pod, its container.
fn of_node(context: &Context<'_>, words: &Words, (node, profile): (&str, &str)) -> (String, Value, String) {
    let container = words.value("container").unwrap_or("debugger").to_owned();
    let name = format!("node-debugger-{node}-{}", suffix(context, node));
    let said = format!("Creating debugging pod {name} with container {container} on node {node}.\n");
    let mut one = json!({
        "name": container, "terminationMessagePolicy": "File",
        "volumeMounts": [{ "mountPath": "/host", "name": "host-root" }],
    });
    adorn(&mut one, words);
    if profile == "sysadmin" {
        one["securityContext"] = json!({ "privileged": true });
    }
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": { "app.kubernetes.io/managed-by": "kubectl-debug" } },
        "spec": {
            "containers": [one], "hostIPC": true, "hostNetwork": true, "hostPID": true, "nodeName": node,
            "restartPolicy": "Never", "tolerations": [{ "operator": "Exists" }],
            "volumes": [{ "hostPath": { "path": "/" }, "name": "host-root" }],
        },
    });
    (said, pod, container)
}

/// A copy of a Pod with another container, or with one that is changed (`generatePodCopyWithDebugContainer`).
fn copied(
    context: &Context<'_>,
    words: &Words,
    pod: &Value,
    profile: &str,
) -> Result<(String, Value, String), String> {
    let mut spec = pod["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("ephemeralContainers");
        if !words.is_set("same-node") {
            fields.remove("nodeName");
        }
    }
    if words.value("share-processes").is_some() {
        spec["shareProcessNamespace"] = json!(words.is_set("share-processes"));
    }
    let images: Vec<(&str, &str)> =
        words.values("set-image").into_iter().filter_map(|pair| pair.split_once('=')).collect();
    let mut containers = list(&spec, "containers").to_vec();
    for one in &mut containers {
        let own = images.iter().find(|(name, _)| one["name"] == *name);
        if let Some((_, image)) = own.or_else(|| images.iter().find(|(name, _)| *name == "*")) {
            one["image"] = json!(image);
        }
    }
    let mut said = String::new();
    let mut name = words.value("container").unwrap_or("").to_owned();
    let known = containers.iter().position(|one| !name.is_empty() && one["name"] == name.as_str());
    let only_images = known.is_none() && words.value("image").is_none();
    if only_images && images.is_empty() {
        return Err("error: you must specify image when creating new container\n".to_owned());
    }
    if !only_images {
        let at = known.unwrap_or_else(|| {
            if name.is_empty() {
                name = format!("debugger-{}", suffix(context, text(pod, "metadata.name")));
                said = format!("Defaulting debug container name to {name}.\n");
            }
            containers.push(json!({ "name": name, "terminationMessagePolicy": "File" }));
            containers.len() - 1
        });
        let has_args = words.rest.as_ref().is_some_and(|rest| !rest.is_empty());
        if let Some(fields) = containers[at].as_object_mut().filter(|_| has_args) {
            fields.remove("args");
        }
        adorn(&mut containers[at], words);
        match profile {
            "general" => {
                containers[at]["securityContext"] = json!({ "capabilities": { "add": ["SYS_PTRACE"] } });
            }
            "sysadmin" => containers[at]["securityContext"] = json!({ "privileged": true }),
            _ => {}
        }
    }
    spec["containers"] = json!(containers);
    let mut metadata = json!({ "name": words.value("copy-to").unwrap_or_default() });
    for field in ["labels", "annotations"] {
        if pod["metadata"][field].is_object() {
            metadata[field] = pod["metadata"][field].clone();
        }
    }
    Ok((said, json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec }), name))
}
