//! Who is signed in, and what that is worth.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::Console;
use crate::serve::access::nothing_recorded;
use crate::serve::identity::Caller;
use crate::serve::problem::ProblemBody;
use crate::serve::rights::Role;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// `iss` of the token.
    issuer: String,
    /// `sub` of the token.
    subject: String,
    /// Name, as the issuer has it.
    name: Option<String>,
    /// E-mail address, as the issuer has it.
    email: Option<String>,
    /// All rights, the least first.
    #[schema(inline)]
    roles: Vec<Role>,
    /// The tenants of an auditor.
    tenants: Vec<String>,
    /// Whether values that tokens stand for can be searched for: the console has keys, and the caller audits a tenant.
    finds_values: bool,
    /// For `X-CSRF-Token` with unsafe methods; null for bearers of tokens, who need none.
    csrf_token: Option<String>,
}

/// Who is signed in, and what that is worth.
#[utoipa::path(get, path = "/api/v1/me", tag = "sign-in", operation_id = "get_me",
    responses((status = 200, body = Me), (status = "4XX", body = ProblemBody)))]
pub(super) async fn me(State(console): State<Arc<Console>>, caller: Caller) -> Response {
    let (scope, user) = (caller.scope(), caller.scope().user());
    let me = Me {
        issuer: user.issuer().to_owned(),
        subject: user.subject().to_owned(),
        name: user.name().map(str::to_owned),
        email: user.email().map(str::to_owned),
        roles: scope.roles().to_vec(),
        tenants: scope.tenants().to_vec(),
        finds_values: console.values.is_some() && scope.auditor().is_ok(),
        csrf_token: caller.csrf_token().map(str::to_owned),
    };
    let mut response = nothing_recorded(Json(me));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
