//! What kube-proxy's rules do: `tests/proxy/flows.txt` against the rules as they stand in the simulated netfilter, by
//! way of the command line's own `flow`; names of chains; and all endpoints that chance may choose.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

#[path = "proxy/ipvs.rs"]
mod ipvs;
#[path = "proxy/nft.rs"]
mod nft;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use vethscope::base::{ObjectKey, Severity, SimTime};
use vethscope::lab::flow::{Destination, FlowAnswer, Verdict};
use vethscope::lab::{Lab, Target};
use vethscope::trace::service_path::{self, ServiceFact, ServiceStep};
use vethscope::trace::{Event, EventKind, Table};

const SETTLE: SimTime = SimTime(600_000_000_000);

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proxy").join(name)).unwrap()
}

/// The clusters of `clusters.txt` by name, without the comment in front.
fn clusters() -> BTreeMap<String, String> {
    let text = read("clusters.txt");
    let sections = text.split("=== ").skip(1).filter_map(|section| section.split_once('\n'));
    sections.map(|(name, objects)| (name.to_owned(), objects.to_owned())).collect()
}

/// kube-proxy's configuration as a cluster keeps it. Without `localDetector=none` the Pods' ranges are known.
fn configuration(options: &[&str], mode: &str) -> String {
    let mut fields = vec!["apiVersion: kubeproxy.config.k8s.io/v1alpha1", "kind: KubeProxyConfiguration"];
    if !options.contains(&"localDetector=none") {
        fields.push("clusterCIDR: 10.0.0.0/8,fd00:10::/64");
    }
    let mut fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
    let mut iptables = Vec::new();
    for (name, value) in options.iter().filter_map(|option| option.split_once('=')) {
        match name {
            "nodePortAddresses" => {
                fields.push(format!("nodePortAddresses: ['{}']", value.replace(',', "', '")));
            }
            "localhostNodePorts" | "masqueradeAll" => iptables.push(format!("{name}: {value}")),
            other => assert_eq!(other, "localDetector"),
        }
    }
    if mode == "nftables" {
        iptables.retain(|option| !option.starts_with("localhost"));
        // Only the node's first address is the default of this mode.
        if !options.iter().any(|option| option.starts_with("nodePortAddresses")) {
            fields.push("nodePortAddresses: [0.0.0.0/0, '::/0']".to_owned());
        }
    }
    fields.push(format!("mode: {mode}"));
    let section = if mode == "ipvs" { "iptables" } else { mode };
    fields.push(format!("{section}: {{{}}}", iptables.join(", ")));
    let text = fields.iter().fold(String::new(), |text, field| text + "    " + field + "\n");
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: kube-proxy, namespace: kube-system}}\n\
         data:\n  config.conf: |\n{text}"
    )
}

/// The objects of a cluster, without the slices that the options leave out.
fn manifest(clusters: &BTreeMap<String, String>, setup: &str, mode: &str) -> String {
    let mut words = setup.split_whitespace();
    let objects = &clusters[words.next().unwrap()];
    let options: Vec<&str> = words.collect();
    let gone: Vec<&str> = options.iter().filter_map(|option| option.strip_prefix('-')).collect();
    let kept = objects.split("\n---\n").filter(|object| {
        !gone
            .iter()
            .any(|name| object.contains("EndpointSlice") && object.contains(&format!("name: {name}\n")))
    });
    kept.collect::<Vec<_>>().join("\n---\n") + "\n" + &configuration(&options, mode)
}

