//! Rules in Suricata's language (its user guide, "Suricata Rules"): action, protocol, both ends, options.

use super::Seen;
use crate::base::{Ipv4Addr, Ipv4Net};
use std::sync::Arc;

/// What happens to a packet that a rule fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is reported.
    Alert,
    /// No further rule is asked about it.
    Pass,
}

/// Addresses: those in one of the first ranges, if there are any, and in none of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    is: Vec<Ipv4Net>,
    is_not: Vec<Ipv4Net>,
}

/// Ports, said in the same way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    is: Vec<(u16, u16)>,
    is_not: Vec<(u16, u16)>,
}

/// How often a rule speaks (`threshold`, `detection_filter`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In which way.
    pub kind: RateKind,
    /// Whether it counts for each source; else for each destination.
    pub by_source: bool,
    /// How many.
    pub count: u64,
    /// In how many seconds.
    pub seconds: u64,
}

/// Kinds of rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateKind {
    /// At most so many alerts in that time.
    Limit,
    /// One alert for each so many packets.
    Threshold,
    /// One alert in that time, once there were so many packets.
    Both,
    /// An alert for each packet beyond so many.
    DetectionFilter,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What happens.
    pub action: Action,
    /// IP protocol number; none for every one.
    protocol: Option<u8>,
    src: (Addresses, Ports),
    dst: (Addresses, Ports),
    /// Whether both directions are meant (`<>`).
    both: bool,
    /// What is said.
    pub msg: String,
    /// Its numbers.
    pub gid: u32,
    /// Number of the rule.
    pub sid: u32,
    /// Number of its version.
    pub rev: u32,
    /// What its class is called, and that class's priority.
    pub class: (&'static str, u8),
    /// A priority of its own.
    pub priority: Option<u8>,
    /// How often it speaks.
    pub rate: Option<Rate>,
    /// Flags of TCP that are all set, and whether no other may be.
    flags: Option<(u8, bool)>,
    itype: Option<u8>,
    icode: Option<u8>,
    dsize: Option<(usize, usize)>,
    /// Bytes that stand in the payload, and whether the case of letters counts for nothing.
    contents: Vec<(Arc<[u8]>, bool)>,
}

/// Why a rule is not taken: its line, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

/// Classes of rules (`classification.config`): name, what it is called, priority.
const CLASSES: [(&str, &str, u8); 12] = [
    ("attempted-admin", "Attempted Administrator Privilege Gain", 1),
    ("attempted-dos", "Attempted Denial of Service", 2),
    ("attempted-recon", "Attempted Information Leak", 2),
    ("attempted-user", "Attempted User Privilege Gain", 1),
    ("bad-unknown", "Potentially Bad Traffic", 2),
    ("icmp-event", "Generic ICMP event", 3),
    ("misc-activity", "Misc activity", 3),
    ("network-scan", "Detection of a Network Scan", 3),
    ("not-suspicious", "Not Suspicious Traffic", 3),
    ("policy-violation", "Potential Corporate Privacy Violation", 1),
    ("trojan-activity", "A Network Trojan was detected", 1),
    ("web-application-attack", "Web Application Attack", 1),
];
/// `HOME_NET` of the configuration that Suricata comes with.
const HOME_NET: &str = "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]";
/// Letters of TCP's flags from the lowest bit on.
const FLAGS: &str = "FSRPAUEC";

/// Reads a file of rules: one in each line, and comments.
pub fn parse_rules(text: &str) -> Result<Vec<Rule>, RuleError> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let rules = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    rules.map(|(line, text)| rule(text).map_err(|text| RuleError { line, text })).collect()
}

