//! Command lines of the programs that look names up: `dig`, `nslookup`, `host`, `getent`.

use super::Command;
use super::out::{Out, not_simulated, refuse};
use crate::app::lookup::dig::{Dig, DigOptions};
use crate::app::lookup::getent::{Database, Getent};
use crate::app::lookup::host::Host;
use crate::app::lookup::nslookup::{Edition, Nslookup};
use crate::base::Ipv4Addr;
use crate::base::dns::{Type, reverse_name};

/// A word with its argument, which may stand in the same word.
fn argument<'w>(word: &'w str, rest: &mut impl Iterator<Item = &'w String>) -> Option<&'w str> {
    match word.get(2..) {
        Some("") | None => rest.next().map(String::as_str),
        attached => attached,
    }
}

/// `dig`.
pub(super) fn dig(words: &[String]) -> Command {
    let mut options = DigOptions { typed: words.join(" "), ..DigOptions::default() };
    let (mut name, mut kind) = (None, None);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if let Some(server) = word.strip_prefix('@') {
            let Ok(ip) = server.parse() else {
                return refuse(format!("dig: couldn't get address for '{server}': not found\n"), 1);
            };
            options.server = Some(ip);
        } else if let Some(plus) = word.strip_prefix('+') {
            if let Err(refused) = dig_option(&mut options, plus) {
                return refused;
            }
        } else if word.starts_with('-') && word.len() > 1 {
            let letter = word[1..].chars().next().unwrap_or('-');
            match letter {
                '4' => {}
                'x' => {
                    let Some(ip) = argument(word, &mut rest).and_then(|text| text.parse().ok()) else {
                        return refuse("dig: Invalid IP address\n", 1);
                    };
                    name = Some(reverse_name(ip));
                    kind = kind.or(Some(Type::Ptr));
                }
                't' => match argument(word, &mut rest).and_then(|text| text.parse().ok()) {
                    Some(found) => kind = Some(found),
                    None => return refuse(";; Warning, ignoring invalid type\n", 1),
                },
                'q' => name = argument(word, &mut rest).map(str::to_owned),
                'p' => match argument(word, &mut rest).and_then(|text| text.parse().ok()) {
                    Some(port) => options.port = port,
                    None => return refuse("dig: Couldn't parse port number\n", 1),
                },
                other => {
                    let (text, status) = not_simulated("dig", &format!("-{other}"));
                    return refuse(text, status);
                }
            }
        } else if let Ok(found) = word.parse::<Type>()
            && kind.is_none()
        {
            kind = Some(found);
        } else if !word.eq_ignore_ascii_case("IN") {
            name = Some(word.clone());
        }
    }
    options.kind = kind.unwrap_or(if name.is_some() { Type::A } else { Type::Ns });
    options.name = name.unwrap_or_else(|| ".".to_owned());
    if let Err(wrong) = crate::base::dns::labels(&options.name) {
        return refuse(format!("dig: '{}' is not a legal name ({wrong})\n", options.name), 10);
    }
    Command::process(Dig::new(options), Out::default())
}

/// An option that begins with `+`.
fn dig_option(options: &mut DigOptions, plus: &str) -> Result<(), Command> {
    let (name, value) = plus.split_once('=').unwrap_or((plus, ""));
    let (on, bare) = name.strip_prefix("no").map_or((true, name), |bare| (false, bare));
    let number =
        || value.parse::<u32>().map_err(|_| refuse(format!("dig: Couldn't parse {bare}: '{value}'\n"), 1));
    match bare {
        "all" => options.all(on),
        "short" => options.short = on,
        "search" | "defname" => options.search = on,
        "tcp" | "vc" => options.tcp = on,
        "recurse" | "rec" => options.recurse = on,
        "edns" => options.edns = on,
        "cookie" => options.cookie = on,
        "dnssec" | "do" => options.dnssec = on,
        "cmd" => options.cmd = on,
        "comments" => options.comments = on,
        "question" => options.question = on,
        "answer" => options.answer = on,
        "authority" => options.authority = on,
        "additional" => options.additional = on,
        "stats" => options.stats = on,
        "time" | "timeout" => options.time = u64::from(number()?).max(1),
        "tries" => options.tries = number()?.max(1),
        "retry" => options.tries = number()?.saturating_add(1),
        "bufsize" => options.bufsize = u16::try_from(number()?).unwrap_or(u16::MAX),
        _ => {
            let (text, status) = not_simulated("dig", &format!("+{plus}"));
            return Err(refuse(text, status));
        }
    }
    Ok(())
}

