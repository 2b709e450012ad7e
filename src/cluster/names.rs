//! Files that the kubelet writes for a Pod: `/etc/hosts`, `/etc/hostname` (`pkg/kubelet/kubelet_pods.go`).

use crate::api::Pod;
use crate::base::Ipv4Addr;
use std::fmt::Write as _;

/// Host name of a Pod: `spec.hostname`, or its name cut to 63 characters; the node's with `hostNetwork`.
pub fn hostname(pod: &Pod, node: &str) -> String {
    if pod.spec.host_network {
        return node.to_owned();
    }
    let name = pod.spec.hostname.as_deref().unwrap_or(&pod.metadata.name);
    name.chars().take(63).collect::<String>().trim_end_matches(['-', '.']).to_owned()
}

/// `/etc/hosts` of a Pod with an address of its own (`managedHostsFileContent`).
pub fn hosts_file(pod: &Pod, addr: Ipv4Addr, cluster_domain: &str) -> String {
    let mut out = String::from(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n",
    );
    let host = hostname(pod, "");
    let namespace = &pod.metadata.namespace;
    let _ = match &pod.spec.subdomain {
        Some(subdomain) => {
            writeln!(out, "{addr}\t{host}.{subdomain}.{namespace}.svc.{cluster_domain}\t{host}")
        }
        None => writeln!(out, "{addr}\t{host}"),
    };
    out + &host_aliases(pod)
}

/// `/etc/hosts` of a node or another host.
pub fn node_hosts_file(name: &str) -> String {
    format!("127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n")
}

/// `/etc/hosts` of a Pod in the node's network (`nodeHostsFileContent`).
pub fn host_network_hosts_file(pod: &Pod, node: &str) -> String {
    let own = node_hosts_file(node);
    format!("# Kubernetes-managed hosts file (host network).\n{own}{}", host_aliases(pod))
}

fn host_aliases(pod: &Pod) -> String {
    if pod.spec.host_aliases.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n# Entries added by HostAliases.\n");
    for alias in &pod.spec.host_aliases {
        let _ = writeln!(out, "{}\t{}", alias.ip, alias.hostnames.join("\t"));
    }
    out
}
