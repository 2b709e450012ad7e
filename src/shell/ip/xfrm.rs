//! `ip xfrm`: the policies and security associations of `IPsec`, shown, added and deleted (`xfrm_state.c`,
//! `xfrm_policy.c`). *Simulated*: ESP in tunnel mode with `rfc4106(gcm(aes))`.

use super::{Ip, Stop, command_named, done, next};
use crate::base::{Ipv4Addr, Ipv4Net};
use crate::shell::change::KernelChange;
use crate::shell::out::not_simulated;
use crate::shell::{Command, out::Out};
use crate::trace::{XfrmDirection, XfrmPolicyRow, XfrmStateRow, XfrmStateSeen, XfrmTemplate};
use std::fmt::Write as _;
use std::sync::Arc;

/// Length of the integrity check value, in bits; the only one that is simulated.
const ICV_BITS: &str = "128";

type Words<'w> = std::slice::Iter<'w, String>;

/// Runs `ip xfrm`.
pub(super) fn run(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let Some((object, rest)) = words.split_first() else { return Err(usage()) };
    let (verb, rest) = rest.split_first().map_or(("list", rest), |(verb, rest)| (verb.as_str(), rest));
    let names =
        ["add", "update", "delete", "deleteall", "get", "list", "show", "lst", "flush", "count", "help"];
    let is = |name: &str| name.starts_with(object.as_str());
    if is("state") {
        match command_named("xfrm state", verb, &names)? {
            "list" | "show" | "lst" => Ok(done(states(ip))),
            "add" | "update" => add_state(ip, rest),
            "delete" => delete_state(ip, rest),
            "flush" | "deleteall" => Ok(changed(
                ip.state
                    .xfrm
                    .states
                    .iter()
                    .map(|seen| KernelChange::DelXfrmState(seen.row.dst, seen.row.spi)),
            )),
            name => Err(not_simulated("ip xfrm state", name)),
        }
    } else if is("policy") {
        match command_named("xfrm policy", verb, &names)? {
            "list" | "show" | "lst" => Ok(done(policies(ip))),
            "add" | "update" => Ok(changed([KernelChange::AddXfrmPolicy(policy(ip, rest)?)])),
            "delete" => delete_policy(ip, rest),
            "flush" | "deleteall" => {
                Ok(changed(ip.state.xfrm.policies.iter().map(|row| KernelChange::DelXfrmPolicy(*row))))
            }
            name => Err(not_simulated("ip xfrm policy", name)),
        }
    } else if is("monitor") {
        Err(not_simulated("ip xfrm", "monitor"))
    } else {
        Err((format!("Command \"{object}\" is unknown, try \"ip xfrm help\".\n"), 255))
    }
}

fn usage() -> Stop {
    (include_str!("../usage/ip-xfrm.txt").to_owned(), 255)
}

fn changed(changes: impl IntoIterator<Item = KernelChange>) -> Command {
    Command::Change {
        changes: changes.into_iter().collect(),
        output: Out::default().into_pieces(),
        status: 0,
    }
}

fn states(ip: &Ip<'_>) -> String {
    ip.state.xfrm.states.iter().map(|seen| state(ip, seen)).collect()
}

fn state(ip: &Ip<'_>, XfrmStateSeen { row, seq }: &XfrmStateSeen) -> String {
    let XfrmStateRow { src, dst, spi, reqid, replay_window, .. } = row;
    // One's own address is where packets come from: those are numbered, not checked.
    let sends = ip.state.addrs.iter().any(|own| own.addr.addr() == *src);
    let (seq, oseq) = if sends { (0, *seq) } else { (*seq, 0) };
    let bitmap = if seq == 0 { 0 } else { u32::MAX >> 32u32.saturating_sub(seq).min(31) };
    format!(
        "src {src} dst {dst}\n\tproto esp spi 0x{spi:08x} reqid {reqid} mode tunnel\n\treplay-window \
         {replay_window} flag af-unspec\n\taead rfc4106(gcm(aes)) {} {ICV_BITS}\n\tanti-replay context: seq \
         0x{seq:x}, oseq 0x{oseq:x}, bitmap 0x{bitmap:08x}\n",
        row.key_hex()
    )
}

