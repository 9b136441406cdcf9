//! A target dies in the middle of its answers, under calls, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use tapedeck_tests::Tape;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::streamer::Streamer;
use crate::streams::{Ended, Era, Streamed, call, judge};
use tapedeck_tests::faults::stage::{CALLERS, Scene, on_stage, proxy_before, stopped};

const CLIENTS: usize = 12;
const DEATHS: usize = 4;

#[test]
fn a_target_that_dies_in_mid_stream_cuts_its_answers_and_the_record_says_so() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let broker = stage.broker().await?;
        let scene = Scene::set(stage, "target_dies", broker, stage.clickhouse().await?).await?;
        let target = Streamer::start().await?;
        let (proxy, tokens) = proxy_before(stage, &scene, CALLERS, &target.url(), "required").await?;
        let endpoint: Url = proxy.endpoint("probe").parse()?;

        let (stop, ended) = (CancellationToken::new(), watch::Sender::new((0_usize, 0_usize)));
        let (next, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(ended));
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (endpoint, token) = (endpoint.clone(), tokens[client % tokens.len()].clone());
            let (stop, next, ended) = (stop.clone(), Arc::clone(&next), Arc::clone(&ended));
            let era = if client % 2 == 0 { Era::Legacy } else { Era::Modern };
            clients.spawn(async move {
                let mut calls = Vec::new();
                while !stop.is_cancelled() {
                    let text = format!("call {}", next.fetch_add(1, Ordering::Relaxed));
                    let streamed = call(&endpoint, &token, era, text, None).await;
                    let is_whole = streamed.ended == Ended::Clean;
                    ended.send_modify(|(whole, other)| if is_whole { *whole += 1 } else { *other += 1 });
                    calls.push(streamed);
                }
                calls
            });
        }
        let mut counts = ended.subscribe();
        for _ in 0..DEATHS {
            let goal = counts.borrow_and_update().0 + 60;
            counts.wait_for(|(whole, _)| *whole >= goal).await?;
            let goal = counts.borrow_and_update().1 + CLIENTS;
            target.kill().await;
            counts.wait_for(|(_, other)| *other >= goal).await?;
            target.restart()?;
        }
        let goal = counts.borrow_and_update().0 + 60;
        counts.wait_for(|(whole, _)| *whole >= goal).await?;
        stop.cancel();
        let calls: Vec<Streamed> = clients.join_all().await.into_iter().flatten().collect();
        stopped(&proxy).await?;
        scene.load().await?;
        let tape = Tape::read(&scene.kafka, &scene.database).await?;
        tape.verify()?;
        judge(&tape, &calls, &target.texts())?;
        let cut = calls.iter().filter(|call| call.ended == Ended::Cut).count();
        ensure!(cut >= DEATHS, "{cut} streams were cut in {DEATHS} deaths");
        Ok(())
    })
}
