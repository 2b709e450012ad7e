//! The plugin `cache`: what it remembers, for how long, and how an answer looks that comes out of it.

use super::corefile::{CorefileError, Directive, error};
use super::plugin::wrong_arguments;
use super::{Answer, Question, Rcode, Record, Type, corefile::zones_of};
use crate::base::SimTime;
use std::collections::{BTreeMap, VecDeque};

/// Shortest time that an answer is kept, also where nothing says how long (`MinimalDefaultTTL`), in seconds.
const MIN_TTL: u64 = 5;
/// Longest time that an answer is kept (`MaximumDefaultTTL`), in seconds.
const MAX_TTL: u64 = 3600;
/// Longest time that a denial is kept, in seconds.
const MAX_DENIAL_TTL: u64 = 1800;
/// Entries of each half.
const CAPACITY: usize = 9984;

/// How one half of the cache is configured: answers, or denials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Half {
    capacity: usize,
    max_ttl: u64,
    min_ttl: u64,
    /// Zones for which it is switched off.
    disabled: Vec<String>,
}

/// The plugin as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cache {
    pub(super) zones: Vec<String>,
    success: Half,
    denial: Half,
    /// How often an entry must have been asked for to be fetched anew before it ends; 0 for never.
    prefetch: u64,
    /// Longest pause between two such questions, in seconds.
    prefetch_within: u64,
    /// Share of the TTL before whose end it is fetched, in percent.
    prefetch_percent: u64,
    /// How long after its end an entry may still be served, in seconds; 0 for not at all.
    stale_up_to: u64,
    /// Whether what has ended is fetched anew first, and served only where that fails (`serve_stale … verify`).
    pub(super) verify_stale: bool,
    /// How long a failure of the server is kept, in seconds.
    failure_ttl: u64,
    /// Whether answers keep the TTL they came with.
    keep_ttl: bool,
}

/// What is known of a question.
#[derive(Clone, Debug)]
struct Entry {
    answer: Answer,
    stored: SimTime,
    ttl: u64,
    /// Times of the last questions, for the prefetch.
    hits: u64,
    last_hit: SimTime,
}

/// Lower-case name, type, and whether DNSSEC records were wanted.
type Key = (String, Type, bool);

/// What the cache remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    success: Store,
    denial: Store,
}

/// Entries in the order in which they came, so that the oldest makes room.
#[derive(Clone, Debug, Default)]
struct Store {
    entries: BTreeMap<Key, Entry>,
    order: VecDeque<Key>,
}

/// What the cache has for a question.
#[derive(Clone, Debug)]
pub(super) enum Hit {
    /// This answer, with its remaining TTL; whether it should be fetched anew meanwhile.
    Fresh(Answer, u64, bool),
    /// This answer, which has ended, because stale ones are served; it is fetched anew meanwhile.
    Stale(Answer),
}

/// Kinds of answers (`response.Typify`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Success,
    Denial,
    Failure,
    Other,
}

fn kind(answer: &Answer) -> Kind {
    let has_soa = answer.authority.iter().any(|record| record.kind() == Type::Soa);
    match answer.rcode {
        Rcode::NoError if !answer.answer.is_empty() => Kind::Success,
        Rcode::NoError | Rcode::NxDomain if has_soa => Kind::Denial,
        // A delegation is kept with the answers.
        Rcode::NoError => Kind::Success,
        Rcode::ServFail | Rcode::NotImp => Kind::Failure,
        Rcode::NxDomain | Rcode::FormErr | Rcode::Refused | Rcode::Other(_) => Kind::Other,
    }
}

/// The least TTL of all records (`dnsutil.MinimalTTL`), in seconds.
fn minimal_ttl(answer: &Answer) -> u64 {
    let records = answer.answer.iter().chain(&answer.authority).chain(&answer.additional);
    records.map(|record| u64::from(record.ttl).min(MAX_TTL)).min().unwrap_or(MIN_TTL)
}

fn set_ttl(answer: &mut Answer, ttl: u64) {
    let set = |record: &mut Record| record.ttl = ttl as u32;
    answer.answer.iter_mut().for_each(set);
    answer.authority.iter_mut().for_each(set);
    answer.additional.iter_mut().for_each(set);
}

