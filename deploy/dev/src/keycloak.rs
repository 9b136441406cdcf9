//! Keycloak: an identity provider that many run, for tests that need what `oidc-provider` does not do as they do.
//!
//! The realm is `deploy/dev/keycloak/realm.json`, imported under any number of names. Its access tokens have `typ: JWT`.
//! Users' passwords are their logins; `alice` is an engineer, `mallory` a visitor.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use thiserror::Error;
use url::form_urlencoded;

use crate::fetch::{self, FetchError};
use crate::folder::{FolderError, Site, Slot};
use crate::identity::AccessToken;
use crate::ports;
use crate::prerequisites::{self, Missing, Prerequisite};
use crate::process::{Launch, ProcessError, Server};
use crate::progress::Step;

/// As `deploy/dev/keycloak/pom.xml` has it.
const VERSION: &str = "26.7.3";

/// Longer than Keycloak takes to link itself to its database and features, once after it was installed.
const BUILD: Duration = Duration::from_secs(10 * 60);

/// Longer than it takes to start on a busy machine: it makes an empty database first.
const START: Duration = Duration::from_secs(180);

/// Longer than it takes to answer on a busy machine.
const ANSWER: Duration = Duration::from_secs(60);

/// What `kc.sh` tells Java beside the heap: Keycloak does not run without these.
const JAVA: &[&str] = &[
    "-Dfile.encoding=UTF-8",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "-Dpicocli.disable.closures=true",
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=\
     io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
];

