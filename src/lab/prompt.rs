//! The line a user types at a terminal, edited as a shell's line editor does it: keys come in as the bytes a terminal
//! sends, and what has to be drawn goes out as the escape sequences it understands (ECMA-48).

use super::Target;

/// What a key stroke asks for beyond editing the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The line changed and has to be drawn again.
    Changed,
    /// Enter: this line is to be run. It may be empty.
    Run(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    End,
    /// Ctrl-L.
    Clear,
    /// Tab.
    Complete,
}

/// What completing a word came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Nothing fits.
    None,
    /// The line was made longer.
    Extended,
    /// These fit, and nothing more can be said.
    Several(Vec<String>),
}

/// A line being edited, with the lines entered before.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    line: Vec<char>,
    cursor: usize,
    history: Vec<String>,
    recalled: Option<usize>,
    draft: Vec<char>,
    escape: String,
    /// What a program printed in front of the prompt without ending its line.
    head: String,
    drawn_row: usize,
}

/// Most lines that are remembered.
const HISTORY_LIMIT: usize = 500;

impl Prompt {
    /// The line as it stands.
    pub fn line(&self) -> String {
        self.line.iter().collect()
    }

    /// Replaces the line, with the cursor at its end.
    pub fn set(&mut self, line: &str) {
        self.line = line.chars().collect();
        self.cursor = self.line.len();
    }

    /// Takes in what the terminal sent and says what it asks for, in order.
    pub fn feed(&mut self, data: &str) -> Vec<Input> {
        data.chars().filter_map(|c| self.key(c)).collect()
    }

    /// Remembers a line for the Up key. An empty line and a repeated one are not remembered.
    pub fn remember(&mut self, line: &str) {
        if !line.trim().is_empty() && self.history.last().is_none_or(|last| last != line) {
            self.history.push(line.to_owned());
            if self.history.len() > HISTORY_LIMIT {
                self.history.remove(0);
            }
        }
        self.recalled = None;
    }

    /// The line one back in history.
    pub fn older(&mut self) -> Input {
        let at = match self.recalled {
            None => {
                self.draft.clone_from(&self.line);
                self.history.len()
            }
            Some(at) => at,
        };
        if let Some(at) = at.checked_sub(1) {
            self.recalled = Some(at);
            self.set(&self.history[at].clone());
        }
        Input::Changed
    }

    /// The line one forward in history; after the last the line that was being typed.
    pub fn newer(&mut self) -> Input {
        if let Some(at) = self.recalled {
            if let Some(line) = self.history.get(at + 1).cloned() {
                self.recalled = Some(at + 1);
                self.set(&line);
            } else {
                self.recalled = None;
                self.line = std::mem::take(&mut self.draft);
                self.cursor = self.line.len();
            }
        }
        Input::Changed
    }

    /// Completes the word before the cursor from what may stand there: `commands` for the first word, `names` after.
    pub fn complete(&mut self, commands: &[String], names: &[String]) -> Completion {
        let start = self.line[..self.cursor].iter().rposition(|c| c.is_whitespace()).map_or(0, |at| at + 1);
        let word: String = self.line[start..self.cursor].iter().collect();
        let is_first = self.line[..start].iter().all(|c| c.is_whitespace());
        let candidates = if is_first { commands } else { names };
        let mut fitting: Vec<&String> = candidates.iter().filter(|name| name.starts_with(&word)).collect();
        fitting.sort();
        fitting.dedup();
        let Some((first, rest)) = fitting.split_first() else { return Completion::None };
        let shared = rest.iter().fold(first.as_str(), |shared, name| common_prefix(shared, name));
        let mut tail: Vec<char> = shared.chars().skip(word.chars().count()).collect();
        if rest.is_empty() {
            tail.push(' ');
        }
        if tail.is_empty() {
            return Completion::Several(fitting.into_iter().cloned().collect());
        }
        let n_added = tail.len();
        self.line.splice(self.cursor..self.cursor, tail);
        self.cursor += n_added;
        Completion::Extended
    }

