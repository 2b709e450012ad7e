//! Labs about isolation to begin from, and one about the inside of a Pod: a text, and commands that show it. Names and descriptions stand in
//! the catalogues (`template.NAME`, `template.NAME.about`).

use crate::base::{Demo, DemoPlace};

/// A lab to begin from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name in keys.
    pub name: &'static str,
    /// Its text.
    pub yaml: &'static str,
    /// Commands in order.
    pub tries: &'static [Try],
}

/// A command that shows something of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try {
    /// `node/NAME`, `host/NAME`, or `NAMESPACE/POD`.
    pub place: &'static str,
    /// The command line; placeholders as in [`Demo::command`].
    pub line: &'static str,
    /// Whether it ends well.
    pub works: bool,
}

const fn works(place: &'static str, line: &'static str) -> Try {
    Try { place, line, works: true }
}

const fn fails(place: &'static str, line: &'static str) -> Try {
    Try { place, line, works: false }
}

impl Try {
    /// As a command of the lab.
    pub fn demo(&self) -> Demo {
        let place = match self.place.split_once('/') {
            Some(("node", name)) => DemoPlace::Named("node", name.to_owned()),
            Some(("host", name)) => DemoPlace::Named("host", name.to_owned()),
            Some((namespace, pod)) => DemoPlace::Pod(namespace.to_owned(), pod.to_owned()),
            None => DemoPlace::AnyPod,
        };
        Demo { place, command: self.line.to_owned() }
    }
}

