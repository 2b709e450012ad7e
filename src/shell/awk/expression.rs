//! Expressions of awk, by their precedence.

use super::Wrong;
use super::lexer::Token;
use super::parse::{Expr, Parser, SUBSEP, regex};

/// How many operators a rule has at most, so that no program exhausts the stack; each level of precedence counts as one.
const OPERATORS_MAX: u32 = 4_000;

impl Parser {
    pub(super) fn expr(&mut self) -> Result<Expr, Wrong> {
        self.nested(Self::assignment)
    }

    fn assignment(&mut self) -> Result<Expr, Wrong> {
        let left = self.ternary()?;
        let op = match self.op() {
            "=" => None,
            "+=" => Some("+"),
            "-=" => Some("-"),
            "*=" => Some("*"),
            "/=" => Some("/"),
            "%=" => Some("%"),
            "^=" | "**=" => Some("^"),
            _ => return Ok(left),
        };
        if !matches!(left, Expr::Name(_) | Expr::Index(..) | Expr::Field(_)) {
            return Err(self.unexpected());
        }
        self.at += 1;
        self.skip(&["\n"]);
        let value = self.nested(Self::assignment)?;
        Ok(Expr::Assign(op, Box::new(left), Box::new(value)))
    }

    fn ternary(&mut self) -> Result<Expr, Wrong> {
        let condition = self.binary(0)?;
        if !self.next_if("?") {
            return Ok(condition);
        }
        self.skip(&["\n"]);
        let yes = self.expr()?;
        self.expect(":")?;
        self.skip(&["\n"]);
        let no = self.expr()?;
        Ok(Expr::Cond(Box::new(condition), Box::new(yes), Box::new(no)))
    }

