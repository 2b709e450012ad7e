//! `resolv.conf(5)` as the two C libraries read it, and the names that come of a name.

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

/// Most name servers (`MAXNS`).
const SERVERS_MAX: usize = 3;
/// Bounds of glibc (`RES_MAXNDOTS`, `RES_MAXRETRANS`, `RES_MAXRETRY`).
const NDOTS_MAX: usize = 15;
const TIMEOUT_MAX: u64 = 30;
const ATTEMPTS_MAX: u32 = 5;
/// Bounds of musl.
const MUSL_TIMEOUT_MAX: u64 = 60;
const MUSL_ATTEMPTS_MAX: u32 = 10;

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
    /// Reads the text. glibc takes a keyword only at the very beginning of a line.
    pub fn parse(text: &str, libc: Libc) -> Self {
        let mut conf = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: 5,
            attempts: 2,
            rotate: false,
            single_request: false,
            use_vc: false,
            edns0: false,
            trust_ad: false,
            no_aaaa: false,
        };
        for line in text.lines().filter(|line| !line.starts_with([' ', '\t', '#', ';'])) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server: Option<Ipv4Addr> = words.next().and_then(|word| word.parse().ok());
                    let server = server.filter(|_| conf.servers.len() < SERVERS_MAX);
                    conf.servers.extend(server);
                }
                Some("search" | "domain") => {
                    conf.search = words.map(|word| word.trim_end_matches('.').to_owned()).collect();
                }
                Some("options") => words.for_each(|word| conf.option(word, libc)),
                Some(_) | None => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers.push(Ipv4Addr::LOCALHOST);
        }
        conf
    }

    fn option(&mut self, word: &str, libc: Libc) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number: u64 = value.parse().unwrap_or(0);
        let (most_secs, most_tries) = match libc {
            Libc::Glibc => (TIMEOUT_MAX, ATTEMPTS_MAX),
            Libc::Musl => (MUSL_TIMEOUT_MAX, MUSL_ATTEMPTS_MAX),
        };
        match name {
            "ndots" => self.ndots = (number as usize).min(NDOTS_MAX),
            "timeout" => self.timeout = number.clamp(1, most_secs),
            "attempts" => self.attempts = (number as u32).clamp(1, most_tries),
            _ if libc == Libc::Musl => {}
            "rotate" => self.rotate = true,
            "single-request" | "single-request-reopen" => self.single_request = true,
            "use-vc" => self.use_vc = true,
            "edns0" => self.edns0 = true,
            "trust-ad" => self.trust_ad = true,
            "no-aaaa" => self.no_aaaa = true,
            _ => {}
        }
    }

    /// The names that are asked for, in order, each with its last dot (`res_search(3)`; `name_from_dns_search` of musl,
    /// which never goes back to the search list).
    pub fn candidates(&self, name: &str, libc: Libc) -> Vec<String> {
        if let Some(bare) = name.strip_suffix('.') {
            return vec![format!("{bare}.")];
        }
        let as_is = format!("{name}.");
        let many_dots = name.matches('.').count() >= self.ndots;
        let searched = self
            .search
            .iter()
            .map(|domain| if domain.is_empty() { as_is.clone() } else { format!("{name}.{domain}.") });
        let mut names: Vec<String> = match (libc, many_dots) {
            (Libc::Musl, true) => vec![as_is.clone()],
            (Libc::Glibc, true) => [as_is.clone()].into_iter().chain(searched).collect(),
            (_, false) => searched.chain([as_is.clone()]).collect(),
        };
        let mut seen = Vec::new();
        names.retain(|name| {
            let fresh = !seen.contains(name);
            seen.push(name.clone());
            fresh
        });
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_decide_what_is_asked_first() {
        let text = "search default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:2 timeout:99 attempts:0\n nameserver 1.1.1.1\n";
        let conf = ResolvConf::parse(text, Libc::Glibc);
        assert_eq!((conf.timeout, conf.attempts, conf.servers.len()), (30, 1, 1));
        let asked = |name: &str, libc| conf.candidates(name, libc).join(" ");
        assert_eq!(asked("web", Libc::Glibc), "web.default.svc.cluster.local. web.svc.cluster.local. web.");
        assert_eq!(
            asked("a.b.c", Libc::Glibc),
            "a.b.c. a.b.c.default.svc.cluster.local. a.b.c.svc.cluster.local."
        );
        assert_eq!(asked("a.b.c", Libc::Musl), "a.b.c.");
        assert_eq!(asked("web.", Libc::Glibc), "web.");
    }
}
