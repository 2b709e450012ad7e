//! A scan of UDP ports by OpenBSD's `nc`.

use super::{Nc, Phase, TIMER_PROBE};
use crate::app::{Errno, Os};
use crate::base::Duration;

/// Seconds for which a scan waits for an error about a UDP port, unless `-w` says otherwise (`UDP_SCAN_TIMEOUT`).
const UDP_SCAN_SECS: u32 = 3;
/// Between the first two bytes: what a machine nearby answers to the first has come by the second, as it has where the kernel
/// sees to it before `write` is over.
const BETWEEN: Duration = Duration::from_ms(1);

impl Nc {
    /// `udptest`, as Debian has it: two bytes at once, then one a second. That nobody is there, it hears by a refusal alone;
    /// another error takes the place of a byte.
    pub(super) fn probe_first(&mut self, os: &mut dyn Os) {
        let limit = self.options.timeout.map(|limit| u32::try_from(limit.as_secs()).unwrap_or(u32::MAX));
        // The second byte goes before the seconds are counted.
        self.phase = Phase::Probing(limit.unwrap_or(UDP_SCAN_SECS).saturating_add(1));
        if os.send(self.socket, b"X").is_err() {
            return self.not_there(os);
        }
        os.set_timer(TIMER_PROBE, BETWEEN);
    }

    /// It is time for the next byte.
    pub(super) fn probe(&mut self, os: &mut dyn Os) {
        let Phase::Probing(left) = self.phase else { return };
        self.phase = Phase::Probing(left.saturating_sub(1));
        if os.send(self.socket, b"X") == Err(Errno::Econnrefused) {
            return self.not_there(os);
        }
        self.wait_for_error(os);
    }

    fn wait_for_error(&mut self, os: &mut dyn Os) {
        if self.phase == Phase::Probing(0) {
            self.tell_success(os);
            self.reached = true;
            os.close(self.socket);
            return self.next_port(os);
        }
        os.set_timer(TIMER_PROBE, Duration::from_secs(1));
    }

    fn not_there(&mut self, os: &mut dyn Os) {
        os.close(self.socket);
        self.next_port(os);
    }
}
