//! The plugins of a server block, read from its directives and put into the order in which CoreDNS runs them
//! (`plugin.cfg`), which is not the order of the text.

use super::cache::{Cache, millis};
use super::corefile::{CorefileError, Directive, Wrong, error, unsimulated, zones_of};
use super::external::External;
use super::file::Zone;
use super::forward::Forward;
use super::rewrite::Rule;
use super::template::Template;
use super::transfer::Transfer;
use super::zonefile::ZoneFile;
use super::{Kubernetes, PodMode, RData, Record};
use crate::base::dns::reverse_name;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

/// Every plugin of CoreDNS 1.12 in the order of `plugin.cfg`, and whether it is simulated.
const ORDER: [(&str, bool); 52] = [
    ("root", true),
    ("metadata", true),
    ("geoip", false),
    ("cancel", true),
    ("tls", false),
    ("quic", false),
    ("timeouts", true),
    ("multisocket", true),
    ("reload", true),
    ("nsid", false),
    ("bufsize", true),
    ("bind", true),
    ("debug", true),
    ("trace", false),
    ("ready", true),
    ("health", true),
    ("pprof", true),
    ("prometheus", true),
    ("errors", true),
    ("log", true),
    ("dnstap", false),
    ("local", true),
    ("dns64", false),
    ("acl", false),
    ("any", false),
    ("chaos", false),
    ("loadbalance", true),
    ("tsig", false),
    ("cache", true),
    ("rewrite", true),
    ("header", false),
    ("dnssec", false),
    ("autopath", true),
    ("minimal", true),
    ("template", true),
    ("transfer", true),
    ("hosts", true),
    ("route53", false),
    ("azure", false),
    ("clouddns", false),
    ("k8s_external", true),
    ("kubernetes", true),
    ("file", true),
    ("auto", false),
    ("secondary", false),
    ("etcd", false),
    ("loop", true),
    ("forward", true),
    ("grpc", false),
    ("erratic", false),
    ("whoami", true),
    ("view", false),
];

/// Names of CoreDNS's plugins, and whether each is simulated.
pub fn plugins() -> impl Iterator<Item = (&'static str, bool)> {
    ORDER.iter().copied()
}

/// Format of the plugin `log` without one of its own (`CommonLogFormat`).
const COMMON_LOG: &str = "{common}";
/// How often the plugin `reload` looks at the Corefile, in milliseconds, and the most by which that is spread.
const RELOAD: (u64, u64) = (30_000, 15_000);

/// A plugin with its settings.
#[derive(Clone, Debug)]
pub(super) enum Plugin {
    /// It takes no part in answering.
    Passive,
    Errors,
    Log(Log),
    Loadbalance,
    Local,
    Minimal,
    Cache(Cache),
    Rewrite(Vec<Rule>),
    Autopath(Autopath),
    Template(Template),
    Transfer(Vec<Transfer>),
    Hosts(Hosts),
    External(External),
    Kubernetes(Box<Kubernetes>),
    File(Zones),
    Loop(Vec<String>),
    Forward(Forward),
    Whoami,
}

/// A plugin at its place.
#[derive(Clone, Debug)]
pub(super) struct Configured {
    pub(super) name: &'static str,
    pub(super) plugin: Plugin,
}

/// The plugin `log`.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) zones: Vec<String>,
    pub(super) format: String,
    /// Classes of answers that are written down: `success`, `denial`, `error`, `all`.
    pub(super) classes: Vec<String>,
}

/// The plugin `autopath`.
#[derive(Clone, Debug)]
pub(super) struct Autopath {
    pub(super) zones: Vec<String>,
    /// The search list; `None` where the plugin `kubernetes` tells it for each client.
    pub(super) search: Option<Vec<String>>,
    /// Search list of the server itself, which comes after the client's.
    pub(super) own: Vec<String>,
}

/// The plugin `hosts`.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    pub(super) zones: Vec<String>,
    pub(super) records: ZoneFile,
    pub(super) fallthrough: Option<Vec<String>>,
}

/// The plugin `file`.
#[derive(Clone, Debug)]
pub(super) struct Zones {
    pub(super) zones: Vec<Zone>,
    pub(super) fallthrough: Option<Vec<String>>,
}

/// What the process does with its plugins beside answering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Duties {
    /// Addresses to listen on; all where empty.
    pub bind: Vec<IpAddr>,
    /// Where the plugin `health` listens, and how long it waits before it stops, in milliseconds.
    pub health: Option<(SocketAddrV4, u64)>,
    /// Port of the plugin `ready`.
    pub ready: Option<u16>,
    /// Port of the plugin `prometheus`.
    pub prometheus: Option<u16>,
    /// How often the Corefile is looked at, and by how much that is spread, in milliseconds.
    pub reload: Option<(u64, u64)>,
    /// Largest UDP payload that clients may ask for (`bufsize`), in bytes.
    pub bufsize: Option<u16>,
}