/// Keycloak could not be started or asked.
#[derive(Debug, Error)]
pub enum KeycloakError {
    /// A prerequisite is missing.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// It could not be installed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its files could not be laid out, or no port is free.
    #[error("cannot prepare Keycloak: {0}")]
    Prepare(#[from] io::Error),
    /// Its process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It could not be reached.
    #[error("cannot reach Keycloak at {url}: {source}")]
    Http {
        /// Where.
        url: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// It said no.
    #[error("Keycloak at {url} answered {status}: {said}")]
    Refused {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// The answer.
        said: String,
    },
    /// An answer is not what was expected.
    #[error("Keycloak at {url} answered something else than expected")]
    Answer {
        /// What was asked.
        url: String,
    },
}

/// A running Keycloak. It ends when this is dropped.
#[derive(Debug)]
pub struct Keycloak {
    server: Server,
    url: String,
    realms: Vec<String>,
    administrator: SecretString,
    http: reqwest::Client,
}

impl Keycloak {
    /// Installs Keycloak if need be, and starts it with the realm under each of these names. When this returns, each has
    /// answered.
    ///
    /// # Errors
    /// When it cannot be installed or started; the error quotes its log.
    pub async fn start(realms: &[&str], site: Site<'_>) -> Result<Self, KeycloakError> {
        let home = install(site).await?;
        let room = site.run.room("keycloak")?;
        lay_out(&home, &room, realms, site)?;
        let port = ports::free()?;
        let administrator: SecretString = format!("{:032x}", rand::random::<u128>()).into();
        let launch = java("Keycloak", &home, &room, site.run.log(&room))
            // Both from the environment: arguments are for everyone to see.
            .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
            .env("KC_BOOTSTRAP_ADMIN_PASSWORD", administrator.expose_secret())
            // Without `local` it would look for others of its kind on all networks.
            .args(["start", "--optimized", "--import-realm", "--cache=local"])
            .args([
                "--http-enabled=true",
                "--hostname-strict=false",
                "--http-host=127.0.0.1",
            ])
            .arg(format!("--http-port={port}"));
        site.progress.report(Step::Starting { part: "Keycloak" });
        let began = Instant::now();
        let keycloak = Self {
            server: Server::start(launch)?,
            url: format!("http://127.0.0.1:{port}"),
            realms: realms.iter().map(|realm| (*realm).to_owned()).collect(),
            administrator,
            http: reqwest::Client::builder()
                .timeout(ANSWER)
                .build()
                .map_err(io::Error::other)?,
        };
        keycloak.ready().await?;
        site.progress.report(Step::Ready {
            part: "Keycloak",
            after: began.elapsed(),
        });
        Ok(keycloak)
    }

    /// A realm's issuer, exactly as it stands in `iss`.
    pub fn issuer(&self, realm: &str) -> String {
        format!("{}/realms/{realm}", self.url)
    }

    /// A realm's token endpoint.
    pub fn token_endpoint(&self, realm: &str) -> String {
        format!("{}/protocol/openid-connect/token", self.issuer(realm))
    }

    /// A token for a user of a realm, by the password grant: the client must allow it.
    ///
    /// # Errors
    /// When Keycloak does not answer, or refuses.
    pub async fn user_token(&self, realm: &str, client: &str, login: &str) -> Result<AccessToken, KeycloakError> {
        self.granted(realm, &password(client, login), None).await
    }

    /// As [`Keycloak::user_token`], bound to the key of this proof (DPoP), which must be for a POST to the token endpoint.
    ///
    /// # Errors
    /// When Keycloak does not answer, or refuses.
    pub async fn bound_token(
        &self,
        realm: &str,
        client: &str,
        login: &str,
        proof: &str,
    ) -> Result<AccessToken, KeycloakError> {
        self.granted(realm, &password(client, login), Some(proof)).await
    }

    /// Revokes a token of a public client (RFC 7009).
    ///
    /// # Errors
    /// When Keycloak does not answer, or refuses.
    pub async fn revoke(&self, realm: &str, client: &str, token: &AccessToken) -> Result<(), KeycloakError> {
        let url = format!("{}/protocol/openid-connect/revoke", self.issuer(realm));
        let form = [
            ("client_id", client),
            ("token", token.as_str()),
            ("token_type_hint", "access_token"),
        ];
        self.ask(self.form(&url, &form), &url).await?;
        Ok(())
    }

    /// Signs from now on with a new key; tokens of the one before stay good. That one's id, for
    /// [`Keycloak::withdraw_key`].
    ///
    /// # Errors
    /// When Keycloak does not answer, or refuses.
    pub async fn add_key(&self, realm: &str) -> Result<String, KeycloakError> {
        let token = self.administrator().await?;
        let keys_url = format!("{}/keys", self.administration(realm));
        let keys = self
            .ask(self.http.get(&keys_url).bearer_auth(token.as_str()), &keys_url)
            .await?;
        let signs = |key: &&Value| key["algorithm"] == "RS256" && key["status"] == "ACTIVE";
        let old = keys["keys"].as_array().and_then(|keys| keys.iter().find(signs));
        let old = old.and_then(|key| key["providerId"].as_str());
        let old = old.ok_or_else(|| KeycloakError::Answer { url: keys_url.clone() })?;
        let components = format!("{}/components", self.administration(realm));
        let made = json!({
            "name": "rotated",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": { "priority": ["200"], "algorithm": ["RS256"] },
        });
        let make = self.http.post(&components).bearer_auth(token.as_str());
        let make = make.header("content-type", "application/json").body(made.to_string());
        self.ask(make, &components).await?;
        Ok(old.to_owned())
    }

    /// Withdraws a key: the tokens that it has signed are no longer good.
    ///
    /// # Errors
    /// When Keycloak does not answer, or refuses.
    pub async fn withdraw_key(&self, realm: &str, key: &str) -> Result<(), KeycloakError> {
        let token = self.administrator().await?;
        let withdrawn = format!("{}/components/{key}", self.administration(realm));
        self.ask(self.http.delete(&withdrawn).bearer_auth(token.as_str()), &withdrawn)
            .await?;
        Ok(())
    }

    fn administration(&self, realm: &str) -> String {
        format!("{}/admin/realms/{realm}", self.url)
    }

    async fn administrator(&self) -> Result<AccessToken, KeycloakError> {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", self.administrator.expose_secret()),
        ];
        self.granted("master", &form, None).await
    }

    async fn granted(
        &self,
        realm: &str,
        form: &[(&str, &str)],
        proof: Option<&str>,
    ) -> Result<AccessToken, KeycloakError> {
        let url = self.token_endpoint(realm);
        let mut request = self.form(&url, form);
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        let granted = self.ask(request, &url).await?;
        let token = granted["access_token"].as_str();
        token
            .map(AccessToken::new)
            .ok_or_else(|| KeycloakError::Answer { url: url.clone() })
    }

    fn form(&self, url: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = self.http.post(url).body(body);
        request.header("content-type", "application/x-www-form-urlencoded")
    }

    /// Null where the answer has no JSON.
    async fn ask(&self, request: reqwest::RequestBuilder, url: &str) -> Result<Value, KeycloakError> {
        let failed = |source| KeycloakError::Http {
            url: url.to_owned(),
            source,
        };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let said = answer.text().await.map_err(failed)?;
        if !status.is_success() {
            return Err(KeycloakError::Refused {
                url: url.to_owned(),
                status: status.as_u16(),
                said,
            });
        }
        Ok(serde_json::from_str(&said).unwrap_or_default())
    }

    async fn ready(&self) -> Result<(), KeycloakError> {
        let probe = async || {
            for realm in &self.realms {
                let url = format!("{}/.well-known/openid-configuration", self.issuer(realm));
                self.ask(self.http.get(&url), &url)
                    .await
                    .map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        Ok(self.server.child().ready(START, probe).await?)
    }
}

/// The password grant. Without `openid` userinfo would tell nothing.
fn password<'a>(client: &'a str, login: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "password"),
        ("client_id", client),
        ("username", login),
        ("password", login),
        ("scope", "openid"),
    ]
}

