-- Questions that people ask of a recording. Each line that begins with a number says what the statement after it answers; what
-- stands in braces is a parameter: `clickhouse-client --param_user=alice`. A test runs all of them.

-- 1. The newest sessions: who, with what, how much, and what went wrong.
SELECT session_start, session_id, principal_email, subject, target, calls, errors, bytes, names
FROM sessions_v
ORDER BY session_start DESC
LIMIT 50;

-- 2. One person's sessions of the last 90 days, by subject, e-mail address or name.
SELECT session_start, session_id, target, client_name, client_addresses, calls, errors
FROM sessions_v
WHERE session_start > now() - INTERVAL 90 DAY AND has([subject, principal_email, principal_name], {user:String})
ORDER BY session_start DESC
LIMIT 50;

-- 3. Everything in one session, in its order.
SELECT session_seq, time, direction, kind, rpc_kind, rpc_method, rpc_name, http_status, ended, payload
FROM messages_v
WHERE session_id = {session:UUID}
ORDER BY session_seq, segment_id, seq;

-- 4. The newest calls. Two steps: the table is read backwards until there are enough names, and only these are folded.
SELECT started, subject, target, method, name, outcome, latency
FROM calls_v
WHERE (called, exchange_id) IN (SELECT called, exchange_id FROM calls ORDER BY called DESC LIMIT 400)
ORDER BY called DESC
LIMIT 50;

-- 5. One person's newest calls, in the same two steps.
SELECT started, target, name, outcome, latency, request_bytes, answer_bytes
FROM calls_v
WHERE (called, exchange_id) IN
    (SELECT called, exchange_id FROM calls WHERE subject = {user:String} ORDER BY called DESC LIMIT 400)
ORDER BY called DESC
LIMIT 50;

-- 6. How one tool fares: calls a day by outcome.
SELECT toDate(called) AS day, outcome, count() AS calls
FROM calls_v
WHERE called > now() - INTERVAL 30 DAY AND name = {tool:String}
GROUP BY day, outcome
ORDER BY day DESC, calls DESC;

-- 7. What failed in the last day, and why.
SELECT started, subject, target, method, name, outcome, end, http_status, error_code, is_error, rule
FROM calls_v
WHERE (called, exchange_id) IN
        (SELECT called, exchange_id FROM calls WHERE called > now() - INTERVAL 1 DAY AND (failed > 0 OR unknown > 0))
    AND outcome NOT IN ('answered', 'open')
ORDER BY started DESC
LIMIT 100;

-- 8. How fast each tool answers: median, 95th and 99th percentile in milliseconds.
SELECT target, name, count() AS calls, arrayMap(ms -> round(ms, 1), quantiles(0.5, 0.95, 0.99)(latency)) AS milliseconds
FROM calls_v
WHERE called > now() - INTERVAL 7 DAY AND method = 'tools/call' AND outcome = 'answered'
GROUP BY target, name
ORDER BY calls DESC;

-- 9. Calls, and the share of them that failed, by the hour.
SELECT toStartOfHour(called) AS hour, target, count() AS calls, countIf(outcome != 'answered') AS failed, round(failed / calls, 3) AS share
FROM calls_v
WHERE called > now() - INTERVAL 2 DAY AND direction = 'to_target'
GROUP BY hour, target
ORDER BY hour DESC, calls DESC;

-- 10. Who calls most.
SELECT issuer, subject, any(principal_email) AS email, count() AS calls, uniqExact(session_id) AS sessions, uniqExact(name) AS tools
FROM calls_v
WHERE called > now() - INTERVAL 7 DAY AND direction = 'to_target'
GROUP BY issuer, subject
ORDER BY calls DESC
LIMIT 20;

-- 11. Which tools move most data.
SELECT target, name, count() AS calls, sum(request_bytes) AS sent, sum(answer_bytes) AS received
FROM calls_v
WHERE called > now() - INTERVAL 7 DAY AND method = 'tools/call'
GROUP BY target, name
ORDER BY received DESC
LIMIT 20;

