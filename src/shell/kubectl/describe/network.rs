//! Services and `NetworkPolicies`.

use super::{Look, head, line};
use crate::shell::kubectl::json::{at, labels as format_labels, list, number, or, plain, selector, text};
use serde_json::Value;

pub(super) fn service(service: &Value, look: &Look<'_>, out: &mut String) {
    head(service, true, out);
    let own = |path: &str| text(service, path);
    let kind = or(own("spec.type"), "ClusterIP");
    line(out, &format!("Selector:\t{}", format_labels(service, "spec.selector")));
    line(out, &format!("Type:\t{kind}"));
    let external = kind == "ExternalName";
    if !external {
        line(out, &format!("IP Family Policy:\t{}", or(own("spec.ipFamilyPolicy"), "SingleStack")));
    }
    let families: Vec<String> = list(service, "spec.ipFamilies").iter().map(plain).collect();
    let families =
        if families.is_empty() && !external { "IPv4".to_owned() } else { or(&families.join(","), "<none>") };
    line(out, &format!("IP Families:\t{families}"));
    line(out, &format!("IP:\t{}", own("spec.clusterIP")));
    let ips: Vec<String> = list(service, "spec.clusterIPs").iter().map(plain).collect();
    line(out, &format!("IPs:\t{}", or(&ips.join(","), "<none>")));
    let external_ips: Vec<String> = list(service, "spec.externalIPs").iter().map(plain).collect();
    if !external_ips.is_empty() {
        line(out, &format!("External IPs:\t{}", external_ips.join(",")));
    }
    let ingress = list(service, "status.loadBalancer.ingress");
    if !ingress.is_empty() {
        let all: Vec<String> = ingress
            .iter()
            .map(|one| {
                if text(one, "ip").is_empty() {
                    text(one, "hostname").to_owned()
                } else {
                    format!("{} (VIP)", text(one, "ip"))
                }
            })
            .collect();
        line(out, &format!("LoadBalancer Ingress:\t{}", all.join(", ")));
    }
    if !own("spec.externalName").is_empty() {
        line(out, &format!("External Name:\t{}", own("spec.externalName")));
    }
    for port in list(service, "spec.ports") {
        let (name, protocol) = (or(text(port, "name"), "<unset>"), or(text(port, "protocol"), "TCP"));
        line(out, &format!("Port:\t{name}\t{}/{protocol}", number(port, "port")));
        let target = at(port, "targetPort");
        let target = if target.is_null() { number(port, "port").to_string() } else { plain(target) };
        line(out, &format!("TargetPort:\t{target}/{protocol}"));
        if number(port, "nodePort") != 0 {
            line(out, &format!("NodePort:\t{name}\t{}/{protocol}", number(port, "nodePort")));
        }
        line(out, &format!("Endpoints:\t{}", endpoints(service, text(port, "name"), look)));
    }
    line(out, &format!("Session Affinity:\t{}", or(own("spec.sessionAffinity"), "None")));
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        line(out, &format!("External Traffic Policy:\t{}", or(own("spec.externalTrafficPolicy"), "Cluster")));
    }
    if !external {
        line(out, &format!("Internal Traffic Policy:\t{}", or(own("spec.internalTrafficPolicy"), "Cluster")));
    }
    if number(service, "spec.healthCheckNodePort") != 0 {
        line(out, &format!("HealthCheck NodePort:\t{}", number(service, "spec.healthCheckNodePort")));
    }
    let ranges: Vec<String> = list(service, "spec.loadBalancerSourceRanges").iter().map(plain).collect();
    if !ranges.is_empty() {
        line(out, &format!("LoadBalancer Source Ranges:\t{}", ranges.join(",")));
    }
}

/// Addresses behind one port (`formatEndpointSlices`): three, then how many more.
pub(super) fn endpoints(service: &Value, port: &str, look: &Look<'_>) -> String {
    let (namespace, name) = (text(service, "metadata.namespace"), text(service, "metadata.name"));
    let slices =
        look.inventory.slices.values().filter(|row| &*row.namespace == namespace && &*row.service == name);
    let slices: Vec<_> = slices.collect();
    if slices.is_empty() {
        return "<none>".to_owned();
    }
    let mut all = Vec::new();
    for slice in slices {
        for (_, _, number) in slice.ports.iter().filter(|(name, _, _)| &**name == port) {
            for one in slice.endpoints.iter().filter(|one| one.ready) {
                all.push(match number {
                    Some(number) => format!("{}:{number}", one.address),
                    None => one.address.to_string(),
                });
            }
        }
    }
    let more = all.len().saturating_sub(3);
    all.truncate(3);
    let shown = all.join(",");
    if more == 0 { shown } else { format!("{shown} + {more} more...") }
}

