//! What the container runtime is told about a process: what to run, and what it sees.

use super::control::ControlPlane;
use super::controllers::Kind;
use super::store::{PodEntry, PodKey};
use super::world::World;
use super::{containers, kubelet};
use crate::api::{Container, PodSpec};
use crate::app::probe::Request;
use crate::app::server::Listener;
use crate::base::{DirId, NetnsId, PidNsId};
use crate::kernel::User;
use crate::trace::{ContainerRef, ContainerState, Way};
use std::sync::Arc;

/// The directories that a process sees: its container's own, and volumes mounted over it. `/etc/hosts`,
/// `/etc/hostname` and `/etc/resolv.conf` belong to the Pod, whose containers all see the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounts {
    /// The container's writable layer.
    pub own: DirId,
    /// The Pod's own files, where its network namespace is not its own; they lie with the namespace otherwise.
    pub pod: Option<DirId>,
    /// Volumes.
    pub volumes: Vec<Mount>,
    /// The container that sees this; `None` on a node and for a probe.
    pub container: Option<ContainerRef>,
}

/// A volume, where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Directory in the container.
    pub path: String,
    /// The volume.
    pub dir: DirId,
    /// Directory in the volume.
    pub sub_path: String,
    /// Whether it is only read.
    pub read_only: bool,
    /// By which way containers talk over it; `None` where no other container has a part in it.
    pub way: Option<Way>,
}

/// Files that the kubelet mounts into every container of a Pod.
const SHARED: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

impl Mounts {
    /// A directory tree without volumes.
    pub fn bare(own: DirId) -> Self {
        Self { own, pod: None, volumes: Vec::new(), container: None }
    }

    /// Where a path leads: a directory and the path in it; `None` for what lies with the network namespace.
    pub fn find(&self, path: &str) -> Option<(DirId, String)> {
        if SHARED.contains(&path) {
            return self.pod.map(|dir| (dir, path.to_owned()));
        }
        let inside = |mount: &&Mount| {
            path.strip_prefix(mount.path.trim_end_matches('/'))
                .is_some_and(|rest| rest.starts_with('/') || rest.is_empty())
        };
        let mount = self.volumes.iter().filter(inside).max_by_key(|mount| mount.path.len());
        Some(match mount {
            None => (self.own, path.to_owned()),
            Some(mount) => {
                let rest = &path[mount.path.trim_end_matches('/').len()..];
                let sub = mount.sub_path.trim_matches('/');
                let slash = if sub.is_empty() { "" } else { "/" };
                (mount.dir, format!("{slash}{sub}{rest}"))
            }
        })
    }

    /// By which way what is written there reaches other containers.
    pub fn way(&self, path: &str) -> Option<Way> {
        let holds = |mount: &&Mount| {
            let rest = path.strip_prefix(mount.path.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        self.volumes.iter().filter(holds).max_by_key(|mount| mount.path.len())?.way
    }

    /// Whether a path may not be written.
    pub fn is_read_only(&self, path: &str) -> bool {
        let holds = |mount: &Mount| path.starts_with(mount.path.trim_end_matches('/'));
        let innermost = self.volumes.iter().filter(|mount| holds(mount)).max_by_key(|mount| mount.path.len());
        innermost.is_some_and(|mount| mount.read_only)
    }
}

/// Whether the kubelet writes a volume, which containers may only read.
pub(super) fn is_written_by_kubelet(spec: &PodSpec, name: &str) -> bool {
    const KINDS: [&str; 4] = ["configMap", "secret", "downwardAPI", "projected"];
    let volume = spec.volumes.iter().find(|volume| volume["name"] == name);
    volume.is_some_and(|volume| KINDS.iter().any(|kind| volume[*kind].is_object()))
}

/// What a process sees of the machine besides its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The image, which says which tools there are; `None` on a machine.
    pub image: Option<Arc<str>>,
    /// Namespace of the Pod; `default` on a machine.
    pub kube_namespace: Arc<str>,
    /// Its PID namespace.
    pub pidns: PidNsId,
    /// Whom it runs as.
    pub user: User,
    /// Environment variables.
    pub variables: Arc<[(String, String)]>,
    /// Its files.
    pub mounts: Arc<Mounts>,
    /// The directory it begins in.
    pub directory: Arc<str>,
}

impl Environment {
    /// What processes of a machine see, of root in its home.
    pub fn machine(pidns: PidNsId, mounts: Mounts) -> Self {
        Self {
            image: None,
            kube_namespace: "default".into(),
            pidns,
            user: User::default(),
            variables: Arc::new([]),
            mounts: Arc::new(mounts),
            directory: "/root".into(),
        }
    }
}

/// What stands in for a program that the simulation does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandIn {
    /// It is refused, as the runtime refuses a program that is not in the image.
    Refused,
    /// It listens here until it is told to end.
    Serves(Vec<Listener>),
    /// It ends well after a while.
    Ends,
}

