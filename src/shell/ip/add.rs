//! `ip link add`, `ip link delete` and `ip tunnel add`: devices made and removed by hand. What the kernel would refuse
//! is refused here with its words.

use super::change::{change, kernel, mac};
use super::{Ip, Stop, link_set, next};
use crate::base::{IfIndex, Ipv4Addr, MacAddr};
use crate::kernel::{BridgeOption, LinkSpec};
use crate::shell::change::KernelChange;
use crate::shell::{Command, out};
use crate::trace::{IpvlanMode, LinkKind, LinkRow, MacvlanMode, TunnelRow};
use crate::wire::VlanProtocol;

/// Kinds of devices that iproute2 knows and that are not simulated.
const UNSIMULATED: [&str; 26] = [
    "ifb",
    "nlmon",
    "team",
    "bond",
    "can",
    "vcan",
    "vxcan",
    "hsr",
    "macsec",
    "macvtap",
    "ipvtap",
    "geneve",
    "bareudp",
    "gtp",
    "sit",
    "ip6tnl",
    "ip6gre",
    "ip6gretap",
    "erspan",
    "vti",
    "vti6",
    "vrf",
    "xfrm",
    "wireguard",
    "lowpan",
    "rmnet",
];

fn answers(text: &str) -> Stop {
    (format!("RTNETLINK answers: {text}\n"), 2)
}

fn wrong(value: &str, what: &str) -> Stop {
    (format!("Error: argument \"{value}\" is wrong: {what}\n"), 255)
}

fn one_of(option: &str, names: &str, value: &str) -> Stop {
    (format!("Error: argument of \"{option}\" must be {names}, not \"{value}\"\n"), 1)
}

/// What stands before `type`.
#[derive(Default)]
struct Head {
    name: Option<String>,
    lower: Option<IfIndex>,
    mac: Option<MacAddr>,
    mtu: Option<u32>,
    txqlen: Option<u32>,
}

type Words<'w> = std::slice::Iter<'w, String>;

fn number<T: std::str::FromStr>(word: &str, what: &str) -> Result<T, Stop> {
    word.parse().map_err(|_| wrong(word, what))
}

fn read_head(ip: &Ip<'_>, head: &mut Head, word: &str, words: &mut Words<'_>) -> Result<(), Stop> {
    match word {
        "link" => head.lower = Some(ip.device(next(words)?)?.ifindex),
        "name" | "dev" => head.name = Some(next(words)?.to_owned()),
        "address" => head.mac = Some(mac(next(words)?)?),
        "mtu" => head.mtu = Some(number(next(words)?, "Invalid \"mtu\" value\n")?),
        "txqueuelen" | "qlen" | "txqlen" => {
            head.txqlen = Some(number(next(words)?, "Invalid \"txqueuelen\" value\n")?);
        }
        "broadcast" | "brd" | "index" | "netns" | "numtxqueues" | "numrxqueues" | "group" | "up" | "down"
        | "master" | "alias" => return Err(out::not_simulated("ip link add", word)),
        _ if head.name.is_some() => {
            return Err((format!("Error: either \"dev\" is duplicate, or \"{word}\" is a garbage.\n"), 255));
        }
        name => head.name = Some(name.to_owned()),
    }
    Ok(())
}

/// `ip link add`.
pub(super) fn link_add(ip: &mut Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let mut head = Head::default();
    let mut words = words.iter();
    let kind = loop {
        let Some(word) = words.next() else {
            return Err(("Not enough information: \"type\" argument is required\n".to_owned(), 1));
        };
        if word == "type" {
            break next(&mut words)?.to_owned();
        }
        read_head(ip, &mut head, word, &mut words)?;
    };
    let mut made = Made::new(LinkKind::Dummy);
    match kind.as_str() {
        "dummy" => no_more(&kind, &mut words)?,
        "bridge" => {
            // A bridge to be runs no spanning tree yet.
            made.bridge = link_set::bridge_options("ip link add type bridge", false, words.as_slice())?;
            made.kind = LinkKind::Bridge { ageing_secs: 300 };
        }
        "veth" => made = veth(ip, &head, &mut words)?,
        "vlan" => made.kind = vlan(ip, head.lower, &mut words)?,
        "macvlan" => made.kind = macvlan(ip, head.lower, &mut words)?,
        "ipvlan" => made.kind = ipvlan(ip, head.lower, &mut words)?,
        "vxlan" => made = vxlan(ip, &mut words)?,
        "ipip" | "gre" | "gretap" => {
            let row = TunnelRow { pmtudisc: true, any_protocol: kind == "ipip", ..TunnelRow::default() };
            made.kind = tunnel_of(&kind, tunnel(ip, &kind, row, &mut words)?);
            refuse_twin(ip, &made.kind)?;
        }
        other if UNSIMULATED.contains(&other) => return Err(out::not_simulated("ip link add type", other)),
        _ => return Err(kernel("Unknown device type.")),
    }
    let name = match &head.name {
        Some(name) => name.clone(),
        None => free_name(ip, &kind),
    };
    add(ip, &head, &name, made)
}

