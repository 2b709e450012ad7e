//! `NodeLocal DNSCache`: what stands on a node, who answers a Pod there, and what is left when its Pod goes.

use super::wire::run;
use regex_lite::Regex;
use std::fmt::Write as _;
use vethscope::base::{Duration, Severity};
use vethscope::lab::{Lab, Target};

/// The cluster of `node_local.yaml`, its DNS up.
fn settled() -> Lab {
    let mut lab = Lab::new(1);
    let errors: Vec<_> = lab
        .apply(&super::file("node_local.yaml"))
        .into_iter()
        .filter(|found| found.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    let limit = lab.now() + Duration::from_secs(60);
    lab.settle(limit);
    lab.need_names(&Target::parse("gnu", "default", None), &["dig".to_owned()]);
    lab
}

/// Commands, and what they print: `node_local.txt`, made anew with `UPDATE_EXPECT=1`.
#[test]
fn a_node_answers_for_the_clusters_dns_and_asks_it_over_tcp() {
    let wanted = super::file("node_local.txt");
    let mut lab = settled();
    let mut got = String::new();
    for head in wanted.lines().filter_map(|line| line.strip_prefix("=== ")) {
        let (target, command) = head.split_once(' ').unwrap();
        let argv = ["sh".to_owned(), "-c".to_owned(), command.to_owned()];
        let from = lab.trace().len();
        let process = lab.start(&Target::parse(target, "default", None), &argv).unwrap();
        let limit = lab.now() + Duration::from_secs(60);
        lab.finish(process, limit);
        // Ports that chance chose are nobody's business.
        let drawn = Regex::new(r"(sport|dport)=\d{5}").unwrap();
        let out = lab.trace().written(from, process);
        writeln!(got, "=== {head}\n{}", drawn.replace_all(&out, "$1=N")).unwrap();
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dns/node_local.txt");
        std::fs::write(path, got).unwrap();
    } else {
        assert_eq!(got, wanted);
    }
}

/// The cache answers as long as a record lives, without a question to CoreDNS.
#[test]
fn what_a_node_knows_it_does_not_ask_for_again() {
    let mut lab = settled();
    let first = run(&mut lab, "gnu", "dig +short web.default.svc.cluster.local");
    assert_eq!(first.0, "10.96.0.80\n");
    // The question came to the node's cache, and from there to CoreDNS.
    assert_eq!(first.2.len(), 2, "{:?}", first.2);
    let again = run(&mut lab, "gnu", "dig +short web.default.svc.cluster.local");
    assert_eq!((again.0.as_str(), again.2.len()), ("10.96.0.80\n", 1));
    let later = lab.now() + Duration::from_secs(31);
    lab.wait_until(later);
    assert_eq!(run(&mut lab, "gnu", "dig +short web.default.svc.cluster.local").2.len(), 2);
}

/// One that ends takes its device and rules away, and kube-proxy's rules serve again.
#[test]
fn a_cache_that_ends_leaves_the_way_to_coredns_open() {
    let ask = |lab: &mut Lab| run(lab, "gnu", "dig +short +tries=1 +time=1 web.default.svc.cluster.local").0;
    let mut lab = settled();
    run(&mut lab, "gnu", "kubectl delete daemonset -n kube-system node-local-dns");
    let later = lab.now() + Duration::from_secs(60);
    lab.wait_until(later);
    assert_eq!(ask(&mut lab), "10.96.0.80\n");
    let mut lab = settled();
    run(
        &mut lab,
        "gnu",
        "kubectl patch daemonset -n kube-system node-local-dns -p {\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"no\":\"where\"}}}}}",
    );
    let later = lab.now() + Duration::from_secs(60);
    lab.wait_until(later);
    assert_eq!(ask(&mut lab), "10.96.0.80\n", "the Pods went in good order");
}

/// Under IPVS the address of the cluster's DNS is kube-proxy's: caches have only their own, which Pods are told.
#[test]
fn under_ipvs_pods_ask_the_address_of_the_caches() {
    let mode = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-proxy, namespace: kube-system}\ndata: {config.conf: 'mode: ipvs'}\n";
    let mut lab = Lab::new(1);
    lab.apply(&(super::file("node_local.yaml") + mode));
    let limit = lab.now() + Duration::from_secs(60);
    lab.settle(limit);
    lab.need_names(&Target::parse("gnu", "default", None), &["dig".to_owned()]);
    let resolv = run(&mut lab, "gnu", "cat /etc/resolv.conf").0;
    assert!(resolv.contains("nameserver 169.254.20.10\n"), "{resolv}");
    let first = run(&mut lab, "gnu", "dig +short web.default.svc.cluster.local");
    assert_eq!((first.0.as_str(), first.2.len()), ("10.96.0.80\n", 2), "{:?}", first.2);
    let devices = run(&mut lab, "node/node2", "ip -br addr").0;
    let has = |device: &str, address: &str| {
        let mut lines = devices.lines().filter(|line| line.starts_with(device));
        lines.any(|line| line.contains(address))
    };
    assert!(has("nodelocaldns", "169.254.20.10/32") && !has("nodelocaldns", "10.96.0.10/32"), "{devices}");
    assert!(has("kube-ipvs0", "10.96.0.10/32"), "{devices}");
}

/// Stub domains of the `ConfigMap` `kube-dns` become server blocks of every node's cache.
#[test]
fn stub_domains_are_served_by_the_node() {
    let mut lab = Lab::new(1);
    let stub = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-dns, namespace: kube-system}\ndata: {stubDomains: '{\"corp.example\": [\"192.168.1.1\"]}'}\n";
    lab.apply(&(super::file("node_local.yaml") + stub));
    let limit = lab.now() + Duration::from_secs(60);
    lab.settle(limit);
    lab.need_names(&Target::parse("gnu", "default", None), &["dig".to_owned()]);
    assert_eq!(run(&mut lab, "gnu", "dig +short www.corp.example").0, "192.0.2.7\n");
    let log = run(&mut lab, "gnu", "kubectl logs -n kube-system ds/node-local-dns").0;
    assert!(log.contains("Updated Corefile with 1 custom stubdomains"), "{log}");
    assert!(log.contains("corp.example.:53"), "{log}");
}

/// A Corefile that cannot be written is told of, and tried again every ten seconds.
#[test]
fn a_corefile_that_cannot_be_written_is_told_of() {
    let mut lab = Lab::new(1);
    lab.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base}\ndata: {Corefile.base: \".:53 {\\n}\\n\"}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: cache}\nspec:\n  containers:\n  - name: c\n    image: registry.k8s.io/dns/k8s-dns-node-cache:1.25.0\n    args: [-localip, 169.254.20.10, -conf, /no/such/Corefile, -upstreamsvc, kube-dns-upstream]\n    volumeMounts: [{mountPath: /etc/coredns, name: base}]\n  volumes: [{name: base, configMap: {name: base}}]\n");
    let limit = lab.now() + Duration::from_secs(60);
    lab.settle(limit);
    let log = run(&mut lab, "node/node1", "kubectl logs cache").0;
    let told = "[ERROR] Failed to write config file /no/such/Corefile - err open /no/such/Corefile: no such file or directory";
    assert!(log.contains(told), "{log}");
    assert!(!log.contains("Updated Corefile"), "{log}");
}
