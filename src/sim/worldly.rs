//! The world as the agents see it.

use super::{Simulation, Task};
use crate::agent::{Actor, Launch, Patience, Wakeup, Wire, World};
use crate::base::{DirId, Duration, EventId, IfIndex, NetnsId, PidNsId, ProcessId, Rng, SimTime};
use crate::kernel::{Ctx, Delays, Kind, Link, Netns, NewLink, Peer, Urgency};
use crate::shell::has_executable;
use crate::trace::{LinkKind, NetnsRole, NetnsRow, TableChange};
use std::ops::Range;
use std::sync::Arc;

/// How many pieces of output are looked through for what a probe said.
const LAST_WORDS: usize = 500;

/// The places of all files in a directory tree.
fn within(dir: DirId) -> Range<(DirId, String)> {
    (dir, String::new())..(DirId(dir.0 + 1), String::new())
}

impl<A: Actor> Simulation<A> {
    pub(super) fn change(&mut self, netns: NetnsId, change: TableChange) {
        let mut ctx =
            Ctx { now: self.now, trace: &mut self.trace, effects: &mut self.effects, delays: &self.delays };
        ctx.change(netns, IfIndex::NONE, EventId::NONE, change);
    }

    /// The number under which `at` sees the namespace `other`.
    fn nsid(&mut self, at: NetnsId, other: NetnsId) -> u32 {
        let Some(mut state) = self.netns.get_mut(at.index()).and_then(Option::take) else { return 0 };
        let id = state.nsid_of(other, |netns| Self::netns(self, netns).is_some());
        self.netns[at.index()] = Some(state);
        id
    }

    fn add_end(&mut self, at: NetnsId, new: &NewLink) -> IfIndex {
        let mut made = IfIndex::NONE;
        self.visit_netns(at, &mut |netns, ctx| made = netns.add_link(ctx, new.clone()));
        made
    }
}

impl<A: Actor> World for Simulation<A> {
    fn now(&self) -> SimTime {
        self.now
    }

    fn record(&mut self, change: TableChange) {
        self.change(NetnsId::NONE, change);
    }

    fn new_netns(&mut self, name: Arc<str>, role: NetnsRole) -> NetnsId {
        let id = NetnsId(self.netns.len() as u32);
        let seed = self.rng.u64(..);
        self.netns.push(Some(Netns::new(id, name.clone(), Rng::with_seed(seed))));
        self.change(id, TableChange::Netns(NetnsRow { netns: id, name, role }));
        self.visit_netns(id, &mut |netns, ctx| netns.add_loopback(ctx));
        id
    }

    fn del_netns(&mut self, netns: NetnsId) {
        let Some(state) = self.netns.get_mut(netns.index()).and_then(Option::take) else { return };
        for link in state.links() {
            if let Some(peer) = link.peer() {
                self.visit_netns(peer.netns, &mut |netns, ctx| netns.del_link(ctx, peer.ifindex));
            }
        }
        let own = (netns, String::new())..(NetnsId(netns.0 + 1), String::new());
        let paths: Vec<_> = self.files.range(own).map(|(path, _)| path.clone()).collect();
        for path in paths {
            self.files.remove(&path);
        }
        self.change(netns, TableChange::NetnsGone(netns));
    }

    fn netns(&self, netns: NetnsId) -> Option<&Netns> {
        Self::netns(self, netns)
    }

