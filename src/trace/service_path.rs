//! The way of a packet to a Service, read from the rules that decided about it: virtual IP, rule chains, the choice of
//! an endpoint. kube-proxy writes into each rule's comment which port of a Service it serves.

use super::netfilter::{NetfilterChange, RuleRow};
use super::nft::{NftChange, NftElementRow, NftRuleRow};
use super::{EventKind, IpvsChange, IpvsState, ServiceChange, Table, TableChange, Trace};
use crate::base::words::{self, Lang};
use crate::base::{EventId, JourneyId};
use crate::nftables::{Part, Verdict};
use crate::xtables::{Match, RecentMode, Statistic, Target};
use serde::Serialize;

/// What a rule of kube-proxy's says about a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceFact {
    /// What it is.
    pub fact: ServiceStep,
    /// The port of the Service, as `namespace/name:port`; empty where the rule serves all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The endpoint, as `address:port`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// Out of how many endpoints it was chosen by chance; 1 where no other was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_of: Option<u32>,
}

/// A step of the way to a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum ServiceStep {
    /// The destination is an address of a Service.
    #[serde(rename = "service found")]
    Found,
    /// The destination is a port of a node.
    #[serde(rename = "node port found")]
    NodePort,
    /// An endpoint was drawn.
    #[serde(rename = "endpoint chosen")]
    Chosen,
    /// An endpoint was taken in turn.
    #[serde(rename = "endpoint taken in turn")]
    Turn,
    /// The client keeps the endpoint that it had before.
    #[serde(rename = "endpoint kept")]
    Kept,
    /// The destination is replaced by the endpoint.
    #[serde(rename = "destination replaced")]
    Replaced,
    /// The packet is marked, so that its source will be replaced.
    #[serde(rename = "marked for masquerading")]
    Marked,
    /// The source is replaced by an address of the node.
    #[serde(rename = "source replaced")]
    Masqueraded,
    /// The Service has no endpoint at all.
    #[serde(rename = "no endpoint")]
    NoEndpoint,
    /// The Service has no endpoint on this node, and must not use another.
    #[serde(rename = "no local endpoint")]
    NoLocalEndpoint,
    /// The client is not among those that may use the load balancer.
    #[serde(rename = "source not allowed")]
    NotAllowed,
}

impl ServiceStep {
    /// Key of its sentence in the catalogues.
    pub fn key(self) -> &'static str {
        match self {
            Self::Found => "why.service.found",
            Self::NodePort => "why.service.node-port",
            Self::Chosen => "why.service.chosen",
            Self::Turn => "why.service.turn",
            Self::Kept => "why.service.kept",
            Self::Replaced => "why.service.replaced",
            Self::Marked => "why.service.marked",
            Self::Masqueraded => "why.service.masqueraded",
            Self::NoEndpoint => "why.service.none",
            Self::NoLocalEndpoint => "why.service.none-here",
            Self::NotAllowed => "why.service.not-allowed",
        }
    }
}

/// What a row says about Services: a rule of kube-proxy's, or a socket whose destination was replaced.
pub fn of_change(change: &TableChange) -> Option<ServiceFact> {
    if let TableChange::Netfilter(NetfilterChange::Rule(row)) = change {
        fact(row)
    } else if let TableChange::Netfilter(NetfilterChange::Nft(change)) = change {
        nft_fact(change)
    } else if let TableChange::Netfilter(NetfilterChange::Ipvs(change)) = change {
        ipvs_fact(change)
    } else {
        of_socket(change)
    }
}

/// What a row of IPVS says about Services: a connection that begins, or a virtual server that has nobody to give it to.
pub fn ipvs_fact(change: &IpvsChange) -> Option<ServiceFact> {
    let (fact, service, endpoint, one_of) = match change {
        IpvsChange::Connection(row) if row.template => return None,
        IpvsChange::Connection(row) => {
            if !matches!(row.state, IpvsState::None | IpvsState::SynRecv | IpvsState::Udp) {
                return None;
            }
            let (fact, one_of) = match row.one_of {
                0 => (ServiceStep::Kept, None),
                count => (ServiceStep::Turn, Some(count)),
            };
            (fact, &row.service, row.real.to_string(), one_of)
        }
        IpvsChange::Server(row) => (ServiceStep::NoEndpoint, &row.service, String::new(), None),
        IpvsChange::ServerGone(..) | IpvsChange::ConnectionGone(..) => return None,
    };
    Some(ServiceFact { fact, service: service.to_string(), endpoint, one_of })
}

