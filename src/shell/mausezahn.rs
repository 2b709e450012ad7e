//! The command line of `mausezahn` of netsniff-ng 0.6.8, for frames written in hexadecimal.

use super::getopt::getopt;
use super::out::refuse;
use super::{Command, Context};
use crate::app::mausezahn::Mausezahn;
use crate::base::Duration;
use crate::wire::Frame;

/// Runs `mausezahn`.
pub(super) fn mausezahn(context: &Context<'_>, words: &[String]) -> Command {
    run(context, words).unwrap_or_else(|text| refuse(text, 1))
}

fn error(text: &str) -> String {
    format!("mausezahn: {text}\n")
}

/// What the program says of a device that is not there; its usage, which follows, is left out.
const NO_DEVICE: &str = " mz/getopts: libnet_init() failed (libnet_check_iface() ioctl: No such device\n) Invalid \
                         command line parameters!\n";

fn run(context: &Context<'_>, words: &[String]) -> Result<Command, String> {
    let parsed = getopt("c:d:q", words).map_err(|text| error(&format!("not simulated: {text}")))?;
    let (mut count, mut delay, mut quiet) = (1, Duration::ZERO, false);
    for (letter, value) in &parsed.options {
        let wrong = || error(&format!("-{letter}: not simulated: {value}"));
        match letter {
            'c' => count = value.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?,
            'd' => delay = duration(value).ok_or_else(wrong)?,
            _ => quiet = true,
        }
    }
    let [device, hex] = parsed.operands.as_slice() else {
        return Err(error("not simulated without a device and a frame in hexadecimal"));
    };
    let link = context.inventory.netns.get(&context.netns).and_then(|state| state.link_named(device));
    let link = link.ok_or(NO_DEVICE)?;
    let bytes = bytes(hex).ok_or_else(|| error(&format!("not a frame in hexadecimal: {hex}")))?;
    let frame =
        Frame::parse(&bytes).map_err(|why| error(&format!("not simulated: a frame like this: {why}")))?;
    let process = Mausezahn::new((link.ifindex, frame), count, delay, quiet);
    Ok(Command::Process { output: Vec::new(), process: Box::new(process) })
}

/// Pairs of digits, with colons, dashes, dots or spaces between them or nothing.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|char| !":-. ".contains(*char))
        .map(|char| char.to_digit(16))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| (high << 4 | low) as u8).collect())
}

/// Microseconds, or with `m` or `s` behind it milliseconds or seconds.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let us = match &text[end..] {
        "" | "usec" => number,
        "m" | "msec" => number.checked_mul(1_000)?,
        "s" | "sec" => number.checked_mul(1_000_000)?,
        _ => return None,
    };
    (us < 1 << 40).then(|| Duration::from_us(us))
}

#[cfg(test)]
mod tests {
    use super::{Duration, bytes, duration};

    #[test]
    fn frames_and_delays_are_read_in_all_their_forms() {
        for text in ["0aff10", "0a:ff:10", "0a-ff-10", "0a ff 10", "0A.fF.1 0"] {
            assert_eq!(bytes(text), Some(vec![0x0a, 0xff, 0x10]), "{text}");
        }
        assert_eq!((bytes("0af"), bytes("0g"), bytes("")), (None, None, Some(Vec::new())));
        for (text, us) in [("7", 7), ("7usec", 7), ("7m", 7_000), ("7msec", 7_000), ("7s", 7_000_000)] {
            assert_eq!(duration(text), Some(Duration::from_us(us)), "{text}");
        }
        assert_eq!(["", "m", "7h", "-7", "99999999999999999999"].map(duration), [None; 5]);
    }
}
