//! `resolv.conf(5)` as its readers take it: the two C libraries, and the programs of BIND (`lib/irs/resconf.c`).

use crate::base::Ipv4Addr;

/// Which C library a program is linked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Libc {
    /// GNU's.
    #[default]
    Glibc,
    /// musl.
    Musl,
}

/// Who reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The resolver of a C library.
    Libc(Libc),
    /// `dig`, `host` and `nslookup`.
    Bind,
}

/// Most servers and search domains, bounds of the options, and what holds where nothing is said.
#[derive(Clone, Copy, Debug)]
struct Limits {
    servers: usize,
    searches: usize,
    ndots: usize,
    timeout: u64,
    attempts: u32,
    default_attempts: u32,
    /// Longest line that is read, in bytes without its end.
    line: usize,
}

/// `MAXNS`, `RES_MAXNDOTS`, `RES_MAXRETRANS`, `RES_MAXRETRY`.
const GLIBC: Limits = Limits {
    servers: 3,
    searches: usize::MAX,
    ndots: 15,
    timeout: 30,
    attempts: 5,
    default_attempts: 2,
    line: usize::MAX,
};
/// `__get_resolv_conf`.
const MUSL: Limits = Limits {
    servers: 3,
    searches: usize::MAX,
    ndots: 15,
    timeout: 60,
    attempts: 10,
    default_attempts: 2,
    line: 254,
};
/// `RESCONFMAXNAMESERVERS`, `RESCONFMAXSEARCH`.
const BIND: Limits = Limits {
    servers: 8,
    searches: 8,
    ndots: usize::MAX,
    timeout: u64::MAX,
    attempts: u32::MAX,
    default_attempts: 3,
    line: usize::MAX,
};
/// Seconds that a server has.
const TIMEOUT_SECS: u64 = 5;

/// What a resolver reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option under its own name")]
pub struct ResolvConf {
    /// Name servers in order.
    pub servers: Vec<Ipv4Addr>,
    /// Search domains, without their last dot.
    pub search: Vec<String>,
    /// Dots from which on a name is first tried as it is.
    pub ndots: usize,
    /// Seconds that a server has.
    pub timeout: u64,
    /// How often all servers are tried.
    pub attempts: u32,
    /// Whether each question begins with another server.
    pub rotate: bool,
    /// Whether the questions for both families follow each other.
    pub single_request: bool,
    /// Whether they do, from a socket each.
    pub reopen: bool,
    /// Whether TCP is used from the start.
    pub use_vc: bool,
    /// Whether EDNS is used.
    pub edns0: bool,
    /// Whether the authentic data bit is asked for.
    pub trust_ad: bool,
    /// Whether nobody asks for IPv6 addresses.
    pub no_aaaa: bool,
}

impl ResolvConf {
    /// Reads the text. What cannot be read is passed over. The libraries take a keyword only at the very beginning of a
    /// line.
    pub fn parse(text: &str, reader: Reader) -> Self {
        let limits = match reader {
            Reader::Libc(Libc::Glibc) => GLIBC,
            Reader::Libc(Libc::Musl) => MUSL,
            Reader::Bind => BIND,
        };
        let mut conf = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: TIMEOUT_SECS,
            attempts: limits.default_attempts,
            rotate: false,
            single_request: false,
            reopen: false,
            use_vc: false,
            edns0: false,
            trust_ad: false,
            no_aaaa: false,
        };
        let is_read = |line: &&str| {
            let indented = line.starts_with([' ', '\t']) && reader != Reader::Bind;
            line.len() <= limits.line && !indented && !line.starts_with(['#', ';'])
        };
        for line in text.lines().filter(is_read) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server: Option<Ipv4Addr> = words.next().and_then(|word| word.parse().ok());
                    let server = server.filter(|_| conf.servers.len() < limits.servers);
                    conf.servers.extend(server);
                }
                Some("search" | "domain") => {
                    let words = words.take(limits.searches);
                    conf.search = words.map(|word| word.trim_end_matches('.').to_owned()).collect();
                }
                Some("options") => words.for_each(|word| conf.option(word, reader, &limits)),
                Some(_) | None => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers.push(Ipv4Addr::LOCALHOST);
        }
        conf
    }

    fn option(&mut self, word: &str, reader: Reader, limits: &Limits) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number: Option<u64> = value.parse().ok();
        match (name, number) {
            ("ndots", Some(number)) => self.ndots = (number as usize).min(limits.ndots),
            ("timeout", Some(number)) if number > 0 || reader != Reader::Bind => {
                self.timeout = number.min(limits.timeout);
            }
            // musl divides by the attempts: a zero would end the program.
            ("attempts", Some(number)) if number > 0 || reader == Reader::Libc(Libc::Glibc) => {
                self.attempts = u32::try_from(number).unwrap_or(u32::MAX).min(limits.attempts);
            }
            ("ndots" | "timeout" | "attempts", _) => {}
            _ if reader != Reader::Libc(Libc::Glibc) => {}
            ("rotate", _) => self.rotate = true,
            ("single-request", _) => self.single_request = true,
            ("single-request-reopen", _) => (self.single_request, self.reopen) = (true, true),
            ("use-vc", _) => self.use_vc = true,
            ("edns0", _) => self.edns0 = true,
            ("trust-ad", _) => self.trust_ad = true,
            ("no-aaaa", _) => self.no_aaaa = true,
            _ => {}
        }
    }

    /// The names that may be asked for, in order (`res_nsearch`; `name_from_dns_search` of musl and `setup_lookup` of BIND,
    /// which never go back to the search list).
    pub fn candidates(&self, name: &str, reader: Reader) -> Vec<Candidate> {
        let as_is = |name: &str| Candidate { name: format!("{name}."), suffix: None };
        if let Some(bare) = name.strip_suffix('.') {
            return vec![as_is(bare)];
        }
        let many_dots = name.matches('.').count() >= self.ndots;
        if many_dots && reader != Reader::Libc(Libc::Glibc) {
            return vec![as_is(name)];
        }
        let mut names: Vec<Candidate> = self
            .search
            .iter()
            .map(|domain| {
                let root = if domain.is_empty() { "" } else { "." };
                Candidate { name: format!("{name}.{domain}{root}"), suffix: Some(domain.clone()) }
            })
            .collect();
        if many_dots {
            names.insert(0, as_is(name));
        } else if reader == Reader::Libc(Libc::Musl) || self.search.iter().all(|domain| !domain.is_empty()) {
            names.push(as_is(name));
        }
        if reader == Reader::Libc(Libc::Musl) {
            // It cannot build a name with an empty domain, and goes on with the next one.
            names.retain(|candidate| candidate.suffix.as_ref().is_none_or(|domain| !domain.is_empty()));
        }
        names
    }
}

