//! The plugin `forward`: its settings. Who asks the upstream servers, and waits for them, is the process.

use super::cache::millis;
use super::corefile::{CorefileError, Directive, error, unsimulated, zones_of};
use super::plugin::{Files, wrong_arguments};
use super::{Rcode, is_subdomain};
use crate::base::dns::labels;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Most upstream servers of one `forward`.
const SERVERS_MAX: usize = 15;

/// In which order upstream servers are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Each time in another chance order.
    #[default]
    Random,
    /// Each time from the next one on.
    RoundRobin,
    /// Always from the first one on.
    Sequential,
}

/// The plugin as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the plugin under its own name")]
pub struct Forward {
    /// The zone whose names are forwarded.
    pub from: String,
    /// Upstream servers.
    pub servers: Vec<SocketAddrV4>,
    /// Zones that are not forwarded after all.
    pub except: Vec<String>,
    /// Whether TCP is used even for clients that came by UDP.
    pub force_tcp: bool,
    /// Whether UDP is tried first even for clients that came by TCP.
    pub prefer_udp: bool,
    /// Failed health checks after which a server counts as down; 0 for never.
    pub max_fails: u32,
    /// Order of the servers.
    pub policy: Policy,
    /// Time between health checks of a server that failed, in milliseconds.
    pub health_check: u64,
    /// Whether health checks ask for recursion.
    pub health_recursion: bool,
    /// The name that health checks ask for.
    pub health_domain: String,
    /// Questions under way after which further ones are refused; 0 for no limit.
    pub max_concurrent: u32,
    /// Whether a question fails at once when all servers are down.
    pub failfast: bool,
    /// Codes of answers that the next `forward` of the block is asked instead of.
    pub next: Vec<Rcode>,
}

impl Forward {
    /// `forward FROM TO... { ... }`.
    pub(super) fn configured(directive: &Directive, files: Files<'_>) -> Result<Self, CorefileError> {
        let Some((from, to)) = directive.args.split_first() else { return Err(wrong_arguments(directive)) };
        if to.is_empty() {
            return Err(wrong_arguments(directive));
        }
        let zone = zones_of(from).into_iter().next().filter(|zone| labels(zone).is_ok());
        let from = zone.ok_or_else(|| error(directive.line, format!("unable to normalize '{from}'")))?;
        let mut forward = Self {
            from,
            servers: Vec::new(),
            except: Vec::new(),
            force_tcp: false,
            prefer_udp: false,
            max_fails: 2,
            policy: Policy::default(),
            health_check: 500,
            health_recursion: true,
            health_domain: ".".to_owned(),
            max_concurrent: 0,
            failfast: false,
            next: Vec::new(),
        };
        for text in to {
            forward.servers.extend(servers(directive.line, text, files)?);
        }
        if forward.servers.len() > SERVERS_MAX {
            let count = forward.servers.len();
            return Err(error(directive.line, format!("more than {SERVERS_MAX} TOs configured: {count}")));
        }
        for property in &directive.block {
            forward.set(property)?;
        }
        Ok(forward)
    }

    fn set(&mut self, property: &Directive) -> Result<(), CorefileError> {
        let args = &property.args;
        let first = args.first().map(String::as_str);
        let number =
            || first.and_then(|text| text.parse::<u32>().ok()).ok_or_else(|| wrong_arguments(property));
        match property.name.as_str() {
            "except" if !args.is_empty() => {
                self.except = args.iter().flat_map(|zone| zones_of(zone)).collect();
            }
            "force_tcp" if args.is_empty() => self.force_tcp = true,
            "prefer_udp" if args.is_empty() => self.prefer_udp = true,
            "max_fails" => self.max_fails = number()?,
            "max_concurrent" => self.max_concurrent = number()?,
            "failfast_all_unhealthy_upstreams" if args.is_empty() => self.failfast = true,
            "policy" => {
                self.policy = match first {
                    Some("random") => Policy::Random,
                    Some("round_robin") => Policy::RoundRobin,
                    Some("sequential") => Policy::Sequential,
                    other => {
                        let other = other.unwrap_or("");
                        return Err(error(property.line, format!("unknown policy '{other}'")));
                    }
                }
            }
            "health_check" => {
                let every = first.ok_or_else(|| wrong_arguments(property))?;
                let invalid = || error(property.line, format!("time: invalid duration \"{every}\""));
                self.health_check = millis(every).filter(|every| *every > 0).ok_or_else(invalid)?;
                let mut rest = args.iter().skip(1);
                while let Some(word) = rest.next() {
                    match word.as_str() {
                        "no_rec" => self.health_recursion = false,
                        "domain" => {
                            let name = rest.next().ok_or_else(|| wrong_arguments(property))?;
                            let invalid = || error(property.line, "health_check: invalid domain name");
                            let name = Some(name).filter(|name| labels(name).is_ok()).ok_or_else(invalid)?;
                            self.health_domain = format!("{}.", name.trim_end_matches('.'));
                        }
                        other => {
                            return Err(error(
                                property.line,
                                format!("health_check: unknown option {other}"),
                            ));
                        }
                    }
                }
            }
            // How long an idle connection is kept makes no difference: each question has one of its own.
            "expire" => {}
            "next" if !args.is_empty() => {
                for text in args {
                    let rcode = text.parse();
                    let rcode =
                        rcode.map_err(|()| error(property.line, format!("{text} is not a valid rcode")))?;
                    self.next.push(rcode);
                }
            }
            known @ ("tls" | "tls_servername" | "failover" | "max_idle_conns") => {
                return Err(unsimulated(property.line, &format!("forward {known}")));
            }
            other => return Err(error(property.line, format!("unknown property '{other}'"))),
        }
        Ok(())
    }

    /// Whether a name is forwarded.
    pub(super) fn takes(&self, name: &str) -> bool {
        is_subdomain(&self.from, name) && !self.except.iter().any(|zone| is_subdomain(zone, name))
    }
}

/// An address with or without port, or a file with name servers.
fn servers(line: usize, text: &str, files: Files<'_>) -> Result<Vec<SocketAddrV4>, CorefileError> {
    let bare = match text.split_once("://") {
        None => text,
        Some(("dns", rest)) => rest,
        Some((scheme, _)) => return Err(unsimulated(line, &format!("forwarding by {scheme}://"))),
    };
    if let Ok(server) = bare.parse() {
        return Ok(vec![server]);
    }
    if let Ok(ip) = bare.parse::<Ipv4Addr>() {
        return Ok(vec![SocketAddrV4::new(ip, 53)]);
    }
    let Some(content) = files(bare).filter(|_| bare.starts_with('/')) else {
        return Err(error(line, format!("not an IP address or file: \"{text}\"")));
    };
    let found: Vec<SocketAddrV4> = content
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            words.next().filter(|word| *word == "nameserver")?;
            Some(SocketAddrV4::new(words.next()?.parse().ok()?, 53))
        })
        .collect();
    if found.is_empty() {
        return Err(error(line, format!("no nameservers found in {bare}")));
    }
    Ok(found)
}
