//! The grammar of `sh` as far as it is understood here: lists, `&&`, `||`, pipes, redirections, `if`, `while`, `until`,
//! `for`, `case`, groups, quotes, variables and substitutions (POSIX.1-2024, Shell Command Language). What is left out is
//! refused by name.

mod compound;
mod here;
mod pattern;
mod substitution;
mod word;

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

/// A command of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Assignments, words, redirections.
    Simple(Simple),
    /// Commands whose output is the next one's input.
    Pipe(Vec<Arc<Node>>),
    /// `! a`.
    Not(Arc<Node>),
    /// `a && b`.
    And(Arc<Node>, Arc<Node>),
    /// `a || b`.
    Or(Arc<Node>, Arc<Node>),
    /// `a; b &`: commands, each with whether it runs in the background.
    List(Vec<(Arc<Node>, bool)>),
    /// `while a; do b; done`, or `until`.
    Loop {
        /// Whether it is `until`.
        until: bool,
        /// What decides.
        condition: Arc<Node>,
        /// What is repeated.
        body: Arc<Node>,
    },
    /// `if a; then b; else c; fi`.
    If(Arc<Node>, Arc<Node>, Option<Arc<Node>>),
    /// `for x in a b; do c; done`.
    For(String, Vec<Word>, Arc<Node>),
    /// `case x in a|b) c;; esac`: patterns with what is done where one of them fits.
    Case(Word, Vec<(Vec<Pattern>, Arc<Node>)>),
}

/// A simple command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simple {
    /// `NAME=value` before the command.
    pub assignments: Vec<(String, Word)>,
    /// The command and its arguments.
    pub words: Vec<Word>,
    /// Redirections in order.
    pub redirections: Vec<Redirection>,
}

/// A redirection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirection {
    /// `< file`.
    In(Word),
    /// `<< word`: the text itself.
    Here(Word),
    /// `> file` or `>> file`, of standard output (1) or standard error (2).
    Out {
        /// Which stream.
        stream: u8,
        /// Whether it is added to the file.
        append: bool,
        /// The file.
        file: Word,
    },
    /// `2>&1`, `1>&2`: the first goes where the second goes.
    Same(u8, u8),
}

/// A word: pieces that are put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word(pub Vec<Piece>);

