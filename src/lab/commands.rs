//! Command lines: a process runs one command after the other, as `sh -c` does.

use super::{Container, Lab, Script};
use crate::agent::World;
use crate::base::ProcessId;
use crate::kernel::{Ctx, Hairpin, Netns};
use crate::shell::{self, Command, Context, Joiner, KernelChange};
use crate::trace::{Scope, Stream};

impl Lab {
    /// A run that is replayed where its target is gone still counts, so that later actions find theirs.
    pub(super) fn replay_run(&mut self, target: &super::Target, argv: &[String]) {
        if self.start(target, argv).is_err() {
            self.runs.push(ProcessId::NONE);
        }
    }

    /// Has a process run a command line.
    pub(super) fn launch(&mut self, process: ProcessId, argv: &[String], container: Container) {
        let commands = match argv {
            [shell, flag, line] if is_shell(shell) && flag == "-c" => match shell::parse_line(line) {
                Ok(commands) => commands,
                Err(message) => {
                    self.sim.write(process, Stream::Stderr, &format!("{message}\n"));
                    return self.sim.end(process, 2);
                }
            },
            _ => vec![(Joiner::Always, argv.to_vec())],
        };
        self.scripts.insert(process, Script { rest: commands.into(), container });
        self.go_on(process, 0);
    }

    /// A command of a process ended with `status`: the next one runs, or the process ends.
    pub(super) fn go_on(&mut self, process: ProcessId, mut status: u8) {
        loop {
            let Some(script) = self.scripts.get_mut(&process) else { return };
            let Some((joiner, argv)) = script.rest.pop_front() else {
                self.scripts.remove(&process);
                return self.sim.end(process, status);
            };
            let runs = match joiner {
                Joiner::Always => true,
                Joiner::AndThen => status == 0,
                Joiner::OrElse => status != 0,
            };
            if !runs {
                continue;
            }
            let container = script.container.clone();
            match self.run_command(process, &argv, &container) {
                Some(ended) => status = ended,
                None => return,
            }
        }
    }

    /// Runs one command. Its status where it ended at once; `None` where it goes on as a process.
    fn run_command(&mut self, process: ProcessId, argv: &[String], container: &Container) -> Option<u8> {
        let netns = self.sim.netns_of(process);
        let mut rng = crate::base::Rng::with_seed(self.sim.rng().u64(..));
        let trace = self.sim.trace();
        self.live.advance(trace, trace.len());
        self.live.now = self.sim.now();
        let sim = &self.sim;
        let hostname = sim.file(netns, "/etc/hostname").map_or("", |text| text.trim_end());
        let objects = |kind: &str, namespace: &str, name: &str| {
            super::objects::object(&self.parsed, &self.live, (kind, namespace, name))
        };
        let mut context = Context {
            inventory: &self.live,
            netns,
            files: &|path| sim.file(netns, path).cloned(),
            hostname,
            image: container.image.as_deref(),
            kube_namespace: &container.namespace,
            objects: &objects,
            rng: &mut rng,
        };
        let command = shell::run(&mut context, argv);
        self.carry_out(process, command)
    }

    fn carry_out(&mut self, process: ProcessId, command: Command) -> Option<u8> {
        let (output, status, program, changes) = match command {
            Command::Done { output, status } => (output, Some(status), None, Vec::new()),
            Command::Process { output, process } => (output, None, Some(process), Vec::new()),
            Command::Change { changes, output } => (output, Some(0), None, changes),
        };
        let netns = self.sim.netns_of(process);
        for change in changes {
            // The other end of a veth may live in another namespace.
            if let KernelChange::DelLink(ifindex) = change {
                self.sim.del_wire(netns, ifindex);
                continue;
            }
            self.sim.administer(netns, |netns, ctx| apply_change(netns, ctx, change));
        }
        for (stream, text) in output {
            self.sim.write(process, stream, &text);
        }
        if let Some(program) = program {
            self.sim.run(process, program);
        }
        status
    }
}

fn is_shell(word: &str) -> bool {
    matches!(word, "sh" | "bash" | "ash" | "/bin/sh" | "/bin/bash" | "/bin/ash")
}

/// Does to the kernel what a command asked for; the command has checked it against the tables.
fn apply_change(netns: &mut Netns, ctx: &mut Ctx<'_>, change: KernelChange) {
    match change {
        KernelChange::SetLinkUp(ifindex) => netns.set_up(ctx, ifindex),
        KernelChange::SetLinkDown(ifindex) => netns.set_down(ctx, ifindex),
        KernelChange::SetMtu(ifindex, mtu) => netns.set_mtu(ctx, ifindex, mtu),
        KernelChange::SetMac(ifindex, mac) => netns.set_mac(ctx, ifindex, mac),
        KernelChange::AddLink(spec) => {
            netns.make_link(ctx, *spec);
        }
        KernelChange::DelLink(ifindex) => netns.del_link(ctx, ifindex),
        KernelChange::Rename(ifindex, name) => netns.rename(ctx, ifindex, name),
        KernelChange::SetTxqlen(ifindex, len) => netns.set_txqlen(ctx, ifindex, len),
        KernelChange::SetPromisc(ifindex, on) => netns.set_promisc(ctx, ifindex, on),
        KernelChange::SetMaster(ifindex, master) => netns.set_master(ctx, ifindex, master, Hairpin::Off),
        KernelChange::DelMaster(ifindex) => netns.del_master(ctx, ifindex),
        KernelChange::SetBridge(ifindex, option) => netns.set_bridge(ctx, ifindex, option),
        KernelChange::SetPort(ifindex, option) => netns.set_port(ctx, ifindex, option),
        KernelChange::AddVlan(row) => netns.add_vlan(ctx, row),
        KernelChange::DelVlan(ifindex, id) => netns.del_vlan(ctx, ifindex, id),
        KernelChange::AddAddr(row) => netns.add_addr(ctx, row.ifindex, row.addr, row.broadcast, row.scope),
        KernelChange::DelAddr(ifindex, addr) => netns.del_addr(ctx, ifindex, addr),
        KernelChange::AddRoute(row) => {
            netns.add_route(ctx, row);
        }
        KernelChange::DelRoute(row) => {
            netns.del_routes(ctx, |route| *route == row);
        }
        KernelChange::ReplaceRoute(row) => {
            netns.del_routes(ctx, |route| {
                (route.table, route.dst, route.metric) == (row.table, row.dst, row.metric)
                    && route.scope != Scope::Host
            });
            netns.add_route(ctx, row);
        }
        KernelChange::AddNeigh(row) => netns.set_neighbor(ctx, row),
        KernelChange::DelNeigh(ifindex, addr) => netns.del_neighbor(ctx, ifindex, addr),
        KernelChange::FlushNeigh(keys) => {
            for (ifindex, addr) in keys {
                netns.del_neighbor(ctx, ifindex, addr);
            }
        }
        KernelChange::AddVxlanFdb(ifindex, mac, dst) => netns.add_vxlan_fdb(ctx, ifindex, mac, dst),
        KernelChange::DelVxlanFdb(ifindex, mac) => netns.del_vxlan_fdb(ctx, ifindex, mac),
        KernelChange::SetSysctl(key, value) => {
            netns.set_sysctl(ctx, &key, &value);
        }
    }
}
