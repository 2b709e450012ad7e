//! The only code that writes kernel tables: what builds the machines and cables, the kubelet, and the CNI plug-ins.
//! Everything here acts when a watch or a timer wakes it, on the one event queue, so order and delay come about by
//! themselves.

mod addon;
mod allocation;
mod apply;
mod balancer;
mod cni;
mod conditions;
mod configuration;
mod containers;
mod control;
mod controllers;
mod delete_options;
mod endpoints;
mod fabric;
mod furniture;
mod health;
mod hooks;
mod host_device;
mod images;
mod ipvs;
mod killing;
pub mod kube_proxy;
mod kubelet;
mod launch;
mod limits;
mod mesh;
mod multus;
mod names;
mod nodes;
mod objects;
mod outage;
mod pods;
mod policy;
mod probes;
mod references;
mod rules;
mod scheduling;
mod serve;
mod service_update;
mod services;
mod stand_ins;
mod store;
mod teardown;
mod tokens;
mod watching;
mod world;

pub use control::{ControlPlane, Desired};
pub use launch::{Console, Environment, Exit, Launch, Mount, Mounts, StandIn, not_found};
pub use objects::{Typed, Written};
pub use store::PodKey;
pub use world::{Actor, Patience, Power, ProbeKind, Wakeup, Wire, World, with};
