//! What operators watch.

use crate::rig::{Reply, Request, Rig, Target};
use crate::{RESULT, call};

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_watch_is_counted() {
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    let rig = Rig::new(target).await;
    let body = call(1, "counted");
    let (sent, answer) = (body.len(), rig.post(body).send().await);
    assert_eq!(answer.whole().await.expect("whole"), RESULT);
    let stranger = Request::new(rig.address(), "POST", "/demo/mcp").body(call(2, "counted"));
    assert_eq!(stranger.send().await.status, 401);

    let metrics = rig.metrics().await;
    let value = |name: &str| {
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.unwrap_or_else(|| panic!("{name} is not in:\n{metrics}"));
        value.parse::<f64>().expect("a number")
    };
    for (name, expected) in [
        (
            "tapedeck_proxy_requests_total{target=\"demo\",method=\"POST\",status=\"2xx\"}",
            1.0,
        ),
        (
            "tapedeck_proxy_requests_total{target=\"demo\",method=\"POST\",status=\"4xx\"}",
            1.0,
        ),
        ("tapedeck_proxy_refusals_total{reason=\"missing\"}", 1.0),
        ("tapedeck_proxy_streams", 0.0),
        ("tapedeck_recorder_spool_bytes", 0.0),
        ("tapedeck_recorder_ready", 1.0),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    let bytes = |direction: &str| {
        value(&format!(
            "tapedeck_proxy_body_bytes_total{{target=\"demo\",direction=\"{direction}\"}}"
        ))
    };
    assert_eq!(
        (bytes("to_target"), bytes("to_client")),
        (sent as f64, RESULT.len() as f64)
    );
    // The request and its answer have waited; an exchange that is over may be counted for a moment longer.
    assert!(value("tapedeck_recorder_durable_wait_seconds_count") >= 2.0);
    assert!(value("tapedeck_proxy_in_flight") <= 2.0);
    rig.running.stop().await.expect("a goodbye");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_may_be_ready_while_another_is_not() {
    // A topic of the test's broker has one copy.
    let other = "[[target]]\nname = \"careful\"\nurl = \"http://127.0.0.1:9/mcp\"\nallow_groups = [\"*\"]\n";
    let target = Target::start(|_| async { Reply::json(RESULT) }).await;
    let rig = Rig::unready(target, other).await;
    let admin = rig.running.admin_address();
    let asked = async |path: &str| {
        let answer = Request::new(admin, "GET", path).send().await;
        let (status, page) = (answer.status, answer.whole().await.expect("a page"));
        (status, String::from_utf8(page.to_vec()).expect("text"))
    };
    while asked("/readyz/demo").await.0 != 200 {}
    for path in ["/readyz", "/readyz/careful"] {
        let (status, why) = asked(path).await;
        assert_eq!(status, 503, "{path}");
        assert!(why.starts_with("target careful: "), "{why}");
    }
    assert_eq!(asked("/readyz/unknown").await.0, 404);
    rig.running.stop().await.expect("a goodbye");
}
