//! Messages in both directions over one carrier, and which stream of which client each of the target's is for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tapedeck_schemas::Rpc;
use tapedeck_wire::envelope::{Envelope, Kind, Limits};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::pipe::{Piece, Pipe, event, on_one_line};
use super::rewrite::{Rewritten, cancelled_request, restored, rewritten};
use super::{Carrier, ON_THE_WAY};

/// Most messages that wait for somebody to listen. Beyond them the oldest are dropped.
const BACKLOG: usize = 256;

/// Who has a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    OneSession,
    /// Several sessions of one user: their ids may be the same, so each request gets another one on its way.
    OneUser,
    /// As above; and what the target asks or says of its own accord could be meant for any of them, so nobody gets it.
    Everybody,
}

/// Why a request is not put on a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Another with its id is open.
    Twice,
    /// The target has ended.
    Over,
}

/// A conversation with a target. It ends with the last who holds it, and the target with it.
pub(super) struct Conversation {
    outgoing: mpsc::Sender<Bytes>,
    state: Arc<Mutex<State>>,
    sharing: Sharing,
    user: String,
    over: CancellationToken,
    began: Instant,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

#[derive(Default)]
struct State {
    /// By the id as the target knows it.
    waiting: HashMap<String, Waiting>,
    /// The last id that was given, where ids are given.
    given: u64,
    /// The latest last.
    listeners: Vec<mpsc::Sender<Piece>>,
    backlog: VecDeque<Bytes>,
    used: Option<Instant>,
}

struct Waiting {
    /// The id as the client knows it, as JSON text; none if it is the same.
    id: Option<String>,
    /// The progress token likewise.
    token: Option<String>,
    stream: mpsc::Sender<Piece>,
    order: u64,
}

impl Conversation {
    /// Begins one for `user`.
    pub(super) fn begin(carrier: Carrier, sharing: Sharing, user: &str) -> Arc<Self> {
        let Carrier {
            outgoing,
            incoming,
            tasks: mut carried,
        } = carrier;
        let state = Arc::default();
        let over = CancellationToken::new();
        let reader = Reader {
            state: Arc::clone(&state),
            outgoing: outgoing.clone(),
            sharing,
        };
        let ending = over.clone();
        carried.push(AbortOnDropHandle::new(tokio::spawn(async move {
            reader.run(incoming).await;
            ending.cancel();
        })));
        Arc::new(Self {
            outgoing,
            state,
            sharing,
            user: user.to_owned(),
            over,
            began: Instant::now(),
            _tasks: carried,
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Ends listening streams cleanly: the client wants it so.
    pub(super) fn farewell(&self) {
        for listener in std::mem::take(&mut self.lock().listeners) {
            // Where there is no room the client is not reading, and sees a cut.
            let _ = listener.try_send(Piece::End);
        }
    }

    pub(super) fn lasted(&self) -> Duration {
        self.began.elapsed()
    }

    /// How long nothing was sent, and nobody waits or listens.
    pub(super) fn unused_for(&self) -> Duration {
        let state = self.lock();
        let is_used = !state.waiting.is_empty() || state.listeners.iter().any(|one| !one.is_closed());
        match state.used {
            _ if is_used => Duration::ZERO,
            Some(used) => used.elapsed(),
            None => self.began.elapsed(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request; its answer, and what comes before it, is on the stream.
    pub(super) async fn ask(&self, rpc: &Rpc, body: &[u8]) -> Result<Pipe, Refused> {
        let (sender, pieces) = mpsc::channel(ON_THE_WAY);
        let own = rpc.id.clone().unwrap_or_default();
        let (id, message) = {
            let mut state = self.lock();
            state.used = Some(Instant::now());
            state.given += 1;
            let order = state.given;
            let (id, message, waiting) = match self.sharing {
                Sharing::OneSession => (own, on_one_line(body).collect(), (None, None)),
                Sharing::OneUser | Sharing::Everybody => {
                    let Rewritten { message, token } = rewritten(body, order);
                    (order.to_string(), message, (Some(own), token))
                }
            };
            if state.waiting.contains_key(&id) {
                return Err(Refused::Twice);
            }
            let (own, token) = waiting;
            let waiting = Waiting {
                id: own,
                token,
                stream: sender,
                order,
            };
            state.waiting.insert(id.clone(), waiting);
            (id, message)
        };
        if self.send(message).await.is_err() {
            self.lock().waiting.remove(&id);
            return Err(Refused::Over);
        }
        let cancel = format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#);
        Ok(Pipe::new(pieces, Some((self.outgoing.clone(), cancel.into()))))
    }

    /// Sends what has no answer.
    pub(super) async fn tell(&self, rpc: &Rpc, body: &[u8]) -> Result<(), Refused> {
        let message = if self.sharing != Sharing::OneSession && rpc.method.as_deref() == Some("notifications/cancelled")
        {
            let state = self.lock();
            let given = |own: &str| {
                let mut of = state
                    .waiting
                    .iter()
                    .filter(|(_, waiting)| waiting.id.as_deref() == Some(own));
                // Two sessions of one user may have the same id open: which of them is meant cannot be known.
                of.next()
                    .filter(|_| of.next().is_none())
                    .map(|(given, _)| given.clone())
            };
            match cancelled_request(body, given) {
                Some(message) => message,
                // It is answered already, or not known whose it is.
                None => return Ok(()),
            }
        } else {
            on_one_line(body).collect()
        };
        self.lock().used = Some(Instant::now());
        self.send(message).await
    }

    async fn send(&self, message: Vec<u8>) -> Result<(), Refused> {
        if self.is_over() {
            return Err(Refused::Over);
        }
        self.outgoing.send(message.into()).await.map_err(|_| Refused::Over)
    }

    /// A stream of what the target says of its own accord. The latest listener gets it.
    pub(super) fn listen(&self) -> Pipe {
        let (sender, pieces) = mpsc::channel(BACKLOG);
        let mut state = self.lock();
        for waiting in std::mem::take(&mut state.backlog) {
            // There is room for all of them.
            let _ = sender.try_send(Piece::Event(waiting));
        }
        state.listeners.retain(|one| !one.is_closed());
        state.listeners.push(sender);
        Pipe::new(pieces, None)
    }
}

/// Takes what the target sends to where it belongs.
struct Reader {
    state: Arc<Mutex<State>>,
    outgoing: mpsc::Sender<Bytes>,
    sharing: Sharing,
}

impl Reader {
    async fn run(self, mut incoming: mpsc::Receiver<Bytes>) {
        while let Some(message) = incoming.recv().await {
            let Ok(envelope) = Envelope::scan(&message, Limits::TARGET) else {
                tracing::debug!("a target sent what is no message");
                continue;
            };
            match (envelope.kind, &envelope.id) {
                (Kind::Response | Kind::Error, Some(id)) => self.answered(id, &message).await,
                _ => self.said(&envelope, &message).await,
            }
        }
        // Who waits finds its stream lost, and listeners find it ended.
        let mut state = self.lock();
        state.waiting.clear();
        state.listeners.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answered(&self, id: &str, message: &[u8]) {
        let Some(waiting) = self.lock().waiting.remove(id) else {
            return tracing::debug!("a target answered what nobody asked");
        };
        let message = match &waiting.id {
            None => event(message),
            Some(own) => event(&restored(message, "id", own)),
        };
        // A client that is gone misses it, unless its answer is read for the record: then somebody receives.
        if waiting.stream.send(Piece::Event(message)).await.is_ok() {
            let _ = waiting.stream.send(Piece::End).await;
        }
    }

    /// A request, a notification, or what is none of both.
    async fn said(&self, envelope: &Envelope, message: &[u8]) {
        if self.sharing != Sharing::OneSession
            && let Some(token) = &envelope.progress_token
            && envelope.kind == Kind::Notification
        {
            let found = self
                .lock()
                .waiting
                .get(token)
                .map(|waiting| (waiting.token.clone(), waiting.stream.clone()));
            if let Some((Some(own), stream)) = found {
                let _ = stream
                    .send(Piece::Event(event(&restored(message, "progressToken", &own))))
                    .await;
            }
            return;
        }
        if self.sharing == Sharing::Everybody {
            if let (Kind::Request, Some(id)) = (envelope.kind, &envelope.id) {
                self.refuse(id, envelope.method.as_deref()).await;
            }
            return;
        }
        let message = event(message);
        let place = {
            let mut state = self.lock();
            // Most of what a target says while it works belongs to what it works on.
            let newest = state.waiting.values().max_by_key(|one| one.order);
            let newest = newest.map(|one| one.stream.clone()).filter(|one| !one.is_closed());
            let latest = || state.listeners.iter().rfind(|one| !one.is_closed()).cloned();
            let place = newest.or_else(latest);
            if place.is_none() {
                if state.backlog.len() == BACKLOG {
                    state.backlog.pop_front();
                }
                state.backlog.push_back(message.clone());
            }
            place
        };
        if let Some(place) = place {
            let _ = place.send(Piece::Event(message)).await;
        }
    }

    /// Whoever would answer could be anybody: only a ping is answered, by the proxy.
    async fn refuse(&self, id: &str, method: Option<&str>) {
        let answer = match method {
            Some("ping") => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#),
            _ => format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"this server is shared: it cannot ask its clients"}}}}"#
            ),
        };
        let _ = self.outgoing.send(answer.into()).await;
    }
}
