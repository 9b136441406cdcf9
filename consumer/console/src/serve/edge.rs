//! What every request and every answer goes through: an id, the client's address, the security header fields, and the last
//! look at what leaves.

mod strangers;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, IF_NONE_MATCH, REFERRER_POLICY, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    USER_AGENT, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Uri};
use tapedeck_asker::address::client_address;
use uuid::Uuid;

use super::Console;
use super::access::{Accounted, Action, Entry, Outcome};
use super::identity::User;
use super::problem::Problem;
use super::timing::Spent;

pub(super) use strangers::Strangers;

/// The longest part of a client's text that the access log keeps, in characters.
const KEPT: usize = 1024;

/// Scripts, styles, images and connections of the console's own, and nothing else at all.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Whoever asks, before anybody knows who it is.
#[derive(Clone, Debug)]
pub(super) struct Asker(Arc<Asking>);

#[derive(Debug)]
struct Asking {
    id: Uuid,
    address: IpAddr,
    user_agent: String,
    object: String,
    filter: String,
    if_none_match: Option<HeaderValue>,
    /// A cookie that the browser is to keep from now on.
    keeps: OnceLock<HeaderValue>,
    /// Set once somebody is known to be asking, so that a refusal names them.
    user: OnceLock<Arc<User>>,
}

impl Asker {
    fn new(method: &Method, uri: &Uri, headers: &HeaderMap, address: IpAddr) -> Self {
        let kept = |text: &str| text.chars().take(KEPT).collect::<String>();
        let user_agent = headers
            .get(USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        Self(Arc::new(Asking {
            id: Uuid::now_v7(),
            address,
            user_agent: kept(&user_agent.unwrap_or_default()),
            object: kept(&format!("{method} {}", uri.path())),
            filter: kept(uri.query().unwrap_or_default()),
            if_none_match: headers.get(IF_NONE_MATCH).cloned(),
            keeps: OnceLock::new(),
            user: OnceLock::new(),
        }))
    }

    /// The request's id.
    pub(super) fn id(&self) -> Uuid {
        self.0.id
    }

    pub(super) fn address(&self) -> IpAddr {
        self.0.address
    }

    pub(super) fn user_agent(&self) -> &str {
        &self.0.user_agent
    }

    /// Method and path.
    pub(super) fn object(&self) -> &str {
        &self.0.object
    }

    pub(super) fn if_none_match(&self) -> Option<&HeaderValue> {
        self.0.if_none_match.as_ref()
    }

    /// The browser is to keep this cookie.
    pub(super) fn keeps(&self, cookie: HeaderValue) {
        // A request has one session, and is asked about it once.
        let _ = self.0.keeps.set(cookie);
    }

    /// It is this user who asks.
    pub(super) fn is(&self, user: &Arc<User>) {
        // A request has one user; who was there first stays.
        let _ = self.0.user.set(Arc::clone(user));
    }
}

/// Lets a request through, and its answer out: with the header fields that protect it, and only if it is accounted for.
pub(super) async fn pass(State(console): State<Arc<Console>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let peer = peer.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let (trusted, header) = (&console.config.trusted_proxies, console.config.client_address_header);
    let address = client_address(peer, request.headers(), trusted, header);
    let asker = Asker::new(request.method(), request.uri(), request.headers(), address);
    request.extensions_mut().insert(asker.clone());
    let path = request.uri().path().to_owned();
    let spent = Arc::new(Spent::default());
    let answering = async { account(&console, &asker, &path, next.run(request).await).await };
    let mut answer = spent.on(answering).await;
    if let Some(cookie) = asker.0.keeps.get() {
        answer.headers_mut().append(SET_COOKIE, cookie.clone());
    }
    protect(&console, &asker, answer.headers_mut());
    answer
        .headers_mut()
        .insert(HeaderName::from_static("server-timing"), spent.header());
    answer
}

/// The last look at an answer: a refusal is written down, and what says nothing for itself does not leave.
async fn account(console: &Console, asker: &Asker, path: &str, answer: Response) -> Response {
    let refused = match answer.extensions().get::<Accounted>() {
        Some(Accounted::Logged | Accounted::NothingRecorded) => return answer,
        Some(Accounted::Refused(problem)) => problem.clone(),
        None => {
            tracing::error!(
                path,
                status = answer.status().as_u16(),
                "an answer that nobody has accounted for"
            );
            return Problem::Internal.into_response();
        }
    };
    let is_look = path.starts_with("/api/v1/") || path.starts_with("/auth/");
    // Where the access log cannot be written, that is what the client is told already.
    if !is_look || refused == Problem::NotOnRecord {
        return answer;
    }
    let outcome = match refused.status().is_server_error() {
        true => Outcome::Failed,
        false => Outcome::Refused,
    };
    let user = asker.0.user.get().map(Arc::as_ref);
    if user.is_none() && !console.strangers.is_row(asker.address(), &console.access) {
        return answer;
    }
    // What nobody who is known has written is not kept; nor are sign-ins' codes.
    let filter = match user.is_some() && path.starts_with("/api/") {
        true => asker.0.filter.as_str(),
        false => "",
    };
    let entry = Entry::of(user, asker, action(path), outcome, refused.name()).with_filter(filter);
    match console.access.write(&entry).await {
        Ok(_) => answer,
        Err(problem) => problem.into_response(),
    }
}

/// What was asked for, as far as the path says.
fn action(path: &str) -> Action {
    match path {
        "/auth/sign-out" => Action::SignOut,
        _ if path.starts_with("/auth/") => Action::SignIn,
        _ if path.ends_with("/live") => Action::Tail,
        _ if path.ends_with("/search") => Action::Search,
        _ if path.ends_with("/export") => Action::Export,
        _ if path.contains("/frames") => Action::Replay,
        _ => Action::View,
    }
}

fn protect(console: &Console, asker: &Asker, headers: &mut HeaderMap) {
    let fixed = HeaderValue::from_static;
    headers.insert(CONTENT_SECURITY_POLICY, fixed(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(X_FRAME_OPTIONS, fixed("DENY"));
    // Not `no-referrer`: with it browsers send `Origin: null` with a form's POST.
    headers.insert(REFERRER_POLICY, fixed("same-origin"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        fixed("same-origin"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        fixed("same-origin"),
    );
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        fixed("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    );
    if console.config.public_url.is_https() {
        headers.insert(STRICT_TRANSPORT_SECURITY, fixed("max-age=31536000"));
    }
    let id = HeaderValue::from_str(&asker.id().to_string()).expect("a UUID is a header field");
    headers.insert(HeaderName::from_static("x-request-id"), id);
}
