//! The OpenID provider: its metadata and keys, and the two ways to a user: an authorization code, and a bearer token.

mod fetch;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreGenderClaim};
use openidconnect::{
    AccessToken, AdditionalClaims, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndSessionUrl, LogoutRequest,
    Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl,
    ProviderMetadataWithLogout, RedirectUrl, Scope, SubjectIdentifier, TokenResponse as _, UserInfoClaims,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tapedeck_asker::issuer::{Client, native_roots, with_causes};
use tapedeck_asker::strict_json;
use tokio::sync::Mutex;
use url::Url;

use super::User;
use super::token::{Jws, TokenError};
use crate::serve::config::{Issuer, PublicUrl};

use fetch::FetchError;
pub use tapedeck_asker::issuer::ClientError;

/// Between two askings while all is well: so long a key that the issuer withdrew is believed.
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// The least time between two askings.
const PAUSE: Duration = Duration::from_secs(10);
/// How long keys count while the issuer cannot be reached.
const KEEP: Duration = Duration::from_secs(60 * 60);

/// Why nobody was signed in. Holds no code and no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignInError {
    /// Its metadata or keys cannot be had.
    #[error("the identity provider is away")]
    Away,
    /// It does not take the code: it is old, used, or not ours.
    #[error("the identity provider refused the code: {0}")]
    Code(String),
    /// The ID token is missing or wrong.
    #[error("the ID token does not prove who you are: {0}")]
    IdToken(String),
    /// The userinfo endpoint's answer is no use.
    #[error("the identity provider does not say who you are: {0}")]
    UserInfo(String),
}

/// The configured issuer.
#[derive(Debug)]
pub(in crate::serve) struct Provider {
    config: Issuer,
    client: Client,
    callback: String,
    home: String,
    known: RwLock<Option<Arc<Known>>>,
    /// Held while the issuer is asked, so that one request asks and the others wait. When it was asked last.
    asking: Mutex<Option<Instant>>,
}

/// What the issuer said at one time.
struct Known {
    metadata: ProviderMetadataWithLogout,
    at: Instant,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Claims that OpenID Connect does not define: groups, for one.
#[derive(Debug, Deserialize, Serialize)]
struct OtherClaims {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for OtherClaims {}

/// The secrets of one sign-in.
pub(super) struct Proofs {
    pub(super) state: String,
    pub(super) nonce: String,
    /// For PKCE (RFC 7636).
    pub(super) verifier: String,
}

/// Somebody who has just signed in.
pub(super) struct SignedIn {
    pub(super) user: User,
    pub(super) id_token: SecretString,
}

impl Provider {
    /// Asks nothing yet: an issuer that is away does not hinder the start.
    pub(in crate::serve) fn new(config: Issuer, public_url: &PublicUrl) -> Result<Self, ClientError> {
        Ok(Self {
            client: Client::new(native_roots())?,
            callback: public_url.join("/auth/callback"),
            home: public_url.join("/"),
            config,
            known: RwLock::default(),
            asking: Mutex::default(),
        })
    }

    /// The issuer, byte for byte.
    pub(super) fn issuer(&self) -> &str {
        &self.config.url
    }

    /// The configured issuer.
    pub(super) fn config(&self) -> &Issuer {
        &self.config
    }

    /// Where a browser goes to sign in.
    pub(super) async fn authorization_url(&self, proofs: Proofs) -> Result<Url, SignInError> {
        let known = self.known(Instant::now()).await.ok_or(SignInError::Away)?;
        let verifier = PkceCodeVerifier::new(proofs.verifier);
        let client = CoreClient::from_provider_metadata(known.metadata.clone(), self.client_id(), self.client_secret())
            .set_redirect_uri(self.redirect_url());
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new(proofs.state),
                || Nonce::new(proofs.nonce),
            )
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        for scope in &self.config.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        Ok(request.url().0)
    }

