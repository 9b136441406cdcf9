//! The one place from which anything is sent to a target.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use tapedeck_schemas::Rpc;

use super::bridge::{Bridge, EventStream, MakeAside};
use super::client::{Client, SendError, UpstreamAnswer};
use super::connect::{Connector, TargetError};
use super::credential::HeldCredential;
use super::headers;
use crate::config::{Endpoint, Target};
use crate::ends::RequestOnRecord;
use crate::identity::Authorized;

/// `Mcp-Session-Id` of the legacy revisions.
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// Where a stream of the legacy revisions goes on.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// W3C Trace Context, section 3.2.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A target as requests are sent to it.
pub(crate) enum Upstream {
    Http(Http),
    /// Not spoken to in streamable HTTP.
    Bridged(Bridge),
}

/// A target that speaks streamable HTTP.
pub(crate) struct Http {
    client: Client,
    /// Of the target's configured URL. The client's query does not pass: nothing records it.
    path: Uri,
    credential: Option<HeldCredential>,
}

/// What a client asked for, less its body.
pub(crate) struct Asked<'a> {
    pub(crate) method: Method,
    pub(crate) headers: &'a HeaderMap,
    /// The target's own session id, taken from a verified tag.
    pub(crate) session: Option<HeaderValue>,
    /// The message; none for GET and DELETE.
    pub(crate) rpc: Option<&'a Rpc>,
    /// Makes what records the words of a process that this starts.
    pub(crate) aside: MakeAside<'a>,
    /// A revision without sessions and without resumption.
    pub(crate) modern: bool,
    /// The span that the target is asked in, where it is another than the client's.
    pub(crate) traceparent: Option<HeaderValue>,
}

impl Upstream {
    pub(crate) fn new(target: &Target) -> Result<Self, TargetError> {
        let (url, is_stream) = match &target.endpoint {
            Endpoint::Http(url) => (url, false),
            Endpoint::Stream(url) => (url, true),
            Endpoint::Process(program) => return Ok(Self::Bridged(Bridge::process(program.clone()))),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let path = PathAndQuery::try_from(path).map_err(|_| TargetError::Name)?;
        let client = Client::new(Connector::new(url, target.ca.as_deref(), target.client.as_ref())?);
        let credential = target.credential.as_ref().map(HeldCredential::new).transpose()?;
        if is_stream {
            let stream = EventStream::new(client, url.clone(), credential);
            return Ok(Self::Bridged(Bridge::stream(stream)));
        }
        Ok(Self::Http(Http {
            client,
            path: Uri::from(path),
            credential,
        }))
    }
}

/// Sends a request, once at most, with the target's credential, and waits for the head of the answer.
///
/// It takes the proof that the caller may, and the proof that the request is on record; both are of this exchange.
pub(crate) async fn forward(
    upstream: &Upstream,
    may: &Authorized<'_>,
    is_on_record: RequestOnRecord,
    asked: Asked<'_>,
    body: Bytes,
) -> Result<UpstreamAnswer, SendError> {
    tracing::debug!(exchange = %is_on_record.exchange_id(), target = %may.target().name, "forwarding");
    let upstream = match upstream {
        Upstream::Http(upstream) => upstream,
        // Boxed, here and below: each exchange would have, and copy, room for what hardly any of them waits for.
        Upstream::Bridged(bridge) => return Box::pin(bridge.exchange(may, &asked, body)).await,
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = asked.method;
    *request.uri_mut() = upstream.path.clone();
    let fields = request.headers_mut();
    *fields = headers::for_target(asked.headers);
    // The client's own value is tagged: no target would know it.
    fields.remove(SESSION_ID);
    if asked.modern {
        fields.remove(LAST_EVENT_ID);
    }
    if let Some(traceparent) = asked.traceparent {
        // The client's state goes with it: the trace is the same.
        fields.insert(TRACEPARENT, traceparent);
    }
    if let Some(session) = asked.session {
        fields.insert(SESSION_ID, session);
    }
    if let Some(credential) = &upstream.credential {
        let field = credential.field(may, asked.headers).await;
        let (name, value) = field.map_err(SendError::NoCredential)?;
        // Whatever the client sent under this name does not pass beside it.
        fields.insert(name, value);
    }
    let answer = upstream.client.send(request).await?;
    if answer.status == StatusCode::UNAUTHORIZED
        && let Some(credential) = &upstream.credential
    {
        credential.turned_down(asked.headers);
    }
    Ok(answer)
}
