//! Every refusal as `application/problem+json` (RFC 9457). What a client is told and what the log is told are two
//! fields: nothing about the inside of the server leaves it.

mod status;

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use suit_manifest::Reason;
use trust::host::NameError;

use self::status::status_of;
use super::observe::Refusal;
use crate::blobs::BlobError;
use crate::domain::Malformed;
use crate::domain::catalogue::CatalogueError;
use crate::domain::device_report::ReportError;
use crate::domain::identities::IdentityError;
use crate::domain::records::RecordsError;
use crate::domain::registration::Conflict;
use crate::domain::registry::RegistryError;
use crate::log::cut;
use crate::store::StoreError;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A refusal on its way out.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    hint: Option<&'static str>,
    // Boxed since a problem is an `Err`, and few have one.
    header: Option<Box<(HeaderName, HeaderValue)>>,
    /// Of a list: each row that is refused.
    rows: Vec<RowProblem>,
    /// For the log only.
    internal: Option<String>,
}

/// Why a row of a list is refused.
#[derive(Debug, Serialize)]
pub(super) struct RowProblem {
    line: u64,
    /// As it stands in the row.
    serial: String,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

impl RowProblem {
    /// The line on which the row begins, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }
}

/// RFC 9457 section 3.1, with the members `code`, `hint` and `rows` (docs/server-api.md).
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rows: &'a [RowProblem],
}

impl Problem {
    /// A refusal that the client can do something about.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            hint: None,
            header: None,
            rows: Vec::new(),
            internal: None,
        }
    }

    /// Adds what to do about it.
    pub(super) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Adds a header to the answer.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// The same as 410: it existed, and is not handed out any more.
    pub(super) fn gone(self) -> Self {
        Self { status: StatusCode::GONE, hint: None, ..self }
    }

    /// Our own failure: `cause` is for the log.
    pub(super) fn internal(cause: impl ToString) -> Self {
        let detail = "The server failed; its log has the cause under the x-request-id of this answer.";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
        problem.internal = Some(cause.to_string());
        problem
    }

    /// The disk is full: `cause` is for the log.
    pub(super) fn storage_full(cause: impl ToString) -> Self {
        let detail = "The server's disk is full. Nothing was stored.";
        let mut problem = Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage-full", detail)
            .hint("Free space on the server, then send it again; no restart is needed.");
        problem.internal = Some(cause.to_string());
        problem
    }

    /// The same request may succeed in a moment.
    fn busy(detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
            .hint("Send it again later.")
            .header(RETRY_AFTER, HeaderValue::from_static("5"))
    }

    /// The database holds what this program did not write: `cause` is for the log.
    pub(super) fn database_damaged(cause: impl ToString) -> Self {
        let hint = "Stop the server and restore a backup of the database.";
        Self::unavailable("database-damaged", "The server's database is damaged.", hint, cause)
    }

    /// The server cannot do this until somebody mends what is wrong: `cause` is for the log.
    pub(super) fn unavailable(
        code: &'static str,
        detail: &'static str,
        hint: &'static str,
        cause: impl ToString,
    ) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).hint(hint);
        problem.internal = Some(cause.to_string());
        problem
    }

    /// No token, or a wrong one.
    pub(super) fn unauthorized(detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
            .hint("Send the header Authorization: Bearer <token>, with a token of the server's token file.")
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"update-server\""))
    }

    /// A body longer than the route takes.
    pub(super) fn too_large(limit: u64) -> Self {
        let detail = format!("The body is longer than the {limit} bytes that are taken here.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
    }

    /// A path, query or body that is not in the form of docs/server-api.md.
    pub(super) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        let mut detail = detail.into();
        // It can repeat what the client sent.
        let end = cut(&detail).len();
        if end < detail.len() {
            detail = format!("{} ...", &detail[..end]).into();
        }
        Self::new(StatusCode::BAD_REQUEST, "request-malformed", detail)
    }

    /// A private key on its way to where none may be.
    pub(super) fn private_key() -> Self {
        let detail =
            "This looks like a private key. It was not stored; a server needs the public half at most.";
        Self::new(StatusCode::BAD_REQUEST, "private-key-refused", detail)
            .hint("Regard the key as exposed when it went over a network: revoke it and make a new one.")
    }

    /// The same of a row of a list.
    pub(super) fn at_row(self, line: u64, serial: String) -> RowProblem {
        let serial = cut(&serial).to_owned();
        RowProblem { line, serial, code: self.code, detail: self.detail.into_owned(), hint: self.hint }
    }

    /// Rows of a list are refused, and none of the others was imported.
    pub(super) fn rows_refused(rows: Vec<RowProblem>, of: usize) -> Self {
        let first = rows
            .first()
            .map(|row| format!(" Line {} ({}): {}", row.line, row.serial, row.detail))
            .unwrap_or_default();
        let detail = format!("{} of {of} rows are refused, and nothing was imported.{first}", rows.len());
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "rows-refused", detail)
            .hint("Correct the rows that are listed, or import the others with ?good_rows=true.");
        Self { rows, ..problem }
    }

    /// Whether the server failed, and the request may be good.
    pub(super) fn is_ours(&self) -> bool {
        self.status.is_server_error()
    }

    /// A refusal by the trust code or the command processor.
    pub(super) fn refused(reason: Reason) -> Self {
        Self::new(status_of(reason), reason.slug(), reason.message()).hint(reason.hint())
    }

    /// Nothing has this name.
    pub(super) fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            hint: self.hint,
            rows: &self.rows,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, MEDIA_TYPE);
        if let Some(header) = self.header {
            let (name, value) = *header;
            headers.insert(name, value);
        }
        // Logged where the request ends, in one line with its path.
        let (code, detail, cause) = (self.code, self.detail.into_owned(), self.internal);
        response.extensions_mut().insert(Refusal { code, detail, cause });
        response
    }
}