fn settled(text: &str) -> Lab {
    let mut lab = Lab::new(1);
    let found = lab.apply(text);
    let errors: Vec<_> = found.iter().filter(|found| found.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    lab.settle(SETTLE);
    lab
}

fn ask(lab: &Lab, node: &str, packet: &str) -> FlowAnswer {
    let (src, dst) = packet.split_once(" > ").unwrap();
    lab.flow(node, src.parse().unwrap(), Destination::parse(dst).unwrap()).unwrap()
}

fn shown(answer: &FlowAnswer) -> String {
    let mut words = vec![answer.verdict.name().to_owned()];
    words.extend(answer.endpoints.iter().cloned());
    words.extend(answer.masquerade.then(|| "masq".to_owned()));
    words.join(" ")
}

/// Asks every flow under a mode; `wanted` says what is wanted of the row where the mode differs from iptables.
fn flows(mode: &str, differs: impl Fn(&str, &str, &str) -> Option<String>) {
    let clusters = clusters();
    let mut labs: BTreeMap<String, Lab> = BTreeMap::new();
    let (mut failures, mut count) = (String::new(), 0);
    for line in read("flows.txt").lines().filter(|line| !line.starts_with('#')) {
        let [setup, packet, wanted, what] = line.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let lab = labs.entry(setup.to_owned()).or_insert_with(|| settled(&manifest(&clusters, setup, mode)));
        let answer = ask(lab, "test-node", packet);
        let wanted = differs(setup, packet, what).unwrap_or_else(|| wanted.to_owned());
        count += 1;
        if shown(&answer) != wanted {
            let rules = answer.rules.join("\n    ");
            let got = shown(&answer);
            let _ = writeln!(
                failures,
                "{setup}: {packet} ({what})\n  wanted {wanted}\n  got    {got}\n    {rules}"
            );
        }
    }
    assert!(count >= 120, "only {count} flows found");
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn packets_flow_as_kube_proxy_has_them() {
    flows("iptables", |_, _, _| None);
}

#[test]
fn packets_flow_the_same_by_nftables() {
    // A cluster IP answers only for the ports of its Service, and the loopback address for no node port.
    flows("nftables", |_, packet, what| match what {
        "UDP to a TCP-only port" | "port the service does not have" => Some("REJECT".to_owned()),
        _ if packet.contains("> 127.0.0.1:") => Some("NOMATCH".to_owned()),
        _ => None,
    });
}

#[test]
fn chains_bear_the_names_that_upstream_gives_them() {
    for line in read("chains.txt").lines().filter(|line| !line.starts_with('#')) {
        let [chain, port, protocol, ref endpoint @ ..] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (service, port_name) = port.split_once(':').unwrap();
        let (namespace, name) = service.split_once('/').unwrap();
        let (ip, number) =
            endpoint.first().map_or(("10.180.0.9", "80"), |text| text.split_once(':').unwrap());
        let protocol = protocol.to_uppercase();
        let port = format!("ports: [{{name: {port_name}, port: {number}, protocol: {protocol}}}]");
        let lab = settled(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{clusterIP: 10.96.7.7, {port}}}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: x, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
             addressType: IPv4\nendpoints: [{{addresses: [{ip}]}}]\n{port}\n"
        ));
        let answer = ask(&lab, "node1", &format!("10.244.1.9 > 10.96.7.7:{number}/{protocol}"));
        assert!(answer.rules.iter().any(|rule| rule.contains(chain)), "{chain}: {:#?}", answer.rules);
    }
}

#[test]
fn a_packet_for_nobody_passes_no_rule_for_services() {
    let lab = settled("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n");
    let answer = ask(&lab, "node1", "10.244.1.9 > 10.244.2.9:80/TCP");
    assert_eq!(answer.verdict, Verdict::NoMatch, "{answer:#?}");
    assert!(
        lab.flow("node9", "10.0.0.1".parse().unwrap(), Destination::parse("10.0.0.2:1/TCP").unwrap())
            .is_none()
    );
    for wrong in ["10.0.0.2:80", "10.0.0.2/TCP", "10.0.0.2:80/ICMP", "fd00::1:80/TCP", "[fd00::1]:80000/TCP"]
    {
        assert!(Destination::parse(wrong).is_none(), "{wrong}");
    }
}

/// Pods of a Service `web` with labels, each answering with its name over HTTP and over UDP.
fn pods(names: &[(&str, &str)]) -> String {
    let pod = |(name, node): &(&str, &str)| {
        let listens = format!(
            "{{\"listen\": \"tcp://:8080\", \"serve\": \"http\", \"body\": \"{name}\"}}, {{\"listen\": \"udp://:5353\", \"serve\": \"say\", \"body\": \"{name}\"}}"
        );
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  labels: {{app: web}}\n  annotations:\n    \
             vethscope.dev/processes: '{{\"app\": [{listens}]}}'\nspec:\n  nodeName: {node}\n  containers:\n  \
             - {{name: app, image: answers, ports: [{{name: http, containerPort: 8080}}]}}\n---\n"
        )
    };
    let client = "apiVersion: v1\nkind: Pod\nmetadata: {name: client}\nspec:\n  nodeName: node1\n  containers:\n  \
                  - {name: app, image: client, command: [sleep, infinity]}\n";
    names.iter().map(pod).collect::<String>() + client
}

