//! The Job controller (`pkg/controller/job`): Pods that run to their end, so many of them, so many at a time.

use super::pods::{Name, with_labels};
use super::{Kind, count, set_condition, workload};
use crate::agent::control::ControlPlane;
use crate::agent::store::{PodEntry, PodKey};
use crate::agent::world::{Patience, World};
use crate::api::{Condition, Workload};
use crate::base::{Duration, ObjectKey, SimTime};
use crate::trace::{ObjectRow, PodPhase};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const COMPONENT: &str = "job-controller";
/// How long a new Pod waits after a failure (`DefaultJobPodFailureBackOff`); it doubles with each.
const BACK_OFF: Duration = Duration::from_secs(10);
/// The longest such wait (`MaxJobPodFailureBackOff`).
const BACK_OFF_MAX: Duration = Duration::from_secs(600);
/// Annotation and label with the number of a Pod of an indexed Job.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Numbers of a Job's Pods.
struct Counts {
    active: Vec<PodKey>,
    ready: i64,
    terminating: i64,
    succeeded: i64,
    failed: i64,
    /// Numbers of an indexed Job that are done.
    done: BTreeSet<i64>,
    /// When a Pod failed last.
    last_failure: Option<SimTime>,
}

/// Sets a condition of a Job, which has the time of its last probe where those of others have that of their last update
/// (`newCondition`, `pkg/controller/job`).
fn set_job_condition(
    conditions: &mut Vec<Condition>,
    now: SimTime,
    state: (&str, &str),
    why: (&str, String),
) {
    set_condition(conditions, now, state, why);
    for condition in conditions {
        condition.last_probe_time = condition.last_update_time.take().or(condition.last_probe_time.take());
    }
}