    /// The escape sequences that draw the line after `prompt` on a terminal with `n_columns`, over what was drawn last.
    pub fn draw(&mut self, prompt: &str, n_columns: usize) -> String {
        let n_columns = n_columns.max(2);
        let mut out = self.erased();
        out.push_str(prompt);
        out.extend(&self.line);
        let start = walk((0, 0), self.head.chars().chain(prompt.chars()), n_columns);
        let cursor = wrapped(walk(start, self.line[..self.cursor].iter().copied(), n_columns), n_columns);
        let end = walk(start, self.line.iter().copied(), n_columns);
        if end.1 == n_columns {
            out.push_str("\r\n");
        }
        out.push_str(&up(wrapped(end, n_columns).0 - cursor.0));
        out.push('\r');
        if cursor.1 > 0 {
            out.push_str(&right(cursor.1));
        }
        self.drawn_row = cursor.0;
        out
    }

    /// The escape sequences that take the prompt and the line away, so that what comes is written in their place.
    pub fn erased(&self) -> String {
        format!("{}\r\x1b[J{}", up(self.drawn_row), self.head)
    }

    /// Forgets where the line was drawn: the next drawing begins on the row where the cursor is.
    pub fn undrawn(&mut self) {
        self.drawn_row = 0;
        self.head.clear();
    }

    /// The next drawing begins behind `output`, which a program has printed on a terminal with `n_columns` without ending
    /// its line, as in every terminal.
    pub fn behind(&mut self, output: &str, n_columns: usize) {
        output.clone_into(&mut self.head);
        self.drawn_row = walk((0, 0), output.chars(), n_columns.max(2)).0;
    }

    fn key(&mut self, c: char) -> Option<Input> {
        if !self.escape.is_empty() {
            return self.escaped(c);
        }
        match c {
            '\x1b' => {
                self.escape.push(c);
                None
            }
            '\r' | '\n' => {
                let line = self.line();
                self.set("");
                Some(Input::Run(line))
            }
            '\x03' => {
                self.set("");
                self.recalled = None;
                Some(Input::Interrupt)
            }
            '\x0c' => Some(Input::Clear),
            '\t' => Some(Input::Complete),
            _ => self.edit(c),
        }
    }

    fn edit(&mut self, c: char) -> Option<Input> {
        let end = self.line.len();
        match c {
            '\x7f' | '\x08' => self.cut(self.cursor.saturating_sub(1), self.cursor),
            '\x01' => self.cursor = 0,
            '\x02' => self.cursor = self.cursor.saturating_sub(1),
            '\x04' if self.line.is_empty() => return Some(Input::End),
            '\x04' => self.cut(self.cursor, (self.cursor + 1).min(end)),
            '\x05' => self.cursor = end,
            '\x06' => self.cursor = (self.cursor + 1).min(end),
            '\x0b' => self.cut(self.cursor, end),
            '\x0e' => return Some(self.newer()),
            '\x10' => return Some(self.older()),
            '\x15' => self.cut(0, self.cursor),
            '\x17' => self.cut(self.word_start(), self.cursor),
            c if c.is_control() => return None,
            c => {
                self.line.insert(self.cursor, c);
                self.cursor += 1;
            }
        }
        Some(Input::Changed)
    }

    fn escaped(&mut self, c: char) -> Option<Input> {
        self.escape.push(c);
        let is_final = self.escape.len() > 2 && ('\x40'..='\x7e').contains(&c);
        if self.escape.len() == 2 && (c == '[' || c == 'O')
            || !is_final && self.escape.len() > 2 && self.escape.len() < 16
        {
            return None;
        }
        let end = self.line.len();
        match std::mem::take(&mut self.escape).as_str() {
            "\x1b[A" | "\x1bOA" => return Some(self.older()),
            "\x1b[B" | "\x1bOB" => return Some(self.newer()),
            "\x1b[C" | "\x1bOC" => self.cursor = (self.cursor + 1).min(end),
            "\x1b[D" | "\x1bOD" => self.cursor = self.cursor.saturating_sub(1),
            "\x1b[H" | "\x1bOH" | "\x1b[1~" => self.cursor = 0,
            "\x1b[F" | "\x1bOF" | "\x1b[4~" => self.cursor = end,
            "\x1b[3~" => self.cut(self.cursor, (self.cursor + 1).min(end)),
            _ => return None,
        }
        Some(Input::Changed)
    }

    fn cut(&mut self, start: usize, end: usize) {
        self.line.drain(start..end);
        self.cursor = start;
    }

    fn word_start(&self) -> usize {
        let before = &self.line[..self.cursor];
        let word_end = before.iter().rposition(|c| !c.is_whitespace()).map_or(0, |at| at + 1);
        before[..word_end].iter().rposition(|c| c.is_whitespace()).map_or(0, |at| at + 1)
    }
}

