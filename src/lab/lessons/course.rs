//! The course, step by step: what to read, what to do, and how the lab tells that it was done. The words stand in the
//! catalogues (`lesson.*`); the same steps hold in every language.

use crate::api::Object;
use crate::lab::{Action, Lab, Target};
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
    /// A command line in a Pod of the namespace `default`, in one of its containers if need be. `{NAME}` stands for the
    /// address of that Pod.
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
    /// A Pod has this label.
    Label(&'static str, &'static str, &'static str),
    /// The cluster has this plug-in.
    Network(&'static str),
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
                help: Help::Run("a", None, "ping -c 1 {c}"),
                check: Check::Ran("a", &["ping", "{c}"], true),
            },
            Step {
                name: "other",
                help: Help::Run("a", None, "ping -c 1 {b}"),
                check: Check::Ran("a", &["ping", "{b}"], true),
            },
            Step {
                name: "mtu",
                help: Help::Run("a", None, "ping -c 1 -M do -s 1472 {b}"),
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
                help: Help::Run("a", None, "ping -c 1 -W 1 {b}"),
                check: Check::Ran("a", &["ping", "-W"], false),
            },
            Step { name: "mend", help: Help::Mend, check: Check::Mended },
        ],
    },
    Chapter {
        name: "service",
        steps: &[
            Step {
                name: "label",
                help: Help::Replace("metadata: {name: b}", "metadata: {name: b, labels: {app: web}}"),
                check: Check::Label("b", "app", "web"),
            },
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
                check: Check::Network("calico"),
            },
            Step { name: "isolate", help: Help::Add(POLICY), check: Check::Has("NetworkPolicy") },
            Step {
                name: "refused",
                help: Help::Run("a", None, "curl -s -m 2 http://{b}/"),
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
        Check::Label(pod, key, value) => lab.parsed().pods().any(|own| {
            let labels = &own.metadata.labels;
            own.metadata.name == pod && labels.get(key).is_some_and(|own| own == value)
        }),
        Check::Network(name) => lab.parsed().objects.iter().any(|located| {
            matches!(&located.object, Object::Cluster(_)) && located.raw["spec"]["network"]["cni"] == name
        }),
        Check::Broken => faults(lab).0 > 0,
        Check::Mended => {
            let (broken, mended) = faults(lab);
            broken > 0 && broken == mended
        }
    }
}

fn ran(lab: &Lab, pod: &str, words: &[&str], well: bool) -> bool {
    let (log, trace) = (lab.log(), lab.trace());
    let runs = log.actions.iter().filter_map(|(_, action)| {
        let Action::Run { target, argv } = action else { return None };
        Some((target, argv))
    });
    runs.zip(lab.processes()).any(|((target, argv), process)| {
        let here = matches!(target, Target::Pod { name, .. } if name == pod);
        let said = words.iter().all(|word| {
            let word = with_addresses(trace, word);
            argv.iter().any(|own| own.contains(&word))
        });
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
    (count(|action| matches!(action, Action::Fault(_))), count(|action| matches!(action, Action::Mend(_))))
}

/// A text in which `{NAME}` is the address that the Pod of this name has, or had last.
pub fn with_addresses(trace: &Trace, text: &str) -> String {
    let mut out = text.to_owned();
    while let Some((before, rest)) = out.split_once('{') {
        let Some((name, after)) = rest.split_once('}') else { return out };
        let address = trace.changes.iter().rev().find_map(|change| {
            let TableChange::Pod(row) = change else { return None };
            if &*row.name == name { row.ip } else { None }
        });
        let address = address.map_or_else(|| format!("pod/{name}"), |address| address.to_string());
        out = format!("{before}{address}{after}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SimTime;
    use crate::base::words::{Lang, word};
    use crate::lab::{lessons, prompt};
    use crate::trace::{Fault, Place};

    /// Does what a step's helper does.
    fn help(lab: &mut Lab, text: &mut String, help: Help) {
        match help {
            Help::Run(pod, container, line) => {
                let line = with_addresses(lab.trace(), line);
                let argv = prompt::argv(&line).expect("the quotes are closed");
                let container = container.map(str::to_owned);
                let target = Target::Pod { namespace: "default".into(), name: pod.into(), container };
                let process = lab.start(&target, &argv).expect("the Pod runs");
                lab.finish(process, SimTime(u64::MAX));
            }
            Help::Add(document) => *text = format!("{}\n{document}", text.trim_end()),
            Help::Replace(old, new) => {
                assert!(text.contains(old), "{old} is not in the lesson's text");
                *text = text.replace(old, new);
            }
            Help::Cut(namespace, interface) => {
                let place = Place { namespace: namespace.into(), interface: interface.into() };
                lab.inject(&Fault::CutCable(place)).expect("there is a cable");
            }
            Help::Mend => lab.mend(0).expect("it is broken"),
        }
        let found = lab.apply(text);
        assert!(found.iter().all(|one| one.severity != crate::base::Severity::Error), "{found:?}");
        lab.settle(SimTime(u64::MAX));
    }

    #[test]
    fn every_step_is_open_before_it_is_done_and_done_after_its_helper() {
        let mut lab = Lab::new(lessons::SEED);
        let mut text = lessons::vxlan(Lang::Ko).to_owned();
        lab.apply(&text);
        lab.settle(SimTime(u64::MAX));
        for chapter in COURSE {
            for step in chapter.steps {
                assert!(
                    !is_done(&lab, step.check),
                    "{} {} is done before it is begun",
                    chapter.name,
                    step.name
                );
                help(&mut lab, &mut text, step.help);
                assert!(is_done(&lab, step.check), "{} {} is not done", chapter.name, step.name);
            }
        }
    }

    #[test]
    fn every_step_has_its_words() {
        for lang in [Lang::En, Lang::Ko] {
            for chapter in COURSE {
                let steps = chapter.steps.iter().flat_map(|step| {
                    ["", ".task", ".done"].map(|end| format!("lesson.{}.{}{end}", chapter.name, step.name))
                });
                for key in std::iter::once(format!("lesson.{}", chapter.name)).chain(steps) {
                    assert!(!word(lang, &key).starts_with('['), "{key}");
                }
            }
        }
    }
}