impl Cache {
    /// `cache [TTL] [ZONES...] { ... }`.
    pub(super) fn configured(directive: &Directive, zones: &[String]) -> Result<Self, CorefileError> {
        let half = |max_ttl| Half { capacity: CAPACITY, max_ttl, min_ttl: MIN_TTL, disabled: Vec::new() };
        let mut cache = Self {
            zones: zones.to_vec(),
            success: half(MAX_TTL),
            denial: half(MAX_DENIAL_TTL),
            prefetch: 0,
            prefetch_within: 60,
            prefetch_percent: 10,
            stale_up_to: 0,
            verify_stale: false,
            failure_ttl: MIN_TTL,
            keep_ttl: false,
        };
        let mut args = directive.args.as_slice();
        if let Some(ttl) = args.first().and_then(|text| text.parse::<i64>().ok()) {
            let positive = u64::try_from(ttl).ok().filter(|ttl| *ttl > 0);
            let message = || error(directive.line, format!("cache TTL can not be zero or negative: {ttl}"));
            let ttl = positive.ok_or_else(message)?;
            (cache.success.max_ttl, cache.denial.max_ttl) = (ttl, ttl);
            args = &args[1..];
        }
        if !args.is_empty() {
            cache.zones = args.iter().flat_map(|zone| zones_of(zone)).collect();
        }
        for property in &directive.block {
            cache.set(property, zones)?;
        }
        Ok(cache)
    }

