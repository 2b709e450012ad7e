//! The simulator held against the kernel of the machine it is tested on: the same experiment on both sides, packet for
//! packet, table for table, line for line.
//!
//! `make oracle` runs it. Each experiment (see `experiment`) is built on the real kernel in network namespaces of its own
//! (`kernel`), every interface is captured (`tap`), the commands run; then the simulator runs the same commands, each at
//! the moment at which the real one began (`simulated`), and both are compared (`hops`, `tables`, `output`, `report`):
//! every tap in order with every determined header field, that causes come before effects, the tables before and after,
//! the counters, and what each command printed.
//!
//! The resolvers are held against the real C libraries' in the same way (`resolver`).
//!
//! It needs root, and is left out with a reason where it cannot run. Real timers and a busy machine can put two packets
//! in another order, so an experiment that differs is tried again, at once, and in two more
//! rounds after all the others.
#![expect(
    clippy::print_stdout,
    reason = "it prints its own results, as the test harness that it stands for would"
)]

mod experiment;
mod hops;
mod kernel;
mod output;
mod report;
#[cfg(target_os = "linux")]
mod resolver;
mod simulated;
mod tables;
#[cfg(target_os = "linux")]
mod tap;

use experiment::{Experiment, Verb};
use kernel::{Machine, Obstacle, Running};
use report::Difference;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vethscope::base::{NetnsId, ProcessId, SimTime};
use vethscope::lab::{Lab, Target};
use vethscope::trace::{Inventory, LinkKind};

/// How often an experiment may be tried before its differences count.
const ATTEMPTS: usize = 3;

/// Rounds in which the experiments that differ are tried: whatever kept the machine busy is over in the next one.
const ROUNDS: usize = 3;

/// Time after the last command in which packets may still be under way.
const REST: Duration = Duration::from_millis(300);

/// Set by `make oracle` and the test script; a plain `cargo test` makes no namespaces. With the value `once` an experiment
/// that differs is not tried again.
const SWITCH: &str = "VETHSCOPE_ORACLE";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(target_os = "linux")]
    if let [flag, path] = words.as_slice()
        && flag == "--tap"
    {
        if let Err(error) = tap::run(path) {
            println!("{error}");
            std::process::exit(1);
        }
        return;
    }
    #[cfg(target_os = "linux")]
    if let [flag, folder, program] = words.as_slice()
        && flag == "--resolve"
    {
        if let Err(error) = resolver::serve(Path::new(folder), Path::new(program)) {
            println!("{error}");
            std::process::exit(1);
        }
        return;
    }
    if words.iter().any(|word| word == "--list") {
        return;
    }
    let switch = std::env::var_os(SWITCH);
    let (attempts, rounds) =
        if switch.as_ref().is_some_and(|value| value == "once") { (1, 1) } else { (ATTEMPTS, ROUNDS) };
    if switch.is_none() {
        return println!("the real kernel is not asked: run make oracle\n\n{}", summary(0, 0, 0));
    }
    if let Some(reason) = kernel::reason_to_skip() {
        return println!("skipped: {reason}\n\n{}", summary(0, 0, 1));
    }
    go_first();
    let (mut passed, mut skipped) = (0, 0);
    let mut left = chosen(&words);
    for round in 1..=rounds {
        left.retain(|path| match hold(path, attempts, round == rounds) {
            Outcome::Agrees => {
                passed += 1;
                false
            }
            Outcome::Skipped => {
                skipped += 1;
                false
            }
            Outcome::Differs => true,
        });
    }
    let mut failed = left.len();
    #[cfg(target_os = "linux")]
    if !words.iter().any(|word| Path::new(word).is_file()) {
        let parts: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
        let counts = resolver::hold(&parts);
        (passed, failed, skipped) =
            (passed + counts.passed, failed + counts.failed, skipped + counts.skipped);
    }
    println!("\n{}", summary(passed, failed, skipped));
    if failed > 0 {
        std::process::exit(1);
    }
}

/// Lets this program and what it starts go before what else the machine does: a real tool that has to wait for a processor
/// races with the kernel's timers. Where that is not allowed, it goes on as it is.
fn go_first() {
    let own = std::process::id().to_string();
    let done = std::process::Command::new("renice").args(["-n", "-20", "-p", &own]).output();
    if !done.is_ok_and(|output| output.status.success()) {
        println!("what runs beside the experiments may disturb them: renice does not work here");
    }
}

