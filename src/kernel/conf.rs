//! Settings of single interfaces (`net.ipv4.conf.IF.*`, `struct ipv4_devconf`). Each interface has its own; those of
//! `all` are joined to them, by the greater value or by "one of them is enough" (`IN_DEV_MAXCONF`, `IN_DEV_ORCONF`).

use super::{Ctx, Netns};
use crate::base::{EventId, IfIndex};
use crate::trace::{SysctlRow, TableChange};

/// Settings of one interface, or of `all` or `default`. All of them are *simulated*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the kernel under its own name")]
pub struct DeviceConf {
    /// `forwarding`, where it differs from `net.ipv4.ip_forward`.
    pub forwarding: Option<bool>,
    /// `proxy_arp`: answers for addresses that are routed out of another interface.
    pub proxy_arp: bool,
    /// `proxy_arp_pvlan`: answers for addresses that are routed out of the same interface (RFC 3069).
    pub proxy_arp_pvlan: bool,
    /// `net.ipv4.neigh.IF.proxy_delay` in hundredths of a second: a proxy answers after a random part of it.
    pub proxy_delay: u32,
    /// `arp_ignore`: 0 answers for any local address, 1 only for those of the interface asked, 2 only if the asker is
    /// in the same subnet too, 3 not for addresses of scope host, 8 never.
    pub arp_ignore: u8,
    /// `arp_announce`: 0 asks from any local address, 1 prefers one of the target's subnet, 2 always the best one.
    pub arp_announce: u8,
    /// `arp_accept`: 1 makes entries for who announces itself, 2 only from the interface's own subnet.
    pub arp_accept: u8,
    /// `arp_notify`: announces the addresses when the interface comes up.
    pub arp_notify: bool,
    /// `arp_filter`: answers only where a packet to the asker would leave by the interface asked.
    pub arp_filter: bool,
    /// `drop_gratuitous_arp`.
    pub drop_gratuitous_arp: bool,
    /// `accept_redirects`.
    pub accept_redirects: bool,
    /// `send_redirects`.
    pub send_redirects: bool,
    /// `secure_redirects`.
    pub secure_redirects: bool,
    /// `shared_media`.
    pub shared_media: bool,
    /// `accept_local`: packets with a source address of this machine may come in.
    pub accept_local: bool,
    /// `rp_filter`: 0 off, 1 strict (RFC 3704), 2 loose.
    pub rp_filter: u8,
    /// `route_localnet`: 127.0.0.0/8 is routed like any other network.
    pub route_localnet: bool,
    /// `ignore_routes_with_linkdown`: routes by an interface without carrier do not count.
    pub ignore_routes_with_linkdown: bool,
    /// `promote_secondaries`: a secondary address takes the place of a primary that goes.
    pub promote_secondaries: bool,
    /// `log_martians`: packets with addresses that cannot be are told of in the kernel's log, which nobody reads here.
    pub log_martians: bool,
}

impl Default for DeviceConf {
    fn default() -> Self {
        Self {
            forwarding: None,
            proxy_arp: false,
            proxy_arp_pvlan: false,
            proxy_delay: 80,
            arp_ignore: 0,
            arp_announce: 0,
            arp_accept: 0,
            arp_notify: false,
            arp_filter: false,
            drop_gratuitous_arp: false,
            accept_redirects: true,
            send_redirects: true,
            secure_redirects: true,
            shared_media: true,
            accept_local: false,
            rp_filter: 0,
            route_localnet: false,
            ignore_routes_with_linkdown: false,
            promote_secondaries: false,
            log_martians: false,
        }
    }
}

