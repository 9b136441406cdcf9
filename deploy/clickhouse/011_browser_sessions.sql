-- Browsers keep their own sessions, sealed; here is what a browser cannot be trusted to remember: that somebody has signed out.
-- Who may add a row can end a session, and cannot begin one.
CREATE TABLE IF NOT EXISTS ended_browser_sessions
(
    id UUID COMMENT 'Names the session of a browser at the console',
    ended DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When somebody signed out of it',
    until DateTime('UTC') COMMENT 'When it would have ended by itself: afterwards the row is of no use'
)
ENGINE = MergeTree
ORDER BY id
TTL until + INTERVAL 1 DAY
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Sessions of browsers that somebody has signed out of; only ever added to';
