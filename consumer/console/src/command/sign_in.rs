//! Signing in as oneself: an authorization code that a browser brings to this machine (RFC 8252), or a code that is typed
//! in elsewhere (RFC 8628), both with tokens for the console alone (RFC 8707).

mod issuer;
mod loopback;

use std::io::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, DeviceAuthorizationUrl, PkceCodeChallenge, RedirectUrl,
    RefreshToken, Scope, StandardDeviceAuthorizationResponse, TokenResponse as _, TokenUrl,
};
use serde::Deserialize;
use tapedeck_asker::issuer::{Client, is_secure, native_roots, with_causes};
use url::Url;

use super::api::Api;
use super::arguments::{Place, SignIn};
use super::failure::Failure;
use super::session::{Issuer, Profile, Shelf, Tokens};
use issuer::{Metadata, Programs};
use loopback::Loopback;

/// A token whose issuer does not say how long it lasts is asked for anew after so long.
const UNSAID: Duration = Duration::from_secs(300);
/// How long somebody may take to sign in.
const PATIENCE: Duration = Duration::from_secs(600);

/// `tapedeck sign-in`.
pub(super) async fn sign_in(place: &Place, what: &SignIn) -> anyhow::Result<()> {
    let shelf = Shelf::of(&place.profile)?;
    let server = match &place.server {
        Some(server) => server.clone(),
        None => match shelf.read()? {
            Some(profile) => profile.server,
            None => return Err(Failure::Usage("which console? say --server URL".to_owned()).into()),
        },
    };
    if !is_secure(&server) {
        let message = format!("{server} is not https: a token sent there could be read on its way");
        return Err(Failure::Usage(message).into());
    }
    let client = Client::new(native_roots())?;
    let programs = issuer::programs(&client, &server).await?;
    let metadata = issuer::metadata(&client, &programs.issuer).await?;
    let (issuer, tokens) = match what.device {
        true => with_device(&client, &programs, &metadata).await?,
        false => with_browser(&client, &programs, &metadata, what.no_browser).await?,
    };
    let profile = Profile {
        server,
        issuer,
        tokens: kept(&tokens, None, SystemTime::now()),
    };
    shelf.write(&profile)?;
    let me: Me = Api::open(place)?.json("/api/v1/me", &[]).await?;
    let name = me.name.or(me.email).unwrap_or(me.subject);
    writeln!(
        io::stderr(),
        "Signed in as {}, {}, at {}.",
        crate::text::printable(&name),
        me.roles.join(" and "),
        profile.server
    )?;
    Ok(())
}

/// `tapedeck sign-out`.
pub(super) async fn sign_out(place: &Place) -> anyhow::Result<()> {
    let shelf = Shelf::of(&place.profile)?;
    let Some(profile) = shelf.read()? else {
        writeln!(io::stderr(), "Nobody is signed in with the profile {}.", shelf.name())?;
        return Ok(());
    };
    shelf.remove()?;
    let client = Client::new(native_roots())?;
    issuer::revoke(&client, &profile).await?;
    writeln!(io::stderr(), "Signed out at {}.", profile.server)?;
    Ok(())
}

/// New tokens for old ones.
///
/// # Errors
/// The issuer is away, or does not take the refresh token any more.
pub(super) async fn refresh(profile: &Profile) -> anyhow::Result<Tokens> {
    let again = || Failure::NotAllowed("your sign-in has ended: `tapedeck sign-in`".to_owned());
    let refresh = profile.tokens.refresh.clone().ok_or_else(again)?;
    let client = Client::new(native_roots())?;
    let oauth = BasicClient::new(ClientId::new(profile.issuer.client_id.clone()))
        .set_token_uri(TokenUrl::from_url(profile.issuer.token_endpoint.clone()));
    let refresh = RefreshToken::new(refresh);
    let tokens = oauth
        .exchange_refresh_token(&refresh)
        .add_extra_param("resource", profile.issuer.audience.as_str())
        .request_async(&client.for_library())
        .await;
    match tokens {
        Ok(tokens) => Ok(kept(&tokens, Some(refresh), SystemTime::now())),
        Err(oauth2::RequestTokenError::ServerResponse(_)) => Err(again().into()),
        Err(error) => bail!("the identity provider is away: {}", with_causes(&error)),
    }
}

#[derive(Deserialize)]
struct Me {
    subject: String,
    name: Option<String>,
    email: Option<String>,
    roles: Vec<String>,
}

