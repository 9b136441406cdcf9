-- Writers that went away without a goodbye, and the calls that they left open.
--
-- `frames` holds what was recorded and nothing else. What the consumer concludes from a writer's silence stands here, and
-- `calls_v` puts both together: a recorded end is worth more than a conclusion, whenever it comes.

CREATE TABLE IF NOT EXISTS writers
(
    kafka_source LowCardinality(String) COMMENT 'Configured id of the cluster and topic',
    kafka_topic LowCardinality(String) COMMENT 'Topic of its frames',
    kafka_partition Int32 COMMENT 'Partition: a writer has a row for each that it has written to',
    writer_id UUID COMMENT 'One boot of one proxy',
    first_time SimpleAggregateFunction(min, DateTime64(6, 'UTC')) COMMENT 'Time of its first frame',
    last_time SimpleAggregateFunction(max, DateTime64(6, 'UTC')) COMMENT 'Time of its latest frame',
    stopped SimpleAggregateFunction(max, UInt8) COMMENT '1: it said goodbye',
    settled_time SimpleAggregateFunction(max, DateTime64(6, 'UTC')) COMMENT 'What last_time was when its goodbye or its silence was acted on; 1970: never'
)
ENGINE = AggregatingMergeTree
ORDER BY (kafka_source, kafka_topic, kafka_partition, writer_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Writers; read them through the view writers_v';

CREATE MATERIALIZED VIEW IF NOT EXISTS writers_from_frames TO writers AS
SELECT
    kafka_source,
    kafka_topic,
    kafka_partition,
    writer_id,
    min(frames.time) AS first_time,
    max(frames.time) AS last_time,
    toUInt8(0) AS stopped,
    fromUnixTimestamp64Micro(0, 'UTC') AS settled_time
FROM frames
WHERE frames.kind != 'undecodable'
GROUP BY kafka_source, kafka_topic, kafka_partition, writer_id;

-- One row per call whose end nobody saw. The place of its request's frame names it, so saying it again changes nothing.
CREATE TABLE IF NOT EXISTS unknown_calls
(
    tenant LowCardinality(String) COMMENT 'Tenant of the caller',
    session_start DateTime64(3, 'UTC') COMMENT 'Start of the session',
    session_id UUID COMMENT 'The session',
    exchange_id UUID COMMENT 'The exchange of the request',
    segment_id UUID COMMENT 'Segment of the request''s frame',
    seq Int64 COMMENT 'Its number there',
    writer_id UUID COMMENT 'The writer that fell silent',
    direction LowCardinality(String) COMMENT 'to_target: the client asked; to_client: the target did',
    rpc_id String COMMENT 'JSON-RPC id as sent, as JSON text',
    kafka_source LowCardinality(String) COMMENT 'Configured id of the cluster and topic',
    kafka_topic LowCardinality(String) COMMENT 'Topic of the request',
    kafka_partition Int32 COMMENT 'Partition of the request',
    kafka_offset Int64 COMMENT 'Offset of the request',
    noticed DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When the consumer came to this conclusion',
    retention LowCardinality(String) DEFAULT 'standard' COMMENT 'Retention class of the request'
)
ENGINE = ReplacingMergeTree
PARTITION BY toMonday(session_start)
ORDER BY (tenant, session_start, session_id, exchange_id, direction, rpc_id, segment_id, seq)
TTL toDateTime(session_start) + INTERVAL 400 DAY
SETTINGS
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Calls that a writer left open when it went away without a goodbye; read them through the view calls_v';
