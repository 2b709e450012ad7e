//! Settings under `/proc/sys/net`, each with Linux's default. Only what this data path obeys is kept; a setting that
//! is not listed is *not modelled*.

use super::DeviceConf;
use crate::base::Duration;
use crate::trace::HashFields;

/// Settings of one network namespace. All of them are *simulated*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the kernel under its own name")]
pub struct Sysctl {
    /// `net.ipv4.ip_forward`.
    pub ip_forward: bool,
    /// `net.ipv4.conf.all.*`, joined to every interface's own.
    pub all: DeviceConf,
    /// `net.ipv4.conf.default.*`, which a new interface begins with.
    pub default: DeviceConf,
    /// `net.bridge.bridge-nf-call-iptables`.
    pub bridge_nf_call_iptables: bool,
    /// Whether connection tracking is loaded here, so that fragments are put together at the first hook
    /// (`nf_defrag_ipv4`).
    pub conntrack: bool,
    /// Whether packets of one connection pass the hooks side by side, on several processors, and clash when they are
    /// entered into the table, as before Linux 5.0. No setting of the kernel's: the cluster document asks for it.
    pub conntrack_race: bool,
    /// `net.netfilter.nf_conntrack_max`.
    pub conntrack_max: usize,
    /// `net.netfilter.nf_conntrack_tcp_loose`.
    pub conntrack_tcp_loose: bool,
    /// `net.ipv4.fib_multipath_hash_policy`, 0 to 3.
    pub fib_multipath_hash_policy: u8,
    /// `net.ipv4.fib_multipath_hash_fields`: what counts under policy 3, a bit for each field.
    pub fib_multipath_hash_fields: u16,
    /// `net.ipv4.fib_multipath_use_neigh`.
    pub fib_multipath_use_neigh: bool,
    /// `net.ipv4.ip_default_ttl`.
    pub ip_default_ttl: u8,
    /// `net.ipv4.icmp_echo_ignore_all`.
    pub icmp_echo_ignore_all: bool,
    /// `net.ipv4.icmp_echo_ignore_broadcasts`.
    pub icmp_echo_ignore_broadcasts: bool,
    /// `net.ipv4.icmp_ratelimit`.
    pub icmp_ratelimit: Duration,
    /// `net.ipv4.neigh.default.base_reachable_time_ms`.
    pub base_reachable_time: Duration,
    /// `net.ipv4.neigh.default.delay_first_probe_time`.
    pub delay_first_probe_time: Duration,
    /// `net.ipv4.neigh.default.retrans_time_ms`.
    pub retrans_time: Duration,
    /// `net.ipv4.neigh.default.ucast_solicit`.
    pub ucast_solicit: u8,
    /// `net.ipv4.neigh.default.mcast_solicit`.
    pub mcast_solicit: u8,
    /// `net.ipv4.neigh.default.unres_qlen_bytes`.
    pub unres_qlen_bytes: usize,
}

impl Default for Sysctl {
    fn default() -> Self {
        Self {
            ip_forward: false,
            all: DeviceConf::default(),
            default: DeviceConf::default(),
            bridge_nf_call_iptables: false,
            conntrack: false,
            conntrack_race: false,
            conntrack_max: 262_144,
            conntrack_tcp_loose: true,
            fib_multipath_hash_policy: 0,
            fib_multipath_hash_fields: HashFields::default().0,
            fib_multipath_use_neigh: false,
            ip_default_ttl: 64,
            icmp_echo_ignore_all: false,
            icmp_echo_ignore_broadcasts: true,
            icmp_ratelimit: Duration::from_secs(1),
            base_reachable_time: Duration::from_secs(30),
            delay_first_probe_time: Duration::from_secs(5),
            retrans_time: Duration::from_secs(1),
            ucast_solicit: 3,
            mcast_solicit: 3,
            unres_qlen_bytes: 212_992,
        }
    }
}

impl Sysctl {
    /// Changes a setting that belongs to no interface; see [`super::Netns::set_sysctl`].
    pub(super) fn set(&mut self, key: &str, value: &str) -> bool {
        let Ok(number) = value.parse::<u64>() else { return false };
        let flag = number != 0;
        let small = u8::try_from(number).unwrap_or(u8::MAX);
        match key {
            "net.ipv4.ip_forward" => self.ip_forward = flag,
            "net.bridge.bridge-nf-call-iptables" => self.bridge_nf_call_iptables = flag,
            "net.netfilter.nf_conntrack_max" | "net.nf_conntrack_max" => self.conntrack_max = number as usize,
            "net.netfilter.nf_conntrack_tcp_loose" => self.conntrack_tcp_loose = flag,
            "net.ipv4.fib_multipath_hash_policy" => self.fib_multipath_hash_policy = small,
            "net.ipv4.fib_multipath_hash_fields" => {
                self.fib_multipath_hash_fields = u16::try_from(number).unwrap_or(u16::MAX);
            }
            "net.ipv4.fib_multipath_use_neigh" => self.fib_multipath_use_neigh = flag,
            "net.ipv4.ip_default_ttl" => self.ip_default_ttl = small,
            "net.ipv4.icmp_echo_ignore_all" => self.icmp_echo_ignore_all = flag,
            "net.ipv4.icmp_echo_ignore_broadcasts" => self.icmp_echo_ignore_broadcasts = flag,
            "net.ipv4.icmp_ratelimit" => self.icmp_ratelimit = Duration::from_ms(number),
            _ => return false,
        }
        true
    }

    /// A setting as a number.
    pub(super) fn get(&self, key: &str) -> Option<u64> {
        Some(match key {
            "net.ipv4.ip_forward" => u64::from(self.ip_forward),
            "net.bridge.bridge-nf-call-iptables" => u64::from(self.bridge_nf_call_iptables),
            "net.ipv4.fib_multipath_hash_policy" => u64::from(self.fib_multipath_hash_policy),
            "net.ipv4.fib_multipath_hash_fields" => u64::from(self.fib_multipath_hash_fields),
            "net.ipv4.fib_multipath_use_neigh" => u64::from(self.fib_multipath_use_neigh),
            "net.ipv4.ip_default_ttl" => u64::from(self.ip_default_ttl),
            "net.ipv4.icmp_echo_ignore_all" => u64::from(self.icmp_echo_ignore_all),
            "net.ipv4.icmp_echo_ignore_broadcasts" => u64::from(self.icmp_echo_ignore_broadcasts),
            "net.ipv4.icmp_ratelimit" => self.icmp_ratelimit.0 / 1_000_000,
            _ => return None,
        })
    }
}
