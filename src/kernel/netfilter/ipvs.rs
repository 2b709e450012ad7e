//! IPVS (`net/netfilter/ipvs`), as far as kube-proxy asks of it: virtual servers of TCP and UDP, whose
//! packets are translated (`Masq`), with persistence and with connection tracking (`net.ipv4.vs.conntrack`).
//!
//! Packets to a virtual server are taken where they arrive at this machine (`LOCAL_IN`), or where it sends them
//! (`LOCAL_OUT`), and go on from there as if this machine had sent them; replies are translated back where they are
//! forwarded, or arrive.

mod choice;

use super::mangle::{Manip, manip_packet, manip_quoted};
use super::{CtInfo, Verdict, header};
use crate::base::{ChangeId, Duration, EventId, IfIndex, IpvsScheduler, SimTime};
use crate::kernel::icmp::IcmpError;
use crate::kernel::{Ctx, Netns, Skb};
use crate::trace::{
    DropReason, EventKind, IpvsChange, IpvsConnectionRow, IpvsState, NetfilterChange, RealServer, ServerKey,
    Table, TableChange, Tuple, VirtualServerRow,
};
use crate::wire::{Body, Payload, Quote, Tcp, TcpFlags};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Of the tables that `sh` and `dh` look addresses up in (`IP_VS_SH_TAB_BITS`, `IP_VS_DH_TAB_BITS`).
const BUCKET_BITS: u32 = 8;
/// `GOLDEN_RATIO_32`.
const GOLDEN_RATIO: u32 = 0x61c8_8647;
/// `udp_timeouts`.
const UDP_TIMEOUT: Duration = Duration::from_secs(300);

/// How a virtual server chooses, and for how many seconds a client keeps its server, where it does.
pub type IpvsFlags = (IpvsScheduler, Option<u32>);

/// A change that `ipvsadm` or kube-proxy asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpvsOp {
    /// Makes a virtual server, or changes its flags: key, scheduler and seconds of persistence, what it stands for.
    Server(ServerKey, IpvsFlags, Arc<str>),
    /// Deletes one, with the servers behind it.
    DelServer(ServerKey),
    /// Adds a server behind a virtual one.
    AddReal(ServerKey, RealServer),
    /// Gives a server behind a virtual one another weight.
    SetWeight(ServerKey, RealServer),
    /// Takes one away.
    DelReal(ServerKey, SocketAddr),
}

/// A virtual server.
#[derive(Clone, Debug)]
struct Server {
    scheduler: IpvsScheduler,
    persistent: Option<u32>,
    service: Arc<str>,
    /// The youngest first: `list_add` puts each in front.
    real: Vec<RealServer>,
    /// The one chosen last; before the first choice none (`sched_data` is the head of the list).
    last: Option<usize>,
    /// Those that its address keeps, the youngest first (`lblc`, `lblcr`).
    kept: Vec<SocketAddr>,
    change: ChangeId,
}

/// A connection (`struct ip_vs_conn`).
#[derive(Clone, Debug)]
struct Conn {
    row: IpvsConnectionRow,
    expires: SimTime,
    change: ChangeId,
}

/// Protocol and both ends, as one direction's packets bear them.
type Ends = (u8, SocketAddr, SocketAddr);

/// All virtual servers and connections of a namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Ipvs {
    servers: BTreeMap<ServerKey, Server>,
    conns: BTreeMap<u32, Conn>,
    /// By client and virtual server; a template stands under port 0 of its client.
    incoming: BTreeMap<Ends, u32>,
    /// By real server and client.
    outgoing: BTreeMap<Ends, u32>,
    next: u32,
}

impl Server {
    fn remove(&mut self, socket: SocketAddr) {
        let Some(at) = self.real.iter().position(|real| real.socket == socket) else { return };
        self.real.remove(at);
        self.kept.retain(|kept| *kept != socket);
        self.last = match self.last {
            Some(last) if last >= at => last.checked_sub(1),
            last => last,
        };
    }

    fn usable(&self) -> u32 {
        self.real.iter().filter(|real| real.weight > 0).count() as u32
    }
}

