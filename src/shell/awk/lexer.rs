//! The words of an awk program.

use super::Wrong;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Regex(String),
    Name(String),
    /// A function of the language.
    Function(&'static str),
    Keyword(&'static str),
    Op(&'static str),
    Newline,
}

const KEYWORDS: [&str; 15] = [
    "BEGIN", "END", "if", "else", "while", "for", "do", "in", "next", "exit", "print", "printf", "delete",
    "break", "continue",
];

/// Functions that are simulated.
const FUNCTIONS: [&str; 11] =
    ["length", "substr", "index", "split", "sub", "gsub", "match", "sprintf", "toupper", "tolower", "int"];

/// What there is besides, and is not simulated.
const OTHERS: [&str; 17] = [
    "getline", "function", "func", "return", "system", "close", "fflush", "srand", "rand", "sin", "cos",
    "atan2", "exp", "log", "sqrt", "nextfile", "mktime",
];

/// Operators, longer ones first.
const OPS: [&str; 43] = [
    "**=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "**", "==", "<=", ">=", "!=", ">>",
    "!~", "{", "}", "(", ")", "[", "]", ";", ",", "+", "-", "*", "/", "%", "^", "!", ">", "<", "|", "?", ":",
    "~", "$", "=", "&", "@",
];

/// How much of a text without an end is shown.
const SHOWN: usize = 11;

/// Reads a program.
pub(super) fn tokens(program: &str) -> Result<Vec<(Token, usize)>, Wrong> {
    let mut lexer = Lexer { rest: program, line: 1, tokens: Vec::new() };
    while lexer.next()? {}
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<(Token, usize)>,
}

impl Lexer<'_> {
    fn push(&mut self, token: Token, len: usize) {
        self.tokens.push((token, self.line));
        self.rest = &self.rest[len..];
    }

    /// Reads the next token; false at the end.
    fn next(&mut self) -> Result<bool, Wrong> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        if let Some(rest) = self.rest.strip_prefix("\\\n") {
            self.line += 1;
            self.rest = rest;
            return Ok(true);
        }
        let Some(letter) = self.rest.chars().next() else { return Ok(false) };
        match letter {
            '#' => self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..],
            '\n' => {
                self.push(Token::Newline, 1);
                self.line += 1;
            }
            '"' => self.quoted('"')?,
            '/' if !self.follows_operand() => self.quoted('/')?,
            '0'..='9' | '.' => self.number()?,
            'a'..='z' | 'A'..='Z' | '_' => self.word()?,
            _ => {
                let op = OPS.into_iter().find(|op| self.rest.starts_with(op));
                let op = op.ok_or_else(|| Wrong::Syntax(self.line, letter.to_string()))?;
                self.push(Token::Op(op), op.len());
            }
        }
        Ok(true)
    }

    /// Whether a slash divides here, and begins no expression to search for.
    fn follows_operand(&self) -> bool {
        match self.tokens.last() {
            Some((Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Name(_), _)) => true,
            Some((Token::Function(name), _)) => *name == "length",
            Some((Token::Op(op), _)) => matches!(*op, ")" | "]" | "$" | "++" | "--"),
            Some((Token::Keyword(_) | Token::Newline, _)) | None => false,
        }
    }

    fn number(&mut self) -> Result<(), Wrong> {
        let end = self.rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let mut end = end.unwrap_or(self.rest.len());
        let exponent = &self.rest[end..];
        let digits = exponent.trim_start_matches(['e', 'E']).trim_start_matches(['+', '-']);
        if exponent.starts_with(['e', 'E']) && digits.starts_with(|letter: char| letter.is_ascii_digit()) {
            let len = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
            end += exponent.len() - digits.len() + len;
        }
        let text = &self.rest[..end];
        let number = text.parse().map_err(|_| Wrong::Syntax(self.line, text.to_owned()))?;
        self.push(Token::Number(number), end);
        Ok(())
    }

    fn word(&mut self) -> Result<(), Wrong> {
        let end = self.rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let end = end.unwrap_or(self.rest.len());
        let word = self.rest[..end].to_owned();
        if OTHERS.contains(&word.as_str()) {
            return Err(Wrong::NotSimulated(word));
        }
        let keyword = KEYWORDS.into_iter().find(|keyword| *keyword == word);
        let function = FUNCTIONS.into_iter().find(|function| *function == word);
        if keyword.is_none() && function.is_none() && self.rest[end..].starts_with('(') {
            return Err(Wrong::NotSimulated(format!("{word}()")));
        }
        let token = match (keyword, function) {
            (Some(keyword), _) => Token::Keyword(keyword),
            (None, Some(function)) => Token::Function(function),
            (None, None) => Token::Name(word),
        };
        self.push(token, end);
        Ok(())
    }

    /// A text in quotes, or an expression between slashes.
    fn quoted(&mut self, mark: char) -> Result<(), Wrong> {
        let mut out = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                letter if letter == mark => {
                    self.push(if mark == '"' { Token::Text(out) } else { Token::Regex(out) }, at + 1);
                    return Ok(());
                }
                '\n' => break,
                '\\' => match letters.next().map(|(_, next)| next) {
                    Some('/') => out.push('/'),
                    Some('"') if mark == '"' => out.push('"'),
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('\\') if mark == '"' => out.push('\\'),
                    Some(next) => out.extend(['\\', next]),
                    None => break,
                },
                letter => out.push(letter),
            }
        }
        let what = if mark == '"' { "runaway string constant" } else { "runaway regular expression" };
        Err(Wrong::Said(format!(
            "line {}: {what} {} ...",
            self.line,
            self.rest.lines().next().unwrap_or("").chars().take(SHOWN).collect::<String>()
        )))
    }
}
