//! The target's address.

use super::{Ping, parse_address};
use crate::app::Os;
use crate::app::resolver::resolve_with_idn;
use crate::base::Ipv4Addr;
use crate::trace::Stream;

impl Ping {
    pub(super) fn resolve(&mut self, os: &mut dyn Os) -> Result<(), (String, u8)> {
        self.tell_sockets(os);
        self.find(os)?;
        let name = if self.options.numeric { &self.options.target } else { &self.hostname };
        if self.options.verbose {
            let line = format!("ai->ai_family: AF_INET, ai->ai_canonname: '{name}'\n");
            os.write(Stream::Stdout, &line);
        }
        Ok(())
    }

    /// `-v` begins with the raw sockets that the program opened; `-4` opens none for IPv6.
    fn tell_sockets(&self, os: &mut dyn Os) {
        if self.options.verbose {
            let (sock6, family) = if self.options.inet {
                ("-1 (socktype: 0)", "INET")
            } else {
                ("4 (socktype: SOCK_RAW)", "UNSPEC")
            };
            let line = format!(
                "ping: sock4.fd: 3 (socktype: SOCK_RAW), sock6.fd: {sock6}, hints.ai_family: AF_{family}\n\n"
            );
            os.write(Stream::Stderr, &line);
        }
    }

    fn find(&mut self, os: &mut dyn Os) -> Result<(), (String, u8)> {
        if let Some(address) = parse_address(&self.options.target) {
            // A route to the unspecified address leads to the host itself, over `lo` (`ip_route_output_key_hash_rcu`).
            let own = self.options.source.is_none() && self.options.device.is_none();
            let itself = address.is_unspecified() && own;
            self.destination = if itself { Ipv4Addr::LOCALHOST } else { address };
            self.options.numeric = true;
            return Ok(());
        }
        let target = &self.options.target;
        let found = resolve_with_idn(os, target);
        let (asked, address) = found.map_err(|why| (format!("{target}: {why}"), 2))?;
        self.destination = address;
        let found = os.lookup(&asked).and_then(|found| found.as_ref().ok());
        let canonical = found.map(|found| found.canonical.clone());
        let hostname = os.name_of(address).or(canonical);
        self.hostname = hostname.unwrap_or_else(|| self.options.target.clone());
        Ok(())
    }
}
