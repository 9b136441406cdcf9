//! All faults, one after the other.

use tapedeck_dev::broker::BrokerKind;

use super::stage::Stage;
use super::{Story, broker, clickhouse, consumer};

/// Does all that is done to consumers, brokers and ClickHouse, each so many times, and tells each story as it ends. With a
/// kind of broker only what that kind is needed for; what bears only Apache Kafka is on Apache Kafka.
///
/// # Errors
/// When a part does not start, or anything is lost or there twice.
pub async fn all(times: usize, only: Option<BrokerKind>) -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let mut told = Teller::default();
    for kind in [BrokerKind::Apache, BrokerKind::Embedded] {
        if only.is_some_and(|only| only != kind) {
            continue;
        }
        told.tell(consumer::killed(&stage, kind, &format!("consumer_{}", prefix(kind)), times).await?)?;
        told.tell(broker::killed(&stage, kind, &format!("broker_{}", prefix(kind)), times).await?)?;
    }
    if only != Some(BrokerKind::Embedded) {
        told.tell(consumer::rebalanced(&stage, "rebalanced", times).await?)?;
        told.tell(consumer::resumed(&stage, "resumed", times).await?)?;
        told.tell(clickhouse::killed(&stage, "clickhouse", times).await?)?;
        told.tell(clickhouse::hampered(&stage, "hampered", times).await?)?;
        told.tell(broker::away_from_killed_proxies(&stage, "away", times).await?)?;
    }
    told.end()
}

fn prefix(kind: BrokerKind) -> &'static str {
    match kind {
        BrokerKind::Apache => "apache",
        BrokerKind::Embedded => "embedded",
    }
}

#[derive(Default)]
struct Teller {
    stories: usize,
    calls: usize,
}

impl Teller {
    fn tell(&mut self, story: Story) -> std::io::Result<()> {
        self.stories += 1;
        self.calls += story.calls;
        story.tell()
    }

    fn end(self) -> anyhow::Result<()> {
        let Self { stories, calls } = self;
        Story {
            title: format!("{stories} faults: 0 lost, 0 twice"),
            times: Vec::new(),
            calls,
        }
        .tell()?;
        Ok(())
    }
}
