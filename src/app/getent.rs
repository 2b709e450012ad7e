//! `getent hosts` and `getent ahosts`.

use super::{Os, Process, Wake};
use crate::base::Ipv4Addr;
use crate::trace::Stream;
use std::fmt::Write as _;

/// Which database is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// `hosts`.
    Hosts,
    /// `ahosts`.
    Ahosts,
}

/// A running `getent`.
#[derive(Clone, Debug)]
pub struct Getent {
    /// The database.
    pub database: Database,
    /// The names.
    pub keys: Vec<String>,
}

impl Getent {
    fn line(&self, os: &mut dyn Os, key: &str) -> Option<String> {
        if let Ok(ip) = key.parse::<Ipv4Addr>() {
            return match self.database {
                Database::Hosts => os.name_of(ip).map(|name| format!("{ip:<15} {name}\n")),
                Database::Ahosts => Some(lines(&[ip], key)),
            };
        }
        let first = os.resolve(key)?;
        let found = os.lookup(key).and_then(|found| found.as_ref().ok()).cloned();
        let (addresses, name, aliases) = match found {
            Some(found) => (found.addresses, found.canonical, found.aliases),
            None => (vec![first], os.name_of(first).unwrap_or_else(|| key.to_owned()), Vec::new()),
        };
        Some(match self.database {
            Database::Hosts => {
                let names: Vec<String> = [name].into_iter().chain(aliases).collect();
                let names = names.join(" ");
                addresses.iter().map(|ip| format!("{ip:<15} {names}\n")).collect::<Vec<_>>().concat()
            }
            Database::Ahosts => lines(&addresses, &name),
        })
    }
}

fn lines(addresses: &[Ipv4Addr], name: &str) -> String {
    let mut out = String::new();
    for (index, ip) in addresses.iter().enumerate() {
        let name = if index == 0 { name } else { "" };
        let _ = writeln!(out, "{ip:<15} STREAM {name}\n{ip:<15} DGRAM  \n{ip:<15} RAW    ");
    }
    out
}

impl Process for Getent {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => {
                let mut status = 0;
                let mut out = String::new();
                for key in &self.keys {
                    match self.line(os, key) {
                        Some(line) => out += &line,
                        None => status = 2,
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
