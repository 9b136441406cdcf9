//! The users that are recommended to installations, for tests.

use sha2::{Digest, Sha256};

/// The users of `deploy/clickhouse/users.d/tapedeck.xml`, each with its own name as password: a file for
/// [`ClickHouse::with_users`](super::ClickHouse::with_users).
pub fn example_users() -> String {
    let file = include_str!("../../../clickhouse/users.d/tapedeck.xml");
    let mut pieces = file.split("<password_sha256_hex from_env=\"");
    let mut users = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (variable, rest) = piece.split_once("\"/>").unwrap_or((piece, ""));
        let name = variable.trim_end_matches("_SHA256").to_lowercase();
        let digest: String = Sha256::digest(&name).iter().map(|byte| format!("{byte:02x}")).collect();
        users.push_str(&format!("<password_sha256_hex>{digest}</password_sha256_hex>{rest}"));
    }
    users
}

#[cfg(test)]
mod tests {
    use super::example_users;

    #[test]
    fn every_user_has_a_password_and_none_comes_from_the_environment() {
        let users = example_users();
        assert!(!users.contains("from_env"));
        // Each of them says from where it may come.
        let count = |text: &str| users.matches(text).count();
        assert_eq!(count("<password_sha256_hex>"), count("<networks>"));
        assert!(count("<networks>") >= 5);
    }
}
