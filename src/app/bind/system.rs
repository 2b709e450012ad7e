//! What the programs read of `/etc/resolv.conf` (`lib/irs/resconf.c`), and the names that come of a name.

use super::{Os, Server};
use crate::app::resolver::{Reader, ResolvConf};
use crate::base::Duration;

/// The system's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    conf: ResolvConf,
    /// Its servers: the machine itself where the file names none.
    pub servers: Vec<Server>,
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
        let conf = ResolvConf::parse(text, Reader::Bind);
        let server = |ip: &crate::base::Ipv4Addr| Server { name: ip.to_string(), address: *ip };
        Self {
            servers: conf.servers.iter().map(server).collect(),
            tries: conf.attempts,
            timeout: Duration::from_secs(conf.timeout),
            conf,
        }
    }

    /// Its search domains.
    pub fn search(&self) -> &[String] {
        &self.conf.search
    }

    /// Another search list, or another number of dots.
    pub fn change(&mut self, domain: Option<&str>, ndots: Option<usize>) {
        if let Some(domain) = domain {
            self.conf.search = vec![domain.to_owned()];
        }
        self.conf.ndots = ndots.unwrap_or(self.conf.ndots);
    }

    /// The names to ask for, in order and with their last dots, until one exists.
    pub fn names(&self, name: &str) -> Vec<String> {
        self.conf.candidates(name, Reader::Bind).into_iter().map(|candidate| candidate.name).collect()
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
        assert_eq!(system.servers[0].name, "10.96.0.10");
        assert_eq!((system.tries, system.timeout), (3, Duration::from_secs(5)));
        assert_eq!(
            system.names("web"),
            ["web.default.svc.cluster.local.", "web.svc.cluster.local.", "web.cluster.local.", "web."]
        );
        assert_eq!(system.names("web."), ["web."]);
        assert_eq!(System::parse("options ndots:1").names("a.b"), ["a.b."]);
    }

    #[test]
    fn without_a_file_the_machine_itself_is_asked() {
        assert_eq!(System::parse("").servers[0].name, "127.0.0.1");
    }
}
