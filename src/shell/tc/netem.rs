//! The words of `tc qdisc … netem` (`q_netem.c`), read without floating point.

use super::{Stop, not_simulated, usage};
use crate::trace::Netem;

/// Reads the settings.
pub(super) fn read(words: &[String]) -> Result<Netem, Stop> {
    let mut netem = Netem::default();
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        match word {
            "limit" => netem.limit = value(&mut words, "limit", |text| text.parse().ok())?,
            "delay" | "latency" => {
                netem.delay = value(&mut words, "latency", time)?;
                if let Some(jitter) = words.peek().and_then(|text| time(text)) {
                    words.next();
                    netem.jitter = jitter;
                    netem.delay_correlation = optional(&mut words);
                }
            }
            "loss" | "drop" => {
                if matches!(words.peek(), Some(&("state" | "gemodel"))) {
                    return Err(not_simulated("tc qdisc netem loss", words.peek().unwrap_or(&"")));
                }
                if words.peek() == Some(&"random") {
                    words.next();
                }
                netem.loss = value(&mut words, "loss percent", percent)?;
                netem.loss_correlation = optional(&mut words);
            }
            "duplicate" => {
                netem.duplicate = value(&mut words, "duplicate", percent)?;
                netem.duplicate_correlation = optional(&mut words);
            }
            "reorder" => {
                netem.reorder = value(&mut words, "reorder", percent)?;
                netem.reorder_correlation = optional(&mut words);
            }
            "gap" => netem.gap = value(&mut words, "gap", |text| text.parse().ok())?,
            "rate" => netem.rate = value(&mut words, "rate", rate)?,
            "corrupt" | "distribution" | "slot" | "ecn" | "seed" => {
                return Err(not_simulated("tc qdisc netem", word));
            }
            "help" => return Err(usage(HELP)),
            word => return Err(usage(format!("What is \"{word}\"?\n{HELP}"))),
        }
    }
    if netem.reorder > 0 {
        if netem.delay == 0 {
            return Err(usage("reordering not possible without specifying some delay\n"));
        }
        netem.gap = netem.gap.max(1);
    } else if netem.gap > 0 {
        return Err(usage("gap specified without reorder probability\n"));
    }
    Ok(netem)
}

const HELP: &str = "Usage: ... netem [ limit PACKETS ]\n                 [ delay TIME [ JITTER [CORRELATION]]]\n                 \
                    [ loss [ random ] PERCENT [CORRELATION]]\n                 [ duplicate PERCENT [CORRELATION]]\n                 \
                    [ reorder PERCENT [CORRELATION] [ gap DISTANCE ]]\n                 [ rate RATE ]\n";

fn value<'w, T>(
    words: &mut impl Iterator<Item = &'w str>,
    what: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, Stop> {
    let Some(word) = words.next() else {
        return Err(usage("Command line is not complete. Try option \"help\"\n"));
    };
    read(word).ok_or_else(|| usage(format!("Illegal \"{what}\"\n{HELP}")))
}

/// A correlation, if the next word is one.
fn optional<'w>(words: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>) -> u32 {
    let found = words.peek().and_then(|text| percent(text)).unwrap_or(0);
    if found > 0 || words.peek().is_some_and(|text| percent(text).is_some()) {
        words.next();
    }
    found
}

/// Digits with a fraction, as a whole number of `1 / 10^digits`.
fn fixed(text: &str, digits: usize) -> Option<u64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all(whole) || !all(rest) {
        return None;
    }
    let rest: String = rest.chars().chain(std::iter::repeat('0')).take(digits).collect();
    format!("{whole}{rest}").parse().ok()
}

/// `10%` or `0.1%` in millionths; without a sign the number is a percentage too, as the program has it.
fn percent(text: &str) -> Option<u32> {
    let ppm = fixed(text.strip_suffix('%').unwrap_or(text), 4)?;
    u32::try_from(ppm).ok().filter(|ppm| *ppm <= 1_000_000)
}

/// A time in nanoseconds: microseconds where no unit is named.
fn time(text: &str) -> Option<u64> {
    let at = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let digits = match &text[at..] {
        "s" | "sec" | "secs" => 9,
        "ms" | "msec" | "msecs" => 6,
        "us" | "usec" | "usecs" | "" => 3,
        "ns" | "nsec" | "nsecs" => 0,
        _ => return None,
    };
    fixed(&text[..at], digits)
}

/// A rate in bits a second.
fn rate(text: &str) -> Option<u64> {
    let at = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = text[at..].to_ascii_lowercase();
    let (scale, bits) = match unit.as_str() {
        "" | "bit" => (1, 1),
        "kbit" => (1_000, 1),
        "mbit" => (1_000_000, 1),
        "gbit" => (1_000_000_000, 1),
        "bps" => (1, 8),
        "kbps" => (1_000, 8),
        "mbps" => (1_000_000, 8),
        "gbps" => (1_000_000_000, 8),
        _ => return None,
    };
    let thousandths = fixed(&text[..at], 3)?;
    Some(thousandths.checked_mul(scale)? / 1000 * bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn netem(line: &str) -> Result<Netem, Stop> {
        read(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_read_is_what_is_printed() {
        for line in [
            "delay 100ms loss 10%",
            "limit 5 rate 1mbit",
            "delay 10ms 2ms 25% reorder 25% 50% gap 5",
            "duplicate 0.5% 3%",
            "loss random 100%",
        ] {
            let printed = netem(line).expect("it is right").to_string();
            assert_eq!(netem(&printed.replace("  ", " ")), netem(line), "{line}: {printed}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(netem("reorder 5%").unwrap_err().0.starts_with("reordering not possible"));
        assert!(netem("delay soon").unwrap_err().0.starts_with("Illegal \"latency\""));
        assert!(netem("corrupt 1%").unwrap_err().0.contains("not simulated"));
        assert!(netem("loss 101%").unwrap_err().0.starts_with("Illegal \"loss percent\""));
        assert!(netem("wobble").unwrap_err().0.starts_with("What is \"wobble\"?"));
    }
}
