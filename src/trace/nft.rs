//! Rows of nftables: chains, rules, sets and their elements; and the table that they fold into.

use crate::base::{ChangeId, NetnsId, SimTime};
use crate::nftables::{Base, Element, Rule, Set, Verdict};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A row of nftables that came or changed, or the key of one that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NftChange {
    /// A chain came or changed.
    Chain(NftChainRow),
    /// A chain went, with its rules.
    ChainGone(NetnsId, Arc<str>),
    /// A rule came.
    Rule(NftRuleRow),
    /// A rule went, by its handle.
    RuleGone(NetnsId, u32),
    /// A set or a map came or changed.
    Set(NftSetRow),
    /// A set or a map went, with its elements.
    SetGone(NetnsId, Arc<str>),
    /// An element came or changed.
    Element(NftElementRow),
    /// An element went.
    ElementGone(NetnsId, Arc<str>, Element),
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftChainRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Name.
    pub name: Arc<str>,
    /// Where it is hooked in, of a base chain.
    pub base: Option<Base>,
    /// Comment.
    pub comment: Option<&'static str>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftRuleRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Whether it is of IPv6.
    pub is_v6: bool,
    /// Chain.
    pub chain: Arc<str>,
    /// Number that the rule keeps as long as it lives, in its namespace.
    pub handle: u32,
    /// The rule; those of a chain stand in the order of their handles.
    pub rule: Arc<Rule>,
}

impl fmt::Display for NftRuleRow {
    /// As `nft list` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule.text(self.is_v6))
    }
}

/// A set or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftSetRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Name.
    pub name: Arc<str>,
    /// What it is.
    pub set: Set,
}

/// An element of a set or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftElementRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Name of the set.
    pub set: Arc<str>,
    /// The element.
    pub element: Element,
    /// What a map holds for it.
    pub verdict: Option<Verdict>,
    /// Comment.
    pub comment: Option<Arc<str>>,
    /// Until when it stays, where a packet put it in.
    pub until: Option<SimTime>,
}

impl fmt::Display for NftElementRow {
    /// As `nft list` prints it, without the time that is left.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.element)?;
        if let Some(comment) = &self.comment {
            write!(f, " comment \"{comment}\"")?;
        }
        match &self.verdict {
            Some(verdict) => write!(f, " : {verdict}"),
            None => Ok(()),
        }
    }
}

/// A chain with its rules by handle.
#[derive(Clone, Debug)]
pub struct NftChain {
    /// The row.
    pub row: NftChainRow,
    /// Rules by handle, each with the change that made it.
    pub rules: BTreeMap<u32, (ChangeId, NftRuleRow)>,
}

/// A set with its elements.
#[derive(Clone, Debug)]
pub struct NftSet {
    /// The row.
    pub row: NftSetRow,
    /// Elements, each with the change that gave it its present form.
    pub elements: BTreeMap<Element, (ChangeId, NftElementRow)>,
}

/// kube-proxy's table of one family, as it stands.
#[derive(Clone, Debug, Default)]
pub struct NftTable {
    /// Chains by name.
    pub chains: BTreeMap<Arc<str>, NftChain>,
    /// Sets and maps by name.
    pub sets: BTreeMap<Arc<str>, NftSet>,
    /// In which chain a rule stands.
    places: BTreeMap<u32, Arc<str>>,
}

impl NftTable {
    pub(super) fn apply(&mut self, id: ChangeId, change: &NftChange) {
        match change {
            NftChange::Chain(row) => {
                let new = || NftChain { row: row.clone(), rules: BTreeMap::new() };
                self.chains.entry(row.name.clone()).or_insert_with(new).row = row.clone();
            }
            NftChange::ChainGone(_, name) => {
                self.chains.remove(name);
                self.places.retain(|_, chain| chain != name);
            }
            NftChange::Rule(row) => {
                if let Some(chain) = self.chains.get_mut(&row.chain) {
                    chain.rules.insert(row.handle, (id, row.clone()));
                    self.places.insert(row.handle, row.chain.clone());
                }
            }
            NftChange::RuleGone(_, handle) => {
                if let Some(chain) = self.places.remove(handle).and_then(|name| self.chains.get_mut(&name)) {
                    chain.rules.remove(handle);
                }
            }
            NftChange::Set(row) => {
                let new = || NftSet { row: row.clone(), elements: BTreeMap::new() };
                self.sets.entry(row.name.clone()).or_insert_with(new).row = row.clone();
            }
            NftChange::SetGone(_, name) => {
                self.sets.remove(name);
            }
            NftChange::Element(row) => {
                if let Some(set) = self.sets.get_mut(&row.set) {
                    set.elements.insert(row.element, (id, row.clone()));
                }
            }
            NftChange::ElementGone(_, name, element) => {
                if let Some(set) = self.sets.get_mut(name) {
                    set.elements.remove(element);
                }
            }
        }
    }
}

impl NftChange {
    /// The namespace that the change is of.
    pub fn netns(&self) -> NetnsId {
        match self {
            Self::Chain(row) => row.netns,
            Self::Rule(row) => row.netns,
            Self::Set(row) => row.netns,
            Self::Element(row) => row.netns,
            Self::ChainGone(netns, _)
            | Self::RuleGone(netns, _)
            | Self::SetGone(netns, _)
            | Self::ElementGone(netns, ..) => *netns,
        }
    }

    /// The row as one line; `None` for what went.
    pub fn line(&self) -> Option<String> {
        Some(match self {
            Self::Chain(row) => {
                let base = row.base.map_or_else(String::new, |base| format!(" {base}"));
                format!("nft chain {}{base}", row.name)
            }
            Self::Rule(row) => format!("nft rule {} {row}", row.chain),
            Self::Set(row) => format!("nft {} {}", row.set.word(), row.name),
            Self::Element(row) => format!("nft element {} {{ {row} }}", row.set),
            Self::ChainGone(..) | Self::RuleGone(..) | Self::SetGone(..) | Self::ElementGone(..) => {
                return None;
            }
        })
    }
}
