//! The course, step by step: what to read, what to do, and how the lab tells that it was done. The words stand in the
//! catalogues (`lesson.*`); the same steps hold in every language.

use super::super::{Action, Lab, Target};
use crate::api::Object;
use crate::trace::{DropReason, EventKind, NetfilterChange, Table, TableChange, Trace};
use crate::xtables;

/// A chapter of the course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// Its name in keys: `lesson.NAME`.
    pub name: &'static str,
    /// Its steps.
    pub steps: &'static [Step],
}

/// A step: its words are `lesson.CHAPTER.STEP`, `….task` where something is to be done, and `….done` for what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name in keys.
    pub name: &'static str,
    /// What does it for those who only want to see it.
    pub help: Help,
    /// How the lab tells that it was done.
    pub check: Check,
}

/// What does a step for the learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    /// A command line in a Pod of the namespace `default`, in one of its containers if need be.
    Run(&'static str, Option<&'static str>, &'static str),
    /// A document is added to the manifest.
    Add(&'static str),
    /// A piece of the manifest is replaced by another.
    Replace(&'static str, &'static str),
    /// The cable of this interface is cut.
    Cut(&'static str, &'static str),
    /// Every fault is mended.
    Mend,
}

/// How the lab tells that a step was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// A command with all these words ran in this Pod and ended well, or (`false`) did not.
    Ran(&'static str, &'static [&'static str], bool),
    /// A packet was lost for this reason.
    Dropped(DropReason),
    /// A rule translated a destination address.
    Translated,
    /// An object of this kind is in the manifest.
    Has(&'static str),
    /// A Pod of this name runs on this node.
    PodOn(&'static str, &'static str),
    /// Something is broken.
    Broken,
    /// Something was broken and nothing is any more.
    Mended,
}

/// The course.
pub const COURSE: &[Chapter] = &[
    Chapter {
        name: "pod",
        steps: &[
            Step {
                name: "shared",
                help: Help::Run("c", Some("log"), "ip addr"),
                check: Check::Ran("c", &["ip"], true),
            },
            Step {
                name: "localhost",
                help: Help::Run("c", Some("log"), "curl -s http://localhost/"),
                check: Check::Ran("c", &["curl", "localhost"], true),
            },
        ],
    },
    Chapter {
        name: "path",
        steps: &[
            Step {
                name: "same",
                help: Help::Run("a", None, "ping -c 1 10.244.1.11"),
                check: Check::Ran("a", &["ping", "10.244.1.11"], true),
            },
            Step {
                name: "other",
                help: Help::Run("a", None, "ping -c 1 10.244.2.10"),
                check: Check::Ran("a", &["ping", "10.244.2.10"], true),
            },
            Step {
                name: "mtu",
                help: Help::Run("a", None, "ping -c 1 -M do -s 1472 10.244.2.10"),
                check: Check::Ran("a", &["ping", "-s"], false),
            },
        ],
    },
    Chapter {
        name: "fault",
        steps: &[
            Step { name: "cut", help: Help::Cut("node2", "eth0"), check: Check::Broken },
            Step {
                name: "lost",
                help: Help::Run("a", None, "ping -c 1 -W 1 10.244.2.10"),
                check: Check::Ran("a", &["ping"], false),
            },
            Step { name: "mend", help: Help::Mend, check: Check::Mended },
        ],
    },
    Chapter {
        name: "service",
        steps: &[
            Step { name: "object", help: Help::Add(SERVICE), check: Check::Has("Service") },
            Step {
                name: "call",
                help: Help::Run("a", None, "curl -s http://10.96.0.80:8080/"),
                check: Check::Translated,
            },
        ],
    },
    Chapter {
        name: "policy",
        steps: &[
            Step {
                name: "calico",
                help: Help::Replace("cni: flannel\n    backend: vxlan", "cni: calico\n    backend: vxlan"),
                check: Check::PodOn("b", "node2"),
            },
            Step { name: "isolate", help: Help::Add(POLICY), check: Check::Has("NetworkPolicy") },
            Step {
                name: "refused",
                help: Help::Run("a", None, "curl -s -m 2 http://pod/b/"),
                check: Check::Dropped(DropReason::NetfilterDrop),
            },
        ],
    },
];

const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  clusterIP: 10.96.0.80\n  \
                       selector: {app: web}\n  ports: [{port: 8080, targetPort: 80}]\n";

const POLICY: &str = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: isolate-all}\nspec: \
                      {podSelector: {}, policyTypes: [Ingress]}\n";

/// Whether a step was done, as the log and the trace of the lab tell.
pub fn is_done(lab: &Lab, check: Check) -> bool {
    let trace = lab.trace();
    match check {
        Check::Ran(pod, words, well) => ran(lab, pod, words, well),
        Check::Dropped(reason) => {
            let end = EventKind::Ended(crate::trace::Disposition::Dropped(reason));
            trace.events.iter().any(|event| event.kind == end)
        }
        Check::Translated => trace.events.iter().any(|event| translates(trace, event.kind)),
        Check::Has(kind) => lab.parsed().objects.iter().any(|located| located.object.kind() == kind),
        Check::PodOn(name, node) => {
            let calico = lab.parsed().objects.iter().any(|located| {
                matches!(&located.object, Object::Cluster(_)) && located.raw["spec"]["network"]["cni"] == "calico"
            });
            calico
                && trace.changes.iter().rev().any(|change| {
                    let TableChange::Pod(row) = change else { return false };
                    &*row.name == name && row.node.as_deref() == Some(node)
                })
        }
        Check::Broken => faults(lab).0 > 0,
        Check::Mended => {
            let (broken, mended) = faults(lab);
            broken > 0 && broken == mended
        }
    }
}

fn ran(lab: &Lab, pod: &str, words: &[&str], well: bool) -> bool {
    let log = lab.log();
    let runs = log.actions.iter().filter_map(|(_, action)| {
        let Action::Run { target, argv } = action else { return None };
        Some((target, argv))
    });
    runs.zip(lab.processes()).any(|((target, argv), process)| {
        let here = matches!(target, Target::Pod { name, .. } if name == pod);
        let said = words.iter().all(|word| argv.iter().any(|own| own.contains(word)));
        here && said && lab.status(*process).is_some_and(|status| (status == 0) == well)
    })
}

fn translates(trace: &Trace, kind: EventKind) -> bool {
    let EventKind::Decided(Table::Netfilter, row) = kind else { return false };
    let change = row.is_some().then(|| &trace.changes[row.index()]);
    let Some(TableChange::Netfilter(NetfilterChange::Rule(rule))) = change else { return false };
    matches!(rule.rule.target, xtables::Target::Dnat(..))
}

/// How often something was broken, and mended.
fn faults(lab: &Lab) -> (usize, usize) {
    let log = lab.log();
    let count = |wanted: fn(&Action) -> bool| log.actions.iter().filter(|(_, action)| wanted(action)).count();
    (
        count(|action| matches!(action, Action::Fault(_))),
        count(|action| matches!(action, Action::Mend(_))),
    )
}
