//! Erasures, holds and releases, on a real broker and a real ClickHouse.

use tapedeck_consumer::erasure::{self, OrderError, Request};
use tapedeck_consumer::orders::Scope;
use uuid::Uuid;

use crate::frames::Proxy;
use crate::recording;
use crate::stack::Case;

/// What tells who somebody was or what they did.
pub(crate) const TRACES: &str = "SELECT toInt64(count()) FROM frames WHERE subject != '' OR payload != '' OR rpc_name != '' OR client_address != '' \
    OR payload_salt != toFixedString('', 32) OR metadata_salt != toFixedString('', 32) OR session_key != toFixedString('', 32)";

pub(crate) fn request() -> Request {
    Request {
        tenant: String::new(),
        issuer: "https://idp".to_owned(),
        subject: "alice".to_owned(),
        reason: "asked for it".to_owned(),
        by: "dpo".to_owned(),
    }
}

/// A recording that is loaded.
async fn recorded(case: &Case) -> (Proxy, Uuid) {
    let mut proxy = Proxy::new();
    let session = recording::record(&mut proxy);
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for_commit(proxy.sealed.len() as i64).await;
    service.stop().await;
    (proxy, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_subject_is_gone_and_stays_gone_and_the_chain_still_holds() {
    let case = Case::new().await;
    let (mut proxy, _) = recorded(&case).await;
    let count = proxy.sealed.len() as i64;
    assert!(case.number(TRACES).await > 0);
    let hashes =
        "SELECT concat(toString(seq), lower(hex(frame_hash)), lower(hex(payload_commitment))) FROM frames ORDER BY seq";
    let before = case.texts(hashes).await;

    let receipt = erasure::erase(&case.config, &request()).await.expect("erased");
    assert_eq!(receipt.erased.frames, count as u64);
    assert!(receipt.erased.sessions > 0 && receipt.erased.calls > 0, "{receipt:?}");
    assert!(receipt.held.is_empty());
    assert_eq!(case.number(TRACES).await, 0);
    assert_eq!(case.texts(hashes).await, before, "places, hashes and commitments stay");
    for table in ["sessions_v", "calls_v"] {
        assert_eq!(case.number(&format!("SELECT count() FROM {table}")).await, 0, "{table}");
    }
    let copies: Vec<_> = receipt
        .copies
        .iter()
        .map(|copy| (copy.topic.as_str(), copy.first, copy.last, copy.what))
        .collect();
    assert_eq!(copies[0], (case.topic.as_str(), 0, count - 1, "raw"));
    assert!(
        copies
            .iter()
            .any(|(topic, _, _, what)| *topic == case.config.kafka.topics.audit() && *what == "redacted")
    );
    assert!(receipt.copies.iter().all(|copy| copy.until > receipt.erased_before));
    let stored = case.texts("SELECT receipt FROM erasures FINAL").await;
    let stored: serde_json::Value = serde_json::from_str(&stored[0]).expect("JSON");
    assert_eq!(stored["erasure"], receipt.erasure.to_string());
    let log = "SELECT concat(action, ' ', subject, ' ', reason) FROM access_log";
    assert_eq!(case.texts(log).await, ["erase dpo asked for it"]);

    // The same copies once more, into an empty table: nothing of the subject comes back. What comes later is new.
    let events = case.values(case.config.kafka.topics.audit()).await.len();
    for table in ["frames", "calls", "sessions", "writers"] {
        let truncate = format!("TRUNCATE TABLE {table}");
        case.sink.client().query(&truncate).execute().await.expect("truncated");
    }
    let mut other = case.config.clone();
    other.group.push_str("-again");
    let service = tokio::spawn(tapedeck_consumer::service::run(
        other,
        tokio_util::sync::CancellationToken::new(),
    ));
    case.wait_for("SELECT count() FROM frames", count).await;
    assert_eq!(case.number(TRACES).await, 0);
    assert_eq!(case.texts(hashes).await, before);
    proxy.call("later");
    case.publish(&proxy.records()[count as usize..]).await;
    case.wait_for("SELECT count() FROM calls_v", 1).await;
    case.wait_for("SELECT count() FROM frames", count + 2).await;
    service.abort();
    let published = case.values(case.config.kafka.topics.audit()).await.len();
    assert!(
        // One of the call, and one of a session that may begin with it.
        published <= events + 2,
        "no event is told again of what was erased: {events}, then {published}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hold_keeps_goes_on_saying_that_its_end_is_unknown() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    proxy.request(Uuid::now_v7(), "tools/call", "{}");
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for_commit(proxy.sealed.len() as i64).await;
    service.stop().await;
    let open = case
        .sink
        .open_calls(&case.origin(), proxy.writer())
        .await
        .expect("calls");
    case.sink.note_unknown(&case.origin(), &open).await.expect("noted");
    let aggregated = case.sink.aggregate_unknown(&case.origin(), proxy.writer()).await;
    aggregated.expect("aggregated");
    let hold = erasure::hold(
        &case.config,
        Scope::Session(open[0].session),
        "case 8".to_owned(),
        "counsel",
    )
    .await;
    let hold = hold.expect("held");
    erasure::erase(&case.config, &request()).await.expect("erased");
    let outcomes = "SELECT toString(outcome) FROM calls_v";
    assert_eq!(case.texts(outcomes).await, ["unknown"]);
    erasure::release(&case.config, hold.hold, "counsel")
        .await
        .expect("released");
    assert_eq!(case.texts(outcomes).await, Vec::<String>::new());
    let left = "SELECT toInt64(count()) FROM unknown_calls";
    assert_eq!(case.number(left).await, 0, "nor is its id left elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_beats_an_erasure_until_it_is_released() {
    let case = Case::new().await;
    let (mut proxy, session) = recorded(&case).await;
    let of_session = format!("SELECT toInt64(count()) FROM frames WHERE session_id = '{session}'");
    let (count, held) = (proxy.sealed.len() as i64, case.number(&of_session).await);
    let hold = erasure::hold(&case.config, Scope::Session(session), "case 7".to_owned(), "counsel")
        .await
        .expect("held");
    assert_eq!(hold.frames, held as u64);

    let receipt = erasure::erase(&case.config, &request()).await.expect("erased");
    assert_eq!(receipt.erased.frames, (count - held) as u64);
    assert_eq!(
        (receipt.held.len(), receipt.held[0].hold, receipt.held[0].frames),
        (1, hold.hold, held as u64)
    );
    assert_eq!(case.number(TRACES).await, held);
    let sessions = "SELECT toString(session_id) FROM sessions_v";
    assert_eq!(
        case.texts(sessions).await,
        [session.to_string()],
        "what is held is still shown"
    );

    // What comes under a hold is copied as it is loaded, and outlives its retention.
    let tagged = tapedeck_schemas::Frame {
        session_id: Some(session),
        ..recording::message(
            &proxy,
            Uuid::now_v7(),
            tapedeck_schemas::Direction::ToTarget,
            recording::rpc(
                tapedeck_schemas::RpcKind::Request,
                Some("tools/call"),
                Some("9"),
                Some("echo"),
            ),
        )
    };
    proxy.seal(tagged, Some(b"{}"));
    case.publish(&proxy.records()[count as usize..]).await;
    let service = case.start();
    case.wait_for("SELECT count() FROM frames_held FINAL", held + 1).await;
    service.stop().await;
    case.sink
        .client()
        .query("TRUNCATE TABLE frames")
        .execute()
        .await
        .expect("as if it had expired");
    let shown = "SELECT toInt64(frames) FROM held_sessions_v";
    assert_eq!(case.number(shown).await, held + 1);
    let copy = "INSERT INTO frames SELECT * FROM frames_held FINAL";
    case.sink
        .client()
        .query(copy)
        .execute()
        .await
        .expect("as if it had not");

    let released = erasure::release(&case.config, hold.hold, "counsel")
        .await
        .expect("released");
    assert_eq!((released.frames, released.erasures.len()), (0, 1));
    assert_eq!(released.erasures[0].erased.frames, held as u64);
    assert_eq!(case.number(TRACES).await, 1, "only what came after the erasure");
    assert_eq!(case.number("SELECT count() FROM frames_held").await, 0);
    let again = erasure::release(&case.config, hold.hold, "counsel").await;
    assert!(matches!(again, Err(OrderError::NoHold(_))), "{again:?}");
}
