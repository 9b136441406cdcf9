//! The servers that tests here share beside the usual parts, each brought up by whichever test comes first.

use anyhow::Result;
use secrecy::SecretString;
use tapedeck_dev::broker::{SecuredBroker, Security};
use tapedeck_dev::keycloak::Keycloak;
use tapedeck_dev::mcp::{self, Server};
use tapedeck_tests::Parts;
use tokio::sync::OnceCell;

use crate::authority::Authority;

/// The realm that the proxy trusts.
pub(crate) const REALM: &str = "tapedeck";

/// Another realm of the same Keycloak.
pub(crate) const ELSEWHERE: &str = "elsewhere";

/// Who records, by SCRAM.
pub(crate) const RECORDER: (&str, &str) = ("recorder", "recorder-password-0123456789");

/// May write statements, and no frames.
pub(crate) const CLERK: (&str, &str) = ("clerk", "clerk-password-0123456789");

/// May do nothing.
pub(crate) const NOBODY: (&str, &str) = ("nobody", "nobody-password-0123456789");

/// Who loads, by certificate.
pub(crate) const LOADER: &str = "loader";

/// The prefix of the topics that access lists are for.
pub(crate) const PREFIX: &str = "secured";

/// The loader's group.
pub(crate) const GROUP: &str = "secured-consumer";

/// Kafka as others run it, and who issues its certificates.
pub(crate) struct Secured {
    pub(crate) broker: SecuredBroker,
    pub(crate) authority: Authority,
}

pub(crate) async fn keycloak(parts: &Parts) -> Result<&'static Keycloak> {
    static KEYCLOAK: OnceCell<Keycloak> = OnceCell::const_new();
    KEYCLOAK
        .get_or_try_init(async || Ok(Keycloak::start(&[REALM, ELSEWHERE], parts.site()).await?))
        .await
}

/// An MCP server of other hands than the usual one.
pub(crate) async fn memory(parts: &Parts) -> Result<&'static Server> {
    static MEMORY: OnceCell<Server> = OnceCell::const_new();
    MEMORY
        .get_or_try_init(async || Ok(mcp::memory(&parts.node, parts.site()).await?))
        .await
}

pub(crate) async fn secured(parts: &Parts) -> Result<&'static Secured> {
    static SECURED: OnceCell<Secured> = OnceCell::const_new();
    SECURED.get_or_try_init(async || start_secured(parts).await).await
}

/// With the least rights that the services can do with, as their READMEs have them.
async fn start_secured(parts: &Parts) -> Result<Secured> {
    let authority = Authority::new("Kafka's own root")?;
    let user = |(name, password): (&str, &str)| (name.to_owned(), SecretString::from(password));
    let security = Security {
        identity: authority.issue("broker")?.pem().into(),
        client_ca: authority.certificate().to_owned(),
        users: [RECORDER, CLERK, NOBODY].map(user).to_vec(),
    };
    let broker = SecuredBroker::start(security, parts.site()).await?;
    let [frames, control, audit, dead_letters] =
        ["frames", "control", "audit", "deadletter"].map(|topic| format!("{PREFIX}.{topic}.v1"));
    let raw = ["--topic", &frames, "--topic", &control];
    let published = ["--topic", &audit, "--topic", &dead_letters];
    let statements = ["--topic", &control];
    let only_frames = ["--topic", &frames];
    let loaded = ["--topic", &frames, "--group", GROUP];
    let all = [raw, published].concat();
    tokio::try_join!(
        broker.allow(RECORDER.0, &["Write", "DescribeConfigs"], &raw),
        broker.allow(CLERK.0, &["Write", "DescribeConfigs"], &statements),
        broker.allow(CLERK.0, &["DescribeConfigs", "Describe"], &only_frames),
        broker.allow(LOADER, &["Read"], &loaded),
        broker.allow(LOADER, &["Write"], &published),
        broker.allow(LOADER, &["Create", "Describe"], &all),
    )?;
    Ok(Secured { broker, authority })
}
