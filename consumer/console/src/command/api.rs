//! Asking the console, with the token of who is signed in.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tapedeck_asker::issuer::{is_secure, native_roots, with_causes};
use tokio::sync::Mutex;
use url::Url;
use uuid::Uuid;

use super::arguments::Place;
use super::failure::Failure;
use super::session::{Profile, Shelf};
use super::sign_in;
use crate::serve::{Frame, FramePage, Page, Session};
use crate::text::printable;

/// A token for programs that nobody signs in for, instead of a profile's.
const TOKEN: &str = "TAPEDECK_TOKEN";
/// How long the console may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long it may be silent within an answer: its longest query, and some more.
const SILENCE: Duration = Duration::from_secs(120);
/// Bytes of an error's text that are read.
const PROBLEM: usize = 64 * 1024;

/// Parameters of a question.
pub(super) type Query = Vec<(&'static str, String)>;

/// A console, and who asks it.
pub(super) struct Api {
    http: Client,
    server: Url,
    token: Token,
}

enum Token {
    /// From the environment.
    Given(String),
    /// A profile's, which is refreshed when it ends.
    Profile(Shelf, Box<Mutex<Profile>>),
}

/// What the console says when it does not answer (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Api {
    /// The console of a profile, or the one that is named, with the profile's token or `TAPEDECK_TOKEN`.
    ///
    /// # Errors
    /// Nobody is signed in, or the token would go where others can read it.
    pub(super) fn open(place: &Place) -> anyhow::Result<Self> {
        let shelf = Shelf::of(&place.profile)?;
        let given = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
        let profile = match given {
            Some(_) => None,
            None => shelf.read()?,
        };
        let server = match (&place.server, &profile) {
            (Some(server), _) => server.clone(),
            (None, Some(profile)) => profile.server.clone(),
            (None, None) => return Err(not_signed_in(&shelf)),
        };
        if !is_secure(&server) {
            let message = format!("{server} is not https: a token sent there could be read on its way");
            return Err(Failure::Usage(message).into());
        }
        let token = match (given, profile) {
            (Some(token), _) => Token::Given(token),
            // A token is for the console that it was made for, and no other.
            (None, Some(profile)) if profile.server.origin() == server.origin() => {
                Token::Profile(shelf, Box::new(Mutex::new(profile)))
            }
            _ => return Err(not_signed_in(&shelf)),
        };
        let http = careful().connect_timeout(CONNECT_TIME).read_timeout(SILENCE);
        Ok(Self {
            http: http.build()?,
            server,
            token,
        })
    }

    /// An answer of the console's, whose body is still to come.
    ///
    /// # Errors
    /// Those of the console, in its own words.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&'static str, String)],
        accept: &str,
    ) -> anyhow::Result<Response> {
        let request = self.http.get(self.server.join(path)?).query(query);
        self.answer(request.header(ACCEPT, accept)).await
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let token = self.token().await?;
        let response = match request.bearer_auth(token).send().await {
            Ok(response) => response,
            Err(error) => bail!("{} does not answer: {}", self.server, with_causes(&error.without_url())),
        };
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(self.problem(status, response).await),
        }
    }

    /// An answer of the console's, read whole.
    ///
    /// # Errors
    /// Those of the console, in its own words.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&'static str, String)],
    ) -> anyhow::Result<T> {
        self.whole(self.get(path, query, "application/json").await?).await
    }

    async fn whole<T: DeserializeOwned>(&self, response: Response) -> anyhow::Result<T> {
        let body = response
            .bytes()
            .await
            .map_err(|error| broke_off(&error.without_url()))?;
        serde_json::from_slice(&body).with_context(|| format!("{} is of another version: its answer", self.server))
    }

    /// Items of a list, page by page, until there are `limit`; `each` is told of every one.
    ///
    /// # Errors
    /// Those of the console, and of `each`.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query,
        limit: u32,
        page: u32,
        mut each: impl FnMut(T) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (mut left, mut cursor) = (limit, None::<String>);
        while left > 0 {
            let mut query = query.clone();
            query.push(("limit", left.min(page).to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.json(path, &query).await?;
            for item in page.items.into_iter().take(left as usize) {
                each(item)?;
                left -= 1;
            }
            match page.next {
                None => return Ok(()),
                next => cursor = next,
            }
        }
        Ok(())
    }

    /// As [`Api::list`], where the question is too delicate for an address: it is sent as a JSON body.
    ///
    /// # Errors
    /// Those of the console, and of `each`.
    pub(super) async fn list_asked<T: DeserializeOwned>(
        &self,
        path: &str,
        mut question: Map<String, Value>,
        limit: u32,
        page: u32,
        mut each: impl FnMut(T) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut left = limit;
        while left > 0 {
            question.insert("limit".to_owned(), left.min(page).into());
            let request = self
                .http
                .post(self.server.join(path)?)
                .header(ACCEPT, "application/json");
            let request = request
                .header(CONTENT_TYPE, "application/json")
                .body(serde_json::to_string(&question)?);
            let page: Page<T> = self.whole(self.answer(request).await?).await?;
            for item in page.items.into_iter().take(left as usize) {
                each(item)?;
                left -= 1;
            }
            match page.next {
                None => return Ok(()),
                Some(next) => question.insert("cursor".to_owned(), next.into()),
            };
        }
        Ok(())
    }

    /// A session, if there is one that the user may see.
    pub(super) async fn session(&self, session: Uuid) -> anyhow::Result<Session> {
        self.json(&format!("/api/v1/sessions/{session}"), &[]).await
    }

    /// A page of a session's frames.
    pub(super) async fn frames(
        &self,
        session: Uuid,
        after: u64,
        count: u32,
        payload_bytes: u64,
    ) -> anyhow::Result<FramePage> {
        let query = [
            ("after", after.to_string()),
            ("limit", count.to_string()),
            ("payload_bytes", payload_bytes.to_string()),
        ];
        self.json(&format!("/api/v1/sessions/{session}/frames"), &query).await
    }

    /// All frames of a session, whole.
    pub(super) async fn all_frames(&self, session: Uuid) -> anyhow::Result<Vec<Frame>> {
        let (mut frames, mut after) = (Vec::new(), Some(0));
        while let Some(place) = after {
            let page = self.frames(session, place, 500, 16 << 20).await?;
            frames.extend(page.items);
            after = page.next;
        }
        Ok(frames)
    }

    async fn token(&self) -> anyhow::Result<String> {
        let (shelf, profile) = match &self.token {
            Token::Given(token) => return Ok(token.clone()),
            Token::Profile(shelf, profile) => (shelf, profile),
        };
        let mut profile = profile.lock().await;
        if profile.tokens.is_good(SystemTime::now()) {
            return Ok(profile.tokens.access.clone());
        }
        let of_lock = shelf.clone();
        let _lock = tokio::task::spawn_blocking(move || of_lock.lock()).await??;
        // Perhaps another program was first.
        let kept = shelf.read()?.ok_or_else(|| not_signed_in(shelf))?;
        *profile = kept;
        if !profile.tokens.is_good(SystemTime::now()) {
            profile.tokens = sign_in::refresh(&profile).await?;
            shelf.write(&profile)?;
        }
        Ok(profile.tokens.access.clone())
    }

    async fn problem(&self, status: StatusCode, mut response: Response) -> anyhow::Error {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await
            && body.len() < PROBLEM
        {
            body.extend_from_slice(&chunk);
        }
        let detail = match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => printable(&problem.detail),
            Err(_) => format!("{} answers {status}", self.server),
        };
        match status {
            StatusCode::UNAUTHORIZED => {
                Failure::NotAllowed(format!("{detail}: sign in with `tapedeck sign-in`")).into()
            }
            StatusCode::FORBIDDEN => Failure::NotAllowed(detail).into(),
            StatusCode::NOT_FOUND => Failure::NotFound(detail).into(),
            _ => anyhow::anyhow!(detail),
        }
    }
}

/// An answer that ends before its end.
pub(super) fn broke_off(error: &reqwest::Error) -> anyhow::Error {
    anyhow::anyhow!("the answer broke off: {}", with_causes(error))
}

fn not_signed_in(shelf: &Shelf) -> anyhow::Error {
    let profile = match shelf.name() {
        "default" => String::new(),
        name => format!(" --profile {name}"),
    };
    let message = format!("nobody is signed in there: `tapedeck sign-in{profile} --server URL`");
    Failure::NotAllowed(message).into()
}

/// A client that trusts whom this machine trusts, and shows a credential to nobody but whom it was meant for: it follows no
/// redirection.
pub(super) fn careful() -> ClientBuilder {
    let roots = native_roots()
        .into_iter()
        .filter_map(|root| reqwest::Certificate::from_der(&root).ok());
    roots.fold(
        Client::builder()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tapedeck/", env!("CARGO_PKG_VERSION")))
            .tls_built_in_root_certs(false),
        ClientBuilder::add_root_certificate,
    )
}
