//! `ethtool` 6.1: what drivers tell about their devices. Offloads are off, for packets are simulated as they are on the
//! wire.

use super::out::{answer, not_simulated, refuse};
use super::{Command, Context};
use crate::trace::{LinkKind, LinkRow};
use std::fmt::Write as _;

/// Features with their state on a veth, a bridge, a VXLAN device and the loopback: `0` and `1` may be changed, `-` (off)
/// and `+` (on) are fixed, `r` is asked for and not there.
const FEATURES: [(&str, &str); 63] = [
    ("rx-checksumming", "0-0+"),
    ("tx-checksumming", "0001"),
    ("\ttx-checksum-ipv4", "----"),
    ("\ttx-checksum-ip-generic", "000+"),
    ("\ttx-checksum-ipv6", "----"),
    ("\ttx-checksum-fcoe-crc", "----"),
    ("\ttx-checksum-sctp", "0--+"),
    ("scatter-gather", "0001"),
    ("\ttx-scatter-gather", "000+"),
    ("\ttx-scatter-gather-fraglist", "000+"),
    ("tcp-segmentation-offload", "0001"),
    ("\ttx-tcp-segmentation", "0001"),
    ("\ttx-tcp-ecn-segmentation", "0001"),
    ("\ttx-tcp-mangleid-segmentation", "0001"),
    ("\ttx-tcp6-segmentation", "0001"),
    ("\ttx-tcp-accecn-segmentation", "0001"),
    ("generic-segmentation-offload", "0001"),
    ("generic-receive-offload", "0001"),
    ("large-receive-offload", "----"),
    ("rx-vlan-offload", "1---"),
    ("tx-vlan-offload", "11--"),
    ("ntuple-filters", "----"),
    ("receive-hashing", "----"),
    ("highdma", "11-+"),
    ("rx-vlan-filter", "----"),
    ("vlan-challenged", "---+"),
    ("tx-gso-robust", "-1--"),
    ("tx-fcoe-segmentation", "-1--"),
    ("tx-gre-segmentation", "11--"),
    ("tx-gre-csum-segmentation", "11--"),
    ("tx-ipxip4-segmentation", "11--"),
    ("tx-ipxip6-segmentation", "11--"),
    ("tx-udp_tnl-segmentation", "11--"),
    ("tx-udp_tnl-csum-segmentation", "11--"),
    ("tx-gso-partial", "-1--"),
    ("tx-tunnel-remcsum-segmentation", "-1--"),
    ("tx-sctp-segmentation", "1111"),
    ("tx-esp-segmentation", "-1--"),
    ("tx-udp-segmentation", "rrr1"),
    ("tx-gso-list", "1111"),
    ("tx-nocache-copy", "000-"),
    ("loopback", "---+"),
    ("rx-fcs", "----"),
    ("rx-all", "----"),
    ("tx-vlan-stag-hw-insert", "11--"),
    ("rx-vlan-stag-hw-parse", "1---"),
    ("rx-vlan-stag-filter", "----"),
    ("l2-fwd-offload", "----"),
    ("hw-tc-offload", "----"),
    ("esp-hw-offload", "----"),
    ("esp-tx-csum-hw-offload", "----"),
    ("rx-udp_tunnel-port-offload", "----"),
    ("tls-hw-tx-offload", "----"),
    ("tls-hw-rx-offload", "----"),
    ("rx-gro-hw", "----"),
    ("tls-hw-record", "----"),
    ("rx-gro-list", "0000"),
    ("macsec-hw-offload", "----"),
    ("rx-udp-gro-forwarding", "0000"),
    ("hsr-tag-ins-offload", "----"),
    ("hsr-tag-rm-offload", "----"),
    ("hsr-fwd-offload", "----"),
    ("hsr-dup-offload", "----"),
];

/// Options that the real program has and this one does not.
const OTHERS: &str = "acCgGlLnNuUrpetEfwdTxXqQKs";

/// What a driver tells.
struct Driver {
    name: &'static str,
    version: &'static str,
    firmware: &'static str,
    bus: &'static str,
    has_statistics: bool,
    /// Place of its features in [`FEATURES`].
    features: usize,
}

fn driver(kind: &LinkKind) -> Option<Driver> {
    let plain =
        |name, version| Driver { name, version, firmware: "", bus: "", has_statistics: false, features: 0 };
    Some(match kind {
        LinkKind::Loopback | LinkKind::Ipip(_) | LinkKind::Gre(_) | LinkKind::Gretap(_) => return None,
        LinkKind::Veth { .. } => Driver { has_statistics: true, ..plain("veth", "1.0") },
        LinkKind::Bridge { .. } => {
            Driver { firmware: "N/A", bus: "N/A", features: 1, ..plain("bridge", "2.3") }
        }
        LinkKind::Vxlan { .. } => Driver { features: 2, ..plain("vxlan", "0.1") },
        LinkKind::Physical { .. } => {
            Driver { bus: "0000:00:03.0", has_statistics: true, ..plain("virtio_net", "1.0.0") }
        }
        LinkKind::Macvlan { .. } => plain("macvlan", "0.1"),
        LinkKind::Ipvlan { .. } => plain("ipvlan", "1.0"),
        LinkKind::Dummy => plain("dummy", "1.0"),
        LinkKind::Vlan { .. } => Driver { firmware: "N/A", ..plain("802.1Q VLAN Support", "1.8") },
    })
}

