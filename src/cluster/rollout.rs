//! How a rollout goes on (`pkg/controller/deployment`), as plain arithmetic.

use serde_json::Value;

/// A number, or per cent of `total` (`GetScaledValueFromIntOrPercent`).
pub fn scaled(value: Option<&Value>, total: i64, rounds_up: bool) -> i64 {
    match value {
        Some(Value::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let parts = percent.saturating_mul(total);
            if rounds_up { (parts + 99).div_euclid(100) } else { parts.div_euclid(100) }
        }
        Some(value) => value.as_i64().unwrap_or(0),
        None => 0,
    }
}

/// How many Pods more than wanted there may be, and how many of the wanted ones may be missing (`ResolveFenceposts`):
/// with neither a rollout could not go on, so that one may be missing then.
pub fn fenceposts(max_surge: Option<&Value>, max_unavailable: Option<&Value>, desired: i64) -> (i64, i64) {
    let surge = scaled(max_surge, desired, true);
    let unavailable = scaled(max_unavailable, desired, false);
    if (surge, unavailable) == (0, 0) { (0, 1) } else { (surge, unavailable) }
}

/// Pods of a ReplicaSet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// How many it wants (`spec.replicas`).
    pub replicas: i64,
    /// How many are available.
    pub available: i64,
}

/// What a rollout is to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Wanted Pods.
    pub desired: i64,
    /// How many more there may be.
    pub surge: i64,
    /// How many may be missing.
    pub unavailable: i64,
}

/// How many Pods the new ReplicaSet is to have after one step, with those of all sets, its own included
/// (`reconcileNewReplicaSet`, `NewRSNewReplicas`).
pub fn new_replicas(bounds: Bounds, new: i64, all: i64) -> i64 {
    if new > bounds.desired {
        return bounds.desired;
    }
    let room = bounds.desired + bounds.surge - all;
    if room <= 0 { new } else { new + room.min(bounds.desired - new) }
}

/// How many Pods each old ReplicaSet is to have after one step (`reconcileOldReplicaSets`): Pods that are not available
/// go first, for they do not count; then as many others as may be missing. The sets are in the order of their age.
pub fn old_replicas(bounds: Bounds, new: Set, old: &[Set]) -> Vec<i64> {
    let mut wanted: Vec<i64> = old.iter().map(|set| set.replicas).collect();
    let all = wanted.iter().sum::<i64>() + new.replicas;
    let least = bounds.desired - bounds.unavailable;
    let new_unavailable = new.replicas - new.available;
    let mut left = all - least - new_unavailable;
    if left <= 0 {
        return wanted;
    }
    // Those that are not healthy (`cleanupUnhealthyReplicas`).
    for (replicas, set) in wanted.iter_mut().zip(old) {
        let unhealthy = (set.replicas - set.available).max(0).min(left);
        *replicas -= unhealthy;
        left -= unhealthy;
    }
    // The others (`scaleDownOldReplicaSetsForRollingUpdate`): no more than are available beyond the least.
    let available = new.available + old.iter().map(|set| set.available).sum::<i64>();
    let mut spare = (available - least).max(0);
    for replicas in &mut wanted {
        let gone = (*replicas).min(spare);
        *replicas -= gone;
        spare -= gone;
    }
    wanted
}

/// How a change of the wanted number is spread over several ReplicaSets while a rollout is under way (`scale`,
/// `GetReplicaSetProportion`): each by its share, the largest first, what is left over to the first one.
///
/// `sets` hold the present number and the largest number that was allowed when it was set (its annotation
/// `max-replicas`), the one to take the rest first.
pub fn proportional(allowed: i64, sets: &[(i64, i64)]) -> Vec<i64> {
    let present: i64 = sets.iter().map(|(replicas, _)| replicas).sum();
    let change = if present > 0 { allowed - present } else { 0 };
    let mut left = change;
    let mut wanted: Vec<i64> = Vec::with_capacity(sets.len());
    for (replicas, max) in sets {
        let share = if *replicas == 0 || change == 0 || *max == 0 {
            0
        } else {
            // `integer.RoundToInt32` rounds halves away from zero.
            let parts = 2 * replicas * allowed;
            let target = (parts + max).div_euclid(2 * max);
            let share = target - replicas;
            if change > 0 { share.min(left) } else { share.max(left) }
        };
        left -= share;
        wanted.push(replicas + share);
    }
    if let Some(first) = wanted.first_mut() {
        *first = (*first + left).max(0);
    }
    wanted
}

/// What is looked at to say which of a ReplicaSet's Pods goes first (`ActivePodsWithRanks`). The order of the fields is
/// the order in which they count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletionRank {
    /// Whether it has a node; one without goes first.
    pub assigned: bool,
    /// 0 pending, 1 unknown, 2 running; the least goes first.
    pub phase: u8,
    /// Whether it is ready; one that is not goes first.
    pub ready: bool,
    /// `controller.kubernetes.io/pod-deletion-cost`; the cheapest goes first.
    pub cost: i64,
    /// Pods of the same owner on its node; one of the most goes first.
    pub crowd: usize,
    /// For how many nanoseconds it has been ready, where it is; the shortest goes first.
    pub ready_for_ns: Option<u64>,
    /// Restarts of its containers, then of its sidecars; the most go first.
    pub restarts: (u32, u32),
    /// For how many nanoseconds it has been there; the shortest goes first.
    pub age_ns: u64,
    /// Identity.
    pub uid: std::sync::Arc<str>,
}

impl DeletionRank {
    /// Whether this Pod goes before another one. Times count in powers of two (`LogarithmicScaleDown`); where two differ
    /// by less than that, the identity decides at once, so that it is as good as chance.
    pub fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let times = |own: u64, theirs: u64| {
            if own == theirs {
                return std::cmp::Ordering::Equal;
            }
            power(own).cmp(&power(theirs)).then_with(|| self.uid.cmp(&other.uid))
        };
        let ready = match (self.ready_for_ns, other.ready_for_ns) {
            (Some(own), Some(theirs)) => times(own, theirs),
            (None, _) | (_, None) => std::cmp::Ordering::Equal,
        };
        (self.assigned, self.phase, self.ready, self.cost)
            .cmp(&(other.assigned, other.phase, other.ready, other.cost))
            .then_with(|| other.crowd.cmp(&self.crowd))
            .then(ready)
            .then_with(|| other.restarts.cmp(&self.restarts))
            .then_with(|| times(self.age_ns, other.age_ns))
    }
}

/// A length of time in powers of two (`logarithmicRankDiff`).
fn power(ns: u64) -> u32 {
    u64::BITS - ns.leading_zeros()
}

/// A hash as names end with it (`ComputeHash`, `rand.SafeEncodeString`): FNV-1a of 32 bits, its digits as letters without
/// vowels. Upstream hashes a Go struct as it is printed; here it is the JSON as written, so that the letters differ.
pub fn template_hash(template: &Value, collisions: i64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let text = format!("{template}{}", if collisions > 0 { collisions.to_string() } else { String::new() });
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = text.bytes().fold(0x811c_9dc5, step);
    hash.to_string().bytes().map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()])).collect()
}
