//! Check digits, as the authorities that issue the numbers have them. Written for this test and for nothing else: a mistake
//! that the engine's own has as well would hide what the engine misses.

use sha2::{Digest as _, Sha256};

#[cfg(test)]
mod tests;

/// Takes a number with its separators; letters are in upper case.
pub(super) type Check = fn(&str) -> bool;

fn digits(text: &str) -> Vec<u64> {
    text.chars().filter_map(|c| c.to_digit(10)).map(u64::from).collect()
}

fn plain(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_alphanumeric).collect()
}

fn number(digits: &[u64]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + digit)
}

fn sum(digits: &[u64], weights: &[u64]) -> u64 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

fn is_month(digits: &[u64]) -> bool {
    (1..=12).contains(&number(digits))
}

fn luhn_of(digits: &[u64]) -> bool {
    let doubled = |digit: u64| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let even = digits.iter().rev().step_by(2).sum::<u64>();
    let odd = digits
        .iter()
        .rev()
        .skip(1)
        .step_by(2)
        .map(|digit| doubled(*digit))
        .sum::<u64>();
    (even + odd) % 10 == 0
}

/// ISO/IEC 7812-1, annex B.
pub(super) fn luhn(text: &str) -> bool {
    luhn_of(&digits(text))
}

/// ISO 13616: the country and the check digits at the end, letters as two digits, modulo 97.
pub(super) fn iban(text: &str) -> bool {
    let account = plain(text);
    let (head, tail) = account.split_at(4);
    let rest = tail.iter().chain(head).fold(0_u64, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u64::from(byte - b'0')) % 97,
        _ => (rest * 100 + u64::from(byte - b'A') + 10) % 97,
    });
    // ISO 13616 has check digits from 02 to 98.
    rest == 1 && (2..=98).contains(&number(&digits(&text[2..4])))
}

/// What the Social Security Administration never gave away.
pub(super) fn us_ssn(text: &str) -> bool {
    let d = digits(text);
    let area = number(&d[..3]);
    area != 0 && area != 666 && area < 900 && number(&d[3..5]) != 0 && number(&d[5..]) != 0
}

pub(super) fn ipv4(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok()
}

