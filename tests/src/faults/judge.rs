//! The judge of what clients saw. That the record is sound by itself is the business of [`Tape::verify`]; here it is held
//! against the calls, what reached the target, the sessions' totals, and the events.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::Tape;
use crate::oracle::table::Row;
use crate::oracle::{Wrong, calls, sessions};
use tapedeck_schemas::{Direction, Kind};
use uuid::Uuid;

use super::load::{Call, Seen};
use super::stage::Scene;

/// Reads the whole record of a test and judges it. Call when nothing is written any more.
pub async fn judge(scene: &Scene, calls: &[Call], received: &[String]) -> anyhow::Result<Tape> {
    let tape = Tape::read(&scene.kafka, &scene.database).await?;
    tape.verify()?;
    let mut wrong = Wrong::default();
    let (requests, answers) = messages(&tape);
    for call in calls {
        judge_call(call, &requests, &answers, &mut wrong);
    }
    judge_target(calls, received, &requests, &mut wrong);
    judge_events(&tape, &mut wrong);
    wrong.verdict("the record and what clients saw")?;
    sessions::verify(&scene.database, &tape.rows).await?;
    calls::verify(&scene.database, &tape.rows).await?;
    Ok(tape)
}

/// What was recorded on its way to the target, by body.
type Requests<'a> = HashMap<&'a [u8], Vec<&'a Row>>;

/// What came back, by exchange.
type Answers<'a> = HashMap<Uuid, Vec<&'a Row>>;

fn messages(tape: &Tape) -> (Requests<'_>, Answers<'_>) {
    let (mut requests, mut answers) = (Requests::new(), Answers::new());
    for row in tape.rows.iter().filter(|row| row.kind == "message") {
        match row.direction.as_str() {
            "to_target" => requests.entry(&row.payload.0).or_default().push(row),
            _ => answers.entry(row.exchange_id).or_default().push(row),
        }
    }
    (requests, answers)
}

/// No call is on record twice; an answered one is there once, with the answer that the client saw.
fn judge_call(call: &Call, requests: &Requests<'_>, answers: &Answers<'_>, wrong: &mut Wrong) {
    let recorded = requests.get(call.request.as_ref()).map_or(&[][..], Vec::as_slice);
    wrong.unless(recorded.len() <= 1, || {
        format!("“{}” is on record {} times", call.text, recorded.len())
    });
    let Seen::Answered(body) = &call.seen else { return };
    let Some(request) = recorded.first() else {
        return wrong.add(format!("“{}” was answered and is not on record", call.text));
    };
    let answers = answers.get(&request.exchange_id).map_or(&[][..], Vec::as_slice);
    match answers {
        [answer] => wrong.unless(answer.payload.0 == *body && answer.ended == "answered", || {
            format!(
                "the answer to “{}” is on record as {} bytes, {}",
                call.text,
                answer.payload.0.len(),
                answer.ended
            )
        }),
        _ => wrong.add(format!(
            "“{}” was answered once and has {} answers on record",
            call.text,
            answers.len()
        )),
    }
}

/// What reached the target came once, from a client, is on record, and was not refused as unrecorded.
fn judge_target(calls: &[Call], received: &[String], requests: &Requests<'_>, wrong: &mut Wrong) {
    let mut arrived: HashMap<&str, usize> = HashMap::new();
    for text in received {
        *arrived.entry(text).or_default() += 1;
    }
    for call in calls {
        let text = call.text.as_str();
        let Some(times) = arrived.remove(text) else {
            let answered = matches!(call.seen, Seen::Answered(_));
            wrong.unless(!answered, || {
                format!("“{text}” was answered, and the target has not seen it")
            });
            continue;
        };
        wrong.unless(times == 1, || {
            format!("“{text}” was forwarded {times} times ({})", call.seen)
        });
        wrong.unless(requests.contains_key(call.request.as_ref()), || {
            format!("“{text}” reached the target and is not on record ({})", call.seen)
        });
        // 503 promises that the target has seen nothing.
        wrong.unless(!call.is_unavailable(), || {
            format!("“{text}” reached the target ({})", call.seen)
        });
    }
    for text in arrived.keys() {
        wrong.add(format!("“{text}” reached the target, and no client sent it"));
    }
}

/// Every answer to a request and every refusal has its event, every event its frame.
fn judge_events(tape: &Tape, wrong: &mut Wrong) {
    let published: BTreeSet<&str> = tape.audit.iter().map(|event| event.metadata.uid.as_str()).collect();
    let mut known = HashSet::new();
    for frame in tape.recorded.iter().map(|recorded| &recorded.frame) {
        let id = format!("{}.{}", frame.segment_id, frame.seq);
        let has_method = frame.rpc.as_ref().is_some_and(|rpc| rpc.method.is_some());
        let is_answer = frame.kind == Kind::Message && frame.direction == Direction::ToClient && frame.part.last;
        if is_answer && has_method || frame.kind == Kind::Refused {
            wrong.unless(published.contains(id.as_str()), || {
                format!("the event {id} was not published")
            });
        }
        known.insert(id);
    }
    for id in published {
        // A conclusion about a call, or a session, has its frame's id and a word behind it.
        let words = [".unknown", ".opened", ".closed"];
        let frame = words.iter().find_map(|word| id.strip_suffix(word)).unwrap_or(id);
        wrong.unless(known.contains(frame), || format!("the event {id} has no frame"));
    }
}
