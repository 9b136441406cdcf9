//! Kafka with users, certificates, and access lists that allow no more than is needed.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tapedeck_dev::mcp::ProbeOptions;
use tapedeck_dev::services::{Consumer, ConsumerOptions, Issuer, Kafka, Proxy, ProxyOptions};
use tapedeck_tests::{AUDIENCE, Client, Deck, DeckOptions, Parts, parts, run, target, until};

use crate::authority::{Authority, file};
use crate::servers::{CLERK, GROUP, LOADER, NOBODY, PREFIX, RECORDER, Secured, secured};

const VARIABLE: &str = "KAFKA_PASSWORD";

/// What a proxy's `[kafka]` says to sign in by SCRAM.
fn scram(secured: &Secured, user: &str, ca: &std::path::Path) -> Value {
    json!({
        "brokers": [secured.broker.scram()],
        "topic_prefix": PREFIX,
        "options": {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": ca,
            "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": user,
            "sasl.password": { "env": VARIABLE },
        },
    })
}

/// A proxy that cannot get ready, and why: the words of `/readyz` and of its log.
struct Refused {
    readyz: &'static str,
    reason: &'static str,
    log: &'static str,
}

async fn is_refused(parts: &Parts, secured: &Secured, kafka: Value, password: &str, expected: Refused) -> Result<()> {
    let probe = parts.probe(ProbeOptions::default()).await?;
    let options = ProxyOptions {
        targets: vec![target("probe", probe.url())],
        more: json!({ "kafka": kafka }),
        environment: vec![(VARIABLE.to_owned(), password.to_owned())],
        ..ProxyOptions::new(
            Kafka {
                brokers: secured.broker.scram(),
                topic_prefix: PREFIX.to_owned(),
            },
            Issuer::new(parts.identity.issuer(), [AUDIENCE]),
        )
    };
    let proxy = Proxy::start_unready(&options, parts.site()).await?;
    let token = parts.token("alice").await?;
    let client = Client::bearer(&proxy.endpoint("probe"), token.as_str())?;
    let ready = format!("{}/readyz", proxy.service().admin());
    // Who may write statements and no frames is ready until it tries.
    until(async || {
        let answer = client.post(&Client::initialization(1)).await?;
        ensure!(
            answer.status == 503,
            "a call was answered {}: {}",
            answer.status,
            answer.text()
        );
        let reason = answer.message()?["error"]["data"]["reason"].clone();
        let said = Client::get(&ready).await?;
        let is_it = said.status == 503 && said.text().contains(expected.readyz) && reason == expected.reason;
        Ok(if is_it {
            Ok(())
        } else {
            Err(format!("{reason}; {} {}", said.status, said.text()))
        })
    })
    .await?;
    let log = fs::read_to_string(proxy.service().child().log())?;
    ensure!(log.contains(expected.log), "{} is not in:\n{log}", expected.log);
    ensure!(!log.contains(password), "the password is in the log");
    ensure!(log.lines().count() < 60, "the log repeats itself:\n{log}");
    ensure!(probe.accounts().await?.total == 0, "the target has seen something");
    Ok(())
}

#[test]
fn a_session_is_recorded_and_loaded_with_the_least_rights_by_password_and_by_certificate() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let secured = secured(parts).await?;
        let folder = tempfile::tempdir()?;
        let ca = file(folder.path(), "ca.pem", secured.authority.certificate())?;
        let loader = secured.authority.issue(LOADER)?;
        let by_certificate = json!({
            "brokers": [secured.broker.mutual()],
            "options": {
                "security.protocol": "SSL",
                "ssl.ca.location": ca,
                "ssl.certificate.location": file(folder.path(), "loader.pem", &loader.certificate)?,
                "ssl.key.location": file(folder.path(), "loader-key.pem", &loader.key)?,
            },
        });
        let deck = Deck::with(
            parts,
            DeckOptions {
                // For the oracles, which are the administrator.
                brokers: Some(secured.broker.broker().bootstrap()),
                topic_prefix: Some(PREFIX.to_owned()),
                proxy: json!({ "kafka": scram(secured, RECORDER.0, &ca) }),
                proxy_environment: vec![(VARIABLE.to_owned(), RECORDER.1.to_owned())],
                consumer: json!({ "kafka": by_certificate }),
                ..DeckOptions::of(vec![target("probe", parts.probe.url())])
            },
        )
        .await?;
        ensure!(deck.group == GROUP, "the access lists are for another group");
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        assert_eq!(
            client
                .call("echo", json!({ "text": "under guard" }))
                .await?
                .tool_text()?,
            "under guard"
        );
        deck.settled().await?;

        // The topics exist now, so what is refused is refused for its own reason.
        let stranger = Authority::new("another root")?;
        let wrong_ca = file(folder.path(), "wrong-ca.pem", stranger.certificate())?;
        tokio::try_join!(
            is_refused(
                parts,
                secured,
                scram(secured, RECORDER.0, &ca),
                "not-the-password-0123456789",
                Refused {
                    readyz: "Kafka refuses the credentials",
                    reason: "kafka_credentials",
                    log: "invalid credentials",
                },
            ),
            is_refused(
                parts,
                secured,
                scram(secured, RECORDER.0, &wrong_ca),
                RECORDER.1,
                Refused {
                    readyz: "no TLS connection to Kafka",
                    reason: "kafka_tls",
                    log: "certificate verify failed",
                },
            ),
            is_refused(
                parts,
                secured,
                scram(secured, NOBODY.0, &ca),
                NOBODY.1,
                Refused {
                    readyz: "does not allow this proxy to write the frames topic",
                    reason: "kafka_forbidden",
                    log: "does not allow this proxy to write the frames topic",
                },
            ),
            is_refused(
                parts,
                secured,
                scram(secured, CLERK.0, &ca),
                CLERK.1,
                Refused {
                    readyz: "does not allow this proxy to write the frames topic",
                    reason: "kafka_forbidden",
                    log: "does not allow this proxy to write the frames topic",
                },
            ),
            consumers_say_why(parts, secured, &deck, &ca),
        )?;

        let tape = deck.finish().await?;
        assert!(tape.rows.iter().any(|row| row.text().contains("under guard")));
        Ok(())
    })
}

async fn consumers_say_why(parts: &Parts, secured: &Secured, deck: &Deck, ca: &std::path::Path) -> Result<()> {
    let options = |user: &str, password: &str| ConsumerOptions {
        admin_port: None,
        kafka: deck.kafka.clone(),
        group: format!("{GROUP}-{user}"),
        database: deck.database.clone(),
        partitions: 3,
        every: std::time::Duration::from_secs(1),
        more: json!({ "kafka": scram(secured, user, ca) }),
        environment: vec![(VARIABLE.to_owned(), password.to_owned())],
    };
    let migrating = Consumer::start(&options(RECORDER.0, "not-the-password-0123456789"), parts.site()).await;
    let said = migrating.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(said.contains("invalid credentials"), "migrate says: {said}");
    ensure!(!said.contains("not-the-password"), "the password is in the log");

    for (user, password, expected) in [
        (RECORDER.0, "not-the-password-0123456789", "invalid credentials"),
        (NOBODY.0, NOBODY.1, "uthorization failed"),
    ] {
        let consumer = Consumer::start_only(&options(user, password), parts.site()).await?;
        let log = consumer.service().child().log().to_owned();
        until(async || {
            let said = fs::read_to_string(&log)?;
            ensure!(!said.contains(password), "the password is in the log");
            Ok(if said.contains(expected) {
                Ok(())
            } else {
                Err(format!("{expected} is not in: {said}"))
            })
        })
        .await?;
    }
    Ok(())
}
