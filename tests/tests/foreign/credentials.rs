//! What a target is shown in the place of the client's token: one secret, one for each user, tokens of Keycloak.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tapedeck_dev::mcp::{Probe, ProbeOptions};
use tapedeck_tests::{AUDIENCE, Client, Deck, DeckOptions, parts, run, target, within};
use url::Url;

use crate::authority::{Authority, file};
use crate::servers::{REALM, keycloak};
use crate::tls_ends::Terminator;

/// Of the client `recorder` in the realm.
pub(crate) const CLIENT_SECRET: &str = "recorder-secret-0123456789";

/// What the last call that reached the probe carried.
async fn shown(probe: &Probe) -> Result<String> {
    let accounts = probe.accounts().await?;
    let call = accounts.calls.last().context("nothing has reached the target")?;
    let shown = call.header("authorization");
    ensure!(shown.len() == 1, "{} header fields", shown.len());
    Ok(shown[0].to_owned())
}

fn claims(shown: &str) -> Result<Value> {
    let token = shown.strip_prefix("Bearer ").context("a bearer token")?;
    let payload = token.split('.').nth(1).context("a token has three parts")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

#[test]
fn each_way_to_a_credential_shows_the_target_what_it_asks_for_and_shows_nobody_else_anything() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let keycloak = keycloak(parts).await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let issuer = keycloak.issuer(REALM);
        let folder = tempfile::tempdir()?;
        let secret = file(folder.path(), "client-secret", CLIENT_SECRET)?;
        let shared = file(folder.path(), "shared", "shared-before-0123456789")?;
        let users = folder.path().join("users");
        fs::create_dir(&users)?;
        let oauth = |grant: &str, audience: Option<&str>| {
            json!({ "oauth": {
                "grant": grant, "token_url": keycloak.token_endpoint(REALM), "client_id": "recorder",
                "client_secret": { "file": secret }, "audience": audience,
            } })
        };
        let described = |name: &str, mut credential: Value| {
            if let Some(oauth) = credential.get_mut("oauth").and_then(Value::as_object_mut) {
                oauth.retain(|_, value| !value.is_null());
            }
            json!({
                "name": name, "url": probe.url(), "allow_groups": ["*"], "allow_single_copy": true,
                "credential": credential,
            })
        };
        let targets = [
            described("exchanged", oauth("token_exchange", Some("mcp-server"))),
            described("own", oauth("client_credentials", None)),
            described("nowhere", oauth("token_exchange", Some("nobody-knows-this-one"))),
            described("users", json!({ "users": users })),
            described("shared", json!({ "file": shared })),
        ];
        let trusted = json!({ "url": issuer, "audience": AUDIENCE });
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: json!({ "issuer": [trusted], "target": targets }),
                ..DeckOptions::of(vec![target("shared", probe.url())])
            },
        )
        .await?;
        let token = keycloak.user_token(REALM, "agent", "alice").await?;
        let subject = claims(&format!("Bearer {}", token.as_str()))?["sub"].clone();
        let call = async |name: &str| {
            let client = Client::bearer(&deck.proxy.endpoint(name), token.as_str())?;
            client.post(&Client::initialization(1)).await
        };

        // The target sees the user, in a token that is for it and not for the proxy.
        assert_eq!(call("exchanged").await?.status, 200);
        let exchanged = shown(&probe).await?;
        let said = claims(&exchanged)?;
        assert_eq!(
            (&said["sub"], &said["aud"], &said["azp"]),
            (&subject, &json!("mcp-server"), &json!("recorder"))
        );
        assert_eq!(call("exchanged").await?.status, 200);
        assert_eq!(shown(&probe).await?, exchanged, "a token is used as long as it is good");

        assert_eq!(call("own").await?.status, 200);
        let own = shown(&probe).await?;
        let said = claims(&own)?;
        assert!(said["sub"] != subject && said["azp"] == "recorder", "{said}");

        // Without a credential nothing is sent.
        let before = probe.accounts().await?.total;
        let refused = call("nowhere").await?;
        assert_eq!(
            (refused.status, refused.message()?["error"]["data"]["reason"].as_str()),
            (502, Some("credential_refused"))
        );
        let refused = call("users").await?;
        assert_eq!(
            (refused.status, refused.message()?["error"]["data"]["reason"].as_str()),
            (403, Some("no_credential"))
        );
        assert_eq!(probe.accounts().await?.total, before);

        // One for each user, found as soon as it is there.
        let theirs = users.join(issuer.replace(':', "%3A").replace('/', "%2F"));
        fs::create_dir(&theirs)?;
        let subject = subject.as_str().context("a subject")?;
        file(&theirs, subject, "of-alice-alone-0123456789\n")?;
        assert_eq!(call("users").await?.status, 200);
        assert_eq!(shown(&probe).await?, "Bearer of-alice-alone-0123456789");

        // A file that changes is read again.
        assert_eq!(call("shared").await?.status, 200);
        assert_eq!(shown(&probe).await?, "Bearer shared-before-0123456789");
        fs::rename(file(folder.path(), "next", "shared-after-0123456789")?, &shared)?;
        within(Duration::from_secs(20), async || {
            call("shared").await?;
            let now = shown(&probe).await?;
            Ok(if now == "Bearer shared-after-0123456789" {
                Ok(())
            } else {
                Err("the old one is shown".to_owned())
            })
        })
        .await?;

        let pid = deck.proxy.service().child().id();
        let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap_or_default();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);

        // Whatever left the process: to the log, to whoever asks, to the record.
        let left = [deck.logs()?, deck.proxy.service().metrics().await?].concat();
        let tape = deck.finish().await?;
        let recorded: Vec<u8> = tape
            .recorded
            .iter()
            .flat_map(|entry| entry.frame.payload.iter().flat_map(|payload| payload.0.clone()))
            .chain(format!("{:?}", tape.recorded).into_bytes())
            .collect();
        let recorded = String::from_utf8_lossy(&recorded);
        let secrets = [
            CLIENT_SECRET,
            "shared-before",
            "shared-after",
            "of-alice-alone",
            token.as_str(),
            exchanged.trim_start_matches("Bearer "),
            own.trim_start_matches("Bearer "),
        ];
        for (at, secret) in secrets.iter().enumerate() {
            assert!(
                !left.contains(secret) && !recorded.contains(secret),
                "secret {at} has left"
            );
        }
        let unsent = tape.rows.iter().filter(|row| row.ended == "not_forwarded");
        assert_eq!(unsent.count(), 2);
        Ok(())
    })
}

