//! The proxy is told to stop (SIGTERM) under calls.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tapedeck_schemas::wire::decode_control;
use tapedeck_schemas::{ControlBody, Kind};
use tapedeck_tests::{Tape, until};

use tapedeck_tests::faults::judge::judge;
use tapedeck_tests::faults::load::Seen;
use tapedeck_tests::faults::stage::{CALLERS, Front, Scene, on_stage, stopped};

#[test]
fn stopping_under_calls_finishes_cuts_and_seals_and_loses_none() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let broker = stage.broker().await?;
        let scene = Scene::set(stage, "drained", broker, stage.clickhouse().await?).await?;
        let front = Front::start(stage, &scene, CALLERS).await?;
        // A call that would take for ever.
        let mut patient = front.client(0)?;
        let held = tokio::spawn(async move { patient.call("hold", json!({})).await });
        until(async || {
            Ok(match front.probe.accounts().await?.messages {
                1 => Ok(()),
                other => Err(format!("{other} calls have arrived, not 1")),
            })
        })
        .await?;
        let load = front.load(32, Duration::from_millis(5))?;
        load.more_answers(300).await?;

        stopped(&front.proxy).await?;
        let calls = load.finish().await;
        let cut = held.await??;
        ensure!(cut.status == 502, "{}", cut.text());
        let reason = &cut.message()?["error"]["data"]["reason"];
        ensure!(reason == "stopping", "{reason}");
        // What was under way was answered; who came later found nobody, or was told so.
        let answered = calls
            .iter()
            .filter(|call| matches!(call.seen, Seen::Answered(_)))
            .count();
        ensure!(answered >= 300, "{answered} calls were answered");
        for call in &calls {
            let is_broken = matches!(call.seen, Seen::Broken(_));
            let is_answered = matches!(call.seen, Seen::Answered(_));
            ensure!(
                is_answered || is_broken || call.is_unavailable(),
                "“{}”: {}",
                call.text,
                call.seen
            );
        }

        scene.load().await?;
        let tape = judge(&scene, &calls, &front.probe.echoes().await?).await?;
        let ends: Vec<&str> = tape
            .rows
            .iter()
            .filter(|row| row.rpc_name == "hold" && !row.ended.is_empty())
            .map(|row| row.ended.as_str())
            .collect();
        ensure!(ends == ["aborted"], "the call that was cut ended by {ends:?}");
        all_is_sealed(&tape)
    })
}

fn all_is_sealed(tape: &Tape) -> anyhow::Result<()> {
    let mut stopped = 0;
    for record in &tape.statements {
        stopped += usize::from(matches!(
            decode_control(&record.value)?.body,
            ControlBody::WriterStopped(_)
        ));
    }
    ensure!(stopped == 1, "{stopped} writers said goodbye, not 1");
    let segments_of = |kind: Kind| -> HashSet<_> {
        let frames = tape.recorded.iter().map(|recorded| &recorded.frame);
        frames
            .filter(|frame| frame.kind == kind)
            .map(|frame| frame.segment_id)
            .collect()
    };
    let (opened, sealed) = (segments_of(Kind::SegmentOpened), segments_of(Kind::SegmentSealed));
    ensure!(
        opened == sealed && !sealed.is_empty(),
        "segments {opened:?} were opened, {sealed:?} sealed"
    );
    Ok(())
}
