//! `/v1/live`: the process answers. `/v1/health`: the server would keep a write now.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::App;
use super::problem::Problem;
use crate::domain::unix_now;
use crate::readiness::Fault;
use crate::{VERSION, log};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    log_lines_lost: u64,
    damaged_images: usize,
}

impl Health {
    fn ok(app: &App) -> Json<Self> {
        Json(Self {
            status: "ok",
            version: VERSION,
            log_lines_lost: log::lost(),
            damaged_images: app.blobs.damaged(),
        })
    }
}

pub(super) async fn live(State(app): State<App>) -> Response {
    Health::ok(&app).into_response()
}

pub(super) async fn ready(State(app): State<App>) -> Result<Response, Problem> {
    let faults = app.readiness.faults(unix_now()).await.map_err(Problem::internal)?;
    // The first is the code; a second fault follows from it, or is seen once the first is mended.
    faults.first().map_or_else(|| Ok(Health::ok(&app).into_response()), |first| Err(problem(*first)))
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
    }
}