/// A device to be, with what not every kind has.
struct Made {
    kind: LinkKind,
    peer: Option<(String, Option<MacAddr>)>,
    remote: Option<Ipv4Addr>,
    bridge: Vec<BridgeOption>,
    warning: &'static str,
}

impl Made {
    fn new(kind: LinkKind) -> Self {
        Self { kind, peer: None, remote: None, bridge: Vec::new(), warning: "" }
    }
}

fn add(ip: &mut Ip<'_>, head: &Head, name: &str, made: Made) -> Result<Command, Stop> {
    check_name(ip, name)?;
    if let Some((peer, _)) = &made.peer {
        check_name(ip, peer)?;
    }
    let (first, second) = (ip.random_mac(), ip.random_mac());
    let spec = LinkSpec {
        name: name.into(),
        kind: made.kind,
        mac: head.mac,
        random_mac: first,
        mtu: head.mtu,
        txqlen: head.txqlen,
        peer: made.peer.map(|(peer, mac)| (peer.into(), mac.unwrap_or(second))),
        remote: made.remote,
        bridge: made.bridge,
    };
    let mut output = out::Out::default();
    output.err(made.warning);
    Ok(Command::Change {
        changes: vec![KernelChange::AddLink(Box::new(spec))],
        output: output.into_pieces(),
        status: 0,
    })
}

fn check_name(ip: &Ip<'_>, name: &str) -> Result<(), Stop> {
    if name.len() > 15 || name.is_empty() {
        return Err(kernel("Attribute failed policy validation."));
    }
    if ip.link(name).is_some() {
        return Err(answers("File exists"));
    }
    Ok(())
}

/// The kernel counts up where no name is given (`dev_alloc_name`).
fn free_name(ip: &Ip<'_>, kind: &str) -> String {
    (0..u32::MAX).map(|n| format!("{kind}{n}")).find(|name| ip.link(name).is_none()).unwrap_or_default()
}

fn no_more(kind: &str, words: &mut Words<'_>) -> Result<(), Stop> {
    words.next().map_or(Ok(()), |word| Err(out::not_simulated(&format!("ip link add type {kind}"), word)))
}

fn veth(ip: &Ip<'_>, head: &Head, words: &mut Words<'_>) -> Result<Made, Stop> {
    let (mut peer, mut address) = (None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "peer" => {}
            "name" => peer = Some(next(words)?.to_owned()),
            "address" => address = Some(mac(next(words)?)?),
            word if peer.is_none() => peer = Some(word.to_owned()),
            word => return Err(out::not_simulated("ip link add type veth", word)),
        }
    }
    let taken = |name: &String| head.name.as_ref() == Some(name) || ip.link(name).is_some();
    let free = || (0..u32::MAX).map(|n| format!("veth{n}")).find(|name| !taken(name)).unwrap_or_default();
    let nobody = crate::base::NetnsId::NONE;
    let kind = LinkKind::Veth { peer_netns: nobody, peer: IfIndex::NONE, peer_nsid: 0 };
    Ok(Made { peer: Some((peer.unwrap_or_else(free), address)), ..Made::new(kind) })
}

/// The device below, which these kinds cannot do without.
fn below<'a>(ip: &Ip<'a>, lower: Option<IfIndex>) -> Result<&'a LinkRow, Stop> {
    let link =
        lower.and_then(|lower| ip.state.links.get(&lower)).ok_or_else(|| answers("Invalid argument"))?;
    if link.kind == LinkKind::Loopback || link.kind.is_raw_ip() {
        return Err(answers("Invalid argument"));
    }
    Ok(link)
}

