//! Which sessions: the same parameters wherever sessions are listed or counted.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parameters::Term;
use crate::serve::query::Select;
use crate::serve::rights::Scope;
use crate::serve::time::{Asked, Time};

/// Without times, free text is looked for in what began within so long: it is read, not looked up.
const SEARCHED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What came of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SessionOutcome {
    /// Nothing went wrong in it.
    Ok,
    /// At least one error, refusal or bad end.
    Error,
}

/// All that are given must fit.
#[derive(Clone, Debug, Default, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct SessionFilter {
    /// Subject, e-mail address or name of the caller.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Term>,
    /// Name of the target.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<Term>,
    /// Tool, prompt or resource that was used.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool: Option<Term>,
    /// What came of it.
    #[param(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<SessionOutcome>,
    /// Begun at or after.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Asked>,
    /// Begun before.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<Asked>,
    /// The client's own name, or its OAuth client id.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<Term>,
    /// The tenant.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<Term>,
    /// Text in what was said, upper and lower case alike. Without `from`, the last seven days are searched.
    #[param(value_type = Option<String>, max_length = 512)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Term>,
}

impl SessionFilter {
    /// From when on sessions fit.
    pub(super) fn begun_from(&self) -> Option<Time> {
        match (self.from, &self.text) {
            (Some(Asked(from)), _) => Some(from),
            (None, Some(_)) => Some(self.until().minus(SEARCHED)),
            (None, None) => None,
        }
    }

    fn until(&self) -> Time {
        self.to.map_or_else(Time::now, |Asked(to)| to)
    }

    /// Conditions on parts of sessions of which every session that fits has one that meets them, since every state of a part
    /// only grows. They read what the table keeps for them.
    ///
    /// No part need show two of a tool, a client's name and an error: only one of them is looked for, the rarest. Who the
    /// caller is stands in every part.
    pub(super) fn of_any_part(&self, scope: &Scope, select: Select) -> Select {
        let select = self.of_either(scope, select).when_given(
            "has(t.caller_hashes, cityHash64({user:String}))",
            "user",
            text(&self.user),
        );
        match (&self.tool, &self.client, self.outcome) {
            (Some(tool), ..) => {
                let condition = "has(t.name_hashes, cityHash64({tool:String}))";
                select.when(condition).bind("tool", tool.as_str())
            }
            (None, Some(_), _) => self.of_client(select),
            (None, None, Some(SessionOutcome::Error)) => select.when("t.errors > 0"),
            _ => select,
        }
    }

    /// Whether a session fits if one part of it does, and only then.
    pub(super) fn is_of_one_part(&self) -> bool {
        let failed = self.outcome == Some(SessionOutcome::Error);
        let conditions = [self.tool.is_some(), self.client.is_some(), failed];
        let conditions = conditions.into_iter().filter(|is_given| *is_given).count();
        conditions <= 1 && self.outcome != Some(SessionOutcome::Ok)
    }

    /// All conditions, on whole sessions.
    pub(super) fn of_whole(&self, scope: &Scope, select: Select) -> Select {
        let select = self
            .of_either(scope, select)
            .when_given(
                "has([t.subject, t.principal_email, t.principal_name], {user:String})",
                "user",
                text(&self.user),
            )
            .when_given("has(t.names, {tool:String})", "tool", text(&self.tool));
        let select = self.of_client(select);
        match self.outcome {
            Some(SessionOutcome::Ok) => select.when("t.errors = 0"),
            Some(SessionOutcome::Error) => select.when("t.errors > 0"),
            None => select,
        }
    }

    fn of_client(&self, select: Select) -> Select {
        select.when_given(
            "has([t.client_name, t.client_id], {client:String})",
            "client",
            text(&self.client),
        )
    }

    /// The times alone, on frames of sessions that fit: what the table of frames is ordered by. The values are those of the
    /// statement that finds the sessions.
    pub(super) fn times_of_frames(&self, select: Select) -> Select {
        let select = match self.begun_from() {
            Some(_) => select.when("t.session_start >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')"),
            None => select,
        };
        match self.to {
            Some(_) => select.when("t.session_start < fromUnixTimestamp64Micro({to:Int64}, 'UTC')"),
            None => select,
        }
    }

    /// Conditions that both have.
    fn of_either(&self, scope: &Scope, select: Select) -> Select {
        let select = select
            .when_given(
                "t.session_start >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')",
                "from",
                self.begun_from().map(Time::microseconds),
            )
            .when_given("t.target = {target:String}", "target", text(&self.target))
            .when_given("t.tenant = {tenant:String}", "tenant", text(&self.tenant));
        let select = match self.to {
            Some(Asked(to)) => select
                .when("t.session_start < fromUnixTimestamp64Micro({to:Int64}, 'UTC')")
                .bind("to", to.microseconds()),
            // A search needs an end, too.
            None => select.bind("to", Time::now().microseconds()),
        };
        match &self.text {
            Some(term) => select.whose_frames_hold_text(scope, term.as_str()),
            None => select,
        }
    }
}

fn text(term: &Option<Term>) -> Option<String> {
    term.as_ref().map(|term| term.as_str().to_owned())
}
