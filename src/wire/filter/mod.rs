//! The filter language of packet capture (`pcap-filter(7)`), as libpcap 1.10 reads it.
//!
//! [`Filter::compile`] turns a text into a program once; [`Filter::matches`] runs it over the bytes of a frame. Words,
//! precedence, implied qualifiers (`port 80 or 443`), what each primitive tests and the wording of errors are those of
//! libpcap's scanner, grammar and code generator.

mod code;
mod lex;
mod parse;
mod primitive;
mod reject;

pub use code::Seen;

use crate::base::Ipv4Addr;
use std::fmt;

/// What libpcap says where no rule of the grammar fits.
pub(super) const SYNTAX_ERROR: &str = "can't parse filter expression: syntax error";

/// Kind of link header that frames begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// `EN10MB`.
    Ethernet,
    /// `LINUX_SLL2`, as a capture on the device `any` gives.
    Cooked,
}

/// What a filter is compiled for.
pub struct Setting<'a> {
    /// Kind of link header.
    pub link: Link,
    /// Whether frames come from an interface; from a file there is no direction, and VLAN tags stand in the bytes.
    pub live: bool,
    /// Network mask of the interface, for `ip broadcast`.
    pub netmask: Option<Ipv4Addr>,
    /// Looks a host name up.
    pub resolve: &'a dyn Fn(&str) -> Option<Ipv4Addr>,
}

/// A compiled filter expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    ops: Vec<code::Op>,
}

/// Why an expression is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// Where, in characters from the beginning of the text; its length where something is missing at the end.
    pub at: usize,
    /// What libpcap says.
    pub message: String,
}

impl Filter {
    /// Compiles an expression. An empty one matches everything.
    pub fn compile(text: &str, setting: &Setting<'_>) -> Result<Self, FilterError> {
        let ops = parse::compile(text, setting)?;
        if reject::rejects_everything(&ops) {
            return Err(FilterError { at: 0, message: "expression rejects all packets".to_owned() });
        }
        Ok(Self { ops })
    }

    /// Whether a frame passes.
    pub fn matches(&self, seen: &Seen<'_>) -> bool {
        code::run(&self.ops, seen).unwrap_or(false)
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FilterError {}
