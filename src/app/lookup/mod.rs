//! Programs that ask name servers themselves: `dig`, `nslookup` and `host` of BIND, `nslookup` of busybox; and `getent`,
//! which asks the C library.

mod ask;
pub mod dig;
pub mod getent;
pub mod host;
pub mod nslookup;

pub use ask::{Ask, Outcome, Transfer};

use super::Os;
use super::resolver::{Libc, ResolvConf};

/// The settings of `/etc/resolv.conf` as these programs read them.
fn conf(os: &dyn Os) -> ResolvConf {
    ResolvConf::parse(&os.read_file("/etc/resolv.conf").unwrap_or_default(), Libc::Glibc)
}
