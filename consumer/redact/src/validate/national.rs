//! Check digits of national numbers. Each function takes the number without its separators, letters in upper case, in
//! the length that its rule's pattern has; what is too short for it is not valid.

/// The check that packs call `name`.
pub(super) fn check(name: &str) -> Option<fn(&[u8]) -> bool> {
    Some(match name {
        "luhn" => luhn,
        "us-routing" => |n| n.len() == 9 && weighted(n, &[3, 7, 1, 3, 7, 1, 3, 7, 1], 10) == Some(0),
        "us-npi" => |n| n.len() == 10 && luhn(&[b"80840", n].concat()),
        "uk-nhs" => |n| n.len() == 10 && weighted(n, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 11) == Some(0),
        "de-tax-id" | "hr-oib" => |n| n.len() == 11 && iso7064_mod_11_10(n),
        "fr-nir" => |n| n.len() == 15 && number(&n[..13]).is_some_and(|id| number(&n[13..]) == Some(97 - id % 97)),
        "es-dni" => es_dni,
        "it-fiscal-code" => it_fiscal_code,
        "pt-nif" => |n| {
            n.len() == 9
                && last_is(
                    n,
                    weighted(&n[..8], &[9, 8, 7, 6, 5, 4, 3, 2], 11).map(|r| (11 - r) % 11 % 10),
                )
        },
        "nl-bsn" => |n| n.len() == 9 && weighted(n, &[9, 8, 7, 6, 5, 4, 3, 2, 10], 11) == Some(0),
        "be-national" => be_national,
        "pl-pesel" => |n| {
            n.len() == 11 && weighted(n, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1], 10) == Some(0) && is_month(&n[2..4], 20)
        },
        "se-personal" => |n| n.len() >= 10 && luhn(&n[n.len() - 10..]) && is_month(&n[n.len() - 8..n.len() - 6], 0),
        "no-birth" => no_birth,
        "dk-cpr" => |n| n.len() == 10 && is_day(&n[..2]) && is_month(&n[2..4], 0),
        "fi-personal" => fi_personal,
        "ch-ahv" => |n| {
            n.len() == 13
                && n.starts_with(b"756")
                && weighted(n, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1], 10) == Some(0)
        },
        "at-svnr" => |n| n.len() == 10 && digit(n[3]) == weighted(n, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6], 11),
        "cz-birth" => |n| {
            matches!(n.len(), 9 | 10)
                && is_month(&n[2..4], 50)
                && (n.len() == 9 || number(n).is_some_and(|n| n % 11 == 0))
        },
        "ro-cnp" => |n| {
            n.len() == 13
                && last_is(
                    n,
                    weighted(&n[..12], &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9], 11).map(|r| if r == 10 { 1 } else { r }),
                )
        },
        "bg-egn" => {
            |n| n.len() == 10 && last_is(n, weighted(&n[..9], &[2, 4, 8, 5, 10, 9, 7, 3, 6], 11).map(|r| r % 10))
        }
        "ee-personal" => ee_personal,
        "gr-amka" => |n| n.len() == 11 && luhn(n) && is_day(&n[..2]) && is_month(&n[2..4], 0),
        "ie-pps" => ie_pps,
        "tr-identity" => tr_identity,
        "in-aadhaar" => |n| n.len() == 12 && n[0] > b'1' && verhoeff(n),
        "cn-resident" => cn_resident,
        "jp-my-number" => |n| {
            n.len() == 12
                && last_is(
                    n,
                    weighted(&n[..11], &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2], 11).map(|r| if r < 2 { 0 } else { 11 - r }),
                )
        },
        "kr-resident" => |n| {
            n.len() == 13
                && is_month(&n[2..4], 0)
                && last_is(
                    n,
                    weighted(&n[..12], &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5], 11).map(|r| (11 - r) % 10),
                )
        },
        "sg-nric" => sg_nric,
        "au-tfn" => |n| n.len() == 9 && weighted(n, &[1, 4, 3, 7, 5, 8, 6, 9, 10], 11) == Some(0),
        "au-medicare" => {
            |n| matches!(n.len(), 10 | 11) && digit(n[8]) == weighted(&n[..8], &[1, 3, 7, 9, 1, 3, 7, 9], 10)
        }
        "nz-ird" => nz_ird,
        "br-cpf" => |n| n.len() == 11 && br_digits(n, 9),
        "br-cnpj" => |n| n.len() == 14 && br_digits(n, 12),
        "ar-cuit" => |n| {
            n.len() == 11
                && last_is(
                    n,
                    weighted(&n[..10], &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2], 11).map(|r| (11 - r) % 11),
                )
        },
        "cl-rut" => cl_rut,
        "mx-curp" => mx_curp,
        "za-identity" => |n| n.len() == 13 && luhn(n) && is_month(&n[2..4], 0) && is_day(&n[4..6]),
        _ => return None,
    })
}

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(10)
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The sum of digits times weights, modulo `modulus`; `None` if one is no digit.
fn weighted(digits: &[u8], weights: &[u32], modulus: u32) -> Option<u32> {
    let sum = digits
        .iter()
        .zip(weights)
        .try_fold(0, |sum, (byte, weight)| Some(sum + digit(*byte)? * weight))?;
    Some(sum % modulus)
}

