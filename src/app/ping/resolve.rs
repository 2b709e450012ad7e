//! The target's address.

use super::{Ping, parse_address};
use crate::app::Os;
use crate::app::resolver::why_not;

impl Ping {
    pub(super) fn resolve(&mut self, os: &mut dyn Os) -> Result<(), (String, u8)> {
        if let Some(address) = parse_address(&self.options.target) {
            self.destination = address;
            self.options.numeric = true;
            return Ok(());
        }
        let Some(address) = os.resolve(&self.options.target) else {
            let target = &self.options.target;
            return Err((format!("{target}: {}", why_not(os, target)), 2));
        };
        self.destination = address;
        let found = os.lookup(&self.options.target).and_then(|found| found.as_ref().ok());
        let canonical = found.map(|found| found.canonical.clone());
        let hostname = os.name_of(address).or(canonical);
        self.hostname = hostname.unwrap_or_else(|| self.options.target.clone());
        Ok(())
    }
}
