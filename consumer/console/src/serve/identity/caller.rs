//! The user of one request, with their rights: what every handler that shows something takes.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method};
use subtle::ConstantTimeEq as _;

use super::browser::BrowserSession;
use super::{User, cookie};
use crate::serve::Console;
use crate::serve::edge::Asker;
use crate::serve::problem::Problem;
use crate::serve::rights::Scope;

/// The field in which pages of ours show the session's CSRF token.
const CSRF: &str = "x-csrf-token";

/// A signed-in user with rights.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Caller {
    scope: Scope,
    asker: Asker,
    via: Via,
}

/// How the user has shown who they are.
#[derive(Clone, Debug)]
enum Via {
    Browser(BrowserSession),
    /// A bearer token that ends then.
    Token(SystemTime),
}

impl Caller {
    pub(in crate::serve) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(in crate::serve) fn asker(&self) -> &Asker {
        &self.asker
    }

    /// What unsafe requests of this browser show; none for programs, which need none.
    pub(in crate::serve) fn csrf_token(&self) -> Option<&str> {
        match &self.via {
            Via::Browser(session) => Some(&session.csrf),
            Via::Token(_) => None,
        }
    }

    /// Whether who was signed in when the request came still is: for answers that take long.
    ///
    /// # Errors
    /// [`Problem::Away`]: nobody knows.
    pub(in crate::serve) async fn is_still_signed_in(&self, console: &Console) -> Result<bool, Problem> {
        let now = SystemTime::now();
        match &self.via {
            Via::Browser(session) => console.sessions.goes_on(session, now).await,
            Via::Token(expires) => Ok(now < *expires),
        }
    }
}

impl FromRequestParts<Arc<Console>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Problem> {
        let asker = parts.extensions.get::<Asker>().cloned().ok_or(Problem::Internal)?;
        let (user, via) = who(&parts.headers, console).await?;
        asker.is(&user);
        if let Via::Browser(session) = &via
            && let Some((sealed, lasts)) = console.sessions.renew(session, SystemTime::now())
        {
            asker.keeps(cookie::set(cookie::SESSION, &sealed, lasts));
        }
        Ok(Self {
            scope: Scope::of(user, &console.config.roles)?,
            asker,
            via,
        })
    }
}

/// A token counts before a cookie: no page of another site can make a browser send one.
async fn who(headers: &HeaderMap, console: &Console) -> Result<(Arc<User>, Via), Problem> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else {
        let session = signed_in(headers, console).await?;
        let session =
            session.ok_or_else(|| Problem::Unauthenticated("sign in at /auth/sign-in, or send a token".to_owned()))?;
        return Ok((Arc::clone(&session.user), Via::Browser(session)));
    };
    let refused = |why: &str| Problem::Unauthenticated(why.to_owned());
    let (scheme, token) = match (field.to_str(), fields.next()) {
        (Ok(field), None) => field.split_once(' ').unwrap_or((field, "")),
        // Two identities in one request: which one counts must not depend on who reads it.
        _ => return Err(refused("one Authorization header field, and visible ASCII in it")),
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused("the Authorization header field must hold a bearer token"));
    }
    let verified = console
        .provider
        .bearer(token.trim_matches(' '), SystemTime::now())
        .await;
    match verified {
        Ok((user, expires)) => Ok((Arc::new(user), Via::Token(expires))),
        Err(super::token::TokenError::ProviderAway) => Err(Problem::Away("the identity provider is away")),
        Err(error) => Err(Problem::Unauthenticated(error.to_string())),
    }
}

/// The browser's session, if its cookie holds one that nobody has signed out of.
///
/// # Errors
/// [`Problem::Away`]: nobody knows.
pub(super) async fn signed_in(headers: &HeaderMap, console: &Console) -> Result<Option<BrowserSession>, Problem> {
    match browser(headers, console) {
        Some(session) if !console.sessions.has_ended(&session).await? => Ok(Some(session)),
        _ => Ok(None),
    }
}

/// The browser's session, as far as its cookie says.
fn browser(headers: &HeaderMap, console: &Console) -> Option<BrowserSession> {
    console
        .sessions
        .open(cookie::find(headers, cookie::SESSION)?, SystemTime::now())
}

/// Lets no unsafe request through that a browser makes with its cookie unless a page of ours made it: such a page has our
/// origin, and knows the session's token. In front of every route, so that none can forget it.
pub(in crate::serve) async fn same_site(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let headers = request.headers();
    if is_safe || headers.contains_key(AUTHORIZATION) {
        return next.run(request).await;
    }
    let Some(session) = browser(headers, &console) else {
        // Nobody's request; the route says what it thinks of that.
        return next.run(request).await;
    };
    let is_ours = headers
        .get(ORIGIN)
        .is_some_and(|origin| origin == console.config.public_url.origin());
    let shown = headers.get(CSRF).map_or(&b""[..], |token| token.as_bytes());
    let knows = bool::from(shown.ct_eq(session.csrf.as_bytes()));
    if is_ours && knows {
        return next.run(request).await;
    }
    if let Some(asker) = request.extensions().get::<Asker>() {
        asker.is(&session.user);
    }
    Problem::CrossSite.into_response()
}
