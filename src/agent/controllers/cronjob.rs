//! The `CronJob` controller (`pkg/controller/cronjob`): Jobs at the minutes of a schedule. *Simplified*: schedules are read
//! in UTC, and of starts that were missed only the last is made up for.

use super::{Kind, reference_to};
use crate::agent::control::ControlPlane;
use crate::agent::world::{Patience, World};
use crate::base::{ObjectKey, SimTime};
use crate::cluster::schedule::Schedule;
use crate::trace::ObjectRow;
use serde_json::{Value, json};
use std::sync::Arc;

const COMPONENT: &str = "cronjob-controller";

impl ControlPlane {
    /// Starts what is due, forgets what is over for long, and looks again at the next minute of the schedule.
    pub(super) fn sync_cron_job(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).filter(|row| row.deleted.is_none()).cloned() else { return };
        self.note_ended_jobs(world, &row);
        self.put_cron_status(world, key);
        let spec = |field: &str| row.at(&["spec", field]);
        let Some(schedule) = spec("schedule").and_then(Value::as_str).and_then(Schedule::read) else {
            return;
        };
        if spec("suspend") == Some(&json!(true)) {
            return;
        }
        let now = world.now();
        let since = self.queue.cron_starts.get(&row.uid).copied().unwrap_or(row.created);
        let mut due = None;
        let mut next = schedule.next(since);
        while let Some(at) = next.filter(|at| *at <= now) {
            due = Some(at);
            next = schedule.next(at);
        }
        if let Some(at) = due {
            self.start_job(world, &row, at);
        }
        if let Some(at) = next {
            self.enqueue_at(world, at, Patience::Patient, key);
        }
    }

    /// The Jobs of a `CronJob`, in the order of their starts.
    fn jobs_of(&self, row: &ObjectRow) -> Vec<Arc<ObjectRow>> {
        let owned = self.objects.owned_by(&row.uid).filter(|key| &*key.kind == "Job");
        let mut jobs: Vec<Arc<ObjectRow>> = owned.filter_map(|key| self.objects.get(key).cloned()).collect();
        jobs.sort_by_key(|job| (job.created, job.key.clone()));
        jobs
    }

    fn start_job(&mut self, world: &mut dyn World, row: &ObjectRow, at: SimTime) {
        let minutes = at.unix_secs() / 60;
        let active: Vec<Arc<ObjectRow>> =
            self.jobs_of(row).into_iter().filter(|job| ending(job).is_none()).collect();
        match row.text(&["spec", "concurrencyPolicy"]) {
            Some("Forbid") if !active.is_empty() => {
                let text =
                    "Not starting job because prior execution is running and concurrency policy is Forbid";
                return Self::event(
                    world,
                    &row.key,
                    Kind::Normal,
                    ("JobAlreadyActive", COMPONENT),
                    text.to_owned(),
                );
            }
            Some("Replace") => active.iter().for_each(|job| self.drop_job(world, row, job)),
            _ => {}
        }
        self.queue.cron_starts.insert(row.uid.clone(), at);
        let template = row.at(&["spec", "jobTemplate"]).cloned().unwrap_or_default();
        let name = format!("{}-{minutes}", row.key.name);
        let mut job = json!({ "apiVersion": "batch/v1", "kind": "Job", "spec": template["spec"] });
        job["metadata"] =
            json!({ "name": name, "namespace": &*row.key.namespace, "ownerReferences": [reference_to(row)] });
        if template["metadata"]["labels"].is_object() {
            job["metadata"]["labels"] = template["metadata"]["labels"].clone();
        }
        job["metadata"]["annotations"] = match &template["metadata"]["annotations"] {
            Value::Object(fields) => Value::Object(fields.clone()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => json!({}),
        };
        job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] =
            json!(at.rfc3339());
        let made = self.answer(world, &crate::api::ApiRequest::Create(job));
        let (kind, reason, text) = match made {
            Ok(_) => (Kind::Normal, "SuccessfulCreate", format!("Created job {name}")),
            Err(error) => (Kind::Warning, "FailedCreate", format!("Error creating job: {error}")),
        };
        Self::event(world, &row.key, kind, (reason, COMPONENT), text);
        self.edit(world, &row.key, |value| value["status"]["lastScheduleTime"] = json!(at.rfc3339()));
        self.put_cron_status(world, &row.key);
    }

    fn drop_job(&mut self, world: &mut dyn World, row: &ObjectRow, job: &ObjectRow) {
        let text = format!("Deleted job {}", job.key.name);
        Self::event(world, &row.key, Kind::Normal, ("SuccessfulDelete", COMPONENT), text);
        self.delete(world, &job.key, None, None);
    }

    /// Tells of Jobs that have ended since, and keeps as many of them as the history may hold.
    fn note_ended_jobs(&mut self, world: &mut dyn World, row: &ObjectRow) {
        let jobs = self.jobs_of(row);
        let active = row.at(&["status", "active"]).and_then(Value::as_array).cloned().unwrap_or_default();
        for job in &jobs {
            let Some((condition, at)) = ending(job) else { continue };
            if active.iter().any(|one| one["name"] == json!(&*job.key.name)) {
                let text = format!("Saw completed job: {}, condition: {condition}", job.key.name);
                Self::event(world, &row.key, Kind::Normal, ("SawCompletedJob", COMPONENT), text);
                if condition == "Complete" {
                    self.edit(world, &row.key, |value| value["status"]["lastSuccessfulTime"] = json!(at));
                }
            }
        }
        // Who started a Job by hand made one that it does not know (`cronjob.kubernetes.io/instantiate`).
        for job in jobs.iter().filter(|job| ending(job).is_none() && by_hand(job)) {
            let name = &job.key.name;
            let text = format!("Saw a job that the controller did not create or forgot: {name}");
            Self::event(world, &row.key, Kind::Warning, ("UnexpectedJob", COMPONENT), text);
        }
        for (condition, field, usual) in
            [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)]
        {
            let limit = row.at(&["spec", field]).and_then(Value::as_u64).unwrap_or(usual);
            let over: Vec<&Arc<ObjectRow>> =
                jobs.iter().filter(|job| ending(job).is_some_and(|(kind, _)| kind == condition)).collect();
            let gone = over.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
            over[..gone].iter().for_each(|job| self.drop_job(world, row, job));
        }
    }

    fn put_cron_status(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        let active: Vec<Value> = self
            .jobs_of(&row)
            .iter()
            .filter(|job| ending(job).is_none() && !by_hand(job))
            .map(|job| {
                json!({ "apiVersion": "batch/v1", "kind": "Job", "name": &*job.key.name, "namespace": &*job.key.namespace,
                    "uid": &*job.uid, "resourceVersion": job.version.to_string() })
            })
            .collect();
        // A new version of the same Jobs is no news.
        let names = |list: &[Value]| list.iter().map(|one| one["name"].clone()).collect::<Vec<_>>();
        let before = row.at(&["status", "active"]).and_then(Value::as_array).cloned().unwrap_or_default();
        // So are Jobs that a pasted status names and that are not here.
        let pasted = active.is_empty() && !self.queue.cron_starts.contains_key(&row.uid);
        if names(&before) == names(&active) || pasted {
            return;
        }
        self.edit(world, key, |value| {
            if active.is_empty() {
                value["status"].as_object_mut().map(|status| status.remove("active"));
            } else {
                value["status"]["active"] = Value::Array(active);
            }
        });
    }
}

/// Whether somebody made a Job of the template by hand.
fn by_hand(job: &ObjectRow) -> bool {
    job.text(&["metadata", "annotations", "cronjob.kubernetes.io/instantiate"]) == Some("manual")
}

/// The condition with which a Job has ended, and when.
fn ending(job: &ObjectRow) -> Option<(&str, &str)> {
    let conditions = job.at(&["status", "conditions"])?.as_array()?;
    let ends =
        |at: &&Value| at["status"] == "True" && matches!(at["type"].as_str(), Some("Complete" | "Failed"));
    let found = conditions.iter().find(ends)?;
    Some((found["type"].as_str()?, found["lastTransitionTime"].as_str().unwrap_or("")))
}
