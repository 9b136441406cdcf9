//! Writers that go away without a goodbye, on a real broker and a real ClickHouse.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::producer::{FutureProducer, FutureRecord};
use tapedeck_consumer::batch::{Batch, Loader};
use tapedeck_consumer::publish::unknown_event;
use tapedeck_consumer::sink::{Loaded, ServerClock};
use tapedeck_schemas::wire::{Framing, decode_audit, encode_control};
use tapedeck_schemas::{ControlBody, ControlChain, WriterManifest, WriterStopped};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::frames::Proxy;
use crate::read;
use crate::stack::Case;

const SILENCE: Duration = Duration::from_secs(2);

const UNKNOWN: &str = "SELECT count() FROM calls_v WHERE outcome = 'unknown'";

async fn case() -> Case {
    let mut case = Case::new().await;
    case.config.silence = SILENCE;
    case
}

fn manifest() -> ControlBody {
    ControlBody::WriterManifest(WriterManifest {
        writer_seq: 1,
        heads: Vec::new(),
        chunk: 0,
        last: true,
        refusals_not_written: 0,
    })
}

fn goodbye() -> ControlBody {
    ControlBody::WriterStopped(WriterStopped {
        writer_seq: 1,
        reason: "shutdown".to_owned(),
    })
}

async fn state(case: &Case, chain: &mut ControlChain, body: ControlBody) {
    let statement = chain.sign(0, body);
    let producer: FutureProducer = case.kafka.create().expect("a producer");
    let (key, value) = (statement.writer_id, encode_control(&statement, Framing::default()));
    let record = FutureRecord::to(case.config.kafka.topics.control())
        .key(key.as_bytes())
        .payload(&value);
    let sent = producer.send(record, SILENCE * 10).await;
    sent.map_err(|(error, _)| error).expect("delivered");
}

/// A writer that goes on stating manifests until this is aborted.
fn speaks(case: &Case, writer: Uuid) -> JoinHandle<()> {
    let producer: FutureProducer = case.kafka.create().expect("a producer");
    let topic = case.config.kafka.topics.control().to_owned();
    tokio::spawn(async move {
        let mut chain = ControlChain::open(writer);
        let mut turns = tokio::time::interval(SILENCE / 20);
        loop {
            turns.tick().await;
            let value = encode_control(&chain.sign(0, manifest()), Framing::default());
            let record = FutureRecord::to(&topic).key(writer.as_bytes()).payload(&value);
            let sent = producer.send(record, SILENCE * 10).await;
            sent.map_err(|(error, _)| error).expect("delivered");
        }
    })
}

/// A writer that has left a call open after one that was answered.
fn cut_off() -> (Proxy, Uuid) {
    let mut proxy = Proxy::new();
    proxy.call("answered");
    let exchange = Uuid::now_v7();
    proxy.request(exchange, "tools/call", "{}");
    (proxy, exchange)
}

async fn outcome(case: &Case, exchange: Uuid) -> String {
    let sql = format!("SELECT outcome FROM calls_v WHERE exchange_id = '{exchange}'");
    case.texts(&sql).await.concat()
}

/// How often each event of an unknown end was published.
async fn published(case: &Case) -> BTreeMap<String, usize> {
    let mut published = BTreeMap::new();
    for value in case.values(case.config.kafka.topics.audit()).await {
        let event = decode_audit(&value).expect("an event");
        if event.status_code.as_deref() == Some("unknown") {
            assert_eq!((event.status_id, event.severity_id), (0, 4));
            assert_eq!(event.api.operation, "tools/call echo");
            *published.entry(event.metadata.uid).or_default() += 1;
        }
    }
    published
}

