//! A rule as `iptables -S` and `iptables-save` print it.

use super::Family;
use super::matches::net_mask;
use super::{ConnmarkOp, Log, Masked, NatFlags, NatRange, Not, PortRange, Rule, Target, Tcpmss, ports};
use crate::base::Ipv4Addr;
use std::fmt;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

impl fmt::Display for Masked {
    /// With its mask, always.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.prefix_len()) {
            (Self::V4(addr, _), Some(len)) => write!(f, "{}/{len}", Ipv4Addr::from(*addr)),
            (Self::V4(addr, mask), None) => {
                write!(f, "{}/{}", Ipv4Addr::from(*addr), Ipv4Addr::from(*mask))
            }
            (Self::V6(addr, _), Some(len)) => write!(f, "{}/{len}", Ipv6Addr::from(*addr)),
            (Self::V6(addr, mask), None) => {
                write!(f, "{}/{}", Ipv6Addr::from(*addr), Ipv6Addr::from(*mask))
            }
        }
    }
}

impl Masked {
    /// The address or network with the prefix length.
    pub fn new(addr: Ipv4Addr, len: u8) -> Self {
        let mask = net_mask(u32::from(len));
        Self::V4(u32::from(addr) & mask, mask)
    }

    /// Without the mask of a single address.
    pub fn short(&self) -> String {
        match self {
            Self::V4(addr, u32::MAX) => Ipv4Addr::from(*addr).to_string(),
            Self::V6(addr, u128::MAX) => Ipv6Addr::from(*addr).to_string(),
            Self::V4(..) | Self::V6(..) => self.to_string(),
        }
    }
}

/// A word as the tools write it: in quotes unless it holds nothing but letters, digits, `_` and `-`.
pub fn quoted(text: &str) -> String {
    if !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
    {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for letter in text.chars() {
        if "\"\\'".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out + "\""
}

impl PortRange {
    /// `80` or `80:90`, with another sign between the ends where one is given.
    pub fn text(self, between: char) -> String {
        if self.0 == self.1 { self.0.to_string() } else { format!("{}{between}{}", self.0, self.1) }
    }
}

/// What follows the name of the chain.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        let address = |name: &str, of: &Not<Masked>| {
            (!of.is.is_any() || of.negated).then(|| format!("{}{name} {}", of.bang(), of.is))
        };
        words.extend(address("-s", &self.src));
        words.extend(address("-d", &self.dst));
        words.extend(self.iif.as_ref().map(|of| format!("{}-i {}", of.bang(), of.is.text())));
        words.extend(self.oif.as_ref().map(|of| format!("{}-o {}", of.bang(), of.is.text())));
        words.extend(self.protocol.map(|of| format!("{}-p {}", of.bang(), ports::protocol_name(of.is))));
        words.extend(self.fragment.map(|later| if later { "-f" } else { "! -f" }.to_owned()));
        words.extend(self.matches.iter().map(|each| format!("-m {}{}", each.name(), each.save())));
        let target = self.target.save(self.family);
        if !target.is_empty() {
            words.push(target);
        }
        f.write_str(&words.join(" "))
    }
}

impl Target {
    /// `-j NAME` with its options.
    pub fn save(&self, family: Family) -> String {
        let options = match self {
            Self::None => return String::new(),
            Self::Goto(chain) => return format!("-g {chain}"),
            Self::Accept | Self::Drop | Self::Return | Self::Jump(_) => String::new(),
            Self::Notrack(true) => return "-j NOTRACK".to_owned(),
            Self::Notrack(false) => return "-j CT --notrack".to_owned(),
            Self::Reject(with) => format!(" --reject-with {}", with.name_in(family)),
            Self::Dnat(range, flags) => format!(" --to-destination {}{}", range.text(), flags.save()),
            Self::Snat(range, flags) => format!(" --to-source {}{}", range.text(), flags.save()),
            Self::Masquerade(ports, flags) | Self::Redirect(ports, flags) => {
                let ports =
                    ports.map_or_else(String::new, |ports| format!(" --to-ports {}", ports.text('-')));
                ports + &flags.save()
            }
            Self::Mark(value, mask) | Self::Connmark(ConnmarkOp::Set(value, mask)) => {
                format!(" --set-xmark {value:#x}/{mask:#x}")
            }
            Self::Connmark(ConnmarkOp::Save(packet, conn)) => {
                format!(" --save-mark --nfmask {packet:#x} --ctmask {conn:#x}")
            }
            Self::Connmark(ConnmarkOp::Restore(packet, conn)) => {
                format!(" --restore-mark --nfmask {packet:#x} --ctmask {conn:#x}")
            }
            Self::Log(log) => log.save(),
            Self::Tcpmss(Tcpmss::Clamp) => " --clamp-mss-to-pmtu".to_owned(),
            Self::Tcpmss(Tcpmss::Set(mss)) => format!(" --set-mss {mss}"),
            Self::Ttl(op) => op.save(),
            Self::Tos(value, mask) => format!(" --set-tos 0x{value:02x}/0x{mask:02x}"),
            Self::Dscp(value) => format!(" --set-dscp 0x{value:02x}"),
            Self::Netmap(network) => format!(" --to {network}"),
            Self::Side(side) => side.save(),
        };
        format!("-j {}{options}", self.name())
    }
}

impl NatRange {
    /// `A[-B][:P[-Q]]`.
    pub fn text(&self) -> String {
        // An address of IPv6 has colons of its own.
        let one = |ip: IpAddr| match ip {
            IpAddr::V6(ip) if self.ports.is_some() => format!("[{ip}]"),
            IpAddr::V4(_) | IpAddr::V6(_) => ip.to_string(),
        };
        let mut out = match self.addrs {
            None => String::new(),
            Some((first, last)) if first == last => one(first),
            Some((first, last)) => format!("{}-{}", one(first), one(last)),
        };
        if let Some(ports) = self.ports {
            out += ":";
            out += &ports.text('-');
        }
        out
    }
}

impl NatFlags {
    fn names(self) -> impl Iterator<Item = &'static str> {
        let named = [(self.random, "random"), (self.fully, "random-fully"), (self.persistent, "persistent")];
        named.into_iter().filter(|(set, _)| *set).map(|(_, name)| name)
    }

    fn save(self) -> String {
        self.names().fold(String::new(), |out, name| out + " --" + name)
    }

    pub(super) fn list(self) -> String {
        self.names().fold(String::new(), |out, name| out + " " + name)
    }
}

impl Log {
    /// What is logged besides, with the bit of each.
    pub(super) const FLAGS: [(u8, &'static str); 5] =
        [(1, "tcp-sequence"), (2, "tcp-options"), (4, "ip-options"), (8, "uid"), (32, "macdecode")];

    fn save(&self) -> String {
        let mut out = String::new();
        if !self.prefix.is_empty() {
            let _ = write!(out, " --log-prefix {}", quoted(&self.prefix));
        }
        if self.level != 4 {
            let _ = write!(out, " --log-level {}", self.level);
        }
        for (bit, name) in Self::FLAGS {
            if self.flags & bit != 0 {
                let _ = write!(out, " --log-{name}");
            }
        }
        out
    }
}
