//! `kubectl create job NAME --from=cronjob/NAME` (`createJobFromCronJob`): a Job at once, of the template of a `CronJob`.

use super::create::make;
use super::{client, dry_run, fail, key, read, refusal};
use crate::app::Os;
use crate::shell::Command;
use crate::shell::kubectl::change::Next;
use crate::shell::kubectl::flags::Words;
use crate::shell::kubectl::json::{at, text};
use crate::shell::kubectl::resources::named;
use serde_json::{Value, json};

/// A Job of this name; `more` says whether a command was named as well.
pub(super) fn of_cron_job(name: &str, namespace: &str, words: &Words, more: bool) -> Result<Command, String> {
    let from = words.value("from").unwrap_or_default();
    if words.value("image").is_some() {
        return Err("error: either --image or --from must be specified\n".to_owned());
    }
    if more || words.rest.as_ref().is_some_and(|rest| !rest.is_empty()) {
        return Err("error: cannot specify --from and command\n".to_owned());
    }
    let (kind, source) = from
        .split_once('/')
        .ok_or_else(|| "error: resource(s) were provided, but no name was specified\n".to_owned())?;
    let resource = named(kind).first().copied();
    let resource =
        resource.ok_or_else(|| format!("error: the server doesn't have a resource type \"{kind}\"\n"))?;
    let (only, dry) = dry_run(words.value("dry-run"))?;
    let enforced = words.value("namespace").is_some();
    let output = words.value("output").map(str::to_owned);
    let (name, namespace) = (name.to_owned(), words.namespace(namespace).to_owned());
    let source = key(resource, &namespace, source);
    Ok(client(move |os: &mut dyn Os| {
        let found = match read(os, &source) {
            Ok(found) => found,
            Err(error) => return Next::Done(fail(os, &refusal(&error, ""))),
        };
        if resource.kind != "CronJob" {
            let package = text(&found, "apiVersion").rsplit('/').next().unwrap_or("v1");
            return Next::Done(fail(
                os,
                &format!("error: unknown object type *{package}.{}\n", resource.kind),
            ));
        }
        let job = instance(&found, &name, &namespace);
        make(os, &job, (only, dry, enforced), ("failed to create job: ", output.as_deref()))
    }))
}

fn instance(cron_job: &Value, name: &str, namespace: &str) -> Value {
    let template = at(cron_job, "spec.jobTemplate");
    let mut annotations = json!({ "cronjob.kubernetes.io/instantiate": "manual" });
    for (field, value) in at(template, "metadata.annotations").as_object().into_iter().flatten() {
        annotations[field] = value.clone();
    }
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": name, "namespace": namespace, "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "CronJob", "name": text(cron_job, "metadata.name"),
                "uid": text(cron_job, "metadata.uid"), "controller": true,
            }],
        },
        "spec": at(template, "spec"),
    });
    if at(template, "metadata.labels").is_object() {
        job["metadata"]["labels"] = at(template, "metadata.labels").clone();
    }
    job
}
