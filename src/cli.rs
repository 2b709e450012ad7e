//! The command line. Its words and shapes are a contract: they are added to, not changed.

use crate::base::words::Lang;
use crate::base::{Diagnostic, EventId, ProcessId, Severity, SimTime};
use crate::lab::compare::{self, Choice};
use crate::lab::flow::Destination;
use crate::lab::matrix::{self, Asking};
use crate::lab::{Lab, LabLog, Progress, Target};
use crate::lab::{lookups, names};
use crate::manifest::{self, Parsed, Sources};
use crate::trace::json::json;
use crate::trace::{EventKind, Inventory, Stream, Trace, format};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::{IsTerminal as _, Read, Write as _};
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Exit status for wrong usage or input that cannot be read.
const USAGE: u8 = 2;
/// The cluster has this long to settle, in simulated time.
const SETTLE: SimTime = SimTime(600_000_000_000);
/// A command has this long, in simulated time; then it gets Ctrl-C.
const COMMAND_NS: u64 = 3_600_000_000_000;
/// What a command caused may take this much longer: neighbours being checked.
const LINGER_NS: u64 = 60_000_000_000;
/// Seed of a run from the command line.
const SEED: u64 = 1;

#[derive(Parser)]
#[command(
    name = "vethscope",
    version,
    about = "A simulated Kubernetes cluster network",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Validates as the API server would.
    Check {
        #[command(flatten)]
        files: Files,
        /// Shape of the answer.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Language of the messages.
        #[arg(long, value_enum, default_value_t = Language::En)]
        lang: Language,
    },
    /// Runs a command in a Pod, on a node or on a host, and prints what the real tool would print.
    Exec {
        #[command(flatten)]
        at: At,
    },
    /// The same, and prints every hop of every packet that the command caused, and why.
    Trace {
        #[command(flatten)]
        at: At,
        /// Shape of the answer.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Writes what every tapped device saw.
        #[arg(long, value_name = "OUT")]
        pcapng: Option<PathBuf>,
        /// Writes the keys of `IPsec` as Wireshark's file `esp_sa` has them.
        #[arg(long, value_name = "OUT")]
        esp_sa: Option<PathBuf>,
    },
    /// Runs a command over several networks and follows the same packet in each.
    Compare {
        #[command(flatten)]
        at: At,
        /// Networks as `CNI` or `CNI/BACKEND`, separated by commas.
        #[arg(long, value_delimiter = ',', value_parser = Choice::parse)]
        networks: Vec<Choice>,
        /// Shape of the answer.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Asks the cluster's CoreDNS.
    Dns {
        #[command(flatten)]
        files: Files,
        /// The name that is asked for.
        #[arg(long, value_name = "NAME")]
        query: String,
        /// Type of the records that are asked for.
        #[arg(long = "type", value_name = "T", default_value = "A")]
        kind: String,
        /// The Pod that asks, as `POD` or `NAMESPACE/POD`.
        #[arg(long, value_name = "POD")]
        from: Option<String>,
        /// Namespace of the Pod.
        #[arg(short = 'n', long, default_value = "default")]
        namespace: String,
        /// Has the Pod look the name up in several ways, and says what each costs.
        #[arg(long, requires = "from")]
        compare: bool,
        /// Shape of the answer.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Language of the table.
        #[arg(long, value_enum, default_value_t = Language::En)]
        lang: Language,
    },
    /// Prints who reaches whom on a port, found out by a real packet from every Pod to every Pod.
    Matrix {
        #[command(flatten)]
        files: Files,
        /// Port number.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// Protocol.
        #[arg(long, value_enum, ignore_case = true, default_value_t = Transport::Tcp)]
        protocol: Transport,
        /// Shape of the answer.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Adds what decided each cell.
        #[arg(long)]
        explain: bool,
        /// Language of the explanations.
        #[arg(long, value_enum, default_value_t = Language::En)]
        lang: Language,
    },
    /// Says what a node's rules do with a packet.
    Flow {
        #[command(flatten)]
        files: Files,
        /// Name of the node.
        #[arg(long)]
        node: String,
        /// Source address.
        #[arg(long, value_name = "IP")]
        src: IpAddr,
        /// Destination, as `10.96.0.10:53/UDP` or `[fd00::1]:80/TCP`.
        #[arg(long, value_name = "IP:PORT/PROTO", value_parser = destination)]
        dst: Destination,
        /// Shape of the answer.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Prints objects as `kubectl get` does.
    Get {
        #[command(flatten)]
        files: Files,
        /// Kind, name and options of `kubectl get`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<String>,
    },
    /// Replays a log that the page shared or exported.
    Replay {
        /// The log, as JSON; `-` is standard input.
        log: PathBuf,
        /// Shape of the answer.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

#[derive(Args)]
struct Files {
    /// A file with any number of documents; may repeat, `-` is standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Args)]
struct At {
    #[command(flatten)]
    files: Files,
    /// Namespace of the Pod.
    #[arg(short = 'n', long, default_value = "default")]
    namespace: String,
    /// Container of the Pod.
    #[arg(short = 'c', long)]
    container: Option<String>,
    /// `POD`, `NAMESPACE/POD`, `node/NAME` or `host/NAME`.
    target: String,
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    En,
    Ko,
}

impl From<Language> for Lang {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::En,
            Language::Ko => Self::Ko,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    #[value(name = "TCP")]
    Tcp,
    #[value(name = "UDP")]
    Udp,
    #[value(name = "SCTP")]
    Sctp,
}

/// Why a run ended before it answered.
struct Failure {
    message: String,
    status: u8,
}

/// Runs the command line.
pub fn run() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(status) => ExitCode::from(status),
        Err(Failure { message, status }) => {
            say(Stream::Stderr, &message);
            ExitCode::from(status)
        }
    }
}

fn dispatch(verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Check { files, format, lang } => check(&files, format, lang),
        Verb::Exec { at } => exec(&at),
        Verb::Trace { at, format, pcapng, esp_sa } => {
            trace(&at, format, (pcapng.as_deref(), esp_sa.as_deref()))
        }
        Verb::Compare { at, networks, format } => compare(&at, networks, format),
        Verb::Dns { files, query, kind, from, namespace, compare, format, lang } => {
            let from = from.map(|from| Target::parse(&from, &namespace, None));
            if let Some(from) = from.as_ref().filter(|_| compare) {
                return compare_lookups(&files, &query, from, (format, lang));
            }
            dns(&files, (&query, &kind), from.as_ref(), format)
        }
        Verb::Matrix { files, port, protocol, format, explain, lang } => {
            matrix(&files, port_of(protocol, port), format, (explain, lang))
        }
        Verb::Flow { files, node, src, dst, format } => flow(&files, &node, (src, dst), format),
        Verb::Get { files, args } => get(&files, args),
        Verb::Replay { log, format } => replay(&log, format),
    }
}

fn say(stream: Stream, text: &str) {
    // A reader that went away (`| head`) is no error of ours.
    let _ = match stream {
        Stream::Stdout | Stream::Echo => std::io::stdout().write_all(text.as_bytes()),
        Stream::Stderr => std::io::stderr().write_all(text.as_bytes()),
    };
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    bytes.map_err(|error| Failure { message: format!("{}: {error}\n", path.display()), status: USAGE })
}

/// The files as one text, which knows which line came from where.
fn read_all(files: &Files) -> Result<Sources, Failure> {
    let mut texts = Vec::new();
    for path in &files.files {
        let text = String::from_utf8(read(path)?).map_err(|error| Failure {
            message: format!(
                "{}: not a text: byte {} is no UTF-8; give a YAML file\n",
                path.display(),
                error.utf8_error().valid_up_to()
            ),
            status: USAGE,
        })?;
        texts.push((path.display().to_string(), text));
    }
    Ok(Sources::new(texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))))
}

