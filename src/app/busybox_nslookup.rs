//! `nslookup` of busybox 1.35 (`networking/nslookup.c`): it asks for all types and all names of the search list at once,
//! and prints the answers in the order of its questions.

use super::bind::{Server, System, nslookup};
use super::{Os, Process, Transport, Wake, dial};
use crate::base::dns::{Question, Rcode, Type};
use crate::base::{Duration, SimTime, SocketId};
use crate::trace::Stream;
use crate::wire::dns::{AA, Message};
use std::fmt::Write as _;
use std::net::SocketAddrV4;

/// How long all questions together are waited for, and how often they are sent in that time.
const TIMEOUT: Duration = Duration::from_secs(5);
const SENDINGS: u32 = 2;
/// The only timer: it is time to send again, or too late.
const TICK: u32 = 0;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct BusyboxNslookupOptions {
    /// The name.
    pub name: String,
    /// The types, `-type=`; addresses of both families where there is none.
    pub kinds: Vec<Type>,
    /// The server.
    pub server: Option<String>,
    /// Its port, `-port=`.
    pub port: Option<u16>,
    /// How long each question took, `-debug`.
    pub debug: bool,
}

/// A running `nslookup`.
#[derive(Clone, Debug)]
pub struct BusyboxNslookup {
    options: BusyboxNslookupOptions,
    server: Server,
    port: u16,
    queries: Vec<(Message, Option<Message>)>,
    /// When the questions were sent first, and how long each took.
    began: SimTime,
    took: Vec<Duration>,
    socket: SocketId,
    sendings: u32,
}

impl BusyboxNslookup {
    /// An `nslookup` that has not begun yet.
    pub fn new(options: BusyboxNslookupOptions) -> Self {
        let port = options.port.unwrap_or(53);
        let server = Server { name: String::new(), address: crate::base::Ipv4Addr::LOCALHOST };
        Self {
            options,
            server,
            port,
            queries: Vec::new(),
            began: SimTime::ZERO,
            took: Vec::new(),
            socket: SocketId::NONE,
            sendings: 0,
        }
    }

    fn begin(&mut self, os: &mut dyn Os) {
        let system = System::read(os);
        self.server = match &self.options.server {
            None => system.servers[0].clone(),
            Some(name) => {
                let Some(address) = dial::address_of(os, name) else {
                    os.write(Stream::Stderr, &format!("nslookup: bad address '{name}'\n"));
                    return os.exit(1);
                };
                Server { name: name.clone(), address }
            }
        };
        for question in self.questions(&system) {
            let id = os.random() as u16;
            self.queries.push((Message::query(id, question), None));
        }
        self.began = os.now();
        self.took = vec![Duration::ZERO; self.queries.len()];
        let text =
            format!("Server:\t\t{}\nAddress:\t{}:{}\n\n", self.server.name, self.server.address, self.port);
        os.write(Stream::Stdout, &text);
        self.send(os);
    }

    fn questions(&self, system: &System) -> Vec<Question> {
        if let (Ok(address), true) = (self.options.name.parse(), self.options.kinds.is_empty()) {
            return vec![Question { name: crate::base::dns::reverse_name(address), kind: Type::Ptr }];
        }
        let kinds = if self.options.kinds.is_empty() {
            vec![Type::A, Type::Aaaa]
        } else {
            self.options.kinds.clone()
        };
        let name = &self.options.name;
        let names: Vec<String> = if name.contains('.') || system.search().is_empty() {
            vec![format!("{}.", name.trim_end_matches('.'))]
        } else {
            system.search().iter().map(|domain| format!("{name}.{}.", domain.trim_end_matches('.'))).collect()
        };
        let all = kinds
            .iter()
            .flat_map(|kind| names.iter().map(|name| Question { name: name.clone(), kind: *kind }));
        all.collect()
    }

    fn send(&mut self, os: &mut dyn Os) {
        self.sendings += 1;
        if self.socket == SocketId::NONE {
            let remote = SocketAddrV4::new(self.server.address, self.port);
            match os.socket(Transport::Udp).and_then(|socket| dial::start(os, socket, remote)) {
                Ok(socket) => self.socket = socket,
                Err(errno) => {
                    let text = format!(
                        "nslookup: can't connect to remote host ({}): {}\n",
                        remote.ip(),
                        errno.text()
                    );
                    os.write(Stream::Stderr, &text);
                    return os.exit(1);
                }
            }
        }
        for (query, answer) in &self.queries {
            if answer.is_some() {
                continue;
            }
            if let Err(errno) = os.send(self.socket, &query.to_bytes(true).unwrap_or_default()) {
                let text = format!("nslookup: write to '{}': {}\n", self.server.name, errno.text());
                os.write(Stream::Stderr, &text);
                return Self::no_server(os);
            }
        }
        os.set_timer(TICK, Duration(TIMEOUT.0 / u64::from(SENDINGS)));
    }

    fn receive(&mut self, os: &mut dyn Os) {
        while let Ok(datagram) = os.receive_from(self.socket) {
            let Ok(message) = Message::parse(&datagram.data) else { continue };
            let fits =
                |(query, answer): &(Message, Option<Message>)| query.id == message.id && answer.is_none();
            if let Some(at) = self.queries.iter().position(fits) {
                self.queries[at].1 = Some(message);
                self.took[at] = os.now().since(self.began);
            }
        }
        if self.queries.iter().all(|(_, answer)| answer.is_some()) {
            self.print(os);
        }
    }

    fn no_server(os: &mut dyn Os) {
        os.write(Stream::Stdout, ";; connection timed out; no servers could be reached\n\n");
        os.exit(1);
    }

    fn print(&self, os: &mut dyn Os) {
        if self.queries.iter().all(|(_, answer)| answer.is_none()) {
            return Self::no_server(os);
        }
        let mut text = String::new();
        let mut status = 0;
        for (at, (query, answer)) in self.queries.iter().enumerate() {
            if let Some(took) = self.took.get(at).filter(|_| self.options.debug && answer.is_some()) {
                let _ = writeln!(text, "Query #{at} completed in {}ms:", took.as_ms());
            }
            let name = query.questions.first().map_or("", |question| question.name.trim_end_matches('.'));
            match answer {
                None => {
                    let _ = writeln!(text, "*** Can't find {name}: No answer");
                    status = 1;
                }
                Some(answer) if answer.rcode != Rcode::NoError => {
                    let _ = writeln!(text, "** server can't find {name}: {}", answer.rcode);
                    status = 1;
                }
                Some(answer) => {
                    if !answer.has(AA) {
                        text += "Non-authoritative answer:\n";
                    } else if self.options.debug {
                        text += "authoritative answer:\n";
                    }
                    answer.answer.iter().for_each(|record| {
                        // Names here have no last dot.
                        let line = nslookup::line(record);
                        text += line
                            .strip_suffix(".\n")
                            .map_or(line.clone(), |line| format!("{line}\n"))
                            .as_str();
                    });
                }
            }
            text.push('\n');
        }
        os.write(Stream::Stdout, &text);
        os.exit(status);
    }
}

impl Process for BusyboxNslookup {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Readable(_) => self.receive(os),
            Wake::Timer(TICK) if self.sendings < SENDINGS => self.send(os),
            Wake::Timer(TICK) => self.print(os),
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Timer(_) | Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
