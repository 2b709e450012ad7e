//! kube-proxy's servers for the health checks of load balancers (`pkg/proxy/healthcheck/service_health.go`): on every
//! node, the port that `healthCheckNodePort` names tells how many endpoints of the Service are there.

use super::control::ControlPlane;
use super::launch::{Environment, Launch, Mounts};
use super::world::World;
use crate::api::ClusterSpec;
use crate::app::Transport;
use crate::app::server::{Flavor, Listener, Serve, Site};
use crate::base::{DirId, Ipv4Addr, NetnsId, ProcessId};
use crate::cluster::proxy::{self, Config, Family, Watched};
use crate::kernel::User;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// Where a server finds its answer.
const FILE: &str = "/answer";

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Answering {
    process: ProcessId,
    dir: DirId,
    text: String,
}

/// Servers by node and port.
pub(super) type Servers = BTreeMap<(Arc<str>, u16), Answering>;

impl ControlPlane {
    /// Every kube-proxy answers for the Services that have a port for health checks.
    pub(super) fn sync_health(&mut self, world: &mut dyn World, cluster: &ClusterSpec) {
        let mut wanted: BTreeMap<(Arc<str>, u16), (NetnsId, String)> = BTreeMap::new();
        let watched = self.watched();
        for (name, node) in &self.store.nodes {
            let Some(config) = Config::of(Family::V4, &node.spec, cluster) else { continue };
            for (port, text) in answers(&config, &watched) {
                wanted.insert((name.clone(), port), (node.netns, text));
            }
        }
        let servers = &mut self.services.health;
        servers.retain(|key, server| {
            let stays = wanted.contains_key(key);
            if !stays {
                world.kill(server.process);
            }
            stays
        });
        for (key, (netns, text)) in wanted {
            match servers.get_mut(&key) {
                Some(server) if server.text == text => {}
                Some(server) => {
                    world.write_in(server.dir, FILE, text.clone());
                    server.text = text;
                }
                None => {
                    let server = serve(world, netns, key.1, text);
                    servers.insert(key, server);
                }
            }
        }
    }
}

/// The answer of each port for health checks on a node.
fn answers(config: &Config, watched: &Watched<'_>) -> Vec<(u16, String)> {
    let asked = watched.services().filter(|service| service.spec.health_check_node_port != 0);
    let answer = |service: &crate::api::Service| {
        let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
        let count = proxy::local_ready(config, watched, service);
        format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}},\n\t\
             \"localEndpoints\": {count},\n\t\"serviceProxyHealthy\": true\n}}"
        )
    };
    asked.map(|service| (service.spec.health_check_node_port, answer(service))).collect()
}

fn serve(world: &mut dyn World, netns: NetnsId, port: u16, text: String) -> Answering {
    let dir = world.new_dir();
    world.write_in(dir, FILE, text.clone());
    let site = Site { flavor: Flavor::Health, root: FILE.to_owned(), index: None };
    let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    let listener = Listener { transport: Transport::Tcp, local, serve: Serve::Http(site) };
    let environment = Environment {
        image: None,
        kube_namespace: "default".into(),
        pidns: world.new_pidns(900),
        user: User::default(),
        variables: Arc::new([]),
        mounts: Arc::new(Mounts::bare(dir)),
        directory: "/".into(),
    };
    let program = Launch::program(netns, environment, vec!["kube-proxy".to_owned()]);
    let process = world.launch(Launch { serves: Some(vec![listener]), ..program });
    Answering { process, dir, text }
}
