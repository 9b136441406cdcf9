//! Several ways to ClickHouse, of which some end: what is loaded is loaded once, and what is ordered meanwhile is honoured.

use std::sync::Arc;
use std::time::Duration;

use tapedeck_config::ClickHouse;
use tapedeck_consumer::batch::{Batch, Loader, Tools};
use tapedeck_consumer::config::Config;
use tapedeck_consumer::erasure;
use tapedeck_consumer::metrics::Metrics;
use tapedeck_consumer::sink::{Fault, ServerClock, Sink};
use tapedeck_dev::clickhouse::ClickHouseKind;
use tapedeck_dev::folder::{Folder, Site};
use tapedeck_dev::progress::Quiet;
use tokio::net::TcpListener;

use crate::frames::Proxy;
use crate::front::{Authority, Cut, Front};
use crate::orders::{TRACES, request};
use crate::stack::{Case, wait_for_figure};
use crate::{OFFSETS, ROWS, read};

impl Case {
    /// The consumer's configuration with other ways to ClickHouse.
    fn by(&self, urls: &[&str], more: &str) -> Config {
        let text = format!(
            "[clickhouse]\nurl = {urls:?}\ndatabase = \"{}\"\n{more}\n",
            self.sink.database()
        );
        let read = |root: &tapedeck_config::Section<'_>| ClickHouse::read(&root.section("clickhouse")?);
        let clickhouse = tapedeck_config::read_text("test.toml", &text, read).expect("a right configuration");
        Config {
            clickhouse,
            ..self.config.clone()
        }
    }

    fn direct(&self) -> &str {
        self.config.clickhouse.url.as_str()
    }

    async fn front(&self) -> Front {
        Front::start(&self.config.clickhouse.url).await
    }

