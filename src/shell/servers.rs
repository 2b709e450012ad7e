//! The command lines of programs that listen.

use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context};
use crate::app::Transport;
use crate::app::coredns::{CoreDns, VERSION};
use crate::app::node_cache::{NodeCache, NodeCacheConfig};
use crate::app::server::{Flavor, Health, Listener, Persona, Serve, Server, Serving, Site};
use crate::app::sidecar::{Interception, IstioIptables, Sidecar};
use crate::app::sleep::Forever;
use crate::base::{Duration, Ipv4Addr, SimTime};
use crate::cluster::images;
use std::net::SocketAddrV4;

fn server(persona: Persona, listeners: Vec<Listener>) -> Command {
    Command::process(Server::new(persona, listeners), Out::default())
}

fn tcp(port: u16, serve: Serve) -> Listener {
    let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    Listener { transport: Transport::Tcp, local, serve }
}

fn site(flavor: Flavor, root: &str) -> Serve {
    Serve::Http(Site { flavor, root: root.to_owned(), index: None })
}

/// Port of the first `listen` of an nginx configuration, or the image's own.
fn nginx_port(context: &Context<'_>) -> u16 {
    let own = if context.image.is_some_and(|image| image.contains("unprivileged")) { 8080 } else { 80 };
    let config = ["/etc/nginx/conf.d/default.conf", "/etc/nginx/nginx.conf"];
    let text = config.iter().find_map(|path| (context.files)(path)).unwrap_or_default();
    let listen = text.lines().find_map(|line| {
        line.trim().strip_prefix("listen ")?.split([' ', ';']).next()?.rsplit(':').next()?.parse().ok()
    });
    listen.unwrap_or(own)
}

/// `nginx`: the configuration of its image, with the port of `default.conf` where a file of that name was written.
pub(super) fn nginx(context: &Context<'_>, words: &[String]) -> Command {
    let version = context.image.map_or_else(|| "1.22.1".to_owned(), images::nginx_version);
    let parsed = match getopt("?hvVtTqs:p:e:c:g:", words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("nginx: {text}\n"), 1),
    };
    for (letter, _) in &parsed.options {
        match letter {
            'v' => return refuse(format!("nginx version: nginx/{version}\n"), 0),
            't' => {
                let path = "/etc/nginx/nginx.conf";
                return refuse(
                    format!(
                        "nginx: the configuration file {path} syntax is ok\nnginx: configuration file {path} test is successful\n"
                    ),
                    0,
                );
            }
            'V' | 'T' | 's' | 'h' | '?' => {
                let (text, status) = not_simulated("nginx", &format!("-{letter}"));
                return refuse(text, status);
            }
            _ => {}
        }
    }
    let serve = site(Flavor::Nginx(version.as_str().into()), "/usr/share/nginx/html");
    server(Persona::Nginx(version.as_str().into()), vec![tcp(nginx_port(context), serve)])
}

/// `httpd-foreground` of Apache's image.
pub(super) fn apache() -> Command {
    let serve = site(Flavor::Apache("2.4.65".into()), "/usr/local/apache2/htdocs");
    server(Persona::Apache, vec![tcp(80, serve)])
}

/// `httpd` of busybox.
pub(super) fn busybox_httpd(context: &Context<'_>, words: &[String]) -> Command {
    let parsed = match getopt("ifvp:h:c:r:u:", words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("httpd: {text}\n"), 1),
    };
    let mut local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 80);
    let mut root = "/".to_owned();
    for (letter, argument) in &parsed.options {
        match letter {
            'p' => {
                let (ip, port) = argument.rsplit_once(':').unwrap_or(("0.0.0.0", argument));
                match (ip.parse(), port.parse()) {
                    (Ok(ip), Ok(port)) => local = SocketAddrV4::new(ip, port),
                    _ => return refuse(format!("httpd: bad address '{argument}'\n"), 1),
                }
            }
            'h' => root.clone_from(argument),
            _ => {}
        }
    }
    let greets = context.image.is_some_and(images::greets) && root == "/www";
    let index = greets.then(|| "<pre>\nHello World\n</pre>\n".to_owned());
    let serve = Serve::Http(Site { flavor: Flavor::Busybox, root, index });
    let listener = Listener { transport: Transport::Tcp, local, serve };
    server(Persona::BusyboxHttpd, vec![listener])
}