fn last_is(number: &[u8], expected: Option<u32>) -> bool {
    expected.is_some() && number.last().and_then(|byte| digit(*byte)) == expected
}

/// A month, to which some countries add multiples of `step` for the century or the sex.
fn is_month(two: &[u8], step: u64) -> bool {
    number(two).is_some_and(|month| (1..=12).contains(&(if step > 0 { month % step } else { month })))
}

fn is_day(two: &[u8]) -> bool {
    number(two).is_some_and(|day| (1..=31).contains(&day))
}

/// ISO/IEC 7812-1 annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum = digits.iter().rev().enumerate().try_fold(0, |sum, (place, byte)| {
        let digit = digit(*byte)? << (place % 2);
        Some(sum + if digit > 9 { digit - 9 } else { digit })
    });
    sum.is_some_and(|sum| sum % 10 == 0)
}

fn iso7064_mod_11_10(digits: &[u8]) -> bool {
    let Some((last, body)) = digits.split_last() else {
        return false;
    };
    let product = body.iter().try_fold(10, |product, byte| {
        let sum = (digit(*byte)? + product) % 10;
        Some((if sum == 0 { 10 } else { sum }) * 2 % 11)
    });
    product.is_some_and(|product| digit(*last) == Some((11 - product) % 10))
}

fn es_dni(n: &[u8]) -> bool {
    let Some((letter, body)) = n.split_last() else {
        return false;
    };
    // A foreigner's number starts with a letter that stands for a digit.
    let body = match body {
        [first @ b'X'..=b'Z', rest @ ..] => [&[b'0' + first - b'X'], rest].concat(),
        body => body.to_vec(),
    };
    n.len() == 9 && number(&body).is_some_and(|id| *letter == b"TRWAGMYFPDXBNJZSQVHLCKE"[(id % 23) as usize])
}

fn it_fiscal_code(n: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let value = |byte: u8| match byte {
        b'0'..=b'9' => Some(usize::from(byte - b'0')),
        b'A'..=b'Z' => Some(usize::from(byte - b'A')),
        _ => None,
    };
    let sum = n.iter().take(15).enumerate().try_fold(0, |sum, (place, byte)| {
        let value = value(*byte)?;
        Some(sum + if place % 2 == 0 { ODD[value] } else { value as u32 })
    });
    n.len() == 16 && sum.is_some_and(|sum| u32::from(n[15]) == u32::from(b'A') + sum % 26)
}

fn be_national(n: &[u8]) -> bool {
    let (Some(id), Some(check)) = (n.get(..9).and_then(number), n.get(9..11).and_then(number)) else {
        return false;
    };
    // Those born since 2000 count from 2,000,000,000.
    n.len() == 11 && [id, id + 2_000_000_000].iter().any(|id| 97 - id % 97 == check)
}

fn no_birth(n: &[u8]) -> bool {
    n.len() == 11
        && weighted(n, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1, 0], 11) == Some(0)
        && weighted(n, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1], 11) == Some(0)
}

fn fi_personal(n: &[u8]) -> bool {
    // The sign of the century stands between the date and the number.
    let digits: Vec<u8> = n
        .iter()
        .take(n.len().saturating_sub(1))
        .filter(|byte| byte.is_ascii_digit())
        .copied()
        .collect();
    digits.len() == 9
        && number(&digits).is_some_and(|id| n.last() == Some(&b"0123456789ABCDEFHJKLMNPRSTUVWXY"[(id % 31) as usize]))
}

fn ee_personal(n: &[u8]) -> bool {
    let first = || weighted(&n[..10], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1], 11);
    let second = || weighted(&n[..10], &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3], 11).map(|rest| rest % 10);
    n.len() == 11 && is_month(&n[3..5], 0) && last_is(n, first().filter(|rest| *rest < 10).or_else(second))
}

