//! Simulated time. Nothing in the core reads a clock: `now` is always an argument.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A moment of simulated time, in nanoseconds since the simulation began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SimTime(pub u64);

/// A length of simulated time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Duration(pub u64);

/// The moment that simulated time begins at: 2026-01-01 00:00:00 UTC, in seconds since 1970.
pub const EPOCH_SECS: u64 = 1_767_225_600;

/// A moment as a calendar and a clock show it, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Year.
    pub year: u64,
    /// Month, 1 to 12.
    pub month: usize,
    /// Day of the month, from 1.
    pub day: u64,
    /// Day of the week, 0 for Sunday.
    pub weekday: usize,
    /// Hour, 0 to 23.
    pub hour: u64,
    /// Minute.
    pub minute: u64,
    /// Second.
    pub second: u64,
}

impl Calendar {
    /// The calendar of the moment so many seconds after 1970.
    pub fn of_unix(secs: u64) -> Self {
        let days = secs / 86_400;
        // Days are counted from the first of March of the year 0, so that a leap day ends a year; an era is 400 years.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month: month as usize,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            weekday: ((days + 4) % 7) as usize,
            hour: secs / 3_600 % 24,
            minute: secs / 60 % 60,
            second: secs % 60,
        }
    }
}

impl SimTime {
    /// The beginning of the simulation.
    pub const ZERO: Self = Self(0);

    /// Seconds since 1970, as processes ask for them (`time(2)`).
    pub const fn unix_secs(self) -> u64 {
        EPOCH_SECS + self.0 / 1_000_000_000
    }

    /// The moment so many seconds after 1970, or the beginning where that is earlier.
    pub const fn from_unix(secs: u64, nanos: u32) -> Self {
        Self(secs.saturating_sub(EPOCH_SECS).saturating_mul(1_000_000_000).saturating_add(nanos as u64))
    }

    /// The moment as a calendar shows it.
    pub fn calendar(self) -> Calendar {
        Calendar::of_unix(self.unix_secs())
    }

    /// The moment as the API writes it (`metav1.Time`): `2026-01-01T00:00:12Z`.
    pub fn rfc3339(self) -> String {
        let Calendar { year, month, day, hour, minute, second, .. } = self.calendar();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// The moment as the API writes it with microseconds (`metav1.MicroTime`): `2026-01-01T00:00:12.000250Z`.
    pub fn rfc3339_micro(self) -> String {
        let whole = self.rfc3339();
        format!("{}.{:06}Z", whole.trim_end_matches('Z'), self.0 / 1_000 % 1_000_000)
    }

    /// Nanoseconds since 1970.
    pub const fn unix_nanos(self) -> u64 {
        EPOCH_SECS * 1_000_000_000 + self.0
    }

    /// The time passed since `earlier`; zero when `earlier` is later than `self`.
    pub fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A length given in nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// A length given in microseconds.
    pub const fn from_us(us: u64) -> Self {
        Self(us * 1_000)
    }

    /// A length given in milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// A length given in seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// Whole microseconds, rounded down.
    pub const fn as_us(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Whole seconds as Go prints them (`time.Duration.String`): `1m20s`.
    pub fn as_go(self) -> String {
        let secs = self.as_secs();
        match (secs / 3_600, secs / 60 % 60, secs % 60) {
            (0, 0, secs) => format!("{secs}s"),
            (0, minutes, secs) => format!("{minutes}m{secs}s"),
            (hours, minutes, secs) => format!("{hours}h{minutes}m{secs}s"),
        }
    }
}

impl Add<Duration> for SimTime {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl AddAssign<Duration> for SimTime {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl Sub for Duration {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        Self(self.0.saturating_sub(rhs.0))
    }
}

/// Seconds with six decimals, as packet tools print a moment: `12.000230`.
impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000)
    }
}

/// The largest unit that leaves a readable number: `230.4 µs`, `3.05 s`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ns @ 0..1_000 => write!(f, "{ns} ns"),
            ns @ 1_000..1_000_000 => write!(f, "{}.{} µs", ns / 1_000, ns % 1_000 / 100),
            ns @ 1_000_000..1_000_000_000 => {
                write!(f, "{}.{:02} ms", ns / 1_000_000, ns % 1_000_000 / 10_000)
            }
            ns => write!(f, "{}.{:02} s", ns / 1_000_000_000, ns % 1_000_000_000 / 10_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_a_date() {
        for (days, date) in
            [(0, (2026, 1, 1, 4)), (58, (2026, 2, 28, 6)), (789, (2028, 2, 29, 2)), (790, (2028, 3, 1, 3))]
        {
            let at = SimTime(days * 86_400_000_000_000 + 3_661_000_000_000).calendar();
            assert_eq!((at.year, at.month, at.day, at.weekday), date);
            assert_eq!((at.hour, at.minute, at.second), (1, 1, 1));
        }
    }

    #[test]
    fn a_length_is_shown_in_its_largest_readable_unit() {
        for (ns, text) in
            [(999, "999 ns"), (230_449, "230.4 µs"), (3_050_000, "3.05 ms"), (3_050_000_000, "3.05 s")]
        {
            assert_eq!(Duration(ns).to_string(), text);
        }
    }
}