impl From<Malformed> for Problem {
    fn from(error: Malformed) -> Self {
        Self::malformed(sentence(error.expected))
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Malformed::from(error).into()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_full() {
            return Self::storage_full(error);
        }
        if error.is_busy() {
            return Self::busy("The database is busy: this write did not get its turn in time.");
        }
        if error.is_damage() {
            return Self::database_damaged(error);
        }
        match error {
            StoreError::Commit(_) => {
                let detail = "The database did not keep the write.";
                let hint = "Send it again later; GET /v1/health shows whether the server is ready.";
                Self::unavailable("database-unwritable", detail, hint, error)
                    .header(RETRY_AFTER, HeaderValue::from_static("5"))
            }
            StoreError::Corrupt { .. } => Self::database_damaged(error),
            StoreError::Newer { .. }
            | StoreError::Migration(_)
            | StoreError::Busy
            | StoreError::Database(_)
            | StoreError::BrokenOff
            | StoreError::File { .. } => Self::internal(error),
        }
    }
}

impl From<RecordsError> for Problem {
    fn from(error: RecordsError) -> Self {
        match (error.reason(), error) {
            (Some(reason), error) => {
                Self { detail: sentence(&error.to_string()).into(), ..Self::refused(reason) }
            }
            (None, RecordsError::Store(error)) => error.into(),
            (None, error) => Self::internal(error),
        }
    }
}

impl From<CatalogueError> for Problem {
    fn from(error: CatalogueError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            CatalogueError::Refused(reason) => Self::refused(reason),
            CatalogueError::ImageNotStored { .. } => {
                Self::new(StatusCode::CONFLICT, "image-not-stored", detail)
                    .hint("Upload the image with PUT /v1/images/{sha256} first.")
            }
            CatalogueError::ImageSize { .. } => {
                Self { detail: detail.into(), ..Self::refused(Reason::ImageDigestMismatch) }
            }
            CatalogueError::SequenceTaken { .. } => Self::new(StatusCode::CONFLICT, "sequence-taken", detail)
                .hint("Create the manifest again with a higher sequence number."),
            CatalogueError::Unknown => Self::not_found("release-unknown", detail),
            CatalogueError::Withdrawn(_) => Self::new(StatusCode::CONFLICT, "release-withdrawn", detail)
                .hint("Offer it again with DELETE /v1/releases/{manifest digest}/withdrawal."),
            CatalogueError::NoneOffered { .. } => Self::not_found("release-not-offered", detail)
                .hint("Ask the publisher: a new credential or a new release is needed."),
            CatalogueError::Damaged(_) => Self::database_damaged(error),
            CatalogueError::Busy => Self::busy("The verdicts on the releases are not up to date yet."),
            CatalogueError::Records(error) => error.into(),
            CatalogueError::Store(error) => error.into(),
            CatalogueError::Blobs(error @ BlobError::Damaged { .. }) => {
                Self { status: StatusCode::CONFLICT, ..error.into() }
            }
            CatalogueError::Blobs(error) => error.into(),
            CatalogueError::Verification(error) => Self::internal(error),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            RegistryError::UnknownDevice(_) => Self::not_found("device-unknown", detail)
                .hint("Register the device with PUT /v1/devices/{serial} first."),
            RegistryError::Conflict { conflict, .. } => {
                let hint = hint_of(&conflict);
                Self { hint, ..Self::new(StatusCode::CONFLICT, conflict.code(), detail) }
            }
            RegistryError::Transition { from, .. } => {
                let next: Vec<_> = from.next().iter().map(|state| state.as_str()).collect();
                let detail = match &next[..] {
                    [] => format!("{detail} Nothing follows it."),
                    next => format!("{detail} It may become: {}.", next.join(", ")),
                };
                Self::new(StatusCode::CONFLICT, "state-transition", detail)
            }
            RegistryError::Store(error) => error.into(),
        }
    }
}