fn check(files: &Files, format: Format, lang: Language) -> Result<u8, Failure> {
    let lang = lang.into();
    let sources = read_all(files)?;
    let parsed = crate::lab::parse(sources.text());
    let answer = match format {
        Format::Text => manifest::check_text(&sources, &parsed, lang),
        Format::Json => {
            let found = manifest::check_json(&sources, &parsed, lang);
            serde_json::json!({ "diagnostics": found }).to_string() + "\n"
        }
    };
    say(Stream::Stdout, &answer);
    Ok(u8::from(parsed.has_errors()))
}

/// A lab with the files applied and settled.
fn settled(files: &Files) -> Result<Lab, Failure> {
    settle(&read_all(files)?.latest())
}

fn settle(sources: &Sources) -> Result<Lab, Failure> {
    let mut lab = Lab::new(SEED);
    let mut diagnostics = lab.apply(sources.text());
    diagnostics.retain(|diagnostic| diagnostic.severity == Severity::Error);
    if !diagnostics.is_empty() {
        let refused = Parsed { objects: Vec::new(), diagnostics };
        return Err(Failure { message: manifest::check_text(sources, &refused, Lang::En), status: 1 });
    }
    lab.settle(SETTLE);
    Ok(lab)
}

fn start(lab: &mut Lab, at: &At) -> Result<(ProcessId, usize), Failure> {
    let target = Target::parse(&at.target, &at.namespace, at.container.as_deref());
    lab.need_names(&target, &at.command);
    let from = lab.trace().len();
    let process = lab
        .start(&target, &at.command)
        .map_err(|error| Failure { message: format!("{error}\n"), status: 1 })?;
    Ok((process, from))
}

