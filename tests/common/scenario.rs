//! Scenarios: a cluster's text whose first comments say what is done in it.

use super::{FOR_EVER, apply, run};
use vethscope::lab::{Lab, Progress, Target};

/// A file of `tests/scenarios/`.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Its name.
    pub name: String,
    /// The text to apply.
    pub text: String,
    /// What to do then, one step after the other.
    pub steps: Vec<Step>,
}

/// A step of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Runs a command to its end.
    Run(String),
    /// Starts a command and goes on at once.
    Start(String),
    /// Waits until everything that was caused has happened.
    Linger,
    /// Applies the text anew with one word replaced by another.
    Replace(String, String),
    /// Applies the text anew without the lines that hold this.
    Cut(String),
    /// Applies the text anew without the document that begins with this name.
    Without(String),
}

/// All scenarios, by name.
pub(crate) fn all() -> Vec<Scenario> {
    let mut paths: Vec<_> = std::fs::read_dir("tests/scenarios")
        .expect("the scenarios are there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a scenario can be read");
            read(&path.file_stem().expect("a name").to_string_lossy(), text)
        })
        .collect()
}

/// A scenario from its text.
pub(crate) fn read(name: &str, text: String) -> Scenario {
    let steps = text.lines().filter_map(|line| step(line.strip_prefix("#! ")?)).collect();
    Scenario { name: name.to_owned(), text, steps }
}

fn step(line: &str) -> Option<Step> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match verb {
        "run" => Step::Run(rest.to_owned()),
        "start" => Step::Start(rest.to_owned()),
        "linger" => Step::Linger,
        "replace" => {
            let (old, new) = rest.split_once(" => ").expect("replace OLD => NEW");
            Step::Replace(old.to_owned(), new.to_owned())
        }
        "cut" => Step::Cut(rest.to_owned()),
        "without" => Step::Without(rest.to_owned()),
        other => panic!("a scenario has the unknown step {other}"),
    })
}

impl Scenario {
    /// A lab with the text applied and settled, before any step.
    pub(crate) fn settled(&self, seed: u64) -> Lab {
        super::lab(&self.text, seed)
    }

    /// Takes one step.
    pub(crate) fn take(&self, lab: &mut Lab, step: &Step) {
        match step {
            Step::Run(line) => {
                run(lab, line);
            }
            Step::Start(line) => {
                let mut words = line.split_whitespace().map(str::to_owned);
                let target = Target::parse(&words.next().expect("a target"), "default", None);
                lab.start(&target, &words.collect::<Vec<_>>()).expect("a command starts");
            }
            Step::Linger => {
                lab.linger(FOR_EVER);
            }
            Step::Replace(old, new) => {
                assert!(self.text.contains(old.as_str()), "{}: there is no {old}", self.name);
                apply(lab, &self.text.replace(old.as_str(), new));
            }
            Step::Cut(part) => {
                let kept: Vec<&str> =
                    self.text.lines().filter(|line| !line.contains(part.as_str())).collect();
                apply(lab, &(kept.join("\n") + "\n"));
            }
            Step::Without(name) => {
                let documents: Vec<&str> = self.text.split("\n---\n").collect();
                let marker = format!("metadata: {{name: {name}}}");
                let kept: Vec<&str> =
                    documents.iter().copied().filter(|text| !text.contains(&marker)).collect();
                assert!(kept.len() < documents.len(), "{}: there is no {name}", self.name);
                apply(lab, &kept.join("\n---\n"));
            }
        }
    }

    /// Plays it to its end: every step, then until nothing is under way.
    pub(crate) fn play(&self, seed: u64) -> Lab {
        let mut lab = self.settled(seed);
        for step in &self.steps {
            self.take(&mut lab, step);
        }
        rest(&mut lab);
        lab
    }
}

/// Lets everything end that was begun: processes, questions to neighbours, waiting fragments.
pub(crate) fn rest(lab: &mut Lab) {
    while matches!(lab.advance(10_000), Progress::Busy(_)) {}
}