impl Ipvs {
    pub(super) fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.conns.is_empty()
    }

    /// The servers that a new connection may be given to, and what the virtual server stands for; `None` where nobody
    /// made a virtual server.
    pub(super) fn behind(&self, protocol: u8, socket: SocketAddr) -> Option<(Arc<str>, Vec<SocketAddr>)> {
        let server = self.servers.get(&ServerKey { protocol, socket })?;
        let usable = server.real.iter().filter(|real| real.weight > 0);
        Some((server.service.clone(), usable.map(|real| real.socket).collect()))
    }
}

fn v4(addr: crate::base::Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(addr), port)
}

/// The next state by what a segment says and where it comes from (`tcp_states`).
fn next_state(state: IpvsState, tcp: &Tcp, is_reply: bool) -> IpvsState {
    use IpvsState::{Close, CloseWait, Established, FinWait, LastAck, None, SynRecv, SynSent, TimeWait, Udp};
    let has = |flag| tcp.flags.contains(flag);
    if state == Udp {
        return Udp;
    }
    if has(TcpFlags::RST) {
        return match (is_reply, state) {
            (false, SynRecv | LastAck) | (true, SynSent | TimeWait) => state,
            _ => Close,
        };
    }
    if has(TcpFlags::SYN) {
        return match (is_reply, state) {
            (false, SynSent) | (_, Established) => Established,
            (false, _) | (true, SynRecv) => SynRecv,
            (true, _) => SynSent,
        };
    }
    if has(TcpFlags::FIN) {
        return match (is_reply, state) {
            (_, SynSent | LastAck | Close) => state,
            (false, None) => Close,
            (false, Established | CloseWait) => CloseWait,
            (true, Established | FinWait) => FinWait,
            _ => TimeWait,
        };
    }
    if !has(TcpFlags::ACK) {
        return Close;
    }
    match (is_reply, state) {
        (false, None | LastAck) => Close,
        (true, None) | (_, SynRecv) => Established,
        _ => state,
    }
}

/// How long a connection is kept in a state (`tcp_timeouts`).
fn timeout_of(state: IpvsState) -> Duration {
    Duration::from_secs(match state {
        IpvsState::None => 2,
        IpvsState::Established => 900,
        IpvsState::SynSent | IpvsState::FinWait | IpvsState::TimeWait => 120,
        IpvsState::SynRecv | IpvsState::CloseWait => 60,
        IpvsState::Close => 10,
        IpvsState::LastAck => 30,
        IpvsState::Udp => return UDP_TIMEOUT,
    })
}

impl Netns {
    pub(super) fn ipvs_change(&mut self, ctx: &mut Ctx<'_>, op: IpvsOp) {
        let servers = &mut self.netfilter.ipvs.servers;
        let key = match op {
            IpvsOp::Server(key, (scheduler, persistent), service) => {
                let fresh = Server {
                    scheduler,
                    persistent,
                    service: service.clone(),
                    real: Vec::new(),
                    last: None,
                    kept: Vec::new(),
                    change: ChangeId::NONE,
                };
                let server = servers.entry(key).or_insert(fresh);
                // What another scheduler remembered is of no use to this one.
                server.last = server.last.filter(|_| server.scheduler == scheduler);
                (server.scheduler, server.persistent, server.service) = (scheduler, persistent, service);
                key
            }
            IpvsOp::DelServer(key) => {
                if servers.remove(&key).is_some() {
                    self.ipvs_record(ctx, EventId::NONE, IpvsChange::ServerGone(self.id, key));
                }
                return;
            }
            IpvsOp::AddReal(key, real) => {
                if let Some(server) = servers.get_mut(&key) {
                    server.real.insert(0, real);
                    server.last = server.last.map(|last| last + 1);
                }
                key
            }
            IpvsOp::SetWeight(key, real) => {
                let known = servers.get_mut(&key).into_iter().flat_map(|server| &mut server.real);
                known.filter(|known| known.socket == real.socket).for_each(|known| *known = real);
                key
            }
            IpvsOp::DelReal(key, socket) => {
                if let Some(server) = servers.get_mut(&key) {
                    server.remove(socket);
                }
                key
            }
        };
        let Some(server) = servers.get(&key) else { return };
        let row = VirtualServerRow {
            netns: self.id,
            key,
            scheduler: server.scheduler,
            persistent: server.persistent,
            service: server.service.clone(),
            real: server.real.clone(),
        };
        let change = self.ipvs_record(ctx, EventId::NONE, IpvsChange::Server(Arc::new(row)));
        if let Some(server) = self.netfilter.ipvs.servers.get_mut(&key) {
            server.change = change;
        }
    }