/// Runs a process to its end. One that would go on for ever gets Ctrl-C. Where a shell asks for a command, that is a line
/// of standard input; `shown` is told what was written before each, and whether the terminal is to show what is typed.
fn finish(lab: &mut Lab, process: ProcessId, shown: &mut dyn FnMut(&Trace, bool)) -> u8 {
    let is_terminal = std::io::stdin().is_terminal();
    let (mut n_typed, mut is_over) = (0, false);
    while lab.status(process).is_none() && lab.trace().len() < crate::lab::EVENTS_MAX {
        let limit = SimTime(lab.now().0.saturating_add(COMMAND_NS));
        lab.finish(process, limit);
        if lab.status(process).is_some() {
            break;
        }
        if !lab.asks(process) || is_over {
            lab.interrupt(process);
            lab.finish(process, SimTime(u64::MAX));
            if is_over {
                break;
            }
            continue;
        }
        shown(lab.trace(), n_typed > 0 && !is_terminal);
        let mut line = String::new();
        is_over = !matches!(std::io::stdin().read_line(&mut line), Ok(1..));
        let line = line.strip_suffix('\n').unwrap_or(&line);
        lab.type_at(process, (!is_over).then_some(line));
        n_typed += 1;
    }
    shown(lab.trace(), n_typed > 0 && !is_terminal);
    lab.status(process).unwrap_or(1)
}

fn exec(at: &At) -> Result<u8, Failure> {
    let mut lab = settled(&at.files)?;
    let (process, from) = start(&mut lab, at)?;
    Ok(finish(&mut lab, process, &mut printer(from, process)))
}

/// Prints what a process has written since this was last asked.
fn printer(mut from: usize, process: ProcessId) -> impl FnMut(&Trace, bool) {
    move |trace: &Trace, echoes: bool| {
        for event in trace.events.since(from) {
            let EventKind::Wrote(output) = event.kind else { continue };
            let output = &trace.outputs[output.index()];
            if output.process == process && (echoes || output.stream != Stream::Echo) {
                say(output.stream, &output.text);
            }
        }
        let _ = std::io::stdout().flush();
        from = trace.len();
    }
}

