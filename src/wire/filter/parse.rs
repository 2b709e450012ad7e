//! The grammar of filter expressions, which writes the program as it goes along: `vlan` moves the headers for what
//! follows, so the order of reading is the order of generating.

use super::code::{Arith, Compare, Op, Operator, Place, Test};
use super::lex::{self, Placed, Token};
use super::primitive::{Dir, Expr, Kind, Primitives, Qualifiers, not};
use super::{FilterError, SYNTAX_ERROR, Setting};

/// Deepest nesting of parentheses and negations. The real parser's stack ends at some thousands.
const DEPTH_MAX: usize = 200;

type Parse<T> = Result<T, FilterError>;

struct Parser<'a> {
    tokens: &'a [Placed],
    /// For each `(` the number of the token after its `)`, where it has one.
    after: Vec<usize>,
    at: usize,
    end: usize,
    depth: usize,
    ops: Vec<Op>,
    primitives: Primitives<'a>,
}

/// Compiles an expression to a program.
pub(super) fn compile(text: &str, setting: &Setting<'_>) -> Parse<Vec<Op>> {
    let tokens = lex::scan(text);
    let mut parser = Parser {
        after: after_parens(&tokens),
        tokens: &tokens,
        at: 0,
        end: text.chars().count(),
        depth: 0,
        ops: Vec::new(),
        primitives: Primitives::new(setting),
    };
    if !tokens.is_empty() {
        parser.expression(Qualifiers::NONE)?;
        if parser.at < tokens.len() {
            return Err(parser.unexpected());
        }
    }
    Ok(parser.ops)
}

fn after_parens(tokens: &[Placed]) -> Vec<usize> {
    let mut after = vec![usize::MAX; tokens.len()];
    let mut open = Vec::new();
    for (at, placed) in tokens.iter().enumerate() {
        match placed.token {
            Token::Word("(") => open.push(at),
            Token::Word(")") => {
                if let Some(begin) = open.pop() {
                    after[begin] = at + 1;
                }
            }
            Token::Word(_)
            | Token::Number(_)
            | Token::Name(_)
            | Token::Dotted(_)
            | Token::V6(..)
            | Token::Mac(_)
            | Token::Arcnet
            | Token::Wrong(_) => {}
        }
    }
    after
}

fn is_operator(token: Option<&Token>) -> bool {
    matches!(
        token,
        Some(Token::Word(
            "+" | "-"
                | "*"
                | "/"
                | "%"
                | "&"
                | "|"
                | "^"
                | "<<"
                | ">>"
                | "<"
                | ">"
                | "="
                | "!="
                | "<="
                | ">="
        ))
    )
}

const PROTOCOLS: [&str; 31] = [
    "link", "ip", "arp", "rarp", "sctp", "tcp", "udp", "icmp", "igmp", "igrp", "pim", "vrrp", "carp",
    "atalk", "aarp", "decnet", "lat", "sca", "moprc", "mopdl", "ip6", "icmp6", "ah", "esp", "iso", "esis",
    "isis", "clnp", "stp", "ipx", "netbeui",
];