/// The line by which the test script counts.
fn summary(passed: usize, failed: usize, skipped: usize) -> String {
    let result = if failed == 0 { "ok" } else { "FAILED" };
    format!(
        "test result: {result}. {passed} passed; {failed} failed; {skipped} ignored; 0 measured; 0 filtered out"
    )
}

/// The experiments that were asked for: files, or a part of the names of those in this folder; all of them otherwise.
fn chosen(words: &[String]) -> Vec<PathBuf> {
    let words: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live");
    let mut own: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    own.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    own.sort();
    let is_file = |word: &&String| Path::new(word).is_file();
    let mut paths: Vec<PathBuf> = words.iter().copied().filter(is_file).map(PathBuf::from).collect();
    let parts: Vec<&&String> = words.iter().filter(|word| !is_file(word)).collect();
    if paths.is_empty() || !parts.is_empty() {
        own.retain(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            parts.is_empty() || parts.iter().any(|part| name.contains(part.as_str()))
        });
        paths.append(&mut own);
    }
    paths
}

enum Outcome {
    Agrees,
    Differs,
    Skipped,
}

/// Holds the simulator against the kernel in one experiment and says what came of it; differences that are not `last`
/// are tried again in another round.
fn hold(path: &Path, attempts: usize, last: bool) -> Outcome {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let experiment = match experiment::read(path) {
        Ok(experiment) => experiment,
        Err(error) => {
            println!("oracle {name} ... FAILED\n{error}");
            return Outcome::Differs;
        }
    };
    let mut story = String::new();
    for attempt in 1..=attempts {
        match compare(&experiment) {
            Ok(differences) => {
                let remaining = excused(&experiment, differences);
                if remaining.is_empty() {
                    let again = if attempt > 1 { format!(" (in attempt {attempt})") } else { String::new() };
                    println!("oracle {name} ... ok{again}");
                    for excuse in &experiment.excuses {
                        println!("    differs by intent: {}: {}", excuse.text, excuse.reason);
                    }
                    return Outcome::Agrees;
                }
                let told = remaining.iter().map(|found| format!("{}:\n{}", found.place, found.text));
                story = told.collect::<Vec<_>>().concat();
            }
            Err(Obstacle::Lacks(what)) => {
                println!("oracle {name} ... skipped: not to be had here: {what}");
                return Outcome::Skipped;
            }
            Err(Obstacle::Failed(why)) => story = why,
        }
    }
    let result = if last { "FAILED" } else { "differs, to be tried again after the others" };
    println!("oracle {name} ... {result}\n< real kernel, > simulator\n{story}");
    Outcome::Differs
}

/// The differences that no excuse is given for, and the excuses that excuse nothing.
fn excused(experiment: &Experiment, differences: Vec<Difference>) -> Vec<Difference> {
    let mut used = vec![false; experiment.excuses.len()];
    let mut remaining = Vec::new();
    for difference in differences {
        let whole = format!("{}:\n{}", difference.place, difference.text);
        match experiment.excuses.iter().position(|excuse| whole.contains(&excuse.text)) {
            Some(excuse) => used[excuse] = true,
            None => remaining.push(difference),
        }
    }
    for (excuse, used) in experiment.excuses.iter().zip(used) {
        if excuse.certain && !used {
            let place = format!("the difference that is excused ({}) is not there", excuse.text);
            remaining.push(Difference { place, text: excuse.reason.clone() + "\n" });
        }
    }
    remaining
}

/// What ran on the real kernel, and when each step began.
struct Real {
    hops: BTreeMap<NetnsId, Vec<kernel::Seen>>,
    ran: Vec<Option<kernel::Ran>>,
    began: Vec<Duration>,
    ended: Duration,
    tables: tables::Tables,
    counted: tables::Tables,
}