fn trace(at: &At, format: Format, (pcapng, esp_sa): (Option<&Path>, Option<&Path>)) -> Result<u8, Failure> {
    let mut lab = settled(&at.files)?;
    let (process, from) = start(&mut lab, at)?;
    let status = finish(&mut lab, process, &mut |_, _| {});
    let limit = SimTime(lab.now().0.saturating_add(LINGER_NS));
    lab.linger(limit);
    let trace = lab.trace();
    let range = from..trace.len();
    if let Some(path) = pcapng {
        write_file(path, &crate::trace::pcapng(trace, range.clone()))?;
    }
    if let Some(path) = esp_sa {
        write_file(path, crate::trace::esp_sa(trace).as_bytes())?;
    }
    print_trace(trace, range, format);
    Ok(status)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes)
        .map_err(|error| Failure { message: format!("{}: {error}\n", path.display()), status: USAGE })
}

fn compare(at: &At, networks: Vec<Choice>, format: Format) -> Result<u8, Failure> {
    let sources = read_all(&at.files)?;
    let target = Target::parse(&at.target, &at.namespace, at.container.as_deref());
    let networks = if networks.is_empty() { Choice::usual() } else { networks };
    let outcomes =
        compare::compare(sources.text(), &networks, &target, &at.command, SEED).map_err(|mut found| {
            found.retain(|diagnostic| diagnostic.severity == Severity::Error);
            let refused = Parsed { objects: Vec::new(), diagnostics: found };
            Failure { message: manifest::check_text(&sources, &refused, Lang::En), status: 1 }
        })?;
    let answer = match format {
        Format::Text => compare::text(&outcomes),
        Format::Json => serde_json::json!({ "networks": outcomes }).to_string() + "\n",
    };
    say(Stream::Stdout, &answer);
    Ok(u8::from(outcomes.iter().any(|outcome| outcome.status != Some(0))))
}

fn port_of(protocol: Transport, number: u16) -> matrix::Port {
    let protocol = match protocol {
        Transport::Tcp => matrix::Protocol::Tcp,
        Transport::Udp => matrix::Protocol::Udp,
        Transport::Sctp => matrix::Protocol::Sctp,
    };
    matrix::Port { protocol, number }
}

fn matrix(
    files: &Files,
    port: matrix::Port,
    format: Format,
    (explain, lang): (bool, Language),
) -> Result<u8, Failure> {
    let sources = read_all(files)?.latest();
    let mut asking = Asking::new(sources.text(), &[port], SEED).map_err(|found| refused(&sources, found))?;
    while asking.advance(u32::MAX) {}
    let lang = explain.then(|| lang.into());
    for matrix in asking.matrices() {
        let answer = match format {
            Format::Text => matrix::text(&asking, &matrix, lang),
            Format::Json => matrix::json(&asking, &matrix, lang).to_string() + "\n",
        };
        say(Stream::Stdout, &answer);
    }
    Ok(0)
}

/// The errors of a text that cannot be applied.
fn refused(sources: &Sources, diagnostics: Vec<Diagnostic>) -> Failure {
    let refused = Parsed { objects: Vec::new(), diagnostics };
    Failure { message: manifest::check_text(sources, &refused, Lang::En), status: 1 }
}

fn destination(text: &str) -> Result<Destination, String> {
    let found = Destination::parse(text);
    found.ok_or_else(|| {
        "write it as 10.96.0.10:53/UDP, or [fd00::1]:80/TCP; TCP, UDP and SCTP have ports".to_owned()
    })
}