const fn hint_of(conflict: &Conflict) -> Option<&'static str> {
    match conflict {
        Conflict::Vendor(_)
        | Conflict::Class(_)
        | Conflict::Identity
        | Conflict::Target { .. }
        | Conflict::Sequence { .. }
        | Conflict::Nothing
        | Conflict::Release { .. }
        | Conflict::OtherDevice { .. }
        | Conflict::Signer { .. }
        | Conflict::Version { .. } => None,
        Conflict::TooManyReported { .. } => Some(
            "Register the devices with a publisher's token: those do not count. If they are strange, change the token.",
        ),
        Conflict::Line(_) | Conflict::Owner(_) | Conflict::KeyChecks(_) => {
            Some("Change it with PATCH /v1/devices/{serial}, and a reason.")
        }
        Conflict::State(_) => Some("Change it with PUT /v1/devices/{serial}/state, and a reason."),
        Conflict::CredentialOlder { .. } => Some(
            "The registry has a later credential, and keeps it: send the newest one of the device, or none.",
        ),
        Conflict::CredentialContradicts { .. } => {
            Some("Issue one more credential of the device, and send that.")
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            ReportError::Refused(error) => Self { detail: detail.into(), ..Self::refused(error.reason()) },
            ReportError::Nonce { .. } => Self { detail: detail.into(), ..Self::refused(Reason::ReportNonce) },
            ReportError::Registry(error) => error.into(),
        }
    }
}

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        let (code, detail) = (error.code(), sentence(&error.to_string()));
        match error {
            IdentityError::Refused(reason) => Self::refused(reason),
            IdentityError::NotADevice | IdentityError::OtherDevice => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
            }
            IdentityError::IssuerUnknown(_) => Self::new(StatusCode::CONFLICT, code, detail)
                .hint("Send the credential of the issuing key with PUT /v1/issuers first."),
            IdentityError::IssuedAhead { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
                .hint("Set the clock that is wrong: the server's, or that of the machine that signed; then issue it again."),
            IdentityError::Older { .. } => Self::new(StatusCode::CONFLICT, code, detail)
                .hint("The registry has a later credential of this key, and keeps it: send the newest one, or none."),
            IdentityError::Contradicts(_) => Self::new(StatusCode::CONFLICT, code, detail)
                .hint("Issue one more credential of this key, and send that."),
            IdentityError::Store(error) => error.into(),
        }
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::DigestMismatch { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "digest-mismatch", sentence(&error.to_string()))
                    .hint("Upload the image again; the path has to be the SHA-256 of the body.")
            }
            BlobError::TooLong { limit } => Self::too_large(limit),
            BlobError::Damaged { .. } => {
                let detail = "The image is stored damaged; it is not served.";
                let hint = "Upload it again with PUT /v1/images/{sha256}: that repairs it.";
                Self::unavailable("image-damaged", detail, hint, error)
            }
            BlobError::Lost(_) => Self::unavailable(
                "image-lost",
                "A release names the image, and it is not stored any more.",
                "Upload it again with PUT /v1/images/{sha256}.",
                error,
            ),
            BlobError::Obstructed { .. } => Self::unavailable(
                "image-obstructed",
                "Something else lies in the place of the image's file on the server's disk. It was left as it is.",
                "Move it away; the server's log has its path. Then upload the image again.",
                error,
            ),
            BlobError::Full => Self::storage_full(error),
            BlobError::Unwritable { .. } => Self::unavailable(
                "images-unwritable",
                "The server's image folder does not take the image. Nothing was stored.",
                "Read the cause in the server's log.",
                error,
            ),
            BlobError::Unreadable { .. } => Self::unavailable(
                "image-unreadable",
                "The server's disk does not give the image.",
                "Read the cause in the server's log.",
                error,
            ),
            BlobError::Folder { .. } => Self::internal(error),
        }
    }
}

/// Errors are phrases; details are sentences.
fn sentence(phrase: &str) -> String {
    let mut text = String::with_capacity(phrase.len() + 1);
    let mut chars = phrase.chars();
    text.extend(chars.next().into_iter().flat_map(char::to_uppercase));
    text.push_str(chars.as_str());
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_the_clients_and_never_ours() {
        for reason in Reason::ALL {
            assert!(status_of(*reason).is_client_error(), "{reason:?}");
        }
        assert_eq!(status_of(Reason::SignatureInvalid), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(status_of(Reason::RevocationSequence), StatusCode::CONFLICT);
        assert_eq!(status_of(Reason::ManifestMalformed), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn the_document_lists_each_reason_under_its_status() {
        let document = include_str!("../../../docs/server-api.md");
        let rows = |status: u16| {
            let row = format!("| {status} | ");
            document.lines().filter(move |line| line.starts_with(&row))
        };
        for reason in Reason::ALL {
            let slug = format!("`{}`", reason.slug());
            for status in [400, 409, 413] {
                let is_listed = rows(status).any(|row| row.contains(&slug));
                assert_eq!(is_listed, status_of(*reason).as_u16() == status, "{slug} under {status}");
            }
        }
    }

    #[tokio::test]
    async fn the_cause_of_our_own_failure_stays_inside() {
        let response = Problem::internal("/var/lib/secret/place is full").into_response();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        assert!(!String::from_utf8(body.to_vec()).unwrap().contains("secret"));
    }
}
