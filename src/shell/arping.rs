//! The command line of `arping` of iputils 20221126.

use super::getopt::getopt;
use super::out::{answer, refuse};
use super::{Command, Context};
use crate::app::arping::{Arping, ArpingOptions, Mode};
use crate::base::{Duration, Ipv4Addr};
use crate::trace::{LinkKind, LinkRow, NetnsState};

const USAGE: &str = include_str!("usage/arping.txt");
const VERSION: &str = "arping from iputils 20221126\nlibcap: yes, IDN: yes, NLS: no, error.h: yes, getrandom(): yes, __fpending(): yes\n";

/// Runs `arping`.
pub(super) fn arping(context: &Context<'_>, words: &[String]) -> Command {
    run(context, words).unwrap_or_else(|command| command)
}

fn error(text: &str) -> Command {
    refuse(format!("arping: {text}\n"), 2)
}

fn run(context: &Context<'_>, words: &[String]) -> Result<Command, Command> {
    let usage = || refuse(USAGE, 2);
    let state = context.inventory.netns.get(&context.netns).ok_or_else(usage)?;
    let parsed =
        getopt("h?bfDUAqc:w:i:I:s:V", words).map_err(|text| refuse(format!("arping: {text}\n{USAGE}"), 2))?;
    let mut mode = Mode::Ask;
    let (mut count, mut deadline, mut interval, mut device, mut source) = (None, None, 1, None, None);
    let (mut broadcast_only, mut first_only, mut quiet) = (false, false, false);
    for (letter, value) in &parsed.options {
        let invalid = || error(&format!("invalid argument: '{value}'"));
        let number = || value.parse::<u32>().map_err(|_| invalid());
        match letter {
            'b' => broadcast_only = true,
            'f' => first_only = true,
            'q' => quiet = true,
            'D' => (mode, first_only) = (Mode::Duplicate, true),
            'U' => mode = Mode::Announce,
            'A' => mode = Mode::Answer,
            'c' => count = Some(number()?),
            'w' => deadline = Some(Duration::from_secs(u64::from(number()?))),
            'i' => interval = number()?,
            'I' => device = Some(value.as_str()),
            's' => {
                let wrong = |_| error(&format!("invalid source address: {value}"));
                source = Some(value.parse::<Ipv4Addr>().map_err(wrong)?);
            }
            'V' => return Ok(answer(VERSION)),
            _ => return Err(usage()),
        }
    }
    let [target] = parsed.operands.as_slice() else { return Err(usage()) };
    let unknown = || error(&format!("{target}: Temporary failure in name resolution"));
    let target: Ipv4Addr = target.parse().map_err(|_| unknown())?;
    let link = chosen(state, device, target)?;
    if !link.up {
        return Err(refuse(format!("Interface \"{}\" is down\n", link.name), 2));
    }
    if link.kind == LinkKind::Loopback || link.kind.is_raw_ip() {
        return Err(refuse(format!("Interface \"{}\" is not ARPable\n", link.name), 2));
    }
    let own = |addr: Ipv4Addr| state.addrs.iter().any(|row| row.addr.addr() == addr);
    let source = match (source, mode) {
        (Some(source), _) => source,
        (None, Mode::Duplicate) => Ipv4Addr::UNSPECIFIED,
        (None, Mode::Announce | Mode::Answer) => target,
        (None, Mode::Ask) => {
            let of_link = || state.addrs.iter().filter(|row| row.ifindex == link.ifindex);
            let near = of_link().find(|row| row.addr.contains(&target)).or_else(|| of_link().next());
            near.map(|row| row.addr.addr()).ok_or_else(|| error("connect: Network is unreachable"))?
        }
    };
    if !source.is_unspecified() && !own(source) {
        return Err(error("bind: Cannot assign requested address"));
    }
    let options = ArpingOptions {
        target,
        device: (link.ifindex, link.name.to_string(), link.mac),
        source,
        mode,
        count,
        deadline,
        interval: Duration::from_secs(u64::from(interval.max(1))),
        broadcast_only,
        first_only,
        quiet,
    };
    Ok(Command::Process { output: Vec::new(), process: Box::new(Arping::new(options)) })
}

/// The device that was named, or the one by which the kernel would reach the target.
fn chosen<'a>(state: &'a NetnsState, name: Option<&str>, target: Ipv4Addr) -> Result<&'a LinkRow, Command> {
    if let Some(name) = name {
        return state.link_named(name).ok_or_else(|| error(&format!("Device {name} not available.")));
    }
    let rows = state.routes.iter().map(|(_, row)| row).filter(|row| row.dst.contains(&target));
    let best = rows
        .filter(|row| row.table == 254 && row.tos == 0)
        .min_by_key(|row| (32 - row.dst.prefix_len(), row.metric));
    let link = best.and_then(|row| state.links.get(&row.oif?));
    link.ok_or_else(|| refuse("arping: NETLINK_ROUTE unexpected iov element\n", 1))
}
