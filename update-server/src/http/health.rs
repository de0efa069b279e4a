//! `/v1/live`: the process answers. `/v1/health`: what would come now would be kept.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::App;
use super::problem::Problem;
use crate::domain::unix_now;
use crate::{VERSION, log};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    log_lines_lost: u64,
}

impl Health {
    fn ok() -> Json<Self> {
        Json(Self { status: "ok", version: VERSION, log_lines_lost: log::lost() })
    }
}

pub(super) async fn live() -> Response {
    Health::ok().into_response()
}

pub(super) async fn ready(State(app): State<App>) -> Result<Response, Problem> {
    let faults = app.readiness.faults(unix_now()).await;
    let Some(first) = faults.first() else { return Ok(Health::ok().into_response()) };
    let detail = faults.iter().map(|fault| fault.message()).collect::<Vec<_>>().join(" ");
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, first.slug(), detail))
}
