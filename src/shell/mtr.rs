//! The command line of `mtr` 0.95. Only its report is simulated, not its full screen.

use super::Command;
use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use crate::app::mtr::{Mtr, MtrOptions};

/// Runs `mtr`.
pub(super) fn mtr(words: &[String]) -> Command {
    const LONG: [(&str, &str); 7] = [
        ("--report", "-r"),
        ("--report-wide", "-w"),
        ("--no-dns", "-n"),
        ("--report-cycles", "-c"),
        ("--interval", "-i"),
        ("--max-ttl", "-m"),
        ("--first-ttl", "-f"),
    ];
    let words: Vec<String> = words
        .iter()
        .map(|word| {
            LONG.iter().find(|(long, _)| long == word).map_or(word.as_str(), |(_, short)| short).to_owned()
        })
        .collect();
    let parsed = match getopt("hvrwnc:i:m:f:4", &words) {
        Ok(parsed) => parsed,
        Err(text) => match text.strip_prefix("invalid option -- '") {
            Some(letter) => return unsimulated(&format!("-{}", letter.trim_end_matches('\''))),
            None => return refuse(format!("mtr: {text}\n"), 1),
        },
    };
    let mut options = MtrOptions {
        target: String::new(),
        numeric: false,
        rounds: 10,
        interval_ms: 1000,
        hops_max: 30,
        first_hop: 1,
        wide: false,
    };
    let mut reports = false;
    for (letter, argument) in &parsed.options {
        let number = argument.parse::<u32>().ok();
        match (letter, number) {
            ('v', _) => return answer("mtr 0.95\n"),
            ('r', _) => reports = true,
            ('w', _) => (reports, options.wide) = (true, true),
            ('n', _) => options.numeric = true,
            ('4', _) => {}
            ('c', Some(rounds)) if rounds > 0 => options.rounds = rounds,
            ('i', Some(secs)) if secs > 0 => options.interval_ms = u64::from(secs) * 1000,
            ('m', Some(hops @ 1..=255)) => options.hops_max = hops as u8,
            ('f', Some(hop @ 1..=255)) => options.first_hop = hop as u8,
            ('h', _) => return unsimulated("-h"),
            _ => return refuse(format!("mtr: invalid argument: '{argument}'\n"), 1),
        }
    }
    let Some(target) = parsed.operands.first() else { return refuse("mtr: no host given\n", 1) };
    if !reports {
        return unsimulated("the full screen; use -r");
    }
    options.target.clone_from(target);
    Command::process(Mtr::new(options), Out::default())
}

fn unsimulated(word: &str) -> Command {
    let (text, status) = not_simulated("mtr", word);
    refuse(text, status)
}
