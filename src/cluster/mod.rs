//! Decisions of the control plane, desired state to observed, as pure functions: it knows Kubernetes and no Linux.

pub mod blocks;
pub mod configuration;
pub mod dns;
pub mod endpoints;
pub mod host_local;
pub mod images;
pub mod ipam;
pub mod mesh;
pub mod names;
pub mod patch;
pub mod phase;
pub mod policy;
pub mod probe;
pub mod proxy;
pub mod pull;
pub mod reference;
pub mod resolv;
pub mod rollout;
pub mod schedule;
pub mod scheduler;
pub mod services;
pub mod topology;
