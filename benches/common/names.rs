//! Lookups from the resolver's first question to the program's output.

use super::settled;
use vethscope::base::SimTime;
use vethscope::lab::{Lab, Target};

/// A Pod that asks, a Service that is asked for, and a name outside.
const CLUSTER: &str = "apiVersion: vethscope.dev/v1alpha1
kind: Cluster
spec:
  external:
  - {name: gw, address: 192.168.1.1, router: true}
  - {name: www.example.com, address: 203.0.113.10, behind: gw}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.80, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: gnu}
spec: {nodeName: node2, containers: [{name: c, image: debian, command: [sleep, infinity]}]}
";

fn command(name: &str) -> (Target, [String; 3]) {
    (Target::parse("gnu", "default", None), ["getent", "ahosts", name].map(str::to_owned))
}

/// A cluster with its DNS in which the name was looked up once.
pub(crate) fn asked(name: &str) -> Lab {
    let mut lab = settled(CLUSTER);
    let (pod, argv) = command(name);
    lab.need_names(&pod, &argv);
    look_up(&mut lab, name);
    lab
}

/// One lookup, by a process of its own and with the trace recorded.
pub(crate) fn look_up(lab: &mut Lab, name: &str) {
    let (pod, argv) = command(name);
    let process = lab.start(&pod, &argv).expect("the Pod runs");
    lab.finish(process, SimTime(u64::MAX));
    assert_eq!(lab.status(process), Some(0), "{name} is found");
}
