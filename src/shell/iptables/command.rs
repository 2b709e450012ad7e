//! What follows `iptables` on the command line, or stands in a line of `iptables-restore`.

use super::Failure;
use crate::xtables::{Problem, Rule, RuleBuilder, Words};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// `-A`.
    Append,
    /// `-I`, with the place.
    Insert(usize),
    /// `-R`, with the place.
    Replace(usize),
    /// `-D` by number.
    DeleteAt(usize),
    /// `-D` by the rule itself.
    Delete,
    /// `-C`.
    Check,
    /// `-L`, with the number of one rule.
    List(Option<usize>),
    /// `-S`, with the number of one rule.
    ListRules(Option<usize>),
    /// `-F`.
    Flush,
    /// `-Z`, with the number of one rule.
    Zero(Option<usize>),
    /// `-N`.
    New,
    /// `-X`.
    DelChain,
    /// `-E`, with the new name.
    Rename(String),
    /// `-P`, with the policy.
    Policy(String),
}

impl Verb {
    fn letter(&self) -> char {
        match self {
            Self::Append => 'A',
            Self::Insert(_) => 'I',
            Self::Replace(_) => 'R',
            Self::DeleteAt(_) | Self::Delete => 'D',
            Self::Check => 'C',
            Self::List(_) => 'L',
            Self::ListRules(_) => 'S',
            Self::Flush => 'F',
            Self::Zero(_) => 'Z',
            Self::New => 'N',
            Self::DelChain => 'X',
            Self::Rename(_) => 'E',
            Self::Policy(_) => 'P',
        }
    }

    /// Options that it may go with (`commands_v_options` of `xshared.c`).
    fn options(&self) -> &'static str {
        match self {
            Self::Append | Self::Insert(_) | Self::Replace(_) => "sdpjvioc f",
            Self::Delete | Self::Check => "sdpjviof",
            Self::List(_) => "nvx0",
            Self::Policy(_) => "vc",
            Self::DeleteAt(_)
            | Self::ListRules(_)
            | Self::Flush
            | Self::Zero(_)
            | Self::New
            | Self::DelChain
            | Self::Rename(_) => "v",
        }
    }

    fn is_about_rules(&self) -> bool {
        matches!(self, Self::Append | Self::Insert(_) | Self::Replace(_) | Self::Delete | Self::Check)
    }
}

/// A command line that was read.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) table: Option<String>,
    pub(super) verb: Verb,
    pub(super) chain: Option<String>,
    pub(super) rules: Vec<Rule>,
    pub(super) counters: Option<(u64, u64)>,
    pub(super) numeric: bool,
    pub(super) exact: bool,
    pub(super) verbose: bool,
    pub(super) line_numbers: bool,
    /// The line of the file that it stands in.
    pub(super) line: usize,
    /// `-Z` together with `-L` or `-S`.
    pub(super) zero_too: bool,
}

/// What a command line asks for.
pub(super) enum Parsed {
    Order(Box<Order>),
    Version,
}

const VERBS: [(&str, &str); 13] = [
    ("-A", "--append"),
    ("-C", "--check"),
    ("-D", "--delete"),
    ("-E", "--rename-chain"),
    ("-F", "--flush"),
    ("-I", "--insert"),
    ("-L", "--list"),
    ("-N", "--new-chain"),
    ("-P", "--policy"),
    ("-R", "--replace"),
    ("-S", "--list-rules"),
    ("-X", "--delete-chain"),
    ("-Z", "--zero"),
];

/// Other long options of the program itself.
const LONG: [(&str, &str); 11] = [
    ("-n", "--numeric"),
    ("-t", "--table"),
    ("-v", "--verbose"),
    ("-x", "--exact"),
    ("-0", "--line-numbers"),
    ("-c", "--set-counters"),
    ("-w", "--wait"),
    ("-V", "--version"),
    ("-h", "--help"),
    ("-4", "--ipv4"),
    ("-6", "--ipv6"),
];

/// Long options of a rule, which the builder of rules reads.
const OF_RULES: [(&str, &str); 10] = [
    ("-s", "--source"),
    ("-s", "--src"),
    ("-d", "--destination"),
    ("-d", "--dst"),
    ("-p", "--protocol"),
    ("-i", "--in-interface"),
    ("-o", "--out-interface"),
    ("-j", "--jump"),
    ("-g", "--goto"),
    ("-f", "--fragments"),
];

/// The letter of an option.
fn short_of(option: &str) -> Option<&'static str> {
    let all = VERBS.iter().chain(&LONG).chain(&OF_RULES);
    let found = all.into_iter().find(|(short, long)| *short == option || *long == option);
    found.map(|(short, _)| *short)
}