/// Files as the process sees them.
pub(super) type Files<'f> = &'f dyn Fn(&str) -> Option<String>;

/// Where the settings of a server block are read.
pub(super) struct Reading<'f> {
    pub(super) files: Files<'f>,
    pub(super) zones: Vec<String>,
    pub(super) duties: Duties,
    /// Directory that file names are relative to (`root`).
    root: String,
}

/// Whether a plugin lets a name through that it does not have.
pub(super) fn falls_through(zones: Option<&[String]>, name: &str) -> bool {
    zones.is_some_and(|zones| zones.is_empty() || zones.iter().any(|zone| super::is_subdomain(zone, name)))
}

/// Zones of a property `fallthrough`.
pub(super) fn fallthrough(property: &Directive) -> Vec<String> {
    property.args.iter().flat_map(|zone| zones_of(zone)).collect()
}

/// An error about a property that a plugin does not have.
pub(super) fn unknown(property: &Directive) -> CorefileError {
    error(property.line, format!("unknown property '{}'", property.name))
}

/// The error of CoreDNS's parser for a wrong number of arguments.
pub(super) fn wrong_arguments(directive: &Directive) -> CorefileError {
    error(
        directive.line,
        format!("Wrong argument count or unexpected line ending after '{}'", directive.name),
    )
}

impl<'f> Reading<'f> {
    pub(super) fn new(files: Files<'f>, zones: Vec<String>) -> Self {
        Self { files, zones, duties: Duties::default(), root: String::new() }
    }

    /// The plugins of a server block in the order in which they run.
    pub(super) fn plugins(&mut self, directives: &[Directive]) -> Result<Vec<Configured>, CorefileError> {
        let mut placed = Vec::new();
        for directive in directives {
            let known = ORDER.iter().position(|(name, _)| *name == directive.name);
            let Some(place) = known else {
                let kind = Wrong::UnknownPlugin(directive.name.clone());
                let message = format!("Unknown directive '{}'", directive.name);
                return Err(CorefileError { kind, ..error(directive.line, message) });
            };
            let (name, simulated) = ORDER[place];
            if !simulated {
                return Err(unsimulated(directive.line, &format!("plugin {name}")));
            }
            placed.push((place, name, self.plugin(directive)?));
        }
        placed.sort_by_key(|(place, _, _)| *place);
        let mut out: Vec<Configured> = Vec::new();
        for (_, name, plugin) in placed {
            // Several rules are one plugin.
            match (out.last_mut().map(|last| &mut last.plugin), plugin) {
                (Some(Plugin::Rewrite(rules)), Plugin::Rewrite(more)) => rules.extend(more),
                (Some(Plugin::Transfer(all)), Plugin::Transfer(more)) => all.extend(more),
                (_, plugin) => out.push(Configured { name, plugin }),
            }
        }
        Ok(out)
    }

    fn plugin(&mut self, directive: &Directive) -> Result<Plugin, CorefileError> {
        Ok(match directive.name.as_str() {
            "errors" => Plugin::Errors,
            "local" => Plugin::Local,
            "minimal" => Plugin::Minimal,
            "whoami" => Plugin::Whoami,
            "log" => Plugin::Log(self.log(directive)?),
            "loadbalance" => match directive.args.first().map(String::as_str) {
                None | Some("round_robin") => Plugin::Loadbalance,
                Some(other) => {
                    return Err(unsimulated(directive.line, &format!("loadbalance {other}")));
                }
            },
            "cache" => Plugin::Cache(Cache::configured(directive, &self.zones)?),
            "rewrite" => Plugin::Rewrite(vec![Rule::configured(directive)?]),
            "autopath" => Plugin::Autopath(self.autopath(directive)?),
            "template" => Plugin::Template(Template::configured(directive, &self.zones)?),
            "transfer" => Plugin::Transfer(vec![Transfer::configured(directive, &self.zones)?]),
            "hosts" => Plugin::Hosts(self.hosts(directive)?),
            "k8s_external" => Plugin::External(External::configured(directive, &self.zones)?),
            "kubernetes" => {
                let plugin = Kubernetes::configured(directive, &self.zones)?;
                if plugin.pods == PodMode::Disabled && plugin.zones.is_empty() {
                    return Err(error(directive.line, "unable to find zones for the kubernetes plugin"));
                }
                Plugin::Kubernetes(Box::new(plugin))
            }
            "file" => Plugin::File(self.file(directive)?),
            "loop" => {
                if !directive.args.is_empty() {
                    return Err(wrong_arguments(directive));
                }
                Plugin::Loop(self.zones.clone())
            }
            "forward" => Plugin::Forward(Forward::configured(directive, self.files)?),
            _ => {
                self.duty(directive)?;
                Plugin::Passive
            }
        })
    }

