//! JSON numbers by their source text: a card number may hide behind a point or an exponent.

/// Bytes of a number that may stand for an integer of at most 19 digits; more are zeros that nobody writes.
const LONGEST: usize = 64;

/// The digits of the integer that `source`, a JSON number with a fraction or an exponent, stands for. `None` where
/// it is written without either, is not an integer, or has more than 19 digits (longer than any card).
pub(crate) fn integer_digits(source: &str) -> Option<String> {
    let unsigned = source.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if mantissa.len() == unsigned.len() && fraction.is_empty() {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    let digits = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    let kept = digits.trim_end_matches('0');
    let point = usize::try_from(point).ok()?;
    // Anything but zeros behind the point is a fraction.
    if kept.len() > point {
        return None;
    }
    let leading = kept.len() - kept.trim_start_matches('0').len();
    let significant = &kept[leading..];
    (!significant.is_empty() && point - leading <= 19)
        .then(|| format!("{significant:0<width$}", width = point - leading))
}

/// Whether a number has a point or an exponent, and may stand for a long integer nevertheless.
pub(crate) fn is_written_otherwise(number: &str) -> bool {
    let bytes = number.as_bytes();
    let has = |test: fn(&u8) -> bool| bytes.iter().any(test);
    // Without an exponent, zeros stand behind the point of an integer.
    number.len() >= 6 && (bytes.ends_with(b"0") && has(|byte| *byte == b'.') || has(|byte| matches!(byte, b'e' | b'E')))
}

/// Whether a text is made of what numbers are made of.
pub(crate) fn is_number(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
    text.len() <= LONGEST
        && text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::{integer_digits, is_written_otherwise};

    #[test]
    fn integers_are_read_through_points_and_exponents() {
        for source in [
            "4111111111111111.0",
            "4.111111111111111e15",
            "41111111111111110E-1",
            "0.4111111111111111e+16",
        ] {
            assert_eq!(integer_digits(source).as_deref(), Some("4111111111111111"), "{source}");
            assert!(is_written_otherwise(source), "{source}");
        }
        assert_eq!(integer_digits("-1e3").as_deref(), Some("1000"));
    }

    #[test]
    fn what_is_no_integer_or_is_plain_reads_as_none() {
        for source in [
            "4111111111111111",
            "4111111111111111.5",
            "0.0",
            "0e5",
            "1e20",
            "1e999999999999",
            "1e-3",
            "12",
        ] {
            assert_eq!(integer_digits(source), None, "{source}");
        }
    }
}
