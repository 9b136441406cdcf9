-- Dead letters that somebody wants read again. Who asks adds a row, whoever owns the partition adds another with what became
-- of it. The stub row in `frames` stays: that the record could not be read at first is a part of what happened.
CREATE TABLE IF NOT EXISTS deadletter_retries
(
    kafka_source LowCardinality(String) COMMENT 'Configured id of the cluster and topic',
    kafka_topic LowCardinality(String) COMMENT 'Topic of the record',
    kafka_partition Int32 COMMENT 'Partition of the record',
    kafka_offset Int64 COMMENT 'Offset of the record',
    requested DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was asked for',
    requested_by String COMMENT 'Who asked, as given',
    outcome LowCardinality(String) COMMENT 'Empty: not yet. loaded: there is a row of it now; duplicate: the same frame had been loaded from elsewhere; gone: retention has removed the record; otherwise why it still cannot be read',
    changed DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When this row was written'
)
ENGINE = ReplacingMergeTree(changed)
ORDER BY (kafka_source, kafka_topic, kafka_partition, kafka_offset, requested)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Retries of dead letters; the view deadletters_v has what became of them';

CREATE OR REPLACE VIEW retries_v
(
    kafka_source LowCardinality(String) COMMENT 'Configured id of the cluster and topic',
    kafka_topic LowCardinality(String) COMMENT 'Topic of the record',
    kafka_partition Int32 COMMENT 'Partition of the record',
    kafka_offset Int64 COMMENT 'Offset of the record',
    requested DateTime64(6, 'UTC') COMMENT 'When it was asked for',
    requested_by String COMMENT 'Who asked, as given',
    outcome String COMMENT 'Empty: not yet. loaded, duplicate, gone; otherwise why it still cannot be read',
    changed DateTime64(6, 'UTC') COMMENT 'When that was written'
)
AS SELECT
    r.kafka_source AS kafka_source,
    r.kafka_topic AS kafka_topic,
    r.kafka_partition AS kafka_partition,
    r.kafka_offset AS kafka_offset,
    r.requested AS requested,
    any(r.requested_by) AS requested_by,
    toString(argMax(r.outcome, r.changed)) AS outcome,
    max(r.changed) AS changed
FROM deadletter_retries AS r
GROUP BY r.kafka_source, r.kafka_topic, r.kafka_partition, r.kafka_offset, r.requested;
