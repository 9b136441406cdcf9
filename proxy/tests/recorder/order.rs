//! What is durable is in the topics, in order, and the proof holds.

use std::collections::BTreeMap;
use std::time::Instant;

use tapedeck_proxy::record::{Copies, MESSAGE_TIMEOUT, NotReady, NotRecorded};
use tapedeck_schemas::{Control, ControlBody, Digest, Frame, Kind};

use crate::kafka::{RUNTIME, SOON, message, shared};

#[test]
fn durable_frames_are_in_the_topic_in_order_and_shutdown_seals_and_signs() {
    RUNTIME.block_on(async {
        let cluster = shared().await;
        let topics = cluster.topics().await;
        let recorder = cluster.recorder(&topics, MESSAGE_TIMEOUT);
        recorder.until_ready(Copies::One).await.expect("ready");
        let mut waiting = Vec::new();
        for turn in 0..200 {
            let draft = message(&recorder, &format!("caller {}", turn % 7), &turn.to_string());
            waiting.push(recorder.record(draft, Copies::One).expect("handed over"));
        }
        for pending in waiting {
            let _durable = pending.durable().await.expect("acknowledged");
        }
        recorder.shutdown(Instant::now() + SOON).await.expect("all is sealed");
        let refused = recorder.record(message(&recorder, "late", ""), Copies::One);
        assert_eq!(refused.err(), Some(NotRecorded::NotReady(NotReady::ShuttingDown)));

        let frames = cluster.frames(&topics).await;
        assert_eq!(frames.len(), 200 + 7 * 2);
        let heads = heads_of_verified_segments(&frames);
        assert_eq!(heads.len(), 7);
        let statements = cluster.statements(&topics).await;
        the_statements_verify(&statements);
        let last = statements.last().map(|control| &control.body);
        assert!(matches!(last, Some(ControlBody::WriterStopped(stopped)) if stopped.writer_seq == 214));
        let sealed: BTreeMap<_, _> = statements.iter().filter_map(sealed).collect();
        assert_eq!(sealed, heads);
        let stated: BTreeMap<_, _> = statements.iter().flat_map(manifest_heads).collect();
        assert_eq!(stated, heads.iter().map(|(id, (_, head))| (*id, *head)).collect());
    });
}

/// Segment id to the number of its frames and its head. Panics where a chain does not verify, or frames are not in order.
fn heads_of_verified_segments(frames: &[Frame]) -> BTreeMap<uuid::Uuid, (i64, Digest)> {
    let mut heads = BTreeMap::new();
    let mut payloads = BTreeMap::<_, i64>::new();
    for frame in frames {
        frame.verify_hash().expect("the hash is that of the frame");
        let (count, head) = heads.entry(frame.segment_id).or_insert((0, Digest::ZERO));
        assert_eq!((frame.seq, frame.previous_hash), (*count, *head));
        (*count, *head) = (frame.seq + 1, frame.frame_hash);
        if let Some(payload) = &frame.payload {
            let turn: i64 = std::str::from_utf8(&payload.0)
                .expect("text")
                .parse()
                .expect("a number");
            let before = payloads.insert(frame.session_key, turn);
            assert!(
                before.is_none_or(|before| before + 7 == turn),
                "in the order of the calls"
            );
        }
    }
    heads
}

fn the_statements_verify(statements: &[Control]) {
    let Some(ControlBody::WriterStarted(started)) = statements.first().map(|control| &control.body) else {
        panic!("a writer's first statement is its key");
    };
    let mut previous = Digest::ZERO;
    for (seq, statement) in statements.iter().enumerate() {
        statement.verify(&started.public_key).expect("the writer's signature");
        assert_eq!((statement.control_seq, statement.previous_hash), (seq as i64, previous));
        previous = statement.hash();
    }
}

fn sealed(control: &Control) -> Option<(uuid::Uuid, (i64, Digest))> {
    match &control.body {
        ControlBody::SegmentSealed(sealed) => {
            assert_eq!(sealed.reason, "shutdown");
            Some((sealed.segment_id, (sealed.count, sealed.head)))
        }
        _ => None,
    }
}

fn manifest_heads(control: &Control) -> Vec<(uuid::Uuid, Digest)> {
    match &control.body {
        ControlBody::WriterManifest(manifest) => {
            manifest.heads.iter().map(|head| (head.segment_id, head.head)).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_caller_that_is_gone_changes_nothing_about_the_record() {
    RUNTIME.block_on(async {
        let cluster = shared().await;
        let topics = cluster.topics().await;
        let recorder = cluster.recorder(&topics, MESSAGE_TIMEOUT);
        recorder.until_ready(Copies::One).await.expect("ready");
        drop(
            recorder
                .record(message(&recorder, "gone", "kept"), Copies::One)
                .expect("handed over"),
        );
        recorder.record_unwaited(message(&recorder, "gone", "kept too"));
        recorder.refuse_stranger(message(&recorder, "stranger", "refused"));
        recorder.shutdown(Instant::now() + SOON).await.expect("all is sealed");
        let frames = cluster.frames(&topics).await;
        let messages = frames.iter().filter(|frame| frame.kind == Kind::Message);
        assert_eq!(messages.count(), 3);
    });
}
