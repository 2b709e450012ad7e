//! Options of matches and targets: which there are, and how many words each takes.

use super::parse::{Problem, Words};
use super::{Family, Match, Not, Target, extensions, matches_parse, targets_parse};

/// An option: its names, the first of which is the one it goes by, and the number of its arguments.
#[derive(Clone, Copy)]
pub(super) struct Spec {
    names: &'static [&'static str],
    arguments: usize,
}

pub(super) const fn spec(names: &'static [&'static str], arguments: usize) -> Spec {
    Spec { names, arguments }
}

/// Matches that the real tool has and this one does not.
const OTHER_MATCHES: [&str; 18] = [
    "ah",
    "bpf",
    "cgroup",
    "cluster",
    "connbytes",
    "connlabel",
    "cpu",
    "dccp",
    "devgroup",
    "esp",
    "ipcomp",
    "ipvs",
    "nfacct",
    "osf",
    "policy",
    "rateest",
    "realm",
    "socket",
];
/// Targets that the real tool has and this one does not.
const OTHER_TARGETS: [&str; 13] = [
    "CLUSTERIP",
    "CONNSECMARK",
    "ECN",
    "HMARK",
    "IDLETIMER",
    "LED",
    "NFQUEUE",
    "QUEUE",
    "RATEEST",
    "SECMARK",
    "SET",
    "SYNPROXY",
    "TPROXY",
];

/// A match or target, and its options.
pub(super) type Extension = (&'static str, &'static [Spec]);

/// Matches.
const MATCHES: [Extension; 22] = [
    (
        "tcp",
        &[
            spec(&["--sport", "--source-port"], 1),
            spec(&["--dport", "--destination-port"], 1),
            spec(&["--tcp-flags"], 2),
            spec(&["--syn"], 0),
            spec(&["--tcp-option"], 1),
        ],
    ),
    ("udp", &[spec(&["--sport", "--source-port"], 1), spec(&["--dport", "--destination-port"], 1)]),
    ("sctp", &[spec(&["--sport", "--source-port"], 1), spec(&["--dport", "--destination-port"], 1)]),
    ("icmp", &[spec(&["--icmp-type"], 1)]),
    ("comment", &[spec(&["--comment"], 1)]),
    (
        "conntrack",
        &[
            spec(&["--ctstate"], 1),
            spec(&["--ctproto"], 1),
            spec(&["--ctorigsrc"], 1),
            spec(&["--ctorigdst"], 1),
            spec(&["--ctreplsrc"], 1),
            spec(&["--ctrepldst"], 1),
            spec(&["--ctorigsrcport"], 1),
            spec(&["--ctorigdstport"], 1),
            spec(&["--ctreplsrcport"], 1),
            spec(&["--ctrepldstport"], 1),
            spec(&["--ctstatus"], 1),
            spec(&["--ctexpire"], 1),
            spec(&["--ctdir"], 1),
        ],
    ),
    ("state", &[spec(&["--state"], 1)]),
    ("mark", &[spec(&["--mark"], 1)]),
    ("owner", &[spec(&["--uid-owner"], 1), spec(&["--gid-owner"], 1), spec(&["--socket-exists"], 0)]),
    ("connmark", &[spec(&["--mark"], 1)]),
    (
        "statistic",
        &[spec(&["--mode"], 1), spec(&["--probability"], 1), spec(&["--every"], 1), spec(&["--packet"], 1)],
    ),
    (
        "recent",
        &[
            spec(&["--set"], 0),
            spec(&["--rcheck"], 0),
            spec(&["--update"], 0),
            spec(&["--remove"], 0),
            spec(&["--seconds"], 1),
            spec(&["--reap"], 0),
            spec(&["--hitcount"], 1),
            spec(&["--rttl"], 0),
            spec(&["--name"], 1),
            spec(&["--mask"], 1),
            spec(&["--rsource"], 0),
            spec(&["--rdest"], 0),
        ],
    ),
    (
        "addrtype",
        &[
            spec(&["--src-type"], 1),
            spec(&["--dst-type"], 1),
            spec(&["--limit-iface-in"], 0),
            spec(&["--limit-iface-out"], 0),
        ],
    ),
    (
        "multiport",
        &[
            spec(&["--sports", "--source-ports"], 1),
            spec(&["--dports", "--destination-ports"], 1),
            spec(&["--ports"], 1),
        ],
    ),
    ("set", &[spec(&["--match-set"], 2)]),
    (
        "physdev",
        &[
            spec(&["--physdev-in"], 1),
            spec(&["--physdev-out"], 1),
            spec(&["--physdev-is-in"], 0),
            spec(&["--physdev-is-out"], 0),
            spec(&["--physdev-is-bridged"], 0),
        ],
    ),
    ("limit", &[spec(&["--limit"], 1), spec(&["--limit-burst"], 1)]),
    (
        "rpfilter",
        &[
            spec(&["--loose"], 0),
            spec(&["--validmark"], 0),
            spec(&["--accept-local"], 0),
            spec(&["--invert"], 0),
        ],
    ),
    ("tcpmss", &[spec(&["--mss"], 1)]),
    ("ttl", &[spec(&["--ttl-lt"], 1), spec(&["--ttl-gt"], 1), spec(&["--ttl-eq", "--ttl"], 1)]),
    ("tos", &[spec(&["--tos"], 1)]),
    ("dscp", &[spec(&["--dscp"], 1), spec(&["--dscp-class"], 1)]),
];

