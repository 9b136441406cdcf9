//! What console and identity provider say of signing in.

use anyhow::{Context as _, bail, ensure};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tapedeck_asker::issuer::{Answer, Client, is_secure, with_causes};
use url::{Url, form_urlencoded};

use crate::command::session::{Issuer, Profile};

/// What the console wants of programs.
#[derive(Debug, Deserialize)]
pub(super) struct Programs {
    pub(super) issuer: String,
    pub(super) client_id: Option<String>,
    pub(super) audience: String,
    pub(super) scopes: Vec<String>,
}

impl Programs {
    /// What a profile keeps of where its tokens came from.
    pub(super) fn issuer_for(&self, client_id: String, metadata: &Metadata) -> Issuer {
        Issuer {
            url: self.issuer.clone(),
            client_id,
            audience: self.audience.clone(),
            token_endpoint: metadata.token_endpoint.clone(),
            revocation_endpoint: metadata.revocation_endpoint.clone(),
        }
    }
}

/// What the identity provider has (OpenID Connect Discovery, section 3; RFC 8414).
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) device_authorization_endpoint: Option<Url>,
    registration_endpoint: Option<Url>,
    pub(super) revocation_endpoint: Option<Url>,
}

/// Asks the console how programs sign in.
pub(super) async fn programs(client: &Client, server: &Url) -> anyhow::Result<Programs> {
    let url = server.join("/auth/programs")?;
    let answer = get(client, url).await.with_context(|| format!("asking {server}"))?;
    match answer.status {
        StatusCode::OK => parsed(&answer).with_context(|| format!("{server} is no tapedeck console")),
        StatusCode::NOT_FOUND => bail!("{server} takes no programs' tokens: its configuration has no `audience`"),
        status => bail!("{server} answers {status}"),
    }
}

/// Asks the issuer where things are.
pub(super) async fn metadata(client: &Client, issuer: &str) -> anyhow::Result<Metadata> {
    let url: Url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')).parse()?;
    let answer = get(client, url).await.with_context(|| format!("asking {issuer}"))?;
    ensure!(answer.status.is_success(), "{issuer} answers {}", answer.status);
    let metadata: Metadata = parsed(&answer).with_context(|| format!("{issuer} is no OpenID provider"))?;
    ensure!(
        metadata.issuer == issuer,
        "the metadata of {issuer} is that of another issuer"
    );
    Ok(metadata)
}

/// The client id that the console names, or one that is registered for the occasion (RFC 7591).
pub(super) async fn client_id(
    client: &Client,
    programs: &Programs,
    metadata: &Metadata,
    redirect_uri: &Url,
) -> anyhow::Result<String> {
    if let Some(id) = &programs.client_id {
        return Ok(id.clone());
    }
    let Some(endpoint) = metadata.registration_endpoint.clone() else {
        bail!(
            "the console names no client id for programs (`program_client_id`), and its identity provider registers none"
        );
    };
    let mut grants = vec!["authorization_code", "refresh_token"];
    if metadata.device_authorization_endpoint.is_some() {
        grants.push("urn:ietf:params:oauth:grant-type:device_code");
    }
    let asked = json!({
        "client_name": "tapedeck",
        "application_type": "native",
        "redirect_uris": [redirect_uri],
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    let body = asked.to_string().into_bytes();
    let answer = post(client, endpoint, "application/json", body).await?;
    ensure!(
        answer.status.is_success(),
        "the identity provider registers no programs: it answers {}",
        answer.status
    );
    #[derive(Deserialize)]
    struct Registered {
        client_id: String,
    }
    let registered: Registered = parsed(&answer).context("the identity provider's registration")?;
    Ok(registered.client_id)
}

/// Tells the issuer that the tokens are not needed any more (RFC 7009), where it wants to know.
pub(super) async fn revoke(client: &Client, profile: &Profile) -> anyhow::Result<()> {
    let Some(endpoint) = &profile.issuer.revocation_endpoint else {
        return Ok(());
    };
    let token = profile.tokens.refresh.as_ref().unwrap_or(&profile.tokens.access);
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("client_id", &profile.issuer.client_id)
        .finish();
    let answer = post(
        client,
        endpoint.clone(),
        "application/x-www-form-urlencoded",
        form.into_bytes(),
    )
    .await?;
    ensure!(
        answer.status.is_success(),
        "you are signed out here, but the identity provider does not revoke the token: it answers {}",
        answer.status
    );
    Ok(())
}

async fn get(client: &Client, url: Url) -> anyhow::Result<Answer> {
    let request = client.request(Method::GET, url).header(ACCEPT, "application/json");
    send(client, request.build()?).await
}

async fn post(client: &Client, url: Url, kind: &'static str, body: Vec<u8>) -> anyhow::Result<Answer> {
    let request = client.request(Method::POST, url);
    let request = request.header(CONTENT_TYPE, HeaderValue::from_static(kind)).body(body);
    send(client, request.build()?).await
}

async fn send(client: &Client, request: reqwest::Request) -> anyhow::Result<Answer> {
    if !is_secure(request.url()) {
        bail!("{} is not https", request.url().origin().ascii_serialization());
    }
    client
        .send(request)
        .await
        .map_err(|error| anyhow::anyhow!("{}", with_causes(&error)))
}

fn parsed<T: DeserializeOwned>(answer: &Answer) -> anyhow::Result<T> {
    // What is wrong is told by place, not by content: registrations hold secrets.
    serde_json::from_slice(&answer.body)
        .map_err(|error| anyhow::anyhow!("unexpected JSON in line {}, column {}", error.line(), error.column()))
}
