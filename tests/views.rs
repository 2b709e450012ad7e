//! What the page's views are made of, over a lab with a Service: the walk through netfilter, the TCP conversation, a
//! capture, the lives of the Pods and the Service's picture agree with the trace and with the tools.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::fmt::Write as _;
use vethscope::base::{EventId, SimTime};
use vethscope::lab::Lab;
use vethscope::scene::capture::{Capture, Tap};
use vethscope::scene::chains::{self, WalkKind};
use vethscope::scene::conversation::{Conversations, Row};
use vethscope::scene::lives::{Lives, Moment, MomentKind, latest};
use vethscope::scene::{self, services};
use vethscope::trace::{Inventory, Steps, pod_status};

const TEXT: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {nodeName: node1, containers: [{name: app, image: curlimages/curl, command: [sleep, infinity]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, labels: {app: web}}
spec: {nodeName: node2, containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 8080, targetPort: 80}]}
";

/// The lab after `curl` has fetched a page by the Service's address.
fn fetched() -> Lab {
    let mut lab = common::lab(TEXT, 1);
    let ran = common::run(&mut lab, "a curl -s -o /dev/null -w %{http_code} http://10.96.0.80:8080/");
    assert_eq!((ran.output.as_str(), ran.status), ("200", 0));
    lab.linger(common::FOR_EVER);
    lab
}

#[test]
fn a_conversation_through_a_service_has_two_ends_that_see_different_addresses() {
    let lab = fetched();
    let mut all = Conversations::default();
    all.extend(lab.trace());
    let conversation = all.list().last().expect("curl connected");
    let (_, called) = conversation.seen_by_caller;
    assert_eq!((called.0.to_string().as_str(), called.1), ("10.96.0.80", 8080));
    let (_, own) = conversation.seen_by_called.expect("it arrived");
    assert_eq!((own.0.to_string().starts_with("10.244."), own.1), (true, 80));
    let segments: Vec<_> = conversation
        .rows
        .iter()
        .filter_map(|row| match row {
            Row::Segment(segment) => Some(segment),
            Row::State { .. } => None,
        })
        .collect();
    let flags: Vec<String> = segments.iter().take(4).map(|segment| segment.flags.to_string()).collect();
    assert_eq!(flags, ["S", "S.", ".", "P."]);
    assert_eq!((segments[0].seq, segments[1].ack, segments[2].ack), (0, Some(1), Some(1)));
    assert!(segments.iter().all(|segment| !segment.again && segment.end.is_some_and(|end| end.1.is_none())));
    assert_eq!(segments.iter().filter(|segment| segment.back && segment.len > 0).count(), 1, "one answer");
    let states: Vec<&str> = conversation
        .rows
        .iter()
        .filter_map(|row| match row {
            Row::State { end: 0, state, .. } => Some(state.name()),
            Row::State { .. } | Row::Segment(_) => None,
        })
        .collect();
    assert_eq!(&states[..2], ["SYN_SENT", "ESTABLISHED"]);
}

/// The steps of the `number`-th segment, with the walk of each.
fn walks(lab: &Lab, number: usize) -> Vec<(EventId, chains::Walk)> {
    let trace = lab.trace();
    let mut all = Conversations::default();
    all.extend(trace);
    let rows = &all.list().last().expect("a conversation").rows;
    let mut segments = rows.iter().filter_map(|row| match row {
        Row::Segment(segment) => Some(segment.sent),
        Row::State { .. } => None,
    });
    let journey = trace.event(segments.nth(number).expect("a segment")).journey;
    let steps = scene::steps(trace).into_iter().filter(|id| trace.event(*id).journey == journey);
    steps.map(|id| (id, chains::walk(trace, &Inventory::at(trace, id.index() + 1), id))).collect()
}

