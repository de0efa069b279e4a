//! Everything before a body: the permission, a value in the path, the query. Each is refused unless it has its form.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use trust::host::TokenPermission;

use super::App;
use super::problem::Problem;
use crate::domain::Malformed;
use crate::domain::registry::Reporter;

/// The request bore a token that permits everything. A handler that writes takes this or [`MayReport`] first; only a
/// request can make one.
pub(super) struct MayWrite(Reporter);

impl MayWrite {
    /// Whose token it is.
    pub(super) fn reporter(&self) -> &Reporter {
        &self.0
    }
}

/// The request bore a token that permits reports, at the least.
pub(super) struct MayReport {
    reporter: Reporter,
    permission: TokenPermission,
}

impl MayReport {
    /// Whose token it is.
    pub(super) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Whether the token permits everything.
    pub(super) fn may_write(&self) -> bool {
        self.permission == TokenPermission::Write
    }

    /// Refuses what a token does not permit that is for reports only.
    pub(super) fn check_write(&self) -> Result<(), Problem> {
        if self.may_write() { Ok(()) } else { Err(reports_only()) }
    }
}

fn reports_only() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "report-token", "This token permits reports of devices only.")
        .hint("Use a publisher's token: a line of the server's token file without the word report.")
}

impl FromRequestParts<App> for MayWrite {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match permission(parts, app)? {
            (TokenPermission::Write, reporter) => Ok(Self(reporter)),
            (TokenPermission::Report, _) => Err(reports_only()),
        }
    }
}

impl FromRequestParts<App> for MayReport {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let (permission, reporter) = permission(parts, app)?;
        Ok(Self { reporter, permission })
    }
}

fn permission(parts: &Parts, app: &App) -> Result<(TokenPermission, Reporter), Problem> {
    let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(Problem::unauthorized("Writing needs one bearer token."));
    };
    // RFC 9110 section 11.1: the scheme's name is case-insensitive.
    let token = match header.as_bytes().split_first_chunk::<7>() {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii_start(),
        Some(_) | None => return Err(Problem::unauthorized("Writing needs a bearer token.")),
    };
    let permission = app.tokens.permission(token);
    let permission =
        permission.ok_or_else(|| Problem::unauthorized("The token is not one of this server's."))?;
    Ok((permission, Reporter::of(token)))
}

/// The one parameter of the path, as the type that it has to be.
pub(super) struct PathValue<T>(pub(super) T);

impl<T: FromStr<Err: Into<Malformed>>> FromRequestParts<App> for PathValue<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::malformed("The path is not UTF-8."))?;
        Ok(Self(text.parse().map_err(Into::into)?))
    }
}

/// The two parameters of the path, as the types that they have to be.
pub(super) struct PathPair<A, B>(pub(super) A, pub(super) B);

impl<A, B> FromRequestParts<App> for PathPair<A, B>
where
    A: FromStr<Err: Into<Malformed>>,
    B: FromStr<Err: Into<Malformed>>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path((first, second)) = Path::<(String, String)>::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::malformed("The path is not UTF-8."))?;
        Ok(Self(first.parse().map_err(Into::into)?, second.parse().map_err(Into::into)?))
    }
}

/// The query, as the type that it has to be.
pub(super) struct QueryOf<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, app).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::malformed(format!("The query: {}.", rejection.body_text()))),
        }
    }
}

/// The most that one page of a list holds.
const MAX_LIMIT: u16 = 1000;

/// The parameter `limit` of a list.
pub(super) fn page_limit(limit: Option<u16>, default: u16) -> Result<u16, Malformed> {
    let limit = limit.unwrap_or(default);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Malformed { expected: "a limit is 1 to 1000" })
}
