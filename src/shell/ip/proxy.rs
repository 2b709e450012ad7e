//! `ip neigh … proxy`: addresses that the kernel answers ARP for although they are somebody else's.

use super::change::{address, answers, change, mac};
use super::neigh::{Filter, nud, read_filter};
use super::route::protocol;
use super::{Ip, Stop, done, next};
use crate::base::{IfIndex, Ipv4Addr};
use crate::shell::change::KernelChange;
use crate::shell::out::answer;
use crate::shell::print::{Color, Printer};
use crate::shell::{Command, out};
use crate::trace::{Nud, ProxyRow, RouteProtocol, rows_text};

/// What `add` and `del` say.
#[derive(Default)]
struct Wanted {
    addr: Option<Ipv4Addr>,
    ifindex: Option<IfIndex>,
    router: bool,
    passing: bool,
    protocol: Option<RouteProtocol>,
}

/// Whether the words are about an entry of this kind.
pub(super) fn is_meant(words: &[String]) -> bool {
    words.iter().any(|word| word == "proxy")
}

/// `ipneigh_modify`. The first word that is none of its own is the address.
fn read(ip: &Ip<'_>, words: &[String]) -> Result<Wanted, Stop> {
    let (mut wanted, mut device) = (Wanted::default(), None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let addr = match word.as_str() {
            "dev" => {
                device = Some(next(&mut words)?);
                continue;
            }
            "lladdr" => {
                mac(next(&mut words)?)?;
                continue;
            }
            "nud" => {
                wanted.passing = !nud(next(&mut words)?)?.contains(&Nud::Permanent);
                continue;
            }
            "router" => {
                wanted.router = true;
                continue;
            }
            "use" | "managed" | "extern_learn" => return Err(out::not_simulated("ip neigh", word)),
            word if !word.is_empty() && word.len() < 6 && "protocol".starts_with(word) && word != "proxy" => {
                wanted.protocol = Some(protocol(next(&mut words)?)?);
                continue;
            }
            "protocol" => {
                wanted.protocol = Some(protocol(next(&mut words)?)?);
                continue;
            }
            "proxy" | "to" => next(&mut words)?,
            word => word,
        };
        if wanted.addr.is_some() {
            let text = format!("Error: duplicate \"address\": \"{addr}\" is the second value.\n");
            return Err((text, 255));
        }
        wanted.addr = Some(address(addr)?);
    }
    wanted.ifindex = device.map(|name| ip.device(name).map(|link| link.ifindex)).transpose()?;
    Ok(wanted)
}

/// `ip neigh add proxy`, `change` and `replace`, which are all the same to the kernel.
pub(super) fn add(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let wanted = read(ip, words)?;
    let Some(addr) = wanted.addr else { return Err(missing()) };
    let Wanted { ifindex, router, protocol, .. } = wanted;
    let row =
        ProxyRow { netns: ip.state.row.netns, addr, ifindex, router, permanent: !wanted.passing, protocol };
    Ok(change(vec![KernelChange::AddProxy(row)]))
}

fn missing() -> Stop {
    ("Device and destination are required arguments.\n".to_owned(), 255)
}

/// `ip neigh del proxy`.
pub(super) fn delete(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let wanted = read(ip, words)?;
    let Some(addr) = wanted.addr else { return Err(missing()) };
    let is_it = |row: &&ProxyRow| (row.addr, row.ifindex) == (addr, wanted.ifindex);
    let row = ip.state.proxies.iter().find(is_it).ok_or_else(|| answers("No such file or directory"))?;
    Ok(change(vec![KernelChange::DelProxy(row.addr, row.ifindex)]))
}

/// The words without the one that says what they are about, and the entries that they name.
fn select<'a>(ip: &Ip<'a>, words: &[String]) -> Result<(Filter, Vec<&'a ProxyRow>), Stop> {
    let rest: Vec<String> = words.iter().filter(|word| *word != "proxy").cloned().collect();
    let filter = read_filter(ip, &rest)?;
    let fits = |row: &&ProxyRow| {
        (filter.ifindex.is_none() || row.ifindex == filter.ifindex)
            && filter.to.is_none_or(|to| to.contains(&row.addr))
    };
    let rows = ip.state.proxies.iter().filter(fits).filter(|_| !ip.is_inet6()).collect();
    Ok((filter, rows))
}

/// `ip neigh show proxy`.
pub(super) fn show(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let (filter, rows) = select(ip, words)?;
    let mut printer = ip.options.printer();
    for row in rows {
        print(ip, &mut printer, row, filter.ifindex.is_none());
    }
    Ok(done(printer.finish()))
}

/// `ip neigh get proxy`, which knows no JSON.
pub(super) fn get(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let wanted = read(ip, words)?;
    let Some(addr) = wanted.addr else { return Err(missing()) };
    let row = ip.state.proxies.iter().find(|row| row.is_for(addr, wanted.ifindex));
    let row = row.ok_or_else(|| ("Error: Proxy neighbour entry not found.\n".to_owned(), 2))?;
    let mut printer = Printer::text(ip.options.color);
    print(ip, &mut printer, row, true);
    Ok(done(printer.finish()))
}

/// `ip neigh flush proxy`.
pub(super) fn flush(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let (_, rows) = select(ip, words)?;
    if rows.is_empty() {
        return Ok(answer(""));
    }
    Ok(change(rows.iter().map(|row| KernelChange::DelProxy(row.addr, row.ifindex)).collect()))
}

fn print(ip: &Ip<'_>, printer: &mut Printer, row: &ProxyRow, with_device: bool) {
    printer.object("");
    let address = row.addr.to_string();
    printer.colored(Color::Inet, "dst", address.as_str(), format!("{address} "));
    if let Some(ifindex) = row.ifindex.filter(|_| with_device) {
        let name = ip.ifname(ifindex);
        printer.plain("dev ");
        printer.colored(Color::Name, "dev", name.as_str(), format!("{name} "));
    }
    if row.router {
        printer.any("router", serde_json::Value::Null, "router ");
    }
    printer.any("proxy", serde_json::Value::Null, "proxy ");
    if let Some(protocol) = row.protocol {
        let protocol = rows_text::route_protocol(protocol);
        printer.any("protocol", protocol, format!("proto {protocol} "));
    }
    printer.plain("\n");
    printer.close();
}
