//! Commands that the shell itself carries out (`dash(1)`, BUILTINS).

use super::Lab;
use super::script::{Step, literal};
use crate::base::{ProcessId, SimTime};
use crate::shell::{self, Node};
use crate::trace::Stream;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Their names, as `type` knows them.
const BUILTINS: [&str; 22] = [
    ":", "[", "cd", "command", "echo", "exec", "exit", "export", "false", "kill", "local", "printf", "pwd",
    "read", "readonly", "set", "test", "trap", "true", "type", "umask", "unset",
];

impl Lab {
    /// Commands that the shell itself carries out: their status.
    pub(super) fn builtin(&mut self, process: ProcessId, words: &[String]) -> Option<u8> {
        let script = self.scripts.get_mut(&process)?;
        match words[0].as_str() {
            ":" | "trap" | "set" | "umask" | "shopt" => Some(0),
            "cd" => Some(self.change_directory(process, words)),
            "pwd" => {
                let text = format!("{}\n", self.sim.directory_of(process));
                self.say(process, &text);
                Some(0)
            }
            "wait" => {
                script.steps.push(Step::Wait(None));
                Some(0)
            }
            "kill" => Some(self.kill(process, words)),
            "export" | "readonly" | "local" => {
                let pairs = words[1..].iter().filter_map(|word| word.split_once('='));
                script.variables.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
                if words[0] == "export" {
                    self.export(process, &words[1..]);
                }
                Some(0)
            }
            "unset" => {
                words[1..].iter().for_each(|name| {
                    script.variables.remove(name);
                });
                Some(0)
            }
            "exit" => {
                let status = words.get(1).and_then(|text| text.parse().ok()).unwrap_or(script.status);
                self.leave(process);
                Some(status)
            }
            "command" | "type" => self.name_command(process, words),
            "time" => self.time(process, literal(&words[1..])),
            "exec" => {
                if words.len() == 1 {
                    return Some(0);
                }
                let is_outer = |step: &Step| matches!(step, Step::Substituted(_) | Step::Within(_));
                let inner = script.steps.iter().rposition(is_outer);
                let mut own = script.steps.split_off(inner.map_or(0, |at| at + 1));
                own.retain(|step| matches!(step, Step::Restore(..) | Step::Return(..)));
                script.steps.append(&mut own);
                script.title = words[1..].join(" ");
                script.steps.push(Step::Run(literal(&words[1..])));
                Some(0)
            }
            "[" | "test" => {
                let end = words.len()
                    - usize::from(words[0] == "[" && words.last().is_some_and(|last| last == "]"));
                let operands: Vec<&str> = words[1..end.max(1)].iter().map(String::as_str).collect();
                Some(u8::from(!self.test(process, &operands)))
            }
            _ => None,
        }
    }

    /// `time COMMAND` of bash and busybox: how long it took, once it is over. Dash has no such word.
    pub(super) fn time(&mut self, process: ProcessId, node: Arc<Node>) -> Option<u8> {
        let began = self.sim.now();
        let script = self.scripts.get_mut(&process).filter(|script| script.dialect.has_time())?;
        script.steps.extend([Step::Time(began), Step::Run(node)]);
        Some(0)
    }

    /// What `time` measured is over.
    pub(super) fn timed(&mut self, process: ProcessId, began: SimTime, status: u8) -> u8 {
        let took = self.sim.now().since(began);
        if let Some(text) = self.scripts.get(&process).and_then(|script| script.dialect.time(took, status)) {
            self.complain(process, &text);
        }
        status
    }

    /// `command [-v] NAME …` and `type NAME …`: what the names stand for, or the command run without a look at functions.
    fn name_command(&mut self, process: ProcessId, words: &[String]) -> Option<u8> {
        let is_type = words[0] == "type";
        let names = match &words[1..] {
            names if is_type => names,
            [flag, names @ ..] if flag == "-v" => names,
            [] => return Some(0),
            line => {
                let script = self.scripts.get_mut(&process)?;
                script.steps.push(Step::Run(literal(line)));
                return Some(0);
            }
        };
        let mut status = 0;
        for name in names {
            let script = self.scripts.get(&process)?;
            let path = shell::path_of(script.environment.image.as_deref(), name);
            let text = match (BUILTINS.contains(&name.as_str()), path, is_type) {
                (true, _, true) => format!("{name} is a shell builtin\n"),
                (true, _, false) => format!("{name}\n"),
                (false, Some(path), true) => format!("{name} is {path}\n"),
                (false, Some(path), false) => format!("{path}\n"),
                (false, None, _) => {
                    let (text, stream, missing) = script.dialect.unknown_name(name, is_type);
                    status = missing;
                    self.write_as_script(process, stream, &text);
                    continue;
                }
            };
            self.say(process, &text);
        }
        Some(status)
    }