fn service(spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web}}, {spec}}}\n"
    )
}

fn run(lab: &mut Lab, place: &str, line: &str) -> (String, u8) {
    let from = lab.trace().len();
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let process = lab.start(&Target::parse(place, "default", None), &argv).unwrap();
    lab.finish(process, SimTime(u64::MAX));
    (lab.trace().written(from, process), lab.status(process).unwrap())
}

fn facts(lab: &Lab, from: usize) -> Vec<ServiceFact> {
    let trace = lab.trace();
    let decided = |event: &Event| {
        let EventKind::Decided(Table::Netfilter | Table::Ipvs, change) = event.kind else { return None };
        service_path::of_change(&trace.changes[change.index()])
    };
    trace.events.since(from).filter_map(decided).collect()
}

/// Fetches a page that names its Pod: the name, that Pod's endpoint, and what the trace says of Services meanwhile.
fn fetched(lab: &mut Lab, place: &str, url: &str) -> (String, String, Vec<ServiceFact>) {
    let from = lab.trace().len();
    let (answer, status) = run(lab, place, &format!("curl -s -m 3 {url}"));
    assert_eq!(status, 0, "{place} {url}");
    let ip = lab.live().pods[&("default".into(), answer.as_str().into())].ip.expect("an address");
    (answer, format!("{ip}:8080"), facts(lab, from))
}

const TWO: [(&str, &str); 2] = [("a", "node1"), ("b", "node2")];

#[test]
fn a_load_balancer_outside_is_given_an_address_and_hands_on_what_comes() {
    let spec = "type: LoadBalancer, ports: [{port: 80, targetPort: http}]";
    let mut lab = settled(&(pods(&TWO) + &service(spec)));
    let row = lab.live().services.values().find(|row| &*row.name == "web").unwrap().clone();
    assert_eq!(row.external.iter().map(|ip| &**ip).collect::<Vec<_>>(), ["192.168.1.242"]);
    let mut answers = BTreeMap::new();
    for _ in 0..16 {
        let (answer, status) = run(&mut lab, "host/ext", "curl -s http://192.168.1.242/");
        assert_eq!(status, 0, "{answer}");
        *answers.entry(answer).or_insert(0) += 1;
    }
    assert_eq!(answers.len(), 2, "{answers:?}");
    // From inside, the node's own rules take the way short: the balancer sees nothing of it.
    lab.wait_until(SimTime(lab.now().0 + 1_000_000_000));
    let from = lab.trace().len();
    assert_eq!(run(&mut lab, "client", "curl -s http://192.168.1.242/").1, 0);
    let balancer = lab.live().netns.values().find(|netns| &*netns.row.name == "balancer").unwrap().row.netns;
    let trace = lab.trace();
    let is_ip = |event: &&Event| trace.frame_of(event).is_some_and(|frame| frame.ipv4().is_some());
    assert_eq!(trace.events.since(from).filter(is_ip).filter(|event| event.netns == balancer).count(), 0);
    // With the policy Local it is told which nodes have endpoints, and the health check has a port.
    let local = service(&(spec.to_owned() + ", externalTrafficPolicy: Local"));
    let errors = lab.apply(&(pods(&TWO[1..]) + &local));
    assert!(errors.iter().all(|found| found.severity != Severity::Error), "{errors:?}");
    lab.settle(SETTLE);
    for _ in 0..6 {
        assert_eq!(run(&mut lab, "host/ext", "curl -s http://192.168.1.242/"), ("b".to_owned(), 0));
    }
    let (object, _) = run(&mut lab, "node/node1", "kubectl get svc web -o yaml");
    let health = object.lines().find_map(|line| line.trim().strip_prefix("healthCheckNodePort: "));
    let health = health.unwrap_or_else(|| panic!("{object}"));
    for (node, count, status) in
        [("192.168.1.10", 0, "503 Service Unavailable"), ("192.168.1.11", 1, "200 OK")]
    {
        let (answer, _) = run(&mut lab, "host/ext", &format!("curl -si http://{node}:{health}/"));
        let answer = answer.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        let lines: Vec<&str> = answer.lines().map(str::trim_end).collect();
        assert_eq!(lines[0], format!("HTTP/1.1 {status}"), "{answer}");
        assert!(lines.contains(&&*format!("X-Load-Balancing-Endpoint-Weight: {count}")), "{answer}");
        let body = format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\t}},\n\t\"localEndpoints\": {count},\n\t\"serviceProxyHealthy\": true\n}}"
        );
        assert!(answer.ends_with(&body), "{answer}");
    }
    assert!(object.contains("ip: 192.168.1.242") && object.contains("ipMode: VIP"), "{object}");
}

