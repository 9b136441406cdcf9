//! Signing in and out: OpenID Connect's authorization code with PKCE, and RP-initiated logout.
//!
//! Nothing is kept for a sign-in that is under way, so nobody can fill memory with such, and it may end at another replica:
//! the browser holds a random word in a cookie, sealed, and `state`, `nonce` and the PKCE verifier are made of that.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Query, State};
use axum::response::Response;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use utoipa::{IntoParams, ToSchema};

use super::caller::signed_in;
use super::cookie;
use super::provider::{Proofs, SignInError, SignedIn};
use super::seal::{Purpose, Seals};
use crate::serve::Console;
use crate::serve::access::{Action, Entry, Outcome, nothing_recorded};
use crate::serve::edge::Asker;
use crate::serve::problem::{Problem, ProblemBody};

/// How long somebody may take to sign in.
const LASTS: Duration = Duration::from_secs(600);
/// How far the clocks of replicas may be apart.
const SKEW: Duration = Duration::from_secs(60);
/// The longest path to come back to, in bytes: it is in a cookie.
const LONGEST_PATH: usize = 1024;

/// Begins sign-ins, and knows them again.
#[derive(Debug)]
pub(in crate::serve) struct SignIns {
    seals: Seals,
}

/// A sign-in that is under way, as it is sealed. The time is in seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Under {
    begun: u64,
    word: [u8; 32],
    return_to: String,
}

impl Under {
    /// The secrets of this sign-in.
    fn proofs(&self) -> Proofs {
        let make = |what: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&self.word).expect("HMAC takes a key of any length");
            mac.update(what.as_bytes());
            BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
        };
        Proofs {
            state: make("state"),
            nonce: make("nonce"),
            verifier: make("verifier"),
        }
    }
}

impl SignIns {
    pub(in crate::serve) fn new(seals: Seals) -> Self {
        Self { seals }
    }

    /// A cookie's value, which says when, who and where to go afterwards; and the secrets that belong to it.
    fn begin(&self, now: SystemTime, return_to: &str) -> (String, Proofs) {
        let under = Under {
            begun: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            word: rand::random(),
            return_to: return_to.to_owned(),
        };
        let text = serde_json::to_vec(&under).expect("texts and numbers are JSON");
        (self.seals.seal(Purpose::SignIn, b"", &text), under.proofs())
    }

    /// The secrets of a sign-in whose `state` came back, and where to go afterwards; none where it is not this browser's, or
    /// too old.
    fn finish(&self, cookie: &str, state: &str, now: SystemTime) -> Option<(Proofs, String)> {
        let under: Under = serde_json::from_slice(&self.seals.open(Purpose::SignIn, b"", cookie)?).ok()?;
        let proofs = under.proofs();
        let begun = UNIX_EPOCH.checked_add(Duration::from_secs(under.begun))?;
        // The clocks of replicas may be a little apart.
        let is_fresh = now + SKEW > begun && now.duration_since(begun).unwrap_or_default() < LASTS;
        let is_its_own = bool::from(proofs.state.as_bytes().ct_eq(state.as_bytes()));
        (is_fresh && is_its_own).then_some((proofs, under.return_to))
    }
}

/// Where to go after signing in.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::serve) struct Begin {
    /// A path of this console; default `/`.
    #[serde(default)]
    return_to: Option<String>,
}

/// What the provider sends the browser back with (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::serve) struct Back {
    /// The authorization code.
    code: Option<String>,
    /// As it was sent.
    state: Option<String>,
    /// Why there is no code.
    error: Option<String>,
    /// The issuer.
    iss: Option<String>,
}

/// Where to go to sign out at the provider, too.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct SignedOut {
    /// A URL of the provider, or `/`.
    location: String,
}

/// Begins to sign in: sends the browser to the identity provider.
#[utoipa::path(get, path = "/auth/sign-in", tag = "sign-in", params(Begin), security(()),
    responses((status = 303, description = "To the identity provider"), (status = 503, body = ProblemBody)))]