    /// Writes text of a builtin to standard output, wherever that goes.
    fn say(&mut self, process: ProcessId, text: &str) {
        self.write_as_script(process, Stream::Stdout, text);
    }

    /// Writes a complaint of a builtin to standard error, wherever that goes.
    fn complain(&mut self, process: ProcessId, text: &str) {
        self.write_as_script(process, Stream::Stderr, text);
    }

    fn write_as_script(&mut self, process: ProcessId, stream: Stream, text: &str) {
        if let Some(script) = self.scripts.get(&process) {
            let (keeps, stderr) = (script.io.keeps, script.io.stderr);
            self.sim.redirect_output(process, keeps, stderr);
        }
        self.sim.write(process, stream, text);
    }

    /// Makes variables part of what commands see of their surroundings.
    fn export(&mut self, process: ProcessId, words: &[String]) {
        let Some(script) = self.scripts.get_mut(&process) else { return };
        let mut all: BTreeMap<String, String> = script.environment.variables.iter().cloned().collect();
        for word in words {
            let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
            if let Some(value) = script.variables.get(name) {
                all.insert(name.to_owned(), value.clone());
            }
        }
        let known = script.environment.variables.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let own = known.iter().filter_map(|name| all.remove_entry(name)).collect::<Vec<_>>();
        script.environment.variables = own.into_iter().chain(all).collect();
    }

    /// `cd [DIRECTORY]`: the status.
    fn change_directory(&mut self, process: ProcessId, words: &[String]) -> u8 {
        let wanted = match words.get(1).map(String::as_str) {
            None | Some("~") => self.variable(process, "HOME"),
            Some("-") => self.variable(process, "OLDPWD"),
            Some(path) => path.to_owned(),
        };
        let path = self.sim.absolute(process, &wanted);
        let Some(script) = self.scripts.get(&process) else { return 1 };
        let mounts = script.environment.mounts.clone();
        let netns = self.sim.netns_of(process);
        let why = if self.bytes_of(netns, &mounts, &path).is_some() {
            Some("Not a directory")
        } else if path != "/" && !self.sim.is_directory(&mounts, &path) {
            Some("No such file or directory")
        } else {
            None
        };
        if let Some(why) = why {
            let (text, status) = self.dialect(process).cannot_enter(&wanted, why);
            self.complain(process, &text);
            return status;
        }
        let before = self.sim.directory_of(process).to_owned();
        self.sim.change_directory(process, &path);
        if let Some(script) = self.scripts.get_mut(&process) {
            script.variables.insert("OLDPWD".to_owned(), before);
            script.variables.insert("PWD".to_owned(), path.clone());
        }
        if words.get(1).is_some_and(|word| word == "-") {
            self.say(process, &format!("{path}\n"));
        }
        0
    }

    fn test(&self, process: ProcessId, operands: &[&str]) -> bool {
        let exists = |path: &str| {
            let script = self.scripts.get(&process)?;
            let path = self.sim.absolute(process, path);
            let netns = self.sim.netns_of(process);
            self.sim.file_of(netns, &script.environment.mounts, &path).map(std::borrow::Cow::into_owned)
        };
        let number = |text: &str| text.parse::<i64>().unwrap_or(0);
        match operands {
            ["!", rest @ ..] => !self.test(process, rest),
            ["-n", text] | [text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            ["-e" | "-f" | "-r", path] => exists(path).is_some(),
            ["-s", path] => exists(path).is_some_and(|text| !text.is_empty()),
            [a, "=" | "==", b] => a == b,
            [a, "!=", b] => a != b,
            [a, "-eq", b] => number(a) == number(b),
            [a, "-ne", b] => number(a) != number(b),
            [a, "-lt", b] => number(a) < number(b),
            [a, "-le", b] => number(a) <= number(b),
            [a, "-gt", b] => number(a) > number(b),
            [a, "-ge", b] => number(a) >= number(b),
            _ => false,
        }
    }
}
