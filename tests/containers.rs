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
            "Warning   BackOff          pod/p        Back-off restarting failed container c in pod p_default("
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

#[test]
fn the_second_container_on_a_port_fails_in_its_own_words_and_backs_off() {
    for (image, words) in [
        ("nginx", "[emerg] 1#1: bind() to 0.0.0.0:80 failed (98: Address already in use)"),
        ("\"redis:7\", args: [--port, \"80\"]", "bind: Address already in use"),
        ("python, command: [python3, -m, http.server, \"80\"]", "OSError: [Errno 98] Address already in use"),
    ] {
        let second = format!("name: second, image: {image}");
        let mut lab = lab(&pod("p", "Always", &["name: first, image: nginx", &second]), 1);
        run(&mut lab, "node/node1 sleep 20");
        let status = statuses(&mut lab);
        assert!(status.starts_with("1/2 CrashLoopBackOff"), "{image}: {status}");
        let log = says(&mut lab, "node/node1 kubectl logs p -c second --previous");
        assert!(log.contains(words), "{image}: {log}");
        // The first one has the port still.
        let sockets = run(&mut lab, "p ss -Htln");
        assert_eq!(sockets.output.lines().count(), 1, "{image}: {}", sockets.output);
    }
}

/// Two containers with a volume at `/run/shared`, and one without.
fn talkers() -> Lab {
    let mount = "volumeMounts: [{name: shared, mountPath: /run/shared}]";
    let container =
        |name: &str| format!("  - {{name: {name}, image: debian, command: [sleep, infinity], {mount}}}\n");
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  nodeName: node1\n  \
         volumes: [{{name: shared, emptyDir: {{}}}}]\n  containers:\n{}{}  - {{name: apart, image: debian, command: [sleep, infinity]}}\n",
        container("one"),
        container("two"),
    );
    lab(&text, 1)
}

/// What the trace says of ways within the Pod.
fn ways(lab: &Lab) -> String {
    let text = {
        let trace = lab.trace();
        vethscope::trace::format::text(trace, vethscope::trace::format::Selection::all(trace))
    };
    text.lines().filter(|line| line.contains("within the pod")).collect::<Vec<_>>().join("\n")
}

fn in_container(lab: &mut Lab, container: &str, script: &str) -> (String, u8) {
    let target = vethscope::lab::Target::parse("p", "default", Some(container));
    let argv = ["sh", "-c", script].map(str::to_owned);
    let ran = common::run_argv(lab, &target, &argv);
    (ran.output, ran.status)
}

#[test]
fn containers_talk_over_a_unix_socket_on_a_volume_that_both_mount() {
    let mut lab = talkers();
    let server = vethscope::lab::Target::parse("p", "default", Some("one"));
    let argv = ["nc", "-lU", "/run/shared/s"].map(str::to_owned);
    let listening = lab.start(&server, &argv).expect("the server starts");
    lab.settle(common::FOR_EVER);
    let (table, _) = in_container(&mut lab, "two", "ss -xl");
    assert!(table.contains("/run/shared/s"), "{table}");
    // Where the volume is not mounted there is no such path.
    let (text, status) = in_container(&mut lab, "apart", "nc -U /run/shared/s");
    assert_eq!((text.as_str(), status), ("nc: /run/shared/s: No such file or directory\n", 1));
    let from = lab.trace().len();
    let packets = lab.trace().journeys.len();
    let (text, status) = in_container(&mut lab, "two", "echo hello | nc -NU /run/shared/s");
    assert_eq!((text.as_str(), status), ("", 0));
    lab.finish(listening, common::FOR_EVER);
    assert_eq!(common::written(&lab, from, listening), "hello\n");
    assert_eq!(lab.trace().journeys.len(), packets, "no packet is made");
    assert!(ways(&lab).contains("unix /run/shared/s 6 bytes, path kernel"), "{}", ways(&lab));
    // The socket outlives its server, and nobody answers there.
    let (text, _) = in_container(&mut lab, "two", "nc -U /run/shared/s");
    assert_eq!(text, "nc: /run/shared/s: Connection refused\n");
}

