//! Schedules of `CronJobs` (robfig/cron `ParseStandard`): the minutes at which they are due, in UTC.

use crate::base::{Duration, EPOCH_SECS, SimTime};

/// How many days are looked through for the next minute: four years and a leap day.
const DAYS_AHEAD: u64 = 4 * 366;

/// A schedule: of each field the numbers that fit, as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether the field for days, or that for weekdays, fits everything: then the other decides alone.
    any_day: bool,
}

impl Schedule {
    /// Reads a schedule that validation has let through; `None` for `@every`, which is not simulated.
    pub fn read(text: &str) -> Option<Self> {
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else { return None };
        let star = |field: &str| field.split(',').any(|part| part.starts_with(['*', '?']));
        Some(Self {
            minutes: bits(minutes, (0, 59), &[])?,
            hours: bits(hours, (0, 23), &[])?,
            days: bits(days, (1, 31), &[])?,
            months: bits(months, (1, 12), &MONTHS)?,
            weekdays: bits(weekdays, (0, 6), &WEEKDAYS)?,
            any_day: star(days) || star(weekdays),
        })
    }

    fn fits_day(&self, at: SimTime) -> bool {
        let calendar = at.calendar();
        let has = |bits: u64, number: u64| bits >> number & 1 == 1;
        let day = has(self.days, calendar.day);
        let weekday = has(self.weekdays, calendar.weekday as u64);
        has(self.months, calendar.month as u64) && if self.any_day { day && weekday } else { day || weekday }
    }

    /// The first minute after a moment at which the schedule is due.
    pub fn next(&self, after: SimTime) -> Option<SimTime> {
        let mut at = SimTime::from_unix_minutes(after.unix_secs() / 60 + 1);
        for _ in 0..DAYS_AHEAD {
            let midnight = (at.unix_secs() / 86_400 + 1) * 1_440;
            if self.fits_day(at) {
                let rest = (at.unix_secs() / 60..midnight).find(|minute| {
                    let (hour, minute) = (minute / 60 % 24, minute % 60);
                    self.hours >> hour & 1 == 1 && self.minutes >> minute & 1 == 1
                });
                if let Some(minute) = rest {
                    return Some(SimTime::from_unix_minutes(minute));
                }
            }
            at = SimTime::from_unix_minutes(midnight);
        }
        None
    }
}

impl SimTime {
    /// The moment at which a minute since 1970 begins; the beginning of the simulation for an earlier one.
    pub fn from_unix_minutes(minutes: u64) -> Self {
        Self::ZERO + Duration::from_secs((minutes * 60).saturating_sub(EPOCH_SECS))
    }
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The numbers of a field: `*`, `1-5`, `*/15`, `1,3`, names.
fn bits(field: &str, (least, most): (u32, u32), names: &[&str]) -> Option<u64> {
    let number = |text: &str| {
        let lower = text.to_lowercase();
        let named = names.iter().position(|name| *name == lower).and_then(|at| u32::try_from(at).ok());
        named
            .map(|at| at + least)
            .or_else(|| text.parse().ok())
            .filter(|number| (least..=most).contains(number))
    };
    let mut found = 0_u64;
    for part in field.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, Some(step.parse::<usize>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (first, last) = match span.split_once('-') {
            _ if matches!(span, "*" | "?") => (least, most),
            Some((first, last)) => (number(first)?, number(last)?),
            None if step.is_some() => (number(span)?, most),
            None => (number(span)?, number(span)?),
        };
        (first..=last).step_by(step.unwrap_or(1)).for_each(|number| found |= 1 << number);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_minute_follows_from_the_fields() {
        // Simulated time begins on Thursday, 2026-01-01 00:00:00.
        let begin = SimTime::ZERO + Duration::from_secs(90);
        for (schedule, next) in [
            ("* * * * *", "2026-01-01T00:02:00Z"),
            ("*/5 * * * *", "2026-01-01T00:05:00Z"),
            ("30 2 * * *", "2026-01-01T02:30:00Z"),
            ("0 9-17/4 * * mon-fri", "2026-01-01T09:00:00Z"),
            ("0 0 * * sun", "2026-01-04T00:00:00Z"),
            ("0 0 13 * fri", "2026-01-02T00:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("@monthly", "2026-02-01T00:00:00Z"),
        ] {
            let found = Schedule::read(schedule).and_then(|schedule| schedule.next(begin));
            assert_eq!(found.map(SimTime::rfc3339).as_deref(), Some(next), "{schedule}");
        }
        assert_eq!(Schedule::read("0 0 30 2 *").unwrap().next(begin), None);
    }
}