/// `nslookup` of either kind.
pub(super) fn nslookup(words: &[String], edition: Edition) -> Command {
    let (mut kind, mut patience) = (None, (5, 3));
    let mut plain = Vec::new();
    for word in words {
        let Some(option) = word.strip_prefix('-').filter(|option| !option.is_empty()) else {
            plain.push(word.clone());
            continue;
        };
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match (name, value.parse::<u32>()) {
            ("type" | "query" | "querytype" | "q", _) => match value.parse() {
                Ok(found) => kind = Some(found),
                Err(()) => return refuse(format!("unknown query type: {value}\n"), 1),
            },
            ("timeout", Ok(secs)) => patience.0 = u64::from(secs),
            ("retry", Ok(tries)) => patience.1 = tries.max(1),
            _ => {
                let (text, status) = not_simulated("nslookup", word);
                return refuse(text, status);
            }
        }
    }
    let Some(name) = plain.first() else {
        let (text, status) = not_simulated("nslookup", "(interactive)");
        return refuse(text, status);
    };
    let server = match plain.get(1).map(|text| (text, text.parse::<Ipv4Addr>())) {
        None => None,
        Some((_, Ok(ip))) => Some(ip),
        Some((text, Err(_))) => {
            return refuse(format!("nslookup: couldn't get address for '{text}': not found\n"), 1);
        }
    };
    Command::process(Nslookup::new(edition, name.clone(), kind, server, patience), Out::default())
}

/// `host`.
pub(super) fn host(words: &[String]) -> Command {
    let mut kind = None;
    let mut plain = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if let Some(letter) = word.strip_prefix('-').and_then(|option| option.chars().next()) {
            match letter {
                't' => match argument(word, &mut rest).and_then(|text| text.parse().ok()) {
                    Some(found) => kind = Some(found),
                    None => return refuse("host: invalid type\n", 2),
                },
                '4' => {}
                other => {
                    let (text, status) = not_simulated("host", &format!("-{other}"));
                    return refuse(text, status);
                }
            }
        } else {
            plain.push(word.clone());
        }
    }
    let Some(name) = plain.first() else { return refuse("Usage: host [-t type] hostname [server]\n", 1) };
    let server = match plain.get(1).map(|text| (text, text.parse::<Ipv4Addr>())) {
        None => None,
        Some((_, Ok(ip))) => Some(ip),
        Some((text, Err(_))) => {
            return refuse(format!("host: couldn't get address for '{text}': not found\n"), 1);
        }
    };
    Command::process(Host::new(name.clone(), kind, server), Out::default())
}

/// `getent`.
pub(super) fn getent(words: &[String]) -> Command {
    let Some((database, keys)) = words.split_first() else {
        return refuse(
            "getent: wrong number of arguments\nTry `getent --help' or `getent --usage' for more information.\n",
            1,
        );
    };
    let database = match database.as_str() {
        "hosts" => Database::Hosts,
        "ahosts" | "ahostsv4" => Database::Ahosts,
        other => {
            let (text, status) = not_simulated("getent", other);
            return refuse(text, status);
        }
    };
    if keys.is_empty() {
        let (text, status) = not_simulated("getent", "a database without keys");
        return refuse(text, status);
    }
    Command::process(Getent { database, keys: keys.to_vec() }, Out::default())
}
