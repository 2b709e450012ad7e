//! `kubectl` in the terminal: what it prints, where it prints it, and with which status. `tests/kubectl/*.txt` hold
//! one transcript per file: a line `$ COMMAND` (`?N` at its end for a status other than 0) and below it what comes;
//! lines of standard error begin with `! `, and a backslash stands for a line
//! end that is missing. Lines right after a command that begin with `: ` are typed while it runs; `: & COMMAND` runs
//! another one beside it, to its end. Each file begins with the manifest that is applied first.
//! `UPDATE_EXPECT=1` writes them anew; the words are held against the client's own source by those who read them.

#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::{FOR_EVER, lab};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use vethscope::base::SimTime;
use vethscope::lab::{Lab, Progress, Target, share};
use vethscope::trace::{EventKind, Stream};

/// What a command line printed, marked by its stream, and its status. A shell in it is given the lines that were `typed`
/// as it asks for them, where `^C` and `^D` stand for those keys; then its input ends.
fn transcript(lab: &mut Lab, (line, typed): (&str, &[&str])) -> String {
    let argv = ["sh".to_owned(), "-c".to_owned(), line.to_owned()];
    let from = lab.trace().len();
    let process =
        lab.start(&Target::Node("node1".to_owned()), &argv).unwrap_or_else(|error| panic!("{line}: {error}"));
    let goes_on = typed.iter().any(|line| line.starts_with("& "));
    if !goes_on {
        lab.finish(process, FOR_EVER);
    }
    for key in typed {
        if let Some(beside) = key.strip_prefix("& ") {
            let argv = ["sh".to_owned(), "-c".to_owned(), beside.to_owned()];
            let other = lab.start(&Target::Node("node1".to_owned()), &argv);
            lab.finish(other.unwrap_or_else(|error| panic!("{beside}: {error}")), FOR_EVER);
            continue;
        }
        match *key {
            "^C" => lab.interrupt(process),
            "^D" => lab.type_at(process, None),
            line => lab.type_at(process, Some(line)),
        }
        if *key == "sleep 100" {
            // So that Ctrl-C finds it running.
            lab.wait_until(SimTime(lab.now().0 + 1_000_000_000));
        } else {
            lab.finish(process, FOR_EVER);
        }
    }
    if lab.asks(process) {
        lab.type_at(process, None);
        lab.finish(process, FOR_EVER);
    }
    let trace = lab.trace();
    let mut text = String::new();
    for event in trace.events.since(from) {
        let EventKind::Wrote(id) = event.kind else { continue };
        let piece = &trace.outputs[id.index()];
        if piece.process != process {
            continue;
        }
        for line in piece.text.split_inclusive('\n') {
            if piece.stream == Stream::Stderr {
                text.push_str("! ");
            }
            text.push_str(line);
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str("\\\n");
    }
    let status = lab.status(process).expect("it is over");
    let mark = if status == 0 { String::new() } else { format!(" ?{status}") };
    let typed: String = typed.iter().flat_map(|line| [": ", line, "\n"]).collect();
    format!("$ {line}{mark}\n{typed}{text}")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubectl")
}

/// Runs the commands of a transcript again and compares.
fn check(name: &str) {
    let path = folder().join(name);
    let stored = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (head, _) = stored.split_once("\n$ ").unwrap_or_else(|| panic!("{name} has no commands"));
    let manifest = match head.strip_prefix("file ") {
        Some(file) => {
            std::fs::read_to_string(folder().join(file.trim())).unwrap_or_else(|error| panic!("{error}"))
        }
        None => head.to_owned(),
    };
    let mut lab = lab(&manifest, 7);
    let mut fresh = format!("{head}\n");
    let mut lines = stored.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(line) = line.strip_prefix("$ ") else { continue };
        let mut typed = Vec::new();
        while let Some(line) = lines.peek().and_then(|line| line.strip_prefix(": ")) {
            typed.push(line);
            lines.next();
        }
        let command = match line.rsplit_once(" ?") {
            Some((command, status)) if status.parse::<u8>().is_ok() => command,
            _ => line,
        };
        write!(fresh, "{}", transcript(&mut lab, (command, &typed))).expect("a string takes everything");
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &fresh).unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(fresh == stored, "{name} differs; it is now:\n{fresh}");
}

#[test]
fn events_are_counted_named_and_sorted() {
    check("events.txt");
}

#[test]
fn probes_speak_tls_and_grpc() {
    check("probes.txt");
    check("grace.txt");
}

#[test]
fn containers_end_with_the_words_of_the_kubelet() {
    check("killing.txt");
    check("lifecycle.txt");
    check("forced.txt");
    check("watched.txt");
    check("grace.txt");
}

#[test]
fn what_limits_and_allows_is_described() {
    check("described-policies.txt");
}

#[test]
fn what_is_written_meets_what_others_set() {
    check("merging.txt");
}

#[test]
fn schedules_start_jobs_and_quotas_refuse_what_is_too_much() {
    check("limits.txt");
}

#[test]
fn claims_are_bound_to_volumes() {
    check("claims.txt");
}

#[test]
fn every_kind_has_its_columns_and_cells() {
    check("kinds.txt");
    check("defaults.txt");
}

#[test]
fn cells_say_how_far_an_object_has_come() {
    check("cells.txt");
}

#[test]
fn get_has_its_options_and_refusals() {
    check("get.txt");
}

