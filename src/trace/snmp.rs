//! Counters of the protocols as the kernel keeps and shows them (`/proc/net/snmp`, `/proc/net/netstat`; `net/ipv4/proc.c`,
//! `include/uapi/linux/snmp.h`; RFC 4293, RFC 4022, RFC 4113). What nothing here gives rise to stays zero.

use crate::wire::Ipv4;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The counters of one protocol, in the kernel's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnmpGroup {
    /// Its name, as `Ip`.
    pub name: &'static str,
    /// Names of counters with what they count.
    pub counters: Vec<(Cow<'static, str>, i64)>,
}

/// The counters of a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnmpTables {
    /// Those of `/proc/net/snmp`.
    pub snmp: Vec<SnmpGroup>,
    /// Those of `/proc/net/netstat`.
    pub netstat: Vec<SnmpGroup>,
}

/// Two lines: the names, and the numbers below them.
impl fmt::Display for SnmpGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        self.counters.iter().try_for_each(|(name, _)| write!(f, " {name}"))?;
        write!(f, "\n{}:", self.name)?;
        self.counters.iter().try_for_each(|(_, count)| write!(f, " {count}"))?;
        f.write_str("\n")
    }
}

/// A counter, by its group and its name in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the kernel's counter of this name")]
pub enum Mib {
    IpInReceives,
    IpInHdrErrors,
    IpInAddrErrors,
    IpForwDatagrams,
    IpInUnknownProtos,
    IpInDelivers,
    IpOutRequests,
    IpOutDiscards,
    IpOutNoRoutes,
    IpReasmTimeout,
    IpReasmReqds,
    IpReasmOks,
    IpReasmFails,
    IpFragOks,
    IpFragFails,
    IpFragCreates,
    IpOutTransmits,
    IcmpInMsgs,
    IcmpInErrors,
    IcmpOutMsgs,
    IcmpOutRateLimitGlobal,
    IcmpOutRateLimitHost,
    TcpActiveOpens,
    TcpPassiveOpens,
    TcpAttemptFails,
    TcpEstabResets,
    TcpInSegs,
    TcpOutSegs,
    TcpRetransSegs,
    TcpOutRsts,
    UdpInDatagrams,
    UdpNoPorts,
    UdpInErrors,
    UdpOutDatagrams,
    UdpRcvbufErrors,
    UdpIgnoredMulti,
    TcpExtEmbryonicRsts,
    TcpExtListenOverflows,
    TcpExtListenDrops,
    TcpExtIpReversePathFilter,
    TcpExtSynRetrans,
    TcpExtTimeouts,
    TcpExtAbortOnTimeout,
    TcpExtDelayedAcks,
    TcpExtKeepAlive,
    TcpExtLossProbes,
    IpExtInNoRoutes,
    IpExtInMcastPkts,
    IpExtOutMcastPkts,
    IpExtInBcastPkts,
    IpExtOutBcastPkts,
    IpExtInOctets,
    IpExtOutOctets,
    IpExtInMcastOctets,
    IpExtOutMcastOctets,
    IpExtInBcastOctets,
    IpExtOutBcastOctets,
    IpExtInNoEctPkts,
    IpExtInEct1Pkts,
    IpExtInEct0Pkts,
    IpExtInCePkts,
}

