//! `kubectl set`: images, amounts, accounts, selectors and subjects (`pkg/cmd/set`).

use super::{
    NO_RESOURCE, Next, client, dry_run, fail, key, list, read, refusal, report, set_env, set_subject, shown,
};
use crate::api::ApiRequest;
use crate::app::Os;
use crate::base::ObjectKey;
use crate::base::quantity;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, Words, optional, switch, value};
use crate::shell::kubectl::get::wanted;
use crate::shell::kubectl::json::text;
use crate::shell::kubectl::labels;
use crate::shell::kubectl::resources::Resource;
use crate::shell::out::{not_simulated, refuse};
use serde_json::{Value, json};

const FLAGS: [Flag; 8] = [
    value("output", 'o'),
    value("selector", 'l'),
    value("containers", 'c'),
    value("limits", ' '),
    value("requests", ' '),
    value("field-manager", ' '),
    switch("all", ' '),
    optional("dry-run", "unchanged"),
];
const OTHERS: [&str; 5] = ["local", "filename", "kustomize", "recursive", "resource-version"];

/// `kubectl set` with these words after it.
pub(in crate::shell::kubectl) fn set(namespace: &str, words: &[String]) -> Command {
    let Some((what, rest)) = words.split_first() else {
        return refuse("error: a subcommand such as \"image\" is required\n", 1);
    };
    let command = match what.as_str() {
        "image" => images(namespace, rest),
        "env" => set_env::command(namespace, rest),
        "resources" => resources(namespace, rest),
        "serviceaccount" | "sa" => account(namespace, rest),
        "selector" => selector(namespace, rest),
        "subject" => set_subject::command(namespace, rest),
        other => {
            let (text, status) = not_simulated("kubectl set", other);
            return refuse(text, status);
        }
    };
    command.unwrap_or_else(|text| refuse(text, 1))
}

/// Where an object of this kind keeps the spec of its Pods (`UpdatePodSpecForObject`).
pub(super) fn pod_spec_of(kind: &str) -> &'static str {
    match kind {
        "Pod" => "/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => "/spec/template/spec",
    }
}

/// Puts an object back as `kubectl set` changed it, or only shows it, and reports so.
pub(super) fn put_back(os: &mut dyn Os, live: Value, only: bool, output: Option<&str>, line: &str) -> Next {
    match if only { Ok(live) } else { os.api(&ApiRequest::Replace(live)) } {
        Ok(object) => {
            report(os, output, &object, line);
            Next::Done(0)
        }
        Err(error) => Next::Done(fail(os, &refusal(&error, ""))),
    }
}

/// The objects that the operands and flags of a command choose.
pub(super) struct Chosen {
    wanted: Vec<(&'static Resource, Vec<String>)>,
    labels: labels::Labels,
    namespace: String,
}

impl Chosen {
    pub(super) fn read(
        verb: &str,
        namespace: &str,
        words: &Words,
        operands: &[String],
    ) -> Result<Self, String> {
        if operands.is_empty() {
            return Err(NO_RESOURCE.to_owned());
        }
        let wanted = wanted(verb, operands, NO_RESOURCE)?;
        let labels = labels::of_list(wanted[0].0, words.value("selector"))?;
        if words.is_set("all") && !labels.is_empty() {
            return Err("error: cannot set --all and --selector at the same time\n".to_owned());
        }
        let by_flag = words.is_set("all") || !labels.is_empty();
        if !by_flag && wanted.iter().any(|(_, names)| names.is_empty()) {
            return Err(NO_RESOURCE.to_owned());
        }
        Ok(Self { wanted, labels, namespace: words.namespace(namespace).to_owned() })
    }

    /// Whether objects of this kind are among them.
    pub(super) fn is_of(&self, kind: &str) -> bool {
        self.wanted.iter().any(|(resource, _)| resource.kind == kind)
    }

    fn keys(&self, os: &mut dyn Os) -> Vec<(&'static Resource, ObjectKey)> {
        let mut keys = Vec::new();
        for (resource, names) in &self.wanted {
            keys.extend(names.iter().map(|name| (*resource, key(resource, &self.namespace, name))));
            if names.is_empty() {
                let found = list(os, resource, &self.namespace);
                let found = found.iter().filter(|one| self.labels.selects(one));
                let of = |one: &Value| key(resource, &self.namespace, text(one, "metadata.name"));
                keys.extend(found.map(|one| (*resource, of(one))));
            }
        }
        keys
    }
}

/// A change of an object: whether anything changed, or what is wrong.
pub(super) type Change = dyn Fn(&Resource, &mut Value) -> Result<bool, String>;

/// Changes each object that is chosen, and reports it in the words `done`.
pub(super) fn each(
    chosen: Chosen,
    words: Words,
    done: &'static str,
    change: Box<Change>,
) -> Result<Command, String> {
    let (only, dry) = dry_run(words.value("dry-run"))?;
    Ok(client(move |os| {
        let mut status = 0;
        for (resource, key) in chosen.keys(os) {
            let outcome = read(os, &key)
                .map_err(|error| refusal(&error, ""))
                .and_then(|mut live| Ok((change(resource, &mut live)?, live)));
            match outcome {
                Err(text) => status = fail(os, &text),
                Ok((false, _)) => {}
                Ok((true, live)) => {
                    let line = format!("{} {done}{dry}\n", shown(resource, &key.name));
                    if let Next::Done(code @ 1..) = put_back(os, live, only, words.value("output"), &line) {
                        status = code;
                    }
                }
            }
        }
        Next::Done(status)
    }))
}

/// Whether a container's name is what `-c` says, where `*` stands for any letters.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| fits(tail, rest)))
        }),
    }
}