fn event_id(proxy: &Proxy) -> String {
    let request = proxy.sealed.last().expect("the open call's request").frame();
    format!("{}.{}.unknown", request.segment_id, request.seq)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_call_of_a_writer_that_fell_silent_is_unknown_and_that_of_others_is_not() {
    let case = case().await;
    let ((dead, lost), (live, held), (mut stopped, left)) = (cut_off(), cut_off(), cut_off());
    let speaking = speaks(&case, live.writer());
    state(&case, &mut ControlChain::open(stopped.writer()), goodbye()).await;
    for proxy in [&dead, &live, &stopped] {
        case.publish(&proxy.records()).await;
    }
    let service = case.start();
    case.wait_for(UNKNOWN, 1).await;
    case.wait_for("SELECT count() FROM writers_v WHERE stopped", 1).await;
    assert_eq!(outcome(&case, lost).await, "unknown");
    assert_eq!(outcome(&case, held).await, "open");
    assert_eq!(outcome(&case, left).await, "open");
    assert_eq!(
        case.number("SELECT count() FROM calls_v WHERE outcome = 'answered'")
            .await,
        3
    );
    // Another consumer, and now the second dies, too: what is settled is settled.
    service.stop().await;
    speaking.abort();
    let service = case.start();
    case.wait_for(UNKNOWN, 2).await;
    case.wait_for("SELECT count() FROM writers_v WHERE last_time > settled_time", 0)
        .await;
    let once = [(event_id(&dead), 1), (event_id(&live), 1)].into();
    assert_eq!(published(&case).await, once);
    assert_eq!(case.number("SELECT count() FROM unknown_calls").await, 2);

    // A goodbye was no end for whoever comes back: frames tell that it is there.
    stopped.answer(left, "tools/call", "{}");
    case.publish(&stopped.records()[stopped.sealed.len() - 1..]).await;
    let answered = format!("SELECT count() FROM calls_v WHERE exchange_id = '{left}' AND outcome = 'answered'");
    case.wait_for(&answered, 1).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_end_that_comes_late_wins_and_is_an_event_of_its_own() {
    let case = case().await;
    let (mut proxy, exchange) = cut_off();
    let id = event_id(&proxy);
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for(UNKNOWN, 1).await;
    proxy.answer(exchange, "tools/call", "{}");
    let late = proxy.records().pop().expect("the answer");
    case.publish(&[late]).await;
    case.wait_for("SELECT count() FROM calls_v WHERE outcome = 'answered'", 2)
        .await;
    case.wait_for_commit(proxy.sealed.len() as i64).await;
    service.stop().await;
    assert_eq!(case.number(UNKNOWN).await, 0);
    let answer = proxy.sealed.last().expect("the answer").frame();
    let answer = format!("{}.{}", answer.segment_id, answer.seq);
    let ids: Vec<String> = case
        .values(case.config.kafka.topics.audit())
        .await
        .iter()
        .map(|value| decode_audit(value).expect("an event").metadata.uid)
        .collect();
    assert!(ids.contains(&id) && ids.contains(&answer), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_dies_while_it_says_so_leaves_the_rest_to_the_next_under_the_same_id() {
    let case = case().await;
    let (proxy, _) = cut_off();
    let (other, _) = cut_off();
    let records: Vec<_> = proxy.records().into_iter().chain(other.records()).collect();
    let count = records.len() as i64;
    case.publish(&records).await;
    let clock = ServerClock::ask(&case.sink).await.expect("ClickHouse has a clock");
    let mut loader = Loader::new(case.origin(), case.tools(), clock, Loaded::nothing());
    let batch = Batch {
        start: 0,
        end: count,
        records: read(&records, 0),
        reserved: case.budget.nothing(),
    };
    assert_eq!(loader.load(batch).await.expect("loaded"), count);
    // One was published and not noted, the other noted and its writer not settled.
    for (writer, notes) in [(proxy.writer(), false), (other.writer(), true)] {
        let calls = case.sink.open_calls(&case.origin(), writer).await.expect("calls");
        assert_eq!(calls.len(), 1);
        let event = unknown_event(&calls[0].frame, calls[0].session);
        case.tools()
            .publisher
            .audit(std::iter::once(event))
            .await
            .expect("acknowledged");
        if notes {
            case.sink.note_unknown(&case.origin(), &calls).await.expect("noted");
        }
    }
    let service = case.start();
    case.wait_for("SELECT count() FROM writers_v WHERE last_time > settled_time", 0)
        .await;
    service.stop().await;
    assert_eq!(case.number("SELECT count() FROM unknown_calls").await, 2);
    assert_eq!(case.number(UNKNOWN).await, 2);
    let expected = [(event_id(&proxy), 2), (event_id(&other), 1)].into();
    assert_eq!(published(&case).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_writer_died_between_its_parts_is_let_go_truncated() {
    let case = case().await;
    let mut proxy = Proxy::new();
    let exchange = Uuid::now_v7();
    proxy.request(exchange, "tools/call", "{}");
    proxy.answer_part(exchange, "tools/call", b"{\"result\":", 0, false);
    let count = proxy.sealed.len() as i64;
    case.publish(&proxy.records()).await;
    let service = case.start();
    case.wait_for("SELECT count() FROM frames WHERE truncated", 1).await;
    case.wait_for(UNKNOWN, 1).await;
    case.wait_for_commit(count).await;
    service.stop().await;
    assert_eq!(case.number("SELECT count() FROM frames").await, count);
}
