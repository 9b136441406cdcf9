use std::fmt;

use crate::Digest;
use crate::hash::Tuple;

/// Who talks to what. It is Kafka's key, so one consumer sees everything under it, in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SessionKey(pub Digest);

impl SessionKey {
    /// The key of an authenticated caller: (tenant, issuer, subject, client id, target).
    #[must_use]
    pub fn of_principal(tenant: &str, issuer: &str, subject: &str, client_id: Option<&str>, target: &str) -> Self {
        let mut tuple = Tuple::new("session-key/v1");
        tuple
            .text(tenant)
            .text(issuer)
            .text(subject)
            .optional_text(client_id)
            .text(target);
        Self(tuple.digest())
    }

    /// The key of a caller without a principal, whose requests are only ever refused: (target, client address).
    #[must_use]
    pub fn of_stranger(target: &str, address: &str) -> Self {
        let mut tuple = Tuple::new("stranger-key/v1");
        tuple.text(target).text(address);
        Self(tuple.digest())
    }

    /// The bytes that key the Kafka record.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
