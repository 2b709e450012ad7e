//! CoreDNS at work in a cluster: its Corefile edited while it runs, upstream servers that fail, answers that do not fit.

use super::wire::{ONE_SERVER, run};
use std::fmt::Write as _;
use vethscope::base::{Duration, Severity};
use vethscope::lab::Lab;
use vethscope::scene::questions::{Exchange, Questions};
use vethscope::trace::{Disposition, DropReason, EventKind};
use vethscope::wire::dns::{self, Edns};

/// Longer than the kubelet and the plugin `reload` take together.
const RELOADED: Duration = Duration::from_secs(180);

/// A cluster with this server block, a router that knows `example.com`, and a Service of 60 endpoints.
fn cluster(block: &str) -> String {
    let mut text = "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  external:\n  - {name: gw, address: 192.168.1.1, router: true}\n  - {name: example.com, address: 203.0.113.10, behind: gw}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: gnu}\nspec: {nodeName: node2, containers: [{name: c, image: debian, command: [sleep, infinity]}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: many}\nspec: {clusterIP: None, ports: [{port: 80}]}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: many-1, labels: {kubernetes.io/service-name: many}}\naddressType: IPv4\nports: [{port: 80}]\nendpoints:\n".to_owned();
    for at in 1..=60 {
        writeln!(text, "- {{addresses: [10.244.9.{at}]}}").unwrap();
    }
    text += "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: coredns, namespace: kube-system}\ndata:\n  Corefile: |\n    .:53 {\n";
    for line in block.lines() {
        writeln!(text, "      {line}").unwrap();
    }
    text + "    }\n"
}

fn apply(lab: &mut Lab, block: &str) {
    let errors: Vec<_> =
        lab.apply(&cluster(block)).into_iter().filter(|found| found.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let limit = lab.now() + Duration::from_secs(60);
    lab.settle(limit);
}

fn started(block: &str) -> Lab {
    let mut lab = Lab::new(1);
    apply(&mut lab, block);
    lab
}

/// Everything that processes wrote so far.
fn log(lab: &Lab) -> String {
    let trace = lab.trace();
    let texts = trace.events.iter().filter_map(|event| {
        let EventKind::Wrote(output) = event.kind else { return None };
        Some(trace.outputs[output.index()].text.as_str())
    });
    texts.collect()
}

const HOSTS: &str =
    "errors\nhosts {\n  192.0.2.1 a.test\n  fallthrough\n}\nforward . 192.168.1.1\nreload 30s\n";

#[test]
fn an_edited_corefile_takes_the_place_of_the_old_one() {
    let mut lab = started(HOSTS);
    assert_eq!(run(&mut lab, "gnu", "dig +short a.test").0, "192.0.2.1\n");
    apply(&mut lab, &HOSTS.replace("192.0.2.1", "192.0.2.2"));
    // Until the kubelet has written the file and the plugin has looked at it, the old one answers.
    assert_eq!(run(&mut lab, "gnu", "dig +short a.test").0, "192.0.2.1\n");
    let later = lab.now() + RELOADED;
    lab.wait_until(later);
    assert_eq!(run(&mut lab, "gnu", "dig +short a.test").0, "192.0.2.2\n");
    // One that cannot be read leaves the old one in its place, and says so.
    apply(&mut lab, "nosuchplugin\n");
    let later = lab.now() + RELOADED;
    lab.wait_until(later);
    assert_eq!(run(&mut lab, "gnu", "dig +short a.test").0, "192.0.2.2\n");
    assert!(log(&lab).contains("plugin/reload: Corefile changed but reload failed"), "{}", log(&lab));
}

#[test]
fn a_dead_upstream_server_is_passed_over_once_it_is_known() {
    let mut lab = started("errors\nforward . 192.168.1.77 192.168.1.1 {\n  policy sequential\n}\n");
    let asked = |lab: &mut Lab| {
        let began = lab.now();
        let (out, _, _) = run(lab, "gnu", "dig +short example.com.");
        (out, lab.now().since(began))
    };
    let (out, slow) = asked(&mut lab);
    assert_eq!(out, "203.0.113.10\n");
    assert!(slow >= Duration::from_secs(2), "nobody answers there: {slow:?}");
    // Both replicas have met it, and their health checks have failed often enough.
    for _ in 0..8 {
        asked(&mut lab);
    }
    let later = lab.now() + Duration::from_secs(10);
    lab.wait_until(later);
    for _ in 0..8 {
        let (out, quick) = asked(&mut lab);
        assert_eq!(out, "203.0.113.10\n");
        assert!(quick < Duration::from_secs(1), "it is known to be dead: {quick:?}");
    }
}

#[test]
fn more_questions_at_once_than_may_be_are_refused() {
    let mut lab = started("errors\nforward . 192.168.1.77 {\n  max_concurrent 1\n}\n");
    let (_, status, _) = run(&mut lab, "gnu", "getent ahosts example.com.");
    assert_eq!(status, 2);
    assert!(log(&lab).contains("concurrent queries exceeded maximum 1"), "{}", log(&lab));
}

#[test]
fn an_answer_that_does_not_fit_comes_over_tcp() {
    let mut lab = started("errors\nkubernetes cluster.local\n");
    let (out, _, _) = run(&mut lab, "gnu", "dig +noedns +noall +comments many.default.svc.cluster.local");
    assert!(out.starts_with(";; Truncated, retrying in TCP mode.\n"), "{out}");
    assert!(out.contains("ANSWER: 60,"), "{out}");
    let (out, _, _) =
        run(&mut lab, "gnu", "dig +noedns +ignore +noall +comments many.default.svc.cluster.local");
    assert!(out.contains("flags: qr aa tc rd"), "{out}");
    let (out, status, _) = run(&mut lab, "gnu", "getent ahosts many");
    assert_eq!((out.lines().count(), status), (180, 0));
}

/// Both questions of the first lookup wait for ARP and then come to the node one behind the other: the second one belongs
/// to the connection of the first, so neither is lost.
#[test]
fn the_first_lookup_of_a_pod_loses_no_question() {
    for seed in 1..6 {
        let mut lab = Lab::new(seed);
        lab.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: c}\nspec: {containers: [{name: m, image: debian, command: [sleep, infinity]}]}\n");
        let limit = lab.now() + Duration::from_secs(60);
        lab.settle(limit);
        let ran = run(&mut lab, "c", "getent ahosts kubernetes");
        assert!(ran.0.contains("10.96.0.1"), "seed {seed}: {ran:?}");
        let lost = |kind: &EventKind| {
            matches!(kind, EventKind::Ended(Disposition::Dropped(DropReason::NetfilterDrop)))
        };
        assert_eq!(lab.trace().events.iter().filter(|event| lost(&event.kind)).count(), 0, "seed {seed}");
    }
}