    /// Who has signed in, by the code that the browser brought back.
    pub(super) async fn exchange(&self, code: String, proofs: Proofs) -> Result<SignedIn, SignInError> {
        let known = self.known(Instant::now()).await.ok_or(SignInError::Away)?;
        let client = CoreClient::from_provider_metadata(known.metadata.clone(), self.client_id(), self.client_secret())
            .set_redirect_uri(self.redirect_url());
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| SignInError::Code(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(proofs.verifier))
            .request_async(&self.client.for_library())
            .await
            .map_err(|error| SignInError::Code(with_causes(&error)))?;
        let id_token = tokens
            .id_token()
            .ok_or_else(|| SignInError::IdToken("there is none".to_owned()))?;
        let verified = id_token
            .claims(&client.id_token_verifier(), &Nonce::new(proofs.nonce))
            .map_err(|error| SignInError::IdToken(error.to_string()))?;
        let text = id_token.to_string();
        let mut claims = payload(&text).ok_or_else(|| SignInError::IdToken("it holds no claims".to_owned()))?;
        if self.config.groups_claim.find(&claims).is_none() && known.metadata.userinfo_endpoint().is_some() {
            let subject = verified.subject().clone();
            let more = self.user_info(&known, tokens.access_token().clone(), subject).await?;
            // What the ID token says stands: it was signed.
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
        let user = User::new(&self.config.url, &claims, &self.config.groups_claim);
        Ok(SignedIn {
            user: user.ok_or_else(|| SignInError::IdToken("it names nobody".to_owned()))?,
            id_token: text.into(),
        })
    }

    async fn user_info(
        &self,
        known: &Known,
        token: AccessToken,
        subject: SubjectIdentifier,
    ) -> Result<Map<String, Value>, SignInError> {
        let client = CoreClient::from_provider_metadata(known.metadata.clone(), self.client_id(), self.client_secret());
        let claims: UserInfoClaims<OtherClaims, CoreGenderClaim> = client
            .user_info(token, Some(subject))
            .map_err(|error| SignInError::UserInfo(error.to_string()))?
            .request_async(&self.client.for_library())
            .await
            .map_err(|error| SignInError::UserInfo(with_causes(&error)))?;
        let json = serde_json::to_value(&claims).map_err(|error| SignInError::UserInfo(error.to_string()))?;
        match json {
            Value::Object(claims) => Ok(claims),
            _ => Err(SignInError::UserInfo("it answers with no claims".to_owned())),
        }
    }

    /// Where a browser goes to sign out at the provider (RP-Initiated Logout 1.0), if the provider has such a place.
    pub(super) async fn sign_out_url(&self, id_token: Option<&SecretString>) -> Option<Url> {
        let known = self.known(Instant::now()).await?;
        let place: EndSessionUrl = known.metadata.additional_metadata().end_session_endpoint.clone()?;
        let mut url = LogoutRequest::from(place)
            .set_client_id(self.client_id())
            .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(self.home.clone()).ok()?)
            .http_get_url();
        // By hand: the library wants the token parsed, and it was verified when it came.
        if let Some(id_token) = id_token {
            url.query_pairs_mut()
                .append_pair("id_token_hint", id_token.expose_secret());
        }
        Some(url)
    }

    /// The user whom a bearer token stands for, and when it ends.
    ///
    /// # Errors
    /// Why there is none. Nothing of the token is in the error.
    pub(super) async fn bearer(&self, token: &str, now: SystemTime) -> Result<(User, SystemTime), TokenError> {
        let jws = Jws::parse(token)?;
        if jws.issuer() != Some(self.config.url.as_str()) {
            return Err(TokenError::UnknownIssuer);
        }
        let known = self.known(Instant::now()).await.ok_or(TokenError::ProviderAway)?;
        match jws.verify(known.metadata.jwks()) {
            // Perhaps the issuer has changed its keys since we last asked.
            Err(TokenError::UnknownKey) => {
                let newer = self.newer(Instant::now()).await.ok_or(TokenError::ProviderAway)?;
                jws.verify(newer.metadata.jwks())?;
            }
            verified => verified?,
        }
        let claims = jws.claims_for(&self.config.audiences, now)?;
        let user = User::new(&self.config.url, claims.all, &self.config.groups_claim);
        Ok((user.ok_or(TokenError::MissingClaim("sub"))?, claims.expires))
    }

    /// What the issuer said, asked for anew when that is long ago.
    async fn known(&self, now: Instant) -> Option<Arc<Known>> {
        let age = |known: &Arc<Known>| now.saturating_duration_since(known.at);
        match self.remembered() {
            Some(known) if age(&known) < REFRESH => Some(known),
            Some(known) => self.newer(now).await.or(Some(known)).filter(|known| age(known) < KEEP),
            None => self.newer(now).await,
        }
    }

    /// What the issuer says now; what it said a moment ago, where it was asked then.
    async fn newer(&self, now: Instant) -> Option<Arc<Known>> {
        let mut asking = self.asking.lock().await;
        if asking.is_some_and(|asked| now.saturating_duration_since(asked) < PAUSE) {
            return self.remembered();
        }
        *asking = Some(now);
        match fetch::metadata(&self.client, &self.config.url).await {
            Ok(metadata) => {
                let known = Arc::new(Known { metadata, at: now });
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
                Some(known)
            }
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    fn complain(&self, error: &FetchError) {
        tracing::warn!(issuer = %self.config.url, %error, "the issuer's metadata could not be fetched");
    }

    fn remembered(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.config.client_id.clone())
    }

    fn client_secret(&self) -> Option<ClientSecret> {
        let secret = self.config.client_secret.as_ref()?;
        Some(ClientSecret::new(secret.expose_secret().to_owned()))
    }

    fn redirect_url(&self) -> RedirectUrl {
        RedirectUrl::new(self.callback.clone()).expect("the public URL was parsed with the configuration")
    }
}

/// The claims of a token that was verified.
fn payload(token: &str) -> Option<Map<String, Value>> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    strict_json::object(&payload)
}
