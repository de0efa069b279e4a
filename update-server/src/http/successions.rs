//! `/v1/anchors` and `/v1/successions`: who is trusted, and how the roots of a domain followed one another.

use std::str::FromStr;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use trust::{Held, MAX_SUCCESSION_CHAIN_LEN, Rights, SuccessionNumber};

use super::extract::{MayWrite, PathValue, QueryOf};
use super::problem::Problem;
use super::revocations::DomainText;
use super::{App, body, raw};
use crate::domain::records::{AnchorSummary, ChainAnswer, RootSummary, SuccessionSummary};
use crate::domain::{Malformed, unix_now};

/// A chain is an array of CWTs, for which there is no type of its own.
const MEDIA_TYPE: &str = "application/cbor";
/// Most successions in one answer, so that it stays below 64 KiB.
const MAX_LISTED: u16 = 20;

/// The name of each right.
const RIGHTS: [(Rights, &str); 4] = [
    (Rights::FIRMWARE, "firmware"),
    (Rights::GOVERNANCE, "governance"),
    (Rights::SUCCESSION, "succession"),
    (Rights::BOOT, "boot"),
];

fn names(rights: Rights) -> Vec<&'static str> {
    RIGHTS.into_iter().filter(|(right, _)| rights.include(*right)).map(|(_, name)| name).collect()
}

/// A number of a root in a query: `E.S`.
#[derive(Debug, Clone, Copy)]
struct NumberText(SuccessionNumber);

impl FromStr for NumberText {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let number = |digits: &str| {
            let number: u16 = digits.parse().ok()?;
            // One spelling a value.
            (number.to_string() == digits).then_some(number)
        };
        let parts =
            text.split_once('.').and_then(|(epoch, sequence)| Some((number(epoch)?, number(sequence)?)));
        let (recovery_epoch, succession_sequence) = parts.ok_or(Malformed {
            expected: "the number of a root is RECOVERY-EPOCH.SUCCESSION-SEQUENCE, such as 0.0 or 1.2, at most 65535 each",
        })?;
        Ok(Self(SuccessionNumber { recovery_epoch, succession_sequence }))
    }
}

#[derive(Serialize)]
struct Root {
    domain: String,
    /// Of its present root; null where no configured anchor is one.
    root_kid: Option<String>,
    recovery_epoch: u16,
    succession_sequence: u16,
    /// Of its newest list; null if it has signed none.
    list_sequence: Option<u64>,
}