    fn ipvs_record(&self, ctx: &mut Ctx<'_>, cause: EventId, change: IpvsChange) -> ChangeId {
        let change = TableChange::Netfilter(NetfilterChange::Ipvs(change));
        ctx.change(self.id, IfIndex::NONE, cause, change)
    }

    /// The virtual servers: each with its scheduler and persistence, what it stands for, and the servers behind it, the
    /// youngest first.
    pub fn ipvs_servers(&self) -> impl Iterator<Item = (ServerKey, IpvsFlags, &Arc<str>, &[RealServer])> {
        let servers = self.netfilter.ipvs.servers.iter();
        servers.map(|(key, server)| {
            (*key, (server.scheduler, server.persistent), &server.service, server.real.as_slice())
        })
    }

    /// How many connections a real server has.
    pub fn ipvs_in_use(&self, now: SimTime, key: &ServerKey, real: SocketAddr) -> usize {
        let own = |conn: &&Conn| conn.expires > now && conn.row.is_of(key, real);
        self.netfilter.ipvs.conns.values().filter(own).count()
    }

    /// Replies of a real server get the address of the virtual one (`ip_vs_out`).
    pub(super) fn ipvs_out(&mut self, ctx: &mut Ctx<'_>, at: IfIndex, skb: &mut Skb) {
        if skb.nf.ipvs || self.netfilter.ipvs.is_empty() {
            return;
        }
        let frame = skb.frame.clone();
        let Some(packet) = frame.ipv4() else { return };
        if let Body::Icmp(icmp) = &*packet.body {
            if icmp.is_error() {
                self.ipvs_out_icmp(ctx, at, icmp.data(), skb);
            }
            return;
        }
        let tuple = header::tuple(packet);
        let ends = (tuple.protocol, v4(tuple.src, tuple.sport), v4(tuple.dst, tuple.dport));
        let Some(id) = self.ipvs_find(ctx, ends, true) else { return };
        let Some(conn) = self.netfilter.ipvs.conns.get(&id) else { return };
        let (change, SocketAddr::V4(server)) = (conn.change, conn.row.server) else { return };
        ctx.note((self.id, at), skb, EventKind::Decided(Table::Ipvs, change));
        if let Payload::Ipv4(packet) = &mut skb.frame_mut().payload {
            let target = Tuple { src: *server.ip(), sport: server.port(), ..tuple };
            manip_packet(packet, &target, Manip::Src);
        }
        skb.nf.ipvs = true;
        self.ipvs_follow(ctx, id, skb.cause, (packet.body.as_ref(), true));
    }

    /// An error about a packet to a real server goes back to the client as one about the virtual server
    /// (`ip_vs_out_icmp`).
    fn ipvs_out_icmp(&mut self, ctx: &mut Ctx<'_>, at: IfIndex, quote: &[u8], skb: &mut Skb) {
        let Some(inner) = Quote::read(quote).and_then(|quote| header::quoted_tuple(&quote)) else { return };
        let ends = (inner.protocol, v4(inner.dst, inner.dport), v4(inner.src, inner.sport));
        let Some(id) = self.ipvs_find(ctx, ends, true) else { return };
        let Some(conn) = self.netfilter.ipvs.conns.get(&id) else { return };
        let (change, SocketAddr::V4(server)) = (conn.change, conn.row.server) else { return };
        ctx.note((self.id, at), skb, EventKind::Decided(Table::Ipvs, change));
        if let Payload::Ipv4(packet) = &mut skb.frame_mut().payload {
            let target = Tuple { dst: *server.ip(), dport: server.port(), ..inner };
            manip_quoted(packet, &target, Manip::Dst);
            packet.src = *server.ip();
        }
        skb.nf.ipvs = true;
    }