impl DeviceConf {
    /// Changes a setting by its name; `false` where there is none of that name.
    fn set(&mut self, name: &str, number: u64) -> bool {
        let flag = number != 0;
        let small = u8::try_from(number).unwrap_or(u8::MAX);
        match name {
            "forwarding" => self.forwarding = Some(flag),
            "proxy_arp" => self.proxy_arp = flag,
            "proxy_arp_pvlan" => self.proxy_arp_pvlan = flag,
            "proxy_delay" => self.proxy_delay = u32::try_from(number).unwrap_or(u32::MAX),
            "arp_ignore" => self.arp_ignore = small,
            "arp_announce" => self.arp_announce = small,
            "arp_accept" => self.arp_accept = small,
            "arp_notify" => self.arp_notify = flag,
            "arp_filter" => self.arp_filter = flag,
            "drop_gratuitous_arp" => self.drop_gratuitous_arp = flag,
            "accept_redirects" => self.accept_redirects = flag,
            "send_redirects" => self.send_redirects = flag,
            "secure_redirects" => self.secure_redirects = flag,
            "shared_media" => self.shared_media = flag,
            "accept_local" => self.accept_local = flag,
            "rp_filter" => self.rp_filter = small,
            "route_localnet" => self.route_localnet = flag,
            "ignore_routes_with_linkdown" => self.ignore_routes_with_linkdown = flag,
            "promote_secondaries" => self.promote_secondaries = flag,
            "log_martians" => self.log_martians = flag,
            _ => return false,
        }
        true
    }
}

impl DeviceConf {
    fn get(&self, name: &str) -> Option<u64> {
        Some(match name {
            "forwarding" => u64::from(self.forwarding.unwrap_or(false)),
            "proxy_arp" => u64::from(self.proxy_arp),
            "proxy_arp_pvlan" => u64::from(self.proxy_arp_pvlan),
            "proxy_delay" => u64::from(self.proxy_delay),
            "arp_ignore" => u64::from(self.arp_ignore),
            "arp_announce" => u64::from(self.arp_announce),
            "arp_accept" => u64::from(self.arp_accept),
            "arp_notify" => u64::from(self.arp_notify),
            "arp_filter" => u64::from(self.arp_filter),
            "drop_gratuitous_arp" => u64::from(self.drop_gratuitous_arp),
            "accept_redirects" => u64::from(self.accept_redirects),
            "send_redirects" => u64::from(self.send_redirects),
            "secure_redirects" => u64::from(self.secure_redirects),
            "shared_media" => u64::from(self.shared_media),
            "accept_local" => u64::from(self.accept_local),
            "rp_filter" => u64::from(self.rp_filter),
            "route_localnet" => u64::from(self.route_localnet),
            "ignore_routes_with_linkdown" => u64::from(self.ignore_routes_with_linkdown),
            "promote_secondaries" => u64::from(self.promote_secondaries),
            "log_martians" => u64::from(self.log_martians),
            _ => return None,
        })
    }
}

/// Names of the settings of an interface.
pub const CONF_NAMES: [&str; 19] = [
    "accept_local",
    "accept_redirects",
    "arp_accept",
    "arp_announce",
    "arp_filter",
    "arp_ignore",
    "arp_notify",
    "drop_gratuitous_arp",
    "forwarding",
    "ignore_routes_with_linkdown",
    "log_martians",
    "promote_secondaries",
    "proxy_arp",
    "proxy_arp_pvlan",
    "route_localnet",
    "rp_filter",
    "secure_redirects",
    "send_redirects",
    "shared_media",
];

/// What a setting is where nobody changed it; `None` where there is no such setting here.
pub fn default_setting(key: &str) -> Option<String> {
    let number = match of_interface(key) {
        Some((_, name)) => DeviceConf::default().get(name)?,
        None => super::Sysctl::default().get(key)?,
    };
    Some(number.to_string())
}

/// The two halves of a key that names an interface: `net.ipv4.conf.IF.NAME` or `net.ipv4.neigh.IF.proxy_delay`. A
/// name may hold dots itself, written as slashes (`sysctl(8)`).
fn of_interface(key: &str) -> Option<(String, &str)> {
    let (rest, neigh) = match key.strip_prefix("net.ipv4.conf.") {
        Some(rest) => (rest, false),
        None => (key.strip_prefix("net.ipv4.neigh.")?, true),
    };
    let (which, name) = rest.rsplit_once('.')?;
    (neigh == (name == "proxy_delay")).then(|| (which.replace('/', "."), name))
}

