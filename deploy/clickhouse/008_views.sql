-- The views that users may query. Their names and columns stay; columns may be added at the end, by replacing a view in a later
-- file.

CREATE OR REPLACE VIEW sessions_v
(
    tenant LowCardinality(String) COMMENT 'Tenant of the caller',
    session_start DateTime64(6, 'UTC') COMMENT 'Start of the session, as its id carries it: never changes',
    session_id UUID COMMENT 'Exchange id of the first frame of the session',
    target String COMMENT 'Name of the MCP server',
    issuer String COMMENT 'iss of the token; empty without a principal',
    subject String COMMENT 'sub of the token; empty without a principal',
    principal_name String COMMENT 'Name of the caller',
    principal_email String COMMENT 'E-mail address of the caller',
    client_id String COMMENT 'OAuth client id',
    client_addresses Array(String) COMMENT 'Addresses the client came from',
    client_name String COMMENT 'clientInfo.name: a claim of the client, not verified',
    revision String COMMENT 'MCP revision',
    last_time DateTime64(6, 'UTC') COMMENT 'Time of the latest frame',
    frames UInt64 COMMENT 'Frames so far',
    calls UInt64 COMMENT 'JSON-RPC requests to the target so far; refused ones never reached it and are not counted',
    errors UInt64 COMMENT 'Error answers, isError results, refusals and exchanges that ended badly, so far',
    bytes UInt64 COMMENT 'Payload bytes both ways so far',
    names Array(String) COMMENT 'Tools, prompts and resources used',
    shared UInt8 COMMENT '1: several clients could not be told apart',
    retention String COMMENT 'Retention class'
)
AS SELECT
    tenant,
    session_start,
    session_id,
    any(s.target) AS target,
    max(s.issuer) AS issuer,
    max(s.subject) AS subject,
    max(s.principal_name) AS principal_name,
    max(s.principal_email) AS principal_email,
    max(s.client_id) AS client_id,
    groupUniqArrayArray(s.client_addresses) AS client_addresses,
    max(s.client_name) AS client_name,
    max(s.revision) AS revision,
    max(s.last_time) AS last_time,
    max(s.frames) AS frames,
    max(s.calls) AS calls,
    max(s.errors) AS errors,
    max(s.bytes) AS bytes,
    groupUniqArrayArray(s.names) AS names,
    max(s.shared) AS shared,
    max(s.retention) AS retention
FROM sessions AS s
GROUP BY tenant, session_start, session_id;

CREATE OR REPLACE VIEW calls_v
(
    tenant LowCardinality(String) COMMENT 'Tenant of the caller',
    session_start DateTime64(3, 'UTC') COMMENT 'Start of the session',
    session_id UUID COMMENT 'The session',
    called DateTime64(3, 'UTC') COMMENT 'When the exchange of the request began, as its id carries it; the table is ordered by it',
    exchange_id UUID COMMENT 'The exchange of the request',
    direction LowCardinality(String) COMMENT 'to_target: the client asked; to_client: the target did',
    rpc_id String COMMENT 'JSON-RPC id as sent, as JSON text',
    method String COMMENT 'JSON-RPC method',
    name String COMMENT 'Tool, prompt or resource URI',
    target String COMMENT 'Name of the MCP server',
    issuer String COMMENT 'iss of the caller''s token',
    subject String COMMENT 'sub of the caller''s token',
    principal_name String COMMENT 'Name of the caller',
    principal_email String COMMENT 'E-mail address of the caller',
    client_id String COMMENT 'OAuth client id',
    client_address String COMMENT 'Address the client came from',
    traceparent String COMMENT 'W3C Trace Context',
    started DateTime64(6, 'UTC') COMMENT 'When the request was whole, by the proxy''s clock',
    finished Nullable(DateTime64(6, 'UTC')) COMMENT 'When the answer was whole, or without one when the exchange ended; NULL: neither is on record',
    latency Nullable(Float64) COMMENT 'Milliseconds from started to finished; NULL: not finished',
    http_status Int32 COMMENT 'HTTP status; 0 for none',
    is_error UInt8 COMMENT '1: the tool''s result says isError',
    error_code Int64 COMMENT 'error.code of a JSON-RPC error; 0 for none',
    request_bytes Int64 COMMENT 'Payload bytes of the request; 0 for one of a batch, whose bytes are the batch''s',
    answer_bytes Int64 COMMENT 'Payload bytes of the answer; 0 for one of a batch',
    end LowCardinality(String) COMMENT 'How its exchange ended: of several ends the one with the highest writer_seq. Empty: no end is on record',
    outcome LowCardinality(String) COMMENT 'answered; error: a JSON-RPC error, isError, or HTTP status from 400 on; unanswered: the exchange ended well without an answer; refused, not_forwarded, cancelled, upstream_lost, aborted: the end, where there is no answer or it was withheld; unknown: its writer went away; open',
    rule String COMMENT 'Rule of the proxy that refused or ended it',
    retention LowCardinality(String) COMMENT 'Retention class'
)
AS
WITH
    max(c.requested) AS last_requested,
    max(c.answered) AS last_answered,
    max(c.ended) AS last_ended,
    max(c.end_rank) AS rank,
    max(c.answer) AS reply,
    max(c.http_status) AS status,
    ['', 'answered', 'accepted', 'refused', 'not_forwarded', 'cancelled', 'upstream_lost', 'aborted', 'unknown'][bitAnd(rank, 15) + 1] AS last_end,
    -- The answer's last frame ended the exchange, and a later end says that it was withheld after all.
    max(c.answer_end) > 0 AND intDiv(rank, 16) > max(c.answer_end) AS is_withheld,
    fromUnixTimestamp64Micro(0, 'UTC') AS never,
    multiIf(reply > 0 AND last_answered > never, last_answered, last_ended > never, last_ended, NULL) AS over
