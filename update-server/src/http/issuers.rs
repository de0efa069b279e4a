//! `/v1/issuers`: the credentials of issuing keys, through which devices are verified.

use std::str::FromStr;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use trust::{Kid, MAX_CREDENTIAL_LEN};

use super::extract::{MayWrite, PathPair};
use super::problem::Problem;
use super::revocations::DomainText;
use super::{App, body, raw};
use crate::domain::identities::IssuerSummary;
use crate::domain::{Malformed, unix_now};
use crate::store::IssuerInsertion;

/// RFC 8392 section 9.1.
const MEDIA_TYPE: &str = "application/cwt";

/// A kid in a path.
pub(super) struct KidText(Kid);

impl FromStr for KidText {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        super::devices::kid(text).map(Self)
    }
}

#[derive(Serialize)]
struct Issuer {
    domain: Option<String>,
    kid: String,
    name: String,
    vendor: String,
    classes: Vec<String>,
    issuer_kid: String,
    issued_at: u64,
    expires: Option<u64>,
    /// Why it does not verify now.
    refusal: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct Issuers {
    issuers: Vec<Issuer>,
}

impl From<IssuerSummary> for Issuer {
    fn from(issuer: IssuerSummary) -> Self {
        Self {
            domain: issuer.domain.map(|domain| hex::encode(domain.0.0)),
            kid: hex::encode(issuer.kid.0),
            name: issuer.name,
            vendor: issuer.vendor.to_string(),
            classes: issuer.classes.iter().map(ToString::to_string).collect(),
            issuer_kid: hex::encode(issuer.issuer_kid.0),
            issued_at: issuer.issued_at,
            expires: issuer.expires,
            refusal: issuer.refusal.map(|reason| reason.slug()),
        }
    }
}

pub(super) async fn put(_: MayWrite, State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts.headers, body, MAX_CREDENTIAL_LEN as u64).await?;
    let (outcome, issuer) = app.identities.put_issuer(bytes.to_vec(), unix_now()).await?;
    let status = if outcome == IssuerInsertion::Created { StatusCode::CREATED } else { StatusCode::OK };
    tracing::info!(kid = hex::encode(issuer.kid.0), ?outcome, "credential of an issuing key");
    Ok((status, Json(Issuer::from(issuer))).into_response())
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<Issuers>, Problem> {
    let issuers = app.identities.issuers(unix_now()).await?;
    Ok(Json(Issuers { issuers: issuers.into_iter().map(Issuer::from).collect() }))
}

pub(super) async fn show(
    State(app): State<App>,
    PathPair(domain, kid): PathPair<DomainText, KidText>,
) -> Result<Response, Problem> {
    match app.identities.issuer(domain.domain(), kid.0).await? {
        Some(bytes) => Ok(raw(MEDIA_TYPE, bytes)),
        None => Err(Problem::not_found(
            "issuer-unknown",
            "No credential of this issuing key is stored in this domain.",
        )),
    }
}