/// The words of a command line as a shell splits them: quotes keep what is inside together, a backslash the next
/// character. A line that takes a shell goes to `sh -c` whole. `Err` where a quote is not closed.
pub fn argv(line: &str) -> Result<Vec<String>, char> {
    if takes_shell(line) {
        return Ok(["sh", "-c", line].map(str::to_owned).to_vec());
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Whether a line has operators outside quotes (`;`, `&&`, `||`, `|`, `<`, `>`), or something that a shell puts its value
/// in place of: variables, `$(…)` and backquotes, which work inside double quotes too.
fn takes_shell(line: &str) -> bool {
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match (c, quote) {
            ('\'', Some('\'')) | ('"', Some('"')) => quote = None,
            (_, Some('\'')) => {}
            ('\\', _) => {
                chars.next();
            }
            ('$', _) if next.is_some_and(|c| c.is_ascii_alphanumeric() || "_({?$".contains(c)) => {
                return true;
            }
            ('`', _) | (';' | '&' | '|' | '<' | '>', None) => return true,
            ('\'' | '"', None) => quote = Some(c),
            _ => {}
        }
    }
    false
}

fn quoted(quote: char, chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), char> {
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => {
                let next = chars.next().ok_or(quote)?;
                if !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            c => word.push(c),
        }
    }
    Err(quote)
}

fn common_prefix<'a>(a: &'a str, b: &str) -> &'a str {
    let len = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    &a[..len]
}

fn right(n_columns: usize) -> String {
    format!("\x1b[{n_columns}C")
}

fn up(n_rows: usize) -> String {
    if n_rows == 0 { String::new() } else { format!("\x1b[{n_rows}A") }
}

/// Row and column after writing `text` from `at`. A full row leaves the column at `n_columns`: the terminal waits with
/// the wrap until something follows.
fn walk(at: (usize, usize), text: impl Iterator<Item = char>, n_columns: usize) -> (usize, usize) {
    text.fold(at, |(row, column), c| {
        let width = width(c);
        if column + width > n_columns { (row + 1, width) } else { (row, column + width) }
    })
}

fn wrapped((row, column): (usize, usize), n_columns: usize) -> (usize, usize) {
    if column >= n_columns { (row + 1, 0) } else { (row, column) }
}

/// Columns that a character takes (Unicode Standard Annex 11, the ranges that are wide everywhere).
fn width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x1160..=0x11ff | 0x200b..=0x200f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0x33ff
        | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff
        | 0xa960..=0xa97f
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe4f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The shell's prompt in a namespace: the host name of a Pod is its own name.
pub fn prompt_of(target: &Target) -> String {
    match target {
        Target::Pod { name, .. } => format!("root@{name}:/# "),
        Target::Node(name) | Target::Host(name) => format!("{name}:~# "),
    }
}

