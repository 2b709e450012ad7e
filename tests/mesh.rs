//! Pods with sidecars that speak mutual TLS: what programs see of it. One file a scenario in `tests/mesh/`: commands
//! with their output, in the lab of `lab.yaml` and what stands before them. What is drawn by chance is masked. `UPDATE_EXPECT=1` writes the files
//! anew.

mod common;

use std::fmt::Write as _;
use vethscope::lab::Target;
use vethscope::lab::prompt::argv;

const LAB: &str = include_str!("mesh/lab.yaml");

fn play(file: &str) -> String {
    let (head, commands) = file.split_once("\n$ ").expect("commands begin with a dollar sign");
    let more: String =
        head.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let mut lab = common::lab(&format!("{LAB}{more}"), 1);
    let mut out = format!("{head}\n");
    for command in format!("\n$ {commands}").split("\n$ ").skip(1) {
        let line = command.lines().next().unwrap_or_default();
        let (target, rest) = line.split_once(' ').expect("a command line begins with its target");
        let argv = argv(rest).expect("quotes are closed");
        let ran = common::run_argv(&mut lab, &Target::parse(target, "default", None), &argv);
        let _ = write!(out, "$ {line}\n{}", common::mask::mask(&ran.output));
        if !ran.output.is_empty() && !ran.output.ends_with('\n') {
            out.push('\n');
        }
        if ran.status != 0 {
            let _ = writeln!(out, "status {}", ran.status);
        }
    }
    out
}

#[test]
fn programs_see_what_the_files_say() {
    common::play_folder("mesh", 9, play);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed| {
        let mut lab = common::lab(LAB, seed);
        common::run(&mut lab, "shop/client curl -s http://web.shop/clientip");
        lab.trace().hash()
    };
    assert_eq!(run(5), run(5), "keys, certificates and handshakes are drawn from the seed");
    assert_ne!(run(5), run(6));
}