    /// A loader that goes this way, and knows what is in the table from `start` on.
    async fn loader_by(&self, config: &Config, start: i64) -> Loader {
        let sink = Sink::new(&config.clickhouse).expect("a way to ClickHouse");
        sink.reach().await.expect("reached");
        let clock = ServerClock::ask(&sink).await.expect("a clock");
        let loaded = sink.loaded(&self.origin(), start).await.expect("read back");
        let tools = Tools { sink, ..self.tools() };
        Loader::new(self.origin(), tools, clock, loaded)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_is_cut_anywhere_is_looked_for_and_lands_once() {
    let case = Case::new().await;
    let mut proxy = Proxy::new();
    let mut start = 0;
    // How often the other endpoint is sent the rows that the first was cut off with.
    for (cut, again) in [
        (Cut::BeforeHeaders, 1..=1),
        (Cut::InBody, 1..=1),
        // Nobody knows whether ClickHouse was quicker.
        (Cut::AfterBody, 0..=1),
        (Cut::BeforeAnswer, 0..=0),
    ] {
        proxy.calls(20);
        let (first, second) = (case.front().await, case.front().await);
        let config = case.by(&[first.url(), second.url()], "");
        let mut loader = case.loader_by(&config, start).await;
        first.cut(cut, 1);
        let records = proxy.records();
        let end = records.len() as i64;
        let batch = Batch {
            start,
            end,
            records: read(&records[start as usize..], start),
            reserved: case.budget.nothing(),
        };
        assert_eq!(loader.load(batch).await.expect("loaded"), end, "{cut:?}");
        first.has_cut(1).await;
        assert_eq!(first.inserts(), 1, "{cut:?}");
        assert!(again.contains(&second.inserts()), "{cut:?}: {}", second.inserts());
        assert_eq!(
            (case.number(ROWS).await, case.number(OFFSETS).await),
            (end, end),
            "{cut:?}"
        );
        start = end;
    }
    assert_eq!(
        case.number("SELECT max(calls) FROM sessions_v").await,
        80,
        "nothing is counted twice"
    );
    assert_eq!(case.number("SELECT count() FROM calls_v").await, 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_goes_on_at_another_endpoint_and_comes_back_to_one_that_was_away() {
    let case = Case::new().await;
    let (first, second) = (case.front().await, case.front().await);
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let away = format!("http://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    let service = case.start_with(case.by(&[&away, first.url(), second.url()], ""));
    let mut proxy = Proxy::new();
    proxy.calls(10);
    case.publish(&proxy.records()).await;
    let half = proxy.sealed.len() as i64;
    case.wait_for_commit(half).await;
    assert_eq!(case.number(ROWS).await, half);
    assert!(first.inserts() > 0 && second.inserts() == 0);

    first.close();
    proxy.calls(10);
    case.publish(&proxy.records()[half as usize..]).await;
    let count = proxy.sealed.len() as i64;
    case.wait_for_commit(count).await;
    service.stop().await;
    assert!(second.inserts() > 0);
    assert_eq!((case.number(ROWS).await, case.number(OFFSETS).await), (count, count));
    assert_eq!(case.number("SELECT max(calls) FROM sessions_v").await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_log_is_looked_at_while_nothing_can_be_inserted() {
    let mut case = Case::new().await;
    let front = case.front().await;
    case.config = case.by(&[front.url()], "");
    // Nothing is gathered beyond a few records, and the log's end is looked at twice a second.
    case.config.limits.rows = 1;
    case.config.silence = Duration::from_secs(2);
    front.cut(Cut::BeforeHeaders, usize::MAX);
    let metrics = Arc::new(Metrics::default());
    let service = case.start_measured(Arc::clone(&metrics));
    let mut proxy = Proxy::new();
    proxy.calls(5);
    case.publish(&proxy.records()).await;
    let first = proxy.sealed.len();
    front.has_cut(1).await;
    proxy.calls(5);
    case.publish(&proxy.records()[first..]).await;
    let count = proxy.sealed.len() as i64;
    let lag = |records: i64| format!("tapedeck_consumer_lag_records{{partition=\"0\"}} {records}");
    wait_for_figure(&metrics, &lag(count)).await;

    front.mend();
    case.wait_for_commit(count).await;
    wait_for_figure(&metrics, &lag(0)).await;
    service.stop().await;
    assert_eq!(case.number(ROWS).await, count);
    // One record each; what was let go with the silent writer is none.
    assert_eq!(metrics.batches.get(), count as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_accepts_and_never_answers_is_left_when_its_time_is_up() {
    let case = Case::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let times = "connect_timeout = \"100ms\"\nrequest_timeout = \"1s\"";
    let sink = Sink::new(&case.by(&[&url, case.direct()], times).clickhouse).expect("a way to ClickHouse");
    sink.reach().await.expect("reached");
    assert!(sink.is_up(Duration::from_secs(10)).await, "the other one is asked");

    let alone = Sink::new(&case.by(&[&url], times).clickhouse).expect("a way to ClickHouse");
    let error = ServerClock::ask(&alone).await.expect_err("nobody answers");
    assert_eq!(error.fault(), Fault::Elsewhere);
    assert_eq!(error.to_string(), "ClickHouse has not answered for 1 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_hold_different_tables_are_refused_before_anything_is_loaded() {
    let case = Case::new().await;
    let folder = Folder::open().expect("a folder for parts");
    let run = folder.run("test-endpoints").expect("a folder for this run");
    let site = Site {
        folder: &folder,
        run: &run,
        progress: &Quiet,
    };
    let kind = ClickHouseKind::choose().0;
    let other = tapedeck_dev::clickhouse::ClickHouse::start(kind, None, None, site).await;
    let other = other.expect("another ClickHouse");
    let foreign = Sink::new(&case.by(&[&other.url()], "").clickhouse).expect("a way to ClickHouse");
    tapedeck_consumer::migrate::migrate_database(foreign.client(), case.sink.database())
        .await
        .expect("the same tables, of another's");

    let front = case.front().await;
    let mut loader = case.loader_by(&case.by(&[front.url(), &other.url()], ""), 0).await;
    front.cut(Cut::BeforeHeaders, 1);
    let mut proxy = Proxy::new();
    proxy.calls(2);
    let records = proxy.records();
    let batch = Batch {
        start: 0,
        end: records.len() as i64,
        records: read(&records, 0),
        reserved: case.budget.nothing(),
    };
    let word = loader.load(batch).await.expect_err("it stops").to_string();
    assert!(
        word.contains("must be replicas of one table") && word.contains(&other.url()),
        "{word}"
    );
    let rows = foreign.client().query(ROWS).fetch_one::<u64>().await;
    assert_eq!((rows.expect("a number"), case.number(ROWS).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_the_authority_that_is_configured_and_with_no_other() {
    let case = Case::new().await;
    let (ours, theirs) = (Authority::new(), Authority::new());
    let front = Front::with_tls(&case.config.clickhouse.url, &ours).await;
    let folder = tempfile::tempdir().expect("a folder");
    let trusting = |name: &str, authority: &Authority| {
        let path = folder.path().join(name);
        std::fs::write(&path, authority.certificate()).expect("written");
        case.by(&[front.url()], &format!("ca_file = \"{}\"", path.display()))
    };
    let mut proxy = Proxy::new();
    proxy.calls(5);
    case.publish(&proxy.records()).await;
    let word = case.start_with(trusting("theirs.pem", &theirs)).word().await;
    assert!(word.contains("invalid peer certificate"), "{word}");
    assert_eq!(case.number(ROWS).await, 0);

    let service = case.start_with(trusting("ours.pem", &ours));
    let count = proxy.sealed.len() as i64;
    case.wait_for_commit(count).await;
    service.stop().await;
    assert_eq!(case.number(ROWS).await, count);
    assert!(front.inserts() > 0, "by TLS, and no other way");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_began_while_an_insert_was_refused_is_honoured_when_it_lands() {
    let case = Case::new().await;
    let front = case.front().await;
    let config = case.by(&[front.url()], "");
    let mut loader = case.loader_by(&config, 0).await;
    let mut proxy = Proxy::new();
    proxy.calls(5);
    let records = proxy.records();
    let count = records.len() as i64;
    // As long as Kafka has copies the erasure is to be honoured.
    case.publish(&records).await;
    let batch = Batch {
        start: 0,
        end: count,
        records: read(&records, 0),
        reserved: case.budget.nothing(),
    };
    // Rows are made, and refused until the erasure is over.
    front.cut(Cut::BeforeHeaders, usize::MAX);
    let loading = tokio::spawn(async move { loader.load(batch).await });
    front.has_cut(1).await;
    let receipt = erasure::erase(&case.config, &request()).await.expect("erased");
    assert_eq!(receipt.erased.frames, 0, "nothing was there yet");
    assert!(!loading.is_finished());
    front.mend();
    assert_eq!(loading.await.expect("no panic").expect("loaded"), count);

    assert_eq!((case.number(ROWS).await, case.number(OFFSETS).await), (count, count));
    assert_eq!(case.number(TRACES).await, 0, "nothing of the subject has landed");
    for table in ["sessions_v", "calls_v"] {
        assert_eq!(case.number(&format!("SELECT count() FROM {table}")).await, 0, "{table}");
    }
    let events = case.values(case.config.kafka.topics.audit()).await;
    assert!(events.is_empty(), "nor is anything told of it");
}
