//! Jobs and `CronJobs` (`pkg/apis/batch/validation`).

use super::cursor::Cursor;
use super::{cron, names, workload};
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
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];

/// A `CronJob`: when, and the Job that it makes.
pub(super) fn cron_job(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let schedule = spec.get("schedule");
    if schedule.text().is_empty() {
        schedule.required(report);
    } else if let Err(why) = cron::parse(schedule.text()) {
        schedule.because(report, &why);
    }
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        spec.get(field).not_negative(report);
    }
    time_zone(&spec.get("timeZone"), report);
    spec.get("concurrencyPolicy").one_of_or_empty(report, &["Allow", "Forbid", "Replace"]);
    let job = spec.get("jobTemplate").get("spec");
    workload::validate("Job", &job, report);
    template_selector(&job, report);
}

/// `validateTimeZone`, as far as it can be told without the table of all zones.
fn time_zone(zone: &Cursor<'_>, report: &mut Report<'_>) {
    if !zone.is_set() {
        return;
    }
    let name = zone.text();
    if name.is_empty() {
        return zone.because(report, "timeZone must be nil or non-empty string");
    }
    if name.starts_with('-') || name.ends_with('-') || !name.bytes().all(is_of_zone) {
        return zone.because(report, &format!("unknown time zone {name}"));
    }
    if name.eq_ignore_ascii_case("Local") {
        return zone.because(
            report,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        );
    }
    let is_known = match name.split_once('/') {
        Some((area, _)) => AREAS.contains(&area),
        None => ALONE.contains(&name),
    };
    if !is_known {
        zone.because(report, &format!("unknown time zone {name}"));
    }
}

/// Zones of the database that belong to no area.
const ALONE: [&str; 45] = [
    "CET",
    "CST6CDT",
    "Cuba",
    "EET",
    "EST",
    "EST5EDT",
    "Egypt",
    "Eire",
    "Factory",
    "GB",
    "GB-Eire",
    "GMT",
    "GMT+0",
    "GMT-0",
    "GMT0",
    "Greenwich",
    "HST",
    "Hongkong",
    "Iceland",
    "Iran",
    "Israel",
    "Jamaica",
    "Japan",
    "Kwajalein",
    "Libya",
    "MET",
    "MST",
    "MST7MDT",
    "NZ",
    "NZ-CHAT",
    "Navajo",
    "PRC",
    "PST8PDT",
    "Poland",
    "Portugal",
    "ROC",
    "ROK",
    "Singapore",
    "Turkey",
    "UCT",
    "UTC",
    "Universal",
    "W-SU",
    "WET",
    "Zulu",
];

/// `^[A-Za-z0-9+_./-]*$`.
fn is_of_zone(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+_./-".contains(&byte)
}

/// The areas of the time zone database.
const AREAS: [&str; 19] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Brazil",
    "Canada",
    "Chile",
    "Etc",
    "Europe",
    "Indian",
    "Mexico",
    "Pacific",
    "SystemV",
    "US",
    "posix",
    "right",
];

/// `validateJobSpec`.
pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let policy = spec.get("template").get("spec").get("restartPolicy");
    if matches!(policy.text(), "" | "Always") {
        report.error(&policy.path(), "invalid.job-restart", Some("invalid.job-restart.hint"), &[]);
    } else if spec.get("podFailurePolicy").is_set() && policy.text() == "OnFailure" {
        policy.because(report, "only \"Never\" is supported when podFailurePolicy is specified");
    }
    indexes(spec, report);
    let manager = spec.get("managedBy");
    if manager.is_set() {
        manager.domain_prefixed(report);
    }
    let replacement = spec.get("podReplacementPolicy");
    if spec.get("podFailurePolicy").is_set() {
        failure_policy(spec, report);
        replacement.one_of(report, &["Failed"]);
    } else {
        replacement.one_of(report, &["Failed", "TerminatingOrFailed"]);
    }
    let success = spec.get("successPolicy");
    if success.is_set() && spec.get("completionMode").text() == "Indexed" {
        success_policy(&success, &spec.get("completions"), report);
    } else if success.is_set() {
        success.because(report, "requires indexed completion mode");
    }
}

/// A Job's own selector (`ValidateJob`).
pub(super) fn selector(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let selector = spec.get("selector");
    if selector.is_set() && !spec.get("manualSelector").is_true() {
        selector.because(report, "`selector` not auto-generated");
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
        action.one_of(report, &ACTIONS);
        let (codes, conditions) = (rule.get("onExitCodes"), rule.get("onPodConditions"));
        if codes.is_set() {
            exit_codes(&codes, &containers, report);
        }
        at_most(&conditions, MOST_RULES, report);
        for pattern in conditions.items() {
            let kind = pattern.get("type");
            kind.invalid(report, names::qualified_name(kind.text()));
            pattern.get("status").one_of(report, &["False", "True", "Unknown"]);
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

/// `validatePodFailurePolicyRuleOnExitCodes`.
fn exit_codes(codes: &Cursor<'_>, containers: &BTreeSet<&str>, report: &mut Report<'_>) {
    let operator = codes.get("operator");
    operator.one_of(report, &["In", "NotIn"]);
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
    if values.is_set() && values.len() == 0 {
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
    if rules.is_set() && rules.len() == 0 {
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