fn vlan(ip: &Ip<'_>, lower: Option<IfIndex>, words: &mut Words<'_>) -> Result<LinkKind, Stop> {
    let (mut id, mut protocol) = (None, VlanProtocol::Dot1q);
    while let Some(word) = words.next() {
        match word.as_str() {
            "id" => id = Some(number::<u16>(next(words)?, "id is invalid\n")?),
            "protocol" | "proto" => {
                let value = next(words)?;
                protocol = match value.to_lowercase().as_str() {
                    "802.1q" => VlanProtocol::Dot1q,
                    "802.1ad" => VlanProtocol::Dot1ad,
                    _ => return Err(wrong(value, "protocol is invalid\n")),
                };
            }
            word => return Err(out::not_simulated("ip link add type vlan", word)),
        }
    }
    let lower = below(ip, lower)?.ifindex;
    let id = id.ok_or_else(|| kernel("VLAN properties not specified."))?;
    if id > 4094 {
        return Err(kernel("Invalid VLAN id."));
    }
    let kind = LinkKind::Vlan { lower, id, protocol };
    if ip.state.links.values().any(|link| link.kind == kind) {
        return Err(kernel("8021q: VLAN device already exists."));
    }
    Ok(kind)
}

fn macvlan(ip: &Ip<'_>, lower: Option<IfIndex>, words: &mut Words<'_>) -> Result<LinkKind, Stop> {
    let mut mode = MacvlanMode::Vepa;
    while let Some(word) = words.next() {
        let "mode" = word.as_str() else { return Err(out::not_simulated("ip link add type macvlan", word)) };
        let value = next(words)?;
        let modes = [MacvlanMode::Private, MacvlanMode::Vepa, MacvlanMode::Bridge, MacvlanMode::Passthru];
        mode = match modes.into_iter().find(|mode| mode.name() == value) {
            Some(mode) => mode,
            None if value == "source" => {
                return Err(out::not_simulated("ip link add type macvlan mode", value));
            }
            None => {
                let names = "\"private\", \"vepa\", \"bridge\", \"passthru\" or \"source\"";
                return Err(one_of("mode", names, value));
            }
        };
    }
    let lower = below(ip, lower)?;
    let siblings: Vec<MacvlanMode> = siblings(ip, lower.ifindex)
        .filter_map(|link| if let LinkKind::Macvlan { mode, .. } = link.kind { Some(mode) } else { None })
        .collect();
    // One in passthru mode has the device to itself.
    if siblings.contains(&MacvlanMode::Passthru) || (mode == MacvlanMode::Passthru && !siblings.is_empty()) {
        return Err(answers("Invalid argument"));
    }
    refuse_busy(ip, lower, |kind| matches!(kind, LinkKind::Macvlan { .. }))?;
    Ok(LinkKind::Macvlan { lower: lower.ifindex, mode })
}

fn ipvlan(ip: &Ip<'_>, lower: Option<IfIndex>, words: &mut Words<'_>) -> Result<LinkKind, Stop> {
    let mut mode = IpvlanMode::L3;
    while let Some(word) = words.next() {
        match word.as_str() {
            "mode" => {
                mode = match next(words)? {
                    "l2" => IpvlanMode::L2,
                    "l3" => IpvlanMode::L3,
                    "l3s" => return Err(out::not_simulated("ip link add type ipvlan mode", "l3s")),
                    value => return Err(one_of("mode", "\"l2\", \"l3\" or \"l3s\"", value)),
                }
            }
            "bridge" => {}
            word => return Err(out::not_simulated("ip link add type ipvlan", word)),
        }
    }
    let lower = below(ip, lower)?;
    refuse_busy(ip, lower, |kind| matches!(kind, LinkKind::Ipvlan { .. }))?;
    // All devices of one card are of the mode that the last one was made with; here they have to agree.
    let other = siblings(ip, lower.ifindex)
        .any(|link| matches!(link.kind, LinkKind::Ipvlan { mode: other, .. } if other != mode));
    if other {
        return Err(out::not_simulated("ip link add type ipvlan", "a second mode on one device"));
    }
    Ok(LinkKind::Ipvlan { lower: lower.ifindex, mode })
}

fn siblings<'a>(ip: &Ip<'a>, lower: IfIndex) -> impl Iterator<Item = &'a LinkRow> {
    ip.state.links.values().filter(move |link| link.kind.lower() == Some(lower))
}

/// Only one bridge, macvlan or ipvlan takes a device's frames (`netdev_rx_handler_register`).
fn refuse_busy(ip: &Ip<'_>, lower: &LinkRow, same: fn(&LinkKind) -> bool) -> Result<(), Stop> {
    let other = siblings(ip, lower.ifindex)
        .any(|link| !same(&link.kind) && !matches!(link.kind, LinkKind::Vlan { .. }));
    if lower.port.is_some() || other {
        return Err(answers("Device or resource busy"));
    }
    Ok(())
}

const NO_PORT: &str = "vxlan: destination port not specified\n\
    Will use Linux kernel default (non-standard value)\n\
    Use 'dstport 4789' to get the IANA assigned value\n\
    Use 'dstport 0' to get default and quiet this message\n";

