//! The names view at the playhead: questions and answers read off the packets, what the caches hold, and the zone.

use super::wire::settled;
use std::fmt::Write as _;
use vethscope::base::{EventId, SimTime};
use vethscope::lab::{Lab, Target};
use vethscope::scene::questions::{Cached, Exchange, Questions, kept};
use vethscope::trace::Inventory;

fn run(lab: &mut Lab, pod: &str, command: &str) {
    let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let process = lab.start(&Target::parse(pod, "default", None), &argv).unwrap();
    lab.finish(process, SimTime(u64::MAX));
}

fn tables(lab: &Lab) -> Inventory {
    Inventory::at(lab.trace(), lab.trace().len())
}

fn questions(lab: &Lab) -> Questions {
    let mut questions = Questions::default();
    questions.extend(lab.trace());
    questions
}

/// The exchanges of the client at this address, as `NAME TYPE RCODE CACHE`.
fn told(lab: &Lab, pod: &str) -> Vec<String> {
    let own = tables(lab).pods.values().find(|row| &*row.name == pod).and_then(|row| row.ip);
    let line = |exchange: &Exchange| {
        let question = exchange.question().unwrap();
        let rcode = exchange.answer.as_ref().map(|(message, _)| message.rcode.to_string());
        format!("{} {} {} {:?}", question.name, question.kind, rcode.unwrap_or_default(), exchange.cached())
    };
    questions(lab).list().iter().filter(|at| Some(at.ends.0.0) == own).map(line).collect()
}

#[test]
fn every_question_of_a_lookup_is_a_row_with_its_answer() {
    let mut lab = settled();
    run(&mut lab, "gnu", "getent ahosts www.example.com");
    let own = lab.live().pods.values().find(|row| &*row.name == "gnu").and_then(|row| row.ip);
    let all = questions(&lab);
    let rows: Vec<&Exchange> = all.list().iter().filter(|at| Some(at.ends.0.0) == own).collect();
    // The search list in its order, and the name as it is at last.
    let names: Vec<String> = rows
        .iter()
        .map(|at| at.question().unwrap())
        .map(|question| format!("{} {}", question.name, question.kind))
        .collect();
    let list = ["default.svc.cluster.local.", "svc.cluster.local.", "cluster.local."];
    let list = list.into_iter().chain([""]).map(|tail| format!("www.example.com.{tail}"));
    let wanted: Vec<String> = list.flat_map(|name| [format!("{name} A"), format!("{name} AAAA")]).collect();
    assert_eq!(names, wanted);
    for row in &rows {
        assert_eq!(row.ends.1.0.to_string(), "10.96.0.10", "the client asks the Service");
        let (answer, way) = row.answer.as_ref().expect("answered");
        assert_eq!(answer.id, row.query.id);
        assert!(row.asked.taken.unwrap().netns != row.asked.sent.netns, "a server elsewhere took it");
        assert_eq!(way.taken.unwrap().netns, row.asked.sent.netns);
        assert!(row.delay().unwrap().0 > 0);
        assert!(!row.steps.is_empty(), "the plugins stand with the packet that they answered");
        assert_eq!(row.cached(), Some(Cached::Miss));
    }
}

#[test]
fn stepping_back_takes_answer_and_question_back() {
    let mut lab = settled();
    run(&mut lab, "gnu", "dig +short web.default.svc.cluster.local");
    let all = questions(&lab);
    let row = all.list().last().unwrap();
    let (sent, taken) = (row.asked.sent.event, row.asked.taken.unwrap().event);
    let (answered, got) = {
        let way = &row.answer.as_ref().unwrap().1;
        (way.sent.event, way.taken.unwrap().event)
    };
    let before = |event: EventId| EventId(event.0 - 1);
    assert_eq!(row.upto(before(sent)), None);
    assert_eq!(row.upto(sent).unwrap().asked.taken, None);
    assert!(row.upto(taken).unwrap().asked.taken.is_some());
    assert_eq!(row.upto(before(answered)).unwrap().answer, None);
    let under_way = row.upto(before(got)).unwrap();
    assert_eq!((under_way.answer.is_some(), under_way.delay()), (true, None));
    assert_eq!(row.upto(got).unwrap().delay(), row.delay());
}

#[test]
fn a_second_question_hits_the_cache_whose_ttl_runs_down() {
    let mut lab = settled();
    run(&mut lab, "gnu", "dig +short example.com");
    // It is chance which CoreDNS a question goes to, so both are asked.
    for _ in 0..6 {
        run(&mut lab, "gnu", "dig +short example.com");
    }
    let rows = told(&lab, "gnu");
    assert!(rows.iter().any(|row| row == "example.com. A NOERROR Some(Miss)"), "{rows:?}");
    assert!(rows.iter().any(|row| row == "example.com. A NOERROR Some(Hit)"), "{rows:?}");
    let entries = kept(lab.trace(), &tables(&lab));
    let entry = entries.iter().find(|kept| kept.question == "example.com. A").expect("kept");
    assert!(entry.records[0].starts_with("example.com. A "), "{entry:?}");
    assert!((3..=entry.ttl).contains(&entry.left), "{entry:?}");
    let then = entry.left;
    run(&mut lab, "gnu", "sleep 2");
    let entries = kept(lab.trace(), &tables(&lab));
    let later = entries.iter().find(|kept| kept.question == "example.com. A").expect("still kept");
    assert_eq!(later.left, then - 2);
    run(&mut lab, "gnu", "sleep 6");
    assert!(kept(lab.trace(), &tables(&lab)).iter().all(|kept| kept.question != "example.com. A"));
    // Before the first question nothing was kept.
    let first = questions(&lab)
        .list()
        .iter()
        .find(|at| at.query.questions[0].name == "example.com.")
        .unwrap()
        .asked
        .sent
        .event;
    let tables = Inventory::at(lab.trace(), first.index());
    assert!(kept(lab.trace(), &tables).iter().all(|kept| kept.question != "example.com. A"));
}