/// The plugin halts the server as the real one does, and the kubelet starts it again, later and later.
#[test]
fn a_loop_halts_the_server_which_then_backs_off() {
    let mut lab = started("errors\nloop\nforward . 127.0.0.1\n");
    let halts = log(&lab).matches("[FATAL] plugin/loop: Loop (127.0.0.1:").count();
    assert!(halts >= 2, "{}", log(&lab));
    assert!(log(&lab).contains(
        "detected for zone \".\", see https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO "
    ));
    let (_, status, _) = run(&mut lab, "gnu", "getent hosts example.com");
    assert_eq!(status, 2, "no CoreDNS is left to answer");
    let pods = run(&mut lab, "gnu", "kubectl get pods -n kube-system").0;
    assert_eq!(pods.matches("CrashLoopBackOff").count(), 2, "{pods}");
}

/// A Corefile that is looked at again and again without a change is no loop.
#[test]
fn coredns_runs_on_under_reload_and_loop() {
    let mut lab = started("errors\nloop\nforward . 192.168.1.1\nreload 30s\n");
    let later = lab.now() + Duration::from_secs(300);
    lab.wait_until(later);
    let pods = run(&mut lab, "gnu", "kubectl get pods -n kube-system").0;
    assert_eq!(pods.matches("1/1     Running   0 ").count(), 2, "{pods}");
}

