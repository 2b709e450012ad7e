//! The program of `NodeLocal DNSCache` (kubernetes/dns, `cmd/node-cache`): a CoreDNS on each node that takes the
//! questions for the cluster's DNS before they leave it. It makes the device `nodelocaldns` with the addresses that it
//! serves, keeps them out of connection tracking, and forms its Corefile from a template and the `ConfigMap` `kube-dns`.
//!
//! *Simplified*: the iptables rules stand at once, where the real one looks for its own PID file once a second first.

use super::coredns::CoreDns;
use super::{Os, Process, Wake};
use crate::base::{Duration, Ipv4Addr, Ipv4Net, MacAddr};
use crate::kernel::{Ctx, LinkSpec, NetfilterOp, Netns};
use crate::trace::{Scope, Stream};
use crate::xtables::{Family, Table, parse_rule};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Name of the device.
const DEVICE: &str = "nodelocaldns";
/// The template of the Corefile, and where the `ConfigMap` `kube-dns` is mounted.
const BASE: &str = "/etc/coredns/Corefile.base";
const KUBE_DNS: &str = "/etc/kube-dns";
/// Port that is served, and that of the plugin `health`.
const PORT: u16 = 53;
const HEALTH_PORT: u16 = 8080;
/// Timers beside those of CoreDNS: the check of rules and device, and that of the `ConfigMaps`.
const TIMER_NETWORK: u32 = 1 << 10;
const TIMER_CONFIG: u32 = 1 + (1 << 10);
/// How often each is looked at (`syncinterval`, `DefaultConfigSyncPeriod`).
const NETWORK_EVERY: Duration = Duration::from_secs(60);
const CONFIG_EVERY: Duration = Duration::from_secs(10);

/// The settings of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCacheConfig {
    /// Addresses that are served (`-localip`).
    pub local: Vec<Ipv4Addr>,
    /// The Corefile that is written and used (`-conf`).
    pub path: String,
    /// The Service that questions about the cluster go to (`-upstreamsvc`).
    pub upstream: String,
}

/// The running program.
#[derive(Clone, Debug)]
pub struct NodeCache {
    config: NodeCacheConfig,
    /// What was last read of template and stub domains.
    read: Option<Sources>,
    coredns: CoreDns,
}

/// What the Corefile is formed from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sources {
    base: String,
    stub_domains: Option<String>,
    upstream: Option<String>,
}

impl NodeCache {
    /// A cache that has not begun yet.
    pub fn new(config: NodeCacheConfig) -> Self {
        let coredns = CoreDns::new(config.path.clone());
        Self { config, read: None, coredns }
    }

    /// Forms the Corefile anew where its sources changed (`updateCorefile`). The plugin `reload` finds it.
    fn update_corefile(&mut self, os: &mut dyn Os) {
        let Some(base) = os.read_file(BASE) else {
            return error(
                os,
                &format!(
                    "Failed to read node-cache coreFile {BASE} - open {BASE}: no such file or directory"
                ),
            );
        };
        let file = |name: &str| os.read_file(&format!("{KUBE_DNS}/{name}"));
        let sources =
            Sources { base, stub_domains: file("stubDomains"), upstream: file("upstreamNameservers") };
        if self.read.as_ref() == Some(&sources) {
            return;
        }
        let name = format!("{}_SERVICE_HOST", self.config.upstream.replace('-', "_").to_uppercase());
        let cluster = os.variable(&name).and_then(|text| text.parse().ok());
        let stubs = stub_domains(sources.stub_domains.as_deref());
        let upstream = upstream_servers(sources.upstream.as_deref());
        let text = corefile(&sources.base, &self.config.local, cluster, &stubs, &upstream);
        if let Err(errno) = os.write_file(&self.config.path, text.as_bytes()) {
            let (path, why) = (&self.config.path, errno.text().to_lowercase());
            return error(os, &format!("Failed to write config file {path} - err open {path}: {why}"));
        }
        let n_stubs = stubs.len();
        info(
            os,
            &format!("Updated Corefile with {n_stubs} custom stubdomains and upstream servers {upstream}"),
        );
        info(os, &format!("Using config file:\n{text}"));
        self.read = Some(sources);
    }