fn policies(ip: &Ip<'_>) -> String {
    // The kernel lists what was added last first.
    ip.state.xfrm.policies.iter().rev().map(policy_text).collect()
}

fn policy_text(row: &XfrmPolicyRow) -> String {
    let XfrmPolicyRow { src, dst, direction, priority, template, .. } = row;
    let action = if template.is_none() { "action block " } else { "" };
    let mut text = format!("src {src} dst {dst} \n\tdir {} {action}priority {priority} \n", direction.name());
    if let Some(XfrmTemplate { src, dst, reqid }) = template {
        let _ = write!(text, "\ttmpl src {src} dst {dst}\n\t\tproto esp reqid {reqid} mode tunnel\n");
    }
    text
}

fn wrong(value: &str, what: &str) -> Stop {
    (format!("Error: argument \"{value}\" is wrong: {what}\n"), 255)
}

fn number(text: &str, what: &str) -> Result<u32, Stop> {
    let digits =
        text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok());
    digits.ok_or_else(|| wrong(text, &format!("value after \"{what}\" is invalid")))
}

fn address(text: &str) -> Result<Ipv4Addr, Stop> {
    text.parse().map_err(|_| (format!("Error: inet address is expected rather than \"{text}\".\n"), 1))
}

fn prefix(text: &str) -> Result<Ipv4Net, Stop> {
    if matches!(text, "any" | "default" | "all") {
        return Ok(Ipv4Net::default());
    }
    let net = text.parse().ok().or_else(|| Some(Ipv4Net::from(text.parse::<Ipv4Addr>().ok()?)));
    net.map(|net: Ipv4Net| net.trunc())
        .ok_or_else(|| (format!("Error: inet prefix is expected rather than \"{text}\".\n"), 1))
}

/// The words that both commands know and that have one value here.
fn fixed(command: &str, word: &str, value: &str, known: &str) -> Result<(), Stop> {
    if value == known { Ok(()) } else { Err(not_simulated(command, &format!("{word} {value}"))) }
}

fn key(text: &str) -> Result<Arc<[u8]>, Stop> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.is_ascii() && digits.len().is_multiple_of(2));
    let digits = digits.ok_or_else(|| wrong(text, "\"ALGO-KEYMAT\" value is invalid"))?;
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    let bytes = bytes.ok_or_else(|| wrong(text, "\"ALGO-KEYMAT\" value is invalid"))?;
    // A key of 16, 24 or 32 bytes with four bytes of salt.
    if !matches!(bytes.len(), 20 | 28 | 36) {
        return Err(("RTNETLINK answers: Invalid argument\n".to_owned(), 2));
    }
    Ok(bytes.into())
}

fn add_state(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    const COMMAND: &str = "ip xfrm state";
    let (mut src, mut dst, mut spi, mut reqid, mut material, mut window, mut tunnel) =
        (None, None, None, 0, None, 0, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "src" => src = Some(address(next(&mut words)?)?),
            "dst" => dst = Some(address(next(&mut words)?)?),
            "proto" => fixed(COMMAND, "proto", next(&mut words)?, "esp")?,
            "spi" => spi = Some(number(next(&mut words)?, "spi")?),
            "reqid" => reqid = number(next(&mut words)?, "reqid")?,
            "mode" => {
                fixed(COMMAND, "mode", next(&mut words)?, "tunnel")?;
                tunnel = true;
            }
            "replay-window" => window = number(next(&mut words)?, "replay-window")?.min(32) as u8,
            "flag" => fixed(COMMAND, "flag", next(&mut words)?, "af-unspec")?,
            "aead" => {
                fixed(COMMAND, "aead", next(&mut words)?, "rfc4106(gcm(aes))")?;
                material = Some(key(next(&mut words)?)?);
                fixed(COMMAND, "ICV of", next(&mut words)?, ICV_BITS)?;
            }
            word => return Err(not_simulated(COMMAND, word)),
        }
    }
    let (Some(src), Some(dst), Some(spi), Some(key)) = (src, dst, spi, material) else {
        return Err(("Not enough information: \"ID\" and \"ALGO\" are required.\n".to_owned(), 255));
    };
    if !tunnel {
        return Err(not_simulated(COMMAND, "mode transport"));
    }
    if ip.state.xfrm.states.iter().any(|seen| (seen.row.dst, seen.row.spi) == (dst, spi)) {
        return Err(("RTNETLINK answers: File exists\n".to_owned(), 2));
    }
    let row = XfrmStateRow { netns: ip.state.row.netns, src, dst, spi, reqid, key, replay_window: window };
    Ok(changed([KernelChange::AddXfrmState(Box::new(row))]))
}

