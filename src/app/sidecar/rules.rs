//! `pilot-agent istio-iptables`: the rules of a Pod by which what its programs send and what comes in goes to the proxy
//! (istio, `tools/istio-iptables/pkg/capture/run.go`). It writes them and ends.

use crate::app::{Os, Process, Wake};
use crate::kernel::{Ctx, NetfilterOp, Netns};
use crate::trace::Stream;
use crate::xtables::{Family, Table, parse_rule};
use std::fmt::Write as _;
use std::sync::Arc;

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interception {
    /// Where the proxy takes what goes out (`-p`).
    pub outbound: u16,
    /// Where it takes what comes in (`-z`).
    pub inbound: u16,
    /// The proxy's own users, whose packets are left alone (`-u`); the same numbers as groups (`-g`).
    pub users: Vec<u32>,
    /// Ports that are not taken on the way in (`-d`).
    pub excluded_in: Vec<u16>,
    /// Ports that are not taken on the way out (`-o`).
    pub excluded_out: Vec<u16>,
}

/// Chains, in the order in which they are made.
const CHAINS: [&str; 4] = ["ISTIO_INBOUND", "ISTIO_REDIRECT", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT"];
/// The port of tunnels between proxies, which is never redirected.
const TUNNEL: u16 = 15008;

impl Interception {
    /// The rules, as `iptables -A` takes them.
    fn rules(&self) -> Vec<String> {
        let (outbound, inbound) = (self.outbound, self.inbound);
        let mut rules = vec![
            format!("ISTIO_INBOUND -p tcp --dport {TUNNEL} -j RETURN"),
            format!("ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports {outbound}"),
            format!("ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports {inbound}"),
            "PREROUTING -p tcp -j ISTIO_INBOUND".to_owned(),
        ];
        let excluded = self.excluded_in.iter();
        rules.extend(excluded.map(|port| format!("ISTIO_INBOUND -p tcp --dport {port} -j RETURN")));
        rules.push("ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT".to_owned());
        rules.push("OUTPUT -p tcp -j ISTIO_OUTPUT".to_owned());
        let excluded = self.excluded_out.iter();
        rules.extend(excluded.map(|port| format!("ISTIO_OUTPUT -p tcp --dport {port} -j RETURN")));
        rules.push("ISTIO_OUTPUT -o lo -s 127.0.0.6/32 -j RETURN".to_owned());
        for owner in ["uid", "gid"] {
            for id in &self.users {
                rules.push(format!(
                    "ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport {TUNNEL} -m owner --{owner}-owner {id} \
                     -j ISTIO_IN_REDIRECT"
                ));
                rules.push(format!("ISTIO_OUTPUT -o lo -m owner ! --{owner}-owner {id} -j RETURN"));
                rules.push(format!("ISTIO_OUTPUT -m owner --{owner}-owner {id} -j RETURN"));
            }
        }
        rules.push("ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN".to_owned());
        rules.push("ISTIO_OUTPUT -j ISTIO_REDIRECT".to_owned());
        rules
    }

    /// What is handed to `iptables-restore`.
    fn text(&self) -> String {
        let mut text = String::from("* nat\n");
        for chain in CHAINS {
            let _ = writeln!(text, "-N {chain}");
        }
        for rule in self.rules() {
            let _ = writeln!(text, "-A {rule}");
        }
        text + "COMMIT\n"
    }

    /// Writes the rules; those that are there already, as after a restart, stay.
    fn write(&self, netns: &mut Netns, ctx: &mut Ctx<'_>) {
        let is_there = netns.nf_rules(Family::V4, Table::Nat, CHAINS[0]).next().is_some();
        if is_there {
            return;
        }
        netns.change_netfilter(ctx, NetfilterOp::Table(Table::Nat));
        for chain in CHAINS {
            netns.change_netfilter(ctx, NetfilterOp::NewChain(Table::Nat, chain.into()));
        }
        for line in self.rules() {
            let Some((chain, words)) = line.split_once(' ') else { continue };
            let words: Vec<&str> = words.split(' ').collect();
            let Ok(rule) = parse_rule(&words) else { continue };
            let chain: Arc<str> = chain.into();
            let index = netns.nf_rules(Family::V4, Table::Nat, &chain).count() as u32;
            netns
                .change_netfilter(ctx, NetfilterOp::Insert(Table::Nat, chain, index, Arc::new(rule), (0, 0)));
        }
    }
}

/// The running program.
#[derive(Clone, Debug)]
pub struct IstioIptables(pub Interception);

impl Process for IstioIptables {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        if wake != Wake::Start {
            return;
        }
        let text = self.0.text();
        os.write(Stream::Stdout, &format!("Running iptables-restore with the following input:\n{text}"));
        os.administer(&mut |netns, ctx| self.0.write(netns, ctx));
        os.exit(0);
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
