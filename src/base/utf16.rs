//! Offsets as browsers count them. A text in the page is counted in UTF-16 units, ours in bytes of UTF-8: a Hangul
//! syllable is one there and three here, most emoji are two there and four here.

/// The offset in UTF-16 units of the byte offset `at`. An offset inside a character counts as before it, one past the
/// end as the end.
pub fn utf16_offset(text: &str, at: usize) -> usize {
    // Every character has one first byte, and those beyond the first plane, whose first byte is high, take two units.
    let units = |byte: u8| usize::from(byte & 0xc0 != 0x80) + usize::from(byte >= 0xf0);
    text.as_bytes()[..text.floor_char_boundary(at)].iter().map(|byte| units(*byte)).sum()
}

/// The byte offset of the offset `at` in UTF-16 units. An offset inside a surrogate pair counts as before it, one past
/// the end as the end.
pub fn byte_offset(text: &str, at: usize) -> usize {
    let mut units = 0;
    for (start, c) in text.char_indices() {
        units += c.len_utf16();
        if units > at {
            return start;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Latin, Hangul (three bytes, one unit), an emoji (four bytes, two units), a line end, a decomposed syllable.
    const TEXT: &str = "name: 파드😀a\nb: \u{1112}\u{1161}\u{11ab}";

    #[test]
    fn offsets_agree_with_the_encoders_of_the_standard_library() {
        for (at, _) in TEXT.char_indices().chain([(TEXT.len(), ' ')]) {
            let units = TEXT[..at].encode_utf16().count();
            assert_eq!(utf16_offset(TEXT, at), units, "byte {at}");
            assert_eq!(byte_offset(TEXT, units), at, "unit {units}");
        }
    }

    #[test]
    fn offsets_between_and_beyond_characters_are_moved_to_a_boundary() {
        let emoji = TEXT.find('😀').unwrap();
        let units = utf16_offset(TEXT, emoji);
        assert_eq!(utf16_offset(TEXT, emoji + 2), units);
        assert_eq!(byte_offset(TEXT, units + 1), emoji);
        assert_eq!(utf16_offset(TEXT, 9_999), TEXT.encode_utf16().count());
        assert_eq!(byte_offset(TEXT, 9_999), TEXT.len());
    }
}