/// How often each of three upstream servers was asked by either CoreDNS, in order.
fn asked(policy: &str) -> Vec<Vec<String>> {
    let servers = "192.168.1.1 192.168.1.2 192.168.1.3";
    let text = cluster(&format!("errors\nforward . {servers} {{\n  policy {policy}\n}}\n"));
    let more = "  - {name: gw2, address: 192.168.1.2, router: true}\n  - {name: gw3, address: 192.168.1.3, router: true}\n  - {name: example.com";
    let mut lab = Lab::new(1);
    lab.apply(&text.replacen("  - {name: example.com", more, 1));
    let limit = lab.now() + Duration::from_secs(60);
    lab.settle(limit);
    for _ in 0..12 {
        assert_eq!(run(&mut lab, "gnu", "dig +short example.com.").0, "203.0.113.10\n");
    }
    let mut questions = Questions::default();
    questions.extend(lab.trace());
    let mut by_client = std::collections::BTreeMap::<_, Vec<String>>::new();
    for one in questions.list().iter().filter(|one| one.ends.1.0.to_string().starts_with("192.168.1.")) {
        by_client.entry(one.ends.0.0).or_default().push(one.ends.1.0.to_string());
    }
    by_client.into_values().collect()
}

/// `Proxy.lookupDNS` sends the client's own message, with an identifier of its own; `bufsize` has lowered its size.
#[test]
fn a_forwarded_question_keeps_its_flags_and_options() {
    let mut lab = started("bufsize 1000\nforward . 192.168.1.1\n");
    let options = "+cdflag +noadflag +dnssec +bufsize=4000 +nsid +cookie=0123456789abcdef";
    run(&mut lab, "gnu", &format!("dig {options} example.com."));
    let mut questions = Questions::default();
    questions.extend(lab.trace());
    let to_router = |at: &&Exchange| at.ends.1.0.to_string() == "192.168.1.1";
    let upstream = questions.list().iter().find(to_router).expect("the router is asked");
    let query = &upstream.query;
    let flags = [dns::RD, dns::CD, dns::AD].map(|flag| query.has(flag));
    assert_eq!((flags, query.questions[0].name.as_str()), ([true, true, false], "example.com."));
    let cookie = vec![0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    let options = vec![(3, Vec::new()), (10, cookie)];
    assert_eq!(query.edns, Some(Edns { udp_size: 1000, version: 0, dnssec_ok: true, options }));
}

/// `plugin/forward/policy.go`: round robin begins with the second server, for it counts before it looks.
#[test]
fn upstream_servers_are_asked_by_their_policy() {
    assert!(asked("sequential").iter().flatten().all(|server| server == "192.168.1.1"));
    for own in asked("round_robin") {
        let wanted = ["192.168.1.2", "192.168.1.3", "192.168.1.1"].into_iter().cycle();
        assert!(own.iter().zip(wanted).all(|(got, wanted)| got == wanted), "{own:?}");
    }
    let random = asked("random");
    let mut all: Vec<&String> = random.iter().flatten().collect();
    assert_eq!(all.len(), 12);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 3, "each had its turn");
}

