//! The tag that the proxy appends to a target's `Mcp-Session-Id`.
//!
//! The tag names the session (the exchange id of its `initialize`) and binds the target's id to who opened it (issuer,
//! subject, target, and the keys that the token is bound to), so that any replica that has the key knows both from the request alone, and nobody else can use the
//! id. It is `.` and 48 characters of base64url at the end: key id (4 bytes), exchange id (16), code (16). The code is
//! HMAC-SHA-256 over all of it, each field with its length before it, truncated to 128 bits (RFC 2104, section 5, allows
//! down to 80).

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use uuid::Uuid;

/// Shortest key, in bytes: as long as the hash is wide (RFC 2104, section 3).
pub const MIN_KEY: usize = 32;

/// Longest session id that a target may issue, in bytes. Longer ones would, with the tag, press on header limits.
pub const MAX_TARGET_ID: usize = 4096;

/// Longest tagged session id, in bytes.
pub const MAX_TAGGED: usize = MAX_TARGET_ID + 1 + TAG_TEXT;

const KEY_ID: usize = 4;
const SESSION: usize = 16;
const CODE: usize = 16;
const TAG: usize = KEY_ID + SESSION + CODE;
/// 36 bytes are 48 characters: no padding, and only one spelling.
const TAG_TEXT: usize = TAG / 3 * 4;

/// The keys that all replicas share. The first signs, all verify: a new key is appended everywhere, then put first, and the
/// old one removed when no session of its time is left.
#[derive(Debug)]
pub struct TagKeys {
    /// Invariant: at least one.
    keys: Vec<TagKey>,
}

struct TagKey {
    id: [u8; KEY_ID],
    secret: SecretSlice<u8>,
}

impl std::fmt::Debug for TagKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TagKey").field(&"[REDACTED]").finish()
    }
}

/// Keys that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagKeysError {
    /// There is no key to sign with.
    #[error("no session tag key is given")]
    None,
    /// The key with this index is shorter than [`MIN_KEY`].
    #[error("session tag key {0} (counted from 0) has fewer than {MIN_KEY} bytes")]
    TooShort(usize),
}

/// Why a session id is not one of ours. For the record: a client learns only that the session is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The id has no tag at the end.
    #[error("the session id has no tag")]
    Missing,
    /// The id is empty, too long or not visible ASCII, or what stands in the tag's place cannot be one.
    #[error("the session id is malformed")]
    Malformed,
    /// The tag was made with a key that is not configured (any more).
    #[error("the session id's tag names an unknown key")]
    UnknownKey,
    /// The tag was not made for this id, issuer, subject and target.
    #[error("the session id's tag does not verify")]
    Forged,
}

/// A session id whose tag was made here, for this very issuer, subject and target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// The id as the target issued it.
    pub target_session_id: &'a str,
    /// The session: the exchange id of its `initialize`.
    pub session: Uuid,
}

/// Who uses a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The token's issuer.
    pub issuer: &'a str,
    /// The token's subject.
    pub subject: &'a str,
    /// The target's name in the configuration.
    pub target: &'a str,
    /// The thumbprint of the key that the token is bound to by DPoP, if it is: the session is that device's.
    pub key: Option<&'a str>,
    /// The thumbprint of the certificate that the token is bound to, if it is.
    pub certificate: Option<[u8; 32]>,
}

