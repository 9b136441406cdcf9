//! Sessions begin and end.

use tapedeck_schemas::{AuditEvent, Frame};
use uuid::Uuid;

use super::Told;
use super::event::{Code, event};
use super::outcome::Outcome;

/// A session has begun: with the answer to its `initialize`, or with its first frame.
pub(super) fn opened(told: Told<'_>) -> Option<AuditEvent> {
    told.place.starts.then(|| {
        let mut opened = about(told, told.place.session, Code::SessionOpened, ".opened");
        opened.time = opened.actor.session.created_time.min(opened.time);
        opened
    })
}

/// A session is over that had been idle for too long when this frame began another.
pub(super) fn idle(told: Told<'_>) -> Option<AuditEvent> {
    let closed = told.place.closes?;
    let mut idle = about(told, closed.session, Code::SessionClosed, ".closed");
    idle.time = closed.last / 1000;
    idle.actor.session.expiration_reason = Some("idle".to_owned());
    Some(idle)
}

/// The client has deleted its session, and the target agreed.
pub(super) fn ended(told: Told<'_>) -> Option<AuditEvent> {
    deletes(told.frame).then(|| {
        let mut ended = about(told, told.place.session, Code::SessionClosed, ".closed");
        ended.actor.session.expiration_reason = Some("ended".to_owned());
        ended
    })
}

fn deletes(frame: &Frame) -> bool {
    let is_good = frame.http.status.is_some_and(|status| (200..300).contains(&status));
    frame.end.is_some() && frame.session_id.is_some() && is_good && frame.http.method.as_deref() == Some("DELETE")
}

/// An event of a session. What belongs to one exchange of it is left out.
fn about(told: Told<'_>, session: Uuid, code: Code, suffix: &str) -> AuditEvent {
    let mut about = event(told, session, code, Outcome::success(None));
    about.metadata.uid.push_str(suffix);
    (about.start_time, about.duration, about.raw_data_hash) = (None, None, None);
    about.api.response = None;
    about.resources.clear();
    about
}
