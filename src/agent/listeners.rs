//! Where programs listen that are known by their images, their containers' ports or annotations alone.

use crate::api::Container;
use crate::app::Transport;
use crate::app::server::{Flavor, Listener, Serve, Site};
use crate::base::Ipv4Addr;
use crate::cluster::{images as image_facts, processes};
use std::net::SocketAddrV4;

/// Where a program of which nothing is known listens: on the ports that its image is known for, else on those that the
/// container declares.
pub(super) fn listeners_of(image: &str, spec: &Container) -> Vec<Listener> {
    if let Some(service) = image_facts::service_in(image).filter(|_| spec.command.is_empty()) {
        let tcp = service.tcp.iter().map(|port| listener_at(Transport::Tcp, *port));
        return tcp.chain(service.udp.iter().map(|port| listener_at(Transport::Udp, *port))).collect();
    }
    let listener = |port: &crate::api::ContainerPort| {
        let transport = match port.protocol {
            crate::api::Protocol::Tcp => Transport::Tcp,
            crate::api::Protocol::Udp => Transport::Udp,
            crate::api::Protocol::Sctp => return None,
        };
        Some(listener_at(transport, port.container_port))
    };
    spec.ports.iter().filter_map(listener).collect()
}

/// What is likely to be said on a port.
fn listener_at(transport: Transport, port: u16) -> Listener {
    let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    let serve = match (transport, port) {
        (Transport::Udp, _) => Serve::Echo,
        (Transport::Tcp, 6379) => Serve::Redis,
        (Transport::Tcp, 5432) => Serve::Postgres,
        (Transport::Tcp, 11211) => Serve::Memcached,
        (
            Transport::Tcp,
            22 | 53 | 443 | 3306 | 4222 | 5672 | 6222 | 6443 | 8443 | 9092 | 9094 | 9300 | 24224 | 25672
            | 27017 | 33060,
        ) => Serve::Silent,
        (Transport::Tcp, _) => Serve::Http(plain_site(None)),
    };
    Listener { transport, local, serve }
}

/// The site of a program of which nothing else is known: it tells its host's name.
pub(super) fn plain_site(index: Option<String>) -> Site {
    Site { flavor: Flavor::Hostname, root: "/".to_owned(), index }
}

/// A listener that an annotation tells of.
pub(super) fn listener(spec: &processes::Listen) -> Listener {
    let transport = if spec.is_udp { Transport::Udp } else { Transport::Tcp };
    let serve = match spec.serve {
        processes::Kind::Http => Serve::Http(plain_site(spec.body.clone())),
        processes::Kind::Echo => Serve::Echo,
        processes::Kind::Silent => Serve::Silent,
        processes::Kind::Say => Serve::Say(spec.body.clone().unwrap_or_default()),
        processes::Kind::Redis => Serve::Redis,
        processes::Kind::Postgres => Serve::Postgres,
        processes::Kind::Memcached => Serve::Memcached,
    };
    Listener { transport, local: spec.local, serve }
}
