//! `dpop`: whether tokens are bound to a key of their holder.

/// Whether tokens may, or must, be bound to a key of their holder by DPoP (RFC 9449).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dpop {
    /// Tokens that are bound so are refused.
    Off,
    /// A token that is bound needs a proof, others are borne.
    #[default]
    Accepted,
    /// Every token needs a proof.
    Required,
}

pub(super) fn dpop(written: String) -> Result<Dpop, String> {
    match written.as_str() {
        "off" => Ok(Dpop::Off),
        "accepted" => Ok(Dpop::Accepted),
        "required" => Ok(Dpop::Required),
        _ => Err(format!("{written:?} must be \"off\", \"accepted\" or \"required\"")),
    }
}