/// All counters with their names, in the order of [`Mib`].
const NAMES: [(Mib, &str, &str); 61] = [
    (Mib::IpInReceives, "Ip", "InReceives"),
    (Mib::IpInHdrErrors, "Ip", "InHdrErrors"),
    (Mib::IpInAddrErrors, "Ip", "InAddrErrors"),
    (Mib::IpForwDatagrams, "Ip", "ForwDatagrams"),
    (Mib::IpInUnknownProtos, "Ip", "InUnknownProtos"),
    (Mib::IpInDelivers, "Ip", "InDelivers"),
    (Mib::IpOutRequests, "Ip", "OutRequests"),
    (Mib::IpOutDiscards, "Ip", "OutDiscards"),
    (Mib::IpOutNoRoutes, "Ip", "OutNoRoutes"),
    (Mib::IpReasmTimeout, "Ip", "ReasmTimeout"),
    (Mib::IpReasmReqds, "Ip", "ReasmReqds"),
    (Mib::IpReasmOks, "Ip", "ReasmOKs"),
    (Mib::IpReasmFails, "Ip", "ReasmFails"),
    (Mib::IpFragOks, "Ip", "FragOKs"),
    (Mib::IpFragFails, "Ip", "FragFails"),
    (Mib::IpFragCreates, "Ip", "FragCreates"),
    (Mib::IpOutTransmits, "Ip", "OutTransmits"),
    (Mib::IcmpInMsgs, "Icmp", "InMsgs"),
    (Mib::IcmpInErrors, "Icmp", "InErrors"),
    (Mib::IcmpOutMsgs, "Icmp", "OutMsgs"),
    (Mib::IcmpOutRateLimitGlobal, "Icmp", "OutRateLimitGlobal"),
    (Mib::IcmpOutRateLimitHost, "Icmp", "OutRateLimitHost"),
    (Mib::TcpActiveOpens, "Tcp", "ActiveOpens"),
    (Mib::TcpPassiveOpens, "Tcp", "PassiveOpens"),
    (Mib::TcpAttemptFails, "Tcp", "AttemptFails"),
    (Mib::TcpEstabResets, "Tcp", "EstabResets"),
    (Mib::TcpInSegs, "Tcp", "InSegs"),
    (Mib::TcpOutSegs, "Tcp", "OutSegs"),
    (Mib::TcpRetransSegs, "Tcp", "RetransSegs"),
    (Mib::TcpOutRsts, "Tcp", "OutRsts"),
    (Mib::UdpInDatagrams, "Udp", "InDatagrams"),
    (Mib::UdpNoPorts, "Udp", "NoPorts"),
    (Mib::UdpInErrors, "Udp", "InErrors"),
    (Mib::UdpOutDatagrams, "Udp", "OutDatagrams"),
    (Mib::UdpRcvbufErrors, "Udp", "RcvbufErrors"),
    (Mib::UdpIgnoredMulti, "Udp", "IgnoredMulti"),
    (Mib::TcpExtEmbryonicRsts, "TcpExt", "EmbryonicRsts"),
    (Mib::TcpExtListenOverflows, "TcpExt", "ListenOverflows"),
    (Mib::TcpExtListenDrops, "TcpExt", "ListenDrops"),
    (Mib::TcpExtIpReversePathFilter, "TcpExt", "IPReversePathFilter"),
    (Mib::TcpExtSynRetrans, "TcpExt", "TCPSynRetrans"),
    (Mib::TcpExtTimeouts, "TcpExt", "TCPTimeouts"),
    (Mib::TcpExtAbortOnTimeout, "TcpExt", "TCPAbortOnTimeout"),
    (Mib::TcpExtDelayedAcks, "TcpExt", "DelayedACKs"),
    (Mib::TcpExtKeepAlive, "TcpExt", "TCPKeepAlive"),
    (Mib::TcpExtLossProbes, "TcpExt", "TCPLossProbes"),
    (Mib::IpExtInNoRoutes, "IpExt", "InNoRoutes"),
    (Mib::IpExtInMcastPkts, "IpExt", "InMcastPkts"),
    (Mib::IpExtOutMcastPkts, "IpExt", "OutMcastPkts"),
    (Mib::IpExtInBcastPkts, "IpExt", "InBcastPkts"),
    (Mib::IpExtOutBcastPkts, "IpExt", "OutBcastPkts"),
    (Mib::IpExtInOctets, "IpExt", "InOctets"),
    (Mib::IpExtOutOctets, "IpExt", "OutOctets"),
    (Mib::IpExtInMcastOctets, "IpExt", "InMcastOctets"),
    (Mib::IpExtOutMcastOctets, "IpExt", "OutMcastOctets"),
    (Mib::IpExtInBcastOctets, "IpExt", "InBcastOctets"),
    (Mib::IpExtOutBcastOctets, "IpExt", "OutBcastOctets"),
    (Mib::IpExtInNoEctPkts, "IpExt", "InNoECTPkts"),
    (Mib::IpExtInEct1Pkts, "IpExt", "InECT1Pkts"),
    (Mib::IpExtInEct0Pkts, "IpExt", "InECT0Pkts"),
    (Mib::IpExtInCePkts, "IpExt", "InCEPkts"),
];

