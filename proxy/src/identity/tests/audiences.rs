//! Tokens that are for one target and not for another.

use serde_json::json;

use super::{AUDIENCE, claims, one_issuer, plain, start, trusting, with};
use crate::config::Audience;
use crate::identity::{AuthError, Shown};

#[tokio::test]
async fn a_token_for_one_target_is_refused_at_another() {
    let (issuer, key, _) = one_issuer().await;
    let mut configured = plain(&issuer);
    configured.audiences.push("everything".to_owned());
    let authenticator = trusting(&[configured]);
    let of = |named: &[&str]| named.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (aud, audience, accepted) in [
        (
            json!(AUDIENCE),
            Audience::AllBut(of(&["https://mcp.example/other/mcp"])),
            true,
        ),
        (json!(AUDIENCE), Audience::AllBut(of(&[AUDIENCE])), false),
        (json!([AUDIENCE, "everything"]), Audience::AllBut(of(&[AUDIENCE])), true),
        (json!(AUDIENCE), Audience::Only(of(&[AUDIENCE])), true),
        (json!(AUDIENCE), Audience::Only(of(&["everything"])), false),
        (json!("elsewhere"), Audience::Only(of(&["elsewhere"])), false),
    ] {
        let token = key.access_token(&with(claims(&issuer, start()), json!({ "aud": aud })));
        let headers = super::headers(&token);
        // Twice: the second time it is remembered, if it was accepted anywhere.
        for _ in 0..2 {
            let shown = Shown {
                audience: &audience,
                ..super::shown(&headers)
            };
            let authenticated = authenticator.authenticate_at(shown, start()).await;
            let expected = if accepted {
                Ok(())
            } else {
                Err(AuthError::WrongAudience)
            };
            assert_eq!(authenticated.map(drop), expected, "{aud} at {audience:?}");
        }
    }
}