#[test]
fn a_question_over_tcp_is_a_row_too() {
    let mut lab = settled();
    run(&mut lab, "gnu", "dig +tcp +short web.default.svc.cluster.local");
    let all = questions(&lab);
    let row = all.list().last().unwrap();
    assert!(row.tcp && row.delay().is_some() && !row.steps.is_empty(), "{row:?}");
}

#[test]
fn the_zone_at_the_playhead_follows_services_and_endpoints() {
    let mut lab = settled();
    let lines = |lab: &Lab, tables: &Inventory| -> Vec<String> {
        lab.zone_at(tables).unwrap().iter().map(ToString::to_string).collect()
    };
    let before = lab.trace().len();
    let then = lines(&lab, &tables(&lab));
    for line in [
        "web.default.svc.cluster.local. 30 A 10.96.0.80",
        "www.default.svc.cluster.local. 30 CNAME web.default.svc.cluster.local.",
        "_dns._udp.kube-dns.kube-system.svc.cluster.local. 30 SRV 0 100 53 kube-dns.kube-system.svc.cluster.local.",
        "80.0.96.10.in-addr.arpa. 30 PTR web.default.svc.cluster.local.",
        "dns-version.cluster.local. 28800 TXT \"1.1.0\"",
    ] {
        assert!(then.iter().any(|known| known == line), "{line} in {then:#?}");
    }
    run(&mut lab, "node/node1", "kubectl delete service web");
    lab.settle(SimTime(lab.now().0 + 60_000_000_000));
    let now = lines(&lab, &tables(&lab));
    assert!(now.iter().all(|line| !line.contains("10.96.0.80")), "{now:#?}");
    // And back.
    let tables = Inventory::at(lab.trace(), before);
    assert_eq!(lines(&lab, &tables), then);
}

/// What CoreDNS asks itself for the plugin `loop` is told apart from what others ask.
#[test]
fn questions_of_the_plugin_loop_are_told_apart() {
    let mut lab = settled();
    run(&mut lab, "gnu", "dig +short web.default.svc.cluster.local");
    let all = questions(&lab);
    let checks: Vec<&Exchange> = all.list().iter().filter(|one| one.is_self_check()).collect();
    assert!(!checks.is_empty());
    // To itself, and from there to the server that it forwards to.
    let servers: Vec<String> = checks.iter().map(|one| one.ends.1.0.to_string()).collect();
    assert!(servers.iter().all(|server| server == "127.0.0.1" || server == "192.168.1.1"), "{servers:?}");
    let rest = all.list().iter().filter(|one| !one.is_self_check());
    assert!(rest.into_iter().all(|one| one.question().unwrap().kind.to_string() != "HINFO"));
}

/// A cluster whose CoreDNS serves another port too, and a Service with so many addresses that an answer comes in pieces.
fn larger() -> Lab {
    let mut text = "apiVersion: v1\nkind: Pod\nmetadata: {name: gnu}\nspec: {nodeName: node2, containers: [{name: c, image: debian, command: [sleep, infinity]}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: many}\nspec: {clusterIP: None, ports: [{port: 80}]}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: coredns, namespace: kube-system}\ndata:\n  Corefile: |\n    .:53 {\n      kubernetes cluster.local\n    }\n    .:1053 {\n      kubernetes cluster.local\n    }\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: many-1, labels: {kubernetes.io/service-name: many}}\naddressType: IPv4\nports: [{port: 80}]\nendpoints:\n".to_owned();
    for at in 1..=120 {
        writeln!(text, "- {{addresses: [10.244.9.{at}]}}").unwrap();
    }
    let mut lab = Lab::new(1);
    lab.apply(&text);
    lab.settle(SimTime(60_000_000_000));
    lab
}

#[test]
fn an_answer_in_pieces_is_one_row() {
    let mut lab = larger();
    run(&mut lab, "gnu", "dig +bufsize=4096 +short many.default.svc.cluster.local");
    let all = questions(&lab);
    let row = all.list().iter().rfind(|one| !one.is_self_check()).unwrap();
    let (answer, way) = row.answer.as_ref().expect("answered");
    assert_eq!((answer.answer.len(), row.tcp), (120, false));
    assert!(way.taken.is_some_and(|taken| taken.netns == row.asked.sent.netns), "{way:?}");
    assert!(way.lost.is_none() && row.delay().is_some());
}

#[test]
fn a_server_at_another_port_has_its_rows() {
    let mut lab = larger();
    let pods = tables(&lab);
    let server =
        pods.pods.values().find(|row| row.name.starts_with("coredns-")).and_then(|row| row.ip).unwrap();
    for way in ["", "+tcp "] {
        run(
            &mut lab,
            "gnu",
            &format!("dig {way}-p 1053 @{server} +short kubernetes.default.svc.cluster.local"),
        );
    }
    let all = questions(&lab);
    let rows: Vec<&Exchange> = all.list().iter().filter(|one| one.ends.1.1 == 1053).collect();
    assert_eq!(rows.iter().map(|row| row.tcp).collect::<Vec<_>>(), [false, true]);
    assert!(rows.iter().all(|row| row.answer.is_some() && !row.steps.is_empty()), "{rows:?}");
}
