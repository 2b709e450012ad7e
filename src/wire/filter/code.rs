//! What a filter expression is compiled to: a straight list of tests with jumps forward, in place of the kernel's
//! BPF instructions. A load beyond the end of the frame refuses the frame at once, as there.

/// Where an offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The first byte of the link header.
    Link,
    /// The first byte of the network header, which begins this many bytes into the frame.
    Network(usize),
    /// The first byte after the IPv4 header, which begins this many bytes into the frame.
    Transport(usize),
}

/// A place of 1, 2 or 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) base: Base,
    pub(super) offset: u32,
    pub(super) size: u8,
}

/// A comparison of 32-bit numbers without sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A step of arithmetic on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arith {
    Number(u32),
    /// Length of the frame.
    Len,
    /// Takes an index off the stack and loads from there.
    Load(Place),
    Negate,
    Binary(Operator),
}

/// An operator of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

/// A test of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Bytes under a mask.
    Bytes(Place, u32, Compare, u32),
    /// Two pieces of arithmetic.
    Relation(Vec<Arith>, Compare, Vec<Arith>),
    /// The kernel took a VLAN tag off the frame and keeps it beside it; with a number, this one.
    VlanBeside(Option<u16>),
    /// The frame goes out of the interface.
    Outbound,
    /// The number of the interface.
    Interface(u32),
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Sets the flag.
    Test(Test),
    /// Turns the flag round.
    Flip,
    /// Goes on at another instruction if the flag is so.
    JumpIf(bool, usize),
}

/// A frame as a filter sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its bytes from the link header on, without a VLAN tag that the kernel took off.
    pub bytes: &'a [u8],
    /// Whether it leaves the interface.
    pub outbound: bool,
    /// Number of the interface.
    pub ifindex: u32,
    /// The VLAN tag (`vlan_tci`) that the kernel took off.
    pub vlan: Option<u16>,
}

/// Runs a program: `None` where it loads what is not there or divides by zero.
pub(super) fn run(ops: &[Op], seen: &Seen<'_>) -> Option<bool> {
    let mut flag = true;
    let mut at = 0;
    while let Some(op) = ops.get(at) {
        at += 1;
        match op {
            Op::Test(test) => flag = holds(test, seen)?,
            Op::Flip => flag = !flag,
            Op::JumpIf(wanted, to) if *wanted == flag => at = *to,
            Op::JumpIf(..) => {}
        }
    }
    Some(flag)
}

fn holds(test: &Test, seen: &Seen<'_>) -> Option<bool> {
    Some(match test {
        Test::Bytes(place, mask, compare, value) => {
            compare.holds(load(*place, 0, seen.bytes)? & mask, *value)
        }
        Test::Relation(left, compare, right) => compare.holds(compute(left, seen)?, compute(right, seen)?),
        Test::VlanBeside(None) => seen.vlan.is_some(),
        Test::VlanBeside(Some(wanted)) => seen.vlan.is_some_and(|tag| tag & 0x0fff == *wanted),
        Test::Outbound => seen.outbound,
        Test::Interface(number) => seen.ifindex == *number,
    })
}

fn load(place: Place, index: u32, bytes: &[u8]) -> Option<u32> {
    let base = match place.base {
        Base::Link => 0,
        Base::Network(at) => at,
        Base::Transport(at) => at + usize::from(*bytes.get(at)? & 0x0f) * 4,
    };
    let at = base.checked_add(place.offset as usize)?.checked_add(index as usize)?;
    let found = bytes.get(at..at.checked_add(usize::from(place.size))?)?;
    Some(found.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

fn compute(steps: &[Arith], seen: &Seen<'_>) -> Option<u32> {
    let mut stack = Vec::new();
    for step in steps {
        let value = match step {
            Arith::Number(value) => *value,
            Arith::Len => seen.bytes.len() as u32,
            Arith::Load(place) => load(*place, stack.pop()?, seen.bytes)?,
            Arith::Negate => 0_u32.wrapping_sub(stack.pop()?),
            Arith::Binary(operator) => {
                let right = stack.pop()?;
                operator.apply(stack.pop()?, right)?
            }
        };
        stack.push(value);
    }
    stack.pop()
}

impl Operator {
    fn apply(self, left: u32, right: u32) -> Option<u32> {
        Some(match self {
            Self::Add => left.wrapping_add(right),
            Self::Subtract => left.wrapping_sub(right),
            Self::Multiply => left.wrapping_mul(right),
            Self::Divide => left.checked_div(right)?,
            Self::Modulo => left.checked_rem(right)?,
            Self::And => left & right,
            Self::Or => left | right,
            Self::Xor => left ^ right,
            Self::ShiftLeft => left.checked_shl(right).unwrap_or(0),
            Self::ShiftRight => left.checked_shr(right).unwrap_or(0),
        })
    }

    /// Why `right` may not stand on the right of this operator.
    pub(super) fn refuses(self, right: u32) -> Option<&'static str> {
        match (self, right) {
            (Self::Divide, 0) => Some("division by zero"),
            (Self::Modulo, 0) => Some("modulus by zero"),
            (Self::ShiftLeft | Self::ShiftRight, 32..) => Some("shift by more than 31 bits"),
            _ => None,
        }
    }
}

impl Compare {
    pub(super) fn holds(self, left: u32, right: u32) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}
