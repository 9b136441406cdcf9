//! How people's programs sign in: they are told where, as which client and for which audience.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::Console;
use crate::serve::access::nothing_recorded;
use crate::serve::problem::{Problem, ProblemBody};

/// Where programs sign in, and as what.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Programs {
    /// The identity provider.
    issuer: String,
    /// The public client as which programs sign in; null: they register themselves (RFC 7591).
    client_id: Option<String>,
    /// What to ask tokens for, as `resource` (RFC 8707).
    audience: String,
    /// What to ask for.
    scopes: Vec<String>,
}

/// Where programs sign in, and as what: authorization code with PKCE to a loopback address, or a device code.
#[utoipa::path(get, path = "/auth/programs", tag = "sign-in", operation_id = "get_programs", security(()),
    responses((status = 200, body = Programs), (status = 404, description = "No tokens are accepted", body = ProblemBody)))]
pub(in crate::serve) async fn programs(State(console): State<Arc<Console>>) -> Result<Response, Problem> {
    let issuer = console.provider.config();
    let audience = issuer.audiences.first();
    let audience = audience.ok_or(Problem::NotFound("this console accepts no tokens of programs"))?;
    // A refresh token, so that nobody signs in every hour.
    let asked_for = ["openid", "offline_access"].map(str::to_owned).into_iter();
    Ok(nothing_recorded(Json(Programs {
        issuer: issuer.url.clone(),
        client_id: issuer.program_client_id.clone(),
        audience: audience.clone(),
        scopes: asked_for.chain(issuer.scopes.iter().cloned()).collect(),
    })))
}
