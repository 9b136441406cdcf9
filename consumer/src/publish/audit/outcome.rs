use tapedeck_schemas::{Direction, End, Frame, Kind, RpcKind};

use super::event::Code;

/// How what a frame ends has ended.
pub(super) struct Outcome {
    /// OCSF `status_id`.
    pub(super) status: i32,
    /// OCSF `severity_id`.
    pub(super) severity: i32,
    /// The proxy said no.
    pub(super) blocked: bool,
    /// OCSF `status_code`.
    pub(super) code: Option<String>,
    /// Of an error answer: its code, or `tool_error`.
    pub(super) error: Option<String>,
}

impl Outcome {
    pub(super) const UNKNOWN: i32 = 0;
    const SUCCESS: i32 = 1;
    const FAILURE: i32 = 2;

    /// Nothing went wrong.
    pub(super) fn success(code: Option<String>) -> Self {
        Self {
            status: Self::SUCCESS,
            severity: 1,
            blocked: false,
            code,
            error: None,
        }
    }

    fn failure(severity: i32, code: &str) -> Self {
        Self {
            status: Self::FAILURE,
            severity,
            blocked: false,
            code: Some(code.to_owned()),
            error: None,
        }
    }

    /// What a frame ends and how; `None`: nothing.
    pub(super) fn of(frame: &Frame) -> Option<(Code, Self)> {
        match (frame.kind, frame.direction, frame.end) {
            (Kind::Refused, ..) => {
                let rule = frame
                    .decision
                    .as_ref()
                    .map_or("refused", |decision| decision.rule.as_str());
                let refused = Self {
                    blocked: true,
                    ..Self::failure(3, rule)
                };
                Some((Code::Refusal, refused))
            }
            (Kind::Gap, ..) => Some((Code::Gap, Self::failure(4, "gap"))),
            // The answer had its own frame, or there was none to be had.
            (Kind::ExchangeEnd, _, Some(End::Answered | End::Accepted) | None) => None,
            (Kind::ExchangeEnd, _, Some(end)) => {
                let severity = if end == End::Aborted { 4 } else { 2 };
                Some((asked(frame), Self::failure(severity, end.as_str())))
            }
            (Kind::Message, Direction::ToClient, end) if frame.part.last => Self::of_answer(frame, end),
            _ => None,
        }
    }

    fn of_answer(frame: &Frame, end: Option<End>) -> Option<(Code, Self)> {
        let status = frame.http.status.unwrap_or(200);
        let mut outcome = Self::success(Some(status.to_string()));
        let code = match frame.rpc.as_ref().map(|rpc| (rpc.kind, rpc)) {
            // Only an answer to a request of the client: its method was filled in from the request.
            Some((RpcKind::Response | RpcKind::Error, rpc)) if rpc.method.is_some() => {
                let error = match (rpc.error_code, rpc.is_error) {
                    (Some(code), _) => Some((code.to_string(), code.to_string())),
                    (None, Some(true)) => Some(("isError".to_owned(), "tool_error".to_owned())),
                    _ => None,
                };
                if let Some((code, error)) = error {
                    (outcome.code, outcome.error) = (Some(code), Some(error));
                }
                Code::Call
            }
            // A body that is no answer, or none at all, still ends the exchange.
            _ => {
                end?;
                asked(frame)
            }
        };
        if outcome.error.is_some() || status >= 400 {
            outcome.status = Self::FAILURE;
            outcome.severity = 2;
        }
        Some((code, outcome))
    }
}

/// What an exchange was about that ended without an answer to a call: a frame of its end repeats what the client sent.
fn asked(frame: &Frame) -> Code {
    let rpc = frame.rpc.as_ref().filter(|rpc| rpc.method.is_some());
    match rpc {
        Some(rpc) if rpc.id.is_some() => Code::Call,
        Some(_) => Code::Notification,
        None => Code::Exchange,
    }
}