/// A pattern of `case`: its word, and whether any of it was quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub Word, pub bool);

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// `*` or `?` outside quotes, which a pattern of `case` may hold.
    Glob(char),
    /// A variable, and whether it stands in quotes, where it is not split into words.
    Variable(String, bool),
    /// `$(…)` or backquotes, and whether in quotes: what the command writes.
    Command(Arc<Node>, bool),
    /// `$((…))`, and whether in quotes.
    Arithmetic(Word, bool),
    /// What a substitution came to.
    Output {
        /// Its text.
        text: String,
        /// Whether it stands in quotes.
        quoted: bool,
        /// The status of the command.
        status: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word, and whether any of it was quoted.
    Word(Word, bool),
    /// An operator.
    Op(&'static str),
    /// A number right before a redirection.
    Number(u8),
}

/// Reads a script. An error is a message in the words of `dash`, or names what is not simulated.
pub fn parse(text: &str) -> Result<Arc<Node>, String> {
    parse_within(text, 0)
}

/// How deep commands and substitutions nest at most, so that no line exhausts the stack.
const DEPTH_MAX: u32 = 64;

/// Reads a script that stands within `depth` substitutions.
fn parse_within(text: &str, depth: u32) -> Result<Arc<Node>, String> {
    let lexer = Lexer::new(text, depth);
    lexer.check_depth()?;
    let mut parser = Parser { tokens: lexer.run()?, at: 0, depth };
    let node = parser.list(&[])?;
    match parser.peek() {
        None => Ok(Arc::new(node)),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    tokens: Vec<Token>,
    /// Here-documents whose text begins with the next line.
    pending: Vec<here::Pending>,
    /// Substitutions that it stands in.
    depth: u32,
}

fn too_deep() -> String {
    format!("commands nested more than {DEPTH_MAX} times are not simulated in a shell")
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, depth: u32) -> Self {
        Self { rest: text.chars().peekable(), tokens: Vec::new(), pending: Vec::new(), depth }
    }

    fn check_depth(&self) -> Result<(), String> {
        if self.depth > DEPTH_MAX { Err(too_deep()) } else { Ok(()) }
    }

    fn run(mut self) -> Result<Vec<Token>, String> {
        while let Some(&letter) = self.rest.peek() {
            match letter {
                ' ' | '\t' => {
                    self.rest.next();
                }
                '#' => while self.rest.next_if(|letter| *letter != '\n').is_some() {},
                '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => self.operator()?,
                _ => self.word()?,
            }
        }
        if self.pending.is_empty() {
            return Ok(self.tokens);
        }
        Err("Syntax error: end of file unexpected".to_owned())
    }

    fn operator(&mut self) -> Result<(), String> {
        let first = self.rest.next().unwrap_or(' ');
        let mut follows = |wanted: char| self.rest.next_if_eq(&wanted).is_some();
        let op = match first {
            '\n' => "\n",
            ';' if follows(';') => ";;",
            ';' => ";",
            '&' if follows('&') => "&&",
            '&' => "&",
            '|' if follows('|') => "||",
            '|' => "|",
            '<' if follows('<') => return self.here(),
            '<' => "<",
            '>' if follows('>') => ">>",
            '>' if follows('&') => ">&",
            '>' => ">",
            '(' => "(",
            _ => ")",
        };
        self.tokens.push(Token::Op(op));
        if op == "\n" { self.documents() } else { Ok(()) }
    }

    fn word(&mut self) -> Result<(), String> {
        let mut word = Word::default();
        let mut text: Option<String> = None;
        let mut quoted = false;
        while let Some(&letter) = self.rest.peek() {
            if " \t\n;&|<>()".contains(letter) {
                break;
            }
            self.rest.next();
            match letter {
                '\'' => {
                    quoted |= !names_variable(&word, text.as_deref());
                    self.single(text.get_or_insert_default())?;
                }
                '"' => {
                    quoted |= !names_variable(&word, text.as_deref());
                    text.get_or_insert_default();
                    self.double(&mut word, &mut text)?;
                }
                '\\' => {
                    quoted = true;
                    text.get_or_insert_default().extend(self.rest.next().filter(|letter| *letter != '\n'));
                }
                '`' => {
                    word.0.extend(text.take().map(Piece::Text));
                    word.0.push(self.backquoted(false)?);
                }
                '$' => self.variable(&mut word, &mut text, false)?,
                '*' | '?' => {
                    word.0.extend(text.take().map(Piece::Text));
                    word.0.push(Piece::Glob(letter));
                }
                other => text.get_or_insert_default().push(other),
            }
        }
        let number =
            text.as_deref().filter(|_| word.0.is_empty() && !quoted).and_then(|text| text.parse().ok());
        if let (Some(number @ 0..=2), Some('<' | '>')) = (number, self.rest.peek()) {
            self.tokens.push(Token::Number(number));
            return Ok(());
        }
        word.0.extend(text.map(Piece::Text));
        self.tokens.push(Token::Word(word, quoted));
        Ok(())
    }

    fn single(&mut self, text: &mut String) -> Result<(), String> {
        for letter in self.rest.by_ref() {
            if letter == '\'' {
                return Ok(());
            }
            text.push(letter);
        }
        Err("Syntax error: Unterminated quoted string".to_owned())
    }

    fn double(&mut self, word: &mut Word, text: &mut Option<String>) -> Result<(), String> {
        self.interpolated(word, text, Some('"'))
    }

    /// Text in which variables and commands are worked out, up to this letter; without one to the end.
    fn interpolated(
        &mut self,
        word: &mut Word,
        text: &mut Option<String>,
        end: Option<char>,
    ) -> Result<(), String> {
        while let Some(letter) = self.rest.next() {
            match letter {
                _ if Some(letter) == end => return Ok(()),
                '`' => {
                    word.0.extend(text.take().map(Piece::Text));
                    word.0.push(self.backquoted(true)?);
                    text.get_or_insert_default();
                }
                '$' => {
                    self.variable(word, text, true)?;
                    text.get_or_insert_default();
                }
                '\\' => match self.rest.next_if(|next| "\\$`\n".contains(*next) || Some(*next) == end) {
                    Some('\n') => {}
                    Some(next) => text.get_or_insert_default().push(next),
                    None => text.get_or_insert_default().push('\\'),
                },
                other => text.get_or_insert_default().push(other),
            }
        }
        if end.is_some() { Err("Syntax error: Unterminated quoted string".to_owned()) } else { Ok(()) }
    }

    fn variable(&mut self, word: &mut Word, text: &mut Option<String>, quoted: bool) -> Result<(), String> {
        let name: String = match self.rest.peek() {
            Some('(') => {
                word.0.extend(text.take().map(Piece::Text));
                word.0.push(self.bracketed(quoted)?);
                return Ok(());
            }
            Some('{') => {
                self.rest.next();
                let mut name = String::new();
                while let Some(letter) = self.rest.next_if(|letter| *letter != '}') {
                    name.push(letter);
                }
                if self.rest.next().is_none()
                    || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_?$#".contains(&byte))
                {
                    return Err(not_simulated(&format!("${{{name}}}")));
                }
                name
            }
            Some('?' | '$' | '#' | '@' | '*' | '!' | '0'..='9') => self.rest.next().into_iter().collect(),
            Some(letter) if letter.is_ascii_alphabetic() || *letter == '_' => {
                let mut name = String::new();
                while let Some(letter) =
                    self.rest.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
                {
                    name.push(letter);
                }
                name
            }
            _ => {
                text.get_or_insert_default().push('$');
                return Ok(());
            }
        };
        word.0.extend(text.take().map(Piece::Text));
        word.0.push(Piece::Variable(name, quoted));
        Ok(())
    }
}

/// Words that begin or end a compound command where a command is expected.
const RESERVED: [&str; 15] = [
    "if", "then", "else", "elif", "fi", "do", "done", "while", "until", "for", "case", "esac", "{", "}", "!",
];

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// Commands that the one being read stands in.
    depth: u32,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next_if_op(&mut self, op: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Op(found)) if *found == op);
        self.at += usize::from(is_it);
        is_it
    }

    /// The reserved word that stands here.
    fn reserved(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word, false)) => word.text().filter(|text| RESERVED.contains(text)),
            _ => None,
        }
    }

    fn next_if_reserved(&mut self, word: &str) -> bool {
        let is_it = self.reserved() == Some(word);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        if self.next_if_reserved(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> String {
        let what = match self.peek() {
            None => return "Syntax error: end of file unexpected".to_owned(),
            Some(Token::Op("\n")) => return "Syntax error: newline unexpected".to_owned(),
            Some(Token::Op(op)) => (*op).to_owned(),
            Some(Token::Word(word, _)) => word.text().unwrap_or("word").to_owned(),
            Some(Token::Number(number)) => number.to_string(),
        };
        format!("Syntax error: \"{what}\" unexpected")
    }

    /// Commands up to one of these reserved words, or to the end.
    fn list(&mut self, ends: &[&str]) -> Result<Node, String> {
        let mut items = Vec::new();
        loop {
            while self.next_if_op("\n") {}
            let over = match self.peek() {
                None | Some(Token::Op(")" | ";;")) => true,
                Some(_) => self.reserved().is_some_and(|word| ends.contains(&word)),
            };
            if over {
                break;
            }
            let node = Arc::new(self.and_or()?);
            let background = self.next_if_op("&");
            items.push((node, background));
            if !background && !self.next_if_op(";") && !self.next_if_op("\n") {
                break;
            }
        }
        match items.as_slice() {
            [(node, false)] => Ok((**node).clone()),
            _ => Ok(Node::List(items)),
        }
    }

    fn and_or(&mut self) -> Result<Node, String> {
        let mut node = self.pipe()?;
        loop {
            let is_and = self.next_if_op("&&");
            if !is_and && !self.next_if_op("||") {
                return Ok(node);
            }
            while self.next_if_op("\n") {}
            let right = Arc::new(self.pipe()?);
            node = if is_and { Node::And(Arc::new(node), right) } else { Node::Or(Arc::new(node), right) };
        }
    }

    fn pipe(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_deep());
        }
        let node = self.commands()?;
        self.depth -= 1;
        Ok(node)
    }

    fn commands(&mut self) -> Result<Node, String> {
        if self.next_if_reserved("!") {
            return Ok(Node::Not(Arc::new(self.pipe()?)));
        }
        let mut nodes = vec![Arc::new(self.command()?)];
        while self.next_if_op("|") {
            while self.next_if_op("\n") {}
            nodes.push(Arc::new(self.command()?));
        }
        match nodes.as_slice() {
            [node] => Ok((**node).clone()),
            _ => Ok(Node::Pipe(nodes)),
        }
    }

    fn body(&mut self, end: &str) -> Result<Arc<Node>, String> {
        let node = Arc::new(self.list(&[end])?);
        self.expect(end)?;
        Ok(node)
    }

    fn command(&mut self) -> Result<Node, String> {
        if self.next_if_op("(") {
            let node = self.list(&[])?;
            return if self.next_if_op(")") { Ok(node) } else { Err(self.unexpected()) };
        }
        match self.reserved().unwrap_or("") {
            "" => self.simple(),
            "{" => {
                self.at += 1;
                Ok((*self.body("}")?).clone())
            }
            word @ ("while" | "until") => {
                let until = word == "until";
                self.at += 1;
                let condition = self.body("do")?;
                Ok(Node::Loop { until, condition, body: self.body("done")? })
            }
            "if" => {
                self.at += 1;
                self.branches()
            }
            "for" => {
                self.at += 1;
                self.for_loop()
            }
            "case" => {
                self.at += 1;
                self.case()
            }
            _ => Err(self.unexpected()),
        }
    }

    fn simple(&mut self) -> Result<Node, String> {
        let mut simple = Simple::default();
        let first = self.at;
        loop {
            match self.peek().cloned() {
                Some(Token::Word(word, quoted)) => {
                    self.at += 1;
                    without_globs(&word)?;
                    let assignment =
                        if simple.words.is_empty() && !quoted { assignment(&word) } else { None };
                    match assignment {
                        Some(assignment) => simple.assignments.push(assignment),
                        None => simple.words.push(word),
                    }
                }
                Some(Token::Number(number)) => {
                    self.at += 1;
                    self.redirection(&mut simple, Some(number))?;
                }
                Some(Token::Op("<" | "<<" | ">" | ">>" | ">&")) => self.redirection(&mut simple, None)?,
                Some(Token::Op(_)) | None => break,
            }
        }
        if self.at == first {
            return Err(self.unexpected());
        }
        Ok(Node::Simple(simple))
    }

    fn redirection(&mut self, simple: &mut Simple, number: Option<u8>) -> Result<(), String> {
        let op = match self.peek() {
            Some(Token::Op(op)) => *op,
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        let Some(Token::Word(file, _)) = self.peek().cloned() else { return Err(self.unexpected()) };
        self.at += 1;
        without_globs(&file)?;
        let stream = number.unwrap_or(1);
        simple.redirections.push(match op {
            "<" => Redirection::In(file),
            "<<" => Redirection::Here(file),
            ">&" => match file.text().and_then(|text| text.parse().ok()) {
                Some(other) => Redirection::Same(stream, other),
                None => return Err(not_simulated(">&")),
            },
            _ => Redirection::Out { stream, append: op == ">>", file },
        });
        Ok(())
    }
}

