//! Which shell reads a command, as far as it shows in what is printed: prompts and complaints of busybox's ash, dash,
//! bash and zsh, from their sources.

use crate::base::Duration;
use crate::cluster::images::{self, Tools};
use crate::trace::Stream;

/// Families of shells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// busybox, as in Alpine.
    Ash,
    /// `sh` of Debian and Ubuntu.
    Dash,
    /// GNU bash.
    Bash,
    /// zsh, without what `netshoot` configures it with.
    Zsh,
}

/// Images of distributions whose `sh` is bash.
const RED_HAT: [&str; 7] =
    ["fedora", "centos", "rockylinux", "almalinux", "amazonlinux", "ubi-minimal", "oraclelinux"];

/// A shell as it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    family: Family,
    /// Its name as it was called.
    name: String,
    /// `PS1` that its configuration sets.
    prompt: &'static str,
    /// Lines that it has read at a prompt; `None` for one that runs a script.
    n_lines: Option<u32>,
}

/// Where a prompt stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The working directory.
    pub directory: &'a str,
    /// The home directory.
    pub home: &'a str,
    /// Host name.
    pub hostname: &'a str,
    /// Number of the user.
    pub uid: u32,
}

impl Default for Dialect {
    fn default() -> Self {
        Self::of(None, "sh")
    }
}

impl Dialect {
    /// The shell of this name in an image; `None` is a machine, which has Debian's.
    pub fn of(image: Option<&str>, word: &str) -> Self {
        let name = word.rsplit('/').next().unwrap_or(word);
        let is_red_hat = image.is_some_and(|image| RED_HAT.contains(&images::name_and_tag(image).0));
        let is_alpine =
            image.is_some_and(|image| images::tools(image) == Tools::Busybox || images::has_musl(image));
        let is_own_bash = image.is_some_and(|image| images::name_and_tag(image).0 == "bash");
        let family = match name {
            "bash" => Family::Bash,
            "zsh" => Family::Zsh,
            "dash" => Family::Dash,
            "ash" => Family::Ash,
            _ if is_red_hat => Family::Bash,
            _ if is_alpine || is_own_bash => Family::Ash,
            _ => Family::Dash,
        };
        let prompt = match family {
            Family::Ash => r"\w \$ ",
            Family::Dash => r"\$ ",
            Family::Zsh => r"\h\$ ",
            Family::Bash if name == "sh" || is_alpine || is_own_bash => r"\s-5.2\$ ",
            Family::Bash if is_red_hat => r"[\u@\h \W]\$ ",
            Family::Bash => r"\u@\h:\w\$ ",
        };
        Self { family, name: word.to_owned(), prompt, n_lines: None }
    }

    /// The same at a prompt, where nothing was read yet.
    #[must_use]
    pub fn interactive(self) -> Self {
        Self { n_lines: Some(0), ..self }
    }

    /// A line was read at its prompt.
    pub fn count_line(&mut self) {
        if let Some(n_lines) = &mut self.n_lines {
            *n_lines += 1;
        }
    }

    /// The prompt, from the variable `PS1` where that is set.
    pub fn prompt(&self, place: Place<'_>, own: Option<&str>) -> String {
        let is_literal = own.is_some() && self.family == Family::Dash;
        let template = own.unwrap_or(self.prompt);
        let mut out = String::new();
        let mut letters = template.chars();
        while let Some(letter) = letters.next() {
            if letter != '\\' || is_literal {
                out.push(letter);
                continue;
            }
            match letters.next() {
                Some('u') if place.uid == 0 => out.push_str("root"),
                Some('u') => out.push_str("I have no name!"),
                Some('h') => out.push_str(place.hostname.split('.').next().unwrap_or("")),
                Some('H') => out.push_str(place.hostname),
                Some('w') => out.push_str(&shortened(place)),
                Some('W') => out.push_str(last_part(&shortened(place))),
                Some('s') => out.push_str(self.base_name()),
                Some('$') => out.push(if place.uid == 0 { '#' } else { '$' }),
                Some('n') => out.push('\n'),
                Some('[' | ']') | None => {}
                Some('e') => out.push('\x1b'),
                Some(other) => out.extend(['\\', other]),
            }
        }
        out
    }

    fn base_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// What stands in front of a complaint.
    fn front(&self) -> String {
        match (self.family, self.n_lines) {
            (Family::Dash, n_lines) => format!("{}: {}: ", self.name, n_lines.unwrap_or(1).max(1)),
            (Family::Ash, _) => format!("{}: ", self.name),
            (Family::Bash, None) => format!("{}: line 1: ", self.name),
            (Family::Bash | Family::Zsh, Some(_)) => format!("{}: ", self.base_name()),
            (Family::Zsh, None) => format!("{}:1: ", self.base_name()),
        }
    }

