-- Answers that were withheld though they are on record, and what callers have shown of themselves.

ALTER TABLE frames
    COMMENT COLUMN key_thumbprint 'What the request has shown, a space between: jkt: and the thumbprint of the key that its token is bound to (RFC 9449), x5t#S256: and that of the certificate of the client''s connection (RFC 8705). Of a refused caller who is nobody yet: the certificate alone.';

ALTER TABLE frames_held
    COMMENT COLUMN key_thumbprint 'What the request has shown, a space between: jkt: and the thumbprint of the key that its token is bound to (RFC 9449), x5t#S256: and that of the certificate of the client''s connection (RFC 8705). Of a refused caller who is nobody yet: the certificate alone.';

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
    outcome LowCardinality(String) COMMENT 'answered; error: a JSON-RPC error, isError, or HTTP status from 400 on; unanswered: the exchange ended well without an answer; refused, not_forwarded, cancelled, upstream_lost, aborted: the end, where there is no answer or it was withheld (of a batch with the rule answer_withheld: each of its calls, since what was given of it is not on record); unknown: its writer went away; open',
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
    -- Of an answer whose frame ended nothing, since more followed it, the rule of the exchange's end says it.
    (max(c.answer_end) > 0 AND intDiv(rank, 16) > max(c.answer_end)) OR (last_end = 'aborted' AND max(c.rule) = 'answer_withheld') AS is_withheld,
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
