//! The client's token stays with the proxy, and the target is shown what the proxy holds for it.

use std::fs;

use anyhow::Result;
use serde_json::json;
use tapedeck_dev::mcp::ProbeOptions;
use tapedeck_dev::services::{Credential, Target};
use tapedeck_tests::{Deck, DeckOptions, parts, run, target};

#[test]
fn the_target_is_shown_its_own_credential_and_never_the_clients_token() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let credential = Credential {
            header: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
            secret: "held-for-the-probe-0123456789".into(),
        };
        let from_environment = Target {
            credential: Some(credential),
            ..target("environment", probe.url())
        };
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("credential");
        fs::write(&file, "kept-in-a-file-0123456789\n")?;
        let file_target = json!({
            "name": "file", "url": probe.url(), "allow_groups": ["engineers"], "allow_single_copy": true,
            "credential": { "header": "x-api-key", "prefix": "", "file": file },
        });
        let environment_target = json!({
            "name": "environment", "url": probe.url(), "allow_groups": ["engineers"], "allow_single_copy": true,
            "credential": { "header": "authorization", "prefix": "Bearer ", "env": "TAPEDECK_CREDENTIAL_ENVIRONMENT" },
        });
        let bare_target = json!({
            "name": "bare", "url": probe.url(), "allow_groups": ["engineers"], "allow_single_copy": true,
        });
        let deck = Deck::with(
            parts,
            DeckOptions {
                proxy: json!({ "target": [environment_target, file_target, bare_target] }),
                ..DeckOptions::of(vec![from_environment])
            },
        )
        .await?;

        let token = parts.token("alice").await?;
        let expected = [
            ("environment", vec!["Bearer held-for-the-probe-0123456789"], vec![]),
            ("file", vec![], vec!["kept-in-a-file-0123456789"]),
            ("bare", vec![], vec![]),
        ];
        for (name, authorization, api_key) in expected {
            probe.forget().await?;
            let mut client = deck
                .client(name, "alice")
                .await?
                .with("x-api-key", "what the client made up")?;
            client.initialize().await?;
            client.call("echo", json!({ "text": "who goes there" })).await?;
            client.delete().await?;
            let accounts = probe.accounts().await?;
            assert_eq!(accounts.total, 4, "{accounts:?}");
            for call in &accounts.calls {
                assert_eq!(call.header("authorization"), authorization, "{name}");
                if name == "file" {
                    assert_eq!(call.header("x-api-key"), api_key);
                }
                assert!(
                    call.headers.iter().all(|(_, value)| !value.contains(token.as_str())),
                    "{name}"
                );
            }
        }

        let logs = deck.logs()?;
        let tape = deck.finish().await?;
        for secret in ["held-for-the-probe", "kept-in-a-file", token.as_str()] {
            assert!(!logs.contains(secret), "a secret is in the logs");
            let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!tape.recorded.iter().any(|entry| {
                entry.frame.payload.as_ref().is_some_and(|payload| holds(&payload.0))
                    || format!("{:?}", entry.frame).contains(secret)
            }));
        }
        Ok(())
    })
}
