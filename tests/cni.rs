//! What each network plug-in leaves on nodes and in Pods: the tables as the tools print them, and the results that the
//! plug-ins give to the runtime. One file a network in `tests/cni/`: the block `network` of the cluster document, then
//! commands with their output. `result POD` shows a plug-in's result, `request POD` what it was called with.
//!
//! What is drawn by chance is masked: Ethernet addresses but Calico's `ee:ee:ee:ee:ee:ee`, names of interfaces, ids of
//! sandboxes, times. `UPDATE_EXPECT=1` writes the files anew.

mod common;

use std::fmt::Write as _;
use vethscope::lab::Lab;
use vethscope::trace::Steps;

/// Two Pods on node1, one on node2.
const PODS: &str = include_str!("cni/pods.yaml");

fn is_hex(word: &str, len: usize) -> bool {
    word.len() == len && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Masks one word, with what may cling to it.
fn mask_word(word: &str) -> String {
    let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if core.is_empty() {
        return word.to_owned();
    }
    let mac = core.len() == 17 && core.split(':').all(|part| is_hex(part, 2));
    let fixed = matches!(core, "ee:ee:ee:ee:ee:ee" | "ff:ff:ff:ff:ff:ff" | "00:00:00:00:00:00");
    if mac && !fixed {
        return word.replace(core, "MAC");
    }
    for (prefix, len) in [("veth", 8), ("lxc", 12), ("/var/run/netns/cni-", 32)] {
        let Some(at) = word.find(prefix) else { continue };
        let start = at + prefix.len();
        if word.get(start..start + len).is_some_and(|rest| is_hex(rest, len)) {
            return format!("{}{prefix}*{}", &word[..at], mask_word(&word[start + len..]));
        }
    }
    if is_hex(core, 64) { word.replace(core, "ID") } else { word.to_owned() }
}

fn mask(text: &str) -> String {
    let times = |line: &str| {
        let line = line.split(" time=").next().unwrap_or(line).to_owned();
        if line.starts_with("rtt ") { "rtt".to_owned() } else { line }
    };
    let words = |line: String| line.split(' ').map(mask_word).collect::<Vec<_>>().join(" ");
    let ids = |line: String| match line.split_once("K8S_POD_INFRA_CONTAINER_ID=") {
        Some((head, tail)) => format!("{head}K8S_POD_INFRA_CONTAINER_ID=ID{}", &tail[64..]),
        None => line,
    };
    text.lines().map(|line| ids(words(times(line))) + "\n").collect()
}

fn cni_call(lab: &mut Lab, pod: &str, result: bool) -> String {
    let steps = lab.live().steps.clone();
    let row = steps.iter().rev().map(|(_, row)| row).find(|row| {
        let json = if result { &row.result } else { &row.request };
        row.steps == Steps::Creation && &*row.pod == pod && json.is_some()
    });
    let json = row.and_then(|row| if result { row.result.clone() } else { row.request.clone() });
    let json: serde_json::Value =
        serde_json::from_str(&json.expect("the plug-in was called")).expect("it is JSON");
    serde_json::to_string_pretty(&json).expect("it can be printed") + "\n"
}

fn play(file: &str) -> String {
    let (head, commands) = file.split_once("\n$ ").expect("commands begin with a dollar sign");
    let network = head.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let cluster = "---\napiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n";
    let indented = network.lines().flat_map(|line| ["  ", line, "\n"]).collect::<String>();
    let mut lab = common::lab(&format!("{PODS}{cluster}{indented}"), 1);
    let mut out = format!("{head}\n");
    for command in format!("\n$ {commands}").split("\n$ ").skip(1) {
        let line = command.lines().next().unwrap_or_default();
        let output = match line.split_once(' ') {
            Some(("result", pod)) => cni_call(&mut lab, pod, true),
            Some(("request", pod)) => cni_call(&mut lab, pod, false),
            _ => common::run(&mut lab, line).output,
        };
        let _ = write!(out, "$ {line}\n{}", mask(&output));
    }
    out
}

#[test]
fn every_plugin_leaves_what_the_files_say() {
    let mut failures = Vec::new();
    let mut count = 0;
    let entries = std::fs::read_dir("tests/cni").expect("the files are there").flatten();
    for path in
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "txt"))
    {
        let file = std::fs::read_to_string(&path).expect("a file can be read");
        let played = play(&file);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &played).expect("a file can be written");
        } else if played != file {
            failures.push(format!("== {}\n{played}", path.display()));
        }
        count += 1;
    }
    assert!(count >= 5, "only {count} files found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
