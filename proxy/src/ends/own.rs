//! What a frame has beside what all frames of its exchange have in common.

use std::mem::swap;

use tapedeck_schemas::{Direction, End, Frame, Kind, Part, Rpc, Sse};

/// What is a frame's own.
#[derive(Debug)]
pub(super) struct Own {
    kind: Kind,
    direction: Direction,
    part: Part,
    pub(super) end: Option<End>,
    pub(super) rpc: Option<Rpc>,
    pub(super) sse: Option<Sse>,
    pub(super) content_type: Option<String>,
    /// Name and version of the client, as it says.
    pub(super) claimed: (Option<String>, Option<String>),
}

impl Own {
    pub(super) fn new(kind: Kind, direction: Direction, part: Part) -> Self {
        Self {
            kind,
            direction,
            part,
            end: None,
            rpc: None,
            sse: None,
            content_type: None,
            claimed: (None, None),
        }
    }

    /// Puts it into a frame, and what the frame had of its own in here; done again, that is undone.
    pub(super) fn swap(&mut self, frame: &mut Frame) {
        swap(&mut self.kind, &mut frame.kind);
        swap(&mut self.direction, &mut frame.direction);
        swap(&mut self.part, &mut frame.part);
        swap(&mut self.end, &mut frame.end);
        swap(&mut self.rpc, &mut frame.rpc);
        swap(&mut self.sse, &mut frame.sse);
        swap(&mut self.content_type, &mut frame.http.content_type);
        swap(&mut self.claimed.0, &mut frame.client.claimed_name);
        swap(&mut self.claimed.1, &mut frame.client.claimed_version);
    }
}

#[cfg(test)]
mod tests {
    use tapedeck_schemas::{Http, RpcKind};

    use super::*;

    #[test]
    fn what_is_a_frames_own_is_not_that_of_the_next() {
        let common = Frame {
            target: "demo".to_owned(),
            http: Http {
                content_type: Some("of the answer".to_owned()),
                ..Http::default()
            },
            ..Frame::default()
        };
        let mut own = Own::new(Kind::Message, Direction::ToTarget, Part { index: 1, last: false });
        own.end = Some(End::Answered);
        own.rpc = Some(Rpc {
            kind: RpcKind::Request,
            ..Rpc::default()
        });
        own.content_type = Some("of the request".to_owned());
        own.claimed = (Some("name".to_owned()), Some("version".to_owned()));
        let mut frame = common.clone();
        own.swap(&mut frame);
        assert_eq!(
            (frame.kind, frame.part.index, frame.end),
            (Kind::Message, 1, Some(End::Answered))
        );
        assert_eq!(frame.http.content_type.as_deref(), Some("of the request"));
        assert_eq!(frame.client.claimed_version.as_deref(), Some("version"));
        assert_eq!(frame.target, "demo");
        own.swap(&mut frame);
        assert_eq!(frame, common);
    }
}