#[test]
fn a_named_pipe_joins_two_containers_and_each_end_waits_for_the_other() {
    let mut lab = talkers();
    assert_eq!(in_container(&mut lab, "one", "mkfifo /run/shared/f").1, 0);
    let (text, _) = in_container(&mut lab, "two", "mkfifo /run/shared/f");
    assert_eq!(text, "mkfifo: cannot create fifo '/run/shared/f': File exists\n");
    let reader = vethscope::lab::Target::parse("p", "default", Some("two"));
    let argv = ["cat", "/run/shared/f"].map(str::to_owned);
    let from = lab.trace().len();
    let reading = lab.start(&reader, &argv).expect("the reader starts");
    assert_eq!(in_container(&mut lab, "one", "echo over the pipe > /run/shared/f").1, 0);
    lab.finish(reading, common::FOR_EVER);
    assert_eq!(common::written(&lab, from, reading), "over the pipe\n");
    assert!(ways(&lab).contains("fifo /run/shared/f 14 bytes, path kernel"), "{}", ways(&lab));
}

#[test]
fn all_containers_of_a_pod_share_its_ipc_namespace_and_shared_memory() {
    let mut lab = talkers();
    assert_eq!(in_container(&mut lab, "one", "ipcmk -M 4096").0, "Shared memory id: 0\n");
    assert_eq!(
        in_container(&mut lab, "apart", "ipcmk -Q; ipcmk -S 3").0,
        "Message queue id: 0\nSemaphore id: 0\n"
    );
    let (table, _) = in_container(&mut lab, "two", "ipcs -m");
    assert!(table.contains(" 0          root       644        4096       0  "), "{table}");
    assert_eq!(in_container(&mut lab, "two", "ipcrm -m 9"), ("ipcrm: invalid id (9)\n".to_owned(), 1));
    assert_eq!(in_container(&mut lab, "two", "ipcrm -m 0; ipcmk -M 1").0, "Shared memory id: 1\n");
    // `/dev/shm` belongs to the sandbox, other directories to each container.
    in_container(&mut lab, "one", "echo seen > /dev/shm/x; echo own > /tmp/x");
    assert_eq!(in_container(&mut lab, "apart", "cat /dev/shm/x").0, "seen\n");
    assert_eq!(in_container(&mut lab, "apart", "cat /tmp/x").1, 1);
    in_container(&mut lab, "one", "echo text > /run/shared/t");
    let ways = ways(&lab);
    assert!(ways.contains("memory /dev/shm/x 5 bytes, path memory"), "{ways}");
    assert!(ways.contains("file /run/shared/t 5 bytes, path file") && !ways.contains("/tmp/x"), "{ways}");
}

#[test]
fn each_use_names_the_container_and_those_at_the_other_end() {
    let mut lab = talkers();
    in_container(&mut lab, "one", "echo text > /run/shared/t; echo seen > /dev/shm/x; ipcmk -Q");
    in_container(&mut lab, "one", "flock /run/shared/l echo mine");
    let ways = ways(&lab);
    for wanted in [
        "file /run/shared/t 5 bytes, path file, one to two",
        "memory /dev/shm/x 5 bytes, path memory, one to apart two",
        "msg id 0 0 bytes, path kernel, one to apart two",
        "lock /run/shared/l 0 bytes, path file, one to two",
    ] {
        assert!(ways.contains(wanted), "{wanted}: {ways}");
    }
}