    fn start(&mut self, os: &mut dyn Os) {
        info(os, &format!("Using Corefile {}", self.config.path));
        self.update_corefile(os);
        self.ensure_device(os);
        self.coredns.wake(os, Wake::Start);
        self.ensure_rules(os);
        os.set_timer(TIMER_NETWORK, NETWORK_EVERY);
        os.set_timer(TIMER_CONFIG, CONFIG_EVERY);
    }

    /// Makes the device, which stays down: its addresses are the machine's all the same (`EnsureDummyDevice`).
    fn ensure_device(&self, os: &mut dyn Os) {
        let mut is_there = false;
        os.administer(&mut |netns, _| is_there = netns.link_named(DEVICE).is_some());
        let made = !is_there;
        // Chance is asked only for a device that is made.
        let mac = made.then(|| random_mac(os));
        os.administer(&mut |netns, ctx| {
            let found = netns.link_named(DEVICE).map(|link| link.ifindex);
            let Some(device) = found.or_else(|| Some(netns.make_link(ctx, LinkSpec::dummy(DEVICE, mac?))))
            else {
                return;
            };
            for ip in &self.config.local {
                if !netns.has_addr(*ip) {
                    netns.add_addr(ctx, device, Ipv4Net::new_assert(*ip, 32), None, Scope::Global);
                }
            }
        });
        if made {
            info(os, &format!("Added interface - {DEVICE}"));
        }
    }

    /// Puts each rule in front of its chain, where it is missing (`EnsureRule`).
    fn ensure_rules(&self, os: &mut dyn Os) {
        for (table, line) in rules(&self.config.local) {
            let mut added = false;
            os.administer(&mut |netns, ctx| added = ensure(netns, ctx, table, &line));
            if added {
                let words = line.split_once(' ').map_or("", |(_, words)| words);
                let chain = line.split(' ').next().unwrap_or_default();
                let table = table.name();
                info(os, &format!("Added back nodelocaldns rule - {{{table} {chain} [{words}]}}"));
            }
        }
    }

    /// Takes device and rules away (`TeardownNetworking`). Who is killed does not get here, and leaves them.
    fn tear_down(&self, os: &mut dyn Os) {
        info(os, "Tearing down");
        let rules = rules(&self.config.local);
        os.administer(&mut |netns, ctx| {
            if let Some(device) = netns.link_named(DEVICE).map(|link| link.ifindex) {
                netns.del_link(ctx, device);
            }
            for (table, line) in &rules {
                remove(netns, ctx, *table, line);
            }
        });
    }
}

impl Process for NodeCache {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.start(os),
            Wake::Timer(TIMER_NETWORK) => {
                self.ensure_rules(os);
                self.ensure_device(os);
                os.set_timer(TIMER_NETWORK, NETWORK_EVERY);
            }
            Wake::Timer(TIMER_CONFIG) => {
                self.update_corefile(os);
                os.set_timer(TIMER_CONFIG, CONFIG_EVERY);
            }
            Wake::Terminate | Wake::Interrupt => {
                self.tear_down(os);
                self.coredns.wake(os, wake);
            }
            Wake::Timer(_) | Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {
                self.coredns.wake(os, wake);
            }
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }

    fn handles_termination(&self) -> bool {
        true
    }
}

fn info(os: &mut dyn Os, line: &str) {
    os.write(Stream::Stdout, &format!("[INFO] {line}\n"));
}

fn error(os: &mut dyn Os, line: &str) {
    os.write(Stream::Stdout, &format!("[ERROR] {line}\n"));
}

fn random_mac(os: &mut dyn Os) -> MacAddr {
    let octets = [os.random().to_be_bytes(), os.random().to_be_bytes()].concat();
    MacAddr([octets[0] & 0xfe | 2, octets[1], octets[2], octets[3], octets[4], octets[5]])
}

