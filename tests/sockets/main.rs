//! The transport layer against a real kernel: scripts of system calls, run on two hosts with one cable between them, and
//! what a real Linux 6.18 sent and answered for the very same script (`recorded/*.txt`).
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bind_table;
mod net;
mod scripts;
