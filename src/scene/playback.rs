//! The playhead: a plain value moved by commands. Which events count as steps is decided by [`super`], the same for
//! the stage, the timeline and the list.

use crate::base::{Duration, EventId, SimTime};

/// How time plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A fixed pause for every step, whatever simulated time lies between.
    PerStep(Duration),
    /// Simulated time, slowed down by this factor. Waits of the network itself are cut to [`Playback::LONGEST`].
    Proportional(u64),
}

/// Where the playhead stands and whether it moves. Positions are step numbers; `elapsed` is how much of the way to the
/// next step has been played, from 0 to `Playback::UNIT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playback {
    /// Events that are steps, in order.
    pub steps: Vec<EventId>,
    /// The step shown: an index into `steps`; 0 where there are none.
    pub at: usize,
    /// Part of the way to the next step, in `UNIT`ths.
    pub elapsed: u32,
    /// Whether time plays.
    pub playing: bool,
    /// How it plays.
    pub pace: Pace,
    /// How fast, in percent.
    pub speed: u32,
    /// Whether the playhead keeps to the end as steps are added.
    pub live: bool,
}

impl Default for Playback {
    fn default() -> Self {
        let pace = Pace::PerStep(Self::PAUSE);
        Self { steps: Vec::new(), at: 0, elapsed: 0, playing: false, pace, speed: 100, live: false }
    }
}

impl Playback {
    /// A whole step.
    pub const UNIT: u32 = 1_000_000;
    /// The default pause for a step.
    pub const PAUSE: Duration = Duration::from_ms(700);
    /// The default factor of proportional time: a microsecond lasts 20 ms.
    pub const FACTOR: u64 = 20_000;
    /// A step never takes longer than this in proportional time.
    pub const LONGEST: Duration = Duration::from_secs(3);
    /// Speeds to choose from, in percent.
    pub const SPEEDS: [u32; 5] = [25, 50, 100, 200, 400];

    /// The event shown.
    pub fn event(&self) -> Option<EventId> {
        self.steps.get(self.at).copied()
    }

