//! A target of the revision 2024-11-05: one event stream for all that it says, and a URL, named by the stream's first
//! event, to which messages are posted.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use tapedeck_wire::events::Splitter;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::{Carrier, LONGEST_MESSAGE, ON_THE_WAY};
use crate::upstream::client::{Client, SendError, UpstreamBody};
use crate::upstream::connect::ConnectError;
use crate::upstream::credential::HeldCredential;

/// Time for the target to name the URL.
const ENDPOINT_TIME: Duration = Duration::from_secs(30);

/// The target's stream.
pub(in crate::upstream) struct Stream {
    client: Arc<Client>,
    url: Url,
    /// One that is the same for every caller: configuration takes no other for such a target.
    credential: Option<Arc<HeldCredential>>,
}

impl Stream {
    pub(in crate::upstream) fn new(client: Client, url: Url, credential: Option<HeldCredential>) -> Self {
        Self {
            client: Arc::new(client),
            url,
            credential: credential.map(Arc::new),
        }
    }

    /// Opens it, and waits for the URL.
    pub(super) async fn open(&self) -> Result<Carrier, ConnectError> {
        let wrong = |why: &str| ConnectError::Start(std::io::Error::other(why.to_owned()));
        let request = self.request(Method::GET, &self.url, Bytes::new())?;
        let answer = self.client.send(request).await.map_err(|error| match error {
            SendError::NotSent(error) => error,
            _ => wrong("its event stream did not open"),
        })?;
        let is_stream = answer
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if answer.status != StatusCode::OK || !is_stream {
            return Err(wrong("it has no event stream at its url"));
        }
        let mut events = Events {
            body: answer.body,
            splitter: Splitter::new(LONGEST_MESSAGE),
            message: BytesMut::new(),
        };
        let first = tokio::time::timeout(ENDPOINT_TIME, events.next())
            .await
            .ok()
            .flatten()
            .filter(|(name, _)| name.as_deref() == Some("endpoint"))
            .ok_or_else(|| wrong("its stream does not begin with an endpoint"))?;
        let endpoint = std::str::from_utf8(&first.1)
            .ok()
            .and_then(|text| self.url.join(text).ok());
        // Messages, and the credential with them, go to the target that is configured and to no other.
        let endpoint = endpoint
            .filter(|url| url.origin() == self.url.origin())
            .ok_or_else(|| wrong("its endpoint is not its own"))?;

        let (outgoing, to_post) = mpsc::channel(ON_THE_WAY);
        let (read, incoming) = mpsc::channel(ON_THE_WAY);
        let (over, posting_failed) = (tokio_util::sync::CancellationToken::new(), "a target takes no messages");
        let ending = over.clone();
        let reading = async move {
            let reading = async {
                while let Some((name, message)) = events.next().await {
                    let is_message = name.is_none_or(|name| name == "message");
                    if is_message && !message.is_empty() && read.send(message).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = reading => {}
                () = ending.cancelled() => {}
            }
        };
        let poster = Self {
            client: Arc::clone(&self.client),
            url: endpoint,
            credential: self.credential.clone(),
        };
        let posting = async move {
            let mut messages: mpsc::Receiver<Bytes> = to_post;
            while let Some(message) = messages.recv().await {
                if !poster.post(message).await {
                    tracing::debug!("{posting_failed}");
                    return over.cancel();
                }
            }
        };
        let tasks = [tokio::spawn(reading), tokio::spawn(posting)];
        Ok(Carrier {
            outgoing,
            incoming,
            tasks: tasks.map(AbortOnDropHandle::new).into(),
        })
    }

    /// Whether the target took it.
    async fn post(&self, message: Bytes) -> bool {
        let Ok(request) = self.request(Method::POST, &self.url, message) else {
            return false;
        };
        match self.client.send(request).await {
            Ok(mut answer) => {
                // Its words are no message; reading them frees the connection.
                while let Ok(Some(_)) = answer.body.next().await {}
                answer.status.is_success()
            }
            Err(_) => false,
        }
    }

    fn request(&self, method: Method, url: &Url, body: Bytes) -> Result<Request<Full<Bytes>>, ConnectError> {
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let uri = Uri::try_from(path).map_err(|error| ConnectError::Start(std::io::Error::other(error)))?;
        let mut fields = HeaderMap::new();
        match method {
            Method::GET => fields.insert(ACCEPT, HeaderValue::from_static("text/event-stream")),
            _ => fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json")),
        };
        if let Some(credential) = &self.credential {
            let field = credential.field_of_all();
            let (name, value) = field.map_err(|error| ConnectError::Start(std::io::Error::other(error)))?;
            fields.insert(name, value);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = fields;
        Ok(request)
    }
}

/// The events of a stream, each whole.
struct Events {
    body: UpstreamBody,
    splitter: Splitter,
    message: BytesMut,
}

impl Events {
    /// The next event's name and data; none at the end, or if an event is too long.
    async fn next(&mut self) -> Option<(Option<String>, Bytes)> {
        let mut name = None;
        loop {
            while let Some(piece) = self.splitter.next_piece() {
                self.message.extend_from_slice(&piece.data);
                name = piece.event.or(name);
                if self.message.len() > LONGEST_MESSAGE {
                    return None;
                }
                if piece.last && !(self.message.is_empty() && name.is_none()) {
                    return Some((name, self.message.split().freeze()));
                }
            }
            let bytes = self.body.next().await.ok()??;
            self.splitter.push(bytes);
        }
    }
}
