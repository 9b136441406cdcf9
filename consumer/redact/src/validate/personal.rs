//! Bank accounts, social security numbers, mail addresses.

use iban::Iban;
use std::ops::Range;

/// The account number at the start of `found`, whose groups single spaces may separate and which words may follow.
pub(super) fn iban(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut account = String::with_capacity(34);
    let mut longest = None;
    for at in found.clone() {
        if bytes[at].is_ascii_alphanumeric() {
            account.push(char::from(bytes[at].to_ascii_uppercase()));
        }
        let span = found.start..at + 1;
        let ends = bytes[at].is_ascii_alphanumeric() && !bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
        if ends && account.len() >= 15 && !super::is_part_of_word(text, &span) && account.parse::<Iban>().is_ok() {
            longest = Some(span);
        }
    }
    longest
}

/// Area, group and serial as the Social Security Administration has ever assigned them.
pub(super) fn ssn(text: &str, span: &Range<usize>) -> bool {
    let digits: Vec<u8> = text[span.clone()].bytes().filter(u8::is_ascii_digit).collect();
    let (Some(area), Some(group), Some(serial)) = (digits.get(..3), digits.get(3..5), digits.get(5..9)) else {
        return false;
    };
    let bytes = text.as_bytes();
    let dash = |at: Option<usize>| at.and_then(|at| bytes.get(at)) == Some(&b'-');
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let continued = dash(span.start.checked_sub(1)) && digit(span.start.checked_sub(2))
        || dash(Some(span.end)) && digit(Some(span.end + 1));
    area != b"000"
        && area != b"666"
        && area[0] != b'9'
        && group != b"00"
        && serial != b"0000"
        && !continued
        && !super::is_part_of_word(text, span)
        && !super::is_part_of_decimal(text, span)
        && !super::is_in_uuid(text, span)
}

/// Not a picture at twice its size, a repository over SSH, or a password and host.
pub(super) fn email(text: &str, span: &Range<usize>) -> bool {
    const FILES: [&str; 14] = [
        "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "css", "js", "mjs", "ts", "json", "html",
    ];
    let found = &text[span.clone()];
    let Some((local, domain)) = found.rsplit_once('@') else {
        return false;
    };
    let top = domain.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_repository = local == "git" && (text[span.end..].starts_with(':') || text[..span.start].ends_with("://"));
    let is_userinfo = || {
        let before: &str = &text[text.floor_char_boundary(span.start.saturating_sub(256))..span.start];
        let authority = before.rsplit_once("://").map(|(_, rest)| rest);
        authority.is_some_and(|rest| rest.contains(':') && !rest.contains(|c: char| c == '/' || c.is_whitespace()))
    };
    !local.starts_with('.') && !FILES.contains(&top.as_str()) && !is_repository && !is_userinfo()
}

/// Countries whose accounts have an IBAN (the SWIFT registry, release 99), by their ISO 3166-1 codes.
const IBAN_COUNTRIES: &[u8] = b"ADAEALATAZBABEBGBHBIBRBYCHCRCYCZDEDJDKDOEEEGESFIFKFOFRGBGEGIGLGRGTHNHRHUIEILIQISITJO\
KWKZLBLCLILTLULVLYMCMDMEMKMNMRMTMUNINLNOOMPKPLPSPTQARORSRUSASCSDSESISKSMSOSTSVTLTNTRUAVAVGXKYE";

/// Whether two letters, of either case, are the code of a country that has IBANs.
pub(crate) fn has_iban_country(letters: &[u8]) -> bool {
    let upper = [letters[0].to_ascii_uppercase(), letters[1].to_ascii_uppercase()];
    IBAN_COUNTRIES.as_chunks::<2>().0.contains(&upper)
}
