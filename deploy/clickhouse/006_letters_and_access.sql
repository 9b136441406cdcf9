-- Records that could not be read, and who looked at what.

-- Folded from `frames`: the stub row of such a record is what the loader writes, exactly once.
CREATE TABLE IF NOT EXISTS deadletters
(
    kafka_source LowCardinality(String) COMMENT 'Configured id of the cluster and topic',
    kafka_topic LowCardinality(String) COMMENT 'Topic of the record',
    kafka_partition Int32 COMMENT 'Partition of the record',
    kafka_offset Int64 COMMENT 'Offset of the record',
    kafka_time SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Timestamp of the record',
    reason SimpleAggregateFunction(max, String) COMMENT 'Stable name of what was wrong with it',
    size SimpleAggregateFunction(max, Int64) COMMENT 'Bytes of its value; nothing of the value is kept',
    session_id SimpleAggregateFunction(max, UUID) COMMENT 'The session in which its place is shown; zeros: none',
    retried SimpleAggregateFunction(max, DateTime64(6, 'UTC')) COMMENT 'When it was read again and loaded; 1970: it was not'
)
ENGINE = AggregatingMergeTree
ORDER BY (kafka_source, kafka_topic, kafka_partition, kafka_offset)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Records that are no frames; read them through the view deadletters_v';

-- fill: deadletters_from_frames
CREATE MATERIALIZED VIEW IF NOT EXISTS deadletters_from_frames TO deadletters AS
SELECT
    frames.kafka_source AS kafka_source,
    frames.kafka_topic AS kafka_topic,
    frames.kafka_partition AS kafka_partition,
    frames.kafka_offset AS kafka_offset,
    frames.kafka_time AS kafka_time,
    toString(frames.redaction_reason) AS reason,
    frames.payload_size AS size,
    frames.session_id AS session_id,
    fromUnixTimestamp64Micro(0, 'UTC') AS retried
FROM frames
WHERE frames.kind = 'undecodable';

-- Written by whoever shows recordings to people, before the answer leaves. Its database user may insert and select, and
-- must not be able to change or remove a row: users.d/tapedeck.xml has the rights.
CREATE TABLE IF NOT EXISTS access_log
(
    time DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When, by ClickHouse''s clock unless it was given' CODEC(Delta, ZSTD),
    id UUID DEFAULT generateUUIDv7() COMMENT 'Names the entry',
    issuer LowCardinality(String) COMMENT 'Who looked: iss of the verified token; empty for a database user',
    subject LowCardinality(String) COMMENT 'Who looked: sub of the verified token, or the name of the database user',
    name LowCardinality(String) COMMENT 'Their name',
    email LowCardinality(String) COMMENT 'Their e-mail address',
    role LowCardinality(String) COMMENT 'The right that was used: viewer, auditor, administrator, sql',
    action LowCardinality(String) COMMENT 'Stable name: view, search, replay, tail, export, approve, sign_in, sign_out, erase, hold, release, retry, sql',
    outcome LowCardinality(String) COMMENT 'allowed, refused, failed',
    reason String COMMENT 'Why it was refused or failed; or the reason that the person gave',
    tenant LowCardinality(String) COMMENT 'Tenant of what was looked at, where it is one',
    session_id UUID COMMENT 'The session that was looked at; zeros: none, or several',
    object String COMMENT 'What else was looked at: a call, a frame, a query, a file''s name',
    filter String COMMENT 'The question as asked, without secrets: filters as JSON, or the SQL statement' CODEC(ZSTD),
    rows UInt64 COMMENT 'Rows or frames that were shown',
    bytes UInt64 COMMENT 'Bytes that were sent',
    client_address LowCardinality(String) COMMENT 'Address that the question came from',
    user_agent LowCardinality(String) COMMENT 'User-Agent, or the program',
    request_id UUID COMMENT 'Names the request; of an SQL statement its query id where that is a UUID'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (time, id)
TTL toDateTime(time) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Who looked at what; only ever added to';