fn vxlan(ip: &Ip<'_>, words: &mut Words<'_>) -> Result<Made, Stop> {
    let (mut vni, mut port, mut dev, mut local, mut learning) =
        (None, None, IfIndex::NONE, Ipv4Addr::UNSPECIFIED, true);
    let (mut remote, mut group) = (None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "id" | "vni" => {
                let value = next(words)?;
                vni =
                    Some(number::<u32>(value, "invalid id").and_then(|vni| {
                        if vni < 1 << 24 { Ok(vni) } else { Err(wrong(value, "invalid id")) }
                    })?);
            }
            "dstport" | "port" if word == "dstport" => port = Some(number::<u16>(next(words)?, "dst port")?),
            "dev" => dev = ip.device(next(words)?)?.ifindex,
            "local" => local = address(next(words)?)?,
            "remote" => remote = Some(address(next(words)?)?),
            "group" => {
                let value = next(words)?;
                let addr = address(value)?;
                if !addr.is_multicast() {
                    return Err(wrong(value, "invalid group address"));
                }
                group = Some(addr);
            }
            "learning" => learning = true,
            "nolearning" => learning = false,
            word => return Err(out::not_simulated("ip link add type vxlan", word)),
        }
    }
    if group.is_some() && dev == IfIndex::NONE {
        return Err(("vxlan: 'group' requires 'dev' to be specified\n".to_owned(), 1));
    }
    let vni = vni.ok_or_else(|| kernel("Required attributes not provided to perform the operation."))?;
    let warning = if port.is_none() { NO_PORT } else { "" };
    let port = port.filter(|port| *port != 0).unwrap_or(8472);
    let twin = |link: &&LinkRow| matches!(link.kind, LinkKind::Vxlan { vni: other, port: at, .. } if other == vni && at == port);
    if ip.state.links.values().any(|link| twin(&link)) {
        let (text, status) = kernel("A VXLAN device with the specified VNI already exists.");
        return Err((format!("{warning}{text}"), status));
    }
    let kind = LinkKind::Vxlan { vni, local, dev, port, learning };
    Ok(Made { remote: remote.or(group), warning, ..Made::new(kind) })
}

fn address(word: &str) -> Result<Ipv4Addr, Stop> {
    let wrong = || (format!("Error: an inet address is expected rather than \"{word}\".\n"), 1);
    word.parse().map_err(|_| wrong())
}

fn endpoint(word: &str) -> Result<Option<Ipv4Addr>, Stop> {
    if matches!(word, "any" | "default") { Ok(None) } else { address(word).map(Some) }
}

/// A key as a number or in the form of an address (`tnl_parse_key`).
fn key(name: &str, word: &str) -> Result<u32, Stop> {
    if word.contains('.') {
        return address(word).map(u32::from);
    }
    number(word, "").map_err(|_| {
        (format!("invalid value for \"{name}\": \"{word}\"; it should be an unsigned integer\n"), 255)
    })
}

fn tunnel_of(kind: &str, row: TunnelRow) -> LinkKind {
    match kind {
        "ipip" => LinkKind::Ipip(row),
        "gre" => LinkKind::Gre(row),
        _ => LinkKind::Gretap(row),
    }
}

/// The settings of a tunnel, as `ip link add type` and `ip tunnel add` have them in common.
fn tunnel(ip: &Ip<'_>, kind: &str, mut row: TunnelRow, words: &mut Words<'_>) -> Result<TunnelRow, Stop> {
    let gre = kind != "ipip";
    while let Some(word) = words.next() {
        match word.as_str() {
            "remote" => row.remote = endpoint(next(words)?)?,
            "local" => row.local = endpoint(next(words)?)?,
            "dev" => row.dev = Some(ip.device(next(words)?)?.ifindex),
            "ttl" | "hoplimit" | "hlim" => {
                let value = next(words)?;
                row.ttl = if value == "inherit" { 0 } else { number(value, "invalid TTL\n")? };
            }
            "tos" | "tclass" | "dsfield" => {
                let value = next(words)?;
                row.tos = match value {
                    "inherit" => 1,
                    value => u8::from_str_radix(value.trim_start_matches("0x"), 16)
                        .map_err(|_| wrong(value, "bad TOS value"))?,
                };
            }
            "pmtudisc" => row.pmtudisc = true,
            "nopmtudisc" => row.pmtudisc = false,
            "key" if gre => {
                let key = key("key", next(words)?)?;
                (row.ikey, row.okey) = (Some(key), Some(key));
            }
            "ikey" if gre => row.ikey = Some(key("ikey", next(words)?)?),
            "okey" if gre => row.okey = Some(key("okey", next(words)?)?),
            "seq" if gre => (row.iseq, row.oseq) = (true, true),
            "iseq" if gre => row.iseq = true,
            "oseq" if gre => row.oseq = true,
            "csum" if gre => (row.icsum, row.ocsum) = (true, true),
            "icsum" if gre => row.icsum = true,
            "ocsum" if gre => row.ocsum = true,
            word => return Err(out::not_simulated(&format!("ip link add type {kind}"), word)),
        }
    }
    if row.ttl != 0 && !row.pmtudisc {
        return Err(("ttl != 0 and nopmtudisc are incompatible\n".to_owned(), 255));
    }
    if row.remote.is_some_and(|remote| remote.is_multicast()) {
        return Err(out::not_simulated(&format!("ip link add type {kind}"), "a group as remote"));
    }
    Ok(row)
}

