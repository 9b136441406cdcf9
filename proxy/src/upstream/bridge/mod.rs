//! Targets that are spoken to over something that lasts: a child process (stdio), or an event stream of the revision
//! 2024-11-05 (HTTP+SSE). Clients speak streamable HTTP to them all the same.
//!
//! A request becomes a message on a [`conversation`]; its answer, and whatever else is for its client, comes back as an
//! event stream that was never on a wire. Everything behind that, recording first, is as with any other target.

mod conversation;
mod pipe;
mod restarts;
mod rewrite;
mod sse;
mod stdio;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tapedeck_schemas::{Rpc, RpcKind};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::client::{SendError, UpstreamAnswer, UpstreamBody};
use super::connect::ConnectError;
use super::forward::{Asked, SESSION_ID};
use crate::config::{Per, Program};
use crate::ends::Aside;
use crate::identity::Authorized;
use conversation::{Conversation, Refused, Sharing};
use restarts::Restarts;

pub(crate) use pipe::{Lost, Pipe};
pub(super) use sse::Stream as EventStream;

/// Messages on their way between a conversation and what carries it.
const ON_THE_WAY: usize = 16;
/// The longest message of a target's, in bytes.
const LONGEST_MESSAGE: usize = 16 * 1024 * 1024;
/// A session that nobody has used for so long is over.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// What carries a conversation, both ways. Dropping it ends the other side.
pub(super) struct Carrier {
    outgoing: mpsc::Sender<Bytes>,
    incoming: mpsc::Receiver<Bytes>,
    tasks: Vec<AbortOnDropHandle<()>>,
}

/// How a carrier comes to be.
pub(super) enum Way {
    Process(Program),
    Stream(EventStream),
}

/// A target behind a bridge.
pub(crate) struct Bridge {
    way: Way,
    per: Per,
    most: usize,
    conversations: Mutex<HashMap<String, Arc<Conversation>>>,
    restarts: Mutex<Restarts>,
}

impl Bridge {
    pub(super) fn process(program: Program) -> Self {
        let (per, most) = (program.per, program.processes);
        Self::new(Way::Process(program), per, most)
    }

    pub(super) fn stream(stream: EventStream) -> Self {
        Self::new(Way::Stream(stream), Per::Session, usize::MAX)
    }

    fn new(way: Way, per: Per, most: usize) -> Self {
        Self {
            way,
            per,
            most,
            conversations: Mutex::default(),
            restarts: Mutex::default(),
        }
    }

