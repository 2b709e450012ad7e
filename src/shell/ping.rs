//! The command lines of `ping`: of iputils 20221126, and of busybox 1.35.

use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, busybox};
use crate::app::PathMtuDiscovery;
use crate::app::busybox_ping::{BusyboxPing, BusyboxPingOptions};
use crate::app::ping::{HeaderOption, Ping, PingOptions};

const USAGE: &str = include_str!("usage/ping.txt");
const BUSYBOX_USAGE: &str = include_str!("usage/busybox-ping.txt");
const VERSION: &str = "ping from iputils 20221126\n\
    libcap: yes, IDN: yes, NLS: no, error.h: yes, getrandom(): yes, __fpending(): yes\n";
/// Options that are simulated; any other letter is refused as an unknown one.
const LETTERS: &str = "h?46aABbc:CdDe:fF:HI:i:Ll:M:m:nN:Op:qQ:rRs:S:t:T:UvVW:w:";
/// Options of the real program that are not simulated.
const OTHERS: &str = "FHNr";

/// `ping` of iputils.
pub(super) fn ping(words: &[String]) -> Command {
    let parsed = match getopt(LETTERS, words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("ping: {text}\n{USAGE}"), 2),
    };
    let mut out = Out::default();
    let mut options = PingOptions::new("");
    for (letter, argument) in &parsed.options {
        match letter {
            'V' => return answer(VERSION),
            'h' | '?' => return refuse(USAGE, 2),
            'T' if !["tsonly", "tsandaddr", "tsprespec"].contains(&argument.as_str()) => {
                return refuse(format!("ping: invalid timestamp type: {argument}\n"), 2);
            }
            'R' | 'T'
                if options
                    .header
                    .is_some_and(|header| (header == HeaderOption::Route) != (*letter == 'R')) =>
            {
                return refuse("ping: only one of -T or -R may be used\n", 2);
            }
            'T' if argument == "tsprespec" => {
                let (text, status) = not_simulated("ping", "-T tsprespec");
                return refuse(text, status);
            }
            letter if OTHERS.contains(*letter) => {
                let (text, status) = not_simulated("ping", &format!("-{letter}"));
                return refuse(text, status);
            }
            _ => {}
        }
        if let Err((text, status)) = set(&mut options, *letter, argument, &mut out) {
            out.err(format!("ping: {text}\n"));
            return out.done(status);
        }
    }
    match parsed.operands.as_slice() {
        [] => refuse("ping: usage error: Destination address required\n", 1),
        [target] if target.parse::<std::net::Ipv6Addr>().is_ok() => {
            let has = |wanted| parsed.options.iter().any(|(letter, _)| *letter == wanted);
            // No interface here has an address of IPv6.
            refuse(
                match (has('4'), target.as_str()) {
                    (true, _) => format!("ping: {target}: Address family for hostname not supported\n"),
                    (false, "::1") => "ping: connect: Cannot assign requested address\n".to_owned(),
                    (false, _) => "ping: connect: Network is unreachable\n".to_owned(),
                },
                2,
            )
        }
        [target] if parsed.options.iter().any(|(letter, _)| *letter == '6') => {
            if crate::app::ping::parse_address(target).is_some() {
                return refuse(format!("ping: {target}: Address family for hostname not supported\n"), 2);
            }
            let (text, status) = not_simulated("ping", "-6");
            refuse(text, status)
        }
        [target] => {
            options.target.clone_from(target);
            Command::process(Ping::new(options), out)
        }
        // More hosts ask for source routing, which the kernel does not permit.
        _ => refuse("ping: record route: Operation not permitted\n", 2),
    }
}