fn compare(experiment: &Experiment) -> Result<Vec<Difference>, Obstacle> {
    let mut lab = simulated::lab(&experiment.text, experiment.seed).map_err(Obstacle::Failed)?;
    let mut experiment = experiment.clone();
    if experiment.steps.is_empty() {
        experiment.steps = pings(lab.live());
    }
    if let Some(program) = experiment.steps.iter().find_map(|step| kernel::missing(step.argv.first()?)) {
        return Err(Obstacle::Lacks(format!(
            "the program {program} (.ci/setup.sh oracle installs what the experiments use)"
        )));
    }
    let machine = Machine::build(&mut lab)?;
    let mut inventory = lab.live().clone();
    for step in &mut experiment.steps {
        for word in &mut step.argv {
            *word = expanded(&inventory, word);
        }
    }
    let mut found = Vec::new();
    let (built, before) = settled(&machine, &inventory);
    let (planned, _) = tables::simulated(&inventory);
    found.extend(report::tables(&inventory, "before", &built, &planned));
    let real = run_real(&experiment, machine, &inventory, &before)?;
    let from = lab.trace().len();
    let (_, before) = tables::simulated(&inventory);
    let ran = run_simulated(&experiment, &mut lab, &real);
    let commands: Vec<String> = experiment.steps.iter().map(|step| step.argv.join(" ")).collect();
    let mut texts: Vec<&str> = commands.iter().map(String::as_str).collect();
    texts.push(&experiment.text);
    let ports = hops::written_ports(&texts);
    for (index, step) in experiment.steps.iter().enumerate() {
        let (Some(left), Some(right)) = (&real.ran[index], &ran[index]) else { continue };
        let mut left_lines = output::normalized(&step.argv, &left.output, &ports);
        let mut right_lines = output::normalized(&step.argv, &right.output, &ports);
        let status = |status: Option<i32>| status.map_or("none".to_owned(), |status| status.to_string());
        left_lines.push(format!("status {}", status(left.status)));
        right_lines.push(format!("status {}", status(right.status.map(i32::from))));
        if left_lines != right_lines {
            let place = format!("{}: {}", step.target, step.argv.join(" "));
            found.push(Difference { place, text: report::lines(&left_lines, &right_lines) });
        }
    }
    let left = hops::real(&real.hops, &ports);
    let right = hops::simulated(&lab, from, &ports);
    // A link that came in the run was not counted before.
    let known = std::mem::replace(&mut inventory, lab.live().clone());
    found.extend(report::taps(&inventory, experiment.moment_ns, &left, &right));
    let (after, counts) = tables::simulated(&inventory);
    found.extend(report::tables(&inventory, "after", &real.tables, &after));
    let counted = tables::counted(&known, &before, &counts);
    found.extend(report::tables(&inventory, "in the run", &real.counted, &counted));
    Ok(found)
}

/// The tables once every carrier has been noticed.
fn settled(machine: &Machine, inventory: &Inventory) -> (tables::Tables, tables::Counts) {
    let planned = tables::simulated(inventory).0;
    let links = |tables: &tables::Tables| -> Vec<_> {
        tables.iter().filter(|((_, table), _)| *table == "links").map(|(_, lines)| lines.clone()).collect()
    };
    let mut built = tables::real(machine, inventory);
    for _ in 0..20 {
        if links(&built.0) == links(&planned) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        built = tables::real(machine, inventory);
    }
    built
}

/// A word with `{ip:POD}`, `{mac:POD}` and `{veth:POD}` replaced: the address of a Pod of the namespace `default`, its
/// hardware address, and the name of its node's end of the veth pair.
fn expanded(inventory: &Inventory, word: &str) -> String {
    let mut out = word.to_owned();
    for ((_, name), pod) in &inventory.pods {
        let eth0 = pod.netns.and_then(|netns| inventory.netns.get(&netns)?.link_named("eth0"));
        let (Some(ip), Some(eth0)) = (pod.ip, eth0) else { continue };
        out = out.replace(&format!("{{ip:{name}}}"), &ip.to_string());
        out = out.replace(&format!("{{mac:{name}}}"), &eth0.mac.to_string());
        if let LinkKind::Veth { peer_netns, peer, .. } = eth0.kind
            && let Some(node) = inventory.netns.get(&peer_netns)
        {
            out = out.replace(&format!("{{veth:{name}}}"), &node.ifname(peer));
        }
    }
    out
}

/// Every Pod pings every other one, the first few of them.
fn pings(inventory: &Inventory) -> Vec<experiment::Step> {
    const PAIRS: usize = 12;
    let pods: Vec<_> = inventory.pods.values().filter(|pod| pod.ip.is_some()).collect();
    let mut steps = Vec::new();
    for from in &pods {
        for to in &pods {
            let Some(ip) = to.ip.filter(|_| from.name != to.name || from.namespace != to.namespace) else {
                continue;
            };
            let argv = ["ping", "-c1", "-W1", &ip.to_string()].map(str::to_owned).to_vec();
            let target = format!("{}/{}", from.namespace, from.name);
            steps.push(experiment::Step { verb: Verb::Run, target, argv });
        }
    }
    steps.truncate(PAIRS);
    steps
}