#[test]
fn a_client_keeps_its_endpoint_as_long_as_the_affinity_lasts() {
    let spec = "clusterIP: 10.96.0.80, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: 8080}]";
    let mut lab = settled(&(pods(&TWO) + &service(spec)));
    let from = lab.trace().len();
    let (first, _) = run(&mut lab, "client", "curl -s http://10.96.0.80/");
    assert!(facts(&lab, from).iter().any(|fact| fact.fact == ServiceStep::Chosen));
    for _ in 0..8 {
        let from = lab.trace().len();
        assert_eq!(run(&mut lab, "client", "curl -s http://10.96.0.80/"), (first.clone(), 0));
        assert!(facts(&lab, from).iter().any(|fact| fact.fact == ServiceStep::Kept));
    }
    // Both endpoints are still among those that the rules know.
    assert_eq!(ask(&lab, "node1", "10.244.1.99 > 10.96.0.80:80/TCP").endpoints.len(), 2);
}

#[test]
fn endpoints_are_drawn_by_chance_and_the_trace_says_which() {
    let spec = "clusterIP: 10.96.0.80, ports: [{port: 80, targetPort: 8080}]";
    let mut lab = settled(&(pods(&TWO) + &service(spec)));
    let mut tally = BTreeMap::new();
    for _ in 0..40 {
        let from = lab.trace().len();
        let (answer, status) = run(&mut lab, "client", "curl -s http://10.96.0.80/");
        assert_eq!(status, 0);
        let facts = facts(&lab, from);
        let steps: Vec<ServiceStep> = facts.iter().map(|fact| fact.fact).collect();
        assert_eq!(steps, [ServiceStep::Found, ServiceStep::Chosen, ServiceStep::Replaced]);
        assert_eq!(facts[1].service, "default/web");
        let ip = lab.live().pods[&("default".into(), answer.as_str().into())].ip.unwrap();
        assert_eq!(
            (&*facts[1].endpoint, &*facts[2].endpoint),
            (&*format!("{ip}:8080"), &*format!("{ip}:8080"))
        );
        let one_of = if answer == "a" { 2 } else { 1 };
        assert_eq!(facts[1].one_of, Some(one_of), "{facts:?}");
        *tally.entry(answer).or_insert(0) += 1;
    }
    // Forty fair draws leave this range once in ten thousand times.
    assert!(tally.values().all(|count| (8..=32).contains(count)) && tally.len() == 2, "{tally:?}");
}

#[test]
fn a_datagram_finds_the_new_endpoint_when_the_old_one_goes() {
    let spec = "clusterIP: 10.96.0.80, ports: [{port: 53, targetPort: 5353, protocol: UDP}]";
    let mut lab = settled(&(pods(&TWO[..1]) + &service(spec)));
    let open = |lab: &mut Lab| {
        let node = lab.live().netns.values().find(|netns| &*netns.row.name == "node1").unwrap();
        let own = node.netfilter.conntrack.values().filter(|conn| conn.row.orig.dport == 53);
        own.map(|conn| conn.row.reply.src.to_string()).collect::<Vec<_>>()
    };
    let argv = ["sh", "-c", "printf x | nc -u -p 4000 -w 1 10.96.0.80 53"].map(str::to_owned);
    let process = lab.start(&Target::parse("client", "default", None), &argv).unwrap();
    lab.finish(process, SimTime(u64::MAX));
    assert_eq!(open(&mut lab).len(), 1);
    lab.apply(&(pods(&TWO[1..]) + &service(spec)));
    lab.settle(SETTLE);
    assert!(open(&mut lab).is_empty(), "the connection to the endpoint that is gone is forgotten");
}

