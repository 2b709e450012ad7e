//! Kernel timers go off late: the timer wheel keeps far deadlines in coarse buckets (`kernel/time/timer.c`, "timer
//! wheel"). With the tick of 250 Hz that distributions build, one second becomes 1.004 to 1.032 s, which is why three
//! ARP requests take 3.05 s and not 3. Buckets are modelled up to level 3 (4 minutes); beyond that the error does not
//! matter to anybody.

use crate::base::{Duration, SimTime};

/// Length of a jiffy in nanoseconds (`CONFIG_HZ=250`).
const JIFFY_NS: u64 = 4_000_000;

/// When a timer set at `now` to go off after `after` really goes off.
pub(super) fn expiry(now: SimTime, after: Duration) -> SimTime {
    let now_jiffies = now.0 / JIFFY_NS;
    let delta = after.0.div_ceil(JIFFY_NS);
    let shift = match delta {
        0..63 => 0,
        63..504 => 3,
        504..4_032 => 6,
        _ => 9,
    };
    let bucket = (((now_jiffies + delta) >> shift) + 1) << shift;
    SimTime(bucket * JIFFY_NS)
}

/// Hundredths of a second, in which some settings are counted (`USER_HZ`), in jiffies.
pub(super) fn jiffies_of_hundredths(hundredths: u32) -> u32 {
    (u64::from(hundredths) * 10_000_000 / JIFFY_NS).min(u64::from(u32::MAX)) as u32
}

/// The length of some jiffies.
pub(super) fn of_jiffies(jiffies: u32) -> Duration {
    Duration(u64::from(jiffies) * JIFFY_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_rounded_up_to_the_next_bucket_of_eight_jiffies() {
        assert_eq!(expiry(SimTime::ZERO, Duration::from_secs(1)), SimTime(1_024_000_000));
        assert_eq!(expiry(SimTime(1_024_000_000), Duration::from_secs(1)), SimTime(2_048_000_000));
    }

    #[test]
    fn five_seconds_are_rounded_up_to_the_next_bucket_of_sixty_four_jiffies() {
        assert_eq!(expiry(SimTime(100_000_000), Duration::from_secs(5)), SimTime(5_120_000_000));
    }
}
