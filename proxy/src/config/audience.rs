//! `audience` of a target: which tokens are for it.

/// Which of a token's audiences count at a target. The issuer's `audience` has named all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// These alone.
    Only(Vec<String>),
    /// Any, but for these: the resource identifiers of other targets, whose tokens are not for this one (RFC 8707).
    AllBut(Vec<String>),
}

impl Audience {
    /// Whether a token with this audience is for the target.
    pub fn accepts(&self, audience: &str) -> bool {
        match self {
            Self::Only(ours) => ours.iter().any(|one| one == audience),
            Self::AllBut(others) => others.iter().all(|other| other != audience),
        }
    }
}
