//! `mausezahn` of netsniff-ng 0.6.8: frames byte by byte as they are written.

use super::{Os, Process, Wake};
use crate::base::{Duration, IfIndex, SimTime};
use crate::trace::Stream;
use crate::wire::Frame;

const TIMER_NEXT: u32 = 1;
/// What the program itself takes for a frame; it is not part of what is simulated.
const EACH: Duration = Duration::from_us(50);

/// A running `mausezahn DEV HEX`.
#[derive(Clone, Debug)]
pub struct Mausezahn {
    ifindex: IfIndex,
    frame: Frame,
    left: u32,
    sent: u32,
    delay: Duration,
    quiet: bool,
    began: SimTime,
}

impl Mausezahn {
    /// A program that sends `count` frames by an interface, with a delay between them.
    pub fn new((ifindex, frame): (IfIndex, Frame), count: u32, delay: Duration, quiet: bool) -> Self {
        Self { ifindex, frame, left: count, sent: 0, delay, quiet, began: SimTime(0) }
    }

    fn next(&mut self, os: &mut dyn Os) {
        if self.left == 0 {
            return self.finish(os);
        }
        let (ifindex, frame) = (self.ifindex, self.frame.clone());
        os.administer(&mut |netns, ctx| netns.send_by_hand(ctx, ifindex, frame.clone()));
        self.left -= 1;
        self.sent += 1;
        os.set_timer(TIMER_NEXT, if self.left == 0 { EACH } else { self.delay.max(EACH) });
    }

    fn finish(&self, os: &mut dyn Os) {
        if !self.quiet {
            let us = os.now().since(self.began).as_us().max(EACH.as_us());
            let rate = u64::from(self.sent) * 1_000_000 / us;
            let text =
                format!("{}.{:02} seconds ({rate} packets per second)\n", us / 1_000_000, us / 10_000 % 100);
            os.write(Stream::Stderr, &text);
        }
        os.exit(0);
    }
}

impl Process for Mausezahn {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => {
                self.began = os.now();
                self.next(os);
            }
            Wake::Timer(_) => self.next(os),
            Wake::Interrupt | Wake::Terminate => self.finish(os),
            Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
