//! Data of records that have no variant of their own in [`RData`](super::dns::RData): what each of them is made of, by
//! which it is read from zone files and shown as `dig` and CoreDNS show it (the RFC of each type).

use super::dns::{Type, labels, name_of, quoted, string_of};
use data_encoding::{BASE64, HEXUPPER_PERMISSIVE};

/// A part of a record's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A number of so many bytes.
    Number(usize),
    /// A domain name, not compressed.
    Name,
    /// A string with its length before it, in quotes.
    Text,
    /// The same without quotes (the tag of `CAA`).
    Word,
    /// Strings up to the end.
    Texts,
    /// A string up to the end, in quotes, without its length.
    Rest,
    /// Bytes up to the end in hexadecimal digits.
    Hex,
    /// Bytes up to the end in base 64.
    Base64,
}

/// The parts of a type's data; `None` where they are not known.
fn parts(kind: Type) -> Option<&'static [Part]> {
    use Part::{Base64, Hex, Name, Number, Rest, Text, Texts, Word};
    Some(match kind.number() {
        // HINFO (RFC 1035), RP (RFC 1183), NAPTR (RFC 3403), DNAME (RFC 6672).
        13 => &[Text, Text],
        17 => &[Name, Name],
        35 => &[Number(2), Number(2), Text, Text, Text, Name],
        39 => &[Name],
        // DS and DNSKEY (RFC 4034), SSHFP (RFC 4255), TLSA (RFC 6698).
        43 => &[Number(2), Number(1), Number(1), Hex],
        48 => &[Number(2), Number(1), Number(1), Base64],
        44 => &[Number(1), Number(1), Hex],
        52 => &[Number(1), Number(1), Number(1), Hex],
        // SPF (RFC 7208), URI (RFC 7553), CAA (RFC 8659).
        99 => &[Texts],
        256 => &[Number(2), Number(2), Rest],
        257 => &[Number(1), Word, Rest],
        _ => return None,
    })
}

/// Takes bytes from the front; `None` where there are too few.
fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

fn take_name(bytes: &mut &[u8]) -> Option<String> {
    let mut found = Vec::new();
    loop {
        let len = usize::from(*take(bytes, 1)?.first()?);
        match len {
            0 => return Some(name_of(found)),
            1..=63 => found.push(take(bytes, len)?),
            _ => return None,
        }
    }
}

fn take_string<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let len = usize::from(*take(bytes, 1)?.first()?);
    take(bytes, len)
}

/// Letters and digits, at least one (RFC 8659 section 4.1).
fn is_word(tag: &[u8]) -> bool {
    !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric)
}

/// Data as text; `None` where the type is not known or its data is malformed. Long runs of digits are cut into pieces of
/// so many characters where `split` says so, as `dig` cuts them.
pub fn text(kind: Type, data: &[u8], split: Option<usize>) -> Option<String> {
    let mut rest = data;
    let mut words: Vec<String> = Vec::new();
    let pieces = |digits: String| match split {
        Some(width) => digits.as_bytes().chunks(width).map(|at| String::from_utf8_lossy(at).into()).collect(),
        None => vec![digits],
    };
    for part in parts(kind)? {
        match part {
            Part::Number(size) => {
                let value =
                    take(&mut rest, *size)?.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
                words.push(value.to_string());
            }
            Part::Name => words.push(take_name(&mut rest)?),
            Part::Text => words.push(quoted(take_string(&mut rest)?)),
            Part::Word => {
                let tag = take_string(&mut rest)?;
                words.push(is_word(tag).then(|| String::from_utf8_lossy(tag).into_owned())?);
            }
            Part::Texts => {
                while !rest.is_empty() {
                    words.push(quoted(take_string(&mut rest)?));
                }
            }
            Part::Rest => words.push(quoted(std::mem::take(&mut rest))),
            Part::Hex => words.extend(pieces(HEXUPPER_PERMISSIVE.encode(std::mem::take(&mut rest)))),
            Part::Base64 => words.extend(pieces(BASE64.encode(std::mem::take(&mut rest)))),
        }
    }
    rest.is_empty().then(|| words.join(" "))
}