/// What the replacement of a socket's destination says.
pub fn of_socket(change: &TableChange) -> Option<ServiceFact> {
    let TableChange::Service(ServiceChange::Balanced(row)) = change else { return None };
    Some(ServiceFact {
        fact: ServiceStep::Chosen,
        service: row.service.to_string(),
        endpoint: row.endpoint.to_string(),
        one_of: Some(row.one_of),
    })
}

/// What a rule says about Services; `None` for any other rule.
pub fn fact(row: &RuleRow) -> Option<ServiceFact> {
    let comment = row
        .rule
        .matches
        .iter()
        .find_map(|each| if let Match::Comment(text) = each { Some(&**text) } else { None });
    let comment = comment.unwrap_or("");
    let (service, rest) = comment.split_once(' ').unwrap_or((comment, ""));
    let to = row.rule.jumps_to().map_or("", |chain| &**chain);
    let to_port =
        ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-"].iter().any(|start| to.starts_with(start));
    let (service, endpoint) = match &*row.chain {
        "KUBE-POSTROUTING" | "KUBE-MARK-MASQ" => ("", ""),
        _ if to == "KUBE-NODEPORTS" => ("", ""),
        chain if chain.starts_with("KUBE-") => (service, rest.strip_prefix("-> ").unwrap_or("")),
        _ => return None,
    };
    let fact = match (&*row.chain, &row.rule.target) {
        ("KUBE-SERVICES", Target::Jump(_)) if to == "KUBE-NODEPORTS" => return None,
        ("KUBE-SERVICES", Target::Jump(_)) if to_port => ServiceStep::Found,
        ("KUBE-NODEPORTS", Target::Jump(_)) if to_port => ServiceStep::NodePort,
        (_, Target::Jump(_)) if to.starts_with("KUBE-SEP-") => {
            let recent =
                |each: &Match| matches!(each, Match::Recent(recent) if recent.is.mode == RecentMode::Rcheck);
            if row.rule.matches.iter().any(recent) { ServiceStep::Kept } else { ServiceStep::Chosen }
        }
        (chain, Target::Dnat(..)) if chain.starts_with("KUBE-SEP-") => ServiceStep::Replaced,
        ("KUBE-MARK-MASQ", Target::Mark(..)) => ServiceStep::Marked,
        ("KUBE-POSTROUTING", Target::Masquerade(..)) => ServiceStep::Masqueraded,
        // An address of a Service, at a port that it does not have.
        ("KUBE-IPVS-FILTER", _) => return None,
        (_, Target::Reject(_)) => ServiceStep::NoEndpoint,
        ("KUBE-PROXY-FIREWALL" | "KUBE-SOURCE-RANGES-FIREWALL", Target::Drop) => ServiceStep::NotAllowed,
        ("KUBE-SERVICES" | "KUBE-EXTERNAL-SERVICES", Target::Drop) => ServiceStep::NoLocalEndpoint,
        _ => return None,
    };
    let endpoint =
        if let Target::Dnat(range, _) = &row.rule.target { range.text() } else { endpoint.to_owned() };
    let one_of = (fact == ServiceStep::Chosen).then(|| chance(row));
    Some(ServiceFact { fact, service: service.to_owned(), endpoint, one_of })
}

/// What a row of nftables says about Services; its chains and comments bear the names of their ports.
pub fn nft_fact(change: &NftChange) -> Option<ServiceFact> {
    match change {
        NftChange::Rule(row) => nft_rule_fact(row),
        NftChange::Element(row) => nft_element_fact(row),
        NftChange::Chain(_)
        | NftChange::Set(_)
        | NftChange::ChainGone(..)
        | NftChange::RuleGone(..)
        | NftChange::SetGone(..)
        | NftChange::ElementGone(..) => None,
    }
}