impl Netns {
    /// The greater of the interface's setting and that of `all` (`IN_DEV_MAXCONF`).
    pub(super) fn conf_max(&self, ifindex: IfIndex, of: impl Fn(&DeviceConf) -> u8) -> u8 {
        of(&self.sysctl.all).max(self.link(ifindex).map_or(0, |link| of(&link.conf)))
    }

    /// Whether the interface or `all` has it (`IN_DEV_ORCONF`).
    pub(super) fn conf_or(&self, ifindex: IfIndex, of: impl Fn(&DeviceConf) -> bool) -> bool {
        of(&self.sysctl.all) || self.link(ifindex).is_some_and(|link| of(&link.conf))
    }

    /// Whether packets that come in here are forwarded (`IN_DEV_FORWARD`).
    pub(super) fn forwards(&self, ifindex: IfIndex) -> bool {
        let own = self.link(ifindex).and_then(|link| link.conf.forwarding);
        own.unwrap_or(self.sysctl.ip_forward)
    }

    /// Whether redirects are believed: a router has to want it on both, a host on one (`IN_DEV_RX_REDIRECTS`).
    pub(super) fn accepts_redirects(&self, ifindex: IfIndex) -> bool {
        let own = self.link(ifindex).is_some_and(|link| link.conf.accept_redirects);
        let all = self.sysctl.all.accept_redirects;
        if self.forwards(ifindex) { own && all } else { own || all }
    }

    /// Changes a setting by its key with dots, as `sysctl -w` does; `false` where there is no such setting here or the
    /// value is no number.
    pub fn set_sysctl(&mut self, ctx: &mut Ctx<'_>, key: &str, value: &str) -> bool {
        let known = match of_interface(key) {
            Some((which, name)) => self.set_conf(&which, name, value),
            None => self.sysctl.set(key, value),
        };
        if !known {
            return false;
        }
        if matches!(key, "net.ipv4.ip_forward" | "net.ipv4.conf.all.forwarding") {
            self.forward_changed();
            self.record_sysctl(ctx, "net.ipv4.ip_forward", value);
            let redirects = if self.sysctl.all.accept_redirects { "1" } else { "0" };
            self.record_sysctl(ctx, "net.ipv4.conf.all.accept_redirects", redirects);
        } else {
            self.record_sysctl(ctx, key, value);
        }
        true
    }

    fn record_sysctl(&self, ctx: &mut Ctx<'_>, key: &str, value: &str) {
        let row = SysctlRow { netns: self.id, key: key.into(), value: value.into() };
        ctx.change(self.id, IfIndex::NONE, EventId::NONE, TableChange::Sysctl(row));
    }

    fn set_conf(&mut self, which: &str, name: &str, value: &str) -> bool {
        let Ok(number) = value.trim().parse::<u64>() else { return false };
        match which {
            "all" if name == "forwarding" => {
                self.sysctl.ip_forward = number != 0;
                true
            }
            "all" => self.sysctl.all.set(name, number),
            "default" => self.sysctl.default.set(name, number),
            ifname => {
                let Some(ifindex) = self.link_named(ifname).map(|link| link.ifindex) else { return false };
                self.link_mut(ifindex).is_some_and(|link| link.conf.set(name, number))
            }
        }
    }

    /// Forwarding for all sets every interface, and a router takes no redirects (`inet_forward_change`).
    fn forward_changed(&mut self) {
        self.sysctl.all.accept_redirects = !self.sysctl.ip_forward;
        self.sysctl.default.forwarding = None;
        for link in self.links.iter_mut().flatten() {
            link.conf.forwarding = None;
        }
    }
}