/// `python3 -m http.server`.
pub(super) fn python(words: &[String]) -> Command {
    let mut words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "-u").collect();
    match words.first() {
        // It reads a program from standard input, where nobody types one.
        None => return answer(""),
        Some(&"--version" | &"-V") => return answer("Python 3.11.2\n"),
        Some(&"-m") if words.get(1) == Some(&"http.server") => {
            words.drain(..2);
        }
        Some(other) => {
            let (text, status) = not_simulated("python3", other);
            return refuse(text, status);
        }
    }
    let (mut port, mut ip, mut root) = (8000, Ipv4Addr::UNSPECIFIED, "/".to_owned());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        match name {
            "-b" | "--bind" => match value.or_else(|| words.next()).and_then(|text| text.parse().ok()) {
                Some(found) => ip = found,
                None => return refuse("server.py: error: argument -b/--bind: expected one argument\n", 2),
            },
            "-d" | "--directory" => root = value.or_else(|| words.next()).unwrap_or("/").into(),
            text => match text.parse() {
                Ok(found) => port = found,
                Err(_) => {
                    return refuse(
                        format!("server.py: error: argument port: invalid int value: '{text}'\n"),
                        2,
                    );
                }
            },
        }
    }
    let local = SocketAddrV4::new(ip, port);
    server(
        Persona::Python,
        vec![Listener { transport: Transport::Tcp, local, serve: site(Flavor::Python, &root) }],
    )
}

/// Value of a flag written `--name=value` or `--name value`, with one dash or two, as Go programs read them.
fn flag<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    words.iter().enumerate().find_map(|(at, word)| {
        let rest = word.trim_start_matches('-').strip_prefix(name)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value),
            None if rest.is_empty() => words.get(at + 1).map(String::as_str),
            None => None,
        }
    })
}

/// `agnhost` with its commands `netexec`, `serve-hostname`, `grpc-health-checking` and `pause`.
pub(super) fn agnhost(words: &[String]) -> Command {
    let Some((command, words)) = words.split_first() else {
        return refuse("Error: a command such as netexec is required\n", 1);
    };
    let port =
        |name: &str, default: i32| flag(words, name).and_then(|text| text.parse().ok()).unwrap_or(default);
    match command.as_str() {
        "pause" => Command::process(Forever::default(), Out::default()),
        "netexec" => {
            let mut listeners = Vec::new();
            if let Ok(number @ 1..) = u16::try_from(port("http-port", 8080)) {
                listeners.push(tcp(number, site(Flavor::Netexec, "/")));
            }
            if let Ok(number @ 1..) = u16::try_from(port("udp-port", 8081)) {
                listeners.push(Listener { transport: Transport::Udp, ..tcp(number, Serve::Netexec) });
            }
            server(Persona::Agnhost, listeners)
        }
        "serve-hostname" => {
            let Ok(number) = u16::try_from(port("port", 9376)) else {
                return refuse("Error: invalid port\n", 1);
            };
            let transport = if flag(words, "udp").is_some() { Transport::Udp } else { Transport::Tcp };
            let serve =
                if transport == Transport::Udp { Serve::Netexec } else { site(Flavor::Hostname, "/") };
            server(Persona::Agnhost, vec![Listener { transport, ..tcp(number, serve) }])
        }
        "grpc-health-checking" => {
            let numbers = (u16::try_from(port("port", 5000)), u16::try_from(port("http-port", 8080)));
            let (Ok(number), Ok(http)) = numbers else {
                return refuse("Error: invalid port\n", 1);
            };
            let delay = u64::try_from(port("delay-unhealthy-sec", -1)).ok();
            let health = Health {
                service: Some(flag(words, "service").unwrap_or_default().to_owned()),
                fails_after: delay.map(Duration::from_secs),
                logs: true,
                ..Health::of(Serving::Serving)
            };
            let over_http = tcp(http, site(Flavor::GrpcHealth(SimTime::ZERO), "/"));
            server(Persona::AgnhostGrpc, vec![over_http, tcp(number, Serve::Grpc(health))])
        }
        other => {
            let (text, status) = not_simulated("agnhost", other);
            refuse(text, status)
        }
    }
}

/// `coredns`.
pub(super) fn coredns(words: &[String]) -> Command {
    if flag(words, "version").is_some() {
        return answer(format!("CoreDNS-{VERSION}\nlinux/amd64, go1.24.1, 707c7c1\n"));
    }
    let path = flag(words, "conf").unwrap_or("Corefile");
    Command::process(CoreDns::new(path.to_owned()), Out::default())
}