    /// Packets to a virtual server get the address of a real one (`ip_vs_in`).
    pub(super) fn ipvs_in(&mut self, ctx: &mut Ctx<'_>, at: IfIndex, skb: &mut Skb) -> Verdict {
        if skb.nf.ipvs || self.netfilter.ipvs.is_empty() {
            return Verdict::Accept;
        }
        let frame = skb.frame.clone();
        let Some(packet) = frame.ipv4() else { return Verdict::Accept };
        if !matches!(&*packet.body, Body::Tcp(_) | Body::Udp(_)) || packet.fragment_offset != 0 {
            return Verdict::Accept;
        }
        let tuple = header::tuple(packet);
        let ends = (tuple.protocol, v4(tuple.src, tuple.sport), v4(tuple.dst, tuple.dport));
        let id = match self.ipvs_find(ctx, ends, false) {
            Some(id) if self.ipvs_has_server(id) => id,
            // The server went while the connection was kept (`expire_nodest_conn`).
            Some(id) => {
                self.ipvs_forget(ctx, id, skb.cause);
                return Verdict::Drop;
            }
            None => match self.ipvs_schedule(ctx, at, &tuple, (packet.body.as_ref(), skb)) {
                Ok(Some(id)) => id,
                Ok(None) => return Verdict::Accept,
                Err(()) => return Verdict::Drop,
            },
        };
        self.ipvs_follow(ctx, id, skb.cause, (packet.body.as_ref(), false));
        let Some(conn) = self.netfilter.ipvs.conns.get(&id) else { return Verdict::Accept };
        let (change, SocketAddr::V4(real)) = (conn.change, conn.row.real) else { return Verdict::Accept };
        ctx.note((self.id, at), skb, EventKind::Decided(Table::Ipvs, change));
        let target = Tuple { dst: *real.ip(), dport: real.port(), ..tuple };
        if let Payload::Ipv4(packet) = &mut skb.frame_mut().payload {
            manip_packet(packet, &target, Manip::Dst);
        }
        skb.nf.ipvs = true;
        self.ipvs_update_conntrack(skb, &target);
        if self.fib.lookup_local(*real.ip()).is_some() { Verdict::Accept } else { Verdict::Redirected }
    }

    /// The connection of a packet, by one of its directions; one whose time is over goes.
    fn ipvs_find(&mut self, ctx: &mut Ctx<'_>, ends: Ends, is_reply: bool) -> Option<u32> {
        let ipvs = &self.netfilter.ipvs;
        let id = *(if is_reply { &ipvs.outgoing } else { &ipvs.incoming }).get(&ends)?;
        if ipvs.conns.get(&id)?.expires > ctx.now {
            return Some(id);
        }
        self.ipvs_forget(ctx, id, EventId::NONE);
        None
    }

    fn ipvs_forget(&mut self, ctx: &mut Ctx<'_>, id: u32, cause: EventId) {
        let ipvs = &mut self.netfilter.ipvs;
        let Some(gone) = ipvs.conns.remove(&id) else { return };
        let row = gone.row;
        ipvs.incoming.remove(&(row.protocol, row.client, row.server));
        ipvs.outgoing.remove(&(row.protocol, row.real, row.client));
        self.ipvs_record(ctx, cause, IpvsChange::ConnectionGone(self.id, id));
    }

    /// Whether the real server of a connection is still behind its virtual one; of a template, with a weight
    /// (`expire_quiescent_template`).
    fn ipvs_has_server(&self, id: u32) -> bool {
        let Some(row) = self.netfilter.ipvs.conns.get(&id).map(|conn| &conn.row) else { return false };
        let key = ServerKey { protocol: row.protocol, socket: row.server };
        let behind = self.netfilter.ipvs.servers.get(&key).map(|server| server.real.as_slice());
        let fits = |real: &RealServer| real.socket == row.real && (real.weight > 0 || !row.template);
        behind.is_some_and(|real| real.iter().any(fits))
    }