fn rule(text: &str) -> Result<Rule, String> {
    let (head, options) = text.split_once('(').ok_or("no options in brackets")?;
    let options = options.trim_end().strip_suffix(')').ok_or("the options have no end")?;
    let words: Vec<&str> = head.split_whitespace().collect();
    let [action, protocol, src, sport, arrow, dst, dport] = words[..] else {
        return Err("a rule begins with action, protocol, address, port, direction, address, port".to_owned());
    };
    let action = match action {
        "alert" => Action::Alert,
        "pass" => Action::Pass,
        other => return Err(format!("not simulated: action \"{other}\"")),
    };
    let protocol = match protocol {
        "ip" => None,
        "icmp" => Some(1),
        "tcp" | "tcp-pkt" => Some(6),
        "udp" => Some(17),
        other => return Err(format!("not simulated: protocol \"{other}\"")),
    };
    let both = match arrow {
        "->" => false,
        "<>" => true,
        other => return Err(format!("\"{other}\" is not a valid direction modifier")),
    };
    let mut rule = Rule {
        action,
        protocol,
        src: (addresses(src)?, ports(sport)?),
        dst: (addresses(dst)?, ports(dport)?),
        both,
        msg: String::new(),
        gid: 1,
        sid: 0,
        rev: 0,
        class: ("(null)", 3),
        priority: None,
        rate: None,
        flags: None,
        itype: None,
        icode: None,
        dsize: None,
        contents: Vec::new(),
    };
    for option in split_options(options) {
        let (name, value) =
            option.split_once(':').map_or((option.as_str(), ""), |(name, value)| (name.trim(), value.trim()));
        rule.option(name, value)?;
    }
    if rule.sid == 0 { Err("a rule needs a sid".to_owned()) } else { Ok(rule) }
}

/// Options are divided by `;`, but for those in quotes or behind a backslash.
fn split_options(text: &str) -> Vec<String> {
    let (mut out, mut current, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for letter in text.chars() {
        match letter {
            ';' if !quoted && !escaped => out.push(std::mem::take(&mut current).trim().to_owned()),
            _ => {
                quoted ^= letter == '"' && !escaped;
                current.push(letter);
            }
        }
        escaped = letter == '\\' && !escaped;
    }
    out.push(current.trim().to_owned());
    out.retain(|option| !option.is_empty());
    out
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{name}: \"{text}\" is no number that may stand here"))
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

impl Rule {
    fn option(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "msg" => unquoted(value).clone_into(&mut self.msg),
            "sid" => self.sid = number(name, value)?,
            "gid" => self.gid = number(name, value)?,
            "rev" => self.rev = number(name, value)?,
            "priority" => self.priority = Some(number(name, value)?),
            "classtype" => {
                let class = CLASSES.iter().find(|class| class.0 == value);
                self.class =
                    class.map(|class| (class.1, class.2)).ok_or(format!("unknown classtype: \"{value}\""))?;
            }
            "threshold" | "detection_filter" => self.rate = Some(rate(name, value)?),
            "flags" => self.flags = Some(flags(value)?),
            "itype" => self.itype = Some(number(name, value)?),
            "icode" => self.icode = Some(number(name, value)?),
            "dsize" => self.dsize = Some(size(value)?),
            "content" => self.contents.push((bytes(unquoted(value))?.into(), false)),
            "nocase" => {
                let last = self.contents.last_mut().ok_or("nocase needs a content before it")?;
                last.1 = true;
            }
            "metadata" | "reference" => {}
            other => return Err(format!("not simulated: keyword \"{other}\"")),
        }
        Ok(())
    }

    /// Whether a packet is one that the rule is about.
    pub fn fits(&self, seen: &Seen) -> bool {
        let (sport, dport) = seen.ports.map_or((None, None), |(src, dst)| (Some(src), Some(dst)));
        let one_way = |(src, sport), (dst, dport)| {
            self.src.0.has(src) && self.src.1.has(sport) && self.dst.0.has(dst) && self.dst.1.has(dport)
        };
        let there = one_way((seen.src, sport), (seen.dst, dport))
            || (self.both && one_way((seen.dst, dport), (seen.src, sport)));
        let flags = |(set, exact): (u8, bool)| {
            // The two upper flags are about congestion and count for nothing here.
            let own = seen.flags & 0x3f;
            if exact { own == set } else { own & set == set }
        };
        there
            && self.protocol.is_none_or(|protocol| protocol == seen.protocol)
            && self.flags.is_none_or(|wanted| seen.protocol == 6 && flags(wanted))
            && self.itype.is_none_or(|kind| seen.icmp.is_some_and(|icmp| icmp.0 == kind))
            && self.icode.is_none_or(|code| seen.icmp.is_some_and(|icmp| icmp.1 == code))
            && self.dsize.is_none_or(|(least, most)| (least..=most).contains(&seen.data.len()))
            && self.contents.iter().all(|(content, nocase)| holds(&seen.data, content, *nocase))
    }
}

