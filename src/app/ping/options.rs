//! What `ping` was asked to do.

use crate::app::PathMtuDiscovery;
use crate::base::Ipv4Addr;

/// What the options of the command line ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option letter of the program")]
pub struct PingOptions {
    /// The destination as typed.
    pub target: String,
    /// `-c`: stop after so many replies.
    pub count: Option<u64>,
    /// `-i`, in milliseconds.
    pub interval_ms: Option<u32>,
    /// `-s`: bytes of data.
    pub size: usize,
    /// `-t`.
    pub ttl: Option<u8>,
    /// `-M`.
    pub discovery: Option<PathMtuDiscovery>,
    /// `-W`, in milliseconds.
    pub linger_ms: u32,
    /// `-w`, in seconds; 0 for none.
    pub deadline_secs: u32,
    /// `-I` with an address.
    pub source: Option<Ipv4Addr>,
    /// `-I` with a name.
    pub device: Option<String>,
    /// `-Q`.
    pub tos: u8,
    /// `-l`.
    pub preload: u32,
    /// `-p`: bytes to fill the data with.
    pub pattern: Option<Vec<u8>>,
    /// `-q`.
    pub quiet: bool,
    /// `-D`.
    pub timestamps: bool,
    /// `-O`.
    pub outstanding: bool,
    /// `-n`.
    pub numeric: bool,
    /// `-f`.
    pub flood: bool,
    /// `-b`.
    pub broadcast: bool,
    /// `-L`: what goes to a group does not come back.
    pub unheard: bool,
    /// `-a`.
    pub audible: bool,
    /// `-A`: as fast as answers come.
    pub adaptive: bool,
    /// `-B`: the source stays.
    pub strict_source: bool,
    /// `-v`.
    pub verbose: bool,
    /// `-4`.
    pub inet: bool,
    /// `-R` and `-T`.
    pub header: Option<super::HeaderOption>,
}

impl PingOptions {
    /// What `ping TARGET` alone means.
    pub fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            count: None,
            interval_ms: None,
            size: 56,
            ttl: None,
            discovery: None,
            linger_ms: 10_000,
            deadline_secs: 0,
            source: None,
            device: None,
            tos: 0,
            preload: 1,
            pattern: None,
            quiet: false,
            timestamps: false,
            outstanding: false,
            numeric: false,
            flood: false,
            broadcast: false,
            unheard: false,
            audible: false,
            adaptive: false,
            strict_source: false,
            verbose: false,
            inet: false,
            header: None,
        }
    }
}
