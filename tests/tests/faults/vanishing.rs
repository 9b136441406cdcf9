//! Clients go away in the middle of their answers, many at once, in both eras' meaning.

use anyhow::ensure;
use tapedeck_tests::{Tape, metric_is};
use tokio::task::JoinSet;
use url::Url;

use crate::streamer::{FIRST, Streamer};
use crate::streams::{Ended, Era, Streamed, call, judge};
use tapedeck_tests::faults::stage::{CALLERS, Scene, on_stage, proxy_before, stopped};

const OF_EACH: usize = 60;

#[test]
fn clients_that_vanish_cancel_in_one_era_and_in_the_other_leave_their_answers_to_the_record() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let broker = stage.broker().await?;
        let scene = Scene::set(stage, "vanishing", broker, stage.clickhouse().await?).await?;
        let target = Streamer::start().await?;
        let (proxy, tokens) = proxy_before(stage, &scene, CALLERS, &target.url(), "required").await?;
        let endpoint: Url = proxy.endpoint("probe").parse()?;

        // No stream ends before all clients are gone.
        target.hold(true);
        let mut counts = target.counts();
        let mut clients = JoinSet::new();
        for number in 0..2 * OF_EACH {
            let (endpoint, token) = (endpoint.clone(), tokens[number % tokens.len()].clone());
            let era = if number % 2 == 0 { Era::Legacy } else { Era::Modern };
            let leave_after = 1 + number % FIRST;
            clients
                .spawn(async move { call(&endpoint, &token, era, format!("call {number}"), Some(leave_after)).await });
        }
        let mut calls: Vec<Streamed> = clients.join_all().await;
        for gone in &calls {
            ensure!(gone.ended == Ended::Left, "{gone}");
        }
        // Those that cancelled are gone from the target, too; it sends the others on.
        counts.wait_for(|counts| counts.abandoned == OF_EACH).await?;
        target.hold(false);
        counts.wait_for(|counts| counts.finished == OF_EACH).await?;
        // The proxy has read them to their end, and serves on.
        metric_is(proxy.service(), "tapedeck_proxy_in_flight", "0").await?;
        for era in [Era::Legacy, Era::Modern] {
            calls.push(call(&endpoint, &tokens[0], era, format!("after, {era:?}"), None).await);
        }
        stopped(&proxy).await?;
        scene.load().await?;
        let tape = Tape::read(&scene.kafka, &scene.database).await?;
        tape.verify()?;
        judge(&tape, &calls, &target.texts())?;
        let whole = calls.iter().filter(|call| call.ended == Ended::Clean).count();
        ensure!(whole == 2, "{whole} of the last two calls were answered");
        ensure!(
            target.texts().len() == 2 * OF_EACH + 2,
            "{} calls arrived",
            target.texts().len()
        );
        Ok(())
    })
}
