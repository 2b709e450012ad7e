//! What programs serve of which nothing is known but what their Pod says, and those that its annotation describes.

use crate::api::{Container, ContainerPort, Protocol, processes};
use crate::app::Transport;
use crate::app::server::{Flavor, Health, Listener, Serve, Serving, Site};
use crate::base::Ipv4Addr;
use crate::cluster::images;
use serde_json::Value;
use std::net::SocketAddrV4;

/// Where a program of which nothing is known listens: on the ports that its image is known for, else on those that the
/// container declares.
pub(super) fn listeners_of(image: &str, spec: &Container) -> Vec<Listener> {
    if let Some(service) = images::service_in(image).filter(|_| spec.command.is_empty()) {
        let tcp = service.tcp.iter().map(|port| listener_at(Transport::Tcp, *port));
        return tcp.chain(service.udp.iter().map(|port| listener_at(Transport::Udp, *port))).collect();
    }
    let listener = |port: &ContainerPort| {
        let transport = match port.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
            Protocol::Sctp => return None,
        };
        let likely = listener_at(transport, port.container_port);
        let asked = expected(spec, port).filter(|_| transport == Transport::Tcp);
        Some(Listener { serve: asked.unwrap_or(likely.serve), ..likely })
    };
    spec.ports.iter().filter_map(listener).collect()
}

/// What the container's own probes and hooks expect at a port, where they tell the protocol.
fn expected(spec: &Container, port: &ContainerPort) -> Option<Serve> {
    let probes = [&spec.startup_probe, &spec.readiness_probe, &spec.liveness_probe].map(Option::as_ref);
    let hooks = spec.lifecycle.as_ref().map(|hooks| [hooks.post_start.as_ref(), hooks.pre_stop.as_ref()]);
    let actions = probes.into_iter().chain(hooks.into_iter().flatten()).flatten();
    let is_here = |action: &Value| match action["port"].as_str() {
        Some(name) => port.name.as_deref() == Some(name),
        None => action["port"] == port.container_port,
    };
    actions.into_iter().find_map(|action| match (action.get("httpGet"), action.get("grpc")) {
        (Some(http), _) if is_here(http) => {
            let site = plain_site(None);
            Some(if http["scheme"] == "HTTPS" { Serve::Https(site) } else { Serve::Http(site) })
        }
        (_, Some(grpc)) if is_here(grpc) => Some(Serve::Grpc(Health::of(Serving::Serving))),
        _ => None,
    })
}

/// What is likely to be said on a port.
fn listener_at(transport: Transport, port: u16) -> Listener {
    let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    let serve = match (transport, port) {
        (Transport::Udp, _) => Serve::Echo,
        (Transport::Tcp, 6379) => Serve::Redis,
        (Transport::Tcp, 5432) => Serve::Postgres,
        (Transport::Tcp, 11211) => Serve::Memcached,
        (Transport::Tcp, 443 | 6443 | 8443) => Serve::Https(plain_site(None)),
        (
            Transport::Tcp,
            22 | 53 | 3306 | 4222 | 5672 | 6222 | 9092 | 9094 | 9300 | 24224 | 25672 | 27017 | 33060,
        ) => Serve::Silent,
        (Transport::Tcp, _) => Serve::Http(plain_site(None)),
    };
    Listener { transport, local, serve }
}

/// The site of a program of which nothing else is known: it tells its host's name.
pub(super) fn plain_site(index: Option<String>) -> Site {
    Site { flavor: Flavor::Hostname, root: "/".to_owned(), index }
}

/// What the annotation says of a listener.
pub(super) fn listener(spec: &processes::Listen) -> Listener {
    let transport = if spec.is_udp { Transport::Udp } else { Transport::Tcp };
    let body = spec.body.clone();
    let serve = match spec.serve {
        processes::Kind::Http => Serve::Http(plain_site(body)),
        processes::Kind::Https => Serve::Https(plain_site(body)),
        processes::Kind::Grpc => {
            let state = body.as_deref().and_then(Serving::named);
            Serve::Grpc(Health::of(state.unwrap_or(Serving::Serving)))
        }
        processes::Kind::Echo => Serve::Echo,
        processes::Kind::Silent => Serve::Silent,
        processes::Kind::Say => Serve::Say(body.unwrap_or_default()),
        processes::Kind::Redis => Serve::Redis,
        processes::Kind::Postgres => Serve::Postgres,
        processes::Kind::Memcached => Serve::Memcached,
    };
    Listener { transport, local: spec.local, serve }
}
