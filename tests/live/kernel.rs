//! Builds on the real kernel what a lab holds: every namespace, link, address, route and entry, with the same names,
//! interface numbers, hardware addresses and MTUs, and runs commands there.
//!
//! Everything stands in network namespaces of its own, whose names begin with a prefix of this process; nothing leads out
//! of them. A watchdog in another process group takes them down when this process ends, however it ends.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use vethscope::base::{IfIndex, NetnsId};
use vethscope::lab::{Lab, Target};
use vethscope::trace::{Inventory, LinkKind, LinkRow, NetnsRole, NetnsState, Nud, RouteProtocol, rows_text};

/// Programs without which nothing can be built or run, and the Debian package of each.
pub(crate) const TOOLS: [(&str, &str); 7] = [
    ("ip", "iproute2"),
    ("bridge", "iproute2"),
    ("ethtool", "ethtool"),
    ("sysctl", "procps"),
    ("iptables", "iptables"),
    ("ping", "iputils-ping"),
    ("taskset", "util-linux"),
];

/// Time that a command may take before it is ended.
pub(crate) const COMMAND_LIMIT: Duration = Duration::from_secs(40);

/// Takes down what stands under the prefix `$1` once standard input ends: processes, namespaces, files.
const WATCHDOG: &str = r#"
cat >/dev/null
for ns in $(ip netns list | cut -d' ' -f1 | grep "^$1-"); do
  for pid in $(ip netns pids "$ns"); do kill -9 "$pid"; done
  ip netns del "$ns"
  rm -rf "/etc/netns/$ns"
done
rmdir /etc/netns 2>/dev/null
rm -rf "$2"
"#;

/// Namespaces on the real kernel.
pub(crate) struct Machine {
    prefix: String,
    names: BTreeMap<NetnsId, String>,
    folder: PathBuf,
    outputs: usize,
    watchdog: Option<(Child, ChildStdin)>,
}

/// A command under way.
pub(crate) struct Running {
    child: Child,
    output: PathBuf,
}

/// What a command wrote, and its status; `None` where it had to be ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) output: String,
    pub(crate) status: Option<i32>,
}

/// A capture under way.
pub(crate) struct Tap {
    child: Child,
    file: PathBuf,
}

/// A captured frame.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// When, in nanoseconds of the machine's clock.
    pub(crate) at_ns: u64,
    /// The interface.
    pub(crate) ifindex: IfIndex,
    /// Whether it went out.
    pub(crate) outgoing: bool,
    /// Length on the wire.
    pub(crate) len: usize,
    /// The bytes, cut where they are very many.
    pub(crate) bytes: Vec<u8>,
}

/// Why nothing can be compared on this machine; `None` where it can.
pub(crate) fn reason_to_skip() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("this is no Linux".to_owned());
    }
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !is_root {
        return Some("only root may make network namespaces: run it with sudo".to_owned());
    }
    for (tool, package) in TOOLS {
        if missing(tool).is_some() {
            return Some(format!(
                "{tool} is missing: install the package {package}, or run .ci/setup.sh oracle"
            ));
        }
    }
    let name = format!("vso{}-try", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &name]).output();
    let Ok(made) = made.inspect_err(|_| ()) else { return Some("ip cannot be run".to_owned()) };
    if !made.status.success() {
        let why = String::from_utf8_lossy(&made.stderr).trim().to_owned();
        return Some(format!("network namespaces cannot be made here: {why}"));
    }
    let _ = Command::new("ip").args(["netns", "del", &name]).output();
    None
}

/// The program, if this machine does not have it.
pub(crate) fn missing(program: &str) -> Option<&str> {
    let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).output();
    (!found.is_ok_and(|found| found.status.success())).then_some(program)
}

/// What cannot be built.
#[derive(Clone, Debug)]
pub(crate) enum Obstacle {
    /// This kernel, or this test, has no such thing.
    Lacks(String),
    /// A tool refused.
    Failed(String),
}