-- 12. Tools that a person used for the first time in the last week.
SELECT subject, target, name, min(called) AS first_called, count() AS calls
FROM calls_v
WHERE method = 'tools/call'
GROUP BY subject, target, name
HAVING first_called > now() - INTERVAL 7 DAY
ORDER BY first_called DESC
LIMIT 100;

-- 13. What was refused, by rule.
SELECT rule, http_status, target, count() AS times, uniqExact(client_address) AS addresses, max(time) AS latest
FROM refusals_v
WHERE time > now() - INTERVAL 7 DAY
GROUP BY rule, http_status, target
ORDER BY times DESC;

-- 14. Denied, then allowed: a tool that answers a person whom it was refused to before.
SELECT subject, target, name, minIf(started, outcome = 'refused') AS denied, maxIf(started, outcome = 'answered') AS allowed
FROM calls_v
WHERE called > now() - INTERVAL 7 DAY AND method = 'tools/call'
GROUP BY subject, target, name
HAVING countIf(outcome = 'refused') > 0 AND allowed > denied;

-- 15. Calls of which nobody knows how they ended, and those that have been open for ten minutes.
SELECT started, subject, target, method, name, outcome
FROM calls_v
WHERE outcome = 'unknown' OR (outcome = 'open' AND started < now() - INTERVAL 10 MINUTE)
ORDER BY started DESC
LIMIT 100;

-- 16. What targets asked of clients (sampling, elicitation), and what came of it.
SELECT target, method, outcome, count() AS calls, max(started) AS latest
FROM calls_v
WHERE direction = 'to_client'
GROUP BY target, method, outcome
ORDER BY calls DESC;

-- 17. Who moves much more data today than on an average day of the last month.
SELECT
    subject,
    sumIf(bytes, toDate(session_start) = today()) AS today_bytes,
    sumIf(bytes, toDate(session_start) < today()) / 30 AS average_bytes
FROM sessions_v
WHERE session_start > now() - INTERVAL 30 DAY
GROUP BY subject
HAVING today_bytes > 10 * average_bytes
ORDER BY today_bytes DESC;

-- 18. What redaction found, by rule.
SELECT arrayJoin(redaction_rules) AS rule, direction, target, count() AS messages, uniqExact(session_id) AS sessions
FROM messages_v
WHERE time > now() - INTERVAL 7 DAY
GROUP BY rule, direction, target
ORDER BY messages DESC;

-- 19. What must make an auditor ask: gaps, frames that do not fit their hash, forks, records that are no frames.
SELECT time, what, reason, place
FROM
(
    SELECT time, 'gap' AS what, reason, place FROM gaps_v
    UNION ALL
    SELECT time, toString(verdict), '', concat(toString(segment_id), ' ', toString(seq)) FROM messages_v WHERE verdict IN ('tampered', 'fork')
    UNION ALL
    SELECT kafka_time, 'dead letter', reason, concat(kafka_topic, '/', toString(kafka_partition), '/', toString(kafka_offset))
    FROM deadletters_v WHERE retried IS NULL
)
ORDER BY time DESC
LIMIT 100;

-- 20. One token used from several addresses.
SELECT issuer, subject, token_id, groupUniqArray(client_address) AS addresses, min(time) AS first, max(time) AS last
FROM frames
WHERE token_id != '' AND time > now() - INTERVAL 7 DAY
GROUP BY issuer, subject, token_id
HAVING length(addresses) > 1
ORDER BY last DESC;

-- 21. Who looked at a session's recording.
SELECT time, who, role, action, outcome, reason, client_address
FROM access_v
WHERE session_id = {session:UUID}
ORDER BY time;

-- 22. How many rows each retention class has, how old, and how long they are kept.
SELECT retention, count() AS frames, min(session_start) AS oldest, any(days) AS days
FROM frames
LEFT JOIN (SELECT class, argMax(days, changed) AS days FROM retention_classes GROUP BY class) AS classes ON frames.retention = classes.class
GROUP BY retention
ORDER BY retention;
