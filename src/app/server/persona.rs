//! Which program a server is: what it writes when it starts and fails, and what signals do to it.

use super::{Listener, complain, say};
use crate::app::{Errno, Os, Transport, http};
use crate::base::SimTime;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// Which program it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Persona {
    /// nginx of this version.
    Nginx(Arc<str>),
    /// `python3 -m http.server`.
    Python,
    /// `httpd` of busybox.
    BusyboxHttpd,
    /// `agnhost netexec` and `agnhost serve-hostname`.
    Agnhost,
    /// `agnhost grpc-health-checking`.
    AgnhostGrpc,
    /// Apache's httpd.
    Apache,
    /// `redis-server`.
    Redis,
    /// `postgres`.
    Postgres,
    /// memcached.
    Memcached,
    /// A program that nothing is known of but where it listens, under this name.
    Other(Arc<str>),
}

impl Persona {
    /// The length of the queue that it asks for with `listen(2)`.
    pub(super) fn backlog(&self) -> u16 {
        match self {
            Self::Nginx(_) | Self::Apache | Self::Redis => 511,
            Self::Python => 5,
            Self::BusyboxHttpd => 9,
            Self::Postgres => 200,
            Self::Memcached => 1024,
            Self::Agnhost | Self::AgnhostGrpc | Self::Other(_) => 4096,
        }
    }

    /// Before it binds.
    pub(super) fn starts(&self, os: &mut dyn Os) {
        if *self != Self::Redis {
            return;
        }
        let (pid, at) = (os.pid(), redis_date(os.now()));
        say(os, &format!("{pid}:C {at} # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo"));
        say(
            os,
            &format!(
                "{pid}:C {at} # Redis version=7.0.15, bits=64, commit=00000000, modified=0, pid={pid}, just started"
            ),
        );
        say(os, &format!("{pid}:C {at} # Configuration loaded"));
        say(os, &format!("{pid}:M {at} * monotonic clock: POSIX clock_gettime"));
    }

    /// All listeners are open.
    pub(super) fn listens(&self, os: &mut dyn Os, listeners: &[Listener]) {
        let pid = os.pid();
        match self {
            Self::Nginx(version) => {
                let head = format!("{} [notice] {pid}#{pid}: ", nginx_date(os.now()));
                let lines = [
                    "using the \"epoll\" event method",
                    &format!("nginx/{version}"),
                    "start worker processes",
                ];
                for line in lines {
                    complain(os, &format!("{head}{line}"));
                }
            }
            // Standard output that is no terminal is written when its buffer is full, so a log never shows this line.
            Self::Python if os.is_terminal() => {
                if let Some(Listener { local, .. }) = listeners.first() {
                    let (ip, port) = (local.ip(), local.port());
                    say(os, &format!("Serving HTTP on {ip} port {port} (http://{ip}:{port}/) ..."));
                }
            }
            Self::Redis => {
                let at = redis_date(os.now());
                say(os, &format!("{pid}:M {at} * Running mode=standalone, port={}.", port(listeners)));
                say(os, &format!("{pid}:M {at} # Server initialized"));
                say(os, &format!("{pid}:M {at} * Ready to accept connections"));
            }
            Self::Agnhost => {
                for Listener { transport, local, .. } in listeners {
                    let date = go_date(os.now());
                    match transport {
                        Transport::Tcp => {
                            complain(os, &format!("{date} Started HTTP server on port {}", local.port()));
                        }
                        Transport::Udp => {
                            complain(os, &format!("{date} Started UDP server on port  {}", local.port()));
                        }
                    }
                }
            }
            Self::AgnhostGrpc => {
                let date = go_date(os.now());
                for (name, listener) in ["Http", "gRPC"].into_iter().zip(listeners) {
                    let port = listener.local.port();
                    complain(os, &format!("{date} {name} server starting to listen on :{port}"));
                }
            }
            Self::Postgres => {
                let line = format!("listening on IPv4 address \"0.0.0.0\", port {}", port(listeners));
                let date = postgres_date(os.now());
                complain(os, &format!("{date} [{pid}] LOG:  {line}"));
                complain(os, &format!("{date} [{pid}] LOG:  database system is ready to accept connections"));
            }
            Self::Python | Self::BusyboxHttpd | Self::Apache | Self::Memcached | Self::Other(_) => {}
        }
    }

