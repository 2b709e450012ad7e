//! Names looked up by programs in a cluster, packet by packet: the questions that reach CoreDNS, and what is printed.

use vethscope::base::words::Lang;
use vethscope::base::{Severity, SimTime};
use vethscope::lab::lookups::{self, LookupComparison, LookupError};
use vethscope::lab::{Lab, Target};

/// A cluster with a Service that has an endpoint, and a Pod of each C library.
const CLUSTER: &str = "apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec: {nodeName: node1, containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: www}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: gnu}
spec: {nodeName: node2, containers: [{name: c, image: debian, command: [sleep, infinity]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: musl}
spec:
  nodeName: node2
  dnsConfig: {options: [{name: ndots, value: \"2\"}]}
  containers: [{name: c, image: 'curlimages/curl', command: [sleep, infinity]}]
---
apiVersion: v1
kind: Pod
metadata: {name: two-dots}
spec:
  nodeName: node2
  dnsConfig: {options: [{name: ndots, value: \"2\"}]}
  containers: [{name: c, image: debian, command: [sleep, infinity]}]
";

pub(super) fn settled() -> Lab {
    let mut lab = Lab::new(1);
    let errors: Vec<_> =
        lab.apply(CLUSTER).into_iter().filter(|found| found.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    lab.settle(SimTime(60_000_000_000));
    // The cluster's DNS comes with the first command that needs it.
    lab.need_names(&Target::parse("gnu", "default", None), &["dig".to_owned()]);
    lab
}

/// Output and status of a command, and the questions that CoreDNS took meanwhile.
pub(super) fn run(lab: &mut Lab, pod: &str, command: &str) -> (String, u8, Vec<String>) {
    let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let before = lab.live().names.len();
    let from = lab.trace().len();
    let process = lab.start(&Target::parse(pod, "default", None), &argv).unwrap();
    lab.finish(process, SimTime(u64::MAX));
    let out = lab.trace().written(from, process);
    let status = lab.status(process).unwrap();
    let rows = lab.live().names.iter().skip(before).map(|(_, row)| row);
    // A CNAME is followed through the server once more; only what the client asked counts.
    let asked = rows.filter(|row| {
        row.did == "dns.server.block" && *row.question == format!("{} {}", row.args[1], row.args[2])
    });
    let questions = asked.map(|row| row.question.to_string()).collect();
    (out, status, questions)
}

#[test]
fn a_name_becomes_the_questions_that_its_library_asks() {
    let mut lab = settled();
    let both = |names: &[&str]| -> Vec<String> {
        names.iter().flat_map(|name| [format!("{name} A"), format!("{name} AAAA")]).collect()
    };
    let cluster = |name: &str| {
        ["default.svc.cluster.local.", "svc.cluster.local.", "cluster.local."]
            .map(|zone| format!("{name}.{zone}"))
    };
    let [a, b, c] = cluster("example.com");
    for (pod, name, names) in [
        ("gnu", "web", vec!["web.default.svc.cluster.local."]),
        ("gnu", "example.com", vec![&a, &b, &c, "example.com."]),
        ("gnu", "example.com.", vec!["example.com."]),
        // One dot is less than two, and three are more.
        ("two-dots", "example.com", vec![&a, &b, &c, "example.com."]),
        ("two-dots", "web.default.svc.cluster.local", vec!["web.default.svc.cluster.local."]),
        ("musl", "web.default.svc.cluster.local", vec!["web.default.svc.cluster.local."]),
    ] {
        let (_, status, questions) = run(&mut lab, pod, &format!("getent ahosts {name}"));
        assert_eq!((questions, status), (both(&names), 0), "{pod} {name}");
    }
    // musl does not come back to the search list once the name has enough dots.
    let (_, status, questions) = run(&mut lab, "musl", "getent ahosts a.b.web");
    assert_eq!((questions, status), (both(&["a.b.web."]), 2));
}

#[test]
fn programs_reach_a_service_by_its_name() {
    let mut lab = settled();
    for (command, wanted, status) in [
        ("getent hosts web", "10.96.0.80      web.default.svc.cluster.local\n", 0),
        ("getent hosts nosuch", "", 2),
        (
            "nslookup web",
            ";; Got recursion not available from 10.96.0.10\nServer:\t\t10.96.0.10\nAddress:\t10.96.0.10#53\n\nName:\tweb.default.svc.cluster.local\nAddress: 10.96.0.80\n;; Got recursion not available from 10.96.0.10\n\n",
            0,
        ),
        (
            "nslookup nosuch",
            ";; Got recursion not available from 10.96.0.10\n;; Got recursion not available from 10.96.0.10\n;; Got recursion not available from 10.96.0.10\nServer:\t\t10.96.0.10\nAddress:\t10.96.0.10#53\n\n** server can't find nosuch: NXDOMAIN\n\n",
            1,
        ),
        (
            "nslookup 10.96.0.80",
            ";; Got recursion not available from 10.96.0.10\n80.0.96.10.in-addr.arpa\tname = web.default.svc.cluster.local.\n\n",
            0,
        ),
        (
            "getent hosts www",
            "10.96.0.80      web.default.svc.cluster.local www.default.svc.cluster.local\n",
            0,
        ),
        (
            "getent bogus x",
            "Unknown database: bogus\nTry `getent --help' or `getent --usage' for more information.\n",
            1,
        ),
        ("host -t MX web", "web.default.svc.cluster.local has no MX record\n", 0),
        ("host -t bogus web", "host: invalid type: bogus\n\n", 2),
        (
            "dig -p abc web",
            "invalid port number 'abc': not a valid number\ndig: Couldn't parse port number\n",
            1,
        ),
        (
            "dig +noques +nocomm +nostat +nocmd -x bogus",
            ".\t\t\t30\tIN\tSOA\ta.root-servers.net. nstld.verisign-grs.com. 2026010100 1800 900 604800 86400\n",
            0,
        ),
        (
            "dig +noall +answer +ttlunits web.default.svc.cluster.local",
            "web.default.svc.cluster.local. 30s IN\tA\t10.96.0.80\n",
            0,
        ),
        ("host web", "web.default.svc.cluster.local has address 10.96.0.80\n", 0),
        ("host nosuch", "Host nosuch not found: 3(NXDOMAIN)\n", 1),
        (
            "host 10.96.0.80",
            "80.0.96.10.in-addr.arpa domain name pointer web.default.svc.cluster.local.\n",
            0,
        ),
        ("dig +short www.default.svc.cluster.local", "web.default.svc.cluster.local.\n10.96.0.80\n", 0),
        (
            "dig +noall +answer web.default.svc.cluster.local",
            "web.default.svc.cluster.local. 30 IN\tA\t10.96.0.80\n",
            0,
        ),
        ("dig +short +tcp example.com", "203.0.113.10\n", 0),
        ("curl -s -o /dev/null -w %{http_code} http://web/", "200", 0),
        ("ping -c1 nosuch", "ping: nosuch: Name or service not known\n", 2),
    ] {
        let (out, ended, _) = run(&mut lab, "gnu", command);
        assert_eq!((out.as_str(), ended), (wanted, status), "{command}");
    }
}

#[test]
fn a_server_that_is_silent_is_a_temporary_failure() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  dnsPolicy: None\n  dnsConfig: {nameservers: [192.168.1.77], options: [{name: timeout, value: \"1\"}]}\n  containers: [{name: c, image: debian, command: [sleep, infinity]}]\n";
    let mut lab = Lab::new(1);
    lab.apply(text);
    lab.settle(SimTime(60_000_000_000));
    lab.need_names(&Target::parse("p", "default", None), &["dig".to_owned()]);
    let began = lab.now();
    let (out, status, _) = run(&mut lab, "p", "ping -c1 web");
    assert_eq!((out.as_str(), status), ("ping: web: Temporary failure in name resolution\n", 2));
    // Two attempts of one second.
    assert_eq!(lab.now().since(began).0 / 1_000_000_000, 2);
}

#[test]
fn ways_to_look_a_name_up_are_compared() {
    let from = Target::parse("gnu", "default", None);
    let rows = lookups::compare(CLUSTER, &from, "web.default.svc");
    let costs: Vec<_> = rows.iter().map(|row| row.cost.as_ref().unwrap()).collect();
    let names: Vec<String> = rows.iter().map(|row| row.way.text(Lang::En)).collect();
    let counted: Vec<(&str, usize, usize)> =
        names.iter().zip(&costs).map(|(way, cost)| (way.as_str(), cost.questions, cost.failed)).collect();
    // Three names of the search list, A and AAAA each; with two dots enough the name as it is comes before them.
    assert_eq!(
        counted[..5],
        [
            ("glibc, ndots:5", 6_000, 0),
            ("glibc, ndots:2", 8_000, 0),
            ("glibc, the whole name with its dot", 2_000, 0),
            ("glibc, single-request", 6_000, 0),
            ("musl", 6_000, 0),
        ]
    );
    // A server that hangs is asked again from the same socket, so that the same one is chosen again: ten seconds for
    // each name, and the name as it is after that.
    let (killed, hangs) = (costs[6], costs[7]);
    // One that is killed leaves its Service, so that it costs less.
    assert!(killed.mean_us < hangs.mean_us && killed.failed <= hangs.failed, "{killed:?} {hangs:?}");
    assert!(hangs.failed > 0 && hangs.mean_us > 1_000_000, "{hangs:?}");
    assert!(costs[..5].iter().all(|cost| cost.mean_us < 10_000), "{rows:?}");
    let table = lookups::table(&rows, Lang::En);
    assert_eq!(table.lines().count(), 12, "{table}");
    // A cache on the node keeps nearly all questions from CoreDNS.
    assert!(costs[5].questions < 500 && costs[5].failed == 0, "{:?}", costs[5]);
    // Nobody remembers, nothing is stale; who remembers is wrong until the time of the record is over.
    assert_eq!(costs[8].stale, 0, "{table}");
    assert!(costs[9].stale > 0 && costs[10].stale > 0, "{table}");
    // The way says which library asks, also in a Pod whose image has the other one: musl would not search at all here.
    let rows = lookups::compare(CLUSTER, &Target::parse("musl", "default", None), "web.default.svc");
    let cost = rows[1].cost.as_ref().unwrap();
    assert_eq!((cost.questions, cost.failed), (8_000, 0), "{rows:?}");
}

#[test]
fn a_comparison_bit_by_bit_comes_to_the_same_rows_one_way_after_the_other() {
    let from = Target::parse("gnu", "default", None);
    let mut work = LookupComparison::new(CLUSTER, &from, "web");
    let (mut bits, mut seen) = (0, Vec::new());
    loop {
        let more = work.advance();
        bits += 1;
        if work.rows.len() > seen.len() {
            seen.push(bits);
        }
        if !more {
            break;
        }
    }
    // A cluster that comes up, then the lookups; the row is there with the last of them.
    let each = lookups::LOOKUPS + 1;
    assert_eq!(seen, (1..=lookups::WAYS.len()).map(|way| way * each).collect::<Vec<_>>());
    assert_eq!(work.rows, lookups::compare(CLUSTER, &from, "web"));
    assert!(!work.advance());
}

/// A CoreDNS of the user's own, of which there is one; the rest of the DNS comes as usual.
pub(super) const ONE_SERVER: &str = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  replicas: 1
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec:
      dnsPolicy: Default
      containers:
      - name: coredns
        image: registry.k8s.io/coredns/coredns:v1.12.1
        args: [-conf, /etc/coredns/Corefile]
        volumeMounts: [{name: config, mountPath: /etc/coredns}]
      volumes: [{name: config, configMap: {name: coredns}}]
";

#[test]
fn a_way_that_cannot_be_tried_says_why_in_its_own_row() {
    let text = CLUSTER.to_owned() + ONE_SERVER;
    let from = Target::parse("gnu", "default", None);
    let rows = lookups::compare(&text, &from, "web");
    assert!(rows[..5].iter().all(|row| row.cost.is_ok()), "{rows:?}");
    assert!(rows[6..8].iter().all(|row| row.cost == Err(LookupError::OneServer)), "{rows:?}");
    let table = lookups::table(&rows, Lang::En);
    let last = table.lines().nth(8).unwrap();
    assert_eq!(
        last.split("  ").filter(|word| !word.is_empty()).map(str::trim).collect::<Vec<_>>(),
        ["glibc, one of two CoreDNS hangs", "there are no two CoreDNS of which one could be lost"]
    );
    let rows = lookups::json(&rows, Lang::En);
    assert_eq!(rows[6]["error"], "there are no two CoreDNS of which one could be lost");
    assert_eq!(rows[0]["failed"], 0);
    let rows = lookups::compare(CLUSTER, &Target::parse("nobody", "default", None), "web");
    assert!(
        rows.iter().all(|row| matches!(&row.cost, Err(LookupError::Refused(why)) if why.contains("nobody")))
    );
}

/// BIND's programs refuse a name that cannot be one before they send anything (`setup_lookup` of `dighost.c`).
#[test]
fn a_name_that_cannot_be_one_is_refused_at_once() {
    let mut lab = settled();
    let long = "a".repeat(64);
    let dotted = ["abcdefghi"; 27].join(".");
    let syntax = "is not in legal name syntax";
    let cases = [
        (format!("host {long}"), format!("host: '{long}' {syntax} (label too long)\n"), 1),
        (format!("nslookup {long}.x"), format!("nslookup: '{long}.x' {syntax} (label too long)\n"), 1),
        ("host a..b".to_owned(), format!("host: 'a..b' {syntax} (empty label)\n"), 1),
        ("host a..b.".to_owned(), format!("host: 'a..b.' {syntax} (empty label)\n"), 1),
        (format!("dig {dotted}"), format!("dig: '{dotted}' is not a legal name (ran out of space)\n"), 10),
        (
            format!("nslookup {dotted}"),
            format!("nslookup: '{dotted}' is not a legal name (ran out of space)\n"),
            10,
        ),
        ("dig a..b".to_owned(), "dig: 'a..b' is not a legal name (empty label)\n".to_owned(), 10),
        ("dig +search a..b".to_owned(), format!("dig: 'a..b' {syntax} (empty label)\n"), 1),
    ];
    for (command, wanted, ended) in cases {
        let (out, status, asked) = run(&mut lab, "gnu", &command);
        assert_eq!((out.as_str(), status, asked.len()), (wanted.as_str(), ended, 0), "{command}");
    }
    // What only the search list makes too long is asked for as it is.
    let fits = ["abcdefghi"; 24].join(".");
    let (out, status, asked) = run(&mut lab, "gnu", &format!("dig +search +ndots=40 +short {fits}"));
    assert_eq!((out.as_str(), status, asked.last()), ("", 0, Some(&format!("{fits}. A"))));
}

/// The cluster, with one more Pod whose locale is one of UTF-8.
fn with_locale() -> Lab {
    let text = CLUSTER.to_owned()
        + "---
apiVersion: v1
kind: Pod
metadata: {name: utf8}
spec:
  containers: [{name: c, image: debian, env: [{name: LANG, value: C.UTF-8}], command: [sleep, infinity]}]
";
    let mut lab = Lab::new(1);
    lab.apply(&text);
    lab.settle(SimTime(60_000_000_000));
    lab.need_names(&Target::parse("gnu", "default", None), &["dig".to_owned()]);
    lab
}

/// Names beyond ASCII, as Debian 12's tools take them in the locale `C` of a container that sets none.
#[test]
fn a_name_beyond_ascii_is_refused_in_the_locale_c() {
    let mut lab = with_locale();
    let not_encoded = "Parameter string not correctly encoded";
    let none = Vec::new;
    for (pod, command, wanted, status, asked) in [
        ("gnu", "ping -c1 bücher.example", format!("ping: bücher.example: {not_encoded}\n"), 2, none()),
        ("gnu", "tracepath bücher.example", format!("tracepath: bücher.example: {not_encoded}\n"), 1, none()),
        (
            "gnu",
            "curl -sS http://bücher.example/",
            "curl: (3) URL using bad/illegal format or missing URL\n".to_owned(),
            3,
            none(),
        ),
        ("gnu", "getent ahosts bücher.example", String::new(), 2, none()),
        ("gnu", "getent hosts bücher.example", String::new(), 2, none()),
        (
            "gnu",
            "dig +idnin bücher.example",
            "dig: 'bücher.example' is not a legal IDNA2008 name (could not convert string to UTF-8), use +noidnin\n"
                .to_owned(),
            1,
            none(),
        ),
        (
            "gnu",
            "dig +noidnin +noall +question bücher.example",
            ";b\\195\\188cher.example.\t\tIN\tA\n".to_owned(),
            0,
            vec!["b\\195\\188cher.example. A".to_owned()],
        ),
    ] {
        let (out, ended, questions) = run(&mut lab, pod, command);
        assert_eq!((out, ended, questions), (wanted, status, asked), "{pod}: {command}");
    }
}

/// The same where the locale is one of UTF-8: libidn2 turns them into Punycode. musl sends the bytes as they are.
#[test]
fn a_name_beyond_ascii_is_converted_where_the_locale_has_it() {
    let mut lab = with_locale();
    let search = |name: &str| -> Vec<String> {
        let zones = ["default.svc.cluster.local.", "svc.cluster.local.", "cluster.local.", ""];
        let names = zones.map(|zone| format!("{name}.{zone}"));
        names.iter().flat_map(|name| [format!("{name} A"), format!("{name} AAAA")]).collect()
    };
    let puny = "xn--bcher-kva.example";
    for (pod, command, wanted, status, asked) in [
        ("utf8", "getent ahosts bücher.example", String::new(), 2, search(puny)),
        ("utf8", "getent hosts bücher.example", String::new(), 2, Vec::new()),
        (
            "utf8",
            "ping -c1 BÜCHER.example",
            "ping: BÜCHER.example: Name or service not known\n".to_owned(),
            2,
            search(puny),
        ),
        (
            "utf8",
            "curl -sS http://bücher.example/",
            format!("curl: (6) Could not resolve host: {puny}\n"),
            6,
            search(puny),
        ),
        (
            "utf8",
            "dig +idnin +noidnout +noall +question 한글.example",
            ";xn--bj0bj06e.example.\t\tIN\tA\n".to_owned(),
            0,
            vec!["xn--bj0bj06e.example. A".to_owned()],
        ),
        (
            "utf8",
            "dig +idnout +noall +question xn--bcher-kva.example",
            ";bücher.example.\t\tIN\tA\n".to_owned(),
            0,
            vec![format!("{puny}. A")],
        ),
    ] {
        let (out, ended, questions) = run(&mut lab, pod, command);
        assert_eq!((out, ended, questions), (wanted, status, asked), "{pod}: {command}");
    }
    // The locale of musl is one of UTF-8; its resolver sends what it is given.
    let (_, status, questions) = run(&mut lab, "musl", "curl -sS http://bücher.example/");
    assert_eq!((status, questions.len()), (6, 8));
    assert!(questions[0].starts_with(puny), "{questions:?}");
}
