//! Quantities of resources (`k8s.io/apimachinery` `resource.Quantity`): `500m`, `2`, `1Gi`.

/// Suffixes with what they stand for, in thousandths.
const SUFFIXES: [(&str, i128); 16] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("m", 0),
    ("u", -1),
    ("n", -2),
    ("", 1),
];

/// The quantity in thousandths, rounded up as the API server does; `None` for what is none.
pub fn thousandths(text: &str) -> Option<i128> {
    let text = text.trim();
    let end = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (_, factor) = SUFFIXES.iter().find(|(known, _)| *known == suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let negative = whole.starts_with('-');
    let digits: i128 = format!("{}{fraction}", whole.trim_start_matches(['-', '+'])).parse().ok()?;
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    // Digits are the value times `scale`; the factor of `m`, `u` and `n` divides.
    let (times, by) = match factor {
        0 => (1, 1),
        -1 => (1, 1_000),
        -2 => (1, 1_000_000),
        factor => (factor * 1_000, 1),
    };
    let value = digits.checked_mul(times)?;
    let divisor = scale * by;
    let rounded = value.div_euclid(divisor) + i128::from(value.rem_euclid(divisor) > 0);
    Some(if negative { -rounded } else { rounded })
}

/// A quantity as JSON has it: text, or a bare number.
pub fn of_json(value: &serde_json::Value) -> Option<i128> {
    match value {
        serde_json::Value::String(text) => thousandths(text),
        serde_json::Value::Number(number) => thousandths(&number.to_string()),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    }
}

/// An amount in thousandths as the API writes it with decimal suffixes: `100m`, `1500`, `2k`.
pub fn decimal(thousandths: i128) -> String {
    suffixed(thousandths, 1_000, &["k", "M", "G", "T", "P", "E"])
}

/// An amount in thousandths as the API writes it with binary suffixes: `1536Mi`, `1Gi`.
pub fn binary(thousandths: i128) -> String {
    suffixed(thousandths, 1_024, &["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
}

/// An amount in thousandths with the largest suffix that leaves it whole; each stands for `step` of the one before.
fn suffixed(thousandths: i128, step: i128, suffixes: &[&str]) -> String {
    if thousandths % 1_000 != 0 {
        return format!("{thousandths}m");
    }
    let mut whole = thousandths / 1_000;
    let mut suffix = "";
    for larger in suffixes {
        if whole == 0 || whole % step != 0 {
            break;
        }
        (whole, suffix) = (whole / step, larger);
    }
    format!("{whole}{suffix}")
}

/// An amount of a resource as it is usually written, where it is not known how its parts were: bytes in powers of two if
/// they are whole ones.
pub fn usual(resource: &str, thousandths: i128) -> String {
    let is_bytes = ["memory", "storage", "hugepages-"].iter().any(|word| resource.contains(word));
    if is_bytes && thousandths % 1_024_000 == 0 { binary(thousandths) } else { decimal(thousandths) }
}

/// A quantity as the API writes it back (`Quantity.String`): in the largest suffix of the written kind in which it is whole.
pub fn canonical(value: &serde_json::Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match of_json(value) {
        Some(amount) if text.ends_with('i') => binary(amount),
        Some(amount) => decimal(amount),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical, thousandths};

    #[test]
    fn quantities_are_written_back_in_their_largest_suffix() {
        for (text, wanted) in [
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1000m", "1"),
            ("0.1", "100m"),
            ("1500", "1500"),
            ("2000", "2k"),
        ] {
            assert_eq!(canonical(&serde_json::json!(text)), wanted);
        }
    }

    #[test]
    fn quantities_are_read_as_the_api_writes_them() {
        for (text, wanted) in [
            ("1", Some(1_000)),
            ("500m", Some(500)),
            ("0.1", Some(100)),
            ("1.5Gi", Some(1_610_612_736_000)),
            ("1k", Some(1_000_000)),
            ("1u", Some(1)),
            ("0", Some(0)),
            ("x", None),
            ("1Q", None),
        ] {
            assert_eq!(thousandths(text), wanted, "{text}");
        }
    }
}