/// A name that may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The whole name, with its last dot.
    pub name: String,
    /// The part of the search list that it ends in; `None` for the name as it is.
    pub suffix: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GNU: Reader = Reader::Libc(Libc::Glibc);

    fn asked(conf: &ResolvConf, name: &str, reader: Reader) -> String {
        let names: Vec<String> = conf.candidates(name, reader).into_iter().map(|one| one.name).collect();
        names.join(" ")
    }

    #[test]
    fn dots_decide_what_is_asked_first() {
        let text = "search default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:2 timeout:99 attempts:0\n nameserver 1.1.1.1\n";
        let conf = ResolvConf::parse(text, GNU);
        assert_eq!((conf.timeout, conf.attempts, conf.servers.len()), (30, 0, 1));
        assert_eq!(asked(&conf, "web", GNU), "web.default.svc.cluster.local. web.svc.cluster.local. web.");
        assert_eq!(
            asked(&conf, "a.b.c", GNU),
            "a.b.c. a.b.c.default.svc.cluster.local. a.b.c.svc.cluster.local."
        );
        assert_eq!(asked(&conf, "a.b.c", Reader::Libc(Libc::Musl)), "a.b.c.");
        assert_eq!(asked(&conf, "web.", GNU), "web.");
    }

    #[test]
    fn each_reader_has_its_limits() {
        let servers = "nameserver 10.0.0.1\n".repeat(300);
        let domains = " example.org".repeat(40);
        let text = format!("{servers}search{domains}\noptions ndots:99 timeout:300 attempts:70 rotate\n");
        let read = |reader| {
            let conf = ResolvConf::parse(&text, reader);
            (conf.servers.len(), conf.search.len(), conf.ndots, conf.timeout, conf.attempts, conf.rotate)
        };
        assert_eq!(read(GNU), (3, 40, 15, 30, 5, true));
        // musl passes over lines that do not fit its buffer.
        assert_eq!(read(Reader::Libc(Libc::Musl)), (3, 0, 15, 60, 10, false));
        assert_eq!(read(Reader::Bind), (8, 8, 99, 300, 70, false));
        assert_eq!(ResolvConf::parse("", GNU).servers, [Ipv4Addr::LOCALHOST]);
    }

    #[test]
    fn the_root_in_the_search_list_stands_for_the_name_as_it_is() {
        let conf = ResolvConf::parse("search . a.test\noptions ndots:5\n", GNU);
        assert_eq!(asked(&conf, "web", GNU), "web. web.a.test.");
        assert_eq!(asked(&conf, "web", Reader::Libc(Libc::Musl)), "web.a.test. web.");
        let root = ResolvConf::parse("search .\n options ndots:5\n", Reader::Libc(Libc::Musl));
        assert_eq!(asked(&root, "web", Reader::Libc(Libc::Musl)), "web.");
    }
}