/// A command line that gives these words again, quoted where needed.
pub fn line_of(argv: &[String]) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+".contains(c);
    let quoted = argv.iter().map(|word| {
        if !word.is_empty() && word.chars().all(is_plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &str) -> Prompt {
        let mut prompt = Prompt::default();
        prompt.remember("ip route");
        prompt.remember("ping -c 1 10.244.2.10");
        prompt.feed(keys);
        prompt
    }

    #[test]
    fn keys_edit_the_line() {
        for (keys, line) in [
            ("ip a\x7fr", "ip r"),
            ("ddr\x01a", "addr"),
            ("ab\x1b[D\x1b[Dx", "xab"),
            ("ab\x1b[D\x1b[3~", "a"),
            ("one two \x17", "one "),
            ("one two\x1b[D\x1b[D\x15", "wo"),
            ("one two\x01\x0b", ""),
            ("\x1b[A", "ping -c 1 10.244.2.10"),
            ("\x1b[A\x1b[A\x1b[A", "ip route"),
            ("draft\x1b[A\x1b[A\x1b[B\x1b[B", "draft"),
            ("\x1bOA\x1b[H\x1b[Fx", "ping -c 1 10.244.2.10x"),
            ("a\x1b[200~b\x1b[201~", "ab"),
            ("한글\x7f이다", "한이다"),
            ("a\x00\x07b", "ab"),
        ] {
            assert_eq!(typed(keys).line(), line, "{keys:?}");
        }
    }

    #[test]
    fn the_prompt_stands_behind_output_that_did_not_end_its_line() {
        let mut prompt = Prompt::default();
        prompt.behind("200", 80);
        assert_eq!(prompt.draw("$ ", 80), "\r\x1b[J200$ \r\x1b[5C");
        prompt.feed("ls");
        assert_eq!(prompt.draw("$ ", 80), "\r\x1b[J200$ ls\r\x1b[7C");
        prompt.undrawn();
        assert_eq!(prompt.draw("$ ", 80), "\r\x1b[J$ ls\r\x1b[4C");
        // A line over two rows is taken away whole, and so is output over two rows.
        prompt.feed("x".repeat(10).as_str());
        prompt.draw("$ ", 10);
        assert_eq!(prompt.erased(), "\x1b[1A\r\x1b[J");
        prompt.behind("0123456789ab", 10);
        assert_eq!(prompt.erased(), "\x1b[1A\r\x1b[J0123456789ab");
    }

    #[test]
    fn enter_and_control_keys_are_told_to_the_page() {
        let mut prompt = Prompt::default();
        assert_eq!(prompt.feed("ls\r").last(), Some(&Input::Run("ls".into())));
        assert_eq!(prompt.feed("x\x03").last(), Some(&Input::Interrupt));
        assert_eq!(prompt.line(), "");
        assert_eq!(prompt.feed("\x0c\t"), [Input::Clear, Input::Complete]);
        assert_eq!(prompt.feed("ab\x01\x04\x04\x04").last(), Some(&Input::End));
    }

    #[test]
    fn a_word_is_completed_as_far_as_it_is_certain() {
        let names = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (commands, hosts) =
            (names(&["ping", "ip", "kubectl"]), names(&["10.244.1.10", "10.244.1.11", "gw"]));
        let mut prompt = typed("ku");
        assert_eq!(prompt.complete(&commands, &hosts), Completion::Extended);
        assert_eq!(prompt.line(), "kubectl ");
        let mut prompt = typed("ping 10");
        assert_eq!(prompt.complete(&commands, &hosts), Completion::Extended);
        assert_eq!(prompt.line(), "ping 10.244.1.1");
        assert_eq!(prompt.complete(&commands, &hosts), Completion::Several(hosts[..2].to_vec()));
        assert_eq!(typed("zz").complete(&commands, &hosts), Completion::None);
    }

    #[test]
    fn a_line_longer_than_the_terminal_is_drawn_over_itself() {
        let mut prompt = Prompt::default();
        prompt.set("abcdef");
        assert_eq!(prompt.draw("$ ", 10), "\r\x1b[J$ abcdef\r\x1b[8C");
        prompt.set("abcdefgh");
        assert_eq!(prompt.draw("$ ", 10), "\r\x1b[J$ abcdefgh\r\n\r", "a full row wraps at once");
        prompt.feed("\x01");
        assert_eq!(prompt.draw("$ ", 10), "\x1b[1A\r\x1b[J$ abcdefgh\r\n\x1b[1A\r\x1b[2C");
        prompt.set("한글");
        assert_eq!(prompt.draw("$ ", 10), "\r\x1b[J$ 한글\r\x1b[6C", "a syllable takes two columns");
    }

    #[test]
    fn a_command_line_is_split_as_a_shell_does() {
        for (line, words) in [
            ("ping -c 3 10.244.2.10", vec!["ping", "-c", "3", "10.244.2.10"]),
            ("  a   'b c' \"d \\\" e\" f\\ g ", vec!["a", "b c", "d \" e", "f g"]),
            ("a ''", vec!["a", ""]),
            ("sh -c 'a; b && c'", vec!["sh", "-c", "a; b && c"]),
            ("a && b", vec!["sh", "-c", "a && b"]),
            ("", vec![]),
        ] {
            assert_eq!(argv(line), Ok(words.into_iter().map(str::to_owned).collect()), "{line}");
        }
        assert_eq!(argv("a 'b"), Err('\''));
        for line in [
            "echo $x",
            "echo \"${x}\"",
            "echo $(id)",
            "echo `id`",
            "echo \"$(id)\"",
            "a;b",
            "a 'x' > y",
            "echo $?",
        ] {
            assert_eq!(argv(line), Ok(["sh", "-c", line].map(str::to_owned).to_vec()), "{line}");
        }
        for line in
            ["grep 'a$b' x", "grep a$ x", r"echo \$x", r#"echo "\$x""#, "echo '`id`'", "a $ b", "a ';'"]
        {
            assert_ne!(argv(line).expect("quotes are closed")[0], "sh", "{line}");
        }
    }
}
