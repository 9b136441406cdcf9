//! Addresses of digital money.

use sha2::{Digest, Sha256};

const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Twenty-five bytes, of which the last four are the beginning of a double SHA-256 of the others.
pub(super) fn base58check(found: &str) -> bool {
    let mut bytes = [0_u8; 25];
    for character in found.bytes() {
        let Some(value) = BASE58.iter().position(|byte| *byte == character) else {
            return false;
        };
        let mut carry = value as u32;
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let (body, check) = bytes.split_at(21);
    Sha256::digest(Sha256::digest(body)).starts_with(check)
}
