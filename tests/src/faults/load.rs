//! Clients that call without pause, and remember what they sent and what they saw.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tapedeck_dev::identity::AccessToken;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Longer than any answer takes whose record waits for a broker that is away.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest that a change under load is waited for.
const CHANGE: Duration = Duration::from_secs(90);

/// One call as its client knows it.
#[derive(Debug, Clone)]
pub struct Call {
    /// What the tool was asked to echo: unlike all others.
    pub text: String,
    /// The body as sent.
    pub request: Bytes,
    /// What came back.
    pub seen: Seen,
}

impl Call {
    /// Whether the proxy said 503: that the target has seen nothing.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.seen, Seen::Refused(StatusCode::SERVICE_UNAVAILABLE, _))
    }
}

/// What a client saw of an answer.
#[derive(Debug, Clone)]
pub enum Seen {
    /// 200 and a whole body.
    Answered(Bytes),
    /// Another status and a whole body.
    Refused(StatusCode, Bytes),
    /// No answer, or not to its end.
    Broken(String),
}

impl fmt::Display for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(_) => formatter.write_str("answered"),
            Self::Refused(status, body) => write!(formatter, "{status}: {}", String::from_utf8_lossy(body)),
            Self::Broken(reason) => write!(formatter, "no answer: {reason}"),
        }
    }
}

/// How many calls have ended how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// With 200 and a whole body.
    pub answered: u64,
    /// In any other way.
    pub failed: u64,
}

/// Running clients. They end when this is dropped.
#[derive(Debug)]
pub struct Load {
    calls: Arc<Mutex<Vec<Call>>>,
    counts: watch::Receiver<Counts>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

/// What every client does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The proxy's endpoint of the target.
    pub endpoint: Url,
    /// Whose calls they are: clients take turns.
    pub tokens: Vec<AccessToken>,
    /// Clients, each with a connection of its own and one call at a time.
    pub clients: usize,
    /// From the beginning of one call of a client to that of its next, at least.
    pub every: Duration,
}

impl Load {
    /// Lets clients call until they are stopped.
    pub fn start(plan: &Plan) -> anyhow::Result<Self> {
        let authority = plan.endpoint.authority().to_owned();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (counted, counts) = watch::channel(Counts::default());
        let counted = Arc::new(counted);
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for number in 0..plan.clients {
            let token = &plan.tokens[number % plan.tokens.len()];
            let client = Client {
                number,
                authority: authority.clone(),
                path: plan.endpoint.path().to_owned(),
                bearer: format!("Bearer {}", token.as_str()),
                connection: None,
            };
            let (calls, counted, stop) = (Arc::clone(&calls), Arc::clone(&counted), stop.clone());
            clients.spawn(client.run(plan.every, calls, counted, stop));
        }
        Ok(Self {
            calls,
            counts,
            stop,
            clients,
        })
    }

    /// How calls have ended so far.
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until so many more calls have been answered.
    pub async fn more_answers(&self, more: u64) -> anyhow::Result<()> {
        let goal = self.counts().answered + more;
        self.until(|counts| counts.answered >= goal)
            .await
            .with_context(|| format!("waiting for {more} more answers"))
    }

    /// Waits until so many more calls have failed.
    pub async fn more_failures(&self, more: u64) -> anyhow::Result<()> {
        let goal = self.counts().failed + more;
        self.until(|counts| counts.failed >= goal)
            .await
            .with_context(|| format!("waiting for {more} more failures"))
    }

    async fn until(&self, is: impl Fn(&Counts) -> bool) -> anyhow::Result<()> {
        let mut counts = self.counts.clone();
        let reached = timeout(CHANGE, counts.wait_for(is)).await;
        let counts = self.counts();
        reached.map_err(|_| anyhow!("not after {CHANGE:?}: {counts:?}"))??;
        Ok(())
    }

    /// Lets every client finish its call, and tells what all have sent and seen.
    pub async fn finish(mut self) -> Vec<Call> {
        self.stop.cancel();
        while self.clients.join_next().await.is_some() {}
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Client {
    number: usize,
    authority: String,
    path: String,
    bearer: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    async fn run(
        mut self,
        every: Duration,
        calls: Arc<Mutex<Vec<Call>>>,
        counted: Arc<watch::Sender<Counts>>,
        stop: CancellationToken,
    ) {
        let mut turns = interval(every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut id = 0_u64;
        while stop.run_until_cancelled(turns.tick()).await.is_some() {
            // Without a connection nothing is sent, so there is nothing to remember.
            if !self.connect().await {
                continue;
            }
            id += 1;
            let text = format!("client {} says {id}", self.number);
            let params = json!({ "name": "echo", "arguments": { "text": text } });
            let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
            let request = Bytes::from(body.to_string());
            let seen = self.call(request.clone()).await;
            let answered = matches!(seen, Seen::Answered(_));
            let call = Call { text, request, seen };
            calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
            counted.send_modify(|counts| match answered {
                true => counts.answered += 1,
                false => counts.failed += 1,
            });
        }
    }

    async fn connect(&mut self) -> bool {
        if self
            .connection
            .as_ref()
            .is_some_and(|connection| !connection.is_closed())
        {
            return true;
        }
        self.connection = None;
        let Ok(stream) = TcpStream::connect(&self.authority).await else {
            return false;
        };
        // The last small packet of a request must not wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let Ok((sender, connection)) = handshake(TokioIo::new(stream)).await else {
            return false;
        };
        tokio::spawn(connection);
        self.connection = Some(sender);
        true
    }

    async fn call(&mut self, body: Bytes) -> Seen {
        let attempt = timeout(PATIENCE, self.exchange(body)).await;
        let (status, body) = match attempt {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.connection = None;
                return Seen::Broken(format!("{error:#}"));
            }
            Err(_) => {
                self.connection = None;
                return Seen::Broken(format!("no answer within {PATIENCE:?}"));
            }
        };
        match status {
            StatusCode::OK => Seen::Answered(body),
            other => Seen::Refused(other, body),
        }
    }

    async fn exchange(&mut self, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let connection = self.connection.as_mut().context("there is no connection")?;
        let request = Request::post(&self.path)
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, &self.bearer)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .body(Full::new(body))?;
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}
