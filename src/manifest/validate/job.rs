//! Jobs and `CronJobs` (`pkg/apis/batch/validation`).

use super::cursor::{Cursor, quoted};
use super::{cron, names, selector, workload};
use crate::manifest::report::Report;
use crate::manifest::schema::nearest;
use std::collections::BTreeSet;

/// `maxParallelismForIndexedJob` and `maxFailedIndexesForIndexedJob`.
const MOST_INDEXED: i64 = 100_000;
/// `completionsSoftLimit`, and what parallelism and failed indexes may be above it.
const MANY_COMPLETIONS: i64 = 100_000;
const MOST_OF_MANY: i64 = 10_000;
/// `maxPodFailurePolicyRules`, `maxPodFailurePolicyOnPodConditionsPatterns` and `maxSuccessPolicyRule`.
const MOST_RULES: usize = 20;
/// `maxPodFailurePolicyOnExitCodesValues`.
const MOST_EXIT_CODES: usize = 255;
/// Longest name of a `CronJob`: those of its Jobs add eleven characters (`ValidateCronJobCreate`).
const LONGEST_CRON_JOB: usize = 52;
/// `maxManagedByLength`.
const LONGEST_MANAGER: usize = 63;
/// `maxJobSuccessPolicySucceededIndexesLimit`, in bytes.
const LONGEST_INDEXES: usize = 64 << 10;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];

/// A `CronJob`: when, and the Job that it makes.
pub(super) fn cron_job(root: &Cursor<'_>, report: &mut Report<'_>) {
    let (name, spec) = (root.get("metadata").get("name"), root.get("spec"));
    let schedule = spec.get("schedule");
    if schedule.text().is_empty() {
        schedule.required(report);
    } else if let Err(why) = cron::parse(schedule.text()) {
        schedule.because(report, &why);
    }
    spec.get("startingDeadlineSeconds").not_negative(report);
    time_zone(&spec.get("timeZone"), report);
    spec.get("concurrencyPolicy").one_of_or_empty(report, &["Allow", "Forbid", "Replace"]);
    let job = spec.get("jobTemplate").get("spec");
    specification(&job, report);
    template_selector(&job, report);
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        spec.get(field).not_negative(report);
    }
    if name.text().len() > LONGEST_CRON_JOB {
        name.because(report, &format!("must be no more than {LONGEST_CRON_JOB} characters"));
    }
}

/// `validateTimeZone`: a zone of the database, by the name that it has there.
fn time_zone(zone: &Cursor<'_>, report: &mut Report<'_>) {
    if !zone.is_set() {
        return;
    }
    let name = zone.text();
    if name.is_empty() {
        return zone.because(report, "timeZone must be nil or non-empty string");
    }
    let unknown = format!("unknown time zone {name}");
    let is_part = |part: &str| {
        (1..=14).contains(&part.len())
            && !matches!(part, "." | "..")
            && !part.starts_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte))
    };
    if !name.split('/').all(is_part) {
        return zone.because(report, &unknown);
    }
    if name.eq_ignore_ascii_case("Local") {
        zone.because(
            report,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        );
    }
    if name != "Local" && !ZONES.lines().any(|known| known == name) {
        zone.because(report, &unknown);
    }
}

/// The names of the IANA time zone database, version 2025b, links among them.
const ZONES: &str = include_str!("zones.txt");

/// Whether a selector asks for nothing but what the server puts on the Pods of a Job that stands
/// (`ValidateGeneratedSelector`).
fn is_generated(selector: &Cursor<'_>, root: &Cursor<'_>) -> bool {
    let metadata = root.get("metadata");
    let (uid, name) = (metadata.get("uid"), metadata.get("name"));
    let expected = |label: &str| match label {
        "controller-uid" | "batch.kubernetes.io/controller-uid" => Some(uid.text()),
        "job-name" | "batch.kubernetes.io/job-name" => Some(name.text()),
        _ => None,
    };
    uid.is_set()
        && selector.get("matchExpressions").len() == 0
        && selector.get("matchLabels").entries().all(|(label, value)| expected(label) == Some(value.text()))
}

