//! Whether the log is still the one that was read before.
//!
//! A client that reads on from an offset is not told that the topic was deleted and created again: once the new log is
//! longer than that offset it gets records of the new one, as if they followed (librdkafka 2.12 notes it as an open point
//! in `rd_kafka_topic_metadata_update`). So a second look is taken at the record before each batch, after the batch was
//! read: if the log is another one by then, that record is another one, or gone.

use tapedeck_schemas::Digest;

use crate::partition::Partition;
use crate::record::Record;
use crate::source::Source;
use crate::stop::Stop;

/// Remembers the last record, and looks whether it is still in its place.
pub(crate) struct Witness {
    source: Source,
    /// Offset and hash of the last record before what comes next; `None` while there is none.
    pub(crate) last: Option<(i64, Digest)>,
}

impl Witness {
    /// A client of its own, so that the reader's position and what it has fetched ahead stay.
    pub(crate) fn new(partition: &Partition, last: Option<(i64, Digest)>) -> Result<Self, Stop> {
        let Partition {
            kafka,
            group,
            origin,
            schemas,
            ..
        } = partition;
        let source = Source::new(kafka.clone(), group, &origin.topic, origin.partition, 0).map_err(Stop::Kafka)?;
        let source = source.with_schemas(schemas.clone());
        Ok(Self { source, last })
    }

    /// The record of an offset; `None` where the log does not have it any more.
    pub(crate) async fn look_up(&mut self, offset: i64) -> Result<Option<Record>, Stop> {
        self.source.go_to(offset).map_err(Stop::Kafka)?;
        let found = loop {
            match self.source.next().await? {
                Some(record) => break Some(record).filter(|record| record.offset == offset),
                None => {
                    let (first, end) = self.source.ends_at_last().await?;
                    if first > offset || end <= offset {
                        break None;
                    }
                    self.source.go_to(offset).map_err(Stop::Kafka)?;
                }
            }
        };
        self.source.rest().map_err(Stop::Kafka)?;
        Ok(found)
    }

    /// The last record must still be itself, where it is still in the log.
    pub(crate) async fn testify(&mut self, partition: &Partition) -> Result<(), Stop> {
        let Some((offset, hash)) = self.last else {
            return Ok(());
        };
        let origin = &partition.origin;
        self.source.go_to(offset).map_err(Stop::Kafka)?;
        loop {
            match self.source.next().await? {
                // What an earlier version could not decode left the hash of its stub.
                Some(record)
                    if record.offset == offset && (record.hash(origin) == hash || record.stub_hash(origin) == hash) =>
                {
                    break;
                }
                Some(_) => return Err(Stop::recreated(origin, offset)),
                None => {
                    let (first, end) = self.source.ends_at_last().await?;
                    if end <= offset {
                        return Err(partition.shorter(end, offset + 1));
                    }
                    if first > offset {
                        break;
                    }
                    self.source.go_to(offset).map_err(Stop::Kafka)?;
                }
            }
        }
        self.source.rest().map_err(Stop::Kafka)
    }
}