/// Data from the words of a zone file; `absolute` completes names.
pub fn parse(
    kind: Type,
    words: &[&str],
    absolute: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Vec<u8>, String> {
    let wrong = || format!("not the data of a {kind} record: {}", words.join(" "));
    let known = parts(kind).ok_or_else(|| format!("records of type {kind} are not simulated"))?;
    let (mut out, mut rest) = (Vec::new(), words.iter().copied());
    let with_length = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.push(u8::try_from(bytes.len()).map_err(|_| wrong())?);
        out.extend_from_slice(bytes);
        Ok::<(), String>(())
    };
    for part in known {
        match part {
            Part::Number(size) => {
                let value: u32 = rest.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
                let bytes = value.to_be_bytes();
                let (over, kept) = bytes.split_at(bytes.len() - size);
                if over.iter().any(|byte| *byte != 0) {
                    return Err(wrong());
                }
                out.extend_from_slice(kept);
            }
            Part::Name => {
                let name = absolute(rest.next().ok_or_else(wrong)?)?;
                for label in labels(&name).map_err(|_| wrong())? {
                    with_length(&mut out, &label)?;
                }
                out.push(0);
            }
            Part::Text | Part::Word => {
                let string = string_of(rest.next().ok_or_else(wrong)?).map_err(|_| wrong())?;
                if *part == Part::Word && !is_word(&string) {
                    return Err(wrong());
                }
                with_length(&mut out, &string)?;
            }
            Part::Texts => {
                for word in rest.by_ref() {
                    with_length(&mut out, &string_of(word).map_err(|_| wrong())?)?;
                }
            }
            Part::Rest => out.extend(string_of(rest.next().ok_or_else(wrong)?).map_err(|_| wrong())?),
            Part::Hex | Part::Base64 => {
                let digits: String = rest.by_ref().collect();
                let code = if *part == Part::Hex { HEXUPPER_PERMISSIVE } else { BASE64 };
                let bytes = code.decode(digits.as_bytes()).map_err(|_| wrong())?;
                if bytes.is_empty() {
                    return Err(wrong());
                }
                out.extend(bytes);
            }
        }
    }
    if rest.next().is_some() { Err(wrong()) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As BIND's programs and miekg/dns print them.
    #[test]
    fn data_is_read_and_shown_in_the_same_words() {
        for (kind, words, shown) in [
            ("HINFO", &["PC", "\"Intel \\\"clone\\\""][..], r#""PC" "Intel \"clone\"""#),
            ("RP", &["admin.a.", "."], "admin.a. ."),
            (
                "NAPTR",
                &["100", "10", "\"S", "\"SIP+D2U", "\"", "_sip._udp.a."],
                r#"100 10 "S" "SIP+D2U" "" _sip._udp.a."#,
            ),
            ("DNAME", &["b.a."], "b.a."),
            ("DS", &["20326", "8", "2", "e06d44b8", "0b8f"], "20326 8 2 E06D44B80B8F"),
            ("SSHFP", &["4", "2", "00ff"], "4 2 00FF"),
            ("TLSA", &["3", "1", "1", "0b9f"], "3 1 1 0B9F"),
            ("SPF", &["\"v=spf1", "-all"], r#""v=spf1" "-all""#),
            ("URI", &["10", "1", "\"ftp://a/"], r#"10 1 "ftp://a/""#),
            ("CAA", &["0", "issue", "\"a.example"], r#"0 issue "a.example""#),
            ("DNSKEY", &["256", "3", "8", "AwEA", "AQ=="], "256 3 8 AwEAAQ=="),
        ] {
            let kind: Type = kind.parse().unwrap();
            let absolute = |name: &str| Ok(name.to_owned());
            let bytes = parse(kind, words, &absolute).unwrap();
            assert_eq!(text(kind, &bytes, None).as_deref(), Some(shown));
            assert_eq!(text(kind, &bytes[..1], None), None, "{kind}");
        }
        assert_eq!(text(Type::Other(43), &[0; 34], Some(56)).unwrap().split(' ').count(), 5);
        assert_eq!(text(Type::Other(39), &[1], None), None);
        assert_eq!(text(Type::Other(65280), &[1], None), None);
        assert_eq!(text(Type::Other(257), b"\0\x03a bx", None), None, "a tag has no blanks");
        assert!(parse(Type::Other(257), &["0", "a\\032b", "x"], &|name| Ok(name.to_owned())).is_err());
        for words in [&["1", "2", "3"][..], &["70000", "8", "2", "00"], &["1", "8", "2", "0g"], &[]] {
            assert!(parse(Type::Other(43), words, &|name| Ok(name.to_owned())).is_err(), "{words:?}");
        }
    }
}