    /// Settings that are about the process.
    fn duty(&mut self, directive: &Directive) -> Result<(), CorefileError> {
        let args = &directive.args;
        let line = directive.line;
        let port = |default: u16| match args.first() {
            None => Ok(default),
            Some(text) => {
                let port = text.rsplit(':').next().and_then(|port| port.parse().ok());
                port.ok_or_else(|| error(line, format!("not an address: {text}")))
            }
        };
        let duration = |text: &String| {
            millis(text).ok_or_else(|| error(line, format!("time: invalid duration \"{text}\"")))
        };
        match directive.name.as_str() {
            "health" => {
                let lameduck = directive.block.iter().find(|property| property.name == "lameduck");
                let wait = lameduck.and_then(|property| property.args.first()).map(duration).transpose()?;
                let ip = args.first().and_then(|text| text.rsplit_once(':')?.0.parse().ok());
                let local = SocketAddrV4::new(ip.unwrap_or(Ipv4Addr::UNSPECIFIED), port(8080)?);
                self.duties.health = Some((local, wait.unwrap_or(0)));
            }
            "ready" => self.duties.ready = Some(port(8181)?),
            "prometheus" => self.duties.prometheus = Some(port(9153)?),
            "reload" => {
                if args.first().is_some_and(|word| word == "off") {
                    return Ok(());
                }
                let every = args.first().map(duration).transpose()?.unwrap_or(RELOAD.0);
                if every < 2000 {
                    return Err(error(line, "interval value must be greater or equal to 2s"));
                }
                let jitter = args.get(1).map(duration).transpose()?.unwrap_or(RELOAD.1).min(every / 2);
                self.duties.reload = Some((every, jitter));
            }
            "bufsize" => {
                let size = args.first().map_or(Some(1232), |text| text.parse().ok());
                let size = size.filter(|size| (512..=4096).contains(size));
                self.duties.bufsize =
                    Some(size.ok_or_else(|| error(line, "bufsize must be within 512 - 4096"))?);
            }
            "bind" => {
                for text in args {
                    let ip = text.parse();
                    let ip = ip.map_err(|_| error(line, format!("not a valid IP address: {text}")))?;
                    self.duties.bind.push(ip);
                }
            }
            "root" => self.root = args.first().cloned().unwrap_or_default(),
            // The others take no part here, whatever their settings.
            _ => {}
        }
        Ok(())
    }

    fn log(&self, directive: &Directive) -> Result<Log, CorefileError> {
        let (mut zones, mut format) = (self.zones.clone(), COMMON_LOG.to_owned());
        match directive.args.as_slice() {
            [] => {}
            [only] if only.contains('{') => format.clone_from(only),
            [names @ .., last] if last.contains('{') => {
                zones = names.iter().flat_map(|zone| zones_of(zone)).collect();
                format.clone_from(last);
            }
            names => zones = names.iter().flat_map(|zone| zones_of(zone)).collect(),
        }
        let mut classes = Vec::new();
        for property in &directive.block {
            if property.name != "class" {
                return Err(unknown(property));
            }
            for class in &property.args {
                if !["success", "denial", "error", "all"].contains(&class.as_str()) {
                    return Err(error(property.line, format!("invalid Class: {class}")));
                }
                classes.push(class.clone());
            }
        }
        if classes.is_empty() {
            classes.push("all".to_owned());
        }
        Ok(Log { zones, format, classes })
    }

