//! A rule as Felix writes it (`felix/iptables/render.go`, `actions.go`), and the hash by which it knows it again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha224, Sha256};

/// Length of a rule's hash (`HashLength`).
const HASH_LENGTH: usize = 16;
/// Length of a chain's name (`MaxChainNameLength`).
pub(super) const CHAIN_NAME_MAX: usize = 28;
/// Length of a set's name (`MaxIPSetNameLength`).
const SET_NAME_MAX: usize = 31;

/// A rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    comments: Vec<String>,
    conditions: Vec<String>,
    action: String,
}

impl Line {
    fn new(action: &str) -> Self {
        Self { action: action.to_owned(), ..Self::default() }
    }

    /// A rule that does nothing, for its comment.
    pub(super) fn empty() -> Self {
        Self::default()
    }

    pub(super) fn accept() -> Self {
        Self::new("--jump ACCEPT")
    }

    pub(super) fn drop() -> Self {
        Self::new("--jump DROP")
    }

    pub(super) fn returns() -> Self {
        Self::new("--jump RETURN")
    }

    pub(super) fn jump(chain: &str) -> Self {
        Self::new(&format!("--jump {chain}"))
    }

    pub(super) fn goto(chain: &str) -> Self {
        Self::new(&format!("--goto {chain}"))
    }

    /// Sets bits of the mark.
    pub(super) fn set_mark(bits: u32) -> Self {
        Self::masked_mark(bits, bits)
    }

    /// Clears bits of the mark.
    pub(super) fn clear_mark(bits: u32) -> Self {
        Self::masked_mark(0, bits)
    }

    /// Gives bits of the mark this value.
    pub(super) fn masked_mark(value: u32, mask: u32) -> Self {
        Self::new(&format!("--jump MARK --set-mark {}/{}", hex(value), hex(mask)))
    }

    /// Adds a condition.
    pub(super) fn with(mut self, condition: &str) -> Self {
        self.conditions.push(condition.to_owned());
        self
    }

    /// The condition that a bit is set.
    pub(super) fn mark_condition(bit: u32) -> String {
        let bit = hex(bit);
        format!("-m mark --mark {bit}/{bit}")
    }

    /// If a bit is set.
    pub(super) fn marked(self, bit: u32) -> Self {
        self.with(&Self::mark_condition(bit))
    }

    /// If a bit is not set.
    pub(super) fn unmarked(self, bit: u32) -> Self {
        self.with(&format!("-m mark --mark 0/{}", hex(bit)))
    }

    pub(super) fn comment(mut self, text: &str) -> Self {
        self.comments.push(escaped(text));
        self
    }

    pub(super) fn is_return(&self) -> bool {
        self.action == "--jump RETURN"
    }

    fn text(&self, before: &str) -> String {
        let comments = self.comments.iter().map(|text| format!("-m comment --comment \"{text}\""));
        let rest = self.conditions.iter().chain([&self.action]).filter(|part| !part.is_empty()).cloned();
        std::iter::once(before.to_owned()).chain(comments).chain(rest).collect::<Vec<_>>().join(" ")
    }
}

/// As Go's `%#x` writes a number.
fn hex(value: u32) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}") }
}

/// A comment without what a shell would take for its own.
fn escaped(text: &str) -> String {
    let plain = |at: char| at.is_ascii_alphanumeric() || "_ @%+=:,./-".contains(at);
    text.chars().map(|at| if plain(at) { at } else { '_' }).take(256).collect()
}

/// The rules of a chain, each with its hash in a comment.
pub(super) fn rendered(chain: &str, lines: &[Line]) -> Vec<String> {
    rendered_as(chain, lines)
}

/// The same for rules that are hashed as those of another chain. A hash goes over the rule and the hash before it.
pub(super) fn rendered_as(hashed_as: &str, lines: &[Line]) -> Vec<String> {
    let mut last = Sha224::digest(hashed_as);
    lines
        .iter()
        .map(|line| {
            let hashed = line.text(&format!("-A {hashed_as} HASH"));
            last = Sha224::new().chain_update(last).chain_update(hashed).finalize();
            let hash = URL_SAFE_NO_PAD.encode(last);
            line.text(&format!("-m comment --comment \"cali:{}\"", &hash[..HASH_LENGTH]))
        })
        .collect()
}

/// A name that is shortened by a hash where it is too long (`hashutils.GetLengthLimitedID`).
pub(super) fn limited(prefix: &str, suffix: &str) -> String {
    if prefix.len() + suffix.len() <= CHAIN_NAME_MAX && !suffix.starts_with('_') {
        return format!("{prefix}{suffix}");
    }
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(suffix));
    format!("{prefix}_{}", &hash[..CHAIN_NAME_MAX - 1 - prefix.len()])
}

/// The name of a set (`hash.MakeUniqueID`, `NameForMainIPSet`): `s` for selectors, `n` for named ports.
pub(super) fn set_name(kind: &str, content: &str) -> String {
    let hash = URL_SAFE_NO_PAD.encode(Sha224::digest(format!("{kind}:{content}")));
    let mut name = format!("cali40{kind}:{hash}");
    name.truncate(SET_NAME_MAX);
    name
}