pub(super) fn us_routing(text: &str) -> bool {
    sum(&digits(text), &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// 45 CFR 162.406: as if 80840 stood in front.
pub(super) fn us_npi(text: &str) -> bool {
    luhn_of(&[&[8, 0, 8, 4, 0], &digits(text)[..]].concat())
}

pub(super) fn uk_nhs(text: &str) -> bool {
    let d = digits(text);
    let check = 11 - sum(&d[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    d[9] == check % 11 && check != 10
}

/// ISO/IEC 7064, MOD 11,10.
pub(super) fn mod_11_10(text: &str) -> bool {
    let d = digits(text);
    let product = d[..d.len() - 1].iter().fold(10, |product, digit| {
        let sum = match (product + digit) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    (11 - product) % 10 == d[d.len() - 1]
}

pub(super) fn fr_nir(text: &str) -> bool {
    let d = digits(text);
    97 - number(&d[..13]) % 97 == number(&d[13..])
}

pub(super) fn es_dni(text: &str) -> bool {
    let letters = b"TRWAGMYFPDXBNJZSQVHLCKE";
    plain(text).last() == letters.get((number(&digits(text)) % 23) as usize)
}

pub(super) fn it_fiscal_code(text: &str) -> bool {
    let odd = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let code = plain(text);
    let value = |byte: u8| {
        usize::from(if byte.is_ascii_digit() {
            byte - b'0'
        } else {
            byte - b'A'
        })
    };
    let sum: usize = code[..15]
        .iter()
        .enumerate()
        .map(|(place, byte)| {
            if place % 2 == 0 {
                odd[value(*byte)]
            } else {
                value(*byte)
            }
        })
        .sum();
    value(code[15]) == sum % 26 && code[15].is_ascii_uppercase()
}

pub(super) fn pt_nif(text: &str) -> bool {
    let d = digits(text);
    let rest = sum(&d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    d[8] == if rest < 2 { 0 } else { 11 - rest }
}

pub(super) fn nl_bsn(text: &str) -> bool {
    let d = digits(text);
    (sum(&d, &[9, 8, 7, 6, 5, 4, 3, 2]) + 10 * d[8]).is_multiple_of(11)
}

pub(super) fn be_national(text: &str) -> bool {
    let d = digits(text);
    97 - number(&d[..9]) % 97 == number(&d[9..])
}

pub(super) fn pl_pesel(text: &str) -> bool {
    let d = digits(text);
    (10 - sum(&d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10 == d[10] && is_month(&d[2..4])
}

/// The last ten digits, and a month that is one.
pub(super) fn se_personal(text: &str) -> bool {
    let d = digits(text);
    luhn_of(&d) && is_month(&d[2..4])
}

pub(super) fn no_birth(text: &str) -> bool {
    let d = digits(text);
    let first = (11 - sum(&d, &[3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11) % 11;
    let second = (11 - sum(&d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    d[9] == first && d[10] == second && is_month(&d[2..4])
}

/// The month, where it is the third and fourth digit: there is no check digit since 2007.
pub(super) fn month_at_2(text: &str) -> bool {
    is_month(&digits(text)[2..4])
}

pub(super) fn fi_personal(text: &str) -> bool {
    let letters = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let code = plain(text);
    let body: Vec<u64> = digits(&text[..text.len() - 1]);
    is_month(&body[2..4]) && code.last() == letters.get((number(&body) % 31) as usize)
}

/// EAN-13.
pub(super) fn ch_ahv(text: &str) -> bool {
    let d = digits(text);
    let body = sum(&d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
    (10 - body % 10) % 10 == d[12]
}

pub(super) fn at_svnr(text: &str) -> bool {
    let d = digits(text);
    d[0] > 0 && d[3] == sum(&d, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11
}

pub(super) fn cz_birth(text: &str) -> bool {
    let d = digits(text);
    number(&d).is_multiple_of(11) && is_month(&d[2..4])
}

pub(super) fn ro_cnp(text: &str) -> bool {
    let d = digits(text);
    let rest = sum(&d, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    d[12] == if rest == 10 { 1 } else { rest }
}

pub(super) fn bg_egn(text: &str) -> bool {
    let d = digits(text);
    d[9] == sum(&d, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10
}

pub(super) fn ee_personal(text: &str) -> bool {
    let d = digits(text);
    let first = sum(&d, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = sum(&d, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10;
    is_month(&d[3..5]) && d[10] == if first < 10 { first } else { second }
}

pub(super) fn gr_amka(text: &str) -> bool {
    luhn(text) && is_month(&digits(text)[2..4])
}

pub(super) fn ie_pps(text: &str) -> bool {
    let rest = sum(&digits(text), &[8, 7, 6, 5, 4, 3, 2]) % 23;
    plain(text).last() == b"WABCDEFGHIJKLMNOPQRSTUV".get(rest as usize)
}

pub(super) fn tr_identity(text: &str) -> bool {
    let d = digits(text);
    let tenth = ((d[0] + d[2] + d[4] + d[6] + d[8]) * 7 + 90 - (d[1] + d[3] + d[5] + d[7])) % 10;
    d[9] == tenth && d[10] == d[..10].iter().sum::<u64>() % 10
}

/// Verhoeff, by its two tables.
pub(super) fn verhoeff(text: &str) -> bool {
    const TIMES: [[usize; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const MOVED: [[usize; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let places = digits(text).into_iter().rev().enumerate();
    places.fold(0, |check, (place, digit)| {
        TIMES[check][MOVED[place % 8][digit as usize]]
    }) == 0
}

pub(super) fn cn_resident(text: &str) -> bool {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let rest = sum(&digits(&text[..17]), &weights) % 11;
    text.as_bytes()[17] == b"10X98765432"[rest as usize] && text.as_bytes()[11] > b'0'
}

pub(super) fn jp_my_number(text: &str) -> bool {
    let d = digits(text);
    let rest = sum(&d, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    d[11] == if rest < 2 { 0 } else { 11 - rest }
}

pub(super) fn kr_resident(text: &str) -> bool {
    let d = digits(text);
    is_month(&d[2..4]) && d[12] == (11 - sum(&d, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11) % 10
}

pub(super) fn sg_nric(text: &str) -> bool {
    let rest = sum(&digits(text), &[2, 7, 6, 5, 4, 3, 2]) % 11;
    plain(text).last() == b"JZIHGFEDCBA".get(rest as usize)
}

pub(super) fn au_tfn(text: &str) -> bool {
    sum(&digits(text), &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

pub(super) fn au_medicare(text: &str) -> bool {
    let d = digits(text);
    d[8] == sum(&d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10
}

pub(super) fn nz_ird(text: &str) -> bool {
    // Eight digits: as if a zero stood in front, whose weight is 3.
    let d = digits(text);
    let first = (11 - sum(&d, &[2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    let second = (11 - sum(&d, &[4, 3, 2, 5, 2, 7, 6]) % 11) % 11;
    d[7] == if first < 10 { first } else { second }
}

fn br_digit(body: &[u64], most: u64) -> u64 {
    let weights: Vec<u64> = (0..body.len() as u64).map(|place| 2 + place % (most - 1)).collect();
    let rest = body
        .iter()
        .rev()
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum::<u64>()
        % 11;
    if rest < 2 { 0 } else { 11 - rest }
}

pub(super) fn br_cpf(text: &str) -> bool {
    let d = digits(text);
    d[9] == br_digit(&d[..9], 11) && d[10] == br_digit(&d[..10], 11)
}

pub(super) fn br_cnpj(text: &str) -> bool {
    let d = digits(text);
    d[12] == br_digit(&d[..12], 9) && d[13] == br_digit(&d[..13], 9)
}

pub(super) fn ar_cuit(text: &str) -> bool {
    let d = digits(text);
    d[10] == (11 - sum(&d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11
}

pub(super) fn cl_rut(text: &str) -> bool {
    let code = plain(text);
    let body = digits(&text[..text.len() - 1]);
    let rest = body
        .iter()
        .rev()
        .zip([2, 3, 4, 5, 6, 7, 2, 3])
        .map(|(digit, weight)| digit * weight)
        .sum::<u64>()
        % 11;
    code.last() == b"0K987654321".get(rest as usize)
}

pub(super) fn mx_curp(text: &str) -> bool {
    let alphabet: Vec<char> = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ".chars().collect();
    let value = |c: char| alphabet.iter().position(|other| *other == c).unwrap_or_default();
    let sum: usize = text
        .chars()
        .take(17)
        .enumerate()
        .map(|(place, c)| value(c) * (18 - place))
        .sum();
    text.chars().last().and_then(|c| c.to_digit(10)) == Some(((10 - sum % 10) % 10) as u32) && text.as_bytes()[7] > b'0'
}

pub(super) fn za_identity(text: &str) -> bool {
    luhn(text) && is_month(&digits(text)[2..4])
}

/// Bitcoin's base58 of a version, a hash, and the first four bytes of its double SHA-256.
pub(super) fn base58check(hash: [u8; 20]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [&[0], &hash[..]].concat();
    let check = Sha256::digest(Sha256::digest(&bytes));
    bytes.extend_from_slice(&check[..4]);
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut written = Vec::new();
    while bytes.iter().any(|byte| *byte != 0) {
        let rest = bytes.iter_mut().fold(0_usize, |rest, byte| {
            let value = rest * 256 + usize::from(*byte);
            *byte = (value / 58) as u8;
            value % 58
        });
        written.push(char::from(ALPHABET[rest]));
    }
    written.extend(std::iter::repeat_n('1', zeros));
    written.iter().rev().collect()
}