impl<'a> Parser<'a> {
    fn peek(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead).map(|placed| &placed.token)
    }

    fn word(&self, ahead: usize) -> &'static str {
        match self.peek(ahead) {
            Some(Token::Word(word)) => word,
            _ => "",
        }
    }

    fn accept(&mut self, word: &str) -> bool {
        let found = self.word(0) == word;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, word: &str) -> Parse<()> {
        if self.accept(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |placed| placed.at)
    }

    fn error(&self, message: impl Into<String>) -> FilterError {
        FilterError { at: self.place(), message: message.into() }
    }

    /// The error at the present word.
    fn unexpected(&self) -> FilterError {
        self.tokens.get(self.at).map_or_else(|| self.error(SYNTAX_ERROR), lex::wrong)
    }

    fn emit(&mut self, expr: &Expr) {
        match expr {
            Expr::Test(test) => self.ops.push(Op::Test(test.clone())),
            Expr::Not(inner) => {
                self.emit(inner);
                self.ops.push(Op::Flip);
            }
            Expr::And(parts) => self.emit_joined(parts, false),
            Expr::Or(parts) => self.emit_joined(parts, true),
        }
    }

    /// Parts of which the first that comes out as `decisive` decides.
    fn emit_joined(&mut self, parts: &[Expr], decisive: bool) {
        let mut jumps = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                jumps.push(self.jump(decisive));
            }
            self.emit(part);
        }
        for jump in jumps {
            self.land(jump);
        }
    }

    fn jump(&mut self, when: bool) -> usize {
        self.ops.push(Op::JumpIf(when, 0));
        self.ops.len() - 1
    }

    fn land(&mut self, jump: usize) {
        let here = self.ops.len();
        if let Some(Op::JumpIf(_, to)) = self.ops.get_mut(jump) {
            *to = here;
        }
    }

    fn deeper(&mut self) -> Parse<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(self.error("expression is nested too deeply")) } else { Ok(()) }
    }

    /// `and` or `or` with the jump over what follows.
    fn joiner(&mut self) -> Option<usize> {
        let when = match self.word(0) {
            "and" => false,
            "or" => true,
            _ => return None,
        };
        self.at += 1;
        Some(self.jump(when))
    }

    /// `expr`: terms joined from left to right, `and` and `or` binding alike. Gives the qualifiers that a bare name
    /// after it would have.
    fn expression(&mut self, before: Qualifiers) -> Parse<Qualifiers> {
        let mut q = self.operand(before, false)?;
        while let Some(jump) = self.joiner() {
            q = self.operand(q, true)?;
            self.land(jump);
        }
        Ok(q)
    }

    /// A term, or after a joiner also a bare name or number with the qualifiers of what stands before.
    fn operand(&mut self, before: Qualifiers, bare: bool) -> Parse<Qualifiers> {
        if bare && self.is_bare() {
            self.id(before)?;
            return Ok(before);
        }
        if self.accept("!") {
            self.deeper()?;
            let q = self.operand(before, bare)?;
            self.depth -= 1;
            self.ops.push(Op::Flip);
            return Ok(q);
        }
        if self.word(0) == "(" && !self.is_arithmetic_paren() {
            self.at += 1;
            self.deeper()?;
            self.expression(before)?;
            self.depth -= 1;
            self.expect(")")?;
            return Ok(before);
        }
        self.term()
    }

    /// Whether the parenthesis here belongs to arithmetic: an operator follows its end.
    fn is_arithmetic_paren(&self) -> bool {
        self.after.get(self.at).is_some_and(|after| is_operator(self.tokens.get(*after).map(|at| &at.token)))
    }

    /// Whether a bare name or number stands here, perhaps in parentheses or not.
    fn is_bare(&self) -> bool {
        let mut ahead = 0;
        loop {
            match self.peek(ahead) {
                Some(Token::Word("!")) => {}
                Some(Token::Word("(")) => {
                    let after = self.after[self.at + ahead];
                    if is_operator(self.tokens.get(after).map(|at| &at.token)) {
                        return false;
                    }
                }
                Some(Token::Number(_)) => return !is_operator(self.peek(ahead + 1)),
                Some(Token::Name(_) | Token::Dotted(_) | Token::V6(..) | Token::Mac(_) | Token::Arcnet) => {
                    return true;
                }
                Some(Token::Word(_) | Token::Wrong(_)) | None => return false,
            }
            ahead += 1;
        }
    }

    fn term(&mut self) -> Parse<Qualifiers> {
        let start = self.at;
        if matches!(self.peek(0), Some(Token::Number(_))) || matches!(self.word(0), "len" | "-" | "(") {
            return self.relation();
        }
        if self.word(0) == "radio" {
            return Err(self.error("'radio' is not a valid protocol type"));
        }
        let proto = PROTOCOLS.into_iter().find(|name| *name == self.word(0));
        if proto.is_some() && self.word(1) == "[" {
            return self.relation();
        }
        self.at += usize::from(proto.is_some());
        if let Some(q) = self.head(proto) {
            self.id(q)?;
            return Ok(q);
        }
        let other = self.other(proto, start)?;
        let expr = match (other, proto) {
            (Some(expr), _) => expr,
            (None, Some(_)) if !matches!(self.word(0), "and" | "or" | ")") && self.at < self.tokens.len() => {
                return Err(self.unexpected());
            }
            (None, Some(name)) => {
                self.primitives.protocol(name).map_err(|text| self.error_at(start, text))?
            }
            (None, None) => return Err(self.undefined()),
        };
        self.emit(&expr);
        Ok(Qualifiers::NONE)
    }

    fn error_at(&self, token: usize, message: String) -> FilterError {
        let at = self.tokens.get(token).map_or(self.end, |placed| placed.at);
        FilterError { at, message }
    }

    /// A name or address with no qualifier before it is no expression.
    fn undefined(&self) -> FilterError {
        self.unexpected()
    }

    /// `head`: the qualifiers in front of a name.
    fn head(&mut self, proto: Option<&'static str>) -> Option<Qualifiers> {
        let dir = match self.word(0) {
            "src" | "dst" => self.direction(),
            _ => None,
        };
        let kind = match self.word(0) {
            "host" => Kind::Host,
            "net" => Kind::Net,
            "port" => Kind::Port,
            "portrange" => Kind::PortRange,
            "gateway" if dir.is_none() => Kind::Gateway,
            "proto" if dir.is_none() => Kind::Proto,
            "protochain" if dir.is_none() => Kind::Protochain,
            _ => {
                return dir.map(|dir| Qualifiers { proto, dir, kind: Kind::Default });
            }
        };
        self.at += 1;
        Some(Qualifiers { proto, dir: dir.unwrap_or(Dir::Default), kind })
    }

    fn direction(&mut self) -> Option<Dir> {
        let one = self.word(0);
        let other = if one == "src" { "dst" } else { "src" };
        let joined = match self.word(1) {
            "or" if self.word(2) == other => Some(Dir::Or),
            "and" if self.word(2) == other => Some(Dir::And),
            _ => None,
        };
        self.at += if joined.is_some() { 3 } else { 1 };
        joined.or(Some(if one == "src" { Dir::Src } else { Dir::Dst }))
    }

    /// `other`: primitives that are no addresses.
    fn other(&mut self, proto: Option<&'static str>, start: usize) -> Parse<Option<Expr>> {
        let word = self.word(0);
        let fits = proto.is_none() || matches!(word, "broadcast" | "multicast" | "type");
        if !fits || word.is_empty() {
            return Ok(None);
        }
        self.at += 1;
        let made = match word {
            "broadcast" => self.primitives.broadcast(proto),
            "multicast" => self.primitives.multicast(proto),
            "type" => Err("802.11 link-layer types supported only on 802.11".to_owned()),
            "less" => Ok(Primitives::length(Compare::LessOrEqual, self.plain_number()?)),
            "greater" => Ok(Primitives::length(Compare::GreaterOrEqual, self.plain_number()?)),
            "byte" => {
                let offset = self.plain_number()?;
                let operator = self.word(0);
                self.at += 1;
                let value = self.plain_number()?;
                Primitives::byte(offset, operator, value).ok_or_else(|| SYNTAX_ERROR.to_owned())
            }
            "inbound" => self.primitives.outbound().map(not),
            "outbound" => self.primitives.outbound(),
            "ifindex" => {
                let number = self.plain_number()?;
                self.primitives.interface(number)
            }
            "vlan" => {
                let tag = self.number_in_parens();
                self.primitives.vlan(tag)
            }
            "mpls" | "pppoed" | "pppoes" | "geneve" | "llc" => {
                Err(format!("'{word}' is not simulated in a filter"))
            }
            "ifname" => Err("ifname supported only on PF linktype".to_owned()),
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        made.map(Some).map_err(|text| self.error_at(start, text))
    }

    fn plain_number(&mut self) -> Parse<u32> {
        match self.peek(0) {
            Some(Token::Number(value)) => {
                self.at += 1;
                Ok(*value)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `pnum`: a number, perhaps in parentheses.
    fn number_in_parens(&mut self) -> Option<u32> {
        let mut parens = 0;
        while self.word(parens) == "(" {
            parens += 1;
        }
        let Some(Token::Number(value)) = self.peek(parens) else { return None };
        if (0..parens).any(|at| self.word(parens + 1 + at) != ")") {
            return None;
        }
        self.at += 2 * parens + 1;
        Some(*value)
    }

    /// `id`: a name, number or address, or several in parentheses.
    fn id(&mut self, q: Qualifiers) -> Parse<()> {
        if self.accept("!") {
            self.deeper()?;
            self.id(q)?;
            self.depth -= 1;
            self.ops.push(Op::Flip);
            return Ok(());
        }
        if self.accept("(") {
            self.deeper()?;
            self.id(q)?;
            while let Some(jump) = self.joiner() {
                self.id(q)?;
                self.land(jump);
            }
            self.depth -= 1;
            return self.expect(")");
        }
        let start = self.at;
        let Some(token) = self.peek(0) else { return Err(self.unexpected()) };
        self.at += 1;
        let made = match token {
            Token::Name(name) => self.primitives.name(name, q),
            Token::Number(value) => self.primitives.number(*value, None, q),
            Token::Dotted(text) => match (self.word(0), self.peek(1)) {
                ("/", Some(Token::Number(length))) => {
                    self.at += 2;
                    self.primitives.network_of(text, Err(*length), q)
                }
                ("mask", Some(Token::Dotted(mask))) => {
                    self.at += 2;
                    self.primitives.network_of(text, Ok(mask), q)
                }
                ("/" | "mask", _) => {
                    self.at += 1;
                    return Err(self.unexpected());
                }
                _ => self.primitives.number(0, Some(text), q),
            },
            Token::V6(addr, text) => match (self.word(0), self.peek(1)) {
                ("/", Some(Token::Number(length))) => {
                    self.at += 2;
                    self.primitives.v6((*addr, text), *length, q)
                }
                _ => self.primitives.v6((*addr, text), 128, q),
            },
            Token::Mac(mac) => self.primitives.mac(*mac, q),
            Token::Arcnet => Err("aid supported only on ARCnet".to_owned()),
            Token::Word(_) | Token::Wrong(_) => {
                self.at = start;
                return Err(self.unexpected());
            }
        };
        let expr = made.map_err(|text| self.error_at(start, text))?;
        self.emit(&expr);
        Ok(())
    }

    /// `arth relop arth`.
    fn relation(&mut self) -> Parse<Qualifiers> {
        let mut guards = Vec::new();
        let left = self.arithmetic(0, &mut guards)?;
        let compare = match self.word(0) {
            "=" => Compare::Equal,
            "!=" => Compare::NotEqual,
            "<" => Compare::Less,
            "<=" => Compare::LessOrEqual,
            ">" => Compare::Greater,
            ">=" => Compare::GreaterOrEqual,
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        let right = self.arithmetic(0, &mut guards)?;
        guards.push(Expr::Test(Test::Relation(left, compare, right)));
        self.emit(&Expr::And(guards));
        Ok(Qualifiers::NONE)
    }

    /// Arithmetic by precedence climbing: `|` binds least, then `&`, shifts, sums, products.
    fn arithmetic(&mut self, least: u8, guards: &mut Vec<Expr>) -> Parse<Vec<Arith>> {
        let mut left = self.factor(guards)?;
        loop {
            let (operator, binding) = match self.word(0) {
                "|" => (Operator::Or, 1),
                "&" => (Operator::And, 2),
                "<<" => (Operator::ShiftLeft, 3),
                ">>" => (Operator::ShiftRight, 3),
                "+" => (Operator::Add, 4),
                "-" => (Operator::Subtract, 4),
                "*" => (Operator::Multiply, 5),
                "/" => (Operator::Divide, 5),
                "%" => (Operator::Modulo, 6),
                "^" => (Operator::Xor, 6),
                _ => return Ok(left),
            };
            if binding <= least {
                return Ok(left);
            }
            let start = self.at;
            self.at += 1;
            // The grammar gives `%` and `^` no precedence, so all that follows belongs to their right side.
            let right = self.arithmetic(if binding == 6 { 0 } else { binding }, guards)?;
            if let [Arith::Number(value)] = right.as_slice()
                && let Some(reason) = operator.refuses(*value)
            {
                return Err(self.error_at(start, reason.to_owned()));
            }
            left.extend(right);
            left.push(Arith::Binary(operator));
        }
    }

    fn factor(&mut self, guards: &mut Vec<Expr>) -> Parse<Vec<Arith>> {
        self.deeper()?;
        let made = self.factor_inside(guards);
        self.depth -= 1;
        made
    }

    fn factor_inside(&mut self, guards: &mut Vec<Expr>) -> Parse<Vec<Arith>> {
        if let Some(Token::Number(value)) = self.peek(0) {
            self.at += 1;
            return Ok(vec![Arith::Number(*value)]);
        }
        if self.accept("len") {
            return Ok(vec![Arith::Len]);
        }
        if self.accept("-") {
            let mut inner = self.factor(guards)?;
            inner.push(Arith::Negate);
            return Ok(inner);
        }
        if self.accept("(") {
            let inner = self.arithmetic(0, guards)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let start = self.at;
        let Some(proto) = PROTOCOLS.into_iter().find(|name| *name == self.word(0)) else {
            return Err(self.unexpected());
        };
        self.at += 1;
        self.expect("[")?;
        let mut index = self.arithmetic(0, guards)?;
        let mut size = 1;
        if self.accept(":") {
            let at = self.at;
            size = self.plain_number()?;
            if !matches!(size, 1 | 2 | 4) {
                return Err(self.error_at(at, "data size must be 1, 2, or 4".to_owned()));
            }
        }
        self.expect("]")?;
        let (guard, base, offset) =
            self.primitives.header(proto).map_err(|text| self.error_at(start, text))?;
        guards.extend(guard);
        index.push(Arith::Load(Place { base, offset, size: size as u8 }));
        Ok(index)
    }
}