SELECT
    c.tenant AS tenant,
    c.session_start AS session_start,
    c.session_id AS session_id,
    c.called AS called,
    c.exchange_id AS exchange_id,
    c.direction AS direction,
    c.rpc_id AS rpc_id,
    max(c.method) AS method,
    max(c.name) AS name,
    max(c.target) AS target,
    max(c.issuer) AS issuer,
    max(c.subject) AS subject,
    max(c.principal_name) AS principal_name,
    max(c.principal_email) AS principal_email,
    max(c.client_id) AS client_id,
    max(c.client_address) AS client_address,
    max(c.traceparent) AS traceparent,
    last_requested AS started,
    over AS finished,
    (toUnixTimestamp64Micro(over) - toUnixTimestamp64Micro(last_requested)) / 1000 AS latency,
    status AS http_status,
    reply = 2 AS is_error,
    arrayReduce('min', groupUniqArrayArray(c.error_codes)) AS error_code,
    max(c.request_bytes) AS request_bytes,
    max(c.answer_bytes) AS answer_bytes,
    last_end AS end,
    multiIf(
        is_withheld, last_end,
        reply >= 2, 'error',
        reply = 1, if(status >= 400, 'error', 'answered'),
        last_end IN ('answered', 'accepted'), if(status >= 400, 'error', 'unanswered'),
        last_end != '', last_end,
        max(c.unknown) > 0, 'unknown',
        'open') AS outcome,
    max(c.rule) AS rule,
    any(c.retention) AS retention
FROM calls AS c
GROUP BY c.tenant, c.session_start, c.session_id, c.called, c.exchange_id, c.direction, c.rpc_id
-- What ends or answers a call of which no request is on record, since retention has removed it, is no call.
HAVING last_requested > never;

CREATE OR REPLACE VIEW messages_v
(
    tenant LowCardinality(String) COMMENT 'Tenant of the caller',
    session_start DateTime64(3, 'UTC') COMMENT 'Start of the session',
    session_id UUID COMMENT 'The session; zeros: none',
    session_seq UInt64 COMMENT 'Number of the frame in its session',
    time DateTime64(6, 'UTC') COMMENT 'The proxy''s wall clock',
    kind LowCardinality(String) COMMENT 'message, exchange_start, exchange_end, refused, gap, undecodable',
    direction LowCardinality(String) COMMENT 'to_target, to_client, none',
    target LowCardinality(String) COMMENT 'Name of the MCP server',
    subject LowCardinality(String) COMMENT 'sub of the caller''s token',
    principal_email LowCardinality(String) COMMENT 'E-mail address of the caller',
    exchange_id UUID COMMENT 'One HTTP request and all that comes back on it',
    rpc_kind LowCardinality(String) COMMENT 'request, response, error, notification, batch, none',
    rpc_method LowCardinality(String) COMMENT 'JSON-RPC method',
    rpc_name LowCardinality(String) COMMENT 'Tool, prompt or resource URI',
    rpc_id String COMMENT 'JSON-RPC id as sent, as JSON text',
    http_status Int32 COMMENT 'HTTP status; 0 for none',
    ended LowCardinality(String) COMMENT 'How the exchange ended, where this frame says it',
    payload String COMMENT 'The redacted body, or event data',
    payload_size Int64 COMMENT 'Bytes of the payload as sent',
    redaction LowCardinality(String) COMMENT 'none, unchanged, masked, dropped, joined, erased',
    redaction_rules Array(String) COMMENT 'Rules that masked something',
    verdict LowCardinality(String) COMMENT 'intact, tampered, fork, undecodable',
    segment_id UUID COMMENT 'Segment of the frame',
    seq Int64 COMMENT 'Number of the frame in its segment'
)
AS SELECT
    tenant, session_start, session_id, session_seq, time, kind, direction, target, subject, principal_email,
    exchange_id, rpc_kind, rpc_method, rpc_name, rpc_id, http_status, ended, payload, payload_size, redaction,
    redaction_rules, verdict, segment_id, seq
