//! `getent hosts` and `getent ahosts`, of glibc 2.36 (`nss/getent.c`) and of musl's package.

use super::resolver::{Found, Libc, Outcome, Wanted, sort, with_idn};
use super::{Os, Process, Wake};
use crate::base::Ipv4Addr;
use crate::base::dns::reverse_name;
use crate::trace::Stream;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

/// Which database is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// `hosts`.
    Hosts,
    /// `ahosts`.
    Ahosts,
    /// `ahostsv4`.
    AhostsV4,
    /// `ahostsv6`.
    AhostsV6,
}

/// Which services are asked (`-s`; else `nsswitch.conf` says both).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Services {
    /// `/etc/hosts`.
    pub files: bool,
    /// The DNS.
    pub dns: bool,
}

/// A running `getent`.
#[derive(Clone, Debug)]
pub struct Getent {
    /// The database.
    pub database: Database,
    /// The names.
    pub keys: Vec<String>,
    /// Who is asked.
    pub services: Services,
    /// Whether names beyond ASCII are converted (not with `-i`).
    pub idn: bool,
}

/// A line of `/etc/hosts` (`hosts(5)`).
struct Line {
    ip: IpAddr,
    names: Vec<String>,
}

/// `::1` counts as the loopback address of IPv4 where that family is wanted (`nss_files/files-hosts.c`).
impl Line {
    fn v4(&self) -> Option<Ipv4Addr> {
        match self.ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(Ipv6Addr::LOCALHOST) => Some(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => None,
        }
    }
}

/// A name is asked for, and all is done again when there is an outcome.
struct Pending;

/// The lines to print for a key, if there are any.
type Told = Result<Option<String>, Pending>;

