//! kube-proxy's nftables mode with real packets: its table as `nft` prints it, and what becomes of those who ask.

use super::{SETTLE, TWO, ask, facts, fetched, pods, run, service, settled};
use std::collections::BTreeSet;
use vethscope::base::SimTime;
use vethscope::lab::flow::Verdict;
use vethscope::trace::service_path::ServiceStep;

/// The configuration of a cluster that runs kube-proxy in this mode.
pub(super) fn mode(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: kube-proxy, namespace: kube-system}}\ndata:\n  \
         config.conf: |\n    apiVersion: kubeproxy.config.k8s.io/v1alpha1\n    kind: KubeProxyConfiguration\n    \
         mode: {name}\n    clusterCIDR: 10.244.0.0/16\n"
    )
}

pub(super) const SPEC: &str = "clusterIP: 10.96.0.80, type: NodePort, ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]";

#[test]
fn the_table_is_printed_as_nft_prints_it() {
    let mut lab = settled(&(pods(&TWO) + &service(SPEC) + &mode("nftables")));
    let (text, status) = run(&mut lab, "node/node1", "nft list ruleset");
    assert_eq!(status, 0, "{text}");
    for line in [
        "table ip kube-proxy {\n\tcomment \"rules for kube-proxy\"\n",
        "\tmap service-ips {\n\t\ttype ipv4_addr . inet_proto . inet_service : verdict\n\t\tcomment \"ClusterIP, ExternalIP and LoadBalancer IP traffic\"\n\t\telements = { 10.96.0.",
        "10.96.0.80 . tcp . 80 : goto service-",
        "\tmap service-nodeports {\n\t\ttype inet_proto . inet_service : verdict\n\t\tcomment \"NodePort traffic\"\n\t\telements = { tcp . 30080 : goto external-",
        "\tset nodeport-ips {\n\t\ttype ipv4_addr\n\t\tcomment \"IPs that accept NodePort traffic\"\n\t\telements = { 192.168.1.10 }\n",
        "\tchain nat-prerouting {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\t\tjump services\n\t}\n",
        "\tchain filter-output-pre-dnat {\n\t\ttype filter hook output priority -110; policy accept;\n\t\tct state new jump firewall-check\n\t}\n",
        "\tchain services {\n\t\tip daddr . meta l4proto . th dport vmap @service-ips\n\t\tip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports\n\t}\n",
        "\tchain masquerading {\n\t\tmeta mark & 0x00004000 == 0x00000000 return\n\t\tmeta mark set meta mark ^ 0x00004000\n\t\tmasquerade fully-random\n\t}\n",
        "\t\tip daddr 10.96.0.80 tcp dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade\n\t\tnumgen random mod 2 vmap { 0 : goto endpoint-",
        "-default/web/tcp/http__10.244.1.2/8080 {\n\t\tip saddr 10.244.1.2 jump mark-for-masquerade\n\t\tmeta l4proto tcp dnat to 10.244.1.2:8080\n\t}\n",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    // Nothing of kube-proxy's stands in the tables of iptables.
    let (saved, _) = run(&mut lab, "node/node1", "iptables-save");
    assert!(!saved.contains("KUBE-SVC"), "{saved}");
    let (chain, _) = run(&mut lab, "node/node1", "nft list chain ip kube-proxy mark-for-masquerade");
    assert_eq!(
        chain,
        "table ip kube-proxy {\n\tchain mark-for-masquerade {\n\t\tmeta mark set meta mark | 0x00004000\n\t}\n}\n"
    );
    assert_eq!(run(&mut lab, "node/node1", "nft list table ip none").1, 1);
    assert_eq!(run(&mut lab, "node/node1", "nft add table ip none").1, 1);
}

#[test]
fn packets_reach_endpoints_by_maps_and_chance() {
    let mut lab = settled(&(pods(&TWO) + &service(SPEC) + &mode("nftables")));
    for (place, url, marked) in [
        ("client", "http://10.96.0.80/", false),
        ("node/node1", "http://10.96.0.80/", true),
        ("host/ext", "http://192.168.1.10:30080/", true),
        ("a", "http://192.168.1.11:30080/", true),
    ] {
        let mut answers = BTreeSet::new();
        for _ in 0..12 {
            let (answer, endpoint, facts) = fetched(&mut lab, place, url);
            let replaced = facts.iter().find(|fact| fact.fact == ServiceStep::Replaced).expect("an endpoint");
            assert_eq!(replaced.service, "default/web:http");
            assert_eq!(replaced.endpoint, endpoint);
            let masqueraded = facts.iter().any(|fact| fact.fact == ServiceStep::Masqueraded);
            assert_eq!(masqueraded, marked, "{place} {url}: {facts:?}");
            answers.insert(answer);
        }
        assert_eq!(answers.len(), 2, "{place} {url}");
    }
}

#[test]
fn a_pod_reaches_itself_and_a_client_keeps_its_endpoint() {
    let sticky = "clusterIP: 10.96.0.80, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: 8080}]";
    let mut lab = settled(&(pods(&TWO[..1]) + &service(SPEC) + &mode("nftables")));
    assert_eq!(run(&mut lab, "a", "curl -s http://10.96.0.80/"), ("a".to_owned(), 0));
    let mut lab = settled(&(pods(&TWO) + &service(sticky) + &mode("nftables")));
    let (first, _) = run(&mut lab, "client", "curl -s http://10.96.0.80/");
    for _ in 0..8 {
        let from = lab.trace().len();
        assert_eq!(run(&mut lab, "client", "curl -s http://10.96.0.80/"), (first.clone(), 0));
        assert!(facts(&lab, from).iter().any(|fact| fact.fact == ServiceStep::Kept));
    }
    let (text, _) = run(&mut lab, "node/node1", "nft list ruleset");
    assert!(text.contains("flags dynamic,timeout\n\t\ttimeout 3h\n\t\telements = { 10.244.1."), "{text}");
    assert!(text.contains(" expires 2h59m"), "{text}");
    assert_eq!(ask(&lab, "node1", "10.244.1.99 > 10.96.0.80:80/TCP").endpoints.len(), 2);
    // After its time the client is forgotten, and drawn anew.
    lab.wait_until(SimTime(lab.now().0 + 10_801_000_000_000));
    let from = lab.trace().len();
    assert_eq!(run(&mut lab, "client", "curl -s http://10.96.0.80/").1, 0);
    assert!(facts(&lab, from).iter().all(|fact| fact.fact != ServiceStep::Kept));
}

#[test]
fn what_no_endpoint_takes_is_refused_and_what_no_service_has_is_dropped() {
    let mut lab = settled(&(pods(&[]) + &service(SPEC) + &mode("nftables")));
    for (place, url) in [
        ("client", "http://10.96.0.80/"),
        // Another port of the address.
        ("client", "http://10.96.0.80:81/"),
        ("node/node1", "http://10.96.0.80/"),
        ("host/ext", "http://192.168.1.10:30080/"),
    ] {
        let (_, status) = run(&mut lab, place, &format!("curl -s -m 2 {url}"));
        assert_eq!(status, 7, "{place} {url}");
    }
    let (_, status) = run(&mut lab, "client", "curl -s -m 2 http://10.96.0.81/");
    assert_eq!(status, 28, "an address of the range that no Service has");
    let local = SPEC.to_owned() + ", externalTrafficPolicy: Local";
    let mut lab = settled(&(pods(&TWO[1..]) + &service(&local) + &mode("nftables")));
    assert_eq!(run(&mut lab, "host/ext", "curl -s -m 2 http://192.168.1.10:30080/").1, 28);
    assert_eq!(run(&mut lab, "host/ext", "curl -s -m 2 http://192.168.1.11:30080/"), ("b".to_owned(), 0));
}

#[test]
fn the_mode_may_change_while_the_cluster_runs() {
    let text = |name: &str| pods(&TWO) + &service(SPEC) + &mode(name);
    let mut lab = settled(&text("iptables"));
    for (name, kept, gone) in [("nftables", "nft ", "KUBE-"), ("iptables", "nat -A KUBE-", "nft ")] {
        lab.apply(&text(name));
        lab.settle(SETTLE);
        assert_eq!(run(&mut lab, "client", "curl -s http://10.96.0.80/").1, 0);
        let answer = ask(&lab, "node1", "10.244.1.99 > 10.96.0.80:80/TCP");
        assert_eq!((answer.verdict, answer.endpoints.len()), (Verdict::Dnat, 2));
        let is_kept = answer.rules.iter().any(|rule| rule.starts_with(kept));
        let is_gone = answer.rules.iter().all(|rule| !rule.contains(gone) || rule.contains("KUBE-FIREWALL"));
        assert!(is_kept && is_gone, "{name}: {:#?}", answer.rules);
    }
}
