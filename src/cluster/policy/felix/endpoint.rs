//! The chains of Pods' interfaces (`felix/rules/endpoints.go`) and those that lead to them (`dispatch.go`).

use super::line::{Line, limited};
use super::{ACCEPT, Host, PASS, Wanted, policy};
use crate::api::{AdminTier, PolicyType};
use crate::cluster::policy::Scope;
use std::collections::{BTreeMap, BTreeSet};

/// The port of VXLAN that a Pod may not send to, so that no policy is passed by in a tunnel.
const VXLAN_PORT: u16 = 4789;

/// A direction as the names of chains have it.
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// The direction as the Pod sees it.
    pub(super) direction: PolicyType,
    /// Chains of endpoints.
    endpoint: &'static str,
    /// Chains of policies.
    pub(super) policy: &'static str,
    /// Chains of profiles.
    profile: &'static str,
    /// The chain that leads to those of endpoints.
    dispatch: &'static str,
    /// The condition on the interface.
    interface: &'static str,
    /// Its word in comments.
    pub(super) word: &'static str,
}

const IN: Way = Way {
    direction: PolicyType::Ingress,
    endpoint: "cali-tw-",
    policy: "cali-pi-",
    profile: "cali-pri-",
    dispatch: "cali-to-wl-dispatch",
    interface: "--out-interface",
    word: "ingress",
};
const OUT: Way = Way {
    direction: PolicyType::Egress,
    endpoint: "cali-fw-",
    policy: "cali-po-",
    profile: "cali-pro-",
    dispatch: "cali-from-wl-dispatch",
    interface: "--in-interface",
    word: "egress",
};

/// The chains of all Pods of a node, of their policies and profiles, and the way to them.
pub(super) fn chains(wanted: &mut Wanted, scope: &Scope<'_>, host: &Host<'_>) {
    let names: BTreeSet<&str> = host.local.iter().map(|(_, name)| *name).collect();
    for way in [OUT, IN] {
        dispatch(wanted, &names, way);
        for &(at, interface) in &host.local {
            endpoint(wanted, scope, (at, interface), way);
        }
    }
}

/// Goes by the interface's name; where several share the first letter that differs, by that letter first.
fn dispatch(wanted: &mut Wanted, names: &BTreeSet<&str>, way: Way) {
    let unknown = || Line::drop().comment("Unknown interface");
    let to_endpoint =
        |name: &str| Line::goto(&limited(way.endpoint, name)).with(&format!("{} {name}", way.interface));
    let shared = common_prefix(names);
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        let prefix = name.get(..shared + 1).unwrap_or(name);
        groups.entry(prefix).or_default().push(name);
    }
    let mut root = Vec::new();
    for (prefix, group) in groups {
        if let [name] = group[..] {
            root.push(to_endpoint(name));
            continue;
        }
        let child = format!("{}-{}", way.dispatch, &prefix[shared..]);
        root.push(Line::goto(&child).with(&format!("{} {prefix}+", way.interface)));
        let lines: Vec<Line> = group.into_iter().map(to_endpoint).chain([unknown()]).collect();
        wanted.add(&child, &lines);
    }
    root.push(unknown());
    wanted.add(way.dispatch, &root);
}

/// How many letters all names begin with.
fn common_prefix(names: &BTreeSet<&str>) -> usize {
    let (Some(first), Some(last)) = (names.first(), names.last()) else { return 0 };
    first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count()
}

/// The chain of one interface: what belongs to a connection passes, then policies are asked, then profiles.
fn endpoint(wanted: &mut Wanted, scope: &Scope<'_>, (at, interface): (usize, &str), way: Way) {
    let mut lines = vec![
        Line::accept().with("-m conntrack --ctstate RELATED,ESTABLISHED"),
        Line::drop().with("-m conntrack --ctstate INVALID"),
        Line::clear_mark(ACCEPT | PASS),
    ];
    if way.direction == PolicyType::Egress {
        let vxlan = format!("-p 17 -m multiport --destination-ports {VXLAN_PORT}");
        lines.push(Line::drop().with(&vxlan).comment("Drop VXLAN encapped packets originating in workloads"));
        lines
            .push(Line::drop().with("-p 4").comment("Drop IPinIP encapped packets originating in workloads"));
    }
    let admin = |wanted: &mut Wanted, tier| {
        let policies: Vec<_> = scope.admin_of(at, tier, way.direction).collect();
        policies.into_iter().map(|policy| policy::admin_chain(wanted, scope, policy, way)).collect()
    };
    let before: Vec<String> = admin(wanted, AdminTier::Admin);
    lines.extend(tier("adminnetworkpolicy", &before));
    let own: Vec<_> = scope.isolating(at, way.direction).collect();
    let own: Vec<String> = own.into_iter().map(|policy| policy::chain(wanted, scope, policy, way)).collect();
    lines.extend(tier("default", &own));
    if !own.is_empty() {
        lines.push(Line::drop().unmarked(PASS).comment("Drop if no policies passed packet"));
    }
    let after: Vec<String> = admin(wanted, AdminTier::Baseline);
    lines.extend(tier("baselineadminnetworkpolicy", &after));
    let pod = scope.pods[at].pod;
    let namespace = &pod.metadata.namespace;
    let account = pod.spec.service_account_name.as_deref().unwrap_or("default");
    for (profile, allows) in
        [(format!("kns.{namespace}"), true), (format!("ksa.{namespace}.{account}"), false)]
    {
        let chain = limited(way.profile, &profile);
        let comment = format!("Profile {profile} {}", way.word);
        let line = if allows { Line::set_mark(ACCEPT) } else { Line::empty() };
        wanted.add(&chain, &[line.comment(&comment)]);
        lines.push(Line::jump(&chain));
        lines.push(Line::returns().marked(ACCEPT).comment("Return if profile accepted"));
    }
    lines.push(Line::drop().comment("Drop if no profiles matched"));
    wanted.add(&limited(way.endpoint, interface), &lines);
}

/// Asks the chains of a tier's policies in order, until one accepts or passes on to the next tier.
fn tier(name: &str, chains: &[String]) -> Vec<Line> {
    let start = Line::clear_mark(PASS).comment(&format!("Start of tier {name}"));
    let asked = chains.iter().flat_map(|chain| {
        [
            Line::jump(chain).unmarked(PASS),
            Line::returns().marked(ACCEPT).comment("Return if policy accepted"),
        ]
    });
    (!chains.is_empty()).then_some(start).into_iter().chain(asked).collect()
}
