//! Decisions of the control plane, desired state to observed, as pure functions: it knows Kubernetes and no Linux.

pub mod blocks;
pub mod dns;
pub mod images;
pub mod ipam;
pub mod names;
pub mod patch;
pub mod policy;
pub mod processes;
pub mod proxy;
pub mod quantity;
pub mod resolv;
pub mod rollout;
pub mod scheduler;
pub mod services;