impl Machine {
    /// Builds what `inventory` holds.
    pub(crate) fn build(lab: &mut Lab) -> Result<Self, Obstacle> {
        let prefix = format!("vso{}", std::process::id());
        let folder = std::env::temp_dir().join(&prefix);
        std::fs::create_dir_all(&folder).map_err(|error| Obstacle::Failed(error.to_string()))?;
        let inventory = lab.live().clone();
        let names = inventory
            .netns
            .iter()
            .map(|(&netns, state)| (netns, format!("{prefix}-{}", state.row.name.replace('/', "."))))
            .collect();
        let mut machine = Self { prefix, names, folder, outputs: 0, watchdog: None };
        machine.watch()?;
        machine.make_namespaces(lab, &inventory)?;
        for state in inventory.netns.values() {
            machine.make_links(&inventory, state)?;
        }
        for state in inventory.netns.values() {
            machine.set_links(state)?;
        }
        for state in inventory.netns.values() {
            let sysctl = lab.netns(state.row.netns).map(|netns| netns.sysctl).unwrap_or_default();
            let mut script = addresses_and_routes(state);
            script += &entries(state);
            script += &settings(state, &sysctl);
            script += &rules(lab, state);
            machine.script(state.row.netns, &script)?;
        }
        Ok(machine)
    }