/// The letter of a long option of which only the beginning is given, where that fits no other (`getopt_long`).
fn abbreviated(option: &str) -> Option<&'static str> {
    let all = VERBS.iter().chain(&LONG).chain(&OF_RULES);
    let mut fitting = all.filter(|(_, long)| option.len() > 2 && long.starts_with(option));
    let first = fitting.next()?.0;
    fitting.all(|(short, _)| *short == first).then_some(first)
}

struct Reader {
    order: Order,
    has_verb: bool,
    builder: RuleBuilder,
    /// Letters of the options given.
    seen: String,
}

/// Reads a command line. `sets` are the sets that exist.
pub(super) fn parse(words: &[String], sets: Vec<String>) -> Result<Parsed, Failure> {
    let order = Order {
        table: None,
        verb: Verb::Append,
        chain: None,
        rules: Vec::new(),
        counters: None,
        numeric: false,
        exact: false,
        verbose: false,
        line_numbers: false,
        line: 0,
        zero_too: false,
    };
    let builder = RuleBuilder::with_sets(sets);
    let mut reader = Reader { order, has_verb: false, builder, seen: String::new() };
    let mut words = Words::new(words);
    let mut negated = false;
    while let Some(word) = words.take() {
        if word == "!" {
            if negated {
                return Err(Failure::Usage("multiple consecutive ! not allowed".into()));
            }
            negated = true;
            continue;
        }
        if let Some(parsed) = reader.word(&word, negated, &mut words)? {
            return Ok(parsed);
        }
        negated = false;
    }
    if negated {
        return Err(Failure::Usage("nothing appropriate following !".into()));
    }
    reader.finish()
}

impl Reader {
    fn word(&mut self, word: &str, negated: bool, words: &mut Words) -> Result<Option<Parsed>, Failure> {
        if !word.starts_with('-') || word == "-" {
            return Err(Failure::BadArgument(word.to_owned()));
        }
        let exact = short_of(word);
        // An option of a match or target given in full goes before one of the program of which this is a beginning.
        if exact.is_none() && word.starts_with("--") && self.builder.option(word, negated, words)? {
            return Ok(None);
        }
        let short = exact.or_else(|| abbreviated(word));
        if let Some(short) = short
            && VERBS.iter().any(|(verb, _)| *verb == short)
        {
            if negated {
                return Err(Failure::Usage(format!("unexpected ! flag before {word}")));
            }
            self.verb(short, words)?;
            return Ok(None);
        }
        match short {
            Some("-n") => (self.order.numeric, self.seen) = (true, format!("{}n", self.seen)),
            Some("-x") => (self.order.exact, self.seen) = (true, format!("{}x", self.seen)),
            Some("-v") => (self.order.verbose, self.seen) = (true, format!("{}v", self.seen)),
            Some("-0") => (self.order.line_numbers, self.seen) = (true, format!("{}0", self.seen)),
            Some("-4") => {}
            Some("-6") => return Err(Failure::OnlyTry),
            Some("-V") => return Ok(Some(Parsed::Version)),
            Some("-h") => return Err(Failure::NotSimulated("-h".into())),
            Some("-w") => {
                words.operand();
            }
            Some("-t") => {
                if negated {
                    return Err(Failure::Usage("unexpected ! flag before --table".into()));
                }
                self.order.table = Some(argument(words, word)?);
            }
            Some("-c") => self.counters(words)?,
            Some(_) | None => {
                self.of_rule(short.unwrap_or(word), word, negated, words)?;
            }
        }
        Ok(None)
    }

    fn of_rule(
        &mut self,
        option: &str,
        typed: &str,
        negated: bool,
        words: &mut Words,
    ) -> Result<(), Failure> {
        if !self.builder.option(option, negated, words)? {
            return Err(Failure::Usage(format!("unknown option \"{typed}\"")));
        }
        let letter = if option == "-g" { "j" } else { option.trim_start_matches('-') };
        if letter.len() == 1 && letter != "m" {
            self.seen.push_str(letter);
        }
        Ok(())
    }

    fn counters(&mut self, words: &mut Words) -> Result<(), Failure> {
        let wrong = || Failure::Usage("-c requires packet and byte counter".into());
        let packets = argument(words, "-c")?;
        let (packets, bytes) = match packets.split_once(',') {
            Some((packets, bytes)) => (packets.to_owned(), bytes.to_owned()),
            None => (packets, words.operand().ok_or_else(wrong)?),
        };
        let number = |text: &str, what: &str| {
            let wrong = || Failure::Usage(format!("-c {what} counter not numeric"));
            text.parse().map_err(|_| wrong())
        };
        self.order.counters = Some((number(&packets, "packet")?, number(&bytes, "byte")?));
        self.seen.push('c');
        Ok(())
    }

