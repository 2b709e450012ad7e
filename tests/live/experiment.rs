//! An experiment: a cluster, what is done in it, and what may differ. Text in, as one file:
//!
//! ```text
//! # What this is about.
//! cluster: FILE               the cluster and its Pods; or they follow below a line ---
//! seed: N                     seed of the simulation, 1 unless said
//! moment: N ms                how far apart packets of several commands at once may come in another order, 1 unless said
//! TARGET: COMMAND             runs on both sides, to its end; targets as `vethscope exec` takes them
//! start TARGET: COMMAND       runs on both sides, and goes on
//! stop: N                     types Ctrl-C at the N-th that was started, counted from 1
//! real TARGET: COMMAND        runs on the real kernel alone: what stands for a container's own program
//! start real TARGET: COMMAND  the same, and goes on
//! wait: N ms                  lets time pass on both sides
//! ```
//!
//! In a command `{ip:POD}`, `{mac:POD}` and `{veth:POD}` stand for a Pod's address, its hardware address, and the name of
//! its node's end of the veth pair.
//!
//! ```text
//! differs: TEXT -- REASON     a difference with this text is there, and this is why
//! chance: TEXT -- REASON      a difference with this text may be there
//! ```
//!
//! A plain scenario, `NAME.yaml`, is an experiment too: its `#! run` lines are what is done, and where it has none every
//! Pod pings every other one.

use std::path::Path;

/// An experiment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Experiment {
    /// The cluster and its Pods.
    pub(crate) text: String,
    /// Seed of the simulation.
    pub(crate) seed: u64,
    /// Within this time two packets that do not follow from one another may change places, in nanoseconds.
    pub(crate) moment_ns: u64,
    /// What is done, in order.
    pub(crate) steps: Vec<Step>,
    /// What may differ.
    pub(crate) excuses: Vec<Excuse>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// What it is.
    pub(crate) verb: Verb,
    /// Where, as `a` or `node/node1`; empty where the step is nowhere.
    pub(crate) target: String,
    /// The words of the command.
    pub(crate) argv: Vec<String>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Runs a command to its end.
    Run,
    /// Starts a command and goes on.
    Start,
    /// Types Ctrl-C at the n-th command that was started.
    Stop(usize),
    /// Runs a command on the real kernel alone.
    RealRun,
    /// Starts a command on the real kernel alone.
    RealStart,
    /// Lets this many milliseconds pass.
    Wait(u64),
}

/// A difference that is known.
#[derive(Clone, Debug)]
pub(crate) struct Excuse {
    /// The text that the difference holds.
    pub(crate) text: String,
    /// Why it is there.
    pub(crate) reason: String,
    /// Whether it must be there.
    pub(crate) certain: bool,
}

/// Reads an experiment; the error says what is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Experiment, String> {
    let content = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut experiment = Experiment { seed: 1, moment_ns: crate::report::MOMENT_NS, ..Experiment::default() };
    if path.extension().is_some_and(|extension| extension == "yaml") {
        read_scenario(&mut experiment, content)?;
        return Ok(experiment);
    }
    let (head, cluster) = content.split_once("\n---\n").unwrap_or((&content, ""));
    cluster.clone_into(&mut experiment.text);
    for line in head.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        read_line(&mut experiment, path, line)?;
    }
    if experiment.text.is_empty() {
        return Err(format!("{}: no cluster: write `cluster: FILE`, or its text below ---", path.display()));
    }
    Ok(experiment)
}

fn read_line(experiment: &mut Experiment, path: &Path, line: &str) -> Result<(), String> {
    let wrong = || format!("{}: this line is no step: {line}", path.display());
    let (head, rest) = line.split_once(": ").ok_or_else(wrong)?;
    let rest = rest.trim();
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let ms = |text: &str| text.strip_suffix(" ms").ok_or_else(wrong).and_then(number);
    match head {
        "cluster" => {
            let file = path.parent().unwrap_or(Path::new(".")).join(rest);
            experiment.text = std::fs::read_to_string(&file).map_err(|_| wrong())?;
        }
        "seed" => experiment.seed = number(rest)?,
        "stop" => experiment.steps.push(nowhere(Verb::Stop(number(rest)? as usize))),
        "wait" => experiment.steps.push(nowhere(Verb::Wait(ms(rest)?))),
        "moment" => experiment.moment_ns = ms(rest)? * 1_000_000,
        "differs" | "chance" => {
            let (text, reason) = rest.split_once(" -- ").ok_or_else(wrong)?;
            let (text, reason) = (text.to_owned(), reason.to_owned());
            experiment.excuses.push(Excuse { text, reason, certain: head == "differs" });
        }
        _ => {
            let (verb, target) = match head.split(' ').collect::<Vec<_>>().as_slice() {
                [target] => (Verb::Run, (*target).to_owned()),
                ["start", target] => (Verb::Start, (*target).to_owned()),
                ["real", target] => (Verb::RealRun, (*target).to_owned()),
                ["start", "real", target] => (Verb::RealStart, (*target).to_owned()),
                _ => return Err(wrong()),
            };
            experiment.steps.push(Step { verb, target, argv: words(rest) });
        }
    }
    Ok(())
}

fn nowhere(verb: Verb) -> Step {
    Step { verb, target: String::new(), argv: Vec::new() }
}

fn read_scenario(experiment: &mut Experiment, content: String) -> Result<(), String> {
    for line in content.lines().filter_map(|line| line.strip_prefix("#! ")) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let verb = match verb {
            "run" => Verb::Run,
            "start" => Verb::Start,
            "linger" => {
                experiment.steps.push(nowhere(Verb::Wait(6000)));
                continue;
            }
            other => return Err(format!("a real cluster cannot be edited under way: {other}")),
        };
        let (target, command) = rest.split_once(' ').unwrap_or((rest, ""));
        experiment.steps.push(Step { verb, target: target.to_owned(), argv: words(command) });
    }
    experiment.text = content;
    Ok(())
}

/// The words of a command line, with quotes as in a shell.
fn words(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => out.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    out.extend(word);
    out
}