#[test]
fn traffic_keeps_to_its_zone_or_node_where_the_service_asks_for_it() {
    let cluster = "---\napiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes:\n  \
                   - {name: node1, labels: {topology.kubernetes.io/zone: x}}\n  \
                   - {name: node2, labels: {topology.kubernetes.io/zone: y}}\n  \
                   - {name: node3, labels: {topology.kubernetes.io/zone: x}}\n";
    let all = [("a", "node1"), ("b", "node2"), ("c", "node3")];
    for (distribution, pods_there, from, wanted) in [
        ("PreferClose", &all[..], "node1", 2),
        ("PreferClose", &all[..], "node2", 1),
        ("PreferSameNode", &all[..], "node1", 1),
        // Nobody is near: all of them serve.
        ("PreferClose", &all[1..2], "node1", 1),
    ] {
        let spec =
            format!("clusterIP: 10.96.0.80, trafficDistribution: {distribution}, ports: [{{port: 80}}]");
        let lab = settled(&(pods(pods_there) + &service(&spec) + cluster));
        let answer = ask(&lab, from, "10.244.9.9 > 10.96.0.80:80/TCP");
        assert_eq!(answer.endpoints.len(), wanted, "{distribution} from {from}: {answer:#?}");
    }
}

#[test]
fn a_service_that_gets_another_type_keeps_nothing_of_the_old_one() {
    let lb = "clusterIP: 10.96.0.80, type: LoadBalancer, ports: [{port: 80}]";
    let mut lab = settled(&(pods(&TWO) + &service(lb)));
    let object =
        |lab: &mut Lab| lab.live().objects[&ObjectKey::new("Service", "default", "web")].value.clone();
    assert!(object(&mut lab)["spec"]["ports"][0]["nodePort"].is_i64(), "{}", object(&mut lab));
    assert!(object(&mut lab)["status"]["loadBalancer"]["ingress"].is_array(), "{}", object(&mut lab));
    lab.apply(&(pods(&TWO) + &service("clusterIP: 10.96.0.80, ports: [{port: 80}]")));
    lab.settle(SETTLE);
    assert!(object(&mut lab)["spec"]["ports"][0]["nodePort"].is_null(), "{}", object(&mut lab));
    assert!(object(&mut lab)["status"]["loadBalancer"]["ingress"].is_null(), "{}", object(&mut lab));
}

#[test]
fn endpoints_follow_the_pods() {
    let spec = "clusterIP: 10.96.0.80, ports: [{name: web, port: 80, targetPort: http}, {name: other, port: 81, targetPort: 9}]";
    let mut lab = settled(&(pods(&TWO) + &service(spec)));
    let web = |lab: &Lab| ask(lab, "node1", "10.244.1.99 > 10.96.0.80:80/TCP").endpoints.len();
    assert_eq!((web(&lab), ask(&lab, "node1", "10.244.1.99 > 10.96.0.80:81/TCP").endpoints.len()), (2, 2));
    // A Pod that ends: it is no endpoint from the moment on that it begins to.
    lab.apply(&(pods(&TWO[..1]) + &service(spec)));
    let until = SimTime(lab.now().0 + 1_500_000_000);
    lab.wait_until(until);
    assert_eq!(web(&lab), 1);
    lab.apply(&(pods(&[]) + &service(spec)));
    lab.settle(SETTLE);
    let gone = ask(&lab, "node1", "10.244.1.99 > 10.96.0.80:80/TCP");
    assert_eq!(gone.verdict, Verdict::Reject);
    assert_eq!(run(&mut lab, "client", "curl -s http://10.96.0.80/").1, 7);
}

