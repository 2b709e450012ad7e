//! Whether a command looks names up, so that the cluster's DNS has to be there.

use super::{Lab, Target};
use crate::api::ApiRequest;
use crate::base::{Ipv4Addr, SimTime};

/// Programs that look names up whatever their words are.
const ALWAYS: [&str; 4] = ["dig", "getent", "host", "nslookup"];
/// Programs whose target may be a name.
const PERHAPS: [&str; 11] = [
    "curl",
    "nc",
    "nc.openbsd",
    "nc.traditional",
    "netcat",
    "ping",
    "telnet",
    "tracepath",
    "traceroute",
    "wget",
    "http",
];
/// The DNS has so long to come up, in simulated time.
const LIMIT_NS: u64 = 60_000_000_000;

/// Options of a program that take the next word, which is no target then.
fn with_value(program: &str) -> &'static [&'static str] {
    match program {
        "curl" => &[
            "-A",
            "-b",
            "-d",
            "-e",
            "-H",
            "-m",
            "-o",
            "-u",
            "-w",
            "-X",
            "--connect-timeout",
            "--data",
            "--header",
            "--interface",
            "--max-time",
            "--output",
            "--request",
            "--resolve",
            "--user-agent",
        ],
        "ping" => &["-c", "-i", "-I", "-l", "-M", "-p", "-Q", "-s", "-t", "-w", "-W"],
        "traceroute" | "tracepath" => &["-f", "-i", "-l", "-m", "-N", "-p", "-q", "-s", "-w", "-z"],
        "wget" => &["-O", "-o", "-t", "-T", "-U", "--header", "--post-data", "--timeout", "--tries"],
        "nc" | "nc.openbsd" | "nc.traditional" | "netcat" => &["-i", "-I", "-O", "-p", "-q", "-s", "-w"],
        _ => &[],
    }
}

/// Whether one of the commands among these words looks a name up.
fn looks_names_up(argv: &[String]) -> bool {
    let text = argv.join(" ");
    text.split([';', '|', '&', '\n', '(', ')']).any(|command| {
        let words: Vec<&str> =
            command.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
        let program = |word: &&str| word.rsplit('/').next().unwrap_or(word).to_owned();
        let place = |known: &[&str]| words.iter().position(|word| known.contains(&program(word).as_str()));
        let has_name = |at: usize| has_name(&words[at + 1..], with_value(&program(&words[at])));
        place(&ALWAYS).is_some() || place(&PERHAPS).is_some_and(has_name)
    })
}

/// Whether the target at the end of a command is a name; a number after it is a port.
fn has_name(words: &[&str], with_value: &[&str]) -> bool {
    let mut targets = words.iter().enumerate().filter(|(at, word)| {
        let is_value = at.checked_sub(1).is_some_and(|before| with_value.contains(&words[before]));
        !is_value && !word.starts_with('-') && !word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    });
    targets.next_back().is_some_and(|(_, word)| is_name(word))
}

fn is_name(word: &str) -> bool {
    let rest = word.split_once("://").map_or(word, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    let host = host.rsplit('@').next().unwrap_or(host);
    let host = host.split(':').next().unwrap_or(host);
    let letters = host.bytes().all(|at| at.is_ascii_alphanumeric() || b".-_".contains(&at));
    letters
        && !host.starts_with('-')
        && host.bytes().any(|at| at.is_ascii_alphabetic())
        && host.parse::<Ipv4Addr>().is_err()
        && !PERHAPS.contains(&host)
}

impl Lab {
    /// Sees to it that the cluster has a DNS, and that it is up, where a command needs one. What a cluster of kubeadm has
    /// from the start comes only then, so that nothing else is disturbed by it.
    pub fn need_names(&mut self, target: &Target, argv: &[String]) {
        let in_cluster = !matches!(target, Target::Host(_));
        if !in_cluster || !looks_names_up(argv) {
            return;
        }
        let missing = self.sim.agent().map(crate::agent::ControlPlane::missing_dns).unwrap_or_default();
        if missing.is_empty() {
            return;
        }
        for value in missing {
            // What is there already, or cannot be, the cluster has to do without.
            drop(self.request(&ApiRequest::Create((*value).clone())));
        }
        let limit = SimTime(self.sim.now().0 + LIMIT_NS);
        self.settle(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_look_names_up_are_told() {
        let asks = |text: &str| looks_names_up(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for text in [
            "nslookup web",
            "sh -c ping -c1 10.0.0.1; dig x",
            "curl -sS http://web:80/x",
            "nc -zv web 80",
            "ping -c1 example.com",
            "wget -qO- web",
            "ping web -I eth0",
            "ping -I eth0 -c 1 web",
            "curl http://web -o /dev/null",
            "timeout 3 nc -u web 53",
        ] {
            assert!(asks(text), "{text}");
        }
        for text in [
            "ping -c1 10.0.0.1",
            "ip addr",
            "curl http://10.0.0.1:80/",
            "nc -zv 10.0.0.1 80",
            "ping -I eth0 10.0.0.1",
            "ping 10.0.0.1 -c1 -I cni0",
            "curl 10.0.0.1 -H Host:web -o page",
            "traceroute 10.0.0.1 -i eth0",
        ] {
            assert!(!asks(text), "{text}");
        }
    }
}