/// Runs `ethtool`.
pub(super) fn ethtool(context: &Context<'_>, words: &[String]) -> Command {
    let (option, device) = match words {
        [only] if only == "--version" => return answer("ethtool version 6.1\n"),
        [device] if !device.starts_with('-') => ("", device),
        [option, device] if option.starts_with('-') => (option.as_str(), device),
        [option, ..] if is_other(option) => return unsimulated(option),
        _ => {
            return refuse("ethtool: bad command line argument(s)\nFor more information run ethtool -h\n", 1);
        }
    };
    let state = context.inventory.netns.get(&context.netns);
    let link = state.and_then(|state| state.link_named(device));
    if let Some(asked) = unsupported(option) {
        return match (link, asked) {
            (None, _) if asked.0.starts_with("netlink error") => no_device(1, 1),
            (None, (text, status)) => {
                refuse(text.replace("Operation not supported", "No such device"), status)
            }
            (Some(_), (text, status)) => refuse(text, status),
        };
    }
    match option {
        "" => settings(link),
        "-l" | "--show-channels" => channels(link),
        "-T" | "--show-time-stamping" => time_stamping(link),
        "-i" | "--driver" => info(link),
        "-S" | "--statistics" => statistics(link),
        "-k" | "--show-features" | "--show-offload" => features(link),
        "-P" | "--show-permaddr" => match link {
            Some(_) => answer("Permanent address: not set\n"),
            None => no_device(1, 1),
        },
        option if is_other(option) => unsimulated(option),
        _ => refuse("ethtool: bad command line argument(s)\nFor more information run ethtool -h\n", 1),
    }
}

fn is_other(option: &str) -> bool {
    let letter = option.strip_prefix('-').filter(|rest| rest.len() == 1);
    letter.is_some_and(|letter| OTHERS.contains(letter)) || (option.starts_with("--") && option.len() > 2)
}

fn unsimulated(option: &str) -> Command {
    let (text, status) = not_simulated("ethtool", option);
    refuse(text, status)
}

/// What the program says of a question that no driver here answers: text and status. `None` for other options.
fn unsupported(option: &str) -> Option<(&'static str, u8)> {
    const NETLINK: (&str, u8) = ("netlink error: Operation not supported\n", 1);
    Some(match option {
        "-g"
        | "--show-ring"
        | "-c"
        | "--show-coalesce"
        | "-a"
        | "--show-pause"
        | "-m"
        | "--module-info"
        | "--dump-module-eeprom"
        | "--show-eee"
        | "--show-priv-flags"
        | "--show-fec" => NETLINK,
        "-d" | "--register-dump" => ("Cannot get register dump: Operation not supported\n", 74),
        "-e" | "--eeprom-dump" => ("Cannot get EEPROM data: Operation not supported\n", 74),
        "-t" | "--test" => ("Cannot test: Operation not supported\n", 74),
        "-x" | "--show-rxfh-indir" | "--show-rxfh" => {
            ("Cannot get RX ring count: Operation not supported\n", 1)
        }
        "-n" | "-u" | "--show-nfc" | "--show-ntuple" => (
            "Cannot get RX rings: Operation not supported\n\
             rxclass: Cannot get RX class rule count: Operation not supported\n\
             RX classification rule retrieval failed\n",
            1,
        ),
        _ => return None,
    })
}

/// A veth could have a queue for each of two processors and uses one.
fn channels(link: Option<&LinkRow>) -> Command {
    let Some(link) = link else { return no_device(1, 1) };
    if !matches!(link.kind, LinkKind::Veth { .. }) {
        return refuse("netlink error: Operation not supported\n", 1);
    }
    let part = |count: u8| format!("RX:\t\t{count}\nTX:\t\t{count}\nOther:\t\tn/a\nCombined:\tn/a\n");
    answer(format!(
        "Channel parameters for {}:\nPre-set maximums:\n{}Current hardware settings:\n{}",
        link.name,
        part(2),
        part(1)
    ))
}