#[test]
fn cilium_replaces_the_address_at_the_socket_so_that_no_packet_bears_it() {
    let cilium = "---\napiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  network: {cni: cilium}\n";
    let spec = "type: NodePort, clusterIP: 10.96.0.80, ports: [{name: web, port: 80, targetPort: 8080, nodePort: 30080}, \
                {name: say, port: 53, targetPort: 5353, protocol: UDP}, {name: none, port: 81, targetPort: missing}]";
    let mut lab = settled(&(pods(&TWO) + &service(spec) + cilium));
    let from = lab.trace().len();
    for place in ["client", "node/node1"] {
        let (answer, status) = run(&mut lab, place, "curl -s http://10.96.0.80/");
        assert!(status == 0 && ["a", "b"].contains(&&*answer), "{place}: {status} {answer:?}");
    }
    let argv = ["sh", "-c", "printf x | nc -u -w 1 10.96.0.80 53"].map(str::to_owned);
    let process = lab.start(&Target::parse("client", "default", None), &argv).unwrap();
    lab.finish(process, SimTime(u64::MAX));
    let trace = lab.trace();
    let virtual_ip: std::net::Ipv4Addr = "10.96.0.80".parse().unwrap();
    let bears = |event: &&Event| {
        let packet = trace.frame_of(event).and_then(|frame| frame.ipv4().cloned());
        packet.is_some_and(|packet| packet.dst == virtual_ip || packet.src == virtual_ip)
    };
    assert_eq!(trace.events.since(from).filter(bears).count(), 0);
    let changed =
        |event: &Event| if let EventKind::Changed(change) = event.kind { Some(change) } else { None };
    let changes = trace.events.since(from).filter_map(changed);
    let balanced: Vec<ServiceFact> =
        changes.filter_map(|change| service_path::of_socket(&trace.changes[change.index()])).collect();
    assert_eq!(
        balanced.iter().map(|fact| &*fact.service).collect::<Vec<_>>(),
        ["default/web:web", "default/web:web", "default/web:say"]
    );
    assert!(balanced.iter().all(|fact| fact.one_of == Some(2)), "{balanced:?}");
    // The datagram's answer comes from where the program had asked.
    let said =
        trace.outputs.iter().any(|output| output.process == process && ["a", "b"].contains(&&*output.text));
    assert!(said, "{:?}", trace.outputs.last());
    // A port without endpoints: the program is told at once, and nothing is sent.
    let from = lab.trace().len();
    assert_eq!(run(&mut lab, "client", "curl -s http://10.96.0.80:81/").1, 7);
    assert!(lab.trace().events.since(from).all(|event| event.kind != EventKind::Transmitted));
    // What comes from outside is still kube-proxy's.
    assert_eq!(run(&mut lab, "host/ext", "curl -s http://192.168.1.10:30080/").1, 0);
}

#[test]
fn the_configuration_of_kube_proxy_is_checked() {
    let check = |text: &str| {
        let object = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: kube-proxy, namespace: kube-system}}\ndata:\n  config.conf: |\n    {text}\n"
        );
        let parsed = vethscope::manifest::parse(&object);
        let texts = parsed.diagnostics.iter().map(|found| {
            assert!(!found.path.is_empty() || found.severity == Severity::Info);
            (found.severity, found.message_in(vethscope::base::words::Lang::En))
        });
        texts.collect::<Vec<_>>()
    };
    let errors = |text: &str| -> Vec<String> {
        check(text).into_iter().filter(|found| found.0 == Severity::Error).map(|found| found.1).collect()
    };
    assert!(
        errors("mode: iptables").is_empty()
            && errors("iptables: {masqueradeAll: true, minSyncPeriod: 0s}").is_empty()
    );
    for (text, wanted) in [
        ("modes: iptables", "unknown field \"modes\""),
        ("mode: userspace", "mode: invalid value \"userspace\""),
        ("iptables: {masqueradeBit: 40}", "iptables.masqueradeBit: invalid value 40"),
        ("nodePortAddresses: [10.0.0.0/40]", "nodePortAddresses: invalid value"),
        ("clusterCIDR: pods", "clusterCIDR: invalid value"),
        ("just words", "no configuration of kube-proxy"),
    ] {
        let found = errors(text);
        assert!(found.len() == 1 && found[0].contains(wanted), "{text}: {found:?}");
    }
    assert!(
        errors("mode: ipvs\n    ipvs: {scheduler: mh}").is_empty()
            && errors("mode: ipvs\n    ipvs: {scheduler: nope}")[0].contains("ipvs.scheduler: invalid value")
            && errors("mode: ipvs\n    ipvs: {strictARP: true}").is_empty()
            && check("mode: nftables").iter().all(|found| !found.1.contains("mode"))
    );
}
