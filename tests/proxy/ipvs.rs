//! kube-proxy's IPVS mode with real packets: its virtual servers, sets and rules as the tools print them, and what becomes
//! of those who ask.

use super::nft::{SPEC, mode};
use super::{SETTLE, TWO, facts, fetched, flows, pods, read, run, service, settled};
use std::collections::BTreeMap;
use vethscope::base::SimTime;
use vethscope::lab::{Lab, Target};
use vethscope::trace::service_path::ServiceStep;

#[test]
fn packets_flow_as_ipvs_has_them() {
    let text = read("flows_ipvs.txt");
    let differs: BTreeMap<(&str, &str), &str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let [setup, packet, wanted] = line.split(" | ").collect::<Vec<_>>()[..] else { panic!("{line}") };
            ((setup, packet), wanted)
        })
        .collect();
    flows("ipvs", |setup, packet, _| differs.get(&(setup, packet)).map(|wanted| (*wanted).to_owned()));
}

/// `ipvsadm -Ln` without its three lines of headings.
fn servers(lab: &mut Lab, node: &str) -> String {
    let (text, status) = run(lab, node, "ipvsadm -Ln");
    assert_eq!(status, 0, "{text}");
    text.lines().skip(3).map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[test]
fn virtual_servers_sets_and_rules_are_printed_by_their_tools() {
    let mut lab = settled(&(pods(&TWO) + &service(SPEC) + &mode("ipvs")));
    let (text, _) = run(&mut lab, "node/node1", "ipvsadm -Ln");
    assert!(
        text.starts_with(
            "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n"
        ),
        "{text}"
    );
    let listed = servers(&mut lab, "node/node1");
    let two = "  -> 10.244.1.2:8080              Masq    1      0          0\n  -> 10.244.2.2:8080              Masq    1      0          0\n";
    for address in ["10.96.0.80:80", "10.244.1.1:30080", "192.168.1.10:30080"] {
        assert!(listed.contains(&format!("TCP  {address} rr\n{two}")), "{listed}");
    }
    let (text, _) = run(&mut lab, "node/node1", "ipset list KUBE-CLUSTER-IP");
    assert_eq!(
        text.lines().filter(|line| !line.starts_with("Header")).collect::<Vec<_>>(),
        [
            "Name: KUBE-CLUSTER-IP",
            "Type: hash:ip,port",
            "Revision: 7",
            "Size in memory: 312",
            "References: 3",
            "Number of entries: 2",
            "Members:",
            "10.96.0.1,tcp:443",
            "10.96.0.80,tcp:80",
        ]
    );
    let (text, _) = run(&mut lab, "node/node1", "ipset list KUBE-LOOP-BACK");
    assert!(text.ends_with("Members:\n10.244.1.2,tcp:8080,10.244.1.2\n"), "{text}");
    assert_eq!(run(&mut lab, "node/node1", "ipset test KUBE-IPVS-IPS 10.96.0.80").1, 0);
    assert_eq!(run(&mut lab, "node/node1", "ipset list none").1, 1);
    let (saved, _) = run(&mut lab, "node/node1", "iptables-save");
    for line in [
        "-A INPUT -m comment --comment \"kubernetes ipvs access filter\" -j KUBE-IPVS-FILTER\n-A INPUT -m comment --comment \"kube-proxy firewall rules\" -j KUBE-PROXY-FIREWALL\n",
        "-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set KUBE-IPVS-IPS dst -j REJECT --reject-with icmp-port-unreachable\n",
        "-A KUBE-POSTROUTING -m comment --comment \"Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose\" -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE\n",
        "-A KUBE-SERVICES -s 127.0.0.0/8 -j RETURN\n-A KUBE-SERVICES ! -s 10.244.0.0/16 -m comment --comment \"Kubernetes service cluster ip + port for masquerade purpose\" -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ\n-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT\n-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT\n",
        "-A KUBE-NODE-PORT -p tcp -m comment --comment \"Kubernetes nodeport TCP port for masquerade purpose\" -m set --match-set KUBE-NODE-PORT-TCP dst -j KUBE-MARK-MASQ\n",
    ] {
        assert!(saved.contains(line), "{line}\nis not in\n{saved}");
    }
    assert!(!saved.contains("KUBE-SVC"), "{saved}");
    let (device, _) = run(&mut lab, "node/node1", "ip addr show kube-ipvs0");
    assert!(device.contains("kube-ipvs0: <BROADCAST,NOARP> mtu 1500 qdisc noop state DOWN"), "{device}");
    assert!(device.contains("    inet 10.96.0.80/32 scope global kube-ipvs0\n"), "{device}");
}

#[test]
fn connections_are_given_in_turn_and_replies_come_from_the_service() {
    let mut lab = settled(&(pods(&TWO) + &service(SPEC) + &mode("ipvs")));
    for (place, url, masqueraded) in [
        ("client", "http://10.96.0.80/", false),
        ("node/node1", "http://10.96.0.80/", true),
        ("host/ext", "http://192.168.1.10:30080/", true),
    ] {
        let mut answers = Vec::new();
        for _ in 0..6 {
            let (answer, endpoint, facts) = fetched(&mut lab, place, url);
            let turn = facts.iter().find(|fact| fact.fact == ServiceStep::Turn).expect("an endpoint");
            assert_eq!(
                (turn.service.as_str(), turn.endpoint.as_str(), turn.one_of),
                ("default/web:http", &*endpoint, Some(2))
            );
            let is_masqueraded = facts.iter().any(|fact| fact.fact == ServiceStep::Masqueraded);
            assert_eq!(is_masqueraded, masqueraded, "{place} {url}: {facts:?}");
            answers.push(answer);
        }
        // Round robin: nobody twice in a row.
        assert!(answers.windows(2).all(|pair| pair[0] != pair[1]), "{place} {url}: {answers:?}");
    }
    let (text, _) = run(&mut lab, "node/node1", "ipvsadm -Lnc");
    assert!(text.starts_with("IPVS connection entries\npro expire state       source             virtual            destination\nTCP 01:"), "{text}");
    assert!(text.contains(" 10.96.0.80:80      10.244."), "{text}");
    assert!(
        servers(&mut lab, "node/node1").contains(
            "TCP  10.96.0.80:80 rr\n  -> 10.244.1.2:8080              Masq    1      0          6\n"
        )
    );
}

/// Who answers `count` questions in a row, with this scheduler, while the connection of `busy` stays open.
fn answers(scheduler: &str, busy: Option<&str>, count: usize) -> (Vec<String>, String) {
    let mode = mode("ipvs") + &format!("    ipvs: {{scheduler: {scheduler}}}\n");
    let mut lab = settled(&(pods(&TWO) + &service(SPEC) + &mode));
    if let Some(line) = busy {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        lab.start(&Target::parse("client", "default", None), &argv).expect("a place");
        lab.wait_until(SimTime(lab.now().0 + 1_000_000_000));
    }
    let answers = (0..count).map(|_| run(&mut lab, "client", "curl -s http://10.96.0.80/").0).collect();
    (answers, servers(&mut lab, "node/node1"))
}

#[test]
fn schedulers_choose_by_load_or_by_address() {
    let hold = "nc 10.96.0.80 80";
    let (rr, _) = answers("rr", Some(hold), 3);
    for scheduler in ["lc", "wlc", "sed", "nq"] {
        let (chosen, listed) = answers(scheduler, Some(hold), 3);
        assert!(listed.contains(&format!("TCP  10.96.0.80:80 {scheduler}\n")), "{listed}");
        // Who holds a connection counts for more than who has had some.
        assert_eq!(chosen, vec![rr[0].clone(); 3], "{scheduler}\n{listed}");
    }
    for scheduler in ["sh", "dh"] {
        let (chosen, _) = answers(scheduler, None, 3);
        assert!(chosen.iter().all(|one| *one == chosen[0]), "{scheduler}: {chosen:?}");
    }
    let (chosen, _) = answers("wrr", None, 4);
    assert!(chosen.windows(2).all(|pair| pair[0] != pair[1]), "{chosen:?}");
}

#[test]
fn a_pod_reaches_itself_and_a_client_keeps_its_server() {
    let sticky = "clusterIP: 10.96.0.80, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: 8080}]";
    let mut lab = settled(&(pods(&TWO[..1]) + &service(SPEC) + &mode("ipvs")));
    assert_eq!(run(&mut lab, "a", "curl -s -m 3 http://10.96.0.80/"), ("a".to_owned(), 0));
    let mut lab = settled(&(pods(&TWO) + &service(sticky) + &mode("ipvs")));
    let (first, _) = run(&mut lab, "client", "curl -s http://10.96.0.80/");
    for _ in 0..4 {
        let from = lab.trace().len();
        assert_eq!(run(&mut lab, "client", "curl -s http://10.96.0.80/"), (first.clone(), 0));
        assert!(facts(&lab, from).iter().any(|fact| fact.fact == ServiceStep::Kept));
    }
    assert!(servers(&mut lab, "node/node1").contains("TCP  10.96.0.80:80 rr persistent 10800\n"));
    let (text, _) = run(&mut lab, "node/node1", "ipvsadm -Lnc");
    assert!(text.contains("TCP 179:59  NONE        10.244.1.3:0       10.96.0.80:80"), "{text}");
    // After its time the client is forgotten, and another one has its turn.
    lab.wait_until(SimTime(lab.now().0 + 10_801_000_000_000));
    let from = lab.trace().len();
    assert_ne!(run(&mut lab, "client", "curl -s http://10.96.0.80/").0, first);
    assert!(facts(&lab, from).iter().any(|fact| fact.fact == ServiceStep::Turn));
}

#[test]
fn what_no_server_takes_is_refused() {
    let mut lab = settled(&(pods(&[]) + &service(SPEC) + &mode("ipvs")));
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
    let from = lab.trace().len();
    run(&mut lab, "client", "curl -s -m 2 http://10.96.0.80/");
    assert!(facts(&lab, from).iter().any(|fact| fact.fact == ServiceStep::NoEndpoint));
    // Who is asked for an echo refuses as well, for the address is none of its own.
    let (text, status) = run(&mut lab, "client", "ping -c1 -W1 10.96.0.80");
    assert!(status == 1 && text.contains("Destination Port Unreachable"), "{text}");
}

#[test]
fn a_server_that_goes_takes_no_new_connections_and_the_mode_may_change() {
    let text = pods(&TWO) + &service(SPEC);
    let mut lab = settled(&(text.clone() + &mode("ipvs")));
    for _ in 0..2 {
        assert_eq!(run(&mut lab, "client", "curl -s http://10.96.0.80/").1, 0);
    }
    lab.apply(&(pods(&TWO[..1]) + &service(SPEC) + &mode("ipvs")));
    lab.settle(SETTLE);
    let listed = servers(&mut lab, "node/node1");
    assert!(
        listed.contains("TCP  10.96.0.80:80 rr\n  -> 10.244.1.2:8080              Masq    1"),
        "{listed}"
    );
    assert!(!listed.contains("10.244.2.2:8080              Masq    1"), "{listed}");
    for _ in 0..3 {
        assert_eq!(run(&mut lab, "client", "curl -s http://10.96.0.80/"), ("a".to_owned(), 0));
    }
    lab.apply(&(text.clone() + &mode("iptables")));
    lab.settle(SETTLE);
    let (saved, _) = run(&mut lab, "node/node1", "iptables-save");
    assert!(saved.contains("KUBE-SVC") && !saved.contains("KUBE-IPVS-FILTER"), "{saved}");
    assert_eq!(servers(&mut lab, "node/node1"), "");
    assert_eq!(run(&mut lab, "node/node1", "ip link show kube-ipvs0").1, 1);
    assert_eq!(run(&mut lab, "client", "curl -s -m 3 http://10.96.0.80/").1, 0);
    lab.apply(&(text + &mode("ipvs")));
    lab.settle(SETTLE);
    let (saved, _) = run(&mut lab, "node/node1", "iptables-save");
    assert!(!saved.contains("KUBE-SVC") && saved.contains("KUBE-IPVS-FILTER"), "{saved}");
    assert_eq!(run(&mut lab, "client", "curl -s -m 3 http://10.96.0.80/").1, 0);
}