/// `describeEndpointSliceV1`.
pub(super) fn slice(slice: &Value, out: &mut String) {
    head(slice, true, out);
    line(out, &format!("AddressType:\t{}", text(slice, "addressType")));
    let ports = list(slice, "ports");
    line(out, if ports.is_empty() { "Ports: <unset>" } else { "Ports:" });
    if !ports.is_empty() {
        line(out, "  Name\tPort\tProtocol\n  ----\t----\t--------");
    }
    for port in ports {
        let number = at(port, "port").as_i64().map_or("<unset>".to_owned(), |number| number.to_string());
        let (name, protocol) = (or(text(port, "name"), "<unset>"), or(text(port, "protocol"), "TCP"));
        line(out, &format!("  {name}\t{number}\t{protocol}"));
    }
    let endpoints = list(slice, "endpoints");
    line(out, if endpoints.is_empty() { "Endpoints: <none>" } else { "Endpoints:" });
    for one in endpoints {
        let addresses: Vec<String> = list(one, "addresses").iter().map(plain).collect();
        let ready = at(one, "conditions.ready").as_bool().map_or("<unset>".to_owned(), |is| is.to_string());
        line(
            out,
            &format!("  - Addresses:\t{}\n    Conditions:\n      Ready:\t{ready}", addresses.join(", ")),
        );
        line(out, &format!("    Hostname:\t{}", or(text(one, "hostname"), "<unset>")));
        if !at(one, "targetRef").is_null() {
            let (kind, name) = (text(one, "targetRef.kind"), text(one, "targetRef.name"));
            line(out, &format!("    TargetRef:\t{kind}/{name}"));
        }
        line(out, &format!("    NodeName:\t{}", or(text(one, "nodeName"), "<unset>")));
        line(out, &format!("    Zone:\t{}", or(text(one, "zone"), "<unset>")));
    }
}

/// `describeEndpoints`.
pub(super) fn old_endpoints(endpoints: &Value, out: &mut String) {
    head(endpoints, true, out);
    line(out, "Subsets:");
    for subset in list(endpoints, "subsets") {
        for (title, field) in [("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")] {
            let ips: Vec<&str> = list(subset, field).iter().map(|one| text(one, "ip")).collect();
            line(out, &format!("  {title}:\t{}", or(&ips.join(","), "<none>")));
        }
        let ports = list(subset, "ports");
        if !ports.is_empty() {
            line(out, "  Ports:\n    Name\tPort\tProtocol\n    ----\t----\t--------");
        }
        for port in ports {
            let (name, protocol) = (or(text(port, "name"), "<unset>"), or(text(port, "protocol"), "TCP"));
            line(out, &format!("    {name}\t{}\t{protocol}", number(port, "port")));
        }
        line(out, "");
    }
}

pub(super) fn policy(policy: &Value, out: &mut String) {
    line(out, &format!("Name:\t{}", text(policy, "metadata.name")));
    line(out, &format!("Namespace:\t{}", text(policy, "metadata.namespace")));
    line(out, &format!("Created on:\t{}", super::go_time(text(policy, "metadata.creationTimestamp"))));
    super::labels(policy, "Labels", "metadata.labels", out);
    super::annotations(policy, out);
    line(out, "Spec:");
    let none = "<none> (Allowing the specific traffic to all pods in this namespace)";
    let pods = selector(policy, "spec.podSelector");
    line(out, &format!("  PodSelector:     {}", if pods == "<none>" { none } else { &pods }));
    let egress = list(policy, "spec.egress");
    let types: Vec<String> = list(policy, "spec.policyTypes").iter().map(plain).collect();
    let has = |kind: &str| {
        if types.is_empty() {
            kind == "Ingress" || !egress.is_empty()
        } else {
            types.iter().any(|one| one == kind)
        }
    };
    for (kind, field, peers, word) in
        [("Ingress", "spec.ingress", "from", "ingress"), ("Egress", "spec.egress", "to", "egress")]
    {
        if !has(kind) {
            line(out, &format!("  Not affecting {word} traffic"));
            continue;
        }
        line(out, &format!("  Allowing {word} traffic:"));
        let rules = list(policy, field);
        if rules.is_empty() {
            let what = if kind == "Ingress" {
                "Selected pods are isolated for ingress connectivity"
            } else {
                "Selected pods are isolated for egress connectivity"
            };
            line(out, &format!("    <none> ({what})"));
        }
        for (index, rule) in rules.iter().enumerate() {
            rule_lines(rule, (peers, word), out);
            if index + 1 < rules.len() {
                line(out, "    ----------");
            }
        }
    }
    let shown = if types.is_empty() {
        ["Ingress", "Egress"].into_iter().filter(|kind| has(kind)).map(str::to_owned).collect()
    } else {
        types
    };
    line(out, &format!("  Policy Types: {}", shown.join(", ")));
}

fn rule_lines(rule: &Value, (peers, word): (&str, &str), out: &mut String) {
    let title = if peers == "from" { "From" } else { "To" };
    let ports = list(rule, "ports");
    if ports.is_empty() {
        line(out, "    To Port: <any> (traffic allowed to all ports)");
    }
    for port in ports {
        let number = at(port, "port");
        let shown = if number.is_null() { "<any>".to_owned() } else { plain(number) };
        let end = at(port, "endPort");
        let end = if end.is_null() { String::new() } else { format!("-{}", plain(end)) };
        line(out, &format!("    To Port: {shown}{end}/{}", or(text(port, "protocol"), "TCP")));
    }
    let all = list(rule, peers);
    if all.is_empty() {
        let where_from = if word == "ingress" { "source" } else { "destination" };
        line(out, &format!("    {title}: <any> (traffic not restricted by {where_from})"));
    }
    for peer in all {
        line(out, &format!("    {title}:"));
        if let Some(block) = peer.get("ipBlock") {
            let except: Vec<String> = list(block, "except").iter().map(plain).collect();
            line(
                out,
                &format!(
                    "      IPBlock:\n        CIDR: {}\n        Except: {}",
                    text(block, "cidr"),
                    except.join(", ")
                ),
            );
        }
        for (name, field) in [("NamespaceSelector", "namespaceSelector"), ("PodSelector", "podSelector")] {
            if peer.get(field).is_some() {
                line(out, &format!("      {name}: {}", selector(peer, field)));
            }
        }
    }
}
