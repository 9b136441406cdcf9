//! What was secret in a conversation is in the raw topic, and nowhere that it was not meant for.

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};
use tapedeck_tests::oracle::table;
use tapedeck_tests::{Deck, parts, run, target};

/// One of each kind: a rule, a text in which it finds something, and the part of it that must go. None was ever valid anywhere.
const PLANTED: &[(&str, &str, &str)] = &[
    (
        "authorization",
        "curl -H 'Authorization: Basic dGFwZWRlY2s6Y2FuYXJ5MDE=' https://x.example/",
        "dGFwZWRlY2s6Y2FuYXJ5MDE",
    ),
    (
        "cookie",
        "Cookie: sid=31d4d96e407aad42canary02; theme=dark",
        "31d4d96e407aad42canary02",
    ),
    (
        "bearer-token",
        "sent with Bearer mF_9.B5f-4.1JqMcanary03 today",
        "mF_9.B5f-4.1JqMcanary03",
    ),
    (
        "jwt",
        "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkwNCJ9.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U!",
        "eyJzdWIiOiJjYW5hcnkwNCJ9",
    ),
    (
        "private-key",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhDCANARY05VcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs\n-----END RSA PRIVATE KEY-----",
        "MIIBOgIBAAJBAKj34GkxFhDCANARY05VcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs",
    ),
    ("aws-access-key-id", "key AKIACANARY06EXAMPLE7.", "AKIACANARY06EXAMPLE7"),
    (
        "aws-secret-key",
        "the AWS key is wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARY07AB, as ever",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARY07AB",
    ),
    (
        "github-token",
        "ghp_16C7e42F292c6912E7710c838347canary08",
        "ghp_16C7e42F292c6912E7710c838347canary08",
    ),
    (
        "slack-token",
        "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcanary09",
        "pdFZKVeTuE8sk7oOcanary09",
    ),
    (
        "llm-api-key",
        "key: sk-proj-Ab3_dEfGhIjKlMnOpQrStUvWxYz01canary10",
        "sk-proj-Ab3_dEfGhIjKlMnOpQrStUvWxYz01canary10",
    ),
    (
        "url-userinfo",
        "postgres://app:canary11swordfish@db:5432/main",
        "canary11swordfish",
    ),
    ("assigned-secret", "DB_PASSWORD=canary12hunter", "canary12hunter"),
    (
        "email",
        "mail canary13.alice@mail.example.org, now",
        "canary13.alice@mail.example.org",
    ),
    ("card", "card 4012 8888 8888 1881.", "4012 8888 8888 1881"),
    ("iban", "IBAN DE89370400440532013000", "DE89370400440532013000"),
    ("us-ssn", "ssn 219-09-9999.", "219-09-9999"),
];

/// Each secret by itself, in JSON within JSON, and twice so: what a tool does that also sends its structure as text.
fn texts(secret: &str) -> [String; 3] {
    let nested = json!({ "note": secret, "list": [1, { "again": secret }] }).to_string();
    let twice = json!({ "content": [{ "type": "text", "text": nested }] }).to_string();
    [secret.to_owned(), nested, twice]
}

fn holds(bytes: &[u8], canary: &str) -> bool {
    bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
}

