//! kube-proxy in its mode ipvs: it keeps the virtual servers, the dummy device, the sets and the rules of its node as
//! [`crate::cluster::proxy::ipvs`] decides.

use super::kube_proxy::{Tables, in_family, wanted};
use crate::base::{IfIndex, Ipv4Net, MacAddr};
use crate::cluster::proxy::{Config, DUMMY, Family, IpvsPlan, SetEntry, WantedServer, set_names};
use crate::kernel::{Ctx, IpvsOp, LinkSpec, NetfilterOp, Netns};
use crate::trace::{RealServer, Scope, ServerKey, SetMember};
use crate::xtables::Table;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Protocol number of TCP, whose real servers go only when no connection is left (`IsRsGracefulTerminationNeeded`).
const TCP: u8 = 6;

/// Addresses of a node's devices, but for the dummy one and those of the loopback device
/// (`GetAllLocalAddressesExcept`).
pub(super) fn own_addresses(netns: &Netns) -> Vec<IpAddr> {
    let dummy = netns.link_named(DUMMY).map(|link| link.ifindex);
    let rows = netns.addrs().iter().filter(|row| Some(row.ifindex) != dummy);
    rows.map(|row| IpAddr::V4(row.addr.addr())).filter(|ip| !ip.is_loopback()).collect()
}

/// Whether this mode was at work here.
fn is_at_work(netns: &Netns, family: Family) -> bool {
    netns.nf_chain_names(family, Table::Filter).any(|name| &*name == "KUBE-IPVS-FILTER")
}

/// Writes what is wanted for one family.
pub(super) fn sync(netns: &mut Netns, ctx: &mut Ctx<'_>, config: &Config, (plan, mac): (&IpvsPlan, MacAddr)) {
    let family = config.family;
    if !is_at_work(netns, family) {
        Tables { netns, ctx, family }.clean_up();
    }
    let device = device(netns, ctx, mac);
    let bound = bound(netns, device, family);
    for (name, kind, members) in &plan.sets {
        write_set(netns, ctx, (name, kind), members);
    }
    for server in &plan.servers {
        write_server(netns, ctx, server);
        let ip = server.socket.ip();
        if plan.bound.contains(&ip) && !bound.contains(&ip) {
            bind(netns, ctx, device, ip);
        }
    }
    let (filter, nat) = wanted(family, &plan.rules, &set_names());
    let mut tables = Tables { netns, ctx, family };
    tables.write(Table::Filter, &filter);
    tables.write(Table::Nat, &nat);
    tables.install_jumps(IpvsPlan::jumps());
    for ip in bound.difference(&plan.bound) {
        unbind(netns, ctx, device, *ip);
    }
    let kept: BTreeSet<ServerKey> = plan.servers.iter().map(key_of).collect();
    drop_servers(netns, ctx, |key| family.has(key.socket.ip()) && !kept.contains(key));
}

/// The dummy device, which is never brought up.
fn device(netns: &mut Netns, ctx: &mut Ctx<'_>, mac: MacAddr) -> IfIndex {
    if let Some(link) = netns.link_named(DUMMY) {
        return link.ifindex;
    }
    netns.make_link(ctx, LinkSpec::dummy(DUMMY, mac))
}

/// Addresses of Services that the node bears.
fn bound(netns: &Netns, device: IfIndex, family: Family) -> BTreeSet<IpAddr> {
    match family {
        Family::V4 => {
            let rows = netns.addrs().iter().filter(|row| row.ifindex == device);
            rows.map(|row| IpAddr::V4(row.addr.addr())).collect()
        }
        // Addresses of IPv6 stand at no device here: those in the set are the Services'.
        Family::V6 => {
            let members = netns.nf_set("KUBE-6-IPVS-IPS").unwrap_or_default();
            members.iter().map(|member| member.addr).collect()
        }
    }
}

fn bind(netns: &mut Netns, ctx: &mut Ctx<'_>, device: IfIndex, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            if let Ok(net) = Ipv4Net::new(ip, 32) {
                netns.add_addr(ctx, device, net, None, Scope::Global);
            }
        }
        IpAddr::V6(ip) => netns.add_addr6(ip),
    }
}

fn unbind(netns: &mut Netns, ctx: &mut Ctx<'_>, device: IfIndex, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            if let Ok(net) = Ipv4Net::new(ip, 32) {
                netns.del_addr(ctx, device, net);
            }
        }
        IpAddr::V6(ip) => netns.del_addr6(ip),
    }
}

