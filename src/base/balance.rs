//! How IPVS chooses among the servers behind a virtual one.

/// A scheduler of IPVS (`net/netfilter/ipvs/ip_vs_*.c`), by the names that `ipvsadm -s` and kube-proxy's `ipvs.scheduler` take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpvsScheduler {
    /// One after the other.
    #[default]
    Rr,
    /// One after the other, by weight. Here weights are 1, or 0 for what is to go.
    Wrr,
    /// The one with the fewest connections.
    Lc,
    /// The same, by weight.
    Wlc,
    /// The one that would be done first: the fewest active connections, by weight.
    Sed,
    /// One without active connections, else as `sed`.
    Nq,
    /// By the client's address.
    Sh,
    /// By the address asked.
    Dh,
    /// The one that the address asked has already, else the one with the fewest connections.
    Lblc,
    /// The same, where an address may have several.
    Lblcr,
    /// The first of those with the largest weight.
    Fo,
    /// The same, as long as it has no more connections than its weight.
    Ovf,
    /// By the client's address and port, in Maglev's table.
    Mh,
}

impl IpvsScheduler {
    /// All of them with their names.
    pub const ALL: [(&'static str, Self); 13] = [
        ("rr", Self::Rr),
        ("wrr", Self::Wrr),
        ("lc", Self::Lc),
        ("wlc", Self::Wlc),
        ("lblc", Self::Lblc),
        ("lblcr", Self::Lblcr),
        ("sh", Self::Sh),
        ("dh", Self::Dh),
        ("sed", Self::Sed),
        ("nq", Self::Nq),
        ("fo", Self::Fo),
        ("ovf", Self::Ovf),
        ("mh", Self::Mh),
    ];

    /// The scheduler of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, scheduler)| *scheduler)
    }

    /// Flags that kube-proxy gives it besides, as `ipvsadm` names them.
    pub const fn flags(self) -> &'static str {
        match self {
            Self::Mh => "mh-port",
            Self::Rr
            | Self::Wrr
            | Self::Lc
            | Self::Wlc
            | Self::Sed
            | Self::Nq
            | Self::Sh
            | Self::Dh
            | Self::Lblc
            | Self::Lblcr
            | Self::Fo
            | Self::Ovf => "",
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, known)| *known == self).map_or("rr", |(name, _)| name)
    }
}