    fn watch(&mut self) -> Result<(), Obstacle> {
        let mut child = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &self.prefix])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| Obstacle::Failed(error.to_string()))?;
        let Some(stdin) = child.stdin.take() else {
            return Err(Obstacle::Failed("no watchdog".to_owned()));
        };
        self.watchdog = Some((child, stdin));
        Ok(())
    }

    /// Name of a namespace as `ip netns` knows it.
    pub(crate) fn name(&self, netns: NetnsId) -> &str {
        &self.names[&netns]
    }

    fn make_namespaces(&self, lab: &mut Lab, inventory: &Inventory) -> Result<(), Obstacle> {
        for (netns, state) in &inventory.netns {
            let name = self.name(*netns);
            run("ip", &["netns", "add", name])?;
            let folder = PathBuf::from("/etc/netns").join(name);
            let hosts = hosts_of(lab, inventory, state);
            let write = |file: &str, text: &str| std::fs::write(folder.join(file), text);
            std::fs::create_dir_all(&folder)
                .and_then(|()| write("hosts", &hosts))
                .and_then(|()| write("nsswitch.conf", "hosts: files\n"))
                .map_err(|error| Obstacle::Failed(error.to_string()))?;
        }
        for (netns, state) in &inventory.netns {
            let mut script =
                "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1\n"
                    .to_owned()
                    + "ip link set lo up\n";
            for link in state.links.values() {
                if let LinkKind::Veth { peer_netns, peer_nsid, .. } = link.kind
                    && peer_netns != *netns
                {
                    let _ = writeln!(script, "ip netns set {} {peer_nsid}", self.name(peer_netns));
                }
            }
            self.script(*netns, &script)?;
        }
        Ok(())
    }

    /// Veth pairs are made from the end that comes first; the kernel's veths stand for cables as well.
    fn make_links(&self, inventory: &Inventory, state: &NetnsState) -> Result<(), Obstacle> {
        let mut wires = String::new();
        let mut others = String::new();
        for link in state.links.values() {
            match &link.kind {
                LinkKind::Loopback => {}
                LinkKind::Veth { peer_netns, peer, .. } | LinkKind::Physical { peer_netns, peer } => {
                    if (link.netns, link.ifindex) > (*peer_netns, *peer) {
                        continue;
                    }
                    let Some(far) = inventory.netns.get(peer_netns).and_then(|netns| netns.links.get(peer))
                    else {
                        continue;
                    };
                    let (near, far) = (head(link), head(far));
                    let _ = writeln!(
                        wires,
                        "ip link add {near} type veth peer {far} netns {}",
                        self.name(*peer_netns)
                    );
                }
                LinkKind::Bridge { ageing_secs } => {
                    // Snooping has a bridge report its own groups after a random while; without it groups are flooded,
                    // as they are here.
                    let options = format!("ageing_time {} mcast_snooping 0", ageing_secs * 100);
                    let _ = writeln!(others, "ip link add {} type bridge {options}", head(link));
                }
                LinkKind::Vxlan { vni, local, dev, port, learning } => {
                    let learning = if *learning { "learning" } else { "nolearning" };
                    let dev = state.ifname(*dev);
                    let _ = writeln!(
                        others,
                        "ip link add {} type vxlan id {vni} local {local} dev {dev} dstport {port} {learning}",
                        head(link)
                    );
                }
                #[allow(unreachable_patterns, reason = "kinds of links come in before this test knows them")]
                #[allow(
                    clippy::wildcard_enum_match_arm,
                    reason = "kinds of links come in before this test knows them"
                )]
                other @ (LinkKind::Dummy
                | LinkKind::Vlan { .. }
                | LinkKind::Macvlan { .. }
                | LinkKind::Ipvlan { .. }
                | LinkKind::Ipip(_)
                | LinkKind::Gre(_)
                | LinkKind::Gretap(_)) => {
                    return Err(Obstacle::Lacks(format!("a link of this kind: {other:?}")));
                }
            }
        }
        self.script(state.row.netns, &(wires + &others))
    }

    /// Offloads go off, so that the frames seen are those of the wire; ports join their bridges in order; links come up.
    fn set_links(&self, state: &NetnsState) -> Result<(), Obstacle> {
        let mut script = String::new();
        let mut ports: Vec<&LinkRow> = state.links.values().filter(|link| link.port.is_some()).collect();
        ports.sort_by_key(|link| link.port.map(|port| (port.master, port.number)));
        for link in ports {
            let Some(port) = link.port else { continue };
            let on = |set: bool| if set { "on" } else { "off" };
            let (name, master) = (&link.name, state.ifname(port.master));
            let _ = writeln!(script, "ip link set {name} master {master}");
            let (hairpin, learning, flood) = (on(port.hairpin), on(port.learning), on(port.flood));
            let _ = writeln!(
                script,
                "bridge link set dev {name} hairpin {hairpin} learning {learning} flood {flood}"
            );
        }
        for link in state.links.values().filter(|link| link.kind != LinkKind::Loopback) {
            let name = &link.name;
            let _ = writeln!(
                script,
                "ethtool -K {name} rx off tx off sg off tso off gso off gro off >/dev/null 2>&1 || true"
            );
            let _ = writeln!(script, "ip link set {name} txqueuelen {} {}", link.txqlen, updown(link.up));
        }
        self.script(state.row.netns, &script)
    }

    /// Runs shell lines in a namespace; the first that fails ends them.
    fn script(&self, netns: NetnsId, text: &str) -> Result<(), Obstacle> {
        let failed = |why: String| Obstacle::Failed(format!("{}: {why}\n{text}", self.name(netns)));
        let mut child = Command::new("ip")
            .args(["netns", "exec", self.name(netns), "sh", "-e", "-s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes()).map_err(|error| failed(error.to_string()))?;
        }
        let done = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
        if done.status.success() {
            Ok(())
        } else {
            Err(failed(String::from_utf8_lossy(&done.stderr).into_owned()))
        }
    }

    /// What a tool of this process's own namespace prints about a namespace, as `ip -n NAME …` does.
    pub(crate) fn ask(&self, netns: NetnsId, tool: &str, words: &[&str]) -> String {
        let output = Command::new(tool).args(["-n", self.name(netns)]).args(words).output();
        output.map_or_else(
            |error| error.to_string(),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    }

    /// Starts a command in a namespace, on one processor, so that the order of its packets is no race. What it prints
    /// comes line by line, so that it can be stopped; what a shell's commands hand to one another comes as they do it.
    pub(crate) fn start(&mut self, netns: NetnsId, argv: &[String]) -> Result<Running, String> {
        self.outputs += 1;
        let path = self.folder.join(format!("output-{}", self.outputs));
        let file = File::create(&path).map_err(|error| error.to_string())?;
        let errors = file.try_clone().map_err(|error| error.to_string())?;
        let by_line: &[&str] =
            if argv.first().is_some_and(|program| program == "sh") { &[] } else { &["stdbuf", "-oL"] };
        let child = Command::new("taskset")
            .args(["-c", "0"])
            // Where the tests run in the background of a script, they and their children ignore interrupts.
            .args(["env", "--default-signal=INT"])
            .args(by_line)
            .args(["ip", "netns", "exec", self.name(netns)])
            .args(argv)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .map_err(|error| error.to_string())?;
        Ok(Running { child, output: path })
    }

    /// Captures every interface of every namespace.
    pub(crate) fn tap(&self) -> Result<BTreeMap<NetnsId, Tap>, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut taps = BTreeMap::new();
        for (&netns, name) in &self.names {
            let file = self.folder.join(format!("{name}.frames"));
            let child = Command::new("ip")
                .args(["netns", "exec", name])
                .arg(&program)
                .arg("--tap")
                .arg(&file)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|error| error.to_string())?;
            taps.insert(netns, Tap { child, file });
        }
        for tap in taps.values_mut() {
            let stdout = tap.child.stdout.as_mut().ok_or("a tap has an output")?;
            let mut line = [0; 6];
            std::io::Read::read_exact(stdout, &mut line).map_err(|error| format!("a tap died: {error}"))?;
        }
        Ok(taps)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some((mut child, stdin)) = self.watchdog.take() {
            drop(stdin);
            let _ = child.wait();
        }
    }
}

