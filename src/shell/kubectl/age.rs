//! Lengths of time as Kubernetes shows them (`HumanDuration` of apimachinery): cut off, never rounded.

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
}