/// Two tunnels of one kind with the same ends and key are one too many (`ip_tunnel_find`).
fn refuse_twin(ip: &Ip<'_>, kind: &LinkKind) -> Result<(), Stop> {
    let ends =
        |kind: &LinkKind| kind.tunnel().map(|row| (kind.name(), row.local, row.remote, row.ikey, row.dev));
    let twin =
        ip.state.links.values().any(|link| link.kind.tunnel().is_some() && ends(&link.kind) == ends(kind));
    if twin { Err(answers("File exists")) } else { Ok(()) }
}

/// `ip tunnel add`.
pub(super) fn tunnel_add(ip: &mut Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let (mut name, mut mode, mut rest) = (None, None, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "mode" => mode = Some(next(&mut words)?.to_owned()),
            "name" => name = Some(next(&mut words)?.to_owned()),
            "remote" | "local" | "dev" | "ttl" | "hoplimit" | "hlim" | "tos" | "dsfield" | "key" | "ikey"
            | "okey" => rest.extend([word.clone(), next(&mut words)?.to_owned()]),
            "seq" | "iseq" | "oseq" | "csum" | "icsum" | "ocsum" | "pmtudisc" | "nopmtudisc" => {
                rest.push(word.clone());
            }
            word if name.is_none() => name = Some(word.to_owned()),
            word => return Err(out::not_simulated("ip tunnel add", word)),
        }
    }
    let kind = match mode.as_deref() {
        Some("ipip" | "ip/ip") => "ipip",
        Some("gre" | "gre/ip") => "gre",
        Some(mode @ ("sit" | "isatap" | "vti" | "ipv6/ip")) => {
            return Err(out::not_simulated("ip tunnel add mode", mode));
        }
        Some(_) => return Err(("Unsupported protocol family: 2\n".to_owned(), 255)),
        None => return Err(("cannot determine tunnel mode (ipip, gre, vti or sit)\n".to_owned(), 255)),
    };
    let row = TunnelRow { pmtudisc: true, ..TunnelRow::default() };
    let kind = tunnel_of(kind, tunnel(ip, kind, row, &mut rest.iter())?);
    if refuse_twin(ip, &kind).is_err() {
        return Err(("add tunnel \"tunl0\" failed: File exists\n".to_owned(), 1));
    }
    let name = name.unwrap_or_else(|| free_name(ip, if kind.is_raw_ip() { "tunl" } else { "gre" }));
    add(ip, &Head::default(), &name, Made::new(kind))
}

/// `ip tunnel del`.
pub(super) fn tunnel_del(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let name = words.iter().find(|word| *word != "name").map_or("", String::as_str);
    match ip.link(name).filter(|link| link.kind.tunnel().is_some()) {
        Some(link) => Ok(change(vec![KernelChange::DelLink(link.ifindex)])),
        None => Err((format!("delete tunnel \"{name}\" failed: No such device\n"), 1)),
    }
}

/// `ip link delete`.
pub(super) fn link_del(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let mut name = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => name = Some(next(&mut words)?),
            "type" => {
                next(&mut words)?;
            }
            "group" => return Err(out::not_simulated("ip link delete", "group")),
            word => name = Some(word),
        }
    }
    let missing = || ("Not enough information: \"dev\" argument is required.\n".to_owned(), 255);
    let link = ip.device(name.ok_or_else(missing)?)?;
    if matches!(link.kind, LinkKind::Loopback | LinkKind::Physical { .. }) {
        return Err(answers("Operation not supported"));
    }
    Ok(change(vec![KernelChange::DelLink(link.ifindex)]))
}
