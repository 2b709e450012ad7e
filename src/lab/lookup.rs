//! How a name becomes an address: the resolver's search list unrolled as glibc does it (`res_nsearch`), each question put
//! to the cluster's CoreDNS. Nothing is sent; what packets a lookup takes is another matter.
//!
//! Simplified: glibc's rules for every image; musl asks all servers at once and never falls back to the search list
//! once a name has as many dots as `ndots` says.

use super::names::{NamesAnswer, question};
use super::{Lab, Target};

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
        let (netns, _) = self.find(from).map_err(|error| error.to_string())?;
        let file = |path: &str| self.sim.file(netns, path).cloned().unwrap_or_default();
        let (resolv_conf, hosts) = (file("/etc/resolv.conf"), file("/etc/hosts"));
        let conf = Conf::read(&resolv_conf);
        let ndots = ndots.unwrap_or(conf.ndots);
        let dots = name.trim_end_matches('.').matches('.').count();
        let known = hosts.lines().find(|line| {
            let words = line.split('#').next().unwrap_or_default().split_whitespace().skip(1);
            words.into_iter().any(|word| word.eq_ignore_ascii_case(name.trim_end_matches('.')))
        });
        let mut lookup = Lookup {
            hosts: known.map(str::to_owned),
            resolv_conf,
            dots,
            ndots,
            tries: candidates(name, dots, ndots, &conf.search),
            queries: 0,
        };
        if lookup.hosts.is_some() {
            lookup.tries.clear();
            return Ok(lookup);
        }
        for at in 0..lookup.tries.len() {
            for kind in ["A", "AAAA"] {
                let asked = question(&lookup.tries[at].name, kind)?;
                let answer = self.dns(&asked, Some(from))?;
                lookup.tries[at].answers.push((kind, answer));
                lookup.queries += 1;
            }
            if lookup.tries[at].found() {
                break;
            }
        }
        Ok(lookup)
    }
}

/// What of `/etc/resolv.conf` decides about the names tried.
struct Conf {
    search: Vec<String>,
    ndots: usize,
}

impl Conf {
    /// Reads it as `res_init` does: the last `search` counts, and `ndots` is 1 unless said, 15 at most.
    fn read(text: &str) -> Self {
        let mut conf = Self { search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let mut said =
                        words.filter_map(|word| word.strip_prefix("ndots:")?.parse::<usize>().ok());
                    conf.ndots = said.next_back().unwrap_or(conf.ndots).min(15);
                }
                Some(_) | None => {}
            }
        }
        conf
    }
}

fn candidates(name: &str, dots: usize, ndots: usize, search: &[String]) -> Vec<Try> {
    let as_is =
        || Try { name: format!("{}.", name.trim_end_matches('.')), suffix: None, answers: Vec::new() };
    if name.ends_with('.') {
        return vec![as_is()];
    }
    let mut tries = Vec::new();
    if dots >= ndots {
        tries.push(as_is());
    }
    tries.extend(search.iter().map(|suffix| Try {
        name: format!("{name}.{}.", suffix.trim_end_matches('.')),
        suffix: Some(suffix.clone()),
        answers: Vec::new(),
    }));
    if dots < ndots {
        tries.push(as_is());
    }
    tries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, ndots: usize) -> Vec<String> {
        let search = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"].map(str::to_owned);
        let dots = name.trim_end_matches('.').matches('.').count();
        candidates(name, dots, ndots, &search).into_iter().map(|one| one.name).collect()
    }

    #[test]
    fn ndots_decides_whether_the_name_is_tried_first_or_last() {
        let full = "example.com.";
        assert_eq!(names("example.com", 5).last().map(String::as_str), Some(full));
        assert_eq!(names("example.com", 1).first().map(String::as_str), Some(full));
        assert_eq!(names("example.com.", 5), [full]);
        assert_eq!(names("web", 5)[0], "web.default.svc.cluster.local.");
    }

    #[test]
    fn the_file_is_read_as_the_resolver_reads_it() {
        let conf = Conf::read("search a.b c.d\nnameserver 10.96.0.10\noptions ndots:5 timeout:2\n");
        assert_eq!((conf.search.len(), conf.ndots), (2, 5));
        assert_eq!(Conf::read("nameserver 1.1.1.1\n").ndots, 1);
    }
}
