//! Lengths of time as Kubernetes shows them (`HumanDuration` of apimachinery): cut off, never rounded.

use crate::base::SimTime;

/// A length in seconds, in at most two units.
pub(super) fn human_duration(secs: i64) -> String {
    let (minutes, hours) = (secs / 60, secs / 3600);
    let two = |large: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{small_unit}"),
    };
    match secs {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{secs}s"),
        120..600 => two(minutes, 'm', secs % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(hours / 24, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{}d", hours / 24),
        63_072_000..252_288_000 => two(hours / 24 / 365, 'y', hours / 24 % 365, 'd'),
        _ => format!("{}y", hours / 24 / 365),
    }
}

/// Seconds since 1970 of a moment as the API writes it (RFC 3339, in UTC or with an offset).
pub(super) fn unix_secs(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let rest = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match rest.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), ..] if rest.len() == 6 => {
            let size = rest[1..3].parse::<i64>().ok()? * 3600 + rest[4..6].parse::<i64>().ok()? * 60;
            if *sign == b'+' { size } else { -size }
        }
        _ => return None,
    };
    // Years begin in March, so that a leap day ends one; an era is 400 years.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// How long ago a moment was, or `<unknown>` where there is none (`translateTimestampSince`).
pub(super) fn since(now: SimTime, moment: &str) -> String {
    unix_secs(moment)
        .map_or_else(|| "<unknown>".to_owned(), |then| human_duration(now.unix_secs().cast_signed() - then))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_cut_off_at_two_units() {
        for line in
            include_str!("../../../tests/kubectl/ages.txt").lines().filter(|line| !line.starts_with('#'))
        {
            let (secs, text) = line.split_once(' ').unwrap();
            assert_eq!(human_duration(secs.parse().unwrap()), text, "{secs} s");
        }
    }

    #[test]
    fn moments_are_read_back() {
        for secs in [0, 59, 86_400 * 59, 86_400 * 365, 86_400 * 1_000 + 3_661] {
            let moment = SimTime(secs * 1_000_000_000);
            assert_eq!(unix_secs(&moment.rfc3339()), Some(moment.unix_secs().cast_signed()));
        }
        assert_eq!(unix_secs("2026-01-01T02:00:00+02:00"), unix_secs("2026-01-01T00:00:00Z"));
        assert_eq!(unix_secs("2026-01-01T00:00:00.123456Z"), unix_secs("2026-01-01T00:00:00Z"));
        assert_eq!(unix_secs("yesterday"), None);
    }
}
