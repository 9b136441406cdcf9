//! What a pattern cannot say: check digits, lengths by issuer, what a value decodes to.

mod card;
mod credential;
mod national;
mod network;
mod personal;
mod wallet;

pub(crate) use card::may_hold_card;
pub(crate) use personal::has_iban_country;

use crate::canonical::Canonical;
use std::ops::Range;

/// Turns what a pattern found into what is to be masked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Validator {
    /// The pattern alone decides.
    Any,
    /// Payment cards inside a row of digit groups: issuer, length, Luhn (ISO/IEC 7812-1).
    Card,
    /// ISO 13616 by country: length, structure, mod 97.
    Iban,
    /// United States social security numbers that can have been issued.
    Ssn,
    /// Mail addresses, less what only looks like one.
    Email,
    /// A token made by a machine: no dictionary word looks like it.
    Opaque,
    /// Base64 of `user:password` (RFC 7617).
    Basic,
    /// The userinfo of a URL (RFC 3986 section 3.2.1) that holds more than a short name.
    Userinfo,
    /// Forty base64 characters that are not a hash in hexadecimal.
    AwsSecret,
    /// The right side of `password = …`.
    Assigned,
    /// The check digits of a national number; see [`national`].
    Check(fn(&[u8]) -> bool),
    /// Nothing that belongs to it stands around.
    Alone,
    /// A phone number with a country's code, or one of a plausible length.
    Phone,
    /// An address on the public Internet.
    PublicIp,
    /// A hardware address that is one device's.
    Mac,
    /// Base58 with its checksum.
    Base58Check,
    /// Anything but `<token>`, `$TOKEN`, `***` and the like, as documentation has it.
    Filled,
}

impl Validator {
    /// The validator that packs call `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "card" => Self::Card,
            "iban" => Self::Iban,
            "us-ssn" => Self::Ssn,
            "email" => Self::Email,
            "opaque" => Self::Opaque,
            "basic" => Self::Basic,
            "userinfo" => Self::Userinfo,
            "aws-secret" => Self::AwsSecret,
            "assigned" => Self::Assigned,
            "filled" => Self::Filled,
            "alone" => Self::Alone,
            "phone" => Self::Phone,
            "public-ip" => Self::PublicIp,
            "mac" => Self::Mac,
            "base58check" => Self::Base58Check,
            name => Self::Check(national::check(name)?),
        })
    }

    /// The spelling that tokens of what it accepts are made of.
    pub(crate) fn canonical(self) -> Canonical {
        match self {
            Self::Card | Self::Ssn => Canonical::Digits,
            Self::Iban | Self::Check(_) | Self::Alone => Canonical::Alphanumeric,
            Self::Email => Canonical::Mail,
            Self::Phone => Canonical::Phone,
            Self::PublicIp => Canonical::Address,
            Self::Mac => Canonical::Lower,
            _ => Canonical::Exact,
        }
    }

    /// Calls `accept` for every part of `span` of `text` that is to be masked.
    pub(crate) fn refine(self, text: &str, span: Range<usize>, mut accept: impl FnMut(Range<usize>)) {
        let found = &text[span.clone()];
        let accepted = match self {
            Self::Any => true,
            Self::Card => return card::cards(text, span, accept),
            Self::Iban => return personal::iban(text, span).into_iter().for_each(accept),
            Self::Ssn => personal::ssn(text, &span),
            Self::Email => personal::email(text, &span),
            Self::Opaque => credential::is_opaque(found),
            Self::Basic => credential::is_basic(found),
            Self::Userinfo => credential::is_telling_userinfo(found),
            Self::AwsSecret => credential::is_mixed(found),
            Self::Assigned => credential::is_assigned(text, &span),
            Self::Filled => !credential::is_placeholder(found),
            Self::Check(check) => {
                let number: Vec<u8> = found
                    .bytes()
                    .filter(u8::is_ascii_alphanumeric)
                    .map(|byte| byte.to_ascii_uppercase())
                    .collect();
                check(&number) && stands_alone(text, &span)
            }
            Self::Alone => stands_alone(text, &span),
            Self::Phone => network::phone(text, &span),
            Self::PublicIp => network::public_ip(text, &span),
            Self::Mac => network::mac(text, &span),
            Self::Base58Check => wallet::base58check(found),
        };
        if accepted {
            accept(span);
        }
    }

    /// Whether a match that yields nothing can hold nothing, so that the search goes on behind it.
    pub(crate) fn sees_all(self) -> bool {
        // What is left of a refused address, from its second letter on, would pass for another address.
        matches!(self, Self::Card | Self::Email | Self::PublicIp | Self::Phone)
    }
}

/// Whether no digit, letter, or number continued by a dash or a point stands around.
fn stands_alone(text: &str, span: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let joins = |at: Option<usize>| matches!(at.and_then(|at| bytes.get(at)), Some(b'-' | b'.' | b'/'));
    let continued = joins(span.start.checked_sub(1)) && digit(span.start.checked_sub(2))
        || joins(Some(span.end)) && digit(Some(span.end + 1));
    !continued && !is_part_of_word(text, span) && !is_in_uuid(text, span)
}

/// Whether a digit, letter or underscore stands right before or after the span, so that it is a part of something longer.
fn is_part_of_word(text: &str, span: &Range<usize>) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    text[..span.start].chars().next_back().is_some_and(word) || text[span.end..].chars().next().is_some_and(word)
}

/// Whether the span is the whole or the fraction of a decimal number.
fn is_part_of_decimal(text: &str, span: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let point = |at: Option<usize>| at.and_then(|at| bytes.get(at)) == Some(&b'.');
    (point(span.start.checked_sub(1)) && digit(span.start.checked_sub(2)))
        || (point(Some(span.end)) && digit(Some(span.end + 1)))
}

/// Whether the span lies in a UUID in its usual form (RFC 9562 section 4).
fn is_in_uuid(text: &str, span: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let part = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b'-';
    // One more than a UUID has is enough to know that it is none.
    let start = span.start - bytes[..span.start].iter().rev().take(37).take_while(part).count();
    let end = span.start + bytes[span.start..].iter().take(37).take_while(part).count();
    end - start == 36 && [8, 13, 18, 23].iter().all(|at| bytes[start + at] == b'-')
}

#[cfg(test)]
mod tests;
