//! Whole sessions of tools against the real ones: commands one after the other in a network namespace, each with what
//! it printed and its status (`tests/sessions/`, Debian 12). `UPDATE_EXPECT=1` records them anew, as root.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use vethscope::lab::{Target, prompt};

/// A command with what it printed and its status.
struct Step {
    command: String,
    output: String,
    status: u8,
}

fn read(path: &Path) -> Vec<Step> {
    let text = std::fs::read_to_string(path).expect("a session can be read");
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("## ")) {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), output: String::new(), status: 255 });
            continue;
        }
        let step = steps.last_mut().expect("a session begins with a command");
        match line.strip_prefix("rc=") {
            Some(status) => step.status = status.parse().expect("a status is a number"),
            None => step.output.extend([line, "\n"]),
        }
    }
    steps
}

/// What a timer that runs has left is not determined.
fn without_timers(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("timer") {
        let (before, after) = rest.split_at(at + "timer".len());
        let value = after.trim_start();
        let end = value.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(value.len());
        let runs = value[..end].parse::<f64>().is_ok_and(|left| left > 0.0);
        out += before;
        out += &after[..after.len() - value.len()];
        out += if runs { "RUNS" } else { &value[..end] };
        rest = &value[end..];
    }
    // Numbers are as wide as they are.
    (out + rest).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// When a table was printed is not determined.
fn masked(text: &str) -> String {
    let line = |line: &str| match line.split_once(" on ") {
        Some((before, _)) if line.starts_with("# ") => format!("{before} on DATE\n"),
        _ if line.contains("timer") => without_timers(line) + "\n",
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn sessions() -> Vec<PathBuf> {
    let files = std::fs::read_dir("tests/sessions").expect("the sessions are there");
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Has the real tools do the same in a namespace of their own.
fn record(path: &Path) {
    let commands: String = read(path).into_iter().flat_map(|step| [step.command, "\n".to_owned()]).collect();
    // The kernel's directory of devices shows those of the namespace that mounts it.
    // Addresses of IPv6 are not simulated.
    let script = r#"mount -t sysfs sysfs /sys; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; while IFS= read -r line; do echo "$ $line"; bash -c "$line" 2>&1; echo "rc=$?"; done"#;
    let mut child = Command::new("unshare")
        .args(["-n", "-m", "bash", "-c", script])
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("unshare is installed");
    let mut input = child.stdin.take().expect("standard input");
    std::io::Write::write_all(&mut input, commands.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends").stdout;
    let text = std::fs::read_to_string(path).expect("a session can be read");
    let head: String = text
        .lines()
        .take_while(|line| line.starts_with("## "))
        .fold(String::new(), |out, line| out + line + "\n");
    std::fs::write(path, head + &String::from_utf8_lossy(&output)).expect("a session can be written");
}

#[test]
fn sessions_go_as_with_the_real_tools() {
    let mut wrong = String::new();
    let mut count = 0;
    for path in sessions() {
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            record(&path);
        }
        let mut lab = common::lab(common::RECORDED_LAB, 1);
        let target = Target::Host("ext".to_owned());
        for step in read(&path) {
            count += 1;
            let argv = prompt::argv(&step.command).expect("quotes are closed");
            let ran = common::run_argv(&mut lab, &target, &argv);
            let (want, got) = (masked(&step.output), masked(&ran.output));
            if want != got || step.status != ran.status {
                let (name, command) = (path.display(), &step.command);
                let (status, wanted) = (ran.status, step.status);
                let _ = writeln!(wrong, "== {name}: {command} (status {status} for {wanted})");
                wrong += &common::differing(&want, &got);
            }
        }
    }
    assert!(count > 200, "only {count} commands");
    assert!(wrong.is_empty(), "{wrong}");
}
