//! A whole CoreDNS: its server blocks, and what it is asked.
//!
//! The way through the plugins is walked without waiting. Where an upstream server has to be asked, the walk ends with
//! [`Served::Ask`], and is walked anew with the answer among [`Turn::known`]; only then something is remembered.

use super::cache::Memory;
use super::chain::Walk;
use super::corefile::{self, CorefileError};
use super::forward::Forward;
use super::plugin::{Configured, Duties, Plugin, Reading};
use super::view::View;
use super::{Answer, Question};
use crate::base::{Rng, SimTime};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

/// A server as its Corefile describes it.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Zones with the port of each.
    pub(super) zones: Vec<(String, u16)>,
    pub(super) plugins: Vec<Configured>,
    duties: Duties,
}

/// What a server remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) memories: BTreeMap<(usize, usize), Memory>,
    /// How often the question of the plugin `loop` was seen, by block.
    pub(super) loops: BTreeMap<usize, u32>,
}

/// A question to an upstream server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which `forward`: server block and place.
    pub forward: (usize, usize),
    /// The question.
    pub question: Question,
}

/// One question, with all that its answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// What the server has watched.
    pub view: &'a View,
    /// Simulated time.
    pub now: SimTime,
    /// The port it was asked at.
    pub port: u16,
    /// The question.
    pub question: &'a Question,
    /// The client.
    pub client: IpAddr,
    /// Whether DNSSEC records are wanted.
    pub dnssec: bool,
    /// What upstream servers answered, or why they did not.
    pub known: &'a [(Ask, Result<Answer, String>)],
}

/// What a plugin did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The plugin.
    pub plugin: &'static str,
    /// What it did: a key of the catalogue of words.
    pub did: &'static str,
    /// Arguments of the words.
    pub args: Vec<String>,
}

/// What became of a question.
#[derive(Clone, Debug)]
pub enum Served {
    /// It is answered.
    Done(Done),
    /// An upstream server has to be asked first. The steps up to there.
    Ask(Ask, Vec<Step>),
}

/// An answered question.
#[derive(Clone, Debug)]
pub struct Done {
    /// The answer.
    pub answer: Answer,
    /// The plugins in the order in which they did something.
    pub steps: Vec<Step>,
    /// Formats in which the plugin `log` writes it down.
    pub logs: Vec<String>,
    /// What the plugin `errors` says.
    pub error: Option<String>,
    /// Something in the cache is to be fetched anew.
    pub refresh: Option<Refresh>,
    /// The plugin `loop` found a loop: the zone in which it did.
    pub looped: Option<String>,
}

/// A question whose answer in the cache is to be fetched anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    pub(super) cache: (usize, usize),
    /// The question.
    pub question: Question,
}

impl Server {
    /// Reads a Corefile; `files` are the files that the process sees.
    pub fn new(text: &str, files: &dyn Fn(&str) -> Option<String>) -> Result<Self, CorefileError> {
        Self::with_variables(text, files, &|_| None)
    }