    /// A listener could not be opened.
    pub(super) fn could_not_bind(
        &self,
        os: &mut dyn Os,
        (transport, local): (Transport, SocketAddrV4),
        errno: Errno,
        started: SimTime,
    ) {
        let (pid, text, number, port) = (os.pid(), errno.text(), errno.number(), local.port());
        match self {
            Self::Nginx(_) => {
                let head = format!("{} [emerg] {pid}#{pid}: ", nginx_date(started));
                complain(os, &format!("{head}bind() to {local} failed ({number}: {text})"));
            }
            Self::Python => complain(os, &format!("{PYTHON_TRACEBACK}OSError: [Errno {number}] {text}")),
            Self::BusyboxHttpd => complain(os, &format!("httpd: bind: {text}")),
            Self::Redis => {
                let at = redis_date(os.now());
                say(
                    os,
                    &format!(
                        "{pid}:M {at} # Warning: Could not create server TCP listening socket *:{port}: bind: {text}"
                    ),
                );
                say(os, &format!("{pid}:M {at} # Failed listening on port {port} (TCP), aborting."));
            }
            Self::Apache => {
                complain(os, &format!("(98){text}: AH00072: make_sock: could not bind to address {local}"));
                complain(os, "no listening sockets available, shutting down");
                complain(os, "AH00015: Unable to open logs");
            }
            Self::Postgres => {
                let date = postgres_date(os.now());
                complain(
                    os,
                    &format!("{date} [{pid}] LOG:  could not bind IPv4 address \"0.0.0.0\": {text}"),
                );
                complain(os, &format!("{date} [{pid}] FATAL:  could not create any TCP/IP sockets"));
            }
            Self::Memcached => complain(os, &format!("failed to listen on TCP port {port}: {text}")),
            Self::Agnhost | Self::AgnhostGrpc | Self::Other(_) => {
                let protocol = if transport == Transport::Tcp { "tcp" } else { "udp" };
                let text = text.to_lowercase();
                let date = go_date(os.now());
                complain(os, &format!("{date} listen {protocol} {local}: bind: {text}"));
            }
        }
    }

    /// Exit status when it could not bind.
    pub(super) fn bind_status(&self) -> u8 {
        match self {
            Self::Memcached => 71,
            Self::Nginx(_)
            | Self::Python
            | Self::BusyboxHttpd
            | Self::Agnhost
            | Self::AgnhostGrpc
            | Self::Apache
            | Self::Redis
            | Self::Postgres
            | Self::Other(_) => 1,
        }
    }

    /// Whether it has a handler for `SIGTERM`.
    pub(super) fn handles_termination(&self) -> bool {
        !matches!(self, Self::Python | Self::BusyboxHttpd)
    }

    /// `SIGTERM` came: the exit status.
    pub(super) fn terminated(&self, os: &mut dyn Os) -> u8 {
        let pid = os.pid();
        match self {
            Self::Nginx(_) => {
                let date = nginx_date(os.now());
                complain(os, &format!("{date} [notice] {pid}#{pid}: signal 15 (SIGTERM) received, exiting"));
                complain(os, &format!("{date} [notice] {pid}#{pid}: exit"));
                0
            }
            Self::Redis => {
                let at = redis_date(os.now());
                let secs = os.now().unix_secs();
                say(os, &format!("{pid}:signal-handler ({secs}) Received SIGTERM scheduling shutdown..."));
                say(os, &format!("{pid}:M {at} # Redis is now ready to exit, bye bye..."));
                0
            }
            Self::Python | Self::BusyboxHttpd => 143,
            Self::Agnhost
            | Self::AgnhostGrpc
            | Self::Apache
            | Self::Postgres
            | Self::Memcached
            | Self::Other(_) => 0,
        }
    }

    /// Ctrl-C came: the exit status.
    pub(super) fn interrupted(&self, os: &mut dyn Os) -> u8 {
        match self {
            Self::Python => {
                say(os, "\nKeyboard interrupt received, exiting.");
                0
            }
            Self::Nginx(_) | Self::Redis | Self::Postgres | Self::Memcached => 0,
            Self::BusyboxHttpd | Self::Agnhost | Self::AgnhostGrpc | Self::Apache | Self::Other(_) => 130,
        }
    }
}

/// nginx stops trying to bind.
pub(super) fn nginx_gives_up(os: &mut dyn Os, started: SimTime) {
    let pid = os.pid();
    complain(os, &format!("{} [emerg] {pid}#{pid}: still could not bind()", nginx_date(started)));
}

const PYTHON_TRACEBACK: &str = r#"Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "<frozen runpy>", line 88, in _run_code
  File "/usr/lib/python3.11/http/server.py", line 1309, in <module>
    test(
  File "/usr/lib/python3.11/http/server.py", line 1256, in test
    with ServerClass(addr, HandlerClass) as httpd:
         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/socketserver.py", line 456, in __init__
    self.server_bind()
  File "/usr/lib/python3.11/http/server.py", line 1303, in server_bind
    return super().server_bind()
           ^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/http/server.py", line 136, in server_bind
    socketserver.TCPServer.server_bind(self)
  File "/usr/lib/python3.11/socketserver.py", line 472, in server_bind
    self.socket.bind(self.server_address)
"#;

fn port(listeners: &[Listener]) -> u16 {
    listeners.first().map_or(0, |listener| listener.local.port())
}

fn nginx_date(at: SimTime) -> String {
    let c = at.calendar();
    format!("{}/{:02}/{:02} {:02}:{:02}:{:02}", c.year, c.month, c.day, c.hour, c.minute, c.second)
}

/// As Go's `log` package writes it, which is the same.
pub(super) fn go_date(at: SimTime) -> String {
    nginx_date(at)
}

fn redis_date(at: SimTime) -> String {
    let c = at.calendar();
    let (month, ms) = (http::MONTHS[c.month - 1], at.0 / 1_000_000 % 1000);
    format!("{:02} {month} {} {:02}:{:02}:{:02}.{ms:03}", c.day, c.year, c.hour, c.minute, c.second)
}

fn postgres_date(at: SimTime) -> String {
    let c = at.calendar();
    let ms = at.0 / 1_000_000 % 1000;
    format!(
        "{}-{:02}-{:02} {:02}:{:02}:{:02}.{ms:03} UTC",
        c.year, c.month, c.day, c.hour, c.minute, c.second
    )
}
