//! A conversion of `printf(3)`: flags, width and precision, and what whole numbers and texts look like by them. The
//! shell's `printf` and awk's share it.

/// Flags, width and precision of a conversion.
#[derive(Debug, Default)]
pub(super) struct Spec {
    pub(super) flags: String,
    pub(super) width: usize,
    pub(super) precision: Option<usize>,
}

impl Spec {
    pub(super) fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    /// Brings `digits`, with a sign or prefix before them, to the width.
    pub(super) fn padded(&self, prefix: &str, digits: &str, zeros: bool) -> String {
        let missing = self.width.saturating_sub(prefix.chars().count() + digits.chars().count());
        let fill = |letter: &str| letter.repeat(missing);
        if self.has('-') {
            format!("{prefix}{digits}{}", fill(" "))
        } else if zeros && self.has('0') {
            format!("{prefix}{}{digits}", fill("0"))
        } else {
            format!("{}{prefix}{digits}", fill(" "))
        }
    }

    /// `%s`: at most as many characters as the precision says.
    pub(super) fn text(&self, text: &str) -> String {
        let most = self.precision.unwrap_or(usize::MAX);
        self.padded("", &text.chars().take(most).collect::<String>(), false)
    }

    pub(super) fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.has('+'), self.has(' ')) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    /// `%d` and `%i`.
    pub(super) fn signed(&self, number: i64) -> String {
        self.whole(self.sign(number < 0), &number.unsigned_abs().to_string())
    }

    /// `%o`, `%x`, `%X` and, by any other letter, `%u`.
    pub(super) fn unsigned(&self, letter: char, number: u64) -> String {
        let prefixed = self.has('#') && number != 0;
        match letter {
            'o' => self.whole("", &format!("{}{number:o}", if prefixed { "0" } else { "" })),
            'x' => self.whole(if prefixed { "0x" } else { "" }, &format!("{number:x}")),
            'X' => self.whole(if prefixed { "0X" } else { "" }, &format!("{number:X}")),
            _ => self.whole("", &number.to_string()),
        }
    }

    fn whole(&self, prefix: &str, digits: &str) -> String {
        let least = self.precision.unwrap_or(1);
        let digits = if self.precision == Some(0) && digits == "0" { "" } else { digits };
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        self.padded(prefix, &(zeros + digits), self.precision.is_none())
    }
}