#[test]
fn the_walk_goes_from_the_hook_through_the_chains_of_the_service_to_the_translation() {
    let lab = fetched();
    let first = walks(&lab, 0);
    let translated: Vec<_> = first.iter().filter(|(_, walk)| walk.nat.is_some()).collect();
    let (before, after) = translated[0].1.nat.clone().expect("translated");
    assert!(before.ends_with("10.96.0.80:8080") && after.ends_with(":80"), "{before} / {after}");
    let lines: Vec<&WalkKind> =
        translated[0].1.hooks.iter().flat_map(|hook| hook.lines.iter().map(|line| &line.kind)).collect();
    let chains: Vec<&str> = lines
        .iter()
        .filter_map(|line| if let WalkKind::Chain(_, name) = line { Some(&**name) } else { None })
        .collect();
    let at = |prefix: &str| chains.iter().position(|name| name.starts_with(prefix));
    let order = [at("PREROUTING"), at("KUBE-SERVICES"), at("KUBE-SVC-"), at("KUBE-SEP-")];
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{chains:?}");
    let decided = lines.iter().find_map(|line| {
        if let WalkKind::Fitted { text, ends: true, .. } = line { Some(text.as_str()) } else { None }
    });
    assert!(decided.is_some_and(|text| text.contains("DNAT")), "{decided:?}");
    // A later packet of the connection does not ask the table of translations again.
    let later = walks(&lab, 2);
    let hooks: Vec<_> = later.iter().flat_map(|(_, walk)| &walk.hooks).collect();
    assert!(hooks.iter().any(|hook| matches!(hook.tracked, Some(chains::Tracked::Connection(_)))));
    let lines = || hooks.iter().flat_map(|hook| &hook.lines);
    assert!(lines().any(|line| matches!(line.kind, WalkKind::NotAsked("PREROUTING"))));
    assert!(!lines().any(|line| matches!(&line.kind, WalkKind::Chain("nat", _))));
}

#[test]
fn a_capture_on_every_interface_holds_what_the_interface_counted() {
    let lab = fetched();
    let trace = lab.trace();
    let tables = Inventory::at(trace, trace.len());
    let state = tables.netns_named("node2").expect("node2");
    for link in state.links.values().filter(|link| &*link.name != "lo") {
        let tap = Tap { netns: state.row.netns, ifindex: link.ifindex };
        let mut all = Capture::new(tap, "", &tables).expect("no filter");
        while all.extend(trace, 1_000) {}
        let counters = state.counters.get(&link.ifindex).copied().unwrap_or_default();
        assert_eq!(all.seen() as u64, counters.rx_packets + counters.tx_packets, "{}", link.name);
        assert_eq!(all.lines().len(), all.seen());
        let mut none = Capture::new(tap, "tcp and not tcp port 80", &tables).expect("a filter");
        while none.extend(trace, 1_000) {}
        assert!(none.lines().is_empty());
    }
    let eth0 = Tap { netns: state.row.netns, ifindex: state.link_named("eth0").expect("eth0").ifindex };
    let mut inside = Capture::new(eth0, "udp port 8472", &tables).expect("a filter");
    while inside.extend(trace, 1_000) {}
    assert!(inside.lines().iter().any(|line| line.text.contains("Flags [S]")), "the inner packet is printed");
    let events: Vec<EventId> = inside.lines().iter().map(|line| line.event).collect();
    let file = vethscope::trace::pcapng_of(trace, 0..trace.len(), |id| events.binary_search(&id).is_ok());
    let whole = vethscope::trace::pcapng(trace, 0..trace.len());
    assert!(file.len() > 100 && file.len() < whole.len());
}

#[test]
fn a_life_has_eight_steps_up_in_order_and_the_endpoints_follow() {
    let lab = fetched();
    let mut lives = Lives::default();
    lives.extend(lab.trace());
    let pod = ("default".into(), "b".into());
    let numbers: Vec<u8> = lives
        .of(&pod)
        .iter()
        .filter_map(|moment| if let MomentKind::Step(row) = &moment.kind { Some(row) } else { None })
        .filter(|row| row.steps == Steps::Creation)
        .map(|row| row.number)
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    let joins = lives
        .of(&pod)
        .iter()
        .any(|moment| matches!(&moment.kind, MomentKind::Endpoint(name, true) if &**name == "web"));
    assert!(joins, "the Service takes the Pod in");
    let statuses: Vec<&str> = lives
        .of(&pod)
        .iter()
        .filter_map(|moment| if let MomentKind::Status(word) = &moment.kind { Some(&**word) } else { None })
        .collect();
    assert_eq!(statuses, ["Pending", "ContainerCreating", "Running"]);
}

/// Pods that fail in several ways: before, between and after their containers.
const FAILING: &str = include_str!("kubectl/failing.yaml");

