//! Options as the C library's `getopt(3)` reads them: letters may be joined, an argument may follow at once or as
//! the next word, operands may stand between options, `--` ends them.

/// What a program's words were found to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Option letters in order, each with its argument where it takes one.
    pub(super) options: Vec<(char, String)>,
    /// All other words in order.
    pub(super) operands: Vec<String>,
}

/// Reads `words` by `spec`, the string that programs give to `getopt`: letters, with a colon after those that take
/// an argument. The error is the C library's, without the program's name.
pub(super) fn getopt(spec: &str, words: &[String]) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            parsed.operands.extend(words.cloned());
            break;
        }
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            parsed.operands.push(word.clone());
            continue;
        };
        for (at, letter) in letters.char_indices() {
            let known = letter != ':' && spec.contains(letter);
            if !known {
                return Err(format!("invalid option -- '{letter}'"));
            }
            if !spec.contains(&format!("{letter}:")) {
                parsed.options.push((letter, String::new()));
                continue;
            }
            let rest = &letters[at + letter.len_utf8()..];
            let argument = if rest.is_empty() { words.next().cloned() } else { Some(rest.to_owned()) };
            match argument {
                Some(argument) => parsed.options.push((letter, argument)),
                None => return Err(format!("option requires an argument -- '{letter}'")),
            }
            break;
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn letters_join_and_operands_may_stand_anywhere() {
        let parsed = getopt("c:qn", &words("-qc3 host -n -c 5")).unwrap();
        let option = |letter, argument: &str| (letter, argument.to_owned());
        assert_eq!(parsed.options, [option('q', ""), option('c', "3"), option('n', ""), option('c', "5")]);
        assert_eq!(parsed.operands, ["host"]);
        assert_eq!(getopt("c:", &words("-c")).unwrap_err(), "option requires an argument -- 'c'");
        assert_eq!(getopt("c:", &words("--foo")).unwrap_err(), "invalid option -- '-'");
    }
}
