//! A secret for each user, in a file of its own: `FOLDER/ISSUER/SUBJECT`.
//!
//! Both parts are needed: subjects are unique within their issuer only (RFC 7519, section 4.1.2), and one user must
//! never be shown to a target as another.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use tapedeck_config::{Environment, SecretError, SecretSource};

use super::CredentialError;
use crate::identity::Principal;

/// The secret of this user, as the file has it now.
pub(super) async fn secret(folder: &Path, user: &Principal) -> Result<SecretString, CredentialError> {
    let source = SecretSource::File(place(folder, &user.who.issuer, &user.who.subject));
    let read = tokio::task::spawn_blocking(move || source.text(&Environment::Process)).await;
    match read {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(SecretError::Unreadable(_, error))) if error.kind() == ErrorKind::NotFound => {
            Err(CredentialError::NotForUser)
        }
        Ok(Err(error)) => Err(CredentialError::Unavailable(error.to_string())),
        Err(_) => Err(CredentialError::Unavailable("reading it was interrupted".to_owned())),
    }
}

fn place(folder: &Path, issuer: &str, subject: &str) -> PathBuf {
    folder.join(name(issuer)).join(name(subject))
}

/// A file name that stands for this text and no other: percent-encoded (RFC 3986, section 2.1) but for letters, digits,
/// `-`, `_`, `~`, `@`, and a dot that is not the first character.
fn name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'@') || byte == b'.' && at > 0;
        if plain {
            name.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_as_operators_write_them() {
        let place = place(
            Path::new("/secrets"),
            "https://login.example/realms/main",
            "alice@example.com",
        );
        assert_eq!(
            place,
            Path::new("/secrets/https%3A%2F%2Flogin.example%2Frealms%2Fmain/alice@example.com")
        );
    }

    proptest! {
        #[test]
        fn no_subject_leaves_its_folder_or_stands_for_another(one: String, other: String) {
            let file = name(&one);
            prop_assert!(!file.contains('/') && file != "." && file != "..");
            prop_assert_eq!(one == other, file == name(&other));
        }
    }
}