async fn with_browser(
    client: &Client,
    programs: &Programs,
    metadata: &Metadata,
    no_browser: bool,
) -> anyhow::Result<(Issuer, BasicTokenResponse)> {
    let loopback = Loopback::open().await?;
    let id = issuer::client_id(client, programs, metadata, loopback.redirect_uri()).await?;
    let oauth = BasicClient::new(ClientId::new(id.clone()))
        .set_auth_uri(AuthUrl::from_url(metadata.authorization_endpoint.clone()))
        .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
        .set_redirect_uri(RedirectUrl::from_url(loopback.redirect_uri().clone()));
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let mut request = oauth
        .authorize_url(CsrfToken::new_random)
        .set_pkce_challenge(challenge)
        .add_extra_param("resource", programs.audience.as_str())
        // Without it, providers give no refresh token (OpenID Connect Core, section 11).
        .add_extra_param("prompt", "consent");
    for scope in &programs.scopes {
        request = request.add_scope(Scope::new(scope.clone()));
    }
    let (url, state) = request.url();
    writeln!(io::stderr(), "Sign in here:\n\n  {url}\n")?;
    if !no_browser {
        open_browser(&url);
    }
    let waits = loopback.code(&state, &programs.issuer);
    let code = tokio::time::timeout(PATIENCE, waits)
        .await
        .context("nobody has signed in for ten minutes")??;
    let tokens = oauth
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(verifier)
        .add_extra_param("resource", programs.audience.as_str())
        .request_async(&client.for_library())
        .await;
    Ok((programs.issuer_for(id, metadata), understood(tokens)?))
}

async fn with_device(
    client: &Client,
    programs: &Programs,
    metadata: &Metadata,
) -> anyhow::Result<(Issuer, BasicTokenResponse)> {
    let Some(endpoint) = metadata.device_authorization_endpoint.clone() else {
        bail!("the identity provider has no sign-in by device; leave --device out");
    };
    let unused = "http://127.0.0.1/callback".parse().expect("a constant URL");
    let id = issuer::client_id(client, programs, metadata, &unused).await?;
    let oauth = BasicClient::new(ClientId::new(id.clone()))
        .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
        .set_device_authorization_url(DeviceAuthorizationUrl::from_url(endpoint));
    let mut request = oauth
        .exchange_device_code()
        .add_extra_param("resource", programs.audience.as_str());
    for scope in &programs.scopes {
        request = request.add_scope(Scope::new(scope.clone()));
    }
    let details: StandardDeviceAuthorizationResponse = understood(request.request_async(&client.for_library()).await)?;
    writeln!(
        io::stderr(),
        "On any device, open\n\n  {}\n\nand type in the code\n\n  {}\n",
        crate::text::printable(details.verification_uri().as_str()),
        crate::text::printable(details.user_code().secret())
    )?;
    if let Some(complete) = details.verification_uri_complete() {
        let complete = crate::text::printable(complete.secret());
        writeln!(
            io::stderr(),
            "or open this, which has the code in it:\n\n  {complete}\n"
        )?;
    }
    let tokens = oauth
        .exchange_device_access_token(&details)
        .add_extra_param("resource", programs.audience.as_str())
        .request_async(&client.for_library(), tokio::time::sleep, Some(PATIENCE))
        .await;
    Ok((programs.issuer_for(id, metadata), understood(tokens)?))
}

/// What the identity provider says, or why not. No token is in the error.
fn understood<T, E, R>(answer: Result<T, oauth2::RequestTokenError<E, R>>) -> anyhow::Result<T>
where
    E: std::error::Error + 'static,
    R: oauth2::ErrorResponse + std::fmt::Display + 'static,
{
    match answer {
        Ok(answer) => Ok(answer),
        Err(oauth2::RequestTokenError::ServerResponse(refusal)) => {
            let refusal = crate::text::printable(&refusal.to_string());
            Err(Failure::NotAllowed(format!("the identity provider refuses: {refusal}")).into())
        }
        Err(oauth2::RequestTokenError::Request(error)) => {
            bail!("the identity provider is away: {}", with_causes(&error))
        }
        Err(_) => bail!("the identity provider's answer is none"),
    }
}

/// What is kept of a token answer; where it brings no new refresh token, the old one stays good (RFC 6749, section 6).
fn kept(tokens: &BasicTokenResponse, before: Option<RefreshToken>, now: SystemTime) -> Tokens {
    let lasts = tokens.expires_in().unwrap_or(UNSAID);
    let expires = now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(lasts);
    let refresh = tokens.refresh_token().cloned().or(before);
    Tokens {
        access: tokens.access_token().secret().clone(),
        refresh: refresh.map(|token| token.secret().clone()),
        expires: expires.as_secs(),
    }
}

/// Asks the desktop to open a browser; where there is none, the address was printed.
fn open_browser(url: &Url) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = std::process::Command::new(program);
    let quiet = std::process::Stdio::null;
    let _ = command
        .arg(url.as_str())
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn();
}
