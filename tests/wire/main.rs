//! The wire room from outside: bytes, lines and fields.

mod reading;
mod recorded;
mod round_trip;
mod strategies;