#[test]
fn a_target_that_asks_for_a_certificate_is_shown_the_proxys() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let behind = Url::parse(parts.probe.url())?.port().context("where it listens")?;
        let authority = Authority::new("the server's root")?;
        let front = Terminator::start(authority.issue("server")?.mutual_server(&authority)?, behind).await?;
        let folder = tempfile::tempdir()?;
        let known = authority.issue("recorder")?;
        let stranger = Authority::new("another root")?.issue("recorder")?;
        let mut described = Vec::new();
        for (name, identity) in [("known", Some(&known)), ("strange", Some(&stranger)), ("bare", None)] {
            let mut one = json!({
                "name": name, "url": format!("{}/mcp", front.url()), "allow_groups": ["engineers"],
                "ca": file(folder.path(), "ca.pem", authority.certificate())?, "allow_single_copy": true,
            });
            if let Some(identity) = identity {
                one["client_certificate"] = json!(file(folder.path(), &format!("{name}.pem"), &identity.certificate)?);
                one["client_key"] = json!(file(folder.path(), &format!("{name}-key.pem"), &identity.key)?);
            }
            described.push(one);
        }
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: json!({ "target": described }),
                ..DeckOptions::of(vec![target("known", &front.url())])
            },
        )
        .await?;
        for (name, is_let_in) in [("known", true), ("strange", false), ("bare", false)] {
            let client = deck.client(name, "alice").await?;
            let answer = client.post(&Client::initialization(1)).await?;
            assert_eq!(answer.status == 200, is_let_in, "{name}: {}", answer.text());
            assert!(is_let_in || answer.status == 502, "{name}: {}", answer.text());
        }
        assert_eq!(front.seen().matches("POST /mcp HTTP/1.1").count(), 1);
        deck.finish().await?;
        Ok(())
    })
}