/// Only the kernel's own stamps.
fn time_stamping(link: Option<&LinkRow>) -> Command {
    let Some(link) = link else { return no_device(1, 1) };
    let transmit =
        if matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Physical { .. } | LinkKind::Loopback) {
            "\tsoftware-transmit\n"
        } else {
            ""
        };
    answer(format!(
        "Time stamping parameters for {}:\nCapabilities:\n{transmit}\tsoftware-receive\n\tsoftware-system-clock\n\
         PTP Hardware Clock: none\nHardware Transmit Timestamp Modes: none\nHardware Receive Filter Modes: none\n",
        link.name
    ))
}

/// The program asks several times, and each time the kernel says the same.
fn no_device(times: usize, status: u8) -> Command {
    let once = "netlink error: no device matches name (offset 24)\nnetlink error: No such device\n";
    let end = if times > 1 { "No data available\n" } else { "" };
    refuse(once.repeat(times) + end, status)
}

fn settings(link: Option<&LinkRow>) -> Command {
    let Some(link) = link else { return no_device(5, 75) };
    let mut out = format!("Settings for {}:\n", link.name);
    let (speed, duplex, port, crossover) = match link.kind {
        LinkKind::Loopback | LinkKind::Ipip(_) | LinkKind::Gre(_) | LinkKind::Gretap(_) => ("", "", "", ""),
        LinkKind::Bridge { .. } => ("10000Mb/s", "Unknown! (255)", "Other", ""),
        LinkKind::Physical { .. } => ("Unknown!", "Unknown! (255)", "Other", ""),
        LinkKind::Veth { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Dummy
        | LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. } => ("10000Mb/s", "Full", "Twisted Pair", "\tMDI-X: Unknown\n"),
    };
    if !speed.is_empty() {
        out += "\tSupported ports: [  ]\n";
        for (verb, negotiation) in [("Supported", "Supports"), ("Advertised", "Advertised")] {
            let modes = format!("{verb} link modes:");
            let _ = write!(
                out,
                "\t{modes:<24}Not reported\n\t{verb} pause frame use: No\n\t{negotiation} auto-negotiation: No\n\t{verb} FEC modes: Not reported\n"
            );
        }
        let _ = write!(
            out,
            "\tSpeed: {speed}\n\tDuplex: {duplex}\n\tAuto-negotiation: off\n\tPort: {port}\n\tPHYAD: 0\n\tTransceiver: internal\n{crossover}"
        );
    }
    let detected = if link.up && link.carrier { "yes" } else { "no" };
    answer(out + &format!("\tLink detected: {detected}\n"))
}

fn info(link: Option<&LinkRow>) -> Command {
    let Some(link) = link else { return refuse("Cannot get driver information: No such device\n", 71) };
    let Some(driver) = driver(&link.kind) else {
        return refuse("Cannot get driver information: Operation not supported\n", 71);
    };
    let statistics = if driver.has_statistics { "yes" } else { "no" };
    answer(format!(
        "driver: {}\nversion: {}\nfirmware-version: {}\nexpansion-rom-version: \nbus-info: {}\n\
         supports-statistics: {statistics}\nsupports-test: no\nsupports-eeprom-access: no\n\
         supports-register-dump: no\nsupports-priv-flags: no\n",
        driver.name, driver.version, driver.firmware, driver.bus
    ))
}

fn statistics(link: Option<&LinkRow>) -> Command {
    const NAMES: [&str; 9] = [
        "rx_queue_0_xdp_packets",
        "rx_queue_0_xdp_bytes",
        "rx_queue_0_drops",
        "rx_queue_0_xdp_redirect",
        "rx_queue_0_xdp_drops",
        "rx_queue_0_xdp_tx",
        "rx_queue_0_xdp_tx_errors",
        "tx_queue_0_xdp_xmit",
        "tx_queue_0_xdp_xmit_errors",
    ];
    let Some(link) = link else {
        return refuse("Cannot get stats strings information: No such device\n", 96);
    };
    if matches!(link.kind, LinkKind::Physical { .. }) {
        return unsimulated("-S");
    }
    let LinkKind::Veth { peer, .. } = link.kind else { return refuse("no stats available\n", 94) };
    let mut out = format!("NIC statistics:\n     peer_ifindex: {}\n", peer.0);
    for name in NAMES {
        let _ = writeln!(out, "     {name}: 0");
    }
    answer(out)
}

fn features(link: Option<&LinkRow>) -> Command {
    let Some(link) = link else { return no_device(1, 1) };
    let place = driver(&link.kind).map_or(3, |driver| driver.features);
    let mut out = format!("Features for {}:\n", link.name);
    for (name, states) in FEATURES {
        let state = match states.as_bytes().get(place) {
            Some(b'1') => "on",
            Some(b'+') => "on [fixed]",
            Some(b'-') => "off [fixed]",
            Some(b'r') => "off [requested on]",
            _ => "off",
        };
        let _ = writeln!(out, "{name}: {state}");
    }
    answer(out)
}