#[test]
fn the_page_has_the_word_of_kubectl_for_every_pod_at_every_time() {
    let mut lab = common::lab(FAILING, 1);
    let mut words = std::collections::BTreeSet::new();
    for second in 1..60 {
        lab.wait_until(SimTime(second * 1_000_000_000));
        let tables = Inventory::at(lab.trace(), lab.trace().len());
        let mut told = String::new();
        for ((_, name), pod) in &tables.pods {
            let word = pod_status::word(pod);
            writeln!(told, "{name} {word}").expect("a string takes everything");
            words.insert(word);
        }
        let list = "node/node1 kubectl get pods --no-headers -o custom-columns=NAME:.metadata.name";
        let names = common::run(&mut lab, list).output;
        let table = common::run(&mut lab, "node/node1 kubectl get pods --no-headers").output;
        let mut printed = String::new();
        for (row, name) in table.lines().zip(names.lines()) {
            let status = row.split_whitespace().nth(2).unwrap_or("");
            writeln!(printed, "{} {status}", name.trim()).expect("a string takes everything");
        }
        assert_eq!(told, printed, "after {second} s");
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let all = "Completed CrashLoopBackOff CreateContainerConfigError Error Init:CrashLoopBackOff Init:ErrImagePull Init:Error \
               Init:ImagePullBackOff NotReady PostStartHookError Running SchedulingGated";
    assert_eq!(words.join(" "), all);
}

/// Moments of a life in a line each.
fn told(moments: &[Moment]) -> Vec<String> {
    let word = |moment: &Moment| match &moment.kind {
        MomentKind::Step(row) => {
            format!("{} {}", if row.steps == Steps::Creation { "up" } else { "down" }, row.number)
        }
        MomentKind::Status(word) => format!("is {word}"),
        MomentKind::Note(reason, ..) => format!("note {reason}"),
        MomentKind::Endpoint(service, true) => format!("joins {service}"),
        MomentKind::Endpoint(service, false) => format!("leaves {service}"),
        MomentKind::Gone => "gone".to_owned(),
    };
    moments.iter().map(word).collect()
}

/// A Pod whose container ends is taken down without the steps in which containers are told to end; its object stays
/// until it is deleted, which takes no time. A new Pod of its name begins a new life.
#[test]
fn a_pod_that_has_ended_is_taken_down_before_it_is_deleted() {
    let once = "\
---
apiVersion: v1
kind: Pod
metadata: {name: once, labels: {app: web}}
spec: {restartPolicy: Never, containers: [{name: c, image: 'busybox:1.36', command: [sleep, '5']}]}
";
    let mut lab = common::lab(&format!("{TEXT}{once}"), 1);
    let mut lives = Lives::default();
    lives.extend(lab.trace());
    let pod = ("default".into(), "once".into());
    let first = told(lives.of(&pod));
    let shutdown = ["down 3", "down 4", "down 5", "down 6", "down 7", "down 8"];
    let after = first.iter().position(|word| word == "is Running").expect("it runs");
    assert_eq!(first[after..after + 2], ["is Running", "joins web"]);
    let rest: Vec<&str> = first[after + 2..].iter().map(String::as_str).collect();
    assert_eq!(rest[..2], ["is Completed", "leaves web"]);
    assert_eq!(rest[2..], shutdown);
    let before = lab.now();
    common::apply(&mut lab, TEXT);
    lives.extend(lab.trace());
    let gone = lives.of(&pod).last().expect("it lived");
    assert_eq!((&gone.kind, gone.at), (&MomentKind::Gone, before));
    common::apply(&mut lab, &format!("{TEXT}{once}"));
    lives.extend(lab.trace());
    assert_eq!(told(latest(lives.of(&pod)))[..2], ["is Pending", "up 1"]);
}

#[test]
fn a_service_leads_from_its_address_to_the_endpoint_and_the_way_taken_is_lit() {
    let lab = fetched();
    let trace = lab.trace();
    let last = walks(&lab, 0).last().expect("steps").0;
    let tables = Inventory::at(trace, trace.len());
    let (_, node1) = services::nodes(&tables).into_iter().find(|node| &*node.0 == "node1").expect("node1");
    let used = services::used_by(trace, last);
    let pictures = services::pictures(&tables, node1, &used);
    let web = pictures.iter().find(|picture| &*picture.row.name == "web").expect("the Service");
    assert_eq!(web.entrances[0].name, "10.96.0.80:8080/TCP");
    let rule = &web.entrances[0].rules[0];
    assert!(rule.used && rule.text.contains("KUBE-SVC-"), "{rule:?}");
    let endpoint = &web.endpoints[0];
    assert!(endpoint.ready && endpoint.used && endpoint.address.ends_with(":80"), "{endpoint:?}");
}

#[test]
fn a_services_picture_says_which_part_of_the_connections_each_endpoint_gets() {
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: web}}}}\nspec: {{containers: [{{name: web, image: nginx}}]}}\n---\n"
        )
    };
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80}]}\n";
    let mut lab = common::lab(&format!("{}{service}", ["b", "c", "d"].map(pod).concat()), 1);
    lab.linger(common::FOR_EVER);
    let tables = Inventory::at(lab.trace(), lab.trace().len());
    let (_, node) = services::nodes(&tables).into_iter().next().expect("a node");
    let pictures = services::pictures(&tables, node, &std::collections::BTreeSet::new());
    let entrance =
        &pictures.iter().find(|it| &*it.row.name == "web").expect("the Service").entrances[0].rules[0];
    assert_eq!(entrance.condition, "-d 10.96.0.80/32 -p tcp -m tcp --dport 80");
    assert_eq!(entrance.comment.as_deref(), Some("default/web cluster IP"));
    let chances: Vec<_> =
        entrance.inner.iter().map(|rule| (rule.target.contains("KUBE-SEP-"), rule.chance)).collect();
    assert_eq!(chances, [(false, None), (true, Some(333)), (true, Some(333)), (true, Some(333))]);
}

