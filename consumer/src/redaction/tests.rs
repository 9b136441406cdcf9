use std::sync::LazyLock;

use tapedeck_redact::Config;
use tapedeck_schemas::{Chain, Client, Kind, Rpc, RpcKind};

use super::*;

/// Made once: compiling the packs takes the better part of a second without optimization.
fn redactor() -> &'static Arc<Redactor> {
    static REDACTOR: LazyLock<Arc<Redactor>> =
        LazyLock::new(|| Arc::new(Redactor::new(Config::default()).expect("the built-in rules are right")));
    &REDACTOR
}

fn recorded(payload: Option<&str>, change: impl FnOnce(&mut Frame)) -> Frame {
    let mut frame = Frame {
        kind: Kind::Message,
        ..Frame::default()
    };
    change(&mut frame);
    let mut chain = Chain::open(uuid::Uuid::nil(), uuid::Uuid::nil());
    let payload = payload.map(|payload| Bytes::copy_from_slice(payload.as_bytes()));
    chain.seal(frame, 1, payload).frame().clone()
}

/// The clean frames of one message, whose parts are these.
fn clean_parts(parts: &[&str]) -> Vec<CleanFrame> {
    let mut frames: Vec<MaskedFrame> = parts
        .iter()
        .map(|part| mask(recorded(Some(part), |_| {}), redactor(), &mut Known::default()))
        .collect();
    let mut stream = redactor().stream(&context(&frames[0].frame));
    let payloads: Vec<_> = frames.iter_mut().filter_map(MaskedFrame::take_payload).collect();
    let mut bodies: Vec<_> = payloads.iter().flat_map(|payload| stream.push(&payload.0)).collect();
    bodies.extend(stream.finish());
    clean(frames, Body::Redacted(bodies), redactor())
}

const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB";

#[test]
fn an_unchanged_message_keeps_every_part_and_its_salt() {
    let clean = clean_parts(&[r#"{"a":"#, r#""b"}"#]);
    let bodies: Vec<_> = clean.iter().map(|frame| frame.body().expect("kept")).collect();
    assert_eq!(bodies, [&br#"{"a":"#[..], br#""b"}"#]);
    assert!(
        clean
            .iter()
            .all(|frame| frame.fate() == Fate::Unchanged && frame.payload_salt().is_some())
    );
}

#[test]
fn a_secret_that_is_cut_in_two_by_parts_is_masked_and_no_salt_is_left() {
    let whole = format!(r#"{{"text":"the token is {TOKEN}"}}"#);
    let (first, second) = whole.split_at(whole.len() - 20);
    let clean = clean_parts(&[first, second]);
    assert_eq!([clean[0].fate(), clean[1].fate()], [Fate::Masked, Fate::Masked]);
    let body: Vec<u8> = clean
        .iter()
        .flat_map(|frame| frame.body().expect("masked").to_vec())
        .collect();
    assert_eq!(
        String::from_utf8(body).expect("JSON"),
        r#"{"text":"the token is ‹redacted:github-token›"}"#
    );
    assert!(clean.iter().all(|frame| frame.payload_salt().is_none()));
    assert!(clean.iter().all(|frame| !frame.rules().is_empty()));
}

#[test]
fn what_cannot_be_looked_at_is_dropped() {
    let frame = mask(
        recorded(Some("no JSON, nobody knows what"), |_| {}),
        redactor(),
        &mut Known::default(),
    );
    let clean = clean(vec![frame], Body::Withheld(DropReason::Incomplete), redactor());
    assert_eq!(clean[0].fate(), Fate::Dropped("incomplete"));
    assert!(clean[0].body().is_none() && clean[0].payload_salt().is_none());
    assert!(clean[0].frame().commitments.payload.is_some(), "the commitment stays");
}

#[test]
fn a_credential_in_the_metadata_is_masked_and_its_salt_is_gone() {
    let masked = mask(
        recorded(None, |frame| {
            frame.client = Client {
                user_agent: Some(format!("curl {TOKEN}")),
                ..Client::default()
            };
        }),
        redactor(),
        &mut Known::default(),
    );
    let clean = clean(vec![masked], Body::Whole(None), redactor());
    let agent = clean[0]
        .frame()
        .client
        .user_agent
        .as_deref()
        .expect("masked, not removed");
    assert!(!agent.contains("ghp_0123"), "{agent}");
    assert!(clean[0].metadata_salt().is_none() && !clean[0].direct_masked());
    assert_eq!(clean[0].fate(), Fate::None);
}

#[test]
fn a_credential_in_a_field_that_the_hash_covers_is_masked_and_marked() {
    let masked = mask(
        recorded(None, |frame| {
            frame.rpc = Some(Rpc {
                kind: RpcKind::Request,
                id: Some(format!("\"{TOKEN}\"")),
                ..Rpc::default()
            });
        }),
        redactor(),
        &mut Known::default(),
    );
    let clean = clean(vec![masked], Body::Whole(None), redactor());
    assert!(clean[0].direct_masked() && clean[0].metadata_salt().is_some());
    assert!(!format!("{:?}", clean[0]).contains("ghp_0123"));
}

#[test]
fn a_credential_in_an_id_reads_as_in_the_body_however_it_is_spelled() {
    let spelled: String = TOKEN.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    for id in [format!("\"{TOKEN}\""), format!("\"{spelled}\"")] {
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}");
        let frame = recorded(Some(&body), |frame| {
            frame.rpc = Some(Rpc {
                kind: RpcKind::Response,
                id: Some(id.clone()),
                ..Rpc::default()
            });
        });
        let mut masked = mask(frame, redactor(), &mut Known::default());
        let payload = masked.take_payload();
        let clean = clean_whole(masked, payload.as_ref(), redactor());
        let rpc = clean.frame().rpc.as_ref().expect("it is still a response");
        let left = rpc.id.as_deref().expect("masked, not removed");
        assert!(left.contains("redacted:"), "{left}");
        let body = String::from_utf8_lossy(clean.body().expect("kept"));
        assert!(body.contains(&format!("\"id\":{left},")), "{left} is not in {body}");
        assert_eq!(mask_id(&id, clean.frame(), redactor(), &mut Known::default()), left);
    }
}

#[test]
fn what_was_masked_once_is_masked_each_time_and_what_was_clean_stays_clean() {
    let mut known = Known::default();
    let (redactor, secret) = (redactor(), format!("curl {TOKEN}"));
    for agent in [secret.as_str(), "curl/8", &secret, "curl/8", &secret] {
        let frame = recorded(None, |frame| frame.client.user_agent = Some(agent.to_owned()));
        let masked = mask(frame, redactor, &mut known);
        let seen = masked.frame().client.user_agent.as_deref().unwrap_or_default();
        assert!(!seen.contains(TOKEN));
        assert_eq!(seen == agent, agent == "curl/8");
    }
}