impl Running {
    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Ran {
        let mut status = None;
        for _ in 0..COMMAND_LIMIT.as_millis() / 5 {
            if let Ok(Some(ended)) = self.child.try_wait() {
                status = code(ended);
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        Ran { output: std::fs::read_to_string(&self.output).unwrap_or_default(), status }
    }

    /// Types Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
    }

    /// The status with which it ended, if it has.
    pub(crate) fn status(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten().and_then(code)
    }

    /// Ends it, where it has not ended, and takes what it wrote. Its status is from before: what is killed first makes
    /// those that talk with it end as well.
    pub(crate) fn kill(mut self, status: Option<i32>) -> Ran {
        let _ = self.child.kill();
        let _ = self.child.wait();
        Ran { output: std::fs::read_to_string(&self.output).unwrap_or_default(), status }
    }
}

impl Tap {
    /// Ends the capture; the frames in the order in which the namespace saw them.
    pub(crate) fn stop(mut self) -> Result<Vec<Seen>, String> {
        drop(self.child.stdin.take());
        let mut lost = String::new();
        if let Some(stdout) = self.child.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut lost);
        }
        let _ = self.child.wait();
        if lost.trim() != "0" {
            return Err(format!("a tap lost frames: {}", lost.trim()));
        }
        let bytes = std::fs::read(&self.file).map_err(|error| error.to_string())?;
        Ok(read_frames(&bytes))
    }
}

/// Its status as a shell tells it.
fn code(ended: std::process::ExitStatus) -> Option<i32> {
    ended.code().or(ended.signal().map(|signal| 128 + signal))
}

fn read_frames(bytes: &[u8]) -> Vec<Seen> {
    const HEADER_LEN: usize = 24;
    const OUTGOING: u32 = 4;
    let mut seen = Vec::new();
    let mut rest = bytes;
    while rest.len() >= HEADER_LEN {
        let (header, after) = rest.split_at(HEADER_LEN);
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let (len, kept) = (word(16) as usize, word(20) as usize);
        seen.push(Seen {
            at_ns: u64::from(word(4)) << 32 | u64::from(word(0)),
            ifindex: IfIndex(word(8)),
            outgoing: word(12) == OUTGOING,
            len,
            bytes: after.get(..kept).unwrap_or_default().to_vec(),
        });
        rest = after.get(kept..).unwrap_or_default();
    }
    seen
}

fn run(program: &str, words: &[&str]) -> Result<(), Obstacle> {
    let done = Command::new(program).args(words).output();
    match done {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => {
            let why = String::from_utf8_lossy(&done.stderr).into_owned();
            Err(Obstacle::Failed(format!("{program} {}: {why}", words.join(" "))))
        }
        Err(error) => Err(Obstacle::Failed(format!("{program}: {error}"))),
    }
}

/// The target by which a lab runs commands in a namespace.
pub(crate) fn target_of(state: &NetnsState) -> Option<Target> {
    match &state.row.role {
        NetnsRole::Node => Some(Target::Node(state.row.name.to_string())),
        NetnsRole::Pod { namespace, pod, .. } => {
            Some(Target::Pod { namespace: namespace.to_string(), name: pod.to_string(), container: None })
        }
        NetnsRole::Router | NetnsRole::Host => Some(Target::Host(state.row.name.to_string())),
        NetnsRole::Switch => None,
    }
}

fn hosts_of(lab: &mut Lab, inventory: &Inventory, state: &NetnsState) -> String {
    let known = inventory.netns.contains_key(&state.row.netns);
    let Some(target) = target_of(state).filter(|_| known) else { return String::new() };
    crate::simulated::run(lab, &target, &["cat".to_owned(), "/etc/hosts".to_owned()]).output
}