#[test]
fn describe_lays_out_what_there_is() {
    check("describe.txt");
    check("describe-administration.txt");
    check("describe-storage.txt");
    check("describe-nodes.txt");
}

#[test]
fn objects_come_change_and_go() {
    check("change.txt");
}

#[test]
fn endpoints_follow_pods_and_are_objects_of_their_own() {
    check("endpoints.txt");
}

#[test]
fn services_have_addresses_and_ports_as_long_as_they_live() {
    check("services.txt");
    check("service-types.txt");
}

#[test]
fn rollouts_go_step_by_step() {
    check("rollouts.txt");
    check("autoscaling.txt");
    check("settings.txt");
    check("configured.txt");
    check("debugging.txt");
    check("waiting.txt");
}

#[test]
fn mistakes_are_refused_in_the_words_of_the_client() {
    check("mistakes.txt");
    check("broken-yaml.txt");
    check("streams.txt");
}

#[test]
fn pods_of_lower_priority_make_room() {
    check("preemption.txt");
    check("preemption-budgets.txt");
    check("preemption-ages.txt");
}

#[test]
fn pods_that_have_ended_leave_their_object_alone_behind() {
    check("ended.txt");
    check("orphaned.txt");
}

#[test]
fn controllers_with_one_selector_leave_each_others_pods_alone() {
    check("selectors.txt");
}

#[test]
fn a_shell_in_a_container_reads_commands() {
    check("shells.txt");
}

#[test]
fn a_shell_at_a_terminal_asks_for_commands() {
    check("terminals.txt");
    check("consoles.txt");
    check("inputs.txt");
    check("shell-words.txt");
}

#[test]
fn what_was_typed_is_undone_and_replayed() {
    let mut lab = lab(common::RECORDED_LAB, 7);
    let argv = ["kubectl", "exec", "-it", "a", "--", "sh"].map(str::to_owned);
    let shell = lab.start(&Target::Node("node1".to_owned()), &argv).expect("the Pod is there");
    lab.finish(shell, FOR_EVER);
    assert!(lab.asks(shell) && lab.reads_typed(shell));
    for line in ["cd /etc", "ping -c 2 10.244.2.10"] {
        lab.type_at(shell, Some(line));
        lab.finish(shell, FOR_EVER);
    }
    lab.type_at(shell, Some("sleep 100"));
    lab.wait_until(SimTime(lab.now().0 + 1_000_000_000));
    lab.interrupt(shell);
    lab.finish(shell, FOR_EVER);
    let before = lab.trace().len();
    lab.type_at(shell, Some("exit 3"));
    lab.finish(shell, FOR_EVER);
    assert_eq!(lab.status(shell), Some(3));
    lab.linger(FOR_EVER);
    let mut log = share::from_file(&share::to_file(&lab.log())).expect("a log can be read back");
    let mut again = Lab::open(&log);
    while matches!(again.advance(100_000), Progress::Busy(_)) {}
    again.wait_until(lab.now());
    assert_eq!(again.trace().hash(), lab.trace().hash(), "the log replays to the same trace");
    assert_eq!(again.status(shell), Some(3));
    // Without its last line the shell still asks.
    log.actions.pop();
    let mut undone = Lab::open(&log);
    while matches!(undone.advance(100_000), Progress::Busy(_)) {}
    assert!(undone.asks(shell) && undone.trace().len() >= before);
    undone.type_at(shell, Some("pwd"));
    undone.finish(shell, FOR_EVER);
    let written = common::written(&undone, before, shell);
    assert!(written.contains("/etc\n"), "the directory is still the one before: {written}");
}

#[test]
fn limits_fill_pods_in_and_budgets_keep_them() {
    check("disruption.txt");
}

#[test]
fn what_create_makes_of_flags_and_what_it_refuses() {
    check("generators.txt");
}

#[test]
fn the_client_says_what_it_does_and_what_is_wrong() {
    check("words.txt");
}

#[test]
fn what_goes_wrong_with_pods_is_told_by_events() {
    check("happenings.txt");
}

#[test]
fn objects_are_shown_in_every_form_and_compared() {
    check("forms.txt");
    check("compared.txt");
}

#[test]
fn ports_of_a_machine_lead_into_pods() {
    check("ports.txt");
}

#[test]
fn who_asks_in_another_name_may_do_what_roles_allow() {
    check("rights.txt");
}

#[test]
fn requests_meet_the_server_as_its_own_suites_have_them() {
    check("requests.txt");
}

#[test]
fn endpoints_are_shared_out_among_zones() {
    check("topology.txt");
}

#[test]
fn containers_are_attached_to_and_files_are_copied() {
    check("attached.txt");
}

#[test]
fn stateful_sets_and_daemon_sets_go_back_to_revisions() {
    check("sets.txt");
}

#[test]
fn curl_speaks_tls_and_makes_several_transfers() {
    check("transfers.txt");
}

#[test]
fn what_pods_ask_for_is_summed_up_in_one_way() {
    check("amounts.txt");
}

#[test]
fn servers_answer_for_parts_of_files() {
    check("ranges.txt");
}

#[test]
fn credentials_are_made_and_rights_listed() {
    check("credentials.txt");
}

#[test]
fn services_have_the_families_that_there_are_and_autoscalers_an_older_version() {
    check("families.txt");
}

#[test]
fn what_has_ended_can_be_changed_and_a_rollout_waited_for_so_long() {
    check("changes.txt");
}