/// Targets.
const TARGETS: [Extension; 18] = [
    ("ACCEPT", &[]),
    ("DROP", &[]),
    ("RETURN", &[]),
    ("REJECT", &[spec(&["--reject-with"], 1)]),
    (
        "DNAT",
        &[
            spec(&["--to-destination"], 1),
            spec(&["--random"], 0),
            spec(&["--random-fully"], 0),
            spec(&["--persistent"], 0),
        ],
    ),
    (
        "SNAT",
        &[
            spec(&["--to-source"], 1),
            spec(&["--random"], 0),
            spec(&["--random-fully"], 0),
            spec(&["--persistent"], 0),
        ],
    ),
    ("MASQUERADE", &[spec(&["--to-ports"], 1), spec(&["--random"], 0), spec(&["--random-fully"], 0)]),
    ("REDIRECT", &[spec(&["--to-ports"], 1), spec(&["--random"], 0)]),
    (
        "MARK",
        &[
            spec(&["--set-mark"], 1),
            spec(&["--set-xmark"], 1),
            spec(&["--and-mark"], 1),
            spec(&["--or-mark"], 1),
            spec(&["--xor-mark"], 1),
        ],
    ),
    (
        "CONNMARK",
        &[
            spec(&["--set-mark"], 1),
            spec(&["--set-xmark"], 1),
            spec(&["--and-mark"], 1),
            spec(&["--or-mark"], 1),
            spec(&["--xor-mark"], 1),
            spec(&["--save-mark"], 0),
            spec(&["--restore-mark"], 0),
            spec(&["--mask"], 1),
            spec(&["--nfmask"], 1),
            spec(&["--ctmask"], 1),
        ],
    ),
    ("NOTRACK", &[]),
    ("CT", &[spec(&["--notrack"], 0)]),
    (
        "LOG",
        &[
            spec(&["--log-level"], 1),
            spec(&["--log-prefix"], 1),
            spec(&["--log-tcp-sequence"], 0),
            spec(&["--log-tcp-options"], 0),
            spec(&["--log-ip-options"], 0),
            spec(&["--log-uid"], 0),
            spec(&["--log-macdecode"], 0),
        ],
    ),
    ("TCPMSS", &[spec(&["--set-mss"], 1), spec(&["--clamp-mss-to-pmtu"], 0)]),
    ("TTL", &[spec(&["--ttl-set"], 1), spec(&["--ttl-dec"], 1), spec(&["--ttl-inc"], 1)]),
    (
        "TOS",
        &[spec(&["--set-tos"], 1), spec(&["--and-tos"], 1), spec(&["--or-tos"], 1), spec(&["--xor-tos"], 1)],
    ),
    ("DSCP", &[spec(&["--set-dscp"], 1), spec(&["--set-dscp-class"], 1)]),
    ("NETMAP", &[spec(&["--to"], 1)]),
];

/// Options of matches that no `!` may stand before (those without `XTOPT_INVERT`). Options of targets never take one.
const PLAIN_OPTIONS: [(&str, &str); 21] = [
    ("comment", "--comment"),
    ("conntrack", "--ctdir"),
    ("statistic", "--mode"),
    ("statistic", "--packet"),
    ("recent", "--seconds"),
    ("recent", "--reap"),
    ("recent", "--hitcount"),
    ("recent", "--rttl"),
    ("recent", "--name"),
    ("recent", "--mask"),
    ("recent", "--rsource"),
    ("recent", "--rdest"),
    ("addrtype", "--limit-iface-in"),
    ("addrtype", "--limit-iface-out"),
    ("limit", "--limit"),
    ("limit", "--limit-burst"),
    ("rpfilter", "--loose"),
    ("rpfilter", "--validmark"),
    ("rpfilter", "--accept-local"),
    ("ttl", "--ttl-lt"),
    ("ttl", "--ttl-gt"),
];
/// What only the tables of IPv4 have (`libipt_*.c`).
const ONLY_IPV4: [&str; 2] = ["ttl", "TTL"];

/// Whether there is a target of this name, simulated or not.
pub fn is_target(name: &str) -> bool {
    OTHER_TARGETS.contains(&name) || target_specs(name).is_some()
}

/// The options of the match `name`.
fn match_specs(name: &str) -> Option<Extension> {
    MATCHES.iter().chain(&extensions::MATCHES).find(|(own, _)| *own == name).copied()
}

/// The options of the target `name`.
fn target_specs(name: &str) -> Option<Extension> {
    TARGETS.iter().chain(&extensions::TARGETS).find(|(own, _)| *own == name).copied()
}