#[test]
fn the_picture_joins_the_containers_and_the_table_says_what_is_open() {
    use vethscope::scene::{self, within};
    use vethscope::trace::Way;
    let mut lab = talkers();
    in_container(&mut lab, "one", "echo text > /run/shared/t");
    let tables = vethscope::trace::Inventory::at(lab.trace(), lab.trace().len());
    let pod = tables.pods.values().find(|pod| &*pod.name == "p").expect("the Pod is there").clone();
    let mut uses = within::Uses::default();
    uses.extend(lab.trace());
    let last = vethscope::base::EventId(lab.trace().len() as u32 - 1);
    let (event, _) = uses.of(lab.trace(), &pod, last).last().expect("the file was used");
    let picture = scene::layout(&tables, &scene::LayoutOptions::default());
    let mut index = scene::Index::default();
    index.extend(lab.trace());
    let steps = scene::steps(lab.trace());
    let at = steps.iter().position(|step| *step == event).expect("it is a step of the timeline");
    let moment = scene::Moment {
        trace: lab.trace(),
        index: &index,
        steps: &steps,
        at,
        lang: vethscope::base::words::Lang::En,
    };
    let frame = scene::frame_at(&picture, &tables, moment);
    let drawn = frame.within.expect("the use is drawn");
    let rect = |name: &str| picture.shape(&format!("pod default/p {name}")).expect("a container").rect;
    assert_eq!(drawn.lines.len(), 1, "one to two, and apart has no part in it: {drawn:?}");
    let ends = (drawn.lines[0].first().copied(), drawn.lines[0].last().copied());
    let foot = |name: &str| Some(scene::Point::new(rect(name).center().x, rect(name).bottom()));
    assert_eq!(ends, (foot("one"), foot("two")));
    let note = frame.note.expect("it is named");
    assert_eq!(
        (note.lines[0].head.as_str(), note.lines[0].tail.as_str()),
        ("/run/shared/t", "file on a shared volume · 5 B")
    );
    let offers = within::offers(&tables, &pod);
    let open = |way: Way| {
        let offer = offers.iter().find(|offer| offer.way == Some(way)).expect("every way has a row");
        (offer.open.join("; "), offer.used)
    };
    assert_eq!(open(Way::File), ("shared: one, two".to_owned(), (1, 5)));
    assert_eq!(open(Way::Signal), (String::new(), (0, 0)), "the Pod does not share its process namespace");
    assert_eq!(open(Way::MemoryFile).0, "/dev/shm");
}

/// Found by the fuzzer: a billion numbers filled the memory.
#[test]
fn seq_counts_either_way_and_refuses_to_count_for_ever() {
    let mut lab = talkers();
    let mut seq = |words: &str| in_container(&mut lab, "one", &format!("seq {words}"));
    assert_eq!(seq("3"), ("1\n2\n3\n".to_owned(), 0));
    assert_eq!(seq("5 -2 0"), ("5\n3\n1\n".to_owned(), 0));
    assert_eq!(seq("1 2 6"), ("1\n3\n5\n".to_owned(), 0));
    assert_eq!(seq("3 1"), (String::new(), 0));
    for endless in ["999999999", "-9223372036854775808 9223372036854775807"] {
        assert_eq!(seq(endless), ("seq: not simulated: more than 100000 numbers\n".to_owned(), 1));
    }
    assert_eq!(seq("9223372036854775807 9223372036854775807"), ("9223372036854775807\n".to_owned(), 0));
}

#[test]
fn a_lock_on_a_shared_file_keeps_the_other_container_out() {
    let mut lab = talkers();
    let holder = vethscope::lab::Target::parse("p", "default", Some("one"));
    let argv = ["flock", "/run/shared/l", "sleep", "5"].map(str::to_owned);
    lab.start(&holder, &argv).expect("the holder starts");
    assert_eq!(in_container(&mut lab, "two", "flock -n /run/shared/l echo no"), (String::new(), 1));
    let before = lab.now();
    assert_eq!(in_container(&mut lab, "two", "flock /run/shared/l echo mine").0, "mine\n");
    assert!(lab.now().since(before).as_secs() >= 4, "it waited for the other one");
    // A path that is not shared is another file.
    assert_eq!(in_container(&mut lab, "apart", "flock -n /run/shared/l echo own").0, "own\n");
}

#[test]
fn servers_of_well_known_images_listen_on_their_ports_under_their_names() {
    let mut lab = lab(&pod("p", "Always", &["name: db, image: mysql", "name: names, image: dnsmasq"]), 1);
    run(&mut lab, "node/node1 sleep 3");
    let table = says(&mut lab, "p ss -Htulnp");
    for wanted in [":3306 ", ":33060 ", ":53 ", "((\"mysqld\",", "((\"dnsmasq\","] {
        assert!(table.contains(wanted), "{wanted}: {table}");
    }
    assert!(table.lines().any(|line| line.starts_with("udp") && line.contains(":53 ")), "{table}");
}