fn holds(data: &[u8], content: &[u8], nocase: bool) -> bool {
    let same = |part: &[u8]| if nocase { part.eq_ignore_ascii_case(content) } else { part == content };
    content.is_empty() || data.windows(content.len()).any(same)
}

fn rate(name: &str, text: &str) -> Result<Rate, String> {
    let mut rate = Rate { kind: RateKind::DetectionFilter, by_source: true, count: 0, seconds: 0 };
    for part in text.split(',') {
        let words: Vec<&str> = part.split_whitespace().collect();
        match words[..] {
            ["type", "limit"] => rate.kind = RateKind::Limit,
            ["type", "threshold"] => rate.kind = RateKind::Threshold,
            ["type", "both"] => rate.kind = RateKind::Both,
            ["track", "by_src"] => rate.by_source = true,
            ["track", "by_dst"] => rate.by_source = false,
            ["count", count] => rate.count = number(name, count)?,
            ["seconds", seconds] => rate.seconds = number(name, seconds)?,
            _ => return Err(format!("{name}: \"{}\" is not understood", part.trim())),
        }
    }
    let is_whole = rate.count > 0 && rate.seconds > 0;
    if is_whole { Ok(rate) } else { Err(format!("{name} needs count and seconds")) }
}

/// `S` is SYN alone; `S+` is SYN with whatever else.
fn flags(text: &str) -> Result<(u8, bool), String> {
    let exact = !text.contains('+');
    let mut bits = 0;
    for letter in text.chars().filter(|letter| *letter != '+') {
        let at = FLAGS.find(letter).ok_or(format!("flags: \"{text}\" is not understood"))?;
        bits |= 1 << at;
    }
    Ok((bits, exact))
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let of = |text: &str| number("dsize", text.trim());
    if let Some((least, most)) = text.split_once("<>") {
        let (least, most): (usize, usize) = (of(least)?, of(most)?);
        return Ok((least + 1, most.saturating_sub(1)));
    }
    if let Some(least) = text.strip_prefix('>') {
        return Ok((of(least)? + 1, usize::MAX));
    }
    if let Some(most) = text.strip_prefix('<') {
        return Ok((0, of(most)?.saturating_sub(1)));
    }
    of(text).map(|exact| (exact, exact))
}

/// Text with bytes in hexadecimal between bars: `GET |20|/`.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    for (at, part) in text.split('|').enumerate() {
        if at % 2 == 0 {
            out.extend(part.replace("\\;", ";").replace("\\\"", "\"").bytes());
            continue;
        }
        for byte in part.split_whitespace() {
            out.push(u8::from_str_radix(byte, 16).map_err(|_| format!("content: \"{byte}\" is no byte"))?);
        }
    }
    Ok(out)
}

/// The items of a list in square brackets; a word alone is a list of one.
fn items(text: &str) -> Vec<&str> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inner.split(',').map(str::trim).collect()
}

fn addresses(text: &str) -> Result<Addresses, String> {
    let mut out = Addresses::default();
    let (text, turned) = text.strip_prefix('!').map_or((text, false), |rest| (rest, true));
    let (text, turned) = match text {
        "$HOME_NET" => (HOME_NET, turned),
        "$EXTERNAL_NET" => (HOME_NET, !turned),
        other => (other, turned),
    };
    for item in items(text).into_iter().filter(|item| *item != "any") {
        let (item, not) = item.strip_prefix('!').map_or((item, turned), |rest| (rest, !turned));
        let net = item.parse::<Ipv4Net>().or_else(|_| item.parse::<Ipv4Addr>().map(Ipv4Net::from));
        let net = net.map_err(|_| format!("\"{item}\" is no address"))?;
        if not { out.is_not.push(net) } else { out.is.push(net) }
    }
    Ok(out)
}