/// `ValidateJob`.
pub(super) fn validate(root: &Cursor<'_>, report: &mut Report<'_>) {
    let spec = root.get("spec");
    let selector = spec.get("selector");
    if selector.is_set() && !spec.get("manualSelector").is_true() && !is_generated(&selector, root) {
        selector.because(report, "`selector` not auto-generated");
    }
    specification(&spec, report);
    if selector.is_set() {
        selector::validate(&selector, report);
    }
    let (name, completions) = (root.get("metadata").get("name"), spec.get("completions").number());
    if spec.get("completionMode").text() == "Indexed" && completions > 0 {
        // The controller puts the index behind the name, which becomes the name of a host.
        let last = format!("{}-{}", name.text(), completions - 1);
        if !names::dns_label(&last).is_empty() {
            name.because(report, &format!("will not able to create pod with invalid DNS label: {last}"));
        }
    }
}

/// `validateJobSpec`.
fn specification(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let amounts =
        ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"];
    for field in amounts {
        spec.get(field).not_negative(report);
    }
    indexes(spec, report);
    if spec.get("podFailurePolicy").is_set() {
        failure_policy(spec, report);
    }
    let success = spec.get("successPolicy");
    if success.is_set() && spec.get("completionMode").text() == "Indexed" {
        success_policy(&success, &spec.get("completions"), report);
    } else if success.is_set() {
        success.because(report, "requires indexed completion mode");
    }
    let replacement = spec.get("podReplacementPolicy");
    if spec.get("podFailurePolicy").is_set() {
        replacement.one_of(report, &["Failed"]);
    } else {
        replacement.one_of(report, &["Failed", "TerminatingOrFailed"]);
    }
    workload::pod_template(&spec.get("template"), &[], report);
    let policy = spec.get("template").get("spec").get("restartPolicy");
    match policy.text() {
        "" | "Always" => {
            report.error(&policy.path(), "invalid.job-restart", Some("invalid.job-restart.hint"), &[]);
        }
        "OnFailure" if spec.get("podFailurePolicy").is_set() => {
            policy.because(report, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        _ => policy.one_of(report, &["OnFailure", "Never"]),
    }
}

/// Who runs a Job.
fn managed_by(manager: &Cursor<'_>, report: &mut Report<'_>) {
    if !manager.is_set() {
        return;
    }
    manager.domain_prefixed(report);
    if manager.text().len() > LONGEST_MANAGER {
        let most = LONGEST_MANAGER.to_string();
        report.error(&manager.path(), "invalid.config-size", Some("invalid.long-name.hint"), &[&most]);
    }
}

/// The selector of a `CronJob`'s Jobs, which is always made for them (`ValidateJobTemplateSpec`).
fn template_selector(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let (selector, manual) = (spec.get("selector"), spec.get("manualSelector"));
    if selector.is_set() {
        selector.because(report, "`selector` will be auto-generated");
    }
    if manual.is_true() {
        let allowed = "\"nil\", \"false\"";
        manual.fault(report, "invalid.unsupported", "invalid.unsupported.hint", &[allowed]);
    }
}

/// Completions with an index each, and what comes with them.
fn indexes(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let (mode, completions) = (spec.get("completionMode"), spec.get("completions"));
    let (per_index, failed) = (spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes"));
    let parallelism = spec.get("parallelism");
    per_index.not_negative(report);
    failed.not_negative(report);
    if failed.is_set() && !per_index.is_set() {
        per_index.required_because(report, "when maxFailedIndexes is specified");
    }
    managed_by(&spec.get("managedBy"), report);
    mode.one_of(report, &["NonIndexed", "Indexed"]);
    if mode.text() != "Indexed" {
        for field in [per_index, failed]
            .iter()
            .filter(|field| field.is_set() && mode.text_or("NonIndexed") == "NonIndexed")
        {
            field.because(report, "requires indexed completion mode");
        }
        return;
    }
    if !completions.is_set() {
        completions.required_because(report, "when completion mode is Indexed");
    }
    if parallelism.number() > MOST_INDEXED {
        parallelism.because(
            report,
            &format!("must be less than or equal to {MOST_INDEXED} when completion mode is Indexed"),
        );
    }
    if completions.is_set() && failed.number() > completions.number() {
        failed.because(report, "must be less than or equal to completions");
    }
    if failed.number() > MOST_INDEXED {
        failed.because(report, &format!("must be less than or equal to {MOST_INDEXED}"));
    }
    if completions.number() > MANY_COMPLETIONS && per_index.is_set() {
        if !failed.is_set() {
            failed.required_because(
                report,
                &format!("must be specified when completions is above {MANY_COMPLETIONS}"),
            );
        }
        for field in [parallelism, failed].iter().filter(|field| field.number() > MOST_OF_MANY) {
            let why = format!(
                "must be less than or equal to {MOST_OF_MANY} when completions are above {MANY_COMPLETIONS} and used with \
                 backoff limit per index"
            );
            field.because(report, &why);
        }
    }
}

/// `validatePodFailurePolicy`.
fn failure_policy(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let rules = spec.get("podFailurePolicy").get("rules");
    at_most(&rules, MOST_RULES, report);
    let template = spec.get("template").get("spec");
    let containers: BTreeSet<&str> = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| template.get(list).items())
        .map(|container| container.get("name").text())
        .collect();
    for rule in rules.items() {
        let action = rule.get("action");
        if action.text() == "FailIndex" && !spec.get("backoffLimitPerIndex").is_set() {
            action.because(report, "requires the backoffLimitPerIndex to be set");
        }
        required_one_of(&action, &ACTIONS, report);
        let (codes, conditions) = (rule.get("onExitCodes"), rule.get("onPodConditions"));
        if codes.is_set() {
            exit_codes(&codes, &containers, report);
        }
        at_most(&conditions, MOST_RULES, report);
        for pattern in conditions.items() {
            let kind = pattern.get("type");
            kind.faulty(report, &quoted(kind.text()), names::qualified_name(kind.text()));
            // A status that is left out has been filled in by the server.
            let status = pattern.get("status");
            if status.is_set() {
                required_one_of(&status, &["False", "True", "Unknown"], report);
            }
        }
        match (codes.is_set(), conditions.len() > 0) {
            (true, true) => {
                rule.because_alone(
                    report,
                    "specifying both OnExitCodes and OnPodConditions is not supported",
                );
            }
            (false, false) => {
                rule.because_alone(report, "specifying one of OnExitCodes and OnPodConditions is required");
            }
            (true, false) | (false, true) => {}
        }
    }
}

/// One of these, and one there must be: `valid values: ["In" "NotIn"]`.
fn required_one_of(field: &Cursor<'_>, allowed: &[&str], report: &mut Report<'_>) {
    if field.text().is_empty() {
        let list = allowed.iter().map(quoted).collect::<Vec<_>>().join(" ");
        return field.required_because(report, &format!("valid values: [{list}]"));
    }
    field.one_of(report, allowed);
}

/// `validatePodFailurePolicyRuleOnExitCodes`.
fn exit_codes(codes: &Cursor<'_>, containers: &BTreeSet<&str>, report: &mut Report<'_>) {
    let operator = codes.get("operator");
    required_one_of(&operator, &["In", "NotIn"], report);
    let container = codes.get("containerName");
    if container.is_set() && !containers.contains(container.text()) {
        let meant = nearest(container.text(), containers.iter().copied());
        let why = "must be one of the container or initContainer names in the pod template";
        container.fault(
            report,
            "invalid.because",
            "invalid.unsupported.nearest.hint",
            &[why, meant.unwrap_or("")],
        );
    }
    let values = codes.get("values");
    if values.len() == 0 {
        values.because(report, "at least one value is required");
    }
    at_most(&values, MOST_EXIT_CODES, report);
    let mut seen = BTreeSet::new();
    let mut is_ordered = true;
    let mut before = None;
    for value in values.items() {
        let code = value.number();
        if operator.text() == "In" && code == 0 {
            value.because(report, "must not be 0 for the In operator");
        }
        if !seen.insert(code) {
            value.duplicate(report);
        }
        is_ordered &= before.is_none_or(|before| before <= code);
        before = Some(code);
    }
    if !is_ordered {
        values.because(report, "must be ordered");
    }
}

/// `validateSuccessPolicy`.
fn success_policy(policy: &Cursor<'_>, completions: &Cursor<'_>, report: &mut Report<'_>) {
    let rules = policy.get("rules");
    if rules.len() == 0 {
        rules.required_because(
            report,
            "at least one rules must be specified when the successPolicy is specified",
        );
    }
    at_most(&rules, MOST_RULES, report);
    for rule in rules.items() {
        let (count, indexes) = (rule.get("succeededCount"), rule.get("succeededIndexes"));
        if !count.is_set() && !indexes.is_set() {
            rule.required_because(
                report,
                "at least one of succeededCount or succeededIndexes must be specified",
            );
        }
        let mut total = None;
        if indexes.text().len() > LONGEST_INDEXES {
            let most = LONGEST_INDEXES.to_string();
            report.error(&indexes.path(), "invalid.config-size", Some("invalid.config-size.hint"), &[&most]);
        }
        // What is missing of an indexed Job is told of there.
        if indexes.is_set() && completions.is_set() {
            match indexes_in(indexes.text(), completions.number()) {
                Ok(found) => total = Some(found),
                Err(why) => indexes.because(report, &format!("error parsing succeededIndexes: {why}")),
            }
        }
        count.not_negative(report);
        if completions.is_set() && count.number() > completions.number() {
            let most = completions.number();
            let why = format!("must be less than or equal to {most} (the number of specified completions)");
            count.because(report, &why);
        }
        if let Some(total) = total.filter(|total| count.number() > *total) {
            let why = format!(
                "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            );
            count.because(report, &why);
        }
    }
}

/// How many indexes a text as `1,3-5` names (`validateIndexesFormat`); the error says what is wrong with it.
fn indexes_in(text: &str, completions: i64) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let (mut total, mut last) = (0, None::<i64>);
    for interval in text.split(',') {
        let limits: Vec<&str> = interval.split('-').collect();
        if limits.len() > 2 {
            return Err(format!(
                "the fragment {interval:?} violates the requirement that an index interval can have at most two parts separated by '-'"
            ));
        }
        let read = |part: &str| {
            let index: i64 =
                part.parse().map_err(|_| format!("cannot convert string to integer for index: {part:?}"))?;
            if index >= completions {
                return Err(format!("too large index: {part:?}"));
            }
            Ok(index)
        };
        let first = read(limits[0])?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        let end = limits.get(1).map_or(Ok(first), |part| read(part))?;
        if limits.len() == 2 && end <= first {
            return Err(format!("non-increasing order, previous: {first}, current: {end}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

fn at_most(list: &Cursor<'_>, most: usize, report: &mut Report<'_>) {
    if list.len() > most {
        let (found, most) = (list.len().to_string(), most.to_string());
        report.error(&list.path(), "invalid.too-many", Some("invalid.too-many.hint"), &[&found, &most]);
    }
}

#[cfg(test)]
mod tests {
    use super::indexes_in;

    #[test]
    fn indexes_are_counted_and_have_to_rise() {
        assert_eq!(indexes_in("", 5), Ok(0));
        assert_eq!(indexes_in("0,2-4", 5), Ok(4));
        assert_eq!(indexes_in("5", 5), Err("too large index: \"5\"".to_owned()));
        assert_eq!(indexes_in("2,1", 5), Err("non-increasing order, previous: 2, current: 1".to_owned()));
        assert_eq!(indexes_in("3-3", 5), Err("non-increasing order, previous: 3, current: 3".to_owned()));
        assert!(indexes_in("1-2-3", 5).is_err() && indexes_in("1-", 5).is_err());
    }
}