    /// Reads a Corefile with environment variables in it.
    pub fn with_variables(
        text: &str,
        files: &dyn Fn(&str) -> Option<String>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, CorefileError> {
        let mut blocks: Vec<Block> = Vec::new();
        for written in corefile::parse_with(text, variable)? {
            let mut reading = Reading::new(files, written.zones.clone());
            let plugins = reading.plugins(&written.plugins)?;
            let zones: Vec<(String, u16)> = written.zones.into_iter().zip(written.ports).collect();
            for (zone, port) in &zones {
                if blocks.iter().any(|block| block.zones.contains(&(zone.clone(), *port))) {
                    let message = format!("cannot serve dns://{zone}:{port} - it is already defined");
                    return Err(corefile::error(written.line, message));
                }
            }
            blocks.push(Block { zones, plugins, duties: reading.duties });
        }
        Ok(Self { blocks })
    }

    /// The ports it listens on, each with the addresses that it binds; all where there are none.
    pub fn listens(&self) -> BTreeMap<u16, Vec<IpAddr>> {
        let mut ports: BTreeMap<u16, Vec<IpAddr>> = BTreeMap::new();
        for block in &self.blocks {
            for (_, port) in &block.zones {
                let binds = ports.entry(*port).or_default();
                binds.extend(
                    block.duties.bind.iter().filter(|ip| !binds.contains(ip)).copied().collect::<Vec<_>>(),
                );
            }
        }
        ports
    }

    /// Zones with their ports in the order of the text, as CoreDNS lists them when it starts.
    pub fn zones(&self) -> impl Iterator<Item = (&str, u16)> {
        self.blocks.iter().flat_map(|block| block.zones.iter().map(|(zone, port)| (zone.as_str(), *port)))
    }

    /// What the process has to do for its plugins; of several blocks what the first one says.
    pub fn duties(&self) -> Duties {
        let all = || self.blocks.iter().map(|block| &block.duties);
        Duties {
            bind: all().flat_map(|duties| duties.bind.clone()).collect(),
            health: all().find_map(|duties| duties.health),
            ready: all().find_map(|duties| duties.ready),
            prometheus: all().find_map(|duties| duties.prometheus),
            reload: all().find_map(|duties| duties.reload),
            bufsize: all().find_map(|duties| duties.bufsize),
        }
    }

    /// The settings of a `forward`.
    pub fn forward(&self, (block, at): (usize, usize)) -> Option<&Forward> {
        match &self.blocks.get(block)?.plugins.get(at)?.plugin {
            Plugin::Forward(forward) => Some(forward),
            Plugin::Passive
            | Plugin::Errors
            | Plugin::Log(_)
            | Plugin::Loadbalance
            | Plugin::Local
            | Plugin::Minimal
            | Plugin::Cache(_)
            | Plugin::Rewrite(_)
            | Plugin::Autopath(_)
            | Plugin::Template(_)
            | Plugin::Transfer(_)
            | Plugin::Hosts(_)
            | Plugin::External(_)
            | Plugin::Kubernetes(_)
            | Plugin::File(_)
            | Plugin::Loop(_)
            | Plugin::Whoami => None,
        }
    }

    /// The plugins `kubernetes` of all blocks.
    pub fn kubernetes(&self) -> impl Iterator<Item = &super::Kubernetes> {
        let plugins = self.blocks.iter().flat_map(|block| &block.plugins);
        plugins.filter_map(|at| if let Plugin::Kubernetes(own) = &at.plugin { Some(&**own) } else { None })
    }

    /// Blocks with the plugin `loop`, each with its first zone and port, and the address that it asks (`ListenHosts`).
    pub fn loops(&self) -> Vec<(usize, String, SocketAddrV4)> {
        let mut found = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            if block.plugins.iter().any(|at| matches!(at.plugin, Plugin::Loop(_)))
                && let Some((zone, port)) = block.zones.first()
            {
                let ip = match block.duties.bind.first() {
                    Some(IpAddr::V4(ip)) => *ip,
                    Some(IpAddr::V6(_)) | None => Ipv4Addr::LOCALHOST,
                };
                found.push((index, zone.clone(), SocketAddrV4::new(ip, *port)));
            }
        }
        found
    }

    /// Names of the plugins of each block in the order in which they run.
    pub fn chains(&self) -> Vec<Vec<&'static str>> {
        self.blocks.iter().map(|block| block.plugins.iter().map(|at| at.name).collect()).collect()
    }

    /// Answers a question, or says whom to ask first.
    pub fn serve(&self, state: &mut State, turn: &Turn<'_>, rng: &mut Rng) -> Served {
        let mut walk = Walk::new(self, state, turn, rng);
        let reply = walk.whole(turn.question);
        walk.served(reply)
    }

    /// Fetches something anew that the cache has.
    pub fn refresh(&self, state: &mut State, refresh: &Refresh, turn: &Turn<'_>, rng: &mut Rng) -> Served {
        let mut walk = Walk::new(self, state, turn, rng);
        let (block, at) = refresh.cache;
        let reply = walk.fetch(block, at, &refresh.question);
        walk.served(reply)
    }

    /// How many answers and denials the caches hold.
    pub fn cached(state: &State) -> (usize, usize) {
        let lens = state.memories.values().map(Memory::len);
        lens.fold((0, 0), |sum, len| (sum.0 + len.0, sum.1 + len.1))
    }
}

/// What `forward` says when more questions are under way than it takes.
pub const TOO_MANY: &str = "concurrent queries exceeded maximum";