/// A zone of 600 addresses in a file beside the Corefile, and a cluster whose CoreDNS serves it by this server block.
fn with_zone_file(block: &str) -> Lab {
    let mut text = cluster(block);
    text += "  db.test: |\n    @ IN SOA ns admin 7 7200 1800 86400 60\n    @ IN NS ns\n    ns IN A 192.0.2.1\n    info IN CAA 0 issue \"ca.example\"\n";
    for at in 0..600 {
        writeln!(text, "    h{at:03} IN A 10.1.{}.{}", at / 200, at % 200).unwrap();
    }
    // kubeadm's Deployment mounts the Corefile alone.
    text += ONE_SERVER;
    let mut lab = Lab::new(1);
    let errors: Vec<_> =
        lab.apply(&text).into_iter().filter(|found| found.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let limit = lab.now() + Duration::from_secs(60);
    lab.settle(limit);
    lab
}

/// A zone comes whole, in several messages where it is large, its start of authority at both ends (RFC 5936).
#[test]
fn a_zone_is_handed_to_those_who_may_have_it() {
    let mut lab = with_zone_file(
        "transfer {\n  to *\n}\nkubernetes cluster.local\nfile /etc/coredns/db.test zone.test\n",
    );
    let (out, status, _) = run(&mut lab, "gnu", "dig zone.test axfr");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((status, lines.len()), (0, 613), "{out}");
    assert_eq!(
        lines[3..6],
        [
            "zone.test.\t\t3600\tIN\tSOA\tns.zone.test. admin.zone.test. 7 7200 1800 86400 60",
            "zone.test.\t\t3600\tIN\tNS\tns.zone.test.",
            "h000.zone.test.\t\t3600\tIN\tA\t10.1.0.0",
        ]
    );
    assert_eq!(lines[3..608].last(), Some(&lines[3]), "it ends as it begins");
    assert!(lines.contains(&"info.zone.test.\t\t3600\tIN\tCAA\t0 issue \"ca.example\""));
    assert!(
        lines.iter().any(|line| line.starts_with(";; XFR size: 605 records (messages 2, bytes ")),
        "{out}"
    );
    assert!(!out.contains("ANSWER SECTION") && out.contains("(TCP)"), "{out}");
    let (out, ..) = run(&mut lab, "gnu", "host -l zone.test.");
    assert_eq!(out.lines().next(), Some("zone.test name server ns.zone.test."));
    assert_eq!(out.lines().count(), 602, "neither the start of authority nor the CAA record");
    let (out, ..) = run(&mut lab, "gnu", "host -t caa info.zone.test");
    assert_eq!(out, "info.zone.test has CAA record 0 issue \"ca.example\"\n");
    let (out, ..) = run(&mut lab, "gnu", "dig +noall +answer cluster.local axfr");
    let of = |what: &str| out.lines().filter(|line| line.contains(what)).count();
    assert_eq!((of("\tSOA\t"), of("\tNS\t")), (2, 1), "{out}");
    // Each end of a headless Service has the Service's name and one of its own.
    assert_eq!((of("many.default.svc.cluster.local."), of("10-244-9-1.many")), (120, 1), "{out}");
    assert_eq!(of("_dns._udp.kube-dns.kube-system.svc.cluster.local."), 1, "{out}");
    assert!(
        log(&lab).contains("plugin/transfer: Outgoing transfer of 605 records of zone zone.test. to 10.244.")
    );
    for block in [
        "transfer {\n  to 192.0.2.9\n}\nfile /etc/coredns/db.test zone.test\n",
        "file /etc/coredns/db.test zone.test\n",
    ] {
        let mut lab = with_zone_file(block);
        let (out, ..) = run(&mut lab, "gnu", "dig +noall +answer zone.test axfr");
        assert_eq!(out, "; Transfer failed.\n", "{block}");
    }
}

/// An alias of the cluster stands in the answer also where nobody can say what is behind it (`plugin.A` of CoreDNS).
#[test]
fn an_external_name_is_told_though_its_server_is_dead() {
    let mut text = cluster("errors\nkubernetes cluster.local\nforward . 192.168.1.77\n");
    text += "---\napiVersion: v1\nkind: Service\nmetadata: {name: out}\nspec: {type: ExternalName, externalName: example.com}\n";
    let mut lab = Lab::new(1);
    lab.apply(&text);
    let limit = lab.now() + Duration::from_secs(60);
    lab.settle(limit);
    let (out, ..) =
        run(&mut lab, "gnu", "dig +noall +comments +answer +timeout=20 out.default.svc.cluster.local");
    assert!(out.contains("status: NOERROR"), "{out}");
    assert!(out.contains("out.default.svc.cluster.local. 5 IN\tCNAME\texample.com."), "{out}");
}

/// `rewrite cname` leads an alias elsewhere, with the records from there.
#[test]
fn an_alias_of_an_answer_is_led_elsewhere() {
    let zone = "template IN A {\n  match ^(old|new)[.]test[.]$\n  answer \"{{ .Name }} 60 IN A 192.0.2.7\"\n  fallthrough\n}\ntemplate IN A {\n  match ^www[.]test[.]$\n  answer \"{{ .Name }} 60 IN CNAME old.test.\"\n}\n";
    let ask = |rule: &str| {
        let mut lab = started(&format!("{rule}{zone}"));
        run(&mut lab, "gnu", "dig +short www.test").0
    };
    assert_eq!(ask(""), "old.test.\n");
    for rule in [
        "rewrite cname old.test new.test\n",
        "rewrite stop cname exact old.test. new.test.\n",
        "rewrite cname prefix old new\n",
        "rewrite cname suffix old.test. new.test.\n",
        "rewrite cname substring ld ew\nrewrite cname exact oew.test new.test\n",
        "rewrite cname regex ^o..[.](.*)$ new.{1}\n",
    ] {
        let wanted = if rule.contains("substring") { "oew.test.\n" } else { "new.test.\n192.0.2.7\n" };
        assert_eq!(ask(rule), wanted, "{rule}");
    }
}
