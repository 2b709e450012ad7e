//! netfilter (`net/netfilter`, `net/ipv4/netfilter`): at five hooks a packet passes connection tracking, translation
//! and the chains of the tables, in the order of the kernel's priorities.

mod admin;
mod bridge;
mod conntrack;
mod flow;
mod flow_nft;
mod header;
mod ipvs;
mod mangle;
mod matches;
mod nat;
mod nft;
mod packet_match;
mod reject;
mod set;
mod tables;
mod tcp;
mod tee;
mod walk;

pub use admin::NetfilterOp;
pub(super) use bridge::Bridged;
pub use flow::{Fate, Outcome, Passed, Probe, Ways};
pub(super) use header::{inverted, quoted_tuple, tuple};
pub use ipvs::{IpvsFlags, IpvsOp};

use super::{Ctx, Netns, Sender, Skb};
use crate::base::{IfIndex, SimTime};

use crate::trace::{DropReason, EventKind, Hook};
use crate::xtables::{Family, Table};
use conntrack::Conntrack;
use nft::Nft;
use set::Sets;
use tables::Tables;

/// What netfilter keeps with a packet (`skb->_nfct`, `skb->mark`, `struct nf_bridge_info`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nf {
    /// `skb->mark`.
    pub mark: u32,
    /// The connection it belongs to.
    pub(super) ct: Option<u32>,
    /// How it belongs to the connection.
    pub(super) info: CtInfo,
    /// Where a bridge took it in and sends it out.
    pub(super) bridge: Option<Bridged>,
    /// The socket it comes from, until it leaves this network stack (`skb->sk`).
    pub(in crate::kernel) sender: Sender,
    /// IPVS has dealt with it (`skb->ipvs_property`).
    ipvs: bool,
    /// Another packet of its connection was entered into the table before it.
    clashed: bool,
}

impl Nf {
    /// Why a hook dropped the packet.
    pub(super) fn drop_reason(self) -> DropReason {
        if self.clashed { DropReason::ConntrackClash } else { DropReason::NetfilterDrop }
    }

    /// What is left when a packet goes into another network namespace or comes out of a tunnel (`skb_scrub_packet`).
    pub(super) fn scrubbed(self, leaves_netns: bool) -> Self {
        Self { mark: if leaves_netns { 0 } else { self.mark }, ..Self::default() }
    }
}

/// How a packet belongs to its connection (`enum ip_conntrack_info`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CtInfo {
    /// It was not looked up, or belongs to none: invalid.
    #[default]
    None,
    /// It is to be left alone (`IP_CT_UNTRACKED`).
    Untracked,
    /// It begins the connection.
    New,
    /// It is of a connection that has seen replies.
    Established,
    /// It is an error about the connection.
    Related,
    /// It is a reply.
    EstablishedReply,
    /// It is an error about a reply.
    RelatedReply,
}

impl Nf {
    /// A packet that answers `about` belongs to its connection, against its direction (`nf_conntrack_attach`).
    pub(super) fn attach(&mut self, about: Self) {
        if about.ct.is_some() {
            self.ct = about.ct;
            self.info = if about.info.is_reply() { CtInfo::Related } else { CtInfo::RelatedReply };
        }
    }
}

impl CtInfo {
    /// Whether it goes the way of the replies (`CTINFO2DIR`).
    pub(super) fn is_reply(self) -> bool {
        matches!(self, Self::EstablishedReply | Self::RelatedReply)
    }

    fn is_related(self) -> bool {
        matches!(self, Self::Related | Self::RelatedReply)
    }
}

/// Whether a packet goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// `NF_ACCEPT`.
    Accept,
    /// `NF_DROP`.
    Drop,
    /// It has another destination now, and is to be sent on as if this machine had sent it (`NF_STOLEN` by IPVS).
    Redirected,
}

/// A hook being passed: which, and the devices that rules see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HookState {
    pub(super) hook: Hook,
    pub(super) iif: IfIndex,
    pub(super) oif: IfIndex,
}

/// netfilter's state in one namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Netfilter {
    tables: Tables,
    /// Those of IPv6. No packet passes them, for there is no IPv6 yet; [`Netns::flow`] asks them.
    tables6: Tables,
    /// The table of nftables, and that of IPv6.
    nft: Nft,
    nft6: Nft,
    conntrack: Conntrack,
    sets: Sets,
    ipvs: ipvs::Ipvs,
    /// Whether the packet on its way is one that `TEE` made (`in_nf_duplicate`).
    is_duplicating: bool,
}

impl Netfilter {
    fn of(&self, family: Family) -> &Tables {
        match family {
            Family::V4 => &self.tables,
            Family::V6 => &self.tables6,
        }
    }

