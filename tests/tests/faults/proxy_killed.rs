//! The proxy is killed under its clients.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::ensure;
use tapedeck_schemas::wire::decode_control;
use tapedeck_schemas::{ControlBody, Kind};
use tapedeck_tests::Tape;
use uuid::Uuid;

use tapedeck_tests::faults::judge::judge;
use tapedeck_tests::faults::stage::{Front, Scene, on_stage};

const KILLS: usize = 3;

/// One key, one partition: what was under way at a kill is the end of the writer's frames. Over several partitions a
/// frame may be in the log without one that its writer numbered before.
const ONE_CALLER: usize = 1;

#[test]
fn killing_the_proxy_leaves_on_record_what_clients_saw_and_its_last_segments_unsealed() -> anyhow::Result<()> {
    on_stage(async |stage| {
        let broker = stage.broker().await?;
        let scene = Scene::set(stage, "proxy_killed", broker, stage.clickhouse().await?).await?;
        let front = Front::start(stage, &scene, ONE_CALLER).await?;
        let consumer = scene.loader.start(None)?;
        let load = front.load(8, Duration::from_millis(25))?;
        for _ in 0..KILLS {
            load.more_answers(200).await?;
            front.proxy.service().kill();
            front.proxy.service().restart().await?;
        }
        load.more_answers(200).await?;

        let calls = load.finish().await;
        // The last writer says goodbye, and seals.
        front.proxy.service().stop().await;
        scene.settled().await?;
        ensure!(consumer.stop().await?.success(), "the consumer did not end well");
        let tape = judge(&scene, &calls, &front.probe.echoes().await?).await?;
        only_the_last_writer_sealed(&tape)
    })
}

fn only_the_last_writer_sealed(tape: &Tape) -> anyhow::Result<()> {
    let (mut started, mut stopped, mut stated) = (HashSet::new(), HashSet::new(), HashSet::new());
    for record in &tape.statements {
        let statement = decode_control(&record.value)?;
        match statement.body {
            ControlBody::WriterStarted(_) => started.insert(statement.writer_id),
            ControlBody::WriterStopped(_) => stopped.insert(statement.writer_id),
            ControlBody::SegmentSealed(seal) => stated.insert(seal.segment_id),
            ControlBody::WriterManifest(_) => false,
        };
    }
    ensure!(
        started.len() == KILLS + 1,
        "{} writers started, not {}",
        started.len(),
        KILLS + 1
    );
    ensure!(stopped.len() == 1, "{} writers said goodbye, not 1", stopped.len());

    let (mut segments, mut sealed) = (HashMap::new(), HashSet::new());
    for frame in tape.recorded.iter().map(|recorded| &recorded.frame) {
        segments.insert(frame.segment_id, frame.writer_id);
        if frame.kind == Kind::SegmentSealed {
            sealed.insert(frame.segment_id);
        }
    }
    let writers: HashSet<Uuid> = segments.values().copied().collect();
    ensure!(
        writers == started,
        "frames are of the writers {writers:?}, started have {started:?}"
    );
    for (segment, writer) in &segments {
        let should = stopped.contains(writer);
        let (is, is_stated) = (sealed.contains(segment), stated.contains(segment));
        ensure!(
            is == should && is_stated == should,
            "segment {segment} of writer {writer}: sealed {is}, stated {is_stated}; the writer said goodbye: {should}"
        );
    }
    Ok(())
}