/// Installs Keycloak and links it to the database in memory, so that a start has only to start. Returns its home.
async fn install(site: Site<'_>) -> Result<PathBuf, KeycloakError> {
    prerequisites::check(&[Prerequisite::Java])?;
    let name = format!("lib/keycloak-{VERSION}");
    let vacancy = match fetch::unpacked(site.folder, "keycloak", VERSION, site.progress).await? {
        Slot::Installed(path) => return Ok(path.join(name)),
        Slot::Vacant(vacancy) => vacancy,
    };
    let home = vacancy.path().join(&name);
    java("kc.sh build", &home, &home, vacancy.log())
        .args(["build", "--db=dev-mem"])
        .complete(BUILD)
        .await?;
    Ok(vacancy.seal()?.join(name))
}

/// As `kc.sh` starts it, which stays behind as a shell when it is killed; files that it writes go to `room`.
fn java(name: &str, home: &Path, room: &Path, log: PathBuf) -> Launch {
    Launch::new(name, "java", log)
        .current_dir(room)
        .args(["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .args(JAVA)
        .arg(format!("-Dkc.home.dir={}", room.display()))
        .arg("-cp")
        .arg(home.join("lib/quarkus-run.jar"))
        .arg("io.quarkus.bootstrap.runner.QuarkusEntryPoint")
}

/// A home of the run's own: what is installed is shared and stays as it is.
fn lay_out(home: &Path, room: &Path, realms: &[&str], site: Site<'_>) -> Result<(), KeycloakError> {
    for folder in ["conf", "providers", "data/import"] {
        fs::create_dir_all(room.join(folder))?;
    }
    symlink(home.join("lib"), room.join("lib"))?;
    let realm = fs::read_to_string(site.folder.workspace().join("deploy/dev/keycloak/realm.json"))?;
    let mut realm: Value = serde_json::from_str(&realm).map_err(io::Error::other)?;
    for name in realms {
        realm["realm"] = json!(name);
        fs::write(room.join(format!("data/import/{name}-realm.json")), realm.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_the_pom_pins() {
        let pom = include_str!("../keycloak/pom.xml");
        assert!(pom.contains(&format!("<version>{VERSION}</version>")));
    }
}
