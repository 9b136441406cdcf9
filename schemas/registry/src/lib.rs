//! A schema registry with Confluent's interface: Confluent's own, Apicurio, Karapace, Redpanda.
//!
//! Writers register their schema once, when they start, and put the id that they get before each record. Readers ask for
//! the schema of an id that they have not met. Registering the same text again gives the same id, so any number of writers
//! may.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tapedeck_config::SchemaRegistry;
use tracing::warn;
use url::Url;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses before asking again: doubled from the first up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// The largest answer, in bytes: a schema is far smaller.
const LARGEST: usize = 4 * 1024 * 1024;
/// The media type of the interface.
const MEDIA: &str = "application/vnd.schemaregistry.v1+json";

/// A registry that can be asked. Debug shows no secret.
#[derive(Clone, Debug)]
pub struct Registry {
    http: reqwest::Client,
    url: Url,
    login: Option<(String, SecretString)>,
}

/// Why a registry cannot be used. None of them names a secret.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file of roots cannot be read.
    #[error("schema_registry.ca: {0}")]
    Ca(#[source] std::io::Error),
    /// A root, or the HTTP client, is refused by the TLS library.
    #[error("schema_registry: {0}")]
    Client(#[source] reqwest::Error),
    /// It did not answer, or not to the end.
    #[error("the schema registry does not answer: {0}")]
    Away(#[source] reqwest::Error),
    /// It answered with an error of its own.
    #[error("the schema registry says {status} to {what}: {message}")]
    Refused {
        /// What it was asked for.
        what: String,
        /// HTTP status.
        status: u16,
        /// Its own word.
        message: String,
    },
    /// Its answer is none of the interface's.
    #[error("the schema registry's answer to {0} is none")]
    NoAnswer(String),
}

impl RegistryError {
    /// Asking again does not help: the schema is not compatible, the user has no right, or this is no registry.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Ca(_) | Self::Client(_) | Self::NoAnswer(_) => true,
            Self::Away(_) => false,
            Self::Refused { status, .. } => !matches!(status, 408 | 429 | 500..),
        }
    }
}

#[derive(Serialize)]
struct NewSchema<'a> {
    schema: &'a str,
    #[serde(rename = "schemaType")]
    kind: &'a str,
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

#[derive(Deserialize)]
struct Known {
    schema: String,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Registry {
    /// Of this configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// Where the file of roots cannot be used.
    pub fn new(config: &SchemaRegistry) -> Result<Self, RegistryError> {
        let mut builder = reqwest::Client::builder()
            // A login goes where the configuration says, or nowhere.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .tls_built_in_root_certs(false);
        let roots = match &config.ca {
            Some(path) => {
                let pem = std::fs::read(path).map_err(RegistryError::Ca)?;
                reqwest::Certificate::from_pem_bundle(&pem).map_err(RegistryError::Client)?
            }
            None => {
                let native = rustls_native_certs::load_native_certs().certs;
                // A root that this TLS library cannot use is one that it does not trust.
                native
                    .iter()
                    .filter_map(|root| reqwest::Certificate::from_der(root).ok())
                    .collect()
            }
        };
        for root in roots {
            builder = builder.add_root_certificate(root);
        }
        Ok(Self {
            http: builder.build().map_err(RegistryError::Client)?,
            url: config.url.clone(),
            login: config.login.clone(),
        })
    }

    /// Registers a schema as the one of a topic's values, and gives back its id.
    ///
    /// # Errors
    /// See [`RegistryError`]; 409 where it is not compatible with what is registered there.
    pub async fn register(&self, topic: &str, schema: &str) -> Result<u32, RegistryError> {
        let what = format!("registering the schema of {topic}");
        let new = NewSchema { schema, kind: "AVRO" };
        let body = serde_json::to_vec(&new).map_err(|_| RegistryError::NoAnswer(what.clone()))?;
        let subject = format!("{topic}-value");
        let request = self
            .http
            .post(self.at(&["subjects", &subject, "versions"]))
            .header("content-type", MEDIA)
            .body(body);
        let answer = self.ask(&what, request).await?;
        let registered: Registered = serde_json::from_slice(&answer).map_err(|_| RegistryError::NoAnswer(what))?;
        Ok(registered.id)
    }

    /// [`register`](Self::register), asked until the registry answers.
    ///
    /// # Errors
    /// Only what no retry mends.
    pub async fn register_at_last(&self, topic: &str, schema: &str) -> Result<u32, RegistryError> {
        let mut pause = PAUSE.0;
        loop {
            match self.register(topic, schema).await {
                Err(error) if !error.is_permanent() => warn!(%error, topic, "trying again"),
                result => return result,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// The text of a schema; `None` where the registry has none of this id.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn schema(&self, id: u32) -> Result<Option<String>, RegistryError> {
        let what = format!("asking for schema {id}");
        let request = self.http.get(self.at(&["schemas", "ids", &id.to_string()]));
        let answer = match self.ask(&what, request).await {
            Err(RegistryError::Refused { status: 404, .. }) => return Ok(None),
            answer => answer?,
        };
        let known: Known = serde_json::from_slice(&answer).map_err(|_| RegistryError::NoAnswer(what))?;
        Ok(Some(known.schema))
    }

    /// [`schema`](Self::schema), asked until the registry answers.
    ///
    /// # Errors
    /// Only what no retry mends.
    pub async fn schema_at_last(&self, id: u32) -> Result<Option<String>, RegistryError> {
        let mut pause = PAUSE.0;
        loop {
            match self.schema(id).await {
                Err(error) if !error.is_permanent() => warn!(%error, id, "trying again"),
                result => return result,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn ask(&self, what: &str, request: reqwest::RequestBuilder) -> Result<Vec<u8>, RegistryError> {
        let request = match &self.login {
            Some((user, password)) => request.basic_auth(user, Some(password.expose_secret())),
            None => request,
        };
        let mut response = request.header("accept", MEDIA).send().await.map_err(away)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(away)? {
            if body.len() + piece.len() > LARGEST {
                return Err(RegistryError::NoAnswer(what.to_owned()));
            }
            body.extend_from_slice(&piece);
        }
        if status.is_success() {
            return Ok(body);
        }
        let refusal = serde_json::from_slice::<Refusal>(&body).ok();
        let message: String = refusal.map_or_else(String::new, |refusal| refusal.message.chars().take(500).collect());
        Err(RegistryError::Refused {
            what: what.to_owned(),
            status: status.as_u16(),
            message,
        })
    }
}

/// Without its URL, which the configuration has.
fn away(error: reqwest::Error) -> RegistryError {
    RegistryError::Away(error.without_url())
}

#[cfg(test)]
mod tests;