/// netfilter's rules, as the simulated tool saves them, each as a command: a chain that was restored with counters would
/// count what passes its policy.
fn rules(lab: &mut Lab, state: &NetnsState) -> String {
    let Some(target) = target_of(state).filter(|_| !state.netfilter.chains.is_empty()) else {
        return String::new();
    };
    let saved = crate::simulated::run(lab, &target, &["iptables-save".to_owned()]).output;
    let mut table = "";
    let mut script = String::new();
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(chain) = line.strip_prefix(':') {
            let words: Vec<&str> = chain.split(' ').collect();
            match words.as_slice() {
                [name, "-", ..] => script.extend(["iptables -t ", table, " -N ", name, "\n"]),
                // A policy that was set counts what it decides.
                [name, "DROP", ..] => script.extend(["iptables -t ", table, " -P ", name, " DROP\n"]),
                _ => {}
            }
        } else if line.starts_with("-A ") {
            script.extend(["iptables -t ", table, " ", line, "\n"]);
        }
    }
    script
}

fn updown(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

/// A link as both ends of a pair are given to `ip link add`.
fn head(link: &LinkRow) -> String {
    format!("name {} index {} address {} mtu {}", link.name, link.ifindex.0, link.mac, link.mtu)
}

fn addresses_and_routes(state: &NetnsState) -> String {
    let name = |ifindex| -> Arc<str> { state.ifname(ifindex) };
    let mut script = String::new();
    for row in state.addrs.iter().filter(|row| row.ifindex != IfIndex(1)) {
        let broadcast = row.broadcast.map_or_else(String::new, |address| format!("broadcast {address} "));
        let scope = rows_text::scope(row.scope);
        let _ =
            writeln!(script, "ip addr add {} {broadcast}scope {scope} dev {}", row.addr, name(row.ifindex));
    }
    for (_, row) in state.routes.iter().filter(|(_, row)| row.protocol != RouteProtocol::Kernel) {
        let style = rows_text::RouteStyle { names_table: true, ..rows_text::RouteStyle::default() };
        let _ = writeln!(script, "ip route append {}", rows_text::route(row, &name, style));
    }
    script
}

/// Neighbours and forwarding entries that do not come by themselves.
fn entries(state: &NetnsState) -> String {
    let mut script = String::new();
    for entry in state.neighbors.values() {
        let row = &entry.row;
        let Some(mac) = row.mac.filter(|_| row.state != Nud::NoArp) else { continue };
        let nud = rows_text::nud(row.state).to_lowercase();
        let dev = state.ifname(row.ifindex);
        let _ = writeln!(script, "ip neigh replace {} lladdr {mac} dev {dev} nud {nud}", row.addr);
    }
    for entry in &state.fdb {
        let row = &entry.row;
        let dev = state.ifname(row.ifindex);
        match row.dst {
            Some(dst) => {
                let _ = writeln!(script, "bridge fdb append {} dev {dev} dst {dst} self permanent", row.mac);
            }
            None if !row.permanent => {
                let _ = writeln!(script, "bridge fdb replace {} dev {dev} master dynamic", row.mac);
            }
            None => {}
        }
    }
    script
}

/// Settings that were changed, and what stands for the rest of a machine's own.
fn settings(state: &NetnsState, sysctl: &vethscope::kernel::Sysctl) -> String {
    let mut script = "for dev in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$dev; done\n".to_owned();
    script += "sysctl -qw net.ipv4.ping_group_range='0 2147483647'\n";
    let forward = u8::from(sysctl.ip_forward);
    let _ = writeln!(script, "sysctl -qw net.ipv4.ip_forward={forward}");
    // A machine without the bridge's hook has no such file.
    let call = u8::from(sysctl.bridge_nf_call_iptables);
    let _ = writeln!(
        script,
        "test ! -e /proc/sys/net/bridge || sysctl -qw net.bridge.bridge-nf-call-iptables={call}"
    );
    for (key, value) in state.sysctls.iter().filter(|(key, _)| !key.starts_with("net.bridge.")) {
        let _ = writeln!(script, "sysctl -qw {key}={value}");
    }
    if sysctl.conntrack {
        // A rule that matches on connections and does nothing has the kernel track them in this namespace.
        script += "iptables -w -A FORWARD -m conntrack --ctstate INVALID\n";
    }
    script
}