pub(in crate::serve) async fn sign_in(
    State(console): State<Arc<Console>>,
    begin: Result<Query<Begin>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(begin) = begin.map_err(|error| Problem::BadRequest(error.body_text()))?;
    let return_to = local_path(begin.return_to.as_deref().unwrap_or("/"))?;
    let (value, proofs) = console.sign_ins.begin(SystemTime::now(), return_to);
    let url = console.provider.authorization_url(proofs).await;
    let url = url.map_err(|error| refusal(&error))?;
    let mut response = see_other(url.as_str())?;
    response
        .headers_mut()
        .append(SET_COOKIE, cookie::set(cookie::SIGN_IN, &value, LASTS));
    Ok(response)
}

/// Ends a sign-in: the provider sends the browser here.
#[utoipa::path(get, path = "/auth/callback", tag = "sign-in", params(Back), security(()),
    responses((status = 303, description = "Signed in: to where the sign-in began"),
        (status = 401, description = "Not this browser's sign-in, or the provider refused", body = ProblemBody)))]
pub(in crate::serve) async fn callback(
    State(console): State<Arc<Console>>,
    axum::Extension(asker): axum::Extension<Asker>,
    headers: HeaderMap,
    back: Result<Query<Back>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    // Not told what was wrong with it: the query holds a code.
    let Query(back) = back.map_err(|_| Problem::BadRequest("this is not how a sign-in ends".to_owned()))?;
    let failed = |why: &str| Problem::Unauthenticated(why.to_owned());
    let cookie =
        cookie::find(&headers, cookie::SIGN_IN).ok_or_else(|| failed("no sign-in is under way; begin again"))?;
    let state = back.state.as_deref().unwrap_or_default();
    let now = SystemTime::now();
    let finished = console.sign_ins.finish(cookie, state, now);
    let (proofs, return_to) = finished.ok_or_else(|| failed("this is not the sign-in that began here; begin again"))?;
    if back.iss.is_some_and(|iss| iss != console.provider.issuer()) {
        return Err(failed("another identity provider has answered"));
    }
    if let Some(error) = back.error {
        tracing::info!(error, "a sign-in ended without a code");
        return Err(failed("the identity provider did not sign you in"));
    }
    let code = back.code.ok_or_else(|| failed("the identity provider sent no code"))?;
    let exchanged = console.provider.exchange(code, proofs).await;
    let SignedIn { user, id_token } = exchanged.map_err(|error| refusal(&error))?;
    // Groups that are worth nothing here would only fill the cookie.
    let user = user.with_groups_of(&console.config.roles);
    // A new session: one that somebody planted in the browser before is worth nothing afterwards.
    let begun = console.sessions.begin(user.clone(), &id_token, now)?;
    console
        .access
        .write(&Entry::of(Some(&user), &asker, Action::SignIn, Outcome::Allowed, ""))
        .await?;
    if let Some(before) = signed_in(&headers, &console).await? {
        console.sessions.end(&before).await?;
    }
    let mut response = see_other(&return_to)?;
    let lasts = console.sessions.lasts();
    response
        .headers_mut()
        .append(SET_COOKIE, cookie::set(cookie::SESSION, &begun.session, lasts));
    if let Some(hint) = begun.hint {
        response
            .headers_mut()
            .append(SET_COOKIE, cookie::set(cookie::HINT, &hint, lasts));
    }
    response
        .headers_mut()
        .append(SET_COOKIE, cookie::clear(cookie::SIGN_IN));
    Ok(response)
}

/// Signs the browser out here, and says where it goes to sign out at the provider.
#[utoipa::path(post, path = "/auth/sign-out", tag = "sign-in",
    responses((status = 200, body = SignedOut), (status = 401, body = ProblemBody),
        (status = 403, description = "Without this session's X-CSRF-Token", body = ProblemBody)))]
