//! The resolvers of the simulator held against the real ones: glibc's and musl's `getaddrinfo(3)`, each in a program of its
//! own (`client.c`), ask servers in a network namespace that answer from the zone of a simulated cluster, and do what
//! `cases.txt` says: stay silent, fail, refuse, cut. What the servers were asked (which one, from which socket, over what,
//! for what, with which flags, in which order and in which second) and what the programs had of it has to be the same.

mod real;
mod simulated;
mod zone;

pub(crate) use real::serve;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// How often a case may be tried before its differences count: the machine may be busy.
const ATTEMPTS: usize = 3;
/// Cases under way at once. They wait most of their time.
const AT_ONCE: usize = 6;
const CASES: &str = include_str!("cases.txt");
const CLIENT: &str = include_str!("client.c");

/// A C library, and the compilers that link with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    Glibc,
    Musl,
}

impl Library {
    fn name(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
        }
    }

    fn compiler(self) -> &'static str {
        match self {
            Self::Glibc => "cc",
            Self::Musl => "musl-gcc",
        }
    }
}

/// A case of `cases.txt`.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    name: String,
    /// `/etc/resolv.conf` without the servers.
    conf: String,
    /// What each server does, in words.
    servers: Vec<String>,
    names: Vec<String>,
    only: Option<String>,
    /// The first release of musl that does as the simulator.
    musl_since: Option<String>,
}

/// A question that reached a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) at_ms: u64,
    pub(crate) server: usize,
    pub(crate) port: u16,
    pub(crate) tcp: bool,
    pub(crate) what: String,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ran {
    pub(crate) asked: Vec<Asked>,
    pub(crate) output: Vec<String>,
}

impl Case {
    fn all() -> Vec<Self> {
        CASES.split("=== ").skip(1).map(Self::read).collect()
    }

    fn read(text: &str) -> Self {
        let (name, rest) = text.split_once('\n').unwrap_or((text, ""));
        let mut case = Self {
            name: name.to_owned(),
            conf: String::new(),
            servers: Vec::new(),
            names: Vec::new(),
            only: None,
            musl_since: None,
        };
        for line in rest.lines() {
            let words = |text: &str| text.split(' ').map(str::to_owned).collect();
            match line.split_once(' ') {
                Some(("conf", text)) => case.conf = text.replace("\\n", "\n").replace("\\t", "\t"),
                Some(("servers", text)) => case.servers = words(text),
                Some(("ask", text)) => case.names = words(text),
                Some(("only", text)) => case.only = Some(text.to_owned()),
                Some(("musl", text)) => case.musl_since = Some(text.to_owned()),
                _ => {}
            }
        }
        case
    }

    /// `/etc/resolv.conf`.
    fn resolv_conf(&self) -> String {
        let servers: Vec<String> =
            (0..self.servers.len()).map(|server| format!("nameserver {}\n", zone::address(server))).collect();
        format!("{}\n{}", self.conf, servers.concat())
    }
}

/// A line of what happened, and when.
#[derive(Clone, Debug)]
struct Line {
    at_ms: Option<u64>,
    text: String,
}

impl Line {
    /// Whether both say the same, in the same second as far as a busy machine allows.
    fn agrees(&self, other: &Self) -> bool {
        const LATE_MS: u64 = 450;
        let near = match (self.at_ms, other.at_ms) {
            (Some(one), Some(other)) => one.abs_diff(other) <= LATE_MS,
            (None, None) => true,
            _ => false,
        };
        near && self.text == other.text
    }
}

impl Ran {
    /// A line for each question, then what the program had. Sockets are numbered as they come; servers too where they
    /// rotate, for chance says which is first. musl asks all servers at once: within a moment their order is nobody's.
    fn lines(&self, case: &Case, library: Library) -> Vec<Line> {
        const MOMENT_MS: u64 = 80;
        let mut asked = self.asked.clone();
        if library == Library::Musl {
            let mut from = 0;
            for at in 1..=asked.len() {
                if at == asked.len() || asked[at].at_ms > asked[at - 1].at_ms + MOMENT_MS {
                    asked[from..at]
                        .sort_by(|one, other| (one.server, &one.what).cmp(&(other.server, &other.what)));
                    from = at;
                }
            }
        }
        let begin = asked.iter().map(|one| one.at_ms).min().unwrap_or(0);
        let rotates = case.conf.contains("rotate") && library == Library::Glibc;
        let first = asked.first().filter(|_| rotates).map_or(0, |one| one.server);
        let mut ports = Vec::new();
        let mut lines = Vec::new();
        for one in &asked {
            let socket = (one.tcp, one.port);
            let number = ports.iter().position(|known| *known == socket).unwrap_or_else(|| {
                ports.push(socket);
                ports.len() - 1
            });
            let server = (one.server + case.servers.len() - first) % case.servers.len();
            let proto = if one.tcp { "tcp" } else { "udp" };
            let text = format!("server {}, {proto} socket {number}: {}", server + 1, one.what);
            lines.push(Line { at_ms: Some(one.at_ms - begin), text });
        }
        lines.extend(self.output.iter().map(|text| Line { at_ms: None, text: text.clone() }));
        lines
    }
}

/// The release of the machine's musl, such as `1.2.3`.
fn musl_release() -> String {
    let script = "for libc in /lib/ld-musl-*.so.1; do $libc; done 2>&1 | sed -n 's/^Version //p'";
    let said = Command::new("sh").args(["-c", script]).output();
    said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default()
}

/// The numbers of a release, to be compared.
fn numbers(release: &str) -> Vec<u32> {
    release.split('.').filter_map(|number| number.parse().ok()).collect()
}

