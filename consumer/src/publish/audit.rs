//! From a recorded frame to the events that a SIEM sees.
//!
//! Every event follows from one frame and its place in the log, so no state is needed and a replay gives the same events
//! under the same ids. Nothing of a payload is in them, not even redacted: what was copied into a SIEM no erasure reaches.
//! Ids lead to the rows that have it.

mod event;
#[cfg(test)]
mod ocsf;
mod outcome;
mod session;
#[cfg(test)]
mod tests;

use tapedeck_schemas::{AuditEvent, End, Frame};
use uuid::Uuid;

use crate::sessions::Place;
use event::Code;
use outcome::Outcome;

/// What may leave of a recorded frame: the frame after redaction, and its place.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The frame: masked, without payload and salts.
    pub frame: &'a Frame,
    /// Its place in its session.
    pub place: &'a Place,
    /// The rest of the message that it is a part of never came.
    pub truncated: bool,
}

/// The events that a frame stands for. One, if it ends something: the answer to a call, an accepted notification, a
/// refusal, an exchange that ended badly, a gap; every call gives exactly one of these frames, and an answer's frame names
/// the request that it answers. One more if it is the first of a session, and one if it shows that a session is over.
#[must_use]
pub fn audit_events(told: Told<'_>) -> Vec<AuditEvent> {
    let mut events = Vec::new();
    events.extend(session::idle(told));
    events.extend(session::opened(told));
    if let Some((code, outcome)) = Outcome::of(told.frame) {
        events.push(event::event(told, told.place.session, code, outcome));
    }
    events.extend(session::ended(told));
    events
}

/// The event of a call that its writer left open when it went away: what happened to it nobody knows. `frame` is its
/// request as the table has it, masked, with the time until which it is known to have been under way.
#[must_use]
pub fn unknown_event(frame: &Frame, session: Uuid) -> AuditEvent {
    let outcome = Outcome {
        status: Outcome::UNKNOWN,
        severity: 4,
        blocked: false,
        code: Some(End::Unknown.as_str().to_owned()),
        error: None,
    };
    let place = Place::default();
    let told = Told {
        frame,
        place: &place,
        truncated: false,
    };
    let mut event = event::event(told, session, Code::Call, outcome);
    // Of the request's place, and apart from whatever event that frame itself may be.
    event.metadata.uid.push_str(".unknown");
    event
}