    /// The state and the time of a connection follow from its packet (`ip_vs_set_state`, `ip_vs_conn_put`).
    fn ipvs_follow(&mut self, ctx: &mut Ctx<'_>, id: u32, cause: EventId, (body, is_reply): (&Body, bool)) {
        let Some(conn) = self.netfilter.ipvs.conns.get_mut(&id) else { return };
        let before = conn.row.state;
        if let Body::Tcp(tcp) = body {
            conn.row.state = next_state(before, tcp, is_reply);
            conn.row.timeout = timeout_of(conn.row.state);
        }
        conn.expires = ctx.now + conn.row.timeout;
        let row = &conn.row;
        let template = (row.protocol, SocketAddr::new(row.client.ip(), 0), row.server);
        let is_news = !conn.change.is_some() || row.state != before;
        if let Some(of) = self.netfilter.ipvs.incoming.get(&template).copied()
            && let Some(template) = self.netfilter.ipvs.conns.get_mut(&of)
        {
            template.expires = ctx.now + template.row.timeout;
        }
        if is_news {
            self.ipvs_write(ctx, id, cause);
        }
    }

    /// Writes the row of a connection.
    fn ipvs_write(&mut self, ctx: &mut Ctx<'_>, id: u32, cause: EventId) {
        let Some(row) = self.netfilter.ipvs.conns.get(&id).map(|conn| Box::new(conn.row.clone())) else {
            return;
        };
        let change = self.ipvs_record(ctx, cause, IpvsChange::Connection(row));
        if let Some(conn) = self.netfilter.ipvs.conns.get_mut(&id) {
            conn.change = change;
        }
    }

    /// Gives a new connection a server (`ip_vs_schedule`, `ip_vs_sched_persist`). No number where this is none for a
    /// virtual server; an error where there is no server to give it to, which the sender is told.
    fn ipvs_schedule(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        tuple: &Tuple,
        (body, skb): (&Body, &mut Skb),
    ) -> Result<Option<u32>, ()> {
        let begins = !matches!(body, Body::Tcp(tcp)
            if !tcp.flags.contains(TcpFlags::SYN) || tcp.flags.contains(TcpFlags::RST));
        let (client, socket) = (v4(tuple.src, tuple.sport), v4(tuple.dst, tuple.dport));
        let key = ServerKey { protocol: tuple.protocol, socket };
        let Some(server) = self.netfilter.ipvs.servers.get(&key).filter(|_| begins) else { return Ok(None) };
        let (persistent, service, change) = (server.persistent, server.service.clone(), server.change);
        let kept = persistent.and_then(|_| self.ipvs_template(ctx, &key, client.ip()));
        let one_of = if kept.is_some() { 0 } else { server_count(&self.netfilter.ipvs, &key) };
        let chosen = kept.or_else(|| self.netfilter.ipvs.choose(ctx.now, key, client));
        let Some(real) = chosen else {
            ctx.note((self.id, at), skb, EventKind::Decided(Table::Ipvs, change));
            self.icmp_send(ctx, at, skb, IcmpError::unreachable(3));
            return Err(());
        };
        let base = IpvsConnectionRow {
            netns: self.id,
            id: 0,
            protocol: key.protocol,
            client,
            server: socket,
            real,
            state: if key.protocol == UDP { IpvsState::Udp } else { IpvsState::None },
            timeout: if key.protocol == UDP { UDP_TIMEOUT } else { timeout_of(IpvsState::None) },
            template: false,
            service,
            one_of,
        };
        if let Some(seconds) = persistent.filter(|_| kept.is_none()) {
            let template = IpvsConnectionRow {
                client: SocketAddr::new(client.ip(), 0),
                state: if key.protocol == TCP { IpvsState::None } else { IpvsState::Udp },
                timeout: Duration::from_secs(u64::from(seconds)),
                template: true,
                ..base.clone()
            };
            let id = self.ipvs_enter(ctx, template);
            self.ipvs_write(ctx, id, skb.cause);
        }
        Ok(Some(self.ipvs_enter(ctx, base)))
    }