FROM frames AS f
WHERE f.kind NOT IN ('segment_opened', 'segment_sealed');

CREATE OR REPLACE VIEW refusals_v
(
    tenant LowCardinality(String) COMMENT 'Tenant of the caller; empty where nobody is known',
    time DateTime64(6, 'UTC') COMMENT 'The proxy''s wall clock',
    rule LowCardinality(String) COMMENT 'Stable name of the reason, such as wrong_audience',
    http_status Int32 COMMENT 'What the client was told',
    target LowCardinality(String) COMMENT 'Name of the MCP server',
    issuer LowCardinality(String) COMMENT 'iss of the verified token; empty where there was none',
    subject LowCardinality(String) COMMENT 'sub of the verified token',
    principal_email LowCardinality(String) COMMENT 'E-mail address of the caller',
    client_address LowCardinality(String) COMMENT 'Address that it came from',
    user_agent LowCardinality(String) COMMENT 'User-Agent; not authenticated',
    method LowCardinality(String) COMMENT 'JSON-RPC method, where the caller is known',
    name LowCardinality(String) COMMENT 'Tool, prompt or resource URI, where the caller is known',
    session_id UUID COMMENT 'The session in which it is shown',
    exchange_id UUID COMMENT 'The exchange'
)
AS SELECT
    tenant, time,
    f.decision_rule AS rule,
    http_status, target, issuer, subject, principal_email, client_address, user_agent,
    f.rpc_method AS method,
    f.rpc_name AS name,
    session_id, exchange_id
FROM frames AS f
WHERE f.kind = 'refused' AND f.part_last;

CREATE OR REPLACE VIEW gaps_v
(
    time DateTime64(6, 'UTC') COMMENT 'When the writer said so, or the consumer noticed',
    source LowCardinality(String) COMMENT 'writer: frames that a proxy did not record. topic: records that retention removed before they were loaded',
    reason LowCardinality(String) COMMENT 'Stable name, such as kafka_away, backlog_full, retention',
    frames Int64 COMMENT 'How many frames; of a topic, at most so many',
    bytes Int64 COMMENT 'Their payload bytes; 0 where nobody knows',
    tenant LowCardinality(String) COMMENT 'Tenant; empty where nobody knows',
    target LowCardinality(String) COMMENT 'Name of the MCP server; empty where nobody knows',
    subject LowCardinality(String) COMMENT 'sub of the caller; empty where nobody knows',
    writer_id UUID COMMENT 'The writer; zeros for a topic',
    place String COMMENT 'Topic, partition and offsets'
)
AS SELECT
    f.time AS time,
    'writer' AS source,
    f.gap_reason AS reason,
    f.gap_frames AS frames,
    f.gap_bytes AS bytes,
    f.tenant AS tenant,
    f.target AS target,
    f.subject AS subject,
    f.writer_id AS writer_id,
    concat(f.kafka_topic, '/', toString(f.kafka_partition), '/', toString(f.kafka_offset)) AS place
FROM frames AS f
WHERE f.kind = 'gap'
UNION ALL
SELECT
    g.noticed AS time,
    'topic' AS source,
    g.reason AS reason,
    g.last_offset - g.first_offset + 1 AS frames,
    0 AS bytes,
    '' AS tenant,
    '' AS target,
    '' AS subject,
    toUUID('00000000-0000-0000-0000-000000000000') AS writer_id,
    concat(g.kafka_topic, '/', toString(g.kafka_partition), '/', toString(g.first_offset), '-', toString(g.last_offset)) AS place
FROM gaps AS g FINAL;