    fn visit(&mut self, netns: NetnsId, visitor: &mut dyn FnMut(&mut Netns, &mut Ctx<'_>)) {
        self.visit_netns(netns, visitor);
    }

    fn add_wire(&mut self, wire: Wire, a: (NetnsId, NewLink), b: (NetnsId, NewLink)) -> (IfIndex, IfIndex) {
        let next = |sim: &Self, at: NetnsId| Self::netns(sim, at).map_or(IfIndex::NONE, Netns::next_ifindex);
        // Both ends may be in one namespace; the second one then comes behind the first.
        let behind = u32::from(a.0 == b.0);
        let second = IfIndex(next(self, b.0).0 + behind);
        let ends = (Peer { netns: a.0, ifindex: next(self, a.0) }, Peer { netns: b.0, ifindex: second });
        let (nsid_a, nsid_b) = if a.0 == b.0 { (0, 0) } else { (self.nsid(a.0, b.0), self.nsid(b.0, a.0)) };
        let kind = |peer, nsid| match wire {
            Wire::Veth => Kind::Veth(peer, nsid),
            Wire::Cable => Kind::Physical(peer),
        };
        let made_a = self.add_end(a.0, &NewLink { kind: kind(ends.1, nsid_a), ..a.1 });
        let made_b = self.add_end(b.0, &NewLink { kind: kind(ends.0, nsid_b), ..b.1 });
        (made_a, made_b)
    }

    fn add_moved(
        &mut self,
        below: (NetnsId, Kind),
        new: (NetnsId, NewLink),
        shown: &LinkKind,
    ) -> (IfIndex, IfIndex) {
        let next = |sim: &Self, at: NetnsId| Self::netns(sim, at).map_or(IfIndex::NONE, Netns::next_ifindex);
        let (stub, moved) = (next(self, below.0), next(self, new.0));
        let (mac, mtu) = (new.1.mac, new.1.mtu);
        let peer = Peer { netns: new.0, ifindex: moved };
        self.visit_netns(below.0, &mut |netns, ctx| {
            netns.add_stub(ctx, below.1.clone(), (mac, mtu), peer);
        });
        let kind = Kind::Veth(Peer { netns: below.0, ifindex: stub }, 0);
        let link = NewLink { kind, ..new.1 };
        self.visit_netns(new.0, &mut |netns, ctx| {
            netns.add_moved(ctx, link.clone(), shown, 0);
        });
        (moved, stub)
    }

    fn move_end(&mut self, from: (NetnsId, IfIndex), to: NetnsId, name: Arc<str>) -> Option<IfIndex> {
        let link = Self::netns(self, from.0)?.link(from.1)?;
        let peer = link.peer()?;
        let other = Self::netns(self, peer.netns).and_then(|netns| netns.link(peer.ifindex));
        let wire = (link.extra.cut, other.is_some_and(|other| other.up));
        let (mac, mtu, txqlen, kind) = (link.mac, link.mtu, link.txqlen, link.kind.clone());
        let is_home = to == peer.netns;
        let (here, there) =
            if is_home { (0, 0) } else { (self.nsid(to, peer.netns), self.nsid(peer.netns, to)) };
        let new = NewLink { name, kind: kind.with_peer(peer, here), mac, mtu, txqlen };
        self.visit_netns(from.0, &mut |netns, ctx| netns.del_link(ctx, from.1));
        let mut made = IfIndex::NONE;
        self.visit_netns(to, &mut |netns, ctx| made = netns.take_in(ctx, new.clone(), from.1, wire));
        let end = Peer { netns: to, ifindex: made };
        self.visit_netns(peer.netns, &mut |netns, ctx| netns.set_peer(ctx, peer.ifindex, end, there));
        Some(made)
    }

    fn del_wire(&mut self, netns: NetnsId, ifindex: IfIndex) {
        let peer = Self::netns(self, netns).and_then(|netns| netns.link(ifindex)).and_then(Link::peer);
        self.visit_netns(netns, &mut |netns, ctx| netns.del_link(ctx, ifindex));
        if let Some(peer) = peer {
            self.visit_netns(peer.netns, &mut |netns, ctx| netns.del_link(ctx, peer.ifindex));
        }
    }

    fn write_file(&mut self, netns: NetnsId, path: &str, text: String) {
        self.files.insert((netns, path.to_owned()), text);
    }

    fn write_in(&mut self, dir: DirId, path: &str, text: String) {
        self.trees.insert((dir, path.to_owned()), text.into_bytes());
    }

    fn empty_dir(&mut self, dir: DirId) {
        let paths: Vec<_> = self.trees.range(within(dir)).map(|(path, _)| path.clone()).collect();
        for path in paths {
            self.trees.remove(&path);
        }
    }

    fn new_pidns(&mut self, first: u32) -> PidNsId {
        self.add_pidns(first)
    }

    fn new_dir(&mut self) -> DirId {
        self.add_dir()
    }

    fn copy_dir(&mut self, dir: DirId) -> DirId {
        let copy = self.add_dir();
        let files: Vec<_> =
            self.trees.range(within(dir)).map(|(at, file)| (at.1.clone(), file.clone())).collect();
        self.trees.extend(files.into_iter().map(|(path, file)| ((copy, path), file)));
        copy
    }

    fn last_words(&self, process: ProcessId) -> String {
        let recent = &self.trace.outputs[self.trace.outputs.len().saturating_sub(LAST_WORDS)..];
        recent.iter().filter(|output| output.process == process).map(|output| output.text.as_str()).collect()
    }

    fn has_program(&self, image: Option<&str>, program: &str) -> bool {
        has_executable(image, program)
    }

    fn launch(&mut self, launch: Launch) -> ProcessId {
        self.add_main(launch)
    }

    fn terminate(&mut self, process: ProcessId) {
        self.send_term(process);
    }

    fn kill(&mut self, process: ProcessId) {
        self.send_kill(process);
    }

    fn set_delays(&mut self, delays: Delays) {
        self.delays = delays;
    }

    fn wake_in(&mut self, after: Duration, patience: Patience, wakeup: Wakeup) {
        let urgency = match patience {
            Patience::Prompt => Urgency::Now,
            Patience::Patient => Urgency::Background,
        };
        self.queue.push(self.now + after, urgency, Task::Agent(Box::new(wakeup)));
    }

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }
}
