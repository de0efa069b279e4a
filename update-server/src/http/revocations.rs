//! `/v1/revocations`: the newest revocation list of each domain.

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

/// A domain in a path.
pub(super) struct DomainText(Domain);

impl DomainText {
    pub(super) fn domain(&self) -> Domain {
        self.0
    }
}

impl FromStr for DomainText {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let name = lowercase_hex(text).ok_or(Malformed {
            expected: "a domain is 16 lowercase hexadecimal digits: its first root's kid",
        })?;
        Ok(Self(Domain(Kid(name))))
    }
}

#[derive(Serialize)]
struct Stored {
    domain: String,
    issuer_kid: String,
    list_sequence: u64,
}

#[derive(Serialize)]
pub(super) struct Lists {
    revocations: Vec<List>,
}

#[derive(Serialize)]
struct List {
    domain: String,
    issuer_kid: String,
    list_sequence: u64,
    revoked: Vec<String>,
}

impl From<ListSummary> for List {
    fn from(list: ListSummary) -> Self {
        Self {
            domain: hex::encode(list.domain.0.0),
            issuer_kid: hex::encode(list.issuer_kid.0),
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
    let issuer_kid = hex::encode(list.issuer_kid.0);
    let status = if outcome == ListInsertion::Created { StatusCode::CREATED } else { StatusCode::OK };
    let domain = hex::encode(list.domain.0.0);
    tracing::info!(
        domain,
        list_sequence = list.list_sequence,
        revoked = list.revoked.len(),
        ?outcome,
        "revocation list"
    );
    Ok((status, Json(Stored { domain, issuer_kid, list_sequence: list.list_sequence })).into_response())
}

pub(super) async fn lists(State(app): State<App>) -> Result<Json<Lists>, Problem> {
    let revocations = app.records.lists().into_iter().map(List::from).collect();
    Ok(Json(Lists { revocations }))
}

pub(super) async fn list(
    State(app): State<App>,
    PathValue(DomainText(domain)): PathValue<DomainText>,
) -> Result<Response, Problem> {
    match app.records.list(domain) {
        Some(bytes) => Ok(raw(MEDIA_TYPE, bytes)),
        None => {
            Err(Problem::not_found("revocation-list-unknown", "No revocation list of this domain is stored."))
        }
    }
}
