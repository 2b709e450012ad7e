//! What the programs read of `/etc/resolv.conf` (`lib/irs/resconf.c`), and the names that come of a name.

use super::{Os, Server};
use crate::base::{Duration, Ipv4Addr};

/// Most servers that are taken (`RESCONFMAXNAMESERVERS`).
const SERVERS_MAX: usize = 8;
/// Most search domains (`RESCONFMAXSEARCH`).
const SEARCHES_MAX: usize = 8;
/// How often each server is asked, and for how many seconds, where nothing else is said.
const TRIES: u32 = 3;
const TIMEOUT_SECS: u64 = 5;

/// The system's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Its servers: the machine itself where the file names none.
    pub servers: Vec<Server>,
    /// Its search domains.
    pub search: Vec<String>,
    /// A name with so many dots is asked as it is first.
    pub ndots: usize,
    /// How often each server is asked.
    pub tries: u32,
    /// How long for each time.
    pub timeout: Duration,
}

impl System {
    /// Reads `/etc/resolv.conf` of the process.
    pub fn read(os: &dyn Os) -> Self {
        Self::parse(&os.read_file("/etc/resolv.conf").unwrap_or_default())
    }

    /// Reads its text. What cannot be read is passed over.
    pub fn parse(text: &str) -> Self {
        let mut system = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            tries: TRIES,
            timeout: Duration::from_secs(TIMEOUT_SECS),
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if system.servers.len() < SERVERS_MAX => {
                    let named = words.next().unwrap_or("");
                    let address = named.parse().ok();
                    system.servers.extend(address.map(|address| Server { name: named.to_owned(), address }));
                }
                Some("search" | "domain") => {
                    system.search = words.take(SEARCHES_MAX).map(str::to_owned).collect();
                }
                Some("options") => words.for_each(|word| system.option(word)),
                _ => {}
            }
        }
        if system.servers.is_empty() {
            system.servers.push(Server { name: "127.0.0.1".to_owned(), address: Ipv4Addr::LOCALHOST });
        }
        system
    }

    fn option(&mut self, word: &str) {
        let Some((name, Ok(value))) = word.split_once(':').map(|(name, value)| (name, value.parse::<u32>()))
        else {
            return;
        };
        match name {
            "ndots" => self.ndots = value as usize,
            "attempts" if value > 0 => self.tries = value,
            "timeout" if value > 0 => self.timeout = Duration::from_secs(value.into()),
            _ => {}
        }
    }

    /// The names to ask for, in order and with their last dots, until one exists.
    pub fn names(&self, name: &str) -> Vec<String> {
        let as_it_is = absolute(name);
        if name.ends_with('.') {
            return vec![as_it_is];
        }
        let mut names: Vec<String> = self
            .search
            .iter()
            .map(|domain| absolute(&format!("{name}.{}", domain.trim_end_matches('.'))))
            .collect();
        let enough_dots = name.matches('.').count() >= self.ndots;
        names.insert(if enough_dots { 0 } else { names.len() }, as_it_is);
        names
    }
}

/// A name with its last dot.
pub(super) fn absolute(name: &str) -> String {
    if name.ends_with('.') { name.to_owned() } else { format!("{name}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";

    #[test]
    fn a_pods_file_is_read() {
        let system = System::parse(POD);
        assert_eq!(system.servers[0].address, Ipv4Addr::new(10, 96, 0, 10));
        assert_eq!((system.ndots, system.tries, system.search.len()), (5, 3, 3));
        assert_eq!(
            system.names("web"),
            ["web.default.svc.cluster.local.", "web.svc.cluster.local.", "web.cluster.local.", "web."]
        );
        assert_eq!(system.names("web."), ["web."]);
        assert_eq!(System::parse("options ndots:1").names("a.b"), ["a.b."]);
    }

    #[test]
    fn without_a_file_the_machine_itself_is_asked() {
        assert_eq!(System::parse("").servers[0].address, Ipv4Addr::LOCALHOST);
    }
}