fn netns_of(inventory: &Inventory, target: &str) -> Result<NetnsId, Obstacle> {
    let netns = match Target::parse(target, "default", None) {
        Target::Pod { namespace, name, .. } => {
            inventory.pods.get(&(namespace.into(), name.into())).and_then(|pod| pod.netns)
        }
        Target::Node(name) => inventory.nodes.get(name.as_str()).map(|node| node.netns),
        Target::Host(name) => inventory.netns_named(&name).map(|state| state.row.netns),
    };
    netns.ok_or_else(|| Obstacle::Failed(format!("there is no {target}")))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the real machine, whose clock the simulator then follows"
)]
fn run_real(
    experiment: &Experiment,
    mut machine: Machine,
    inventory: &Inventory,
    before: &tables::Counts,
) -> Result<Real, Obstacle> {
    let taps = machine.tap().map_err(Obstacle::Failed)?;
    let clock = Instant::now();
    let mut ran = Vec::new();
    let mut began = Vec::new();
    let mut started: Vec<(usize, Running)> = Vec::new();
    for (index, step) in experiment.steps.iter().enumerate() {
        began.push(clock.elapsed());
        let mut start = || -> Result<Running, Obstacle> {
            machine.start(netns_of(inventory, &step.target)?, &step.argv).map_err(Obstacle::Failed)
        };
        ran.push(None);
        match step.verb {
            Verb::Run => ran[index] = Some(start()?.finish()),
            Verb::RealRun => drop(start()?.finish()),
            Verb::Start | Verb::RealStart => started.push((index, start()?)),
            Verb::Stop(number) => {
                if let Some((_, running)) = started.get(number.wrapping_sub(1)) {
                    running.interrupt();
                }
            }
            Verb::Wait(ms) => std::thread::sleep(Duration::from_millis(ms)),
        }
    }
    std::thread::sleep(REST);
    let ended = clock.elapsed();
    let (after, counts) = tables::real(&machine, inventory);
    let mut hops = BTreeMap::new();
    for (netns, tap) in taps {
        hops.insert(netns, tap.stop().map_err(Obstacle::Failed)?);
    }
    let statuses: Vec<Option<i32>> = started.iter_mut().map(|(_, running)| running.status()).collect();
    for ((index, running), status) in started.into_iter().zip(statuses) {
        let output = running.kill(status);
        if experiment.steps[index].verb == Verb::Start {
            ran[index] = Some(output);
        }
    }
    let counted = tables::counted(inventory, before, &counts);
    Ok(Real { hops, ran, began, ended, tables: after, counted })
}

/// The same in the simulator, each step at the moment at which the real one began.
fn run_simulated(experiment: &Experiment, lab: &mut Lab, real: &Real) -> Vec<Option<simulated::Ran>> {
    let base = lab.now();
    let after = |offset: Duration| SimTime(base.0 + offset.as_nanos() as u64);
    let mut ran = Vec::new();
    let mut started: Vec<(usize, ProcessId)> = Vec::new();
    for (index, step) in experiment.steps.iter().enumerate() {
        lab.wait_until(after(real.began[index]));
        let target = Target::parse(&step.target, "default", None);
        ran.push(None);
        match step.verb {
            Verb::Run => ran[index] = Some(simulated::run(lab, &target, &step.argv)),
            Verb::Start => match lab.start(&target, &step.argv) {
                Ok(process) => started.push((index, process)),
                Err(error) => {
                    ran[index] = Some(simulated::Ran { output: format!("{error}\n"), status: Some(1) });
                }
            },
            Verb::Stop(number) => {
                if let Some(&(_, process)) = started.get(number.wrapping_sub(1)) {
                    lab.interrupt(process);
                }
            }
            Verb::RealRun | Verb::RealStart | Verb::Wait(_) => {}
        }
    }
    lab.wait_until(after(real.ended));
    for (index, process) in started {
        ran[index] = Some(simulated::ran(lab, process));
    }
    ran
}