    /// A complaint as a line.
    pub fn complaint(&self, what: &str) -> String {
        format!("{}{what}\n", self.front())
    }

    /// There is no such program.
    pub fn not_found(&self, program: &str) -> String {
        match self.family {
            Family::Bash if program.contains('/') => {
                self.complaint(&format!("{program}: No such file or directory"))
            }
            Family::Bash => self.complaint(&format!("{program}: command not found")),
            Family::Zsh => self.complaint(&format!("command not found: {program}")),
            Family::Ash | Family::Dash => self.complaint(&format!("{program}: not found")),
        }
    }

    /// What `type` and `command -v` say of a name that stands for nothing: the text, where it goes, the status.
    pub fn unknown_name(&self, name: &str, is_type: bool) -> (String, Stream, u8) {
        match (self.family, is_type) {
            (Family::Bash, true) => (self.complaint(&format!("type: {name}: not found")), Stream::Stderr, 1),
            (Family::Bash | Family::Zsh, false) => (String::new(), Stream::Stderr, 1),
            (Family::Zsh, true) => (format!("{name} not found\n"), Stream::Stdout, 1),
            (Family::Ash | Family::Dash, true) => (format!("{name}: not found\n"), Stream::Stdout, 127),
            (Family::Ash | Family::Dash, false) => (String::new(), Stream::Stderr, 127),
        }
    }

    /// Whether there is the word `time` at all.
    pub fn has_time(&self) -> bool {
        matches!(self.family, Family::Bash | Family::Ash)
    }

    /// What `time` says of a command that took so long and ended with this status; `None` where there is no such word.
    /// Computing takes no time here, so all of it was spent waiting.
    pub fn time(&self, took: Duration, status: u8) -> Option<String> {
        let (minutes, ms) = (took.as_secs() / 60, took.as_ms() % 60_000);
        let (seconds, ms) = (ms / 1000, ms % 1000);
        match self.family {
            Family::Bash => {
                Some(format!("\nreal\t{minutes}m{seconds}.{ms:03}s\nuser\t0m0.000s\nsys\t0m0.000s\n"))
            }
            Family::Ash => {
                let failed = match status {
                    0 => String::new(),
                    status => format!("Command exited with non-zero status {status}\n"),
                };
                let hundredths = ms / 10;
                Some(format!(
                    "{failed}real\t{minutes}m {seconds}.{hundredths:02}s\nuser\t0m 0.00s\nsys\t0m 0.00s\n"
                ))
            }
            Family::Dash | Family::Zsh => None,
        }
    }

    /// Whether `time` before a pipe measures all of it.
    pub fn times_pipes(&self) -> bool {
        self.family == Family::Bash
    }

    /// A file cannot be made, for this reason of the kernel's.
    pub fn cannot_create(&self, path: &str, why: &str) -> String {
        let is_missing = why == "No such file or directory";
        match self.family {
            Family::Ash if is_missing => {
                self.complaint(&format!("can't create {path}: nonexistent directory"))
            }
            Family::Ash => self.complaint(&format!("can't create {path}: {why}")),
            Family::Dash if is_missing => {
                self.complaint(&format!("cannot create {path}: Directory nonexistent"))
            }
            Family::Dash => self.complaint(&format!("cannot create {path}: {why}")),
            Family::Bash => self.complaint(&format!("{path}: {why}")),
            Family::Zsh => self.complaint(&format!("{}: {path}", why.to_lowercase())),
        }
    }

    /// There is no such file to be read.
    pub fn cannot_open(&self, path: &str) -> String {
        match self.family {
            Family::Ash => self.complaint(&format!("can't open {path}: no such file")),
            Family::Dash => self.complaint(&format!("cannot open {path}: No such file")),
            Family::Bash => self.complaint(&format!("{path}: No such file or directory")),
            Family::Zsh => self.complaint(&format!("no such file or directory: {path}")),
        }
    }

    /// There is no such script: what it says, and its status.
    pub fn cannot_run(&self, path: &str) -> (String, u8) {
        match self.family {
            Family::Ash => (self.complaint(&format!("can't open '{path}': No such file or directory")), 2),
            Family::Dash => (format!("{}: 0: cannot open {path}: No such file\n", self.name), 2),
            Family::Bash => (format!("{}: {path}: No such file or directory\n", self.name), 127),
            Family::Zsh => (format!("zsh: can't open input file: {path}\n"), 127),
        }
    }