/// Names of the counters of each group, as Linux 6.18 lists them.
const IP: &str = "Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers \
    OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits";
const ICMP: &str = "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos \
    InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost \
    OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps \
    OutAddrMasks OutAddrMaskReps";
const TCP: &str = "RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs \
    OutSegs RetransSegs InErrs OutRsts InCsumErrors";
const UDP: &str =
    "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors";
const TCP_EXT: &str = include_str!("snmp/tcpext.txt");
const IP_EXT: &str = "InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets \
    InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets InCsumErrors InNoECTPkts InECT1Pkts InECT0Pkts InCEPkts ReasmOverlaps";
const MPTCP_EXT: &str = include_str!("snmp/mptcpext.txt");

/// Types of ICMP that have a counter by their name (`icmpmibmap`).
const ICMP_TYPES: [(&str, u8); 11] = [
    ("DestUnreachs", 3),
    ("TimeExcds", 11),
    ("ParmProbs", 12),
    ("SrcQuenchs", 4),
    ("Redirects", 5),
    ("Echos", 8),
    ("EchoReps", 0),
    ("Timestamps", 13),
    ("TimestampReps", 14),
    ("AddrMasks", 17),
    ("AddrMaskReps", 18),
];
/// Types of ICMP that one pair of lines has room for (`PERLINE`).
const TYPES_PER_LINE: usize = 16;

/// What a namespace counted.
#[derive(Clone, Debug)]
pub struct Snmp {
    counts: [u64; NAMES.len()],
    /// Messages of ICMP by type: those that came and those that were sent.
    icmp_in: BTreeMap<u8, u64>,
    icmp_out: BTreeMap<u8, u64>,
    /// Whether packets are passed on (`net.ipv4.ip_forward`).
    pub forwarding: bool,
    /// `net.ipv4.ip_default_ttl`.
    pub default_ttl: u8,
    /// Connections that stand (`TCP_MIB_CURRESTAB`).
    pub established: u64,
}

impl Default for Snmp {
    fn default() -> Self {
        Self {
            counts: [0; NAMES.len()],
            icmp_in: BTreeMap::new(),
            icmp_out: BTreeMap::new(),
            forwarding: false,
            default_ttl: 64,
            established: 0,
        }
    }
}

impl Snmp {
    /// One more.
    pub fn inc(&mut self, mib: Mib) {
        self.counts[mib as usize] += 1;
    }

    /// So many more.
    pub fn add(&mut self, mib: Mib, count: u64) {
        self.counts[mib as usize] += count;
    }

    /// A packet and its bytes (`IP_UPD_PO_STATS`).
    pub fn packet(&mut self, (packets, octets): (Mib, Mib), bytes: usize) {
        self.inc(packets);
        self.add(octets, bytes as u64);
    }

    /// A packet came in (`ip_rcv_core`).
    pub fn received(&mut self, packet: &Ipv4) {
        /// By the two lower bits of the type of service (RFC 3168 section 5).
        const BY_ECN: [Mib; 4] =
            [Mib::IpExtInNoEctPkts, Mib::IpExtInEct1Pkts, Mib::IpExtInEct0Pkts, Mib::IpExtInCePkts];
        self.packet((Mib::IpInReceives, Mib::IpExtInOctets), packet.wire_len());
        self.inc(BY_ECN[usize::from(packet.tos & 3)]);
    }

    /// A message of ICMP came (`icmp_rcv`).
    pub fn icmp_received(&mut self, kind: u8) {
        self.inc(Mib::IcmpInMsgs);
        *self.icmp_in.entry(kind).or_default() += 1;
    }

