//! Options of the IPv4 header: what `-R` and `-T` ask of the hosts on the way, and what they wrote (`pr_options`).

use super::Ping;
use crate::app::Os;
use crate::base::Ipv4Addr;

/// What hosts on the way are asked to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderOption {
    /// `-R`: their addresses.
    Route,
    /// `-T tsonly`: when the packet passed.
    Times,
    /// `-T tsandaddr`: their addresses and when.
    TimesAndAddresses,
}

/// What the program counts for options, however long they are.
pub(super) const LEN: usize = 40;

const END: u8 = 0;
const NOP: u8 = 1;
const ROUTE: u8 = 7;
const TIMES: u8 = 68;

/// The options as the socket gets them: with room for nine addresses, nine times, or four of both.
pub(super) fn asked(option: HeaderOption) -> crate::wire::Bytes {
    let head: &[u8] = match option {
        HeaderOption::Route => &[NOP, ROUTE, 39, 4],
        HeaderOption::Times => &[TIMES, 40, 5, 0],
        HeaderOption::TimesAndAddresses => &[TIMES, 36, 5, 1],
    };
    let len = if option == HeaderOption::TimesAndAddresses { 36 } else { LEN };
    let mut options = head.to_vec();
    options.resize(len, 0);
    options.into()
}

impl Ping {
    /// What is printed behind the line of an answer.
    pub(super) fn header_options(&mut self, os: &dyn Os, options: &[u8]) -> String {
        let (mut out, mut rest) = (String::new(), options);
        loop {
            match rest {
                [END, ..] | [] => return out,
                [NOP, after @ ..] => {
                    out += "\nNOP";
                    rest = after;
                }
                [kind, len, ..] => {
                    let Some(option) = rest.get(..usize::from(*len)).filter(|option| option.len() >= 2)
                    else {
                        return out;
                    };
                    out += &match *kind {
                        ROUTE => self.route_text(os, option),
                        TIMES => self.times_text(os, option),
                        other => format!("\nunknown option {other:x}"),
                    };
                    rest = &rest[option.len()..];
                }
                [_] => return out,
            }
        }
    }

    fn route_text(&mut self, os: &dyn Os, option: &[u8]) -> String {
        let Some((filled, addresses)) = filled(option, 4) else { return String::new() };
        let own = [&[filled as u8], addresses].concat();
        if self.route == own && !self.options.flood {
            return "\t(same route)".to_owned();
        }
        self.route = own;
        let lines = addresses.chunks_exact(4).map(|address| format!("\t{}\n", self.host(os, address)));
        format!("\nRR: {}", lines.collect::<String>())
    }

    /// Times count from the first one, which is that of the day in milliseconds.
    fn times_text(&self, os: &dyn Os, option: &[u8]) -> String {
        let Some((_, entries)) = filled(option, 5) else { return String::new() };
        let flags = option[3];
        let with_addresses = flags & 0x0f != 0;
        let mut out = "\nTS: ".to_owned();
        let mut last: Option<u32> = None;
        for entry in entries.chunks_exact(if with_addresses { 8 } else { 4 }) {
            if with_addresses {
                out += &format!("\t{}", self.host(os, &entry[..4]));
            }
            let time = entry.last_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            out += &match last {
                None | Some(0) => format!("\t{time} absolute\n"),
                Some(before) => format!("\t{}\n", i64::from(time) - i64::from(before)),
            };
            last = Some(time);
        }
        let missed = flags >> 4;
        if missed > 0 {
            out += &format!("Unrecorded hops: {missed}\n");
        }
        out
    }

    fn host(&self, os: &dyn Os, address: &[u8]) -> String {
        match address {
            [0, 0, 0, 0] => "0.0.0.0".to_owned(),
            [a, b, c, d] => self.address(os, Ipv4Addr::new(*a, *b, *c, *d)),
            _ => String::new(),
        }
    }
}

/// What hosts have written, and how many bytes it is; `first` is the pointer of an option in which nobody wrote.
fn filled(option: &[u8], first: usize) -> Option<(usize, &[u8])> {
    let pointer = usize::from(*option.get(2)?).min(option.len() + 1);
    let len = pointer.checked_sub(first).filter(|len| *len > 0)?;
    Some((len, option.get(first - 1..first - 1 + len)?))
}