fn nft_rule_fact(row: &NftRuleRow) -> Option<ServiceFact> {
    let (step, endpoint) = match (&*row.chain, row.rule.parts.last()?) {
        (_, Part::Dnat(to)) => (ServiceStep::Replaced, to.to_string()),
        ("mark-for-masquerade", Part::MarkOr(_)) => (ServiceStep::Marked, String::new()),
        ("masquerading", Part::Masquerade) => (ServiceStep::Masqueraded, String::new()),
        (chain, Part::Goto(to)) if chain.starts_with("service-") || chain.starts_with("local-") => {
            (ServiceStep::Kept, nft_endpoint(to)?)
        }
        (chain, Part::Drop) if chain.starts_with("firewall-") => (ServiceStep::NotAllowed, String::new()),
        _ => return None,
    };
    let service = nft_service(&row.chain).unwrap_or_default();
    Some(ServiceFact { fact: step, service, endpoint, one_of: None })
}

fn nft_element_fact(row: &NftElementRow) -> Option<ServiceFact> {
    let verdict = row.verdict.as_ref()?;
    let named = |verdict: &Verdict| match verdict {
        Verdict::Goto(chain) => nft_service(chain),
        Verdict::Drop => None,
    };
    let step = match (&*row.set, verdict) {
        ("service-ips", _) => ServiceStep::Found,
        ("service-nodeports", _) => ServiceStep::NodePort,
        ("no-endpoint-services" | "no-endpoint-nodeports", Verdict::Goto(_)) => ServiceStep::NoEndpoint,
        ("no-endpoint-services" | "no-endpoint-nodeports", Verdict::Drop) => ServiceStep::NoLocalEndpoint,
        _ => return None,
    };
    let service =
        row.comment.as_ref().map(ToString::to_string).or_else(|| named(verdict)).unwrap_or_default();
    Some(ServiceFact { fact: step, service, endpoint: String::new(), one_of: None })
}

/// `ns/name:port` of a chain such as `service-ULMVA6XW-ns/name/tcp/port`.
fn nft_service(chain: &str) -> Option<String> {
    let (_, rest) = chain.split_once('-')?;
    let (_, rest) = rest.split_once('-')?;
    let mut parts = rest.split("__").next()?.split('/');
    let (namespace, name, _, port) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let port = if port.is_empty() { String::new() } else { format!(":{port}") };
    Some(format!("{namespace}/{name}{port}"))
}

/// `address:port` of a chain such as `endpoint-5OJB2KTY-ns/name/tcp/port__10.0.0.1/80`.
fn nft_endpoint(chain: &str) -> Option<String> {
    let (address, port) = chain.rsplit_once("__")?.1.split_once('/')?;
    Some(format!("{address}:{port}"))
}

/// Out of how many a rule draws: its probability is one part of them (`computeProbability`).
fn chance(row: &RuleRow) -> u32 {
    let drawn = row.rule.matches.iter().find_map(|each| {
        let Match::Statistic(statistic) = each else { return None };
        match statistic.is {
            Statistic::Random(probability) if probability > 0 => Some(probability),
            Statistic::Random(_) | Statistic::Nth { .. } => None,
        }
    });
    drawn.map_or(1, |probability| {
        ((1_u64 << 31) + u64::from(probability) / 2).div_euclid(u64::from(probability)) as u32
    })
}

/// The sentence about a fact, at a place.
pub fn sentence(fact: &ServiceFact, place: &str, lang: Lang) -> String {
    let key = match fact.one_of {
        Some(1) => "why.service.chosen.only",
        Some(_) | None => fact.fact.key(),
    };
    let one_of = fact.one_of.map_or_else(String::new, |of| of.to_string());
    words::text(lang, key, &[place.to_owned(), fact.service.clone(), fact.endpoint.clone(), one_of])
}

/// The facts about one packet in order, each with its event: what a view of the Service shows.
pub fn of_journey(trace: &Trace, journey: JourneyId) -> Vec<(EventId, ServiceFact)> {
    let decided = |(at, event): (usize, &super::Event)| {
        let EventKind::Decided(Table::Netfilter | Table::Ipvs, change) = event.kind else { return None };
        if event.journey != journey || !change.is_some() {
            return None;
        }
        Some((EventId(at as u32), of_change(&trace.changes[change.index()])?))
    };
    trace.events.iter().enumerate().filter_map(decided).collect()
}
