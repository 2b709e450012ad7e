//! What the protocol asks of the machine it runs on: chance, the time, and somebody who writes keys down. rustls asks
//! objects that live as long as the program, so what one session may draw from lies here while it runs.

use super::hex;
use crate::base::SimTime;
use core::time::Duration;
use rustls::crypto::{GetRandomFailed, SecureRandom};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{Error, KeyLog};
use std::cell::RefCell;
use std::mem;

/// What belongs to one session.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// Its chance.
    pub(super) rng: fastrand::Rng,
    /// What time it is.
    pub(super) now: SimTime,
    /// Lines of an NSS key log, written when keys are made.
    pub(super) keys: Vec<String>,
}

impl Surroundings {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), now: SimTime::ZERO, keys: Vec::new() }
    }

    /// Runs `work` with these surroundings.
    pub(super) fn within<T>(&mut self, work: impl FnOnce() -> T) -> T {
        AROUND.with_borrow_mut(|around| mem::swap(around, self));
        let done = work();
        AROUND.with_borrow_mut(|around| mem::swap(around, self));
        done
    }
}

thread_local! {
    static AROUND: RefCell<Surroundings> = RefCell::new(Surroundings::new(0));
}

/// Chance, time and keys of the session that runs.
#[derive(Debug)]
pub(super) struct Around;

impl SecureRandom for Around {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        AROUND.with_borrow_mut(|around| around.rng.fill(buf));
        Ok(())
    }
}

impl TimeProvider for Around {
    fn current_time(&self) -> Option<UnixTime> {
        let now = AROUND.with_borrow(|around| around.now);
        Some(UnixTime::since_unix_epoch(Duration::from_nanos(now.unix_nanos())))
    }
}

impl KeyLog for Around {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}", hex(client_random), hex(secret));
        AROUND.with_borrow_mut(|around| around.keys.push(line));
    }
}

/// Thirty-two bytes that are a scalar of P-256: drawn again in the rare case that they are not.
pub(super) fn draw_secret() -> Result<p256::SecretKey, Error> {
    for _ in 0..8 {
        let mut bytes = [0; 32];
        AROUND.with_borrow_mut(|around| around.rng.fill(&mut bytes));
        if let Ok(secret) = p256::SecretKey::from_slice(&bytes) {
            return Ok(secret);
        }
    }
    Err(Error::FailedToGetRandomBytes)
}