fn set(options: &mut PingOptions, letter: char, argument: &str, out: &mut Out) -> Result<(), (String, u8)> {
    match letter {
        '4' => options.inet = true,
        'a' => options.audible = true,
        'A' => options.adaptive = true,
        'B' => options.strict_source = true,
        'b' => options.broadcast = true,
        'L' => options.unheard = true,
        'c' => options.count = Some(number(argument, 1, i64::MAX)?.unsigned_abs()),
        'D' => options.timestamps = true,
        'f' => options.flood = true,
        'i' => options.interval_ms = Some(seconds(argument, "bad timing interval", 0, out)?),
        'I' => match argument.parse() {
            Ok(address) => options.source = Some(address),
            Err(_) => options.device = Some(argument.to_owned()),
        },
        'l' => options.preload = number(argument, 1, 0x10000)?.unsigned_abs() as u32,
        'M' => {
            options.discovery = Some(match argument {
                "do" => PathMtuDiscovery::Do,
                "dont" => PathMtuDiscovery::Dont,
                "want" => PathMtuDiscovery::Want,
                _ => return Err((format!("invalid -M argument: {argument}"), 2)),
            });
        }
        'n' => options.numeric = true,
        'O' => options.outstanding = true,
        'p' => {
            let pattern = pattern(argument)?;
            let hex = pattern.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            out.out(format!("PATTERN: 0x{hex}\n"));
            options.pattern = Some(pattern);
        }
        'q' => options.quiet = true,
        'R' => options.header = Some(HeaderOption::Route),
        'T' if argument == "tsonly" => options.header = Some(HeaderOption::Times),
        'T' => options.header = Some(HeaderOption::TimesAndAddresses),
        'Q' => options.tos = type_of_service(argument)?,
        's' => options.size = number(argument, 0, i64::from(i32::MAX))?.unsigned_abs() as usize,
        't' => options.ttl = Some(number(argument, 0, 255)?.unsigned_abs() as u8),
        'v' => options.verbose = true,
        'W' => options.linger_ms = seconds(argument, "bad linger time", 0, out)?,
        'w' => options.deadline_secs = number(argument, 0, i64::from(i32::MAX))?.unsigned_abs() as u32,
        // The others change nothing here: IPv4 is all there is, and the source sticks anyway.
        _ => {}
    }
    Ok(())
}

/// `strtol_or_err`.
fn number(text: &str, min: i64, max: i64) -> Result<i64, (String, u8)> {
    let value: i128 = text.trim_start().parse().map_err(|_| (format!("invalid argument: '{text}'"), 1))?;
    let value = i64::try_from(value)
        .map_err(|_| (format!("invalid argument: '{text}': Numerical result out of range"), 1))?;
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err((format!("invalid argument: '{text}': out of range: {min} <= value <= {max}"), 1))
}

/// `ping_strtod`: seconds with decimals, as milliseconds, of at least `min_ms`. What follows the number is only
/// complained about.
fn seconds(text: &str, what: &str, min_ms: u32, out: &mut Out) -> Result<u32, (String, u8)> {
    if text.is_empty() {
        return Err((format!("{what}: {text}: Invalid argument"), 2));
    }
    let (ms, rest) = decimal(text).unwrap_or((0, text));
    if !rest.is_empty() {
        out.err(format!("ping: option argument contains garbage: {rest}\n"));
        out.err("ping: this will become fatal error in the future\n");
    }
    u32::try_from(ms)
        .ok()
        .filter(|ms| (min_ms..=i32::MAX.unsigned_abs()).contains(ms))
        .ok_or_else(|| (format!("{what}: {text}"), 2))
}