    /// Carries one request, whose body is a message, or none for GET and DELETE.
    pub(super) async fn exchange(
        &self,
        may: &Authorized<'_>,
        asked: &Asked<'_>,
        body: Bytes,
    ) -> Result<UpstreamAnswer, SendError> {
        let session = asked.session.as_ref().and_then(|id| id.to_str().ok());
        if self.per != Per::Session {
            if asked.method != Method::POST && (asked.method == Method::DELETE || self.per == Per::Shared) {
                return Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "only POST is served here"));
            }
            let user = self.user(may);
            let conversation = self.of(&user, &user, asked).await?;
            return carry(&conversation, asked, body, None).await;
        }
        if asked.modern {
            let why = "a process for each session serves no revision without sessions";
            return Ok(refusal(StatusCode::BAD_REQUEST, why));
        }
        let opens = asked.rpc.is_some_and(|rpc| rpc.method.as_deref() == Some("initialize"));
        match session {
            None if opens => {
                let id = Uuid::now_v7().simple().to_string();
                let conversation = self.of(&id, &self.user(may), asked).await?;
                let id = HeaderValue::from_str(&id).ok();
                carry(&conversation, asked, body, id).await
            }
            None => Ok(refusal(
                StatusCode::BAD_REQUEST,
                "initialize first: a session is needed here",
            )),
            // It may live at another replica: there it goes on, here the client begins another.
            Some(id) => match self.known(id) {
                None => Ok(refusal(StatusCode::NOT_FOUND, "the session is over, or not here")),
                Some(conversation) if asked.method == Method::DELETE => {
                    conversation.farewell();
                    self.all().remove(id);
                    Ok(answer(StatusCode::NO_CONTENT, UpstreamBody::empty()))
                }
                Some(conversation) => carry(&conversation, asked, body, None).await,
            },
        }
    }

    /// Who has to wait if a process of theirs does not last.
    fn user(&self, may: &Authorized<'_>) -> String {
        match self.per {
            Per::Shared => String::new(),
            Per::User | Per::Session => {
                let principal = may.principal();
                format!("{} {}", principal.who.issuer, principal.who.subject)
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Conversation>>> {
        self.conversations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A conversation that goes on. Those that ended, and sessions that nobody uses, are forgotten by the way.
    fn known(&self, key: &str) -> Option<Arc<Conversation>> {
        let mut all = self.all();
        let mut restarts = self.restarts();
        all.retain(|_, one| {
            if one.is_over() {
                restarts.ended(one.user(), one.lasted(), Instant::now());
            }
            !one.is_over() && one.unused_for() < IDLE
        });
        all.get(key).cloned()
    }

    /// The conversation of `key`, begun for `user` if there is none.
    async fn of(&self, key: &str, user: &str, asked: &Asked<'_>) -> Result<Arc<Conversation>, SendError> {
        if let Some(known) = self.known(key) {
            return Ok(known);
        }
        let not_now = |why: &str| {
            Err(SendError::NotSent(ConnectError::Start(std::io::Error::other(
                why.to_owned(),
            ))))
        };
        if self.all().len() >= self.most {
            return not_now("there are as many processes as there may be");
        }
        if !self.restarts().may_start(user, Instant::now()) {
            return not_now("it ended, and is not started again yet");
        }
        let carrier = match &self.way {
            Way::Process(program) => stdio::start(program, (asked.aside)()).map_err(ConnectError::Start),
            Way::Stream(stream) => stream.open().await,
        };
        let carrier = carrier.map_err(|error| {
            self.restarts().ended(user, Duration::ZERO, Instant::now());
            SendError::NotSent(error)
        })?;
        let sharing = match self.per {
            Per::Session => Sharing::OneSession,
            Per::User => Sharing::OneUser,
            Per::Shared => Sharing::Everybody,
        };
        let begun = Conversation::begin(carrier, sharing, user);
        let mut all = self.all();
        // Two requests may have begun it at once: the first counts, and the other ends unused.
        let kept = all.get(key).filter(|first| !first.is_over()).map(Arc::clone);
        Ok(kept.unwrap_or_else(|| {
            all.insert(key.to_owned(), Arc::clone(&begun));
            begun
        }))
    }

    fn restarts(&self) -> MutexGuard<'_, Restarts> {
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a request on a conversation. `session` is the id of the one that it opens.
async fn carry(
    conversation: &Arc<Conversation>,
    asked: &Asked<'_>,
    body: Bytes,
    session: Option<HeaderValue>,
) -> Result<UpstreamAnswer, SendError> {
    let stream = match (asked.rpc, &asked.method) {
        (None, _) => conversation.listen(),
        (Some(Rpc { kind, .. }), _) if *kind == RpcKind::Batch => {
            return Ok(refusal(StatusCode::BAD_REQUEST, "batches are not served here"));
        }
        (Some(rpc), _) if rpc.kind == RpcKind::Request => match conversation.ask(rpc, &body).await {
            Ok(stream) => stream,
            Err(Refused::Twice) => {
                return Ok(refusal(
                    StatusCode::BAD_REQUEST,
                    "a request with this id is not answered yet",
                ));
            }
            Err(Refused::Over) => return Err(SendError::Over),
        },
        (Some(rpc), _) => {
            conversation.tell(rpc, &body).await.map_err(|_| SendError::Over)?;
            return Ok(answer(StatusCode::ACCEPTED, UpstreamBody::empty()));
        }
    };
    let mut head = answer(StatusCode::OK, UpstreamBody::piped(stream));
    head.headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    if let Some(session) = session {
        head.headers.insert(SESSION_ID, session);
    }
    Ok(head)
}

fn answer(status: StatusCode, body: UpstreamBody) -> UpstreamAnswer {
    UpstreamAnswer {
        status,
        headers: HeaderMap::new(),
        body,
    }
}

/// What a server of streamable HTTP would say in place of the target.
fn refusal(status: StatusCode, why: &str) -> UpstreamAnswer {
    let body = serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32000, "message": why } });
    let mut refused = answer(status, UpstreamBody::whole(body.to_string().into()));
    refused
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        refused.headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    refused
}

/// Makes what records the words of a process that are no messages.
pub(crate) type MakeAside<'a> = &'a (dyn Fn() -> Aside + Send + Sync);
