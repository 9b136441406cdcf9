use tapedeck_schemas::{Direction, Kind, RpcKind};

use super::Event;

/// Requests of one exchange that are remembered. Beyond it the exchange's end is not written on their calls.
const MOST: usize = 1000;

/// The requests of one exchange, in the order of the log: `>` and the JSON-RPC id where the client asked, `<` where the
/// target did. Of one batch there are several, and a stream may ask the client as often as it likes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked(Vec<String>);

impl Asked {
    /// As rows say, in the order of the log; an id may be there twice.
    pub(super) fn restore(marks: Vec<String>) -> Self {
        let mut asked = Self::default();
        marks.into_iter().for_each(|mark| asked.add(mark));
        asked
    }

    /// Notes a request.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        if event.kind == Kind::Message
            && event.whole
            && event.rpc == RpcKind::Request
            && let Some((sign, id)) = own(event)
        {
            self.add(format!("{sign}{id}"));
        }
    }

    /// The calls that a frame ends or answers as a whole, but for the one that it names itself: what the column
    /// `concerns` holds.
    pub(super) fn concerned(&self, event: &Event<'_>) -> Vec<String> {
        let is_about_all = event.ends || (event.id.is_none() && event.is_own_answer());
        if self.0.is_empty() || !is_about_all {
            return Vec::new();
        }
        let own = own(event);
        let is_own = |mark: &str| own.is_some_and(|(sign, id)| mark.strip_prefix(sign) == Some(id));
        let others = self.0.iter().filter(|mark| !is_own(mark));
        others.cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn add(&mut self, mark: String) {
        if self.0.len() < MOST && !self.0.contains(&mark) {
            self.0.push(mark);
        }
    }
}

/// The call of its exchange that a frame names, as the view over `frames` has it: a request is asked in its own direction,
/// an answer answers the opposite, and an end repeats what the client asked.
fn own<'a>(event: &Event<'a>) -> Option<(char, &'a str)> {
    let id = event.id?;
    let has_method = event.method.is_some_and(|method| !method.is_empty());
    let sign = match (event.kind, event.rpc) {
        (Kind::Message | Kind::Refused, RpcKind::Request) if event.direction == Direction::ToClient => '<',
        (Kind::Message | Kind::Refused, RpcKind::Request) => '>',
        (Kind::ExchangeEnd, _) if has_method => '>',
        _ if event.is_own_answer() => '>',
        _ => return None,
    };
    Some((sign, id))
}
