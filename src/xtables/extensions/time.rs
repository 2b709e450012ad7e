//! `-m time`: when a packet comes (`libxt_time.c`, `xt_time.c`).

use crate::base::Calendar;
use crate::xtables::options::{Given, Spec, exclusive, find, spec};
use crate::xtables::parse::{Problem, number};
use std::fmt::Write as _;

/// Its options.
pub(super) const OPTIONS: &[Spec] = &[
    spec(&["--datestart"], 1),
    spec(&["--datestop"], 1),
    spec(&["--timestart"], 1),
    spec(&["--timestop"], 1),
    spec(&["--contiguous"], 0),
    spec(&["--weekdays"], 1),
    spec(&["--monthdays"], 1),
    spec(&["--localtz"], 0),
    spec(&["--utc"], 0),
    spec(&["--kerneltz"], 0),
];

const DAY_SECS: u32 = 86_400;
/// Bits 1 to 7 (`XT_TIME_ALL_WEEKDAYS`).
const ALL_WEEKDAYS: u8 = 0xfe;
/// Bits 1 to 31 (`XT_TIME_ALL_MONTHDAYS`).
const ALL_MONTHDAYS: u32 = 0xffff_fffe;
/// The last moment that fits where none is given.
const LAST_MOMENT: u32 = i32::MAX as u32;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// `-m time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeMatch {
    /// First and last moment, in seconds since 1970.
    dates: (u32, u32),
    /// First and last second of a day.
    day: (u32, u32),
    /// Days of a month; the bit is the day.
    monthdays: u32,
    /// Days of a week; bit 1 is Monday.
    weekdays: u8,
    /// `--kerneltz`. The kernel's time zone is that of UTC.
    kerneltz: bool,
    /// `--contiguous`: a night counts as part of the day on which it began.
    contiguous: bool,
}

impl TimeMatch {
    pub(super) fn parse(given: &[Given]) -> Result<Self, Problem> {
        let mut time = Self {
            dates: (0, LAST_MOMENT),
            day: (0, DAY_SECS - 1),
            monthdays: ALL_MONTHDAYS,
            weekdays: ALL_WEEKDAYS,
            kerneltz: false,
            contiguous: false,
        };
        for option in given {
            let text = option.text();
            match option.name {
                "--datestart" => time.dates.0 = date(text)?,
                "--datestop" => time.dates.1 = date(text)?,
                "--timestart" => time.day.0 = clock(text)?,
                "--timestop" => time.day.1 = clock(text)?,
                "--contiguous" => time.contiguous = true,
                "--monthdays" => {
                    time.monthdays = monthdays(text)? ^ if option.negated { ALL_MONTHDAYS } else { 0 };
                }
                "--weekdays" => {
                    time.weekdays = weekdays(text)? ^ if option.negated { ALL_WEEKDAYS } else { 0 };
                }
                "--utc" => {}
                _ => time.kerneltz = true,
            }
        }
        if find(given, "--utc").is_some() {
            exclusive(given, "time", &["--localtz", "--utc"])?;
            exclusive(given, "time", &["--utc", "--kerneltz"])?;
        }
        if time.contiguous && time.day.0 < time.day.1 {
            let text = "time: --contiguous only makes sense when stoptime is smaller than starttime";
            return Err(Problem::new(text));
        }
        Ok(time)
    }

    /// Whether a moment, in seconds since 1970, fits (`time_mt`).
    pub fn fits(&self, now: u64) -> bool {
        let (first, last) = self.dates;
        if now < u64::from(first) || now > u64::from(last) {
            return false;
        }
        let (start, stop) = self.day;
        let second = (now % u64::from(DAY_SECS)) as u32;
        let mut day = now / u64::from(DAY_SECS);
        if start < stop {
            if second < start || second > stop {
                return false;
            }
        } else {
            if second < start && second > stop {
                return false;
            }
            if self.contiguous && second <= stop {
                day = day.saturating_sub(1);
            }
        }
        // The first of January 1970 was a Thursday.
        let weekday = (day + 3) % 7 + 1;
        self.weekdays & (1 << weekday) != 0
            && self.monthdays & (1 << Calendar::of_unix(day * u64::from(DAY_SECS)).day) != 0
    }

    fn monthday_list(&self, ordinal: bool) -> String {
        let days = (1..=31).filter(|day| self.monthdays & (1 << day) != 0);
        let word = |day: u32| match day % 10 {
            _ if !ordinal => day.to_string(),
            1 => format!("{day}st"),
            2 => format!("{day}nd"),
            3 => format!("{day}rd"),
            _ => format!("{day}th"),
        };
        days.map(word).collect::<Vec<_>>().join(",")
    }

    fn weekday_list(&self) -> String {
        let set = WEEKDAYS.iter().zip(1..).filter(|(_, bit)| self.weekdays & (1 << bit) != 0);
        set.map(|(name, _)| *name).collect::<Vec<_>>().join(",")
    }

    pub(super) fn save(&self) -> String {
        let mut out = String::new();
        if self.day != (0, DAY_SECS - 1) {
            let (start, stop) = (clock_text(self.day.0), clock_text(self.day.1));
            let _ = write!(out, " --timestart {start} --timestop {stop}");
        }
        if self.monthdays != ALL_MONTHDAYS {
            let _ = write!(out, " --monthdays {}", self.monthday_list(false));
        }
        if self.weekdays != ALL_WEEKDAYS {
            let _ = write!(out, " --weekdays {}", self.weekday_list());
        }
        // The last moment is printed also where none was given, for the tool takes it for one that was.
        for (name, date) in [("datestart", self.dates.0), ("datestop", self.dates.1)] {
            if date != 0 {
                let _ = write!(out, " --{name} {}", date_text(date, 'T'));
            }
        }
        if self.kerneltz {
            out += " --kerneltz";
        }
        if self.contiguous {
            out += " --contiguous";
        }
        out
    }

