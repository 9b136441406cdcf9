//! Whoever is killed: consumer, broker, ClickHouse, a proxy with a spool. What is done to them is in the library, since
//! `cargo measure faults` does more of it.

use tapedeck_dev::broker::BrokerKind;
use tapedeck_tests::faults::stage::on_stage;
use tapedeck_tests::faults::{broker, clickhouse, consumer};

#[test]
fn killed_in_every_window_the_consumer_loads_each_call_once_from_apache_kafka() -> anyhow::Result<()> {
    on_stage(async |stage| {
        Ok(
            consumer::killed(stage, BrokerKind::Apache, "consumer_killed_apache", 20)
                .await?
                .tell()?,
        )
    })
}

#[test]
fn killed_in_every_window_the_consumer_loads_each_call_once_from_the_embedded_broker() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let story = consumer::killed(stage, BrokerKind::Embedded, "consumer_killed_embedded", 20).await?;
        Ok(story.tell()?)
    })
}

#[test]
fn killing_apache_kafka_loses_no_call_that_a_client_saw_answered() -> anyhow::Result<()> {
    on_stage(async |stage| {
        Ok(broker::killed(stage, BrokerKind::Apache, "broker_killed_apache", 5)
            .await?
            .tell()?)
    })
}

#[test]
fn killing_the_embedded_broker_loses_no_call_that_a_client_saw_answered() -> anyhow::Result<()> {
    on_stage(async |stage| {
        Ok(broker::killed(stage, BrokerKind::Embedded, "broker_killed_embedded", 5)
            .await?
            .tell()?)
    })
}

#[test]
fn killing_clickhouse_neither_loses_nor_doubles_a_frame() -> anyhow::Result<()> {
    on_stage(async |stage| Ok(clickhouse::killed(stage, "clickhouse_killed", 5).await?.tell()?))
}

#[test]
fn a_proxy_that_is_killed_under_calls_with_a_spool_loses_none() -> anyhow::Result<()> {
    on_stage(async |stage| {
        Ok(broker::away_from_killed_proxies(stage, "away_killed", 2)
            .await?
            .tell()?)
    })
}
