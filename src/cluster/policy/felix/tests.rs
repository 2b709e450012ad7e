//! Against names and hashes that stand in `iptables-save` of real nodes with Calico.

use super::line::{limited, set_name};
use super::*;
use crate::api::{NetworkPolicy, Pod};
use crate::cluster::policy::{Blocks, Endpoint};

fn pod(namespace: &str, name: &str) -> Pod {
    let labels = [("pod".to_owned(), name.to_owned())].into();
    let metadata = crate::api::ObjectMeta {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        labels,
        ..crate::api::ObjectMeta::default()
    };
    Pod { metadata, ..Pod::default() }
}

fn rendered(pods: &[Pod], policies: &[NetworkPolicy]) -> Wanted {
    let endpoints = pods.iter().zip(1u8..).map(|(pod, at)| Endpoint {
        pod,
        ip: Ipv4Addr::new(10, 244, 1, at),
        node: "node1",
    });
    let scope = Scope {
        pods: endpoints.collect(),
        namespaces: ["x", "y"].map(|name| (name.to_owned(), [].into())).into(),
        policies: policies.iter().collect(),
        admin: Vec::new(),
        blocks: Blocks::All,
    };
    let names = ["cali12d4a061371", "cali2aaaaaaaaaa", "cali2bbbbbbbbbb"];
    let host = Host {
        local: (0..pods.len()).map(|at| (at, names[at])).collect(),
        hosts: vec![Ipv4Addr::new(192, 168, 1, 10)],
        tunnel: Tunnel::None,
    };
    render(&scope, &host)
}

fn policy(json: &str) -> NetworkPolicy {
    serde_json::from_str(json).expect("a policy")
}

#[test]
fn rules_have_the_hashes_of_the_original() {
    let wanted = rendered(&[], &[]);
    let hashes = |rules: &[String]| {
        let hash =
            |rule: &String| rule.split("cali:").nth(1).and_then(|rest| rest.get(..16)).map(str::to_owned);
        rules.iter().filter_map(hash).collect::<Vec<_>>()
    };
    let first: Vec<String> = wanted.first.iter().map(|(_, rule)| rule.clone()).collect();
    assert_eq!(hashes(&first), ["Cz_u1IQiXIMmKD4c", "wUHhoiAYhphO9Mso", "tVnHkvAo15HuiPy0"]);
    assert_eq!(hashes(&wanted.last[0].1), ["S93hcgKJrXEqnTfs", "mp77cMpurHhyjLrM"]);
    assert_eq!(
        hashes(&wanted.chains["cali-FORWARD"]),
        [
            "vjrMJCRpqwy5oRoX",
            "A_sPAO0mcxbT9mOV",
            "8ZoYfO5HKXWbB3pk",
            "jdEuaPBe14V2hutn",
            "12bc6HljsMKsmfr-",
            "NOSxoaGx8OIstr1z"
        ]
    );
    assert_eq!(hashes(&wanted.chains["cali-wl-to-host"]), ["Ee9Sbo10IpVujdIY", "nSZbcOoG1xPONxb8"]);
    assert_eq!(hashes(&wanted.chains["cali-OUTPUT"])[..2], ["Mq1_rAdXXH3YkrzW", "69FkRTJDvD5Vu6Vl"]);
}

#[test]
fn long_names_are_shortened_by_a_hash() {
    assert_eq!(limited("cali-pri-", "ksa.kube-system.coredns"), "cali-pri-_u2Tn2rSoAPffvE7JO6");
    assert_eq!(limited("cali-pri-", "kns.default"), "cali-pri-kns.default");
    assert_eq!(set_name("s", "all()").len(), 31);
}

#[test]
fn interfaces_that_share_a_letter_share_a_chain() {
    let pods = [pod("x", "a"), pod("x", "b"), pod("x", "c")];
    let wanted = rendered(&pods, &[]);
    let targets = |chain: &str| {
        let last = |rule: &String| rule.rsplit(' ').next().map(str::to_owned);
        wanted.chains[chain].iter().filter_map(last).collect::<Vec<_>>()
    };
    let root = targets("cali-to-wl-dispatch");
    assert_eq!(root, ["cali-tw-cali12d4a061371", "cali-to-wl-dispatch-2", "DROP"]);
    let child = targets("cali-to-wl-dispatch-2");
    assert_eq!(child, ["cali-tw-cali2aaaaaaaaaa", "cali-tw-cali2bbbbbbbbbb", "DROP"]);
}

#[test]
fn a_range_with_exceptions_is_worked_out_in_marks() {
    let block = policy(
        r#"{"metadata":{"name":"p","namespace":"x"},"spec":{"podSelector":{},"policyTypes":["Egress"],
        "egress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16","10.2.0.0/16"]}}],
                   "ports":[{"port":80},{"port":"web"},{"protocol":"UDP","port":53,"endPort":60}]}]}}"#,
    );
    let wanted = rendered(&[pod("x", "a")], &[block]);
    let without_hash = |rule: &String| rule.split_once("\" ").map_or("", |(_, rest)| rest).to_owned();
    let rules: Vec<String> = wanted.chains["cali-po-x/knp.default.p"].iter().map(without_hash).collect();
    let web = wanted.sets.keys().find(|name| name.starts_with("cali40n:")).expect("a set of ports");
    assert_eq!(
        rules,
        [
            "-m comment --comment \"Policy x/knp.default.p egress\" --jump MARK --set-mark 0/0xc0000",
            "-p tcp -m multiport --destination-ports 80 --jump MARK --set-mark 0x40000/0x40000",
            &format!("-m set --match-set {web} dst,dst --jump MARK --set-mark 0x40000/0x40000"),
            "--destination 10.1.0.0/16 --jump MARK --set-mark 0/0x40000",
            "--destination 10.2.0.0/16 --jump MARK --set-mark 0/0x40000",
            "-p tcp --destination 10.0.0.0/8 -m mark --mark 0x40000/0x40000 --jump MARK --set-mark 0x10000/0x10000",
            "-m mark --mark 0x10000/0x10000 --jump RETURN",
            "--jump MARK --set-mark 0x40000/0xc0000",
            "--destination 10.1.0.0/16 --jump MARK --set-mark 0/0x40000",
            "--destination 10.2.0.0/16 --jump MARK --set-mark 0/0x40000",
            "-p udp --destination 10.0.0.0/8 -m multiport --destination-ports 53:60 -m mark --mark 0x40000/0x40000 --jump MARK --set-mark 0x10000/0x10000",
        ]
    );
}
