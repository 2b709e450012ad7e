//! What kube-proxy's rules do: `tests/proxy/flows.txt` against the rules as they stand in the simulated netfilter, by
//! way of the command line's own `flow`; names of chains; and all endpoints that chance may choose.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use vethscope::base::{Severity, SimTime};
use vethscope::lab::Lab;
use vethscope::lab::flow::{Destination, FlowAnswer, Verdict};

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
fn configuration(options: &[&str]) -> String {
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
    fields.push(format!("iptables: {{{}}}", iptables.join(", ")));
    let text = fields.iter().fold(String::new(), |text, field| text + "    " + field + "\n");
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: kube-proxy, namespace: kube-system}}\n\
         data:\n  config.conf: |\n{text}"
    )
}

/// The objects of a cluster, without the slices that the options leave out.
fn manifest(clusters: &BTreeMap<String, String>, setup: &str) -> String {
    let mut words = setup.split_whitespace();
    let objects = &clusters[words.next().unwrap()];
    let options: Vec<&str> = words.collect();
    let gone: Vec<&str> = options.iter().filter_map(|option| option.strip_prefix('-')).collect();
    let kept = objects.split("\n---\n").filter(|object| {
        !gone
            .iter()
            .any(|name| object.contains("EndpointSlice") && object.contains(&format!("name: {name}\n")))
    });
    kept.collect::<Vec<_>>().join("\n---\n") + "\n" + &configuration(&options)
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

#[test]
fn packets_flow_as_kube_proxy_has_them() {
    let clusters = clusters();
    let mut labs: BTreeMap<String, Lab> = BTreeMap::new();
    let (mut failures, mut count) = (String::new(), 0);
    for line in read("flows.txt").lines().filter(|line| !line.starts_with('#')) {
        let [setup, packet, wanted, what] = line.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let lab = labs.entry(setup.to_owned()).or_insert_with(|| settled(&manifest(&clusters, setup)));
        let answer = ask(lab, "test-node", packet);
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
