//! Rows of IPVS: virtual servers with the real servers behind them, and connections; and the tables that they fold into.

use crate::base::{ChangeId, Duration, IpvsScheduler, NetnsId, SimTime};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A row of IPVS that came or changed, or the key of one that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpvsChange {
    /// A virtual server came, or it or the servers behind it changed.
    Server(Arc<VirtualServerRow>),
    /// A virtual server went, with the servers behind it.
    ServerGone(NetnsId, ServerKey),
    /// A connection came or changed.
    Connection(Box<IpvsConnectionRow>),
    /// A connection went, by its number.
    ConnectionGone(NetnsId, u32),
}

/// What a virtual server is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey {
    /// IP protocol number.
    pub protocol: u8,
    /// Address and port.
    pub socket: SocketAddr,
}

/// A server behind a virtual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealServer {
    /// Address and port.
    pub socket: SocketAddr,
    /// Weight; 0 takes no new connections.
    pub weight: u32,
}

/// A virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServerRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Protocol, address and port.
    pub key: ServerKey,
    /// How a server is chosen for a connection.
    pub scheduler: IpvsScheduler,
    /// How many seconds a client keeps its server, where it does (`persistent`).
    pub persistent: Option<u32>,
    /// What it stands for, as who made it says; the kernel itself has no such field.
    pub service: Arc<str>,
    /// The servers behind it, the youngest first, as the kernel has them.
    pub real: Vec<RealServer>,
}

/// State of a connection (`IP_VS_TCP_S_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpvsState {
    /// Nothing was seen.
    #[default]
    None,
    /// The handshake is complete.
    Established,
    /// The server has sent SYN.
    SynSent,
    /// The client has sent SYN.
    SynRecv,
    /// The server has sent FIN.
    FinWait,
    /// Both have sent FIN.
    TimeWait,
    /// It was reset, or is over.
    Close,
    /// The client has sent FIN.
    CloseWait,
    /// The last FIN is out.
    LastAck,
    /// Of UDP.
    Udp,
}

impl IpvsState {
    /// Name in `ipvsadm -Lc`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Udp => "UDP",
        }
    }
}

/// A connection, or the memory of a client's choice (a template, whose client has port 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpvsConnectionRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Number that it keeps as long as it lives, in its namespace.
    pub id: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// The client.
    pub client: SocketAddr,
    /// The virtual server.
    pub server: SocketAddr,
    /// The real one.
    pub real: SocketAddr,
    /// State.
    pub state: IpvsState,
    /// How long it is kept after a packet.
    pub timeout: Duration,
    /// Whether it is the memory of a client's choice.
    pub template: bool,
    /// What the virtual server stands for.
    pub service: Arc<str>,
    /// Out of how many servers it was chosen; 0 where the client kept the one it had.
    pub one_of: u32,
}

impl IpvsConnectionRow {
    /// Whether it is a connection to a real server behind a virtual one, and no template.
    pub fn is_of(&self, key: &ServerKey, real: SocketAddr) -> bool {
        !self.template && (self.protocol, self.server, self.real) == (key.protocol, key.socket, real)
    }

    /// Whether it counts as active: of TCP, established or about to be (`tcp_state_active_table`).
    pub fn is_active(&self) -> bool {
        matches!(self.state, IpvsState::Established | IpvsState::SynSent | IpvsState::SynRecv)
    }

    /// A line of `ipvsadm -Lnc` with the time left.
    pub fn line(&self, left: Duration) -> String {
        let protocol = match self.protocol {
            6 => "TCP",
            17 => "UDP",
            _ => "IP",
        };
        let seconds = left.as_secs();
        let time = format!("{:02}:{:02}", seconds / 60, seconds % 60);
        let [client, server, real] = [self.client, self.server, self.real].map(|socket| socket.to_string());
        format!("{protocol} {time:<7} {:<11} {client:<18} {server:<18} {real}", self.state.name())
    }
}

impl fmt::Display for VirtualServerRow {
    /// One line: the virtual server and those behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", protocol_word(self.key.protocol), self.key.socket, self.scheduler.name())?;
        if let Some(seconds) = self.persistent {
            write!(f, " persistent {seconds}")?;
        }
        for real in &self.real {
            write!(f, " -> {}", real.socket)?;
        }
        Ok(())
    }
}

impl fmt::Display for IpvsConnectionRow {
    /// One line, without the time left.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, server, real, state, .. } = self;
        write!(f, "{} {client} -> {server} -> {real} {}", protocol_word(self.protocol), state.name())
    }
}

/// A protocol as `ipvsadm` prints it.
pub fn protocol_word(protocol: u8) -> &'static str {
    match protocol {
        6 => "TCP",
        17 => "UDP",
        132 => "SCTP",
        _ => "IP",
    }
}

/// IPVS's tables of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Ipvs {
    /// Virtual servers, each with the change that gave its row the present form.
    pub servers: BTreeMap<ServerKey, (ChangeId, Arc<VirtualServerRow>)>,
    /// Connections by number.
    pub connections: BTreeMap<u32, IpvsConnection>,
}

/// A connection with when its last packet was seen.
#[derive(Clone, Debug)]
pub struct IpvsConnection {
    /// The change that gave the row its present form.
    pub change: ChangeId,
    /// The row.
    pub row: IpvsConnectionRow,
    /// When its last packet was seen.
    pub seen: SimTime,
}

impl IpvsConnection {
    /// How long it is kept if no packet comes.
    pub fn left(&self, now: SimTime) -> Duration {
        (self.seen + self.row.timeout).since(now)
    }
}

impl Ipvs {
    /// The connections that are still kept.
    pub fn kept(&self, now: SimTime) -> impl Iterator<Item = &IpvsConnection> {
        self.connections.values().filter(move |connection| connection.seen + connection.row.timeout > now)
    }

    /// Active and inactive connections of a real server.
    pub fn counts(&self, key: &ServerKey, real: SocketAddr, now: SimTime) -> (usize, usize) {
        let own = |connection: &&IpvsConnection| connection.row.is_of(key, real);
        let (active, inactive): (Vec<_>, Vec<_>) =
            self.kept(now).filter(own).partition(|connection| connection.row.is_active());
        (active.len(), inactive.len())
    }

    pub(super) fn apply(&mut self, id: ChangeId, change: &IpvsChange, now: SimTime) {
        match change {
            IpvsChange::Server(row) => drop(self.servers.insert(row.key, (id, row.clone()))),
            IpvsChange::ServerGone(_, key) => drop(self.servers.remove(key)),
            IpvsChange::Connection(row) => {
                let connection = IpvsConnection { change: id, row: (**row).clone(), seen: now };
                self.connections.insert(row.id, connection);
            }
            IpvsChange::ConnectionGone(_, id) => drop(self.connections.remove(id)),
        }
    }
}

impl IpvsChange {
    /// The namespace that it is of.
    pub fn netns(&self) -> NetnsId {
        match self {
            Self::Server(row) => row.netns,
            Self::Connection(row) => row.netns,
            Self::ServerGone(netns, _) | Self::ConnectionGone(netns, _) => *netns,
        }
    }

    /// The row as one line; `None` for what went.
    pub fn line(&self) -> Option<String> {
        match self {
            Self::Server(row) => Some(format!("ipvs {row}")),
            Self::Connection(row) => Some(format!("ipvs {row}")),
            Self::ServerGone(..) | Self::ConnectionGone(..) => None,
        }
    }
}