fn ie_pps(n: &[u8]) -> bool {
    let Some(sum) = n
        .get(..7)
        .and_then(|digits| weighted(digits, &[8, 7, 6, 5, 4, 3, 2], 23))
    else {
        return false;
    };
    let extra = match n.get(8) {
        Some(letter @ b'A'..=b'I') => u32::from(letter - b'A' + 1) * 9,
        _ => 0,
    };
    matches!(n.len(), 8 | 9) && n[7] == b"WABCDEFGHIJKLMNOPQRSTUV"[((sum + extra) % 23) as usize]
}

fn tr_identity(n: &[u8]) -> bool {
    let Some(d) = n.iter().map(|byte| digit(*byte)).collect::<Option<Vec<u32>>>() else {
        return false;
    };
    n.len() == 11
        && d[0] != 0
        && ((d[0] + d[2] + d[4] + d[6] + d[8]) * 7 + 9 * (d[1] + d[3] + d[5] + d[7])) % 10 == d[9]
        && d[..10].iter().sum::<u32>() % 10 == d[10]
}

/// Verhoeff's check over the dihedral group of ten.
fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTED: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let multiply = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let check = digits.iter().rev().enumerate().try_fold(0, |check, (place, byte)| {
        let permuted = (0..place % 8).fold(digit(*byte)?, |digit, _| PERMUTED[digit as usize]);
        Some(multiply(check, permuted))
    });
    check == Some(0)
}

fn cn_resident(n: &[u8]) -> bool {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    n.len() == 18
        && is_month(&n[10..12], 0)
        && is_day(&n[12..14])
        && weighted(&n[..17], &weights, 11).is_some_and(|rest| n[17] == b"10X98765432"[rest as usize])
}

fn sg_nric(n: &[u8]) -> bool {
    let Some(sum) = n
        .get(1..8)
        .and_then(|digits| weighted(digits, &[2, 7, 6, 5, 4, 3, 2], 1 << 16))
    else {
        return false;
    };
    let letters = match n[0] {
        b'S' | b'T' => b"JZIHGFEDCBA",
        b'F' | b'G' => b"XWUTRQPNMLK",
        _ => return false,
    };
    let later = if matches!(n[0], b'T' | b'G') { 4 } else { 0 };
    n.len() == 9 && n[8] == letters[((sum + later) % 11) as usize]
}

fn nz_ird(n: &[u8]) -> bool {
    let padded = [&b"0"[..usize::from(n.len() == 8)], n].concat();
    let body = &padded[..8.min(padded.len())];
    let check = |weights: &[u32]| weighted(body, weights, 11).map(|rest| (11 - rest) % 11);
    let first = check(&[3, 2, 7, 6, 5, 4, 3, 2]);
    padded.len() == 9
        && last_is(
            &padded,
            first
                .filter(|rest| *rest < 10)
                .or_else(|| check(&[7, 4, 3, 2, 5, 2, 7, 6])),
        )
}

/// Two check digits behind the first `length` digits; weights go down to 2 and begin again at 9 in the longer number.
fn br_digits(n: &[u8], length: usize) -> bool {
    let check = |length: usize| {
        let weight = |place: usize| {
            let weight = length - place + 1;
            if n.len() == 14 { (weight - 2) % 8 + 2 } else { weight }
        };
        let sum = n[..length]
            .iter()
            .enumerate()
            .try_fold(0, |sum, (place, byte)| Some(sum + digit(*byte)? * weight(place) as u32))?;
        Some(if sum % 11 < 2 { 0 } else { 11 - sum % 11 })
    };
    let varied = n.iter().any(|byte| *byte != n[0]);
    varied && digit(n[length]) == check(length) && digit(n[length + 1]) == check(length + 1)
}

fn cl_rut(n: &[u8]) -> bool {
    let Some((check, body)) = n.split_last() else {
        return false;
    };
    let sum = body.iter().rev().enumerate().try_fold(0, |sum, (place, byte)| {
        Some(sum + digit(*byte)? * (place as u32 % 6 + 2))
    });
    sum.is_some_and(|sum| *check == b"0K987654321"[(sum % 11) as usize])
}

fn mx_curp(n: &[u8]) -> bool {
    // The alphabet has Ñ between N and O, so letters behind N count one more.
    let value = |byte: u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A'..=b'N' => Some(u32::from(byte - b'A') + 10),
        b'O'..=b'Z' => Some(u32::from(byte - b'A') + 11),
        _ => None,
    };
    let sum = n
        .iter()
        .take(17)
        .enumerate()
        .try_fold(0, |sum, (place, byte)| Some(sum + value(*byte)? * (18 - place as u32)));
    n.len() == 18 && last_is(n, sum.map(|sum| (10 - sum % 10) % 10))
}
