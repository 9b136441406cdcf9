//! Who may not is told why, gets no further, and is on record.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tapedeck_dev::identity::{Identity, Unsigned};
use tapedeck_dev::mcp::ProbeOptions;
use tapedeck_tests::tokens::{self, compact, keyed_by, now, signed, with_claims};
use tapedeck_tests::{Client, Deck, parts, run, target};

/// Tokens, each with the rule by which it is refused.
async fn bad_tokens(identity: &Identity) -> Result<Vec<(&'static str, String)>> {
    let now = now()?;
    let good = tokens::good(identity)?;
    let kid = good.kid.clone().context("a key id")?;
    let keys = identity.private_keys()?;
    let rsa = keys["keys"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|key| key["kid"] == kid.as_str())
        .context("the key")?;
    let unsigned_by_name = compact(&json!({ "typ": "at+jwt", "alg": "none" }), &good.claims, &[]);
    let strange_key = Unsigned {
        kid: None,
        ..good.clone()
    };
    let mut unknown_key = strange_key.clone();
    unknown_key.header["kid"] = json!("nobody-has-this-key");
    let mut id_token = good.clone();
    id_token.header["typ"] = json!("JWT");
    id_token.claims["nonce"] = json!("n-0S6_WzA2Mj");
    let mut other_type = good.clone();
    other_type.header["typ"] = json!("logout+jwt");
    let genuine = signed(identity, good.clone()).await?;
    let (signed_part, signature) = genuine.rsplit_once('.').context("a signature")?;
    let other_claims = {
        let mut claims = good.claims.clone();
        claims["groups"] = json!(["administrators"]);
        let (header, _) = signed_part.split_once('.').context("a header")?;
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
    };
    Ok(vec![
        ("malformed", "not-a-token".to_owned()),
        ("malformed", "eyJhbGciOiJSUzI1NiJ9.e30".to_owned()),
        ("bad_signature", signed(identity, strange_key).await?),
        ("bad_signature", other_claims),
        ("unknown_key", signed(identity, unknown_key).await?),
        (
            "expired",
            with_claims(
                identity,
                json!({ "exp": now - 600, "iat": now - 1200, "nbf": now - 1200 }),
            )
            .await?,
        ),
        (
            "not_yet_valid",
            with_claims(identity, json!({ "nbf": now + 3000 })).await?,
        ),
        ("missing_claim", with_claims(identity, json!({ "exp": null })).await?),
        ("bad_signature", format!("{signed_part}.")),
        ("unsupported_alg", unsigned_by_name),
        (
            "unsupported_alg",
            keyed_by(rsa["n"].as_str().context("a modulus")?.as_bytes(), &kid, &good.claims)?,
        ),
        (
            "unsupported_alg",
            keyed_by(spki_pem(rsa)?.as_bytes(), &kid, &good.claims)?,
        ),
        (
            "wrong_audience",
            with_claims(identity, json!({ "aud": "https://elsewhere.example/" })).await?,
        ),
        ("wrong_audience", with_claims(identity, json!({ "aud": null })).await?),
        ("id_token", signed(identity, id_token).await?),
        ("unsupported_type", signed(identity, other_type).await?),
        (
            "unknown_issuer",
            with_claims(identity, json!({ "iss": "https://issuer.example" })).await?,
        ),
        (
            "unknown_issuer",
            with_claims(identity, json!({ "iss": format!("{}/", identity.issuer()) })).await?,
        ),
    ])
}

/// The RSA public key as the PEM file that such an attacker would use: SubjectPublicKeyInfo (RFC 5280, section 4.1).
fn spki_pem(jwk: &Value) -> Result<String> {
    let number = |name: &str| -> Result<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(jwk[name].as_str().context("a number")?)?;
        // A leading bit that is set would make it negative.
        let padded = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
            [vec![0], bytes].concat()
        } else {
            bytes
        };
        Ok(der(0x02, &padded))
    };
    let key = der(0x30, &[number("n")?, number("e")?].concat());
    let algorithm = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let bits = der(0x03, &[vec![0], key].concat());
    let encoded = STANDARD.encode(der(0x30, &[algorithm.to_vec(), bits].concat()));
    let lines: Vec<String> = encoded
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    Ok(format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    ))
}

/// A value with its tag and length (X.690, section 8.1).
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(value);
    out
}