/// Patterns of file names are not looked for.
fn without_globs(word: &Word) -> Result<(), String> {
    word.0.iter().try_for_each(|piece| match piece {
        Piece::Glob(letter) => Err(not_simulated(&letter.to_string())),
        Piece::Text(_)
        | Piece::Variable(..)
        | Piece::Command(..)
        | Piece::Arithmetic(..)
        | Piece::Output { .. } => Ok(()),
    })
}

/// Whether what stands before a quote is `NAME=`: the word is an assignment, whatever is quoted in its value.
fn names_variable(word: &Word, text: Option<&str>) -> bool {
    let first = match word.0.first() {
        Some(Piece::Text(first)) => Some(first.as_str()),
        Some(
            Piece::Variable(..)
            | Piece::Command(..)
            | Piece::Arithmetic(..)
            | Piece::Output { .. }
            | Piece::Glob(_),
        ) => None,
        None => text,
    };
    first.is_some_and(|first| assignment(&Word(vec![Piece::Text(first.to_owned())])).is_some())
}

/// `NAME=value`, as an assignment.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Piece::Text(first)) = word.0.first() else { return None };
    let (name, value) = first.split_once('=')?;
    let is_name = !name.is_empty()
        && !name.starts_with(|letter: char| letter.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let pieces = [Piece::Text(value.to_owned())].into_iter().chain(word.0[1..].iter().cloned()).collect();
    is_name.then(|| (name.to_owned(), Word(pieces)))
}