/// `kubectl set image`.
fn images(namespace: &str, words: &[String]) -> Result<Command, String> {
    let words = flags::read("set image", &FLAGS, &OTHERS, words)?;
    let (changes, operands): (Vec<String>, Vec<String>) =
        words.operands.iter().cloned().partition(|word| word.contains('='));
    let chosen = Chosen::read("set image", namespace, &words, &operands)?;
    if changes.is_empty() {
        return Err("error: at least one image update is required\n".to_owned());
    }
    let change = move |resource: &Resource, live: &mut Value| {
        let path = pod_spec_of(resource.kind);
        let mut changed = false;
        for change in &changes {
            let (container, image) = change.split_once('=').unwrap_or((change, ""));
            let mut found = false;
            for list in ["containers", "initContainers"] {
                let items = live.pointer_mut(&format!("{path}/{list}")).and_then(Value::as_array_mut);
                for one in items.into_iter().flatten() {
                    if container == "*" || one["name"] == container {
                        found = true;
                        changed |= one["image"] != image;
                        one["image"] = json!(image);
                    }
                }
            }
            if !found {
                return Err(format!("error: unable to find container named \"{container}\"\n"));
            }
        }
        Ok(changed)
    };
    each(chosen, words, "image updated", Box::new(change))
}

/// Amounts of resources, as `cpu=100m,memory=256Mi` (`populateResourceListV1`).
fn amounts(text: &str) -> Result<Vec<(String, String)>, String> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split('=').collect::<Vec<_>>()[..] {
            [name, amount] if quantity::thousandths(amount).is_some() => {
                Ok((name.to_owned(), quantity::canonical(&json!(amount))))
            }
            [_, _] => Err("error: quantities must match the regular expression \
                           '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'\n"
                .to_owned()),
            _ => Err(format!("error: Invalid argument syntax {part}, expected <resource>=<value>\n")),
        })
        .collect()
}

/// `kubectl set resources`.
fn resources(namespace: &str, words: &[String]) -> Result<Command, String> {
    let words = flags::read("set resources", &FLAGS, &OTHERS, words)?;
    let chosen = Chosen::read("set resources", namespace, &words, &words.operands)?;
    let given = |flag: &str| words.value(flag).unwrap_or("").to_owned();
    if given("limits").is_empty() && given("requests").is_empty() {
        let why = "you must specify an update to requests or limits (in the form of --requests/--limits)";
        return Err(format!("error: {why}\n"));
    }
    let wanted = [("limits", amounts(&given("limits"))?), ("requests", amounts(&given("requests"))?)];
    let pattern = words.value("containers").unwrap_or("*").to_owned();
    let change = move |resource: &Resource, live: &mut Value| {
        let path = pod_spec_of(resource.kind);
        let before = live.clone();
        let mut found = false;
        for list in ["containers", "initContainers"] {
            let items = live.pointer_mut(&format!("{path}/{list}")).and_then(Value::as_array_mut);
            for one in items.into_iter().flatten() {
                if !fits(&pattern, one["name"].as_str().unwrap_or_default()) {
                    continue;
                }
                found = true;
                for (field, amounts) in &wanted {
                    for (name, amount) in amounts {
                        one["resources"][*field][name] = json!(amount);
                    }
                }
            }
        }
        if !found {
            return Err(format!("error: unable to find container named {pattern}\n"));
        }
        Ok(*live != before)
    };
    each(chosen, words, "resource requirements updated", Box::new(change))
}

/// `kubectl set serviceaccount`.
fn account(namespace: &str, words: &[String]) -> Result<Command, String> {
    let words = flags::read("set serviceaccount", &FLAGS, &OTHERS, words)?;
    let Some((account, operands)) = words.operands.split_last() else {
        return Err("error: serviceaccount is required\n".to_owned());
    };
    let chosen = Chosen::read("set serviceaccount", namespace, &words, operands)?;
    let account = account.clone();
    let change = move |resource: &Resource, live: &mut Value| {
        if let Some(spec) = live.pointer_mut(pod_spec_of(resource.kind)) {
            spec["serviceAccountName"] = json!(account);
            if spec.get("serviceAccount").is_some() {
                spec["serviceAccount"] = json!(account);
            }
        }
        Ok(true)
    };
    each(chosen, words, "serviceaccount updated", Box::new(change))
}

/// `kubectl set selector`, which is for Services alone.
fn selector(namespace: &str, words: &[String]) -> Result<Command, String> {
    let words = flags::read("set selector", &FLAGS, &OTHERS, words)?;
    let Some((given, operands)) = words.operands.split_last() else {
        return Err("error: one selector is required\n".to_owned());
    };
    let pair = |part: &str| {
        let (key, value) = part.split_once("==").or_else(|| part.split_once('='))?;
        (!key.ends_with('!')).then(|| (key.trim().to_owned(), json!(value.trim())))
    };
    let pairs: Option<serde_json::Map<String, Value>> = given.split(',').map(pair).collect();
    let chosen = Chosen::read("set selector", namespace, &words, operands)?;
    let given = given.clone();
    let change = move |resource: &Resource, live: &mut Value| {
        if resource.kind != "Service" {
            return Err("error: setting a selector is only supported for Services\n".to_owned());
        }
        let Some(pairs) = &pairs else {
            return Err(not_simulated("kubectl set selector", &given).0);
        };
        live["spec"]["selector"] = Value::Object(pairs.clone());
        Ok(true)
    };
    each(chosen, words, "selector updated", Box::new(change))
}
