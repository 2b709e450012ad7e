//! What simulated programs print in the recorded topology, held against what the real ones printed there
//! (`tests/programs/`, Debian 12): each file is a place, a command, its output in terminal order, and its status.

mod common;

use std::fmt::Write as _;
use vethscope::lab::{Lab, Target, prompt};

/// The recorded topology with the servers that ran in it: nginx 1.22.1 with a page of 16 bytes, and others in Pod b
/// whose ports were taken.
fn recorded_lab() -> Lab {
    let page = "command: [sh, -c, \"echo 'Hello from pod%' > /usr/share/nginx/html/index.html; exec nginx -g 'daemon off;'\"]";
    let listens =
        [9103, 9106, 9107, 9110].map(|port| format!("{{\"listen\": \"tcp://:{port}\"}}")).join(", ");
    let server = format!(
        "metadata: {{name: b, annotations: {{vethscope.dev/processes: '{{\"taken\": [{listens}]}}'}}}}"
    );
    let nginx =
        |letter: &str| format!("{{name: web, image: \"nginx:1.22.1\", {}}}", page.replace('%', letter));
    let text = common::RECORDED_LAB
        .replacen("{name: app, image: curlimages/curl, command: [sleep, infinity]}", &nginx("A"), 1)
        .replacen("{name: web, image: nginx}", &nginx("C"), 1)
        .replacen("{name: web, image: nginx}", &format!("{}\n  - {{name: taken, image: app}}", nginx("B")), 1)
        .replacen("metadata: {name: b}", &server, 1);
    common::lab(&text, 1)
}

/// What a real system does not determine is made equal on both sides, here and nowhere else: dates, times that
/// something took and rates that follow from them, process numbers, and the entity tag, which is made of a date.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        // Times of ping, and addresses and names of interfaces that were drawn.
        if line.contains(".|-- ") || line.starts_with("HOST: ") {
            let (head, figures) = line.split_at(40);
            out += &head.replace("HOST: vm", "HOST: a ");
            out.extend(figures.chars().map(|each| if each.is_ascii_digit() { 'N' } else { each }));
            continue;
        }
        if line.starts_with("rtt ") {
            out += "rtt N\n";
            continue;
        }
        let line = after(line, "% packet loss, time ", '\n');
        let line = after(&line, "link/ether ", ' ');
        let line = after(&line, ": veth", '@');
        let line = after(&line, "Date\u{1b}[0m: ", '\r');
        let line = after(&line, "Last-Modified\u{1b}[0m: ", '\r');
        let line = after(&line, "ETag\u{1b}[0m: ", '\r');
        let line = after(&line, "Date: ", '\r');
        let line = after(&after(&line, "Last-Modified: ", '\r'), "ETag: ", '\r');
        let line = after(&line, "  Date: ", '\n');
        let line = after(&after(&line, "  Last-Modified: ", '\n'), "  ETag: ", '\n');
        let line = after(&after(&line, " after ", 's'), " 100% ", '\n');
        let line = if line.contains("nginx: master ") {
            line.split("nginx: master ").next().unwrap_or("").to_owned() + "nginx: master\n"
        } else {
            line
        };
        let is_meter = line.contains("--:--:--");
        let is_rate =
            |word: &str| is_meter && word.len() == 5 && word.bytes().all(|byte| byte.is_ascii_digit());
        let words: Vec<String> = line
            .split(' ')
            .map(|word| if is_rate(word) { "N".to_owned() } else { mask_word(word) })
            .collect();
        out += &words.join(" ");
    }
    out
}

fn after(line: &str, marker: &str, end: char) -> String {
    let Some((before, rest)) = line.split_once(marker) else { return line.to_owned() };
    match rest.find(end) {
        Some(at) => format!("{before}{marker}N{}", &rest[at..]),
        None => line.to_owned(),
    }
}

/// Dates, clock times, times of probes, rates, and process numbers.
fn mask_word(word: &str) -> String {
    if word.starts_with('[') && word.ends_with(']') && word.matches('.').count() == 1 {
        return "[N]".to_owned();
    }
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let is = |separator: char, count: usize| word.matches(separator).count() == count && digits >= 6;
    let bare = word.trim_matches(|letter: char| !letter.is_ascii_digit());
    let head = word.find(bare).unwrap_or(0);
    let is_time =
        bare.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 3) && !bare.contains(':');
    if is(':', 2) && !word.contains('[') && digits <= 9
        || is('-', 2)
        || is('/', 2)
        || is_time && !bare.is_empty()
    {
        return format!("{}N{}", &word[..head], &word[head + bare.len()..]);
    }
    if let Some((_, rest)) = word.split_once([':', '#']).filter(|(number, _)| number.parse::<u32>().is_ok()) {
        let rest = rest.trim_end_matches(':');
        return if rest.parse::<u32>().is_ok() { "N#N:".to_owned() } else { format!("N:{rest}") };
    }
    if word.strip_prefix("ident=").is_some_and(|drawn| drawn.parse::<u16>().is_ok()) {
        return "ident=N".to_owned();
    }
    if word.starts_with("pid=") {
        return "pid=N".to_owned();
    }
    if word.starts_with('(') && word[1..].parse::<f32>().is_ok() {
        return "(N".to_owned();
    }
    if matches!(word, "MB/s)" | "KB/s)" | "GB/s)" | "2026" | "Nov" | "Jan" | "22" | "01") {
        return "N".to_owned();
    }
    if word.starts_with("--20") || word.starts_with("(pid") {
        return "N".to_owned();
    }
    if let Some((number, name)) = word.split_once('/').filter(|(number, _)| number.parse::<u32>().is_ok()) {
        return if name.starts_with("nginx") { format!("N/{name}") } else { format!("{number}/{name}") };
    }
    word.to_owned()
}

