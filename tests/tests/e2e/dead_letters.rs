//! A record that cannot be read stops nothing, and shows as a gap.

use std::time::Duration;

use anyhow::{Result, anyhow};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::json;
use tapedeck_tests::{Deck, parts, run, target};

#[test]
fn a_record_that_is_no_frame_is_a_dead_letter_and_a_stub_and_loading_goes_on() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        let mut client = deck.client("probe", "alice").await?;
        client.initialize().await?;
        deck.settled().await?;
        let key = tapedeck_tests::oracle::topic::frames(&deck.kafka.brokers, &deck.kafka.frames())
            .await?
            .0[0]
            .key
            .clone();

        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &deck.kafka.brokers)
            .create()?;
        let garbage = b"canary-of-the-dead-letter, which is no frame at all".to_vec();
        let frames = deck.kafka.frames();
        let record = FutureRecord::to(&frames).key(&key).payload(&garbage);
        let sent = producer
            .send(record, Duration::from_secs(30))
            .await
            .map_err(|(error, _)| anyhow!(error))?;
        client.call("echo", json!({ "text": "life goes on" })).await?;

        let logs = deck.logs()?;
        let tape = deck.finish().await?;
        let [letter] = &tape.letters[..] else {
            panic!("one letter: {:?}", tape.letters)
        };
        assert_eq!(letter.topic, frames);
        assert_eq!((letter.partition, letter.offset), (sent.partition, sent.offset));
        assert_eq!(letter.size, garbage.len() as i64);
        assert!(!letter.reason.is_empty());
        let stub: Vec<_> = tape.rows.iter().filter(|row| row.verdict == "undecodable").collect();
        let [stub] = stub[..] else { panic!("one stub: {stub:?}") };
        assert_eq!(stub.place(), (sent.partition, sent.offset));
        assert_eq!(
            (stub.kind.as_str(), stub.payload_size),
            ("undecodable", garbage.len() as i64)
        );
        assert!(tape.rows.iter().any(|row| row.text().contains("life goes on")));

        let canary = b"canary-of-the-dead-letter";
        let holds = |bytes: &[u8]| bytes.windows(canary.len()).any(|window| window == canary);
        assert!(
            tape.undecodable.iter().any(|record| holds(&record.value)),
            "or nobody would find it anywhere"
        );
        assert!(!tape.letter_records.iter().any(|record| holds(&record.value)));
        assert!(!holds(logs.as_bytes()) && !tape.rows.iter().any(|row| holds(format!("{row:?}").as_bytes())));
        Ok(())
    })
}
