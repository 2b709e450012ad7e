//! How a name becomes an address: the resolver's search list unrolled as the C library of the container does it, each
//! question put to the cluster's CoreDNS. Nothing is sent; what packets a lookup takes is another matter.

use super::names::{NamesAnswer, question};
use super::{Lab, Target};
use crate::app::resolver::{Candidate, Libc, Reader, ResolvConf};
use crate::cluster::images;

/// A lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// `/etc/resolv.conf` where it is asked.
    pub resolv_conf: String,
    /// The line of `/etc/hosts` that knows the name, so that nobody is asked.
    pub hosts: Option<String>,
    /// Dots in the name.
    pub dots: usize,
    /// With at least so many dots a name is first tried as it is.
    pub ndots: usize,
    /// The C library that looks it up.
    pub libc: Libc,
    /// The names tried, in order. Those after the one that was found are not asked for.
    pub tries: Vec<Try>,
    /// Number of questions sent.
    pub queries: usize,
}

/// A name that is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// The whole name, with its last dot.
    pub name: String,
    /// The part of the search list that it ends in; `None` for the name as it is.
    pub suffix: Option<String>,
    /// What came back for A and for AAAA; nothing where it was not asked any more.
    pub answers: Vec<(&'static str, NamesAnswer)>,
}

impl Try {
    fn of(candidate: Candidate) -> Self {
        Self { name: candidate.name, suffix: candidate.suffix, answers: Vec::new() }
    }

    /// Whether the library tries no further name: glibc goes on until there are addresses, musl until there is the name.
    fn ends(&self, libc: Libc) -> bool {
        match libc {
            Libc::Glibc => self.found(),
            Libc::Musl => self.answers.iter().all(|(_, answer)| answer.rcode != "NXDOMAIN"),
        }
    }

    /// Whether an address came back.
    pub fn found(&self) -> bool {
        self.answers.iter().any(|(_, answer)| answer.found())
    }
}

impl Lab {
    /// Looks a name up in a Pod or on a node; `ndots` in place of what the file there says.
    pub fn lookup(&mut self, name: &str, from: &Target, ndots: Option<usize>) -> Result<Lookup, String> {
        let trace = self.sim.trace();
        self.live.advance(trace, trace.len());
        let (netns, environment) = self.find(from).map_err(|error| error.to_string())?;
        let file = |path: &str| self.sim.file(netns, path).cloned().unwrap_or_default();
        let (resolv_conf, hosts) = (file("/etc/resolv.conf"), file("/etc/hosts"));
        let is_musl = environment.image.as_deref().is_some_and(images::has_musl);
        let libc = if is_musl { Libc::Musl } else { Libc::Glibc };
        let mut conf = ResolvConf::parse(&resolv_conf, Reader::Libc(libc));
        conf.ndots = ndots.unwrap_or(conf.ndots);
        let dots = name.trim_end_matches('.').matches('.').count();
        let known = hosts.lines().find(|line| {
            let words = line.split('#').next().unwrap_or_default().split_whitespace().skip(1);
            words.into_iter().any(|word| word.eq_ignore_ascii_case(name.trim_end_matches('.')))
        });
        let mut lookup = Lookup {
            hosts: known.map(str::to_owned),
            resolv_conf,
            dots,
            ndots: conf.ndots,
            tries: conf.candidates(name, Reader::Libc(libc)).into_iter().map(Try::of).collect(),
            libc,
            queries: 0,
        };
        if lookup.hosts.is_some() {
            lookup.tries.clear();
            return Ok(lookup);
        }
        let kinds: &[&'static str] = if conf.no_aaaa { &["A"] } else { &["A", "AAAA"] };
        for at in 0..lookup.tries.len() {
            for &kind in kinds {
                let asked = question(&lookup.tries[at].name, kind)?;
                let answer = self.dns(&asked, Some(from))?;
                lookup.tries[at].answers.push((kind, answer));
                lookup.queries += 1;
            }
            if lookup.tries[at].ends(libc) {
                break;
            }
        }
        Ok(lookup)
    }
}