    /// Number of the last step.
    pub fn last(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// Whether there is nothing after the step shown.
    pub fn at_end(&self) -> bool {
        self.at >= self.last()
    }

    /// Position in steps, with the part of the way to the next.
    pub fn position(&self) -> f64 {
        self.at as f64 + f64::from(self.elapsed) / f64::from(Self::UNIT)
    }

    /// Takes a new list of steps and stays at the same event, or the last one before it.
    pub fn replace(&mut self, steps: Vec<EventId>) {
        let event = self.event();
        let grown = steps.len() > self.steps.len();
        self.steps = steps;
        if let Some(event) = event {
            let at = self.steps.partition_point(|step| *step <= event).saturating_sub(1);
            if self.steps.get(at) != Some(&event) {
                self.elapsed = 0;
            }
            self.at = at;
        }
        if self.live && grown {
            self.seek(self.last());
            self.live = true;
        }
    }

    /// Goes to step `at`, exactly.
    pub fn seek(&mut self, at: usize) {
        self.at = at.min(self.last());
        self.elapsed = 0;
        self.live = false;
    }

    /// Goes to the step at which `event` is shown.
    pub fn seek_event(&mut self, event: EventId) {
        self.playing = false;
        self.seek(self.steps.partition_point(|step| *step <= event).saturating_sub(1));
    }

    /// Pauses and goes to the first step.
    pub fn to_start(&mut self) {
        self.playing = false;
        self.seek(0);
    }

    /// Pauses and goes to the last step.
    pub fn to_end(&mut self) {
        self.playing = false;
        self.seek(self.last());
    }

    /// Keeps to the end from now on.
    pub fn go_live(&mut self) {
        self.to_end();
        self.live = true;
    }

    /// Pauses and goes one step on.
    pub fn forward(&mut self) {
        self.playing = false;
        self.seek(self.at + 1);
    }

    /// Pauses and goes one step back; from between two steps, to the earlier one.
    pub fn back(&mut self) {
        self.playing = false;
        let whole = self.elapsed == 0;
        self.seek(self.at.saturating_sub(usize::from(whole)));
    }

    /// Plays or pauses; at the end it plays again from the start.
    pub fn toggle(&mut self) {
        self.playing = !self.playing;
        if self.playing && self.at_end() {
            self.seek(0);
        }
        self.live = false;
    }

    /// Pauses and goes to the next step that `wanted` accepts; says whether there was one.
    pub fn to_next(&mut self, wanted: impl Fn(EventId) -> bool) -> bool {
        let found = (self.at + 1..self.steps.len()).find(|at| wanted(self.steps[*at]));
        if let Some(at) = found {
            self.playing = false;
            self.seek(at);
        }
        found.is_some()
    }

    /// Lets `wall` of the watcher's time pass. `time_of` tells the simulated time of an event. Says whether the step
    /// shown became another one.
    pub fn tick(&mut self, wall: Duration, time_of: impl Fn(EventId) -> SimTime) -> bool {
        if !self.playing {
            return false;
        }
        let before = self.at;
        let mut left = wall.0.saturating_mul(u64::from(self.speed)) / 100;
        while left > 0 {
            if self.at_end() {
                // More may come: a live simulation adds steps while the page plays.
                self.elapsed = 0;
                break;
            }
            let whole = self.duration(&time_of);
            let done = u128::from(whole) * u128::from(self.elapsed) / u128::from(Self::UNIT);
            let rest = whole - done as u64;
            if left < rest {
                let part = u128::from(done as u64 + left) * u128::from(Self::UNIT) / u128::from(whole);
                self.elapsed = (part as u32).min(Self::UNIT - 1);
                break;
            }
            left -= rest;
            self.at += 1;
            self.elapsed = 0;
        }
        self.at != before
    }

    /// How long the step shown lasts, in nanoseconds of the watcher's time at 100 %.
    fn duration(&self, time_of: impl Fn(EventId) -> SimTime) -> u64 {
        match self.pace {
            Pace::PerStep(pause) => pause.0.max(1),
            Pace::Proportional(factor) => {
                let (now, next) = (time_of(self.steps[self.at]), time_of(self.steps[self.at + 1]));
                next.since(now).0.saturating_mul(factor).clamp(1_000_000, Self::LONGEST.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playback(count: u32) -> Playback {
        Playback { steps: (0..count).map(|at| EventId(at * 10)).collect(), ..Playback::default() }
    }

    fn at_ten_us(event: EventId) -> SimTime {
        SimTime(u64::from(event.0) * 1_000)
    }

    #[test]
    fn a_fixed_pause_for_every_step() {
        let mut play = playback(4);
        play.toggle();
        assert!(!play.tick(Duration::from_ms(350), at_ten_us));
        assert_eq!((play.at, play.elapsed), (0, Playback::UNIT / 2));
        assert!(play.tick(Duration::from_ms(1_050), at_ten_us));
        assert_eq!((play.at, play.elapsed), (2, 0));
        play.tick(Duration::from_secs(9), at_ten_us);
        assert_eq!((play.at, play.elapsed, play.playing), (3, 0, true), "it waits for more at the end");
        play.replace((0..6).map(|at| EventId(at * 10)).collect());
        play.tick(Duration::from_ms(700), at_ten_us);
        assert_eq!(play.at, 4);
    }

    #[test]
    fn speed_and_simulated_time() {
        let mut play = playback(3);
        play.toggle();
        play.speed = 200;
        play.tick(Duration::from_ms(350), at_ten_us);
        assert_eq!(play.at, 1);
        play.pace = Pace::Proportional(10_000);
        play.speed = 100;
        play.tick(Duration::from_ms(99), at_ten_us);
        assert_eq!(play.at, 1);
        play.tick(Duration::from_ms(1), at_ten_us);
        assert_eq!(play.at, 2);
    }

    #[test]
    fn steps_forward_back_and_to_both_ends() {
        let mut play = playback(3);
        play.forward();
        play.forward();
        play.forward();
        assert_eq!(play.at, 2);
        play.back();
        assert_eq!(play.at, 1);
        play.elapsed = 5;
        play.back();
        assert_eq!((play.at, play.elapsed), (1, 0), "from between two steps back to the earlier one");
        play.to_end();
        play.toggle();
        assert_eq!((play.at, play.playing), (0, true), "played again from the start");
        assert!(play.to_next(|event| event == EventId(20)));
        assert_eq!((play.at, play.playing), (2, false));
        assert!(!play.to_next(|_| true));
    }

    #[test]
    fn a_new_list_of_steps_keeps_the_event_and_follows_when_live() {
        let mut play = playback(5);
        play.seek(3);
        play.replace(vec![EventId(0), EventId(20), EventId(40)]);
        assert_eq!(play.event(), Some(EventId(20)), "the last one before the event that is gone");
        play.go_live();
        play.replace((0..9).map(|at| EventId(at * 10)).collect());
        assert_eq!((play.at, play.live), (8, true));
        let mut empty = playback(0);
        empty.toggle();
        assert!(!empty.tick(Duration::from_secs(1), at_ten_us));
        assert_eq!(empty.event(), None);
    }
}