    pub(super) fn list(&self) -> String {
        let mut out = String::from(" TIME");
        if self.day != (0, DAY_SECS - 1) {
            let _ = write!(out, " from {} to {}", clock_text(self.day.0), clock_text(self.day.1));
        }
        if self.weekdays != ALL_WEEKDAYS {
            let _ = write!(out, " on {}", self.weekday_list());
        }
        if self.monthdays != ALL_MONTHDAYS {
            let _ = write!(out, " on {}", self.monthday_list(true));
        }
        if self.dates.0 != 0 {
            let _ = write!(out, " starting from {}", date_text(self.dates.0, ' '));
        }
        if self.dates.1 != LAST_MOMENT {
            out += " until date";
            if self.dates.1 != 0 {
                let _ = write!(out, " {}", date_text(self.dates.1, ' '));
            }
        }
        if !self.kerneltz {
            out += " UTC";
        }
        if self.contiguous {
            out += " contiguous";
        }
        out
    }
}

fn clock_text(second: u32) -> String {
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

fn date_text(moment: u32, between: char) -> String {
    let Calendar { year, month, day, .. } = Calendar::of_unix(u64::from(moment));
    format!("{year:04}-{month:02}-{day:02}{between}{}", clock_text(moment % DAY_SECS))
}

/// Days from 1970 on to a day that is given by its date. Months and days may lie beyond their ends (`mktime`).
fn days_of(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).saturating_sub(719_469)
}

/// A number and what follows it (`strtoul`); no digits are a zero.
fn leading_number(text: &str) -> (u64, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let value = if end == 0 { 0 } else { text[..end].parse().unwrap_or(u64::MAX) };
    (value, &text[end..])
}

/// A date, of which everything behind the year may be left out (`time_parse_date`).
fn date(text: &str) -> Result<u32, Problem> {
    /// The sign before each part behind the year, the last value that it may have, and what it is where it is left out.
    const PARTS: [(char, u64, u64); 5] =
        [('-', 12, 1), ('-', 31, 1), ('T', 23, 0), (':', 59, 0), (':', 59, 0)];
    let wrong = || {
        Problem::new(format!("Invalid date \"{text}\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]"))
    };
    let (year, mut rest) = leading_number(text);
    if !(1970..=2038).contains(&year) {
        return Err(wrong());
    }
    let mut values = [0; 5];
    for (value, (sign, max, none)) in values.iter_mut().zip(PARTS) {
        if rest.is_empty() {
            *value = none;
            continue;
        }
        let part = rest.strip_prefix(sign).ok_or_else(wrong)?;
        (*value, rest) = leading_number(part);
        if *value > max {
            return Err(wrong());
        }
    }
    if !rest.is_empty() {
        return Err(wrong());
    }
    let [month, day, hour, minute, second] = values;
    let days = days_of(year, month.max(1), day);
    let moment = days * u64::from(DAY_SECS) + hour * 3_600 + minute * 60 + second;
    Ok(u32::try_from(moment).unwrap_or(u32::MAX))
}

/// A time of day (`time_parse_minutes`). What is named as wrong is the part that was being read.
fn clock(text: &str) -> Result<u32, Problem> {
    let wrong = |part: &str| {
        Problem::new(format!(
            "invalid time \"{part}\" specified, should be hh:mm[:ss] format and within the boundaries"
        ))
    };
    let (hour, rest) = leading_number(text);
    let minutes = rest.strip_prefix(':').filter(|_| hour <= 23).ok_or_else(|| wrong(text))?;
    let (minute, rest) = leading_number(minutes);
    let seconds = if rest.is_empty() { Some("") } else { rest.strip_prefix(':') };
    let seconds = seconds.filter(|_| minute <= 59).ok_or_else(|| wrong(minutes))?;
    let (second, rest) = leading_number(seconds);
    if second > 59 || !rest.is_empty() {
        return Err(wrong(seconds));
    }
    Ok((hour * 3_600 + minute * 60 + second) as u32)
}

/// The first letters of a word between commas, as many as the tool has room for.
fn words(text: &str, room: usize) -> impl Iterator<Item = &str> {
    let text = text.strip_suffix(',').unwrap_or(text);
    text.split(',').map(move |word| word.get(..room).unwrap_or(word))
}

fn monthdays(text: &str) -> Result<u32, Problem> {
    let mut days = 0;
    for word in words(text, 2) {
        let day = number(word).filter(|day| *day <= 31);
        days |= 1 << day.ok_or_else(|| Problem::new(format!("{word} is not a valid day for --monthdays")))?;
    }
    Ok(days)
}

fn weekdays(text: &str) -> Result<u8, Problem> {
    let mut days = 0;
    for word in words(text, 3) {
        if let Some(day) = number(word) {
            if day == 0 {
                return Err(Problem::new("No, the week does NOT begin with Sunday."));
            }
            days |= u32::try_from(day).ok().and_then(|day| 1u8.checked_shl(day)).unwrap_or(0);
            continue;
        }
        let begins = |name: &&str| word.len() > 1 && word.get(..2) == name.get(..2);
        let at = WEEKDAYS.iter().position(begins);
        days |= 2 << at.ok_or_else(|| Problem::new(format!("{word} is not a valid day specifier")))?;
    }
    Ok(days)
}
