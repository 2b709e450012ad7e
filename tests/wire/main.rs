//! The wire room from outside: bytes, lines and fields.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dns;
mod dns_bytes;
mod reading;
mod recorded;
mod round_trip;
mod strategies;
mod tunnels;
