//! One spelling for each value, so that however it is written it has one token.

use crate::{fold, number};
use serde::Deserialize;
use std::{borrow::Cow, net::IpAddr};

/// How a value is written before a token is made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Canonical {
    /// As it stands, without white space around it.
    #[default]
    Exact,
    /// Its digits: cards, social security numbers.
    Digits,
    /// Its letters and digits, in upper case: account and identity numbers.
    Alphanumeric,
    /// Its letters and digits, in lower case: hardware addresses, wallets in hexadecimal.
    Lower,
    /// A mail address whose domain is in lower case (RFC 5321 section 2.4: what stands before it is its host's affair).
    Mail,
    /// `+` and digits (ITU-T E.164), or digits where the number names no country.
    Phone,
    /// An IP address as RFC 5952 has it.
    Address,
}

impl Canonical {
    /// `value` in its one spelling.
    pub(crate) fn write(self, value: &str) -> String {
        let folded = fold::fold(value).map_or(Cow::Borrowed(value), |(text, _)| Cow::Owned(text));
        let value = folded.trim();
        match self {
            Self::Exact => value.to_owned(),
            Self::Digits => match number::integer_digits(value) {
                Some(digits) => digits,
                None => value.chars().filter(char::is_ascii_digit).collect(),
            },
            Self::Alphanumeric => letters_and_digits(value).to_ascii_uppercase(),
            Self::Lower => letters_and_digits(value).to_ascii_lowercase(),
            Self::Mail => match value.rsplit_once('@') {
                Some((local, domain)) => format!("{local}@{}", domain.to_lowercase()),
                None => value.to_owned(),
            },
            Self::Phone => {
                let digits: String = value.chars().filter(char::is_ascii_digit).collect();
                match (
                    value.trim_start_matches('(').starts_with('+'),
                    digits.strip_prefix("00"),
                ) {
                    // The zero in "+49 (0)30" is not dialled from abroad.
                    (true, _) if value.contains("(0)") => format!(
                        "+{}",
                        value
                            .replace("(0)", "")
                            .chars()
                            .filter(char::is_ascii_digit)
                            .collect::<String>()
                    ),
                    (true, _) => format!("+{digits}"),
                    (false, Some(international)) => format!("+{international}"),
                    (false, None) => digits,
                }
            }
            Self::Address => value
                .parse::<IpAddr>()
                .map_or_else(|_| value.to_owned(), |address| address.to_canonical().to_string()),
        }
    }
}

fn letters_and_digits(value: &str) -> String {
    value.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::Canonical;

    #[test]
    fn spellings_of_one_value_are_one() {
        for (form, one, spellings) in [
            (
                Canonical::Digits,
                "4111111111111111",
                &["4111 1111-1111 1111", "4.111111111111111e15", "４１１１1111 11111111"][..],
            ),
            (
                Canonical::Alphanumeric,
                "DE89370400440532013000",
                &["de89 3704 0044 0532 0130 00"],
            ),
            (
                Canonical::Lower,
                "3c52820faa10",
                &["3C-52-82-0F-AA-10", "3c:52:82:0f:aa:10"],
            ),
            (
                Canonical::Mail,
                "Bob@example.com",
                &["Bob@EXAMPLE.com", " Bob@example.COM "],
            ),
            (
                Canonical::Phone,
                "+4930901820",
                &["+49 30 901820", "+49 (0)30 901820", "0049 30/901820"],
            ),
            (Canonical::Address, "2001:db8::1", &["2001:0DB8:0:0::1"]),
            (Canonical::Exact, "a B", &[" a B\n"]),
        ] {
            for spelling in spellings {
                assert_eq!(form.write(spelling), one, "{spelling}");
            }
        }
    }
}
