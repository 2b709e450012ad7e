//! Single commands: each answers at once, changes tables, or becomes a program.

use super::Lab;
use crate::agent::{Environment, Mounts, World};
use crate::base::{NetnsId, ProcessId};
use crate::kernel::{Ctx, Hairpin, Netns};
use crate::shell::{self, Command, Context, Dialect, KernelChange};
use crate::trace::{IpcChange, Stream, TableChange};
use std::borrow::Cow;

/// Width of every terminal.
const COLUMNS: usize = 120;

impl Lab {
    /// Runs one command. Its status where it ended at once; `None` where it goes on as a process.
    pub(super) fn run_command(
        &mut self,
        process: ProcessId,
        argv: &[String],
        (environment, input): (&Environment, Option<&str>),
        title: &str,
    ) -> Option<u8> {
        let netns = self.sim.netns_of(process);
        // Main processes draw from a source of their own, so that one more does not change what others draw.
        let is_main = self.sim.is_main(process);
        let seed = if is_main { self.log.seed ^ u64::from(process.0) } else { self.sim.rng().u64(..) };
        let mut rng = crate::base::Rng::with_seed(seed);
        let trace = self.sim.trace();
        self.live.advance(trace, trace.len());
        self.live.now = self.sim.now();
        self.live.snmp = self.sim.netns(netns).map(|own| (netns, own.snmp()));
        self.live.stp_timers = self.sim.netns(netns).map(|own| (netns, own.stp_timers(self.live.now)));
        let sim = &self.sim;
        let dialect =
            self.scripts.get(&process).map_or_else(Dialect::default, |script| script.dialect.clone());
        let hostname = sim.file(netns, "/etc/hostname").map_or("", |text| text.trim_end());
        let mut context = Context {
            inventory: &self.live,
            netns,
            files: &|path| {
                let path = &sim.absolute(process, path);
                let own = || sim.file_of(netns, &environment.mounts, path).map(Cow::into_owned);
                shell::kernel_file(&self.live, netns, path).or_else(own)
            },
            bytes: &|path| {
                sim.bytes_of(netns, &environment.mounts, &sim.absolute(process, path)).map(<[u8]>::to_vec)
            },
            below: &|path| sim.files_below(&environment.mounts, &sim.absolute(process, path)),
            is_fifo: &|path| sim.is_fifo(netns, &environment.mounts, &sim.absolute(process, path)),
            hostname,
            image: environment.image.as_deref(),
            kube_namespace: &environment.kube_namespace,
            columns: sim.is_terminal(process).then_some(COLUMNS),
            input,
            pidns: environment.pidns,
            pid: sim.pid_of(process),
            variables: &environment.variables,
            dialect: &dialect,
            logs: &|container, restarts| super::objects::log(trace, container, restarts),
            rng: &mut rng,
        };
        let command = shell::run(&mut context, argv);
        self.carry_out(process, command, title)
    }

    /// The bytes of a file as a shell in a namespace sees it.
    pub(super) fn bytes_of(&mut self, netns: NetnsId, mounts: &Mounts, path: &str) -> Option<Vec<u8>> {
        let trace = self.sim.trace();
        self.live.advance(trace, trace.len());
        self.live.now = self.sim.now();
        self.live.snmp = self.sim.netns(netns).map(|own| (netns, own.snmp()));
        self.live.stp_timers = self.sim.netns(netns).map(|own| (netns, own.stp_timers(self.live.now)));
        let of_kernel = shell::kernel_file(&self.live, netns, path).map(String::into_bytes);
        of_kernel.or_else(|| self.sim.bytes_of(netns, mounts, path).map(<[u8]>::to_vec))
    }

    /// `>` into a file of the kernel's: settings change, the rest is refused in the shell's words. The status.
    pub(super) fn write_to_kernel(&mut self, process: ProcessId, path: &str, text: &str, status: u8) -> u8 {
        let netns = self.sim.netns_of(process);
        let trace = self.sim.trace();
        self.live.advance(trace, trace.len());
        let is_container =
            self.scripts.get(&process).is_some_and(|script| script.environment.image.is_some());
        match shell::write_kernel_file(&self.live, netns, (path, text), is_container) {
            Ok(change) => {
                self.sim.administer(netns, |netns, ctx| apply_change(netns, ctx, change));
                status
            }
            Err((why, status)) => {
                let text = self.dialect(process).complaint(&why);
                self.sim.write(process, Stream::Stderr, &text);
                status
            }
        }
    }