    fn autopath(&self, directive: &Directive) -> Result<Autopath, CorefileError> {
        let Some((last, zones)) = directive.args.split_last() else { return Err(wrong_arguments(directive)) };
        let zones: Vec<String> = zones.iter().flat_map(|zone| zones_of(zone)).collect();
        let zones = if zones.is_empty() { self.zones.clone() } else { zones };
        let searches = |path: &str| {
            let text = (self.files)(path).unwrap_or_default();
            let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix("search "));
            let words = lines.next_back().unwrap_or("").split_whitespace();
            words.map(|word| format!("{}.", word.trim_end_matches('.'))).collect::<Vec<_>>()
        };
        let own = searches("/etc/resolv.conf");
        match last.strip_prefix('@') {
            Some("kubernetes") => Ok(Autopath { zones, search: None, own }),
            Some(other) => Err(error(directive.line, format!("no plugin gives a search path: {other}"))),
            None => {
                let mut search = searches(last);
                if search.is_empty() {
                    return Err(error(directive.line, format!("failed to parse \"{last}\": no search list")));
                }
                search.push(String::new());
                Ok(Autopath { zones, search: Some(search), own: Vec::new() })
            }
        }
    }

    fn path(&self, name: &str) -> String {
        if name.starts_with('/') { name.to_owned() } else { format!("{}/{name}", self.root) }
    }

    fn hosts(&self, directive: &Directive) -> Result<Hosts, CorefileError> {
        let path = directive.args.first().map_or_else(|| "/etc/hosts".to_owned(), |name| self.path(name));
        let zones: Vec<String> = directive.args.iter().skip(1).flat_map(|zone| zones_of(zone)).collect();
        let mut hosts = Hosts {
            zones: if zones.is_empty() { self.zones.clone() } else { zones },
            records: ZoneFile::default(),
            fallthrough: None,
        };
        let (mut ttl, mut reverse) = (3600, true);
        let mut lines: Vec<(usize, Vec<String>)> = Vec::new();
        for property in &directive.block {
            let args = &property.args;
            match property.name.as_str() {
                "fallthrough" => hosts.fallthrough = Some(fallthrough(property)),
                "no_reverse" => reverse = false,
                "ttl" => {
                    let value = args.first().and_then(|text| text.parse().ok()).filter(|ttl| *ttl <= 65535);
                    ttl = value.filter(|ttl| *ttl > 0).ok_or_else(|| {
                        error(property.line, format!("ttl provided is invalid: {}", args.join(" ")))
                    })?;
                }
                "reload" => {}
                first if first.parse::<IpAddr>().is_ok() => {
                    let words = [first.to_owned()].into_iter().chain(args.iter().cloned());
                    lines.push((property.line, words.collect()));
                }
                _ => return Err(unknown(property)),
            }
        }
        // A file that is not there is as good as an empty one.
        let text = (self.files)(&path).unwrap_or_default();
        let words = |line: &str| -> Vec<String> {
            let bare = line.split('#').next().unwrap_or("");
            bare.split_whitespace().map(str::to_owned).collect()
        };
        let from_file = text.lines().map(|line| (directive.line, words(line)));
        for (_, words) in from_file.chain(lines) {
            add_host(&mut hosts.records, &words, ttl, reverse);
        }
        Ok(hosts)
    }

    fn file(&self, directive: &Directive) -> Result<Zones, CorefileError> {
        let Some((name, zones)) = directive.args.split_first() else {
            return Err(wrong_arguments(directive));
        };
        let path = self.path(name);
        let text = (self.files)(&path).ok_or_else(|| CorefileError {
            kind: Wrong::NoFile(path.clone()),
            ..error(directive.line, format!("open {path}: no such file or directory"))
        })?;
        let zones: Vec<String> = zones.iter().flat_map(|zone| zones_of(zone)).collect();
        let zones = if zones.is_empty() { self.zones.clone() } else { zones };
        let mut fall = None;
        for property in &directive.block {
            match property.name.as_str() {
                "fallthrough" => fall = Some(fallthrough(property)),
                "reload" | "upstream" => {}
                _ => return Err(unknown(property)),
            }
        }
        let parse = |zone: &String| {
            let file = ZoneFile::parse(&text, zone).map_err(|wrong| {
                error(
                    directive.line,
                    format!("failed to parse {path}: line {}: {}", wrong.line, wrong.message),
                )
            })?;
            Zone::new(zone, &file).ok_or_else(|| {
                error(directive.line, format!("file \"{path}\" has no SOA record for origin {zone}"))
            })
        };
        Ok(Zones { zones: zones.iter().map(parse).collect::<Result<_, _>>()?, fallthrough: fall })
    }
}

/// A line of a hosts file: an address and its names.
fn add_host(records: &mut ZoneFile, words: &[String], ttl: u32, reverse: bool) {
    let Some((address, names)) = words.split_first() else { return };
    let Ok(ip) = address.parse::<IpAddr>() else { return };
    for name in names {
        let name = format!("{}.", name.trim_end_matches('.'));
        records.push(Record::address(&name, ttl, ip));
        if reverse {
            records.push(Record { owner: reverse_name(ip), ttl, data: RData::Ptr(name) });
        }
    }
}
