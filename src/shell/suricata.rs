//! The command line of `suricata` 7: a device and a file of rules.

use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context};
use crate::app::suricata::{Suricata, parse_rules};

/// The file of rules that the configuration names.
const RULES: &str = "/var/lib/suricata/rules/suricata.rules";

/// Runs `suricata`.
pub(super) fn suricata(context: &Context<'_>, words: &[String]) -> Command {
    let (mut device, mut rules) = (None, RULES);
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-V" => return answer("This is Suricata version 7.0.10 RELEASE\n"),
            "-i" | "-S" | "-s" | "-c" | "-k" | "-l" => {
                let Some(value) = words.next() else {
                    return refuse(format!("suricata: option requires an argument -- '{}'\n", &word[1..]), 1);
                };
                match word {
                    "-i" => device = Some(value),
                    "-S" | "-s" => rules = value,
                    // Configuration, checksums and the folder of logs change nothing here.
                    _ => {}
                }
            }
            other => {
                let name = other.strip_prefix("--af-packet=").or_else(|| other.strip_prefix("-i"));
                let Some(name) = name else {
                    let (text, status) = not_simulated("suricata", other);
                    return refuse(text, status);
                };
                device = Some(name);
            }
        }
    }
    let Some(device) = device else {
        return refuse("Error: suricata: no capture mode selected: name a device with -i\n", 1);
    };
    let link = context.inventory.netns.get(&context.netns).and_then(|state| state.link_named(device));
    let Some(link) = link else {
        return refuse(format!("Error: ioctl: {device}: failed to find device: No such device\n"), 1);
    };
    let Some(text) = (context.files)(rules) else {
        return refuse(format!("Error: detect: opening rule file {rules}: No such file or directory.\n"), 1);
    };
    match parse_rules(&text) {
        Ok(parsed) => {
            let process = Suricata::new((link.name.clone(), link.ifindex), parsed.into());
            Command::process(process, Out::default())
        }
        Err(wrong) => {
            let text = format!(
                "Error: detect: error parsing signature from file {rules} at line {}: {}\n",
                wrong.line, wrong.text
            );
            refuse(text, 1)
        }
    }
}