impl From<RootSummary> for Root {
    fn from(root: RootSummary) -> Self {
        Self {
            domain: hex::encode(root.domain.0.0),
            root_kid: root.kid.map(|kid| hex::encode(kid.0)),
            recovery_epoch: root.number.recovery_epoch,
            succession_sequence: root.number.succession_sequence,
            list_sequence: root.list_sequence,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Anchors {
    anchors: Vec<Anchor>,
    domains: Vec<Root>,
}

#[derive(Serialize)]
struct Anchor {
    kid: String,
    domain: String,
    cose_key: String,
    rights: Vec<&'static str>,
    /// `root`, `recovery-root`, `retired` or `anchor`.
    standing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_epoch: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    succession_sequence: Option<u16>,
}

impl From<AnchorSummary> for Anchor {
    fn from(AnchorSummary { anchor, number }: AnchorSummary) -> Self {
        let standing = if anchor.is_root() {
            "root"
        } else if anchor.is_recovery() {
            "recovery-root"
        } else if anchor.is_retired() {
            "retired"
        } else {
            "anchor"
        };
        Self {
            kid: hex::encode(anchor.kid().0),
            domain: hex::encode(anchor.domain().0.0),
            cose_key: hex::encode(anchor.key().to_cose_key()),
            rights: names(anchor.rights()),
            standing,
            recovery_epoch: number.map(|number| number.recovery_epoch),
            succession_sequence: number.map(|number| number.succession_sequence),
        }
    }
}

pub(super) async fn anchors(State(app): State<App>) -> Json<Anchors> {
    Json(Anchors {
        anchors: app.records.anchors().into_iter().map(Anchor::from).collect(),
        domains: app.records.roots().into_iter().map(Root::from).collect(),
    })
}

#[derive(Serialize)]
struct Succession {
    recovery_epoch: u16,
    succession_sequence: u16,
    /// Of the root that it names.
    root_kid: String,
    grantor_kid: String,
    name: String,
    rights: Vec<&'static str>,
    issued_at: u64,
    record: String,
}

impl From<SuccessionSummary> for Succession {
    fn from(succession: SuccessionSummary) -> Self {
        Self {
            recovery_epoch: succession.number.recovery_epoch,
            succession_sequence: succession.number.succession_sequence,
            root_kid: hex::encode(succession.kid.0),
            grantor_kid: hex::encode(succession.grantor.0),
            name: succession.name,
            rights: names(succession.rights),
            issued_at: succession.issued_at,
            record: hex::encode(succession.record),
        }
    }
}

pub(super) async fn put(_: MayWrite, State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts.headers, body, MAX_SUCCESSION_CHAIN_LEN as u64).await?;
    let (held, root) = app.records.put_succession(bytes.to_vec(), unix_now()).await?;
    // So that no reader has to wait for it.
    app.catalogue.bring_up_to(unix_now()).await?;
    tracing::info!(
        domain = hex::encode(root.domain.0.0),
        root_kid = root.kid.map(|kid| hex::encode(kid.0)),
        number = %root.number,
        ?held,
        "succession"
    );
    let status = if held == Held::Newest { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Root::from(root))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    after: Option<String>,
    all: Option<bool>,
    limit: Option<u16>,
}

#[derive(Serialize)]
struct Successions {
    #[serde(flatten)]
    root: Root,
    successions: Vec<Succession>,
}

pub(super) async fn list(
    State(app): State<App>,
    PathValue(domain): PathValue<DomainText>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(MAX_LISTED);
    if !(1..=MAX_LISTED).contains(&limit) {
        return Err(Malformed { expected: "the limit of successions is 1 to 20" }.into());
    }
    let (after, every) = (number(query.after.as_deref())?, query.all.unwrap_or(false));
    let found = app.records.successions(domain.domain(), after, every, usize::from(limit));
    let (root, successions) = found.ok_or_else(unknown_domain)?;
    let successions = successions.into_iter().map(Succession::from).collect();
    Ok(Json(Successions { root: root.into(), successions }).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChainQuery {
    after: Option<String>,
}

pub(super) async fn chain(
    State(app): State<App>,
    PathValue(domain): PathValue<DomainText>,
    QueryOf(query): QueryOf<ChainQuery>,
) -> Result<Response, Problem> {
    let after = number(query.after.as_deref())?;
    match app.records.chain(domain.domain(), after).ok_or_else(unknown_domain)? {
        ChainAnswer::Chain(chain) => Ok(raw(MEDIA_TYPE, chain)),
        ChainAnswer::NothingLater(present) => {
            let detail =
                format!("No succession after {after} is stored; the present root has the number {present}.");
            Err(Problem::not_found("succession-unknown", detail))
        }
        ChainAnswer::NoList => {
            let detail = "The present root has signed no revocation list that is stored here.";
            Err(Problem::not_found("succession-list-missing", detail)
                .hint("Publish the first revocation list of the new root: a chain ends with it."))
        }
        ChainAnswer::TooLong => {
            let detail = format!("The chain after {after} is longer than a device takes.");
            Err(Problem::new(StatusCode::CONFLICT, "succession-chain-too-long", detail)
                .hint("Have the recovery root name the next root: that leaves out what roots signed before."))
        }
    }
}

fn number(text: Option<&str>) -> Result<SuccessionNumber, Malformed> {
    Ok(text.map(str::parse::<NumberText>).transpose()?.map_or(SuccessionNumber::FIRST, |number| number.0))
}

fn unknown_domain() -> Problem {
    Problem::not_found("domain-unknown", "No anchor of this domain is configured.")
}