pub(in crate::serve) async fn sign_out(
    State(console): State<Arc<Console>>,
    axum::Extension(asker): axum::Extension<Asker>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Not a `Caller`: who has lost all rights may sign out as well.
    let session = signed_in(&headers, &console).await?;
    let session = session.ok_or_else(|| Problem::Unauthenticated("no browser is signed in".to_owned()))?;
    asker.is(&session.user);
    console
        .access
        .write(&Entry::of(
            Some(&session.user),
            &asker,
            Action::SignOut,
            Outcome::Allowed,
            "",
        ))
        .await?;
    console.sessions.end(&session).await?;
    let hint = cookie::find(&headers, cookie::HINT).and_then(|hint| console.sessions.open_hint(&session, hint));
    let location = console.provider.sign_out_url(hint.as_ref()).await;
    let location = location.map_or_else(|| "/".to_owned(), |url| url.to_string());
    let mut response = nothing_recorded(Json(SignedOut { location }));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
        .headers_mut()
        .append(SET_COOKIE, cookie::clear(cookie::SESSION));
    response.headers_mut().append(SET_COOKIE, cookie::clear(cookie::HINT));
    Ok(response)
}

fn refusal(error: &SignInError) -> Problem {
    tracing::warn!(%error, "a sign-in failed");
    match error {
        SignInError::Away => Problem::Away("the identity provider is away"),
        _ => Problem::Unauthenticated("the identity provider's answer does not sign you in; begin again".to_owned()),
    }
}

/// A path of ours, and not a URL of somebody else's that looks like one: a browser reads `//host` and `/\host` as such.
fn local_path(path: &str) -> Result<&str, Problem> {
    let is_visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    match path.len() <= LONGEST_PATH && is_visible && path.starts_with('/') && !path.starts_with("//") {
        true => Ok(path),
        false => Err(Problem::BadRequest(
            "return_to must be a path of this console, percent-encoded".to_owned(),
        )),
    }
}

fn see_other(url: &str) -> Result<Response, Problem> {
    let mut response = nothing_recorded(StatusCode::SEE_OTHER);
    let location = HeaderValue::from_str(url).map_err(|_| Problem::Internal)?;
    response.headers_mut().insert(LOCATION, location);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use tapedeck_config::SharedKeys;

    use super::{LASTS, SKEW, Seals, SignIns, local_path};

    #[test]
    fn a_sign_in_ends_only_in_the_browser_where_it_began_and_in_time_at_any_replica() {
        let keys = SharedKeys::random();
        let [sign_ins, replica] = [&keys, &keys].map(|keys| SignIns::new(Seals::new(keys)));
        let now = SystemTime::now();
        let ((mine, proofs), (other, _)) = (sign_ins.begin(now, "/sessions"), sign_ins.begin(now, "/"));
        let finish = |of: &SignIns, cookie: &str, state: &str, now| of.finish(cookie, state, now).map(|(_, path)| path);
        for of in [&sign_ins, &replica] {
            assert_eq!(finish(of, &mine, &proofs.state, now).as_deref(), Some("/sessions"));
            assert_eq!(finish(of, &other, &proofs.state, now), None);
            assert_eq!(finish(of, &mine, "", now), None);
            assert_eq!(finish(of, &mine, &proofs.state, now + LASTS), None);
            assert_eq!(
                finish(of, &mine, &proofs.state, now - SKEW - Duration::from_secs(1)),
                None
            );
        }
        let stranger = SignIns::new(Seals::new(&SharedKeys::random()));
        assert_eq!(finish(&stranger, &mine, &proofs.state, now), None, "it has other keys");
    }

    #[test]
    fn the_secrets_of_a_sign_in_differ_and_fit_pkce() {
        let sign_ins = SignIns::new(Seals::new(&SharedKeys::random()));
        let (_, proofs) = sign_ins.begin(SystemTime::now(), "/");
        assert_eq!(proofs.verifier.len(), 43, "RFC 7636 wants 43 to 128");
        assert!(proofs.state != proofs.nonce && proofs.nonce != proofs.verifier);
    }

    #[test]
    fn nobody_is_sent_to_another_host() {
        for good in ["/", "/sessions?user=a%20b", "/a/b#c"] {
            assert!(local_path(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\nb",
            "/ä",
            "sessions",
        ] {
            assert!(local_path(bad).is_err(), "{bad:?}");
        }
    }
}
