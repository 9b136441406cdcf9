-- Frames of so many sessions of an archive from the first number on, which begin on one day. Everything about a session
-- follows from its number, so the same sessions are the same rows. `cityHash64(…) / pow(2, 64)` is a number from 0 to 1,
-- and `pow(n, …)` of it is 1 about as much more often than 2 as 2 is than 4: few people, targets and tools have most of all.
--
-- Kinds of calls (fate): 0 answered, 1 with progress before, 2 isError, 3 a JSON-RPC error, 4 refused, 5 upstream lost,
-- 6 a notification that is accepted. What a frame is in its exchange (role): 0 request, 1 answer, 2 progress, 3 refusal, 4 end
-- without an answer, 5 the segment's first frame, 6 its last.
INSERT INTO frames (
    tenant, session_start, session_id, segment_id, seq, time, monotonic_ns, writer_id, writer_seq, exchange_id, session_key,
    kind, direction, ended, target, issuer, subject, principal_name, principal_email, groups, client_id, token_id,
    client_address, user_agent, claimed_name, claimed_version, revision, transport, rpc_kind, rpc_method, rpc_id, rpc_name,
    rpc_error_code, rpc_is_error, http_method, http_status, content_type, sse_complete, decision_rule, decision_action,
    segment_requests, segment_answers, segment_errors, segment_refused, segment_bytes_to_target, segment_bytes_to_client,
    segment_reason, payload, payload_size, part_last, redaction, payload_salt, metadata_salt, payload_commitment,
    metadata_commitment, frame_hash, verdict, session_starts, session_seq, session_calls, session_errors, session_bytes,
    kafka_source, kafka_topic, kafka_partition, kafka_offset, kafka_time)
WITH
    role < 5 AS is_of_client,
    began + multiIf(role = 5, 0, role IN (0, 3), 150, role = 2, intDiv(latency, 2) + 150, role = 6, latency + 300000000, latency + 150)
        AS at,
    slot >= preliminaries AND role != 2 AND is_of_client AS is_of_tool,
    concat(toString(session), '/', toString(place)) AS seed,
    session * 200000 + place AS record
SELECT
    concat('tenant-', toString(organisation)) AS tenant,
    fromUnixTimestamp64Milli(if(is_of_client, start, intDiv(at, 1000)), 'UTC') AS session_start,
    if(is_of_client, session_id, toUUID('00000000-0000-0000-0000-000000000000')),
    segment_id,
    place - 1 AS seq,
    fromUnixTimestamp64Micro(at, 'UTC') AS time,
    (at - {day:Int64} * 1000) * 1000 AS monotonic_ns,
    writer_id,
    record AS writer_seq,
    if(is_of_client, exchange_id, segment_id),
    session_key,
    ['message', 'message', 'message', 'refused', 'exchange_end', 'segment_opened', 'segment_sealed'][role + 1] AS kind,
    ['to_target', 'to_client', 'to_client', 'to_target', 'none', 'none', 'none'][role + 1] AS direction,
    multiIf(role = 1, if(fate = 6, 'accepted', 'answered'), role = 3, 'refused', role = 4, 'upstream_lost', '') AS ended,
    target,
    {issuer:String} AS issuer,
    subject,
    principal_name,
    concat(subject, '@example.com') AS principal_email,
    ['engineers'] AS groups,
    client_id,
    token_id,
    client_address,
    if(is_of_client, concat(client_id, '/2.', toString(person % 7)), '') AS user_agent,
    if(slot = 0 AND role = 0, client_id, '') AS claimed_name,
    if(slot = 0 AND role = 0, concat('2.', toString(person % 7)), '') AS claimed_version,
    '2025-11-25' AS revision,
    'h2' AS transport,
    multiIf(
        role >= 4, 'none', role = 2, 'notification', fate = 6, if(role = 0, 'notification', 'none'),
        role = 1, if(fate = 3, 'error', 'response'), 'request') AS rpc_kind,
    multiIf(
        NOT is_of_client, '', slot = 0, 'initialize', slot = 1, 'notifications/initialized', slot < preliminaries, 'tools/list',
        role = 2, 'notifications/progress', 'tools/call') AS rpc_method,
    if(is_of_client AND role != 2 AND fate != 6, toString(slot), '') AS rpc_id,
    if(is_of_tool, tool, '') AS rpc_name,
    if(role = 1 AND fate = 3, -32603, 0) AS rpc_error_code,
    role = 1 AND fate = 2 AS rpc_is_error,
    if(is_of_client, 'POST', '') AS http_method,
    multiIf(role = 1, if(fate = 6, 202, 200), role = 2, 200, role = 3, 403, role = 4, 502, 0) AS http_status,
    multiIf(payload = '', '', fate = 1 AND role > 0, 'text/event-stream', 'application/json') AS content_type,
    true AS sse_complete,
    if(role = 3, 'tool_not_allowed', '') AS decision_rule,
    if(role = 3, 'refuse', '') AS decision_action,
    requests AS segment_requests,
    answers AS segment_answers,
    failed_answers AS segment_errors,
    refusals AS segment_refused,
    bytes_to_target AS segment_bytes_to_target,
    bytes_to_client AS segment_bytes_to_client,
    multiIf(role = 5, 'first', role = 6, 'idle', '') AS segment_reason,
    payload,
    length(payload) AS payload_size,
    true AS part_last,
    if(payload = '', 'none', 'unchanged') AS redaction,
    SHA256(concat(seed, 'a')) AS payload_salt,
    SHA256(concat(seed, 'b')) AS metadata_salt,
    SHA256(concat(seed, 'c')) AS payload_commitment,
    SHA256(concat(seed, 'd')) AS metadata_commitment,
    SHA256(concat(seed, 'e')) AS frame_hash,
    'intact' AS verdict,
    slot = 0 AND role = 1 AS session_starts,
    if(is_of_client, place - 1, 0) AS session_seq,
    if(is_of_client, requests, 0) AS session_calls,
    if(is_of_client, failed_answers + refusals + losses, 0) AS session_errors,
    if(is_of_client, bytes_to_target + bytes_to_client, 0) AS session_bytes,
    'archive' AS kafka_source,
    'mcp.frames.v1' AS kafka_topic,
    cityHash64(person, server) % 12 AS kafka_partition,
    record AS kafka_offset,
    fromUnixTimestamp64Milli(intDiv(at, 1000), 'UTC') AS kafka_time
