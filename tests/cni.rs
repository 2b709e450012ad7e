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
        let _ = write!(out, "$ {line}\n{}", common::mask::mask(&output));
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
