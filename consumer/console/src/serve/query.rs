//! One `SELECT`. Its text is made of constants; a user's rights are in it from the start; values travel beside it.

use std::fmt::Write as _;

use serde::Serialize;
use uuid::Uuid;

use super::rights::{Administrator, Alias, Scope};

/// What can be selected from, always under the alias `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// One row per session.
    Sessions,
    /// Parts of sessions, several rows each: to find candidates by the order of time; or, read `FINAL`, sessions.
    SessionParts,
    /// One row per frame, each with its own caller.
    Frames,
    /// Frames of the session `{session:UUID}` that starts at `{session_start:Int64}`: whoever may see the session may
    /// see all of it, also rows that know no caller.
    FramesOfSession,
    /// One row per call.
    Calls,
    /// Who looked at what: the user's own looks, and those at sessions of the user's tenants.
    Access,
}

impl Relation {
    fn table(self) -> &'static str {
        match self {
            Self::Sessions => "sessions_v",
            Self::SessionParts => "sessions",
            Self::Frames | Self::FramesOfSession => "frames",
            Self::Calls => "calls_v",
            Self::Access => "access_log",
        }
    }
}

/// What belongs to no tenant, and so to administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// Records that could not be read.
    DeadLetters,
    /// Attempts to read them again.
    Retries,
    /// What is known to be missing.
    Gaps,
}

/// A value that travels beside the text.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Text(String),
    Texts(Vec<String>),
    /// Times, microseconds since 1970, and ids: `Array(Tuple(DateTime64(6, 'UTC'), UUID))`.
    Places(Vec<(i64, String)>),
    Number(i64),
    Count(u64),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Text(id.to_string())
    }
}

impl From<&[(i64, Uuid)]> for Value {
    fn from(places: &[(i64, Uuid)]) -> Self {
        Self::Places(places.iter().map(|(time, id)| (*time, id.to_string())).collect())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Count(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Count(number.into())
    }
}

/// A statement with its values. Outside this file there is no way to put text into it that is not a constant of this
/// program.
#[derive(Clone, Debug)]
pub(super) struct Select {
    /// Whose limits it counts against.
    user: String,
    columns: &'static str,
    table: &'static str,
    join: &'static str,
    /// Invariant: the scope's condition is among them.
    conditions: Vec<String>,
    rest: &'static str,
    values: Vec<(&'static str, Value)>,
}

impl Select {
    /// What the scope's user may see of a relation.
    pub(super) fn new(scope: &Scope, relation: Relation, columns: &'static str) -> Self {
        let own = scope.condition(Alias::T);
        let conditions = match relation {
            // The session's own row decides.
            Relation::FramesOfSession => vec![
                "t.session_start = fromUnixTimestamp64Micro({session_start:Int64}, 'UTC') AND t.session_id = {session:UUID}"
                    .to_owned(),
                format!(
                    "{{session:UUID}} IN (SELECT t.session_id FROM sessions AS t WHERE \
                     t.session_start = fromUnixTimestamp64Micro({{session_start:Int64}}, 'UTC') \
                     AND t.session_id = {{session:UUID}} AND {own})"
                ),
            ],
            Relation::Access => vec![scope.condition_on_access().to_owned()],
            Relation::Sessions | Relation::SessionParts | Relation::Frames | Relation::Calls => vec![own.to_owned()],
        };
        Self {
            user: scope.user().key(),
            columns,
            table: relation.table(),
            join: "",
            conditions,
            rest: "",
            values: vec![
                ("scope_issuer", scope.user().issuer().into()),
                ("scope_subject", scope.user().subject().into()),
                ("scope_tenants", Value::Texts(scope.tenants().to_vec())),
            ],
        }
    }

    /// All frames of the sessions whose `session_id` another statement finds: whoever may see a session may see all of it.
    /// The other statement's values come with it, and its conditions, the scope's among them.
    pub(super) fn frames_of(sessions: Self, columns: &'static str) -> Self {
        Self {
            conditions: vec![format!("t.session_id IN ({})", sessions.text())],
            user: sessions.user,
            columns,
            table: Relation::Frames.table(),
            join: "",
            rest: "",
            values: sessions.values,
        }
    }

    /// What only administrators see, all of it.
    pub(super) fn whole(_: Administrator, scope: &Scope, whole: Whole, columns: &'static str) -> Self {
        Self {
            user: scope.user().key(),
            columns,
            table: match whole {
                Whole::DeadLetters => "deadletters_v",
                Whole::Retries => "retries_v",
                Whole::Gaps => "gaps_v",
            },
            join: "",
            conditions: vec!["1".to_owned()],
            rest: "",
            values: Vec::new(),
        }
    }

    /// What stands between the relation and the conditions: `ARRAY JOIN …`, or `FINAL PREWHERE …` on columns of the key.
    pub(super) fn join(mut self, join: &'static str) -> Self {
        self.join = join;
        self
    }

    /// One more condition.
    pub(super) fn when(mut self, condition: &'static str) -> Self {
        self.conditions.push(condition.to_owned());
        self
    }

    /// One more condition, if there is a value for it.
    pub(super) fn when_given(
        self,
        condition: &'static str,
        name: &'static str,
        value: Option<impl Into<Value>>,
    ) -> Self {
        match value {
            Some(value) => self.when(condition).bind(name, value),
            None => self,
        }
    }

    /// Only sessions of which a frame that the user may see holds the parameter `text`. The parameters `from` and `to`
    /// must be bound: what a search may read is bounded by time.
    pub(super) fn whose_frames_hold_text(mut self, scope: &Scope, text: &str) -> Self {
        self.conditions.push(format!(
            "t.session_id IN (SELECT f.session_id FROM frames AS f \
             WHERE f.session_start >= fromUnixTimestamp64Micro({{from:Int64}}, 'UTC') \
             AND f.session_start < fromUnixTimestamp64Micro({{to:Int64}}, 'UTC') \
             AND positionCaseInsensitiveUTF8(f.payload, {{text:String}}) > 0 AND {})",
            scope.condition(Alias::F)
        ));
        self.bind("text", text)
    }

    /// `GROUP BY`, `ORDER BY`, `LIMIT`.
    pub(super) fn rest(mut self, rest: &'static str) -> Self {
        self.rest = rest;
        self
    }

    /// The value of `{name:Type}`.
    pub(super) fn bind(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.values.push((name, value.into()));
        self
    }

    /// Whose limits it counts against.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The statement's text.
    pub(super) fn text(&self) -> String {
        let mut text = format!("SELECT {} FROM {} AS t {}", self.columns, self.table, self.join);
        for (index, condition) in self.conditions.iter().enumerate() {
            let word = if index == 0 { "WHERE" } else { "AND" };
            // Writing to a string cannot fail.
            let _ = write!(text, " {word} ({condition})");
        }
        let _ = write!(text, " {}", self.rest);
        text
    }

    /// The statement's values, by name.
    pub(super) fn values(&self) -> &[(&'static str, Value)] {
        &self.values
    }
}
