-- Records that the consumer could never read: retention removed them before it came to them.
CREATE TABLE IF NOT EXISTS gaps
(
    kafka_source LowCardinality(String) COMMENT 'Configured id of the cluster and topic.',
    kafka_topic LowCardinality(String) COMMENT 'Topic.',
    kafka_partition Int32 COMMENT 'Partition.',
    first_offset Int64 COMMENT 'First offset that is gone.',
    last_offset Int64 COMMENT 'Last offset that is gone.',
    reason LowCardinality(String) COMMENT 'Stable name: retention.',
    noticed DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When the consumer noticed.'
)
ENGINE = ReplacingMergeTree
ORDER BY (kafka_source, kafka_topic, kafka_partition, first_offset, reason)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Records that were gone before they could be loaded.';
