//! Numbers and recorded text as a terminal shows them.

/// Recorded text on one line: control characters, which could move the cursor or hide text, are shown as `\u{…}`.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // Bidirectional controls and zero-width characters reorder or hide what stands beside them.
        let hides = matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if character.is_control() || hides {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// At most `limit` characters, and how much more there is.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((cut, _)) => format!("{}… ({} more)", &text[..cut], bytes((text.len() - cut) as u64)),
    }
}

/// A number of bytes in a unit that fits.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A length of time, in microseconds.
pub(crate) fn span(microseconds: i64) -> String {
    let seconds = microseconds.max(0) / 1_000_000;
    match seconds {
        0..60 => format!("{:.3} s", microseconds.max(0) as f64 / 1e6),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, printable, shortened, span};

    #[test]
    fn recorded_text_cannot_control_the_terminal() {
        assert_eq!(
            printable("a\x1b[2Jb\nc\u{202e}d\u{200b}"),
            "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{200b}"
        );
        assert_eq!(printable("Grüße 日本"), "Grüße 日本");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 2), "äö… (4 B more)");
    }

    #[test]
    fn sizes_and_spans_have_units() {
        assert_eq!((bytes(17), bytes(1536)), ("17 B".to_owned(), "1.5 KiB".to_owned()));
        assert_eq!(
            (span(1_500), span(61_000_000)),
            ("0.002 s".to_owned(), "1 min 1 s".to_owned())
        );
    }
}
