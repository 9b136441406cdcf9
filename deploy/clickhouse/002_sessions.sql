-- One row per session, folded from `frames` as they are inserted.
--
-- Every state is idempotent (min, max, any, a set): rows that are aggregated twice change nothing, so a crash between
-- a part of `frames` and this view's part is mended by aggregating the same rows again. Totals come from counters that
-- the loader keeps per session and writes on each frame; a total is their maximum, never a sum.
--
-- Lists are asked for in two steps: first the places (session_start, session_id) of as many rows as are wanted, in the
-- table's order, which stops early; then these sessions, whole. What the first step reads is cheap to read throughout
-- (hashes of callers and names), and filters skip granules in which a caller or a tool does not occur.

CREATE TABLE IF NOT EXISTS sessions
(
    tenant LowCardinality(String) COMMENT 'Tenant of the caller',
    session_start DateTime64(6, 'UTC') COMMENT 'Start of the session, as its id carries it: never changes',
    session_id UUID COMMENT 'Exchange id of the first frame of the session',
    target SimpleAggregateFunction(any, LowCardinality(String)) COMMENT 'Name of the MCP server',
    issuer SimpleAggregateFunction(max, String) COMMENT 'iss of the token; empty without a principal',
    subject SimpleAggregateFunction(max, String) COMMENT 'sub of the token; empty without a principal',
    principal_name SimpleAggregateFunction(max, String) COMMENT 'Name of the caller',
    principal_email SimpleAggregateFunction(max, String) COMMENT 'E-mail address of the caller',
    client_id SimpleAggregateFunction(max, String) COMMENT 'OAuth client id',
    client_addresses SimpleAggregateFunction(groupUniqArrayArray, Array(String)) COMMENT 'Addresses the client came from',
    client_name SimpleAggregateFunction(max, String) COMMENT 'clientInfo.name: a claim of the client, not verified',
    revision SimpleAggregateFunction(max, String) COMMENT 'MCP revision',
    last_time SimpleAggregateFunction(max, DateTime64(6, 'UTC')) COMMENT 'Time of the latest frame',
    frames SimpleAggregateFunction(max, UInt64) COMMENT 'Frames so far',
    calls SimpleAggregateFunction(max, UInt64) COMMENT 'JSON-RPC requests to the target so far',
    errors SimpleAggregateFunction(max, UInt64) COMMENT 'Error answers, isError results, refusals and exchanges that ended badly, so far',
    bytes SimpleAggregateFunction(max, UInt64) COMMENT 'Payload bytes both ways so far',
    names SimpleAggregateFunction(groupUniqArrayArray, Array(String)) COMMENT 'Tools, prompts and resources used',
    caller_hashes SimpleAggregateFunction(groupUniqArrayArray, Array(UInt64)) COMMENT 'cityHash64 of subject, principal_name and principal_email: what filters read',
    name_hashes SimpleAggregateFunction(groupUniqArrayArray, Array(UInt64)) COMMENT 'cityHash64 of each of names: what filters read',
    shared SimpleAggregateFunction(max, UInt8) COMMENT '1: several clients could not be told apart',
    -- The class leads the partitions of frames. Sessions are small: expired rows leave them as parts are merged.
    retention SimpleAggregateFunction(max, String) DEFAULT 'standard' COMMENT 'Retention class',
    INDEX callers caller_hashes TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX tools name_hashes TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(session_start)
ORDER BY (session_start, session_id, tenant)
SETTINGS
    -- Sessions of a page may be anywhere: each costs a granule.
    index_granularity = 1024,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Sessions; read them through the view sessions_v';

CREATE MATERIALIZED VIEW IF NOT EXISTS sessions_from_frames TO sessions AS
SELECT
    tenant,
    session_start,
    session_id,
    any(frames.target) AS target,
    max(frames.issuer) AS issuer,
    max(frames.subject) AS subject,
    max(frames.principal_name) AS principal_name,
    max(frames.principal_email) AS principal_email,
    max(frames.client_id) AS client_id,
    groupUniqArrayArray([toString(frames.client_address)]) AS client_addresses,
    max(frames.claimed_name) AS client_name,
    max(frames.revision) AS revision,
    max(frames.time) AS last_time,
    max(frames.session_seq) AS frames,
    max(frames.session_calls) AS calls,
    max(frames.session_errors) AS errors,
    max(frames.session_bytes) AS bytes,
    groupUniqArrayArray(if(frames.rpc_name = '', [], [toString(frames.rpc_name)])) AS names,
    arrayMap(caller -> cityHash64(caller), arrayDistinct(arrayFilter(caller -> caller != '', [
        toString(max(frames.subject)), toString(max(frames.principal_name)), toString(max(frames.principal_email))]))) AS caller_hashes,
    arrayMap(name -> cityHash64(name), groupUniqArrayArray(if(frames.rpc_name = '', [], [toString(frames.rpc_name)]))) AS name_hashes,
    max(frames.session_shared) AS shared,
    max(toString(frames.retention)) AS retention
FROM frames
-- The stub of a record that is no frame knows neither tenant nor target: it is in `frames` only. Of what was erased nothing
-- is aggregated again.
WHERE session_id != toUUID('00000000-0000-0000-0000-000000000000') AND frames.kind != 'undecodable'
    AND frames.redaction != 'erased'
GROUP BY tenant, session_start, session_id;