impl Getent {
    fn file(&self, os: &dyn Os) -> Vec<Line> {
        let text = os.read_file("/etc/hosts").filter(|_| self.services.files).unwrap_or_default();
        let lines = text.lines().filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            Some(Line { ip: words.next()?.parse().ok()?, names: words.map(str::to_owned).collect() })
        });
        lines.filter(|line| !line.names.is_empty()).collect()
    }

    fn ask(&self, os: &mut dyn Os, name: &str, wanted: Wanted) -> Result<Option<Found>, Pending> {
        if !self.services.dns || name.is_empty() {
            return Ok(None);
        }
        os.ask_for(name, wanted).map(Outcome::ok).ok_or(Pending)
    }

    fn told(&self, os: &mut dyn Os, key: &str) -> Told {
        match self.database {
            Database::Hosts => match key.parse::<IpAddr>() {
                Ok(ip) => self.name_of(os, ip),
                Err(_) => self.host(os, key),
            },
            Database::Ahosts | Database::AhostsV4 | Database::AhostsV6 => self.addresses(os, key),
        }
    }

    /// `gethostbyaddr(3)`.
    fn name_of(&self, os: &mut dyn Os, ip: IpAddr) -> Told {
        if let Some(line) = self.file(os).into_iter().find(|line| line.ip == ip) {
            return Ok(Some(host_line(ip, &line.names)));
        }
        let found = self.ask(os, &reverse_name(ip), Wanted::Name)?;
        Ok(found.map(|found| host_line(ip, &[found.canonical])))
    }

    /// `gethostbyname2(3)` for IPv6, and for IPv4 where there is nothing; musl's asks for IPv4 alone.
    fn host(&self, os: &mut dyn Os, key: &str) -> Told {
        if os.libc() == Libc::Glibc {
            let lines = self.file(os);
            let own = lines.iter().find(|line| line.ip.is_ipv6() && line.names.iter().any(|at| at == key));
            if let Some(line) = own {
                return Ok(Some(host_line(line.ip, &line.names)));
            }
            if super::ping::parse_address(key).is_none()
                && let Some(found) = self.ask(os, key, Wanted::V6)?
            {
                return Ok(Some(host_lines(&found)));
            }
        }
        if let Some(ip) = super::ping::parse_address(key) {
            return Ok(Some(host_line(IpAddr::V4(ip), &[key.to_owned()])));
        }
        let lines = self.file(os);
        let own = lines.iter().find(|line| line.v4().is_some() && line.names.iter().any(|at| at == key));
        if let Some((line, ip)) = own.and_then(|line| Some((line, line.v4()?))) {
            return Ok(Some(host_line(IpAddr::V4(ip), &line.names)));
        }
        let found = self.ask(os, key, Wanted::V4)?;
        Ok(found.map(|found| host_lines(&found)))
    }

    /// `getaddrinfo(3)`.
    fn addresses(&self, os: &mut dyn Os, key: &str) -> Told {
        let literal = key.parse().ok().or_else(|| super::ping::parse_address(key).map(IpAddr::V4));
        if let Some(ip) = literal {
            let shown = match (self.database, ip) {
                (Database::AhostsV4, IpAddr::V6(_)) => return Ok(None),
                (Database::AhostsV6, IpAddr::V4(v4)) => IpAddr::V6(v4.to_ipv6_mapped()),
                (_, ip) => ip,
            };
            return Ok(Some(triples(&[shown], key)));
        }
        let Some(key) = (if self.idn { with_idn(os, key) } else { Some(key.to_owned()) }) else {
            return Ok(None);
        };
        let key = key.as_str();
        let lines = self.file(os);
        let named: Vec<&Line> = lines.iter().filter(|line| line.names.iter().any(|at| at == key)).collect();
        let v4: Vec<IpAddr> = named.iter().filter_map(|line| line.v4()).map(IpAddr::V4).collect();
        let v6: Vec<IpAddr> = named.iter().map(|line| line.ip).filter(IpAddr::is_ipv6).collect();
        let own = match self.database {
            Database::Hosts | Database::Ahosts => named.iter().map(|line| line.ip).collect(),
            Database::AhostsV4 => v4,
            Database::AhostsV6 if v6.is_empty() => v4.iter().copied().map(mapped).collect(),
            Database::AhostsV6 => v6,
        };
        if let Some(first) = named.first().filter(|_| !own.is_empty()) {
            return Ok(Some(sorted(os, own, &first.names[0])));
        }
        let found = match self.database {
            Database::Hosts | Database::Ahosts => self.ask(os, key, Wanted::Addresses)?,
            Database::AhostsV4 => self.ask(os, key, Wanted::V4)?,
            Database::AhostsV6 => match self.ask(os, key, Wanted::V6)? {
                Some(found) => Some(found),
                None => self
                    .ask(os, key, Wanted::V4)?
                    .map(|found| Found { all: found.all.iter().copied().map(mapped).collect(), ..found }),
            },
        };
        Ok(found.map(|found| sorted(os, found.all, &found.canonical)))
    }

    /// Everything there is, without a key.
    fn everything(&self, os: &dyn Os) -> String {
        let lines = self.file(os);
        let shown = lines.iter().filter_map(|line| Some(host_line(IpAddr::V4(line.v4()?), &line.names)));
        shown.collect()
    }
}

fn sorted(os: &dyn Os, mut addresses: Vec<IpAddr>, name: &str) -> String {
    sort(os, os.libc(), &mut addresses);
    triples(&addresses, name)
}

fn mapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        IpAddr::V6(_) => ip,
    }
}

fn host_line(ip: IpAddr, names: &[String]) -> String {
    format!("{:<15} {}\n", ip.to_string(), names.join(" "))
}

fn host_lines(found: &Found) -> String {
    let names: Vec<String> = [found.canonical.clone()].into_iter().chain(found.aliases.clone()).collect();
    found.all.iter().map(|ip| host_line(*ip, &names)).collect()
}

/// A line for each type of socket; the name stands in the first one.
fn triples(addresses: &[IpAddr], name: &str) -> String {
    let mut out = String::new();
    for (index, ip) in addresses.iter().enumerate() {
        let name = if index == 0 { name } else { "" };
        let ip = ip.to_string();
        let _ = writeln!(out, "{ip:<15} STREAM {name}\n{ip:<15} DGRAM  \n{ip:<15} RAW    ");
    }
    out
}

impl Process for Getent {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => {
                let mut status = 0;
                let mut out = if self.keys.is_empty() { self.everything(os) } else { String::new() };
                for key in &self.keys {
                    match self.told(os, key) {
                        Err(Pending) => return,
                        Ok(Some(lines)) => out += &lines,
                        Ok(None) => status = 2,
                    }
                }
                os.write(Stream::Stdout, &out);
                os.exit(status);
            }
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Timer(_) | Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }

    fn looks_up_names(&self) -> bool {
        true
    }
}