/// All of them.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "inside",
        yaml: include_str!("templates/inside.yaml"),
        tries: &[
            works("node/node1", "kubectl exec within -c writer -- curl -sS -o /dev/null http://localhost/"),
            works("node/node1", "kubectl exec within -c writer -- sh -c 'echo over the pipe > /shared/pipe'"),
            works(
                "node/node1",
                "kubectl exec within -c writer -- sh -c 'echo over the socket | nc -NU /shared/socket'",
            ),
            works("node/node1", "kubectl logs within -c reader"),
            works("node/node1", "kubectl exec within -c writer -- sh -c 'echo in the file > /shared/file'"),
            works("node/node1", "kubectl exec within -c reader -- cat /shared/file"),
            fails("node/node1", "kubectl exec within -c apart -- cat /shared/file"),
            works("node/node1", "kubectl exec within -c writer -- sh -c 'echo in memory > /dev/shm/x'"),
            works("node/node1", "kubectl exec within -c apart -- cat /dev/shm/x"),
            works("node/node1", "kubectl exec within -c writer -- ipcmk -Q"),
            works("node/node1", "kubectl exec within -c apart -- ipcs -q"),
            works("node/node1", "kubectl exec within -c writer -- flock -n /shared/lock echo mine"),
        ],
    },
    Template {
        name: "vlan",
        yaml: include_str!("templates/vlan.yaml"),
        tries: &[
            works("node/node1", "bridge vlan show"),
            works("default/red1", "ping -c 1 -W 1 172.20.0.12"),
            fails("default/red1", "ping -c 1 -W 1 172.20.0.21"),
        ],
    },
    Template {
        name: "subnets",
        yaml: include_str!("templates/subnets.yaml"),
        tries: &[
            works("default/office", "curl -sS -m 2 http://{pod default/files}/"),
            works(
                "node/node2",
                "iptables -I FORWARD -s 10.244.1.0/24 -d 10.244.2.0/24 -p tcp --dport 80 -j REJECT",
            ),
            fails("default/office", "curl -sS -m 2 http://{pod default/files}/"),
            works("default/office", "ping -c 1 {pod default/files}"),
            works("node/node2", "iptables -L FORWARD -n -v --line-numbers"),
        ],
    },
    Template {
        name: "router",
        yaml: include_str!("templates/router.yaml"),
        tries: &[
            works("default/client", "curl -sS -m 2 http://203.0.113.10/"),
            works(
                "host/gw",
                "iptables -A FORWARD -d 203.0.113.10 -p tcp -m multiport ! --dports 8080 -j DROP",
            ),
            fails("default/client", "curl -sS -m 2 http://203.0.113.10/"),
            works("default/client", "curl -sS -m 2 http://203.0.113.10:8080/"),
        ],
    },
    Template {
        name: "segments",
        yaml: include_str!("templates/segments.yaml"),
        tries: &[
            works("default/web", "curl -sS -m 2 http://{pod default/api}/"),
            works("default/api", "curl -sS -m 2 http://{pod default/db}/"),
            fails("default/web", "curl -sS -m 2 http://{pod default/db}/"),
            fails("default/db", "curl -sS -m 2 http://{pod default/api}/"),
        ],
    },
    Template {
        name: "zero-trust",
        yaml: include_str!("templates/zero-trust.yaml"),
        tries: &[
            works("front/shop", "curl -sS -m 2 http://{pod back/orders}/"),
            fails("front/stranger", "curl -sS -m 2 http://{pod back/orders}/"),
            fails("back/orders", "curl -sS -m 2 http://{pod front/shop}/"),
            fails("front/stranger", "ping -c 1 -W 1 192.168.1.11"),
            works("node/node1", "iptables -S cali-pro-kns.front"),
        ],
    },
    Template {
        name: "mtls",
        yaml: include_str!("templates/mtls.yaml"),
        tries: &[
            works(
                "node/node1",
                "sh -c 'tcpdump -ni {veth open/web} -A tcp port 80 & sleep 1; kubectl exec -n open client -- curl -sS http://{pod open/web}/; sleep 1'",
            ),
            works(
                "node/node1",
                "sh -c 'tcpdump -ni {veth mesh/web} -A tcp port 80 & sleep 1; kubectl exec -n mesh client -c app -- curl -sS http://web/; sleep 1'",
            ),
            fails("open/client", "curl -sS -m 2 http://{pod mesh/web}/"),
            works("mesh/client", "curl -sS -m 2 http://web/"),
            works("mesh/web", "iptables -t nat -S ISTIO_OUTPUT"),
            works("node/node1", "kubectl delete peerauthentication default -n mesh"),
            works("open/client", "curl -sS -m 2 http://{pod mesh/web}/"),
        ],
    },
    Template {
        name: "detector",
        yaml: include_str!("templates/detector.yaml"),
        tries: &[
            works("node/node1", "tc qdisc add dev {veth default/web} clsact"),
            works(
                "node/node1",
                "tc filter add dev {veth default/web} egress matchall action mirred egress mirror dev {veth default/ids}",
            ),
            fails(
                "default/client",
                "sh -c 'nc -z -w 1 {pod default/web} 21; nc -z -w 1 {pod default/web} 22; nc -z -w 1 {pod default/web} 23; nc -z -w 1 {pod default/web} 25; nc -z -w 1 {pod default/web} 110'",
            ),
            works("default/client", "curl -sS -m 2 -o /dev/null http://{pod default/web}/../../etc/passwd"),
            works("default/client", "ping -c 5 -i 0.2 {pod default/web}"),
            works("node/node1", "sh -c 'sleep 1; kubectl logs ids'"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::words::{Lang, word};
    use crate::base::{Severity, SimTime};
    use crate::lab::{Lab, prompt};

    /// Runs all tries of a template and gives what each printed.
    fn tried(template: &Template) -> Vec<String> {
        let mut lab = Lab::new(1);
        let found = lab.apply(template.yaml);
        assert!(found.iter().all(|one| one.severity == Severity::Info), "{}: {found:?}", template.name);
        lab.settle(SimTime(600_000_000_000));
        let mut outputs = Vec::new();
        for own in template.tries {
            let (target, line) = lab.demonstration(&own.demo()).unwrap_or_else(|| panic!("{own:?}"));
            let from = lab.trace().len();
            let argv = prompt::argv(&line).expect("a command line");
            let process = lab.start(&target, &argv).unwrap_or_else(|wrong| panic!("{line}: {wrong:?}"));
            lab.finish(process, SimTime(u64::MAX));
            let out = lab.trace().written(from, process);
            let status = lab.status(process).expect("it ended");
            assert_eq!(status == 0, own.works, "{}: {} {line}: {status}\n{out}", template.name, own.place);
            outputs.push(out);
        }
        outputs
    }

    #[test]
    fn every_template_shows_what_it_isolates() {
        for template in TEMPLATES {
            let outputs = tried(template);
            let last = outputs.last().expect("something was tried");
            match template.name {
                "vlan" => assert!(outputs[0].contains("20 PVID Egress Untagged"), "{}", outputs[0]),
                "mtls" => {
                    let tapped = |output: &str| output.matches("balance 4711").count();
                    // Once from curl, once or more from the wire.
                    assert!(tapped(&outputs[0]) > 1, "{}", outputs[0]);
                    assert_eq!(tapped(&outputs[1]), 1, "{}", outputs[1]);
                    assert!(outputs[2].contains("Connection reset by peer"), "{}", outputs[2]);
                }
                "subnets" => assert!(last.contains("REJECT"), "{last}"),
                "detector" => {
                    let count = |text: &str| last.matches(text).count();
                    assert_eq!(
                        count(
                            "[1:1000001:1] Port scan [**] [Classification: Attempted Information Leak] [Priority: 2] {TCP}"
                        ),
                        1,
                        "{last}"
                    );
                    assert_eq!(count("[1:1000002:1] Asked for /etc/passwd"), 1, "{last}");
                    assert_eq!(count("[1:1000003:1] Many pings"), 2, "{last}");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn every_template_has_its_words() {
        for lang in [Lang::En, Lang::Ko] {
            for template in TEMPLATES {
                for end in ["", ".about"] {
                    let key = format!("template.{}{end}", template.name);
                    assert!(!word(lang, &key).starts_with('['), "{key}");
                }
            }
        }
    }
}