impl TagKeys {
    /// Takes the keys; the first will sign.
    ///
    /// # Errors
    /// No key, or one of fewer than [`MIN_KEY`] bytes.
    pub fn new(secrets: Vec<SecretSlice<u8>>) -> Result<Self, TagKeysError> {
        if secrets.is_empty() {
            return Err(TagKeysError::None);
        }
        let keys = secrets.into_iter().enumerate().map(|(index, secret)| {
            if secret.expose_secret().len() < MIN_KEY {
                return Err(TagKeysError::TooShort(index));
            }
            Ok(TagKey {
                id: key_id(&secret),
                secret,
            })
        });
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    /// The id that the client gets: at most [`MAX_TAGGED`] bytes of visible ASCII, whatever the target's id looks like.
    ///
    /// # Errors
    /// [`TagError::Malformed`] if the target's id is empty, longer than [`MAX_TARGET_ID`] or not visible ASCII (MCP,
    /// "Session Management": 0x21 to 0x7E).
    pub fn tag(&self, target_session_id: &str, opened_by: Uuid, holder: Holder<'_>) -> Result<String, TagError> {
        if !is_session_id(target_session_id, MAX_TARGET_ID) {
            return Err(TagError::Malformed);
        }
        let key = self.keys.first().expect("the constructor refuses an empty list");
        let mut tag = [0; TAG];
        tag[..KEY_ID].copy_from_slice(&key.id);
        tag[KEY_ID..KEY_ID + SESSION].copy_from_slice(opened_by.as_bytes());
        tag[KEY_ID + SESSION..].copy_from_slice(&code(key, opened_by, holder, target_session_id));
        let mut tagged = String::with_capacity(target_session_id.len() + 1 + TAG_TEXT);
        tagged.push_str(target_session_id);
        tagged.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut tagged);
        Ok(tagged)
    }

    /// Takes the tag off an id that a client sent.
    ///
    /// # Errors
    /// The id is not one that [`tag`](Self::tag) made for this holder with one of these keys.
    pub fn verify<'a>(&self, tagged: &'a str, holder: Holder<'_>) -> Result<Verified<'a>, TagError> {
        if !is_session_id(tagged, MAX_TAGGED) {
            return Err(TagError::Malformed);
        }
        let (target_session_id, text) = tagged
            .len()
            .checked_sub(TAG_TEXT + 1)
            .filter(|&length| length > 0 && tagged.as_bytes()[length] == b'.')
            .map(|length| (&tagged[..length], &tagged[length + 1..]))
            .ok_or(TagError::Missing)?;
        let tag: [u8; TAG] = URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(TagError::Malformed)?;
        let (id, rest) = tag.split_at(KEY_ID);
        let (session, claimed) = rest.split_at(SESSION);
        let session = Uuid::from_slice(session).map_err(|_| TagError::Malformed)?;

        // Two keys can have one id: each of them may be the one.
        let mut known = false;
        let mut genuine = Choice::from(0);
        for key in self.keys.iter().filter(|key| key.id == *id) {
            known = true;
            let matches = code(key, session, holder, target_session_id).ct_eq(claimed);
            genuine = Choice::conditional_select(&genuine, &Choice::from(1), matches);
        }
        match (known, bool::from(genuine)) {
            (false, _) => Err(TagError::UnknownKey),
            (true, false) => Err(TagError::Forged),
            (true, true) => Ok(Verified {
                target_session_id,
                session,
            }),
        }
    }
}

fn is_session_id(id: &str, longest: usize) -> bool {
    !id.is_empty() && id.len() <= longest && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn mac(secret: &SecretSlice<u8>) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.expose_secret()).expect("HMAC takes a key of any length")
}

/// Public, and of no use without the key.
fn key_id(secret: &SecretSlice<u8>) -> [u8; KEY_ID] {
    let digest = mac(secret)
        .chain_update(b"tapedeck/session-tag/key-id/v1")
        .finalize()
        .into_bytes();
    std::array::from_fn(|at| digest[at])
}

fn code(key: &TagKey, session: Uuid, holder: Holder<'_>, target_session_id: &str) -> [u8; CODE] {
    let mut mac = mac(&key.secret);
    let fields: [&[u8]; 7] = [
        b"tapedeck/session-tag/v1",
        &key.id,
        session.as_bytes(),
        holder.issuer.as_bytes(),
        holder.subject.as_bytes(),
        holder.target.as_bytes(),
        target_session_id.as_bytes(),
    ];
    for field in fields {
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field);
    }
    // Nothing for what is not there: the number of fields tells the cases apart, and so do their names.
    let certificate = holder.certificate.as_ref();
    for (name, bound) in [
        ("jkt", holder.key.map(str::as_bytes)),
        ("x5t#S256", certificate.map(<[u8; 32]>::as_slice)),
    ] {
        for field in bound.into_iter().flat_map(|bound| [name.as_bytes(), bound]) {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
    }
    let digest = mac.finalize().into_bytes();
    std::array::from_fn(|at| digest[at])
}