CREATE OR REPLACE VIEW deadletters_v
(
    kafka_source LowCardinality(String) COMMENT 'Configured id of the cluster and topic',
    kafka_topic LowCardinality(String) COMMENT 'Topic of the record',
    kafka_partition Int32 COMMENT 'Partition of the record',
    kafka_offset Int64 COMMENT 'Offset of the record',
    kafka_time DateTime64(3, 'UTC') COMMENT 'Timestamp of the record',
    reason String COMMENT 'Stable name of what was wrong with it',
    size Int64 COMMENT 'Bytes of its value',
    session_id UUID COMMENT 'The session in which its place is shown; zeros: none',
    retried Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was read again and loaded; NULL: it was not'
)
AS SELECT
    d.kafka_source AS kafka_source,
    d.kafka_topic AS kafka_topic,
    d.kafka_partition AS kafka_partition,
    d.kafka_offset AS kafka_offset,
    max(d.kafka_time) AS kafka_time,
    max(d.reason) AS reason,
    max(d.size) AS size,
    max(d.session_id) AS session_id,
    nullIf(max(d.retried), fromUnixTimestamp64Micro(0, 'UTC')) AS retried
FROM deadletters AS d
GROUP BY d.kafka_source, d.kafka_topic, d.kafka_partition, d.kafka_offset;

CREATE OR REPLACE VIEW access_v
(
    time DateTime64(6, 'UTC') COMMENT 'When',
    who String COMMENT 'E-mail address, name or subject of who looked',
    role LowCardinality(String) COMMENT 'The right that was used',
    action LowCardinality(String) COMMENT 'What was done: view, search, replay, export, …',
    outcome LowCardinality(String) COMMENT 'allowed, refused, failed',
    reason String COMMENT 'Why it was refused or failed; or the reason that the person gave',
    tenant LowCardinality(String) COMMENT 'Tenant of what was looked at',
    session_id UUID COMMENT 'The session that was looked at; zeros: none, or several',
    object String COMMENT 'What else was looked at',
    filter String COMMENT 'The question as asked',
    rows UInt64 COMMENT 'Rows or frames that were shown',
    client_address LowCardinality(String) COMMENT 'Address that the question came from'
)
AS SELECT
    a.time AS time,
    multiIf(a.email != '', a.email, a.name != '', a.name, a.subject) AS who,
    a.role AS role,
    a.action AS action,
    a.outcome AS outcome,
    a.reason AS reason,
    a.tenant AS tenant,
    a.session_id AS session_id,
    a.object AS object,
    a.filter AS filter,
    a.rows AS rows,
    a.client_address AS client_address
FROM access_log AS a;

CREATE OR REPLACE VIEW held_sessions_v
(
    tenant LowCardinality(String) COMMENT 'Tenant of the caller',
    session_start DateTime64(3, 'UTC') COMMENT 'Start of the session',
    session_id UUID COMMENT 'The session; its frames are in frames_held, whatever retention has done to frames',
    target String COMMENT 'Name of the MCP server',
    issuer String COMMENT 'iss of the caller''s token',
    subject String COMMENT 'sub of the caller''s token',
    last_time DateTime64(6, 'UTC') COMMENT 'Time of the latest frame that is held',
    frames UInt64 COMMENT 'Frames that are held'
)
AS SELECT
    h.tenant AS tenant,
    h.session_start AS session_start,
    h.session_id AS session_id,
    any(toString(h.target)) AS target,
    max(toString(h.issuer)) AS issuer,
    max(toString(h.subject)) AS subject,
    max(h.time) AS last_time,
    uniqExact(h.segment_id, h.seq) AS frames
FROM frames_held AS h
WHERE h.session_id != toUUID('00000000-0000-0000-0000-000000000000')
GROUP BY h.tenant, h.session_start, h.session_id;

CREATE OR REPLACE VIEW writers_v
(
    kafka_source LowCardinality(String) COMMENT 'Configured id of the cluster and topic',
    kafka_topic LowCardinality(String) COMMENT 'Topic of its frames',
    kafka_partition Int32 COMMENT 'Partition: a writer has a row for each that it has written to',
    writer_id UUID COMMENT 'One boot of one proxy',
    first_time DateTime64(6, 'UTC') COMMENT 'Time of its first frame',
    last_time DateTime64(6, 'UTC') COMMENT 'Time of its latest frame',
    stopped UInt8 COMMENT '1: it said goodbye',
    settled_time DateTime64(6, 'UTC') COMMENT 'What last_time was when its goodbye or its silence was acted on; 1970: never'
)
AS SELECT
    kafka_source,
    kafka_topic,
    kafka_partition,
    writer_id,
    min(w.first_time) AS first_time,
    max(w.last_time) AS last_time,
    max(w.stopped) AS stopped,
    max(w.settled_time) AS settled_time
FROM writers AS w
GROUP BY kafka_source, kafka_topic, kafka_partition, writer_id;