/// A JSON string of which every character is an escape.
fn escaped(text: &str) -> String {
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

#[test]
fn planted_secrets_are_in_the_raw_topic_and_nowhere_else() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        let mut client = deck
            .client("probe", "alice")
            .await?
            .with("user-agent", "agent/1.0 (bearer canary14.0123456789)")?;
        client.initialize().await?;
        for (rule, secret, _) in PLANTED {
            for text in texts(secret) {
                // The probe answers with the same: each is in an argument and in a result.
                assert_eq!(
                    client.call("echo", json!({ "text": text })).await?.status,
                    200,
                    "{rule}"
                );
            }
            let spelled = escaped(secret);
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":"e","method":"tools/call","params":{{"name":"echo","arguments":{{"text":{spelled}}}}}}}"#
            );
            assert_eq!(client.send(Method::POST, Some(body)).await?.status, 200, "{rule}");
            assert_eq!(
                client
                    .call("refuse", json!({ "message": secret, "data": { "why": secret } }))
                    .await?
                    .status,
                200
            );
        }
        client
            .call(
                "echo",
                json!({ "text": "x", "password": "canary15 correct horse", "nested": { "apiKey": "canary16" } }),
            )
            .await?;
        // Where only the envelope has it: a tool's name, a resource's URI, a request's id, a method.
        client.call("canary17.tool@mail.example.org", json!({})).await?;
        let read = json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": { "uri": "https://u:canary18@host.example/x" } });
        client.post(&read).await?;
        let id = json!({ "jsonrpc": "2.0", "id": "ghp_16C7e42F292c6912E7710c838347canary19", "method": "ping" });
        client.post(&id).await?;
        let method = json!({ "jsonrpc": "2.0", "id": 2, "method": "ghp_16C7e42F292c6912E7710c838347canary20" });
        client.post(&method).await?;

        let (logs, database, brokers) = (deck.logs()?, deck.database.clone(), deck.kafka.clone());
        let tape = deck.finish().await?;
        let raw = tapedeck_tests::oracle::topic::read(&brokers.brokers, &brokers.frames()).await?;
        let mut canaries: Vec<(&str, &str)> = PLANTED.iter().map(|(rule, _, canary)| (*rule, *canary)).collect();
        canaries.extend([
            ("user agent", "canary14.0123456789"),
            ("password", "canary15 correct horse"),
            ("apiKey", "canary16"),
            ("tool name", "canary17.tool@mail.example.org"),
            ("resource URI", "canary18"),
            ("request id", "ghp_16C7e42F292c6912E7710c838347canary19"),
            ("method", "ghp_16C7e42F292c6912E7710c838347canary20"),
        ]);

        let mut places: Vec<(String, Vec<u8>)> = vec![("logs".to_owned(), logs.into_bytes())];
        for name in table::tables(&database).await? {
            places.push((format!("table {name}"), table::bytes(&database, &name).await?));
        }
        for (name, records) in [
            ("audit topic", &tape.audit_records),
            ("dead letters", &tape.letter_records),
            ("control topic", &tape.statements),
        ] {
            places.push((
                name.to_owned(),
                records
                    .iter()
                    .flat_map(|record| [record.key.clone(), record.value.clone()].concat())
                    .collect(),
            ));
        }
        let mut leaks = Vec::new();
        for (rule, canary) in &canaries {
            assert!(
                raw.iter().any(|record| holds(&record.value, canary)),
                "{rule}: not even in the raw topic: this search is blind"
            );
            let found = places
                .iter()
                .filter(|(_, bytes)| holds(bytes, canary))
                .map(|(place, _)| format!("{rule} in the {place}"));
            leaks.extend(found);
            let spelled = escaped(canary);
            let found = places
                .iter()
                .filter(|(_, bytes)| holds(bytes, spelled.trim_matches('"')));
            leaks.extend(found.map(|(place, _)| format!("{rule}, escaped, in the {place}")));
        }
        assert!(leaks.is_empty(), "{}", leaks.join("\n"));

        // What is left is still the conversation: JSON, with its shape, and a word on what is gone.
        for row in tape.rows.iter().filter(|row| row.redaction == "masked") {
            let message: Value = serde_json::from_str(&row.text())?;
            assert_eq!(message["jsonrpc"], "2.0");
            assert!(!row.redaction_rules.is_empty());
        }
        for (rule, ..) in PLANTED {
            assert!(
                tape.rows
                    .iter()
                    .any(|row| row.redaction_rules.iter().any(|found| found == rule)),
                "{rule} found nothing"
            );
        }
        assert!(!tape.rows.iter().any(|row| row.redaction == "dropped"));
        Ok(())
    })
}
