//! What a command line asks of `traceroute`.

use crate::base::Duration;

/// How probes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// UDP to ports from 33434 on, one further for each probe.
    Default,
    /// UDP to one port, 53.
    Udp,
    /// ICMP echo requests.
    Icmp,
    /// TCP segments with SYN to one port, 80; the connection is never made.
    Tcp,
}

impl Method {
    /// The port that probes go to, or the first sequence number, where no other is asked for.
    pub fn port(self) -> u16 {
        match self {
            Self::Default => 33434,
            Self::Udp => 53,
            Self::Icmp => 1,
            Self::Tcp => 80,
        }
    }
}

/// How long answers are waited for (`-w MAX,HERE,NEAR`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// At most this long.
    pub most: Duration,
    /// So many times as long as an answer from the same hop took, in thousandths; 0 for no such limit.
    pub here: u64,
    /// The same for an answer from a later hop.
    pub near: u64,
}

/// What the options of the command line ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program under its own name")]
pub struct TracerouteOptions {
    /// The destination as typed.
    pub target: String,
    /// How probes are made.
    pub method: Method,
    /// `-n`.
    pub numeric: bool,
    /// `-f`.
    pub first_hop: u8,
    /// `-m`.
    pub hops_max: u8,
    /// `-q`.
    pub probes: u8,
    /// `-N`.
    pub at_once: u16,
    /// `-w`.
    pub patience: Patience,
    /// `-z`: the least time between two probes.
    pub send_wait: Duration,
    /// `-p`; `None` for the method's own.
    pub port: Option<u16>,
    /// `--sport`.
    pub source_port: u16,
    /// `-s`, as typed.
    pub source: Option<String>,
    /// `-i`.
    pub device: Option<String>,
    /// `-t`.
    pub tos: u8,
    /// `-F`.
    pub dont_fragment: bool,
    /// `--mtu`: finds out how large packets may be.
    pub finds_mtu: bool,
    /// `--back`: tells where the way back has another length.
    pub back: bool,
    /// `-O info` of the method `tcp`: tells the flags of the last answers.
    pub info: bool,
    /// Length of the packets, if one was given.
    pub length: Option<u16>,
    /// Whether it is busybox's.
    pub busybox: bool,
}

impl TracerouteOptions {
    /// What `traceroute TARGET` alone means.
    pub fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            method: Method::Default,
            numeric: false,
            first_hop: 1,
            hops_max: 30,
            probes: 3,
            at_once: 16,
            patience: Patience { most: Duration::from_secs(5), here: 3000, near: 10_000 },
            send_wait: Duration(0),
            port: None,
            source_port: 0,
            source: None,
            device: None,
            tos: 0,
            dont_fragment: false,
            finds_mtu: false,
            back: false,
            info: false,
            length: None,
            busybox: false,
        }
    }

    /// Length of the packets. Segments of TCP carry a fixed header and no data.
    pub(super) fn packet_len(&self) -> u16 {
        if self.method == Method::Tcp {
            return 60;
        }
        let own = if self.finds_mtu { 65_000 } else { 60 };
        self.length.map_or(own, |length| length.max(28))
    }
}
