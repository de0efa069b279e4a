//! `/v1/revocations`: the newest revocation list of each anchor.

use std::str::FromStr;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use trust::{Domain, Kid, MAX_REVOCATION_LIST_LEN};

use super::extract::{MayWrite, PathValue};
use super::problem::Problem;
use super::{App, body, raw};
use crate::domain::records::ListSummary;
use crate::domain::{Malformed, lowercase_hex, unix_now};
use crate::store::ListInsertion;

/// RFC 8392 section 9.1; the kind of CWT is in its `typ`.
const MEDIA_TYPE: &str = "application/cwt";

/// A kid in a path.
pub(super) struct KidText(Kid);

impl FromStr for KidText {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let kid =
            lowercase_hex(text).ok_or(Malformed { expected: "a kid is 16 lowercase hexadecimal digits" })?;
        Ok(Self(Kid(kid)))
    }
}

#[derive(Serialize)]
struct Stored {
    kid: String,
    list_sequence: u64,
}

#[derive(Serialize)]
pub(super) struct Lists {
    revocations: Vec<List>,
}

#[derive(Serialize)]
struct List {
    kid: String,
    list_sequence: u64,
    revoked: Vec<String>,
}

impl From<ListSummary> for List {
    fn from(list: ListSummary) -> Self {
        Self {
            kid: hex::encode(list.kid.0),
            list_sequence: list.list_sequence,
            revoked: list.revoked.into_iter().map(hex::encode).collect(),
        }
    }
}

pub(super) async fn put_list(
    _: MayWrite,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts.headers, body, MAX_REVOCATION_LIST_LEN as u64).await?;
    let (outcome, list) = app.records.put_list(bytes.to_vec(), unix_now()).await?;
    // So that no reader has to wait for it.
    app.catalogue.bring_up_to(unix_now()).await?;
    let status = if outcome == ListInsertion::Created { StatusCode::CREATED } else { StatusCode::OK };
    let kid = hex::encode(list.kid.0);
    tracing::info!(
        kid,
        list_sequence = list.list_sequence,
        revoked = list.revoked.len(),
        ?outcome,
        "revocation list"
    );
    Ok((status, Json(Stored { kid, list_sequence: list.list_sequence })).into_response())
}

pub(super) async fn lists(State(app): State<App>) -> Result<Json<Lists>, Problem> {
    let revocations = app.records.lists().into_iter().map(List::from).collect();
    Ok(Json(Lists { revocations }))
}

pub(super) async fn list(
    State(app): State<App>,
    PathValue(KidText(kid)): PathValue<KidText>,
) -> Result<Response, Problem> {
    match app.records.list(Domain(kid)) {
        Some(bytes) => Ok(raw(MEDIA_TYPE, bytes)),
        None => {
            Err(Problem::not_found("revocation-list-unknown", "This anchor has no revocation list here."))
        }
    }
}