    fn nft_of(&self, family: Family) -> &Nft {
        match family {
            Family::V4 => &self.nft,
            Family::V6 => &self.nft6,
        }
    }

    fn of_mut(&mut self, family: Family) -> &mut Tables {
        match family {
            Family::V4 => &mut self.tables,
            Family::V6 => &mut self.tables6,
        }
    }
}

/// A function hooked in, in the order of its priority (`enum nf_ip_hook_priorities`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A table's chain.
    Table(Table),
    /// The base chains of nftables with this priority.
    Nft(i32),
    /// `nf_conntrack_in`.
    Track,
    /// `nf_confirm`.
    Confirm,
    /// IPVS: replies get the address that was asked for (`ip_vs_out_hook`).
    IpvsOut,
    /// IPVS: packets to virtual servers get the address of a real one (`ip_vs_in_hook`).
    IpvsIn,
}

/// Priorities of base chains: before destinations are translated, and beside the table filter.
const BEFORE_DNAT: i32 = -110;
const FILTER: i32 = 0;

const PREROUTING: [Step; 5] = [
    Step::Table(Table::Raw),
    Step::Track,
    Step::Table(Table::Mangle),
    Step::Nft(BEFORE_DNAT),
    Step::Table(Table::Nat),
];
const INPUT: [Step; 8] = [
    Step::Table(Table::Mangle),
    Step::Table(Table::Filter),
    Step::Nft(FILTER),
    Step::Table(Table::Security),
    Step::IpvsOut,
    Step::IpvsIn,
    Step::Table(Table::Nat),
    Step::Confirm,
];
const FORWARD: [Step; 5] = [
    Step::Table(Table::Mangle),
    Step::Table(Table::Filter),
    Step::Nft(FILTER),
    Step::Table(Table::Security),
    Step::IpvsOut,
];
const OUTPUT: [Step; 10] = [
    Step::Table(Table::Raw),
    Step::Track,
    Step::Table(Table::Mangle),
    Step::Nft(BEFORE_DNAT),
    Step::Table(Table::Nat),
    Step::IpvsOut,
    Step::IpvsIn,
    Step::Table(Table::Filter),
    Step::Nft(FILTER),
    Step::Table(Table::Security),
];
const POSTROUTING: [Step; 3] = [Step::Table(Table::Mangle), Step::Table(Table::Nat), Step::Confirm];

fn steps(hook: Hook) -> &'static [Step] {
    match hook {
        Hook::Prerouting => &PREROUTING,
        Hook::Input => &INPUT,
        Hook::Forward => &FORWARD,
        Hook::Output => &OUTPUT,
        Hook::Postrouting => &POSTROUTING,
    }
}

impl Netns {
    /// Whether connections are tracked here: something needs it, or it was asked for.
    pub(super) fn tracks(&self) -> bool {
        self.sysctl.conntrack || self.netfilter.tables.needs_conntrack() || !self.netfilter.nft.is_empty()
    }

    /// A packet passes a hook (`nf_hook_slow`). The event is written at the interface `at`.
    pub(super) fn nf_hook(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        state: HookState,
        skb: &mut Skb,
    ) -> Verdict {
        ctx.note((self.id, at), skb, EventKind::Passed(state.hook));
        let tracks = self.tracks();
        if !tracks && self.netfilter.tables.is_empty() && self.netfilter.ipvs.is_empty() {
            return Verdict::Accept;
        }
        for step in steps(state.hook) {
            let verdict = match *step {
                Step::Track if tracks => self.nf_conntrack_in(ctx, at, skb),
                Step::Confirm if tracks => self.nf_confirm(ctx, skb),
                Step::Nft(priority) => self.nft_bases(ctx, at, (state, priority), skb),
                Step::Table(Table::Nat) if tracks => self.nf_nat(ctx, at, state, skb),
                // Only connections are translated, so without them the table nat is not asked (`nf_nat_inet_fn`).
                Step::Track | Step::Confirm | Step::Table(Table::Nat) => Verdict::Accept,
                Step::IpvsOut => {
                    self.ipvs_out(ctx, at, skb);
                    Verdict::Accept
                }
                Step::IpvsIn => self.ipvs_in(ctx, at, skb),
                Step::Table(table) => self.nf_chain(ctx, at, table, state, skb),
            };
            if verdict != Verdict::Accept {
                return verdict;
            }
        }
        Verdict::Accept
    }

    /// The collector of connections went by.
    pub(super) fn nf_timer(&mut self, ctx: &mut Ctx<'_>, deadline: SimTime) {
        self.gc_conntrack(ctx, deadline);
    }
}