#[test]
fn a_token_that_proves_nothing_is_refused_recorded_and_kept_from_the_target() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let deck = Deck::start(parts, vec![target("probe", probe.url())]).await?;
        let endpoint = deck.proxy.endpoint("probe");
        let bad = bad_tokens(&parts.identity).await?;
        for (rule, token) in &bad {
            let refused = Client::bearer(&endpoint, token)?
                .post(&Client::initialization(1))
                .await?;
            assert_eq!(refused.status, 401, "{rule}: {}", refused.text());
            let challenge = refused.header("www-authenticate").unwrap_or_default();
            for expected in [
                "Bearer ",
                "error=\"invalid_token\"",
                "resource_metadata=\"http://127.0.0.1:",
            ] {
                assert!(challenge.contains(expected), "{rule}: {challenge}");
            }
            assert!(!refused.text().contains(token.as_str()), "{rule}");
        }
        let mut genuine = Client::bearer(
            &endpoint,
            &signed(&parts.identity, tokens::good(&parts.identity)?).await?,
        )?;
        assert_eq!(probe.accounts().await?.total, 0, "the target has seen none of these");
        genuine.initialize().await?;

        let (logs, database) = (deck.logs()?, deck.database.clone());
        let tape = deck.finish().await?;
        let rules: Vec<&str> = tape.refusals().iter().map(|row| row.decision_rule.as_str()).collect();
        let expected: Vec<&str> = bad.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(rules, expected);
        for row in tape.refusals() {
            assert_eq!(
                (row.http_status, row.decision_action.as_str(), row.ended.as_str()),
                (401, "refuse", "refused")
            );
            assert_eq!(
                (row.subject.as_str(), row.issuer.as_str(), row.payload_size),
                ("", "", 0)
            );
            assert_eq!(row.target, "probe");
        }
        let table = tapedeck_tests::oracle::table::bytes(&database, "frames").await?;
        for (rule, token) in &bad {
            // Header and claims alone would be enough to say whose it was; the signature is what makes it usable.
            for part in token.split('.').filter(|part| part.len() > 40) {
                let holds = |bytes: &[u8]| bytes.windows(part.len()).any(|window| window == part.as_bytes());
                assert!(!holds(logs.as_bytes()), "{rule}: a token is in the logs");
                assert!(!holds(&table), "{rule}: a token is in ClickHouse");
                let raw = tape.recorded.iter().filter_map(|entry| entry.frame.payload.as_ref());
                assert!(
                    !raw.into_iter().any(|payload| holds(&payload.0)),
                    "{rule}: a token is in the topic"
                );
                assert!(
                    !tape.audit_records.iter().any(|record| holds(&record.value)),
                    "{rule}: a token is in the audit topic"
                );
            }
        }
        Ok(())
    })
}

#[test]
fn a_caller_without_the_group_is_refused_with_what_was_asked_on_record() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let deck = Deck::start(parts, vec![target("probe", probe.url())]).await?;
        let mut mallory = deck.client("probe", "mallory").await?;
        let refused = mallory.call("echo", json!({ "text": "let me in" })).await?;
        assert_eq!(refused.status, 403, "{}", refused.text());
        let token = with_claims(&parts.identity, json!({ "sub": "nomad", "groups": null })).await?;
        let mut nomad = Client::bearer(&deck.proxy.endpoint("probe"), &token)?;
        assert_eq!(nomad.call("echo", json!({ "text": "me too" })).await?.status, 403);
        assert_eq!(probe.accounts().await?.total, 0, "the target has seen nothing");

        let tape = deck.finish().await?;
        let refusals = tape.refusals();
        let who: Vec<(&str, i32)> = refusals
            .iter()
            .map(|row| (row.subject.as_str(), row.http_status))
            .collect();
        assert_eq!(who, [("mallory", 403), ("nomad", 403)]);
        assert_eq!(refusals[0].decision_rule, "forbidden");
        assert_eq!(
            (refusals[0].rpc_method.as_str(), refusals[0].rpc_name.as_str()),
            ("tools/call", "echo")
        );
        assert!(refusals[0].text().contains("let me in"));
        Ok(())
    })
}

#[test]
fn a_message_that_two_parsers_could_read_as_two_calls_is_refused() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let probe = parts.probe(ProbeOptions::default()).await?;
        let deck = Deck::start(parts, vec![target("probe", probe.url())]).await?;
        let client = deck.client("probe", "alice").await?;
        let ambiguous = [
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
        ];
        for body in ambiguous {
            let refused = client.send(http::Method::POST, Some(body.to_owned())).await?;
            assert_eq!(refused.status, 400, "{}", refused.text());
        }
        let torn = client
            .send(http::Method::POST, Some("{\"jsonrpc\":".to_owned()))
            .await?;
        assert_eq!(torn.status, 400, "{}", torn.text());
        let foreign = client.clone().with("origin", "https://evil.example")?;
        assert_eq!(foreign.post(&Client::initialization(1)).await?.status, 403);
        assert_eq!(client.send(http::Method::PUT, Some("{}".to_owned())).await?.status, 405);
        assert_eq!(probe.accounts().await?.total, 0, "the target has seen nothing");

        let tape = deck.finish().await?;
        let rules: Vec<&str> = tape.refusals().iter().map(|row| row.decision_rule.as_str()).collect();
        let expected = [
            "ambiguous_message",
            "ambiguous_message",
            "malformed_message",
            "origin_not_allowed",
            "method_not_allowed",
        ];
        assert_eq!(rules, expected);
        Ok(())
    })
}
