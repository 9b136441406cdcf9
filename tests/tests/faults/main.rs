//! What must not be lost is not lost, whoever is killed: the real parts, real kills, and an oracle that judges afterwards.

mod broker_killed;
mod clickhouse_killed;
mod consumer_killed;
mod drained;
mod group;
mod kafka_away;
mod load;
mod loader;
mod oracle;
mod proxy_killed;
mod reloaded;
mod stage;
mod streamer;
mod streams;
mod target_dies;
mod topic_recreated;
mod unknown_calls;
mod vanishing;