/// `strtod`, in thousandths: sign, digits with a point, an exponent; then what follows. A negative number of any size
/// is at most -1.
fn decimal(text: &str) -> Option<(i128, &str)> {
    let digits_end = |text: &str| text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, mut rest) = unsigned.split_at(digits_end(unsigned));
    let mut decimals = "";
    if let Some(after) = rest.strip_prefix('.').filter(|after| digits_end(after) + whole.len() > 0) {
        (decimals, rest) = after.split_at(digits_end(after));
    }
    let mut digits = format!("{whole}{decimals}");
    if digits.is_empty() {
        return None;
    }
    let mut exponent = 0;
    if let Some(after) = rest.strip_prefix(['e', 'E']) {
        let sign = usize::from(after.starts_with(['-', '+']));
        let end = sign + digits_end(&after[sign..]);
        if end > sign {
            exponent = after[..end].parse::<i16>().unwrap_or(i16::MAX);
            rest = &after[end..];
        }
    }
    if text.starts_with('-') && digits.contains(|digit| digit != '0') {
        return Some((-1, rest));
    }
    let point = whole.len() as i64 + 3 + i64::from(exponent);
    let point = usize::try_from(point).unwrap_or(0);
    digits.extend(std::iter::repeat_n('0', point.saturating_sub(digits.len())));
    digits.truncate(point);
    let thousandths = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(i128::MAX) };
    Some((thousandths, rest))
}

fn pattern(text: &str) -> Result<Vec<u8>, (String, u8)> {
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err((format!("patterns must be specified as hex digits: {text}"), 2));
    }
    let digits: Vec<u8> = text.bytes().map(|byte| (byte as char).to_digit(16).unwrap_or(0) as u8).collect();
    Ok(digits.chunks(2).take(16).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

fn type_of_service(text: &str) -> Result<u8, (String, u8)> {
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let value = value.map_err(|_| (format!("bad TOS value: {text}"), 2))?;
    u8::try_from(value)
        .map_err(|_| (format!("the decimal value of TOS bits must be in range 0-255: {value}"), 2))
}

/// `ping` of busybox.
pub(super) fn busybox_ping(words: &[String]) -> Command {
    let usage = |text: &str| refuse(format!("{text}{}{BUSYBOX_USAGE}", busybox::BANNER), 1);
    let parsed = match getopt("4c:s:t:I:i:W:w:qp:", words) {
        Ok(parsed) => parsed,
        Err(text) => return usage(&format!("ping: {text}\n")),
    };
    let [target] = parsed.operands.as_slice() else { return usage("") };
    let mut options = BusyboxPingOptions::new(target);
    for (letter, argument) in &parsed.options {
        let value = argument.parse::<u32>();
        let invalid = || refuse(format!("ping: invalid number '{argument}'\n"), 1);
        match (letter, value) {
            ('q', _) => options.quiet = true,
            ('4', _) => {}
            ('I', _) => match argument.parse() {
                Ok(address) => options.source = Some(address),
                Err(_) => options.device = Some(argument.clone()),
            },
            ('i', _) => match seconds(argument, "", 0, &mut Out::default()) {
                Ok(ms) => options.interval_ms = ms,
                Err(_) => return invalid(),
            },
            ('p', _) => match u8::from_str_radix(argument, 16) {
                Ok(byte) => options.pattern = byte,
                Err(_) => return invalid(),
            },
            // What the kernel would refuse leaves the default in place.
            ('t', Ok(ttl)) => options.ttl = u8::try_from(ttl).ok(),
            ('c', Ok(count)) => options.count = count,
            ('s', Ok(size)) => options.size = size as usize,
            ('W', Ok(secs)) => options.linger_secs = secs,
            ('w', Ok(secs)) => options.deadline_secs = secs,
            (_, _) => return invalid(),
        }
    }
    Command::process(BusyboxPing::new(options), Out::default())
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn numbers_are_read_as_strtod_reads_them() {
        for (text, wanted) in [
            ("1", Some((1000, ""))),
            ("0.2", Some((200, ""))),
            (".5x", Some((500, "x"))),
            ("1.", Some((1000, ""))),
            ("0.0009", Some((0, ""))),
            ("2e-1", Some((200, ""))),
            ("1e3s", Some((1_000_000, "s"))),
            ("1ex", Some((1000, "ex"))),
            ("+3", Some((3000, ""))),
            ("-0", Some((0, ""))),
            ("-0.0001", Some((-1, ""))),
            ("abc", None),
            (".", None),
        ] {
            assert_eq!(decimal(text), wanted, "{text}");
        }
    }
}