/// The program for a library, built into `folder`; why it cannot be.
fn build(library: Library, folder: &Path) -> Result<PathBuf, String> {
    let source = folder.join("client.c");
    std::fs::write(&source, CLIENT).map_err(|error| error.to_string())?;
    let program = folder.join(library.name());
    let built = Command::new(library.compiler()).arg("-o").arg(&program).arg(&source).output();
    match built {
        Ok(built) if built.status.success() => Ok(program),
        Ok(built) => Err(String::from_utf8_lossy(&built.stderr).into_owned()),
        Err(_) => Err(format!("{} is missing: install the packages gcc and musl-tools", library.compiler())),
    }
}

/// What a number of cases came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

/// Holds the cases whose names contain one of `parts` (all of them without parts), and says what came of each.
pub(crate) fn hold(parts: &[&String]) -> Counts {
    let folder = std::env::temp_dir().join(format!("vso{}-resolver", std::process::id()));
    let mut counts = Counts::default();
    if let Err(error) = std::fs::create_dir_all(&folder) {
        println!("oracle resolver ... FAILED\n{}: {error}", folder.display());
        return Counts { failed: 1, ..counts };
    }
    for library in [Library::Glibc, Library::Musl] {
        let mut cases = Case::all();
        let release = if library == Library::Musl { musl_release() } else { String::new() };
        let too_old = |since: &str| library == Library::Musl && numbers(&release) < numbers(since);
        let knows_no_data = !too_old("1.2.4");
        cases.retain(|case| {
            let name = format!("resolver {} {}", library.name(), case.name);
            let wanted = parts.is_empty() || parts.iter().any(|part| name.contains(part.as_str()));
            wanted && case.only.as_ref().is_none_or(|only| only == library.name())
        });
        let all = cases.len();
        cases.retain(|case| !case.musl_since.as_ref().is_some_and(|since| too_old(since)));
        if cases.len() < all {
            println!(
                "oracle resolver {} ... skipped: {} cases need a later release than {release}",
                library.name(),
                all - cases.len()
            );
            counts.skipped += all - cases.len();
        }
        if cases.is_empty() {
            continue;
        }
        let program = match build(library, &folder) {
            Ok(program) => program,
            Err(why) => {
                println!("oracle resolver {} ... skipped: {why}", library.name());
                counts.skipped += 1;
                continue;
            }
        };
        let stories = stories(&cases, library, &program, &folder, knows_no_data);
        for (case, story) in cases.iter().zip(stories) {
            let name = format!("oracle resolver {} {}", library.name(), case.name);
            if story.is_empty() {
                println!("{name} ... ok");
                counts.passed += 1;
            } else {
                println!("{name} ... FAILED\n{story}");
                counts.failed += 1;
            }
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    counts
}

/// What came of each case, several of them at a time, then those that differ once more, one by one. A musl that does not know of names without an address says so.
fn stories(
    cases: &[Case],
    library: Library,
    program: &Path,
    folder: &Path,
    knows_no_data: bool,
) -> Vec<String> {
    let waiting = Mutex::new(cases.iter().enumerate());
    let told = Mutex::new(vec![String::new(); cases.len()]);
    let story = |at: usize, case: &Case| {
        let folder = folder.join(format!("{}-{at}", library.name()));
        let mut got = simulated::run(case, library).lines(case, library);
        if !knows_no_data {
            for line in &mut got {
                line.text = line.text.replace("Name has no usable address", "Name does not resolve");
            }
        }
        compare(case, library, program, &folder, &got)
    };
    let work = || {
        while let Some((at, case)) = waiting.lock().ok().and_then(|mut next| next.next()) {
            let story = story(at, case);
            if let Ok(mut told) = told.lock() {
                told[at] = story;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let mut told = told.into_inner().unwrap_or_default();
    for ((at, case), told) in cases.iter().enumerate().zip(&mut told) {
        if !told.is_empty() {
            *told = story(at, case);
        }
    }
    told
}

/// How the simulator differs from the real resolver; nothing where it does not.
fn compare(case: &Case, library: Library, program: &Path, folder: &Path, got: &[Line]) -> String {
    let mut story = String::new();
    for _ in 0..ATTEMPTS {
        let want = match real::run(case, program, folder) {
            Ok(ran) => ran.lines(case, library),
            Err(why) => {
                story = why;
                continue;
            }
        };
        if want.len() == got.len() && want.iter().zip(got).all(|(want, got)| want.agrees(got)) {
            return String::new();
        }
        story = format!("{}real:\n", case.resolv_conf());
        for (title, lines) in [("", want.as_slice()), ("simulated:\n", got)] {
            story += title;
            for line in lines {
                let at =
                    line.at_ms.map_or(String::new(), |ms| format!("{}.{} s, ", ms / 1000, ms % 1000 / 100));
                let _ = writeln!(story, "  {at}{}", line.text);
            }
        }
    }
    story
}

/// A run as the child prints it.
fn written(ran: &Ran) -> String {
    let mut out = String::new();
    for Asked { at_ms, server, port, tcp, what } in &ran.asked {
        let _ = writeln!(out, "asked {at_ms} {server} {port} {tcp} {what}");
    }
    for line in &ran.output {
        let _ = writeln!(out, "said {line}");
    }
    out
}

/// The other way.
fn read_back(text: &str) -> Ran {
    let mut ran = Ran::default();
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("said ") {
            ran.output.push(said.to_owned());
        }
        let words: Vec<&str> = line.splitn(6, ' ').collect();
        if let ["asked", at_ms, server, port, tcp, what] = words[..] {
            ran.asked.push(Asked {
                at_ms: at_ms.parse().unwrap_or_default(),
                server: server.parse().unwrap_or_default(),
                port: port.parse().unwrap_or_default(),
                tcp: tcp == "true",
                what: what.to_owned(),
            });
        }
    }
    ran
}
