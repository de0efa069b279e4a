//! `/v1/live`: the process answers. `/v1/health`: the server would keep a write now.

use std::borrow::Cow;

use axum::Json;
use axum::extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use trust::Kid;
use trust::host::ClockFault;

use super::App;
use super::problem::Problem;
use crate::domain::index::Standing;
use crate::domain::unix_now;
use crate::readiness::{Fault, State};
use crate::{VERSION, log};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    log_lines_lost: u64,
    damaged_images: usize,
    /// Of the last check, and so of readiness only.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<Warning>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    releases: Option<Releases>,
}

/// How many releases are stored.
#[derive(Serialize)]
struct Releases {
    stored: usize,
    under_no_anchor: usize,
}

/// What an operator should look at; the server works all the same.
#[derive(Serialize)]
struct Warning {
    code: &'static str,
    detail: Cow<'static, str>,
}

impl Warning {
    /// Releases and anchors that do not belong together.
    fn of_anchors(standing: &Standing, idle: &[Kid]) -> Vec<Self> {
        let foreign = (standing.foreign > 0).then(|| Self {
            code: "releases-under-no-anchor",
            detail: format!(
                "{} of {} stored releases are under no anchor that was given: they are not offered",
                standing.foreign, standing.stored
            )
            .into(),
        });
        let idle = idle.iter().map(|kid| Self {
            code: "anchor-without-releases",
            detail: format!("no stored release is under the anchor {}", hex::encode(kid.0)).into(),
        });
        foreign.into_iter().chain(idle).collect()
    }
}

impl From<ClockFault> for Warning {
    fn from(fault: ClockFault) -> Self {
        Self { code: "clock", detail: fault.message().into() }
    }
}

impl Health {
    fn ok(app: &App, warnings: Option<Vec<Warning>>, releases: Option<Releases>) -> Json<Self> {
        Json(Self {
            status: "ok",
            version: VERSION,
            log_lines_lost: log::lost(),
            damaged_images: app.blobs.damaged(),
            warnings,
            releases,
        })
    }
}

pub(super) async fn live(extract::State(app): extract::State<App>) -> Response {
    Health::ok(&app, None, None).into_response()
}

pub(super) async fn ready(extract::State(app): extract::State<App>) -> Result<Response, Problem> {
    let State { faults, clock } = app.readiness.state(unix_now()).await.map_err(Problem::internal)?;
    match faults.first() {
        None => {
            let standing = app.catalogue.standing();
            let idle = app.catalogue.anchors_without_releases(&standing);
            let of_anchors = Warning::of_anchors(&standing, &idle);
            let warnings = clock.map(Warning::from).into_iter().chain(of_anchors).collect();
            let releases = Releases { stored: standing.stored, under_no_anchor: standing.foreign };
            Ok(Health::ok(&app, Some(warnings), Some(releases)).into_response())
        }
        // The first is the code; a second fault follows from it, or is seen once the first is mended.
        Some(first) => Err(problem(*first)),
    }
}

/// The fault, and an instruction for the operator.
fn problem(fault: Fault) -> Problem {
    const STATUS: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
    match fault {
        Fault::DatabaseMoved => {
            Problem::new(STATUS, "database-moved", "The database file was moved, removed or replaced.")
                .hint("Put it back, then restart the server.")
        }
        Fault::DatabaseDamaged => Problem::new(STATUS, "database-damaged", "The database is damaged.")
            .hint("Stop the server and restore a backup."),
        Fault::DatabaseUnwritable => {
            Problem::new(STATUS, "database-unwritable", "The database takes no writes.")
                .hint("Read the cause in the server's log.")
        }
        Fault::StorageFull => Problem::new(STATUS, "storage-full", "The server's disk is full.")
            .hint("Free some space; no restart is needed."),
        Fault::ImagesUnwritable => {
            Problem::new(STATUS, "images-unwritable", "The image folder takes no files.")
                .hint("Read the cause in the server's log.")
        }
        Fault::VerdictsOutdated => Problem::new(
            STATUS,
            "verdicts-outdated",
            "The verdicts on the releases cannot be brought up to date; none is offered.",
        )
        .hint("Read the cause in the server's log."),
    }
}
