//! What must not be lost is not lost, whoever is killed: the real parts, real kills, and an oracle that judges afterwards.

mod drained;
mod kafka_away;
mod killed;
mod proxy_killed;
mod reloaded;
mod streamer;
mod streams;
mod survived;
mod target_dies;
mod topic_recreated;
mod unknown_calls;
mod vanishing;
