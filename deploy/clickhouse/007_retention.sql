-- How long rows are kept, what holds them longer, and whose are erased.

CREATE TABLE IF NOT EXISTS retention_classes
(
    class LowCardinality(String) COMMENT 'Name, as in the column retention',
    days UInt32 COMMENT 'Days after a session''s start that its rows are kept',
    changed DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When migrate has set it'
)
ENGINE = ReplacingMergeTree(changed)
ORDER BY class
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What migrate has made of [retention] in the consumer''s configuration';

-- A hold names one of: a session, a subject, a tenant. It keeps what is there and what comes, until it is released.
CREATE TABLE IF NOT EXISTS holds
(
    hold_id UUID COMMENT 'Names the hold',
    tenant String COMMENT 'All of this tenant; empty: not by tenant',
    issuer String COMMENT 'With subject: all of this caller',
    subject String COMMENT 'With issuer: all of this caller; empty: not by caller',
    session_id UUID COMMENT 'All of this session; zeros: not by session',
    reason String COMMENT 'Why, as given',
    placed_by String COMMENT 'Who, as given',
    placed DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When',
    released DateTime64(6, 'UTC') DEFAULT fromUnixTimestamp64Micro(0, 'UTC') COMMENT 'When it was released; 1970: it holds',
    released_by String COMMENT 'Who released it'
)
ENGINE = ReplacingMergeTree(released)
ORDER BY hold_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Legal holds; the view active_holds has those that hold';

CREATE VIEW IF NOT EXISTS active_holds
(
    hold_id UUID COMMENT 'Names the hold',
    tenant String COMMENT 'All of this tenant; empty: not by tenant',
    issuer String COMMENT 'With subject: all of this caller',
    subject String COMMENT 'With issuer: all of this caller; empty: not by caller',
    session_id UUID COMMENT 'All of this session; zeros: not by session',
    reason String COMMENT 'Why, as given',
    placed_by String COMMENT 'Who, as given',
    placed DateTime64(6, 'UTC') COMMENT 'When'
)
AS SELECT
    hold_id,
    argMax(h.tenant, h.released) AS tenant,
    argMax(h.issuer, h.released) AS issuer,
    argMax(h.subject, h.released) AS subject,
    argMax(h.session_id, h.released) AS session_id,
    argMax(h.reason, h.released) AS reason,
    argMax(h.placed_by, h.released) AS placed_by,
    min(h.placed) AS placed
FROM holds AS h
GROUP BY hold_id
HAVING max(h.released) = fromUnixTimestamp64Micro(0, 'UTC');

-- What is held, copied from `frames`: retention does not reach it. The place of a record names a row, so copying twice is
-- as good as once.
CREATE TABLE IF NOT EXISTS frames_held AS frames
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(session_start)
ORDER BY (tenant, session_start, session_id, segment_id, seq, kafka_source, kafka_topic, kafka_partition, kafka_offset)
TTL toDateTime(session_start) RECOMPRESS CODEC(ZSTD(3))
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Frames under a legal hold, beyond their retention';

CREATE MATERIALIZED VIEW IF NOT EXISTS frames_held_from_frames TO frames_held AS
SELECT frames.*
FROM frames
WHERE frames.kind != 'undecodable' AND frames.redaction != 'erased'
    AND (
        toString(frames.tenant) IN (SELECT tenant FROM active_holds WHERE tenant != '')
        OR (toString(frames.issuer), toString(frames.subject)) IN (SELECT issuer, subject FROM active_holds WHERE subject != '')
        OR frames.session_id IN
            (SELECT session_id FROM active_holds WHERE session_id != toUUID('00000000-0000-0000-0000-000000000000')));

-- Tombstones. The loader erases what a tombstone names as it loads it, until no copy in Kafka can be loaded any more.
CREATE TABLE IF NOT EXISTS erasures
(
    erasure_id UUID COMMENT 'Names the erasure',
    tenant String COMMENT 'In this tenant only; empty: in all',
    issuer String COMMENT 'iss of the caller whose recordings are erased',
    subject String COMMENT 'sub of the caller whose recordings are erased',
    erased_before DateTime64(6, 'UTC') COMMENT 'What was recorded until then, by frame time',
    honoured_until DateTime64(6, 'UTC') COMMENT 'Until when a copy in Kafka may be loaded, and is erased as it is',
    reason String COMMENT 'Why, as given',
    requested_by String COMMENT 'Who, as given',
    requested DateTime64(6, 'UTC') COMMENT 'When',
    receipt String COMMENT 'The receipt, JSON; empty: the erasure has not come to its end',
    changed DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When this row was written'
)
ENGINE = ReplacingMergeTree(changed)
ORDER BY erasure_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Erasures of subjects, and their receipts';
