//! The real side of a case. The test starts itself anew in a network and mount namespace of its own, in which it is all the
//! servers, and runs the program there.

use super::zone::{Act, Servers, address};
use super::{Asked, Case, Ran, read_back, written};
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a case may take.
const LIMIT_SECS: &str = "110";
/// What may still be under way when the program ended.
const REST: Duration = Duration::from_millis(200);

/// Runs a case in namespaces of its own.
pub(super) fn run(case: &Case, program: &Path, folder: &Path) -> Result<Ran, String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let itself = std::env::current_exe().map_err(|error| error.to_string())?;
    let files = [
        ("resolv.conf", case.resolv_conf()),
        ("hosts", String::new()),
        ("nsswitch.conf", "hosts: dns\n".to_owned()),
        ("servers", case.servers.join("\n")),
        ("names", case.names.join("\n")),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).map_err(|error| error.to_string())?;
    }
    let ran = Command::new("timeout")
        .args(["-k", "2", LIMIT_SECS, "unshare", "--net", "--mount"])
        .arg(itself)
        .arg("--resolve")
        .arg(folder)
        .arg(program)
        .output()
        .map_err(|error| error.to_string())?;
    if !ran.status.success() {
        let out = String::from_utf8_lossy(&ran.stdout);
        return Err(format!("{}{}{}", ran.status, out, String::from_utf8_lossy(&ran.stderr)));
    }
    Ok(read_back(&String::from_utf8_lossy(&ran.stdout)))
}

/// The servers, with what they were asked.
struct Shared {
    clock: Instant,
    inner: Mutex<(Servers, Vec<Asked>)>,
}

impl Shared {
    fn take(&self, server: usize, tcp: bool, port: u16, bytes: &[u8]) -> Act {
        let Ok(mut inner) = self.inner.lock() else { return Act::Nothing };
        let at_ms = self.clock.elapsed().as_millis() as u64;
        let (what, act) = inner.0.take(server, tcp, port, at_ms, bytes);
        inner.1.push(Asked { at_ms, server, port, tcp, what });
        act
    }
}

fn shell(script: &str) -> io::Result<()> {
    let status = Command::new("sh").args(["-ec", script]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{script}: {status}"))) }
}

/// Is the servers of the case in `folder`, runs `program` against them, and prints what happened.
#[expect(clippy::disallowed_methods, reason = "this is the real machine, whose clock the resolver follows")]
pub(crate) fn serve(folder: &Path, program: &Path) -> io::Result<()> {
    let lines = |name: &str| -> io::Result<Vec<String>> {
        Ok(std::fs::read_to_string(folder.join(name))?.lines().map(str::to_owned).collect())
    };
    let (behaviors, names) = (lines("servers")?, lines("names")?);
    let mut script = "ip link set lo up\n".to_owned();
    for server in 0..behaviors.len() {
        writeln!(script, "ip addr add {}/32 dev lo", address(server)).map_err(io::Error::other)?;
    }
    for file in ["resolv.conf", "hosts", "nsswitch.conf"] {
        writeln!(script, "touch /etc/{file}; mount --bind {}/{file} /etc/{file}", folder.display())
            .map_err(io::Error::other)?;
    }
    shell(&script)?;
    let servers = Servers::new(&behaviors);
    let shared = Arc::new(Shared { clock: Instant::now(), inner: Mutex::new((servers.clone(), Vec::new())) });
    for server in 0..behaviors.len() {
        let at = SocketAddrV4::new(address(server), 53);
        if servers.listens(server, false) {
            let (socket, shared) = (UdpSocket::bind(at)?, shared.clone());
            std::thread::spawn(move || datagrams(&socket, server, &shared));
        }
        if servers.listens(server, true) {
            let (socket, shared) = (TcpListener::bind(at)?, shared.clone());
            std::thread::spawn(move || connections(&socket, server, &shared));
        }
    }
    let ran = Command::new(program).args(&names).output()?;
    std::thread::sleep(REST);
    let output = String::from_utf8_lossy(&ran.stdout).lines().map(str::to_owned).collect();
    let asked = shared.inner.lock().map(|inner| inner.1.clone()).unwrap_or_default();
    io::stdout().write_all(written(&Ran { asked, output }).as_bytes())
}

#[expect(
    clippy::disallowed_methods,
    reason = "these are servers of the real machine, each with a thread of its own"
)]
fn datagrams(socket: &UdpSocket, server: usize, shared: &Shared) {
    let mut buffer = [0; 4096];
    while let Ok((len, from)) = socket.recv_from(&mut buffer) {
        let Act::Reply(wait_ms, bytes) = shared.take(server, false, from.port(), &buffer[..len]) else {
            continue;
        };
        if wait_ms == 0 {
            // The client may be gone already.
            let _ = socket.send_to(&bytes, from);
            continue;
        }
        let Ok(socket) = socket.try_clone() else { return };
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(wait_ms));
            socket.send_to(&bytes, from)
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "these are servers of the real machine, each with a thread of its own"
)]
fn connections(listener: &TcpListener, server: usize, shared: &Arc<Shared>) {
    while let Ok((stream, from)) = listener.accept() {
        let shared = shared.clone();
        std::thread::spawn(move || conversation(stream, from.port(), server, &shared));
    }
}

fn conversation(mut stream: TcpStream, port: u16, server: usize, shared: &Shared) -> io::Result<()> {
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head)?;
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(head))];
        stream.read_exact(&mut bytes)?;
        if let Act::Reply(wait_ms, reply) = shared.take(server, true, port, &bytes) {
            std::thread::sleep(Duration::from_millis(wait_ms));
            let mut whole = (reply.len() as u16).to_be_bytes().to_vec();
            whole.extend(reply);
            stream.write_all(&whole)?;
        }
    }
}
