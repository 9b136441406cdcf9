//! Publishing goes on after a broker was killed.

use std::time::Duration;

use tapedeck_consumer::publish::{Publisher, Topics};
use tapedeck_dev::broker::{Broker, BrokerKind};
use tapedeck_dev::folder::{Folder, Site};
use tapedeck_dev::progress::Quiet;
use tapedeck_schemas::DeadLetter;

use crate::stack::create_dead_letter_topic;

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_timed_out_goes_on_when_the_broker_is_back() {
    let folder = Folder::open().expect("a folder for parts");
    let run = folder.run("test-publisher").expect("a folder for this run");
    let site = Site {
        folder: &folder,
        run: &run,
        progress: &Quiet,
    };
    let broker = Broker::start(BrokerKind::choose().0, None, site)
        .await
        .expect("a broker");
    let kafka = create_dead_letter_topic(&broker.bootstrap()).await;
    let topics = Topics {
        audit: "none".to_owned(),
        dead_letter: "letters".to_owned(),
        ..Topics::default()
    };
    let publisher = Publisher::new(kafka, topics, Duration::from_secs(2)).expect("a producer");
    let letter = [DeadLetter {
        source: "main".to_owned(),
        topic: "frames".to_owned(),
        partition: 0,
        offset: 17,
        time: 0,
        reason: "no_header".to_owned(),
        detail: "no key".to_owned(),
        size: 0,
        consumer_version: "0".to_owned(),
    }];
    publisher.dead_letters(&letter).await.expect("delivered");
    for _ in 0..2 {
        broker.kill();
        publisher.dead_letters(&letter).await.expect_err("nobody is there");
        broker.restart().await.expect("it comes back");
        // As the loader does: until it is acknowledged.
        let again = async { while publisher.dead_letters(&letter).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(60), again)
            .await
            .expect("the producer that failed is not used again");
    }
    broker.stop().await;
}
