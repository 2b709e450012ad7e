//! `kubectl autoscale` (`pkg/cmd/autoscale`).

use super::{Next, client, dry_run, fail, key, one, read, refusal, report};
use crate::api::ApiRequest;
use crate::app::Os;
use crate::base::quantity;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, Words, optional, switch, value};
use crate::shell::out::refuse;
use serde_json::{Value, json};

const FLAGS: [Flag; 10] = [
    value("min", ' '),
    value("max", ' '),
    value("cpu-percent", ' '),
    value("cpu", ' '),
    value("memory", ' '),
    value("name", ' '),
    value("output", 'o'),
    value("field-manager", ' '),
    switch("save-config", ' '),
    optional("dry-run", "unchanged"),
];
const DEPRECATED: &str = "Flag --cpu-percent has been deprecated, Use --cpu with percentage or resource quantity format (e.g., \
    '70%' for utilization or '500m' for milliCPU).\n";
const INCOMPATIBLE: &str =
    "error: failed to create autoscaling/v2 HPA and the configuration is incompatible with autoscaling/v1:";

/// `kubectl autoscale` with these words after it.
pub(in crate::shell::kubectl) fn autoscale(namespace: &str, words: &[String]) -> Command {
    match autoscaled(namespace, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

/// A whole number of a flag.
fn whole(words: &Words, flag: &str) -> Result<Option<i64>, String> {
    let Some(text) = words.value(flag) else { return Ok(None) };
    text.parse::<i32>().map(|number| Some(i64::from(number))).map_err(|_| {
        let why = format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
        format!(
            "error: invalid argument \"{text}\" for \"--{flag}\" flag: {why}\nSee 'kubectl autoscale --help' for usage.\n"
        )
    })
}

/// What is wanted of a resource: a part of what is asked for, or an amount; a bare number has the unit that is usual
/// (`parseResourceInput`).
fn target(resource: &str, text: &str) -> Result<Value, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("error: empty input\n".to_owned());
    }
    if let Some(percent) = text.strip_suffix('%') {
        let percent = percent.parse::<i32>().ok().filter(|percent| *percent >= 0);
        let percent = percent
            .ok_or_else(|| format!("error: invalid percentage value: {}\n", text.trim_end_matches('%')))?;
        return Ok(json!({ "type": "Utilization", "averageUtilization": percent }));
    }
    let is_bare = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let unit = if !is_bare {
        ""
    } else if resource == "cpu" {
        "m"
    } else {
        "Mi"
    };
    let amount = json!(format!("{text}{unit}"));
    if quantity::of_json(&amount).is_none() {
        return Err(format!("error: invalid resource {resource} value: {text}\n"));
    }
    Ok(json!({ "type": "AverageValue", "averageValue": quantity::canonical(&amount) }))
}

/// The metrics that are asked for; none where the server's default counts.
fn metrics(words: &Words) -> Result<Vec<Value>, String> {
    let percent = whole(words, "cpu-percent")?.filter(|percent| *percent > 0);
    if percent.is_some() && words.value("cpu").is_some() {
        return Err("error: --cpu-percent and --cpu are mutually exclusive\n".to_owned());
    }
    let metric = |name: &str, target: Value| json!({ "type": "Resource", "resource": { "name": name, "target": target } });
    let mut metrics = Vec::new();
    if let Some(percent) = percent {
        metrics.push(metric("cpu", json!({ "type": "Utilization", "averageUtilization": percent })));
    }
    for name in ["cpu", "memory"] {
        if let Some(text) = words.value(name).filter(|text| !text.is_empty()) {
            metrics.push(metric(name, target(name, text)?));
        }
    }
    Ok(metrics)
}

/// The bounds that are asked for.
fn bounds(words: &Words) -> Result<(Option<i64>, i64), String> {
    let max = whole(words, "max")?.ok_or("error: required flag(s) \"max\" not set\n")?;
    let min = whole(words, "min")?;
    if max < 1 {
        return Err(format!("error: --max=MAXPODS is required and must be at least 1, max: {max}\n"));
    }
    if let Some(min) = min.filter(|min| *min > max) {
        return Err(format!(
            "error: --max=MAXPODS must be larger or equal to --min=MINPODS, max: {max}, min: {min}\n"
        ));
    }
    Ok((min.filter(|min| *min > 0), max))
}

fn autoscaled(namespace: &str, words: &[String]) -> Result<Command, String> {
    let words = flags::read("autoscale", &FLAGS, &["filename", "kustomize", "recursive"], words)?;
    let (only, dry) = dry_run(words.value("dry-run"))?;
    let ((min, max), metrics) = (bounds(&words)?, metrics(&words)?);
    let (resource, name) = one(&words.operands)?;
    if !matches!(resource.kind, "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController") {
        let of = format!("{}, Resource={}", resource.api_version, resource.plural);
        return Err(format!(
            "error: cannot autoscale a {}: could not find scale subresource for {of} in discovery information\n",
            resource.kind
        ));
    }
    let namespace = words.namespace(namespace).to_owned();
    Ok(client(move |os| {
        if words.value("cpu-percent").is_some() {
            fail(os, DEPRECATED);
        }
        if let Err(error) = read(os, &key(resource, &namespace, &name)) {
            return Next::Done(fail(os, &refusal(&error, "")));
        }
        let own = words.value("name").filter(|name| !name.is_empty()).unwrap_or(&name);
        let mut object = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": { "name": own, "namespace": namespace },
            "spec": {
                "maxReplicas": max,
                "scaleTargetRef": { "apiVersion": resource.api_version, "kind": resource.kind, "name": name },
            },
        });
        if let Some(min) = min {
            object["spec"]["minReplicas"] = json!(min);
        }
        if !metrics.is_empty() {
            object["spec"]["metrics"] = json!(metrics);
        }
        create(os, &words, object, (only, dry))
    }))
}

fn create(os: &mut dyn Os, words: &Words, object: Value, (only, dry): (bool, &str)) -> Next {
    let own = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let done = if only { Ok(object) } else { os.api(&ApiRequest::Create(object)) };
    // What only the client shows is said to be created.
    let word = if dry == " (dry run)" { "created" } else { "autoscaled" };
    match done {
        Ok(object) => {
            let line = format!("horizontalpodautoscaler.autoscaling/{own} {word}{dry}\n");
            report(os, words.value("output"), &object, &line);
            Next::Done(0)
        }
        // The client tries the older version next, as far as that can say the same (`canCreateHPAV1`).
        Err(error) => Next::Done(match words.value("cpu").map(|text| text.trim().ends_with('%')) {
            Some(true) if words.value("memory").is_none() => fail(os, &refusal(&error, "")),
            Some(_) => fail(os, &format!("{INCOMPATIBLE} %!w(<nil>)\n")),
            None => fail(os, &format!("{INCOMPATIBLE} empty input\n")),
        }),
    }
}