/// The recordings of a file: each begins with `$ [PLACE] COMMAND`. A backslash ends a last line that had no end.
fn recordings(path: &std::path::Path) -> Vec<(std::path::PathBuf, String)> {
    let text = std::fs::read_to_string(path).expect("a recording can be read");
    let cut = text.replace("\n$ [", "\n\0$ [");
    cut.split('\0').map(|text| (path.to_owned(), text.replace("\\\nrc=", "rc="))).collect()
}

#[test]
fn programs_print_what_the_real_ones_printed() {
    let mut plain = recorded_lab();
    // The silent address of the recordings is a black hole on its node.
    common::run(&mut plain, "node/node2 ip route add blackhole 10.244.2.66");
    // Names bring CoreDNS into the cluster, whose Pods would stand in the tables of the other commands.
    let mut named = recorded_lab();
    // Tables show what the commands before left, so these have a cluster in which nothing else happens.
    let mut still = recorded_lab();
    let mut paths: Vec<_> = std::fs::read_dir("tests/programs")
        .expect("the recordings are there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    // What asks for a name brings up the cluster's DNS, whose Pods the recorded one did not have; so links are looked at
    // before.
    paths.sort_by_key(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ip-")));
    let mut wrong = String::new();
    let mut count = 0;
    for (path, text) in paths.iter().flat_map(|path| recordings(path)) {
        let (head, rest) = text.split_once('\n').expect("a recording begins with its command");
        let (label, command) =
            head.trim_start_matches("$ [").split_once("] ").expect("a place and a command");
        let (expected, status) = rest.rsplit_once("rc=").expect("a recording ends with its status");
        let target = match label {
            "podA" => Target::parse("a", "default", None),
            "podB" => Target::parse("b", "default", None),
            "podC" => Target::parse("c", "default", None),
            _ => Target::Node(label.to_owned()),
        };
        let command = if path.to_string_lossy().contains(".pipe.") {
            format!("{command} 2>&1 | cat")
        } else {
            command.to_owned()
        };
        let argv = prompt::argv(&command).expect("quotes are closed");
        let file = path.to_string_lossy();
        let looks_up = file.contains("nohost") || file.contains("not-resolve");
        let lab = match () {
            () if file.ends_with("tables.txt") => &mut still,
            () if looks_up => &mut named,
            () => &mut plain,
        };
        let ran = common::run_argv(lab, &target, &argv);
        let (want, got) = (masked(expected), masked(&ran.output));
        let same_status = command.ends_with("| cat") || status.trim() == ran.status.to_string();
        count += 1;
        if want != got || !same_status {
            let name = path.file_stem().expect("a name").to_string_lossy();
            let _ = writeln!(
                wrong,
                "== {name}: {command} (status {} for {})\n{}",
                ran.status,
                status.trim(),
                common::differing(&want, &got)
            );
        }
    }
    assert!(count > 150, "only {count} recordings");
    assert!(wrong.is_empty(), "{wrong}");
}

/// What went on while each of these was recorded: beginnings of their names, and the commands in Pod a.
const TRAFFIC: [(&str, &[&str]); 6] = [
    ("tcpdump-http", &["curl -s http://10.244.2.10/"]),
    ("tcpdump-arp-fail", &["ping -c1 10.244.1.77"]),
    (
        "tcpdump-icmp-errors",
        &["ping -c1 8.8.8.8", "ping -c1 -t1 10.244.2.10", "sh -c 'echo x | nc -u -w1 10.244.2.10 99'"],
    ),
    ("tcpdump-retrans", &["curl -s -m2 http://10.244.2.66/"]),
    ("tcpdump-rst", &["curl -s http://10.244.2.10:81/"]),
    ("tcpdump-", &["ping -c1 10.244.2.10"]),
];

/// What a real system draws by chance: times, identifiers, Ethernet addresses of the nodes, ports that it chose, sequence
/// numbers and time stamps, checksums that follow from them; how many packets came before the program stopped
/// listening; and bytes in which all of these stand.
fn masked_capture(text: &str) -> String {
    let dates = ["\tDate: ", "\tLast-Modified: ", "\tETag: "];
    let mut out = String::new();
    for line in text.lines() {
        let bytes = line.starts_with("\t0x") || line.contains("..") && !line.contains(" IP ");
        if bytes || line.contains(" received by filter") || dates.iter().any(|name| line.starts_with(name)) {
            out += "N\n";
            continue;
        }
        let mut after = "";
        for word in line.split(' ') {
            out += &mask_capture_word(word, after);
            out.push(' ');
            after = word;
        }
        out.push('\n');
    }
    out
}

fn mask_capture_word(word: &str, after: &str) -> String {
    let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let colons = bare.matches(':').count();
    let number = bare.parse::<u64>().ok();
    if colons == 2 && bare.contains('.') && bare.len() == 15 {
        return "TIME".to_owned();
    }
    if after == "cksum"
        || number.is_some_and(|number| number > 100_000 || matches!(after, "id" | "val" | "ecr"))
    {
        return word.replace(bare, "N");
    }
    if bare.split_once(':').is_some_and(|(one, _)| one.parse::<u64>().is_ok_and(|one| one > 100_000)) {
        return word.replace(bare, "N:N");
    }
    if bare.matches('-').count() == 2 && bare.starts_with("202") {
        return "DATE".to_owned();
    }
    if let Some(rest) = bare.strip_suffix(",nop,wscale").filter(|_| after == "ecr") {
        return word.replace(rest, "N");
    }
    if bare.len() == 17 && colons == 5 && !bare.starts_with("0a:58") && bare != "ff:ff:ff:ff:ff:ff" {
        return word.replace(bare, "MAC");
    }
    if bare.starts_with("veth") {
        return "veth".to_owned();
    }
    let host_and_port = bare.rsplit_once('.').filter(|(host, _)| host.matches('.').count() == 3);
    match host_and_port {
        Some((host, port)) if port.parse::<u16>().is_ok_and(|port| port > 30_000) => {
            word.replace(bare, &format!("{host}.PORT"))
        }
        _ => word.to_owned(),
    }
}

#[test]
fn captures_are_printed_as_the_real_ones_were() {
    let mut paths: Vec<_> = std::fs::read_dir("tests/tcpdump")
        .expect("the recordings are there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let mut wrong = String::new();
    for path in &paths {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).expect("a recording can be read");
        let (head, rest) = text.split_once('\n').expect("a recording begins with its command");
        let (label, command) =
            head.trim_start_matches("$ [").split_once("] ").expect("a place and a command");
        let (expected, status) = rest.rsplit_once("rc=").expect("a recording ends with its status");
        let target = match label {
            "podA" => Target::parse("a", "default", None),
            _ => Target::Node(label.to_owned()),
        };
        let mut lab = recorded_lab();
        common::run(&mut lab, "node/node2 ip route add blackhole 10.244.2.66");
        let from = lab.trace().len();
        let capture =
            lab.start(&target, &prompt::argv(command).expect("quotes are closed")).expect("it starts");
        let traffic =
            TRAFFIC.iter().find(|(start, _)| name.starts_with(start)).map_or(&[][..], |(_, all)| *all);
        for line in traffic {
            let argv = prompt::argv(line).expect("quotes are closed");
            common::run_argv(&mut lab, &Target::parse("a", "default", None), &argv);
        }
        let soon = vethscope::base::SimTime(lab.now().0 + 50_000_000);
        lab.wait_until(soon);
        if expected.contains("^C") {
            lab.interrupt(capture);
        }
        lab.finish(capture, common::FOR_EVER);
        let got = common::written(&lab, from, capture);
        let want = masked_capture(&expected.replace("^C", ""));
        let got = masked_capture(&got);
        if want != got || status.trim() != lab.status(capture).expect("it ended").to_string() {
            let _ = writeln!(wrong, "== {name}: {command}\n{}", common::differing(&want, &got));
        }
    }
    assert!(paths.len() >= 20, "only {} recordings", paths.len());
    assert!(wrong.is_empty(), "{wrong}");
}

/// A capture puts its device into promiscuous mode, and so sees on a bridge what passes between two of its ports.
#[test]
fn a_capture_at_a_bridge_sees_what_its_ports_say_to_one_another() {
    let captured = |option: &str| {
        let mut lab = common::lab(include_str!("../src/lab/lessons/en/vxlan.yaml"), 1);
        let line = format!(
            "timeout 3 tcpdump -i cni0 {option} -t -nn icmp & sleep 1; kubectl exec a -- ping -c1 -q 10.244.1.11 > /dev/null; \
             ip -d link show cni0 | grep -o 'promiscuity [0-9]*'; wait; ip -d link show cni0 | grep -o 'promiscuity [0-9]*'"
        );
        let argv = ["sh", "-c", &line].map(str::to_owned);
        common::run_argv(&mut lab, &Target::parse("node/node1", "default", None), &argv).output
    };
    let seen = captured("");
    assert!(seen.contains("IP 10.244.1.10 > 10.244.1.11: ICMP echo request"), "{seen}");
    assert!(seen.contains("IP 10.244.1.11 > 10.244.1.10: ICMP echo reply"), "{seen}");
    assert_eq!(seen.matches("promiscuity 1\n").count(), 1, "while it listens: {seen}");
    assert_eq!(seen.matches("promiscuity 0\n").count(), 1, "and no longer: {seen}");
    let seen = captured("-p");
    assert!(!seen.contains("ICMP") && !seen.contains("promiscuity 1"), "{seen}");
}