    /// A message of ICMP is sent (`icmp_out_count`).
    pub fn icmp_sent(&mut self, kind: u8) {
        self.inc(Mib::IcmpOutMsgs);
        *self.icmp_out.entry(kind).or_default() += 1;
    }

    /// A counter by its names.
    fn get(&self, group: &str, name: &str) -> u64 {
        let found = NAMES.iter().find(|(_, own_group, own)| (*own_group, *own) == (group, name));
        found.map_or(0, |(mib, ..)| self.counts[*mib as usize])
    }

    fn icmp(&self, name: &str) -> u64 {
        let (table, rest) = match name.strip_prefix("In") {
            Some(rest) => (&self.icmp_in, rest),
            None => (&self.icmp_out, name.strip_prefix("Out").unwrap_or(name)),
        };
        match ICMP_TYPES.iter().find(|(known, _)| *known == rest) {
            Some((_, kind)) => table.get(kind).copied().unwrap_or(0),
            None => self.get("Icmp", name),
        }
    }

    /// Counters of all types of ICMP that there were (`icmpmsg_put`).
    fn icmp_msgs(&self) -> Vec<SnmpGroup> {
        let named = |way: &'static str, table: &BTreeMap<u8, u64>| -> Vec<(Cow<'static, str>, i64)> {
            table.iter().map(|(kind, count)| (format!("{way}Type{kind}").into(), signed(*count))).collect()
        };
        let mut counters = named("In", &self.icmp_in);
        counters.extend(named("Out", &self.icmp_out));
        let lines = counters.chunks(TYPES_PER_LINE);
        lines.map(|part| SnmpGroup { name: "IcmpMsg", counters: part.to_vec() }).collect()
    }

    /// The counters as the kernel shows them (`snmp_seq_show`, `netstat_seq_show`).
    pub fn tables(&self) -> SnmpTables {
        let of = |group: &'static str| move |name: &str| signed(self.get(group, name));
        let ip = |name: &str| match name {
            // 1 for a router, 2 for a host (RFC 4293, `ipForwarding`).
            "Forwarding" => 2 - i64::from(self.forwarding),
            "DefaultTTL" => i64::from(self.default_ttl),
            name => of("Ip")(name),
        };
        let tcp = |name: &str| match name {
            // "Other", in milliseconds, without a limit (RFC 4022).
            "RtoAlgorithm" => 1,
            "RtoMin" => 200,
            "RtoMax" => 120_000,
            "MaxConn" => -1,
            "CurrEstab" => signed(self.established),
            name => of("Tcp")(name),
        };
        let mut snmp = vec![group("Ip", IP, ip), group("Icmp", ICMP, |name| signed(self.icmp(name)))];
        snmp.extend(self.icmp_msgs());
        snmp.extend([group("Tcp", TCP, tcp), group("Udp", UDP, of("Udp")), group("UdpLite", UDP, |_| 0)]);
        let netstat = vec![
            group("TcpExt", TCP_EXT, of("TcpExt")),
            group("IpExt", IP_EXT, of("IpExt")),
            group("MPTcpExt", MPTCP_EXT, |_| 0),
        ];
        SnmpTables { snmp, netstat }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn group(name: &'static str, names: &'static str, value: impl Fn(&str) -> i64) -> SnmpGroup {
    let counters = names.split_whitespace().map(|name| (Cow::Borrowed(name), value(name))).collect();
    SnmpGroup { name, counters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_name() {
        for (at, (mib, group, name)) in NAMES.iter().enumerate() {
            assert_eq!(*mib as usize, at, "{group}{name}");
            let list = match *group {
                "Ip" => IP,
                "Icmp" => ICMP,
                "Tcp" => TCP,
                "Udp" => UDP,
                "TcpExt" => TCP_EXT,
                _ => IP_EXT,
            };
            assert!(list.split_whitespace().any(|known| known == *name), "{group}{name}");
        }
    }
}
