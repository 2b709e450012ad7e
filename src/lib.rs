//! vethscope: a simulated Kubernetes cluster network, packet by packet.
//!
//! The modules stand in reading order, from the ground up; each imports only from those above it in this list. See
//! `ARCHITECTURE.md` for the bird's-eye view.

pub mod agent;
pub mod api;
pub mod app;
pub mod base;
pub mod cluster;
pub mod kernel;
pub mod lab;
pub mod manifest;
pub mod nftables;
pub mod scene;
pub mod shell;
pub mod sim;
pub mod tls;
pub mod trace;
pub mod wire;
pub mod xtables;

#[cfg(not(target_arch = "wasm32"))]
pub mod cli;
#[cfg(target_arch = "wasm32")]
pub mod ui;