    fn carry_out(&mut self, process: ProcessId, command: Command, title: &str) -> Option<u8> {
        if let Command::Exec { pod, container, argv, reads, has_tty, output } = command {
            for (stream, text) in output {
                self.sim.write(process, stream, &text);
            }
            return Some(self.exec(process, *pod, container, (&argv, reads, has_tty)));
        }
        let (output, status, program, changes) = match command {
            // Taken care of above.
            Command::Exec { .. } => return None,
            Command::Follow(follow) => return self.follow(process, *follow),
            Command::Copy(copying) => return Some(self.copy(process, &copying)),
            Command::Done { output, status } => (output, Some(status), None, Vec::new()),
            Command::Process { output, process } => (output, None, Some(process), Vec::new()),
            Command::Change { changes, output, status } => (output, Some(status), None, changes),
        };
        let netns = self.sim.netns_of(process);
        for change in changes {
            // The other end of a veth may live in another namespace.
            if let KernelChange::DelLink(ifindex) = change {
                self.sim.del_wire(netns, ifindex);
                continue;
            }
            if let KernelChange::MakeFifo(path) = &change {
                // The command has looked whether there is one.
                let made = self.sim.make_fifo(process, path);
                debug_assert!(made.is_ok(), "a pipe that was there");
            }
            if let KernelChange::Touch(path) = &change {
                let made = self.sim.touch(process, path);
                if made.is_err() {
                    let why = "No such file or directory";
                    self.sim.write(process, Stream::Stderr, &format!("touch: {path}: {why}\n"));
                }
            }
            if let KernelChange::Write(path, bytes) = &change
                && let Err(errno) = self.sim.put_bytes(process, path, bytes.clone())
            {
                let why = errno.text();
                let text = format!("sed: couldn't open temporary file for {path}: {why}\n");
                self.sim.write(process, Stream::Stderr, &text);
            }
            if let KernelChange::Unlink(path) = &change {
                self.sim.unlink(process, path);
            }
            if let KernelChange::Ipc(change) = change {
                let made = if let IpcChange::Object(row) = &*change { Some(row.clone()) } else { None };
                self.sim.note_change(netns, TableChange::Ipc(change));
                if let Some(row) = made {
                    self.sim.made_object(process, &row);
                }
                continue;
            }
            self.sim.administer(netns, |netns, ctx| apply_change(netns, ctx, change));
        }
        for (stream, text) in output {
            self.sim.write(process, stream, &text);
        }
        if let Some(program) = program {
            self.sim.run(process, program, title);
        }
        status
    }
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
        KernelChange::SetAlias(ifindex, alias) => netns.set_alias(ctx, ifindex, &alias),
        KernelChange::SetPromisc(ifindex, on) => netns.set_promisc(ctx, ifindex, on),
        KernelChange::SetLinkFlag(ifindex, flag, on) => netns.set_flag(ctx, ifindex, flag, on),
        KernelChange::SetAltnames(ifindex, names) => netns.set_altnames(ctx, ifindex, names),
        KernelChange::SetMaster(ifindex, master) => netns.set_master(ctx, ifindex, master, Hairpin::Off),
        KernelChange::DelMaster(ifindex) => netns.del_master(ctx, ifindex),
        KernelChange::SetBridge(ifindex, option) => netns.set_bridge(ctx, ifindex, option),
        KernelChange::SetPort(ifindex, option) => netns.set_port(ctx, ifindex, option),
        KernelChange::AddVlan(row) => netns.add_vlan(ctx, row),
        KernelChange::DelVlan(ifindex, id) => netns.del_vlan(ctx, ifindex, id),
        KernelChange::AddAddr(row) => netns.insert_addr(ctx, *row),
        KernelChange::ChangeAddr(row) => netns.change_addr(ctx, &row),
        KernelChange::DelAddr(row) => netns.remove_addr(ctx, &row),
        KernelChange::AddRoute(rows) => {
            netns.add_rows(ctx, &rows);
        }
        KernelChange::DelRoute(row) => {
            netns.del_routes(ctx, |route| route.is_beside(&row));
        }
        KernelChange::AppendRoute(rows) => netns.append_rows(ctx, &rows),
        KernelChange::PrependRoute(rows) => netns.prepend_rows(ctx, &rows),
        KernelChange::ReplaceRoute(rows) => netns.replace_rows(ctx, &rows),
        KernelChange::SetNexthop(row) => netns.set_nexthop(ctx, *row),
        KernelChange::DelNexthop(id) => netns.del_nexthop(ctx, id),
        KernelChange::AddRule(row) => netns.add_rule(ctx, *row),
        KernelChange::DelRule(row) => netns.del_rule(ctx, &row),
        KernelChange::AddProxy(row) => netns.set_proxy(ctx, row),
        KernelChange::DelProxy(addr, ifindex) => netns.del_proxy(ctx, addr, ifindex),
        KernelChange::AddNeigh(row) => netns.set_neighbor(ctx, row),
        KernelChange::DelNeigh(ifindex, addr) => netns.del_neighbor(ctx, ifindex, addr),
        KernelChange::FlushExceptions => netns.flush_exceptions(ctx),
        KernelChange::FlushNeigh(keys) => {
            for (ifindex, addr) in keys {
                netns.del_neighbor(ctx, ifindex, addr);
            }
        }
        KernelChange::AddVxlanFdb(ifindex, mac, dst) => netns.add_vxlan_fdb(ctx, ifindex, mac, dst),
        KernelChange::DelVxlanFdb(ifindex, mac) => netns.del_vxlan_fdb(ctx, ifindex, mac),
        KernelChange::SetBridgeFdb(port, mac, is_static) => netns.set_bridge_fdb(ctx, port, mac, is_static),
        KernelChange::DelBridgeFdb(port, mac) => netns.del_bridge_fdb(ctx, port, mac),
        KernelChange::Netfilter(op) => netns.change_netfilter(ctx, *op),
        KernelChange::SetQdisc(ifindex, netem) => netns.set_qdisc(ctx, ifindex, netem),
        KernelChange::SetClsact(ifindex, on) => netns.set_clsact(ctx, ifindex, on),
        KernelChange::SetMirror(ifindex, incoming, to) => netns.set_mirror(ctx, ifindex, incoming, to),
        KernelChange::AddXfrmState(row) => drop(netns.add_xfrm_state(ctx, *row)),
        KernelChange::DelXfrmState(dst, spi) => netns.del_xfrm_state(ctx, dst, spi),
        KernelChange::AddXfrmPolicy(row) => netns.add_xfrm_policy(ctx, row),
        KernelChange::DelXfrmPolicy(row) => netns.del_xfrm_policy(ctx, &row),
        // They are no matter of the network's.
        KernelChange::MakeFifo(_)
        | KernelChange::Touch(_)
        | KernelChange::Write(..)
        | KernelChange::Unlink(_)
        | KernelChange::Ipc(_) => {}
        KernelChange::SetSysctl(key, value) => {
            netns.set_sysctl(ctx, &key, &value);
        }
    }
}
