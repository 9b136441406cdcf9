//! When frames are refused, and why.

use prometheus_client::registry::Registry;
use tapedeck_proxy::record::{
    Copies, MESSAGE_TIMEOUT, NotReady, NotRecorded, OWN_OPTIONS, Recorder, StartError, TopicRole,
};

use crate::kafka::{Cluster, RUNTIME, message, shared};

#[test]
fn a_topic_with_a_single_copy_is_refused_unless_the_target_allows_it() {
    RUNTIME.block_on(async {
        let cluster = shared().await;
        let topics = cluster.topics().await;
        let recorder = cluster.recorder(&topics, MESSAGE_TIMEOUT);
        recorder.until_ready(Copies::One).await.expect("ready");
        let single = NotReady::SingleCopy(TopicRole::Frames);
        assert_eq!(recorder.ready(Copies::AtLeastTwo), Err(single));
        let refused = recorder.record(message(&recorder, "careful", ""), Copies::AtLeastTwo);
        assert_eq!(refused.err(), Some(NotRecorded::NotReady(single)));
    });
}

#[test]
fn a_topic_that_is_missing_is_not_created_and_is_found_once_it_exists() {
    RUNTIME.block_on(async {
        let cluster = shared().await;
        let topics = Cluster::names();
        let recorder = cluster.recorder(&topics, MESSAGE_TIMEOUT);
        let missing = NotReady::NoTopic(TopicRole::Frames);
        assert_eq!(recorder.first_look(Copies::One).await, Err(missing));
        cluster.create(&topics).await;
        recorder.until_ready(Copies::One).await.expect("ready");
    });
}

#[test]
fn options_that_carry_the_promise_or_that_nobody_knows_do_not_start() {
    RUNTIME.block_on(async {
        let cluster = shared().await;
        let start = |name: &str| {
            let mut settings = cluster.settings(&Cluster::names(), MESSAGE_TIMEOUT);
            settings.options.0.insert(name.to_owned(), "1".to_owned());
            Recorder::start(settings, &mut Registry::default()).map(drop)
        };
        for name in OWN_OPTIONS {
            assert!(matches!(start(name), Err(StartError::OwnOption(refused)) if refused == *name));
        }
        assert!(matches!(start("no.such.option"), Err(StartError::Client(_))));
        start("socket.keepalive.enable").expect("an ordinary option");
    });
}
