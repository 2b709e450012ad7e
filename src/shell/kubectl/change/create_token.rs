//! `kubectl create token` (`create_token.go`).

use super::{Next, client, fail, key, report, say};
use crate::api::ApiRequest;
use crate::base::Duration;
use crate::manifest;
use crate::shell::kubectl::flags::{self, Flag, Words, value};
use crate::shell::kubectl::resources::of_kind;
use crate::shell::{Command, Context};
use serde_json::{Value, json};

const FLAGS: [Flag; 6] = [
    value("audience", ' '),
    value("duration", ' '),
    value("bound-object-kind", ' '),
    value("bound-object-name", ' '),
    value("bound-object-uid", ' '),
    value("output", 'o'),
];

/// The lifetime that is asked for, in seconds; none where the server is to say.
fn lifetime(words: &Words) -> Result<Option<u64>, String> {
    let Some(text) = words.value("duration") else { return Ok(None) };
    let wrong = || {
        format!("error: invalid argument {text:?} for \"--duration\" flag: time: invalid duration {text:?}\n")
    };
    if let Some(rest) = text.strip_prefix('-') {
        return match manifest::duration(rest).ok_or_else(wrong)? {
            Duration::ZERO => Ok(None),
            _ => Err("error: --duration must be greater than or equal to 0\n".to_owned()),
        };
    }
    let given = manifest::duration(text).ok_or_else(wrong)?;
    let secs = given.as_secs();
    if Duration::from_secs(secs) != given {
        return Err("error: --duration cannot be expressed in units less than seconds\n".to_owned());
    }
    Ok(Some(secs).filter(|secs| *secs > 0))
}

/// What the token goes with (`TokenOptions.Validate`).
fn bound(words: &Words) -> Result<Option<Value>, String> {
    let given = |flag: &str| words.value(flag).filter(|text| !text.is_empty());
    let (kind, name, uid) =
        (given("bound-object-kind"), given("bound-object-name"), given("bound-object-uid"));
    let alone = |flag: &str| format!("error: --{flag} can only be set if --bound-object-kind is provided\n");
    match (kind, name) {
        (None, Some(_)) => Err(alone("bound-object-name")),
        (None, None) if uid.is_some() => Err(alone("bound-object-uid")),
        (None, None) => Ok(None),
        (Some(kind), _) if !["Node", "Pod", "Secret"].contains(&kind) => {
            Err("error: supported --bound-object-kind values are Node, Pod, Secret\n".to_owned())
        }
        (Some(_), None) => {
            Err("error: --bound-object-name is required if --bound-object-kind is provided\n".to_owned())
        }
        (Some(kind), Some(name)) => {
            let mut reference = json!({ "apiVersion": "v1", "kind": kind, "name": name });
            if let Some(uid) = uid {
                reference["uid"] = json!(uid);
            }
            Ok(Some(reference))
        }
    }
}

/// `kubectl create token` with these words after it.
pub(super) fn command(context: &Context<'_>, words: &[String]) -> Result<Command, String> {
    let words = flags::read("create token", &FLAGS, &[], words)?;
    let [name] = &words.operands[..] else {
        let count = words.operands.len();
        let help = "See 'kubectl create token -h' for help and examples";
        return Err(format!("error: exactly one NAME is required, got {count}\n{help}\n"));
    };
    let (secs, bound) = (lifetime(&words)?, bound(&words)?);
    let audiences: Vec<String> = words.all("audience").map(str::to_owned).collect();
    if audiences.iter().any(String::is_empty) {
        return Err("error: --audience must not be an empty string\n".to_owned());
    }
    let mut spec = json!({});
    for (field, value) in [
        ("audiences", (!audiences.is_empty()).then(|| json!(audiences))),
        ("expirationSeconds", secs.map(|secs| json!(secs))),
        ("boundObjectRef", bound),
    ] {
        if let Some(value) = value {
            spec[field] = value;
        }
    }
    let account = key(
        of_kind("ServiceAccount").ok_or_else(String::new)?,
        words.namespace(context.kube_namespace),
        name,
    );
    let request = ApiRequest::Token { account, request: json!({ "spec": spec }) };
    let end = if context.columns.is_some() { "\n" } else { "" };
    Ok(client(move |os| match os.api(&request) {
        Ok(made) => {
            let token = made["status"]["token"].as_str().unwrap_or_default();
            match words.value("output") {
                Some(form) => report(os, Some(form), &made, token),
                None => say(os, &format!("{token}{end}")),
            }
            Next::Done(0)
        }
        Err(error) => Next::Done(fail(os, &format!("error: failed to create token: {}\n", error.message))),
    }))
}