/// The rules for each address in the order in which they are put in front, so that the last one stands first
/// (`initIptables`). They are written as `CHAIN RULE`.
fn rules(local: &[Ipv4Addr]) -> Vec<(Table, String)> {
    let mut out = Vec::new();
    for ip in local {
        let mut both = |table: Table, words: String, target: &str| {
            for protocol in ["tcp", "udp"] {
                let (chain, rest) = words.split_once(' ').unwrap_or((&words, ""));
                out.push((table, format!("{chain} -p {protocol} {rest} -j {target}")));
            }
        };
        both(Table::Raw, format!("PREROUTING -d {ip} --dport {PORT}"), "NOTRACK");
        both(Table::Filter, format!("INPUT -d {ip} --dport {PORT}"), "ACCEPT");
        both(Table::Raw, format!("OUTPUT -s {ip} --sport {PORT}"), "NOTRACK");
        both(Table::Filter, format!("OUTPUT -s {ip} --sport {PORT}"), "ACCEPT");
        both(Table::Raw, format!("OUTPUT -d {ip} --dport {PORT}"), "NOTRACK");
        for end in [format!("-d {ip} --dport {HEALTH_PORT}"), format!("-s {ip} --sport {HEALTH_PORT}")] {
            out.push((Table::Raw, format!("OUTPUT -p tcp {end} -j NOTRACK")));
        }
    }
    out
}

/// Chain and rule of a line, as the kernel takes them.
fn parsed(line: &str) -> Option<(Arc<str>, Arc<crate::xtables::Rule>)> {
    let words: Vec<&str> = line.split(' ').collect();
    let (chain, rest) = words.split_first()?;
    Some((Arc::from(*chain), Arc::new(parse_rule(rest).ok()?)))
}

fn ensure(netns: &mut Netns, ctx: &mut Ctx<'_>, table: Table, line: &str) -> bool {
    let Some((chain, rule)) = parsed(line) else { return false };
    let missing = netns.nf_rules(Family::V4, table, &chain).all(|(_, present)| present != rule);
    if missing {
        netns.change_netfilter(ctx, NetfilterOp::Table(table));
        netns.change_netfilter(ctx, NetfilterOp::Insert(table, chain, 0, rule, (0, 0)));
    }
    missing
}

fn remove(netns: &mut Netns, ctx: &mut Ctx<'_>, table: Table, line: &str) {
    let Some((chain, rule)) = parsed(line) else { return };
    let present = netns.nf_rules(Family::V4, table, &chain);
    let handles: Vec<u32> =
        present.filter(|(_, present)| *present == rule).map(|(handle, _)| handle).collect();
    for handle in handles {
        netns.change_netfilter(ctx, NetfilterOp::Delete(table, chain.clone(), handle));
    }
}

/// Domains with the servers that know them, of the key `stubDomains` of the `ConfigMap` `kube-dns`.
fn stub_domains(text: Option<&str>) -> BTreeMap<String, Vec<String>> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The servers of everything else: of the key `upstreamNameservers`, or those of the node.
fn upstream_servers(text: Option<&str>) -> String {
    let list = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let servers = list.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let servers: Vec<&str> = servers.collect();
    if servers.is_empty() { "/etc/resolv.conf".to_owned() } else { servers.join(" ") }
}

/// The template with addresses in the place of its words, and a server block for each stub domain.
fn corefile(
    base: &str,
    local: &[Ipv4Addr],
    cluster: Option<Ipv4Addr>,
    stubs: &BTreeMap<String, Vec<String>>,
    upstream: &str,
) -> String {
    let own = local.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    // What Go prints for no address, which CoreDNS then refuses.
    let cluster = cluster.map_or_else(|| "<nil>".to_owned(), |ip| ip.to_string());
    let mut text = base
        .replace("__PILLAR__UPSTREAM__SERVERS__", upstream)
        .replace("__PILLAR__CLUSTER__DNS__", &cluster)
        .replace("__PILLAR__LOCAL__DNS__", &own)
        .replace("__PILLAR__DNS__SERVER__", "");
    for (domain, servers) in stubs {
        let servers = servers.join(" ");
        let block = format!("    errors\n    cache 30\n    bind {own}\n    forward . {servers}\n");
        let _ = write!(text, "\n{domain}:{PORT} {{\n{block}}}\n");
    }
    text
}