/// A container's main process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Its network namespace.
    pub netns: NetnsId,
    /// The container; `None` for a process of a machine.
    pub container: Option<ContainerRef>,
    /// What it sees.
    pub environment: Environment,
    /// Words of the program.
    pub argv: Vec<String>,
    /// What runs in its place whatever the words say.
    pub serves: Option<Vec<Listener>>,
    /// What runs in its place if the program is not known.
    pub stand_in: StandIn,
    /// A probe of the kubelet's that it is instead of a program.
    pub probe: Option<Request>,
    /// Its standard input.
    pub console: Console,
}

/// Where a process reads from by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// Nowhere: its input is empty.
    Closed,
    /// A pipe that is filled by who attaches (`stdin`).
    Pipe,
    /// A terminal: the user's own, or a container's that is typed at by who attaches (`stdin` and `tty`).
    Terminal,
}

impl Launch {
    /// A program that is no container's: one of a machine's, or one that the kubelet runs.
    pub(super) fn program(netns: NetnsId, environment: Environment, argv: Vec<String>) -> Self {
        let stand_in = StandIn::Refused;
        Self {
            netns,
            container: None,
            environment,
            argv,
            serves: None,
            stand_in,
            probe: None,
            console: Console::Closed,
        }
    }

    /// The program that its image does not have and nothing stands in for; `None` where it can run.
    pub(super) fn refused(&self, world: &dyn World) -> Option<String> {
        let program = self.argv.first().map_or("", String::as_str);
        let image = self.environment.image.as_deref();
        let runs = self.serves.is_some()
            || self.probe.is_some()
            || self.stand_in != StandIn::Refused
            || world.has_program(image, program);
        (!runs).then(|| program.to_owned())
    }
}

/// What Go's `exec.LookPath` says of a program that is not there, as runtimes print it.
pub fn not_found(program: &str) -> String {
    if program.contains('/') {
        format!("exec: \"{program}\": stat {program}: no such file or directory")
    } else {
        format!("exec: \"{program}\": executable file not found in $PATH")
    }
}

impl ControlPlane {
    /// The runtime made a container and could not start it: it has ended before it began, with the runtime's own
    /// status (`containerd`, `container_start.go`). Until it is started again it waits (`ErrRunContainer`).
    pub(super) fn start_error(
        &mut self,
        world: &mut dyn World,
        (key, index): (&PodKey, usize),
        program: &str,
    ) {
        let now = world.now();
        let why = format!(
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: \
             unable to start container process: error during container init: {}: unknown",
            not_found(program)
        );
        self.pod_event(world, (key, Some(index)), Kind::Warning, "Failed", format!("Error: {why}"));
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        entry.runtime(index).finished = Some(now);
        let row = &mut entry.containers[index];
        row.message = Some(why.as_str().into());
        row.has_ended((128, "StartError", Some(&why)), (None, now));
        let state = if containers::restarts_in(entry, index) {
            ContainerState::Waiting("RunContainerError".into())
        } else {
            ContainerState::Terminated(128, "StartError".into())
        };
        entry.set_containers(|at, _| at == index, &state);
        kubelet::container_started(self, world, key, index);
        containers::ended(self, world, (key, index), 128);
    }
}

