-- One row per call: a JSON-RPC request and its answer, wherever the answer came.
--
-- A materialized view writes what each frame says of a call; rows of one call are folded when parts are merged and when
-- they are read. Every state is idempotent (max, a set), so rows that are aggregated twice change nothing, and the whole
-- table can be made again from `frames` (and `unknown_calls`) at any time. What a frame alone does not say, the loader has
-- written on it: which exchange's request it answers, and which other calls it ends.

CREATE TABLE IF NOT EXISTS calls
(
    retention LowCardinality(String) COMMENT 'Retention class',
    tenant LowCardinality(String) COMMENT 'Tenant of the caller',
    session_start DateTime64(3, 'UTC') COMMENT 'Start of the session' CODEC(Delta, Default),
    session_id UUID COMMENT 'The session',
    called DateTime64(3, 'UTC') COMMENT 'When the exchange of the request began, as its id carries it: never changes' CODEC(Delta, Default),
    exchange_id UUID COMMENT 'The exchange of the request',
    direction LowCardinality(String) COMMENT 'to_target: the client asked; to_client: the target did',
    rpc_id String COMMENT 'JSON-RPC id as sent, as JSON text',
    target SimpleAggregateFunction(max, String) COMMENT 'The MCP server''s configured name',
    issuer SimpleAggregateFunction(max, String) COMMENT 'The verified caller''s iss',
    subject SimpleAggregateFunction(max, String) COMMENT 'The verified caller''s sub',
    principal_name SimpleAggregateFunction(max, String) COMMENT 'The caller''s name',
    principal_email SimpleAggregateFunction(max, String) COMMENT 'The caller''s e-mail address',
    client_id SimpleAggregateFunction(max, String) COMMENT 'OAuth client id',
    client_address SimpleAggregateFunction(max, String) COMMENT 'Address that the client came from',
    method SimpleAggregateFunction(max, String) COMMENT 'JSON-RPC method',
    name SimpleAggregateFunction(max, String) COMMENT 'Tool, prompt or resource URI',
    traceparent SimpleAggregateFunction(max, String) COMMENT 'W3C Trace Context',
    rule SimpleAggregateFunction(max, String) COMMENT 'Rule of the proxy that refused or ended it',
    requested SimpleAggregateFunction(max, DateTime64(6, 'UTC')) COMMENT 'When the request was whole; 1970: no request is on record' CODEC(Delta, Default),
    answered SimpleAggregateFunction(max, DateTime64(6, 'UTC')) COMMENT 'When its answer was whole; 1970: none is on record' CODEC(Delta, Default),
    ended SimpleAggregateFunction(max, DateTime64(6, 'UTC')) COMMENT 'When its exchange ended; 1970: no end is on record' CODEC(Delta, Default),
    end_rank SimpleAggregateFunction(max, UInt64) COMMENT '16 × the writer_seq of the exchange''s end, plus its code (1 answered, 2 accepted, 3 refused, 4 not_forwarded, 5 cancelled, 6 upstream_lost, 7 aborted, 8 any other): of several ends the one with the highest writer_seq counts' CODEC(T64, Default),
    answer_end SimpleAggregateFunction(max, UInt64) COMMENT 'writer_seq of the last frame of the answer''s body, where that frame ended the exchange' CODEC(T64, Default),
    answer SimpleAggregateFunction(max, UInt8) COMMENT '0 none, 1 a result, 2 a result that says isError, 3 a JSON-RPC error',
    error_codes SimpleAggregateFunction(groupUniqArrayArray, Array(Int64)) COMMENT 'error.code of its answer',
    http_status SimpleAggregateFunction(max, Int32) COMMENT 'HTTP status of the exchange; 0 for none' CODEC(T64, Default),
    request_bytes SimpleAggregateFunction(max, Int64) COMMENT 'Payload bytes of the request; 0 for one of a batch' CODEC(T64, Default),
    answer_bytes SimpleAggregateFunction(max, Int64) COMMENT 'Payload bytes of the answer; 0 for one of a batch' CODEC(T64, Default),
    failed SimpleAggregateFunction(max, UInt8) COMMENT '1: an error, an HTTP status from 400 on, or a bad end was seen. A first sieve: calls_v.outcome decides',
    unknown SimpleAggregateFunction(max, UInt8) COMMENT '1: its writer went away without a goodbye before any end was recorded',
    INDEX subjects subject TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX emails principal_email TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX names name TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX targets target TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX failures failed TYPE set(2) GRANULARITY 1,
    INDEX sessions session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX exchanges exchange_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = AggregatingMergeTree
PARTITION BY (retention, toMonday(session_start))
ORDER BY (called, exchange_id, direction, rpc_id, session_id, session_start, tenant, retention)
TTL toDateTime(session_start) + INTERVAL 400 DAY,
    toDateTime(session_start) RECOMPRESS CODEC(ZSTD)
SETTINGS
    index_granularity = 2048,
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Calls; read them through the view calls_v';

-- fill: calls_from_frames
CREATE MATERIALIZED VIEW IF NOT EXISTS calls_from_frames TO calls AS
WITH
    toUUID('00000000-0000-0000-0000-000000000000') AS no_exchange,
    fromUnixTimestamp64Micro(0, 'UTC') AS never,
    frames.kind IN ('message', 'refused') AND frames.rpc_kind = 'request' AS asks,
    -- The proxy writes the method on what answers a request of the same exchange.
    frames.kind = 'message' AND frames.rpc_kind IN ('response', 'error')
        AND (frames.answers_exchange != no_exchange OR (frames.direction = 'to_client' AND frames.rpc_method != '')) AS replies,
    frames.rpc_id != '' AND (asks OR replies OR (frames.kind = 'exchange_end' AND frames.rpc_method != '')) AS is_named,
    concat(
        multiIf(
            frames.rpc_kind = 'request', if(frames.direction = 'to_client', '<', '>'),
            frames.rpc_kind IN ('response', 'error'), if(frames.direction = 'to_client', '>', '<'),
            '>'),
        frames.rpc_id) AS own,
    is_named AND a_call = own AS is_own,
    if(is_own AND replies, if(frames.answers_exchange != no_exchange, frames.answers_exchange, frames.exchange_id), frames.exchange_id) AS of_exchange,
    asks AND is_own AS is_request,
    -- An error without an id is about the message as a whole: it answers all that the client asked with it.
    replies AND (is_own OR (frames.rpc_id = '' AND startsWith(a_call, '>'))) AS is_answer,
    frames.ended != '' AND of_exchange = frames.exchange_id AS is_end,
    transform(
        toString(frames.ended),
        ['answered', 'accepted', 'refused', 'not_forwarded', 'cancelled', 'upstream_lost', 'aborted'],
        [1, 2, 3, 4, 5, 6, 7],
        8) AS end_code,
    if(frames.message_size != 0, frames.message_size, frames.payload_size) AS size,
    toUInt64(greatest(frames.writer_seq, 0)) AS place
SELECT
    frames.retention AS retention,
    frames.tenant AS tenant,
    frames.session_start AS session_start,
    frames.session_id AS session_id,
    least(toDateTime64(UUIDv7ToDateTime(of_exchange, 'UTC'), 3, 'UTC'), toDateTime64('2100-01-01 00:00:00', 3, 'UTC')) AS called,
    of_exchange AS exchange_id,
    if(startsWith(a_call, '<'), 'to_client', 'to_target') AS direction,
    substring(a_call, 2) AS rpc_id,
    toString(frames.target) AS target,
    toString(frames.issuer) AS issuer,
    toString(frames.subject) AS subject,
    toString(frames.principal_name) AS principal_name,
    toString(frames.principal_email) AS principal_email,
    toString(frames.client_id) AS client_id,
    toString(frames.client_address) AS client_address,
    if(is_own OR frames.rpc_id = '', toString(frames.rpc_method), '') AS method,
    if(is_own OR frames.rpc_id = '', toString(frames.rpc_name), '') AS name,
    frames.traceparent AS traceparent,
    toString(frames.decision_rule) AS rule,
    if(is_request, frames.time, never) AS requested,
    if(is_answer, frames.time, never) AS answered,
    if(is_end, frames.time, never) AS ended,
    if(is_end, place * 16 + end_code, 0) AS end_rank,
    if(is_end AND frames.kind = 'message', place, 0) AS answer_end,
    if(is_answer, multiIf(frames.rpc_kind = 'error', 3, frames.rpc_is_error, 2, 1), 0) AS answer,
    if(is_answer AND frames.rpc_kind = 'error', [frames.rpc_error_code], []) AS error_codes,
    if(of_exchange = frames.exchange_id, frames.http_status, 0) AS http_status,
    if(is_request, size, 0) AS request_bytes,
    if(is_answer, size, 0) AS answer_bytes,
    (is_answer AND (frames.rpc_kind = 'error' OR frames.rpc_is_error))
        OR (is_end AND end_code > 2)
        OR (of_exchange = frames.exchange_id AND frames.http_status >= 400) AS failed,
    0 AS unknown
FROM frames
ARRAY JOIN arrayDistinct(arrayConcat(if(is_named, [own], []), frames.concerns)) AS a_call
-- Of what was erased nothing is aggregated again.
WHERE frames.kind IN ('message', 'refused', 'exchange_end') AND frames.redaction != 'erased'
    AND (asks OR replies OR frames.ended != '');
