//! The same command over several networks: what is measured, and that the command means the same Pods in each.

mod common;

use vethscope::lab::Target;
use vethscope::lab::compare::{Choice, Outcome, compare, text};

const LESSON: &str = include_str!("compare/lesson.yaml");

fn choices(names: &str) -> Vec<Choice> {
    names.split(' ').map(|name| Choice::parse(name).expect("a network that there is")).collect()
}

fn outcomes(yaml: &str, networks: &str, line: &str) -> Vec<Outcome> {
    let mut words = line.split(' ').map(str::to_owned);
    let target = Target::parse(&words.next().expect("a line begins with its Pod"), "default", None);
    let argv: Vec<String> = words.collect();
    compare(yaml, &choices(networks), &target, &argv, 1).expect("the text is right")
}

#[test]
fn one_ping_over_every_network() {
    let networks = "flannel/vxlan flannel/host-gw calico/vxlan calico/bgp cilium/vxlan cilium/host-gw bridge";
    let played = common::mask::mask(&text(&outcomes(LESSON, networks, "a ping -c1 -W1 pod/b")));
    let path = "tests/compare/lesson.txt";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &played).unwrap();
    }
    assert_eq!(played, std::fs::read_to_string(path).unwrap());
}

#[test]
fn the_price_of_a_tunnel_is_its_headers() {
    let found = outcomes(LESSON, "flannel/vxlan flannel/host-gw", "a ping -c1 -s 1000 pod/b");
    let wire = |at: usize| found[at].followed.as_ref().unwrap().wire_bytes;
    assert_eq!((wire(0), wire(1)), (14 + 50 + 1028, 14 + 1028));
    let delay = |at: usize| found[at].followed.as_ref().unwrap().one_way_ns;
    assert!(delay(0) > delay(1), "putting a packet into a tunnel takes time");
}

#[test]
fn an_address_of_the_text_stands_for_its_pod() {
    let found = outcomes(LESSON, "flannel/host-gw calico/bgp cilium/vxlan", "a ping -c1 10.244.2.2");
    let asked: Vec<&str> = found.iter().map(|outcome| outcome.command[2].as_str()).collect();
    assert_eq!(asked, ["10.244.2.2", "10.244.2.0", "10.244.2.2"]);
    assert!(found.iter().all(|outcome| outcome.status == Some(0)));
}

#[test]
fn a_network_that_is_none_is_refused_with_what_there_is() {
    assert!(Choice::parse("weave").unwrap_err().contains("bridge, flannel, calico, cilium"));
    assert!(Choice::parse("calico/gre").unwrap_err().contains("ipip, vxlan, bgp"));
}

#[test]
fn a_text_in_error_is_not_compared() {
    let target = Target::parse("a", "default", None);
    let found = compare("kind: Pod", &choices("bridge"), &target, &["true".to_owned()], 1);
    assert!(found.is_err());
}

#[test]
fn what_esp_adds_is_told_piece_by_piece() {
    let found = outcomes(LESSON, "flannel/ipsec", "a ping -c1 -s 1000 pod/b");
    let followed = found[0].followed.as_ref().expect("it was sent");
    let bytes: Vec<usize> = followed.headers.iter().map(|header| header.bytes).collect();
    // 1,028 bytes and two of trailer make a multiple of four with two of padding.
    assert_eq!(bytes, [20, 8, 8, 4, 16]);
    assert_eq!(followed.wire_bytes, 14 + 1028 + bytes.iter().sum::<usize>());
}
