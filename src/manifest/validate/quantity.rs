//! Quantities of resources: `500m`, `64Mi`, `1e3` (k8s.io/apimachinery `resource.Quantity`).

/// Parts into which one is divided, so that every quantity is a whole number of them.
const NANO: i128 = 1_000_000_000;

/// A quantity in billionths; `None` for what is none or too large.
pub(super) fn nanos(text: &str) -> Option<i128> {
    let (sign, body) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let end = body.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(body.len());
    let (number, suffix) = body.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') || whole.len() > 19 {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(9)];
    let digits = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<i128>().ok() };
    let scale = 10i128.pow(9 - u32::try_from(fraction.len()).ok()?);
    let value = digits(whole)?.checked_mul(NANO)?.checked_add(digits(fraction)?.checked_mul(scale)?)?;
    let (times, over) = unit(suffix)?;
    // A part of a billionth is rounded up, away from zero.
    let value = value.checked_mul(times)?;
    Some(sign * (value + over - 1).div_euclid(over))
}

/// What the suffix multiplies by and divides by.
fn unit(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (NANO, 1),
        "T" => (1_000 * NANO, 1),
        "P" => (1_000_000 * NANO, 1),
        "E" => (NANO * NANO, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let size = 10i128.checked_pow(power.unsigned_abs()).filter(|_| power.abs() <= 18)?;
            if power < 0 { (1, size) } else { (size, 1) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn quantities_compare_by_their_value() {
        let same = [
            ("1", "1000m"),
            ("1Gi", "1024Mi"),
            ("0.5", "500m"),
            ("1e3", "1k"),
            ("-1", "-1000m"),
            ("1.5Gi", "1536Mi"),
        ];
        for (one, other) in same {
            assert!(nanos(one).is_some());
            assert_eq!(nanos(one), nanos(other), "{one} {other}");
        }
        assert!(nanos("100m") < nanos("1"));
        assert!(nanos("512Mi") < nanos("1G"));
        for wrong in ["", "m", ".", "1.2.3", "1 Gi", "1gi", "1e", "99999999999999999999"] {
            assert_eq!(nanos(wrong), None, "{wrong}");
        }
    }
}
