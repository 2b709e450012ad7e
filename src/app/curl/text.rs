//! What `curl` prints of figures: the progress meter and `--write-out`.

use crate::base::Duration;

/// Two lines above the meter.
pub(super) const METER_HEAD: &str =
    "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current
                                 Dload  Upload   Total   Spent    Left  Speed
";

/// Figures of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) expected: Option<u64>,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) spent: Duration,
}

/// A size in five columns (`max5data`).
fn five(bytes: u64) -> String {
    const K: u64 = 1024;
    match bytes {
        0..100_000 => format!("{bytes:5}"),
        100_000..10_240_000 => format!("{:4}k", bytes / K),
        10_240_000..104_857_600 => format!("{:2}.{}M", bytes / (K * K), bytes % (K * K) / (K * K / 10)),
        _ => format!("{:4}M", bytes / (K * K)),
    }
}

/// A time in eight columns (`time2str`).
fn eight(secs: u64) -> String {
    if secs == 0 {
        "--:--:--".to_owned()
    } else {
        format!("{:2}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
    }
}

/// One drawing of the meter (`progress_meter`).
pub(super) fn meter(figures: &Figures) -> String {
    let us = figures.spent.as_us().max(1);
    let ms = figures.spent.as_ms().max(1);
    let total = figures.expected.unwrap_or(0) + figures.sent;
    let percent = |part: u64, whole: u64| (part * 100).checked_div(whole).unwrap_or(0);
    let moved = figures.received + figures.sent;
    let (down, up) = (figures.received * 1_000_000 / us, figures.sent * 1_000_000 / us);
    let left =
        figures.expected.filter(|_| down > 0).map_or(0, |expected| (expected - figures.received) / down);
    let whole = figures.expected.filter(|_| down > 0).map_or(0, |expected| expected / down);
    let current = moved * 1_000 / ms;
    format!(
        "\r{:3} {}  {:3} {}  {:3} {}  {}  {} {} {} {} {}",
        percent(moved, total),
        five(total),
        percent(figures.received, figures.expected.unwrap_or(0)),
        five(figures.received),
        if figures.sent > 0 { 100 } else { 0 },
        five(figures.sent),
        five(down),
        five(up),
        eight(whole),
        eight((ms - 1) / 1000),
        eight(left),
        five(current),
    )
}

/// Seconds with six decimals.
pub(super) fn seconds(span: Duration) -> String {
    format!("{}.{:06}", span.as_secs(), span.as_us() % 1_000_000)
}

/// Fills in the variables and escapes of `-w`. What is unknown goes to the second text, an error message.
pub(super) fn write_out(format: &str, value: impl Fn(&str) -> Option<String>) -> (String, String) {
    let (mut out, mut errors) = (String::new(), String::new());
    let mut rest = format;
    while let Some(letter) = rest.chars().next() {
        if let Some((name, after)) = rest.strip_prefix("%{").and_then(|inner| inner.split_once('}')) {
            if let Some(text) = value(name) {
                out.push_str(&text);
            } else {
                errors.push_str("curl: unknown --write-out variable: '");
                errors.push_str(name);
                errors.push_str("'\n");
            }
            rest = after;
            continue;
        }
        let escaped = match rest.get(..2) {
            Some("%%") => Some('%'),
            Some("\\n") => Some('\n'),
            Some("\\r") => Some('\r'),
            Some("\\t") => Some('\t'),
            _ => None,
        };
        out.push(escaped.unwrap_or(letter));
        rest = &rest[if escaped.is_some() { 2 } else { letter.len_utf8() }..];
    }
    (out, errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_has_its_columns() {
        let at = |received, spent| Figures {
            expected: Some(16),
            received,
            sent: 0,
            spent: Duration::from_us(spent),
        };
        let nothing = Figures::default();
        assert_eq!(
            meter(&nothing),
            "\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0"
        );
        assert_eq!(
            meter(&at(16, 897)),
            "\r100    16  100    16    0     0  17837      0 --:--:-- --:--:-- --:--:-- 16000"
        );
    }

    #[test]
    fn variables_are_filled_in() {
        let value = |name: &str| (name == "a").then(|| "1".to_owned());
        assert_eq!(write_out(r"%{a}\n%%%{b}%{", value).0, "1\n%%{");
        assert_eq!(write_out("%{b}", value).1, "curl: unknown --write-out variable: 'b'\n");
    }
}
