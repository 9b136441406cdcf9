//! What must not be lost is not lost, whoever is killed: the real parts, real kills, and an oracle that judges afterwards.

mod broker_killed;
mod clickhouse_killed;
mod consumer_killed;
mod group;
mod load;
mod loader;
mod oracle;
mod proxy_killed;
mod stage;
mod topic_recreated;
mod unknown_calls;