    /// `cd` cannot go there, for this reason of the kernel's: what it says, and its status.
    pub fn cannot_enter(&self, path: &str, why: &str) -> (String, u8) {
        match self.family {
            Family::Ash => (self.complaint(&format!("cd: can't cd to {path}: {why}")), 2),
            Family::Dash => (self.complaint(&format!("cd: can't cd to {path}")), 2),
            Family::Bash => (self.complaint(&format!("cd: {path}: {why}")), 1),
            Family::Zsh => (self.complaint(&format!("cd: {}: {path}", why.to_lowercase())), 1),
        }
    }

    /// A command that cannot be read; the parser says why in the words of dash.
    pub fn syntax_error(&self, message: &str) -> String {
        let Some(what) = message.strip_prefix("Syntax error: ") else { return self.complaint(message) };
        let unexpected = what.strip_suffix(" unexpected").map(|what| what.trim_matches('"'));
        match (self.family, unexpected) {
            (Family::Dash | Family::Zsh, _) => self.complaint(message),
            (Family::Ash, Some(what @ ("end of file" | "newline"))) => {
                self.complaint(&format!("syntax error: unexpected {what}"))
            }
            (Family::Ash, Some(what)) => self.complaint(&format!("syntax error: unexpected \"{what}\"")),
            (Family::Ash, None) => self.complaint(&format!("syntax error: {}", what.to_lowercase())),
            (Family::Bash, Some("end of file")) => self.complaint("syntax error: unexpected end of file"),
            (Family::Bash, Some(what)) => {
                self.complaint(&format!("syntax error near unexpected token `{what}'"))
            }
            (Family::Bash, None) => self.complaint(&format!("syntax error: {what}")),
        }
    }

    /// Whether it edits lines, and writes its prompt again when its terminal gets another size (`SIGWINCH`).
    pub fn edits_lines(&self) -> bool {
        match self.family {
            Family::Ash | Family::Bash | Family::Zsh => true,
            Family::Dash => false,
        }
    }

    /// What it prints when it ends: at the end of its input, or by `exit`.
    pub fn farewell(&self, by_exit: bool) -> &'static str {
        match (self.family, by_exit) {
            (Family::Bash, _) => "exit\n",
            (Family::Dash | Family::Zsh, false) => "\n",
            (Family::Dash | Family::Zsh, true) | (Family::Ash, _) => "",
        }
    }
}

/// The working directory with `~` for the home directory.
fn shortened(place: Place<'_>) -> String {
    match place.directory.strip_prefix(place.home) {
        Some(rest) if place.home != "/" && (rest.is_empty() || rest.starts_with('/')) => format!("~{rest}"),
        _ => place.directory.to_owned(),
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_ask_with_their_prompts() {
        let place = Place { directory: "/etc", home: "/root", hostname: "web", uid: 0 };
        for (image, word, wanted) in [
            ("busybox:1.36", "sh", "/etc # "),
            ("nginx:alpine", "/bin/sh", "/etc # "),
            ("nginx", "sh", "# "),
            ("nginx", "bash", "root@web:/etc# "),
            ("fedora:41", "/bin/bash", "[root@web etc]# "),
            ("bash:5", "bash", "bash-5.2# "),
        ] {
            assert_eq!(Dialect::of(Some(image), word).prompt(place, None), wanted, "{image} {word}");
        }
        let home = Place { directory: "/root/x", uid: 1000, ..place };
        assert_eq!(Dialect::of(Some("busybox"), "sh").prompt(home, None), "~/x $ ");
        assert_eq!(Dialect::of(Some("nginx"), "bash").prompt(home, Some(r"\W> ")), "x> ");
        assert_eq!(Dialect::of(Some("nginx"), "sh").prompt(home, Some(r"\W> ")), r"\W> ");
    }

    #[test]
    fn shells_complain_in_their_own_words() {
        let of = |image, word| Dialect::of(Some(image), word);
        let (ash, dash, bash) = (of("busybox", "sh"), of("nginx", "sh"), of("nginx", "/bin/bash"));
        assert_eq!(ash.not_found("x"), "sh: x: not found\n");
        assert_eq!(dash.not_found("x"), "sh: 1: x: not found\n");
        assert_eq!(bash.not_found("x"), "/bin/bash: line 1: x: command not found\n");
        let mut at_prompt = dash.interactive();
        at_prompt.count_line();
        at_prompt.count_line();
        assert_eq!(at_prompt.not_found("x"), "sh: 2: x: not found\n");
        assert_eq!(bash.interactive().not_found("x"), "bash: x: command not found\n");
        let error = "Syntax error: \";\" unexpected";
        assert_eq!(ash.syntax_error(error), "sh: syntax error: unexpected \";\"\n");
        assert_eq!(at_prompt.syntax_error(error), "sh: 2: Syntax error: \";\" unexpected\n");
    }
}