    /// The server that a client keeps, if it is still there.
    fn ipvs_template(&mut self, ctx: &mut Ctx<'_>, key: &ServerKey, client: IpAddr) -> Option<SocketAddr> {
        let id = self.ipvs_find(ctx, (key.protocol, SocketAddr::new(client, 0), key.socket), false)?;
        if !self.ipvs_has_server(id) {
            self.ipvs_forget(ctx, id, EventId::NONE);
            return None;
        }
        self.netfilter.ipvs.conns.get(&id).map(|conn| conn.row.real)
    }

    /// Enters a connection. Its row is written when its first packet has passed. Those whose time is over go first.
    fn ipvs_enter(&mut self, ctx: &mut Ctx<'_>, row: IpvsConnectionRow) -> u32 {
        let over = |(id, conn): (&u32, &Conn)| (conn.expires <= ctx.now).then_some(*id);
        let over: Vec<u32> = self.netfilter.ipvs.conns.iter().filter_map(over).collect();
        for id in over {
            self.ipvs_forget(ctx, id, EventId::NONE);
        }
        let ipvs = &mut self.netfilter.ipvs;
        let id = ipvs.next;
        ipvs.next += 1;
        let row = IpvsConnectionRow { id, ..row };
        ipvs.incoming.insert((row.protocol, row.client, row.server), id);
        if !row.template {
            ipvs.outgoing.insert((row.protocol, row.real, row.client), id);
        }
        let expires = ctx.now + row.timeout;
        ipvs.conns.insert(id, Conn { row, expires, change: ChangeId::NONE });
        id
    }

    /// Replies of the tracked connection will come from the real server (`ip_vs_update_conntrack`).
    fn ipvs_update_conntrack(&mut self, skb: &Skb, target: &Tuple) {
        let Some(conn) = skb.nf.ct.and_then(|id| self.netfilter.conntrack.get_mut(id)) else { return };
        if conn.confirmed || conn.dying || !matches!(skb.nf.info, CtInfo::New) {
            return;
        }
        (conn.reply.src, conn.reply.sport) = (target.dst, target.dport);
    }

    /// Sends a packet on that got the address of a real server (`ip_vs_nat_xmit`).
    pub(in crate::kernel) fn ipvs_xmit(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        after: Duration,
        mut skb: Skb,
    ) {
        let here = (self.id, at);
        let Some((dst, ttl)) = skb.frame.ipv4().map(|packet| (packet.dst, packet.ttl)) else {
            return ctx.drop(here, skb, DropReason::IpInHdr);
        };
        let Ok(flow) = self.ip_route_output(ctx.now, dst, None, None) else {
            return ctx.drop(here, skb, DropReason::IpOutNoRoutes);
        };
        if ttl <= 1 {
            self.icmp_send(ctx, at, &skb, IcmpError::TTL_EXCEEDED);
            return ctx.drop(here, skb, DropReason::TtlExceeded);
        }
        ctx.note((self.id, flow.oif), &mut skb, EventKind::Decided(Table::Fib, flow.change));
        skb.dst = crate::kernel::Dst::default();
        if let Payload::Ipv4(packet) = &mut skb.frame_mut().payload {
            packet.ttl -= 1;
        }
        let state = super::HookState { hook: crate::trace::Hook::Output, iif: IfIndex::NONE, oif: flow.oif };
        if self.nf_hook(ctx, flow.oif, state, &mut skb) == Verdict::Drop {
            return ctx.drop((self.id, flow.oif), skb, DropReason::NetfilterDrop);
        }
        self.ip_output(ctx, flow.oif, flow.next_hop, after, skb);
    }
}

fn server_count(ipvs: &Ipvs, key: &ServerKey) -> u32 {
    ipvs.servers.get(key).map_or(0, Server::usable)
}
