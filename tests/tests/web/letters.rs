//! A record that cannot be read, written to the topic by somebody who should not have.

use std::time::Duration;

use anyhow::{Result, anyhow};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::json;
use tapedeck_tests::{run, until};

use crate::browser::play_with;
use crate::stage::Stage;

/// Who wants it read again: anybody may write anything there.
const WHO: &str = "<img src=x onerror=window.__broken=6>";

#[test]
fn a_dead_letter_is_found_and_shown_with_every_attempt_to_read_it_again() -> Result<()> {
    run(async {
        let deck = &Stage::get().await?.deck;
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &deck.kafka.brokers)
            .create()?;
        let topic = deck.kafka.frames();
        let record = FutureRecord::<(), [u8]>::to(&topic)
            .partition(0)
            .payload(b"no frame at all");
        let sent = producer.send(record, Duration::from_secs(30)).await;
        let sent = sent.map_err(|(error, _)| anyhow!(error))?;
        let place = format!("{topic}/{}/{}", sent.partition, sent.offset);
        // What the command line says of it; as long as that lacks something, what it lacks.
        let shown = async |wanted: fn(&str) -> bool| {
            Ok(match deck.console(&["deadletters", "show", &place]).await {
                Ok(shown) if shown.lines().any(wanted) => Ok(()),
                Ok(shown) => Err(shown),
                Err(missing) => Err(format!("{missing:#}")),
            })
        };
        until(async || shown(|line| line.starts_with("reason")).await).await?;
        deck.console(&["deadletters", "retry", &place, "--by", WHO]).await?;
        // It was read again, and is no better for it.
        until(async || shown(|line| line.starts_with("retry") && !line.contains("waits")).await).await?;
        let about = json!({ "topic": topic, "place": place, "who": WHO });
        play_with("letters", about).await
    })
}