FROM
(
    -- One row a frame.
    SELECT
        session, person, organisation, subject, principal_name, target, client_id, client_address, token_id, session_key,
        preliminaries, start, session_id, segment_id, writer_id, server, payload, place, requests, answers, failed_answers,
        refusals, losses, bytes_to_target, bytes_to_client,
        event.1 AS slot,
        event.2 AS role,
        event.3 AS fate,
        event.4 AS began,
        event.5 AS latency,
        event.6 AS exchange_id,
        event.7 AS tool
    FROM
    (
        -- What was said, and what it adds up to.
        SELECT
            *,
            arrayEnumerate(events) AS places,
            arrayCumSum(arrayMap(event -> event.2 = 0 AND event.3 != 6, events)) AS requested,
            arrayCumSum(arrayMap(event -> event.2 = 1 AND event.3 != 6, events)) AS answered,
            arrayCumSum(arrayMap(event -> event.2 = 1 AND event.3 IN (2, 3), events)) AS failed,
            arrayCumSum(arrayMap(event -> event.2 = 3, events)) AS refused,
            arrayCumSum(arrayMap(event -> event.2 = 4, events)) AS lost,
            arrayCumSum(arrayMap((event, said) -> if(event.2 IN (0, 3), length(said), 0), events, payloads)) AS out,
            arrayCumSum(arrayMap((event, said) -> if(event.2 IN (1, 2), length(said), 0), events, payloads)) AS back
        FROM
        (
            SELECT
                *,
                arrayMap(
                    event -> multiIf(
                        event.2 >= 4, '',
                        event.1 = 0 AND event.2 = 0, concat(
                            '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},',
                            '"clientInfo":{"name":"', client_id, '","version":"2.', toString(person % 7), '"}}}'),
                        event.1 = 0, concat(
                            '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},',
                            '"serverInfo":{"name":"', target, '","version":"1.4.2"}}}'),
                        event.1 = 1, if(event.2 = 0, '{"jsonrpc":"2.0","method":"notifications/initialized"}', ''),
                        event.1 < preliminaries AND event.2 = 0, concat(
                            '{"jsonrpc":"2.0","id":', toString(event.1), ',"method":"tools/list","params":{}}'),
                        event.1 < preliminaries, concat(
                            '{"jsonrpc":"2.0","id":', toString(event.1), ',"result":{"tools":[{"name":"search_documents","description":"',
                            substring({words:String}, 1 + cityHash64(server, 'of search') % 16000, 300),
                            '","inputSchema":{"type":"object"}},{"name":"read_document","description":"',
                            substring({words:String}, 1 + cityHash64(server, 'of reading') % 16000, 300),
                            '","inputSchema":{"type":"object"}}]}}'),
                        event.2 IN (0, 3), concat(
                            '{"jsonrpc":"2.0","id":', toString(event.1), ',"method":"tools/call","params":{"name":"', event.7,
                            '","arguments":{"query":"',
                            substring({words:String}, 1 + cityHash64(session, event.1, 'asked') % 16000, 20 + cityHash64(event.1, session) % 160),
                            '","limit":20}}}'),
                        event.2 = 2, concat(
                            '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":', toString(event.1),
                            ',"progress":50,"total":100,"message":"',
                            substring({words:String}, 1 + cityHash64(session, event.1, 'progress') % 16000, 40), '"}}'),
                        event.3 = 3, concat(
                            '{"jsonrpc":"2.0","id":', toString(event.1), ',"error":{"code":-32603,"message":"',
                            substring({words:String}, 1 + cityHash64(session, event.1, 'error') % 16000, 60), '"}}'),
                        concat(
                            '{"jsonrpc":"2.0","id":', toString(event.1), ',"result":{"content":[{"type":"text","text":"{\\"hits\\":[',
                            arrayStringConcat(
                                arrayMap(
                                    hit -> concat(
                                        '{\\"id\\":\\"doc-', lower(hex(toUInt32(cityHash64(session, event.1, hit)))), '\\",\\"title\\":\\"',
                                        substring({words:String}, 1 + cityHash64(hit, event.1, session) % 16000, 24), '\\",\\"snippet\\":\\"',
                                        substring({words:String}, 1 + cityHash64(session, hit, event.1) % 16000, 90), '\\"}'),
                                    range(1 + cityHash64(session, event.1, 'hits') % 6)),
                                ','),
                            ']}"}],"isError":', if(event.3 = 2, 'true', 'false'), '}}')),
                    events) AS payloads
            FROM
            (
                -- What happened, in its order.
                SELECT
                    * EXCEPT (slots, fates, starts, latencies, exchanges, tools),
                    exchanges[1] AS session_id,
                    arrayConcat(
                        [(slots[1], 5, 0, starts[1], latencies[1], exchanges[1], '')],
                        arrayFlatten(
                            arrayMap(
                                (slot, fate, began, latency, exchange, tool) -> multiIf(
                                    fate = 1, [
                                        (slot, 0, fate, began, latency, exchange, tool), (slot, 2, fate, began, latency, exchange, tool),
                                        (slot, 1, fate, began, latency, exchange, tool)],
                                    fate = 4, [(slot, 3, fate, began, latency, exchange, tool)],
                                    fate = 5, [(slot, 0, fate, began, latency, exchange, tool), (slot, 4, fate, began, latency, exchange, tool)],
                                    [(slot, 0, fate, began, latency, exchange, tool), (slot, 1, fate, began, latency, exchange, tool)]),
                                slots, fates, starts, latencies, exchanges, tools)),
                        [(slots[-1], 6, 0, starts[-1], latencies[-1], exchanges[-1], '')]) AS events
                FROM
                (
                    -- Exchanges are named by UUIDv7: their time in milliseconds, then what is random elsewhere.
                    SELECT
                        *,
                        arrayMap(
                            (slot, began) -> reinterpretAsUUID(
                                bitOr(
                                    bitShiftLeft(toUInt128(bitOr(bitShiftRight(cityHash64(slot, session), 2), 9223372036854775808)), 64),
                                    toUInt128(bitOr(
                                        bitShiftLeft(toUInt64(intDiv(began, 1000)), 16), 28672 + cityHash64(session, slot) % 4096)))),
                            slots, starts) AS exchanges,
                        reinterpretAsUUID(
                            bitOr(
                                bitShiftLeft(toUInt128(bitOr(bitShiftRight(cityHash64('segment', session), 2), 9223372036854775808)), 64),
                                toUInt128(bitOr(bitShiftLeft(toUInt64(start), 16), 28672 + cityHash64(session, 'segment') % 4096))))
                            AS segment_id,
                        reinterpretAsUUID(
                            bitOr(
                                bitShiftLeft(toUInt128(bitOr(bitShiftRight(cityHash64('writer', session % 4), 2), 9223372036854775808)), 64),
                                toUInt128(bitOr(bitShiftLeft(toUInt64({day:Int64}), 16), 28672 + session % 4)))) AS writer_id
                    FROM
                    (
                        SELECT
                            *,
                            arrayMap(
                                (step, latency, pause) -> start * 1000 + step - latency - pause,
                                arrayCumSum(arrayMap((latency, pause) -> latency + pause, latencies, pauses)), latencies, pauses) AS starts
                        FROM
                        (
                            SELECT
                                *,
                                range(toUInt32(preliminaries + calls)) AS slots,
                                arrayMap(
                                    slot -> multiIf(
                                        slot = 1, 6, slot < preliminaries, 0, cityHash64(session, slot, 'fate') % 1000 < 6, 4,
                                        cityHash64(session, slot, 'fate') % 1000 < 10, 5, cityHash64(session, slot, 'fate') % 1000 < 25, 3,
                                        cityHash64(session, slot, 'fate') % 1000 < 60, 2, cityHash64(session, slot, 'fate') % 1000 < 160, 1, 0),
                                    slots) AS fates,
                                arrayMap(
                                    slot -> toInt64(3000 * pow(greatest(cityHash64(session, slot, 'latency') / pow(2, 64), 0.0001), -0.8)),
                                    slots) AS latencies,
                                arrayMap(
                                    slot -> toInt64(1000 + {pause:UInt32} * 1000 * (cityHash64(session, slot, 'pause') / pow(2, 64))),
                                    slots) AS pauses,
                                arrayMap(
                                    slot -> toUInt32(pow(4 + cityHash64(server, 'tools') % 28, cityHash64(session, slot, 'tool') / pow(2, 64))),
                                    slots) AS ranks,
                                arrayMap(
                                    rank -> concat(
                                        ['search', 'read', 'list', 'create', 'update', 'delete', 'export', 'send', 'find', 'compare', 'merge', 'run']
                                            [1 + cityHash64(server, rank, 'verb') % 12],
                                        '_',
                                        ['documents', 'issues', 'tickets', 'invoices', 'orders', 'customers', 'branches', 'commits', 'messages',
                                         'events', 'reports', 'tables', 'queries', 'files', 'folders', 'releases', 'shipments', 'contracts']
                                            [1 + cityHash64(server, rank, 'noun') % 18]),
                                    ranks) AS tools
                            FROM
                            (
                                -- Who talks to what, when, and how much.
                                SELECT
                                    *,
                                    concat('user-', leftPad(toString(person), 5, '0')) AS subject,
                                    concat(
                                        ['Ada', 'Bruno', 'Chen', 'Dora', 'Emil', 'Farah', 'Goran', 'Hana', 'Ivo', 'Jun'][1 + person % 10], ' ',
                                        ['Abel', 'Berg', 'Costa', 'Diaz', 'Ek', 'Fall', 'Gruber', 'Holm', 'Ito', 'Jansen'][1 + intDiv(person, 10) % 10],
                                        ' ', toString(intDiv(person, 100))) AS principal_name,
                                    concat(
                                        ['github', 'jira', 'search', 'files', 'mail', 'calendar', 'crm', 'billing', 'warehouse', 'chat', 'wiki', 'builds',
                                         'metrics', 'payroll', 'contracts', 'shipping', 'catalog', 'support', 'maps', 'notes'][1 + server % 20],
                                        if(server < 20, '', '-eu')) AS target,
                                    ['claude-code', 'vscode', 'cursor', 'agent-sdk', 'inspector', 'nightly'][1 + cityHash64(person, 'client') % 6]
                                        AS client_id,
                                    concat('10.', toString(intDiv(person, 250)), '.', toString(cityHash64(session, 'address') % 3), '.',
                                        toString(1 + person % 250)) AS client_address,
                                    lower(hex(cityHash64(session, 'token'))) AS token_id,
                                    SHA256(concat({issuer:String}, subject, client_id, target)) AS session_key,
                                    2 + (cityHash64(session, 'lists') % 10 < 7) AS preliminaries,
                                    {day:Int64} + toInt64(if(
                                        cityHash64(session, 'hours') % 100 < 15,
                                        86400000 * (cityHash64(session, 'night') / pow(2, 64)),
                                        25200000 + 21600000 * (cityHash64(session, 'early') / pow(2, 64) + cityHash64(session, 'late') / pow(2, 64))))
                                        AS start,
                                    if({calls:UInt32} > 0, {calls:UInt32},
                                        least(1500, toUInt32(1.9 * pow(greatest(cityHash64(session, 'length') / pow(2, 64), 0.000001), -0.75)))) AS calls
                                FROM
                                (
                                    SELECT
                                        *,
                                        toUInt64(pow(12, cityHash64(person, 'tenant') / pow(2, 64))) - 1 AS organisation,
                                        -- Six sessions of ten are with what this person always uses.
                                        toUInt64(pow(
                                            40,
                                            cityHash64(if(cityHash64(session, 'strays') % 10 < 4, session, toUInt64(person)), 'target') / pow(2, 64))) - 1
                                            AS server
                                    FROM
                                    (
                                        SELECT
                                            number AS session,
                                            toUInt64(pow({users:UInt32}, cityHash64(number, 'who') / pow(2, 64))) - 1 AS person
                                        FROM numbers({first:UInt64}, {sessions:UInt64})
                                    )
                                )
                            )
                        )
                    )
                )
            )
        )
    )
    ARRAY JOIN
        events AS event, payloads AS payload, places AS place, requested AS requests, answered AS answers,
        failed AS failed_answers, refused AS refusals, lost AS losses, out AS bytes_to_target, back AS bytes_to_client
)
