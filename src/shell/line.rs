//! The little of a shell that `sh -c` understands here: words, quotes, and the joiners `;`, `&&` and `||`.

/// How a command follows the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joiner {
    /// It runs in any case: the first command, or after `;`.
    Always,
    /// It runs if the last command that ran succeeded (`&&`).
    AndThen,
    /// It runs if the last command that ran failed (`||`).
    OrElse,
}

/// Splits a line into commands. A line that needs more of a shell is refused with a message that names what.
pub fn parse_line(line: &str) -> Result<Vec<(Joiner, Vec<String>)>, String> {
    let mut commands = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut joiner = Joiner::Always;
    let mut rest = line.chars().peekable();
    while let Some(letter) = rest.next() {
        let next = match letter {
            '\'' => {
                quoted(&mut rest, word.get_or_insert_default())?;
                continue;
            }
            '"' => {
                double_quoted(&mut rest, word.get_or_insert_default())?;
                continue;
            }
            '\\' => {
                word.get_or_insert_default().extend(rest.next().filter(|letter| *letter != '\n'));
                continue;
            }
            ' ' | '\t' => {
                words.extend(word.take());
                continue;
            }
            ';' | '\n' => Joiner::Always,
            '&' if rest.next_if_eq(&'&').is_some() => Joiner::AndThen,
            '|' if rest.next_if_eq(&'|').is_some() => Joiner::OrElse,
            '&' | '|' | '<' | '>' | '$' | '`' | '(' | ')' | '*' | '?' | '~' => return Err(refused(letter)),
            '#' if word.is_none() => break,
            other => {
                word.get_or_insert_default().push(other);
                continue;
            }
        };
        words.extend(word.take());
        close(&mut commands, joiner, &mut words, letter)?;
        joiner = next;
    }
    words.extend(word);
    if !words.is_empty() {
        commands.push((joiner, words));
    } else if joiner != Joiner::Always {
        return Err("Syntax error: end of file unexpected".to_owned());
    }
    Ok(commands)
}

fn close(
    commands: &mut Vec<(Joiner, Vec<String>)>,
    joiner: Joiner,
    words: &mut Vec<String>,
    at: char,
) -> Result<(), String> {
    if !words.is_empty() {
        commands.push((joiner, std::mem::take(words)));
        return Ok(());
    }
    if at == '\n' && joiner == Joiner::Always {
        return Ok(());
    }
    let token = match at {
        '&' => "&&",
        '|' => "||",
        _ => ";",
    };
    Err(format!("Syntax error: \"{token}\" unexpected"))
}

fn quoted(rest: &mut impl Iterator<Item = char>, word: &mut String) -> Result<(), String> {
    for letter in rest {
        if letter == '\'' {
            return Ok(());
        }
        word.push(letter);
    }
    Err("Syntax error: Unterminated quoted string".to_owned())
}

fn double_quoted(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    word: &mut String,
) -> Result<(), String> {
    while let Some(letter) = rest.next() {
        match letter {
            '"' => return Ok(()),
            '$' | '`' => return Err(refused(letter)),
            '\\' => match rest.next_if(|next| "\"\\$`\n".contains(*next)) {
                Some(next) => word.push(next),
                None => word.push('\\'),
            },
            other => word.push(other),
        }
    }
    Err("Syntax error: Unterminated quoted string".to_owned())
}

fn refused(letter: char) -> String {
    format!("\"{letter}\" is not simulated: only words, quotes, ;, && and ||")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let text = match parse_line(line) {
            Ok(commands) => {
                let commands = commands.iter().map(|(joiner, words)| format!("{joiner:?}{words:?}"));
                commands.collect::<Vec<_>>().join(" ")
            }
            Err(text) => text,
        };
        assert_eq!(text, expected, "{line}");
    }

    #[test]
    fn a_line_is_split_at_joiners_outside_quotes() {
        check("ping -c1 a", r#"Always["ping", "-c1", "a"]"#);
        check("a; b && c || d", r#"Always["a"] Always["b"] AndThen["c"] OrElse["d"]"#);
        check(r#"echo 'a;b' "c && \"d" e\ f"#, r#"Always["echo", "a;b", "c && \"d", "e f"]"#);
        check("a &&b;", r#"Always["a"] AndThen["b"]"#);
        check("echo '' # note", r#"Always["echo", ""]"#);
        check("", "");
    }

    #[test]
    fn more_of_a_shell_is_refused_by_name() {
        check("a | b", "\"|\" is not simulated: only words, quotes, ;, && and ||");
        check("echo $HOME", "\"$\" is not simulated: only words, quotes, ;, && and ||");
        check("a > f", "\">\" is not simulated: only words, quotes, ;, && and ||");
        check("a &", "\"&\" is not simulated: only words, quotes, ;, && and ||");
        check("&& a", "Syntax error: \"&&\" unexpected");
        check("a ;; b", "Syntax error: \";\" unexpected");
        check("a ||", "Syntax error: end of file unexpected");
        check("echo 'a", "Syntax error: Unterminated quoted string");
    }
}
