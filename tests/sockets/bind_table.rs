//! Which second `bind` and `listen` on a port succeed, against the table recorded on a real kernel. IPv6 rows are left
//! out, for the simulated hosts speak IPv4 alone.

use crate::net::{answers, socket_rows};

/// Sections, pairs of addresses, and the options under which both succeed: `n` none, `a` `SO_REUSEADDR`, `p`
/// `SO_REUSEPORT`, for the first and for the second socket.
const TABLE: &str = "\
tcp listen 0.0.0.0 0.0.0.0 pp
tcp listen 0.0.0.0 127.0.0.1 pp
tcp listen 0.0.0.0 10.0.0.1 pp
tcp listen 127.0.0.1 0.0.0.0 pp
tcp listen 127.0.0.1 127.0.0.1 pp
tcp listen 127.0.0.1 10.0.0.1 all
tcp listen 10.0.0.1 0.0.0.0 pp
tcp listen 10.0.0.1 127.0.0.1 all
tcp listen 10.0.0.1 10.0.0.1 pp
tcp bind 0.0.0.0 0.0.0.0 aa,pp
tcp bind 0.0.0.0 127.0.0.1 aa,pp
tcp bind 0.0.0.0 10.0.0.1 aa,pp
tcp bind 127.0.0.1 0.0.0.0 aa,pp
tcp bind 127.0.0.1 127.0.0.1 aa,pp
tcp bind 127.0.0.1 10.0.0.1 all
tcp bind 10.0.0.1 0.0.0.0 aa,pp
tcp bind 10.0.0.1 127.0.0.1 all
tcp bind 10.0.0.1 10.0.0.1 aa,pp
udp bind 0.0.0.0 0.0.0.0 aa,pp
udp bind 0.0.0.0 127.0.0.1 aa,pp
udp bind 0.0.0.0 10.0.0.1 aa,pp
udp bind 127.0.0.1 0.0.0.0 aa,pp
udp bind 127.0.0.1 127.0.0.1 aa,pp
udp bind 127.0.0.1 10.0.0.1 all
udp bind 10.0.0.1 0.0.0.0 aa,pp
udp bind 10.0.0.1 127.0.0.1 all
udp bind 10.0.0.1 10.0.0.1 aa,pp
";

#[test]
fn a_second_socket_on_a_port_is_refused_as_the_recorded_table_says() {
    for row in TABLE.lines() {
        let [transport, ends_with, first, second, allowed] =
            row.split(' ').collect::<Vec<_>>().try_into().unwrap();
        for pair in ["nn", "na", "np", "an", "aa", "ap", "pn", "pa", "pp"] {
            let of = |name: &str, addr: &str, option: &str| {
                let set = match option {
                    "a" => format!("0 a set {name} reuseaddr 1\n"),
                    "p" => format!("0 a set {name} reuseport 1\n"),
                    _ => String::new(),
                };
                let listen =
                    if ends_with == "listen" { format!("0 a listen {name} 5\n") } else { String::new() };
                format!("0 a socket {name} {transport}\n{set}0 a bind {name} {addr}:7000\n{listen}")
            };
            let script = of("s", first, &pair[..1]) + &of("t", second, &pair[1..]);
            let succeeds = answers(&script).iter().all(|answer| answer == "ok");
            let expected = allowed == "all" || allowed.split(',').any(|option| option == pair);
            assert_eq!(succeeds, expected, "{row}, options {pair}\n{script}");
        }
    }
}

fn last_answer(script: &str) -> String {
    answers(script).pop().unwrap()
}

