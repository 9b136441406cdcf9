//! What the target answers, by path; so whoever calls it knows what to expect.

use bytes::Bytes;

pub(super) const KIBIBYTE: usize = 1024;

/// The tool's result for the call with id 1, in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// As the one event of a stream, instead of a JSON document.
    pub(super) is_stream: bool,
    /// Of the JSON-RPC message.
    pub(super) bytes: usize,
}

impl Answer {
    /// 1 KiB of JSON.
    pub(super) const SMALL: Self = Self {
        is_stream: false,
        bytes: KIBIBYTE,
    };

    /// Those that proxies are compared by.
    pub(super) const ALL: [Self; 4] = [
        Self::SMALL,
        Self {
            is_stream: false,
            bytes: 64 * KIBIBYTE,
        },
        Self {
            is_stream: true,
            bytes: KIBIBYTE,
        },
        Self {
            is_stream: true,
            bytes: 64 * KIBIBYTE,
        },
    ];

    /// Where it is, without a slash: such as `json-1024`.
    pub(super) fn place(self) -> String {
        format!("{}-{}", if self.is_stream { "events" } else { "json" }, self.bytes)
    }

    /// The answer at a path; [`Answer::SMALL`] at those that name none.
    pub(super) fn at(path: &str) -> Self {
        let named = |answer: &Self| path.strip_prefix('/') == Some(&answer.place());
        Self::ALL.into_iter().find(named).unwrap_or(Self::SMALL)
    }

    /// For people, such as `64 KiB of JSON`.
    pub(super) fn title(self) -> String {
        let form = if self.is_stream { "in an event" } else { "of JSON" };
        format!("{} KiB {form}", self.bytes / KIBIBYTE)
    }

    pub(super) fn content_type(self) -> &'static str {
        if self.is_stream {
            "text/event-stream"
        } else {
            "application/json"
        }
    }

    /// The whole body.
    pub(super) fn body(self) -> Bytes {
        let (head, tail) = PARTS;
        let message = format!("{head}{}{tail}", self.text());
        Bytes::from(if self.is_stream {
            format!("event: message\ndata: {message}\n\n")
        } else {
            message
        })
    }

    /// The text in it, which whoever passes the answer on may wrap differently.
    pub(super) fn text(self) -> String {
        let (head, tail) = PARTS;
        let mut text = "ok ".repeat(self.bytes / 3 + 1);
        text.truncate(self.bytes - head.len() - tail.len());
        text
    }
}

/// What stands before and after the text of a result.
pub(super) const PARTS: (&str, &str) = (
    r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":""#,
    r#""}]}}"#,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_found_at_its_place_and_has_its_size() {
        for answer in Answer::ALL {
            assert_eq!(Answer::at(&format!("/{}", answer.place())), answer);
            let body = answer.body();
            let message = body.strip_prefix(b"event: message\ndata: ".as_slice()).unwrap_or(&body);
            assert_eq!(message.trim_ascii_end().len(), answer.bytes);
            serde_json::from_slice::<serde_json::Value>(message).expect("JSON");
        }
        assert_eq!(Answer::at("/mcp"), Answer::SMALL);
    }
}