/// What the page writes for a cell decides as it says: a packet tells.
#[test]
fn a_policy_written_for_a_cell_changes_that_cell() {
    use vethscope::lab::matrix::{Asking, Obstacle, Port, Protocol, Want, policy_for};
    let pod = |name: &str, namespace: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}\nspec: {{containers: [{{name: app, image: nginx}}]}}\n"
        )
    };
    let calico = "---\napiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec: {network: {cni: calico}}\n";
    let text = [pod("a", "default"), pod("b", "default"), pod("c", "other"), calico.to_owned()].concat();
    let port = Port { protocol: Protocol::Tcp, number: 80 };
    let ask = |text: &str| {
        let mut asking = Asking::new(text, &[port], 1).expect("the text is fine");
        while asking.advance(u32::MAX) {}
        let matrix = asking.matrices().remove(0);
        (asking, matrix)
    };
    let (asking, before) = ask(&text);
    assert!(before.cells.iter().flatten().all(vethscope::lab::matrix::Fate::is_allowed));
    let isolating = policy_for(&asking, &before, (0, 1), Want::Deny).expect("nothing admits it yet");
    let (asking, isolated) = ask(&format!("{text}---\n{isolating}"));
    let allowed =
        |matrix: &vethscope::lab::matrix::Matrix, from: usize, to: usize| matrix.cells[from][to].is_allowed();
    assert!(!allowed(&isolated, 0, 1) && allowed(&isolated, 2, 1) && allowed(&isolated, 1, 0), "{isolating}");
    let admitting = policy_for(&asking, &isolated, (0, 1), Want::Allow).expect("a policy can admit it");
    let (_, admitted) = ask(&format!("{text}---\n{isolating}---\n{admitting}"));
    assert!(admitted.cells.iter().flatten().all(vethscope::lab::matrix::Fate::is_allowed), "{admitting}");
    assert_eq!(policy_for(&asking, &isolated, (2, 1), Want::Allow), Err(Obstacle::Already));
}

#[test]
fn the_rules_of_the_routing_stand_among_the_tables_and_the_one_that_led_to_the_route_is_lit() {
    let mut lab = common::lab(common::RECORDED_LAB, 1);
    for command in [
        "node/node1 ip rule add from 192.168.1.10 to 192.168.1.11 lookup 100 pref 90",
        "node/node1 ip rule add from 10.9.0.0/16 lookup 100 pref 80",
        "node/node1 ip route add default via 192.168.1.11 table 100",
    ] {
        assert_eq!(common::run(&mut lab, command).status, 0, "{command}");
    }
    let before = Inventory::at(lab.trace(), lab.trace().len());
    common::run(&mut lab, "node/node1 ping -c1 -W1 -I 192.168.1.10 192.168.1.11");
    let now = lab.live().clone();
    let sheets = scene::tables::sheets(lab.trace(), &before, &now, "node1", None);
    let sheet = sheets.iter().find(|sheet| sheet.kind == scene::tables::TableKind::Rules).unwrap();
    let rows: Vec<(String, bool)> = sheet
        .rows
        .iter()
        .map(|row| (row.cells.iter().map(|cell| &*cell.text).collect::<Vec<_>>().join(" | "), row.used))
        .collect();
    let expected = [
        ("0 | all | local", true),
        ("80 | 10.9.0.0/16 | 100", false),
        ("90 | 192.168.1.10 to 192.168.1.11 | 100", true),
        ("32766 | all | main", false),
        ("32767 | all | default", false),
    ];
    assert_eq!(rows, expected.map(|(text, used)| (text.to_owned(), used)));
}
