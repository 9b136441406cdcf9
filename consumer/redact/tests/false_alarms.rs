//! Traffic with nothing to hide, which has to come out as it went in.

use proptest::prelude::*;
use tapedeck_redact::{Config, Context, Outcome, Redactor};

fn assert_unchanged(redactor: &Redactor, body: &str) {
    let redacted = redactor.redact(body.as_bytes(), &Context::default());
    assert_eq!(
        redacted.outcome(),
        Outcome::Unchanged,
        "{body}: {:?}",
        redacted.findings()
    );
}

#[test]
fn ordinary_frames_are_unchanged() {
    let redactor = Redactor::new(Config::default()).expect("the built-in packs are sound");
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{"listChanged":true}},"clientInfo":{"name":"inspector","version":"0.17.2"}}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"0199f1b6-3c1e-7a2b-9d40-6f2f0c6a1e55","progress":3,"total":5}}"#,
        r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"login","description":"Logs in with a password; the token is returned. Authorization is required.","inputSchema":{"type":"object","properties":{"user":{"type":"string","format":"email"},"password":{"type":"string","minLength":8}},"required":["user","password"]}}]}}"#,
        r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"congo=t61rcWkgMzE"}"#,
        r#"{"sha":"2fd4e1c67a2d28fced849ee1bb76e7391b93eb12","short":"2fd4e1c","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#,
        r#"{"time":"2026-11-22T15:36:55.123456Z","at":1763825815123456,"ns":1763825815123456789,"ms":1763825815123,"date":"22-11-2026","range":"2026-11-22 2026-11-23"}"#,
        r#"{"type":"image","mimeType":"image/png","data":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}"#,
        r#"{"numbers":[0,-1,3.14159,1e10,123456789,9007199254740991,0.1234567890123456],"ids":["1234567890123456789012345","000000000000000000"]}"#,
        r#"{"text":"Call 555-0100 or +1 202 555 0143, room 4111, build 2024.11.22-1234, v1.2.3, 10.0.0.1:8080, 12:34:56"}"#,
        r##"{"code":"def login(user, password):\n    token = get_token(user)\n    return {'Authorization': f'Bearer {token}'}\n# see git@github.com:a/b.git @2x.png"}"##,
        r#"{"uri":"https://example.com/a@b/c?x=1#y","img":"registry.example.com/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#,
        r#"{"text":"{\"rows\":[[1,\"a\"],[2,\"b\"]],\"next\":null}"}"#,
        r#"{"etag":"\"33a64df551425fcc55e4d42a148795d9f25f89d4\"","isbn":"978-3-16-148410-0","line":"(202) 555-0143","zip":"12345-6789"}"#,
    ] {
        assert_unchanged(&redactor, body);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn uuids_hashes_times_and_blobs_are_unchanged(
        uuid in "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        digits in "[0-9]{8}-[0-9]{4}-4[0-9]{3}-8[0-9]{3}-[0-9]{12}",
        sha in "[0-9a-f]{40}",
        digest in "[0-9a-f]{64}",
        micros in 1_500_000_000_000_000_u64..2_000_000_000_000_000,
        nanos in 1_500_000_000_000_000_000_u64..2_000_000_000_000_000_000,
        float in 0.0_f64..1.0,
        long_id in "[1-9][0-9]{20,30}",
        blob in "[A-Za-z0-9+/]{400}",
        date in "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3,9}Z",
    ) {
        thread_local!(static REDACTOR: Redactor = Redactor::new(Config::default()).expect("the built-in packs are sound"));
        let body = format!(
            r#"{{"id":"{uuid}","all":["{digits}","{sha}","{digest}",{micros},"{nanos}",{float},"{long_id}","{blob}=","{date}","{uuid} {sha} {micros} {date}"]}}"#
        );
        REDACTOR.with(|redactor| assert_unchanged(redactor, &body));
    }
}