impl ControlPlane {
    pub(super) fn sync_job(&mut self, world: &mut dyn World, key: &ObjectKey) {
        self.give_selector(world, key);
        let Some(row) = self.objects.get(key).cloned() else { return };
        let Some(job) = workload(&row) else { return };
        let pods = self.claim_pods(world, &row, &job);
        if row.deleted.is_some() {
            return;
        }
        let now = world.now();
        if let Some(end) = finished(&job) {
            return self.expire(world, &row, (&job, end));
        }
        let counts = self.count_job(&row, &pods);
        let mut conditions = job.status.conditions.clone();
        let was_suspended = conditions.iter().any(|at| at.r#type == "Suspended" && at.status == "True");
        if let Some((reason, message)) = self.failure(world, &row, (&job, &counts)) {
            self.end_active(world, &row, &counts);
            set_job_condition(&mut conditions, now, ("FailureTarget", "True"), (reason, message.to_owned()));
            set_job_condition(&mut conditions, now, ("Failed", "True"), (reason, message.to_owned()));
            Self::event(world, key, Kind::Warning, (reason, COMPONENT), message.to_owned());
        } else if is_complete(&job, &counts) {
            self.end_active(world, &row, &counts);
            let text = "Reached expected number of succeeded pods".to_owned();
            let why = ("CompletionsReached", text);
            set_job_condition(&mut conditions, now, ("SuccessCriteriaMet", "True"), (why.0, why.1.clone()));
            set_job_condition(&mut conditions, now, ("Complete", "True"), why);
            Self::event(world, key, Kind::Normal, ("Completed", COMPONENT), "Job completed".to_owned());
        } else if job.spec.suspend {
            self.end_active(world, &row, &counts);
            set_job_condition(
                &mut conditions,
                now,
                ("Suspended", "True"),
                ("JobSuspended", "Job suspended".to_owned()),
            );
            if !was_suspended {
                Self::event(world, key, Kind::Normal, ("Suspended", COMPONENT), "Job suspended".to_owned());
            }
        } else {
            if was_suspended {
                set_job_condition(
                    &mut conditions,
                    now,
                    ("Suspended", "False"),
                    ("JobResumed", "Job resumed".to_owned()),
                );
                Self::event(world, key, Kind::Normal, ("Resumed", COMPONENT), "Job resumed".to_owned());
            }
            self.keep_active(world, &row, (&job, &counts));
        }
        self.put_job_status(world, (&row, &job), &counts, &conditions);
    }

    /// The labels by which a Job knows its Pods (`strategy.generateSelector`).
    fn give_selector(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        if row.at(&["spec", "selector"]).is_some() {
            return;
        }
        let (uid, name) = (&*row.uid, &*key.name);
        self.edit(world, key, |value| {
            let spec = &mut value["spec"];
            spec["selector"] = json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": uid } });
            for (label, text) in [
                ("batch.kubernetes.io/controller-uid", uid),
                ("batch.kubernetes.io/job-name", name),
                ("controller-uid", uid),
                ("job-name", name),
            ] {
                spec["template"]["metadata"]["labels"][label] = json!(text);
            }
        });
    }

    fn count_job(&self, row: &ObjectRow, pods: &[PodKey]) -> Counts {
        let before = |field: &str| row.at(&["status", field]).and_then(Value::as_i64).unwrap_or(0);
        let mut counts = Counts {
            active: Vec::new(),
            ready: 0,
            terminating: 0,
            succeeded: 0,
            failed: 0,
            done: BTreeSet::new(),
            last_failure: None,
        };
        for (pod, entry) in pods.iter().filter_map(|pod| Some((pod, self.pod_entry(pod)?))) {
            match entry.phase {
                PodPhase::Succeeded => {
                    counts.succeeded += 1;
                    counts.done.extend(index_of(entry));
                }
                PodPhase::Failed => {
                    counts.failed += 1;
                    let ended =
                        entry.containers.iter().filter_map(|container| container.last.as_ref()?.finished);
                    counts.last_failure = counts.last_failure.max(ended.max());
                }
                PodPhase::Pending | PodPhase::Running if entry.deleting => counts.terminating += 1,
                PodPhase::Pending | PodPhase::Running => {
                    counts.ready += i64::from(entry.is_ready());
                    counts.active.push(pod.clone());
                }
            }
        }
        // Pods that have ended count although somebody deletes them.
        counts.succeeded = counts.succeeded.max(before("succeeded"));
        counts.failed = counts.failed.max(before("failed"));
        counts
    }

    /// Why a Job has failed, if it has.
    fn failure(
        &mut self,
        world: &mut dyn World,
        row: &ObjectRow,
        (job, counts): (&Workload, &Counts),
    ) -> Option<(&'static str, &'static str)> {
        let limit = job.spec.backoff_limit.unwrap_or(6);
        // Containers that start again in their Pod count as well.
        let entries = counts.active.iter().filter_map(|pod| self.pod_entry(pod));
        let restarts: i64 = entries
            .filter(|entry| entry.pod.spec.restart_policy == Some(crate::api::RestartPolicy::OnFailure))
            .flat_map(|entry| &entry.containers)
            .map(|container| i64::from(container.restarts))
            .sum();
        if counts.failed > limit || (restarts > 0 && counts.failed + restarts >= limit.max(1)) {
            return Some(("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        }
        let seconds = u64::try_from(job.spec.active_deadline_seconds?).ok().filter(|_| !job.spec.suspend)?;
        let due = row.created + Duration::from_secs(seconds);
        if world.now() >= due {
            return Some(("DeadlineExceeded", "Job was active longer than specified deadline"));
        }
        self.enqueue_at(world, due, Patience::Prompt, &row.key);
        None
    }

    fn end_active(&mut self, world: &mut dyn World, row: &ObjectRow, counts: &Counts) {
        for pod in &counts.active {
            self.drop_pod(world, &row.key, pod, COMPONENT);
        }
    }

    /// As many Pods run as may (`manageJob`), new ones only after a wait where some have failed.
    fn keep_active(&mut self, world: &mut dyn World, row: &ObjectRow, (job, counts): (&Workload, &Counts)) {
        let parallelism = job.spec.parallelism.unwrap_or(1);
        let active = counts.active.len() as i64;
        let wanted = match job.completions() {
            None if counts.succeeded > 0 => active,
            None => parallelism,
            Some(completions) => parallelism.min(completions - counts.succeeded).max(0),
        };
        if active > wanted {
            let surplus = usize::try_from(active - wanted).unwrap_or(0);
            for pod in self.first_to_go(world, &row.uid, &counts.active).into_iter().take(surplus) {
                self.drop_pod(world, &row.key, &pod, COMPONENT);
            }
            return;
        }
        if active == wanted {
            return;
        }
        if let Some(last) = counts.last_failure {
            let doubled = BACK_OFF.0 << u32::try_from(counts.failed - 1).unwrap_or(0).min(10);
            let due = last + Duration(doubled).min(BACK_OFF_MAX);
            if world.now() < due {
                return self.enqueue_at(world, due, Patience::Prompt, &row.key);
            }
        }
        let mut indexes = self.free_indexes(job, counts).into_iter();
        for _ in active..wanted {
            self.make_job_pod(world, (row, job), indexes.next());
        }
    }

    /// Numbers of an indexed Job that nobody works on.
    fn free_indexes(&self, job: &Workload, counts: &Counts) -> Vec<i64> {
        if job.spec.completion_mode != "Indexed" {
            return Vec::new();
        }
        let taken: BTreeSet<i64> = counts
            .active
            .iter()
            .filter_map(|pod| index_of(self.pod_entry(pod)?))
            .chain(counts.done.iter().copied())
            .collect();
        (0..job.completions().unwrap_or(0)).filter(|index| !taken.contains(index)).collect()
    }

    fn make_job_pod(
        &mut self,
        world: &mut dyn World,
        (row, job): (&ObjectRow, &Workload),
        index: Option<i64>,
    ) {
        let mut template = job.spec.template.clone();
        let mut prefix = format!("{}-", row.key.name);
        if let Some(index) = index {
            prefix = format!("{}-{index}-", row.key.name);
            template = with_labels(&template, &BTreeMap::from([(INDEX, index.to_string())]));
            template["metadata"]["annotations"][INDEX] = json!(index.to_string());
            template["spec"]["hostname"] = json!(format!("{}-{index}", row.key.name));
            for container in template["spec"]["containers"].as_array_mut().into_iter().flatten() {
                let mut env = container["env"].as_array().cloned().unwrap_or_default();
                env.push(json!({ "name": "JOB_COMPLETION_INDEX", "value": index.to_string() }));
                container["env"] = Value::Array(env);
            }
        }
        let (kind, reason, text) = match self.make_pod(world, row, &template, Name::Generated(&prefix)) {
            Ok(name) => (Kind::Normal, "SuccessfulCreate", format!("Created pod: {name}")),
            Err(error) => (Kind::Warning, "FailedCreate", format!("Error creating: {error}")),
        };
        Self::event(world, &row.key, kind, (reason, COMPONENT), text);
    }

    fn put_job_status(
        &mut self,
        world: &mut dyn World,
        (row, job): (&ObjectRow, &Workload),
        counts: &Counts,
        conditions: &[Condition],
    ) {
        let now = world.now().rfc3339();
        let ended = |kind: &str| conditions.iter().any(|at| at.r#type == kind && at.status == "True");
        let over = ended("Complete") || ended("Failed");
        let owned = self.objects.owned_by(&row.uid).filter(|key| &*key.kind == "Pod");
        let entries =
            owned.filter_map(|key| self.store.pods.get(self.store.pod_named(&key.namespace, &key.name)?));
        let active = entries.filter(|entry| entry.is_active()).count() as i64;
        let started = row.text(&["status", "startTime"]).map_or_else(|| now.clone(), str::to_owned);
        let indexes = job.spec.completion_mode == "Indexed" && !counts.done.is_empty();
        let listed: Vec<String> = counts.done.iter().map(ToString::to_string).collect();
        let status = json!({
            "active": count(if over { 0 } else { active }),
            "ready": if over { 0 } else { counts.ready },
            "terminating": if over { counts.terminating + active } else { counts.terminating },
            "succeeded": count(counts.succeeded),
            "failed": count(counts.failed),
            "startTime": if job.spec.suspend { Value::Null } else { json!(started) },
            "completionTime": if ended("Complete") { json!(now) } else { Value::Null },
            "completedIndexes": if indexes { json!(listed.join(",")) } else { Value::Null },
            "conditions": if conditions.is_empty() { Value::Null } else { json!(conditions) },
            "uncountedTerminatedPods": {},
        });
        self.put_status(world, &row.key, status);
    }

    /// A Job that has ended goes when its time to live is over.
    fn expire(&mut self, world: &mut dyn World, row: &Arc<ObjectRow>, (job, end): (&Workload, &Condition)) {
        let Some(seconds) = job.spec.ttl_seconds_after_finished else { return };
        // The condition's time has whole seconds; the row was written in that very moment or later.
        let since = end.last_transition_time.as_deref().and_then(seconds_since_start).unwrap_or(0);
        let due =
            SimTime(since.saturating_add(u64::try_from(seconds).unwrap_or(0)).saturating_mul(1_000_000_000));
        if world.now() >= due {
            self.delete(world, &row.key, None, None);
        } else {
            self.enqueue_at(world, due, Patience::Patient, &row.key);
        }
    }
}

/// Seconds of simulated time at a moment that [`SimTime::rfc3339`] wrote, within the first day.
fn seconds_since_start(text: &str) -> Option<u64> {
    let mut parts = text.split('T').nth(1)?.trim_end_matches('Z').split(':').map(str::parse::<u64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Some(hours * 3600 + minutes * 60 + seconds)
}

/// The condition with which a Job ended.
fn finished(job: &Workload) -> Option<&Condition> {
    let ends = |at: &&Condition| matches!(at.r#type.as_str(), "Complete" | "Failed") && at.status == "True";
    job.status.conditions.iter().find(ends)
}

fn is_complete(job: &Workload, counts: &Counts) -> bool {
    match job.completions() {
        None => counts.succeeded > 0 && counts.active.is_empty(),
        Some(completions) => counts.succeeded >= completions,
    }
}

fn index_of(entry: &PodEntry) -> Option<i64> {
    entry.pod.metadata.annotations.get(INDEX)?.parse().ok()
}