    /// Operators of two operands, from `||` (0) to `*` (7).
    fn binary(&mut self, level: u8) -> Result<Expr, Wrong> {
        if level == 8 {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        loop {
            let op = self.op();
            self.operators += 1;
            if self.operators > OPERATORS_MAX {
                return Err(Wrong::NotSimulated("rules this long".to_owned()));
            }
            let pair = |left: Expr, right: Expr| (Box::new(left), Box::new(right));
            match (level, op) {
                (0, "||") | (1, "&&") => {
                    self.at += 1;
                    self.skip(&["\n"]);
                    let (left_side, right) = pair(left, self.binary(level + 1)?);
                    left = Expr::Logic(op == "&&", left_side, right);
                }
                (2, _) if self.keyword() == "in" => {
                    self.at += 1;
                    let Some(Token::Name(array)) = self.peek().cloned() else {
                        return Err(self.unexpected());
                    };
                    self.at += 1;
                    left = Expr::In(Box::new(left), array);
                }
                (3, "~" | "!~") => {
                    self.at += 1;
                    let (text, pattern) = pair(left, self.binary(4)?);
                    left = Expr::Match(op == "~", text, pattern);
                }
                (4, "<" | "<=" | "==" | "!=" | ">=" | ">") if op != ">" || !self.in_print => {
                    self.at += 1;
                    let (left_side, right) = pair(left, self.binary(5)?);
                    left = Expr::Compare(op, left_side, right);
                }
                (5, _) if self.begins_operand() => {
                    let (left_side, right) = pair(left, self.binary(6)?);
                    left = Expr::Concat(left_side, right);
                }
                (6, "+" | "-") | (7, "*" | "/" | "%") => {
                    self.at += 1;
                    let (left_side, right) = pair(left, self.binary(level + 1)?);
                    left = Expr::Calc(op, left_side, right);
                }
                _ => return Ok(left),
            }
        }
    }

    /// Whether something that can be joined to what stands before begins here.
    fn begins_operand(&self) -> bool {
        match self.peek() {
            Some(
                Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Name(_) | Token::Function(_),
            ) => true,
            Some(Token::Op(op)) => matches!(*op, "$" | "(" | "++" | "--" | "!" | "-" | "+"),
            Some(Token::Keyword(_) | Token::Newline) | None => false,
        }
    }

    fn unary(&mut self) -> Result<Expr, Wrong> {
        let op = self.op();
        match op {
            "!" | "-" | "+" => {
                self.at += 1;
                let operand = Box::new(self.nested(Self::unary)?);
                Ok(match op {
                    "!" => Expr::Not(operand),
                    "-" => Expr::Negate(operand),
                    _ => Expr::Plus(operand),
                })
            }
            _ => self.power(),
        }
    }

    fn power(&mut self) -> Result<Expr, Wrong> {
        let base = self.postfix()?;
        if !self.next_if("^") && !self.next_if("**") {
            return Ok(base);
        }
        let exponent = self.nested(Self::unary)?;
        Ok(Expr::Calc("^", Box::new(base), Box::new(exponent)))
    }

    fn postfix(&mut self) -> Result<Expr, Wrong> {
        let operand = self.primary()?;
        let is_place = matches!(operand, Expr::Name(_) | Expr::Index(..) | Expr::Field(_));
        let by = match self.op() {
            "++" if is_place => 1.0,
            "--" if is_place => -1.0,
            _ => return Ok(operand),
        };
        self.at += 1;
        Ok(Expr::Step(false, by, Box::new(operand)))
    }

    fn primary(&mut self) -> Result<Expr, Wrong> {
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected()) };
        self.at += 1;
        match token {
            Token::Number(number) => Ok(Expr::Number(number)),
            Token::Text(text) => Ok(Expr::Text(text)),
            Token::Regex(pattern) => regex(&pattern).map(Expr::Regex),
            Token::Name(name) if self.op() == "[" => Ok(Expr::Index(name, Box::new(self.subscript()?))),
            Token::Name(name) => Ok(Expr::Name(name)),
            Token::Function(name) => self.call(name),
            Token::Op("(") => {
                let outer = std::mem::replace(&mut self.in_print, false);
                let inner = self.expr();
                self.in_print = outer;
                let inner = inner?;
                self.expect(")")?;
                Ok(Expr::Group(Box::new(inner)))
            }
            Token::Op("$") => {
                let op = self.op();
                let operand = match op {
                    "++" | "--" | "-" | "+" => self.nested(Self::unary_step)?,
                    _ => self.nested(Self::primary)?,
                };
                Ok(Expr::Field(Box::new(operand)))
            }
            Token::Op(op @ ("++" | "--")) => {
                let operand = self.nested(Self::primary)?;
                if !matches!(operand, Expr::Name(_) | Expr::Index(..) | Expr::Field(_)) {
                    return Err(self.unexpected());
                }
                Ok(Expr::Step(true, if op == "++" { 1.0 } else { -1.0 }, Box::new(operand)))
            }
            Token::Op(_) | Token::Keyword(_) | Token::Newline => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    /// A signed or stepped operand of `$`.
    fn unary_step(&mut self) -> Result<Expr, Wrong> {
        match self.op() {
            "-" | "+" => self.unary(),
            _ => self.primary(),
        }
    }

    /// `[a]`, or `[a, b]` as one text.
    pub(super) fn subscript(&mut self) -> Result<Expr, Wrong> {
        self.expect("[")?;
        let outer = std::mem::replace(&mut self.in_print, false);
        let list = self.list("]");
        self.in_print = outer;
        let parts = list?;
        self.expect("]")?;
        let join = |left: Expr, right: Expr| {
            let separated = Expr::Concat(Box::new(left), Box::new(Expr::Text(SUBSEP.to_owned())));
            Expr::Concat(Box::new(separated), Box::new(right))
        };
        parts.into_iter().reduce(join).ok_or_else(|| self.unexpected())
    }

    fn call(&mut self, name: &'static str) -> Result<Expr, Wrong> {
        if !self.next_if("(") {
            return if name == "length" { Ok(Expr::Call(name, Vec::new())) } else { Err(self.unexpected()) };
        }
        let outer = std::mem::replace(&mut self.in_print, false);
        let list = self.list(")");
        self.in_print = outer;
        let arguments = list?;
        self.expect(")")?;
        let (least, most) = match name {
            "length" => (0, 1),
            "substr" | "sub" | "gsub" | "split" => (2, 3),
            "index" | "match" => (2, 2),
            "sprintf" => (1, usize::MAX),
            _ => (1, 1),
        };
        if arguments.len() < least || arguments.len() > most {
            let line = self.tokens.get(self.at - 1).map_or(self.lines, |(_, line)| *line);
            return Err(Wrong::Said(format!("line {line}: wrong number of arguments in call to {name}")));
        }
        Ok(Expr::Call(name, arguments))
    }
}
