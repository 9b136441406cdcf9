//! Browsers that have signed in. What a session is stands in the browser's own cookie, sealed, so that it outlives the
//! process and every replica knows it. What a cookie cannot say, that somebody has signed out, is on record.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::User;
use super::ended::EndedSessions;
use super::seal::{Purpose, Seals};
use crate::serve::config::Config;
use crate::serve::problem::Problem;
use tapedeck_clickhouse::ConnectError;

/// The longest value of a cookie, in bytes: browsers keep cookies of 4096 with their name and attributes (RFC 6265, section
/// 6.1).
const LONGEST: usize = 3800;
/// How far the clocks of replicas may be apart.
const SKEW: Duration = Duration::from_secs(60);
/// A session is noted as used when so small a part of its idle time has passed: to do so is a new cookie.
const PART: u32 = 20;

/// One browser's session.
#[derive(Clone)]
pub(super) struct BrowserSession {
    pub(super) user: Arc<User>,
    /// What a page of ours shows with unsafe requests. No secret of the session itself.
    pub(super) csrf: String,
    id: Uuid,
    begun: SystemTime,
    used: SystemTime,
}

impl fmt::Debug for BrowserSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserSession")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A session as it is sealed. Times are seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Sealed {
    id: Uuid,
    begun: u64,
    used: u64,
    csrf: String,
    user: User,
}

/// Begins sessions, knows them again, and ends them.
#[derive(Debug)]
pub(in crate::serve) struct BrowserSessions {
    issuer: String,
    lasts: Duration,
    idle: Duration,
    seals: Seals,
    ended: EndedSessions,
}

/// What the browser of a session that has begun is to keep.
pub(super) struct Begun {
    /// The session.
    pub(super) session: String,
    /// The ID token, to sign out at the provider with; none where it is too long for a cookie.
    pub(super) hint: Option<String>,
}

/// 256 random bits as text.
fn random_word() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

impl BrowserSessions {
    /// # Errors
    /// Where no TLS can be spoken with the roots that ClickHouse's configuration names.
    pub(in crate::serve) fn new(config: &Config, seals: Seals) -> Result<Self, ConnectError> {
        Ok(Self {
            issuer: config.issuer.url.clone(),
            lasts: config.limits.session,
            idle: config.limits.session_idle,
            seals,
            ended: EndedSessions::new(config)?,
        })
    }

    /// How long a session lasts at most.
    pub(super) fn lasts(&self) -> Duration {
        self.lasts
    }

    /// Begins a session, under an id that no session had before.
    ///
    /// # Errors
    /// [`Problem::Forbidden`]: the user is in so many groups that no cookie holds them.
    pub(super) fn begin(&self, user: User, id_token: &SecretString, now: SystemTime) -> Result<Begun, Problem> {
        let session = BrowserSession {
            user: Arc::new(user),
            csrf: random_word(),
            id: Uuid::now_v7(),
            begun: now,
            used: now,
        };
        let hint = id_token.expose_secret().as_bytes();
        let hint = self.seals.seal(Purpose::Hint, session.id.as_bytes(), hint);
        let sealed = self.seal(&session);
        match sealed.len() <= LONGEST {
            true => Ok(Begun {
                session: sealed,
                hint: Some(hint).filter(|hint| hint.len() <= LONGEST),
            }),
            false => Err(Problem::Forbidden(
                "you are in more groups with rights here than a browser keeps for us",
            )),
        }
    }

    /// The session that a cookie holds, as far as the cookie says: somebody may have [ended](Self::has_ended) it.
    pub(super) fn open(&self, cookie: &str, now: SystemTime) -> Option<BrowserSession> {
        let text = self.seals.open(Purpose::Session, b"", cookie)?;
        let sealed: Sealed = serde_json::from_slice(&text).ok()?;
        let at = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let session = BrowserSession {
            user: Arc::new(sealed.user),
            csrf: sealed.csrf,
            id: sealed.id,
            begun: at(sealed.begun)?,
            used: at(sealed.used)?,
        };
        let is_used = age(session.used, now).is_some_and(|age| age < self.idle);
        // The provider may be another one by now.
        let is_ours = session.user.issuer() == self.issuer;
        (is_ours && is_used && self.is_young(&session, now)).then_some(session)
    }

    /// The ID token that a session began with, from the cookie that holds it.
    pub(super) fn open_hint(&self, session: &BrowserSession, cookie: &str) -> Option<SecretString> {
        let text = self.seals.open(Purpose::Hint, session.id.as_bytes(), cookie)?;
        String::from_utf8(text).ok().map(SecretString::from)
    }

    /// A new cookie for a session that was used, and how long it lasts; none where the one that the browser has will do.
    pub(super) fn renew(&self, session: &BrowserSession, now: SystemTime) -> Option<(String, Duration)> {
        let is_due = age(session.used, now).is_some_and(|age| age >= self.idle / PART);
        let rest = self.lasts.checked_sub(age(session.begun, now)?)?;
        let used = BrowserSession {
            used: now,
            ..session.clone()
        };
        is_due.then(|| (self.seal(&used), rest))
    }

    /// Whether somebody has signed out of it, at any replica.
    ///
    /// # Errors
    /// [`Problem::Away`]: nobody knows.
    pub(super) async fn has_ended(&self, session: &BrowserSession) -> Result<bool, Problem> {
        self.ended.has(session.id).await
    }

    /// Whether a session that was there goes on; to ask is not to use it.
    ///
    /// # Errors
    /// [`Problem::Away`]: nobody knows.
    pub(super) async fn goes_on(&self, session: &BrowserSession, now: SystemTime) -> Result<bool, Problem> {
        Ok(self.is_young(session, now) && !self.has_ended(session).await?)
    }

    /// Ends a session, for every replica.
    ///
    /// # Errors
    /// [`Problem::Away`]: it may not have ended.
    pub(super) async fn end(&self, session: &BrowserSession) -> Result<(), Problem> {
        self.ended.add(session.id, session.begun + self.lasts).await
    }

    fn is_young(&self, session: &BrowserSession, now: SystemTime) -> bool {
        age(session.begun, now).is_some_and(|age| age < self.lasts)
    }

    fn seal(&self, session: &BrowserSession) -> String {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let sealed = Sealed {
            id: session.id,
            begun: seconds(session.begun),
            used: seconds(session.used),
            csrf: session.csrf.clone(),
            user: (*session.user).clone(),
        };
        let text = serde_json::to_vec(&sealed).expect("texts and numbers are JSON");
        self.seals.seal(Purpose::Session, b"", &text)
    }
}

/// How long ago; none for what is still to come, beyond what clocks may be apart.
fn age(then: SystemTime, now: SystemTime) -> Option<Duration> {
    match now.duration_since(then) {
        Ok(age) => Some(age),
        Err(ahead) if ahead.duration() <= SKEW => Some(Duration::ZERO),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