fn not_simulated(what: &str) -> String {
    format!("\"{what}\" is not simulated in a shell")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(node: &Node) -> String {
        match node {
            Node::Simple(simple) => {
                let value = |name: &str| format!("${name}");
                let mut words: Vec<String> = simple
                    .assignments
                    .iter()
                    .map(|(name, word)| format!("{name}={}", word.join(&value)))
                    .collect();
                words.extend(simple.words.iter().flat_map(|word| word.expand(&value)));
                words.extend(simple.redirections.iter().map(|redirection| match redirection {
                    Redirection::In(file) => format!("<{}", file.join(&value)),
                    Redirection::Here(text) => format!("<<{}", text.join(&value)),
                    Redirection::Out { stream, append, file } => {
                        format!("{stream}{}{}", if *append { ">>" } else { ">" }, file.join(&value))
                    }
                    Redirection::Same(a, b) => format!("{a}>&{b}"),
                }));
                words.join("_")
            }
            Node::Pipe(nodes) => nodes.iter().map(|node| text(node)).collect::<Vec<_>>().join(" | "),
            Node::Not(node) => format!("!{}", text(node)),
            Node::And(a, b) => format!("({} && {})", text(a), text(b)),
            Node::Or(a, b) => format!("({} || {})", text(a), text(b)),
            Node::List(items) => {
                let item = |(node, background): &(Arc<Node>, bool)| {
                    format!("{}{}", text(node), if *background { "&" } else { ";" })
                };
                items.iter().map(item).collect()
            }
            Node::Loop { until, condition, body } => {
                format!("{}[{}]{{{}}}", if *until { "until" } else { "while" }, text(condition), text(body))
            }
            Node::If(a, b, c) => {
                format!("if[{}]{{{}}}{{{}}}", text(a), text(b), c.as_ref().map_or(String::new(), |c| text(c)))
            }
            Node::For(name, words, body) => format!("for {name} {}{{{}}}", words.len(), text(body)),
            Node::Case(_, arms) => {
                let arm = |(patterns, body): &(Vec<Pattern>, Arc<Node>)| {
                    let pattern = |Pattern(word, _): &Pattern| word.join(&|name| format!("${name}"));
                    let patterns: Vec<String> = patterns.iter().map(pattern).collect();
                    format!("{}){{{}}}", patterns.join("|"), text(body))
                };
                format!("case {}", arms.iter().map(arm).collect::<String>())
            }
        }
    }

    fn check(line: &str, expected: &str) {
        let found = parse(line).map_or_else(|error| error, |node| text(&node));
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn a_line_is_split_at_joiners_outside_quotes() {
        check("ping -c1 a", "ping_-c1_a");
        check("a; b && c || d", "a;((b && c) || d);");
        check(r#"echo 'a;b' "c && \"d" e\ f"#, r#"echo_a;b_c && "d_e f"#);
        check("a &&b;", "(a && b)");
        check("echo '' # note", "echo_");
        check("", "");
        check("a | b 2>&1 | c >> /f 2>/dev/null <x", "a | b_2>&1 | c_1>>/f_2>/dev/null_<x");
        check("a & b", "a&b;");
    }

    #[test]
    fn compound_commands_nest() {
        check("while true; do a; sleep 1; done", "while[true]{a;sleep_1;}");
        check("until a\ndo b; done; c", "until[a]{b};c;");
        check("if a; then b; elif c; then d; else e; fi", "if[a]{b}{if[c]{d}{e}}");
        check("for i in 1 2 3; do echo $i; done", "for i 3{echo_$i}");
        check("(a; b) | c", "a;b; | c");
        check("{ a; b; }", "a;b;");
        check("case $1 in a|b) c; d;; (*.x) e ;; esac", "case a|b){c;d;}*.x){e}");
        check("case x in\n?) a\nesac; b", "case ?){a};b;");
        check("case x in esac", "case ");
        check("X=1 Y=$X run", "X=1_Y=$X_run");
        check("! a && b", "(!a && b)");
    }

    #[test]
    fn variables_are_split_outside_quotes() {
        let Ok(node) = parse(r#"$A "$A" x${A}y '$A' $B"$B""#) else { panic!("it is a line") };
        let Node::Simple(simple) = &*node else { panic!("it is simple") };
        let value = |name: &str| if name == "A" { "1 2".to_owned() } else { String::new() };
        let words: Vec<String> = simple.words.iter().flat_map(|word| word.expand(&value)).collect();
        assert_eq!(words, ["1", "2", "1 2", "x1", "2y", "$A", ""]);
    }

    #[test]
    fn more_of_a_shell_is_refused_by_name() {
        check("echo ${HOME:-x}", "\"${HOME:-x}\" is not simulated in a shell");
        check("ls *", "\"*\" is not simulated in a shell");
    }

    #[test]
    fn depth_is_bounded() {
        let wanted = "commands nested more than 64 times are not simulated in a shell";
        for line in [
            "(".repeat(50_000),
            "! ".repeat(50_000),
            "$(".repeat(200) + &")".repeat(200),
            "if a; then b; el".repeat(5_000),
        ] {
            check(&line, wanted);
        }
    }

    #[test]
    fn mistakes_are_told_as_dash_tells_them() {
        check("; a", "Syntax error: \";\" unexpected");
        check("a && || b", "Syntax error: \"||\" unexpected");
        check("a ||", "Syntax error: end of file unexpected");
        check("echo 'a", "Syntax error: Unterminated quoted string");
        check("while true; do a", "Syntax error: end of file unexpected");
        check("a; done", "Syntax error: \"done\" unexpected");
        check("a ;; b", "Syntax error: \";;\" unexpected");
        check("case x in a) b", "Syntax error: end of file unexpected (expecting \";;\")");
        check("case x on", "Syntax error: word unexpected (expecting \"in\")");
    }
}
