//! Patterns of `case` (POSIX.1-2024, Shell Command Language, 2.14).

use super::{Pattern, Piece};

/// A character of a pattern, and whether it may mean more than itself.
type Letter = (char, bool);

impl Pattern {
    /// Whether the pattern fits a text as a whole.
    pub fn fits(&self, text: &str, value: &dyn Fn(&str) -> String) -> bool {
        let Self(word, is_quoted) = self;
        let mut letters: Vec<Letter> = Vec::new();
        for piece in &word.0 {
            match piece {
                // A bracket means something only where the whole word is free of quotes.
                Piece::Text(text) => {
                    letters.extend(text.chars().map(|letter| (letter, letter == '[' && !is_quoted)));
                }
                Piece::Glob(letter) => letters.push((*letter, true)),
                Piece::Variable(name, quoted) => {
                    letters.extend(value(name).chars().map(|letter| (letter, !quoted)));
                }
                Piece::Output { text, quoted, .. } => {
                    letters.extend(text.chars().map(|letter| (letter, !quoted)));
                }
                // They are worked out before.
                Piece::Command(..) | Piece::Arithmetic(..) => {}
            }
        }
        let text: Vec<char> = text.chars().collect();
        matches(&letters, &text)
    }
}

fn matches(pattern: &[Letter], text: &[char]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where the last star stands, and how much it has taken.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if let Some(('*', true)) = pattern.get(at) {
            star = Some((at, from));
            at += 1;
            continue;
        }
        if at == pattern.len() && from == text.len() {
            return true;
        }
        let step = text.get(from).and_then(|letter| one(&pattern[at..], *letter));
        match (step, star) {
            (Some(len), _) => (at, from) = (at + len, from + 1),
            (None, Some((place, taken))) if taken < text.len() => {
                star = Some((place, taken + 1));
                (at, from) = (place + 1, taken + 1);
            }
            (None, _) => return false,
        }
    }
}

/// How many characters of the pattern stand for this letter.
fn one(pattern: &[Letter], letter: char) -> Option<usize> {
    match pattern {
        [('?', true), ..] => Some(1),
        [('[', true), rest @ ..] => match bracket(rest, letter) {
            Some((len, fits)) => fits.then_some(len + 1),
            None => (letter == '[').then_some(1),
        },
        [(own, _), ..] => (*own == letter).then_some(1),
        [] => None,
    }
}

/// `[a-z]` and `[!a-z]` behind their first bracket: how long it is, and whether it fits; `None` where it is none.
fn bracket(pattern: &[Letter], letter: char) -> Option<(usize, bool)> {
    let negated = matches!(pattern, [('!' | '^', _), ..]);
    let start = usize::from(negated);
    let end = (start + 1..pattern.len()).find(|at| pattern[*at].0 == ']')?;
    let set: Vec<char> = pattern[start..end].iter().map(|(letter, _)| *letter).collect();
    let (mut at, mut found) = (0, false);
    while at < set.len() {
        match set[at..] {
            [low, '-', high, ..] => {
                found |= (low..=high).contains(&letter);
                at += 3;
            }
            [own, ..] => {
                found |= own == letter;
                at += 1;
            }
            [] => break,
        }
    }
    Some((end + 1, found != negated))
}

#[cfg(test)]
mod tests {
    use crate::shell::script::{Node, parse};

    #[test]
    fn patterns_fit_whole_texts() {
        let fits = |pattern: &str, text: &str| {
            let Ok(node) = parse(&format!("case x in {pattern}) ;; esac")) else { panic!("{pattern}") };
            let Node::Case(_, arms) = &*node else { panic!("{pattern}") };
            arms[0].0.iter().any(|pattern| pattern.fits(text, &|_| "a*".to_owned()))
        };
        for (pattern, text) in [
            ("abc", "abc"),
            ("*", ""),
            ("a*c", "abbc"),
            ("*b*", "abc"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("x|y", "y"),
            ("$V", "abc"),
            ("'*'", "*"),
            ("*.*.*", "a.b.c"),
            ("[]]", "]"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("abc", "ab"),
            ("a?c", "ac"),
            ("[a-c]x", "dx"),
            ("[!a-c]x", "ax"),
            ("'*'", "a"),
            ("\"$V\"", "abc"),
            ("a*b", "abc"),
            ("", "a"),
        ] {
            if !pattern.is_empty() {
                assert!(!fits(pattern, text), "{pattern} {text}");
            }
        }
    }
}
