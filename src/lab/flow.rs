//! `vethscope flow`: what the rules of a node do with a packet, as they stand in its netfilter. Every way that chance
//! leaves open is followed.

use super::Lab;
use crate::kernel::{Fate, Outcome, Passed, Probe};
use crate::xtables::protocol_number;
use serde::Serialize;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// A source port as a client would have one; no rule that is written for Services asks for it.
const CLIENT_PORT: u16 = 40_000;
/// Chains of kube-proxy and the kubelet begin so.
const SERVICE_CHAINS: &str = "KUBE-";
/// The chain of its nftables mode that masquerades.
const MASQUERADING: &str = "masquerading";

/// Where a packet is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Address and port.
    pub socket: SocketAddr,
    /// IP protocol number.
    pub protocol: u8,
}

/// What the rules do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// The destination is replaced by an endpoint.
    Dnat,
    /// A rule for Services accepts it.
    Accept,
    /// It is refused, and the sender told.
    Reject,
    /// It is dropped in silence.
    Drop,
    /// No rule for Services is about it.
    NoMatch,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowAnswer {
    /// What happens to the packet.
    pub verdict: Verdict,
    /// The endpoints that it may reach, in order.
    pub endpoints: Vec<String>,
    /// Whether kube-proxy has its source replaced by an address of the node, on one of the ways at least.
    pub masquerade: bool,
    /// The rules that fitted on any of the ways, each with its table, in the order in which they were met.
    pub rules: Vec<String>,
    /// The ways, each with what comes of it.
    pub ways: Vec<Way>,
}

/// One of the ways that a packet may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Way {
    /// What happens to the packet.
    pub verdict: Verdict,
    /// The endpoint that it reaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The chain that has its source replaced, kube-proxy's or that of a network plug-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masqueraded_by: Option<String>,
    /// The rules that fitted.
    pub rules: Vec<String>,
}

impl Destination {
    /// Reads `IP:PORT/PROTO`, with brackets around an address of IPv6.
    pub fn parse(text: &str) -> Option<Self> {
        let (socket, protocol) = text.rsplit_once('/')?;
        let protocol = protocol_number(&protocol.to_ascii_lowercase())?;
        let socket = socket.parse().ok().filter(|_| matches!(protocol, 6 | 17 | 132))?;
        Some(Self { socket, protocol })
    }
}

impl Verdict {
    /// As the contract of the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dnat => "DNAT",
            Self::Accept => "ACCEPT",
            Self::Reject => "REJECT",
            Self::Drop => "DROP",
            Self::NoMatch => "NOMATCH",
        }
    }

    fn of(outcome: &Outcome) -> Self {
        let by_service = |chain: &std::sync::Arc<str>| chain.starts_with(SERVICE_CHAINS);
        match outcome.fate {
            Fate::Rejected(_) => Self::Reject,
            Fate::Dropped => Self::Drop,
            Fate::Accepted if outcome.translated_in.is_some() => Self::Dnat,
            Fate::Accepted if outcome.accepted_in.as_ref().is_some_and(by_service) => Self::Accept,
            Fate::Accepted => Self::NoMatch,
        }
    }
}

impl Way {
    fn of(outcome: &Outcome) -> Self {
        let verdict = Verdict::of(outcome);
        let (ip, port) = outcome.dst;
        Self {
            verdict,
            endpoint: (verdict == Verdict::Dnat).then(|| SocketAddr::new(ip, port).to_string()),
            masqueraded_by: outcome.masqueraded_in.as_ref().map(ToString::to_string),
            rules: outcome.passed.iter().map(rule_text).collect(),
        }
    }
}

/// A rule as `iptables-save` or `nft` prints it, with its table or its chain in front.
fn rule_text(passed: &Passed) -> String {
    match passed {
        Passed::Rule(table, chain, rule) => {
            format!("{} -A {chain} {rule}", table.name()).trim_end().to_owned()
        }
        Passed::Policy(table, chain) => format!("{} -P {chain} DROP", table.name()),
        Passed::Nft(place, text) => format!("nft {place} {text}"),
        Passed::Ipvs(text) => format!("ipvs {text}"),
    }
}

/// Whether a chain is kube-proxy's own, of whichever mode.
fn is_proxys(chain: &str) -> bool {
    chain.starts_with(SERVICE_CHAINS) || chain == MASQUERADING
}

impl Lab {
    /// What the rules of a node do with the first packet of a connection; `None` where there is no such node.
    pub fn flow(&self, node: &str, src: IpAddr, to: Destination) -> Option<FlowAnswer> {
        let netns = self.sim.netns(self.sim.agent()?.node_netns(node)?)?;
        let probe = Probe {
            src,
            dst: to.socket.ip(),
            protocol: to.protocol,
            sport: CLIENT_PORT,
            dport: to.socket.port(),
        };
        let mut ways: Vec<Way> = netns.flow(probe).outcomes.iter().map(Way::of).collect();
        ways.sort_by_key(|way| (way.verdict, way.endpoint.clone()));
        Some(FlowAnswer::of(ways))
    }
}

impl FlowAnswer {
    fn of(ways: Vec<Way>) -> Self {
        let verdict = ways.first().map_or(Verdict::NoMatch, |way| way.verdict);
        let mut endpoints: Vec<String> = Vec::new();
        let mut rules: Vec<String> = Vec::new();
        for way in &ways {
            if let Some(endpoint) = way.endpoint.as_ref().filter(|own| !endpoints.contains(own)) {
                endpoints.push(endpoint.clone());
            }
            for rule in &way.rules {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        let by_proxy = |way: &Way| {
            way.endpoint.is_some() && way.masqueraded_by.as_ref().is_some_and(|chain| is_proxys(chain))
        };
        let masquerade = ways.iter().any(by_proxy);
        Self { verdict, endpoints, masquerade, rules, ways }
    }

    /// The answer for a person.
    pub fn text(&self) -> String {
        let mut out = self.verdict.name().to_owned();
        if !self.endpoints.is_empty() {
            let _ = write!(out, " to {}", self.endpoints.join(" or "));
        }
        if self.masquerade {
            out += ", masqueraded";
        }
        out.push('\n');
        for rule in &self.rules {
            let _ = writeln!(out, "  {rule}");
        }
        out
    }
}