/// How a main process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Status(u8),
    /// It never began: there is no such program in the image.
    NoSuchProgram(String),
}

/// Whom a container's program runs as: `runAsUser` and `runAsGroup` of the container, else of the Pod, else root.
/// *Simplified*: the users that images name are not known.
pub(super) fn user_of(spec: &PodSpec, container: &Container) -> User {
    let id = |field: &str| {
        let own = [&container.security_context, &spec.security_context];
        let ids = own.into_iter().flatten().filter_map(|context| context[field].as_u64());
        ids.map(|id| id as u32).next().unwrap_or(0)
    };
    User { uid: id("runAsUser"), gid: id("runAsGroup") }
}

/// How containers talk over a volume that more than one of them mounts.
fn way_of(spec: &PodSpec, name: &str) -> Option<Way> {
    let all = spec.init_containers.iter().chain(&spec.containers);
    let users =
        all.filter(|container| container.volume_mounts.iter().any(|mount| mount.name == name)).count();
    let volume = spec.volumes.iter().find(|volume| volume["name"] == name)?;
    let in_memory = volume["emptyDir"]["medium"] == "Memory";
    (users > 1).then_some(if in_memory { Way::MemoryFile } else { Way::File })
}

/// What a container of a Pod sees, its volumes made where they are not there yet.
pub(super) fn mounts(
    entry: &mut PodEntry,
    world: &mut dyn World,
    spec: &Container,
    container: &ContainerRef,
) -> Mounts {
    let own = world.new_dir();
    let mut volumes = Vec::new();
    for mount in &spec.volume_mounts {
        let mut dir = entry.shared.volume(world, &mount.name);
        let sub_path = mount.sub_path.clone().unwrap_or_default();
        let written_by_kubelet = is_written_by_kubelet(&entry.pod.spec, &mount.name);
        if written_by_kubelet && !sub_path.is_empty() {
            // What is mounted lies in the directory that the kubelet puts another one in place of when it writes the
            // volume anew (`AtomicWriter`): the container goes on seeing what there was when it began.
            dir = world.copy_dir(dir);
        }
        volumes.push(Mount {
            path: mount.mount_path.clone(),
            dir,
            sub_path,
            read_only: mount.read_only == Some(true) || written_by_kubelet,
            way: way_of(&entry.pod.spec, &mount.name),
        });
    }
    // The sandbox's shared memory and message queues are mounted into every container of the Pod
    // (containerd, `sandbox_run_linux.go` and `container_create_linux.go`).
    for (path, way) in [("/dev/shm", Way::MemoryFile), ("/dev/mqueue", Way::PosixQueue)] {
        if volumes.iter().all(|mount| mount.path.trim_end_matches('/') != path) {
            let dir = entry.shared.volume(world, path);
            volumes.push(Mount {
                path: path.to_owned(),
                dir,
                sub_path: String::new(),
                read_only: false,
                way: Some(way),
            });
        }
    }
    Mounts { own, pod: entry.shared.files, volumes, container: Some(container.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_holds_a_path() {
        let mount = |path: &str, dir, sub: &str| Mount {
            path: path.to_owned(),
            dir: DirId(dir),
            sub_path: sub.to_owned(),
            read_only: dir == 2,
            way: None,
        };
        let mounts = Mounts {
            own: DirId(0),
            pod: None,
            volumes: vec![mount("/data", 1, ""), mount("/data/in/", 2, "a/b")],
            container: None,
        };
        let found = |path: &str| mounts.find(path).map(|(dir, path)| (dir.0, path));
        assert_eq!(found("/etc/hosts"), None);
        assert_eq!(found("/x"), Some((0, "/x".to_owned())));
        assert_eq!(found("/database"), Some((0, "/database".to_owned())));
        assert_eq!(found("/data/x"), Some((1, "/x".to_owned())));
        assert_eq!(found("/data/in/x"), Some((2, "/a/b/x".to_owned())));
        assert!(mounts.is_read_only("/data/in/x") && !mounts.is_read_only("/data/x"));
    }
}