fn ports(text: &str) -> Result<Ports, String> {
    let mut out = Ports::default();
    let (text, turned) = text.strip_prefix('!').map_or((text, false), |rest| (rest, true));
    for item in items(text).into_iter().filter(|item| *item != "any") {
        let (item, not) = item.strip_prefix('!').map_or((item, turned), |rest| (rest, !turned));
        let of =
            |text: &str, otherwise: u16| if text.is_empty() { Ok(otherwise) } else { number("port", text) };
        let range = match item.split_once(':') {
            Some((first, last)) => (of(first, 0)?, of(last, u16::MAX)?),
            None => (of(item, 0)?, of(item, 0)?),
        };
        if not { out.is_not.push(range) } else { out.is.push(range) }
    }
    Ok(out)
}

impl Addresses {
    fn has(&self, addr: Ipv4Addr) -> bool {
        let within = |nets: &[Ipv4Net]| nets.iter().any(|net| net.contains(&addr));
        (self.is.is_empty() || within(&self.is)) && !within(&self.is_not)
    }
}

impl Ports {
    /// Whether a port is one of these. What has no ports fits where none is asked for.
    fn has(&self, port: Option<u16>) -> bool {
        let Some(port) = port else { return self.is.is_empty() };
        let within =
            |ranges: &[(u16, u16)]| ranges.iter().any(|(first, last)| (*first..=*last).contains(&port));
        (self.is.is_empty() || within(&self.is)) && !within(&self.is_not)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(src: [u8; 4], dst: [u8; 4], ports: (u16, u16), flags: u8, data: &[u8]) -> Seen {
        Seen {
            src: src.into(),
            dst: dst.into(),
            protocol: 6,
            ports: Some(ports),
            flags,
            icmp: None,
            data: data.into(),
        }
    }

    #[test]
    fn rules_are_about_ends_flags_and_bytes() {
        let text = "# comment\nalert tcp $HOME_NET any -> [10.0.0.0/8,!10.0.0.9] [80,8000:8010] (msg:\"a \\; b\"; flags:S; sid:7; rev:2; classtype:network-scan;)\n\
                    alert tcp any any <> 10.0.0.1 any (msg:\"c\"; content:\"GET |2f 61|\"; nocase; dsize:>3; sid:8;)\n";
        let rules = parse_rules(text).expect("two rules");
        assert_eq!((rules.len(), rules[0].sid, rules[0].rev), (2, 7, 2));
        assert_eq!(rules[0].class, ("Detection of a Network Scan", 3));
        let syn = |dst: [u8; 4], port, flags| seen([192, 168, 1, 1], dst, (999, port), flags, b"");
        assert!(rules[0].fits(&syn([10, 0, 0, 1], 8005, 2)));
        assert!(!rules[0].fits(&syn([10, 0, 0, 9], 80, 2)), "it is left out");
        assert!(!rules[0].fits(&syn([10, 0, 0, 1], 81, 2)), "another port");
        assert!(!rules[0].fits(&syn([10, 0, 0, 1], 80, 18)), "SYN with ACK");
        assert!(rules[1].fits(&seen([10, 0, 0, 1], [1, 1, 1, 1], (80, 999), 24, b"xx get /a")));
        assert!(!rules[1].fits(&seen([10, 0, 0, 1], [1, 1, 1, 1], (80, 999), 24, b"get /b")));
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_said_with_its_line() {
        for (text, wanted) in [
            ("alert tcp any any -> any any (msg:\"x\";)", "a rule needs a sid"),
            ("drop tcp any any -> any any (sid:1;)", "not simulated: action \"drop\""),
            ("alert http any any -> any any (sid:1;)", "not simulated: protocol \"http\""),
            ("alert tcp any any -> any any (pcre:\"/x/\"; sid:1;)", "not simulated: keyword \"pcre\""),
            ("alert tcp any any => any any (sid:1;)", "\"=>\" is not a valid direction modifier"),
            ("alert tcp any 70000 -> any any (sid:1;)", "port: \"70000\" is no number that may stand here"),
            (
                "alert tcp any any -> any any (threshold: type both, track by_src; sid:1;)",
                "threshold needs count and seconds",
            ),
        ] {
            let wrong = parse_rules(&format!("\n{text}\n")).expect_err(text);
            assert_eq!((wrong.line, &*wrong.text), (2, wanted));
        }
    }
}