/// `node-cache`, the program of `NodeLocal DNSCache`.
pub(super) fn node_cache(words: &[String]) -> Command {
    let text = flag(words, "localip").unwrap_or_default();
    let mut local = Vec::new();
    for word in text.split(',') {
        let Ok(ip) = word.parse::<Ipv4Addr>() else {
            let why = format!("invalid localip specified - \"{word}\"");
            return refuse(format!("[FATAL] Error parsing flags - {why}, Exiting\n"), 1);
        };
        local.push(ip);
    }
    let path = flag(words, "conf").unwrap_or("/etc/Corefile").to_owned();
    let upstream = flag(words, "upstreamsvc").unwrap_or("kube-dns").to_owned();
    let config = NodeCacheConfig { local, path, upstream };
    Command::process(NodeCache::new(config), Out::default())
}

/// `pilot-agent`, the program of Istio's proxy image: `proxy sidecar` and `istio-iptables`.
pub(super) fn pilot_agent(words: &[String]) -> Command {
    match words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("proxy", _)) => Command::process(Sidecar::default(), Out::default()),
        Some(("istio-iptables", rest)) => match interception(rest) {
            Ok(interception) => Command::process(IstioIptables(interception), Out::default()),
            Err(why) => refuse(format!("Error: {why}\n"), 1),
        },
        Some((other, _)) => {
            let (text, status) = not_simulated("pilot-agent", other);
            refuse(text, status)
        }
        None => refuse("Error: a command such as proxy is required\n", 1),
    }
}

/// The options of `istio-iptables`; each takes one word.
fn interception(words: &[String]) -> Result<Interception, String> {
    fn numbers<T: std::str::FromStr>(name: &str, text: &str) -> Result<Vec<T>, String> {
        let parts = text.split(',').filter(|part| !part.is_empty());
        parts.map(|part| part.parse().map_err(|_| format!("invalid value \"{part}\" for {name}"))).collect()
    }
    let mut made = Interception {
        outbound: 15001,
        inbound: 15006,
        users: vec![1337],
        excluded_in: Vec::new(),
        excluded_out: Vec::new(),
    };
    let mut words = words.iter().map(String::as_str);
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("flag needs an argument: {name}"))?;
        match name {
            "-p" => made.outbound = value.parse().map_err(|_| format!("invalid port \"{value}\""))?,
            "-z" => made.inbound = value.parse().map_err(|_| format!("invalid port \"{value}\""))?,
            "-u" => made.users = numbers(name, value)?,
            "-d" => made.excluded_in = numbers(name, value)?,
            "-o" => made.excluded_out = numbers(name, value)?,
            "-m" if value == "REDIRECT" => {}
            "-i" | "-b" if value == "*" => {}
            "-x" if value.is_empty() => {}
            _ => return Err(format!("{name} {value}: not simulated")),
        }
    }
    Ok(made)
}

/// `http-echo` of `HashiCorp`.
pub(super) fn http_echo(context: &Context<'_>, words: &[String]) -> Command {
    // Both flags may stand in the environment instead.
    let variable = |name: &str| {
        let found = context.variables.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let Some(text) = flag(words, "text").or_else(|| variable("ECHO_TEXT")) else {
        return refuse("Missing -text option or ECHO_TEXT env var!\n", 127);
    };
    let listen = flag(words, "listen").unwrap_or(":5678");
    let port = listen.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(5678);
    let site = Site { flavor: Flavor::Hostname, root: "/".to_owned(), index: Some(format!("{text}\n")) };
    server(Persona::Other("http-echo".into()), vec![tcp(port, Serve::Http(site))])
}

/// `redis-server`.
pub(super) fn redis(words: &[String]) -> Command {
    let port = flag(words, "port").and_then(|text| text.parse().ok()).unwrap_or(6379);
    server(Persona::Redis, vec![tcp(port, Serve::Redis)])
}

/// `postgres`.
pub(super) fn postgres(words: &[String]) -> Command {
    let port = words.iter().position(|word| word == "-p").and_then(|at| words.get(at + 1)?.parse().ok());
    server(Persona::Postgres, vec![tcp(port.unwrap_or(5432), Serve::Postgres)])
}

/// `memcached`.
pub(super) fn memcached(words: &[String]) -> Command {
    let port = words.iter().position(|word| word == "-p").and_then(|at| words.get(at + 1)?.parse().ok());
    server(Persona::Memcached, vec![tcp(port.unwrap_or(11211), Serve::Memcached)])
}

/// `pause`, the program of a Pod's sandbox.
pub(super) fn pause() -> Command {
    Command::process(Forever { handles_termination: true }, Out::default())
}
