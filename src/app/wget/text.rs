//! What GNU `wget` prints of figures: dates, lengths, the progress bar for a terminal of 120 columns, dots for a pipe.

#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use crate::base::{Duration, SimTime};

/// Width of a terminal.
const COLUMNS: usize = 120;
/// Width of the name before the bar: a quarter of what is left (`MAX_FILENAME_COLS`).
const NAME_COLUMNS: usize = COLUMNS / 4;

/// A moment as the log has it.
pub(super) fn date(at: SimTime) -> String {
    let c = at.calendar();
    format!("{}-{:02}-{:02} {:02}:{:02}:{:02}", c.year, c.month, c.day, c.hour, c.minute, c.second)
}

/// A length, and in round figures where it is long (`human_readable`).
pub(super) fn length(bytes: u64) -> String {
    match round(bytes) {
        Some(short) => format!("{bytes} ({short})"),
        None => bytes.to_string(),
    }
}

fn round(bytes: u64) -> Option<String> {
    let (unit, name) = match bytes {
        0..1024 => return None,
        1024..1_048_576 => (1024, "K"),
        1_048_576..1_073_741_824 => (1_048_576, "M"),
        _ => (1_073_741_824, "G"),
    };
    let tenths = bytes * 10 / unit;
    Some(if tenths < 100 {
        format!("{}.{}{name}", tenths / 10, tenths % 10)
    } else {
        format!("{}{name}", tenths / 10)
    })
}

/// Bytes a second (`retr_rate`): three figures.
pub(super) fn rate(bytes: u64, took: Duration) -> String {
    let (hundredths, unit) = scaled(bytes, took);
    let unit = ["B/s", "KB/s", "MB/s", "GB/s"][unit];
    format!("{} {unit}", three_figures(hundredths))
}

/// The rate in hundredths of its unit, and which unit it is.
fn scaled(bytes: u64, took: Duration) -> (u64, usize) {
    let per_sec = u128::from(bytes) * 1_000_000_000 / u128::from(took.0.max(1));
    let mut hundredths = u64::try_from(per_sec).unwrap_or(u64::MAX / 100).saturating_mul(100);
    let mut unit = 0;
    while hundredths >= 102_400 && unit < 3 {
        hundredths /= 1024;
        unit += 1;
    }
    (hundredths, unit)
}

fn three_figures(hundredths: u64) -> String {
    match hundredths {
        0..1_000 => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        1_000..10_000 => format!("{}.{}", hundredths / 100, hundredths % 100 / 10),
        _ => format!("{}", hundredths / 100),
    }
}

/// The bar (`create_image`); `took` at the end.
pub(super) fn bar(name: &str, received: u64, expected: Option<u64>, took: Option<Duration>) -> String {
    let shown: String = name.chars().take(NAME_COLUMNS).collect();
    let percent = expected.filter(|all| *all > 0).map(|all| received * 100 / all);
    let percent = percent.map_or("    ".to_owned(), |percent| format!("{percent:3}%"));
    // The bar takes what is left beside name, percentage, figures and time.
    let width = COLUMNS - NAME_COLUMNS - 40;
    let filled = expected.filter(|all| *all > 0).map_or(0, |all| (received as usize * width) / all as usize);
    let bar = match filled {
        0 => " ".repeat(width),
        n => format!("{}>{}", "=".repeat(n - 1), " ".repeat(width - n)),
    };
    let time = match took {
        None => " ".repeat(15),
        Some(took) if took.as_ms() < 50 => "    in 0s      ".to_owned(),
        Some(took) => format!("{:<15}", format!("    in {}.{}s", took.as_secs(), took.as_ms() % 1000 / 100)),
    };
    format!("\r{shown:<NAME_COLUMNS$}{percent}[{bar}] {received:7}  --.-KB/s{time}")
}

/// The dots (`dot_finish`).
pub(super) fn dots(received: u64, expected: Option<u64>, took: Duration) -> String {
    const DOT: u64 = 1024;
    const DOTS_A_LINE: u64 = 50;
    let mut out = String::new();
    let n_dots = received / DOT;
    for line in 0..=n_dots / DOTS_A_LINE {
        let in_line = (n_dots - line * DOTS_A_LINE).min(DOTS_A_LINE);
        let dots: String = (0..DOTS_A_LINE)
            .map(|at| {
                format!("{}{}", if at % 10 == 0 { " " } else { "" }, if at < in_line { "." } else { " " })
            })
            .collect::<Vec<_>>()
            .concat();
        let until = ((line + 1) * DOTS_A_LINE * DOT).min(received);
        let percent = expected
            .filter(|all| *all > 0)
            .map_or("    ".to_owned(), |all| format!("{:3}%", until * 100 / all));
        out.push_str(&format!(
            "{}{:6}K{dots}{percent}",
            if line > 0 { "\n" } else { "" },
            line * DOTS_A_LINE
        ));
    }
    let (hundredths, unit) = scaled(received, took);
    let rate = format!("{:>4}{}", three_figures(hundredths), ["B", "K", "M", "G"][unit]);
    let time = if took.as_ms() < 50 {
        "0s".to_owned()
    } else {
        format!("{}.{}s", took.as_secs(), took.as_ms() % 1000 / 100)
    };
    out + &format!(" {rate}={time}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_that_of_a_terminal() {
        assert_eq!(
            bar("-", 0, Some(16), None),
            "\r-                               0%[                                                  ]       0  --.-KB/s               "
        );
        assert_eq!(
            bar("/dev/null", 16, Some(16), Some(Duration::from_us(9))),
            "\r/dev/null                     100%[=================================================>]      16  --.-KB/s    in 0s      "
        );
    }

    #[test]
    fn figures_are_rounded() {
        assert_eq!(length(16), "16");
        assert_eq!(length(1536), "1536 (1.5K)");
        assert_eq!(rate(16, Duration::from_ns(4733)), "3.22 MB/s");
        assert_eq!(
            dots(16, Some(16), Duration::from_ns(5317)),
            "     0K                                                       100% 2.86M=0s"
        );
    }
}