fn flow(files: &Files, node: &str, (src, dst): (IpAddr, Destination), format: Format) -> Result<u8, Failure> {
    if src.is_ipv4() != dst.socket.is_ipv4() {
        let message = format!("--src {src} and --dst {} are of different families\n", dst.socket);
        return Err(Failure { message, status: USAGE });
    }
    let mut lab = settled(files)?;
    let Some(answer) = lab.flow(node, src, dst) else {
        let known = lab.live().nodes.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(Failure {
            message: format!("no node is called {node:?}; there are: {known}\n"),
            status: 1,
        });
    };
    let text = match format {
        Format::Text => answer.text(),
        Format::Json => serde_json::json!(answer).to_string() + "\n",
    };
    say(Stream::Stdout, &text);
    Ok(0)
}

fn dns(
    files: &Files,
    (query, kind): (&str, &str),
    from: Option<&Target>,
    format: Format,
) -> Result<u8, Failure> {
    let question = names::question(query, kind)
        .map_err(|wrong| Failure { message: format!("{wrong}\n"), status: USAGE })?;
    let mut lab = settled(files)?;
    let answer =
        lab.dns(&question, from).map_err(|wrong| Failure { message: format!("{wrong}\n"), status: 1 })?;
    let text = match format {
        Format::Text => answer.text(),
        Format::Json => serde_json::json!(answer).to_string() + "\n",
    };
    say(Stream::Stdout, &text);
    Ok(0)
}

fn compare_lookups(
    files: &Files,
    name: &str,
    from: &Target,
    (format, lang): (Format, Language),
) -> Result<u8, Failure> {
    let sources = read_all(files)?.latest();
    // What is wrong with the text is told first.
    settle(&sources)?;
    let lang = Lang::from(lang);
    let rows = lookups::compare(sources.text(), from, name);
    // Where no way could be tried, the reason is the answer.
    if let Some(Err(error)) =
        rows.first().map(|row| &row.cost).filter(|_| rows.iter().all(|row| row.cost.is_err()))
    {
        return Err(Failure { message: format!("{}\n", error.text(lang)), status: 1 });
    }
    let text = match format {
        Format::Text => lookups::table(&rows, lang),
        Format::Json => lookups::json(&rows, lang).to_string() + "\n",
    };
    say(Stream::Stdout, &text);
    Ok(0)
}

fn print_trace(trace: &Trace, range: Range<usize>, format: Format) {
    let text = match format {
        Format::Text => format::text(trace, range),
        Format::Json => json(trace, range).to_string() + "\n",
    };
    say(Stream::Stdout, &text);
}

fn get(files: &Files, args: Vec<String>) -> Result<u8, Failure> {
    let mut lab = settled(files)?;
    let argv = ["kubectl".to_owned(), "get".to_owned()].into_iter().chain(args).collect::<Vec<_>>();
    let from = lab.trace().len();
    let Some(node) = first_node(lab.live()) else {
        return Err(Failure { message: "the cluster has no nodes\n".to_owned(), status: 1 });
    };
    let process = lab
        .start(&Target::Node(node), &argv)
        .map_err(|error| Failure { message: format!("{error}\n"), status: 1 })?;
    Ok(finish(&mut lab, process, &mut printer(from, process)))
}

fn first_node(live: &Inventory) -> Option<String> {
    live.nodes.keys().next().map(ToString::to_string)
}

fn replay(path: &Path, format: Format) -> Result<u8, Failure> {
    let bytes = read(path)?;
    let log: LabLog = serde_json::from_slice(&bytes).map_err(|error| Failure {
        message: format!("{}: not a log of this program: {error}\n", path.display()),
        status: USAGE,
    })?;
    let mut lab = Lab::open(&log);
    while matches!(lab.advance(10_000), Progress::Busy(_)) {}
    let trace = lab.trace();
    print_trace(trace, began(&lab)..trace.len(), format);
    Ok(0)
}

/// The first event of the first command, or the beginning where there is none.
fn began(lab: &Lab) -> usize {
    let first = lab.processes().iter().find_map(|&process| lab.began(process));
    first.map_or(0, EventId::index)
}
