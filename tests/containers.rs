//! Containers: their programs, how they end and start again, what they write, the files they share.
mod common;

use common::{apply, lab, run};
use vethscope::lab::Lab;

fn pod(name: &str, policy: &str, containers: &[&str]) -> String {
    let list: Vec<String> = containers.iter().map(|container| format!("  - {{{container}}}\n")).collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  nodeName: node1\n  restartPolicy: {policy}\n  \
         containers:\n{}",
        list.concat()
    )
}

fn says(lab: &mut Lab, line: &str) -> String {
    run(lab, line).output
}

/// Status and restarts of each Pod.
fn statuses(lab: &mut Lab) -> String {
    let table = says(lab, "node/node1 kubectl get pods --no-headers");
    let words = |line: &str| line.split_whitespace().skip(1).take(3).collect::<Vec<_>>().join(" ");
    table.lines().map(words).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_container_that_fails_starts_again_after_a_back_off_that_doubles() {
    let mut lab = lab(&pod("p", "Always", &["name: c, image: busybox, command: [\"false\"]"]), 1);
    // The first restart comes at once, the second after ten seconds, the third after twenty.
    assert_eq!(statuses(&mut lab), "0/1 CrashLoopBackOff 1");
    for (wait, wanted) in [(8, "1"), (4, "2"), (16, "2"), (8, "3"), (32, "3"), (12, "4")] {
        run(&mut lab, &format!("node/node1 sleep {wait}"));
        assert_eq!(statuses(&mut lab), format!("0/1 CrashLoopBackOff {wanted}"));
    }
    let events = says(&mut lab, "node/node1 kubectl get events");
    assert!(
        events.contains(
            "Warning   BackOff   pod/p    Back-off restarting failed container c in pod p_default("
        ),
        "{events}"
    );
}

#[test]
fn the_restart_policy_decides() {
    let texts = [
        pod("a", "Never", &["name: c, image: busybox, command: [\"true\"]"]),
        pod("b", "Never", &["name: c, image: busybox, command: [sh, -c, exit 3]"]),
        pod("c", "OnFailure", &["name: c, image: busybox, command: [\"true\"]"]),
        pod("d", "OnFailure", &["name: c, image: busybox, command: [\"false\"]"]),
        pod("e", "Always", &["name: c, image: busybox"]),
        pod("f", "Never", &["name: c, image: busybox, command: [nosuch]"]),
    ];
    let mut lab = lab(&texts.join("---\n"), 1);
    let wanted = "0/1 Completed 0, 0/1 Error 0, 0/1 Completed 0, 0/1 CrashLoopBackOff 1, 0/1 CrashLoopBackOff 1, 0/1 StartError 0";
    assert_eq!(statuses(&mut lab), wanted);
}

#[test]
fn logs_are_kept_for_each_life() {
    let command = "command: [sh, -c, \"echo $GREETING; echo oops >&2; exit 1\"]";
    let text = pod(
        "p",
        "Always",
        &[&format!("name: c, image: busybox, {command}, env: [{{name: GREETING, value: hello}}]")],
    );
    let mut lab = lab(&text, 1);
    assert_eq!(says(&mut lab, "node/node1 kubectl logs p"), "hello\noops\n");
    assert_eq!(says(&mut lab, "node/node1 kubectl logs p -p --tail=1"), "oops\n");
    let ran = run(&mut lab, "node/node1 kubectl logs q");
    assert_eq!(
        ran.output,
        "error: error from server (NotFound): pods \"q\" not found in namespace \"default\"\n"
    );
}

#[test]
fn one_process_ends_in_time_and_another_is_killed() {
    let handles = pod("p", "Always", &["name: c, image: registry.k8s.io/pause:3.10"]);
    let ignores = pod("q", "Always", &["name: c, image: debian, command: [sleep, infinity]"]);
    let mut lab = lab(&format!("{handles}---\n{ignores}"), 1);
    let begun = lab.now();
    apply(&mut lab, &ignores);
    assert!(lab.now().since(begun).as_secs() < 2, "pause handles SIGTERM");
    let begun = lab.now();
    apply(&mut lab, &handles);
    // The first process of a PID namespace is not ended by a signal that it does not handle.
    let took = lab.now().since(begun).as_secs();
    assert!((30..32).contains(&took), "sleep is killed when the grace period is over, not after {took} s");
}

#[test]
fn containers_of_a_pod_share_volumes_and_no_other_files() {
    let mounted = "volumeMounts: [{name: v, mountPath: /data}]";
    let text = pod(
        "p",
        "Always",
        &[
            &format!("name: a, image: debian, command: [sleep, infinity], {mounted}"),
            &format!(
                "name: b, image: debian, command: [sleep, infinity], {}",
                mounted.replace("/data", "/shared")
            ),
        ],
    ) + "  volumes: [{name: v, emptyDir: {}}]\n";
    let mut lab = lab(&text, 1);
    let mut in_container = |container: &str, line: &str| {
        let target = vethscope::lab::Target::parse("p", "default", Some(container));
        let argv = ["sh", "-c", line].map(str::to_owned);
        let ran = common::run_argv(&mut lab, &target, &argv);
        (ran.output, ran.status)
    };
    assert_eq!(
        in_container("a", "echo one > /data/x && echo two > /own && echo three >> /data/x"),
        (String::new(), 0)
    );
    assert_eq!(in_container("b", "cat /shared/x; wc -l < /shared/x"), ("one\nthree\n2\n".to_owned(), 0));
    assert_eq!(in_container("b", "cat /own"), ("cat: /own: No such file or directory\n".to_owned(), 1));
    assert_eq!(in_container("b", "test -f /shared/x && [ ! -f /own ] && echo $?"), ("0\n".to_owned(), 0));
}

#[test]
fn a_pid_namespace_is_a_containers_own_unless_the_pod_shares_it() {
    let containers = [
        "name: a, image: debian, command: [sleep, infinity]",
        "name: b, image: debian, command: [sleep, \"9999\"]",
    ];
    let own = pod("p", "Always", &containers);
    let shared = pod("s", "Always", &containers).replace("spec:\n", "spec:\n  shareProcessNamespace: true\n");
    let mut lab = lab(&format!("{own}---\n{shared}"), 1);
    let names = |text: String| {
        let rows = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.map(|row| format!("{} {}", row[1], row[7..].join(" "))).collect::<Vec<_>>()
    };
    assert_eq!(names(says(&mut lab, "p ps -ef")), ["1 sleep infinity", "2 ps -ef"]);
    assert_eq!(
        names(says(&mut lab, "s ps -ef")),
        ["1 /pause", "2 sleep infinity", "3 sleep 9999", "4 ps -ef"]
    );
}

#[test]
fn a_shell_script_runs_as_a_program_of_a_container() {
    let script = "i=0; while true; do echo tick; sleep 60; done";
    let mut lab =
        lab(&pod("p", "Always", &[&format!("name: c, image: busybox, command: [sh, -c, \"{script}\"]")]), 1);
    assert_eq!(statuses(&mut lab), "1/1 Running 0");
    run(&mut lab, "node/node1 sleep 130");
    assert_eq!(says(&mut lab, "node/node1 kubectl logs p"), "tick\ntick\ntick\n");
    assert_eq!(
        says(&mut lab, "p ps"),
        format!(
            "PID   USER     TIME  COMMAND\n    1 root      0:00 sh -c {script}\n    2 root      0:00 ps\n"
        )
    );
}

#[test]
fn a_loop_that_never_waits_still_takes_time() {
    let ran = {
        let mut lab = lab(&pod("p", "Always", &["name: c, image: debian, command: [sleep, infinity]"]), 1);
        let target = vethscope::lab::Target::parse("p", "default", None);
        let argv = ["sh", "-c", "while true; do :; done"].map(str::to_owned);
        let process = lab.start(&target, &argv).expect("it starts");
        let limit = vethscope::base::SimTime(lab.now().0 + 1_000_000_000);
        lab.finish(process, limit);
        lab.interrupt(process);
        lab.finish(process, common::FOR_EVER);
        lab.status(process)
    };
    assert_eq!(ran, Some(130));
}
