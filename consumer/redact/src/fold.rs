//! Characters that are read as ASCII ones, or not at all: full-width forms, other scripts' digits, zero-width characters.
//!
//! A choice from NFKC (UAX #15) and the default ignorable characters of UAX #44: what a person takes for a digit, a
//! letter, a space or a dash, and what nobody sees.

/// What takes the place of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folded {
    /// This one.
    To(u8),
    /// None.
    Nothing,
}

/// Zeros of decimal digits (Unicode general category Nd), each followed by one to nine.
const ZEROS: [u32; 20] = [
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0xF20, 0x1040,
    0x17E0, 0x1810, 0xFF10, 0x2080,
];

/// What `c` is read as; `None` for itself, as all ASCII characters are.
pub(crate) fn folded(c: char) -> Option<Folded> {
    let code = c as u32;
    if code < 0xA0 {
        return None;
    }
    let ascii = |byte: u32| u8::try_from(byte).ok().map(Folded::To);
    match code {
        0xA0 | 0x2000..=0x200A | 0x202F | 0x205F | 0x3000 => Some(Folded::To(b' ')),
        0xAD | 0x34F | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x2064 | 0x2066..=0x206F | 0xFEFF => {
            Some(Folded::Nothing)
        }
        0x2010..=0x2015 | 0x2212 | 0xFE63 => Some(Folded::To(b'-')),
        0xB2 | 0xB3 => ascii(code - 0xB2 + 0x32),
        0xB9 => Some(Folded::To(b'1')),
        0x2070 | 0x2074..=0x2079 => ascii(code - 0x2070 + 0x30),
        0xFE6B => Some(Folded::To(b'@')),
        0xFF01..=0xFF5E => ascii(code - 0xFF01 + 0x21),
        0x1D400..=0x1D6A3 => {
            // Thirteen alphabets of capital and small letters.
            let letter = (code - 0x1D400) % 52;
            ascii(if letter < 26 { 0x41 + letter } else { 0x61 + letter - 26 })
        }
        0x1D7CE..=0x1D7FF => ascii((code - 0x1D7CE) % 10 + 0x30),
        _ => ZEROS
            .iter()
            .find(|zero| (**zero..**zero + 10).contains(&code))
            .and_then(|zero| ascii(code - zero + 0x30)),
    }
}

/// Whether a character that starts with this byte may be folded. Few do, and most texts have none of them.
pub(crate) fn may_fold(lead: u8) -> bool {
    matches!(lead, 0xC2 | 0xCD | 0xD9 | 0xDB | 0xDF | 0xE0..=0xE3 | 0xEF | 0xF0)
}

/// `text` as it is read, with the way back; `None` if it reads as it stands.
pub(crate) fn fold(text: &str) -> Option<(String, Vec<(usize, usize)>)> {
    if text.is_ascii() {
        return None;
    }
    let mut out = String::new();
    let mut steps = Vec::new();
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let Some(folded) = folded(c) else { continue };
        out.push_str(&text[plain..at]);
        plain = at + c.len_utf8();
        if let Folded::To(byte) = folded {
            out.push(char::from(byte));
        }
        steps.push((out.len(), plain));
    }
    if steps.is_empty() {
        return None;
    }
    out.push_str(&text[plain..]);
    Some((out, steps))
}

#[cfg(test)]
mod tests {
    use super::{fold, folded, may_fold};

    #[test]
    fn forms_of_one_character_read_alike() {
        let read = |text: &str| fold(text).map(|(text, _)| text);
        assert_eq!(read("４１１１\u{a0}1\u{200b}1\u{ad}1"), Some("4111 111".to_owned()));
        assert_eq!(read("ａ＠ｂ．ｃ"), Some("a@b.c".to_owned()));
        assert_eq!(read("𝟜𝐚𝖹٣४"), Some("4aZ34".to_owned()));
        assert_eq!(read("2026–11"), Some("2026-11".to_owned()));
        assert_eq!(read("plain ‹é日本›"), None);
    }

    #[test]
    fn every_character_that_folds_starts_with_a_byte_that_says_so() {
        for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
            if folded(c).is_some() {
                let lead = c.encode_utf8(&mut [0; 4]).as_bytes()[0];
                assert!(may_fold(lead), "{c:?} starts with {lead:#x}");
            }
        }
    }

    #[test]
    fn offsets_lead_back() {
        let (text, steps) = fold("x４\u{200b}1").expect("it folds");
        assert_eq!((text.as_str(), steps), ("x41", vec![(2, 4), (2, 7)]));
    }
}
