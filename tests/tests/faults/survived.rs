//! What nobody dies of: members of the group come and go, or stand still; ClickHouse is slow, full, or takes nothing.

use tapedeck_tests::faults::stage::on_stage;
use tapedeck_tests::faults::{clickhouse, consumer};

#[test]
fn consumers_that_come_and_go_load_each_call_once() -> anyhow::Result<()> {
    on_stage(async |stage| Ok(consumer::rebalanced(stage, "rebalanced", 6).await?.tell()?))
}

#[test]
fn a_consumer_that_goes_on_after_another_has_replaced_it_loads_nothing_again() -> anyhow::Result<()> {
    on_stage(async |stage| Ok(consumer::resumed(stage, "resumed", 3).await?.tell()?))
}

#[test]
fn a_clickhouse_that_stands_still_or_is_full_or_read_only_is_waited_for() -> anyhow::Result<()> {
    on_stage(async |stage| Ok(clickhouse::hampered(stage, "hampered", 1).await?.tell()?))
}