#[test]
fn addresses_and_protocols_are_told_apart() {
    let both = |one: &str, other: &str| {
        format!("0 a socket s {one}\n0 a bind s 0.0.0.0:70\n0 a socket t {other}\n0 a bind t 0.0.0.0:70\n")
    };
    assert_eq!(last_answer(&both("tcp", "udp")), "ok");
    assert_eq!(last_answer(&both("udp", "tcp")), "ok");
    for (addr, answer) in [
        ("10.9.9.9:70", "EADDRNOTAVAIL"),
        ("10.0.0.2:70", "EADDRNOTAVAIL"),
        ("127.0.0.9:70", "ok"),
        ("10.0.0.255:70", "ok"),
        ("0.0.0.0:0", "ok"),
    ] {
        assert_eq!(last_answer(&format!("0 a socket s tcp\n0 a bind s {addr}\n")), answer, "{addr}");
    }
    let twice = "0 a socket s tcp\n0 a bind s 0.0.0.0:70\n0 a bind s 0.0.0.0:71\n";
    assert_eq!(last_answer(twice), "EINVAL");
}

/// A server that closed first, and is started again.
fn restart(first: &str, second: &str) -> String {
    let option = |name: &str, option: &str| match option {
        "none" => String::new(),
        option => format!("0 a set {name} {option} 1\n"),
    };
    let again = option("t", second).replace("0 a", "300 a");
    let (s, t) = (option("s", first), again);
    last_answer(&format!(
        "0 a socket s tcp\n{s}0 a bind s 10.0.0.1:80\n0 a listen s 5\n10 b socket c tcp\n\
         10 b connect c 10.0.0.1:80\n20 a accept s n\n30 a close n\n40 b close c\n50 a close s\n\
         300 a socket t tcp\n{t}300 a bind t 10.0.0.1:80\n"
    ))
}

#[test]
fn a_server_in_time_wait_restarts_only_with_reuseaddr_on_both_sockets() {
    assert_eq!(restart("none", "none"), "EADDRINUSE");
    assert_eq!(restart("none", "reuseport"), "EADDRINUSE");
    assert_eq!(restart("none", "reuseaddr"), "EADDRINUSE");
    assert_eq!(restart("reuseaddr", "none"), "EADDRINUSE");
    assert_eq!(restart("reuseaddr", "reuseport"), "EADDRINUSE");
    assert_eq!(restart("reuseaddr", "reuseaddr"), "ok");
}

#[test]
fn a_connections_rows_tell_its_whole_life() {
    let rows = socket_rows(
        "0 b socket s tcp\n0 b bind s 10.0.0.2:80\n0 b listen s 5\n10 a socket c tcp\n\
         10 a bind c 10.0.0.1:4000\n10 a connect c 10.0.0.2:80\n20 b accept s n\n30 a close c\n40 b close n\n",
    );
    assert_eq!(
        rows,
        [
            "#0 tcp LISTEN 10.0.0.2:80 0.0.0.0:0 recv 0 send 5",
            "#0 tcp SYN_SENT 10.0.0.1:4000 10.0.0.2:80 recv 0 send 1",
            "#1 tcp SYN_RECV 10.0.0.2:80 10.0.0.1:4000 recv 0 send 0",
            "#0 tcp ESTABLISHED 10.0.0.1:4000 10.0.0.2:80 recv 0 send 0",
            "#0 tcp LISTEN 10.0.0.2:80 0.0.0.0:0 recv 1 send 5",
            "#1 tcp ESTABLISHED 10.0.0.2:80 10.0.0.1:4000 recv 0 send 0",
            "#0 tcp LISTEN 10.0.0.2:80 0.0.0.0:0 recv 0 send 5",
            "#1 tcp ESTABLISHED 10.0.0.2:80 10.0.0.1:4000 recv 0 send 0",
            "#0 tcp FIN_WAIT1 10.0.0.1:4000 10.0.0.2:80 recv 0 send 1",
            "#1 tcp CLOSE_WAIT 10.0.0.2:80 10.0.0.1:4000 recv 1 send 0",
            "#0 tcp FIN_WAIT2 10.0.0.1:4000 10.0.0.2:80 recv 0 send 0",
            "#1 tcp LAST_ACK 10.0.0.2:80 10.0.0.1:4000 recv 1 send 1",
            "#0 tcp TIME_WAIT 10.0.0.1:4000 10.0.0.2:80 recv 0 send 0",
            "#1 gone",
        ]
    );
}