    fn verb(&mut self, short: &'static str, words: &mut Words) -> Result<(), Failure> {
        if self.has_verb {
            return self.second_verb(short, words);
        }
        self.has_verb = true;
        let chain = match short {
            "-L" | "-S" | "-F" | "-X" | "-Z" => words.operand(),
            _ => Some(argument(words, short)?),
        };
        self.order.chain = chain;
        self.order.verb = match short {
            "-A" => Verb::Append,
            "-C" => Verb::Check,
            "-F" => Verb::Flush,
            "-N" => Verb::New,
            "-X" => Verb::DelChain,
            "-I" => Verb::Insert(Self::place(words)?.unwrap_or(1)),
            "-R" => {
                let place = Self::place(words)?;
                Verb::Replace(place.ok_or_else(|| Failure::Usage("-R requires a rule number".into()))?)
            }
            "-D" => Self::place(words)?.map_or(Verb::Delete, Verb::DeleteAt),
            "-E" => {
                let new = words.operand();
                let wrong = || Failure::Usage("-E requires old-chain-name and new-chain-name".into());
                Verb::Rename(new.ok_or_else(wrong)?)
            }
            "-P" => {
                let policy = words.operand();
                Verb::Policy(policy.ok_or_else(|| Failure::Usage("-P requires a chain and a policy".into()))?)
            }
            "-L" => Verb::List(self.place_of_chain(words)?),
            "-S" => Verb::ListRules(self.place_of_chain(words)?),
            _ => Verb::Zero(self.place_of_chain(words)?),
        };
        Ok(())
    }

    /// Only `-Z` may stand beside another command, one that lists.
    fn second_verb(&mut self, short: &str, words: &mut Words) -> Result<(), Failure> {
        let lists = matches!(self.order.verb, Verb::List(_) | Verb::ListRules(_));
        let zeroes = matches!(self.order.verb, Verb::Zero(_));
        if short == "-Z" && lists {
            self.order.zero_too = true;
            return Ok(());
        }
        if zeroes && matches!(short, "-L" | "-S") {
            let chain = words.operand();
            self.order.chain = chain.or_else(|| self.order.chain.take());
            let place = self.place_of_chain(words)?;
            self.order.verb = if short == "-L" { Verb::List(place) } else { Verb::ListRules(place) };
            self.order.zero_too = true;
            return Ok(());
        }
        let first = self.order.verb.letter();
        Err(Failure::Usage(format!("Cannot use {short} with -{first}")))
    }

    fn place_of_chain(&mut self, words: &mut Words) -> Result<Option<usize>, Failure> {
        if self.order.chain.is_some() { Self::place(words) } else { Ok(None) }
    }

    fn place(words: &mut Words) -> Result<Option<usize>, Failure> {
        let Some(text) = words.operand() else { return Ok(None) };
        match text.parse::<usize>() {
            Ok(place) if place > 0 => Ok(Some(place)),
            _ => Err(Failure::Usage(format!("Invalid rule number `{text}'"))),
        }
    }

    fn finish(mut self) -> Result<Parsed, Failure> {
        let builder = std::mem::take(&mut self.builder);
        self.order.rules = builder.finish_all()?;
        if !self.has_verb {
            return Err(Failure::Usage("no command specified".into()));
        }
        let allowed = self.order.verb.options();
        let order_of_checks = "nsdpjvxio0cf";
        let wrong =
            order_of_checks.chars().find(|&letter| self.seen.contains(letter) && !allowed.contains(letter));
        if let Some(letter) = wrong {
            return Err(Failure::Usage(format!("Illegal option `-{letter}' with this command")));
        }
        if self.order.verb.is_about_rules() {
            self.check_devices()?;
        }
        if matches!(self.order.verb, Verb::Replace(_)) && self.order.rules.len() > 1 {
            return Err(Failure::Usage("Replacement rule does not specify a unique address".into()));
        }
        Ok(Parsed::Order(Box::new(self.order)))
    }

    /// A device that no packet of the chain has yet, or any more.
    fn check_devices(&self) -> Result<(), Failure> {
        let chain = self.order.chain.as_deref().unwrap_or_default();
        let rule = self.order.rules.first();
        let (has_in, has_out) = rule.map_or((false, false), |rule| (rule.iif.is_some(), rule.oif.is_some()));
        match chain {
            "PREROUTING" | "INPUT" if has_out => Err(Failure::Usage(format!("Can't use -o with {chain}\n"))),
            "POSTROUTING" | "OUTPUT" if has_in => Err(Failure::Usage(format!("Can't use -i with {chain}\n"))),
            _ => Ok(()),
        }
    }
}

fn argument(words: &mut Words, option: &str) -> Result<String, Failure> {
    words.argument(option).map_err(Failure::from)
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Parameter(text) => Self::Usage(text),
            Problem::BadArgument(word) => Self::BadArgument(word),
            Problem::NotSimulated(word) => Self::NotSimulated(word),
        }
    }
}