fn key_of(server: &WantedServer) -> ServerKey {
    ServerKey { protocol: server.protocol, socket: server.socket }
}

fn write_set(netns: &mut Netns, ctx: &mut Ctx<'_>, (name, kind): (&str, &'static str), entries: &[SetEntry]) {
    let member = |entry: &SetEntry| SetMember {
        addr: entry.addr,
        len: if entry.addr.is_ipv4() { 32 } else { 128 },
        protocol: entry.protocol,
        port: entry.port,
        other: entry.other,
        other_len: entry.other_len,
    };
    let members: Vec<SetMember> = entries.iter().map(member).collect();
    let present = netns.nf_set(name).map(<[SetMember]>::to_vec);
    let name: Arc<str> = name.into();
    if present.is_none() {
        netns.change_netfilter(ctx, NetfilterOp::NewSet(name.clone(), kind.into(), None));
    }
    if present.unwrap_or_default() != members {
        netns.change_netfilter(ctx, NetfilterOp::Members(name, members));
    }
}

/// A virtual server and those behind it (`syncService`, `syncEndpoint`). A real server that is not wanted any more takes
/// no new connections, and goes when it has none; this is looked at whenever kube-proxy writes.
fn write_server(netns: &mut Netns, ctx: &mut Ctx<'_>, server: &WantedServer) {
    let key = key_of(server);
    let found = netns.ipvs_servers().find(|(known, ..)| *known == key);
    let known = found.map(|(_, flags, service, real)| (flags, service.clone(), real.to_vec()));
    let flags = (server.scheduler, server.persistent);
    let mut change = |netns: &mut Netns, op| netns.change_netfilter(ctx, NetfilterOp::Ipvs(op));
    let is_same =
        known.as_ref().is_some_and(|(known, service, _)| *known == flags && **service == *server.service);
    if !is_same {
        let op = IpvsOp::Server(key, flags, server.service.as_str().into());
        change(netns, op);
    }
    let present: BTreeMap<SocketAddr, u32> = known
        .map(|(.., real)| real.iter().map(|real| (real.socket, real.weight)).collect())
        .unwrap_or_default();
    for &socket in &server.real {
        match present.get(&socket) {
            None => change(netns, IpvsOp::AddReal(key, RealServer { socket, weight: 1 })),
            Some(0) => change(netns, IpvsOp::SetWeight(key, RealServer { socket, weight: 1 })),
            Some(_) => {}
        }
    }
    for (&socket, &weight) in present.iter().filter(|(socket, _)| !server.real.contains(socket)) {
        let in_use = netns.ipvs_in_use(ctx.now, &key, socket) > 0;
        if server.protocol != TCP || !in_use {
            netns.change_netfilter(ctx, NetfilterOp::Ipvs(IpvsOp::DelReal(key, socket)));
        } else if weight != 0 {
            let real = RealServer { socket, weight: 0 };
            netns.change_netfilter(ctx, NetfilterOp::Ipvs(IpvsOp::SetWeight(key, real)));
        }
    }
}

fn drop_servers(netns: &mut Netns, ctx: &mut Ctx<'_>, goes: impl Fn(&ServerKey) -> bool) {
    let stale: Vec<ServerKey> = netns.ipvs_servers().map(|(key, ..)| key).filter(|key| goes(key)).collect();
    for key in stale {
        netns.change_netfilter(ctx, NetfilterOp::Ipvs(IpvsOp::DelServer(key)));
    }
}

/// Removes what this mode left behind, when another one begins (`CleanupLeftovers`).
pub(super) fn clean_up(netns: &mut Netns, ctx: &mut Ctx<'_>, family: Family) {
    if !is_at_work(netns, family) {
        return;
    }
    let mut tables = Tables { netns, ctx, family };
    tables.remove(IpvsPlan::jumps(), &[]);
    drop_servers(netns, ctx, |key| family.has(key.socket.ip()));
    if let Some(device) = netns.link_named(DUMMY).map(|link| link.ifindex) {
        for ip in bound(netns, device, family) {
            unbind(netns, ctx, device, ip);
        }
        if family == Family::V4 {
            netns.del_link(ctx, device);
        }
    }
    for name in set_names() {
        let of_family = name.starts_with("KUBE-6-") == (family == Family::V6);
        if of_family && netns.nf_set(&name).is_some() {
            netns.change_netfilter(ctx, in_family(Family::V4, NetfilterOp::DelSet(name.as_str().into())));
        }
    }
}
