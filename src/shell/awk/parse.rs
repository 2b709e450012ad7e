//! The grammar of awk (POSIX.1-2024, `awk`, "Grammar"), as far as it is simulated.

use super::Wrong;
use super::lexer::{Token, tokens};
use crate::shell::posix_regex::{Unusable, compiled, translated};
use regex_lite::Regex;

/// A program: rules in order.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) begin: Vec<Statement>,
    pub(super) rules: Vec<(Pattern, Vec<Statement>)>,
    pub(super) end: Vec<Statement>,
    /// Whether input is read at all.
    pub(super) reads: bool,
}

/// When a rule applies.
#[derive(Debug)]
pub(super) enum Pattern {
    Always,
    Where(Expr),
    /// From a line for which the first holds to one for which the second does; the number tells ranges apart.
    Range(Expr, Expr, usize),
}

#[derive(Debug)]
pub(super) enum Statement {
    Expr(Expr),
    Print(Vec<Expr>),
    Printf(Vec<Expr>),
    If(Expr, Vec<Statement>, Vec<Statement>),
    While(Expr, Vec<Statement>),
    DoWhile(Vec<Statement>, Expr),
    For(Option<Box<Statement>>, Option<Expr>, Option<Box<Statement>>, Vec<Statement>),
    ForIn(String, String, Vec<Statement>),
    Delete(String, Option<Expr>),
    Next,
    Exit(Option<Expr>),
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) enum Expr {
    Number(f64),
    Text(String),
    Regex(Regex),
    Name(String),
    Index(String, Box<Expr>),
    Field(Box<Expr>),
    /// To a variable, element or field; with an operator, by what it has.
    Assign(Option<&'static str>, Box<Expr>, Box<Expr>),
    Cond(Box<Expr>, Box<Expr>, Box<Expr>),
    Logic(bool, Box<Expr>, Box<Expr>),
    In(Box<Expr>, String),
    Match(bool, Box<Expr>, Box<Expr>),
    Compare(&'static str, Box<Expr>, Box<Expr>),
    Concat(Box<Expr>, Box<Expr>),
    Calc(&'static str, Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    Plus(Box<Expr>),
    Not(Box<Expr>),
    /// `++` and `--`: whether before the operand, and by how much.
    Step(bool, f64, Box<Expr>),
    Call(&'static str, Vec<Expr>),
    /// In brackets, which is no place to assign to.
    Group(Box<Expr>),
}

/// How deep expressions and statements nest at most, so that no program exhausts the stack.
const DEPTH_MAX: u32 = 48;
/// Separates the subscripts of one element (`SUBSEP`).
pub(super) const SUBSEP: &str = "\u{1c}";

/// Reads a program.
pub(super) fn parse(text: &str) -> Result<Program, Wrong> {
    let lines = text.matches('\n').count() + 1;
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, in_print: false, lines, operators: 0 };
    let mut program = Program::default();
    loop {
        parser.skip(&["\n", ";"]);
        if parser.peek().is_none() {
            return Ok(program);
        }
        parser.item(&mut program)?;
    }
}

/// An extended expression to search with.
pub(super) fn regex(pattern: &str) -> Result<Regex, Wrong> {
    translated(pattern, true).and_then(|text| compiled(&text)).map_err(|why| match why {
        Unusable::Wrong("Unmatched ( or \\(") => {
            Wrong::Said(format!("line 1: regular expression compile failed (missing ')')\n{pattern}"))
        }
        Unusable::Wrong(text) => {
            Wrong::Said(format!("line 1: regular expression compile failed ({text})\n{pattern}"))
        }
        Unusable::Unsimulated(what) => Wrong::NotSimulated(what.to_owned()),
    })
}

pub(super) struct Parser {
    pub(super) tokens: Vec<(Token, usize)>,
    pub(super) at: usize,
    depth: u32,
    /// Whether `>` would be a redirection.
    pub(super) in_print: bool,
    pub(super) lines: usize,
    /// Operators of the rule being read.
    pub(super) operators: u32,
}

impl Parser {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    pub(super) fn op(&self) -> &'static str {
        match self.peek() {
            Some(Token::Op(op)) => op,
            Some(Token::Newline) => "\n",
            Some(_) | None => "",
        }
    }

    pub(super) fn keyword(&self) -> &'static str {
        if let Some(Token::Keyword(word)) = self.peek() { word } else { "" }
    }

    pub(super) fn next_if(&mut self, op: &str) -> bool {
        let is_it = self.op() == op && !op.is_empty();
        self.at += usize::from(is_it);
        is_it
    }

    pub(super) fn skip(&mut self, ops: &[&str]) {
        while ops.contains(&self.op()) && !self.op().is_empty() {
            self.at += 1;
        }
    }

    pub(super) fn expect(&mut self, op: &str) -> Result<(), Wrong> {
        if self.next_if(op) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(super) fn unexpected(&self) -> Wrong {
        let line = self.tokens.get(self.at).map_or(self.lines, |(_, line)| *line);
        match self.peek() {
            None | Some(Token::Newline) => Wrong::Syntax(line, "end of line".to_owned()),
            Some(Token::Op(op @ (")" | "]"))) if self.depth < 3 => {
                Wrong::Said(format!("line {line}: extra '{op}'"))
            }
            Some(Token::Op(op)) => Wrong::Syntax(line, (*op).to_owned()),
            Some(Token::Number(number)) => Wrong::Syntax(line, number.to_string()),
            Some(Token::Text(text)) => Wrong::Syntax(line, format!("\"{text}\"")),
            Some(Token::Regex(text)) => Wrong::Syntax(line, format!("/{text}/")),
            Some(Token::Name(name)) => Wrong::Syntax(line, name.clone()),
            Some(Token::Function(name) | Token::Keyword(name)) => Wrong::Syntax(line, (*name).to_owned()),
        }
    }

    /// Goes one step deeper.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Wrong::NotSimulated(format!("programs nested more than {DEPTH_MAX} times")));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn item(&mut self, program: &mut Program) -> Result<(), Wrong> {
        self.operators = 0;
        match self.keyword() {
            "BEGIN" => {
                self.at += 1;
                program.begin.extend(self.block()?);
                return Ok(());
            }
            "END" => {
                self.at += 1;
                program.reads = true;
                program.end.extend(self.block()?);
                return Ok(());
            }
            _ => {}
        }
        program.reads = true;
        if self.op() == "}" {
            let line = self.tokens[self.at].1;
            let near = "syntax error at or near end of line";
            return Err(Wrong::Said(format!("line {line}: extra '}}'\nawk: line {line}: {near}")));
        }
        let pattern = if self.op() == "{" {
            Pattern::Always
        } else {
            let first = self.expr()?;
            if self.next_if(",") {
                self.skip(&["\n"]);
                Pattern::Range(first, self.expr()?, program.rules.len())
            } else {
                Pattern::Where(first)
            }
        };
        let action = match self.op() {
            "{" => self.block()?,
            "" if self.peek().is_some() => return Err(self.unexpected()),
            "" | "\n" | ";" => vec![Statement::Print(Vec::new())],
            _ => return Err(self.unexpected()),
        };
        program.rules.push((pattern, action));
        Ok(())
    }

    fn block(&mut self) -> Result<Vec<Statement>, Wrong> {
        self.expect("{")?;
        let mut out = Vec::new();
        loop {
            self.skip(&["\n", ";"]);
            if self.next_if("}") {
                return Ok(out);
            }
            if self.peek().is_none() {
                // The program counts the end of the text as a line of its own.
                return Err(Wrong::Said(format!("line {}: missing }} near end of file", self.lines + 1)));
            }
            out.push(self.statement()?);
        }
    }

    /// The statement, or block, that a condition or loop governs.
    fn body(&mut self) -> Result<Vec<Statement>, Wrong> {
        self.skip(&["\n"]);
        if self.op() == "{" {
            return self.nested(Self::block);
        }
        if self.next_if(";") {
            return Ok(Vec::new());
        }
        Ok(vec![self.statement()?])
    }

    fn statement(&mut self) -> Result<Statement, Wrong> {
        self.nested(Self::any_statement)
    }

    fn any_statement(&mut self) -> Result<Statement, Wrong> {
        let keyword = self.keyword();
        match keyword {
            "if" => self.conditional(),
            "while" => {
                self.at += 1;
                let condition = self.condition()?;
                Ok(Statement::While(condition, self.body()?))
            }
            "do" => {
                self.at += 1;
                let body = self.body()?;
                self.skip(&["\n", ";"]);
                if self.keyword() != "while" {
                    return Err(self.unexpected());
                }
                self.at += 1;
                Ok(Statement::DoWhile(body, self.condition()?))
            }
            "for" => {
                self.at += 1;
                self.for_loop()
            }
            _ => {
                let statement = if self.op() == "{" { self.grouped()? } else { self.simple()? };
                match self.op() {
                    ";" | "\n" => self.at += 1,
                    "}" => {}
                    "" if self.peek().is_none() => {}
                    ">" | ">>" | "|" => {
                        return Err(Wrong::NotSimulated(format!("output by {}", self.op())));
                    }
                    _ => return Err(self.unexpected()),
                }
                Ok(statement)
            }
        }
    }

    /// Statements in braces, as one.
    fn grouped(&mut self) -> Result<Statement, Wrong> {
        let block = self.block()?;
        Ok(Statement::If(Expr::Number(1.0), block, Vec::new()))
    }

    fn condition(&mut self) -> Result<Expr, Wrong> {
        self.expect("(")?;
        let condition = self.expr()?;
        self.expect(")")?;
        Ok(condition)
    }

    fn conditional(&mut self) -> Result<Statement, Wrong> {
        self.at += 1;
        let condition = self.condition()?;
        let yes = self.body()?;
        let before = self.at;
        self.skip(&["\n", ";"]);
        if self.keyword() != "else" {
            self.at = before;
            return Ok(Statement::If(condition, yes, Vec::new()));
        }
        self.at += 1;
        Ok(Statement::If(condition, yes, self.body()?))
    }

    fn for_loop(&mut self) -> Result<Statement, Wrong> {
        self.expect("(")?;
        if let [
            (Token::Name(name), _),
            (Token::Keyword("in"), _),
            (Token::Name(array), _),
            (Token::Op(")"), _),
            ..,
        ] = &self.tokens[self.at..]
        {
            let (name, array) = (name.clone(), array.clone());
            self.at += 4;
            return Ok(Statement::ForIn(name, array, self.body()?));
        }
        let part = |parser: &mut Self, end: &str| -> Result<Option<Box<Statement>>, Wrong> {
            if parser.op() == end { Ok(None) } else { parser.simple().map(|part| Some(Box::new(part))) }
        };
        let first = part(self, ";")?;
        self.expect(";")?;
        let condition = if self.op() == ";" { None } else { Some(self.expr()?) };
        self.expect(";")?;
        let step = part(self, ")")?;
        self.expect(")")?;
        Ok(Statement::For(first, condition, step, self.body()?))
    }

    fn simple(&mut self) -> Result<Statement, Wrong> {
        let keyword = self.keyword();
        if keyword.is_empty() {
            return Ok(Statement::Expr(self.expr()?));
        }
        self.at += 1;
        let ends = matches!(self.op(), ";" | "\n" | "}") || self.peek().is_none();
        match keyword {
            "print" => Ok(Statement::Print(self.printed()?)),
            "printf" => {
                let list = self.printed()?;
                if list.is_empty() { Err(self.unexpected()) } else { Ok(Statement::Printf(list)) }
            }
            "next" => Ok(Statement::Next),
            "exit" if ends => Ok(Statement::Exit(None)),
            "exit" => Ok(Statement::Exit(Some(self.expr()?))),
            "break" => Ok(Statement::Break),
            "continue" => Ok(Statement::Continue),
            "delete" => {
                let Some(Token::Name(name)) = self.peek().cloned() else { return Err(self.unexpected()) };
                self.at += 1;
                let element = if self.op() == "[" { Some(self.subscript()?) } else { None };
                Ok(Statement::Delete(name, element))
            }
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    /// What `print` prints; a list in brackets stands for the list.
    fn printed(&mut self) -> Result<Vec<Expr>, Wrong> {
        let ends = |parser: &Self| {
            matches!(parser.op(), ";" | "\n" | "}" | ">" | ">>" | "|") || parser.peek().is_none()
        };
        if ends(self) {
            return Ok(Vec::new());
        }
        let before = self.at;
        if self.next_if("(") {
            let list = self.list(")");
            if let Ok(list) = list
                && self.next_if(")")
                && ends(self)
            {
                return Ok(list);
            }
            self.at = before;
        }
        let outer = std::mem::replace(&mut self.in_print, true);
        let list = self.list("");
        self.in_print = outer;
        list
    }

    pub(super) fn list(&mut self, end: &str) -> Result<Vec<Expr>, Wrong> {
        let mut out = Vec::new();
        if !end.is_empty() && self.op() == end {
            return Ok(out);
        }
        loop {
            out.push(self.expr()?);
            if !self.next_if(",") {
                return Ok(out);
            }
            self.skip(&["\n"]);
        }
    }
}
