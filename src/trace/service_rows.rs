//! Rows of Services and of the endpoints behind them.

use crate::base::{NetnsId, SimTime, SocketId};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// A row of Services that came or changed, or the key of one that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceChange {
    /// A Service object came or changed.
    Service(Box<ServiceRow>),
    /// A Service object went, by namespace and name.
    ServiceGone(Arc<str>, Arc<str>),
    /// An `EndpointSlice` object came or changed.
    Slice(Box<SliceRow>),
    /// An `EndpointSlice` object went, by namespace and name.
    SliceGone(Arc<str>, Arc<str>),
    /// A socket's destination was replaced by an endpoint.
    Balanced(Box<SocketBalanced>),
}

/// Rows by namespace and name.
type ByName<T> = BTreeMap<(Arc<str>, Arc<str>), T>;

impl ServiceChange {
    /// Folds the change into the tables.
    pub(super) fn apply(&self, services: &mut ByName<ServiceRow>, slices: &mut ByName<SliceRow>) {
        match self {
            Self::Service(row) => {
                services.insert((row.namespace.clone(), row.name.clone()), (**row).clone());
            }
            Self::ServiceGone(namespace, name) => {
                services.remove(&(namespace.clone(), name.clone()));
            }
            Self::Slice(row) => {
                slices.insert((row.namespace.clone(), row.name.clone()), (**row).clone());
            }
            Self::SliceGone(namespace, name) => {
                slices.remove(&(namespace.clone(), name.clone()));
            }
            // What a socket reaches stands in its own row.
            Self::Balanced(_) => {}
        }
    }
}

/// A Service that was replaced by an endpoint before a packet was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketBalanced {
    /// Namespace of the socket.
    pub netns: NetnsId,
    /// The socket.
    pub socket: SocketId,
    /// The port of the Service, as `namespace/name:port`.
    pub service: Arc<str>,
    /// What the program wanted to reach.
    pub to: SocketAddrV4,
    /// What the socket reaches.
    pub endpoint: SocketAddrV4,
    /// Out of how many endpoints it was drawn.
    pub one_of: u32,
}

/// `namespace/name:port VIP -> endpoint`.
impl fmt::Display for SocketBalanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.service, self.to, self.endpoint)
    }
}

/// A Service object with its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRow {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Type, as `ClusterIP`.
    pub kind: Arc<str>,
    /// Cluster IP; `None` for a headless Service, empty for an `ExternalName`.
    pub cluster_ip: Arc<str>,
    /// Addresses outside: of the load balancer, then `externalIPs`.
    pub external: Vec<Arc<str>>,
    /// The name that an `ExternalName` stands for; empty for the other types.
    pub external_name: Arc<str>,
    /// Ports.
    pub ports: Vec<ServicePortRow>,
    /// Labels of the Pods behind it.
    pub selector: BTreeMap<String, String>,
    /// When it was created.
    pub created: SimTime,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePortRow {
    /// Name; empty where there is one port.
    pub name: Arc<str>,
    /// Protocol, as `TCP`.
    pub protocol: &'static str,
    /// Port number.
    pub port: u16,
    /// Port of the nodes; 0 for none.
    pub node_port: u16,
}

/// An `EndpointSlice` object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceRow {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// The Service it belongs to.
    pub service: Arc<str>,
    /// Family of its addresses.
    pub address_type: Arc<str>,
    /// Ports of every endpoint: name, protocol, number where it has one.
    pub ports: Vec<(Arc<str>, &'static str, Option<u16>)>,
    /// Endpoints.
    pub endpoints: Vec<EndpointRow>,
    /// When it was created.
    pub created: SimTime,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRow {
    /// Address.
    pub address: Arc<str>,
    /// Whether it takes traffic.
    pub ready: bool,
    /// Whether it is about to go.
    pub terminating: bool,
    /// The node it runs on.
    pub node: Option<Arc<str>>,
    /// The Pod behind it.
    pub pod: Option<Arc<str>>,
}

/// As the column `PORT(S)` of `kubectl get services` has it.
impl fmt::Display for ServicePortRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node_port {
            0 => write!(f, "{}/{}", self.port, self.protocol),
            node_port => write!(f, "{}:{node_port}/{}", self.port, self.protocol),
        }
    }
}

/// `namespace/name TYPE address ports`.
impl fmt::Display for ServiceRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {} {}", self.namespace, self.name, self.kind, self.cluster_ip)?;
        self.ports.iter().try_for_each(|port| write!(f, " {port}"))
    }
}

/// `namespace/name` and the endpoints that take traffic, with the ports of the slice.
impl fmt::Display for SliceRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)?;
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.ready) {
            for (_, _, port) in &self.ports {
                match port {
                    Some(port) => write!(f, " {}:{port}", endpoint.address)?,
                    None => write!(f, " {}", endpoint.address)?,
                }
            }
        }
        Ok(())
    }
}

/// A line of a printed trace.
impl fmt::Display for ServiceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(row) => write!(f, "service {row}"),
            Self::ServiceGone(namespace, name) => write!(f, "service gone {namespace}/{name}"),
            Self::Slice(row) => write!(f, "endpoints {row}"),
            Self::SliceGone(namespace, name) => write!(f, "endpoints gone {namespace}/{name}"),
            Self::Balanced(row) => write!(f, "socket #{} {row}", row.socket.0),
        }
    }
}
