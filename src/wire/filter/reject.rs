//! Whether an expression can match anything at all: libpcap's optimizer notices that `arp and port 80` cannot, and
//! refuses it.

use super::code::{Arith, Compare, Op, Place, Test};

/// Most steps of the search; an expression that needs more is let pass.
const STEPS_MAX: usize = 20_000;

/// What is known of a place on one way through the program.
#[derive(Clone, Copy)]
enum Known {
    Is(u32),
    IsNot(u32),
}

/// Places under a mask, and what is known of each.
type Facts = Vec<(Place, u32, Known)>;

/// Walks every way through the program on which no test contradicts an earlier one of the same bytes.
pub(super) fn rejects_everything(ops: &[Op]) -> bool {
    let mut steps = 0;
    let mut ways: Vec<(usize, bool, Facts)> = vec![(0, true, Vec::new())];
    while let Some((at, flag, known)) = ways.pop() {
        steps += 1;
        if steps > STEPS_MAX {
            return false;
        }
        match ops.get(at) {
            None if flag => return false,
            None => {}
            Some(Op::Flip) => ways.push((at + 1, !flag, known)),
            Some(Op::JumpIf(wanted, to)) => {
                ways.push((if *wanted == flag { *to } else { at + 1 }, flag, known));
            }
            Some(Op::Test(test)) => {
                for outcome in [false, true] {
                    if let Some(known) = with(&known, test, outcome) {
                        ways.push((at + 1, outcome, known));
                    }
                }
            }
        }
    }
    true
}

/// What is known after a test came out so; `None` where it cannot.
fn with(known: &Facts, test: &Test, outcome: bool) -> Option<Facts> {
    let mut known = known.clone();
    match test {
        Test::Relation(left, compare, right) => {
            if let ([Arith::Number(left)], [Arith::Number(right)]) = (left.as_slice(), right.as_slice())
                && compare.holds(*left, *right) != outcome
            {
                return None;
            }
        }
        Test::Bytes(place, mask, compare @ (Compare::Equal | Compare::NotEqual), value) => {
            let is = (*compare == Compare::Equal) == outcome;
            for (other, under, fact) in &known {
                if (other, under) != (place, mask) {
                    continue;
                }
                let possible = match fact {
                    Known::Is(found) => (found == value) == is,
                    Known::IsNot(found) => !(is && found == value),
                };
                if !possible {
                    return None;
                }
            }
            known.push((*place, *mask, if is { Known::Is(*value) } else { Known::IsNot(*value) }));
        }
        Test::Bytes(..) | Test::VlanBeside(_) | Test::Outbound | Test::Interface(_) => {}
    }
    Some(known)
}