fn delete_state(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let (mut dst, mut spi) = (None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "src" => drop(address(next(&mut words)?)?),
            "dst" => dst = Some(address(next(&mut words)?)?),
            "proto" => fixed("ip xfrm state", "proto", next(&mut words)?, "esp")?,
            "spi" => spi = Some(number(next(&mut words)?, "spi")?),
            word => return Err(not_simulated("ip xfrm state", word)),
        }
    }
    let found =
        ip.state.xfrm.states.iter().find(|seen| (Some(seen.row.dst), Some(seen.row.spi)) == (dst, spi));
    match found {
        Some(seen) => Ok(changed([KernelChange::DelXfrmState(seen.row.dst, seen.row.spi)])),
        None => Err(("RTNETLINK answers: No such process\n".to_owned(), 2)),
    }
}

fn template(words: &mut Words<'_>) -> Result<(XfrmTemplate, Option<String>), Stop> {
    let mut template = XfrmTemplate { src: Ipv4Addr::UNSPECIFIED, dst: Ipv4Addr::UNSPECIFIED, reqid: 0 };
    while let Some(word) = words.next() {
        match word.as_str() {
            "src" => template.src = address(next(words)?)?,
            "dst" => template.dst = address(next(words)?)?,
            "proto" => fixed("ip xfrm policy", "proto", next(words)?, "esp")?,
            "mode" => fixed("ip xfrm policy", "mode", next(words)?, "tunnel")?,
            "reqid" => template.reqid = number(next(words)?, "reqid")?,
            "spi" => drop(number(next(words)?, "spi")?),
            word => return Ok((template, Some(word.to_owned()))),
        }
    }
    Ok((template, None))
}

fn policy(ip: &Ip<'_>, words: &[String]) -> Result<XfrmPolicyRow, Stop> {
    let (mut src, mut dst, mut direction) = (Ipv4Net::default(), Ipv4Net::default(), None);
    let (mut priority, mut found, mut block) = (0, None, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "src" => src = prefix(next(&mut words)?)?,
            "dst" => dst = prefix(next(&mut words)?)?,
            "dir" => {
                let name = next(&mut words)?;
                let known = XfrmDirection::ALL.iter().find(|known| known.0 == name);
                let invalid = || wrong(name, "invalid \"DIR\" value");
                direction = Some(known.ok_or_else(invalid)?.1);
            }
            "priority" => priority = number(next(&mut words)?, "priority")?,
            "ptype" => fixed("ip xfrm policy", "ptype", next(&mut words)?, "main")?,
            "action" => block = next(&mut words)? == "block",
            "tmpl" => {
                let (template, rest) = template(&mut words)?;
                if let Some(word) = rest.filter(|_| found.is_none()) {
                    return Err(not_simulated("ip xfrm policy tmpl", &word));
                }
                found = Some(template);
            }
            word => return Err(not_simulated("ip xfrm policy", word)),
        }
    }
    let direction =
        direction.ok_or_else(|| ("Not enough information: \"DIR\" is required.\n".to_owned(), 255))?;
    let template = if block { None } else { found };
    if template.is_none() && !block {
        return Err(not_simulated("ip xfrm policy", "a policy without \"tmpl\""));
    }
    Ok(XfrmPolicyRow { netns: ip.state.row.netns, src, dst, direction, priority, template })
}

fn delete_policy(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    // Selector and direction name it; what else it says does not matter.
    let named: Vec<String> = words.iter().cloned().chain(["action", "block"].map(str::to_owned)).collect();
    let wanted = policy(ip, &named)?;
    let is_it = |row: &&XfrmPolicyRow| {
        (row.src, row.dst, row.direction) == (wanted.src, wanted.dst, wanted.direction)
    };
    match ip.state.xfrm.policies.iter().find(is_it) {
        Some(row) => Ok(changed([KernelChange::DelXfrmPolicy(*row)])),
        None => Err(("RTNETLINK answers: No such file or directory\n".to_owned(), 2)),
    }
}