/// Whether `!` may stand before an option.
fn is_invertible(extension: &'static str, option: &'static str) -> bool {
    let is_further = extensions::MATCHES.iter().any(|(name, _)| *name == extension);
    if is_further {
        extensions::INVERTIBLE.contains(&option)
    } else {
        !PLAIN_OPTIONS.contains(&(extension, option))
    }
}

/// An option as it was given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// Its first name.
    pub(super) name: &'static str,
    /// Whether `!` stood before it.
    pub(super) negated: bool,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
}

impl Given {
    /// The first argument.
    pub(super) fn text(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }
}

/// A match or a target being read.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    name: String,
    family: Family,
    is_target: bool,
    given: Vec<Given>,
}

impl Reader {
    /// The reader of `-m NAME`.
    pub(super) fn of_match(family: Family, name: &str) -> Result<Self, Problem> {
        if OTHER_MATCHES.contains(&name) {
            return Err(Problem::NotSimulated(format!("-m {name}")));
        }
        let elsewhere = family == Family::V6 && ONLY_IPV4.contains(&name);
        if elsewhere || match_specs(name).is_none() {
            return Err(Problem::new(format!("Couldn't load match `{name}':No such file or directory\n")));
        }
        Ok(Self { name: name.to_owned(), family, is_target: false, given: Vec::new() })
    }

    /// The reader of `-j NAME`; what is no target is taken for a chain.
    pub(super) fn of_target(family: Family, name: &str) -> Result<Self, Problem> {
        if OTHER_TARGETS.contains(&name) {
            return Err(Problem::NotSimulated(format!("-j {name}")));
        }
        if name.len() > 28 {
            return Err(Problem::new(format!("Invalid target name `{name}' (28 chars max)")));
        }
        Ok(Self { name: name.to_owned(), family, is_target: true, given: Vec::new() })
    }

    /// The name of the match or target.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes an option and its arguments; `false` where it is none of this one's.
    pub(super) fn option(
        &mut self,
        option: &str,
        negated: bool,
        words: &mut Words,
        _protocol: Option<u8>,
    ) -> Result<bool, Problem> {
        if self.family == Family::V6 && ONLY_IPV4.contains(&&*self.name) {
            return Ok(false);
        }
        let found = if self.is_target { target_specs(&self.name) } else { match_specs(&self.name) };
        let Some((own, specs)) = found else { return Ok(false) };
        let is_named = |spec: &&Spec| spec.names.contains(&option);
        // A beginning that fits one option alone will do (`getopt_long`).
        let begins = |spec: &&Spec| spec.names.iter().any(|name| name.starts_with(option));
        let mut fitting = specs.iter().filter(begins);
        let only = fitting.next().filter(|_| fitting.next().is_none() && option.len() > 3);
        let Some(found) = specs.iter().find(is_named).or(only) else { return Ok(false) };
        let name = found.names[0];
        if negated && (self.is_target || !is_invertible(own, name)) {
            return Err(Problem::new(format!("{own}: option \"{name}\" cannot be inverted.\n")));
        }
        if self.given.iter().any(|given| given.name == name) {
            let text = format!("{own}: option \"{name}\" can only be used once.\n");
            return Err(Problem::new(text));
        }
        let mut arguments = Vec::new();
        for at in 0..found.arguments {
            match words.raw() {
                Some(word) if at == 0 || !word.starts_with('-') => arguments.push(word),
                Some(_) | None if at > 0 => {
                    return Err(Problem::new(format!("{name} requires two args.")));
                }
                Some(_) | None => {
                    return Err(Problem::new(format!("option \"{option}\" requires an argument")));
                }
            }
        }
        self.given.push(Given { name, negated, arguments });
        Ok(true)
    }

    /// The match.
    pub(super) fn into_match(self, protocol: Option<Not<u8>>, sets: &[String]) -> Result<Match, Problem> {
        matches_parse::build(&self.name, &self.given, protocol, sets)
    }

    /// The target.
    pub(super) fn into_target(self, protocol: Option<Not<u8>>) -> Result<Target, Problem> {
        targets_parse::build(&self.name, &self.given, self.family, protocol)
    }
}

/// The option `name` among those given.
pub(super) fn find<'a>(given: &'a [Given], name: &str) -> Option<&'a Given> {
    given.iter().find(|option| option.name == name)
}

/// The one of these options that was given, named in the order of the extension's table; two are too many
/// (`xtables_options_fcheck`).
pub(super) fn exclusive<'a>(
    given: &'a [Given],
    extension: &str,
    names: &[&str],
) -> Result<Option<&'a Given>, Problem> {
    let mut chosen = names.iter().filter_map(|name| find(given, name));
    let first = chosen.next();
    if let (Some(first), Some(second)) = (first, chosen.next()) {
        let text = format!(
            "{extension}: option \"{}\" cannot be used together with \"{}\".\n",
            first.name, second.name
        );
        return Err(Problem::new(text));
    }
    Ok(first)
}