    fn set(&mut self, property: &Directive, zones: &[String]) -> Result<(), CorefileError> {
        let args = &property.args;
        let line = property.line;
        let wrong = |text: &str| error(line, format!("invalid value for {}: {text}", property.name));
        let number = |at: usize| match args.get(at) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| wrong(text)),
        };
        match property.name.as_str() {
            "success" | "denial" => {
                let half = if property.name == "success" { &mut self.success } else { &mut self.denial };
                let capacity = number(0)?.ok_or_else(|| wrong(""))?;
                half.capacity = usize::try_from(capacity).unwrap_or(CAPACITY).clamp(1, 1 << 20);
                half.max_ttl = number(1)?.unwrap_or(half.max_ttl);
                half.min_ttl = number(2)?.unwrap_or(half.min_ttl);
            }
            "prefetch" => {
                self.prefetch = number(0)?.ok_or_else(|| wrong(""))?;
                if let Some(text) = args.get(1) {
                    self.prefetch_within = seconds(text).ok_or_else(|| wrong(text))?;
                }
                if let Some(text) = args.get(2) {
                    let percent = text.strip_suffix('%').and_then(|text| text.parse().ok());
                    self.prefetch_percent =
                        percent.filter(|percent| (10..=90).contains(percent)).ok_or_else(|| wrong(text))?;
                }
            }
            "serve_stale" => {
                self.stale_up_to = match args.first() {
                    None => 3600,
                    Some(text) => seconds(text).ok_or_else(|| wrong(text))?,
                };
                let mode = args.get(1).map(|mode| mode.to_ascii_lowercase());
                self.verify_stale = match mode.as_deref() {
                    None | Some("immediate") => false,
                    Some("verify") => true,
                    Some(mode) => {
                        let text = format!("invalid value for serve_stale refresh mode: {mode}");
                        return Err(error(line, text));
                    }
                };
            }
            "servfail" if args.len() > 1 => return Err(wrong_arguments(property)),
            "servfail" => {
                let text = args.first().ok_or_else(|| wrong(""))?;
                let ttl = seconds(text).filter(|ttl| *ttl <= 300).ok_or_else(|| wrong(text))?;
                self.failure_ttl = ttl;
            }
            "disable" => {
                let list = match args.first().map(String::as_str) {
                    Some("success") => &mut self.success.disabled,
                    Some("denial") => &mut self.denial.disabled,
                    other => return Err(wrong(other.unwrap_or(""))),
                };
                *list = args[1..].iter().flat_map(|zone| zones_of(zone)).collect();
                if list.is_empty() {
                    *list = zones.to_vec();
                }
            }
            "keepttl" if args.is_empty() => self.keep_ttl = true,
            other => return Err(error(line, format!("unknown property '{other}'"))),
        }
        Ok(())
    }

    /// Looks a question up, and counts it.
    pub(super) fn get(
        &self,
        memory: &mut Memory,
        question: &Question,
        dnssec: bool,
        now: SimTime,
    ) -> Option<Hit> {
        let key = (question.name.to_ascii_lowercase(), question.kind, dnssec);
        for store in [&mut memory.denial, &mut memory.success] {
            let Some(entry) = store.entries.get_mut(&key) else { continue };
            let age = now.since(entry.stored).0 / 1_000_000_000;
            let mut answer = entry.answer.clone();
            // Some clients discard whatever is not authoritative.
            answer.authoritative = true;
            if age >= entry.ttl {
                if age - entry.ttl < self.stale_up_to {
                    set_ttl(&mut answer, 0);
                    return Some(Hit::Stale(answer));
                }
                continue;
            }
            let left = entry.ttl - age;
            let often = now.since(entry.last_hit).0 / 1_000_000_000 < self.prefetch_within;
            entry.hits = if often { entry.hits + 1 } else { 1 };
            entry.last_hit = now;
            let threshold = (entry.ttl * self.prefetch_percent).div_ceil(100);
            let prefetch = self.prefetch > 0 && entry.hits >= self.prefetch && left <= threshold;
            set_ttl(&mut answer, if self.keep_ttl { entry.ttl } else { left });
            return Some(Hit::Fresh(answer, left, prefetch));
        }
        None
    }

    /// Remembers an answer. Its records get the TTL for which it is kept, so that no client is told more; that TTL, or
    /// `None` where it is not kept.
    pub(super) fn put(
        &self,
        memory: &mut Memory,
        question: &Question,
        dnssec: bool,
        answer: &mut Answer,
        now: SimTime,
    ) -> Option<u64> {
        let kind = kind(answer);
        if answer.truncated || kind == Kind::Other {
            return None;
        }
        let (half, is_denial) = match kind {
            Kind::Success | Kind::Other => (&self.success, false),
            Kind::Denial | Kind::Failure => (&self.denial, true),
        };
        let name = &question.name;
        if half.disabled.iter().any(|zone| super::is_subdomain(zone, name)) {
            return None;
        }
        let ttl = match kind {
            Kind::Failure => self.failure_ttl,
            Kind::Success | Kind::Denial | Kind::Other => {
                minimal_ttl(answer).max(half.min_ttl).min(half.max_ttl)
            }
        };
        if ttl == 0 {
            return None;
        }
        if !self.keep_ttl {
            set_ttl(answer, ttl);
        }
        let key = (name.to_ascii_lowercase(), question.kind, dnssec);
        let entry = Entry { answer: answer.clone(), stored: now, ttl, hits: 0, last_hit: now };
        // An answer of one half takes the place of one of the other.
        let (store, other) = if is_denial {
            (&mut memory.denial, &mut memory.success)
        } else {
            (&mut memory.success, &mut memory.denial)
        };
        if kind != Kind::Failure {
            other.remove(&key);
        }
        store.insert(key, entry, half.capacity);
        Some(ttl)
    }
}

impl Store {
    fn insert(&mut self, key: Key, mut entry: Entry, capacity: usize) {
        if let Some(old) = self.entries.get(&key) {
            // How often it was asked for is remembered over a prefetch.
            (entry.hits, entry.last_hit) = (old.hits, old.last_hit);
        } else {
            if self.entries.len() >= capacity
                && let Some(oldest) = self.order.pop_front()
            {
                self.entries.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) {
        if self.entries.remove(key).is_some() {
            self.order.retain(|at| at != key);
        }
    }
}

impl Memory {
    /// How many entries there are: answers and denials.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.success.entries.len(), self.denial.entries.len())
    }
}

/// A Go duration in whole seconds.
pub(super) fn seconds(text: &str) -> Option<u64> {
    millis(text).map(|millis| millis / 1000)
}

/// A Go duration in milliseconds.
pub(super) fn millis(text: &str) -> Option<u64> {
    crate::manifest::duration(text).map(|duration| duration.0 / 1_000_000)
}
