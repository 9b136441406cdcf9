-- Tokens: what stands in the place of a value, the same wherever a tenant's recordings hold it. Who may search has the
-- tokens of a value made again and looks for them here.

ALTER TABLE frames
    ADD COLUMN IF NOT EXISTS tokens Array(String) COMMENT 'Tokens that stand in the payload and the metadata, each once: kind, id of the key, twenty letters.',
    ADD INDEX IF NOT EXISTS token tokens TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE frames
    COMMENT COLUMN redaction 'none: no payload. unchanged, masked, dropped: what became of this frame''s piece. joined: masked, and on the last part''s row (recordings of earlier versions). erased: an erasure was ordered, and nothing is left that says who or what.';

ALTER TABLE frames
    COMMENT COLUMN payload 'The redacted body, or event data. Of a message of several parts each has its own piece: joined by part_index they are the message.';

ALTER TABLE frames_held
    ADD COLUMN IF NOT EXISTS tokens Array(String) COMMENT 'Tokens that stand in the payload and the metadata, each once: kind, id of the key, twenty letters.';

-- Its columns are those of the time at which it was made.
ALTER TABLE frames_held_from_frames MODIFY QUERY
SELECT frames.*
FROM frames
WHERE frames.kind != 'undecodable' AND frames.redaction != 'erased'
    AND (
        toString(frames.tenant) IN (SELECT tenant FROM active_holds WHERE tenant != '')
        OR (toString(frames.issuer), toString(frames.subject)) IN (SELECT issuer, subject FROM active_holds WHERE subject != '')
        OR frames.session_id IN
            (SELECT session_id FROM active_holds WHERE session_id != toUUID('00000000-0000-0000-0000-000000000000')));
